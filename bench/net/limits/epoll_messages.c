/*
 * pipelined, sink, source: messages of a size that the client names first. Batched: one recv brings what there is, one
 * send takes all answers. Single (BENCH_SINGLE): a system call for each message.
 */
#include "epoll.h"

/* `partial` bytes of the next header or message have come already and stand at the start of `carry`. */
struct messages {
    struct watch watch;
    struct backlog backlog;
    void (*take)(struct messages *self, const unsigned char *message); /* a whole message */
    size_t size;                                                       /* 0: the header has not come */
    size_t partial;
    unsigned char *carry;
    uint64_t count;
    size_t sent; /* source: how far into a message the next byte lies */
};

static unsigned char input[NET_CHUNK], output[2 * NET_CHUNK];
static size_t output_used;

static void messages_close(struct messages *self)
{
    free(self->backlog.bytes);
    free(self->carry);
    epoll_close(&self->watch);
}

/* Takes the header, then allocates what a message that comes in pieces needs. */
static size_t take_header(struct messages *self, const unsigned char *bytes, size_t count)
{
    static unsigned char header[NET_HEADER]; /* comes in one piece: the load sends it with the first write */
    if (count < NET_HEADER)
        exit(1);
    memcpy(header, bytes, NET_HEADER);
    self->size = net_read_size(header);
    self->carry = bench_need(malloc(self->size));
    return NET_HEADER;
}

static void split(struct messages *self, const unsigned char *bytes, size_t count)
{
    if (!self->size) {
        size_t used = take_header(self, bytes, count);
        bytes += used;
        count -= used;
    }
    if (self->partial) {
        size_t missing = self->size - self->partial, piece = count < missing ? count : missing;
        memcpy(self->carry + self->partial, bytes, piece);
        self->partial += piece;
        bytes += piece;
        count -= piece;
        if (self->partial < self->size)
            return;
        self->partial = 0;
        self->take(self, self->carry);
    }
    for (; count >= self->size; bytes += self->size, count -= self->size)
        self->take(self, bytes);
    memcpy(self->carry, bytes, count);
    self->partial = count;
}

static ssize_t receive(struct messages *self)
{
    size_t want = sizeof input;
    if (epoll_single)
        want = self->size ? self->size - self->partial : NET_HEADER;
    return epoll_receive(self->watch.fd, input, want);
}

static void answer_message(struct messages *self, const unsigned char *message)
{
    memcpy(output + output_used, message, self->size);
    output_used += self->size;
}

static void pipelined_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct messages *self = (struct messages *)(void *)watch;
    if (self->backlog.used) {
        if (!epoll_send_backlog(watch, &self->backlog))
            messages_close(self);
        return;
    }
    ssize_t count = receive(self);
    if (count < 0) {
        messages_close(self);
        return;
    }
    if (count == 0)
        return;
    split(self, input, (size_t)count);
    size_t used = output_used;
    output_used = 0;
    if (used && !epoll_send(watch, &self->backlog, output, used))
        messages_close(self);
}

static void count_message(struct messages *self, const unsigned char *message)
{
    (void)message;
    self->count++;
}

static void sink_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct messages *self = (struct messages *)(void *)watch;
    ssize_t count = receive(self);
    if (count > 0)
        split(self, input, (size_t)count);
    if (count >= 0)
        return;
    unsigned char answer[8];
    for (int i = 0; i < 8; i++)
        answer[i] = (unsigned char)(self->count >> 8 * i);
    send(watch->fd, answer, sizeof answer, 0);
    messages_close(self);
}

/* Batched: whole chunks of messages, prepared once. */
static void source_ready(struct watch *watch, uint32_t events)
{
    struct messages *self = (struct messages *)(void *)watch;
    if (!self->size) {
        ssize_t count = epoll_receive(watch->fd, input, NET_HEADER);
        if (count < 0)
            messages_close(self);
        if (count <= 0)
            return;
        take_header(self, input, (size_t)count);
        for (size_t i = 0; i < sizeof output; i++)
            output[i] = (unsigned char)(i % self->size);
        epoll_rewatch(watch, EPOLLOUT);
        return;
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        messages_close(self);
        return;
    }
    for (int i = 0; i < 16; i++) { /* then it is another connection's turn */
        size_t size = epoll_single ? self->size - self->sent : NET_CHUNK;
        ssize_t count = send(watch->fd, output + self->sent, size, 0);
        if (count < 0) {
            if (errno != EAGAIN)
                messages_close(self);
            return;
        }
        self->sent = (self->sent + (size_t)count) % self->size;
    }
}

static struct messages *messages_open(int fd, void (*ready)(struct watch *, uint32_t))
{
    struct messages *self = bench_need(calloc(1, sizeof *self));
    self->watch = (struct watch){.ready = ready, .fd = fd};
    epoll_watch(&self->watch, EPOLLIN);
    return self;
}

static void pipelined_accepted(int fd)
{
    messages_open(fd, pipelined_ready)->take = answer_message;
}

static void sink_accepted(int fd)
{
    messages_open(fd, sink_ready)->take = count_message;
}

static void source_accepted(int fd)
{
    messages_open(fd, source_ready);
}

void epoll_pipelined(int port)
{
    epoll_serve_port(port, false, pipelined_accepted);
}

void epoll_sink(int port)
{
    epoll_serve_port(port, false, sink_accepted);
}

void epoll_source(int port)
{
    epoll_serve_port(port, false, source_accepted);
}
