/* cosy/task.h - tasks: async functions that run on a loop, each on a stack of its own.
 *
 * The loop owns running tasks: none can vanish. A cosy_task* from cosy_create_task is one counted reference of the
 * caller's, to be dropped (cosy_task_drop, or cosy_scoped(cosy_task) t = ...); dropping a running task's detaches it. A
 * task is at any time exactly one of: running, queued to run, waiting for one thing. All calls: the loop's thread.
 * Semantics: https://docs.python.org/3/library/asyncio-task.html.
 */
#ifndef COSY_TASK_H
#define COSY_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "colour.h"
#include "coro.h"
#include "future.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A task: one counted reference per handle. */
typedef struct cosy_task cosy_task;

/* A reference that is dropped at the end of the block, on every path: cosy_scoped(cosy_task) t =
 * cosy_create_task(...); */
#define cosy_scoped(type) __attribute__((cleanup(COSY_DROPP_##type##_), unused)) type *
#define COSY_DROPP_cosy_task_ cosy_task_dropp_
#define COSY_DROPP_cosy_future_ cosy_future_dropp_
#define COSY_DROPP_cosy_handle_ cosy_handle_dropp_
#define COSY_DROPP_cosy_context_ cosy_context_dropp_
#define COSY_DROPP_cosy_coro_ cosy_coro_closep_
#define COSY_DROPP_cosy_task_group_ cosy_task_group_dropp_
#define COSY_DROPP_cosy_agen_ cosy_agen_dropp_

/* Stack sizes, in bytes; any other number is rounded up to a power of two. The default suits calls into libc. The tiny
 * one holds a few frames of your own code and has no guard page: nothing that formats or resolves names. */
enum { COSY_STACK_DEFAULT = 0, COSY_STACK_TINY = 1024, COSY_STACK_SMALL = 16384, COSY_STACK_LARGE = 262144 };

/* How a task is to be. Every default is zero. */
struct cosy_task_options {
    size_t struct_size;    /* filled in by the macros */
    const char *name;      /* copied; NULL: "Task-N" */
    size_t stack_size;     /* bytes, 0: 64 KiB */
    cosy_context *context; /* runs in this one (shared); NULL: in a copy of the creator's */
    bool eager_start;      /* run the first step now, inside the call: child first */
    cosy_loop *loop;       /* NULL: the running one. An idle loop takes tasks too: they start with its run */
};

/*     cosy_task *cosy_create_task(fn, args...);
 *     cosy_task *cosy_create_task_with((.option = value, ...), fn, args...);
 *
 * Starts fn(args...) as a task of the running loop: its body begins in the next turn. One reference for the caller.
 * NULL when it could not be made (no memory, no running loop); whatever takes that NULL returns the reason. Must be
 * kept, awaited or dropped: for a task that nobody asks about again, use cosy_spawn. */
#define cosy_create_task(...)                                                                                  \
    COSY_CREATE_N_(COSY_NARG_(__VA_ARGS__), (const struct cosy_task_options *)0, __VA_ARGS__)
#define cosy_create_task_with(options, ...)                                                                    \
    COSY_CREATE_N_(COSY_NARG_(__VA_ARGS__), COSY_TASK_OPTIONS_(options), __VA_ARGS__)
#define COSY_TASK_OPTIONS_(options)                                                                            \
    (&(const struct cosy_task_options){.struct_size = sizeof(struct cosy_task_options), COSY_UNWRAP_ options})
#define COSY_CREATE_N_(n, options, ...) COSY_CAT_(COSY_CAT_(COSY_CREATE_, n), _)(options, __VA_ARGS__)
#define COSY_CREATE_0_(options, fn) cosy_create_plain_(COSY_SITE_(fn, 0, 0, ), (cosy_fn_)(fn), options)
#define COSY_CREATE_1_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 1, __VA_ARGS__)
#define COSY_CREATE_2_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 2, __VA_ARGS__)
#define COSY_CREATE_3_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 3, __VA_ARGS__)
#define COSY_CREATE_4_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 4, __VA_ARGS__)
#define COSY_CREATE_5_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 5, __VA_ARGS__)
#define COSY_CREATE_6_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 6, __VA_ARGS__)
#define COSY_CREATE_7_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 7, __VA_ARGS__)
#define COSY_CREATE_8_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 8, __VA_ARGS__)
#define COSY_CREATE_9_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 9, __VA_ARGS__)
#define COSY_CREATE_10_(options, fn, ...) COSY_CREATE_CAPTURED_(options, fn, 10, __VA_ARGS__)
#define COSY_CREATE_CAPTURED_(options, fn, n, ...) (COSY_CAPTURED_(fn, n, __VA_ARGS__), cosy_create_captured_(options))
cosy_must_use cosy_task *cosy_create_plain_(const struct cosy_site_ *site, cosy_fn_ fn,
                                            const struct cosy_task_options *options);
