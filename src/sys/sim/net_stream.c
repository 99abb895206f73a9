/* net_stream.c - connected streams: TCP, and Unix streams and packets. Reading, writing, and the ends of a connection.
 *
 * What TCP and Unix sockets answer differs in small things (which error comes first, when there is room again). They
 * are the kernel's: tcp_recvmsg, tcp_sendmsg, tcp_reset; unix_stream_read_generic, unix_stream_sendmsg,
 * unix_release_sock.
 */
#include "socket.h"

enum { MOST_PACKETS = 11 }; /* in a Unix packet socket's line: net.unix.max_dgram_qlen and one more */

/* ---- room ---- */

/* What a writer has sent and its buffer still holds: of TCP until the reader's window takes it, of a Unix socket until
 * it is read. */
static size_t held(const struct sim_socket *socket)
{
    const struct sim_flow *to = &socket->peer->in;
    return sim_is_tcp(socket) ? to->total - to->visible : to->total;
}

static size_t room_of(const struct sim_socket *socket)
{
    size_t room = (size_t)socket->options.send_room, used = held(socket);
    if (socket->type == SOCK_SEQPACKET && socket->peer->in.chunks >= MOST_PACKETS)
        return 0;
    return used < room ? room - used : 0;
}

/* Not until a third (TCP), or three quarters (Unix), of the buffer are free: so writers are not woken for each byte. */
bool cosy_sim_stream_writable(const struct sim_socket *socket)
{
    if (!socket->peer)
        return true;
    size_t used = held(socket), all = (size_t)socket->options.send_room;
    if (sim_is_tcp(socket))
        return used * 3 <= all * 2;
    return used * 4 <= all && (socket->type == SOCK_STREAM || socket->peer->in.chunks < MOST_PACKETS);
}

static void tell_writer(struct sim_network *network, struct sim_socket *writer)
{
    if (!writer || !writer->full || !cosy_sim_stream_writable(writer))
        return;
    writer->full = false;
    cosy_sim_touch(network, &writer->file, COSY_SYS_WRITE);
}

/* Lets what has arrived through the window, and the end after it. */
void cosy_sim_stream_pump(struct sim_network *network, struct sim_socket *socket)
{
    struct sim_flow *in = &socket->in;
    cosy_ns now = sim_clock(network);
    size_t window = sim_is_tcp(socket) ? (size_t)socket->options.receive_room : in->total, before = in->visible;
    cosy_sim_flow_arrive(in, now);
    if (in->visible < window)
        in->visible = in->arrived < window ? in->arrived : window;
    bool end = in->ending && !in->ended && in->visible == in->total && in->end_at <= now;
    in->ended |= end;
    if (in->visible > before || end)
        cosy_sim_touch(network, &socket->file, COSY_SYS_READ);
    tell_writer(network, socket->peer);
    cosy_ns next = in->cursor                                             ? in->cursor->at
                   : in->ending && !in->ended && in->visible == in->total ? in->end_at
                                                                          : COSY_NEVER;
    if (next != COSY_NEVER && (!socket->arrival.waiting || socket->arrival.at != next))
        cosy_sim_schedule(network, &socket->arrival, next);
}

static cosy_ns arrives_at(struct sim_network *network, const struct sim_socket *socket)
{
    return sim_is_tcp(socket) ? sim_clock(network) + socket->delay + cosy_sim_latency(network) : 0;
}

/* ---- the ends of a connection ---- */

void cosy_sim_stream_pair(struct sim_socket *a, struct sim_socket *b)
{
    a->peer = b;
    b->peer = a;
    a->state = b->state = SIM_CONNECTED;
}

static struct sim_socket *unlink_peer(struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;
    socket->peer = NULL;
    if (peer)
        peer->peer = NULL;
    return peer;
}

/* Nothing more comes or goes. What the reader could see already it may read. */
static void end_here(struct sim_network *network, struct sim_socket *socket, int error)
{
    socket->error = error;
    socket->state = SIM_OVER;
    socket->shut_read = socket->shut_write = true;
    cosy_sim_unschedule(network, &socket->arrival);
    cosy_sim_flow_drop_unseen(network, &socket->in);
    cosy_sim_touch(network, &socket->file, SIM_BOTH);
}

void cosy_sim_change_in(struct sim_network *network, struct sim_socket *socket, cosy_ns delay, int error)
{
    socket->change_error = error;
    cosy_sim_schedule(network, &socket->change, sim_clock(network) + delay);
}

