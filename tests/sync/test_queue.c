/* Queues with room: the scenarios of CPython's test_queues about order, gets and puts (named in docs/scenarios). */
#include "queue_test.h"

/* ---- basics ---- */

TASK_TEST(a_zeroed_queue_is_empty_and_without_limit)
{
    int_queue queue = {0};
    ck_assert(cosy_queue_empty(&queue) && !cosy_queue_full(&queue));
    ck_assert_int_eq(cosy_queue_maxsize(&queue), 0);
    ck_assert_int_eq(cosy_queue_put(&queue, 1), 0);
    ck_assert(!cosy_queue_empty(&queue));
    ck_assert_uint_eq(cosy_queue_size(&queue), 1);
    int value = 0;
    ck_assert_int_eq(cosy_queue_get(&queue, &value), 0);
    ck_assert_int_eq(value, 1);
    ck_assert(cosy_queue_empty(&queue) && !cosy_queue_full(&queue));
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(full_at_maxsize)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert(!cosy_queue_full(&queue));
    ck_assert_int_eq(cosy_queue_put(&queue, 1), 0);
    ck_assert(cosy_queue_full(&queue));
    ck_assert_int_eq(cosy_queue_maxsize(&queue), 1);
    cosy_queue_destroy(&queue);
    cosy_queue_init(&queue, .maxsize = -3);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(cosy_queue_put_nowait(&queue, i), 0);
    ck_assert(!cosy_queue_full(&queue));
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(each_kind_has_its_order)
{
    static const int in[] = {1, 3, 2}, out[KINDS][3] = {{1, 3, 2}, {2, 3, 1}, {1, 2, 3}};
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(cosy_queue_put(&queue, in[i]), 0);
        for (int i = 0; i < 3; i++) {
            int value;
            ck_assert_int_eq(cosy_queue_get(&queue, &value), 0);
            ck_assert_int_eq(value, out[kind][i]);
        }
        cosy_queue_destroy(&queue);
    }
    return 0;
}

cosy_async static int put_three(int_queue *queue)
{
    for (int i = 0; i < 3; i++) {
        cosy_try(cosy_queue_put(queue, i));
        say("%d", i);
    }
    return 7;
}

TASK_TEST(a_putter_waits_at_maxsize)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 2);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_three, &queue);
    let_all_run(2);
    said("0 1");
    ck_assert_int_eq(value_of(&queue), 0);
    let_all_run(1);
    said("2");
    ck_assert_int_eq(value_of(&queue), 1);
    ck_assert_int_eq(value_of(&queue), 2);
    ck_assert(cosy_task_done(putter));
    ck_assert_int_eq(cosy_await(putter), 7);
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(statistics_tell_who_waits)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_uint_eq(stats_of(&queue).getters, 1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 5), 0);
    ck_assert_int_eq(cosy_await(getter), 5);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 6), 0);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 7);
    cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &queue);
    let_all_run(1);
    struct cosy_queue_stats stats = stats_of(&queue);
    ck_assert_uint_eq(stats.size, 1);
    ck_assert_int_eq(stats.maxsize, 1);
    ck_assert_uint_eq(stats.getters, 0);
    ck_assert_uint_eq(stats.putters, 1);
    ck_assert_uint_eq(stats.joiners, 1);
    ck_assert_uint_eq(stats.unfinished, 2);
    ck_assert(!stats.shutdown);
    ck_assert_int_eq(value_of(&queue), 6);
    ck_assert_int_eq(cosy_await(putter), 0);
    cosy_queue_shutdown(&queue, true);
    ck_assert(stats_of(&queue).shutdown);
    cosy_task_cancel(joiner);
    ck_assert_int_eq(cosy_await(joiner), -ECANCELED);
    said("got5 put7 joined:ECANCELED");
    cosy_queue_destroy(&queue);
    return 0;
}

/* ---- getting ---- */

TASK_TEST(a_get_takes_what_is_there_without_waiting)
{
    int_queue queue = {0};
    uint64_t before = turns();
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    ck_assert_int_eq(get_one(&queue), 1);
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(value_of(&queue), -COSY_EQUEUEEMPTY);
    said("got1");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_get_lets_a_waiting_putter_go_on)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put(&queue, 1), 0);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 2);
    let_all_run(1);
    ck_assert_int_eq(get_one(&queue), 1);
    ck_assert_uint_eq(stats_of(&queue).putters, 0);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("got1 put2");
    cosy_queue_destroy(&queue);
    return 0;
}

