/* await_itself.c - a task that waits for its own end, which can never come.
 *
 * The wait returns -COSY_ESELF at once. Passed on with cosy_try, it ends the program with its message and traceback.
 */
#include <cosy.h>

cosy_async static int amain(void)
{
    cosy_try(cosy_await(cosy_current_task())); /* wrong */
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Stderr:
 * Async traceback (most recent call last):
 *   task 'Task-1' (amain), created at ...await_itself.c:13 in main
 *     ...await_itself.c:9 in amain
 * COSY_ESELF: task 'Task-1' (amain) cannot await itself
 * Exit status: 1
 */
