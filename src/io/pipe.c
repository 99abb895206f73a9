/* pipe.c - pipes, and the kinds of streams that descriptors other than sockets make. */
#include "pipe.h"

#include <fcntl.h>

#include "../sys/files.h"

/* ---- an end that can only be written ---- */

/* Nothing ever comes, but the kernel tells when the reader is gone. */
static int writer_receive(cosy_stream *stream, void *buffer, size_t size)
{
    (void)buffer;
    (void)size;
    if (stream->port.read_end)
        return 0;
    cosy_port_would_block(&stream->port, COSY_PORT_READ);
    return -EAGAIN;
}

static int pipe_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    return cosy_pipe_stream.send(stream, parts, count);
}

static int pipe_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    return cosy_pipe_stream.wait(stream, side, waiter);
}

static int pipe_end_output(cosy_stream *stream)
{
    return cosy_pipe_stream.end_output(stream);
}

static void pipe_close(cosy_stream *stream, int result, bool abort)
{
    cosy_pipe_stream.close(stream, result, abort);
}

const struct cosy_stream_kind cosy_writer_stream = {.name = "pipe",
                                                    .receive = writer_receive,
                                                    .send = pipe_send,
                                                    .wait = pipe_wait,
                                                    .end_output = pipe_end_output,
                                                    .close = pipe_close};

/* ---- terminals ---- */

static int terminal_receive(cosy_stream *stream, void *buffer, size_t size)
{
    int got = cosy_pipe_stream.receive(stream, buffer, size);
    return got == -EIO && cosy_sys_is_master(stream->port.fd) ? 0 : got;
}

static void terminal_close(cosy_stream *stream, int result, bool abort)
{
    cosy_tty_forget(stream);
    cosy_pipe_stream.close(stream, result, abort);
}

/* Closing one direction would close both. */
const struct cosy_stream_kind cosy_terminal_stream = {
    .name = "terminal", .receive = terminal_receive, .send = pipe_send, .wait = pipe_wait, .close = terminal_close};

const struct cosy_stream_kind *cosy_pipe_kind(int fd)
{
    struct stat status;
    if (cosy_sys_stat_fd(fd, &status) == 0 && S_ISCHR(status.st_mode))
        return &cosy_terminal_stream;
    return cosy_sys_access_mode(fd) == O_WRONLY ? &cosy_writer_stream : &cosy_pipe_stream;
}

/* ---- a new one ---- */

int cosy_pipe_(cosy_stream **ret_reader, cosy_stream **ret_writer, const struct cosy_stream_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    int fds[2], result = !loop                        ? -COSY_ENOLOOP
                         : !ret_reader || !ret_writer ? -EINVAL
                                                      : cosy_stream_check_options(options);
    if (result == 0)
        result = loop->sys->net->pipe(loop->sys, fds);
    if (result < 0)
        return result;
    cosy_stream *reader = cosy_stream_new(loop, &cosy_pipe_stream, fds[0], NULL, options);
    cosy_stream *writer = reader ? cosy_stream_new(loop, &cosy_writer_stream, fds[1], NULL, options) : NULL;
    if (writer) {
        reader->read_only = true;
        *ret_reader = reader;
        *ret_writer = writer;
        return 0;
    }
    if (reader)
        cosy_stream_close(reader);
    else
        loop->sys->ops->close_fd(loop->sys, fds[0], 0);
    loop->sys->ops->close_fd(loop->sys, fds[1], 0);
    return -ENOMEM;
}
