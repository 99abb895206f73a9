/* Tests of task groups. Names in comments are those of the tests in CPython's test_taskgroups.py for the same
 * behaviour. */
#include "flow_test.h"

#define LONG COSY_S(1000)

static int set_to(int *out, int value, cosy_ns delay)
{
    cosy_try(cosy_sleep(delay));
    *out = value;
    return 0;
}

/* ---- children that do well ---- */

TASK_TEST(it_waits_for_all_of_them) /* test_taskgroup_01, test_taskgroup_02 */
{
    int a = 0, b = 0;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *first = cosy_task_group_create_task(group, set_to, &a, 1, COSY_MS(1));
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(cosy_task_group_create_task_with(group, (.name = "b"), set_to, &b, 2, COSY_MS(2)));
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert(a == 1 && b == 2);
    ck_assert(cosy_task_done(first)); /* borrowed: valid until the group is dropped */
    ck_assert_uint_eq(cosy_task_group_error_count(group), 0);
    ck_assert_int_eq(cosy_task_group_error(group, 0, NULL, NULL, NULL), -ERANGE);
    return 0;
}

TASK_TEST(without_children_there_is_nothing_to_wait_for)
{
    uint64_t before = turns();
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(as_many_turns_as_in_asyncio)
{
    uint64_t before = turns();
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, give, 1);
    cosy_task_group_create_task(group, give, 2);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert_uint_eq(turns() - before, 3);
    before = turns();
    cosy_scoped(cosy_task_group) bad = cosy_task_group_open();
    cosy_task_group_create_task(bad, fail_with, EIO);
    cosy_task_group_create_task(bad, give_later, LONG, 1);
    ck_assert_int_eq(cosy_task_group_wait(bad), -EIO);
    ck_assert_uint_eq(turns() - before, 5);
    before = turns();
    cosy_scoped(cosy_task_group) body = cosy_task_group_open();
    cosy_task_group_create_task(body, fail_with, EIO);
    ck_assert_int_eq(cosy_task_group_close(body, cosy_sleep(LONG)), -EIO);
    ck_assert_uint_eq(turns() - before, 3);
    return 0;
}

static cosy_task_group *shared;

static int add_a_sibling(int depth)
{
    say("%d", depth);
    cosy_try(cosy_yield());
    if (depth > 0)
        ck_assert_ptr_nonnull(cosy_task_group_create_task(shared, add_a_sibling, depth - 1));
    return 0;
}

TASK_TEST(children_add_children_while_it_ends) /* test_taskgroup_18, test_taskgroup_19 in spirit */
{
    shared = cosy_task_group_open();
    cosy_task_group_create_task(shared, add_a_sibling, 3);
    ck_assert_int_eq(cosy_task_group_wait(shared), 0);
    said("3 2 1 0");
    cosy_task_group_drop(shared);
    return 0;
}

TASK_TEST(many_children)
{
    int64_t sum = 0;
    int outs[150];
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < 150; i++)
        cosy_task_group_create_task(group, set_to, &outs[i], i, COSY_US(i % 10));
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    for (int i = 0; i < 150; i++)
        sum += outs[i];
    ck_assert_int_eq(sum, 150 * 149 / 2);
    return 0;
}

/* ---- failures ---- */

TASK_TEST(a_child_that_fails_cancels_its_siblings) /* test_taskgroup_03, checklist rows 35 and 36 */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *slow = cosy_task_group_create_task(group, slow_cleanup, COSY_MS(1), "slow");
    cosy_task_group_create_task_with(group, (.name = "the bad one"), fail_later, COSY_US(10), EIO);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    said("slow cleaned");
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert(cosy_task_cancelled(slow));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0); /* test_cancelling_level_preserved */
    int code = 0;
    const char *message = NULL, *name = NULL;
    ck_assert_uint_eq(cosy_task_group_error_count(group), 1);
    ck_assert_int_eq(cosy_task_group_error(group, 0, &code, &message, &name), 0);
    ck_assert_int_eq(code, -EIO);
    ck_assert_str_eq(message, "as asked");
    ck_assert_str_eq(name, "the bad one");
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

