/* blocked.c - waiting until all others wait, and the virtual clock by hand.
 *
 * A task that waits for rest lies on loop->idlers. The loop, when nothing is queued, asks here how long it may sleep:
 * not at all until the kernel has been asked once without finding anything, then until the shortest cushion is over.
 */
#include <string.h>

#include <cosy/testing.h>
#include <cosy/trace.h>

#include "../sys/sim/network.h"
#include "../task/task.h"

struct cosy_idler {
    struct cosy_wait wait;
    struct cosy_idler *next;
    struct cosy_task *task;
    cosy_ns cushion;
    cosy_ns since;  /* when nothing was queued for the first time, in a row ... */
    uint64_t turns; /* ... as of this turn; 0: not yet */
};

static struct cosy_idler *idler_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_idler, wait);
}

static void take_out(struct cosy_idler *idler)
{
    struct cosy_idler **place = &idler->task->future.loop->idlers;
    while (*place && *place != idler)
        place = &(*place)->next;
    if (*place)
        *place = idler->next;
}

static void idler_abandon(struct cosy_wait *wait)
{
    take_out(idler_of(wait));
}

static bool idler_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    take_out(idler_of(wait));
    return false;
}

static const struct cosy_wait_kind idler_kind = {
    .verb = "waits until all others wait", .cancel = idler_cancel, .abandon = idler_abandon};

/* Every turn that ran something begins the cushion anew. */
static bool is_over(struct cosy_idler *idler, struct cosy_loop *loop)
{
    if (idler->turns == cosy_loop_turns(loop) + 1)
        return loop->now - idler->since >= idler->cushion;
    idler->turns = cosy_loop_turns(loop) + 1;
    idler->since = loop->now;
    return false;
}

static struct cosy_idler *shortest(struct cosy_loop *loop)
{
    struct cosy_idler *found = loop->idlers;
    for (struct cosy_idler *idler = found; idler; idler = idler->next)
        if (idler->cushion < found->cushion)
            found = idler;
    return found;
}

static cosy_ns blocked(struct cosy_loop *loop, cosy_ns deadline)
{
    cosy_ns limit = deadline, least = shortest(loop)->cushion;
    for (struct cosy_idler *idler = loop->idlers, *next; idler; idler = next) {
        cosy_ns end;
        next = idler->next;
        if (is_over(idler, loop) && idler->cushion == least) {
            take_out(idler);
            cosy_task_wake(idler->task, 0);
            limit = INT64_MIN;
        } else if (idler->since == loop->now && idler->cushion <= 0)
            limit = INT64_MIN; /* a look at the kernel first */
        else if (!__builtin_add_overflow(idler->since, idler->cushion, &end) && end < limit)
            limit = end;
    }
    return limit;
}

__attribute__((constructor)) static void join_the_loop(void)
{
    cosy_loop_hooks.blocked = blocked;
}

int cosy_wait_all_tasks_blocked(cosy_ns cushion)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_wait_all_tasks_blocked");
    if (!me)
        return -COSY_ENOTASK;
    struct cosy_loop *loop = me->future.loop;
    struct cosy_idler idler = {.wait.kind = &idler_kind, .task = me, .cushion = cushion > 0 ? cushion : 0},
                      **place = &loop->idlers;
    while (*place)
        place = &(*place)->next;
    *place = &idler;
    return (int)cosy_park(me, &idler.wait);
}

/* ---- the clock ---- */

static bool is_simulated(const struct cosy_loop *loop)
{
    return loop && !loop->closed && strcmp(loop->sys->ops->name, "sim") == 0;
}

static int set_autojump(struct cosy_loop *loop, bool on)
{
    if (!is_simulated(loop))
        return cosy_fail(ENOTSUP, "only the simulated kernel's clock can be moved by hand");
    cosy_sim_set_autojump(loop->sys, on);
    return 0;
}

int cosy_test_clock_manual(cosy_loop *loop)
{
    return set_autojump(loop, false);
}
int cosy_test_clock_auto(cosy_loop *loop)
{
    return set_autojump(loop, true);
}

/* What an advance has to stand on. */
static int check_advance(struct cosy_loop *loop, cosy_ns by, cosy_ns *ret_target)
{
    if (!is_simulated(loop))
        return cosy_fail(ENOTSUP, "only the simulated kernel's clock can be moved by hand");
    if (by < 0 || __builtin_add_overflow(loop->sys->ops->now(loop->sys), by, ret_target))
        return cosy_fail(EINVAL, "time cannot go back, nor beyond its end");
    return 0;
}

/* Moves to the next deadline or delivery, or the target. False when the target is reached. */
static bool hop(struct cosy_loop *loop, cosy_ns target)
{
    cosy_ns now = loop->sys->ops->now(loop->sys), next = cosy_timers_next(loop->timers);
    cosy_ns delivery = cosy_sim_next_delivery(loop->sys);
    if (now >= target)
        return false;
    if (delivery < next)
        next = delivery;
    if (next > target)
        next = target;
    if (next > now)
        cosy_sim_advance(loop->sys, next - now);
    return true;
}

int cosy_test_advance(cosy_ns by)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_test_advance");
    cosy_ns target = 0;
    if (!me)
        return -COSY_ENOTASK;
    int result = check_advance(me->future.loop, by, &target);
    if (result == 0)
        result = cosy_wait_all_tasks_blocked(0);
    while (result == 0 && hop(me->future.loop, target))
        result = cosy_wait_all_tasks_blocked(0);
    return result;
}

int cosy_test_step(cosy_loop *loop)
{
    return cosy_loop_run_once(loop, 0);
}

int cosy_test_settle(cosy_loop *loop)
{
    int result = 0, turns = 0;
    for (int still = 0; still < 2 && result >= 0;
         still = result > 0 ? 0 : still + 1) { /* a step may find out that all are blocked */
        result = cosy_test_step(loop);
        turns += result > 0;
    }
    return result < 0 ? result : turns;
}

int cosy_test_pass(cosy_loop *loop, cosy_ns by)
{
    cosy_ns target = 0;
    int result = check_advance(loop, by, &target);
    if (result == 0)
        result = cosy_test_settle(loop);
    while (result >= 0 && hop(loop, target))
        result = cosy_test_settle(loop);
    return result < 0 ? result : 0;
}
