/* Tests of cosy_wait. Names in comments are those of the tests in CPython's test_tasks.py for the same behaviour. */
#include "wait_test.h"

static bool done[4];

static int wait_for_two(int when, cosy_task *a, cosy_task *b)
{
    return cosy_wait_with((.return_when = (enum cosy_return_when)when, .done = done), a, b);
}

TASK_TEST(all_of_them) /* test_wait, checklist row 32 */
{
    cosy_task *tasks[] = {cosy_create_task(give_later, COSY_MS(2), 1), cosy_create_task(fail_later, COSY_MS(1), EIO)};
    cosy_ns before = now();
    ck_assert_int_eq(cosy_wait(tasks, 2, .done = done), 2);
    ck_assert(done[0] && done[1]);
    ck_assert_int_ge(now() - before, COSY_MS(2));
    ck_assert_int_eq(cosy_task_error(tasks[1]), -EIO); /* never raised */
    uint64_t turn = turns();
    ck_assert_int_eq(cosy_wait(tasks, 2), 2); /* they are there: no turn */
    ck_assert_uint_eq(turns(), turn);
    cosy_task_drop(tasks[0]);
    cosy_task_drop(tasks[1]);
    return 0;
}

TASK_TEST(the_same_one_twice) /* test_wait_duplicate_coroutines: a set has it once, an array as often as it is given */
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_US(9), 1);
    cosy_task *tasks[] = {task, task, task};
    ck_assert_int_eq(cosy_wait(tasks, 3, .done = done), 3);
    ck_assert(done[0] && done[1] && done[2]);
    return 0;
}

TASK_TEST(the_first_one) /* test_wait_first_completed */
{
    cosy_scoped(cosy_task) slow = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_task) quick = cosy_create_task(give_later, COSY_US(5), 2);
    ck_assert_int_eq(wait_for_two(COSY_FIRST_COMPLETED, slow, quick), 1);
    ck_assert(!done[0] && done[1]);
    ck_assert(!cosy_task_done(slow));
    ck_assert_int_eq(cosy_wait_first(slow, quick), 1);
    return 0;
}

TASK_TEST(all_that_are_done_then_are_told) /* test_wait_really_done, test_wait_concurrent_complete */
{
    cosy_scoped(cosy_future) a = cosy_future_new(NULL);
    cosy_scoped(cosy_future) b = cosy_future_new(NULL);
    cosy_scoped(cosy_future) c = cosy_future_new(NULL);
    cosy_future *futures[] = {a, b, c};
    cosy_future_set_result(a, 1);
    ck_assert_int_eq(cosy_wait(futures, 3, .return_when = COSY_FIRST_COMPLETED, .done = done), 1);
    cosy_scoped(cosy_task) both =
        cosy_create_task(wait_for_two, COSY_FIRST_COMPLETED, (cosy_task *)(void *)b, (cosy_task *)(void *)c);
    let_all_run(1);
    cosy_future_set_result(c, 1);
    cosy_future_set_result(b, 1);
    ck_assert_int_eq(cosy_await(both), 2);
    ck_assert_int_eq(cosy_wait_first(c, b), 0);
    return 0;
}

TASK_TEST(the_first_error) /* test_wait_first_exception, test_wait_first_exception_in_wait */
{
    cosy_scoped(cosy_task) slow = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_task) quick = cosy_create_task(give, 1);
    cosy_scoped(cosy_task) bad = cosy_create_task(fail_later, COSY_US(9), EIO);
    cosy_task *tasks[] = {slow, quick, bad};
    ck_assert_int_eq(cosy_wait(tasks, 3, .return_when = COSY_FIRST_EXCEPTION, .done = done), 2);
    ck_assert(!done[0] && done[1] && done[2]);
    ck_assert_int_eq(cosy_wait(tasks, 3, .return_when = COSY_FIRST_EXCEPTION), 2);
    ck_assert_int_eq(cosy_task_error(bad), -EIO);
    return 0;
}