TASK_TEST(a_child_that_fails_cancels_the_body) /* test_taskgroup_04, test_taskgroup_05 */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_with, EIO);
    int body = cosy_sleep(LONG);
    ck_assert_int_eq(body, -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 1);
    ck_assert_int_eq(cosy_task_group_close(group, body), -EIO);
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

TASK_TEST(a_body_that_swallows_the_cancel_gets_the_error_all_the_same)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_with, EIO);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    return 0;
}

TASK_TEST(all_errors_are_listed) /* test_taskgroup_20, test_taskgroup_21 in spirit */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, swallow, -EPERM);
    cosy_task_group_create_task(group, fail_later, COSY_US(1), EIO);
    cosy_task_group_create_task(group, swallow, -ENOENT);
    cosy_task_group_create_task(group, swallow, 3);
    cosy_task_group_create_task(group, give_later, LONG, 1);
    ck_assert_int_eq(cosy_task_group_wait(group), -EIO);
    int expected[] = {-EIO, -EPERM, -ENOENT}, code;
    ck_assert_uint_eq(cosy_task_group_error_count(group), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_task_group_error(group, i, &code, NULL, NULL), 0);
        ck_assert_int_eq(code, expected[i]);
    }
    ck_assert_int_eq(cosy_task_group_error(group, 3, &code, NULL, NULL), -ERANGE);
    return 0;
}

TASK_TEST(a_body_that_fails_cancels_the_children) /* test_taskgroup_08, test_taskgroup_09 */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, slow_cleanup, COSY_MS(1), "child");
    let_all_run(1);
    ck_assert_int_eq(cosy_task_group_close(group, fail_with(EIO)), -EIO);
    said("child cleaned");
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    int code;
    const char *name;
    ck_assert_uint_eq(cosy_task_group_error_count(group), 1);
    ck_assert_int_eq(cosy_task_group_error(group, 0, &code, NULL, &name), 0);
    ck_assert_int_eq(code, -EIO);
    ck_assert_str_eq(name, "");
    return 0;
}

TASK_TEST(children_that_did_not_begin_never_do_when_the_body_fails)
{
    int out = 0;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, set_to, &out, 1, 0);
    ck_assert_int_eq(cosy_task_group_close(group, -EIO), -EIO);
    ck_assert_int_eq(out, 0);
    return 0;
}

TASK_TEST(body_and_child_fail) /* test_taskgroup_10, test_taskgroup_13 in spirit: children first, then the body */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, swallow, -EPERM);
    let_all_run(1);
    ck_assert_int_eq(cosy_task_group_close(group, -EIO), -EPERM);
    int code;
    ck_assert_uint_eq(cosy_task_group_error_count(group), 2);
    ck_assert_int_eq(cosy_task_group_error(group, 1, &code, NULL, NULL), 0);
    ck_assert_int_eq(code, -EIO);
    return 0;
}

static int cancel_itself(void)
{
    cosy_task_cancel(cosy_current_task());
    return cosy_sleep(LONG);
}

TASK_TEST(a_child_that_is_cancelled_alone_disturbs_nobody) /* test_taskgroup_14 ... : CancelledErrors of children are
                                                              ignored */
{
    int out = 0;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *cancelled = cosy_task_group_create_task(group, give_later, LONG, 1);
    cosy_task_group_create_task(group, cancel_itself);
    cosy_task_group_create_task(group, set_to, &out, 7, COSY_MS(1));
    let_all_run(1);
    cosy_task_cancel(cancelled);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert_int_eq(out, 7);
    return 0;
}

TASK_TEST(an_eager_child_that_fails_at_once) /* gh-128588, test_taskgroup_eager...: not before the body waits */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *child = cosy_task_group_create_task_with(group, (.eager_start = true), fail_with, EIO);
    ck_assert(cosy_task_done(child));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_ptr_nonnull(cosy_task_group_create_task(group, give, 1));
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_task_group_close(group, -ECANCELED), -EIO);
    return 0;
}

