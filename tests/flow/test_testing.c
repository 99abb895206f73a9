/* The test kit: runs, their reports, cancels at the n-th wait, explorations and their replays. */
#include "flow_test.h"

/* ---- one run ---- */

cosy_async static int three_waits(void)
{
    cosy_try(cosy_yield());
    cosy_try(cosy_sleep(COSY_S(5)));
    cosy_try(cosy_yield());
    return 7;
}

START_TEST(a_run_gives_the_result_and_counts_waits_and_virtual_time)
{
    struct cosy_test_report report;
    ck_assert_int_eq(cosy_test_run(three_waits), 7);
    ck_assert_int_eq(cosy_test_run_with((.report = &report), three_waits), 7);
    ck_assert_uint_eq(report.waits, 3);
    ck_assert_int_eq(report.time, COSY_S(5));
    ck_assert(!report.cancelled);
    ck_assert_int_eq(report.left.tasks, 0);
    ck_assert_int_eq(report.left.descriptors, 0);
    ck_assert_int_eq(report.left.allocations, 0);
    ck_assert_uint_gt(report.turns, 2);
}
END_TEST

cosy_async static int which_wait(int *reached)
{
    for (*reached = 0; *reached < 3; ++*reached)
        cosy_try(*reached == 1 ? cosy_sleep(COSY_S(1)) : cosy_yield());
    return 0;
}

START_TEST(the_nth_wait_is_cancelled_in_each_of_three_ways)
{
    const int delays[] = {0, COSY_TEST_WHEN_WOKEN};
    for (unsigned n = 1; n <= 3; n++)
        for (int i = 0; i < 2; i++) {
            struct cosy_test_report report;
            int reached;
            int result = cosy_test_run_with((.cancel_at = n, .cancel_delay = delays[i], .report = &report), which_wait,
                                            &reached);
            ck_assert_int_eq(result, -ECANCELED);
            ck_assert_int_eq(reached, (int)n - 1);
            ck_assert(report.cancelled);
            /* at once: the sleep was taken back; when woken: it took its time */
            ck_assert_int_eq(report.time, n > 2 || (n == 2 && i == 1) ? COSY_S(1) : 0);
        }
    int reached;
    ck_assert_int_eq(cosy_test_run_with((.cancel_at = 1, .cancel_delay = 1), which_wait, &reached), -ECANCELED);
    ck_assert_int_eq(reached, 1); /* the first wait is over when the second begins: that one hears it */
    ck_assert_int_eq(cosy_test_run_with((.cancel_at = 4), which_wait, &reached), 0);
}
END_TEST

cosy_async static int watch_child(void)
{
    cosy_scoped(cosy_task) child = cosy_create_task(three_waits);
    int result = cosy_await(child);
    return cosy_task_cancelled(child) && !cosy_task_cancelling(cosy_current_task()) ? 1 : result;
}

START_TEST(waits_of_one_kind_of_task_are_counted_alone)
{
    struct cosy_test_report report;
    ck_assert_int_eq(cosy_test_run_with((.cancel_task = "three_waits", .report = &report), watch_child), 7);
    ck_assert_uint_eq(report.waits, 3);
    ck_assert_int_eq(cosy_test_run_with((.cancel_task = "three_waits", .cancel_at = 3), watch_child), 1);
}
END_TEST

cosy_async static int tell(char name)
{
    cosy_try(cosy_yield());
    say("%c", name);
    return 0;
}

cosy_async static int tell_all(void)
{
    return cosy_gather(cosy_call(tell, 'a'), cosy_call(tell, 'b'), cosy_call(tell, 'c'), cosy_call(tell, 'd'));
}

