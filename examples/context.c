/* context.c - context variables: values that follow a chain of calls and tasks without being passed along.
 *
 * A task gets a copy of its creator's context when it is created. What it sets is seen by the tasks that it creates
 * afterwards, and by nobody else: two requests at the same time do not mix up their users.
 */
#include <cosy.h>
#include <stdio.h>

static cosy_contextvar current_user = COSY_CONTEXTVAR("current_user", "nobody");

static const char *user(void) { return cosy_contextvar_get(&current_user); }

cosy_async static int write_log(const char *what)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    printf("[%s] %s\n", user(), what); /* nobody told this task who it works for */
    return 0;
}

cosy_async static int handle_request(char *name, cosy_ns delay)
{
    cosy_try(cosy_contextvar_set(&current_user, name, NULL)); /* current_user.set(name) */
    cosy_try(cosy_sleep(delay));
    cosy_scoped(cosy_task) log = cosy_create_task(write_log, "request handled");
    return cosy_await(log);
}

cosy_async static int amain(void)
{
    cosy_try(cosy_gather(cosy_call(handle_request, "alice", COSY_MS(30)),
                         cosy_call(handle_request, "bob", COSY_MS(150))));
    printf("[%s] all done\n", user());

    cosy_contexttoken token; /* a set can be taken back */
    cosy_try(cosy_contextvar_set(&current_user, "root", &token));
    printf("[%s] tidying up\n", user());
    cosy_try(cosy_contextvar_reset(&token));
    printf("[%s] good night\n", user());
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * [alice] request handled
 * [bob] request handled
 * [nobody] all done
 * [root] tidying up
 * [nobody] good night
 */
