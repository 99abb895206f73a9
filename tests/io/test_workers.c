/* test_workers.c - a loop in each of some threads. */
#include "io_test.h"

static atomic_uint seen, running, cancelled;
static atomic_int sum;

static void begin_crew(void)
{
    begin_test();
    seen = running = cancelled = 0;
    sum = 0;
}

cosy_async static int work(int a, double b, const char *text)
{
    unsigned bit = 1u << cosy_worker_index();
    ck_assert(strcmp(text, "shared") == 0 && b == 0.5 && cosy_worker_count() == 4);
    ck_assert(!(atomic_fetch_or(&seen, bit) & bit));
    cosy_try(cosy_sleep(COSY_MS(1)));
    sum += a;
    return 0;
}

START_TEST(each_worker_runs_the_function_in_a_loop_of_its_own)
{
    begin_crew();
    int fds = open_descriptors(), threads = entries("/proc/self/task");
    ck_assert_int_eq(cosy_worker_index(), -1);
    ck_assert_uint_eq(cosy_worker_count(), 0);
    ck_assert_int_eq(cosy_run_workers(4, work, 10, 0.5, "shared"), 0);
    ck_assert_uint_eq(seen, 15);
    ck_assert_int_eq(sum, 40);
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_int_eq(entries("/proc/self/task"), threads);
    ck_assert_str_eq(logged, "");
}
END_TEST

cosy_async static int count_me(void)
{
    sum++;
    return 5;
}

START_TEST(no_number_means_one_per_processor)
{
    begin_crew();
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    ck_assert_int_eq(cosy_run_workers(0, count_me), 0);
    ck_assert_int_eq(sum, CPU_COUNT(&set));
}
END_TEST

/* All are there at once, or this would never end. */
cosy_async static int meet(void)
{
    running++;
    while (running < 3)
        cosy_try(cosy_sleep(COSY_US(100)));
    return 0;
}

START_TEST(workers_run_side_by_side)
{
    begin_crew();
    ck_assert_int_eq(cosy_run_workers(3, meet), 0);
}
END_TEST

cosy_async static int one_fails(void)
{
    int result = 0;
    running++;
    while (running < 3 && result == 0)
        result = cosy_sleep(COSY_US(100));
    if (cosy_worker_index() == 1)
        return cosy_fail(EIO, "worker %d has no disk", cosy_worker_index());
    while (result == 0)
        result = cosy_sleep(COSY_NEVER);
    cancelled += result == -ECANCELED;
    return result;
}

START_TEST(the_first_error_cancels_the_others_and_comes_back)
{
    begin_crew();
    ck_assert_int_eq(cosy_run_workers(3, one_fails), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "worker 1 has no disk");
    ck_assert_uint_eq(cancelled, 2);
    ck_assert_str_eq(logged, "");
}
END_TEST

cosy_async static int fail_at_once(void)
{
    return cosy_worker_index() == 0 ? -EIO : cosy_sleep(COSY_NEVER);
}

/* The cancel meets workers before their loops are there, too. */
START_TEST(an_error_at_once_ends_workers_that_are_just_beginning)
{
    begin_crew();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(cosy_run_workers(3, fail_at_once), -EIO);
    ck_assert_str_eq(logged, "");
}
END_TEST

static pid_t test_process;
cosy_async static int wait_for_interrupt(void)
{
    if (++running == 2)
        kill(test_process, SIGINT);
    int result = cosy_sleep(COSY_NEVER);
    cancelled += result == -ECANCELED;
    return result;
}

START_TEST(ctrl_c_cancels_all)
{
    begin_crew();
    test_process = getpid();
    signal(SIGINT, SIG_DFL); /* not the test library's */
    ck_assert_int_eq(cosy_run_workers(2, wait_for_interrupt), -COSY_EINTERRUPT);
    ck_assert_uint_eq(cancelled, 2);
}
END_TEST

cosy_async static int nested(void)
{
    return cosy_run_workers(2, count_me);
}

START_TEST(crews_inside_a_running_loop_are_refused)
{
    begin_crew();
    ck_assert_int_eq(cosy_run(nested), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_run_workers(1000000, count_me), -EINVAL);
    ck_assert_int_eq(sum, 0);
}
END_TEST

cosy_async static int is_debug(void)
{
    return cosy_loop_get_debug(cosy_running_loop()) ? 0 : -EINVAL;
}

START_TEST(options_are_for_each_loop)
{
    begin_crew();
    ck_assert_int_eq(cosy_run_workers_with(2, (.debug = true), is_debug), 0);
}
END_TEST

static int small_crew(void)
{
    sum = 0;
    int result = cosy_run_workers(2, count_me);
    ck_assert(result != 0 || sum == 2);
    return result == -EAGAIN ? -ENOMEM : result; /* a thread that memory was missing for is a missing thread */
}

START_TEST(without_memory_the_crew_fails)
{
    starve(small_crew);
}
END_TEST

/* Workers ask one another. */
static _Atomic(cosy_loop *) loops[2];
static atomic_int asked;
cosy_async static int which(void)
{
    return cosy_worker_index();
}
static int ask(cosy_loop *loop)
{
    cosy_scoped(cosy_thread_future) future = NULL;
    cosy_try(cosy_run_coroutine_threadsafe(loop, &future, which));
    return cosy_thread_future_wait(future, COSY_NEVER);
}
cosy_async static int ask_the_other(void)
{
    int me = cosy_worker_index();
    loops[me] = cosy_running_loop();
    while (!loops[1 - me])
        cosy_try(cosy_sleep(COSY_US(100)));
    for (int i = 0; i < 50; i++)
        if (cosy_to_thread(ask, loops[1 - me]) != 1 - me)
            return -EINVAL;
    asked++;
    while (asked < 2)
        cosy_try(cosy_sleep(COSY_US(100)));
    return 0;
}

START_TEST(workers_talk_through_their_loops)
{
    begin_crew();
    loops[0] = loops[1] = NULL;
    asked = 0;
    ck_assert_int_eq(cosy_run_workers(2, ask_the_other), 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

TESTS_MAIN("workers", each_worker_runs_the_function_in_a_loop_of_its_own, no_number_means_one_per_processor,
           workers_run_side_by_side, the_first_error_cancels_the_others_and_comes_back,
           an_error_at_once_ends_workers_that_are_just_beginning, ctrl_c_cancels_all,
           crews_inside_a_running_loop_are_refused, options_are_for_each_loop, without_memory_the_crew_fails,
           workers_talk_through_their_loops)
