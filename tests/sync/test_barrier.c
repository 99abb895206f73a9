/* Tests of barriers: filling, draining, cancels. Reset and abort are in test_barrier_reset.c. Names in comments are
 * those of the tests in CPython's test_locks.py for the same behaviour. */
#include "barrier_test.h"

TASK_TEST(a_new_barrier_fills) /* test_barrier, test_barrier_parties */
{
    begin(5);
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
    ck_assert_int_eq(cosy_barrier_parties(&barrier), 5);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert(!cosy_barrier_broken(&barrier));
    ck_assert_int_eq(cosy_barrier_init(&barrier, 0), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "a barrier needs at least one party");
    ck_assert_int_eq(cosy_barrier_init(&barrier, -4), -EINVAL);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), -EINVAL);
    ck_assert_int_eq(cosy_barrier_init(&barrier, 3), 0);
    ck_assert_int_eq(cosy_barrier_parties(&barrier), 3);
    return 0;
}

TASK_TEST(each_has_an_index_of_its_own) /* test_context_manager */
{
    begin(3);
    all_wait(3, just_wait);
    said("2 0 1"); /* the last that came does not suspend */
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    return 0;
}

TASK_TEST(a_barrier_of_one_lets_through) /* test_filling_one_task, test_filling_one_task_twice */
{
    begin(1);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_barrier_wait(&barrier), 0);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), 0);
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
    return 0;
}

TASK_TEST(it_fills_task_by_task) /* test_filling_task_by_task, test_repr */
{
    begin(3);
    cosy_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
        ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), i);
        tasks[i] = cosy_create_task(just_wait);
        let_all_run(1);
    }
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_DRAINING);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    let_all_run(1);
    said("2 0 1");
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

static int passed[2], sum;

cosy_async static int wait_twice(void)
{
    cosy_try(cosy_barrier_wait(&barrier));
    passed[0]++;
    int index = cosy_try(cosy_barrier_wait(&barrier));
    passed[1]++;
    sum += 1 << index;
    return 0;
}

TASK_TEST(it_fills_again) /* test_filling_tasks_wait_twice, test_filling_tasks_check_return_value */
{
    begin(5);
    passed[0] = passed[1] = sum = 0;
    all_wait(5, wait_twice);
    ck_assert_int_eq(passed[0], 5);
    ck_assert_int_eq(passed[1], 5);
    ck_assert_int_eq(sum, 31); /* 0 to 4, each once */
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    return 0;
}

cosy_async static int say_state(void)
{
    cosy_try(cosy_barrier_wait(&barrier));
    say(state_of(&barrier) == COSY_BARRIER_DRAINING ? "draining" : "filling");
    return 0;
}

TASK_TEST(it_drains_until_the_last_is_out) /* test_draining_state */
{
    begin(5);
    all_wait(5, say_state);
    said("draining draining draining draining filling");
    return 0;
}

static int again;
static cosy_barrier others;

cosy_async static int some_wait_again_at_once(void)
{
    cosy_try(cosy_barrier_wait(&barrier));
    if (again-- <= 0)
        cosy_try(cosy_barrier_wait(&others));
    cosy_try(cosy_barrier_wait(&barrier));
    return 0;
}

TASK_TEST(who_comes_while_it_drains_is_in_the_next_round) /* test_blocking_tasks_while_draining */
{
    begin(5);
    others = (cosy_barrier)COSY_BARRIER(3);
    again = 2;
    all_wait(5, some_wait_again_at_once);
    ck_assert_int_eq(cosy_barrier_n_waiting(&others), 0);
    return 0;
}

TASK_TEST(a_cancelled_one_is_replaced) /* test_filling_tasks_cancel_one */
{
    begin(3);
    cosy_scoped(cosy_task) t1 = cosy_create_task(just_wait);
    cosy_scoped(cosy_task) t2 = cosy_create_task(just_wait);
    let_all_run(1);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 2);
    cosy_task_cancel(t1);
    ck_assert_int_eq(cosy_await(t1), -ECANCELED);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 1);
    cosy_scoped(cosy_task) t3 = cosy_create_task(just_wait);
    cosy_scoped(cosy_task) t4 = cosy_create_task(just_wait);
    ck_assert_int_eq(cosy_gather(t2, t3, t4), 0);
    said("ECANCELED 2 0 1"); /* in asyncio t2 and t3 both have 1 */
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    return 0;
}

TASK_TEST(a_cancel_after_the_opening_concerns_one_alone)
{
    begin(3);
    cosy_scoped(cosy_task) t1 = cosy_create_task(just_wait);
    cosy_scoped(cosy_task) t2 = cosy_create_task(just_wait);
    let_all_run(1);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), 2);
    cosy_task_cancel(t1);
    let_all_run(1);
    said("ECANCELED 1");
    ck_assert(cosy_task_done(t2));
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
    return 0;
}

TASK_TEST(one_cancelled_outside_changes_nothing)
{
    begin(2);
    cosy_scoped(cosy_task) t1 = cosy_create_task(just_wait);
    let_all_run(1);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task_with((.eager_start = true), just_wait);
    struct cosy_barrier_statistics statistics;
    cosy_barrier_statistics(&barrier, &statistics);
    ck_assert_int_eq(statistics.inside, 1);
    ck_assert_uint_eq(statistics.tasks_waiting, 1);
    ck_assert_int_eq(statistics.parties, 2);
    cosy_task_cancel(t2);
    let_all_run(1);
    said("0 ECANCELED");
    ck_assert(cosy_task_done(t1));
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
    return 0;
}

/* ---- loops ---- */

cosy_async static int stop_and_wait(cosy_loop *loop)
{
    cosy_loop_stop(loop);
    return just_wait();
}

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_barrier_wait(&barrier), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_barrier_reset(&barrier), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_barrier_abort(&barrier), -COSY_EOTHERLOOP);
    ck_assert(strstr(cosy_error_message(-COSY_EOTHERLOOP), "cosy_barrier_abort: tasks of another loop") != NULL);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 1);
    return 0;
}

static cosy_loop *wait_in_a_loop(cosy_task **ret_task)
{
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    *ret_task = cosy_create_task_with((.loop = loop), stop_and_wait, loop);
    cosy_loop_run_forever(loop);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 1);
    return loop;
}

START_TEST(what_is_waited_at_in_another_loop_is_out_of_reach)
{
    begin_test();
    begin(2);
    cosy_task *task;
    cosy_loop *loop = wait_in_a_loop(&task);
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_barrier_abort(&barrier), 0); /* no loop runs here, and theirs stands still */
    ck_assert_int_eq(cosy_run_until_complete(loop, task), 0);
    said("COSY_EBROKENBARRIER");
    cosy_task_drop(task);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_closed_loop_takes_its_waiters_along)
{
    begin_test();
    begin(2);
    cosy_task *task;
    cosy_loop *loop = wait_in_a_loop(&task);
    cosy_loop_close(loop);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(cosy_barrier_reset(&barrier), 0);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    logs("Task was destroyed but it is pending");
}
END_TEST

TESTS_MAIN("barrier", a_new_barrier_fills, each_has_an_index_of_its_own, a_barrier_of_one_lets_through,
           it_fills_task_by_task, it_fills_again, it_drains_until_the_last_is_out,
           who_comes_while_it_drains_is_in_the_next_round, a_cancelled_one_is_replaced,
           a_cancel_after_the_opening_concerns_one_alone, one_cancelled_outside_changes_nothing,
           what_is_waited_at_in_another_loop_is_out_of_reach, a_closed_loop_takes_its_waiters_along)
