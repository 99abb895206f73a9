/* two_tasks.c - two tasks wait at the same time: one second and two seconds make two, not three.
 *
 * cosy_create_task takes any async function with its own arguments, here the library's cosy_sleep. The task begins in
 * the next turn of the loop and runs beside its creator. `cosy_scoped` drops the handle when the block ends.
 */
#include <cosy.h>
#include <stdio.h>

static cosy_ns now(void) { return cosy_loop_time(cosy_running_loop()); }

cosy_async static int amain(void)
{
    cosy_ns start = now();
    cosy_scoped(cosy_task) one = cosy_create_task(cosy_sleep, COSY_S(1)); /* asyncio.create_task(asyncio.sleep(1)) */
    cosy_scoped(cosy_task) two = cosy_create_task(cosy_sleep, COSY_S(2));

    cosy_try(cosy_await(one)); /* await task1 */
    printf("first done after %.1f s\n", (double)(now() - start) / COSY_S(1));
    cosy_try(cosy_await(two));
    printf("both done after %.1f s\n", (double)(now() - start) / COSY_S(1));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * first done after <time 1.0> s
 * both done after <time 2.0> s
 */