START_TEST(a_seed_gives_one_order_and_other_seeds_others)
{
    char first[64], kinds = 0;
    begin_test();
    ck_assert_int_eq(cosy_test_run(tell_all), 0);
    said("a b c d");
    for (uint64_t seed = 1; seed < 30; seed++) {
        ck_assert_int_eq(cosy_test_run_with((.seed = seed, .shuffle = true), tell_all), 0);
        strcpy(first, trace);
        kinds += strcmp(first, "a b c d") != 0;
        trace[0] = 0;
        ck_assert_int_eq(cosy_test_run_with((.seed = seed, .shuffle = true), tell_all), 0);
        said(first);
    }
    ck_assert_int_gt(kinds, 15);
}
END_TEST

cosy_async static int wait_for_ever(void)
{
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    return cosy_await(never);
}

START_TEST(a_run_in_which_nothing_can_happen_is_a_deadlock)
{
    begin_test();
    if (UNDER_TSAN)
        return; /* it has a thread of its own, which might call as far as we know */
    ck_assert_int_eq(cosy_test_run(wait_for_ever), -EDEADLK);
}
END_TEST

static cosy_task *kept;

cosy_async static int keep_a_task(void)
{
    kept = cosy_create_task(give, 1);
    return 0;
}

cosy_async static int fail_unheard(void)
{
    cosy_try(cosy_spawn(fail_with, EINVAL));
    return cosy_yield() + cosy_yield();
}

START_TEST(what_a_run_leaves_behind_is_told)
{
    struct cosy_test_report report;
    begin_test();
    ck_assert_int_eq(cosy_test_run_with((.report = &report), keep_a_task), 0);
    ck_assert_int_eq(report.left.tasks, 1);
    cosy_task_drop(kept);
    ck_assert_int_eq(cosy_test_run_with((.report = &report), fail_unheard), 0);
    ck_assert_uint_eq(report.unheard, 1);
    logs("spawned task");
}
END_TEST

cosy_async static int spin(void)
{
    for (;;)
        cosy_try(cosy_yield());
}

START_TEST(a_run_that_does_not_end_is_stopped)
{
    struct cosy_test_report report;
    begin_test();
    ck_assert_int_eq(cosy_test_run_with((.max_waits = 1000, .report = &report), spin), -COSY_ESTOPPED);
    ck_assert_uint_eq(report.failures, 1);
    logs("does not end");
}
END_TEST

cosy_async static int nest(void)
{
    return cosy_test_run(three_waits); /* the check of colours forbids it; so does the run */
}

START_TEST(a_run_inside_a_run_is_refused)
{
    ck_assert_int_eq(cosy_test_run(nest), -COSY_ERUNNING);
}
END_TEST

/* ---- expectations and checkpoints ---- */

cosy_async static int expect_two(void)
{
    cosy_test_expect(1 + 1 == 2);
    cosy_test_expect(1 + 1 == 3);
    return 0;
}

START_TEST(an_expectation_that_does_not_hold_names_its_place_and_task)
{
    struct cosy_test_report report;
    begin_test();
    ck_assert_int_eq(cosy_test_run_with((.report = &report), expect_two), 0);
    ck_assert_uint_eq(report.failures, 1);
    ck_assert(strstr(logged, "test_testing.c:") && strstr(logged, "does not hold: 1 + 1 == 3") &&
              strstr(logged, "(expect_two)"));
    logged[0] = 0;
}
END_TEST

cosy_async static int checkpoints(bool wait, bool wanted)
{
    if (wanted) {
        COSY_ASSERT_CHECKPOINTS()
        {
            if (wait)
                cosy_try(cosy_yield());
        }
    } else {
        COSY_ASSERT_NO_CHECKPOINTS()
        {
            if (wait)
                cosy_try(cosy_yield());
        }
    }
    return 0;
}

/* The other's waits do not count, and blocks of two tasks may end in any order. */
cosy_async static int overlapping_checkpoints(void)
{
    cosy_scoped(cosy_task) other = cosy_create_task(checkpoints, true, true);
    COSY_ASSERT_CHECKPOINTS()
    {
        cosy_try(cosy_yield());
        cosy_try(cosy_await(other));
    }
    return 0;
}

