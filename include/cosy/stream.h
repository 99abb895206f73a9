/* cosy/stream.h - a connection as a stream of bytes: read, write, close.
 *
 *     cosy_stream *stream;
 *     cosy_try(cosy_open_connection("127.0.0.1", 8888, &stream));   reader, writer = await asyncio.open_connection(...)
 *     cosy_write(stream, "hello\n", 6);                              writer.write(b"hello\n")
 *     char *line;
 *     while ((length = cosy_readline(stream, &line)) > 0)            async for line in reader:
 *         printf("%s", line);
 *     cosy_try(cosy_stream_close(stream));                           writer.close(); await writer.wait_closed()
 *
 * One object for both directions, whatever carries the bytes: TCP, Unix sockets, pipes, terminals, TLS.
 *
 * READING. One task at a time: a second one gets -EBUSY, as in asyncio. cosy_read copies into the caller's memory, from
 * the socket directly when nothing is buffered. The other calls lend memory of the stream (a line, a chunk): it is
 * valid until the next reading call on this stream, or cosy_stream_close. A stream holds no buffer while nothing is in
 * it. Cancelled at any moment, a read loses no byte: the next one gets it. At the end of the input, calls return 0 (and
 * again when called again). An error of the connection is given once what came before it has been read.
 *
 * WRITING. What the kernel takes at once is gone at once; the rest is copied and sent as the peer takes it. A write
 * beyond the high-water mark waits until the buffer is down to the low-water mark: nobody fills memory for a peer that
 * does not read. Writes that follow one another in the same turn of the loop are gathered and sent together; so are
 * short answers while the peer's next message has been read already: at the end of the turn, or when the reader is
 * about to wait. A cancelled write has taken all of its bytes. Several tasks may write; each call's bytes stay
 * together. When the connection is lost, the next write or drain gives its error.
 *
 * A stream belongs to its loop: tasks of others get -COSY_EOTHERLOOP, and when the loop is closed, it can only be
 * closed (debug mode tells of those that a loop leaves open). When it is used for a while without waiting (a peer that
 * always has more), each call gives other tasks their turn after some hundred KiB. Semantics:
 * https://docs.python.org/3/library/asyncio-stream.html, with the differences told here.
 */
#ifndef COSY_STREAM_H
#define COSY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "address.h"
#include "call.h"
#include "colour.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A connection, from whatever made it to cosy_stream_close. In its loop's thread. */
typedef struct cosy_stream cosy_stream;

/* How a stream is to be; a part of the options of whatever makes one. Every default is zero. */
struct cosy_stream_options {
    size_t struct_size; /* filled in by the macro */
    size_t limit;       /* longest line or message of readline, readuntil and peek, bytes; 0: 65,536 */
    size_t high_water;  /* a write that leaves more than this in the buffer waits; 0: 65,536 */
    size_t low_water;   /* ... until no more than this is left; 0: a quarter of high_water */
    cosy_ns close_grace; /* how long cosy_stream_close goes on sending what is buffered; 0: 30 s; negative: not at
                          * all */
    bool delay;         /* TCP: let the kernel wait for more before it sends little (no TCP_NODELAY) */
};

/*     int cosy_stream_adopt(int fd, cosy_stream **ret_stream, .option = value...);
 *
 * Makes a stream of a connected socket, a pipe's end or a terminal (connect_accepted_socket, connect_read_pipe,
 * connect_write_pipe). The descriptor is the stream's from here on, on success only; it is made non-blocking, and what
 * it was is restored by cosy_stream_detach. 0; -EBADF; -EPERM for a regular file or directory; -EEXIST when the program
 * watches it itself; -ENOMEM; -EINVAL; -COSY_ENOLOOP. In the loop's thread. */
