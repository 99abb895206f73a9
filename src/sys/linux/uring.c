/* uring.c - readiness by io_uring.
 *
 * Each descriptor is waited for by a one-shot poll request that is made again at the next wait(), in the same
 * enter that sleeps: so it is level-triggered, and a turn costs one system call whatever happened in it.
 *
 * Invariants
 *  - A watch has at most one current request (`armed`), known by (sequence, index) in its user_data. A completion
 *    with another sequence belongs to an older request and is ignored.
 *  - A watch that wants events, lives and is not armed is on the list `due`.
 *  - A request whose watch gave it up is in `cancels` until its removal is in the submission queue. There is room for
 *    one per watch, because a watch is only armed again after `cancels` was emptied: a cancel cannot be lost.
 *  - An edge watch has a multishot poll instead, which stays armed. What it reports is gathered in `edges`, and the
 *    watch is on the list `edged` while there is any: edges are never dropped, and wait() does not sleep on one.
 *  - A descriptor whose watch is armed is closed by the ring, behind the cancel: the request holds the open file. It
 *    stands in `closing`, which has as many places as `cancels`, until then.
 *  - Operations on files (uring_ops.h) hold memory of the program's. So a ring that has any is not left: another
 * thread's wait() is refused.
 *  - What the kernel noted while the program ran is a hint only, because the program may have read since. Completions
 *    that lie there when wait() begins are asked for again, in the same enter. Of noted wake-ups that become
 *    completions in the enter, the kernel reports the state of then: wait() asks poll(2) for the state of now.
 *  - The ring is used by the thread whose number is `owner`. Created disabled, it is enabled by the first thread that
 *    waits; if another thread takes over (or a forked child), it gets a new ring, and everything is due again.
 */
#include "../sys.h"

#if !COSY_HAVE_LIBURING

#include <errno.h>

int cosy_sys_open_uring(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    (void)ret_sys;
    (void)config;
    return -ENOSYS;
}

#else

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "../../base/heap.h"
#include "../../base/memcheck.h"
#include "../net.h"
#include "../spin.h"
#include "../syscalls.h"
#include "../waker.h"
#include "../watches.h"
#include "uring_ops.h"

enum { SUBMISSIONS = 256, COMPLETIONS = 4096, BATCH = 256 };

/* user_data of what is no watch's request; below these are a watch's index and, above, its sequence. */
static const uint64_t WAKE_TOKEN = UINT32_MAX, CANCEL_TOKEN = UINT32_MAX - 1;

/* EXT_ARG: a timeout per enter. NODROP: completions beyond the queue are kept. RSRC_TAGS: came with the multishot
 * poll (5.13), which has no bit of its own. */
static const unsigned NEEDED = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RSRC_TAGS;

struct uring {
    struct cosy_sys sys;
    struct io_uring ring;
    bool on_valgrind;
    bool ring_open;    /* false after a move to another thread that failed */
    bool registered;   /* the ring's descriptor, in the owner's table */
    bool wake_armed;   /* the multishot poll on the waker */
    bool embedded;     /* somebody polls notify_fd: arm at once, not at the next wait */
    bool skip_success; /* removals need not report success */
    uint64_t owner;    /* 0: not used yet */
    int notify_fd;     /* an eventfd that the kernel writes when it has something for us; -1: nobody asked for it */
    struct cosy_waker waker;
    struct cosy_spin spin;
    struct cosy_watches watches;
    struct cosy_link due;
    struct cosy_link edged;
    struct cosy_uring_ops files;
    pid_t process; /* whose ring it is */
    uint64_t *cancels;
    int *closing;
    uint32_t cancel_count, closing_count, cancel_room; /* cancel_room: of both */
    struct cosy_watch *found[BATCH];                   /* whose events wait() is about to report */
    struct pollfd fresh[BATCH];
};

static struct uring *uring_of(struct cosy_sys *sys)
{
    return container_of(sys, struct uring, sys);
}

/* A number for each thread of this process that no other thread ever has, a forked child's neither. */
static _Thread_local uint64_t thread_number;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void forget_thread_number(void)
{
    thread_number = 0;
}

static void on_fork(void)
{
    pthread_atfork(NULL, NULL, forget_thread_number);
}

