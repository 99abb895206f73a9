/* The timer wheel: order, ties, cancelling, memory; against a sorted array; without memory. */
#include <limits.h>

#include "../../src/loop/timers.h"
#include "loop_test.h"

#define MS   (INT64_C(1000000))
#define S    (INT64_C(1000000000))
#define YEAR (INT64_C(31556952) * S)

static uint64_t seed_state;

static uint64_t any(void)
{
    seed_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = seed_state;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t below(uint64_t limit)
{
    return any() % limit;
}

static struct cosy_timers *wheel(cosy_ns now)
{
    struct cosy_timers *timers = cosy_timers_new(now);
    hold(timers);
    return timers;
}

static void add(struct cosy_timers *timers, struct cosy_timer *timer, cosy_ns when)
{
    hold(cosy_timers_add(timers, timer, when) == 0);
    hold(timer->slot);
    hold(timer->when == when);
}

/* Pops all `n` of the array, which must come in the order of (deadline, place in the array). */
static void expect_all_in_order(struct cosy_timers *timers, const struct cosy_timer *first, size_t n)
{
    const struct cosy_timer *last = NULL;
    for (size_t i = 0; i < n; i++) {
        cosy_ns next = cosy_timers_next(timers);
        const struct cosy_timer *timer;
        while (!(timer = cosy_timers_pop(timers, next))) {
            hold(cosy_timers_next(timers) > next);
            next = cosy_timers_next(timers);
        }
        hold(timer >= first && timer < first + n);
        hold(!timer->slot);
        hold(timer->when <= next);
        hold(!last || last->when < timer->when || (last->when == timer->when && last < timer));
        last = timer;
    }
    hold(cosy_timers_next(timers) == COSY_NEVER);
    hold(cosy_timers_count(timers) == 0);
    hold(!cosy_timers_pop(timers, COSY_NEVER));
}

START_TEST(empty)
{
    struct cosy_timers *timers = wheel(5 * S);
    struct cosy_timer timer = {0};
    ck_assert_int_eq(cosy_timers_next(timers), COSY_NEVER);
    ck_assert_ptr_null(cosy_timers_pop(timers, 6 * S));
    ck_assert(!cosy_timers_cancel(timers, &timer));
    ck_assert_uint_eq(cosy_timers_count(timers), 0);
    cosy_timers_free(timers);
    cosy_timers_free(NULL);
}
END_TEST

START_TEST(never_early)
{
    static const cosy_ns delays[] = {1, 100, 65535, 65536, 65537, 70 * MS, 5 * S, 3600 * S, YEAR};
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        cosy_ns now = 123456789;
        struct cosy_timers *timers = wheel(now);
        struct cosy_timer timer = {0};
        add(timers, &timer, now + delays[i]);
        ck_assert_int_eq(cosy_timers_next(timers), now + delays[i]);
        ck_assert_ptr_null(cosy_timers_pop(timers, now + delays[i] / 2));
        ck_assert_ptr_null(cosy_timers_pop(timers, now + delays[i] - 1));
        ck_assert_int_eq(cosy_timers_next(timers), now + delays[i]);
        ck_assert_ptr_eq(cosy_timers_pop(timers, now + delays[i]), &timer);
        ck_assert_ptr_null(timer.slot);
        ck_assert_int_eq(timer.when, now + delays[i]);
        ck_assert(!cosy_timers_cancel(timers, &timer));
        cosy_timers_free(timers);
    }
}
END_TEST

START_TEST(far_deadlines)
{
    static const cosy_ns from[] = {INT64_MIN, INT64_MIN + 70000, -YEAR, -1, 0, 1, 7 * S, INT64_MAX - YEAR};
    for (size_t i = 0; i < COUNT_OF(from); i++) {
        struct cosy_timers *timers = wheel(from[i]);
        struct cosy_timer list[70] = {0};
        size_t n = 0;
        for (unsigned bit = 0; bit < 63; bit++)
            if (from[i] <= 0 || from[i] <= INT64_MAX - 1 - (INT64_C(1) << bit))
                add(timers, &list[n++], from[i] + (INT64_C(1) << bit));
        add(timers, &list[n++], INT64_MAX - 1);
        add(timers, &list[n++], INT64_MAX - 1);
        add(timers, &list[n++], INT64_MAX);
        expect_all_in_order(timers, list, n);
        cosy_timers_free(timers);
    }
}
END_TEST

