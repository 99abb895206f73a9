/* timeout.c - limits in time, by cancelling the task and turning that cancel into -ETIMEDOUT on the way out.
 *
 * Whose cancel it was is told by counting, as asyncio does: the limit takes its own request back when it ends, and only
 * if no more requests are open than when it began was it alone. A request that was made before but not yet delivered at
 * the beginning is not counted as belonging to the outside, or else the limit would swallow it.
 */
#include <cosy/timeout.h>

#include "../task/task.h"

_Static_assert(offsetof(cosy_timeout, fired_) == offsetof(struct cosy_timed_wait, fired),
               "a timeout begins with a timed wait");

static struct cosy_timed_wait *timed_of(cosy_timeout *timeout)
{
    return (struct cosy_timed_wait *)(void *)timeout;
}

static void expire(struct cosy_timed_wait *timed)
{
    cosy_timeout *timeout = (cosy_timeout *)(void *)timed;
    timeout->state_ = COSY_TIMEOUT_EXPIRING;
    cosy_task_cancel_within(timeout->task_, "timeout", timeout->scope_);
}

static cosy_ns clock_of(struct cosy_task *task)
{
    struct cosy_sys *sys = task->future.loop->sys;
    return sys->ops->now(sys);
}

static const char *state_text(const cosy_timeout *timeout)
{
    static const char *const texts[] = {[COSY_TIMEOUT_CREATED] = "has not been entered",
                                        [COSY_TIMEOUT_ENTERED] = "is active",
                                        [COSY_TIMEOUT_EXPIRING] = "is expiring",
                                        [COSY_TIMEOUT_EXPIRED] = "has expired",
                                        [COSY_TIMEOUT_EXITED] = "is finished"};
    return (unsigned)timeout->state_ < sizeof texts / sizeof *texts ? texts[timeout->state_] : "was not zeroed";
}

/* A deadline that has passed goes to the queue at once, so that even a wait of a single turn meets it. */
static int arm(cosy_timeout *timeout, cosy_ns when, bool passed)
{
    struct cosy_loop *loop = timeout->task_->future.loop;
    int result = 0;
    if (passed)
        cosy_timed_wait_soon(loop, timed_of(timeout));
    else if (when != COSY_NEVER)
        result = cosy_timed_wait_arm(loop, timed_of(timeout), when);
    if (result == 0)
        timeout->when_ = when;
    return result;
}

static int enter(cosy_timeout *timeout, struct cosy_task *me, cosy_ns when, bool passed)
{
    if (timeout->state_ != COSY_TIMEOUT_CREATED)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout can be entered only once; this one %s", state_text(timeout));
    timeout->task_ = me;
    timeout->scope_ = me->scope;
    timed_of(timeout)->fired = expire;
    timeout->cancelling_ = me->cancels - (me->future.node.flags & FLAG_MUST_CANCEL ? 1 : 0);
    int result = arm(timeout, when, passed);
    if (result == 0)
        timeout->state_ = COSY_TIMEOUT_ENTERED;
    return result;
}

int cosy_timeout_enter_at(cosy_timeout *timeout, cosy_ns when)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_timeout_enter_at");
    return me ? enter(timeout, me, when, when != COSY_NEVER && when <= clock_of(me)) : -COSY_ENOTASK;
}

int cosy_timeout_enter(cosy_timeout *timeout, cosy_ns delay)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_timeout_enter");
    cosy_ns when;
    if (!me)
        return -COSY_ENOTASK;
    if (delay == COSY_NEVER || __builtin_add_overflow(clock_of(me), delay, &when))
        when = COSY_NEVER;
    return enter(timeout, me, when, delay <= 0);
}

int cosy_timeout_exit(cosy_timeout *timeout, int result)
{
    if (timeout->state_ == COSY_TIMEOUT_ENTERED) {
        cosy_timed_wait_disarm(timeout->task_->future.loop, timed_of(timeout));
        timeout->state_ = COSY_TIMEOUT_EXITED;
        return result;
    }
    if (timeout->state_ != COSY_TIMEOUT_EXPIRING)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout that %s cannot be left", state_text(timeout));
    timeout->state_ = COSY_TIMEOUT_EXPIRED;
    bool ours_alone = cosy_task_uncancel(timeout->task_) <= timeout->cancelling_;
    if (result == -ECANCELED && ours_alone)
        return cosy_fail(ETIMEDOUT, "timed out");
    return result;
}

int cosy_timeout_reschedule(cosy_timeout *timeout, cosy_ns when)
{
    if (timeout->state_ != COSY_TIMEOUT_ENTERED)
        return cosy_fail(COSY_EINVALIDSTATE, "a timeout that %s cannot be rescheduled", state_text(timeout));
    cosy_ns before = timeout->when_;
    cosy_timed_wait_disarm(timeout->task_->future.loop, timed_of(timeout));
    int result = arm(timeout, when, when != COSY_NEVER && when <= clock_of(timeout->task_));
    if (result < 0)
        (void)arm(timeout, before, false); /* better the old limit than none */
    return result;
}

