/* Stepping generators by hand: what each step returns in which state. COSY_FOR: test_agen_for.c; ends: test_agen_end.c. */
#include "flow_test.h"

/* ---- generators ---- */

cosy_async static int three(cosy_emitter(int) *out)
{
    for (int i = 1; i <= 3; i++) {
        cosy_try(cosy_yield());
        cosy_try(cosy_emit(out, i));
    }
    return 0;
}

cosy_async static int one_then(cosy_emitter(int) *out, int result)
{
    cosy_try(cosy_emit(out, 1));
    return result < 0 && result != -COSY_ESTOPITER ? cosy_fail(result, "as asked") : result;
}

/* Notes what its first emit gave, cleans up with a wait, and returns it. */
cosy_async static int careful(cosy_emitter(int) *out)
{
    int thrown = cosy_emit(out, 1);
    int slept = cosy_sleep(COSY_US(10));
    say("%s%s", cosy_errname(thrown), slept < 0 ? " badly" : "");
    return thrown;
}

/* ---- items ---- */

TASK_TEST(items_come_in_order_and_then_the_end_for_ever)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(three);
    for (int i = 1; i <= 3; i++) {
        int item = 0;
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
        ck_assert_int_eq(item, i);
    }
    int item = 77;
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(item, 77);
    return 0;
}

TASK_TEST(nothing_runs_before_the_first_step)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(careful);
    let_all_run(2);
    struct cosy_coro_info info;
    ck_assert_int_eq(cosy_agen_info(gen, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_CREATED);
    return 0;
}

struct point {
    double x, y;
    char name[24];
};

cosy_async static int many(cosy_emitter(struct point) *out, int a, double b, const char *name, struct point p, long c, short d,
                           float e, unsigned char f, long long g)
{
    ck_assert(a == 1 && b == 2.5 && c == -7 && d == 3 && e == 0.5f && f == 200 && g == INT64_MIN && p.y == 9);
    struct point point = {.x = a, .y = b};
    strcpy(point.name, name);
    cosy_try(cosy_emit(out, point));
    return cosy_emit(out, (struct point){1, 2, "literal"});
}

TASK_TEST(arguments_and_elements_of_any_type)
{
    cosy_scoped(cosy_agen) gen =
        cosy_agen(many, 1, 2.5, "name", ((struct point){.y = 9}), -7, 3, 0.5f, 200, INT64_MIN);
    struct point item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert(item.x == 1 && item.y == 2.5);
    ck_assert_str_eq(item.name, "name");
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_str_eq(item.name, "literal");
    return 0;
}

cosy_async static int texts(cosy_emitter(const char *) *out, char *own)
{
    cosy_try(cosy_emit(out, "text"));
    return cosy_emit(out, own);
}

TASK_TEST(texts_are_pointers)
{
    char own[] = "own";
    const char *item;
    cosy_scoped(cosy_agen) gen = cosy_agen(texts, own);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_str_eq(item, "text");
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_ptr_eq(item, own);
    return 0;
}

cosy_async static int emits_for(cosy_emitter(int) *out, int depth)
{
    cosy_try(cosy_emit(out, depth));
    return depth ? emits_for(out, depth - 1) : 0;
}

TASK_TEST(a_generator_delegates_by_passing_its_emitter_on)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(emits_for, 5);
    for (int i = 5, item; i >= 0; i--) {
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
        ck_assert_int_eq(item, i);
    }
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(another_type_is_an_error_inside_that_names_both)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(three);
    double item = 0;
    ck_assert_int_eq(cosy_anext(gen, &item), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "async generator 'three' emits int, but its consumer takes double");
    cosy_scoped(cosy_agen) points = cosy_agen(many, 1, 2.5, "name", ((struct point){.y = 9}), -7, 3, 0.5f, 200, INT64_MIN);
    struct {
        char c[9];
    } other;
    ck_assert_int_eq(cosy_anext(points, &other), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL),
                     "async generator 'many' emits a struct of 40 bytes, but its consumer takes a struct of 9 bytes");
    return 0;
}

