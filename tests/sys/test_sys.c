/* Each sentence of sys.h, on each backend. A backend that the kernel refuses is skipped, and the program then
 * ends with 77 ("skipped") rather than 0. */
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

enum { SKIPPED = 77, EVENTS = 64 };

static const enum cosy_sys_kind kinds[] = {COSY_SYS_URING, COSY_SYS_EPOLL, COSY_SYS_SIM};
static const char *const names[] = {"uring", "epoll", "sim"};

/* The loop variable of the tests that run on each backend. */
static bool is_uring(int backend)
{
    return kinds[backend] == COSY_SYS_URING;
}
static bool is_sim(int backend)
{
    return kinds[backend] == COSY_SYS_SIM;
}

/* ---- helpers ---- */

static struct cosy_sys *open_spinning(int backend, cosy_ns spin)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_config config = {.kind = kinds[backend], .seed = 1, .spin = spin};
    ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    ck_assert_str_eq(sys->ops->name, names[backend]);
    return sys;
}

static struct cosy_sys *open_backend(int backend)
{
    return open_spinning(backend, 0);
}

static cosy_ns now_of(struct cosy_sys *sys)
{
    return sys->ops->now(sys);
}

static int look(struct cosy_sys *sys, struct cosy_sys_event *events)
{
    return sys->ops->wait(sys, 0, events, EVENTS);
}

/* Waits for events, up to a time that only a failing test reaches; passes over spurious returns. */
static int wait_long(struct cosy_sys *sys, struct cosy_sys_event *events)
{
    cosy_ns deadline = now_of(sys) + COSY_S(10);
    int count;
    do
        count = sys->ops->wait(sys, deadline, events, EVENTS);
    while (count == 0 && now_of(sys) < deadline);
    return count;
}

/* What is reported for `data` by one look; 0: nothing. */
static unsigned seen_now(struct cosy_sys *sys, void *data)
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

static uint64_t watch(struct cosy_sys *sys, int fd, unsigned events, void *data)
{
    uint64_t id = 0;
    ck_assert_int_eq(sys->ops->watch(sys, fd, events, data, &id), 0);
    ck_assert_uint_ne(id, 0);
    return id;
}

static int refused(struct cosy_sys *sys, int fd)
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

static struct pair make_pipe(void)
{
    int fds[2];
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct pair){fds[0], fds[1]};
}

static struct pair make_sockets(void)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return (struct pair){fds[0], fds[1]};
}

static void put(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}

static void take(int fd)
{
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

static void close_pair(struct pair pair)
{
    close(pair.in);
    close(pair.out);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* valgrind runs one thread at a time, in long slices. */
/* System calls of the floor, without making any fail. */
static void count_calls(void)
{
    cosy_sys_fail_nth(LONG_MAX, EIO);
}

static long calls_counted(void)
{
    cosy_sys_fail_nth(0, 0);
    return cosy_sys_counted();
}

static cosy_ns clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (cosy_ns)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- time ---- */

START_TEST(clock_does_not_go_back_and_past_deadlines_do_not_block)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    cosy_ns before = now_of(sys);
    ck_assert_int_gt(before, 0);
    for (int i = 0; i < 100; i++) {
        cosy_ns now = now_of(sys);
        ck_assert_int_ge(now, before);
        before = now;
    }
    if (!is_sim(_i)) {
        ck_assert_int_le(before, clock_ns(CLOCK_MONOTONIC));
        ck_assert_int_gt(before, clock_ns(CLOCK_MONOTONIC) - COSY_S(5));
    }
    ck_assert_int_eq(sys->ops->wait(sys, before, events, EVENTS), 0);
    ck_assert_int_eq(sys->ops->wait(sys, before - 5, events, 1), 0);
    ck_assert_int_eq(sys->ops->wait(sys, -1, events, 1), 0);
    ck_assert_int_eq(sys->ops->wait(sys, INT64_MIN, events, 1), 0);
    sys->ops->close(sys);
}
END_TEST

static void check_deadlines(int backend, cosy_ns spin)
{
    static const cosy_ns lengths[] = {1, 999, 1000, 20000, 300001, 12345, 1000000, 1000001, 5500000, 60000001};
    struct cosy_sys *sys = open_spinning(backend, spin);
    struct cosy_sys_event events[EVENTS];
    int spurious = 0;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        cosy_ns deadline = now_of(sys) + lengths[i];
        do {
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
            spurious += now_of(sys) < deadline;
        } while (now_of(sys) < deadline);
        ck_assert_int_lt(now_of(sys), deadline + COSY_S(5));
    }
    ck_assert_int_le(spurious, 1); /* nothing happens here that would end a wait */
    sys->ops->close(sys);
}

START_TEST(wait_is_never_early)
{
    check_deadlines(_i, 0);
}
END_TEST

START_TEST(wait_is_never_early_when_it_spins)
{
    check_deadlines(_i, COSY_US(50));
}
END_TEST

/* ---- readiness ---- */

START_TEST(readiness_is_reported_by_each_wait_while_it_lasts)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    put(pipe.out);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    take(pipe.in);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    put(pipe.out);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(readiness_that_passed_is_not_reported)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(pipe.out); /* the kernel notes it ... */
        take(pipe.in); /* ... and the program was faster */
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(pipe.out);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        take(pipe.in);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(reading_and_writing_are_told_apart)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair sockets = make_sockets();
    int mark;
    uint64_t id = watch(sys, sockets.in, COSY_SYS_READ | COSY_SYS_WRITE, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_WRITE);
    put(sockets.out);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ | COSY_SYS_WRITE);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_WRITE);
    take(sockets.in);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    close_pair(sockets);
    sys->ops->close(sys);
}
END_TEST

