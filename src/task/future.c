/* future.c - futures: one outcome, observers told through the loop in the order of registration. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "task.h"

/* ---- observers ---- */

void cosy_observe(struct cosy_future *future, struct cosy_observer *observer)
{
    struct cosy_observer *first = future->callbacks;
    observer->future = future;
    observer->node.kind = COSY_NODE_NOTIFY;
    if (!first) {
        future->callbacks = observer->next = observer->prev = observer;
        return;
    }
    observer->next = first;
    observer->prev = first->prev;
    first->prev->next = observer;
    first->prev = observer;
}

void cosy_observe_done(struct cosy_future *future, struct cosy_observer *observer)
{
    observer->node.kind = COSY_NODE_NOTIFY;
    observer->future = future;
    observer->next = NULL;
    cosy_ready_append(future->loop, &observer->node);
}

/* An observer on a list has `next`; one that is queued has only `future`; one that was told has neither. */
void cosy_unobserve(struct cosy_observer *observer)
{
    struct cosy_future *future = observer->future;
    if (observer->next) {
        if (future->callbacks == observer)
            future->callbacks = observer->next == observer ? NULL : observer->next;
        observer->prev->next = observer->next;
        observer->next->prev = observer->prev;
        observer->next = NULL;
    } else if (future && observer->notify)
        cosy_ready_remove(future->loop, &observer->node);
    observer->future = NULL;
}

static void tell(struct cosy_loop *loop, struct cosy_observer *observer)
{
    observer->next = NULL;
    if (observer->take_note && observer->future->node.state == STATE_RESULT && observer->take_note(observer))
        observer->future = NULL;
    else if (observer->notify)
        cosy_ready_append(loop, &observer->node);
    else {
        observer->future = NULL;
        cosy_task_wake(observer->task, 0);
    }
}

void cosy_future_finish(struct cosy_future *future, uint8_t state, int64_t result)
{
    struct cosy_observer *observer = future->callbacks;
    future->node.state = state;
    future->result = result;
    if (likely(!observer))
        return;
    future->callbacks = NULL;
    observer->prev->next = NULL;
    while (observer) {
        struct cosy_observer *next = observer->next;
        tell(future->loop, observer);
        observer = next;
    }
}

/* ---- plain futures ---- */

cosy_future *cosy_future_new(cosy_loop *loop)
{
    if (!loop)
        loop = cosy_thread_.loop;
    if (!loop || loop->closed) {
        cosy_set_creation_error(loop ? -COSY_ECLOSED : -COSY_ENOLOOP);
        return NULL;
    }
    struct cosy_future *future = cosy_heap_zalloc(sizeof *future);
    if (!future) {
        cosy_set_creation_error(-ENOMEM);
        return NULL;
    }
    future->node.state = STATE_PENDING;
    future->node.refs = 1;
    future->loop = loop;
    cosy_loop_hold(loop);
    loop->has_tasks = true;
    return future;
}

cosy_future *cosy_future_ref(cosy_future *future)
{
    if (future)
        future->node.refs++;
    return future;
}

void cosy_future_drop(cosy_future *future)
{
    if (!future)
        return;
    if (cosy_is_task(future)) {
        cosy_task_unref(cosy_as_task(future));
        return;
    }
    if (--future->node.refs > 0)
        return;
    if (future->node.state == STATE_ERROR && !(future->node.flags & FLAG_RETRIEVED))
        cosy_report(future->loop, "Future exception was never retrieved", future);
    while (future->callbacks) {
        struct cosy_observer *observer = future->callbacks;
        cosy_unobserve(observer);
        if (observer->discard)
            observer->discard(observer);
    }
    cosy_error_drop(future->error);
    cosy_loop_release(future->loop);
    cosy_heap_free(future);
}

/* The owner's outcome: refused for a done future, for a task (which sets its own), and once the loop is closed. */
static int may_end(const struct cosy_future *future)
{
    if (!future || cosy_is_task(future))
        return -EINVAL;
    if (cosy_future_is_done(future))
        return -COSY_EINVALIDSTATE;
    return future->loop->closed ? -COSY_ECLOSED : 0;
}

int cosy_future_set_result(cosy_future *future, int64_t result)
{
    int bad = may_end(future);
    if (!bad)
        cosy_future_finish(future, STATE_RESULT, result);
    return bad;
}

int cosy_future_set_error(cosy_future *future, int code, const char *message, ...)
{
    int bad = code <= 0 ? -EINVAL : may_end(future);
    if (bad)
        return bad;
    if (message) {
        char text[512];
        va_list args;
        va_start(args, message);
        vsnprintf(text, sizeof text, message, args);
        va_end(args);
        future->error = cosy_error_new(-code, text);
    }
    cosy_future_finish(future, code == ECANCELED ? STATE_CANCELLED : STATE_ERROR, -code);
    return 0;
}