START_TEST(past_deadlines)
{
    struct cosy_timers *timers = wheel(10 * S);
    struct cosy_timer list[6] = {0};
    static const cosy_ns when[] = {9 * S, 10 * S, -5 * S, INT64_MIN, 9 * S, 10 * S - 1};
    static const int order[] = {3, 2, 0, 4, 5, 1};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 6; i++)
            add(timers, &list[i], when[i]);
        ck_assert_int_eq(cosy_timers_next(timers), INT64_MIN);
        for (int i = 0; i < 6; i++)
            ck_assert_ptr_eq(cosy_timers_pop(timers, 10 * S + round * S), &list[order[i]]);
        ck_assert_ptr_null(cosy_timers_pop(timers, 10 * S + round * S));
    }
    cosy_timers_free(timers);
}
END_TEST

/* Dense and sparse, equal and different: whole windows are adopted, sorted and divided. */
START_TEST(order_and_ties)
{
    static const struct {
        size_t n;
        uint64_t range;
    } cases[] = {{20000, 1},    {20000, 50},      {50000, 3000},     {20000, 65536},
                 {1500, 65536}, {700, 65536},     {30, 65536},       {20000, 10 * MS},
                 {20000, S},    {20000, 100 * S}, {3000, 10 * YEAR}, {100000, 2 * 65536}};
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        seed_state = c;
        struct cosy_timers *timers = wheel(77);
        struct cosy_timer *list = calloc(cases[c].n, sizeof *list);
        for (size_t i = 0; i < cases[c].n; i++)
            add(timers, &list[i], 300 * MS + (cosy_ns)below(cases[c].range));
        expect_all_in_order(timers, list, cases[c].n);
        free(list);
        cosy_timers_free(timers);
    }
}
END_TEST

/* Equal deadlines stay in the order of adding although they were added at different levels, to the run and the heap. */
START_TEST(ties_across_levels)
{
    enum { N = 400 };
    for (uint64_t seed = 0; seed < 50; seed++) {
        seed_state = seed;
        struct cosy_timers *timers = wheel(0);
        struct cosy_timer list[N] = {0}, noise[4 * N] = {0};
        const cosy_ns when = 100 * S + (cosy_ns)below(S);
        cosy_ns now = 0;
        for (int i = 0; i < N; i++) {
            add(timers, &list[i], when);
            for (int k = 0; k < 4; k++)
                add(timers, &noise[i * 4 + k], when - 40000 + (cosy_ns)below(80000));
            if (now < when - 1)
                now += (when - now) / (cosy_ns)(2 + below(20));
            if (i == N - 50)
                now = when - 1;
            for (struct cosy_timer *early; (early = cosy_timers_pop(timers, now));)
                hold(early >= noise && early < noise + COUNT_OF(noise) && early->when <= now);
        }
        int expected = 0;
        for (struct cosy_timer *timer; (timer = cosy_timers_pop(timers, when + 100000));)
            if (timer >= list && timer < list + N)
                hold(timer == &list[expected++]);
        hold(expected == N);
        cosy_timers_free(timers);
    }
}
END_TEST

