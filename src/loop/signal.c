/* signal.c - signals as callbacks of the loop.
 *
 * The signal handler proper only sets a bit and wakes the loop, both safe in a signal handler; the loop queues the
 * callbacks in its next turn. Dispositions belong to the process, so one loop at a time may own them: from its first
 * handler to its last.
 */
#include <sched.h>
#include <signal.h>

#include "../base/heap.h"
#include "context.h"
#include "loop.h"

enum { SIGNALS = 65 };

struct caught {
    cosy_handle handle;
    uintptr_t context;
    bool wanted, quiet;
};

struct cosy_signals {
    int wanted; /* the owner has some, others none */
    struct caught caught[SIGNALS];
};

static _Atomic(struct cosy_loop *) owner;
static atomic_uint_least64_t pending; /* bit n - 1: signal n came */
static atomic_uint handling;          /* threads that may be about to wake the owner */

static atomic_int interrupts; /* Ctrl-C for the runner: the second one is not asked */

static void on_signal(int signum)
{
    if (signum == SIGINT && atomic_load(&interrupts) != 0 && atomic_fetch_add(&interrupts, 1) > 1) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT); /* takes effect when this handler returns */
        return;
    }
    atomic_fetch_or(&pending, UINT64_C(1) << (signum - 1));
    atomic_fetch_add(&handling, 1);
    struct cosy_loop *loop = atomic_load(&owner);
    if (loop)
        loop->sys->ops->wake(loop->sys);
    atomic_fetch_sub(&handling, 1);
}

static int own_signals(struct cosy_loop *loop)
{
    if (!loop->signals)
        loop->signals = cosy_heap_zalloc(sizeof *loop->signals);
    if (!loop->signals)
        return -ENOMEM;
    struct cosy_loop *nobody = NULL;
    if (atomic_compare_exchange_strong(&owner, &nobody, loop))
        atomic_store(&pending, 0);
    else if (nobody != loop)
        return -EBUSY;
    return 0;
}

/* Gives the signals up with the last handler. Afterwards no thread is about to wake this loop for one, so that its
 * kernel may be closed. */
static void disown_unless_wanted(struct cosy_loop *loop)
{
    if (loop->signals->wanted > 0)
        return;
    atomic_store(&owner, NULL);
    while (atomic_load(&handling) != 0)
        sched_yield();
}

static int catch_signal(int signum)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    return sigaction(signum, &action, NULL) < 0 ? -EINVAL : 0;
}

/* Takes back what is queued. */
static void forget(struct caught *caught)
{
    cosy_handle_cancel(&caught->handle);
    cosy_context_slot_clear(&caught->handle.context_);
    cosy_context_slot_clear(&caught->context);
}

static int add(cosy_loop *loop, int signum, cosy_callback callback, void *arg, bool quiet)
{
    if (!loop || !callback || signum < 1 || signum >= SIGNALS || signum == SIGKILL || signum == SIGSTOP)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    int result = own_signals(loop);
    if (result < 0)
        return result;
    struct caught *caught = &loop->signals->caught[signum];
    result = caught->wanted ? 0 : catch_signal(signum);
    if (result < 0) {
        disown_unless_wanted(loop);
        return result;
    }
    forget(caught);
    cosy_handle_init(&caught->handle, callback, arg);
    caught->context = cosy_context_slot_copy(*cosy_context_here());
    loop->signals->wanted += !caught->wanted;
    caught->wanted = true;
    caught->quiet = quiet;
    if (signum == SIGINT)
        atomic_store(&interrupts, quiet ? 1 : 0);
    return 0;
}

int cosy_add_signal_handler(cosy_loop *loop, int signum, cosy_callback callback, void *arg)
{
    return add(loop, signum, callback, arg, false);
}

int cosy_signals_add_quiet(cosy_loop *loop, int signum, cosy_callback callback, void *arg)
{
    return add(loop, signum, callback, arg, true);
}

/* Only puts the default back where our own handler still stands: a later one is not ours to undo. */
static void release(struct cosy_loop *loop, int signum)
{
    struct caught *caught = &loop->signals->caught[signum];
    struct sigaction present;
    if (sigaction(signum, NULL, &present) == 0 && present.sa_handler == on_signal)
        signal(signum, SIG_DFL);
    atomic_fetch_and(&pending, ~(UINT64_C(1) << (signum - 1)));
    if (signum == SIGINT)
        atomic_store(&interrupts, 0);
    forget(caught);
    caught->wanted = false;
    loop->signals->wanted--;
    disown_unless_wanted(loop);
}

int cosy_remove_signal_handler(cosy_loop *loop, int signum)
{
    if (!loop || signum < 1 || signum >= SIGNALS)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    if (!loop->signals || !loop->signals->caught[signum].wanted)
        return 0;
    release(loop, signum);
    return 1;
}

void cosy_signals_collect(struct cosy_loop *loop)
{
    if (!loop->signals || loop->signals->wanted == 0 || atomic_load_explicit(&pending, memory_order_relaxed) == 0)
        return;
    uint64_t came = atomic_exchange(&pending, 0);
    for (; came; came &= came - 1) {
        struct caught *caught = &loop->signals->caught[__builtin_ctzll(came) + 1];
        if (caught->wanted && cosy_handle_start_soon(loop, &caught->handle) == 0)
            caught->handle.context_ = cosy_context_slot_copy(caught->context);
    }
}

bool cosy_signals_any(const struct cosy_loop *loop)
{
    for (int i = 1; loop->signals && i < SIGNALS; i++)
        if (loop->signals->caught[i].wanted && !loop->signals->caught[i].quiet)
            return true;
    return false;
}

void cosy_signals_close(struct cosy_loop *loop)
{
    if (!loop->signals)
        return;
    for (int i = 1; i < SIGNALS; i++)
        if (loop->signals->caught[i].wanted)
            release(loop, i);
    cosy_heap_free(loop->signals);
    loop->signals = NULL;
}
