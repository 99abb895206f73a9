/* signal.c - signals as callbacks of the loop, and for its receivers.
 *
 * The signal handler proper only sets a bit for each loop that wants the signal, and wakes it, both safe in a signal
 * handler; the loop queues the callbacks in its next turn. Dispositions belong to the process: a signal is caught from
 * the first loop that wants it to the last.
 *
 * Invariants
 *  - A loop is on the list `everybody` while it wants any signal. Handlers walk that list without a lock, in any
 * thread, and `handling` counts them: whoever takes a loop off waits until none is on its way, and only then may its
 * kernel be closed.
 *  - `lock` is for the list and the dispositions, and never taken in a handler.
 *  - Ctrl-C is the runner's (`quiet`) only as long as nobody else in the process wants it.
 */
#include "signal.h"

#include <sched.h>
#include <unistd.h>

#include "../base/heap.h"
#include "context.h"
#include "loop.h"

struct caught {
    cosy_handle handle;
    uintptr_t context;
    bool wanted;
};

struct cosy_signals {
    _Atomic(struct cosy_signals *) next; /* on the list */
    struct cosy_loop *loop;
    atomic_uint_least64_t wants, pending; /* bit n - 1: signal n */
    bool loud;                            /* wants Ctrl-C for itself */
    struct caught caught[COSY_SIGNALS_COUNT];
    struct caught quiet; /* the runner's Ctrl-C */
    struct cosy_link listeners;
};

static _Atomic(struct cosy_signals *) everybody;
static atomic_uint handling; /* threads in a handler */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    unsigned loops; /* that want it */
    struct sigaction before;
} dispositions[COSY_SIGNALS_COUNT];

/* Who sent each signal last. Handlers of several threads exclude each other by `writing`, and the one that comes second
 * leaves the other's word; readers try again when `version` was odd or has changed. */
static struct {
    atomic_flag writing;
    atomic_uint version;
    atomic_int code;
    atomic_uint_least64_t sender; /* pid, uid */
    atomic_uintptr_t value;
} origins[COSY_SIGNALS_COUNT];

static unsigned loud_loops; /* under the lock */
static atomic_uint loud;    /* the same, for whoever only looks */
/* Ctrl-C for the runner: 1: it waits for the first, 2: that has come, and the next one is not asked. 0: it is not the
 * runner's. */
static atomic_int interrupts;

/* ---- in the signal ---- */

static void note_origin(int signum, const siginfo_t *info)
{
    if (atomic_flag_test_and_set(&origins[signum].writing))
        return;
    atomic_fetch_add(&origins[signum].version, 1);
    atomic_store(&origins[signum].code, info->si_code);
    atomic_store(&origins[signum].sender, (uint64_t)(uint32_t)info->si_pid << 32 | (uint32_t)info->si_uid);
    atomic_store(&origins[signum].value, (uintptr_t)info->si_value.sival_ptr);
    atomic_fetch_add(&origins[signum].version, 1);
    atomic_flag_clear(&origins[signum].writing);
}

static void on_signal(int signum, siginfo_t *info, void *machine)
{
    (void)machine;
    if (signum == SIGINT && atomic_load(&interrupts) != 0 && atomic_fetch_add(&interrupts, 1) > 1) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT); /* takes effect when this handler returns */
        return;
    }
    note_origin(signum, info);
    atomic_fetch_add(&handling, 1);
    for (struct cosy_signals *signals = atomic_load(&everybody); signals; signals = atomic_load(&signals->next)) {
        if (!(atomic_load(&signals->wants) & cosy_signal_bit(signum)))
            continue;
        atomic_fetch_or(&signals->pending, cosy_signal_bit(signum));
        signals->loop->sys->ops->wake(signals->loop->sys);
    }
    atomic_fetch_sub(&handling, 1);
}

static struct cosy_signal_origin origin_of(int signum)
{
    struct cosy_signal_origin origin;
    unsigned version;
    do {
        while ((version = atomic_load(&origins[signum].version)) & 1)
            sched_yield();
        uint64_t sender = atomic_load(&origins[signum].sender);
        origin = (struct cosy_signal_origin){.code = atomic_load(&origins[signum].code),
                                             .pid = (pid_t)(sender >> 32),
                                             .uid = (uid_t)sender,
                                             .value.sival_ptr = (void *)atomic_load(&origins[signum].value)};
    } while (atomic_load(&origins[signum].version) != version);
    return origin;
}

/* ---- dispositions ---- */

static bool is_ours(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_signal;
}

/* Locked. Catches it, unless that is done already; what somebody else has put there since is put back in the end. */
static int catch_signal(int signum)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO}, present;
    if (sigaction(signum, NULL, &present) < 0)
        return -EINVAL;
    if (is_ours(&present))
        return 0;
    sigfillset(&action.sa_mask);
    if (sigaction(signum, &action, NULL) < 0)
        return -EINVAL;
    dispositions[signum].before = present;
    return 0;
}

