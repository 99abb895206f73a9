/* Tests of pools: what is made, kept and destroyed, who gets it, and that no place or element is lost, whatever fails.
 */
#include "flow_test.h"

#define LONG COSY_S(1000)

struct thing {
    int number;
    bool broken;
};
/* What the callbacks do. */
struct maker {
    int made, alive;
    cosy_ns make_time, end_time;
    int failures; /* so many creations fail */
    bool strict;  /* check looks at things */
};

cosy_async static int make(struct maker *maker, struct thing **ret_thing)
{
    if (maker->make_time)
        cosy_try(cosy_sleep(maker->make_time));
    if (maker->failures > 0) {
        maker->failures--;
        return cosy_fail(EIO, "no thing today");
    }
    struct thing *thing = malloc(sizeof *thing);
    *thing = (struct thing){.number = ++maker->made};
    maker->alive++;
    *ret_thing = thing;
    return 0;
}

cosy_async static int end(struct maker *maker, struct thing *thing)
{
    int result = maker->end_time ? cosy_sleep(maker->end_time) : 0;
    maker->alive--;
    free(thing);
    return result;
}

cosy_async static int look_at(struct maker *maker, struct thing *thing)
{
    return maker->strict && thing->broken ? -EIO : 0;
}

COSY_DEFINE_POOL(thing_pool, struct thing, struct maker)

#define POOL(maker, ...)                                                                                               \
    {                                                                                                                  \
        .context = &(maker), .create = make, .destroy = end, .check = look_at, __VA_ARGS__                             \
    }

static void numbers(const thing_pool *pool, size_t idle, size_t in_use, size_t waiting)
{
    struct cosy_pool_statistics statistics;
    thing_pool_statistics(pool, &statistics);
    ck_assert_uint_eq(statistics.size, idle + in_use);
    ck_assert_uint_eq(statistics.idle, idle);
    ck_assert_uint_eq(statistics.in_use, in_use);
    ck_assert_uint_eq(statistics.waiting, waiting);
    ck_assert_uint_eq(statistics.created - statistics.destroyed, idle + in_use);
}

/* Holds a thing for a while. */
cosy_async static int use(thing_pool *pool, const char *name, cosy_ns time)
{
    int err = 0;
    COSY_POOLED (err, thing_pool, pool, thing) {
        say("%s%d", name, thing->number);
        cosy_check(err, cosy_sleep(time));
    }
    return err;
}

TASK_TEST(things_are_made_once_and_used_again)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_size = 2);
    struct thing *a, *b, *c;
    numbers(&pool, 0, 0, 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &a), 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &b), 0);
    numbers(&pool, 0, 2, 0);
    ck_assert_int_eq(thing_pool_release(&pool, a), 0);
    ck_assert_int_eq(thing_pool_release(&pool, b), 0);
    numbers(&pool, 2, 0, 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &c), 0);
    ck_assert_ptr_eq(c, b); /* the one used last */
    ck_assert_int_eq(thing_pool_discard(&pool, c), 0);
    numbers(&pool, 1, 0, 0);
    ck_assert_int_eq(maker.made, 2);
    ck_assert_int_eq(thing_pool_close(&pool, COSY_NEVER), 0);
    ck_assert_int_eq(maker.alive, 0);
    numbers(&pool, 0, 0, 0);
    return 0;
}

TASK_TEST(who_waits_is_served_in_order)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_size = 2);
    ck_assert_int_eq(cosy_gather(cosy_call(use, &pool, "a", 20), cosy_call(use, &pool, "b", 10),
                                 cosy_call(use, &pool, "c", 10), cosy_call(use, &pool, "d", 10),
                                 cosy_call(use, &pool, "e", 10)),
                     0);
    ck_assert_int_eq(maker.made, 2);
    if (simulated())
        said("a1 b2 c2 d1 e2");
    trace[0] = 0;
    return thing_pool_close(&pool, 0);
}

TASK_TEST(a_newcomer_does_not_overtake)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_size = 1);
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    cosy_scoped(cosy_task) waits = cosy_create_task(use, &pool, "w", COSY_US(1));
    let_all_run(1);
    numbers(&pool, 0, 1, 1);
    ck_assert_int_eq(thing_pool_release(&pool, thing), 0);
    numbers(&pool, 0, 1, 0); /* handed over already */
    ck_assert_int_eq(use(&pool, "n", COSY_US(1)), 0);
    ck_assert_int_eq(cosy_await(waits), 0);
    said("w1 n1");
    return thing_pool_close(&pool, 0);
}