/* A reset behind what was sent before it. */
static void send_reset(struct sim_network *network, struct sim_socket *to, cosy_ns delay)
{
    cosy_ns left = to->in.last_at - sim_clock(network);
    cosy_sim_change_in(network, to, delay > left ? delay : left, ECONNRESET);
}

void cosy_sim_run_change(struct sim_network *network, struct sim_event *event)
{
    struct sim_socket *socket = container_of(event, struct sim_socket, change);
    if (socket->state == SIM_CONNECTING) {
        cosy_sim_answer(network, socket);
        return;
    }
    bool ended_by_both = socket->in.ended && socket->shut_write;
    if (socket->state != SIM_CONNECTED || ended_by_both)
        return;
    cosy_sim_stream_pump(network, socket);
    unlink_peer(socket);
    end_here(network, socket, socket->in.ended ? EPIPE : socket->change_error);
}

void cosy_sim_stream_break(struct sim_network *network, struct sim_socket *socket, int error)
{
    struct sim_socket *peer = unlink_peer(socket);
    cosy_ns delay = arrives_at(network, socket) - sim_clock(network);
    end_here(network, socket, error);
    if (peer)
        send_reset(network, peer, delay);
}

void cosy_sim_stream_end(struct sim_network *network, struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;
    socket->shut_write = true;
    if (!peer)
        return;
    if (sim_is_tcp(socket)) {
        cosy_ns at = arrives_at(network, socket);
        peer->in.ending = true;
        peer->in.end_at = at > peer->in.last_at ? at : peer->in.last_at;
        cosy_sim_stream_pump(network, peer);
    } else {
        peer->shut_read = true;
        cosy_sim_touch(network, &peer->file, SIM_BOTH);
    }
}

static int tcp_shutdown(struct sim_network *network, struct sim_socket *socket, int how)
{
    if (socket->state == SIM_LISTENING && how != SHUT_WR)
        cosy_sim_listen_no_more(network, socket);
    else if (socket->state == SIM_CONNECTING) {
        cosy_sim_unschedule(network, &socket->change);
        socket->state = SIM_FRESH;
    } else if (socket->state == SIM_CONNECTED) {
        socket->shut_read |= how != SHUT_WR;
        if (how != SHUT_RD && !socket->shut_write)
            cosy_sim_stream_end(network, socket);
    } else if (socket->state != SIM_LISTENING)
        return -ENOTCONN;
    cosy_sim_touch(network, &socket->file, SIM_BOTH);
    return 0;
}

static int unix_shutdown(struct sim_network *network, struct sim_socket *socket, int how)
{
    struct sim_socket *peer = socket->peer;
    socket->shut_read |= how != SHUT_WR;
    socket->shut_write |= how != SHUT_RD;
    if (!peer || socket->type == SOCK_DGRAM)
        return 0;
    peer->shut_write |= how != SHUT_WR;
    peer->shut_read |= how != SHUT_RD;
    cosy_sim_touch(network, &peer->file, SIM_BOTH);
    return 0;
}

int cosy_sim_shutdown(struct sim_network *network, struct sim_socket *socket, int how)
{
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    if (!sim_is_udp(socket))
        return sim_is_tcp(socket) ? tcp_shutdown(network, socket, how) : unix_shutdown(network, socket, how);
    socket->shut_read |= how != SHUT_WR;
    socket->shut_write |= how != SHUT_RD;
    cosy_sim_touch(network, &socket->file, SIM_BOTH);
    return socket->remote.size ? 0 : -ENOTCONN; /* it takes effect all the same */
}

/* Unread bytes, or no patience for them (SO_LINGER 0), turn the end into a reset; what arrives afterwards is answered
 * by one. */
static void tcp_close(struct sim_network *network, struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;
    if (socket->state != SIM_CONNECTED || !peer)
        return;
    bool impatient = socket->options.linger.l_onoff && socket->options.linger.l_linger == 0;
    cosy_ns there = arrives_at(network, socket) - sim_clock(network);
    if (socket->in.arrived > 0 || impatient) {
        send_reset(network, peer, there);
    } else {
        if (!socket->shut_write)
            cosy_sim_stream_end(network, socket);
        if (socket->in.total > 0)
            send_reset(network, peer, 2 * there);
    }
    unlink_peer(socket);
    tell_writer(network, peer);
}

