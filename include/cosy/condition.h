/* cosy/condition.h - waiting, under a lock, for a change of what the lock protects.
 *
 *     static cosy_condition changed;                        with a lock of its own; zero is fine
 *
 *     COSY_LOCKED(err, &changed) {                          async with changed:
 *         cosy_check(err, cosy_condition_wait_until(&changed, stock > 0));
 *         stock--;                                          the lock is held here
 *     }
 *     COSY_LOCKED(err, &changed) {
 *         stock++;
 *         cosy_condition_notify(&changed, 1);
 *     }
 *
 * In the caller's memory; loops, threads and lifetime as told in cosy/lock.h. Semantics: asyncio.Condition. One thing
 * is better: a cancelled waiter passes its notification on only if it had one, where asyncio wakes another task for
 * nothing.
 */
#ifndef COSY_CONDITION_H
#define COSY_CONDITION_H

#include <stdbool.h>
#include <stddef.h>

#include "lock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A condition in the caller's own memory. Zero it: it has a lock of its own then, unlocked. The fields are private. */
typedef struct cosy_condition {
    struct cosy_waiter *first_, *last_;
    cosy_lock *lock_;
    cosy_lock own_;
} cosy_condition;

/*     cosy_condition changed = COSY_CONDITION(cosy_lock *lock);
 *
 * A condition that shares a lock, which must outlive it; several may share one. An initialiser, and with a cast a
 * value. */
#define COSY_CONDITION(lock) {.lock_ = (lock)}

/* Takes, tries to take, gives up and asks for the condition's lock: as cosy_lock_acquire, cosy_lock_try_acquire,
 * cosy_lock_release and cosy_lock_locked. */
cosy_async int cosy_condition_acquire(cosy_condition *condition);
int cosy_condition_try_acquire(cosy_condition *condition);
int cosy_condition_release(cosy_condition *condition);
bool cosy_condition_locked(const cosy_condition *condition);

/* The lock that it uses, its own or the shared one. */
cosy_lock *cosy_condition_lock(cosy_condition *condition);

/* Gives the lock up, waits to be notified, and takes the lock again before it returns, even if it is cancelled
 * meanwhile, however often. 0, -ECANCELED, -COSY_ENOTLOCKED when the lock is not held, -COSY_ENOTASK; -COSY_EOTHERLOOP,
 * and only then the lock is not held afterwards, when a task of another loop has taken it meanwhile. Ask again for what
 * you wait for: another task may have come first. */
cosy_async int cosy_condition_wait(cosy_condition *condition);

/*     int cosy_condition_wait_until(cosy_condition *condition, expression);
 *
 * Waits until an expression is true, which is computed with the lock held, first before any wait. 0, or what
 * cosy_condition_wait failed with. */
#define cosy_condition_wait_until(condition, expression)                                                       \
    COSY_WAIT_UNTIL_(condition, expression, COSY_CAT_(cosy_condition_, __COUNTER__))
#define COSY_WAIT_UNTIL_(what, expression, W)                                                                  \
    __extension__({                                                                                            \
        struct cosy_wait_until_ W = {(what), 0};                                                               \
        while (!(expression) && (W.result = cosy_condition_wait(W.condition)) >= 0)                            \
            ;                                                                                                  \
        W.result;                                                                                              \
    })
struct cosy_wait_until_ {
    cosy_condition *condition;
    int result;
};

/*     int cosy_condition_wait_for(cosy_condition *condition, predicate, args...);
 *
 * Waits until predicate(args...) is true; the predicate is any function, with its own arguments, and must not suspend.
 * The rest as cosy_condition_wait_until. */
#define cosy_condition_wait_for(condition, predicate, ...)                                                     \
    cosy_condition_wait_until(condition, (predicate)(__VA_ARGS__))

/* Wakes up to n of the tasks that wait, in their order; they go on when they get the lock. Needs the lock, and keeps
 * it. 0, also when nobody waits, -COSY_ENOTLOCKED, -COSY_EOTHERLOOP. */
int cosy_condition_notify(cosy_condition *condition, size_t n);

/* Wakes all tasks that wait; the rest as cosy_condition_notify. */
int cosy_condition_notify_all(cosy_condition *condition);

/* What a condition is like now. */
struct cosy_condition_statistics {
    size_t tasks_waiting; /* for a notification; those that were notified wait for the lock */
    struct cosy_lock_statistics lock;
};

/* Tells what a condition is like now, in time linear in those that wait. Semantics: trio.Condition.statistics. */
void cosy_condition_statistics(const cosy_condition *condition, struct cosy_condition_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
#endif