/* ---- cancelled from outside ---- */

static int group_of_two(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, gated_cleanup, "a");
    cosy_task_group_create_task(group, gated_cleanup, "b");
    int result = cosy_task_group_wait(group);
    say("%s", cosy_errname(result));
    return result;
}

TASK_TEST(a_cancel_while_it_waits) /* test_taskgroup_06, test_taskgroup_07, test_taskgroup_11 */
{
    cosy_scoped(cosy_task) owner = cosy_create_task(group_of_two);
    let_all_run(2);
    cosy_task_cancel(owner);
    let_all_run(5);
    ck_assert(!cosy_task_done(owner));
    gate_open = true;
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(owner), 1);
    said("a cleaned b cleaned ECANCELED");
    return 0;
}

TASK_TEST(cancels_while_it_ends_change_nothing) /* test_taskgroup_12, 15, 16, 17: all children are still joined */
{
    cosy_scoped(cosy_task) owner = cosy_create_task(group_of_two);
    let_all_run(2);
    for (int i = 0; i < 3; i++) {
        cosy_task_cancel(owner);
        let_all_run(2);
        ck_assert(!cosy_task_done(owner));
    }
    gate_open = true;
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    ck_assert_int_eq(cosy_task_cancelling(owner), 3);
    said("a cleaned b cleaned ECANCELED");
    return 0;
}

static int body_sleeps(cosy_ns cleanup)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, slow_cleanup, cleanup, "a");
    int body = cosy_sleep(LONG);
    return cosy_task_group_close(group, body);
}

TASK_TEST(a_cancel_in_the_body) /* test_taskgroup_11 */
{
    cosy_scoped(cosy_task) owner = cosy_create_task(body_sleeps, COSY_MS(1));
    let_all_run(2);
    cosy_task_cancel(owner);
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    said("a cleaned");
    return 0;
}

static int swallow_in_the_body(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, give_later, COSY_MS(1), 1);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    return cosy_task_group_wait(group);
}

TASK_TEST(a_cancel_that_the_body_swallows_is_gone)
{
    cosy_scoped(cosy_task) owner = cosy_create_task(swallow_in_the_body);
    let_all_run(2);
    cosy_task_cancel(owner);
    ck_assert_int_eq(cosy_await(owner), 0);
    return 0;
}

static int bad_and_slow(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, gated_cleanup, "it");
    cosy_task_group_create_task(group, fail_with, EIO);
    int result = cosy_task_group_wait(group);
    say("%s %d", cosy_errname(result), cosy_task_cancelling(cosy_current_task()));
    int next = cosy_sleep(LONG);
    say("%s", cosy_errname(next));
    return next;
}

/* gh-116720: the error comes first, and the cancel is met by the next wait, its count kept. */
TASK_TEST(a_cancel_while_it_ends_after_an_error)
{
    cosy_scoped(cosy_task) owner = cosy_create_task(bad_and_slow);
    let_all_run(5);
    cosy_task_cancel(owner);
    gate_open = true;
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    said("it cleaned EIO 1 ECANCELED");
    return 0;
}

/* The last child ends and the owner is cancelled in one turn, one way or the other round: woken once. */
static int ends_in_one_turn(cosy_future *gate, int32_t value)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_coro *awaited = cosy_call(cosy_await_future_, gate);
    ck_assert_ptr_nonnull(cosy_task_group_add_(group, awaited, NULL));
    int result = cosy_task_group_wait(group);
    for (int i = 0; i < 4 && result >= 0; i++)
        result = cosy_yield();
    return result < 0 ? result : value;
}