static void unix_close(struct sim_network *network, struct sim_socket *socket)
{
    struct sim_socket *peer = unlink_peer(socket);
    if (!peer)
        return;
    peer->shut_read = peer->shut_write = true;
    if (socket->in.chunks > 0 && (socket->in.total > 0 || socket->type != SOCK_STREAM))
        peer->error = ECONNRESET;
    else if (socket->listener)
        peer->error = ECONNRESET; /* never accepted */
    cosy_sim_touch(network, &peer->file, SIM_BOTH);
}

void cosy_sim_stream_close(struct sim_network *network, struct sim_socket *socket)
{
    if (socket->state == SIM_LISTENING)
        cosy_sim_listen_no_more(network, socket);
    else if (sim_is_tcp(socket))
        tcp_close(network, socket);
    else
        unix_close(network, socket);
}

/* ---- reading ---- */

static int nothing_to_read(struct sim_socket *socket)
{
    if (sim_is_tcp(socket) && socket->in.ended)
        return 0;
    if (socket->error)
        return cosy_sim_take_error(socket);
    return socket->shut_read ? 0 : -EAGAIN;
}

static int check_reader(const struct sim_socket *socket)
{
    if (socket->state == SIM_CONNECTED || socket->state == SIM_OVER)
        return 0;
    if (sim_is_tcp(socket))
        return socket->state == SIM_CONNECTING ? -EAGAIN : -ENOTCONN;
    return socket->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
}

static void give_rights(struct sim_network *network, struct sim_chunk *chunk, struct msghdr *message, bool keep)
{
    if (!chunk->rights)
        return;
    if (message)
        cosy_sim_rights_give(network, chunk->rights, message, keep);
    if (keep)
        return;
    cosy_sim_rights_free(network, chunk->rights);
    chunk->rights = NULL;
}

static int read_packet(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                       struct msghdr *message, int flags)
{
    struct sim_chunk *chunk = socket->in.first;
    size_t length = chunk->end, count = length < size ? length : size;
    cosy_sim_parts_put(parts, chunk->data, count);
    give_rights(network, chunk, message, flags & MSG_PEEK);
    if (message)
        message->msg_flags |= (count < length ? MSG_TRUNC : 0) | MSG_EOR;
    if (!(flags & MSG_PEEK)) {
        cosy_sim_flow_pop(network, &socket->in);
        tell_writer(network, socket->peer);
    }
    return (int)(flags & MSG_TRUNC ? length : count);
}

/* Descriptors come with the first of the bytes that they were sent with, and a read ends with the last of those.
 * Returns where. */
static size_t end_at_rights(struct sim_network *network, struct sim_flow *in, size_t most, struct msghdr *message,
                            bool keep)
{
    size_t before = 0;
    for (struct sim_chunk *chunk = in->first; chunk && before < most; chunk = chunk->next) {
        size_t size = chunk->end - chunk->begin;
        if (chunk->rights) {
            give_rights(network, chunk, message, keep);
            return before + size < most ? before + size : most;
        }
        before += size;
    }
    return most;
}

static int read_bytes(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                      struct msghdr *message, int flags)
{
    struct sim_flow *in = &socket->in;
    bool keep = flags & MSG_PEEK, torn = network->character.torn_reads && !keep;
    bool nowhere = flags & MSG_TRUNC && sim_is_tcp(socket);
    size_t most = size < in->visible ? size : in->visible, part = torn ? cosy_sim_part(network, most) : most;
    size_t wanted = end_at_rights(network, in, part, message, keep);
    size_t count = cosy_sim_flow_copy(network, in, nowhere ? NULL : parts, wanted, keep);
    if (!keep)
        cosy_sim_stream_pump(network, socket);
    if (torn && part < size && in->visible)
        cosy_sim_touch(network, &socket->file, COSY_SYS_READ); /* as if the rest had come just after */
    return (int)count;
}

/* Does the network break this connection now? */
static void maybe_break(struct sim_network *network, struct sim_socket *socket)
{
    if (sim_is_tcp(socket) && socket->state == SIM_CONNECTED &&
        cosy_sim_happens(network, network->character.reset_per_million))
        cosy_sim_stream_break(network, socket, ECONNRESET);
}

