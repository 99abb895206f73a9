/* cancel.c - asking a task to stop: its wait returns -ECANCELED once, and it cleans up.
 *
 * Cleanup is whatever the function does on its way out, and it may wait itself: the cancel was delivered and does not
 * come again. A cancelled task is no failure: who awaits it gets -ECANCELED, with the reason that the canceller gave.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int download(const char *file)
{
    printf("downloading %s\n", file);
    int result = cosy_sleep(COSY_S(3600)); /* try: await asyncio.sleep(3600) */
    if (result == -ECANCELED) {            /* except asyncio.CancelledError: */
        printf("interrupted: %s\n", cosy_task_cancel_reason(cosy_current_task()));
        cosy_try(cosy_sleep(COSY_MS(50))); /* cleanup may wait */
        printf("removed the half of %s\n", file);
    }
    return result; /* raise */
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_task) task = cosy_create_task(download, "film.mkv");
    cosy_try(cosy_sleep(COSY_MS(100)));

    cosy_task_cancel_with(task, "the user has gone to bed"); /* task.cancel("...") */
    int result = cosy_await(task);

    printf("the task ended with %s: %s\n", cosy_errname(result), cosy_error_message(result));
    printf("cancelled: %s\n", cosy_task_cancelled(task) ? "yes" : "no");
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * downloading film.mkv
 * interrupted: the user has gone to bed
 * removed the half of film.mkv
 * the task ended with ECANCELED: the user has gone to bed
 * cancelled: yes
 */
