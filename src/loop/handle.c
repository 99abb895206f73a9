/* handle.c - callbacks: queued, timed, cancelled, run.
 *
 * A handle's state goes IDLE -> QUEUED or TIMED -> IDLE again (embedder's), or -> DONE / CANCELLED (the loop's own,
 * which are freed with their last reference). A timer that fires turns TIMED into QUEUED.
 *
 * Handles of cosy_call_soon_threadsafe may be cancelled and dropped from any thread, so their state and count are
 * only touched atomically; the loop and the canceller race for QUEUED, and who wins it acts.
 */
#include <stdatomic.h>
#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "context.h"
#include "loop.h"

enum { IDLE, QUEUED, TIMED, RUNNING, DONE, CANCELLED };
enum { OWNED = 1 /* by the library: allocated and counted */, ANY_THREAD = 2 };

_Static_assert(offsetof(struct cosy_handle, timer_) == offsetof(struct cosy_timed_node, timer),
               "handle is a timed node");
_Static_assert(sizeof(struct cosy_handle) == 64, "a handle is one cache line");
_Static_assert(sizeof(((struct cosy_handle *)0)->timer_) == sizeof(struct cosy_timer), "handle has a timer");

static struct cosy_timer *timer_of(struct cosy_handle *handle)
{
    return (struct cosy_timer *)(void *)&handle->timer_;
}

