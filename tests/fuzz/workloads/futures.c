/* Futures with many waiters and one that ends them; timers that race with cancels.
 *
 * Invariants: every waiter goes on, with the future's outcome or its own cancel; a sleep that is not cancelled is never
 * early.
 */
#include "../fuzz.h"

enum { WAITERS = 6, SLEEPERS = 8 };

struct promise {
    cosy_future *future;
    int woken, called;
};

cosy_async static int wait_for_promise(struct promise *promise)
{
    cosy_try(pause_somehow());
    int result = below(2) ? cosy_await(promise->future) : cosy_wait_for(promise->future, COSY_S(10));
    cosy_test_expect(result == 42 || result == -ECANCELED);
    cosy_test_expect(result != 42 || cosy_future_done(promise->future));
    promise->woken++;
    return result;
}

static void on_done(cosy_future *future, void *arg)
{
    struct promise *promise = arg;
    cosy_test_expect(cosy_future_done(future));
    promise->called++;
}

/* A callback: no cancel of a task can keep it from coming. */
static void keep_promise(void *arg)
{
    struct promise *promise = arg;
    if (promise->future && !cosy_future_done(promise->future))
        cosy_test_expect(cosy_future_set_result(promise->future, 42) == 0);
}

cosy_async static int promises(struct promise *promise)
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    promise->future = future;
    cosy_test_expect(cosy_future_add_done_callback(future, on_done, promise, NULL) == 0);
    cosy_test_expect(cosy_call_later(cosy_running_loop(), COSY_US(below(60)), keep_promise, promise, NULL) == 0);
    cosy_coro *waiters[WAITERS];
    int64_t results[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        waiters[i] = cosy_call(wait_for_promise, promise);
    int result = cosy_gather_coros(waiters, WAITERS,
                                   &(struct cosy_gather_options){.struct_size = sizeof(struct cosy_gather_options),
                                                                 .return_exceptions = true,
                                                                 .results = results});
    int rested = until_rest(); /* the callbacks run */
    if (rested == -ECANCELED)
        rested = until_rest();
    if (!cosy_future_done(future)) /* both rests were cancelled; a callback that waits keeps its future */
        cosy_future_cancel(future);
    return result < 0 ? result : rested;
}

static void future_rounds(void)
{
    struct promise promise = {0};
    int result = cosy_test_run(promises, &promise);
    cosy_test_expect(result < 0 || promise.called == 1);
}
WORKLOAD("futures", future_rounds)

/* ---- timers ---- */

cosy_async static int sleeper(int *awake)
{
    for (int i = 0; i < 3; i++) {
        cosy_ns until = cosy_loop_time(cosy_running_loop()) + COSY_US(below(100));
        int result = cosy_sleep_until(until);
        cosy_test_expect(result == -ECANCELED || (result == 0 && cosy_loop_time(cosy_running_loop()) >= until));
        cosy_try(result);
    }
    ++*awake;
    return 0;
}

cosy_async static int sleepers(int *awake, int *killed)
{
    cosy_task *tasks[SLEEPERS];
    int result = 0;
    for (int i = 0; i < SLEEPERS; i++)
        tasks[i] = cosy_create_task(sleeper, awake);
    for (int i = 0; i < SLEEPERS / 2 && result == 0; i++) {
        result = pause_somehow();
        cosy_task_cancel(tasks[below(SLEEPERS)]);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        while (!cosy_task_done(tasks[i])) {
            int ended = cosy_await(tasks[i]);
            result = result < 0 || !cosy_task_cancelling(cosy_current_task()) ? result : ended;
        }
        *killed += cosy_task_cancelled(tasks[i]);
        cosy_task_drop(tasks[i]);
    }
    return result;
}

static void sleeper_rounds(void)
{
    int awake = 0, killed = 0;
    int result = cosy_test_run(sleepers, &awake, &killed);
    cosy_test_expect(awake + killed == SLEEPERS || (result == -ECANCELED && awake + killed == 0));
}
WORKLOAD("sleepers", sleeper_rounds)
