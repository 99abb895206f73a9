/* Generators that nobody ended: dropped, forgotten, or left over when the run ends. */
#include "flow_test.h"

cosy_async static int endless(cosy_emitter(int) *out, const char *name)
{
    int result;
    while ((result = cosy_emit(out, 1)) == 0)
        continue;
    int slept = cosy_sleep(COSY_MS(1));
    say("%s %s%s", name, cosy_errname(result), slept < 0 ? "!" : "");
    return result;
}

cosy_async static int failing(cosy_emitter(int) *out)
{
    (void)cosy_emit(out, 1);
    return cosy_fail(EIO, "flush failed");
}

/* ---- dropped ---- */

TASK_TEST(the_end_of_its_block_closes_and_waits)
{
    {
        int item;
        cosy_scoped(cosy_agen) gen = cosy_agen(endless, "a");
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
    }
    said("a COSY_EGENEXIT");
    return 0;
}

TASK_TEST(an_error_at_the_end_of_its_block_is_told)
{
    {
        int item;
        cosy_scoped(cosy_agen) gen = cosy_agen(failing);
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
    }
    ck_assert_ptr_nonnull(strstr(logged, "EIO: flush failed"));
    logs("an error occurred while closing async generator 'failing' (created at");
    return 0;
}

static void drop_it(void *gen)
{
    cosy_agen_drop(gen);
    say("callback");
}

TASK_TEST(dropped_in_a_callback_a_task_closes_it)
{
    int item;
    cosy_agen *gen = cosy_agen(endless, "a");
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    cosy_call_soon(loop_now(), drop_it, gen, NULL);
    for (int i = 0; i < 1000 && !strstr(trace, "EXIT"); i++)
        cosy_try(cosy_sleep(COSY_MS(1)));
    said("callback a COSY_EGENEXIT");
    return 0;
}

TASK_TEST(dropped_in_a_callback_before_and_after_its_life)
{
    int item;
    cosy_agen *fresh = cosy_agen(endless, "a"), *done = cosy_agen(failing);
    ck_assert_int_eq(cosy_anext(done, &item), 0);
    ck_assert_int_eq(cosy_aclose(done), -EIO);
    cosy_call_soon(loop_now(), drop_it, fresh, NULL);
    cosy_call_soon(loop_now(), drop_it, done, NULL);
    let_all_run(1);
    said("callback callback");
    return 0;
}

cosy_async static int waits_then_emits(cosy_emitter(int) *out)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    int result = cosy_emit(out, 1);
    say("%s", cosy_errname(result));
    return result;
}

cosy_async static int step_once(cosy_agen *gen)
{
    int item;
    return cosy_anext(gen, &item);
}

TASK_TEST(dropped_while_another_task_is_in_it_it_ends_at_its_next_emit)
{
    cosy_agen *gen = cosy_agen(waits_then_emits);
    cosy_scoped(cosy_task) task = cosy_create_task(step_once, gen);
    let_all_run(1);
    cosy_agen_drop(gen);
    ck_assert_int_eq(cosy_await(task), -COSY_ESTOPITER);
    said("COSY_EGENEXIT");
    return 0;
}

cosy_async static int drops_late(cosy_agen *borrowed)
{
    int item;
    cosy_scoped(cosy_agen) gen = borrowed;
    cosy_try(cosy_anext(gen, &item));
    return 0;
}

TASK_TEST(a_cancel_that_comes_during_the_drop_is_kept)
{
    cosy_scoped(cosy_task) task = cosy_create_task(drops_late, cosy_agen(endless, "a"));
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), 0); /* its body swallowed that one: it cleaned up and went on with its exit */
    said("a COSY_EGENEXIT!");
    return 0;
}

/* ---- shutdown ---- */

