/* port.h - a descriptor whose reads and writes the library makes itself, and who waits for them: "try first, wait when
 * it would block".
 *
 * For each direction the port remembers whether a call may succeed. The call is made at once as long as it may; when it
 * would block, whoever made it says so and waits for the next edge. The kernel is asked for edges only then, once per
 * direction, so a connection costs one registration however long it lives. Usable without tasks: a waiter is a
 * callback; io/port_wait.h makes tasks wait.
 *
 * Invariants
 *  - `may` has a direction's bit from the beginning and from each edge on, until a call in that direction would block.
 *  - A direction in which somebody waits is in `asked`, and not in `may`.
 *  - While it is open, a port is in its loop's table, under its descriptor. A closing loop forgets its ports: they keep
 * their descriptors, and waiters are not called.
 */
#ifndef COSY_LOOP_PORT_H
#define COSY_LOOP_PORT_H

#include "../base/list.h"
#include "loop.h"

enum cosy_port_side { COSY_PORT_READ, COSY_PORT_WRITE };

struct cosy_port_waiter {
    struct cosy_link link; /* on its side's list; points to itself when it does not wait */
    /* Off the list: 0, try again; or a negative code, with which the port was closed. Called where the kernel is asked,
     * or in close: queues and wakes, but does not run anything else. */
    void (*ready)(struct cosy_port_waiter *waiter, int result);
};

struct cosy_port {
    struct cosy_link of_loop;
    struct cosy_loop *loop; /* NULL: the loop is closed */
    uint64_t watch;         /* the kernel table's; 0: not registered yet */
    int fd;                 /* -1: closed or released */
    uint8_t asked, may;     /* bits 1 << side */
    bool read_end;          /* the peer will send no more: a short read does not mean that nothing is left */
    bool of_stream;         /* lies in a stream */
    struct cosy_link waiting[2];
};

/* Takes a non-blocking descriptor over. Makes no call and cannot fail. The kernel is not asked about it yet. */
void cosy_port_open(struct cosy_port *port, struct cosy_loop *loop, int fd);
/* Wakes who waits with `result` (negative), and closes the descriptor. A second time: nothing. */
void cosy_port_close(struct cosy_port *port, int result);
/* The same for one that a name belongs to, an address or a port: that is free when this returns. cosy_port_close leaves
 * it to the next wait() where that saves a system call (io_uring), which the next bind() to the same address would
 * meet. */
void cosy_port_close_now(struct cosy_port *port, int result);
/* The same, but the descriptor becomes the caller's again: returned; -1 when it was closed. */
int cosy_port_release(struct cosy_port *port, int result);
/* Asks for edges now, rather than when somebody waits: the error that waiting would have. 0; -EPERM for files that are
 * always ready (io_uring takes them, and makes an edge at once), -EEXIST when the program watches this descriptor
 * itself, -ENOMEM, -ENOSPC. */
int cosy_port_register(struct cosy_port *port, enum cosy_port_side side);

static inline bool cosy_port_may(const struct cosy_port *port, enum cosy_port_side side)
{
    return port->may & 1u << side;
}
/* A call in this direction gave -EAGAIN. */
static inline void cosy_port_would_block(struct cosy_port *port, enum cosy_port_side side)
{
    port->may &= (uint8_t) ~(1u << side);
}
/* A read of a stream gave less than it had room for: the next would block, and need not be tried. */
static inline void cosy_port_drained(struct cosy_port *port)
{
    if (!port->read_end)
        cosy_port_would_block(port, COSY_PORT_READ);
}

/* Waits for an edge, behind those that wait already; see cosy_port_register for the errors. -COSY_ECLOSED: the port or
 * its loop is closed. 1: there is nothing to wait for, since the direction may be tried. */
int cosy_port_wait(struct cosy_port *port, enum cosy_port_side side, struct cosy_port_waiter *waiter);
/* Who waits is told to try again, as by an edge. */
void cosy_port_nudge(struct cosy_port *port, enum cosy_port_side side);
/* Stops waiting; harmless when it does not wait. */
static inline void cosy_port_wait_not(struct cosy_port_waiter *waiter) { cosy_list_remove(&waiter->link); }

/* The open port of that descriptor, or NULL. */
struct cosy_port *cosy_port_find(const struct cosy_loop *loop, int fd);

/* For the loop. */
void cosy_port_fired(const struct cosy_sys_event *event);
void cosy_ports_forget(struct cosy_loop *loop);
bool cosy_ports_awaited(const struct cosy_loop *loop); /* somebody waits at one of them */

#endif
