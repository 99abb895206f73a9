/* port.c - ports: edges come in, waiters are told. */
#include "port.h"

#include <unistd.h>

_Static_assert(COSY_SYS_READ == 1 << COSY_PORT_READ && COSY_SYS_WRITE == 1 << COSY_PORT_WRITE, "one set of bits");
static const unsigned EVENT_OF[] = {[COSY_PORT_READ] = COSY_SYS_READ, [COSY_PORT_WRITE] = COSY_SYS_WRITE};

void cosy_port_open(struct cosy_port *port, struct cosy_loop *loop, int fd)
{
    cosy_assert(fd >= 0 && !loop->closed);
    *port = (struct cosy_port){.loop = loop, .fd = fd, .may = 1u << COSY_PORT_READ | 1u << COSY_PORT_WRITE};
    cosy_list_init(&port->waiting[COSY_PORT_READ]);
    cosy_list_init(&port->waiting[COSY_PORT_WRITE]);
    cosy_fd_table_add(&loop->ports, &port->of_loop);
}

/* Those who wait now: one whose call would block again waits for the next edge, behind them. */
static void tell(struct cosy_port *port, enum cosy_port_side side, int result)
{
    struct cosy_link told, *waiting = &port->waiting[side];
    if (cosy_list_empty(waiting))
        return;
    if (likely(waiting->next == waiting->prev)) {
        struct cosy_port_waiter *only = container_of(waiting->next, struct cosy_port_waiter, link);
        cosy_list_remove(&only->link);
        only->ready(only, result);
        return;
    }
    cosy_list_append(waiting, &told); /* in the head's place */
    cosy_list_remove(waiting);
    while (!cosy_list_empty(&told)) {
        struct cosy_port_waiter *waiter = container_of(told.next, struct cosy_port_waiter, link);
        cosy_list_remove(&waiter->link);
        waiter->ready(waiter, result);
    }
}

/* Nothing is heard of it from here on. Returns its registration, which may still be there. */
static uint64_t detach(struct cosy_port *port)
{
    uint64_t watch = port->watch;
    if (port->loop)
        cosy_fd_table_remove(&port->loop->ports, &port->of_loop);
    port->watch = 0;
    port->fd = -1;
    port->asked = port->may = 0;
    return watch;
}

void cosy_port_close(struct cosy_port *port, int result)
{
    cosy_assert(result < 0);
    if (port->fd < 0)
        return;
    int fd = port->fd;
    uint64_t watch = detach(port);
    if (port->loop)
        port->loop->sys->ops->close_fd(port->loop->sys, fd, watch);
    else
        close(fd);
    tell(port, COSY_PORT_READ, result);
    tell(port, COSY_PORT_WRITE, result);
}

void cosy_port_close_now(struct cosy_port *port, int result)
{
    struct cosy_loop *loop = port->loop;
    if (loop && port->watch) {
        loop->sys->ops->unwatch(loop->sys, port->watch);
        port->watch = 0;
    }
    cosy_port_close(port, result);
}

int cosy_port_release(struct cosy_port *port, int result)
{
    cosy_assert(result < 0);
    int fd = port->fd;
    if (fd < 0)
        return -1;
    uint64_t watch = detach(port);
    if (watch && port->loop)
        port->loop->sys->ops->unwatch(port->loop->sys, watch);
    tell(port, COSY_PORT_READ, result);
    tell(port, COSY_PORT_WRITE, result);
    return fd;
}

int cosy_port_register(struct cosy_port *port, enum cosy_port_side side)
{
    if (port->fd < 0 || !port->loop)
        return -COSY_ECLOSED;
    if (port->asked & 1u << side)
        return 0;
    struct cosy_sys *sys = port->loop->sys;
    unsigned events = COSY_SYS_EDGE | EVENT_OF[side];
    int result;
    do
        result = port->watch ? sys->ops->rewatch(sys, port->watch, events)
                             : sys->ops->watch(sys, port->fd, events, port, &port->watch);
    while (unlikely(result == -EINTR));
    if (result == 0)
        port->asked |= (uint8_t)(1u << side);
    return result;
}

int cosy_port_wait(struct cosy_port *port, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    if (unlikely(!(port->asked & 1u << side))) {
        int result = cosy_port_register(port, side);
        if (result < 0)
            return result;
    }
    if (cosy_port_may(port, side))
        return 1;
    cosy_list_append(&port->waiting[side], &waiter->link);
    return 0;
}

void cosy_port_nudge(struct cosy_port *port, enum cosy_port_side side)
{
    port->may |= (uint8_t)(1u << side);
    tell(port, side, 0);
}

void cosy_port_fired(const struct cosy_sys_event *event)
{
    struct cosy_port *port = event->data;
    unsigned events = event->events;
    if (events & (COSY_SYS_ERROR | COSY_SYS_HANGUP | COSY_SYS_INVALID))
        events |= COSY_SYS_READ | COSY_SYS_WRITE; /* the next call tells what is the matter */
    if (events & (COSY_SYS_READ_END | COSY_SYS_HANGUP | COSY_SYS_ERROR)) {
        port->read_end = true;
        events |= COSY_SYS_READ;
    }
    if (events & COSY_SYS_SPENT)
        port->asked &= (uint8_t) ~(events & (COSY_SYS_READ | COSY_SYS_WRITE)); /* the bits are the same */
    if (events & COSY_SYS_READ) {
        port->may |= 1u << COSY_PORT_READ;
        tell(port, COSY_PORT_READ, 0);
    }
    if (events & COSY_SYS_WRITE) {
        port->may |= 1u << COSY_PORT_WRITE;
        tell(port, COSY_PORT_WRITE, 0);
    }
}

struct cosy_port *cosy_port_find(const struct cosy_loop *loop, int fd)
{
    struct cosy_link *link = cosy_fd_table_find(&loop->ports, fd);
    return link ? container_of(link, struct cosy_port, of_loop) : NULL;
}

void cosy_ports_forget(struct cosy_loop *loop)
{
    for (struct cosy_link *link; (link = cosy_fd_table_next(&loop->ports, NULL));) {
        struct cosy_port *port = container_of(link, struct cosy_port, of_loop);
        cosy_fd_table_remove(&loop->ports, link);
        if (port->watch)
            loop->sys->ops->unwatch(loop->sys, port->watch);
        port->watch = 0;
        port->asked = port->may = 0;
        port->loop = NULL;
    }
    cosy_fd_table_clear(&loop->ports);
}

bool cosy_ports_awaited(const struct cosy_loop *loop)
{
    for (const struct cosy_link *link = NULL; (link = cosy_fd_table_next(&loop->ports, link));) {
        const struct cosy_port *port = container_of(link, struct cosy_port, of_loop);
        for (int side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++)
            if (!cosy_list_empty(&port->waiting[side]))
                return true;
    }
    return false;
}
