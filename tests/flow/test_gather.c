/* Tests of cosy_gather. Names in comments are those of the tests in CPython's test_tasks.py (FutureGatherTests,
 * CoroutineGatherTests, cancel tests) for the same behaviour. One thing differs by intent: coroutines that the call
 * itself started are waited for. */
#include "wait_test.h"

TASK_TEST(results_stand_in_the_order_of_the_arguments) /* test_success_3, checklist row 29 */
{
    int64_t results[3] = {-1, -1, -1};
    ck_assert_int_eq(cosy_gather_with((.results = results), cosy_call(give_later, COSY_MS(3), 30),
                                      cosy_call(give_later, COSY_MS(1), 10), cosy_call(give, 20)),
                     0);
    ck_assert_int_eq(results[0], 30);
    ck_assert_int_eq(results[1], 10);
    ck_assert_int_eq(results[2], 20);
    return 0;
}

TASK_TEST(they_run_side_by_side) /* checklist row 31 */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_gather(cosy_call(give_later, COSY_MS(5), 1), cosy_call(give_later, COSY_MS(5), 2),
                                 cosy_call(give_later, COSY_MS(5), 3)),
                     0);
    ck_assert_int_ge(now() - before, COSY_MS(5));
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(5));
    return 0;
}

TASK_TEST(as_many_turns_as_in_asyncio)
{
    uint64_t before = turns();
    ck_assert_int_eq(cosy_gather(cosy_call(give, 1), cosy_call(give, 2)), 0);
    ck_assert_uint_eq(turns() - before, 3);
    return 0;
}

