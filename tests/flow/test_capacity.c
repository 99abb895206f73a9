/* Tests of the capacity limiter: who holds tokens, in what order they go on, and misuse. Names in comments are those of
 * the tests in trio's test_sync.py for the same behaviour. */
#include "flow_test.h"

#define LONG COSY_S(1000)

static void numbers(const cosy_capacity_limiter *limiter, int64_t total, int64_t borrowed, size_t waiting)
{
    struct cosy_capacity_limiter_statistics statistics;
    cosy_capacity_limiter_statistics(limiter, &statistics);
    ck_assert_int_eq(statistics.total_tokens, total);
    ck_assert_int_eq(statistics.borrowed_tokens, borrowed);
    ck_assert_uint_eq(statistics.tasks_waiting, waiting);
    ck_assert_int_eq(cosy_capacity_limiter_borrowed_tokens(limiter), borrowed);
    if (total != COSY_NO_LIMIT)
        ck_assert_int_eq(cosy_capacity_limiter_available_tokens(limiter), total - borrowed);
}

/* Holds a token until it is cancelled. */
cosy_async static int hold(cosy_capacity_limiter *limiter, const char *name)
{
    int err = 0;
    COSY_CAPACITY (err, limiter) {
        say("+%s", name);
        err = cosy_sleep(LONG);
        say("-%s", name);
    }
    return err;
}

TASK_TEST(tokens_are_counted_and_their_holders_known) /* test_CapacityLimiter */
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(2);
    int a, b;
    numbers(&limiter, 2, 0, 0);
    ck_assert_int_eq(cosy_capacity_limiter_acquire(&limiter), 0);
    numbers(&limiter, 2, 1, 0);
    ck_assert(cosy_capacity_limiter_holds(&limiter, cosy_current_task()));
    ck_assert_int_eq(cosy_capacity_limiter_acquire(&limiter), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_nowait(&limiter), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of(&limiter, &a), 0);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of_nowait(&limiter, &a), -COSY_ETOOMANY);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of_nowait(&limiter, &b), -EAGAIN);
    numbers(&limiter, 2, 2, 0);
    ck_assert_int_eq(cosy_capacity_limiter_release(&limiter), 0);
    ck_assert_int_eq(cosy_capacity_limiter_release(&limiter), -COSY_ENOTLOCKED);
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, &b), -COSY_ENOTLOCKED);
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, &a), 0);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of(&limiter, NULL), -EINVAL);
    numbers(&limiter, 2, 0, 0);
    return 0;
}

TASK_TEST(without_a_limit_all_get_one) /* test_CapacityLimiter_inf */
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(COSY_NO_LIMIT);
    static char who[1000];
    for (size_t i = 0; i < sizeof who; i++)
        ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of(&limiter, &who[i * 7 % sizeof who]), 0);
    ck_assert_int_eq(cosy_capacity_limiter_available_tokens(&limiter), COSY_NO_LIMIT);
    numbers(&limiter, COSY_NO_LIMIT, 1000, 0);
    for (size_t i = 0; i < sizeof who; i++) {
        ck_assert(cosy_capacity_limiter_holds(&limiter, &who[i]));
        ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, &who[i]), 0);
        ck_assert(!cosy_capacity_limiter_holds(&limiter, &who[i]));
        for (size_t j = i + 1; j < sizeof who; j += 97)
            ck_assert(cosy_capacity_limiter_holds(&limiter, &who[j]));
    }
    return 0;
}

