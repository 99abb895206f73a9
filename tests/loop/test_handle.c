/* Callbacks: queued, timed, cancelled at every moment of their life, and those that lie in an embedder's memory. */
#include "loop_test.h"

/* ---- queued ---- */

START_TEST(call_soon_is_fifo_and_passes_the_argument)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    for (char c = 'a'; c <= 'z'; c++)
        ck_assert_int_eq(cosy_call_soon(loop, trace_letter, L(c), NULL), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "abcdefghijklmnopqrstuvwxyz");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_callback_is_called_once)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_call_soon(loop, count, &ran, NULL);
    cosy_call_later(loop, 0, count, &ran, NULL);
    for (int i = 0; i < 3; i++)
        cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    cosy_loop *loop = new_loop();
    cosy_handle *handle = NULL;
    ck_assert_int_eq(cosy_call_soon(loop, NULL, NULL, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_soon_in(loop, NULL, NULL, NULL, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_soon_threadsafe(loop, NULL, NULL, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_at(loop, 0, NULL, NULL, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_later(loop, 0, NULL, NULL, &handle), -EINVAL);
    int ran = 0;
    ck_assert_int_eq(cosy_call_soon(NULL, count, &ran, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_soon_threadsafe(NULL, count, &ran, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_at(NULL, 0, count, &ran, &handle), -EINVAL);
    ck_assert_int_eq(cosy_call_later(NULL, 0, count, &ran, &handle), -EINVAL);
    ck_assert_ptr_null(handle);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(cancel_before_running)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_call_soon(loop, count, &ran, &handle);
    ck_assert(!cosy_handle_cancelled(handle));
    ck_assert(cosy_handle_cancel(handle));
    ck_assert(cosy_handle_cancelled(handle));
    ck_assert(!cosy_handle_cancel(handle));
    cosy_loop_run_once(loop, 0);
    ck_assert(cosy_handle_cancelled(handle));
    cosy_handle_drop(handle);
    ck_assert_int_eq(ran, 0);
    cosy_loop_free(loop);
}
END_TEST

static cosy_handle *own;
static void cancel_own(void *arg)
{
    ck_assert(!cosy_handle_cancel(own));
    ck_assert(!cosy_handle_cancelled(own));
    ++*(int *)arg;
}

START_TEST(cancel_while_running_is_too_late)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_call_soon(loop, cancel_own, &ran, &own);
    cosy_loop_run_once(loop, 0);
    cosy_handle_drop(own);
    cosy_call_later(loop, 0, cancel_own, &ran, &own);
    cosy_loop_run_once(loop, 0);
    cosy_handle_drop(own);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(cancel_after_running_is_too_late)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_call_soon(loop, count, &ran, &handle);
    cosy_loop_run_once(loop, 0);
    ck_assert(!cosy_handle_cancel(handle));
    ck_assert(!cosy_handle_cancelled(handle));
    ck_assert_int_eq(ran, 1);
    cosy_handle_drop(handle);
    cosy_loop_free(loop);
}
END_TEST

static void drop_own(void *arg)
{
    cosy_handle_drop(own);
    ++*(int *)arg;
}

START_TEST(the_last_reference_may_go_while_it_runs)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_call_soon(loop, drop_own, &ran, &own);
    cosy_loop_run_once(loop, 0);
    cosy_call_later(loop, 0, drop_own, &ran, &own);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_dropped_handle_still_runs)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_call_soon(loop, count, &ran, &handle);
    cosy_handle_drop(handle);
    cosy_call_later(loop, 0, count, &ran, &handle);
    cosy_handle_drop(handle);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

struct victim {
    cosy_handle *handle;
    bool cancelled;
};
static void cancel_victim(void *arg)
{
    struct victim *victim = arg;
    victim->cancelled = cosy_handle_cancel(victim->handle);
}

START_TEST(a_callback_cancels_one_of_its_own_batch)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    struct victim soon = {0}, timed = {0};
    cosy_call_soon(loop, cancel_victim, &soon, NULL);
    cosy_call_soon(loop, cancel_victim, &timed, NULL);
    cosy_call_soon(loop, count, &ran, &soon.handle);
    cosy_call_later(loop, 0, count, &ran, &timed.handle); /* due, and so queued in the same turn */
    cosy_loop_run_once(loop, 0);
    ck_assert(soon.cancelled && timed.cancelled);
    ck_assert_int_eq(ran, 0);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 0);
    cosy_handle_drop(soon.handle);
    cosy_handle_drop(timed.handle);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_handle_outlives_its_loop)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *done, *cancelled, *timed;
    cosy_call_soon(loop, count, &ran, &done);
    cosy_call_soon(loop, count, &ran, &cancelled);
    cosy_call_later(loop, COSY_S(5), count, &ran, &timed);
    cosy_handle_cancel(cancelled);
    cosy_loop_run_once(loop, 0);
    cosy_ns when = cosy_handle_when(timed);
    cosy_loop_free(loop);
    ck_assert(!cosy_handle_cancel(done) && !cosy_handle_cancelled(done));
    ck_assert(!cosy_handle_cancel(cancelled) && cosy_handle_cancelled(cancelled));
    ck_assert(!cosy_handle_cancel(timed) && cosy_handle_cancelled(timed));
    ck_assert_int_eq(cosy_handle_when(timed), when);
    cosy_handle_drop(done);
    cosy_handle_drop(cancelled);
    cosy_handle_drop(timed);
}
END_TEST

