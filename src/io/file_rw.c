/* file_rw.c - reading and writing open files, at their position and elsewhere.
 *
 * Each part is tried in place first, without waiting for a disk (RWF_NOWAIT): what lies in the page cache costs one
 * system call and no switch of tasks. A file whose parts are not there is tried less and less often, down to one in 32.
 * Small reads of many tasks go to the kernel together, where it takes them: one system call for all, instead of one
 * each.
 */
#include "../sys/files.h"
#include "file.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <cosy/task.h>
#include <cosy/trace.h>

enum {
    TRIED = 256 * 1024,       /* at most in place: other tasks wait meanwhile */
    GIVEN = 16 * 1024 * 1024, /* at most in one operation of the kernel's */
    TURN_BYTES = 256 * 1024,  /* in one turn of the loop, before other tasks have theirs */
    MISSES = 5,               /* 1 << MISSES - 1 operations are given to the kernel between two tries */
    SMALL = 16 * 1024,        /* below that, the call costs as much as the bytes */
    CROWD = 4,                /* measured: fewer reads do not pay for the way through the kernel's queue */
};

/* Whether as many stand in the ready queue, the mark of the turn's end included. One that goes round the end of its
 * array counts as long. */
static inline bool is_crowded(const struct cosy_loop *loop)
{
    return (size_t)(loop->tail - loop->head) >= CROWD;
}

/* Whether a read is likely to be one of several in this turn, all of which the kernel has at hand. */
static inline bool goes_with_others(const struct cosy_file *file, const struct cosy_file_op *op, size_t size)
{
    const struct cosy_loop *loop = file->loop;
    return file->at_hand && size <= SMALL && op->kind == COSY_FILE_READ && loop->sys->ops->submit &&
           ((loop->file_ops > 0 && loop->file_turn == cosy_loop_turns(loop)) || is_crowded(loop));
}

/* A read or a write. Other fields say nothing about it, and are not even cleared: that would take longer. */
static inline void set_up(struct cosy_file_op *op, const struct cosy_file *file, enum cosy_file_op_kind kind,
                          const struct iovec *parts, int count, int64_t offset)
{
    op->kind = (uint8_t)kind;
    op->needs_thread = false;
    op->fd = file->fd;
    op->path = file->path;
    op->parts = parts;
    op->count = count;
    op->offset = offset;
}

static bool may_try(struct cosy_file *file, int side)
{
    if (file->never_try[side] || file->untried[side] > 0) {
        file->untried[side] -= file->untried[side] > 0;
        return false;
    }
    return true;
}

/* In place: true when *ret_result is the answer. */
static bool had_at_once(struct cosy_file *file, struct cosy_file_op *op, int64_t *ret_result)
{
    int side = op->kind == COSY_FILE_WRITE;
    int64_t result = file->in_memory ? cosy_file_op_call(op) : cosy_file_op_try(op);
    if (result == -EOPNOTSUPP && !file->in_memory && (file->in_memory = cosy_sys_is_in_memory(file->fd)))
        result = cosy_file_op_call(op);
    *ret_result = result;
    if (!side)
        file->at_hand = result >= 0 && !file->in_memory;
    if (result == -EAGAIN) {
        file->misses[side] += file->misses[side] < MISSES;
        file->untried[side] = (uint8_t)((1u << file->misses[side]) - 2);
        return false;
    }
    if (result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS) {
        file->never_try[side] = true;
        file->writes_wait |= side == 1 && result == -EOPNOTSUPP;
    }
    if (result < 0)
        return result != -EOPNOTSUPP && result != -EINVAL && result != -ENOSYS && result != -EINTR;
    file->misses[side] = 0;
    file->spent = file->turn == cosy_loop_turns(file->loop) ? file->spent + (uint32_t)result : (uint32_t)result;
    file->turn = cosy_loop_turns(file->loop);
    return true;
}

/* A task whose file is always in memory would keep the loop for itself. */
static int give_others_a_turn(const struct cosy_file *file)
{
    return likely(file->spent <= TURN_BYTES) || file->turn != cosy_loop_turns(file->loop) ? 0 : cosy_yield();
}

