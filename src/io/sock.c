/* sock.c - tasks that use descriptors of the program's own.
 *
 * A task makes the call itself, when it runs: whatever cancels it before has taken nothing from the descriptor. It
 * keeps its place in line meanwhile (loop/borrow.h), and gives it up when it is done.
 */
#include "sock.h"

#include <stdio.h>

/* On the waiting task's stack. */
struct sock_wait {
    struct cosy_wait wait;
    struct cosy_borrow_waiter waiter;
    struct cosy_task *task;
    int fd;
    int evicted; /* out of line when it was queued to try already: why */
    char name[16];
};

/* ---- waiting ---- */

static struct sock_wait *of_wait(struct cosy_wait *wait)
{
    return container_of(wait, struct sock_wait, wait);
}

static bool cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_borrow_leave(&of_wait(wait)->waiter);
    return false;
}

static void abandon(struct cosy_wait *wait)
{
    cosy_borrow_leave(&of_wait(wait)->waiter);
}

static const char *name(struct cosy_wait *wait)
{
    struct sock_wait *self = of_wait(wait);
    snprintf(self->name, sizeof self->name, "fd %d", self->fd);
    return self->name;
}

static const struct cosy_wait_kind reads = {
    .verb = "waits to read", .cancel = cancel, .abandon = abandon, .name = name};
static const struct cosy_wait_kind writes = {
    .verb = "waits to write", .cancel = cancel, .abandon = abandon, .name = name};

static void told(struct cosy_borrow_waiter *waiter, int result)
{
    struct sock_wait *self = container_of(waiter, struct sock_wait, waiter);
    if (result == -ECANCELED) /* the descriptor is to be closed: no cancel of the task's */
        result = -COSY_ECLOSED;
    if (self->task->wait == &self->wait)
        cosy_task_wake(self->task, result);
    else
        self->evicted = result;
}

/* Gets in line, or stays first, and waits to be told: 0, or why there is no more to wait for. */
static int wait_for_turn(struct sock_wait *self, enum cosy_port_side side)
{
    int result = 0;
    if (self->waiter.borrow)
        cosy_borrow_again(&self->waiter);
    else
        result = cosy_borrow_join(self->task->future.loop, self->fd, side, &self->waiter);
    if (result < 0)
        return result;
    result = (int)cosy_park(self->task, &self->wait);
    return result < 0 ? result : self->evicted;
}

static void sock_wait_init(struct sock_wait *self, struct cosy_task *me, int fd, enum cosy_port_side side)
{
    self->wait.kind = side == COSY_PORT_READ ? &reads : &writes;
    self->waiter.ready = told;
    self->waiter.borrow = NULL;
    self->task = me;
    self->fd = fd;
    self->evicted = 0;
}

/* ---- calls ---- */

cosy_cold int cosy_sock_fail(const char *what, int fd, int error)
{
    const struct cosy_task *me = cosy_task_here();
    if (error == -ECANCELED)
        return error;
    if (error == -EEXIST && cosy_port_find(me->future.loop, fd))
        return cosy_fail(EEXIST, "%s: descriptor %d is used by a stream", what, fd);
    if (error == -EEXIST)
        return cosy_fail(EEXIST, "%s: descriptor %d is watched by cosy_add_reader or cosy_add_writer", what, fd);
    return cosy_fail(-error, "%s: descriptor %d: %s", what, fd, cosy_strerror(error));
}

/* What blocks would hold up the loop's other users of it, so asyncio refuses it; these calls never block, but the
 * program's own would. */
static int check_blocking(struct cosy_loop *loop, const char *what, int fd)
{
    bool blocks;
    int result = cosy_borrow_blocks(loop, fd, &blocks);
    if (result == 0 && blocks)
        return cosy_fail(EINVAL, "%s: the socket must be non-blocking (descriptor %d, in debug mode)", what, fd);
    return result < 0 ? cosy_sock_fail(what, fd, result) : 0;
}

cosy_async int64_t cosy_sock_run(const char *what, struct cosy_request *request)
{
    struct cosy_task *me = cosy_task_or_complain(what);
    if (!me)
        return -COSY_ENOTASK;
    struct cosy_loop *loop = me->future.loop;
    int64_t result = cosy_request_prepare(loop, request);
    if (unlikely(result < 0))
        return cosy_sock_fail(what, request->fd, (int)result);
    if (unlikely(loop->debug) && (result = check_blocking(loop, what, request->fd)) < 0)
        return result;
    enum cosy_port_side side = cosy_request_side(request);
    struct sock_wait self;
    sock_wait_init(&self, me, request->fd, side);
    if (!cosy_borrow_occupied(loop, request->fd, side))
        result = cosy_request_try(loop, request);
    else
        result = COSY_NOT_YET;
    while (result == COSY_NOT_YET) {
        result = wait_for_turn(&self, side);
        if (result == 0)
            result = cosy_request_try(loop, request);
    }
    cosy_borrow_leave(&self.waiter);
    return likely(result >= 0) ? result : cosy_sock_fail(what, request->fd, (int)result);
}

/* Nothing is written through it where the request only reads. */
static void *unconst(const void *what)
{
    return (void *)(uintptr_t)what;
}

