/* Cancellation, after asyncio's counted cancel: delivered once, at the present wait or the next. */
#include "../harness/cosy_test.h"

static int give(int value)
{
    return value;
}

static int note_body(void)
{
    note("body");
    return 0;
}

static int wait_for_ever(void)
{
    int result = cosy_sleep(COSY_NEVER);
    note("%s", result == -ECANCELED ? "cancelled" : "woken");
    return result;
}

/* ---- when ---- */

ASYNC_TEST(before_the_first_step_the_body_never_runs)
{
    cosy_scoped(cosy_task) t = cosy_create_task(note_body);
    ck_assert(cosy_task_cancel(t));
    ck_assert(!cosy_task_done(t)); /* it ends in its turn */
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert(cosy_task_done(t) && cosy_task_cancelled(t));
    ck_assert_noted("");
    return 0;
}

static int take_block(void *block)
{
    (void)block;
    note("body");
    return 0;
}

/* What was captured must be given back: the leak checkers look. */
ASYNC_TEST(before_the_first_step_arguments_are_given_back)
{
    int big[100] = {0};
    for (int i = 0; i < 3; i++) {
        cosy_coro *c = i == 0   ? cosy_call(give, 1)
                       : i == 1 ? cosy_call(note_body)
                                : cosy_call_block(take_block, big, sizeof big);
        cosy_scoped(cosy_task) t = cosy_task_from(c);
        cosy_task_cancel(t);
        ck_assert_int_eq(cosy_await(t), -ECANCELED);
    }
    ck_assert_noted("");
    return 0;
}

ASYNC_TEST(at_a_sleep)
{
    cosy_scoped(cosy_task) t = cosy_create_task(wait_for_ever);
    cosy_try(cosy_yield());
    ck_assert(cosy_task_cancel(t));
    ck_assert_noted("");
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_noted("cancelled");
    return 0;
}

ASYNC_TEST(of_oneself_meets_the_next_wait)
{
    ck_assert(cosy_task_cancel(cosy_current_task()));
    ck_assert_int_eq(cosy_task_cancelling(cosy_current_task()), 1);
    ck_assert_int_eq(cosy_sleep(COSY_S(1000)), -ECANCELED);
    ck_assert_int_eq(cosy_yield(), 0); /* once */
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    return 0;
}

ASYNC_TEST(a_done_future_is_no_wait)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_set_result(f, 4);
    cosy_task_cancel(cosy_current_task());
    ck_assert_int_eq(cosy_await(f), 4);
    ck_assert_int_eq(cosy_yield(), -ECANCELED);
    return 0;
}

static int await_future(cosy_future *f)
{
    int result = cosy_await(f);
    note("%d", result);
    return result;
}

/* The result is lost, as in asyncio: the wait had not returned yet. */
ASYNC_TEST(after_the_awaited_future_completed_its_result_is_lost)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task(await_future, f);
    cosy_try(cosy_yield());
    cosy_future_set_result(f, 7);
    ck_assert(cosy_task_cancel(t));
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert(cosy_task_cancelled(t) && !cosy_future_cancelled(f));
    ck_assert_noted("-125");
    return 0;
}

ASYNC_TEST(at_a_yield)
{
    cosy_scoped(cosy_task) t = cosy_create_task(cosy_yield);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(t));
    ck_assert(cosy_task_cancel(t));
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    return 0;
}

static int cancel_self_and_return(int value)
{
    cosy_task_cancel(cosy_current_task());
    return value;
}

ASYNC_TEST(in_the_final_step_it_ends_cancelled)
{
    cosy_scoped(cosy_task) well = cosy_create_task(cancel_self_and_return, 5);
    ck_assert_int_eq(cosy_await(well), -ECANCELED);
    ck_assert(cosy_task_cancelled(well));
    cosy_scoped(cosy_task) badly = cosy_create_task(cancel_self_and_return, -EPROTO); /* an error of its own wins */
    ck_assert_int_eq(cosy_await(badly), -EPROTO);
    ck_assert(!cosy_task_cancelled(badly));
    return 0;
}

