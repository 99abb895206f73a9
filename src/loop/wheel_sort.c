/* wheel_sort.c - a window's entries in order: gathered as 32-bit keys, sorted by insertion or by digits, written back
 * over their own chunks. */
#include <string.h>

#include "wheel.h"

static void sort_by_insertion(uint32_t *keys, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        uint32_t key = keys[i];
        unsigned j = i;
        for (; j > 0 && keys[j - 1] > key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

static void sort_by_digit(const uint32_t *from, uint32_t *to, unsigned n, uint16_t *starts, unsigned shift)
{
    unsigned sum = 0;
    for (unsigned digit = 0; digit < 256; digit++) {
        unsigned here = starts[digit];
        starts[digit] = (uint16_t)sum;
        sum += here;
    }
    for (unsigned i = 0; i < n; i++)
        to[starts[(from[i] >> shift) & 255]++] = from[i];
}

static unsigned count_digit(const uint32_t *keys, unsigned n, uint16_t *counts, unsigned shift)
{
    unsigned most = 0;
    memset(counts, 0, 256 * sizeof *counts);
    for (unsigned i = 0; i < n; i++) {
        unsigned count = ++counts[(keys[i] >> shift) & 255];
        most = count > most ? count : most;
    }
    return most;
}

/* Sorts order[0] and returns the sorted array. The low halves, which are ascending, make the keys unique. Keys that
 * spread are all but in order after a pass by their upper digit; those that crowd are sorted by both digits. */
static const uint32_t *sort_keys(struct cosy_timers *timers, unsigned n)
{
    uint32_t *keys = timers->order[0], *other = timers->order[1];
    uint16_t counts[256];
    if (n <= INSERTION_MAX) {
        sort_by_insertion(keys, n);
        return keys;
    }
    unsigned most = count_digit(keys, n, counts, 24);
    if (most <= INSERTION_MAX) {
        sort_by_digit(keys, other, n, counts, 24);
        sort_by_insertion(other, n);
        return other;
    }
    count_digit(keys, n, counts, 16);
    sort_by_digit(keys, other, n, counts, 16);
    if (most == n)
        return other;
    count_digit(other, n, counts, 24);
    sort_by_digit(other, keys, n, counts, 24);
    return keys;
}

struct entry *cosy_wheel_write_sorted(struct cosy_timers *timers, unsigned index, unsigned n)
{
    const uint32_t *order = sort_keys(timers, n);
    struct chunk *chunk = timers->buckets[index].first;
    struct entry *to = chunk->entries;
    for (unsigned i = 0; i < n; i++) {
        if (at_chunk_end(to)) {
            chunk = chunk->next;
            to = chunk->entries;
        }
        *to = timers->unsorted[order[i] & 0xffff];
        to->timer->slot = slot_of(to, RUN);
        to++;
    }
    cosy_wheel_put_chunks(timers, chunk->next);
    chunk->next = NULL;
    return to;
}

struct gathered cosy_wheel_gather(struct cosy_timers *timers, const struct bucket *bucket)
{
    struct gathered found = {.sorted = true};
    uint64_t last = 0;
    for (const struct chunk *chunk = bucket->first; chunk; chunk = chunk->next) {
        const struct entry *stop = chunk->next ? chunk->entries + CHUNK_ENTRIES : bucket->end;
        for (const struct entry *entry = chunk->entries; entry != stop; entry++) {
            if (!entry->timer) {
                found.dead++;
                continue;
            }
            if (likely(found.live < SORT_MAX)) {
                __builtin_prefetch(entry->timer, 1);
                timers->unsorted[found.live] = *entry;
                timers->order[0][found.live] = (uint32_t)((entry->key & 0xffff) << 16 | found.live);
            }
            found.live++;
            found.sorted &= entry->key >= last;
            last = entry->key;
        }
    }
    return found;
}
