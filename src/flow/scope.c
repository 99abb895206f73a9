/* scope.c - cancel scopes: a chain from the task's innermost scope outwards.
 *
 * A scope's cancel is a request like any other: it counts with the task (cosy_task_cancelling), so timeouts and groups
 * inside see that it is not their own, and is taken back when the scope is left. Requests that a shield holds back do
 * not count until it lets them go, so that limits inside the shield are alone with theirs.
 *
 * Invariants
 *  - task->scope and outer_ link the scopes that the task has entered and not left, innermost first.
 *  - held_ is zero but for shields that have not lapsed. A request is held by the outermost one between the task and
 * where the request comes from.
 *  - repeats_: FLAG_MUST_CANCEL stands only because this scope is sticky; every new request clears it.
 */
#include <cosy/scope.h>

#include "../task/task.h"

enum { CREATED, ENTERED, LEFT };

_Static_assert(offsetof(struct cosy_timed_, fired) == offsetof(struct cosy_timed_wait, fired) &&
                   sizeof(struct cosy_timed_) == sizeof(struct cosy_timed_wait),
               "the timers of a scope are timed waits");

static struct cosy_timed_wait *timed_of(struct cosy_timed_ *timed)
{
    return (struct cosy_timed_wait *)(void *)timed;
}

static cosy_ns clock_of(struct cosy_task *task)
{
    struct cosy_sys *sys = task->future.loop->sys;
    return sys->ops->now(sys);
}

static struct cosy_loop *loop_of(const cosy_scope *scope)
{
    return scope->task_->future.loop;
}

static bool shields(const cosy_scope *scope)
{
    return scope->shield && !scope->lapsed_;
}

/* ---- sticky scopes ---- */

/* The innermost sticky scope whose cancel reaches the task, or NULL. */
static cosy_scope *insisting(const struct cosy_task *task)
{
    for (cosy_scope *scope = task->scope; scope; scope = scope->outer_) {
        if (scope->sticky && scope->asked_)
            return scope;
        if (shields(scope))
            return NULL;
    }
    return NULL;
}

/* FLAG_MUST_CANCEL was used up, or nobody's any more: a sticky scope sets it again. */
static void insist(struct cosy_task *task)
{
    cosy_scope *scope = task->cancels > 0 ? insisting(task) : NULL;
    if (!scope || task->future.node.flags & FLAG_MUST_CANCEL)
        return;
    cosy_task_must_cancel(task);
    scope->repeats_ = true;
}

static bool repeats(const struct cosy_task *task)
{
    cosy_scope *scope = insisting(task);
    return scope && scope->repeats_;
}

/* ---- shields ---- */

static void new_request(struct cosy_task *task)
{
    for (cosy_scope *scope = task->scope; scope; scope = scope->outer_)
        scope->repeats_ = false;
}

static void lapse(struct cosy_timed_wait *bound);

/* The grace runs from the first cancel that meets the shield. Without room for the timer it is over: a cancel must not
 * wait for ever. */
static void begin_grace(cosy_scope *scope)
{
    cosy_ns when;
    if (!scope->grace || scope->bound_.fired)
        return;
    timed_of(&scope->bound_)->fired = lapse;
    if (__builtin_add_overflow(clock_of(scope->task_), scope->grace, &when))
        return;
    if (cosy_timed_wait_arm(loop_of(scope), timed_of(&scope->bound_), when) < 0)
        scope->lapsed_ = true;
}

/* The outermost shield within `inside` that a request from there meets; the grace of all of them begins. */
static cosy_scope *holder(struct cosy_task *task, const void *inside)
{
    cosy_scope *outermost = NULL;
    for (cosy_scope *scope = task->scope; scope && scope != inside; scope = scope->outer_) {
        if (!shields(scope))
            continue;
        begin_grace(scope);
        if (shields(scope))
            outermost = scope;
    }
    return outermost;
}

static bool hold(struct cosy_task *task, const void *inside)
{
    cosy_scope *shield = holder(task, inside);
    if (shield)
        shield->held_++;
    else
        new_request(task);
    return shield != NULL;
}

/* What a scope held goes on to the next shield, or to the task. */
static void let_go(struct cosy_task *task, cosy_scope *scope, const void *inside)
{
    unsigned count = scope->held_;
    scope->held_ = 0;
    cosy_scope *shield = count > 0 ? holder(task, inside) : NULL;
    if (shield)
        shield->held_ += count;
    else if (count > 0) {
        new_request(task);
        cosy_task_cancel_released(task, count);
    }
}

