/* Awaiting: objects with a hook of their own, and what cannot be awaited. */
#include "../harness/cosy_test.h"

/* An object of the program's own: its waiters are kept by hand. */
struct bell {
    cosy_awaitable awaitable;
    cosy_waker waker;
    int at_once, started, cancels;
    bool cancel_wakes;
};

static struct bell *bell_of(cosy_awaitable *a)
{
    return (struct bell *)(void *)a;
}

static int bell_start(cosy_awaitable *a, cosy_waker waker)
{
    bell_of(a)->started++;
    bell_of(a)->waker = waker;
    return bell_of(a)->at_once;
}

static bool bell_cancel(cosy_awaitable *a)
{
    struct bell *bell = bell_of(a);
    bell->cancels++;
    return bell->cancel_wakes && cosy_wake(bell->waker, 33);
}

/* start answers `answer`: 1 waits */
#define BELL(answer, ...)                                                                                              \
    ((struct bell){.awaitable = {bell_start, bell_cancel, "the bell"}, .at_once = (answer), ##__VA_ARGS__})

static int await_bell(struct bell *bell)
{
    int result = cosy_await(&bell->awaitable);
    note("%d", result);
    return result;
}

static void ring(void *arg)
{
    struct bell *bell = arg;
    note("rung:%d", cosy_wake(bell->waker, 11));
}

ASYNC_TEST(hook_wakes_with_a_result)
{
    struct bell bell = BELL(1);
    ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), ring, &bell, NULL), 0);
    ck_assert_int_eq(await_bell(&bell), 11);
    ck_assert_int_eq(bell.started, 1);
    ck_assert_noted("rung:1 11");
    return 0;
}

ASYNC_TEST(hook_may_answer_at_once)
{
    struct bell ready = BELL(0), failed = BELL(-EPROTO);
    struct cosy_loop_stats before, after;
    cosy_loop_get_stats(cosy_running_loop(), &before);
    ck_assert_int_eq(await_bell(&ready), 0);
    ck_assert_int_eq(await_bell(&failed), -EPROTO);
    cosy_loop_get_stats(cosy_running_loop(), &after);
    ck_assert(before.turns == after.turns);
    ck_assert(!cosy_wake(ready.waker, 1)); /* it waits no longer */
    noted[0] = '\0';
    return 0;
}

static int wake_inside_start(cosy_awaitable *a, cosy_waker waker)
{
    ck_assert(cosy_wake(waker, 22));
    ck_assert(!cosy_wake(waker, 23)); /* once */
    return bell_of(a)->at_once;
}

ASYNC_TEST(start_itself_may_wake)
{
    for (int at_once = 1; at_once >= -1; at_once--) {
        struct bell bell = BELL(at_once);
        bell.awaitable.start = wake_inside_start;
        ck_assert_int_eq(await_bell(&bell), at_once == 1 ? 22 : at_once);
    }
    noted[0] = '\0';
    return 0;
}