ASYNC_TEST(returning_the_code_is_being_cancelled)
{
    cosy_scoped(cosy_task) t = cosy_create_task(give, -ECANCELED);
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert(cosy_task_cancelled(t));
    ck_assert_int_eq(cosy_task_cancelling(t), 0);
    return 0;
}

ASYNC_TEST(of_a_done_task_does_nothing)
{
    cosy_scoped(cosy_task) t = cosy_create_task(give, 3);
    ck_assert_int_eq(cosy_await(t), 3);
    ck_assert(!cosy_task_cancel(t));
    ck_assert_int_eq(cosy_task_cancelling(t), 0);
    ck_assert_int_eq(cosy_await(t), 3);
    ck_assert(!cosy_task_cancel(NULL));
    return 0;
}

/* ---- what it does to the one who is cancelled ---- */

static int swallow_once(void)
{
    int first = cosy_sleep(COSY_NEVER);
    note("first:%d", first);
    int second = cosy_sleep(COSY_MS(1));
    note("second:%d", second);
    return 6;
}

ASYNC_TEST(may_be_swallowed)
{
    cosy_scoped(cosy_task) t = cosy_create_task(swallow_once);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    ck_assert_int_eq(cosy_await(t), 6);
    ck_assert(!cosy_task_cancelled(t));
    ck_assert_int_eq(cosy_task_cancelling(t), 1);
    ck_assert_noted("first:-125 second:0");
    return 0;
}

static int clean_up_slowly(void)
{
    int result = cosy_sleep(COSY_NEVER);
    for (int i = 0; i < 3; i++)
        cosy_try(cosy_sleep(COSY_US(100)));
    note("clean");
    return result;
}

ASYNC_TEST(cleanup_may_wait)
{
    cosy_scoped(cosy_task) t = cosy_create_task(clean_up_slowly);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_noted("clean");
    return 0;
}

ASYNC_TEST(again_during_cleanup)
{
    cosy_scoped(cosy_task) t = cosy_create_task(clean_up_slowly);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    cosy_try(cosy_yield());
    ck_assert(cosy_task_cancel(t));
    ck_assert_int_eq(cosy_task_cancelling(t), 2);
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_noted("");
    return 0;
}

static int fail_when_cancelled(void)
{
    int result = cosy_sleep(COSY_NEVER);
    return result == -ECANCELED ? cosy_fail(EPROTO, "in cleanup") : result;
}

ASYNC_TEST(may_become_an_error)
{
    cosy_scoped(cosy_task) t = cosy_create_task(fail_when_cancelled);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    ck_assert_int_eq(cosy_await(t), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "in cleanup");
    ck_assert(!cosy_task_cancelled(t));
    return 0;
}

/* ---- counting ---- */

ASYNC_TEST(requests_are_counted)
{
    cosy_task *me = cosy_current_task();
    for (int i = 1; i <= 3; i++) {
        ck_assert(cosy_task_cancel(me));
        ck_assert_int_eq(cosy_task_cancelling(me), i);
    }
    ck_assert_int_eq(cosy_yield(), -ECANCELED); /* three requests, one delivery */
    ck_assert_int_eq(cosy_yield(), 0);
    for (int i = 2; i >= 0; i--)
        ck_assert_int_eq(cosy_task_uncancel(me), i);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    ck_assert_int_eq(cosy_task_cancelling(NULL), 0);
    ck_assert_int_eq(cosy_task_uncancel(NULL), -EINVAL);
    return 0;
}

ASYNC_TEST(the_last_uncancel_drops_an_undelivered_cancel)
{
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_task_uncancel(me), 1);
    ck_assert_int_eq(cosy_yield(), -ECANCELED); /* one was still open */
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_task_uncancel(me), 1);
    ck_assert_int_eq(cosy_task_uncancel(me), 0);
    ck_assert_int_eq(cosy_yield(), 0);
    return 0;
}

