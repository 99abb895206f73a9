/* COSY_WITH and cosy_defer: enter, exit and deferred calls on every way out. */
#include "flow_test.h"

/* ---- a manager whose enter and exit wait ---- */

struct room {
    const char *name;
    int enter_result, exit_result;
};

cosy_async static int room_enter(struct room *room)
{
    int slept = cosy_sleep(COSY_US(10));
    say("+%s", room->name);
    return slept < 0 ? slept : room->enter_result;
}

cosy_async static int room_exit(struct room *room, int result)
{
    int slept = cosy_sleep(COSY_US(10));
    say("-%s(%s)%s", room->name, result ? cosy_errname(result) : "0", slept < 0 ? "!" : "");
    return slept < 0 ? slept : room->exit_result;
}

TASK_TEST(enter_body_exit)
{
    int err = -1;
    struct room room = {"a", 0, 0};
    COSY_WITH(err, room, &room)
    say("body");
    ck_assert_int_eq(err, 0);
    said("+a body -a(0)");
    return 0;
}

TASK_TEST(exit_sees_the_bodys_error_and_leaves_it)
{
    int err = 0;
    struct room room = {"a", 0, false};
    COSY_WITH(err, room, &room)
    {
        cosy_check(err, cosy_fail(EDOM, "mine"));
        say("not here");
    }
    ck_assert_int_eq(err, -EDOM);
    ck_assert_str_eq(cosy_error_message(-EDOM), "mine");
    said("+a -a(EDOM)");
    return 0;
}

TASK_TEST(exit_returning_true_suppresses_the_error)
{
    int err = 0;
    struct room room = {"a", 0, true};
    COSY_WITH(err, room, &room)
    cosy_check(err, -EDOM);
    ck_assert_int_eq(err, 0);
    said("+a -a(EDOM)");
    COSY_WITH(err, room, &room)
    say("body");
    ck_assert_int_eq(err, 0);
    said("+a body -a(0)");
    return 0;
}

TASK_TEST(an_error_of_exit_takes_the_place_of_the_bodys)
{
    int err = 0;
    struct room room = {"a", 0, -EIO};
    COSY_WITH(err, room, &room)
    cosy_check(err, -EDOM);
    ck_assert_int_eq(err, -EIO);
    COSY_WITH(err, room, &room)
    say("body");
    ck_assert_int_eq(err, -EIO);
    said("+a -a(EDOM) +a body -a(0)");
    return 0;
}

TASK_TEST(a_failed_enter_leaves_the_block_out_and_exit_too)
{
    int err = 0;
    struct room room = {"a", -EACCES, 0};
    COSY_WITH(err, room, &room)
    say("body");
    ck_assert_int_eq(err, -EACCES);
    said("+a");
    return 0;
}

TASK_TEST(several_exit_in_reverse_order)
{
    int err = 0;
    struct room a = {"a", 0, 0}, b = {"b", 0, 0}, c = {"c", 0, 0};
    COSY_WITH(err, room, &a)
    COSY_WITH(err, room, &b)
    COSY_WITH(err, room, &c)
    say("body");
    ck_assert_int_eq(err, 0);
    said("+a +b +c body -c(0) -b(0) -a(0)");
    COSY_WITH(err, room, &a)
    COSY_WITH(err, room, &b)
    cosy_check(err, -EDOM);
    ck_assert_int_eq(err, -EDOM);
    said("+a +b -b(EDOM) -a(EDOM)");
    b.exit_result = true;
    COSY_WITH(err, room, &a)
    COSY_WITH(err, room, &b)
    cosy_check(err, -EDOM);
    ck_assert_int_eq(err, 0);
    said("+a +b -b(EDOM) -a(0)");
    b.enter_result = -EACCES;
    COSY_WITH(err, room, &a)
    COSY_WITH(err, room, &b)
    say("body");
    ck_assert_int_eq(err, -EACCES);
    said("+a +b -a(EACCES)");
    return 0;
}

/* ---- other ways out ---- */

cosy_async static int returns_from(struct room *room, int value)
{
    int err = 0;
    COSY_WITH(err, room, room)
    return value;
    return err;
}

