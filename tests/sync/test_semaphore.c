/* Tests of semaphores, bounded ones too. Names in comments are those of the tests in CPython's test_locks.py for the
 * same behaviour. */
#include "../flow/flow_test.h"

static cosy_semaphore sem;

cosy_async static int acquire_and_say(int number)
{
    int result = cosy_semaphore_acquire(&sem);
    say(result == 0 ? "%d" : "%d-%s", number, cosy_errname(result));
    return result;
}

static size_t waiting(void)
{
    struct cosy_semaphore_statistics statistics;
    cosy_semaphore_statistics(&sem, &statistics);
    ck_assert_int_eq(statistics.value, cosy_semaphore_value(&sem));
    return statistics.tasks_waiting;
}

/* n tasks in line. */
static void line_up(cosy_task **tasks, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_ptr_nonnull(tasks[i] = cosy_create_task(acquire_and_say, i + 1));
    let_all_run(1);
    ck_assert_uint_eq(waiting(), n);
    said("");
}

static void drop_all(cosy_task **tasks, int n)
{
    for (int i = 0; i < n; i++)
        cosy_task_drop(tasks[i]);
}

TASK_TEST(a_semaphore_of_none) /* test_initial_value_zero */
{
    sem = (cosy_semaphore){0};
    ck_assert(cosy_semaphore_locked(&sem));
    ck_assert_int_eq(cosy_semaphore_try_acquire(&sem), -EAGAIN);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0);
    ck_assert(!cosy_semaphore_locked(&sem));
    return 0;
}

TASK_TEST(permits_come_and_go) /* test_repr, test_semaphore, test_release_no_waiters */
{
    sem = (cosy_semaphore)COSY_SEMAPHORE(1);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_semaphore_value(&sem), 1);
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), 0);
    ck_assert(cosy_semaphore_locked(&sem));
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0); /* one more than there were */
    ck_assert(!cosy_semaphore_locked(&sem));
    ck_assert_int_eq(cosy_semaphore_value(&sem), 2);
    ck_assert_int_eq(cosy_semaphore_try_acquire(&sem), 0);
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(fewer_permits_than_none_cannot_be) /* test_semaphore_value */
{
    ck_assert_int_eq(cosy_semaphore_init(&sem, -1), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "a semaphore's initial value must be >= 0");
    ck_assert_int_eq(cosy_semaphore_init_bounded(&sem, -1), -EINVAL);
    sem = (cosy_semaphore)COSY_SEMAPHORE(-1);
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), -EINVAL);
    ck_assert_int_eq(cosy_semaphore_try_acquire(&sem), -EINVAL);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -EINVAL);
    ck_assert_int_eq(cosy_semaphore_init(&sem, 2), 0);
    ck_assert_int_eq(cosy_semaphore_value(&sem), 2);
    return 0;
}

TASK_TEST(a_bounded_one_has_no_more_than_at_its_beginning) /* test_release_not_acquired */
{
    sem = (cosy_semaphore)COSY_BOUNDED_SEMAPHORE(2);
    struct cosy_semaphore_statistics statistics;
    cosy_semaphore_statistics(&sem, &statistics);
    ck_assert_int_eq(statistics.max_value, 2);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -COSY_ETOOMANY);
    ck_assert_str_eq(cosy_error_message(-COSY_ETOOMANY), "a semaphore of 2 permits was released too many times");
    ck_assert_int_eq(cosy_semaphore_value(&sem), 2);
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_semaphore_init_bounded(&sem, 0), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_semaphore_init(&sem, 0), 0);
    cosy_semaphore_statistics(&sem, &statistics);
    ck_assert_int_eq(statistics.max_value, -1);
    ck_assert_int_eq(cosy_semaphore_init(&sem, INT64_MAX), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -COSY_ETOOMANY);
    return 0;
}

TASK_TEST(a_release_hands_its_permit_to_the_first_in_line) /* test_acquire */
{
    sem = (cosy_semaphore)COSY_SEMAPHORE(3);
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), 0);
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), 0);
    ck_assert(!cosy_semaphore_locked(&sem));
    cosy_task *tasks[4];
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(acquire_and_say, i + 1);
    let_all_run(1);
    said("1");
    ck_assert(cosy_semaphore_locked(&sem));
    ck_assert_uint_eq(waiting(), 2);
    tasks[3] = cosy_create_task(acquire_and_say, 4);
    cosy_semaphore_release(&sem);
    cosy_semaphore_release(&sem);
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    let_all_run(1);
    said("2 3");
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    ck_assert(cosy_semaphore_locked(&sem));
    ck_assert_uint_eq(waiting(), 1);
    cosy_semaphore_release(&sem);
    let_all_run(1);
    said("4");
    drop_all(tasks, 4);
    return 0;
}

