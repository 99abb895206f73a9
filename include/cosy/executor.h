/* cosy/executor.h - blocking calls in pools of threads, while the loop goes on.
 *
 *     int bytes = cosy_to_thread(read_whole_file, path, &text);          await asyncio.to_thread(read_whole_file, path)
 *
 * A job is any function with its own arguments, captured as by cosy_call, and called in a thread of a pool. It returns
 * an integer >= 0, or a negative error, whose message (cosy_fail) comes along. It may block, and may not wait as tasks
 * do (-COSY_ENOTASK).
 *
 * In C a job writes through pointers into its caller's frame. The calls that wait (cosy_to_thread,
 * cosy_run_in_executor) therefore never return while their job is running, also when they are cancelled: a job that has
 * not begun never begins and the call returns at once; a running one is asked to stop (cosy_job_cancelled is true
 * inside) and waited for. With `.abandon = true`, and for the future of cosy_submit, the waiter is free at once as in
 * asyncio and the job runs on alone: WHATEVER ITS ARGUMENTS POINT TO MUST LIVE UNTIL IT HAS ENDED.
 *
 * A thread cannot be stopped from outside. Shutting an executor down is therefore bounded in time, and names the jobs
 * that did not end. On the simulated kernel, the virtual clock goes with the machine's as long as jobs are out.
 * Semantics: https://docs.python.org/3/library/asyncio-eventloop.html.
 */
#ifndef COSY_EXECUTOR_H
#define COSY_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coro.h"
#include "future.h"
#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pool of threads. Counted: its user, its threads and its jobs each keep it. */
typedef struct cosy_executor cosy_executor;

/* How an executor is to be. Every default is zero. */
struct cosy_executor_options {
    size_t struct_size; /* filled in by the macro */
    unsigned workers;   /* how many threads at most; 0: processors + 4, at most 32 */
    const char *name;   /* of the threads ("files-0") and in messages; copied, cut to 27 bytes; NULL: "cosy" */
    size_t stack_size;  /* of each thread, bytes; 0: the system's */
    cosy_ns spin; /* how long an idle thread looks for the next job before it sleeps; 0: 10 us where there is more than
                   * one processor; negative: never */
};

/*     int cosy_executor_new(cosy_executor **ret_executor, .option = value...);
 *
 * Makes a pool, which is the caller's to free with cosy_executor_free. Its threads start when jobs need them, and stay.
 * 0, -EINVAL, -ENOMEM. An executor may serve several loops. Any thread. */
#define cosy_executor_new(ret_executor, ...)                                                                   \
    cosy_executor_new_((ret_executor), &(const struct cosy_executor_options){                                  \
                                           .struct_size = sizeof(struct cosy_executor_options), __VA_ARGS__})
int cosy_executor_new_(cosy_executor **ret_executor, const struct cosy_executor_options *options);

/* Takes no more jobs (-COSY_ESHUTDOWN) and waits up to `timeout` ns, without blocking the loop, until those that it has
 * are done and its threads have ended. 0. -ETIMEDOUT: some did not end: each is named in the log with the place that
 * submitted it, sees cosy_job_cancelled, and keeps its thread until it ends by itself; jobs that had not begun come to
 * -ECANCELED. -ECANCELED, -ENOMEM, -COSY_ENOTASK: no more than that it takes no more jobs. May be called again. */
cosy_async int cosy_executor_shutdown(cosy_executor *executor, cosy_ns timeout);

/* Gives the pool up: jobs that have not begun come to -ECANCELED, running ones see cosy_job_cancelled and keep their
 * threads until they end, idle threads are joined. Does not wait for jobs: use cosy_executor_shutdown before. NULL is
 * fine. Any thread. */
void cosy_executor_free(cosy_executor *executor);
static inline void cosy_executor_dropp_(cosy_executor **executor) { cosy_executor_free(*executor); }
#define COSY_DROPP_cosy_executor_ cosy_executor_dropp_

/* Counters for monitors, as of now. */
struct cosy_executor_stats {
    unsigned threads, running; /* threads that exist, and those in a job */
    size_t queued;             /* jobs that have not begun */
    uint64_t begun;            /* jobs begun since it was made */
};
void cosy_executor_get_stats(cosy_executor *executor, struct cosy_executor_stats *ret_stats);

/* ---- a loop's own pools ---- */

/* Each loop has pools for kinds of work, so that a slow resolver or disk never keeps the program's own jobs waiting. */
enum cosy_pool { COSY_POOL_USER, COSY_POOL_FILES, COSY_POOL_DNS };

/* The running loop's pool for a kind of work, made by the first call; borrowed: it lives as long as the loop. NULL: not
 * to be had; what takes that NULL uses the user's pool, or fails for the same reason. */
