/* Tests of cosy_as_completed. Names in comments are those of the tests in CPython's test_tasks.py for the same
 * behaviour. */
#include "wait_test.h"

static int await_value(cosy_future *gate, int value)
{
    int result = cosy_await(gate);
    return result < 0 ? result : value;
}

/* Opens the gates one after the other: whatever the machine's speed, the ends have an order. */
static int conduct(cosy_future *first, cosy_future *second, cosy_future *third)
{
    cosy_future *gates[] = {first, second, third};
    for (int i = 0; i < 3; i++) {
        (void)cosy_sleep(COSY_US(100));
        cosy_future_set_result(gates[i], 0);
        cosy_future_drop(gates[i]);
    }
    return 0;
}

/* The second one ends first, then the third, then the first: with 1, 2 and 3. */
static void start_three(cosy_task **tasks)
{
    cosy_future *gates[3];
    for (int i = 0; i < 3; i++) {
        gates[i] = cosy_future_new(NULL);
        tasks[i] = cosy_create_task(await_value, gates[i], i ? i : 3);
    }
    ck_assert_int_eq(cosy_spawn(conduct, gates[1], gates[2], gates[0]), 0);
}

/* Only the second one ends by itself. */
static void start_endless(cosy_task **tasks)
{
    tasks[0] = cosy_create_task(give_later, LONG, 3);
    tasks[1] = cosy_create_task(give, 1);
    tasks[2] = cosy_create_task(give_later, LONG, 2);
}

static void drop_three(cosy_task **tasks)
{
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
}

TASK_TEST(the_original_handles_in_the_order_of_their_ends) /* test_as_completed_same_tasks_in_as_out */
{
    cosy_task *tasks[3], *task = NULL;
    cosy_as_completed it = {0};
    start_three(tasks);
    ck_assert_int_eq(cosy_as_completed_init(&it, tasks, 3), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_as_completed_next(&it, &task), 0);
        ck_assert_ptr_eq(task, tasks[(i + 1) % 3]);
        ck_assert(cosy_task_done(task));
    }
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), -COSY_ESTOPITER);
    cosy_as_completed_close(&it);
    cosy_as_completed_close(&it);
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), -COSY_ECLOSED);
    drop_three(tasks);
    return 0;
}

TASK_TEST(results_one_by_one) /* test_as_completed, the plain iterator */
{
    cosy_coro *coros[] = {cosy_call(give_later, COSY_MS(40), 2), cosy_call(fail_later, COSY_US(10), EIO),
                          cosy_call(give, 0)};
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, coros, 3), 0);
    ck_assert_int_eq(cosy_as_completed_result(&it), 0);
    ck_assert_int_eq(cosy_as_completed_result(&it), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert_int_eq(cosy_as_completed_result(&it), 2);
    ck_assert_int_eq(cosy_as_completed_result(&it), -COSY_ESTOPITER);
    cosy_as_completed_close(&it);
    return 0;
}

TASK_TEST(what_is_done_comes_at_once)
{
    cosy_scoped(cosy_future) a = future_now(1);
    cosy_scoped(cosy_future) b = cosy_future_new(NULL);
    cosy_scoped(cosy_future) c = future_now(3);
    cosy_future *futures[] = {b, c, a, c, b}, *future = NULL; /* twice is once */
    cosy_as_completed it = {0};
    uint64_t before = turns();
    ck_assert_int_eq(cosy_as_completed_init(&it, futures, 5), 0);
    ck_assert_int_eq(cosy_as_completed_next(&it, &future), 0);
    ck_assert_ptr_eq(future, c);
    ck_assert_int_eq(cosy_as_completed_result(&it), 1);
    ck_assert_uint_eq(turns(), before);
    cosy_future_set_result(b, 2);
    cosy_task *task = NULL;
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), -EINVAL); /* no task: it stays the next one */
    ck_assert_int_eq(cosy_as_completed_result(&it), 2);
    ck_assert_int_eq(cosy_as_completed_result(&it), -COSY_ESTOPITER);
    cosy_as_completed_close(&it);
    return 0;
}

TASK_TEST(nothing_ends_at_once)
{
    int err = 5;
    COSY_AS_COMPLETED(task, (cosy_task **)NULL, 0, err)
    say("%p", (void *)task);
    ck_assert_int_eq(err, 0);
    return 0;
}

static int runs;

static int count_runs(void)
{
    return 100 + runs++;
}

TASK_TEST(the_same_coroutine_twice_is_once) /* test_as_completed_duplicate_coroutines */
{
    cosy_coro *coro = cosy_call(count_runs), *coros[] = {coro, cosy_call(count_runs), coro};
    int err = 0, seen = 0;
    runs = 0;
    COSY_AS_COMPLETED(task, coros, 3, err)
    seen += cosy_task_done(task);
    ck_assert_int_eq(err, 0);
    ck_assert(seen == 2 && runs == 2);
    return 0;
}

