/* timers.c - the wheel's public face: timers enter buckets, and leave by the run.
 *
 * What cancelling calls now and then (trim, drop_chunk, find_silent) stands here too: the compiler sees which registers
 * a function of the same file leaves alone, and need not save those around each cancel. */
#include <errno.h>

#include "wheel.h"

/* ---- the run ---- */

/* The run's next entry lies behind its first chunk. */
static __attribute__((noinline)) void run_next_chunk(struct cosy_timers *timers)
{
    struct bucket *run = &timers->buckets[RUN];
    struct chunk *chunk = run->first;
    run->first = chunk->next;
    if (chunk->next) {
        chunk->next->prev = NULL;
        timers->run = chunk->next->entries;
    } else {
        timers->run = run->end = NULL;
    }
    put_chunk(timers, chunk);
}

static inline void run_step(struct cosy_timers *timers)
{
    struct entry *next = ++timers->run;
    if (unlikely(next == timers->buckets[RUN].end || at_chunk_end(next)))
        run_next_chunk(timers);
}

/* The run's first live entry or NULL; steps over dead ones. */
static struct entry *run_head(struct cosy_timers *timers)
{
    while (timers->run && !timers->run->timer) {
        timers->dead--;
        run_step(timers);
    }
    return timers->run;
}

static inline struct cosy_timer *run_take(struct cosy_timers *timers)
{
    struct cosy_timer *timer = timers->run->timer;
    const struct entry *ahead = timers->run + PREFETCH;
    if (chunk_of(ahead) == chunk_of(timers->run))
        __builtin_prefetch(ahead->timer, 1);
    run_step(timers);
    timers->count--;
    timer->slot = NULL;
    return timer;
}

/* ---- gaps that close at once ---- */

/* Takes back the bucket's last entry, which is dead, and all dead ones before it. */
static __attribute__((noinline)) void trim(struct cosy_timers *timers, unsigned index)
{
    struct bucket *bucket = &timers->buckets[index];
    for (;;) {
        struct chunk *chunk = chunk_of(bucket->end - 1);
        if (--bucket->end == chunk->entries) {
            struct chunk *prev = chunk->prev;
            put_chunk(timers, chunk);
            if (!prev) {
                clear_bucket(timers, index);
                return;
            }
            prev->next = NULL;
            bucket->end = prev->entries + CHUNK_ENTRIES;
            chunk = prev;
        }
        if (bucket->end[-1].timer)
            return;
        chunk->dead--;
        timers->dead--;
    }
}

/* Gives back a chunk that is all dead. It is not its bucket's last one, for that ends in a live entry. */
static __attribute__((noinline)) void drop_chunk(struct cosy_timers *timers, struct chunk *chunk)
{
    chunk->next->prev = chunk->prev;
    if (chunk->prev)
        chunk->prev->next = chunk->next;
    else
        timers->buckets[chunk->bucket].first = chunk->next;
    timers->dead -= CHUNK_ENTRIES;
    put_chunk(timers, chunk);
}

/* ---- the public face ---- */

struct cosy_timers *cosy_timers_new(cosy_ns now)
{
    /* Mapped, not allocated: most of the buckets are never touched. */
    struct cosy_timers *timers = cosy_heap_map(sizeof *timers);
    if (!timers)
        return NULL;
    timers->origin = key_of(now) & ~UINT64_C(0xffff);
    timers->closed = timers->origin | 0xffff;
    cosy_list_init(&timers->roomy);
    cosy_list_init(&timers->full);
    while (timers->free_chunks <= RESERVE)
        if (!cosy_wheel_map_slab(timers)) {
            cosy_timers_free(timers);
            return NULL;
        }
    return timers;
}

void cosy_timers_free(struct cosy_timers *timers)
{
    if (!timers)
        return;
    for (struct entry *head; (head = run_head(timers));)
        run_take(timers);
    while (timers->levels) {
        const unsigned index = first_occupied(timers);
        const struct bucket *bucket = &timers->buckets[index];
        for (struct chunk *chunk = bucket->first; chunk; chunk = chunk->next) {
            const struct entry *stop = chunk->next ? chunk->entries + CHUNK_ENTRIES : bucket->end;
            for (const struct entry *entry = chunk->entries; entry != stop; entry++)
                if (entry->timer)
                    entry->timer->slot = NULL;
        }
        clear_bucket(timers, index);
    }
    for (size_t i = 0; i < timers->late_count; i++)
        timers->late[i].timer->slot = NULL;
    cosy_heap_free(timers->late);
    cosy_wheel_unmap_slabs(&timers->roomy);
    cosy_wheel_unmap_slabs(&timers->full);
    cosy_heap_unmap(timers, sizeof *timers);
}

static inline int arm(struct cosy_timers *timers, unsigned index, struct cosy_timer *timer, uint64_t key, unsigned slot)
{
    timer->slot = (void *)((uintptr_t)append(&timers->buckets[index], key, timer) | slot);
    timers->count++;
    timer->when = when_of(key);
    return 0;
}

static __attribute__((noinline)) int arm_in_new_chunk(struct cosy_timers *timers, struct cosy_timer *timer,
                                                      uint64_t key, unsigned index, unsigned slot)
{
    if (timers->free_chunks <= RESERVE && !cosy_wheel_map_slab(timers))
        return -ENOMEM;
    link_chunk(timers, index, take_chunk(timers));
    return arm(timers, index, timer, key, slot);
}

