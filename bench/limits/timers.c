/*
 * timer_fire (and timer_cancel_lazy, to compare with timer_list.c) on a hierarchical wheel of buckets. A bucket is a
 * chain of chunks that are only appended to; an entry is 16 bytes, so a bucket is read and written in sequence.
 * Cancelling adds one to the timer's generation: the entry stays and is recognised as dead when its bucket is reached,
 * or when more than half of all entries are dead and a sweep removes them.
 */
#include "limits.h"

enum { LEVELS = 5, SLOT_BITS = 8, SLOTS = 1 << SLOT_BITS, TICK_BITS = 16, CHUNK_ENTRIES = 255, AHEAD = 12 };

struct timer {
    void (*fire)(struct timer *);
};

struct entry {
    uint64_t deadline;
    uint32_t id, generation;
};

struct chunk {
    struct chunk *next;
    uint64_t used;
    struct entry entries[CHUNK_ENTRIES];
};

struct wheel {
    uint64_t tick; /* everything before it has fired */
    struct chunk *slots[LEVELS][SLOTS];
    struct chunk *spare;
    struct timer *timers;
    uint32_t *generations; /* apart from the timers: a sweep reads nothing else */
    long entries, dead;
};

static struct wheel wheel;
static long fired;

static void count_fired(struct timer *timer)
{
    (void)timer;
    fired++;
}

static struct chunk *new_chunk(struct chunk *next)
{
    struct chunk *chunk = wheel.spare;
    if (chunk)
        wheel.spare = chunk->next;
    else
        chunk = bench_need(malloc(sizeof *chunk));
    chunk->next = next;
    chunk->used = 0;
    return chunk;
}

/* A timer's tick is rounded up, so that it never fires early. */
static uint64_t tick_of(uint64_t deadline)
{
    return (deadline + (1u << TICK_BITS) - 1) >> TICK_BITS;
}

static void place(struct entry entry)
{
    uint64_t tick = tick_of(entry.deadline), distance = tick - wheel.tick;
    int level = distance < SLOTS ? 0 : (63 - __builtin_clzll(distance)) / SLOT_BITS;
    struct chunk **slot = &wheel.slots[level][(tick >> (level * SLOT_BITS)) % SLOTS];
    if (!*slot || (*slot)->used == CHUNK_ENTRIES)
        *slot = new_chunk(*slot);
    (*slot)->entries[(*slot)->used++] = entry;
}

static void start(uint32_t id, uint64_t deadline)
{
    wheel.entries++;
    place((struct entry){deadline, id, wheel.generations[id]});
}

static bool alive(const struct entry *entry)
{
    return wheel.generations[entry->id] == entry->generation;
}

static void sweep_slot(struct chunk **slot)
{
    struct chunk *old = *slot;
    *slot = NULL;
    while (old) {
        for (uint64_t i = 0; i < old->used; i++) {
            if (i + AHEAD < old->used)
                __builtin_prefetch(&wheel.generations[old->entries[i + AHEAD].id]);
            if (!alive(&old->entries[i]))
                continue;
            if (!*slot || (*slot)->used == CHUNK_ENTRIES)
                *slot = new_chunk(*slot);
            (*slot)->entries[(*slot)->used++] = old->entries[i];
        }
        struct chunk *done = old;
        old = old->next;
        done->next = wheel.spare;
        wheel.spare = done;
    }
}

static void cancel(uint32_t id)
{
    wheel.generations[id]++;
    if (++wheel.dead <= wheel.entries / 2)
        return;
    for (int level = 0; level < LEVELS; level++)
        for (int slot = 0; slot < SLOTS; slot++)
            sweep_slot(&wheel.slots[level][slot]);
    wheel.entries -= wheel.dead;
    wheel.dead = 0;
}

static struct chunk *take_slot(int level, uint64_t tick)
{
    struct chunk **slot = &wheel.slots[level][(tick >> (level * SLOT_BITS)) % SLOTS], *chunks = *slot;
    *slot = NULL;
    return chunks;
}

