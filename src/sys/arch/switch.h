/* switch.h - changing stacks: five functions in assembly, one file per architecture.
 *
 * They are out of line on purpose: a compiler that sees the switch inside a function assumes that no other function of
 * the file ran meanwhile, and reads stale statics. They jump rather than return, because the processor predicts returns
 * from the order of calls, which a switch breaks. Floating-point control words are not saved: tasks share them.
 *
 * A stack that was switched away from holds its callee-saved registers and resume address at its saved stack pointer,
 * in the same layout everywhere, so call-frame information stays true on both sides.
 */
#ifndef COSY_SYS_ARCH_SWITCH_H
#define COSY_SYS_ARCH_SWITCH_H

#include <stdint.h>

/* Saves the running stack to *save and goes on where `load` was saved: there the call returns 0, or (with) the value
 * given. Returns when somebody switches back, with what that one gives. A function that does this last is left by a
 * jump on both sides, so nothing is mispredicted. */
int64_t cosy_switch(void **save, void *load);
int64_t cosy_switch_with(void **save, void *load, int64_t value);
/* The same for those who hand over an int: a conversion would come after the switch, and need a frame. */
int cosy_switch_with_int(void **save, void *load, int64_t value) __asm__("cosy_switch_with");

/* Saves the running stack to *save and calls entry(arg) on a new stack that ends at `top` (16-byte aligned, exclusive).
 * When entry returns, goes on where its result was saved; that stack must be the one that called cosy_switch_start.
 * Result as cosy_switch. */
int64_t cosy_switch_start(void **save, void *top, void *(*entry)(void *arg), void *arg);

/* Goes on where `load` was saved, where the call returns `value`; the running stack is never resumed. */
_Noreturn void cosy_switch_jump(void *load, int64_t value);

/* Calls fn(arg) on the stack that ends at `top`, and returns to the running one. fn must not switch. */
void cosy_switch_hop(void (*fn)(void *arg), void *arg, void *top);

/* How many bytes a saved stack holds at its stack pointer, and where in them the resume address lies. */
#if defined(__x86_64__)
enum { COSY_SWITCH_FRAME = 56, COSY_SWITCH_PC = 48 };
#elif defined(__aarch64__)
enum { COSY_SWITCH_FRAME = 160, COSY_SWITCH_PC = 8 };
#else
#error "cosy: this architecture has no stack switch yet: add src/sys/arch/switch_<name>.S"
#endif

#endif
