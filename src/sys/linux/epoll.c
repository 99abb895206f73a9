/* epoll.c - readiness by epoll, level-triggered.
 *
 * Interest is narrowed lazily: rewatch() with fewer events makes no system call; only when the kernel reports
 * something unwanted is it asked for less. So switching an interest off and on again is free.
 *
 * Invariants
 *  - `asked` of a watch is the mask that the kernel has. It covers what is wanted; when nothing is wanted and
 *    the kernel keeps reporting an error or a hangup, it is MUTED: one more report, and then silence.
 *  - A watch stays in the kernel's set from watch() to unwatch(), so that the kernel tells whether a number that
 *    is watched again is the same open file.
 */
#include "../sys.h"

#include <fcntl.h>
#include <limits.h>

#include "../../base/heap.h"
#include "../../base/memcheck.h"
#include "../net.h"
#include "../spin.h"
#include "../syscalls.h"
#include "../waker.h"
#include "../watches.h"

enum { BATCH = 256 };
enum { WAKE_TOKEN = 0 }; /* ids are never 0 */

static const unsigned MUTED = EPOLLONESHOT;

struct epoll {
    struct cosy_sys sys;
    int fd;
    bool no_pwait2; /* a kernel before 5.11, or valgrind, which complains of a call that it does not know */
    unsigned forks; /* when the set was made: a forked child shares its parent's, and makes one of its own */
    struct cosy_waker waker;
    struct cosy_spin spin;
    struct cosy_watches watches;
    struct epoll_event batch[BATCH];
};

static struct epoll *epoll_of(struct cosy_sys *sys)
{
    return container_of(sys, struct epoll, sys);
}

static int control(int epfd, int op, int fd, unsigned mask, uint64_t token)
{
    struct epoll_event event = {.events = mask, .data.u64 = token};
    return sys_epoll_ctl(epfd, op, fd, &event);
}

/* What the kernel is asked for. */
static unsigned mask_of(unsigned events)
{
    return cosy_sys_to_poll(events) | (events & COSY_SYS_EDGE ? (unsigned)EPOLLET : 0u);
}

static cosy_ns epoll_now(struct cosy_sys *sys)
{
    (void)sys;
    return sys_clock();
}

static int fill_set(struct epoll *self, int epfd);

static cosy_cold int make_own_set(struct epoll *self)
{
    int epfd = sys_epoll_create(EPOLL_CLOEXEC);
    if (epfd < 0)
        return epfd;
    int error = fill_set(self, epfd);
    if (!error)
        error = sys_dup3(epfd, self->fd, O_CLOEXEC);
    close(epfd);
    if (error >= 0)
        self->forks = atomic_load(&cosy_forks);
    return error < 0 ? error : 0;
}

/* Before each call that changes the set or asks it. */
static inline int be_owner(struct epoll *self)
{
    return likely(self->forks == atomic_load_explicit(&cosy_forks, memory_order_relaxed)) ? 0 : make_own_set(self);
}

/* The table is as long as the highest number: look that it is a descriptor before it grows. */
static int reserve(struct epoll *self, int fd)
{
    struct stat status;
    int error = (size_t)fd >= self->watches.key_limit ? sys_fstat(fd, &status) : 0;
    return error ? error : cosy_watches_reserve(&self->watches, (size_t)fd);
}

static int epoll_watch(struct cosy_sys *sys, int fd, unsigned events, void *data, uint64_t *ret_id)
{
    struct epoll *self = epoll_of(sys);
    int error = fd < 0 ? -EBADF : cosy_sys_check_events(events);
    if (!error)
        error = be_owner(self);
    if (!error)
        error = reserve(self, fd);
    if (error)
        return error;

    struct cosy_watch *old = cosy_watches_by_key(&self->watches, (size_t)fd);
    struct cosy_watch *watch = cosy_watches_add(&self->watches, (size_t)fd, fd, events, data);
    watch->asked = mask_of(events);
    error = control(self->fd, EPOLL_CTL_ADD, fd, watch->asked, cosy_watch_id(watch));
    if (error == -EEXIST && !old) /* unwatch() could not remove it */
        error = control(self->fd, EPOLL_CTL_MOD, fd, watch->asked, cosy_watch_id(watch));
    if (error) {
        cosy_watches_remove(&self->watches, watch);
        self->watches.by_key[fd] = old;
        return error;
    }
    if (old) /* its descriptor was closed, and this is another file with the same number */
        cosy_watches_remove(&self->watches, old);
    *ret_id = cosy_watch_id(watch);
    return 0;
}

