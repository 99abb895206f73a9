/* cosy/op.h - completion operations on descriptors and buffers of the program's: start, and be called when it is done.
 * Usable without any task.
 *
 *     cosy_op_init(&connection->read, on_read, connection);
 *     cosy_op_recv(loop, &connection->read, connection->fd, connection->buffer, sizeof connection->buffer, 0);
 *
 *     static void on_read(cosy_op *op, int64_t result)               result: bytes, 0 at the end of the input, or a
 * negative code
 *
 * For programs written in callbacks, for other languages' event loops, and for whatever wants to stand on cosy without
 * its tasks. An operation lies in the embedder's memory, as a handle does (cosy_handle), and nothing is allocated for
 * one.
 *
 * WHAT IS PROMISED, the same on every backend.
 *  - A call that starts an operation returns 0, and then exactly one completion is called, later, in a turn of the
 * loop, never inside that call. Or it returns a negative code, and none is: only for mistakes (the operation is in
 * flight already, the loop is closed, a NULL); what the kernel says, an unknown descriptor too, comes by the
 * completion.
 *  - Until then the operation and what it points to (buffer, message, address) must stay where they are. When the
 * completion is called they are the caller's again: the operation may be started anew or its memory freed inside.
 * `release`, if set, is called once, just after the completion.
 *  - cosy_op_cancel does not change that: the completion comes with -ECANCELED, and nothing has been read, written,
 * accepted; or with what was done before.
 *  - A loop that closes completes what is in flight with -COSY_ECLOSED, inside cosy_loop_close.
 *
 * The descriptor stays the program's. It need not be non-blocking: no call of these ever blocks. Operations of one
 * direction on one descriptor are done in the order in which they were started. Before the program closes a descriptor
 * with operations in flight it must say so: cosy_op_cancel_fd. A descriptor of a stream, or one that is watched by
 * cosy_add_reader or cosy_add_writer, is refused: the completion gets -EEXIST.
 *
 * Completions run as callbacks do, in the empty context. All calls belong to the loop's thread; in debug mode others
 * get -COSY_ETHREAD. Origin: io_uring(7) and Windows' overlapped I/O (what a completion means), libuv's uv_write and
 * uv_cancel.
 */
#ifndef COSY_OP_H
#define COSY_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One operation: the caller's memory, made ready by cosy_op_init. */
typedef struct cosy_op cosy_op;

/* What is called when an operation is done. It may start, cancel and free operations, this one too, and must not
 * suspend. */
typedef void (*cosy_op_callback)(cosy_op *op, int64_t result);

struct cosy_op {
    cosy_op_callback complete;
    void *arg;                   /* the program's; cosy does not look at it */
    void (*release)(void *held); /* NULL, or called when the buffer is in use no longer: set it anew for each start */
    void *held;
    cosy_handle handle_;
    uintptr_t state_[24];
};

/* Prepares an operation for its first use: its callback and what the callback may find in op->arg. Not for one that is
 * in flight. */
void cosy_op_init(cosy_op *op, cosy_op_callback complete, void *arg);

/* True from a start to its completion. */
bool cosy_op_in_flight(const cosy_op *op);

/* ---- starting: 0, or -COSY_EINVALIDSTATE when it is in flight, -COSY_ECLOSED, -EINVAL, -COSY_ETHREAD ---- */

/* recv(2), send(2) of up to `size` bytes; SIGPIPE is never raised. Results: bytes, 0 at the end of the input; the
 * negative error. */
int cosy_op_recv(cosy_loop *loop, cosy_op *op, int fd, void *buffer, size_t size, int flags);
int cosy_op_send(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size, int flags);

/* Sends all of it, however often the peer makes it wait. The result is `size`; or less, when an error or a cancel came
 * after so many bytes (the next operation meets the error again); or the error when nothing was sent. */
int cosy_op_sendall(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size);

/* recvmsg(2), sendmsg(2): addresses, several buffers, descriptors (close-on-exec). The message is read and written at
 * the moment of the call. */
int cosy_op_recvmsg(cosy_loop *loop, cosy_op *op, int fd, struct msghdr *message, int flags);
int cosy_op_sendmsg(cosy_loop *loop, cosy_op *op, int fd, const struct msghdr *message, int flags);

/* read(2), write(2) of up to `size` bytes on pipes, terminals and the like. Not for files: those are always ready, and
 * block: -EPERM. */
int cosy_op_read(cosy_loop *loop, cosy_op *op, int fd, void *buffer, size_t size);
int cosy_op_write(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size);

/* accept(2). The result is the new descriptor, non-blocking and close-on-exec, which is the program's. `address` and
 * `size` (room in, length out) as accept takes them, both may be NULL. */
int cosy_op_accept(cosy_loop *loop, cosy_op *op, int fd, struct sockaddr *address, socklen_t *size);

/* connect(2), until it is connected: 0, or the reason why not (-EAGAIN: a Unix socket whose peer has no room in its
 * backlog now). Cancelled, the attempt goes on in the kernel: close the descriptor. */
int cosy_op_connect(cosy_loop *loop, cosy_op *op, int fd, const struct sockaddr *address, socklen_t size);

/* shutdown(2) of one or both directions, when what was sent before by operations has been sent: 0. */
int cosy_op_shutdown(cosy_loop *loop, cosy_op *op, int fd, int how);

/* Sends `size` bytes of a regular file from `offset` on (sendfile(2)), however often the peer makes it wait. The result
 * is what was sent: less when the file ends, and as for sendall. -COSY_ENOSENDFILE: the kernel cannot do it for these
 * two; read and send. The file's position stays. */
int cosy_op_sendfile(cosy_loop *loop, cosy_op *op, int fd, int file, off_t offset, size_t size);

/* Waits until the descriptor is readable or writable, without reading or writing: COSY_OP_READABLE | COSY_OP_WRITABLE,
 * and the result is one of them. -EPERM for regular files. In line with the others of that direction. */
enum { COSY_OP_READABLE = 1, COSY_OP_WRITABLE = 2 };
int cosy_op_poll(cosy_loop *loop, cosy_op *op, int fd, unsigned events);

/* ---- ending ---- */

/* Takes an operation back, O(1): its completion comes with -ECANCELED, or with what was done already. False when it is
 * not in flight, or is done and only its completion is still to be called. */
bool cosy_op_cancel(cosy_op *op);

/* Before the program closes a descriptor: cancels all operations on it. Tasks that wait for it (cosy/sock.h) get
 * -COSY_ECLOSED. When this returns the kernel holds nothing of it, and it is not held any more. Returns how many were
 * in flight; -COSY_ECLOSED. */
int cosy_op_cancel_fd(cosy_loop *loop, int fd);

/* Promises that the program will call cosy_op_cancel_fd before it closes the descriptor. The loop then stays acquainted
 * with it between operations, which spares two system calls for each that has to wait (epoll), and a look at what it is
 * (io_uring). 0; -EEXIST for a stream's descriptor or a watched one; -EPERM, -EBADF, -ENOMEM, -COSY_ECLOSED. */
int cosy_op_hold_fd(cosy_loop *loop, int fd);

/* How many operations of the loop are in flight. */
size_t cosy_op_count(const cosy_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
