/* capture.h - the blocks that hold captured calls, and the stubs that fill them (arch/capture_*.S).
 *
 * Slots exist because the arguments of a captured call may themselves await: several tasks can each be between the making of
 * a coroutine and the call of its stub. Each such call has a slot, whose stub knows its number.
 */
#ifndef COSY_TASK_CAPTURE_H
#define COSY_TASK_CAPTURE_H

#include "task.h"

/* Up to three integer arguments lie in the object itself. Else a block of one of three sizes: integers only (six registers), light (also four vector registers and 32 bytes of stack: any two
 * arguments), wide (everything). A site knows which it needs: call.h. */
enum { COSY_CAPTURE_NONE, COSY_CAPTURE_INTEGERS, COSY_CAPTURE_LIGHT, COSY_CAPTURE_WIDE, COSY_CAPTURE_KINDS,
       COSY_CAPTURE_INLINE = COSY_CAPTURE_KINDS };
static inline unsigned cosy_capture_kind(unsigned flags) { return (flags & FLAG_CAPTURE) / 64; }

struct cosy_capture {
    struct cosy_task *object;  /* its coroutine */
    cosy_fn_ fn;
    unsigned char registers[]; /* integers at 16, vectors at 80, then stack words (aarch64 has eight integer registers) */
};
enum { COSY_CAPTURE_SLOTS = 16 };

/* Offsets are known to the assembly. */
struct cosy_capture_state {
    struct cosy_capture *slots[COSY_CAPTURE_SLOTS];
    struct cosy_capture *captured; /* what the last stub filled */
    int32_t slot;                  /* and which slot it was */
    uint32_t used;                 /* bit n: slot n is between begin and captured */
};
extern __thread struct cosy_capture_state cosy_capture_state __attribute__((tls_model("initial-exec")))
__attribute__((visibility("hidden")));
_Static_assert(offsetof(struct cosy_capture_state, captured) == 128, "known to capture_*.S");
_Static_assert(offsetof(struct cosy_capture_state, slot) == 136, "known to capture_*.S");

_Static_assert(offsetof(struct cosy_task, future.result) == 40 && offsetof(struct cosy_task, scope) == 120 &&
                   offsetof(struct cosy_task, future.error) == 48,
               "known to capture_*.S");
extern cosy_hidden const char cosy_capture_inline_entries[], cosy_capture_integers_entries[], cosy_capture_light_entries[], cosy_capture_wide_entries[]; /* 16 bytes each */
size_t cosy_capture_bytes(unsigned kind); /* of a block */
void cosy_capture_pools_trim(size_t keep); /* frees unused blocks beyond this many of each kind */

/* coro.c: how many places of its making each new coroutine records, and the recording. */
extern __thread int cosy_origin_depth;
void cosy_record_origin(struct cosy_task *object);

cosy_hidden void cosy_capture_nothing(void);
cosy_hidden int64_t cosy_capture_replay_inline(struct cosy_task *object, void *fn);
cosy_hidden int64_t cosy_capture_replay_integers(void *block);
cosy_hidden int64_t cosy_capture_replay_light(void *block);
cosy_hidden int64_t cosy_capture_replay_wide(void *block);

/* A coroutine without its call. */
struct cosy_task *cosy_object_for(const struct cosy_site_ *site);
/* What the stub has just filled; NULL when there was no memory for it. */
static inline struct cosy_task *cosy_captured_object(void)
{
    struct cosy_capture_state *state = &cosy_capture_state;
    struct cosy_capture *block = state->captured;
    if (unlikely(!block))
        return NULL;
    state->captured = NULL;
    state->used &= ~(1u << state->slot);
    return likely((uintptr_t)block & 1) ? (struct cosy_task *)((uintptr_t)block - 1) : block->object;
}

/* Result registers hold rubbish above the function's own type; code: struct cosy_site_. */
static inline int64_t cosy_read_result(int64_t value, uint8_t code)
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

/* Calls the function that a coroutine stands for, on the running stack, and frees the capture. start: what object->start was. */
int64_t cosy_capture_call_captured(struct cosy_task *object, void *start);
static inline int64_t cosy_capture_call(struct cosy_task *object, void *start)
{
    uint8_t code = object->site->result;
    unsigned flags = object->future.node.flags;
    int64_t value;
    if (likely(!(flags & (FLAG_CAPTURE | FLAG_BLOCK | FLAG_ARGS))))
        value = ((int64_t(*)(void))(uintptr_t)start)();
    else if (likely(flags & FLAG_ARGS)) {
        object->future.node.flags = (uint16_t)(flags & ~FLAG_ARGS);
        value = cosy_capture_replay_inline(object, start);
    } else
        value = cosy_capture_call_captured(object, start);
    return likely(code == 20) ? (int32_t)value : cosy_read_result(value, code);
}


#endif
