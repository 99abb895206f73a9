/* Tests of scopes that hold cancels back, of sticky ones, and of both under any schedule. */
#include "flow_test.h"

#define LONG COSY_S(1000)

static int shielded_cleanup(cosy_ns takes, cosy_ns grace)
{
    int err;
    COSY_SCOPE (err, .shield = true, .grace = grace) {
        cosy_check(err, cosy_sleep(takes));
        say("done");
    }
    int next = cosy_yield();
    say("%s then %s", err ? cosy_errname(err) : "0", next ? cosy_errname(next) : "0");
    return next;
}

/* ---- held back ---- */

TASK_TEST(a_cancel_waits_until_the_shield_is_left)
{
    cosy_scoped(cosy_task) task = cosy_create_task(shielded_cleanup, COSY_MS(1), 0);
    let_all_run(1);
    for (int i = 0; i < 3; i++)
        ck_assert(cosy_task_cancel_with(task, "stop"));
    ck_assert_int_eq(cosy_task_cancelling(task), 0); /* they count when they are let go */
    let_all_run(3);
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(task), 3);
    ck_assert_str_eq(cosy_task_cancel_reason(task), "stop");
    said("done 0 then ECANCELED");
    return 0;
}

TASK_TEST(a_cancel_that_was_asked_for_before_waits_too)
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    ck_assert_int_eq(shielded_cleanup(COSY_US(10), 0), -ECANCELED);
    said("done 0 then ECANCELED");
    ck_assert_int_eq(cosy_task_cancelling(me), 1);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    cosy_task_cancel(me);
    ck_assert_int_eq(shielded_cleanup(LONG, COSY_US(10)), 0); /* its grace has begun */
    said("ECANCELED then 0");
    cosy_task_uncancel(me);
    return 0;
}

TASK_TEST(a_held_cancel_can_be_taken_back)
{
    cosy_scoped(cosy_task) task = cosy_create_task(shielded_cleanup, COSY_MS(1), 0);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_task_uncancel(task), 0);
    ck_assert_int_eq(cosy_await(task), 0);
    said("done 0 then 0");
    return 0;
}

TASK_TEST(grace_bounds_the_shield)
{
    cosy_ns start = now();
    cosy_scoped(cosy_task) task = cosy_create_task(shielded_cleanup, LONG, COSY_MS(2));
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), 0);
    said("ECANCELED then 0");
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    ck_assert_int_ge(now() - start, COSY_MS(2));
    if (simulated())
        ck_assert_int_eq(now() - start, COSY_MS(2));
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

static int cleans_up(cosy_ns takes, cosy_ns grace)
{
    int result = cosy_sleep(LONG);
    (void)shielded_cleanup(takes, grace);
    return result;
}

TASK_TEST(grace_bounds_the_cleanup_of_a_cancel_that_was_met) /* which comes again after it, once */
{
    for (int slow = 0; slow < 2; slow++) {
        cosy_scoped(cosy_task) task = cosy_create_task(cleans_up, slow ? LONG : COSY_US(10), slow ? COSY_MS(1) : LONG);
        let_all_run(1);
        cosy_task_cancel(task);
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_int_eq(cosy_task_cancelling(task), 1);
        ck_assert_str_eq(trace, slow ? "ECANCELED then 0" : "done 0 then 0");
        trace[0] = 0;
    }
    return 0;
}

TASK_TEST(what_is_inside_is_cancelled_all_the_same)
{
    int err;
    cosy_scope scope = {.shield = true, .after = COSY_US(10)};
    COSY_SCOPE_WITH (err, &scope)
        cosy_check(err, cosy_sleep(LONG));
    ck_assert(err == 0 && cosy_scope_cancelled_caught(&scope));
    COSY_SCOPE (err, .shield = true)
        COSY_TIMEOUT (err, COSY_US(10))
            cosy_check(err, cosy_sleep(LONG));
    ck_assert_int_eq(err, -ETIMEDOUT);
    COSY_SCOPE (err, .shield = true) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, fail_with, EIO);
        err = cosy_task_group_close(group, cosy_sleep(LONG));
    }
    ck_assert_int_eq(err, -EIO);
    return 0;
}

static int limited_in_a_shield(void)
{
    int err;
    COSY_SCOPE (err, .shield = true) {
        cosy_check(err, cosy_sleep(COSY_MS(1)));
        COSY_FAIL_AFTER (err, COSY_MS(1))
            cosy_check(err, cosy_sleep(LONG));
    }
    say("%s", cosy_errname(err));
    return cosy_sleep(LONG);
}

TASK_TEST(a_limit_inside_does_not_take_a_held_cancel_for_its_own)
{
    cosy_scoped(cosy_task) task = cosy_create_task(limited_in_a_shield);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("ETIMEDOUT");
    return 0;
}

