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
#include "../base/list.h"
#include "../task/task.h"

struct failure {
    struct failure *next;
    struct cosy_task *task; /* NULL: the body's, or a child that could not be made */
    int code;
};

/* A task that waits until the child that it started says that it is ready: cosy_task_group_start. */
struct starting {
    struct cosy_wait wait;
    struct starting *next; /* of this thread */
    struct cosy_task *starter;
    struct cosy_task *child; /* a reference */
    int64_t value;
    bool ready, ended, given_up, waiting;
};

struct member {
    struct cosy_link link;         /* of the group's members */
    struct cosy_observer observer; /* on the child's future until it is done */
    struct cosy_task_group *group;
    struct cosy_task *task;    /* a reference */
    struct starting *starting; /* not ready yet: its end is its starter's business */
    struct failure failure;
    bool forgotten; /* nobody has a handle: let go of when it ends well */
};

struct cosy_task_group {
    struct cosy_wait wait;
    struct cosy_task *owner; /* a reference */
    void *scope; /* the owner's innermost one as the group was opened: shields within it hold the group's cancel back */
    struct cosy_link members; /* oldest first; without those that were forgotten and ended well */
    struct failure *failures, **last_failure;
    struct failure body, unmade; /* of the body; of the first child that could not be made */
    size_t running, failure_count;
    int cancelling; /* the owner's delivered cancels as the group was opened */
    bool closing, closed, aborting, parent_cancelled, waiting;
    struct batch *batches;  /* the memory of all members: a call of the allocator for each would be the dearest part of
                               adding one */
    struct cosy_link spare; /* members of those that hold no task */
};

enum { FIRST_BATCH = 4, LAST_BATCH = 64 };

struct batch {
    struct batch *next;
    size_t count;
    struct member members[];
};

static struct cosy_task_group *group_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_task_group, wait);
}

static struct member *first_member(const struct cosy_task_group *group)
{
    return container_of(group->members.next, struct member, link);
}

static struct member *next_member(const struct member *member)
{
    return container_of(member->link.next, struct member, link);
}

#define FOR_EACH_MEMBER(member, group)                                                                                 \
    for (struct member *member = first_member(group); &member->link != &(group)->members; member = next_member(member))

static void report_failures(struct cosy_task_group *group);
static void free_group(struct cosy_task_group *group);

/* The loop closes under the owner, whose frames will never drop the group. */
static void abandon(struct cosy_wait *wait)
{
    struct cosy_task_group *group = group_of(wait);
    FOR_EACH_MEMBER (member, group)
        cosy_unobserve(&member->observer);
    report_failures(group);
    free_group(group);
}

/* The owner is woken by the cancel: the last child's end must not queue it a second time. */
static const struct cosy_wait_kind cancelled_group_kind;

static bool join_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    wait->kind = &cancelled_group_kind;
    group_of(wait)->waiting = false;
    return false;
}

static const struct cosy_wait_kind group_kind = {
    .verb = "waits for its task group", .cancel = join_cancel, .abandon = abandon};
static const struct cosy_wait_kind cancelled_group_kind = {
    .verb = "waits for its task group", .cancel = join_cancel, .abandon = abandon, .patient = true};

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
    group->scope = me->scope;
    cosy_list_init(&group->members);
    cosy_list_init(&group->spare);
    group->last_failure = &group->failures;
    return group;
}

static const char SHUTTING_DOWN[] = "its task group is shutting down";

static void abort_members(struct cosy_task_group *group)
{
    group->aborting = true;
    FOR_EACH_MEMBER (member, group)
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
        cosy_task_cancel_within(group->owner, "a child of its task group failed", group->scope);
    }
}

static bool add_batch(struct cosy_task_group *group)
{
    size_t count = !group->batches                      ? FIRST_BATCH
                   : group->batches->count < LAST_BATCH ? 2 * group->batches->count
                                                        : LAST_BATCH;
    struct batch *batch = cosy_heap_alloc(sizeof *batch + count * sizeof batch->members[0]);
    if (!batch)
        return false;
    *batch = (struct batch){.next = group->batches, .count = count};
    group->batches = batch;
    for (size_t i = 0; i < count; i++)
        cosy_list_append(&group->spare, &batch->members[i].link);
    return true;
}

/* On no list, and empty. */
static struct member *new_member(struct cosy_task_group *group)
{
    if (cosy_list_empty(&group->spare) && !add_batch(group))
        return NULL;
    struct member *member = container_of(group->spare.next, struct member, link);
    cosy_list_remove(&member->link);
    *member = (struct member){.group = group};
    return member;
}

static void drop_member(struct member *member)
{
    cosy_list_remove(&member->link);
    cosy_task_drop(member->task);
    cosy_list_append(&member->group->spare, &member->link);
}

static void wake_starter(struct starting *starting)
{
    if (starting->waiting)
        cosy_task_wake(starting->starter, 0);
    starting->waiting = false;
}

