/* request.c - a call on a descriptor, tried until it does not block. */
#include "request.h"

#include "../sys/watches.h"

/* After so many parts of a long send the others have their turn: a reader that is quick enough would hold the loop for
 * ever. */
enum { PARTS_AT_ONCE = 16 };

enum cosy_port_side cosy_request_side(const struct cosy_request *request)
{
    switch ((enum cosy_request_kind)request->kind) {
    case COSY_REQUEST_RECV:
    case COSY_REQUEST_RECVMSG:
    case COSY_REQUEST_READ:
    case COSY_REQUEST_ACCEPT:
        return COSY_PORT_READ;
    default:
        return COSY_PORT_WRITE;
    }
}

static bool knows_dontwait(const struct cosy_request *request)
{
    switch ((enum cosy_request_kind)request->kind) {
    case COSY_REQUEST_READ:
    case COSY_REQUEST_WRITE:
    case COSY_REQUEST_ACCEPT:
    case COSY_REQUEST_CONNECT:
    case COSY_REQUEST_SENDFILE:
        return false;
    default:
        return true;
    }
}

int cosy_request_prepare(struct cosy_loop *loop, struct cosy_request *request)
{
    int result = cosy_borrow_check(loop, request->fd);
    if (result < 0 || knows_dontwait(request))
        return result;
    result = cosy_borrow_blocks(loop, request->fd, &request->blocks);
    bool plain = request->kind == COSY_REQUEST_READ || request->kind == COSY_REQUEST_WRITE;
    struct cosy_identity unused;
    if (result == 0 && request->blocks && plain)
        result = cosy_sys_examine(request->fd, &unused);
    return result;
}

static int64_t or_not_yet(int result)
{
    return result == -EAGAIN ? COSY_NOT_YET : result;
}

/* Of many parts: what is done counts, and an error is met again by the next call. */
static int64_t so_far(struct cosy_request *request, int result)
{
    if (result == -EAGAIN)
        return COSY_NOT_YET;
    request->error = result;
    return request->done > 0 ? (int64_t)request->done : result;
}

static int64_t try_sendall(struct cosy_loop *loop, struct cosy_request *request)
{
    for (int parts = 0; parts < PARTS_AT_ONCE; parts++) {
        const char *rest = (const char *)request->what + request->done;
        size_t size = request->size - request->done;
        int result = COSY_BORROW_CALL(loop, false, request->fd, send, rest, size, request->flags);
        if (result < 0)
            return so_far(request, result);
        request->done += (size_t)result;
        if (request->done == request->size)
            return (int64_t)request->done;
    }
    return COSY_NOT_YET;
}

static int64_t try_sendfile(struct cosy_loop *loop, struct cosy_request *request)
{
    for (int parts = 0; parts < PARTS_AT_ONCE; parts++) {
        size_t size = request->size - request->done;
        int result = 0;
        if (size > 0)
            result =
                COSY_BORROW_CALL(loop, request->blocks, request->fd, sendfile, request->file, &request->offset, size);
        if (request->done == 0 && (result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP))
            return -COSY_ENOSENDFILE;
        if (result < 0)
            return so_far(request, result);
        request->done += (size_t)result;
        if (result == 0 || request->done == request->size)
            return (int64_t)request->done;
    }
    return COSY_NOT_YET;
}

/* -EAGAIN is an error here: a Unix socket whose peer has no room for connections; nobody tells when it has. */
static int64_t try_connect(struct cosy_loop *loop, struct cosy_request *request)
{
    if (!request->done) {
        const struct sockaddr *address = request->what;
        int result = COSY_BORROW_CALL(loop, request->blocks, request->fd, connect, address, (socklen_t)request->size);
        request->done = result == -EINPROGRESS || result == -EALREADY;
        return request->done ? COSY_NOT_YET : result;
    }
    int error = 0;
    socklen_t size = sizeof error;
    int result = COSY_BORROW_CALL(loop, false, request->fd, getsockopt, SOL_SOCKET, SO_ERROR, &error, &size);
    return result < 0 ? result : -error;
}

static int64_t try_accept(struct cosy_loop *loop, struct cosy_request *request)
{
    for (;;) {
        int result = COSY_BORROW_CALL(loop, request->blocks, request->fd, accept, request->what, request->length);
        if (result != -ECONNABORTED) /* it was gone before it was taken */
            return or_not_yet(result);
    }
}

int64_t cosy_request_try(struct cosy_loop *loop, struct cosy_request *request)
{
    const struct iovec part = {request->what, request->size < COSY_NET_MOST ? request->size : COSY_NET_MOST};
    int fd = request->fd, flags = request->flags;
    switch ((enum cosy_request_kind)request->kind) {
    case COSY_REQUEST_RECV:
        return or_not_yet(COSY_BORROW_CALL(loop, false, fd, recv, request->what, request->size, flags));
    case COSY_REQUEST_RECVMSG:
        return or_not_yet(COSY_BORROW_CALL(loop, false, fd, recvmsg, request->what, flags));
    case COSY_REQUEST_SEND:
        return or_not_yet(COSY_BORROW_CALL(loop, false, fd, send, request->what, request->size, flags));
    case COSY_REQUEST_SENDMSG:
        return or_not_yet(COSY_BORROW_CALL(loop, false, fd, sendmsg, request->what, flags));
    case COSY_REQUEST_READ:
        return or_not_yet(COSY_BORROW_CALL(loop, request->blocks, fd, readv, &part, 1));
    case COSY_REQUEST_WRITE:
        return or_not_yet(COSY_BORROW_CALL(loop, request->blocks, fd, writev, &part, 1));
    case COSY_REQUEST_SHUTDOWN:
        return COSY_BORROW_CALL(loop, false, fd, shutdown, flags);
    case COSY_REQUEST_SENDALL:
        return try_sendall(loop, request);
    case COSY_REQUEST_SENDFILE:
        return try_sendfile(loop, request);
    case COSY_REQUEST_ACCEPT:
        return try_accept(loop, request);
    case COSY_REQUEST_CONNECT:
        return try_connect(loop, request);
    case COSY_REQUEST_POLL:
        break;
    }
    return COSY_NOT_YET;
}
