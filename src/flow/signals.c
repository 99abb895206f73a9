/* signals.c - signals as an async iterator.
 *
 * Invariants
 *  - `pending` has the signals that came and were not taken: a task takes one when it runs, never the wake-up for it.
 * So a cancelled wait loses none.
 *  - Each that comes wakes one waiting task, and one that leaves without having taken what there is wakes the next.
 *  - Its memory stays until it is closed and the last task that waited, or was woken, has looked at it: `refs`.
 */
#include <cosy/signals.h>
#include <cosy/testing.h>

#include "../base/heap.h"
#include "../loop/signal.h"
#include "../task/task.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

struct cosy_signal_receiver {
    struct cosy_signal_listener listener;
    struct cosy_loop *loop; /* NULL: it, or the receiver, has closed */
    uint64_t pending;
    unsigned refs;
    struct cosy_link waiters;
    struct cosy_signal_origin origins[]; /* one for each bit of the mask */
};

struct waiter {
    struct cosy_wait wait;
    struct cosy_link link; /* on no list: woken */
    struct cosy_task *task;
    struct cosy_signal_receiver *receiver;
};

/* ---- what comes ---- */

static struct cosy_signal_origin *origin_of(struct cosy_signal_receiver *receiver, int signum)
{
    return &receiver->origins[__builtin_popcountll(receiver->listener.mask & (cosy_signal_bit(signum) - 1))];
}

static void unref(struct cosy_signal_receiver *receiver)
{
    if (--receiver->refs == 0)
        cosy_heap_free(receiver);
}

static void wake_first(struct cosy_signal_receiver *receiver)
{
    if (cosy_list_empty(&receiver->waiters))
        return;
    struct waiter *waiter = container_of(receiver->waiters.next, struct waiter, link);
    cosy_list_remove(&waiter->link);
    cosy_task_wake(waiter->task, 0);
}

static void came(struct cosy_signal_listener *listener, int signum, const struct cosy_signal_origin *origin)
{
    struct cosy_signal_receiver *receiver = container_of(listener, struct cosy_signal_receiver, listener);
    *origin_of(receiver, signum) = *origin;
    receiver->pending |= cosy_signal_bit(signum);
    wake_first(receiver);
}

static void loop_closed(struct cosy_signal_listener *listener)
{
    container_of(listener, struct cosy_signal_receiver, listener)->loop = NULL;
}

/* ---- life ---- */

static int refuse(int signum)
{
    const char *name = cosy_signal_name(signum);
    return name ? cosy_fail(EINVAL, "signal %d (%s) cannot be caught", signum, name)
                : cosy_fail(EINVAL, "there is no signal %d", signum);
}

/* The signals as bits; 0 and *ret_error. */
static uint64_t mask_of(const int *signums, size_t count, int *ret_error)
{
    uint64_t mask = 0;
    *ret_error = -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (!cosy_signal_name(signums[i]) || signums[i] == SIGKILL || signums[i] == SIGSTOP) {
            *ret_error = refuse(signums[i]);
            return 0;
        }
        mask |= cosy_signal_bit(signums[i]);
    }
    return mask;
}

int cosy_open_signal_receiver_for(cosy_signal_receiver **ret_receiver, const int *signums, size_t count)
{
    struct cosy_loop *loop = cosy_running_loop();
    int result = -EINVAL;
    if (!ret_receiver)
        return -EINVAL;
    *ret_receiver = NULL;
    if (!loop)
        return -COSY_ENOLOOP;
    uint64_t mask = mask_of(signums, count, &result);
    if (mask == 0)
        return result;
    size_t origins = (size_t)__builtin_popcountll(mask) * sizeof(struct cosy_signal_origin);
    struct cosy_signal_receiver *receiver = cosy_heap_zalloc(sizeof *receiver + origins);
    if (!receiver)
        return -ENOMEM;
    receiver->refs = 1;
    receiver->loop = loop;
    receiver->listener = (struct cosy_signal_listener){.mask = mask, .came = came, .closed = loop_closed};
    cosy_list_init(&receiver->waiters);
    result = cosy_signals_listen(loop, &receiver->listener);
    if (result < 0) {
        cosy_heap_free(receiver);
        return result;
    }
    *ret_receiver = receiver;
    return 0;
}

