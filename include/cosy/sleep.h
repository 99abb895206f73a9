/* cosy/sleep.h - waiting for time to pass. Semantics: asyncio.sleep. */
#ifndef COSY_SLEEP_H
#define COSY_SLEEP_H

#include "colour.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Suspends the running task for `delay` ns, never less; 0 or less: for one turn of the loop, without a timer.
 * COSY_NEVER: until it is cancelled, by Ctrl-C for example; that is no deadlock. 0, -ECANCELED, -ENOMEM (no timer),
 * -COSY_ENOTASK outside a task. */
cosy_async int cosy_sleep(cosy_ns delay);

/* Suspends the running task until the loop's clock (cosy_loop_time) shows `when`; the rest as cosy_sleep. */
cosy_async int cosy_sleep_until(cosy_ns when);

#ifdef __cplusplus
}
#endif
#endif
