/* Errors: messages and places follow a failure outwards, over tasks, and never stick to another one. */
#include <pthread.h>

#include "../../src/base/heap.h"
#include "../harness/cosy_test.h"

#define noinline __attribute__((noinline))

static noinline int fail_here(int number)
{
    return cosy_fail(EPROTO, "frame %d is bad", number);
}

static noinline int pass_on(int number)
{
    cosy_try(fail_here(number));
    note("not reached");
    return 0;
}

static noinline int pass_on_again(int number)
{
    return cosy_try(pass_on(number));
}

static noinline int fail_plainly(int code)
{
    return -code;
}

static noinline int try_plainly(int code)
{
    cosy_try(fail_plainly(code));
    return 0;
}

static char *story;

static void print_story(FILE *stream)
{
    cosy_print_error(stream, -EPROTO);
}

/* The story of the latest failure, kept until the next call. */
static const char *told(void)
{
    free(story);
    return story = written_by(print_story);
}

static bool in_order(const char *text, const char *first, const char *second)
{
    const char *a = strstr(text, first), *b = strstr(text, second);
    return a && b && a < b;
}

/* ---- values ---- */

static int try_values(int64_t value)
{
    int64_t same = cosy_try(value);
    ck_assert(same == value);
    return 12;
}

ASYNC_TEST(try_gives_the_value_or_leaves)
{
    ck_assert_int_eq(try_values(INT64_MAX), 12);
    ck_assert_int_eq(try_values(0), 12);
    ck_assert_int_eq(try_values(-EPERM), -EPERM);
    ck_assert_int_eq(cosy_fail(EINVAL, "%s", "x"), -EINVAL);
    ck_assert_int_eq(cosy_fail(-EINVAL, "%s", "x"), -EINVAL); /* either sign */
    return 0;
}

