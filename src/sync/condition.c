/* condition.c - a line of tasks that have given a lock up until they are notified.
 *
 * A notified task must get the lock again before it returns, so a cancel that comes meanwhile is kept and returned
 * later. It may then not act on the notification, and passes it on.
 */
#include <cosy/condition.h>

#include "home.h"

COSY_BEGINS_WITH_LINE(cosy_condition);

static struct cosy_line *line_of(const cosy_condition *condition)
{
    return (struct cosy_line *)(uintptr_t)condition;
}

static const char *waiter_name(struct cosy_wait *wait)
{
    (void)wait;
    return "a condition";
}

static const struct cosy_wait_kind condition_kind = {
    .verb = "waits for", .cancel = cosy_waiter_cancel, .name = waiter_name, .abandon = cosy_waiter_abandon};

/* ---- its lock ---- */

cosy_lock *cosy_condition_lock(cosy_condition *condition)
{
    return condition->lock_ ? condition->lock_ : &condition->own_;
}

int cosy_condition_acquire(cosy_condition *condition)
{
    return cosy_lock_acquire(cosy_condition_lock(condition));
}

int cosy_condition_try_acquire(cosy_condition *condition)
{
    return cosy_lock_try_acquire(cosy_condition_lock(condition));
}

int cosy_condition_release(cosy_condition *condition)
{
    return cosy_lock_release(cosy_condition_lock(condition));
}

bool cosy_condition_locked(const cosy_condition *condition)
{
    return cosy_lock_locked(condition->lock_ ? condition->lock_ : &condition->own_);
}

/* ---- waiting ---- */

static void wake(cosy_condition *condition, size_t n)
{
    struct cosy_line *line = line_of(condition);
    for (; n > 0 && line->first; n--)
        cosy_waiter_wake(line->first, 0);
}

int cosy_condition_wait(cosy_condition *condition)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_condition_wait");
    cosy_lock *lock = cosy_condition_lock(condition);
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (!cosy_lock_locked(lock))
        return cosy_fail(COSY_ENOTLOCKED, "cosy_condition_wait: the condition's lock is not held");
    if (cosy_home_is_elsewhere(lock->loop_, line_of(condition)))
        return cosy_home_fail("cosy_condition_wait");
    cosy_lock_release(lock);
    struct cosy_waiter waiter = {.wait.kind = &condition_kind};
    int result = cosy_lock_take_back(lock, (int)cosy_line_wait(line_of(condition), &waiter, me));
    if (unlikely(result < 0) && waiter.woken)
        wake(condition, 1);
    return result;
}

int cosy_condition_notify(cosy_condition *condition, size_t n)
{
    const cosy_lock *lock = cosy_condition_lock(condition);
    if (!cosy_lock_locked(lock))
        return cosy_fail(COSY_ENOTLOCKED, "cosy_condition_notify: the condition's lock is not held");
    if (cosy_home_is_elsewhere(lock->loop_, line_of(condition)))
        return cosy_home_fail("cosy_condition_notify");
    wake(condition, n);
    return 0;
}

int cosy_condition_notify_all(cosy_condition *condition)
{
    return cosy_condition_notify(condition, SIZE_MAX);
}

void cosy_condition_statistics(const cosy_condition *condition, struct cosy_condition_statistics *ret_statistics)
{
    ret_statistics->tasks_waiting = cosy_line_length(line_of(condition));
    cosy_lock_statistics(condition->lock_ ? condition->lock_ : &condition->own_, &ret_statistics->lock);
}