/* By the kernel's queue, or in the pool. */
static int64_t run_elsewhere(const struct cosy_file *file, struct cosy_task *me, struct cosy_file_op *op)
{
    op->needs_thread = file->writes_wait && op->kind == COSY_FILE_WRITE;
    return cosy_file_run(me, op, false);
}

static int64_t run_once(struct cosy_file *file, struct cosy_task *me, struct cosy_file_op *op)
{
    int64_t result = give_others_a_turn(file);
    if (result < 0)
        return result;
    if (may_try(file, op->kind == COSY_FILE_WRITE) && had_at_once(file, op, &result))
        return result;
    return run_elsewhere(file, me, op);
}

/* One part of what is left. */
static int64_t run_part(struct cosy_file *file, struct cosy_task *me, struct cosy_file_op *op, struct iovec *part,
                        size_t left)
{
    int64_t result = give_others_a_turn(file);
    if (result < 0)
        return result;
    part->iov_len = left < TRIED ? left : TRIED;
    if (goes_with_others(file, op, left))
        return cosy_file_run(me, op, false);
    if (may_try(file, op->kind == COSY_FILE_WRITE) && had_at_once(file, op, &result))
        return result;
    part->iov_len = left < GIVEN ? left : GIVEN;
    return run_elsewhere(file, me, op);
}

/* All of it, or up to the end of the file: how many bytes; *ret_error is what ended it before. */
static size_t run_all(struct cosy_file *file, struct cosy_task *me, struct cosy_file_op *op, struct iovec *part,
                      size_t size, int *ret_error)
{
    size_t done = 0;
    *ret_error = 0;
    while (done < size) {
        int64_t result = run_part(file, me, op, part, size - done);
        if (likely(result == (int64_t)(size - done)))
            return size;
        if (result == 0 && op->kind == COSY_FILE_WRITE)
            result = -EIO;
        if (result <= 0) {
            *ret_error = (int)result;
            break;
        }
        done += (size_t)result;
        part->iov_base = (char *)part->iov_base + result;
        if (op->offset >= 0)
            op->offset += result;
        if (op->kind == COSY_FILE_READ && !file->whole)
            break;
    }
    return done;
}

/* What was read is returned; why there was no more meets the next call. */
static int64_t read_result(struct cosy_task *me, size_t done, int error)
{
    if (done == 0)
        return error;
    if (error == -ECANCELED)
        cosy_task_keep_cancel(me);
    return (int64_t)done;
}

cosy_async int64_t cosy_file_read(cosy_file *file, void *buffer, size_t size)
{
    int error;
    struct cosy_task *me = cosy_file_enter_alone(file, "cosy_file_read", &error);
    if (!me)
        return error;
    struct iovec part = {.iov_base = buffer};
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_READ, &part, 1, file->position);
    size_t done = run_all(file, me, &op, &part, size, &error);
    if (file->position >= 0)
        file->position += (int64_t)done;
    file->busy = false;
    return cosy_file_told(file, "reading", read_result(me, done, error));
}

cosy_async int cosy_file_write(cosy_file *file, const void *data, size_t size)
{
    int error;
    struct cosy_task *me = cosy_file_enter_alone(file, "cosy_file_write", &error);
    if (!me)
        return error;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data};
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_WRITE, &part, 1, file->position);
    size_t done = run_all(file, me, &op, &part, size, &error);
    if (file->position >= 0)
        file->position += (int64_t)done;
    file->busy = false;
    return (int)cosy_file_told(file, "writing", error);
}

/* A negative offset would mean the descriptor's position. */
static int check_offset(const cosy_file *file, int64_t offset)
{
    return !file || file->closed ? 0 : !file->seekable ? -ESPIPE : offset < 0 ? -EINVAL : 0;
}

