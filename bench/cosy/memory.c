/*
 * memory, memory_tiny: a million tasks wait for one future. memory_sleep: a million tasks in one long sleep. In all
 * three they are then woken and end; a row whose tasks do not all end is an error.
 */
#include "rows.h"

static long parked, ended;

cosy_async static int wait_for_gate(cosy_future *gate)
{
    parked++;
    cosy_try(cosy_await(gate));
    ended++;
    return 0;
}

cosy_async static int sleep_long(cosy_ns length)
{
    parked++;
    cosy_try(cosy_sleep(length));
    ended++;
    return 0;
}

cosy_async static int until(const long *counter, long value, cosy_ns step)
{
    while (*counter < value)
        cosy_try(cosy_sleep(step));
    return 0;
}

static int report(const char *name, long size, double bytes, double create_ns, double wake_ns)
{
    double tasks = (double)size;
    printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", name, bytes / tasks, create_ns / tasks, wake_ns / tasks);
    return 0;
}

cosy_async static int measure_parked(const char *name, long size, size_t stack_size)
{
    cosy_future *gate = bench_need(cosy_future_new(NULL));
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    for (long i = 0; i < size; i++)
        cosy_try(cosy_spawn_with((.stack_size = stack_size), wait_for_gate, gate));
    cosy_try(until(&parked, size, 0));
    double created = bench_cpu_ns(), bytes = bench_memory_bytes() - before;
    double wake = bench_cpu_ns();
    cosy_try(cosy_future_set_result(gate, 0));
    cosy_try(until(&ended, size, 0));
    double woken = bench_cpu_ns();
    cosy_future_drop(gate);
    return report(name, size, bytes, created - start, woken - wake);
}

/* The sleep must outlast the creation of all, and first-touched pages can cost 20 us each on a virtual machine. */
cosy_async static int measure_sleeping(const char *name, long size)
{
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    for (long i = 0; i < size; i++)
        cosy_try(cosy_spawn(sleep_long, COSY_S(1) + size * COSY_US(20)));
    cosy_try(until(&parked, size, 0));
    double created = bench_cpu_ns(), bytes = bench_memory_bytes() - before;
    if (ended > 0)
        return fprintf(stderr, "memory_sleep: %ld woke before all slept\n", ended), 1;
    cosy_try(until(&ended, size, COSY_MS(10)));
    return report(name, size, bytes, created - start, bench_cpu_ns() - created);
}

int cosy_memory_row(const char *name, long size)
{
    return cosy_run(measure_parked, name, size, COSY_STACK_DEFAULT);
}
int cosy_memory_tiny_row(const char *name, long size)
{
    return cosy_run(measure_parked, name, size, COSY_STACK_TINY);
}
int cosy_memory_sleep_row(const char *name, long size)
{
    return cosy_run(measure_sleeping, name, size);
}