TASK_TEST(the_total_changes_while_it_is_used) /* test_CapacityLimiter_change_total_tokens */
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(2);
    const char *names[] = {"a", "b", "c", "d", "e"};
    cosy_task *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = cosy_create_task(hold, &limiter, names[i]);
    let_all_run(1);
    said("+a +b");
    numbers(&limiter, 2, 2, 3);
    ck_assert_int_eq(cosy_capacity_limiter_set_total_tokens(&limiter, 4), 0);
    let_all_run(1);
    said("+c +d");
    ck_assert_int_eq(cosy_capacity_limiter_set_total_tokens(&limiter, 1), 0);
    numbers(&limiter, 1, 4, 1);
    for (int i = 0; i < 3; i++) { /* fewer than are held: none is given until enough are back */
        cosy_task_cancel(tasks[i]);
        ck_assert_int_eq(cosy_await(tasks[i]), -ECANCELED);
    }
    said("-a -b -c");
    numbers(&limiter, 1, 1, 1);
    ck_assert_int_eq(cosy_capacity_limiter_set_total_tokens(&limiter, -1), -EINVAL);
    cosy_task_cancel(tasks[3]);
    let_all_run(2);
    said("-d +e");
    cosy_task_cancel(tasks[4]);
    let_all_run(2);
    said("-e");
    numbers(&limiter, 1, 0, 0);
    for (int i = 0; i < 5; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

cosy_async static int acquire_for(cosy_capacity_limiter *limiter, const char *borrower)
{
    int result = cosy_capacity_limiter_acquire_on_behalf_of(limiter, borrower);
    say("%s%s", borrower, result == 0 ? "" : result == -ECANCELED ? " cancelled" : " refused");
    return result;
}

TASK_TEST(a_borrower_waits_once) /* test_CapacityLimiter_memleak_548: nothing of a cancelled wait is left */
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(1);
    const char *a = "a", *b = "b";
    ck_assert_int_eq(acquire_for(&limiter, a), 0);
    cosy_scoped(cosy_task) waits = cosy_create_task(acquire_for, &limiter, b);
    let_all_run(1);
    ck_assert_int_eq(acquire_for(&limiter, b), -COSY_ETOOMANY); /* trio would give two tasks one token */
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ETOOMANY), "waits for"));
    ck_assert(!cosy_capacity_limiter_holds(&limiter, b));
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, b), -COSY_ENOTLOCKED);
    cosy_task_cancel(waits);
    ck_assert_int_eq(cosy_await(waits), -ECANCELED);
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, a), 0);
    ck_assert_int_eq(acquire_for(&limiter, b), 0); /* known no more as one who waits */
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, b), 0);
    said("a b refused b cancelled b");
    numbers(&limiter, 1, 0, 0);
    return 0;
}

TASK_TEST(a_freed_token_goes_to_the_first_in_line)
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(1);
    cosy_scoped(cosy_task) a = cosy_create_task(hold, &limiter, "a");
    cosy_scoped(cosy_task) b = cosy_create_task(hold, &limiter, "b");
    let_all_run(1);
    cosy_task_cancel(a);
    let_all_run(1);
    int me;
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of_nowait(&limiter, &me), -EAGAIN); /* it is b's already */
    ck_assert(cosy_capacity_limiter_holds(&limiter, b));
    let_all_run(1);
    said("+a -a +b");
    cosy_task_cancel(b);
    let_all_run(1);
    said("-b");
    return 0;
}

TASK_TEST(a_token_given_to_a_cancelled_task_goes_on)
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(1);
    ck_assert_int_eq(cosy_capacity_limiter_acquire(&limiter), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(hold, &limiter, "a");
    cosy_scoped(cosy_task) b = cosy_create_task(hold, &limiter, "b");
    let_all_run(1);
    ck_assert_int_eq(cosy_capacity_limiter_release(&limiter), 0);
    cosy_task_cancel(a); /* holds it, and has not run since */
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    let_all_run(1);
    said("+b");
    cosy_task_cancel(b);
    let_all_run(1);
    said("-b");
    numbers(&limiter, 1, 0, 0);
    return 0;
}

cosy_async static int leave_by_return(cosy_capacity_limiter *limiter)
{
    int err = 0;
    COSY_CAPACITY (err, limiter) {
        return 7;
    }
    return err;
}

TASK_TEST(a_block_gives_its_token_back_on_every_way_out)
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(1), none = {0};
    int err = 0;
    COSY_CAPACITY (err, &limiter) {
        numbers(&limiter, 1, 1, 0);
        cosy_check(err, fail_with(EIO));
        say("never");
    }
    ck_assert_int_eq(err, -EIO);
    numbers(&limiter, 1, 0, 0);
    ck_assert_int_eq(leave_by_return(&limiter), 7);
    numbers(&limiter, 1, 0, 0);
    COSY_TIMEOUT (err, COSY_US(100)) { /* no tokens at all: waits */
        COSY_CAPACITY (err, &none) {
            say("never");
        }
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    numbers(&none, 0, 0, 0);
    err = 0;
    COSY_CAPACITY (err, &limiter) {
        COSY_CAPACITY (err, &limiter) {
            say("never");
        }
    }
    ck_assert_int_eq(err, -COSY_ETOOMANY);
    numbers(&limiter, 1, 0, 0);
    return 0;
}

/* ---- outside, and in other loops ---- */

static cosy_capacity_limiter shared;
static cosy_loop *other;

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_capacity_limiter_acquire(&shared), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_nowait(&shared), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_capacity_limiter_release(&shared), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_capacity_limiter_set_total_tokens(&shared, 5), -COSY_EOTHERLOOP);
    return 0;
}

