/* sequencer.c - steps of several tasks in a fixed order. */
#include <cosy/testing.h>
#include <cosy/trace.h>

#include "../sync/waiters.h"

_Static_assert(sizeof(((cosy_sequencer *)0)->line_) == sizeof(struct cosy_line),
               "a sequencer begins with a line of waiters");

struct step_waiter {
    struct cosy_waiter waiter;
    cosy_sequencer *sequencer;
    unsigned n;
};

static struct cosy_line *line_of(cosy_sequencer *sequencer)
{
    return (struct cosy_line *)(void *)sequencer;
}

static struct step_waiter *step_of(struct cosy_waiter *waiter)
{
    return container_of(waiter, struct step_waiter, waiter);
}

static const struct cosy_wait_kind step_kind = {
    .verb = "waits for its step of a sequence", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};

/* A step that nobody will take any more: those behind it would wait for ever. */
static void break_sequence(cosy_sequencer *sequencer)
{
    sequencer->broken_ = true;
    while (line_of(sequencer)->first)
        cosy_waiter_wake(line_of(sequencer)->first, -COSY_EINVALIDSTATE);
}

static struct cosy_waiter *waiter_for(cosy_sequencer *sequencer, unsigned n)
{
    struct cosy_waiter *waiter = line_of(sequencer)->first;
    while (waiter && step_of(waiter)->n != n)
        waiter = waiter->next;
    return waiter;
}

static int wait_for_step(cosy_sequencer *sequencer, struct cosy_task *me, unsigned n)
{
    struct step_waiter step = {.waiter.wait.kind = &step_kind, .sequencer = sequencer, .n = n};
    int64_t woken = cosy_line_wait(line_of(sequencer), &step.waiter, me);
    if (woken == -ECANCELED) {
        if (step.waiter.woken && !sequencer->broken_)
            sequencer->inside_ = false; /* it was this task's turn already */
        break_sequence(sequencer);
    }
    return woken == -COSY_EINVALIDSTATE
               ? cosy_fail(COSY_EINVALIDSTATE, "the sequence is broken: another step was cancelled")
               : (int)woken;
}

int cosy_sequencer_enter(cosy_sequencer *sequencer, unsigned n)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_sequencer_enter");
    if (!me)
        return -COSY_ENOTASK;
    if (cosy_line_is_foreign(line_of(sequencer), me))
        return cosy_fail(COSY_EOTHERLOOP, "tasks of another loop wait for this sequence");
    if (sequencer->broken_)
        return cosy_fail(COSY_EINVALIDSTATE, "the sequence is broken: another step was cancelled");
    if (n < sequencer->next_ || (n == sequencer->next_ && sequencer->inside_) || waiter_for(sequencer, n))
        return cosy_fail(COSY_EINVALIDSTATE, "step %u of a sequence is entered twice", n);
    if (n != sequencer->next_)
        return wait_for_step(sequencer, me, n);
    sequencer->inside_ = true;
    return 0;
}

void cosy_sequencer_leave(cosy_sequencer *sequencer)
{
    sequencer->inside_ = false;
    struct cosy_waiter *next = waiter_for(sequencer, ++sequencer->next_);
    if (!next)
        return;
    sequencer->inside_ = true;
    cosy_waiter_wake(next, 0);
}

bool cosy_sequence_enter_(struct cosy_sequence_ *sequence, unsigned n, int *ret_error)
{
    int result = cosy_sequencer_enter(sequence->sequencer, n);
    sequence->entered = result == 0;
    if (result < 0)
        *ret_error = result;
    return sequence->entered;
}

void cosy_sequence_leave_(struct cosy_sequence_ *sequence)
{
    if (sequence->entered)
        cosy_sequencer_leave(sequence->sequencer);
}
