/* cosy/time.h - one unit of time: int64 nanoseconds.
 *
 * A cosy_ns is a length of time or a point on the loop's monotonic clock. 64 bits of nanoseconds reach
 * 292 years, so no sum of sane times overflows, and nothing is rounded on its way to a timer.
 */
#ifndef COSY_TIME_H
#define COSY_TIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t cosy_ns; /* nanoseconds */

/* Lengths of time, from any number: COSY_S(1.5), COSY_MS(20), COSY_US(5), COSY_NS(250).
 * With a constant argument the whole expression is a constant. */
#define COSY_S(x) ((cosy_ns)((x)*1000000000.0))
#define COSY_MS(x) ((cosy_ns)((x)*1000000.0))
#define COSY_US(x) ((cosy_ns)((x)*1000.0))
#define COSY_NS(x) ((cosy_ns)(x))

/* The deadline that never comes: a wait without a limit. */
#define COSY_NEVER INT64_MAX

#ifdef __cplusplus
}
#endif
#endif
