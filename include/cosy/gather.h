/* cosy/gather.h - several things at once, and all their results.
 *
 *     cosy_try(cosy_gather(cosy_call(fetch, 1, &a), cosy_call(fetch, 2, &b)));
 *
 * As asyncio.gather: the order of results is that of the arguments; the first error is the answer while the others go
 * on undisturbed and their later errors count as seen; a cancel of the waiting task cancels them all. One thing is
 * better than asyncio: coroutines that the call itself started are always waited for before it returns, because in C
 * they write through pointers into the caller's frame. Tasks and futures given as handles are not: with an error, the
 * call returns as soon as only those are left.
 */
#ifndef COSY_GATHER_H
#define COSY_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to gather. Every default is zero. */
struct cosy_gather_options {
    size_t struct_size;
    bool return_exceptions; /* errors are results: the call itself only fails with -ECANCELED or a call that is wrong */
    bool cancel_rest;       /* the first error cancels all the others, handles too, and the call waits for them */
    int64_t *results;       /* room for each outcome: >= 0, or a negative error; NULL: not wanted */
};

/*     int cosy_gather(awaitable...);
 *     int cosy_gather_with((.option = value, ...), awaitable...);
 *
 * Waits for up to 16 coroutines (started as tasks), tasks and futures; the same one given twice is one child. 0, or the
 * error of the first one that failed (with its message and traceback), or -ECANCELED. With no arguments to wait for,
 * use cosy_gather_tasks. */
#define cosy_gather(...)                                                                                       \
    cosy_gather_((const struct cosy_awaited_[]){COSY_EACH_(COSY_COUNT_(__VA_ARGS__), __VA_ARGS__)},            \
                 COSY_COUNT_(__VA_ARGS__), (const struct cosy_gather_options *)0)
#define cosy_gather_with(options, ...)                                                                         \
    cosy_gather_((const struct cosy_awaited_[]){COSY_EACH_(COSY_COUNT_(__VA_ARGS__), __VA_ARGS__)},            \
                 COSY_COUNT_(__VA_ARGS__), &(const struct cosy_gather_options){                                \
                                               .struct_size = sizeof(struct cosy_gather_options), COSY_UNWRAP_ options})
cosy_async int cosy_gather_(const struct cosy_awaited_ *items, size_t count, const struct cosy_gather_options *options);

/* Gathers an array of task handles; count may be 0, options NULL. Outcome as cosy_gather; -ENOMEM for more than
 * eight. */
cosy_async int cosy_gather_tasks(cosy_task *const *tasks, size_t count, const struct cosy_gather_options *options);

/* Gathers an array of coroutines, and takes them in any case; count may be 0, options NULL. Outcome as
 * cosy_gather_tasks. */
cosy_async int cosy_gather_coros(cosy_coro *const *coros, size_t count, const struct cosy_gather_options *options);

#define COSY_COUNT_(...) COSY_COUNT_2_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, )
#define COSY_COUNT_2_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) count
#define COSY_EACH_(n, ...) COSY_CAT_(COSY_EACH_, n)(__VA_ARGS__)
#define COSY_EACH_1(a) COSY_AWAITED_(a)
#define COSY_EACH_2(a, ...) COSY_AWAITED_(a), COSY_EACH_1(__VA_ARGS__)
#define COSY_EACH_3(a, ...) COSY_AWAITED_(a), COSY_EACH_2(__VA_ARGS__)
#define COSY_EACH_4(a, ...) COSY_AWAITED_(a), COSY_EACH_3(__VA_ARGS__)
#define COSY_EACH_5(a, ...) COSY_AWAITED_(a), COSY_EACH_4(__VA_ARGS__)
#define COSY_EACH_6(a, ...) COSY_AWAITED_(a), COSY_EACH_5(__VA_ARGS__)
#define COSY_EACH_7(a, ...) COSY_AWAITED_(a), COSY_EACH_6(__VA_ARGS__)
#define COSY_EACH_8(a, ...) COSY_AWAITED_(a), COSY_EACH_7(__VA_ARGS__)
#define COSY_EACH_9(a, ...) COSY_AWAITED_(a), COSY_EACH_8(__VA_ARGS__)
#define COSY_EACH_10(a, ...) COSY_AWAITED_(a), COSY_EACH_9(__VA_ARGS__)
#define COSY_EACH_11(a, ...) COSY_AWAITED_(a), COSY_EACH_10(__VA_ARGS__)
#define COSY_EACH_12(a, ...) COSY_AWAITED_(a), COSY_EACH_11(__VA_ARGS__)
#define COSY_EACH_13(a, ...) COSY_AWAITED_(a), COSY_EACH_12(__VA_ARGS__)
#define COSY_EACH_14(a, ...) COSY_AWAITED_(a), COSY_EACH_13(__VA_ARGS__)
#define COSY_EACH_15(a, ...) COSY_AWAITED_(a), COSY_EACH_14(__VA_ARGS__)
#define COSY_EACH_16(a, ...) COSY_AWAITED_(a), COSY_EACH_15(__VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