TASK_TEST(a_failed_creation_gives_its_place_on)
{
    struct maker maker = {.make_time = COSY_US(10), .failures = 1};
    thing_pool pool = POOL(maker, .max_size = 1);
    cosy_scoped(cosy_task) fails = cosy_create_task(use, &pool, "f", 0);
    cosy_scoped(cosy_task) gets = cosy_create_task(use, &pool, "g", 0);
    ck_assert_int_eq(cosy_await(fails), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "no thing today");
    ck_assert_int_eq(cosy_await(gets), 0);
    said("g1");
    struct cosy_pool_statistics statistics;
    thing_pool_statistics(&pool, &statistics);
    ck_assert_uint_eq(statistics.failed, 1);
    ck_assert_uint_eq(statistics.created, 1);
    return thing_pool_close(&pool, 0);
}

TASK_TEST(a_broken_thing_is_replaced)
{
    struct maker maker = {.strict = true};
    thing_pool pool = POOL(maker, .max_size = 1);
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    thing->broken = true;
    ck_assert_int_eq(thing_pool_release(&pool, thing), 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    ck_assert_int_eq(thing->number, 2);
    ck_assert_int_eq(maker.alive, 1);
    thing->broken = true; /* also for one who waits */
    cosy_scoped(cosy_task) waits = cosy_create_task(use, &pool, "w", 0);
    let_all_run(1);
    ck_assert_int_eq(thing_pool_release(&pool, thing), 0);
    ck_assert_int_eq(cosy_await(waits), 0);
    said("w3");
    ck_assert_int_eq(maker.alive, 1);
    return thing_pool_close(&pool, 0);
}

/* ---- cancels ---- */

TASK_TEST(a_cancel_at_each_wait_loses_nothing)
{
    struct maker maker = {.make_time = COSY_S(1), .end_time = COSY_S(1)};
    thing_pool pool = POOL(maker, .max_size = 1);
    cosy_scoped(cosy_task) creates = cosy_create_task(use, &pool, "c", LONG);
    cosy_scoped(cosy_task) waits = cosy_create_task(use, &pool, "w", LONG);
    let_all_run(1);
    cosy_task_cancel(waits); /* in line */
    ck_assert_int_eq(cosy_await(waits), -ECANCELED);
    cosy_task_cancel(creates); /* in create */
    ck_assert_int_eq(cosy_await(creates), -ECANCELED);
    numbers(&pool, 0, 0, 0);
    maker.make_time = maker.end_time = 0;
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    cosy_scoped(cosy_task) given = cosy_create_task(use, &pool, "g", LONG);
    cosy_scoped(cosy_task) next = cosy_create_task(use, &pool, "n", 0);
    let_all_run(1);
    ck_assert_int_eq(thing_pool_release(&pool, thing), 0);
    cosy_task_cancel(given); /* has got the thing, but not run since */
    ck_assert_int_eq(cosy_await(given), -ECANCELED);
    ck_assert_int_eq(cosy_await(next), 0);
    said("n1");
    numbers(&pool, 1, 0, 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    cosy_scoped(cosy_task) placed = cosy_create_task(use, &pool, "p", LONG);
    cosy_scoped(cosy_task) last = cosy_create_task(use, &pool, "l", 0);
    let_all_run(1);
    ck_assert_int_eq(thing_pool_discard(&pool, thing), 0);
    cosy_task_cancel(placed); /* has got the place */
    ck_assert_int_eq(cosy_await(last), 0);
    said("l2");
    ck_assert_int_eq(cosy_await(placed), -ECANCELED);
    return thing_pool_close(&pool, 0);
}

cosy_async static int discard_slowly(thing_pool *pool)
{
    struct thing *thing;
    cosy_try(thing_pool_acquire(pool, &thing));
    return thing_pool_discard(pool, thing);
}

TASK_TEST(a_cancel_during_destroy_is_not_swallowed)
{
    struct maker maker = {.end_time = LONG};
    thing_pool pool = POOL(maker, .max_size = 1);
    cosy_scoped(cosy_task) ends = cosy_create_task(discard_slowly, &pool);
    let_all_run(1);
    cosy_task_cancel(ends);
    ck_assert_int_eq(cosy_await(ends), -ECANCELED);
    ck_assert_int_eq(maker.alive, 0);
    numbers(&pool, 0, 0, 0);
    return thing_pool_close(&pool, 0);
}

/* ---- what is kept ---- */

TASK_TEST(no_more_is_kept_than_asked)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_idle = 1);
    struct thing *things[3];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(thing_pool_acquire(&pool, &things[i]), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(thing_pool_release(&pool, things[i]), 0);
    numbers(&pool, 1, 0, 0);
    return thing_pool_close(&pool, 0);
}

TASK_TEST(what_is_unused_for_too_long_is_destroyed)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_idle_time = COSY_MS(2), .min_size = 1);
    struct thing *a, *b, *c;
    ck_assert_int_eq(thing_pool_acquire(&pool, &a), 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &b), 0);
    ck_assert_int_eq(thing_pool_release(&pool, a), 0);
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    ck_assert_int_eq(thing_pool_release(&pool, b), 0);
    if (simulated())
        numbers(&pool, 1, 0, 0); /* a went when b came */
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    ck_assert_int_eq(thing_pool_acquire(&pool, &c), 0); /* not the stale b */
    ck_assert_int_eq(c->number, 3);
    ck_assert_int_eq(thing_pool_release(&pool, c), 0);
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    ck_assert_int_eq(thing_pool_maintain(&pool), 0); /* destroys it, and makes one to be ready */
    numbers(&pool, 1, 0, 0);
    ck_assert_int_eq(maker.made, 4);
    ck_assert_int_eq(maker.alive, 1);
    return thing_pool_close(&pool, 0);
}

