/* Queues without room: values go from hand to hand. */
#include "queue_test.h"

cosy_async static int put_three(int_queue *queue)
{
    for (int i = 1; i <= 3; i++)
        cosy_try(put_one(queue, i));
    return 0;
}

TASK_TEST(a_put_waits_until_somebody_takes_the_value)
{
    int_queue queue;
    ck_assert_int_eq(cosy_queue_init(&queue, .unbuffered = true), 0);
    ck_assert(cosy_queue_empty(&queue) && cosy_queue_full(&queue));
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 1);
    let_all_run(3);
    ck_assert(!cosy_task_done(putter));
    ck_assert_uint_eq(stats_of(&queue).putters, 1);
    ck_assert_uint_eq(cosy_queue_size(&queue), 0);
    uint64_t before = turns();
    ck_assert_int_eq(get_one(&queue), 1); /* does not suspend: the value is there */
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("got1 put1");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_get_waits_until_somebody_brings_a_value)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) a = cosy_create_task(get_one, &queue);
    cosy_scoped(cosy_task) b = cosy_create_task(get_one, &queue);
    let_all_run(3);
    ck_assert_uint_eq(stats_of(&queue).getters, 2);
    uint64_t before = turns();
    ck_assert_int_eq(put_one(&queue, 1), 0);
    ck_assert_int_eq(put_one(&queue, 2), 0);
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(cosy_await(a), 1);
    ck_assert_int_eq(cosy_await(b), 2);
    said("put1 put2 got1 got2");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(values_change_hands_in_order)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_three, &queue);
    for (int i = 1; i <= 3; i++)
        ck_assert_int_eq(get_one(&queue), i);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("put1 got1 got2 put2 put3 got3");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(nowait_needs_somebody_who_waits)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 1), -COSY_EQUEUEFULL);
    ck_assert_int_eq(value_of(&queue), -COSY_EQUEUEEMPTY);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 2), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 3), -COSY_EQUEUEFULL);
    ck_assert_int_eq(cosy_await(getter), 2);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 4);
    let_all_run(1);
    ck_assert_int_eq(value_of(&queue), 4);
    ck_assert_int_eq(value_of(&queue), -COSY_EQUEUEEMPTY);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("got2 put4");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_cancelled_putter_takes_its_value_back)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) a = cosy_create_task(put_one, &queue, 1);
    cosy_scoped(cosy_task) b = cosy_create_task(put_one, &queue, 2);
    let_all_run(1);
    cosy_task_cancel(a);
    ck_assert_int_eq(get_one(&queue), 2); /* at once: the cancel took a out of line */
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    ck_assert_int_eq(cosy_await(b), 0);
    ck_assert_uint_eq(stats_of(&queue).unfinished, 1);
    said("got2 put1:ECANCELED put2");
    cosy_queue_destroy(&queue);
    return 0;
}

cosy_async static int get_then_wait(int_queue *queue)
{
    int value = get_one(queue);
    say("then:%s", cosy_errname(cosy_sleep(COSY_S(1000))));
    return value;
}

cosy_async static int put_then_wait(int_queue *queue)
{
    int result = put_one(queue, 1);
    say("then:%s", cosy_errname(cosy_sleep(COSY_S(1000))));
    return result;
}

/* Neither lost nor doubled: what has changed hands stays so, and the cancel comes next. */
TASK_TEST(a_cancel_after_the_hand_over_meets_the_next_wait)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_then_wait, &queue);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 5), 0);
    cosy_task_cancel(getter);
    ck_assert_int_eq(cosy_await(getter), 5);
    said("got5 then:ECANCELED");
    cosy_scoped(cosy_task) putter = cosy_create_task(put_then_wait, &queue);
    let_all_run(1);
    ck_assert_int_eq(value_of(&queue), 1);
    cosy_task_cancel(putter);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("put1 then:ECANCELED");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(a_get_served_in_the_moment_of_its_timeout_keeps_its_value)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_timeout timeout = {0};
    ck_assert_int_eq(cosy_timeout_enter(&timeout, COSY_S(1000)), 0);
    int value = 0;
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 3);
    let_all_run(1);
    ck_assert_int_eq(cosy_timeout_exit(&timeout, cosy_queue_get(&queue, &value)), 0);
    ck_assert_int_eq(value, 3);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("put3");
    ck_assert_int_eq(cosy_wait_for(cosy_call(get_one, &queue), COSY_US(100)), -ETIMEDOUT);
    said("get:ECANCELED");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(shutdown_sends_both_sides_away)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 3);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_shutdown(&queue, false), 0);
    ck_assert_int_eq(value_of(&queue), -COSY_EQUEUESHUTDOWN); /* nothing to drain: it never was in */
    ck_assert_int_eq(cosy_await(putter), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_put(&queue, 3), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_put_nowait(&queue, 3), -COSY_EQUEUESHUTDOWN);
    cosy_queue_destroy(&queue);
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &queue);
    let_all_run(1);
    cosy_queue_shutdown(&queue, true);
    ck_assert_int_eq(cosy_await(getter), -COSY_EQUEUESHUTDOWN);
    said("put3:COSY_EQUEUESHUTDOWN get:COSY_EQUEUESHUTDOWN");
    cosy_queue_destroy(&queue);
    return 0;
}

