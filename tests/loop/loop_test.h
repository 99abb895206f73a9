/* loop_test.h - what the tests of the loop's rooms share: a loop of the chosen backend, a trace of what ran, the log.
 *
 * Everything is static: each program uses a part of it. */
#ifndef COSY_TESTS_LOOP_TEST_H
#define COSY_TESTS_LOOP_TEST_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cosy/log.h>
#include <cosy/loop.h>

#include "../../src/base/heap.h"
#include "../../src/loop/context.h"
#include "../../src/loop/loop.h"
#include "../harness/tool.h"

#define LOCAL static __attribute__((unused))

/* For inner loops: ck_assert writes to a pipe each time that it holds. */
#define hold(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg("'%s' does not hold", #condition);                                                            \
    } while (0)

/* ---- loops ---- */

#define new_loop(...)                                                                                                  \
    __extension__({                                                                                                    \
        cosy_loop *new_loop_ = NULL;                                                                                   \
        ck_assert_int_eq(cosy_loop_new(&new_loop_, __VA_ARGS__), 0);                                                   \
        new_loop_;                                                                                                     \
    })

LOCAL bool is_sim(const cosy_loop *loop)
{
    return strcmp(cosy_loop_backend_name(loop), "sim") == 0;
}

LOCAL void stop(void *arg)
{
    cosy_loop_stop(arg);
}

LOCAL void count(void *arg)
{
    ++*(int *)arg;
}

LOCAL struct cosy_loop_stats stats_of(const cosy_loop *loop)
{
    struct cosy_loop_stats stats;
    cosy_loop_get_stats(loop, &stats);
    return stats;
}

/* Time that costs nothing on the simulated kernel. */
LOCAL void let_pass(cosy_loop *loop, cosy_ns time)
{
    if (is_sim(loop))
        cosy_sim_advance(loop->sys, time);
    else
        usleep((useconds_t)(time / 1000 + 1));
}

/* ---- a trace: each step that runs adds its letter ---- */

static struct {
    char text[4096];
    size_t length;
} trace;

LOCAL void trace_clear(void)
{
    memset(&trace, 0, sizeof trace);
}

LOCAL void trace_add(char letter)
{
    ck_assert_uint_lt(trace.length, sizeof trace.text - 1);
    trace.text[trace.length++] = letter;
}

/* A callback; its argument is the letter: trace_letter with L('a'). */
#define L(letter) ((void *)(intptr_t)(letter))
LOCAL void trace_letter(void *arg)
{
    trace_add((char)(intptr_t)arg);
}

/* ---- the log ---- */

static struct {
    pthread_mutex_t lock;
    int messages;
    enum cosy_log_level level; /* of the last one */
    char last[8192];
} logged = {.lock = PTHREAD_MUTEX_INITIALIZER};

LOCAL void log_to_memory(enum cosy_log_level level, const char *text, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&logged.lock);
    logged.messages++;
    logged.level = level;
    snprintf(logged.last, sizeof logged.last, "%s", text);
    pthread_mutex_unlock(&logged.lock);
}

LOCAL void capture_log(void)
{
    logged.messages = 0;
    logged.last[0] = 0;
    cosy_set_log_sink(log_to_memory, NULL);
}

/* ---- leaks ---- */

LOCAL int entries_of(const char *directory)
{
    DIR *dir = opendir(directory);
    int entries = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        entries += entry->d_name[0] != '.';
    closedir(dir);
    return entries - 1; /* this one */
}

LOCAL int open_descriptors(void)
{
    return entries_of("/proc/self/fd");
}

/* Calls step(arg) with the first allocation failing, then the second, ... until one call needs no more. The step
 * returns -ENOMEM, or 0 or more when it got through; it cleans up in both cases. */
LOCAL void each_allocation_fails(int (*step)(void *arg), void *arg)
{
    step(arg); /* what is made once stays out of the count */
    int descriptors = open_descriptors();
    for (long n = 1;; n++) {
        ck_assert_int_lt(n, 200);
        cosy_heap_fail_nth(n, false);
        int result = step(arg);
        long asked = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_int_eq(open_descriptors(), descriptors);
        if (asked < n) {
            ck_assert_int_ge(result, 0);
            return;
        }
        ck_assert_msg(result == -ENOMEM || result >= 0, "allocation %ld: %d", n, result);
    }
}

/* ---- descriptors ---- */

LOCAL void make_pair(int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}
LOCAL void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}
LOCAL void put_byte(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}
LOCAL void take_byte(int fd)
{
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

/* ---- running a program's suite ---- */

/* Around each test: under valgrind all run in one process. */
LOCAL void forget_the_last_test(void)
{
    cosy_context_slot_clear(&cosy_thread_.context);
    cosy_set_log_sink(NULL, NULL);
    cosy_heap_fail_nth(0, false);
}

LOCAL int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define ADD_TESTS(suite, name, ...)                                                                                    \
    do {                                                                                                               \
        TCase *case_ = tcase_create(name);                                                                             \
        tcase_add_checked_fixture(case_, forget_the_last_test, forget_the_last_test);                                  \
        const TTest *const tests_[] = {__VA_ARGS__};                                                                   \
        for (size_t i_ = 0; i_ < sizeof tests_ / sizeof tests_[0]; i_++)                                               \
            tcase_add_test(case_, tests_[i_]);                                                                         \
        tcase_set_timeout(case_, 30);                                                                                  \
        suite_add_tcase((suite), case_);                                                                               \
    } while (0)

#endif
