/* Scenarios of CPython's test_tasks.py, test_futures.py and test_eager_task_factory.py that cross rooms, or that no
 * test of one room has. docs/scenarios/ tells where each of the others is. */
#include "wait_test.h"

/* ---- taking a cancel back ---- */

static int sleep_twice(void)
{
    ck_assert_int_eq(cosy_sleep(LONG), -ECANCELED);
    ck_assert_int_eq(cosy_task_uncancel(cosy_current_task()), 0);
    return cosy_sleep(LONG);
}

TASK_TEST(a_cancel_is_taken_back_and_comes_again) /* test_uncancel_basic, test_cancelling */
{
    cosy_scoped(cosy_task) task = cosy_create_task(sleep_twice);
    let_all_run(1);
    ck_assert(cosy_task_cancel(task));
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    tree_tells(", cancelling");
    let_all_run(2);
    ck_assert_int_eq(cosy_task_cancelling(task), 0);
    ck_assert(!cosy_task_done(task));
    ck_assert(cosy_task_cancel(task) && cosy_task_cancel(task));
    ck_assert_int_eq(cosy_task_cancelling(task), 2);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_task_uncancel(task), 1); /* too late to change anything */
    ck_assert(cosy_task_cancelled(task));
    return 0;
}

static bool timed_out;

static void on_timeout(void *task)
{
    timed_out = true;
    cosy_task_cancel(task);
}

/* A limit made by hand: finished, or -ETIMEDOUT, and then code that the limit does not concern. */
static int limited_by_hand(cosy_ns sleep, cosy_ns limit)
{
    cosy_task *me = cosy_current_task();
    timed_out = false;
    cosy_scoped(cosy_handle) handle = NULL;
    cosy_try(cosy_call_later(loop_now(), limit, on_timeout, me, &handle));
    int result = cosy_sleep(sleep);
    cosy_handle_cancel(handle);
    if (timed_out && cosy_task_uncancel(me) == 0 && result == -ECANCELED)
        result = -ETIMEDOUT;
    int outside = cosy_yield();
    ck_assert_int_eq(outside, 0);
    return result;
}

TASK_TEST(a_limit_made_by_hand) /* test_uncancel_structured_blocks */
{
    cosy_scoped(cosy_task) late = cosy_create_task(limited_by_hand, LONG, COSY_MS(1));
    ck_assert_int_eq(cosy_await(late), -ETIMEDOUT);
    ck_assert(timed_out && cosy_task_cancelling(late) == 0);
    cosy_scoped(cosy_task) early = cosy_create_task(limited_by_hand, (cosy_ns)0, LONG);
    ck_assert_int_eq(cosy_await(early), 0);
    ck_assert(!timed_out && cosy_task_cancelling(early) == 0);
    return 0;
}

static int await_future(cosy_future *future)
{
    return cosy_await(future);
}

TASK_TEST(a_reason_reaches_the_awaiter_whatever_the_task_was_doing)
/* test_cancel_with_message_before_starting_task, ..._then_future_result, ..._then_future_exception */
{
    for (int way = 0; way < 3; way++) {
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        cosy_scoped(cosy_task) task = cosy_create_task(await_future, future);
        if (way > 0)
            let_all_run(1);
        if (way == 2)
            cosy_future_set_result(future, 1);
        ck_assert(cosy_task_cancel_with(task, "my message"));
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_str_eq(cosy_error_message(-ECANCELED), "my message");
        ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 0);
    }
    return 0;
}

/* ---- who runs ---- */

static int watch_oneself(cosy_task **ret_seen, int other)
{
    cosy_task *me = cosy_current_task();
    *ret_seen = me;
    for (int i = 0; i < 3; i++) {
        cosy_try(cosy_yield());
        ck_assert_ptr_eq(cosy_current_task(), me);
    }
    return other;
}

TASK_TEST(each_task_sees_itself_among_others) /* test_current_task, test_current_task_with_interleaving_tasks */
{
    cosy_task *seen[2] = {NULL, NULL}, *me = cosy_current_task();
    cosy_scoped(cosy_task) a = cosy_create_task(watch_oneself, &seen[0], 1);
    cosy_scoped(cosy_task) b = cosy_create_task(watch_oneself, &seen[1], 2);
    ck_assert_int_eq(cosy_gather(a, b), 0);
    ck_assert(seen[0] == a && seen[1] == b && cosy_current_task() == me);
    return 0;
}

