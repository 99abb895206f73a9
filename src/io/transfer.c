/* transfer.c - sendfile, and streams that are spliced through a pipe. */
#include <cosy/transfer.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cosy/executor.h>
#include <cosy/gather.h>

#include "../base/heap.h"
#include "../loop/buffers.h"
#include "stream.h"

enum { PIECE = 1 << 20 };    /* asked of the kernel in one call: other tasks have their turn in between */
enum { BIG_PIPE = 1 << 19, BIG_PIPES = 32 };
enum { MUCH = 16384 };       /* that comes at once: worth a pipe */
enum { FILE_PIECE = 65536 }; /* read in a thread by one job */

static bool is_plain(const cosy_stream *stream)
{
    return stream->kind == &cosy_socket_stream || stream->kind == &cosy_pipe_stream;
}

/* Gives others their turn, and notices what happened meanwhile. */
static int64_t pause_if_due(cosy_stream *stream)
{
    int result = cosy_stream_had_its_turn(stream) ? cosy_yield() : 0;
    return stream->error ? stream->error : result;
}

/* ---- files ---- */

struct sending {
    cosy_stream *stream;
    struct cosy_task *me;
    int file;
    off_t offset;
    int64_t left, sent; /* left: INT64_MAX: to the end */
};

static size_t piece_of(const struct sending *sending, size_t most)
{
    return sending->left < (int64_t)most ? (size_t)sending->left : most;
}

static bool is_refusal(int error)
{
    return error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP || error == -EOVERFLOW || error == -ESPIPE;
}

/* 0: all is sent, or the file has ended. 1: the kernel will not. Negative: failed. */
static int64_t send_natively(struct sending *sending)
{
    cosy_stream *stream = sending->stream;
    while (sending->left > 0) {
        int64_t sent = !cosy_port_may(&stream->port, COSY_PORT_WRITE)
                           ? -EAGAIN
                           : COSY_PORT_CALL(&stream->port, COSY_PORT_WRITE, sendfile, sending->file, &sending->offset,
                                            piece_of(sending, PIECE));
        if (sent == 0)
            return 0;
        if (sent == -EAGAIN)
            sent = cosy_stream_await(sending->me, stream, COSY_PORT_WRITE);
        else if (sent > 0) {
            sending->left -= sending->left == INT64_MAX ? 0 : sent;
            sending->sent += sent;
            cosy_stream_count(stream, (size_t)sent);
            sent = pause_if_due(stream);
        } else if (is_refusal((int)sent) && sending->sent == 0)
            return 1;
        else
            cosy_stream_lose(stream, (int)sent);
        if (sent < 0)
            return sent;
    }
    return 0;
}

