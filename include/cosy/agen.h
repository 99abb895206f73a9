/* cosy/agen.h - async generators and async for: values that come one after the other, with waits in between.
 *
 *     cosy_async static int countdown(cosy_emitter(int) *out, int from)       async def countdown(from):
 *     {
 *         for (int i = from; i > 0; i--) {
 *             cosy_try(cosy_sleep(COSY_MS(100)));                                 await asyncio.sleep(0.1)
 *             cosy_try(cosy_emit(out, i));                                        yield i
 *         }
 *         return 0;
 *     }
 *
 *     int err = 0;
 *     COSY_FOR (int, x, err, cosy_agen(countdown, 5))                         async for x in countdown(5):
 *         printf("%d\n", x);                                                      print(x)
 *
 * An async generator is an async function with its own arguments, behind an emitter that says what it emits. Its body
 * runs on a stack of its own inside the consuming task, as if called: its waits are the task's waits, a cancel of the
 * task reaches them, and an emitted value goes straight into the consumer's variable. Leaving COSY_FOR in any way
 * closes the generator and waits for its cleanup. A wrong element type is a compiler error in the head of COSY_FOR and
 * at cosy_emit, and -EINVAL with a message elsewhere (structs are told apart by their size only). All calls: the loop's
 * thread. Semantics: PEP 525, https://peps.python.org/pep-0525/.
 */
#ifndef COSY_AGEN_H
#define COSY_AGEN_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "colour.h"
#include "coro.h"
#include "err.h"
#include "task.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A generator: made by cosy_agen, to be dropped. */
typedef struct cosy_agen cosy_agen;

/* The inside of an emitter. */
struct cosy_emitting_ {
    void *slot_;    /* the consumer's variable; NULL: nobody takes a value now */
    uint32_t type_; /* of that variable */
};

/*     cosy_emitter(T) *out
 *
 * The first parameter of a generator function, which emits values of type T. A generator may pass it on to functions
 * that emit for it. It is valid while the body runs. T is any type but an array; function pointers need a typedef. */
#define cosy_emitter(T) __typeof__(__typeof__(T) (*)(struct cosy_emitting_ *))
#define COSY_EMITTED_(out) __typeof__((*(out))((struct cosy_emitting_ *)0))

/* What a type is, as far as run time can tell: its size and its kind. */
#define COSY_TYPE_(T)                                                                                          \
    ((uint32_t)(sizeof(T) * 32 +                                                                               \
                _Generic((__typeof__(T) *)0, char *: 1, signed char *: 2, unsigned char *: 3, _Bool *: 4, short *: 5,  \
                         unsigned short *: 6, int *: 7, unsigned *: 8, long *: 9, unsigned long *: 10,         \
                         long long *: 11, unsigned long long *: 12, float *: 13, double *: 14,                 \
                         long double *: 15,                                                                    \
                         default: __builtin_classify_type(*(__typeof__(T) *)(uintptr_t)64) == 5 ? 16 : 17)))

/* What the head of the innermost COSY_FOR takes, for generators that are made in it; elsewhere any type is taken. */
struct cosy_element_ {
    void *out;
    char owned[1];
};
#define COSY_AGEN_ELEMENT_(T) ((void)sizeof(struct cosy_element_ { cosy_emitter(T) *out; char owned[2]; }))
#define COSY_NO_ELEMENT_ ((void)sizeof(struct cosy_element_ { void *out; char owned[1]; }))
#define COSY_EMITTER_ ((__typeof__(((struct cosy_element_ *)(uintptr_t)64)->out))0)

/*     cosy_agen *cosy_agen(fn, args...);
 *
 * Makes a generator of fn(out, args...): up to nine arguments, checked as in any call; `out` is supplied. Nothing runs
 * until its first step. One that is made in the head of a COSY_FOR belongs to that loop. Any other is the caller's to
 * drop:
 *
 *     cosy_scoped(cosy_agen) numbers = cosy_agen(countdown, 5);
 *
 * Without memory it gives NULL, and whatever takes that returns -ENOMEM. One allocation; the first step takes a stack
 * of 64 KiB from the pool. */
