/* Locks, semaphores, events, conditions, barriers.
 *
 * Invariants: as many inside as may be; nothing is half done; at rest nobody waits for what is there; all is given
 * back.
 */
#include "../fuzz.h"

/* ---- a bank: transfers in two steps, under a lock ---- */

struct bank {
    cosy_lock lock;
    int accounts[2], inside, done;
};

cosy_async static int transfer(struct bank *bank)
{
    cosy_test_expect(++bank->inside == 1);
    bank->accounts[0]--;
    int paused = pause_somehow();
    bank->accounts[paused == 0]++; /* a cancelled one is taken back */
    bank->inside--;
    return paused;
}

cosy_async static int clerk(void *state, int index)
{
    struct bank *bank = state;
    (void)index;
    for (int i = 0; i < 3; i++) {
        int err = 0;
        cosy_try(pause_somehow());
        COSY_LOCKED (err, &bank->lock) {
            cosy_check(err, transfer(bank));
        }
        cosy_try(err);
    }
    bank->done++;
    return 0;
}

static void bank_at_rest(void *state)
{
    struct bank *bank = state;
    struct cosy_lock_statistics lock;
    cosy_lock_statistics(&bank->lock, &lock);
    cosy_test_expect(!lock.locked && lock.tasks_waiting == 0);
}