/* Locked. A later handler of somebody else is not ours to undo. */
static void release_signal(int signum)
{
    struct sigaction present;
    if (sigaction(signum, NULL, &present) == 0 && is_ours(&present))
        sigaction(signum, &dispositions[signum].before, NULL);
}

/* Locked: who gets Ctrl-C. */
static void arrange_interrupts(struct cosy_signals *signals, bool wants_it_loudly)
{
    if (signals->loud != wants_it_loudly) {
        signals->loud = wants_it_loudly;
        loud_loops += wants_it_loudly ? 1 : -1u;
        atomic_store(&loud, loud_loops);
    }
    bool quiet = false;
    for (struct cosy_signals *each = atomic_load(&everybody); each; each = atomic_load(&each->next))
        quiet |= each->quiet.wanted;
    int now = quiet && loud_loops == 0;
    if ((atomic_load(&interrupts) != 0) != now)
        atomic_store(&interrupts, now);
}

/* ---- what a loop wants ---- */

static int signals_of(struct cosy_loop *loop)
{
    if (loop->signals)
        return 0;
    loop->signals = cosy_heap_zalloc(sizeof *loop->signals);
    if (!loop->signals)
        return -ENOMEM;
    loop->signals->loop = loop;
    cosy_list_init(&loop->signals->listeners);
    return 0;
}

static bool is_heard(const struct cosy_signals *signals, int signum)
{
    bool heard = signals->caught[signum].wanted;
    for (struct cosy_link *link = signals->listeners.next; link != &signals->listeners; link = link->next)
        heard |= (container_of(link, struct cosy_signal_listener, of_loop)->mask & cosy_signal_bit(signum)) != 0;
    return heard;
}

/* Locked. */
static int begin_to_want(struct cosy_signals *signals, int signum)
{
    int result = catch_signal(signum);
    if (result < 0)
        return result;
    uint64_t wants = atomic_load(&signals->wants);
    if (wants & cosy_signal_bit(signum))
        return 0;
    dispositions[signum].loops++;
    if (wants == 0) {
        atomic_store(&signals->pending, 0);
        atomic_store(&signals->next, atomic_load(&everybody));
        atomic_store(&everybody, signals);
    }
    atomic_fetch_or(&signals->wants, cosy_signal_bit(signum));
    return 0;
}

/* Locked. True: it wants none any more, and is off the list. */
static bool cease_to_want(struct cosy_signals *signals, int signum)
{
    if (!(atomic_load(&signals->wants) & cosy_signal_bit(signum)))
        return false;
    atomic_fetch_and(&signals->wants, ~cosy_signal_bit(signum));
    atomic_fetch_and(&signals->pending, ~cosy_signal_bit(signum));
    if (--dispositions[signum].loops == 0)
        release_signal(signum);
    if (atomic_load(&signals->wants) != 0)
        return false;
    _Atomic(struct cosy_signals *) *place = &everybody;
    while (atomic_load(place) != signals)
        place = &atomic_load(place)->next;
    atomic_store(place, atomic_load(&signals->next));
    return true;
}

/* Makes the process catch what the loop wants to hear of now. 0, -EINVAL. */
static int update(struct cosy_loop *loop, int signum)
{
    struct cosy_signals *signals = loop->signals;
    bool heard = is_heard(signals, signum), quiet = signum == SIGINT && signals->quiet.wanted, gone = false;
    int result = 0;
    pthread_mutex_lock(&lock);
    if (heard || quiet)
        result = begin_to_want(signals, signum);
    else
        gone = cease_to_want(signals, signum);
    if (signum == SIGINT)
        arrange_interrupts(signals, heard && result == 0);
    pthread_mutex_unlock(&lock);
    while (gone && atomic_load(&handling) != 0)
        sched_yield();
    return result;
}

/* ---- callbacks ---- */

/* Takes back what is queued. */
static void forget(struct caught *caught)
{
    cosy_handle_cancel(&caught->handle);
    cosy_context_slot_clear(&caught->handle.context_);
    cosy_context_slot_clear(&caught->context);
}

static bool can_be_caught(int signum)
{
    return signum >= 1 && signum < COSY_SIGNALS_COUNT && signum != SIGKILL && signum != SIGSTOP;
}

static int add(cosy_loop *loop, int signum, cosy_callback callback, void *arg, bool quiet)
{
    if (!loop || !callback || !can_be_caught(signum))
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    int result = signals_of(loop);
    if (result < 0)
        return result;
    struct caught *caught = quiet ? &loop->signals->quiet : &loop->signals->caught[signum];
    bool before = caught->wanted;
    caught->wanted = true;
    result = update(loop, signum);
    if (result < 0) {
        caught->wanted = before;
        return result;
    }
    forget(caught);
    cosy_handle_init(&caught->handle, callback, arg);
    caught->context = cosy_context_slot_copy(*cosy_context_here());
    return 0;
}

int cosy_add_signal_handler(cosy_loop *loop, int signum, cosy_callback callback, void *arg)
{
    return add(loop, signum, callback, arg, false);
}

