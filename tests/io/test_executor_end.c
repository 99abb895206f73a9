/* test_executor_end.c - jobs that are cancelled, and executors that are shut down. */
#include "io_test.h"

static int add(int a, int b)
{
    return a + b;
}

cosy_async static int run_gate(cosy_executor *pool, struct gate *gate)
{
    return cosy_run_in_executor(pool, pass_gate, gate, 7);
}
cosy_async static int run_patient(struct gate *gate)
{
    return cosy_to_thread(run_until_cancelled, gate);
}

static cosy_executor *pool_of(unsigned workers)
{
    cosy_executor *pool;
    ck_assert_int_eq(cosy_executor_new(&pool, .workers = workers, .name = "test"), 0);
    return pool;
}

/* ---- cancelling ---- */

TASK_TEST(a_cancelled_job_that_has_not_begun_never_runs)
{
    struct gate busy, never;
    gate_init(&busy);
    gate_init(&never);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_task) first = cosy_create_task(run_gate, pool, &busy);
    until_posted(&busy.running);
    cosy_scoped(cosy_task) second = cosy_create_task(run_gate, pool, &never);
    ck_assert_int_eq(cosy_yield(), 0);
    cosy_task_cancel(second);
    ck_assert_int_eq(cosy_await(second), -ECANCELED); /* while the first still holds the thread */
    sem_post(&busy.open);
    ck_assert_int_eq(cosy_await(first), 7);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_NEVER), 0);
    ck_assert_int_eq(never.ended, 0);
    ck_assert_int_ne(sem_trywait(&never.running), 0);
    cosy_executor_free(pool);
    return 0;
}

TASK_TEST(a_cancelled_waiter_waits_for_the_running_job_that_is_told)
{
    struct gate gate;
    gate_init(&gate);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_patient, &gate);
    until_posted(&gate.running);
    cosy_task_cancel(waiting);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    ck_assert_int_eq(gate.ended, 1);
    ck_assert_int_eq(gate.saw_cancel, 1);
    return 0;
}

TASK_TEST(a_cancelled_waiter_cannot_leave_its_frame_before_the_job)
{
    struct gate gate;
    gate_init(&gate);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_gate, pool, &gate);
    until_posted(&gate.running);
    cosy_task_cancel(waiting);
    cosy_task_cancel(waiting); /* once more changes nothing */
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert(!cosy_task_done(waiting));
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED); /* it came to 7, but the cancel must not be lost */
    ck_assert_int_eq(gate.saw_cancel, 1);
    cosy_executor_free(pool);
    return 0;
}

static int fail_when_cancelled(struct gate *gate)
{
    (void)run_until_cancelled(gate);
    return cosy_fail(EIO, "half written");
}
cosy_async static int run_failing(struct gate *gate)
{
    return cosy_to_thread(fail_when_cancelled, gate);
}

TASK_TEST(a_cancelled_job_that_fails_tells_its_error)
{
    struct gate gate;
    gate_init(&gate);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_failing, &gate);
    until_posted(&gate.running);
    cosy_task_cancel(waiting);
    int result = cosy_await(waiting);
    ck_assert_int_eq(result, -EIO);
    ck_assert_str_eq(cosy_error_message(result), "half written");
    return 0;
}

cosy_async static int run_abandoned(cosy_executor *pool, struct gate *gate)
{
    return cosy_run_in_executor_with(pool, (.abandon = true), pass_gate, gate, 7);
}

TASK_TEST(an_abandoned_job_frees_its_waiter_at_once_and_runs_on)
{
    struct gate gate;
    gate_init(&gate);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_abandoned, pool, &gate);
    until_posted(&gate.running);
    cosy_task_cancel(waiting);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    ck_assert_int_eq(gate.ended, 0);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_NEVER), 0);
    ck_assert_int_eq(gate.ended, 1);
    ck_assert_int_eq(gate.saw_cancel, 1);
    cosy_executor_free(pool);
    return 0;
}

/* ---- arguments that are freed with their job ---- */

static void count_release(void *arg)
{
    atomic_int *released = arg;
    ++*released;
}
cosy_async static int run_released(cosy_executor *pool, struct gate *gate, atomic_int *released)
{
    return cosy_run_in_executor_with(pool, (.abandon = true, .release = count_release, .release_arg = released),
                                     pass_gate, gate, 7);
}

