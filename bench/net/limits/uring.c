/* net_uring serve MODE PORT: the ring, its buffers, connections, and echo. */
#include "uring.h"

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static unsigned char *buffer_memory;
static struct connection *starved; /* those whose receive ended because no buffer was left */
static struct piece *free_pieces;
static unsigned short order[URING_BUFFERS]; /* the buffers as they stand in the ring, which a bundle uses up in turn */
static unsigned order_head, order_tail;
static bool send_by_ring, send_without_copy, receive_bundles;
static void (*after_batch)(void);

struct listener {
    struct op op;
    int fd;
    void (*accepted)(int fd);
};

struct io_uring_sqe *uring_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = bench_need(io_uring_get_sqe(&ring));
    }
    return sqe;
}

unsigned char *uring_buffer(int buffer)
{
    return buffer_memory + (size_t)buffer * URING_BUFFER_SIZE;
}

void uring_after_batch(void (*hook)(void))
{
    after_batch = hook;
}

void uring_give_back(int buffer)
{
    io_uring_buf_ring_add(buffers, uring_buffer(buffer), URING_BUFFER_SIZE, (unsigned short)buffer,
                          io_uring_buf_ring_mask(URING_BUFFERS), 0);
    io_uring_buf_ring_advance(buffers, 1);
    order[order_tail++ % URING_BUFFERS] = (unsigned short)buffer;
    if (starved) {
        struct connection *connection = starved;
        starved = connection->next_starved;
        uring_receive(connection);
    }
}

void uring_receive(struct connection *connection)
{
    struct io_uring_sqe *sqe = uring_sqe();
    io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_GROUP;
    if (receive_bundles)
        sqe->ioprio |= URING_BUNDLE;
    io_uring_sqe_set_data(sqe, &connection->receive);
    connection->receiving = true;
}

void uring_maybe_close(struct connection *connection)
{
    if (!connection->ended || connection->receiving || connection->sending)
        return;
    close(connection->fd);
    free(connection->carry);
    free(connection);
}

/* `left` bytes, in one buffer or in several that stand behind each other in the ring. */
static void take_all(struct connection *connection, size_t left, int buffer)
{
    if (order[order_head % URING_BUFFERS] != buffer)
        exit(1);
    while (left > 0) {
        size_t count = left < URING_BUFFER_SIZE ? left : URING_BUFFER_SIZE;
        buffer = order[order_head++ % URING_BUFFERS];
        left -= count;
        connection->take(connection, uring_buffer(buffer), count, buffer);
    }
}

static void received(struct op *op, int result, unsigned flags)
{
    struct connection *connection = (struct connection *)(void *)op;
    connection->receiving = flags & IORING_CQE_F_MORE;
    if (result == -ENOBUFS) {
        connection->next_starved = starved;
        starved = connection;
        return;
    }
    if (result <= 0) {
        if (connection->end && !connection->ended)
            connection->end(connection);
        connection->ended = true;
        uring_maybe_close(connection);
        return;
    }
    take_all(connection, (size_t)result, (int)(flags >> IORING_CQE_BUFFER_SHIFT));
    if (!connection->receiving)
        uring_receive(connection);
}

void uring_prepare_send(struct connection *connection, const unsigned char *bytes, size_t count)
{
    struct io_uring_sqe *sqe = uring_sqe();
    if (send_without_copy)
        io_uring_prep_send_zc(sqe, connection->fd, bytes, count, MSG_WAITALL, 0);
    else
        io_uring_prep_send(sqe, connection->fd, bytes, count, MSG_WAITALL);
    io_uring_sqe_set_data(sqe, &connection->send);
    connection->sending = true;
}

bool uring_send_ended(struct connection *connection, int *result, unsigned flags)
{
    if (flags & IORING_CQE_F_MORE) {
        connection->taken = *result;
        return false;
    }
    if (flags & IORING_CQE_F_NOTIF)
        *result = connection->taken;
    connection->sending = false;
    return true;
}

static void send_first(struct connection *connection)
{
    struct piece *piece = connection->first;
    uring_prepare_send(connection, piece->bytes + piece->sent, piece->size - piece->sent);
}

static void drop_first(struct connection *connection)
{
    struct piece *piece = connection->first;
    connection->first = piece->next;
    if (!connection->first)
        connection->last = &connection->first;
    if (piece->buffer >= 0)
        uring_give_back(piece->buffer);
    else
        free(piece->bytes);
    piece->next = free_pieces;
    free_pieces = piece;
}

static void sent(struct op *op, int result, unsigned flags)
{
    struct connection *connection = (struct connection *)(void *)((char *)op - offsetof(struct connection, send));
    if (!uring_send_ended(connection, &result, flags))
        return;
    if (result < 0) {
        while (connection->first)
            drop_first(connection);
        shutdown(connection->fd, SHUT_RDWR); /* ends the receive too */
        uring_maybe_close(connection);
        return;
    }
    connection->first->sent += (size_t)result;
    if (connection->first->sent == connection->first->size)
        drop_first(connection);
    if (connection->first)
        send_first(connection);
    uring_maybe_close(connection);
}

