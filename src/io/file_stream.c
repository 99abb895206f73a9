/* file_stream.c - files as streams: what lies in memory goes straight to the reader, the rest by way of 64 KiB read
 * ahead. */
#include "file_stream.h"

#include <string.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/files.h"
#include "file.h"
#include "pipe.h"

enum { CHUNK = 65536 };

/* The kernel, or a thread, has it for itself while a task waits for it; a stream is read by one task at a time. */
struct carrier {
    int64_t offset;
    int fd;
    int begin, end, error;
    bool ended, never_try;
    char data[CHUNK];
};

static int64_t advance(struct carrier *file, int64_t result)
{
    if (result > 0 && file->offset >= 0)
        file->offset += result;
    return result;
}

/* Without waiting for a disk. */
static int try_to_read(struct carrier *file, void *buffer, size_t size)
{
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct cosy_file_op op = {
        .kind = COSY_FILE_READ, .fd = file->fd, .parts = &part, .count = 1, .offset = file->offset};
    if (file->never_try)
        return -EAGAIN;
    int64_t got = advance(file, cosy_file_op_try(&op));
    if (got >= 0)
        return (int)got;
    file->never_try = got == -EOPNOTSUPP || got == -EINVAL || got == -ENOSYS;
    return -EAGAIN; /* an error comes again where it can be waited for */
}

static int file_receive(cosy_stream *stream, void *buffer, size_t size)
{
    struct carrier *file = stream->carrier;
    size_t there = (size_t)(file->end - file->begin), taken = size < there ? size : there;
    if (there == 0) {
        bool ended = file->ended;
        int error = file->error;
        file->ended = false; /* a file that grows goes on when it is asked again */
        file->error = 0;
        return error ? error : ended ? 0 : try_to_read(file, buffer, size < CHUNK ? size : CHUNK);
    }
    memcpy(buffer, file->data + file->begin, taken);
    file->begin += (int)taken;
    return (int)taken;
}

/* Waits itself, in the task's call. Also when it is cancelled it comes back only when nobody uses the memory any more:
 * what was read is the next call's. */
static int file_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    struct carrier *file = stream->carrier;
    struct cosy_task *me = cosy_task_here();
    (void)waiter;
    if (side == COSY_PORT_WRITE || !me)
        return -EAGAIN;
    struct iovec part = {.iov_base = file->data, .iov_len = CHUNK};
    struct cosy_file_op op = {
        .kind = COSY_FILE_READ, .fd = file->fd, .parts = &part, .count = 1, .offset = file->offset};
    int64_t got = advance(file, cosy_file_run(me, &op, false));
    if (got == -ECANCELED)
        return -ECANCELED;
    file->begin = 0;
    file->end = got > 0 ? (int)got : 0;
    file->ended = got == 0;
    file->error = got < 0 ? (int)got : 0;
    return 1;
}

static int file_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    struct carrier *file = stream->carrier;
    struct cosy_file_op op = {
        .kind = COSY_FILE_WRITE, .fd = file->fd, .parts = parts, .count = count, .offset = file->offset};
    return (int)advance(file, cosy_file_op_call(&op));
}

/* A task may be reading: the descriptor is closed when it has come back. */
static void file_close(cosy_stream *stream, int result, bool abort)
{
    (void)stream;
    (void)result;
    (void)abort;
}

static void file_release(cosy_stream *stream)
{
    struct carrier *file = stream->carrier;
    close(file->fd);
    cosy_heap_free(file);
}

static const struct cosy_stream_kind file_stream = {.name = "file",
                                                    .receive = file_receive,
                                                    .send = file_send,
                                                    .wait = file_wait,
                                                    .close = file_close,
                                                    .release = file_release};

int cosy_file_stream_new(struct cosy_loop *loop, int fd, int64_t offset, cosy_stream **ret_stream,
                         const struct cosy_stream_options *options)
{
    struct carrier *file = cosy_heap_alloc(sizeof *file);
    cosy_stream *stream = file ? cosy_stream_new(loop, &file_stream, -1, NULL, options) : NULL;
    if (!stream) {
        cosy_heap_free(file);
        return -ENOMEM;
    }
    memset(file, 0, offsetof(struct carrier, data));
    file->fd = fd;
    file->offset = offset;
    stream->carrier = file;
    *ret_stream = stream;
    return 0;
}

/* ---- of files that the program has opened ---- */

int cosy_file_stream_(cosy_file *file, cosy_stream **ret_stream, const struct cosy_stream_options *options)
{
    int result = !file || !ret_stream                ? -EINVAL
                 : file->loop != cosy_running_loop() ? -COSY_EOTHERLOOP
                                                     : cosy_stream_check_options(options);
    if (result == 0)
        result = cosy_sys_dup(file->fd);
    if (result < 0)
        return result;
    int fd = result;
    result = cosy_file_stream_new(file->loop, fd, file->position, ret_stream, options);
    if (result < 0)
        close(fd);
    else
        (*ret_stream)->peer_path = cosy_heap_strdup(file->path); /* without memory, messages do not have it */
    return result;
}

cosy_async int cosy_file_open_stream_(const char *path, cosy_stream **ret_stream,
                                      const struct cosy_stream_options *options)
{
    cosy_file *file = NULL;
    int result = ret_stream ? cosy_file_open(path, O_RDONLY, &file) : -EINVAL;
    if (result == 0)
        result = cosy_file_stream_(file, ret_stream, options);
    cosy_file_close(file); /* of a file that is only read it does not suspend */
    return result;
}
