/* test_threadsafe.c - calls into a loop from other threads: run_coroutine_threadsafe, call_soon_threadsafe in crowds.
 */
#include "io_test.h"

static int before_threads;

/* A loop that runs in the test's thread while `fn` runs in another one, which ends it with `stop_loop`. */
struct scene {
    cosy_loop *loop;
    void (*fn)(struct scene *scene);
    cosy_thread_future *future;
    struct gate gate;
};

static void stop_loop(void *loop)
{
    cosy_loop_stop(loop);
}

static void *play(void *arg)
{
    struct scene *scene = arg;
    scene->fn(scene);
    ck_assert_int_eq(cosy_call_soon_threadsafe(scene->loop, stop_loop, scene->loop, NULL), 0);
    return NULL;
}

static void run_scene(void (*fn)(struct scene *scene))
{
    begin_test();
    int fds = open_descriptors(), threads = entries("/proc/self/task");
    struct scene scene = {.fn = fn};
    pthread_t thread;
    gate_init(&scene.gate);
    ck_assert_int_eq(cosy_loop_new(&scene.loop), 0);
    thread_of(&thread, play, &scene);
    ck_assert_int_eq(cosy_loop_run_forever(scene.loop), 0);
    join_threads(&thread, 1, threads);
    cosy_loop_free(scene.loop);
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_str_eq(logged, "");
}

#define SCENE_TEST(name)                                                                                               \
    static void name##_scene(struct scene *scene);                                                                     \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        run_scene(name##_scene);                                                                                       \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    static void name##_scene(struct scene *scene)

cosy_async static int add_later(int a, int b)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return a + b;
}
cosy_async static int64_t much(double a, const char *text, int64_t b)
{
    return strcmp(text, "x") == 0 && a == 0.5 ? b : -EINVAL;
}

/* Until a thread opens the gate. */
cosy_async static int run_until_open(struct gate *gate)
{
    sem_post(&gate->running);
    int result = 0;
    while (result == 0 && sem_trywait(&gate->open) < 0)
        result = cosy_sleep(COSY_US(100));
    if (result == -ECANCELED) {
        (void)cosy_sleep(COSY_US(100)); /* a cleanup */
        gate->saw_cancel++;
    }
    gate->ended++;
    return result < 0 ? result : 6;
}

SCENE_TEST(the_result_comes_back_to_the_thread)
{
    int64_t result;
    cosy_scoped(cosy_thread_future) future = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &future, add_later, 1, 2), 0);
    ck_assert_int_eq(cosy_thread_future_wait(future, COSY_NEVER), 3);
    ck_assert_int_eq(cosy_thread_future_wait(future, 0), 3);
    ck_assert(cosy_thread_future_done(future) && !cosy_thread_future_cancelled(future));
    ck_assert(!cosy_thread_future_cancel(future));
    cosy_scoped(cosy_thread_future) large = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &large, much, 0.5, "x", INT64_C(1) << 40), 0);
    ck_assert_int_eq(cosy_thread_future_wait(large, COSY_S(10)), -EOVERFLOW);
    ck_assert_int_eq(cosy_thread_future_result(large, &result), 0);
    ck_assert_int_eq(result, INT64_C(1) << 40);
}

cosy_async static int fail_in_loop(int number)
{
    cosy_try(cosy_yield());
    return cosy_fail(EIO, "no user %d", number);
}

SCENE_TEST(an_error_comes_back_with_its_message)
{
    cosy_scoped(cosy_thread_future) future = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &future, fail_in_loop, 7), 0);
    int result = cosy_thread_future_wait(future, COSY_S(10));
    ck_assert_int_eq(result, -EIO);
    ck_assert_str_eq(cosy_error_message(result), "no user 7");
    ck_assert_str_eq(cosy_thread_future_error_message(future), "no user 7");
    ck_assert_int_eq(cosy_thread_future_result(future, NULL), -EIO);
}

SCENE_TEST(a_wait_with_a_limit_cancels_nothing)
{
    cosy_scoped(cosy_thread_future) future = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &future, run_until_open, &scene->gate), 0);
    ck_assert_int_eq(cosy_thread_future_wait(future, COSY_MS(2)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_thread_future_wait(future, 0), -ETIMEDOUT);
    ck_assert_int_eq(cosy_thread_future_result(future, NULL), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_thread_future_error_message(future), "");
    ck_assert(!cosy_thread_future_done(future));
    sem_post(&scene->gate.open);
    ck_assert_int_eq(cosy_thread_future_wait(future, COSY_S(10)), 6);
}

SCENE_TEST(a_cancel_reaches_the_task_and_its_end_comes_back)
{
    cosy_scoped(cosy_thread_future) future = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &future, run_until_open, &scene->gate), 0);
    wait_for(&scene->gate.running);
    ck_assert(cosy_thread_future_cancel(future));
    (void)cosy_thread_future_cancel(future); /* again is harmless */
    ck_assert_int_eq(cosy_thread_future_wait(future, COSY_S(10)), -ECANCELED);
    ck_assert(cosy_thread_future_cancelled(future));
    ck_assert_int_eq(scene->gate.saw_cancel, 1); /* its cleanup is over */
}

