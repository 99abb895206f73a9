/* executor.h - the inside of pools: what the threads (executor.c), the jobs (job.c) and the end (shutdown.c) share.
 *
 * Invariants
 *  - The mutex guards what is below it in the executor, and the jobs' links and step from QUEUED.
 *  - A job is QUEUED in the executor's line, then either WITHDRAWN by the loop's thread, which owns it again, or
 * RUNNING in a thread, which gives it back by its letter.
 *  - A thread that has no job counts among cosy_idle_threads. It does so before it gives its job's letter back, so that
 * a loop that has the letter does not take the thread for somebody who might call.
 */
#ifndef COSY_IO_EXECUTOR_H
#define COSY_IO_EXECUTOR_H

#include <cosy/executor.h>

#include <pthread.h>
#include <stdatomic.h>

#include "../sys/spin.h"
#include "../task/parcel.h"
#include "letter.h"

enum { COSY_JOB_QUEUED, COSY_JOB_RUNNING, COSY_JOB_WITHDRAWN };

struct cosy_job_wait;

struct cosy_job {
    struct cosy_letter letter;
    struct cosy_job *next, *prev; /* in the executor's line */
    struct cosy_executor *executor;
    struct cosy_job_wait *wait; /* loop's thread: the task that waits here */
    struct cosy_future *future; /* loop's thread: a reference, of a job that was submitted */
    struct cosy_observer ended; /* on that future: it was cancelled */
    void (*on_cancel)(void *arg);
    void *on_cancel_arg;
    void (*release)(void *arg);
    void *release_arg;
    uintptr_t context; /* a slot of its own */
    struct cosy_error *error;
    int64_t result;
    atomic_bool cancelled;
    uint8_t step;              /* COSY_JOB_... */
    struct cosy_parcel parcel; /* as long as its call needs */
};

struct cosy_pool_thread {
    struct cosy_pool_thread *next;
    struct cosy_executor *executor;
    pthread_t thread;
    int tid;
    struct cosy_job *job;
    bool detached; /* nobody joins it: it takes itself off the list */
};

/* A shutdown that waits for the last job. */
struct cosy_farewell {
    struct cosy_letter letter;
    struct cosy_farewell *next;
    struct cosy_future *future;
};

struct cosy_executor {
    atomic_uint refs;
    unsigned workers;
    size_t stack_size;
    char name[28];

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct cosy_job *first, *last;
    atomic_uint queued; /* written under the lock, read by the thread that spins */
    unsigned idle;      /* threads that sleep on `work` */
    unsigned threads, running;
    bool spinning, closing, refused; /* refused: a thread that was wanted could not be had */
    uint64_t begun;
    struct cosy_spin spinner;
    struct cosy_pool_thread *list;
    struct cosy_farewell *farewells;
};

/* executor.c */
void cosy_executor_unref(struct cosy_executor *executor);
int cosy_executor_push(struct cosy_executor *executor, struct cosy_job *job);      /* 0, -COSY_ESHUTDOWN, -EAGAIN */
bool cosy_executor_withdraw(struct cosy_executor *executor, struct cosy_job *job); /* true: it will not begin */
struct cosy_job *cosy_executor_clear(struct cosy_executor *executor); /* locked: takes the whole line, withdrawn */

/* job.c: in the pool's thread */
void cosy_job_run(struct cosy_job *job);
extern const struct cosy_letter_kind cosy_job_letter;

/* shutdown.c */
void cosy_farewells_send(struct cosy_farewell *first);
/* Ends the threads: joins those without a job, leaves the others to themselves. Not under the lock. */
void cosy_executor_end(struct cosy_executor *executor);
void cosy_jobs_cancelled(struct cosy_job *first); /* withdrawn ones go home with -ECANCELED */

/* pools.c: NULL and the reason */
struct cosy_executor *cosy_pool_of(struct cosy_loop *loop, enum cosy_pool pool, int *ret_error);

#endif
