/* scope.c - cancel scopes: giving up, failing, and a clean-up that is not disturbed.
 *
 * A scope is a region of code that can be cancelled as a whole. When its deadline passes, the wait inside returns -ECANCELED;
 * the end of the block turns that into 0 (move on) or -ETIMEDOUT (fail). A shield holds back cancels from outside until
 * its block is left, or for its grace.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int load_picture(void)
{
    cosy_try(cosy_sleep(COSY_S(10)));
    puts("never seen");
    return 0;
}

cosy_async static int say_goodbye(const char *whom, cosy_ns takes)
{
    int err;
    COSY_SCOPE(err, .shield = true, .grace = COSY_MS(100)) { /* with CancelScope(shield=True): */
        cosy_check(err, cosy_sleep(takes));
        printf("said goodbye to %s\n", whom);
    }
    if (err == -ECANCELED)
        printf("%s took too long to answer\n", whom);
    return err;
}

cosy_async static int connection(const char *whom, cosy_ns goodbye_takes)
{
    int result = cosy_sleep(COSY_S(3600));
    (void)say_goodbye(whom, goodbye_takes);
    return result;
}

cosy_async static int hang_up(void)
{
    int err;
    COSY_MOVE_ON_AFTER(err, COSY_MS(20)) {
        cosy_scoped(cosy_task_group) connections = cosy_task_group_open();
        cosy_task_group_spawn(connections, connection, "Alice", COSY_MS(10));
        cosy_task_group_spawn(connections, connection, "Bob", COSY_S(60));
        cosy_check(err, cosy_task_group_wait(connections));
    }
    return err;
}

cosy_async static int amain(void)
{
    int err;
    COSY_MOVE_ON_AFTER(err, COSY_MS(20)) /* with trio.move_on_after(0.02): */
        cosy_check(err, load_picture());
    printf("without the picture: %d\n", err);

    COSY_FAIL_AFTER(err, COSY_MS(20)) /* with trio.fail_after(0.02): */
        cosy_check(err, load_picture());
    printf("the picture is late: %s\n", cosy_errname(err));

    cosy_task *me = cosy_current_task();
    COSY_SCOPE(err, .shield = true) {
        cosy_task_cancel(me);
        cosy_check(err, cosy_sleep(COSY_MS(1)));
        puts("a cancel does not reach into a shield");
    }
    err = cosy_sleep(COSY_MS(1));
    printf("it waits outside: %s\n", cosy_errname(err));
    cosy_task_uncancel(me);
    return hang_up();
}

int main(void) { return cosy_main(amain); }

/* Output:
 * without the picture: 0
 * the picture is late: ETIMEDOUT
 * a cancel does not reach into a shield
 * it waits outside: ECANCELED
 * said goodbye to Alice
 * Bob took too long to answer
 */
