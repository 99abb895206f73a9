/* test_executor.c - jobs in pools: results, errors, contexts, many at once. */
#include "io_test.h"

#include "loop/loop.h"

static int add(int a, int b)
{
    return a + b;
}
static void nothing(void) {}
static int64_t large(void)
{
    return INT64_C(5000000000);
}
static unsigned char narrow(void)
{
    return 200;
}
static double total_of(double a, float b, long c)
{
    return a + (double)b + (double)c;
}

struct pair {
    double x;
    long y;
};

static int mixed(double a, struct pair pair, const char *text, int i, float f, long l, short s, char c, uint8_t u,
                 void *p)
{
    bool right = a == 1.5 && pair.x == 2.5 && pair.y == 7 && strcmp(text, "text") == 0 && i == -3 && f == 0.5f &&
                 l == 1L << 40 && s == -2 && c == 'c' && u == 255 && p == NULL;
    (void)total_of;
    return right ? 42 : -EINVAL;
}

static int block_sum(void *copy)
{
    const int *numbers = copy;
    return numbers[0] + numbers[1];
}

TASK_TEST(a_job_takes_any_arguments_and_gives_its_result)
{
    struct pair pair = {2.5, 7};
    ck_assert_int_eq(cosy_run_in_executor(NULL, add, 3, 4), 7);
    ck_assert_int_eq(cosy_run_in_executor(NULL, nothing), 0);
    ck_assert_int_eq(cosy_run_in_executor(NULL, narrow), 200);
    ck_assert_int_eq(
        cosy_run_in_executor(NULL, mixed, 1.5, pair, "text", -3, 0.5f, 1L << 40, (short)-2, 'c', (uint8_t)255, NULL),
        42);
    ck_assert_int_eq(cosy_to_thread(add, 5, 6), 11);
    return 0;
}

TASK_TEST(a_job_may_come_as_a_copied_block)
{
    int numbers[400] = {30, 12};
    ck_assert_int_eq(cosy_run_in_executor_(NULL, cosy_call_block(block_sum, numbers, 8), NULL), 42);
    ck_assert_int_eq(cosy_run_in_executor_(NULL, cosy_call_block(block_sum, numbers, sizeof numbers), NULL), 42);
    return 0;
}

TASK_TEST(a_result_beyond_int_is_whole_in_the_future)
{
    int64_t result;
    ck_assert_int_eq(cosy_run_in_executor(NULL, large), -EOVERFLOW);
    cosy_scoped(cosy_future) future = cosy_submit(NULL, large);
    ck_assert_int_eq(cosy_await(future), -EOVERFLOW);
    ck_assert_int_eq(cosy_future_result(future, &result), 0);
    ck_assert_int_eq(result, INT64_C(5000000000));
    return 0;
}

static int other_thread(pthread_t me)
{
    return !pthread_equal(me, pthread_self()) && !cosy_running_loop();
}

TASK_TEST(a_job_runs_in_another_thread)
{
    ck_assert_int_eq(cosy_to_thread(other_thread, pthread_self()), 1);
    return 0;
}

static int fail_in_thread(int number)
{
    return cosy_fail(EIO, "no file %d", number);
}
static int fail_silently(void)
{
    return -ENOENT;
}
static int fail_deeper(int number)
{
    cosy_try(fail_in_thread(number));
    return 0;
}

TASK_TEST(an_error_comes_with_its_message_and_its_story)
{
    char *story = NULL;
    size_t size;
    int result = cosy_to_thread(fail_deeper, 7);
    ck_assert_int_eq(result, -EIO);
    ck_assert_str_eq(cosy_error_message(result), "no file 7");
    FILE *out = open_memstream(&story, &size);
    cosy_print_error(out, result);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(story, "in fail_in_thread"));
    ck_assert_ptr_nonnull(strstr(story, "job (fail_deeper) in executor 'cosy', submitted at "));
    free(story);
    result = cosy_to_thread(fail_silently);
    ck_assert_int_eq(result, -ENOENT);
    ck_assert_str_eq(cosy_error_message(result), "");
    cosy_scoped(cosy_future) future = cosy_submit(NULL, fail_in_thread, 8);
    ck_assert_int_eq(cosy_await(future), -EIO);
    ck_assert_str_eq(cosy_future_error_message(future), "no file 8");
    ck_assert_str_eq(cosy_error_message(-EIO), "no file 8");
    return 0;
}