cosy_async int cosy_sock_recv(int fd, void *buffer, size_t size)
{
    struct cosy_request request = {.kind = COSY_REQUEST_RECV, .fd = fd, .what = buffer, .size = size};
    return (int)cosy_sock_run("cosy_sock_recv", &request);
}

cosy_async int cosy_sock_recvfrom(int fd, void *buffer, size_t size, struct cosy_address *ret_from)
{
    struct iovec part = {buffer, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cosy_request request = {.kind = COSY_REQUEST_RECVMSG, .fd = fd, .what = &message};
    if (ret_from) {
        message.msg_name = &ret_from->storage;
        message.msg_namelen = sizeof ret_from->storage;
    }
    int64_t result = cosy_sock_run("cosy_sock_recvfrom", &request);
    if (ret_from)
        ret_from->size = result < 0 ? 0 : message.msg_namelen;
    return (int)result;
}

cosy_async int cosy_sock_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!message)
        return cosy_fail(EINVAL, "cosy_sock_recvmsg: no message");
    struct cosy_request request = {.kind = COSY_REQUEST_RECVMSG, .fd = fd, .what = message, .flags = flags};
    return (int)cosy_sock_run("cosy_sock_recvmsg", &request);
}

cosy_async int cosy_sock_send_rest(const char *what, int fd, const void *data, size_t size, size_t *ret_sent)
{
    struct cosy_request request = {.kind = COSY_REQUEST_SENDALL, .fd = fd, .what = unconst(data), .size = size};
    int64_t result = cosy_sock_run(what, &request);
    if (ret_sent)
        *ret_sent = request.done;
    if (result >= 0 && request.done < size)
        return cosy_sock_fail(what, fd, request.error);
    return result < 0 ? (int)result : 0;
}

cosy_async int cosy_sock_sendall(int fd, const void *data, size_t size, size_t *ret_sent)
{
    return cosy_sock_send_rest("cosy_sock_sendall", fd, data, size, ret_sent);
}

cosy_async int cosy_sock_sendto(int fd, const void *data, size_t size, const struct cosy_address *to)
{
    struct iovec part = {unconst(data), size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cosy_request request = {.kind = COSY_REQUEST_SENDMSG, .fd = fd, .what = &message};
    if (to) {
        message.msg_name = unconst(&to->any);
        message.msg_namelen = to->size;
    }
    return (int)cosy_sock_run("cosy_sock_sendto", &request);
}

cosy_async int cosy_sock_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!message)
        return cosy_fail(EINVAL, "cosy_sock_sendmsg: no message");
    struct cosy_request request = {.kind = COSY_REQUEST_SENDMSG, .fd = fd, .what = unconst(message), .flags = flags};
    return (int)cosy_sock_run("cosy_sock_sendmsg", &request);
}

static cosy_cold int connect_failed(int fd, const struct cosy_address *address, int error)
{
    char text[COSY_ADDRESS_TEXT];
    return cosy_fail(-error, "cosy_sock_connect: descriptor %d to %s: %s", fd, cosy_address_text(address, text),
                     cosy_strerror(error));
}

cosy_async int cosy_sock_connect(int fd, const struct cosy_address *address)
{
    if (!address || address->size == 0)
        return cosy_fail(EINVAL, "cosy_sock_connect: no address");
    struct cosy_request request = {
        .kind = COSY_REQUEST_CONNECT, .fd = fd, .what = unconst(&address->any), .size = address->size};
    int result = (int)cosy_sock_run("cosy_sock_connect", &request);
    bool of_the_network =
        result < 0 && result != -ECANCELED && result != -EEXIST && result != -EINVAL && result > -COSY_EINVALIDSTATE;
    return of_the_network ? connect_failed(fd, address, result) : result;
}

cosy_async int cosy_sock_accept(int fd, struct cosy_address *ret_peer)
{
    struct cosy_request request = {.kind = COSY_REQUEST_ACCEPT, .fd = fd};
    if (ret_peer) {
        ret_peer->size = sizeof ret_peer->storage;
        request.what = &ret_peer->storage;
        request.length = &ret_peer->size;
    }
    int result = (int)cosy_sock_run("cosy_sock_accept", &request);
    if (result < 0 && ret_peer)
        ret_peer->size = 0;
    return result;
}

/* ---- only waiting ---- */

static cosy_async int wait_ready(const char *what, int fd, enum cosy_port_side side)
{
    struct cosy_task *me = cosy_task_or_complain(what);
    if (!me)
        return -COSY_ENOTASK;
    int result = cosy_borrow_check(me->future.loop, fd);
    if (result == 0) {
        struct sock_wait self;
        sock_wait_init(&self, me, fd, side);
        result = wait_for_turn(&self, side);
        cosy_borrow_leave(&self.waiter);
    }
    return result < 0 ? cosy_sock_fail(what, fd, result) : 0;
}

cosy_async int cosy_wait_readable(int fd)
{
    return wait_ready("cosy_wait_readable", fd, COSY_PORT_READ);
}

cosy_async int cosy_wait_writable(int fd)
{
    return wait_ready("cosy_wait_writable", fd, COSY_PORT_WRITE);
}

int cosy_notify_closing(int fd)
{
    struct cosy_loop *loop = cosy_running_loop();
    return loop ? cosy_borrow_evict(loop, fd, -ECANCELED) : -COSY_ENOLOOP;
}