START_TEST(rewatch_with_nothing_keeps_the_registration_silent)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
    put(pipe.out);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
    for (int i = 0; i < 3; i++) { /* on and off, before and after the kernel has told */
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    }
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 64), -EINVAL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* A hangup lasts: it must neither be reported to who wants nothing, nor keep wait() running in circles. */
START_TEST(hangup_is_silent_and_free_when_nothing_is_wanted)
{
    for (int armed = 0; armed < 2; armed++) {
        struct cosy_sys *sys = open_backend(_i);
        struct cosy_sys_event events[EVENTS];
        struct pair pipe = make_pipe();
        int mark;
        uint64_t id = watch(sys, pipe.in, armed ? COSY_SYS_READ : 0, &mark);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        close(pipe.out);
        count_calls();
        cosy_ns deadline = now_of(sys) + COSY_MS(300);
        while (now_of(sys) < deadline)
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        ck_assert_int_lt(calls_counted(), 20);
        ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, armed ? COSY_SYS_HANGUP : COSY_SYS_READ), 0);
        for (int i = 0; i < 3; i++)
            ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_HANGUP);
        close(pipe.in);
        sys->ops->close(sys);
    }
}
END_TEST

START_TEST(errors_and_hangups_are_always_reported)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_pipe(), second = make_pipe();
    int reader, writer;
    watch(sys, first.in, COSY_SYS_READ, &reader);
    watch(sys, second.out, COSY_SYS_HANGUP, &writer);
    ck_assert_uint_eq(seen_now(sys, &reader), 0);
    ck_assert_uint_eq(seen_now(sys, &writer), 0);
    put(first.out);
    close(first.out);
    close(second.in);
    ck_assert_uint_eq(seen_now(sys, &reader), COSY_SYS_READ | COSY_SYS_HANGUP);
    ck_assert_uint_eq(seen_now(sys, &writer), COSY_SYS_ERROR);
    close(first.in);
    close(second.out);
    sys->ops->close(sys);
}
END_TEST

START_TEST(wait_blocks_until_there_is_an_event)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    struct cosy_sys_event events[EVENTS];
    int mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        usleep(20000);
        _exit(write(pipe.out, "x", 1) == 1 ? 0 : 1);
    }
    int count;
    while ((count = sys->ops->wait(sys, COSY_NEVER, events, EVENTS)) == 0)
        ;
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &mark);
    ck_assert_uint_eq(events[0].events, COSY_SYS_READ);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* ---- registrations ---- */

START_TEST(unwatch_ends_reports_and_ids)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_pipe(), second = make_pipe();
    int one, two;
    for (int armed = 0; armed < 3; armed++) { /* before the kernel knows of it, armed, and after a report */
        uint64_t id = watch(sys, first.in, COSY_SYS_READ, &one);
        if (armed)
            ck_assert_uint_eq(seen_now(sys, &one), 0);
        put(first.out);
        if (armed == 2)
            ck_assert_uint_eq(seen_now(sys, &one), COSY_SYS_READ);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), -ENOENT);
        /* Takes the same place in the table: what is still under way for the old one is not for it. */
        uint64_t other = watch(sys, second.in, COSY_SYS_READ, &two);
        ck_assert_uint_ne(other, id);
        struct cosy_sys_event events[EVENTS];
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(look(sys, events), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
        ck_assert_int_eq(sys->ops->unwatch(sys, other), 0);
        take(first.in);
    }
    ck_assert_int_eq(sys->ops->unwatch(sys, 0), -ENOENT);
    ck_assert_int_eq(sys->ops->unwatch(sys, UINT64_MAX), -ENOENT);
    close_pair(first);
    close_pair(second);
    sys->ops->close(sys);
}
END_TEST

START_TEST(what_cannot_be_watched_is_refused)
{
    struct cosy_sys *sys = open_backend(_i);
    char path[] = "/tmp/cosy-test-XXXXXX";
    int file = mkstemp(path), dir = open("/", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    unlink(path);
    ck_assert_int_eq(refused(sys, file), -EPERM);
    ck_assert_int_eq(refused(sys, dir), -EPERM);
    ck_assert_int_eq(refused(sys, null), -EPERM);
    close(file);
    close(dir);
    close(null);
    ck_assert_int_eq(refused(sys, null), -EBADF);
    ck_assert_int_eq(refused(sys, -1), -EBADF);
    ck_assert_int_eq(refused(sys, 1 << 27), -EBADF);
    ck_assert_int_eq(refused(sys, INT32_MAX), -EBADF);

    struct pair pipe = make_pipe();
    uint64_t id, first = watch(sys, pipe.in, COSY_SYS_READ, NULL);
    ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
    ck_assert_int_eq(sys->ops->watch(sys, pipe.out, COSY_SYS_INVALID, NULL, &id), -EINVAL);
    ck_assert_int_eq(sys->ops->unwatch(sys, first), 0);
    watch(sys, pipe.in, COSY_SYS_READ, NULL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(anonymous_descriptors_can_be_watched)
{
    struct cosy_sys *sys = open_backend(_i);
    int counter = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), mark;
    ck_assert_int_ge(counter, 0);
    watch(sys, counter, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close(counter);
    sys->ops->close(sys);
}
END_TEST

/* io_uring may tell once what happened to the old file before it notices that the number is closed. */
START_TEST(a_descriptor_closed_while_watched_falls_silent)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    int mark, invalid = 0, other = 0;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    close(pipe.in);
    signal(SIGPIPE, SIG_IGN);
    ck_assert(write(pipe.out, "x", 1) == 1 || errno == EPIPE);
    count_calls();
    cosy_ns deadline = now_of(sys) + COSY_MS(200);
    while (now_of(sys) < deadline) {
        int count = sys->ops->wait(sys, deadline, events, EVENTS);
        ck_assert_int_ge(count, 0);
        for (int i = 0; i < count; i++) {
            ck_assert_int_eq(invalid, 0); /* it is the last word */
            events[i].events == COSY_SYS_INVALID ? invalid++ : other++;
        }
    }
    ck_assert_int_le(invalid, 1);
    ck_assert_int_le(other, is_uring(_i) ? 1 : 0);
    ck_assert_int_lt(calls_counted(), 20);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
    close(pipe.out);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_number_used_again_is_another_registration)
{
    for (int armed = 0; armed < 2; armed++) {
        struct cosy_sys *sys = open_backend(_i);
        struct pair old = make_pipe(), fresh = make_pipe();
        int one, two;
        uint64_t stale = watch(sys, old.in, COSY_SYS_READ, &one);
        if (armed)
            ck_assert_uint_eq(seen_now(sys, &one), 0);
        ck_assert_int_eq(dup2(fresh.in, old.in), old.in); /* closes the old file, takes its number */
        uint64_t id = watch(sys, old.in, COSY_SYS_READ, &two);
        ck_assert_int_eq(sys->ops->rewatch(sys, stale, COSY_SYS_READ), -ENOENT);
        ck_assert_int_eq(sys->ops->unwatch(sys, stale), -ENOENT);
        put(fresh.out);
        for (int i = 0; i < 3; i++) {
            struct cosy_sys_event events[EVENTS];
            ck_assert_int_eq(look(sys, events), 1);
            ck_assert_ptr_eq(events[0].data, &two);
        }
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
        close_pair(old);
        close_pair(fresh);
        sys->ops->close(sys);
    }
}
END_TEST

/* The kernel's set still holds a file whose watched number is gone but of which a copy lives. */
START_TEST(a_copy_that_lives_on_does_not_keep_wait_running)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe(), other = make_pipe();
    int mark, others;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    watch(sys, other.in, COSY_SYS_READ, &others);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    int copy = dup(pipe.in);
    close(pipe.in);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    put(pipe.out);
    count_calls();
    cosy_ns deadline = now_of(sys) + COSY_MS(200);
    while (now_of(sys) < deadline)
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
    ck_assert_int_lt(calls_counted(), 20);
    put(other.out); /* the others are still watched, and wakes still arrive */
    ck_assert_uint_eq(seen_now(sys, &others), COSY_SYS_READ);
    close(copy);
    close(pipe.out);
    close_pair(other);
    sys->ops->close(sys);
}
END_TEST

START_TEST(unwatch_and_close_let_the_file_go_at_once)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_sockets(), second = make_sockets();
    char byte;
    uint64_t id = watch(sys, first.in, COSY_SYS_READ, NULL);
    watch(sys, second.in, COSY_SYS_READ, NULL);
    ck_assert_uint_eq(seen_now(sys, sys), 0);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    close(first.in);
    ck_assert_int_eq(read(first.out, &byte, 1), 0); /* end of file, not EAGAIN */
    sys->ops->close(sys);
    close(second.in);
    ck_assert_int_eq(read(second.out, &byte, 1), 0);
    close(first.out);
    close(second.out);
}
END_TEST