ASYNC_TEST(uncancel_before_the_first_step_lets_it_run)
{
    cosy_scoped(cosy_task) t = cosy_create_task(note_body);
    cosy_task_cancel(t);
    ck_assert_int_eq(cosy_task_uncancel(t), 0);
    ck_assert_int_eq(cosy_await(t), 0);
    ck_assert_noted("body");
    return 0;
}

/* ---- chains ---- */

static int await_task(cosy_task *t)
{
    int result = cosy_await(t);
    note("outer:%d", result);
    return result;
}

ASYNC_TEST(is_passed_on_to_the_awaited_task)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(wait_for_ever);
    cosy_scoped(cosy_task) outer = cosy_create_task(await_task, inner);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    ck_assert(cosy_task_cancel_with(outer, "enough"));
    ck_assert_int_eq(cosy_task_cancelling(inner), 1);
    ck_assert_str_eq(cosy_task_cancel_reason(inner), "enough");
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    ck_assert(cosy_task_cancelled(inner) && cosy_task_cancelled(outer));
    ck_assert_noted("cancelled outer:-125");
    return 0;
}

ASYNC_TEST(that_the_awaited_task_swallows_gives_its_result)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(swallow_once);
    cosy_scoped(cosy_task) outer = cosy_create_task(await_task, inner);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    cosy_task_cancel(outer);
    ck_assert_int_eq(cosy_await(outer), 6);
    ck_assert_noted("first:-125 second:0 outer:6");
    return 0;
}

ASYNC_TEST(is_passed_on_to_the_awaited_future)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task(await_future, f);
    cosy_scoped(cosy_task) sibling = cosy_create_task(await_future, f);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    ck_assert(cosy_future_cancelled(f)); /* and with it whoever else waits for it */
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_int_eq(cosy_await(sibling), -ECANCELED);
    noted[0] = '\0';
    return 0;
}

/* Requested while running, it meets a wait for a task: that one is cancelled. */
static int cancel_self_and_await(cosy_task *t)
{
    cosy_task_cancel(cosy_current_task());
    return cosy_await(t);
}

ASYNC_TEST(requested_while_running_is_passed_on_too)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(wait_for_ever);
    cosy_scoped(cosy_task) outer = cosy_create_task(cancel_self_and_await, inner);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED);
    ck_assert(cosy_task_cancelled(inner));
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(waiters_of_a_cancelled_task_are_not_cancelled)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(wait_for_ever);
    cosy_scoped(cosy_task) outer = cosy_create_task(await_task, inner);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    cosy_task_cancel(inner);
    ck_assert_int_eq(cosy_await(outer), -ECANCELED); /* it passed the code on, so it ends cancelled */
    ck_assert_int_eq(cosy_task_cancelling(outer), 0);
    ck_assert_noted("cancelled outer:-125");
    return 0;
}

/* ---- reasons ---- */

ASYNC_TEST(reason_reaches_the_awaiter)
{
    cosy_scoped(cosy_task) t = cosy_create_task(wait_for_ever);
    ck_assert_str_eq(cosy_task_cancel_reason(t), "");
    cosy_try(cosy_yield());
    char reason[] = "over budget";
    ck_assert(cosy_task_cancel_with(t, reason));
    reason[0] = 'X'; /* it was copied */
    ck_assert_str_eq(cosy_task_cancel_reason(t), "over budget");
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "over budget");
    ck_assert_str_eq(cosy_task_cancel_reason(NULL), "");
    noted[0] = '\0';
    return 0;
}

static int await_silently(cosy_task *other)
{
    return cosy_await(other);
}

static int await_and_note_place(cosy_task *other)
{
    cosy_try(cosy_await(other));
    return 0;
}

static void print_cancel(FILE *stream)
{
    cosy_print_error(stream, -ECANCELED);
}

