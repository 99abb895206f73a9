/* as_completed.c - several things, each as it is done: an iterator that hands out what has come, first come first
 * served on both sides. */
#include <cosy/as_completed.h>

#include <stdio.h>

#include "../base/heap.h"
#include "../sync/waiters.h"
#include "awaited.h"

struct item {
    struct cosy_observer observer;
    struct cosy_completing_ *of;
    struct cosy_future *future; /* a reference */
    struct item *next;          /* in the order of their ends */
    bool ours;                  /* started here: writes into the caller's frame, so it does not outlive the iterator */
};

struct close_wait;

/* Invariants
 *  - pending: items whose observer is registered or queued. expired: items out of time that nobody has been told of.
 *  - While tasks are in line, nothing is ready and nothing is expired.
 *  - refs: the iterator's, and one of each task in a call of next: another one may close the iterator under it.
 */
struct cosy_completing_ {
    struct cosy_loop *loop;
    struct cosy_task *maker; /* a reference: it is shown as the one who waits for them all */
    struct cosy_timed_wait timed;
    cosy_ns deadline;
    struct item *ready, **last;
    struct cosy_line line;
    size_t count, pending, expired;
    struct close_wait *closer; /* who waits for the end of ours */
    int refs;
    bool closed;
    char name[56];
    struct item items[];
};

static void unref(struct cosy_completing_ *of)
{
    if (--of->refs > 0)
        return;
    cosy_task_drop(of->maker);
    cosy_heap_free(of);
}

/* ---- handing out ---- */

struct next_wait {
    struct cosy_waiter waiter;
    cosy_as_completed *it;
    struct item *item;
    int outcome; /* what it was woken with */
};

static void wake_with(struct cosy_completing_ *of, struct item *item, int outcome)
{
    struct next_wait *next = container_of(of->line.first, struct next_wait, waiter);
    next->item = item;
    next->outcome = outcome;
    cosy_waiter_wake(&next->waiter, 0);
}

/* Nothing more can come for those that are left in line. */
static void end_line(struct cosy_completing_ *of)
{
    while (of->line.first && of->pending == 0)
        wake_with(of, NULL, -COSY_ESTOPITER);
}

static void append_ready(struct cosy_completing_ *of, struct item *item)
{
    item->next = NULL;
    *of->last = item;
    of->last = &item->next;
}

static struct item *take_ready(struct cosy_completing_ *of)
{
    struct item *item = of->ready;
    of->ready = item->next;
    if (!of->ready)
        of->last = &of->ready;
    return item;
}

static void return_ready(struct cosy_completing_ *of, struct item *item)
{
    item->next = of->ready;
    if (!of->ready)
        of->last = &item->next;
    of->ready = item;
}

/* A cancel met a task that had been given something: it is the next one's. */
static void give_back(struct cosy_completing_ *of, struct item *item, int outcome)
{
    if (outcome == -COSY_ESTOPITER || of->closed)
        return;
    if (of->line.first)
        wake_with(of, item, outcome);
    else if (outcome == -ETIMEDOUT)
        of->expired++;
    else
        return_ready(of, item);
}

static void item_done(struct cosy_observer *observer)
{
    struct item *item = container_of(observer, struct item, observer);
    struct cosy_completing_ *of = item->of;
    of->pending--;
    if (of->line.first)
        wake_with(of, item, 0);
    else
        append_ready(of, item);
    end_line(of);
    if (of->pending == 0)
        cosy_timed_wait_disarm(of->loop, &of->timed);
}

static void stop_observing(struct cosy_completing_ *of)
{
    for (size_t i = 0; i < of->count; i++)
        cosy_unobserve(&of->items[i].observer);
    of->pending = 0;
    cosy_timed_wait_disarm(of->loop, &of->timed);
}

/* What is done but was not told yet is out of time as well, as in asyncio. */
static void time_is_up(struct cosy_timed_wait *timed)
{
    struct cosy_completing_ *of = container_of(timed, struct cosy_completing_, timed);
    of->expired = of->pending;
    stop_observing(of);
    while (of->line.first && of->expired > 0) {
        of->expired--;
        wake_with(of, NULL, -ETIMEDOUT);
    }
    end_line(of);
}

/* ---- beginning ---- */

/* Its observer is the last one on the list of a future that was met before: nobody else has run since. */
static bool is_met(const struct cosy_completing_ *of, const struct cosy_future *future)
{
    const struct cosy_observer *last = future->callbacks ? future->callbacks->prev : NULL;
    return last && last->notify == item_done && container_of(last, struct item, observer)->of == of;
}

static bool is_coroutine_met(const struct cosy_awaited_list *list, size_t index)
{
    int error;
    if (list->kind != COSY_AWAITED_CORO || cosy_coro_take(list->handles[index], &error) || error != -COSY_EAWAITED)
        return false;
    for (size_t i = 0; i < index; i++)
        if (list->handles[i] == list->handles[index])
            return true;
    return false;
}