/* ---- many ---- */

enum { MANY = 1000 };

static void allow_many_descriptors(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 4 * MANY && limit.rlim_max >= 4 * MANY) {
        limit.rlim_cur = 4 * MANY;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}

/* All are ready all the time and few are reported at once: nobody may starve. The sim is only fair by chance. */
static void see_all(struct cosy_sys *sys, int left, int rounds, const bool *seen, int max)
{
    static struct cosy_sys_event events[MANY];
    for (int round = 0; left && round < rounds; round++) {
        int count = sys->ops->wait(sys, 0, events, max);
        ck_assert_int_gt(count, 0);
        ck_assert_int_le(count, max);
        for (int i = 0; i < count; i++) {
            bool *mark = events[i].data;
            ck_assert(mark >= seen && mark < seen + MANY);
            left -= !*mark;
            *mark = true;
        }
    }
    ck_assert_int_eq(left, 0);
}

/* Whoever holds the file then keeps the connection open, and its peer waits for an end that does not come. */
START_TEST(an_event_under_way_does_not_keep_a_closed_file)
{
    struct cosy_sys *sys = open_backend(_i);
    int mark;
    for (int direct = 0; direct < 2; direct++) {
        char byte;
        struct pair sockets = make_sockets();
        uint64_t id = watch(sys, sockets.in, COSY_SYS_EDGE | COSY_SYS_READ, &mark);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(sockets.out); /* noted, and not yet heard of */
        if (direct)
            sys->ops->close_fd(sys, sockets.in, id);
        else {
            ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
            close(sockets.in);
        }
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ssize_t got = read(sockets.out, &byte, 1);
        ck_assert_msg(got == 0 || (got < 0 && errno == ECONNRESET), "the peer sees no end: %d", errno);
        close(sockets.out);
    }
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_thousand_descriptors_all_get_their_turn)
{
    static struct pair pipes[MANY];
    static uint64_t ids[MANY];
    static bool seen[MANY];
    struct cosy_sys_event events[EVENTS];
    struct cosy_sys *sys = open_backend(_i);
    allow_many_descriptors();
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < MANY; i++) {
        pipes[i] = make_pipe();
        ids[i] = watch(sys, pipes[i].in, COSY_SYS_READ, &seen[i]);
    }
    ck_assert_int_eq(look(sys, events), 0);
    for (int i = 0; i < MANY; i++)
        put(pipes[i].out);
    see_all(sys, MANY, is_sim(_i) ? 2000 : 200, seen, EVENTS);
    for (int i = 0; i < MANY; i++)
        take(pipes[i].in);
    ck_assert_int_eq(look(sys, events), 0); /* also what was found ready before, and was not reported */
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(sys->ops->unwatch(sys, ids[i]), 0);
    for (int i = 0; i < MANY; i++)
        put(pipes[i].out);
    memset(seen, 0, sizeof seen);
    see_all(sys, MANY / 2, 200, seen, MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(seen[i], i % 2);
    for (int i = 0; i < MANY; i++)
        close_pair(pipes[i]);
    sys->ops->close(sys);
}
END_TEST

START_TEST(one_event_at_a_time_is_fair)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event event;
    struct pair pipes[3];
    int count[3] = {0};
    for (int i = 0; i < 3; i++) {
        pipes[i] = make_pipe();
        put(pipes[i].out);
        watch(sys, pipes[i].in, COSY_SYS_READ, &count[i]);
    }
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, &event, 1), 1);
        ++*(int *)event.data;
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(count[i], is_sim(_i) ? 50 : 90);
        close_pair(pipes[i]);
    }
    sys->ops->close(sys);
}
END_TEST

/* ---- wake ---- */

