/* Tests of barriers that are reset or aborted, at each moment. Names in comments are those of the tests in CPython's
 * test_locks.py for the same behaviour. */
#include "barrier_test.h"

enum { N = 5 };

static int count, broken, broken_again, through;

static void start(void)
{
    begin(N);
    count = broken = broken_again = through = 0;
}

static void is_usable_again(void)
{
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_FILLING);
}

TASK_TEST(an_empty_one_is_reset_and_aborted) /* test_reset_barrier, test_abort_barrier */
{
    begin(1);
    ck_assert_int_eq(cosy_barrier_reset(&barrier), 0);
    is_usable_again();
    ck_assert_int_eq(cosy_barrier_abort(&barrier), 0);
    ck_assert(cosy_barrier_broken(&barrier));
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(cosy_barrier_wait(&barrier), -COSY_EBROKENBARRIER);
    ck_assert_str_eq(cosy_error_message(-COSY_EBROKENBARRIER), "the barrier was aborted");
    ck_assert_int_eq(cosy_barrier_reset(&barrier), 0);
    is_usable_again();
    ck_assert_int_eq(cosy_barrier_wait(&barrier), 0);
    return 0;
}

TASK_TEST(a_reset_turns_those_away_that_wait) /* test_reset_barrier_while_tasks_waiting, test_repr */
{
    begin(3);
    cosy_scoped(cosy_task) t1 = cosy_create_task(just_wait);
    cosy_scoped(cosy_task) t2 = cosy_create_task(just_wait);
    let_all_run(1);
    ck_assert_int_eq(cosy_barrier_reset(&barrier), 0);
    ck_assert_int_eq(state_of(&barrier), COSY_BARRIER_RESETTING);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    ck_assert_int_eq(cosy_barrier_reset(&barrier), 0); /* twice is as once */
    cosy_scoped(cosy_task) t3 = cosy_create_task_with((.eager_start = true), just_wait);
    ck_assert_int_eq(cosy_gather(t1, t2), 0);
    said("COSY_EBROKENBARRIER COSY_EBROKENBARRIER");
    let_all_run(1);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 1); /* t3 came in when they were out */
    cosy_task_cancel(t3);
    ck_assert_int_eq(cosy_await(t3), -ECANCELED);
    said("ECANCELED");
    is_usable_again();
    return 0;
}

TASK_TEST(the_message_of_a_reset)
{
    begin(2);
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_barrier_wait, &barrier);
    let_all_run(1);
    cosy_barrier_reset(&barrier);
    ck_assert_int_eq(cosy_await(task), -COSY_EBROKENBARRIER);
    ck_assert_str_eq(cosy_error_message(-COSY_EBROKENBARRIER),
                     "the barrier was reset or aborted before all were through");
    return 0;
}

cosy_async static int reset_when_half_are_out(void)
{
    int index = cosy_barrier_wait(&barrier);
    struct cosy_barrier_statistics statistics;
    cosy_barrier_statistics(&barrier, &statistics);
    if (index == -COSY_EBROKENBARRIER)
        broken++;
    else if (statistics.inside == N / 2)
        cosy_barrier_reset(&barrier);
    return 0;
}

TASK_TEST(a_reset_reaches_those_that_are_not_out_yet) /* test_reset_barrier_when_tasks_half_draining */
{
    start();
    all_wait(N, reset_when_half_are_out);
    ck_assert_int_eq(broken, N / 2);
    is_usable_again();
    return 0;
}

cosy_async static int reset_half_way_and_again(void)
{
    int index = cosy_barrier_wait(&barrier);
    if (index == -COSY_EBROKENBARRIER) {
        broken++;
        cosy_try(cosy_barrier_wait(&barrier));
    } else if (++count > N / 2) {
        cosy_barrier_reset(&barrier);
        cosy_try(cosy_barrier_wait(&barrier));
    } else if (cosy_barrier_wait(&barrier) == -COSY_EBROKENBARRIER)
        broken_again++;
    return 0;
}

TASK_TEST(a_reset_leaves_those_outside_in_peace) /* test_reset_barrier_when_tasks_half_draining_half_blocking */
{
    start();
    all_wait(N, reset_half_way_and_again);
    ck_assert_int_eq(broken, N / 2);
    ck_assert_int_eq(broken_again, 0);
    is_usable_again();
    return 0;
}

cosy_async static int wait_again_when_broken(void)
{
    if (cosy_barrier_wait(&barrier) == -COSY_EBROKENBARRIER)
        broken++;
    cosy_try(cosy_barrier_wait(&barrier));
    through++;
    return 0;
}

cosy_async static int reset_it(void)
{
    return cosy_barrier_reset(&barrier);
}

