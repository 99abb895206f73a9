/* Scenarios of CPython's tests of waiting, limits, groups, runners and asynchronous generators, where the room's own
 * tests have another course of events. Named in the comments; docs/scenarios/ tells where each of the others is. */
#include "wait_test.h"

static int await_future(cosy_future *future)
{
    return cosy_await(future);
}

/* ---- test_tasks.py: wait, as_completed, sleep, contexts ---- */

static int yield_times(int count, int value)
{
    while (count-- > 0)
        cosy_try(cosy_yield());
    return value;
}

static int wait_first(cosy_task *a, cosy_task *b, bool *done)
{
    return cosy_wait_with((.return_when = COSY_FIRST_COMPLETED, .done = done), a, b);
}

TASK_TEST(what_ends_before_the_waiter_runs_is_done_too) /* test_wait_really_done */
{
    bool done[2] = {false, false};
    cosy_scoped(cosy_task) a = cosy_create_task(yield_times, 1, 1);
    cosy_scoped(cosy_task) b = cosy_create_task(yield_times, 2, 2);
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_first, b, a, done);
    ck_assert_int_eq(cosy_await(waiter), 2);
    ck_assert(done[0] && done[1]);
    ck_assert(cosy_await(a) == 1 && cosy_await(b) == 2);
    return 0;
}

TASK_TEST(the_limit_and_the_first_end_in_one_turn) /* test_wait_concurrent_complete */
{
    bool done[2] = {false, false};
    cosy_scoped(cosy_task) a = cosy_create_task(give_later, COSY_MS(10), 1);
    cosy_scoped(cosy_task) b = cosy_create_task(give_later, LONG, 2);
    let_all_run(1);
    int count = cosy_wait_with((.timeout = COSY_MS(10), .done = done), b, a);
    if (simulated())
        ck_assert(count == 1 && !done[0] && done[1]);
    ck_assert(!cosy_task_done(b));
    return 0;
}

TASK_TEST(an_iterator_is_taken_up_again) /* test_as_completed_resume_iterator */
{
    cosy_coro *coros[4];
    int seen = 0;
    for (int i = 0; i < 4; i++)
        coros[i] = cosy_call(give, i);
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, coros, 4), 0);
    for (int i = 0; i < 2; i++)
        seen |= 1 << cosy_as_completed_result(&it);
    ck_assert_int_eq(cosy_yield(), 0); /* something else in between */
    for (int result; (result = cosy_as_completed_result(&it)) != -COSY_ESTOPITER;)
        seen |= 1 << result;
    ck_assert_int_eq(seen, 15);
    cosy_as_completed_close(&it);
    return 0;
}

static void add_one(void *number)
{
    ++*(int *)number;
}

TASK_TEST(a_sleep_of_no_time_lets_what_was_queued_run) /* test_sleep_zero */
{
    int result = 0;
    ck_assert_int_eq(cosy_call_soon(loop_now(), add_one, &result, NULL), 0);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(cosy_sleep(0), 0);
    ck_assert_int_eq(result, 1);
    return 0;
}

static cosy_contextvar number = COSY_CONTEXTVAR("number", NULL);

static int set_and_sleep(int first)
{
    for (int i = 0; i < 10; i++) {
        intptr_t value = first + i + 1;
        cosy_try(cosy_contextvar_set(&number, (void *)value, NULL));
        cosy_try(cosy_sleep(COSY_US(1 + (first * 7 + i * 13) % 50)));
        if ((intptr_t)cosy_contextvar_get(&number) != value)
            return -EIO;
    }
    return 0;
}

/* test_context_3, and test_asyncio_task_decimal_context of test_context.py: what one task set, another never sees */
TASK_TEST(a_hundred_tasks_have_a_context_each)
{
    cosy_coro *coros[100];
    for (int i = 0; i < 100; i++)
        coros[i] = cosy_call(set_and_sleep, i % 11);
    ck_assert_int_eq(cosy_gather_coros(coros, 100, NULL), 0);
    ck_assert_ptr_null(cosy_contextvar_get(&number));
    return 0;
}

