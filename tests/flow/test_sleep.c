/* Tests of cosy_sleep and cosy_yield: never early, one turn for nothing, cancel at each stage, timers in order.
 * Names in comments are those of CPython's tests for the same behaviour (test_tasks.py unless said otherwise). */
#include "flow_test.h"

TASK_TEST(sleeps_at_least_the_delay) /* test_sleep */
{
    cosy_ns delays[] = {1, COSY_US(1), COSY_US(50), COSY_MS(1), COSY_MS(3)};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        cosy_ns before = now();
        ck_assert_int_eq(cosy_sleep(delays[i]), 0);
        ck_assert_int_ge(now() - before, delays[i]);
        if (simulated())
            ck_assert_int_eq(now() - before, delays[i]);
    }
    return 0;
}

TASK_TEST(sleep_until_reaches_the_moment)
{
    cosy_ns when = now() + COSY_MS(2);
    ck_assert_int_eq(cosy_sleep_until(when), 0);
    ck_assert_int_ge(now(), when);
    if (simulated())
        ck_assert_int_eq(now(), when);
    return 0;
}

TASK_TEST(no_delay_is_one_turn_without_a_timer) /* test_sleep_0 in spirit: asyncio.sleep(0) */
{
    cosy_ns none[] = {0, -1, COSY_S(-5), INT64_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        uint64_t before = turns();
        ck_assert_int_eq(cosy_sleep(none[i]), 0);
        ck_assert_uint_eq(turns() - before, 1);
    }
    uint64_t before = turns();
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_int_eq(cosy_sleep_until(now()), 0);
    ck_assert_int_eq(cosy_sleep_until(0), 0);
    ck_assert_int_eq(cosy_sleep_until(INT64_MIN), 0);
    ck_assert_uint_eq(turns() - before, 4);
    return 0;
}

static int count_turns(const char *name, int yields)
{
    for (int i = 0; i < yields; i++) {
        say("%s%d", name, i);
        cosy_try(cosy_sleep(0));
    }
    return 0;
}

TASK_TEST(yielding_tasks_take_turns)
{
    ck_assert_int_eq(
        cosy_gather(cosy_call(count_turns, "a", 3), cosy_call(count_turns, "b", 3), cosy_call(count_turns, "c", 2)), 0);
    said("a0 b0 c0 a1 b1 c1 a2 b2");
    return 0;
}

static int say_at(cosy_ns when, int number)
{
    int result = cosy_sleep_until(when);
    say("%d", number);
    return result;
}

TASK_TEST(equal_deadlines_wake_in_the_order_given)
{
    cosy_ns when = now() + COSY_MS(50); /* far enough to be given all before the first is due */
    cosy_coro *coros[] = {cosy_call(say_at, when, 0), cosy_call(say_at, when, 1), cosy_call(say_at, when - 1, 2),
                          cosy_call(say_at, when + 1, 3), cosy_call(say_at, when, 4)};
    ck_assert_int_eq(cosy_gather_coros(coros, 5, NULL), 0);
    said("2 0 1 4 3");
    return 0;
}

TASK_TEST(sleeps_run_side_by_side) /* checklist row 28: 2 s, not 3 */
{
    cosy_ns before = now();
    ck_assert_int_eq(cosy_gather(cosy_call(give_later, COSY_MS(5), 1), cosy_call(give_later, COSY_MS(10), 2)), 0);
    ck_assert_int_ge(now() - before, COSY_MS(10));
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(10));
    return 0;
}

TASK_TEST(a_cancel_ends_the_sleep_and_its_timer) /* test_sleep_cancel */
{
    size_t before = timers();
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_S(1000), 1);
    let_all_run(1);
    ck_assert_uint_eq(timers(), before + 1);
    ck_assert(cosy_task_cancel(task));
    ck_assert_uint_eq(timers(), before);
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert(cosy_task_cancelled(task));
    return 0;
}

TASK_TEST(a_cancel_before_the_first_step_never_sleeps) /* test_cancel_task_before_... : the body never runs */
{
    size_t before = timers();
    cosy_scoped(cosy_task) task = cosy_create_task(count_turns, "never", 1);
    ck_assert(cosy_task_cancel(task));
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_uint_eq(timers(), before);
    said("");
    return 0;
}

TASK_TEST(a_cancel_of_itself_meets_the_next_sleep) /* test_cancel_yield, test_cancel_current_task */
{
    cosy_task *me = cosy_current_task();
    cosy_ns before = now();
    ck_assert(cosy_task_cancel(me));
    ck_assert_int_eq(cosy_sleep(COSY_S(1000)), -ECANCELED);
    ck_assert_int_lt(now() - before, COSY_S(100));
    ck_assert_int_eq(cosy_sleep(COSY_US(1)), 0); /* delivered once */
    ck_assert(cosy_task_cancel(me));
    ck_assert_int_eq(cosy_sleep(0), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(me), 2);
    ck_assert_int_eq(cosy_task_uncancel(me), 1);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    return 0;
}

