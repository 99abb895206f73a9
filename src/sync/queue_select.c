/* queue_select.c - one of several gets and puts, whichever can go first.
 *
 * The waiting task stands in the line of every case. Whoever wakes it takes it out of all of them first, so exactly one
 * case is done. A hint is followed by trying its case before the others: were another done instead, the hint would be
 * lost to those who wait behind.
 */
#include <cosy/queue.h>

#include "queue.h"

struct cosy_selection {
    struct cosy_wait wait;
    struct cosy_case_ *cases;
    size_t count;
    size_t chosen; /* the case whose waiter was woken; count: none */
};

static struct cosy_selection *selection_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_selection, wait);
}

static void leave_lines(struct cosy_selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        struct cosy_queue_waiter *waiter = cosy_waiter_in(&selection->cases[i].room);
        if (waiter->waiter.line && i != selection->chosen)
            cosy_line_remove(&waiter->waiter);
    }
}

void cosy_selection_chosen(struct cosy_selection *selection, struct cosy_queue_waiter *waiter)
{
    struct cosy_case_ *chosen = container_of(waiter, struct cosy_case_, room);
    selection->chosen = (size_t)(chosen - selection->cases);
    leave_lines(selection);
}

static bool select_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    leave_lines(selection_of(wait));
    return false;
}

static void select_abandon(struct cosy_wait *wait)
{
    leave_lines(selection_of(wait));
}

static const struct cosy_wait_kind select_kind = {
    .verb = "waits for one of several queues", .cancel = select_cancel, .abandon = select_abandon};

static int try_case(const struct cosy_case_ *one)
{
    return one->put ? cosy_queue_put_nowait_(one->queue, one->slot, one->size)
                    : cosy_queue_get_nowait_(one->queue, one->slot, one->size);
}

/* Tries the case that a wake-up hints at, then all in their order. -EAGAIN: none can go. */
static int try_all(struct cosy_selection *selection, int *ret_index)
{
    int result = -COSY_EQUEUEEMPTY;
    size_t index = selection->chosen;
    if (index < selection->count)
        result = try_case(&selection->cases[index]);
    for (size_t i = 0; i < selection->count && (result == -COSY_EQUEUEEMPTY || result == -COSY_EQUEUEFULL); i++) {
        index = i;
        result = try_case(&selection->cases[i]);
    }
    if (result == -COSY_EQUEUEEMPTY || result == -COSY_EQUEUEFULL)
        return -EAGAIN;
    *ret_index = (int)index;
    if (result == -COSY_EQUEUESHUTDOWN)
        return cosy_fail(COSY_EQUEUESHUTDOWN, "the queue of case %zu is shut down", index);
    return result < 0 ? result : (int)index;
}

static int64_t wait_in_lines(struct cosy_selection *selection, struct cosy_task *me)
{
    selection->chosen = selection->count;
    for (size_t i = 0; i < selection->count; i++) {
        struct cosy_case_ *one = &selection->cases[i];
        struct cosy_queue_waiter *waiter = cosy_waiter_in(&one->room);
        waiter->selection = selection;
        waiter->slot = one->slot;
        cosy_queue_line_up(one->queue, waiter, me, one->put);
    }
    return cosy_park(me, &selection->wait);
}

/* What a wait came to: the index of the case that was done, an error, or -EAGAIN: look again. */
static int after_wait(struct cosy_selection *selection, struct cosy_task *me, int64_t woken, int *ret_index)
{
    struct cosy_queue_waiter *waiter =
        selection->chosen < selection->count ? cosy_waiter_in(&selection->cases[selection->chosen].room) : NULL;
    if (woken == WOKEN_TO_LOOK)
        return -EAGAIN;
    if (woken == -ECANCELED && (!waiter || !waiter->served)) {
        if (waiter)
            cosy_queue_pass_on(waiter);
        return -ECANCELED;
    }
    if (woken == -ECANCELED)
        cosy_task_must_cancel(me); /* what has changed hands stays so: the cancel meets the next wait */
    *ret_index = (int)selection->chosen;
    if (waiter->served)
        return *ret_index;
    return cosy_fail((int)-woken, "the queue of case %d is shut down", *ret_index);
}

static int nothing_given(void)
{
    return cosy_fail(EINVAL, "select needs something to choose from");
}

int cosy_select_nowait_(struct cosy_case_ *cases, size_t count, int *ret_index)
{
    struct cosy_selection selection = {.cases = cases, .count = count, .chosen = count};
    int index = -1, result = count ? try_all(&selection, &index) : nothing_given();
    if (ret_index)
        *ret_index = index;
    return result;
}

int cosy_select_(struct cosy_case_ *cases, size_t count, int *ret_index)
{
    struct cosy_selection selection = {.wait.kind = &select_kind, .cases = cases, .count = count, .chosen = count};
    int index = -1, result = count ? try_all(&selection, &index) : nothing_given();
    while (result == -EAGAIN) {
        struct cosy_task *me = cosy_task_or_complain("cosy_select");
        result = me ? after_wait(&selection, me, wait_in_lines(&selection, me), &index) : -COSY_ENOTASK;
        if (result == -EAGAIN)
            result = try_all(&selection, &index);
    }
    if (ret_index)
        *ret_index = index;
    return result;
}
