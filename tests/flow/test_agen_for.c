/* COSY_FOR over generators and sources of one's own, and cosy_fold. */
#include "flow_test.h"

/* Emits low, low + 1, ... high - 1; tells its clean-up, which waits. */
cosy_async static int range(cosy_emitter(int) *out, int low, int high)
{
    int result = 0;
    for (int i = low; i < high && result == 0; i++)
        result = cosy_emit(out, i);
    int slept = cosy_sleep(COSY_US(10));
    say("%d%s", low, slept < 0 ? "!" : "");
    return result;
}

cosy_async static int broken(cosy_emitter(int) *out, int at)
{
    for (int i = 0; i < at; i++)
        cosy_try(cosy_emit(out, i));
    return cosy_fail(ERANGE, "broken at %d", at);
}

/* ---- ways out ---- */

TASK_TEST(all_items_and_the_end)
{
    int err = -1, sum = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 10))
        sum += x;
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(sum, 45);
    said("0");
    return 0;
}

TASK_TEST(no_items)
{
    int err = -1;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 0))
        say("%d", x);
    ck_assert_int_eq(err, 0);
    said("0");
    return 0;
}

TASK_TEST(break_closes_and_waits_for_the_cleanup)
{
    int err = -1;
    COSY_FOR (int, x, err, cosy_agen(range, 5, 10)) {
        if (x == 7)
            break;
        say("x%d", x);
    }
    say("after");
    ck_assert_int_eq(err, 0);
    said("x5 x6 5 after");
    return 0;
}

TASK_TEST(continue_goes_on)
{
    int err = -1;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 6)) {
        if (x % 2)
            continue;
        say("x%d", x);
    }
    ck_assert_int_eq(err, 0);
    said("x0 x2 x4 0");
    return 0;
}

cosy_async static int first_over(int limit)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 100))
        if (x > limit)
            return x;
    return err;
}

TASK_TEST(return_closes_and_waits_for_the_cleanup)
{
    ck_assert_int_eq(first_over(3), 4);
    said("0");
    return 0;
}

cosy_async static int leaves_by_try(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 100))
        cosy_try(x == 2 ? cosy_fail(EDOM, "two") : 0);
    return err;
}

TASK_TEST(cosy_try_closes_and_keeps_its_error)
{
    ck_assert_int_eq(leaves_by_try(), -EDOM);
    ck_assert_str_eq(cosy_error_message(-EDOM), "two");
    said("0");
    return 0;
}

TASK_TEST(goto_closes)
{
    int err = -1;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 100))
        if (x == 2)
            goto out;
    say("not here");
out:
    said("0");
    return 0;
}

TASK_TEST(check_leaves_with_the_bodys_error)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 100))
        cosy_check(err, x == 2 ? -EDOM : 0);
    ck_assert_int_eq(err, -EDOM);
    said("0");
    return 0;
}

TASK_TEST(an_error_of_the_source_ends_the_loop)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(broken, 2))
        say("x%d", x);
    ck_assert_int_eq(err, -ERANGE);
    ck_assert_str_eq(cosy_error_message(-ERANGE), "broken at 2");
    said("x0 x1");
    return 0;
}

/* ---- the error of the close ---- */

cosy_async static int bad_end(cosy_emitter(int) *out)
{
    while (cosy_emit(out, 1) == 0)
        continue;
    return cosy_fail(EIO, "flush failed");
}

TASK_TEST(an_error_of_the_close_after_break_is_the_loops)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(bad_end))
        break;
    ck_assert_int_eq(err, -EIO);
    return 0;
}

TASK_TEST(the_bodys_error_stays_when_the_close_fails_too)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(bad_end))
        cosy_check(err, -EDOM);
    ck_assert_int_eq(err, -EDOM);
    return 0;
}

cosy_async static int returns_from(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(bad_end))
        return x + 41;
    return err;
}

TASK_TEST(after_return_an_error_of_the_close_is_told)
{
    ck_assert_int_eq(returns_from(), 42);
    logs("an error occurred while closing async generator 'bad_end'");
    return 0;
}

/* ---- cancellation ---- */

cosy_async static int waits_in_the_source(cosy_emitter(int) *out)
{
    cosy_try(cosy_emit(out, 1));
    int result = cosy_sleep(COSY_S(1000));
    say("source %s", cosy_errname(result));
    return result;
}

cosy_async static int consumes(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(waits_in_the_source))
        say("x%d", x);
    return err;
}

TASK_TEST(a_cancel_in_the_source_ends_the_loop)
{
    cosy_scoped(cosy_task) task = cosy_create_task(consumes);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("x1 source ECANCELED");
    return 0;
}

cosy_async static int waits_in_the_body(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 10))
        cosy_check(err, cosy_sleep(COSY_S(1000)));
    return err;
}