static bool state_change(struct cosy_handle *handle, uint8_t from, uint8_t to)
{
    if (!(handle->node_.flags & ANY_THREAD)) {
        bool right = handle->node_.state == from;
        if (right)
            handle->node_.state = to;
        return right;
    }
    return __atomic_compare_exchange_n(&handle->node_.state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static uint8_t state_of(const struct cosy_handle *handle)
{
    return __atomic_load_n(&handle->node_.state, __ATOMIC_ACQUIRE);
}

static void unref(struct cosy_handle *handle)
{
    if (!(handle->node_.flags & OWNED))
        return;
    uint32_t left = handle->node_.flags & ANY_THREAD ? __atomic_sub_fetch(&handle->node_.refs, 1, __ATOMIC_ACQ_REL)
                                                     : --handle->node_.refs;
    if (left == 0)
        cosy_heap_free(handle);
}

void cosy_handle_init(cosy_handle *handle, cosy_callback callback, void *arg)
{
    *handle = (cosy_handle){.node_.kind = COSY_NODE_HANDLE, .callback_ = callback, .arg_ = arg};
}

cosy_cold int cosy_loop_check_caller(const cosy_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    if (loop->debug && atomic_load_explicit(&loop->running, memory_order_acquire) &&
        !pthread_equal(loop->thread, pthread_self())) {
        cosy_log(COSY_LOG_ERROR, "cosy: non-thread-safe operation: a loop was used from a thread that is not its own; "
                                 "use cosy_call_soon_threadsafe");
        return -COSY_ETHREAD;
    }
    return 0;
}

static inline int check_loop(const cosy_loop *loop)
{
    return likely(loop && !(loop->closed | loop->debug)) ? 0 : cosy_loop_check_caller(loop);
}

static struct cosy_handle *handle_new(cosy_loop *loop, cosy_callback callback, void *arg, unsigned flags)
{
    struct cosy_handle *handle = cosy_heap_alloc(sizeof *handle);
    if (!handle)
        return NULL;
    cosy_handle_init(handle, callback, arg);
    handle->node_.flags = (uint16_t)(OWNED | flags);
    handle->node_.refs = 1;
    handle->loop_ = loop;
    return handle;
}

/* The loop holds one reference; the caller gets a second one when it asks. */
static void hand_out(struct cosy_handle *handle, cosy_handle **ret_handle)
{
    if (ret_handle) {
        handle->node_.refs++;
        *ret_handle = handle;
    }
}

static int soon(cosy_loop *loop, uintptr_t context, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    struct cosy_handle *handle = handle_new(loop, callback, arg, 0);
    if (!handle) {
        cosy_context_slot_clear(&context);
        return -ENOMEM;
    }
    handle->context_ = context;
    handle->node_.state = QUEUED;
    hand_out(handle, ret_handle);
    cosy_ready_append(loop, &handle->node_);
    return 0;
}

int cosy_call_soon(cosy_loop *loop, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    int bad = !callback ? -EINVAL : check_loop(loop);
    return bad ? bad : soon(loop, cosy_context_slot_copy(*cosy_context_here()), callback, arg, ret_handle);
}

int cosy_call_soon_in(cosy_loop *loop, cosy_context *context, cosy_callback callback, void *arg,
                      cosy_handle **ret_handle)
{
    int bad = !callback ? -EINVAL : check_loop(loop);
    return bad ? bad : soon(loop, cosy_context_slot_share(context), callback, arg, ret_handle);
}

int cosy_call_soon_threadsafe(cosy_loop *loop, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    if (!loop || !callback)
        return -EINVAL;
    struct cosy_handle *handle = handle_new(loop, callback, arg, ANY_THREAD);
    if (!handle)
        return -ENOMEM;
    handle->node_.state = QUEUED;
    hand_out(handle, ret_handle);
    int result = cosy_inbox_push(loop, &handle->node_);
    if (result < 0) {
        if (ret_handle)
            *ret_handle = NULL;
        cosy_heap_free(handle);
    }
    return result;
}

static inline int arm(cosy_loop *loop, struct cosy_handle *handle, cosy_ns when)
{
    int result = cosy_timers_add(loop->timers, timer_of(handle), when);
    if (result == 0)
        handle->node_.state = TIMED;
    return result;
}

static int timed(cosy_loop *loop, cosy_ns when, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    struct cosy_handle *handle = handle_new(loop, callback, arg, 0);
    if (!handle)
        return -ENOMEM;
    int result = arm(loop, handle, when);
    if (result < 0) {
        cosy_heap_free(handle);
        return result;
    }
    handle->context_ = cosy_context_slot_copy(*cosy_context_here());
    hand_out(handle, ret_handle);
    return 0;
}

/* A past time runs in the next turn: that one must not skip its look at the timers. */
static cosy_ns deadline_at(cosy_loop *loop, cosy_ns when)
{
    if (unlikely(loop->skip > 0) && when <= loop->sys->ops->now(loop->sys))
        cosy_loop_grant_turns(loop, 0);
    return when;
}

static cosy_ns deadline_after(cosy_loop *loop, cosy_ns delay)
{
    cosy_ns now = loop->sys->ops->now(loop->sys), when;
    if (delay <= 0) {
        cosy_loop_grant_turns(loop, 0);
        return now;
    }
    return __builtin_add_overflow(now, delay, &when) ? COSY_NEVER : when;
}

int cosy_call_at(cosy_loop *loop, cosy_ns when, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    int bad = !callback ? -EINVAL : check_loop(loop);
    return bad ? bad : timed(loop, deadline_at(loop, when), callback, arg, ret_handle);
}

int cosy_call_later(cosy_loop *loop, cosy_ns delay, cosy_callback callback, void *arg, cosy_handle **ret_handle)
{
    int bad = !callback ? -EINVAL : check_loop(loop);
    return bad ? bad : timed(loop, deadline_after(loop, delay), callback, arg, ret_handle);
}

static inline int check_start(cosy_loop *loop, cosy_handle *handle)
{
    int bad = check_loop(loop);
    if (unlikely(bad))
        return bad;
    if (unlikely(handle->node_.flags & OWNED))
        return -EINVAL;
    if (unlikely(handle->node_.state == QUEUED || handle->node_.state == TIMED))
        return -COSY_EINVALIDSTATE;
    handle->loop_ = loop;
    return 0;
}

int cosy_handle_start_soon(cosy_loop *loop, cosy_handle *handle)
{
    int bad = check_start(loop, handle);
    if (bad)
        return bad;
    handle->node_.state = QUEUED;
    cosy_ready_append(loop, &handle->node_);
    return 0;
}

int cosy_handle_start_at(cosy_loop *loop, cosy_handle *handle, cosy_ns when)
{
    int bad = check_start(loop, handle);
    return unlikely(bad) ? bad : arm(loop, handle, deadline_at(loop, when));
}

int cosy_handle_start_later(cosy_loop *loop, cosy_handle *handle, cosy_ns delay)
{
    int bad = check_start(loop, handle);
    return unlikely(bad) ? bad : arm(loop, handle, deadline_after(loop, delay));
}

bool cosy_handle_cancel(cosy_handle *handle)
{
    if (!handle)
        return false;
    /* The flags never change; the state of an any-thread handle must not even be read beside them by a plain load. */
    if (likely(handle->node_.flags == 0) && likely(state_of(handle) == TIMED) && likely(handle->context_ == 0)) {
        handle->node_.state = IDLE; /* the embedder's: nothing is counted, no context is held */
        return cosy_timers_cancel(handle->loop_->timers, timer_of(handle));
    }
    bool owned = handle->node_.flags & OWNED;
    uint8_t resting = owned ? CANCELLED : IDLE;
    if (!(handle->node_.flags & ANY_THREAD) && handle->node_.state == TIMED) {
        cosy_timers_cancel(handle->loop_->timers, timer_of(handle));
        handle->node_.state = resting;
        cosy_context_slot_clear(&handle->context_);
        unref(handle);
        return true;
    }
    if (!state_change(handle, QUEUED, resting))
        return false;
    /* The loop skips a cancelled handle of its own when it comes to it; the embedder may reuse the memory at once. */
    if (!owned)
        cosy_ready_remove(handle->loop_, &handle->node_);
    return true;
}

bool cosy_handle_cancelled(const cosy_handle *handle)
{
    return handle && state_of(handle) == CANCELLED;
}

cosy_ns cosy_handle_when(const cosy_handle *handle)
{
    return handle->timer_.when;
}

void cosy_handle_drop(cosy_handle *handle)
{
    if (handle)
        unref(handle);
}

void cosy_handle_discard(struct cosy_handle *handle)
{
    bool owned = handle->node_.flags & OWNED;
    if (!state_change(handle, QUEUED, owned ? CANCELLED : IDLE) && handle->node_.state == TIMED)
        handle->node_.state = owned ? CANCELLED : IDLE;
    cosy_context_slot_clear(&handle->context_);
    unref(handle);
}

static cosy_cold void call_and_time(struct cosy_loop *loop, cosy_callback callback, void *arg)
{
    cosy_ns start = cosy_loop_step_clock(loop);
    callback(arg);
    cosy_ns took = cosy_loop_step_clock(loop) - start;
    if (took >= loop->slow_duration)
        cosy_log(COSY_LOG_WARNING, "cosy: executing callback %p took %.3f seconds", (void *)(uintptr_t)callback,
                 (double)took / 1e9);
}

void cosy_handle_run(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_handle *handle = container_of(node, struct cosy_handle, node_);
    bool owned = handle->node_.flags & OWNED;
    if (likely(state_change(handle, QUEUED, owned ? RUNNING : IDLE))) {
        uintptr_t outer = cosy_thread_.context;
        uint64_t outer_callback = cosy_thread_.callback;
        cosy_thread_.context = handle->context_;
        cosy_thread_.callback = ++cosy_thread_.callbacks;
        handle->context_ = 0;
        if (unlikely(loop->debug))
            call_and_time(loop, handle->callback_, handle->arg_);
        else
            handle->callback_(handle->arg_);
        cosy_context_slot_clear(&cosy_thread_.context);
        cosy_thread_.context = outer;
        cosy_thread_.callback = outer_callback;
        if (owned)
            state_change(handle, RUNNING, DONE);
    }
    if (owned) {
        cosy_context_slot_clear(&handle->context_);
        unref(handle);
    }
}
