/* event.c - a flag and the line of those that wait for it. */
#include <cosy/event.h>

#include "home.h"

COSY_BEGINS_WITH_LINE(cosy_event);

static struct cosy_line *line_of(const cosy_event *event)
{
    return (struct cosy_line *)(uintptr_t)event;
}

static const char *waiter_name(struct cosy_wait *wait)
{
    (void)wait;
    return "an event";
}

static const struct cosy_wait_kind event_kind = {
    .verb = "waits for", .cancel = cosy_waiter_cancel, .name = waiter_name, .abandon = cosy_waiter_abandon};

int cosy_event_wait(cosy_event *event)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_event_wait");
    if (unlikely(!me))
        return -COSY_ENOTASK;
    if (event->set_)
        return 0;
    if (unlikely(cosy_home_is_elsewhere(NULL, line_of(event))))
        return cosy_home_fail("cosy_event_wait");
    struct cosy_waiter waiter = {.wait.kind = &event_kind};
    return (int)cosy_line_wait(line_of(event), &waiter, me);
}

int cosy_event_set(cosy_event *event)
{
    struct cosy_line *line = line_of(event);
    if (unlikely(cosy_home_is_elsewhere(NULL, line)))
        return cosy_home_fail("cosy_event_set");
    event->set_ = true;
    while (line->first)
        cosy_waiter_wake(line->first, 0);
    return 0;
}

void cosy_event_clear(cosy_event *event)
{
    event->set_ = false;
}

bool cosy_event_is_set(const cosy_event *event)
{
    return event->set_;
}

void cosy_event_statistics(const cosy_event *event, struct cosy_event_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_event_statistics){event->set_, cosy_line_length(line_of(event))};
}
