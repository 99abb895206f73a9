/* barrier.c - a line of tasks that wait for each other.
 *
 * Invariants
 *  - count_ is how many are inside: arrived, and not gone on yet. A cancelled one goes when it runs.
 *  - While the barrier fills, the line holds just those inside that are asleep. While it drains or is reset, those
 *    inside were woken and have not run yet, and the line holds those that came too late and stand outside. The last
 *    one to go makes it fill again and wakes them.
 *  - Those inside that are asleep stand in the order of their arrival, and get their indices when the barrier opens:
 *    given at arrival, one would be given twice after a cancel.
 *  - loop_ is valid while somebody is inside or in line.
 */
#include <cosy/barrier.h>

#include "home.h"

COSY_BEGINS_WITH_LINE(cosy_barrier);

enum { OUTSIDE = -1 };

/* A waiter and its place. */
struct seat {
    struct cosy_waiter waiter;
    cosy_barrier *barrier;
    int index;
};

static struct cosy_line *line_of(const cosy_barrier *barrier)
{
    return (struct cosy_line *)(uintptr_t)barrier;
}

static bool is_elsewhere(const cosy_barrier *barrier)
{
    return (barrier->count_ || barrier->first_) && cosy_home_is_elsewhere(barrier->loop_, line_of(barrier));
}

static bool is_closed_for_now(const cosy_barrier *barrier)
{
    return barrier->state_ == COSY_BARRIER_DRAINING || barrier->state_ == COSY_BARRIER_RESETTING;
}

/* The last one that goes opens it for the next round. */
static void leave(cosy_barrier *barrier)
{
    if (--barrier->count_ == 0 && is_closed_for_now(barrier))
        barrier->state_ = COSY_BARRIER_FILLING;
}

static void wake_all(cosy_barrier *barrier)
{
    while (barrier->first_)
        cosy_waiter_wake(barrier->first_, 0);
}

/* ---- the wait ---- */

static struct seat *seat_of(struct cosy_wait *wait)
{
    return container_of(wait, struct seat, waiter.wait);
}

static const char *seat_name(struct cosy_wait *wait)
{
    return seat_of(wait)->index == OUTSIDE ? "a barrier to drain" : "a barrier";
}

static void seat_abandon(struct cosy_wait *wait)
{
    cosy_waiter_abandon(wait);
    if (seat_of(wait)->index != OUTSIDE)
        leave(seat_of(wait)->barrier);
}

static const struct cosy_wait_kind barrier_kind = {
    .verb = "waits for", .cancel = cosy_waiter_cancel, .name = seat_name, .abandon = seat_abandon};

/* The last one is here; it does not sleep, and has the highest index. */
static void open_it(cosy_barrier *barrier, struct seat *last)
{
    int index = 0;
    barrier->state_ = COSY_BARRIER_DRAINING;
    last->index = barrier->parties_ - 1;
    for (struct cosy_waiter *waiter; (waiter = barrier->first_) != NULL; cosy_waiter_wake(waiter, 0))
        seat_of(&waiter->wait)->index = index++;
}

/* 0 when the task may come in. */
static int wait_outside(cosy_barrier *barrier, struct seat *seat, struct cosy_task *me)
{
    for (;;) {
        if (is_elsewhere(barrier))
            return cosy_home_fail("cosy_barrier_wait");
        if (!is_closed_for_now(barrier))
            break;
        int result = (int)cosy_line_wait(line_of(barrier), &seat->waiter, me);
        if (result < 0)
            return result;
    }
    if (barrier->state_ == COSY_BARRIER_BROKEN)
        return cosy_fail(COSY_EBROKENBARRIER, "the barrier was aborted");
    barrier->loop_ = me->future.loop;
    return 0;
}

static int wait_inside(cosy_barrier *barrier, struct seat *seat, struct cosy_task *me)
{
    seat->index = 0;
    if (++barrier->count_ == barrier->parties_) {
        open_it(barrier, seat);
        return 0;
    }
    int result = (int)cosy_line_wait(line_of(barrier), &seat->waiter, me);
    if (result >= 0 && barrier->state_ != COSY_BARRIER_DRAINING)
        return cosy_fail(COSY_EBROKENBARRIER, "the barrier was reset or aborted before all were through");
    return result;
}

int cosy_barrier_wait(cosy_barrier *barrier)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_barrier_wait");
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (barrier->parties_ < 1)
        return cosy_fail(EINVAL, "a barrier needs at least one party");
    struct seat seat = {.waiter.wait.kind = &barrier_kind, .barrier = barrier, .index = OUTSIDE};
    int result = wait_outside(barrier, &seat, me);
    if (result < 0)
        return result;
    result = wait_inside(barrier, &seat, me);
    leave(barrier);
    if (barrier->count_ == 0)
        wake_all(barrier);
    return result < 0 ? result : seat.index;
}

/* ---- from outside ---- */

int cosy_barrier_init(cosy_barrier *barrier, int parties)
{
    *barrier = (cosy_barrier)COSY_BARRIER(parties);
    return parties < 1 ? cosy_fail(EINVAL, "a barrier needs at least one party") : 0;
}

int cosy_barrier_reset(cosy_barrier *barrier)
{
    if (is_elsewhere(barrier))
        return cosy_home_fail("cosy_barrier_reset");
    barrier->state_ = barrier->count_ > 0 ? COSY_BARRIER_RESETTING : COSY_BARRIER_FILLING;
    wake_all(barrier);
    return 0;
}

int cosy_barrier_abort(cosy_barrier *barrier)
{
    if (is_elsewhere(barrier))
        return cosy_home_fail("cosy_barrier_abort");
    barrier->state_ = COSY_BARRIER_BROKEN;
    wake_all(barrier);
    return 0;
}

int cosy_barrier_parties(const cosy_barrier *barrier)
{
    return barrier->parties_;
}

int cosy_barrier_n_waiting(const cosy_barrier *barrier)
{
    return barrier->state_ == COSY_BARRIER_FILLING ? barrier->count_ : 0;
}

bool cosy_barrier_broken(const cosy_barrier *barrier)
{
    return barrier->state_ == COSY_BARRIER_BROKEN;
}

void cosy_barrier_statistics(const cosy_barrier *barrier, struct cosy_barrier_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_barrier_statistics){
        .state = barrier->state_,
        .parties = barrier->parties_,
        .inside = barrier->count_,
        .tasks_waiting = cosy_line_length(line_of(barrier)),
    };
}
