/* capture.h - the blocks that hold captured calls, and the stubs that fill them (arch/capture_*.S).
 *
 * Between the making of a coroutine and the call of its stub the arguments are evaluated: they may make calls of their
 * own, await (other tasks then make theirs), or leave the function for good (cosy_try). So the calls in the making form
 * a list, innermost first, which a task takes along when it sleeps; each remembers the frame that began it, and a stub
 * takes the innermost one of its caller's frame. Those that were left in the middle are dropped when they are passed,
 * and at the end of their task.
 */
#ifndef COSY_TASK_CAPTURE_H
#define COSY_TASK_CAPTURE_H

#include "task.h"

/* Up to three integer arguments lie in the object itself. Else a block of one of three sizes: integers only (six
 * registers), light (also four vector registers and 32 bytes of stack: any two arguments), wide (everything). A site
 * knows which it needs: call.h. */
enum { COSY_CAPTURE_NONE, COSY_CAPTURE_INTEGERS, COSY_CAPTURE_LIGHT, COSY_CAPTURE_WIDE, COSY_CAPTURE_KINDS,
       COSY_CAPTURE_INLINE = COSY_CAPTURE_KINDS };
static inline unsigned cosy_capture_kind(unsigned flags) { return (flags & FLAG_CAPTURE) / 64; }

struct cosy_capture {
    struct cosy_task *object;  /* its coroutine */
    cosy_fn_ fn;
    unsigned char registers[]; /* integers at 16, vectors at 80, then stack words (aarch64 has eight integer
                                * registers) */
};
/* Of an object in the making; these fields get their proper use when it becomes a task. */
static inline void cosy_making_push(struct cosy_task *object, void *frame)
{
    object->future.sp = cosy_thread_.making;
    object->parent = (uint64_t)(uintptr_t)frame;
    cosy_thread_.making = object;
}
/* The first argument of a captured call, which must be a pointer: in the first integer register. */
static inline void cosy_capture_set_first(struct cosy_task *object, void *argument)
{
    if (object->future.node.flags & FLAG_ARGS)
        object->future.result = (int64_t)(intptr_t)argument;
    else
        *(void **)(void *)((struct cosy_capture *)object->start)->registers = argument;
}
void cosy_making_drop_until(struct cosy_task *object); /* the innermost ones, down to this one exclusively; NULL: all */

_Static_assert(offsetof(struct cosy_thread, making) == 24 && offsetof(struct cosy_thread, made) == 32 &&
                   offsetof(struct cosy_task, future.sp) == 16 && offsetof(struct cosy_task, start) == 80 &&
                   offsetof(struct cosy_task, parent) == 96,
               "known to capture_*.S");
_Static_assert(offsetof(struct cosy_task, future.result) == 40 && offsetof(struct cosy_task, scope) == 120 &&
                   offsetof(struct cosy_task, future.error) == 48,
               "known to capture_*.S");
cosy_hidden void cosy_capture_inline(void);
cosy_hidden void cosy_capture_integers(void);
cosy_hidden void cosy_capture_light(void);
cosy_hidden void cosy_capture_wide(void);
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
    struct cosy_task *object = cosy_thread_.made;
    if (unlikely(!object))
        return NULL;
    cosy_thread_.made = NULL;
    if (unlikely(cosy_thread_.making != object))
        cosy_making_drop_until(object);
    cosy_thread_.making = object->future.sp;
    object->parent = 0;
    return object;
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

/* Calls the function that a coroutine stands for, on the running stack, and frees the capture. start: what
 * object->start was. */
int64_t cosy_capture_call_captured(struct cosy_task *object, void *start);
static inline int64_t cosy_capture_call(struct cosy_task *object, void *start)
{
    uint8_t code = object->site->result;
    unsigned flags = object->future.node.flags;
    int64_t value;
    if (likely(!(flags & (FLAG_CAPTURE | FLAG_BLOCK | FLAG_ARGS))))
        value = ((int64_t(*)(void))(uintptr_t)start)();
    else if (likely(flags & FLAG_ARGS)) {
        *cosy_head(object) &= ~((uint64_t)FLAG_ARGS << 16); /* as a word: it is soon read as one, and would wait for a
                                                             * part */
        value = cosy_capture_replay_inline(object, start);
    } else
        value = cosy_capture_call_captured(object, start);
    return likely(code == 20) ? (int32_t)value : cosy_read_result(value, code);
}


#endif
