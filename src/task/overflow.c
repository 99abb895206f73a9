/* overflow.c - a stack overflow says whose stack it was.
 *
 * A fault in the guard page of the running task's stack is told on standard error, from a signal stack of its own; the
 * signal then does what it would have done. A handler that the program, or a sanitizer, installed before is left alone.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/heap.h"
#include "overflow.h"
#include "task.h"

enum { SIGNAL_STACK_BYTES = 64 * 1024, GUARD_BYTES = 4096 };

static __thread void *signal_stack;

static bool lies_near(char *stack, uintptr_t address)
{
    uintptr_t low = (uintptr_t)cosy_stack_low(stack);
    return address >= low - GUARD_BYTES && address < low + GUARD_BYTES;
}

/* The task's own stack, or that of a coroutine which it drives by hand, or of a generator which it runs. */
static bool hits_guard(struct cosy_task *task, uintptr_t address)
{
    struct cosy_driver *driver = task->extra ? task->extra->driver : NULL;
    for (; driver; driver = driver->outer)
        if (lies_near(driver->stack, address))
            return true;
    for (struct cosy_inner_stack *inner = cosy_inner_stacks; inner; inner = inner->next)
        if (inner->task == task && lies_near(inner->stack, address))
            return true;
    return task->future.node.flags & FLAG_BEGUN && lies_near(task->stack, address);
}

static void tell(struct cosy_task *task, uintptr_t address)
{
    char text[512];
    const char *name = task->extra && task->extra->name ? task->extra->name : NULL;
    char number[32];
    snprintf(number, sizeof number, "Task-%llu", (unsigned long long)task->id);
    int n = snprintf(
        text, sizeof text,
        "cosy: fatal: stack overflow in task '%s' (%s, created at %s:%u in %s): its %zu bytes of stack are used up "
        "(fault at 0x%zx); give it more with cosy_create_task_with((.stack_size = ...), ...)\n",
        name ? name : number, task->site->name, task->site->file, task->site->line, task->site->func,
        cosy_stack_bytes(task->stack_class), (size_t)address);
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1) < 0)
        return;
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
    (void)context;
    struct cosy_task *task = cosy_thread_.current;
    if (task && hits_guard(task, (uintptr_t)info->si_addr))
        tell(task, (uintptr_t)info->si_addr);
    signal(signum, SIG_DFL); /* the instruction faults again, with the default effect */
    if (info->si_code <= 0)
        raise(signum); /* sent by somebody: nothing faults again */
}

static void install(int signum)
{
    struct sigaction present, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    if (sigaction(signum, NULL, &present) == 0 && present.sa_handler == SIG_DFL && !(present.sa_flags & SA_SIGINFO))
        sigaction(signum, &ours, NULL);
}

void cosy_overflow_watch(void)
{
    stack_t present;
    if (signal_stack || sigaltstack(NULL, &present) < 0 || !(present.ss_flags & SS_DISABLE))
        return;
    signal_stack = cosy_heap_map(SIGNAL_STACK_BYTES);
    if (!signal_stack)
        return;
    stack_t ours = {.ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    sigaltstack(&ours, NULL);
    install(SIGSEGV);
    install(SIGBUS);
}

void cosy_overflow_thread_end(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    if (!signal_stack)
        return;
    sigaltstack(&none, NULL);
    cosy_heap_unmap(signal_stack, SIGNAL_STACK_BYTES);
    signal_stack = NULL;
}
