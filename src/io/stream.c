/* stream.c - life of a stream, its kinds for sockets and for pipes, and what it tells about itself. */
#include "pipe.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/heap.h"
#include "../loop/buffers.h"
#include "../sys/files.h"
#include "server.h"

static const struct cosy_net_ops *net_of(const cosy_stream *stream)
{
    return stream->loop->sys->net;
}

/* False: the loop is closed, and nothing but closing is possible. Its memory is held until the stream is freed. */
static bool has_loop(const cosy_stream *stream)
{
    return !stream->loop->closed;
}

/* ---- sockets ---- */

static int socket_receive(cosy_stream *stream, void *buffer, size_t size)
{
    struct cosy_port *port = &stream->port;
    if (!cosy_port_may(port, COSY_PORT_READ))
        return -EAGAIN;
    int got = COSY_PORT_CALL(port, COSY_PORT_READ, recv, buffer, size, 0);
    if (got >= 0 && (size_t)got < size)
        cosy_port_drained(port);
    return got;
}

static int socket_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    struct cosy_port *port = &stream->port;
    if (!cosy_port_may(port, COSY_PORT_WRITE))
        return -EAGAIN;
    if (likely(count == 1))
        return COSY_PORT_CALL(port, COSY_PORT_WRITE, send, parts->iov_base, parts->iov_len, 0);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    return COSY_PORT_CALL(port, COSY_PORT_WRITE, sendmsg, &message, 0);
}

static int port_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    return cosy_port_wait(&stream->port, side, waiter);
}

