/* cosy/coro.h - coroutine objects: an async call that has not begun.
 *
 *     cosy_coro *c = cosy_call(fetch_user, 7, &user);       nothing runs yet
 *     cosy_await(c);                                        runs it here: the same as fetch_user(7, &user)
 *
 * A coroutine is used up by the first thing that takes it: cosy_await, cosy_gather, cosy_wait_for, cosy_task_from,
 * cosy_coro_close. Using it again is -COSY_EAWAITED. One that nothing ever took is reported as "never awaited" when the
 * loop closes.
 *
 * Those who drive a coroutine by hand (generators, schedulers, tests) use send, throw and close: it then has a stack of
 * its own and suspends to its driver with cosy_suspend. When it waits for the loop meanwhile, the whole running task
 * waits. Semantics: https://docs.python.org/3/reference/datamodel.html#coroutine-objects.
 */
#ifndef COSY_CORO_H
#define COSY_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "colour.h"
#include "err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A coroutine. The handle is no address: it carries bits of the coroutine's number, so that most uses of a handle that
 * was used up before are noticed (-COSY_EAWAITED). */
typedef struct cosy_coro cosy_coro;

/*     cosy_coro *cosy_call(fn, args...);
 *
 * Captures fn(args...) as a coroutine: up to ten arguments, checked as in any call. Nothing runs yet, and the coroutine
 * is the caller's until something takes it. Without memory it gives NULL, and whatever takes that returns -ENOMEM: the
 * result need not be checked. Any thread; the coroutine stays in the thread that made it. */
#define cosy_call(...) COSY_CALL_N_(COSY_NARG_(__VA_ARGS__), __VA_ARGS__)

/*     cosy_coro *cosy_call_block(int (*fn)(void *copy), const void *block, size_t size);
 *
 * Captures fn(copy), with a private copy of `size` bytes at `block`, aligned to 16: the plain base for ports and
 * foreign callers. NULL as cosy_call, also for a NULL fn. */
#define cosy_call_block(fn, block, size) cosy_call_block_(COSY_SITE_BLOCK_(fn), (fn), (block), (size))
#define COSY_SITE_BLOCK_(fn) COSY_SITE_(fn, 1, 8, (void *)0)
cosy_must_use cosy_coro *cosy_call_block_(const struct cosy_site_ *site, int (*fn)(void *), const void *block,
                                          size_t size);

/* Frame states, as inspect.getcoroutinestate tells them. */
enum cosy_coro_state { COSY_CORO_CREATED, COSY_CORO_SUSPENDED, COSY_CORO_RUNNING, COSY_CORO_CLOSED };

/* What send and throw tell: the coroutine suspended with a value, or it returned. Negative: the call was wrong
 * (below). */
enum { COSY_YIELDED = 0, COSY_RETURNED = 1 };

/* Goes on with the coroutine until it suspends or returns; *ret_value (may be NULL) is what it passed to cosy_suspend,
 * or its result, which may be a negative error of its own. `value` is what cosy_suspend gives it. The end is told apart
 * from errors by COSY_RETURNED alone. Wrong calls: -COSY_ERUNNING (it runs already), -COSY_EAWAITED (it is finished or
 * was taken), -EINVAL (a value other than 0 to one that has not begun), -ENOMEM (no stack). */
int cosy_coro_send(cosy_coro *coro, int64_t value, int64_t *ret_value);

/* Goes on with the coroutine as cosy_coro_send does, but cosy_suspend returns -code inside. One that has not begun ends
 * at once with it. -EINVAL for code 0. */
int cosy_coro_throw(cosy_coro *coro, int code, int64_t *ret_value);

/* Ends a coroutine: a suspended one sees -COSY_EGENEXIT from cosy_suspend and should clean up and return. Frees it on
 * every path: do not use it again. 0; -COSY_EIGNOREDCLOSE when it suspended again (its stack is dropped as it stands);
 * -COSY_ERUNNING from inside. NULL is fine. */
int cosy_coro_close(cosy_coro *coro);
static inline void cosy_coro_closep_(cosy_coro **coro) { (void)cosy_coro_close(*coro); }

/* Inside a coroutine that is driven by hand: hands `value` to the driver and waits for the next send or throw. Returns
 * 0 with *ret_sent (may be NULL) set, or the negative code thrown. -COSY_ENOTASK elsewhere. */
int cosy_suspend(int64_t value, int64_t *ret_sent);

/* What a coroutine is and does, for debuggers. Strings are static or live as long as the coroutine. 0; -COSY_EAWAITED
 * for one that is used up, with state COSY_CORO_CLOSED. */
struct cosy_coro_info {
    enum cosy_coro_state state;
    const char *name;          /* of its function */
    const char *file, *func;   /* where it was made */
    unsigned line;
    size_t bytes;              /* memory that it holds, its stack's whole size included */
    const void *awaiting;      /* the future or task that it waits for, or NULL */
};
int cosy_coro_info(const cosy_coro *coro, struct cosy_coro_info *ret_info);

/* Writes "<coroutine fetch_user suspended, created at main.c:12 in amain>", and returns what snprintf does. */
int cosy_coro_repr(const cosy_coro *coro, char *text, size_t size);

/* A weak reference: does not keep a coroutine or task alive and is safe to ask after its end (Python's weakref). */
typedef struct cosy_weak {
    const void *object;
    uint64_t id;
} cosy_weak;
cosy_weak cosy_coro_weak(const cosy_coro *coro);
cosy_coro *cosy_weak_coro(cosy_weak weak); /* NULL when it is gone or was taken by a task */

/* Records, for each coroutine made from now on in this thread, the innermost `depth` places of its making
 * (sys.set_coroutine_origin_tracking_depth); 0 turns it off and costs nothing. Returns the old depth. Debug mode sets
 * 10. */
int cosy_set_coroutine_origin_tracking_depth(int depth);

/* The recorded places as text, innermost first, "" when none were. Lives as long as the coroutine. */
const char *cosy_coro_origin(const cosy_coro *coro);

#ifdef __cplusplus
}
#endif
#endif
