/* cosy/with.h - cleanup that may wait, on every way out of a block: async with, and defer.
 *
 *     cosy_async static int session_enter(struct session *s);                 async def __aenter__(self):
 *     cosy_async static int session_exit(struct session *s, int result);      async def __aexit__(self, ...):
 *
 *     int err = 0;
 *     COSY_WITH (err, session, &s) {                                          async with s:
 *         cosy_check(err, query(&s));
 *     }
 *
 *     cosy_defer(close_session, &s);                                          AsyncExitStack.push_async_callback
 *
 * A context manager is any type with two ordinary functions, NAME_enter and NAME_exit: nothing is declared or
 * registered. Several:
 *
 *     COSY_WITH (err, session, &s)
 *         COSY_WITH (err, transaction, &t) { ... }                            async with s, t:
 *
 * Semantics: https://docs.python.org/3/reference/compound_stmts.html#the-async-with-statement.
 */
#ifndef COSY_WITH_H
#define COSY_WITH_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "colour.h"
#include "coro.h"
#include "timeout.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     COSY_WITH (err, name, manager) { ... }
 *
 * Calls `int name_enter(manager)`; when that fails, its error is in `err` (an int variable) and the block is left out.
 * After the block `int name_exit(manager, result)` is called on every way out: at its end, by break and cosy_check, by
 * return, goto and cosy_try, and when the task is cancelled inside. Both may suspend. `result` is what err is at the
 * end, or the code that cosy_try leaves with, else 0. exit returns 0 to leave it at that, true (1) to suppress an error
 * (err becomes 0), or an error of its own, which takes the place of the block's. A block that is left by return or
 * cosy_try keeps its return value: for what may be suppressed use cosy_check. A cancel that comes during the exit is
 * not lost. `manager` is a pointer, evaluated once. */
#define COSY_WITH(err, name, manager) COSY_WITH_(err, name, manager, COSY_CAT_(cosy_with_, __COUNTER__))
#define COSY_WITH_(result, name, object, W)                                                                    \
    for (struct cosy_with_ W __attribute__((cleanup(cosy_with_leave_))) =                                      \
             {.manager_ = (object), .err_ = &(result),                                                         \
              .guard_ = {.frame = __builtin_frame_address(0), .func = __func__},                               \
              .exit_ = COSY_WITH_EXIT_(name##_exit, object)};                                                  \
         cosy_with_opens_(&W) && cosy_with_entered_(&W, name##_enter((__typeof__(object))W.manager_));         \
         cosy_with_close_(&W))                                                                                 \
        for (W.once_ = true; W.once_; W.once_ = false)
/* Checked as a call would be: it takes this manager and an int, and returns an int. */
#define COSY_WITH_EXIT_(fn, object)                                                                            \
    (__extension__({                                                                                           \
        _Static_assert(__builtin_types_compatible_p(__typeof__((fn)((object), 0)), int),                       \
                       "cosy: the exit of a context manager returns int");                                     \
        (cosy_fn_)(fn);                                                                                        \
    }))
struct cosy_with_ {
    struct cosy_guard_ guard_;
    void *manager_;
    int *err_;
    cosy_fn_ exit_;
    int stage_; /* 0 new, 1 entered, 2 left */
    bool once_;
};
static inline bool cosy_with_opens_(struct cosy_with_ *with) { return with->stage_ == 0; }
bool cosy_with_entered_(struct cosy_with_ *with, int result);
cosy_async void cosy_with_close_(struct cosy_with_ *with);
cosy_async void cosy_with_leave_(struct cosy_with_ *with);

/*     cosy_defer(fn, args...);
 *
 * Calls fn(args...) when the enclosing block is left in any way; several in reverse order. The arguments are evaluated
 * and kept now, up to ten, checked as in any call. fn may suspend. Its error goes to the log; a cancel that it meets is
 * kept for the next wait. Where there is no memory to keep the call it cannot be made: that is logged, at once. A
 * declaration: not directly behind a label. */
#define cosy_defer(...)                                                                                        \
    struct cosy_deferred_ COSY_CAT_(cosy_deferred_, __COUNTER__)                                               \
        __attribute__((cleanup(cosy_deferred_run_), unused)) =                                                 \
        cosy_deferred_new_(cosy_call(__VA_ARGS__), COSY_PLACE_, #__VA_ARGS__)
struct cosy_deferred_ {
    cosy_coro *coro_;
    const struct cosy_place_ *place_;
    const char *text_;
};
struct cosy_deferred_ cosy_deferred_new_(cosy_coro *coro, const struct cosy_place_ *place, const char *text);
cosy_async void cosy_deferred_run_(struct cosy_deferred_ *deferred);

#ifdef __cplusplus
}
#endif
#endif
