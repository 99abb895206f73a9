/* awaited.c - what the calls that wait for several things share. */
#include "awaited.h"

int cosy_awaited_refuse(const struct cosy_awaited_list *list, int error)
{
    for (size_t i = 0; i < list->count; i++) {
        struct cosy_awaited_ item = cosy_awaited_at(list, i);
        if (item.kind == COSY_AWAITED_CORO)
            cosy_coro_close(item.what);
    }
    return error;
}

int cosy_awaited_check(struct cosy_task *me, struct cosy_future *future, const char *call)
{
    if (future == &me->future)
        return cosy_fail(COSY_ESELF, "%s: task '%s' (%s) cannot wait for itself", call, cosy_task_name(me),
                         me->site->name);
    if (future->loop == me->future.loop)
        return 0;
    return cosy_fail(COSY_EOTHERLOOP, "%s: task '%s' (%s) waits for %s '%s' that is attached to a different loop", call,
                     cosy_task_name(me), me->site->name, cosy_is_task(future) ? "task" : "a future",
                     cosy_is_task(future) ? cosy_task_name(cosy_as_task(future)) : "");
}

cosy_ns cosy_moment_in(struct cosy_loop *loop, cosy_ns delay)
{
    cosy_ns when;
    if (delay == COSY_NEVER || __builtin_add_overflow(loop->sys->ops->now(loop->sys), delay, &when))
        return COSY_NEVER;
    return when;
}
