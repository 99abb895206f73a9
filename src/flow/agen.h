/* agen.h - the inside of async generators: agen.c runs them, agen_end.c ends those that nobody ends, agen_for.c is COSY_FOR.
 *
 * Invariants
 *  - `inner` is on the thread's list, and owns a stack, from the first step to the end: while begun.
 *  - SUSPENDED: the body waits in cosy_emit; inner.task is NULL. RUNNING: a step is under way, which may itself be parked.
 *  - object is the captured call until the first step, and names the generator after it; NULL when CLOSED.
 */
#ifndef COSY_FLOW_AGEN_H
#define COSY_FLOW_AGEN_H

#include <cosy/agen.h>

#include "../task/task.h"

enum { AGEN_CREATED, AGEN_SUSPENDED, AGEN_RUNNING, AGEN_CLOSED };

struct cosy_agen {
    struct cosy_emitting_ emitting; /* what an emitter points to */
    uint8_t state;
    bool plain;   /* a suspended one that can be stepped the short way: no tool wants to see the switch */
    bool closing; /* -COSY_EGENEXIT was thrown by a close */
    bool ignored; /* ... and the body emitted */
    bool owned;   /* by the COSY_FOR that takes it */
    bool watched; /* tools want to see each switch */
    bool dropped; /* while it ran: the body is told at its next emit, and its end gives that reference back */
    uint32_t refs;
    struct cosy_inner_stack inner;
    struct cosy_task *making, *outer_making; /* calls in the making, of the body and of the consumer (capture.h) */
    const void *sent;                        /* lives in the frame of cosy_asend; NULL: nothing */
    uint32_t sent_type;
    int outcome; /* what the last step came to */
    struct cosy_stack_view *outer_view; /* watched: of the consumer */
    struct cosy_task *object;
    const struct cosy_site_ *site;
};

static inline struct cosy_agen *cosy_agen_of(struct cosy_inner_stack *inner) { return container_of(inner, struct cosy_agen, inner); }
static inline void cosy_agen_ref(struct cosy_agen *gen) { gen->refs++; }
void cosy_agen_unref(struct cosy_agen *gen);
void cosy_agen_close_object(struct cosy_agen *gen);
void cosy_agen_leave_stack(struct cosy_agen *gen); /* what it ran on goes back to the pool */
void cosy_agen_abandon(struct cosy_inner_stack *inner);
/* One that was closed where no result can be returned: tells an error, and keeps a cancel for the task's next wait. */
void cosy_agen_tell_end(struct cosy_agen *gen, int result);
bool cosy_agens_open(struct cosy_loop *loop); /* some have begun and not ended */

#endif
