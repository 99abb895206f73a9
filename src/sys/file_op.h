/* file_op.h - an operation on a file as a value: what the kernel is to do, and what came of it.
 *
 * It is made in one of two ways, with the same results: here and now, blocking (cosy_file_op_call, for threads of a
 * pool), or by a kernel that makes it while the loop goes on (sys.h: submit).
 *
 * Invariants
 *  - From submit() until its event is reported, or finish_op() returns, the kernel may use the operation and whatever
 * it points to: the memory must stay, also when the one who wanted it has gone. A cancel asks for an early end; it does
 * not make one.
 *  - `result` is >= 0 or a negative code, never -EINTR of a call made here.
 */
#ifndef COSY_SYS_FILE_OP_H
#define COSY_SYS_FILE_OP_H

#include <sys/stat.h>
#include <sys/uio.h>

#include "../base/list.h"
#include "sys.h"

enum cosy_file_op_kind {
    /* What io_uring has too. */
    COSY_FILE_READ,     /* fd, parts, count, offset; -1: where the descriptor stands */
    COSY_FILE_WRITE,    /* likewise */
    COSY_FILE_SYNC,     /* fd */
    COSY_FILE_DATASYNC, /* fd */
    COSY_FILE_OPEN,     /* dir, path, flags, mode: the new descriptor */
    COSY_FILE_STAT,     /* dir and path, or dir is the descriptor and path ""; flags: AT_...; status */
    COSY_FILE_CLOSE,    /* fd */
    COSY_FILE_RENAME,   /* path, other, flags: RENAME_... */
    COSY_FILE_UNLINK,   /* dir, path, flags: AT_REMOVEDIR */
    COSY_FILE_MKDIR,    /* path, mode */
    COSY_FILE_SYMLINK,  /* other is what the link at path says */
    COSY_FILE_LINK,     /* path, and other is its new name */
    COSY_FILE_IN_RING,
    /* What only a thread can do. */
    COSY_FILE_TRUNCATE = COSY_FILE_IN_RING, /* fd, offset: the new size */
    COSY_FILE_CHMOD,                        /* path, mode */
    COSY_FILE_ACCESS,                       /* path, mode: R_OK and its like, of the effective user */
    COSY_FILE_READLINK,                     /* path, parts[0]: how many bytes */
    COSY_FILE_SEEK,                         /* fd, offset, flags: whence; the new position */
};

/* Where an operation is. */
enum { COSY_FILE_OP_NEW, COSY_FILE_OP_DUE, COSY_FILE_OP_SENT, COSY_FILE_OP_ENDED };

struct cosy_file_op {
    uint8_t kind;
    uint8_t step;   /* the kernel's: COSY_FILE_OP_... */
    bool needs_thread; /* the caller's, of a write: the kernel has no other way to make it than in a thread */
    bool cancelled; /* the kernel's: an early end was asked for, and on its list of those to ask for */
    int fd;
    int dir; /* AT_FDCWD, or an open directory */
    int count;
    const char *path, *other;
    const struct iovec *parts;
    struct statx *status;
    int64_t offset;
    int flags;
    mode_t mode;
    uint32_t slot; /* the kernel's */
    int64_t result;
    void *data; /* of the event that tells of the end */
    struct cosy_link link;
};

/* Makes it, blocking: the result, which is also in `result`. Any thread. Counts as one system call. */
int64_t cosy_file_op_call(struct cosy_file_op *op);

/* Reads or writes what can be had without waiting for a disk. -EAGAIN: nothing can; -EOPNOTSUPP: this file does not
 * say. */
int64_t cosy_file_op_try(struct cosy_file_op *op);

#endif
