/* Tests of the rate limiter: when, in what order, and what a cancel leaves behind. Names in comments are those of the
 * tests in aiolimiter's test_aiolimiter.py for the same behaviour. Moments are exact where the clock is simulated, and
 * never early elsewhere. */
#include "flow_test.h"

#define UNIT COSY_MS(1)

static cosy_ns start;

/* Says what was acquired and, on the simulated clock, when: in units since the start. */
cosy_async static int acquire(cosy_rate_limiter *limiter, int64_t amount, const char *name)
{
    int result = cosy_rate_limiter_acquire_amount(limiter, amount);
    if (result == -ECANCELED)
        say("%s cancelled", name);
    else
        say("%s", name);
    return result;
}

/* Acquires 1 and checks that it comes `units` after the start. */
cosy_async static int acquire_at(cosy_rate_limiter *limiter, int units)
{
    cosy_try(cosy_rate_limiter_acquire(limiter));
    ck_assert_int_ge(now() - start, units * UNIT);
    if (simulated())
        ck_assert_int_eq(now() - start, units * UNIT);
    return 0;
}

cosy_async static int enter_at(cosy_rate_limiter *limiter, int units)
{
    int err = 0, entered = 0;
    COSY_RATE_LIMITED (err, limiter) {
        entered++;
    }
    ck_assert_int_eq(entered, 1);
    ck_assert_int_ge(now() - start, units * UNIT);
    if (simulated())
        ck_assert_int_eq(now() - start, units * UNIT);
    return err;
}

TASK_TEST(an_initialised_limiter_has_its_attributes) /* test_attributes */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(42, COSY_S(81));
    ck_assert_int_eq(limiter.max_rate, 42);
    ck_assert_int_eq(limiter.period, COSY_S(81));
    ck_assert(!limiter.small_first);
    cosy_rate_limiter small = COSY_RATE_LIMITER(1, COSY_S(1), .small_first = true);
    ck_assert(small.small_first);
    return 0;
}

TASK_TEST(capacity_is_told) /* test_has_capacity */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(1, COSY_S(60));
    ck_assert(cosy_rate_limiter_has_capacity(&limiter, 1));
    ck_assert(!cosy_rate_limiter_has_capacity(&limiter, 42));
    ck_assert_int_eq(cosy_rate_limiter_acquire(&limiter), 0);
    ck_assert(!cosy_rate_limiter_has_capacity(&limiter, 1));
    ck_assert(cosy_rate_limiter_has_capacity(&limiter, 0));
    return 0;
}

TASK_TEST(more_than_the_rate_is_refused_at_once) /* test_over_acquire */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(3, COSY_S(60));
    uint64_t before = turns();
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, 42), -COSY_ELIMIT);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ELIMIT), "42"));
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ELIMIT), "max_rate of 3 "));
    ck_assert_uint_eq(turns(), before);
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, 3), 0); /* nothing was taken */
    return 0;
}

TASK_TEST(a_burst_and_then_a_steady_rate) /* test_acquire[acquire_task] */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(5, 10 * UNIT);
    const int when[10] = {0, 0, 0, 0, 0, 2, 4, 6, 8, 10};
    cosy_coro *calls[10];
    start = now();
    for (int i = 0; i < 10; i++)
        calls[i] = cosy_call(acquire_at, &limiter, when[i]);
    ck_assert_int_eq(cosy_gather_coros(calls, 10, NULL), 0);
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

TASK_TEST(a_block_is_entered_at_the_same_rate) /* test_acquire[async_contextmanager_task] */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(5, 10 * UNIT);
    const int when[10] = {0, 0, 0, 0, 0, 2, 4, 6, 8, 10};
    cosy_coro *calls[10];
    start = now();
    for (int i = 0; i < 10; i++)
        calls[i] = cosy_call(enter_at, &limiter, when[i]);
    return cosy_gather_coros(calls, 10, NULL);
}

TASK_TEST(a_large_amount_waits_for_what_lacks) /* test_acquire_wait_time */
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(3, 3 * UNIT);
    start = now();
    ck_assert_int_eq(cosy_rate_limiter_acquire(&limiter), 0);
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, 3), 0);
    ck_assert_int_ge(now() - start, UNIT);
    if (simulated())
        ck_assert_int_eq(now() - start, UNIT);
    return 0;
}

