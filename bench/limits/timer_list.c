/*
 * timer_cancel on a wheel of doubly linked lists: starting links a timer in, cancelling takes it out at once. Nothing
 * dead stays behind, and a timer that is cancelled soon is still in the cache. (Firing is another matter: see
 * timers.c.)
 */
#include "limits.h"

enum { LEVELS = 5, SLOT_BITS = 8, SLOTS = 1 << SLOT_BITS, TICK_BITS = 16 };

struct timer {
    struct timer *next, **link; /* link: what points to this timer, or NULL */
    uint64_t deadline;
};

static struct timer *slots[LEVELS][SLOTS];
static uint64_t wheel_tick;

static void start(struct timer *timer, uint64_t deadline)
{
    uint64_t tick = (deadline + (1u << TICK_BITS) - 1) >> TICK_BITS, distance = tick - wheel_tick;
    int level = distance < SLOTS ? 0 : (63 - __builtin_clzll(distance)) / SLOT_BITS;
    struct timer **slot = &slots[level][(tick >> (level * SLOT_BITS)) % SLOTS];
    timer->deadline = deadline;
    timer->next = *slot;
    timer->link = slot;
    if (timer->next)
        timer->next->link = &timer->next;
    *slot = timer;
}

static void cancel(struct timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
}

static void start_far(struct timer *timer, uint64_t now, uint64_t i)
{
    start(timer, now + BENCH_CANCEL_FIRST_S * 1000000000ull + bench_spread(i, BENCH_CANCEL_SPREAD_S * 1000000000ull));
}

int limit_timer_cancel_row(const char *name, long size)
{
    enum { BATCH = BENCH_CANCEL_BATCH };
    struct timer *timers = bench_need(calloc((size_t)size + BATCH, sizeof *timers)), *batch = timers + size;
    uint64_t now = (uint64_t)bench_wall_ns(), deadlines = 0;
    wheel_tick = now >> TICK_BITS;
    for (long i = 0; i < size; i++)
        start_far(&timers[i], now, deadlines++);
    double spent = 0;
    for (int round = 0; round < 2; round++) { /* the first round is the warm-up */
        double from = bench_cpu_ns();
        for (long done = 0; done < size; done += BATCH) {
            for (int i = 0; i < BATCH; i++)
                start_far(&batch[i], now, deadlines++);
            for (int i = 0; i < BATCH; i++)
                cancel(&batch[i]);
        }
        spent = bench_cpu_ns() - from;
    }
    free(timers);
    return bench_print(name, spent / (double)size, "ns");
}
