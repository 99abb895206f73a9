/* hooks.h - what sanitizers and valgrind must be told of stacks.
 *
 * The tools' functions are weak symbols: a program that is linked with a sanitizer gets them, in any build of the
 * library. Each stack that code runs on (the thread's own, a task's, a driven coroutine's) has a view.
 */
#ifndef COSY_TASK_HOOKS_H
#define COSY_TASK_HOOKS_H

#include "../base/base.h"

/* TSan counts calls per fiber: a function that enters on one fiber and returns on another must not be counted. For
 * clang, no_sanitize leaves the counting in. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define cosy_uncounted __attribute__((disable_sanitizer_instrumentation, noinline))
#endif
#endif
#ifndef cosy_uncounted
#define cosy_uncounted __attribute__((no_sanitize("thread"), noinline))
#endif

struct cosy_stack_view {
    const void *low;
    size_t size;
    void *fake;  /* ASan's fake stack while it is left */
    void *fiber; /* TSan's */
    struct cosy_stack_view *inner; /* of a stack that runs inside (struct cosy_inner_stack), as if it were a part of
                                    * this one */
};

/* The view of the stack that code runs on, or was left on, of those that lie inside each other. */
static inline struct cosy_stack_view *cosy_view_innermost(struct cosy_stack_view *view)
{
    while (view->inner)
        view = view->inner;
    return view;
}

/* Is anybody watching? Decided once; false in ordinary programs. */
bool cosy_hooks_wanted(void);

struct cosy_stack_view *cosy_view_of_thread(void);
void cosy_view_open(struct cosy_stack_view *view, char *low, size_t size);
void cosy_view_close(struct cosy_stack_view *view); /* after its stack was left for good */

/* Just before and just after a switch. `ending`: `from` is never resumed. */
void cosy_view_leave(struct cosy_stack_view *from, struct cosy_stack_view *to, bool ending);
void cosy_view_arrived(struct cosy_stack_view *at);

void cosy_hook_stacks_mapped(char *low, size_t bytes, size_t each);
void cosy_hook_stacks_unmapped(char *low, size_t bytes);
/* The same for memory that only holds pointers to what was allocated: the leak checker must look there. */
void cosy_hook_memory_mapped(void *low, size_t bytes);
void cosy_hook_memory_unmapped(void *low, size_t bytes);

#endif
