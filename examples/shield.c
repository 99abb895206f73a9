/* shield.c - work that a cancel must not tear in half.
 *
 * The request is cancelled while the order is being written. cosy_shield lets the request go at once; the writing goes
 * on, and whoever holds its task can still wait for it. Without the shield the cancel would be passed on to what the
 * request waits for.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int write_order(int number)
{
    printf("writing order %d ...\n", number);
    cosy_try(cosy_sleep(COSY_MS(100)));
    printf("... order %d is written\n", number);
    return number;
}

cosy_async static int request(cosy_task *writing)
{
    int result = cosy_shield(writing); /* await asyncio.shield(writing) */
    printf("the request ends with %s\n", result < 0 ? cosy_errname(result) : "a result");
    return result;
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_task) writing = cosy_create_task(write_order, 7);
    cosy_scoped(cosy_task) client = cosy_create_task(request, writing);
    cosy_try(cosy_sleep(COSY_MS(50)));

    cosy_task_cancel(client); /* hangs up */
    cosy_await(client);
    printf("the writing was cancelled: %s\n", cosy_task_cancelling(writing) ? "yes" : "no");

    printf("order %d\n", cosy_await(writing));
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * writing order 7 ...
 * the request ends with ECANCELED
 * the writing was cancelled: no
 * ... order 7 is written
 * order 7
 */
