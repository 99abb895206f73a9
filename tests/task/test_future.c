/* Futures: one outcome; observers told by the loop in the order of registration, never inline. */
#include "../harness/cosy_test.h"

static void note_arg(cosy_future *future, void *arg)
{
    ck_assert(cosy_future_done(future));
    note("%s", (const char *)arg);
}

static void set_result_of(void *arg)
{
    ck_assert_int_eq(cosy_future_set_result(arg, 7), 0);
}

/* ---- outcomes ---- */

ASYNC_TEST(begins_pending)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert_ptr_eq(cosy_future_loop(f), cosy_running_loop());
    ck_assert(!cosy_future_done(f) && !cosy_future_cancelled(f));
    int64_t value = 5;
    ck_assert_int_eq(cosy_future_result(f, &value), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_future_error(f), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(value, 5);
    ck_assert_str_eq(cosy_future_error_message(f), "");
    return 0;
}

ASYNC_TEST(ends_with_a_result_once)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_future_set_result(f, INT64_MAX), 0);
    ck_assert_int_eq(cosy_future_set_result(f, 1), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_future_set_error(f, EINVAL, "late"), -COSY_EINVALIDSTATE);
    ck_assert(!cosy_future_cancel(f));
    int64_t value = 0;
    ck_assert_int_eq(cosy_future_result(f, &value), 0);
    ck_assert(value == INT64_MAX);
    ck_assert_int_eq(cosy_future_result(f, NULL), 0);
    ck_assert_int_eq(cosy_future_error(f), 0);
    ck_assert(cosy_future_done(f) && !cosy_future_cancelled(f));
    ck_assert_int_eq(cosy_await(f), -EOVERFLOW); /* not an int */
    return 0;
}

ASYNC_TEST(ends_with_an_error_once)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_future_set_error(f, ENOENT, "no user %d", 7), 0);
    ck_assert_int_eq(cosy_future_set_result(f, 1), -COSY_EINVALIDSTATE);
    for (int i = 0; i < 2; i++) /* each time, not only the first */
        ck_assert_int_eq(cosy_future_result(f, NULL), -ENOENT);
    ck_assert_int_eq(cosy_future_error(f), -ENOENT);
    ck_assert_str_eq(cosy_future_error_message(f), "no user 7");
    ck_assert_int_eq(cosy_await(f), -ENOENT);
    ck_assert_str_eq(cosy_error_message(-ENOENT), "no user 7");
    return 0;
}

ASYNC_TEST(refuses_codes_that_are_none)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_future_set_error(f, 0, NULL), -EINVAL);
    ck_assert_int_eq(cosy_future_set_error(f, -EINVAL, NULL), -EINVAL);
    ck_assert(!cosy_future_done(f));
    ck_assert_int_eq(cosy_future_set_error(f, ECANCELED, NULL), 0); /* is a cancel */
    ck_assert(cosy_future_cancelled(f));
    return 0;
}

ASYNC_TEST(is_cancelled_once)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert(cosy_future_cancel(f));
    ck_assert(!cosy_future_cancel(f));
    ck_assert(cosy_future_done(f) && cosy_future_cancelled(f));
    ck_assert_int_eq(cosy_future_result(f, NULL), -ECANCELED);
    ck_assert_int_eq(cosy_future_error(f), -ECANCELED);
    ck_assert_int_eq(cosy_await(f), -ECANCELED);
    return 0;
}

/* ---- awaiting ---- */

ASYNC_TEST(a_done_one_is_awaited_without_a_turn)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_set_result(f, 3);
    struct cosy_loop_stats before, after;
    cosy_loop_get_stats(cosy_running_loop(), &before);
    ck_assert_int_eq(cosy_await(f), 3);
    cosy_loop_get_stats(cosy_running_loop(), &after);
    ck_assert(before.turns == after.turns);
    return 0;
}

ASYNC_TEST(wakes_its_waiter_with_the_result)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), set_result_of, f, NULL), 0);
    ck_assert_int_eq(cosy_await(f), 7);
    ck_assert_int_eq(cosy_await(f), 7); /* may be awaited again */
    return 0;
}

