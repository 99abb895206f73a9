/* gather.c - waiting for several at once: results in the order of the arguments, the first error first. */
#include <cosy/gather.h>

#include <stdio.h>

#include "../base/heap.h"
#include "awaited.h"

struct gathering;

struct child {
    struct cosy_observer observer;
    struct gathering *of;
    struct cosy_future *future; /* a reference; NULL: could not be made */
    int64_t outcome;
    bool ours; /* started here: writes into the caller's frame, so it is always waited for */
};

struct gathering {
    struct cosy_wait wait;
    struct cosy_task *task;
    struct child *children, *few; /* few: room for some on the stack */
    size_t count, pending, pending_ours;
    struct cosy_future *failed; /* the first one that failed */
    int first_error;
    bool return_exceptions, cancel_rest, waiting;
    bool rest_cancelled;
    bool cancelled;      /* the children were asked to stop: the answer, if none of them fails */
    bool cancelled_late; /* after the answer was known, or when nothing could be stopped: the answer in any case */
    char name[56];
};

static struct gathering *gathering_of(struct cosy_wait *wait)
{
    return container_of(wait, struct gathering, wait);
}

/* The answer is an error already; all that is still waited for is the caller's frame. */
static bool is_decided(const struct gathering *gathering)
{
    return gathering->first_error && !gathering->return_exceptions;
}

static const struct cosy_wait_kind cancelled_gather_kind;

static bool gather_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct gathering *gathering = gathering_of(wait);
    bool decided = is_decided(gathering), any = false;
    const char *reason = cosy_task_cancel_reason(task);
    for (size_t i = 0; i < gathering->count; i++) {
        struct child *child = &gathering->children[i];
        if (child->observer.future && (child->ours || gathering->cancel_rest || !decided))
            any |= cosy_future_cancel_with(child->future, reason);
    }
    gathering->cancelled = true;
    wait->kind = &cancelled_gather_kind;
    gathering->cancelled_late |= decided || !any;
    return true; /* something is pending, or nobody would wait here */
}

static const char *gather_name(struct cosy_wait *wait)
{
    struct gathering *gathering = gathering_of(wait);
    snprintf(gathering->name, sizeof gathering->name, "%zu (%zu to come)", gathering->count, gathering->pending);
    return gathering->name;
}

static void release(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++)
        cosy_future_drop(gathering->children[i].future);
    if (gathering->children != gathering->few)
        cosy_heap_free(gathering->children);
}

/* The frames that would give it all back are never left. */
static void gather_abandon(struct cosy_wait *wait)
{
    struct gathering *gathering = gathering_of(wait);
    for (size_t i = 0; i < gathering->count; i++)
        cosy_unobserve(&gathering->children[i].observer);
    release(gathering);
}

static const struct cosy_wait_kind gather_kind = {
    .verb = "gathers", .cancel = gather_cancel, .name = gather_name, .abandon = gather_abandon};
static const struct cosy_wait_kind cancelled_gather_kind = {
    .verb = "gathers", .cancel = gather_cancel, .name = gather_name, .abandon = gather_abandon, .patient = true};

/* Nothing more to wait for: all are done, or it failed and only handles are left. */
static bool is_complete(const struct gathering *gathering)
{
    return gathering->pending == 0 ||
           (is_decided(gathering) && !gathering->cancel_rest && gathering->pending_ours == 0);
}

/* Each cancelled child that ends comes here too: once is enough. */
static void cancel_rest(struct gathering *gathering)
{
    gathering->rest_cancelled = true;
    for (size_t i = 0; i < gathering->count; i++)
        if (gathering->children[i].observer.future)
            cosy_future_cancel(gathering->children[i].future);
}

static void note_outcome(struct gathering *gathering, struct child *child)
{
    struct cosy_future *future = child->future;
    child->outcome = future->result;
    if (future->node.state == STATE_RESULT)
        return;
    future->node.flags |= FLAG_RETRIEVED;
    if (!gathering->first_error) {
        gathering->first_error = (int)future->result;
        gathering->failed = future;
    }
}

static void child_done(struct cosy_observer *observer)
{
    struct child *child = container_of(observer, struct child, observer);
    struct gathering *gathering = child->of;
    gathering->pending--;
    gathering->pending_ours -= child->ours;
    note_outcome(gathering, child);
    if (gathering->first_error && gathering->cancel_rest && !gathering->rest_cancelled)
        cancel_rest(gathering);
    if (gathering->waiting && is_complete(gathering)) {
        gathering->waiting = false;
        cosy_task_wake(gathering->task, 0);
    }
}

/* A success that completes nothing. */
static bool take_note(struct cosy_observer *observer)
{
    struct child *child = container_of(observer, struct child, observer);
    struct gathering *gathering = child->of;
    if (gathering->first_error || gathering->pending == 1)
        return false;
    gathering->pending--;
    gathering->pending_ours -= child->ours;
    note_outcome(gathering, child);
    return true;
}