/* Its starter hears of the end first. True when the outcome is the starter's alone: it still waits for a child that was
 * not ready. */
static bool end_starting(struct member *member)
{
    struct starting *starting = member->starting;
    if (!starting)
        return false;
    starting->ended = true;
    wake_starter(starting);
    return !starting->ready && !starting->given_up;
}

static void member_done(struct cosy_observer *observer)
{
    struct member *member = container_of(observer, struct member, observer);
    struct cosy_task_group *group = member->group;
    bool starters = end_starting(member), failed = member->task->future.node.state == STATE_ERROR && !starters;
    group->running--;
    if (failed) {
        member->task->future.node.flags |= FLAG_RETRIEVED;
        note_failure(group, &member->failure, member->task, (int)member->task->future.result);
        stop_body(group);
    } else if (member->forgotten)
        drop_member(member);
    if (group->running == 0 && group->waiting) {
        group->waiting = false;
        cosy_task_wake(group->owner, 0);
    }
}

static bool take_note(struct cosy_observer *observer)
{
    struct member *member = container_of(observer, struct member, observer);
    if (member->forgotten || member->starting || member->group->running == 1)
        return false;
    member->group->running--;
    return true;
}

static cosy_task *refuse(struct cosy_task_group *group, cosy_coro *coro, int error, const char *why)
{
    cosy_coro_close(coro);
    if (group && why)
        cosy_fail(COSY_EINVALIDSTATE, "cannot create a task: the task group %s", why);
    cosy_set_creation_error(error);
    return NULL;
}

/* NULL, with the reason as the creation error. */
static struct member *add(struct cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options)
{
    struct member *member = NULL;
    if (!group)
        refuse(NULL, coro, cosy_creation_error(), NULL);
    else if (group->closed || (group->closing && group->running == 0))
        refuse(group, coro, -COSY_EINVALIDSTATE, "is finished");
    else if (group->aborting)
        refuse(group, coro, -COSY_EINVALIDSTATE, "is shutting down");
    else if (!(member = new_member(group))) {
        note_unmade(group, -ENOMEM);
        refuse(group, coro, -ENOMEM, NULL);
    }
    if (!member)
        return NULL;
    struct cosy_task *task = cosy_task_from_(coro, options);
    if (!task) {
        note_unmade(group, cosy_creation_error());
        cosy_list_append(&group->spare, &member->link);
        return NULL;
    }
    member->task = task;
    member->observer.task = group->owner;
    member->observer.notify = member_done;
    member->observer.take_note = take_note;
    cosy_list_append(&group->members, &member->link);
    group->running++;
    if (cosy_task_done(task))
        cosy_observe_done(&task->future, &member->observer);
    else
        cosy_observe(&task->future, &member->observer);
    if (group->aborting && !cosy_task_done(task)) /* its first step, run at once, stopped the group */
        cosy_task_cancel_with(task, SHUTTING_DOWN);
    return member;
}

cosy_task *cosy_task_group_add_(cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options)
{
    struct member *member = add(group, coro, options);
    return member ? member->task : NULL;
}

int cosy_task_group_spawn_(cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options)
{
    struct member *member = add(group, coro, options);
    if (!member)
        return cosy_creation_error();
    member->forgotten = true;
    return 0;
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
    if (body < 0 && body != -ECANCELED)
        note_failure(group, &group->body, NULL, body);
    if (cancelled && !group->failures)
        return -ECANCELED;
    struct failure *first = group->failures;
    if (!first)
        return 0;
    if (group->owner->cancels > group->cancelling)
        cosy_task_must_cancel(group->owner);
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

static struct cosy_group_error describe(const struct failure *failure)
{
    struct cosy_task *task = failure->task;
    return (struct cosy_group_error){.code = failure->code,
                                     .message = task ? cosy_future_error_message(&task->future) : "",
                                     .task = task ? cosy_task_name(task) : ""};
}

int cosy_task_group_error(const cosy_task_group *group, size_t index, int *ret_code, const char **ret_message,
                          const char **ret_task)
{
    if (!group || index >= group->failure_count)
        return -ERANGE;
    struct failure *failure = group->failures;
    while (index-- > 0)
        failure = failure->next;
    struct cosy_group_error error = describe(failure);
    if (ret_code)
        *ret_code = error.code;
    if (ret_message)
        *ret_message = error.message;
    if (ret_task)
        *ret_task = error.task;
    return 0;
}

/* Those with the code, or those without it, behind the `count` that are written already. */
static size_t select_errors(const cosy_task_group *group, int code, bool matching, struct cosy_group_error *errors,
                            size_t room, size_t count)
{
    for (const struct failure *failure = group ? group->failures : NULL; failure; failure = failure->next) {
        if ((failure->code == code) != matching)
            continue;
        if (count < room)
            errors[count] = describe(failure);
        count++;
    }
    return count;
}

size_t cosy_task_group_errors(const cosy_task_group *group, int code, struct cosy_group_error *errors, size_t room)
{
    return select_errors(group, code, code != 0, errors, room, 0);
}

size_t cosy_task_group_split(const cosy_task_group *group, int code, struct cosy_group_error *errors, size_t room,
                             size_t *ret_matching)
{
    size_t matching = select_errors(group, code, true, errors, room, 0);
    if (ret_matching)
        *ret_matching = matching;
    return select_errors(group, code, false, errors, room, matching);
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
    while (!cosy_list_empty(&group->members))
        drop_member(first_member(group));
    while (group->batches) {
        struct batch *batch = group->batches;
        group->batches = batch->next;
        cosy_heap_free(batch);
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
            cosy_task_must_cancel(group->owner);
        report_failures(group);
    }
    free_group(group);
}

/* ---- a child that says when it is ready ---- */

/* Few at a time: cosy_started looks for the running task here. */
static __thread struct starting *starting_now;

static struct starting *starting_of(struct cosy_wait *wait)
{
    return container_of(wait, struct starting, wait);
}

static void leave_list(struct starting *starting)
{
    struct starting **link = &starting_now;
    while (*link != starting)
        link = &(*link)->next;
    *link = starting->next;
}

static const struct cosy_wait_kind cancelled_start_kind;

static bool start_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    wait->kind = &cancelled_start_kind;
    starting_of(wait)->waiting = false;
    return false;
}