static void bank_rounds(void)
{
    struct bank bank = {.accounts = {100, 0}};
    struct crew crew = {.member = clerk, .at_rest = bank_at_rest, .state = &bank, .members = 5, .kills = below(4)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(bank.accounts[0] + bank.accounts[1] == 100);
    cosy_test_expect(bank.inside == 0 && !cosy_lock_locked(&bank.lock));
}
WORKLOAD("lock", bank_rounds)

/* ---- permits ---- */

enum { PERMITS = 2 };

struct pool {
    cosy_semaphore permits;
    int inside;
};

cosy_async static int guest(void *state, int index)
{
    struct pool *pool = state;
    for (int i = 0; i < 3; i++) {
        int paused = 0;
        if (index % 3 == 2 && cosy_semaphore_try_acquire(&pool->permits) == -EAGAIN) {
            cosy_try(pause_somehow());
            continue;
        } else if (index % 3 != 2)
            cosy_try(cosy_semaphore_acquire(&pool->permits));
        cosy_test_expect(++pool->inside <= PERMITS);
        paused = pause_somehow();
        pool->inside--;
        cosy_test_expect(cosy_semaphore_release(&pool->permits) == 0);
        cosy_try(paused);
    }
    return 0;
}

static void pool_at_rest(void *state)
{
    struct pool *pool = state;
    struct cosy_semaphore_statistics permits;
    cosy_semaphore_statistics(&pool->permits, &permits);
    cosy_test_expect(permits.value == PERMITS && permits.tasks_waiting == 0);
}

static void pool_rounds(void)
{
    struct pool pool = {.permits = COSY_BOUNDED_SEMAPHORE(PERMITS)};
    struct crew crew = {.member = guest, .at_rest = pool_at_rest, .state = &pool, .members = 7, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(pool.inside == 0 && cosy_semaphore_value(&pool.permits) == PERMITS);
}
WORKLOAD("semaphore", pool_rounds)

/* ---- a flag that is set and cleared ---- */

struct flag {
    cosy_event event;
    int passed;
};

static void set_flag(void *arg)
{
    cosy_event_set(&((struct flag *)arg)->event);
}

static void clear_flag(void *arg)
{
    cosy_event_clear(&((struct flag *)arg)->event);
}

cosy_async static int passer(void *state, int index)
{
    struct flag *flag = state;
    (void)index;
    for (int i = 0; i < 3; i++) {
        cosy_try(pause_somehow());
        cosy_try(cosy_event_wait(&flag->event));
        flag->passed++;
    }
    return 0;
}

static void flag_at_rest(void *state)
{
    struct cosy_event_statistics event;
    cosy_event_statistics(&((struct flag *)state)->event, &event);
    cosy_test_expect(event.is_set && event.tasks_waiting == 0);
}

cosy_async static int flags(struct crew *crew)
{
    cosy_loop *loop = cosy_running_loop();
    for (int i = 0; i < 4; i++) {
        int at = below(60);
        (void)cosy_call_later(loop, COSY_US(at), set_flag, crew->state, NULL);
        (void)cosy_call_later(loop, COSY_US(at + below(2)), clear_flag, crew->state, NULL); /* often in the same turn */
    }
    (void)cosy_call_later(loop, COSY_S(1), set_flag, crew->state, NULL);
    return crew_run(crew);
}

static void flag_rounds(void)
{
    struct flag flag = {.passed = 0};
    struct crew crew = {.member = passer, .at_rest = flag_at_rest, .state = &flag, .members = 5, .kills = below(3)};
    int result = cosy_test_run(flags, &crew);
    cosy_test_expect(result < 0 || crew.stopped > 0 || flag.passed == 15);
}
WORKLOAD("event", flag_rounds)

/* ---- a bounded buffer of two conditions over one lock ---- */

enum { ROOM = 2, ITEMS = 64 };

struct buffer {
    cosy_lock lock;
    cosy_condition filled, emptied;
    int givers, count, made, put, got;
    bool seen[ITEMS];
    int items[ROOM];
};

cosy_async static int put_one(struct buffer *buffer)
{
    int err = 0;
    COSY_LOCKED (err, &buffer->emptied) {
        cosy_check(err, cosy_condition_wait_until(&buffer->emptied, buffer->count < ROOM));
        cosy_test_expect(buffer->count < ROOM && cosy_lock_locked(&buffer->lock));
        buffer->items[buffer->count++] = buffer->made++;
        buffer->put++;
        cosy_test_expect(cosy_condition_notify(&buffer->filled, 1) == 0);
    }
    return err;
}

cosy_async static int get_one(struct buffer *buffer)
{
    int err = 0;
    COSY_LOCKED (err, &buffer->filled) {
        cosy_check(err, cosy_condition_wait_until(&buffer->filled, buffer->count > 0));
        int item = buffer->items[--buffer->count];
        cosy_test_expect(item >= 0 && item < ITEMS && !buffer->seen[item]);
        buffer->seen[item] = true;
        buffer->got++;
        cosy_test_expect(cosy_condition_notify(&buffer->emptied, 1) == 0);
    }
    return err;
}

cosy_async static int trader(void *state, int index)
{
    struct buffer *buffer = state;
    for (int i = 0; i < 3; i++) {
        cosy_try(pause_somehow());
        cosy_try(gives(index, buffer->givers) ? put_one(buffer) : get_one(buffer));
    }
    return 0;
}

static void buffer_at_rest(void *state)
{
    struct buffer *buffer = state;
    struct cosy_condition_statistics filled, emptied;
    cosy_condition_statistics(&buffer->filled, &filled);
    cosy_condition_statistics(&buffer->emptied, &emptied);
    cosy_test_expect(!filled.lock.locked && filled.lock.tasks_waiting == 0);
    cosy_test_expect(buffer->count == 0 || filled.tasks_waiting == 0);
    cosy_test_expect(buffer->count == ROOM || emptied.tasks_waiting == 0);
}

static void buffer_rounds(void)
{
    struct buffer buffer = {.givers = 1 + below(3)};
    buffer.filled = (cosy_condition)COSY_CONDITION(&buffer.lock);
    buffer.emptied = (cosy_condition)COSY_CONDITION(&buffer.lock);
    struct crew crew = {.member = trader, .at_rest = buffer_at_rest, .state = &buffer, .members = 8, .kills = below(5)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(buffer.put == buffer.got + buffer.count && !cosy_lock_locked(&buffer.lock));
}
WORKLOAD("condition", buffer_rounds)

/* ---- rounds of a barrier ---- */

enum { PARTIES = 3 };

struct round_table {
    cosy_barrier barrier;
    int passed[PARTIES];
    int waiting, lost; /* lost: cancelled in the wait, with an index perhaps */
};

cosy_async static int knight(void *state, int index)
{
    struct round_table *table = state;
    (void)index;
    for (int i = 0; i < 2; i++) {
        cosy_try(pause_somehow());
        table->waiting++;
        int place = cosy_barrier_wait(&table->barrier);
        table->waiting--;
        table->lost += place < 0;
        cosy_test_expect(place == -ECANCELED || (place >= 0 && place < PARTIES));
        cosy_try(place);
        table->passed[place]++;
    }
    return 0;
}

static void table_at_rest(void *state)
{
    struct round_table *table = state;
    cosy_test_expect(table->waiting < PARTIES);
}

static void table_rounds(void)
{
    struct round_table table = {.barrier = COSY_BARRIER(PARTIES)};
    struct crew crew = {.member = knight, .at_rest = table_at_rest, .state = &table, .members = 6, .kills = below(4)};
    (void)cosy_test_run(crew_run, &crew);
    for (int i = 0; i < PARTIES; i++)
        for (int j = 0; j < PARTIES;
             j++) /* each round gives each place once, but to those that were cancelled on their way out */
            cosy_test_expect(table.passed[i] - table.passed[j] <= table.lost);
}
WORKLOAD("barrier", table_rounds)
