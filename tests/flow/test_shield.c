/* Tests of cosy_shield. Names in comments are those of the tests in CPython's test_tasks.py for the same behaviour. */
#include "wait_test.h"

static int shield_task(cosy_task *task)
{
    return cosy_shield(task);
}

static int shield_future(cosy_future *future)
{
    return cosy_shield(future);
}

static int await_future(cosy_future *future)
{
    return cosy_await(future);
}

TASK_TEST(what_is_done_is_returned_as_it_is) /* test_shield_result, test_shield_exception, test_shield_shortcut */
{
    cosy_scoped(cosy_future) done = future_now(42);
    cosy_scoped(cosy_task) failed = cosy_create_task(fail_with, EIO);
    let_all_run(1);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_shield(done), 42);
    ck_assert_int_eq(cosy_shield(failed), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    cosy_scoped(cosy_future) same = cosy_shield_future(done);
    ck_assert_ptr_eq(same, done);
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(results_and_errors_pass_through)
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_US(5), 1);
    ck_assert_int_eq(cosy_shield(task), 1);
    ck_assert_int_eq(cosy_shield(cosy_call(give_later, COSY_US(5), 2)), 2);
    ck_assert_int_eq(cosy_shield(cosy_call(fail_later, COSY_US(5), EIO)), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    cosy_scoped(cosy_future) shielded = cosy_shield_future(cosy_call(fail_later, COSY_US(5), EPERM));
    ck_assert_int_eq(cosy_await(shielded), -EPERM);
    ck_assert_str_eq(cosy_error_message(-EPERM), "as asked");
    cosy_scoped(cosy_future) wide = cosy_future_new(NULL);
    cosy_scoped(cosy_future) outer = cosy_shield_future(wide);
    cosy_future_set_result(wide, INT64_MAX);
    let_all_run(2);
    int64_t result = 0;
    ck_assert_int_eq(cosy_future_result(outer, &result), 0);
    ck_assert(result == INT64_MAX);
    return 0;
}

TASK_TEST(a_cancelled_inner_one_cancels_the_outer) /* test_shield_cancel_inner */
{
    cosy_scoped(cosy_task) inner = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_future) outer = cosy_shield_future(inner);
    cosy_scoped(cosy_task) waiter = cosy_create_task(shield_task, inner);
    let_all_run(1);
    cosy_task_cancel_with(inner, "over budget");
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "over budget");
    ck_assert_int_eq(cosy_task_cancelling(waiter), 0);
    ck_assert(cosy_future_cancelled(outer));
    ck_assert_str_eq(cosy_future_error_message(outer), "over budget");
    return 0;
}

TASK_TEST(a_cancelled_wait_leaves_the_inner_one_running) /* test_shield_cancel_outer, test_shield_effect */
{
    cosy_scoped(cosy_task) inner = cosy_create_task(give_later, COSY_MS(10), 7);
    cosy_scoped(cosy_task) waiter = cosy_create_task(shield_task, inner);
    let_all_run(1);
    tree_tells("is shielded and awaits task");
    tree_tells("awaited by '");
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(inner), 0);
    ck_assert_int_eq(cosy_await(inner), 7);
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) other = cosy_create_task(shield_future, future);
    let_all_run(1);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    ck_assert(!cosy_future_done(future));
    return 0;
}

TASK_TEST(a_cancelled_outer_future_leaves_the_inner_one_running)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(give_later, COSY_MS(10), 7);
    cosy_scoped(cosy_future) outer = cosy_shield_future(inner);
    cosy_scoped(cosy_task) waiter = cosy_create_task(await_future, outer);
    let_all_run(1);
    cosy_task_cancel(waiter); /* passed on to the outer one */
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert(cosy_future_cancelled(outer));
    ck_assert_int_eq(cosy_await(inner), 7);
    return 0;
}

static int set_flag(bool *flag)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    *flag = true;
    return 0;
}

static int shield_a_coroutine(bool *flag)
{
    return cosy_shield(cosy_call(set_flag, flag));
}

TASK_TEST(the_loop_keeps_what_nobody_holds) /* in asyncio the task may vanish */
{
    bool flag = false;
    cosy_scoped(cosy_task) waiter = cosy_create_task(shield_a_coroutine, &flag);
    let_all_run(2);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert(!flag);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert(flag);
    return 0;
}

/* ---- errors that nobody waits for ---- */

static int reports;

static void count_report(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
    reports++;
}

