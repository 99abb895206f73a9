/* cosy_select: exactly one of several gets and puts. */
#include "queue_test.h"

/* The two ends that most tests choose between. */
static int_queue a, b;

static void open_both(int maxsize)
{
    ck_assert_int_eq(cosy_queue_init(&a, .maxsize = maxsize), 0);
    ck_assert_int_eq(cosy_queue_init(&b, .maxsize = maxsize), 0);
}

static void open_both_unbuffered(void)
{
    ck_assert_int_eq(cosy_queue_init(&a, .unbuffered = true), 0);
    ck_assert_int_eq(cosy_queue_init(&b, .unbuffered = true), 0);
}

static void close_both(void)
{
    ck_assert_uint_eq(stats_of(&a).getters + stats_of(&a).putters + stats_of(&b).getters + stats_of(&b).putters, 0);
    cosy_queue_destroy(&a);
    cosy_queue_destroy(&b);
}

/* Gets from either and says "index:value". */
cosy_async static int get_either(void)
{
    int x = -1, y = -1, index = cosy_select(COSY_GET(&a, &x), COSY_GET(&b, &y));
    if (index < 0)
        say("select:%s", cosy_errname(index));
    else
        say("%d:%d", index, index == 0 ? x : y);
    ck_assert(index == 0 || x == -1);
    ck_assert(index == 1 || y == -1);
    return index;
}

cosy_async static int put_either(int x, int y)
{
    int index = cosy_select(COSY_PUT(&a, x), COSY_PUT(&b, y));
    say("put@%d", index);
    return index;
}

TASK_TEST(the_first_that_can_go_is_done_without_waiting)
{
    open_both(1);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_queue_put(&b, 2), 0);
    ck_assert_int_eq(get_either(), 1);
    ck_assert_int_eq(cosy_queue_put(&a, 3), 0);
    ck_assert_int_eq(cosy_queue_put(&b, 4), 0);
    ck_assert_int_eq(get_either(), 0); /* both could: the order of the arguments decides */
    int x;
    ck_assert_int_eq(cosy_select(COSY_PUT(&b, 9), COSY_GET(&b, &x), COSY_PUT(&a, 5)), 1);
    ck_assert_int_eq(x, 4);
    ck_assert_int_eq(cosy_queue_size(&a), 0);
    ck_assert_uint_eq(turns(), before);
    said("1:2 0:3");
    close_both();
    return 0;
}

TASK_TEST(it_waits_for_the_first_item)
{
    open_both(0);
    for (int which = 0; which < 2; which++) {
        cosy_scoped(cosy_task) task = cosy_create_task(get_either);
        let_all_run(2);
        ck_assert_uint_eq(stats_of(&a).getters, 1);
        ck_assert_uint_eq(stats_of(&b).getters, 1);
        ck_assert_int_eq(cosy_queue_put_nowait(which ? &b : &a, 10 + which), 0);
        ck_assert_uint_eq(stats_of(&a).getters + stats_of(&b).getters, 0);
        ck_assert_int_eq(cosy_await(task), which);
    }
    said("0:10 1:11");
    close_both();
    return 0;
}

TASK_TEST(it_waits_for_the_first_room)
{
    open_both(1);
    ck_assert_int_eq(cosy_queue_put(&a, 1), 0);
    ck_assert_int_eq(cosy_queue_put(&b, 2), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(put_either, 7, 8);
    let_all_run(1);
    ck_assert_int_eq(value_of(&b), 2);
    ck_assert_int_eq(cosy_await(task), 1);
    ck_assert_int_eq(value_of(&b), 8);
    ck_assert_int_eq(value_of(&a), 1);
    ck_assert_int_eq(value_of(&a), -COSY_EQUEUEEMPTY);
    said("put@1");
    close_both();
    return 0;
}

/* When both come before it runs, the one that woke it is done, and nothing of the other. */
TASK_TEST(both_ready_in_one_turn_only_one_is_done)
{
    open_both(0);
    cosy_scoped(cosy_task) task = cosy_create_task(get_either);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&b, 2), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&a, 1), 0);
    ck_assert_int_eq(cosy_await(task), 1);
    ck_assert_int_eq(value_of(&a), 1);
    said("1:2");
    close_both();
    return 0;
}

TASK_TEST(a_newcomer_takes_the_item_and_it_waits_again)
{
    open_both(0);
    cosy_scoped(cosy_task) task = cosy_create_task(get_either);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&a, 1), 0);
    ck_assert_int_eq(value_of(&a), 1);
    let_all_run(1);
    ck_assert(!cosy_task_done(task));
    ck_assert_int_eq(cosy_queue_put_nowait(&b, 2), 0);
    ck_assert_int_eq(cosy_await(task), 1);
    said("1:2");
    close_both();
    return 0;
}