TASK_TEST(what_is_done_is_not_waited_for) /* 3.12: all done or eager completes it at once */
{
    int64_t results[3] = {0};
    cosy_scoped(cosy_future) future = future_now(7);
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = true), give, 8);
    ck_assert(cosy_task_done(task));
    uint64_t before = turns();
    ck_assert_int_eq(cosy_gather_with((.results = results), future, task, future), 0);
    ck_assert_uint_eq(turns(), before);
    ck_assert(results[0] == 7 && results[1] == 8 && results[2] == 7);
    cosy_scoped(cosy_task) failed = cosy_create_task_with((.eager_start = true), fail_with, EIO);
    ck_assert_int_eq(cosy_gather(future, failed), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(nothing_to_gather) /* test_constructor_empty_sequence */
{
    uint64_t before = turns();
    ck_assert_int_eq(cosy_gather_tasks(NULL, 0, NULL), 0);
    ck_assert_int_eq(cosy_gather_coros(NULL, 0, NULL), 0);
    struct cosy_gather_options options = {.struct_size = sizeof options, .return_exceptions = true};
    ck_assert_int_eq(cosy_gather_tasks(NULL, 0, &options), 0);
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(cosy_gather_tasks(NULL, 1, NULL), -EINVAL);
    return 0;
}

TASK_TEST(wide_results) /* the results are int64: no pointer is cut */
{
    int64_t results[1];
    cosy_scoped(cosy_future) future = future_now(INT64_MAX);
    ck_assert_int_eq(cosy_gather_with((.results = results), future), 0);
    ck_assert(results[0] == INT64_MAX);
    return 0;
}

/* ---- errors ---- */

TASK_TEST(the_first_error_is_the_answer) /* test_one_exception */
{
    int64_t results[3] = {0};
    cosy_scoped(cosy_future) slow = cosy_future_new(NULL);
    cosy_scoped(cosy_task) bad = cosy_create_task(fail_later, COSY_MS(1), EIO);
    cosy_scoped(cosy_task) worse = cosy_create_task(fail_later, COSY_MS(2), EPERM);
    ck_assert_int_eq(cosy_gather_with((.results = results), slow, worse, bad), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert(!cosy_future_done(slow)); /* goes on undisturbed */
    ck_assert_int_eq(results[2], -EIO);
    ck_assert_int_eq(results[0], -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    return 0; /* and the error of `worse` was not reported: run_body looks */
}

TASK_TEST(later_errors_count_as_seen) /* test_exception_marking */
{
    cosy_task *bad = cosy_create_task(fail_with, EIO), *worse = cosy_create_task(fail_later, COSY_MS(1), EPERM);
    ck_assert_int_eq(cosy_gather(bad, worse), -EIO);
    cosy_task_drop(bad);
    cosy_task_drop(worse);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    return 0;
}

static int fill(cosy_ns delay, int *out)
{
    cosy_try(cosy_sleep(delay));
    *out = 5;
    return 0;
}

static int gather_into_the_frame(int *ret_copy)
{
    int out = 0;
    int result = cosy_gather(cosy_call(fill, COSY_MS(2), &out), cosy_call(fail_with, EIO));
    *ret_copy = out;
    return result;
}

TASK_TEST(its_own_coroutines_are_waited_for_after_an_error)
{
    int copy = 0;
    ck_assert_int_eq(gather_into_the_frame(&copy), -EIO);
    ck_assert_int_eq(copy, 5);
    return 0;
}

TASK_TEST(errors_as_results) /* test_return_exceptions, test_result_exception_one_cancellation; checklist row 30 */
{
    int64_t results[5] = {0};
    cosy_scoped(cosy_task) cancelled = cosy_create_task(give_later, LONG, 1);
    cosy_task_cancel(cancelled);
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_future_set_error(future, EPERM, "no");
    ck_assert_int_eq(cosy_gather_with((.return_exceptions = true, .results = results),
                                      cosy_call(fail_later, COSY_MS(1), EIO), cancelled,
                                      cosy_call(give_later, COSY_MS(2), 2), future, (cosy_task *)NULL),
                     0);
    ck_assert_int_eq(results[0], -EIO);
    ck_assert_int_eq(results[1], -ECANCELED);
    ck_assert_int_eq(results[2], 2);
    ck_assert_int_eq(results[3], -EPERM);
    ck_assert_int_lt(results[4], 0);
    return 0;
}

TASK_TEST(a_cancelled_child_is_an_error_but_no_cancel) /* test_one_cancellation */
{
    cosy_scoped(cosy_task) child = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_future) other = cosy_future_new(NULL);
    let_all_run(1);
    cosy_task_cancel(child);
    ck_assert_int_eq(cosy_gather(other, child), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert(!cosy_future_done(other));
    return 0;
}

/* ---- the same more than once, of each kind, many ---- */

static int runs;

static int count_runs(void)
{
    return 100 + runs++;
}

TASK_TEST(the_same_thing_more_than_once) /* test_duplicate_coroutines, test_constructor_homogenous_futures */
{
    int64_t results[6] = {0};
    runs = 0;
    cosy_coro *coro = cosy_call(count_runs);
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_US(10), 4);
    ck_assert_int_eq(cosy_gather_with((.results = results), coro, coro, cosy_call(give, 3), coro, task, task), 0);
    ck_assert_int_eq(runs, 1);
    ck_assert(results[0] == 100 && results[1] == 100 && results[2] == 3 && results[3] == 100);
    ck_assert(results[4] == 4 && results[5] == 4);
    cosy_coro *used = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(used), 1);
    ck_assert_int_eq(cosy_gather(cosy_call(give, 2), used), -COSY_EAWAITED);
    logs("already awaited");
    cosy_coro *twice[20];
    for (int i = 0; i < 20; i++)
        twice[i] = i % 2 ? twice[i - 1] : cosy_call(count_runs);
    ck_assert_int_eq(cosy_gather_coros(twice, 20, NULL), 0);
    ck_assert_int_eq(runs, 11);
    return 0;
}

TASK_TEST(each_kind_in_one_call) /* test_constructor_heterogenous_futures */
{
    int64_t results[3] = {0};
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_US(1), 2);
    cosy_future_set_result(future, 3);
    ck_assert_int_eq(cosy_gather_with((.results = results), cosy_call(give, 1), task, future), 0);
    ck_assert(results[0] == 1 && results[1] == 2 && results[2] == 3);
    ck_assert(cosy_task_done(task)); /* handles stay valid */
    return 0;
}