/* ---- errors ---- */

TASK_TEST(an_error_of_the_body_comes_once_with_its_message)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(one_then, -ERANGE);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_anext(gen, &item), -ERANGE);
    ck_assert_str_eq(cosy_error_message(-ERANGE), "as asked");
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(stop_iteration_from_a_body_is_a_mistake_of_its)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(one_then, -COSY_ESTOPITER);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_EINVALIDSTATE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_EINVALIDSTATE), "'one_then' returned -COSY_ESTOPITER"));
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(a_positive_result_is_the_end)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(one_then, 5);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

/* ---- asend ---- */

cosy_async static int doubling(cosy_emitter(long) *out)
{
    long value = 1, sent;
    for (;;) {
        cosy_try(cosy_emit(out, value));
        cosy_try(cosy_yield());
        int got = cosy_sent(out, &sent);
        cosy_try(got);
        value = got ? 2 * sent : -1;
    }
}

TASK_TEST(what_is_sent_can_be_asked_for_until_the_next_emit)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(doubling);
    long item;
    ck_assert_int_eq(cosy_asend(gen, NULL, &item), 0);
    ck_assert_int_eq(item, 1);
    ck_assert_int_eq(cosy_asend(gen, 100L, &item), 0);
    ck_assert_int_eq(item, 200);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(item, -1);
    ck_assert_int_eq(cosy_asend(gen, 7L, &item), 0);
    ck_assert_int_eq(item, 14);
    ck_assert_int_eq(cosy_asend(gen, NULL, &item), 0);
    ck_assert_int_eq(item, -1);
    ck_assert_int_eq(cosy_asend(gen, 7, &item), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "async generator 'doubling' was sent int, but asks for long");
    return 0;
}

TASK_TEST(a_value_to_one_that_has_not_begun_is_refused_and_it_can_still_begin)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(three);
    int item;
    ck_assert_int_eq(cosy_asend(gen, 100, &item), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "has not begun"));
    ck_assert_int_eq(cosy_asend(gen, NULL, &item), 0);
    ck_assert_int_eq(item, 1);
    return 0;
}

TASK_TEST(a_value_to_one_that_has_ended_is_the_end)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(one_then, 0);
    int item;
    ck_assert_int_eq(cosy_asend(gen, NULL, &item), 0);
    ck_assert_int_eq(cosy_asend(gen, 1, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_asend(gen, 1, &item), -COSY_ESTOPITER);
    return 0;
}

/* ---- athrow ---- */

cosy_async static int forgiving(cosy_emitter(int) *out)
{
    int thrown = cosy_emit(out, 1);
    if (thrown == -EDOM) {
        cosy_try(cosy_sleep(COSY_US(10)));
        cosy_try(cosy_emit(out, 1000));
    } else
        cosy_try(thrown);
    return 0;
}

TASK_TEST(what_is_thrown_can_be_caught_and_emitting_goes_on)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(forgiving);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), 0);
    ck_assert_int_eq(item, 1000);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(what_is_thrown_comes_back_when_nobody_catches_it)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(careful);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_athrow(gen, cosy_fail(EDOM, "mine"), &item), -EDOM);
    said("EDOM");
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(a_thrown_error_keeps_its_message)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(forgiving);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_athrow(gen, cosy_fail(ERANGE, "mine"), &item), -ERANGE);
    ck_assert_str_eq(cosy_error_message(-ERANGE), "mine");
    return 0;
}

cosy_async static int swallows(cosy_emitter(int) *out)
{
    (void)cosy_emit(out, 1);
    return 0;
}

TASK_TEST(a_body_that_swallows_what_is_thrown_and_returns_has_ended)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(swallows);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(throwing_into_one_that_has_not_begun_closes_it)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(careful);
    int item;
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), -EDOM);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(generator_exit_may_be_thrown_by_hand)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(three);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_athrow(gen, COSY_EGENEXIT, &item), -COSY_EGENEXIT);
    ck_assert_int_eq(cosy_athrow(gen, 0, &item), -EINVAL);
    return 0;
}

