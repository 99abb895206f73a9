/* wheel.h - the inside of the timing wheel: what the rooms of timers.h share.
 *
 * timers.c is the public face and takes timers from the run; wheel_turn.c moves time on and buckets down; wheel_sort.c
 * brings a window into order; wheel_chunks.c keeps the memory and sweeps; wheel_late.c is the heap of late-comers.
 *
 * Deadlines are kept as keys: the sign bit flipped, so that unsigned order is the order of time and a group of bits
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
 *    while the entry was far: it is right unless the timer has since come near (see scatter() in wheel_turn.c). */
#ifndef COSY_LOOP_WHEEL_H
#define COSY_LOOP_WHEEL_H

#include "../base/heap.h"
#include "../base/list.h"
#include "timers.h"

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

/* ---- chunks (wheel_chunks.c) ---- */

bool cosy_wheel_map_slab(struct cosy_timers *timers); /* room for more chunks; false without memory */
void cosy_wheel_unmap_slabs(struct cosy_link *head);
void cosy_wheel_put_chunks(struct cosy_timers *timers, struct chunk *chunk); /* frees a list of them */

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

/* ---- buckets ---- */

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

static inline unsigned first_occupied(const struct cosy_timers *timers)
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

/* ---- dead entries (wheel_chunks.c) ---- */

/* Closes all gaps, keeping the order. */
void cosy_wheel_sweep(struct cosy_timers *timers);

/* ---- late timers: the heap (wheel_late.c) ---- */

int cosy_wheel_late_push(struct cosy_timers *timers, struct cosy_timer *timer, uint64_t key); /* 0 or -ENOMEM */
void cosy_wheel_cancel_late(struct cosy_timers *timers, struct cosy_timer *timer);

/* ---- a window in order (wheel_sort.c) ---- */

struct gathered {
    size_t live, dead;
    bool sorted;
};
/* Copies the first SORT_MAX live entries of a bucket and tells whether all are in order already. */
struct gathered cosy_wheel_gather(struct cosy_timers *timers, const struct bucket *bucket);
/* Writes the gathered entries in order over the bucket's own chunks; returns the new end. */
struct entry *cosy_wheel_write_sorted(struct cosy_timers *timers, unsigned index, unsigned n);

/* ---- the wheel turns (wheel_turn.c) ---- */

/* Enters the buckets whose time has come until there is a run. */
void cosy_wheel_advance(struct cosy_timers *timers, uint64_t now);

#endif
