/* cosy/trace.h - errors with a message and an async traceback; the tree of live tasks.
 *
 *     return cosy_fail(EINVAL, "no user %d", id);      fail with a message: it stays with the task
 *     cosy_try(fetch_user(7, &user));                  pass a failure on, and note this place in its traceback
 *
 * Frames are named (in the task tree, and where coroutines are made in debug mode) from debug information. The file of
 * the program, and of each library that a frame lay in, stays open for that, close-on-exec, until the process ends.
 *
 * An error crosses tasks with its message and the places that it passed: whoever awaits the failed task goes on with
 * them. None of the calls here suspends. Semantics: Python's exceptions and tracebacks; places are noted as by Zig's
 * `try`.
 */
#ifndef COSY_TRACE_H
#define COSY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "colour.h"
#include "err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A place in the source; static storage. */
struct cosy_place_ {
    const char *file, *func;
    unsigned line;
};
#define COSY_PLACE_                                                                                            \
    __extension__({                                                                                            \
        static const struct cosy_place_ cosy_place_here_ = {__FILE__, __func__, __LINE__};                     \
        &cosy_place_here_;                                                                                     \
    })

/*     int cosy_fail(int code, const char *format, ...);
 *
 * Fails with a positive code and a printf-style message, kept with the running task (or the thread, outside tasks)
 * until the next failure. The value is -code: `return cosy_fail(EINVAL, ...)`. Costs an allocation; without memory the
 * message is lost. */
#define cosy_fail(code, ...) cosy_fail_(COSY_PLACE_, (code), __VA_ARGS__)
int cosy_fail_(const struct cosy_place_ *place, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/*     cosy_try(call)
 *
 * Evaluates a call; a negative result is returned from the enclosing function, with this place noted. Else its
 * value. */
#define cosy_try(call) COSY_TRY_(call, COSY_CAT_TRY_(cosy_try_, __COUNTER__))
#define COSY_CAT_TRY_(a, b) COSY_CAT_TRY_2_(a, b)
#define COSY_CAT_TRY_2_(a, b) a##b
#define COSY_TRY_(call, R)                                                                                     \
    __extension__({                                                                                            \
        __auto_type R = (call);                                                                                \
        if (__builtin_expect(R < 0, 0))                                                                        \
            return cosy_left_(COSY_PLACE_, (int)R);                                                            \
        R;                                                                                                     \
    })
int cosy_traced_(const struct cosy_place_ *place, int code) __attribute__((cold));
int cosy_left_(const struct cosy_place_ *place, int code) __attribute__((cold));

/* A block that is told the code with which cosy_try leaves it (with.h), and may turn it into another (timeout.h,
 * scope.h). */
struct cosy_guard_ {
    struct cosy_guard_ *next, **place;
    const void *frame; /* of its function */
    const char *func;
    int (*leave)(struct cosy_guard_ *guard, int code, int *taken_back); /* NULL: the code goes on as it is */
    int code;
};

/* The message of the latest failure here with this (negative) code, "" when it had none. Valid until the next
 * failure. */
const char *cosy_error_message(int code);

/* Writes the async traceback and the message of the latest failure here with this (negative) code, "EINVAL: no user 7",
 * as an unhandled error is shown. Any stack size: it runs on the loop's stack. */
void cosy_print_error(FILE *stream, int code);

/* Writes the tree of this thread's live tasks: name, state, what each waits for and where (file:line of each frame),
 * since when, who started it and who awaits it. */
void cosy_print_tasks(FILE *stream);

/* Writes how much stack the tasks of each creation site used at most, deepest first: those of this thread that ran in
 * debug mode and ended, none while a sanitizer or valgrind watches. It tells which .stack_size would do. */
void cosy_print_stack_use(FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
