/* datagram_send.c - datagrams go out. */
#include "datagram.h"

#include <netinet/udp.h>
#include <string.h>

#include "../loop/buffers.h"

enum {
    SEGMENTS_AT_ONCE = 64, /* UDP_MAX_SEGMENTS of kernels before 6.9 */
    BYTES_AT_ONCE = 65000, /* what fits in one datagram, whatever its headers */
};

/* A send as it is tried, again and again. */
struct sending {
    const struct cosy_datagram_message *message; /* NULL: `data` and `to` are all */
    const void *data;
    size_t size;
    const struct cosy_address *to;
    unsigned segment; /* to be cut by the kernel into pieces of this size; 0: not */
};

static void prepare(cosy_datagram *endpoint, const struct sending *sending)
{
    const struct cosy_address *to = sending->to;
    const struct cosy_datagram_message *message = sending->message;
    endpoint->part = (struct iovec){.iov_base = (void *)(uintptr_t)sending->data, .iov_len = sending->size};
    endpoint->header = (struct msghdr){.msg_iov = &endpoint->part, .msg_iovlen = 1};
    if (message && message->part_count > 0) {
        endpoint->header.msg_iov = (struct iovec *)(uintptr_t)message->parts;
        endpoint->header.msg_iovlen = (size_t)message->part_count;
    }
    if (to && to->size) {
        endpoint->header.msg_name = (void *)(uintptr_t)&to->storage;
        endpoint->header.msg_namelen = to->size;
    }
}

static void add_control(cosy_datagram *endpoint, int level, int type, const void *value, size_t size)
{
    memset(endpoint->control, 0, CMSG_SPACE(size));
    endpoint->header.msg_control = endpoint->control;
    endpoint->header.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *control = CMSG_FIRSTHDR(&endpoint->header);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), value, size);
}