START_TEST(cancel_everywhere)
{
    enum { N = 3000 };
    static const uint64_t ranges[] = {1, 300, 60000, 5 * MS, 60 * MS, 10 * S, YEAR};
    for (size_t r = 0; r < COUNT_OF(ranges); r++)
        for (int stage = 0; stage < 4; stage++) {
            seed_state = r;
            struct cosy_timers *timers = wheel(0);
            struct cosy_timer *list = calloc(N, sizeof *list);
            const cosy_ns base = 200 * MS, middle = base + (cosy_ns)ranges[r] / 2;
            for (int i = 0; i < N; i++)
                add(timers, &list[i], base + (cosy_ns)below(ranges[r]));
            /* 0: all are still far; 1: after the first cascade; 2: while popping; 3: while popping, with late ones */
            if (stage == 1)
                hold(!cosy_timers_pop(timers, base - 1));
            size_t fired = 0, cancelled = 0;
            for (; stage >= 2 && fired < N / 3 && cosy_timers_pop(timers, middle); fired++) {
            }
            struct cosy_timer late[100] = {0};
            for (int i = 0; stage == 3 && i < 100; i++)
                add(timers, &late[i], middle - (cosy_ns)below(50000));
            for (int i = 0; i < N; i++) {
                struct cosy_timer *timer = &list[any() % N];
                bool armed = timer->slot;
                hold(cosy_timers_cancel(timers, timer) == armed);
                hold(!timer->slot);
                memset(timer, 0xff, sizeof *timer); /* nobody may look at it any more */
                timer->slot = NULL;
                cancelled += armed;
            }
            for (int i = 0; stage == 3 && i < 100; i += 2)
                hold(cosy_timers_cancel(timers, &late[i]));
            size_t expected = N - fired - cancelled + (stage == 3 ? 50 : 0), got = 0;
            hold(cosy_timers_count(timers) == expected);
            cosy_ns last = INT64_MIN;
            for (struct cosy_timer *timer; (timer = cosy_timers_pop(timers, 2 * YEAR)); got++) {
                hold(timer->when >= last);
                last = timer->when;
            }
            hold(got == expected);
            cosy_timers_free(timers);
            free(list);
        }
}
END_TEST

START_TEST(rearm_while_popping)
{
    enum { N = 500, TURNS = 60 };
    struct cosy_timers *timers = wheel(0);
    struct cosy_timer list[N] = {0};
    for (int i = 0; i < N; i++)
        add(timers, &list[i], 1000 + i * 7);
    cosy_ns now = 0, last = 0;
    size_t fired = 0;
    seed_state = 1;
    while (fired < (size_t)N * TURNS) {
        now = cosy_timers_next(timers);
        for (struct cosy_timer *timer; fired < (size_t)N * TURNS && (timer = cosy_timers_pop(timers, now)); fired++) {
            hold(timer->when <= now);
            hold(timer->when >= last);
            last = timer->when;
            struct cosy_timer *other = &list[below(N)];
            if (other != timer && cosy_timers_cancel(timers, other))
                add(timers, other, now + (cosy_ns)below(1000));
            add(timers, timer, now + (cosy_ns)below(fired % 3 ? 100000 : 2));
        }
    }
    hold(cosy_timers_count(timers) == N);
    cosy_timers_free(timers);
    for (int i = 0; i < N; i++)
        hold(!list[i].slot);
}
END_TEST

/* After cancellations next() may be early, but popping there makes it later. */
START_TEST(next_makes_progress)
{
    enum { N = 5000 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        seed_state = seed;
        struct cosy_timers *timers = wheel(0);
        struct cosy_timer *list = calloc(N, sizeof *list);
        cosy_ns first = COSY_NEVER;
        for (int i = 0; i < N; i++)
            add(timers, &list[i], 1 + (cosy_ns)(any() >> (2 + below(50))));
        for (int i = 0; i < N; i++)
            if (below(10))
                cosy_timers_cancel(timers, &list[i]);
            else if (list[i].when < first)
                first = list[i].when;
        hold(cosy_timers_next(timers) <= first);
        size_t steps = 0;
        while (cosy_timers_count(timers)) {
            cosy_ns next = cosy_timers_next(timers);
            struct cosy_timer *timer = cosy_timers_pop(timers, next);
            hold(timer || cosy_timers_next(timers) > next);
            hold(++steps < 4 * N);
        }
        hold(cosy_timers_next(timers) == COSY_NEVER);
        cosy_timers_free(timers);
        free(list);
    }
}
END_TEST

