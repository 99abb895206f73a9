/* accept: connect, send one request, read the answer to its end, close; `connections` of them at once, again and again.
 */
#include "load.h"

struct visit {
    struct watch watch;
    uint64_t began;
    bool sent;
    size_t received;
};

static struct visit *visits;
static unsigned char *request;

/* Sent at once, mostly: on the loopback the connection stands when connect() returns, though it says otherwise. */
static void try_request(struct visit *visit)
{
    ssize_t count = send(visit->watch.fd, request, NET_REQUEST, 0);
    if (count < 0 && (errno == EAGAIN || errno == ENOTCONN))
        return;
    if (count != NET_REQUEST)
        load_fail("send");
    visit->sent = true;
}

static void begin(struct visit *visit)
{
    struct sockaddr_in address = net_address(load.port);
    visit->began = load_clock_ns();
    visit->received = 0;
    visit->sent = false;
    visit->watch.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (visit->watch.fd < 0)
        load_fail("socket");
    load_close_by_reset(visit->watch.fd); /* makes the server's end, which closes first, let go too */
    if (connect(visit->watch.fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        load_fail("connect");
    try_request(visit);
    load_watch(&visit->watch, visit->sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void ready(struct watch *watch, uint32_t events)
{
    struct visit *visit = (struct visit *)(void *)watch;
    unsigned char answer[NET_REQUEST + 1];
    if (!visit->sent && events & EPOLLOUT) {
        try_request(visit);
        if (visit->sent)
            load_rewatch(watch, EPOLLIN);
        return;
    }
    for (;;) {
        ssize_t count = recv(watch->fd, answer, sizeof answer - visit->received, 0);
        if (load_would_block(count))
            return;
        errno = 0;
        if (memcmp(answer, request + visit->received, (size_t)count) != 0 ||
            (visit->received += (size_t)count) > NET_REQUEST)
            load_fail("the answer is not what it must be");
        if (count > 0)
            continue;
        if (visit->received != NET_REQUEST)
            load_fail("the server closed before the answer was complete");
        close(watch->fd);
        histogram_add(&load.latency, load_clock_ns() - visit->began);
        load.done++;
        begin(visit);
        return;
    }
}

static void open_visits(void)
{
    load.size = NET_REQUEST;
    request = load_pattern(NET_REQUEST + 1);
    visits = bench_need(calloc((size_t)load.connections, sizeof *visits));
    for (int i = 0; i < load.connections; i++) {
        visits[i].watch.ready = ready;
        begin(&visits[i]);
    }
}

const struct load_mode load_accept_mode = {.name = "accept", .open = open_visits};
