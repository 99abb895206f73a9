/* Tests under many schedules: on the simulated kernel, which runs each turn's tasks in an order drawn from a seed, with
 * cancels at random moments. Whatever the order, nobody waits for ever (that would be a deadlock, which ends the run),
 * what excludes excludes, and in the end all is as in the beginning. The seed of a failure is printed. */
#include "../flow/flow_test.h"

enum { WORKERS = 6, ROUNDS = 8, CANCELS = 40 };

static uint64_t seed_now, chance_state;
static cosy_task *workers[WORKERS];
static int begun, ended, inside;
static long cancelled; /* over all seeds: that cancels do meet waits */

#define holds(condition) ck_assert_msg((condition), "seed %llu: not so: %s", (unsigned long long)seed_now, #condition)

static unsigned chance(unsigned n)
{
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance_state >> 33) % n;
}

/* A cancel that came is taken note of and forgotten. */
static int forget_cancel(int result)
{
    if (result == -ECANCELED) {
        cancelled++;
        while (cosy_task_uncancel(cosy_current_task()) > 0)
            ;
        return 0;
    }
    holds(result >= 0);
    return 1;
}

/* One turn, or a little time. Virtual time stands still while anybody can run, so where somebody always can, nobody
 * sleeps. */
cosy_async static int pause_for(unsigned longest)
{
    return longest == 0 || chance(4) ? cosy_yield() : cosy_sleep(chance(longest));
}

cosy_async static void dawdle(unsigned longest)
{
    for (unsigned n = chance(3); n > 0; n--)
        forget_cancel(pause_for(longest));
}

/* Runs `worker` in WORKERS tasks and cancels them at random until they have ended or have had enough. */
cosy_async static int with_cancels(int (*worker)(int number), unsigned longest, void (*meddle)(void))
{
    begun = ended = inside = 0;
    for (int i = 0; i < WORKERS; i++)
        holds((workers[i] = cosy_create_task(worker, i)) != NULL);
    while (begun < WORKERS)
        cosy_try(cosy_yield());
    for (int i = 0; i < CANCELS && ended < WORKERS; i++) {
        cosy_try(pause_for(longest));
        cosy_task_cancel(workers[chance(WORKERS)]);
        if (meddle)
            meddle();
    }
    return 0;
}

cosy_async static int join(void)
{
    int result = cosy_gather_tasks(workers, WORKERS, NULL);
    for (int i = 0; i < WORKERS; i++)
        cosy_task_drop(workers[i]);
    holds(ended == WORKERS);
    return result;
}

static void run_seeds(int (*scenario)(void))
{
    uint64_t seeds = less_under_tool(300, 15);
    begin_test();
    cancelled = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        seed_now = chance_state = seed;
        int result = cosy_run_with((.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true), scenario);
        ck_assert_msg(result == 0, "seed %llu came to %s: %s", (unsigned long long)seed, cosy_errname(result), logged);
    }
    ck_assert_int_gt(cancelled, (long)seeds);
}

#define SCHEDULE_TEST(name, scenario)                                                                                  \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        run_seeds(scenario);                                                                                           \
    }                                                                                                                  \
    END_TEST

/* ---- locks ---- */

static cosy_lock lock;

cosy_async static int lock_worker(int number)
{
    (void)number;
    begun++;
    for (int done = 0; done < ROUNDS;) {
        if (chance(5) == 0 ? cosy_lock_try_acquire(&lock) != 0 : !forget_cancel(cosy_lock_acquire(&lock))) {
            dawdle(1000);
            continue;
        }
        holds(inside++ == 0);
        dawdle(1000);
        holds(--inside == 0);
        holds(cosy_lock_release(&lock) == 0);
        done++;
        dawdle(1000);
    }
    ended++;
    return 0;
}

cosy_async static int lock_scenario(void)
{
    lock = (cosy_lock){0};
    cosy_try(with_cancels(lock_worker, 2000, NULL));
    cosy_try(join());
    struct cosy_lock_statistics statistics;
    cosy_lock_statistics(&lock, &statistics);
    holds(!statistics.locked && statistics.tasks_waiting == 0);
    return cosy_lock_try_acquire(&lock);
}

SCHEDULE_TEST(a_lock_excludes_and_wakes, lock_scenario)

/* ---- semaphores ---- */

enum { PERMITS = 2 };
static cosy_semaphore sem;

cosy_async static int semaphore_worker(int number)
{
    (void)number;
    begun++;
    for (int done = 0; done < ROUNDS;) {
        if (chance(5) == 0 ? cosy_semaphore_try_acquire(&sem) != 0 : !forget_cancel(cosy_semaphore_acquire(&sem))) {
            dawdle(1000);
            continue;
        }
        holds(inside++ < PERMITS);
        dawdle(1000);
        inside--;
        holds(cosy_semaphore_release(&sem) == 0);
        done++;
        dawdle(1000);
    }
    ended++;
    return 0;
}

cosy_async static int semaphore_scenario(void)
{
    holds(cosy_semaphore_init_bounded(&sem, PERMITS) == 0);
    cosy_try(with_cancels(semaphore_worker, 2000, NULL));
    cosy_try(join());
    struct cosy_semaphore_statistics statistics;
    cosy_semaphore_statistics(&sem, &statistics);
    holds(statistics.value == PERMITS && statistics.tasks_waiting == 0 && !cosy_semaphore_locked(&sem));
    return 0;
}

