/* sim.c - a simulated kernel: time that only moves when everybody waits, and chance that a seed decides.
 *
 * Real descriptors may be watched too; they are polled without waiting before time moves, so what happens between
 * descriptors of one thread is the same in each run. Virtual descriptors are numbers that only this instance knows: its
 * sockets and pipes (net.c and its like).
 *
 * Invariants
 *  - Within wait() the clock moves only when nothing is ready and no wake is pending. It jumps, to the next delivery of
 *    the network or to the deadline, unless threads outside the simulation are at work for it: then it goes as the
 *    machine's does, so that a job gets the time that a limit gives it.
 *  - The `edges` of an edge watch are: of a real descriptor what was told and not asked for again; of a virtual one
 *    what changed and was not told yet, and FALSE_ALARM when it is to be told whatever is true.
 *  - Random numbers are drawn by cosy_sim_random() and for the order of two or more ready events, nowhere else.
 */
#include "../sys.h"

#include <limits.h>

#include "../../base/heap.h"
#include "../net.h"
#include "../syscalls.h"
#include "../waker.h"
#include "../watches.h"
#include "inside.h"

static const unsigned FALSE_ALARM = 1u << 16;

static const cosy_ns START = 1000000000000; /* not 0, so that a moment before the start has a number as well */

struct sim {
    struct cosy_sys sys;
    _Atomic(cosy_ns) clock;
    atomic_bool autojump;
    bool outside; /* threads are at work */
    uint64_t random;
    struct cosy_waker waker;
    struct cosy_watches watches; /* keys: see key_of() */
    struct sim_network network;
    struct pollfd *polled; /* room for the waker and each watch */
    struct cosy_watch **ready;
    uint32_t room; /* of `polled` and `ready` */
};

static const struct cosy_sys_ops sim_ops;

static struct sim *sim_of(struct cosy_sys *sys)
{
    cosy_assert(sys->ops == &sim_ops);
    return container_of(sys, struct sim, sys);
}

/* Real and virtual descriptors share one dense table. */
static size_t key_of(int fd)
{
    return sim_is_virtual(fd) ? (size_t)(fd - SIM_FIRST_VIRTUAL) * 2 + 1 : (size_t)fd * 2;
}

/* ---- chance ---- */

uint64_t cosy_sim_random(struct cosy_sys *sys) /* splitmix64 */
{
    uint64_t z = sim_of(sys)->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void shuffle(struct sim *self, struct cosy_watch **list, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)(cosy_sim_random(&self->sys) % i);
        struct cosy_watch *swapped = list[i - 1];
        list[i - 1] = list[other];
        list[other] = swapped;
    }
}

/* ---- time ---- */

static cosy_ns sim_now(struct cosy_sys *sys)
{
    return atomic_load(&sim_of(sys)->clock);
}

void cosy_sim_advance(struct cosy_sys *sys, cosy_ns by)
{
    cosy_assert(by >= 0);
    atomic_fetch_add(&sim_of(sys)->clock, by);
    sys->ops->wake(sys); /* a wait in another thread looks at its deadline again */
}

void cosy_sim_set_autojump(struct cosy_sys *sys, bool on)
{
    atomic_store(&sim_of(sys)->autojump, on);
}

/* ---- virtual descriptors ---- */

struct sim_network *cosy_sim_network(struct cosy_sys *sys)
{
    return &sim_of(sys)->network;
}

int cosy_sim_virtual_fd(struct cosy_sys *sys)
{
    return cosy_sim_manual(cosy_sim_network(sys));
}

int cosy_sim_set_ready(struct cosy_sys *sys, int fd, unsigned events)
{
    int error = cosy_sys_check_events(events & ~(unsigned)COSY_SYS_INVALID);
    return error ? error : cosy_sim_manual_set(cosy_sim_network(sys), fd, events);
}

void cosy_sim_edge(struct cosy_sys *sys, int fd, unsigned events, bool certain)
{
    struct cosy_watch *watch = cosy_watches_by_key(&sim_of(sys)->watches, key_of(fd));
    if (watch && cosy_watch_is_edge(watch))
        watch->edges |= certain ? events | FALSE_ALARM : events;
}

/* ---- watching ---- */

