/*
 * The least that a scheduler in C can do: no cancellation, no errors, no I/O, no debugging. It bounds what is possible;
 * it is no product.
 *
 * A task is the top line of its own stack: the saved stack pointer, the link in whichever queue holds the task, and
 * what to run. Suspending stores one word and loads one word; the resume address is taken from the stack by `jmp`
 * (switch.S).
 */
#pragma once

#include "../bench.h"

struct limit_task {
    void *sp; /* what it resumes from */
    struct limit_task *next;
    void (*run)(struct limit_task *self);
    long argument;
    struct limit_task *parent;
    long sum;
    long size;
};

/* Stacks of one size in one mapping, given out LIFO. `colour` shifts each by another number of cache lines. */
struct limit_pool {
    char *base;
    size_t stride, count, used;
    unsigned colours;
    struct limit_task **free; /* an array, as the ring below */
    size_t free_count;
};

/* The tasks that can run, as an array of their stack pointers. An array and no list: a list would make each switch wait
 * for the line of the next task before it knows the one after. */
extern void **limit_ring, **limit_ring_end, **limit_cursor;

void limit_pool_open(struct limit_pool *pool, size_t count, size_t stride, unsigned colours);
void limit_pool_close(struct limit_pool *pool);
struct limit_task *limit_task_carve(struct limit_pool *pool); /* a stack that was never used */

/* switch.S */
void limit_yield(void);                     /* to the next of the ring */
void limit_switch(void **save, void *load); /* suspend here, resume there */
_Noreturn void limit_leave(void *load);     /* resume there, never come back */
void limit_first_frame(void);               /* where a new task begins */

/* Writes what limit_switch() expects to find: registers (two of them used), then the address to begin at. */
static inline void limit_write_first_frame(struct limit_task *task)
{
#if defined(__x86_64__)
    void **frame = (void **)(void *)task - 9; /* leaves sp 16-aligned for the first call */
    frame[2] = (void *)task->run;             /* r13 */
    frame[3] = task;                          /* r12 */
    frame[6] = (void *)limit_first_frame;
#else
    void **frame = (void **)(void *)task - 20;
    frame[0] = task;                       /* x19 */
    frame[1] = (void *)task->run;          /* x20 */
    frame[11] = (void *)limit_first_frame; /* x30 */
#endif
    task->sp = frame;
}

static inline struct limit_task *limit_task_new(struct limit_pool *pool, void (*run)(struct limit_task *))
{
    struct limit_task *task = pool->free_count ? pool->free[--pool->free_count] : limit_task_carve(pool);
    task->run = run;
    limit_write_first_frame(task);
    return task;
}

static inline void limit_task_free(struct limit_pool *pool, struct limit_task *task)
{
    pool->free[pool->free_count++] = task;
}

bench_row limit_switch_row, limit_spawn_row, limit_skynet_row, limit_memory_row, limit_memory_tiny_row;
bench_row limit_timer_cancel_row, limit_timer_cancel_lazy_row, limit_timer_fire_row;
bench_row limit_process_row, limit_names_row;
bench_row limit_handover_row, limit_generator_row, limit_queue_row;
bench_row limit_wake_ring_row, limit_wake_eventfd_row, limit_wake_futex_row, limit_wake_busy_row;
bench_row limit_tls_echo_row, limit_tls_handshake_row, limit_tls_idle_row;
bench_row limit_read_row, limit_write_row, limit_copy_large_row, limit_copy_small_row;
