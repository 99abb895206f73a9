/*
 * udp_echo, udp_sink on the ring: a multishot receive into provided buffers; what a turn brought is sent back by one
 * sendmmsg, straight from those buffers.
 */
#include "uring.h"

enum { BATCH = 256 };

struct receiver {
    struct op op;
    struct msghdr shape; /* room for the sender's address, none for control messages */
    int fd;
    bool sink;
    uint64_t counted;
};

static struct receiver receiver;
static struct mmsghdr answers[BATCH];
static struct iovec parts[BATCH];
static int answer_buffers[BATCH];
static unsigned waiting;

static void receive_more(void)
{
    struct io_uring_sqe *sqe = uring_sqe();
    io_uring_prep_recvmsg_multishot(sqe, receiver.fd, &receiver.shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_GROUP;
    io_uring_sqe_set_data(sqe, &receiver.op);
}

/* What the socket has no room for is dropped, as the network would. */
static void send_answers(void)
{
    for (unsigned sent = 0; sent < waiting;) {
        int now = sendmmsg(receiver.fd, answers + sent, waiting - sent, MSG_DONTWAIT);
        sent += now < 1 ? 1 : (unsigned)now;
    }
    for (unsigned i = 0; i < waiting; i++)
        uring_give_back(answer_buffers[i]);
    waiting = 0;
}

static void answer(struct io_uring_recvmsg_out *out, void *bytes, size_t count, int buffer)
{
    parts[waiting] = (struct iovec){bytes, count};
    answers[waiting].msg_hdr = (struct msghdr){.msg_name = io_uring_recvmsg_name(out),
                                               .msg_namelen = out->namelen,
                                               .msg_iov = &parts[waiting],
                                               .msg_iovlen = 1};
    answer_buffers[waiting++] = buffer;
    if (waiting == BATCH)
        send_answers();
}

static void datagram(struct io_uring_recvmsg_out *out, int result, int buffer)
{
    unsigned char *bytes = io_uring_recvmsg_payload(out, &receiver.shape);
    size_t count = io_uring_recvmsg_payload_length(out, result, &receiver.shape);
    receiver.counted++;
    if (!receiver.sink) {
        answer(out, bytes, count, buffer);
        return;
    }
    if (bytes[0] != 1) {
        uring_give_back(buffer);
        return;
    }
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(receiver.counted >> 8 * i);
    answer(out, bytes, 8, buffer);
}

static void received(struct op *op, int result, unsigned flags)
{
    (void)op;
    if (flags & IORING_CQE_F_BUFFER) {
        int buffer = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
        struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(uring_buffer(buffer), result, &receiver.shape);
        if (out)
            datagram(out, result, buffer);
        else
            uring_give_back(buffer);
    }
    if (!(flags & IORING_CQE_F_MORE))
        receive_more();
}

static void open_receiver(int port, bool sink)
{
    receiver.op.done = received;
    receiver.shape.msg_namelen = sizeof(struct sockaddr_in);
    receiver.fd = net_bind(SOCK_DGRAM, port, false);
    receiver.sink = sink;
    uring_after_batch(send_answers);
    receive_more();
}

void uring_udp_echo(int port)
{
    open_receiver(port, false);
}

void uring_udp_sink(int port)
{
    open_receiver(port, true);
}