static int read_piece(int file, char *buffer, size_t size, off_t offset)
{
    ssize_t got;
    do
        got = pread(file, buffer, size, offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : (int)got;
}

/* In a thread, because a disk may keep its reader waiting. */
static int64_t send_copies(struct sending *sending, char *buffer)
{
    while (sending->left > 0) {
        int64_t got = cosy_run_in_executor(cosy_default_executor(COSY_POOL_FILES), read_piece, sending->file, buffer,
                                           piece_of(sending, FILE_PIECE), sending->offset);
        if (got <= 0)
            return got;
        int result = cosy_write(sending->stream, buffer, (size_t)got);
        if (result < 0 && result != -ECANCELED)
            return result;
        sending->offset += got;
        sending->left -= sending->left == INT64_MAX ? 0 : got;
        sending->sent += got;
        if (result < 0)
            return result;
    }
    return 0;
}

static int64_t send_by_copying(struct sending *sending)
{
    char *buffer = cosy_heap_alloc(FILE_PIECE);
    if (!buffer)
        return -ENOMEM;
    int64_t result = send_copies(sending, buffer);
    cosy_heap_free(buffer);
    return result;
}

static int64_t try_natively(struct sending *sending)
{
    cosy_stream *stream = sending->stream;
    if (!is_plain(stream))
        return 1;
    int64_t result = cosy_stream_begin_raw(stream, sending->me);
    if (result < 0)
        return result;
    result = send_natively(sending);
    cosy_stream_end_raw(stream);
    return result;
}

int64_t cosy_sendfile_(cosy_stream *stream, int file, int64_t offset, int64_t count,
                       const struct cosy_sendfile_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_sendfile");
    if (!me)
        return -COSY_ENOTASK;
    if (!stream || file < 0 || offset < 0 || count < 0)
        return -EINVAL;
    struct sending sending = {
        .stream = stream, .me = me, .file = file, .offset = offset, .left = count ? count : INT64_MAX};
    cosy_stream_enter(stream);
    int64_t result = try_natively(&sending);
    if (result == 1 && options->native_only)
        result = cosy_fail(COSY_ENOSENDFILE, "the kernel cannot send descriptor %d into a %s stream", file,
                           stream->kind->name);
    else if (result == 1)
        result = send_by_copying(&sending);
    else if (result < 0 && result == stream->error)
        result = cosy_stream_fail(stream, "sending a file to", (int)result);
    cosy_stream_leave(stream);
    if (options->ret_sent)
        *options->ret_sent = sending.sent;
    return result < 0 ? result : sending.sent;
}

/* ---- from stream to stream ---- */

struct moving {
    cosy_stream *from, *to;
    struct cosy_task *me;
    int pipe[2];
    bool big;
    size_t in_pipe;
    bool no_splice;    /* the kernel will not */
    int64_t left, moved;
};

static size_t part_of(const struct moving *moving, size_t most)
{
    return moving->left < (int64_t)most ? (size_t)moving->left : most;
}

static void count_moved(struct moving *moving, size_t size)
{
    moving->left -= moving->left == INT64_MAX ? 0 : (int64_t)size;
    moving->moved += (int64_t)size;
}

/* One chunk by way of the buffer: how many bytes, 0 at the end. */
static int64_t move_chunk(struct moving *moving)
{
    char *chunk;
    int64_t got = cosy_peek(moving->from, &chunk, 1);
    if (got <= 0)
        return got;
    size_t size = part_of(moving, (size_t)got);
    int result = cosy_write(moving->to, chunk, size);
    if (result < 0 && result != -ECANCELED)
        return result;
    cosy_skip(moving->from, size);
    count_moved(moving, size);
    return result < 0 ? result : (int64_t)size;
}

/* The pipe's end of the kernel table; EINTR is tried again. */
static int splice_call(struct moving *moving, int in, int out, size_t size)
{
    bool ours = out == moving->pipe[1];
    struct cosy_sys *sys = moving->from->loop->sys;
    int result;
    do
        result = sys->net->splice(sys, in, out, size, ours);
    while (result == -EINTR);
    return result;
}

/* Empties the pipe into `to`. */
static int64_t pour_out(struct moving *moving)
{
    cosy_stream *to = moving->to;
    while (moving->in_pipe > 0) {
        int64_t sent = cosy_port_may(&to->port, COSY_PORT_WRITE)
                           ? splice_call(moving, moving->pipe[0], to->port.fd, moving->in_pipe)
                           : -EAGAIN;
        if (sent > 0) {
            moving->in_pipe -= (size_t)sent;
            continue;
        }
        if (sent == -EAGAIN) {
            cosy_port_would_block(&to->port, COSY_PORT_WRITE);
            sent = cosy_stream_await(moving->me, to, COSY_PORT_WRITE);
        } else
            cosy_stream_lose(to, sent ? (int)sent : -EPIPE);
        if (to->error)
            sent = to->error;
        if (sent < 0)
            return sent;
    }
    return 0;
}

/* How many bytes, 0 at the end; 1 << 62: the kernel will not. */
static const int64_t REFUSED = INT64_C(1) << 62;

static int64_t splice_some(struct moving *moving)
{
    cosy_stream *from = moving->from;
    for (;;) {
        if (from->closing)
            return -ECONNABORTED;
        int64_t got = cosy_port_may(&from->port, COSY_PORT_READ)
                          ? splice_call(moving, from->port.fd, moving->pipe[1], part_of(moving, PIECE))
                          : -EAGAIN;
        if (got > 0) {
            moving->in_pipe = (size_t)got;
            cosy_stream_count(from, (size_t)got);
            count_moved(moving, (size_t)got);
            int64_t result = pour_out(moving);
            return result < 0 ? result : got;
        }
        if (got == 0)
            got = cosy_stream_end_of_input(from);
        if (got == 0)
            return 0;
        if (is_refusal((int)got))
            return REFUSED;
        if (got != -EAGAIN) {
            from->read_error = (int)got;
            return cosy_stream_fail(from, "reading from", (int)got);
        }
        cosy_port_would_block(&from->port, COSY_PORT_READ);
        got = cosy_stream_await(moving->me, from, COSY_PORT_READ);
        if (got < 0)
            return got;
    }
}

/* What a cancelled call has left in the pipe belongs to `to`. */
static void empty_pipe(struct moving *moving)
{
    struct cosy_sys *sys = moving->from->loop->sys;
    while (moving->in_pipe > 0 && !moving->to->error) {
        char *buffer = cosy_buffer_take(moving->from->loop);
        struct iovec part = {.iov_base = buffer, .iov_len = COSY_BUFFER_SIZE};
        int got = buffer ? sys->net->readv(sys, moving->pipe[0], &part, 1) : -ENOMEM;
        int result = got > 0 ? cosy_stream_append(moving->to, buffer, (size_t)got) : got;
        if (buffer)
            cosy_buffer_give(moving->from->loop, buffer);
        if (result == -EINTR)
            continue;
        if (result < 0 || got == 0) {
            cosy_stream_lose(moving->to, result < 0 ? result : -EIO);
            return;
        }
        moving->in_pipe -= (size_t)got;
    }
}

/* Big pipes take few calls, and the kernel lets each user have 64 MiB of them, then makes new ones tiny: a process
 * takes a part. */
static _Atomic int big_pipes;

static int open_pipe(struct moving *moving)
{
    struct cosy_sys *sys = moving->from->loop->sys;
    int error = sys->net->pipe(sys, moving->pipe);
    if (error < 0)
        return error;
    moving->big = atomic_fetch_add(&big_pipes, 1) < BIG_PIPES;
    if (moving->big)
        sys->net->grow_pipe(sys, moving->pipe[1], BIG_PIPE);
    else
        atomic_fetch_sub(&big_pipes, 1);
    return 0;
}

static void close_pipe(struct moving *moving)
{
    struct cosy_sys *sys = moving->from->loop->sys;
    for (int i = 0; i < 2; i++)
        sys->ops->close_fd(sys, moving->pipe[i], 0);
    if (moving->big)
        atomic_fetch_sub(&big_pipes, 1);
}

/* While much comes: the kernel moves it. Ends when little comes, so that a quiet connection holds no pipe. 0: nothing
 * comes at the moment, or `from` has ended. */
static int64_t splice_while_it_pays(struct moving *moving)
{
    if (open_pipe(moving) < 0)
        return REFUSED;
    int64_t result = cosy_stream_begin_raw(moving->to, moving->me);
    if (result == 0) {
        moving->from->in_use = true;
        do {
            result = splice_some(moving);
            if (result > 0 && result != REFUSED) {
                int64_t paused = pause_if_due(moving->from);
                result = paused < 0 ? paused : result;
            }
        } while (result >= MUCH && result != REFUSED && moving->left > 0);
        moving->from->in_use = false;
        if (result < 0)
            empty_pipe(moving);
        cosy_stream_end_raw(moving->to);
    }
    close_pipe(moving);
    return result;
}

static int64_t move_all(struct moving *moving)
{
    bool can = is_plain(moving->from) && is_plain(moving->to);
    while (moving->left > 0) {
        int64_t result = move_chunk(moving);
        if (result <= 0)
            return result;
        bool much = result >= MUCH && cosy_stream_buffered(moving->from) == 0;
        if (!can || !much || moving->from->eof || moving->left == 0)
            continue;
        result = splice_while_it_pays(moving);
        if (result < 0)
            return result;
        can = result != REFUSED;
    }
    return 0;
}

int64_t cosy_transfer(cosy_stream *from, cosy_stream *to, int64_t most)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_transfer");
    if (!me)
        return -COSY_ENOTASK;
    if (!from || !to || from == to || most < 0)
        return -EINVAL;
    struct moving moving = {.from = from, .to = to, .me = me, .left = most ? most : INT64_MAX};
    cosy_stream_enter(from);
    cosy_stream_enter(to);
    int64_t result = move_all(&moving);
    cosy_stream_leave(from);
    cosy_stream_leave(to);
    return result < 0 ? result : moving.moved;
}

static int forward(cosy_stream *from, cosy_stream *to)
{
    cosy_try(cosy_transfer(from, to, 0));
    return cosy_can_write_eof(to) ? cosy_write_eof(to) : 0;
}

int cosy_relay(cosy_stream *one, cosy_stream *other)
{
    if (!one || !other)
        return -EINVAL;
    return cosy_gather_with((.cancel_rest = true), cosy_call(forward, one, other), cosy_call(forward, other, one));
}
