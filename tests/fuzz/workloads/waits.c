/* Waiting for several: wait, as_completed, race, shield.
 *
 * Invariants: what a race started has ended; each comes once; a shielded task is not cancelled by its waiter's cancel;
 * nothing is left.
 */
#include "../fuzz.h"

enum { PARTS = 5 };

struct hunt {
    int begun, ended, killed; /* killed: ended by a cancel */
};

cosy_async static int prey(struct hunt *hunt, int value)
{
    hunt->begun++;
    int result = 0;
    for (int i = below(4); i >= 0 && result == 0; i--)
        result = pause_somehow();
    hunt->ended++;
    hunt->killed += result < 0;
    return result < 0 ? result : below(4) ? value : cosy_fail(EIO, "got away");
}

/* ---- race ---- */

cosy_async static int racer(void *state, int index)
{
    int64_t results[3];
    size_t winner = 99, started = 99;
    (void)state, (void)index;
    struct hunt own = {0};
    int result = cosy_race_with(
        (.results = results, .winner = &winner, .started = &started, .delay = below(2) ? COSY_US(below(40)) : 0),
        cosy_call(prey, &own, 1), cosy_call(prey, &own, 2), cosy_call(prey, &own, 3));
    cosy_test_expect(own.begun == own.ended);
    cosy_test_expect(result == -ECANCELED || result == -EIO ||
                     (result == (int)winner + 1 && results[winner] == result));
    cosy_test_expect(started <= 3);
    return result == -EIO ? 0 : result;
}

static void race_rounds(void)
{
    struct hunt hunt = {0};
    struct crew crew = {.member = racer, .state = &hunt, .members = 3, .kills = below(3)};
    (void)cosy_test_run(crew_run, &crew);
}
WORKLOAD("race", race_rounds)

/* ---- wait and as_completed ---- */

cosy_async static int wait_for_some(cosy_task **tasks)
{
    bool done[PARTS];
    int n = cosy_wait(tasks, PARTS, .return_when = (enum cosy_return_when)below(3),
                      .timeout = below(2) ? COSY_US(1 + below(60)) : 0, .done = done);
    cosy_try(n);
    int count = 0;
    for (int i = 0; i < PARTS; count += done[i++])
        cosy_test_expect(done[i] == cosy_task_done(tasks[i]));
    cosy_test_expect(count == n);
    return 0;
}

cosy_async static int each_as_completed(cosy_task **tasks)
{
    int err = 0, count = 0;
    bool seen[PARTS] = {0};
    COSY_AS_COMPLETED(task, tasks, PARTS, err)
    {
        cosy_test_expect(cosy_task_done(task));
        int which = 0;
        while (which < PARTS - 1 && tasks[which] != task)
            which++;
        cosy_test_expect(tasks[which] == task && !seen[which]);
        seen[which] = true;
        count++;
        if (below(3) == 0) {
            cosy_check(err, pause_somehow());
        }
    }
    cosy_test_expect(err != 0 || count == PARTS);
    return err;
}

cosy_async static int watcher(void *state, int index)
{
    struct hunt *hunt = state;
    cosy_task *tasks[PARTS];
    for (int i = 0; i < PARTS; i++)
        tasks[i] = cosy_create_task(prey, hunt, i);
    int result = index % 2 ? each_as_completed(tasks) : wait_for_some(tasks);
    for (int i = 0; i < PARTS; i++) {
        if (below(3) == 0)
            cosy_task_cancel(tasks[i]);
        while (!cosy_task_done(tasks[i])) {
            int shielded = cosy_shield(tasks[i]); /* a cancel of this task must not reach it */
            result = shielded == -ECANCELED && !cosy_task_done(tasks[i]) ? shielded : result;
        }
        (void)cosy_task_error(tasks[i]);
        cosy_task_drop(tasks[i]);
    }
    return result;
}

static void watch_rounds(void)
{
    struct hunt hunt = {0};
    struct crew crew = {.member = watcher, .state = &hunt, .members = 3, .kills = below(3)};
    (void)cosy_test_run(crew_run, &crew);
    cosy_test_expect(hunt.begun == hunt.ended);
}
WORKLOAD("wait", watch_rounds)
