/* Tests of task groups: children without a handle, children that say when they are ready, errors filtered and split. */
#include "flow_test.h"

#define LONG COSY_S(1000)

/* ---- without a handle ---- */

static int count_down(int *left, cosy_weak *ret_me)
{
    --*left;
    *ret_me = cosy_task_weak(cosy_current_task());
    return 0;
}

static bool is_kept(cosy_weak weak)
{
    cosy_scoped(cosy_task) task = cosy_weak_task(weak);
    return task != NULL;
}

TASK_TEST(a_group_keeps_nothing_of_children_that_ended_well) /* test_taskgroup_23 */
{
    int left = 50;
    cosy_weak weak;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    while (left > 0) {
        ck_assert_int_eq(cosy_task_group_spawn(group, count_down, &left, &weak), 0);
        let_all_run(2);
        ck_assert(!is_kept(weak));
    }
    ck_assert_ptr_nonnull(cosy_task_group_create_task(group, count_down, &left, &weak));
    let_all_run(2);
    ck_assert(is_kept(weak)); /* a handle: until the group is dropped */
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    return 0;
}

static const char *named;

static int tell_name(void)
{
    named = cosy_task_name(cosy_current_task());
    say("%s", named);
    return 0;
}

TASK_TEST(spawned_children_are_members_like_others)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_spawn_with(group, (.name = "probe"), tell_name), 0);
    ck_assert_int_eq(cosy_task_group_spawn_with(group, (.name = "bad"), fail_later, COSY_US(10), EIO), 0);
    ck_assert_int_eq(cosy_task_group_spawn(group, slow_cleanup, COSY_US(10), "other"), 0);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    said("probe other cleaned");
    struct cosy_group_error error;
    ck_assert_uint_eq(cosy_task_group_errors(group, 0, &error, 1), 1);
    ck_assert_str_eq(error.task, "bad");
    ck_assert_str_eq(error.message, "as asked");
    ck_assert_int_eq(cosy_task_group_spawn(group, give, 1), -COSY_EINVALIDSTATE); /* and the call is closed: LSan would tell */
    ck_assert_int_eq(cosy_task_group_spawn(NULL, give, 1), cosy_task_group_wait(NULL));
    return 0;
}

TASK_TEST(an_eager_child_without_a_handle_may_end_at_once)
{
    int left = 1;
    cosy_weak weak;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_spawn_with(group, (.eager_start = true), count_down, &left, &weak), 0);
    ck_assert_int_eq(left, 0);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    return 0;
}

/* ---- ready ---- */

static int server(int port, int result)
{
    cosy_try(cosy_sleep(COSY_US(10)));
    ck_assert_int_eq(cosy_started(port), 0);
    ck_assert_int_eq(cosy_started(port), -COSY_EINVALIDSTATE);
    say("ready");
    cosy_try(cosy_sleep(COSY_US(10)));
    say("ends");
    return result;
}

TASK_TEST(start_waits_until_the_child_is_ready)
{
    int64_t port = 0;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_start(group, &port, server, 8080, 0), 0);
    ck_assert_int_eq(port, 8080);
    said("ready");
    ck_assert_int_eq(cosy_task_group_start_with(group, (.name = "s", .eager_start = true), NULL, server, 1, 0), 0);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    said("ends ready ends");
    return 0;
}

TASK_TEST(after_it_was_ready_its_failure_is_the_groups)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_start(group, NULL, server, 1, -EIO), 0);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    said("ready ends");
    return 0;
}

TASK_TEST(before_that_its_failure_is_the_starters)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, give_later, COSY_MS(1), 1);
    ck_assert_int_eq(cosy_task_group_start(group, NULL, fail_later, COSY_US(10), EADDRINUSE), -EADDRINUSE);
    ck_assert_str_eq(cosy_error_message(-EADDRINUSE), "as asked");
    ck_assert_int_eq(cosy_task_group_start(group, NULL, give, 1), -COSY_EINVALIDSTATE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_EINVALIDSTATE), "ended without cosy_started"));
    ck_assert_int_eq(cosy_task_group_wait(group), 0); /* it goes on */
    ck_assert_uint_eq(cosy_task_group_error_count(group), 0);
    return 0;
}

static int start_in(cosy_task_group *group, int code)
{
    int result = cosy_task_group_start(group, NULL, swallow, code);
    say("%s", cosy_errname(result));
    return result;
}

static int late_server(void)
{
    (void)cosy_sleep(LONG);
    say("%s", cosy_errname(cosy_started(1)));
    return 0;
}

static int start_late(cosy_task_group *group)
{
    return cosy_task_group_start(group, NULL, late_server);
}

TASK_TEST(a_starter_that_is_cancelled_takes_the_child_along)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_scoped(cosy_task) starter = cosy_create_task(start_in, group, 0);
    let_all_run(3);
    cosy_task_cancel(starter);
    ck_assert_int_eq(cosy_await(starter), -ECANCELED);
    said("ECANCELED");
    cosy_scoped(cosy_task) late = cosy_create_task(start_late, group);
    let_all_run(3);
    cosy_task_cancel(late);
    ck_assert_int_eq(cosy_await(late), -ECANCELED);
    said("ECANCELED"); /* what cosy_started told the child */
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    cosy_scoped(cosy_task_group) failing = cosy_task_group_open(); /* an error in that end is not lost */
    cosy_scoped(cosy_task) other = cosy_create_task(start_in, failing, -EIO);
    let_all_run(3);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    said("ECANCELED");
    ck_assert_int_eq(cosy_task_group_wait(failing), -EIO);
    return 0;
}