START_TEST(wake_ends_the_next_wait_once)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert(sys->ops->peek(sys));
    ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0); /* or this hangs */
    ck_assert(!sys->ops->peek(sys));
    cosy_ns deadline = now_of(sys) + COSY_MS(20);
    int waits = 0;
    for (; now_of(sys) < deadline; waits++)
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
    ck_assert_int_le(waits, 2); /* they coalesce */

    errno = 1234;
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert_int_eq(errno, 1234);
    ck_assert_int_eq(look(sys, events), 0); /* takes the wake as well */
    ck_assert(!sys->ops->peek(sys));
    sys->ops->close(sys);
}
END_TEST

/* Work is handed over as a loop's inbox does it: published, then announced. Each item waits for the one before, so
 * the sleeper goes to sleep between them, and one lost wake leaves it there for good. */
struct producer {
    struct cosy_sys *sys;
    atomic_long *published, *consumed;
    long count;
    bool in_turn;
    pthread_t thread;
};

static void *produce(void *argument)
{
    struct producer *self = argument;
    for (long i = 0; i < self->count; i++) {
        long mine = atomic_fetch_add_explicit(self->published, 1, memory_order_release) + 1;
        if (self->sys->ops->wake(self->sys) != 0)
            abort();
        while (self->in_turn && atomic_load_explicit(self->consumed, memory_order_acquire) < mine)
            sched_yield();
    }
    return NULL;
}

static void check_no_wake_is_lost(int backend, cosy_ns spin, int threads, bool in_turn)
{
    struct cosy_sys *sys = open_spinning(backend, spin);
    struct cosy_sys_event events[EVENTS];
    atomic_long published = 0, consumed = 0;
    struct producer producers[3];
    const long count = (in_turn ? 2000 : 20000) / (under_valgrind() ? 50 : 1);
    for (int i = 0; i < threads; i++) {
        producers[i] = (struct producer){sys, &published, &consumed, count, in_turn, 0};
        ck_assert_int_eq(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    while (atomic_load_explicit(&consumed, memory_order_relaxed) < threads * count) {
        cosy_ns deadline = is_sim(backend) ? COSY_NEVER : now_of(sys) + COSY_S(10);
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        ck_assert_int_lt(now_of(sys), deadline); /* slept over its work */
        long work = atomic_load_explicit(&published, memory_order_acquire);
        atomic_store_explicit(&consumed, work, memory_order_release);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(producers[i].thread, NULL);
    sys->ops->close(sys);
}

START_TEST(no_wake_is_lost_when_the_sleeper_sleeps)
{
    check_no_wake_is_lost(_i, 0, 1, true);
}
END_TEST

START_TEST(no_wake_is_lost_when_the_sleeper_spins)
{
    check_no_wake_is_lost(_i, COSY_US(20), 1, true);
}
END_TEST

START_TEST(no_wake_is_lost_among_many_threads)
{
    check_no_wake_is_lost(_i, 0, 3, true);
}
END_TEST

START_TEST(no_wake_is_lost_in_a_flood)
{
    check_no_wake_is_lost(_i, COSY_US(20), 3, false);
}
END_TEST

static struct cosy_sys *woken_by_signal;
static atomic_int signals;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
    if (woken_by_signal)
        woken_by_signal->ops->wake(woken_by_signal);
}

static void tick(int number, long interval_us, long times_us)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
    struct itimerval timer = {.it_interval.tv_usec = interval_us, .it_value.tv_usec = times_us};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

START_TEST(wake_works_in_a_signal_handler)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    atomic_store(&signals, 0);
    woken_by_signal = sys;
    for (int i = 1; i <= 20; i++) {
        tick(SIGALRM, 0, 1 + i * 97); /* once: if its wake were lost, nothing would come after it */
        while (atomic_load(&signals) < i)
            ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
    }
    woken_by_signal = NULL;
    signal(SIGALRM, SIG_DFL);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_signal_ends_a_wait_without_an_error)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    atomic_store(&signals, 0);
    tick(SIGALRM, 20000, 20000);
    for (int i = 0; i < 5; i++) {
        uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, NULL); /* something to submit, too */
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    }
    ck_assert_int_ge(atomic_load(&signals), 1);
    ck_assert_int_lt(atomic_load(&signals), 8); /* each ended one wait */
    tick(SIGALRM, 0, 0);
    signal(SIGALRM, SIG_DFL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(peek_reads_memory_only)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    ck_assert_uint_eq(seen_now(sys, &mark), 0); /* so that only what happens below is counted */
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    cosy_sys_fail_nth(LONG_MAX, EIO);
    ck_assert(!sys->ops->peek(sys));
    put(pipe.out);
    cosy_ns limit = clock_ns(CLOCK_MONOTONIC) + COSY_S(5);
    while (is_uring(_i) && !sys->ops->peek(sys)) /* the kernel marks the ring by itself */
        ck_assert_int_lt(clock_ns(CLOCK_MONOTONIC), limit);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert(sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sys_counted(), 0); /* a wake of who does not sleep costs nothing either */
    cosy_sys_fail_nth(0, 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_turn_costs_one_system_call)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipes[4];
    int mark;
    for (int i = 0; i < 4; i++) {
        pipes[i] = make_pipe();
        watch(sys, pipes[i].in, COSY_SYS_READ, &mark);
        put(pipes[i].out);
    }
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(look(sys, events), 4);
    cosy_sys_fail_nth(LONG_MAX, EIO);
    for (int i = 0; i < 10; i++) /* all are ready each time */
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 4);
    if (!under_valgrind()) /* which knows neither epoll_pwait2 nor how to sleep in io_uring_enter */
        ck_assert_int_eq(cosy_sys_counted(), 10);
    cosy_sys_fail_nth(0, 0);
    for (int i = 0; i < 4; i++)
        close_pair(pipes[i]);
    sys->ops->close(sys);
}
END_TEST

/* ---- embedding ---- */