TASK_TEST(they_run_side_by_side) /* test_as_completed_concurrent, test_as_completed_reverse_wait */
{
    cosy_coro *coros[3];
    cosy_ns before = now();
    int err = 0, count = 0;
    for (int i = 0; i < 3; i++)
        coros[i] = cosy_call(give_later, COSY_MS(2), i);
    COSY_AS_COMPLETED(task, coros, 3, err)
    count += cosy_await(task) >= 0;
    ck_assert(err == 0 && count == 3);
    if (simulated())
        ck_assert_int_eq(now() - before, COSY_MS(2));
    return 0;
}

/* ---- the block ---- */

static int leave_by(int way, cosy_task **tasks)
{
    int err = 0;
    COSY_AS_COMPLETED(task, tasks, 3, err)
    {
        int got = cosy_await(task);
        say("%d", got);
        if (got == 1)
            continue;
        if (way == 0)
            break;
        if (way == 1)
            return 77;
        if (way == 2) {
            cosy_check(err, fail_with(EIO));
        }
    }
    say("err %d", err);
    return err;
}

TASK_TEST(a_block_is_left_by_each_way)
{
    static const int results[] = {0, 77, -EIO, 0};
    static const char *const traces[] = {"1 2 err 0", "1 2", "1 2 err -5", "1 2 3 err 0"};
    for (int way = 0; way < 4; way++) {
        cosy_task *tasks[3];
        start_three(tasks);
        ck_assert_int_eq(leave_by(way, tasks), results[way]);
        said(traces[way]);
        ck_assert_int_eq(cosy_task_cancelling(tasks[0]), 0); /* handles are left alone */
        drop_three(tasks);
    }
    return 0;
}

static int first_of_coroutines(const char *name)
{
    cosy_coro *coros[] = {cosy_call(slow_cleanup, COSY_MS(1), name), cosy_call(give_later, COSY_US(5), 4)};
    int err = 0;
    COSY_AS_COMPLETED(task, coros, 2, err)
    return cosy_await(task);
    return err;
}

TASK_TEST(its_own_coroutines_do_not_outlive_it) /* in asyncio they go on */
{
    ck_assert_int_eq(first_of_coroutines("it"), 4);
    said("it cleaned");
    return 0;
}

static int first_of_gated(const char *name)
{
    cosy_coro *coros[] = {cosy_call(gated_cleanup, name), cosy_call(give_later, COSY_US(5), 4)};
    int err = 0;
    COSY_AS_COMPLETED(task, coros, 2, err)
    return cosy_await(task);
    return err;
}

TASK_TEST(a_cancel_while_it_is_left_meets_the_next_wait)
{
    cosy_scoped(cosy_task) leaver = cosy_create_task(first_of_gated, "it");
    ck_assert_int_eq(cosy_sleep(COSY_US(50)), 0);
    let_all_run(6);
    tree_tells("waits for the tasks of an iterator that it left");
    cosy_task_cancel(leaver);
    ck_assert_int_eq(cosy_await(leaver), -ECANCELED); /* the flag was not met: it ends cancelled */
    said("it cleaned badly");
    return 0;
}

/* ---- limits ---- */

TASK_TEST(a_limit_is_told_for_each_that_is_left) /* test_as_completed_with_timeout */
{
    cosy_task *tasks[3], *task = NULL;
    cosy_as_completed it = {0};
    start_endless(tasks);
    ck_assert_int_eq(cosy_as_completed_init(&it, tasks, 3, .timeout = COSY_US(1500)), 0);
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), 0);
    ck_assert_ptr_eq(task, tasks[1]);
    ck_assert_int_eq(cosy_as_completed_next(&it, &task), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "timed out");
    ck_assert_int_eq(cosy_as_completed_result(&it), -ETIMEDOUT);
    ck_assert_int_eq(cosy_as_completed_result(&it), -COSY_ESTOPITER);
    cosy_as_completed_close(&it);
    ck_assert_int_eq(cosy_task_cancelling(tasks[0]), 0);
    cosy_task_cancel(tasks[0]);
    cosy_task_cancel(tasks[2]);
    drop_three(tasks);
    return 0;
}

TASK_TEST(a_limit_ends_the_block)
{
    cosy_task *tasks[3];
    int err = 0, count = 0;
    start_endless(tasks);
    COSY_AS_COMPLETED(task, tasks, 3, err, .timeout = COSY_US(1500))
    count += cosy_task_done(task);
    ck_assert(err == -ETIMEDOUT && count == 1);
    cosy_task_cancel(tasks[0]);
    cosy_task_cancel(tasks[2]);
    drop_three(tasks);
    return 0;
}

