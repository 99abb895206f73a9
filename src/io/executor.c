/* executor.c - a pool's line of jobs and its threads. */
#include "executor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/heap.h"
#include "../sys/syscalls.h"

enum { WORKERS_MAX = 32, WORKERS_MORE = 4, WORKERS_LIMIT = 65536 };

/* ---- life ---- */

static void name_it(struct cosy_executor *executor, const char *name)
{
    snprintf(executor->name, sizeof executor->name, "%s", name && *name ? name : "cosy");
}

int cosy_executor_new_(cosy_executor **ret_executor, const struct cosy_executor_options *options)
{
    if (!ret_executor || options->workers > WORKERS_LIMIT)
        return -EINVAL;
    struct cosy_executor *executor = cosy_heap_zalloc(sizeof *executor);
    if (!executor)
        return -ENOMEM;
    unsigned cpus = cosy_sys_processors();
    atomic_init(&executor->refs, 1);
    atomic_init(&executor->queued, 0);
    executor->workers = options->workers                    ? options->workers
                        : cpus + WORKERS_MORE < WORKERS_MAX ? cpus + WORKERS_MORE
                                                            : WORKERS_MAX;
    executor->stack_size = options->stack_size;
    executor->spinner.limit = options->spin ? options->spin : cpus > 1 ? COSY_US(10) : 0;
    name_it(executor, options->name);
    pthread_mutex_init(&executor->lock, NULL);
    pthread_cond_init(&executor->work, NULL);
    *ret_executor = executor;
    return 0;
}

void cosy_executor_unref(struct cosy_executor *executor)
{
    if (atomic_fetch_sub_explicit(&executor->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&executor->lock);
    pthread_cond_destroy(&executor->work);
    cosy_heap_free(executor);
}

void cosy_executor_get_stats(cosy_executor *executor, struct cosy_executor_stats *ret_stats)
{
    pthread_mutex_lock(&executor->lock);
    *ret_stats = (struct cosy_executor_stats){.threads = executor->threads,
                                              .running = executor->running,
                                              .queued = executor->queued,
                                              .begun = executor->begun};
    pthread_mutex_unlock(&executor->lock);
}

/* ---- the line ---- */

static void append(struct cosy_executor *executor, struct cosy_job *job)
{
    job->step = COSY_JOB_QUEUED;
    job->next = NULL;
    job->prev = executor->last;
    if (executor->last)
        executor->last->next = job;
    else
        executor->first = job;
    executor->last = job;
    atomic_fetch_add_explicit(&executor->queued, 1, memory_order_relaxed);
}

static void remove_from_line(struct cosy_executor *executor, struct cosy_job *job, uint8_t step)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        executor->first = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        executor->last = job->prev;
    job->step = step;
    atomic_fetch_sub_explicit(&executor->queued, 1, memory_order_relaxed);
}

struct cosy_job *cosy_executor_clear(struct cosy_executor *executor)
{
    struct cosy_job *first = executor->first;
    for (struct cosy_job *job = first; job; job = job->next)
        job->step = COSY_JOB_WITHDRAWN;
    executor->first = executor->last = NULL;
    atomic_store_explicit(&executor->queued, 0, memory_order_relaxed);
    return first;
}

bool cosy_executor_withdraw(struct cosy_executor *executor, struct cosy_job *job)
{
    struct cosy_farewell *farewells = NULL;
    pthread_mutex_lock(&executor->lock);
    bool queued = job->step == COSY_JOB_QUEUED;
    if (queued)
        remove_from_line(executor, job, COSY_JOB_WITHDRAWN);
    if (queued && executor->closing && !executor->first && executor->running == 0) {
        farewells = executor->farewells;
        executor->farewells = NULL;
    }
    pthread_mutex_unlock(&executor->lock);
    cosy_farewells_send(farewells);
    return queued;
}

/* ---- threads ---- */

static struct cosy_job *next_job(struct cosy_executor *executor)
{
    while (!executor->first && !executor->closing) {
        executor->idle++;
        pthread_cond_wait(&executor->work, &executor->lock);
        executor->idle--;
    }
    struct cosy_job *job = executor->first;
    if (job)
        remove_from_line(executor, job, COSY_JOB_RUNNING);
    return job;
}

/* Whether a thread whose job is done is to look for the next one before it sleeps, one thread at a time. Locked. A loop
 * that looks out for the job's end has its next one ready, mostly. */
static bool begin_spin(struct cosy_executor *executor, const struct cosy_loop *loop)
{
    if (executor->first || executor->closing || executor->spinning || executor->spinner.limit <= 0)
        return false;
    if (!atomic_load_explicit(&loop->looks_out, memory_order_relaxed) && !cosy_spin_wanted(&executor->spinner))
        return false;
    return executor->spinning = true;
}

