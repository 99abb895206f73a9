/* stream_test.h - what the tests of streams share: connected streams of every kind, bytes that tell their place, and a
 * kind that tears what it carries. */
#ifndef COSY_TESTS_STREAM_TEST_H
#define COSY_TESTS_STREAM_TEST_H

#include "../harness/cosy_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "io/stream.h"
#include "loop/buffers.h"
#include "sys/sys.h"

#define ck_ok(result) ck_assert_int_eq((result), 0)

/* ---- connections ---- */

enum conduit { UNIX_SOCKETS, TCP, PIPE, CONDUITS };

/* Two ends of TCP over the loopback, made by plain calls. */
HARNESS void tcp_sockets(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_ok(bind(listener, (struct sockaddr *)&address, sizeof address));
    ck_ok(listen(listener, 1));
    ck_ok(getsockname(listener, (struct sockaddr *)&address, &size));
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_ok(connect(fds[0], (struct sockaddr *)&address, sizeof address));
    fds[1] = accept(listener, NULL, NULL);
    ck_assert_int_ge(fds[1], 0);
    close(listener);
}

/* fds[0] writes, fds[1] reads. */
HARNESS void descriptors_of(enum conduit conduit, int fds[2])
{
    if (conduit == TCP)
        tcp_sockets(fds);
    else if (conduit == UNIX_SOCKETS)
        ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    else {
        int ends[2];
        ck_ok(pipe(ends));
        fds[0] = ends[1];
        fds[1] = ends[0];
    }
}

/* ends[0] writes, ends[1] reads. */
HARNESS void connect_streams(enum conduit conduit, cosy_stream *ends[2])
{
    int fds[2];
    if (conduit == UNIX_SOCKETS) {
        ck_ok(cosy_stream_pair(ends));
        return;
    }
    descriptors_of(conduit, fds);
    ck_ok(cosy_stream_adopt(fds[0], &ends[0]));
    ck_ok(cosy_stream_adopt(fds[1], &ends[1]));
}

HARNESS void close_both(cosy_stream *ends[2])
{
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_stream_close(ends[1]));
}

/* A stream whose other end is a plain blocking descriptor: for what a peer does of its own accord. */
HARNESS cosy_stream *stream_to(int *ret_fd)
{
    int fds[2];
    cosy_stream *stream;
    ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    *ret_fd = fds[1];
    return stream;
}

HARNESS void put(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* ---- bytes ---- */

/* The byte at a place: neighbours, and equal places of neighbouring blocks, differ. */
HARNESS unsigned char byte_at(size_t place)
{
    return (unsigned char)(place ^ place >> 8 ^ (place >> 16) * 7);
}

HARNESS char *numbered(size_t size)
{
    char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)byte_at(i);
    data[size] = 0;
    return data;
}

HARNESS void check_numbered(const char *data, size_t from, size_t size)
{
    size_t i = 0; /* an assertion for each byte would take long */
    while (i < size && (unsigned char)data[i] == byte_at(from + i))
        i++;
    ck_assert_msg(i == size, "byte %zu is wrong", from + i);
}

/* ---- a reader that takes everything ---- */

struct drain_pipe {
    cosy_stream *stream;
    size_t size;
    int64_t result; /* as the last read gave it */
    bool numbered;  /* to be checked */
};

cosy_async HARNESS int take_everything(struct drain_pipe *pipe)
{
    char *chunk;
    while ((pipe->result = cosy_read_chunk(pipe->stream, &chunk)) > 0) {
        if (pipe->numbered)
            check_numbered(chunk, pipe->size, (size_t)pipe->result);
        pipe->size += (size_t)pipe->result;
    }
    return 0;
}

/* Turns of the loop, in which everybody who can go on does. */
cosy_async HARNESS void some_turns(int count)
{
    while (count-- > 0)
        (void)cosy_yield();
}

/* Until nothing moves any more; kernels may take a moment to tell of an edge. */
cosy_async HARNESS void come_to_rest(void)
{
    (void)cosy_sleep(on_simulator() ? COSY_MS(1) : COSY_MS(3));
    some_turns(5);
}

/* Fills what the kernel takes, so that the next write has to wait. Returns how many bytes. */
HARNESS size_t stuff(cosy_stream *stream)
{
    size_t size = 0;
    static char block[4096];
    for (size_t piece = sizeof block; piece >= 1; piece /= 4096) {
        struct iovec part = {.iov_base = block, .iov_len = piece};
        for (int sent; (sent = stream->kind->send(stream, &part, 1)) > 0;)
            size += (size_t)sent;
        stream->port.may |= 1u << COSY_PORT_WRITE; /* less may still fit */
    }
    stream->port.may &= (uint8_t) ~(1u << COSY_PORT_WRITE);
    return size;
}

/* ---- a kind that tears: each receive and send moves little, or says that it would block ---- */

static uint64_t tear_state;

HARNESS unsigned tear(unsigned below)
{
    tear_state = tear_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(tear_state >> 33) % below;
}

HARNESS int torn_receive(cosy_stream *stream, void *buffer, size_t size)
{
    if (tear(4) == 0)
        return -EAGAIN;
    size_t most = tear(3) ? 1 + tear(7) : 1 + tear(5000);
    return cosy_socket_stream.receive(stream, buffer, size < most ? size : most);
}

HARNESS int torn_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    if (tear(4) == 0)
        return -EAGAIN;
    size_t most = tear(3) ? 1 + tear(7) : 1 + tear(5000);
    int used = 1 + (int)tear((unsigned)count);
    struct iovec some[16];
    memcpy(some, parts, (size_t)used * sizeof *parts);
    for (int i = 0; i < used; i++) {
        some[i].iov_len = some[i].iov_len < most ? some[i].iov_len : most;
        if (some[i].iov_len < parts[i].iov_len)
            used = i + 1;
        most -= some[i].iov_len;
    }
    return cosy_socket_stream.send(stream, some, used);
}

HARNESS int torn_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    return cosy_socket_stream.wait(stream, side, waiter);
}

HARNESS int torn_end_output(cosy_stream *stream)
{
    return cosy_socket_stream.end_output(stream);
}

HARNESS void torn_close(cosy_stream *stream, int result, bool abort)
{
    cosy_socket_stream.close(stream, result, abort);
}

HARNESS const struct cosy_stream_kind torn_stream = {.name = "torn",
                                                     .receive = torn_receive,
                                                     .send = torn_send,
                                                     .wait = torn_wait,
                                                     .end_output = torn_end_output,
                                                     .close = torn_close};

#endif
