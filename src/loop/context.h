/* context.h - context slots: how tasks and callbacks hold a context without allocating one.
 *
 * A slot is a word: 0 is the empty context; an odd value is a counted immutable map that belongs to the slot alone
 * (address | 1); an even value is a counted cosy_context that others may share. Copying a slot takes one reference on
 * the map. Only a set allocates.
 */
#ifndef COSY_LOOP_CONTEXT_H
#define COSY_LOOP_CONTEXT_H

#include <cosy/context.h>

#include "../base/base.h"

struct cosy_task;

/* A private copy of what `slot` holds now. */
uintptr_t cosy_context_slot_copy(uintptr_t slot);
/* A copy that shares nothing with this thread's contexts, for another thread. 0, or -ENOMEM. */
int cosy_context_slot_clone(uintptr_t slot, uintptr_t *ret_slot);
/* A slot that shares `context`; takes a reference. */
uintptr_t cosy_context_slot_share(cosy_context *context);
void cosy_context_slot_clear(uintptr_t *slot);

/* The slot of the code that runs now. */
uintptr_t *cosy_context_here(void);

/* Set by the floor of tasks: the slot of a task. */
extern uintptr_t *(*cosy_context_of_task)(struct cosy_task *task);

#endif
