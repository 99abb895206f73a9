/* inner.c - the list of stacks that run inside a task's (struct cosy_inner_stack), for those who must know of all: the task tree, the
 * handler of stack overflows, a loop that closes. */
#include "task.h"

__thread struct cosy_inner_stack *cosy_inner_stacks __attribute__((tls_model("initial-exec")));

/* One at a time from the start of the list: what an end runs may end others. */
void cosy_inner_stacks_close(struct cosy_loop *loop)
{
    struct cosy_inner_stack *inner = cosy_inner_stacks;
    while (inner) {
        if (inner->loop != loop) {
            inner = inner->next;
            continue;
        }
        inner->abandon(inner);
        inner = cosy_inner_stacks;
    }
}

void *cosy_inner_stack_outside(const struct cosy_task *task, const void *sp)
{
    for (struct cosy_inner_stack *inner = cosy_inner_stacks; inner; inner = inner->next) {
        uintptr_t into = (uintptr_t)sp - (uintptr_t)cosy_stack_low(inner->stack);
        if (inner->task == task && into < cosy_stack_bytes(inner->stack_class))
            return inner->outer_sp;
    }
    return NULL;
}
