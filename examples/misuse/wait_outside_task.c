/* wait_outside_task.c - a wait where there is nothing to wait in: main() is no task, and neither is a callback.
 *
 * Python refuses to compile it, and so does clang for cosy: take `cosy_unchecked` away and run `cosy check` on this
 * file. At run time the wait returns -COSY_ENOTASK and says where and what to do.
 */
#include <cosy.h>
#include <stdio.h>

cosy_unchecked static void callback(void *loop)
{
    printf("in a callback: %s\n", cosy_errname(cosy_sleep(COSY_S(1)))); /* wrong */
    cosy_loop_stop(loop);
}

cosy_unchecked int main(void)
{
    printf("in main: %s\n", cosy_errname(cosy_sleep(COSY_S(1)))); /* wrong */

    cosy_loop *loop;
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_call_soon(loop, callback, loop, NULL);
    int result = cosy_loop_run_forever(loop);
    cosy_loop_free(loop);
    return result < 0;
}

/* Output:
 * in main: COSY_ENOTASK
 * in a callback: COSY_ENOTASK
 * Stderr:
 * cosy: await outside async: cosy_sleep was called outside a task...; run the calling function with cosy_run, or start it as a task
 * cosy: await outside async: cosy_sleep was called outside a task...; run the calling function with cosy_run, or start it as a task
 */