static int epoll_rewatch(struct cosy_sys *sys, uint64_t id, unsigned events)
{
    struct epoll *self = epoll_of(sys);
    struct cosy_watch *watch = cosy_watches_by_id(&self->watches, id);
    int error = watch ? cosy_sys_check_events(events) : -ENOENT;
    if (!error)
        error = be_owner(self);
    if (error)
        return error;
    if (cosy_watch_is_edge(watch))
        events |= watch->events;
    unsigned mask = mask_of(events);
    bool covered = watch->asked != MUTED && !(mask & ~watch->asked);
    if (events && !covered) {
        error = control(self->fd, EPOLL_CTL_MOD, watch->fd, mask, id);
        if (error)
            return error;
        watch->asked = mask;
    }
    watch->events = events;
    return 0;
}

static int epoll_unwatch(struct cosy_sys *sys, uint64_t id)
{
    struct epoll *self = epoll_of(sys);
    struct cosy_watch *watch = cosy_watches_by_id(&self->watches, id);
    if (!watch)
        return -ENOENT;
    /* Failure is no concern: the descriptor was closed, or what remains is recognised as stale in wait(). */
    if (be_owner(self) == 0)
        control(self->fd, EPOLL_CTL_DEL, watch->fd, 0, 0);
    cosy_watches_remove(&self->watches, watch);
    return 0;
}

/* The kernel forgets a descriptor when its last copy is closed; if there are others, what they cause is recognised as
 * stale. */
static void epoll_close_fd(struct cosy_sys *sys, int fd, uint64_t watch_id)
{
    struct epoll *self = epoll_of(sys);
    struct cosy_watch *watch = watch_id ? cosy_watches_by_id(&self->watches, watch_id) : NULL;
    if (watch)
        cosy_watches_remove(&self->watches, watch);
    close(fd);
}

static bool epoll_expects(struct cosy_sys *sys)
{
    (void)sys;
    return true;
}

static int fill_set(struct epoll *self, int epfd)
{
    int error = control(epfd, EPOLL_CTL_ADD, self->waker.fd, EPOLLIN | EPOLLET, WAKE_TOKEN);
    for (uint32_t i = 0; !error && i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        if (watch->fd < 0)
            continue;
        error = control(epfd, EPOLL_CTL_ADD, watch->fd, watch->asked, cosy_watch_id(watch));
        if (error == -EBADF || error == -EPERM)
            error = 0; /* closed without unwatch(): nothing will be reported for it */
    }
    return error;
}

/* An event of a dead registration: its descriptor was closed while a copy of it lives on, say in a forked child, so
 * that the kernel still holds it and nobody can remove it. Only a fresh set is free of it; else wait() would spin. */
static cosy_cold void replace_set(struct epoll *self)
{
    int epfd = sys_epoll_create(EPOLL_CLOEXEC);
    if (epfd < 0)
        return; /* the next stale event tries again */
    if (fill_set(self, epfd) == 0)
        sys_dup3(epfd, self->fd, O_CLOEXEC);
    close(epfd);
}

static void ask_for_less(struct epoll *self, struct cosy_watch *watch)
{
    unsigned mask = watch->events ? cosy_sys_to_poll(watch->events) : MUTED;
    if (watch->asked != mask && control(self->fd, EPOLL_CTL_MOD, watch->fd, mask, cosy_watch_id(watch)) == 0)
        watch->asked = mask;
}

static int report(struct epoll *self, int count, struct cosy_sys_event *events)
{
    int reported = 0;
    bool stale = false;
    for (int i = 0; i < count; i++) {
        uint64_t token = self->batch[i].data.u64;
        if (token == WAKE_TOKEN)
            continue; /* an edge: what it means stands in the waker */
        struct cosy_watch *watch = cosy_watches_by_id(&self->watches, token);
        if (!watch) {
            stale = true;
            continue;
        }
        unsigned ready = cosy_sys_from_poll(self->batch[i].events);
        ready = cosy_watch_is_edge(watch) ? cosy_watch_edges(ready) : cosy_watch_filter(watch, ready);
        if (ready)
            events[reported++] = (struct cosy_sys_event){.data = watch->data, .events = ready};
        else
            ask_for_less(self, watch);
    }
    if (unlikely(stale))
        replace_set(self);
    return reported;
}

/* The kernel allows itself to be late by a thousandth of a long timeout: sleep somewhat shorter, then the rest. */
static cosy_ns without_slack(cosy_ns left)
{
    return left > COSY_MS(50) ? left - left / 512 : left;
}

