/* await.c - waiting for a future, a task, a coroutine, or an object with an await hook. */
#include <limits.h>
#include <stdio.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../loop/fork.h"
#include "capture.h"
#include "object.h"
#include "unwind.h"

cosy_cold static struct cosy_task *complain(const char *what)
{
    struct cosy_frame caller = {.line = 0};
    char place[320] = "";
    if (cosy_unwind_here(&caller, 1) == 1 && caller.line)
        snprintf(place, sizeof place, ", at %s:%d in %s", caller.file, caller.line, caller.function);
    else if (*caller.function && *caller.function != '?')
        snprintf(place, sizeof place, ", in %s", caller.function);
    if (cosy_fork_is_child()) {
        cosy_log(COSY_LOG_ERROR,
                 "cosy: %s was called in a forked child%s, whose tasks are the parent's; run a loop of the child's own "
                 "by cosy_run, or take the parent's place by cosy_after_fork_child()",
                 what, place);
        return NULL;
    }
    cosy_log(COSY_LOG_ERROR,
             "cosy: await outside async: %s was called outside a task%s; run the calling function with cosy_run, or "
             "start it as a task",
             what, place);
    return NULL;
}

struct cosy_task *cosy_task_or_complain(const char *what)
{
    struct cosy_task *me = cosy_task_here();
    return likely(me != NULL) ? me : complain(what);
}

/* ---- futures and tasks ---- */

struct await_wait {
    struct cosy_wait wait;
    struct cosy_observer observer;
    struct cosy_future *future;
};

static struct await_wait *await_of(struct cosy_wait *wait)
{
    return container_of(wait, struct await_wait, wait);
}

/* Passed on, with its reason. When it came back in a circle, this wait ends at once. */
static bool await_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct cosy_future *future = await_of(wait)->future;
    const char *reason = cosy_task_cancel_reason(task);
    if (task->in_cancel != CANCEL_CAME_BACK) {
        bool passed_on = cosy_future_cancel_with(future, reason);
        if (passed_on && task->in_cancel != CANCEL_CAME_BACK)
            return true;
    }
    cosy_unobserve(&await_of(wait)->observer); /* or the end of the other would queue this task a second time */
    return false;
}

static struct cosy_future *await_future(struct cosy_wait *wait)
{
    return await_of(wait)->future;
}

static void await_abandon(struct cosy_wait *wait)
{
    cosy_unobserve(&await_of(wait)->observer);
    cosy_future_drop(await_of(wait)->future);
}

static const struct cosy_wait_kind await_kind = {
    .verb = "awaits", .cancel = await_cancel, .future = await_future, .abandon = await_abandon, .passes_on = true};

int cosy_future_outcome(struct cosy_future *future)
{
    if (likely(future->node.state == STATE_RESULT))
        return likely(future->result <= INT_MAX && future->result >= INT_MIN) ? (int)future->result : -EOVERFLOW;
    future->node.flags |= FLAG_RETRIEVED;
    if (future->node.state == STATE_ERROR || *cosy_future_words(future))
        cosy_error_inherit((int)future->result, future);
    else
        cosy_error_forget((int)future->result);
    return (int)future->result;
}

static cosy_cold int refuse(struct cosy_task *me, struct cosy_future *future, const char *what)
{
    if (!future)
        return cosy_creation_error();
    if (!me) {
        complain(what);
        return -COSY_ENOTASK;
    }
    if (future == &me->future)
        return cosy_fail(COSY_ESELF, "task '%s' (%s) cannot await itself", cosy_task_name(me), me->site->name);
    return cosy_fail(
        COSY_EOTHERLOOP, "task '%s' (%s, created at %s:%u) awaits %s '%s' that is attached to a different loop",
        cosy_task_name(me), me->site->name, me->site->file, me->site->line, cosy_is_task(future) ? "task" : "a future",
        cosy_is_task(future) ? cosy_task_name(cosy_as_task(future)) : "");
}