/* What next() and pop() did before a nearer timer is added must not hide it. */
START_TEST(nearer_after_next)
{
    struct cosy_timers *timers = wheel(0);
    struct cosy_timer far = {0}, near = {0}, nearest = {0};
    add(timers, &far, 1000 * S);
    ck_assert_int_eq(cosy_timers_next(timers), 1000 * S);
    ck_assert_ptr_null(cosy_timers_pop(timers, 300 * S));
    add(timers, &near, 300 * S + 5000);
    ck_assert_int_eq(cosy_timers_next(timers), 300 * S + 5000);
    ck_assert_ptr_null(cosy_timers_pop(timers, 300 * S + 4999));
    add(timers, &nearest, 300 * S + 4999);
    ck_assert_ptr_eq(cosy_timers_pop(timers, 300 * S + 5000), &nearest);
    ck_assert_ptr_eq(cosy_timers_pop(timers, 300 * S + 5000), &near);
    ck_assert_ptr_null(cosy_timers_pop(timers, 300 * S + 5000));
    ck_assert_int_eq(cosy_timers_next(timers), 1000 * S);
    cosy_timers_free(timers);
    ck_assert_ptr_null(far.slot);
}
END_TEST

/* Cancelled timers must not pile up around few that live on, which hold on to their chunks. */
START_TEST(dead_entries_are_bounded)
{
    enum { ROUNDS = 60, EACH = 20000, KEPT = EACH / 50, CAPACITY = ROUNDS * KEPT + EACH };
    static const cosy_ns ranges[] = {1, 10 * MS, 30 * S, 100 * YEAR};
    for (size_t r = 0; r < less_under_tool(COUNT_OF(ranges), 2); r++) {
        seed_state = r;
        struct cosy_timers *timers = wheel(0);
        struct cosy_timer *list = calloc(CAPACITY, sizeof *list);
        size_t kept = 0;
        cosy_heap_fail_nth(LONG_MAX, false);
        for (int round = 0; round < ROUNDS; round++) {
            for (size_t i = kept; i < kept + EACH; i++)
                add(timers, &list[i], 100 * MS + (cosy_ns)below((uint64_t)ranges[r]));
            struct cosy_timer *from = &list[kept];
            for (int i = 0; i < EACH; i++)
                hold(i % 50 == 0 || cosy_timers_cancel(timers, &from[i]));
            for (int i = 0; i < EACH; i += 50) { /* those that live make room for the next round's */
                cosy_ns when = from[i].when;
                hold(cosy_timers_cancel(timers, &from[i]));
                add(timers, &list[kept++], when);
            }
        }
        hold(cosy_timers_count(timers) == kept);
        hold(cosy_heap_counted() <= 2); /* 1.2 million entries would take 19 */
        cosy_heap_fail_nth(0, false);
        cosy_timers_free(timers);
        free(list);
    }
}
END_TEST

/* One timer set and cancelled for ever, with others before and behind it, uses no memory. */
START_TEST(add_and_cancel_leaves_nothing)
{
    struct cosy_timers *timers = wheel(0);
    struct cosy_timer a = {0}, b[300] = {0}, c = {0};
    add(timers, &a, 5 * S);
    cosy_heap_fail_nth(1, true);
    const int times = (int)less_under_tool(1000000, 10);
    for (int i = 0; i < times; i++) {
        add(timers, &c, 5 * S + i);
        hold(cosy_timers_cancel(timers, &c));
        hold(!cosy_timers_cancel(timers, &c));
    }
    for (int i = 0; i < times / 333; i++) {
        for (size_t k = 0; k < COUNT_OF(b); k++)
            add(timers, &b[k], 6 * S + i);
        for (size_t k = COUNT_OF(b); k-- > 0;)
            hold(cosy_timers_cancel(timers, &b[k]));
    }
    cosy_heap_fail_nth(0, false);
    hold(cosy_timers_next(timers) == 5 * S);
    hold(cosy_timers_pop(timers, 10 * S) == &a);
    cosy_timers_free(timers);
}
END_TEST