/* ---- aclose ---- */

TASK_TEST(close_runs_the_cleanup_which_may_wait)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(careful);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), 0);
    said("COSY_EGENEXIT");
    ck_assert_int_eq(cosy_aclose(gen), 0);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(close_before_the_beginning_and_after_the_end_does_nothing)
{
    cosy_scoped(cosy_agen) fresh = cosy_agen(careful);
    ck_assert_int_eq(cosy_aclose(fresh), 0);
    ck_assert_int_eq(cosy_aclose(fresh), 0);
    int item;
    ck_assert_int_eq(cosy_anext(fresh, &item), -COSY_ESTOPITER);
    cosy_scoped(cosy_agen) done = cosy_agen(one_then, 0);
    while (cosy_anext(done, &item) == 0)
        continue;
    ck_assert_int_eq(cosy_aclose(done), 0);
    ck_assert_int_eq(cosy_aclose(NULL), 0);
    return 0;
}

TASK_TEST(close_of_a_body_that_just_returns)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(swallows);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), 0);
    return 0;
}

cosy_async static int fails_in_cleanup(cosy_emitter(int) *out)
{
    (void)cosy_emit(out, 1);
    cosy_try(cosy_yield());
    return cosy_fail(EIO, "flush failed");
}

TASK_TEST(an_error_of_the_cleanup_is_the_closes)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(fails_in_cleanup);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "flush failed");
    ck_assert_int_eq(cosy_aclose(gen), 0);
    return 0;
}

cosy_async static int emits_again(cosy_emitter(int) *out, int how_often)
{
    int thrown = cosy_emit(out, 1);
    cosy_try(cosy_yield());
    for (int i = 0; i < how_often; i++)
        say("%s", cosy_errname(cosy_emit(out, 12)));
    say("cleaned");
    return thrown;
}

TASK_TEST(emitting_during_close_is_an_error_and_the_body_still_ends)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(emits_again, 1);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), -COSY_EIGNOREDCLOSE);
    said("COSY_EIGNOREDCLOSE cleaned");
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_EIGNOREDCLOSE), "'emits_again' emitted while it was being closed"));
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    ck_assert_int_eq(cosy_aclose(gen), 0);
    return 0;
}

TASK_TEST(a_body_that_never_stops_emitting_is_left_where_it_stands)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(emits_again, 1000000);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), -COSY_EIGNOREDCLOSE);
    said("COSY_EIGNOREDCLOSE");
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

/* ---- two at once ---- */

cosy_async static int slow(cosy_emitter(int) *out)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return cosy_emit(out, 1);
}

cosy_async static int step_once(cosy_agen *gen)
{
    int item = 0, result = cosy_anext(gen, &item);
    return result < 0 ? result : item;
}

TASK_TEST(a_second_step_at_once_is_refused)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(slow);
    cosy_scoped(cosy_task) task = cosy_create_task(step_once, gen);
    let_all_run(1);
    int item;
    struct cosy_coro_info info;
    cosy_agen_info(gen, &info);
    ck_assert_int_eq(info.state, COSY_CORO_RUNNING);
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ERUNNING);
    ck_assert_str_eq(cosy_error_message(-COSY_ERUNNING), "cosy_anext: async generator 'slow' is already running");
    ck_assert_int_eq(cosy_asend(gen, 1, &item), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_athrow(gen, EDOM, &item), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_aclose(gen), -COSY_ERUNNING);
    ck_assert_str_eq(cosy_error_message(-COSY_ERUNNING), "cosy_aclose: async generator 'slow' is already running");
    ck_assert_int_eq(cosy_await(task), 1);
    return 0;
}

static cosy_agen *itself;

cosy_async static int steps_itself(cosy_emitter(int) *out)
{
    int item;
    cosy_try(cosy_anext(itself, &item));
    return cosy_emit(out, 1);
}