TASK_TEST(arguments_are_released_once_whatever_becomes_of_the_job)
{
    struct gate gate;
    atomic_int ended = 0, left = 0, withdrawn = 0, refused = 0, of_future = 0;
    gate_init(&gate);
    cosy_executor *pool = pool_of(1);
    sem_post(&gate.open);
    ck_assert_int_eq(run_released(pool, &gate, &ended), 7);
    ck_assert_int_eq(ended, 1);
    wait_for(&gate.running);
    cosy_scoped(cosy_task) leaving = cosy_create_task(run_released, pool, &gate, &left);
    until_posted(&gate.running);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_released, pool, &gate, &withdrawn);
    let_all_run(2);
    cosy_task_cancel(leaving);
    cosy_task_cancel(waiting);
    ck_assert_int_eq(cosy_await(leaving), -ECANCELED);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    ck_assert_int_eq(withdrawn, 1);
    ck_assert_int_eq(left, 0); /* its job still runs */
    sem_post(&gate.open);
    while (!left)
        ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
    sem_post(&gate.open);
    cosy_scoped(cosy_future) future =
        cosy_submit_with(pool, (.release = count_release, .release_arg = &of_future), pass_gate, &gate, 8);
    ck_assert_int_eq(cosy_await(future), 8);
    ck_assert_int_eq(of_future, 1);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_NEVER), 0);
    ck_assert_int_eq(run_released(pool, &gate, &refused), -COSY_ESHUTDOWN);
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(ended + left + withdrawn, 3);
    cosy_executor_free(pool);
    return 0;
}

static void open_gate(void *arg)
{
    struct gate *gate = arg;
    sem_post(&gate->open);
}
cosy_async static int run_breakable(struct gate *gate)
{
    return cosy_run_in_executor_with(NULL, (.on_cancel = open_gate, .on_cancel_arg = gate), pass_gate, gate, 7);
}

TASK_TEST(on_cancel_can_break_a_blocking_call_off)
{
    struct gate gate;
    gate_init(&gate);
    cosy_scoped(cosy_task) waiting = cosy_create_task(run_breakable, &gate);
    until_posted(&gate.running);
    cosy_task_cancel(waiting);
    cosy_task_cancel(waiting);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    ck_assert_int_eq(gate.ended, 1);
    ck_assert_int_ne(sem_trywait(&gate.open), 0); /* it was called once */
    return 0;
}

TASK_TEST(a_limit_in_time_reaches_the_job)
{
    struct gate gate;
    gate_init(&gate);
    ck_assert_int_eq(cosy_wait_for(cosy_call(run_patient, &gate), COSY_MS(2)), -ETIMEDOUT);
    ck_assert_int_eq(gate.ended, sem_trywait(&gate.running) == 0); /* a slow thread may not even have begun */
    return 0;
}

TASK_TEST(a_cancel_before_the_wait_takes_the_job_back)
{
    cosy_executor *pool = pool_of(1);
    struct gate gate;
    gate_init(&gate);
    cosy_scoped(cosy_future) busy = cosy_submit(pool, pass_gate, &gate, 1);
    wait_for(&gate.running);
    cosy_task_cancel(cosy_current_task());
    ck_assert_int_eq(cosy_run_in_executor(pool, add, 1, 2), -ECANCELED);
    cosy_task_uncancel(cosy_current_task());
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(busy), 1);
    cosy_executor_free(pool);
    return 0;
}

TASK_TEST(a_cancelled_future_is_done_at_once_and_its_job_is_told)
{
    struct gate gate, never;
    gate_init(&gate);
    gate_init(&never);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_future) running = cosy_submit(pool, run_until_cancelled, &gate);
    cosy_scoped(cosy_future) queued = cosy_submit(pool, pass_gate, &never, 1);
    wait_for(&gate.running);
    ck_assert(cosy_future_cancel(queued));
    ck_assert_int_eq(cosy_await(queued), -ECANCELED);
    let_all_run(2);
    ck_assert_int_eq(gate.ended, 0);
    ck_assert(cosy_future_cancel(running));
    ck_assert_int_eq(cosy_await(running), -ECANCELED);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_NEVER), 0);
    ck_assert_int_eq(gate.saw_cancel, 1);
    ck_assert_int_eq(never.ended, 0);
    cosy_executor_free(pool);
    return 0;
}

static int short_job(atomic_int *count)
{
    ++*count;
    return 0;
}
cosy_async static int run_short(cosy_executor *pool, atomic_int *count)
{
    return cosy_run_in_executor(pool, short_job, count);
}

/* A cancel meets jobs that are queued, running, on their way back, and back. */
TASK_TEST(cancels_at_any_moment_lose_nothing)
{
    enum { ROUNDS = 2000 };
    cosy_executor *pool = pool_of(2);
    atomic_int count = 0;
    int ended = 0, cancelled = 0;
    for (int i = 0; i < ROUNDS; i++) {
        cosy_scoped(cosy_task) task = cosy_create_task(run_short, pool, &count);
        for (int turn = i % 5; turn >= 0; turn--)
            ck_assert_int_eq(cosy_yield(), 0);
        cosy_task_cancel(task);
        int result = cosy_await(task);
        ended += result == 0;
        cancelled += result == -ECANCELED;
    }
    ck_assert_int_eq(ended + cancelled, ROUNDS);
    ck_assert_int_ge(count, ended);
    for (int i = 0; i < ROUNDS; i++) {
        cosy_scoped(cosy_future) future = cosy_submit(pool, short_job, &count);
        for (int turn = i % 4; turn > 0; turn--)
            ck_assert_int_eq(cosy_yield(), 0);
        cosy_future_cancel(future);
    }
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_NEVER), 0);
    cosy_executor_free(pool);
    return 0;
}