cosy_async static int cancel_myself(void)
{
    cosy_task_cancel(cosy_current_task());
    return cosy_yield();
}

SCENE_TEST(a_task_that_is_cancelled_in_its_loop_cancels_the_future)
{
    cosy_scoped(cosy_thread_future) future = NULL;
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &future, cancel_myself), 0);
    ck_assert_int_eq(cosy_thread_future_wait(future, COSY_S(10)), -ECANCELED);
    ck_assert(cosy_thread_future_cancelled(future));
}

SCENE_TEST(a_dropped_future_lets_the_task_run)
{
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, &scene->future, run_until_open, &scene->gate), 0);
    cosy_thread_future_drop(scene->future);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(scene->loop, NULL, run_until_open, &scene->gate), 0);
    sem_post(&scene->gate.open);
    sem_post(&scene->gate.open);
    while (scene->gate.ended < 2)
        usleep(100);
}

/* ---- in one thread ---- */

static cosy_thread_future *own;
cosy_async static int wait_for_own(void)
{
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(cosy_running_loop(), &own, give, 5), 0);
    int result = cosy_thread_future_wait(own, COSY_NEVER);
    ck_assert_int_eq(result, -EDEADLK);
    ck_assert_str_eq(cosy_error_message(result), "the thread that runs the loop cannot block for its task (give)");
    while (!cosy_thread_future_done(own))
        cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_thread_future_wait(own, COSY_NEVER), 5);
    cosy_thread_future_drop(own);
    return 0;
}

START_TEST(blocking_the_own_loop_is_refused)
{
    begin_test();
    ck_assert_int_eq(cosy_run(wait_for_own), 0);
    ck_assert_int_eq(cosy_thread_future_wait(NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_thread_future_result(NULL, NULL), -EINVAL);
    ck_assert(!cosy_thread_future_cancel(NULL) && !cosy_thread_future_done(NULL) &&
              !cosy_thread_future_cancelled(NULL));
    cosy_thread_future_drop(NULL);
}
END_TEST

START_TEST(an_error_that_nobody_asked_for_goes_to_the_loops_handler)
{
    begin_test();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, NULL, fail_in_loop, 3), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    cosy_loop_free(loop);
    ck_assert_ptr_nonnull(strstr(logged, "no user 3"));
    logs("Task exception was never retrieved");
}
END_TEST

START_TEST(a_closed_loop_takes_no_calls_and_ends_those_it_has)
{
    begin_test();
    cosy_loop *loop;
    cosy_thread_future *queued, *never = (cosy_thread_future *)&loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, &queued, give, 1), 0);
    ck_assert_int_eq(cosy_thread_future_wait(queued, 0), -ETIMEDOUT);
    cosy_loop_close(loop);
    ck_assert_int_eq(cosy_thread_future_wait(queued, COSY_NEVER), -COSY_ECLOSED);
    ck_assert_str_eq(cosy_error_message(-COSY_ECLOSED), "the loop closed before the call was made");
    ck_assert(!cosy_thread_future_cancel(queued));
    cosy_thread_future_drop(queued);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, &never, give, 1), -COSY_ECLOSED);
    ck_assert_ptr_null(never);
    cosy_loop_free(loop);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(NULL, &never, give, 1), -EINVAL);
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(a_loop_that_closes_ends_the_futures_of_its_tasks)
{
    begin_test();
    cosy_loop *loop;
    cosy_thread_future *future;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, &future, swallow, 1), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert(!cosy_thread_future_done(future));
    cosy_loop_free(loop);
    int result = cosy_thread_future_wait(future, COSY_NEVER);
    ck_assert(result == -ECANCELED || result == -COSY_ECLOSED);
    cosy_thread_future_drop(future);
    logged[0] = 0; /* of the task that was dropped */
}
END_TEST

START_TEST(a_cancel_before_the_beginning_begins_nothing)
{
    begin_test();
    cosy_loop *loop;
    cosy_thread_future *future;
    struct gate gate;
    gate_init(&gate);
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, &future, run_until_open, &gate), 0);
    ck_assert(cosy_thread_future_cancel(future));
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_eq(cosy_thread_future_wait(future, 0), -ECANCELED);
    ck_assert_int_ne(sem_trywait(&gate.running), 0);
    cosy_thread_future_drop(future);
    cosy_loop_free(loop);
    ck_assert_str_eq(logged, "");
}
END_TEST

static int call_and_run(void)
{
    cosy_loop *loop;
    int result = cosy_loop_new(&loop);
    if (result < 0)
        return result;
    cosy_thread_future *future;
    result = cosy_run_coroutine_threadsafe(loop, &future, much, 0.5, "x", 7);
    for (int i = 0; i < 4 && result == 0; i++)
        result = cosy_loop_run_once(loop, 0) < 0 ? -EIO : 0;
    if (result == 0)
        result = cosy_thread_future_wait(future, 0);
    cosy_thread_future_drop(future);
    cosy_loop_free(loop);
    return result == 7 ? 0 : result;
}

