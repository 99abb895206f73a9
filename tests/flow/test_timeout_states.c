/* Tests of what a timeout says in each state, of a block up to a moment, and scenarios of CPython's test_waitfor.py that need a task which holds
 * out against cancels. */
#include "flow_test.h"

#define LONG COSY_S(1000)

static const char *refusal(cosy_timeout *timeout)
{
    ck_assert_int_eq(cosy_timeout_reschedule(timeout, now() + LONG), -COSY_EINVALIDSTATE);
    return cosy_error_message(-COSY_EINVALIDSTATE);
}

/* test_timeout_not_entered, test_timeout_finished, test_timeout_expired, test_timeout_expiring, test_timeout_already_entered,
 * test_timeout_double_enter */
TASK_TEST(a_refusal_names_the_state)
{
    cosy_timeout timeout = {0}, finished = {0};
    ck_assert_str_eq(refusal(&timeout), "a timeout that has not been entered cannot be rescheduled");
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_US(1)), 0);
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_US(1)), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE), "a timeout can be entered only once; this one is active");
    int inside = cosy_sleep(LONG);
    ck_assert_str_eq(refusal(&timeout), "a timeout that is expiring cannot be rescheduled");
    ck_assert_int_eq(cosy_timeout_exit(&timeout, inside), -ETIMEDOUT);
    ck_assert_str_eq(refusal(&timeout), "a timeout that has expired cannot be rescheduled");
    ck_assert_int_eq(cosy_timeout_enter(&finished, LONG), 0);
    ck_assert_int_eq(cosy_timeout_exit(&finished, 0), 0);
    ck_assert_str_eq(refusal(&finished), "a timeout that is finished cannot be rescheduled");
    ck_assert_int_eq(cosy_timeout_enter(&finished, 1), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE), "a timeout can be entered only once; this one is finished");
    return 0;
}

TASK_TEST(a_block_up_to_a_moment)
{
    int err = -EIO; /* of something before */
    COSY_TIMEOUT_AT(err, COSY_NEVER)
        ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(err, 0);
    cosy_ns when = now() + COSY_MS(1);
    COSY_TIMEOUT_AT(err, when)
        cosy_check(err, cosy_sleep(LONG));
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_int_ge(now(), when);
    COSY_TIMEOUT_AT(err, now() - 1)
        cosy_check(err, cosy_yield());
    ck_assert_int_eq(err, -ETIMEDOUT);
    return 0;
}

/* ---- wait_for ---- */

/* Ends at its own time, whoever asks it to stop before. */
static int hold_out(cosy_ns until, bool *ret_exited)
{
    while (cosy_loop_time(loop_now()) < until)
        (void)cosy_sleep(COSY_US(200));
    *ret_exited = true;
    return 42;
}

static int wait_for_it(cosy_ns until, cosy_ns limit, bool *ret_exited)
{
    return cosy_wait_for(cosy_call(hold_out, until, ret_exited), limit);
}

TASK_TEST(what_holds_out_is_waited_for) /* test_asyncio_wait_for_cancelled, test_asyncio_wait_for_timeout, test_wait_for_cancel_suppressed */
{
    bool exited = false;
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_it, now() + COSY_MS(2), LONG, &exited);
    let_all_run(1);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), 42); /* as asyncio: the cancel was swallowed */
    ck_assert(exited);
    exited = false;
    ck_assert_int_eq(wait_for_it(now() + COSY_MS(2), COSY_MS(1), &exited), 42);
    ck_assert(exited);
    return 0;
}

static int wait_for_task(cosy_task *task, cosy_ns limit)
{
    return cosy_wait_for(task, limit);
}

TASK_TEST(a_waiter_cancelled_before_it_began) /* test_wait_for_self_cancellation */
{
    bool exited = false;
    cosy_scoped(cosy_task) inner = cosy_create_task(hold_out, now() + COSY_MS(1), &exited);
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_task, inner, COSY_US(100));
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert_int_eq(cosy_await(inner), 42);
    return 0;
}

static int wait_without_limit(cosy_future *future)
{
    return cosy_wait_for(future, COSY_NEVER);
}

TASK_TEST(a_cancel_without_a_limit_reaches_what_is_waited_for) /* test_cancel_blocking_wait_for */
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) inner = cosy_create_task(wait_without_limit, future);
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_task, inner, COSY_NEVER);
    let_all_run(2);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert(cosy_task_cancelled(inner) && cosy_future_cancelled(future));
    return 0;
}

static int quick_and_long(void)
{
    cosy_try(cosy_wait_for(cosy_call(give, 0), COSY_S(100)));
    cosy_try(cosy_sleep(LONG));
    ck_abort_msg("the cancel was lost");
}

TASK_TEST(a_cancel_right_after_it_is_not_lost) /* test_wait_for_issue86296 */
{
    cosy_scoped(cosy_task) task = cosy_create_task(quick_and_long);
    let_all_run(1);
    ck_assert(!cosy_task_done(task));
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    return 0;
}

TESTS_MAIN("timeout_states", a_refusal_names_the_state, a_block_up_to_a_moment, what_holds_out_is_waited_for,
           a_waiter_cancelled_before_it_began, a_cancel_without_a_limit_reaches_what_is_waited_for,
           a_cancel_right_after_it_is_not_lost)
