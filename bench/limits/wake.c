/*
 * wake_asleep and wake_busy: one round trip between two threads. Asleep: both block in the kernel between messages,
 * woken by a message from ring to ring, by an eventfd under epoll, or by a futex. Busy: both watch a word in memory.
 */
#include "limits.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#if __has_include(<liburing.h>)
#include <liburing.h>
#define HAVE_LIBURING 1
#endif

/* One side of the pair: how it waits for a message and how it sends one to the other. */
struct side {
    void (*wait)(struct side *self);
    void (*send)(struct side *self, struct side *other);
    long rounds;
    struct side *other;
    _Alignas(64) _Atomic uint32_t word;
    int event, epoll;
#ifdef HAVE_LIBURING
    struct io_uring ring;
    _Atomic bool ring_is_ready;
#endif
};

static void *echo(void *argument)
{
    struct side *self = argument;
    bench_pin(1);
    for (long i = 0; i < self->rounds; i++) {
        self->wait(self);
        self->send(self, self->other);
    }
    return NULL;
}

static double round_trip_ns(struct side *a, struct side *b, long rounds)
{
    long warm_up = rounds / 10 + 1;
    bench_pin(0);
    b->rounds = rounds + warm_up;
    a->other = b;
    b->other = a;
    pthread_t thread;
    pthread_create(&thread, NULL, echo, b);
    double start = 0;
    for (long i = 0; i < b->rounds; i++) {
        if (i == warm_up)
            start = bench_wall_ns();
        a->send(a, b);
        a->wait(a);
    }
    double spent = bench_wall_ns() - start;
    pthread_join(thread, NULL);
    return spent / (double)rounds;
}

static void futex_wait(struct side *self)
{
    while (!atomic_exchange(&self->word, 0))
        syscall(SYS_futex, &self->word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void futex_send(struct side *self, struct side *other)
{
    (void)self;
    atomic_store(&other->word, 1);
    syscall(SYS_futex, &other->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void spin_wait(struct side *self)
{
    while (!atomic_load_explicit(&self->word, memory_order_acquire))
        ;
    atomic_store_explicit(&self->word, 0, memory_order_relaxed);
}

static void spin_send(struct side *self, struct side *other)
{
    (void)self;
    atomic_store_explicit(&other->word, 1, memory_order_release);
}

static void eventfd_wait(struct side *self)
{
    struct epoll_event event;
    uint64_t count;
    while (epoll_wait(self->epoll, &event, 1, -1) < 1 || read(self->event, &count, sizeof count) < 0)
        ;
}

static void eventfd_send(struct side *self, struct side *other)
{
    uint64_t one = 1;
    (void)self;
    if (write(other->event, &one, sizeof one) < 0)
        exit(1);
}

static void eventfd_open(struct side *side)
{
    side->event = eventfd(0, EFD_NONBLOCK);
    side->epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->event, &event);
}

int limit_wake_futex_row(const char *name, long size)
{
    (void)name;
    struct side a = {.wait = futex_wait, .send = futex_send}, b = a;
    return bench_print("wake_asleep", round_trip_ns(&a, &b, size) / 1e3, "us");
}

int limit_wake_eventfd_row(const char *name, long size)
{
    (void)name;
    struct side a = {.wait = eventfd_wait, .send = eventfd_send}, b = a;
    eventfd_open(&a);
    eventfd_open(&b);
    return bench_print("wake_asleep", round_trip_ns(&a, &b, size) / 1e3, "us");
}

int limit_wake_busy_row(const char *name, long size)
{
    struct side a = {.wait = spin_wait, .send = spin_send}, b = a;
    return bench_print(name, round_trip_ns(&a, &b, size), "ns");
}

#ifdef HAVE_LIBURING

static bool ring_open(struct side *side)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_SUBMIT_ALL};
    if (io_uring_queue_init_params(64, &side->ring, &params) < 0)
        return false;
    io_uring_register_ring_fd(&side->ring);
    return true;
}

/* A completion with user data 1 is a message; those of the sender's own requests are suppressed (CQE_SKIP_SUCCESS). */
static void ring_wait(struct side *self)
{
    struct io_uring_cqe *cqe;
    while (io_uring_submit_and_wait(&self->ring, 1) < 0 || io_uring_peek_cqe(&self->ring, &cqe) < 0)
        ;
    io_uring_cqe_seen(&self->ring, cqe);
}

static void ring_send(struct side *self, struct side *other)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    io_uring_prep_msg_ring(sqe, other->ring.ring_fd, 0, 1, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* submitted by the wait that follows: one enter per message */
}

static void *ring_thread(void *argument)
{
    struct side *self = argument;
    bench_pin(1);
    if (!ring_open(self))
        exit(1);
    self->ring_is_ready = true;
    for (long i = 0; i < self->rounds; i++) {
        ring_wait(self);
        ring_send(self, self->other);
    }
    io_uring_submit(&self->ring);
    return NULL;
}

int limit_wake_ring_row(const char *name, long size)
{
    static struct side a, b;
    bench_pin(0);
    if (!ring_open(&a))
        return bench_not_applicable(name);
    a.other = &b;
    b.other = &a;
    long warm_up = size / 10 + 1;
    b.rounds = size + warm_up;
    pthread_t thread;
    pthread_create(&thread, NULL, ring_thread, &b);
    while (!b.ring_is_ready)
        usleep(100);
    double start = 0;
    for (long i = 0; i < b.rounds; i++) {
        if (i == warm_up)
            start = bench_wall_ns();
        ring_send(&a, &b);
        ring_wait(&a);
    }
    double spent = bench_wall_ns() - start;
    pthread_join(thread, NULL);
    return bench_print(name, spent / (double)size / 1e3, "us");
}

#else

int limit_wake_ring_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}

#endif
