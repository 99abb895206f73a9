/* as_completed.c - each result as it comes, whatever the order they were asked in.
 *
 * The block is `async for` over asyncio.as_completed: it gives the very tasks that it was given. Leaving it early is
 * fine; here a limit for all of them ends the last round.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int weigh(const char *name, int seconds)
{
    cosy_try(cosy_sleep(COSY_MS(20) * seconds));
    printf("%s:", name);
    return seconds * 100;
}

cosy_async static int amain(void)
{
    int err = 0;
    cosy_task *tasks[] = {
        cosy_create_task(weigh, "melon", 3),
        cosy_create_task(weigh, "plum", 1),
        cosy_create_task(weigh, "apple", 2),
    };
    COSY_AS_COMPLETED(task, tasks, 3, err) /* async for task in asyncio.as_completed(tasks): */
    printf(" %d g\n", cosy_await(task));
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);

    cosy_coro *coros[] = {cosy_call(weigh, "pear", 1), cosy_call(weigh, "pumpkin", 50)};
    COSY_AS_COMPLETED(task, coros, 2, err, .timeout = COSY_MS(200))
    printf(" %d g\n", cosy_await(task));
    printf("then: %s\n", cosy_errname(err)); /* the iterator has cancelled what it had started */
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * plum: 100 g
 * apple: 200 g
 * melon: 300 g
 * pear: 100 g
 * then: ETIMEDOUT
 */
