/* Tests of timeouts: what expires, whose cancel wins, states and misuse. Names in comments are those of the tests in
 * CPython's test_timeouts.py for the same behaviour. */
#include "flow_test.h"

#define LONG COSY_S(1000)

TASK_TEST(a_long_wait_times_out) /* test_timeout_basic, test_waiter_cancelled */
{
    cosy_timeout timeout = {0};
    cosy_ns before = now();
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_MS(5)), 0);
    ck_assert_int_ge(cosy_timeout_when(&timeout), before + COSY_MS(5));
    ck_assert(!cosy_timeout_expired(&timeout));
    int inside = cosy_sleep(LONG);
    ck_assert_int_eq(inside, -ECANCELED);
    ck_assert(cosy_timeout_expired(&timeout));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 1);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, inside), -ETIMEDOUT);
    ck_assert(cosy_timeout_expired(&timeout));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_ge(now() - before, COSY_MS(5));
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(5));
    ck_assert_int_eq(cosy_sleep(1), 0); /* nothing of it is left */
    return 0;
}

TASK_TEST(a_moment_as_the_limit) /* test_timeout_at_basic */
{
    cosy_timeout timeout = {0};
    cosy_ns when = now() + COSY_MS(2);
    ck_assert_int_eq(cosy_timeout_enter_at(&timeout, when), 0);
    ck_assert_int_eq(cosy_timeout_when(&timeout), when);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(LONG)), -ETIMEDOUT);
    ck_assert_int_ge(now(), when);
    return 0;
}

TASK_TEST(what_ends_in_time_is_left_alone) /* test_timeout_not_called */
{
    cosy_timeout timeout = {0};
    size_t before = timers();
    ck_assert_int_eq(cosy_timeout_enter(&timeout, LONG), 0);
    ck_assert_uint_eq(timers(), before + 1);
    ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, 7), 7);
    ck_assert(!cosy_timeout_expired(&timeout));
    ck_assert_uint_eq(timers(), before);
    return 0;
}

TASK_TEST(never_is_no_limit) /* test_timeout_disabled, test_timeout_at_disabled */
{
    for (int at = 0; at < 2; at++) {
        cosy_timeout timeout = {0};
        size_t before = timers();
        ck_assert_int_eq(at ? cosy_timeout_enter_at(&timeout, COSY_NEVER) : cosy_timeout_enter(&timeout, COSY_NEVER),
                         0);
        ck_assert_int_eq(cosy_timeout_when(&timeout), COSY_NEVER);
        ck_assert_uint_eq(timers(), before);
        ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(COSY_US(10))), 0);
        ck_assert(!cosy_timeout_expired(&timeout));
    }
    cosy_timeout beyond = {0}; /* past the end of time: the same */
    ck_assert_int_eq(cosy_timeout_enter(&beyond, COSY_NEVER - 1), 0);
    ck_assert_int_eq(cosy_timeout_when(&beyond), COSY_NEVER);
    ck_assert_int_eq(cosy_timeout_exit(&beyond, 0), 0);
    return 0;
}

/* test_timeout_zero, test_timeout_zero_sleep_zero, test_timeout_in_the_past_sleep_zero */
TASK_TEST(no_time_lets_no_wait_through)
{
    cosy_ns delays[] = {0, -1, COSY_S(-11), INT64_MIN};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
        for (int zero = 0; zero < 2; zero++) {
            cosy_timeout timeout = {0};
            uint64_t before = turns();
            ck_assert_int_eq(cosy_timeout_enter(&timeout, delays[i]), 0);
            ck_assert(!cosy_timeout_expired(&timeout)); /* not inside the call */
            int inside = zero ? cosy_sleep(0) : cosy_sleep(LONG);
            ck_assert_int_eq(inside, -ECANCELED);
            ck_assert_int_eq(cosy_timeout_exit(&timeout, inside), -ETIMEDOUT);
            ck_assert_uint_eq(turns() - before, zero ? 1 : 2); /* as asyncio */
        }
    cosy_timeout past = {0};
    ck_assert_int_eq(cosy_timeout_enter_at(&past, now() - COSY_S(11)), 0);
    ck_assert_int_eq(cosy_timeout_exit(&past, cosy_sleep(0)), -ETIMEDOUT);
    return 0;
}

