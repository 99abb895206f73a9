/* cosy/call.h - captured calls: how `cosy_call(fn, args...)` takes any function with its own arguments.
 *
 * The compiler performs an ordinary, fully checked call of fn(args...) (conversions, structs by value), but to a stub
 * that keeps the argument registers. The coroutine replays them when it starts. A wrong argument is therefore an
 * ordinary compiler error, and nothing needs to be declared. fn returns an integer (>= 0, or a negative error) or void.
 *
 * Limits: ten arguments, 128 bytes of them; each at most 16 bytes after conversion, structs as large as fit (aarch64:
 * structs up to 16 bytes). Where they do not suit (other compilers, foreign callers), use cosy_call_block. The
 * machinery below is private; the doors are cosy_call (coro.h) and cosy_create_task (task.h).
 */
#ifndef COSY_CALL_H
#define COSY_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "colour.h"

/* Where in the source something was made; static storage. */
struct cosy_site_ {
    const char *name; /* of the function that is called */
    const char *file, *func;
    unsigned line;
    uint8_t result; /* how the result register is read: bytes, + 16 when signed; 0: void */
    uint8_t capture; /* what must be kept of the registers: 0 nothing, 1 integers, 2 any two arguments, 3 everything, 4
                      * up to three
                      integers */
};

typedef void (*cosy_fn_)(void);

#define COSY_CAT_2_(a, b) a##b
#define COSY_CAT_(a, b) COSY_CAT_2_(a, b)

/* How many arguments follow the function: 0 to 10. */
#define COSY_NARG_(...) COSY_NARG_2_(__VA_ARGS__, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, )
#define COSY_NARG_2_(f, a, b, c, d, e, g, h, i, j, k, n, ...) n

#define COSY_BYTES_(x) (sizeof(COSY_RVALUE_(x)) + 7) / 8 * 8 /* an array is passed as a pointer */
#define COSY_SUM_1_(a) COSY_BYTES_(a)
#define COSY_SUM_2_(a, ...) COSY_BYTES_(a) + COSY_SUM_1_(__VA_ARGS__)
#define COSY_SUM_3_(a, ...) COSY_BYTES_(a) + COSY_SUM_2_(__VA_ARGS__)
#define COSY_SUM_4_(a, ...) COSY_BYTES_(a) + COSY_SUM_3_(__VA_ARGS__)
#define COSY_SUM_5_(a, ...) COSY_BYTES_(a) + COSY_SUM_4_(__VA_ARGS__)
#define COSY_SUM_6_(a, ...) COSY_BYTES_(a) + COSY_SUM_5_(__VA_ARGS__)
#define COSY_SUM_7_(a, ...) COSY_BYTES_(a) + COSY_SUM_6_(__VA_ARGS__)
#define COSY_SUM_8_(a, ...) COSY_BYTES_(a) + COSY_SUM_7_(__VA_ARGS__)
#define COSY_SUM_9_(a, ...) COSY_BYTES_(a) + COSY_SUM_8_(__VA_ARGS__)
#define COSY_SUM_10_(a, ...) COSY_BYTES_(a) + COSY_SUM_9_(__VA_ARGS__)

#define COSY_RESULT_CODE_(T)                                                                                   \
    _Generic((T *)0, void *: 0, signed char *: 17, short *: 18, int *: 20, long *: 24, long long *: 24,        \
             char *: ((char)-1 < 0 ? 17 : 1), _Bool *: 1, unsigned char *: 1, unsigned short *: 2,             \
             unsigned *: 4, unsigned long *: 8, unsigned long long *: 8, default: 99)

/* True when fn takes exactly these argument types: then nothing is converted, and all-integer arguments need integer
 * registers only. The comma turns arrays and functions into pointers, as a call does. */
#define COSY_RVALUE_(x) __typeof__((void)0, (x))
#define COSY_TYPES_0_() void
#define COSY_TYPES_1_(a) COSY_RVALUE_(a)
#define COSY_TYPES_2_(a, ...) COSY_RVALUE_(a), COSY_TYPES_1_(__VA_ARGS__)
#define COSY_TYPES_3_(a, ...) COSY_RVALUE_(a), COSY_TYPES_2_(__VA_ARGS__)
#define COSY_TYPES_4_(a, ...) COSY_RVALUE_(a), COSY_TYPES_3_(__VA_ARGS__)
#define COSY_TYPES_5_(a, ...) COSY_RVALUE_(a), COSY_TYPES_4_(__VA_ARGS__)
#define COSY_TYPES_6_(a, ...) COSY_RVALUE_(a), COSY_TYPES_5_(__VA_ARGS__)
#define COSY_IS_WORD_(x)                                                                                               \
    (sizeof(COSY_RVALUE_(x)) <= 8 && __builtin_classify_type(x) != 8 && __builtin_classify_type(x) < 9)
#define COSY_WORDS_1_(a) COSY_IS_WORD_(a)
#define COSY_WORDS_2_(a, ...) COSY_IS_WORD_(a) && COSY_WORDS_1_(__VA_ARGS__)
#define COSY_WORDS_3_(a, ...) COSY_IS_WORD_(a) && COSY_WORDS_2_(__VA_ARGS__)
#define COSY_WORDS_4_(a, ...) COSY_IS_WORD_(a) && COSY_WORDS_3_(__VA_ARGS__)
#define COSY_WORDS_5_(a, ...) COSY_IS_WORD_(a) && COSY_WORDS_4_(__VA_ARGS__)
#define COSY_WORDS_6_(a, ...) COSY_IS_WORD_(a) && COSY_WORDS_5_(__VA_ARGS__)
#define COSY_INTEGERS_(fn, R, n, ...)                                                                          \
    (COSY_CAT_(COSY_CAT_(COSY_WORDS_, n), _)(__VA_ARGS__) &&                                                   \
     __builtin_types_compatible_p(__typeof__(*&*(fn)), R(COSY_CAT_(COSY_CAT_(COSY_TYPES_, n), _)(__VA_ARGS__))))