/* ---- shutting down ---- */

TASK_TEST(shutdown_waits_for_running_and_queued_jobs)
{
    struct gate gate;
    gate_init(&gate);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_future) first = cosy_submit(pool, pass_gate, &gate, 1);
    cosy_scoped(cosy_future) second = cosy_submit(pool, pass_gate, &gate, 2);
    cosy_scoped(cosy_task) ending = cosy_create_task(cosy_executor_shutdown, pool, COSY_S(100));
    until_posted(&gate.running);
    ck_assert(!cosy_task_done(ending)); /* and the loop goes on */
    sem_post(&gate.open);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(ending), 0);
    ck_assert_int_eq(cosy_await(first), 1);
    ck_assert_int_eq(cosy_await(second), 2);
    ck_assert_int_eq(cosy_executor_shutdown(pool, 0), 0); /* again */
    cosy_executor_free(pool);
    return 0;
}

TASK_TEST(after_shutdown_jobs_are_refused)
{
    cosy_executor *pool = pool_of(1);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_S(1)), 0);
    int result = cosy_run_in_executor(pool, add, 1, 2);
    ck_assert_int_eq(result, -COSY_ESHUTDOWN);
    ck_assert_ptr_nonnull(
        strstr(cosy_error_message(result), "executor 'test' is shut down: it takes no more jobs, such as add from"));
    ck_assert_int_eq(cosy_await(cosy_submit(pool, add, 1, 2)), -COSY_ESHUTDOWN);
    cosy_executor_free(pool);
    ck_assert_int_eq(cosy_to_thread(add, 1, 2), 3);
    ck_assert_int_eq(cosy_shutdown_default_executor(COSY_S(1)), 0);
    ck_assert_int_eq(cosy_to_thread(add, 1, 2), -COSY_ESHUTDOWN);
    ck_assert_int_eq(cosy_run_in_executor(cosy_default_executor(COSY_POOL_FILES), add, 1, 2), -COSY_ESHUTDOWN);
    return 0;
}

static atomic_int stuck_ended;
static int stuck_job(struct gate *gate)
{
    int result = pass_gate(gate, 5);
    stuck_ended++;
    return result;
}

TASK_TEST(a_stuck_job_is_named_and_left_behind)
{
    struct gate gate;
    gate_init(&gate);
    stuck_ended = 0;
    int threads = entries("/proc/self/task");
    cosy_executor *pool = pool_of(2);
    ck_assert_int_eq(cosy_run_in_executor(pool, add, 1, 2), 3);
    cosy_scoped(cosy_future) stuck = cosy_submit(pool, stuck_job, &gate);
    cosy_scoped(cosy_future) second = cosy_submit(pool, stuck_job, &gate);
    cosy_scoped(cosy_future) queued = cosy_submit(pool, add, 1, 2);
    wait_for(&gate.running);
    wait_for(&gate.running);
    int result = cosy_executor_shutdown(pool, COSY_MS(5));
    ck_assert_int_eq(result, -ETIMEDOUT);
    ck_assert_ptr_nonnull(
        strstr(cosy_error_message(result),
               "executor 'test': 2 of its jobs did not end in 0.005 seconds, such as stuck_job from"));
    ck_assert_ptr_nonnull(strstr(logged, "its job stuck_job, submitted at "));
    ck_assert_ptr_nonnull(strstr(logged, "test_executor_end.c"));
    logs("in a_stuck_job_is_named_and_left_behind_body, has not ended in 0.005 seconds");
    ck_assert_int_eq(cosy_await(queued), -ECANCELED);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_MS(1)), -ETIMEDOUT); /* they are still there */
    logs("stuck_job");
    cosy_executor_free(pool);
    sem_post(&gate.open);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(stuck), 5); /* who waits still gets it */
    ck_assert_int_eq(cosy_await(second), 5);
    ck_assert_int_eq(gate.saw_cancel, 2);
    while (entries("/proc/self/task") > threads)
        ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
    return 0;
}

cosy_async static int shut_down_and_say(cosy_executor *pool, cosy_ns limit)
{
    int result = cosy_executor_shutdown(pool, limit);
    say("%s", result == 0 ? "over" : cosy_errname(result));
    return result;
}