TASK_TEST(no_time_but_no_wait_either_is_no_timeout)
{
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, 0), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, 3), 3);
    ck_assert(!cosy_timeout_expired(&timeout));
    let_all_run(2); /* and it does not come after us */
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(another_error_passes_through) /* test_foreign_exception_passed */
{
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, LONG), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, fail_with(EIO)), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert(!cosy_timeout_expired(&timeout));
    cosy_timeout expired = {0};
    ck_assert_int_eq(cosy_timeout_enter(&expired, 0), 0);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_timeout_exit(&expired, fail_with(EIO)), -EIO); /* also after its end */
    ck_assert(cosy_timeout_expired(&expired));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(what_swallows_the_cancel_keeps_its_result)
{
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_US(10)), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, swallow(5)), 5);
    ck_assert(cosy_timeout_expired(&timeout));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(a_foreign_cancel_is_no_timeout) /* test_foreign_cancel_doesnt_timeout_if_not_expired */
{
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, LONG), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, -ECANCELED), -ECANCELED);
    ck_assert(!cosy_timeout_expired(&timeout));
    return 0;
}

static int times_out(void)
{
    cosy_timeout timeout = {0};
    cosy_try(cosy_timeout_enter(&timeout, COSY_MS(1)));
    return cosy_timeout_exit(&timeout, cosy_sleep(LONG));
}

TASK_TEST(the_task_of_a_timeout_fails_and_is_not_cancelled) /* test_outer_task_is_not_cancelled */
{
    cosy_scoped(cosy_task) task = cosy_create_task(times_out);
    ck_assert_int_eq(cosy_await(task), -ETIMEDOUT);
    ck_assert(cosy_task_done(task) && !cosy_task_cancelled(task));
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "timed out");
    return 0;
}

/* ---- one in the other ---- */

static int outer_result, inner_result;

static int nest(cosy_ns outer_at, cosy_ns inner_at, cosy_ns sleep)
{
    cosy_timeout outer = {0}, inner = {0};
    cosy_try(cosy_timeout_enter_at(&outer, outer_at));
    cosy_try(cosy_timeout_enter_at(&inner, inner_at));
    inner_result = cosy_timeout_exit(&inner, cosy_sleep(sleep));
    int rest = inner_result == -ECANCELED ? inner_result : cosy_sleep(sleep);
    outer_result = cosy_timeout_exit(&outer, rest);
    say("%s%s", cosy_timeout_expired(&outer) ? "outer" : "", cosy_timeout_expired(&inner) ? "inner" : "");
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return outer_result;
}

TASK_TEST(of_two_at_once_only_the_outer_one_times_out) /* test_nested_timeouts */
{
    cosy_ns when = now() + COSY_MS(2);
    ck_assert_int_eq(nest(when, when, LONG), -ETIMEDOUT);
    ck_assert_int_eq(inner_result, -ECANCELED);
    said("outerinner");
    return 0;
}

TASK_TEST(the_outer_one_first)
{
    cosy_ns start = now();
    ck_assert_int_eq(nest(start + COSY_MS(1), start + LONG, 2 * LONG), -ETIMEDOUT);
    ck_assert_int_eq(inner_result, -ECANCELED);
    said("outer");
    return 0;
}

TASK_TEST(the_inner_one_first_then_the_outer) /* test_nested_timeouts_loop_busy, without the busy loop */
{
    cosy_ns start = now();
    ck_assert_int_eq(nest(start + COSY_MS(60), start + COSY_MS(1), LONG), -ETIMEDOUT);
    ck_assert_int_eq(inner_result, -ETIMEDOUT);
    said("outerinner");
    return 0;
}

TASK_TEST(both_past_in_one_turn_the_outer_one_wins) /* as asyncio, when the loop was busy over both deadlines */
{
    cosy_ns start = now();
    ck_assert_int_eq(nest(start - 1, start - 2, LONG), -ETIMEDOUT);
    ck_assert_int_eq(inner_result, -ECANCELED);
    said("outerinner");
    return 0;
}

