/* cosy/retry.h - trying again after a failure, with growing pauses.
 *
 *     cosy_try(cosy_retry((.attempts = 4), fetch(url, &out)));
 *
 * The call stands there as in any other place, and is evaluated anew for each attempt: what Python needs a factory of
 * coroutines for. The pauses grow from .delay by .factor: 1, 2, 4 seconds. A cancel is never tried again, and ends a
 * pause at once. The answer is that of the last attempt, with its message and traceback.
 */
#ifndef COSY_RETRY_H
#define COSY_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "colour.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One attempt that failed, for the callbacks of cosy_retry; valid during the call. */
struct cosy_retry_attempt {
    unsigned number;     /* 1 for the first */
    unsigned attempts;   /* how many there are to be at most */
    int error;           /* negative */
    const char *message; /* of the error; never empty */
    cosy_ns delay;       /* the pause before the next one; retry_if: not decided yet, 0 */
    cosy_ns elapsed;     /* since the first attempt began; 0 without a deadline */
};

/* How to try again. Every default is zero. The callbacks run in the calling task and may suspend. */
struct cosy_retry_options {
    size_t struct_size;
    unsigned attempts; /* at most so many, the first one included; 0: 4 */
    cosy_ns delay;     /* the first pause; 0: a second; negative: no pauses */
    double factor;     /* by which each pause is longer than the one before; 0: 2 */
    cosy_ns max_delay; /* no pause is longer; 0: no limit */
    double jitter;     /* how much of each pause is left to chance, 0 to 1: with 0.25, a second becomes 0.75 to 1 s;
                        * with 1, 0 to 1 s */
    uint64_t seed;     /* of that chance; 0: from the simulated kernel's seed, or else different in each run */
    cosy_ns deadline;  /* from the beginning of the first attempt: no attempt begins later, and no pause that would end
                        * later is begun. What runs is
                          not interrupted (cosy_wait_for does that). 0: none */
    bool quiet;        /* log nothing */
    bool (*retry_if)(const struct cosy_retry_attempt *attempt); /* whether this error is worth another attempt; NULL:
                                                                 * each but -ECANCELED is */
    void (*on_retry)(const struct cosy_retry_attempt *attempt); /* before each pause */
};

/*     int cosy_retry((.option = value, ...), call)
 *
 * Evaluates a call until it is >= 0, at most .attempts times. Its last value; -ECANCELED also when the task is
 * cancelled in a pause. Each failure that is followed by another attempt is logged at level INFO, the last one, if
 * there were several, as WARNING. Without a failure it costs nothing but the call (with a deadline: a look at the
 * clock). -EINVAL, without a call, for options that make no sense; -ENOMEM and -COSY_ENOTASK when there cannot be a
 * pause. cosy_retry((), call) takes every default. */
#define cosy_retry(options, call) COSY_RETRY_(COSY_CAT_(cosy_retry_, __COUNTER__), options, call)
#define COSY_RETRY_(R, retry_options, call)                                                                    \
    __extension__({                                                                                            \
        struct cosy_retry_ R = {.options = {.struct_size = sizeof(struct cosy_retry_options),                  \
                                            COSY_UNWRAP_ retry_options}};                                      \
        if (cosy_retry_begin_(&R))                                                                             \
            while (cosy_retry_again_(&R, (call)))                                                              \
                ;                                                                                              \
        (__typeof__(call))R.result;                                                                            \
    })
struct cosy_retry_ {
    struct cosy_retry_options options;
    unsigned made;
    cosy_ns began, delay;
    uint64_t random;
    int64_t result;
};
bool cosy_retry_begin_(struct cosy_retry_ *retry);
cosy_async bool cosy_retry_failed_(struct cosy_retry_ *retry);
static inline cosy_async bool cosy_retry_again_(struct cosy_retry_ *retry, int64_t result)
{
    retry->result = result;
    return __builtin_expect(result < 0, 0) && cosy_retry_failed_(retry);
}

#ifdef __cplusplus
}
#endif
#endif
