/* switch.h - changing stacks: five functions in assembly, one file per architecture.
 *
 * They are out of line on purpose: a compiler that sees the switch inside a function assumes that no other function of the
 * file ran meanwhile, and reads stale statics. They jump rather than return, because the processor predicts returns from the
 * order of calls, which a switch breaks. Floating-point control words are not saved: tasks share them.
 *
 * A stack that was switched away from holds its callee-saved registers and resume address at its saved stack pointer, in the
 * same layout everywhere, so call-frame information stays true on both sides.
 */
#ifndef COSY_SYS_ARCH_SWITCH_H
#define COSY_SYS_ARCH_SWITCH_H

/* Saves the running stack to *save and goes on where `load` was saved. Returns when somebody switches back. */
void cosy_switch(void **save, void *load);

/* The same, and hands `value` over: it is what cosy_switch_with returns there, on a stack that was left by it. A function that does this
 * last is left by a jump on both sides, so nothing is mispredicted. */
long cosy_switch_with(void **save, void *load, long value);

/* Saves the running stack to *save and calls entry(arg) on a new stack that ends at `top` (16-byte aligned, exclusive). When entry
 * returns, goes on where its result was saved; that stack must be the one that called cosy_switch_start. */
void cosy_switch_start(void **save, void *top, void *(*entry)(void *arg), void *arg);

/* Goes on where `load` was saved; the running stack is never resumed. */
_Noreturn void cosy_switch_jump(void *load);

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
