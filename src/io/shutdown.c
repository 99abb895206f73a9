/* shutdown.c - the end of a pool: waiting for its jobs, within limits, and naming those that do not end. */
#include "executor.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cosy/log.h>
#include <cosy/timeout.h>
#include <cosy/trace.h>

#include "../base/heap.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- farewells ---- */

static struct cosy_farewell *farewell_of(struct cosy_letter *letter)
{
    return container_of(letter, struct cosy_farewell, letter);
}

static void free_farewell(struct cosy_letter *letter)
{
    cosy_heap_free(farewell_of(letter));
}

static void forget_future(struct cosy_letter *letter)
{
    cosy_future_drop(farewell_of(letter)->future);
    farewell_of(letter)->future = NULL;
}

static void say_farewell(struct cosy_letter *letter)
{
    cosy_future_set_result(farewell_of(letter)->future, 0); /* refused when nobody waits any more */
    forget_future(letter);
    free_farewell(letter);
}

static const struct cosy_letter_kind farewell_letter = {
    .returned = say_farewell, .let_go = forget_future, .free = free_farewell};

void cosy_farewells_send(struct cosy_farewell *first)
{
    for (struct cosy_farewell *next; first; first = next) {
        next = first->next;
        cosy_letter_return(&first->letter);
    }
}

/* Not on its way yet: comes back at once. */
static void withdraw_farewell(struct cosy_executor *executor, struct cosy_farewell *farewell)
{
    bool found = false;
    pthread_mutex_lock(&executor->lock);
    for (struct cosy_farewell **place = &executor->farewells; *place; place = &(*place)->next)
        if (*place == farewell) {
            *place = farewell->next;
            found = true;
            break;
        }
    pthread_mutex_unlock(&executor->lock);
    if (!found)
        return;
    cosy_letter_take_back(&farewell->letter);
    forget_future(&farewell->letter);
    cosy_heap_free(farewell);
}

/* ---- the threads ---- */

/* Joined threads may be seen in /proc for a moment longer; whoever counts threads after a run must not see them. */
static void join(struct cosy_pool_thread *thread)
{
    pthread_join(thread->thread, NULL);
    while (syscall(SYS_tgkill, getpid(), thread->tid, 0) == 0)
        sched_yield();
    atomic_fetch_sub(&cosy_idle_threads, 1);
    cosy_heap_free(thread);
}

static void leave_alone(struct cosy_pool_thread *thread)
{
    if (thread->job)
        atomic_store(&thread->job->cancelled, true);
    if (!thread->detached)
        pthread_detach(thread->thread);
    thread->detached = true;
}

void cosy_executor_end(struct cosy_executor *executor)
{
    struct cosy_pool_thread *joinable = NULL;
    pthread_mutex_lock(&executor->lock);
    executor->closing = true;
    for (struct cosy_pool_thread **place = &executor->list, *thread; (thread = *place);) {
        if (thread->job || thread->detached) {
            leave_alone(thread);
            place = &thread->next;
        } else {
            *place = thread->next;
            thread->next = joinable;
            joinable = thread;
        }
    }
    pthread_cond_broadcast(&executor->work);
    pthread_mutex_unlock(&executor->lock);
    while (joinable) {
        struct cosy_pool_thread *next = joinable->next;
        join(joinable);
        joinable = next;
    }
}

void cosy_jobs_cancelled(struct cosy_job *first)
{
    for (struct cosy_job *next; first; first = next) {
        next = first->next;
        first->result = -ECANCELED;
        cosy_letter_return(&first->letter);
    }
}

void cosy_executor_free(cosy_executor *executor)
{
    if (!executor)
        return;
    pthread_mutex_lock(&executor->lock);
    executor->closing = true;
    struct cosy_job *left = cosy_executor_clear(executor);
    pthread_mutex_unlock(&executor->lock);
    cosy_jobs_cancelled(left);
    cosy_executor_end(executor);
    cosy_executor_unref(executor);
}

/* ---- shutting down ---- */

enum { NAMED = 16 };

struct stuck {
    const struct cosy_site_ *sites[NAMED];
    size_t count;
};