TASK_TEST(a_timeout_in_the_cleanup_of_a_timeout) /* test_nested_timeout_in_finally */
{
    cosy_timeout outer = {0}, inner = {0};
    ck_assert_int_eq(cosy_timeout_enter(&outer, COSY_MS(1)), 0);
    int body = cosy_sleep(LONG);
    ck_assert_int_eq(cosy_timeout_enter(&inner, COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_timeout_exit(&inner, cosy_sleep(LONG)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_timeout_exit(&outer, body), -ETIMEDOUT);
    return 0;
}

/* ---- cancels from elsewhere ---- */

TASK_TEST(a_timeout_after_a_cancel_that_was_handled) /* test_timeout_after_cancellation */
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, 0), 0);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(LONG)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_task_cancelling(me), 1);
    cosy_task_uncancel(me);
    return 0;
}

TASK_TEST(a_cancel_inside_after_a_cancel_before) /* test_cancel_in_timeout_after_cancellation */
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, LONG), 0);
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(2 * LONG)), -ECANCELED);
    ck_assert(!cosy_timeout_expired(&timeout));
    ck_assert_int_eq(cosy_task_cancelling(me), 2);
    while (cosy_task_uncancel(me) > 0)
        ;
    return 0;
}

/* gh-134471: asyncio's timeout(0) swallows a cancel that was asked for before and not yet met. */
TASK_TEST(a_limit_of_zero_does_not_swallow_an_earlier_cancel)
{
    cosy_task *me = cosy_current_task();
    cosy_ns delays[] = {0, -5, LONG};
    for (int i = 0; i < 3; i++) {
        cosy_timeout timeout = {0};
        cosy_task_cancel(me);
        ck_assert_int_eq(cosy_timeout_enter(&timeout, delays[i]), 0);
        ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_sleep(LONG)), -ECANCELED);
        ck_assert_int_eq(cosy_task_cancelling(me), 1);
        cosy_task_uncancel(me);
    }
    return 0;
}

static int limited_at(cosy_ns when)
{
    cosy_timeout timeout = {0};
    cosy_try(cosy_timeout_enter_at(&timeout, when));
    return cosy_timeout_exit(&timeout, cosy_sleep(LONG));
}

static cosy_task *victim;

static void cancel_victim(void *arg)
{
    (void)arg;
    ck_assert(cosy_task_cancel(victim));
}

TASK_TEST(a_cancel_and_the_timeout_in_one_turn_is_a_cancel)
{
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        cosy_ns when = now() + COSY_MS(30);
        victim = cosy_create_task(limited_at, when);
        if (!cancel_first)
            let_all_run(1);
        ck_assert_int_eq(cosy_call_at(loop_now(), when, cancel_victim, NULL, NULL), 0);
        ck_assert_int_eq(cosy_await(victim), -ECANCELED);
        ck_assert(cosy_task_cancelled(victim));
        cosy_task_drop(victim);
    }
    return 0;
}

static int wait_twice(void)
{
    cosy_timeout timeout = {0};
    cosy_try(cosy_timeout_enter(&timeout, COSY_MS(2)));
    int first = cosy_sleep(LONG);
    say("first %s", cosy_errname(first));
    int second = cosy_sleep(LONG);
    say("second %s", cosy_errname(second));
    return cosy_timeout_exit(&timeout, second);
}

TASK_TEST(a_timeout_and_later_a_cancel_is_a_cancel)
{
    cosy_scoped(cosy_task) task = cosy_create_task(wait_twice);
    while (!trace[0])
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("first ECANCELED second ECANCELED");
    return 0;
}

/* ---- moving it ---- */

static cosy_timeout *moved;

static int limited_far_away(cosy_ns when)
{
    cosy_timeout timeout = {0};
    cosy_try(cosy_timeout_enter_at(&timeout, when));
    moved = &timeout;
    int result = cosy_timeout_exit(&timeout, cosy_sleep(LONG));
    say("%s", cosy_timeout_expired(&timeout) ? "expired" : "not expired");
    return result;
}

