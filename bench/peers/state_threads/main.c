/* state_threads ROW SIZE. Timers are sleeps only and stacks are mapped with a guard each: no timer rows, no skynet. */
#include "../../bench.h"
#include <st.h>

/* Four loops with different bodies: threads suspended at four sites. */
static long visits;

#define SITE(n)                                                                                                        \
    static void *site_##n(void *rounds)                                                                                \
    {                                                                                                                  \
        for (long i = (long)(intptr_t)rounds; i > 0; i--) {                                                            \
            st_usleep(0);                                                                                              \
            visits += n;                                                                                               \
        }                                                                                                              \
        return NULL;                                                                                                   \
    }
SITE(1)
SITE(2)
SITE(3)
SITE(4)

static void run_switch(long tasks, long each)
{
    static void *(*const sites[])(void *) = {site_1, site_2, site_3, site_4};
    st_thread_t *threads = bench_need(calloc((size_t)tasks, sizeof *threads));
    for (long i = 0; i < tasks; i++)
        threads[i] = bench_need(st_thread_create(sites[i % 4], (void *)(intptr_t)each, 1, 0));
    for (long i = 0; i < tasks; i++)
        st_thread_join(threads[i], NULL);
    free(threads);
}

static int switch_row(const char *name, long size)
{
    long tasks = atol(name + strlen("switch"));
    run_switch(tasks, size / tasks / 10 + 1);
    double start = bench_cpu_ns();
    run_switch(tasks, size / tasks);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / tasks * tasks), "ns");
}

static void *empty(void *argument)
{
    return argument;
}

static void spawn_batches(long batches)
{
    static st_thread_t threads[1000];
    for (; batches > 0; batches--) {
        for (int i = 0; i < 1000; i++)
            threads[i] = bench_need(st_thread_create(empty, NULL, 1, 0));
        for (int i = 0; i < 1000; i++)
            st_thread_join(threads[i], NULL);
    }
}

static int spawn_row(const char *name, long size)
{
    spawn_batches(20);
    double start = bench_cpu_ns();
    spawn_batches(size / 1000);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / 1000 * 1000), "ns");
}

static st_cond_t gate;
static long parked, ended;

static void *park(void *argument)
{
    parked++;
    st_cond_wait(gate);
    ended++;
    return argument;
}

static int memory_row(const char *name, long size)
{
    gate = st_cond_new();
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    for (long i = 0; i < size; i++)
        if (!st_thread_create(park, NULL, 0, 0)) {
            fprintf(stderr, "state_threads: no more than %ld threads\n", i);
            return 1;
        }
    while (parked < size)
        st_usleep(0);
    double created = bench_cpu_ns(), bytes = (bench_memory_bytes() - before) / (double)size;
    double wake = bench_cpu_ns();
    st_cond_broadcast(gate);
    while (ended < size)
        st_usleep(0);
    printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", name, bytes, (created - start) / (double)size,
           (bench_cpu_ns() - wake) / (double)size);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"switch2", switch_row},
        {"switch1000", switch_row},
        {"spawn", spawn_row},
        {"memory", memory_row},
    };
    st_set_eventsys(ST_EVENTSYS_ALT);
    if (st_init() < 0)
        return 1;
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