/* ---- eager tasks ---- */

static int set_result(cosy_future *future, int value)
{
    return cosy_future_set_result(future, value);
}

TASK_TEST(an_eager_step_ends_a_future_that_is_awaited_next) /* test_await_future_during_eager_step */
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = true), set_result, future, 5);
    ck_assert(cosy_task_done(task));
    ck_assert_int_eq(cosy_await(future), 5);
    ck_assert(!cosy_task_cancel(task)); /* test_cancellation_after_eager_completion */
    ck_assert_int_eq(cosy_await(task), 0);
    ck_assert(!cosy_task_cancelled(task));
    return 0;
}

static bool listed_inside;

static int look_for_oneself(cosy_future *first, cosy_future *second)
{
    cosy_task *tasks[8], *me = cosy_current_task();
    size_t count = cosy_all_tasks(NULL, tasks, 8);
    listed_inside = false;
    for (size_t i = 0; i < count && i < 8; i++)
        listed_inside |= tasks[i] == me;
    if (!first)
        return 0;
    cosy_try(cosy_await(first));
    return cosy_future_set_result(second, 0);
}

TASK_TEST(an_eager_task_is_listed_while_it_lives) /* test_all_tasks_with_eager_completion, ..._with_blocking */
{
    cosy_future *none = NULL;
    size_t before = cosy_all_tasks(NULL, NULL, 0);
    cosy_scoped(cosy_task) quick = cosy_create_task_with((.eager_start = true), look_for_oneself, none, none);
    ck_assert(listed_inside && cosy_task_done(quick));
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), before);
    cosy_scoped(cosy_future) first = cosy_future_new(NULL);
    cosy_scoped(cosy_future) second = cosy_future_new(NULL);
    cosy_scoped(cosy_task) slow = cosy_create_task_with((.eager_start = true), look_for_oneself, first, second);
    ck_assert(listed_inside && !cosy_task_done(slow));
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), before + 1);
    cosy_future_set_result(first, 0);
    ck_assert_int_eq(cosy_await(second), 0);
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), before);
    return 0;
}

TASK_TEST(a_cancel_after_an_eager_step_tells_its_reason) /* test_cancellation_after_eager_step_blocks */
{
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = true), give_later, LONG, 1);
    ck_assert(cosy_task_cancel_with(task, "cancellation message"));
    ck_assert_int_eq(cosy_task_cancelling(task), 1);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "cancellation message");
    return 0;
}

static cosy_contextvar var = COSY_CONTEXTVAR("var", NULL);
static char one[] = "1", two[] = "2", three[] = "3";

static int set_in_two_steps(void)
{
    ck_assert_ptr_eq(cosy_contextvar_get(&var), one);
    cosy_try(cosy_contextvar_set(&var, two, NULL));
    say("first step");
    cosy_try(cosy_sleep(COSY_US(5)));
    ck_assert_ptr_eq(cosy_contextvar_get(&var), two);
    cosy_try(cosy_contextvar_set(&var, three, NULL));
    say("second step");
    return 0;
}

TASK_TEST(an_eager_task_keeps_its_context_over_its_steps) /* test_context_vars */
{
    cosy_try(cosy_contextvar_set(&var, one, NULL));
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = true), set_in_two_steps);
    said("first step");
    ck_assert_ptr_eq(cosy_contextvar_get(&var), one);
    ck_assert_int_eq(cosy_await(task), 0);
    said("second step");
    ck_assert_ptr_eq(cosy_contextvar_get(&var), one);
    return 0;
}

/* ---- how many tasks ---- */

static int chain(int depth)
{
    if (depth == 0)
        return 0;
    cosy_try(cosy_yield());
    return 1 + chain(depth - 1);
}

static int tree_of_gathers(int depth)
{
    cosy_coro *coros[5];
    for (int i = 0; i < 5 && depth > 0; i++)
        coros[i] = cosy_call(tree_of_gathers, depth - 1);
    return depth > 0 ? cosy_gather_coros(coros, 5, NULL) : 0;
}

