/* Tests of cosy_race. Names in comments are those of the tests in CPython's test_staggered.py and
 * test_eager_task_factory.py for the same behaviour. */
#include "wait_test.h"

static int64_t results[4];
static size_t winner, started;

#define STAGGERED(delay_) (.delay = delay_, .results = results, .winner = &winner, .started = &started)

TASK_TEST(one_after_the_other_the_first_wins) /* test_one_successful */
{
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(give, 10), cosy_call(give, 11)), 10);
    ck_assert(winner == 0 && started == 1);
    ck_assert(results[0] == 10 && results[1] == -COSY_EINVALIDSTATE);
    return 0; /* and the second one is closed: run_body looks */
}

TASK_TEST(a_failure_starts_the_next_at_once) /* test_first_error_second_successful */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(fail_with, EIO), cosy_call(give, 11)), 11);
    ck_assert(winner == 1 && started == 2 && results[0] == -EIO && results[1] == 11);
    ck_assert_int_eq(cosy_race_with(STAGGERED(LONG), cosy_call(fail_with, EIO), cosy_call(give, 12)), 12);
    ck_assert_int_lt(now() - before, COSY_S(1));
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

TASK_TEST(a_delay_starts_the_next) /* test_first_timeout_second_successful */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_MS(1)), cosy_call(give_later, LONG, 10), cosy_call(give, 11),
                                    cosy_call(give, 12)),
                     11);
    ck_assert(winner == 1 && started == 2 && results[0] == -ECANCELED && results[1] == 11);
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(1));
    return 0;
}

TASK_TEST(when_all_fail_it_is_the_first_error) /* test_none_successful */
{
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(fail_with, EIO), cosy_call(fail_with, EPERM)),
                     -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert(winner == 2 && started == 2 && results[0] == -EIO && results[1] == -EPERM);
    ck_assert_int_eq(cosy_race(cosy_call(fail_later, COSY_MS(40), EIO), cosy_call(fail_later, COSY_MS(1), EPERM)),
                     -EPERM);
    return 0;
}

TASK_TEST(nobody_takes_part) /* test_empty: no result of a race of none can be told in a number */
{
    ck_assert_int_eq(cosy_race_coros(NULL, 0), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "cosy_race: nobody takes part");
    return 0;
}

static int await_future(cosy_future *future, int result)
{
    int woken = cosy_await(future);
    return woken < 0 ? woken : result;
}

static int set_and_wait(cosy_future *future)
{
    cosy_future_set_result(future, 0);
    return cosy_sleep(LONG);
}

TASK_TEST(
    of_two_winners_none_is_lost) /* test_multiple_winners: there the second one is cancelled and its result lost */
{
    cosy_scoped(cosy_future) event = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_MS(1)), cosy_call(await_future, event, 10),
                                    cosy_call(await_future, event, 11), cosy_call(set_and_wait, event)),
                     10);
    ck_assert(winner == 0 && started == 3);
    ck_assert(results[0] == 10 && results[1] == 11 && results[2] == -ECANCELED);
    return 0;
}

static int fail_after_a_turn(void)
{
    (void)cosy_yield();
    return cosy_fail(EIO, "no good");
}

TASK_TEST(only_the_failure_of_the_last_started_hurries) /* test_staggered_race_with_eager_tasks */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_MS(1)), cosy_call(give_later, LONG, 0),
                                    cosy_call(give_later, COSY_MS(4), 1), cosy_call(fail_after_a_turn)),
                     1);
    ck_assert(winner == 1 && results[0] == -ECANCELED);
    if (simulated())
        ck_assert_int_eq(results[2], -EIO);
    ck_assert_int_ge(now() - before, COSY_MS(5));
    /* an older one fails while the last one runs: the delay goes on */
    before = now();
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_MS(2)), cosy_call(fail_later, COSY_US(2500), EIO),
                                    cosy_call(give_later, LONG, 1), cosy_call(give, 2)),
                     2);
    ck_assert_int_ge(now() - before, COSY_MS(4));
    return 0;
}

TASK_TEST(without_a_delay_in_turn) /* test_staggered_race_with_eager_tasks_no_delay */
{
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(fail_with, EIO),
                                    cosy_call(give_later, COSY_US(9), 1), cosy_call(give, 0)),
                     1);
    ck_assert(winner == 1 && started == 2 && results[0] == -EIO);
    return 0;
}

TASK_TEST(all_start_together_by_default)
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_race(cosy_call(give_later, LONG, 1), cosy_call(give_later, COSY_S(2), 2),
                               cosy_call(give_later, COSY_MS(1), 3), cosy_call(fail_with, EIO)),
                     3);
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(1));
    return 0;
}

TASK_TEST(the_losers_are_waited_for)
{
    ck_assert_int_eq(cosy_race(cosy_call(slow_cleanup, COSY_MS(1), "it"), cosy_call(give_later, COSY_US(9), 3)), 3);
    said("it cleaned");
    ck_assert_int_eq(cosy_race_with(STAGGERED(0), cosy_call(swallow, 8), cosy_call(give_later, COSY_US(9), 3)), 3);
    ck_assert(winner == 1 && results[0] == 8);
    return 0;
}

TASK_TEST(a_cancelled_one_has_failed)
{
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(give, -ECANCELED), cosy_call(give, 2)), 2);
    ck_assert(winner == 1 && results[0] == -ECANCELED);
    return 0;
}

/* ---- cancelling ---- */

static int race_two(cosy_ns delay, cosy_ns first, cosy_ns second)
{
    return cosy_race_with(STAGGERED(delay), cosy_call(give_later, first, 1), cosy_call(give_later, second, 2));
}

