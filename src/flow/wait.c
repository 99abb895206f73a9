/* wait.c - until some of several are done: looks at tasks and futures, and touches none. */
#include <cosy/wait.h>

#include <stdio.h>

#include "../base/heap.h"
#include "awaited.h"

struct waiting;

struct member {
    struct cosy_observer observer;
    struct waiting *of;
    struct cosy_future *future; /* a reference: another task may drop the caller's */
};

enum { ON_STACK = 8 };

struct waiting {
    struct cosy_wait wait;
    struct cosy_timed_wait timed;
    struct cosy_task *task;
    struct member *members;
    size_t count, pending; /* members made; those that are not done, or not told yet */
    enum cosy_return_when until;
    bool over;   /* what it waits for has come */
    bool asleep; /* parked, and nobody has woken it */
    cosy_ns deadline;
    char name[56];
    struct member few[ON_STACK];
};

static struct waiting *waiting_of(struct cosy_wait *wait)
{
    return container_of(wait, struct waiting, wait);
}

static void stop_observing(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++)
        cosy_unobserve(&waiting->members[i].observer);
    cosy_timed_wait_disarm(waiting->task->future.loop, &waiting->timed);
}

static void release(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++)
        cosy_future_drop(waiting->members[i].future);
    if (waiting->members != waiting->few)
        cosy_heap_free(waiting->members);
}

/* Observers may stay until the task runs: they find nobody asleep. */
static bool wait_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    waiting_of(wait)->asleep = false;
    return false;
}

static void wait_abandon(struct cosy_wait *wait)
{
    stop_observing(waiting_of(wait));
    release(waiting_of(wait));
}

static cosy_ns wait_deadline(struct cosy_wait *wait)
{
    return waiting_of(wait)->deadline;
}

static const char *wait_name(struct cosy_wait *wait)
{
    static const char *const of[] = {"all of", "one of", "all, or an error, of"};
    struct waiting *waiting = waiting_of(wait);
    snprintf(waiting->name, sizeof waiting->name, "%s %zu (%zu to come)", of[waiting->until], waiting->count,
             waiting->pending);
    return waiting->name;
}

static struct cosy_future *wait_future(struct cosy_wait *wait)
{
    struct waiting *waiting = waiting_of(wait);
    return waiting->count == 1 ? waiting->members->future : NULL;
}

static const struct cosy_wait_kind wait_kind = {.verb = "waits for",
                                                .cancel = wait_cancel,
                                                .future = wait_future,
                                                .deadline = wait_deadline,
                                                .name = wait_name,
                                                .abandon = wait_abandon};

static void end_if_over(struct waiting *waiting)
{
    if (waiting->over && waiting->asleep) {
        waiting->asleep = false;
        cosy_task_wake(waiting->task, 0);
    }
}

static void note_done(struct waiting *waiting, const struct cosy_future *future)
{
    waiting->over |= waiting->until == COSY_FIRST_COMPLETED ||
                     (waiting->until == COSY_FIRST_EXCEPTION && future->node.state == STATE_ERROR);
}

static void member_done(struct cosy_observer *observer)
{
    struct member *member = container_of(observer, struct member, observer);
    struct waiting *waiting = member->of;
    note_done(waiting, member->future);
    waiting->over |= --waiting->pending == 0;
    end_if_over(waiting);
}

static void time_is_up(struct cosy_timed_wait *timed)
{
    struct waiting *waiting = container_of(timed, struct waiting, timed);
    waiting->over = true;
    end_if_over(waiting);
}

static int add_member(struct waiting *waiting, struct cosy_awaited_ item)
{
    int error;
    if (item.kind == COSY_AWAITED_CORO)
        return cosy_fail(EINVAL, "cosy_wait: coroutines are refused, start them as tasks");
    struct cosy_future *future = cosy_as_future(item.kind, item.what, &error);
    if (!future)
        return error;
    struct member *member = &waiting->members[waiting->count++];
    *member = (struct member){.of = waiting, .future = future};
    member->observer.task = waiting->task;
    member->observer.notify = member_done;
    return cosy_awaited_check(waiting->task, future, "cosy_wait");
}

