/* cosy/fds.h - open descriptors, sent to another process over a Unix stream.
 *
 *     cosy_try(cosy_send_fds(stream, "log", 3, &fd, 1));                         socket.send_fds(sock, [b"log"], [fd])
 *     int64_t size = cosy_recv_fds(stream, buffer, sizeof buffer, fds, 8, &count);    socket.recv_fds(sock, 4096, 8)
 *
 * The receiver gets descriptors of its own for the same open files, sockets or pipes: so a listener hands connections
 * to workers, and a privileged process opens what others may use. They travel with bytes, at least one. Semantics:
 * unix(7), SCM_RIGHTS.
 */
#ifndef COSY_FDS_H
#define COSY_FDS_H

#include <stddef.h>
#include <stdint.h>

#include "colour.h"
#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many descriptors go in one call: the kernel's own limit. */
enum { COSY_FDS_MOST = 253 };

/* Writes `size` bytes, one at least, and `count` descriptors with the first of them, behind what was written before.
 * The descriptors stay the caller's, who may close them when the call has returned. 0; -EINVAL: no bytes, no
 * descriptors or too many, or not a Unix stream; -EBADF: one of them is not open; -ETOOMANYREFS: too many are under
 * way; nothing was sent then. -ECANCELED: nothing was sent, or all of it is taken, as cosy_write does. Else errors as
 * cosy_write. */
cosy_async int cosy_send_fds(cosy_stream *stream, const void *data, size_t size, const int *fds, size_t count);

/* Reads up to `size` bytes, one at least, and the descriptors that came with them: up to `room`, which are the caller's
 * to close, and close-on-exec. *ret_count tells how many: 0 when the bytes came without. How many bytes; 0: the end of
 * the input. -COSY_ELIMIT: more came than there is room for; all are closed, and the bytes are used up.
 * -COSY_EINVALIDSTATE: bytes are buffered, so that another call has read beyond what it gave out, and descriptors that
 * came with those are lost: before descriptors, read what was agreed on by cosy_recv_fds, or by cosy_readexactly with 2
 * KiB or more. -EINVAL; else errors as cosy_read. */
cosy_async int64_t cosy_recv_fds(cosy_stream *stream, void *buffer, size_t size, int *fds, size_t room,
                                 size_t *ret_count);

#ifdef __cplusplus
}
#endif
#endif
