/* port_wait.h - tasks that wait at a port (loop/port.h).
 *
 *     while ((result = net->recv(sys, port->fd, ...)) == -EAGAIN) {
 *         cosy_port_would_block(port, COSY_PORT_READ);
 *         error = cosy_port_await(me, port, COSY_PORT_READ);
 *         if (error < 0) return error;
 *     }
 */
#ifndef COSY_IO_PORT_WAIT_H
#define COSY_IO_PORT_WAIT_H

#include "../loop/port.h"
#include "../sys/net.h"
#include "../task/task.h"

/* On the waiting task's stack. */
struct cosy_port_wait {
    struct cosy_wait wait;
    struct cosy_port_waiter waiter;
    struct cosy_task *task;
    struct cosy_port *port;
};

/* Suspends until the direction may be tried (at once when it may). 0; -ECANCELED: the task was cancelled, and no call
 * was made on its behalf; -COSY_ECLOSED or what the port was closed with; errors of cosy_port_register. Whoever has got
 * 0 must try, and wait again when that would block. */
int cosy_port_await(struct cosy_task *me, struct cosy_port *port, enum cosy_port_side side);

/* The calls of net.h on a port's descriptor, tried again when a signal interrupts them; -EAGAIN is noted in the
 * port. */
#define COSY_PORT_CALL(port, side, call, ...)                                                                  \
    ({                                                                                                         \
        struct cosy_port *port_ = (port);                                                                      \
        struct cosy_sys *sys_ = port_->loop->sys;                                                              \
        int result_;                                                                                           \
        do                                                                                                     \
            result_ = sys_->net->call(sys_, port_->fd, __VA_ARGS__);                                           \
        while (unlikely(result_ == -EINTR));                                                                   \
        if (result_ == -EAGAIN)                                                                                \
            cosy_port_would_block(port_, side);                                                                \
        result_;                                                                                               \
    })

#endif