static uint64_t this_thread(void)
{
    static atomic_ullong last;
    if (unlikely(!thread_number))
        thread_number = atomic_fetch_add(&last, 1) + 1;
    return thread_number;
}

/* ---- the ring ---- */

/* From the best to the plainest: a kernel answers EINVAL to flags that it does not know. */
static int set_up(struct uring *self)
{
    static const unsigned base = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
    static const unsigned wanted[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SUBMIT_ALL,
        0,
    };
    struct io_uring_params params;
    int error = -EINVAL;
    for (size_t i = 0; error == -EINVAL && i < COUNT_OF(wanted); i++) {
        params = (struct io_uring_params){.flags = base | wanted[i], .cq_entries = COMPLETIONS};
        error = sys_uring_setup(SUBMISSIONS, &self->ring, &params);
    }
    if (error)
        return error;
    (void)atomic_load_explicit(&cosy_mappings_ended, memory_order_acquire);
    if ((params.features & NEEDED) != NEEDED) {
        io_uring_queue_exit(&self->ring);
        return -ENOSYS;
    }
    for (unsigned i = 0; i < params.sq_entries; i++) /* newer liburings do that; hand_over() relies on it */
        self->ring.sq.array[i] = i;
    self->skip_success = params.features & IORING_FEAT_CQE_SKIP;
    self->ring_open = true;
    self->registered = self->wake_armed = false;
    self->owner = 0;
    return 0;
}

static void tear_down(struct uring *self)
{
    if (!self->ring_open)
        return;
    /* The registration lies in the owner's table: in another thread's, the index may mean another ring. */
    if (self->registered && self->owner != this_thread()) {
        self->ring.int_flags = 0;
        self->ring.enter_ring_fd = self->ring.ring_fd;
    }
    atomic_fetch_add_explicit(&cosy_mappings_ended, 1, memory_order_release);
    io_uring_queue_exit(&self->ring);
    self->ring_open = false;
}

/* Makes the kernel see the entries that were prepared; returns how many it has not taken yet. */
static unsigned hand_over(struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;
    if (sq->sqe_head != sq->sqe_tail) {
        sq->sqe_head = sq->sqe_tail;
        io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    }
    return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

/* The one system call of a turn: submits what is prepared, runs what the kernel put off, and with min_complete
 * waits for a completion, for at most `left` ns. 0 also when the time is over. liburing's own waiting calls hide
 * signals and may wait twice. */
static int enter(struct uring *self, unsigned min_complete, cosy_ns left)
{
    struct __kernel_timespec limit = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&limit};
    bool limited = min_complete && left != COSY_NEVER;
    unsigned flags = IORING_ENTER_GETEVENTS | (limited ? IORING_ENTER_EXT_ARG : 0u) |
                     (self->registered ? IORING_ENTER_REGISTERED_RING : 0u);
    int fd = self->registered ? self->ring.enter_ring_fd : self->ring.ring_fd;
    int result = sys_uring_enter(fd, hand_over(&self->ring), min_complete, flags, limited ? &arg : NULL);
    return result >= 0 || result == -ETIME ? 0 : result;
}

