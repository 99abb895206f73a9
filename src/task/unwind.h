/* unwind.h - where a stack stands: frames of a parked or the running stack, as function, file and line.
 *
 * With libdw (elfutils) frames are found by call-frame information and named by debug information, static functions
 * too; nothing runs on the inspected stack. Without it only the innermost frames that can be told by dladdr are given.
 */
#ifndef COSY_TASK_UNWIND_H
#define COSY_TASK_UNWIND_H

#include <stddef.h>
#include <stdint.h>

struct cosy_frame {
    uintptr_t pc;
    char function[96]; /* "?" when unknown */
    char file[192];    /* "" when unknown */
    int line;          /* 0 when unknown */
};

/* The frames of a stack that cosy_switch left at `sp` (layout: sys/arch/switch.h), innermost first, without those of
 * the library itself and those of its stack's base. Returns how many were written, at most max. Needs up to 64 KiB of
 * stack: call it on a roomy one. */
int cosy_unwind_parked(void *sp, struct cosy_frame *frames, int max);

/* The same for the caller's own stack. */
int cosy_unwind_here(struct cosy_frame *frames, int max);

#endif
