/* Queues under random use: tasks put, get, select and are cancelled, in an order drawn from a seed. Whatever a put said
 * was added is got exactly once, and nothing else is; and nobody waits for what is there. */
#include "queue_test.h"

enum { QUEUES = 3, TASKS = 8, STEPS = 40, VALUES = 20 * TASKS * STEPS, SEEDS = 10 };

static struct {
    int_queue queues[QUEUES];
    bool added[VALUES];
    int got[VALUES];
    int next_value;
    uint64_t random;
    unsigned favourites[2]; /* cases of step(): so that in some worlds most get, in others most put */
    cosy_task *tasks[TASKS];
} world;

static unsigned draw(unsigned below)
{
    world.random = world.random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(world.random >> 33) % below;
}

static int_queue *any_queue(void)
{
    return &world.queues[draw(QUEUES)];
}

static void note_got(int result, int value)
{
    ck_assert(result >= 0 || result == -ECANCELED || result == -COSY_EQUEUEEMPTY || result == -EAGAIN);
    if (result >= 0)
        world.got[value]++;
}

static void note_put(int result, int value)
{
    ck_assert(result >= 0 || result == -ECANCELED || result == -COSY_EQUEUEFULL || result == -EAGAIN);
    world.added[value] = result >= 0;
}

cosy_async static void step(void)
{
    int value = world.next_value++, x = -1, y = -1, result;
    int_queue *one = any_queue(), *other = any_queue();
    switch (draw(4) == 0 ? draw(8) : world.favourites[draw(2)]) {
    case 0:
    case 1:
        note_put(cosy_queue_put(one, value), value);
        break;
    case 2:
    case 3:
        result = cosy_queue_get(one, &x);
        note_got(result, x);
        break;
    case 4:
        result = cosy_select(COSY_GET(one, &x), COSY_GET(other, &y));
        note_got(result, result == 0 ? x : y);
        break;
    case 5:
        result = cosy_select(COSY_PUT(one, value), COSY_GET(other, &y));
        if (result == 1)
            note_got(result, y);
        note_put(result == 1 ? -EAGAIN : result, value);
        break;
    case 6:
        result = draw(2) ? cosy_queue_get_nowait(one, &x) : cosy_select_nowait(COSY_GET(one, &x));
        note_got(result, x);
        break;
    default:
        note_put(cosy_queue_put_nowait(one, value), value);
    }
}

cosy_async static int take_steps(void)
{
    for (int i = 0; i < STEPS; i++) {
        step();
        if (draw(6) == 0)
            cosy_task_cancel(world.tasks[draw(TASKS)]); /* itself, too: that meets the next wait */
        if (draw(4) == 0)
            (void)cosy_yield();
    }
    return 0;
}

/* A waiting getter beside an element, or a waiting putter beside room, was forgotten. Nobody is about to run. */
static void nobody_is_forgotten(void)
{
    for (int i = 0; i < QUEUES; i++) {
        struct cosy_queue_statistics stats = stats_of(&world.queues[i]);
        ck_assert(stats.getters == 0 || stats.size == 0);
        ck_assert(stats.putters == 0 || cosy_queue_full(&world.queues[i]));
    }
}

/* Until all that can go on have. Whether somebody waits still. */
cosy_async static bool settle(void)
{
    bool busy = false;
    let_all_run(2 * STEPS);
    nobody_is_forgotten();
    for (int i = 0; i < TASKS; i++)
        busy |= !cosy_task_done(world.tasks[i]);
    return busy;
}

static void disturb(void)
{
    int_queue *one = any_queue();
    int value = world.next_value++, x = -1, result;
    ck_assert_int_lt(value, VALUES);
    if (draw(2)) {
        result = cosy_queue_get_nowait(one, &x);
        note_got(result, x);
    } else
        note_put(cosy_queue_put_nowait(one, value), value);
}

cosy_async static int play(void)
{
    ck_assert_int_eq(cosy_queue_init(&world.queues[0], .maxsize = 2), 0);
    ck_assert_int_eq(cosy_queue_init(&world.queues[1], .unbuffered = true), 0);
    ck_assert_int_eq(cosy_queue_init(&world.queues[2], .maxsize = 3, .compare = by_value), 0);
    for (int i = 0; i < TASKS; i++)
        world.tasks[i] = cosy_create_task(take_steps);
    while (settle()) { /* wakes somebody, and cancels somebody who may just have been woken */
        disturb();
        cosy_task_cancel(world.tasks[draw(TASKS)]);
    }
    for (int i = 0; i < QUEUES; i++) {
        for (int value; (value = value_of(&world.queues[i])) >= 0;)
            world.got[value]++;
        cosy_queue_destroy(&world.queues[i]);
    }
    for (int i = 0; i < TASKS; i++)
        cosy_task_drop(world.tasks[i]);
    for (int value = 0; value < VALUES; value++)
        ck_assert_msg(world.got[value] == world.added[value], "value %d: added %d, got %d times", value,
                      world.added[value], world.got[value]);
    return 0;
}

static void begin_world(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.random = seed;
    world.favourites[0] = draw(8);
    world.favourites[1] = draw(8);
}

START_TEST(nothing_is_lost_doubled_or_forgotten)
{
    begin_test();
    uint64_t seeds = under_tool() ? 1 : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        begin_world(seed);
        ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM, .shuffle = true, .seed = seed), play), 0);
        begin_world(seed);
        ck_assert_int_eq(cosy_run(play), 0);
    }
}
END_TEST

TESTS_MAIN("queue_random", nothing_is_lost_doubled_or_forgotten)