TASK_TEST(a_shutdown_can_be_cancelled_and_two_may_wait)
{
    struct gate gate;
    gate_init(&gate);
    cosy_executor *pool = pool_of(1);
    cosy_scoped(cosy_future) job = cosy_submit(pool, pass_gate, &gate, 1);
    cosy_scoped(cosy_task) first = cosy_create_task(shut_down_and_say, pool, COSY_NEVER);
    cosy_scoped(cosy_task) second = cosy_create_task(shut_down_and_say, pool, COSY_NEVER);
    until_posted(&gate.running);
    let_all_run(3);
    cosy_task_cancel(first);
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(second), 0);
    ck_assert_int_eq(cosy_await(job), 1);
    said("ECANCELED over");
    cosy_executor_free(pool);
    return 0;
}

static struct gate outliving;
cosy_async static int leave_a_job_behind(void)
{
    cosy_future_drop(cosy_submit(NULL, pass_gate, &outliving, 1));
    wait_for(&outliving.running);
    sem_post(&outliving.open);
    return 0;
}

START_TEST(the_runner_shuts_the_default_executors_down)
{
    begin_test();
    int threads = entries("/proc/self/task");
    for (int i = 0; i < 50; i++) {
        gate_init(&outliving);
        ck_assert_int_eq(cosy_run(leave_a_job_behind), 0);
        ck_assert_int_eq(outliving.ended, 1);
        ck_assert_int_eq(entries("/proc/self/task"), threads);
    }
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- a loop that closes under its jobs ---- */

static cosy_executor *shared_pool;
static cosy_future *left_future;
cosy_async static int leave_two_jobs(void)
{
    left_future = cosy_submit(shared_pool, pass_gate, &outliving, 1);
    cosy_future_drop(cosy_submit(shared_pool, add, 1, 2));
    return 0;
}
cosy_async static int wait_for_ever(void)
{
    return cosy_run_in_executor(shared_pool, pass_gate, &outliving, 1);
}

START_TEST(a_closed_loop_forgets_its_jobs)
{
    begin_test();
    cosy_loop *loop;
    int threads = entries("/proc/self/task");
    for (int round = 0; round < 2; round++) {
        gate_init(&outliving);
        shared_pool = pool_of(1);
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(leave_two_jobs)), 0);
        cosy_scoped(cosy_task) waiting = NULL;
        if (round == 1) {
            waiting = cosy_task_from_with((.loop = loop), cosy_call(wait_for_ever));
            ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
        }
        wait_for(&outliving.running);
        cosy_loop_close(loop);
        ck_assert(!cosy_future_done(left_future));
        cosy_future_drop(left_future);
        cosy_loop_free(loop); /* its memory stays until the job has ended */
        sem_post(&outliving.open);
        while (outliving.ended == 0)
            usleep(100);
        ck_assert_int_eq(outliving.saw_cancel, 1);
        cosy_executor_free(shared_pool);
        while (entries("/proc/self/task") > threads)
            usleep(100);
    }
    logged[0] = 0; /* of the task that was dropped */
}
END_TEST

START_TEST(freeing_an_executor_outside_loops_leaves_nothing)
{
    begin_test();
    int threads = entries("/proc/self/task");
    cosy_executor_free(NULL);
    cosy_executor_free(pool_of(3));
    ck_assert_int_eq(entries("/proc/self/task"), threads);
    cosy_executor *pool = pool_of(1);
    ck_assert_int_eq(cosy_executor_shutdown(pool, COSY_S(1)), 0); /* nothing to wait for */
    logs("cosy_executor_shutdown was called outside a task");
    cosy_executor_free(pool);
}
END_TEST

TESTS_MAIN("executor_end", a_cancelled_job_that_has_not_begun_never_runs,
           a_cancelled_waiter_waits_for_the_running_job_that_is_told,
           a_cancelled_waiter_cannot_leave_its_frame_before_the_job, a_cancelled_job_that_fails_tells_its_error,
           an_abandoned_job_frees_its_waiter_at_once_and_runs_on,
           arguments_are_released_once_whatever_becomes_of_the_job, on_cancel_can_break_a_blocking_call_off,
           a_limit_in_time_reaches_the_job, a_cancel_before_the_wait_takes_the_job_back,
           a_cancelled_future_is_done_at_once_and_its_job_is_told, cancels_at_any_moment_lose_nothing,
           shutdown_waits_for_running_and_queued_jobs, after_shutdown_jobs_are_refused,
           a_stuck_job_is_named_and_left_behind, a_shutdown_can_be_cancelled_and_two_may_wait,
           the_runner_shuts_the_default_executors_down, a_closed_loop_forgets_its_jobs,
           freeing_an_executor_outside_loops_leaves_nothing)