static int add_item(struct cosy_completing_ *of, const struct cosy_awaited_list *list, size_t index)
{
    int error = 0;
    if (is_coroutine_met(list, index))
        return 0;
    struct cosy_future *future = cosy_as_future(list->kind, list->handles[index], &error);
    if (!future)
        return error;
    error = cosy_awaited_check(of->maker, future, "cosy_as_completed");
    if (error < 0 || is_met(of, future)) {
        cosy_future_drop(future);
        return error;
    }
    struct item *item = &of->items[of->count++];
    *item = (struct item){.of = of, .future = future, .ours = list->kind == COSY_AWAITED_CORO};
    item->observer.task = of->maker;
    item->observer.notify = item_done;
    cosy_observe(future, &item->observer); /* a done one too, until all are met */
    of->pending++;
    return 0;
}

static void sort_out_done(struct cosy_completing_ *of)
{
    for (size_t i = 0; i < of->count; i++)
        if (cosy_future_is_done(of->items[i].future)) {
            cosy_unobserve(&of->items[i].observer);
            append_ready(of, &of->items[i]);
            of->pending--;
        }
}

static int start_clock(struct cosy_completing_ *of, cosy_ns timeout)
{
    of->timed.fired = time_is_up;
    of->deadline = COSY_NEVER;
    if (of->pending == 0 || timeout == 0)
        return 0;
    if (timeout < 0) {
        time_is_up(&of->timed);
        return 0;
    }
    of->deadline = cosy_moment_in(of->loop, timeout);
    return of->deadline == COSY_NEVER ? 0 : cosy_timed_wait_arm(of->loop, &of->timed, of->deadline);
}

/* ---- the end ---- */

static void release_items(struct cosy_completing_ *of)
{
    for (size_t i = 0; i < of->count; i++)
        cosy_future_drop(of->items[i].future);
    of->count = 0;
}

struct close_wait {
    struct cosy_wait wait;
    struct cosy_completing_ *of;
    struct cosy_task *task;
    size_t running;
    bool asleep;
};

static struct close_wait *close_of(struct cosy_wait *wait)
{
    return container_of(wait, struct close_wait, wait);
}

static bool close_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    close_of(wait)->asleep = false;
    return false;
}

static void close_abandon(struct cosy_wait *wait)
{
    struct cosy_completing_ *of = close_of(wait)->of;
    stop_observing(of);
    release_items(of);
    unref(of);
}

static const struct cosy_wait_kind close_kind = {
    .verb = "waits for the tasks of an iterator that it left", .cancel = close_cancel, .abandon = close_abandon};

static void ours_ended(struct cosy_observer *observer)
{
    struct close_wait *closing = container_of(observer, struct item, observer)->of->closer;
    if (--closing->running == 0 && closing->asleep) {
        closing->asleep = false;
        cosy_task_wake(closing->task, 0);
    }
}

static void cancel_ours(struct close_wait *closing)
{
    struct cosy_completing_ *of = closing->of;
    for (size_t i = 0; i < of->count; i++)
        if (of->items[i].observer.future)
            cosy_task_cancel_with(cosy_as_task(of->items[i].future), "its iterator was left");
}

static void wait_for_ours(struct cosy_completing_ *of, struct cosy_task *me)
{
    struct close_wait closing = {.wait.kind = &close_kind, .of = of, .task = me};
    bool cancelled = false;
    of->closer = &closing;
    for (size_t i = 0; i < of->count; i++) {
        struct item *item = &of->items[i];
        if (!item->ours || cosy_future_is_done(item->future))
            continue;
        item->observer.notify = ours_ended;
        cosy_observe(item->future, &item->observer);
        closing.running++;
    }
    cancel_ours(&closing);
    while (closing.running > 0) {
        closing.asleep = true;
        bool again = cosy_park(me, &closing.wait) == -ECANCELED;
        closing.asleep = false;
        cancelled |= again;
        if (again)
            cancel_ours(&closing);
    }
    if (cancelled) /* nobody reads a result here: let the next wait meet it */
        cosy_task_must_cancel(me);
}

static void close_items(struct cosy_completing_ *of, struct cosy_task *me)
{
    of->closed = true;
    stop_observing(of);
    end_line(of);
    if (me && me->future.loop == of->loop)
        wait_for_ours(of, me);
    release_items(of);
    unref(of);
}

void cosy_as_completed_close(cosy_as_completed *it)
{
    struct cosy_completing_ *of = it->of_;
    *it = (cosy_as_completed){.error_ = -COSY_ECLOSED};
    if (of)
        close_items(of, cosy_task_here());
}

static int begin(cosy_as_completed *it, struct cosy_task *me, const struct cosy_awaited_list *list, cosy_ns timeout)
{
    struct cosy_completing_ *of = cosy_heap_zalloc(sizeof *of + list->count * sizeof(struct item));
    if (!of)
        return cosy_awaited_refuse(list, -ENOMEM);
    of->loop = me->future.loop;
    of->maker = cosy_task_ref(me);
    of->last = &of->ready;
    of->refs = 1;
    int result = 0;
    for (size_t i = 0; i < list->count && result == 0; i++)
        result = add_item(of, list, i);
    if (result == 0) {
        sort_out_done(of);
        result = start_clock(of, timeout);
    }
    if (result == 0) {
        it->of_ = of;
        return 0;
    }
    cosy_awaited_refuse(list, result);
    stop_observing(of);
    for (size_t i = 0; i < of->count; i++)
        if (of->items[i].ours) /* none has begun, and none ever will */
            cosy_future_cancel(of->items[i].future);
    release_items(of);
    unref(of);
    return result;
}

