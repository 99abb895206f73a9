/* cosy/workers.h - one loop per thread: the whole machine for a program whose parts do not need each other.
 *
 *     int main(void) { return cosy_run_workers(0, serve, port) < 0; }   a loop on each processor, each runs serve(port)
 *
 * Tasks never leave the thread of their loop; what workers share is the program's to protect. They talk through
 * cosy_call_soon_threadsafe, cosy_run_coroutine_threadsafe, or descriptors. Nothing in asyncio corresponds to it
 * (there, processes do).
 */
#ifndef COSY_WORKERS_H
#define COSY_WORKERS_H

#include "coro.h"
#include "runner.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     int cosy_run_workers(unsigned count, fn, args...);
 *     int cosy_run_workers_with(unsigned count, (.option = value, ...), fn, args...);
 *
 * Runs fn(args...) as the main task of a loop of its own in each of `count` threads (0: one per processor that the
 * process may use), and waits until all have returned. 0; or the first error, after the other workers were cancelled
 * and have ended. Ctrl-C cancels them all: -COSY_EINTERRUPT. Each gets the same arguments, and cosy_worker_index tells
 * it which one it is. Options are those of cosy_run, for each loop. -EAGAIN when not all threads could be started: none
 * begins then, or those that did are cancelled. -COSY_ERUNNING inside a running loop; errors of cosy_run. */
#define cosy_run_workers(count, ...) cosy_run_workers_((count), cosy_call(__VA_ARGS__), NULL)
#define cosy_run_workers_with(count, options, ...)                                                                     \
    cosy_run_workers_(                                                                                                 \
        (count), cosy_call(__VA_ARGS__),                                                                               \
        &(const struct cosy_run_options){.struct_size = sizeof(struct cosy_run_options), COSY_UNWRAP_ options})
cosy_blocking int cosy_run_workers_(unsigned count, cosy_coro *call, const struct cosy_run_options *options);

/* Which worker this thread is, from 0, and how many there are; -1 and 0 elsewhere. */
int cosy_worker_index(void);
unsigned cosy_worker_count(void);

#ifdef __cplusplus
}
#endif
#endif
