/* loop_in_loop.c - cosy_run inside async code: a thread runs one loop at a time.
 *
 * The inner run is refused with -COSY_ERUNNING. Inside async code there is a loop already: call the function.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int fetch(void)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    return 7;
}

cosy_unchecked static int amain(void) /* or `cosy check` finds it before it runs */
{
    printf("fetched %d\n", cosy_try(fetch())); /* right */
    return cosy_try(cosy_run(fetch));          /* wrong */
}

int main(void) { return cosy_main(amain); }

/* Output:
 * fetched 7
 * Stderr:
 * Async traceback (most recent call last):
 *   task 'Task-1' (amain), created at ...loop_in_loop.c:20 in main
 *     ...loop_in_loop.c:17 in amain
 * COSY_ERUNNING: cosy_run cannot be called while a loop is running in this thread
 * Exit status: 1
 */