int cosy_as_completed_init_(cosy_as_completed *it, int kind, const void *handles, size_t count,
                            const struct cosy_as_completed_options *options)
{
    struct cosy_awaited_list list = {.handles = handles, .kind = kind, .count = handles ? count : 0};
    struct cosy_task *me = cosy_task_or_complain("cosy_as_completed_init");
    *it = (cosy_as_completed){0};
    if (!me)
        it->error_ = cosy_awaited_refuse(&list, -COSY_ENOTASK);
    else if (count > 0 && !handles)
        it->error_ = -EINVAL;
    else
        it->error_ = begin(it, me, &list, options->timeout);
    return it->error_;
}

/* ---- the next one ---- */

static struct cosy_completing_ *completing_of(struct cosy_wait *wait)
{
    return container_of(wait, struct next_wait, waiter.wait)->it->of_;
}

static const char *next_name(struct cosy_wait *wait)
{
    struct cosy_completing_ *of = completing_of(wait);
    snprintf(of->name, sizeof of->name, "the next of %zu (%zu to come)", of->count, of->pending);
    return of->name;
}

static cosy_ns next_deadline(struct cosy_wait *wait)
{
    return completing_of(wait)->deadline;
}

/* With the last one in line the iterator goes too: the frame that would have closed it is never left. */
static void next_abandon(struct cosy_wait *wait)
{
    struct next_wait *next = container_of(wait, struct next_wait, waiter.wait);
    struct cosy_completing_ *of = next->it->of_;
    cosy_waiter_abandon(wait);
    if (of->line.first) {
        unref(of);
        return;
    }
    next->it->of_ = NULL;
    stop_observing(of);
    release_items(of);
    of->refs = 1;
    unref(of);
}

static const struct cosy_wait_kind next_kind = {.verb = "waits for",
                                                .cancel = cosy_waiter_cancel,
                                                .deadline = next_deadline,
                                                .name = next_name,
                                                .abandon = next_abandon};

static int wait_in_line(cosy_as_completed *it, struct cosy_task *me, struct item **ret_item)
{
    struct cosy_completing_ *of = it->of_;
    struct next_wait next = {.waiter.wait.kind = &next_kind, .it = it};
    of->refs++;
    int result = (int)cosy_line_wait(&of->line, &next.waiter, me);
    if (result == 0)
        result = next.outcome;
    else if (next.waiter.woken)
        give_back(of, next.item, next.outcome);
    *ret_item = next.item;
    if (result == 0 && of->closed)
        result = -COSY_ECLOSED; /* the handle may be gone with the iterator */
    unref(of);
    return result;
}

static int next_item(cosy_as_completed *it, const char *call, struct item **ret_item)
{
    struct cosy_task *me = cosy_task_or_complain(call);
    struct cosy_completing_ *of = it->of_;
    if (!me)
        return -COSY_ENOTASK;
    if (!of)
        return it->error_ ? it->error_ : cosy_fail(EINVAL, "%s: the iterator was not begun", call);
    if (of->loop != me->future.loop)
        return cosy_fail(COSY_EOTHERLOOP, "%s: the iterator belongs to a different loop", call);
    int result = 0;
    if (of->ready)
        *ret_item = take_ready(of);
    else if (of->expired > 0) {
        of->expired--;
        result = -ETIMEDOUT;
    } else
        result = of->pending == 0 ? -COSY_ESTOPITER : wait_in_line(it, me, ret_item);
    return result == -ETIMEDOUT ? cosy_fail(ETIMEDOUT, "timed out") : result;
}

int cosy_as_completed_next_future_(cosy_as_completed *it, cosy_future **ret_future)
{
    struct item *item = NULL;
    int result = next_item(it, "cosy_as_completed_next", &item);
    if (result == 0)
        *ret_future = item->future;
    return result;
}

int cosy_as_completed_next_task_(cosy_as_completed *it, cosy_task **ret_task)
{
    struct item *item = NULL;
    int result = next_item(it, "cosy_as_completed_next", &item);
    if (result < 0)
        return result;
    if (!cosy_is_task(item->future)) {
        give_back(it->of_, item, 0);
        return cosy_fail(EINVAL, "cosy_as_completed_next: the next one is a future, not a task");
    }
    *ret_task = cosy_as_task(item->future);
    return 0;
}

int cosy_as_completed_result(cosy_as_completed *it)
{
    struct item *item = NULL;
    int result = next_item(it, "cosy_as_completed_result", &item);
    return result < 0 ? result : cosy_future_outcome(item->future);
}
