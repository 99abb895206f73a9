/* Waiting until all others wait, the clock by hand, and steps in a fixed order. */
#include "flow_test.h"

/* ---- until all others wait ---- */

cosy_async static int busy(int turns)
{
    while (turns-- > 0)
        cosy_try(cosy_yield());
    say("rests");
    return cosy_sleep(COSY_S(1000));
}

TASK_TEST(rest_comes_when_every_other_task_waits)
{
    cosy_scoped(cosy_task) short_one = cosy_create_task(busy, 3);
    cosy_scoped(cosy_task) long_one = cosy_create_task(busy, 200);
    cosy_ns begun = now();
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    said("rests rests");
    if (simulated())
        ck_assert_int_eq(now(), begun); /* time has not jumped to the sleepers' */
    return 0;
}

TASK_TEST(alone_it_rests_at_once)
{
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(-5), 0);
    return 0;
}

cosy_async static int rest(cosy_ns cushion, const char *name)
{
    int result = cosy_wait_all_tasks_blocked(cushion);
    say("%s", result < 0 ? "cancelled" : name);
    return result;
}

TASK_TEST(the_smallest_cushion_ends_first_and_equal_ones_together)
{
    cosy_scoped(cosy_task) later = cosy_create_task(rest, COSY_MS(2), "later");
    cosy_scoped(cosy_task) soon = cosy_create_task(rest, 0, "soon");
    cosy_scoped(cosy_task) too = cosy_create_task(rest, 0, "too");
    cosy_ns begun = now();
    ck_assert_int_eq(cosy_await(too), 0);
    said("soon too");
    ck_assert_int_eq(cosy_await(later), 0);
    said("later");
    ck_assert_int_ge(now() - begun, COSY_MS(2));
    return 0;
}

cosy_async static int tick(int times, cosy_ns each)
{
    for (int i = 0; i < times; i++)
        cosy_try(cosy_sleep(each));
    return 0;
}

TASK_TEST(each_step_of_another_task_begins_the_cushion_anew)
{
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick, 4, COSY_MS(1));
    cosy_ns begun = now();
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(COSY_MS(simulated() ? 5 : 200)), 0); /* a busy machine is late */
    ck_assert(cosy_task_done(ticker));
    if (simulated())
        ck_assert_int_eq(now() - begun, COSY_MS(9));
    return 0;
}

TASK_TEST(a_cancelled_rest_leaves_the_line)
{
    cosy_scoped(cosy_task) one = cosy_create_task(rest, COSY_S(100), "one");
    cosy_scoped(cosy_task) two = cosy_create_task(rest, COSY_S(100), "two");
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    ck_assert(cosy_task_cancel(one));
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    ck_assert(cosy_task_cancel(two));
    ck_assert_int_eq(cosy_await(two), -ECANCELED);
    said("cancelled cancelled");
    return 0;
}

static int piped[2];

cosy_async static int write_to_pipe(void)
{
    return write(piped[1], "x", 1) == 1 ? 0 : -EIO;
}

static void readable(void *unused)
{
    (void)unused;
    char c;
    ck_assert_int_eq(read(piped[0], &c, 1), 1);
    say("read");
}

TASK_TEST(what_the_kernel_has_ready_is_run_first)
{
    ck_assert_int_eq(pipe(piped), 0);
    ck_assert_int_eq(cosy_add_reader(loop_now(), piped[0], readable, NULL), 0);
    cosy_scoped(cosy_task) writer = cosy_create_task(write_to_pipe);
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    said("read");
    cosy_remove_reader(loop_now(), piped[0]);
    close(piped[0]);
    close(piped[1]);
    return 0;
}

START_TEST(outside_a_task_there_is_no_waiting)
{
    begin_test();
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), -COSY_ENOTASK);
    logs("cosy_wait_all_tasks_blocked");
    ck_assert_int_eq(cosy_test_advance(1), -COSY_ENOTASK);
    logs("cosy_test_advance");
}
END_TEST

/* ---- the clock ---- */

static int ticks;

cosy_async static int tick_for_ever(void)
{
    for (ticks = 0;; ticks++)
        cosy_try(cosy_sleep(COSY_S(1)));
}

cosy_async static int advance_by_hand(void)
{
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick_for_ever);
    cosy_ns begun = now();
    ck_assert_int_eq(cosy_test_advance(COSY_MS(999)), 0);
    ck_assert_int_eq(ticks, 0);
    ck_assert_int_eq(cosy_test_advance(COSY_MS(1)), 0);
    ck_assert_int_eq(ticks, 1);
    ck_assert_int_eq(cosy_test_advance(COSY_S(10)), 0);
    ck_assert_int_eq(ticks, 11);
    ck_assert_int_eq(now() - begun, COSY_S(11));
    ck_assert_int_eq(cosy_test_advance(-1), -EINVAL);
    ck_assert_int_eq(cosy_test_advance(COSY_NEVER), -EINVAL);
    return 0;
}

START_TEST(an_advance_from_a_task_meets_each_deadline_on_its_way)
{
    begin_test();
    ck_assert_int_eq(cosy_test_run_with((.manual_clock = true), advance_by_hand), 0);
    ck_assert_int_eq(cosy_test_run(advance_by_hand), 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

cosy_async static int try_the_clock(void)
{
    ck_assert_int_eq(cosy_test_clock_manual(loop_now()), -ENOTSUP);
    ck_assert_int_eq(cosy_test_advance(1), -ENOTSUP);
    return 0;
}

START_TEST(real_clocks_cannot_be_moved)
{
    begin_test();
    ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_EPOLL), try_the_clock), 0);
    ck_assert_int_eq(cosy_test_clock_auto(NULL), -ENOTSUP);
    ck_assert_int_eq(cosy_test_pass(NULL, 1), -ENOTSUP);
}
END_TEST