TASK_TEST(return_exits_and_keeps_its_value)
{
    struct room room = {"a", 0, 0};
    ck_assert_int_eq(returns_from(&room, 7), 7);
    said("+a -a(0)");
    room.exit_result = -EIO;
    ck_assert_int_eq(returns_from(&room, 7), 7);
    said("+a -a(0)");
    logs("the exit of a context manager, left by return in returns_from came to EIO");
    return 0;
}

cosy_async static int tries(struct room *room, int code)
{
    int err = 0;
    COSY_WITH(err, room, room)
    {
        cosy_try(code);
        say("goes on");
    }
    return err;
}

TASK_TEST(exit_sees_the_code_that_cosy_try_leaves_with)
{
    struct room room = {"a", 0, 0};
    ck_assert_int_eq(tries(&room, -EDOM), -EDOM);
    said("+a -a(EDOM)");
    ck_assert_int_eq(tries(&room, 0), 0);
    said("+a goes on -a(0)");
    return 0;
}

/* An error that was handled is not the block's: neither one of a callee, nor of the same function further in. */
cosy_async static int handles(struct room *room, int depth)
{
    int err = 0;
    COSY_WITH(err, room, room)
    {
        if (depth == 0)
            cosy_try(cosy_fail(EDOM, "deep"));
        (void)handles(room, depth - 1);
        return 0;
    }
    return err;
}

TASK_TEST(an_error_that_was_handled_is_not_the_blocks)
{
    struct room room = {"a", 0, 0};
    ck_assert_int_eq(handles(&room, 1), 0);
    said("+a +a -a(EDOM) -a(0)");
    ck_assert_int_eq(handles(&room, 0), -EDOM);
    said("+a -a(EDOM)");
    ck_assert_int_eq(returns_from(&room, 0), 0); /* nor an older one */
    said("+a -a(0)");
    return 0;
}

cosy_async static int tries_in_two_blocks(struct room *a, struct room *b)
{
    int err = 0;
    COSY_WITH(err, room, a)
    COSY_WITH(err, room, b)
    cosy_try(-EDOM);
    return err;
}

/* An exit that is busy with errors of its own, and lets other tasks be so, before the outer block is left. */
struct busy {
    struct room *room;
};
static int busy_enter(struct busy *busy)
{
    (void)busy;
    return 0;
}
cosy_async static int busy_exit(struct busy *busy, int result)
{
    cosy_scoped(cosy_task) other = cosy_create_task(tries, busy->room, -EIO);
    (void)tries(busy->room, -ERANGE);
    (void)cosy_await(other);
    say("busy(%s)", cosy_errname(result));
    return 0;
}

cosy_async static int tries_in_a_busy_block(struct room *a, struct room *b)
{
    int err = 0;
    struct busy busy = {b};
    COSY_WITH(err, room, a)
    COSY_WITH(err, busy, &busy)
    cosy_try(-EDOM);
    return err;
}

TASK_TEST(each_block_is_told_its_code_whatever_exits_do_between)
{
    struct room a = {"a", 0, 0}, b = {"", 0, 0};
    ck_assert_int_eq(tries_in_a_busy_block(&a, &b), -EDOM);
    ck_assert_ptr_nonnull(strstr(trace, "busy(EDOM) -a(EDOM)"));
    trace[0] = 0;
    return 0;
}

/* What cosy_check leaves an inner loop with is not what the block is left with. */
cosy_async static int checks_in_a_loop(struct room *room)
{
    int err = 0, inner = 0;
    COSY_WITH(err, room, room)
    {
        for (;;)
            cosy_check(inner, -EDOM);
        return 3;
    }
    return err;
}

TASK_TEST(an_error_that_ends_an_inner_loop_is_not_the_blocks)
{
    struct room room = {"a", 0, 0};
    ck_assert_int_eq(checks_in_a_loop(&room), 3);
    said("+a -a(0)");
    return 0;
}

cosy_async static int stays_in(struct room *room)
{
    int err = 0;
    COSY_WITH(err, room, room)
    (void)cosy_sleep(COSY_S(1000));
    return err;
}

