/* cosy/loop.h - the event loop: callbacks, timers, readiness, signals. Usable without any task.
 *
 * One turn of a loop (asyncio's _run_once, as a contract):
 *   1. callbacks queued before the turn stand first;
 *   2. the kernel is asked for readiness: the callbacks of ready descriptors follow, then those of signals and of
 *      other threads;
 *   3. the callbacks of due timers follow, in order of deadline; equal deadlines in the order they were given;
 *   4. exactly the callbacks present now run. What they queue waits for the next turn.
 * A timer never fires early. While callbacks keep queueing others without a pause, steps 2 and 3 may be left out
 * for about 20 us, or 63 turns if those suddenly take longer, so that a busy loop does not pay a system call for each
 * turn.
 *
 * A loop belongs to one thread at a time: all calls come from the thread that runs it, except those that say "any
 * thread". None of the calls here suspends a task. Errors are negative codes; -COSY_ECLOSED from a closed loop.
 * Semantics: https://docs.python.org/3/library/asyncio-eventloop.html.
 */
#ifndef COSY_LOOP_H
#define COSY_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "colour.h"
#include "context.h"
#include "err.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An event loop: made by cosy_loop_new, ended by cosy_loop_close, freed by cosy_loop_free. */
typedef struct cosy_loop cosy_loop;

/* What a loop calls, in its thread. It must return without suspending; `arg` stays the caller's business. */
typedef void (*cosy_callback)(void *arg);

/* Which kernel a loop stands on. AUTO: the environment's COSY_BACKEND (uring, epoll, sim); without it io_uring, or
 * epoll where io_uring is refused. */
enum cosy_backend { COSY_BACKEND_AUTO, COSY_BACKEND_URING, COSY_BACKEND_EPOLL, COSY_BACKEND_SIM };

/* How a loop is to be. Every default is zero. */
struct cosy_loop_options {
    enum cosy_backend backend;
    bool debug;       /* debug mode; also by COSY_DEBUG=1 in the environment */
    uint64_t seed;    /* simulated kernel: of its chance decisions */
    bool shuffle;     /* simulated kernel: run each turn's tasks in an order drawn from the seed */
    cosy_ns spin;     /* look for work this long before sleeping (10 to 20 us pay with quick peers); 0: only while a
                       * pool has a job of this loop's, for 50 us where another processor is left for it and as long as
                       * that pays; negative: never */
};

/* ---- life ---- */

/*     int cosy_loop_new(cosy_loop **ret_loop, .option = value...);
 *
 * Makes a new loop, which is the caller's to free with cosy_loop_free. Options are those of struct cosy_loop_options.
 * 0; -EINVAL for an unknown COSY_BACKEND; the kernel's error when a named backend is refused; -ENOMEM. Any thread. */
#define cosy_loop_new(ret_loop, ...) cosy_loop_new_((ret_loop), &(const struct cosy_loop_options){__VA_ARGS__})
int cosy_loop_new_(cosy_loop **ret_loop, const struct cosy_loop_options *options);

/* Ends a loop's work: queued callbacks, timers, watchers and signal handlers are dropped uncalled. The object stays, so
 * that later use is an error and not a crash. Idempotent. -COSY_ERUNNING from inside its own run.
 *
 * Tasks should have ended before: cosy_run and cosy_runner_close see to it, and by hand one cancels those that
 * cosy_all_tasks gives and runs the loop until they are done. One that is left is reported ("Task was destroyed but it
 * is pending") and ends cancelled without running again. Its stack is given back as it stands: no clean-up of its
 * frames runs, and what they own is lost, be it memory, descriptors, locks or handles (cosy_scoped). asyncio reports
 * the same, and then the garbage collector runs the frames' finally blocks, in which nothing can be awaited; C has no
 * such moment. */
int cosy_loop_close(cosy_loop *loop);

/* Closes and frees; NULL is fine. Handles that are still held stay valid until dropped. */
void cosy_loop_free(cosy_loop *loop);

/* The loop that runs in this thread, or NULL (asyncio.get_running_loop). Any thread. */
cosy_loop *cosy_running_loop(void);

/* Whether a loop runs now; whether it is closed. NULL does not run, and is closed. */
bool cosy_loop_is_running(const cosy_loop *loop);
bool cosy_loop_is_closed(const cosy_loop *loop);

