/* rate_limit.c - no more than so many calls per second: a burst first, then a steady rate.
 *
 * The bucket holds five, and leaks five per half second. So five calls go out at once and one every tenth of a second
 * after that, in the order in which they were made: aiolimiter's AsyncLimiter(5, 0.5).
 */
#include <cosy.h>
#include <stdio.h>

static cosy_rate_limiter limiter = COSY_RATE_LIMITER(5, COSY_S(0.5));

cosy_async static int call_model(int number, cosy_ns start)
{
    int err = 0;
    COSY_RATE_LIMITED (err, &limiter) { /* async with limiter: */
        double at = (double)(cosy_loop_time(cosy_running_loop()) - start) / 1e9;
        printf("call %d goes out at %.1f s\n", number, at);
    }
    return err;
}

cosy_async static int amain(void)
{
    cosy_ns start = cosy_loop_time(cosy_running_loop());
    cosy_coro *calls[8];
    for (int i = 0; i < 8; i++)
        calls[i] = cosy_call(call_model, i + 1, start);
    cosy_try(cosy_gather_coros(calls, 8, NULL));

    int error = cosy_rate_limiter_acquire_amount(&limiter, 6); /* could never be: told at once */
    printf("six at once: %s\n", cosy_error_message(error));
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * call 1 goes out at <time 0.0> s
 * call 2 goes out at <time 0.0> s
 * call 3 goes out at <time 0.0> s
 * call 4 goes out at <time 0.0> s
 * call 5 goes out at <time 0.0> s
 * call 6 goes out at <time 0.1> s
 * call 7 goes out at <time 0.2> s
 * call 8 goes out at <time 0.3> s
 * six at once: an amount of 6 is more than the rate limiter's max_rate of 5 ever allows
 */
