/* rate.c - a leaky bucket, kept as one moment: when it will be empty.
 *
 * Taking an amount moves that moment by amount * period / max_rate; the bucket is full when the moment lies a period
 * ahead. So nothing has to leak step by step, and with the fraction of a nanosecond kept as a remainder no sum is ever
 * rounded.
 *
 * Invariants
 *  - While tasks wait, the timer is armed for the moment at which the first of them can be served, or for an earlier
 * one.
 *  - A share is taken for a waiter by whoever wakes it (granted); a cancel that comes later gives it back.
 */
#include <cosy/rate.h>

#include "../sync/waiters.h"

_Static_assert(offsetof(cosy_rate_limiter, fired_) - offsetof(cosy_rate_limiter, timed_) ==
                   offsetof(struct cosy_timed_wait, fired),
               "the limiter's timer is a timed wait");
_Static_assert(sizeof(((cosy_rate_limiter *)0)->line_) == sizeof(struct cosy_line), "the limiter's line is a line");

static const cosy_ns longest_period = COSY_NEVER / 4; /* so that no sum of moments overflows */

struct rate_wait {
    struct cosy_waiter waiter;
    cosy_rate_limiter *limiter;
    int64_t amount;
    bool granted;
};

static struct cosy_line *line_of(const cosy_rate_limiter *limiter)
{
    return (struct cosy_line *)(void *)&limiter->line_;
}

static struct cosy_timed_wait *timed_of(cosy_rate_limiter *limiter)
{
    return (struct cosy_timed_wait *)(void *)&limiter->timed_;
}

static struct rate_wait *rate_wait_of(struct cosy_waiter *waiter)
{
    return container_of(waiter, struct rate_wait, waiter);
}

static struct rate_wait *head_of(const cosy_rate_limiter *limiter)
{
    struct cosy_waiter *first = line_of(limiter)->first;
    return first ? rate_wait_of(first) : NULL;
}

static cosy_ns clock_of(const struct cosy_loop *loop)
{
    return loop ? loop->sys->ops->now(loop->sys) : cosy_sys_real_clock();
}

/* ---- the bucket ---- */

struct moment {
    cosy_ns ns;
    int64_t part; /* of a nanosecond, in units of 1 / max_rate */
};

/* When the bucket is empty, seen from now. One that seems to be more than full comes from a loop with another clock: it
 * counts as full. */
static struct moment emptiness(const cosy_rate_limiter *limiter, cosy_ns now)
{
    if (limiter->empty_at_ < now)
        return (struct moment){now, 0};
    if (limiter->empty_at_ > now + limiter->period)
        return (struct moment){now + limiter->period, 0};
    return (struct moment){limiter->empty_at_, limiter->part_};
}

/* The moment moved by an amount, which may be negative. */
static struct moment moved(const cosy_rate_limiter *limiter, struct moment from, int64_t amount)
{
    __int128 shift = (__int128)amount * limiter->period + from.part;
    int64_t part = (int64_t)(shift % limiter->max_rate);
    if (part < 0)
        part += limiter->max_rate;
    return (struct moment){from.ns + (cosy_ns)((shift - part) / limiter->max_rate), part};
}

/* When the bucket has room for an amount, if nothing else is taken. */
static cosy_ns ready_at(const cosy_rate_limiter *limiter, int64_t amount, cosy_ns now)
{
    struct moment full = moved(limiter, emptiness(limiter, now), amount);
    return full.ns - limiter->period + (full.part > 0);
}

static void set_empty_at(cosy_rate_limiter *limiter, struct moment empty)
{
    limiter->empty_at_ = empty.ns;
    limiter->part_ = empty.part;
}

static void take(cosy_rate_limiter *limiter, int64_t amount, cosy_ns now)
{
    set_empty_at(limiter, moved(limiter, emptiness(limiter, now), amount));
    limiter->acquired_ += (uint64_t)amount;
}

static void give_back(cosy_rate_limiter *limiter, int64_t amount)
{
    set_empty_at(limiter, moved(limiter, (struct moment){limiter->empty_at_, limiter->part_}, -amount));
    limiter->acquired_ -= (uint64_t)amount;
}

/* ---- the line ---- */

static void fired(struct cosy_timed_wait *timed);

static void disarm(cosy_rate_limiter *limiter, struct cosy_loop *loop)
{
    if (limiter->armed_)
        cosy_timed_wait_disarm(loop, timed_of(limiter));
    limiter->armed_ = false;
}

static int arm(cosy_rate_limiter *limiter, struct cosy_loop *loop, cosy_ns when)
{
    disarm(limiter, loop);
    timed_of(limiter)->fired = fired;
    int result = cosy_timed_wait_arm(loop, timed_of(limiter), when);
    limiter->armed_ = result == 0;
    return result;
}

/* Serves the first in line as far as the rate allows, and sets the timer for the next. Who cannot have a timer cannot
 * wait. */
static void serve(cosy_rate_limiter *limiter, struct cosy_loop *loop)
{
    cosy_ns now = clock_of(loop);
    struct rate_wait *head;
    while ((head = head_of(limiter))) {
        cosy_ns when = ready_at(limiter, head->amount, now);
        int result = 0;
        if (when <= now) {
            take(limiter, head->amount, now);
            head->granted = true;
        } else {
            result = arm(limiter, loop, when);
            if (result == 0)
                return;
        }
        cosy_waiter_wake(&head->waiter, result);
    }
    disarm(limiter, loop);
}

static void fired(struct cosy_timed_wait *timed)
{
    cosy_rate_limiter *limiter = container_of(timed, cosy_rate_limiter, timed_);
    limiter->armed_ = false;
    struct rate_wait *head = head_of(limiter);
    if (head)
        serve(limiter, head->waiter.task->future.loop);
}