TASK_TEST(outer_limits_wait_for_the_shield)
{
    int err = 0, inner;
    cosy_ns start = now();
    COSY_TIMEOUT (err, COSY_US(10)) {
        COSY_SCOPE (inner, .shield = true)
            inner = cosy_sleep(COSY_MS(1));
        ck_assert_int_eq(inner, 0);
        cosy_check(err, cosy_sleep(LONG));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_int_ge(now() - start, COSY_MS(1));
    COSY_MOVE_ON_AFTER (err, COSY_US(10)) {
        COSY_SCOPE (inner, .shield = true)
            inner = cosy_sleep(COSY_MS(1));
        ck_assert_int_eq(inner, 0);
        ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 1); /* let go */
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

static int two_shields(cosy_ns outer_grace, cosy_ns inner_grace)
{
    int outer, inner = 0;
    COSY_SCOPE (outer, .shield = true, .grace = outer_grace) {
        COSY_SCOPE (inner, .shield = true, .grace = inner_grace)
            inner = cosy_sleep(COSY_MS(40));
        outer = cosy_sleep(COSY_MS(40));
    }
    int after = cosy_yield();
    say("%s %s %s", inner ? "c" : "0", outer ? "c" : "0", after ? "c" : "0");
    return 0;
}

TASK_TEST(shields_in_shields)
{
    cosy_ns graces[][2] = {{0, 0}, {COSY_MS(1), 0}, {0, COSY_MS(1)}, {COSY_MS(1), COSY_MS(30)}};
    const char *expected[] = {"0 0 c", "0 c 0", "0 0 c", "c 0 0"};
    for (int i = 0; i < 4; i++) {
        cosy_scoped(cosy_task) task = cosy_create_task(two_shields, graces[i][0], graces[i][1]);
        let_all_run(1);
        cosy_task_cancel(task);
        ck_assert_int_eq(cosy_await(task), 0);
        ck_assert_int_eq(cosy_task_cancelling(task), 1);
        ck_assert_str_eq(trace, expected[i]);
        trace[0] = 0;
    }
    return 0;
}

static int awaits(cosy_task *task)
{
    return cosy_await(task);
}

TASK_TEST(a_cancel_passed_on_meets_the_shield_of_what_is_awaited)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(shielded_cleanup, COSY_MS(1), 0);
    cosy_scoped(cosy_task) outer = cosy_create_task(awaits, inner);
    let_all_run(1);
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    said("done 0 then ECANCELED");
    return 0;
}

TASK_TEST(a_group_waits_for_its_childrens_shields)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, shielded_cleanup, COSY_MS(50), 0); /* longer than a turn on a slow machine */
    cosy_task_group_create_task(group, fail_later, 1, EIO);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    said("done 0 then ECANCELED");
    return 0;
}

static int interrupted_shield(void)
{
    int err;
    COSY_SCOPE (err, .shield = true) {
        ck_assert_int_eq(kill(getpid(), SIGINT), 0);
        cosy_check(err, cosy_sleep(COSY_MS(1)));
        say("done");
    }
    return err < 0 ? err : cosy_sleep(LONG);
}

START_TEST(ctrl_c_waits_for_the_shield)
{
    begin_test();
    signal(SIGINT, SIG_DFL); /* the test library has a handler */
    ck_assert_int_eq(cosy_run(interrupted_shield), -COSY_EINTERRUPT);
    said("done");
}
END_TEST

/* ---- sticky ---- */

TASK_TEST(every_wait_in_a_sticky_scope_fails)
{
    cosy_scope scope = {.sticky = true};
    ck_assert_int_eq(cosy_scope_enter(&scope), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    cosy_scope_cancel(&scope);
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
        ck_assert_int_eq(cosy_yield(), -ECANCELED);
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        ck_assert_int_eq(cosy_await(future), -ECANCELED);
    }
    ck_assert_int_eq(cosy_scope_exit(&scope, -ECANCELED), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

static int three_waits(cosy_scope *scope)
{
    int err;
    COSY_SCOPE_WITH (err, scope) {
        err = cosy_sleep(LONG);
        say("%s", cosy_errname(cosy_sleep(LONG)));
        COSY_SCOPE (err, .shield = true)
            err = cosy_sleep(COSY_US(10));
        say("%d", err);
        err = cosy_sleep(LONG);
    }
    int next = cosy_sleep(1);
    say("%d", next);
    return next < 0 ? next : err;
}

TASK_TEST(a_shield_in_a_sticky_scope_holds_it_back)
{
    for (int outside = 0; outside < 2; outside++) {
        cosy_scope scope = {.sticky = true};
        cosy_scoped(cosy_task) task = cosy_create_task(three_waits, &scope);
        let_all_run(1);
        cosy_scope_cancel(&scope);
        if (outside)
            cosy_task_cancel(task);
        ck_assert_int_eq(cosy_await(task), outside ? -ECANCELED : 0);
        ck_assert(cosy_scope_cancelled_caught(&scope) == !outside);
        ck_assert_int_eq(cosy_task_cancelling(task), outside);
        said("ECANCELED 0 0");
    }
    return 0;
}

TASK_TEST(a_sticky_scope_does_not_hurry_a_group) /* which waits for its children, and does not spin */
{
    int err;
    uint64_t before = turns();
    COSY_SCOPE (err, .sticky = true, .after = COSY_MS(1)) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, slow_cleanup, COSY_MS(3), "child");
        err = cosy_task_group_wait(group);
        ck_assert_int_eq(err, -ECANCELED);
        ck_assert_int_eq(cosy_gather(cosy_call(swallow, 1)), -ECANCELED);
    }
    ck_assert_int_eq(err, 0);
    ck_assert_uint_le(turns() - before, 30);
    said("child cleaned");
    return 0;
}

