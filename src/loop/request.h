/* request.h - one call on a descriptor of the program's, as a value that can be tried until it does not block: what
 * operations (op.c) and the sock_* calls of tasks have in common.
 */
#ifndef COSY_LOOP_REQUEST_H
#define COSY_LOOP_REQUEST_H

#include "borrow.h"

enum cosy_request_kind {
    COSY_REQUEST_RECV,
    COSY_REQUEST_RECVMSG,
    COSY_REQUEST_SEND,
    COSY_REQUEST_SENDALL,
    COSY_REQUEST_SENDMSG,
    COSY_REQUEST_READ,
    COSY_REQUEST_WRITE,
    COSY_REQUEST_ACCEPT,
    COSY_REQUEST_CONNECT,
    COSY_REQUEST_SHUTDOWN,
    COSY_REQUEST_SENDFILE,
    COSY_REQUEST_POLL, /* is not tried: being told is all */
};

struct cosy_request {
    uint8_t kind;
    bool blocks; /* the descriptor does, and the call knows no MSG_DONTWAIT */
    int fd, flags, file;
    void *what;        /* buffer, message, address; nothing is written where the call only reads */
    size_t size;       /* of it */
    size_t done;       /* sendall, sendfile: bytes that are sent; connect: 1, it is under way */
    int error;         /* sendall, sendfile: what ended it before all was sent */
    off_t offset;      /* of the file */
    socklen_t *length; /* accept: of the address */
};

/* The call would block: wait for its direction and try again. */
static const int64_t COSY_NOT_YET = INT64_MIN;

enum cosy_port_side cosy_request_side(const struct cosy_request *request);

/* Before the first try: 0; errors of cosy_borrow_check; -EPERM for reads and writes of files, which would block. */
int cosy_request_prepare(struct cosy_loop *loop, struct cosy_request *request);

/* Makes the call: its result, or a negative code, or COSY_NOT_YET. */
int64_t cosy_request_try(struct cosy_loop *loop, struct cosy_request *request);

/* By which an operation's waiters are known among those in line (op.c). */
void cosy_op_told(struct cosy_borrow_waiter *waiter, int result);

#endif
