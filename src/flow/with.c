/* with.c - async with, and defer: what a block owes when it is left.
 *
 * The way out is told by where the call comes from: the end of the block, break and cosy_check leave the inner loop of COSY_WITH and reach
 * the outer one's step, all else the clean-up handler. There the block's own outcome is known only to cosy_try, which noted it just before.
 */
#include <cosy/with.h>

#include <cosy/log.h>

#include "../task/task.h"

enum { NEW, ENTERED, LEFT };

/* Called by a type that is its own but for the manager's pointer: known to be harmless on every ABI here. */
#if defined(__clang__)
#define ANY_POINTER __attribute__((no_sanitize("function")))
#else
#define ANY_POINTER
#endif

ANY_POINTER static int call_exit(struct cosy_with_ *with, int result)
{
    int (*exit)(void *, int) = (int (*)(void *, int))with->exit_;
    with->stage_ = LEFT;
    cosy_guard_close(&with->guard_);
    return exit(with->manager_, result);
}

bool cosy_with_entered_(struct cosy_with_ *with, int result)
{
    with->stage_ = result < 0 ? LEFT : ENTERED;
    if (result >= 0)
        cosy_guard_open(&with->guard_);
    *with->err_ = result < 0 ? result : 0;
    return result >= 0;
}

void cosy_with_close_(struct cosy_with_ *with)
{
    if (with->stage_ != ENTERED)
        return;
    int result = call_exit(with, *with->err_);
    if (result < 0)
        *with->err_ = result;
    else if (result > 0 && *with->err_ < 0)
        *with->err_ = 0;
}

static void tell(const char *what, const char *where, int result)
{
    struct cosy_task *me = cosy_task_here();
    if (result == -ECANCELED && me)
        cosy_task_keep_cancel(me);
    else if (result < 0)
        cosy_log(COSY_LOG_ERROR, "cosy: %s %s came to %s: %s", what, where, cosy_errname(result),
                 *cosy_error_message(result) ? cosy_error_message(result) : cosy_strerror(result));
}

void cosy_with_leave_(struct cosy_with_ *with)
{
    if (with->stage_ != ENTERED)
        return;
    int code = with->guard_.code;
    int result = call_exit(with, code ? code : *with->err_);
    if (result != code)
        tell("the exit of a context manager, left by return in", with->guard_.func, result);
}

/* ---- defer ---- */

struct cosy_deferred_ cosy_deferred_new_(cosy_coro *coro, const struct cosy_place_ *place, const char *text)
{
    if (!coro)
        cosy_log(COSY_LOG_ERROR, "cosy: no memory to keep the deferred call (%s) of %s:%u: it will not be made", text, place->file,
                 place->line);
    return (struct cosy_deferred_){coro, place, text};
}

void cosy_deferred_run_(struct cosy_deferred_ *deferred)
{
    cosy_coro *coro = deferred->coro_;
    deferred->coro_ = NULL;
    if (!coro)
        return;
    int result = cosy_await(coro);
    tell("the deferred call of", deferred->place_->func, result);
}