START_TEST(a_loop_closed_under_a_block_leaves_no_trace)
{
    begin_test();
    struct room room = {"a", 0, 0};
    for (int i = 0; i < 3; i++) {
        cosy_loop *loop;
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        cosy_task *task = cosy_task_from_with((.loop = loop), cosy_call(stays_in, &room));
        ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(give_later, COSY_MS(1), 0)), 0);
        said("+a");
        cosy_loop_free(loop);
        cosy_task_drop(task);
        ck_assert_int_eq(cosy_run(tries, &room, -EDOM), -EDOM); /* on the stack that has become free */
        said("+a -a(EDOM)");
    }
    logs("Task was destroyed but it is pending");
}
END_TEST

TASK_TEST(cosy_try_leaves_several_blocks)
{
    struct room a = {"a", 0, 0}, b = {"b", 0, 0};
    ck_assert_int_eq(tries_in_two_blocks(&a, &b), -EDOM);
    said("+a +b -b(EDOM) -a(EDOM)");
    return 0;
}

TASK_TEST(break_continue_and_goto_exit_once)
{
    int err = 0;
    struct room room = {"a", 0, 0};
    COSY_WITH(err, room, &room)
    break;
    said("+a -a(0)");
    COSY_WITH(err, room, &room)
    continue;
    said("+a -a(0)");
    COSY_WITH(err, room, &room)
    goto out;
    say("not here");
out:
    said("+a -a(0)");
    for (int i = 0; i < 2; i++)
        COSY_WITH(err, room, &room)
    say("%d", i);
    said("+a 0 -a(0) +a 1 -a(0)");
    return 0;
}

/* ---- cancellation ---- */

cosy_async static int sleeps_in(struct room *room)
{
    int err = 0;
    COSY_WITH(err, room, room)
    cosy_check(err, cosy_sleep(COSY_S(1000)));
    return err;
}

TASK_TEST(a_cancel_in_the_block_exits_with_it)
{
    struct room room = {"a", 0, 0};
    cosy_scoped(cosy_task) task = cosy_create_task(sleeps_in, &room);
    while (!*trace) /* until it is in the block */
        cosy_try(cosy_sleep(COSY_MS(1)));
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("+a -a(ECANCELED)");
    return 0;
}

TASK_TEST(a_cancel_in_enter_leaves_the_block_out)
{
    struct room room = {"a", 0, 0};
    cosy_scoped(cosy_task) task = cosy_create_task(sleeps_in, &room);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("+a");
    return 0;
}

struct slow {
    int unused;
};
static int slow_enter(struct slow *slow)
{
    return slow->unused;
}
cosy_async static int slow_exit(struct slow *slow, int result)
{
    (void)slow;
    (void)result;
    return cosy_sleep(COSY_MS(10));
}

cosy_async static int falls_out(void)
{
    int err = 0;
    struct slow slow = {0};
    COSY_WITH(err, slow, &slow)
    say("body");
    return err;
}

cosy_async static int returns_out(void)
{
    int err = 0;
    struct slow slow = {0};
    COSY_WITH(err, slow, &slow)
    return 5;
    return err;
}

TASK_TEST(a_cancel_in_exit_is_not_lost)
{
    cosy_scoped(cosy_task) falling = cosy_create_task(falls_out);
    cosy_scoped(cosy_task) returning = cosy_create_task(returns_out);
    let_all_run(1);
    cosy_task_cancel(falling);
    cosy_task_cancel(returning);
    ck_assert_int_eq(cosy_await(falling), -ECANCELED);
    ck_assert_int_eq(cosy_await(returning), -ECANCELED);
    said("body");
    return 0;
}

/* ---- in a generator, and around one ---- */

cosy_async static int guarded(cosy_emitter(int) * out, struct room *room)
{
    int err = 0;
    COSY_WITH(err, room, room)
    for (int i = 0; err == 0; i++)
        err = cosy_emit(out, i);
    return err;
}