int cosy_sim_stream_receive(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts,
                            size_t size, struct msghdr *message, int flags)
{
    int error = flags & MSG_OOB ? sim_is_tcp(socket) ? -EINVAL : -EOPNOTSUPP : check_reader(socket);
    if (error)
        return error;
    maybe_break(network, socket);
    bool packets = socket->type == SOCK_SEQPACKET;
    if (packets ? socket->in.chunks == 0 : socket->in.visible == 0)
        return nothing_to_read(socket);
    if (size == 0 && !packets)
        return 0;
    if (!(flags & MSG_PEEK) && cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, &socket->file, COSY_SYS_READ);
        return -EAGAIN;
    }
    return packets ? read_packet(network, socket, parts, size, message, flags)
                   : read_bytes(network, socket, parts, size, message, flags);
}

/* ---- writing ---- */

static int check_writer(struct sim_socket *socket)
{
    if (!sim_is_tcp(socket)) {
        if (socket->state != SIM_CONNECTED)
            return -ENOTCONN;
        return socket->shut_write || !socket->peer || socket->peer->shut_read ? -EPIPE : 0;
    }
    if (socket->error || socket->shut_write) {
        int error = cosy_sim_take_error(socket);
        return error ? error : -EPIPE;
    }
    return socket->state == SIM_CONNECTED ? 0 : socket->state == SIM_CONNECTING ? -EAGAIN : -EPIPE;
}

/* A route may carry so many bytes, and breaks then. */
static size_t left_on_route(const struct sim_socket *socket, size_t size)
{
    const struct sim_socket *active = socket->active ? socket : socket->peer;
    return active->reset_after && active->reset_after < size ? active->reset_after : size;
}

static bool route_breaks(struct sim_socket *socket, size_t sent)
{
    struct sim_socket *active = socket->active ? socket : socket->peer;
    if (!sim_is_tcp(socket) || !active->reset_after)
        return false;
    if (active->reset_after > sent)
        active->reset_after -= sent;
    else
        return true;
    return false;
}

/* One piece; how many bytes, or -ENOBUFS. */
static int write_piece(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                       struct sim_rights **rights)
{
    struct sim_socket *peer = socket->peer;
    int error = cosy_sim_flow_append(&peer->in, parts, size, arrives_at(network, socket), sim_clock(network), *rights,
                                     socket->type == SOCK_SEQPACKET);
    if (error)
        return error;
    *rights = NULL;
    if (socket->type == SOCK_SEQPACKET)
        cosy_sim_touch(network, &peer->file, COSY_SYS_READ);
    cosy_sim_stream_pump(network, peer);
    return (int)size;
}

static int write_packet(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                        struct sim_rights **rights)
{
    if (size > (size_t)socket->options.send_room)
        return -EMSGSIZE;
    if (room_of(socket) < size || room_of(socket) == 0) {
        socket->full = true;
        return -EAGAIN;
    }
    return write_piece(network, socket, parts, size, rights);
}

/* TCP hands over what the reader's window takes, and so may take more than its own buffer holds. */
static int write_bytes(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                       struct sim_rights **rights)
{
    size_t wanted = network->character.short_writes ? cosy_sim_part(network, size) : size, sent = 0;
    wanted = sim_is_tcp(socket) ? left_on_route(socket, wanted) : wanted;
    while (sent < wanted) {
        size_t room = room_of(socket), piece = wanted - sent < room ? wanted - sent : room;
        int count = piece ? write_piece(network, socket, parts, piece, rights) : -EAGAIN;
        if (count < 0) {
            socket->full = true;
            if (sent == 0)
                return count;
            break;
        }
        sent += (size_t)count;
    }
    if (!cosy_sim_stream_writable(socket))
        socket->full = true;
    else if (sent < size)
        cosy_sim_touch(network, &socket->file, COSY_SYS_WRITE); /* a short write by chance: more would be taken */
    if (route_breaks(socket, sent))
        cosy_sim_stream_break(network, socket, ECONNRESET);
    return (int)sent;
}

int cosy_sim_stream_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                         struct sim_rights **rights)
{
    maybe_break(network, socket);
    int error = check_writer(socket);
    if (error)
        return error;
    if (!socket->peer) { /* it is closed, and what comes now is answered by a reset */
        if (!socket->change.waiting)
            send_reset(network, socket, 2 * (arrives_at(network, socket) - sim_clock(network)));
        return (int)size;
    }
    if (socket->type == SOCK_SEQPACKET)
        return write_packet(network, socket, parts, size, rights);
    if (size == 0)
        return 0;
    if (cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, &socket->file, COSY_SYS_WRITE);
        return -EAGAIN;
    }
    return write_bytes(network, socket, parts, size, rights);
}
