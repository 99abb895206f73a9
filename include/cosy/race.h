/* cosy/race.h - the first that succeeds wins.
 *
 *     int fd = cosy_race_with((.delay = COSY_MS(250)), cosy_call(dial, a), cosy_call(dial, b), cosy_call(dial, c));
 *
 * When one has won, the others are cancelled and waited for, so none writes into the caller's frame any more. Nothing
 * that arrived is lost: what each came to stands in .results, also of one that was done in the very turn of the winner.
 * Semantics: asyncio.staggered.staggered_race.
 */
#ifndef COSY_RACE_H
#define COSY_RACE_H

#include <stddef.h>
#include <stdint.h>

#include "gather.h"
#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to race. Every default is zero. */
struct cosy_race_options {
    size_t struct_size; /* filled in by the macros */
    cosy_ns delay; /* the next one starts so long after the one before it, or at once when that one fails; 0: all start
                      together; COSY_NEVER: each only when the one before it has failed */
    int64_t *results; /* room for each outcome: >= 0, a negative error, or -COSY_EINVALIDSTATE: never started; NULL: not
                         wanted */
    size_t *winner;   /* which one has won; their number when none has */
    size_t *started;  /* how many were started */
};

/*     int cosy_race(coro...);
 *     int cosy_race_with((.option = value, ...), coro...);
 *
 * Races up to 16 coroutines, each in a task of its own, and takes them in any case. The winner's result, as cosy_await
 * gives it; when all failed, the error of the first that failed (with its message and traceback): being cancelled is
 * failing here. -ECANCELED when the waiting task is cancelled, after all have ended; .results and .winner are filled in
 * then too. */
#define cosy_race(...) cosy_race_with((.delay = 0), __VA_ARGS__)
#define cosy_race_with(options, ...)                                                                                   \
    cosy_race_((cosy_coro *const[]){__VA_ARGS__}, COSY_COUNT_(__VA_ARGS__), COSY_RACE_OPTIONS_(COSY_UNWRAP_ options))

/*     int cosy_race_coros(cosy_coro **coros, size_t count, .option = value, ...);
 *
 * Races an array of coroutines. As cosy_race; -EINVAL when there are none, -ENOMEM for more than eight. */
#define cosy_race_coros(coros, count, ...) cosy_race_((coros), (count), COSY_RACE_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_race_(cosy_coro *const *coros, size_t count, const struct cosy_race_options *options);

#define COSY_RACE_OPTIONS_(...)                                                                                        \
    (&(const struct cosy_race_options){.struct_size = sizeof(struct cosy_race_options), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
