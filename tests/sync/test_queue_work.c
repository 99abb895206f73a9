/* Work on what is in a queue: task_done, join and shutdown, for each kind (QueueJoinTests, QueueShutdownTests). */
#include "queue_test.h"

TASK_TEST(task_done_too_often_is_an_error)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        ck_assert_int_eq(cosy_queue_task_done(&queue), -COSY_ETOOMANY);
        ck_assert_str_ne(cosy_error_message(-COSY_ETOOMANY), "");
        cosy_queue_destroy(&queue);
    }
    return 0;
}

static bool running;
static int accumulator;

cosy_async static int worker(int_queue *queue)
{
    while (running) {
        int value;
        cosy_try(cosy_queue_get(queue, &value));
        accumulator += value;
        cosy_try(cosy_queue_task_done(queue));
    }
    return 0;
}

TASK_TEST(join_returns_when_all_is_done)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(cosy_queue_put_nowait(&queue, i), 0);
        running = true;
        accumulator = 0;
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        cosy_task_group_create_task(group, worker, &queue);
        cosy_task_group_create_task(group, worker, &queue);
        ck_assert_int_eq(cosy_queue_join(&queue), 0);
        ck_assert_int_eq(accumulator, 4950);
        running = false;
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(cosy_queue_put_nowait(&queue, 0), 0);
        cosy_try(cosy_task_group_wait(group));
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(joining_an_empty_queue_does_not_wait)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        uint64_t before = turns();
        ck_assert_int_eq(cosy_queue_join(&queue), 0);
        ck_assert_int_eq(cosy_queue_join(&queue), 0);
        ck_assert_uint_eq(turns(), before);
        ck_assert_uint_eq(stats_of(&queue).unfinished, 0);
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(all_joiners_go_on_even_when_more_is_put_then)
{
    int_queue queue = {0};
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(join_it, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(join_it, &queue);
    cosy_scoped(cosy_task) c = cosy_create_task(join_it, &queue);
    let_all_run(1);
    cosy_task_cancel(b);
    let_all_run(1);
    said("joined:ECANCELED");
    ck_assert_int_eq(cosy_queue_task_done(&queue), 0); /* as asyncio: it need not have been taken out */
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), 0);
    ck_assert_int_eq(cosy_await(a), 0);
    ck_assert_int_eq(cosy_await(c), 0);
    said("joined joined");
    cosy_queue_destroy(&queue);
    return 0;
}

/* ---- shutdown ---- */

static void all_fail(int_queue *queue)
{
    int value = 8;
    ck_assert_int_eq(cosy_queue_put(queue, 1), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_put_nowait(queue, 1), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_get(queue, &value), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_get_nowait(queue, &value), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(value, 8);
}

TASK_TEST(shutdown_of_an_empty_queue)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
        let_all_run(1);
        ck_assert_int_eq(cosy_queue_shutdown(&queue, false), 0);
        ck_assert_uint_eq(cosy_queue_size(&queue), 0);
        ck_assert_int_eq(cosy_queue_join(&queue), 0);
        let_all_run(1);
        ck_assert(cosy_task_done(getter));
        ck_assert_int_eq(cosy_await(getter), -COSY_EQUEUESHUTDOWN);
        all_fail(&queue);
        ck_assert_int_eq(cosy_queue_shutdown(&queue, false), 0);
        said("get:COSY_EQUEUESHUTDOWN");
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(shutdown_lets_what_is_there_be_taken)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 1);
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
        cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &queue);
        cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 2);
        let_all_run(1);
        ck_assert(!cosy_task_done(putter));
        ck_assert_int_eq(cosy_queue_shutdown(&queue, false), 0);
        ck_assert_uint_eq(cosy_queue_size(&queue), 1);
        let_all_run(1);
        ck_assert(cosy_task_done(putter));
        ck_assert_int_eq(cosy_await(putter), -COSY_EQUEUESHUTDOWN);
        ck_assert_int_eq(get_one(&queue), 1);
        let_all_run(1);
        ck_assert(!cosy_task_done(joiner));
        all_fail(&queue);
        ck_assert_int_eq(cosy_queue_task_done(&queue), 0);
        let_all_run(1);
        ck_assert(cosy_task_done(joiner));
        ck_assert_int_eq(cosy_await(joiner), 0);
        ck_assert_int_eq(cosy_queue_task_done(&queue), -COSY_ETOOMANY);
        said("put2:COSY_EQUEUESHUTDOWN got1 joined");
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(immediate_shutdown_drops_what_is_there)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
        cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &queue);
        let_all_run(1);
        ck_assert_int_eq(cosy_queue_shutdown(&queue, true), 0);
        ck_assert_uint_eq(cosy_queue_size(&queue), 0);
        let_all_run(1);
        ck_assert(cosy_task_done(joiner));
        ck_assert_int_eq(cosy_await(joiner), 0);
        all_fail(&queue);
        ck_assert_int_eq(cosy_queue_task_done(&queue), -COSY_ETOOMANY);
        said("joined");
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(immediate_shutdown_leaves_what_is_being_worked_on)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
        cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &queue);
        ck_assert_int_eq(get_one(&queue), 1);
        let_all_run(1);
        ck_assert_int_eq(cosy_queue_shutdown(&queue, true), 0);
        ck_assert_uint_eq(cosy_queue_size(&queue), 0);
        let_all_run(1);
        ck_assert(!cosy_task_done(joiner));
        all_fail(&queue);
        ck_assert_int_eq(cosy_queue_task_done(&queue), 0);
        ck_assert_int_eq(cosy_queue_task_done(&queue), -COSY_ETOOMANY);
        let_all_run(1);
        ck_assert(cosy_task_done(joiner));
        ck_assert_int_eq(cosy_await(joiner), 0);
        said("got1 joined");
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(shutdown_wakes_all_waiters_and_can_become_immediate)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(put_one, &queue, 2);
    cosy_scoped(cosy_task) b = cosy_create_task(put_one, &queue, 3);
    let_all_run(1);
    cosy_queue_shutdown(&queue, false);
    let_all_run(1);
    ck_assert(cosy_task_done(a) && cosy_task_done(b));
    ck_assert_uint_eq(cosy_queue_size(&queue), 1);
    cosy_queue_shutdown(&queue, true);
    ck_assert_uint_eq(cosy_queue_size(&queue), 0);
    ck_assert_uint_eq(stats_of(&queue).unfinished, 0);
    cosy_task_error(a);
    cosy_task_error(b);
    said("put2:COSY_EQUEUESHUTDOWN put3:COSY_EQUEUESHUTDOWN");
    cosy_queue_destroy(&queue);
    return 0;
}

