/* Scenarios of CPython's test_tasks.py, test_futures.py and test_futures2.py about cancels, what becomes of their
 * reasons, and errors that nobody retrieves: those that need the exact course of CPython's test. */
#include "wait_test.h"

static int await_future(cosy_future *future)
{
    return cosy_await(future);
}

/* ---- the awaited future ---- */

TASK_TEST(a_cancelled_future_cancels_its_awaiter) /* test_cancel_inner_future */
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task(await_future, f);
    let_all_run(1);
    ck_assert(cosy_future_cancel(f));
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert(cosy_future_cancelled(f) && cosy_task_cancelled(t));
    ck_assert_int_eq(cosy_task_cancelling(t), 0); /* nobody asked the task */
    return 0;
}

TASK_TEST(the_future_and_its_awaiter_are_cancelled) /* test_cancel_both_task_and_inner_future */
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task(await_future, f);
    let_all_run(1);
    ck_assert(cosy_future_cancel(f));
    ck_assert(cosy_task_cancel(t));
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert(cosy_task_done(t) && cosy_future_cancelled(f) && cosy_task_cancelled(t));
    return 0;
}

static int catch_at_the_second(cosy_future *first, cosy_future *second, cosy_future *third)
{
    cosy_try(cosy_await(first));
    if (cosy_await(second) != -ECANCELED)
        return -EIO;
    return third ? cosy_await(third) : 42;
}

TASK_TEST(a_task_that_catches_the_cancel_of_its_second_wait) /* test_cancel_task_catching, test_cancel_task_ignoring */
{
    for (int ignoring = 0; ignoring < 2; ignoring++) {
        cosy_scoped(cosy_future) first = cosy_future_new(NULL);
        cosy_scoped(cosy_future) second = cosy_future_new(NULL);
        cosy_scoped(cosy_future) third = cosy_future_new(NULL);
        cosy_scoped(cosy_task) t = cosy_create_task(catch_at_the_second, first, second, ignoring ? third : NULL);
        let_all_run(1);
        cosy_future_set_result(first, 0);
        let_all_run(1);
        ck_assert(cosy_task_cancel(t));
        ck_assert(cosy_future_cancelled(second)); /* at once */
        let_all_run(1);
        ck_assert_int_eq(cosy_task_done(t), !ignoring);
        cosy_future_set_result(third, 42);
        ck_assert_int_eq(cosy_await(t), 42);
        ck_assert(!cosy_task_cancelled(t) && !cosy_future_cancelled(third));
    }
    return 0;
}

static int cancel_oneself_and_await(cosy_future *future, cosy_task **ret_nested)
{
    *ret_nested = cosy_create_task(await_future, future);
    ck_assert_int_eq(cosy_yield(), 0);
    cosy_task_cancel(cosy_current_task());
    return cosy_await(*ret_nested);
}

TASK_TEST(a_task_that_cancelled_itself_cancels_what_it_awaits_next) /* test_cancel_awaited_task, bpo-34872 */
{
    cosy_task *nested = NULL;
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) task = cosy_create_task(cancel_oneself_and_await, future, &nested);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert(cosy_task_cancelled(task) && cosy_task_cancelled(nested) && cosy_future_cancelled(future));
    cosy_task_drop(nested);
    return 0;
}

static void cancel_it(void *task)
{
    cosy_task_cancel(task);
}

TASK_TEST(a_sleeper_cancelled_later_by_a_callback) /* test_task_cancel_sleeping_task */
{
    cosy_scoped(cosy_task) sleeper = cosy_create_task(give_later, COSY_S(5000), 1);
    cosy_ns before = now();
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_MS(1), cancel_it, sleeper, NULL), 0);
    ck_assert_int_eq(cosy_await(sleeper), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_yield(), 0); /* and goes on */
    ck_assert_int_ge(now() - before, COSY_MS(1));
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(1));
    return 0;
}

/* ---- reasons ---- */

static int ask_a_cancelled_one(const char *reason, int before_it_began, int by_awaiting)
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, LONG, 1);
    if (!before_it_began)
        cosy_try(cosy_yield());
    cosy_task_cancel_with(task, reason);
    ck_assert_int_eq(cosy_wait_with((.timeout = COSY_NEVER), task), 1);
    ck_assert_int_eq(by_awaiting ? cosy_await(task) : cosy_task_error(task), -ECANCELED);
    ck_assert_str_eq(cosy_future_error_message(cosy_task_future(task)), reason ? reason : "");
    return by_awaiting ? cosy_await(task)
                       : cosy_fail(ECANCELED, "%s", cosy_future_error_message(cosy_task_future(task)));
}

/* test_cancel_with_message_then_future_result, ..._then_future_exception, ..._before_starting_task: found after a wait,
 * and passed on by the one that found it. */
