/* waker.h - wakes that cost a system call only when somebody sleeps.
 *
 * An eventfd and a word of three bits. The waker publishes its work, sets PENDING, and writes to the eventfd only
 * if SLEEPING stood there and PENDING did not. The sleeper sets SLEEPING and looks for PENDING in one atomic step
 * before it blocks, and takes both bits away when it is back. All steps are sequentially consistent read-modify-
 * writes of one word, so one of the two always sees the other: a wake is never lost. A write that comes late, after
 * the sleeper has gone on for another reason, makes one later wait return with nothing, which is allowed.
 */
#ifndef COSY_SYS_WAKER_H
#define COSY_SYS_WAKER_H

#include <stdatomic.h>

#include "../base/base.h"

struct cosy_waker {
    int fd;      /* nonblocking eventfd; readable, in the manner of an edge, after each write */
    int outside; /* what is written as well once EMBEDDED is set; may be the same */
    atomic_uint state;
};

int cosy_waker_open(struct cosy_waker *waker);
void cosy_waker_close(struct cosy_waker *waker);

/* From any thread and from signal handlers; keeps errno. */
int cosy_waker_wake(struct cosy_waker *waker);

/* The sleeper's side. sleep: announces a blocking wait; false when a wake is pending, so that it must not block.
 * awake: the wait is over; true when there was a wake, whose work is then visible. */
bool cosy_waker_sleep(struct cosy_waker *waker);
bool cosy_waker_awake(struct cosy_waker *waker);

/* From now on each first wake also writes to this eventfd, because a foreign loop sleeps on it. */
int cosy_waker_embed(struct cosy_waker *waker, int outside);

enum { COSY_WAKER_PENDING = 1, COSY_WAKER_SLEEPING = 2, COSY_WAKER_EMBEDDED = 4 };

/* A hint in the sleeper's thread: a memory read. */
static inline bool cosy_waker_pending(struct cosy_waker *waker)
{
    return atomic_load_explicit(&waker->state, memory_order_relaxed) & COSY_WAKER_PENDING;
}

#endif
