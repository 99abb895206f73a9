/* wait_for.c - a limit in time for one call: ten seconds of work are given three.
 *
 * cosy_wait_for runs the call and cancels it when the time is up: the wait inside it returns -ECANCELED, it cleans up
 * and returns, and the answer is -ETIMEDOUT.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int long_operation(void)
{
    cosy_try(cosy_sleep(COSY_S(10)));
    puts("Operation completed"); /* never seen */
    return 0;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    int result = cosy_wait_for(cosy_call(long_operation), COSY_S(3)); /* await asyncio.wait_for(..., timeout=3) */

    if (result == -ETIMEDOUT) /* except asyncio.TimeoutError: */
        puts("Operation timed out");
    printf("after %.1f s\n", (double)(cosy_loop_time(cosy_running_loop()) - start) / COSY_S(1));
    return result == -ETIMEDOUT ? 0 : result;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * Operation timed out
 * after <time 3.0> s
 */
