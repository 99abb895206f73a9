/* cosy/sock.h - sockets of the program's own, by their descriptors: asyncio's sock_* for tasks.
 *
 *     int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
 *     cosy_try(cosy_sock_connect(fd, &address));                                 await loop.sock_connect(sock, address)
 *     cosy_try(cosy_sock_sendall(fd, "ping", 4, NULL));                          await loop.sock_sendall(sock, b"ping")
 *     int size = cosy_try(cosy_sock_recv(fd, buffer, sizeof buffer));            data = await loop.sock_recv(sock, n)
 *     close(fd);
 *
 * For protocols that streams (cosy/stream.h) do not suit, and for libraries that make their own sockets. The descriptor
 * stays the program's, and between calls cosy keeps nothing of it: it may be closed, given to another library, or made
 * a stream, whenever no task waits for it. Close it while one does only after cosy_notify_closing.
 *
 * Each call is tried at once, and suspends the task only where it would block; the descriptor need not be non-blocking
 * for that, but in debug mode one that blocks is refused (-EINVAL), as by asyncio. Several tasks may wait for one
 * descriptor: each direction serves them in the order in which they came, and what two of them send is not mixed.
 *
 * Cancelled while it waits, a call has done nothing: no byte was taken, no connection accepted; sendall and sendfile
 * tell how much was sent. Errors of all calls, besides the system call's own: -ECANCELED; -EEXIST for the descriptor of
 * a stream, or one that is watched by cosy_add_reader or cosy_add_writer; -EBADF, also when the descriptor was closed
 * meanwhile and its number used again; -COSY_ECLOSED after cosy_notify_closing; -EPERM where waiting makes no sense
 * (regular files); -ENOMEM; -COSY_ENOTASK. Messages name the call and the descriptor. Semantics:
 * https://docs.python.org/3/library/asyncio-eventloop.html.
 */
#ifndef COSY_SOCK_H
#define COSY_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "address.h"
#include "colour.h"
#include "transfer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Receives up to `size` bytes: returns how many, 0 at the end of the input (sock_recv_into). May suspend. */
cosy_async int cosy_sock_recv(int fd, void *buffer, size_t size);

/* Receives one packet, cut to `size`, and tells whence (sock_recvfrom_into): returns its bytes, 0 for an empty one.
 * ret_from may be NULL. May suspend. */
cosy_async int cosy_sock_recvfrom(int fd, void *buffer, size_t size, struct cosy_address *ret_from);

/* recvmsg(2): several buffers, ancillary data. Descriptors that come with it are close-on-exec, and the caller's.
 * Returns the bytes. May suspend. */
cosy_async int cosy_sock_recvmsg(int fd, struct msghdr *message, int flags);

/* Sends all of it: 0. `ret_sent` (may be NULL) gets the bytes that were sent, in any case: after an error or a cancel
 * the rest was not. May suspend. */
cosy_async int cosy_sock_sendall(int fd, const void *data, size_t size, size_t *ret_sent);

/* Sends one packet to an address (NULL: where the socket is connected to): returns the bytes. May suspend. */
cosy_async int cosy_sock_sendto(int fd, const void *data, size_t size, const struct cosy_address *to);

/* sendmsg(2), once: returns the bytes that were taken, which may be fewer than there were. May suspend. */
cosy_async int cosy_sock_sendmsg(int fd, const struct msghdr *message, int flags);

/* Connects to an address; names are not resolved (cosy/dns.h does that). 0, or why not: -ECONNREFUSED, -ETIMEDOUT,
 * -ENETUNREACH, ... -EAGAIN: a Unix socket whose listener has no room for connections now. Cancelled, the attempt goes
 * on in the kernel: close the socket, or connect again to wait for it. May suspend. */
cosy_async int cosy_sock_connect(int fd, const struct cosy_address *address);

/* Accepts a connection of a listening socket: returns its descriptor, non-blocking and close-on-exec, which is the
 * caller's to close. ret_peer may be NULL. May suspend. */
cosy_async int cosy_sock_accept(int fd, struct cosy_address *ret_peer);

/*     int64_t cosy_sock_sendfile(int fd, int file, int64_t offset, int64_t count, .option = value...);
 *
 * Sends `count` bytes of a file from `offset` on (count 0: to its end) over a connected SOCK_STREAM socket: by
 * sendfile(2), or else by reading it in a thread and sending. How many bytes: fewer when the file ends. Options are
 * those of cosy_sendfile, whose shape this is; the file's own position is neither used nor moved. -COSY_ENOSENDFILE: it
 * would have to be copied, and native_only is set; -EINVAL for another type of socket, and negative numbers. May
 * suspend. */
#define cosy_sock_sendfile(fd, file, offset, count, ...)                                                               \
    cosy_sock_sendfile_(                                                                                               \
        (fd), (file), (offset), (count),                                                                               \
        &(const struct cosy_sendfile_options){.struct_size = sizeof(struct cosy_sendfile_options), __VA_ARGS__})
cosy_async int64_t cosy_sock_sendfile_(int fd, int file, int64_t offset, int64_t count,
                                       const struct cosy_sendfile_options *options);

/* Waits until any descriptor that can be polled is readable (writable), or has an error, without reading: for libraries
 * that do their own reading (trio.lowlevel.wait_readable, libpq, ssh). 0. Suspends. */
cosy_async int cosy_wait_readable(int fd);
cosy_async int cosy_wait_writable(int fd);

/* Says that the program is about to close a descriptor (trio.lowlevel.notify_closing): tasks that wait for it go on
 * with -COSY_ECLOSED, operations (cosy/op.h) complete with -ECANCELED. Returns how many there were; -COSY_ENOLOOP. In
 * the loop's thread, tasks and callbacks. */
int cosy_notify_closing(int fd);

#ifdef __cplusplus
}
#endif
#endif
