/*
 * udp_echo, udp_sink: 32 datagrams per system call, or one (BENCH_SINGLE). With _gso: the kernel gathers datagrams of
 * one sender on receiving, and cuts one buffer into datagrams on sending.
 */
#include "epoll.h"

enum { BATCH = 32 };

/* All that one recvmmsg needs. `buffers` are BATCH of `room` bytes each. */
struct udp {
    struct watch watch;
    bool gso, sink;
    size_t room;
    uint64_t counted;
    unsigned char *buffers;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in senders[BATCH];
    char controls[BATCH][64];
};

static void prepare(struct udp *udp, int count)
{
    for (int i = 0; i < count; i++) {
        udp->parts[i] = (struct iovec){udp->buffers + udp->room * (size_t)i, udp->room};
        udp->messages[i].msg_hdr = (struct msghdr){.msg_name = &udp->senders[i],
                                                   .msg_namelen = sizeof *udp->senders,
                                                   .msg_iov = &udp->parts[i],
                                                   .msg_iovlen = 1};
        if (udp->gso) {
            udp->messages[i].msg_hdr.msg_control = udp->controls[i];
            udp->messages[i].msg_hdr.msg_controllen = sizeof udp->controls[i];
        }
    }
}

/* The size of each datagram in a buffer, its own where it is one. */
static size_t segment_size(struct mmsghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message->msg_hdr); c; c = CMSG_NXTHDR(&message->msg_hdr, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            return (size_t)segment;
        }
    return message->msg_len;
}

/* Makes of a received message one to send: same bytes, back to the sender, cut where they were cut. */
static void turn_round(struct udp *udp, int i)
{
    struct mmsghdr *message = &udp->messages[i];
    size_t segment = udp->gso ? segment_size(message) : message->msg_len;
    udp->parts[i].iov_len = message->msg_len;
    if (segment == message->msg_len) {
        message->msg_hdr.msg_controllen = 0;
        return;
    }
    uint16_t size = (uint16_t)segment;
    message->msg_hdr.msg_controllen = CMSG_SPACE(sizeof size);
    struct cmsghdr *c = CMSG_FIRSTHDR(&message->msg_hdr);
    *c = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

static void count(struct udp *udp, int i)
{
    struct mmsghdr *message = &udp->messages[i];
    const unsigned char *bytes = udp->parts[i].iov_base;
    size_t segment = udp->gso ? segment_size(message) : message->msg_len;
    for (size_t at = 0; at < message->msg_len; at += segment) {
        unsigned char answer[8];
        udp->counted++;
        if (bytes[at] != 1)
            continue;
        for (int k = 0; k < 8; k++)
            answer[k] = (unsigned char)(udp->counted >> 8 * k);
        if (sendto(udp->watch.fd, answer, sizeof answer, 0, (struct sockaddr *)&udp->senders[i], sizeof *udp->senders) <
            0)
            perror("sendto");
    }
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct udp *udp = (struct udp *)(void *)watch;
    int wanted = epoll_single ? 1 : udp->gso ? 4 : BATCH, received;
    prepare(udp, wanted);
    if (wanted == 1) {
        ssize_t bytes = recvmsg(watch->fd, &udp->messages[0].msg_hdr, 0);
        received = bytes < 0 ? -1 : 1;
        udp->messages[0].msg_len = bytes < 0 ? 0 : (unsigned)bytes;
    } else {
        received = recvmmsg(watch->fd, udp->messages, (unsigned)wanted, MSG_DONTWAIT, NULL);
    }
    for (int i = 0; i < received; i++) {
        if (udp->sink)
            count(udp, i);
        else
            turn_round(udp, i);
    }
    if (udp->sink)
        return;
    for (int sent = 0; sent < received;) { /* what the socket has no room for is dropped, as the network would */
        int now = wanted == 1 ? (int)sendmsg(watch->fd, &udp->messages[0].msg_hdr, 0)
                              : sendmmsg(watch->fd, udp->messages + sent, (unsigned)(received - sent), 0);
        sent += now < 1 || wanted == 1 ? 1 : now;
    }
}

static void udp_open(int port, bool gso, bool sink)
{
    struct udp *udp = bench_need(calloc(1, sizeof *udp));
    udp->watch = (struct watch){.ready = ready, .fd = net_bind(SOCK_DGRAM | SOCK_NONBLOCK, port, false)};
    udp->gso = gso;
    udp->sink = sink;
    udp->room = gso ? NET_CHUNK : NET_DATAGRAM;
    udp->buffers = bench_need(malloc(udp->room * BATCH));
    if (gso)
        net_set(udp->watch.fd, IPPROTO_UDP, UDP_GRO, 1);
    epoll_watch(&udp->watch, EPOLLIN);
}

void epoll_udp_echo(int port)
{
    udp_open(port, false, false);
}

void epoll_udp_echo_gso(int port)
{
    udp_open(port, true, false);
}

void epoll_udp_sink(int port)
{
    udp_open(port, false, true);
}

void epoll_udp_sink_gso(int port)
{
    udp_open(port, true, true);
}