/* "uring", "epoll" or "sim": the kernel that is live. Static string, any thread. */
const char *cosy_loop_backend_name(const cosy_loop *loop);

/* ---- running ---- */

/* Runs until cosy_loop_stop. -COSY_ERUNNING inside any running loop of this thread, -COSY_ECLOSED; a fatal error of the
 * kernel; -EDEADLK when nothing is queued, nothing is waited for and no other thread exists that could change that. */
cosy_blocking int cosy_loop_run_forever(cosy_loop *loop);

/* Lets the running turn finish and then returns from run_forever. Called before a run, the run makes one turn. */
void cosy_loop_stop(cosy_loop *loop);

/* One turn, for embedding in another loop. Waits up to max_wait for something to do (0: not at all, COSY_NEVER: no
 * limit). Returns 1 when something ran, 0 when not, or a negative code as run_forever. */
cosy_blocking int cosy_loop_run_once(cosy_loop *loop, cosy_ns max_wait);

/* A descriptor that becomes readable when the kernel has something for the loop; -ENOTSUP with the simulated kernel.
 * Poll it for reading together with cosy_loop_next_deadline, then call cosy_loop_run_once(loop, 0). */
int cosy_loop_fd(cosy_loop *loop);

/* When the next turn is due on the loop's clock: now or earlier when callbacks are queued, COSY_NEVER without
 * timers. */
cosy_ns cosy_loop_next_deadline(cosy_loop *loop);

/* Now on the loop's monotonic clock, read anew (the simulated kernel's clock is virtual). */
cosy_ns cosy_loop_time(cosy_loop *loop);

/* ---- callbacks ---- */

/* One registered callback. Its fields are private; it is public so that an embedder can place it in memory of
 * its own (cosy_handle_init). Callbacks made by cosy_call_* live in memory of the loop and are counted. */
struct cosy_node_ {
    struct cosy_node_ *next;
    uint8_t kind, state;
    uint16_t flags;
    uint32_t refs;
};
typedef struct cosy_handle {
    struct cosy_node_ node_;
    struct {
        void *slot;
        cosy_ns when;
    } timer_;
    cosy_callback callback_;
    void *arg_;
    uintptr_t context_;
    cosy_loop *loop_;
} cosy_handle;

/* Queues callback(arg) for the next turn. With ret_handle the caller receives a reference to drop; NULL: none.
 * The callback runs in a copy of the present context. 0, -ENOMEM, -COSY_ECLOSED; in debug mode -COSY_ETHREAD from a
 * thread that is not the running loop's. */
int cosy_call_soon(cosy_loop *loop, cosy_callback callback, void *arg, cosy_handle **ret_handle);

/* Queues callback(arg) from any thread, and wakes the loop. Not for signal handlers: it allocates. The handle may be
 * cancelled and dropped from any thread. The callback runs in an empty context. 0, -ENOMEM, -COSY_ECLOSED. Safe while
 * another thread closes the loop, but that thread must not free it meanwhile. */
int cosy_call_soon_threadsafe(cosy_loop *loop, cosy_callback callback, void *arg, cosy_handle **ret_handle);

/* Queues callback(arg) for the next turn in a given context, which callbacks and tasks may share; one reference is
 * taken while it waits. Errors as cosy_call_soon. */
int cosy_call_soon_in(cosy_loop *loop, cosy_context *context, cosy_callback callback, void *arg,
                      cosy_handle **ret_handle);

/* Queues callback(arg) for when the clock has reached now + delay, or `when` (ns, cosy_loop_time). Past times run in
 * the next turn. Handle, context and errors as cosy_call_soon. */
int cosy_call_later(cosy_loop *loop, cosy_ns delay, cosy_callback callback, void *arg, cosy_handle **ret_handle);
int cosy_call_at(cosy_loop *loop, cosy_ns when, cosy_callback callback, void *arg, cosy_handle **ret_handle);

/* Takes a callback back. True when it was waiting; false when it ran, runs, or was cancelled before. Idempotent.
 * Handles of cosy_call_soon_threadsafe: any thread. */
bool cosy_handle_cancel(cosy_handle *handle);
bool cosy_handle_cancelled(const cosy_handle *handle);