TASK_TEST(nowait_says_again)
{
    open_both(1);
    int x;
    ck_assert_int_eq(cosy_select_nowait(COSY_GET(&a, &x), COSY_GET(&b, &x)), -EAGAIN);
    ck_assert_int_eq(cosy_select_nowait(COSY_GET(&a, &x), COSY_PUT(&b, 4)), 1);
    ck_assert_int_eq(cosy_select_nowait(COSY_GET(&a, &x), COSY_GET(&b, &x)), 1);
    ck_assert_int_eq(x, 4);
    close_both();
    return 0;
}

/* ---- cancel and timeout ---- */

TASK_TEST(a_cancel_leaves_all_lines)
{
    open_both(0);
    cosy_scoped(cosy_task) task = cosy_create_task(get_either);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_uint_eq(stats_of(&a).getters + stats_of(&b).getters, 0);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_wait_for(cosy_call(get_either), COSY_US(100)), -ETIMEDOUT);
    int x, err = 0;
    COSY_TIMEOUT (err, COSY_US(100))
        cosy_check(err, cosy_select(COSY_GET(&a, &x), COSY_GET(&b, &x)));
    ck_assert_int_eq(err, -ETIMEDOUT);
    said("select:ECANCELED select:ECANCELED");
    close_both();
    return 0;
}

TASK_TEST(a_cancel_before_the_wait_meets_it)
{
    open_both(0);
    cosy_task_cancel(cosy_current_task());
    ck_assert_int_eq(get_either(), -ECANCELED);
    cosy_task_uncancel(cosy_current_task());
    said("select:ECANCELED");
    close_both();
    return 0;
}

TASK_TEST(a_cancel_after_the_wake_passes_the_hint_on)
{
    open_both(0);
    cosy_scoped(cosy_task) task = cosy_create_task(get_either);
    cosy_scoped(cosy_task) other = cosy_create_task(get_one, &b);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&b, 6), 0);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_await(other), 6);
    said("select:ECANCELED got6");
    close_both();
    return 0;
}

cosy_async static int get_either_then_wait(void)
{
    int index = get_either();
    say("then:%s", cosy_errname(cosy_sleep(COSY_S(1000))));
    return index;
}

TASK_TEST(a_cancel_after_a_hand_over_keeps_the_value)
{
    open_both_unbuffered();
    cosy_scoped(cosy_task) task = cosy_create_task(get_either_then_wait);
    let_all_run(1);
    ck_assert_int_eq(cosy_queue_put_nowait(&b, 6), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&a, 5), -COSY_EQUEUEFULL); /* it waits there no longer */
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), 1);
    said("1:6 then:ECANCELED");
    close_both();
    return 0;
}

/* ---- unbuffered ---- */

TASK_TEST(two_selects_meet)
{
    open_both_unbuffered();
    cosy_scoped(cosy_task) putter = cosy_create_task(put_either, 1, 2);
    let_all_run(1);
    ck_assert_int_eq(get_either(), 0);
    ck_assert_int_eq(cosy_await(putter), 0);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_either);
    let_all_run(1);
    ck_assert_int_eq(put_either(3, 4), 0);
    ck_assert_int_eq(cosy_await(getter), 0);
    said("0:1 put@0 put@0 0:3");
    close_both();
    return 0;
}

cosy_async static int talk_to_itself(void)
{
    int x = -1, index = cosy_select(COSY_GET(&a, &x), COSY_PUT(&a, 1));
    say("%d:%d", index, x);
    return index;
}

TASK_TEST(both_ends_of_one_queue_do_not_meet_in_one_task)
{
    open_both_unbuffered();
    cosy_scoped(cosy_task) one = cosy_create_task(talk_to_itself);
    let_all_run(2);
    ck_assert(!cosy_task_done(one));
    cosy_scoped(cosy_task) two = cosy_create_task(talk_to_itself);
    ck_assert_int_eq(cosy_await(one), 1); /* two looked first whether somebody brings a value */
    ck_assert_int_eq(cosy_await(two), 0);
    said("0:1 1:-1");
    close_both();
    return 0;
}

/* ---- shutdown and misuse ---- */

TASK_TEST(a_queue_that_is_shut_down_is_named)
{
    for (int unbuffered = 0; unbuffered < 2; unbuffered++) {
        if (unbuffered)
            open_both_unbuffered();
        else
            open_both(0);
        int x, index = 77;
        cosy_scoped(cosy_task) task = cosy_create_task(get_either);
        let_all_run(1);
        cosy_queue_shutdown(&b, false);
        ck_assert_int_eq(cosy_await(task), -COSY_EQUEUESHUTDOWN);
        ck_assert_str_eq(cosy_error_message(-COSY_EQUEUESHUTDOWN), "the queue of case 1 is shut down");
        ck_assert_int_eq(cosy_select_with(&index, COSY_GET(&a, &x), COSY_PUT(&b, 1)), -COSY_EQUEUESHUTDOWN);
        ck_assert_int_eq(index, 1);
        ck_assert_int_eq(cosy_select_nowait(COSY_GET(&b, &x), COSY_GET(&a, &x)), -COSY_EQUEUESHUTDOWN);
        said("select:COSY_EQUEUESHUTDOWN");
        close_both();
    }
    return 0;
}