int cosy_signals_add_quiet(cosy_loop *loop, cosy_callback callback, void *arg)
{
    return add(loop, SIGINT, callback, arg, true);
}

static void drop(struct cosy_loop *loop, struct caught *caught, int signum)
{
    if (!caught->wanted)
        return;
    caught->wanted = false;
    forget(caught);
    (void)update(loop, signum);
}

int cosy_remove_signal_handler(cosy_loop *loop, int signum)
{
    if (!loop || signum < 1 || signum >= COSY_SIGNALS_COUNT)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    if (!loop->signals || !loop->signals->caught[signum].wanted)
        return 0;
    drop(loop, &loop->signals->caught[signum], signum);
    return 1;
}

void cosy_signals_remove_quiet(cosy_loop *loop)
{
    if (loop->signals)
        drop(loop, &loop->signals->quiet, SIGINT);
}

/* ---- listeners ---- */

int cosy_signals_listen(struct cosy_loop *loop, struct cosy_signal_listener *listener)
{
    if (loop->closed)
        return -COSY_ECLOSED;
    int result = signals_of(loop);
    cosy_list_init(&listener->of_loop);
    if (result < 0)
        return result;
    cosy_list_append(&loop->signals->listeners, &listener->of_loop);
    for (int i = 1; i < COSY_SIGNALS_COUNT && result == 0; i++)
        if (listener->mask & cosy_signal_bit(i))
            result = can_be_caught(i) ? update(loop, i) : -EINVAL;
    if (result < 0)
        cosy_signals_unlisten(loop, listener);
    return result;
}

void cosy_signals_unlisten(struct cosy_loop *loop, struct cosy_signal_listener *listener)
{
    if (cosy_list_empty(&listener->of_loop))
        return;
    cosy_list_remove(&listener->of_loop);
    for (int i = 1; i < COSY_SIGNALS_COUNT; i++)
        if (listener->mask & cosy_signal_bit(i) && can_be_caught(i))
            (void)update(loop, i);
}

bool cosy_signals_pretend(struct cosy_loop *loop, int signum)
{
    if (!loop->signals || !can_be_caught(signum) || !(atomic_load(&loop->signals->wants) & cosy_signal_bit(signum)))
        return false;
    note_origin(signum, &(const siginfo_t){.si_code = SI_USER, .si_pid = getpid(), .si_uid = getuid()});
    atomic_fetch_or(&loop->signals->pending, cosy_signal_bit(signum));
    loop->sys->ops->wake(loop->sys);
    return true;
}

/* ---- in a turn ---- */

static void queue(struct cosy_loop *loop, struct caught *caught)
{
    if (caught->wanted && cosy_handle_start_soon(loop, &caught->handle) == 0)
        caught->handle.context_ = cosy_context_slot_copy(caught->context);
}

static void deliver(struct cosy_loop *loop, int signum)
{
    struct cosy_signals *signals = loop->signals;
    queue(loop, &signals->caught[signum]);
    if (signum == SIGINT && atomic_load(&loud) == 0)
        queue(loop, &signals->quiet);
    if (cosy_list_empty(&signals->listeners))
        return;
    struct cosy_signal_origin origin = origin_of(signum);
    for (struct cosy_link *link = signals->listeners.next; link != &signals->listeners; link = link->next) {
        struct cosy_signal_listener *listener = container_of(link, struct cosy_signal_listener, of_loop);
        if (listener->mask & cosy_signal_bit(signum))
            listener->came(listener, signum, &origin);
    }
}

void cosy_signals_collect(struct cosy_loop *loop)
{
    struct cosy_signals *signals = loop->signals;
    if (!signals || atomic_load_explicit(&signals->pending, memory_order_relaxed) == 0)
        return;
    uint64_t came = atomic_exchange(&signals->pending, 0);
    for (; came; came &= came - 1)
        deliver(loop, __builtin_ctzll(came) + 1);
}

bool cosy_signals_any(const struct cosy_loop *loop)
{
    if (loop->signals && atomic_load(&loop->signals->pending) != 0)
        return true;
    for (int i = 1; loop->signals && i < COSY_SIGNALS_COUNT; i++)
        if (loop->signals->caught[i].wanted)
            return true;
    return loop->signals && !cosy_list_empty(&loop->signals->listeners);
}

void cosy_signals_close(struct cosy_loop *loop)
{
    struct cosy_signals *signals = loop->signals;
    if (!signals)
        return;
    for (int i = 1; i < COSY_SIGNALS_COUNT; i++)
        drop(loop, &signals->caught[i], i);
    drop(loop, &signals->quiet, SIGINT);
    while (!cosy_list_empty(&signals->listeners)) {
        struct cosy_signal_listener *listener =
            container_of(signals->listeners.next, struct cosy_signal_listener, of_loop);
        cosy_signals_unlisten(loop, listener);
        listener->closed(listener);
    }
    cosy_heap_free(signals);
    loop->signals = NULL;
}
