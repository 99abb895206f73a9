/* threadsafe.c - run_coroutine_threadsafe: a call carried into a loop, and the way of its outcome back to a thread.
 *
 * Invariants
 *  - `order` is on the inbox or in the loop's hands until the outcome is told; it keeps one reference. `cancel` keeps
 * another while it is on the inbox, and is sent once.
 *    It is behind the order there, so that the order's task is there when it comes.
 *  - `task` and `end` belong to the loop's thread; the lock guards the outcome. Whoever holds a reference may
 * read it after `done`.
 */
#include <cosy/threadsafe.h>

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "../task/capture.h"
#include "../task/parcel.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

struct cosy_thread_future {
    atomic_uint refs;
    struct cosy_loop *loop;
    struct cosy_observer order, cancel; /* on the loop's inbox */
    atomic_bool cancel_sent;
    bool unasked; /* nobody has a handle */

    struct cosy_task *task;   /* a reference, while it runs */
    struct cosy_observer end; /* on the task */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int64_t result;
    char *message;
    struct cosy_parcel parcel; /* as long as its call needs */
};

void cosy_thread_future_drop(cosy_thread_future *future)
{
    if (!future || atomic_fetch_sub_explicit(&future->refs, 1, memory_order_acq_rel) > 1)
        return;
    cosy_parcel_discard(&future->parcel);
    pthread_mutex_destroy(&future->lock);
    pthread_cond_destroy(&future->changed);
    cosy_heap_free(future->message);
    cosy_heap_free(future);
}

/* The outcome is there; the order's reference goes. */
static void tell(struct cosy_thread_future *future, int64_t result, const char *message)
{
    char *copy = message && *message ? cosy_heap_strdup(message) : NULL;
    pthread_mutex_lock(&future->lock);
    future->result = result;
    future->message = copy;
    future->done = true;
    pthread_cond_broadcast(&future->changed);
    pthread_mutex_unlock(&future->lock);
    cosy_thread_future_drop(future);
}

/* ---- in the loop's thread ---- */

static struct cosy_thread_future *of_end(struct cosy_observer *observer)
{
    return container_of(observer, struct cosy_thread_future, end);
}

static void tell_of_task(struct cosy_thread_future *future, int64_t otherwise)
{
    struct cosy_task *task = future->task;
    const char *message = NULL;
    int64_t result = otherwise;
    future->task = NULL;
    if (cosy_future_is_done(&task->future)) {
        result = task->future.result;
        message = cosy_future_error_message(&task->future);
        if (!future->unasked)
            task->future.node.flags |= FLAG_RETRIEVED;
    }
    tell(future, result, message);
    cosy_task_drop(task);
}

static void task_ended(struct cosy_observer *observer)
{
    tell_of_task(of_end(observer), 0);
}

static void loop_closed_on_task(struct cosy_observer *observer)
{
    tell_of_task(of_end(observer), -COSY_ECLOSED);
}

/* The task's function: in the task tree it goes by the name of the call that it makes. */
cosy_async static int64_t make_the_call(struct cosy_thread_future *future)
{
    return cosy_parcel_call(&future->parcel);
}

static void start(struct cosy_observer *order)
{
    struct cosy_thread_future *future = container_of(order, struct cosy_thread_future, order);
    future->task = cosy_create_task(make_the_call, future);
    if (!future->task) {
        tell(future, cosy_creation_error(), NULL);
        return;
    }
    future->task->site = future->parcel.site;
    future->end = (struct cosy_observer){.notify = task_ended, .discard = loop_closed_on_task};
    cosy_observe(&future->task->future, &future->end);
}

static void loop_closed_on_order(struct cosy_observer *order)
{
    tell(container_of(order, struct cosy_thread_future, order), -COSY_ECLOSED,
         "the loop closed before the call was made");
}

static void do_cancel(struct cosy_observer *observer)
{
    struct cosy_thread_future *future = container_of(observer, struct cosy_thread_future, cancel);
    cosy_task_cancel(future->task);
    cosy_thread_future_drop(future);
}

static void loop_closed_on_cancel(struct cosy_observer *observer)
{
    cosy_thread_future_drop(container_of(observer, struct cosy_thread_future, cancel));
}

/* ---- in any thread ---- */

