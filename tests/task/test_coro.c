/* Coroutine objects: nothing runs until something takes them; send, throw and close; origins; "never awaited". */
#include "../harness/cosy_test.h"

static int give(int value)
{
    note("ran");
    return value;
}

/* Yields what it was sent plus one, until it is sent 0; tells what is thrown. */
static int64_t echo(int64_t first)
{
    int64_t sent = 0, value = first;
    for (;;) {
        int thrown = cosy_suspend(value, &sent);
        if (thrown < 0) {
            note("thrown:%s", cosy_errname(thrown));
            return thrown == -EINTR ? 77 : thrown;
        }
        if (sent == 0)
            return 100;
        value = sent + 1;
    }
}

static enum cosy_coro_state state_of(cosy_coro *c)
{
    struct cosy_coro_info info;
    cosy_coro_info(c, &info);
    return info.state;
}

/* ---- objects ---- */

ASYNC_TEST(nothing_runs_before_it_is_taken)
{
    cosy_coro *c = cosy_call(give, 7);
    cosy_try(cosy_yield());
    ck_assert_noted("");
    ck_assert_int_eq(state_of(c), COSY_CORO_CREATED);
    ck_assert_int_eq(cosy_await(c), 7);
    ck_assert_noted("ran");
    ck_assert_int_eq(state_of(c), COSY_CORO_CLOSED);
    return 0;
}

static int note_task(void)
{
    note("%s", cosy_task_name(cosy_current_task()));
    return cosy_yield();
}

ASYNC_TEST(awaiting_runs_it_in_the_awaiting_task)
{
    cosy_task_set_name(cosy_current_task(), "main");
    ck_assert_int_eq(cosy_await(cosy_call(note_task)), 0);
    ck_assert_noted("main");
    return 0;
}

ASYNC_TEST(a_coroutine_is_taken_once)
{
    capture_log();
    cosy_coro *c = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(c), 1);
    ck_assert_int_eq(cosy_await(c), -COSY_EAWAITED);
    ck_assert_str_eq(cosy_error_message(-COSY_EAWAITED), "cannot reuse an already awaited coroutine");
    ck_assert_ptr_null(cosy_task_from(c));
    ck_assert_contains(logged, "cannot reuse an already awaited coroutine");
    ck_assert_int_eq(cosy_gather(c), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_coro_throw(c, EINTR, NULL), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_coro_close(c), 0);
    return 0;
}

ASYNC_TEST(a_used_up_one_is_noticed_though_its_memory_lives_on)
{
    cosy_coro *old = cosy_call(give, 1);
    ck_assert_int_eq(cosy_await(old), 1);
    cosy_coro *fresh = cosy_call(give, 2); /* in the same memory */
    ck_assert_int_eq(cosy_await(old), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_await(fresh), 2);
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(a_task_takes_it)
{
    cosy_coro *c = cosy_call(give, 3);
    cosy_scoped(cosy_task) t = cosy_task_from(c);
    ck_assert_int_eq(cosy_await(c), -COSY_EAWAITED);
    ck_assert_int_eq(cosy_coro_close(c), 0); /* nothing of it is left to close */
    ck_assert_int_eq(cosy_await(t), 3);
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(closing_before_the_start_runs_nothing)
{
    cosy_coro *c = cosy_call(give, 3);
    ck_assert_int_eq(cosy_coro_close(c), 0);
    ck_assert_int_eq(cosy_coro_close(c), 0);
    ck_assert_int_eq(cosy_coro_close(NULL), 0);
    ck_assert_int_eq(cosy_await(c), -COSY_EAWAITED);
    ck_assert_noted("");
    return 0;
}

/* ---- send, throw, close: outside tasks first ---- */

START_TEST(send_drives_it_without_any_loop)
{
    int64_t value = 0;
    cosy_coro *c = cosy_call(echo, 10);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 10);
    ck_assert_int_eq(state_of(c), COSY_CORO_SUSPENDED);
    for (int64_t i = 1; i < 50; i++) {
        ck_assert_int_eq(cosy_coro_send(c, i, &value), COSY_YIELDED);
        ck_assert_int_eq(value, i + 1);
    }
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 100);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), -COSY_EAWAITED);
    ck_assert_int_eq(state_of(c), COSY_CORO_CLOSED);
}
END_TEST

ASYNC_TEST(send_drives_it_in_a_task)
{
    send_drives_it_without_any_loop_fn(0);
    return 0;
}