static void queue(struct connection *connection, unsigned char *bytes, size_t count, int buffer)
{
    struct piece *piece = free_pieces;
    if (piece)
        free_pieces = piece->next;
    else
        piece = bench_need(malloc(sizeof *piece));
    *piece = (struct piece){.bytes = bytes, .size = count, .buffer = buffer};
    if (buffer < 0) {
        piece->bytes = bench_need(malloc(count));
        memcpy(piece->bytes, bytes, count);
    }
    *connection->last = piece;
    connection->last = &piece->next;
    if (!connection->sending)
        send_first(connection);
}

void uring_send(struct connection *connection, unsigned char *bytes, size_t count, int buffer)
{
    ssize_t done = 0;
    if (!connection->first && !send_by_ring)
        done = send(connection->fd, bytes, count, MSG_DONTWAIT);
    if (done == (ssize_t)count) {
        if (buffer >= 0)
            uring_give_back(buffer);
        return;
    }
    if (done < 0)
        done = 0; /* the ring waits, or finds the error again */
    queue(connection, bytes + done, count - (size_t)done, buffer);
}

struct connection *uring_open(int fd)
{
    struct connection *connection = bench_need(calloc(1, sizeof *connection));
    connection->receive.done = received;
    connection->send.done = sent;
    connection->fd = fd;
    connection->last = &connection->first;
    return connection;
}

static void listen_more(struct listener *listener)
{
    struct io_uring_sqe *sqe = uring_sqe();
    io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, &listener->op);
}

static void accepted(struct op *op, int result, unsigned flags)
{
    struct listener *listener = (struct listener *)(void *)op;
    if (result >= 0) {
        net_set(result, IPPROTO_TCP, TCP_NODELAY, 1);
        listener->accepted(result);
    }
    if (!(flags & IORING_CQE_F_MORE))
        listen_more(listener);
}

void uring_serve_port(int port, void (*accepted_one)(int fd))
{
    struct listener *listener = bench_need(calloc(1, sizeof *listener));
    *listener = (struct listener){{accepted}, net_listen(port, false), accepted_one};
    fcntl(listener->fd, F_SETFL, 0); /* or the ring would hand -EAGAIN back */
    listen_more(listener);
}

/* With the buffers' pages untouched: an idle server is charged for those that it used. */
static void open_ring(void)
{
    struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                                  IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
                                         .cq_entries = 4 * URING_ENTRIES};
    int error = io_uring_queue_init_params(URING_ENTRIES, &ring, &parameters);
    if (error < 0) {
        errno = -error;
        net_check(-1, "io_uring_queue_init");
    }
    io_uring_register_ring_fd(&ring);
    size_t size = URING_BUFFERS * sizeof(struct io_uring_buf);
    buffers = bench_need(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0));
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers, .ring_entries = URING_BUFFERS, .bgid = URING_GROUP};
    error = io_uring_register_buf_ring(&ring, &reg, 0);
    if (error < 0) {
        errno = -error;
        net_check(-1, "io_uring_register_buf_ring");
    }
    buffer_memory = bench_need(mmap(NULL, (size_t)URING_BUFFERS * URING_BUFFER_SIZE, PROT_READ | PROT_WRITE,
                                    MAP_ANONYMOUS | MAP_PRIVATE, -1, 0));
    io_uring_buf_ring_init(buffers);
    for (int i = 0; i < URING_BUFFERS; i++)
        uring_give_back(i);
}

_Noreturn static void run(void)
{
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            struct op *op = io_uring_cqe_get_data(cqe);
            op->done(op, cqe->res, cqe->flags);
            count++;
        }
        io_uring_cq_advance(&ring, count);
        if (after_batch)
            after_batch();
    }
}

static void echo_accepted(int fd)
{
    struct connection *connection = uring_open(fd);
    connection->take = uring_send;
    uring_receive(connection);
}

void uring_echo(int port)
{
    uring_serve_port(port, echo_accepted);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uring_mode *open;
    } modes[] = {{"echo", uring_echo},         {"idle", uring_echo},        {"pipelined", uring_pipelined},
                 {"sink", uring_sink},         {"source", uring_source},    {"accept", uring_accept},
                 {"udp_echo", uring_udp_echo}, {"udp_sink", uring_udp_sink}};
    if (argc != 4 || strcmp(argv[1], "serve") != 0)
        return fprintf(stderr, "usage: %s serve MODE PORT\n", argv[0]), 2;
    const char *send = getenv("BENCH_SEND"), *receive = getenv("BENCH_RECEIVE");
    send_without_copy = send && strcmp(send, "zc") == 0;
    send_by_ring = send_without_copy || (send && strcmp(send, "sqe") == 0);
    receive_bundles = receive && strcmp(receive, "bundle") == 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[2]) == 0) {
            open_ring();
            modes[i].open(atoi(argv[3]));
            net_ready();
            run();
        }
    return bench_not_applicable(argv[2]);
}
