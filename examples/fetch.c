#include <cosy.h>
#include <stdio.h>

struct user {
    int id;
    const char *name;
};

cosy_async static int send_email(int id)
{
    cosy_try(cosy_sleep(COSY_S(2)));
    printf("Email sent to user %d\n", id);
    return 0;
}

cosy_async static int fetch_user(int id, struct user *out)      /* async def fetch_user(id): */
{
    cosy_try(cosy_sleep(COSY_MS(100)));                         /*     await asyncio.sleep(0.1) */
    *out = (struct user){ .id = id, .name = "Alice" };
    return 0;                                                   /*     return {"id": id, ...} */
}

cosy_async static int amain(void)
{
    struct user a, b, c;
    cosy_try(cosy_gather(cosy_call(fetch_user, 1, &a),          /* 0.1 s for the three, not 0.3 s */
                         cosy_call(fetch_user, 2, &b),
                         cosy_call(fetch_user, 3, &c)));
    cosy_task *mail = cosy_create_task(send_email, a.id);       /* runs in the background */
    printf("%s %s %s\n", a.name, b.name, c.name);
    return cosy_await(mail);
}

int main(void) { return cosy_main(amain); }                     /* asyncio.run(main()) */

/* Output:
 * Alice Alice Alice
 * Email sent to user 1
 */
