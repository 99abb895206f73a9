/* Tests of trying again: how often, after what pauses, what is never tried again, and what remains of the last error.
 */
#include "flow_test.h"

static int calls;

/* Fails `failures` times, each time with another message, and then gives its argument. */
cosy_async static int flaky(int failures, int value)
{
    calls++;
    say("%d", calls);
    return calls <= failures ? cosy_fail(EIO, "failure %d", calls) : value;
}

static void begin(void)
{
    calls = 0;
    trace[0] = 0;
}

TASK_TEST(success_is_called_once)
{
    begin();
    uint64_t before = turns();
    ck_assert_int_eq(cosy_retry((), flaky(0, 7)), 7);
    ck_assert_int_eq(cosy_retry((.attempts = 3, .deadline = COSY_S(1)), flaky(0, 8)), 8);
    said("1 2");
    ck_assert_uint_eq(turns(), before);
    return 0;
}

TASK_TEST(each_attempt_evaluates_its_arguments_anew)
{
    begin();
    int argument = 0;
    ck_assert_int_eq(cosy_retry((.delay = -1), flaky(2, argument++)), 2);
    ck_assert_int_eq(argument, 3);
    said("1 2 3");
    return 0;
}

TASK_TEST(the_last_error_comes_with_its_story)
{
    begin();
    ck_assert_int_eq(cosy_retry((.attempts = 3, .delay = COSY_NS(1)), flaky(9, 0)), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "failure 3");
    said("1 2 3");
    logs("attempt 3 of 3 failed: failure 3 (EIO); no attempt is left");
    ck_assert_int_eq(cosy_retry((.attempts = 1), flaky(9, 0)), -EIO); /* not worth a line */
    said("4");
    return 0;
}

/* ---- pauses ---- */

static cosy_ns pauses[64];
static int pause_count;

static void note_pause(const struct cosy_retry_attempt *attempt)
{
    ck_assert_int_eq(attempt->error, -EIO);
    ck_assert_int_eq(attempt->number, pause_count + 1);
    ck_assert_int_eq(strncmp(attempt->message, "failure", 7), 0);
    pauses[pause_count++] = attempt->delay;
}

TASK_TEST(pauses_double_from_a_second)
{
    if (!simulated())
        return 0;
    begin();
    pause_count = 0;
    cosy_ns before = now();
    ck_assert_int_eq(cosy_retry((.on_retry = note_pause), flaky(3, 5)), 5); /* four attempts by default */
    ck_assert_int_eq(pause_count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pauses[i], COSY_S(1) << i);
    ck_assert_int_eq(now() - before, COSY_S(7));
    said("1 2 3 4");
    return 0;
}

TASK_TEST(pauses_grow_as_asked_up_to_a_limit)
{
    begin();
    pause_count = 0;
    ck_assert_int_eq(
        cosy_retry((.attempts = 6, .delay = 100, .factor = 3, .max_delay = 2000, .on_retry = note_pause), flaky(5, 5)),
        5);
    const cosy_ns expected[] = {100, 300, 900, 2000, 2000};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pauses[i], expected[i]);
    trace[0] = 0;
    return 0;
}

TASK_TEST(a_pause_of_a_lifetime_can_be_cancelled)
{
    if (!simulated()) /* a slow machine would not come to the second pause in time */
        return 0;
    begin();
    pause_count = 0;
    int err = 0;
    COSY_TIMEOUT (err, COSY_MS(1)) {
        err = cosy_retry((.attempts = 99, .delay = 1, .factor = 1e18, .on_retry = note_pause), flaky(99, 0));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_int_eq(pause_count, 2);
    ck_assert_int_eq(pauses[1], (cosy_ns)1e18);
    trace[0] = 0;
    return 0;
}

static void draw(uint64_t seed, double jitter)
{
    begin();
    pause_count = 0;
    ck_assert_int_eq(cosy_retry((.attempts = 41, .delay = 1000, .factor = 1, .jitter = jitter, .seed = seed,
                                 .quiet = true, .on_retry = note_pause),
                                flaky(40, 1)),
                     1);
    trace[0] = 0;
}

TASK_TEST(jitter_shortens_pauses_and_follows_its_seed)
{
    cosy_ns first[40], least = 1000, most = 0;
    draw(7, 1);
    memcpy(first, pauses, sizeof first);
    for (int i = 0; i < 40; i++) {
        ck_assert(first[i] >= 0 && first[i] <= 1000);
        least = first[i] < least ? first[i] : least;
        most = first[i] > most ? first[i] : most;
    }
    ck_assert(least < 200 && most > 800); /* all of the pause is left to chance */
    draw(7, 1);
    ck_assert_mem_eq(first, pauses, sizeof first);
    draw(8, 1);
    ck_assert_mem_ne(first, pauses, sizeof first);
    draw(7, 0.25);
    for (int i = 0; i < 40; i++)
        ck_assert(pauses[i] >= 750 && pauses[i] <= 1000);
    draw(0, 1); /* without a seed too */
    memcpy(first, pauses, sizeof first);
    draw(0, 1);
    ck_assert_mem_ne(first, pauses, sizeof first);
    return 0;
}

static cosy_ns drawn[2][40];

cosy_async static int draw_into(int which)
{
    draw(0, 1);
    memcpy(drawn[which], pauses, sizeof drawn[which]);
    return 0;
}

START_TEST(in_the_simulator_chance_follows_its_seed)
{
    begin_test();
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = 5), draw_into, i), 0);
    ck_assert_mem_eq(drawn[0], drawn[1], sizeof drawn[0]);
    ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = 6), draw_into, 1), 0);
    ck_assert_mem_ne(drawn[0], drawn[1], sizeof drawn[0]);
}
END_TEST