TASK_TEST(sixteen_arguments_and_arrays_of_more)
{
    int64_t results[100] = {0};
#define G(n) cosy_call(give, n)
    ck_assert_int_eq(cosy_gather_with((.results = results), G(0), G(1), G(2), G(3), G(4), G(5), G(6), G(7), G(8), G(9),
                                      G(10), G(11), G(12), G(13), G(14), G(15)),
                     0);
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(results[i], i);
    cosy_coro *coros[100];
    cosy_task *tasks[100];
    for (int i = 0; i < 100; i++) {
        coros[i] = cosy_call(give_later, COSY_US(100 - i), i);
        tasks[i] = cosy_create_task(give_later, COSY_US(i % 7), 2 * i);
    }
    struct cosy_gather_options options = {.struct_size = sizeof options, .results = results};
    ck_assert_int_eq(cosy_gather_coros(coros, 100, &options), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(results[i], i);
    ck_assert_int_eq(cosy_gather_tasks(tasks, 100, &options), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(results[i], 2 * i);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

/* ---- cancelling ---- */

static int64_t outcomes[4];

/* kind: 0 plainly, 1 errors as results */
static int gather_two(int as_results, cosy_task *a, cosy_task *b)
{
    return cosy_gather_with((.return_exceptions = as_results, .results = outcomes), a, b);
}

static int cancelled_gather(int as_results, cosy_task *a, cosy_task *b)
{
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_two, as_results, a, b);
    let_all_run(2);
    ck_assert(cosy_task_cancel(outer));
    int result = cosy_await(outer);
    ck_assert_int_eq(cosy_task_cancelling(outer), 1);
    return result;
}

TASK_TEST(a_cancel_goes_to_all) /* test_cancellation_broadcast, test_cancel_gather_1, test_cancel_gather_2 */
{
    for (int as_results = 0; as_results < 2; as_results++) {
        cosy_scoped(cosy_task) a = cosy_create_task(give_later, LONG, 1);
        cosy_scoped(cosy_task) b = cosy_create_task(give_later, LONG, 2);
        ck_assert_int_eq(cancelled_gather(as_results, a, b), -ECANCELED);
        ck_assert(cosy_task_cancelled(a) && cosy_task_cancelled(b));
        ck_assert(outcomes[0] == -ECANCELED);
        if (as_results)
            ck_assert(outcomes[1] == -ECANCELED);
    }
    return 0;
}

TASK_TEST(a_cancel_that_all_swallow_is_still_a_cancel) /* bpo-32684 */
{
    for (int as_results = 0; as_results < 2; as_results++) {
        cosy_scoped(cosy_task) a = cosy_create_task(swallow, 1);
        cosy_scoped(cosy_task) b = cosy_create_task(swallow, 2);
        ck_assert_int_eq(cancelled_gather(as_results, a, b), -ECANCELED);
        ck_assert(outcomes[0] == 1 && outcomes[1] == 2);
    }
    return 0;
}

TASK_TEST(an_error_in_answer_to_the_cancel_is_the_answer) /* as asyncio: the first child that ends decides */
{
    cosy_scoped(cosy_task) a = cosy_create_task(swallow, -EIO);
    cosy_scoped(cosy_task) b = cosy_create_task(give_later, LONG, 2);
    ck_assert_int_eq(cancelled_gather(0, a, b), -EIO);
    cosy_scoped(cosy_task) c = cosy_create_task(swallow, -EIO);
    cosy_scoped(cosy_task) d = cosy_create_task(give_later, LONG, 2);
    ck_assert_int_eq(cancelled_gather(1, c, d), -ECANCELED);
    ck_assert(outcomes[0] == -EIO && outcomes[1] == -ECANCELED);
    cosy_scoped(cosy_task) e = cosy_create_task(give_later, LONG, 2);
    cosy_scoped(cosy_task) f = cosy_create_task(swallow, -EIO);
    ck_assert_int_eq(cancelled_gather(0, e, f), -ECANCELED);
    return 0;
}

TASK_TEST(after_a_cancel_it_returns_with_the_first_handle) /* plainly: at the first cancelled child; else: when all are
                                                              done */
{
    cosy_scoped(cosy_task) slow = cosy_create_task(gated_cleanup, "slow");
    cosy_scoped(cosy_task) quick = cosy_create_task(give_later, LONG, 2);
    ck_assert_int_eq(cancelled_gather(0, slow, quick), -ECANCELED);
    ck_assert(!cosy_task_done(slow));
    gate_open = true;
    ck_assert_int_eq(cosy_await(slow), -ECANCELED);
    said("slow cleaned");
    cosy_scoped(cosy_task) slow_too = cosy_create_task(slow_cleanup, COSY_MS(2), "slow");
    cosy_scoped(cosy_task) quick_too = cosy_create_task(give_later, LONG, 2);
    ck_assert_int_eq(cancelled_gather(1, slow_too, quick_too), -ECANCELED);
    said("slow cleaned");
    return 0;
}

static int gather_cleanups(void)
{
    return cosy_gather(cosy_call(give_later, LONG, 1), cosy_call(gated_cleanup, "a"), cosy_call(gated_cleanup, "b"));
}

TASK_TEST(a_cancel_waits_for_its_own_coroutines)
{
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_cleanups);
    let_all_run(2);
    cosy_task_cancel(outer);
    let_all_run(5);
    ck_assert(!cosy_task_done(outer));
    gate_open = true;
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    said("a cleaned b cleaned");
    return 0;
}

TASK_TEST(a_second_cancel_cuts_the_cleanup_short)
{
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_cleanups);
    let_all_run(2);
    cosy_task_cancel(outer);
    let_all_run(2);
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(outer), 2);
    said("a cleaned badly b cleaned badly");
    return 0;
}

