/* cosy/pipe.h - pipes, the standard streams and terminals, as streams of bytes.
 *
 *     cosy_scoped(cosy_stream) input = NULL;
 *     cosy_try(cosy_stdin(&input));                                          loop.connect_read_pipe(..., sys.stdin)
 *     int64_t length;
 *     COSY_LINES(input, line, length)                                        async for line in reader:
 *         printf("you said %s", line);
 *
 * A pipe's end, a FIFO or a terminal that the program has opened becomes a stream by cosy_stream_adopt (cosy/stream.h):
 * that is connect_read_pipe and connect_write_pipe. What holds for all of these:
 *
 *  - Writing to a pipe whose reader is gone is -EPIPE, and never raises SIGPIPE.
 *  - Reading from an end that can only be written waits until the reader is gone, and gives 0: so a task learns of that
 * while it has nothing to write.
 *  - cosy_write_eof closes a pipe's writing end. Terminals have no such thing.
 *  - Reading from a pty's master gives 0 when the program at its other side is gone, rather than the kernel's -EIO.
 *  - The other processes that share a descriptor's open file (a shell and what it started) share O_NONBLOCK as well,
 *    and may then fail with EAGAIN. cosy_stdin and its like avoid that; whoever adopts a shared descriptor gets it.
 *
 * Semantics: https://docs.python.org/3/library/asyncio-eventloop.html#working-with-pipes, pipe(7), tty(4), termios(3).
 */
#ifndef COSY_PIPE_H
#define COSY_PIPE_H

#include <stdbool.h>

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     int cosy_pipe(cosy_stream **ret_reader, cosy_stream **ret_writer, .option = value...);
 *
 * Makes a pipe, and a stream of each end; both are the caller's to close. 0; -EMFILE, -ENFILE, -ENOMEM, -EINVAL,
 * -COSY_ENOLOOP. In the loop's thread. */
#define cosy_pipe(ret_reader, ret_writer, ...)                                                                         \
    cosy_pipe_((ret_reader), (ret_writer), COSY_STREAM_OPTIONS_(__VA_ARGS__))
int cosy_pipe_(cosy_stream **ret_reader, cosy_stream **ret_writer, const struct cosy_stream_options *options);

/* ---- the standard streams ---- */

/*     int cosy_stdin(cosy_stream **ret_stream, .option = value...);
 *     int cosy_stdout(cosy_stream **ret_stream, .option = value...);
 *     int cosy_stderr(cosy_stream **ret_stream, .option = value...);
 *
 * A stream of the descriptor 0, 1 or 2, whatever that is: a terminal, a pipe, a socket, a file, /dev/null. It is the
 * caller's to close, and the descriptor itself stays open: whoever waits for the end of this program's output sees it
 * when the program ends, or closes descriptor 1.
 *
 * Pipes and terminals are opened anew, so that only this stream is non-blocking, not what other processes share. Where
 * that cannot be (no /proc, no right to), the shared one is made non-blocking until the stream is closed, or the
 * process ends by exit; a process that dies otherwise leaves it so. A file, and what else is always ready, is read in
 * the loop's pool for files (COSY_POOL_FILES), from where the descriptor stands; writing to it goes to the kernel's
 * memory directly.
 *
 * What stdio has buffered is written out first; the program's own printf to the same place is not ordered with later
 * writes to the stream, and what stdio has read is not seen here. 0; -EBADF: the descriptor is closed; -ENOMEM,
 * -EMFILE; -EINVAL, -COSY_ENOLOOP. In the loop's thread. Never suspend. */
#define cosy_stdin(ret_stream, ...) cosy_standard_stream_(0, (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
#define cosy_stdout(ret_stream, ...) cosy_standard_stream_(1, (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
#define cosy_stderr(ret_stream, ...) cosy_standard_stream_(2, (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
int cosy_standard_stream_(int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options);

/* ---- terminals ---- */

/* Whether the stream is a terminal. */
bool cosy_isatty(const cosy_stream *stream);

/* How many columns and rows the terminal has; either may be NULL. 0; -ENOTTY: it is none. When it changes, SIGWINCH
 * comes (cosy_add_signal_handler). */
int cosy_tty_size(const cosy_stream *stream, unsigned *ret_columns, unsigned *ret_rows);

/* How a terminal treats what is typed. */
enum cosy_tty_mode {
    COSY_TTY_NORMAL, /* lines, as it was before the first change */
    COSY_TTY_CBREAK, /* each key at once, without echo; Ctrl-C and its like still raise signals */
    COSY_TTY_RAW,    /* each key at once, without echo or signals; output is not changed either: a line ends with "\r\n"
                      * (cfmakeraw) */
};

/* Changes that. What it was is remembered at the first change, and set again by COSY_TTY_NORMAL, when the stream is
 * closed, and when the process ends by exit. 0; -ENOTTY; -ENOSPC: eight terminals are changed at a time; -EMFILE;
 * -EINVAL. */
int cosy_tty_set_mode(cosy_stream *stream, enum cosy_tty_mode mode);

/* Sets all terminals as they were, for a program's own handlers of fatal signals: may be called in a signal handler.
 * Any thread. */
void cosy_tty_reset(void);

#ifdef __cplusplus
}
#endif
#endif
