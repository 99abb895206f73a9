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
    bool return_exceptions, cancelled, waiting;
    char name[32];
};

static struct gathering *gathering_of(struct cosy_wait *wait) { return container_of(wait, struct gathering, wait); }

static bool gather_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct gathering *gathering = gathering_of(wait);
    bool any = false;
    (void)task;
    for (size_t i = 0; i < gathering->count; i++)
        if (gathering->children[i].observer.future)
            any |= cosy_future_cancel(gathering->children[i].future);
    gathering->cancelled |= any;
    return any || gathering->pending > 0;
}

static const char *gather_name(struct cosy_wait *wait)
{
    struct gathering *gathering = gathering_of(wait);
    snprintf(gathering->name, sizeof gathering->name, "%zu of %zu", gathering->pending, gathering->count);
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

/* Nothing more to wait for: all are done, or it failed and only handles are left. */
static bool is_complete(const struct gathering *gathering)
{
    bool may_leave = gathering->first_error && !gathering->return_exceptions && !gathering->cancelled;
    return gathering->pending == 0 || (may_leave && gathering->pending_ours == 0);
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

static void begin_child(struct gathering *gathering, struct child *child, const struct cosy_awaited_ *item)
{
    int error = 0;
    *child = (struct child){.of = gathering, .ours = item->kind == COSY_AWAITED_CORO};
    child->observer.task = gathering->task;
    child->observer.notify = child_done;
    child->future = cosy_as_future(item->kind, item->what, &error);
    if (child->future && child->future->loop != gathering->task->future.loop)
        error = -COSY_EOTHERLOOP;
    else if (child->future == &gathering->task->future)
        error = -COSY_ESELF;
    if (error == 0 || (child->future && item->kind != COSY_AWAITED_CORO && error != -COSY_EOTHERLOOP && error != -COSY_ESELF)) {
        gathering->pending++;
        gathering->pending_ours += child->ours;
        if (cosy_future_is_done(child->future))
            cosy_observe_done(child->future, &child->observer);
        else
            cosy_observe(child->future, &child->observer);
        return;
    }
    child->outcome = error;
    if (!gathering->first_error)
        gathering->first_error = error;
}

static void wait_for_children(struct gathering *gathering)
{
    while (!is_complete(gathering)) {
        gathering->waiting = true;
        int64_t woken = cosy_park(gathering->task, &gathering->wait);
        if (woken == -ECANCELED)
            gathering->cancelled = true;
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
    if (gathering->cancelled)
        result = -ECANCELED;
    else if (result < 0 && gathering->failed)
        cosy_error_inherit(result, gathering->failed);
    for (size_t i = 0; i < gathering->count; i++)
        cosy_future_drop(gathering->children[i].future);
    return result;
}

enum { ON_STACK = 8 };

int cosy_gather_(const struct cosy_awaited_ *items, size_t count, const struct cosy_gather_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_gather");
    struct child few[ON_STACK], *children = few;
    if (!me)
        return -COSY_ENOTASK;
    if (count > ON_STACK && !(children = cosy_heap_alloc(count * sizeof(*children))))
        return -ENOMEM;
    struct gathering gathering = {.wait.kind = &gather_kind,
                                  .task = me,
                                  .children = children,
                                  .count = count,
                                  .return_exceptions = options && options->return_exceptions};
    for (size_t i = 0; i < count; i++)
        begin_child(&gathering, &children[i], &items[i]);
    wait_for_children(&gathering);
    int result = finish(&gathering, options ? options->results : NULL);
    if (children != few)
        cosy_heap_free(children);
    return result;
}

static int gather_handles(void *const *handles, int kind, size_t count, const struct cosy_gather_options *options)
{
    if (count > 0 && !handles)
        return -EINVAL;
    struct cosy_awaited_ *items = cosy_heap_alloc((count + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct cosy_awaited_){kind, handles[i]};
    int result = cosy_gather_(items, count, options);
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
