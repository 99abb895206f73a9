/* sys_test.h - what the tests of sys.h share: a kernel of each kind, pipes and sockets to watch, and the program around
 * the tests. A backend that the kernel refuses is skipped, and the program then ends with 77 ("skipped") rather than 0.
 *
 * Everything is static: each program uses a part of it. */
#ifndef COSY_TESTS_SYS_TEST_H
#define COSY_TESTS_SYS_TEST_H

#include <check.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../src/base/heap.h"
#include "../../src/sys/spin.h"
#include "../../src/sys/sys.h"
#include "../harness/tool.h"

#if COSY_HAVE_LIBURING
#include <liburing.h>
#endif

#define LOCAL static __attribute__((unused))

enum { SKIPPED = 77, EVENTS = 64 };

LOCAL const enum cosy_sys_kind kinds[] = {COSY_SYS_URING, COSY_SYS_EPOLL, COSY_SYS_SIM};
LOCAL const char *const names[] = {"uring", "epoll", "sim"};

/* The loop variable of the tests that run on each backend. */
LOCAL bool is_uring(int backend)
{
    return kinds[backend] == COSY_SYS_URING;
}
LOCAL bool is_sim(int backend)
{
    return kinds[backend] == COSY_SYS_SIM;
}

/* ---- helpers ---- */

LOCAL struct cosy_sys *open_spinning(int backend, cosy_ns spin)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_config config = {.kind = kinds[backend], .seed = 1, .spin = spin};
    ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    ck_assert_str_eq(sys->ops->name, names[backend]);
    return sys;
}

LOCAL struct cosy_sys *open_backend(int backend)
{
    return open_spinning(backend, 0);
}

LOCAL cosy_ns now_of(struct cosy_sys *sys)
{
    return sys->ops->now(sys);
}

LOCAL int look(struct cosy_sys *sys, struct cosy_sys_event *events)
{
    return sys->ops->wait(sys, 0, events, EVENTS);
}

/* Waits for events, up to a time that only a failing test reaches; passes over spurious returns. */
LOCAL int wait_long(struct cosy_sys *sys, struct cosy_sys_event *events)
{
    cosy_ns deadline = now_of(sys) + COSY_S(10);
    int count;
    do
        count = sys->ops->wait(sys, deadline, events, EVENTS);
    while (count == 0 && now_of(sys) < deadline);
    return count;
}

/* What is reported for `data` by one look; 0: nothing. */
LOCAL unsigned seen_now(struct cosy_sys *sys, void *data)
{
    struct cosy_sys_event events[EVENTS];
    unsigned seen = 0;
    int count = look(sys, events);
    ck_assert_int_ge(count, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data == data) {
            ck_assert_uint_eq(seen, 0); /* once per wait */
            seen = events[i].events;
            ck_assert_uint_ne(seen, 0);
        }
    return seen;
}

LOCAL uint64_t watch(struct cosy_sys *sys, int fd, unsigned events, void *data)
{
    uint64_t id = 0;
    ck_assert_int_eq(sys->ops->watch(sys, fd, events, data, &id), 0);
    ck_assert_uint_ne(id, 0);
    return id;
}

LOCAL int refused(struct cosy_sys *sys, int fd)
{
    uint64_t id = 12345;
    int error = sys->ops->watch(sys, fd, COSY_SYS_READ, NULL, &id);
    ck_assert_int_lt(error, 0);
    ck_assert_uint_eq(id, 12345); /* untouched on failure */
    return error;
}

struct pair {
    int in, out;
};

LOCAL struct pair make_pipe(void)
{
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct pair){fds[0], fds[1]};
}

LOCAL struct pair make_sockets(void)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return (struct pair){fds[0], fds[1]};
}

LOCAL void put(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}

LOCAL void take(int fd)
{
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

LOCAL void close_pair(struct pair pair)
{
    close(pair.in);
    close(pair.out);
}

LOCAL int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* System calls of the floor, without making any fail. */
LOCAL void count_calls(void)
{
    cosy_sys_fail_nth(LONG_MAX, EIO);
}

LOCAL long calls_counted(void)
{
    cosy_sys_fail_nth(0, 0);
    return cosy_sys_counted();
}

LOCAL cosy_ns clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (cosy_ns)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* As a foreign loop sees it. */
LOCAL bool readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

/* A thread that uses a kernel which another opened. */
struct visit {
    struct cosy_sys *sys;
    struct pair pipe;
    void *mark;
};

LOCAL void *visit(void *argument)
{
    struct visit *self = argument;
    ck_assert_uint_eq(seen_now(self->sys, self->mark), 0);
    put(self->pipe.out);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(wait_long(self->sys, events), 1);
    ck_assert_ptr_eq(events[0].data, self->mark);
    take(self->pipe.in);
    ck_assert_uint_eq(seen_now(self->sys, self->mark), 0);
    return NULL;
}

/* ---- the program ---- */

/* 0 where io_uring has to work, else why not. The kernel is asked without the code under test. */
LOCAL int uring_refusal(void)
{
#if COSY_HAVE_LIBURING
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    long fd = syscall(__NR_io_uring_setup, 4, &params);
    if (fd < 0)
        return errno == ENOSYS || errno == EPERM || errno == EACCES ? errno : 0;
    close((int)fd);
    return 0;
#else
    return ENOSYS;
#endif
}

LOCAL bool have_uring;

/* Before the tests are added: those of io_uring are left out where the kernel refuses it. */
LOCAL Suite *create_suite(const char *name)
{
    have_uring = uring_refusal() == 0;
    unsetenv("COSY_BACKEND"); /* each test says what it wants */
    return suite_create(name);
}

/* Adds a test that runs on each backend, its number in _i. */
#define ON_EACH(test) tcase_add_loop_test(each, test, have_uring ? 0 : 1, COUNT_OF(kinds))

LOCAL int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed)
        return 1;
    if (!have_uring)
        printf("skipped: the tests of io_uring (%s)\n", strerror(uring_refusal()));
    return have_uring ? 0 : SKIPPED;
}

#endif