static int fail_and_get_by(void)
{
    return cosy_fail(ENOENT, "not here") == -ENOENT ? 0 : -EINVAL;
}

/* The message of one job must not be lent to the next in the same thread. */
TASK_TEST(an_old_error_of_the_thread_is_not_told_again)
{
    cosy_executor *one;
    ck_assert_int_eq(cosy_executor_new(&one, .workers = 1), 0);
    ck_assert_int_eq(cosy_run_in_executor(one, fail_and_get_by), 0);
    int result = cosy_run_in_executor(one, fail_silently);
    ck_assert_str_eq(cosy_error_message(result), "");
    cosy_executor_free(one);
    return 0;
}

cosy_async static int count_turns(int *count)
{
    for (;;) {
        ++*count;
        cosy_try(cosy_sleep(COSY_US(200)));
    }
}

/* Sleeping takes longer than a short job; looking out for one that takes long would waste a processor. */
TASK_TEST(a_loop_looks_out_for_jobs_as_long_as_that_pays)
{
    struct cosy_loop *loop = cosy_running_loop();
    const struct cosy_spin *spin = &loop->letter_spin;
    if (loop->poll_always || cosy_sys_processors() == 1) {
        ck_assert_int_eq(spin->limit, 0);
        return 0;
    }
    for (int i = 0; spin->step == 0 && i < 100; i++)
        ck_assert_int_eq(cosy_to_thread(usleep, 5000), 0);
    ck_assert_uint_gt(spin->step, 0);
    if (under_tool())
        return 0; /* no job is short */
    for (int i = 0; spin->step > 0 && i < 1000000; i++)
        ck_assert_int_eq(cosy_to_thread(add, i, 0), i);
    ck_assert_uint_eq(spin->step, 0);
    return 0;
}

static cosy_async int spin_limit_here(cosy_ns *limit)
{
    *limit = ((struct cosy_loop *)cosy_running_loop())->letter_spin.limit;
    return 0;
}

static int run_without_looking(void)
{
    cosy_ns limit = 1;
    int result = cosy_run_with((.spin = -1), spin_limit_here, &limit);
    return result < 0 ? result : limit != 0;
}

TASK_TEST(a_loop_does_not_look_out_when_told_so)
{
    ck_assert_int_eq(cosy_to_thread(run_without_looking), 0);
    return 0;
}

TASK_TEST(other_tasks_progress_while_a_job_blocks)
{
    int count = 0;
    cosy_scoped(cosy_task) counter = cosy_create_task(count_turns, &count);
    ck_assert_int_eq(cosy_to_thread(usleep, 20000), 0);
    ck_assert_int_gt(count, 3);
    cosy_task_cancel(counter);
    (void)cosy_await(counter);
    return 0;
}

static cosy_contextvar user = COSY_CONTEXTVAR("user", NULL);
static char ann[] = "ann", bob[] = "bob";

static int look_at_user(const char *expected)
{
    const char *found = cosy_contextvar_get(&user);
    return found && expected ? strcmp(found, expected) == 0 : found == expected;
}

static int change_user(void)
{
    cosy_contexttoken token;
    if (cosy_contextvar_set(&user, bob, &token) < 0 || !look_at_user("bob") || cosy_contextvar_reset(&token) < 0)
        return -EINVAL;
    return look_at_user("ann") ? cosy_contextvar_set(&user, bob, NULL) : -EINVAL;
}

TASK_TEST(to_thread_copies_the_context_and_run_in_executor_does_not)
{
    ck_assert_int_eq(cosy_contextvar_set(&user, ann, NULL), 0);
    ck_assert_int_eq(cosy_to_thread(look_at_user, "ann"), 1);
    ck_assert_int_eq(cosy_run_in_executor(NULL, look_at_user, NULL), 1);
    ck_assert_int_eq(cosy_run_in_executor_with(NULL, (.copy_context = true), look_at_user, "ann"), 1);
    ck_assert_int_eq(cosy_to_thread(change_user), 0);
    ck_assert_int_eq(look_at_user("ann"), 1);
    ck_assert_int_eq(cosy_run_in_executor(NULL, look_at_user, NULL), 1);
    return 0;
}

TASK_TEST(futures_of_jobs_can_be_gathered)
{
    int64_t results[3];
    cosy_scoped(cosy_future) a = cosy_submit(NULL, add, 1, 1);
    cosy_scoped(cosy_future) b = cosy_submit(NULL, add, 2, 2);
    ck_assert_int_eq(cosy_gather_with((.results = results), a, b, cosy_call(give, 9)), 0);
    ck_assert(results[0] == 2 && results[1] == 4 && results[2] == 9);
    return 0;
}