ASYNC_TEST(message_is_of_its_code)
{
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
    ck_assert_int_eq(fail_here(3), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 3 is bad");
    ck_assert_str_eq(cosy_error_message(-EINVAL), "");
    ck_assert_str_eq(cosy_error_message(0), "");
    return 0;
}

ASYNC_TEST(long_messages_are_cut)
{
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(cosy_fail(EINVAL, "%s", text), -EINVAL);
    ck_assert_uint_eq(strlen(cosy_error_message(-EINVAL)), 511);
    return 0;
}

/* ---- places ---- */

ASYNC_TEST(places_are_told_outermost_first)
{
    ck_assert_int_eq(pass_on_again(7), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 7 is bad");
    ck_assert_contains(told(), "Async traceback (most recent call last):\n");
    ck_assert(in_order(story, " in pass_on_again\n", " in pass_on\n"));
    ck_assert(in_order(story, " in pass_on\n", " in fail_here\n"));
    ck_assert(in_order(story, " in fail_here\n", "EPROTO: frame 7 is bad\n"));
    ck_assert_int_eq(occurrences(story, "test_error.c:"), 3);
    ck_assert_noted("");
    return 0;
}

static noinline int deep(int n)
{
    if (n == 0)
        return fail_here(0);
    cosy_try(deep(n - 1));
    return n;
}

ASYNC_TEST(many_places_are_counted)
{
    ck_assert_int_eq(deep(30), -EPROTO);
    ck_assert_contains(told(), "... 15 more\n"); /* 31 of them, 16 kept */
    ck_assert_int_eq(occurrences(story, " in deep\n"), 15);
    return 0;
}

ASYNC_TEST(an_error_without_a_message_is_told_by_its_number)
{
    ck_assert_int_eq(try_plainly(EPROTO), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
    ck_assert_contains(told(), " in try_plainly\n");
    ck_assert_contains(story, "EPROTO: Protocol error\n");
    return 0;
}

/* ---- old records ---- */

ASYNC_TEST(an_old_message_is_not_told_of_another_code)
{
    ck_assert_int_eq(fail_here(1), -EPROTO);
    ck_assert_int_eq(try_plainly(EINVAL), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "");
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
    return 0;
}

static noinline int ignore_then_fail_deeper(int depth)
{
    if (depth > 0)
        return cosy_try(ignore_then_fail_deeper(depth - 1));
    return try_plainly(EPROTO);
}

ASYNC_TEST(an_ignored_message_is_not_told_of_a_deeper_failure)
{
    ck_assert_int_eq(pass_on_again(1), -EPROTO); /* ignored */
    ck_assert_int_eq(ignore_then_fail_deeper(5), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
    ck_assert_lacks(told(), "fail_here");
    return 0;
}

ASYNC_TEST(a_new_failure_forgets_the_old_places)
{
    ck_assert_int_eq(pass_on_again(1), -EPROTO);
    ck_assert_int_eq(fail_here(2), -EPROTO);
    ck_assert_contains(told(), "frame 2 is bad");
    ck_assert_lacks(story, "pass_on");
    return 0;
}

/* ---- over tasks ---- */

static int await_and_pass_on(cosy_task *t)
{
    cosy_try(cosy_await(t));
    return 0;
}

ASYNC_TEST(message_and_places_cross_tasks)
{
    cosy_scoped(cosy_task) inner = cosy_create_task_with((.name = "inner"), pass_on, 9);
    cosy_scoped(cosy_task) outer = cosy_create_task_with((.name = "outer"), await_and_pass_on, inner);
    ck_assert_int_eq(cosy_await(outer), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 9 is bad");
    ck_assert_contains(told(), "  task 'outer' (await_and_pass_on), created at ");
    ck_assert(in_order(story, "task 'outer'", " in await_and_pass_on\n"));
    ck_assert(in_order(story, " in await_and_pass_on\n", "task 'inner' (pass_on)"));
    ck_assert(in_order(story, "task 'inner'", " in pass_on\n"));
    ck_assert(in_order(story, " in fail_here\n", "EPROTO: frame 9 is bad\n"));
    return 0;
}

ASYNC_TEST(each_awaiter_gets_the_message)
{
    cosy_scoped(cosy_task) inner = cosy_create_task(pass_on, 4);
    cosy_scoped(cosy_task) a = cosy_create_task(await_and_pass_on, inner);
    cosy_scoped(cosy_task) b = cosy_create_task(await_and_pass_on, inner);
    ck_assert_int_eq(cosy_await(a), -EPROTO);
    ck_assert_int_eq(try_plainly(EINVAL), -EINVAL);
    ck_assert_int_eq(cosy_await(b), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 4 is bad");
    ck_assert_str_eq(cosy_future_error_message(cosy_task_future(inner)), "frame 4 is bad");
    ck_assert_int_eq(cosy_await(inner), -EPROTO); /* long done */
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 4 is bad");
    return 0;
}

ASYNC_TEST(message_of_a_future_crosses)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_future_set_error(f, EPROTO, "said by %s", "hand");
    ck_assert_int_eq(cosy_await(f), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "said by hand");
    ck_assert_contains(told(), "a future\n");
    return 0;
}

static int fail_and_wait(int number, cosy_future *f)
{
    ck_assert_int_eq(fail_here(number), -EPROTO);
    cosy_try(cosy_await(f));
    note("%s", cosy_error_message(-EPROTO));
    return 0;
}

ASYNC_TEST(tasks_do_not_see_each_others_errors)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) a = cosy_create_task(fail_and_wait, 1, f);
    cosy_scoped(cosy_task) b = cosy_create_task(fail_and_wait, 2, f);
    cosy_try(cosy_yield());
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
    cosy_future_set_result(f, 0);
    ck_assert_int_eq(cosy_gather(a, b), 0);
    ck_assert_noted("frame 1 is bad frame 2 is bad");
    return 0;
}

/* A handled failure inside a task that ends with a plain error of the same number: told only when it was passed on. */
static int handle_then_fail(int code)
{
    ck_assert_int_eq(fail_here(1), -EPROTO);
    return -code;
}

ASYNC_TEST(a_handled_message_is_not_the_tasks)
{
    cosy_scoped(cosy_task) well = cosy_create_task(handle_then_fail, 0);
    ck_assert_int_eq(cosy_await(well), 0);
    cosy_scoped(cosy_task) otherwise = cosy_create_task(handle_then_fail, EINVAL);
    ck_assert_int_eq(cosy_await(otherwise), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "");
    return 0;
}

static int relay(int depth)
{
    if (depth == 0)
        return fail_here(0);
    cosy_scoped(cosy_task) t = cosy_create_task(relay, depth - 1);
    cosy_try(cosy_await(t));
    return 0;
}

ASYNC_TEST(long_chains_of_tasks_are_told)
{
    int depth = under_tool() ? 100 : 2000;
    ck_assert_int_eq(relay(depth), -EPROTO);
    ck_assert_int_eq(occurrences(told(), " in relay\n"), 2 * depth); /* created there, and passed on there */
    ck_assert_contains(story, "EPROTO: frame 0 is bad\n");
    return 0;
}

/* ---- out of the loop ---- */

START_TEST(message_leaves_the_run)
{
    ck_assert_int_eq(cosy_run(pass_on, 5), -EPROTO);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "frame 5 is bad");
    ck_assert_contains(told(), " in fail_here\n");
    ck_assert_contains(story, "(pass_on), created at ");
}
END_TEST

START_TEST(errors_need_no_loop)
{
    ck_assert_int_eq(pass_on_again(6), -EPROTO);
    ck_assert(in_order(told(), " in pass_on_again\n", " in fail_here\n"));
    ck_assert_int_eq(try_plainly(EINVAL), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EPROTO), "");
}
END_TEST

static void *fail_in_a_thread(void *unused)
{
    pass_on(1);
    return unused;
}

START_TEST(a_thread_without_tasks_takes_its_message_along)
{
    long before = cosy_heap_live();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_in_a_thread, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(cosy_heap_live(), before);
}
END_TEST

/* ---- lack of memory loses the message, never the code ---- */

static int fail_in_a_task(void)
{
    cosy_scoped(cosy_task) t = cosy_create_task(pass_on, 1);
    int result = cosy_await(t);
    ck_assert(result == -EPROTO || result == -ENOMEM);
    const char *message = cosy_error_message(result);
    ck_assert(result == -ENOMEM || strcmp(message, "frame 1 is bad") == 0 || *message == '\0');
    return 0;
}

ASYNC_TEST(lack_of_memory_loses_only_the_message)
{
    with_each_allocation_failing(fail_in_a_task);
    return 0;
}

COSY_TEST_MAIN("error", try_gives_the_value_or_leaves, message_is_of_its_code, long_messages_are_cut,
               places_are_told_outermost_first, many_places_are_counted,
               an_error_without_a_message_is_told_by_its_number, an_old_message_is_not_told_of_another_code,
               an_ignored_message_is_not_told_of_a_deeper_failure, a_new_failure_forgets_the_old_places,
               message_and_places_cross_tasks, each_awaiter_gets_the_message, message_of_a_future_crosses,
               tasks_do_not_see_each_others_errors, a_handled_message_is_not_the_tasks, long_chains_of_tasks_are_told,
               message_leaves_the_run, errors_need_no_loop, a_thread_without_tasks_takes_its_message_along,
               lack_of_memory_loses_only_the_message)