/* What runs, and the jobs that did not begin, which are taken out of the line. */
static struct cosy_job *look_at_the_stuck(struct cosy_executor *executor, struct stuck *ret_stuck)
{
    *ret_stuck = (struct stuck){.count = 0};
    pthread_mutex_lock(&executor->lock);
    for (struct cosy_pool_thread *thread = executor->list; thread; thread = thread->next)
        if (thread->job) {
            if (ret_stuck->count < NAMED)
                ret_stuck->sites[ret_stuck->count] = thread->job->parcel.site;
            ret_stuck->count++;
        }
    struct cosy_job *left = cosy_executor_clear(executor);
    pthread_mutex_unlock(&executor->lock);
    return left;
}

struct warning {
    const struct cosy_executor *executor;
    const struct stuck *stuck;
    cosy_ns timeout;
};

static void warn(void *arg)
{
    const struct warning *warning = arg;
    for (size_t i = 0; i < warning->stuck->count && i < NAMED; i++) {
        const struct cosy_site_ *site = warning->stuck->sites[i];
        cosy_log(COSY_LOG_WARNING,
                 "cosy: executor '%s' is shut down, but its job %s, submitted at %s:%u in %s, has not ended in %.3f "
                 "seconds: its thread is left to itself",
                 warning->executor->name, site->name, site->file, site->line, site->func,
                 (double)warning->timeout / 1e9);
    }
}

static int give_up(struct cosy_executor *executor, cosy_ns timeout)
{
    struct stuck stuck;
    struct cosy_job *left = look_at_the_stuck(executor, &stuck);
    struct warning warning = {executor, &stuck, timeout};
    cosy_on_big_stack(warn, &warning);
    cosy_jobs_cancelled(left);
    cosy_executor_end(executor);
    if (stuck.count == 0)
        return 0; /* the last one ended just now */
    return cosy_fail(ETIMEDOUT, "executor '%s': %zu of its jobs did not end in %.3f seconds, such as %s from %s:%u",
                     executor->name, stuck.count, (double)timeout / 1e9, stuck.sites[0]->name, stuck.sites[0]->file,
                     stuck.sites[0]->line);
}

static struct cosy_farewell *farewell_new(struct cosy_loop *loop)
{
    struct cosy_farewell *farewell = cosy_heap_zalloc(sizeof *farewell);
    struct cosy_future *future = farewell ? cosy_future_new(loop) : NULL;
    if (!future) {
        cosy_heap_free(farewell);
        return NULL;
    }
    farewell->future = future;
    cosy_letter_send(&farewell->letter, &farewell_letter, loop);
    return farewell;
}

static bool is_over(struct cosy_executor *executor, struct cosy_farewell *farewell)
{
    pthread_mutex_lock(&executor->lock);
    executor->closing = true;
    bool over = executor->running == 0 && !executor->first;
    if (!over && farewell) {
        farewell->next = executor->farewells;
        executor->farewells = farewell;
    }
    pthread_mutex_unlock(&executor->lock);
    return over;
}

cosy_async static int wait_for_the_last(struct cosy_executor *executor, struct cosy_task *me, cosy_ns timeout)
{
    struct cosy_farewell *farewell = farewell_new(me->future.loop);
    if (!farewell)
        return -ENOMEM;
    cosy_future *future = cosy_future_ref(farewell->future);
    int result = 0;
    if (is_over(executor, farewell)) {
        cosy_letter_take_back(&farewell->letter);
        forget_future(&farewell->letter);
        cosy_heap_free(farewell);
    } else {
        result = cosy_wait_for(future, timeout);
        if (result < 0 && cosy_future_result(future, NULL) != 0) /* 0: it was said, and is gone */
            withdraw_farewell(executor, farewell);
    }
    cosy_future_drop(future);
    return result;
}

int cosy_executor_shutdown(cosy_executor *executor, cosy_ns timeout)
{
    if (!executor)
        return cosy_creation_error();
    struct cosy_task *me = cosy_task_or_complain("cosy_executor_shutdown");
    int result = 0;
    atomic_fetch_add(&executor->refs, 1);
    if (!is_over(executor, NULL))
        result = me ? wait_for_the_last(executor, me, timeout) : -COSY_ENOTASK;
    if (result == 0)
        cosy_executor_end(executor);
    else if (result == -ETIMEDOUT)
        result = give_up(executor, timeout);
    cosy_executor_unref(executor);
    return result;
}