#define COSY_CAPTURE_KIND_0_(fn, R, sum, ...) 0
#define COSY_CAPTURE_KIND_1_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 1, __VA_ARGS__) ? 4 : (sum) > 8 ? 3 : 2)
#define COSY_CAPTURE_KIND_2_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 2, __VA_ARGS__) ? 4 : (sum) > 16 ? 3 : 2)
#define COSY_CAPTURE_KIND_3_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 3, __VA_ARGS__) ? 4 : 3)
#define COSY_CAPTURE_KIND_4_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 4, __VA_ARGS__) ? 1 : 3)
#define COSY_CAPTURE_KIND_5_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 5, __VA_ARGS__) ? 1 : 3)
#define COSY_CAPTURE_KIND_6_(fn, R, sum, ...) (COSY_INTEGERS_(fn, R, 6, __VA_ARGS__) ? 1 : 3)
#define COSY_CAPTURE_KIND_7_(fn, R, sum, ...) 3
#define COSY_CAPTURE_KIND_8_(fn, R, sum, ...) 3
#define COSY_CAPTURE_KIND_9_(fn, R, sum, ...) 3
#define COSY_CAPTURE_KIND_10_(fn, R, sum, ...) 3

#if defined(__aarch64__)
#define COSY_ARGUMENTS_FIT_(n, sum) ((sum) <= 128 && ((n) > 8 || (sum) <= 16 * (n)))
#else
#define COSY_ARGUMENTS_FIT_(n, sum) ((sum) <= 128)
#endif

/* A pointer to the static description of this call. */
#define COSY_SITE_(fn, n, sum, ...) COSY_SITE_2_(fn, n, sum, COSY_CAT_(cosy_t_, __COUNTER__), __VA_ARGS__)
#define COSY_SITE_2_(fn, n, sum, T, ...)                                                                       \
    __extension__({                                                                                            \
        typedef __typeof__((fn)(__VA_ARGS__)) T;                                                               \
        _Static_assert(COSY_RESULT_CODE_(T) != 99, "cosy: an async function returns an integer or void");      \
        _Static_assert(COSY_ARGUMENTS_FIT_(n, sum), "cosy: too many bytes of arguments; pass a pointer");      \
        static const struct cosy_site_ COSY_CAT_(T, s) = {                                                     \
            #fn, __FILE__, __func__, __LINE__, COSY_RESULT_CODE_(T),                                           \
            COSY_CAT_(COSY_CAT_(COSY_CAPTURE_KIND_, n), _)(fn, T, sum, __VA_ARGS__)};                          \
        &COSY_CAT_(T, s);                                                                                      \
    })

/* The captured call itself. The frame address tells this call from those that its arguments make, and gives the calling
 * function a frame pointer, by which the stub finds it again. An expression, so that compound literals among the
 * arguments live as long as the caller's block. */
#define COSY_CAPTURE_(fn, n, ...) (COSY_CAPTURED_(fn, n, __VA_ARGS__), cosy_captured_())
#define COSY_CAPTURED_(fn, n, ...)                                                                             \
    ((void)((__typeof__(&*(fn)))cosy_capture_begin_(                                                           \
         COSY_SITE_(fn, n, COSY_CAT_(COSY_CAT_(COSY_SUM_, n), _)(__VA_ARGS__), __VA_ARGS__),                   \
         (cosy_fn_)(fn), __builtin_frame_address(0)))(__VA_ARGS__))

#define COSY_CALL_0_(fn) cosy_call_plain_(COSY_SITE_(fn, 0, 0, ), (cosy_fn_)(fn))
#define COSY_CALL_1_(fn, ...) COSY_CAPTURE_(fn, 1, __VA_ARGS__)
#define COSY_CALL_2_(fn, ...) COSY_CAPTURE_(fn, 2, __VA_ARGS__)
#define COSY_CALL_3_(fn, ...) COSY_CAPTURE_(fn, 3, __VA_ARGS__)
#define COSY_CALL_4_(fn, ...) COSY_CAPTURE_(fn, 4, __VA_ARGS__)
#define COSY_CALL_5_(fn, ...) COSY_CAPTURE_(fn, 5, __VA_ARGS__)
#define COSY_CALL_6_(fn, ...) COSY_CAPTURE_(fn, 6, __VA_ARGS__)
#define COSY_CALL_7_(fn, ...) COSY_CAPTURE_(fn, 7, __VA_ARGS__)
#define COSY_CALL_8_(fn, ...) COSY_CAPTURE_(fn, 8, __VA_ARGS__)
#define COSY_CALL_9_(fn, ...) COSY_CAPTURE_(fn, 9, __VA_ARGS__)
#define COSY_CALL_10_(fn, ...) COSY_CAPTURE_(fn, 10, __VA_ARGS__)
#define COSY_CALL_N_(n, ...) COSY_CAT_(COSY_CAT_(COSY_CALL_, n), _)(__VA_ARGS__)

/* ({...}) around an options list: (.name = "x") -> .name = "x" */
#define COSY_UNWRAP_(...) __VA_ARGS__

#ifdef __cplusplus
extern "C" {
#endif

cosy_must_use struct cosy_coro *cosy_call_plain_(const struct cosy_site_ *site, cosy_fn_ fn);
cosy_fn_ cosy_capture_begin_(const struct cosy_site_ *site, cosy_fn_ fn, void *frame);
cosy_must_use struct cosy_coro *cosy_captured_(void);

#ifdef __cplusplus
}
#endif
#endif