TASK_TEST(a_cancelled_one_is_no_error)
{
    cosy_scoped(cosy_task) cancelled = cosy_create_task(give_later, LONG, 1);
    cosy_scoped(cosy_task) later = cosy_create_task(give_later, COSY_MS(1), 1);
    let_all_run(1);
    cosy_task_cancel(cancelled);
    ck_assert_int_eq(wait_for_two(COSY_FIRST_EXCEPTION, cancelled, later), 2);
    ck_assert(cosy_task_done(later));
    return 0;
}

TASK_TEST(an_error_is_not_counted_as_seen) /* asyncio marks it */
{
    cosy_task *bad = cosy_create_task(fail_with, EIO);
    ck_assert_int_eq(cosy_wait_with((.return_when = COSY_FIRST_EXCEPTION), bad), 1); /* test_wait_with_exception */
    ck_assert_str_eq(logged, "");
    cosy_task_drop(bad);
    logs("never retrieved");
    return 0;
}

TASK_TEST(a_limit_cancels_nothing_and_is_no_error) /* test_wait_with_timeout */
{
    cosy_scoped(cosy_future) slow = cosy_future_new(NULL);
    cosy_scoped(cosy_task) quick = cosy_create_task(give, 2);
    ck_assert_int_eq(cosy_wait_with((.timeout = COSY_MS(1), .done = done), slow, quick), 1);
    ck_assert(!done[0] && done[1]);
    ck_assert_int_eq(cosy_wait_with((.timeout = COSY_US(1), .done = done), slow), 0);
    uint64_t turn = turns();
    ck_assert_int_eq(cosy_wait_with((.timeout = -1, .done = done), slow, quick), 1); /* only looks */
    ck_assert_uint_eq(turns(), turn);
    ck_assert(!cosy_future_done(slow));
    cosy_scoped(cosy_task) last = cosy_create_task(give_later, COSY_US(1), 2);
    ck_assert_int_eq(cosy_wait_with((.timeout = LONG), last), 1);
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

TASK_TEST(the_limit_and_the_end_in_one_turn)
{
    if (!simulated())
        return 0;
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_MS(1), 1);
    let_all_run(1);
    ck_assert_int_eq(cosy_wait_with((.timeout = COSY_MS(1)), task), 1); /* it was done as the wait returned */
    return 0;
}

TASK_TEST(a_cancel_ends_the_wait_alone) /* test_yield_wait_does_not_shield_cancel in spirit */
{
    cosy_scoped(cosy_task) a = cosy_create_task(give_later, COSY_MS(1), 1);
    cosy_scoped(cosy_task) b = cosy_create_task(give_later, COSY_MS(1), 2);
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_two, COSY_ALL_COMPLETED, a, b);
    let_all_run(1);
    tree_tells("waits for all of 2 (2 to come)");
    tree_tells("awaited by '");
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    ck_assert_int_eq(cosy_await(a), 1);
    ck_assert_int_eq(cosy_await(b), 2);
    return 0;
}

TASK_TEST(a_cancel_at_every_turn)
{
    for (int later = 0; later < 4; later++) {
        cosy_scoped(cosy_future) a = cosy_future_new(NULL);
        cosy_scoped(cosy_future) b = cosy_future_new(NULL);
        cosy_scoped(cosy_task) waiter =
            cosy_create_task(wait_for_two, COSY_ALL_COMPLETED, (cosy_task *)(void *)a, (cosy_task *)(void *)b);
        let_all_run(1);
        cosy_future_set_result(a, 1);
        cosy_future_set_result(b, 1);
        let_all_run(later);
        bool cancelled = cosy_task_cancel(waiter);
        ck_assert_int_eq(cosy_await(waiter), cancelled ? -ECANCELED : 2);
        ck_assert_int_eq(cancelled, later < 2);
    }
    return 0;
}

