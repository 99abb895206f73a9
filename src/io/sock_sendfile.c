/* sock_sendfile.c - a file over a socket: by the kernel, or else read in a thread and sent. */
#include "sock.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cosy/executor.h>

#include "../base/heap.h"

enum { PART = 65536 };

static const char WHAT[] = "cosy_sock_sendfile";

static int check(struct cosy_loop *loop, int fd, int64_t offset, int64_t count)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (offset < 0 || count < 0)
        return cosy_fail(EINVAL, "%s: negative offset or count", WHAT);
    int result = cosy_borrow_check(loop, fd);
    if (result == 0)
        result = COSY_BORROW_CALL(loop, false, fd, getsockopt, SOL_SOCKET, SO_TYPE, &type, &size);
    if (result < 0)
        return cosy_sock_fail(WHAT, fd, result);
    if (type != SOCK_STREAM)
        return cosy_fail(EINVAL, "%s: only SOCK_STREAM sockets are supported (descriptor %d)", WHAT, fd);
    return 0;
}

/* -COSY_ENOSENDFILE: nothing has been sent, copy. So it is with files of no size, where that may be: /proc says so of
 * those that have something. */
static cosy_async int send_natively(int fd, int file, off_t offset, off_t count, off_t *ret_sent)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return cosy_fail(errno, "%s: file %d: %s", WHAT, file, cosy_strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return -COSY_ENOSENDFILE;
    off_t left = status.st_size > offset ? status.st_size - offset : 0;
    struct cosy_request request = {.kind = COSY_REQUEST_SENDFILE, .fd = fd, .file = file, .offset = offset};
    request.size = (size_t)(count && count < left ? count : left);
    int64_t result = cosy_sock_run(WHAT, &request);
    *ret_sent = (off_t)request.done;
    if (result >= 0 && request.error)
        return cosy_sock_fail(WHAT, fd, request.error);
    return result < 0 ? (int)result : 0;
}

/* A job. */
static int read_part(int file, char *part, size_t size, off_t offset)
{
    ssize_t got;
    do
        got = pread(file, part, size, offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? cosy_fail(errno, "%s: reading file %d: %s", WHAT, file, cosy_strerror(errno)) : (int)got;
}

static cosy_async int copy_parts(int fd, int file, off_t offset, off_t count, char *part, off_t *ret_sent)
{
    cosy_executor *pool = cosy_default_executor(COSY_POOL_FILES);
    while (count == 0 || *ret_sent < count) {
        size_t size = count && count - *ret_sent < PART ? (size_t)(count - *ret_sent) : PART, sent;
        int got = cosy_run_in_executor(pool, read_part, file, part, size, offset + *ret_sent);
        if (got <= 0)
            return got;
        int result = cosy_sock_send_rest(WHAT, fd, part, (size_t)got, &sent);
        *ret_sent += (off_t)sent;
        if (result < 0)
            return result;
    }
    return 0;
}

static cosy_async int send_copies(int fd, int file, off_t offset, off_t count, off_t *ret_sent)
{
    char *part = cosy_heap_alloc(PART);
    if (!part)
        return -ENOMEM;
    int result = copy_parts(fd, file, offset, count, part, ret_sent);
    cosy_heap_free(part);
    return result;
}

cosy_async int64_t cosy_sock_sendfile_(int fd, int file, int64_t offset, int64_t count,
                                       const struct cosy_sendfile_options *options)
{
    struct cosy_task *me = cosy_task_or_complain(WHAT);
    int64_t *ret_sent = options->ret_sent;
    bool native_only = options->native_only;
    off_t sent = 0;
    int result = me ? check(me->future.loop, fd, offset, count) : -COSY_ENOTASK;
    if (result == 0)
        result = send_natively(fd, file, offset, count, &sent);
    if (result == -COSY_ENOSENDFILE)
        result = native_only ? cosy_fail(COSY_ENOSENDFILE, "%s: the kernel cannot send file %d by itself", WHAT, file)
                             : send_copies(fd, file, offset, count, &sent);
    if (ret_sent)
        *ret_sent = sent;
    return result < 0 ? result : sent;
}