/* A key whose window is closed. Those that come in order (the usual case: short delays, zero delays) continue
 * the run; where that would break an order, the heap. */
static __attribute__((noinline)) int arm_late(struct cosy_timers *timers, struct cosy_timer *timer, uint64_t key)
{
    const bool divided = timers->levels & ((1u << NEAR_LEVEL) - 1), idle = !timers->run && !timers->late_count;
    if (divided || (key < timers->run_last && !idle)) {
        int code = cosy_wheel_late_push(timers, timer, key);
        if (code == 0) {
            timers->count++;
            timer->when = when_of(key);
        }
        return code;
    }
    struct bucket *run = &timers->buckets[RUN];
    int code = at_chunk_end(run->end) ? arm_in_new_chunk(timers, timer, key, RUN, SLOT_NEAR)
                                      : arm(timers, RUN, timer, key, SLOT_NEAR);
    if (code < 0)
        return code;
    timers->run_last = key;
    if (!timers->run)
        timers->run = run->first->entries;
    return 0;
}

int cosy_timers_add(struct cosy_timers *timers, struct cosy_timer *timer, cosy_ns when)
{
    cosy_assert(!timer->slot);
    const uint64_t key = key_of(when);
    if (unlikely(key <= timers->closed))
        return arm_late(timers, timer, key);
    const struct level *level = level_for(key, timers->origin);
    const unsigned index = bucket_on(level, key);
    if (unlikely(at_chunk_end(timers->buckets[index].end)))
        return arm_in_new_chunk(timers, timer, key, index, level->slot);
    return arm(timers, index, timer, key, level->slot);
}

/* The entry of a timer whose slot was written before it came near (end_silence in wheel_turn.c). */
static __attribute__((noinline)) struct entry *find_silent(const struct bucket *bucket, const struct cosy_timer *timer)
{
    unsigned left = SILENT_CHUNKS;
    for (struct chunk *chunk = bucket->first; chunk && left--; chunk = chunk->next) {
        const struct entry *stop = chunk->next ? chunk->entries + CHUNK_ENTRIES : bucket->end;
        for (struct entry *entry = chunk->entries; entry != stop; entry++)
            if (entry->timer == timer)
                return entry;
    }
    return NULL;
}

/* The entry that an armed timer's slot stands for. */
static inline struct entry *entry_of(struct cosy_timers *timers, const struct cosy_timer *timer, uintptr_t slot)
{
    if (!(slot & SLOT_NEAR)) {
        uint64_t key = key_of(timer->when);
        if (unlikely(is_near(key, timers->origin)))
            return find_silent(&timers->buckets[bucket_of(key, timers->origin)], timer);
    }
    return (struct entry *)(slot & ~(uintptr_t)SLOT_NEAR);
}

bool cosy_timers_cancel(struct cosy_timers *timers, struct cosy_timer *timer)
{
    const uintptr_t slot = (uintptr_t)timer->slot;
    if (!slot)
        return false;
    if (unlikely(slot & SLOT_LATE)) {
        cosy_wheel_cancel_late(timers, timer);
        return true;
    }
    struct entry *entry = entry_of(timers, timer, slot);
    cosy_assert(entry && entry->timer == timer);
    struct chunk *chunk = chunk_of(entry);
    timer->slot = entry->timer = NULL;
    timers->count--;
    if (likely(chunk->bucket != RUN)) {
        if (entry + 1 == timers->buckets[chunk->bucket].end) {
            trim(timers, chunk->bucket);
            return true;
        }
        chunk->dead++;
    }
    timers->dead++;
    if (unlikely(chunk->dead == CHUNK_ENTRIES))
        drop_chunk(timers, chunk);
    if (unlikely(timers->dead > timers->count + DEAD_SLACK))
        cosy_wheel_sweep(timers);
    return true;
}

cosy_ns cosy_timers_next(struct cosy_timers *timers)
{
    uint64_t next = UINT64_MAX;
    const struct entry *head = run_head(timers);
    if (head)
        next = head->key;
    else if (timers->levels)
        next = timers->buckets[first_occupied(timers)].min;
    if (timers->late_count && timers->late[0].key < next)
        next = timers->late[0].key;
    return when_of(next);
}

static __attribute__((noinline)) struct cosy_timer *pop_slowly(struct cosy_timers *timers, uint64_t now)
{
    const struct entry *head = run_head(timers);
    if (!head) {
        cosy_wheel_advance(timers, now);
        head = run_head(timers);
    }
    if (timers->late_count && (!head || timers->late[0].key < head->key)) {
        struct cosy_timer *timer = timers->late[0].timer;
        if (timers->late[0].key > now)
            return NULL;
        cosy_wheel_cancel_late(timers, timer);
        return timer;
    }
    return head && head->key <= now ? run_take(timers) : NULL;
}

struct cosy_timer *cosy_timers_pop(struct cosy_timers *timers, cosy_ns now)
{
    const struct entry *head = timers->run;
    if (likely(head && head->timer && !timers->late_count))
        return head->key <= key_of(now) ? run_take(timers) : NULL;
    return pop_slowly(timers, key_of(now));
}

size_t cosy_timers_count(const struct cosy_timers *timers)
{
    return timers->count;
}
