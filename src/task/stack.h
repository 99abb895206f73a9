/* stack.h - the pools of stacks, inline: taking and giving one is part of each spawn. */
#ifndef COSY_TASK_STACK_H
#define COSY_TASK_STACK_H

#include "task.h"

struct cosy_stack_chunk;

/* Stacks of this class (16 KiB) and larger have a guard page, or else a canary; smaller ones are packed and have a
 * canary. */
enum { COSY_STACK_GUARDED_FROM = 4, COSY_STACK_GUARD_BYTES = 4096 };

/* free is a LIFO of stacks: [0, cold) have given their pages back to the kernel, [cold, count) are warm. */
struct cosy_stack_pool {
    char **free;
    size_t count, cold, room; /* room >= carved */
    size_t fewest;                   /* the smallest count of late: what was never needed */
    size_t carved;                   /* stacks that exist, free or in use */
    struct cosy_stack_chunk *chunks; /* the first one may have room left */
    size_t spare;                    /* makes it 64 bytes */
};
extern __thread struct cosy_stack_pool cosy_stack_pools[COSY_STACK_CLASSES] __attribute__((tls_model("initial-exec")));

/* A stack that was used of late; NULL when there is none. */
static inline char *cosy_stack_take_warm(uint8_t stack_class)
{
    struct cosy_stack_pool *pool = &cosy_stack_pools[stack_class];
    if (unlikely(pool->count == pool->cold))
        return NULL;
    if (unlikely(--pool->count < pool->fewest))
        pool->fewest = pool->count;
    return pool->free[pool->count];
}

static inline void cosy_stack_give(char *stack, uint8_t stack_class)
{
    struct cosy_stack_pool *pool = &cosy_stack_pools[stack_class];
    pool->free[pool->count++] = stack;
}

#endif
