/* waiters.h - tasks in line for one object, first come first served: what locks, events, queues and limiters are built
 * from.
 *
 * A line is zero when it is new, so an object that has one needs no constructor. A waiter lies on the waiting task's
 * stack.
 *
 * Invariants
 *  - A waiter is in line exactly while `line` is set; whoever takes it out (a wake, a cancel, a loop that closes)
 * clears it.
 *  - All waiters of a line belong to one loop.
 *  - A cancel that comes after the wake finds the waiter out of line: its task gets -ECANCELED with `woken` set, and
 *    must pass on what the wake was for, or it is lost.
 */
#ifndef COSY_SYNC_WAITERS_H
#define COSY_SYNC_WAITERS_H

#include "../task/task.h"

struct cosy_waiter {
    struct cosy_wait wait;
    struct cosy_line *line;
    struct cosy_waiter *next, *prev; /* prev of the first one, next of the last one: not defined */
    struct cosy_task *task;
    bool woken;
};

/* Public objects hold it as two private fields of their own, which the compiler must not take for other memory. */
struct __attribute__((may_alias)) cosy_line {
    struct cosy_waiter *first, *last;
};

/* For struct cosy_wait_kind: a cancel takes the waiter out of line and lets the caller wake its task; so does a closing
 * loop. */
bool cosy_waiter_cancel(struct cosy_wait *wait, struct cosy_task *task);
void cosy_waiter_abandon(struct cosy_wait *wait);

static inline bool cosy_line_empty(const struct cosy_line *line) { return !line->first; }

/* How many wait: O(n), for statistics. */
size_t cosy_line_length(const struct cosy_line *line);

static inline void cosy_line_append(struct cosy_line *line, struct cosy_waiter *waiter)
{
    waiter->line = line;
    waiter->next = NULL;
    waiter->prev = line->last;
    if (line->first)
        line->last->next = waiter;
    else
        line->first = waiter;
    line->last = waiter;
}

static inline void cosy_line_remove(struct cosy_waiter *waiter)
{
    struct cosy_line *line = waiter->line;
    if (waiter == line->first)
        line->first = waiter->next;
    else
        waiter->prev->next = waiter->next;
    if (waiter == line->last)
        line->last = line->first ? waiter->prev : NULL;
    else
        waiter->next->prev = waiter->prev;
    waiter->line = NULL;
}

/* Takes a waiter out of line and queues its task, whose wait returns `value`. */
static inline void cosy_waiter_wake(struct cosy_waiter *waiter, int64_t value)
{
    cosy_line_remove(waiter);
    waiter->woken = true;
    cosy_task_wake(waiter->task, value);
}

/* Waits in line; the waiter's wait.kind is set. Returns the wake's value, or -ECANCELED. The waiter is out of line
 * then. */
static inline int64_t cosy_line_wait(struct cosy_line *line, struct cosy_waiter *waiter, struct cosy_task *me)
{
    waiter->task = me;
    waiter->woken = false;
    cosy_line_append(line, waiter);
    return cosy_park(me, &waiter->wait);
}

/* Whether the line's waiters belong to another loop than the task. */
static inline bool cosy_line_is_foreign(const struct cosy_line *line, const struct cosy_task *me)
{
    return line->first && line->first->task->future.loop != me->future.loop;
}

#endif
