/* benchmark_concurrency.c - what tasks make faster, and what they do not.
 *
 * A hundred waits of 0.1 s take 0.1 s together. Ten jobs for the processor take as long on the loop as one after the
 * other, since the loop is one thread; in a pool they use what processors there are.
 */
#include <cosy.h>
#include <stdio.h>
#include <time.h>

enum { WAITS = 100, JOBS = 10, STEPS = 4000000 };

/* The machine's clock, which also goes on while code computes on a simulated kernel. */
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compute(unsigned seed)
{
    volatile unsigned x = seed;
    for (int i = 0; i < STEPS; i++)
        x = x * 1664525 + 1013904223;
    return (int)(x >> 2);
}

cosy_async static int compute_in_task(unsigned seed)
{
    return compute(seed);
}
cosy_async static int compute_in_thread(unsigned seed)
{
    return cosy_to_thread(compute, seed);
}

cosy_async static int wait_for_all(cosy_coro *coros[], size_t count, double *took)
{
    double start = seconds();
    int result = cosy_gather_coros(coros, count, NULL);
    *took = seconds() - start;
    return result;
}

cosy_async static int amain(void)
{
    cosy_coro *coros[WAITS];
    double took, alone, in_tasks, in_threads;

    cosy_ns start = cosy_loop_time(cosy_running_loop());
    for (int i = 0; i < WAITS; i++)
        coros[i] = cosy_call(cosy_sleep, COSY_S(0.1));
    cosy_try(wait_for_all(coros, WAITS, &took));
    printf("%d waits of 0.1 s: %.2f s\n", WAITS, (double)(cosy_loop_time(cosy_running_loop()) - start) / 1e9);

    double begin = seconds();
    for (unsigned i = 0; i < JOBS; i++)
        compute(i);
    alone = seconds() - begin;

    for (unsigned i = 0; i < JOBS; i++)
        coros[i] = cosy_call(compute_in_task, i);
    cosy_try(wait_for_all(coros, JOBS, &in_tasks));
    printf("%d jobs for the processor, as tasks: %s\n", JOBS, in_tasks > 0.6 * alone ? "no faster" : "faster");

    for (unsigned i = 0; i < JOBS; i++)
        coros[i] = cosy_call(compute_in_thread, i);
    cosy_try(wait_for_all(coros, JOBS, &in_threads));
    fprintf(stderr, "one after the other %.3f s, as tasks %.3f s, in threads %.3f s\n", alone, in_tasks, in_threads);
    printf("in threads: all %d done\n", JOBS);
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * 100 waits of 0.1 s: <time 0.1> s
 * 10 jobs for the processor, as tasks: no faster
 * in threads: all 10 done
 * Stderr:
 * one after the other <time> s, as tasks <time> s, in threads <time> s
 */