START_TEST(blocks_that_must_wait_and_must_not)
{
    struct cosy_test_report report;
    begin_test();
    for (int wait = 0; wait < 2; wait++)
        for (int wanted = 0; wanted < 2; wanted++) {
            ck_assert_int_eq(cosy_test_run_with((.report = &report), checkpoints, wait, wanted), 0);
            ck_assert_uint_eq(report.failures, wait != wanted);
            if (wait != wanted)
                logs(wanted ? "never waited" : "this block waited");
        }
    ck_assert_int_eq(cosy_test_run_with((.report = &report), overlapping_checkpoints), 0);
    ck_assert_uint_eq(report.failures, 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- explorations ---- */

START_TEST(an_exploration_cancels_each_wait_of_each_seed_three_times)
{
    unsigned rounds = 0, cancelled = 0, random_kinds = 0;
    int err = 0;
    uint64_t last = 0;
    COSY_TEST_EXPLORE(err, .seeds = 5, .cancel_each_wait = true,
                      .leaks_allowed = true) /* else rounds are repeated while pools grow */
    {
        uint64_t random = cosy_test_random();
        int reached, result = cosy_test_run(which_wait, &reached);
        random_kinds += random != last;
        last = random;
        rounds++;
        cancelled += result == -ECANCELED;
    }
    /* a delay of more waits than are left cancels nothing */
    ck_assert_int_ge(err, 5 * (1 + 3 * 3));
    ck_assert_int_eq((int)rounds, err);
    ck_assert_uint_ge(cancelled, 5 * 2 * 3);
    ck_assert_uint_eq(random_kinds, 5);
}
END_TEST

/* Loses money when it is cancelled between the two steps. */
struct purse {
    int left, right;
};

cosy_async static int careless_transfer(struct purse *purse)
{
    cosy_try(cosy_yield());
    purse->left--;
    cosy_try(cosy_sleep(COSY_MS(1)));
    purse->right++;
    return cosy_yield();
}

static int explore_careless(void)
{
    int err = 0;
    COSY_TEST_EXPLORE(err, .seeds = 3, .cancel_each_wait = true)
    {
        struct purse purse = {5, 5};
        (void)cosy_test_run(careless_transfer, &purse);
        cosy_test_expect(purse.left + purse.right == 10);
    }
    return err;
}

START_TEST(a_failing_round_ends_the_exploration_and_tells_its_replay)
{
    begin_test();
    ck_assert_int_eq(explore_careless(), -COSY_EINVALIDSTATE);
    ck_assert_ptr_nonnull(strstr(logged, "does not hold: purse.left + purse.right == 10"));
    ck_assert_ptr_nonnull(strstr(
        logged, "'explore_careless' failed in round 5, seed 0, wait 2 cancelled (careless_transfer, which sleeps; "));
    const char *replay =
        strstr(logged, "replay: COSY_TEST_NAME=explore_careless COSY_TEST_SEED=0 COSY_TEST_CANCEL_AT=2");
    ck_assert_ptr_nonnull(replay);
    ck_assert_ptr_nonnull(strstr(replay, "test_flow_testing"));
    logged[0] = 0;
}
END_TEST

START_TEST(the_environment_makes_that_one_round_again)
{
    begin_test();
    setenv("COSY_TEST_NAME", "explore_careless", 1);
    setenv("COSY_TEST_SEED", "2", 1);
    ck_assert_int_eq(explore_careless(), 1);
    setenv("COSY_TEST_CANCEL_AT", "2", 1);
    ck_assert_int_eq(explore_careless(), -COSY_EINVALIDSTATE);
    logs("in round 1, seed 2, wait 2 cancelled");
    setenv("COSY_TEST_CANCEL_DELAY", "woken", 1);
    ck_assert_int_eq(explore_careless(), -COSY_EINVALIDSTATE);
    logs("COSY_TEST_CANCEL_DELAY=woken");
    setenv("COSY_TEST_CANCEL_AT", "3", 1);
    ck_assert_int_eq(explore_careless(), 1);
    setenv("COSY_TEST_NAME", "another", 1);
    ck_assert_int_eq(explore_careless(), 0);
    unsetenv("COSY_TEST_NAME");
    unsetenv("COSY_TEST_SEED");
    unsetenv("COSY_TEST_CANCEL_AT");
    unsetenv("COSY_TEST_CANCEL_DELAY");
    ck_assert_str_eq(logged, "");
}
END_TEST

static cosy_task *leaked[16];
static unsigned leaks;

cosy_async static int leak_a_task(void)
{
    leaked[leaks++] = cosy_create_task(give, 1);
    return 0;
}

START_TEST(what_is_left_behind_each_time_fails_an_exploration)
{
    begin_test();
    ck_assert_int_eq(cosy_test_explore((.seeds = 10), leak_a_task), -COSY_EINVALIDSTATE);
    logs("left behind, again and again: 0 allocations, 1 tasks, 0 descriptors");
    ck_assert_uint_eq(leaks, 3);
    while (leaks > 0)
        cosy_task_drop(leaked[--leaks]);
    ck_assert_int_eq(cosy_test_explore((.seeds = 1, .leaks_allowed = true), leak_a_task), 1);
    cosy_task_drop(leaked[--leaks]);
}
END_TEST

START_TEST(negative_results_fail_unless_the_block_judges)
{
    begin_test();
    ck_assert_int_eq(cosy_test_explore((.seeds = 10), fail_with, EINVAL), -EINVAL);
    logs("EINVAL");
    ck_assert_int_eq(cosy_test_explore((.seeds = 10, .any_result = true), fail_with, EINVAL), 10);
    ck_assert_int_eq(cosy_test_explore((.seeds = 2), fail_unheard), -COSY_EINVALIDSTATE);
    logs("an error was heard by nobody");
}
END_TEST

START_TEST(cancels_by_chance_depend_on_the_seed)
{
    unsigned cancelled = 0, before = 0;
    for (int again = 0; again < 2; again++) {
        int err = 0;
        cancelled = 0;
        COSY_TEST_EXPLORE(err, .seeds = 60, .cancel_one_in = 5, .leaks_allowed = true)
        cancelled += cosy_test_run(three_waits) == -ECANCELED;
        ck_assert_int_eq(err, 60);
        ck_assert(again == 0 || before == cancelled);
        before = cancelled;
    }
    ck_assert_uint_gt(cancelled, 10);
    ck_assert_uint_lt(cancelled, 50);
}
END_TEST

static int tiny(void)
{
    int result = cosy_test_run(three_waits);
    return result > 0 ? 0 : result;
}

START_TEST(a_run_without_memory_fails_and_leaves_nothing)
{
    starve(tiny);
}
END_TEST

TESTS_MAIN("testing", a_run_gives_the_result_and_counts_waits_and_virtual_time,
           the_nth_wait_is_cancelled_in_each_of_three_ways, waits_of_one_kind_of_task_are_counted_alone,
           a_seed_gives_one_order_and_other_seeds_others, a_run_in_which_nothing_can_happen_is_a_deadlock,
           what_a_run_leaves_behind_is_told, a_run_that_does_not_end_is_stopped, a_run_inside_a_run_is_refused,
           an_expectation_that_does_not_hold_names_its_place_and_task, blocks_that_must_wait_and_must_not,
           an_exploration_cancels_each_wait_of_each_seed_three_times,
           a_failing_round_ends_the_exploration_and_tells_its_replay, the_environment_makes_that_one_round_again,
           what_is_left_behind_each_time_fails_an_exploration, negative_results_fail_unless_the_block_judges,
           cancels_by_chance_depend_on_the_seed, a_run_without_memory_fails_and_leaves_nothing)