static int gather_bad_and_slow(void)
{
    return cosy_gather(cosy_call(fail_with, EIO), cosy_call(gated_cleanup, "it"));
}

TASK_TEST(a_cancel_after_the_error_while_its_own_are_waited_for)
{
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_bad_and_slow);
    let_all_run(4);
    ck_assert(!cosy_task_done(outer));
    cosy_task_cancel(outer);
    gate_open = true;
    ck_assert_int_eq(cosy_await(outer), -ECANCELED); /* in asyncio it would meet the wait after */
    said("it cleaned");
    return 0;
}

static cosy_future *left, *right;

static int gather_futures(void)
{
    return cosy_gather(left, right);
}

/* The children are done, the gather has not been told or has not gone on yet: the cancel must not be lost. */
TASK_TEST(a_cancel_after_all_are_done)
{
    for (int later = 0; later < 3; later++) {
        left = cosy_future_new(NULL);
        right = cosy_future_new(NULL);
        cosy_scoped(cosy_task) outer = cosy_create_task(gather_futures);
        let_all_run(2);
        cosy_future_set_result(left, 1);
        cosy_future_set_result(right, 2);
        let_all_run(later);
        bool done = cosy_task_done(outer);
        ck_assert_int_eq(cosy_task_cancel(outer), !done);
        ck_assert_int_eq(done, later == 2);
        ck_assert_int_eq(cosy_await(outer), done ? 0 : -ECANCELED);
        cosy_future_drop(left);
        cosy_future_drop(right);
    }
    return 0;
}

TASK_TEST(a_cancel_after_it_failed)
{
    for (int later = 0; later < 2; later++) {
        left = cosy_future_new(NULL);
        right = cosy_future_new(NULL);
        cosy_scoped(cosy_task) outer = cosy_create_task(gather_futures);
        let_all_run(2);
        cosy_future_set_error(left, EIO, NULL);
        let_all_run(later);
        cosy_task_cancel(outer);
        ck_assert_int_eq(cosy_await(outer), later ? -ECANCELED : -EIO); /* asyncio: told or not */
        ck_assert_int_eq(cosy_future_cancelled(right), !later);
        cosy_future_drop(left);
        cosy_future_drop(right);
    }
    return 0;
}

TASK_TEST(a_cancel_before_it_begins_to_wait)
{
    cosy_task_cancel(cosy_current_task());
    cosy_scoped(cosy_task) a = cosy_create_task(give_later, LONG, 1);
    ck_assert_int_eq(cosy_gather(a, cosy_call(give, 2)), -ECANCELED);
    ck_assert(cosy_task_cancelled(a));
    ck_assert_int_eq(cosy_task_uncancel(cosy_current_task()), 0);
    return 0;
}

