/* switch2, switch1000, spawn, skynet. */
#include "rows.h"

/* --- switch: tasks that only yield, suspended at four different sites
 * ------------------------------------------------- */

static long visits;

/* Each adds another number: identical bodies would be folded into one function and so into one site. */
#define SITE(n)                                                                                                        \
    cosy_async static int site_##n(long rounds)                                                                        \
    {                                                                                                                  \
        for (; rounds > 0; rounds--) {                                                                                 \
            cosy_try(cosy_yield());                                                                                    \
            visits += n;                                                                                               \
        }                                                                                                              \
        return 0;                                                                                                      \
    }
SITE(1)
SITE(2)
SITE(3)
SITE(4)

static cosy_task *site_task(long i, long rounds)
{
    switch (i % 4) {
    case 0:
        return cosy_create_task(site_1, rounds);
    case 1:
        return cosy_create_task(site_2, rounds);
    case 2:
        return cosy_create_task(site_3, rounds);
    default:
        return cosy_create_task(site_4, rounds);
    }
}

cosy_async static int yield_all(cosy_task **tasks, long count, long rounds)
{
    for (long i = 0; i < count; i++)
        tasks[i] = site_task(i, rounds);
    for (long i = 0; i < count; i++) {
        cosy_try(cosy_await(tasks[i]));
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

cosy_async static int measure_switch(const char *name, long size)
{
    long count = atol(name + strlen("switch")), rounds = size / count;
    cosy_task **tasks = bench_need(calloc((size_t)count, sizeof *tasks));
    if (bench_warms_up())
        cosy_try(yield_all(tasks, count, rounds / 10 + 1));
    double start = bench_cpu_ns();
    cosy_try(yield_all(tasks, count, rounds));
    double spent = bench_cpu_ns() - start;
    free(tasks);
    return bench_print(name, spent / (double)(rounds * count), "ns");
}

int cosy_switch_row(const char *name, long size)
{
    return cosy_run(measure_switch, name, size);
}

/* --- spawn: create, run, await, drop
 * ---------------------------------------------------------------------------------- */

enum { BATCH = 1000 };

cosy_async static int empty(void)
{
    return 0;
}

cosy_async static int spawn_batches(long batches)
{
    static cosy_task *tasks[BATCH];
    for (; batches > 0; batches--) {
        for (int i = 0; i < BATCH; i++)
            tasks[i] = cosy_create_task(empty);
        for (int i = 0; i < BATCH; i++) {
            cosy_try(cosy_await(tasks[i]));
            cosy_task_drop(tasks[i]);
        }
    }
    return 0;
}

cosy_async static int measure_spawn(const char *name, long size)
{
    if (bench_warms_up())
        cosy_try(spawn_batches(20));
    double start = bench_cpu_ns();
    cosy_try(spawn_batches(size / BATCH));
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / BATCH * BATCH), "ns");
}

int cosy_spawn_row(const char *name, long size)
{
    return cosy_run(measure_spawn, name, size);
}

/* --- skynet: each task has ten children, which run child first
 * --------------------------------------------------------- */

cosy_async static int skynet(long base, long size, long *ret_sum)
{
    long sums[10], part = size / 10, sum = 0;
    cosy_task *children[10];
    if (size == 1) {
        *ret_sum = base;
        return 0;
    }
    for (long i = 0; i < 10; i++)
        children[i] = cosy_create_task_with((.eager_start = true), skynet, base + i * part, part, &sums[i]);
    for (int i = 0; i < 10; i++) {
        cosy_try(cosy_await(children[i]));
        cosy_task_drop(children[i]);
        sum += sums[i];
    }
    *ret_sum = sum;
    return 0;
}

cosy_async static int measure_skynet(const char *name, long size)
{
    enum { RUNS = 2 };
    int runs = bench_warms_up() ? RUNS : 1;
    long sum = 0;
    if (bench_warms_up())
        cosy_try(skynet(0, size, &sum));
    double start = bench_cpu_ns();
    for (int i = 0; i < runs; i++)
        cosy_try(skynet(0, size, &sum));
    double spent = bench_cpu_ns() - start;
    if (sum != size * (size - 1) / 2)
        return fprintf(stderr, "skynet: wrong sum %ld\n", sum), 1;
    return bench_print(name, spent / runs / 1e6, "ms");
}

int cosy_skynet_row(const char *name, long size)
{
    return cosy_run(measure_skynet, name, size);
}
