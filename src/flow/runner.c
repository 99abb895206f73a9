/* runner.c - cosy_run and its parts: the life cycle of a loop with a main task, and Ctrl-C. */
#include <cosy/runner.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cosy/gather.h>
#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "../task/task.h"
#include "agen.h"
#include "runner.h"

enum { MAIN_STACK_BYTES = 256 * 1024 };

struct cosy_runner {
    struct cosy_run_options options;
    struct cosy_loop *loop;
    uintptr_t context;      /* a slot: what one run leaves is what the next begins with */
    struct cosy_task *main; /* while one runs */
    int origin_depth;       /* before debug mode changed it; -1: it did not */
    bool interrupted, closed;
};

cosy_runner *cosy_runner_new_(const struct cosy_run_options *options)
{
    struct cosy_runner *runner = cosy_heap_zalloc(sizeof *runner);
    if (!runner)
        return NULL;
    if (options)
        runner->options = *options;
    runner->origin_depth = -1;
    return runner;
}

static int open_loop(struct cosy_runner *runner)
{
    const struct cosy_run_options *options = &runner->options;
    if (runner->closed)
        return -COSY_ECLOSED;
    if (runner->loop)
        return 0;
    if (!runner->context)
        runner->context = cosy_context_slot_copy(*cosy_context_here());
    int result = cosy_loop_new(&runner->loop, .backend = options->backend, .debug = options->debug,
                               .seed = options->seed, .shuffle = options->shuffle, .spin = options->spin);
    if (result == 0 && runner->loop->debug)
        runner->origin_depth = cosy_set_coroutine_origin_tracking_depth(10);
    return result;
}

cosy_loop *cosy_runner_loop(cosy_runner *runner)
{
    return runner && open_loop(runner) == 0 ? runner->loop : NULL;
}

/* ---- running until something is done ---- */

struct completion {
    struct cosy_observer observer;
    struct cosy_loop *loop;
    bool done;
};

static void completed(struct cosy_observer *observer)
{
    struct completion *completion = container_of(observer, struct completion, observer);
    completion->done = true;
    cosy_loop_stop(completion->loop);
}

static int run_until_done(struct cosy_loop *loop, struct cosy_future *future)
{
    struct completion completion = {.loop = loop, .observer.notify = completed};
    cosy_future_ref(future); /* the caller's handle may be dropped meanwhile */
    if (cosy_future_is_done(future))
        cosy_observe_done(future, &completion.observer);
    else
        cosy_observe(future, &completion.observer);
    int result = cosy_loop_run_forever(loop);
    cosy_unobserve(&completion.observer);
    if (result >= 0)
        result = completion.done ? cosy_future_outcome(future) : -COSY_ESTOPPED;
    cosy_future_drop(future);
    return result;
}

static cosy_task *task_in(struct cosy_loop *loop, cosy_coro *coro, const struct cosy_task_options *options)
{
    struct cosy_task_options with = options ? *options : (struct cosy_task_options){0};
    with.loop = loop;
    return cosy_task_from_(coro, &with);
}

static int refuse_nested(cosy_coro *coro)
{
    cosy_coro_close(coro);
    return cosy_fail(COSY_ERUNNING, "cosy_run cannot be called while a loop is running in this thread");
}

int cosy_run_until_complete_(cosy_loop *loop, struct cosy_awaited_ what)
{
    if (cosy_running_loop())
        return refuse_nested(what.kind == COSY_AWAITED_CORO ? what.what : NULL);
    if (!loop || loop->closed) {
        if (what.kind == COSY_AWAITED_CORO)
            cosy_coro_close(what.what);
        return loop ? -COSY_ECLOSED : -EINVAL;
    }
    struct cosy_future *future = what.what;
    if (what.kind == COSY_AWAITED_CORO) {
        cosy_task *task = task_in(loop, what.what, NULL);
        future = task ? cosy_task_future(task) : NULL;
    }
    if (!future)
        return cosy_creation_error();
    int result = future->loop != loop ? -COSY_EOTHERLOOP : run_until_done(loop, future);
    if (what.kind == COSY_AWAITED_CORO)
        cosy_future_drop(future);
    return result;
}

/* ---- Ctrl-C ---- */

static void on_interrupt(void *arg)
{
    struct cosy_runner *runner = arg;
    if (cosy_task_cancel_with(runner->main, "KeyboardInterrupt"))
        runner->interrupted = true; /* else it came too late, and a cancel that ended the task was somebody else's */
}

static bool in_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

static bool watch_interrupt(struct cosy_runner *runner)
{
    struct sigaction present;
    if (!in_main_thread() || sigaction(SIGINT, NULL, &present) < 0 || present.sa_handler != SIG_DFL)
        return false;
    return cosy_signals_add_quiet(runner->loop, on_interrupt, runner) == 0;
}

/* ---- the runner ---- */

static void move_context(uintptr_t *from, uintptr_t *to)
{
    cosy_context_slot_clear(to);
    *to = *from;
    *from = 0;
}

int cosy_runner_run_(cosy_runner *runner, cosy_coro *coro)
{
    if (cosy_running_loop())
        return refuse_nested(coro);
    int result = !runner ? -EINVAL : open_loop(runner);
    if (result < 0) {
        cosy_coro_close(coro);
        return result;
    }
    struct cosy_task_options options = {.stack_size =
                                            runner->options.stack_size ? runner->options.stack_size : MAIN_STACK_BYTES};
    runner->main = task_in(runner->loop, coro, &options);
    if (!runner->main)
        return cosy_creation_error();
    move_context(&runner->context, &runner->main->context);
    runner->interrupted = false;
    bool watching = watch_interrupt(runner);
    result = run_until_done(runner->loop, &runner->main->future);
    if (watching)
        cosy_signals_remove_quiet(runner->loop);
    if (runner->interrupted && result == -ECANCELED && cosy_task_uncancel(runner->main) == 0)
        result = -COSY_EINTERRUPT;
    move_context(&runner->main->context, &runner->context);
    cosy_task_drop(runner->main);
    runner->main = NULL;
    return result;
}

