/* A busy loop asks the kernel in time, and no more often than that. */
#include <time.h>

#include <cosy.h>

#include "loop_test.h"

struct busy {
    cosy_loop *loop;
    cosy_ns work; /* of each turn */
    int turns, limit, seen_at;
};

static void spin_for(cosy_loop *loop, cosy_ns time)
{
    for (cosy_ns until = cosy_loop_time(loop) + time; time && cosy_loop_time(loop) < until;)
        ;
}

static void be_busy(void *arg)
{
    struct busy *busy = arg;
    if (busy->seen_at || ++busy->turns == busy->limit) {
        cosy_loop_stop(busy->loop);
        return;
    }
    spin_for(busy->loop, busy->work);
    cosy_call_soon(busy->loop, be_busy, busy, NULL);
}

static void seen(void *arg)
{
    struct busy *busy = arg;
    if (!busy->seen_at)
        busy->seen_at = busy->turns;
}

static void busy_run(struct busy *busy)
{
    cosy_call_soon(busy->loop, be_busy, busy, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(busy->loop), 0);
}

/* Quick turns, so that the loop skips as many questions as it ever does. */
static void warm_up(cosy_loop *loop)
{
    struct busy warm = {.loop = loop, .limit = 20000};
    busy_run(&warm);
}

START_TEST(a_busy_loop_sees_a_readable_descriptor)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    make_pair(pair);
    struct busy busy = {.loop = loop, .limit = 1000000};
    warm_up(loop);
    cosy_add_reader(loop, pair[0], seen, &busy);
    put_byte(pair[1]);
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_lt(busy.seen_at, 100000);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(a_busy_loop_of_slow_callbacks_asks_each_turn)
{
    cosy_loop *loop = new_loop();
    if (is_sim(loop)) {
        cosy_loop_free(loop);
        return; /* no time passes in a callback */
    }
    int pair[2];
    make_pair(pair);
    struct busy busy = {.loop = loop, .limit = 20, .work = COSY_US(100)};
    cosy_add_reader(loop, pair[0], seen, &busy);
    busy.limit = 5;
    busy_run(&busy);
    ck_assert_int_eq(busy.seen_at, 0);
    put_byte(pair[1]);
    busy.limit = 20;
    busy.turns = 0;
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_le(busy.seen_at, 3);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* Quick turns, then slow ones, then a byte: by then the loop must have noticed that it is slow. */
struct slowing {
    struct busy busy;
    int pair[2];
};

static void slow_down(void *arg)
{
    struct slowing *slowing = arg;
    struct busy *busy = &slowing->busy;
    int number = ++busy->turns;
    if (busy->seen_at || number == busy->limit) {
        cosy_loop_stop(busy->loop);
        return;
    }
    if (number == 20300)
        put_byte(slowing->pair[1]);
    spin_for(busy->loop, number > 20000 ? COSY_US(10) : 0);
    cosy_call_soon(busy->loop, slow_down, slowing, NULL);
}

START_TEST(a_loop_that_becomes_slow_asks_each_turn_again)
{
    struct slowing slowing = {.busy = {.loop = new_loop(), .limit = 20600}};
    cosy_loop *loop = slowing.busy.loop;
    if (!is_sim(loop)) {
        make_pair(slowing.pair);
        cosy_add_reader(loop, slowing.pair[0], seen, &slowing.busy);
        cosy_call_soon(loop, slow_down, &slowing, NULL);
        ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
        ck_assert_int_gt(slowing.busy.seen_at, 0);
        ck_assert_int_le(slowing.busy.seen_at, 20303);
        close_pair(slowing.pair);
    }
    cosy_loop_free(loop);
}
END_TEST

static cosy_ns processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (cosy_ns)now.tv_sec * 1000000000 + now.tv_nsec;
}

START_TEST(a_busy_loop_asks_at_short_intervals)
{
    cosy_loop *loop = new_loop();
    cosy_ns start = processor_time();
    uint64_t before = stats_of(loop).waits;
    while (processor_time() - start < COSY_MS(50))
        warm_up(loop);
    cosy_ns took = processor_time() - start;
    ck_assert_int_gt((cosy_ns)(stats_of(loop).waits - before), took / COSY_US(500)); /* 20 us in principle */
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_busy_loop_fires_a_timer)
{
    cosy_loop *loop = new_loop();
    struct busy busy = {.loop = loop, .limit = 100000000};
    warm_up(loop);
    cosy_ns start = cosy_loop_time(loop);
    if (is_sim(loop)) /* busy turns take no virtual time: the timer is due at once, or never */
        cosy_call_at(loop, start, seen, &busy, NULL);
    else
        cosy_call_later(loop, COSY_MS(2), seen, &busy, NULL);
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_lt(cosy_loop_time(loop) - start, COSY_S(1));
    cosy_loop_free(loop);
}
END_TEST

struct past {
    cosy_loop *loop;
    int turns;
    bool at, fired;
};

static void past_fired(void *arg)
{
    ((struct past *)arg)->fired = true;
}

static void past_turn(void *arg)
{
    struct past *past = arg;
    int turn = past->turns++;
    if (turn % 100 == 1) {
        past->fired = false;
        if (past->at)
            cosy_call_at(past->loop, cosy_loop_time(past->loop) - COSY_MS(1), past_fired, past, NULL);
        else
            cosy_call_later(past->loop, 0, past_fired, past, NULL);
    }
    if (turn % 100 == 3) /* the turn between must have run it */
        ck_assert_msg(past->fired, "not fired in the next turn: turn %d", turn);
    if (turn < 20000)
        cosy_call_soon(past->loop, past_turn, past, NULL);
    else
        cosy_loop_stop(past->loop);
}

START_TEST(a_past_time_runs_in_the_next_turn_of_a_busy_loop)
{
    for (int at = 0; at < 2; at++) {
        struct past past = {.loop = new_loop(), .at = at};
        cosy_call_soon(past.loop, past_turn, &past, NULL);
        ck_assert_int_eq(cosy_loop_run_forever(past.loop), 0);
        ck_assert_int_eq(past.turns, 20001);
        cosy_loop_free(past.loop);
    }
}
END_TEST

START_TEST(a_busy_loop_saves_most_questions)
{
    cosy_loop *loop = new_loop();
    if (!is_sim(loop)) {
        struct cosy_loop_stats before = stats_of(loop);
        warm_up(loop);
        struct cosy_loop_stats after = stats_of(loop);
        ck_assert_uint_ge(after.turns - before.turns, 20000);
        /* Where each turn takes longer than a question, none is saved, and rightly so: valgrind on a busy machine. */
        if (!under_tool())
            ck_assert_uint_lt(after.waits - before.waits, 15000);
    }
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop_busy");
    ADD_TESTS(suite, "busy", a_busy_loop_sees_a_readable_descriptor, a_busy_loop_of_slow_callbacks_asks_each_turn,
              a_loop_that_becomes_slow_asks_each_turn_again, a_busy_loop_asks_at_short_intervals,
              a_busy_loop_fires_a_timer, a_past_time_runs_in_the_next_turn_of_a_busy_loop,
              a_busy_loop_saves_most_questions);
    return run_suite(suite);
}
