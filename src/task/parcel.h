/* parcel.h - a captured call taken out of its coroutine, so that another thread can make it.
 *
 * Coroutine objects stay in the thread that made them. A parcel is plain memory of whoever wants to carry the call: it
 * may lie at the end of an allocation of cosy_parcel_bytes, aligned to 16.
 */
#ifndef COSY_TASK_PARCEL_H
#define COSY_TASK_PARCEL_H

#include "task.h"

struct cosy_parcel {
    const struct cosy_site_ *site;
    void *start;     /* the function, or a copied argument block */
    unsigned flags;  /* what the coroutine's said of its capture; 0 when the call was made or has no arguments */
    int64_t args[3]; /* FLAG_ARGS */
    _Alignas(16) unsigned char block[]; /* FLAG_CAPTURE: a struct cosy_capture */
};

/* How much memory the call of a coroutine needs. */
size_t cosy_parcel_bytes(const struct cosy_task *object);

/* Moves the call of a coroutine that nothing has taken into the parcel; the coroutine is gone. */
void cosy_parcel_pack(struct cosy_parcel *parcel, struct cosy_task *object);

/* A second parcel of the same call, in memory as large; false for a call with a copied argument block. */
bool cosy_parcel_copy(struct cosy_parcel *to, const struct cosy_parcel *from);

/* Makes the call, in any thread, once. */
int64_t cosy_parcel_call(struct cosy_parcel *parcel);

/* Makes a call that is kept to be made many times, with `first` instead of its first argument, which is a pointer. In
 * the running task, as the first that it does: its fields carry the arguments. */
int64_t cosy_parcel_call_again(const struct cosy_parcel *parcel, struct cosy_task *me, void *first);

/* It will not be made. */
void cosy_parcel_discard(struct cosy_parcel *parcel);

#endif
