/*
 * sink: the connections send messages as fast as the server takes them. source: the server sends, the load discards.
 * An operation is a message of `size` bytes, counted in bytes here, since a stream knows no messages.
 */
#include "load.h"

struct stream {
    struct watch watch;
    uint64_t bytes;
};

static struct stream *streams;
static unsigned char *block; /* whole messages, then one more: any NET_CHUNK bytes from within a message */
static size_t block_size;
static uint64_t left_over; /* bytes that are no whole message yet */

static void count_bytes(struct stream *stream, size_t count)
{
    stream->bytes += count;
    left_over += count;
    load.done += left_over / load.size;
    left_over %= load.size;
}

static void send_block(struct watch *watch, uint32_t events)
{
    (void)events;
    struct stream *stream = (struct stream *)(void *)watch;
    ssize_t count = send(watch->fd, block + stream->bytes % load.size, block_size, 0);
    if (!load_would_block(count))
        count_bytes(stream, (size_t)count);
}

static void discard(struct watch *watch, uint32_t events)
{
    (void)events;
    ssize_t count = recv(watch->fd, NULL, 1 << 20, MSG_TRUNC); /* TCP drops what it would have copied */
    if (load_would_block(count))
        return;
    errno = 0;
    if (count == 0)
        load_fail("the server closed the connection");
    count_bytes((struct stream *)(void *)watch, (size_t)count);
}

static void check_first_messages(int fd)
{
    unsigned char *got = bench_need(malloc(load.size));
    for (int i = 0; i < 3; i++) {
        load_read_all(fd, got, load.size);
        for (size_t k = 0; k < load.size; k++)
            if (got[k] != (unsigned char)k) {
                errno = 0;
                load_fail("a message is not what it must be");
            }
    }
    free(got);
}

static void open_streams(void)
{
    bool source = strcmp(load.mode, "source") == 0;
    block_size = load.size < NET_CHUNK ? NET_CHUNK : load.size;
    block = load_pattern(block_size + load.size);
    streams = bench_need(calloc((size_t)load.connections, sizeof *streams));
    for (int i = 0; i < load.connections; i++) {
        unsigned char header[NET_HEADER];
        struct watch *watch = &streams[i].watch;
        *watch = (struct watch){.ready = source ? discard : send_block, .fd = load_connect(load.port)};
        net_write_size(header, (uint32_t)load.size);
        load_write_all(watch->fd, header, sizeof header);
        if (source)
            check_first_messages(watch->fd);
    }
    for (int i = 0; i < load.connections; i++) {
        load_set_nonblocking(streams[i].watch.fd);
        load_watch(&streams[i].watch, source ? EPOLLIN : EPOLLOUT);
    }
}

/* Ends each stream after a whole message; the server then says how many it has taken. */
static void close_sinks(void)
{
    for (int i = 0; i < load.connections; i++) {
        struct stream *stream = &streams[i];
        unsigned char answer[8];
        uint64_t counted = 0;
        size_t within = stream->bytes % load.size;
        if (fcntl(stream->watch.fd, F_SETFL, 0) < 0)
            load_fail("fcntl");
        if (within)
            load_write_all(stream->watch.fd, block + within, load.size - within);
        shutdown(stream->watch.fd, SHUT_WR);
        load_read_all(stream->watch.fd, answer, sizeof answer);
        for (int k = 0; k < 8; k++)
            counted |= (uint64_t)answer[k] << 8 * k;
        errno = 0;
        if (counted != (stream->bytes + load.size - 1) / load.size)
            load_fail("the server has not counted what was sent");
        close(stream->watch.fd);
    }
}

const struct load_mode load_stream_modes[2] = {
    {.name = "sink", .open = open_streams, .close = close_sinks},
    {.name = "source", .open = open_streams},
};
