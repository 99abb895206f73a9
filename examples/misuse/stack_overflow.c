/* stack_overflow.c - recursion without end: a task's stack is 64 KiB, and a guard page lies below it.
 *
 * The fault is told with the task's name and where it was created, so that you know whose stack to enlarge; the program
 * then dies of SIGSEGV as any other would, and leaves a core for the debugger.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

static int recurse(int depth)
{
    volatile char room[256]; /* uses stack that no optimiser takes away */
    room[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + room[0]; /* wrong: depth is never below 0 */
}

cosy_async static int parse_document(int depth) { return recurse(depth); }

cosy_async static int amain(void)
{
    /* right, for work that needs it: (.name = "parser", .stack_size = COSY_STACK_LARGE) */
    cosy_scoped(cosy_task) task = cosy_create_task_with((.name = "parser"), parse_document, 0);
    return cosy_await(task);
}

int main(void) { return cosy_main(amain); }

/* Stderr:
 * cosy: fatal: stack overflow in task 'parser' (parse_document, created at ...stack_overflow.c:22 in amain): its 65536 bytes of stack are used up ...
 * Exit status: 139
 */