static bool readable(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

START_TEST(poll_fd_tells_a_foreign_loop)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe(), second = make_pipe();
    int fd = sys->ops->poll_fd(sys), mark;
    if (is_sim(_i)) {
        ck_assert_int_eq(fd, -ENOTSUP);
        goto end;
    }
    ck_assert_int_ge(fd, 0);
    ck_assert(!readable(fd));
    watch(sys, pipe.in, COSY_SYS_READ, &mark); /* no wait in between */
    ck_assert(!readable(fd));
    put(pipe.out);
    for (int i = 0; i < 3; i++) { /* lasts as long as the readiness */
        ck_assert(readable(fd));
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    }
    take(pipe.in);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert(!readable(fd));

    ck_assert_int_eq(sys->ops->wake(sys), 0); /* nobody waits inside: still it has to be seen */
    ck_assert(readable(fd));
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));

    put(second.out);
    uint64_t id = watch(sys, second.in, 0, &mark);
    ck_assert(!readable(fd));
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert(readable(fd));
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));
end:
    close_pair(pipe);
    close_pair(second);
    sys->ops->close(sys);
}
END_TEST

static void *wake_after_a_moment(void *argument)
{
    struct cosy_sys *sys = argument;
    usleep(10000);
    sys->ops->wake(sys);
    return NULL;
}

static void *put_after_a_moment(void *argument);

/* The foreign loop sleeps when it happens: that the descriptor is readable afterwards would not help it. */
static void sleep_outside(int fd, void *(*happens)(void *), void *argument)
{
    pthread_t thread;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    ck_assert(!readable(fd));
    ck_assert_int_eq(pthread_create(&thread, NULL, happens, argument), 0);
    ck_assert_int_eq(poll(&polled, 1, 10000), 1);
    pthread_join(thread, NULL);
}

START_TEST(poll_fd_wakes_a_sleeping_foreign_loop)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    int fd = sys->ops->poll_fd(sys), mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    for (int i = 0; !is_sim(_i) && i < 3; i++) {
        sleep_outside(fd, put_after_a_moment, &pipe.out);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        take(pipe.in);
        ck_assert_int_eq(look(sys, events), 0);
        sleep_outside(fd, wake_after_a_moment, sys);
        ck_assert_int_eq(look(sys, events), 0);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(poll_fd_shows_a_wake_from_before)
{
    struct cosy_sys *sys = open_backend(_i);
    if (!is_sim(_i)) {
        ck_assert_int_eq(sys->ops->wake(sys), 0);
        int fd = sys->ops->poll_fd(sys);
        ck_assert(readable(fd));
        struct cosy_sys_event events[EVENTS];
        ck_assert_int_eq(look(sys, events), 0);
        ck_assert(!readable(fd));
    }
    sys->ops->close(sys);
}
END_TEST

/* ---- threads and processes ---- */

struct visit {
    struct cosy_sys *sys;
    struct pair pipe;
    void *mark;
};

static void *visit(void *argument)
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

START_TEST(threads_may_take_turns)
{
    struct cosy_sys *sys = open_backend(_i), *other = open_backend(_i);
    struct visit here = {.sys = sys, .pipe = make_pipe()}, aside = {.sys = other, .pipe = make_pipe()};
    here.mark = &here;
    aside.mark = &aside;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    watch(other, aside.pipe.in, COSY_SYS_READ, &aside);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, visit, &here), 0);
        pthread_join(thread, NULL);
        visit(&aside); /* an instance of this thread is not disturbed */
        if (i == 1)
            visit(&here);
    }
    sys->ops->close(sys);
    visit(&aside);
    other->ops->close(other);
    close_pair(here.pipe);
    close_pair(aside.pipe);
}
END_TEST

START_TEST(a_forked_child_may_wait_and_close)
{
    struct cosy_sys *sys = open_backend(_i);
    struct visit here = {.sys = sys, .pipe = make_pipe()};
    here.mark = &here;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    visit(&here);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct cosy_sys_event event;
        int count = write(here.pipe.out, "x", 1) == 1 ? sys->ops->wait(sys, now_of(sys) + COSY_S(9), &event, 1) : -1;
        sys->ops->close(sys);
        _exit(count == 1 && event.data == &here ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    take(here.pipe.in);
    visit(&here);
    sys->ops->close(sys);
    close_pair(here.pipe);
}
END_TEST

/* ---- failures ---- */

static int failing; /* the code that is injected */

/* Each step may fail once, with the injected code and without a trace: then it is done again. */
#define ONCE_MORE(call)                                                                                                \
    ({                                                                                                                 \
        int result__ = (call);                                                                                         \
        if (result__ == -failing)                                                                                      \
            result__ = (call);                                                                                         \
        result__;                                                                                                      \
    })

enum { SOME = 70 }; /* more than the table's first chunk */

static void use_everything(struct cosy_sys *sys, struct pair *pipes)
{
    struct cosy_sys_event events[EVENTS];
    uint64_t ids[SOME];
    for (int i = 0; i < SOME; i++)
        ck_assert_int_eq(ONCE_MORE(sys->ops->watch(sys, pipes[i].in, COSY_SYS_READ, &pipes[i], &ids[i])), 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    put(pipes[3].out);
    int count = 0;
    for (int i = 0; i < 4 && count == 0; i++) /* a spurious return is allowed */
        count = ONCE_MORE(sys->ops->wait(sys, now_of(sys) + COSY_MS(1), events, EVENTS));
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &pipes[3]);
    ck_assert_int_eq(ONCE_MORE(sys->ops->rewatch(sys, ids[3], COSY_SYS_WRITE)), 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->rewatch(sys, ids[3], COSY_SYS_READ)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, ids[4])), 0);
    uint64_t again;
    ck_assert_int_eq(ONCE_MORE(sys->ops->watch(sys, pipes[4].in, COSY_SYS_READ, &pipes[4], &again)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, again)), 0);
    put(pipes[4].out);
    for (int i = 0; i < 2; i++)
        count = ONCE_MORE(look(sys, events));
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &pipes[3]);
    int fd = ONCE_MORE(sys->ops->poll_fd(sys));
    ck_assert(fd >= 0 || fd == -ENOTSUP);
    ck_assert_int_eq(ONCE_MORE(sys->ops->wake(sys)), 0);
    ck_assert_int_ge(ONCE_MORE(look(sys, events)), 0);
    for (int i = 0; i < SOME; i++)
        ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, ids[i])), i == 4 ? -ENOENT : 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    take(pipes[3].in);
    take(pipes[4].in);
}