TASK_TEST(the_last_child_and_a_cancel_in_one_turn)
{
    for (int between = 0; between < 4; between++)
        for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
            cosy_scoped(cosy_future) gate = cosy_future_new(NULL);
            cosy_scoped(cosy_task) owner = cosy_create_task(ends_in_one_turn, gate, 5);
            cosy_scoped(cosy_task) bystander = cosy_create_task(give_later, COSY_US(1), 1);
            let_all_run(3);
            if (cancel_first)
                cosy_task_cancel(owner);
            else
                cosy_future_set_result(gate, 1);
            let_all_run(between);
            if (cancel_first)
                cosy_future_set_result(gate, 1);
            else
                ck_assert(cosy_task_cancel(owner));
            ck_assert_int_eq(cosy_await(owner), -ECANCELED);
            ck_assert_int_eq(cosy_await(bystander), 1);
        }
    return 0;
}

static int inner_and_outer_fail(void)
{
    cosy_scoped(cosy_task_group) outer = cosy_task_group_open();
    cosy_task_group_create_task(outer, fail_with, EIO);
    cosy_scoped(cosy_task_group) inner = cosy_task_group_open();
    cosy_task_group_create_task(inner, fail_with, EPERM);
    int body = cosy_sleep(LONG);
    int result = cosy_task_group_close(inner, body);
    say("%s %d", cosy_errname(result), cosy_task_cancelling(cosy_current_task()));
    body = result == -EPERM ? cosy_sleep(LONG) : result;
    say("%s", cosy_errname(body));
    result = cosy_task_group_close(outer, body);
    say("%s %d", cosy_errname(result), cosy_task_cancelling(cosy_current_task()));
    return result;
}

TASK_TEST(groups_in_groups_that_both_fail) /* test_nested_groups_both_cancelled */
{
    cosy_scoped(cosy_task) owner = cosy_create_task(inner_and_outer_fail);
    ck_assert_int_eq(cosy_await(owner), -EIO);
    said("EPERM 1 ECANCELED EIO 0");
    return 0;
}

static int inner_group_only_waits(void)
{
    cosy_scoped(cosy_task_group) outer = cosy_task_group_open();
    cosy_task_group_create_task(outer, fail_later, COSY_MS(1), EIO);
    cosy_scoped(cosy_task_group) inner = cosy_task_group_open();
    cosy_task_group_create_task(inner, slow_cleanup, COSY_US(10), "inner");
    int result = cosy_task_group_wait(inner);
    say("%s", cosy_errname(result));
    return cosy_task_group_close(outer, result);
}

TASK_TEST(an_outer_failure_ends_the_inner_group) /* test_taskgroup_14, test_taskgroup_15 */
{
    ck_assert_int_eq(inner_group_only_waits(), -EIO);
    said("inner cleaned ECANCELED");
    return 0;
}

static int group_tree(int depth)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    if (depth == 0)
        return cosy_task_group_close(group, fail_with(EIO));
    cosy_task_group_create_task(group, group_tree, depth - 1);
    cosy_task_group_create_task(group, give_later, LONG, 1);
    return cosy_task_group_wait(group);
}

TASK_TEST(an_error_comes_up_through_groups)
{
    ck_assert_int_eq(group_tree(5), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    return 0;
}

TASK_TEST(a_group_in_the_cleanup_of_a_cancel) /* by owner, not by count: asyncio would cancel the cleanup again */
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_with, EIO);
    ck_assert_int_eq(cosy_task_group_close(group, cosy_sleep(LONG)), -EIO);
    ck_assert_int_eq(cosy_sleep(1), 0);
    cosy_scoped(cosy_task_group) stopped = cosy_task_group_open();
    cosy_task_group_cancel(stopped);
    ck_assert_int_eq(cosy_task_group_wait(stopped), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    return 0;
}

TASK_TEST(a_cancel_that_was_asked_for_before_it_was_opened)
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, give_later, LONG, 1);
    ck_assert_int_eq(cosy_task_group_wait(group), -ECANCELED);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    return 0;
}

/* ---- cosy_task_group_cancel ---- */