/* From the one that was cancelled through any number that await each other: the code is passed on, and with it why. */
ASYNC_TEST(reason_travels_along_a_chain_of_awaits)
{
    for (int noting = 0; noting < 2; noting++) {
        cosy_scoped(cosy_task) first = cosy_create_task(wait_for_ever);
        cosy_scoped(cosy_task) second = cosy_create_task(noting ? await_and_note_place : await_silently, first);
        cosy_scoped(cosy_task) third = cosy_create_task(await_silently, second);
        cosy_scoped(cosy_task) last = cosy_create_task(noting ? await_and_note_place : await_silently, third);
        cosy_task_set_name(first, "first");
        cosy_task_set_name(last, "last");
        for (int i = 0; i < 4; i++)
            cosy_try(cosy_yield());
        ck_assert(cosy_task_cancel_with(first, "over budget"));
        ck_assert_int_eq(cosy_await(last), -ECANCELED);
        ck_assert_str_eq(cosy_error_message(-ECANCELED), "over budget");
        ck_assert_str_eq(cosy_task_cancel_reason(last), ""); /* nobody asked it to stop */
        ck_assert_str_eq(cosy_future_error_message(cosy_task_future(last)), "over budget");
        ck_assert(cosy_task_cancelled(second) && cosy_task_cancelled(third) && cosy_task_cancelled(last));
        char *story = written_by(print_cancel);
        ck_assert_contains(story, "task 'last'");
        ck_assert_contains(story, "task 'first'");
        free(story);
    }
    noted[0] = '\0';
    return 0;
}

static int outlive_another(cosy_task *other)
{
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "long ago");
    cosy_try(cosy_sleep(COSY_NEVER));
    return 0;
}

/* A task that went on after a cancel came by, and is then cancelled itself, tells its own reason or none. */
ASYNC_TEST(reason_is_not_an_older_one)
{
    for (int plainly = 0; plainly < 2; plainly++) {
        cosy_scoped(cosy_task) other = cosy_create_task(wait_for_ever);
        cosy_scoped(cosy_task) t = cosy_create_task(outlive_another, other);
        cosy_scoped(cosy_task) awaiter = cosy_create_task(await_silently, t);
        cosy_try(cosy_yield());
        cosy_task_cancel_with(other, "long ago");
        for (int i = 0; i < 4; i++)
            cosy_try(cosy_yield());
        cosy_task_cancel_with(t, plainly ? NULL : "just now");
        ck_assert_int_eq(cosy_await(awaiter), -ECANCELED);
        ck_assert_str_eq(cosy_error_message(-ECANCELED), plainly ? "" : "just now");
        cosy_fail(EINVAL, "something else");
    }
    noted[0] = '\0';
    return 0;
}

/* A task's cancel goes on to the future that it awaits, and to whoever else awaits that one. */
ASYNC_TEST(reason_goes_with_a_future)
{
    cosy_scoped(cosy_future) future = cosy_future_new(NULL);
    cosy_scoped(cosy_task) one = cosy_create_task(await_future, future);
    cosy_scoped(cosy_task) other = cosy_create_task(await_future, future);
    cosy_try(cosy_yield());
    cosy_task_cancel_with(one, "over budget");
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "over budget");
    ck_assert_str_eq(cosy_future_error_message(future), "over budget");
    cosy_scoped(cosy_future) told = cosy_future_new(NULL);
    ck_assert_int_eq(cosy_future_set_error(told, ECANCELED, "no %s", "more"), 0);
    ck_assert(cosy_future_cancelled(told));
    ck_assert_int_eq(cosy_await(told), -ECANCELED);
    ck_assert_str_eq(cosy_error_message(-ECANCELED), "no more");
    return 0;
}

static void cancel_plainly(void *arg)
{
    cosy_task_cancel(arg);
}

