/* A loop on the simulated kernel: time that jumps, an order by the seed. */
#include <cosy.h>

#include "loop_test.h"

START_TEST(sim_jumps_over_idle_time)
{
    cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM);
    struct timespec began, ended;
    cosy_ns start = cosy_loop_time(loop);
    clock_gettime(CLOCK_MONOTONIC, &began);
    cosy_call_later(loop, COSY_S(86400.0 * 365), stop, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_eq(cosy_loop_time(loop) - start, COSY_S(86400.0 * 365));
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 10);
    cosy_loop_free(loop);
}
END_TEST

static void fifo_callbacks(cosy_loop *loop)
{
    for (int i = 0; i < 10; i++)
        cosy_call_soon(loop, trace_letter, L('0' + i), NULL);
}

static int one_letter(int letter)
{
    trace_add((char)letter);
    return 0;
}

static void run_shuffled(uint64_t seed, char *ret_text)
{
    cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true);
    trace_clear();
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(cosy_spawn_with((.loop = loop), one_letter, 'a' + i), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    strcpy(ret_text, trace.text);
    ck_assert_uint_eq(trace.length, 20);
    cosy_loop_free(loop);
}

START_TEST(sim_shuffles_tasks_by_seed_and_replays)
{
    char first[64], again[64], other[64];
    run_shuffled(42, first);
    run_shuffled(42, again);
    run_shuffled(43, other);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
    ck_assert_str_ne(first, "abcdefghijklmnopqrst");
    for (char letter = 'a'; letter < 'a' + 20; letter++)
        ck_assert_ptr_nonnull(strchr(first, letter));
}
END_TEST

START_TEST(sim_keeps_callbacks_in_order_while_it_shuffles)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true);
        trace_clear();
        fifo_callbacks(loop);
        cosy_loop_run_once(loop, 0);
        ck_assert_str_eq(trace.text, "0123456789");
        cosy_loop_free(loop);
    }
}
END_TEST

START_TEST(sim_keeps_the_order_when_there_is_no_memory_to_shuffle)
{
    for (int fail = 0; fail < 3; fail++) {
        cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = 1, .shuffle = true);
        char expected[1024] = "";
        trace_clear();
        for (int i = 0; i < 300; i++) {
            expected[i] = (char)('0' + i % 64);
            cosy_call_soon(loop, trace_letter, L('0' + i % 64), NULL);
        }
        cosy_heap_fail_nth(fail, false);
        cosy_loop_run_once(loop, 0);
        cosy_heap_fail_nth(0, false);
        ck_assert_str_eq(trace.text, expected);
        cosy_loop_free(loop);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop_sim");
    ADD_TESTS(suite, "sim", sim_jumps_over_idle_time, sim_shuffles_tasks_by_seed_and_replays,
              sim_keeps_callbacks_in_order_while_it_shuffles, sim_keeps_the_order_when_there_is_no_memory_to_shuffle);
    return run_suite(suite);
}