/* ---- against a sorted array ---- */

struct item {
    struct cosy_timer timer;
    uint64_t order;
};

struct model {
    struct cosy_timers *timers;
    struct item **sorted;
    size_t n, limit;
    uint64_t order;
    cosy_ns now, target;
};

static bool before(const struct item *a, const struct item *b)
{
    return a->timer.when != b->timer.when ? a->timer.when < b->timer.when : a->order < b->order;
}

static cosy_ns some_deadline(struct model *model, unsigned profile)
{
    switch ((profile + below(3)) % 8) {
    case 0:
        return model->now + (cosy_ns)below(100);
    case 1:
        return model->target; /* many equal ones */
    case 2:
        return model->target + (cosy_ns)below(65536);
    case 3:
        return model->now + (cosy_ns)below(200000);
    case 4:
        return model->now + (cosy_ns)(any() >> (4 + below(58)));
    case 5:
        return model->now - (cosy_ns)below(1000000);
    case 6:
        return model->now + 30 * MS + (cosy_ns)below(100 * MS);
    default:
        return model->n ? model->sorted[below(model->n)]->timer.when : model->now;
    }
}

static void model_add(struct model *model, unsigned profile)
{
    if (model->n == model->limit)
        return;
    struct item *item = calloc(1, sizeof *item);
    add(model->timers, &item->timer, some_deadline(model, profile));
    item->order = model->order++;
    size_t at = model->n++, low = 0;
    while (low < at) {
        size_t middle = (low + at) / 2;
        if (before(item, model->sorted[middle]))
            at = middle;
        else
            low = middle + 1;
    }
    memmove(&model->sorted[at + 1], &model->sorted[at], (model->n - 1 - at) * sizeof *model->sorted);
    model->sorted[at] = item;
}

static void model_drop(struct model *model, size_t at)
{
    hold(!model->sorted[at]->timer.slot);
    free(model->sorted[at]); /* a stale pointer to it would be found by the sanitizers */
    memmove(&model->sorted[at], &model->sorted[at + 1], (--model->n - at) * sizeof *model->sorted);
}

static void model_cancel(struct model *model)
{
    if (!model->n)
        return;
    size_t at = below(2) ? below(model->n) : below(model->n < 100 ? model->n : 100);
    hold(cosy_timers_cancel(model->timers, &model->sorted[at]->timer));
    model_drop(model, at);
}

static void model_pop(struct model *model, uint64_t most)
{
    for (uint64_t i = 0; i < most; i++) {
        struct cosy_timer *timer = cosy_timers_pop(model->timers, model->now);
        struct item *expected = model->n && model->sorted[0]->timer.when <= model->now ? model->sorted[0] : NULL;
        hold(timer == (expected ? &expected->timer : NULL));
        if (!timer)
            return;
        model_drop(model, 0);
    }
}

static void model_advance(struct model *model)
{
    cosy_ns next = cosy_timers_next(model->timers);
    hold(model->n ? next <= model->sorted[0]->timer.when : next == COSY_NEVER);
    switch (below(5)) {
    case 0:
        model->now += (cosy_ns)below(3000);
        break;
    case 1:
        model->now += (cosy_ns)below(100000);
        break;
    case 2:
        model->now += (cosy_ns)(any() >> (30 + below(34)));
        break;
    default:
        if (next > model->now && next < model->now + YEAR)
            model->now = next;
    }
    if (model->target < model->now)
        model->target = model->now + (cosy_ns)below(below(2) ? 300000 : 300 * MS);
}