cosy_must_use cosy_task *cosy_create_captured_(const struct cosy_task_options *options);

/*     cosy_task *cosy_task_from(cosy_coro *coro);
 *     cosy_task *cosy_task_from_with((.option = value, ...), cosy_coro *coro);
 *
 * Starts a coroutine as a task, and takes it, also when that fails. The rest as cosy_create_task; the reason of a NULL
 * may be -COSY_EAWAITED too. */
#define cosy_task_from(coro) cosy_task_from_((coro), (const struct cosy_task_options *)0)
#define cosy_task_from_with(options, coro)                                                                     \
    cosy_task_from_((coro), COSY_TASK_OPTIONS_(options))
cosy_must_use cosy_task *cosy_task_from_(cosy_coro *coro, const struct cosy_task_options *options);

/*     int cosy_spawn(fn, args...);
 *     int cosy_spawn_with((.option = value, ...), fn, args...);
 *
 * Starts fn(args...) as a task that nobody asks about again: 0, or why it could not be started. An error of the task
 * goes to the exception handler as it ends. */
#define cosy_spawn(...) cosy_spawn_(cosy_call(__VA_ARGS__), (const struct cosy_task_options *)0)
#define cosy_spawn_with(options, ...)                                                                          \
    cosy_spawn_(cosy_call(__VA_ARGS__), COSY_TASK_OPTIONS_(options))
int cosy_spawn_(cosy_coro *coro, const struct cosy_task_options *options);

/* ---- waiting ---- */

/* Something that the program knows how to wait for: an object with an await hook. start is called once by the awaiting
 * task and either keeps `waker` and returns 1 (the task then sleeps until somebody calls cosy_wake), or returns 0 or a
 * negative error at once. cancel (may be NULL) is called when the sleeping task is cancelled: it returns true when it
 * will call cosy_wake soon, false to let the runtime wake the task with -ECANCELED. Both run in the loop's thread and
 * must not suspend. */
typedef struct cosy_awaitable cosy_awaitable;
typedef struct cosy_waker {
    struct cosy_task *task_;
    uint64_t id_;
} cosy_waker;
struct cosy_awaitable {
    int (*start)(cosy_awaitable *self, cosy_waker waker);
    bool (*cancel)(cosy_awaitable *self);
    const char *name; /* what a monitor shows: "waits for <name>" */
};
/* Lets the task that awaits go on with `result`. False when it waits no longer. From the loop's thread, callbacks
 * too. */
bool cosy_wake(cosy_waker waker, int result);

/*     int cosy_await(x);
 *
 * Waits for a task, future, coroutine or cosy_awaitable and returns its result: >= 0, or its negative error, whose
 * message and traceback come along. A coroutine is taken and runs here, without a task of its own. Handles stay valid.
 * A cancel of the waiting task is passed on to what it waits for. A result beyond int's range is -EOVERFLOW: read it
 * with cosy_future_result. Errors of the call itself: -COSY_ENOTASK outside a task, -COSY_ESELF, -COSY_EOTHERLOOP,
 * -COSY_EAWAITED; NULL: the reason why the handle is NULL. */
#define cosy_await(x)                                                                                          \
    _Generic((x), cosy_task *: cosy_await_task_, cosy_coro *: cosy_await_coro_, cosy_future *: cosy_await_future_,     \
             cosy_awaitable *: cosy_await_hook_)(x)
cosy_async int cosy_await_task_(cosy_task *task);
cosy_async int cosy_await_coro_(cosy_coro *coro);
cosy_async int cosy_await_future_(cosy_future *future);
cosy_async int cosy_await_hook_(cosy_awaitable *awaitable);

/* Something to wait for, of any kind, as gather and its like take it. */
enum { COSY_AWAITED_TASK = 1, COSY_AWAITED_CORO, COSY_AWAITED_FUTURE };
struct cosy_awaited_ {
    int kind;
    void *what;
};
#define COSY_AWAITED_(x)                                                                                       \
    {                                                                                                          \
        _Generic((x), cosy_task *: COSY_AWAITED_TASK, cosy_coro *: COSY_AWAITED_CORO,                          \
                 cosy_future *: COSY_AWAITED_FUTURE), (x)                                                      \
    }

/* Lets every other task that can run go first: one turn of the loop (asyncio.sleep(0)). 0, -ECANCELED,
 * -COSY_ENOTASK. */