TASK_TEST(it_is_cancelled_in_the_body) /* test_taskgroup_cancel_body, test_taskgroup_cancel_children */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, slow_cleanup, COSY_US(10), "child");
    let_all_run(1);
    cosy_task_group_cancel(group);
    cosy_task_group_cancel(group); /* test_taskgroup_cancel_idempotent */
    int body = cosy_sleep(LONG);
    ck_assert_int_eq(body, -ECANCELED);
    ck_assert_int_eq(cosy_task_group_close(group, body), 0);
    said("child cleaned");
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    cosy_task_group_cancel(group); /* test_taskgroup_cancel_after_exit */
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

TASK_TEST(it_is_cancelled_and_nothing_waits_after)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_cancel(group);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert_int_eq(cosy_sleep(1), 0); /* its own cancel went with it */
    cosy_task_group_cancel(NULL);
    return 0;
}

static int stop_the_group(cosy_ns delay)
{
    cosy_try(cosy_sleep(delay));
    cosy_task_group_cancel(shared);
    return 0;
}

TASK_TEST(a_child_cancels_its_group_while_it_ends) /* test_taskgroup_cancel_from_child in spirit */
{
    shared = cosy_task_group_open();
    cosy_task *long_one = cosy_task_group_create_task(shared, give_later, LONG, 1);
    cosy_task_group_create_task(shared, stop_the_group, COSY_US(10));
    ck_assert_int_eq(cosy_task_group_wait(shared), 0);
    ck_assert(cosy_task_cancelled(long_one));
    cosy_task_group_drop(shared);
    return 0;
}

static int stop_and_wait(void)
{
    cosy_task_group_cancel(shared);
    return slow_cleanup(1, "eager");
}

TASK_TEST(an_eager_child_cancels_its_own_group) /* gh-155418 */
{
    shared = cosy_task_group_open();
    cosy_task *child = cosy_task_group_create_task_with(shared, (.eager_start = true), stop_and_wait);
    ck_assert_int_eq(cosy_task_cancelling(child), 1);
    int body = cosy_sleep(LONG);
    ck_assert_int_eq(body, -ECANCELED);
    ck_assert_int_eq(cosy_task_group_close(shared, body), 0);
    said("eager cleaned");
    cosy_task_group_drop(shared);
    return 0;
}

TASK_TEST(it_is_cancelled_and_a_child_fails) /* test_taskgroup_cancel_before_exception */
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, swallow, -EIO);
    let_all_run(1);
    cosy_task_group_cancel(group);
    ck_assert_int_eq(cosy_task_group_close(group, cosy_sleep(LONG)), -EIO);
    cosy_scoped(cosy_task_group) other = cosy_task_group_open();
    cosy_task_group_cancel(other);
    ck_assert_int_eq(cosy_task_group_close(other, -EPERM), -EPERM);
    return 0;
}

static int cancelled_group(int in_body)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    shared = group;
    cosy_task_group_create_task(group, gated_cleanup, "child");
    int body = in_body ? cosy_sleep(LONG) : 0;
    return cosy_task_group_close(group, body);
}

TASK_TEST(it_is_cancelled_and_so_is_its_owner) /* gh-155433: the cancel from outside is not lost */
{
    for (int in_body = 0; in_body < 2; in_body++) {
        gate_open = false;
        cosy_scoped(cosy_task) owner = cosy_create_task(cancelled_group, in_body);
        let_all_run(2);
        cosy_task_group_cancel(shared);
        let_all_run(2);
        ck_assert(!cosy_task_done(owner));
        cosy_task_cancel(owner);
        let_all_run(1);
        gate_open = true;
        ck_assert_int_eq(cosy_await(owner), -ECANCELED);
        ck_assert_int_eq(cosy_task_cancelling(owner), 1);
        said("child cleaned");
    }
    return 0;
}

/* ---- refusals ---- */

static int add_when_shutting_down(void)
{
    int result = cosy_sleep(LONG);
    ck_assert_ptr_null(cosy_task_group_create_task(shared, give, 1));
    ck_assert_int_eq(cosy_await((cosy_task *)NULL), -COSY_EINVALIDSTATE);
    say("refused");
    return result;
}