static void report_leftover(struct cosy_loop *loop, struct cosy_task *task)
{
    if (task->future.node.state == STATE_ERROR && !(task->future.node.flags & FLAG_RETRIEVED))
        cosy_report(loop, "unhandled exception during cosy_run() shutdown", &task->future);
}

/* The tasks that are left, with a reference to each; NULL: none, or no memory. */
static cosy_task **hold_all_tasks(struct cosy_loop *loop, size_t *ret_count)
{
    *ret_count = cosy_all_tasks(loop, NULL, 0);
    cosy_task **tasks = *ret_count ? cosy_heap_alloc(*ret_count * sizeof(*tasks)) : NULL;
    if (!tasks)
        return NULL;
    cosy_all_tasks(loop, tasks, *ret_count);
    for (size_t i = 0; i < *ret_count; i++)
        cosy_task_ref(tasks[i]);
    return tasks;
}

/* Runs the loop until the task is done. False when the loop cannot go on. */
static bool let_end(struct cosy_loop *loop, struct cosy_task *task)
{
    struct completion completion = {.loop = loop, .observer.notify = completed};
    int result = 0;
    if (cosy_task_done(task))
        return true;
    cosy_observe(&task->future, &completion.observer);
    while (!completion.done && result >= 0)
        result = cosy_loop_run_forever(loop);
    cosy_unobserve(&completion.observer);
    return result >= 0;
}

/* ---- what floors above have to end ---- */

static struct cosy_closer *closers;

void cosy_runner_add_closer(struct cosy_closer *closer)
{
    struct cosy_closer **place = &closers;
    while (*place && (*place)->order <= closer->order)
        place = &(*place)->next;
    closer->next = *place;
    *place = closer;
}

static void run_closers(struct cosy_loop *loop)
{
    bool going = true;
    for (struct cosy_closer *closer = closers; closer && going; closer = closer->next) {
        if (!closer->wanted(loop))
            continue;
        cosy_task *task = task_in(loop, cosy_call(closer->close), NULL);
        going = task && let_end(loop, task);
        cosy_task_drop(task);
    }
}

/* Without memory for a list: one after the other, those that begin meanwhile too. */
static void cancel_one_by_one(struct cosy_loop *loop)
{
    struct cosy_task *task;
    bool going = true;
    while (going && cosy_all_tasks(loop, &task, 1) > 0) {
        cosy_task_ref(task);
        cosy_task_cancel(task);
        going = let_end(loop, task);
        report_leftover(loop, task);
        cosy_task_drop(task);
    }
}

/* Cancels what is left and lets it end; one task after the other is waited for, while all go on. */
static void cancel_all_tasks(struct cosy_loop *loop)
{
    size_t count;
    cosy_task **tasks = hold_all_tasks(loop, &count);
    if (!tasks) {
        cancel_one_by_one(loop);
        return;
    }
    for (size_t i = 0; i < count; i++)
        cosy_task_cancel(tasks[i]);
    bool going = true;
    for (size_t i = 0; going && i < count; i++)
        going = let_end(loop, tasks[i]);
    for (size_t i = 0; i < count; i++) {
        report_leftover(loop, tasks[i]);
        cosy_task_drop(tasks[i]);
    }
    cosy_heap_free(tasks);
}

/* Their clean-up may wait: the loop runs once more for it. */
static void shut_generators_down(struct cosy_loop *loop)
{
    if (!cosy_agens_open(loop))
        return;
    int result = cosy_run_until_complete(loop, cosy_call(cosy_shutdown_asyncgens));
    if (result < 0)
        cosy_log(COSY_LOG_ERROR, "cosy: closing the async generators that were left came to %s", cosy_errname(result));
}

int cosy_runner_close(cosy_runner *runner)
{
    if (!runner)
        return -EINVAL;
    if (runner->closed)
        return 0;
    if (runner->loop && cosy_running_loop()) /* its tasks could not be joined */
        return -COSY_ERUNNING;
    runner->closed = true;
    if (runner->loop) {
        cancel_all_tasks(runner->loop);
        shut_generators_down(runner->loop);
        run_closers(runner->loop);
        cosy_loop_free(runner->loop);
        runner->loop = NULL;
    }
    if (runner->origin_depth >= 0)
        cosy_set_coroutine_origin_tracking_depth(runner->origin_depth);
    cosy_context_slot_clear(&runner->context);
    return 0;
}

void cosy_runner_free(cosy_runner *runner)
{
    if (runner && cosy_runner_close(runner) == 0) /* not from inside its own run */
        cosy_heap_free(runner);
}

int cosy_run_(cosy_coro *coro, const struct cosy_run_options *options)
{
    if (cosy_running_loop())
        return refuse_nested(coro);
    cosy_runner *runner = cosy_runner_new_(options);
    if (!runner) {
        cosy_coro_close(coro);
        return -ENOMEM;
    }
    int result = cosy_runner_run_(runner, coro);
    cosy_runner_free(runner);
    return result;
}

int cosy_main_(cosy_coro *coro, const struct cosy_run_options *options)
{
    int result = cosy_run_(coro, options);
    if (result >= 0)
        return result;
    fflush(stdout);
    if (result == -COSY_EINTERRUPT) {
        fprintf(stderr, "KeyboardInterrupt\n");
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    cosy_print_error(stderr, result);
    return 1;
}
