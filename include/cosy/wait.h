/* cosy/wait.h - waiting until some of several tasks and futures are done.
 *
 *     bool done[3];
 *     int n = cosy_wait(tasks, 3, .return_when = COSY_FIRST_COMPLETED, .timeout = COSY_S(2), .done = done);
 *
 * Nothing of what is waited for is touched: no error is raised or counted as seen, a timeout and a cancel of the
 * waiting task end this wait alone. What is there already is not waited for: then the call returns without suspending.
 * Semantics: asyncio.wait.
 */
#ifndef COSY_WAIT_H
#define COSY_WAIT_H

#include <stdbool.h>
#include <stddef.h>

#include "gather.h"
#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* When a wait is over: all are done; one is done; one has failed, or all are done (a cancelled one has not failed). */
enum cosy_return_when { COSY_ALL_COMPLETED, COSY_FIRST_COMPLETED, COSY_FIRST_EXCEPTION };

/* How to wait. Every default is zero. */
struct cosy_wait_options {
    size_t struct_size; /* filled in by the macros */
    enum cosy_return_when return_when;
    cosy_ns timeout; /* at most so long; 0 and COSY_NEVER: no limit; negative: not at all, only look */
    bool *done;      /* room for one answer each: whether it is done; NULL: not wanted */
};

/*     int cosy_wait(handles, size_t count, .option = value, ...);
 *
 * Waits for an array of tasks (cosy_task *tasks[]) or futures. How many of them are done as it returns, which a timeout
 * can make 0; the same handle may stand there more than once. -ECANCELED; -EINVAL with nothing to wait for, or for
 * coroutines, which are closed: nobody else could ask what became of them. A handle that is NULL: the reason why.
 * -COSY_ESELF, -COSY_EOTHERLOOP, -COSY_ENOTASK; -ENOMEM for more than eight or a timeout. */
#define cosy_wait(handles, count, ...)                                                                                 \
    cosy_wait_array_(COSY_KIND_OF_ARRAY_(handles), (handles), (count), COSY_WAIT_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_wait_array_(int kind, const void *handles, size_t count, const struct cosy_wait_options *options);

/*     int cosy_wait_with((.option = value, ...), handle...);
 *
 * The same for up to 16 tasks and futures. */
#define cosy_wait_with(options, ...)                                                                                   \
    cosy_wait_((const struct cosy_awaited_[]){COSY_EACH_(COSY_COUNT_(__VA_ARGS__), __VA_ARGS__)},                      \
               COSY_COUNT_(__VA_ARGS__), COSY_WAIT_OPTIONS_(COSY_UNWRAP_ options))
cosy_async int cosy_wait_(const struct cosy_awaited_ *items, size_t count, const struct cosy_wait_options *options);

/*     int cosy_wait_first(handle...);
 *
 * Waits until one of up to 16 tasks and futures is done, and tells which: 0 for the first argument. Of several that are
 * done, the first in the order of the arguments. Errors as cosy_wait. */
#define cosy_wait_first(...)                                                                                           \
    cosy_wait_first_((const struct cosy_awaited_[]){COSY_EACH_(COSY_COUNT_(__VA_ARGS__), __VA_ARGS__)},                \
                     COSY_COUNT_(__VA_ARGS__))
cosy_async int cosy_wait_first_(const struct cosy_awaited_ *items, size_t count);

#define COSY_WAIT_OPTIONS_(...)                                                                                        \
    (&(const struct cosy_wait_options){.struct_size = sizeof(struct cosy_wait_options), __VA_ARGS__})
#define COSY_KIND_OF_ARRAY_(handles)                                                                                   \
    _Generic((handles), cosy_task **: COSY_AWAITED_TASK, cosy_task *const *: COSY_AWAITED_TASK,                        \
             cosy_future **: COSY_AWAITED_FUTURE, cosy_future *const *: COSY_AWAITED_FUTURE,                           \
             cosy_coro **: COSY_AWAITED_CORO, cosy_coro *const *: COSY_AWAITED_CORO)

#ifdef __cplusplus
}
#endif
#endif
