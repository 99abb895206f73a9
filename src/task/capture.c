/* capture.c - making coroutines out of calls, and calling them at last. */
#include "capture.h"

#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../loop/context.h"

__thread struct cosy_capture_state cosy_capture_state __attribute__((tls_model("initial-exec")));

/* Free blocks of both sizes, LIFO; a few are kept. */
struct pool {
    struct cosy_capture *free;
    size_t kept;
};
static __thread struct pool light_pool, wide_pool;
static __thread int creation_error;

enum { KEPT_MAX = 4096 }; /* more unused blocks than this go back to malloc */

int cosy_creation_error(void) { return creation_error ? creation_error : -EINVAL; }
void cosy_set_creation_error(int error) { creation_error = error; }

static struct cosy_capture *block_take(struct pool *pool, size_t bytes)
{
    struct cosy_capture *block = pool->free;
    if (likely(block)) {
        pool->free = (struct cosy_capture *)(void *)block->object;
        pool->kept--;
        return block;
    }
    return cosy_heap_alloc_aligned(16, bytes);
}

static void block_give(struct pool *pool, struct cosy_capture *block)
{
    if (unlikely(pool->kept >= KEPT_MAX)) {
        cosy_heap_free(block);
        return;
    }
    block->object = (struct cosy_task *)(void *)pool->free;
    pool->free = block;
    pool->kept++;
}

static void pool_clear(struct pool *pool)
{
    while (pool->free) {
        struct cosy_capture *block = pool->free;
        pool->free = (struct cosy_capture *)(void *)block->object;
        cosy_heap_free(block);
    }
    pool->kept = 0;
}

void cosy_capture_pools_clear(void)
{
    pool_clear(&light_pool);
    pool_clear(&wide_pool);
}

/* A handle carries the low bits of the id, so that a used-up coroutine whose memory lives on as another is noticed. */
static struct cosy_coro *handle_of(struct cosy_task *object)
{
    return (struct cosy_coro *)(void *)((char *)object + object->id % sizeof *object);
}

static const struct cosy_task *object_of(const struct cosy_coro *coro)
{
    return (const struct cosy_task *)((uintptr_t)coro & ~(sizeof(struct cosy_task) - 1));
}

static bool handle_fits(const struct cosy_coro *coro, const struct cosy_task *object)
{
    return ((uintptr_t)coro & (sizeof *object - 1)) == object->id % sizeof *object;
}

static struct cosy_task *object_for(const struct cosy_site_ *site)
{
    struct cosy_task *object = cosy_object_new();
    if (unlikely(!object)) {
        creation_error = -ENOMEM;
        return NULL;
    }
    object->future.node.state = STATE_CREATED;
    object->future.node.refs = 1;
    object->future.loop = cosy_thread_.loop;
    object->site = site;
    object->stack_class = COSY_STACK_CLASS_DEFAULT;
    if (unlikely(cosy_origin_depth > 0))
        cosy_record_origin(object);
    return object;
}

struct cosy_coro *cosy_call_plain_(const struct cosy_site_ *site, cosy_fn_ fn)
{
    struct cosy_task *object = object_for(site);
    if (unlikely(!object))
        return NULL;
    object->start = (void *)(uintptr_t)fn;
    return handle_of(object);
}

cosy_fn_ cosy_capture_begin_(const struct cosy_site_ *site, cosy_fn_ fn)
{
    struct cosy_capture_state *state = &cosy_capture_state;
    int slot = __builtin_ctz(~state->used);
    struct cosy_task *object = slot < COSY_CAPTURE_SLOTS ? object_for(site) : NULL;
    struct cosy_capture *block = !object      ? NULL
                                 : site->wide ? block_take(&wide_pool, COSY_CAPTURE_WIDE_BYTES)
                                              : block_take(&light_pool, COSY_CAPTURE_LIGHT_BYTES);
    if (unlikely(!block)) {
        creation_error = -ENOMEM;
        if (object)
            cosy_object_free(object);
        state->captured = NULL;
        state->slot = -1;
        return cosy_capture_nothing;
    }
    object->start = block;
    object->future.node.flags = site->wide ? FLAG_WIDE : FLAG_LIGHT;
    block->object = object;
    block->fn = fn;
    state->slots[slot] = block;
    state->used |= 1u << slot;
    return (cosy_fn_)(uintptr_t)((site->wide ? cosy_capture_wide_entries : cosy_capture_light_entries) + 16 * slot);
}