cosy_executor *cosy_default_executor(enum cosy_pool pool);

/* Replaces the running loop's pool for the user's work (loop.set_default_executor), before it is used or later; the
 * loop takes over the caller's reference, and what it had is freed. 0, -COSY_ENOLOOP, -EINVAL for NULL, -ENOMEM (the
 * reference stays the caller's). */
int cosy_set_default_executor(cosy_executor *executor);

/* Shuts all pools of the running loop down, each as cosy_executor_shutdown; `timeout` is for all together. The runner
 * does that, with 300 s (look-ups of names, whose tasks have ended by then: 0.5 s), before it closes its loop. 0, or
 * the first error. Afterwards jobs for them are -COSY_ESHUTDOWN. */
cosy_async int cosy_shutdown_default_executor(cosy_ns timeout);

/* ---- jobs ---- */

/* How to run a job. Every default is zero. */
struct cosy_job_options {
    size_t struct_size;
    bool abandon;      /* a cancelled waiter does not wait for the running job: see above what must live on */
    bool copy_context; /* the job sees the caller's context variables, in a copy of its own */
    void (*on_cancel)(void *arg); /* called in the loop's thread, once, when a running job is cancelled: to break a
                                   * blocking call off. Must not suspend */
    void *on_cancel_arg;
    /* Called once for each call, whatever becomes of its job, when that has ended or will never begin: frees what the
     * arguments of an abandoned job point to. In the loop's thread, before the waiter goes on; in the pool's when the
     * loop is closed. Must not suspend. NULL: nothing to free */
    void (*release)(void *arg);
    void *release_arg;
};

/*     int cosy_run_in_executor(cosy_executor *executor, fn, args...);
 *     int cosy_run_in_executor_with(cosy_executor *executor, (.option = value, ...), fn, args...);
 *
 * Calls fn(args...) in a thread of the executor (NULL: the loop's own for the user's work), and suspends the task until
 * it has returned; its result, or its error. A result beyond int is -EOVERFLOW. -ECANCELED when the task was cancelled
 * (unless the job failed with another error), see above. Errors of the call itself: -COSY_ESHUTDOWN, -ENOMEM, -EAGAIN
 * (no thread could be started), -COSY_ENOTASK. */
#define cosy_run_in_executor(executor, ...)                                                                    \
    cosy_run_in_executor_((executor), cosy_call(__VA_ARGS__), (const struct cosy_job_options *)0)
#define cosy_run_in_executor_with(executor, options, ...)                                                      \
    cosy_run_in_executor_((executor), cosy_call(__VA_ARGS__), COSY_JOB_OPTIONS_(options))
#define COSY_JOB_OPTIONS_(options)                                                                             \
    (&(const struct cosy_job_options){.struct_size = sizeof(struct cosy_job_options), COSY_UNWRAP_ options})
cosy_async int cosy_run_in_executor_(cosy_executor *executor, cosy_coro *call, const struct cosy_job_options *options);

/*     int cosy_to_thread(fn, args...);
 *
 * Does what cosy_run_in_executor does, in the loop's own pool for the user's work and with a copy of the task's context
 * variables (asyncio.to_thread). What the job sets in it, only the job sees. */
#define cosy_to_thread(...)                                                                                    \
    cosy_run_in_executor_((cosy_executor *)0, cosy_call(__VA_ARGS__), COSY_JOB_OPTIONS_((.copy_context = true)))

/*     cosy_future *cosy_submit(cosy_executor *executor, fn, args...);
 *     cosy_future *cosy_submit_with(cosy_executor *executor, (.option = value, ...), fn, args...);
 *
 * Starts a job and returns the future of its result, to be awaited, gathered, cancelled and dropped. Cancelling the
 * future ends it at once; in the next turn a job that has not begun is taken back, a running one sees
 * cosy_job_cancelled. Dropping the future does not cancel. NULL when it could not be started: what takes that NULL
 * returns the reason, see cosy_run_in_executor. In the loop's thread, tasks and callbacks. */
#define cosy_submit(executor, ...)                                                                             \
    cosy_submit_((executor), cosy_call(__VA_ARGS__), (const struct cosy_job_options *)0)
#define cosy_submit_with(executor, options, ...)                                                               \
    cosy_submit_((executor), cosy_call(__VA_ARGS__), COSY_JOB_OPTIONS_(options))
cosy_must_use cosy_future *cosy_submit_(cosy_executor *executor, cosy_coro *call,
                                        const struct cosy_job_options *options);

/* Inside a job: whether it was asked to stop. A long job looks now and then, and returns -ECANCELED. False
 * elsewhere. */
bool cosy_job_cancelled(void);

#ifdef __cplusplus
}
#endif
#endif
