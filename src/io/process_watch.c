/* process_watch.c - a thread that waits for one process, where the kernel has no pidfd.
 *
 * It does not reap: that is done in the loop's thread, so that until then the number is the process's own, and a signal
 * can hit no other.
 */
#include "process.h"

#include <limits.h>
#include <signal.h>

#include "../base/heap.h"
#include "../sys/syscalls.h"
#include "letter.h"

struct cosy_exit_watch {
    struct cosy_letter letter;
    cosy_process *process; /* the loop's thread only; NULL: nobody wants to know */
    pid_t pid;
    atomic_bool let_go; /* the loop's thread has done with it: orders that before another thread's free */
};

enum { STACK = 131072 };

static struct cosy_exit_watch *watch_of(struct cosy_letter *letter)
{
    return container_of(letter, struct cosy_exit_watch, letter);
}

static void *wait_in_thread(void *arg)
{
    struct cosy_exit_watch *watch = arg;
    int unused;
    cosy_sys_child_await(watch->pid, true, &unused);
    cosy_letter_return(&watch->letter);
    return NULL;
}

static void free_watch(struct cosy_letter *letter)
{
    (void)atomic_load_explicit(&watch_of(letter)->let_go, memory_order_acquire);
    cosy_heap_free(watch_of(letter));
}

static void came_back(struct cosy_letter *letter)
{
    struct cosy_exit_watch *watch = watch_of(letter);
    cosy_process *process = watch->process;
    if (process) {
        process->watch = NULL;
        (void)cosy_process_look(process);
    }
    cosy_heap_free(watch);
}

static void let_go(struct cosy_letter *letter)
{
    watch_of(letter)->process = NULL;
    atomic_store_explicit(&watch_of(letter)->let_go, true, memory_order_release);
}

static const struct cosy_letter_kind kind = {.returned = came_back, .let_go = let_go, .free = free_watch};

static int start_thread(struct cosy_exit_watch *watch)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK > PTHREAD_STACK_MIN ? STACK : (size_t)PTHREAD_STACK_MIN);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = sys_thread_create(&thread, &attributes, wait_in_thread, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}

int cosy_exit_watch_start(cosy_process *process)
{
    struct cosy_exit_watch *watch = cosy_heap_zalloc(sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->process = process;
    watch->pid = process->pid;
    cosy_letter_send(&watch->letter, &kind, process->loop);
    int result = start_thread(watch);
    if (result < 0) {
        cosy_letter_take_back(&watch->letter);
        cosy_heap_free(watch);
        return result;
    }
    process->watch = watch;
    return 0;
}

void cosy_exit_watch_forget(struct cosy_exit_watch *watch)
{
    watch->process = NULL;
}
