/* gather1000, group1000; lock, semaphore and event, free and wanted by 1,000 tasks. */
#include "rows.h"

enum { THOUSAND = 1000, PERMITS = 10 };

cosy_async static int empty(void)
{
    return 0;
}

/* Runs body(rounds) once to warm up and once for time; each round is `each` operations. */
#define MEASURE(name, size, each, body)                                                                                \
    do {                                                                                                               \
        if (bench_warms_up())                                                                                          \
            cosy_try(body((size) / (each) / 10 + 1));                                                                  \
        double start = bench_cpu_ns();                                                                                 \
        cosy_try(body((size) / (each)));                                                                               \
        return bench_print(name, (bench_cpu_ns() - start) / (double)((size) / (each) * (each)), "ns");                 \
    } while (0)

/* ---- a thousand children ---- */

cosy_async static int gather_rounds(long rounds)
{
    static cosy_coro *calls[THOUSAND];
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < THOUSAND; i++)
            calls[i] = cosy_call(empty);
        cosy_try(cosy_gather_coros(calls, THOUSAND, NULL));
    }
    return 0;
}

cosy_async static int group_rounds(long rounds)
{
    for (; rounds > 0; rounds--) {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        for (int i = 0; i < THOUSAND; i++)
            cosy_task_group_create_task(group, empty);
        cosy_try(cosy_task_group_wait(group));
    }
    return 0;
}

cosy_async static int measure_gather(const char *name, long size)
{
    MEASURE(name, size, THOUSAND, gather_rounds);
}

cosy_async static int measure_group(const char *name, long size)
{
    MEASURE(name, size, THOUSAND, group_rounds);
}

/* ---- free ---- */

static cosy_lock lock;
static cosy_semaphore semaphore = COSY_SEMAPHORE(PERMITS);
static cosy_event event;

cosy_async static int lock_rounds(long rounds)
{
    for (; rounds > 0; rounds--) {
        cosy_try(cosy_lock_acquire(&lock));
        cosy_lock_release(&lock);
    }
    return 0;
}

cosy_async static int semaphore_rounds(long rounds)
{
    for (; rounds > 0; rounds--) {
        cosy_try(cosy_semaphore_acquire(&semaphore));
        cosy_semaphore_release(&semaphore);
    }
    return 0;
}

cosy_async static int event_rounds(long rounds)
{
    cosy_event_set(&event);
    for (; rounds > 0; rounds--)
        cosy_try(cosy_event_wait(&event));
    return 0;
}

cosy_async static int measure_lock(const char *name, long size)
{
    MEASURE(name, size, 1, lock_rounds);
}

cosy_async static int measure_semaphore(const char *name, long size)
{
    MEASURE(name, size, 1, semaphore_rounds);
}

cosy_async static int measure_event(const char *name, long size)
{
    MEASURE(name, size, 1, event_rounds);
}

/* ---- wanted ---- */

cosy_async static int use_lock(long rounds)
{
    for (; rounds > 0; rounds--) {
        cosy_try(cosy_lock_acquire(&lock));
        cosy_try(cosy_yield());
        cosy_lock_release(&lock);
    }
    return 0;
}

cosy_async static int use_semaphore(long rounds)
{
    for (; rounds > 0; rounds--) {
        cosy_try(cosy_semaphore_acquire(&semaphore));
        cosy_try(cosy_yield());
        cosy_semaphore_release(&semaphore);
    }
    return 0;
}

cosy_async static int lock_thousand(long rounds)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < THOUSAND; i++)
        cosy_task_group_create_task(group, use_lock, rounds);
    return cosy_task_group_wait(group);
}

cosy_async static int semaphore_thousand(long rounds)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < THOUSAND; i++)
        cosy_task_group_create_task(group, use_semaphore, rounds);
    return cosy_task_group_wait(group);
}

cosy_async static int event_thousand(long rounds)
{
    static cosy_task *tasks[THOUSAND];
    for (; rounds > 0; rounds--) {
        cosy_event_clear(&event);
        for (int i = 0; i < THOUSAND; i++)
            tasks[i] = cosy_create_task(cosy_event_wait, &event);
        cosy_try(cosy_yield());
        cosy_event_set(&event);
        for (int i = 0; i < THOUSAND; i++) {
            cosy_try(cosy_await(tasks[i]));
            cosy_task_drop(tasks[i]);
        }
    }
    return 0;
}

cosy_async static int measure_lock_thousand(const char *name, long size)
{
    MEASURE(name, size, THOUSAND, lock_thousand);
}

cosy_async static int measure_semaphore_thousand(const char *name, long size)
{
    MEASURE(name, size, THOUSAND, semaphore_thousand);
}

cosy_async static int measure_event_thousand(const char *name, long size)
{
    MEASURE(name, size, THOUSAND, event_thousand);
}

#define ROW(row)                                                                                                       \
    int cosy_##row##_row(const char *name, long size)                                                                  \
    {                                                                                                                  \
        return cosy_run(measure_##row, name, size);                                                                    \
    }
ROW(gather)
ROW(group)
ROW(lock)
ROW(semaphore)
ROW(event)
ROW(lock_thousand)
ROW(semaphore_thousand)
ROW(event_thousand)
