/* group.c - task groups, after asyncio's TaskGroup.
 *
 * The owner is cancelled at most once by its group (parent_cancelled), when a child fails or cosy_task_group_cancel is
 * called while the owner is still in the body; the group takes that request back when it ends, so requests from outside
 * keep their count. A cancel that meets the owner in the join came from outside if more requests are open at the end
 * than were delivered when the group was opened.
 *
 * Noting a failure needs no memory: an error must not be lost when there is none.
 */
#include <cosy/group.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../task/task.h"

struct failure {
    struct failure *next;
    struct cosy_task *task; /* NULL: the body's, or a child that could not be made */
    int code;
};

struct member {
    struct cosy_observer observer; /* on the child's future until it is done */
    struct member *next;
    struct cosy_task_group *group;
    struct cosy_task *task; /* a reference */
    struct failure failure;
};

struct cosy_task_group {
    struct cosy_wait wait;
    struct cosy_task *owner;        /* a reference */
    struct member *members, **last; /* all that were ever added, oldest first */
    struct failure *failures, **last_failure;
    struct failure body, unmade; /* of the body; of the first child that could not be made */
    size_t running, failure_count;
    int cancelling; /* the owner's delivered cancels as the group was opened */
    bool closing, closed, aborting, parent_cancelled, waiting;
};

static struct cosy_task_group *group_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_task_group, wait);
}

static void report_failures(struct cosy_task_group *group);
static void free_group(struct cosy_task_group *group);

/* The loop closes under the owner, whose frames will never drop the group. */
static void abandon(struct cosy_wait *wait)
{
    struct cosy_task_group *group = group_of(wait);
    for (struct member *member = group->members; member; member = member->next)
        cosy_unobserve(&member->observer);
    report_failures(group);
    free_group(group);
}

/* The owner is woken by the cancel: the last child's end must not queue it a second time. */
static bool join_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    group_of(wait)->waiting = false;
    return false;
}

static const struct cosy_wait_kind group_kind = {
    .verb = "waits for its task group", .cancel = join_cancel, .abandon = abandon};

cosy_task_group *cosy_task_group_open(void)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_task_group_open");
    struct cosy_task_group *group = me ? cosy_heap_zalloc(sizeof *group) : NULL;
    if (!group) {
        cosy_set_creation_error(me ? -ENOMEM : -COSY_ENOTASK);
        return NULL;
    }
    group->wait.kind = &group_kind;
    group->owner = cosy_task_ref(me);
    group->cancelling = me->cancels - (me->future.node.flags & FLAG_MUST_CANCEL ? 1 : 0);
    group->last = &group->members;
    group->last_failure = &group->failures;
    return group;
}

static const char SHUTTING_DOWN[] = "its task group is shutting down";

static void abort_members(struct cosy_task_group *group)
{
    group->aborting = true;
    for (struct member *member = group->members; member; member = member->next)
        if (!cosy_task_done(member->task))
            cosy_task_cancel_with(member->task, SHUTTING_DOWN);
}

static void note_failure(struct cosy_task_group *group, struct failure *failure, struct cosy_task *task, int code)
{
    *failure = (struct failure){.task = task, .code = code};
    *group->last_failure = failure;
    group->last_failure = &failure->next;
    group->failure_count++;
}

static void note_unmade(struct cosy_task_group *group, int code)
{
    if (!group->unmade.code)
        note_failure(group, &group->unmade, NULL, code);
}

/* The owner is in the body, or waits in close(): either way it must notice. */
static void stop_body(struct cosy_task_group *group)
{
    if (group->aborting)
        return;
    abort_members(group);
    if (!group->closing && !group->parent_cancelled) {
        group->parent_cancelled = true;
        cosy_task_cancel_with(group->owner, "a child of its task group failed");
    }
}

static void member_done(struct cosy_observer *observer)
{
    struct member *member = container_of(observer, struct member, observer);
    struct cosy_task_group *group = member->group;
    group->running--;
    if (member->task->future.node.state == STATE_ERROR) {
        member->task->future.node.flags |= FLAG_RETRIEVED;
        note_failure(group, &member->failure, member->task, (int)member->task->future.result);
        stop_body(group);
    }
    if (group->running == 0 && group->waiting) {
        group->waiting = false;
        cosy_task_wake(group->owner, 0);
    }
}

static cosy_task *refuse(struct cosy_task_group *group, cosy_coro *coro, int error, const char *why)
{
    cosy_coro_close(coro);
    if (group && why)
        cosy_fail(COSY_EINVALIDSTATE, "cannot create a task: the task group %s", why);
    cosy_set_creation_error(error);
    return NULL;
}

