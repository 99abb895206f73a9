/* cosy/scope.h - cancel scopes: a region of code that can be cancelled, limited in time, or shielded, as a whole.
 *
 *     int err = 0;
 *     COSY_MOVE_ON_AFTER(err, COSY_S(1)) {                                with trio.move_on_after(1):
 *         cosy_check(err, fetch_the_picture());
 *     }                                                                   err == 0, also when it took too long
 *
 *     COSY_SCOPE(err, .shield = true, .grace = COSY_S(2)) {    clean-up that a cancel does not disturb, for two seconds
 *         cosy_check(err, say_goodbye(connection));
 *     }
 *
 * When a scope is cancelled or its deadline passes, the task's present wait inside returns -ECANCELED, and with
 * `.sticky` every later one too until the scope is left. Leaving it ends the cancellation: the result is 0, and
 * cosy_scope_cancelled_caught tells. A cancel from outside (of the task, or of a scope around this one) passes on as
 * -ECANCELED, and wins when both came. `.shield` holds back what comes from outside until the scope is left. A scope
 * lies in the caller's memory; entering, cancelling and leaving one allocate nothing but room for the deadline.
 * Everything here belongs to the loop's thread. Semantics: trio's and anyio's CancelScope; without `.sticky`, delivery
 * is asyncio's: once.
 */
#ifndef COSY_SCOPE_H
#define COSY_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "task.h"
#include "time.h"
#include "timeout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A cancel scope; it must stay until cosy_scope_exit. Set what is wanted, zero the rest. */
typedef struct cosy_scope {
    cosy_ns deadline; /* when it is cancelled, on the loop's clock; 0 or COSY_NEVER: no deadline. To move it later:
                       * cosy_scope_set_deadline */
    cosy_ns after;    /* instead: a delay in ns from its entry, negative for one that has passed; 0: none */
    cosy_ns grace;    /* with shield: how many ns a cancel from outside is held back at most; 0: until the scope is
                       * left. A cancel that met the task before it entered, and was not taken back, comes again after
                       * it */
    bool shield;      /* hold back cancels from outside */
    bool sticky;      /* once cancelled, every wait inside fails at once (trio), not only one (asyncio) */
    bool fail;        /* leaving it after its deadline gives -ETIMEDOUT instead of 0 */
    bool cancel_called_, asked_, by_deadline_, repeats_, lapsed_, caught_;
    unsigned char state_;
    int cancelling_;
    unsigned held_;
    struct cosy_task *task_;
    struct cosy_scope *outer_;
    struct cosy_timed_ {
        struct {
            struct cosy_node_ node;
            struct {
                void *slot;
                cosy_ns when;
            } timer;
        } timed;
        void (*fired)(void);
    } limit_, bound_;
} cosy_scope;

/* Enters a scope with the running task; it may have been cancelled before. 0, -COSY_ENOTASK, -ENOMEM,
 * -COSY_EINVALIDSTATE when it was entered before. */
cosy_async int cosy_scope_enter(cosy_scope *scope);

/* Leaves a scope; `result` is what the code inside came to. -ECANCELED becomes 0, or -ETIMEDOUT with `.fail`, when this
 * scope was what cancelled it; everything else comes back as it is. What a shield held back meets the next wait.
 * -COSY_EINVALIDSTATE when the running task is not in it. Does not suspend. */
cosy_async int cosy_scope_exit(cosy_scope *scope, int result);

/* Cancels what runs in a scope, from any task or callback of its loop; one that is not entered yet is cancelled as it
 * is entered. Idempotent. False when it has been left. */
bool cosy_scope_cancel(cosy_scope *scope);

/* Whether a scope was cancelled, by cosy_scope_cancel or its deadline; whether leaving it ended a cancellation. */
bool cosy_scope_cancel_called(const cosy_scope *scope);
bool cosy_scope_cancelled_caught(const cosy_scope *scope);

/* The deadline on the loop's clock, COSY_NEVER without; moving it, COSY_NEVER to have none. set: 0, -ENOMEM (the old
 * one holds), -COSY_EINVALIDSTATE when the scope was cancelled or left. */
cosy_ns cosy_scope_deadline(const cosy_scope *scope);
int cosy_scope_set_deadline(cosy_scope *scope, cosy_ns when);

/* The running task's innermost scope; NULL without. Borrowed: until it is left. */
cosy_scope *cosy_current_scope(void);

/* The earliest deadline that the running task's code is under, as far as no shield holds it back: COSY_NEVER without,
 * INT64_MIN when it is cancelled already. */
cosy_ns cosy_current_effective_deadline(void);

/*     COSY_SCOPE(err, .option = value, ...) { ... }
 *
 * A block in a scope of its own, with the options of cosy_scope. `err` (an int variable) is set to 0 and then is what
 * its code came to; cosy_check and break leave the block. cosy_try leaves the function: with -ETIMEDOUT after the
 * deadline of a scope with .fail, with -ECANCELED when the scope was cancelled otherwise, for only code behind the
 * block can go on as if nothing had been. return leaves it with the very result that it is given. cosy_current_scope is
 * its handle inside. */
#define COSY_SCOPE(err, ...) COSY_SCOPE_(err, COSY_CAT_(cosy_scope_, __COUNTER__), NULL, .task_ = NULL, __VA_ARGS__)

/*     COSY_SCOPE_WITH(err, cosy_scope *scope) { ... }
 *
 * The same with a scope of the caller's, which others may cancel and which tells afterwards what became of it. */
#define COSY_SCOPE_WITH(err, scope) COSY_SCOPE_(err, COSY_CAT_(cosy_scope_, __COUNTER__), (scope), .task_ = NULL)

/*     COSY_MOVE_ON_AFTER(err, delay) { ... }
 *
 * A block that is given up `delay` ns from now: err == 0 then. trio.move_on_after. */
#define COSY_MOVE_ON_AFTER(err, delay) COSY_SCOPE(err, .after = cosy_scope_delay_(delay))

/*     COSY_FAIL_AFTER(err, delay) { ... }
 *
 * A block that fails `delay` ns from now: err == -ETIMEDOUT then. trio.fail_after. */
#define COSY_FAIL_AFTER(err, delay) COSY_SCOPE(err, .after = cosy_scope_delay_(delay), .fail = true)

#define COSY_SCOPE_(result, B, handle, ...)                                                                    \
    for (struct cosy_scope_block_ B __attribute__((cleanup(cosy_scope_block_close_))) =                        \
             {.own = {__VA_ARGS__},                                                                            \
              .given = (handle),                                                                               \
              .guard = {.frame = __builtin_frame_address(0), .func = __func__},                                \
              .err = &(result),                                                                                \
              .again = 1};                                                                                     \
         B.again && cosy_scope_block_open_(&B); B.again = 0)
struct cosy_scope_block_ {
    cosy_scope own, *given;
    struct cosy_guard_ guard;
    int *err;
    int again;
};
static inline cosy_ns cosy_scope_delay_(cosy_ns delay) { return delay <= 0 ? -1 : delay; }
cosy_async int cosy_scope_block_open_(struct cosy_scope_block_ *block);
cosy_async void cosy_scope_block_close_(struct cosy_scope_block_ *block);

#ifdef __cplusplus
}
#endif
#endif