static int gather_members(struct waiting *waiting, const struct cosy_awaited_list *list)
{
    if (list->count == 0)
        return cosy_fail(EINVAL, "cosy_wait: there is nothing to wait for");
    if (list->count > ON_STACK && !(waiting->members = cosy_heap_alloc(list->count * sizeof(*waiting->members)))) {
        waiting->members = waiting->few;
        return -ENOMEM;
    }
    int result = 0;
    for (size_t i = 0; i < list->count && result == 0; i++)
        result = add_member(waiting, cosy_awaited_at(list, i));
    return result;
}

static void look(struct waiting *waiting, bool *done, int *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < waiting->count; i++) {
        bool is_done = cosy_future_is_done(waiting->members[i].future);
        *ret_count += is_done;
        if (done)
            done[i] = is_done;
    }
}

/* Without suspending: counts, and tells whether that is all. */
static void begin(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++) {
        struct cosy_future *future = waiting->members[i].future;
        if (cosy_future_is_done(future))
            note_done(waiting, future);
        else
            waiting->pending++;
    }
    waiting->over |= waiting->pending == 0;
}

static int sleep_until_over(struct waiting *waiting, cosy_ns timeout)
{
    struct cosy_loop *loop = waiting->task->future.loop;
    if (timeout > 0 && (waiting->deadline = cosy_moment_in(loop, timeout)) != COSY_NEVER) {
        int armed = cosy_timed_wait_arm(loop, &waiting->timed, waiting->deadline);
        if (armed < 0)
            return armed;
    }
    for (size_t i = 0; i < waiting->count; i++)
        if (!cosy_future_is_done(waiting->members[i].future))
            cosy_observe(waiting->members[i].future, &waiting->members[i].observer);
    waiting->asleep = true;
    int result = (int)cosy_park(waiting->task, &waiting->wait);
    waiting->asleep = false;
    stop_observing(waiting);
    return result;
}

static int wait_for(struct cosy_task *me, const struct cosy_awaited_list *list, const struct cosy_wait_options *options)
{
    struct waiting waiting = {.wait.kind = &wait_kind,
                              .timed.fired = time_is_up,
                              .task = me,
                              .until = options->return_when,
                              .deadline = COSY_NEVER};
    waiting.members = waiting.few;
    int count, result = gather_members(&waiting, list);
    if (result < 0)
        cosy_awaited_refuse(list, result);
    else
        begin(&waiting);
    if (result == 0 && !waiting.over && options->timeout >= 0)
        result = sleep_until_over(&waiting, options->timeout);
    if (result == 0) {
        look(&waiting, options->done, &count);
        result = count;
    }
    release(&waiting);
    return result;
}

static int check_and_wait(const struct cosy_awaited_list *list, const struct cosy_wait_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_wait");
    if (!me)
        return cosy_awaited_refuse(list, -COSY_ENOTASK);
    if ((unsigned)options->return_when > COSY_FIRST_EXCEPTION)
        return cosy_awaited_refuse(list,
                                   cosy_fail(EINVAL, "cosy_wait: no such return_when: %d", (int)options->return_when));
    return wait_for(me, list, options);
}

int cosy_wait_(const struct cosy_awaited_ *items, size_t count, const struct cosy_wait_options *options)
{
    return check_and_wait(&(struct cosy_awaited_list){.items = items, .count = count}, options);
}

int cosy_wait_array_(int kind, const void *handles, size_t count, const struct cosy_wait_options *options)
{
    struct cosy_awaited_list list = {.handles = handles, .kind = kind, .count = handles ? count : 0};
    return check_and_wait(&list, options);
}

int cosy_wait_first_(const struct cosy_awaited_ *items, size_t count)
{
    bool done[16] = {0};
    int result = cosy_wait_(items, count, COSY_WAIT_OPTIONS_(.return_when = COSY_FIRST_COMPLETED, .done = done));
    if (result < 0)
        return result;
    int first = 0;
    while (!done[first])
        first++;
    return first;
}