TASK_TEST(a_cancel_taken_back_in_time_is_not_met) /* test_uncancel_resets_must_cancel */
{
    cosy_task *me = cosy_current_task();
    ck_assert(cosy_task_cancel(me));
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

static void cancel_soon(void *task)
{
    cosy_task_cancel(task);
}

/* The timer has fired, the task is queued, then it is cancelled: as in asyncio the cancel wins. */
TASK_TEST(a_cancel_after_the_timer_fired_wins) /* test_cancel_task_catching in spirit; checklist 2.2 */
{
    cosy_ns when = now() + COSY_MS(30);
    cosy_scoped(cosy_task) first = cosy_create_task(say_at, when, 1);
    cosy_scoped(cosy_task) second = cosy_create_task(say_at, when, 2);
    let_all_run(1);
    ck_assert_int_eq(cosy_call_at(loop_now(), when, cancel_soon, first, NULL), 0);
    ck_assert_int_eq(cosy_await(second), 0);
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    said("1 2");
    return 0;
}

/* The other way round: cancelled by a timer that stands before its own in the same turn. */
TASK_TEST(a_cancel_in_the_turn_of_the_timer_takes_the_timer_back)
{
    cosy_ns when = now() + COSY_MS(30);
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_S(1), 1);
    ck_assert_int_eq(cosy_call_at(loop_now(), when, cancel_soon, task, NULL), 0);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    cosy_scoped(cosy_task) late = cosy_create_task(say_at, when, 7);
    ck_assert_int_eq(cosy_call_at(loop_now(), when - 1, cancel_soon, late, NULL), 0);
    let_all_run(1);
    ck_assert_int_eq(cosy_await(late), -ECANCELED);
    said("7");
    return 0;
}

TASK_TEST(for_ever_ends_by_a_cancel_alone)
{
    cosy_scoped(cosy_task) task = cosy_create_task(give_later, COSY_NEVER, 1);
    cosy_scoped(cosy_task) other = cosy_create_task(give_later, COSY_NEVER - 1, 1);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert(!cosy_task_done(task) && !cosy_task_done(other));
    cosy_task_cancel(task);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    return 0;
}

START_TEST(a_wait_outside_a_task_is_an_error)
{
    begin_test();
    ck_assert_int_eq(cosy_sleep(1), -COSY_ENOTASK);
    logs("cosy_sleep");
    ck_assert_int_eq(cosy_sleep_until(1), -COSY_ENOTASK);
    logs("cosy_sleep_until");
    ck_assert_int_eq(cosy_sleep(0), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_yield(), -COSY_ENOTASK);
    logs("cosy_yield");
}
END_TEST

/* A loop that is closed under sleeping tasks lets go of their timers. */
START_TEST(a_closed_loop_forgets_its_sleepers)
{
    cosy_loop *loop;
    begin_test();
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *tasks[20];
    for (int i = 0; i < 20; i++)
        tasks[i] = cosy_create_task_with((.loop = loop), give_later, i % 2 ? COSY_S(1000) : COSY_NS(1), 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    logs("Task was destroyed but it is pending");
    for (int i = 0; i < 20; i++) {
        ck_assert(cosy_task_done(tasks[i]));
        cosy_task_drop(tasks[i]);
    }
    cosy_loop_free(loop);
}
END_TEST

static int sleep_a_little(void)
{
    for (int i = 0; i < 3; i++)
        cosy_try(cosy_sleep(COSY_US(10)));
    return 0;
}

static int sleep_in_a_run(void)
{
    return cosy_run(sleep_a_little);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(sleep_in_a_run);
}
END_TEST

TESTS_MAIN("sleep", sleeps_at_least_the_delay, sleep_until_reaches_the_moment, no_delay_is_one_turn_without_a_timer,
           yielding_tasks_take_turns, equal_deadlines_wake_in_the_order_given, sleeps_run_side_by_side,
           a_cancel_ends_the_sleep_and_its_timer, a_cancel_before_the_first_step_never_sleeps,
           a_cancel_of_itself_meets_the_next_sleep, a_cancel_taken_back_in_time_is_not_met,
           a_cancel_after_the_timer_fired_wins, a_cancel_in_the_turn_of_the_timer_takes_the_timer_back,
           for_ever_ends_by_a_cancel_alone, a_wait_outside_a_task_is_an_error, a_closed_loop_forgets_its_sleepers,
           no_memory_is_an_error_and_leaves_nothing)