/* ---- timed ---- */

static void run_for(cosy_loop *loop, cosy_ns time)
{
    ck_assert_int_eq(cosy_call_later(loop, time, stop, loop, NULL), 0);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
}

START_TEST(timers_fire_in_order_of_deadline_and_equal_ones_in_order_given)
{
    cosy_loop *loop = new_loop();
    cosy_ns base = cosy_loop_time(loop) + COSY_MS(2);
    trace_clear();
    for (int i = 0; i < 26; i++) { /* three deadlines, in turn: y z x, y z x, ... */
        cosy_ns when = base + COSY_US(100) * ((i + 1) % 3);
        ck_assert_int_eq(cosy_call_at(loop, when, trace_letter, L('a' + i), NULL), 0);
    }
    run_for(loop, COSY_MS(5));
    ck_assert_str_eq(trace.text, "cfilorux"
                                 "adgjmpsvy"
                                 "behknqtwz");
    cosy_loop_free(loop);
}
END_TEST

static void late_or_now(void *arg)
{
    cosy_handle *handle = *(cosy_handle **)arg;
    ck_assert_int_ge(cosy_loop_time(cosy_running_loop()), cosy_handle_when(handle));
    trace_add('t');
}

START_TEST(timers_never_fire_early)
{
    enum { COUNT = 300 };
    cosy_loop *loop = new_loop();
    static cosy_handle *handles[COUNT];
    cosy_ns now = cosy_loop_time(loop);
    trace_clear();
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(
            cosy_call_at(loop, now + (cosy_ns)(i * 7919 % 1009) * 29989, late_or_now, &handles[i], &handles[i]), 0);
    run_for(loop, COSY_MS(40));
    ck_assert_uint_eq(trace.length, COUNT);
    for (int i = 0; i < COUNT; i++)
        cosy_handle_drop(handles[i]);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(past_and_negative_times_run_in_the_next_turn)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_later(loop, -COSY_S(5), trace_letter, L('b'), NULL);
    cosy_call_later(loop, 0, trace_letter, L('c'), NULL);
    cosy_call_at(loop, 0, trace_letter, L('a'), NULL);
    cosy_call_at(loop, INT64_MIN, trace_letter, L('A'), NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "Aabc");
    cosy_loop_free(loop);
}
END_TEST

static void add_a_zero_delay(void *arg)
{
    trace_add('1');
    cosy_call_later(arg, 0, trace_letter, L('3'), NULL);
    cosy_call_soon(arg, trace_letter, L('2'), NULL);
}

START_TEST(a_zero_delay_given_by_a_callback_waits_for_the_next_turn)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_later(loop, 0, add_a_zero_delay, loop, NULL);
    cosy_loop_run_once(loop, 0);
    ck_assert_str_eq(trace.text, "1");
    cosy_loop_run_once(loop, 0);
    ck_assert_str_eq(trace.text, "123");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(never_is_never_and_overflow_is_never)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    ck_assert_int_eq(cosy_call_later(loop, COSY_NEVER, count, &ran, &handle), 0);
    ck_assert_int_eq(cosy_handle_when(handle), COSY_NEVER);
    cosy_call_at(loop, COSY_NEVER, count, &ran, NULL);
    ck_assert_int_eq(cosy_loop_next_deadline(loop), COSY_NEVER);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 0);
    ck_assert(cosy_handle_cancel(handle));
    cosy_handle_drop(handle);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_cancelled_timer_is_gone)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_ns when = cosy_loop_time(loop) + COSY_S(3600);
    cosy_call_at(loop, when, count, &ran, &handle);
    ck_assert_int_eq(cosy_handle_when(handle), when);
    ck_assert_uint_eq(stats_of(loop).timers, 1);
    ck_assert(cosy_handle_cancel(handle));
    ck_assert(!cosy_handle_cancel(handle));
    ck_assert(cosy_handle_cancelled(handle));
    ck_assert_int_eq(cosy_handle_when(handle), when);
    ck_assert_uint_eq(stats_of(loop).timers, 0);
    ck_assert_int_eq(cosy_loop_next_deadline(loop), COSY_NEVER);
    cosy_handle_drop(handle);
    for (int i = 0; i < 100000; i++) { /* bounded memory: ASan and the kernel would notice */
        cosy_call_at(loop, when + i, count, &ran, &handle);
        cosy_handle_cancel(handle);
        cosy_handle_drop(handle);
    }
    ck_assert_uint_eq(stats_of(loop).timers, 0);
    cosy_loop_free(loop);
    ck_assert_int_eq(ran, 0);
}
END_TEST