int cosy_await_outcome(struct cosy_task *me, struct cosy_future *future)
{
    if (cosy_future_is_done(future))
        return cosy_future_outcome(future);
    struct await_wait await = {.wait.kind = &await_kind, .observer.task = me, .future = future};
    future->node.refs++;
    cosy_observe(future, &await.observer);
    int64_t woken = cosy_park(me, &await.wait);
    if (unlikely(await.observer.next))
        cosy_unobserve(&await.observer);
    int outcome = unlikely(woken < 0) ? (int)woken : cosy_future_outcome(future);
    cosy_future_drop(future);
    return outcome;
}

int cosy_await_future_(cosy_future *future)
{
    struct cosy_task *me = cosy_task_here();
    if (unlikely(!future || !me || future == &me->future || future->loop != me->future.loop))
        return refuse(me, future, "cosy_await");
    return cosy_await_outcome(me, future);
}

int cosy_await_task_(cosy_task *task)
{
    struct cosy_task *me = cosy_task_here();
    if (likely(task && me) && likely(task->future.loop == me->future.loop) && likely(task != me)) {
        int64_t result = task->future.result;
        if (task->future.node.state == STATE_RESULT && likely((int)result == result))
            return (int)result;
        return cosy_await_outcome(me, &task->future);
    }
    return refuse(me, task ? &task->future : NULL, "cosy_await");
}

/* ---- coroutines: run here ---- */

int cosy_await_coro_(cosy_coro *coro)
{
    int error;
    if (unlikely(!cosy_task_here())) {
        complain("cosy_await");
        return -COSY_ENOTASK;
    }
    struct cosy_task *object = cosy_coro_take(coro, &error);
    if (unlikely(!object))
        return error == -COSY_EAWAITED ? cosy_fail(COSY_EAWAITED, "cannot reuse an already awaited coroutine") : error;
    object->future.node.state = STATE_DRIVEN;
    object->future.node.flags |= FLAG_INLINE;
    int64_t result = cosy_capture_call(object, object->start);
    cosy_task_unref(object);
    return likely(result <= INT_MAX && result >= INT_MIN) ? (int)result : -EOVERFLOW;
}

/* ---- objects with an await hook ---- */

struct hook_wait {
    struct cosy_wait wait;
    cosy_awaitable *awaitable;
    uint64_t id; /* a waker is for one wait: a late one must not end the task's next */
};

static __thread uint64_t last_hook_id;

static struct hook_wait *hook_of(struct cosy_wait *wait)
{
    return container_of(wait, struct hook_wait, wait);
}

static bool hook_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_awaitable *awaitable = hook_of(wait)->awaitable;
    return awaitable->cancel && awaitable->cancel(awaitable);
}

static const char *hook_name(struct cosy_wait *wait)
{
    const char *name = hook_of(wait)->awaitable->name;
    return name ? name : "an awaitable";
}

static const struct cosy_wait_kind hook_kind = {.verb = "waits for", .cancel = hook_cancel, .name = hook_name};

int cosy_await_hook_(cosy_awaitable *awaitable)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_await");
    if (unlikely(!me || !awaitable || !awaitable->start))
        return me ? -EINVAL : -COSY_ENOTASK;
    struct hook_wait hook = {.wait.kind = &hook_kind, .awaitable = awaitable, .id = ++last_hook_id};
    me->wait = &hook.wait; /* so that start itself may wake us */
    int started = awaitable->start(awaitable, (cosy_waker){me, hook.id});
    bool woken = !me->wait;
    if (woken) { /* queued already: let the queue have its way, whatever start says */
        int64_t value = cosy_park_queued(me);
        return started <= 0 && value != -ECANCELED ? started : (int)value;
    }
    if (started > 0)
        return (int)cosy_park(me, &hook.wait);
    me->wait = NULL;
    return started;
}

bool cosy_wake(cosy_waker waker, int result)
{
    struct cosy_task *task = waker.task_;
    /* The memory of an ended task stays a task's, and one that does not wait has no `wait`. */
    if (!task || !task->wait || task->wait->kind != &hook_kind || hook_of(task->wait)->id != waker.id_)
        return false;
    cosy_task_wake(task, result);
    return true;
}
