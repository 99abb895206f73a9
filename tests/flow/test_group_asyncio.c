/* Scenarios of CPython's test_taskgroups.py, named in the comments, that test_group.c and test_group_start.c do not have in another
 * form. docs/scenarios/test_taskgroups.md maps all of them. */
#include "flow_test.h"

#define LONG COSY_S(1000)

static cosy_task_group *shared;
static int nested_result;

/* ---- children ---- */

TASK_TEST(a_child_that_is_added_later) /* test_taskgroup_02, test_taskgroup_03 */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *first = cosy_task_group_create_task(group, give_later, COSY_US(300), 42);
    cosy_task *cancelled = cosy_task_group_create_task(group, give_later, LONG, 1);
    ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
    cosy_task_cancel(cancelled);
    cosy_task *second = cosy_task_group_create_task(group, give_later, COSY_US(100), 11);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    int64_t value;
    ck_assert(cosy_task_result(first, &value) == 0 && value == 42);
    ck_assert(cosy_task_result(second, &value) == 0 && value == 11);
    ck_assert(cosy_task_cancelled(cancelled));
    return 0;
}

static int heads;

static int hydra(void)
{
    heads++;
    cosy_try(cosy_sleep(COSY_US(10)));
    cosy_task_group_create_task(shared, hydra);
    cosy_task_group_create_task(shared, hydra);
    return 0;
}

static int hercules(void)
{
    while (heads < 10)
        cosy_try(cosy_sleep(COSY_US(15)));
    return cosy_fail(EIO, "slain");
}

TASK_TEST(children_that_multiply_are_all_ended) /* test_taskgroup_25 */
{
    shared = cosy_task_group_open();
    heads = 0;
    cosy_task_group_create_task(shared, hydra);
    cosy_task_group_create_task(shared, hercules);
    ck_assert_int_eq(cosy_task_group_wait(shared), -EIO);
    ck_assert_int_ge(heads, 10);
    cosy_task_group_drop(shared);
    return 0;
}

static const cosy_contextvar number = COSY_CONTEXTVAR("number", NULL);
static int numbers[3];

static int set_number(int *value)
{
    cosy_try(cosy_yield());
    return cosy_contextvar_set(&number, value, NULL);
}

static void get_number(void *ret)
{
    *(void **)ret = cosy_contextvar_get(&number);
}

static int third_task(void)
{
    return cosy_fail(EIO, "third task failed");
}

static int second_task(int eager)
{
    if (eager)
        cosy_task_group_create_task_with(shared, (.eager_start = true), third_task);
    else
        cosy_task_group_create_task(shared, third_task);
    int first = cosy_yield(), second = first < 0 ? first : cosy_yield(), third = second < 0 ? second : cosy_yield();
    ck_assert_int_eq(third, -ECANCELED);
    say("cancelled");
    return 0;
}

TASK_TEST(a_child_made_by_a_child_in_the_making) /* test_cancels_task_if_created_during_creation */
{
    for (int eager = 0; eager < 2; eager++) {
        shared = cosy_task_group_open();
        cosy_task_group_create_task_with(shared, (.eager_start = eager), second_task, eager);
        int result = cosy_task_group_wait(shared);
        ck_assert_int_eq(result, -EIO);
        cosy_task_group_drop(shared);
        said("cancelled");
        ck_assert_int_eq(cosy_yield(), 0); /* test_cancellation_does_not_leak_out_of_tg */
    }
    return 0;
}

/* ---- cancelled from outside, and errors on the way ---- */

static int fail_in_cleanup(int depth, int sibling)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    if (depth > 0) {
        if (sibling)
            cosy_task_group_create_task(group, give_later, LONG, 1);
        return cosy_task_group_close(group, fail_in_cleanup(depth - 1, sibling));
    }
    for (int i = 0; i < 5; i++)
        cosy_task_group_create_task(group, swallow, -EIO);
    return cosy_task_group_close(group, cosy_sleep(LONG));
}

TASK_TEST(an_error_in_the_cleanup_after_a_cancel) /* test_taskgroup_08, test_taskgroup_11, test_taskgroup_12 */
{
    for (int depth = 0; depth < 3; depth++)
        for (int sibling = 0; sibling < 2; sibling++) {
            cosy_scoped(cosy_task) task = cosy_create_task(fail_in_cleanup, depth, sibling);
            let_all_run(3);
            cosy_task_cancel(task);
            ck_assert_int_eq(cosy_await(task), -EIO);
        }
    return 0;
}

static int body_cleans_slowly(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_later, COSY_US(300), EIO);
    int body = cosy_sleep(LONG);
    (void)cosy_sleep(LONG); /* the failure of the child ends that */
    return cosy_task_group_close(group, body);
}

static int await_the_slow_one(void)
{
    cosy_scoped(cosy_task) task = cosy_create_task(body_cleans_slowly);
    return cosy_await(task);
}

TASK_TEST(a_child_fails_in_the_cleanup_of_a_cancelled_body) /* test_taskgroup_15, test_taskgroup_16 */
{
    cosy_scoped(cosy_task) direct = cosy_create_task(body_cleans_slowly);
    cosy_scoped(cosy_task) nested = cosy_create_task(await_the_slow_one);
    let_all_run(3);
    cosy_task_cancel(direct);
    cosy_task_cancel(nested);
    ck_assert_int_eq(cosy_await(direct), -EIO);
    ck_assert_int_eq(cosy_await(nested), -EIO);
    return 0;
}