START_TEST(when_is_zero_without_a_deadline)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_call_soon(loop, count, &ran, &handle);
    ck_assert_int_eq(cosy_handle_when(handle), 0);
    cosy_handle_drop(handle);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(next_deadline_tells_when_there_is_work)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    ck_assert_int_eq(cosy_loop_next_deadline(loop), COSY_NEVER);
    cosy_ns when = cosy_loop_time(loop) + COSY_S(10);
    cosy_call_at(loop, when, count, &ran, NULL);
    ck_assert_int_le(cosy_loop_next_deadline(loop), when);
    cosy_call_soon(loop, count, &ran, NULL);
    ck_assert_int_le(cosy_loop_next_deadline(loop), cosy_loop_time(loop));
    cosy_loop_run_once(loop, 0);
    ck_assert_int_gt(cosy_loop_next_deadline(loop), cosy_loop_time(loop));
    cosy_call_soon_threadsafe(loop, count, &ran, NULL);
    ck_assert_int_le(cosy_loop_next_deadline(loop), cosy_loop_time(loop));
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

/* ---- in the embedder's memory ---- */

START_TEST(an_own_handle_restarts)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle handle;
    cosy_handle_init(&handle, count, &ran);
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(cosy_handle_start_soon(loop, &handle), 0);
        ck_assert_int_eq(cosy_handle_start_soon(loop, &handle), -COSY_EINVALIDSTATE);
        ck_assert_int_eq(cosy_handle_start_at(loop, &handle, 0), -COSY_EINVALIDSTATE);
        cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(cosy_handle_start_later(loop, &handle, 0), 0);
        ck_assert_int_eq(cosy_handle_start_later(loop, &handle, 0), -COSY_EINVALIDSTATE);
        ck_assert_int_eq(cosy_handle_start_soon(loop, &handle), -COSY_EINVALIDSTATE);
        cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(ran, 2 * i);
        ck_assert(!cosy_handle_cancel(&handle));
        ck_assert(!cosy_handle_cancelled(&handle));
    }
    cosy_loop_free(loop);
}
END_TEST

static struct own_timer {
    cosy_handle handle;
    cosy_loop *loop;
    int ticks;
} ticker;

static void tick(void *arg)
{
    struct own_timer *self = arg;
    if (++self->ticks == 10)
        cosy_loop_stop(self->loop);
    else
        ck_assert_int_eq(cosy_handle_start_later(self->loop, &self->handle, COSY_MS(1)), 0);
}

START_TEST(an_own_handle_restarts_inside_its_callback)
{
    ticker.loop = new_loop();
    ticker.ticks = 0;
    cosy_handle_init(&ticker.handle, tick, &ticker);
    cosy_ns start = cosy_loop_time(ticker.loop);
    cosy_handle_start_soon(ticker.loop, &ticker.handle);
    ck_assert_int_eq(cosy_loop_run_forever(ticker.loop), 0);
    ck_assert_int_eq(ticker.ticks, 10);
    ck_assert_int_ge(cosy_loop_time(ticker.loop) - start, COSY_MS(9));
    cosy_loop_free(ticker.loop);
}
END_TEST

static void free_own_memory(void *arg)
{
    struct own_timer *self = arg;
    trace_add('f');
    free(self);
}

START_TEST(an_own_handle_may_be_freed_by_its_callback)
{
    for (int debug = 0; debug < 2; debug++) {
        cosy_loop *loop = new_loop(.debug = debug);
        struct own_timer *soon = malloc(sizeof *soon), *timed = malloc(sizeof *timed);
        trace_clear();
        cosy_handle_init(&soon->handle, free_own_memory, soon);
        cosy_handle_init(&timed->handle, free_own_memory, timed);
        cosy_handle_start_soon(loop, &soon->handle);
        cosy_handle_start_later(loop, &timed->handle, 0);
        cosy_loop_run_once(loop, 0);
        ck_assert_str_eq(trace.text, "ff");
        cosy_loop_free(loop);
    }
}
END_TEST

