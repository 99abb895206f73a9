/* stream.h - the inside of streams: what the rooms that make streams, or carry bytes by other means, share with
 * stream*.c.
 *
 * A stream is two buffers and a kind: the kind tries to receive and to send, and lets waiters wait; all else is the
 * same for sockets, pipes and TLS.
 *
 * Invariants
 *  - `in` is NULL or a buffer of in_room bytes; what was read and not used is in[in_begin..in_end). There is always
 *    room for one byte behind in_end, for the NUL behind what is lent. While something is lent, `lent` points to the
 *    byte that the NUL covers, and `covered` is that byte.
 *  - A stream that waits for input and has none holds no buffer.
 *  - out[out_begin..out_end) is still to be sent. While there is any, and neither an error nor `raw`, either the
 *    flusher waits at the kind (`blocked`), or the flush handle is queued.
 *  - `raw`: a task sends past the buffer, from its caller's memory or a file, and other writers wait until it is done.
 *    `out` is empty when it begins; it has raw_size bytes that the task put there, and behind them what cancelled
 *    writers left. Nobody sends from it until end_raw.
 *  - `error` is the negative code with which sending failed for good, or the stream was aborted; nothing is sent then,
 * and `out` is empty.
 *  - `users` counts the tasks that are suspended in a call on this stream; memory is freed by whoever is last after
 * cosy_stream_close.
 */
#ifndef COSY_IO_STREAM_H
#define COSY_IO_STREAM_H

#include <cosy/stream.h>

#include "port_wait.h"

struct cosy_stream_kind {
    const char *name; /* "TCP", "pipe": for messages */
    /* Try, without waiting: >= 0 bytes (receive: 0 is the end of the input), -EAGAIN, or the error. Never -EINTR.
     * `drained` of a receive: less came than there was room for. */
    int (*receive)(cosy_stream *stream, void *buffer, size_t size);
    int (*send)(cosy_stream *stream, const struct iovec *parts, int count);
    /* After -EAGAIN in that direction: as cosy_port_wait, 0 or a negative code, or 1 for "try again". */
    int (*wait)(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter);
    int (*end_output)(cosy_stream *stream); /* 0 or negative; NULL: cannot. -EAGAIN: wait to write, and call again */
    /* The connection ends, tasks that wait at it are woken with `result`; abort: the peer is to see a reset. */
    void (*close)(cosy_stream *stream, int result, bool abort);
    /* Frees what the kind has in the stream; NULL: nothing. The stream itself is freed by stream.c. */
    void (*release)(cosy_stream *stream);

    /* What only kinds that lie on another have (TLS); NULL, or false, elsewhere. */
    bool (*holds)(const cosy_stream *stream); /* it may have input of its own, whatever the port says */
    /* Before a close, when all is sent: tells the peer, and waits for its answer where `me` is not NULL. 0, or the
     * error that the close has. *ret_cancelled: it was cancelled, and has ended all the same. */
    int (*farewell)(cosy_stream *stream, struct cosy_task *me, bool *ret_cancelled);
    const char *(*reason)(const cosy_stream *stream, int error); /* why, in words of its own; NULL: it has none for this
                                                                  * error */
    bool keeps_descriptor; /* what is on the descriptor is of no use to anybody else */
};

/* What makes a stream one of another kind, in place: a TLS context begins with this. So connections and servers need to
 * know nothing of the floor above. */
struct cosy_upgrade_terms {
    const char *server_hostname; /* clients: whom they mean to talk to, NULL: not known; borrowed for the call */
    bool server_side;
    cosy_ns handshake_timeout, shutdown_timeout; /* 0: the default */
};
struct cosy_upgrade {
    const struct cosy_upgrade_kind *kind;
};
struct cosy_upgrade_kind {
    /* May suspend. 0, or the error with its words: then nothing more can be read or written, and the stream is still to
     * be closed. */
    int (*start)(struct cosy_upgrade *upgrade, cosy_stream *stream, const struct cosy_upgrade_terms *terms);
    /* Whether it could serve: 0, or the error with its words. */
    int (*check)(struct cosy_upgrade *upgrade, const struct cosy_upgrade_terms *terms);
    void (*hold)(struct cosy_upgrade *upgrade);
    void (*let_go)(struct cosy_upgrade *upgrade);
};

struct cosy_stream {
    /* What each read and write touches, together: between two messages of one connection those of others push it out of
     * the caches. */
    struct cosy_port port; /* kinds without a descriptor of their own leave it closed: fd -1 */
    const struct cosy_stream_kind *kind;
    struct cosy_loop *loop;
    char *in, *lent;
    uint32_t in_room, in_begin, in_end;
    uint32_t users;
    int read_error; /* told when `in` is used up; 0: none */
    int error;
    char covered;
    bool in_use;    /* a task reads */
    bool eof;

    bool eof_wanted, eof_sent; /* cosy_write_eof */
    bool raw, out_lost; /* out_lost: bytes were dropped when sending failed */
    bool blocked;              /* the flusher waits at the kind */
    bool closing, closed;      /* cosy_stream_abort; cosy_stream_close */
    bool was_blocking;         /* the descriptor came without O_NONBLOCK */
    bool read_only;            /* a pipe's end that is read from: closing it would not tell anybody of an end */
    uint32_t out_room, out_begin, out_end;
    uint32_t spent; /* bytes in the turn below */
    uint64_t turn;  /* the latest turn in which bytes moved */
    uint64_t wrote; /* the turn of the latest write that went straight to the kernel, plus one */

