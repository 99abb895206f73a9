/* fetch_twice.c - one after the other: two calls of a tenth of a second take two tenths.
 *
 * Async code is sequential unless you say otherwise: the second call begins when the first has returned. fetch_gather.c
 * says otherwise.
 */
#include <cosy.h>
#include <stdio.h>

struct user {
    int id;
    const char *name;
};

cosy_async static int fetch_user(int id, struct user *out)
{
    cosy_try(cosy_sleep(COSY_MS(100)));
    *out = (struct user){.id = id, .name = id == 1 ? "Alice" : "Bob"};
    return 0;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    struct user first, second;
    cosy_try(fetch_user(1, &first)); /* user1 = await fetch_user(1) */
    cosy_try(fetch_user(2, &second));

    printf("%s, %s\n", first.name, second.name);
    printf("took %.1f s\n", (double)(cosy_loop_time(cosy_running_loop()) - start) / COSY_S(1));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * Alice, Bob
 * took <time 0.2> s
 */