static void count_reports(void)
{
    reports = 0;
    cosy_loop_set_exception_handler(loop_now(), count_report, NULL);
}

static cosy_future *gate;

/* Fails when the gate opens: no clock decides when. */
static int fail_at_the_gate(void)
{
    cosy_try(cosy_await(gate));
    return cosy_fail(EIO, "as asked");
}

static cosy_task *start_failing(void)
{
    gate = cosy_future_new(NULL);
    return cosy_create_task(fail_at_the_gate);
}

static void open_the_gate(void)
{
    cosy_future_set_result(gate, 0);
    cosy_future_drop(gate);
}

TASK_TEST(an_error_after_a_cancelled_wait_is_reported)
{
    count_reports();
    cosy_scoped(cosy_task) inner = start_failing();
    cosy_scoped(cosy_task) waiter = cosy_create_task(shield_task, inner);
    let_all_run(1);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    open_the_gate();
    let_all_run(5);
    ck_assert_int_eq(reports, 1); /* though the handle is still there */
    return 0;
}

static void cancel_shields_of(cosy_task *inner, int count)
{
    for (int i = 0; i < count; i++) {
        cosy_scoped(cosy_task) waiter = cosy_create_task(shield_task, inner);
        cosy_scoped(cosy_future) outer = cosy_shield_future(inner);
        let_all_run(1);
        cosy_task_cancel(waiter);
        cosy_future_cancel(outer);
        ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    }
}

TASK_TEST(
    an_error_after_the_cancel_is_reported_once) /* test_shield_cancel_outer_exception, test_shield_duplicate_log_once */
{
    count_reports();
    for (int shields = 1; shields <= 2; shields++) {
        cosy_task *inner = start_failing();
        cancel_shields_of(inner, shields);
        open_the_gate();
        let_all_run(5);
        ck_assert_int_eq(reports, shields); /* though the handle is still there */
        cosy_task_drop(inner);
        ck_assert_int_eq(reports, shields);
    }
    return 0;
}

TASK_TEST(an_error_that_somebody_else_gets_is_not_reported) /* asyncio reports it all the same */
{
    count_reports();
    cosy_scoped(cosy_task) inner = start_failing();
    cancel_shields_of(inner, 2);
    open_the_gate();
    ck_assert_int_eq(cosy_await(inner), -EIO);
    let_all_run(5);
    ck_assert_int_eq(reports, 0);
    return 0;
}

TASK_TEST(an_error_of_a_plain_future_is_reported_with_its_last_handle)
{
    count_reports();
    cosy_future *inner = cosy_future_new(NULL), *outer = cosy_shield_future(inner);
    cosy_future_cancel(outer);
    cosy_future_drop(outer);
    let_all_run(2);
    cosy_future_set_error(inner, EIO, "no");
    let_all_run(2);
    ck_assert_int_eq(reports, 0);
    cosy_future_drop(inner);
    ck_assert_int_eq(reports, 1);
    return 0;
}

TASK_TEST(an_error_is_reported_when_the_outer_future_is_dropped)
{
    count_reports();
    cosy_future *outer = cosy_shield_future(cosy_call(fail_later, COSY_MS(1), EIO));
    while (!cosy_future_done(outer))
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    let_all_run(3);
    ck_assert_int_eq(reports, 0);
    cosy_future_drop(outer);
    ck_assert_int_eq(reports, 1);
    outer = cosy_shield_future(cosy_call(fail_later, COSY_MS(1), EIO));
    cosy_future_drop(outer); /* before the end */
    for (int i = 0; i < 1000 && reports < 2; i++)
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    ck_assert_int_eq(reports, 2);
    return 0;
}

/* ---- with others ---- */

TASK_TEST(a_gather_in_a_shield_and_shields_in_a_gather) /* test_asyncio_cancel.c has CPython's */
{
    int64_t results[2] = {0};
    cosy_scoped(cosy_future) a = cosy_future_new(NULL);
    cosy_scoped(cosy_future) b = cosy_future_new(NULL);
    cosy_scoped(cosy_future) sa = cosy_shield_future(a);
    cosy_scoped(cosy_future) sb = cosy_shield_future(b);
    cosy_scoped(cosy_task) outer = cosy_create_task(await_future, sa);
    let_all_run(1);
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    cosy_future_set_result(a, 1);
    cosy_future_set_result(b, 2);
    ck_assert_int_eq(cosy_gather_with((.return_exceptions = true, .results = results), sa, sb), 0);
    ck_assert(results[0] == -ECANCELED && results[1] == 2);
    ck_assert_int_eq(cosy_await(a), 1);
    return 0;
}

