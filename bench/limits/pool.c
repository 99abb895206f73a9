/* Stacks for the limits: one mapping, fixed stride, the task in the top cache lines of its stack. */
#include "limits.h"

void **limit_ring, **limit_ring_end, **limit_cursor;

void limit_pool_open(struct limit_pool *pool, size_t count, size_t stride, unsigned colours)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    *pool = (struct limit_pool){.stride = stride, .count = count, .colours = colours};
    pool->base = bench_need(mmap(NULL, count * stride, PROT_READ | PROT_WRITE, flags, -1, 0));
    pool->free = bench_need(calloc(count, sizeof(struct limit_task *)));
    madvise(pool->base, count * stride, MADV_NOHUGEPAGE);
}

void limit_pool_close(struct limit_pool *pool)
{
    munmap(pool->base, pool->count * pool->stride);
}

struct limit_task *limit_task_carve(struct limit_pool *pool)
{
    if (pool->used == pool->count) {
        fprintf(stderr, "limits: pool of %zu stacks is empty\n", pool->count);
        exit(1);
    }
    size_t i = pool->used++;
    /* Five lines apart: nearer, the frames of a parent and its child collide in the low twelve bits of their addresses.
     */
    size_t colour = pool->colours ? (i * 5 % pool->colours) * 64 : 0;
    /* At the middle of a line: the header's first half shares its line with the top of the frames, so that a parked
     * task is two lines and not three. */
    return (struct limit_task *)(void *)(pool->base + (i + 1) * pool->stride - 96 - colour);
}
