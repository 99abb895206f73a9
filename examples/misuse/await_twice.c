/* await_twice.c - a coroutine object is one call: it can be awaited once.
 *
 * The second time the answer is -COSY_EAWAITED, not a second run and not the old result. To ask for a result several
 * times, make the call a task: cosy_await on a finished task returns its result again.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int roll_dice(void)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    return 4; /* chosen by fair dice roll */
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_task) task = cosy_create_task(roll_dice);
    printf("task: %d\n", cosy_await(task));
    printf("task again: %d\n", cosy_await(task)); /* right */

    cosy_coro *call = cosy_call(roll_dice);
    printf("coroutine: %d\n", cosy_await(call));
    int again = cosy_await(call); /* wrong */
    printf("coroutine again: %s, %s\n", cosy_errname(again), cosy_error_message(again));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * task: 4
 * task again: 4
 * coroutine: 4
 * coroutine again: COSY_EAWAITED, cannot reuse an already awaited coroutine
 */
