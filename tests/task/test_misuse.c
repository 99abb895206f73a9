/* What bad use gets: a message that names task, function, file and line, and a defined outcome. */
#include "../harness/cosy_test.h"

#include <pthread.h>

static int give(int value)
{
    return value;
}
static int wait_long(void)
{
    return cosy_sleep(COSY_S(1000));
}

static cosy_awaitable hook; /* never started here */

/* ---- waits outside a task ---- */

static void try_to_wait(void)
{
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), -COSY_ENOTASK);
    ck_assert_contains(logged, "await outside async: cosy_sleep was called outside a task");
    ck_assert_int_eq(cosy_yield(), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_yield was called outside a task");
    logged[0] = '\0';
    ck_assert_int_eq(cosy_await(&hook), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_await was called outside a task");
    ck_assert_contains(logged, "run the calling function with cosy_run, or start it as a task");
#if COSY_HAVE_LIBDW
    ck_assert_contains(logged, "test_misuse.c:");
    ck_assert_contains(logged, " in try_to_wait");
#endif
    cosy_coro *c = cosy_call(give, 1);
    logged[0] = '\0';
    ck_assert_int_eq(cosy_await(c), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_await was called outside a task");
    ck_assert_int_eq(cosy_coro_close(c), 0); /* it was not used up */
}

START_TEST(a_wait_outside_a_task)
{
    capture_log();
    try_to_wait();
}
END_TEST

static void wait_in_callback(void *arg)
{
    try_to_wait();
    logged[0] = '\0';
    ck_assert_int_eq(cosy_await((cosy_task *)arg), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_await was called outside a task");
    note("callback");
}

ASYNC_TEST(a_wait_in_a_callback)
{
    capture_log();
    ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), wait_in_callback, cosy_current_task(), NULL), 0);
    cosy_try(cosy_yield());
    ck_assert_noted("callback");
    return 0;
}

START_TEST(a_task_without_a_loop)
{
    capture_log();
    cosy_task *t = cosy_create_task(give, 1);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(cosy_task_error(t), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_spawn(give, 1), -COSY_ENOLOOP);
    ck_assert_contains(logged, "no running event loop to create a task in: coroutine 'give' created at ");
    ck_assert_contains(logged, "test_misuse.c:");
    ck_assert_lacks(logged, "never awaited");
}
END_TEST

/* ---- awaiting what cannot be awaited ---- */

ASYNC_TEST(awaiting_oneself)
{
    cosy_task_set_name(cosy_current_task(), "narcissus");
    ck_assert_int_eq(cosy_await(cosy_current_task()), -COSY_ESELF);
    ck_assert_str_eq(cosy_error_message(-COSY_ESELF), "task 'narcissus' (awaiting_oneself_body) cannot await itself");
    ck_assert_int_eq(cosy_await(cosy_task_future(cosy_current_task())), -COSY_ESELF);
    ck_assert_int_eq(cosy_gather(cosy_current_task()), -COSY_ESELF);
    ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0); /* it goes on */
    return 0;
}

static int await_eagerly(cosy_task **self_of)
{
    return cosy_await(*self_of);
}

ASYNC_TEST(awaiting_each_other)
{
    capture_log();
    cosy_task *a = NULL, *b = NULL;
    a = cosy_create_task(await_eagerly, &b);
    b = cosy_create_task(await_eagerly, &a);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    /* A ring can be taken apart by cancelling: the cancel goes round it and ends all. */
    cosy_task_cancel(a);
    ck_assert_int_eq(cosy_task_cancelling(a) > 0, 1);
    cosy_task_drop(a);
    cosy_task_drop(b);
    return 0;
}

