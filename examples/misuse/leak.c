/* leak.c - leaving without tidying up: a loop is closed while a task is at work, and nobody saw another fail.
 *
 * cosy_main and cosy_run cancel what is left and wait for it. Who runs a loop by hand has to do that himself; if he
 * does not, the loop names each task that it destroys in the middle of its work, and each error that nobody has seen.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int serve_for_ever(void) { return cosy_sleep(COSY_NEVER); }

cosy_async static int fail(void) { return cosy_fail(EIO, "the disk is on fire"); }

int main(void)
{
    cosy_loop *loop;
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_task *server = cosy_create_task_with((.name = "server", .loop = loop), serve_for_ever);
    cosy_task *failed = cosy_create_task_with((.name = "failed", .loop = loop), fail);
    int result = cosy_run_until_complete(loop, cosy_call(cosy_sleep, COSY_MS(10)));
    printf("the loop ended with %d\n", result);

    cosy_loop_close(loop); /* wrong: `server` is still at work, and nobody has awaited `failed` */
    printf("the server was %s\n", cosy_task_cancelled(server) ? "ended without a chance to clean up" : "left alone");

    cosy_task_drop(server); /* handles outlive the loop */
    cosy_task_drop(failed);
    cosy_loop_free(loop);
    return 0;
}

/* Output:
 * the loop ended with 0
 * the server was ended without a chance to clean up
 * Stderr:
 * cosy: Task was destroyed but it is pending: task server
 *   task 'server' (serve_for_ever), created at ...leak.c:18 in main
 * cosy: Task exception was never retrieved: task failed
 * Async traceback (most recent call last):
 *   task 'failed' (fail), created at ...leak.c:19 in main
 *     ...leak.c:11 in fail
 * EIO: the disk is on fire
 */