TASK_TEST(a_body_cannot_step_itself)
{
    cosy_scoped(cosy_agen) gen = itself = cosy_agen(steps_itself);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ERUNNING);
    return 0;
}

cosy_async static int emit_for_another(cosy_emitter(int) *out)
{
    return cosy_emit(out, 1);
}

cosy_async static int lends_its_emitter(cosy_emitter(int) *out)
{
    cosy_scoped(cosy_task) task = cosy_create_task(emit_for_another, out);
    return cosy_await(task);
}

TASK_TEST(an_emit_from_another_stack_is_refused)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(lends_its_emitter);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_EINVALIDSTATE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_EINVALIDSTATE), "outside the body"));
    return 0;
}

/* ---- waits and cancellation inside ---- */

cosy_async static int who_am_i(cosy_emitter(cosy_task *) *out)
{
    cosy_try(cosy_emit(out, cosy_current_task()));
    cosy_try(cosy_yield());
    return cosy_emit(out, cosy_current_task());
}

cosy_async static int second_item_is_me(cosy_agen *gen)
{
    cosy_task *task;
    cosy_try(cosy_anext(gen, &task));
    return task == cosy_current_task();
}

TASK_TEST(the_body_runs_in_whichever_task_steps_it)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(who_am_i);
    cosy_task *task;
    ck_assert_int_eq(cosy_anext(gen, &task), 0);
    ck_assert_ptr_eq(task, cosy_current_task());
    cosy_scoped(cosy_task) other = cosy_create_task(second_item_is_me, gen);
    ck_assert_int_eq(cosy_await(other), 1);
    return 0;
}

cosy_async static int sleeps(cosy_emitter(int) *out)
{
    cosy_try(cosy_emit(out, 1));
    int result = cosy_sleep(COSY_S(1000));
    say("%s", cosy_errname(result));
    int again = cosy_sleep(COSY_US(10));
    say("%d", again);
    return result;
}

TASK_TEST(a_cancel_reaches_the_wait_inside)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(sleeps);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(step_once, gen);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert(cosy_task_cancelled(task));
    said("ECANCELED 0");
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    return 0;
}

TASK_TEST(a_timeout_ends_the_wait_inside)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(sleeps);
    int item, err = 0;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    COSY_TIMEOUT (err, COSY_MS(1))
        cosy_check(err, cosy_anext(gen, &item));
    ck_assert_int_eq(err, -ETIMEDOUT);
    said("ECANCELED 0");
    return 0;
}

/* A call whose arguments step generators, and one inside whose arguments emit. */
cosy_async static int sum(int a, int b, int c)
{
    return a + b + c;
}

cosy_async static int emitting_in_a_call(cosy_emitter(int) *out)
{
    cosy_coro *coro = cosy_call(sum, cosy_emit(out, 1), cosy_yield(), 10 + cosy_emit(out, 2));
    return cosy_emit(out, cosy_await(coro));
}

TASK_TEST(calls_in_the_making_stay_with_their_stack)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(emitting_in_a_call);
    cosy_coro *coro = cosy_call(sum, step_once(gen), step_once(gen), step_once(gen));
    ck_assert_int_eq(cosy_await(coro), 1 + 2 + 10); /* in whichever order arguments are evaluated */
    return 0;
}

cosy_async static int left_in_the_middle(cosy_emitter(int) *out)
{
    cosy_coro *coro = cosy_call(sum, 1, 2, cosy_try(cosy_emit(out, 1)));
    return cosy_await(coro);
}

TASK_TEST(a_call_left_in_the_middle_by_a_close_is_dropped)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(left_in_the_middle);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    ck_assert_int_eq(cosy_aclose(gen), 0);
    return 0;
}

/* A coroutine driven by hand that iterates: what suspends inside the generator suspends it as a whole. */
cosy_async static int suspends(cosy_emitter(int) *out)
{
    int64_t sent;
    cosy_try(cosy_suspend(41, &sent));
    cosy_try(cosy_emit(out, (int)sent));
    cosy_try(cosy_suspend(42, NULL));
    return 0;
}

