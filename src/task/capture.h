/* capture.h - the blocks that hold captured calls, and the stubs that fill them (arch/capture_*.S).
 *
 * Slots exist because the arguments of a captured call may themselves await: several tasks can each be between the making of
 * a coroutine and the call of its stub. Each such call has a slot, whose stub knows its number.
 */
#ifndef COSY_TASK_CAPTURE_H
#define COSY_TASK_CAPTURE_H

#include "task.h"

struct cosy_capture {
    struct cosy_task *object; /* doubles as the link of a free block */
    cosy_fn_ fn;
    unsigned char registers[]; /* integer at 16, vector at 80, then stack words */
};
enum { COSY_CAPTURE_LIGHT_BYTES = 176, COSY_CAPTURE_WIDE_BYTES = 336, COSY_CAPTURE_SLOTS = 16 };

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

extern cosy_hidden const char cosy_capture_light_entries[], cosy_capture_wide_entries[]; /* 16 bytes each */
/* At the thread's end. */
void cosy_capture_pools_clear(void);

/* coro.c: how many places of its making each new coroutine records, and the recording. */
extern __thread int cosy_origin_depth;
void cosy_record_origin(struct cosy_task *object);

cosy_hidden void cosy_capture_nothing(void);
cosy_hidden int64_t cosy_capture_replay_light(void *block);
cosy_hidden int64_t cosy_capture_replay_wide(void *block);

#endif