static struct chunk *recycle(struct chunk *chunk)
{
    struct chunk *next = chunk->next;
    chunk->next = wheel.spare;
    wheel.spare = chunk;
    return next;
}

static void fire_slot(struct chunk *chunk)
{
    for (; chunk; chunk = recycle(chunk))
        for (uint64_t i = 0; i < chunk->used; i++) {
            if (i + AHEAD < chunk->used)
                __builtin_prefetch(&wheel.timers[chunk->entries[i + AHEAD].id]);
            struct timer *timer = &wheel.timers[chunk->entries[i].id];
            if (alive(&chunk->entries[i]))
                timer->fire(timer);
            wheel.entries--;
        }
}

static void advance(uint64_t now)
{
    for (uint64_t last = now >> TICK_BITS; wheel.tick < last;) {
        wheel.tick++;
        for (int level = LEVELS - 1; level > 0; level--)
            if ((wheel.tick & ((1ull << (level * SLOT_BITS)) - 1)) == 0)
                for (struct chunk *chunk = take_slot(level, wheel.tick); chunk; chunk = recycle(chunk))
                    for (uint64_t i = 0; i < chunk->used; i++)
                        place(chunk->entries[i]);
        fire_slot(take_slot(0, wheel.tick));
    }
}

/* Chunks and timers of an earlier round are used again: a runtime's allocator keeps them too. */
static void wheel_open(long size)
{
    struct timer *timers = wheel.timers ? wheel.timers : bench_need(calloc((size_t)size, sizeof *timers));
    uint32_t *generations = wheel.timers ? wheel.generations : bench_need(calloc((size_t)size, sizeof *generations));
    wheel = (struct wheel){.tick = (uint64_t)bench_wall_ns() >> TICK_BITS,
                           .spare = wheel.spare,
                           .timers = timers,
                           .generations = generations};
    for (long i = 0; i < size; i++)
        timers[i].fire = count_fired;
}

static uint64_t cancel_deadline(uint64_t now, uint64_t i)
{
    return now + BENCH_CANCEL_FIRST_S * 1000000000u + bench_spread(i, BENCH_CANCEL_SPREAD_S * 1000000000ull);
}

int limit_timer_cancel_lazy_row(const char *name, long size)
{
    enum { BATCH = BENCH_CANCEL_BATCH };
    wheel_open(size + BATCH);
    uint64_t now = (uint64_t)bench_wall_ns(), deadlines = 0;
    for (long i = 0; i < size; i++)
        start((uint32_t)i, cancel_deadline(now, deadlines++));
    double spent = 0;
    for (int round = 0; round < 2; round++) { /* the first round is the warm-up */
        double from = bench_cpu_ns();
        for (long done = 0; done < size; done += BATCH) {
            for (long i = 0; i < BATCH; i++)
                start((uint32_t)(size + i), cancel_deadline(now, deadlines++));
            for (long i = 0; i < BATCH; i++)
                cancel((uint32_t)(size + i));
        }
        spent = bench_cpu_ns() - from;
    }
    return bench_print(name, spent / (double)size, "ns");
}

static double fire_round(long size)
{
    wheel_open(size);
    fired = 0;
    double from = bench_cpu_ns(), wall = bench_wall_ns();
    for (long i = 0; i < size; i++)
        start((uint32_t)i, (uint64_t)wall + BENCH_FIRE_FIRST_NS + bench_spread((uint64_t)i, BENCH_FIRE_SPREAD_NS));
    bench_sleep_until_all_due(bench_wall_ns());
    advance((uint64_t)bench_wall_ns());
    return bench_cpu_ns() - from;
}

int limit_timer_fire_row(const char *name, long size)
{
    fire_round(size); /* warm-up */
    double spent = fire_round(size);
    if (fired != size)
        return fprintf(stderr, "timer_fire: %ld of %ld fired\n", fired, size), 1;
    return bench_print(name, spent / (double)size, "ns");
}
