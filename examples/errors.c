/* errors.c - errors with a message and an async traceback.
 *
 * An error is a negative number. cosy_fail adds a message to it, cosy_try passes it on and notes the place, and who
 * awaits a failed task gets its error with all of that. Nobody has to look after the message: it stays with the task.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int query(int id)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    if (id > 100)
        return cosy_fail(ENOENT, "no user %d", id); /* raise LookupError(f"no user {id}") */
    return id;
}

cosy_async static int fetch_user(int id)
{
    int found = cosy_try(query(id)); /* on an error this returns it from here */
    printf("found user %d\n", found);
    return found;
}

cosy_async static int serve(int id)
{
    cosy_scoped(cosy_task) task = cosy_create_task_with((.name = "fetcher"), fetch_user, id);
    return cosy_try(cosy_await(task)); /* the error crosses from task to task */
}

cosy_async static int amain(void)
{
    cosy_try(serve(1));

    int error = serve(404); /* try: ... except LookupError as e: */
    if (error == -ENOENT) {
        printf("caught %s: %s\n", cosy_errname(error), cosy_error_message(error));
        cosy_print_error(stdout, error); /* traceback.print_exc() */
    }

    return cosy_try(serve(500)); /* unhandled: cosy_main tells its story and returns 1 */
}

int main(void) { return cosy_main(amain); }

/* Output:
 * found user 1
 * caught ENOENT: no user 404
 * Async traceback (most recent call last):
 *     ...errors.c:27 in serve
 *   task 'fetcher' (fetch_user), created at ...errors.c:26 in serve
 *     ...errors.c:19 in fetch_user
 *     ...errors.c:13 in query
 * ENOENT: no user 404
 * Stderr:
 * Async traceback (most recent call last):
 * ...
 * ENOENT: no user 500
 * Exit status: 1
 */