ASYNC_TEST(a_value_cannot_be_sent_before_the_start)
{
    int64_t value;
    cosy_coro *c = cosy_call(echo, 5);
    ck_assert_int_eq(cosy_coro_send(c, 1, &value), -EINVAL);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_close(c), 0);
    ck_assert_noted("thrown:COSY_EGENEXIT");
    return 0;
}

ASYNC_TEST(throw_meets_the_suspension)
{
    int64_t value = 0;
    cosy_coro *c = cosy_call(echo, 5);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_throw(c, 0, &value), -EINVAL);
    ck_assert_int_eq(cosy_coro_throw(c, EINTR, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 77);
    cosy_coro *d = cosy_call(echo, 5);
    ck_assert_int_eq(cosy_coro_send(d, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_throw(d, -EPROTO, &value), COSY_RETURNED); /* either sign */
    ck_assert_int_eq(value, -EPROTO);
    ck_assert_noted("thrown:EINTR thrown:EPROTO");
    return 0;
}

ASYNC_TEST(throw_before_the_start_ends_it)
{
    int64_t value = 0;
    cosy_coro *c = cosy_call(echo, 5);
    ck_assert_int_eq(cosy_coro_throw(c, EPROTO, &value), COSY_RETURNED);
    ck_assert_int_eq(value, -EPROTO);
    ck_assert_noted("");
    ck_assert_int_eq(cosy_coro_throw(c, EPROTO, &value), -COSY_EAWAITED);
    return 0;
}

static int go_on_after_throw(void)
{
    int thrown = cosy_suspend(1, NULL);
    note("%s", cosy_errname(thrown));
    thrown = cosy_suspend(2, NULL);
    return thrown < 0 ? thrown : 3;
}

ASYNC_TEST(a_thrown_error_may_be_handled)
{
    int64_t value;
    cosy_coro *c = cosy_call(go_on_after_throw);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_throw(c, EPIPE, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 2);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 3);
    ck_assert_noted("EPIPE");
    return 0;
}

ASYNC_TEST(one_that_ignores_its_close_is_told)
{
    cosy_coro *c = cosy_call(go_on_after_throw);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_close(c), -COSY_EIGNOREDCLOSE);
    ck_assert_str_eq(cosy_error_message(-COSY_EIGNOREDCLOSE),
                     "coroutine 'go_on_after_throw' suspended while it was being closed");
    ck_assert_noted("COSY_EGENEXIT");
    ck_assert_int_eq(cosy_coro_close(c), 0);
    return 0;
}

ASYNC_TEST(closing_again_does_nothing) /* test_func_19 of CPython's test_coroutines.py */
{
    cosy_coro *c = cosy_call(echo, 5);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_send(c, 1, NULL), COSY_YIELDED);
    ck_assert_noted("");
    ck_assert_int_eq(cosy_coro_close(c), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cosy_coro_close(c), 0);
    ck_assert_noted("thrown:COSY_EGENEXIT"); /* once */
    return 0;
}

static int translate_what_is_thrown(void)
{
    int64_t sent = 0;
    int thrown = cosy_suspend(1, &sent);
    return thrown == -EDOM ? -EPROTO : thrown < 0 ? thrown : (int)sent;
}

static int await_the_translator(void)
{
    return cosy_await(cosy_call(translate_what_is_thrown));
}

ASYNC_TEST(what_is_sent_and_thrown_reaches_the_innermost) /* test_await_14 */
{
    int64_t value = 0;
    cosy_coro *c = cosy_call(await_the_translator);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_send(c, 9, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 9);
    cosy_coro *d = cosy_call(await_the_translator);
    ck_assert_int_eq(cosy_coro_send(d, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_throw(d, EDOM, &value), COSY_RETURNED);
    ck_assert_int_eq(value, -EPROTO);
    return 0;
}

ASYNC_TEST(one_that_is_driven_cannot_be_awaited) /* test_await_15 */
{
    int64_t value = 0;
    cosy_coro *c = cosy_call(echo, 1);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_await(c), -COSY_EAWAITED);
    ck_assert_int_eq(state_of(c), COSY_CORO_SUSPENDED); /* and is not disturbed by it */
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 100);
    return 0;
}

static cosy_coro *self;

static int drive_oneself(void)
{
    note("%s", cosy_errname(cosy_coro_send(self, 0, NULL)));
    note("%s", cosy_errname(cosy_coro_throw(self, EINTR, NULL)));
    note("%s", cosy_errname(cosy_coro_close(self)));
    note("%s", cosy_errname(cosy_await(self)));
    note("%d", state_of(self) == COSY_CORO_RUNNING);
    return 0;
}