cosy_ns cosy_timeout_when(const cosy_timeout *timeout)
{
    return timeout->when_;
}

bool cosy_timeout_expired(const cosy_timeout *timeout)
{
    return timeout->state_ == COSY_TIMEOUT_EXPIRING || timeout->state_ == COSY_TIMEOUT_EXPIRED;
}

/* cosy_try leaves the block: what cosy_timeout_exit would say. */
static int foretell(struct cosy_guard_ *guard, int code, int *taken_back)
{
    const cosy_timeout *timeout = &container_of(guard, struct cosy_timeout_block_, guard)->timeout;
    if (timeout->state_ != COSY_TIMEOUT_EXPIRING)
        return code;
    ++*taken_back;
    bool ours_alone = timeout->task_->cancels - *taken_back <= timeout->cancelling_;
    return code == -ECANCELED && ours_alone ? cosy_fail(ETIMEDOUT, "timed out") : code;
}

static bool block_open(struct cosy_timeout_block_ *block, int entered)
{
    *block->err = entered;
    if (entered < 0)
        return false;
    block->guard.leave = foretell;
    cosy_guard_open(&block->guard);
    return true;
}

int cosy_timeout_block_open_(struct cosy_timeout_block_ *block, cosy_ns delay)
{
    return block_open(block, cosy_timeout_enter(&block->timeout, delay));
}

int cosy_timeout_block_open_at_(struct cosy_timeout_block_ *block, cosy_ns when)
{
    return block_open(block, cosy_timeout_enter_at(&block->timeout, when));
}

void cosy_timeout_block_close_(struct cosy_timeout_block_ *block)
{
    if (!block->guard.leave)
        return; /* it was not entered */
    cosy_guard_close(&block->guard);
    *block->err = cosy_timeout_exit(&block->timeout, *block->err);
}

/* ---- wait_for ---- */

cosy_async static int await_any(struct cosy_awaited_ what)
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

/* Until something is done; unlike in cosy_await, a cancel ends the wait at once and is not passed on. */
struct end_wait {
    struct cosy_wait wait;
    struct cosy_observer observer;
    struct cosy_future *future;
};

static struct end_wait *end_of(struct cosy_wait *wait)
{
    return container_of(wait, struct end_wait, wait);
}

static void end_abandon(struct cosy_wait *wait)
{
    cosy_unobserve(&end_of(wait)->observer);
}

static bool end_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    end_abandon(wait);
    return false;
}

static struct cosy_future *end_future(struct cosy_wait *wait)
{
    return end_of(wait)->future;
}

static const struct cosy_wait_kind end_kind = {
    .verb = "waits for the end of", .cancel = end_cancel, .future = end_future, .abandon = end_abandon};

static int cancel_and_wait(struct cosy_task *me, struct cosy_future *future)
{
    struct end_wait end = {.wait.kind = &end_kind, .observer.task = me, .future = cosy_future_ref(future)};
    int64_t woken = 0;
    cosy_future_cancel(future);
    if (!cosy_future_is_done(future)) {
        cosy_observe(future, &end.observer);
        woken = cosy_park(me, &end.wait);
    }
    int result = woken < 0 ? (int)woken : cosy_future_outcome(future);
    bool timed_out = woken == 0 && result == -ECANCELED;
    cosy_future_drop(future);
    return timed_out ? cosy_fail(ETIMEDOUT, "timed out") : result;
}

/* No time at all: what is done counts, nothing is begun, what runs is cancelled and waited for. */
cosy_async static int wait_no_time(struct cosy_task *me, struct cosy_awaited_ what)
{
    if (what.kind == COSY_AWAITED_CORO) {
        int error;
        if (!cosy_coro_take(what.what, &error))
            return await_any(what);
        cosy_coro_close(what.what);
        return cosy_fail(ETIMEDOUT, "timed out");
    }
    struct cosy_future *future = what.what;
    bool usable = future && future != &me->future && future->loop == me->future.loop;
    if (!usable || cosy_future_is_done(future))
        return await_any(what); /* which also tells what is wrong with it */
    return cancel_and_wait(me, future);
}

int cosy_wait_for_(struct cosy_awaited_ what, cosy_ns limit)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_wait_for");
    if (me && limit <= 0)
        return wait_no_time(me, what);
    cosy_timeout timeout = {0};
    int result = me ? cosy_timeout_enter(&timeout, limit) : -COSY_ENOTASK;
    if (result < 0) {
        if (what.kind == COSY_AWAITED_CORO)
            cosy_coro_close(what.what);
        return result;
    }
    return cosy_timeout_exit(&timeout, await_any(what));
}