TASK_TEST(work_is_counted_as_it_changes_hands)
{
    int_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &queue, 3);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_join(&queue), 0);
    ck_assert_int_eq(get_one(&queue), 3);
    cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &queue);
    let_all_run(2);
    ck_assert(!cosy_task_done(joiner));
    ck_assert_int_eq(cosy_queue_task_done(&queue), 0);
    ck_assert_int_eq(cosy_await(joiner), 0);
    ck_assert_int_eq(cosy_queue_task_done(&queue), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_await(putter), 0);
    said("got3 put3 joined");
    cosy_queue_destroy(&queue);
    return 0;
}

struct big {
    int number;
    char text[300];
};
typedef COSY_QUEUE(struct big) big_queue;

cosy_async static int put_big(big_queue *queue)
{
    for (int i = 0; i < 4; i++) {
        struct big big = {.number = i};
        memset(big.text, 'a' + i, sizeof big.text);
        cosy_try(cosy_queue_put(queue, big));
        memset(&big, 0, sizeof big); /* it was copied */
    }
    return cosy_queue_shutdown(queue, false);
}

TASK_TEST(large_values_are_copied_whole)
{
    big_queue queue;
    cosy_queue_init(&queue, .unbuffered = true);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_big, &queue);
    int count = 0, err;
    COSY_QUEUE_FOR (big, &queue, err) {
        ck_assert_int_eq(big.number, count);
        for (size_t i = 0; i < sizeof big.text; i++)
            ck_assert_int_eq(big.text[i], 'a' + count);
        count++;
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(count, 4);
    ck_assert_int_eq(cosy_await(putter), 0);
    cosy_queue_destroy(&queue);
    return 0;
}

static int_queue closing_queue;

cosy_async static int leave_waiters(void)
{
    cosy_queue_init(&closing_queue, .unbuffered = true);
    ck_assert_int_eq(cosy_spawn(get_one, &closing_queue), 0);
    ck_assert_int_eq(cosy_spawn(get_one, &closing_queue), 0);
    let_all_run(1);
    return 0;
}

/* Tasks that still wait are cancelled when the run ends, or taken back when the loop is closed under them. */
START_TEST(the_end_of_the_loop_empties_the_line)
{
    begin_test();
    ck_assert_int_eq(cosy_run(leave_waiters), 0);
    said("get:ECANCELED get:ECANCELED");
    ck_assert_uint_eq(stats_of(&closing_queue).getters, 0);
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), get_one, &closing_queue);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_uint_eq(stats_of(&closing_queue).getters, 1);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    ck_assert_uint_eq(stats_of(&closing_queue).getters, 0);
    cosy_queue_destroy(&closing_queue);
    trace[0] = logged[0] = 0;
}
END_TEST

TESTS_MAIN("queue_unbuffered", a_put_waits_until_somebody_takes_the_value, a_get_waits_until_somebody_brings_a_value,
           values_change_hands_in_order, nowait_needs_somebody_who_waits, a_cancelled_putter_takes_its_value_back,
           a_cancel_after_the_hand_over_meets_the_next_wait, a_get_served_in_the_moment_of_its_timeout_keeps_its_value,
           shutdown_sends_both_sides_away, work_is_counted_as_it_changes_hands, large_values_are_copied_whole,
           the_end_of_the_loop_empties_the_line)