TASK_TEST(a_limit_that_is_not_needed_leaves_no_timer) /* test_as_completed_with_unused_timeout */
{
    cosy_scoped(cosy_task) task = cosy_create_task(give, 1);
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, &task, 1, .timeout = LONG), 0);
    ck_assert_int_eq(cosy_as_completed_result(&it), 1);
    ck_assert_uint_eq(timers(), 0);
    cosy_as_completed_close(&it);
    ck_assert_int_eq(cosy_as_completed_init(&it, &task, 1, .timeout = -1), 0); /* what is done is never late */
    ck_assert_int_eq(cosy_as_completed_result(&it), 1);
    cosy_as_completed_close(&it);
    cosy_scoped(cosy_task) late = cosy_create_task(give, 1);
    ck_assert_int_eq(cosy_as_completed_init(&it, &late, 1, .timeout = -1), 0);
    ck_assert_int_eq(cosy_as_completed_result(&it), -ETIMEDOUT);
    cosy_as_completed_close(&it);
    return 0;
}

/* ---- several tasks at one iterator, and cancels ---- */

static int take_one(cosy_as_completed *it, int number)
{
    int result = cosy_as_completed_result(it);
    say("%d:%d", number, result);
    return 0;
}

TASK_TEST(several_tasks_take_turns) /* test_as_completed_resume_iterator in spirit */
{
    cosy_task *tasks[3];
    cosy_as_completed it = {0};
    start_three(tasks);
    ck_assert_int_eq(cosy_as_completed_init(&it, tasks, 3), 0);
    ck_assert_int_eq(cosy_gather(cosy_call(take_one, &it, 10), cosy_call(take_one, &it, 11),
                                 cosy_call(take_one, &it, 12), cosy_call(take_one, &it, 13)),
                     0);
    said("10:1 11:2 12:3 13:-5014");
    cosy_as_completed_close(&it);
    drop_three(tasks);
    return 0;
}

TASK_TEST(a_limit_meets_those_in_line)
{
    cosy_scoped(cosy_task) slow = cosy_create_task(give_later, COSY_MS(5), 1);
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, &slow, 1, .timeout = COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_gather(cosy_call(take_one, &it, 1), cosy_call(take_one, &it, 2)), 0);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "1:%d 2:-5014", -ETIMEDOUT);
    said(wanted);
    cosy_as_completed_close(&it);
    return 0;
}

static int next_result(cosy_as_completed *it)
{
    return cosy_as_completed_result(it);
}

TASK_TEST(a_cancel_loses_none) /* in asyncio it would be gone */
{
    for (int later = 0; later < 4; later++) {
        cosy_scoped(cosy_future) future = cosy_future_new(NULL);
        cosy_as_completed it = {0};
        ck_assert_int_eq(cosy_as_completed_init(&it, &future, 1), 0);
        cosy_scoped(cosy_task) waiter = cosy_create_task(next_result, &it);
        let_all_run(1);
        cosy_future_set_result(future, 9);
        let_all_run(later);
        bool cancelled = cosy_task_cancel(waiter);
        ck_assert_int_eq(cancelled, later < 2);
        ck_assert_int_eq(cosy_await(waiter), cancelled ? -ECANCELED : 9);
        ck_assert_int_eq(cosy_as_completed_result(&it), cancelled ? 9 : -COSY_ESTOPITER);
        cosy_as_completed_close(&it);
    }
    return 0;
}

TASK_TEST(a_cancel_hands_on_to_the_next_in_line)
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    cosy_future *futures[] = {future, never};
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, futures, 2), 0);
    cosy_scoped(cosy_task) first = cosy_create_task(next_result, &it);
    cosy_scoped(cosy_task) second = cosy_create_task(next_result, &it);
    let_all_run(1);
    cosy_future_set_result(future, 9);
    let_all_run(1);
    cosy_task_cancel(first);
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    ck_assert_int_eq(cosy_await(second), 9);
    cosy_as_completed_close(&it);
    return 0;
}