/* True when an enter would find something: put-off work, or completions that did not fit. */
static bool has_kernel_work(struct uring *self)
{
    return IO_URING_READ_ONCE(*self->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static bool has_completions(struct uring *self)
{
    return io_uring_cq_ready(&self->ring) != 0;
}

static bool worth_a_look(struct uring *self)
{
    return has_completions(self) || has_kernel_work(self) || cosy_waker_pending(&self->waker);
}

static int enter_if_needed(struct uring *self)
{
    return hand_over(&self->ring) || has_kernel_work(self) ? enter(self, 0, 0) : 0;
}

/* ---- telling a foreign loop ---- */

/* The ring's own descriptor will not do: put-off work (DEFER_TASKRUN) does not wake who sleeps in poll(2) on it.
 * Wakes write to it themselves, since the kernel forwards no write from one eventfd to another. */
static int start_notifying(struct uring *self)
{
    if (self->notify_fd < 0) {
        int fd = sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
            return fd;
        self->notify_fd = fd;
    }
    int error = sys_uring_register_eventfd(&self->ring, self->notify_fd);
    return error == -EBUSY ? 0 : error; /* registered before */
}

/* Makes notify_fd readable if there is something to find, and else not. What comes after the read stays seen. */
static void update_notification(struct uring *self)
{
    uint64_t count, one = 1;
    sys_read(self->notify_fd, &count, sizeof count);
    if (worth_a_look(self))
        sys_write(self->notify_fd, &one, sizeof one);
}

/* valgrind (3.19) lets no other thread run while one is in io_uring_enter: sleep in poll(2) instead, which it knows. */
static int sleep_on_valgrind(struct uring *self, cosy_ns left)
{
    int error = cosy_waker_embed(&self->waker, self->notify_fd);
    if (!error)
        error = enter(self, 0, 0);
    update_notification(self);
    if (error || worth_a_look(self))
        return error;
    cosy_ns ms = left / 1000000 + 1;
    struct pollfd notified = {.fd = self->notify_fd, .events = POLLIN};
    int result = sys_poll(&notified, 1, left == COSY_NEVER ? -1 : ms < INT_MAX ? (int)ms : INT_MAX);
    return result < 0 ? result : enter(self, 0, 0);
}

static int sleep_for_completion(struct uring *self, cosy_ns left)
{
    return unlikely(self->on_valgrind) ? sleep_on_valgrind(self, left) : enter(self, 1, left);
}

/* ---- requests ---- */

static int next_entry(struct uring *self, struct io_uring_sqe **ret_sqe)
{
    *ret_sqe = io_uring_get_sqe(&self->ring);
    if (likely(*ret_sqe))
        return 0;
    int error = enter(self, 0, 0);
    if (error)
        return error;
    *ret_sqe = io_uring_get_sqe(&self->ring);
    return *ret_sqe ? 0 : -EAGAIN;
}

static uint64_t token_of(const struct cosy_watch *watch)
{
    return (uint64_t)watch->sequence << 32 | watch->index;
}

static void give_up_request(struct uring *self, struct cosy_watch *watch)
{
    cosy_assert(self->cancel_count < self->cancel_room);
    self->cancels[self->cancel_count++] = token_of(watch);
    watch->armed = false;
}

/* For those whose cancels stand in the queue before them. */
static int prepare_closes(struct uring *self)
{
    struct io_uring_sqe *sqe;
    while (self->closing_count) {
        int error = next_entry(self, &sqe);
        if (error)
            return error;
        io_uring_prep_close(sqe, self->closing[--self->closing_count]);
        io_uring_sqe_set_data64(sqe, CANCEL_TOKEN);
        if (self->skip_success)
            sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    return 0;
}

static void close_directly(struct uring *self)
{
    while (self->closing_count)
        close(self->closing[--self->closing_count]);
}

/* Not by POLL_REMOVE: that refuses (EALREADY) a poll whose wake-up is on its way, and a multishot one would stay for
 * good. */
static int prepare_cancels(struct uring *self)
{
    struct io_uring_sqe *sqe;
    while (self->cancel_count) {
        int error = next_entry(self, &sqe);
        if (error)
            return error;
        io_uring_prep_cancel64(sqe, self->cancels[--self->cancel_count], 0);
        io_uring_sqe_set_data64(sqe, CANCEL_TOKEN);
        if (self->skip_success)
            sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    return prepare_closes(self);
}

static int prepare_wake(struct uring *self)
{
    struct io_uring_sqe *sqe;
    int error = self->wake_armed ? 0 : next_entry(self, &sqe);
    if (error || self->wake_armed)
        return error;
    /* Multishot: each write to the eventfd makes a completion, and nobody has to read it. */
    io_uring_prep_poll_multishot(sqe, self->waker.fd, POLLIN);
    io_uring_sqe_set_data64(sqe, WAKE_TOKEN);
    self->wake_armed = true;
    return 0;
}

static int prepare_due(struct uring *self)
{
    struct io_uring_sqe *sqe;
    while (!cosy_list_empty(&self->due)) {
        int error = next_entry(self, &sqe);
        if (error)
            return error;
        struct cosy_watch *watch = container_of(self->due.next, struct cosy_watch, link);
        cosy_list_remove(&watch->link);
        watch->sequence++;
        watch->asked = cosy_sys_to_poll(watch->events);
        watch->armed = true;
        if (cosy_watch_is_edge(watch))
            io_uring_prep_poll_multishot(sqe, watch->fd, watch->asked);
        else
            io_uring_prep_poll_add(sqe, watch->fd, watch->asked);
        io_uring_sqe_set_data64(sqe, token_of(watch));
    }
    return 0;
}

static int prepare_files(struct uring *self)
{
    struct cosy_uring_ops *files = &self->files;
    struct io_uring_sqe *sqe;
    int error = 0;
    while (!cosy_list_empty(&files->cancels) && (error = next_entry(self, &sqe)) == 0) {
        cosy_uring_ops_send_cancel(files, sqe);
        io_uring_sqe_set_data64(sqe, CANCEL_TOKEN);
    }
    while (!error && !cosy_list_empty(&files->due) && (error = next_entry(self, &sqe)) == 0)
        cosy_uring_ops_send_due(files, sqe);
    return error;
}

static int prepare_all(struct uring *self)
{
    int error = prepare_cancels(self);
    if (!error)
        error = prepare_wake(self);
    if (!error)
        error = prepare_due(self);
    return error ? error : prepare_files(self);
}

/* ---- completions ---- */

static bool will_pass(int result)
{
    return result == -ECANCELED || result == -EAGAIN || result == -EINTR || result == -ENOMEM;
}

/* What a completion means for its watch; 0: nothing to report, and the watch is due again. */
static unsigned readiness(struct cosy_watch *watch, int result)
{
    unsigned ready = result >= 0 ? cosy_sys_from_poll((unsigned)result) : will_pass(result) ? 0 : COSY_SYS_INVALID;
    return cosy_watch_filter(watch, ready);
}

static struct cosy_watch *watch_of(struct uring *self, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == CANCEL_TOKEN)
        return NULL;
    if (cqe->user_data == WAKE_TOKEN) {
        if (!(cqe->flags & IORING_CQE_F_MORE))
            self->wake_armed = false;
        return NULL;
    }
    struct cosy_watch *watch = cosy_watches_at(&self->watches, (uint32_t)cqe->user_data);
    return watch->armed && watch->sequence == cqe->user_data >> 32 ? watch : NULL;
}

static void append_all(struct cosy_link *head, struct cosy_link *from)
{
    while (!cosy_list_empty(from)) {
        struct cosy_link *link = from->next;
        cosy_list_remove(link);
        cosy_list_append(head, link);
    }
}

static void note_edge(struct uring *self, struct cosy_watch *watch, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        watch->armed = false;
    unsigned ready = cqe->res >= 0         ? cosy_sys_from_poll((unsigned)cqe->res)
                     : will_pass(cqe->res) ? 0
                                           : COSY_SYS_INVALID;
    if (ready & COSY_SYS_INVALID)
        watch->dead = true;
    else if (!watch->armed)
        cosy_list_append(&self->due, &watch->link);
    if (ready && !watch->edges)
        cosy_list_append(&self->edged, &watch->edge_link);
    watch->edges |= ready;
}

/* Behind the `count` events that there are. */
static int report_edges(struct uring *self, struct cosy_sys_event *events, int count, int max)
{
    while (count < max && !cosy_list_empty(&self->edged)) {
        struct cosy_watch *watch = container_of(self->edged.next, struct cosy_watch, edge_link);
        cosy_list_remove(&watch->edge_link);
        events[count++] = (struct cosy_sys_event){.data = watch->data, .events = cosy_watch_edges(watch->edges)};
        watch->edges = 0;
    }
    return count;
}

/* Empties the completion queue. Reports up to max; the others become due again, before those that are reported, so
 * that each gets its turn. *ret_seen tells that there were completions at all. */
static int collect(struct uring *self, struct cosy_sys_event *events, int max, bool *ret_seen)
{
    struct cosy_link reported_ones;
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int reported = 0;
    cosy_list_init(&reported_ones);
    io_uring_for_each_cqe(&self->ring, head, cqe)
    {
        seen++;
        if (cosy_uring_ops_completed(&self->files, cqe))
            continue;
        struct cosy_watch *watch = watch_of(self, cqe);
        if (!watch)
            continue;
        if (cosy_watch_is_edge(watch)) {
            note_edge(self, watch, cqe);
            continue;
        }
        watch->armed = false;
        if (!watch->events)
            continue; /* rewatch() makes it due */
        unsigned ready = readiness(watch, cqe->res);
        if (!ready || reported == max) {
            cosy_list_append(&self->due, &watch->link);
            continue;
        }
        cosy_list_append(&reported_ones, &watch->link);
        self->found[reported] = watch;
        events[reported++] = (struct cosy_sys_event){.data = watch->data, .events = ready};
    }
    io_uring_cq_advance(&self->ring, seen);
    append_all(&self->due, &reported_ones);
    *ret_seen = seen != 0;
    return reported;
}

/* Replaces what was ready by what is. */
static int confirm(struct uring *self, struct cosy_sys_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        short mask = (short)cosy_sys_to_poll(self->found[i]->events);
        self->fresh[i] = (struct pollfd){.fd = self->found[i]->fd, .events = mask};
    }
    if (count == 0 || sys_poll(self->fresh, (nfds_t)count, 0) < 0)
        return count; /* better an event too many */
    int kept = 0;
    for (int i = 0; i < count; i++) {
        unsigned ready = cosy_sys_from_poll((unsigned short)self->fresh[i].revents);
        ready = cosy_watch_filter(self->found[i], ready);
        self->found[kept] = self->found[i];
        events[kept] = (struct cosy_sys_event){.data = self->found[i]->data, .events = ready};
        kept += ready != 0;
    }
    return kept;
}

/* Nothing follows the report that a descriptor is closed. */
static void bury_invalid(struct uring *self, const struct cosy_sys_event *events, int count)
{
    for (int i = 0; i < count; i++)
        if (events[i].events & COSY_SYS_INVALID) {
            self->found[i]->dead = true;
            cosy_list_remove(&self->found[i]->link);
        }
}

/* Completions that were made while the program ran. */
static int forget_hints(struct uring *self)
{
    bool seen = has_completions(self);
    while (seen) {
        collect(self, NULL, 0, &seen);
        int error = has_kernel_work(self) ? enter(self, 0, 0) : 0;
        if (error)
            return error;
        seen = has_completions(self);
    }
    return 0;
}

/* ---- threads ---- */

static void make_all_due(struct uring *self)
{
    cosy_list_init(&self->due);
    self->cancel_count = 0;
    close_directly(self);
    for (uint32_t i = 0; i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        watch->armed = false;
        if (watch->fd < 0 || watch->dead)
            continue;
        cosy_list_init(&watch->link);
        if (watch->events)
            cosy_list_append(&self->due, &watch->link);
    }
}

/* What is in flight stays with the ring of the thread that sent it; a forked child has only copies of what the parent's
 * will write to. */
static int leave_files(struct uring *self)
{
    if (self->files.sent && self->process == getpid())
        return -EBUSY;
    cosy_uring_ops_end_all(&self->files, -ECANCELED);
    return 0;
}

/* Makes the ring this thread's. */
static cosy_cold int take_over(struct uring *self)
{
    int error = leave_files(self);
    if (error)
        return error;
    if (self->owner || !self->ring_open) {
        tear_down(self);
        make_all_due(self);
        error = set_up(self);
    }
    if (!error && (self->notify_fd >= 0 || self->on_valgrind))
        error = start_notifying(self);
    if (!error)
        error = sys_uring_enable(&self->ring); /* last, because it works once */
    if (error)
        return error;
    self->owner = this_thread();
    self->process = getpid();
    self->registered = sys_uring_register_ring(&self->ring) == 1; /* spares a look-up per enter */
    return 0;
}

static int be_owner(struct uring *self)
{
    return likely(self->owner == this_thread()) ? 0 : take_over(self);
}

/* ---- the table of operations ---- */

static cosy_ns uring_now(struct cosy_sys *sys)
{
    (void)sys;
    return sys_clock();
}

/* Lets a foreign loop that polls notify_fd see what is due. A failure is made good by the next wait(). */
static void arm_if_embedded(struct uring *self)
{
    if (!self->embedded || self->owner != this_thread())
        return;
    if (prepare_all(self) == 0)
        enter_if_needed(self);
    update_notification(self);
}

/* One place in `cancels` and `closing` per watch. */
static int reserve_cancels(struct uring *self)
{
    if (self->cancel_room >= self->watches.count)
        return 0;
    uint64_t *cancels = cosy_heap_resize(self->cancels, self->watches.count * sizeof *cancels);
    if (!cancels)
        return -ENOMEM;
    self->cancels = cancels;
    int *closing = cosy_heap_resize(self->closing, self->watches.count * sizeof *closing);
    if (!closing)
        return -ENOMEM;
    self->closing = closing;
    self->cancel_room = self->watches.count;
    return 0;
}

static void drop(struct uring *self, struct cosy_watch *watch)
{
    if (watch->armed)
        give_up_request(self, watch);
    if (watch->edges)
        cosy_list_remove(&watch->edge_link);
    watch->edges = 0;
    cosy_watches_remove(&self->watches, watch);
}

static int uring_watch(struct cosy_sys *sys, int fd, unsigned events, void *data, uint64_t *ret_id)
{
    struct uring *self = uring_of(sys);
    struct cosy_identity identity = {0};
    int error = fd < 0 ? -EBADF : cosy_sys_check_events(events);
    if (error)
        return error;
    struct cosy_watch *old = cosy_watches_by_key(&self->watches, (size_t)fd);
    if (old && cosy_watch_is_edge(old))
        return -EEXIST;
    if (old || !(events & COSY_SYS_EDGE))
        error = cosy_sys_examine(fd, &identity);
    if (error)
        return error;
    if (old && cosy_watch_is_same(old, &identity))
        return -EEXIST;
    error = cosy_watches_reserve(&self->watches, (size_t)fd);
    if (!error)
        error = reserve_cancels(self);
    if (error)
        return error;
    if (old) /* its descriptor was closed, and this is another file with the same number */
        drop(self, old);
    struct cosy_watch *watch = cosy_watches_add(&self->watches, (size_t)fd, fd, events, data);
    watch->identity = identity;
    if (events)
        cosy_list_append(&self->due, &watch->link);
    arm_if_embedded(self);
    *ret_id = cosy_watch_id(watch);
    return 0;
}

/* A request that asks for more than is wanted stays: what it reports is filtered, and then asked for anew. */
static int uring_rewatch(struct cosy_sys *sys, uint64_t id, unsigned events)
{
    struct uring *self = uring_of(sys);
    struct cosy_watch *watch = cosy_watches_by_id(&self->watches, id);
    int error = !watch ? -ENOENT : watch->dead ? -EBADF : cosy_sys_check_events(events);
    if (error)
        return error;
    if (cosy_watch_is_edge(watch))
        events |= watch->events;
    watch->events = events;
    if (watch->armed && cosy_sys_to_poll(events) & ~watch->asked)
        give_up_request(self, watch);
    cosy_list_remove(&watch->link);
    if (events && !watch->armed) {
        cosy_list_append(&self->due, &watch->link);
        arm_if_embedded(self);
    }
    return 0;
}

/* The request goes at once, because it holds the open file: after close() the peer would see no end of file and
 * a port would stay taken until the next wait(). */
static void cancel_now(struct uring *self)
{
    if (self->owner == this_thread() && prepare_cancels(self) == 0)
        enter(self, 0, 0);
}

static int uring_unwatch(struct cosy_sys *sys, uint64_t id)
{
    struct uring *self = uring_of(sys);
    struct cosy_watch *watch = cosy_watches_by_id(&self->watches, id);
    if (!watch)
        return -ENOENT;
    drop(self, watch);
    if (self->cancel_count)
        cancel_now(self);
    return 0;
}

static void uring_close_fd(struct cosy_sys *sys, int fd, uint64_t watch_id)
{
    struct uring *self = uring_of(sys);
    struct cosy_watch *watch = watch_id ? cosy_watches_by_id(&self->watches, watch_id) : NULL;
    bool armed = watch && watch->armed;
    if (watch)
        drop(self, watch);
    if (armed)
        self->closing[self->closing_count++] = fd;
    else
        close(fd);
    arm_if_embedded(self);
}

static bool uring_expects(struct cosy_sys *sys)
{
    (void)sys;
    return true;
}

static int spin(struct uring *self, cosy_ns until)
{
    int error = hand_over(&self->ring) ? enter(self, 0, 0) : 0;
    if (error)
        return error;
    bool paid;
    do {
        paid = worth_a_look(self);
        for (int i = 0; !paid && i < 32; i++, paid = worth_a_look(self))
            cosy_spin_relax();
    } while (!paid && sys_clock() < until);
    cosy_spin_done(&self->spin, paid);
    return 0;
}

/* `now` is only true when the deadline lies ahead of it. */
static int submit_and_wait(struct uring *self, cosy_ns now, cosy_ns deadline)
{
    if (deadline > now && !worth_a_look(self) && cosy_spin_wanted(&self->spin)) {
        cosy_ns until = deadline - now < self->spin.limit ? deadline : now + self->spin.limit;
        int error = spin(self, until);
        if (error || worth_a_look(self))
            return error ? error : enter_if_needed(self);
        now = sys_clock();
    }
    if (deadline <= now || !cosy_waker_sleep(&self->waker))
        return enter_if_needed(self);
    return sleep_for_completion(self, deadline == COSY_NEVER ? COSY_NEVER : deadline - now);
}

static int uring_wait(struct cosy_sys *sys, cosy_ns deadline, struct cosy_sys_event *events, int max)
{
    struct uring *self = uring_of(sys);
    cosy_assert(max > 0);
    if (max > BATCH)
        max = BATCH;
    int error = be_owner(self);
    while (!error) {
        error = forget_hints(self);
        if (!error)
            error = prepare_all(self);
        if (error)
            break;
        if (!cosy_list_empty(&self->edged) || !cosy_list_empty(&self->files.ended))
            deadline = INT64_MIN;
        cosy_ns now = deadline > 0 ? sys_clock() : 0;
        bool old_news = has_kernel_work(self);
        error = submit_and_wait(self, now, deadline);
        bool woken = cosy_waker_awake(&self->waker), seen;
        if (error)
            break;
        int reported = collect(self, events, max, &seen);
        if (old_news)
            reported = confirm(self, events, reported);
        bury_invalid(self, events, reported);
        reported = report_edges(self, events, reported, max);
        reported = cosy_uring_ops_report(&self->files, events, reported, max);
        if (reported || woken || !seen || deadline <= now) {
            arm_if_embedded(self);
            return reported;
        }
    }
    if (unlikely(self->files.sent != 0) && self->owner != this_thread())
        return error;
    /* EAGAIN, EBUSY: the kernel is short of something for now; the program goes on, and asks again. */
    return error == -EINTR || error == -EAGAIN || error == -EBUSY ? 0 : error;
}

static bool uring_peek(struct cosy_sys *sys)
{
    struct uring *self = uring_of(sys);
    if (cosy_waker_pending(&self->waker) || !cosy_list_empty(&self->due) || !cosy_list_empty(&self->edged))
        return true;
    if (!cosy_list_empty(&self->files.due) || !cosy_list_empty(&self->files.ended))
        return true;
    return self->ring_open && (has_completions(self) || has_kernel_work(self));
}

static int uring_wake(struct cosy_sys *sys)
{
    return cosy_waker_wake(&uring_of(sys)->waker);
}

static int uring_poll_fd(struct cosy_sys *sys)
{
    struct uring *self = uring_of(sys);
    int error = be_owner(self);
    if (!error)
        error = start_notifying(self);
    if (!error)
        error = cosy_waker_embed(&self->waker, self->notify_fd);
    if (error)
        return error;
    self->embedded = true;
    arm_if_embedded(self);
    return self->notify_fd;
}

/* ---- operations on files ---- */

static int uring_submit(struct cosy_sys *sys, struct cosy_file_op *op)
{
    struct uring *self = uring_of(sys);
    int error;
    while ((error = cosy_sys_fault()) == -EINTR) /* a signal is no reason to give up */
        ;
    if (error)
        return error;
    if (unlikely(!self->files.probed) && self->ring_open)
        cosy_uring_ops_probe(&self->files, &self->ring);
    error = cosy_uring_ops_add(&self->files, op);
    if (error)
        return error;
    /* At once, as long as it is in the processor's near memory; the kernel is told at the next wait(). */
    struct io_uring_sqe *sqe = self->owner == this_thread() ? io_uring_get_sqe(&self->ring) : NULL;
    if (likely(sqe != NULL))
        cosy_uring_ops_send(&self->files, op, sqe);
    else
        cosy_uring_ops_put_off(&self->files, op);
    arm_if_embedded(self);
    return 0;
}

static void uring_cancel_op(struct cosy_sys *sys, struct cosy_file_op *op)
{
    struct uring *self = uring_of(sys);
    cosy_uring_ops_cancel(&self->files, op);
    arm_if_embedded(self);
}

/* Outside the thread that sent it, only that thread's end makes it end: then its completion lies there already. */
static void uring_finish_op(struct cosy_sys *sys, struct cosy_file_op *op)
{
    struct uring *self = uring_of(sys);
    cosy_uring_ops_cancel(&self->files, op);
    while (op->step == COSY_FILE_OP_SENT) {
        bool seen, mine = self->owner == this_thread();
        if (mine && prepare_files(self) == 0)
            enter(self, 1, COSY_NEVER);
        collect(self, NULL, 0, &seen);
        if (!seen && !mine && op->step == COSY_FILE_OP_SENT) {
            tear_down(self);
            cosy_uring_ops_end_all(&self->files, -ECANCELED);
        }
    }
    cosy_list_remove(&op->link);
    op->step = COSY_FILE_OP_NEW;
}

/* Closing a ring lets its requests go in the background. Take them back before, so that the descriptors they hold
 * are free when close() returns. */
static void take_back_requests(struct uring *self)
{
    for (uint32_t i = 0; i < self->watches.count; i++) {
        struct cosy_watch *watch = cosy_watches_at(&self->watches, i);
        if (watch->armed)
            give_up_request(self, watch);
    }
    cancel_now(self);
}

static void uring_close(struct cosy_sys *sys)
{
    struct uring *self = uring_of(sys);
    close_directly(self); /* first: what is left to the ring is not closed when its last enter fails */
    take_back_requests(self);
    tear_down(self);
    if (self->notify_fd >= 0)
        close(self->notify_fd);
    cosy_waker_close(&self->waker);
    cosy_watches_clear(&self->watches);
    cosy_uring_ops_clear(&self->files);
    cosy_heap_free(self->cancels);
    cosy_heap_free(self->closing);
    cosy_heap_free(self);
}

static const struct cosy_sys_ops uring_ops = {
    .name = "uring",
    .close = uring_close,
    .now = uring_now,
    .watch = uring_watch,
    .rewatch = uring_rewatch,
    .unwatch = uring_unwatch,
    .close_fd = uring_close_fd,
    .expects = uring_expects,
    .wait = uring_wait,
    .peek = uring_peek,
    .wake = uring_wake,
    .poll_fd = uring_poll_fd,
    .submit = uring_submit,
    .cancel_op = uring_cancel_op,
    .finish_op = uring_finish_op,
};

int cosy_sys_open_uring(struct cosy_sys **ret_sys, const struct cosy_sys_config *config)
{
    pthread_once(&fork_once, on_fork);
    struct uring *self = cosy_heap_zalloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->sys.ops = &uring_ops;
    self->sys.net = &cosy_linux_net_ops;
    self->spin.limit = config->spin;
    self->notify_fd = -1;
    self->on_valgrind = RUNNING_ON_VALGRIND && !getenv("COSY_HOOKS"); /* with COSY_HOOKS=0, the ordinary paths are
                                                                       * counted */
    cosy_watches_init(&self->watches);
    cosy_list_init(&self->due);
    cosy_list_init(&self->edged);
    cosy_uring_ops_init(&self->files);
    int error = cosy_waker_open(&self->waker);
    if (!error)
        error = set_up(self);
    if (error) {
        cosy_waker_close(&self->waker);
        cosy_heap_free(self);
        return error;
    }
    *ret_sys = &self->sys;
    return 0;
}

#endif