/* A connection that was lost is not connected: how it was lost is still to be told. */
static int socket_end_output(cosy_stream *stream)
{
    int error = 0, result = COSY_PORT_CALL(&stream->port, COSY_PORT_WRITE, shutdown, SHUT_WR);
    socklen_t size = sizeof error;
    if (likely(result != -ENOTCONN))
        return result;
    net_of(stream)->getsockopt(stream->loop->sys, stream->port.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error ? -error : -EPIPE;
}

/* A reset instead of an end: the peer is not to take what it got for everything. */
static void socket_close(cosy_stream *stream, int result, bool abort)
{
    struct linger at_once = {.l_onoff = 1};
    if (abort && has_loop(stream) && stream->port.fd >= 0)
        net_of(stream)->setsockopt(stream->loop->sys, stream->port.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    cosy_port_close(&stream->port, result);
}

const struct cosy_stream_kind cosy_socket_stream = {.name = "socket",
                                                    .receive = socket_receive,
                                                    .send = socket_send,
                                                    .wait = port_wait,
                                                    .end_output = socket_end_output,
                                                    .close = socket_close};

/* ---- pipes and terminals ---- */

static int pipe_receive(cosy_stream *stream, void *buffer, size_t size)
{
    if (!cosy_port_may(&stream->port, COSY_PORT_READ))
        return -EAGAIN;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    return COSY_PORT_CALL(&stream->port, COSY_PORT_READ, readv, &part, 1);
}

static int pipe_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    if (!cosy_port_may(&stream->port, COSY_PORT_WRITE))
        return -EAGAIN;
    return COSY_PORT_CALL(&stream->port, COSY_PORT_WRITE, writev, parts, count);
}

/* The only way to tell the reader. */
static int pipe_end_output(cosy_stream *stream)
{
    cosy_port_close(&stream->port, -EPIPE);
    return 0;
}

static void pipe_close(cosy_stream *stream, int result, bool abort)
{
    (void)abort;
    cosy_port_close(&stream->port, result);
}

const struct cosy_stream_kind cosy_pipe_stream = {.name = "pipe",
                                                  .receive = pipe_receive,
                                                  .send = pipe_send,
                                                  .wait = port_wait,
                                                  .end_output = pipe_end_output,
                                                  .close = pipe_close};

/* ---- making one ---- */

int cosy_stream_check_options(const struct cosy_stream_options *options)
{
    size_t high = options->high_water ? options->high_water : 65536;
    bool sound = options->limit <= INT32_MAX && options->high_water <= INT32_MAX && options->low_water <= high;
    return sound ? 0
                 : cosy_fail(EINVAL,
                             "stream: limit %zu, high_water %zu, low_water %zu: each at most %d, low not above high",
                             options->limit, options->high_water, options->low_water, INT32_MAX);
}

static void set_options(cosy_stream *stream, const struct cosy_stream_options *options)
{
    stream->limit = options && options->limit ? (uint32_t)options->limit : 65536;
    stream->high = options && options->high_water ? (uint32_t)options->high_water : 65536;
    stream->low = options && options->low_water ? (uint32_t)options->low_water : stream->high / 4;
    stream->grace = options && options->close_grace ? options->close_grace : COSY_S(30);
}

static void set_peer(cosy_stream *stream, const struct cosy_address *peer)
{
    char text[COSY_ADDRESS_TEXT];
    if (!peer || peer->size == 0)
        return;
    if (peer->size <= sizeof stream->peer) {
        stream->peer_size = (uint8_t)peer->size;
        memcpy(stream->peer, &peer->any, peer->size);
    } else
        stream->peer_path = cosy_heap_strdup(cosy_address_text(peer, text)); /* without memory, messages do not have
                                                                              * it */
}

cosy_stream *cosy_stream_new(struct cosy_loop *loop, const struct cosy_stream_kind *kind, int fd,
                             const struct cosy_address *peer, const struct cosy_stream_options *options)
{
    cosy_stream *stream = cosy_heap_zalloc(sizeof *stream);
    if (!stream)
        return NULL;
    stream->kind = kind;
    stream->loop = loop;
    cosy_loop_hold(loop);
    stream->port.fd = -1;
    set_options(stream, options);
    set_peer(stream, peer);
    cosy_stream_write_open(stream);
    if (fd >= 0)
        cosy_port_open(&stream->port, loop, fd);
    stream->port.of_stream = fd >= 0;
    if (unlikely(loop->debug) && cosy_task_here())
        stream->maker = cosy_task_here()->site;
    return stream;
}

static const struct cosy_stream_kind *kind_of(struct cosy_loop *loop, int fd, int *ret_error)
{
    int type;
    socklen_t size = sizeof type;
    int result = loop->sys->net->getsockopt(loop->sys, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    *ret_error = 0;
    if (result == 0 && type == SOCK_DGRAM)
        *ret_error = cosy_fail(EINVAL, "descriptor %d is a datagram socket: cosy/datagram.h is for those", fd);
    else if (result < 0 && result != -ENOTSOCK)
        *ret_error = result;
    if (result == 0)
        return &cosy_socket_stream;
    struct stat status;
    if (cosy_sys_stat_fd(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        *ret_error = -EPERM; /* some kernels would say so, others not */
    return cosy_pipe_kind(fd);
}

static void set_nodelay(struct cosy_loop *loop, int fd)
{
    int on = 1; /* -EOPNOTSUPP where there is no such thing */
    loop->sys->net->setsockopt(loop->sys, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int adopt(struct cosy_loop *loop, int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options)
{
    int error;
    const struct cosy_net_ops *net = loop->sys->net;
    const struct cosy_stream_kind *kind = kind_of(loop, fd, &error);
    if (error)
        return error;
    struct cosy_address peer = {.size = sizeof peer.storage};
    bool is_socket = kind == &cosy_socket_stream;
    if (!is_socket || net->getpeername(loop->sys, fd, &peer.any, &peer.size) < 0)
        peer.size = 0;
    cosy_stream *stream = cosy_stream_new(loop, kind, fd, &peer, options);
    if (!stream)
        return -ENOMEM;
    error = cosy_port_register(&stream->port, COSY_PORT_READ);
    int was_nonblocking = error ? 0 : net->set_nonblocking(loop->sys, fd, true);
    if (error || was_nonblocking < 0) {
        cosy_port_release(&stream->port, -COSY_ECLOSED);
        cosy_stream_close(stream);
        return error ? error : was_nonblocking;
    }
    stream->was_blocking = !was_nonblocking;
    stream->read_only = !is_socket && cosy_sys_access_mode(fd) == O_RDONLY;
    if (is_socket && (!options || !options->delay))
        set_nodelay(loop, fd);
    *ret_stream = stream;
    return 0;
}

int cosy_stream_adopt_(int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop)
        return -COSY_ENOLOOP;
    int error = !ret_stream ? -EINVAL : fd < 0 ? -EBADF : cosy_stream_check_options(options);
    return error ? error : adopt(loop, fd, ret_stream, options);
}

int cosy_stream_pair_(cosy_stream *ret_streams[2], const struct cosy_stream_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    int fds[2], error = !loop ? -COSY_ENOLOOP : !ret_streams ? -EINVAL : cosy_stream_check_options(options);
    if (!error)
        error = loop->sys->net->socketpair(loop->sys, AF_UNIX, SOCK_STREAM, 0, fds);
    if (error < 0)
        return error;
    cosy_stream *one = cosy_stream_new(loop, &cosy_socket_stream, fds[0], NULL, options);
    cosy_stream *other = one ? cosy_stream_new(loop, &cosy_socket_stream, fds[1], NULL, options) : NULL;
    if (other) {
        ret_streams[0] = one;
        ret_streams[1] = other;
        return 0;
    }
    if (one)
        cosy_stream_close(one);
    else
        loop->sys->ops->close_fd(loop->sys, fds[0], 0);
    loop->sys->ops->close_fd(loop->sys, fds[1], 0);
    return -ENOMEM;
}

/* ---- the end ---- */

static void stream_free(cosy_stream *stream)
{
    if (stream->kind->release)
        stream->kind->release(stream);
    cosy_loop_release(stream->loop);
    cosy_heap_free(stream->peer_path);
    cosy_heap_free(stream);
}

void cosy_stream_leave(cosy_stream *stream)
{
    if (--stream->users == 0 && stream->closed)
        stream_free(stream);
}

/* Nothing is sent or read any more; who waits is woken with `result`, and still leaves. */
static void shut(cosy_stream *stream, int result, bool abort)
{
    if (abort && stream->lent)
        stream->in_begin = stream->in_end; /* somebody has it still */
    else
        cosy_stream_free_input(stream);
    cosy_stream_lose(stream, result);
    stream->kind->close(stream, result, abort);
}

void cosy_stream_abort(cosy_stream *stream)
{
    if (!stream || stream->closing)
        return;
    stream->closing = true;
    shut(stream, -ECONNABORTED, true);
}

void cosy_stream_end_input(cosy_stream *stream)
{
    stream->eof = true;
    if (stream->port.fd >= 0)
        cosy_port_nudge(&stream->port, COSY_PORT_READ);
}

int cosy_stream_close(cosy_stream *stream)
{
    if (!stream)
        return 0;
    bool cancelled = false, lost = stream->error && !stream->closing && stream->out_lost;
    int result = lost ? stream->error : 0;
    struct cosy_task *me = cosy_task_here();
    bool waits = me && me->future.loop == stream->loop && stream->grace > 0;
    if (!has_loop(stream))
        stream->users = 0; /* tasks that it took along: they will not leave */
    cosy_stream_enter(stream);
    if (!stream->error && cosy_get_write_buffer_size(stream) > 0) {
        cosy_stream_flush_now(stream);
        if (waits && cosy_get_write_buffer_size(stream) > 0)
            result = cosy_stream_drain_to(stream, me, 0, stream->grace, &cancelled);
        else if (stream->error || cosy_get_write_buffer_size(stream) > 0)
            result = stream->error ? stream->error : -ETIMEDOUT;
    }
    if (stream->kind->farewell && !stream->error && result == 0 && has_loop(stream))
        result = stream->kind->farewell(stream, waits && !cancelled ? me : NULL, &cancelled);
    if (result < 0)
        cosy_stream_fail(stream, "closing the stream to", result);
    stream->closed = true;
    if (stream->connection)
        cosy_connection_lost_stream(stream->connection);
    shut(stream, -COSY_ECLOSED, false);
    cosy_stream_leave(stream);
    if (cancelled)
        cosy_task_keep_cancel(me);
    return result;
}

static int take_rest(cosy_stream *stream, void **ret_rest, size_t *ret_size)
{
    size_t size = cosy_stream_buffered(stream);
    if (!ret_rest)
        return 0;
    cosy_stream_take_back(stream);
    *ret_size = size;
    *ret_rest = size ? cosy_heap_alloc(size) : NULL;
    if (size && !*ret_rest)
        return -ENOMEM;
    if (size)
        memcpy(*ret_rest, stream->in + stream->in_begin, size);
    cosy_heap_give(*ret_rest);
    return 0;
}

int cosy_stream_detach(cosy_stream *stream, void **ret_rest, size_t *ret_size)
{
    if (!stream || (ret_rest && !ret_size))
        return -EINVAL;
    if (stream->port.fd < 0 || stream->kind->keeps_descriptor || !has_loop(stream))
        return -ENOTSUP;
    if (stream->users || stream->in_use || stream->raw || cosy_get_write_buffer_size(stream) > 0)
        return -EBUSY;
    int error = take_rest(stream, ret_rest, ret_size);
    if (error)
        return error;
    int fd = cosy_port_release(&stream->port, -COSY_ECLOSED);
    if (stream->was_blocking)
        net_of(stream)->set_nonblocking(stream->loop->sys, fd, false);
    cosy_stream_close(stream);
    return fd;
}

/* ---- what it is ---- */

bool cosy_can_write_eof(const cosy_stream *stream) { return stream->kind->end_output && !stream->read_only; }
bool cosy_stream_is_closing(const cosy_stream *stream) { return stream->closing || stream->error; }
int cosy_stream_fd(const cosy_stream *stream) { return stream->port.fd; }

static int address_of(int result, struct cosy_address *address)
{
    if (result < 0)
        address->size = 0;
    else if (address->size > sizeof address->storage)
        address->size = sizeof address->storage;
    return result == -ENOTSOCK ? -ENOTSUP : result;
}

int cosy_stream_sockname(const cosy_stream *stream, struct cosy_address *ret_address)
{
    *ret_address = (struct cosy_address){.size = sizeof ret_address->storage};
    if (stream->port.fd < 0 || !has_loop(stream))
        return address_of(-ENOTSUP, ret_address);
    return address_of(
        net_of(stream)->getsockname(stream->loop->sys, stream->port.fd, &ret_address->any, &ret_address->size),
        ret_address);
}

/* What it was connected to is known also when the connection is gone. */
int cosy_stream_peername(const cosy_stream *stream, struct cosy_address *ret_address)
{
    *ret_address = (struct cosy_address){.size = sizeof ret_address->storage};
    if (stream->peer_size) {
        ret_address->size = stream->peer_size;
        memcpy(&ret_address->any, stream->peer, stream->peer_size);
        return 0;
    }
    if (stream->port.fd < 0 || !has_loop(stream))
        return address_of(-ENOTSUP, ret_address);
    return address_of(
        net_of(stream)->getpeername(stream->loop->sys, stream->port.fd, &ret_address->any, &ret_address->size),
        ret_address);
}

const char *cosy_stream_peer_text(const cosy_stream *stream, char text[COSY_ADDRESS_TEXT])
{
    struct cosy_address peer = {.size = stream->peer_size};
    if (stream->peer_size) {
        memcpy(&peer.any, stream->peer, stream->peer_size);
        return cosy_address_text(&peer, text);
    }
    snprintf(text, COSY_ADDRESS_TEXT, "%.150s", stream->peer_path ? stream->peer_path : stream->kind->name);
    return text;
}

int cosy_stream_fail(const cosy_stream *stream, const char *doing, int error)
{
    char text[COSY_ADDRESS_TEXT];
    const char *reason = stream->kind->reason ? stream->kind->reason(stream, error) : NULL;
    return cosy_fail(-error, "%s %s: %s", doing, cosy_stream_peer_text(stream, text),
                     reason ? reason : cosy_strerror(error));
}

int cosy_stream_setsockopt(cosy_stream *stream, int level, int name, const void *value, socklen_t size)
{
    if (stream->port.fd < 0 || !has_loop(stream))
        return -ENOTSUP;
    return net_of(stream)->setsockopt(stream->loop->sys, stream->port.fd, level, name, value, size);
}

int cosy_stream_getsockopt(const cosy_stream *stream, int level, int name, void *value, socklen_t *size)
{
    if (stream->port.fd < 0 || !has_loop(stream))
        return -ENOTSUP;
    return net_of(stream)->getsockopt(stream->loop->sys, stream->port.fd, level, name, value, size);
}

static int set_number(cosy_stream *stream, int level, int name, cosy_ns value)
{
    int number = value < 1 ? 1 : value < INT32_MAX ? (int)value : INT32_MAX;
    return cosy_stream_setsockopt(stream, level, name, &number, sizeof number);
}

int cosy_stream_set_keepalive(cosy_stream *stream, cosy_ns idle, cosy_ns interval, int count)
{
    int on = count > 0;
    int error = cosy_stream_setsockopt(stream, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (error || !on)
        return error;
    error = set_number(stream, IPPROTO_TCP, TCP_KEEPIDLE, idle / COSY_S(1)); /* the kernel counts seconds */
    if (!error)
        error = set_number(stream, IPPROTO_TCP, TCP_KEEPINTVL, interval / COSY_S(1));
    return error ? error : set_number(stream, IPPROTO_TCP, TCP_KEEPCNT, count);
}