bool cosy_future_cancel_with(struct cosy_future *future, const char *reason)
{
    if (!future)
        return false;
    if (cosy_is_task(future))
        return cosy_task_cancel_with(cosy_as_task(future), *reason ? reason : NULL);
    if (cosy_future_is_done(future)) {
        future->node.flags |= FLAG_RETRIEVED; /* who cancels does not care how it ended */
        return false;
    }
    if (future->loop->closed)
        return false;
    if (*reason)
        future->error = cosy_error_new(-ECANCELED, reason);
    cosy_future_finish(future, STATE_CANCELLED, -ECANCELED);
    return true;
}

bool cosy_future_cancel(cosy_future *future)
{
    return cosy_future_cancel_with(future, "");
}

bool cosy_future_done(const cosy_future *future)
{
    return future && cosy_future_is_done(future);
}
bool cosy_future_cancelled(const cosy_future *future)
{
    return future && future->node.state == STATE_CANCELLED;
}
cosy_loop *cosy_future_loop(const cosy_future *future)
{
    return future->loop;
}

int cosy_future_result(cosy_future *future, int64_t *ret_result)
{
    if (!future)
        return cosy_creation_error();
    if (!cosy_future_is_done(future))
        return -COSY_EINVALIDSTATE;
    if (future->node.state == STATE_RESULT) {
        if (ret_result)
            *ret_result = future->result;
        return 0;
    }
    future->node.flags |= FLAG_RETRIEVED;
    return (int)future->result;
}

int cosy_future_error(cosy_future *future)
{
    return cosy_future_result(future, NULL);
}

const char *cosy_future_error_message(cosy_future *future)
{
    return future && (future->node.state == STATE_ERROR || future->node.state == STATE_CANCELLED)
               ? cosy_future_words(future)
               : "";
}

/* ---- public done callbacks ---- */

struct done_callback {
    struct cosy_observer observer;
    cosy_done_callback callback;
    void *arg;
    uintptr_t context;
    struct cosy_future *future; /* a reference, so that the callback may look at it */
};

static void free_callback(struct cosy_observer *observer)
{
    struct done_callback *callback = container_of(observer, struct done_callback, observer);
    cosy_context_slot_clear(&callback->context);
    cosy_heap_free(callback);
}

/* Discarded while queued: the queue's reference on the future goes too. */
static void discard_queued(struct cosy_observer *observer)
{
    struct cosy_future *future = container_of(observer, struct done_callback, observer)->future;
    free_callback(observer);
    cosy_future_drop(future);
}

static void call_callback(struct cosy_observer *observer)
{
    struct done_callback *callback = container_of(observer, struct done_callback, observer);
    struct cosy_future *future = callback->future;
    uintptr_t outer = cosy_thread_.context;
    cosy_thread_.context = callback->context;
    callback->context = 0;
    callback->callback(future, callback->arg);
    cosy_context_slot_clear(&cosy_thread_.context);
    cosy_thread_.context = outer;
    free_callback(observer);
    cosy_future_drop(future);
}

int cosy_future_add_done_callback(cosy_future *future, cosy_done_callback fn, void *arg, cosy_context *context)
{
    if (!future || !fn)
        return fn ? cosy_creation_error() : -EINVAL;
    if (future->loop->closed)
        return -COSY_ECLOSED;
    struct done_callback *callback = cosy_heap_zalloc(sizeof *callback);
    if (!callback)
        return -ENOMEM;
    callback->callback = fn;
    callback->arg = arg;
    callback->context = context ? cosy_context_slot_share(context) : cosy_context_slot_copy(*cosy_context_here());
    callback->future = cosy_future_ref(future);
    callback->observer.notify = call_callback;
    callback->observer.discard = discard_queued;
    if (cosy_future_is_done(future))
        cosy_observe_done(future, &callback->observer);
    else
        cosy_observe(future, &callback->observer);
    return 0;
}

int cosy_future_remove_done_callback(cosy_future *future, cosy_done_callback fn, void *arg)
{
    int removed = 0;
    struct cosy_observer *first = future ? future->callbacks : NULL;
    for (struct cosy_observer *observer = first; observer;) {
        struct cosy_observer *next = observer->next == first ? NULL : observer->next;
        struct done_callback *callback = container_of(observer, struct done_callback, observer);
        if (observer->notify == call_callback && callback->callback == fn && callback->arg == arg) {
            if (first == observer)
                first = next;
            cosy_unobserve(observer);
            discard_queued(observer);
            removed++;
        }
        observer = next;
    }
    return removed;
}