TASK_TEST(no_attempt_begins_after_the_deadline)
{
    if (!simulated())
        return 0;
    begin();
    cosy_ns before = now();
    ck_assert_int_eq(cosy_retry((.attempts = 99, .deadline = COSY_S(10)), flaky(99, 0)), -EIO);
    ck_assert_int_eq(now() - before, COSY_S(1 + 2 + 4)); /* not 8 more */
    said("1 2 3 4");
    logs("failure 4 (EIO); the deadline would pass");
    return 0;
}

/* ---- what is not tried again ---- */

static bool only_first(const struct cosy_retry_attempt *attempt)
{
    (void)cosy_fail(ERANGE, "of no importance");
    ck_assert_int_eq(attempt->delay, 0);
    return attempt->number < 2;
}

TASK_TEST(the_program_chooses_what_is_worth_it)
{
    begin();
    ck_assert_int_eq(cosy_retry((.attempts = 9, .delay = -1, .retry_if = only_first), flaky(9, 0)), -EIO);
    said("1 2");
    ck_assert_str_eq(cosy_error_message(-EIO), "failure 2"); /* whatever failed in the callback */
    return 0;
}

cosy_async static int retry_a_sleep(void)
{
    return cosy_retry((.delay = -1), (calls++, cosy_sleep(COSY_S(1000))));
}

cosy_async static int retry_slowly(void)
{
    return cosy_retry((.delay = COSY_S(1000)), flaky(9, 0));
}

TASK_TEST(a_cancel_is_not_tried_again)
{
    begin();
    cosy_scoped(cosy_task) in_call = cosy_create_task(retry_a_sleep);
    cosy_scoped(cosy_task) in_pause = cosy_create_task(retry_slowly);
    let_all_run(1);
    ck_assert_int_eq(calls, 2);
    cosy_task_cancel(in_call);
    cosy_task_cancel(in_pause);
    ck_assert_int_eq(cosy_await(in_call), -ECANCELED);
    ck_assert_int_eq(cosy_await(in_pause), -ECANCELED);
    ck_assert_int_eq(calls, 2);
    ck_assert(cosy_task_cancelled(in_call) && cosy_task_cancelled(in_pause));
    ck_assert_uint_eq(timers(), 0);
    trace[0] = 0;
    return 0;
}

cosy_async static int try_outer(void)
{
    cosy_try(cosy_retry((.attempts = 2, .delay = -1), cosy_try(flaky(9, 0)))); /* leaves the function from inside */
    return 0;
}

TASK_TEST(retries_nest_and_pass_errors_on)
{
    begin();
    ck_assert_int_eq(cosy_retry((.attempts = 2, .delay = -1), cosy_retry((.attempts = 2, .delay = -1), flaky(9, 0))),
                     -EIO);
    said("1 2 3 4");
    logs("attempt 2 of 2 failed: failure 2");
    ck_assert_int_eq(try_outer(), -EIO);
    said("5");
    int64_t wide = cosy_retry((), (int64_t)5000000000);
    ck_assert_int_eq(wide, 5000000000);
    return 0;
}

TASK_TEST(senseless_options_are_told)
{
    begin();
    ck_assert_int_eq(cosy_retry((.jitter = 1.5), flaky(0, 0)), -EINVAL);
    ck_assert_int_eq(cosy_retry((.factor = -1), flaky(0, 0)), -EINVAL);
    ck_assert_int_eq(cosy_retry((.deadline = -1), flaky(0, 0)), -EINVAL);
    ck_assert_int_eq(cosy_retry((.max_delay = -1), flaky(0, 0)), -EINVAL);
    ck_assert_int_eq(calls, 0);
    return 0;
}

START_TEST(outside_a_task_there_is_no_pause)
{
    begin_test();
    begin();
    ck_assert_int_eq(cosy_retry((), flaky(9, 0)), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_retry((), flaky(1, 3)), 3);
    logged[0] = 0;
    said("1 2");
}
END_TEST

cosy_async static int three_attempts(void)
{
    begin();
    int result = cosy_retry((.attempts = 3, .delay = COSY_US(1), .jitter = 1), flaky(2, 0));
    trace[0] = 0;
    return result == -EIO ? 0 : result;
}

static int run_three_attempts(void)
{
    return cosy_run(three_attempts);
}

START_TEST(without_memory_it_fails_and_leaks_nothing)
{
    starve(run_three_attempts);
}
END_TEST

TESTS_MAIN("retry", success_is_called_once, each_attempt_evaluates_its_arguments_anew,
           the_last_error_comes_with_its_story, pauses_double_from_a_second, pauses_grow_as_asked_up_to_a_limit,
           a_pause_of_a_lifetime_can_be_cancelled, jitter_shortens_pauses_and_follows_its_seed,
           in_the_simulator_chance_follows_its_seed, no_attempt_begins_after_the_deadline,
           the_program_chooses_what_is_worth_it, a_cancel_is_not_tried_again, retries_nest_and_pass_errors_on,
           senseless_options_are_told, outside_a_task_there_is_no_pause, without_memory_it_fails_and_leaks_nothing)