TASK_TEST(small_ones_overtake_by_request) /* test_decreasing_acquire */
{
    for (int small_first = 0; small_first < 2; small_first++) {
        cosy_rate_limiter limiter = COSY_RATE_LIMITER(3, 3 * COSY_S(100), .small_first = small_first);
        ck_assert_int_eq(cosy_rate_limiter_acquire(&limiter), 0);
        cosy_scoped(cosy_task) large = cosy_create_task(acquire, &limiter, 3, "large");
        let_all_run(1);
        ck_assert_int_eq(cosy_rate_limiter_has_capacity(&limiter, 1), small_first);
        cosy_scoped(cosy_task) small = cosy_create_task(acquire, &limiter, 1, "small");
        let_all_run(1);
        said(small_first ? "small" : "");
        if (simulated()) {
            cosy_ns before = now();
            ck_assert_int_eq(cosy_await(large), 0);
            ck_assert_int_ge(now() - before, small_first ? COSY_S(199) : COSY_S(99));
            ck_assert_int_le(now() - before, small_first ? COSY_S(200) : COSY_S(100));
            ck_assert_int_eq(cosy_await(small), 0);
            said(small_first ? "large" : "large small");
        }
        cosy_task_cancel(large);
        cosy_task_cancel(small);
        let_all_run(2);
        trace[0] = 0;
    }
    return 0;
}

TASK_TEST(a_cancelled_one_makes_way) /* test_task_cancelled */
{
    if (!simulated()) /* a slow machine would serve the first before the cancel */
        return 0;
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(3, 3 * UNIT);
    start = now();
    ck_assert_int_eq(cosy_rate_limiter_acquire(&limiter), 0);
    cosy_scoped(cosy_task) first = cosy_create_task(acquire, &limiter, 3, "first");
    cosy_scoped(cosy_task) second = cosy_create_task(acquire, &limiter, 3, "second");
    let_all_run(1);
    cosy_task_cancel(first);
    ck_assert_int_eq(cosy_await(second), 0);
    ck_assert_int_eq(now() - start, UNIT);
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    said("first cancelled second");
    return 0;
}

TASK_TEST(what_was_granted_to_a_cancelled_one_is_given_back)
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(3, COSY_S(3000));
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, 2), 0);
    cosy_scoped(cosy_task) large = cosy_create_task(acquire, &limiter, 3, "large");
    cosy_scoped(cosy_task) small = cosy_create_task(acquire, &limiter, 1, "small");
    cosy_scoped(cosy_task) later = cosy_create_task(acquire, &limiter, 1, "later");
    let_all_run(1);
    cosy_task_cancel(large); /* which grants 1 to the next in line, whose task has not run yet */
    cosy_task_cancel(small);
    ck_assert_int_eq(cosy_await(small), -ECANCELED);
    ck_assert_int_eq(cosy_await(later), 0);
    said("small cancelled large cancelled later");
    struct cosy_rate_limiter_statistics statistics;
    cosy_rate_limiter_statistics(&limiter, &statistics);
    ck_assert_int_eq(statistics.available, 0);
    ck_assert_uint_eq(statistics.waiting, 0);
    ck_assert_uint_eq(statistics.acquired, 3);
    ck_assert_uint_eq(statistics.delayed, 3);
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

TASK_TEST(those_who_wait_are_served_in_order)
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(4, 4 * UNIT),
                      small = COSY_RATE_LIMITER(4, 4 * UNIT, .small_first = true);
    for (int i = 0; i < 2; i++) {
        cosy_rate_limiter *which = i ? &small : &limiter;
        ck_assert_int_eq(cosy_rate_limiter_acquire_amount(which, 4), 0);
        ck_assert_int_eq(cosy_gather(cosy_call(acquire, which, 3, "3a"), cosy_call(acquire, which, 1, "1a"),
                                     cosy_call(acquire, which, 2, "2a"), cosy_call(acquire, which, 1, "1b"),
                                     cosy_call(acquire, which, 3, "3b")),
                         0);
        if (i == 0 || simulated()) /* a slow machine lets some leak out before all are in line */
            said(i ? "1a 1b 2a 3a 3b" : "3a 1a 2a 1b 3b");
        trace[0] = 0;
    }
    return 0;
}

cosy_async static int acquire_many(cosy_rate_limiter *limiter, int count)
{
    while (count-- > 0)
        cosy_try(cosy_rate_limiter_acquire(limiter));
    return 0;
}

