/* Tests of cosy_wait_for. Names in comments are those of the tests in CPython's test_waitfor.py for the same behaviour.
 */
#include "flow_test.h"

#define LONG COSY_S(1000)

TASK_TEST(what_is_quick_enough_gives_its_result) /* test_wait_for_with_global_loop, test_wait_for_blocking */
{
    uint64_t before = turns();
    ck_assert_int_eq(cosy_wait_for(cosy_call(give, 4), LONG), 4);
    ck_assert_uint_eq(turns(), before); /* a coroutine runs here: no task, no turn */
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_US(10), 5);
    ck_assert_int_eq(cosy_wait_for(task, LONG), 5);
    ck_assert_int_eq(cosy_wait_for(task, LONG), 5);
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_future_set_result(future, 6);
    ck_assert_int_eq(cosy_wait_for(future, LONG), 6);
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

TASK_TEST(never_is_no_limit) /* test_wait_for_blocking: timeout None */
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(give_later, COSY_MS(1), 4), COSY_NEVER), 4);
    return 0;
}

TASK_TEST(errors_pass_through)
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(fail_with, EIO), LONG), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    cosy_scoped(cosy_task) task = cosy_create_task(fail_later, 1, EPERM);
    ck_assert_int_eq(cosy_wait_for(task, LONG), -EPERM);
    ck_assert_str_eq(cosy_error_message(-EPERM), "as asked");
    return 0;
}

TASK_TEST(what_is_too_slow_is_cancelled) /* test_wait_for, test_asyncio_wait_for_timeout; checklist row 33 */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_wait_for(cosy_call(give_later, LONG, 1), COSY_MS(3)), -ETIMEDOUT);
    ck_assert_int_ge(now() - before, COSY_MS(3));
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(3));
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, LONG, 1);
    ck_assert_int_eq(cosy_wait_for(task, COSY_MS(1)), -ETIMEDOUT);
    ck_assert(cosy_task_cancelled(task));
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_wait_for(future, COSY_MS(1)), -ETIMEDOUT);
    ck_assert(cosy_future_cancelled(future));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(it_waits_for_the_cleanup) /* test_wait_for_waits_for_task_cancellation */
{
    cosy_ns before = now();
    cosy_scoped(cosy_task) task = cosy_create_task(slow_cleanup, COSY_MS(5), "task");
    ck_assert_int_eq(cosy_wait_for(task, COSY_MS(1)), -ETIMEDOUT);
    ck_assert(cosy_task_done(task));
    ck_assert_int_ge(now() - before, COSY_MS(6)); /* longer than the limit */
    ck_assert_int_eq(cosy_wait_for(cosy_call(slow_cleanup, COSY_MS(1), "coro"), COSY_MS(1)), -ETIMEDOUT);
    said("task cleaned coro cleaned");
    return 0;
}

TASK_TEST(what_swallows_the_cancel_gives_its_result) /* test_wait_for_cancellation_race_condition, gh-86296 */
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(swallow, 9), COSY_MS(1)), 9);
    cosy_scoped(cosy_task) task = cosy_create_task(swallow, 10);
    ck_assert_int_eq(cosy_wait_for(task, COSY_MS(1)), 10);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(what_fails_while_it_is_cancelled_gives_its_error) /* test_wait_for_reraises_exception_during_cancellation */
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(swallow, -EIO), COSY_MS(1)), -EIO);
    cosy_scoped(cosy_task) task = cosy_create_task(swallow, -EIO);
    ck_assert_int_eq(cosy_wait_for(task, COSY_MS(1)), -EIO);
    return 0;
}

static void set_one(void *future)
{
    cosy_future_set_result(future, 1);
}

TASK_TEST(a_result_just_in_time) /* test_wait_for_race_condition */
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_MS(1), set_one, future, NULL), 0);
    ck_assert_int_eq(cosy_wait_for(future, COSY_S(5)), 1);
    return 0;
}

static int wait_for_future(cosy_future *future, cosy_ns limit)
{
    return cosy_wait_for(future, limit);
}

/* The result and then, in the same turn, the limit: the waiter is queued, the cancel comes on top; asyncio loses the
 * result. */