#define cosy_agen(...)                                                                                         \
    (COSY_CAT_(COSY_CAT_(COSY_AGEN_, COSY_NARG_(__VA_ARGS__)), _)(__VA_ARGS__),                                \
     cosy_agen_captured_(sizeof(((struct cosy_element_ *)(uintptr_t)64)->owned) == 2))
#define COSY_AGEN_0_(fn) COSY_CAPTURED_(fn, 1, COSY_EMITTER_)
#define COSY_AGEN_1_(fn, ...) COSY_CAPTURED_(fn, 2, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_2_(fn, ...) COSY_CAPTURED_(fn, 3, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_3_(fn, ...) COSY_CAPTURED_(fn, 4, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_4_(fn, ...) COSY_CAPTURED_(fn, 5, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_5_(fn, ...) COSY_CAPTURED_(fn, 6, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_6_(fn, ...) COSY_CAPTURED_(fn, 7, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_7_(fn, ...) COSY_CAPTURED_(fn, 8, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_8_(fn, ...) COSY_CAPTURED_(fn, 9, COSY_EMITTER_, __VA_ARGS__)
#define COSY_AGEN_9_(fn, ...) COSY_CAPTURED_(fn, 10, COSY_EMITTER_, __VA_ARGS__)
cosy_must_use cosy_agen *cosy_agen_captured_(bool owned);

/* ---- inside a generator ---- */

/*     int cosy_emit(cosy_emitter(T) *out, T value);
 *
 * Hands a value to the consumer and waits until it wants the next one. 0, or the negative code that the consumer threw,
 * to be passed on after cleanup: -COSY_EGENEXIT when it closes the generator. Cleanup may wait, but not emit: that is
 * -COSY_EIGNOREDCLOSE, at once, and becomes the outcome of the close. -EINVAL when the consumer takes another type,
 * -COSY_EINVALIDSTATE from anywhere but the generator's own body. */
#define cosy_emit(out, ...) COSY_EMIT_(out, COSY_CAT_(cosy_emit_, __COUNTER__), __VA_ARGS__)
#define COSY_EMIT_(emitter, E, ...)                                                                            \
    __extension__({                                                                                            \
        COSY_EMITTED_(emitter) E = (__VA_ARGS__);                                                              \
        cosy_emit_copy_((struct cosy_emitting_ *)(void *)(emitter), &E, sizeof E, COSY_TYPE_(COSY_EMITTED_(emitter))); \
    })
cosy_async int cosy_emit_(struct cosy_emitting_ *emitting);
int cosy_emit_mismatch_(struct cosy_emitting_ *emitting, uint32_t type);
__attribute__((always_inline)) cosy_async static inline int
cosy_emit_copy_(struct cosy_emitting_ *emitting, const void *value, size_t size, uint32_t type)
{
    if (__builtin_expect(emitting->slot_ != NULL, 1)) {
        if (__builtin_expect(emitting->type_ != type, 0))
            return cosy_emit_mismatch_(emitting, type);
        __builtin_memcpy(emitting->slot_, value, size);
    }
    return cosy_emit_(emitting);
}

/*     int cosy_sent(cosy_emitter(T) *out, U *ret_value);
 *
 * After cosy_emit: 1 and the value that the consumer sent with cosy_asend, 0 when it sent none, -EINVAL when it sent
 * another type. */
#define cosy_sent(out, ret_value)                                                                                      \
    cosy_sent_((struct cosy_emitting_ *)(void *)(out), (ret_value), sizeof *(ret_value),                               \
               COSY_TYPE_(__typeof__(*(ret_value))))
int cosy_sent_(struct cosy_emitting_ *emitting, void *ret_value, size_t size, uint32_t type);

/* ---- stepping by hand ---- */

