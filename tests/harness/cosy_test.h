/* cosy_test.h - what the test programs share: async tests, captured messages, notes of events, children, leak counts.
 *
 *     ASYNC_TEST(sleep_takes_its_time) { ...; return 0; }          the body runs as a main task; it must return 0
 *     COSY_TEST_MAIN("task", sleep_takes_its_time, ...)
 *
 * Assertions work in tasks too: in fork mode a failing one ends the test's process.
 */
#ifndef COSY_TESTS_HARNESS_H
#define COSY_TESTS_HARNESS_H

#include <cosy.h>

#include <check.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "tool.h"

#define HARNESS __attribute__((unused)) static

HARNESS char noted[4096];   /* by note() */
HARNESS char logged[16384]; /* after capture_log() */

/* A string as a callback's argument. */
#define TEXT(literal) ((void *)(uintptr_t)(literal))

/* A test whose body is an async function: it runs under cosy_run and must come to 0. */
#define ASYNC_TEST(name)                                                                                               \
    static int name##_body(void);                                                                                      \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        ck_assert_int_eq(cosy_run(name##_body), 0);                                                                    \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    static int name##_body(void)

/* The program: one suite, its tests in order. */
#define COSY_TEST_MAIN(suite_name, ...)                                                                                \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        return cosy_test_main(suite_name, tests, sizeof tests / sizeof *tests);                                        \
    }

/* Without forking, a test begins where the one before left the process. */
static void begin_test(void)
{
    noted[0] = logged[0] = '\0';
    cosy_set_log_sink(NULL, NULL);
    cosy_set_coroutine_origin_tracking_depth(0);
    cosy_heap_fail_nth(0, false);
}

HARNESS int cosy_test_main(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < count; i++) { /* a case each, so that a report says which test it was */
        TCase *tcase = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(tcase, begin_test, NULL);
        tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

/* ---- where the program runs ---- */

HARNESS bool on_simulator(void)
{
    return strcmp(cosy_loop_backend_name(cosy_running_loop()), "sim") == 0;
}

/* ---- events, in their order ---- */

HARNESS __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
    size_t size = strlen(noted);
    va_list args;
    if (size > 0 && size + 1 < sizeof noted)
        noted[size++] = ' ';
    va_start(args, format);
    vsnprintf(noted + size, sizeof noted - size, format, args);
    va_end(args);
}

/* What was noted since the last look: ck_assert_noted("a b c"). */
#define ck_assert_noted(expected)                                                                                      \
    do {                                                                                                               \
        ck_assert_str_eq(noted, expected);                                                                             \
        noted[0] = '\0';                                                                                               \
    } while (0)

/* ---- the library's messages ---- */

HARNESS void keep_log(enum cosy_log_level level, const char *text, void *arg)
{
    (void)level;
    (void)arg;
    size_t size = strlen(logged);
    snprintf(logged + size, sizeof logged - size, "%s\n", text);
}

/* From here on messages go to `logged`. */
HARNESS void capture_log(void)
{
    logged[0] = '\0';
    cosy_set_log_sink(keep_log, NULL);
}

HARNESS int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

#define ck_assert_contains(text, part)                                                                                 \
    ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" is not in:\n%s", (part), (text))
#define ck_assert_lacks(text, part) ck_assert_msg(strstr((text), (part)) == NULL, "\"%s\" is in:\n%s", (part), (text))

/* What a function writes to a stream, as text to be freed. */
HARNESS char *written_by(void (*fn)(FILE *stream))
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(stream);
    fn(stream);
    fclose(stream);
    return text;
}

/* ---- children: programs that are expected to die ---- */

struct child_end {
    int status;       /* as waitpid tells */
    char error[8192]; /* what it wrote to standard error */
};

/* Runs fn in a process of its own, whose exit status is fn's result. */
HARNESS void run_child(int (*fn)(void), struct child_end *ret_end)
{
    int ends[2];
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        int status = fn();
        fflush(NULL);
        _exit(status);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(ends[0], ret_end->error + size, sizeof ret_end->error - 1 - size)) > 0;)
        size += (size_t)n;
    ret_end->error[size] = '\0';
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &ret_end->status, 0), pid);
}

/* ---- leaks and lack of memory ---- */

HARNESS int entries_of(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

HARNESS int open_descriptors(void)
{
    return entries_of("/proc/self/fd");
}
HARNESS int live_threads(void)
{
    return entries_of("/proc/self/task");
}

/* Calls fn with the first, the second, ... allocation failing until it gets through without one (returns 0). Each
 * failed attempt must come to -ENOMEM, and leave descriptors and threads as they were. */
HARNESS void with_each_allocation_failing(int (*fn)(void))
{
    ck_assert_int_eq(fn(), 0); /* pools fill up */
    int descriptors = open_descriptors(), threads = live_threads(), result = -ENOMEM;
    long n = 1;
    for (; result != 0 && n < 1000; n++) {
        cosy_heap_fail_nth(n, false);
        result = fn();
        long counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        if (counted < n)
            ck_assert_int_eq(result, 0);
        else
            ck_assert_msg(result == 0 || result == -ENOMEM, "allocation %ld: %s", n, cosy_errname(result));
        if (counted >= n && result == 0)
            result = -ENOMEM; /* one that the library can do without */
    }
    ck_assert_int_lt(n, 1000);
    ck_assert_int_eq(open_descriptors(), descriptors);
    ck_assert_int_eq(live_threads(), threads);
}

#endif