/* The grace is over. A cancel that had met the task before it entered the shield to clean up comes again. */
static void lapse(struct cosy_timed_wait *bound)
{
    cosy_scope *scope = (cosy_scope *)(void *)((char *)bound - offsetof(cosy_scope, bound_));
    struct cosy_task *task = scope->task_;
    bool again = scope->held_ == 0 && task->cancels > 0;
    scope->lapsed_ = true;
    let_go(task, scope, scope);
    if (again && !holder(task, scope))
        cosy_task_cancel_released(task, 0);
    insist(task);
}

static void take_back(struct cosy_task *task)
{
    cosy_scope *scope = task->scope;
    while (scope && !scope->held_)
        scope = scope->outer_;
    if (scope)
        scope->held_--;
}

__attribute__((constructor)) static void join_the_floor_of_tasks(void)
{
    cosy_cancel_hooks = (struct cosy_cancel_hooks){hold, insist, repeats, take_back};
}

/* ---- cancelling ---- */

static void ask(cosy_scope *scope)
{
    struct cosy_task *task = scope->task_;
    scope->asked_ = true;
    cosy_task_cancel_within(task, scope->by_deadline_ ? "the deadline of its scope" : "its scope was cancelled", scope);
    if (scope->sticky && insisting(task) == scope)
        cosy_task_must_cancel(task); /* with the wait that it ends now: it is used up there, and set again */
}

bool cosy_scope_cancel(cosy_scope *scope)
{
    if (!scope || scope->state_ == LEFT)
        return false;
    scope->cancel_called_ = true;
    if (scope->state_ == ENTERED && !scope->asked_)
        ask(scope);
    return true;
}

static void pass_deadline(struct cosy_timed_wait *limit)
{
    cosy_scope *scope = (cosy_scope *)(void *)((char *)limit - offsetof(cosy_scope, limit_));
    scope->by_deadline_ = !scope->asked_;
    cosy_scope_cancel(scope);
}

bool cosy_scope_cancel_called(const cosy_scope *scope)
{
    return scope->cancel_called_;
}

bool cosy_scope_cancelled_caught(const cosy_scope *scope)
{
    return scope->caught_;
}

/* ---- deadlines ---- */

cosy_ns cosy_scope_deadline(const cosy_scope *scope)
{
    return scope->deadline ? scope->deadline : COSY_NEVER;
}

static int arm(cosy_scope *scope)
{
    timed_of(&scope->limit_)->fired = pass_deadline;
    return scope->deadline == COSY_NEVER
               ? 0
               : cosy_timed_wait_arm(loop_of(scope), timed_of(&scope->limit_), scope->deadline);
}

int cosy_scope_set_deadline(cosy_scope *scope, cosy_ns when)
{
    if (scope->state_ == LEFT || scope->cancel_called_)
        return cosy_fail(COSY_EINVALIDSTATE, "the deadline of a scope that was %s cannot be moved",
                         scope->state_ == LEFT ? "left" : "cancelled");
    cosy_ns before = cosy_scope_deadline(scope);
    scope->deadline = when ? when : -1; /* zero says that there is none */
    if (scope->state_ == CREATED)
        return 0;
    cosy_timed_wait_disarm(loop_of(scope), timed_of(&scope->limit_));
    if (when <= clock_of(scope->task_)) {
        scope->by_deadline_ = true;
        cosy_scope_cancel(scope);
        return 0;
    }
    int result = arm(scope);
    if (result < 0) {
        scope->deadline = before;
        (void)arm(scope);
    }
    return result;
}

cosy_scope *cosy_current_scope(void)
{
    struct cosy_task *me = cosy_task_here();
    return me ? me->scope : NULL;
}

cosy_ns cosy_current_effective_deadline(void)
{
    cosy_ns earliest = COSY_NEVER;
    for (cosy_scope *scope = cosy_current_scope(); scope; scope = scope->outer_) {
        if (scope->asked_)
            return INT64_MIN;
        if (cosy_scope_deadline(scope) < earliest)
            earliest = cosy_scope_deadline(scope);
        if (shields(scope))
            break;
    }
    return earliest;
}

/* ---- entering and leaving ---- */

/* *ret_passed: at once, or before now. */
static void settle_deadline(cosy_scope *scope, bool *ret_passed)
{
    cosy_ns now;
    *ret_passed = false;
    if (scope->after == COSY_NEVER || (!scope->after && cosy_scope_deadline(scope) == COSY_NEVER)) {
        scope->deadline = COSY_NEVER;
        return;
    }
    now = clock_of(scope->task_);
    if (scope->after && __builtin_add_overflow(now, scope->after, &scope->deadline))
        scope->deadline = scope->after > 0 ? COSY_NEVER : INT64_MIN;
    *ret_passed = scope->deadline <= now;
    if (!scope->deadline)
        scope->deadline = -1;
}

