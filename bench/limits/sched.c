/* switch2, switch1000, spawn, skynet: what scheduling costs when nothing but scheduling is done. */
#include "limits.h"

static void *main_sp;

/* --- switch: a ring of tasks, suspended at four different sites
 * ------------------------------------------------------- */

static long rounds_left, visits;

static void count_rounds(struct limit_task *self)
{
    (void)self;
    for (;;) {
        if (--rounds_left < 0)
            limit_switch(limit_cursor, main_sp);
        limit_yield();
    }
}

/* Each adds another number: identical bodies would be folded into one function and so into one site. */
#define SITE(n)                                                                                                        \
    static void site_##n(struct limit_task *self)                                                                      \
    {                                                                                                                  \
        (void)self;                                                                                                    \
        for (;;) {                                                                                                     \
            limit_yield();                                                                                             \
            visits += n;                                                                                               \
        }                                                                                                              \
    }
SITE(1)
SITE(2)
SITE(3)
SITE(4)

static void run_rounds(long rounds)
{
    rounds_left = rounds;
    limit_cursor = limit_ring;
    limit_switch(&main_sp, *limit_cursor);
}

int limit_switch_row(const char *name, long size)
{
    static void (*const sites[])(struct limit_task *) = {site_1, site_2, site_3, site_4};
    long tasks = atol(name + strlen("switch"));
    struct limit_pool pool;
    limit_pool_open(&pool, (size_t)tasks, 8192, 61);
    limit_ring = bench_need(calloc((size_t)tasks, sizeof *limit_ring));
    limit_ring_end = limit_ring + tasks;
    for (long i = 0; i < tasks; i++)
        limit_ring[i] = limit_task_new(&pool, i == 0 ? count_rounds : sites[i % 4])->sp;

    run_rounds(size / tasks / 10 + 1);
    long rounds = size / tasks;
    double start = bench_cpu_ns();
    run_rounds(rounds);
    double spent = bench_cpu_ns() - start;
    free(limit_ring);
    limit_pool_close(&pool);
    return bench_print(name, spent / (double)(rounds * tasks), "ns");
}

/* --- spawn: a FIFO of empty tasks, joined by the place in the queue
 * -------------------------------------------------------------- */

enum { BATCH = 1000 };

static struct limit_pool tasks_pool;
static void *ready[BATCH + 1], **next_ready;

static void empty_task(struct limit_task *self)
{
    limit_task_free(&tasks_pool, self);
    limit_leave(*next_ready++);
}

/* The batch's queue ends with whoever waits for the batch: its place in the queue is the join. */
static void spawn_and_join(void)
{
    for (long i = 0; i < BATCH; i++)
        ready[i] = limit_task_new(&tasks_pool, empty_task)->sp;
    next_ready = ready + 1;
    limit_switch(&ready[BATCH], ready[0]);
}

int limit_spawn_row(const char *name, long size)
{
    limit_pool_open(&tasks_pool, BATCH, 8192, 61);
    for (int i = 0; i < 20; i++)
        spawn_and_join();
    long batches = size / BATCH;
    double start = bench_cpu_ns();
    for (long i = 0; i < batches; i++)
        spawn_and_join();
    double spent = bench_cpu_ns() - start;
    limit_pool_close(&tasks_pool);
    return bench_print(name, spent / (double)(batches * BATCH), "ns");
}

/* --- skynet: ten children each, child first: the parent waits on a LIFO and is resumed when the child ends
 * ------------- */

static struct limit_task *lifo;

static void skynet_task(struct limit_task *self)
{
    long sum = 0;
    if (self->size == 1)
        sum = self->argument;
    for (long i = 0; self->size > 1 && i < 10; i++) {
        struct limit_task *child = limit_task_new(&tasks_pool, skynet_task);
        child->size = self->size / 10;
        child->argument = self->argument + i * child->size;
        child->parent = self;
        child->sum = 0;
        self->next = lifo;
        lifo = self;
        limit_switch(&self->sp, child->sp);
    }
    self->parent->sum += sum + self->sum;
    limit_task_free(&tasks_pool, self);
    struct limit_task *next = lifo;
    lifo = next->next;
    limit_leave(next->sp);
}

static long run_skynet(long leaves)
{
    struct limit_task outside = {.sum = 0}; /* stands for main() on the LIFO */
    struct limit_task *root = limit_task_new(&tasks_pool, skynet_task);
    root->size = leaves;
    root->argument = 0;
    root->sum = 0;
    root->parent = &outside;
    lifo = &outside;
    limit_switch(&outside.sp, root->sp);
    return outside.sum;
}

int limit_skynet_row(const char *name, long size)
{
    enum { RUNS = 4 };
    limit_pool_open(&tasks_pool, 1000, 8192, 61);
    long sum = run_skynet(size);
    double start = bench_cpu_ns();
    for (int i = 0; i < RUNS; i++)
        sum = run_skynet(size);
    double spent = bench_cpu_ns() - start;
    limit_pool_close(&tasks_pool);
    if (sum != size * (size - 1) / 2)
        return fprintf(stderr, "skynet: wrong sum %ld\n", sum), 1;
    return bench_print(name, spent / RUNS / 1e6, "ms");
}