TASK_TEST(shutdown_closes_all_at_once)
{
    int item;
    cosy_scoped(cosy_agen) a = cosy_agen(endless, "a");
    cosy_scoped(cosy_agen) b = cosy_agen(endless, "b");
    cosy_scoped(cosy_agen) fresh = cosy_agen(endless, "fresh");
    ck_assert_int_eq(cosy_anext(a, &item), 0);
    ck_assert_int_eq(cosy_anext(b, &item), 0);
    cosy_ns before = now();
    ck_assert_int_eq(cosy_shutdown_asyncgens(), 0);
    if (simulated())
        ck_assert_int_lt(now() - before, COSY_US(1900)); /* one clean-up's time, not two */
    ck_assert(strcmp(trace, "a COSY_EGENEXIT b COSY_EGENEXIT") == 0 || strcmp(trace, "b COSY_EGENEXIT a COSY_EGENEXIT") == 0);
    trace[0] = 0;
    ck_assert_int_eq(cosy_anext(a, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_shutdown_asyncgens(), 0);
    return 0;
}

TASK_TEST(beginning_one_after_shutdown_is_warned_of)
{
    int item;
    ck_assert_int_eq(cosy_shutdown_asyncgens(), 0);
    cosy_scoped(cosy_agen) gen = cosy_agen(failing);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    logs("async generator 'failing' (created at");
    ck_assert_int_eq(cosy_aclose(gen), -EIO);
    return 0;
}

static int told;
static char told_text[300];

static void on_error(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    told++;
    ck_assert_int_eq(context->error, -EIO);
    snprintf(told_text, sizeof told_text, "%s", context->message);
}

TASK_TEST(errors_of_a_shutdown_go_to_the_exception_handler)
{
    int item;
    cosy_scoped(cosy_agen) a = cosy_agen(failing);
    cosy_scoped(cosy_agen) b = cosy_agen(failing);
    ck_assert_int_eq(cosy_anext(a, &item), 0);
    ck_assert_int_eq(cosy_anext(b, &item), 0);
    told = 0;
    cosy_loop_set_exception_handler(loop_now(), on_error, NULL);
    ck_assert_int_eq(cosy_shutdown_asyncgens(), 0);
    ck_assert_int_eq(told, 2);
    ck_assert_ptr_nonnull(strstr(told_text, "an error occurred while closing async generator 'failing'"));
    return 0;
}

static cosy_agen *forgotten;

static int forgets(void)
{
    int item;
    forgotten = cosy_agen(endless, "forgotten");
    return cosy_anext(forgotten, &item);
}

START_TEST(the_end_of_a_run_closes_what_is_left)
{
    begin_test();
    ck_assert_int_eq(cosy_run(forgets), 0);
    said("forgotten COSY_EGENEXIT");
    cosy_agen_drop(forgotten);
    ck_assert_str_eq(logged, "");
}
END_TEST

cosy_async static int iterates_for_long(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(endless, "inner"))
        cosy_check(err, cosy_sleep(COSY_S(1000)));
    say("%s", cosy_errname(err));
    return err;
}

static int leaves_a_task_behind(void)
{
    cosy_try(forgets());
    cosy_try(cosy_spawn(iterates_for_long));
    return cosy_yield();
}

START_TEST(tasks_are_cancelled_first_and_generators_closed_then)
{
    begin_test();
    ck_assert_int_eq(cosy_run(leaves_a_task_behind), 0);
    said("inner COSY_EGENEXIT ECANCELED forgotten COSY_EGENEXIT");
    cosy_agen_drop(forgotten);
}
END_TEST

START_TEST(dropped_between_two_runs_it_is_closed_at_the_runners_end)
{
    begin_test();
    cosy_runner *runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(runner, forgets), 0);
    cosy_agen_drop(forgotten);
    said("");
    cosy_runner_free(runner);
    said("forgotten COSY_EGENEXIT");
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- a loop that closes without a runner ---- */

static int forgets_in_a_task(void)
{
    int item;
    forgotten = cosy_agen(waits_then_emits);
    return cosy_anext(forgotten, &item);
}

START_TEST(a_loop_closed_under_a_generator_says_so)
{
    begin_test();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(forgets)), 0);
    cosy_agen *suspended = forgotten;
    cosy_task *task = cosy_task_from_with((.loop = loop), cosy_call(forgets_in_a_task));
    cosy_loop_stop(loop);
    cosy_loop_run_forever(loop);
    cosy_loop_free(loop);
    ck_assert_ptr_nonnull(strstr(logged, "async generator 'endless'"));
    ck_assert_ptr_nonnull(strstr(logged, "async generator 'cosy_agen") == NULL ? logged : NULL);
    logs("was not closed when its loop closed");
    cosy_task_drop(task);
    cosy_agen_drop(suspended);
    cosy_agen_drop(forgotten);
}
END_TEST

TESTS_MAIN("agen_end", the_end_of_its_block_closes_and_waits, an_error_at_the_end_of_its_block_is_told,
           dropped_in_a_callback_a_task_closes_it, dropped_in_a_callback_before_and_after_its_life,
           dropped_while_another_task_is_in_it_it_ends_at_its_next_emit, a_cancel_that_comes_during_the_drop_is_kept,
           shutdown_closes_all_at_once, beginning_one_after_shutdown_is_warned_of,
           errors_of_a_shutdown_go_to_the_exception_handler, the_end_of_a_run_closes_what_is_left,
           tasks_are_cancelled_first_and_generators_closed_then, dropped_between_two_runs_it_is_closed_at_the_runners_end,
           a_loop_closed_under_a_generator_says_so)