TASK_TEST(closing_ends_those_in_line)
{
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_init(&it, &never, 1), 0);
    cosy_scoped(cosy_task) waiter = cosy_create_task(next_result, &it);
    let_all_run(1);
    cosy_as_completed_close(&it);
    ck_assert_int_eq(cosy_await(waiter), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(the_tree_tells_it)
{
    cosy_task *tasks[3];
    cosy_as_completed it = {0};
    start_three(tasks);
    ck_assert_int_eq(cosy_as_completed_init(&it, tasks, 3), 0);
    cosy_scoped(cosy_task) waiter = cosy_create_task(next_result, &it);
    let_all_run(1);
    tree_tells("waits for the next of 3 (3 to come)");
    tree_tells("awaited by '");
    ck_assert_int_eq(cosy_await(waiter), 1);
    cosy_as_completed_close(&it);
    drop_three(tasks);
    return 0;
}

TASK_TEST(many)
{
    cosy_coro *coros[200];
    int err = 0, last = -1;
    for (int i = 0; i < 200; i++)
        coros[i] = cosy_call(give_later, COSY_US(20 * (i + 1)), i);
    COSY_AS_COMPLETED(task, coros, 200, err)
    {
        int result = cosy_await(task);
        if (simulated())
            ck_assert_int_eq(result, last + 1);
        last = result;
    }
    ck_assert_int_eq(err, 0);
    return 0;
}

/* ---- misuse, closing, no memory ---- */

TASK_TEST(wrong_things_are_errors) /* test_as_completed_invalid_args */
{
    cosy_as_completed it = {0};
    ck_assert_int_eq(cosy_as_completed_result(&it), -EINVAL);
    cosy_as_completed_close(&it);
    cosy_coro *used = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(used), 1);
    cosy_coro *coros[] = {cosy_call(count_runs), used, cosy_call(count_runs)};
    runs = 0;
    ck_assert_int_eq(cosy_as_completed_init(&it, coros, 3), -COSY_EAWAITED);
    logs("already awaited");
    ck_assert_int_eq(cosy_as_completed_result(&it), -COSY_EAWAITED);
    cosy_as_completed_close(&it);
    let_all_run(2);
    ck_assert_int_eq(runs, 0);
    cosy_task *self = cosy_current_task();
    ck_assert_int_eq(cosy_as_completed_init(&it, &self, 1), -COSY_ESELF);
    ck_assert_int_eq(cosy_as_completed_init(&it, (cosy_task **)NULL, 1), -EINVAL);
    cosy_task *none[] = {NULL};
    ck_assert_int_lt(cosy_as_completed_init(&it, none, 1), 0);
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_scoped(cosy_future) foreign = cosy_future_new(other);
    ck_assert_int_eq(cosy_as_completed_init(&it, &foreign, 1), -COSY_EOTHERLOOP);
    cosy_loop_free(other);
    return 0;
}

START_TEST(outside_a_task_is_an_error) /* test_as_completed_coroutine_without_loop */
{
    begin_test();
    cosy_as_completed it = {0};
    cosy_coro *coros[] = {cosy_call(give, 1)};
    ck_assert_int_eq(cosy_as_completed_init(&it, coros, 1), -COSY_ENOTASK);
    logs("cosy_as_completed_init");
    ck_assert_int_eq(cosy_as_completed_result(&it), -COSY_ENOTASK);
    logs("cosy_as_completed_result");
    cosy_as_completed_close(&it);
}
END_TEST

static int iterate_for_ever(cosy_future *never)
{
    int err = 0;
    COSY_AS_COMPLETED(future, &never, 1, err, .timeout = LONG)
    return cosy_await(future);
    return err;
}

static int ignore_the_cancel(cosy_future *never)
{
    (void)cosy_sleep(LONG);
    return cosy_await(never);
}

static int leave_one_that_stays(cosy_future *never)
{
    cosy_coro *coros[] = {cosy_call(give, 1), cosy_call(ignore_the_cancel, never)};
    int err = 0;
    COSY_AS_COMPLETED(task, coros, 2, err)
    break;
    return err;
}

START_TEST(a_loop_closed_under_it)
{
    close_under(iterate_for_ever);
    close_under_after(leave_one_that_stays, 8);
}
END_TEST

static int iterate(void)
{
    cosy_coro *coros[] = {cosy_call(give_later, 1, 1), cosy_call(give_later, 2, 1)};
    int err = 0;
    COSY_AS_COMPLETED(task, coros, 2, err, .timeout = LONG)
    cosy_check(err, cosy_await(task));
    return err < 0 ? err : 0;
}

static int iterate_in_a_run(void)
{
    return cosy_run(iterate);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(iterate_in_a_run);
}
END_TEST

TESTS_MAIN("as_completed", the_original_handles_in_the_order_of_their_ends, results_one_by_one,
           what_is_done_comes_at_once, nothing_ends_at_once, the_same_coroutine_twice_is_once, they_run_side_by_side,
           a_block_is_left_by_each_way, its_own_coroutines_do_not_outlive_it,
           a_cancel_while_it_is_left_meets_the_next_wait, a_limit_is_told_for_each_that_is_left, a_limit_ends_the_block,
           a_limit_that_is_not_needed_leaves_no_timer, several_tasks_take_turns, a_limit_meets_those_in_line,
           a_cancel_loses_none, a_cancel_hands_on_to_the_next_in_line, closing_ends_those_in_line, the_tree_tells_it,
           many, wrong_things_are_errors, outside_a_task_is_an_error, a_loop_closed_under_it,
           no_memory_is_an_error_and_leaves_nothing)
