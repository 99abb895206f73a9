/* syscalls.h - each system call of this floor, named once, so that a test can make the n-th one fail.
 *
 * Each returns >= 0 or a negative code. Closing and unmapping are not here: nobody can act on their failure.
 * Neither is clock_gettime, which the vDSO answers without the kernel and which cannot fail.
 */
#ifndef COSY_SYS_SYSCALLS_H
#define COSY_SYS_SYSCALLS_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

extern atomic_bool cosy_sys_faults_armed;
int cosy_sys_fault_counted(void);

/* 0, or the negative code with which the call at hand has to fail. Any thread, signal handlers too. */
static inline int cosy_sys_fault(void)
{
    return likely(!atomic_load_explicit(&cosy_sys_faults_armed, memory_order_relaxed)) ? 0 : cosy_sys_fault_counted();
}

/* A call that answers -1 and errno. */
#define COSY_SYS_CALL(call)                                                                                            \
    ({                                                                                                                 \
        int result_ = cosy_sys_fault();                                                                                \
        if (likely(result_ == 0)) {                                                                                    \
            result_ = (int)(call);                                                                                     \
            if (result_ < 0)                                                                                           \
                result_ = -errno;                                                                                      \
        }                                                                                                              \
        result_;                                                                                                       \
    })

static inline int sys_eventfd(unsigned value, int flags)
{
    return COSY_SYS_CALL(eventfd(value, flags));
}

static inline int sys_read(int fd, void *buffer, size_t size)
{
    return COSY_SYS_CALL(read(fd, buffer, size));
}

static inline int sys_write(int fd, const void *buffer, size_t size)
{
    return COSY_SYS_CALL(write(fd, buffer, size));
}

static inline int sys_fstat(int fd, struct stat *status)
{
    return COSY_SYS_CALL(fstat(fd, status));
}

static inline int sys_dup3(int from, int to, int flags)
{
    return COSY_SYS_CALL(dup3(from, to, flags));
}

static inline int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return COSY_SYS_CALL(poll(fds, count, timeout_ms));
}

static inline int sys_epoll_create(int flags)
{
    return COSY_SYS_CALL(epoll_create1(flags));
}

static inline int sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return COSY_SYS_CALL(epoll_ctl(epfd, op, fd, event));
}

static inline int sys_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
    return COSY_SYS_CALL(epoll_wait(epfd, events, max, timeout_ms));
}

static inline int sys_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout)
{
    return COSY_SYS_CALL(epoll_pwait2(epfd, events, max, timeout, NULL));
}

#if COSY_HAVE_LIBURING
#include <liburing.h>

/* liburing's calls answer with the negative code themselves. */
#define COSY_SYS_URING_CALL(call)                                                                                      \
    ({                                                                                                                 \
        int result_ = cosy_sys_fault();                                                                                \
        result_ == 0 ? (call) : result_;                                                                               \
    })

static inline int sys_uring_setup(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    return COSY_SYS_URING_CALL(io_uring_queue_init_params(entries, ring, params));
}

/* Not io_uring_enable_rings(): liburing 2.3 declares it and does not export it. */
static inline int sys_uring_enable(struct io_uring *ring)
{
    return COSY_SYS_URING_CALL(io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
}

static inline int sys_uring_register_ring(struct io_uring *ring)
{
    return COSY_SYS_URING_CALL(io_uring_register_ring_fd(ring));
}

static inline int sys_uring_register_eventfd(struct io_uring *ring, int fd)
{
    return COSY_SYS_URING_CALL(io_uring_register_eventfd(ring, fd));
}

static inline int sys_uring_enter(int fd, unsigned submit, unsigned min_complete, unsigned flags,
                                  struct io_uring_getevents_arg *arg)
{
    return COSY_SYS_URING_CALL(
        io_uring_enter2((unsigned)fd, submit, min_complete, flags, (sigset_t *)arg, arg ? sizeof *arg : 0));
}
#endif

static inline int sys_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg)
{
    int result = cosy_sys_fault();
    return result ? result : -pthread_create(thread, attributes, fn, arg);
}

/* Nanoseconds of the monotonic clock. */
static inline cosy_ns sys_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (cosy_ns)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