/* A getter was woken for the last item as the queue is shut down: it still gets it; the one behind it fails. */
TASK_TEST(shutdown_between_a_wake_and_its_task)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_queue_shutdown(&queue, false);
    ck_assert_int_eq(cosy_await(a), 1);
    ck_assert_int_eq(cosy_await(b), -COSY_EQUEUESHUTDOWN);
    said("got1 get:COSY_EQUEUESHUTDOWN");
    cosy_queue_destroy(&queue);
    return 0;
}

/* The getter behind it looks too, so it gets what the first one left when it was cancelled. */
TASK_TEST(shutdown_and_a_cancel_between_a_wake_and_its_task)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_queue_shutdown(&queue, false);
    cosy_task_cancel(a);
    ck_assert_int_eq(cosy_await(b), 1);
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    said("get:ECANCELED got1");
    cosy_queue_destroy(&queue);
    return 0;
}

/* ---- iteration ---- */

cosy_async static int put_and_shut(int_queue *queue, int count)
{
    for (int i = 1; i <= count; i++)
        cosy_try(cosy_queue_put(queue, i));
    return cosy_queue_shutdown(queue, false);
}

TASK_TEST(iteration_ends_when_the_queue_is_shut_down_and_empty)
{
    for (int maxsize = 0; maxsize < 3; maxsize++) {
        int_queue queue;
        cosy_queue_init(&queue, .maxsize = maxsize);
        cosy_scoped(cosy_task) producer = cosy_create_task(put_and_shut, &queue, 5);
        int sum = 0, err = -1;
        COSY_QUEUE_FOR (item, &queue, err)
            sum += item;
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(sum, 15);
        ck_assert_int_eq(cosy_await(producer), 0);
        cosy_queue_destroy(&queue);
    }
    return 0;
}

cosy_async static int iterate(int_queue *queue)
{
    int err;
    COSY_QUEUE_FOR (item, queue, err) {
        say("%d", item);
        if (item == 2)
            continue;
        if (item == 3)
            break;
    }
    return err;
}

TASK_TEST(iteration_left_by_break_or_by_an_error)
{
    int_queue queue = {0};
    for (int i = 1; i < 5; i++)
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, i), 0);
    ck_assert_int_eq(iterate(&queue), 0);
    said("1 2 3");
    cosy_scoped(cosy_task) task = cosy_create_task(iterate, &queue);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("4");
    cosy_queue_destroy(&queue);
    return 0;
}

TESTS_MAIN("queue_work", task_done_too_often_is_an_error, join_returns_when_all_is_done,
           joining_an_empty_queue_does_not_wait, all_joiners_go_on_even_when_more_is_put_then,
           shutdown_of_an_empty_queue, shutdown_lets_what_is_there_be_taken, immediate_shutdown_drops_what_is_there,
           immediate_shutdown_leaves_what_is_being_worked_on, shutdown_wakes_all_waiters_and_can_become_immediate,
           shutdown_between_a_wake_and_its_task, shutdown_and_a_cancel_between_a_wake_and_its_task,
           iteration_ends_when_the_queue_is_shut_down_and_empty, iteration_left_by_break_or_by_an_error)
