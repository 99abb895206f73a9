/* first_of.c - the first of several: waiting for whichever is done first, and racing until one succeeds.
 *
 * cosy_wait touches nothing that it waits for. cosy_race starts the next one when the one before is slow or has failed,
 * as browsers try addresses; the winner's rivals are cancelled and have cleaned up when it returns.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int mirror(const char *name, int milliseconds)
{
    int result = cosy_sleep(COSY_MS(milliseconds));
    if (result < 0)
        printf("%s gives up\n", name);
    return result < 0 ? result : milliseconds;
}

cosy_async static int refuse(const char *name)
{
    return cosy_fail(ECONNREFUSED, "%s is down", name);
}

cosy_async static int amain(void)
{
    bool done[2];
    cosy_scoped(cosy_task) rome = cosy_create_task(mirror, "Rome", 80);
    cosy_scoped(cosy_task) oslo = cosy_create_task(mirror, "Oslo", 20);
    int count = cosy_wait_with((.return_when = COSY_FIRST_COMPLETED, .done = done), rome, oslo);
    printf("%d done: Rome %s, Oslo %s\n", count, done[0] ? "yes" : "no", done[1] ? "yes" : "no");
    printf("Rome still comes: %d ms\n", cosy_await(rome));

    int64_t results[3];
    size_t winner;
    int fastest =
        cosy_race_with((.delay = COSY_MS(30), .winner = &winner, .results = results), cosy_call(mirror, "Lima", 500),
                       cosy_call(refuse, "Bonn"), cosy_call(mirror, "Kyiv", 40));
    printf("number %zu wins: %d ms\n", winner, fastest);
    for (int i = 0; i < 3; i++)
        printf("  %d: %s\n", i, results[i] < 0 ? cosy_strerror((int)results[i]) : "fine");
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * 1 done: Rome no, Oslo yes
 * Rome still comes: 80 ms
 * Lima gives up
 * number 2 wins: 40 ms
 *   0: Operation canceled
 *   1: Connection refused
 *   2: fine
 */