cosy_task *cosy_task_group_add_(cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options)
{
    if (!group)
        return refuse(NULL, coro, cosy_creation_error(), NULL);
    if (group->closed || (group->closing && group->running == 0))
        return refuse(group, coro, -COSY_EINVALIDSTATE, "is finished");
    if (group->aborting)
        return refuse(group, coro, -COSY_EINVALIDSTATE, "is shutting down");
    struct member *member = cosy_heap_zalloc(sizeof *member);
    if (!member) {
        note_unmade(group, -ENOMEM);
        return refuse(group, coro, -ENOMEM, NULL);
    }
    struct cosy_task *task = cosy_task_from_(coro, options);
    if (!task) {
        note_unmade(group, cosy_creation_error());
        cosy_heap_free(member);
        return NULL;
    }
    *member = (struct member){.group = group, .task = task};
    member->observer.task = group->owner;
    member->observer.notify = member_done;
    *group->last = member;
    group->last = &member->next;
    group->running++;
    if (cosy_task_done(task))
        cosy_observe_done(&task->future, &member->observer);
    else
        cosy_observe(&task->future, &member->observer);
    if (group->aborting && !cosy_task_done(task)) /* its first step, run at once, stopped the group */
        cosy_task_cancel_with(task, SHUTTING_DOWN);
    return task;
}

/* Waits until no child runs, through any number of cancels. *ret_first: a cancel came before anything had stopped the
 * group; returns whether one came at all. */
static bool join(struct cosy_task_group *group, bool *ret_first)
{
    bool cancelled = false;
    while (group->running > 0) {
        group->waiting = true;
        bool woken_by_cancel = cosy_park(group->owner, &group->wait) == -ECANCELED;
        group->waiting = false;
        cancelled |= woken_by_cancel;
        if (woken_by_cancel && !group->aborting) {
            *ret_first = true;
            abort_members(group);
        }
    }
    group->closed = true;
    return cancelled;
}

/* Joins, and takes the group's own cancel back. True when the owner has been cancelled from outside. */
static bool end(struct cosy_task_group *group, bool cancelled)
{
    group->closing = true;
    bool met = join(group, &cancelled);
    if (!group->parent_cancelled)
        return cancelled || met;
    if (cosy_task_uncancel(group->owner) > group->cancelling)
        return cancelled || met;
    group->owner->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL; /* it was the group's own */
    return false;
}

/* Its count stays, and the next wait meets it. */
static void cancel_again(struct cosy_task *task)
{
    task->future.node.flags |= FLAG_MUST_CANCEL;
}

int cosy_task_group_close(cosy_task_group *group, int body)
{
    if (!group)
        return cosy_creation_error();
    if (cosy_task_here() != group->owner)
        return cosy_fail(COSY_EINVALIDSTATE, "a task group is waited for by the task that opened it");
    if (group->closing)
        return cosy_fail(COSY_EINVALIDSTATE, "a task group is waited for only once");
    if (body < 0 && !group->aborting)
        abort_members(group);
    bool cancelled = end(group, body == -ECANCELED);
    if (cancelled && !group->failures)
        return -ECANCELED;
    if (body < 0 && body != -ECANCELED)
        note_failure(group, &group->body, NULL, body);
    struct failure *first = group->failures;
    if (!first)
        return 0;
    if (group->owner->cancels > group->cancelling)
        cancel_again(group->owner);
    if (first->task)
        cosy_error_inherit(first->code, &first->task->future);
    return first->code;
}

int cosy_task_group_wait(cosy_task_group *group)
{
    return cosy_task_group_close(group, 0);
}

void cosy_task_group_cancel(cosy_task_group *group)
{
    if (!group || group->closed || (group->closing && group->running == 0))
        return;
    stop_body(group);
}

size_t cosy_task_group_error_count(const cosy_task_group *group)
{
    return group ? group->failure_count : 0;
}

int cosy_task_group_error(const cosy_task_group *group, size_t index, int *ret_code, const char **ret_message,
                          const char **ret_task)
{
    if (!group || index >= group->failure_count)
        return -ERANGE;
    struct failure *failure = group->failures;
    while (index-- > 0)
        failure = failure->next;
    if (ret_code)
        *ret_code = failure->code;
    if (ret_message)
        *ret_message = failure->task ? cosy_future_error_message(&failure->task->future) : "";
    if (ret_task)
        *ret_task = failure->task ? cosy_task_name(failure->task) : "";
    return 0;
}

/* Left without waiting: what its children failed with has nobody else to be told to. */
static void report_failures(struct cosy_task_group *group)
{
    for (struct failure *failure = group->failures; failure; failure = failure->next)
        if (failure->task)
            cosy_report(group->owner->future.loop, "Task exception in a task group that was left early",
                        &failure->task->future);
}

static void free_group(struct cosy_task_group *group)
{
    while (group->members) {
        struct member *member = group->members;
        group->members = member->next;
        cosy_task_drop(member->task);
        cosy_heap_free(member);
    }
    cosy_task_drop(group->owner);
    cosy_heap_free(group);
}

void cosy_task_group_drop(cosy_task_group *group)
{
    if (!group)
        return;
    if (!group->closed && cosy_task_here() != group->owner) {
        cosy_log(COSY_LOG_ERROR, "cosy: a task group is dropped by the task that opened it; nothing was done");
        return;
    }
    if (!group->closing) {
        abort_members(group);
        if (end(group, false)) /* nobody reads a result here: let the next wait meet it */
            cancel_again(group->owner);
        report_failures(group);
    }
    free_group(group);
}