static int examine(struct sim *self, int fd, struct cosy_identity *ret_identity)
{
    if (!sim_is_virtual(fd))
        return cosy_sys_examine(fd, ret_identity);
    *ret_identity = (struct cosy_identity){.inode = cosy_sim_serial(&self->network, fd)};
    return ret_identity->inode ? 0 : -EBADF;
}

static int reserve(struct sim *self, int fd)
{
    int error = cosy_watches_reserve(&self->watches, key_of(fd));
    if (error || self->room > self->watches.count)
        return error;
    uint32_t room = self->watches.count + 1;
    struct pollfd *polled = cosy_heap_resize(self->polled, room * sizeof *polled);
    if (!polled)
        return -ENOMEM;
    self->polled = polled;
    struct cosy_watch **ready = cosy_heap_resize(self->ready, room * sizeof(struct cosy_watch *));
    if (!ready)
        return -ENOMEM;
    self->ready = ready;
    self->room = room;
    return 0;
}

static int sim_watch(struct cosy_sys *sys, int fd, unsigned events, void *data, uint64_t *ret_id)
{
    struct sim *self = sim_of(sys);
    struct cosy_identity identity;
    int error = cosy_sys_check_events(events);
    if (!error)
        error = examine(self, fd, &identity);
    if (error)
        return error;
    struct cosy_watch *old = cosy_watches_by_key(&self->watches, key_of(fd));
    if (old && cosy_watch_is_same(old, &identity))
        return -EEXIST;
    error = reserve(self, fd);
    if (error)
        return error;
    if (old)
        cosy_watches_remove(&self->watches, old);
    struct cosy_watch *watch = cosy_watches_add(&self->watches, key_of(fd), fd, events, data);
    watch->identity = identity;
    if (sim_is_virtual(fd) && cosy_watch_is_edge(watch))
        watch->edges = events & SIM_BOTH;
    *ret_id = cosy_watch_id(watch);
    return 0;
}

static int sim_rewatch(struct cosy_sys *sys, uint64_t id, unsigned events)
{
    struct cosy_watch *watch = cosy_watches_by_id(&sim_of(sys)->watches, id);
    int error = !watch ? -ENOENT : watch->dead ? -EBADF : cosy_sys_check_events(events);
    if (error)
        return error;
    watch->events = cosy_watch_is_edge(watch) ? watch->events | events : events;
    if (sim_is_virtual(watch->fd))
        watch->edges |= cosy_watch_is_edge(watch) ? events & SIM_BOTH : 0;
    else
        watch->edges &= (unsigned)SIM_BOTH & ~events;
    return 0;
}

static int sim_unwatch(struct cosy_sys *sys, uint64_t id)
{
    struct sim *self = sim_of(sys);
    struct cosy_watch *watch = cosy_watches_by_id(&self->watches, id);
    if (!watch)
        return -ENOENT;
    cosy_watches_remove(&self->watches, watch);
    return 0;
}

static void sim_close_fd(struct cosy_sys *sys, int fd, uint64_t watch_id)
{
    if (watch_id)
        sim_unwatch(sys, watch_id);
    if (sim_is_virtual(fd))
        cosy_sim_close_descriptor(&sim_of(sys)->network, fd);
    else
        close(fd);
}

/* ---- waiting ---- */

/* An edge watch of a real descriptor is told of each state once, until it is asked for again. */
static unsigned untold(const struct cosy_watch *watch)
{
    bool over = watch->edges & (COSY_SYS_ERROR | COSY_SYS_HANGUP);
    return over ? 0 : watch->events & ~watch->edges & ~(unsigned)COSY_SYS_EDGE;
}

/* Is the kernel to be asked about it? */
static bool is_active(const struct cosy_watch *watch)
{
    if (watch->fd < 0 || watch->dead)
        return false;
    return sim_is_virtual(watch->fd) ? watch->events : untold(watch);
}

static unsigned edges_of(const struct cosy_watch *watch, unsigned ready)
{
    unsigned told = ready & watch->edges & watch->events & SIM_BOTH;
    if (watch->edges & FALSE_ALARM)
        told |= watch->edges & watch->events & SIM_BOTH;
    if (!(watch->edges & watch->events & SIM_BOTH))
        return 0;
    told |= ready & (COSY_SYS_ERROR | COSY_SYS_HANGUP);
    return cosy_watch_edges(told | (told & COSY_SYS_READ ? ready & COSY_SYS_READ_END : 0));
}

