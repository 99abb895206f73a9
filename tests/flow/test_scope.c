/* Tests of cancel scopes: what is cancelled, whose cancel it was, deadlines, nesting, misuse. Shields and sticky ones
 * have files of their own. */
#include "flow_test.h"

#define LONG COSY_S(1000)

TASK_TEST(left_in_time_it_changes_nothing)
{
    size_t before = timers();
    cosy_scope scope = {.after = LONG};
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    ck_assert_ptr_eq(cosy_current_scope(), &scope);
    ck_assert_uint_eq(timers(), before + 1);
    ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
    ck_assert_int_eq(cosy_scope_exit(&scope, 7), 7);
    ck_assert_ptr_null(cosy_current_scope());
    ck_assert_uint_eq(timers(), before);
    ck_assert(!cosy_scope_cancel_called(&scope) && !cosy_scope_cancelled_caught(&scope));
    int err = -1;
    COSY_SCOPE (err, .shield = true)
        ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(err, 0);
    return 0;
}

TASK_TEST(a_deadline_moves_on)
{
    cosy_ns start = now();
    int err;
    bool seen = false;
    COSY_MOVE_ON_AFTER (err, COSY_MS(2)) {
        cosy_check(err, cosy_sleep(LONG));
        seen = true;
    }
    ck_assert(err == 0 && !seen);
    ck_assert_int_ge(now() - start, COSY_MS(2));
    if (simulated())
        ck_assert_int_eq(now() - start, COSY_MS(2));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

TASK_TEST(a_deadline_fails)
{
    int err;
    COSY_FAIL_AFTER (err, COSY_US(10))
        cosy_check(err, cosy_sleep(LONG));
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "timed out");
    COSY_FAIL_AFTER (err, LONG) {
        cosy_scope_cancel(cosy_current_scope()); /* no deadline: no failure */
        cosy_check(err, cosy_sleep(LONG));
    }
    ck_assert_int_eq(err, 0);
    COSY_FAIL_AFTER (err, LONG)
        cosy_check(err, fail_with(EIO));
    ck_assert_int_eq(err, -EIO);
    return 0;
}

static int tried_in_a_scope(bool fail, bool cancel)
{
    int err;
    COSY_SCOPE (err, .after = cancel ? LONG : COSY_US(10), .fail = fail) {
        if (cancel)
            cosy_scope_cancel(cosy_current_scope());
        cosy_try(cosy_sleep(LONG));
    }
    return -1;
}

