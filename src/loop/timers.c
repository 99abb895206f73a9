#include "timers.h"

#include <errno.h>
#include <string.h>

#include "../base/heap.h"
#include "../base/list.h"

/* Deadlines are kept as keys: the sign bit flipped, so that unsigned order is the order of time and a group of bits
 * is a digit of the wheel. Timers are added at the near level (buckets of 2^16 ns, for the next 67 ms) or at a far
 * one. The two levels below it only take the pieces of a window that is too full to be sorted at once.
 *
 * Invariants
 *  - Levels below the one of the first occupied bucket are empty: a bucket is emptied into lower levels
 *    only when it is the first, hence onto empty levels. The reserve (below) rests on this.
 *  - Every key up to `closed` is in the run, in a bucket below the near level, or in the heap; every later one is
 *    in a near or far bucket, at the place that bucket_of() gives for it relative to `origin`.
 *  - A bucket's chunks are full except the last; its last entry is alive. An entry without timer is dead.
 *  - The run is sorted. Of equal keys, those in the run were added before those in the heap.
 *  - A slot is a heap index (SLOT_LATE), or an entry's address with SLOT_NEAR, or without it. The last was written
 *    while the entry was far: it is right unless the timer has since come near (see scatter()). */
enum {
    CHUNK_BYTES = 1024,
    CHUNK_ENTRIES = 62,
    SLAB_CHUNKS = 1024, /* the first of them is the slab's own head */
    DIGIT_BITS = 10,
    BUCKETS = 1 << DIGIT_BITS, /* per level */
    NEAR_LEVEL = 2,
    NEAR_BITS = 16,
    LEVELS = NEAR_LEVEL + (64 - NEAR_BITS + DIGIT_BITS - 1) / DIGIT_BITS,
    FAR = (NEAR_LEVEL + 1) * BUCKETS, /* the first far bucket */
    RUN = LEVELS * BUCKETS,
    /* Chunks that adding leaves free, so that cascading cannot fail. Moving m entries out of c chunks into k
     * empty buckets takes at most c + k - 1 chunks and gives c back, so all that cascades can ever take in
     * total is one chunk for each bucket below the top level, one for the run and the one being emptied.
     * The reserve is address space: its pages stay untouched until a cascade needs them. */
    RESERVE = (LEVELS - 1) * BUCKETS + 2,
    KEEP_FREE = 16 * SLAB_CHUNKS, /* more free chunks than this (and the reserve) go back to the kernel */
    DEAD_SLACK = 4096,            /* dead entries that a sweep tolerates beyond the number of live ones */
    SORT_MAX = 1024,              /* a fuller window is first divided by its next digit */
    INSERTION_MAX = 20,           /* up to so many keys, insertion beats two passes over 256 counters */
    SILENT_CHUNKS = 4,            /* entries that come near in a bucket's first chunks are not told to their timers */
    PREFETCH = 12,                /* entries between asking for a timer's cache line and touching it */
    WINDOWS_AHEAD = 2,            /* occupied windows skipped before the one whose timers are asked for */
    SLOT_LATE = 1,
    SLOT_NEAR = 2,
};

struct entry {
    uint64_t key;
    struct cosy_timer *timer;
};

struct chunk {
    struct chunk *next, *prev;
    struct slab *slab;
    uint16_t bucket;
    uint16_t dead; /* not kept in the run, which is only read forwards */
    struct entry entries[CHUNK_ENTRIES];
};
_Static_assert(sizeof(struct chunk) == CHUNK_BYTES, "an entry's chunk is found by masking its address");

struct slab {
    struct cosy_link link; /* on `roomy` while it has a chunk to give, else on `full` */
    struct chunk *free;
    unsigned used, carved; /* carved: those ever handed out; the others' pages are untouched */
};
_Static_assert(sizeof(struct slab) <= CHUNK_BYTES, "a slab's head takes the place of one chunk");

struct bucket {
    struct entry *end; /* where the next entry goes; NULL: empty; at a chunk's end (aligned): it is full */
    uint64_t min;      /* no key is below; too low after cancelling; valid while not empty */
    struct chunk *first;
    unsigned chunks; /* linked since it was empty */
    bool silent;     /* scatter() leaves the slots of what it adds as they are */
};

struct late {
    uint64_t key, order;
    struct cosy_timer *timer; /* its slot is index * 2 + SLOT_LATE */
};