TASK_TEST(a_cancel_in_the_body_closes_the_source)
{
    cosy_scoped(cosy_task) task = cosy_create_task(waits_in_the_body);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("0");
    return 0;
}

cosy_async static int slow_end(cosy_emitter(int) *out)
{
    while (cosy_emit(out, 1) == 0)
        continue;
    return cosy_sleep(COSY_MS(10));
}

cosy_async static int breaks_off(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(slow_end))
        break;
    return err;
}

cosy_async static int returns_early(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(slow_end))
        return x;
    return err;
}

TASK_TEST(a_cancel_during_the_close_is_not_lost)
{
    cosy_scoped(cosy_task) breaking = cosy_create_task(breaks_off), *returning = cosy_create_task(returns_early);
    let_all_run(1);
    cosy_task_cancel(breaking);
    cosy_task_cancel(returning);
    ck_assert_int_eq(cosy_await(breaking), -ECANCELED);
    ck_assert_int_eq(cosy_await(returning), -ECANCELED); /* at the end of its task */
    cosy_task_drop(returning);
    return 0;
}

/* ---- several ---- */

TASK_TEST(loops_inside_loops_and_one_after_the_other)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 2)) {
        int inner = 0;
        COSY_FOR (int, y, inner, cosy_agen(range, 10, 13)) {
            if (y == 12)
                break;
            say("%d-%d", x, y);
        }
        cosy_check(err, inner);
    }
    ck_assert_int_eq(err, 0);
    said("0-10 0-11 10 1-10 1-11 10 0");
    COSY_FOR (int, x, err, cosy_agen(range, 20, 21))
        say("x%d", x);
    said("x20 20");
    return 0;
}

/* A generator over a generator that it is given. */
cosy_async static int halves(cosy_emitter(double) *out, cosy_agen *numbers)
{
    int err = 0;
    COSY_FOR (int, x, err, numbers)
        cosy_check(err, cosy_emit(out, x / 2.0));
    return err;
}

TASK_TEST(generators_over_generators)
{
    int err = 0;
    cosy_scoped(cosy_agen) numbers = cosy_agen(range, 1, 100);
    COSY_FOR (double, x, err, cosy_agen(halves, numbers)) {
        if (x > 1.5)
            break;
        say("%.1f", x);
    }
    ck_assert_int_eq(err, 0);
    said("0.5 1.0 1.5 1");
    return 0;
}

cosy_async static int evens(cosy_emitter(int) *out, cosy_agen *numbers)
{
    int err = 0;
    COSY_FOR (int, x, err, numbers)
        if (x % 2 == 0) {
            cosy_check(err, cosy_emit(out, x));
        }
    return err;
}

TASK_TEST(one_that_is_made_as_an_argument_belongs_to_the_loop_that_takes_it)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(evens, cosy_agen(evens, cosy_agen(range, 0, 100)))) {
        if (x > 4)
            break;
        say("x%d", x);
    }
    ck_assert_int_eq(err, 0);
    said("x0 x2 x4 0");
    return 0;
}

TASK_TEST(a_generator_in_the_body_has_a_type_of_its_own)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 1)) {
        cosy_scoped(cosy_agen) numbers = cosy_agen(range, 1, 100);
        cosy_scoped(cosy_agen) other = cosy_agen(halves, numbers);
        double item;
        ck_assert_int_eq(cosy_anext(other, &item), 0);
        ck_assert(item == 0.5 && x == 0);
    }
    said("1 0");
    return 0;
}

TASK_TEST(a_named_one_is_closed_but_stays_the_callers)
{
    int err = 0, item;
    cosy_scoped(cosy_agen) gen = cosy_agen(range, 0, 10);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    COSY_FOR (int, x, err, gen) {
        say("x%d", x);
        if (x == 2)
            break;
    }
    ck_assert_int_eq(cosy_anext(gen, &item), -COSY_ESTOPITER);
    said("x1 x2 0");
    COSY_FOR (int, x, err, gen)
        say("x%d", x);
    ck_assert_int_eq(err, 0);
    return 0;
}

TASK_TEST(one_that_another_task_is_in_is_an_error)
{
    int err = 0, item;
    cosy_scoped(cosy_agen) gen = cosy_agen(waits_in_the_source);
    ck_assert_int_eq(cosy_anext(gen, &item), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_anext_, gen, &item, COSY_TYPE_(int));
    let_all_run(1);
    COSY_FOR (int, x, err, gen)
        say("x%d", x);
    ck_assert_int_eq(err, -COSY_ERUNNING);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("source ECANCELED");
    return 0;
}