static int await_and_note(cosy_future *f, int number)
{
    int result = cosy_await(f);
    note("%d:%d", number, result);
    return 0;
}

ASYNC_TEST(wakes_waiters_and_callbacks_in_one_order)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) a = cosy_create_task(await_and_note, f, 1);
    cosy_scoped(cosy_task) b = cosy_create_task(await_and_note, f, 2);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_int_eq(cosy_future_add_done_callback(f, note_arg, TEXT("called"), NULL), 0);
    cosy_scoped(cosy_task) c = cosy_create_task(await_and_note, f, 3);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_int_eq(cosy_future_set_result(f, 5), 0);
    ck_assert_noted("");
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_noted("1:5 2:5 called 3:5");
    return cosy_gather(a, b, c);
}

static int drop_late(cosy_future *f)
{
    cosy_try(cosy_yield());
    cosy_future_drop(f);
    return cosy_future_set_result(f, 9); /* the waiter's own reference keeps it */
}

ASYNC_TEST(lives_while_it_is_awaited)
{
    cosy_future *f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) dropper = cosy_create_task(drop_late, f);
    ck_assert_int_eq(cosy_await(f), 9);
    return cosy_await(dropper);
}

/* ---- done callbacks ---- */

ASYNC_TEST(callbacks_are_queued_in_order_and_never_inline)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    for (const char *names[] = {"a", "b", "c", "a"}, **n = names; n < names + 4; n++)
        ck_assert_int_eq(cosy_future_add_done_callback(f, note_arg, TEXT(*n), NULL), 0);
    ck_assert_int_eq(cosy_future_set_result(f, 0), 0);
    ck_assert_noted("");
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_noted("a b c a");
    return 0;
}

ASYNC_TEST(a_callback_added_to_a_done_one_is_queued)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_cancel(f);
    ck_assert_int_eq(cosy_future_add_done_callback(f, note_arg, TEXT("late"), NULL), 0);
    ck_assert_noted("");
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_noted("late");
    return 0;
}

ASYNC_TEST(removal_counts_equal_registrations)
{
    static char x[] = "x", y[] = "y";
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    for (char *names[] = {x, y, x, x, y}, **n = names; n < names + 5; n++)
        ck_assert_int_eq(cosy_future_add_done_callback(f, note_arg, *n, NULL), 0);
    ck_assert_int_eq(cosy_future_remove_done_callback(f, note_arg, x), 3);
    ck_assert_int_eq(cosy_future_remove_done_callback(f, note_arg, x), 0);
    cosy_future_set_result(f, 0);
    ck_assert_int_eq(cosy_future_remove_done_callback(f, note_arg, y), 0); /* queued already */
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_noted("y y");
    return 0;
}

ASYNC_TEST(removal_of_the_only_and_of_the_last)
{
    static char x[] = "x", y[] = "y";
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_add_done_callback(f, note_arg, x, NULL);
    ck_assert_int_eq(cosy_future_remove_done_callback(f, note_arg, x), 1);
    cosy_future_add_done_callback(f, note_arg, x, NULL);
    cosy_future_add_done_callback(f, note_arg, y, NULL);
    ck_assert_int_eq(cosy_future_remove_done_callback(f, note_arg, y), 1);
    cosy_future_add_done_callback(f, note_arg, y, NULL);
    cosy_future_set_result(f, 0);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_noted("x y");
    return 0;
}

static void add_another(cosy_future *future, void *arg)
{
    note("first");
    ck_assert_int_eq(cosy_future_add_done_callback(future, note_arg, arg, NULL), 0);
    ck_assert_int_eq(cosy_future_remove_done_callback(future, add_another, arg), 0); /* not while it runs */
}

ASYNC_TEST(callbacks_may_add_and_remove_callbacks)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_add_done_callback(f, add_another, TEXT("third"), NULL);
    cosy_future_add_done_callback(f, note_arg, TEXT("second"), NULL);
    cosy_future_set_result(f, 0);
    cosy_yield();
    ck_assert_noted("first second"); /* what a callback adds waits for the next turn */
    cosy_yield();
    ck_assert_noted("third");
    return 0;
}

