/* sleep.c - a timer that wakes the task it lies in. */
#include <cosy/sleep.h>

#include "../task/task.h"

struct sleep_wait {
    struct cosy_wait wait;
    struct cosy_timed_wait timed;
    struct cosy_task *task;
};

static struct sleep_wait *sleep_of(struct cosy_wait *wait)
{
    return container_of(wait, struct sleep_wait, wait);
}

static void woken(struct cosy_timed_wait *timed)
{
    cosy_task_wake(container_of(timed, struct sleep_wait, timed)->task, 0);
}

static bool sleep_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    cosy_timed_wait_disarm(task->future.loop, &sleep_of(wait)->timed);
    return false;
}

static void sleep_abandon(struct cosy_wait *wait)
{
    struct sleep_wait *sleep = sleep_of(wait);
    cosy_timed_wait_disarm(sleep->task->future.loop, &sleep->timed);
}

static cosy_ns sleep_deadline(struct cosy_wait *wait)
{
    return sleep_of(wait)->timed.timed.timer.when;
}

static const struct cosy_wait_kind sleep_kind = {
    .verb = "sleeps", .cancel = sleep_cancel, .deadline = sleep_deadline, .abandon = sleep_abandon};

static int sleep_here(struct cosy_task *me, cosy_ns when)
{
    struct sleep_wait sleep = {.wait.kind = &sleep_kind, .timed.fired = woken, .task = me};
    int result = cosy_timed_wait_arm(me->future.loop, &sleep.timed, when);
    return result < 0 ? result : (int)cosy_park(me, &sleep.wait);
}

int cosy_sleep(cosy_ns delay)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_sleep");
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (delay <= 0)
        return cosy_yield();
    struct cosy_loop *loop = me->future.loop;
    cosy_ns when;
    if (__builtin_add_overflow(loop->sys->ops->now(loop->sys), delay, &when))
        when = COSY_NEVER;
    return sleep_here(me, when);
}

int cosy_sleep_until(cosy_ns when)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_sleep_until");
    if (unlikely(!me))
        return -COSY_ENOTASK;
    struct cosy_loop *loop = me->future.loop;
    return when <= loop->sys->ops->now(loop->sys) ? cosy_yield() : sleep_here(me, when);
}