TASK_TEST(a_reason_is_found_in_what_a_wait_says_is_done)
{
    for (int way = 0; way < 8; way++) {
        const char *reason = way & 1 ? "my message" : NULL;
        cosy_scoped(cosy_task) asker = cosy_create_task(ask_a_cancelled_one, reason, way & 2, way & 4);
        ck_assert_int_eq(cosy_await(asker), -ECANCELED);
        ck_assert(cosy_task_cancelled(asker));
        ck_assert_str_eq(cosy_error_message(-ECANCELED), reason ? reason : "");
    }
    return 0;
}

static int gather_again_and_again(void)
{
    for (int i = 0; i < 20; i++)
        cosy_try(cosy_gather_with((.return_exceptions = true), cosy_call(give_later, COSY_MS(1), 1)));
    return 0;
}

TASK_TEST(a_reason_comes_out_of_a_gather) /* test_cancel_gather_2 */
{
    for (int plainly = 0; plainly < 2; plainly++) {
        cosy_scoped(cosy_task) task = cosy_create_task(gather_again_and_again);
        ck_assert_int_eq(cosy_sleep(COSY_US(3500)), 0);
        cosy_task_cancel_with(task, plainly ? NULL : "my message");
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_str_eq(cosy_error_message(-ECANCELED), plainly ? "" : "my message");
    }
    return 0;
}

static int gather_two(cosy_task *a, cosy_task *b)
{
    return cosy_gather(a, b);
}

TASK_TEST(a_reason_goes_to_all_that_are_gathered) /* _GatheringFuture.cancel(msg): each child is cancelled with it */
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) a = cosy_create_task(await_future, future);
    cosy_scoped(cosy_task) b = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_two, a, b);
    let_all_run(2);
    cosy_task_cancel_with(outer, "my message");
    ck_assert_str_eq(cosy_task_cancel_reason(a), "my message");
    ck_assert_str_eq(cosy_task_cancel_reason(b), "my message");
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "my message");
    ck_assert_str_eq(cosy_future_error_message(future), "my message");
    return 0;
}

/* ---- shields and gathers ---- */

static int gather_futures(cosy_future *a, cosy_future *b, int64_t *results)
{
    return cosy_gather_with((.results = results), a, b);
}

static int shield_task(cosy_task *task)
{
    return cosy_shield(task);
}

TASK_TEST(a_gather_in_a_shield_outlives_its_cancel) /* test_shield_gather */
{
    int64_t results[2] = {0};
    cosy_scoped(cosy_future) a = cosy_future_new(NULL);
    cosy_scoped(cosy_future) b = cosy_future_new(NULL);
    cosy_scoped(cosy_task) parent = cosy_create_task(gather_futures, a, b, results);
    cosy_scoped(cosy_future) outer = cosy_shield_future(parent);
    cosy_scoped(cosy_task) waiter = cosy_create_task(shield_task, parent);
    let_all_run(1);
    ck_assert(cosy_future_cancel(outer) && cosy_task_cancel(waiter));
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert(cosy_future_cancelled(outer));
    cosy_future_set_result(a, 1);
    cosy_future_set_result(b, 2);
    ck_assert_int_eq(cosy_await(parent), 0);
    ck_assert(results[0] == 1 && results[1] == 2);
    return 0;
}

TASK_TEST(shields_in_a_gather_that_is_cancelled) /* test_gather_shield */
{
    int64_t results[2] = {0};
    cosy_scoped(cosy_future) child1 = cosy_future_new(NULL);
    cosy_scoped(cosy_future) child2 = cosy_future_new(NULL);
    cosy_scoped(cosy_future) inner1 = cosy_shield_future(child1);
    cosy_scoped(cosy_future) inner2 = cosy_shield_future(child2);
    cosy_scoped(cosy_task) parent = cosy_create_task(gather_futures, inner1, inner2, results);
    let_all_run(1);
    cosy_task_cancel(parent);
    ck_assert_int_eq(cosy_await(parent), -ECANCELED);
    ck_assert(cosy_future_cancelled(inner1) && cosy_future_cancelled(inner2));
    ck_assert(!cosy_future_done(child1) && !cosy_future_done(child2));
    ck_assert_int_eq(cosy_future_set_result(child1, 1), 0);
    ck_assert_int_eq(cosy_future_set_result(child2, 2), 0);
    let_all_run(2);
    return 0;
}

/* ---- errors that nobody retrieves ---- */

