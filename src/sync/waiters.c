/* waiters.c - how a line of waiting tasks answers cancels and closing loops. */
#include "waiters.h"

static struct cosy_waiter *waiter_of(struct cosy_wait *wait) { return container_of(wait, struct cosy_waiter, wait); }

bool cosy_waiter_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_waiter_abandon(wait);
    return false;
}

void cosy_waiter_abandon(struct cosy_wait *wait)
{
    if (waiter_of(wait)->line)
        cosy_line_remove(waiter_of(wait));
}

size_t cosy_line_length(const struct cosy_line *line)
{
    size_t length = 0;
    for (const struct cosy_waiter *waiter = line->first; waiter; waiter = waiter->next)
        length++;
    return length;
}
