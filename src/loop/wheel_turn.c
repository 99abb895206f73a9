/* wheel_turn.c - time goes on: far buckets are scattered over nearer ones, and the window whose time has come becomes
 * the run. */
#include "wheel.h"

/* Tells the timers of a bucket that becomes the run as it is where their entries are. */
static void end_silence(const struct bucket *bucket)
{
    unsigned left = SILENT_CHUNKS;
    for (struct chunk *chunk = bucket->first; chunk && left--; chunk = chunk->next) {
        const struct entry *stop = chunk->next ? chunk->entries + CHUNK_ENTRIES : bucket->end;
        for (struct entry *entry = chunk->entries; entry != stop; entry++)
            if (entry->timer)
                entry->timer->slot = slot_of(entry, RUN);
    }
}

/* Makes a bucket's list, from its first chunk to `end`, the run. */
static void become_run(struct cosy_timers *timers, unsigned index, struct entry *end)
{
    struct bucket *bucket = &timers->buckets[index], *run = &timers->buckets[RUN];
    for (struct chunk *chunk = bucket->first; chunk; chunk = chunk->next)
        chunk->bucket = RUN;
    run->first = bucket->first;
    run->end = end;
    timers->run = run->first->entries;
    if (index / BUCKETS == NEAR_LEVEL)
        timers->run_last = end[-1].key;
    clear_bucket(timers, index);
}

/* Where an entry of the bucket `index`, which is entered now, goes. */
static inline unsigned lower_bucket_of(uint64_t key, uint64_t origin, unsigned index)
{
    if (likely(index >= FAR))
        return bucket_of(key, origin);
    const unsigned level = index / BUCKETS - 1;
    return level * BUCKETS + (unsigned)((key >> shift_of(level)) & (BUCKETS - 1));
}

/* Moves the entries of a bucket, whose first key is timers->origin, to lower levels.
 *
 * Telling each timer where its entry is now would be a cache miss per timer, the dearest part of a cascade, for
 * something that few will ask: who is near will fire within 67 ms, and then the miss must be paid anyway. So
 * near buckets take their first entries silently, and cancelling a timer looks for its entry there. */
static void scatter(struct cosy_timers *timers, unsigned index)
{
    const struct bucket bucket = timers->buckets[index];
    const uint64_t origin = timers->origin;
    clear_bucket(timers, index);
    for (struct chunk *chunk = bucket.first, *next; chunk; chunk = next) {
        unsigned n = chunk->next ? CHUNK_ENTRIES : (unsigned)(bucket.end - chunk->entries);
        for (unsigned i = 0; i < n; i++) {
            const struct entry entry = chunk->entries[i];
            if (unlikely(!entry.timer)) {
                timers->dead--;
                continue;
            }
            unsigned target = lower_bucket_of(entry.key, origin, index);
            struct bucket *to = &timers->buckets[target];
            if (unlikely(at_chunk_end(to->end)))
                link_chunk(timers, target, take_chunk(timers));
            struct entry *moved = append(to, entry.key, entry.timer);
            if (!to->silent)
                entry.timer->slot = slot_of(moved, target);
        }
        next = chunk->next;
        put_chunk(timers, chunk);
    }
}

/* Opens a near bucket or one below: it becomes the run, or is divided into narrower ones. */
static void open_window(struct cosy_timers *timers, unsigned index)
{
    struct bucket *bucket = &timers->buckets[index];
    if (index / BUCKETS == NEAR_LEVEL)
        timers->closed = timers->origin | 0xffff;
    struct gathered found = cosy_wheel_gather(timers, bucket);
    if (found.sorted) {
        end_silence(bucket);
        become_run(timers, index, bucket->end);
    } else if (found.live <= SORT_MAX) {
        timers->dead -= found.dead;
        become_run(timers, index, cosy_wheel_write_sorted(timers, index, (unsigned)found.live));
    } else {
        timers->run_last = UINT64_MAX; /* the run ends before buckets that are not sorted yet */
        scatter(timers, index);
    }
}

/* Sparse windows are opened one by one, too late for prefetches of their own: begin some windows ahead.
 * Always inline: gcc takes a function that only prefetches for one without effect and drops the call. */
static inline __attribute__((always_inline)) void prefetch_windows_ahead(const struct cosy_timers *timers,
                                                                         unsigned index)
{
    uint64_t map = timers->occupied[index / BUCKETS][index % BUCKETS / 64];
    for (unsigned i = 0; i < WINDOWS_AHEAD; i++)
        map &= map - (map != 0);
    if (!map)
        return;
    const struct bucket *bucket = &timers->buckets[index / 64 * 64 + (unsigned)__builtin_ctzll(map)];
    const struct entry *entry = bucket->first->entries;
    for (unsigned i = 0; i < PREFETCH && entry != bucket->end; i++, entry++)
        __builtin_prefetch(entry->timer, 1);
}

void cosy_wheel_advance(struct cosy_timers *timers, uint64_t now)
{
    while (!timers->run && timers->levels) {
        unsigned index = first_occupied(timers), shift = shift_of(index / BUCKETS);
        uint64_t min = timers->buckets[index].min, start = min >> shift << shift;
        if ((index >= FAR ? start : min) > now)
            break;
        timers->origin = start;
        if (index >= FAR) {
            timers->closed = start - 1; /* start > 0: it is beyond the former origin */
            scatter(timers, index);
        } else {
            open_window(timers, index);
            prefetch_windows_ahead(timers, index);
        }
    }
    /* No bucket lies between: follow the time, so that new timers find low levels. */
    uint64_t window = now & ~UINT64_C(0xffff);
    if (!timers->run && window > timers->closed) {
        timers->origin = window;
        timers->closed = window - 1;
    }
}