/* One run with the n-th call failing; false when there was no n-th call. */
static bool survives(int backend, struct pair *pipes, void (*arm)(long n), long (*counted)(void), long n)
{
    struct cosy_sys_config config = {.kind = kinds[backend]};
    struct cosy_sys *sys = NULL;
    int before = open_descriptors();
    arm(n);
    int error = cosy_sys_open(&sys, &config);
    if (error) {
        ck_assert_int_eq(error, -failing);
        ck_assert_ptr_null(sys);
        ck_assert_int_eq(open_descriptors(), before);
        ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    }
    use_everything(sys, pipes);
    sys->ops->close(sys);
    bool reached = counted() >= n;
    arm(0);
    ck_assert_int_eq(open_descriptors(), before);
    return reached;
}

static void check_failures(int backend, void (*arm)(long n), long (*counted)(void), long at_least)
{
    struct pair pipes[SOME];
    for (int i = 0; i < SOME; i++)
        pipes[i] = make_pipe();
    long n = 1;
    while (survives(backend, pipes, arm, counted, n))
        n++;
    ck_assert_int_gt(n, at_least); /* so that a door that is not counted is noticed */
    for (int i = 0; i < SOME; i++)
        close_pair(pipes[i]);
}

static void arm_calls(long n)
{
    cosy_sys_fail_nth(n, failing);
}
static void arm_heap(long n)
{
    cosy_heap_fail_nth(n, false);
}

START_TEST(each_system_call_may_fail)
{
    static const int errors[] = {ENOMEM, EMFILE, EPERM};
    for (size_t i = 0; i < less_under_tool(COUNT_OF(errors), 3); i++) {
        failing = errors[i];
        check_failures(_i, arm_calls, cosy_sys_counted, SOME);
    }
}
END_TEST

START_TEST(each_allocation_may_fail)
{
    failing = ENOMEM;
    check_failures(_i, arm_heap, cosy_heap_counted, 4);
}
END_TEST

/* A wake that returned 0 was not lost, even if the system call behind it failed at first. */
START_TEST(a_failing_wake_says_so)
{
    if (is_sim(_i))
        return; /* nobody can see it block */
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    int fd = sys->ops->poll_fd(sys); /* makes each first wake a system call */
    cosy_sys_fail_nth(1, EIO);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    cosy_sys_fail_nth(0, 0);
    ck_assert(readable(fd));
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));
    sys->ops->close(sys);
}
END_TEST

/* ---- spinning ---- */

START_TEST(spinning_stops_when_it_does_not_pay)
{
    struct cosy_spin spin = {.limit = 1000};
    int spins = 0;
    for (int i = 0; i < 10000; i++)
        if (cosy_spin_wanted(&spin)) {
            spins++;
            cosy_spin_done(&spin, false);
        }
    ck_assert_int_ge(spins, 10000 / (COSY_SPIN_MAX_SKIP + 1)); /* it tries again now and then */
    ck_assert_int_le(spins, 60);
    while (!cosy_spin_wanted(&spin))
        ;
    for (int i = 0; i < 100; i++) {
        cosy_spin_done(&spin, true);
        ck_assert(cosy_spin_wanted(&spin)); /* and stays on while it pays */
    }
    struct cosy_spin off = {0};
    ck_assert(!cosy_spin_wanted(&off));
}
END_TEST

static void *put_after_a_moment(void *argument)
{
    cosy_ns until = clock_ns(CLOCK_MONOTONIC) + COSY_MS(2);
    while (clock_ns(CLOCK_MONOTONIC) < until)
        sched_yield();
    put(*(int *)argument);
    return NULL;
}

START_TEST(a_spinning_wait_finds_what_comes)
{
    struct cosy_sys *sys = open_spinning(_i, COSY_S(5));
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    pthread_t thread;
    watch(sys, pipe.in, COSY_SYS_READ, &pipe);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, put_after_a_moment, &pipe.out), 0);
        int count;
        while ((count = sys->ops->wait(sys, COSY_NEVER, events, EVENTS)) == 0)
            ;
        ck_assert_int_eq(count, 1);
        ck_assert_ptr_eq(events[0].data, &pipe);
        pthread_join(thread, NULL);
        take(pipe.in);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* ---- the choice ---- */

static int open_chosen(enum cosy_sys_kind kind, const char *environment, char *ret_name)
{
    environment ? setenv("COSY_BACKEND", environment, 1) : unsetenv("COSY_BACKEND");
    struct cosy_sys *sys = NULL;
    int error = cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = kind});
    strcpy(ret_name, error ? "" : sys->ops->name);
    if (!error)
        sys->ops->close(sys);
    unsetenv("COSY_BACKEND");
    return error;
}

static bool have_uring;

START_TEST(the_environment_chooses)
{
    char name[16];
    for (int i = have_uring ? 0 : 1; i < 3; i++) {
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, names[i], name), 0);
        ck_assert_str_eq(name, names[i]);
    }
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "kqueue", name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "Epoll", name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_SIM, "epoll", name), 0);
    ck_assert_str_eq(name, "sim"); /* the configuration goes first */
    ck_assert_int_eq(open_chosen(COSY_SYS_EPOLL, "kqueue", name), 0);
    ck_assert_int_eq(open_chosen((enum cosy_sys_kind)77, NULL, name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "", name), 0);
    ck_assert_str_eq(name, have_uring ? "uring" : "epoll");
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, NULL, name), 0);
    ck_assert_str_eq(name, have_uring ? "uring" : "epoll");
    struct cosy_sys *sys;
    ck_assert_int_eq(cosy_sys_open(&sys, NULL), 0);
    sys->ops->close(sys);
}
END_TEST

START_TEST(epoll_steps_in_where_io_uring_is_refused)
{
    static const int refusals[] = {EPERM, ENOSYS, ENOMEM, EACCES};
    enum { SETUP = 2 }; /* after the eventfd */
    char name[16];
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        cosy_sys_fail_nth(SETUP, refusals[i]);
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, NULL, name), 0);
        cosy_sys_fail_nth(0, 0);
        ck_assert_str_eq(name, "epoll");
        cosy_sys_fail_nth(SETUP, refusals[i]);
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "uring", name), -refusals[i]);
        cosy_sys_fail_nth(0, 0);
    }
}
END_TEST