static void run_model(uint64_t seed, unsigned steps)
{
    seed_state = seed;
    const cosy_ns starts[] = {0, 12345678, -3 * S, -YEAR, 5 * YEAR};
    struct model model = {.limit = (size_t)(seed % 4 == 0 ? 6000 : 500), .now = starts[seed % COUNT_OF(starts)]};
    model.timers = wheel(model.now);
    model.sorted = calloc(model.limit, sizeof *model.sorted);
    unsigned profile = 0, adding = 0;
    for (unsigned i = 0; i < steps; i++) {
        if (i % 1000 == 0) {
            profile = (unsigned)below(8);
            adding = (unsigned)below(70) + 15;
        }
        unsigned what = (unsigned)below(100);
        if (what < adding)
            for (unsigned k = (unsigned)below(model.limit / 100); k-- > 0;)
                model_add(&model, profile);
        else if (what < adding + 10)
            for (unsigned k = (unsigned)below(model.limit / 50); k-- > 0;)
                model_cancel(&model);
        else if (what < adding + 13)
            model_advance(&model);
        else
            model_pop(&model, below(4) ? below(40) : UINT64_MAX);
        hold(cosy_timers_count(model.timers) == model.n);
    }
    while (model.n) {
        cosy_ns next = cosy_timers_next(model.timers);
        hold(next <= model.sorted[0]->timer.when);
        model.now = next > model.now ? next : model.now;
        model_pop(&model, UINT64_MAX);
    }
    cosy_timers_free(model.timers);
    free(model.sorted);
}

enum { MODELS = 8 };

START_TEST(random_model)
{
    for (uint64_t round = 0; round < less_under_tool(10, 5); round++)
        run_model(round * MODELS + (uint64_t)_i, less_under_tool(6000, 3));
}
END_TEST

/* ---- without memory ---- */

/* Adds all it can while the n-th allocation fails; what was accepted must fire in order. */
static bool survives(long n, bool repeat)
{
    enum { N = 110000, LATE = 300 };
    static struct cosy_timer list[N], late[LATE];
    memset(list, 0, sizeof list);
    memset(late, 0, sizeof late);
    seed_state = 1;
    cosy_heap_fail_nth(n, repeat);
    struct cosy_timers *timers = cosy_timers_new(0);
    if (!timers) {
        cosy_heap_fail_nth(0, false);
        return false;
    }
    size_t accepted = 0, fired = 0;
    for (int i = 0; i < N; i++) {
        int code = cosy_timers_add(timers, &list[i], S + (cosy_ns)(any() >> (10 + below(50))));
        hold(code == (list[i].slot ? 0 : -ENOMEM));
        accepted += code == 0;
    }
    hold(accepted > 10000);
    cosy_ns now = 0, last = 0;
    for (int i = 0; i < LATE; i++) {
        int code = cosy_timers_add(timers, &late[i], -i);
        hold(code == (late[i].slot ? 0 : -ENOMEM));
        accepted += code == 0;
    }
    hold(cosy_timers_count(timers) == accepted);
    last = INT64_MIN;
    while (cosy_timers_count(timers)) {
        now = cosy_timers_next(timers);
        for (struct cosy_timer *timer; (timer = cosy_timers_pop(timers, now)); fired++) {
            hold(timer->when >= last && timer->when <= now);
            last = timer->when;
        }
    }
    hold(fired == accepted);
    bool failed = cosy_heap_counted() >= n;
    cosy_heap_fail_nth(0, false);
    cosy_timers_free(timers);
    return !failed;
}

START_TEST(every_allocation_fails)
{
    long n = 1;
    while (!survives(n, _i))
        n++;
    hold(n > 10); /* the last few are slabs and the heap while adding */
}
END_TEST

