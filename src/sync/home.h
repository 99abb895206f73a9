/* home.h - which loop an object belongs to while it is in use, and the refusal of calls from elsewhere.
 *
 * Waking a task appends to its loop's queue, which only that loop's thread may touch. A call is therefore refused when
 * another loop is running in this thread, and, where none is, when the waiters' loop is running in another thread. An
 * object that is in use without waiters is compared by its loop's address alone: that loop may be gone.
 */
#ifndef COSY_SYNC_HOME_H
#define COSY_SYNC_HOME_H

#include <cosy/lock.h>

#include "waiters.h"

/* `home`: the loop of those that use it, NULL when not known. */
static inline bool cosy_home_is_elsewhere(const struct cosy_loop *home, const struct cosy_line *line)
{
    const struct cosy_loop *here = cosy_thread_.loop;
    if (likely(here != NULL))
        return (home && home != here) || (line->first && line->first->task->future.loop != here);
    return line->first && atomic_load_explicit(&line->first->task->future.loop->running, memory_order_relaxed);
}

/* -COSY_EOTHERLOOP; `what` is the name of the call. */
int cosy_home_fail(const char *what);

/* For a wait that gave the lock up and came to `result`: returns with the lock held, whatever cancels come, and tells
 * of them. */
cosy_hidden int cosy_lock_take_back(cosy_lock *lock, int result);

/* A public object begins with the two pointers of its line. */
#define COSY_BEGINS_WITH_LINE(type)                                                                                    \
    _Static_assert(offsetof(type, first_) == offsetof(struct cosy_line, first) &&                                      \
                       offsetof(type, last_) == offsetof(struct cosy_line, last),                                      \
                   "begins with a line of waiters")

#endif