/* Looks for work for some microseconds, without the lock. True: there is some. */
static bool spin(struct cosy_executor *executor)
{
    cosy_ns end = cosy_sys_real_clock() + executor->spinner.limit;
    bool found;
    do {
        cosy_spin_relax();
        found = atomic_load_explicit(&executor->queued, memory_order_relaxed) > 0;
    } while (!found && cosy_sys_real_clock() < end);
    return found;
}

static void end_spin(struct cosy_executor *executor, bool found)
{
    executor->spinning = false;
    cosy_spin_done(&executor->spinner, found);
}

/* Locked, and locked again. It counts as looking for the next job before it gives this one back, so that the loop,
 * which may have another one at once, wakes no thread for that. */
static void do_job(struct cosy_pool_thread *me, struct cosy_job *job)
{
    struct cosy_executor *executor = me->executor;
    struct cosy_farewell *farewells = NULL;
    me->job = job;
    executor->running++;
    executor->begun++;
    pthread_mutex_unlock(&executor->lock);
    atomic_fetch_sub(&cosy_idle_threads, 1);
    cosy_job_run(job);
    pthread_mutex_lock(&executor->lock);
    me->job = NULL;
    executor->running--;
    if (executor->closing && executor->running == 0 && !executor->first) {
        farewells = executor->farewells;
        executor->farewells = NULL;
    }
    bool spins = begin_spin(executor, job->letter.loop);
    pthread_mutex_unlock(&executor->lock);
    atomic_fetch_add(&cosy_idle_threads, 1);
    cosy_letter_return(&job->letter);
    cosy_farewells_send(farewells);
    bool found = spins && spin(executor);
    pthread_mutex_lock(&executor->lock);
    if (spins)
        end_spin(executor, found);
}

static void leave_list(struct cosy_pool_thread *me)
{
    struct cosy_pool_thread **place = &me->executor->list;
    while (*place != me)
        place = &(*place)->next;
    *place = me->next;
}

static void *thread_main(void *arg)
{
    struct cosy_pool_thread *me = arg;
    struct cosy_executor *executor = me->executor;
    struct cosy_job *job;
    me->tid = (int)syscall(SYS_gettid);
    pthread_mutex_lock(&executor->lock);
    while ((job = next_job(executor)))
        do_job(me, job);
    executor->threads--;
    bool detached = me->detached;
    if (detached)
        leave_list(me);
    pthread_mutex_unlock(&executor->lock);
    if (detached) {
        atomic_fetch_sub(&cosy_idle_threads, 1);
        cosy_heap_free(me);
    }
    cosy_executor_unref(executor);
    return NULL;
}

/* The process's signals are for the threads of its loops; faults are for whoever makes them. */
static int create(struct cosy_pool_thread *me, const pthread_attr_t *attributes)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = sys_thread_create(&me->thread, attributes, thread_main, me);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static void name_thread(struct cosy_pool_thread *me)
{
    char name[16];
    snprintf(name, sizeof name, "%.8s-%u", me->executor->name, me->executor->threads % 100000);
    pthread_setname_np(me->thread, name);
}

/* Locked. */
static int start_thread(struct cosy_executor *executor)
{
    struct cosy_pool_thread *me = cosy_heap_zalloc(sizeof *me);
    pthread_attr_t attributes;
    if (!me)
        return -ENOMEM;
    me->executor = executor;
    pthread_attr_init(&attributes);
    int result = executor->stack_size ? -pthread_attr_setstacksize(&attributes, executor->stack_size) : 0;
    if (result == 0)
        result = create(me, &attributes);
    pthread_attr_destroy(&attributes);
    if (result < 0) {
        cosy_heap_free(me);
        return result;
    }
    name_thread(me);
    atomic_fetch_add(&executor->refs, 1);
    atomic_fetch_add(&cosy_idle_threads, 1);
    executor->threads++;
    me->next = executor->list;
    executor->list = me;
    return 0;
}

/* A thread that cannot be had is done without as long as there are others. */
int cosy_executor_push(struct cosy_executor *executor, struct cosy_job *job)
{
    int result = 0;
    pthread_mutex_lock(&executor->lock);
    if (executor->closing) {
        pthread_mutex_unlock(&executor->lock);
        return -COSY_ESHUTDOWN;
    }
    append(executor, job);
    unsigned queued = executor->queued, ready = executor->idle + executor->spinning;
    if (queued > ready && executor->threads < executor->workers)
        result = start_thread(executor);
    executor->refused |= result < 0;
    if (result < 0 && executor->threads == 0)
        remove_from_line(executor, job, COSY_JOB_WITHDRAWN);
    else
        result = 0;
    bool wake = executor->idle > 0 && queued > executor->spinning;
    pthread_mutex_unlock(&executor->lock);
    if (wake)
        pthread_cond_signal(&executor->work);
    return result;
}
