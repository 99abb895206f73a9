/* fetch_once.c - calling an async function: await is a call.
 *
 * A task has a stack of its own, so an async function calls another one as it would any function, and gets its result
 * the same way. What is more than a number leaves through a pointer.
 */
#include <cosy.h>
#include <stdio.h>

struct user {
    int id;
    const char *name;
};

cosy_async static int fetch_user(int id, struct user *out) /* async def fetch_user(user_id): */
{
    cosy_try(cosy_sleep(COSY_MS(100))); /* the database thinks */
    *out = (struct user){.id = id, .name = "Alice"};
    return 0;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    struct user user;
    cosy_try(fetch_user(1, &user)); /* user = await fetch_user(1) */

    printf("user %d is %s\n", user.id, user.name);
    printf("took %.1f s\n", (double)(cosy_loop_time(cosy_running_loop()) - start) / COSY_S(1));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * user 1 is Alice
 * took <time 0.1> s
 */