/*     int cosy_anext(cosy_agen *gen, T *ret_item);
 *
 * Lets the generator run until it emits: 0 with the value in *ret_item. -COSY_ESTOPITER when its body has returned, or
 * it was closed; else the error that its body returned, after which it is closed. A body that itself returns
 * -COSY_ESTOPITER gives -COSY_EINVALIDSTATE. -COSY_ERUNNING while another task waits in it; -COSY_EOTHERLOOP;
 * -COSY_ENOTASK; -ENOMEM (no stack). Suspends when the body does. */
#define cosy_anext(gen, ret_item) cosy_anext_((gen), (ret_item), COSY_TYPE_(__typeof__(*(ret_item))))
cosy_async int cosy_anext_(cosy_agen *gen, void *ret_item, uint32_t type);

/*     int cosy_asend(cosy_agen *gen, value, T *ret_item);
 *
 * Lets the generator run as cosy_anext does; its body may ask for `value`, of any type, by cosy_sent until it emits
 * again. A null pointer is no value (asyncio's None). -EINVAL for a value to a generator that has not begun. */
#define cosy_asend(gen, value, ret_item) COSY_ASEND_(gen, value, ret_item, COSY_CAT_(cosy_send_, __COUNTER__))
#define COSY_ASEND_(gen, value, ret_item, S)                                                                   \
    __extension__({                                                                                            \
        __typeof__((void)0, (value)) S = (value);                                                              \
        cosy_asend_((gen), &S, COSY_TYPE_(__typeof__((void)0, (value))), (ret_item),                           \
                    COSY_TYPE_(__typeof__(*(ret_item))));                                                      \
    })
cosy_async int cosy_asend_(cosy_agen *gen, const void *value, uint32_t sent, void *ret_item, uint32_t type);

/*     int cosy_athrow(cosy_agen *gen, int code, T *ret_item);
 *
 * Lets the generator run with cosy_emit returning -code inside. A body that goes on emitting gives 0 and the next
 * value. One that has not begun is closed and gives -code. The rest as cosy_anext; -EINVAL for code 0. */
#define cosy_athrow(gen, code, ret_item) cosy_athrow_((gen), (code), (ret_item), COSY_TYPE_(__typeof__(*(ret_item))))
cosy_async int cosy_athrow_(cosy_agen *gen, int code, void *ret_item, uint32_t type);

/* Closes a generator: cosy_emit returns -COSY_EGENEXIT inside, and the cleanup of its body is waited for. 0, also when
 * it is closed already or never began; -COSY_EIGNOREDCLOSE when it emitted instead of ending; an error of its cleanup;
 * -COSY_ERUNNING, -COSY_EOTHERLOOP, -COSY_ENOTASK. The handle stays valid. NULL is fine. */
cosy_async int cosy_aclose(cosy_agen *gen);

/* Ends a generator and frees it. In a task it is closed first, and its cleanup waited for. In a callback, where nothing
 * can wait, a task is started that does so. Errors of the cleanup go to the exception handler. Dropped while another
 * task waits in it, it is closed when that step ends. NULL is fine. */
void cosy_agen_drop(cosy_agen *gen);
static inline void cosy_agen_dropp_(cosy_agen **gen) { cosy_agen_drop(*gen); }

/* What a generator is and does, for debuggers (ag_running, ag_frame, ag_await): see cosy_coro_info. 0, -EINVAL for
 * NULL. */
int cosy_agen_info(const cosy_agen *gen, struct cosy_coro_info *ret_info);

/* Closes all generators of the running loop that have begun and not ended, all at once, and waits for it. Their errors
 * go to the exception handler. Beginning one later is warned of. cosy_run and cosy_runner_close call it after the last
 * task. 0, -ECANCELED, -COSY_ENOTASK. */
cosy_async int cosy_shutdown_asyncgens(void);

/* ---- async for ---- */

/* Something of your own to iterate over: COSY_FOR takes a pointer to one. next writes the next item and returns 0, or
 * returns -COSY_ESTOPITER at the end, or an error. close (may be NULL) is called once when the loop is left in any way;
 * its error is the loop's. Both run in the consuming task and may suspend. */
