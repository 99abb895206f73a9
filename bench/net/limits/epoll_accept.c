/* accept: one request per connection, mostly there already when the connection is. work: requests that cost CPU time.
 */
#include "epoll.h"

#include <pthread.h>

struct request {
    struct watch watch;
    size_t received;
    unsigned char bytes[NET_REQUEST];
};

/* True: the connection has ended, one way or the other. */
static bool answer_once(int fd, unsigned char *bytes, size_t *received)
{
    ssize_t count = epoll_receive(fd, bytes + *received, NET_REQUEST - *received);
    if (count < 0)
        return true;
    *received += (size_t)count;
    if (*received < NET_REQUEST)
        return false;
    send(fd, bytes, NET_REQUEST, 0); /* or the client has gone: the connection ends either way */
    return true;
}

static void accept_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct request *request = (struct request *)(void *)watch;
    if (answer_once(watch->fd, request->bytes, &request->received))
        epoll_close(watch);
}

static struct request *request_open(int fd, void (*ready)(struct watch *, uint32_t))
{
    struct request *request = bench_need(calloc(1, sizeof *request));
    request->watch = (struct watch){.ready = ready, .fd = fd};
    epoll_watch(&request->watch, EPOLLIN);
    return request;
}

static void accepted(int fd)
{
    unsigned char bytes[NET_REQUEST];
    size_t received = 0;
    if (answer_once(fd, bytes, &received)) {
        close(fd);
        return;
    }
    struct request *request = request_open(fd, accept_ready);
    memcpy(request->bytes, bytes, received);
    request->received = received;
}

void epoll_accept(int port)
{
    epoll_serve_port(port, false, accepted);
}

static void work_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct request *request = (struct request *)(void *)watch;
    ssize_t count = epoll_receive(watch->fd, request->bytes + request->received, NET_REQUEST - request->received);
    if (count < 0) {
        epoll_close(watch);
        return;
    }
    request->received += (size_t)count;
    if (request->received < NET_REQUEST)
        return;
    request->received = 0;
    net_answer_work(request->bytes);
    if (send(watch->fd, request->bytes, NET_REQUEST, 0) < 0)
        epoll_close(watch);
}

static void work_accepted(int fd)
{
    request_open(fd, work_ready);
}

static void *worker(void *argument)
{
    int *start = argument;
    bench_pin(start[1]);
    epoll_serve_port(start[0], true, work_accepted);
    epoll_run();
}

/* A listener for each worker; the kernel spreads connections over them. All listen before the first is announced. */
void epoll_work(int port)
{
    int workers = net_workers();
    bench_pin(0);
    epoll_serve_port(port, true, work_accepted);
    for (int i = 1; i < workers; i++) {
        pthread_t thread;
        int *start = bench_need(malloc(2 * sizeof *start));
        start[0] = port;
        start[1] = i;
        pthread_create(&thread, NULL, worker, start);
    }
    if (workers > 1)
        usleep(20000);
}