START_TEST(cancel_takes_an_own_handle_off_the_queue_at_once)
{
    for (int victim = 0; victim < 3; victim++) {
        cosy_loop *loop = new_loop();
        cosy_handle *handles[3];
        trace_clear();
        for (int i = 0; i < 3; i++) {
            handles[i] = malloc(sizeof **handles);
            cosy_handle_init(handles[i], trace_letter, L('0' + i));
            ck_assert_int_eq(cosy_handle_start_soon(loop, handles[i]), 0);
        }
        ck_assert(cosy_handle_cancel(handles[victim]));
        ck_assert(!cosy_handle_cancel(handles[victim]));
        memset(handles[victim], 0xa5, sizeof **handles); /* the memory is the embedder's again */
        cosy_call_soon(loop, trace_letter, L('+'), NULL);
        cosy_loop_run_once(loop, 0);
        static const char *const expected[] = {"12+", "02+", "01+"};
        ck_assert_str_eq(trace.text, expected[victim]);
        for (int i = 0; i < 3; i++)
            free(handles[i]);
        cosy_loop_free(loop);
    }
}
END_TEST

START_TEST(cancel_takes_an_own_handle_off_the_clock_at_once)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle = malloc(sizeof *handle);
    cosy_handle_init(handle, count, &ran);
    cosy_handle_start_later(loop, handle, COSY_MS(1));
    ck_assert(cosy_handle_cancel(handle));
    free(handle);
    run_for(loop, COSY_MS(3));
    ck_assert_int_eq(ran, 0);
    cosy_loop_free(loop);
}
END_TEST

static struct {
    cosy_loop *loop;
    cosy_handle *other;
} killer;
static void cancel_and_free_other(void *arg)
{
    (void)arg;
    ck_assert(cosy_handle_cancel(killer.other));
    free(killer.other);
    trace_add('k');
}

START_TEST(an_own_handle_of_the_running_batch_is_cancelled_and_freed)
{
    for (int timed = 0; timed < 2; timed++) { /* the other is the last of the batch; one stands behind it in the next */
        cosy_loop *loop = killer.loop = new_loop();
        killer.other = malloc(sizeof *killer.other);
        trace_clear();
        cosy_handle_init(killer.other, trace_letter, L('x'));
        cosy_call_soon(loop, cancel_and_free_other, NULL, NULL);
        ck_assert_int_eq(
            timed ? cosy_handle_start_later(loop, killer.other, 0) : cosy_handle_start_soon(loop, killer.other), 0);
        cosy_loop_run_once(loop, 0);
        cosy_call_soon(loop, trace_letter, L('n'), NULL);
        cosy_loop_run_once(loop, 0);
        ck_assert_str_eq(trace.text, "kn");
        cosy_loop_free(loop);
    }
}
END_TEST

START_TEST(due_timers_cancel_and_free_each_other)
{
    for (int warm = 0; warm < 3; warm++) { /* after turns with fewer and with more due timers than this one */
        cosy_loop *loop = killer.loop = new_loop();
        int ran = 0;
        for (int i = 0; i < 4 * warm; i++)
            cosy_call_later(loop, 0, count, &ran, NULL);
        cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(ran, 4 * warm);
        for (int from_timer = 0; from_timer < 2; from_timer++) {
            trace_clear();
            killer.other = malloc(sizeof *killer.other);
            cosy_handle_init(killer.other, trace_letter, L('x'));
            if (from_timer)
                cosy_call_later(loop, 0, cancel_and_free_other, NULL, NULL);
            else
                cosy_call_soon(loop, cancel_and_free_other, NULL, NULL);
            cosy_call_later(loop, 0, trace_letter, L('a'), NULL);
            ck_assert_int_eq(cosy_handle_start_later(loop, killer.other, 0), 0);
            cosy_call_later(loop, 0, trace_letter, L('b'), NULL);
            cosy_loop_run_once(loop, 0);
            ck_assert_str_eq(trace.text, "kab");
        }
        cosy_loop_free(loop);
    }
}
END_TEST

static void restart_own(void *arg)
{
    struct own_timer *self = arg;
    trace_add((char)('0' + self->ticks));
    if (++self->ticks < 4)
        ck_assert_int_eq(cosy_handle_start_at(self->loop, &self->handle, 0), 0);
}

