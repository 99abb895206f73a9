/* forgotten_await.c - a coroutine that nothing ever awaits: the call was made, but never happens.
 *
 * When the loop closes, it names each such call and where it was made. With origin tracking, which debug mode turns on
 * too, it tells the calls that led there.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int save_user(int id)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    printf("user %d saved\n", id); /* never seen for user 1 */
    return 0;
}

static int sign_up(int id)
{
    cosy_coro *call = cosy_call(save_user, id); /* wrong: nothing runs yet, and nothing ever will */
    return call ? 0 : -ENOMEM;
}

cosy_async static int amain(void)
{
    cosy_set_coroutine_origin_tracking_depth(5);
    cosy_try(sign_up(1));

    cosy_try(save_user(2)); /* right: an await is a call; or cosy_await(call), cosy_create_task(save_user, 2), ... */
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * user 2 saved
 * Stderr:
 * cosy: coroutine 'save_user' was never awaited, created at ...forgotten_await.c:18 in sign_up
 *   Coroutine created at
 * ...
 */