static int note_oneself(cosy_task **ret_seen)
{
    *ret_seen = cosy_current_task();
    cosy_try(cosy_sleep(COSY_US(10)));
    return cosy_current_task() == *ret_seen ? 0 : -EIO;
}

/* test_current_task of test_eager_task_factory.py */
TASK_TEST(an_eager_task_is_the_current_one_before_and_after_its_wait)
{
    cosy_task *seen = NULL, *me = cosy_current_task();
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = true), note_oneself, &seen);
    ck_assert_ptr_eq(seen, task);
    ck_assert_ptr_eq(cosy_current_task(), me);
    return cosy_await(task);
}

/* ---- test_waitfor.py ---- */

static int quick_then_long(cosy_task *inner, bool *reached_end)
{
    cosy_try(cosy_wait_for(inner, COSY_S(100)));
    cosy_try(cosy_sleep(COSY_S(1)));
    *reached_end = true;
    return 0;
}

/* test_wait_for_issue86296: what was waited for is done before the waiter is cancelled; or in the very turn of its end,
 * when the waiter has been woken with it. */
TASK_TEST(a_cancel_after_the_end_of_what_was_waited_for)
{
    for (int waiter_first = 0; waiter_first < 2; waiter_first++) {
        bool reached_end = false;
        cosy_scoped(cosy_future) gate = cosy_future_new(NULL);
        cosy_scoped(cosy_task) inner = waiter_first ? cosy_create_task(await_future, gate) : cosy_create_task(give, 7);
        cosy_scoped(cosy_task) task = cosy_create_task(quick_then_long, inner, &reached_end);
        ck_assert(!cosy_task_done(task));
        let_all_run(1);
        if (waiter_first) {
            cosy_future_set_result(gate, 7);
            let_all_run(1); /* the inner one has ended, the waiter has not run */
        }
        ck_assert(cosy_task_done(inner));
        ck_assert(cosy_task_cancel(task));
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_int_eq(cosy_await(inner), 7);
        ck_assert(!reached_end);
    }
    return 0;
}

TASK_TEST(a_shield_under_no_time) /* WaitForShieldTests.test_zero_timeout */
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_MS(1), 7);
    cosy_scoped(cosy_future) shielded = cosy_shield_future(task);
    ck_assert_int_eq(cosy_wait_for(shielded, 0), -ETIMEDOUT);
    ck_assert(!cosy_task_done(task) && !cosy_task_cancelled(task));
    ck_assert(cosy_future_cancelled(shielded));
    ck_assert_int_eq(cosy_await(task), 7);
    return 0;
}

TASK_TEST(a_shield_under_a_limit_or_none) /* WaitForShieldTests.test_none_timeout, test_shielded_timeout */
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_MS(1), 7);
    cosy_scoped(cosy_future) shielded = cosy_shield_future(task);
    ck_assert_int_eq(cosy_wait_for(shielded, COSY_NEVER), 7);
    ck_assert(cosy_task_done(task));
    cosy_scoped(cosy_future) gate = cosy_future_new(NULL);
    cosy_scoped(cosy_task) other = cosy_create_task(await_future, gate);
    cosy_scoped(cosy_future) limited = cosy_shield_future(other);
    ck_assert_int_eq(cosy_wait_for(limited, COSY_MS(1)), -ETIMEDOUT);
    ck_assert(!cosy_task_done(other) && cosy_task_cancelling(other) == 0);
    cosy_future_set_result(gate, 8);
    ck_assert_int_eq(cosy_await(other), 8);
    return 0;
}

/* ---- test_timeouts.py ---- */

TASK_TEST(a_cancel_of_oneself_in_a_limit) /* test_foreign_cancel_doesnt_timeout_if_not_expired */
{
    cosy_task *me = cosy_current_task();
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, LONG), 0);
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(LONG)), -ECANCELED);
    ck_assert(!cosy_timeout_expired(&timeout));
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    return 0;
}