struct cosy_timers {
    uint64_t origin, closed;
    size_t count, dead; /* armed timers; dead entries */
    struct entry *run;  /* next entry of the run; the rest of it is buckets[RUN]. NULL: empty */
    size_t late_count, late_room;
    struct late *late;   /* binary heap */
    uint64_t late_order; /* of the next late timer */
    uint64_t run_last;   /* a late timer with this key or a later one may be appended to the run */
    unsigned levels;     /* bit n: level n is not empty */
    size_t free_chunks;  /* including those never touched */
    struct cosy_link roomy, full;
    uint64_t words[LEVELS]; /* bit n: occupied[level][n] is not 0 */
    uint64_t occupied[LEVELS][BUCKETS / 64];
    struct bucket buckets[RUN + 1];
    struct entry unsorted[SORT_MAX];
    uint32_t order[2][SORT_MAX];
};

static inline uint64_t key_of(cosy_ns when)
{
    return (uint64_t)when ^ (UINT64_C(1) << 63);
}

static inline cosy_ns when_of(uint64_t key)
{
    return (cosy_ns)(key ^ (UINT64_C(1) << 63));
}

static inline struct chunk *chunk_of(const struct entry *entry)
{
    return (struct chunk *)((uintptr_t)entry & ~(uintptr_t)(CHUNK_BYTES - 1));
}

/* Whether nothing more fits behind `end`: it is NULL or lies at the end of its chunk. */
static inline bool at_chunk_end(const struct entry *end)
{
    return ((uintptr_t)end & (CHUNK_BYTES - 1)) == 0;
}

static inline unsigned shift_of(unsigned level)
{
    return level >= NEAR_LEVEL ? NEAR_BITS + (level - NEAR_LEVEL) * DIGIT_BITS : level * (NEAR_BITS - DIGIT_BITS);
}

/* What follows from the highest bit in which a key differs from the origin: a table is quicker than a division by ten.
 */
static const struct level {
    uint16_t first; /* bucket */
    uint8_t shift;  /* bits */
    uint8_t slot;   /* SLOT_NEAR, or 0 */
} level_of_bit[64] = {
#define LEVEL_OF(bit)                                                                                                  \
    {                                                                                                                  \
        (NEAR_LEVEL + ((bit) < NEAR_BITS ? 0 : ((bit)-NEAR_BITS) / DIGIT_BITS)) * BUCKETS,                             \
            (bit) < NEAR_BITS ? NEAR_BITS : NEAR_BITS + ((bit)-NEAR_BITS) / DIGIT_BITS *DIGIT_BITS,                    \
            (bit) < NEAR_BITS + DIGIT_BITS ? SLOT_NEAR : 0                                                             \
    }
#define LEVELS_OF_8(bit)                                                                                               \
    LEVEL_OF(bit), LEVEL_OF(bit + 1), LEVEL_OF(bit + 2), LEVEL_OF(bit + 3), LEVEL_OF(bit + 4), LEVEL_OF(bit + 5),      \
        LEVEL_OF(bit + 6), LEVEL_OF(bit + 7)
    LEVELS_OF_8(0),  LEVELS_OF_8(8),  LEVELS_OF_8(16), LEVELS_OF_8(24),
    LEVELS_OF_8(32), LEVELS_OF_8(40), LEVELS_OF_8(48), LEVELS_OF_8(56),
};

/* The highest digit in which the key differs from the origin chooses level and bucket. */
static inline const struct level *level_for(uint64_t key, uint64_t origin)
{
    return &level_of_bit[63 ^ __builtin_clzll((key ^ origin) | 1)];
}

static inline unsigned bucket_on(const struct level *level, uint64_t key)
{
    return level->first + (unsigned)((key >> level->shift) & (BUCKETS - 1));
}

static inline unsigned bucket_of(uint64_t key, uint64_t origin)
{
    return bucket_on(level_for(key, origin), key);
}

/* Whether bucket_of gives a near bucket. */
static inline bool is_near(uint64_t key, uint64_t origin)
{
    return (key ^ origin) >> (NEAR_BITS + DIGIT_BITS) == 0;
}

static inline void *slot_of(const struct entry *entry, unsigned index)
{
    return (void *)((uintptr_t)entry | (index < FAR || index == RUN ? SLOT_NEAR : 0));
}

