/* port_wait.c - tasks that wait at a port. */
#include "port_wait.h"

static struct cosy_port_wait *wait_of(struct cosy_wait *wait)
{
    return container_of(wait, struct cosy_port_wait, wait);
}

/* An edge may have come before the cancel in the same turn: then the task is queued already, and this is not asked. */
static bool cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_port_wait_not(&wait_of(wait)->waiter);
    return false;
}

static void abandon(struct cosy_wait *wait)
{
    cosy_port_wait_not(&wait_of(wait)->waiter);
}

static const struct cosy_wait_kind reads = {.verb = "waits to read", .cancel = cancel, .abandon = abandon};
static const struct cosy_wait_kind writes = {.verb = "waits to write", .cancel = cancel, .abandon = abandon};

static void ready(struct cosy_port_waiter *waiter, int result)
{
    struct cosy_port_wait *wait = container_of(waiter, struct cosy_port_wait, waiter);
    cosy_task_wake(wait->task, result);
}

int cosy_port_await(struct cosy_task *me, struct cosy_port *port, enum cosy_port_side side)
{
    struct cosy_port_wait wait = {
        .wait.kind = side == COSY_PORT_READ ? &reads : &writes, .waiter.ready = ready, .task = me, .port = port};
    cosy_list_init(&wait.waiter.link);
    int result = cosy_port_wait(port, side, &wait.waiter);
    if (result)
        return result < 0 ? result : 0;
    return (int)cosy_park(me, &wait.wait);
}
