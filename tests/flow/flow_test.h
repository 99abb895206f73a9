/* flow_test.h - what the tests of this floor share: a body that runs as the main task of a loop, a trace of what
 * happened, and books on what the library logged and what it left behind. */
#ifndef COSY_TESTS_FLOW_TEST_H
#define COSY_TESTS_FLOW_TEST_H

#include <check.h>
#include <cosy.h>

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../harness/tool.h"
#include "base/heap.h"

/* ---- a trace: say("a%d", 1); said("a1 b") ---- */

static char trace[4096];

__attribute__((unused, format(printf, 1, 2))) static void say(const char *format, ...)
{
    size_t used = strlen(trace);
    va_list args;
    if (used > 0 && used + 1 < sizeof trace)
        trace[used++] = ' ';
    va_start(args, format);
    vsnprintf(trace + used, sizeof trace - used, format, args);
    va_end(args);
}

#define said(text)                                                                                                     \
    do {                                                                                                               \
        ck_assert_str_eq(trace, (text));                                                                               \
        trace[0] = 0;                                                                                                  \
    } while (0)

/* ---- what the library logged ---- */

static char logged[16384];

static void keep_log(enum cosy_log_level level, const char *text, void *arg)
{
    (void)arg;
    if (level < COSY_LOG_WARNING)
        return;
    size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", text);
}

/* That a message was logged; forgets it all. */
__attribute__((unused)) static void logs(const char *part)
{
    ck_assert_msg(strstr(logged, part) != NULL, "not logged: \"%s\"; but: \"%s\"", part, logged);
    logged[0] = 0;
}

/* ---- books ---- */

__attribute__((unused)) static int entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* But those that debug mode keeps open to name places: the program's own file, libraries, and what tells their
 * symbols. */
__attribute__((unused)) static int open_descriptors(void)
{
    char program[1024] = "", target[1024];
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    (void)!readlink("/proc/self/exe", program, sizeof program - 1);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        count += strcmp(target, program) != 0 && !strstr(target, ".so") && !strstr(target, ".debug");
    }
    if (dir)
        closedir(dir);
    return count;
}

static cosy_loop *loop_now(void)
{
    return cosy_running_loop();
}

__attribute__((unused)) static cosy_ns now(void)
{
    return cosy_loop_time(loop_now());
}

__attribute__((unused)) static bool simulated(void)
{
    return strcmp(cosy_loop_backend_name(loop_now()), "sim") == 0;
}

__attribute__((unused)) static uint64_t turns(void)
{
    struct cosy_loop_stats stats;
    cosy_loop_get_stats(loop_now(), &stats);
    return stats.turns;
}

__attribute__((unused)) static size_t timers(void)
{
    struct cosy_loop_stats stats;
    cosy_loop_get_stats(loop_now(), &stats);
    return stats.timers;
}

static bool gate_open;

/* For each test: without forks they share these. */
static void begin_test(void)
{
#ifdef COSY_TEST_BEGINS
    COSY_TEST_BEGINS();
#endif
    cosy_set_log_sink(keep_log, NULL);
    gate_open = false;
    trace[0] = logged[0] = 0;
}

/* Runs a test's body, and checks that it leaves no descriptor, thread or timer behind and that nothing was logged that
 * the body did not ask for with logs(). */
__attribute__((unused)) static void run_body(cosy_coro *(*make)(void))
{
    begin_test();
    int fds = open_descriptors(), threads = entries("/proc/self/task");
    int result = cosy_run_(make(), NULL);
    ck_assert_msg(result == 0, "the body came to %d (%s): %s", result, cosy_errname(result), cosy_strerror(result));
    ck_assert_int_eq(open_descriptors(), fds);
    for (int ms = 0; ms < 1000 && entries("/proc/self/task") > threads; ms++)
        usleep(1000); /* one that was joined is listed a little longer */
    ck_assert_int_le(entries("/proc/self/task"), threads);
    ck_assert_str_eq(logged, "");
    ck_assert_str_eq(trace, "");
}

/* TASK_TEST(name) { ...; return 0; }: a test whose body is the main task of a loop. */
#define TASK_TEST(name)                                                                                                \
    cosy_async static int name##_body(void);                                                                           \
    static cosy_coro *name##_make(void)                                                                                \
    {                                                                                                                  \
        return cosy_call(name##_body);                                                                                 \
    }                                                                                                                  \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        run_body(name##_make);                                                                                         \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    cosy_async static int name##_body(void)

/* A scenario with the n-th allocation failing, for n = 1, 2, ... until it passes undisturbed. It must come to 0 then,
 * and to an error, or to 0 where the library got by, before. Leaks show under LSan and valgrind; descriptors here. */
__attribute__((unused)) static void starve(int (*scenario)(void))
{
    begin_test();
    ck_assert_int_eq(scenario(), 0); /* so that what is pooled is there */
    int fds = open_descriptors();
    for (long n = 1;; n++) {
        cosy_heap_fail_nth(n, false);
        int result = scenario();
        long counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_int_eq(open_descriptors(), fds);
        if (counted < n) {
            ck_assert_int_eq(result, 0);
            break;
        }
        ck_assert_msg(result == 0 || result == -ENOMEM, "allocation %ld failing gave %s", n, cosy_errname(result));
        ck_assert_int_lt(n, 2000);
    }
    logged[0] = 0;
}

/* ---- small async functions ---- */

cosy_async __attribute__((unused)) static int give(int value)
{
    return value;
}

cosy_async __attribute__((unused)) static int give_later(cosy_ns delay, int value)
{
    int result = cosy_sleep(delay);
    return result < 0 ? result : value;
}

cosy_async __attribute__((unused)) static int fail_with(int code)
{
    return cosy_fail(code, "as asked");
}

cosy_async __attribute__((unused)) static int fail_later(cosy_ns delay, int code)
{
    int result = cosy_sleep(delay);
    return result < 0 ? result : cosy_fail(code, "as asked");
}

/* Waits long, and answers a cancel with `value` (which may be an error of its own). */
cosy_async __attribute__((unused)) static int swallow(int value)
{
    (void)cosy_sleep(COSY_S(1000));
    return value;
}

/* A clean-up that takes time; says that it went through. */
cosy_async __attribute__((unused)) static int slow_cleanup(cosy_ns delay, const char *name)
{
    int result = cosy_sleep(COSY_S(1000));
    int slept = cosy_sleep(delay);
    say("%s cleaned%s", name, slept < 0 ? " badly" : "");
    return result;
}

/* The same, until gate_open: no clock decides how far it is. */
cosy_async __attribute__((unused)) static int gated_cleanup(const char *name)
{
    int result = cosy_sleep(COSY_S(1000)), slept = 0;
    while (!gate_open && slept == 0)
        slept = cosy_sleep(COSY_NS(100)); /* not a yield: virtual time must pass for the others */
    say("%s cleaned%s", name, slept < 0 ? " badly" : "");
    return result;
}

cosy_async __attribute__((unused)) static void let_all_run(int how_often)
{
    while (how_often-- > 0)
        ck_assert_int_eq(cosy_yield(), 0);
}

/* ---- the program ---- */

__attribute__((unused)) static int run_tests(const char *room, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(room);
    TCase *cases = tcase_create(room);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define TESTS_MAIN(room, ...)                                                                                          \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        return run_tests(room, tests, sizeof tests / sizeof *tests);                                                   \
    }

#endif