static void open_lock(struct cosy_thread_future *future)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&future->lock, NULL);
    pthread_cond_init(&future->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct cosy_thread_future *future_for(struct cosy_loop *loop, struct cosy_task *object)
{
    size_t bytes = offsetof(struct cosy_thread_future, parcel) + cosy_parcel_bytes(object);
    struct cosy_thread_future *future = cosy_heap_alloc_aligned(16, (bytes + 15) / 16 * 16);
    if (!future) {
        cosy_capture_discard(object);
        cosy_task_unref(object);
        return NULL;
    }
    memset(future, 0, offsetof(struct cosy_thread_future, parcel));
    atomic_init(&future->refs, 2); /* the caller's and the order's */
    future->loop = loop;
    future->order =
        (struct cosy_observer){.node.kind = COSY_NODE_NOTIFY, .notify = start, .discard = loop_closed_on_order};
    future->cancel =
        (struct cosy_observer){.node.kind = COSY_NODE_NOTIFY, .notify = do_cancel, .discard = loop_closed_on_cancel};
    open_lock(future);
    cosy_parcel_pack(&future->parcel, object);
    return future;
}

int cosy_run_coroutine_threadsafe_(cosy_loop *loop, cosy_thread_future **ret_future, cosy_coro *call)
{
    int result;
    if (ret_future)
        *ret_future = NULL;
    struct cosy_task *object = cosy_coro_take(call, &result);
    if (!object)
        return result;
    if (!loop) {
        cosy_coro_close(call);
        return -EINVAL;
    }
    struct cosy_thread_future *future = future_for(loop, object);
    if (!future)
        return -ENOMEM;
    future->unasked = !ret_future;
    result = cosy_inbox_push(loop, &future->order.node);
    if (result < 0) {
        cosy_fail(-result, "%s cannot be run: the loop is closed", future->parcel.site->name);
        cosy_thread_future_drop(future);
        cosy_thread_future_drop(future);
        return result;
    }
    if (ret_future)
        *ret_future = future;
    else
        cosy_thread_future_drop(future);
    return 0;
}

bool cosy_thread_future_done(cosy_thread_future *future)
{
    if (!future)
        return false;
    pthread_mutex_lock(&future->lock);
    bool done = future->done;
    pthread_mutex_unlock(&future->lock);
    return done;
}

bool cosy_thread_future_cancelled(cosy_thread_future *future)
{
    return cosy_thread_future_done(future) && future->result == -ECANCELED;
}

const char *cosy_thread_future_error_message(cosy_thread_future *future)
{
    return cosy_thread_future_done(future) && future->message ? future->message : "";
}

int cosy_thread_future_result(cosy_thread_future *future, int64_t *ret_result)
{
    if (!future)
        return -EINVAL;
    if (!cosy_thread_future_done(future))
        return -COSY_EINVALIDSTATE;
    if (future->result < 0)
        return (int)future->result;
    if (ret_result)
        *ret_result = future->result;
    return 0;
}

bool cosy_thread_future_cancel(cosy_thread_future *future)
{
    if (!future || cosy_thread_future_done(future))
        return false;
    if (atomic_exchange(&future->cancel_sent, true))
        return true;
    atomic_fetch_add(&future->refs, 1);
    if (cosy_inbox_push(future->loop, &future->cancel.node) < 0)
        cosy_thread_future_drop(future); /* the loop's end is its end too */
    return true;
}

/* Until it is done, or the time is up. */
static bool block(struct cosy_thread_future *future, cosy_ns timeout)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    cosy_ns now = (cosy_ns)until.tv_sec * 1000000000 + until.tv_nsec, end;
    if (timeout == COSY_NEVER || __builtin_add_overflow(now, timeout, &end))
        end = COSY_NEVER;
    else if (timeout > 0)
        until = (struct timespec){.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
    pthread_mutex_lock(&future->lock);
    bool late = timeout <= 0;
    while (!future->done && !late)
        if (end == COSY_NEVER)
            pthread_cond_wait(&future->changed, &future->lock);
        else
            late = pthread_cond_timedwait(&future->changed, &future->lock, &until) == ETIMEDOUT;
    bool done = future->done;
    pthread_mutex_unlock(&future->lock);
    return done;
}

int cosy_thread_future_wait(cosy_thread_future *future, cosy_ns timeout)
{
    if (!future)
        return -EINVAL;
    const struct cosy_site_ *site = future->parcel.site;
    bool own = cosy_running_loop() == future->loop;
    if (own && !cosy_thread_future_done(future))
        return cosy_fail(EDEADLK, "the thread that runs the loop cannot block for its task (%s)", site->name);
    if (!block(future, timeout))
        return cosy_fail(ETIMEDOUT, "%s is not done yet", site->name);
    int64_t result = future->result;
    if (result >= 0)
        return result > INT_MAX ? -EOVERFLOW : (int)result;
    char who[256];
    snprintf(who, sizeof who, "task (%s) of another thread, from %s:%u in %s", site->name, site->file, site->line,
             site->func);
    struct cosy_error *cause = cosy_error_new((int)result, future->message);
    cosy_error_adopt(cosy_task_here(), cosy_error_told_by((int)result, cause, who));
    return (int)result;
}
