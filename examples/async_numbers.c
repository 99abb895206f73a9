/* async_numbers.c - five numbers, one each tenth of a second, and a limited block after them. */
#include <cosy.h>
#include <stdio.h>

cosy_async static int async_generator(cosy_emitter(int) *out) /* async def async_generator(): */
{
    for (int i = 0; i < 5; i++) {
        cosy_try(cosy_sleep(COSY_MS(100)));
        cosy_try(cosy_emit(out, i)); /* yield i */
    }
    return 0;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    int err = 0;
    COSY_FOR (int, number, err, cosy_agen(async_generator)) /* async for number in async_generator(): */
        printf("%d\n", number);
    cosy_try(err);
    printf("after %.2f s\n", (double)(cosy_loop_time(cosy_running_loop()) - start) / COSY_S(1));

    COSY_TIMEOUT (err, COSY_MS(500)) {
        cosy_check(err, cosy_sleep(COSY_MS(30)));
        puts("Operation completed within timeout");
    }
    return err;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * 0
 * 1
 * 2
 * 3
 * 4
 * after <time 0.50> s
 * Operation completed within timeout
 */
