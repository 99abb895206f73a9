/* memory (a page of stack each) and memory_tiny (stacks of 1 KiB, packed): tasks that are parked, then woken and ended.
 */
#include "limits.h"

static void *main_sp;
static long parked, ended;

static void park_once(struct limit_task *self)
{
    parked++;
    limit_switch(&self->sp, main_sp);
    ended++;
    limit_leave(main_sp);
}

static int park_tasks(const char *name, long size, size_t stride)
{
    struct limit_pool pool;
    struct limit_task *first = NULL;
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    limit_pool_open(&pool, (size_t)size, stride, 0);
    for (long i = 0; i < size; i++) {
        struct limit_task *task = limit_task_new(&pool, park_once);
        task->next = first;
        first = task;
        limit_switch(&main_sp, task->sp);
    }
    double bytes = (bench_memory_bytes() - before) / (double)size;
    double created = bench_cpu_ns();
    for (struct limit_task *task = first; task; task = task->next)
        limit_switch(&main_sp, task->sp);
    double woken = bench_cpu_ns();
    limit_pool_close(&pool);
    if (parked != size || ended != size)
        return fprintf(stderr, "memory: %ld parked, %ld ended of %ld\n", parked, ended, size), 1;
    printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", name, bytes, (created - start) / (double)size,
           (woken - created) / (double)size);
    return 0;
}

int limit_memory_row(const char *name, long size)
{
    return park_tasks(name, size, 16384);
}
int limit_memory_tiny_row(const char *name, long size)
{
    return park_tasks(name, size, 1024);
}