    char *out;
    uint32_t high, low, raw_size;
    uint32_t limit, partial;
    void *carrier; /* the kind's own: TLS has its state here */
    struct cosy_port_waiter flusher;
    struct cosy_handle flush;
    struct cosy_link drainers; /* tasks that wait until less is in `out` (stream_write.c) */

    cosy_ns grace;
    struct cosy_connection *connection; /* a server's, which is told when it is closed; or NULL */
    const struct cosy_site_ *maker;     /* debug mode: the call of the task that opened it, or NULL */
    char *peer_path;                  /* Unix: where it is connected to */
    uint8_t peer_size;                /* of `peer`: the other end as an IP address; 0: none known */
    char peer[28];
};

/* A stream of a non-blocking, connected descriptor; NULL without memory, and the descriptor is still the caller's.
 * `peer` may be NULL: not known. TCP_NODELAY is for the caller to set (accepted sockets have it from their
 * listener). */
cosy_stream *cosy_stream_new(struct cosy_loop *loop, const struct cosy_stream_kind *kind, int fd,
                             const struct cosy_address *peer, const struct cosy_stream_options *options);
/* 0, or -EINVAL with words. */
int cosy_stream_check_options(const struct cosy_stream_options *options);
extern const struct cosy_stream_kind cosy_socket_stream, cosy_pipe_stream;

/* The other end in words: "192.0.2.1:80". */
const char *cosy_stream_peer_text(const cosy_stream *stream, char text[COSY_ADDRESS_TEXT]);
/* cosy_fail with the stream's other end in the message: "reading from 192.0.2.1:80: Connection reset by peer". */
int cosy_stream_fail(const cosy_stream *stream, const char *doing, int error);

/* Suspends until the direction may be tried; as cosy_port_await. */
int cosy_stream_await(struct cosy_task *me, cosy_stream *stream, enum cosy_port_side side);

/* The input ends behind what has been received, as if the peer had said so. */
void cosy_stream_end_input(cosy_stream *stream);

/* For what carries bytes past the buffers (sendfile, splice): waits until what is buffered is sent and nobody else does
 * the same; other writers wait until end_raw. 0 or negative: not begun. */
cosy_async int cosy_stream_begin_raw(cosy_stream *stream, struct cosy_task *me);
void cosy_stream_end_raw(cosy_stream *stream);
/* Inside the two: puts data into the buffer, which end_raw sends. 0, -ENOMEM. */
int cosy_stream_append(cosy_stream *stream, const void *data, size_t size);

/* A loop closes: in debug mode, those that are still open are told of. */
void cosy_streams_tell_unclosed(const struct cosy_loop *loop);

/* ---- between stream*.c ---- */

/* How much a stream may move in one turn before other tasks have theirs. */
enum { COSY_STREAM_TURN_BYTES = 256 * 1024 };
/* Yields when it is used up. 0 or -ECANCELED. */
static inline bool cosy_stream_had_its_turn(const cosy_stream *stream)
{
    return unlikely(stream->spent > COSY_STREAM_TURN_BYTES) && stream->turn == cosy_loop_turns(stream->loop);
}
static inline void cosy_stream_count(cosy_stream *stream, size_t bytes)
{
    uint64_t turn = cosy_loop_turns(stream->loop);
    stream->spent = stream->turn == turn ? stream->spent + (uint32_t)bytes : (uint32_t)bytes;
    stream->turn = turn;
}

static inline bool cosy_is_of_loop(const struct cosy_task *task, const cosy_stream *stream)
{
    return task && task->future.loop == stream->port.loop;
}
/* A task that is to be suspended in a call on the stream keeps its memory. */
static inline void cosy_stream_enter(cosy_stream *stream) { stream->users++; }
void cosy_stream_leave(cosy_stream *stream); /* may free it */

/* Sending failed for good: what is buffered is dropped, who waits for it gets `error`. */
void cosy_stream_lose(cosy_stream *stream, int error);
/* Receiving gave 0: the end, or the error that has cut the connection and that a write was told. */
int cosy_stream_end_of_input(cosy_stream *stream);
/* Sends what is buffered as far as the kernel takes it. */
void cosy_stream_flush_now(cosy_stream *stream);
/* Writes gathered in this turn go out before the task waits for an answer. */
static inline void cosy_stream_flush_gathered(cosy_stream *stream)
{
    if (unlikely(stream->out_end != stream->out_begin) && !stream->blocked)
        cosy_stream_flush_now(stream);
}
void cosy_stream_write_open(cosy_stream *stream); /* initialises its part */
void cosy_stream_wake_drainers(cosy_stream *stream, int result); /* all of them, with a negative code */
/* Waits until no more than `level` bytes are buffered and nobody sends past the buffer. patience: COSY_NEVER: until
 * cancelled; else it goes on in spite of cancels, but no longer than that many ns, and then gives -ETIMEDOUT;
 * *ret_cancelled tells of them. */
int cosy_stream_drain_to(cosy_stream *stream, struct cosy_task *me, size_t level, cosy_ns patience,
                         bool *ret_cancelled);
void cosy_stream_free_input(cosy_stream *stream);
void cosy_stream_take_back(cosy_stream *stream); /* what was lent: the byte under the NUL is there again */
void cosy_stream_free_output(cosy_stream *stream);

#endif