/* test_taskgroup_23, test_taskgroup_24, test_taskgroup_after_finish... : the coroutine is closed, LSan would tell */
TASK_TEST(no_child_after_the_end_or_while_it_shuts_down)
{
    shared = cosy_task_group_open();
    ck_assert_int_eq(cosy_task_group_wait(shared), 0);
    ck_assert_ptr_null(cosy_task_group_create_task(shared, set_to, NULL, 1, 1));
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE), "cannot create a task: the task group is finished");
    cosy_task_group_drop(shared);
    shared = cosy_task_group_open();
    cosy_task_group_create_task(shared, add_when_shutting_down);
    let_all_run(1);
    ck_assert_int_eq(cosy_task_group_close(shared, -EIO), -EIO);
    said("refused");
    cosy_task_group_drop(shared);
    return 0;
}

static int close_the_group_of_another(cosy_task_group *group)
{
    ck_assert_int_eq(cosy_task_group_wait(group), -COSY_EINVALIDSTATE);
    cosy_task_group_drop(group);
    return 0;
}

TASK_TEST(only_its_owner_ends_it_and_only_once)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_scoped(cosy_task) stranger = cosy_create_task(close_the_group_of_another, group);
    cosy_task_group_create_task(group, give_later, COSY_US(10), 1);
    ck_assert_int_eq(cosy_await(stranger), 0);
    logs("dropped by the task that opened it");
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    ck_assert_int_eq(cosy_task_group_wait(group), -COSY_EINVALIDSTATE);
    return 0;
}

START_TEST(outside_a_task_is_an_error)
{
    begin_test();
    cosy_task_group *group = cosy_task_group_open();
    ck_assert_ptr_null(group);
    logs("cosy_task_group_open");
    ck_assert_ptr_null(cosy_task_group_create_task(group, give, 1));
    ck_assert_int_eq(cosy_task_group_wait(group), -COSY_ENOTASK);
    cosy_task_group_drop(group);
    ck_assert_uint_eq(cosy_task_group_error_count(group), 0);
}
END_TEST

/* ---- left early ---- */

static int leave_early(int result)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, gated_cleanup, "a");
    cosy_task_group_create_task(group, slow_cleanup, COSY_US(10), "b");
    cosy_try(cosy_yield());
    return result;
}

TASK_TEST(leaving_the_block_cancels_and_joins)
{
    gate_open = true;
    ck_assert_int_eq(leave_early(5), 5);
    said("a cleaned b cleaned");
    ck_assert_int_eq(leave_early(-EIO), -EIO);
    said("a cleaned b cleaned");
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    return 0;
}

TASK_TEST(a_cancel_while_a_block_left_early_is_joined_is_not_lost)
{
    cosy_scoped(cosy_task) owner = cosy_create_task(leave_early, 5);
    while (!trace[0])
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
    cosy_task_cancel(owner);
    gate_open = true;
    ck_assert_int_eq(cosy_await(owner), -ECANCELED);
    said("b cleaned a cleaned");
    return 0;
}

static int leave_early_with_errors(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, swallow, -EIO);
    cosy_try(cosy_yield());
    return 1;
}

TASK_TEST(errors_of_a_block_left_early_are_reported)
{
    ck_assert_int_eq(leave_early_with_errors(), 1);
    logs("left early");
    return 0;
}

static int return_the_cancel(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, fail_with, EIO);
    cosy_try(cosy_sleep(LONG));
    return 0;
}

TASK_TEST(the_groups_own_cancel_does_not_outlive_a_block_left_early)
{
    ck_assert_int_eq(return_the_cancel(), -ECANCELED);
    logs("as asked");
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 0;
}

static int drop_at_once(void)
{
    cosy_task_group_drop(cosy_task_group_open());
    cosy_task_group_drop(NULL);
    cosy_task_group *group = cosy_task_group_open();
    cosy_task_group_create_task(group, give, 1);
    cosy_task_group_drop(group);
    return 0;
}

TASK_TEST(dropping_groups)
{
    return drop_at_once();
}

/* ---- the loop ends under it, and no memory ---- */

