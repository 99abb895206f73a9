/* background_email.c - a task in the background: the request is answered before the email has left.
 *
 * A task that was created runs beside its creator. Here the creator waits for it in the end; what is still running when
 * the main task returns is cancelled, as in Python.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int send_email(int user_id)
{
    cosy_try(cosy_sleep(COSY_MS(200))); /* talking to the mail server */
    printf("Email sent to user %d\n", user_id);
    return 0;
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_task) mail = cosy_create_task(send_email, 1); /* task = asyncio.create_task(send_email(1)) */

    puts("Continuing with other requests...");

    return cosy_await(mail); /* await task */
}

int main(void) { return cosy_main(amain); }

/* Output:
 * Continuing with other requests...
 * Email sent to user 1
 */