ASYNC_TEST(awaiting_another_loops_future)
{
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_future *f = cosy_future_new(other);
    cosy_task *t = cosy_create_task_with((.loop = other, .name = "stranger"), give, 1);
    cosy_task_set_name(cosy_current_task(), "main");
    ck_assert_int_eq(cosy_await(f), -COSY_EOTHERLOOP);
    ck_assert_contains(cosy_error_message(-COSY_EOTHERLOOP),
                       "task 'main' (awaiting_another_loops_future_body, created at ");
    ck_assert_contains(cosy_error_message(-COSY_EOTHERLOOP), "awaits a future '' that is attached to a different loop");
    ck_assert_int_eq(cosy_await(t), -COSY_EOTHERLOOP);
    ck_assert_contains(cosy_error_message(-COSY_EOTHERLOOP),
                       "awaits task 'stranger' that is attached to a different loop");
    ck_assert_int_eq(cosy_gather(t), -COSY_EOTHERLOOP);
    cosy_future_drop(f);
    cosy_task_drop(t);
    capture_log();
    cosy_loop_free(other);
    ck_assert_contains(logged, "Task was destroyed but it is pending: task stranger\n");
    ck_assert_contains(logged, "task 'stranger' (give), created at ");
    return 0;
}

static void *make_task_in(void *loop)
{
    cosy_task *t = cosy_create_task_with((.loop = loop), give, 1);
    return (void *)(intptr_t)(t ? 0 : cosy_task_error(t));
}

ASYNC_TEST(a_task_in_a_loop_of_another_thread)
{
    pthread_t thread;
    void *result;
    capture_log();
    ck_assert_int_eq(pthread_create(&thread, NULL, make_task_in, cosy_running_loop()), 0);
    pthread_join(thread, &result);
    ck_assert_int_eq((int)(intptr_t)result, -COSY_ETHREAD);
    ck_assert_contains(logged,
                       "a task cannot be created in a loop that runs in another thread: coroutine 'give' created at ");
    return 0;
}

/* ---- coroutines ---- */

static int suspend_once(void)
{
    return cosy_suspend(1, NULL);
}

ASYNC_TEST(resuming_a_finished_coroutine)
{
    cosy_coro *c = cosy_call(suspend_once);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_await(c), -COSY_EAWAITED); /* it is being driven */
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_RETURNED);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), -COSY_EAWAITED);
    ck_assert_str_eq(cosy_error_message(-COSY_EAWAITED), "cannot resume a coroutine that is finished or was taken");
    return 0;
}

static cosy_coro *running;

static int resume_the_running(void)
{
    return cosy_coro_send(running, 0, NULL);
}

ASYNC_TEST(resuming_a_running_coroutine)
{
    int64_t value;
    running = cosy_call(resume_the_running);
    ck_assert_int_eq(cosy_coro_send(running, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, -COSY_ERUNNING);
    ck_assert_str_eq(cosy_error_message(-COSY_ERUNNING), "coroutine 'resume_the_running' is running already");
    return 0;
}

/* ---- loops ---- */

ASYNC_TEST(a_loop_inside_a_loop)
{
    capture_log();
    ck_assert_int_eq(cosy_run(give, 1), -COSY_ERUNNING);
    ck_assert_str_eq(cosy_error_message(-COSY_ERUNNING),
                     "cosy_run cannot be called while a loop is running in this thread");
    ck_assert_int_eq(cosy_loop_run_forever(cosy_running_loop()), -COSY_ERUNNING);
    ck_assert_contains(logged, "cannot run the event loop while this loop is running");
    cosy_loop *other;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    ck_assert_int_eq(cosy_loop_run_once(other, 0), -COSY_ERUNNING);
    ck_assert_contains(logged, "cannot run the event loop while another loop is running");
    ck_assert_int_eq(cosy_run_until_complete(other, cosy_call(give, 1)), -COSY_ERUNNING);
    cosy_loop_free(other);
    ck_assert_int_eq(cosy_loop_close(cosy_running_loop()), -COSY_ERUNNING);
    ck_assert_lacks(logged, "never awaited");
    return 0;
}

START_TEST(a_closed_loop)
{
    capture_log();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert_int_eq(cosy_loop_run_forever(loop), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(give, 1)), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_spawn_with((.loop = loop), give, 1), -COSY_ECLOSED);
    ck_assert_contains(logged, "cannot create a task in a closed loop: coroutine 'give' created at ");
    ck_assert_ptr_null(cosy_future_new(loop));
    ck_assert_int_eq(cosy_future_result(NULL, NULL), -COSY_ECLOSED);
    ck_assert_uint_eq(cosy_all_tasks(loop, NULL, 0), 0);
    cosy_loop_free(loop);
    ck_assert_lacks(logged, "never awaited");
}
END_TEST

