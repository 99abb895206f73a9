/* forward: each connection is joined to one to the next port; bytes go from socket to pipe to socket, never copied
 * here. */
#include "epoll.h"

struct joined;

/* One direction. `in_pipe` bytes have been read and not yet written. */
struct half {
    int pipe[2];
    size_t in_pipe;
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

static void join_close(struct joined *joined)
{
    for (int i = 0; i < 2; i++) {
        close(joined->ends[i].watch.fd);
        close(joined->halves[i].pipe[0]);
        close(joined->halves[i].pipe[1]);
    }
    joined->closed = true;
    epoll_free_later(joined);
}

/* False: a connection has failed. Reads only when all that was read is written: what is in the pipe stays in order. */
static bool move(struct joined *joined, int from)
{
    struct half *half = &joined->halves[from];
    int in = joined->ends[from].watch.fd, out = joined->ends[!from].watch.fd;
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
    if (!half->in_pipe && !half->ended) {
        ssize_t count = splice(in, NULL, half->pipe[1], NULL, PIPE_SIZE, flags);
        if (count < 0 && errno != EAGAIN)
            return false;
        half->ended = count == 0;
        half->in_pipe = count > 0 ? (size_t)count : 0;
    }
    if (half->in_pipe) {
        ssize_t count = splice(half->pipe[0], NULL, out, NULL, half->in_pipe, flags);
        if (count < 0 && errno != EAGAIN)
            return false;
        half->in_pipe -= count > 0 ? (size_t)count : 0;
    }
    if (half->ended && !half->in_pipe && !half->told) {
        shutdown(out, SHUT_WR);
        half->told = true;
    }
    return true;
}

static void join_watch(struct joined *joined)
{
    for (int i = 0; i < 2; i++) {
        struct half *out_of = &joined->halves[i], *into = &joined->halves[!i];
        uint32_t events = (!out_of->in_pipe && !out_of->ended ? EPOLLIN : 0u) | (into->in_pipe ? EPOLLOUT : 0u);
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
        net_check(pipe2(joined->halves[i].pipe, O_NONBLOCK | O_CLOEXEC), "pipe2");
        fcntl(joined->halves[i].pipe[0], F_SETPIPE_SZ, PIPE_SIZE); /* what is refused stays at 64 KiB */
        epoll_watch(&joined->ends[i].watch, EPOLLIN);
    }
}

void epoll_forward(int port)
{
    next_port = port + 1;
    epoll_serve_port(port, false, accepted);
}
