/* cosy/barrier.h - a place where tasks wait until a given number of them is there.
 *
 *     static cosy_barrier start = COSY_BARRIER(3);
 *
 *     int index = cosy_try(cosy_barrier_wait(&start));      all three go on; each has an index of its own: 0, 1, 2
 *
 * It fills; the last one opens it, and it drains; then it fills again. Who comes while it drains waits for the next
 * round. In the caller's memory; loops, threads and lifetime as told in cosy/lock.h. Semantics: asyncio.Barrier. One
 * thing is better: indices differ also when a waiter was cancelled, where asyncio may give one twice.
 */
#ifndef COSY_BARRIER_H
#define COSY_BARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "colour.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a barrier does: lets tasks gather, lets them out, turns them away after a reset, or turns all away. */
enum cosy_barrier_state { COSY_BARRIER_FILLING, COSY_BARRIER_DRAINING, COSY_BARRIER_RESETTING, COSY_BARRIER_BROKEN };

/* A barrier in the caller's own memory, made by COSY_BARRIER or cosy_barrier_init. The fields are private. */
typedef struct cosy_barrier {
    struct cosy_waiter *first_, *last_;
    struct cosy_loop *loop_;
    int parties_, count_;
    enum cosy_barrier_state state_;
} cosy_barrier;

/*     cosy_barrier b = COSY_BARRIER(int parties);
 *
 * A barrier for so many tasks. An initialiser, and with a cast a value. Below one: its waits return -EINVAL. */
#define COSY_BARRIER(parties) {.parties_ = (parties)}

/* Makes a barrier for so many tasks, in memory that need not be zeroed. 0, -EINVAL when parties < 1. */
int cosy_barrier_init(cosy_barrier *barrier, int parties);

/* Waits until as many tasks wait as the barrier has parties; returns the task's own number, 0 for the first that came
 * up to parties - 1 for the last, which does not suspend. While the barrier drains it waits for its next round first.
 * -COSY_EBROKENBARRIER when the barrier is broken, or is reset or aborted meanwhile; -ECANCELED, and the others wait
 * for one more; -COSY_EOTHERLOOP, -COSY_ENOTASK, -EINVAL. */
cosy_async int cosy_barrier_wait(cosy_barrier *barrier);

/* Turns away those that wait, with -COSY_EBROKENBARRIER, and also those that were let out and have not run yet; then
 * the barrier fills anew, a broken one too. Never suspends. 0, -COSY_EOTHERLOOP. */
int cosy_barrier_reset(cosy_barrier *barrier);

/* Breaks the barrier: all that wait, or come until it is reset, get -COSY_EBROKENBARRIER. Never suspends. 0,
 * -COSY_EOTHERLOOP. */
int cosy_barrier_abort(cosy_barrier *barrier);

/* How many tasks open it; how many wait for that now, 0 unless it fills; whether it is broken. */
int cosy_barrier_parties(const cosy_barrier *barrier);
int cosy_barrier_n_waiting(const cosy_barrier *barrier);
bool cosy_barrier_broken(const cosy_barrier *barrier);

/* What a barrier is like now. */
struct cosy_barrier_statistics {
    enum cosy_barrier_state state;
    int parties;
    int inside;           /* arrived and not gone on yet */
    size_t tasks_waiting; /* asleep, with those that came while it drained */
};

/* Tells what a barrier is like now, in time linear in those that wait. */
void cosy_barrier_statistics(const cosy_barrier *barrier, struct cosy_barrier_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
#endif
