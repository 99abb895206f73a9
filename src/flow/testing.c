/* testing.c - one run of the test kit: a loop on the simulated kernel whose waits are counted, and one of them
 * cancelled.
 *
 * Tasks of such a loop are hooked (task.h), so that each wait comes by the loop's probe; all other loops pay nothing
 * for that. The cancel is that of cosy_task_cancel, called as if by a callback: nobody is running.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/runner.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/sim/network.h"
#include "../task/task.h"
#include "testing.h"

enum { MAX_WAITS = 1000000 };

struct test_run {
    struct cosy_probe probe;
    struct test_run *outer;
    struct cosy_loop *loop;
    const struct cosy_test_options *options;
    struct cosy_test_report report;
    uint64_t random, chance;
    struct cosy_checkpoints_ *checkpoints; /* open ones, of any task, innermost first */
    cosy_weak target;                      /* whose wait the cancel is for, once that has begun */
    uint64_t cancel_when;                  /* the count of waits at which it comes; 0: not by count */
    bool gave_up;
    char place[96];
};

static __thread struct test_run *running;

static struct test_run *run_of(struct cosy_probe *probe)
{
    return container_of(probe, struct test_run, probe);
}

/* ---- chance ---- */

uint64_t cosy_test_random_begin(uint64_t seed)
{
    return seed ^ UINT64_C(0x6a09e667f3bcc909);
}

uint64_t cosy_test_random_next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t cosy_test_random(void)
{
    struct cosy_exploration_ *exploration = cosy_exploring();
    if (running)
        return cosy_test_random_next(&running->random);
    return exploration ? cosy_test_random_next(&exploration->random) : 0;
}

/* ---- waits, and the cancel at one of them ---- */

static void inject(struct test_run *run, struct cosy_task *task)
{
    struct cosy_task *me = cosy_thread_.current;
    if (cosy_future_is_done(&task->future))
        return;
    run->report.cancelled = true;
    cosy_thread_.current = NULL;
    cosy_task_cancel_with(task, "by the test");
    cosy_thread_.current = me;
}

/* The delayed cancel: the task may have gone on meanwhile, then it meets it at its next wait; or ended. */
static void inject_delayed(struct test_run *run)
{
    struct cosy_task *task = cosy_weak_task(run->target);
    run->cancel_when = 0;
    if (!task)
        return;
    inject(run, task);
    cosy_task_drop(task);
}

static bool counts(const struct test_run *run, const struct cosy_task *task)
{
    const char *wanted = run->options->cancel_task;
    if (!wanted)
        return true;
    return strcmp(task->site->name, wanted) == 0 ||
           (task->extra && task->extra->name && strcmp(task->extra->name, wanted) == 0);
}

static void describe(struct test_run *run, struct cosy_task *task)
{
    const struct cosy_wait_kind *kind = task->wait ? task->wait->kind : NULL;
    snprintf(run->place, sizeof run->place, "%s, which %s%s%s", task->site->name, kind ? kind->verb : "lets others run",
             kind && kind->name ? " " : "", kind && kind->name ? kind->name(task->wait) : "");
}

/* First by stopping the loop, so that the run's tasks are cancelled; a program that does not end then either ends here.
 */
static void give_up(struct test_run *run, uint64_t limit)
{
    if (run->gave_up && run->report.waits > 2 * limit) {
        cosy_log(COSY_LOG_ERROR, "cosy: the test run does not end when its tasks are cancelled either");
        abort();
    }
    if (run->gave_up)
        return;
    run->gave_up = true;
    run->report.failures++;
    cosy_log(COSY_LOG_ERROR, "cosy: the test run does not end: stopped after %llu waits",
             (unsigned long long)run->report.waits);
    cosy_loop_stop(run->loop);
}

static void parks(struct cosy_probe *probe, struct cosy_task *task)
{
    struct test_run *run = run_of(probe);
    const struct cosy_test_options *options = run->options;
    for (struct cosy_checkpoints_ *open = run->checkpoints; open; open = open->outer)
        open->waits += open->task == task;
    if (!counts(run, task))
        return;
    uint64_t n = ++run->report.waits;
    uint64_t limit = options->max_waits ? options->max_waits : MAX_WAITS;
    if (unlikely(n > limit))
        give_up(run, limit);
    if (n == options->cancel_at) {
        describe(run, task);
        run->target = cosy_task_weak(task);
        if (options->cancel_delay >= 0)
            run->cancel_when = n + (unsigned)options->cancel_delay;
    }
    if (n == run->cancel_when)
        inject_delayed(run);
    if (options->cancel_one_in && cosy_test_random_next(&run->chance) % options->cancel_one_in == 0)
        inject(run, task);
}

static void resumes(struct cosy_probe *probe, struct cosy_task *task)
{
    struct test_run *run = run_of(probe);
    if (run->options->cancel_delay != COSY_TEST_WHEN_WOKEN || run->target.object != task || run->target.id != task->id)
        return;
    run->target = (cosy_weak){0};
    inject(run, task);
}

/* ---- books ---- */

static void count_object(struct cosy_task *object, void *count)
{
    (void)object;
    ++*(long *)count;
}