TASK_TEST(the_limit_moves) /* test_reschedule */
{
    size_t before = timers();
    cosy_ns first = now() + COSY_S(100), second = first + COSY_S(20);
    cosy_scoped(cosy_task) task = cosy_create_task(limited_far_away, first);
    let_all_run(1);
    ck_assert_int_eq(cosy_timeout_when(moved), first);
    ck_assert_int_eq(cosy_timeout_reschedule(moved, second), 0);
    ck_assert_int_eq(cosy_timeout_when(moved), second);
    ck_assert_uint_eq(timers(), before + 2);
    ck_assert_int_eq(cosy_timeout_reschedule(moved, COSY_NEVER), 0);
    ck_assert_int_eq(cosy_timeout_when(moved), COSY_NEVER);
    ck_assert_uint_eq(timers(), before + 1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("not expired");
    return 0;
}

TASK_TEST(the_limit_moves_to_the_past)
{
    cosy_scoped(cosy_task) task = cosy_create_task(limited_far_away, now() + COSY_S(100));
    let_all_run(1);
    ck_assert_int_eq(cosy_timeout_reschedule(moved, now() - 1), 0);
    ck_assert_int_eq(cosy_await(task), -ETIMEDOUT);
    said("expired");
    cosy_scoped(cosy_task) other = cosy_create_task(limited_far_away, COSY_NEVER);
    let_all_run(1);
    ck_assert_int_eq(cosy_timeout_reschedule(moved, now() - 1), 0);
    ck_assert_int_eq(cosy_timeout_reschedule(moved, now() + COSY_S(500)), 0); /* and back in time */
    let_all_run(3);
    ck_assert(!cosy_task_done(other));
    ck_assert_int_eq(cosy_timeout_reschedule(moved, now() + COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_await(other), -ETIMEDOUT);
    said("expired");
    return 0;
}

/* ---- misuse ---- */

/* test_timeout_already_entered, test_timeout_double_enter, test_timeout_finished, test_timeout_expired,
 * test_timeout_expiring, test_timeout_not_entered */
TASK_TEST(wrong_states_are_errors)
{
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_reschedule(&timeout, now()), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, 0), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_US(1)), 0);
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_US(1)), -COSY_EINVALIDSTATE);
    int inside = cosy_sleep(LONG);
    ck_assert_int_eq(cosy_timeout_reschedule(&timeout, now() + LONG), -COSY_EINVALIDSTATE); /* expiring */
    ck_assert_int_eq(cosy_timeout_exit(&timeout, inside), -ETIMEDOUT);
    ck_assert_int_eq(cosy_timeout_reschedule(&timeout, now() + LONG), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, 0), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_timeout_enter(&timeout, 1), -COSY_EINVALIDSTATE);
    cosy_timeout finished = {0};
    ck_assert_int_eq(cosy_timeout_enter(&finished, LONG), 0);
    ck_assert_int_eq(cosy_timeout_exit(&finished, 0), 0);
    ck_assert_int_eq(cosy_timeout_reschedule(&finished, now()), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_timeout_enter(&finished, 1), -COSY_EINVALIDSTATE);
    return 0;
}

START_TEST(outside_a_task_is_an_error) /* test_timeout_without_task */
{
    begin_test();
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, 1), -COSY_ENOTASK);
    logs("cosy_timeout_enter");
    ck_assert_int_eq(cosy_timeout_enter_at(&timeout, 1), -COSY_ENOTASK);
    logs("cosy_timeout_enter_at");
    int err = 0;
    COSY_TIMEOUT (err, COSY_S(1))
        ck_abort_msg("entered");
    ck_assert_int_eq(err, -COSY_ENOTASK);
    logs("cosy_timeout_enter");
}
END_TEST

/* ---- the block ---- */