static int tree_of_groups(int depth)
{
    if (depth == 0)
        return 0;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < 5; i++)
        cosy_task_group_create_task(group, tree_of_groups, depth - 1);
    return cosy_task_group_wait(group);
}

static uint64_t newest_id(void)
{
    cosy_scoped(cosy_task) task = cosy_create_task(give, 1);
    return cosy_task_id(task);
}

/* test_awaitables_chain, test_recursive_gather, test_recursive_taskgroups: 5 + 5^2 + 5^3 + 5^4 tasks */
TASK_TEST(as_many_tasks_are_made_as_are_asked_for)
{
    uint64_t before = newest_id();
    ck_assert_int_eq(chain(100), 100);
    ck_assert_uint_eq(newest_id() - before - 1, 0);
    before = newest_id();
    ck_assert_int_eq(tree_of_gathers(4), 0);
    ck_assert_uint_eq(newest_id() - before - 1, 780);
    before = newest_id();
    ck_assert_int_eq(tree_of_groups(4), 0);
    ck_assert_uint_eq(newest_id() - before - 1, 780);
    return 0;
}

/* ---- done callbacks ---- */

static char cb1[] = "1", cb2[] = "2", cb3[] = "3";

static void say_arg(cosy_future *future, void *arg)
{
    (void)future;
    const char *text = arg;
    say("%s", text);
}

TASK_TEST(any_callback_is_taken_back)
/* test_callbacks_remove_first_callback, ..._first_and_second_callback, ..._third_callback, test_remove_done_callback */
{
    static const char *const left[] = {"2 3", "3", "1 2", "2"};
    for (int way = 0; way < 4; way++) {
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        ck_assert_int_eq(cosy_future_add_done_callback(future, say_arg, cb1, NULL), 0);
        ck_assert_int_eq(cosy_future_add_done_callback(future, say_arg, cb2, NULL), 0);
        ck_assert_int_eq(cosy_future_add_done_callback(future, say_arg, cb3, NULL), 0);
        if (way != 2)
            ck_assert_int_eq(cosy_future_remove_done_callback(future, say_arg, cb1), 1);
        if (way == 1)
            ck_assert_int_eq(cosy_future_remove_done_callback(future, say_arg, cb2), 1);
        if (way >= 2)
            ck_assert_int_eq(cosy_future_remove_done_callback(future, say_arg, cb3), 1);
        ck_assert_int_eq(cosy_future_remove_done_callback(future, say_arg, way == 2 ? cb3 : cb1), 0);
        if (way == 3)
            cosy_future_set_error(future, EIO, NULL); /* test_callbacks_invoked_on_set_exception */
        else
            cosy_future_set_result(future, 0);
        let_all_run(1);
        said(left[way]);
        ck_assert_int_eq(cosy_future_error(future), way == 3 ? -EIO : 0);
    }
    return 0;
}

static void remove_second(cosy_future *future, void *arg)
{
    say("first");
    ck_assert_int_eq(cosy_future_remove_done_callback(future, say_arg, arg), 0);
}

TASK_TEST(a_callback_cannot_take_back_what_is_queued) /* test_schedule_callbacks_list_mutation_1 */
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_future_add_done_callback(future, remove_second, cb2, NULL), 0);
    ck_assert_int_eq(cosy_future_add_done_callback(future, say_arg, cb2, NULL), 0);
    ck_assert_int_eq(cosy_future_add_done_callback(future, say_arg, cb2, NULL), 0);
    cosy_future_set_result(future, 1);
    let_all_run(1);
    said("first 2 2");
    return 0;
}

TESTS_MAIN("scenarios", a_cancel_is_taken_back_and_comes_again, a_limit_made_by_hand,
           a_reason_reaches_the_awaiter_whatever_the_task_was_doing, each_task_sees_itself_among_others,
           an_eager_step_ends_a_future_that_is_awaited_next, an_eager_task_is_listed_while_it_lives,
           a_cancel_after_an_eager_step_tells_its_reason, an_eager_task_keeps_its_context_over_its_steps,
           as_many_tasks_are_made_as_are_asked_for, any_callback_is_taken_back,
           a_callback_cannot_take_back_what_is_queued)
