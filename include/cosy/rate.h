/* cosy/rate.h - how often something may happen: a leaky bucket.
 *
 *     static cosy_rate_limiter limiter = COSY_RATE_LIMITER(100, COSY_S(60));      AsyncLimiter(100, 60)
 *
 *     cosy_try(cosy_rate_limiter_acquire(&limiter));
 *     int err = 0;
 *     COSY_RATE_LIMITED(err, &limiter) {                                          async with limiter:
 *         cosy_check(err, ask_server());
 *     }
 *
 * What is acquired fills the bucket, which leaks max_rate per period, evenly: after a rest up to max_rate may be had in
 * a burst, then as much as leaks out. Counted in whole nanoseconds without rounding: never early, and no drift over
 * days. Who waits is served in the order of coming, so a large request is not overtaken by small ones for ever;
 * .small_first = true gives the order of aiolimiter. One timer runs, for the first in line. Semantics:
 * aiolimiter.AsyncLimiter, but for that order, and a cancelled wait gives its share back.
 */
#ifndef COSY_RATE_H
#define COSY_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "time.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A rate limiter in the caller's own memory, which must stay while tasks wait for it. The first three fields are set
 * once, before its first use; the others are private, and zero at first. It needs no end. It may be used from one loop
 * at a time: from another one while tasks wait is -COSY_EOTHERLOOP. */
typedef struct cosy_rate_limiter {
    int64_t max_rate; /* how much per period, and how much at once: 1 or more */
    cosy_ns period;   /* 1 or more, at most 73 years */
    bool small_first; /* smaller amounts overtake larger ones that wait */
    bool armed_;
    cosy_ns empty_at_; /* when all will have leaked out: empty_at_ + part_ / max_rate ns */
    int64_t part_;
    struct {
        struct cosy_waiter *first, *last;
    } line_;
    struct {
        struct cosy_node_ node;
        struct {
            void *slot;
            cosy_ns when;
        } timer;
    } timed_;
    void (*fired_)(void);
    uint64_t acquired_, delayed_;
} cosy_rate_limiter;

/*     COSY_RATE_LIMITER(max_rate, period)
 *     COSY_RATE_LIMITER(max_rate, period, .small_first = true)
 *
 * What a cosy_rate_limiter begins with, also a static one. */
#define COSY_RATE_LIMITER(rate, ...) {.max_rate = (rate), .period = __VA_ARGS__}

/* Takes 1, or `amount` (0 or more), as soon as the rate allows and those before have had theirs; at once when it can,
 * without suspending. 0; -COSY_ELIMIT at once for more than max_rate, which could never be; -ECANCELED; -EINVAL for a
 * negative amount or a limiter without a rate; -ENOMEM (no timer); -COSY_ENOTASK outside a task. On failure nothing is
 * taken. */
cosy_async int cosy_rate_limiter_acquire(cosy_rate_limiter *limiter);
/* The same for an amount. */
cosy_async int cosy_rate_limiter_acquire_amount(cosy_rate_limiter *limiter, int64_t amount);

/* Whether `amount` could be had now without waiting. Takes nothing. In the loop's thread. */
bool cosy_rate_limiter_has_capacity(const cosy_rate_limiter *limiter, int64_t amount);

/* What a limiter is doing. */
struct cosy_rate_limiter_statistics {
    int64_t available;  /* how much is not taken, whoever waits for it */
    size_t waiting;     /* tasks */
    uint64_t acquired;  /* how much was taken in all */
    uint64_t delayed;   /* how many calls had to wait */
};
/* Tells it. In the loop's thread. */
void cosy_rate_limiter_statistics(const cosy_rate_limiter *limiter,
                                  struct cosy_rate_limiter_statistics *ret_statistics);

/*     COSY_RATE_LIMITED(err, cosy_rate_limiter *limiter) { ... }
 *
 * A block that begins when 1 was acquired: `async with limiter`. When that fails, `err` (an int variable) tells why and
 * the block is skipped. break and cosy_check leave it early. Nothing happens at its end. */
#define COSY_RATE_LIMITED(err, limiter)                                                                        \
    for (bool cosy_once_ = ((err) = cosy_rate_limiter_acquire(limiter)) == 0; cosy_once_; cosy_once_ = false)

#ifdef __cplusplus
}
#endif
#endif
