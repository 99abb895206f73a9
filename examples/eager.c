/* eager.c - a task that begins inside the call which creates it.
 *
 * A task usually begins in the next turn of the loop. With .eager_start it runs at once up to its first wait, and one
 * that never waits is done before cosy_create_task_with returns: a look into a cache costs no turn of the loop.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int look_up(int key)
{
    printf("  looking for %d\n", key);
    if (key > 10)                          /* not in the cache: */
        cosy_try(cosy_sleep(COSY_MS(10))); /*     ask somebody */
    return key * 2;
}

cosy_async static int amain(void)
{
    puts("a usual task:");
    cosy_scoped(cosy_task) usual = cosy_create_task(look_up, 1);
    printf("  created, %s\n", cosy_task_done(usual) ? "done" : "not begun");
    printf("  %d\n", cosy_await(usual));

    puts("an eager task with a hit:");
    cosy_scoped(cosy_task) hit = cosy_create_task_with((.eager_start = true), look_up, 2);
    printf("  created, %s\n", cosy_task_done(hit) ? "done" : "waiting");
    printf("  %d\n", cosy_await(hit));

    puts("an eager task with a miss:");
    cosy_scoped(cosy_task) miss = cosy_create_task_with((.eager_start = true), look_up, 30);
    printf("  created, %s\n", cosy_task_done(miss) ? "done" : "waiting");
    printf("  %d\n", cosy_await(miss));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * a usual task:
 *   created, not begun
 *   looking for 1
 *   2
 * an eager task with a hit:
 *   looking for 2
 *   created, done
 *   4
 * an eager task with a miss:
 *   looking for 30
 *   created, waiting
 *   60
 */