static int gather_deep(int depth)
{
    return depth == 0 ? slow_cleanup(1, "leaf")
                      : cosy_gather(cosy_call(gather_deep, depth - 1), cosy_call(gather_deep, depth - 1));
}

TASK_TEST(a_cancel_goes_down_a_tree)
{
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_deep, 3);
    let_all_run(5);
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    said("leaf cleaned leaf cleaned leaf cleaned leaf cleaned leaf cleaned leaf cleaned leaf cleaned leaf cleaned");
    return 0;
}

/* ---- the rest goes down with the first error ---- */

TASK_TEST(the_first_error_may_cancel_the_rest)
{
    int64_t results[4] = {0};
    cosy_scoped(cosy_task) handle = cosy_create_task(slow_cleanup, COSY_US(50), "handle");
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_gather_with((.cancel_rest = true, .results = results), handle,
                                      cosy_call(slow_cleanup, COSY_US(500), "own"), future,
                                      cosy_call(fail_later, COSY_US(9), EIO)),
                     -EIO);
    said("handle cleaned own cleaned");
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert(cosy_task_cancelled(handle) && cosy_future_cancelled(future));
    ck_assert(results[0] == -ECANCELED && results[1] == -ECANCELED && results[2] == -ECANCELED && results[3] == -EIO);
    ck_assert_int_eq(cosy_task_cancelling(handle), 1);
    return 0;
}

TASK_TEST(cancelling_the_rest_gives_all_results) /* one that answers the cancel with a result keeps it */
{
    int64_t results[3] = {0};
    ck_assert_int_eq(cosy_gather_with((.cancel_rest = true, .return_exceptions = true, .results = results),
                                      cosy_call(swallow, 7), cosy_call(fail_later, COSY_US(9), EIO),
                                      cosy_call(swallow, -EPERM)),
                     0);
    ck_assert(results[0] == 7 && results[1] == -EIO && results[2] == -EPERM);
    ck_assert_int_eq(cosy_gather_with((.cancel_rest = true), cosy_call(give, 1), cosy_call(give_later, COSY_US(9), 2)),
                     0);
    return 0;
}

TASK_TEST(an_error_at_once_cancels_what_has_not_begun)
{
    runs = 0;
    cosy_scoped(cosy_task) failed = cosy_create_task_with((.eager_start = true), fail_with, EIO);
    ck_assert_int_eq(cosy_gather_with((.cancel_rest = true), cosy_call(count_runs), failed, cosy_call(count_runs)),
                     -EIO);
    ck_assert_int_eq(runs, 0);
    return 0;
}

static int gather_cancelling(cosy_task *a, cosy_task *b)
{
    return cosy_gather_with((.cancel_rest = true), a, b);
}

TASK_TEST(a_cancel_while_the_rest_ends)
{
    cosy_scoped(cosy_task) slow = cosy_create_task(gated_cleanup, "slow");
    cosy_scoped(cosy_task) bad = cosy_create_task(fail_with, EIO);
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_cancelling, slow, bad);
    let_all_run(4);
    ck_assert(!cosy_task_done(outer) && cosy_task_cancelling(slow) == 1);
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_task_cancelling(slow), 2);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    said("slow cleaned badly");
    return 0;
}

TASK_TEST(the_tree_tells_it)
{
    cosy_scoped(cosy_task) a = cosy_create_task(give_later, COSY_MS(1), 1);
    cosy_scoped(cosy_task) b = cosy_create_task(give_later, COSY_MS(1), 1);
    cosy_scoped(cosy_task) outer = cosy_create_task(gather_two, 0, a, b);
    let_all_run(1);
    tree_tells("gathers 2 (2 to come)");
    tree_tells("awaited by '");
    ck_assert_int_eq(cosy_await(outer), 0);
    return 0;
}

/* ---- misuse, closing and no memory ---- */

static int gather_for_ever(cosy_future *never)
{
    return cosy_gather(never, cosy_call(give, 1));
}