/* ---- chunks ---- */

static bool map_slab(struct cosy_timers *timers)
{
    struct slab *slab = cosy_heap_map((size_t)SLAB_CHUNKS * CHUNK_BYTES);
    if (!slab)
        return false;
    cosy_list_append(&timers->roomy, &slab->link);
    timers->free_chunks += SLAB_CHUNKS - 1;
    return true;
}

static inline struct chunk *take_chunk(struct cosy_timers *timers)
{
    cosy_assert(!cosy_list_empty(&timers->roomy));
    struct slab *slab = container_of(timers->roomy.next, struct slab, link);
    struct chunk *chunk = slab->free;
    if (chunk) {
        slab->free = chunk->next;
    } else {
        chunk = (struct chunk *)slab + 1 + slab->carved++;
        chunk->slab = slab;
    }
    timers->free_chunks--;
    if (++slab->used == SLAB_CHUNKS - 1) {
        cosy_list_remove(&slab->link);
        cosy_list_append(&timers->full, &slab->link);
    }
    return chunk;
}

static inline void put_chunk(struct cosy_timers *timers, struct chunk *chunk)
{
    struct slab *slab = chunk->slab;
    chunk->next = slab->free;
    slab->free = chunk;
    timers->free_chunks++;
    if (slab->used-- == SLAB_CHUNKS - 1) {
        cosy_list_remove(&slab->link);
        cosy_list_append(timers->roomy.next, &slab->link); /* in front: its chunks are warm */
    }
    if (slab->used == 0 && timers->free_chunks >= RESERVE + KEEP_FREE + SLAB_CHUNKS) {
        cosy_list_remove(&slab->link);
        timers->free_chunks -= SLAB_CHUNKS - 1;
        cosy_heap_unmap(slab, (size_t)SLAB_CHUNKS * CHUNK_BYTES);
    }
}

/* Frees a list of chunks. */
static void put_chunks(struct cosy_timers *timers, struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        put_chunk(timers, chunk);
        chunk = next;
    }
}

static inline void link_chunk(struct cosy_timers *timers, unsigned index, struct chunk *chunk)
{
    struct bucket *bucket = &timers->buckets[index];
    struct chunk *last = bucket->end ? chunk_of(bucket->end - 1) : NULL;
    chunk->bucket = (uint16_t)index;
    chunk->dead = 0;
    chunk->next = NULL;
    chunk->prev = last;
    bucket->end = chunk->entries;
    if (last) {
        last->next = chunk;
        bucket->silent = index / BUCKETS == NEAR_LEVEL && ++bucket->chunks <= SILENT_CHUNKS;
        return;
    }
    bucket->first = chunk;
    bucket->min = UINT64_MAX;
    bucket->chunks = 1;
    bucket->silent = index / BUCKETS == NEAR_LEVEL;
    if (index != RUN) {
        timers->occupied[index / BUCKETS][index % BUCKETS / 64] |= UINT64_C(1) << (index % 64);
        timers->words[index / BUCKETS] |= UINT64_C(1) << (index % BUCKETS / 64);
        timers->levels |= 1u << (index / BUCKETS);
    }
}

/* For a bucket whose chunks are gone or have been taken over. */
static inline void clear_bucket(struct cosy_timers *timers, unsigned index)
{
    timers->buckets[index].end = NULL;
    timers->buckets[index].first = NULL;
    const unsigned level = index / BUCKETS, word = index % BUCKETS / 64;
    if (timers->occupied[level][word] &= ~(UINT64_C(1) << (index % 64)))
        return;
    if (timers->words[level] &= ~(UINT64_C(1) << word))
        return;
    timers->levels &= ~(1u << level);
}

static unsigned first_occupied(const struct cosy_timers *timers)
{
    unsigned level = (unsigned)__builtin_ctz(timers->levels);
    unsigned word = (unsigned)__builtin_ctzll(timers->words[level]);
    return level * BUCKETS + word * 64 + (unsigned)__builtin_ctzll(timers->occupied[level][word]);
}

static inline struct entry *append(struct bucket *bucket, uint64_t key, struct cosy_timer *timer)
{
    struct entry *entry = bucket->end;
    entry->key = key;
    entry->timer = timer;
    bucket->end = entry + 1;
    if (key < bucket->min)
        bucket->min = key;
    return entry;
}

