/* lock.c - a lock is free, held, or on its way to a task that a release woke.
 *
 * Invariants
 *  - FREE: nobody is in line. So taking a free lock is one comparison.
 *  - WAKING: the first in line was woken, is out of line, and has not run yet. It takes the lock when it runs; if it
 *    was cancelled meanwhile, it wakes the next. Nobody else may take the lock: that is what makes it fair.
 *  - loop_ and owner_ are valid while it is held; loop_ also while it is WAKING.
 */
#include <cosy/lock.h>

#include <stdio.h>

#include "home.h"

enum { FREE, HELD, WAKING };

COSY_BEGINS_WITH_LINE(cosy_lock);

static struct cosy_line *line_of(const cosy_lock *lock)
{
    return (struct cosy_line *)(uintptr_t)lock;
}

/* The task that took it, while there is one. */
static cosy_task *owner_of(const cosy_lock *lock)
{
    if (lock->state_ != HELD || (cosy_thread_.loop && lock->loop_ != cosy_thread_.loop))
        return NULL;
    cosy_task *owner = cosy_weak_task(lock->owner_);
    cosy_task_drop(owner); /* borrowed: a pending one is the loop's too */
    return cosy_task_done(owner) ? NULL : owner;
}

/* ---- how the task tree sees a waiter ---- */

static const char *waiter_name(struct cosy_wait *wait)
{
    static __thread char text[80];
    const struct cosy_waiter *waiter = container_of(wait, struct cosy_waiter, wait);
    cosy_task *owner = waiter->line ? owner_of((const cosy_lock *)(const void *)waiter->line) : NULL;
    if (!owner)
        return "a lock";
    snprintf(text, sizeof text, "a lock that '%s' holds", cosy_task_name(owner));
    return text;
}

static const struct cosy_wait_kind lock_kind = {
    .verb = "waits for", .cancel = cosy_waiter_cancel, .name = waiter_name, .abandon = cosy_waiter_abandon};

static const struct cosy_wait_kind patient_lock_kind = {.verb = "waits for",
                                                        .cancel = cosy_waiter_cancel,
                                                        .name = waiter_name,
                                                        .abandon = cosy_waiter_abandon,
                                                        .patient = true};

/* ---- taking ---- */

static inline void take(cosy_lock *lock, struct cosy_task *me)
{
    lock->state_ = HELD;
    lock->loop_ = me->future.loop;
    lock->owner_ = (cosy_weak){me, me->id};
}

static void pass_on(cosy_lock *lock)
{
    struct cosy_waiter *first = line_of(lock)->first;
    lock->state_ = first ? WAKING : FREE;
    if (first)
        cosy_waiter_wake(first, 0);
}

static __attribute__((noinline)) int acquire_slowly(cosy_lock *lock)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_lock_acquire");
    if (!me)
        return -COSY_ENOTASK;
    if (cosy_home_is_elsewhere(lock->loop_, line_of(lock)))
        return cosy_home_fail("cosy_lock_acquire");
    struct cosy_waiter waiter = {.wait.kind = &lock_kind};
    int result = (int)cosy_line_wait(line_of(lock), &waiter, me);
    if (result >= 0)
        take(lock, me);
    else if (waiter.woken)
        pass_on(lock);
    return result;
}

/* A task that was cancelled when the lock had come to it keeps it: handed on, it might go round among cancelled ones
 * for ever. */
int cosy_lock_take_back(cosy_lock *lock, int result)
{
    struct cosy_task *me = cosy_task_here();
    while (lock->state_ != FREE) {
        if (cosy_home_is_elsewhere(lock->loop_, line_of(lock)))
            return cosy_home_fail("cosy_condition_wait");
        struct cosy_waiter waiter = {.wait.kind = result == -ECANCELED ? &patient_lock_kind : &lock_kind};
        int waited = (int)cosy_line_wait(line_of(lock), &waiter, me);
        if (waited < 0)
            result = waited;
        if (waiter.woken)
            break;
    }
    take(lock, me);
    return result;
}

int cosy_lock_acquire(cosy_lock *lock)
{
    struct cosy_task *me = cosy_thread_.current;
    if (unlikely(!me) || unlikely(lock->state_ != FREE))
        return acquire_slowly(lock);
    take(lock, me);
    return 0;
}

int cosy_lock_try_acquire(cosy_lock *lock)
{
    struct cosy_task *me = cosy_thread_.current;
    if (lock->state_ != FREE)
        return cosy_home_is_elsewhere(lock->loop_, line_of(lock)) ? cosy_home_fail("cosy_lock_try_acquire") : -EAGAIN;
    lock->state_ = HELD;
    lock->loop_ = cosy_thread_.loop;
    lock->owner_ = (cosy_weak){me, me ? me->id : 0};
    return 0;
}

/* ---- giving up ---- */

static __attribute__((noinline)) int release_slowly(cosy_lock *lock)
{
    if (lock->state_ != HELD)
        return cosy_fail(COSY_ENOTLOCKED, "a lock that is not held cannot be released");
    if (cosy_home_is_elsewhere(lock->loop_, line_of(lock)))
        return cosy_home_fail("cosy_lock_release");
    pass_on(lock);
    return 0;
}

int cosy_lock_release(cosy_lock *lock)
{
    if (unlikely(lock->state_ != HELD) || lock->first_ || unlikely(lock->loop_ != cosy_thread_.loop))
        return release_slowly(lock);
    lock->state_ = FREE;
    return 0;
}

/* ---- looking ---- */

bool cosy_lock_locked(const cosy_lock *lock)
{
    return lock->state_ == HELD;
}

void cosy_lock_statistics(const cosy_lock *lock, struct cosy_lock_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_lock_statistics){
        .locked = lock->state_ == HELD,
        .owner = owner_of(lock),
        .tasks_waiting = cosy_line_length(line_of(lock)) + (lock->state_ == WAKING),
    };
}