static int say_ready(cosy_task **ret_me, cosy_task **to_cancel)
{
    *ret_me = cosy_current_task();
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_started(7), 0);
    cosy_task_cancel(*to_cancel);
    return cosy_sleep(COSY_US(10));
}

static int start_and_wait(cosy_task_group *group, cosy_task **child, cosy_task **me)
{
    int64_t value = 0;
    *me = cosy_current_task();
    int result = cosy_task_group_start(group, &value, say_ready, child, me);
    int next = cosy_sleep(LONG);
    say("%d %d %s", result, (int)value, cosy_errname(next));
    return next;
}

TASK_TEST(a_cancel_after_the_value_does_not_lose_it)
{
    cosy_task *child, *me;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_scoped(cosy_task) starter = cosy_create_task(start_and_wait, group, &child, &me);
    ck_assert_int_eq(cosy_await(starter), -ECANCELED);
    said("0 7 ECANCELED");
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    return 0;
}

TASK_TEST(a_group_that_fails_ends_the_start)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_later, COSY_US(10), EIO);
    int result = cosy_task_group_start(group, NULL, give_later, LONG, 1);
    ck_assert_int_eq(result, -ECANCELED);
    ck_assert_int_eq(cosy_task_group_close(group, result), -EIO);
    ck_assert_int_eq(cosy_task_group_start(group, NULL, give, 1), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_started(1), -COSY_EINVALIDSTATE); /* nobody started this one so */
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    ck_assert_int_eq(cosy_started(1), -COSY_ENOTASK);
    logs("cosy_started");
    ck_assert_int_eq(cosy_task_group_start(NULL, NULL, give, 1), -COSY_ENOTASK);
    logs("cosy_task_group_start");
}
END_TEST

static int starts_for_ever(cosy_task_group *group, cosy_future *never)
{
    return cosy_task_group_start(group, NULL, cosy_await_future_, never);
}

static int waits_for_a_starter(cosy_future *never)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, starts_for_ever, group, never);
    return cosy_task_group_wait(group);
}

START_TEST(a_loop_closed_under_a_start)
{
    for (int turns_made = 0; turns_made < 6; turns_made++) {
        begin_test();
        cosy_loop *loop;
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        cosy_future *never = cosy_future_new(loop);
        cosy_task *task = cosy_create_task_with((.loop = loop), waits_for_a_starter, never);
        for (int i = 0; i < turns_made; i++)
            cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(cosy_loop_close(loop), 0);
        cosy_task_drop(task);
        cosy_future_drop(never);
        cosy_loop_free(loop);
    }
}
END_TEST

static int start_for_starving(void)
{
    int64_t port;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    int result = cosy_task_group_start(group, &port, server, 5, 0);
    trace[0] = 0;
    if (result >= 0)
        result = cosy_task_group_spawn(group, give, 1);
    int end = cosy_task_group_close(group, result);
    trace[0] = 0;
    return end;
}

static int start_in_a_run(void)
{
    return cosy_run(start_for_starving);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(start_in_a_run);
}
END_TEST

/* ---- errors, filtered and split ---- */

TASK_TEST(errors_are_filtered_and_split_by_their_code)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    int codes[] = {-EIO, -EPERM, -EIO, -ENOENT};
    for (int i = 0; i < 4; i++)
        cosy_task_group_spawn(group, swallow, codes[i]);
    let_all_run(1);
    ck_assert_int_eq(cosy_task_group_close(group, -EPERM), -EIO);
    struct cosy_group_error errors[5];
    size_t matching;
    ck_assert_uint_eq(cosy_task_group_errors(group, -EIO, errors, 5), 2);
    ck_assert(errors[0].code == -EIO && errors[1].code == -EIO);
    ck_assert_uint_eq(cosy_task_group_errors(group, -ENOSPC, NULL, 0), 0);
    ck_assert_uint_eq(cosy_task_group_errors(group, 0, errors, 2), 5);
    ck_assert_uint_eq(cosy_task_group_split(group, -EPERM, errors, 5, &matching), 5);
    ck_assert_uint_eq(matching, 2);
    int expected[] = {-EPERM, -EPERM, -EIO, -EIO, -ENOENT};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(errors[i].code, expected[i]);
    ck_assert_str_eq(errors[1].task, ""); /* the body's comes last */
    ck_assert_uint_eq(cosy_task_group_split(NULL, -EPERM, errors, 5, NULL), 0);
    return 0;
}

TESTS_MAIN("group_start", a_group_keeps_nothing_of_children_that_ended_well, spawned_children_are_members_like_others,
           an_eager_child_without_a_handle_may_end_at_once, start_waits_until_the_child_is_ready,
           after_it_was_ready_its_failure_is_the_groups, before_that_its_failure_is_the_starters,
           a_starter_that_is_cancelled_takes_the_child_along, a_cancel_after_the_value_does_not_lose_it,
           a_group_that_fails_ends_the_start, outside_a_task_is_an_error, a_loop_closed_under_a_start,
           no_memory_is_an_error_and_leaves_nothing, errors_are_filtered_and_split_by_their_code)