SCHEDULE_TEST(a_semaphore_keeps_count_and_wakes, semaphore_scenario)

/* ---- events ---- */

static cosy_event event;

cosy_async static int event_worker(int number)
{
    (void)number;
    begun++;
    for (int done = 0; done < ROUNDS;) {
        done += forget_cancel(cosy_event_wait(&event));
        dawdle(1000);
    }
    ended++;
    return 0;
}

cosy_async static int event_scenario(void)
{
    event = (cosy_event){0};
    cosy_try(with_cancels(event_worker, 2000, NULL));
    while (ended < WORKERS) { /* a set that is cleared at once still wakes */
        struct cosy_event_statistics statistics;
        cosy_event_set(&event);
        cosy_event_clear(&event);
        cosy_event_statistics(&event, &statistics);
        holds(statistics.tasks_waiting == 0);
        cosy_try(cosy_sleep(5000));
        cosy_event_statistics(&event, &statistics);
        holds(statistics.tasks_waiting == (size_t)(WORKERS - ended)); /* all went on, and are here again */
    }
    return join();
}

SCHEDULE_TEST(an_event_wakes_all, event_scenario)

/* ---- conditions: a buffer of one item, one lock and two conditions, each item notified once ---- */

enum { ITEMS = ROUNDS * (WORKERS / 2) };
static cosy_lock mutex;
static cosy_condition empty = COSY_CONDITION(&mutex), full = COSY_CONDITION(&mutex);
static bool item;
static int consumed;

/* Waits with the lock, which is somebody else's meanwhile and ours again afterwards, cancelled or not. False:
 * cancelled. */
cosy_async static bool wait_inside(cosy_condition *condition)
{
    inside--;
    bool woken = forget_cancel(cosy_condition_wait(condition));
    holds(cosy_lock_locked(&mutex));
    holds(inside++ == 0);
    return woken;
}

cosy_async static bool produce_one(void)
{
    while (item)
        wait_inside(&empty);
    item = true;
    holds(cosy_condition_notify(&full, 1) == 0);
    return true;
}

/* A consumer but the first goes home when it is cancelled, and takes its notification along if that is not passed on:
 * then the item is there, and everybody waits. The last item sends all home. */
cosy_async static bool consume_one(bool steadfast)
{
    while (!item && consumed < ITEMS)
        if (!wait_inside(&full) && !steadfast)
            return false;
    if (consumed == ITEMS)
        return false;
    item = false;
    if (++consumed == ITEMS)
        holds(cosy_condition_notify_all(&full) == 0);
    holds(cosy_condition_notify(&empty, 1) == 0);
    return true;
}

cosy_async static int condition_worker(int number)
{
    bool producer = number % 2;
    begun++;
    for (int done = 0; !producer || done < ROUNDS;) {
        if (forget_cancel(cosy_lock_acquire(&mutex))) {
            holds(inside++ == 0);
            bool more = producer ? produce_one() : consume_one(number == 0);
            dawdle(1000); /* while those that were notified want the lock */
            holds(--inside == 0);
            holds(cosy_lock_release(&mutex) == 0);
            if (!more)
                break;
            done++;
        }
        dawdle(1000);
    }
    ended++;
    return 0;
}

cosy_async static int condition_scenario(void)
{
    item = false;
    consumed = 0;
    cosy_try(with_cancels(condition_worker, 2000, NULL));
    cosy_try(join());
    holds(!item && consumed == ITEMS);
    holds(!cosy_lock_locked(&mutex));
    return 0;
}

SCHEDULE_TEST(a_condition_loses_no_notification, condition_scenario)

/* ---- barriers: rounds without end, with resets, until it is aborted ---- */

static cosy_barrier barrier;
static unsigned taken; /* indices of this round */
static int rounds;
static bool stopped;

cosy_async static int barrier_worker(int number)
{
    (void)number;
    begun++;
    while (!stopped) {
        int index = cosy_barrier_wait(&barrier);
        if (index == WORKERS - 1) { /* the last to come is the first to go */
            taken = 0;
            rounds++;
        }
        if (index >= 0) {
            holds(index < WORKERS && !(taken & 1u << index));
            taken |= 1u << index;
        } else if (index != -COSY_EBROKENBARRIER)
            forget_cancel(index);
        dawdle(0);
    }
    ended++;
    return 0;
}

static void reset_now_and_then(void)
{
    unsigned die = chance(20);
    if (die == 0)
        cosy_barrier_abort(&barrier);
    if (die < 3)
        cosy_barrier_reset(&barrier);
}

cosy_async static int barrier_scenario(void)
{
    barrier = (cosy_barrier)COSY_BARRIER(WORKERS);
    stopped = false;
    rounds = 0;
    cosy_try(with_cancels(barrier_worker, 0, reset_now_and_then));
    int before = rounds;
    for (int i = 0; i < 1000 && rounds < before + 5; i++) /* left in peace, it opens again and again */
        cosy_try(cosy_yield());
    holds(rounds == before + 5);
    stopped = true;
    cosy_barrier_abort(&barrier);
    return join();
}

SCHEDULE_TEST(a_barrier_opens_after_all_that_happened, barrier_scenario)

TESTS_MAIN("schedules", a_lock_excludes_and_wakes, a_semaphore_keeps_count_and_wakes, an_event_wakes_all,
           a_condition_loses_no_notification, a_barrier_opens_after_all_that_happened)