static int block(struct epoll *self, cosy_ns left, int max)
{
    if (!self->no_pwait2) {
        left = left == COSY_NEVER ? left : without_slack(left);
        struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        int count = sys_epoll_pwait2(self->fd, self->batch, max, left == COSY_NEVER ? NULL : &timeout);
        if (count != -ENOSYS)
            return count;
        self->no_pwait2 = true;
    }
    cosy_ns ms = left / 1000000 + (left % 1000000 != 0); /* up: never early */
    return sys_epoll_wait(self->fd, self->batch, max, left == COSY_NEVER ? -1 : ms < INT_MAX ? (int)ms : INT_MAX);
}

/* Asks again and again for a short time; 0 when it was in vain. */
static int spin(struct epoll *self, cosy_ns until, int max)
{
    int count;
    do {
        count = sys_epoll_wait(self->fd, self->batch, max, 0);
        if (count || cosy_waker_pending(&self->waker))
            break;
        cosy_spin_relax();
    } while (sys_clock() < until);
    cosy_spin_done(&self->spin, count || cosy_waker_pending(&self->waker));
    return count;
}

/* `now` is only true when the deadline lies ahead of it. */
static int collect(struct epoll *self, cosy_ns now, cosy_ns deadline, int max)
{
    if (deadline > now && !cosy_waker_pending(&self->waker) && cosy_spin_wanted(&self->spin)) {
        cosy_ns until = deadline - now < self->spin.limit ? deadline : now + self->spin.limit;
        int count = spin(self, until, max);
        now = sys_clock();
        if (count)
            return count;
    }
    if (deadline <= now || !cosy_waker_sleep(&self->waker))
        return sys_epoll_wait(self->fd, self->batch, max, 0);
    return block(self, deadline == COSY_NEVER ? COSY_NEVER : deadline - now, max);
}

static int epoll_wait_events(struct cosy_sys *sys, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    struct epoll *self = epoll_of(sys);
    cosy_assert(max > 0);
    if (max > BATCH)
        max = BATCH;
    int error = be_owner(self);
    if (error)
        return error;
    for (;;) {
        cosy_ns now = deadline > 0 ? sys_clock() : 0;
        int count = collect(self, now, deadline, max);
        bool woken = cosy_waker_awake(&self->waker);
        if (count < 0)
            return count == -EINTR ? 0 : count;
        int reported = report(self, count, events);
        if (reported || woken || deadline <= now || deadline <= sys_clock())
            return reported;
    }
}

static bool epoll_peek(struct cosy_sys *sys)
{
    return cosy_waker_pending(&epoll_of(sys)->waker);
}

static int epoll_wake(struct cosy_sys *sys)
{
    return cosy_waker_wake(&epoll_of(sys)->waker);
}

static int epoll_poll_fd(struct cosy_sys *sys)
{
    struct epoll *self = epoll_of(sys);
    int error = be_owner(self);
    if (!error)
        error = cosy_waker_embed(&self->waker, self->waker.fd);
    return error ? error : self->fd;
}

static void epoll_close(struct cosy_sys *sys)
{
    struct epoll *self = epoll_of(sys);
    if (self->fd >= 0)
        close(self->fd);
    cosy_waker_close(&self->waker);
    cosy_watches_clear(&self->watches);
    cosy_heap_free(self);
}

static const struct cosy_sys_ops epoll_ops = {
    .name = "epoll",
    .close = epoll_close,
    .now = epoll_now,
    .watch = epoll_watch,
    .rewatch = epoll_rewatch,
    .unwatch = epoll_unwatch,
    .close_fd = epoll_close_fd,
    .expects = epoll_expects,
    .wait = epoll_wait_events,
    .peek = epoll_peek,
    .wake = epoll_wake,
    .poll_fd = epoll_poll_fd,
};

int cosy_sys_open_epoll(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    struct epoll *self = cosy_heap_zalloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->sys.ops = &epoll_ops;
    self->sys.net = &cosy_linux_net_ops;
    self->waker.fd = -1;
    self->spin.limit = config->spin;
    self->no_pwait2 = RUNNING_ON_VALGRIND;
    cosy_watches_init(&self->watches);
    self->forks = atomic_load(&cosy_forks);
    self->fd = sys_epoll_create(EPOLL_CLOEXEC);
    int error = self->fd < 0 ? self->fd : cosy_waker_open(&self->waker);
    if (!error)
        error = fill_set(self, self->fd);
    if (error) {
        epoll_close(&self->sys);
        return error;
    }
    *ret_sys = &self->sys;
    return 0;
}