static long descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long count = 0;
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count + cosy_sim_descriptors_lost(); /* those of simulated kernels that are closed by now */
}

void cosy_test_balance(struct cosy_test_balance_ *balance, int sign)
{
    long objects = 0;
    cosy_objects_walk(count_object, &objects);
    balance->tasks += sign * objects;
    balance->descriptors += sign * descriptors();
    balance->allocations += sign * cosy_heap_live();
}

static void on_unheard(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    struct test_run *run = arg;
    run->report.unheard++;
    cosy_loop_default_exception_handler(loop, context);
}

/* ---- the run ---- */

static int run_on(struct test_run *run, cosy_runner *runner, cosy_coro *coro)
{
    const struct cosy_test_options *options = run->options;
    struct cosy_loop *loop = run->loop = cosy_runner_loop(runner);
    if (!loop) {
        cosy_coro_close(coro);
        return -ENOMEM;
    }
    if (!options->unwatched) {
        loop->probe = &run->probe;
        loop->watched = true;
    }
    cosy_loop_set_exception_handler(loop, on_unheard, run);
    if (options->manual_clock)
        cosy_sim_set_autojump(loop->sys, false);
    cosy_ns begun = cosy_loop_time(loop);
    int result = cosy_runner_run_(runner, coro);
    run->report.time = cosy_loop_time(loop) - begun;
    run->report.turns = cosy_loop_turns(loop);
    return result;
}

static int run_here(struct test_run *run, cosy_coro *coro)
{
    const struct cosy_test_options *options = run->options;
    cosy_runner *runner = cosy_runner_new(.backend = COSY_BACKEND_SIM, .debug = options->debug, .seed = options->seed,
                                          .shuffle = options->shuffle, .stack_size = options->stack_size);
    if (!runner) {
        cosy_coro_close(coro);
        return -ENOMEM;
    }
    run->outer = running;
    running = run;
    int result = run_on(run, runner, coro);
    cosy_runner_free(runner);
    running = run->outer;
    return result;
}

int cosy_test_run_(cosy_coro *coro, const struct cosy_test_options *given)
{
    struct cosy_exploration_ *exploration = cosy_exploring();
    struct cosy_test_options options = given ? *given : (struct cosy_test_options){0};
    if (cosy_running_loop()) {
        cosy_coro_close(coro);
        return cosy_fail(COSY_ERUNNING, "cosy_test_run cannot be called while a loop is running in this thread");
    }
    if (exploration)
        cosy_explore_fill(exploration, &options);
    struct test_run run = {.probe = {parks, resumes},
                           .options = &options,
                           .random = cosy_test_random_begin(options.seed),
                           .chance = cosy_test_random_begin(~options.seed)};
    run.report.left.tasks = coro ? 1 : 0; /* made before the run, gone after it */
    if (options.report)
        cosy_test_balance(&run.report.left, -1);
    int result = run_here(&run, coro);
    if (options.report) {
        cosy_test_balance(&run.report.left, 1);
        *options.report = run.report;
    }
    if (exploration)
        cosy_explore_note(exploration, result, &run.report, run.place);
    return result;
}

/* ---- expectations ---- */

static void failed(const char *what, const char *text, const char *file, unsigned line)
{
    struct cosy_task *me = cosy_task_here();
    struct cosy_exploration_ *exploration = cosy_exploring();
    if (running)
        running->report.failures++;
    else if (exploration)
        exploration->failures++;
    if (me)
        cosy_log(COSY_LOG_ERROR, "cosy: %s:%u: %s%s, in task '%s' (%s)", file, line, what, text, cosy_task_name(me),
                 me->site->name);
    else
        cosy_log(COSY_LOG_ERROR, "cosy: %s:%u: %s%s", file, line, what, text);
}

bool cosy_test_expect_(bool holds, const char *text, const char *file, unsigned line)
{
    if (!holds)
        failed("does not hold: ", text, file, line);
    return holds;
}

bool cosy_checkpoints_begin_(struct cosy_checkpoints_ *checkpoints)
{
    if (checkpoints->begun)
        return false;
    checkpoints->begun = true;
    checkpoints->task = cosy_task_here();
    if (!running || !checkpoints->task || running->loop != checkpoints->task->future.loop ||
        running->options->unwatched) {
        failed("checkpoints are known to tasks of cosy_test_run only", "", checkpoints->file, checkpoints->line);
        checkpoints->task = NULL;
        return true;
    }
    checkpoints->outer = running->checkpoints;
    running->checkpoints = checkpoints;
    return true;
}

void cosy_checkpoints_end_(struct cosy_checkpoints_ *checkpoints)
{
    if (!checkpoints->task)
        return;
    struct cosy_checkpoints_ **place = &running->checkpoints; /* of several tasks: they need not end in turn */
    while (*place != checkpoints)
        place = &(*place)->outer;
    *place = checkpoints->outer;
    if (checkpoints->wanted && checkpoints->waits == 0)
        failed("this block never waited", "", checkpoints->file, checkpoints->line);
    if (!checkpoints->wanted && checkpoints->waits > 0)
        failed("this block waited", "", checkpoints->file, checkpoints->line);
}
