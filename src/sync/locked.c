/* locked.c - the block that holds a lock, semaphore or condition. */
#include <cosy/condition.h>
#include <cosy/lock.h>
#include <cosy/semaphore.h>

#include "../base/base.h"

cosy_async static int acquire(struct cosy_locked_block_ *block)
{
    switch (block->kind) {
    case COSY_LOCKABLE_LOCK_:
        return cosy_lock_acquire(block->object);
    case COSY_LOCKABLE_SEMAPHORE_:
        return cosy_semaphore_acquire(block->object);
    default:
        return cosy_condition_acquire(block->object);
    }
}

static int release(struct cosy_locked_block_ *block)
{
    switch (block->kind) {
    case COSY_LOCKABLE_LOCK_:
        return cosy_lock_release(block->object);
    case COSY_LOCKABLE_SEMAPHORE_:
        return cosy_semaphore_release(block->object);
    default:
        return cosy_condition_release(block->object);
    }
}

bool cosy_locked_block_open_(struct cosy_locked_block_ *block)
{
    int result = acquire(block);
    if (unlikely(result < 0))
        *block->err = result;
    block->held = result >= 0;
    return block->held;
}

void cosy_locked_block_close_(struct cosy_locked_block_ *block)
{
    int result = block->held ? release(block) : 0;
    if (unlikely(result < 0) && *block->err >= 0)
        *block->err = result;
}
