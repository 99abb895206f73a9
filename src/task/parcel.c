/* parcel.c - captured calls on their way to another thread (parcel.h). */
#include "parcel.h"

#include <string.h>

#include "../base/heap.h"
#include "capture.h"

enum { FLAGS_OF_CALL = FLAG_CAPTURE | FLAG_BLOCK | FLAG_ARGS };

static size_t block_bytes(unsigned flags)
{
    unsigned kind = cosy_capture_kind(flags);
    return kind ? cosy_capture_bytes(kind) : 0;
}

size_t cosy_parcel_bytes(const struct cosy_task *object)
{
    return sizeof(struct cosy_parcel) + block_bytes(object->future.node.flags);
}

void cosy_parcel_pack(struct cosy_parcel *parcel, struct cosy_task *object)
{
    parcel->site = object->site;
    parcel->start = object->start;
    parcel->flags = object->future.node.flags & FLAGS_OF_CALL;
    if (parcel->flags & FLAG_ARGS) {
        parcel->args[0] = object->future.result;
        parcel->args[1] = (int64_t)(uintptr_t)object->scope;
        parcel->args[2] = (int64_t)(uintptr_t)object->future.error;
    }
    memcpy(parcel->block, object->start, block_bytes(parcel->flags));
    object->future.node.flags &= (uint16_t)~FLAG_BLOCK; /* the parcel's now */
    cosy_capture_discard(object);
    cosy_task_unref(object);
}

bool cosy_parcel_copy(struct cosy_parcel *to, const struct cosy_parcel *from)
{
    if (from->flags & FLAG_BLOCK)
        return false;
    memcpy(to, from, sizeof *from);
    memcpy(to->block, from->block, block_bytes(from->flags));
    return true;
}

static int64_t call_block(unsigned kind, unsigned char *block)
{
    switch (kind) {
    case COSY_CAPTURE_INTEGERS:
        return cosy_capture_replay_integers(block);
    case COSY_CAPTURE_LIGHT:
        return cosy_capture_replay_light(block);
    default:
        return cosy_capture_replay_wide(block);
    }
}

int64_t cosy_parcel_call(struct cosy_parcel *parcel)
{
    unsigned flags = parcel->flags;
    parcel->flags = 0;
    if (flags & FLAG_CAPTURE)
        return cosy_read_result(call_block(cosy_capture_kind(flags), parcel->block), parcel->site->result);
    struct cosy_task stand_in = {.site = parcel->site, .future.node.flags = (uint16_t)flags};
    if (flags & FLAG_ARGS) {
        stand_in.future.result = parcel->args[0];
        stand_in.scope = (void *)(uintptr_t)parcel->args[1];
        stand_in.future.error = (struct cosy_error *)(uintptr_t)parcel->args[2];
    }
    return cosy_capture_call(&stand_in, parcel->start);
}

/* The copy lies on the stack while the call runs, and only where there is one: most calls need none. */
static __attribute__((noinline)) int64_t call_copy(const struct cosy_parcel *parcel, void *first)
{
    unsigned kind = cosy_capture_kind(parcel->flags);
    size_t bytes = cosy_capture_bytes(kind);
    unsigned char *block = __builtin_alloca_with_align(bytes, 128);
    memcpy(block, parcel->block, bytes);
    *(void **)(void *)((struct cosy_capture *)(void *)block)->registers = first;
    return call_block(kind, block);
}

int64_t cosy_parcel_call_again(const struct cosy_parcel *parcel, struct cosy_task *me, void *first)
{
    uint8_t result = parcel->site->result;
    if (parcel->flags & FLAG_CAPTURE)
        return cosy_read_result(call_copy(parcel, first), result);
    cosy_assert(parcel->flags & FLAG_ARGS && !me->scope && !me->future.error);
    me->future.result = (int64_t)(intptr_t)first;
    me->scope = (void *)(uintptr_t)parcel->args[1];
    me->future.error = (struct cosy_error *)(uintptr_t)parcel->args[2];
    return cosy_read_result(cosy_capture_replay_inline(me, parcel->start), result);
}

void cosy_parcel_discard(struct cosy_parcel *parcel)
{
    if (parcel->flags & FLAG_BLOCK)
        cosy_heap_free(parcel->start);
    parcel->flags = 0;
}
