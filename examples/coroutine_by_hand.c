/* coroutine_by_hand.c - a coroutine without a task: send, throw and close, as Python's coroutine objects have them.
 *
 * The driver sends numbers; the coroutine answers each with the average so far. cosy_suspend hands a value to the
 * driver and sleeps until the next one comes. No event loop is needed: this is an ordinary main().
 */
#include <cosy.h>
#include <stdio.h>

static int average(int64_t first)
{
    int64_t sum = first, count = 1, next;
    for (;;) {
        int error = cosy_suspend(sum / count, &next); /* next = yield sum / count */
        if (error == -EAGAIN) {                       /* except Again: */
            puts("  (starting over)");
            sum = count = 0;
            error = cosy_suspend(-1, &next);
        }
        if (error < 0) {
            printf("  (leaving: %s)\n", cosy_strerror(error));
            return error;
        }
        sum += next;
        count++;
    }
}

int main(void)
{
    int64_t value;
    cosy_scoped(cosy_coro) coro = cosy_call(average, 10); /* closed at the end of the block, on every path */

    cosy_coro_send(coro, 0, &value); /* coro.send(None): runs up to the first suspension */
    printf("average of 10 is %d\n", (int)value);
    cosy_coro_send(coro, 20, &value);
    printf("average of 10, 20 is %d\n", (int)value);
    cosy_coro_throw(coro, EAGAIN, &value); /* coro.throw(Again()) */
    cosy_coro_send(coro, 7, &value);
    printf("average of 7 is %d\n", (int)value);

    char text[160];
    cosy_coro_repr(coro, text, sizeof text);
    puts(text);
    puts("closing it");
    return 0;
}

/* Output:
 * average of 10 is 10
 * average of 10, 20 is 15
 *   (starting over)
 * average of 7 is 7
 * <coroutine average suspended, created at ...coroutine_by_hand.c:31 in main>
 * closing it
 *   (leaving: the coroutine is being closed)
 */
