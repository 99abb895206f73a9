/* job.c - a call on its way into a pool's thread and back to the task, or the future, that wants its result. */
#include "executor.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "../task/capture.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* The task that waits for a job; on its stack. */
struct cosy_job_wait {
    struct cosy_wait wait;
    struct cosy_task *task;
    struct cosy_job *job; /* NULL: back, taken back, or left alone */
    int64_t result;       /* when it is back */
    bool abandon, cancelled;
};

/* ---- in the pool's thread ---- */

static __thread struct cosy_job *job_here;

bool cosy_job_cancelled(void)
{
    return job_here && atomic_load_explicit(&job_here->cancelled, memory_order_acquire);
}

void cosy_job_run(struct cosy_job *job)
{
    cosy_error_thread_end(); /* of the job before */
    cosy_thread_.context = job->context;
    cosy_thread_.callback = ++cosy_thread_.callbacks;
    job->context = 0;
    job_here = job;
    int64_t result = cosy_parcel_call(&job->parcel);
    job_here = NULL;
    cosy_context_slot_clear(&cosy_thread_.context);
    if (cosy_thread_.making)
        cosy_making_drop_until(NULL);
    if (result < 0) {
        job->result = result < INT_MIN ? -EOVERFLOW : result; /* cut to an int it might look like success */
        job->error = cosy_error_take((int)job->result);
    } else
        job->result = result;
}

/* ---- life ---- */

static void job_free(struct cosy_job *job)
{
    cosy_parcel_discard(&job->parcel);
    cosy_context_slot_clear(&job->context);
    cosy_error_drop(job->error);
    cosy_executor_unref(job->executor);
    if (job->release)
        job->release(job->release_arg);
    cosy_heap_free(job);
}

/* The call comes to no job. */
static void release_at_once(const struct cosy_job_options *options)
{
    if (options && options->release)
        options->release(options->release_arg);
}

static struct cosy_job *job_of(struct cosy_letter *letter)
{
    return container_of(letter, struct cosy_job, letter);
}

static void free_letter(struct cosy_letter *letter)
{
    job_free(job_of(letter));
}

/* The object's call in a new job, which keeps the executor. The object is gone in any case. */
static struct cosy_job *job_new(struct cosy_executor *executor, struct cosy_task *object,
                                const struct cosy_job_options *options)
{
    size_t bytes = offsetof(struct cosy_job, parcel) + cosy_parcel_bytes(object);
    struct cosy_job *job = cosy_heap_alloc_aligned(16, (bytes + 15) / 16 * 16);
    uintptr_t context = 0;
    if (!job || (options && options->copy_context && cosy_context_slot_clone(*cosy_context_here(), &context) < 0)) {
        cosy_heap_free(job);
        cosy_capture_discard(object);
        cosy_task_unref(object);
        return NULL;
    }
    memset(job, 0, offsetof(struct cosy_job, parcel));
    job->context = context;
    job->executor = executor;
    atomic_fetch_add_explicit(&executor->refs, 1, memory_order_relaxed);
    if (options) {
        job->on_cancel = options->on_cancel;
        job->on_cancel_arg = options->on_cancel_arg;
        job->release = options->release;
        job->release_arg = options->release_arg;
    }
    cosy_parcel_pack(&job->parcel, object);
    return job;
}

/* From here on threads may have it. When that fails, it is freed. */
static int job_send(struct cosy_job *job, struct cosy_loop *loop)
{
    struct cosy_executor *executor = job->executor;
    cosy_letter_send(&job->letter, &cosy_job_letter, loop);
    int result = cosy_executor_push(executor, job);
    if (result == 0)
        return 0;
    if (result == -COSY_ESHUTDOWN)
        cosy_fail(COSY_ESHUTDOWN, "executor '%s' is shut down: it takes no more jobs, such as %s from %s:%u",
                  executor->name, job->parcel.site->name, job->parcel.site->file, job->parcel.site->line);
    else
        cosy_fail(-result, "executor '%s' cannot start a thread for %s from %s:%u: %s", executor->name,
                  job->parcel.site->name, job->parcel.site->file, job->parcel.site->line, cosy_strerror(result));
    cosy_letter_take_back(&job->letter);
    job_free(job);
    return result;
}

/* What became of it, with its story, for whoever wants it. */
static struct cosy_error *story_of(struct cosy_job *job)
{
    char who[256];
    const struct cosy_site_ *site = job->parcel.site;
    snprintf(who, sizeof who, "job (%s) in executor '%s', submitted at %s:%u in %s", site->name, job->executor->name,
             site->file, site->line, site->func);
    struct cosy_error *cause = job->error;
    job->error = NULL;
    return cosy_error_told_by((int)job->result, cause, who);
}

/* Asks a job to stop. True when it will not begin: it is the caller's to free. */
static bool job_cancel(struct cosy_job *job)
{
    if (cosy_executor_withdraw(job->executor, job)) {
        cosy_letter_take_back(&job->letter);
        return true;
    }
    if (!atomic_exchange(&job->cancelled, true) && job->on_cancel)
        job->on_cancel(job->on_cancel_arg);
    return false;
}

/* ---- a task that waits ---- */

static struct cosy_job_wait *wait_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_job_wait, wait);
}