TASK_TEST(a_dropped_future_lets_the_job_run)
{
    struct gate gate;
    gate_init(&gate);
    cosy_future_drop(cosy_submit(NULL, pass_gate, &gate, 1));
    wait_for(&gate.running);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_shutdown_default_executor(COSY_NEVER), 0);
    ck_assert_int_eq(gate.ended, 1);
    return 0;
}

TASK_TEST(pools_for_files_and_names_are_others_than_the_users)
{
    cosy_executor *pools[3] = {cosy_default_executor(COSY_POOL_USER), cosy_default_executor(COSY_POOL_FILES),
                               cosy_default_executor(COSY_POOL_DNS)};
    ck_assert(pools[0] && pools[1] && pools[2] && pools[0] != pools[1] && pools[1] != pools[2] && pools[0] != pools[2]);
    ck_assert_ptr_eq(cosy_default_executor(COSY_POOL_USER), pools[0]);
    struct gate gate;
    gate_init(&gate);
    cosy_future *stuck[8];
    for (int i = 0; i < 8; i++)
        stuck[i] = cosy_submit(pools[COSY_POOL_DNS], pass_gate, &gate, i);
    ck_assert_int_eq(cosy_to_thread(add, 1, 2), 3); /* a resolver that hangs is nobody else's business */
    for (int i = 0; i < 8; i++)
        sem_post(&gate.open);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(cosy_await(stuck[i]), i);
        cosy_future_drop(stuck[i]);
    }
    return 0;
}

TASK_TEST(threads_start_when_needed_and_stay)
{
    struct cosy_executor_stats stats;
    cosy_executor *pool;
    ck_assert_int_eq(cosy_executor_new(&pool, .workers = 2, .name = "files", .stack_size = 256 * 1024), 0);
    cosy_executor_get_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, 0);
    ck_assert_int_eq(cosy_run_in_executor(pool, add, 1, 2), 3);
    cosy_executor_get_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, 1);
    struct gate gate;
    gate_init(&gate);
    cosy_future *jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = cosy_submit(pool, pass_gate, &gate, i);
    wait_for(&gate.running);
    wait_for(&gate.running);
    cosy_executor_get_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, 2);
    ck_assert_uint_eq(stats.running, 2);
    ck_assert_uint_eq(stats.queued, 2);
    for (int i = 0; i < 4; i++)
        sem_post(&gate.open);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(cosy_await(jobs[i]), i);
        cosy_future_drop(jobs[i]);
    }
    cosy_executor_get_stats(pool, &stats);
    ck_assert_uint_eq(stats.threads, 2);
    ck_assert_uint_eq(stats.begun, 5);
    cosy_executor_free(pool);
    return 0;
}

static int thread_name(char *name)
{
    return -pthread_getname_np(pthread_self(), name, 16);
}

TASK_TEST(threads_bear_the_executors_name)
{
    char name[16];
    cosy_executor *pool;
    ck_assert_int_eq(cosy_executor_new(&pool, .name = "files"), 0);
    ck_assert_int_eq(cosy_run_in_executor(pool, thread_name, name), 0);
    ck_assert_str_eq(name, "files-0");
    cosy_executor_free(pool);
    return 0;
}

TASK_TEST(the_default_executor_can_be_replaced)
{
    char name[16];
    cosy_executor *pool;
    ck_assert_int_eq(cosy_run_in_executor(NULL, add, 1, 1), 2);
    ck_assert_int_eq(cosy_executor_new(&pool, .workers = 1, .name = "mine"), 0);
    ck_assert_int_eq(cosy_set_default_executor(NULL), -EINVAL);
    ck_assert_int_eq(cosy_set_default_executor(pool), 0);
    ck_assert_int_eq(cosy_to_thread(thread_name, name), 0);
    ck_assert_str_eq(name, "mine-0");
    return 0;
}

static int wait_as_a_task(void)
{
    return cosy_sleep(COSY_MS(1));
}

cosy_async static int a_waiting_job(void)
{
    return cosy_to_thread(wait_as_a_task);
}

/* No books on descriptors here and below: who looks at stacks keeps the program's file open. */
START_TEST(a_job_cannot_wait_as_a_task)
{
    begin_test();
    ck_assert_int_eq(cosy_run(a_waiting_job), -COSY_ENOTASK);
    logs("await outside async");
}
END_TEST

