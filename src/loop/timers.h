/* timers.h - deadlines in nanosecond order, millions of them.
 *
 * A timing wheel of five levels with 1024 buckets each (lowest level 2^16 ns wide) whose buckets are chunks of
 * 16-byte entries (deadline, timer), written one after the other: layout beats algorithm. Only when its window
 * comes is a bucket sorted, so timers fire in exact order of (deadline, time of adding) at a few nanoseconds each.
 *
 * Invariants
 *  - An armed timer's slot leads to its entry and the entry points back; a timer that is not armed has slot NULL.
 *  - Cancelling clears the entry: the timer's memory may be reused at once. Dead entries never outnumber
 *    the live ones by more than a constant: a sweep closes the gaps.
 *  - Level and bucket of a deadline follow from the highest group of bits in which it differs from the wheel's
 *    time, so all entries of one deadline lie in one bucket, in the order of adding.
 *  - Late-comers, whose deadline lies at or before the window that was sorted already, continue the sorted run when
 *    they come in order; the others wait in a small heap ordered by (deadline, time of adding).
 *  - Memory for cascading is set aside before a timer is accepted: only adding can fail.
 */
#ifndef COSY_LOOP_TIMERS_H
#define COSY_LOOP_TIMERS_H

#include <cosy/time.h>

#include "../base/base.h"

struct cosy_timers;

/* Embedded in whatever waits for a deadline; the owner zeroes it before first use. */
struct cosy_timer {
    void *slot;   /* NULL: not armed; else private to wheel.h */
    cosy_ns when; /* the deadline; stays readable after firing */
};

/* A wheel that begins at `now` (ns on the loop's clock); NULL without memory. */
struct cosy_timers *cosy_timers_new(cosy_ns now);
void cosy_timers_free(struct cosy_timers *timers); /* armed timers are left with slot NULL; NULL is fine */

/* Arms a timer that is not armed. A deadline in the past fires at the next pop. 0 or -ENOMEM. */
int cosy_timers_add(struct cosy_timers *timers, struct cosy_timer *timer, cosy_ns when);

/* Disarms; false when it was not armed. O(1). */
bool cosy_timers_cancel(struct cosy_timers *timers, struct cosy_timer *timer);

/* A time before which no timer is due: exact, or (after cancellations) somewhat early; COSY_NEVER: no timers.
 * Calling pop at the returned time makes progress: it fires something or the next answer is later. */
cosy_ns cosy_timers_next(struct cosy_timers *timers);

/* Takes the next timer with deadline <= now, in order of (deadline, time of adding); NULL: none is due.
 * The timer is disarmed before it is returned. `now` never goes backwards. Cannot fail: when there is no memory
 * to sort in, it sorts in place. */
struct cosy_timer *cosy_timers_pop(struct cosy_timers *timers, cosy_ns now);

size_t cosy_timers_count(const struct cosy_timers *timers); /* armed ones */

#endif
