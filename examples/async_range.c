/* async_range.c - an async generator, consumed by a loop and by hand: `async for`, `asend`, `aclose`.
 *
 * A generator is an async function behind an emitter that says what it emits. cosy_emit is `yield`. It runs inside the task that consumes
 * it: what it waits for, the consumer waits for.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int async_range(cosy_emitter(int) *out, int start, int stop, int step) /* async def async_range(...): */
{
    for (int current = start; current < stop; current += step) {
        cosy_try(cosy_sleep(COSY_MS(10)));   /* await asyncio.sleep(0.01) */
        cosy_try(cosy_emit(out, current));   /* yield current */
    }
    return 0;
}

cosy_async static int consume(void)
{
    int err = 0;
    COSY_FOR (int, value, err, cosy_agen(async_range, 0, 5, 1)) /* async for value in async_range(0, 5): */
        printf("generated: %d\n", value);
    cosy_try(err);

    cosy_agen *numbers = cosy_agen(async_range, 10, 15, 1);
    int value;
    while ((err = cosy_asend(numbers, NULL, &value)) == 0) /* value = await numbers.asend(None) */
        printf("by hand: %d\n", value);
    if (err == -COSY_ESTOPITER) /* except StopAsyncIteration: */
        puts("the generator is through");
    err = cosy_aclose(numbers); /* finally: await numbers.aclose() */
    cosy_agen_drop(numbers);
    return err;
}

int main(void) { return cosy_main(consume); }

/* Output:
 * generated: 0
 * generated: 1
 * generated: 2
 * generated: 3
 * generated: 4
 * by hand: 10
 * by hand: 11
 * by hand: 12
 * by hand: 13
 * by hand: 14
 * the generator is through
 */
