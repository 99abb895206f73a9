/* cosy/semaphore.h - at most so many at a time.
 *
 *     static cosy_semaphore connections = COSY_SEMAPHORE(10);
 *
 *     COSY_LOCKED(err, &connections) {                      async with connections:
 *         cosy_check(err, fetch(url));
 *     }
 *
 * First come, first served: a release hands its permit to the first in line, and nobody overtakes a task that was woken
 * and has not run yet, even while permits are left. In the caller's memory; loops, threads and lifetime as told in
 * cosy/lock.h. Semantics: asyncio.Semaphore, asyncio.BoundedSemaphore.
 */
#ifndef COSY_SEMAPHORE_H
#define COSY_SEMAPHORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A semaphore in the caller's own memory. Zeroed it has no permit to give. The fields are private. */
typedef struct cosy_semaphore {
    struct cosy_waiter *first_, *last_;
    struct cosy_loop *loop_;
    int64_t value_, bound_;
    size_t waking_;
    bool bounded_;
} cosy_semaphore;

/*     cosy_semaphore s = COSY_SEMAPHORE(int64_t value);
 *     cosy_semaphore s = COSY_BOUNDED_SEMAPHORE(int64_t value);
 *
 * A semaphore of so many permits, and one that never has more than at its beginning. Initialisers, and with a cast
 * values. Below zero: all that takes or gives back a permit returns -EINVAL. */
#define COSY_SEMAPHORE(value)         {.value_ = (value)}
#define COSY_BOUNDED_SEMAPHORE(value) {.value_ = (value), .bound_ = (value), .bounded_ = true}

/* Makes a semaphore of so many permits, in memory that need not be zeroed; the bounded one never has more. 0, -EINVAL
 * when value < 0. */
int cosy_semaphore_init(cosy_semaphore *semaphore, int64_t value);
int cosy_semaphore_init_bounded(cosy_semaphore *semaphore, int64_t value);

/* Takes a permit; waits in line while there is none or others are in line. A permit that is handed to a task which is
 * cancelled before it runs goes to the next. 0, -ECANCELED (no permit was taken), -COSY_EOTHERLOOP, -COSY_ENOTASK. Does
 * not suspend when it need not wait. */
cosy_async int cosy_semaphore_acquire(cosy_semaphore *semaphore);

/* Takes a permit if that needs no wait: 0, -EAGAIN, -COSY_EOTHERLOOP. Callbacks may call it too. */
int cosy_semaphore_try_acquire(cosy_semaphore *semaphore);

/* Gives a permit back, or one more, and hands it to the first in line; never suspends. 0; -COSY_ETOOMANY when a bounded
 * semaphore has all its permits, -COSY_EOTHERLOOP: nothing is changed then. */
int cosy_semaphore_release(cosy_semaphore *semaphore);

/* Whether a task that wants a permit has to wait: there is none, or others come first. */
bool cosy_semaphore_locked(const cosy_semaphore *semaphore);

/* How many permits are left; those that were handed to tasks which have not run yet are gone. */
int64_t cosy_semaphore_value(const cosy_semaphore *semaphore);

/* What a semaphore is like now. */
struct cosy_semaphore_statistics {
    int64_t value;        /* permits left */
    int64_t max_value;    /* of a bounded one; -1: no bound */
    size_t tasks_waiting; /* in line, with those that were woken and have not run yet */
};

/* Tells what a semaphore is like now, in time linear in those that wait. Semantics: trio.Semaphore.statistics. */
void cosy_semaphore_statistics(const cosy_semaphore *semaphore, struct cosy_semaphore_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
#endif
