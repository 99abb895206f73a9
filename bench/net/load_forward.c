/*
 * forward_echo, forward_stream: both ends of a port forwarder, in one thread. The server connects to PORT + 1, where
 * the load listens, for each connection that it gets. Echo: the far end answers. Stream: it discards.
 */
#include "load.h"

struct far_end {
    struct watch watch;
    size_t used, sent; /* what it has read and not yet sent back */
    unsigned char *buffer;
    bool blocked;
};

struct near_end {
    struct watch watch;
    uint64_t bytes;
};

static int listener = -1;
static struct far_end *far_ends;
static struct near_end *near_ends;
static int opened;
static unsigned char *block;
static uint64_t arrived, left_over;

static void send_back(struct far_end *end)
{
    while (end->sent < end->used) {
        ssize_t count = send(end->watch.fd, end->buffer + end->sent, end->used - end->sent, 0);
        if (load_would_block(count))
            break;
        end->sent += (size_t)count;
    }
    bool blocked = end->sent < end->used;
    if (blocked != end->blocked)
        load_rewatch(&end->watch, blocked ? EPOLLOUT : EPOLLIN);
    end->blocked = blocked;
}

static void echo(struct watch *watch, uint32_t events)
{
    (void)events;
    struct far_end *end = (struct far_end *)(void *)watch;
    if (!end->blocked) {
        ssize_t count = recv(watch->fd, end->buffer, NET_CHUNK, 0);
        if (load_would_block(count))
            return;
        end->used = (size_t)count;
        end->sent = 0;
    }
    send_back(end);
}

static void count_arrived(ssize_t count)
{
    arrived += (uint64_t)count;
    left_over += (uint64_t)count;
    load.done += left_over / load.size;
    left_over %= load.size;
}

static void discard(struct watch *watch, uint32_t events)
{
    (void)events;
    ssize_t count = recv(watch->fd, NULL, 1 << 20, MSG_TRUNC);
    if (!load_would_block(count))
        count_arrived(count);
}

static void send_block(struct watch *watch, uint32_t events)
{
    (void)events;
    struct near_end *end = (struct near_end *)(void *)watch;
    ssize_t count = send(watch->fd, block, NET_CHUNK, 0);
    if (!load_would_block(count))
        end->bytes += (uint64_t)count;
}

static void accept_far_end(void)
{
    struct far_end *end = &far_ends[opened++];
    errno = 0;
    end->watch.fd = accept(listener, NULL, NULL); /* ends after ten seconds */
    if (end->watch.fd < 0)
        load_fail("the server does not connect to the next port");
    net_set(end->watch.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    end->buffer = bench_need(malloc(NET_CHUNK));
}

static void answer_first(void)
{
    struct far_end *end = &far_ends[opened - 1];
    unsigned char *message = bench_need(malloc(load.size));
    load_read_all(end->watch.fd, message, load.size);
    load_write_all(end->watch.fd, message, load.size);
    free(message);
    load_set_nonblocking(end->watch.fd);
    end->watch.ready = echo;
    load_watch(&end->watch, EPOLLIN);
}

static void open_listener(void)
{
    struct timeval limit = {.tv_sec = 10};
    listener = net_listen(load.port + 1, false);
    if (fcntl(listener, F_SETFL, 0) < 0 || setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
        load_fail("listen");
    far_ends = bench_need(calloc((size_t)load.connections, sizeof *far_ends));
}

static void open_echo(void)
{
    static const struct load_upstream upstream = {.accept = accept_far_end, .answer = answer_first};
    open_listener();
    load_upstream = &upstream;
    load_open_sessions();
}

static void open_stream(void)
{
    open_listener();
    block = load_pattern(NET_CHUNK);
    near_ends = bench_need(calloc((size_t)load.connections, sizeof *near_ends));
    for (int i = 0; i < load.connections; i++) {
        struct watch *near = &near_ends[i].watch, *far = &far_ends[i].watch;
        *near = (struct watch){.ready = send_block, .fd = load_connect(load.port)};
        accept_far_end();
        far->ready = discard;
        load_set_nonblocking(near->fd);
        load_set_nonblocking(far->fd);
        load_watch(near, EPOLLOUT);
        load_watch(far, EPOLLIN);
    }
}

/* The end of a stream must pass through, after every byte of it, and the end of the other direction after that. */
static void close_stream(void)
{
    uint64_t sent = 0;
    for (int i = 0; i < load.connections; i++) {
        int near = near_ends[i].watch.fd, far = far_ends[i].watch.fd;
        ssize_t count;
        char byte;
        if (fcntl(near, F_SETFL, 0) < 0 || fcntl(far, F_SETFL, 0) < 0)
            load_fail("fcntl");
        sent += near_ends[i].bytes;
        shutdown(near, SHUT_WR);
        while ((count = recv(far, NULL, 1 << 20, MSG_TRUNC)) > 0)
            arrived += (uint64_t)count;
        close(far);
        errno = 0;
        if (count < 0 || recv(near, &byte, 1, 0) != 0)
            load_fail("the end of the stream has not come through");
        close(near);
    }
    if (arrived != sent)
        load_fail("bytes were lost on the way");
}

const struct load_mode load_forward_modes[2] = {
    {.name = "forward_echo", .open = open_echo},
    {.name = "forward_stream", .open = open_stream, .close = close_stream},
};
