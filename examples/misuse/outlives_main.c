/* outlives_main.c - a task that is still at work when the main task returns.
 *
 * It is cancelled, as in Python, and the program waits for its cleanup: nothing is torn in half. If that cleanup fails,
 * nobody is left to look at the error, so it is reported.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int write_file(void)
{
    int result = cosy_sleep(COSY_S(3600));
    if (result == -ECANCELED) {
        cosy_try(cosy_sleep(COSY_MS(20))); /* cleanup may wait */
        return cosy_fail(ENOSPC, "cannot write the last page");
    }
    return result;
}

cosy_async static int amain(void)
{
    cosy_try(cosy_spawn_with((.name = "writer"), write_file));
    cosy_try(cosy_sleep(COSY_MS(10)));
    puts("the main task is done"); /* wrong: nobody waits for the writer; a task group would */
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * the main task is done
 * Stderr:
 * cosy: Task exception in a spawned task: task writer
 * Async traceback (most recent call last):
 *   task 'writer' (write_file), created at ...outlives_main.c:21 in amain
 *     ...outlives_main.c:14 in write_file
 * ENOSPC: cannot write the last page
 */