TASK_TEST(a_cancelled_waiter_leaves_the_line) /* test_acquire_cancel */
{
    sem = (cosy_semaphore){0};
    cosy_task *tasks[1];
    line_up(tasks, 1);
    cosy_task_cancel(tasks[0]);
    ck_assert_int_eq(cosy_await(tasks[0]), -ECANCELED);
    ck_assert_uint_eq(waiting(), 0);
    said("1-ECANCELED");
    drop_all(tasks, 1);
    return 0;
}

TASK_TEST(a_permit_passes_over_those_cancelled_before) /* test_acquire_cancel_before_awoken */
{
    sem = (cosy_semaphore){0};
    cosy_task *tasks[4];
    line_up(tasks, 4);
    cosy_task_cancel(tasks[0]);
    cosy_task_cancel(tasks[1]);
    cosy_semaphore_release(&sem);
    let_all_run(2);
    said("1-ECANCELED 2-ECANCELED 3");
    cosy_task_cancel(tasks[3]);
    let_all_run(1);
    said("4-ECANCELED");
    drop_all(tasks, 4);
    return 0;
}

TASK_TEST(a_permit_is_not_lost_with_the_first_in_line) /* test_acquire_hang */
{
    for (int woken_first = 0; woken_first < 2; woken_first++) {
        sem = (cosy_semaphore){0};
        cosy_task *tasks[2];
        line_up(tasks, 2);
        if (woken_first)
            cosy_semaphore_release(&sem);
        cosy_task_cancel(tasks[0]);
        if (!woken_first)
            cosy_semaphore_release(&sem);
        let_all_run(2);
        said("1-ECANCELED 2");
        ck_assert(cosy_semaphore_locked(&sem));
        ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
        drop_all(tasks, 2);
    }
    return 0;
}

TASK_TEST(two_cancelled_with_their_permits_give_both_back)
{
    sem = (cosy_semaphore){0};
    cosy_task *tasks[4];
    line_up(tasks, 4);
    cosy_semaphore_release(&sem);
    cosy_semaphore_release(&sem);
    cosy_task_cancel(tasks[0]);
    cosy_task_cancel(tasks[1]);
    let_all_run(2);
    said("1-ECANCELED 2-ECANCELED 3 4");
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    ck_assert_uint_eq(waiting(), 0);
    drop_all(tasks, 4);
    return 0;
}

static cosy_task *second;

cosy_async static int hold_for_a_turn_then_cancel(void)
{
    cosy_try(cosy_semaphore_acquire(&sem));
    int slept = cosy_sleep(0);
    cosy_semaphore_release(&sem);
    cosy_task_cancel(second);
    return slept;
}

TASK_TEST(the_permit_of_one_cancelled_right_after_is_there_again) /* test_acquire_no_hang */
{
    sem = (cosy_semaphore)COSY_SEMAPHORE(1);
    cosy_scoped(cosy_task) t1 = cosy_create_task(hold_for_a_turn_then_cancel);
    cosy_scoped(cosy_task) t2 = second = cosy_create_task(acquire_and_say, 2);
    ck_assert_int_eq(cosy_await(t1), 0);
    ck_assert_int_eq(cosy_await(t2), -ECANCELED);
    said("2-ECANCELED");
    ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_semaphore_acquire, &sem), COSY_S(1)), 0);
    return 0;
}

cosy_async static int twice(const char *name)
{
    for (int i = 1; i <= 2; i++) {
        cosy_try(cosy_semaphore_acquire(&sem));
        say("%s_%d", name, i);
        int slept = cosy_sleep(COSY_US(100));
        cosy_semaphore_release(&sem);
        cosy_try(slept);
    }
    return 0;
}

TASK_TEST(tasks_take_turns) /* test_acquire_fifo_order */
{
    sem = (cosy_semaphore)COSY_SEMAPHORE(1);
    ck_assert_int_eq(cosy_gather(cosy_call(twice, "c1"), cosy_call(twice, "c2"), cosy_call(twice, "c3")), 0);
    said("c1_1 c2_1 c3_1 c1_2 c2_2 c3_2");
    return 0;
}

cosy_async static int again_behind_the_line(void)
{
    cosy_try(acquire_and_say(2));
    cosy_semaphore_release(&sem);
    return acquire_and_say(4);
}