ASYNC_TEST(reason_is_of_the_last_cancel)
{
    cosy_scoped(cosy_task) t = cosy_create_task(wait_for_ever);
    cosy_task_cancel_with(t, "one");
    cosy_task_cancel_with(t, "two");
    ck_assert_str_eq(cosy_task_cancel_reason(t), "two");
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    cosy_scoped(cosy_task) v = cosy_create_task(wait_for_ever);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), cancel_plainly, v, NULL), 0); /* by no task, for no reason */
    cosy_task_cancel_with(v, "one");
    ck_assert_int_eq(cosy_await(v), -ECANCELED);
    ck_assert_str_eq(cosy_task_cancel_reason(v), "");
    noted[0] = '\0';
    cosy_scoped(cosy_task) u = cosy_create_task(wait_for_ever);
    cosy_task_cancel_with(u, "one");
    cancel_plainly(u);
    ck_assert_str_eq(cosy_task_cancel_reason(u), "");
    ck_assert_int_eq(cosy_await(u), -ECANCELED);
    return 0;
}

/* ---- races ---- */

static void finish_and_cancel(void *arg)
{
    void **both = arg;
    cosy_future_set_result(both[0], 1);
    cosy_task_cancel(both[1]);
}

static void cancel_and_finish(void *arg)
{
    void **both = arg;
    cosy_task_cancel(both[1]);
    ck_assert_int_eq(cosy_future_set_result(both[0], 1), -COSY_EINVALIDSTATE); /* the cancel took it along */
}

ASYNC_TEST(and_completion_in_one_turn)
{
    for (int i = 0; i < 2; i++) {
        cosy_scoped(cosy_future) f = cosy_future_new(NULL);
        cosy_scoped(cosy_task) t = cosy_create_task(await_future, f);
        void *both[] = {f, t};
        cosy_try(cosy_yield());
        ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), i ? cancel_and_finish : finish_and_cancel, both, NULL), 0);
        ck_assert_int_eq(cosy_await(t), -ECANCELED);
    }
    noted[0] = '\0';
    return 0;
}

/* Both wake in the same turn; the first cancels the second, whose timer has fired already. */
static int sleep_then_cancel(cosy_ns when, cosy_task **other)
{
    cosy_try(cosy_sleep_until(when));
    return cosy_task_cancel(*other);
}

/* Not past when a task begins, on a busy machine either. */
static cosy_ns some_time_ahead(void)
{
    return cosy_loop_time(cosy_running_loop()) + COSY_MS(50);
}

static int sleep_until(cosy_ns when)
{
    int result = cosy_sleep_until(when);
    note("%d", result);
    return result;
}

ASYNC_TEST(and_a_timer_in_one_turn)
{
    cosy_task *second;
    cosy_ns when = some_time_ahead();
    cosy_scoped(cosy_task) first = cosy_create_task(sleep_then_cancel, when, &second);
    second = cosy_create_task(sleep_until, when);
    ck_assert_int_eq(cosy_await(first), 1);
    ck_assert_int_eq(cosy_await(second), -ECANCELED);
    cosy_task_drop(second);
    ck_assert_noted("-125");
    struct cosy_loop_stats stats;
    cosy_loop_get_stats(cosy_running_loop(), &stats);
    ck_assert_uint_eq(stats.timers, 0);
    return 0;
}

/* A callback of the same turn finds the sleeper's timer fired but not told yet. */
ASYNC_TEST(of_a_sleeper_whose_timer_has_fired)
{
    cosy_ns when = some_time_ahead();
    cosy_scoped(cosy_task) t = cosy_create_task(sleep_until, when);
    ck_assert_int_eq(cosy_call_at(cosy_running_loop(), when, cancel_plainly, t, NULL), 0);
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_noted("-125");
    return 0;
}

static int cancel_the_other_in_turn(cosy_task **other)
{
    int result = cosy_sleep(COSY_NEVER);
    note("%d", cosy_task_cancel(*other));
    return result;
}

ASYNC_TEST(of_each_other)
{
    cosy_task *a, *b;
    a = cosy_create_task(cancel_the_other_in_turn, &b);
    b = cosy_create_task(cancel_the_other_in_turn, &a);
    cosy_try(cosy_yield());
    cosy_task_cancel(a);
    ck_assert_int_eq(cosy_await(b), -ECANCELED);
    ck_assert_int_eq(cosy_await(a), -ECANCELED);
    cosy_task_drop(a);
    cosy_task_drop(b);
    ck_assert_noted("1 0");
    return 0;
}

