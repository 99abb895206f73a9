/* cosy/threadsafe.h - from any thread into a loop: an async call, and a future that a thread can wait for.
 *
 *     cosy_scoped(cosy_thread_future) answer = NULL;                       in a thread that is not the loop's
 *     cosy_try(cosy_run_coroutine_threadsafe(loop, &answer, fetch, 7, &user));
 *     int result = cosy_thread_future_wait(answer, COSY_S(2));
 *
 * fn(args...) runs as a task of the loop; what its arguments point to must live until it has ended. Unlike in asyncio,
 * a cancelled future is therefore done only when its task has ended: after that wait, the thread may leave its frame.
 * The loop must not be freed while other threads use it, but may be closed at any time: every future is then done, with
 * -COSY_ECLOSED or -ECANCELED. All calls: any thread. Semantics: asyncio.run_coroutine_threadsafe,
 * concurrent.futures.Future.
 */
#ifndef COSY_THREADSAFE_H
#define COSY_THREADSAFE_H

#include <stdbool.h>
#include <stdint.h>

#include "coro.h"
#include "loop.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The outcome of a task in another thread: one counted reference per handle. */
typedef struct cosy_thread_future cosy_thread_future;
#define COSY_DROPP_cosy_thread_future_ cosy_thread_future_dropp_

/*     int cosy_run_coroutine_threadsafe(cosy_loop *loop, cosy_thread_future **ret_future, fn, args...);
 *
 * Starts fn(args...) as a task of a loop that runs, or will run, in another thread. 0, with a future to drop, or NULL
 * for ret_future: then nobody will ask, and an error goes to the loop's exception handler. -COSY_ECLOSED, -ENOMEM,
 * -EINVAL (no loop): the call is discarded, *ret_future is NULL. */
#define cosy_run_coroutine_threadsafe(loop, ret_future, ...)                                                   \
    cosy_run_coroutine_threadsafe_((loop), (ret_future), cosy_call(__VA_ARGS__))
int cosy_run_coroutine_threadsafe_(cosy_loop *loop, cosy_thread_future **ret_future, cosy_coro *call);

/* Blocks the thread up to `timeout` ns (0: only looks; COSY_NEVER) until the task is done. Its result, or its negative
 * error, whose message comes along (cosy_error_message); -ECANCELED; -COSY_ECLOSED when the loop closed first.
 * -ETIMEDOUT: not done yet, and nothing is cancelled; look at cosy_thread_future_done where the task may time out
 * itself. -EDEADLK in the running thread of the task's own loop. A result beyond int is -EOVERFLOW. NULL: -EINVAL. */
cosy_blocking int cosy_thread_future_wait(cosy_thread_future *future, cosy_ns timeout);

/* All 64 bits of the result, through ret_result (may be NULL), and 0; the negative error; -COSY_EINVALIDSTATE while it
 * is pending. */
int cosy_thread_future_result(cosy_thread_future *future, int64_t *ret_result);

/* The error's message, "" without one or while it is pending; lives as long as the future. */
const char *cosy_thread_future_error_message(cosy_thread_future *future);

/* Whether it is done, and whether by cancellation. */
bool cosy_thread_future_done(cosy_thread_future *future);
bool cosy_thread_future_cancelled(cosy_thread_future *future);

/* Asks the task to stop, as cosy_task_cancel does in its own thread. One that has not begun never begins. The future is
 * done when the task has ended. False when it is done already. */
bool cosy_thread_future_cancel(cosy_thread_future *future);

/* Gives up one reference; the task goes on. NULL is fine. */
void cosy_thread_future_drop(cosy_thread_future *future);
static inline void cosy_thread_future_dropp_(cosy_thread_future **future) { cosy_thread_future_drop(*future); }

#ifdef __cplusplus
}
#endif
#endif