/* A peak's memory goes back to the kernel, and what is left is enough for all that is promised. */
START_TEST(after_a_peak)
{
    enum { N = 1500000 };
    struct cosy_timer *list = calloc(N, sizeof *list);
    struct cosy_timers *timers = wheel(0);
    long mapped[2];
    for (int round = 0; round < 2; round++) {
        cosy_heap_fail_nth(LONG_MAX, false);
        for (int i = 0; i < N; i++)
            add(timers, &list[i], S + (cosy_ns)below(60 * S));
        mapped[round] = cosy_heap_counted();
        for (int i = 0; i < N; i++)
            hold(cosy_timers_cancel(timers, &list[i]));
    }
    hold(mapped[0] >= 20);
    hold(mapped[1] > 0 && mapped[1] < mapped[0] / 2);
    cosy_heap_fail_nth(1, true);
    int accepted = 0, fired = 0;
    for (int i = 0; i < N && cosy_timers_add(timers, &list[i], S + (cosy_ns)(any() >> (2 + below(30)))) == 0; i++)
        accepted++;
    hold(accepted > 500000 && accepted < N);
    for (cosy_ns last = 0; cosy_timers_count(timers);) {
        cosy_ns now = cosy_timers_next(timers);
        for (struct cosy_timer *timer; (timer = cosy_timers_pop(timers, now)); fired++) {
            hold(timer->when >= last);
            last = timer->when;
        }
    }
    hold(fired == accepted);
    cosy_heap_fail_nth(0, false);
    cosy_timers_free(timers);
    free(list);
}
END_TEST

/* No allocation succeeds after the wheel's own: fill it with what spreads over as many buckets as can be, then
 * let it cascade, refilling all the time. */
START_TEST(cascades_never_need_memory)
{
    enum { N = 80000 };
    static struct cosy_timer list[N];
    for (uint64_t seed = 0; seed < less_under_tool(12, 4); seed++) {
        memset(list, 0, sizeof list);
        seed_state = seed;
        struct cosy_timers *timers = wheel(0);
        cosy_heap_fail_nth(1, true);
        const cosy_ns base = seed % 2 ? INT64_C(3) << 56 : INT64_C(1) << 46;
        const unsigned reach = seed % 2 ? 56 : 46;
        size_t accepted = 0, fired = 0;
        for (int i = 0; i < N; i++) {
            cosy_ns when = base + (cosy_ns)((any() & ((UINT64_C(1) << reach) - 1)) >> (10 * below(reach / 10)));
            accepted += cosy_timers_add(timers, &list[i], when) == 0;
        }
        hold(accepted > 50000 && accepted < N);
        cosy_ns last = 0;
        while (cosy_timers_count(timers)) {
            cosy_ns now = cosy_timers_next(timers);
            for (struct cosy_timer *timer; (timer = cosy_timers_pop(timers, now)); fired++) {
                hold(timer->when >= last && timer->when <= now);
                last = timer->when;
                if (fired < 4 * N && below(8))
                    accepted +=
                        cosy_timers_add(timers, timer, now + (cosy_ns)(any() >> (64 - reach + below(reach)))) == 0;
                cosy_timers_cancel(timers, &list[below(N)]) ? (void)accepted-- : (void)0;
            }
        }
        hold(fired == accepted);
        cosy_heap_fail_nth(0, false);
        cosy_timers_free(timers);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timers");
    TCase *basic = tcase_create("basic");
    tcase_set_timeout(basic, 120);
    tcase_add_test(basic, empty);
    tcase_add_test(basic, never_early);
    tcase_add_test(basic, far_deadlines);
    tcase_add_test(basic, past_deadlines);
    tcase_add_test(basic, order_and_ties);
    tcase_add_test(basic, ties_across_levels);
    tcase_add_test(basic, cancel_everywhere);
    tcase_add_test(basic, rearm_while_popping);
    tcase_add_test(basic, next_makes_progress);
    tcase_add_test(basic, nearer_after_next);
    tcase_add_test(basic, dead_entries_are_bounded);
    tcase_add_test(basic, add_and_cancel_leaves_nothing);
    suite_add_tcase(suite, basic);
    TCase *model = tcase_create("model");
    tcase_set_timeout(model, 300);
    tcase_add_loop_test(model, random_model, 0, MODELS);
    suite_add_tcase(suite, model);
    TCase *memory = tcase_create("memory");
    tcase_set_timeout(memory, 300);
    tcase_add_loop_test(memory, every_allocation_fails, 0, 2);
    tcase_add_test(memory, after_a_peak);
    tcase_add_test(memory, cascades_never_need_memory);
    suite_add_tcase(suite, memory);

    return run_suite(suite);
}
