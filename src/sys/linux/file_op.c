/* file_op.c - operations on files, made here and now. */
#include "../file_op.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "../net.h"
#include "../syscalls.h"

/* Not through COSY_SYS_CALL: the results of reads, writes and seeks are 64 bits long. */
static int64_t positioned(const struct cosy_file_op *op, int flags)
{
    ssize_t done = op->kind == COSY_FILE_READ ? preadv2(op->fd, op->parts, op->count, op->offset, flags)
                                              : pwritev2(op->fd, op->parts, op->count, op->offset, flags);
    return done < 0 ? -errno : done;
}

static int64_t seek(const struct cosy_file_op *op)
{
    off_t at = lseek(op->fd, op->offset, op->flags);
    return at < 0 ? -errno : at;
}

/* glibc's faccessat() asks the kernel by itself where the kernel cannot say it for the effective user. */
static int make(const struct cosy_file_op *op)
{
    switch ((enum cosy_file_op_kind)op->kind) {
    case COSY_FILE_SYNC:
        return fsync(op->fd);
    case COSY_FILE_DATASYNC:
        return fdatasync(op->fd);
    case COSY_FILE_OPEN:
        return openat(op->dir, op->path, op->flags, op->mode);
    case COSY_FILE_STAT:
        return statx(op->dir, op->path, op->flags, STATX_BASIC_STATS | STATX_BTIME, op->status);
    case COSY_FILE_CLOSE:
        return close(op->fd);
    case COSY_FILE_RENAME:
        return (int)syscall(SYS_renameat2, AT_FDCWD, op->path, AT_FDCWD, op->other, op->flags);
    case COSY_FILE_UNLINK:
        return unlinkat(op->dir, op->path, op->flags);
    case COSY_FILE_MKDIR:
        return mkdir(op->path, op->mode);
    case COSY_FILE_SYMLINK:
        return symlink(op->other, op->path);
    case COSY_FILE_LINK:
        return link(op->path, op->other);
    case COSY_FILE_TRUNCATE:
        return ftruncate(op->fd, op->offset);
    case COSY_FILE_CHMOD:
        return chmod(op->path, op->mode);
    case COSY_FILE_ACCESS:
        return faccessat(AT_FDCWD, op->path, (int)op->mode, AT_EACCESS);
    case COSY_FILE_READLINK:
        return (int)readlink(op->path, op->parts[0].iov_base, op->parts[0].iov_len);
    default:
        errno = EINVAL;
        return -1;
    }
}

static int64_t call_once(const struct cosy_file_op *op)
{
    if (op->kind == COSY_FILE_READ || op->kind == COSY_FILE_WRITE)
        return positioned(op, 0);
    if (op->kind == COSY_FILE_SEEK)
        return seek(op);
    int result = make(op);
    return result < 0 ? -errno : result;
}

/* close() must not be called again after a signal: the descriptor is gone, and its number may be another's. An injected
 * fault stands for the kernel's report of lost data: the descriptor is closed then, too. */
int64_t cosy_file_op_call(struct cosy_file_op *op)
{
    int fault = cosy_sys_fault();
    if (op->kind == COSY_FILE_CLOSE) {
        op->result = call_once(op);
        if (op->result == -EINTR)
            op->result = 0;
        if (fault && op->result == 0)
            op->result = fault;
        return op->result;
    }
    do {
        op->result = fault ? fault : call_once(op);
        fault = 0;
    } while (op->result == -EINTR);
    return op->result;
}

int64_t cosy_file_op_try(struct cosy_file_op *op)
{
    int fault = cosy_sys_fault();
    return op->result = fault ? fault : positioned(op, RWF_NOWAIT);
}
