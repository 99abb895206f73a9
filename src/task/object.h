/* object.h - the free list of task objects, inline: taking and giving one is part of each spawn. */
#ifndef COSY_TASK_OBJECT_H
#define COSY_TASK_OBJECT_H

#include "task.h"

struct cosy_object_pool {
    struct cosy_task *free; /* linked by node.next, last given first */
    uint64_t last_id;
};
extern __thread struct cosy_object_pool cosy_object_pool __attribute__((tls_model("initial-exec")));

cosy_cold struct cosy_task *cosy_object_untouched(void); /* from a slab; NULL without memory */
cosy_cold void cosy_task_end_of_life(struct cosy_task *task); /* the last reference of one that is not plain */

/* Eight stores: left to itself, gcc fills 128 bytes by a string instruction that takes longer than the rest of a
 * spawn. */
static inline void cosy_object_zero(struct cosy_task *object)
{
    typedef long long words __attribute__((vector_size(16), may_alias));
    words *to = (words *)(void *)object;
    words zero = {0, 0};
    #if defined(__x86_64__)
    __asm__("" : "+x"(zero)); /* hides that it is a constant */
#endif
    to[0] = zero, to[1] = zero, to[2] = zero, to[3] = zero;
    to[4] = zero, to[5] = zero, to[6] = zero, to[7] = zero;
}

/* Takes the pool's first object, zeroed but for id. */
static inline void cosy_object_take(struct cosy_task *object)
{
    cosy_object_pool.free = (struct cosy_task *)(void *)object->future.node.next;
    cosy_object_zero(object);
    object->id = ++cosy_object_pool.last_id;
}

/* Zeroed but for id; NULL without memory. */
static inline struct cosy_task *cosy_object_new(void)
{
    struct cosy_task *object = cosy_object_pool.free;
    if (likely(object != NULL))
        cosy_object_pool.free = (struct cosy_task *)(void *)object->future.node.next;
    else if (!(object = cosy_object_untouched()))
        return NULL;
    cosy_object_zero(object);
    object->id = ++cosy_object_pool.last_id;
    return object;
}

static inline void cosy_object_free(struct cosy_task *object)
{
    object->future.node.state = STATE_FREE;
    object->id = 0;
    object->future.node.next = (struct cosy_node_ *)(void *)cosy_object_pool.free;
    cosy_object_pool.free = object;
}

static inline void cosy_task_unref_inline(struct cosy_task *task)
{
    bool plain = ((uintptr_t)task->context | (uintptr_t)task->future.error | (uintptr_t)task->extra) == 0;
    if (likely(*cosy_head(task) == COSY_HEAD_ENDED) && likely(plain)) {
        cosy_object_free(task);
        return;
    }
    if (--task->future.node.refs > 0)
        return;
    plain &= task->future.node.state != STATE_ERROR;
    if (likely(plain))
        cosy_object_free(task);
    else
        cosy_task_end_of_life(task);
}

#endif
