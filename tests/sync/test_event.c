/* Tests of events. Names in comments are those of the tests in CPython's test_locks.py for the same behaviour. */
#include "../flow/flow_test.h"

#include <pthread.h>

static cosy_event event;

cosy_async static int wait_and_say(int number)
{
    int result = cosy_event_wait(&event);
    say(result == 0 ? "%d" : "%d-%s", number, cosy_errname(result));
    return result;
}

static size_t waiting(void)
{
    struct cosy_event_statistics statistics;
    cosy_event_statistics(&event, &statistics);
    ck_assert_int_eq(statistics.is_set, cosy_event_is_set(&event));
    return statistics.tasks_waiting;
}

TASK_TEST(a_zeroed_event_is_clear) /* test_repr, test_clear */
{
    event = (cosy_event){0};
    ck_assert(!cosy_event_is_set(&event));
    ck_assert_int_eq(cosy_event_set(&event), 0);
    ck_assert(cosy_event_is_set(&event));
    cosy_event_clear(&event);
    ck_assert(!cosy_event_is_set(&event));
    ck_assert_uint_eq(waiting(), 0);
    return 0;
}

TASK_TEST(a_set_event_is_not_waited_for) /* test_wait_on_set */
{
    event = (cosy_event){0};
    cosy_event_set(&event);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_event_wait(&event), 0);
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(a_set_wakes_all_in_their_order) /* test_wait */
{
    event = (cosy_event){0};
    cosy_scoped(cosy_task) t1 = cosy_create_task(wait_and_say, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(wait_and_say, 2);
    let_all_run(1);
    said("");
    ck_assert_uint_eq(waiting(), 2);
    cosy_scoped(cosy_task) t3 = cosy_create_task(wait_and_say, 3);
    cosy_event_set(&event);
    let_all_run(1);
    said("3 1 2");
    ck_assert(cosy_task_done(t1) && cosy_task_done(t2) && cosy_task_done(t3));
    return 0;
}

TASK_TEST(a_cancelled_waiter_is_gone) /* test_wait_cancel */
{
    event = (cosy_event){0};
    cosy_scoped(cosy_task) t1 = cosy_create_task(wait_and_say, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(wait_and_say, 2);
    let_all_run(1);
    cosy_task_cancel(t1);
    ck_assert_uint_eq(waiting(), 1);
    cosy_event_set(&event);
    let_all_run(1);
    said("1-ECANCELED 2");
    return 0;
}

TASK_TEST(a_cancel_after_the_set_is_still_a_cancel)
{
    event = (cosy_event){0};
    cosy_scoped(cosy_task) task = cosy_create_task(wait_and_say, 1);
    let_all_run(1);
    cosy_event_set(&event);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("1-ECANCELED");
    return 0;
}

TASK_TEST(who_waited_at_the_set_goes_on_though_it_was_cleared) /* test_clear_with_waiters */
{
    event = (cosy_event){0};
    cosy_scoped(cosy_task) t1 = cosy_create_task(wait_and_say, 1);
    let_all_run(1);
    cosy_event_set(&event);
    cosy_event_clear(&event);
    cosy_scoped(cosy_task) t2 = cosy_create_task(wait_and_say, 2);
    let_all_run(2);
    said("1");
    ck_assert_uint_eq(waiting(), 1);
    cosy_event_set(&event);
    cosy_event_set(&event);
    let_all_run(1);
    said("2");
    ck_assert_uint_eq(waiting(), 0);
    ck_assert(cosy_task_done(t1) && cosy_task_done(t2));
    return 0;
}

TASK_TEST(a_thousand_are_woken_without_memory)
{
    enum { MANY = 1000 };
    event = (cosy_event){0};
    cosy_task **tasks = calloc(MANY, sizeof *tasks);
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(tasks[i] = cosy_create_task(cosy_event_wait, &event));
    let_all_run(1);
    ck_assert_uint_eq(waiting(), MANY);
    cosy_heap_fail_nth(1, true);
    cosy_event_set(&event);
    let_all_run(1);
    long counted = cosy_heap_counted();
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(counted, 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert(cosy_task_done(tasks[i]));
        cosy_task_drop(tasks[i]);
    }
    free(tasks);
    return 0;
}

static void set_it(void *arg)
{
    cosy_event_set(arg);
}

TASK_TEST(a_callback_sets_it)
{
    event = (cosy_event){0};
    ck_assert_int_eq(cosy_call_soon(loop_now(), set_it, &event, NULL), 0);
    ck_assert_int_eq(cosy_event_wait(&event), 0);
    return 0;
}

/* ---- loops ---- */

START_TEST(outside_of_tasks_nothing_waits)
{
    begin_test();
    event = (cosy_event){0};
    ck_assert_int_eq(cosy_event_wait(&event), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_event_set(&event), 0);
    ck_assert_int_eq(cosy_event_wait(&event), -COSY_ENOTASK);
}
END_TEST

cosy_async static int stop_and_wait(cosy_loop *loop)
{
    cosy_loop_stop(loop);
    return cosy_event_wait(&event);
}

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_event_set(&event), -COSY_EOTHERLOOP);
    ck_assert(strstr(cosy_error_message(-COSY_EOTHERLOOP), "cosy_event_set: tasks of another loop") != NULL);
    ck_assert(!cosy_event_is_set(&event));
    ck_assert_int_eq(cosy_event_wait(&event), -COSY_EOTHERLOOP);
    return 0;
}