static void put_from_callback(void *queue)
{
    ck_assert_int_eq(cosy_queue_put_nowait((int_queue *)queue, 1), 0);
}

TASK_TEST(a_get_waits_for_a_put_from_a_callback)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert(!cosy_task_done(getter));
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_US(100), put_from_callback, &queue, NULL), 0);
    ck_assert_int_eq(cosy_await(getter), 1);
    said("got1");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_cancelled_getter_is_passed_over)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    let_all_run(1);
    cosy_task_cancel(a);
    let_all_run(1);
    ck_assert(cosy_task_done(a));
    ck_assert_int_eq(cosy_queue_put(&queue, 7), 0);
    let_all_run(1);
    ck_assert_int_eq(cosy_await(b), 7);
    said("get:ECANCELED got7");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(gets_drain_waiting_putters_in_order)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    cosy_scoped(cosy_task) a = cosy_create_task(put_one, &queue, 1);
    cosy_scoped(cosy_task) b = cosy_create_task(put_one, &queue, 2);
    ck_assert_int_eq(get_one(&queue), 1);
    ck_assert_int_eq(get_one(&queue), 2);
    ck_assert_int_eq(cosy_await(b), 0);
    said("put1 got1 put2 got2");
    cosy_queue_destroy(&queue);
    return 0;
}

cosy_async static int consume(int_queue *queue, int count)
{
    int value;
    while (count-- > 0)
        cosy_try(cosy_queue_get(queue, &value));
    return 0;
}

cosy_async static int produce(int_queue *queue, int count)
{
    for (int i = 0; i < count; i++)
        cosy_try(cosy_queue_put(queue, i));
    return 0;
}

TASK_TEST(a_producer_and_a_consumer_both_end)
{
    for (int maxsize = 1; maxsize <= 3; maxsize++) {
        int_queue queue;
        cosy_queue_init(&queue, .maxsize = maxsize);
        cosy_try(cosy_gather(cosy_call(produce, &queue, 50), cosy_call(consume, &queue, 50)));
        cosy_try(cosy_gather(cosy_call(consume, &queue, 50), cosy_call(produce, &queue, 50)));
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(a_timed_out_getter_waits_no_longer)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 5);
    ck_assert_int_eq(cosy_wait_for(cosy_call(get_one, &queue), COSY_MS(1)), -ETIMEDOUT);
    ck_assert_uint_eq(stats_of(&queue).getters, 0);
    said("get:ECANCELED");
    cosy_queue_destroy(&queue);
    return 0;
}

/* The hint that a cancelled getter had goes to the next one; its item stays first. */
TASK_TEST(a_getter_cancelled_after_its_wake_loses_nothing)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) reader = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), 0);
    cosy_task_cancel(reader);
    ck_assert_int_eq(cosy_await(reader), -ECANCELED);
    ck_assert_int_eq(get_one(&queue), 1);
    said("get:ECANCELED got1");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(of_many_getters_the_cancelled_one_passes_its_hint_on)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) c = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), 0);
    cosy_task_cancel(a);
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    ck_assert_int_eq(cosy_await(c), 2);
    ck_assert_int_eq(cosy_await(b), 1);
    said("get:ECANCELED got1 got2");
    cosy_queue_destroy(&queue);
    return 0;
}

/* asyncio's result too: a wake-up is a hint. */
TASK_TEST(a_newcomer_takes_the_item_of_a_woken_getter)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    ck_assert_uint_eq(cosy_queue_size(&queue), 1);
    ck_assert_int_eq(value_of(&queue), 1);
    let_all_run(1); /* a looks, and waits again, now behind b */
    ck_assert_uint_eq(stats_of(&queue).getters, 2);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 3), 0);
    ck_assert_int_eq(cosy_await(b), 2);
    ck_assert_int_eq(cosy_await(a), 3);
    said("got2 got3");
    cosy_queue_destroy(&queue);
    return 0;
}

/* ---- putting ---- */

TASK_TEST(a_put_into_room_does_not_wait)
{
    int_queue queue = {0};
    uint64_t before = turns();
    ck_assert_int_eq(cosy_queue_put(&queue, 1), 0);
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(get_one(&queue), 1);
    said("got1");
    cosy_queue_destroy(&queue);
    return 0;
}

static void get_from_callback(void *queue)
{
    say("callback%d", value_of(queue));
}

cosy_async static int put_two(int_queue *queue)
{
    cosy_try(put_one(queue, 1));
    return put_one(queue, 2);
}