TASK_TEST(no_nanosecond_is_lost_over_days)
{
    if (!simulated())
        return 0;
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(7, COSY_S(60)); /* 8571428571.428... ns each */
    start = now();
    ck_assert_int_eq(acquire_many(&limiter, 7 + 7 * 60 * 24 * 3), 0);
    ck_assert_int_eq(now() - start, COSY_S(60) * 60 * 24 * 3); /* three days: the remainders add up to whole periods */
    start = now();
    ck_assert_int_eq(acquire_many(&limiter, 1), 0);
    ck_assert_int_eq(now() - start, 8571428572); /* never early: up, not down */
    return 0;
}

TASK_TEST(idle_time_saves_up_one_burst_and_no_more)
{
    if (!simulated())
        return 0;
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(5, COSY_S(5));
    ck_assert_int_eq(acquire_many(&limiter, 5), 0);
    ck_assert_int_eq(cosy_sleep(COSY_S(1000)), 0);
    start = now();
    ck_assert_int_eq(acquire_many(&limiter, 5), 0);
    ck_assert_int_eq(now(), start);
    ck_assert_int_eq(acquire_many(&limiter, 1), 0);
    ck_assert_int_eq(now() - start, COSY_S(1));
    return 0;
}

TASK_TEST(huge_rates_do_not_overflow)
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(INT64_MAX, COSY_NEVER / 4);
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, INT64_MAX), 0);
    ck_assert(!cosy_rate_limiter_has_capacity(&limiter, INT64_MAX / 2));
    return 0;
}

TASK_TEST(senseless_use_is_told)
{
    cosy_rate_limiter none = {0}, backwards = COSY_RATE_LIMITER(3, -1), limiter = COSY_RATE_LIMITER(3, 3);
    ck_assert_int_eq(cosy_rate_limiter_acquire(&none), -EINVAL);
    ck_assert(!cosy_rate_limiter_has_capacity(&none, 1));
    struct cosy_rate_limiter_statistics statistics;
    cosy_rate_limiter_statistics(&none, &statistics);
    ck_assert_int_eq(statistics.available, 0);
    ck_assert_int_eq(cosy_rate_limiter_acquire(&backwards), -EINVAL);
    ck_assert_int_eq(cosy_rate_limiter_acquire_amount(&limiter, -1), -EINVAL);
    int err = 0;
    COSY_RATE_LIMITED (err, &none) {
        say("never");
    }
    ck_assert_int_eq(err, -EINVAL);
    return 0;
}

START_TEST(outside_a_task_it_is_refused)
{
    begin_test();
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(1, COSY_S(1));
    ck_assert_int_eq(cosy_rate_limiter_acquire(&limiter), -COSY_ENOTASK);
    logged[0] = 0;
}
END_TEST

/* ---- two loops ---- */

static cosy_rate_limiter shared;

cosy_async static int leave_waiters(void)
{
    for (int i = 0; i < 5; i++)
        cosy_spawn(acquire, &shared, 1, "x");
    return cosy_yield();
}

cosy_async static int acquire_two_soon(void)
{
    start = now();
    cosy_try(acquire_many(&shared, 2));
    if (simulated()) /* at first it was full */
        ck_assert_int_eq(now() - start, 2 * UNIT);
    return 0;
}

START_TEST(
    another_loop_may_use_it_afterwards) /* test_multiple_loops: nothing stale is left, so nothing has to be warned of */
{
    begin_test();
    shared = (cosy_rate_limiter)COSY_RATE_LIMITER(1, COSY_S(1000));
    ck_assert_int_eq(cosy_run(leave_waiters), 0);
    said("x x cancelled x cancelled x cancelled x cancelled");
    shared.period = UNIT; /* the burst is spent; a full bucket is waited for again */
    ck_assert_int_eq(cosy_run(acquire_two_soon), 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

static cosy_loop *other;

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_rate_limiter_acquire(&shared), -COSY_EOTHERLOOP);
    return 0;
}