TASK_TEST(maintain_fills_up_to_the_least)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .min_size = 3, .max_size = 5);
    ck_assert_int_eq(thing_pool_maintain(&pool), 0);
    numbers(&pool, 3, 0, 0);
    ck_assert_int_eq(thing_pool_maintain(&pool), 0);
    ck_assert_int_eq(maker.made, 3);
    ck_assert_int_eq(thing_pool_close(&pool, 0), 0);
    maker.failures = 1;
    thing_pool failing = POOL(maker, .min_size = 3);
    ck_assert_int_eq(thing_pool_maintain(&failing), -EIO);
    ck_assert_int_eq(thing_pool_maintain(&failing), 0);
    numbers(&failing, 3, 0, 0);
    return thing_pool_close(&failing, 0);
}

/* ---- blocks ---- */

cosy_async static int try_in_block(thing_pool *pool, int code)
{
    int err = 0;
    COSY_POOLED (err, thing_pool, pool, thing) {
        (void)thing;
        cosy_try(fail_with(code));
    }
    return err;
}

TASK_TEST(a_block_gives_back_what_is_sound)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_size = 1);
    ck_assert_int_eq(use(&pool, "u", 0), 0);
    numbers(&pool, 1, 0, 0);
    int err = 0;
    COSY_POOLED (err, thing_pool, &pool, thing) {
        ck_assert_int_eq(thing->number, 1);
        break;
    }
    ck_assert_int_eq(err, 0);
    numbers(&pool, 1, 0, 0);
    COSY_POOLED (err, thing_pool, &pool, thing) {
        (void)thing;
        cosy_check(err, fail_with(EIO));
    }
    ck_assert_int_eq(err, -EIO);
    numbers(&pool, 0, 0, 0);
    ck_assert_int_eq(try_in_block(&pool, ENOENT), -ENOENT);
    numbers(&pool, 0, 0, 0);
    maker.failures = 1;
    err = 0;
    COSY_POOLED (err, thing_pool, &pool, thing) {
        (void)thing;
        say("never");
    }
    ck_assert_int_eq(err, -EIO);
    said("u1");
    return thing_pool_close(&pool, 0);
}

/* ---- the end ---- */