static __attribute__((noinline)) int await_below(int depth)
{
    char frame[256];
    memset(frame, depth, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    struct bell bell = BELL(1);
    bell.awaitable.start = wake_inside_start;
    int result = depth > 0 ? await_below(depth - 1) : cosy_await(&bell.awaitable);
    int wrong = 0;
    for (size_t i = 0; i < sizeof frame; i++)
        wrong += frame[i] != (char)depth;
    return wrong ? -EPROTO : result;
}

/* Alone in its turns, a task that woke itself goes on where it stands, not where it stood before. */
ASYNC_TEST(start_may_wake_a_lone_task_at_any_depth)
{
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(await_below(i % 7), 22);
    return 0;
}

ASYNC_TEST(a_cancel_is_not_lost_when_start_woke)
{
    for (int at_once = 1; at_once >= -1; at_once--) {
        struct bell bell = BELL(at_once);
        bell.awaitable.start = wake_inside_start;
        cosy_task_cancel(cosy_current_task());
        ck_assert_int_eq(await_bell(&bell), -ECANCELED);
        ck_assert_int_eq(cosy_yield(), 0);
    }
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(wakers_are_used_up)
{
    struct bell bell = BELL(1);
    cosy_scoped(cosy_task) t = cosy_create_task(await_bell, &bell);
    cosy_try(cosy_yield());
    ck_assert(cosy_wake(bell.waker, 5));
    ck_assert(!cosy_wake(bell.waker, 6));
    ck_assert_int_eq(cosy_await(t), 5);
    ck_assert(!cosy_wake(bell.waker, 7));
    ck_assert(!cosy_wake((cosy_waker){0}, 7));
    noted[0] = '\0';
    return 0;
}

static int await_two(struct bell *bells)
{
    int first = cosy_await(&bells[0].awaitable), second = cosy_await(&bells[1].awaitable);
    note("%d,%d", first, second);
    return 0;
}

/* The source of the first wait learns too late that it was cancelled: it must not end the second. */
ASYNC_TEST(a_late_waker_does_not_end_the_next_wait)
{
    struct bell bells[] = {BELL(1), BELL(1)};
    cosy_scoped(cosy_task) t = cosy_create_task(await_two, bells);
    cosy_try(cosy_yield());
    cosy_task_cancel(t);
    cosy_try(cosy_yield());
    ck_assert_int_eq(bells[1].started, 1);
    ck_assert(!cosy_wake(bells[0].waker, 1));
    ck_assert(cosy_wake(bells[1].waker, 2));
    ck_assert_int_eq(cosy_await(t), 0);
    ck_assert_noted("-125,2");
    return 0;
}

ASYNC_TEST(cancel_goes_to_the_hook)
{
    struct bell leaves_it = BELL(1), wakes = BELL(1, .cancel_wakes = true), none = BELL(1);
    none.awaitable.cancel = NULL;
    struct bell *bells[] = {&leaves_it, &wakes, &none};
    int expected[] = {-ECANCELED, 33, -ECANCELED};
    for (int i = 0; i < 3; i++) {
        cosy_scoped(cosy_task) t = cosy_create_task(await_bell, bells[i]);
        cosy_try(cosy_yield());
        ck_assert(cosy_task_cancel(t));
        ck_assert_int_eq(cosy_await(t), expected[i]);
        ck_assert_int_eq(bells[i]->cancels, i < 2);
        ck_assert(!cosy_wake(bells[i]->waker, 1));
    }
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(a_cancel_from_before_meets_the_hook)
{
    struct bell bell = BELL(1);
    cosy_task_cancel(cosy_current_task());
    ck_assert_int_eq(await_bell(&bell), -ECANCELED);
    ck_assert_int_eq(bell.started, 1);
    ck_assert_int_eq(bell.cancels, 1);
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(many_wait_for_hooks_at_once)
{
    enum { TASKS = 50 };
    struct bell bells[TASKS];
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        bells[i] = BELL(1);
        tasks[i] = cosy_create_task(await_bell, &bells[i]);
    }
    cosy_try(cosy_yield());
    for (int i = TASKS - 1; i >= 0; i--)
        ck_assert(cosy_wake(bells[i].waker, i));
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), i);
        cosy_task_drop(tasks[i]);
    }
    ck_assert_int_eq(strncmp(noted, "49 48 47 ", 9), 0); /* in the order of waking */
    noted[0] = '\0';
    return 0;
}

ASYNC_TEST(what_is_no_awaitable_is_refused)
{
    cosy_awaitable empty = {0};
    ck_assert_int_eq(cosy_await(&empty), -EINVAL);
    ck_assert_int_eq(cosy_await((cosy_awaitable *)NULL), -EINVAL);
    return 0;
}

/* ---- handles that are NULL tell why ---- */

static int give(int value)
{
    return value;
}

ASYNC_TEST(null_handles_tell_why)
{
    cosy_heap_fail_nth(1, true);
    cosy_future *f = cosy_future_new(NULL);
    ck_assert_ptr_null(f);
    ck_assert_int_eq(cosy_await(f), -ENOMEM);
    ck_assert_int_eq(cosy_future_result(f, NULL), -ENOMEM);
    cosy_heap_fail_nth(0, false);
    cosy_loop *closed;
    ck_assert_int_eq(cosy_loop_new(&closed), 0);
    cosy_loop_close(closed);
    capture_log();
    cosy_task *t = cosy_create_task_with((.loop = closed), give, 1);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(cosy_await(t), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_task_error(t), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_gather(t), -COSY_ECLOSED);
    ck_assert_contains(logged, "cannot create a task in a closed loop: coroutine 'give' created at ");
    ck_assert(!cosy_task_done(t) && !cosy_task_cancelled(t) && !cosy_task_cancel(t));
    ck_assert_ptr_null(cosy_task_ref(t));
    cosy_loop_free(closed);
    return 0;
}

ASYNC_TEST(stacks_may_be_too_large_to_ask_for)
{
    capture_log();
    cosy_task *t = cosy_create_task_with((.stack_size = SIZE_MAX), give, 1);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(cosy_await(t), -EINVAL);
    ck_assert_contains(logged, "stack_size is larger than any stack");
    return 0;
}

COSY_TEST_MAIN("await", hook_wakes_with_a_result, hook_may_answer_at_once, start_itself_may_wake,
               start_may_wake_a_lone_task_at_any_depth, a_cancel_is_not_lost_when_start_woke, wakers_are_used_up,
               a_late_waker_does_not_end_the_next_wait, cancel_goes_to_the_hook, a_cancel_from_before_meets_the_hook,
               many_wait_for_hooks_at_once, what_is_no_awaitable_is_refused, null_handles_tell_why,
               stacks_may_be_too_large_to_ask_for)