static int own_loop(void)
{
    return cosy_run(give_later, COSY_MS(1), 5);
}

TASK_TEST(a_job_may_run_a_loop_of_its_own)
{
    ck_assert_int_eq(cosy_to_thread(own_loop), 5);
    ck_assert_int_eq(cosy_to_thread(own_loop), 5);
    return 0;
}

START_TEST(waiting_for_a_job_outside_a_task_is_told)
{
    begin_test();
    ck_assert_int_eq(cosy_run_in_executor(NULL, add, 1, 2), -COSY_ENOTASK);
    logs("cosy_run_in_executor was called outside a task");
    ck_assert_ptr_null(cosy_submit(NULL, add, 1, 2));
    ck_assert_ptr_null(cosy_default_executor(COSY_POOL_USER));
    ck_assert_int_eq(cosy_set_default_executor(NULL), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_executor_new(NULL), -EINVAL);
    ck_assert(!cosy_job_cancelled());
}
END_TEST

/* ---- many ---- */

static int count_one(atomic_int *count)
{
    ++*count;
    return 0;
}
cosy_async static int count_in_thread(atomic_int *count)
{
    return cosy_to_thread(count_one, count);
}

TASK_TEST(ten_jobs_at_once_run_once_each)
{
    atomic_int count = 0;
    cosy_coro *coros[10];
    for (int i = 0; i < 10; i++)
        coros[i] = cosy_call(count_in_thread, &count);
    ck_assert_int_eq(cosy_gather_coros(coros, 10, NULL), 0);
    ck_assert_int_eq(count, 10);
    return 0;
}

cosy_async static int many_jobs(cosy_executor *pool, int count, int64_t *sum)
{
    for (int i = 0; i < count; i++) {
        int result = cosy_run_in_executor(pool, add, i, 1);
        ck_assert_int_eq(result, i + 1);
        *sum += result;
    }
    return 0;
}

TASK_TEST(many_tasks_and_many_jobs)
{
    enum { TASKS = 16, JOBS = 200 };
    cosy_executor *pool;
    int64_t sum = 0;
    cosy_task *tasks[TASKS];
    ck_assert_int_eq(cosy_executor_new(&pool, .workers = 4), 0);
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(many_jobs, pool, JOBS, &sum);
    ck_assert_int_eq(cosy_gather_tasks(tasks, TASKS, NULL), 0);
    for (int i = 0; i < TASKS; i++)
        cosy_task_drop(tasks[i]);
    ck_assert_int_eq(sum, TASKS * (JOBS * (JOBS + 1) / 2));
    cosy_executor_free(pool);
    return 0;
}

/* ---- what is missing ---- */

static int some_jobs(void)
{
    cosy_executor *pool;
    int result = cosy_executor_new(&pool, .workers = 1);
    if (result < 0)
        return result;
    result = cosy_contextvar_set(&user, ann, NULL);
    if (result == 0)
        result = cosy_run_in_executor(pool, add, 1, 2);
    if (result == 3)
        result = cosy_to_thread(look_at_user, "ann");
    cosy_scoped(cosy_future) future = result == 1 ? cosy_submit(pool, add, 3, 4) : NULL;
    if (result == 1)
        result = cosy_await(future);
    int ended = cosy_executor_shutdown(pool, COSY_NEVER);
    cosy_executor_free(pool);
    return result == 7 ? ended : result;
}

static int run_some_jobs(void)
{
    return cosy_run(some_jobs);
}

START_TEST(without_memory_jobs_fail_and_leave_nothing)
{
    starve(run_some_jobs);
}
END_TEST

TASK_TEST(without_a_thread_the_job_fails)
{
    cosy_executor *pool;
    ck_assert_int_eq(cosy_executor_new(&pool, .name = "small"), 0);
    cosy_sys_fail_nth(1, EAGAIN);
    int result = cosy_run_in_executor(pool, add, 1, 2);
    ck_assert_int_eq(result, -EAGAIN);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(result), "executor 'small' cannot start a thread for add from "));
    cosy_sys_fail_nth(1, EAGAIN);
    cosy_future *future = cosy_submit(pool, add, 1, 2);
    cosy_sys_fail_nth(0, 0);
    ck_assert_ptr_null(future);
    ck_assert_int_eq(cosy_await(future), -EAGAIN);
    ck_assert_int_eq(cosy_run_in_executor(pool, add, 1, 2), 3); /* it can be tried again */
    cosy_executor_free(pool);
    return 0;
}