TASK_TEST(
    the_moment_of_a_limit) /* the `when` of test_timeout_zero, ..._in_the_past_sleep_zero, ..._not_called, _basic */
{
    cosy_ns limits[] = {0, COSY_S(-11), COSY_MS(1)};
    for (int i = 0; i < 3; i++) {
        cosy_timeout timeout = {0};
        cosy_ns before = now();
        ck_assert_int_eq(cosy_timeout_enter(&timeout, limits[i]), 0);
        ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(LONG)), -ETIMEDOUT);
        ck_assert(cosy_timeout_expired(&timeout));
        if (i == 1)
            ck_assert_int_le(cosy_timeout_when(&timeout), before);
        else
            ck_assert_int_ge(cosy_timeout_when(&timeout), before);
        ck_assert_int_le(cosy_timeout_when(&timeout), now());
    }
    cosy_timeout in_time = {0};
    ck_assert_int_eq(cosy_timeout_enter(&in_time, LONG), 0);
    ck_assert_int_eq(cosy_timeout_exit(&in_time, cosy_sleep(COSY_US(10))), 0);
    ck_assert_int_gt(cosy_timeout_when(&in_time), now());
    return 0;
}

START_TEST(what_was_not_entered_outside_a_task_is_not_entered) /* test_timeout_without_task */
{
    begin_test();
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_MS(10)), -COSY_ENOTASK);
    logs("cosy_timeout_enter");
    ck_assert_int_eq(cosy_timeout_reschedule(&timeout, COSY_MS(20)), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE),
                     "a timeout that has not been entered cannot be rescheduled");
}
END_TEST

/* ---- test_taskgroups.py ---- */

static int group_without_children(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    int body = cosy_sleep(LONG);
    say("%s", cosy_errname(body));
    return cosy_task_group_close(group, body);
}

TASK_TEST(a_cancel_in_the_body_of_a_group_without_children) /* test_taskgroup_17 */
{
    cosy_scoped(cosy_task) owner = cosy_create_task(group_without_children);
    let_all_run(1);
    ck_assert(!cosy_task_done(owner));
    cosy_task_cancel(owner);
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    ck_assert(cosy_task_cancelled(owner));
    said("ECANCELED");
    return 0;
}

TASK_TEST(the_children_of_a_failed_body_are_cancelled) /* test_taskgroup_09, test_taskgroup_10 */
{
    for (int begun = 0; begun < 2; begun++) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task *first = cosy_task_group_create_task(group, give_later, COSY_S(1), 42);
        cosy_task *second = cosy_task_group_create_task_with(group, (.name = "yolo"), give_later, COSY_S(2), 11);
        ck_assert_str_eq(cosy_task_name(second), "yolo"); /* test_taskgroup_task_name */
        let_all_run(begun);
        ck_assert_int_eq(cosy_task_group_close(group, fail_with(EIO)), -EIO);
        ck_assert_uint_eq(cosy_task_group_error_count(group), 1);
        ck_assert(cosy_task_cancelled(first) && cosy_task_cancelled(second));
    }
    return 0;
}

static int five_fail_in_cleanup(size_t *ret_errors)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < 5; i++)
        cosy_task_group_create_task(group, swallow, -EIO);
    int result = cosy_task_group_close(group, cosy_sleep(LONG));
    *ret_errors = cosy_task_group_error_count(group);
    return result;
}

TASK_TEST(each_error_in_the_cleanup_after_a_cancel_counts) /* test_taskgroup_08 */
{
    size_t errors = 0;
    cosy_scoped(cosy_task) owner = cosy_create_task(five_fail_in_cleanup, &errors);
    let_all_run(3);
    ck_assert(!cosy_task_done(owner));
    cosy_task_cancel(owner);
    ck_assert_int_eq(cosy_await(owner), -EIO);
    ck_assert_uint_eq(errors, 5);
    return 0;
}

