/* timeout.c - limits in time, by cancelling the task and turning that cancel into -ETIMEDOUT on the way out.
 *
 * Whose cancel it was is told by counting, as asyncio does: the limit takes its own request back when it ends, and only if no more requests are
 * open than when it began was it alone. A request that was made before but not yet delivered at the beginning is not counted as
 * belonging to the outside, or else the limit would swallow it.
 */
#include <cosy/timeout.h>

#include "../task/task.h"

_Static_assert(offsetof(cosy_timeout, fired_) == offsetof(struct cosy_timed_wait, fired), "a timeout begins with a timed wait");

static struct cosy_timed_wait *timed_of(cosy_timeout *timeout) { return (struct cosy_timed_wait *)(void *)timeout; }

static void expire(struct cosy_timed_wait *timed)
{
    cosy_timeout *timeout = (cosy_timeout *)(void *)timed;
    timeout->state_ = COSY_TIMEOUT_EXPIRING;
    cosy_task_cancel_with(timeout->task_, "timeout");
}

static int arm(cosy_timeout *timeout, cosy_ns when)
{
    timeout->when_ = when;
    if (when == COSY_NEVER)
        return 0;
    return cosy_timed_wait_arm(timeout->task_->future.loop, timed_of(timeout), when);
}

int cosy_timeout_enter_at(cosy_timeout *timeout, cosy_ns when)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_timeout_enter");
    if (!me)
        return -COSY_ENOTASK;
    if (timeout->state_ != COSY_TIMEOUT_CREATED)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout can be entered only once");
    timeout->task_ = me;
    timed_of(timeout)->fired = expire;
    timeout->cancelling_ = me->cancels - (me->future.node.flags & FLAG_MUST_CANCEL ? 1 : 0);
    int result = arm(timeout, when);
    if (result == 0)
        timeout->state_ = COSY_TIMEOUT_ENTERED;
    return result;
}

int cosy_timeout_enter(cosy_timeout *timeout, cosy_ns delay)
{
    struct cosy_task *me = cosy_task_here();
    cosy_ns when = COSY_NEVER;
    if (me && delay != COSY_NEVER &&
        __builtin_add_overflow(me->future.loop->sys->ops->now(me->future.loop->sys), delay, &when))
        when = COSY_NEVER;
    return cosy_timeout_enter_at(timeout, when);
}

int cosy_timeout_exit(cosy_timeout *timeout, int result)
{
    if (timeout->state_ == COSY_TIMEOUT_ENTERED) {
        cosy_timed_wait_disarm(timeout->task_->future.loop, timed_of(timeout));
        timeout->state_ = COSY_TIMEOUT_EXITED;
        return result;
    }
    if (timeout->state_ != COSY_TIMEOUT_EXPIRING)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout that is not entered cannot be left");
    timeout->state_ = COSY_TIMEOUT_EXPIRED;
    bool ours_alone = cosy_task_uncancel(timeout->task_) <= timeout->cancelling_;
    if (result == -ECANCELED && ours_alone)
        return cosy_fail(ETIMEDOUT, "timed out");
    return result;
}

int cosy_timeout_reschedule(cosy_timeout *timeout, cosy_ns when)
{
    if (timeout->state_ != COSY_TIMEOUT_ENTERED)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout that is not entered, or expired, cannot be rescheduled");
    cosy_timed_wait_disarm(timeout->task_->future.loop, timed_of(timeout));
    return arm(timeout, when);
}

cosy_ns cosy_timeout_when(const cosy_timeout *timeout) { return timeout->when_; }

bool cosy_timeout_expired(const cosy_timeout *timeout)
{
    return timeout->state_ == COSY_TIMEOUT_EXPIRING || timeout->state_ == COSY_TIMEOUT_EXPIRED;
}

int cosy_timeout_block_open_(struct cosy_timeout_block_ *block, cosy_ns delay)
{
    int result = cosy_timeout_enter(&block->timeout, delay);
    if (result < 0)
        *block->err = result;
    return result == 0;
}

void cosy_timeout_block_close_(struct cosy_timeout_block_ *block)
{
    if (block->timeout.state_ != COSY_TIMEOUT_CREATED)
        *block->err = cosy_timeout_exit(&block->timeout, *block->err);
}

/* ---- wait_for ---- */

static int await_any(struct cosy_awaited_ what)
{
    switch (what.kind) {
    case COSY_AWAITED_CORO:
        return cosy_await_coro_(what.what);
    case COSY_AWAITED_TASK:
        return cosy_await_task_(what.what);
    default:
        return cosy_await_future_(what.what);
    }
}

/* No time at all: what is done counts, nothing is begun, what runs is cancelled and waited for. */
static int wait_no_time(struct cosy_awaited_ what)
{
    struct cosy_future *future = what.what;
    if (what.kind == COSY_AWAITED_CORO) {
        int error;
        if (!cosy_coro_take(what.what, &error))
            return error;
        cosy_coro_close(what.what);
        return cosy_fail(ETIMEDOUT, "timed out");
    }
    if (!future)
        return cosy_creation_error();
    if (!cosy_future_is_done(future) && cosy_future_cancel(future)) {
        int result = await_any(what);
        bool cancelled_itself = result == -ECANCELED && future->node.state == STATE_CANCELLED;
        return cancelled_itself ? cosy_fail(ETIMEDOUT, "timed out") : result;
    }
    return await_any(what);
}

int cosy_wait_for_(struct cosy_awaited_ what, cosy_ns limit)
{
    if (!cosy_task_or_complain("cosy_wait_for"))
        return -COSY_ENOTASK;
    if (limit <= 0)
        return wait_no_time(what);
    cosy_timeout timeout = {0};
    int result = cosy_timeout_enter(&timeout, limit);
    if (result < 0)
        return result;
    return cosy_timeout_exit(&timeout, await_any(what));
}
