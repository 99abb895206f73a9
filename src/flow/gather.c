/* gather.c - waiting for several at once: results in the order of the arguments, the first error first. */
#include <cosy/gather.h>

#include <stdio.h>

#include "../base/heap.h"
#include "../task/task.h"

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
    struct child *children;
    size_t count, pending, pending_ours;
    struct cosy_future *failed; /* the first one that failed */
    int first_error;
    bool return_exceptions, waiting;
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
    (void)task;
    for (size_t i = 0; i < gathering->count; i++) {
        struct child *child = &gathering->children[i];
        if (child->observer.future && (child->ours || !decided))
            any |= cosy_future_cancel(child->future);
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

static void gather_abandon(struct cosy_wait *wait)
{
    struct gathering *gathering = gathering_of(wait);
    for (size_t i = 0; i < gathering->count; i++)
        cosy_unobserve(&gathering->children[i].observer);
}

static const struct cosy_wait_kind gather_kind = {
    .verb = "gathers", .cancel = gather_cancel, .name = gather_name, .abandon = gather_abandon};
static const struct cosy_wait_kind cancelled_gather_kind = {
    .verb = "gathers", .cancel = gather_cancel, .name = gather_name, .abandon = gather_abandon, .patient = true};

/* Nothing more to wait for: all are done, or it failed and only handles are left. */
static bool is_complete(const struct gathering *gathering)
{
    return gathering->pending == 0 || (is_decided(gathering) && gathering->pending_ours == 0);
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
    if (gathering->waiting && is_complete(gathering)) {
        gathering->waiting = false;
        cosy_task_wake(gathering->task, 0);
    }
}

/* The same coroutine given before in this call stands for the same child. */
static struct cosy_future *earlier_child(struct gathering *gathering, const struct cosy_awaited_ *items, size_t index)
{
    int error;
    if (cosy_coro_take(items[index].what, &error) || error != -COSY_EAWAITED)
        return NULL;
    for (size_t i = 0; i < index; i++)
        if (items[i].kind == COSY_AWAITED_CORO && items[i].what == items[index].what)
            return cosy_future_ref(gathering->children[i].future);
    return NULL;
}

static struct cosy_future *child_future(struct gathering *gathering, const struct cosy_awaited_ *items, size_t index,
                                        int *ret_error)
{
    const struct cosy_awaited_ *item = &items[index];
    struct cosy_future *future = item->kind == COSY_AWAITED_CORO ? earlier_child(gathering, items, index) : NULL;
    if (!future)
        future = cosy_as_future(item->kind, item->what, ret_error);
    if (!future)
        return NULL;
    *ret_error = future->loop != gathering->task->future.loop ? -COSY_EOTHERLOOP
                 : future == &gathering->task->future         ? -COSY_ESELF
                                                              : 0;
    return future;
}

static void begin_child(struct gathering *gathering, const struct cosy_awaited_ *items, size_t index)
{
    struct child *child = &gathering->children[index];
    int error;
    *child = (struct child){.of = gathering, .ours = items[index].kind == COSY_AWAITED_CORO};
    child->observer.task = gathering->task;
    child->observer.notify = child_done;
    child->future = child_future(gathering, items, index, &error);
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
    for (size_t i = 0; i < gathering->count; i++)
        cosy_future_drop(gathering->children[i].future);
    return result;
}

enum { ON_STACK = 8 };

/* The call takes its coroutines, also when it fails before it begins. */
static int refuse(const struct cosy_awaited_ *items, size_t count, int error)
{
    for (size_t i = 0; i < count; i++)
        if (items[i].kind == COSY_AWAITED_CORO)
            cosy_coro_close(items[i].what);
    return error;
}

int cosy_gather_(const struct cosy_awaited_ *items, size_t count, const struct cosy_gather_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_gather");
    struct child few[ON_STACK], *children = few;
    if (!me)
        return refuse(items, count, -COSY_ENOTASK);
    if (count > ON_STACK && !(children = cosy_heap_alloc(count * sizeof(*children))))
        return refuse(items, count, -ENOMEM);
    struct gathering gathering = {.wait.kind = &gather_kind,
                                  .task = me,
                                  .children = children,
                                  .count = count,
                                  .return_exceptions = options && options->return_exceptions};
    for (size_t i = 0; i < count; i++)
        begin_child(&gathering, items, i);
    wait_for_children(&gathering);
    int result = finish(&gathering, options ? options->results : NULL);
    if (children != few)
        cosy_heap_free(children);
    return result;
}

cosy_async static int gather_handles(void *const *handles, int kind, size_t count,
                                     const struct cosy_gather_options *options)
{
    if (count > 0 && !handles)
        return -EINVAL;
    struct cosy_awaited_ few[ON_STACK] = {0}, *items = few;
    if (count > ON_STACK && !(items = cosy_heap_alloc(count * sizeof(*items)))) {
        for (size_t i = 0; kind == COSY_AWAITED_CORO && i < count; i++)
            cosy_coro_close(handles[i]);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = (struct cosy_awaited_){kind, handles[i]};
    int result = cosy_gather_(items, count, options);
    if (items != few)
        cosy_heap_free(items);
    return result;
}

int cosy_gather_tasks(cosy_task *const *tasks, size_t count, const struct cosy_gather_options *options)
{
    return gather_handles((void *const *)(const void *)tasks, COSY_AWAITED_TASK, count, options);
}

int cosy_gather_coros(cosy_coro *const *coros, size_t count, const struct cosy_gather_options *options)
{
    return gather_handles((void *const *)(const void *)coros, COSY_AWAITED_CORO, count, options);
}