/* ---- test_runners.py ---- */

static void interrupt(void)
{
    ck_assert_int_eq(kill(getpid(), SIGINT), 0);
}

static void interrupt_later(void *arg)
{
    (void)arg;
    interrupt();
}

static int await_and_report(cosy_future *future)
{
    int result = cosy_await(future);
    say("%s", cosy_errname(result));
    return result;
}

START_TEST(ctrl_c_cancels_the_future_that_main_awaits) /* test_interrupt_wait */
{
    begin_test();
    signal(SIGINT, SIG_DFL);
    cosy_runner *runner = cosy_runner_new();
    cosy_loop *loop = cosy_runner_loop(runner);
    cosy_future *future = cosy_future_new(loop);
    ck_assert_int_eq(cosy_call_later(loop, COSY_MS(1), interrupt_later, NULL, NULL), 0);
    ck_assert_int_eq(cosy_runner_run(runner, await_and_report, future), -COSY_EINTERRUPT);
    ck_assert(cosy_future_cancelled(future));
    said("ECANCELED");
    cosy_future_drop(future);
    cosy_runner_free(runner);
}
END_TEST

static int cancel_and_interrupt(cosy_task *task)
{
    cosy_try(cosy_yield());
    cosy_task_cancel(task);
    interrupt();
    return 0;
}

static int cancelled_by_a_child_that_interrupts(void)
{
    cosy_task_drop(cosy_create_task(cancel_and_interrupt, cosy_current_task()));
    return cosy_sleep(COSY_S(10));
}

START_TEST(ctrl_c_right_after_a_cancel_is_a_cancel) /* test_interrupt_cancelled_task */
{
    begin_test();
    signal(SIGINT, SIG_DFL);
    ck_assert_int_eq(cosy_run(cancelled_by_a_child_that_interrupts), -ECANCELED);
    ck_assert_str_eq(logged, "");
}
END_TEST

static cosy_agen *spinner;
static cosy_task *lazy;

cosy_async static int fidget(cosy_emitter(int) * out)
{
    for (;;) {
        cosy_try(cosy_emit(out, 1));
        cosy_try(cosy_sleep(COSY_S(1)));
    }
}

static int spin(void)
{
    int item, result;
    spinner = cosy_agen(fidget);
    while ((result = cosy_anext(spinner, &item)) == 0)
        continue;
    return result == -ECANCELED ? cosy_fail(EIO, "spun out") : result;
}

static int fancy_exit(void)
{
    lazy = cosy_create_task(spin);
    cosy_try(cosy_yield());
    return cosy_fail(EPERM, "fancy exit");
}

START_TEST(
    generators_are_closed_after_tasks_that_failed_to_stop) /* test_asyncio_run_closes_gens_after_hanging_tasks_errors */
{
    begin_test();
    ck_assert_int_eq(cosy_run(fancy_exit), -EPERM);
    ck_assert_str_eq(cosy_error_message(-EPERM), "fancy exit");
    ck_assert(cosy_task_done(lazy));
    struct cosy_coro_info info;
    ck_assert_int_eq(cosy_agen_info(spinner, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_CLOSED);
    logs("unhandled exception during cosy_run() shutdown");
    cosy_agen_drop(spinner);
    cosy_task_drop(lazy);
}
END_TEST

/* ---- test_asyncgen.py ---- */

static void cancel_it(void *task)
{
    cosy_task_cancel(task);
}

static int await_one_that_others_cancel(void)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(give_later, LONG, 1);
    cosy_try(cosy_call_later(loop_now(), COSY_US(100), cancel_it, inner, NULL));
    return cosy_await(inner);
}

cosy_async static int crashes_in_a_wait(cosy_emitter(int) * out)
{
    int thrown = cosy_emit(out, 1); /* a value, or what is thrown: caught */
    int result = await_one_that_others_cancel();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0); /* cleanup */
    say("%s cleaned", cosy_errname(thrown));
    return result;
}

