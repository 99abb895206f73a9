/* cosy/timeout.h - limits in time.
 *
 *     int r = cosy_wait_for(cosy_call(long_operation), COSY_S(3));       r == -ETIMEDOUT
 *
 *     int err = 0;
 *     COSY_TIMEOUT(err, COSY_S(5)) {                                      async with asyncio.timeout(5):
 *         cosy_check(err, cosy_sleep(COSY_S(3)));
 *     }
 *
 * When the time is up, the task's present wait returns -ECANCELED; leaving the block turns that into -ETIMEDOUT. A
 * cancel from elsewhere wins over the timeout. A block cannot change what `return` has settled: leave it by cosy_check
 * or break, and return err behind it, or by cosy_try. Total time may exceed the limit while cleanup runs. Semantics:
 * asyncio.timeout, asyncio.wait_for.
 */
#ifndef COSY_TIMEOUT_H
#define COSY_TIMEOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "task.h"
#include "time.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     int cosy_wait_for(x, cosy_ns limit);
 *
 * Waits at most `limit` ns for a task, future or coroutine (which runs here). Its outcome, or -ETIMEDOUT after it was
 * cancelled and has ended. What comes to the answer although it was cancelled, gives that answer. limit <= 0: the
 * outcome if there is one, else -ETIMEDOUT without starting a coroutine. COSY_NEVER: no limit. */
#define cosy_wait_for(x, limit) cosy_wait_for_((const struct cosy_awaited_)COSY_AWAITED_(x), (limit))
cosy_async int cosy_wait_for_(struct cosy_awaited_ what, cosy_ns limit);

/* A limit goes from created to entered, and on to exited, or through expiring to expired. */
enum cosy_timeout_state {
    COSY_TIMEOUT_CREATED,
    COSY_TIMEOUT_ENTERED,
    COSY_TIMEOUT_EXPIRING,
    COSY_TIMEOUT_EXPIRED,
    COSY_TIMEOUT_EXITED
};

/* A limit in the caller's own memory, which must stay until cosy_timeout_exit. The fields are private. Zero it before
 * entering. */
typedef struct cosy_timeout {
    struct {
        struct cosy_node_ node;
        struct {
            void *slot;
            cosy_ns when;
        } timer;
    } timed_;
    void (*fired_)(void);
    struct cosy_task *task_;
    void *scope_;
    cosy_ns when_;
    int cancelling_;
    enum cosy_timeout_state state_;
} cosy_timeout;

/* Begins a limit for the running task: `delay` ns from now, or at `when` on the loop's clock (COSY_NEVER: none yet). 0,
 * -COSY_ENOTASK, -ENOMEM, -COSY_EINVALIDSTATE when it was entered before. */
cosy_async int cosy_timeout_enter(cosy_timeout *timeout, cosy_ns delay);
cosy_async int cosy_timeout_enter_at(cosy_timeout *timeout, cosy_ns when);

/* Ends a limit; `result` is what the limited code came to. Returns it, or -ETIMEDOUT when this limit was what cancelled
 * it. */
cosy_async int cosy_timeout_exit(cosy_timeout *timeout, int result);

/* Moves the deadline, tells it, tells whether it has passed. -COSY_EINVALIDSTATE when it is not entered, or expired. */
int cosy_timeout_reschedule(cosy_timeout *timeout, cosy_ns when);
cosy_ns cosy_timeout_when(const cosy_timeout *timeout);
bool cosy_timeout_expired(const cosy_timeout *timeout);

/*     COSY_TIMEOUT(err, delay) { ... }
 *
 * A limited block. `err` (an int variable) is set to 0 and then is what its code came to, -ETIMEDOUT when the time was
 * up; break leaves it early, and so does cosy_check. cosy_try leaves the function, with -ETIMEDOUT when the time was
 * up. return leaves it with the very result that it is given, which may be the -ECANCELED of a wait: `return
 * cosy_try(f());` where asyncio has `return await f()`. */
#define COSY_TIMEOUT(err, delay)                                                                                       \
    COSY_TIMEOUT_(err, COSY_CAT_(cosy_block_, __COUNTER__), cosy_timeout_block_open_, delay)

/*     COSY_TIMEOUT_AT(err, when) { ... }
 *
 * The same with a moment on the loop's clock, COSY_NEVER for no limit: async with asyncio.timeout_at. */
#define COSY_TIMEOUT_AT(err, when)                                                                                     \
    COSY_TIMEOUT_(err, COSY_CAT_(cosy_block_, __COUNTER__), cosy_timeout_block_open_at_, when)
#define COSY_TIMEOUT_(result, B, open, limit)                                                                  \
    for (struct cosy_timeout_block_ B __attribute__((cleanup(cosy_timeout_block_close_))) =                    \
             {.guard = {.frame = __builtin_frame_address(0), .func = __func__}, .err = &(result), .again = 1};         \
         B.again && open(&B, (limit)); B.again = 0)
struct cosy_timeout_block_ {
    cosy_timeout timeout;
    struct cosy_guard_ guard;
    int *err;
    int again;
};
cosy_async int cosy_timeout_block_open_(struct cosy_timeout_block_ *block, cosy_ns delay);
cosy_async int cosy_timeout_block_open_at_(struct cosy_timeout_block_ *block, cosy_ns when);
cosy_async void cosy_timeout_block_close_(struct cosy_timeout_block_ *block);

/*     cosy_check(err, call);
 *
 * In a COSY_TIMEOUT or COSY_SCOPE block: err = call; a negative one leaves the block. */
#define cosy_check(err, call)                                                                                  \
    if (((err) = (call)) < 0) {                                                                                \
        (err) = cosy_traced_(COSY_PLACE_, (err));                                                              \
        break;                                                                                                 \
    } else                                                                                                     \
        (void)0

#ifdef __cplusplus
}
#endif
#endif
