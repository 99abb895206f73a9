/* file_steps.h - the steps of jobs on files, blocking, for threads of a pool. */
#ifndef COSY_IO_FILE_STEPS_H
#define COSY_IO_FILE_STEPS_H

#include <fcntl.h>
#include <unistd.h>

#include "../sys/files.h"
#include "file_call.h"

static inline int cosy_step_open(int dir, const char *path, int flags, mode_t mode)
{
    struct cosy_file_op op = {
        .kind = COSY_FILE_OPEN, .dir = dir, .path = path, .flags = flags | O_CLOEXEC, .mode = mode};
    return (int)cosy_file_op_call(&op);
}

/* After an error the descriptor is gone, too. */
static inline int cosy_step_close(int fd)
{
    struct cosy_file_op op = {.kind = COSY_FILE_CLOSE, .fd = fd};
    return (int)cosy_file_op_call(&op);
}

static inline int cosy_step_unlink(int dir, const char *path, int flags)
{
    struct cosy_file_op op = {.kind = COSY_FILE_UNLINK, .dir = dir, .path = path, .flags = flags};
    return (int)cosy_file_op_call(&op);
}

static inline int64_t cosy_step_transfer(enum cosy_file_op_kind kind, int fd, void *data, size_t size, int64_t offset)
{
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct cosy_file_op op = {.kind = (uint8_t)kind, .fd = fd, .parts = &part, .count = 1, .offset = offset};
    return cosy_file_op_call(&op);
}

static inline int cosy_step_sync(int fd)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SYNC, .fd = fd};
    return (int)cosy_file_op_call(&op);
}

static inline int cosy_step_truncate(int fd, int64_t size)
{
    struct cosy_file_op op = {.kind = COSY_FILE_TRUNCATE, .fd = fd, .offset = size};
    return (int)cosy_file_op_call(&op);
}

static inline int64_t cosy_step_seek(int fd, int64_t offset, int whence)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SEEK, .fd = fd, .offset = offset, .flags = whence};
    return cosy_file_op_call(&op);
}

#endif