TASK_TEST(a_limit_around_a_shield) /* test_wait_for_blocking with a shield: what runs long goes on */
{
    cosy_scoped(cosy_future) inside = cosy_future_new(NULL);
    cosy_scoped(cosy_task) inner = cosy_create_task(await_future, inside);
    cosy_scoped(cosy_future) outer = cosy_shield_future(inner);
    ck_assert_int_eq(cosy_wait_for(outer, COSY_MS(1)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_wait_for(cosy_call(shield_task, inner), COSY_US(100)), -ETIMEDOUT);
    cosy_future_set_result(inside, 7);
    ck_assert_int_eq(cosy_await(inner), 7);
    return 0;
}

TASK_TEST(the_end_and_a_cancel_in_one_turn)
{
    for (int later = 0; later < 3; later++) {
        cosy_scoped(cosy_future) inner = cosy_future_new(NULL);
        cosy_scoped(cosy_task) waiter = cosy_create_task(shield_future, inner);
        let_all_run(1);
        cosy_future_set_result(inner, 3);
        let_all_run(later);
        bool cancelled = cosy_task_cancel(waiter);
        ck_assert_int_eq(cosy_await(waiter), cancelled ? -ECANCELED : 3);
        ck_assert_int_eq(cancelled, later == 0);
    }
    return 0;
}

/* ---- misuse, closing, no memory ---- */

TASK_TEST(wrong_things_are_errors)
{
    ck_assert_int_eq(cosy_shield(cosy_current_task()), -COSY_ESELF);
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_scoped(cosy_future) foreign = cosy_future_new(other);
    ck_assert_int_eq(cosy_shield(foreign), -COSY_EOTHERLOOP);
    cosy_future *refused = cosy_shield_future(foreign);
    ck_assert_ptr_null(refused);
    ck_assert_int_eq(cosy_await(refused), -COSY_EOTHERLOOP);
    cosy_loop_free(other);
    cosy_coro *used = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(used), 1);
    ck_assert_int_eq(cosy_shield(used), -COSY_EAWAITED);
    logs("already awaited");
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    ck_assert_int_eq(cosy_shield(cosy_call(give, 1)), -COSY_ENOTASK);
    logs("cosy_shield");
    ck_assert_ptr_null(cosy_shield_future(cosy_call(give, 1))); /* test_shield_coroutine_without_loop */
    logs("no running event loop");
}
END_TEST

static int shields_a_future(cosy_future *never)
{
    return cosy_shield(never);
}

START_TEST(a_loop_closed_under_it)
{
    close_under(shields_a_future);
}
END_TEST

static int shield_some(void)
{
    cosy_future *outer = cosy_shield_future(cosy_call(give_later, 1, 1));
    int result = cosy_shield(outer);
    cosy_future_drop(outer);
    if (result < 0)
        return result;
    cosy_task *inner = cosy_create_task(give_later, 1, 2), *waiter = cosy_create_task(shield_task, inner);
    (void)cosy_yield();
    cosy_task_cancel(waiter);
    result = cosy_await(inner);
    cosy_task_drop(waiter);
    cosy_task_drop(inner);
    return result < 0 ? result : 0;
}

static int shield_in_a_run(void)
{
    return cosy_run(shield_some);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(shield_in_a_run);
}
END_TEST

TESTS_MAIN("shield", what_is_done_is_returned_as_it_is, results_and_errors_pass_through,
           a_cancelled_inner_one_cancels_the_outer, a_cancelled_wait_leaves_the_inner_one_running,
           a_cancelled_outer_future_leaves_the_inner_one_running, the_loop_keeps_what_nobody_holds,
           an_error_after_a_cancelled_wait_is_reported, an_error_after_the_cancel_is_reported_once,
           an_error_that_somebody_else_gets_is_not_reported,
           an_error_of_a_plain_future_is_reported_with_its_last_handle,
           an_error_is_reported_when_the_outer_future_is_dropped, a_gather_in_a_shield_and_shields_in_a_gather,
           a_limit_around_a_shield, the_end_and_a_cancel_in_one_turn, wrong_things_are_errors,
           outside_a_task_is_an_error, a_loop_closed_under_it, no_memory_is_an_error_and_leaves_nothing)