START_TEST(without_memory_calls_fail_and_no_future_hangs)
{
    starve(call_and_run);
}
END_TEST

/* ---- crowds ---- */

enum { CALLERS = 4, CALLS = 2000 };

struct call {
    struct caller *caller;
    int number;
};
struct caller {
    cosy_loop *loop;
    int seen;
    struct call calls[CALLS];
};
static int callers_done;

static void note_call(void *arg)
{
    struct call *call = arg;
    ck_assert_int_eq(call->number, call->caller->seen); /* of one thread: in order */
    if (++call->caller->seen == CALLS && ++callers_done == CALLERS)
        cosy_loop_stop(call->caller->loop);
}

static void *call_often(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS; i++) {
        caller->calls[i] = (struct call){caller, i};
        ck_assert_int_eq(cosy_call_soon_threadsafe(caller->loop, note_call, &caller->calls[i], NULL), 0);
    }
    return NULL;
}

START_TEST(calls_of_four_threads_all_arrive_each_threads_in_order)
{
    begin_test();
    static struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    cosy_loop *loop;
    before_threads = entries("/proc/self/task");
    callers_done = 0;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.loop = loop};
        thread_of(&threads[i], call_often, &callers[i]);
    }
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    join_threads(threads, CALLERS, before_threads);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(callers[i].seen, CALLS);
    cosy_loop_free(loop);
}
END_TEST

static atomic_int asked;
static void *ask_often(void *arg)
{
    cosy_loop *loop = arg;
    for (int i = 0; i < 300; i++) {
        cosy_scoped(cosy_thread_future) future = NULL;
        ck_assert_int_eq(cosy_run_coroutine_threadsafe(loop, &future, give, i), 0);
        if (i % 3 == 0)
            cosy_thread_future_cancel(future);
        if (i % 7 == 0)
            continue; /* dropped */
        int result = cosy_thread_future_wait(future, COSY_NEVER);
        ck_assert(result == i || (i % 3 == 0 && result == -ECANCELED));
    }
    if (++asked == CALLERS)
        ck_assert_int_eq(cosy_call_soon_threadsafe(loop, stop_loop, loop, NULL), 0);
    return NULL;
}

START_TEST(four_threads_ask_one_loop)
{
    begin_test();
    pthread_t threads[CALLERS];
    cosy_loop *loop;
    before_threads = entries("/proc/self/task");
    asked = 0;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    for (int i = 0; i < CALLERS; i++)
        thread_of(&threads[i], ask_often, loop);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    join_threads(threads, CALLERS, before_threads);
    cosy_loop_free(loop);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* Threads go on asking while the loop closes: nobody hangs. */
static void *ask_until_closed(void *arg)
{
    cosy_loop *loop = arg;
    for (int result = 0; result >= 0;) {
        cosy_scoped(cosy_thread_future) future = NULL;
        result = cosy_run_coroutine_threadsafe(loop, &future, give, 1);
        if (result == 0)
            result = cosy_thread_future_wait(future, COSY_NEVER);
        ck_assert(result == 1 || result == -COSY_ECLOSED || result == -ECANCELED);
    }
    return NULL;
}

START_TEST(nobody_hangs_when_the_loop_closes)
{
    begin_test();
    for (int round = 0; round < 30; round++) {
        pthread_t threads[CALLERS];
        cosy_loop *loop;
        before_threads = entries("/proc/self/task");
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        for (int i = 0; i < CALLERS; i++)
            thread_of(&threads[i], ask_until_closed, loop);
        for (int i = 0; i < 20; i++)
            ck_assert_int_ge(cosy_loop_run_once(loop, COSY_MS(1)), 0);
        cosy_loop_close(loop);
        join_threads(threads, CALLERS, before_threads);
        cosy_loop_free(loop);
        logged[0] = 0;
    }
}
END_TEST

TESTS_MAIN("threadsafe", the_result_comes_back_to_the_thread, an_error_comes_back_with_its_message,
           a_wait_with_a_limit_cancels_nothing, a_cancel_reaches_the_task_and_its_end_comes_back,
           a_task_that_is_cancelled_in_its_loop_cancels_the_future, a_dropped_future_lets_the_task_run,
           blocking_the_own_loop_is_refused, an_error_that_nobody_asked_for_goes_to_the_loops_handler,
           a_closed_loop_takes_no_calls_and_ends_those_it_has, a_loop_that_closes_ends_the_futures_of_its_tasks,
           a_cancel_before_the_beginning_begins_nothing, without_memory_calls_fail_and_no_future_hangs,
           calls_of_four_threads_all_arrive_each_threads_in_order, four_threads_ask_one_loop,
           nobody_hangs_when_the_loop_closes)