ASYNC_TEST(a_running_one_cannot_be_driven)
{
    const char *expected = "COSY_ERUNNING COSY_ERUNNING COSY_ERUNNING COSY_EAWAITED 1";
    self = cosy_call(drive_oneself);
    ck_assert_int_eq(cosy_coro_send(self, 0, NULL), COSY_RETURNED);
    ck_assert_noted(expected);
    self = cosy_call(drive_oneself);
    ck_assert_int_eq(cosy_await(self), 0); /* awaited, it runs too */
    ck_assert_noted(expected);
    return 0;
}

/* ---- with the loop ---- */

static int sleep_between(void)
{
    cosy_try(cosy_suspend(1, NULL));
    cosy_try(cosy_sleep(COSY_MS(2)));
    cosy_try(cosy_suspend(2, NULL));
    return cosy_yield() < 0 ? -EPROTO : 3;
}

static int count_turns(int *turns)
{
    for (*turns = 0; *turns < 3; ++*turns)
        cosy_try(cosy_yield());
    return 0;
}

ASYNC_TEST(the_whole_task_waits_when_it_sleeps)
{
    int64_t value;
    int turns;
    cosy_scoped(cosy_task) other = cosy_create_task(count_turns, &turns);
    cosy_coro *c = cosy_call(sleep_between);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 2);
    ck_assert_int_gt(turns, 0); /* it went on meanwhile */
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 3);
    return cosy_await(other);
}

static int drive(cosy_coro *c, int times)
{
    int64_t value;
    for (int i = 0; i < times; i++)
        if (cosy_coro_send(c, 0, &value) != COSY_YIELDED)
            return (int)value;
    return 0;
}

ASYNC_TEST(while_its_task_sleeps_inside_nobody_else_drives_it)
{
    cosy_coro *c = cosy_call(sleep_between);
    cosy_scoped(cosy_task) t = cosy_create_task(drive, c, 2);
    for (int i = 0; i < 2; i++)
        cosy_try(cosy_yield());
    ck_assert_int_eq(state_of(c), COSY_CORO_RUNNING);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_coro_close(c), -COSY_ERUNNING);
    cosy_try(cosy_await(t));
    ck_assert_int_eq(drive(c, 2), 3); /* another task goes on with it */
    return 0;
}

ASYNC_TEST(a_cancel_reaches_the_wait_inside)
{
    cosy_coro *c = cosy_call(sleep_between);
    cosy_scoped(cosy_task) t = cosy_create_task(drive, c, 5);
    for (int i = 0; i < 2; i++)
        cosy_try(cosy_yield());
    cosy_task_cancel(t);
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_int_eq(state_of(c), COSY_CORO_CLOSED);
    return 0;
}

static int64_t delegate(void)
{
    int64_t value, sum = 0;
    cosy_coro *inner = cosy_call(echo, 1000);
    int64_t sent = 0;
    while (cosy_coro_send(inner, sent, &value) == COSY_YIELDED) {
        sum += value;
        cosy_try(cosy_suspend(value, &sent));
    }
    return sum;
}

ASYNC_TEST(coroutines_drive_coroutines)
{
    int64_t value;
    cosy_coro *c = cosy_call(delegate);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 1000);
    ck_assert_int_eq(cosy_coro_send(c, 5, &value), COSY_YIELDED);
    ck_assert_int_eq(value, 6);
    ck_assert_int_eq(cosy_coro_send(c, 0, &value), COSY_RETURNED);
    ck_assert_int_eq(value, 1006);
    return 0;
}