TASK_TEST(closing_waits_for_what_is_in_use)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .max_size = 2);
    cosy_scoped(cosy_task) short_use = cosy_create_task(use, &pool, "s", COSY_US(100));
    cosy_scoped(cosy_task) long_use = cosy_create_task(use, &pool, "l", LONG);
    cosy_scoped(cosy_task) waits = cosy_create_task(use, &pool, "w", 0);
    let_all_run(1);
    numbers(&pool, 0, 2, 1);
    ck_assert_int_eq(thing_pool_close(&pool, COSY_US(1)), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ETIMEDOUT), "of the thing_pool are still in use"));
    cosy_task_cancel(long_use);
    ck_assert_int_eq(cosy_await(waits), -COSY_ESHUTDOWN);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ESHUTDOWN), "the thing_pool is closed"));
    ck_assert_int_eq(thing_pool_close(&pool, COSY_NEVER), 0);
    ck_assert_int_eq(maker.alive, 0);
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), -COSY_ESHUTDOWN);
    ck_assert_ptr_null(thing);
    ck_assert_int_eq(thing_pool_maintain(&pool), -COSY_ESHUTDOWN);
    ck_assert_int_eq(thing_pool_close(&pool, COSY_NEVER), 0);
    ck_assert_int_eq(cosy_await(short_use), 0);
    ck_assert_int_eq(cosy_await(long_use), -ECANCELED);
    said("s1 l2");
    return 0;
}

TASK_TEST(what_is_made_after_closing_is_destroyed)
{
    struct maker maker = {.make_time = COSY_US(100)};
    thing_pool pool = POOL(maker, .max_size = 2);
    cosy_scoped(cosy_task) makes = cosy_create_task(use, &pool, "m", 0);
    let_all_run(1);
    ck_assert_int_eq(thing_pool_close(&pool, COSY_NEVER), 0);
    ck_assert_int_eq(maker.made, 1);
    ck_assert_int_eq(maker.alive, 0);
    ck_assert_int_eq(cosy_await(makes), -COSY_ESHUTDOWN);
    return 0;
}

cosy_async static int close_it(thing_pool *pool)
{
    return thing_pool_close(pool, COSY_NEVER);
}

TASK_TEST(a_cancelled_close_still_destroys_what_is_idle)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker, .min_size = 3);
    ck_assert_int_eq(thing_pool_maintain(&pool), 0);
    maker.end_time = COSY_US(10);
    cosy_scoped(cosy_task) closes = cosy_create_task(close_it, &pool);
    let_all_run(1);
    cosy_task_cancel(closes); /* in the first destroy */
    ck_assert_int_eq(cosy_await(closes), -ECANCELED);
    ck_assert_int_eq(maker.alive, 0);
    numbers(&pool, 0, 0, 0);
    return 0;
}

TASK_TEST(misuse_is_told)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker), none = {0};
    struct thing *thing, stranger;
    ck_assert_int_eq(thing_pool_acquire(&none, &thing), -EINVAL);
    ck_assert_int_eq(thing_pool_close(&none, 0), -EINVAL);
    ck_assert_int_eq(thing_pool_release(&pool, &stranger), -COSY_ENOTLOCKED);
    ck_assert_int_eq(thing_pool_release(&pool, NULL), -COSY_ENOTLOCKED);
    ck_assert_int_eq(thing_pool_acquire(&pool, &thing), 0);
    ck_assert_int_eq(thing_pool_release(&pool, thing), 0);
    ck_assert_int_eq(thing_pool_release(&pool, thing), -COSY_ENOTLOCKED);
    ck_assert_int_eq(thing_pool_discard(&pool, thing), -COSY_ENOTLOCKED);
    return thing_pool_close(&pool, 0);
}

/* ---- loops ---- */

static struct maker shared_maker;
static thing_pool shared = POOL(shared_maker, .max_size = 1);
static cosy_loop *other;

cosy_async static int meddle(void)
{
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&shared, &thing), -COSY_EOTHERLOOP);
    ck_assert_int_eq(thing_pool_close(&shared, 0), -COSY_EOTHERLOOP);
    return 0;
}

