/* cosy/shield.h - a wait whose cancel does not reach what is waited for.
 *
 *     cosy_scoped(cosy_task) saving = cosy_create_task(save, &document);
 *     int r = cosy_shield(saving);                -ECANCELED when we are cancelled; the saving goes on
 *
 * The loop keeps a shielded task alive until it ends, whoever drops it (asyncio may lose it). When nobody waits for it
 * any more and it fails, its error goes to the exception handler, once; unlike in asyncio not when somebody else has
 * got it. Semantics: asyncio.shield.
 */
#ifndef COSY_SHIELD_H
#define COSY_SHIELD_H

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     int cosy_shield(x);
 *
 * Waits for a task, future or coroutine (which is started as a task) and returns its outcome, as cosy_await does; but a
 * cancel of the waiting task ends this wait alone, with -ECANCELED. What the shielded task writes to must therefore
 * outlive the caller's frame. -ECANCELED also when x was cancelled itself. Errors of the call: as cosy_await; -ENOMEM
 * when a coroutine could not be started. */
#define cosy_shield(x) cosy_shield_((const struct cosy_awaited_)COSY_AWAITED_(x))
cosy_async int cosy_shield_(struct cosy_awaited_ what);

/*     cosy_future *cosy_shield_future(x);
 *
 * The same as a future, to give to cosy_gather, cosy_wait_for and their like; to be dropped. It ends as x does;
 * cancelling it leaves x running. When x is done, it is x itself. Does not suspend; a coroutine needs a running loop.
 * NULL when it could not be made (no memory, an x that is NULL, another loop's future), and what takes that NULL
 * returns the reason. */
#define cosy_shield_future(x) cosy_shield_future_((const struct cosy_awaited_)COSY_AWAITED_(x))
cosy_must_use cosy_future *cosy_shield_future_(struct cosy_awaited_ what);

#ifdef __cplusplus
}
#endif
#endif
