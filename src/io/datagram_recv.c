/* datagram_recv.c - datagrams come in. */
#include "datagram.h"

#include <netinet/udp.h>
#include <string.h>

#include "../loop/buffers.h"

/* A Unix socket without a name has an address of no bytes: it is an address all the same. */
static void note_sender(const cosy_datagram *endpoint, const struct msghdr *header, struct cosy_address *from)
{
    from->size = header->msg_namelen;
    if (from->size == 0) {
        from->any.sa_family = (sa_family_t)endpoint->family;
        from->size = endpoint->family == AF_UNIX ? sizeof(sa_family_t) : 0;
    }
}

/* The call itself. Control messages only where they were asked for: a Unix peer might send descriptors, which nobody
 * would close. */
static int receive(cosy_datagram *endpoint, struct iovec *parts, size_t count, struct cosy_address *from, bool control)
{
    int held = cosy_datagram_held_error(endpoint);
    if (unlikely(held))
        return held;
    endpoint->header = (struct msghdr){.msg_iov = parts, .msg_iovlen = count};
    if (from) {
        endpoint->header.msg_name = &from->storage;
        endpoint->header.msg_namelen = sizeof from->storage;
    }
    if (control && endpoint->control_wanted) {
        endpoint->header.msg_control = endpoint->control;
        endpoint->header.msg_controllen = sizeof endpoint->control;
    }
    int length = COSY_PORT_CALL(&endpoint->port, COSY_PORT_READ, recvmsg, &endpoint->header, MSG_TRUNC);
    if (length < 0)
        return length;
    if (from)
        note_sender(endpoint, &endpoint->header, from);
    endpoint->stats.received++;
    endpoint->stats.truncated += (endpoint->header.msg_flags & MSG_TRUNC) != 0;
    cosy_datagram_count(endpoint, 1);
    return length;
}

static int64_t truncated(const struct cosy_address *from, int length, size_t size)
{
    char text[COSY_ADDRESS_TEXT];
    return cosy_fail(EMSGSIZE, "a datagram of %d bytes from %s is cut: there is room for %zu", length,
                     from ? cosy_address_text(from, text) : "a peer", size);
}

/* Not inlined: what it needs of the stack must not be there while the task waits. */
static __attribute__((noinline)) int64_t try_simple(cosy_datagram *endpoint, void *buffer, size_t size,
                                                    struct cosy_address *from)
{
    endpoint->part = (struct iovec){.iov_base = buffer, .iov_len = size};
    int length = receive(endpoint, &endpoint->part, 1, from, false);
    if (length == -EAGAIN)
        return length;
    if (length < 0)
        return cosy_datagram_fail(endpoint, COSY_PORT_READ, NULL, length);
    bool cut = endpoint->header.msg_flags & MSG_TRUNC;
    endpoint->stats.received_bytes += cut ? size : (size_t)length;
    return cut ? truncated(from, length, size) : length;
}

int64_t cosy_datagram_recv(cosy_datagram *endpoint, void *buffer, size_t size, struct cosy_address *from)
{
    int error;
    struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_recv", &error);
    if (!me)
        return error;
    bool turn = false;
    for (;;) {
        if (turn || !cosy_datagram_busy(endpoint, COSY_PORT_READ)) {
            int64_t result =
                cosy_port_may(&endpoint->port, COSY_PORT_READ) ? try_simple(endpoint, buffer, size, from) : -EAGAIN;
            if (result != -EAGAIN) {
                cosy_datagram_done(endpoint, COSY_PORT_READ, turn);
                return result;
            }
        }
        if ((error = cosy_datagram_await(me, endpoint, COSY_PORT_READ, turn)) < 0)
            return error;
        turn = true;
    }
}

int64_t cosy_datagram_tryrecv(cosy_datagram *endpoint, void *buffer, size_t size, struct cosy_address *from)
{
    int error = cosy_datagram_usable(endpoint);
    if (error < 0)
        return error;
    return cosy_datagram_busy(endpoint, COSY_PORT_READ) ? -EAGAIN : try_simple(endpoint, buffer, size, from);
}

/* ---- with all that goes along ---- */

static void note_control(struct cosy_datagram_message *message, const struct cmsghdr *control)
{
    struct in_pktinfo info;
    struct in6_pktinfo info6;
    int segment;
    if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
        memcpy(&segment, CMSG_DATA(control), sizeof segment);
        message->segment_size = (unsigned)segment < message->full_size ? (unsigned)segment : 0;
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        memcpy(&info, CMSG_DATA(control), sizeof info);
        message->local.ip4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = info.ipi_addr};
        message->local.size = sizeof message->local.ip4;
        message->interface = (unsigned)info.ipi_ifindex;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        memcpy(&info6, CMSG_DATA(control), sizeof info6);
        message->local.ip6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = info6.ipi6_addr};
        message->local.size = sizeof message->local.ip6;
        message->interface = info6.ipi6_ifindex;
        if (IN6_IS_ADDR_LINKLOCAL(&info6.ipi6_addr))
            message->local.ip6.sin6_scope_id = info6.ipi6_ifindex;
    }
}

static size_t room_of(const struct cosy_datagram_message *message)
{
    size_t room = 0;
    if (message->part_count == 0)
        return message->size;
    for (int i = 0; i < message->part_count; i++)
        room += message->parts[i].iov_len;
    return room;
}