START_TEST(suspending_elsewhere_is_told)
{
    capture_log();
    ck_assert_int_eq(cosy_suspend(1, NULL), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_suspend was called outside a coroutine that is driven by hand");
}
END_TEST

ASYNC_TEST(suspending_in_a_plain_task_is_told)
{
    capture_log();
    ck_assert_int_eq(cosy_suspend(1, NULL), -COSY_ENOTASK);
    ck_assert_contains(logged, "cosy_suspend was called outside");
    return 0;
}

static int fail_inside(void)
{
    return cosy_fail(EBADMSG, "from inside");
}

static int drive_and_pass_on(void)
{
    int64_t value;
    cosy_try(cosy_coro_send(cosy_call(fail_inside), 0, &value));
    cosy_try((int)value);
    return 0;
}

ASYNC_TEST(an_error_keeps_its_message_on_its_way_out)
{
    ck_assert_int_eq(drive_and_pass_on(), -EBADMSG);
    ck_assert_str_eq(cosy_error_message(-EBADMSG), "from inside");
    return 0;
}

static int drive_after_each(cosy_task **tasks, int count)
{
    for (int i = 0; i < count; i++) {
        if (tasks[i] == cosy_current_task())
            continue;
        cosy_task_cancel(tasks[i]);
        ck_assert_int_eq(cosy_await(tasks[i]), -ECANCELED);
        ck_assert_int_eq(drive_and_pass_on(), -EBADMSG); /* on the stack that has just become free */
        ck_assert_str_eq(cosy_error_message(-EBADMSG), "from inside");
    }
    return 0;
}

/* Of the other tasks' stacks some lie above the driver's, some below. */
ASYNC_TEST(an_error_keeps_its_message_whichever_stack_is_higher)
{
    cosy_task *tasks[3];
    tasks[0] = cosy_create_task(cosy_sleep, COSY_NEVER);
    tasks[1] = cosy_create_task(drive_after_each, tasks, 3);
    tasks[2] = cosy_create_task(cosy_sleep, COSY_NEVER);
    ck_assert_int_eq(cosy_await(tasks[1]), 0);
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

/* ---- what can be asked ---- */

ASYNC_TEST(info_and_repr)
{
    struct cosy_coro_info info;
    char text[200], expected[200];
    unsigned line = __LINE__ + 1;
    cosy_coro *c = cosy_call(echo, 1);
    ck_assert_int_eq(cosy_coro_info(c, &info), 0);
    ck_assert_str_eq(info.name, "echo");
    ck_assert_str_eq(info.file, __FILE__);
    ck_assert_str_eq(info.func, __func__);
    ck_assert_uint_eq(info.line, line);
    ck_assert_ptr_null(info.awaiting);
    size_t before = info.bytes;
    int size = cosy_coro_repr(c, text, sizeof text);
    ck_assert_uint_eq(strlen(text), (size_t)size);
    snprintf(expected, sizeof expected, "<coroutine echo created, created at %s:%u in %s>", __FILE__, line, __func__);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(cosy_coro_send(c, 0, NULL), COSY_YIELDED);
    ck_assert_int_eq(cosy_coro_info(c, &info), 0);
    ck_assert(info.bytes > before + 1024);
    ck_assert_int_eq(cosy_coro_close(c), 0);
    ck_assert_int_eq(cosy_coro_info(c, &info), -COSY_EAWAITED);
    ck_assert_int_eq(info.state, COSY_CORO_CLOSED);
    cosy_coro_repr(c, text, sizeof text);
    ck_assert_str_eq(text, "<coroutine closed>");
    ck_assert_int_eq(cosy_coro_info(NULL, &info), -EINVAL);
    ck_assert_int_eq(cosy_coro_info(c, NULL), -EINVAL);
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(weak_references_go_stale)
{
    cosy_coro *c = cosy_call(echo, 1);
    cosy_weak weak = cosy_coro_weak(c);
    ck_assert_ptr_eq(cosy_weak_coro(weak), c);
    cosy_coro_send(c, 0, NULL);
    ck_assert_ptr_eq(cosy_weak_coro(weak), c);
    cosy_coro_close(c);
    ck_assert_ptr_null(cosy_weak_coro(weak));
    cosy_coro *d = cosy_call(give, 1); /* in the same memory */
    ck_assert_ptr_null(cosy_weak_coro(weak));
    cosy_weak taken = cosy_coro_weak(d);
    cosy_scoped(cosy_task) t = cosy_task_from(d);
    ck_assert_ptr_null(cosy_weak_coro(taken));
    ck_assert_ptr_null(cosy_weak_coro(cosy_coro_weak(NULL)));
    noted[0] = '\0';
    return cosy_await(t) != 1;
}

/* ---- never awaited ---- */

static int forget_one(void)
{
    cosy_coro *forgotten = cosy_call(give, 1);
    ck_assert_ptr_nonnull(forgotten);
    return 0;
}

START_TEST(a_forgotten_one_is_reported_once)
{
    capture_log();
    ck_assert_int_eq(cosy_run(forget_one), 0);
    ck_assert_contains(logged, "cosy: coroutine 'give' was never awaited, created at ");
    ck_assert_contains(logged, "test_coro.c:");
    ck_assert_contains(logged, " in forget_one");
    ck_assert_int_eq(occurrences(logged, "never awaited"), 1);
    ck_assert_lacks(logged, "Coroutine created at");
    ck_assert_int_eq(cosy_run(give, 0), 0);
    ck_assert_int_eq(occurrences(logged, "never awaited"), 1);
    ck_assert_noted("ran");
}
END_TEST

#if COSY_HAVE_LIBDW
static __attribute__((noinline)) cosy_coro *make_here(void)
{
    return cosy_call(give, 1);
}

static __attribute__((noinline)) cosy_coro *make_there(void)
{
    cosy_coro *c = make_here();
    __asm__ volatile("");
    return c;
}

static int count_lines(const char *text)
{
    return occurrences(text, "\n");
}

ASYNC_TEST(origins_are_as_deep_as_asked)
{
    ck_assert_int_eq(cosy_set_coroutine_origin_tracking_depth(2), 0);
    cosy_coro *c = make_there();
    ck_assert_int_eq(cosy_set_coroutine_origin_tracking_depth(1), 2);
    cosy_coro *d = make_there();
    ck_assert_int_eq(cosy_set_coroutine_origin_tracking_depth(0), 1);
    cosy_coro *e = make_there();
    ck_assert_int_eq(count_lines(cosy_coro_origin(c)), 2);
    const char *here = strstr(cosy_coro_origin(c), "in make_here"),
               *there = strstr(cosy_coro_origin(c), "in make_there");
    ck_assert(here && there && here < there); /* innermost first */
    ck_assert_int_eq(count_lines(cosy_coro_origin(d)), 1);
    ck_assert_str_eq(cosy_coro_origin(e), "");
    ck_assert_str_eq(cosy_coro_origin(NULL), "");
    return cosy_coro_close(c) | cosy_coro_close(d) | cosy_coro_close(e);
}

static int forget_one_tracked(void)
{
    cosy_set_coroutine_origin_tracking_depth(3);
    make_there();
    cosy_set_coroutine_origin_tracking_depth(0);
    return 0;
}

START_TEST(a_forgotten_one_tells_its_origin)
{
    capture_log();
    ck_assert_int_eq(cosy_run(forget_one_tracked), 0);
    ck_assert_contains(logged, "Coroutine created at\n");
    ck_assert_contains(logged, "in make_there");
}
END_TEST

START_TEST(debug_mode_tracks_origins)
{
    capture_log();
    ck_assert_int_eq(cosy_run_with((.debug = true), forget_one), 0);
    ck_assert_contains(logged, "Coroutine created at\n");
    ck_assert_contains(logged, "in forget_one");
    ck_assert_int_eq(cosy_set_coroutine_origin_tracking_depth(0), 0); /* the run has put it back */
}
END_TEST
#define ORIGIN_TESTS , origins_are_as_deep_as_asked, a_forgotten_one_tells_its_origin, debug_mode_tracks_origins
#else
#define ORIGIN_TESTS
#endif

/* ---- lack of memory ---- */

static int drive_one(void)
{
    int64_t value;
    cosy_set_coroutine_origin_tracking_depth(1);
    cosy_coro *c = cosy_call(echo, 1);
    cosy_set_coroutine_origin_tracking_depth(0);
    int result = cosy_coro_send(c, 0, &value);
    if (result < 0) {
        cosy_coro_close(c);
        return result;
    }
    cosy_coro_close(c);
    return cosy_await(cosy_call(give, 0));
}

static int drive_one_in_a_task(void)
{
    cosy_scoped(cosy_task) t = cosy_create_task(drive_one); /* a task of its own: its extra is new each time */
    return cosy_await(t);
}

ASYNC_TEST(lack_of_memory_is_an_error)
{
    capture_log();
    with_each_allocation_failing(drive_one);
    with_each_allocation_failing(drive_one_in_a_task);
    noted[0] = '\0';
    return 0;
}

COSY_TEST_MAIN("coro", nothing_runs_before_it_is_taken, awaiting_runs_it_in_the_awaiting_task,
               a_coroutine_is_taken_once, a_used_up_one_is_noticed_though_its_memory_lives_on, a_task_takes_it,
               closing_before_the_start_runs_nothing, send_drives_it_without_any_loop, send_drives_it_in_a_task,
               a_value_cannot_be_sent_before_the_start, throw_meets_the_suspension, throw_before_the_start_ends_it,
               a_thrown_error_may_be_handled, one_that_ignores_its_close_is_told, closing_again_does_nothing,
               what_is_sent_and_thrown_reaches_the_innermost, one_that_is_driven_cannot_be_awaited,
               a_running_one_cannot_be_driven, the_whole_task_waits_when_it_sleeps,
               while_its_task_sleeps_inside_nobody_else_drives_it, a_cancel_reaches_the_wait_inside,
               coroutines_drive_coroutines, suspending_elsewhere_is_told, suspending_in_a_plain_task_is_told,
               an_error_keeps_its_message_on_its_way_out, an_error_keeps_its_message_whichever_stack_is_higher,
               info_and_repr, weak_references_go_stale, a_forgotten_one_is_reported_once ORIGIN_TESTS,
               lack_of_memory_is_an_error)
