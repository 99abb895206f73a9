/*
 * What every benchmark program in C or C++ shares: the two clocks, the memory of the process, the one line of output.
 *
 * Protocol (the runner relies on it): `program ROW SIZE` prints one line `ROW VALUE UNIT [key=value ...]`, or `ROW n/a`
 * where a row makes no sense for that program.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline double bench_clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* CPU time of the whole process: sleeping costs nothing, helper threads of a runtime do cost. */
static inline double bench_cpu_ns(void)
{
    return bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}
static inline double bench_wall_ns(void)
{
    return bench_clock_ns(CLOCK_MONOTONIC);
}

/* Resident bytes and page tables: what the kernel takes from the machine for this process. */
static inline double bench_memory_bytes(void)
{
    char line[256];
    long kib = 0, value;
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        return 0;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &value) == 1 || sscanf(line, "VmPTE: %ld", &value) == 1)
            kib += value;
    fclose(status);
    return (double)kib * 1024;
}

/* Same spread of deadlines for everyone: a multiplicative hash, uniform in [0, range). */
static inline uint64_t bench_spread(uint64_t i, uint64_t range)
{
    return (uint64_t)(((unsigned __int128)(i * 0x9E3779B97F4A7C15u) * range) >> 64);
}

static inline int bench_print(const char *row, double value, const char *unit)
{
    printf("%s %.6g %s\n", row, value, unit);
    return 0;
}

static inline int bench_not_applicable(const char *row)
{
    printf("%s n/a\n", row);
    return 0;
}

static inline void *bench_need(void *pointer)
{
    if (!pointer || pointer == MAP_FAILED) {
        perror("benchmark: no memory");
        exit(1);
    }
    return pointer;
}

/* The deadlines of the timer rows: fire is spread over 200 ms, cancel over 1,000 s (nothing fires while it is
 * measured). */
#define BENCH_FIRE_FIRST_NS   100000000u
#define BENCH_FIRE_SPREAD_NS  200000000u
#define BENCH_CANCEL_FIRST_S  100u
#define BENCH_CANCEL_SPREAD_S 1000u
#define BENCH_CANCEL_BATCH    100 /* started, then cancelled, above the million that stay */

/* Blocks the thread (no loop turn, no CPU) so that every deadline of timer_fire lies in the past. */
static inline void bench_sleep_until_all_due(double created_wall_ns)
{
    double left = created_wall_ns + BENCH_FIRE_FIRST_NS + BENCH_FIRE_SPREAD_NS + 2e6 - bench_wall_ns();
    if (left > 0)
        usleep((useconds_t)(left / 1000));
}

/* Pins the calling thread to the n-th processor that the process may use: the two sides of a wake never share one. */
static inline void bench_pin(int n)
{
    static cpu_set_t allowed;
    if (CPU_COUNT(&allowed) == 0)
        sched_getaffinity(getpid(), sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && n-- == 0) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
}

typedef int bench_row(const char *name, long size);

struct bench_entry {
    const char *name;
    bench_row *run;
};

/* Finds the row named on the command line; rows that the table does not name are n/a. */
static inline int bench_main(int argc, char **argv, const struct bench_entry *rows, size_t count)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s ROW SIZE\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, argv[1]) == 0)
            return rows[i].run(argv[1], atol(argv[2]));
    return bench_not_applicable(argv[1]);
}