/* The same coroutine given before in this call stands for the same child. */
static struct cosy_future *earlier_child(struct gathering *gathering, const struct cosy_awaited_list *list,
                                         size_t index)
{
    int error;
    void *coro = cosy_awaited_at(list, index).what;
    if (cosy_coro_take(coro, &error) || error != -COSY_EAWAITED)
        return NULL;
    for (size_t i = 0; i < index; i++) {
        struct cosy_awaited_ item = cosy_awaited_at(list, i);
        if (item.kind == COSY_AWAITED_CORO && item.what == coro)
            return cosy_future_ref(gathering->children[i].future);
    }
    return NULL;
}

static struct cosy_future *child_future(struct gathering *gathering, const struct cosy_awaited_list *list, size_t index,
                                        int *ret_error)
{
    struct cosy_awaited_ item = cosy_awaited_at(list, index);
    struct cosy_future *future = item.kind == COSY_AWAITED_CORO ? earlier_child(gathering, list, index) : NULL;
    if (!future)
        future = cosy_as_future(item.kind, item.what, ret_error);
    if (future)
        *ret_error = cosy_awaited_check(gathering->task, future, "cosy_gather");
    return future;
}

static void begin_child(struct gathering *gathering, const struct cosy_awaited_list *list, size_t index)
{
    struct child *child = &gathering->children[index];
    int error;
    *child = (struct child){.of = gathering, .ours = cosy_awaited_at(list, index).kind == COSY_AWAITED_CORO};
    child->observer.task = gathering->task;
    child->observer.notify = child_done;
    child->observer.take_note = take_note;
    child->future = child_future(gathering, list, index, &error);
    if (!child->future || error) {
        child->outcome = error;
        if (!gathering->first_error)
            gathering->first_error = error;
    } else if (cosy_future_is_done(child->future))
        note_outcome(gathering, child);
    else {
        gathering->pending++;
        gathering->pending_ours += child->ours;
        cosy_observe(child->future, &child->observer);
    }
}

static void wait_for_children(struct gathering *gathering)
{
    while (!is_complete(gathering)) {
        gathering->waiting = true;
        if (cosy_park(gathering->task, &gathering->wait) == -ECANCELED)
            gathering->cancelled_late = true; /* it was complete, but had not gone on */
    }
}

static int finish(struct gathering *gathering, int64_t *results)
{
    int result = gathering->return_exceptions ? 0 : gathering->first_error;
    for (size_t i = 0; i < gathering->count; i++) {
        struct child *child = &gathering->children[i];
        if (child->observer.future) {
            child->future->node.flags |= FLAG_RETRIEVED; /* its later errors count as seen */
            child->outcome = -COSY_EINVALIDSTATE;
            cosy_unobserve(&child->observer);
        }
        if (results)
            results[i] = child->outcome;
    }
    if (gathering->cancelled_late || (gathering->cancelled && result == 0))
        result = -ECANCELED;
    else if (result < 0 && gathering->failed)
        cosy_error_inherit(result, gathering->failed);
    return result;
}

enum { ON_STACK = 8 };

static int gather(const struct cosy_awaited_list *list, const struct cosy_gather_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_gather");
    struct child few[ON_STACK], *children = few;
    if (!me)
        return cosy_awaited_refuse(list, -COSY_ENOTASK);
    if (list->count > ON_STACK && !(children = cosy_heap_alloc(list->count * sizeof(*children))))
        return cosy_awaited_refuse(list, -ENOMEM);
    struct gathering gathering = {.wait.kind = &gather_kind,
                                  .task = me,
                                  .children = children,
                                  .few = few,
                                  .count = list->count,
                                  .return_exceptions = options && options->return_exceptions,
                                  .cancel_rest = options && options->cancel_rest};
    for (size_t i = 0; i < list->count; i++)
        begin_child(&gathering, list, i);
    if (gathering.first_error && gathering.cancel_rest)
        cancel_rest(&gathering);
    wait_for_children(&gathering);
    int result = finish(&gathering, options ? options->results : NULL);
    release(&gathering);
    return result;
}

int cosy_gather_(const struct cosy_awaited_ *items, size_t count, const struct cosy_gather_options *options)
{
    return gather(&(struct cosy_awaited_list){.items = items, .count = count}, options);
}

cosy_async static int gather_handles(const void *handles, int kind, size_t count,
                                     const struct cosy_gather_options *options)
{
    if (count > 0 && !handles)
        return -EINVAL;
    return gather(&(struct cosy_awaited_list){.handles = handles, .kind = kind, .count = count}, options);
}

int cosy_gather_tasks(cosy_task *const *tasks, size_t count, const struct cosy_gather_options *options)
{
    return gather_handles(tasks, COSY_AWAITED_TASK, count, options);
}

int cosy_gather_coros(cosy_coro *const *coros, size_t count, const struct cosy_gather_options *options)
{
    return gather_handles(coros, COSY_AWAITED_CORO, count, options);
}