/* ---- late timers: the heap ---- */

static inline bool late_before(const struct late *a, const struct late *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static inline void late_place(struct cosy_timers *timers, size_t at, struct late one)
{
    timers->late[at] = one;
    one.timer->slot = (void *)(uintptr_t)(at * 2 + SLOT_LATE);
}

/* Finds the place for `one`, beginning at the hole `at`. */
static void late_settle(struct cosy_timers *timers, size_t at, struct late one)
{
    struct late *late = timers->late;
    while (at > 0 && late_before(&one, &late[(at - 1) / 2])) {
        late_place(timers, at, late[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < timers->late_count && late_before(&late[child + 1], &late[child]))
            child++;
        if (child >= timers->late_count || !late_before(&late[child], &one))
            break;
        late_place(timers, at, late[child]);
        at = child;
    }
    late_place(timers, at, one);
}

static int late_push(struct cosy_timers *timers, struct cosy_timer *timer, uint64_t key)
{
    if (timers->late_count == timers->late_room) {
        size_t room = timers->late_room ? timers->late_room * 2 : 64;
        struct late *late = cosy_heap_resize(timers->late, room * sizeof *late);
        if (!late)
            return -ENOMEM;
        timers->late = late;
        timers->late_room = room;
    }
    size_t at = timers->late_count++;
    late_settle(timers, at, (struct late){key, timers->late_order++, timer});
    return 0;
}

static void late_remove(struct cosy_timers *timers, size_t at)
{
    struct late last = timers->late[--timers->late_count];
    if (at < timers->late_count)
        late_settle(timers, at, last);
    if (timers->late_count == 0 && timers->late_room > DEAD_SLACK) {
        cosy_heap_free(timers->late);
        timers->late = NULL;
        timers->late_room = 0;
    }
}

static __attribute__((noinline)) void cancel_late(struct cosy_timers *timers, struct cosy_timer *timer)
{
    late_remove(timers, (uintptr_t)timer->slot / 2);
    timers->count--;
    timer->slot = NULL;
}

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

/* ---- sorting a window ---- */

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

/* Writes the gathered entries in order over the bucket's own chunks; returns the new end. */
static struct entry *write_sorted(struct cosy_timers *timers, unsigned index, unsigned n)
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
    put_chunks(timers, chunk->next);
    chunk->next = NULL;
    return to;
}

struct gathered {
    size_t live, dead;
    bool sorted;
};

/* Copies the first SORT_MAX live entries of a bucket and tells whether all are in order already. */
static struct gathered gather(struct cosy_timers *timers, const struct bucket *bucket)
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

/* The entry of a timer whose slot was written before it came near. */
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

/* ---- the wheel turns ---- */

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
    struct gathered found = gather(timers, bucket);
    if (found.sorted) {
        end_silence(bucket);
        become_run(timers, index, bucket->end);
    } else if (found.live <= SORT_MAX) {
        timers->dead -= found.dead;
        become_run(timers, index, write_sorted(timers, index, (unsigned)found.live));
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

/* Enters the buckets whose time has come until there is a run. */
static void advance(struct cosy_timers *timers, uint64_t now)
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

/* ---- sweeping dead entries ---- */

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
    put_chunks(timers, out->next);
    out->next = NULL;
    return to;
}

static cosy_cold void sweep(struct cosy_timers *timers)
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
        if (!map_slab(timers)) {
            cosy_timers_free(timers);
            return NULL;
        }
    return timers;
}

static void unmap_slabs(struct cosy_link *head)
{
    while (!cosy_list_empty(head)) {
        struct slab *slab = container_of(head->next, struct slab, link);
        cosy_list_remove(&slab->link);
        cosy_heap_unmap(slab, (size_t)SLAB_CHUNKS * CHUNK_BYTES);
    }
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
    unmap_slabs(&timers->roomy);
    unmap_slabs(&timers->full);
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
    if (timers->free_chunks <= RESERVE && !map_slab(timers))
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
        int code = late_push(timers, timer, key);
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
        cancel_late(timers, timer);
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
        sweep(timers);
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
        advance(timers, now);
        head = run_head(timers);
    }
    if (timers->late_count && (!head || timers->late[0].key < head->key)) {
        struct cosy_timer *timer = timers->late[0].timer;
        if (timers->late[0].key > now)
            return NULL;
        cancel_late(timers, timer);
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