/* A kernel that does not know a flag answers EINVAL: the next set of flags has to work as well. */
START_TEST(older_kernels_flags_work_too)
{
    enum { SETUP = 2 };
    cosy_sys_fail_nth(SETUP, EINVAL);
    struct cosy_sys *sys = NULL;
    ck_assert_int_eq(cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = COSY_SYS_URING}), 0);
    cosy_sys_fail_nth(0, 0);
    struct visit here = {.sys = sys, .pipe = make_pipe()};
    here.mark = &here;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    for (int i = 0; i < 3; i++)
        visit(&here);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
    close_pair(here.pipe);
    sys->ops->close(sys);
}
END_TEST

/* A kernel before 5.11 has no epoll_pwait2. */
START_TEST(milliseconds_are_rounded_up)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = COSY_SYS_EPOLL}), 0);
    if (!under_valgrind()) /* where the call is not tried */
        cosy_sys_fail_nth(1, ENOSYS);
    for (int i = 0; i < 3; i++) {
        cosy_ns deadline = now_of(sys) + COSY_US(1500);
        do /* once, unless valgrind interrupts the call, as it does now and then */
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        while (under_valgrind() && now_of(sys) < deadline);
        ck_assert_int_ge(now_of(sys), deadline);
    }
    if (!under_valgrind())
        ck_assert_int_eq(cosy_sys_counted(), 4); /* asked for once, and then one call each */
    cosy_sys_fail_nth(0, 0);
    sys->ops->close(sys);
}
END_TEST

/* ---- the simulator ---- */

static struct cosy_sys *open_sim(uint64_t seed)
{
    struct cosy_sys *sys = NULL;
    ck_assert_int_eq(cosy_sys_open_sim(&sys, &(struct cosy_sys_config){.seed = seed}), 0);
    return sys;
}

START_TEST(sim_jumps_to_the_deadline)
{
    struct cosy_sys *sys = open_sim(0), *other = open_sim(9);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(now_of(sys), now_of(other));
    cosy_ns start = now_of(sys), real = clock_ns(CLOCK_MONOTONIC);
    usleep(2000);
    ck_assert_int_eq(now_of(sys), start); /* real time does not matter */
    ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(86400), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(86400));
    ck_assert_int_eq(sys->ops->wait(sys, start, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(86400)); /* never back */
    ck_assert_int_lt(clock_ns(CLOCK_MONOTONIC) - real, COSY_S(5));
    cosy_sim_advance(other, 7);
    ck_assert_int_eq(now_of(other), start + 7);
    sys->ops->close(sys);
    other->ops->close(other);
}
END_TEST

START_TEST(sim_does_not_jump_over_what_is_ready)
{
    struct cosy_sys *sys = open_sim(0);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    cosy_ns start = now_of(sys);
    int fd = cosy_sim_virtual_fd(sys), mark;
    uint64_t id = watch(sys, fd, COSY_SYS_READ, &mark);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 1);
    ck_assert_int_eq(now_of(sys), start);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);

    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    put(pipe.out);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 1);
    ck_assert_int_eq(now_of(sys), start);
    take(pipe.in);

    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + 100);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(sim_switches_virtual_descriptors)
{
    struct cosy_sys *sys = open_sim(0);
    int fds[40], mark;
    for (int i = 0; i < 40; i++) {
        fds[i] = cosy_sim_virtual_fd(sys);
        ck_assert_int_ge(fds[i], 1 << 28);
        ck_assert(i == 0 || fds[i] != fds[i - 1]);
    }
    int fd = fds[20];
    ck_assert_int_eq(cosy_sim_set_ready(sys, fds[39] + 1, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(cosy_sim_set_ready(sys, 0, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, 64), -EINVAL);
    ck_assert_int_eq(refused(sys, fds[39] + 1), -EBADF);

    uint64_t id = watch(sys, fd, COSY_SYS_READ, &mark);
    ck_assert_int_eq(refused(sys, fd), -EEXIST);
    ck_assert(!sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert(!sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ | COSY_SYS_HANGUP), 0);
    ck_assert(sys->ops->peek(sys));
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ | COSY_SYS_HANGUP);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_HANGUP);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_INVALID), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_INVALID);
    ck_assert_uint_eq(seen_now(sys, &mark), 0); /* once */
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    sys->ops->close(sys);
}
END_TEST

enum { DICE = 8 };

/* The order in which eight ready descriptors are reported, three times, as one number. */
static uint64_t order_of(uint64_t seed)
{
    struct cosy_sys *sys = open_sim(seed);
    struct cosy_sys_event events[EVENTS];
    static char marks[DICE];
    uint64_t order = 0;
    for (int i = 0; i < DICE; i++) {
        int fd = cosy_sim_virtual_fd(sys);
        watch(sys, fd, COSY_SYS_READ, &marks[i]);
        ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    }
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(look(sys, events), DICE);
        for (int i = 0; i < DICE; i++)
            order = order * DICE + (uint64_t)((char *)events[i].data - marks);
    }
    order ^= cosy_sim_random(sys);
    sys->ops->close(sys);
    return order;
}

START_TEST(sim_decides_by_the_seed)
{
    int first[DICE] = {0}, same = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint64_t order = order_of(seed);
        ck_assert_uint_eq(order, order_of(seed));
        same += order == order_of(seed + 1);

        struct cosy_sys *sys = open_sim(seed);
        first[cosy_sim_random(sys) % DICE]++;
        ck_assert_uint_ne(cosy_sim_random(sys), cosy_sim_random(sys));
        sys->ops->close(sys);
    }
    ck_assert_int_eq(same, 0);
    for (int i = 0; i < DICE; i++)
        ck_assert_int_gt(first[i], 5);
}
END_TEST