TASK_TEST(another_type_is_an_error_of_the_loop)
{
    int err = 0;
    cosy_scoped(cosy_agen) gen = cosy_agen(range, 0, 10);
    COSY_FOR (short, x, err, gen)
        say("x%d", x);
    ck_assert_int_eq(err, -EINVAL);
    said("0");
    return 0;
}

/* ---- sources of one's own ---- */

struct counter {
    cosy_aiter iter;
    int next, last, result;
};

cosy_async static int counter_next(cosy_aiter *self, void *ret_item)
{
    struct counter *counter = (struct counter *)(void *)self;
    cosy_try(cosy_yield());
    if (counter->next > counter->last)
        return counter->result;
    *(int *)ret_item = counter->next++;
    return 0;
}

cosy_async static int counter_close(cosy_aiter *self)
{
    (void)self;
    int slept = cosy_sleep(COSY_US(10));
    say("closed%s", slept < 0 ? "!" : "");
    return 0;
}

TASK_TEST(a_source_of_ones_own_is_asked_and_closed_once)
{
    int err = 0;
    struct counter counter = {{counter_next, counter_close, sizeof(int)}, 1, 3, -COSY_ESTOPITER};
    COSY_FOR (int, x, err, &counter.iter)
        say("x%d", x);
    ck_assert_int_eq(err, 0);
    said("x1 x2 x3 closed");
    counter.next = 1;
    COSY_FOR (int, x, err, &counter.iter)
        break;
    ck_assert_int_eq(err, 0);
    said("closed");
    return 0;
}

TASK_TEST(only_stop_iteration_is_the_end)
{
    int err = 0;
    struct counter counter = {{counter_next, NULL, 0}, 1, 0, -EDOM};
    COSY_FOR (int, x, err, &counter.iter)
        say("x%d", x);
    ck_assert_int_eq(err, -EDOM);
    counter.result = 3;
    COSY_FOR (int, x, err, &counter.iter)
        say("x%d", x);
    ck_assert_int_eq(err, -EINVAL);
    counter.iter.item_size = 8;
    COSY_FOR (int, x, err, &counter.iter)
        say("x%d", x);
    ck_assert_int_eq(err, -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "COSY_FOR takes items of 4 bytes, but its source gives 8");
    return 0;
}

/* ---- fold ---- */

static int add(int a, int b)
{
    return a + b;
}

cosy_async static int each_of(cosy_emitter(int) *out, const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cosy_try(cosy_emit(out, numbers[i]));
    return 0;
}

TASK_TEST(fold_adds_items_and_nothing_is_nothing)
{
    int final = -7;
    ck_assert_int_eq(cosy_fold(&final, cosy_agen(each_of, NULL, 0), add), 0);
    ck_assert_int_eq(final, -7);
    ck_assert_int_eq(cosy_fold(&final, cosy_agen(each_of, ((int[]){5}), 1), add), 1);
    ck_assert_int_eq(final, 5);
    ck_assert_int_eq(cosy_fold(&final, cosy_agen(each_of, ((int[]){1, 2, 3}), 3), add), 3);
    ck_assert_int_eq(final, 6);
    ck_assert_int_eq(cosy_fold(&final, cosy_agen(broken, 2), add), -ERANGE);
    return 0;
}

static int loops_in_a_task(void)
{
    int err = 0;
    COSY_FOR (int, x, err, cosy_agen(range, 0, 2))
        if (x < 0)
            break;
    trace[0] = 0;
    return err;
}

static int loops_in_a_run(void)
{
    return cosy_run(loops_in_a_task);
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(loops_in_a_run);
}
END_TEST

TESTS_MAIN("agen_for", all_items_and_the_end, no_items, break_closes_and_waits_for_the_cleanup, continue_goes_on,
           return_closes_and_waits_for_the_cleanup, cosy_try_closes_and_keeps_its_error, goto_closes,
           check_leaves_with_the_bodys_error, an_error_of_the_source_ends_the_loop,
           an_error_of_the_close_after_break_is_the_loops, the_bodys_error_stays_when_the_close_fails_too,
           after_return_an_error_of_the_close_is_told, a_cancel_in_the_source_ends_the_loop,
           a_cancel_in_the_body_closes_the_source, a_cancel_during_the_close_is_not_lost,
           loops_inside_loops_and_one_after_the_other, generators_over_generators,
           one_that_is_made_as_an_argument_belongs_to_the_loop_that_takes_it, a_generator_in_the_body_has_a_type_of_its_own,
           a_named_one_is_closed_but_stays_the_callers, one_that_another_task_is_in_is_an_error,
           another_type_is_an_error_of_the_loop, a_source_of_ones_own_is_asked_and_closed_once, only_stop_iteration_is_the_end,
           fold_adds_items_and_nothing_is_nothing, no_memory_is_an_error_and_leaves_nothing)
