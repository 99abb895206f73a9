/* job: a call in the pool of threads and back. threadsafe4: calls to the loop from four threads. */
#include "rows.h"

#include <pthread.h>

static int nothing(void)
{
    return 0;
}

cosy_async static int run_jobs(long count)
{
    cosy_executor *executor = cosy_default_executor(COSY_POOL_USER);
    for (; count > 0; count--)
        cosy_try(cosy_run_in_executor(executor, nothing));
    return 0;
}

cosy_async static int measure_jobs(const char *name, long size)
{
    cosy_try(run_jobs(bench_warms_up() ? size / 10 + 1 : 1));
    double start = bench_wall_ns();
    cosy_try(run_jobs(size));
    return bench_print(name, (bench_wall_ns() - start) / (double)size / 1e3, "us");
}

int cosy_job_row(const char *name, long size)
{
    return cosy_run(measure_jobs, name, size);
}

/* ---- calls from other threads ---- */

enum { THREADS = 4 };

static cosy_loop *loop;
static cosy_event all_came;
static long each, missing;

static void come(void *argument)
{
    (void)argument;
    if (--missing == 0)
        cosy_event_set(&all_came);
}

static void *post_all(void *argument)
{
    for (long i = 0; i < each; i++)
        if (cosy_call_soon_threadsafe(loop, come, NULL, NULL) < 0)
            abort();
    return argument;
}

cosy_async static int measure_threadsafe(const char *name, long size)
{
    pthread_t threads[THREADS];
    loop = cosy_running_loop();
    each = size / THREADS;
    missing = each * THREADS;
    double start = bench_wall_ns();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, post_all, NULL) != 0)
            return -EAGAIN;
    cosy_try(cosy_event_wait(&all_came));
    double spent = bench_wall_ns() - start;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return bench_print(name, spent / (double)(each * THREADS), "ns");
}

int cosy_threadsafe_row(const char *name, long size)
{
    return cosy_run(measure_threadsafe, name, size);
}
