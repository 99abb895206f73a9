/* cosy/event.h - a flag that tasks wait for.
 *
 *     static cosy_event ready;                              zero is a clear event
 *
 *     cosy_try(cosy_event_wait(&ready));                    any number of tasks
 *     cosy_event_set(&ready);                               all go on, and whoever waits from now on does not
 *
 * In the caller's memory; loops, threads and lifetime as told in cosy/lock.h. Semantics: asyncio.Event.
 */
#ifndef COSY_EVENT_H
#define COSY_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "colour.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An event in the caller's own memory. Zero it: it is clear then. The fields are private. */
typedef struct cosy_event {
    struct cosy_waiter *first_, *last_;
    bool set_;
} cosy_event;

/* Waits until the event is set; at once when it is. Who waited when it was set goes on, also when it was cleared again
 * before that task ran. 0, -ECANCELED, -COSY_EOTHERLOOP, -COSY_ENOTASK. */
cosy_async int cosy_event_wait(cosy_event *event);

/* Sets the event and wakes all that wait, in their order; never suspends, allocates nothing. From another thread: let
 * cosy_call_soon_threadsafe do it. 0, -COSY_EOTHERLOOP. */
int cosy_event_set(cosy_event *event);

/* Clears the event: who waits from now on waits for the next set. */
void cosy_event_clear(cosy_event *event);

/* Whether it is set. */
bool cosy_event_is_set(const cosy_event *event);

/* What an event is like now. */
struct cosy_event_statistics {
    bool is_set;
    size_t tasks_waiting; /* not counting those that were woken and have not run yet */
};

/* Tells what an event is like now, in time linear in those that wait. Semantics: trio.Event.statistics. */
void cosy_event_statistics(const cosy_event *event, struct cosy_event_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
#endif