static void drop_it(cosy_future *future, void *arg)
{
    (void)future;
    cosy_future_drop(arg);
    note("dropped");
}

ASYNC_TEST(a_callback_may_drop_the_last_handle)
{
    cosy_future *f = cosy_future_new(NULL);
    cosy_future_add_done_callback(f, drop_it, f, NULL);
    cosy_future_add_done_callback(f, note_arg, TEXT("still there"), NULL);
    cosy_future_set_result(f, 0);
    cosy_yield();
    ck_assert_noted("dropped still there");
    return 0;
}

ASYNC_TEST(callbacks_outlive_the_handle)
{
    cosy_future *f = cosy_future_new(NULL);
    cosy_future_add_done_callback(f, note_arg, TEXT("called"), NULL);
    cosy_future_set_result(f, 0);
    cosy_future_drop(f);
    cosy_yield();
    ck_assert_noted("called");
    return 0;
}

static cosy_contextvar var = COSY_CONTEXTVAR("var", TEXT("unset"));

static void note_var(cosy_future *future, void *arg)
{
    (void)future;
    note("%s=%s", (const char *)arg, (const char *)cosy_contextvar_get(&var));
    ck_assert_int_eq(cosy_contextvar_set(&var, TEXT("changed"), NULL), 0);
}

ASYNC_TEST(each_callback_runs_in_its_context)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_contextvar_set(&var, TEXT("one"), NULL);
    cosy_future_add_done_callback(f, note_var, TEXT("a"), NULL);
    cosy_contextvar_set(&var, TEXT("two"), NULL);
    cosy_future_add_done_callback(f, note_var, TEXT("b"), NULL); /* a copy: the change of `a` is not seen */
    cosy_scoped(cosy_context) shared = cosy_context_new();
    cosy_future_add_done_callback(f, note_var, TEXT("c"), shared);
    cosy_future_add_done_callback(f, note_var, TEXT("d"), shared); /* the same: it is */
    cosy_future_set_result(f, 0);
    cosy_yield();
    ck_assert_noted("a=one b=two c=unset d=changed");
    ck_assert_str_eq(cosy_contextvar_get(&var), "two");
    return 0;
}

static void note_here(cosy_future *future, void *arg)
{
    (void)future;
    (void)arg;
    ck_assert_ptr_null(cosy_current_task());
    ck_assert_ptr_nonnull(cosy_running_loop());
    note("outside");
}

ASYNC_TEST(callbacks_run_outside_tasks)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_add_done_callback(f, note_here, NULL, NULL);
    cosy_future_set_result(f, 0);
    cosy_yield();
    ck_assert_noted("outside");
    return 0;
}

/* ---- errors that nobody sees ---- */

static void note_report(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    ck_assert_ptr_nonnull(context->future);
    ck_assert_ptr_null(context->task);
    note("%s|%s|%s", context->message, cosy_errname(context->error), context->detail ? context->detail : "");
}

ASYNC_TEST(an_unseen_error_is_reported_with_the_last_handle)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    cosy_future *f = cosy_future_new(NULL);
    cosy_future_set_error(f, EPROTO, "bad %s", "frame");
    ck_assert_ptr_eq(cosy_future_ref(f), f);
    cosy_future_drop(f);
    ck_assert_noted("");
    cosy_future_drop(f);
    ck_assert_noted("cosy: Future exception was never retrieved|EPROTO|EPROTO: bad frame");
    return 0;
}

ASYNC_TEST(a_seen_error_is_not_reported)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    for (int way = 0; way < 3; way++) {
        cosy_scoped(cosy_future) f = cosy_future_new(NULL);
        cosy_future_set_error(f, EPROTO, NULL);
        ck_assert_int_eq(way == 0   ? cosy_future_result(f, NULL)
                         : way == 1 ? cosy_future_error(f)
                                    : cosy_await(f),
                         -EPROTO);
    }
    cosy_scoped(cosy_future) cancelled = cosy_future_new(NULL);
    cosy_future_cancel(cancelled); /* a cancel is no error */
    cosy_future_drop(cosy_future_ref(cancelled));
    ck_assert_noted("");
    return 0;
}