TASK_TEST(who_gives_one_back_and_wants_one_again_is_the_last) /* test_acquire_fifo_order_2 */
{
    sem = (cosy_semaphore)COSY_SEMAPHORE(1);
    cosy_scoped(cosy_task) t1 = cosy_create_task(acquire_and_say, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(again_behind_the_line);
    cosy_scoped(cosy_task) t3 = cosy_create_task(acquire_and_say, 3);
    let_all_run(1);
    cosy_semaphore_release(&sem);
    cosy_semaphore_release(&sem);
    ck_assert_int_eq(cosy_gather(t1, t2, t3), 0);
    said("1 2 3 4");
    return 0;
}

TASK_TEST(the_rest_of_the_line_keeps_its_order) /* test_acquire_fifo_order_3 */
{
    sem = (cosy_semaphore){0};
    cosy_task *tasks[3];
    line_up(tasks, 3);
    cosy_task_cancel(tasks[0]);
    let_all_run(1);
    cosy_semaphore_release(&sem);
    cosy_semaphore_release(&sem);
    let_all_run(1);
    said("1-ECANCELED 2 3");
    drop_all(tasks, 3);
    return 0;
}

/* ---- test_acquire_fifo_order_4: permits are left, and all wait behind one that has not run yet ---- */

static cosy_task *fourth;

cosy_async static int say_number(int number)
{
    say("%d", number);
    return 0;
}

cosy_async static int first_of_four(void)
{
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    cosy_try(cosy_semaphore_acquire(&sem));
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0); /* handed out to 2 and 3 by now */
    fourth = cosy_create_task(say_number, 4);
    return say_number(1);
}

cosy_async static int second_of_four(void)
{
    for (int i = 0; i < 3; i++)
        cosy_semaphore_release(&sem);
    ck_assert_int_eq(cosy_semaphore_value(&sem), 2);
    ck_assert(cosy_semaphore_locked(&sem));
    ck_assert_int_eq(cosy_semaphore_try_acquire(&sem), -EAGAIN);
    return acquire_and_say(2);
}

TASK_TEST(the_first_that_runs_lets_the_others_in)
{
    sem = (cosy_semaphore){0};
    cosy_scoped(cosy_task) t1 = cosy_create_task(first_of_four);
    cosy_scoped(cosy_task) t2 = cosy_create_task(second_of_four);
    cosy_scoped(cosy_task) t3 = cosy_create_task(acquire_and_say, 3);
    let_all_run(1);
    ck_assert_int_eq(cosy_semaphore_value(&sem), 2);
    ck_assert_uint_eq(waiting(), 3);
    let_all_run(1);
    ck_assert_int_eq(cosy_gather(t1, t2, t3, fourth), 0);
    said("1 2 3 4");
    cosy_task_drop(fourth);
    return 0;
}

TASK_TEST(who_is_cancelled_while_permits_are_left_lets_the_others_in)
{
    sem = (cosy_semaphore){0};
    cosy_task *tasks[3];
    line_up(tasks, 1);
    for (int i = 0; i < 3; i++)
        cosy_semaphore_release(&sem);
    tasks[1] = cosy_create_task(acquire_and_say, 2);
    tasks[2] = cosy_create_task(acquire_and_say, 3);
    cosy_task_cancel(tasks[0]);
    let_all_run(3);
    said("1-ECANCELED 2 3");
    ck_assert_int_eq(cosy_semaphore_value(&sem), 1);
    ck_assert(!cosy_semaphore_locked(&sem));
    drop_all(tasks, 3);
    return 0;
}

/* ---- loops ---- */

cosy_async static int stop_and_acquire(cosy_loop *loop)
{
    cosy_loop_stop(loop);
    return cosy_semaphore_acquire(&sem);
}

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_semaphore_try_acquire(&sem), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_semaphore_release(&sem), -COSY_EOTHERLOOP);
    ck_assert(strstr(cosy_error_message(-COSY_EOTHERLOOP), "cosy_semaphore_release: tasks of another loop") != NULL);
    ck_assert_int_eq(cosy_semaphore_value(&sem), 0);
    return 0;
}

START_TEST(what_is_waited_for_in_another_loop_is_out_of_reach)
{
    begin_test();
    sem = (cosy_semaphore){0};
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), stop_and_acquire, loop);
    cosy_loop_run_forever(loop);
    ck_assert_uint_eq(waiting(), 1);
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0); /* no loop runs here, and theirs stands still */
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, task), 0);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    ck_assert_int_eq(cosy_semaphore_release(&sem), 0);
    ck_assert_int_eq(cosy_run(cosy_semaphore_acquire, &sem), 0); /* an idle one moves */
    ck_assert_int_eq(cosy_semaphore_acquire(&sem), -COSY_ENOTASK);
}
END_TEST

TESTS_MAIN("semaphore", a_semaphore_of_none, permits_come_and_go, fewer_permits_than_none_cannot_be,
           a_bounded_one_has_no_more_than_at_its_beginning, a_release_hands_its_permit_to_the_first_in_line,
           a_cancelled_waiter_leaves_the_line, a_permit_passes_over_those_cancelled_before,
           a_permit_is_not_lost_with_the_first_in_line, two_cancelled_with_their_permits_give_both_back,
           the_permit_of_one_cancelled_right_after_is_there_again, tasks_take_turns,
           who_gives_one_back_and_wants_one_again_is_the_last, the_rest_of_the_line_keeps_its_order,
           the_first_that_runs_lets_the_others_in, who_is_cancelled_while_permits_are_left_lets_the_others_in,
           what_is_waited_for_in_another_loop_is_out_of_reach)