cosy_async static int wait_through(void)
{
    cosy_try(cosy_barrier_wait(&barrier));
    through++;
    return 0;
}

TASK_TEST(those_turned_away_may_come_back) /* test_reset_barrier_while_tasks_waiting_and_waiting_again */
{
    start();
    cosy_task *tasks[N - 1];
    for (int i = 0; i < N - 1; i++)
        tasks[i] = cosy_create_task(wait_again_when_broken);
    ck_assert_int_eq(cosy_spawn(reset_it), 0);
    let_all_run(1);
    cosy_scoped(cosy_task) last = cosy_create_task(wait_through);
    ck_assert_int_eq(cosy_gather_tasks(tasks, N - 1, NULL), 0);
    ck_assert_int_eq(cosy_await(last), 0);
    ck_assert_int_eq(broken, N - 1);
    ck_assert_int_eq(through, N);
    is_usable_again();
    for (int i = 0; i < N - 1; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

cosy_async static int the_last_one_out_resets(void)
{
    cosy_try(cosy_barrier_wait(&barrier));
    if (++count == N) {
        cosy_barrier_reset(&barrier);
        cosy_try(cosy_barrier_wait(&barrier));
    } else if (cosy_barrier_wait(&barrier) >= 0)
        through++;
    else
        broken++;
    cosy_try(cosy_barrier_wait(&barrier));
    return 0;
}

TASK_TEST(a_reset_after_the_last_one_is_out_hurts_nobody) /* test_reset_barrier_while_tasks_draining */
{
    start();
    all_wait(N, the_last_one_out_resets);
    ck_assert_int_eq(through, N - 1);
    ck_assert_int_eq(broken, 0);
    is_usable_again();
    return 0;
}

cosy_async static int abort_half_way(void)
{
    if (cosy_barrier_wait(&barrier) == -COSY_EBROKENBARRIER)
        broken++;
    else if (++count > N / 2)
        cosy_barrier_abort(&barrier);
    else if (cosy_barrier_wait(&barrier) == -COSY_EBROKENBARRIER)
        broken_again++;
    return 0;
}

TASK_TEST(an_abort_reaches_those_inside_and_outside) /* test_abort_barrier_when_tasks_half_draining_half_blocking */
{
    start();
    all_wait(N, abort_half_way);
    ck_assert(cosy_barrier_broken(&barrier));
    ck_assert_int_eq(broken, N / 2);
    ck_assert_int_eq(broken_again, N - N / 2 - 1);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    return 0;
}

cosy_async static int one_fails_and_aborts(void)
{
    int index = cosy_barrier_wait(&barrier);
    if (index == N / 2)
        return cosy_barrier_abort(&barrier);
    if (index >= 0)
        index = cosy_barrier_wait(&barrier);
    if (index == -COSY_EBROKENBARRIER)
        broken++;
    else
        through++;
    return 0;
}

TASK_TEST(one_that_fails_aborts_for_all) /* test_abort_barrier_when_exception */
{
    start();
    all_wait(N, one_fails_and_aborts);
    ck_assert(cosy_barrier_broken(&barrier));
    ck_assert_int_eq(through, 0);
    ck_assert_int_eq(broken, N - 1);
    ck_assert_int_eq(cosy_barrier_n_waiting(&barrier), 0);
    return 0;
}

static cosy_barrier second;
static int third;

cosy_async static int abort_then_reset(void)
{
    cosy_try(one_fails_and_aborts());
    if (cosy_try(cosy_barrier_wait(&second)) == N / 2)
        cosy_try(cosy_barrier_reset(&barrier));
    cosy_try(cosy_barrier_wait(&second));
    cosy_try(cosy_barrier_wait(&barrier));
    third++;
    return 0;
}

TASK_TEST(an_aborted_one_is_reset) /* test_abort_barrier_when_exception_then_resetting */
{
    start();
    second = (cosy_barrier)COSY_BARRIER(N);
    third = 0;
    all_wait(N, abort_then_reset);
    ck_assert_int_eq(through, 0);
    ck_assert_int_eq(broken, N - 1);
    ck_assert_int_eq(third, N);
    is_usable_again();
    return 0;
}

TESTS_MAIN("barrier reset", an_empty_one_is_reset_and_aborted, a_reset_turns_those_away_that_wait,
           the_message_of_a_reset, a_reset_reaches_those_that_are_not_out_yet, a_reset_leaves_those_outside_in_peace,
           those_turned_away_may_come_back, a_reset_after_the_last_one_is_out_hurts_nobody,
           an_abort_reaches_those_inside_and_outside, one_that_fails_aborts_for_all, an_aborted_one_is_reset)
