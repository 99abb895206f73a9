/* net_epoll serve MODE PORT: the loop, sockets that would block, and echo. */
#include "epoll.h"

bool epoll_single;
static _Thread_local int epoll;
static _Thread_local void **dead;
static _Thread_local size_t dead_count;

struct listener {
    struct watch watch;
    void (*accepted)(int fd);
};

struct echo {
    struct watch watch;
    struct backlog backlog;
};

static void control(int operation, struct watch *watch, uint32_t events)
{
    if (!epoll)
        epoll = net_check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    struct epoll_event event = {.events = events, .data.ptr = watch};
    net_check(epoll_ctl(epoll, operation, watch->fd, &event), "epoll_ctl");
}

void epoll_watch(struct watch *watch, uint32_t events)
{
    control(EPOLL_CTL_ADD, watch, events);
}

void epoll_rewatch(struct watch *watch, uint32_t events)
{
    control(EPOLL_CTL_MOD, watch, events);
}

_Noreturn void epoll_run(void)
{
    struct epoll_event events[256];
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct watch *watch = events[i].data.ptr;
            watch->ready(watch, events[i].events);
        }
        while (dead_count)
            free(dead[--dead_count]);
    }
}

void epoll_free_later(void *memory)
{
    if (!dead)
        dead = bench_need(calloc(256, sizeof *dead)); /* as many as a batch has events */
    dead[dead_count++] = memory;
}

static void accept_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        ((struct listener *)(void *)watch)->accepted(fd);
    }
}

void epoll_serve_port(int port, bool shared, void (*accepted)(int fd))
{
    struct listener *listener = bench_need(calloc(1, sizeof *listener));
    *listener = (struct listener){{.ready = accept_ready, .fd = net_listen(port, shared)}, accepted};
    epoll_watch(&listener->watch, EPOLLIN);
}

void epoll_close(struct watch *watch)
{
    close(watch->fd);
    free(watch);
}

ssize_t epoll_receive(int fd, void *buffer, size_t size)
{
    ssize_t count = recv(fd, buffer, size, 0);
    if (count > 0)
        return count;
    return count < 0 && errno == EAGAIN ? 0 : -1;
}

bool epoll_send(struct watch *watch, struct backlog *backlog, const void *bytes, size_t size)
{
    ssize_t count = send(watch->fd, bytes, size, 0);
    if (count == (ssize_t)size)
        return true;
    if (count < 0 && errno != EAGAIN)
        return false;
    size_t sent = count < 0 ? 0 : (size_t)count;
    backlog->used = size - sent;
    backlog->sent = 0;
    backlog->bytes = bench_need(realloc(backlog->bytes, backlog->used));
    memcpy(backlog->bytes, (const char *)bytes + sent, backlog->used);
    epoll_rewatch(watch, EPOLLOUT);
    return true;
}

bool epoll_send_backlog(struct watch *watch, struct backlog *backlog)
{
    ssize_t count = send(watch->fd, backlog->bytes + backlog->sent, backlog->used - backlog->sent, 0);
    if (count < 0)
        return errno == EAGAIN;
    backlog->sent += (size_t)count;
    if (backlog->sent == backlog->used) {
        backlog->used = backlog->sent = 0;
        epoll_rewatch(watch, EPOLLIN);
    }
    return true;
}

static void echo_close(struct echo *echo)
{
    free(echo->backlog.bytes);
    epoll_close(&echo->watch);
}

static void echo_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    static unsigned char buffer[NET_CHUNK];
    struct echo *echo = (struct echo *)(void *)watch;
    if (echo->backlog.used) {
        if (!epoll_send_backlog(watch, &echo->backlog))
            echo_close(echo);
        return;
    }
    ssize_t count = epoll_receive(watch->fd, buffer, sizeof buffer);
    if (count < 0 || (count > 0 && !epoll_send(watch, &echo->backlog, buffer, (size_t)count)))
        echo_close(echo);
}

static void echo_accepted(int fd)
{
    struct echo *echo = bench_need(calloc(1, sizeof *echo));
    echo->watch = (struct watch){.ready = echo_ready, .fd = fd};
    epoll_watch(&echo->watch, EPOLLIN);
}

void epoll_echo(int port)
{
    epoll_serve_port(port, false, echo_accepted);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        epoll_mode *open;
    } modes[] = {
        {"echo", epoll_echo},           {"idle", epoll_echo},
        {"pipelined", epoll_pipelined}, {"sink", epoll_sink},
        {"source", epoll_source},       {"accept", epoll_accept},
        {"work", epoll_work},           {"forward", epoll_forward},
        {"udp_echo", epoll_udp_echo},   {"udp_echo_gso", epoll_udp_echo_gso},
        {"udp_sink", epoll_udp_sink},   {"udp_sink_gso", epoll_udp_sink_gso},
    };
    if (argc != 4 || strcmp(argv[1], "serve") != 0)
        return fprintf(stderr, "usage: %s serve MODE PORT\n", argv[0]), 2;
    epoll_single = getenv("BENCH_SINGLE") != NULL;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[2]) == 0) {
            modes[i].open(atoi(argv[3]));
            net_ready();
            epoll_run();
        }
    return bench_not_applicable(argv[2]);
}