static int body_fails_when_cancelled(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    int body = cosy_sleep(LONG);
    say("%s", cosy_errname(body));
    return cosy_task_group_close(group, -EPERM);
}

TASK_TEST(a_cancelled_body_that_fails_of_its_own) /* test_taskgroup_18; test_taskgroup_17 without the error of its own */
{
    cosy_scoped(cosy_task) task = cosy_create_task(body_fails_when_cancelled);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -EPERM);
    ck_assert(!cosy_task_cancelled(task));
    said("ECANCELED");
    return 0;
}

/* test_taskgroup_19, 20a, 21a, test_taskgroup_context_manager_exit_raises */
TASK_TEST(a_body_whose_cleanup_fails_after_a_child_did)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_later, COSY_US(10), EIO);
    ck_assert_int_eq(cosy_task_group_close(group, swallow(-EPERM)), -EIO);
    struct cosy_group_error errors[2];
    ck_assert_uint_eq(cosy_task_group_errors(group, 0, errors, 2), 2);
    ck_assert(errors[0].code == -EIO && errors[1].code == -EPERM);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

static int fails_and_is_cancelled(cosy_task **ret_me)
{
    *ret_me = cosy_current_task();
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_with, EIO);
    int result = cosy_task_group_close(group, cosy_sleep(LONG));
    say("%s %d", cosy_errname(result), cosy_task_cancelling(cosy_current_task()));
    result = cosy_sleep(LONG);
    say("%s", cosy_errname(result));
    return result;
}

TASK_TEST(a_failure_and_a_cancel_together) /* test_error_and_cancel */
{
    cosy_task *it;
    cosy_scoped(cosy_task) task = cosy_create_task(fails_and_is_cancelled, &it);
    let_all_run(1);
    ck_assert_int_eq(cosy_task_cancelling(task), 0);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("EIO 1 ECANCELED");
    return 0;
}

static int limited_group(void)
{
    int err = 0;
    COSY_TIMEOUT(err, COSY_US(10)) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, swallow, -EIO);
        nested_result = cosy_task_group_close(group, cosy_sleep(LONG));
        cosy_check(err, nested_result);
    }
    return err;
}

TASK_TEST(a_child_that_fails_because_of_a_timeout) /* test_timeouts: test_timeout_taskgroup */
{
    ck_assert_int_eq(limited_group(), -EIO);
    ck_assert_int_eq(nested_result, -EIO);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

/* ---- cosy_task_group_cancel ---- */

static int refused(void)
{
    ck_abort();
}

TASK_TEST(a_group_cancelled_at_once_takes_no_children) /* test_taskgroup_cancel_before_create_task */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_cancel(group);
    ck_assert_ptr_null(cosy_task_group_create_task(group, refused));
    ck_assert_int_eq(cosy_await((cosy_task *)NULL), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    return 0;
}

static int cancels_in_body(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, gated_cleanup, "child");
    cosy_try(cosy_yield());
    cosy_task_group_cancel(group);
    return cosy_task_group_wait(group);
}

TASK_TEST(a_cancel_while_a_cancelled_group_waits) /* test_taskgroup_cancel_keeps_outer_cancellation, gh-155433 */
{
    cosy_scoped(cosy_task) task = cosy_create_task(cancels_in_body);
    let_all_run(5);
    cosy_task_cancel_with(task, "message");
    gate_open = true;
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_str_eq(cosy_task_cancel_reason(task), "message");
    said("child cleaned");
    return 0;
}

static int cancel_from_below(int depth)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    if (depth == 0) {
        cosy_task_group_cancel(shared);
        return cosy_task_group_close(group, cosy_sleep(LONG));
    }
    cosy_task_group_create_task(group, cancel_from_below, depth - 1);
    return cosy_task_group_wait(group);
}

TASK_TEST(a_grandchild_cancels_the_group)
{
    shared = cosy_task_group_open();
    cosy_task_group_create_task(shared, cancel_from_below, 3);
    ck_assert_int_eq(cosy_task_group_wait(shared), 0);
    cosy_task_group_drop(shared);
    return 0;
}

TASK_TEST(children_in_a_context_that_is_given) /* test_taskgroup_task_context */
{
    cosy_context *context = cosy_context_copy();
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 1; i < 3; i++) {
        cosy_task *task = cosy_task_group_create_task_with(group, (.context = context), set_number, &numbers[i]);
        ck_assert_int_eq(cosy_await(task), 0);
        void *value = NULL;
        cosy_context_run(context, get_number, &value);
        ck_assert_ptr_eq(value, &numbers[i]);
    }
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    cosy_context_drop(context);
    return 0;
}

TESTS_MAIN("group_asyncio", a_child_that_is_added_later, children_that_multiply_are_all_ended,
           a_child_made_by_a_child_in_the_making, an_error_in_the_cleanup_after_a_cancel,
           a_child_fails_in_the_cleanup_of_a_cancelled_body, a_cancelled_body_that_fails_of_its_own,
           a_body_whose_cleanup_fails_after_a_child_did, a_failure_and_a_cancel_together,
           a_child_that_fails_because_of_a_timeout, a_group_cancelled_at_once_takes_no_children,
           a_cancel_while_a_cancelled_group_waits, a_grandchild_cancels_the_group,
           children_in_a_context_that_is_given)