static int ignores_the_cancel(cosy_future *never)
{
    (void)cosy_sleep(LONG);
    return cosy_await(never);
}

static int waits_for_ever(cosy_future *never, int failing)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, ignores_the_cancel, never);
    if (failing)
        cosy_task_group_create_task(group, fail_with, EIO);
    return cosy_task_group_wait(group);
}

/* What the group holds goes with it: LSan would tell. */
START_TEST(a_loop_closed_under_a_group)
{
    begin_test();
    for (int failing = 0; failing < 2; failing++)
        for (int turns_made = 0; turns_made < 12; turns_made++) {
            cosy_loop *loop;
            ck_assert_int_eq(cosy_loop_new(&loop), 0);
            cosy_future *never = cosy_future_new(loop);
            cosy_task *task = cosy_create_task_with((.loop = loop), waits_for_ever, never, failing);
            for (int i = 0; i < turns_made; i++)
                cosy_loop_run_once(loop, 0);
            ck_assert_int_eq(cosy_loop_close(loop), 0);
            ck_assert(cosy_task_cancelled(task));
            if (failing && turns_made == 11)
                ck_assert_ptr_nonnull(strstr(logged, "as asked"));
            logs("Task was destroyed but it is pending");
            cosy_task_drop(task);
            cosy_future_drop(never);
            cosy_loop_free(loop);
        }
}
END_TEST

static int group_for_starving(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, give_later, 1, 1);
    cosy_task_group_create_task_with(group, (.name = "named"), give, 2);
    cosy_try(cosy_task_group_wait(group));
    cosy_scoped(cosy_task_group) failing = cosy_task_group_open();
    cosy_task_group_create_task(failing, fail_with, ENOMEM);
    cosy_task_group_create_task(failing, give_later, COSY_US(20), 2);
    int result = cosy_task_group_wait(failing);
    return result == -ENOMEM ? 0 : result == 0 ? -EIO : result; /* an error is never lost */
}

static int group_in_a_run(void)
{
    return cosy_run(group_for_starving);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(group_in_a_run);
}
END_TEST

TESTS_MAIN("group", it_waits_for_all_of_them, without_children_there_is_nothing_to_wait_for,
           as_many_turns_as_in_asyncio, children_add_children_while_it_ends, many_children,
           a_child_that_fails_cancels_its_siblings, a_child_that_fails_cancels_the_body,
           a_body_that_swallows_the_cancel_gets_the_error_all_the_same, all_errors_are_listed,
           a_body_that_fails_cancels_the_children, children_that_did_not_begin_never_do_when_the_body_fails,
           body_and_child_fail, a_child_that_is_cancelled_alone_disturbs_nobody, an_eager_child_that_fails_at_once,
           a_cancel_while_it_waits, cancels_while_it_ends_change_nothing, a_cancel_in_the_body,
           a_cancel_that_the_body_swallows_is_gone, a_cancel_while_it_ends_after_an_error,
           the_last_child_and_a_cancel_in_one_turn, groups_in_groups_that_both_fail,
           an_outer_failure_ends_the_inner_group, an_error_comes_up_through_groups, a_group_in_the_cleanup_of_a_cancel,
           a_cancel_that_was_asked_for_before_it_was_opened, it_is_cancelled_in_the_body,
           it_is_cancelled_and_nothing_waits_after, a_child_cancels_its_group_while_it_ends,
           an_eager_child_cancels_its_own_group, it_is_cancelled_and_a_child_fails, it_is_cancelled_and_so_is_its_owner,
           no_child_after_the_end_or_while_it_shuts_down, only_its_owner_ends_it_and_only_once,
           outside_a_task_is_an_error, leaving_the_block_cancels_and_joins,
           a_cancel_while_a_block_left_early_is_joined_is_not_lost, errors_of_a_block_left_early_are_reported,
           the_groups_own_cancel_does_not_outlive_a_block_left_early, dropping_groups, a_loop_closed_under_a_group,
           no_memory_is_an_error_and_leaves_nothing)