/* A number that was closed, and perhaps given to another file, is not what was watched. */
static unsigned virtual_readiness(struct sim *self, const struct cosy_watch *watch)
{
    struct sim_file *file = cosy_sim_file(&self->network, watch->fd);
    if (!file || cosy_sim_serial(&self->network, watch->fd) != watch->identity.inode)
        return COSY_SYS_INVALID | (watch->events & COSY_SYS_EDGE);
    unsigned ready = file->kind->poll(&self->network, file);
    return cosy_watch_is_edge(watch) ? edges_of(watch, ready) : cosy_watch_filter(watch, ready);
}

static unsigned mask_of(const struct cosy_watch *watch)
{
    return cosy_sys_to_poll(untold(watch) | (watch->events & COSY_SYS_EDGE));
}

/* Asks for the real descriptors, the waker in front; returns poll's answer, *ret_count how many were asked. */
static int poll_real(struct sim *self, int timeout_ms, nfds_t *ret_count)
{
    nfds_t count = 0;
    struct pollfd only_waker, *polled = self->polled ? self->polled : &only_waker;
    polled[count++] = (struct pollfd){.fd = self->waker.fd, .events = POLLIN};
    for (uint32_t i = 0; i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        if (is_active(watch) && !sim_is_virtual(watch->fd))
            polled[count++] = (struct pollfd){.fd = watch->fd, .events = (short)mask_of(watch)};
    }
    bool nothing_to_ask = count == 1 && timeout_ms == 0; /* the waker's word is enough for a pending wake */
    int result = nothing_to_ask ? 0 : sys_poll(polled, count, timeout_ms);
    uint64_t drained;
    if (result > 0 && polled[0].revents)
        sys_read(self->waker.fd, &drained, sizeof drained);
    *ret_count = count;
    return result;
}

static unsigned real_readiness(const struct cosy_watch *watch, unsigned polled)
{
    unsigned ready = cosy_sys_from_poll(polled);
    if (!cosy_watch_is_edge(watch))
        return cosy_watch_filter(watch, ready);
    return ready ? cosy_watch_edges(ready) | COSY_SYS_SPENT : 0;
}

static uint32_t list_ready(struct sim *self, nfds_t polled)
{
    uint32_t count = 0;
    nfds_t asked = 1;
    for (uint32_t i = 0; i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        if (!is_active(watch))
            continue;
        unsigned ready = 0;
        if (sim_is_virtual(watch->fd))
            ready = virtual_readiness(self, watch);
        else if (asked < polled)
            ready = real_readiness(watch, (unsigned short)self->polled[asked++].revents);
        watch->asked = ready;
        if (ready)
            self->ready[count++] = watch;
    }
    return count;
}

/* Reports what is ready; waits for the real descriptors only with timeout -1. */
static int collect(struct sim *self, int timeout_ms, struct cosy_sys_event *events, int max)
{
    nfds_t polled;
    int result = poll_real(self, timeout_ms, &polled);
    if (result < 0)
        return result;
    uint32_t count = list_ready(self, polled);
    shuffle(self, self->ready, count);
    int reported = 0;
    for (; reported < max && (uint32_t)reported < count; reported++) {
        struct cosy_watch *watch = self->ready[reported];
        events[reported] = (struct cosy_sys_event){.data = watch->data, .events = watch->asked};
        watch->dead = watch->asked & COSY_SYS_INVALID;
        if (watch->asked & COSY_SYS_SPENT)
            watch->edges |= watch->asked;
        else if (cosy_watch_is_edge(watch))
            watch->edges = 0;
    }
    return reported;
}

static int sleep_with_the_world(struct sim *self, cosy_ns now, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    cosy_ns left = deadline - now, ms = (left + 999999) / 1000000, before = sys_clock();
    if (!cosy_waker_sleep(&self->waker))
        return 0;
    int count = collect(self, ms < INT_MAX ? (int)ms : INT_MAX, events, max);
    cosy_ns passed = sys_clock() - before;
    atomic_fetch_add(&self->clock, passed < left ? passed : left);
    return count;
}