START_TEST(another_loop_may_not_meanwhile)
{
    begin_test();
    shared = (cosy_rate_limiter)COSY_RATE_LIMITER(1, COSY_S(1000));
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_task *first = cosy_create_task_with((.loop = other), acquire, &shared, 1, "a");
    cosy_task *waits = cosy_create_task_with((.loop = other), acquire, &shared, 1, "b");
    ck_assert_int_eq(cosy_run_until_complete(other, first), 0);
    ck_assert_int_eq(cosy_run(meddle), 0);
    cosy_task_cancel(waits);
    ck_assert_int_eq(cosy_run_until_complete(other, waits), -ECANCELED);
    said("a b cancelled");
    cosy_task_drop(first);
    cosy_task_drop(waits);
    cosy_loop_free(other);
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(a_loop_closes_under_those_who_wait)
{
    begin_test();
    shared = (cosy_rate_limiter)COSY_RATE_LIMITER(1, COSY_S(1000));
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_task *first = cosy_create_task_with((.loop = other), acquire, &shared, 1, "a");
    cosy_task *waits = cosy_create_task_with((.loop = other), acquire, &shared, 1, "b");
    ck_assert_int_eq(cosy_run_until_complete(other, first), 0);
    cosy_task_drop(first);
    cosy_task_drop(waits);
    cosy_loop_close(other);
    cosy_loop_free(other);
    logs("acquire");
    said("a");
    shared.period = UNIT;
    ck_assert_int_eq(cosy_run(acquire_two_soon), 0);
}
END_TEST

/* ---- faults and chance ---- */

cosy_async static int three_at_once(void)
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(1, COSY_US(10));
    return cosy_gather(cosy_call(acquire_many, &limiter, 2), cosy_call(acquire_many, &limiter, 2));
}

static int run_three(void)
{
    return cosy_run(three_at_once);
}

START_TEST(without_memory_it_fails_and_leaks_nothing)
{
    starve(run_three);
}
END_TEST

static uint64_t chance;
static unsigned random_below(unsigned limit)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % limit;
}

cosy_async static int random_client(cosy_rate_limiter *limiter, int64_t *taken)
{
    for (int i = 0; i < 20; i++) {
        int64_t amount = random_below(5);
        int result = cosy_rate_limiter_acquire_amount(limiter, amount);
        if (result < 0)
            return result;
        *taken += amount;
        ck_assert_int_le(*taken * COSY_S(1), (now() - start + COSY_S(4)) * 4); /* never above burst plus rate */
        if (random_below(2))
            cosy_try(cosy_sleep(COSY_MS(random_below(500))));
    }
    return 0;
}

cosy_async static int random_clients(bool small_first)
{
    cosy_rate_limiter limiter = COSY_RATE_LIMITER(4, COSY_S(4) / 4, .small_first = small_first);
    cosy_task *clients[8];
    int64_t taken = 0;
    start = now();
    for (int i = 0; i < 8; i++)
        clients[i] = cosy_create_task(random_client, &limiter, &taken);
    for (int i = 0; i < 6; i++) {
        cosy_try(cosy_sleep(COSY_MS(random_below(3000))));
        cosy_task_cancel(clients[i % 3]);
    }
    for (int i = 0; i < 8; i++) {
        (void)cosy_await(clients[i]);
        cosy_task_drop(clients[i]);
    }
    struct cosy_rate_limiter_statistics statistics;
    cosy_rate_limiter_statistics(&limiter, &statistics);
    ck_assert_int_eq((int64_t)statistics.acquired, taken); /* what the cancelled ones had was given back */
    ck_assert_uint_eq(statistics.waiting, 0);
    ck_assert_uint_eq(timers(), 0);
    return 0;
}

START_TEST(any_schedule_keeps_the_rate)
{
    begin_test();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        chance = seed;
        ck_assert_int_eq(
            cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true), random_clients, seed % 2), 0);
    }
}
END_TEST

TESTS_MAIN("rate", an_initialised_limiter_has_its_attributes, capacity_is_told, more_than_the_rate_is_refused_at_once,
           a_burst_and_then_a_steady_rate, a_block_is_entered_at_the_same_rate, a_large_amount_waits_for_what_lacks,
           small_ones_overtake_by_request, a_cancelled_one_makes_way, what_was_granted_to_a_cancelled_one_is_given_back,
           those_who_wait_are_served_in_order, no_nanosecond_is_lost_over_days,
           idle_time_saves_up_one_burst_and_no_more, huge_rates_do_not_overflow, senseless_use_is_told,
           outside_a_task_it_is_refused, another_loop_may_use_it_afterwards, another_loop_may_not_meanwhile,
           a_loop_closes_under_those_who_wait, without_memory_it_fails_and_leaks_nothing, any_schedule_keeps_the_rate)
