/* fds.c - descriptors in the control messages of Unix streams. */
#include <cosy/fds.h>

#include <string.h>

#include "stream.h"

/* The length is exact: with the padding of CMSG_SPACE the kernel would find room for one more than there is. */
union control {
    struct cmsghdr header;
    unsigned char bytes[CMSG_LEN(COSY_FDS_MOST * sizeof(int))];
};

/* Waits until it may try again. 0, or why not. */
static int wait_for_side(cosy_stream *stream, struct cosy_task *me, enum cosy_port_side side)
{
    int result = cosy_stream_await(me, stream, side);
    if (result < 0)
        return result;
    if (stream->error && side == COSY_PORT_WRITE)
        return stream->error;
    return stream->closing ? -ECONNABORTED : stream->closed ? -COSY_ECLOSED : 0;
}

/* ---- sending ---- */

struct outgoing {
    const void *data;
    size_t size;
    const int *fds;
    size_t count;
};

/* One attempt. Its frame is gone when the task waits. */
static __attribute__((noinline)) int try_to_send(cosy_stream *stream, const struct outgoing *out)
{
    union control control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)out->data, .iov_len = out->size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(out->count * sizeof(int))};
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(out->count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), out->fds, out->count * sizeof(int));
    return COSY_PORT_CALL(&stream->port, COSY_PORT_WRITE, sendmsg, &message, 0);
}

/* What is wrong with the call, and not with the connection. */
static bool is_callers_fault(int error)
{
    return error == -EBADF || error == -EINVAL || error == -ETOOMANYREFS || error == -EPERM || error == -ENOMEM ||
           error == -ENOBUFS;
}

/* How many bytes went with the descriptors. */
static int send_first(cosy_stream *stream, struct cosy_task *me, const struct outgoing *out)
{
    for (;;) {
        int sent = cosy_port_may(&stream->port, COSY_PORT_WRITE) ? try_to_send(stream, out) : -EAGAIN;
        if (sent == -EAGAIN)
            sent = wait_for_side(stream, me, COSY_PORT_WRITE);
        else if (sent < 0 && !is_callers_fault(sent))
            cosy_stream_lose(stream, sent);
        if (sent != 0)
            return sent;
    }
}

static int send_all(cosy_stream *stream, struct cosy_task *me, const struct outgoing *out)
{
    int result = cosy_stream_begin_raw(stream, me);
    if (result < 0)
        return result;
    result = send_first(stream, me, out);
    size_t left = result > 0 ? out->size - (size_t)result : 0;
    if (left > 0 && cosy_stream_append(stream, (const char *)out->data + result, left) < 0) {
        result = -ENOMEM;
        cosy_stream_lose(stream, result); /* the peer has the beginning of something that never ends */
    }
    cosy_stream_end_raw(stream);
    if (result > 0)
        return left > 0 ? cosy_drain(stream) : 0;
    return result == -ECANCELED || result == -ENOMEM ? result
                                                     : cosy_stream_fail(stream, "sending descriptors to", result);
}

/* TCP would send the bytes and say nothing. */
static bool is_local(const cosy_stream *stream)
{
    struct cosy_address own;
    return stream->kind == &cosy_socket_stream &&
           (cosy_stream_sockname(stream, &own) < 0 || own.any.sa_family == AF_UNIX);
}

int cosy_send_fds(cosy_stream *stream, const void *data, size_t size, const int *fds, size_t count)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_send_fds");
    struct outgoing out = {data, size, fds, count};
    if (!me)
        return -COSY_ENOTASK;
    if (!stream || !data || size == 0 || !fds || count == 0 || count > COSY_FDS_MOST || !is_local(stream))
        return -EINVAL;
    cosy_stream_enter(stream);
    int result = send_all(stream, me, &out);
    cosy_stream_leave(stream);
    return result;
}

/* ---- receiving ---- */

struct incoming {
    void *buffer;
    size_t size;
    int *fds;
    size_t room, count;
};

static void close_all(cosy_stream *stream, const int *fds, size_t count)
{
    struct cosy_sys *sys = stream->loop->sys;
    for (size_t i = 0; i < count; i++)
        sys->ops->close_fd(sys, fds[i], 0);
}

/* Takes them out of a message. Other control messages (credentials) are not asked for. */
static void take(struct incoming *in, struct msghdr *message)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(in->fds + in->count, CMSG_DATA(header), count * sizeof(int));
        in->count += count;
    }
}

static __attribute__((noinline)) int try_to_receive(cosy_stream *stream, struct incoming *in)
{
    union control control;
    struct iovec part = {.iov_base = in->buffer, .iov_len = in->size};
    size_t room = in->room < COSY_FDS_MOST ? in->room : COSY_FDS_MOST;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(room * sizeof(int))};
    int got = COSY_PORT_CALL(&stream->port, COSY_PORT_READ, recvmsg, &message, 0);
    if (got < 0)
        return got;
    take(in, &message);
    if (!(message.msg_flags & MSG_CTRUNC))
        return got;
    close_all(stream, in->fds, in->count);
    in->count = 0;
    return cosy_fail(COSY_ELIMIT, "more than %zu descriptors came with a message", in->room);
}

static int receive(cosy_stream *stream, struct cosy_task *me, struct incoming *in)
{
    for (;;) {
        if (stream->closing || stream->closed)
            return stream->closing ? -ECONNABORTED : -COSY_ECLOSED;
        if (stream->read_error || stream->eof)
            return stream->read_error;
        int got = cosy_port_may(&stream->port, COSY_PORT_READ) ? try_to_receive(stream, in) : -EAGAIN;
        if (got == 0)
            stream->eof = true;
        if (got != -EAGAIN)
            return got;
        got = wait_for_side(stream, me, COSY_PORT_READ);
        if (got < 0)
            return got;
    }
}

int64_t cosy_recv_fds(cosy_stream *stream, void *buffer, size_t size, int *fds, size_t room, size_t *ret_count)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_recv_fds");
    struct incoming in = {.buffer = buffer, .size = size, .fds = fds, .room = room};
    if (!me)
        return -COSY_ENOTASK;
    if (!stream || !buffer || size == 0 || !fds || room == 0 || !ret_count || stream->kind != &cosy_socket_stream)
        return -EINVAL;
    *ret_count = 0;
    if (stream->in_use)
        return cosy_stream_fail(stream, "another task is reading from", -EBUSY);
    if (cosy_stream_buffered(stream) > 0)
        return cosy_fail(COSY_EINVALIDSTATE, "%zu bytes were read before: descriptors that came with them are lost",
                         cosy_stream_buffered(stream));
    stream->in_use = true;
    cosy_stream_enter(stream);
    cosy_stream_flush_gathered(stream);
    int result = receive(stream, me, &in);
    stream->in_use = false;
    *ret_count = in.count;
    if (result < 0 && result != -ECANCELED && result != -COSY_ELIMIT)
        result = cosy_stream_fail(stream, "receiving descriptors from", result);
    cosy_stream_leave(stream);
    return result;
}