/* ---- failures and waits that nobody ends ---- */

static int fail_unseen(void)
{
    return cosy_fail(EPROTO, "nobody reads this");
}

static int leave_a_failed_task(void)
{
    cosy_task *t = cosy_create_task_with((.name = "lost"), fail_unseen);
    cosy_try(cosy_yield());
    cosy_task_drop(t);
    return 0;
}

START_TEST(a_failed_task_that_nobody_awaited)
{
    capture_log();
    ck_assert_int_eq(cosy_run(leave_a_failed_task), 0);
    ck_assert_contains(logged, "cosy: Task exception was never retrieved: task lost\n");
    ck_assert_contains(logged, "  task 'lost' (fail_unseen), created at ");
    ck_assert_contains(logged, "test_misuse.c:");
    ck_assert_contains(logged, " in leave_a_failed_task\n");
    ck_assert_contains(logged, " in fail_unseen\n");
    ck_assert_contains(logged, "EPROTO: nobody reads this\n");
    ck_assert_int_eq(occurrences(logged, "never retrieved"), 1);
}
END_TEST

static int leave_a_pending_task(cosy_task **ret_task)
{
    *ret_task = cosy_create_task_with((.name = "left"), wait_long);
    return cosy_yield();
}

START_TEST(a_pending_task_is_cancelled_at_the_end_of_the_run)
{
    cosy_task *left;
    capture_log();
    ck_assert_int_eq(cosy_run(leave_a_pending_task, &left), 0);
    ck_assert(cosy_task_cancelled(left));
    ck_assert_str_eq(logged, "");
    cosy_task_drop(left);
}
END_TEST

static int await_nothing(void)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    return cosy_await(f);
}

static int child_deadlock(void)
{
    return cosy_run(await_nothing) == -EDEADLK ? 42 : 1;
}

START_TEST(a_wait_that_nobody_can_end)
{
    struct child_end end;
    if (under_valgrind() || live_threads() > 1) /* a tool's: it might end the wait, for all that the library knows */
        return;
    run_child(child_deadlock, &end);
    ck_assert_msg(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 42, "status %x: %s", end.status, end.error);
    ck_assert_contains(end.error, "cosy: deadlock: no task can go on, and nothing is left to wait for\n");
    ck_assert_contains(end.error, "(await_nothing): awaits a future");
    ck_assert_contains(end.error, "test_misuse.c:");
}
END_TEST

/* ---- debug mode ---- */

static int hog(void)
{
    cosy_ns until = cosy_loop_time(cosy_running_loop()) + COSY_MS(30);
    if (on_simulator())
        return 0;
    while (cosy_loop_time(cosy_running_loop()) < until)
        ;
    return 1;
}

static int run_hog(void)
{
    cosy_loop_set_slow_callback_duration(cosy_running_loop(), COSY_MS(20));
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = "hog"), hog);
    return cosy_await(t);
}

START_TEST(a_slow_step_in_debug_mode)
{
    capture_log();
    int held = cosy_run_with((.debug = true), run_hog);
    if (held == 1)
        ck_assert_contains(logged, "executing a step of task 'hog' (hog, created at ");
    ck_assert_int_ge(held, 0);
    logged[0] = '\0';
    ck_assert_int_eq(cosy_run(run_hog), held);
    ck_assert_lacks(logged, "executing a step");
}
END_TEST

COSY_TEST_MAIN("misuse", a_wait_outside_a_task, a_wait_in_a_callback, a_task_without_a_loop, awaiting_oneself,
               awaiting_each_other, awaiting_another_loops_future, a_task_in_a_loop_of_another_thread,
               resuming_a_finished_coroutine, resuming_a_running_coroutine, a_loop_inside_a_loop, a_closed_loop,
               a_failed_task_that_nobody_awaited, a_pending_task_is_cancelled_at_the_end_of_the_run,
               a_wait_that_nobody_can_end, a_slow_step_in_debug_mode)