TASK_TEST(many)
{
    cosy_task *tasks[100];
    bool all[100] = {0};
    for (int i = 0; i < 100; i++)
        tasks[i] = cosy_create_task(give_later, COSY_US(100 - i), i);
    ck_assert_int_eq(cosy_wait(tasks, 100, .done = all), 100);
    for (int i = 0; i < 100; i++) {
        ck_assert(all[i]);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

static int drop_soon(cosy_task *task)
{
    cosy_task_drop(task);
    return 0;
}

TASK_TEST(another_task_may_drop_the_handle_meanwhile)
{
    cosy_task *task = cosy_create_task(give_later, COSY_MS(1), 1);
    ck_assert_int_eq(cosy_spawn(drop_soon, task), 0);
    ck_assert_int_eq(cosy_wait_with((.return_when = COSY_ALL_COMPLETED), task), 1);
    return 0;
}

/* ---- misuse, closing, no memory ---- */

TASK_TEST(wrong_things_are_errors) /* test_wait_invalid_args, test_wait_errors */
{
    cosy_task *none[1] = {NULL};
    ck_assert_int_eq(cosy_wait(none, 0), -EINVAL);
    ck_assert_int_eq(cosy_wait((cosy_task **)NULL, 3), -EINVAL);
    cosy_coro *coros[] = {cosy_call(give, 1), cosy_call(give, 2)};
    ck_assert_int_eq(cosy_wait(coros, 2), -EINVAL); /* and they are closed: run_body looks */
    ck_assert_str_eq(cosy_error_message(-EINVAL), "cosy_wait: coroutines are refused, start them as tasks");
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, 1, 1);
    ck_assert_int_eq(wait_for_two(7, task, task), -EINVAL);
    ck_assert_int_eq(cosy_wait_with((.timeout = 0), task, cosy_call(give, 1)), -EINVAL);
    ck_assert_int_eq(cosy_wait_with((.timeout = 0), task, cosy_current_task()), -COSY_ESELF);
    ck_assert_int_lt(cosy_wait_with((.timeout = 0), task, (cosy_task *)NULL), 0);
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_scoped(cosy_future) foreign = cosy_future_new(other);
    ck_assert_int_eq(cosy_wait_first(task, foreign), -COSY_EOTHERLOOP);
    cosy_loop_free(other);
    ck_assert_int_eq(cosy_await(task), 1);
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    cosy_coro *coros[] = {cosy_call(give, 1)};
    ck_assert_int_eq(cosy_wait(coros, 1), -COSY_ENOTASK);
    logs("cosy_wait");
}
END_TEST

static int wait_for_ever(cosy_future *never)
{
    cosy_future *futures[20];
    for (int i = 0; i < 20; i++)
        futures[i] = never;
    return cosy_wait(futures, 20, .timeout = COSY_S(5));
}

START_TEST(a_loop_closed_under_it)
{
    close_under(wait_for_ever);
}
END_TEST

static int wait_for_some(void)
{
    cosy_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = cosy_create_task(give_later, 1, i);
    int result = cosy_wait(tasks, 10, .timeout = COSY_S(1));
    for (int i = 0; i < 10; i++)
        cosy_task_drop(tasks[i]);
    return result < 0 ? result : 0;
}

static int wait_in_a_run(void)
{
    return cosy_run(wait_for_some);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(wait_in_a_run);
}
END_TEST

TESTS_MAIN("wait", all_of_them, the_same_one_twice, the_first_one, all_that_are_done_then_are_told, the_first_error,
           a_cancelled_one_is_no_error, an_error_is_not_counted_as_seen, a_limit_cancels_nothing_and_is_no_error,
           the_limit_and_the_end_in_one_turn, a_cancel_ends_the_wait_alone, a_cancel_at_every_turn, many,
           another_task_may_drop_the_handle_meanwhile, wrong_things_are_errors, outside_a_task_is_an_error,
           a_loop_closed_under_it, no_memory_is_an_error_and_leaves_nothing)