TASK_TEST(
    a_cancel_that_comes_too_late_is_a_look_at_the_error) /* test_tb_logger_not_called_after_cancel, of both files */
{
    cosy_future *future = cosy_future_new(NULL);
    cosy_future_set_error(future, EIO, "as asked");
    ck_assert(!cosy_future_cancel(future));
    cosy_future_drop(future);
    for (int as_future = 0; as_future < 2; as_future++) {
        cosy_task *task = cosy_create_task(fail_with, EIO);
        let_all_run(2);
        ck_assert(!(as_future ? cosy_future_cancel(cosy_task_future(task)) : cosy_task_cancel(task)));
        cosy_task_drop(task);
    }
    ck_assert_int_eq(cosy_sleep(COSY_US(50)), 0);
    return 0; /* and nothing was logged: run_body looks */
}

static char foo[] = "foo", bar[] = "bar";
static cosy_contextvar var = COSY_CONTEXTVAR("name", foo);
static int reports;

static void look_at_the_variable(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
    say("%s", (const char *)cosy_contextvar_get(&var));
    reports++;
}

static int set_and_fail(void)
{
    cosy_try(cosy_contextvar_set(&var, bar, NULL));
    return cosy_fail(EIO, "as asked");
}

TASK_TEST(the_exception_handler_runs_in_the_tasks_context) /* test_task_exc_handler_correct_context, gh-96704 */
{
    reports = 0;
    cosy_loop_set_exception_handler(loop_now(), look_at_the_variable, NULL);
    cosy_task_drop(cosy_create_task(set_and_fail)); /* reported at its end */
    let_all_run(1);
    said("bar");
    cosy_task *kept = cosy_create_task(set_and_fail);
    let_all_run(1);
    cosy_task_drop(kept); /* reported by us */
    said("bar");
    ck_assert_int_eq(cosy_spawn(set_and_fail), 0);
    let_all_run(1);
    said("bar");
    ck_assert_str_eq(cosy_contextvar_get(&var), "foo");
    ck_assert_int_eq(reports, 3);
    return 0;
}

static void print_it(FILE *stream)
{
    cosy_print_error(stream, -EIO);
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static int pass_on(cosy_task *task)
{
    return cosy_try(cosy_await(task));
}

TASK_TEST(an_error_awaited_again_tells_the_same_story) /* test_future_traceback */
{
    cosy_scoped(cosy_task) task = cosy_create_task(fail_with, EIO);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pass_on(task), -EIO);
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        print_it(out);
        fclose(out);
        ck_assert_msg(count_of(text, "in pass_on") == 1, "time %d:\n%s", i, text);
        ck_assert_msg(count_of(text, "as asked") == 1, "time %d:\n%s", i, text);
        free(text);
    }
    cosy_unwind_release();
    return 0;
}

/* ---- one after the other ---- */

static int stop_after_two(int *x)
{
    while (*x < 10) {
        cosy_try(cosy_sleep(COSY_US(100)));
        if (++*x == 2)
            cosy_loop_stop(cosy_running_loop());
    }
    return 0;
}

START_TEST(a_loop_that_is_stopped_before_its_task_is_done) /* test_stop_while_run_in_complete */
{
    begin_test();
    int x = 0;
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), stop_after_two, &x);
    ck_assert_int_eq(cosy_run_until_complete(loop, task), -COSY_ESTOPPED);
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(x, 2);
    ck_assert(cosy_task_cancel(task));
    ck_assert_int_eq(cosy_run_until_complete(loop, task), -ECANCELED); /* and it can be run on */
    ck_assert_int_eq(x, 2);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    ck_assert_str_eq(logged, "");
}
END_TEST

TASK_TEST(a_cancelled_future_takes_no_outcome) /* test_cancel and test_set_result_unless_cancelled of test_futures.py */
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert(cosy_future_cancel(f));
    ck_assert_int_eq(cosy_future_set_result(f, 2), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_future_set_error(f, EIO, NULL), -COSY_EINVALIDSTATE);
    ck_assert(cosy_future_cancelled(f));
    return 0;
}

TESTS_MAIN("asyncio_cancel", a_cancelled_future_cancels_its_awaiter, the_future_and_its_awaiter_are_cancelled,
           a_task_that_catches_the_cancel_of_its_second_wait, a_task_that_cancelled_itself_cancels_what_it_awaits_next,
           a_sleeper_cancelled_later_by_a_callback, a_reason_is_found_in_what_a_wait_says_is_done,
           a_reason_comes_out_of_a_gather, a_reason_goes_to_all_that_are_gathered,
           a_gather_in_a_shield_outlives_its_cancel, shields_in_a_gather_that_is_cancelled,
           a_cancel_that_comes_too_late_is_a_look_at_the_error, the_exception_handler_runs_in_the_tasks_context,
           an_error_awaited_again_tells_the_same_story, a_loop_that_is_stopped_before_its_task_is_done,
           a_cancelled_future_takes_no_outcome)