START_TEST(tokens_belong_to_one_loop_while_they_are_held)
{
    begin_test();
    shared = (cosy_capacity_limiter)COSY_CAPACITY_LIMITER(1);
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    ck_assert_int_eq(cosy_capacity_limiter_acquire(&shared), -COSY_ENOTASK);
    logged[0] = 0;
    cosy_task *tasks[2];
    tasks[0] = cosy_create_task_with((.loop = other), hold, &shared, "a");
    tasks[1] = cosy_create_task_with((.loop = other), hold, &shared, "b");
    cosy_coro *wait = cosy_call(let_all_run, 2);
    ck_assert_int_eq(cosy_run_until_complete(other, wait), 0);
    ck_assert_int_eq(cosy_run(meddle), 0);
    numbers(&shared, 1, 1, 1);
    for (int i = 0; i < 2; i++) {
        cosy_task_cancel(tasks[i]);
        ck_assert_int_eq(cosy_run_until_complete(other, tasks[i]), -ECANCELED);
        cosy_task_drop(tasks[i]);
    }
    cosy_loop_free(other);
    ck_assert_int_eq(cosy_run(leave_by_return, &shared), 7); /* idle, it may move */
    trace[0] = 0;
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(a_loop_closes_under_a_waiter)
{
    begin_test();
    int borrower;
    shared = (cosy_capacity_limiter)COSY_CAPACITY_LIMITER(1);
    ck_assert_int_eq(cosy_capacity_limiter_acquire_on_behalf_of_nowait(&shared, &borrower), 0); /* outside any loop */
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_task_drop(cosy_create_task_with((.loop = other), hold, &shared, "a"));
    cosy_coro *wait = cosy_call(let_all_run, 2);
    ck_assert_int_eq(cosy_run_until_complete(other, wait), 0);
    numbers(&shared, 1, 1, 1);
    cosy_loop_close(other);
    cosy_loop_free(other);
    logs("hold");
    numbers(&shared, 1, 1, 0);
    ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&shared, &borrower), 0);
    ck_assert_int_eq(cosy_run(leave_by_return, &shared), 7);
}
END_TEST

/* ---- faults and chance ---- */

cosy_async static int borrow_many(void)
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(100);
    static char who[40];
    int result = 0, held = 0;
    while (held < 40 && (result = cosy_capacity_limiter_acquire_on_behalf_of(&limiter, &who[held])) == 0)
        held++;
    numbers(&limiter, 100, held, 0);
    while (held-- > 0)
        ck_assert_int_eq(cosy_capacity_limiter_release_on_behalf_of(&limiter, &who[held]), 0);
    return result;
}

static int run_borrow_many(void)
{
    return cosy_run(borrow_many);
}

START_TEST(without_memory_it_fails_and_leaks_nothing)
{
    starve(run_borrow_many);
}
END_TEST

static uint64_t chance;
static unsigned random_below(unsigned limit)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % limit;
}

static int inside;

cosy_async static int client(cosy_capacity_limiter *limiter)
{
    for (int i = 0; i < 10; i++) {
        int err = 0;
        COSY_CAPACITY (err, limiter) {
            inside++;
            ck_assert_int_le(inside, cosy_capacity_limiter_borrowed_tokens(limiter));
            ck_assert_int_le(inside, 7);
            err = random_below(3) ? cosy_sleep(COSY_MS(random_below(20))) : cosy_yield();
            inside--;
        }
        if (err < 0)
            return err;
    }
    return 0;
}

cosy_async static int clients(void)
{
    cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(3);
    cosy_task *tasks[20];
    inside = 0;
    for (int i = 0; i < 20; i++)
        tasks[i] = cosy_create_task(client, &limiter);
    for (int i = 0; i < 30; i++) {
        cosy_try(cosy_sleep(COSY_MS(random_below(10))));
        cosy_task_cancel(tasks[random_below(10)]);
        ck_assert_int_eq(cosy_capacity_limiter_set_total_tokens(&limiter, 1 + random_below(7)), 0);
    }
    for (int i = 0; i < 20; i++) {
        int result = cosy_await(tasks[i]);
        ck_assert(result == 0 || (result == -ECANCELED && i < 10));
        cosy_task_drop(tasks[i]);
    }
    ck_assert_int_eq(inside, 0);
    ck_assert_int_eq(cosy_capacity_limiter_borrowed_tokens(&limiter), 0);
    ck_assert_ptr_null(limiter.table_);
    return 0;
}

START_TEST(any_schedule_keeps_the_tokens)
{
    begin_test();
    for (uint64_t seed = 1; seed <= 100; seed++) {
        chance = seed;
        ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true), clients), 0);
    }
}
END_TEST

TESTS_MAIN("capacity", tokens_are_counted_and_their_holders_known, without_a_limit_all_get_one,
           the_total_changes_while_it_is_used, a_borrower_waits_once, a_freed_token_goes_to_the_first_in_line,
           a_token_given_to_a_cancelled_task_goes_on, a_block_gives_its_token_back_on_every_way_out,
           tokens_belong_to_one_loop_while_they_are_held, a_loop_closes_under_a_waiter,
           without_memory_it_fails_and_leaks_nothing, any_schedule_keeps_the_tokens)
