/* cosy/lock.h - mutual exclusion between tasks, and the block that holds a lock.
 *
 *     static cosy_lock lock;                                zero is an unlocked lock
 *
 *     int err = 0;
 *     COSY_LOCKED(err, &lock) {                             async with lock:
 *         cosy_check(err, transfer(from, to, amount));
 *     }                                                     released, however the block is left
 *
 * Strictly first come, first served: a release wakes the first in line, and nobody overtakes it before it has run. The
 * lock belongs to no task: any may release it. Between two waits a task has the loop to itself, so only what spans a
 * wait needs a lock.
 *
 * Objects of this kind (locks, events, conditions, semaphores, barriers) lie in the caller's memory, need no end, and
 * must stay where they are while somebody holds them or waits. While that is so they belong to that task's loop: a call
 * from another loop gives -COSY_EOTHERLOOP and changes nothing. Idle, they may be used by any loop. One whose loop was
 * closed under its users must be zeroed before it is used again. All calls: the loop's thread. Semantics: asyncio.Lock.
 */
#ifndef COSY_LOCK_H
#define COSY_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A lock in the caller's own memory. Zero it: it is unlocked then. The fields are private. */
typedef struct cosy_lock {
    struct cosy_waiter *first_, *last_;
    struct cosy_loop *loop_;
    cosy_weak owner_;
    int state_;
} cosy_lock;

/* Takes the lock; waits in line while it is held. 0, -ECANCELED (the lock is not held then), -COSY_EOTHERLOOP,
 * -COSY_ENOTASK. Does not suspend when the lock is free. A task that takes a lock twice waits for itself, as in
 * asyncio. */
cosy_async int cosy_lock_acquire(cosy_lock *lock);

/* Takes the lock if that needs no wait: 0, -EAGAIN when it is held or others are in line, -COSY_EOTHERLOOP. Callbacks
 * may call it too. */
int cosy_lock_try_acquire(cosy_lock *lock);

/* Gives the lock up and wakes the first in line; never suspends. Any task and callback may do so. 0, -COSY_ENOTLOCKED,
 * -COSY_EOTHERLOOP. */
int cosy_lock_release(cosy_lock *lock);

/* Whether somebody holds it. Between a release and the first step of the task that it woke nobody does. */
bool cosy_lock_locked(const cosy_lock *lock);

/* What a lock is like now. */
struct cosy_lock_statistics {
    bool locked;
    cosy_task *owner;     /* who took it; borrowed. NULL: nobody holds it, or who took it has ended, or was a
                           * callback */
    size_t tasks_waiting; /* in line, with the one that was woken and has not run yet */
};

/* Tells what a lock is like now, in time linear in those that wait. Semantics: trio.Lock.statistics. */
void cosy_lock_statistics(const cosy_lock *lock, struct cosy_lock_statistics *ret_statistics);

/* ---- the block ---- */

/*     COSY_LOCKED(err, object) { ... }
 *
 * Holds a lock, semaphore or condition (a pointer to one) for a block, and gives it up on every way out: the end,
 * break, cosy_check, return, cosy_try. When it cannot be taken, `err` (an int variable) says why and the block is not
 * entered. `err` is else left alone, but for -COSY_ENOTLOCKED when the block itself has released the lock. May suspend.
 * Semantics: `async with`. */
#define COSY_LOCKED(err, object) COSY_LOCKED_(err, object, COSY_CAT_(cosy_block_, __COUNTER__))
#define COSY_LOCKED_(result, what, B)                                                                          \
    for (struct cosy_locked_block_ B __attribute__((cleanup(cosy_locked_block_close_))) =                      \
             {.err = &(result), .object = (what), .kind = COSY_LOCKABLE_(what), .again = true};                \
         B.again && cosy_locked_block_open_(&B); B.again = false)
enum { COSY_LOCKABLE_LOCK_ = 1, COSY_LOCKABLE_SEMAPHORE_, COSY_LOCKABLE_CONDITION_ };
#define COSY_LOCKABLE_(what)                                                                                   \
    _Generic((what), struct cosy_lock *: COSY_LOCKABLE_LOCK_, struct cosy_semaphore *: COSY_LOCKABLE_SEMAPHORE_,       \
             struct cosy_condition *: COSY_LOCKABLE_CONDITION_)
struct cosy_locked_block_ {
    int *err;
    void *object;
    int kind;
    bool again, held;
};
cosy_async bool cosy_locked_block_open_(struct cosy_locked_block_ *block);
void cosy_locked_block_close_(struct cosy_locked_block_ *block);

#ifdef __cplusplus
}
#endif
#endif