/* What goes on behind the block goes on there only: a function that is left is cancelled, or has timed out. */
TASK_TEST(cosy_try_leaves_a_scope_and_its_function)
{
    ck_assert_int_eq(tried_in_a_scope(true, false), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "timed out");
    ck_assert_int_eq(tried_in_a_scope(true, true), -ECANCELED);
    ck_assert_int_eq(tried_in_a_scope(false, false), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_ptr_null(cosy_current_scope());
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

TASK_TEST(a_deadline_that_has_passed_lets_no_wait_through)
{
    cosy_ns delays[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        int err;
        uint64_t before = turns();
        COSY_MOVE_ON_AFTER (err, delays[i]) {
            ck_assert_int_eq(cosy_current_effective_deadline(), INT64_MIN);
            ck_assert_int_eq(cosy_yield(), -ECANCELED);
            err = -ECANCELED;
        }
        ck_assert_int_eq(err, 0);
        ck_assert_uint_le(turns(), before + 1);
        COSY_FAIL_AFTER (err, delays[i])
            err = 5; /* nothing waits: nothing is cancelled */
        ck_assert_int_eq(err, 5);
        ck_assert_int_eq(cosy_sleep(1), 0);
    }
    cosy_scope past = {.deadline = now() - 1};
    ck_assert_int_eq(cosy_scope_enter(&past), 0);
    ck_assert_int_eq(cosy_scope_exit(&past, cosy_sleep(LONG)), 0);
    ck_assert(cosy_scope_cancelled_caught(&past));
    return 0;
}

static int sleeps_in(cosy_scope *scope, int *ret_inside)
{
    int err;
    COSY_SCOPE_WITH (err, scope)
        *ret_inside = err = cosy_sleep(LONG);
    int next = cosy_sleep(1);
    say("%s %s", cosy_errname(next), cosy_scope_cancelled_caught(scope) ? "caught" : "not caught");
    return next < 0 ? next : err;
}

TASK_TEST(another_task_cancels_it)
{
    cosy_scope scope = {0};
    int inside = 0;
    cosy_scoped(cosy_task) task = cosy_create_task(sleeps_in, &scope, &inside);
    let_all_run(1);
    ck_assert(cosy_scope_cancel(&scope) && cosy_scope_cancel(&scope));
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    ck_assert_int_eq(cosy_await(task), 0);
    ck_assert_int_eq(inside, -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(task), 0);
    ck_assert(!cosy_scope_cancel(&scope)); /* left */
    ck_assert(cosy_scope_cancel_called(&scope));
    said("0 caught");
    return 0;
}

TASK_TEST(cancelled_before_it_is_entered)
{
    cosy_scope scope = {0};
    int inside = 0;
    ck_assert(cosy_scope_cancel(&scope));
    ck_assert_int_eq(sleeps_in(&scope, &inside), 0);
    ck_assert_int_eq(inside, -ECANCELED);
    said("0 caught");
    return 0;
}

TASK_TEST(a_cancel_that_no_wait_met_ends_with_the_scope)
{
    cosy_scope scope = {0};
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    cosy_scope_cancel(&scope);
    ck_assert_int_eq(cosy_scope_exit(&scope, 3), 3);
    ck_assert(!cosy_scope_cancelled_caught(&scope));
    ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(only_one_wait_fails_without_sticky)
{
    cosy_scope scope = {0};
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    cosy_scope_cancel(&scope);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(cosy_scope_exit(&scope, -EIO), -EIO);
    return 0;
}

TASK_TEST(a_cancel_of_the_task_passes_on)
{
    cosy_scope scope = {.after = LONG};
    int inside = 0;
    cosy_scoped(cosy_task) task = cosy_create_task(sleeps_in, &scope, &inside);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    said("0 not caught");
    for (int task_first = 0; task_first < 2; task_first++) { /* both: the outside wins */
        cosy_scope both = {0};
        cosy_scoped(cosy_task) other = cosy_create_task(sleeps_in, &both, &inside);
        let_all_run(1);
        if (task_first)
            cosy_task_cancel(other);
        cosy_scope_cancel(&both);
        if (!task_first)
            cosy_task_cancel(other);
        ck_assert_int_eq(cosy_await(other), -ECANCELED);
        ck_assert_int_eq(cosy_task_cancelling(other), 1);
        said("0 not caught");
    }
    return 0;
}

TASK_TEST(a_cancel_asked_for_before_it_was_entered_passes_on)
{
    cosy_task *me = cosy_current_task();
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        cosy_task_cancel(me);
        cosy_scope scope = {0};
        ck_assert_int_eq(cosy_scope_enter(&scope), 0);
        if (cancelled)
            cosy_scope_cancel(&scope);
        ck_assert_int_eq(cosy_scope_exit(&scope, cosy_sleep(LONG)), -ECANCELED);
        ck_assert_int_eq(cosy_task_cancelling(me), 1);
        cosy_task_uncancel(me);
        ck_assert_int_eq(cosy_sleep(1), 0);
    }
    return 0;
}

/* ---- one in the other ---- */

TASK_TEST(the_outer_of_two_that_are_cancelled_catches)
{
    for (int which = 0; which < 3; which++) {
        cosy_scope outer = {0}, inner = {0};
        ck_assert_int_eq(cosy_scope_enter(&outer), 0);
        ck_assert_int_eq(cosy_scope_enter(&inner), 0);
        if (which != 1)
            cosy_scope_cancel(&outer);
        if (which != 0)
            cosy_scope_cancel(&inner);
        int result = cosy_scope_exit(&inner, cosy_sleep(LONG));
        ck_assert_int_eq(result, which == 1 ? 0 : -ECANCELED);
        ck_assert(cosy_scope_cancelled_caught(&inner) == (which == 1));
        ck_assert_int_eq(cosy_scope_exit(&outer, result), 0);
        ck_assert(cosy_scope_cancelled_caught(&outer) == (which != 1));
        ck_assert_int_eq(cosy_sleep(1), 0);
        ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    }
    return 0;
}

TASK_TEST(left_in_any_order) /* as a coroutine that is driven by hand may do */
{
    cosy_scope first = {0}, second = {0};
    ck_assert_int_eq(cosy_scope_enter(&first), 0);
    ck_assert_int_eq(cosy_scope_enter(&second), 0);
    ck_assert_int_eq(cosy_scope_exit(&first, 1), 1);
    ck_assert_ptr_eq(cosy_current_scope(), &second);
    cosy_scope_cancel(&second);
    ck_assert_int_eq(cosy_scope_exit(&second, cosy_sleep(LONG)), 0);
    ck_assert_ptr_null(cosy_current_scope());
    return 0;
}

static int timeout_in_scope(cosy_ns scope_after, cosy_ns limit, bool *ret_caught)
{
    cosy_scope scope = {.after = scope_after};
    int err = 0, inner = 0;
    COSY_SCOPE_WITH (err, &scope) {
        COSY_TIMEOUT (inner, limit)
            cosy_check(inner, cosy_sleep(LONG));
        err = inner;
    }
    *ret_caught = cosy_scope_cancelled_caught(&scope);
    return inner;
}

TASK_TEST(timeouts_in_scopes_and_scopes_in_timeouts)
{
    bool caught;
    ck_assert_int_eq(timeout_in_scope(LONG, COSY_US(10), &caught), -ETIMEDOUT);
    ck_assert(!caught);
    ck_assert_int_eq(timeout_in_scope(COSY_US(10), LONG, &caught), -ECANCELED);
    ck_assert(caught);
    int err = 0, inner;
    COSY_TIMEOUT (err, COSY_US(10)) {
        COSY_MOVE_ON_AFTER (inner, LONG)
            cosy_check(inner, cosy_sleep(LONG));
        cosy_check(err, inner);
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    return 0;
}

TASK_TEST(a_group_in_a_scope_is_joined)
{
    int err;
    COSY_MOVE_ON_AFTER (err, COSY_MS(1)) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, slow_cleanup, COSY_MS(1), "a");
        cosy_task_group_create_task(group, slow_cleanup, COSY_MS(2), "b");
        cosy_check(err, cosy_task_group_wait(group));
    }
    ck_assert_int_eq(err, 0);
    said("a cleaned b cleaned");
    return 0;
}

/* ---- deadlines that move ---- */

TASK_TEST(the_deadline_moves)
{
    cosy_ns start = now();
    cosy_scope scope = {.deadline = start + LONG};
    ck_assert_int_eq(cosy_scope_deadline(&scope), start + LONG);
    ck_assert_int_eq(cosy_scope_set_deadline(&scope, start + 2 * LONG), 0);
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    ck_assert_int_eq(cosy_current_effective_deadline(), start + 2 * LONG);
    ck_assert_int_eq(cosy_scope_set_deadline(&scope, COSY_NEVER), 0);
    ck_assert_int_eq(cosy_scope_deadline(&scope), COSY_NEVER);
    ck_assert_uint_eq(timers(), 0);
    ck_assert_int_eq(cosy_scope_set_deadline(&scope, start + COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_scope_set_deadline(&scope, COSY_NEVER), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_scope_exit(&scope, -ECANCELED), 0);
    ck_assert_int_eq(cosy_scope_set_deadline(&scope, COSY_NEVER), -COSY_EINVALIDSTATE);
    cosy_scope at_once = {0};
    ck_assert_int_eq(cosy_scope_enter(&at_once), 0);
    ck_assert_int_eq(cosy_scope_set_deadline(&at_once, now() - 1), 0);
    ck_assert_int_eq(cosy_scope_exit(&at_once, cosy_sleep(LONG)), 0);
    return 0;
}

/* ---- misuse, allocation, the loop's end ---- */

static int leaves_anothers(cosy_scope *scope)
{
    return cosy_scope_exit(scope, 0);
}

TASK_TEST(wrong_states_are_errors)
{
    cosy_scope scope = {0};
    ck_assert_int_eq(cosy_scope_exit(&scope, 0), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    ck_assert_int_eq(cosy_scope_enter(&scope), -COSY_EINVALIDSTATE);
    cosy_scoped(cosy_task) stranger = cosy_create_task(leaves_anothers, &scope);
    ck_assert_int_eq(cosy_await(stranger), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_scope_exit(&scope, 0), 0);
    ck_assert_int_eq(cosy_scope_exit(&scope, 0), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_scope_enter(&scope), -COSY_EINVALIDSTATE);
    ck_assert(!cosy_scope_cancel(NULL));
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    cosy_scope scope = {0};
    ck_assert_int_eq(cosy_scope_enter(&scope), -COSY_ENOTASK);
    logs("cosy_scope_enter");
    int err;
    COSY_SCOPE (err, .sticky = true)
        ck_abort();
    ck_assert_int_eq(err, -COSY_ENOTASK);
    logs("cosy_scope_enter");
    ck_assert_ptr_null(cosy_current_scope());
    ck_assert_int_eq(cosy_current_effective_deadline(), COSY_NEVER);
}
END_TEST

TASK_TEST(nothing_is_allocated)
{
    int err;
    cosy_task_set_name(cosy_current_task(), "it"); /* room for a cancel's reason is made once in a task's life */
    cosy_heap_fail_nth(1, true);
    COSY_SCOPE (err, .sticky = true) {
        COSY_SCOPE (err, .shield = true)
            err = cosy_yield();
    }
    long counted = cosy_heap_counted();
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(counted, 0);
    return 0;
}

static int limited(void)
{
    int err;
    COSY_MOVE_ON_AFTER (err, COSY_US(20)) {
        COSY_SCOPE (err, .shield = true, .grace = COSY_US(10)) {
            cosy_task_cancel(cosy_current_task());
            cosy_task_uncancel(cosy_current_task());
            cosy_check(err, cosy_sleep(COSY_US(50)));
        }
        if (err >= 0) {
            cosy_check(err, cosy_sleep(COSY_US(50)));
        }
    }
    return err;
}

static int limited_in_a_run(void)
{
    return cosy_run(limited);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(limited_in_a_run);
}
END_TEST

static int stays_inside(void)
{
    int err;
    COSY_SCOPE (err, .after = LONG, .shield = true, .grace = LONG)
        err = cosy_sleep(LONG);
    return err;
}

START_TEST(a_loop_closed_under_a_scope)
{
    begin_test();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), stays_inside);
    cosy_loop_run_once(loop, 0);
    cosy_task_cancel(task);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert(cosy_task_cancelled(task));
    logs("Task was destroyed but it is pending");
    cosy_task_drop(task);
    cosy_loop_free(loop);
}
END_TEST

TESTS_MAIN("scope", left_in_time_it_changes_nothing, a_deadline_moves_on, a_deadline_fails,
           cosy_try_leaves_a_scope_and_its_function, a_deadline_that_has_passed_lets_no_wait_through,
           another_task_cancels_it, cancelled_before_it_is_entered, a_cancel_that_no_wait_met_ends_with_the_scope,
           only_one_wait_fails_without_sticky, a_cancel_of_the_task_passes_on,
           a_cancel_asked_for_before_it_was_entered_passes_on, the_outer_of_two_that_are_cancelled_catches,
           left_in_any_order, timeouts_in_scopes_and_scopes_in_timeouts, a_group_in_a_scope_is_joined,
           the_deadline_moves, wrong_states_are_errors, outside_a_task_is_an_error, nothing_is_allocated,
           no_memory_is_an_error_and_leaves_nothing, a_loop_closed_under_a_scope)
