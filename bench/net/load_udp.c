/*
 * udp_echo, udp_sink and the same with _gso: `depth` datagrams are under way on each socket. The load itself always
 * sends with segmentation offload and receives with it, so that it stays cheap; the mode's name tells the server alone.
 * An operation is a datagram that the server has answered (echo) or has said that it counted (sink).
 */
#include "load.h"

struct channel {
    struct watch watch;
    int under_way, oldest;
    uint64_t *stamps;  /* of those under way, a ring */
    uint64_t progress; /* when an answer came last */
};

enum { BATCH = 16 };

static struct channel *channels;
static unsigned char
    *datagrams; /* echo: depth of them. sink: the last has 1 in its first byte: it asks for an answer */
static bool sink;
static uint64_t counted, all_done;

static void send_burst(struct channel *channel, int count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(uint16_t))];
    } control = {
        .header = {.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t))}};
    uint16_t segment = (uint16_t)load.size;
    memcpy(CMSG_DATA(&control.header), &segment, sizeof segment);
    struct iovec part = {.iov_base = datagrams + load.size * (size_t)(load.depth - count),
                         .iov_len = load.size * (size_t)count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 1) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
    }
    ssize_t sent = sendmsg(channel->watch.fd, &message, 0);
    if (sent != (ssize_t)part.iov_len)
        load_fail("sendmsg");
    for (int i = 0; i < count; i++)
        channel->stamps[(channel->oldest + channel->under_way++) % load.depth] = load.now;
}

static void count_answers(struct channel *channel, int count)
{
    if (count > channel->under_way) /* one that was given up as lost has come after all */
        count = channel->under_way;
    for (int i = 0; i < count; i++) {
        histogram_add(&load.latency, load.now - channel->stamps[channel->oldest]);
        channel->oldest = (channel->oldest + 1) % load.depth;
    }
    channel->under_way -= count;
    channel->progress = load.now;
    load.done += (uint64_t)count;
    all_done += (uint64_t)count;
}

static void read_count(const unsigned char answer[8])
{
    uint64_t value = 0;
    for (int k = 0; k < 8; k++)
        value |= (uint64_t)answer[k] << 8 * k;
    if (value > counted)
        counted = value;
}

/* How many datagrams lie in one received buffer. */
static int segments_in(struct msghdr *message, size_t bytes)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            return (int)((bytes + (size_t)segment - 1) / (size_t)segment);
        }
    return 1;
}

static int receive_batch(struct channel *channel)
{
    static unsigned char buffers[BATCH][NET_CHUNK];
    char control[BATCH][64];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){.iov_base = buffers[i], .iov_len = NET_CHUNK};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
    }
    int count = recvmmsg(channel->watch.fd, messages, BATCH, MSG_DONTWAIT, NULL), answers = 0;
    if (load_would_block(count))
        return 0;
    for (int i = 0; i < count; i++) {
        if (sink && messages[i].msg_len == 8) {
            read_count(buffers[i]);
            answers += load.depth;
        } else if (!sink) {
            answers += segments_in(&messages[i].msg_hdr, messages[i].msg_len);
        }
    }
    return answers;
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct channel *channel = (struct channel *)(void *)watch;
    int answers = receive_batch(channel);
    load.now = load_clock_ns();
    if (answers)
        count_answers(channel, answers);
    int room = load.depth - channel->under_way;
    if (room && (!sink || room == load.depth))
        send_burst(channel, room);
}

/* What has not been answered within 200 ms was dropped for want of room in a socket. */
static void give_up_lost(void)
{
    for (int i = 0; i < load.connections; i++) {
        struct channel *channel = &channels[i];
        if (load.now - channel->progress < 200000000u)
            continue;
        load.lost += (uint64_t)channel->under_way;
        channel->under_way = 0;
        channel->progress = load.now;
        send_burst(channel, load.depth);
    }
}

static void check_echo(int fd)
{
    unsigned char *got = bench_need(malloc(load.size + 1));
    struct timeval limit = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    errno = 0;
    const unsigned char *asks = datagrams + load.size * (size_t)(load.depth - 1);
    ssize_t count = send(fd, asks, load.size, 0) < 0 ? -1 : recv(fd, got, load.size + 1, 0);
    if (sink ? count != 8 : count != (ssize_t)load.size || memcmp(got, asks, load.size) != 0)
        load_fail("the answer is not what it must be");
    free(got);
}

static void open_channels(void)
{
    struct sockaddr_in address = net_address(load.port);
    sink = strncmp(load.mode, "udp_sink", 8) == 0;
    errno = 0;
    if (load.depth > NET_SEGMENTS || load.size < 9 || load.size * (size_t)load.depth > 65000)
        load_fail("too many or too large datagrams for one buffer");
    datagrams = load_pattern(load.size * (size_t)load.depth);
    for (int i = 0; i < load.depth; i++)
        datagrams[load.size * (size_t)i] = i == load.depth - 1;
    channels = bench_need(calloc((size_t)load.connections, sizeof *channels));
    for (int i = 0; i < load.connections; i++) {
        int fd = net_check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
        net_check(connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
        check_echo(fd);
        net_set(fd, IPPROTO_UDP, UDP_GRO, 1);
        load_set_nonblocking(fd);
        channels[i] = (struct channel){.watch = {.ready = ready, .fd = fd}, .progress = load_clock_ns()};
        channels[i].stamps = bench_need(calloc((size_t)load.depth, sizeof(uint64_t)));
        load_watch(&channels[i].watch, EPOLLIN);
    }
    load.now = load_clock_ns();
    for (int i = 0; i < load.connections; i++)
        send_burst(&channels[i], load.depth);
}

static void check_count(void)
{
    errno = 0;
    if (sink && counted < all_done)
        load_fail("the server has counted fewer than it was sent");
}

const struct load_mode load_udp_modes[4] = {
    {.name = "udp_echo", .open = open_channels, .tick = give_up_lost},
    {.name = "udp_echo_gso", .open = open_channels, .tick = give_up_lost},
    {.name = "udp_sink", .open = open_channels, .close = check_count, .tick = give_up_lost},
    {.name = "udp_sink_gso", .open = open_channels, .close = check_count, .tick = give_up_lost},
};