TASK_TEST(a_cancel_ends_all)
{
    for (int both = 0; both < 2; both++) {
        cosy_scoped(cosy_task) race = cosy_create_task(race_two, both ? (cosy_ns)0 : COSY_NEVER, LONG, LONG);
        let_all_run(3);
        tree_tells(both ? "waits for a race of 2 (2 started, 2 running)" : "of 2 (1 started, 1 running)");
        tree_tells("awaited by '");
        cosy_task_cancel(race);
        ck_assert_int_eq(cosy_await(race), -ECANCELED);
        ck_assert(winner == 2 && started == (both ? 2u : 1u) && results[0] == -ECANCELED);
        ck_assert(results[1] == (both ? -ECANCELED : -COSY_EINVALIDSTATE));
        ck_assert_uint_eq(timers(), 0);
    }
    return 0;
}

static int cancelled_twice(void)
{
    say("%d", cosy_sleep(LONG) == -ECANCELED);
    say("%d", cosy_sleep(LONG) == -ECANCELED);
    return 6;
}

static int race_one(void)
{
    int result = cosy_race_with(STAGGERED(COSY_NEVER), cosy_call(cancelled_twice));
    say("%d", result == -ECANCELED);
    return result;
}

TASK_TEST(cancels_are_passed_on_again_and_again) /* test_cancelled */
{
    cosy_scoped(cosy_task) race = cosy_create_task(race_one);
    for (int i = 0; i < 2; i++) {
        let_all_run(3);
        cosy_task_cancel(race);
    }
    ck_assert_int_eq(cosy_await(race), -ECANCELED);
    said("1 1 1");
    ck_assert(winner == 0 && results[0] == 6); /* it is not lost */
    return 0;
}

static int race_futures(cosy_future *a, cosy_future *b)
{
    return cosy_race_with(STAGGERED(0), cosy_call(await_future, a, 1), cosy_call(await_future, b, 2));
}

TASK_TEST(a_cancel_at_every_turn)
{
    for (int later = 0; later < 7; later++) {
        cosy_scoped(cosy_future) a = cosy_future_new(NULL);
        cosy_scoped(cosy_future) b = cosy_future_new(NULL);
        cosy_scoped(cosy_task) race = cosy_create_task(race_futures, a, b);
        let_all_run(3);
        cosy_future_set_result(b, 1);
        let_all_run(later);
        bool cancelled = cosy_task_cancel(race);
        ck_assert_int_eq(cosy_await(race), cancelled ? -ECANCELED : 2);
        ck_assert_int_eq(results[1], later == 0 ? -ECANCELED : 2);
    }
    return 0;
}

TASK_TEST(a_cancel_before_it_waits)
{
    cosy_task_cancel(cosy_current_task());
    ck_assert_int_eq(race_two(0, LONG, LONG), -ECANCELED);
    ck_assert_int_eq(cosy_task_uncancel(cosy_current_task()), 0);
    return 0;
}

/* ---- many, misuse, closing, no memory ---- */

TASK_TEST(many)
{
    cosy_coro *coros[100];
    for (int i = 0; i < 100; i++)
        coros[i] = i == 60 ? cosy_call(give_later, COSY_US(50), 60) : cosy_call(give_later, LONG, i);
    ck_assert_int_eq(cosy_race_coros(coros, 100, .winner = &winner), 60);
    ck_assert_uint_eq(winner, 60);
    return 0;
}

TASK_TEST(one_that_cannot_be_started_has_failed)
{
    cosy_coro *used = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(used), 1);
    ck_assert_int_eq(cosy_race_with(STAGGERED(COSY_NEVER), used, cosy_call(give, 2)), 2);
    logs("already awaited");
    ck_assert(results[0] == -COSY_EAWAITED && winner == 1);
    cosy_coro *alone[] = {used};
    ck_assert_int_eq(cosy_race_coros(alone, 1), -COSY_EAWAITED);
    logs("already awaited");
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    ck_assert_int_eq(cosy_race(cosy_call(give, 1), cosy_call(give, 2)), -COSY_ENOTASK);
    logs("cosy_race");
}
END_TEST

static int race_for_ever(cosy_future *never)
{
    cosy_coro *coros[20];
    for (int i = 0; i < 20; i++)
        coros[i] = cosy_call(await_future, never, i);
    return cosy_race_coros(coros, 20, .delay = LONG);
}

START_TEST(a_loop_closed_under_it)
{
    close_under(race_for_ever);
}
END_TEST

static int race_some(void)
{
    cosy_coro *coros[10];
    for (int i = 0; i < 10; i++)
        coros[i] = cosy_call(give_later, 1000, i);
    int result = cosy_race_coros(coros, 10, .delay = 100);
    return result < 0 ? result : 0;
}

static int race_in_a_run(void)
{
    return cosy_run(race_some);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(race_in_a_run);
}
END_TEST

TESTS_MAIN("race", one_after_the_other_the_first_wins, a_failure_starts_the_next_at_once, a_delay_starts_the_next,
           when_all_fail_it_is_the_first_error, nobody_takes_part, of_two_winners_none_is_lost,
           only_the_failure_of_the_last_started_hurries, without_a_delay_in_turn, all_start_together_by_default,
           the_losers_are_waited_for, a_cancelled_one_has_failed, a_cancel_ends_all,
           cancels_are_passed_on_again_and_again, a_cancel_at_every_turn, a_cancel_before_it_waits, many,
           one_that_cannot_be_started_has_failed, outside_a_task_is_an_error, a_loop_closed_under_it,
           no_memory_is_an_error_and_leaves_nothing)