TASK_TEST(a_block_in_a_generator_is_left_by_its_close)
{
    int err = 0;
    struct room a = {"a", 0, 0}, b = {"b", 0, 0};
    COSY_WITH(err, room, &a)
    COSY_FOR(int, x, err, cosy_agen(guarded, &b))
    if (x == 2)
        break;
    ck_assert_int_eq(err, 0);
    said("+a +b -b(COSY_EGENEXIT) -a(0)");
    return 0;
}

/* ---- defer ---- */

cosy_async static int note(const char *text, int number)
{
    int slept = cosy_sleep(COSY_US(10));
    say("%s%d%s", text, number, slept < 0 ? "!" : "");
    return slept;
}

cosy_async static int defers(int result)
{
    int number = 1;
    cosy_defer(note, "first", number);
    number = 2;
    cosy_defer(note, "second", number);
    {
        cosy_defer(note, "inner", 3);
        say("block");
    }
    cosy_try(result);
    say("end");
    return 0;
}

TASK_TEST(deferred_calls_run_in_reverse_with_the_arguments_of_their_time)
{
    ck_assert_int_eq(defers(0), 0);
    said("block inner3 end second2 first1");
    ck_assert_int_eq(defers(-EDOM), -EDOM);
    said("block inner3 second2 first1");
    return 0;
}

TASK_TEST(a_loop_defers_in_each_round)
{
    for (int i = 0; i < 3; i++) {
        cosy_defer(note, "d", i);
        if (i == 1)
            continue;
        say("%d", i);
    }
    said("0 d0 d1 2 d2");
    return 0;
}

cosy_async static int sleeps_with_a_defer(void)
{
    cosy_defer(note, "cleaned", 1);
    return cosy_sleep(COSY_S(1000));
}

TASK_TEST(a_cancelled_task_runs_what_it_deferred)
{
    cosy_scoped(cosy_task) task = cosy_create_task(sleeps_with_a_defer);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("cleaned1");
    return 0;
}

cosy_async static int ends_with_a_slow_defer(void)
{
    cosy_defer(cosy_sleep, COSY_MS(10));
    return 7;
}

TASK_TEST(a_cancel_in_a_deferred_call_is_kept)
{
    cosy_scoped(cosy_task) task = cosy_create_task(ends_with_a_slow_defer);
    let_all_run(1);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    return 0;
}

TASK_TEST(an_error_of_a_deferred_call_is_told)
{
    {
        cosy_defer(fail_with, EIO);
    }
    logs("the deferred call of an_error_of_a_deferred_call_is_told_body came to EIO: as asked");
    return 0;
}

static int deferred_in_a_task(void)
{
    cosy_defer(give, 1);
    cosy_defer(fail_with, 0);
    return 0;
}

static int deferred_in_a_run(void)
{
    return cosy_run(deferred_in_a_task);
}

START_TEST(no_memory_is_told_and_leaves_nothing)
{
    starve(deferred_in_a_run);
}
END_TEST

TESTS_MAIN("with", enter_body_exit, exit_sees_the_bodys_error_and_leaves_it, exit_returning_true_suppresses_the_error,
           an_error_of_exit_takes_the_place_of_the_bodys, a_failed_enter_leaves_the_block_out_and_exit_too,
           several_exit_in_reverse_order, return_exits_and_keeps_its_value,
           exit_sees_the_code_that_cosy_try_leaves_with, an_error_that_was_handled_is_not_the_blocks,
           each_block_is_told_its_code_whatever_exits_do_between, an_error_that_ends_an_inner_loop_is_not_the_blocks,
           a_loop_closed_under_a_block_leaves_no_trace, cosy_try_leaves_several_blocks,
           break_continue_and_goto_exit_once, a_cancel_in_the_block_exits_with_it,
           a_cancel_in_enter_leaves_the_block_out, a_cancel_in_exit_is_not_lost,
           a_block_in_a_generator_is_left_by_its_close, deferred_calls_run_in_reverse_with_the_arguments_of_their_time,
           a_loop_defers_in_each_round, a_cancelled_task_runs_what_it_deferred, a_cancel_in_a_deferred_call_is_kept,
           an_error_of_a_deferred_call_is_told, no_memory_is_told_and_leaves_nothing)