START_TEST(a_due_timer_that_restarts_waits_for_the_next_turn)
{
    struct own_timer timer = {.loop = new_loop()};
    trace_clear();
    cosy_handle_init(&timer.handle, restart_own, &timer);
    cosy_handle_start_at(timer.loop, &timer.handle, 0);
    for (int i = 1; i <= 4; i++) {
        ck_assert_int_eq(cosy_loop_run_once(timer.loop, 0), 1);
        ck_assert_int_eq(timer.ticks, i);
    }
    ck_assert_int_eq(cosy_loop_run_once(timer.loop, 0), 0);
    ck_assert_str_eq(trace.text, "0123");
    cosy_loop_free(timer.loop);
}
END_TEST

START_TEST(due_timers_keep_their_order_without_memory)
{
    enum { DUE = 300 };
    for (long n = 1; n <= 6; n++)
        for (int repeat = 0; repeat < 2; repeat++) {
            cosy_loop *loop = new_loop();
            char expected[DUE + 2] = "s";
            trace_clear();
            for (int i = 0; i < DUE; i++) {
                expected[i + 1] = (char)('0' + i % 64);
                ck_assert_int_eq(cosy_call_at(loop, 1000, trace_letter, L('0' + i % 64), NULL), 0);
            }
            cosy_call_soon(loop, trace_letter, L('s'), NULL);
            cosy_heap_fail_nth(n, repeat);
            for (int turns = 0; turns < DUE && trace.length < DUE + 1; turns++)
                ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
            cosy_heap_fail_nth(0, false);
            ck_assert_str_eq(trace.text, expected);
            cosy_loop_free(loop);
        }
}
END_TEST

START_TEST(a_handle_of_the_loop_is_no_embedders)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *handle;
    cosy_call_soon(loop, count, &ran, &handle);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(cosy_handle_start_soon(loop, handle), -EINVAL);
    ck_assert_int_eq(cosy_handle_start_later(loop, handle, 0), -EINVAL);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, 1);
    cosy_handle_drop(handle);
    cosy_loop_free(loop);
}
END_TEST

/* ---- without memory ---- */

static int one_of_each(void *arg)
{
    int ran = 0, made = 0;
    cosy_loop *loop = arg;
    cosy_handle *handles[4] = {NULL}, own_timed;
    int results[5] = {
        cosy_call_soon(loop, count, &ran, &handles[0]),
        cosy_call_soon_threadsafe(loop, count, &ran, &handles[1]),
        cosy_call_later(loop, 0, count, &ran, &handles[2]),
        cosy_call_soon_in(loop, NULL, count, &ran, &handles[3]),
    };
    cosy_handle_init(&own_timed, count, &ran);
    results[4] = cosy_handle_start_later(loop, &own_timed, 0);
    int worst = 0;
    for (int i = 0; i < 5; i++) {
        made += results[i] == 0;
        worst = results[i] < worst ? results[i] : worst;
    }
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(ran, made);
    for (int i = 0; i < 4; i++)
        cosy_handle_drop(handles[i]);
    return worst;
}

START_TEST(each_allocation_of_a_callback_fails_cleanly)
{
    cosy_loop *loop = new_loop();
    each_allocation_fails(one_of_each, loop);
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle");
    ADD_TESTS(suite, "queued", call_soon_is_fifo_and_passes_the_argument, a_callback_is_called_once,
              bad_arguments_are_refused, cancel_before_running, cancel_while_running_is_too_late,
              cancel_after_running_is_too_late, the_last_reference_may_go_while_it_runs, a_dropped_handle_still_runs,
              a_callback_cancels_one_of_its_own_batch, a_handle_outlives_its_loop);
    ADD_TESTS(suite, "timed", timers_fire_in_order_of_deadline_and_equal_ones_in_order_given, timers_never_fire_early,
              past_and_negative_times_run_in_the_next_turn, a_zero_delay_given_by_a_callback_waits_for_the_next_turn,
              never_is_never_and_overflow_is_never, a_cancelled_timer_is_gone, when_is_zero_without_a_deadline,
              next_deadline_tells_when_there_is_work);
    ADD_TESTS(suite, "embedder's", an_own_handle_restarts, an_own_handle_restarts_inside_its_callback,
              an_own_handle_may_be_freed_by_its_callback, cancel_takes_an_own_handle_off_the_queue_at_once,
              cancel_takes_an_own_handle_off_the_clock_at_once,
              an_own_handle_of_the_running_batch_is_cancelled_and_freed, due_timers_cancel_and_free_each_other,
              a_due_timer_that_restarts_waits_for_the_next_turn, a_handle_of_the_loop_is_no_embedders);
    ADD_TESTS(suite, "memory", due_timers_keep_their_order_without_memory, each_allocation_of_a_callback_fails_cleanly);
    return run_suite(suite);
}