/* A cancel at each turn of a chain of tasks: whatever stage it meets, all of them end, and nothing is left. */
static int chain(int depth)
{
    if (depth == 0)
        return cosy_sleep(COSY_US(300));
    cosy_scoped(cosy_task) next = cosy_create_task(chain, depth - 1);
    cosy_try(cosy_yield());
    return cosy_await(next);
}

ASYNC_TEST(at_every_turn_of_a_chain)
{
    for (int turn = 0; turn < 14; turn++) {
        cosy_scoped(cosy_task) t = cosy_create_task(chain, 4);
        for (int i = 0; i < turn; i++)
            ck_assert_int_eq(cosy_yield(), 0);
        bool asked = cosy_task_cancel(t);
        int result = cosy_await(t);
        ck_assert_int_eq(result, asked ? -ECANCELED : 0);
        for (int i = 0; i < 20 && cosy_all_tasks(NULL, NULL, 0) > 1; i++)
            ck_assert_int_eq(cosy_sleep(COSY_US(100)), 0);
        ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), 1);
    }
    return 0;
}

/* Followed by a loop: the canceller's stack holds far fewer calls than the chain has tasks. */
enum { LONG_CHAIN = 3000 };

static int wait_for_the_next(cosy_task *next) { return cosy_await(next); }

static int cancel_it(cosy_task *task)
{
    cosy_task_cancel_with(task, "all of you");
    return 0;
}

ASYNC_TEST(of_a_long_chain)
{
    static cosy_task *tasks[LONG_CHAIN];
    const int length = (int)less_under_tool(LONG_CHAIN, 3);
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    tasks[0] = cosy_create_task(cosy_await_future_, never);
    for (int i = 1; i < length; i++)
        tasks[i] = cosy_create_task(wait_for_the_next, tasks[i - 1]);
    ck_assert_int_eq(cosy_sleep(1), 0);
    cosy_scoped(cosy_task) canceller = cosy_create_task_with((.stack_size = 32768), cancel_it, tasks[length - 1]);
    ck_assert_int_eq(cosy_await(canceller), 0);
    ck_assert_int_eq(cosy_await(tasks[length - 1]), -ECANCELED);
    ck_assert(cosy_future_cancelled(never));
    for (int i = 0; i < length; i++) {
        ck_assert(cosy_task_cancelled(tasks[i]));
        ck_assert_int_eq(cosy_task_cancelling(tasks[i]), 1);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

COSY_TEST_MAIN("cancel", before_the_first_step_the_body_never_runs, before_the_first_step_arguments_are_given_back,
               at_a_sleep, of_oneself_meets_the_next_wait, a_done_future_is_no_wait,
               after_the_awaited_future_completed_its_result_is_lost, at_a_yield, in_the_final_step_it_ends_cancelled,
               returning_the_code_is_being_cancelled, of_a_done_task_does_nothing, may_be_swallowed, cleanup_may_wait,
               again_during_cleanup, may_become_an_error, requests_are_counted,
               the_last_uncancel_drops_an_undelivered_cancel, uncancel_before_the_first_step_lets_it_run,
               is_passed_on_to_the_awaited_task, that_the_awaited_task_swallows_gives_its_result,
               is_passed_on_to_the_awaited_future, requested_while_running_is_passed_on_too,
               waiters_of_a_cancelled_task_are_not_cancelled, reason_reaches_the_awaiter,
               reason_travels_along_a_chain_of_awaits, reason_is_not_an_older_one, reason_goes_with_a_future,
               reason_is_of_the_last_cancel, and_completion_in_one_turn, and_a_timer_in_one_turn,
               of_a_sleeper_whose_timer_has_fired, of_each_other, at_every_turn_of_a_chain, of_a_long_chain)