TASK_TEST(a_put_waits_for_a_get_from_a_callback)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_US(100), get_from_callback, &queue, NULL), 0);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_two, &queue);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("put1 callback1 put2");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(nowait_tells_full_and_empty)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), -COSY_EQUEUEFULL);
    ck_assert_int_eq(value_of(&queue), 1);
    int value = 9;
    ck_assert_int_eq(cosy_queue_get_nowait(&queue, &value), -COSY_EQUEUEEMPTY);
    ck_assert_int_eq(value, 9);
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_put_cancelled_after_its_wake_added_nothing)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_scoped(cosy_task) writer = cosy_create_task(put_one, &queue, 2);
    let_all_run(1);
    ck_assert_int_eq(value_of(&queue), 1);
    cosy_task_cancel(writer);
    ck_assert_int_eq(cosy_await(writer), -ECANCELED);
    ck_assert_int_eq(cosy_queue_put(&queue, 2), 0);
    ck_assert_int_eq(value_of(&queue), 2);
    ck_assert_uint_eq(cosy_queue_size(&queue), 0);
    said("put2:ECANCELED");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(the_hint_of_a_cancelled_putter_goes_to_the_next)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(put_one, &queue, 2);
    cosy_scoped(cosy_task) b = cosy_create_task(put_one, &queue, 3);
    let_all_run(1);
    ck_assert_int_eq(value_of(&queue), 1);
    cosy_task_cancel(a);
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    ck_assert_int_eq(cosy_await(b), 0);
    ck_assert_int_eq(value_of(&queue), 3);
    said("put2:ECANCELED put3");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_cancelled_putter_is_passed_over)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 1);
    cosy_scoped(cosy_task) a = cosy_create_task(put_one, &queue, 1);
    cosy_scoped(cosy_task) b = cosy_create_task(put_one, &queue, 2);
    cosy_scoped(cosy_task) c = cosy_create_task(put_one, &queue, 9);
    let_all_run(1);
    ck_assert(cosy_task_done(a) && !cosy_task_done(b));
    ck_assert_uint_eq(stats_of(&queue).putters, 2);
    cosy_task_cancel(c);
    let_all_run(1);
    ck_assert(cosy_task_done(c));
    ck_assert_uint_eq(stats_of(&queue).putters, 1);
    ck_assert_int_eq(value_of(&queue), 1);
    let_all_run(1);
    ck_assert_int_eq(value_of(&queue), 2);
    ck_assert_int_eq(cosy_await(b), 0);
    said("put1 put9:ECANCELED put2");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_put_serves_a_waiting_getter)
{
    int_queue queue = {0};
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put(&queue, 4), 0);
    ck_assert_int_eq(cosy_await(getter), 4);
    said("got4");
    cosy_queue_destroy(&queue);
    return 0;
}

cosy_async static int take_all(int_queue *queue)
{
    cosy_try(cosy_yield());
    for (size_t count = cosy_queue_size(queue); count > 0; count--)
        ck_assert_int_ge(value_of(queue), 0);
    return 0;
}

TASK_TEST(each_get_wakes_a_putter)
{
    int_queue queue;
    cosy_queue_init(&queue, .maxsize = 2);
    cosy_try(cosy_gather(cosy_call(take_all, &queue), cosy_call(put_one, &queue, 0), cosy_call(put_one, &queue, 1),
                         cosy_call(put_one, &queue, 2), cosy_call(put_one, &queue, 3)));
    said("put0 put1 put2 put3");
    cosy_queue_destroy(&queue);
    return 0;
}

TESTS_MAIN("queue", a_zeroed_queue_is_empty_and_without_limit, full_at_maxsize, each_kind_has_its_order,
           a_putter_waits_at_maxsize, statistics_tell_who_waits, a_get_takes_what_is_there_without_waiting,
           a_get_lets_a_waiting_putter_go_on, a_get_waits_for_a_put_from_a_callback, a_cancelled_getter_is_passed_over,
           gets_drain_waiting_putters_in_order, a_producer_and_a_consumer_both_end, a_timed_out_getter_waits_no_longer,
           a_getter_cancelled_after_its_wake_loses_nothing, of_many_getters_the_cancelled_one_passes_its_hint_on,
           a_newcomer_takes_the_item_of_a_woken_getter, a_put_into_room_does_not_wait,
           a_put_waits_for_a_get_from_a_callback, nowait_tells_full_and_empty,
           a_put_cancelled_after_its_wake_added_nothing, the_hint_of_a_cancelled_putter_goes_to_the_next,
           a_cancelled_putter_is_passed_over, a_put_serves_a_waiting_getter, each_get_wakes_a_putter)