cosy_async static int sleep_and_say(void)
{
    say("begins");
    cosy_try(cosy_sleep(COSY_S(2)));
    say("woke");
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    say("rested");
    return 0;
}

START_TEST(a_loop_is_stepped_from_outside)
{
    cosy_loop *loop;
    begin_test();
    ck_assert_int_eq(cosy_loop_new(&loop, .backend = COSY_BACKEND_SIM), 0);
    ck_assert_int_eq(cosy_test_clock_manual(loop), 0);
    cosy_scoped(cosy_task) task = cosy_create_task_with((.loop = loop), sleep_and_say);
    ck_assert_int_eq(cosy_test_step(loop), 1);
    said("begins");
    ck_assert_int_eq(cosy_test_settle(loop), 0);
    ck_assert_int_eq(cosy_test_pass(loop, COSY_S(1)), 0);
    said("");
    ck_assert_int_eq(cosy_test_pass(loop, COSY_S(1)), 0);
    said("woke rested");
    ck_assert(cosy_task_done(task));
    cosy_loop_free(loop);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- steps in order ---- */

cosy_async static int two_steps(cosy_sequencer *sequencer, unsigned first, unsigned second)
{
    int err = 0;
    COSY_SEQUENCE(err, sequencer, first)
    {
        cosy_try(cosy_yield());
        say("%u", first);
    }
    COSY_SEQUENCE(err, sequencer, second)
    {
        say("%u", second);
    }
    return err;
}

TASK_TEST(steps_run_in_their_order_whoever_comes_first)
{
    cosy_sequencer sequencer = {0};
    ck_assert_int_eq(cosy_gather(cosy_call(two_steps, &sequencer, 2, 3), cosy_call(two_steps, &sequencer, 1, 4),
                                 cosy_call(two_steps, &sequencer, 0, 5)),
                     0);
    said("0 1 2 3 4 5");
    ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 5), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE), "step 5 of a sequence is entered twice");
    return 0;
}

cosy_async static int step_and_return(cosy_sequencer *sequencer, unsigned n)
{
    int err = 0;
    COSY_SEQUENCE(err, sequencer, n)
    {
        return 100;
    }
    return err;
}

TASK_TEST(a_step_that_is_left_by_return_is_left)
{
    cosy_sequencer sequencer = {0};
    ck_assert_int_eq(step_and_return(&sequencer, 0), 100);
    ck_assert_int_eq(step_and_return(&sequencer, 1), 100);
    return 0;
}

TASK_TEST(a_step_is_entered_once)
{
    cosy_sequencer sequencer = {0};
    cosy_scoped(cosy_task) waiting = cosy_create_task(step_and_return, &sequencer, 1);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 1), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 0), 0);
    ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 0), -COSY_EINVALIDSTATE);
    cosy_sequencer_leave(&sequencer);
    ck_assert_int_eq(cosy_await(waiting), 100);
    return 0;
}

static void cancel_second_of(int late)
{
    cosy_sequencer sequencer = {0};
    cosy_scoped(cosy_task) one = cosy_create_task(step_and_return, &sequencer, 1);
    cosy_scoped(cosy_task) two = cosy_create_task(step_and_return, &sequencer, 2);
    ck_assert_int_eq(cosy_yield(), 0);
    if (late) {
        ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 0), 0);
        cosy_sequencer_leave(&sequencer);
    }
    cosy_task_cancel(one);
    ck_assert_int_eq(cosy_await(two), -COSY_EINVALIDSTATE);
    ck_assert(cosy_task_cancelled(one));
    ck_assert_int_eq(cosy_sequencer_enter(&sequencer, 3), -COSY_EINVALIDSTATE);
}

TASK_TEST(a_cancelled_step_breaks_the_sequence)
{
    cancel_second_of(false);
    cancel_second_of(true);
    return 0;
}

cosy_async static int one_step(cosy_sequencer *sequencer, unsigned n)
{
    int err = 0;
    COSY_SEQUENCE(err, sequencer, n)
    {
        cosy_try(cosy_yield());
    }
    return err;
}

cosy_async static int sequence_of_three(cosy_sequencer *sequencer)
{
    int64_t results[3];
    return cosy_gather_with((.return_exceptions = true, .results = results), cosy_call(one_step, sequencer, 2),
                            cosy_call(one_step, sequencer, 1), cosy_call(one_step, sequencer, 0));
}

START_TEST(a_sequence_never_hangs_whichever_wait_is_cancelled)
{
    int err = 0;
    begin_test();
    COSY_TEST_EXPLORE(err, .seeds = 10, .cancel_each_wait = true)
    {
        cosy_sequencer sequencer = {0};
        (void)cosy_test_run(sequence_of_three, &sequencer);
        trace[0] = 0;
    }
    ck_assert_str_eq(logged, "");
    ck_assert_int_gt(err, 10 * 15);
}
END_TEST

TESTS_MAIN("blocked", rest_comes_when_every_other_task_waits, alone_it_rests_at_once,
           the_smallest_cushion_ends_first_and_equal_ones_together, each_step_of_another_task_begins_the_cushion_anew,
           a_cancelled_rest_leaves_the_line, what_the_kernel_has_ready_is_run_first, outside_a_task_there_is_no_waiting,
           an_advance_from_a_task_meets_each_deadline_on_its_way, real_clocks_cannot_be_moved,
           a_loop_is_stepped_from_outside, steps_run_in_their_order_whoever_comes_first,
           a_step_that_is_left_by_return_is_left, a_step_is_entered_once, a_cancelled_step_breaks_the_sequence,
           a_sequence_never_hangs_whichever_wait_is_cancelled)
