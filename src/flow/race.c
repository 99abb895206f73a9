/* race.c - coroutines started one after the other, until one succeeds.
 *
 * All are children of the racing task, which starts each itself; the ends of its children and the clock only tell it to
 * look.
 */
#include <cosy/race.h>

#include <stdio.h>

#include "../base/heap.h"
#include "awaited.h"

struct race;

struct racer {
    struct cosy_observer observer;
    struct race *of;
    struct cosy_future *future; /* a reference; NULL: could not be started */
    int64_t outcome;
};

enum { ON_STACK = 8 };

/* Invariants
 *  - racers[0 .. started) were started, `running` of them are not done or not told yet.
 *  - Once over, none is started any more, and all that run have been cancelled.
 */
struct race {
    struct cosy_wait wait;
    struct cosy_timed_wait timed;
    struct cosy_task *task;
    cosy_coro *const *coros;
    struct racer *racers;
    size_t count, started, running, winner; /* winner: count, while there is none */
    struct cosy_future *failed;             /* the first one that failed */
    int first_error;
    cosy_ns delay;
    bool next_now; /* the one before has failed, or the delay is over */
    bool over, cancelled, asleep;
    char name[64];
    struct racer few[ON_STACK];
};

static struct race *race_of(struct cosy_wait *wait)
{
    return container_of(wait, struct race, wait);
}

static void stop(struct race *race, const char *why)
{
    race->over = true;
    cosy_timed_wait_disarm(race->task->future.loop, &race->timed);
    for (size_t i = 0; i < race->started; i++)
        if (race->racers[i].observer.future)
            cosy_task_cancel_with(cosy_as_task(race->racers[i].future), why);
}

static bool race_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct race *race = race_of(wait);
    (void)task;
    race->cancelled = true;
    stop(race, "its race was cancelled");
    return true; /* something runs, or nobody would wait here */
}

static const char *race_name(struct cosy_wait *wait)
{
    struct race *race = race_of(wait);
    snprintf(race->name, sizeof race->name, "of %zu (%zu started, %zu running)", race->count, race->started,
             race->running);
    return race->name;
}

static void release(struct race *race)
{
    for (size_t i = 0; i < race->started; i++)
        cosy_future_drop(race->racers[i].future);
    for (size_t i = race->started; i < race->count; i++)
        cosy_coro_close(race->coros[i]);
    if (race->racers != race->few)
        cosy_heap_free(race->racers);
}

static void race_abandon(struct cosy_wait *wait)
{
    struct race *race = race_of(wait);
    for (size_t i = 0; i < race->started; i++)
        cosy_unobserve(&race->racers[i].observer);
    cosy_timed_wait_disarm(race->task->future.loop, &race->timed);
    release(race);
}

static const struct cosy_wait_kind race_kind = {
    .verb = "waits for a race", .cancel = race_cancel, .name = race_name, .abandon = race_abandon};

static bool may_start(const struct race *race)
{
    return !race->over && race->started < race->count && (race->started == 0 || race->delay <= 0 || race->next_now);
}

static void look(struct race *race)
{
    if (race->asleep && (race->running == 0 || may_start(race))) {
        race->asleep = false;
        cosy_task_wake(race->task, 0);
    }
}

static void note_failure(struct race *race, size_t index, int error)
{
    if (!race->first_error) {
        race->first_error = error;
        race->failed = race->racers[index].future;
    }
    race->next_now |= index + 1 == race->started; /* an older one's failure is no reason to hurry */
}

static void racer_done(struct cosy_observer *observer)
{
    struct racer *racer = container_of(observer, struct racer, observer);
    struct race *race = racer->of;
    size_t index = (size_t)(racer - race->racers);
    race->running--;
    racer->outcome = racer->future->result;
    if (racer->future->node.state != STATE_RESULT) {
        racer->future->node.flags |= FLAG_RETRIEVED;
        note_failure(race, index, (int)racer->outcome);
    } else if (race->winner == race->count) {
        race->winner = index;
        if (!race->over)
            stop(race, "another one has won the race");
    }
    look(race);
}

static void delay_is_over(struct cosy_timed_wait *timed)
{
    struct race *race = container_of(timed, struct race, timed);
    race->next_now = true;
    look(race);
}

static void start_clock(struct race *race)
{
    struct cosy_loop *loop = race->task->future.loop;
    cosy_timed_wait_disarm(loop, &race->timed);
    if (race->started == race->count || race->delay <= 0)
        return;
    cosy_ns when = cosy_moment_in(loop, race->delay);
    if (when != COSY_NEVER && cosy_timed_wait_arm(loop, &race->timed, when) < 0)
        race->next_now = true; /* without memory for a clock it is better to be early than to wait for a failure */
}

static void start_next(struct race *race)
{
    size_t index = race->started++;
    struct racer *racer = &race->racers[index];
    int error;
    *racer = (struct racer){.of = race};
    racer->observer.task = race->task;
    racer->observer.notify = racer_done;
    racer->future = cosy_as_future(COSY_AWAITED_CORO, race->coros[index], &error);
    race->next_now = false;
    if (!racer->future) {
        racer->outcome = error;
        note_failure(race, index, error);
        return;
    }
    race->running++;
    cosy_observe(racer->future, &racer->observer);
    start_clock(race);
}

static void pause_race(struct race *race)
{
    race->asleep = true;
    if (cosy_park(race->task, &race->wait) == -ECANCELED) { /* woken already, or asked for before */
        race->cancelled = true;
        stop(race, "its race was cancelled");
    }
    race->asleep = false;
}

static void run(struct race *race)
{
    for (;;)
        if (may_start(race))
            start_next(race);
        else if (race->running > 0)
            pause_race(race);
        else
            break;
}

static int tell(struct race *race, const struct cosy_race_options *options)
{
    for (size_t i = 0; options->results && i < race->count; i++)
        options->results[i] = i < race->started ? race->racers[i].outcome : -COSY_EINVALIDSTATE;
    if (options->winner)
        *options->winner = race->winner;
    if (options->started)
        *options->started = race->started;
    if (race->cancelled)
        return -ECANCELED;
    if (race->winner < race->count)
        return cosy_future_outcome(race->racers[race->winner].future);
    if (race->failed)
        cosy_error_inherit(race->first_error, race->failed);
    return race->first_error;
}

int cosy_race_(cosy_coro *const *coros, size_t count, const struct cosy_race_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_race");
    struct cosy_awaited_list list = {
        .handles = (void *const *)(const void *)coros, .kind = COSY_AWAITED_CORO, .count = coros ? count : 0};
    struct race race = {.wait.kind = &race_kind,
                        .timed.fired = delay_is_over,
                        .task = me,
                        .coros = coros,
                        .count = count,
                        .winner = count,
                        .delay = options->delay};
    if (!me)
        return cosy_awaited_refuse(&list, -COSY_ENOTASK);
    if (list.count == 0)
        return cosy_fail(EINVAL, "cosy_race: nobody takes part");
    race.racers = race.few;
    if (count > ON_STACK && !(race.racers = cosy_heap_alloc(count * sizeof(*race.racers))))
        return cosy_awaited_refuse(&list, -ENOMEM);
    run(&race);
    cosy_timed_wait_disarm(me->future.loop, &race.timed);
    int result = tell(&race, options);
    release(&race);
    return result;
}