TASK_TEST(a_block_in_time_and_out_of_time)
{
    int err = 0, reached = 0;
    COSY_TIMEOUT (err, LONG) {
        cosy_check(err, cosy_sleep(COSY_US(10)));
        reached++;
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(reached, 1);
    COSY_TIMEOUT (err, COSY_MS(1)) {
        cosy_check(err, cosy_sleep(LONG));
        reached++;
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_int_eq(reached, 1);
    COSY_TIMEOUT (err, LONG)
        cosy_check(err, fail_with(EIO));
    ck_assert_int_eq(err, -EIO);
    return 0;
}

/* break and continue inside belong to the block, those of the loop around it stay its own. */
TASK_TEST(a_block_left_by_break_and_continue)
{
    size_t before = timers();
    for (int i = 0; i < 4; i++) {
        int err = 0;
        COSY_TIMEOUT (err, LONG) {
            if (i == 1)
                break;
            if (i == 2)
                continue;
            say("in%d", i);
        }
        ck_assert_int_eq(err, 0);
        if (i == 0)
            continue;
        say("after%d", i);
        if (i == 3)
            break;
    }
    said("in0 after1 after2 in3 after3");
    ck_assert_uint_eq(timers(), before);
    return 0;
}

static int left_by_return(int *ret_err)
{
    COSY_TIMEOUT (*ret_err, LONG) {
        cosy_try(cosy_sleep(1));
        return 42;
    }
    return -1;
}

static int left_by_goto(void)
{
    int err = 0;
    COSY_TIMEOUT (err, LONG) {
        goto out;
    }
    return -1;
out:
    return err;
}

TASK_TEST(a_block_left_by_return_and_goto_is_closed)
{
    size_t before = timers();
    int err = 5;
    ck_assert_int_eq(left_by_return(&err), 42);
    ck_assert_int_eq(left_by_goto(), 0);
    ck_assert_uint_eq(timers(), before);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

static int tried_in_a_block(cosy_ns limit, cosy_ns time, int *ret_err)
{
    COSY_TIMEOUT (*ret_err, limit) {
        return cosy_try(cosy_sleep(time));
    }
    return -1;
}

static int returned_from_a_block(cosy_ns limit, int *ret_err)
{
    COSY_TIMEOUT (*ret_err, limit) {
        return cosy_sleep(LONG);
    }
    return -1;
}

/* The function's result is settled before the block ends: cosy_try foresees what the end will come to, a plain return
 * does not. */
TASK_TEST(cosy_try_leaves_a_block_that_timed_out_with_a_timeout)
{
    size_t before = timers();
    int err = 5;
    ck_assert_int_eq(tried_in_a_block(LONG, 1, &err), 0);
    ck_assert_int_eq(tried_in_a_block(COSY_MS(1), LONG, &err), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "timed out");
    ck_assert_int_eq(returned_from_a_block(COSY_MS(1), &err), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_uint_eq(timers(), before);
    return 0;
}

static int tried_in_two_blocks(cosy_ns outer_at, cosy_ns inner_at, bool let_both_expire)
{
    int outer, inner;
    COSY_TIMEOUT_AT (outer, outer_at)
        COSY_TIMEOUT_AT (inner, inner_at) {
            int result = cosy_sleep(LONG);
            cosy_try(let_both_expire ? cosy_sleep(LONG) : result);
        }
    return -1;
}

static int tried_under_a_cancel(void)
{
    int err;
    COSY_TIMEOUT (err, COSY_MS(1)) {
        if (cosy_sleep(LONG) == -ECANCELED) /* by the limit */
            cosy_try(cosy_sleep(LONG));     /* by somebody else */
    }
    return -1;
}

static int failed_in_a_block(void)
{
    int err;
    COSY_TIMEOUT (err, COSY_MS(1)) {
        if (cosy_sleep(LONG) == -ECANCELED)
            cosy_try(fail_with(EIO));
    }
    return -1;
}

/* As cosy_timeout_exit would say it of each, innermost first. */
TASK_TEST(cosy_try_out_of_several_blocks_and_under_a_cancel)
{
    cosy_ns at = now() + COSY_MS(5);
    ck_assert_int_eq(tried_in_two_blocks(at, at + LONG, false), -ETIMEDOUT);
    at = now() + COSY_MS(5);
    ck_assert_int_eq(tried_in_two_blocks(at + LONG, at, false), -ETIMEDOUT);
    at = now() + COSY_MS(5);
    ck_assert_int_eq(tried_in_two_blocks(at, at + COSY_MS(5), true), -ETIMEDOUT);
    at = now() + COSY_MS(5);
    ck_assert_int_eq(tried_in_two_blocks(at, at, false), -ETIMEDOUT);
    ck_assert_int_eq(failed_in_a_block(), -EIO);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(tried_under_a_cancel);
    ck_assert_int_eq(cosy_sleep(COSY_MS(20)), 0);
    cosy_task_cancel_with(task, "stop");
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_yield(), 0);
    return 0;
}

TASK_TEST(blocks_inside_blocks)
{
    int outer = 0, inner = 0, other = 0;
    COSY_TIMEOUT (outer, LONG) {
        COSY_TIMEOUT (inner, COSY_MS(1)) {
            COSY_TIMEOUT (other, LONG)
                cosy_check(other, cosy_sleep(LONG));
            cosy_check(inner, other);
        }
        say("goes on");
    }
    ck_assert_int_eq(outer, 0);
    ck_assert_int_eq(inner, -ETIMEDOUT);
    ck_assert_int_eq(other, -ECANCELED);
    said("goes on");
    return 0;
}

/* checklist row 34: a timeout around a group cancels all of it */
TASK_TEST(a_timeout_around_a_group) /* test_timeout_taskgroup in spirit */
{
    int err = 0;
    COSY_TIMEOUT (err, COSY_MS(1)) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, slow_cleanup, COSY_MS(1), "a");
        cosy_task_group_create_task(group, slow_cleanup, COSY_MS(2), "b");
        cosy_check(err, cosy_task_group_wait(group));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    said("a cleaned b cleaned");
    return 0;
}

static int limits_in_a_task(void)
{
    int err = 0;
    COSY_TIMEOUT (err, COSY_US(50))
        cosy_check(err, cosy_sleep(LONG));
    if (err != -ETIMEDOUT)
        return err;
    cosy_timeout timeout = {0};
    cosy_try(cosy_timeout_enter(&timeout, LONG));
    int moved_it = cosy_timeout_reschedule(&timeout, cosy_loop_time(cosy_running_loop()) + 2 * LONG);
    return cosy_timeout_exit(&timeout, moved_it);
}

static int limits_in_a_run(void)
{
    return cosy_run(limits_in_a_task);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(limits_in_a_run);
}
END_TEST

TESTS_MAIN("timeout", a_long_wait_times_out, a_moment_as_the_limit, what_ends_in_time_is_left_alone, never_is_no_limit,
           no_time_lets_no_wait_through, no_time_but_no_wait_either_is_no_timeout, another_error_passes_through,
           what_swallows_the_cancel_keeps_its_result, a_foreign_cancel_is_no_timeout,
           the_task_of_a_timeout_fails_and_is_not_cancelled, of_two_at_once_only_the_outer_one_times_out,
           the_outer_one_first, the_inner_one_first_then_the_outer, both_past_in_one_turn_the_outer_one_wins,
           a_timeout_in_the_cleanup_of_a_timeout, a_timeout_after_a_cancel_that_was_handled,
           a_cancel_inside_after_a_cancel_before, a_limit_of_zero_does_not_swallow_an_earlier_cancel,
           a_cancel_and_the_timeout_in_one_turn_is_a_cancel, a_timeout_and_later_a_cancel_is_a_cancel, the_limit_moves,
           the_limit_moves_to_the_past, wrong_states_are_errors, outside_a_task_is_an_error,
           a_block_in_time_and_out_of_time, a_block_left_by_break_and_continue,
           a_block_left_by_return_and_goto_is_closed, cosy_try_leaves_a_block_that_timed_out_with_a_timeout,
           cosy_try_out_of_several_blocks_and_under_a_cancel, blocks_inside_blocks, a_timeout_around_a_group,
           no_memory_is_an_error_and_leaves_nothing)