static void note_message(cosy_datagram *endpoint, struct msghdr *header, size_t length,
                         struct cosy_datagram_message *message)
{
    message->truncated = header->msg_flags & MSG_TRUNC;
    message->full_size = length;
    message->size = message->truncated ? room_of(message) : length;
    message->segment_size = message->interface = 0;
    message->local.size = 0;
    endpoint->stats.received_bytes += message->size;
    if (header->msg_control)
        for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control))
            note_control(message, control);
}

static int try_message(cosy_datagram *endpoint, struct cosy_datagram_message *message)
{
    size_t count = (size_t)message->part_count;
    endpoint->part = (struct iovec){.iov_base = message->data, .iov_len = message->size};
    struct iovec *parts = count ? (struct iovec *)(uintptr_t)message->parts : &endpoint->part;
    int length = receive(endpoint, parts, count ? count : 1, &message->peer, true);
    if (length < 0)
        return length;
    note_message(endpoint, &endpoint->header, (size_t)length, message);
    return 1;
}

static void prepare_batch(const cosy_datagram *endpoint, struct cosy_datagram_batch *batch,
                          struct cosy_datagram_message *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct cosy_datagram_message *message = &messages[i];
        bool parts = message->part_count > 0;
        batch->parts[i] = (struct iovec){.iov_base = message->data, .iov_len = message->size};
        batch->headers[i].msg_hdr = (struct msghdr){
            .msg_iov = parts ? (struct iovec *)(uintptr_t)message->parts : &batch->parts[i],
            .msg_iovlen = parts ? (size_t)message->part_count : 1,
            .msg_name = &message->peer.storage,
            .msg_namelen = sizeof message->peer.storage,
            .msg_control = endpoint->control_wanted ? batch->control[i] : NULL,
            .msg_controllen = endpoint->control_wanted ? sizeof batch->control[i] : 0,
        };
    }
}

/* How many came. Fewer than there was room for: the next would block. An error behind the first is kept by the kernel,
 * and its edge has not been looked at yet. */
static int receive_batch(cosy_datagram *endpoint, struct cosy_datagram_batch *batch,
                         struct cosy_datagram_message *messages, unsigned count)
{
    prepare_batch(endpoint, batch, messages, count);
    int got = COSY_PORT_CALL(&endpoint->port, COSY_PORT_READ, recvmmsg, batch->headers, count, MSG_TRUNC);
    if (got < 0)
        return got;
    for (int i = 0; i < got; i++) {
        note_sender(endpoint, &batch->headers[i].msg_hdr, &messages[i].peer);
        note_message(endpoint, &batch->headers[i].msg_hdr, batch->headers[i].msg_len, &messages[i]);
        endpoint->stats.truncated += messages[i].truncated;
    }
    endpoint->stats.received += (uint64_t)got;
    cosy_datagram_count(endpoint, (unsigned)got);
    if ((unsigned)got < count)
        cosy_port_would_block(&endpoint->port, COSY_PORT_READ);
    return got;
}

/* How many came, -EAGAIN, or the error. Not inlined, as try_simple. */
static __attribute__((noinline)) int try_messages(cosy_datagram *endpoint, struct cosy_datagram_message *messages,
                                                  unsigned count)
{
    if (count == 1)
        return try_message(endpoint, messages);
    int held = cosy_datagram_held_error(endpoint);
    if (unlikely(held))
        return held;
    char *buffer = cosy_buffer_take(endpoint->loop);
    if (!buffer)
        return try_message(endpoint, messages);
    if (count > COSY_DATAGRAM_BATCH)
        count = COSY_DATAGRAM_BATCH;
    int result = receive_batch(endpoint, (struct cosy_datagram_batch *)(void *)buffer, messages, count);
    cosy_buffer_give(endpoint->loop, buffer);
    return result;
}

static int receive_some(cosy_datagram *endpoint, struct cosy_datagram_message *messages, unsigned count,
                        const char *call)
{
    int error;
    struct cosy_task *me = cosy_datagram_begin(endpoint, call, &error);
    if (!me)
        return error;
    bool turn = false;
    for (;;) {
        if (turn || !cosy_datagram_busy(endpoint, COSY_PORT_READ)) {
            int result =
                cosy_port_may(&endpoint->port, COSY_PORT_READ) ? try_messages(endpoint, messages, count) : -EAGAIN;
            if (result != -EAGAIN) {
                cosy_datagram_done(endpoint, COSY_PORT_READ, turn);
                return result < 0 ? cosy_datagram_fail(endpoint, COSY_PORT_READ, NULL, result) : result;
            }
        }
        if ((error = cosy_datagram_await(me, endpoint, COSY_PORT_READ, turn)) < 0)
            return error;
        turn = true;
    }
}

int cosy_datagram_recvmsg(cosy_datagram *endpoint, struct cosy_datagram_message *message)
{
    int result = receive_some(endpoint, message, 1, "cosy_datagram_recvmsg");
    return result < 0 ? result : 0;
}

int cosy_datagram_recvmmsg(cosy_datagram *endpoint, struct cosy_datagram_message *messages, unsigned count)
{
    if (count == 0)
        return 0;
    int result = receive_some(endpoint, messages, count, "cosy_datagram_recvmmsg");
    if (result < 0)
        return result;
    unsigned got = (unsigned)result;
    /* Others who wait are to get theirs. */
    while (got < count && !cosy_datagram_busy(endpoint, COSY_PORT_READ) &&
           cosy_port_may(&endpoint->port, COSY_PORT_READ)) {
        result = try_messages(endpoint, messages + got, count - got);
        if (result < 0)
            break;
        got += (unsigned)result;
    }
    if (result < 0 && result != -EAGAIN)
        endpoint->held_error = result;
    return (int)got;
}