void cosy_close_signal_receiver(cosy_signal_receiver *receiver)
{
    if (!receiver)
        return;
    if (receiver->loop)
        cosy_signals_unlisten(receiver->loop, &receiver->listener);
    receiver->loop = NULL;
    while (!cosy_list_empty(&receiver->waiters))
        wake_first(receiver);
    unref(receiver);
}

size_t cosy_pending_signals(const cosy_signal_receiver *receiver)
{
    return receiver ? (size_t)__builtin_popcountll(receiver->pending) : 0;
}

/* ---- waiting ---- */

static struct waiter *waiter_of(struct cosy_wait *wait)
{
    return container_of(wait, struct waiter, wait);
}

static bool wait_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_list_remove(&waiter_of(wait)->link);
    return false;
}

static void wait_abandon(struct cosy_wait *wait)
{
    cosy_list_remove(&waiter_of(wait)->link);
    unref(waiter_of(wait)->receiver);
}

static const char *wait_name(struct cosy_wait *wait)
{
    uint64_t mask = waiter_of(wait)->receiver->listener.mask;
    return mask & (mask - 1) ? "of several" : cosy_signal_name(__builtin_ctzll(mask) + 1);
}

static const struct cosy_wait_kind signal_kind = {
    .verb = "waits for a signal", .cancel = wait_cancel, .name = wait_name, .abandon = wait_abandon};

static int take(struct cosy_signal_receiver *receiver, struct cosy_signal_info *ret_info)
{
    int signum = __builtin_ctzll(receiver->pending) + 1;
    const struct cosy_signal_origin *origin = origin_of(receiver, signum);
    receiver->pending &= receiver->pending - 1;
    if (receiver->pending)
        wake_first(receiver);
    if (ret_info)
        *ret_info = (struct cosy_signal_info){
            .signum = signum, .code = origin->code, .pid = origin->pid, .uid = origin->uid, .value = origin->value};
    return signum;
}

int cosy_next_signal(cosy_signal_receiver *receiver, struct cosy_signal_info *ret_info)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_next_signal");
    if (!me || !receiver)
        return me ? -EINVAL : -COSY_ENOTASK;
    if (receiver->loop != me->future.loop)
        return receiver->loop ? -COSY_EOTHERLOOP : -COSY_ECLOSED;
    int result = 0;
    receiver->refs++;
    while (result == 0 && receiver->loop && receiver->pending == 0) {
        struct waiter waiter = {.wait.kind = &signal_kind, .task = me, .receiver = receiver};
        cosy_list_append(&receiver->waiters, &waiter.link);
        result = (int)cosy_park(me, &waiter.wait);
    }
    if (result == 0)
        result = receiver->loop ? take(receiver, ret_info) : -COSY_ECLOSED;
    else if (receiver->pending)
        wake_first(receiver); /* it was woken for one, and cancelled before it could take it */
    unref(receiver);
    return result;
}

/* ---- COSY_SIGNALS ---- */

struct cosy_signals_for_ cosy_signals_for_open_(int *err, const int *signums, size_t count)
{
    struct cosy_signals_for_ loop = {.err_ = err};
    *err = cosy_open_signal_receiver_for(&loop.receiver_, signums, count);
    loop.begun_ = *err < 0;
    return loop;
}

int cosy_signals_for_next_(struct cosy_signals_for_ *loop)
{
    loop->begun_ = true;
    int result = cosy_next_signal(loop->receiver_, NULL);
    if (result < 0)
        *loop->err_ = result;
    return result;
}

/* ---- for tests ---- */

bool cosy_test_raise(int signum)
{
    struct cosy_loop *loop = cosy_running_loop();
    return loop && cosy_signals_pretend(loop, signum);
}