#define cosy_stream_adopt(fd, ret_stream, ...)                                                                 \
    cosy_stream_adopt_((fd), (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
#define COSY_STREAM_OPTIONS_(...)                                                                              \
    (&(const struct cosy_stream_options){.struct_size = sizeof(struct cosy_stream_options), __VA_ARGS__})
int cosy_stream_adopt_(int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options);

/*     int cosy_stream_pair(cosy_stream *ret_streams[2], .option = value...);
 *
 * Two streams that are connected with each other (socketpair of AF_UNIX). 0, -EMFILE, -ENFILE, -ENOMEM,
 * -COSY_ENOLOOP. */
#define cosy_stream_pair(ret_streams, ...) cosy_stream_pair_((ret_streams), COSY_STREAM_OPTIONS_(__VA_ARGS__))
int cosy_stream_pair_(cosy_stream *ret_streams[2], const struct cosy_stream_options *options);

/* ---- the end ---- */

/* Sends what is buffered, for at most close_grace, closes the connection and frees the stream (writer.close() and
 * wait_closed() in one). Waits even when the task is cancelled; the cancel meets the task's next wait. Tasks that wait
 * at the stream get -COSY_ECLOSED. 0; or the connection's error, or -ETIMEDOUT, when bytes were lost by that; the
 * stream is gone in any case. NULL: 0. May suspend only where something is buffered. Outside a task, or with a loop
 * that is closed, it does not wait: what the kernel does not take is dropped. A stream that speaks TLS also waits for
 * the peer's goodbye, in a task that is not being cancelled (cosy/tls.h); -ETIMEDOUT when that does not come. */
cosy_async int cosy_stream_close(cosy_stream *stream);
static inline cosy_async void cosy_stream_closep_(cosy_stream **stream) { cosy_stream_close(*stream); }
#define COSY_DROPP_cosy_stream_ cosy_stream_closep_ /* cosy_scoped(cosy_stream) */

/* Ends the connection at once: what is buffered is dropped, and a TCP peer gets a reset (transport.abort()). Who waits
 * at the stream gets -ECONNABORTED, and so does each call afterwards. The stream is still to be closed. Never
 * suspends. */
void cosy_stream_abort(cosy_stream *stream);

/* No more will be written: the peer reads the end of the input behind what was written; reading goes on
 * (writer.write_eof()). Waits until the buffer is sent. 0; -ENOTSUP where one direction cannot end alone (terminals,
 * the end of a pipe that is read from); the connection's error; -ECANCELED: the end is sent later all the same. */
cosy_async int cosy_write_eof(cosy_stream *stream);
bool cosy_can_write_eof(const cosy_stream *stream);

/* True from cosy_stream_abort on, and when the connection is lost: writing has no point any more
 * (writer.is_closing()). */
bool cosy_stream_is_closing(const cosy_stream *stream);

/* Takes the descriptor out, in the mode in which it came, and frees the stream. *ret_rest, if not NULL, gets what was
 * read and not used: *ret_size bytes, to be freed by free(). >= 0: the descriptor. -EBUSY: something is still to be
 * sent, or a task waits here; -ENOTSUP: it has none of its own; the stream is as it was. */
int cosy_stream_detach(cosy_stream *stream, void **ret_rest, size_t *ret_size);

/* ---- reading ---- */

/* Reads up to `size` bytes into the caller's memory, which must live until the call returns: at least one, waiting for
 * it; what is there, no more. How many; 0: the end of the input, or size is 0. -EBUSY, -ECANCELED, -COSY_ENOTASK,
 * -COSY_ECLOSED, -ECONNABORTED, -ECONNRESET and other errors of the connection. */
cosy_async int64_t cosy_read(cosy_stream *stream, void *buffer, size_t size);

/* Reads exactly `size` bytes into the caller's memory. `size`; -COSY_EINCOMPLETE: the input ended; what came is in the
 * buffer, and cosy_stream_partial tells how much. Cancelled, it gives back to the stream what it had. Errors as
 * cosy_read. */
cosy_async int64_t cosy_readexactly(cosy_stream *stream, void *buffer, size_t size);

/* Lends what is there, at least one byte, without a copy: *ret_chunk is valid until the next reading call. How many
 * bytes; 0 at the end. Errors as cosy_read. */
cosy_async int64_t cosy_read_chunk(cosy_stream *stream, char **ret_chunk);

/* Lends the next line, its '\n' included, and ended by a NUL that is not counted. The last line may lack the '\n'. Its
 * length; 0 at the end. -COSY_ELIMIT: there is no '\n' within the limit; that much is dropped, as asyncio does. The
 * lent memory may be changed by the caller. Errors as cosy_read. */
cosy_async int64_t cosy_readline(cosy_stream *stream, char **ret_line);

/*     int64_t cosy_readuntil(cosy_stream *stream, char **ret_data, const char *separator...);
 *
 * Lends what comes up to and including the first separator that is complete, the shortest match, ended by a NUL that is
 * not counted. At least one separator, at most 8, none empty. Its length. -COSY_EINCOMPLETE: the input ended before;
 * *ret_data is what was left, cosy_stream_partial its length, and it is used up. -COSY_ELIMIT: no separator within the
 * limit; nothing is used up. -EINVAL. Errors as cosy_read. */
#define cosy_readuntil(stream, ret_data, ...)                                                                  \
    cosy_readuntil_((stream), (ret_data), (const char *const[]){__VA_ARGS__},                                  \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
cosy_async int64_t cosy_readuntil_(cosy_stream *stream, char **ret_data, const char *const *separators, size_t count);

/* The same for separators that may contain NUL: their bytes and sizes. */
cosy_async int64_t cosy_readuntil_bytes(cosy_stream *stream, char **ret_data, const struct iovec *separators,
                                        size_t count);

/* Lends at least `least` bytes (at least one) without using them up: what is buffered, or what comes. How many there
 * are; fewer than `least` only at the end of the input. -COSY_ELIMIT when least is beyond the limit. Errors as
 * cosy_read. */
cosy_async int64_t cosy_peek(cosy_stream *stream, char **ret_data, size_t least);
/* Uses up `size` bytes of what is buffered. -EINVAL: there are not so many; -EBUSY: another task reads. Never
 * suspends. */
int cosy_skip(cosy_stream *stream, size_t size);

/* Reads to the end of the input into memory that the caller frees with free(): *ret_data, ended by a NUL that is not
 * counted. How many bytes. -COSY_ELIMIT: more than `most` (0: 1 GiB); what was read is back in the stream. Cancelled or
 * failed likewise. Errors as cosy_read. */
cosy_async int64_t cosy_read_all(cosy_stream *stream, char **ret_data, size_t most);

/* How many bytes came before the input ended: of the latest call that gave -COSY_EINCOMPLETE. */
size_t cosy_stream_partial(const cosy_stream *stream);

/* True when the input has ended and everything was read. */
bool cosy_at_eof(const cosy_stream *stream);

/* Bytes that were read from the kernel and not used yet. */
size_t cosy_stream_buffered(const cosy_stream *stream);

/*     COSY_LINES(stream, line, length) { ... }
 *     COSY_CHUNKS(stream, chunk, length) { ... }
 *
 * Each line or chunk in turn, as `async for` does: `line` is declared by the macro, `length` is an int64_t of the
 * caller's, and tells afterwards how it ended: 0, or an error. */
#define COSY_LINES(stream, line, length) for (char *line; ((length) = cosy_readline((stream), &line)) > 0;)
#define COSY_CHUNKS(stream, chunk, length) for (char *chunk; ((length) = cosy_read_chunk((stream), &chunk)) > 0;)

/* ---- writing ---- */

/* Writes all of it; see WRITING above. 0; or the error of the connection, lost bytes included: nothing more can be
 * written then. -EPIPE after cosy_write_eof; -ENOMEM: none of it was taken; -ECANCELED: it waited for the low-water
 * mark, and all of it was taken. */
cosy_async int cosy_write(cosy_stream *stream, const void *data, size_t size);

/* The same for several pieces, in one system call where possible (writer.writelines). */
cosy_async int cosy_writev(cosy_stream *stream, const struct iovec *parts, int count);

/* Writes formatted text, as printf does; its length or an error as cosy_write. */
cosy_async int cosy_printf(cosy_stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits until no more than the low-water mark is left to be sent, if it was above the high-water mark. Since each write
 * does that, it is wanted after writes that were cancelled, and to learn of errors. 0; errors as cosy_write. */
cosy_async int cosy_drain(cosy_stream *stream);

/* Waits until everything is sent to the kernel. */
cosy_async int cosy_flush(cosy_stream *stream);

/* Bytes still to be sent. */
size_t cosy_get_write_buffer_size(const cosy_stream *stream);
/* Sets the marks; low 0: a quarter of high. -EINVAL: low is above high. */
int cosy_set_write_buffer_limits(cosy_stream *stream, size_t high, size_t low);

/* ---- what it is ---- */

/* The other end, and this one. 0; -ENOTSUP for what is no socket; -ENOTCONN. Never suspend. */
int cosy_stream_peername(const cosy_stream *stream, struct cosy_address *ret_address);
int cosy_stream_sockname(const cosy_stream *stream, struct cosy_address *ret_address);

/* The descriptor below, for options and for asking: reading, writing or closing it is the stream's. -1: none any
 * more. */
int cosy_stream_fd(const cosy_stream *stream);

/* setsockopt and getsockopt. */
int cosy_stream_setsockopt(cosy_stream *stream, int level, int name, const void *value, socklen_t size);
int cosy_stream_getsockopt(const cosy_stream *stream, int level, int name, void *value, socklen_t *size);
/* TCP keep-alive: probes after `idle` ns without traffic, every `interval`, lost after `count` of them; 0: switches it
 * off. */
int cosy_stream_set_keepalive(cosy_stream *stream, cosy_ns idle, cosy_ns interval, int count);

#ifdef __cplusplus
}
#endif
#endif