TASK_TEST(what_is_left_of_a_queue_that_is_shut_down_is_taken_first)
{
    open_both(0);
    ck_assert_int_eq(cosy_queue_put(&b, 3), 0);
    cosy_queue_shutdown(&b, false);
    ck_assert_int_eq(get_either(), 1);
    ck_assert_int_eq(get_either(), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_queue_put(&a, 4), 0);
    ck_assert_int_eq(get_either(), 0);
    said("1:3 select:COSY_EQUEUESHUTDOWN 0:4");
    close_both();
    return 0;
}

TASK_TEST(destroying_a_queue_ends_the_wait)
{
    open_both(0);
    cosy_scoped(cosy_task) task = cosy_create_task(get_either);
    let_all_run(1);
    cosy_queue_destroy(&a);
    memset(&a, 0x5a, sizeof a); /* nobody looks there any more */
    ck_assert_int_eq(cosy_await(task), -COSY_EQUEUESHUTDOWN);
    memset(&a, 0, sizeof a);
    said("select:COSY_EQUEUESHUTDOWN");
    close_both();
    return 0;
}

START_TEST(outside_a_task)
{
    begin_test();
    open_both(0);
    int x;
    ck_assert_int_eq(cosy_select(COSY_GET(&a, &x), COSY_GET(&b, &x)), -COSY_ENOTASK);
    logs("cosy_select");
    ck_assert_int_eq(cosy_select_nowait(COSY_GET(&a, &x), COSY_PUT(&b, 1)), 1);
    ck_assert_int_eq(cosy_select_with(NULL, ), -EINVAL);
    close_both();
}
END_TEST

START_TEST(a_closing_loop_takes_it_out_of_all_lines)
{
    begin_test();
    cosy_loop *loop;
    open_both(0);
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), get_either);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_uint_eq(stats_of(&a).getters + stats_of(&b).getters, 2);
    cosy_task_drop(task);
    cosy_loop_free(loop);
    close_both();
    ck_assert_str_eq(trace, "");
    logged[0] = 0; /* that a task was destroyed */
}
END_TEST

/* ---- many at once: nothing is lost or doubled ---- */

enum { EACH = 200 };

cosy_async static int feed(int_queue *queue, int first)
{
    for (int i = 0; i < EACH; i++) {
        cosy_try(cosy_queue_put(queue, first + i));
        if (i % 7 == 0)
            cosy_try(cosy_yield());
    }
    return 0;
}

cosy_async static int feed_either(int first)
{
    for (int i = 0; i < EACH; i++)
        cosy_try(cosy_select(COSY_PUT(&b, first + i), COSY_PUT(&a, first + i)));
    return 0;
}

static int seen[4 * EACH];

cosy_async static int eat(void)
{
    for (;;) {
        int value, index = cosy_select(COSY_GET(&a, &value), COSY_GET(&b, &value));
        if (index == -COSY_EQUEUESHUTDOWN)
            return 0;
        cosy_try(index);
        seen[value]++;
    }
}

static void check_all_seen(void)
{
    for (int i = 0; i < 4 * EACH; i++)
        ck_assert_int_eq(seen[i], 1);
}

TASK_TEST(many_at_once)
{
    for (int maxsize = 0; maxsize < 4; maxsize++) {
        if (maxsize == 0)
            open_both_unbuffered();
        else
            open_both(maxsize);
        memset(seen, 0, sizeof seen);
        cosy_scoped(cosy_task_group) eaters = cosy_task_group_open();
        for (int i = 0; i < 3; i++)
            cosy_task_group_create_task(eaters, eat);
        cosy_try(cosy_gather(cosy_call(feed, &a, 0), cosy_call(feed, &b, EACH), cosy_call(feed_either, 2 * EACH),
                             cosy_call(feed_either, 3 * EACH)));
        while (!cosy_queue_empty(&a) || !cosy_queue_empty(&b))
            cosy_try(cosy_yield());
        cosy_queue_shutdown(&a, false);
        cosy_try(cosy_task_group_wait(eaters));
        check_all_seen();
        close_both();
    }
    return 0;
}

TESTS_MAIN("queue_select", the_first_that_can_go_is_done_without_waiting, it_waits_for_the_first_item,
           it_waits_for_the_first_room, both_ready_in_one_turn_only_one_is_done,
           a_newcomer_takes_the_item_and_it_waits_again, nowait_says_again, a_cancel_leaves_all_lines,
           a_cancel_before_the_wait_meets_it, a_cancel_after_the_wake_passes_the_hint_on,
           a_cancel_after_a_hand_over_keeps_the_value, two_selects_meet, both_ends_of_one_queue_do_not_meet_in_one_task,
           a_queue_that_is_shut_down_is_named, what_is_left_of_a_queue_that_is_shut_down_is_taken_first,
           destroying_a_queue_ends_the_wait, outside_a_task, a_closing_loop_takes_it_out_of_all_lines, many_at_once)
