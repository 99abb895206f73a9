/* pipelined, sink, source, accept on the ring; always batched. */
#include "uring.h"

static unsigned char output[2 * NET_CHUNK];
static size_t output_used;

/* Calls `message` for each whole one in the bytes, and keeps the beginning of the next. */
static void split(struct connection *self, const unsigned char *bytes, size_t count,
                  void (*message)(struct connection *, const unsigned char *))
{
    if (!self->size) { /* comes in one piece: the load sends it with one write */
        self->size = net_read_size(bytes);
        self->carry = bench_need(malloc(self->size));
        bytes += NET_HEADER;
        count -= NET_HEADER;
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
        message(self, self->carry);
    }
    for (; count >= self->size; bytes += self->size, count -= self->size)
        message(self, bytes);
    memcpy(self->carry, bytes, count);
    self->partial = count;
}

static void answer_message(struct connection *self, const unsigned char *message)
{
    memcpy(output + output_used, message, self->size);
    output_used += self->size;
}

static void count_message(struct connection *self, const unsigned char *message)
{
    (void)message;
    self->count++;
}

static void pipelined_take(struct connection *self, unsigned char *bytes, size_t count, int buffer)
{
    split(self, bytes, count, answer_message);
    uring_give_back(buffer);
    size_t used = output_used;
    output_used = 0;
    if (used)
        uring_send(self, output, used, -1);
}

static void sink_take(struct connection *self, unsigned char *bytes, size_t count, int buffer)
{
    split(self, bytes, count, count_message);
    uring_give_back(buffer);
}

static void sink_end(struct connection *self)
{
    unsigned char answer[8];
    for (int i = 0; i < 8; i++)
        answer[i] = (unsigned char)(self->count >> 8 * i);
    uring_send(self, answer, sizeof answer, -1);
}

static void source_sent(struct op *op, int result, unsigned flags);

static void source_send(struct connection *self)
{
    uring_prepare_send(self, output + self->partial, NET_CHUNK);
}

static void source_sent(struct op *op, int result, unsigned flags)
{
    struct connection *self = (struct connection *)(void *)((char *)op - offsetof(struct connection, send));
    if (!uring_send_ended(self, &result, flags))
        return;
    if (result < 0) {
        self->ended = true;
        shutdown(self->fd, SHUT_RDWR);
        uring_maybe_close(self);
        return;
    }
    self->partial = (self->partial + (size_t)result) % self->size;
    source_send(self);
}

static void source_take(struct connection *self, unsigned char *bytes, size_t count, int buffer)
{
    (void)count;
    self->size = net_read_size(bytes);
    uring_give_back(buffer);
    for (size_t i = 0; i < sizeof output; i++)
        output[i] = (unsigned char)(i % self->size);
    self->send.done = source_sent;
    source_send(self);
}

static void request_take(struct connection *self, unsigned char *bytes, size_t count, int buffer)
{
    memcpy(self->carry + self->partial, bytes, count);
    self->partial += count;
    uring_give_back(buffer);
    if (self->partial < NET_REQUEST)
        return;
    send(self->fd, self->carry, NET_REQUEST, MSG_DONTWAIT);
    shutdown(self->fd, SHUT_RDWR); /* ends the receive, which closes */
}

static void accepted_request(int fd)
{
    unsigned char bytes[NET_REQUEST];
    ssize_t count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == NET_REQUEST) { /* nearly always */
        send(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        close(fd);
        return;
    }
    struct connection *self = uring_open(fd);
    self->carry = bench_need(malloc(URING_BUFFER_SIZE));
    self->partial = count > 0 ? (size_t)count : 0;
    memcpy(self->carry, bytes, self->partial);
    self->take = request_take;
    uring_receive(self);
}

static struct connection *open_and_receive(int fd, void (*take)(struct connection *, unsigned char *, size_t, int))
{
    struct connection *self = uring_open(fd);
    self->take = take;
    uring_receive(self);
    return self;
}

static void accepted_pipelined(int fd)
{
    open_and_receive(fd, pipelined_take);
}

static void accepted_sink(int fd)
{
    open_and_receive(fd, sink_take)->end = sink_end;
}

static void accepted_source(int fd)
{
    open_and_receive(fd, source_take);
}

void uring_pipelined(int port)
{
    uring_serve_port(port, accepted_pipelined);
}

void uring_sink(int port)
{
    uring_serve_port(port, accepted_sink);
}

void uring_source(int port)
{
    uring_serve_port(port, accepted_source);
}

void uring_accept(int port)
{
    uring_serve_port(port, accepted_request);
}