static struct rate_wait *wait_of(struct cosy_wait *wait)
{
    return rate_wait_of(container_of(wait, struct cosy_waiter, wait));
}

static bool rate_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct rate_wait *self = wait_of(wait);
    bool was_first = head_of(self->limiter) == self;
    cosy_waiter_abandon(wait);
    if (was_first)
        serve(self->limiter, task->future.loop);
    return false;
}

/* Nobody is served any more in a loop that closes. */
static void rate_abandon(struct cosy_wait *wait)
{
    struct rate_wait *self = wait_of(wait);
    cosy_waiter_abandon(wait);
    if (cosy_line_empty(line_of(self->limiter)))
        disarm(self->limiter, self->waiter.task->future.loop);
}

static cosy_ns rate_deadline(struct cosy_wait *wait)
{
    struct rate_wait *self = wait_of(wait);
    bool is_next = head_of(self->limiter) == self && self->limiter->armed_;
    return is_next ? timed_of(self->limiter)->timed.timer.when : COSY_NEVER;
}

static const struct cosy_wait_kind rate_kind = {
    .verb = "waits for a rate limiter", .cancel = rate_cancel, .deadline = rate_deadline, .abandon = rate_abandon};

/* Where a newcomer belongs: at the end or, if small ones come first, behind the last that is not larger. */
static void join(struct cosy_line *line, struct rate_wait *self, bool small_first)
{
    struct cosy_waiter *before = line->last;
    while (small_first && before && rate_wait_of(before)->amount > self->amount)
        before = before == line->first ? NULL : before->prev;
    if (before == line->last) {
        cosy_line_append(line, &self->waiter);
        return;
    }
    struct cosy_waiter *after = before ? before->next : line->first;
    self->waiter.line = line;
    self->waiter.prev = before;
    self->waiter.next = after;
    after->prev = &self->waiter;
    if (before)
        before->next = &self->waiter;
    else
        line->first = &self->waiter;
}

/* Whether nobody in line comes before an amount that is asked for now. */
static bool is_next(const cosy_rate_limiter *limiter, int64_t amount)
{
    const struct rate_wait *head = head_of(limiter);
    return !head || (limiter->small_first && head->amount > amount);
}

static int check(const cosy_rate_limiter *limiter, int64_t amount, const struct cosy_task *me)
{
    if (limiter->max_rate <= 0 || limiter->period <= 0 || limiter->period > longest_period)
        return cosy_fail(EINVAL,
                         "a rate limiter needs a max_rate and a period above 0: COSY_RATE_LIMITER(max_rate, period)");
    if (amount < 0)
        return cosy_fail(EINVAL, "an amount of %lld cannot be acquired", (long long)amount);
    if (amount > limiter->max_rate)
        return cosy_fail(COSY_ELIMIT, "an amount of %lld is more than the rate limiter's max_rate of %lld ever allows",
                         (long long)amount, (long long)limiter->max_rate);
    if (cosy_line_is_foreign(line_of(limiter), me))
        return cosy_fail(COSY_EOTHERLOOP, "tasks of another loop wait for this rate limiter");
    return 0;
}

int cosy_rate_limiter_acquire_amount(cosy_rate_limiter *limiter, int64_t amount)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_rate_limiter_acquire");
    int result = me ? check(limiter, amount, me) : -COSY_ENOTASK;
    if (result < 0)
        return result;
    struct cosy_loop *loop = me->future.loop;
    if (is_next(limiter, amount)) {
        cosy_ns now = clock_of(loop), when = ready_at(limiter, amount, now);
        set_empty_at(limiter, emptiness(limiter, now));
        if (when <= now) {
            take(limiter, amount, now); /* who is overtaken waits longer: its timer fires early, and is set again */
            return 0;
        }
        result = arm(limiter, loop, when);
        if (result < 0) {
            serve(limiter, loop); /* who would have been overtaken has no timer any more */
            return result;
        }
    }
    struct rate_wait self = {.waiter.wait.kind = &rate_kind, .waiter.task = me, .limiter = limiter, .amount = amount};
    limiter->delayed_++;
    join(line_of(limiter), &self, limiter->small_first);
    result = (int)cosy_park(me, &self.waiter.wait);
    if (result == -ECANCELED && self.granted) {
        give_back(limiter, amount);
        serve(limiter, loop);
    }
    return result;
}

int cosy_rate_limiter_acquire(cosy_rate_limiter *limiter)
{
    return cosy_rate_limiter_acquire_amount(limiter, 1);
}

bool cosy_rate_limiter_has_capacity(const cosy_rate_limiter *limiter, int64_t amount)
{
    cosy_ns now = clock_of(cosy_thread_.loop);
    return limiter->max_rate > 0 && amount <= limiter->max_rate && is_next(limiter, amount) &&
           ready_at(limiter, amount, now) <= now;
}

void cosy_rate_limiter_statistics(const cosy_rate_limiter *limiter, struct cosy_rate_limiter_statistics *ret_statistics)
{
    cosy_ns now = clock_of(cosy_thread_.loop);
    struct moment empty = emptiness(limiter, now);
    __int128 free = ((__int128)now + limiter->period - empty.ns) * limiter->max_rate - empty.part;
    *ret_statistics = (struct cosy_rate_limiter_statistics){
        .available = limiter->period > 0 ? (int64_t)(free / limiter->period) : 0,
        .waiting = cosy_line_length(line_of(limiter)),
        .acquired = limiter->acquired_,
        .delayed = limiter->delayed_,
    };
}
