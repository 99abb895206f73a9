/* closed_loop.c - using a loop after its end.
 *
 * A closed loop still knows that it is one: everything that it is asked returns -COSY_ECLOSED. Only cosy_loop_free
 * takes the memory away.
 */
#include <cosy.h>
#include <stdio.h>

static void never_called(void *arg) { puts(arg); }

int main(void)
{
    cosy_loop *loop;
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_loop_close(loop);

    int error = cosy_call_soon(loop, never_called, "too late", NULL); /* wrong */
    printf("cosy_call_soon: %s\n", cosy_strerror(error));
    error = cosy_run_until_complete(loop, cosy_call(cosy_sleep, COSY_S(1))); /* wrong */
    printf("cosy_run_until_complete: %s\n", cosy_errname(error));
    cosy_task *task = cosy_create_task_with((.loop = loop), cosy_sleep, COSY_S(1)); /* wrong */
    printf("cosy_create_task_with: %s\n", task ? "a task" : "no task");

    cosy_loop_free(loop);
    return 0;
}

/* Output:
 * cosy_call_soon: the loop or coroutine is closed
 * cosy_run_until_complete: COSY_ECLOSED
 * cosy_create_task_with: no task
 * Stderr:
 * cosy: cannot create a task in a closed loop: coroutine 'cosy_sleep' created at ...closed_loop.c:22
 */