/* A request that was made and not delivered yet waits outside the shield. The grace runs from here when the task is
 * being cancelled. */
static void shut_out(cosy_scope *scope, struct cosy_task *me)
{
    bool cancelled_outside = me->cancels > 0;
    if (me->future.node.flags & FLAG_MUST_CANCEL && me->cancels > 0) {
        me->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL;
        me->cancels--;
        scope->held_ = 1;
    }
    for (cosy_scope *outer = scope->outer_; outer; outer = outer->outer_)
        cancelled_outside |= outer->held_ > 0;
    if (cancelled_outside)
        begin_grace(scope);
    if (scope->lapsed_)
        let_go(me, scope, scope);
}

int cosy_scope_enter(cosy_scope *scope)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_scope_enter");
    if (!me)
        return -COSY_ENOTASK;
    if (scope->state_ != CREATED)
        return cosy_fail(COSY_EINVALIDSTATE, "a scope can be entered only once");
    bool passed;
    scope->task_ = me;
    settle_deadline(scope, &passed);
    int result = passed ? 0 : arm(scope);
    if (result < 0)
        return result;
    scope->state_ = ENTERED;
    scope->outer_ = me->scope;
    me->scope = scope;
    if (scope->shield)
        shut_out(scope, me);
    scope->cancelling_ = me->cancels - (me->future.node.flags & FLAG_MUST_CANCEL ? 1 : 0);
    if (passed && !scope->cancel_called_)
        scope->by_deadline_ = scope->cancel_called_ = true;
    if (scope->cancel_called_)
        ask(scope);
    return 0;
}

/* Takes it out of the chain, where it need not be the innermost: a coroutine driven by hand may have entered another.
 */
static bool unlink_scope(cosy_scope *scope, struct cosy_task *me)
{
    cosy_scope **link = &me->scope;
    while (*link && *link != scope)
        link = &(*link)->outer_;
    if (!*link)
        return false;
    *link = scope->outer_;
    return true;
}

/* Takes the scope's own request back. True when it was what cancelled the code, which came to -ECANCELED. */
static bool end_cancellation(cosy_scope *scope, struct cosy_task *me, int result)
{
    bool alone = cosy_task_uncancel(me) <= scope->cancelling_;
    if (result == -ECANCELED || scope->repeats_ || alone)
        me->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL; /* this scope's; another's is told by the result */
    return result == -ECANCELED && alone;
}

int cosy_scope_exit(cosy_scope *scope, int result)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_scope_exit");
    if (!me)
        return -COSY_ENOTASK;
    if (scope->state_ != ENTERED || scope->task_ != me || !unlink_scope(scope, me))
        return cosy_fail(COSY_EINVALIDSTATE, "a scope that the running task is not in cannot be left");
    scope->state_ = LEFT;
    cosy_timed_wait_disarm(me->future.loop, timed_of(&scope->limit_));
    cosy_timed_wait_disarm(me->future.loop, timed_of(&scope->bound_));
    scope->caught_ = scope->asked_ && end_cancellation(scope, me, result);
    let_go(me, scope, scope->outer_);
    insist(me);
    if (!scope->caught_)
        return result;
    return scope->fail && scope->by_deadline_ ? cosy_fail(ETIMEDOUT, "timed out") : 0;
}

/* ---- blocks ---- */

static cosy_scope *scope_of(struct cosy_scope_block_ *block)
{
    return block->given ? block->given : &block->own;
}

/* cosy_try leaves the block: what cosy_scope_exit would say, but that a cancel which ends with the scope cannot be made
 * good by a function that is left. */
static int foretell(struct cosy_guard_ *guard, int code, int *taken_back)
{
    const cosy_scope *scope = scope_of(container_of(guard, struct cosy_scope_block_, guard));
    if (!scope->asked_)
        return code;
    ++*taken_back;
    bool alone = scope->task_->cancels - *taken_back <= scope->cancelling_;
    return code == -ECANCELED && alone && scope->fail && scope->by_deadline_ ? cosy_fail(ETIMEDOUT, "timed out") : code;
}

int cosy_scope_block_open_(struct cosy_scope_block_ *block)
{
    int result = cosy_scope_enter(scope_of(block));
    *block->err = result;
    if (result < 0)
        return false;
    block->guard.leave = foretell;
    cosy_guard_open(&block->guard);
    return true;
}

void cosy_scope_block_close_(struct cosy_scope_block_ *block)
{
    if (!block->guard.leave)
        return; /* it was not entered */
    cosy_guard_close(&block->guard);
    *block->err = cosy_scope_exit(scope_of(block), *block->err);
}