struct cosy_coro *cosy_captured_(void)
{
    struct cosy_capture_state *state = &cosy_capture_state;
    struct cosy_capture *block = state->captured;
    if (unlikely(!block))
        return NULL;
    state->captured = NULL;
    state->used &= ~(1u << state->slot);
    return handle_of(block->object);
}

/* A copied argument block: its size and function in front of it. */
struct argument_block {
    int (*fn)(void *);
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

cosy_coro *cosy_call_block_(const struct cosy_site_ *site, int (*fn)(void *), const void *block, size_t size)
{
    if (!fn || (size > 0 && !block)) {
        creation_error = -EINVAL;
        return NULL;
    }
    struct cosy_task *object = object_for(site);
    size_t bytes = (sizeof(struct argument_block) + size + 15) / 16 * 16;
    struct argument_block *copy = object ? cosy_heap_alloc_aligned(16, bytes) : NULL;
    if (!copy) {
        creation_error = -ENOMEM;
        if (object)
            cosy_object_free(object);
        return NULL;
    }
    copy->fn = fn;
    copy->size = size;
    if (size > 0)
        memcpy(copy->bytes, block, size);
    object->start = copy;
    object->future.node.flags = FLAG_BLOCK;
    return handle_of(object);
}

struct cosy_task *cosy_coro_take(struct cosy_coro *coro, int *ret_error)
{
    if (unlikely(!coro)) {
        *ret_error = cosy_creation_error();
        return NULL;
    }
    struct cosy_task *object = (struct cosy_task *)(uintptr_t)object_of(coro);
    if (unlikely(object->future.node.state != STATE_CREATED || !handle_fits(coro, object))) {
        *ret_error = -COSY_EAWAITED;
        return NULL;
    }
    return object;
}

/* ---- calling ---- */

/* Result registers hold rubbish above the function's own type. */
static int64_t read_result(int64_t value, uint8_t code)
{
    switch (code) {
    case 20:
        return (int32_t)value;
    case 24:
    case 8:
        return value;
    case 0:
        return 0;
    case 1:
        return (uint8_t)value;
    case 2:
        return (uint16_t)value;
    case 4:
        return (uint32_t)value;
    case 17:
        return (int8_t)value;
    default:
        return (int16_t)value;
    }
}

/* The block moves to the task's own stack, so that nothing is left to free if the task is abandoned. */
static int64_t call_block(struct argument_block *start)
{
    int (*fn)(void *) = start->fn;
    void *copy = __builtin_alloca_with_align(start->size + 16, 128);
    memcpy(copy, start->bytes, start->size);
    cosy_heap_free(start);
    return fn(copy);
}

int64_t cosy_capture_call(struct cosy_task *object, void *start)
{
    unsigned kind = object->future.node.flags & (FLAG_LIGHT | FLAG_WIDE | FLAG_BLOCK);
    uint8_t code = object->site->result;
    if (kind == 0)
        return read_result(((int64_t(*)(void))(uintptr_t)start)(), code);
    object->future.node.flags &= (uint16_t)~kind;
    if (kind == FLAG_LIGHT) {
        _Alignas(16) unsigned char copy[COSY_CAPTURE_LIGHT_BYTES];
        memcpy(copy, start, sizeof copy);
        block_give(&light_pool, start);
        return read_result(cosy_capture_replay_light(copy), code);
    }
    if (kind == FLAG_WIDE) {
        _Alignas(16) unsigned char copy[COSY_CAPTURE_WIDE_BYTES];
        memcpy(copy, start, sizeof copy);
        block_give(&wide_pool, start);
        return read_result(cosy_capture_replay_wide(copy), code);
    }
    return call_block(start);
}

void cosy_capture_discard(struct cosy_task *object)
{
    unsigned kind = object->future.node.flags & (FLAG_LIGHT | FLAG_WIDE | FLAG_BLOCK);
    object->future.node.flags &= (uint16_t)~kind;
    if (kind == FLAG_LIGHT)
        block_give(&light_pool, object->start);
    else if (kind == FLAG_WIDE)
        block_give(&wide_pool, object->start);
    else if (kind == FLAG_BLOCK)
        cosy_heap_free(object->start);
    object->start = NULL;
}
