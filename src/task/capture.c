/* capture.c - making coroutines out of calls, and calling them at last. */
#include "capture.h"
#include "object.h"

#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../loop/context.h"

/* Free blocks of each kind, LIFO, linked through `object`. Nothing is freed while tasks begin, because a block is
 * replayed just after it went back here. */
static __thread struct cosy_capture *pools[COSY_CAPTURE_KINDS] __attribute__((tls_model("initial-exec")));
static __thread int creation_error;
static const uint16_t block_bytes[COSY_CAPTURE_KINDS] = {0, 80, 176, 336};
static const cosy_fn_ stubs[] = {NULL, cosy_capture_integers, cosy_capture_light, cosy_capture_wide,
                                 cosy_capture_inline};

size_t cosy_capture_bytes(unsigned kind) { return block_bytes[kind]; }

int cosy_creation_error(void) { return creation_error ? creation_error : -EINVAL; }
void cosy_set_creation_error(int error) { creation_error = error; }

static inline struct cosy_capture *block_take(unsigned kind)
{
    struct cosy_capture *block = pools[kind];
    if (unlikely(!block))
        return cosy_heap_alloc_aligned(16, block_bytes[kind]);
    pools[kind] = (struct cosy_capture *)(void *)block->object;
    return block;
}

static inline void block_give(unsigned kind, struct cosy_capture *block)
{
    block->object = (struct cosy_task *)(void *)pools[kind];
    pools[kind] = block;
}

void cosy_capture_pools_trim(size_t keep)
{
    for (unsigned kind = 1; kind < COSY_CAPTURE_KINDS; kind++) {
        struct cosy_capture *block = pools[kind], *last = NULL;
        for (size_t n = 0; block && n < keep; n++) {
            last = block;
            block = (struct cosy_capture *)(void *)block->object;
        }
        if (last)
            last->object = NULL;
        else
            pools[kind] = NULL;
        while (block) {
            struct cosy_capture *next = (struct cosy_capture *)(void *)block->object;
            cosy_heap_free(block);
            block = next;
        }
    }
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

static inline struct cosy_task *object_for(const struct cosy_site_ *site)
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

/* Left in the middle: their calls will never be made. */
void cosy_making_drop_until(struct cosy_task *object)
{
    while (cosy_thread_.making != object) {
        struct cosy_task *left = cosy_thread_.making;
        cosy_thread_.making = left->future.sp;
        left->parent = 0;
        cosy_capture_discard(left);
        cosy_task_unref(left);
    }
}

static inline cosy_fn_ fill(struct cosy_task *object, struct cosy_capture *block, cosy_fn_ fn, unsigned kind,
                            void *frame)
{
    if (likely(kind == COSY_CAPTURE_INLINE)) {
        object->start = (void *)(uintptr_t)fn;
        object->future.node.flags = FLAG_ARGS;
    } else {
        object->start = block;
        object->future.node.flags = (uint16_t)(64 * kind);
        block->object = object;
        block->fn = fn;
    }
    cosy_making_push(object, frame);
    return stubs[kind];
}

static cosy_cold cosy_fn_ begin_unusually(const struct cosy_site_ *site, cosy_fn_ fn, void *frame)
{
    unsigned kind = site->capture;
    struct cosy_task *object = object_for(site);
    struct cosy_capture *block = object && kind != COSY_CAPTURE_INLINE ? block_take(kind) : NULL;
    if (block || (object && kind == COSY_CAPTURE_INLINE))
        return fill(object, block, fn, kind, frame);
    creation_error = -ENOMEM;
    if (object)
        cosy_object_free(object);
    cosy_thread_.made = NULL;
    return cosy_capture_nothing;
}

cosy_fn_ cosy_capture_begin_(const struct cosy_site_ *site, cosy_fn_ fn, void *frame)
{
    unsigned kind = site->capture;
    struct cosy_task *object = cosy_object_pool.free;
    bool in_object = likely(kind == COSY_CAPTURE_INLINE);
    struct cosy_capture *block = in_object ? NULL : pools[kind];
    if (unlikely(!object || (!block && !in_object) || cosy_origin_depth > 0))
        return begin_unusually(site, fn, frame);
    cosy_object_take(object);
    object->future.node.state = STATE_CREATED;
    object->future.node.refs = 1;
    object->future.loop = cosy_thread_.loop;
    object->site = site;
    object->stack_class = COSY_STACK_CLASS_DEFAULT;
    if (!in_object)
        pools[kind] = (struct cosy_capture *)(void *)block->object;
    return fill(object, block, fn, kind, frame);
}

struct cosy_task *cosy_object_for(const struct cosy_site_ *site) { return object_for(site); }

struct cosy_coro *cosy_captured_(void)
{
    struct cosy_task *object = cosy_captured_object();
    return likely(object != NULL) ? handle_of(object) : NULL;
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
    struct argument_block *copy = object && bytes > size ? cosy_heap_alloc_aligned(16, bytes) : NULL;
    if (!copy) {
        creation_error = -ENOMEM;
        if (object)
            cosy_task_unref(object); /* its origin may be recorded */
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

enum { BLOCK_ON_STACK = 1024 };

static int64_t call_large_block(struct argument_block *start)
{
    int64_t result = start->fn(start->bytes);
    cosy_heap_free(start);
    return result;
}

/* The block moves to the task's own stack, so that nothing is left to free if the task is abandoned; but a large one
 * might not find room there. */
static cosy_cold int64_t call_block(struct argument_block *start)
{
    if (start->size > BLOCK_ON_STACK)
        return call_large_block(start);
    int (*fn)(void *) = start->fn;
    void *copy = __builtin_alloca_with_align(start->size + 16, 128);
    memcpy(copy, start->bytes, start->size);
    cosy_heap_free(start);
    return fn(copy);
}

/* The block is given back before it is replayed: nothing else runs in this thread until the registers are loaded. */
int64_t cosy_capture_call_captured(struct cosy_task *object, void *start)
{
    unsigned flags = object->future.node.flags, kind = cosy_capture_kind(flags);
    object->future.node.flags = (uint16_t)(flags & ~(FLAG_CAPTURE | FLAG_BLOCK));
    if (unlikely(flags & FLAG_BLOCK))
        return call_block(start);
    block_give(kind, start);
    if (likely(kind == COSY_CAPTURE_INTEGERS))
        return cosy_capture_replay_integers(start);
    return kind == COSY_CAPTURE_LIGHT ? cosy_capture_replay_light(start) : cosy_capture_replay_wide(start);
}

void cosy_capture_discard(struct cosy_task *object)
{
    unsigned flags = object->future.node.flags;
    if (flags & FLAG_BLOCK)
        cosy_heap_free(object->start);
    else if (cosy_capture_kind(flags))
        block_give(cosy_capture_kind(flags), object->start);
    if (flags & FLAG_ARGS) {
        object->future.error = NULL;
        object->scope = NULL;
    }
    object->future.node.flags = (uint16_t)(flags & ~(FLAG_CAPTURE | FLAG_BLOCK | FLAG_ARGS));
    object->start = NULL;
}