/* The deadline of a timed callback (also after it ran); 0 for the others. */
cosy_ns cosy_handle_when(const cosy_handle *handle);

/* Gives up the caller's reference; the callback still runs. NULL is fine. */
void cosy_handle_drop(cosy_handle *handle);
static inline void cosy_handle_dropp_(cosy_handle **handle) { cosy_handle_drop(*handle); }

/* Callbacks in the embedder's own memory: no allocation, restartable. init once; the memory must stay until the handle
 * is idle again (it ran, or cosy_handle_cancel was called). start: -COSY_EINVALIDSTATE when it is waiting already. */
void cosy_handle_init(cosy_handle *handle, cosy_callback callback, void *arg);
int cosy_handle_start_soon(cosy_loop *loop, cosy_handle *handle);
int cosy_handle_start_at(cosy_loop *loop, cosy_handle *handle, cosy_ns when);
int cosy_handle_start_later(cosy_loop *loop, cosy_handle *handle, cosy_ns delay);

/* ---- readiness of descriptors ---- */

/* Calls callback(arg) in each turn in which fd is readable (writable): level-triggered. Replaces an earlier callback.
 * The descriptor is borrowed: remove it before closing it. -EPERM for regular files, -EBADF, -ENOMEM; -EEXIST when a
 * stream or another object of the library has it. */
int cosy_add_reader(cosy_loop *loop, int fd, cosy_callback callback, void *arg);
int cosy_add_writer(cosy_loop *loop, int fd, cosy_callback callback, void *arg);

/* Stops watching fd for reading (writing): 1 when it was watched, 0 when not. A callback that is queued already is
 * taken back. */
int cosy_remove_reader(cosy_loop *loop, int fd);
int cosy_remove_writer(cosy_loop *loop, int fd);

/* ---- signals (asyncio's add_signal_handler; as an async iterator: cosy/signals.h) ---- */

/* Calls callback(arg) in a turn of the loop after the signal came: once, however often it came since the last turn.
 * Replaces an earlier one. Several loops may want the same signal: each hears of it. -EINVAL for a number that is no
 * signal or cannot be caught, -ENOMEM. */
int cosy_add_signal_handler(cosy_loop *loop, int signum, cosy_callback callback, void *arg);

/* Removes the callback of a signal: 1 when there was one, 0 when not. When no loop wants the signal any more, the
 * disposition returns that it had before, unless the program has changed it meanwhile. */
int cosy_remove_signal_handler(cosy_loop *loop, int signum);

/* ---- errors and debug mode ---- */

/* What went wrong where nobody waits. Pointers are valid during the call only. */
struct cosy_exception_context {
    const char *message; /* "Task exception was never retrieved", ... never NULL */
    int error;           /* negative code, or 0 */
    const char *detail;  /* the error's own message and async traceback, or NULL */
    struct cosy_task *task;
    struct cosy_future *future;
    cosy_handle *handle;
};
typedef void (*cosy_exception_handler)(cosy_loop *loop, const struct cosy_exception_context *context, void *arg);

/* Replaces the handler of errors that nobody waits for, calls it, and is it as long as nobody replaced it: the default
 * handler writes to the log. set: NULL brings the default back. A handler is called in the context (context.h) of the
 * task that it is told of, where there is one. */
void cosy_loop_set_exception_handler(cosy_loop *loop, cosy_exception_handler handler, void *arg);
void cosy_loop_call_exception_handler(cosy_loop *loop, const struct cosy_exception_context *context);
void cosy_loop_default_exception_handler(cosy_loop *loop, const struct cosy_exception_context *context);

/* Whether debug mode is on, and switching it. It watches the tasks that are made while it is on. */
bool cosy_loop_get_debug(const cosy_loop *loop);
void cosy_loop_set_debug(cosy_loop *loop, bool on);

/* Debug mode reports each callback or step of a task that took at least this long; 100 ms at first. */
void cosy_loop_set_slow_callback_duration(cosy_loop *loop, cosy_ns duration);

/* Counters since the loop was made; for monitors. */
struct cosy_loop_stats {
    uint64_t turns, waits;   /* turns made, times the kernel was asked */
    size_t timers, watchers; /* armed timers, watched descriptors, now */
};
void cosy_loop_get_stats(const cosy_loop *loop, struct cosy_loop_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
