/* fetch_gather.c - at the same time: three calls of a tenth of a second take one tenth.
 *
 * cosy_call(fetch_user, 1, &a) is a call that has not begun, as fetch_user(1) is in Python: the compiler checks its
 * arguments, but nothing runs. cosy_gather starts all of them as tasks, waits until the last is done and returns the
 * first error, or 0.
 */
#include <cosy.h>
#include <stdio.h>

struct user {
    int id;
    const char *name;
};

cosy_async static int fetch_user(int id, struct user *out)
{
    static const char *const names[] = {"Alice", "Bob", "Carol"};
    cosy_try(cosy_sleep(COSY_MS(100)));
    *out = (struct user){.id = id, .name = names[id - 1]};
    return 0;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    struct user a, b, c;
    cosy_try(cosy_gather(cosy_call(fetch_user, 1, &a), /* await asyncio.gather(fetch_user(1), ...) */
                         cosy_call(fetch_user, 2, &b),
                         cosy_call(fetch_user, 3, &c)));

    printf("%s, %s, %s\n", a.name, b.name, c.name);
    printf("took %.1f s\n", (double)(cosy_loop_time(cosy_running_loop()) - start) / COSY_S(1));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * Alice, Bob, Carol
 * took <time 0.1> s
 */