START_TEST(sim_reports_in_any_order)
{
    struct cosy_sys *sys = open_sim(42);
    struct cosy_sys_event event;
    int count[DICE] = {0};
    for (int i = 0; i < DICE; i++) {
        int fd = cosy_sim_virtual_fd(sys);
        watch(sys, fd, COSY_SYS_READ, &count[i]);
        ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    }
    for (int i = 0; i < 100 * DICE; i++) {
        ck_assert_int_eq(sys->ops->wait(sys, 0, &event, 1), 1);
        ++*(int *)event.data;
    }
    for (int i = 0; i < DICE; i++) {
        ck_assert_int_gt(count[i], 60);
        ck_assert_int_lt(count[i], 140);
    }
    sys->ops->close(sys);
}
END_TEST

static void *advance_later(void *argument)
{
    usleep(10000);
    cosy_sim_advance(argument, COSY_S(1));
    return NULL;
}

START_TEST(sim_waits_for_a_hand_on_the_clock)
{
    struct cosy_sys *sys = open_sim(0);
    struct cosy_sys_event events[EVENTS];
    cosy_ns start = now_of(sys);
    cosy_sim_set_autojump(sys, false);
    ck_assert_int_eq(sys->ops->wait(sys, start, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, advance_later, sys), 0);
    while (now_of(sys) < start + COSY_S(1))
        ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(1), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(1));
    pthread_join(thread, NULL);
    cosy_sim_set_autojump(sys, true);
    while (now_of(sys) < start + COSY_S(3)) /* the first may return for the advance's own wake */
        ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(3), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(3));
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

/* 0 where io_uring has to work, else why not. The kernel is asked without the code under test. */
static int uring_refusal(void)
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

#define ON_EACH(test) tcase_add_loop_test(each, test, have_uring ? 0 : 1, COUNT_OF(kinds))

static void add_readiness(Suite *suite)
{
    TCase *each = tcase_create("readiness");
    ON_EACH(clock_does_not_go_back_and_past_deadlines_do_not_block);
    ON_EACH(wait_is_never_early);
    ON_EACH(wait_is_never_early_when_it_spins);
    ON_EACH(readiness_is_reported_by_each_wait_while_it_lasts);
    ON_EACH(readiness_that_passed_is_not_reported);
    ON_EACH(reading_and_writing_are_told_apart);
    ON_EACH(rewatch_with_nothing_keeps_the_registration_silent);
    ON_EACH(hangup_is_silent_and_free_when_nothing_is_wanted);
    ON_EACH(errors_and_hangups_are_always_reported);
    ON_EACH(wait_blocks_until_there_is_an_event);
    ON_EACH(unwatch_ends_reports_and_ids);
    ON_EACH(what_cannot_be_watched_is_refused);
    ON_EACH(anonymous_descriptors_can_be_watched);
    ON_EACH(a_descriptor_closed_while_watched_falls_silent);
    ON_EACH(a_number_used_again_is_another_registration);
    ON_EACH(a_copy_that_lives_on_does_not_keep_wait_running);
    ON_EACH(unwatch_and_close_let_the_file_go_at_once);
    ON_EACH(an_event_under_way_does_not_keep_a_closed_file);
    ON_EACH(a_thousand_descriptors_all_get_their_turn);
    ON_EACH(one_event_at_a_time_is_fair);
    suite_add_tcase(suite, each);
}

static void add_waking(Suite *suite)
{
    TCase *each = tcase_create("waking");
    tcase_set_timeout(each, 30);
    ON_EACH(wake_ends_the_next_wait_once);
    ON_EACH(no_wake_is_lost_when_the_sleeper_sleeps);
    ON_EACH(no_wake_is_lost_when_the_sleeper_spins);
    ON_EACH(no_wake_is_lost_among_many_threads);
    ON_EACH(no_wake_is_lost_in_a_flood);
    ON_EACH(wake_works_in_a_signal_handler);
    ON_EACH(a_signal_ends_a_wait_without_an_error);
    ON_EACH(peek_reads_memory_only);
    ON_EACH(a_turn_costs_one_system_call);
    ON_EACH(poll_fd_tells_a_foreign_loop);
    ON_EACH(poll_fd_wakes_a_sleeping_foreign_loop);
    ON_EACH(poll_fd_shows_a_wake_from_before);
    ON_EACH(threads_may_take_turns);
    ON_EACH(a_forked_child_may_wait_and_close);
    ON_EACH(a_spinning_wait_finds_what_comes);
    tcase_add_test(each, spinning_stops_when_it_does_not_pay);
    suite_add_tcase(suite, each);
}

static void add_failures(Suite *suite)
{
    TCase *each = tcase_create("failures");
    tcase_set_timeout(each, 60);
    ON_EACH(each_system_call_may_fail);
    ON_EACH(each_allocation_may_fail);
    ON_EACH(a_failing_wake_says_so);
    suite_add_tcase(suite, each);
}

static void add_choice_and_sim(Suite *suite)
{
    TCase *choice = tcase_create("choice"), *sim = tcase_create("sim");
    tcase_add_test(choice, the_environment_chooses);
    tcase_add_test(choice, milliseconds_are_rounded_up);
    if (have_uring) {
        tcase_add_test(choice, epoll_steps_in_where_io_uring_is_refused);
        tcase_add_test(choice, older_kernels_flags_work_too);
    }
    suite_add_tcase(suite, choice);
    tcase_add_test(sim, sim_jumps_to_the_deadline);
    tcase_add_test(sim, sim_does_not_jump_over_what_is_ready);
    tcase_add_test(sim, sim_switches_virtual_descriptors);
    tcase_add_test(sim, sim_decides_by_the_seed);
    tcase_add_test(sim, sim_reports_in_any_order);
    tcase_add_test(sim, sim_waits_for_a_hand_on_the_clock);
    suite_add_tcase(suite, sim);
}

int main(void)
{
    int refusal = uring_refusal();
    have_uring = refusal == 0;
    unsetenv("COSY_BACKEND"); /* each test says what it wants */

    Suite *suite = suite_create("sys");
    add_readiness(suite);
    add_waking(suite);
    add_failures(suite);
    add_choice_and_sim(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed)
        return 1;
    if (refusal)
        printf("skipped: the tests of io_uring (%s)\n", strerror(refusal));
    return refusal ? SKIPPED : 0;
}