cosy_async static int iterates(void)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(suspends);
    int first = 0, second = 0;
    cosy_try(cosy_anext(gen, &first));
    int end = cosy_anext(gen, &second);
    return end == -COSY_ESTOPITER ? first : -1;
}

TASK_TEST(a_driven_coroutine_suspends_through_a_generator)
{
    cosy_coro *coro = cosy_call(iterates);
    int64_t value;
    ck_assert_int_eq(cosy_coro_send(coro, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 41);
    ck_assert_int_eq(cosy_coro_send(coro, 7, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 42);
    ck_assert_int_eq(cosy_coro_send(coro, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 7);
    return 0;
}

cosy_async static int drives(cosy_emitter(int) *out)
{
    cosy_coro *coro = cosy_call(iterates);
    int64_t value;
    int result = cosy_coro_send(coro, 0, &value);
    for (; result == COSY_YIELDED; result = cosy_coro_send(coro, 5, &value))
        cosy_try(cosy_emit(out, (int)value));
    cosy_try(result);
    return cosy_emit(out, (int)value);
}

TASK_TEST(a_generator_drives_a_coroutine_that_iterates)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(drives);
    static const int expected[] = {41, 42, 5};
    for (int i = 0, item; i < 3; i++) {
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
        ck_assert_int_eq(item, expected[i]);
    }
    return 0;
}

/* ---- who looks on ---- */

static char *tree_text;
static size_t tree_size;

cosy_async static int prints_the_tree(void)
{
    FILE *out = open_memstream(&tree_text, &tree_size);
    cosy_print_tasks(out);
    fclose(out);
    return 0;
}

static int looks_at_the_tree(void)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(sleeps);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(step_once, gen);
    let_all_run(1);
    prints_the_tree();
    const char *inside = strstr(tree_text, "at sleeps"), *outside = strstr(tree_text, "at step_once");
    if (inside) /* with libdw */
        ck_assert_msg(outside != NULL && inside < outside, "%s", tree_text);
    ck_assert_ptr_nonnull(strstr(tree_text, "sleeps"));
    free(tree_text);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("ECANCELED 0");
    return 0;
}

START_TEST(the_task_tree_shows_the_generator_and_its_consumer)
{
    begin_test();
    ck_assert_int_eq(cosy_run(looks_at_the_tree), 0); /* the unwinder keeps a descriptor */
}
END_TEST

TASK_TEST(info_tells_name_place_and_what_it_awaits)
{
    cosy_scoped(cosy_agen) gen = cosy_agen(lends_its_emitter);
    cosy_scoped(cosy_task) task = cosy_create_task(step_once, gen);
    struct cosy_coro_info info;
    ck_assert_int_eq(cosy_agen_info(gen, &info), 0);
    ck_assert_str_eq(info.name, "lends_its_emitter");
    ck_assert_ptr_nonnull(strstr(info.file, "test_agen.c"));
    ck_assert_ptr_null(info.awaiting);
    let_all_run(1);
    ck_assert_int_eq(cosy_agen_info(gen, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_RUNNING);
    ck_assert_ptr_nonnull(info.awaiting);
    ck_assert_int_eq(cosy_await(task), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_agen_info(gen, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_CLOSED);
    ck_assert_int_eq(cosy_agen_info(NULL, &info), -EINVAL);
    return 0;
}

/* ---- misuse, other loops, no memory ---- */

START_TEST(outside_a_task_a_step_is_an_error)
{
    begin_test();
    cosy_agen *gen = cosy_agen(three);
    int item;
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ENOTASK);
    logs("cosy_anext was called outside a task");
    cosy_agen_drop(gen);
}
END_TEST

static cosy_agen *begun_elsewhere;

static int begin_there(void)
{
    int item;
    begun_elsewhere = cosy_agen(careful);
    return cosy_anext(begun_elsewhere, &item);
}

static int step_here(void)
{
    int item;
    int result = cosy_anext(begun_elsewhere, &item);
    int closed = cosy_aclose(begun_elsewhere);
    return result == -COSY_EOTHERLOOP && closed == -COSY_EOTHERLOOP ? 0 : -EINVAL;
}

START_TEST(a_step_from_another_loop_is_refused)
{
    begin_test();
    cosy_runner *first = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(first, begin_there), 0);
    ck_assert_int_eq(cosy_run(step_here), 0);
    cosy_runner_free(first); /* closes it */
    said("COSY_EGENEXIT");
    cosy_agen_drop(begun_elsewhere);
}
END_TEST

static int generators_in_a_task(void)
{
    int item, result;
    cosy_scoped(cosy_agen) gen = cosy_agen(three);
    while ((result = cosy_anext(gen, &item)) == 0)
        continue;
    if (result != -COSY_ESTOPITER)
        return result;
    cosy_scoped(cosy_agen) closed = cosy_agen(swallows);
    cosy_try(cosy_anext(closed, &item));
    return cosy_aclose(closed);
}

static int generators_in_a_run(void)
{
    return cosy_run(generators_in_a_task);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(generators_in_a_run);
}
END_TEST

static int a_thousand(void)
{
    int item;
    for (int i = 0; i < 1000; i++) {
        cosy_scoped(cosy_agen) gen = cosy_agen(three);
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
    }
    return 0;
}

TASK_TEST(an_item_costs_no_allocation_and_a_generator_one)
{
    ck_assert_int_eq(a_thousand(), 0);
    cosy_scoped(cosy_agen) gen = cosy_agen(doubling);
    long item;
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    cosy_heap_fail_nth(1000000, false);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(cosy_anext(gen, &item), 0);
    long items = cosy_heap_counted();
    a_thousand();
    long generators = cosy_heap_counted() - items;
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(items, 0);
    ck_assert_int_eq(generators, 1000);
    return 0;
}

TESTS_MAIN("agen", items_come_in_order_and_then_the_end_for_ever, nothing_runs_before_the_first_step,
           arguments_and_elements_of_any_type, texts_are_pointers, a_generator_delegates_by_passing_its_emitter_on,
           another_type_is_an_error_inside_that_names_both, an_error_of_the_body_comes_once_with_its_message,
           stop_iteration_from_a_body_is_a_mistake_of_its, a_positive_result_is_the_end,
           what_is_sent_can_be_asked_for_until_the_next_emit,
           a_value_to_one_that_has_not_begun_is_refused_and_it_can_still_begin, a_value_to_one_that_has_ended_is_the_end,
           what_is_thrown_can_be_caught_and_emitting_goes_on, what_is_thrown_comes_back_when_nobody_catches_it,
           a_thrown_error_keeps_its_message, a_body_that_swallows_what_is_thrown_and_returns_has_ended,
           throwing_into_one_that_has_not_begun_closes_it, generator_exit_may_be_thrown_by_hand,
           close_runs_the_cleanup_which_may_wait, close_before_the_beginning_and_after_the_end_does_nothing,
           close_of_a_body_that_just_returns, an_error_of_the_cleanup_is_the_closes,
           emitting_during_close_is_an_error_and_the_body_still_ends,
           a_body_that_never_stops_emitting_is_left_where_it_stands, a_second_step_at_once_is_refused,
           a_body_cannot_step_itself, an_emit_from_another_stack_is_refused, the_body_runs_in_whichever_task_steps_it,
           a_cancel_reaches_the_wait_inside, a_timeout_ends_the_wait_inside, calls_in_the_making_stay_with_their_stack,
           a_call_left_in_the_middle_by_a_close_is_dropped, a_driven_coroutine_suspends_through_a_generator,
           a_generator_drives_a_coroutine_that_iterates, the_task_tree_shows_the_generator_and_its_consumer,
           info_tells_name_place_and_what_it_awaits, outside_a_task_a_step_is_an_error, a_step_from_another_loop_is_refused,
           no_memory_is_an_error_and_leaves_nothing, an_item_costs_no_allocation_and_a_generator_one)
