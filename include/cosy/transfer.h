/* cosy/transfer.h - bytes that the kernel moves by itself: files into streams, and streams into streams.
 *
 *     cosy_try(cosy_sendfile(stream, file, 0, 0));                          await loop.sendfile(transport, file)
 *     cosy_try(cosy_relay(client, upstream));                               a port forwarder
 *
 * What the kernel cannot move between these two is copied instead, with the same result. Reading, writing and
 * cancelling are as told in cosy/stream.h.
 */
#ifndef COSY_TRANSFER_H
#define COSY_TRANSFER_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to send a file. Every default is zero. */
struct cosy_sendfile_options {
    size_t struct_size; /* filled in by the macro */
    bool native_only;   /* -COSY_ENOSENDFILE rather than a copy (fallback=False) */
    int64_t *ret_sent;  /* gets how many bytes were taken, also by a call that fails or is cancelled; NULL: not asked */
};

/*     int64_t cosy_sendfile(cosy_stream *stream, int file, int64_t offset, int64_t count, .option = value...);
 *
 * Sends `count` bytes of an open regular file from `offset` on (count 0: to its end), behind what was written before;
 * other writers wait meanwhile. The file's own position is neither used nor moved; the descriptor is borrowed until the
 * call returns. How many bytes: fewer than count when the file is shorter. -EINVAL: negative offset or count;
 * -COSY_ENOSENDFILE; -ECANCELED: nothing of what was not sent is taken; errors of cosy_write and of reading the file.
 * Semantics: loop.sendfile, sendfile(2). */
#define cosy_sendfile(stream, file, offset, count, ...)                                                        \
    cosy_sendfile_((stream), (file), (offset), (count),                                                        \
                   &(const struct cosy_sendfile_options){.struct_size = sizeof(struct cosy_sendfile_options),  \
                                                         __VA_ARGS__})
cosy_async int64_t cosy_sendfile_(cosy_stream *stream, int file, int64_t offset, int64_t count,
                                  const struct cosy_sendfile_options *options);

/* Moves what `from` brings to `to`, until from's end, or for `most` bytes (0: no limit). How many. Both are read and
 * written by this call alone meanwhile. Cancelled or failed, every byte that was read has been taken by `to` (and is
 * lost only with to's connection). Errors of cosy_read and cosy_write, whose message says on which side. Semantics:
 * splice(2) between sockets with much to move, a copy else. */
cosy_async int64_t cosy_transfer(cosy_stream *from, cosy_stream *to, int64_t most);

/* Forwards in both directions, until both have ended; the end of one direction is passed on (cosy_write_eof) and the
 * other goes on. When a direction fails, the other is cancelled. 0, or the first error; closes neither. */
cosy_async int cosy_relay(cosy_stream *one, cosy_stream *other);

#ifdef __cplusplus
}
#endif
#endif