/* Nothing is ready: moves the clock, or sleeps for real where only the outside world can go on. */
static int jump_or_sleep(struct sim *self, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    cosy_ns now = atomic_load(&self->clock);
    if (self->outside && deadline != COSY_NEVER)
        return sleep_with_the_world(self, now, deadline, events, max);
    if (deadline != COSY_NEVER && atomic_load(&self->autojump)) {
        atomic_compare_exchange_strong(&self->clock, &now, deadline); /* or somebody advanced it: spurious return */
        return 0;
    }
    return cosy_waker_sleep(&self->waker) ? collect(self, -1, events, max) : 0;
}

/* What is under way comes before the deadline, and may be of no interest to anybody: then on to the next. */
static int wait_for_deliveries(struct sim *self, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    int count = 0;
    for (;;) {
        cosy_sim_catch_up(&self->network);
        count = collect(self, 0, events, max);
        cosy_ns now = atomic_load(&self->clock), next = cosy_sim_next_delivery(&self->sys);
        if (count || cosy_waker_pending(&self->waker) || deadline <= now)
            return count;
        bool first = next < deadline;
        count = jump_or_sleep(self, first ? next : deadline, events, max);
        if (count || !first || atomic_load(&self->clock) == now)
            return count;
    }
}

static int sim_wait(struct cosy_sys *sys, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    struct sim *self = sim_of(sys);
    cosy_assert(max > 0);
    int count = wait_for_deliveries(self, deadline, events, max);
    cosy_waker_awake(&self->waker);
    return count == -EINTR ? 0 : count;
}

/* Is something watched that is ready, or may become so without anybody in this program? */
static bool is_hopeful(struct sim *self, bool real_counts)
{
    for (uint32_t i = 0; i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        if (is_active(watch) && (sim_is_virtual(watch->fd) ? virtual_readiness(self, watch) != 0 : real_counts))
            return true;
    }
    return false;
}

static bool sim_peek(struct cosy_sys *sys)
{
    struct sim *self = sim_of(sys);
    return cosy_waker_pending(&self->waker) || is_hopeful(self, false);
}

static bool sim_expects(struct cosy_sys *sys)
{
    struct sim *self = sim_of(sys);
    return self->network.next || is_hopeful(self, true);
}

static int sim_wake(struct cosy_sys *sys)
{
    return cosy_waker_wake(&sim_of(sys)->waker);
}

static int sim_poll_fd(struct cosy_sys *sys)
{
    (void)sys;
    return -ENOTSUP; /* a foreign loop's time is real */
}

static void sim_close(struct cosy_sys *sys)
{
    struct sim *self = sim_of(sys);
    cosy_sim_network_close(&self->network);
    cosy_waker_close(&self->waker);
    cosy_watches_clear(&self->watches);
    cosy_heap_free(self->polled);
    cosy_heap_free(self->ready);
    cosy_heap_free(self);
}

static const struct cosy_sys_ops sim_ops = {
    .name = "sim",
    .close = sim_close,
    .now = sim_now,
    .watch = sim_watch,
    .rewatch = sim_rewatch,
    .unwatch = sim_unwatch,
    .close_fd = sim_close_fd,
    .expects = sim_expects,
    .wait = sim_wait,
    .peek = sim_peek,
    .wake = sim_wake,
    .poll_fd = sim_poll_fd,
};

void cosy_sys_expect_outside(struct cosy_sys *sys, bool expected)
{
    if (sys->ops == &sim_ops)
        sim_of(sys)->outside = expected;
}

int cosy_sys_open_sim(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    struct sim *self = cosy_heap_zalloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->sys.ops = &sim_ops;
    self->sys.net = &cosy_sim_net_ops;
    cosy_sim_network_open(&self->network, &self->sys, config->seed);
    self->random = config->seed;
    atomic_init(&self->clock, START);
    atomic_init(&self->autojump, true);
    cosy_watches_init(&self->watches);
    int error = cosy_waker_open(&self->waker);
    if (error) {
        cosy_heap_free(self);
        return error;
    }
    *ret_sys = &self->sys;
    return 0;
}
