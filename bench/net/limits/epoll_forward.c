/* forward: each connection is joined to one to the next port; bytes go from socket to pipe to socket, never copied
 * here. */
#include "epoll.h"

struct joined;

/* One direction. `held` bytes have been read and not yet written: in the pipe, or in the buffer from `sent` on. */
struct half {
    int pipe[2];
    unsigned char *buffer; /* BENCH_COPY */
    size_t held, sent;
    bool ended, told; /* the reading side has ended; the writing side was told so */
};

struct end {
    struct watch watch;
    struct joined *joined;
    uint32_t events;
};

struct joined {
    struct end ends[2];
    struct half halves[2]; /* halves[i] goes from ends[i] to the other */
    bool closed;           /* the batch may still hold an event of the other end */
};

enum { PIPE_SIZE = 1 << 20 };

static bool copies;

static void join_close(struct joined *joined)
{
    for (int i = 0; i < 2; i++) {
        close(joined->ends[i].watch.fd);
        free(joined->halves[i].buffer);
        if (!copies) {
            close(joined->halves[i].pipe[0]);
            close(joined->halves[i].pipe[1]);
        }
    }
    joined->closed = true;
    epoll_free_later(joined);
}

static ssize_t take(struct half *half, int in)
{
    half->sent = 0;
    if (copies)
        return recv(in, half->buffer, NET_CHUNK, 0);
    return splice(in, NULL, half->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static ssize_t give(struct half *half, int out)
{
    if (copies)
        return send(out, half->buffer + half->sent, half->held, 0);
    return splice(half->pipe[0], NULL, out, NULL, half->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

/* False: a connection has failed. Reads only when all that was read is written: what is held stays in order. */
static bool move(struct joined *joined, int from)
{
    struct half *half = &joined->halves[from];
    int out = joined->ends[!from].watch.fd;
    if (!half->held && !half->ended) {
        ssize_t count = take(half, joined->ends[from].watch.fd);
        if (count < 0 && errno != EAGAIN)
            return false;
        half->ended = count == 0;
        half->held = count > 0 ? (size_t)count : 0;
    }
    if (half->held) {
        ssize_t count = give(half, out);
        if (count < 0 && errno != EAGAIN)
            return false;
        half->held -= count > 0 ? (size_t)count : 0;
        half->sent += count > 0 ? (size_t)count : 0;
    }
    if (half->ended && !half->held && !half->told) {
        shutdown(out, SHUT_WR);
        half->told = true;
    }
    return true;
}

static void join_watch(struct joined *joined)
{
    for (int i = 0; i < 2; i++) {
        struct half *out_of = &joined->halves[i], *into = &joined->halves[!i];
        uint32_t events = (!out_of->held && !out_of->ended ? EPOLLIN : 0u) | (into->held ? EPOLLOUT : 0u);
        if (events != joined->ends[i].events)
            epoll_rewatch(&joined->ends[i].watch, events);
        joined->ends[i].events = events;
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    struct end *end = (struct end *)(void *)watch;
    struct joined *joined = end->joined;
    int index = end == &joined->ends[1];
    bool fine = true;
    if (joined->closed)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        fine = move(joined, index);
    if (fine && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        fine = move(joined, !index);
    if (!fine || (joined->halves[0].told && joined->halves[1].told)) {
        join_close(joined);
        return;
    }
    join_watch(joined);
}

static int next_port;

static void open_half(struct half *half)
{
    if (copies) {
        half->buffer = bench_need(malloc(NET_CHUNK));
        return;
    }
    net_check(pipe2(half->pipe, O_NONBLOCK | O_CLOEXEC), "pipe2");
    fcntl(half->pipe[0], F_SETPIPE_SZ, PIPE_SIZE); /* what is refused stays at 64 KiB */
}

static void accepted(int fd)
{
    struct sockaddr_in address = net_address(next_port);
    struct joined *joined = bench_need(calloc(1, sizeof *joined));
    int far = net_check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    if (connect(far, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        net_check(-1, "connect");
    net_set(far, IPPROTO_TCP, TCP_NODELAY, 1);
    int fds[2] = {fd, far};
    for (int i = 0; i < 2; i++) {
        joined->ends[i] = (struct end){{.ready = ready, .fd = fds[i]}, joined, EPOLLIN};
        open_half(&joined->halves[i]);
        epoll_watch(&joined->ends[i].watch, EPOLLIN);
    }
}

void epoll_forward(int port)
{
    next_port = port + 1;
    copies = getenv("BENCH_COPY") != NULL;
    epoll_serve_port(port, false, accepted);
}
