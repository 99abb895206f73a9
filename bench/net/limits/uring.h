/*
 * The hand-written io_uring server: one ring with DEFER_TASKRUN, multishot accept and receive, one ring of provided
 * buffers (several of them for one completion: BENCH_RECEIVE=bundle), sends tried by a plain system call first (or
 * always by the ring, BENCH_SEND=sqe, and without copying, BENCH_SEND=zc). A lower bound, no product.
 */
#pragma once

#include "../serve.h"

#include <liburing.h>
#include <stddef.h>

enum { URING_BUNDLE = 1 << 4 }; /* IORING_RECVSEND_BUNDLE, of kernel 6.10 */
enum { URING_ENTRIES = 4096, URING_BUFFERS = 2048, URING_BUFFER_SIZE = 16 * 1024, URING_GROUP = 1 };

/* What a completion names. */
struct op {
    void (*done)(struct op *self, int result, unsigned flags);
};

/* Bytes to be sent in their turn: a provided buffer, or memory of its own. */
struct piece {
    struct piece *next;
    unsigned char *bytes;
    size_t size, sent;
    int buffer; /* -1: `bytes` is its own memory */
};

/*
 * Invariants: `receiving` while a receive is armed, `sending` while a send is in the ring, which is always that of
 * `first`. Freed when it has ended, nothing is armed and nothing is left to send.
 */
struct connection {
    struct op receive, send;
    int fd;
    bool receiving, sending, ended;
    int taken; /* of a send without a copy: its result, until the kernel has let go of the bytes */
    struct piece *first, **last;
    void (*take)(struct connection *self, unsigned char *bytes, size_t count, int buffer); /* owns the buffer */
    void (*end)(struct connection *self); /* the peer has ended its stream; NULL: nothing to be said */
    struct connection *next_starved;
    size_t size, partial; /* modes with messages */
    unsigned char *carry;
    uint64_t count;
};

struct io_uring_sqe *uring_sqe(void); /* its user data, an op, is set after its preparation: that may clear it */
unsigned char *uring_buffer(int buffer);
void uring_after_batch(void (*hook)(void)); /* called once the completions of a turn are through */
void uring_serve_port(int port, void (*accepted)(int fd));
struct connection *uring_open(int fd); /* nodelay */
void uring_receive(struct connection *connection);
void uring_give_back(int buffer);
void uring_send(struct connection *connection, unsigned char *bytes, size_t count,
                int buffer); /* -1: copies what is left */
void uring_maybe_close(struct connection *connection);

/* A send of the connection in the ring, `sending` from now on. */
void uring_prepare_send(struct connection *connection, const unsigned char *bytes, size_t count);

/* What a completion of `send` means. False: the kernel still has the bytes, another completion follows. */
bool uring_send_ended(struct connection *connection, int *result, unsigned flags);

typedef void uring_mode(int port);
uring_mode uring_echo, uring_pipelined, uring_sink, uring_source, uring_accept, uring_udp_echo, uring_udp_sink;