TASK_TEST(a_limit_right_after_the_result)
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) task = cosy_create_task(wait_for_future, future, COSY_MS(2));
    cosy_ns when = now() + COSY_MS(2) - (simulated() ? 1 : 0);
    ck_assert_int_eq(cosy_call_at(loop_now(), when, set_one, future, NULL), 0);
    int result = cosy_await(task);
    ck_assert(result == 1 || result == -ETIMEDOUT);
    ck_assert_int_eq(cosy_task_cancelling(task), 0);
    return 0;
}

/* ---- no time at all ---- */

static int never_begun(void)
{
    say("begun");
    return 1;
}

TASK_TEST(no_time_starts_no_coroutine) /* test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started */
{
    cosy_ns limits[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        cosy_coro *coro = cosy_call(never_begun);
        ck_assert_int_eq(cosy_wait_for(coro, limits[i]), -ETIMEDOUT);
    }
    said("");
    return 0;
}

TASK_TEST(no_time_is_enough_for_what_is_done) /* test_wait_for_timeout_less_then_0_or_0_future_done */
{
    cosy_ns limits[] = {0, -1};
    for (int i = 0; i < 2; i++) {
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        cosy_future_set_result(future, 8);
        uint64_t before = turns();
        ck_assert_int_eq(cosy_wait_for(future, limits[i]), 8);
        ck_assert_uint_eq(turns(), before);
        cosy_scoped(cosy_task) task = cosy_create_task(fail_with, EIO);
        let_all_run(1);
        ck_assert_int_eq(cosy_wait_for(task, limits[i]), -EIO);
    }
    return 0;
}

TASK_TEST(no_time_cancels_what_runs_and_waits) /* ..._less_then_0_or_0,
                                                  test_wait_for_waits_for_task_cancellation_w_timeout_0 */
{
    for (int i = 0; i < 2; i++) {
        cosy_scoped(cosy_task) task = cosy_create_task(slow_cleanup, COSY_MS(1), "it");
        let_all_run(1);
        ck_assert_int_eq(cosy_wait_for(task, -i), -ETIMEDOUT);
        ck_assert(cosy_task_cancelled(task));
        said("it cleaned");
        cosy_scoped(cosy_task) fresh = cosy_create_task(never_begun);
        ck_assert_int_eq(cosy_wait_for(fresh, -i), -ETIMEDOUT);
        said("");
        cosy_scoped(cosy_task) swallowing = cosy_create_task(swallow, 3);
        cosy_scoped(cosy_task) failing = cosy_create_task(swallow, -EIO);
        let_all_run(1);
        ck_assert_int_eq(cosy_wait_for(swallowing, -i), 3);
        ck_assert_int_eq(cosy_wait_for(failing, -i), -EIO);
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        ck_assert_int_eq(cosy_wait_for(future, -i), -ETIMEDOUT);
        ck_assert(cosy_future_cancelled(future));
    }
    return 0;
}

static int wait_no_time_for(cosy_task *task)
{
    return cosy_wait_for(task, 0);
}

TASK_TEST(a_cancel_while_no_time_waits_for_the_cleanup) /* asyncio's _cancel_and_wait passes a cancel on at once */
{
    cosy_scoped(cosy_task) task = cosy_create_task(gated_cleanup, "it");
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_no_time_for, task);
    let_all_run(3);
    ck_assert(!cosy_task_done(task) && !cosy_task_done(waiter));
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert(cosy_task_cancelled(waiter));
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    gate_open = true;
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("it cleaned");
    return 0;
}

/* As gh-134471 for timeouts: the cancel was there first. */
TASK_TEST(no_time_does_not_swallow_an_earlier_cancel)
{
    cosy_task *me = cosy_current_task();
    cosy_scoped(cosy_task) task = cosy_create_task(slow_cleanup, 1, "it");
    let_all_run(1);
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_wait_for(task, 0), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(me), 1);
    cosy_task_uncancel(me);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("it cleaned");
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_wait_for(cosy_call(give_later, LONG, 1), COSY_MS(1)), -ECANCELED);
    cosy_task_uncancel(me);
    return 0;
}

/* ---- cancelled from outside ---- */

static int wait_for_cleanup(cosy_ns limit)
{
    return cosy_wait_for(cosy_call(slow_cleanup, COSY_MS(1), "inner"), limit);
}

TASK_TEST(a_cancel_reaches_what_is_waited_for) /* test_cancel_wait_for, test_asyncio_wait_for_cancelled */
{
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_cleanup, LONG);
    let_all_run(1);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    said("inner cleaned");
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) other = cosy_create_task(wait_for_future, future, LONG);
    let_all_run(1);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    ck_assert(cosy_future_cancelled(future));
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