cosy_async int64_t cosy_file_pread(cosy_file *file, void *buffer, size_t size, int64_t offset)
{
    int error;
    struct cosy_task *me = cosy_file_enter(file, "cosy_file_pread", &error);
    if (!me)
        return error;
    struct iovec part = {.iov_base = buffer};
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_READ, &part, 1, offset);
    size_t done = 0;
    error = check_offset(file, offset);
    if (!error)
        done = run_all(file, me, &op, &part, size, &error);
    return cosy_file_told(file, "reading", read_result(me, done, error));
}

cosy_async int cosy_file_pwrite(cosy_file *file, const void *data, size_t size, int64_t offset)
{
    int error;
    struct cosy_task *me = cosy_file_enter(file, "cosy_file_pwrite", &error);
    if (!me)
        return error;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data};
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_WRITE, &part, 1, offset);
    error = check_offset(file, offset);
    if (!error)
        run_all(file, me, &op, &part, size, &error);
    return (int)cosy_file_told(file, "writing", error);
}

/* ---- several pieces ---- */

cosy_async static int64_t run_parts(cosy_file *file, struct cosy_task *me, struct cosy_file_op *op)
{
    int error = op->count < 0 || op->count > IOV_MAX ? -EINVAL : op->offset == -1 ? 0 : check_offset(file, op->offset);
    bool here = op->offset == -1;
    if (here)
        op->offset = file->position;
    int64_t result = error ? error : run_once(file, me, op);
    if (here && result > 0 && file->position >= 0)
        file->position += result;
    if (here)
        file->busy = false;
    return result;
}

cosy_async int64_t cosy_file_preadv(cosy_file *file, const struct iovec *parts, int count, int64_t offset)
{
    int error;
    struct cosy_task *me = offset == -1 ? cosy_file_enter_alone(file, "cosy_file_preadv", &error)
                                        : cosy_file_enter(file, "cosy_file_preadv", &error);
    if (!me)
        return error;
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_READ, parts, count, offset);
    return cosy_file_told(file, "reading", run_parts(file, me, &op));
}

cosy_async int64_t cosy_file_pwritev(cosy_file *file, const struct iovec *parts, int count, int64_t offset)
{
    int error;
    struct cosy_task *me = offset == -1 ? cosy_file_enter_alone(file, "cosy_file_pwritev", &error)
                                        : cosy_file_enter(file, "cosy_file_pwritev", &error);
    if (!me)
        return error;
    struct cosy_file_op op;
    set_up(&op, file, COSY_FILE_WRITE, parts, count, offset);
    return cosy_file_told(file, "writing", run_parts(file, me, &op));
}

/* ---- the position ---- */

/* Where the kernel looks for the place itself, it may have to read. */
static bool needs_kernel(int whence)
{
    return whence == SEEK_END || whence == SEEK_DATA || whence == SEEK_HOLE;
}

static int64_t seek(cosy_file *file, struct cosy_task *me, int64_t offset, int whence)
{
    struct cosy_file_op op = {
        .kind = COSY_FILE_SEEK, .fd = file->fd, .path = file->path, .offset = offset, .flags = whence};
    if (!file->seekable)
        return -ESPIPE;
    if (needs_kernel(whence))
        return cosy_file_run(me, &op, false);
    if (file->position < 0)
        return cosy_file_op_call(&op);
    int64_t at = whence == SEEK_CUR ? file->position : 0;
    if ((whence != SEEK_CUR && whence != SEEK_SET) || __builtin_add_overflow(at, offset, &at) || at < 0)
        return -EINVAL;
    return at;
}

cosy_async int64_t cosy_file_seek(cosy_file *file, int64_t offset, int whence)
{
    int error;
    struct cosy_task *me = cosy_file_enter_alone(file, "cosy_file_seek", &error);
    if (!me)
        return error;
    int64_t at = seek(file, me, offset, whence);
    if (at >= 0 && file->position >= 0)
        file->position = at;
    file->busy = false;
    return cosy_file_told(file, "seeking in", at);
}

int64_t cosy_file_tell(cosy_file *file)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SEEK, .flags = SEEK_CUR};
    if (!file || !file->seekable)
        return file ? -ESPIPE : -EINVAL;
    op.fd = file->fd;
    return file->position >= 0 ? file->position : cosy_file_op_call(&op);
}