START_TEST(elements_belong_to_one_loop)
{
    begin_test();
    struct thing *thing;
    ck_assert_int_eq(thing_pool_acquire(&shared, &thing), -COSY_ENOTASK);
    logged[0] = 0;
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    cosy_task *uses = cosy_create_task_with((.loop = other), use, &shared, "u", LONG);
    cosy_task *waits = cosy_create_task_with((.loop = other), use, &shared, "w", 0);
    cosy_coro *wait = cosy_call(let_all_run, 2);
    ck_assert_int_eq(cosy_run_until_complete(other, wait), 0);
    ck_assert_int_eq(cosy_run(meddle), 0);
    cosy_task_cancel(uses);
    ck_assert_int_eq(cosy_run_until_complete(other, uses), -ECANCELED);
    ck_assert_int_eq(cosy_run_until_complete(other, waits), 0);
    cosy_task_drop(uses);
    cosy_task_drop(waits);
    cosy_loop_free(other);
    ck_assert_int_eq(shared_maker.alive, 1); /* idle: may be closed from anywhere */
    ck_assert_int_eq(cosy_run(close_it, &shared), 0);
    ck_assert_int_eq(shared_maker.alive, 0);
    said("u1 w2");
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- faults and chance ---- */

cosy_async static int several(void)
{
    struct maker maker = {0};
    thing_pool pool = POOL(maker);
    struct thing *things[10];
    int count = 0, result = 0;
    while (count < 10 && (result = thing_pool_acquire(&pool, &things[count])) == 0)
        count++;
    ck_assert_int_eq(maker.alive, count);
    while (count > 0)
        ck_assert_int_eq(thing_pool_release(&pool, things[--count]), 0);
    ck_assert_int_eq(thing_pool_close(&pool, 0), 0);
    return result;
}

static int run_several(void)
{
    return cosy_run(several);
}

START_TEST(without_memory_it_fails_and_leaks_nothing)
{
    starve(run_several);
}
END_TEST

static uint64_t chance;
static unsigned random_below(unsigned limit)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % limit;
}

cosy_async static int client(thing_pool *pool, struct maker *maker)
{
    for (int i = 0; i < 8; i++) {
        int err = 0;
        COSY_POOLED (err, thing_pool, pool, thing) {
            ck_assert_int_le(maker->alive, 3);
            thing->broken = random_below(4) == 0;
            err = cosy_sleep(COSY_MS(random_below(5)));
            maker->failures = random_below(6) == 0;
        }
        if (err == -ECANCELED || err == -COSY_ESHUTDOWN)
            return err;
        if (random_below(4) == 0)
            cosy_try(thing_pool_maintain(pool) == -ECANCELED ? -ECANCELED : 0);
    }
    return 0;
}

cosy_async static int clients(void)
{
    struct maker maker = {.make_time = COSY_MS(random_below(3)), .end_time = COSY_MS(random_below(3)), .strict = true};
    thing_pool pool = POOL(maker, .max_size = 3, .max_idle = 1 + random_below(3), .min_size = 2,
                           .max_idle_time = random_below(2) ? COSY_MS(4) : 0);
    cosy_task *tasks[12];
    for (int i = 0; i < 12; i++)
        tasks[i] = cosy_create_task(client, &pool, &maker);
    for (int i = 0; i < 10; i++) {
        cosy_try(cosy_sleep(COSY_MS(random_below(8))));
        cosy_task_cancel(tasks[random_below(6)]);
    }
    bool early = random_below(3) == 0;
    if (early)
        (void)thing_pool_close(&pool, COSY_MS(random_below(3)));
    for (int i = 0; i < 12; i++) {
        int result = cosy_await(tasks[i]);
        ck_assert(result == 0 || (result == -ECANCELED && i < 6) || (result == -COSY_ESHUTDOWN && early));
        cosy_task_drop(tasks[i]);
    }
    if (!early)
        ck_assert_int_eq(thing_pool_close(&pool, 0), 0);
    numbers(&pool, 0, 0, 0);
    ck_assert_int_eq(maker.alive, 0);
    ck_assert_ptr_null(pool.core_.used_);
    return 0;
}

START_TEST(any_schedule_loses_nothing)
{
    begin_test();
    for (uint64_t seed = 1; seed <= 200; seed++) {
        chance = seed;
        int result = cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true), clients);
        ck_assert_msg(result == 0, "seed %d: %s", (int)seed, cosy_errname(result));
    }
}
END_TEST

TESTS_MAIN("pool", things_are_made_once_and_used_again, who_waits_is_served_in_order, a_newcomer_does_not_overtake,
           a_failed_creation_gives_its_place_on, a_broken_thing_is_replaced, a_cancel_at_each_wait_loses_nothing,
           a_cancel_during_destroy_is_not_swallowed, no_more_is_kept_than_asked,
           what_is_unused_for_too_long_is_destroyed, maintain_fills_up_to_the_least, a_block_gives_back_what_is_sound,
           closing_waits_for_what_is_in_use, what_is_made_after_closing_is_destroyed,
           a_cancelled_close_still_destroys_what_is_idle, misuse_is_told, elements_belong_to_one_loop,
           without_memory_it_fails_and_leaks_nothing, any_schedule_loses_nothing)