static int await_for_ever(cosy_future *never)
{
    return cosy_await(never);
}

static int gather_many_for_ever(cosy_future *never)
{
    cosy_coro *coros[20];
    for (int i = 0; i < 20; i++)
        coros[i] = cosy_call(await_for_ever, never);
    return cosy_gather_coros(coros, 20, NULL);
}

START_TEST(a_loop_closed_under_it)
{
    close_under(gather_for_ever);
    close_under(gather_many_for_ever);
}
END_TEST

TASK_TEST(wrong_things_are_errors)
{
    ck_assert_int_eq(cosy_gather(cosy_call(give, 1), cosy_current_task()), -COSY_ESELF);
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_scoped(cosy_future) foreign = cosy_future_new(other);
    ck_assert_int_eq(cosy_gather(foreign, cosy_call(give, 1)), -COSY_EOTHERLOOP);
    ck_assert(!cosy_future_done(foreign));
    cosy_loop_free(other);
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    ck_assert_int_eq(cosy_gather(cosy_call(give, 1), cosy_call(give, 2)),
                     -COSY_ENOTASK); /* they are gone: LSan would tell */
    logs("cosy_gather");
    cosy_coro *coros[20];
    for (int i = 0; i < 20; i++)
        coros[i] = cosy_call(give, i);
    ck_assert_int_eq(cosy_gather_coros(coros, 20, NULL), -COSY_ENOTASK);
    logs("cosy_gather");
}
END_TEST

/* A child that could not be made for want of memory: the others run, and the answer is -ENOMEM. */
TASK_TEST(a_child_without_memory)
{
    int out = 0;
    for (long n = 1; n < 50; n++) {
        out = 0;
        cosy_heap_fail_nth(n, false);
        cosy_coro *first = cosy_call(fill, 1, &out), *second = cosy_call(fail_with, EIO);
        bool made = first && second;
        int result = cosy_gather(first, second);
        long counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert(result == -EIO || result == -ENOMEM);
        if (!made)
            ck_assert_int_eq(result, -ENOMEM);
        if (counted < n)
            break;
    }
    ck_assert_int_eq(out, 5);
    logged[0] = 0;
    return 0;
}

static int gather_many(void)
{
    cosy_coro *coros[12];
    for (int i = 0; i < 12; i++)
        coros[i] = cosy_call(give_later, 1, i);
    int result = cosy_gather_coros(coros, 12, NULL);
    return result < 0 ? result : cosy_gather(cosy_call(give, 1), cosy_call(give_later, 1, 2));
}

static int gather_in_a_run(void)
{
    return cosy_run(gather_many);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(gather_in_a_run);
}
END_TEST

TESTS_MAIN("gather", results_stand_in_the_order_of_the_arguments, they_run_side_by_side, as_many_turns_as_in_asyncio,
           what_is_done_is_not_waited_for, nothing_to_gather, wide_results, the_first_error_is_the_answer,
           later_errors_count_as_seen, its_own_coroutines_are_waited_for_after_an_error, errors_as_results,
           a_cancelled_child_is_an_error_but_no_cancel, the_same_thing_more_than_once, each_kind_in_one_call,
           sixteen_arguments_and_arrays_of_more, a_cancel_goes_to_all, a_cancel_that_all_swallow_is_still_a_cancel,
           an_error_in_answer_to_the_cancel_is_the_answer, after_a_cancel_it_returns_with_the_first_handle,
           a_cancel_waits_for_its_own_coroutines, a_second_cancel_cuts_the_cleanup_short,
           a_cancel_after_the_error_while_its_own_are_waited_for, a_cancel_after_all_are_done, a_cancel_after_it_failed,
           a_cancel_before_it_begins_to_wait, a_cancel_goes_down_a_tree, wrong_things_are_errors,
           the_first_error_may_cancel_the_rest, cancelling_the_rest_gives_all_results,
           an_error_at_once_cancels_what_has_not_begun, a_cancel_while_the_rest_ends, the_tree_tells_it,
           a_loop_closed_under_it, outside_a_task_is_an_error, a_child_without_memory,
           no_memory_is_an_error_and_leaves_nothing)
