/* cosy/future.h - a result that is not there yet.
 *
 * A future belongs to one loop and is used from its thread. It ends once: with a result, an error, or by cancellation.
 * Done callbacks never run inline: they are queued in the order of registration. Handles are counted references.
 * Semantics: https://docs.python.org/3/library/asyncio-future.html.
 */
#ifndef COSY_FUTURE_H
#define COSY_FUTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "context.h"
#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A future: one counted reference per handle. */
typedef struct cosy_future cosy_future;

/* What a future's end calls, in a turn of its loop. It must return without suspending; the future is borrowed. */
typedef void (*cosy_done_callback)(cosy_future *future, void *arg);

/* A pending future of a loop (NULL: the running one); one reference for the caller. NULL without memory or loop. */
cosy_future *cosy_future_new(cosy_loop *loop);

/* One more reference; gives the future back. */
cosy_future *cosy_future_ref(cosy_future *future);

/* Gives a reference up; NULL is fine. An error that nobody looked at is reported to the exception handler with the last
 * one. */
void cosy_future_drop(cosy_future *future);
static inline void cosy_future_dropp_(cosy_future **future) { cosy_future_drop(*future); }

/* Ends a future with a result: any number, a pointer through intptr_t too. 0; -COSY_EINVALIDSTATE when it is done
 * already, -EINVAL for a task (which ends itself), -COSY_ECLOSED when its loop is closed. */
int cosy_future_set_result(cosy_future *future, int64_t result);
/* Ends a future with an error. code: positive, an errno value or one of cosy's; ECANCELED cancels, and the message says
 * why (asyncio's Future.cancel(msg)). message: printf-style, or NULL. Errors as cosy_future_set_result; -EINVAL for a
 * code that is not positive. */
int cosy_future_set_error(cosy_future *future, int code, const char *message, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends a future by cancellation, or asks a task to stop (cosy_task_cancel). True when it was not done; else its error,
 * if it has one, counts as looked at. */
bool cosy_future_cancel(cosy_future *future);

/* Whether a future has ended, in whatever way; whether it was cancelled. NULL: false. */
bool cosy_future_done(const cosy_future *future);
bool cosy_future_cancelled(const cosy_future *future);

/* The result, through ret_result (may be NULL), and 0; the negative error that it ended with; -ECANCELED;
 * -COSY_EINVALIDSTATE while it is pending. Looking at an error marks it as seen. */
int cosy_future_result(cosy_future *future, int64_t *ret_result);

/* The negative error that a future ended with, 0 when it ended well; else as cosy_future_result. */
int cosy_future_error(cosy_future *future);
/* The error's message, or why it was cancelled; "" when there is none. Valid as long as the future. */
const char *cosy_future_error_message(cosy_future *future);

/* Queues callback(future, arg) for when it is done; at once when it is. The future stays alive until then. The callback
 * runs in `context`, or (NULL) in a copy of the present one. -ENOMEM. */
int cosy_future_add_done_callback(cosy_future *future, cosy_done_callback callback, void *arg, cosy_context *context);

/* Takes back every such registration that has not been queued yet; returns how many. */
int cosy_future_remove_done_callback(cosy_future *future, cosy_done_callback callback, void *arg);

/* The loop that a future belongs to; borrowed. */
cosy_loop *cosy_future_loop(const cosy_future *future);

#ifdef __cplusplus
}
#endif
#endif