TASK_TEST(sticky_scopes_in_each_other)
{
    cosy_scope outer = {.sticky = true}, inner = {.sticky = true};
    ck_assert_int_eq(cosy_scope_enter(&outer), 0);
    ck_assert_int_eq(cosy_scope_enter(&inner), 0);
    cosy_scope_cancel(&inner);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_scope_exit(&inner, -ECANCELED), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    cosy_scope again = {.sticky = true};
    ck_assert_int_eq(cosy_scope_enter(&again), 0);
    cosy_scope_cancel(&outer);
    cosy_scope_cancel(&again);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_scope_exit(&again, -ECANCELED), -ECANCELED);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED); /* the outer one goes on */
    ck_assert_int_eq(cosy_scope_exit(&outer, -ECANCELED), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

/* ---- any schedule, a cancel at any moment ---- */

struct story {
    cosy_scope outer, inner;
    int cleanups;
};

/* Work in a scope, with a shielded clean-up whatever happens. */
static int work(struct story *story, int waits)
{
    int err, inner, cleanup;
    COSY_SCOPE_WITH (err, &story->outer) {
        COSY_SCOPE_WITH (inner, &story->inner) {
            for (int i = 0; i < waits && inner >= 0; i++)
                inner = i % 2 ? cosy_yield() : cosy_sleep(COSY_US(1));
        }
        COSY_SCOPE (cleanup, .shield = true) {
            cleanup = cosy_sleep(COSY_US(2));
            story->cleanups += cleanup == 0;
        }
        err = inner;
        if (err >= 0)
            err = cosy_sleep(COSY_US(1));
    }
    return err;
}

enum { STEPS = 40 };

static int disturb(struct story *story, cosy_task *task, int after, int what)
{
    for (int i = 0; i < after; i++)
        cosy_try(i % 3 ? cosy_yield() : cosy_sleep(COSY_NS(300)));
    if (what & 1)
        cosy_task_cancel(task);
    if (what & 2)
        cosy_scope_cancel(&story->outer);
    if (what & 4)
        cosy_scope_cancel(&story->inner);
    return 0;
}

static int one_story(int after, int what, bool sticky)
{
    struct story story = {.outer.sticky = sticky, .inner.sticky = sticky};
    cosy_scoped(cosy_task) task = cosy_create_task(work, &story, 6);
    cosy_scoped(cosy_task) other = cosy_create_task(disturb, &story, task, after, what);
    int result = cosy_await(task);
    cosy_task_cancel(other);
    (void)cosy_await(other);
    bool begun = story.inner.state_ != 0; /* or cancelled before its first step */
    ck_assert(begun ? story.cleanups == 1 : result == -ECANCELED);
    ck_assert_msg(result == 0 || (result == -ECANCELED && what & 1), "after %d, what %d: %d", after, what, result);
    ck_assert_int_eq(cosy_task_cancelling(task), result == -ECANCELED); /* one that came in time was met */
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

static int all_stories(void)
{
    for (int after = 0; after < STEPS; after++)
        for (int what = 0; what < 16; what++)
            cosy_try(one_story(after, what & 7, what & 8));
    return 0;
}

START_TEST(no_schedule_and_no_moment_loses_a_cancel_or_a_cleanup)
{
    begin_test();
    unsigned seeds = less_under_tool(20, 10);
    for (unsigned seed = 1; seed <= seeds; seed++) {
        int result = cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true), all_stories);
        ck_assert_msg(result == 0, "seed %u", seed);
    }
}
END_TEST

TESTS_MAIN("scope_shield", a_cancel_waits_until_the_shield_is_left, a_cancel_that_was_asked_for_before_waits_too,
           a_held_cancel_can_be_taken_back, grace_bounds_the_shield, grace_bounds_the_cleanup_of_a_cancel_that_was_met,
           what_is_inside_is_cancelled_all_the_same, a_limit_inside_does_not_take_a_held_cancel_for_its_own,
           outer_limits_wait_for_the_shield, shields_in_shields, a_cancel_passed_on_meets_the_shield_of_what_is_awaited,
           a_group_waits_for_its_childrens_shields, ctrl_c_waits_for_the_shield, every_wait_in_a_sticky_scope_fails,
           a_shield_in_a_sticky_scope_holds_it_back, a_sticky_scope_does_not_hurry_a_group, sticky_scopes_in_each_other,
           no_schedule_and_no_moment_loses_a_cancel_or_a_cleanup)