static void wait_in(cosy_loop **ret_loop, cosy_task **ret_task)
{
    event = (cosy_event){0};
    ck_assert_int_eq(cosy_loop_new(ret_loop), 0);
    *ret_task = cosy_create_task_with((.loop = *ret_loop), stop_and_wait, *ret_loop);
    cosy_loop_run_forever(*ret_loop);
    ck_assert_uint_eq(waiting(), 1);
}

static void *set_from_a_thread(void *arg)
{
    (void)arg;
    cosy_coro_close(cosy_call(give, 0)); /* a thread that had an object of the library's cleans up at its end */
    return (void *)(intptr_t)cosy_event_set(&event);
}

cosy_async static int let_a_thread_set_it(void)
{
    event = (cosy_event){0};
    cosy_scoped(cosy_task) task = cosy_create_task(wait_and_say, 1);
    let_all_run(1);
    pthread_t thread;
    void *result;
    ck_assert_int_eq(pthread_create(&thread, NULL, set_from_a_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_int_eq((int)(intptr_t)result, -COSY_EOTHERLOOP);
    ck_assert(!cosy_event_is_set(&event));
    cosy_event_set(&event);
    ck_assert_int_eq(cosy_await(task), 0);
    said("1");
    return 0;
}

START_TEST(a_thread_without_a_loop_is_refused_while_the_loop_runs)
{
    begin_test();
    ck_assert_int_eq(cosy_run(let_a_thread_set_it), 0);
}
END_TEST

START_TEST(what_is_waited_for_in_another_loop_is_out_of_reach)
{
    begin_test();
    cosy_loop *loop;
    cosy_task *task;
    wait_in(&loop, &task);
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert_int_eq(cosy_event_set(&event), 0); /* no loop runs here, and theirs stands still */
    ck_assert_int_eq(cosy_run_until_complete(loop, task), 0);
    cosy_task_drop(task);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_closed_loop_takes_its_waiters_along)
{
    begin_test();
    cosy_loop *loop;
    cosy_task *task;
    wait_in(&loop, &task);
    cosy_loop_close(loop);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_int_eq(cosy_event_set(&event), 0);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    logs("Task was destroyed but it is pending");
}
END_TEST

TESTS_MAIN("event", a_zeroed_event_is_clear, a_set_event_is_not_waited_for, a_set_wakes_all_in_their_order,
           a_cancelled_waiter_is_gone, a_cancel_after_the_set_is_still_a_cancel,
           who_waited_at_the_set_goes_on_though_it_was_cleared, a_thousand_are_woken_without_memory, a_callback_sets_it,
           outside_of_tasks_nothing_waits, a_thread_without_a_loop_is_refused_while_the_loop_runs,
           what_is_waited_for_in_another_loop_is_out_of_reach, a_closed_loop_takes_its_waiters_along)
