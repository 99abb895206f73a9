/* signal.c - signals as callbacks of the loop.
 *
 * The signal handler proper only sets a bit and wakes the loop, both safe in a signal handler; the loop queues the callbacks
 * in its next turn. Dispositions belong to the process, so one loop at a time may own them.
 */
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
    struct caught caught[SIGNALS];
};

static _Atomic(struct cosy_loop *) owner;
static atomic_uint_least64_t pending; /* bit n - 1: signal n came */

static atomic_int interrupts; /* Ctrl-C for the runner: the second one is not asked */

static void on_signal(int signum)
{
    if (signum == SIGINT && atomic_load(&interrupts) != 0 && atomic_fetch_add(&interrupts, 1) > 1) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT); /* takes effect when this handler returns */
        return;
    }
    atomic_fetch_or(&pending, UINT64_C(1) << (signum - 1));
    struct cosy_loop *loop = atomic_load(&owner);
    if (loop)
        loop->sys->ops->wake(loop->sys);
}

static int own_signals(struct cosy_loop *loop)
{
    struct cosy_loop *nobody = NULL;
    if (!atomic_compare_exchange_strong(&owner, &nobody, loop) && nobody != loop)
        return -EBUSY;
    if (!loop->signals) {
        loop->signals = cosy_heap_zalloc(sizeof *loop->signals);
        if (!loop->signals) {
            atomic_store(&owner, NULL);
            return -ENOMEM;
        }
        atomic_store(&pending, 0);
    }
    return 0;
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
    if (!caught->wanted) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
        sigfillset(&action.sa_mask);
        if (sigaction(signum, &action, NULL) < 0)
            return -EINVAL;
    }
    cosy_handle_cancel(&caught->handle);
    cosy_context_slot_clear(&caught->context);
    cosy_handle_init(&caught->handle, callback, arg);
    caught->context = cosy_context_slot_copy(*cosy_context_here());
    caught->wanted = true;
    caught->quiet = quiet;
    return 0;
}

int cosy_add_signal_handler(cosy_loop *loop, int signum, cosy_callback callback, void *arg)
{
    return add(loop, signum, callback, arg, false);
}

int cosy_signals_add_quiet(cosy_loop *loop, int signum, cosy_callback callback, void *arg)
{
    int result = add(loop, signum, callback, arg, true);
    if (result == 0 && signum == SIGINT)
        atomic_store(&interrupts, 1);
    return result;
}

/* Only puts the default back where our own handler still stands: a later one is not ours to undo. */
static void release(struct caught *caught, int signum)
{
    struct sigaction present;
    if (sigaction(signum, NULL, &present) == 0 && present.sa_handler == on_signal)
        signal(signum, SIG_DFL);
    atomic_fetch_and(&pending, ~(UINT64_C(1) << (signum - 1)));
    if (signum == SIGINT)
        atomic_store(&interrupts, 0);
    cosy_handle_cancel(&caught->handle);
    cosy_context_slot_clear(&caught->handle.context_);
    cosy_context_slot_clear(&caught->context);
    caught->wanted = false;
}

int cosy_remove_signal_handler(cosy_loop *loop, int signum)
{
    if (!loop || signum < 1 || signum >= SIGNALS)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    if (!loop->signals || !loop->signals->caught[signum].wanted)
        return 0;
    release(&loop->signals->caught[signum], signum);
    return 1;
}

void cosy_signals_collect(struct cosy_loop *loop)
{
    if (!loop->signals || atomic_load_explicit(&pending, memory_order_relaxed) == 0)
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
            release(&loop->signals->caught[i], i);
    cosy_heap_free(loop->signals);
    loop->signals = NULL;
    atomic_store(&owner, NULL);
}
