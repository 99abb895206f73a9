/* cosy/runner.h - from main() into the loop and back: asyncio.run, asyncio.Runner, loop.run_until_complete.
 *
 *     int main(void) { return cosy_main(amain); }
 *
 * Ctrl-C, in the main thread and while SIGINT has its default effect: the first one cancels the main task and wakes the
 * loop; the run then returns -COSY_EINTERRUPT unless something else had cancelled it too. A second one has the default
 * effect at once. Semantics: https://docs.python.org/3/library/asyncio-runner.html.
 */
#ifndef COSY_RUNNER_H
#define COSY_RUNNER_H

#include <stddef.h>

#include "coro.h"
#include "loop.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to run: the options of struct cosy_loop_options, and the main task's stack. Every default is zero. */
struct cosy_run_options {
    size_t struct_size;
    enum cosy_backend backend;
    bool debug;
    uint64_t seed;
    bool shuffle;
    cosy_ns spin;
    size_t stack_size; /* of the main task; 0: 256 KiB */
};

/*     int cosy_run(fn, args...);
 *     int cosy_run_with((.option = value, ...), fn, args...);
 *
 * Runs fn(args...) as the main task of a new loop until it is done, then cancels what is left, waits for it, and closes
 * the loop. Returns its result, or its negative error (cosy_print_error(stderr, code) tells its story). -COSY_ERUNNING
 * inside a running loop; -EDEADLK when all tasks wait for each other for ever; errors of cosy_loop_new. */
#define cosy_run(...) cosy_run_(cosy_call(__VA_ARGS__), NULL)
#define cosy_run_with(options, ...)                                                                            \
    cosy_run_(cosy_call(__VA_ARGS__),                                                                          \
              &(const struct cosy_run_options){.struct_size = sizeof(struct cosy_run_options), COSY_UNWRAP_ options})
cosy_blocking int cosy_run_(cosy_coro *coro, const struct cosy_run_options *options);

/*     int cosy_main(fn, args...);
 *     int cosy_main_with((.option = value, ...), fn, args...);
 *
 * Does what cosy_run does, as a whole main(): prints the story of an unhandled error to standard error and returns 1;
 * dies of SIGINT after Ctrl-C; else returns the main task's result as exit status. */
#define cosy_main(...) cosy_main_(cosy_call(__VA_ARGS__), NULL)
#define cosy_main_with(options, ...)                                                                           \
    cosy_main_(cosy_call(__VA_ARGS__),                                                                         \
               &(const struct cosy_run_options){.struct_size = sizeof(struct cosy_run_options), COSY_UNWRAP_ options})
cosy_blocking int cosy_main_(cosy_coro *coro, const struct cosy_run_options *options);

/*     cosy_runner *cosy_runner_new(.option = value...);
 *     int cosy_runner_run(cosy_runner *runner, fn, args...);
 *
 * Several runs on one loop, with one context: variables set in one run are seen by the next. The loop is made by the
 * first run or by cosy_runner_loop. */
typedef struct cosy_runner cosy_runner;
#define cosy_runner_new(...)                                                                                   \
    cosy_runner_new_(&(const struct cosy_run_options){.struct_size = sizeof(struct cosy_run_options), __VA_ARGS__})
cosy_runner *cosy_runner_new_(const struct cosy_run_options *options); /* NULL without memory */
#define cosy_runner_run(runner, ...) cosy_runner_run_((runner), cosy_call(__VA_ARGS__))
cosy_blocking int cosy_runner_run_(cosy_runner *runner, cosy_coro *coro);
cosy_loop *cosy_runner_loop(cosy_runner *runner); /* NULL: it could not be made */
/* Cancels all tasks, waits for them, closes the loop. Idempotent; a later run is -COSY_ECLOSED. */
cosy_blocking int cosy_runner_close(cosy_runner *runner);
cosy_blocking void cosy_runner_free(cosy_runner *runner); /* closes too; NULL is fine */

/*     int cosy_run_until_complete(cosy_loop *loop, x);
 *
 * Runs a loop until the task or future is done; its outcome. A coroutine is started as a task. -COSY_ESTOPPED when the
 * loop was stopped before. */
#define cosy_run_until_complete(loop, x) cosy_run_until_complete_((loop), (const struct cosy_awaited_)COSY_AWAITED_(x))
cosy_blocking int cosy_run_until_complete_(cosy_loop *loop, struct cosy_awaited_ what);

#ifdef __cplusplus
}
#endif
#endif
