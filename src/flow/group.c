/* group.c - task groups, after asyncio's TaskGroup.
 *
 * The owner is cancelled at most once by its group (parent_cancelled), when a child fails or cosy_task_group_cancel is called while the
 * owner is still in the body; the group takes that request back when it ends, so requests from outside keep their count.
 */
#include <cosy/group.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../task/task.h"

struct member {
    struct cosy_observer observer; /* on the child's future until it is done */
    struct member *next;
    struct cosy_task_group *group;
    struct cosy_task *task; /* a reference */
};

struct failure {
    struct failure *next;
    struct cosy_task *task; /* NULL: the body's, or a child that could not be made */
    int code;
};

struct cosy_task_group {
    struct cosy_wait wait;
    struct cosy_task *owner;
    struct member *members, **last; /* all that were ever added, oldest first */
    struct failure *failures, **last_failure;
    size_t running, failure_count;
    bool closing, closed, aborting, cancelled, parent_cancelled, waiting;
};

static struct cosy_task_group *group_of(struct cosy_wait *wait) { return container_of(wait, struct cosy_task_group, wait); }

static void abandon(struct cosy_wait *wait)
{
    for (struct member *member = group_of(wait)->members; member; member = member->next)
        cosy_unobserve(&member->observer);
}

static const struct cosy_wait_kind group_kind = {.verb = "waits for its task group", .abandon = abandon};

cosy_task_group *cosy_task_group_open(void)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_task_group_open");
    struct cosy_task_group *group = me ? cosy_heap_zalloc(sizeof *group) : NULL;
    if (!group) {
        cosy_set_creation_error(me ? -ENOMEM : -COSY_ENOTASK);
        return NULL;
    }
    group->wait.kind = &group_kind;
    group->owner = me;
    group->last = &group->members;
    group->last_failure = &group->failures;
    return group;
}

static void abort_members(struct cosy_task_group *group)
{
    group->aborting = true;
    for (struct member *member = group->members; member; member = member->next)
        if (!cosy_task_done(member->task))
            cosy_task_cancel_with(member->task, "its task group is shutting down");
}

static void add_failure(struct cosy_task_group *group, struct cosy_task *task, int code)
{
    struct failure *failure = cosy_heap_zalloc(sizeof *failure);
    if (!failure) {
        cosy_log(COSY_LOG_ERROR, "cosy: no memory to note an error of a task group: %s", cosy_strerror(code));
        return;
    }
    *failure = (struct failure){.task = task, .code = code};
    *group->last_failure = failure;
    group->last_failure = &failure->next;
    group->failure_count++;
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
        add_failure(group, member->task, (int)member->task->future.result);
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
    if (!member)
        return refuse(group, coro, -ENOMEM, NULL);
    struct cosy_task *task = cosy_task_from_(coro, options);
    if (!task) {
        add_failure(group, NULL, cosy_creation_error());
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
    return task;
}

/* Waits until no child runs, through any number of cancels; true when one came that the group did not ask for. */
static bool join(struct cosy_task_group *group)
{
    bool cancelled = false;
    while (group->running > 0) {
        group->waiting = true;
        int64_t woken = cosy_park(group->owner, &group->wait);
        group->waiting = false;
        if (woken == -ECANCELED && !group->aborting) {
            cancelled = true;
            abort_members(group);
        }
    }
    return cancelled;
}

/* The first failure with its story; a cancel from outside is armed again, so that its count stays and the next wait meets it. */
static int first_failure(struct cosy_task_group *group)
{
    struct failure *first = group->failures;
    if (group->owner->cancels > 0) {
        cosy_task_uncancel(group->owner);
        cosy_task_cancel_with(group->owner, cosy_task_cancel_reason(group->owner)[0] ? "cancelled again after its task group failed" : NULL);
    }
    if (first->task)
        cosy_error_inherit(first->code, &first->task->future);
    return first->code;
}

int cosy_task_group_close(cosy_task_group *group, int body)
{
    if (!group)
        return cosy_creation_error();
    if (cosy_task_here() != group->owner)
        return cosy_fail(COSY_EINVALIDSTATE, "a task group is waited for by the task that opened it");
    if (group->closing)
        return cosy_fail(COSY_EINVALIDSTATE, "a task group is waited for only once");
    group->closing = true;
    bool cancelled = body == -ECANCELED;
    if (body < 0 && !group->aborting)
        abort_members(group);
    cancelled |= join(group);
    group->closed = true;
    if (group->parent_cancelled && cosy_task_uncancel(group->owner) == 0)
        cancelled = false;
    if (cancelled && !group->failures)
        return -ECANCELED;
    if (body < 0 && body != -ECANCELED)
        add_failure(group, NULL, body);
    return group->failures ? first_failure(group) : 0;
}

int cosy_task_group_wait(cosy_task_group *group) { return cosy_task_group_close(group, 0); }

void cosy_task_group_cancel(cosy_task_group *group)
{
    if (!group || group->closed)
        return;
    group->cancelled = true;
    stop_body(group);
}

size_t cosy_task_group_error_count(const cosy_task_group *group) { return group ? group->failure_count : 0; }

int cosy_task_group_error(const cosy_task_group *group, size_t index, int *ret_code, const char **ret_message, const char **ret_task)
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
            cosy_report(group->owner->future.loop, "Task exception in a task group that was left early", &failure->task->future);
}

static void free_group(struct cosy_task_group *group)
{
    while (group->members) {
        struct member *member = group->members;
        group->members = member->next;
        cosy_task_drop(member->task);
        cosy_heap_free(member);
    }
    while (group->failures) {
        struct failure *failure = group->failures;
        group->failures = failure->next;
        cosy_heap_free(failure);
    }
    cosy_heap_free(group);
}

void cosy_task_group_drop(cosy_task_group *group)
{
    if (!group)
        return;
    if (!group->closing) {
        group->closing = true;
        abort_members(group);
        bool cancelled = join(group);
        group->closed = true;
        if (group->parent_cancelled && cosy_task_uncancel(group->owner) == 0)
            cancelled = false;
        if (cancelled) /* nobody reads a result here: let the next wait meet it */
            group->owner->future.node.flags |= FLAG_MUST_CANCEL;
        report_failures(group);
    }
    free_group(group);
}