/* The second thread cannot be had: the first one does both jobs. */
TASK_TEST(fewer_threads_than_wanted_do_all_jobs)
{
    struct gate gate;
    struct cosy_executor_stats stats;
    cosy_executor *narrow_pool;
    gate_init(&gate);
    ck_assert_int_eq(cosy_executor_new(&narrow_pool, .workers = 2), 0);
    cosy_scoped(cosy_future) first = cosy_submit(narrow_pool, pass_gate, &gate, 1);
    wait_for(&gate.running);
    cosy_sys_fail_nth(1, EAGAIN);
    cosy_scoped(cosy_future) second = cosy_submit(narrow_pool, add, 1, 1);
    cosy_sys_fail_nth(0, 0);
    cosy_executor_get_stats(narrow_pool, &stats);
    ck_assert_uint_eq(stats.threads, 1);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(first), 1);
    ck_assert_int_eq(cosy_await(second), 2);
    cosy_executor_free(narrow_pool);
    return 0;
}

/* ---- deadlock ---- */

cosy_async static int deadlock_beside_idle_threads(void)
{
    ck_assert_int_eq(cosy_to_thread(add, 1, 2), 3);
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    return cosy_await(never);
}

START_TEST(idle_threads_do_not_hide_a_deadlock)
{
    begin_test();
    for (int i = 0; i < 3 && !UNDER_TSAN; i++) /* whose own thread might call, for all that a loop knows */
        ck_assert_int_eq(cosy_run(deadlock_beside_idle_threads), -EDEADLK);
    logged[0] = 0;
}
END_TEST

TASK_TEST(waiting_for_a_job_is_no_deadlock)
{
    return cosy_to_thread(usleep, 3000);
}

/* On the simulated kernel too: a limit gives a job the time that it says. */
TASK_TEST(a_quick_job_is_within_a_long_limit)
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(own_loop), COSY_S(100)), -COSY_ERUNNING);
    cosy_scoped(cosy_future) future = cosy_submit(NULL, usleep, 2000);
    ck_assert_int_eq(cosy_wait_for(future, COSY_S(100)), 0);
    return 0;
}

static char tree[4096];

cosy_async static int look_at_the_tree(void)
{
    struct gate gate;
    gate_init(&gate);
    cosy_scoped(cosy_task) waiting =
        cosy_create_task(cosy_run_in_executor_, (cosy_executor *)NULL, cosy_call(pass_gate, &gate, 3),
                         (const struct cosy_job_options *)NULL);
    until_posted(&gate.running);
    FILE *out = fmemopen(tree, sizeof tree, "w");
    cosy_print_tasks(out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(tree, "waits for the job pass_gate"));
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(waiting), 3);
    return 0;
}

START_TEST(the_task_tree_says_what_job_is_waited_for)
{
    begin_test();
    ck_assert_int_eq(cosy_run(look_at_the_tree), 0);
}
END_TEST

TESTS_MAIN("executor", a_job_takes_any_arguments_and_gives_its_result, a_job_may_come_as_a_copied_block,
           a_result_beyond_int_is_whole_in_the_future, a_job_runs_in_another_thread,
           an_error_comes_with_its_message_and_its_story, an_old_error_of_the_thread_is_not_told_again,
           a_loop_looks_out_for_jobs_as_long_as_that_pays, a_loop_does_not_look_out_when_told_so,
           other_tasks_progress_while_a_job_blocks, to_thread_copies_the_context_and_run_in_executor_does_not,
           futures_of_jobs_can_be_gathered, a_dropped_future_lets_the_job_run,
           pools_for_files_and_names_are_others_than_the_users, threads_start_when_needed_and_stay,
           threads_bear_the_executors_name, the_default_executor_can_be_replaced, a_job_cannot_wait_as_a_task,
           a_job_may_run_a_loop_of_its_own, waiting_for_a_job_outside_a_task_is_told, many_tasks_and_many_jobs,
           ten_jobs_at_once_run_once_each, without_memory_jobs_fail_and_leave_nothing, without_a_thread_the_job_fails,
           fewer_threads_than_wanted_do_all_jobs, idle_threads_do_not_hide_a_deadlock, waiting_for_a_job_is_no_deadlock,
           a_quick_job_is_within_a_long_limit, the_task_tree_says_what_job_is_waited_for)