/* ---- edges ---- */

START_TEST(needs_a_loop)
{
    ck_assert_ptr_null(cosy_future_new(NULL));
    ck_assert_int_eq(cosy_future_set_result(NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_future_result(NULL, NULL), -COSY_ENOLOOP); /* why the handle is NULL */
    ck_assert_int_eq(cosy_future_add_done_callback(NULL, note_arg, NULL, NULL), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_future_remove_done_callback(NULL, note_arg, NULL), 0);
    ck_assert(!cosy_future_cancel(NULL) && !cosy_future_done(NULL) && !cosy_future_cancelled(NULL));
    ck_assert_ptr_null(cosy_future_ref(NULL));
    cosy_future_drop(NULL);
}
END_TEST

START_TEST(outlives_its_loop)
{
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_future *f = cosy_future_new(loop), *done = cosy_future_new(loop);
    ck_assert_int_eq(cosy_future_set_result(done, 4), 0);
    ck_assert_int_eq(cosy_future_add_done_callback(done, note_arg, TEXT("never"), NULL), 0);
    cosy_loop_free(loop);
    ck_assert_int_eq(cosy_future_set_result(f, 1), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_future_set_error(f, EINVAL, NULL), -COSY_ECLOSED);
    ck_assert(!cosy_future_cancel(f));
    ck_assert_int_eq(cosy_future_add_done_callback(f, note_arg, NULL, NULL), -COSY_ECLOSED);
    int64_t value;
    ck_assert_int_eq(cosy_future_result(done, &value), 0);
    ck_assert_int_eq(value, 4);
    ck_assert_noted("");
    cosy_future_drop(f);
    cosy_future_drop(done);
}
END_TEST

ASYNC_TEST(a_tasks_outcome_is_its_own)
{
    cosy_scoped(cosy_task) t = cosy_create_task(await_and_note, (cosy_future *)NULL, 1);
    ck_assert_int_eq(cosy_future_set_result(cosy_task_future(t), 1), -EINVAL);
    ck_assert_int_eq(cosy_future_set_error(cosy_task_future(t), EINVAL, NULL), -EINVAL);
    ck_assert_int_eq(cosy_await(t), 0);
    noted[0] = '\0';
    return 0;
}

static int make_and_use(void)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    if (!f)
        return cosy_await(f);
    cosy_try(cosy_future_add_done_callback(f, note_arg, TEXT("x"), NULL));
    cosy_try(cosy_future_set_error(f, EPROTO, "a message that may be lost"));
    ck_assert_int_eq(cosy_await(f), -EPROTO);
    return cosy_yield();
}

ASYNC_TEST(lack_of_memory_is_an_error)
{
    with_each_allocation_failing(make_and_use);
    noted[0] = '\0';
    return 0;
}

COSY_TEST_MAIN("future", begins_pending, ends_with_a_result_once, ends_with_an_error_once, refuses_codes_that_are_none,
               is_cancelled_once, a_done_one_is_awaited_without_a_turn, wakes_its_waiter_with_the_result,
               wakes_waiters_and_callbacks_in_one_order, lives_while_it_is_awaited,
               callbacks_are_queued_in_order_and_never_inline, a_callback_added_to_a_done_one_is_queued,
               removal_counts_equal_registrations, removal_of_the_only_and_of_the_last,
               callbacks_may_add_and_remove_callbacks, a_callback_may_drop_the_last_handle,
               callbacks_outlive_the_handle, each_callback_runs_in_its_context, callbacks_run_outside_tasks,
               an_unseen_error_is_reported_with_the_last_handle, a_seen_error_is_not_reported, needs_a_loop,
               outlives_its_loop, a_tasks_outcome_is_its_own, lack_of_memory_is_an_error)
