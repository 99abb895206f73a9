/* Pools of elements, capacity limiters, rate limiters.
 *
 * Invariants: no element is with two borrowers, or forgotten; never more than there may be; nobody waits at rest while
 * there is something to have; a rate is never exceeded.
 */
#include "../fuzz.h"

enum { SIZE = 2, ELEMENTS = 256 };

/* ---- a pool whose elements fail, break and take time ---- */

struct element {
    bool alive, in_use;
};

struct factory {
    struct element elements[ELEMENTS];
    int made, alive;
};

cosy_async static int make_element(struct factory *factory, struct element **ret_element)
{
    cosy_try(pause_somehow());
    if (below(6) == 0)
        return cosy_fail(EIO, "cannot be made");
    struct element *element = &factory->elements[factory->made++];
    element->alive = true;
    cosy_test_expect(++factory->alive <= SIZE);
    *ret_element = element;
    return 0;
}

cosy_async static int end_element(struct factory *factory, struct element *element)
{
    cosy_test_expect(element->alive && !element->in_use);
    element->alive = false;
    int paused = pause_somehow();
    factory->alive--;
    return paused;
}

cosy_async static int check_element(struct factory *factory, struct element *element)
{
    (void)factory;
    cosy_test_expect(element->alive && !element->in_use);
    cosy_try(pause_somehow());
    return below(5) ? 0 : -EIO;
}

COSY_DEFINE_POOL(element_pool, struct element, struct factory)

struct workshop {
    struct factory factory;
    element_pool pool;
};

cosy_async static int use(struct element *element)
{
    cosy_test_expect(element->alive && !element->in_use);
    element->in_use = true;
    int paused = pause_somehow();
    element->in_use = false;
    return paused;
}

cosy_async static int worker(void *state, int index)
{
    struct workshop *workshop = state;
    for (int i = 0; i < 3; i++) {
        cosy_try(pause_somehow());
        int err = 0;
        if (index % 2) {
            COSY_POOLED (err, element_pool, &workshop->pool, element) {
                cosy_check(err, use(element));
            }
        } else {
            struct element *element;
            err = element_pool_acquire(&workshop->pool, &element);
            if (err == 0) {
                int used = use(element);
                err = below(4) ? element_pool_release(&workshop->pool, element)
                               : element_pool_discard(&workshop->pool, element);
                err = used < 0 ? used : err;
            }
        }
        cosy_test_expect(err == 0 || err == -EIO || err == -ECANCELED);
        if (err == -ECANCELED)
            return err;
    }
    return 0;
}

static void workshop_at_rest(void *state)
{
    struct workshop *workshop = state;
    struct cosy_pool_statistics pool;
    element_pool_statistics(&workshop->pool, &pool);
    cosy_test_expect(pool.waiting == 0 && pool.in_use == 0);
    cosy_test_expect((int)pool.size == workshop->factory.alive && pool.idle == pool.size);
}

cosy_async static int open_workshop(struct crew *crew)
{
    struct workshop *workshop = crew->state;
    int result = crew_run(crew), closed;
    do /* a cancelled close has not necessarily ended all */
        closed = element_pool_close(&workshop->pool, COSY_NEVER);
    while (closed == -ECANCELED);
    cosy_test_expect(closed == 0);
    return result;
}

static void workshop_rounds(void)
{
    struct workshop workshop = {
        .pool = {.create = make_element, .destroy = end_element, .check = check_element, .max_size = SIZE}};
    workshop.pool.context = &workshop.factory;
    struct crew crew = {
        .member = worker, .at_rest = workshop_at_rest, .state = &workshop, .members = 6, .kills = below(5)};
    (void)cosy_test_run(open_workshop, &crew);
    cosy_test_expect(workshop.factory.alive == 0);
}
WORKLOAD("pool", workshop_rounds)

/* ---- tokens ---- */

struct ferry {
    cosy_capacity_limiter limiter;
    int aboard;
};

cosy_async static int passenger(void *state, int index)
{
    struct ferry *ferry = state;
    for (int i = 0; i < 3; i++) {
        int err = 0;
        cosy_try(pause_somehow());
        if (index == 0) /* the captain changes the number of seats */
            cosy_test_expect(cosy_capacity_limiter_set_total_tokens(&ferry->limiter, i < 2 ? below(4) : SIZE) == 0);
        else
            COSY_CAPACITY (err, &ferry->limiter) {
                ferry->aboard++;
                cosy_test_expect(ferry->aboard <= cosy_capacity_limiter_borrowed_tokens(&ferry->limiter));
                err = pause_somehow();
                ferry->aboard--;
            }
        cosy_try(err);
    }
    return 0;
}

static void ferry_at_rest(void *state)
{
    struct cosy_capacity_limiter_statistics limiter;
    cosy_capacity_limiter_statistics(&((struct ferry *)state)->limiter, &limiter);
    cosy_test_expect(limiter.borrowed_tokens == 0 && (limiter.tasks_waiting == 0 || limiter.total_tokens == 0));
}

static void ferry_rounds(void)
{
    struct ferry ferry = {.limiter = COSY_CAPACITY_LIMITER(SIZE)};
    struct crew crew = {
        .member = passenger, .at_rest = ferry_at_rest, .state = &ferry, .members = 7, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(ferry.aboard == 0 && cosy_capacity_limiter_borrowed_tokens(&ferry.limiter) == 0);
}
WORKLOAD("capacity", ferry_rounds)

/* ---- a rate ---- */

enum { RATE = 3, CALLS = 64 };

struct meter {
    cosy_rate_limiter limiter;
    cosy_ns at[CALLS];
    int calls;
};

cosy_async static int caller(void *state, int index)
{
    struct meter *meter = state;
    (void)index;
    for (int i = 0; i < 3; i++) {
        cosy_try(pause_somehow());
        cosy_try(cosy_rate_limiter_acquire(&meter->limiter));
        meter->at[meter->calls++] = cosy_loop_time(cosy_running_loop());
    }
    return 0;
}

static void meter_at_rest(void *state)
{
    struct cosy_rate_limiter_statistics limiter;
    cosy_rate_limiter_statistics(&((struct meter *)state)->limiter, &limiter);
    cosy_test_expect(limiter.waiting == 0);
}

static void meter_rounds(void)
{
    struct meter meter = {.limiter = COSY_RATE_LIMITER(RATE, COSY_US(100))};
    struct crew crew = {.member = caller, .at_rest = meter_at_rest, .state = &meter, .members = 6, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    for (int i = 0; i < meter.calls; i++)
        for (int j = i + 1; j < meter.calls;
             j++) /* a burst of RATE, then RATE per period; a wake may come late, so times are compared in order */
            cosy_test_expect((j - i + 1 - RATE) * COSY_US(100) <= (meter.at[j] - meter.at[i]) * RATE + RATE);
}
WORKLOAD("rate", meter_rounds)