cosy_async int cosy_yield(void);

/* ---- one task ---- */

/* The running task, or NULL in callbacks and outside. A borrowed reference. */
cosy_task *cosy_current_task(void);

/* The task as a future, for the calls of future.h; the same reference. */
static inline cosy_future *cosy_task_future(cosy_task *task) { return (cosy_future *)(void *)task; }

/* One more reference, and giving one up. A running task whose last handle is dropped is detached: it goes on. */
cosy_task *cosy_task_ref(cosy_task *task);
void cosy_task_drop(cosy_task *task); /* NULL is fine */
static inline void cosy_task_dropp_(cosy_task **task) { cosy_task_drop(*task); }

/* Asks the task to stop: its present wait, or the next one, returns -ECANCELED once. One that has not begun never
 * begins. Each call counts (cosy_task_cancelling). False when it is done: then its error, if it ended with one, counts
 * as looked at. */
bool cosy_task_cancel(cosy_task *task);
/* Asks the task to stop as cosy_task_cancel does, and says why. The reason is copied. Whoever awaits the task finds it
 * in cosy_error_message(-ECANCELED), and so on along a chain of tasks that await each other, as far as the code is
 * passed on. */
bool cosy_task_cancel_with(cosy_task *task, const char *reason);
/* How many cancel requests are open. */
int cosy_task_cancelling(const cosy_task *task);
/* Takes one request back; who cancelled may do so. At zero a cancel that was not yet delivered is dropped. Returns what
 * is left. */
int cosy_task_uncancel(cosy_task *task);
/* The reason of the last cancel, "" without. Lives until the next cancel or the task's end. */
const char *cosy_task_cancel_reason(const cosy_task *task);

/* A task as a future: whether it has ended, whether by cancellation, its outcome, and a callback for its end. */
bool cosy_task_done(const cosy_task *task);
bool cosy_task_cancelled(const cosy_task *task);
int cosy_task_result(cosy_task *task, int64_t *ret_result); /* as cosy_future_result */
int cosy_task_error(cosy_task *task);                       /* as cosy_future_error */
/* Has `callback` called when the task has ended, as cosy_future_add_done_callback has. */
int cosy_task_add_done_callback(cosy_task *task, cosy_done_callback callback, void *arg, cosy_context *context);

/* The task's name, "Task-7" or the one given; renaming it. The text lives until the name changes. set: copied; 0,
 * -ENOMEM. */
const char *cosy_task_name(const cosy_task *task);
int cosy_task_set_name(cosy_task *task, const char *name);
/* The task's number, never used twice in a thread; its loop, borrowed. */
uint64_t cosy_task_id(const cosy_task *task);
cosy_loop *cosy_task_loop(const cosy_task *task);
/* Where the task was made: the function that it runs, the file, line and function of the call, the task that made it.
 * Static strings. */
const char *cosy_task_function(const cosy_task *task);
void cosy_task_site(const cosy_task *task, const char **ret_file, unsigned *ret_line, const char **ret_func);
uint64_t cosy_task_parent_id(const cosy_task *task); /* of the task that made it; 0: none */
/* What a task is and does, for debuggers: see cosy_coro_info. 0, -EINVAL for NULL. */
int cosy_task_info(const cosy_task *task, struct cosy_coro_info *ret_info);
/* The size of the task's stack in bytes, whether it has begun or not. */
size_t cosy_task_stack_size(const cosy_task *task);

/* How many bytes of it were ever used up to now; 0: not known (the task has not begun or has ended, it did not begin in
 * debug mode, or a sanitizer or valgrind watches). cosy_print_stack_use tells of those that ended. */
size_t cosy_task_stack_used(const cosy_task *task);

/* The id of the task that cancelled it last; 0: none did, or a callback. Any time in the task's life. */
uint64_t cosy_task_canceller_id(const cosy_task *task);

/* A weak reference to a task, and the task again while there is one (cosy_weak). */
cosy_weak cosy_task_weak(const cosy_task *task);
cosy_task *cosy_weak_task(cosy_weak weak); /* a new reference, or NULL when it is gone */

/* The unfinished tasks of a loop, or of the running one for NULL, in the order of creation. Writes up to `room`
 * borrowed references into `tasks` (NULL with room 0: only counts) and returns how many there are. */
size_t cosy_all_tasks(cosy_loop *loop, cosy_task **tasks, size_t room);

/* Runs fn(arg) on the loop's roomy stack and returns: for library calls that are too deep for a small task's. fn must
 * not suspend. */
void cosy_on_big_stack(void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