static void cancel_task(void *task)
{
    cosy_task_cancel(task);
}

TASK_TEST(a_cancelled_child_is_no_timeout) /* test_asyncio_wait_for_cancelled */
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, LONG, 1);
    ck_assert_int_eq(cosy_call_soon(loop_now(), cancel_task, task, NULL), 0);
    ck_assert_int_eq(cosy_wait_for(task, LONG), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

static int wait_for_gated_cleanup(void)
{
    return cosy_wait_for(cosy_call(gated_cleanup, "inner"), 1);
}

TASK_TEST(a_cancel_in_the_cleanup_after_the_limit) /* test_wait_for_self_cancellation in spirit: the cancel wins */
{
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_gated_cleanup);
    while (!cosy_task_cancelling(waiter)) /* the limit's own request */
        ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
    let_all_run(2);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(waiter), 1);
    said("inner cleaned badly");
    return 0;
}

static int doubly_limited(cosy_ns outer, cosy_ns inner)
{
    return cosy_wait_for(cosy_call(wait_for_cleanup, inner), outer);
}

TASK_TEST(limits_in_limits)
{
    ck_assert_int_eq(doubly_limited(LONG, COSY_MS(1)), -ETIMEDOUT);
    said("inner cleaned");
    ck_assert_int_eq(doubly_limited(COSY_MS(1), LONG), -ETIMEDOUT);
    said("inner cleaned");
    return 0;
}

/* ---- misuse and no memory ---- */

TASK_TEST(wrong_things_are_errors)
{
    ck_assert_int_eq(cosy_wait_for(cosy_current_task(), LONG), -COSY_ESELF);
    ck_assert_int_eq(cosy_wait_for(cosy_current_task(), 0), -COSY_ESELF);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    cosy_coro *coro = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(coro), 1);
    ck_assert_int_eq(cosy_wait_for(coro, LONG), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_wait_for(coro, 0), -COSY_EAWAITED);
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_scoped(cosy_future) foreign = cosy_future_new(other);
    ck_assert_int_eq(cosy_wait_for(foreign, LONG), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_wait_for(foreign, 0), -COSY_EOTHERLOOP);
    ck_assert(!cosy_future_done(foreign));
    cosy_loop_free(other);
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    cosy_coro *coro = cosy_call(never_begun);
    ck_assert_int_eq(cosy_wait_for(coro, LONG), -COSY_ENOTASK); /* and the coroutine is gone: LSan would tell */
    logs("cosy_wait_for");
    coro = cosy_call(give, 1);
    ck_assert_int_eq(cosy_wait_for(coro, 0), -COSY_ENOTASK);
    logs("cosy_wait_for");
    said("");
}
END_TEST

static int limited_waits(void)
{
    int got = cosy_wait_for(cosy_call(give_later, COSY_US(1), 4), LONG);
    if (got != 4)
        return got;
    got = cosy_wait_for(cosy_call(give_later, LONG, 1), COSY_US(50));
    if (got != -ETIMEDOUT)
        return got;
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, LONG, 1);
    got = cosy_wait_for(task, 0);
    if (got == -ECANCELED && !cosy_task_cancelling(cosy_current_task()))
        return -ENOMEM;
    return got == -ETIMEDOUT ? 0 : got;
}

static int limited_waits_in_a_run(void)
{
    return cosy_run(limited_waits);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(limited_waits_in_a_run);
}
END_TEST

TESTS_MAIN("wait_for", what_is_quick_enough_gives_its_result, never_is_no_limit, errors_pass_through,
           what_is_too_slow_is_cancelled, it_waits_for_the_cleanup, what_swallows_the_cancel_gives_its_result,
           what_fails_while_it_is_cancelled_gives_its_error, a_result_just_in_time, a_limit_right_after_the_result,
           no_time_starts_no_coroutine, no_time_is_enough_for_what_is_done, no_time_cancels_what_runs_and_waits,
           a_cancel_while_no_time_waits_for_the_cleanup, no_time_does_not_swallow_an_earlier_cancel,
           a_cancel_reaches_what_is_waited_for, a_cancelled_child_is_no_timeout,
           a_cancel_in_the_cleanup_after_the_limit, limits_in_limits, wrong_things_are_errors,
           outside_a_task_is_an_error, no_memory_is_an_error_and_leaves_nothing)