static void leave(struct cosy_job_wait *wait)
{
    struct cosy_job *job = wait->job;
    if (!job)
        return;
    wait->job = NULL;
    job->wait = NULL;
    if (job_cancel(job))
        job_free(job);
}

static void wait_abandon(struct cosy_wait *wait)
{
    leave(wait_of(wait));
}

static bool wait_cancel(struct cosy_wait *base, struct cosy_task *task)
{
    struct cosy_job_wait *wait = wait_of(base);
    (void)task;
    if (wait->abandon) {
        leave(wait);
        return false;
    }
    wait->cancelled = true;
    if (!job_cancel(wait->job))
        return true;
    job_free(wait->job);
    wait->job = NULL;
    return false;
}

static const char *wait_name(struct cosy_wait *wait)
{
    return wait_of(wait)->job ? wait_of(wait)->job->parcel.site->name : "nothing";
}

static const struct cosy_wait_kind job_kind = {
    .verb = "waits for the job", .cancel = wait_cancel, .name = wait_name, .abandon = wait_abandon};

/* A cancel wins, unless the job has failed by itself. */
static int outcome(const struct cosy_job_wait *wait, int64_t woken)
{
    if (woken < 0 || (wait->cancelled && wait->result >= 0))
        return -ECANCELED;
    return wait->result > INT_MAX ? -EOVERFLOW : (int)wait->result;
}

static struct cosy_executor *or_default(struct cosy_executor *executor, struct cosy_loop *loop, int *ret_error)
{
    return executor ? executor : cosy_pool_of(loop, COSY_POOL_USER, ret_error);
}

/* The coroutine's object for a job, or NULL; it is closed then. */
static struct cosy_job *job_for(struct cosy_executor *executor, cosy_coro *call, struct cosy_loop *loop,
                                const struct cosy_job_options *options, int *ret_error)
{
    struct cosy_task *object = cosy_coro_take(call, ret_error);
    if (!object)
        return NULL;
    executor = or_default(executor, loop, ret_error);
    if (!executor) {
        cosy_coro_close(call);
        return NULL;
    }
    *ret_error = -ENOMEM;
    return job_new(executor, object, options);
}

int cosy_run_in_executor_(cosy_executor *executor, cosy_coro *call, const struct cosy_job_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_run_in_executor");
    int result;
    if (!me) {
        cosy_coro_close(call);
        release_at_once(options);
        return -COSY_ENOTASK;
    }
    struct cosy_job *job = job_for(executor, call, me->future.loop, options, &result);
    if (!job) {
        release_at_once(options);
        return result;
    }
    struct cosy_job_wait wait = {
        .wait.kind = &job_kind, .task = me, .job = job, .abandon = options && options->abandon};
    job->wait = &wait;
    result = job_send(job, me->future.loop);
    return result < 0 ? result : outcome(&wait, cosy_park(me, &wait.wait));
}

/* ---- a future ---- */

static void drop_future(struct cosy_job *job)
{
    cosy_unobserve(&job->ended);
    cosy_future_drop(job->future);
    job->future = NULL;
}

/* The future is done, and not by the job: it was cancelled. */
static void future_ended(struct cosy_observer *observer)
{
    struct cosy_job *job = container_of(observer, struct cosy_job, ended);
    if (job_cancel(job)) {
        drop_future(job);
        job_free(job);
    }
}

static void finish_future(struct cosy_job *job)
{
    struct cosy_future *future = job->future;
    cosy_unobserve(&job->ended);
    if (!cosy_future_is_done(future)) {
        uint8_t state = job->result >= 0 ? STATE_RESULT : job->result == -ECANCELED ? STATE_CANCELLED : STATE_ERROR;
        if (state == STATE_ERROR)
            future->error = story_of(job);
        cosy_future_finish(future, state, job->result);
    }
    drop_future(job);
}

cosy_future *cosy_submit_(cosy_executor *executor, cosy_coro *call, const struct cosy_job_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    struct cosy_future *future = cosy_future_new(loop);
    if (!future) {
        cosy_coro_close(call);
        release_at_once(options);
        return NULL;
    }
    int result;
    struct cosy_job *job = job_for(executor, call, loop, options, &result);
    if (!job)
        release_at_once(options);
    if (job && (result = job_send(job, loop)) == 0) {
        job->future = cosy_future_ref(future); /* only this thread looks at it */
        job->ended.notify = future_ended;
        cosy_observe(future, &job->ended);
        return future;
    }
    cosy_future_drop(future);
    cosy_set_creation_error(result);
    return NULL;
}

/* ---- back in the loop ---- */

static void came_back(struct cosy_letter *letter)
{
    struct cosy_job *job = job_of(letter);
    struct cosy_job_wait *wait = job->wait;
    if (wait) {
        wait->job = NULL;
        wait->result = job->result;
        if (job->result < 0)
            cosy_error_adopt(wait->task, story_of(job));
        cosy_task_wake(wait->task, 0);
    } else if (job->future)
        finish_future(job);
    job_free(job);
}

static void let_go(struct cosy_letter *letter)
{
    struct cosy_job *job = job_of(letter);
    if (job->future)
        drop_future(job);
    if (job_cancel(job))
        job_free(job);
}

const struct cosy_letter_kind cosy_job_letter = {.returned = came_back, .let_go = let_go, .free = free_letter};