/* test_async_gen_asyncio_asend_03, athrow_02: what the body awaits is cancelled by others, not the one who steps it */
TASK_TEST(a_wait_inside_that_others_cancel)
{
    for (int throwing = 0; throwing < 2; throwing++) {
        int item = 0;
        cosy_scoped(cosy_agen) gen = cosy_agen(crashes_in_a_wait);
        ck_assert_int_eq(cosy_asend(gen, NULL, &item), 0);
        ck_assert_int_eq(item, 1);
        ck_assert_int_eq(throwing ? cosy_athrow(gen, EDOM, &item) : cosy_asend(gen, 100, &item), -ECANCELED);
        said(throwing ? "EDOM cleaned" : "0 cleaned");
        ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
        ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    }
    return 0;
}

cosy_async static int awaits_a_failure_in_cleanup(cosy_emitter(int) * out)
{
    cosy_scoped(cosy_task) target = cosy_create_task(fail_later, COSY_US(100), EIO);
    int thrown = cosy_emit(out, 1);
    int failed = cosy_await(target);
    say("%s %s", cosy_errname(thrown), cosy_errname(failed));
    return thrown;
}

TASK_TEST(a_cleanup_that_awaits_what_fails) /* test_async_gen_asyncio_aclose_12 */
{
    int item;
    cosy_scoped(cosy_agen) gen = cosy_agen(awaits_a_failure_in_cleanup);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), 0);
    said("COSY_EGENEXIT EIO");
    return 0;
}

cosy_async static int ignores_its_close(cosy_emitter(int) * out)
{
    int thrown = cosy_suspend(1, NULL);
    say("%s", cosy_errname(thrown));
    (void)cosy_suspend(2, NULL);
    return cosy_emit(out, 1);
}

static cosy_agen *ignorant;

static int step_it(void)
{
    int item;
    return cosy_anext(ignorant, &item);
}

static int drive_a_step(void)
{
    int64_t value = 0;
    ignorant = cosy_agen(ignores_its_close);
    cosy_coro *step = cosy_call(step_it);
    ck_assert_int_eq(cosy_coro_send(step, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 1);
    ck_assert_int_eq(cosy_coro_close(step), -COSY_EIGNOREDCLOSE);
    return 0;
}

/* test_async_gen_asend_close_runtime_error, test_async_gen_athrow_close_runtime_error */
START_TEST(a_driven_step_that_ignores_its_close)
{
    begin_test();
    ck_assert_int_eq(cosy_run(drive_a_step), 0);
    said("COSY_EGENEXIT");
    logs("async generator 'ignores_its_close'"); /* it stands in the middle for good */
    cosy_agen_drop(ignorant);
}
END_TEST

TESTS_MAIN("asyncio_more", what_ends_before_the_waiter_runs_is_done_too, the_limit_and_the_first_end_in_one_turn,
           an_iterator_is_taken_up_again, a_sleep_of_no_time_lets_what_was_queued_run,
           a_hundred_tasks_have_a_context_each, a_cancel_after_the_end_of_what_was_waited_for, a_shield_under_no_time,
           a_shield_under_a_limit_or_none, a_cancel_of_oneself_in_a_limit, the_moment_of_a_limit,
           what_was_not_entered_outside_a_task_is_not_entered, a_cancel_in_the_body_of_a_group_without_children,
           the_children_of_a_failed_body_are_cancelled, each_error_in_the_cleanup_after_a_cancel_counts,
           ctrl_c_cancels_the_future_that_main_awaits, ctrl_c_right_after_a_cancel_is_a_cancel,
           generators_are_closed_after_tasks_that_failed_to_stop, a_wait_inside_that_others_cancel,
           a_cleanup_that_awaits_what_fails, an_eager_task_is_the_current_one_before_and_after_its_wait,
           a_driven_step_that_ignores_its_close)