static void add_source(cosy_datagram *endpoint, const struct cosy_datagram_message *message)
{
    bool has_local = message->local.size > 0;
    if (endpoint->family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)message->interface};
        if (has_local)
            info.ipi_spec_dst = message->local.ip4.sin_addr;
        add_control(endpoint, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = message->interface};
        if (has_local)
            info.ipi6_addr = message->local.ip6.sin6_addr;
        add_control(endpoint, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

/* A Unix socket is writable also when its receiver's queue is full: there is no edge to wait for, unless it is
 * connected to that receiver. */
static bool has_no_edge(const cosy_datagram *endpoint, const struct sending *sending)
{
    return endpoint->family == AF_UNIX && sending->to && sending->to->size;
}

/* The system call: 0, -EAGAIN or the error, which is not told yet. */
static int call_kernel(cosy_datagram *endpoint, const struct sending *sending)
{
    const struct cosy_datagram_message *message = sending->message;
    int held = cosy_datagram_held_error(endpoint);
    if (unlikely(held))
        return held;
    prepare(endpoint, sending);
    if (sending->segment) {
        uint16_t segment = (uint16_t)sending->segment;
        add_control(endpoint, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    } else if (message && (message->local.size || message->interface)) {
        if (endpoint->family == AF_UNIX || (message->local.size && message->local.any.sa_family != endpoint->family))
            return -EINVAL;
        add_source(endpoint, message);
    }
    int sent = COSY_PORT_CALL(&endpoint->port, COSY_PORT_WRITE, sendmsg, &endpoint->header, 0);
    if (sent == -EAGAIN && has_no_edge(endpoint, sending))
        endpoint->port.may |= 1u << COSY_PORT_WRITE; /* to other receivers */
    if (sent < 0)
        return sent;
    unsigned count = sending->segment ? (unsigned)((sending->size + sending->segment - 1) / sending->segment) : 1;
    endpoint->stats.sent += count;
    endpoint->stats.sent_bytes += (uint64_t)sent;
    cosy_datagram_count(endpoint, count);
    return 0;
}

/* Not inlined: what it needs of the stack must not be there while the task waits. */
static __attribute__((noinline)) int try_send(cosy_datagram *endpoint, const struct sending *sending)
{
    int result = call_kernel(endpoint, sending);
    return result == 0 || result == -EAGAIN || sending->segment
               ? result
               : cosy_datagram_fail(endpoint, COSY_PORT_WRITE, sending->to, result);
}

static int send_without_edge(cosy_datagram *endpoint, const struct sending *sending)
{
    cosy_ns delay = COSY_US(100);
    for (;;) {
        int result = try_send(endpoint, sending);
        if (result != -EAGAIN)
            return result;
        if ((result = cosy_datagram_pause(endpoint, delay)) < 0)
            return result;
        delay = delay < COSY_MS(4) ? 2 * delay : delay;
    }
}

static int send_waiting(struct cosy_task *me, cosy_datagram *endpoint, const struct sending *sending)
{
    int result;
    bool turn = false;
    if (has_no_edge(endpoint, sending))
        return send_without_edge(endpoint, sending);
    for (;;) {
        if (turn || !cosy_datagram_busy(endpoint, COSY_PORT_WRITE)) {
            result = cosy_port_may(&endpoint->port, COSY_PORT_WRITE) ? try_send(endpoint, sending) : -EAGAIN;
            if (result != -EAGAIN) {
                cosy_datagram_done(endpoint, COSY_PORT_WRITE, turn);
                return result;
            }
        }
        if ((result = cosy_datagram_await(me, endpoint, COSY_PORT_WRITE, turn)) < 0)
            return result;
        turn = true;
    }
}

int cosy_datagram_sendto(cosy_datagram *endpoint, const void *data, size_t size, const struct cosy_address *to)
{
    int error;
    struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_sendto", &error);
    struct sending sending = {.data = data, .size = size, .to = to};
    return me ? send_waiting(me, endpoint, &sending) : error;
}

int cosy_datagram_send(cosy_datagram *endpoint, const void *data, size_t size)
{
    int error;
    struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_send", &error);
    struct sending sending = {.data = data, .size = size};
    return me ? send_waiting(me, endpoint, &sending) : error;
}

int cosy_datagram_trysend(cosy_datagram *endpoint, const void *data, size_t size, const struct cosy_address *to)
{
    int error = cosy_datagram_usable(endpoint);
    struct sending sending = {.data = data, .size = size, .to = to};
    if (error < 0)
        return error;
    return cosy_datagram_busy(endpoint, COSY_PORT_WRITE) ? -EAGAIN : try_send(endpoint, &sending);
}

static struct sending sending_of(const struct cosy_datagram_message *message)
{
    return (struct sending){.message = message, .data = message->data, .size = message->size, .to = &message->peer};
}

int cosy_datagram_sendmsg(cosy_datagram *endpoint, const struct cosy_datagram_message *message)
{
    int error;
    struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_sendmsg", &error);
    if (!me)
        return error;
    struct sending sending = sending_of(message);
    return send_waiting(me, endpoint, &sending);
}

/* How many messages from the first on may go in one system call. Such a call tells only of its first message's error:
 * where one message's error is another's to tell, each goes alone. */
static unsigned that_go_together(const cosy_datagram *endpoint, const struct cosy_datagram_message *messages,
                                 unsigned count)
{
    unsigned together = 0;
    if (endpoint->one_by_one || endpoint->reports || endpoint->family == AF_UNIX || endpoint->held_error ||
        cosy_datagram_busy(endpoint, COSY_PORT_WRITE) || !cosy_port_may(&endpoint->port, COSY_PORT_WRITE))
        return 0;
    while (together < count && together < COSY_DATAGRAM_BATCH && messages[together].peer.size &&
           !messages[together].local.size && !messages[together].interface)
        together++;
    return together;
}

/* Sends what goes at once; what is left goes alone, and tells why. How many. */
static __attribute__((noinline)) unsigned send_batch(cosy_datagram *endpoint,
                                                     const struct cosy_datagram_message *messages, unsigned count)
{
    char *buffer = cosy_buffer_take(endpoint->loop);
    if (!buffer)
        return 0;
    struct cosy_datagram_batch *batch = (struct cosy_datagram_batch *)(void *)buffer;
    for (unsigned i = 0; i < count; i++) {
        const struct cosy_datagram_message *message = &messages[i];
        bool parts = message->part_count > 0;
        batch->parts[i] = (struct iovec){.iov_base = message->data, .iov_len = message->size};
        batch->headers[i].msg_hdr = (struct msghdr){
            .msg_iov = parts ? (struct iovec *)(uintptr_t)message->parts : &batch->parts[i],
            .msg_iovlen = parts ? (size_t)message->part_count : 1,
            .msg_name = (void *)(uintptr_t)&message->peer.storage,
            .msg_namelen = message->peer.size,
        };
    }
    int sent = COSY_PORT_CALL(&endpoint->port, COSY_PORT_WRITE, sendmmsg, batch->headers, count, 0);
    for (int i = 0; i < sent; i++)
        endpoint->stats.sent_bytes += batch->headers[i].msg_len;
    cosy_buffer_give(endpoint->loop, buffer);
    if (sent <= 0)
        return 0;
    endpoint->stats.sent += (uint64_t)sent;
    cosy_datagram_count(endpoint, (unsigned)sent);
    return (unsigned)sent;
}

int cosy_datagram_sendmmsg(cosy_datagram *endpoint, const struct cosy_datagram_message *messages, unsigned count,
                           unsigned *ret_sent)
{
    int result = 0;
    unsigned sent = 0;
    while (sent < count) {
        struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_sendmmsg", &result);
        if (!me)
            break;
        unsigned together = that_go_together(endpoint, messages + sent, count - sent);
        unsigned gone = together > 1 ? send_batch(endpoint, messages + sent, together) : 0;
        sent += gone;
        if (gone > 0 && gone == together)
            continue;
        struct sending sending = sending_of(&messages[sent]);
        result = send_waiting(me, endpoint, &sending);
        if (result < 0)
            break;
        sent++;
    }
    if (ret_sent)
        *ret_sent = sent;
    return result;
}

/* ---- many of one size ---- */

/* Asked once: a kernel that does not know the option would send the whole as one datagram. */
static bool kernel_cuts(cosy_datagram *endpoint)
{
    int size;
    socklen_t length = sizeof size;
    if (endpoint->segments == 0)
        endpoint->segments = endpoint->family != AF_UNIX &&
                                     cosy_datagram_getsockopt(endpoint, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0
                                 ? 1
                                 : -1;
    return endpoint->segments > 0;
}

/* How much of what is left goes out in the next call. */
static size_t portion(cosy_datagram *endpoint, size_t left, size_t segment)
{
    size_t most = BYTES_AT_ONCE / segment;
    if (most > SEGMENTS_AT_ONCE)
        most = SEGMENTS_AT_ONCE;
    if (most < 2 || left <= segment || !kernel_cuts(endpoint))
        most = 1;
    return left < most * segment ? left : most * segment;
}

int cosy_datagram_send_segmented(cosy_datagram *endpoint, const void *data, size_t size, size_t segment_size,
                                 const struct cosy_address *to)
{
    int result;
    size_t done = 0;
    if (segment_size == 0 || segment_size > UINT16_MAX)
        return cosy_fail(EINVAL, "cosy_datagram_send_segmented: segments of %zu bytes", segment_size);
    do {
        struct cosy_task *me = cosy_datagram_begin(endpoint, "cosy_datagram_send_segmented", &result);
        if (!me)
            return result;
        struct sending sending = {.data = (const char *)data + done, .to = to};
        sending.size = portion(endpoint, size - done, segment_size);
        sending.segment = sending.size > segment_size ? (unsigned)segment_size : 0;
        result = send_waiting(me, endpoint, &sending);
        if (result == 0)
            done += sending.size;
        else if (result == -ECANCELED || !sending.segment)
            return result;
        else if ((result = cosy_datagram_usable(endpoint)) < 0)
            return result;
        else
            endpoint->segments =
                -1; /* this path cannot: larger than a frame, or no checksums. One by one tells what is the matter */
    } while (done < size);
    return 0;
}
