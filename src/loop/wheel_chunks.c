/* wheel_chunks.c - the wheel's memory: slabs of chunks, and the gaps that cancelled timers leave in them. */
#include "wheel.h"

/* ---- the store ---- */

bool cosy_wheel_map_slab(struct cosy_timers *timers)
{
    struct slab *slab = cosy_heap_map((size_t)SLAB_CHUNKS * CHUNK_BYTES);
    if (!slab)
        return false;
    cosy_list_append(&timers->roomy, &slab->link);
    timers->free_chunks += SLAB_CHUNKS - 1;
    return true;
}

void cosy_wheel_unmap_slabs(struct cosy_link *head)
{
    while (!cosy_list_empty(head)) {
        struct slab *slab = container_of(head->next, struct slab, link);
        cosy_list_remove(&slab->link);
        cosy_heap_unmap(slab, (size_t)SLAB_CHUNKS * CHUNK_BYTES);
    }
}

void cosy_wheel_put_chunks(struct cosy_timers *timers, struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        put_chunk(timers, chunk);
        chunk = next;
    }
}

/* ---- dead entries ---- */

/* Closes the gaps from `from` to the list's end, keeping the order. Returns the new end. */
static struct entry *close_gaps(struct cosy_timers *timers, struct entry *from, unsigned index)
{
    struct bucket *bucket = &timers->buckets[index];
    struct chunk *out = chunk_of(from);
    struct entry *to = from;
    bucket->min = UINT64_MAX;
    for (struct chunk *in = out; in; in = in->next) {
        unsigned n = in->next ? CHUNK_ENTRIES : (unsigned)(bucket->end - in->entries);
        in->dead = 0;
        for (unsigned i = in == chunk_of(from) ? (unsigned)(from - in->entries) : 0; i < n; i++) {
            const struct entry *entry = &in->entries[i];
            if (!entry->timer)
                continue;
            if (at_chunk_end(to)) {
                out = out->next;
                to = out->entries;
            }
            if (entry->key < bucket->min)
                bucket->min = entry->key;
            if (entry != to) {
                *to = *entry;
                to->timer->slot = slot_of(to, index);
            }
            to++;
        }
    }
    cosy_wheel_put_chunks(timers, out->next);
    out->next = NULL;
    return to;
}

cosy_cold void cosy_wheel_sweep(struct cosy_timers *timers)
{
    for (unsigned index = 0; index < RUN; index++) {
        struct bucket *bucket = &timers->buckets[index];
        if (bucket->end)
            bucket->end = close_gaps(timers, bucket->first->entries, index);
    }
    struct bucket *run = &timers->buckets[RUN];
    if (timers->run) {
        run->end = close_gaps(timers, timers->run, RUN);
        if (run->end == timers->run) {
            put_chunk(timers, run->first);
            run->first = NULL;
            timers->run = run->end = NULL;
        }
    }
    timers->dead = 0;
}