typedef struct cosy_aiter cosy_aiter;
struct cosy_aiter {
    int (*next)(cosy_aiter *self, void *ret_item);
    int (*close)(cosy_aiter *self);
    size_t item_size; /* COSY_FOR refuses a type of another size (-EINVAL); 0: not checked */
};

/*     COSY_FOR (T, x, err, source) { ... }
 *
 * For each item of a generator or a cosy_aiter: x, a variable of type T. `err` (an int variable) is 0 at the end, or
 * what ended the loop: an error of the source, or of its cleanup, or what cosy_check put there. However the loop is
 * left (break, return, cosy_try), the source is closed and that is waited for; a generator that was made in the head is
 * freed too. A cancel that comes during the close is never lost. After return, an error of the close goes to the
 * exception handler. */
#define COSY_FOR(T, x, err, source) COSY_FOR_(T, x, err, source, COSY_CAT_(cosy_for_, __COUNTER__))
#define COSY_FOR_(T, x, result, source, F)                                                                     \
    for (struct cosy_for_ F __attribute__((cleanup(cosy_for_leave_))) = {.err_ = &(result)};                   \
         COSY_AGEN_ELEMENT_(T), F.stage_ == 0 && cosy_for_open_(&F, COSY_FOR_SOURCE_(source), sizeof(T));           \
         cosy_for_close_(&F))                                                                                  \
        for (T x; COSY_NO_ELEMENT_, cosy_for_next_(&F, &x, COSY_TYPE_(T));)
#define COSY_FOR_SOURCE_(source)                                                                                       \
    _Generic((source), cosy_agen * : cosy_from_agen_, cosy_aiter * : cosy_from_aiter_)(source)
struct cosy_source_ {
    cosy_agen *gen;
    cosy_aiter *iter;
};
static inline struct cosy_source_ cosy_from_agen_(cosy_agen *gen)
{
    struct cosy_source_ source = {gen, NULL};
    return source;
}
static inline struct cosy_source_ cosy_from_aiter_(cosy_aiter *iter)
{
    struct cosy_source_ source = {NULL, iter};
    return source;
}
struct cosy_for_ {
    struct cosy_source_ source_;
    int *err_;
    int stage_; /* 0 new, 1 in the loop, 2 closed */
};
cosy_async bool cosy_for_open_(struct cosy_for_ *loop, struct cosy_source_ source, size_t size);
cosy_async bool cosy_for_stop_(struct cosy_for_ *loop, int result);
cosy_async void cosy_for_close_(struct cosy_for_ *loop);
cosy_async void cosy_for_leave_(struct cosy_for_ *loop);
cosy_async static inline bool cosy_for_next_(struct cosy_for_ *loop, void *item, uint32_t type)
{
    int result = loop->source_.gen ? cosy_anext_(loop->source_.gen, item, type)
                                   : loop->source_.iter->next(loop->source_.iter, item);
    return __builtin_expect(result == 0, 1) || cosy_for_stop_(loop, result);
}

/*     int cosy_fold(T *final, source, T (*add)(T, T));
 *
 * Adds the items of a generator or cosy_aiter together: *final = add(add(a, b), c). How many items there were: with 0
 * of them *final is left as it was, nothing. Or the source's error. */
#define cosy_fold(final, source, add) COSY_FOLD_(final, source, add, COSY_CAT_(cosy_fold_, __COUNTER__))
#define COSY_FOLD_(final, source, add, N)                                                                      \
    __extension__({                                                                                            \
        int N = 0, COSY_CAT_(N, e) = 0;                                                                        \
        COSY_FOR (__typeof__(*(final)), COSY_CAT_(N, x), COSY_CAT_(N, e), source)                              \
            *(final) = N++ == 0 ? COSY_CAT_(N, x) : (add)(*(final), COSY_CAT_(N, x));                          \
        COSY_CAT_(N, e) < 0 ? COSY_CAT_(N, e) : N;                                                             \
    })

#ifdef __cplusplus
}
#endif
#endif