static void start_abandon(struct cosy_wait *wait)
{
    leave_list(starting_of(wait));
    cosy_task_drop(starting_of(wait)->child);
}

static struct cosy_future *start_future(struct cosy_wait *wait)
{
    return &starting_of(wait)->child->future;
}

static const struct cosy_wait_kind start_kind = {
    .verb = "waits for the start of", .cancel = start_cancel, .future = start_future, .abandon = start_abandon};
static const struct cosy_wait_kind cancelled_start_kind = {.verb = "waits for the start of",
                                                           .cancel = start_cancel,
                                                           .future = start_future,
                                                           .abandon = start_abandon,
                                                           .patient = true};

int cosy_started(int64_t value)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_started");
    struct starting *starting = starting_now;
    if (!me)
        return -COSY_ENOTASK;
    while (starting && starting->child != me)
        starting = starting->next;
    if (!starting || starting->ready)
        return cosy_fail(COSY_EINVALIDSTATE,
                         "cosy_started is for a task that was started by cosy_task_group_start, and once");
    if (starting->given_up)
        return -ECANCELED;
    starting->ready = true;
    starting->value = value;
    wake_starter(starting);
    return 0;
}

/* A starter that is cancelled gives up: the child is cancelled, and its end waited for. */
static bool wait_until_ready(struct starting *starting)
{
    bool cancelled = false;
    while (!starting->ended && (!starting->ready || starting->given_up)) {
        starting->waiting = true;
        if (cosy_park(starting->starter, &starting->wait) != -ECANCELED)
            continue;
        cancelled = true;
        starting->waiting = false;
        if (!starting->ready && !starting->ended && !starting->given_up) {
            starting->given_up = true;
            cosy_task_cancel_with(starting->child, "its starter was cancelled");
        }
    }
    return cancelled;
}

static int start_outcome(struct starting *starting, bool cancelled, int64_t *ret_value)
{
    struct cosy_task *child = starting->child;
    if (starting->ready) {
        if (ret_value)
            *ret_value = starting->value;
        if (cancelled) /* too late: the value is not lost */
            cosy_task_must_cancel(starting->starter);
        return 0;
    }
    if (cancelled)
        return -ECANCELED;
    int outcome = cosy_future_outcome(&child->future);
    if (outcome < 0)
        return outcome;
    return cosy_fail(COSY_EINVALIDSTATE, "task '%s' (%s) ended without cosy_started", cosy_task_name(child),
                     child->site->name);
}

int cosy_task_group_start_(cosy_task_group *group, int64_t *ret_value, cosy_coro *coro,
                           const struct cosy_task_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_task_group_start");
    if (!me) {
        cosy_coro_close(coro);
        return -COSY_ENOTASK;
    }
    struct cosy_task_options later = options ? *options : (struct cosy_task_options){.struct_size = sizeof later};
    later.eager_start = false; /* who starts it must be known before it runs */
    struct member *member = add(group, coro, options ? &later : NULL);
    if (!member)
        return cosy_creation_error();
    struct starting starting = {
        .wait.kind = &start_kind, .next = starting_now, .starter = me, .child = cosy_task_ref(member->task)};
    starting_now = &starting;
    member->forgotten = true;
    member->starting = &starting;
    bool cancelled = wait_until_ready(&starting);
    if (!starting.ended)
        member->starting = NULL;
    leave_list(&starting);
    int result = start_outcome(&starting, cancelled, ret_value);
    cosy_task_drop(starting.child);
    return result;
}
