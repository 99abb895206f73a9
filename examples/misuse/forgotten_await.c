/* forgotten_await.c - a coroutine that nothing ever awaits: the call was made, but never happens.
 *
 * When the loop closes, it names each such call and where it was made. In debug mode, as here, the whole chain of calls that
 * led there is told as well.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int save_user(int id)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    printf("user %d saved\n", id); /* never seen */
    return 0;
}

cosy_async static int amain(void)
{
    cosy_coro *call = cosy_call(save_user, 1); /* wrong: nothing runs yet, and nothing ever will */
    (void)call;

    cosy_try(save_user(2)); /* right: await save_user(2); or cosy_await(call), cosy_create_task(save_user, 2), ... */
    return 0;
}

int main(void) { return cosy_main_with((.debug = true), amain); }

/* Output:
 * user 2 saved
 * Stderr:
 * cosy: coroutine 'save_user' was never awaited, created at ...forgotten_await.c:18 in amain
 * ...
 */
