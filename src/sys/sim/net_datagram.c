/* net_datagram.c - UDP, and datagrams of Unix sockets. */
#include <string.h>

#include "socket.h"

enum { OVERHEAD = 256 }; /* of a datagram in its receiver's buffer, so that empty ones fill it too */
enum { MOST_UDP = 65507, MOST_UDP6 = 65527 };
enum { MOST_WAITING = 11 }; /* Unix: net.unix.max_dgram_qlen and one more */

/* A datagram between two hosts. */
struct packet {
    struct sim_event event;
    struct sim_chunk *chunk;
    int error; /* what comes back instead of an arrival; 0: it arrives */
};

/* ---- arriving ---- */

static void append(struct sim_network *network, struct sim_socket *socket, struct sim_chunk *chunk)
{
    chunk->at = 0;
    cosy_sim_flow_append_chunk(&socket->in, chunk, 0);
    socket->in.visible = socket->in.total;
    cosy_sim_touch(network, &socket->file, COSY_SYS_READ);
}

static size_t used_by(const struct sim_socket *socket)
{
    return socket->in.total + (size_t)socket->in.chunks * OVERHEAD;
}

static bool has_room(const struct sim_socket *socket, size_t size)
{
    return used_by(socket) + size + OVERHEAD <= (size_t)socket->options.receive_room;
}

/* Nobody listens: the sender hears of it if it is connected to that address. */
static void send_back(struct sim_network *network, const struct sim_chunk *chunk, int error)
{
    struct sim_socket *sender = cosy_sim_find_port(network, &chunk->from, SOCK_DGRAM, &chunk->to);
    if (!sender || !sender->remote.size)
        return;
    sender->error = error;
    cosy_sim_touch(network, &sender->file, SIM_BOTH);
}

static void arrive(struct sim_network *network, struct sim_chunk *chunk, int error)
{
    struct sim_socket *socket = error ? NULL : cosy_sim_find_port(network, &chunk->to, SOCK_DGRAM, &chunk->from);
    if (socket && has_room(socket, chunk->end)) {
        append(network, socket, chunk);
        return;
    }
    if (!socket)
        send_back(network, chunk, error ? error : ECONNREFUSED);
    cosy_sim_chunk_free(network, chunk);
}

static void free_packet(struct sim_network *network, struct packet *packet)
{
    cosy_sim_chunk_free(network, packet->chunk);
    cosy_heap_free(packet);
}

static void run_packet(struct sim_network *network, struct sim_event *event)
{
    struct packet *packet = container_of(event, struct packet, event);
    arrive(network, packet->chunk, packet->error);
    cosy_heap_free(packet);
}

void cosy_sim_drop_packets(struct sim_network *network)
{
    while (network->next) {
        struct sim_event *event = network->next;
        cosy_sim_unschedule(network, event);
        if (event->run == run_packet)
            free_packet(network, container_of(event, struct packet, event));
    }
}

/* ---- one to many ---- */

static bool has_joined(const struct sim_socket *socket, const struct sim_address *group)
{
    for (size_t i = 0; i < SIM_MEMBERSHIPS; i++)
        if (socket->groups[i].group.size && cosy_sim_same_host(&socket->groups[i].group, group))
            return true;
    return false;
}

static int copy_to(struct sim_network *network, struct sim_socket *socket, const struct sim_chunk *chunk)
{
    struct sim_chunk *copy = has_room(socket, chunk->end) ? cosy_sim_chunk(chunk->end) : NULL;
    if (!copy)
        return 0; /* lost on its way */
    memcpy(copy->data, chunk->data, chunk->end);
    copy->end = chunk->end;
    copy->from = chunk->from;
    append(network, socket, copy);
    return 1;
}

/* Without latency: who talks to groups counts on losses, not on delays. */
static void arrive_at_many(struct sim_network *network, const struct sim_chunk *chunk)
{
    bool multicast = cosy_sim_is_multicast(&chunk->to);
    for (struct cosy_link *link = network->files.next; link != &network->files; link = link->next) {
        struct sim_file *file = container_of(link, struct sim_file, of_network);
        if (file->kind != &cosy_sim_socket_kind)
            continue;
        struct sim_socket *socket = sim_socket_of(file);
        if (!sim_is_udp(socket) || !socket->local.size || sim_port(&socket->local) != sim_port(&chunk->to) ||
            !cosy_sim_hears(socket, &chunk->to))
            continue;
        if (!multicast || has_joined(socket, &chunk->to))
            copy_to(network, socket, chunk);
    }
}

static int change_membership(struct sim_socket *socket, const struct sim_address *group, bool join)
{
    struct sim_membership *free = NULL;
    if (!cosy_sim_is_multicast(group))
        return -EINVAL;
    for (size_t i = 0; i < SIM_MEMBERSHIPS; i++) {
        struct sim_membership *membership = &socket->groups[i];
        if (!membership->group.size)
            free = membership;
        else if (cosy_sim_same_host(&membership->group, group)) {
            if (!join)
                membership->group.size = 0;
            return join ? -EADDRINUSE : 0;
        }
    }
    if (!join)
        return -EADDRNOTAVAIL;
    if (!free)
        return -ENOBUFS;
    free->group = *group;
    return 0;
}

int cosy_sim_set_membership(struct sim_socket *socket, int level, int name, const void *value, socklen_t size)
{
    struct sim_address group = {.size = sizeof group.in, .in.sin_family = AF_INET};
    if (!sim_is_udp(socket))
        return -ENOPROTOOPT;
    if (level == IPPROTO_IP && name == IP_MULTICAST_IF)
        return size >= sizeof(struct in_addr) ? 0 : -EINVAL;
    if (level == IPPROTO_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP)) {
        if (size < sizeof(struct ip_mreq))
            return -EINVAL;
        memcpy(&group.in.sin_addr, value, sizeof group.in.sin_addr); /* first in ip_mreq and ip_mreqn alike */
        return change_membership(socket, &group, name == IP_ADD_MEMBERSHIP);
    }
    if (level != IPPROTO_IPV6 || socket->family != AF_INET6 || (name != IPV6_JOIN_GROUP && name != IPV6_LEAVE_GROUP))
        return -ENOPROTOOPT;
    if (size < sizeof(struct ipv6_mreq))
        return -EINVAL;
    group = (struct sim_address){.size = sizeof group.in6, .in6.sin6_family = AF_INET6};
    memcpy(&group.in6.sin6_addr, value, sizeof group.in6.sin6_addr);
    return change_membership(socket, &group, name == IPV6_JOIN_GROUP);
}

/* ---- sending by UDP ---- */

static struct sim_chunk *new_chunk(struct sim_parts *parts, size_t size)
{
    struct sim_chunk *chunk = cosy_sim_chunk(size);
    if (!chunk)
        return NULL;
    cosy_sim_parts_get(parts, chunk->data, size);
    chunk->end = size;
    return chunk;
}

static int dispatch(struct sim_network *network, struct sim_chunk *chunk, const struct sim_route *route, int error)
{
    cosy_ns delay = (route->delay + cosy_sim_latency(network)) * (error ? 2 : 1);
    if (delay == 0) {
        arrive(network, chunk, error);
        return 0;
    }
    struct packet *packet = cosy_heap_zalloc(sizeof *packet);
    if (!packet) {
        cosy_sim_chunk_free(network, chunk);
        return -ENOBUFS;
    }
    packet->chunk = chunk;
    packet->error = error;
    packet->event.run = run_packet;
    cosy_sim_schedule(network, &packet->event, sim_clock(network) + delay);
    return 0;
}

static int post(struct sim_network *network, struct sim_socket *socket, struct sim_chunk *chunk)
{
    struct sim_route route = {0};
    int error = cosy_sim_route_to(network, &chunk->to, &route);
    bool lost = !error && (route.behaviour == COSY_SIM_BLACK_HOLE ||
                           cosy_sim_happens(network, network->character.loss_per_million));
    bool many = !error && !lost && (cosy_sim_is_multicast(&chunk->to) || cosy_sim_is_broadcast(&chunk->to));
    if (many) {
        arrive_at_many(network, chunk);
    } else if (!error && !lost) {
        int answer = route.behaviour == COSY_SIM_REFUSES            ? ECONNREFUSED
                     : route.behaviour == COSY_SIM_HOST_UNREACHABLE ? EHOSTUNREACH
                                                                    : 0;
        return dispatch(network, chunk, &route, answer);
    }
    (void)socket;
    cosy_sim_chunk_free(network, chunk);
    return error;
}

static int check_target(const struct sim_socket *socket, const struct sim_address *to, size_t size)
{
    if (sim_port(to) == 0)
        return -EINVAL;
    if (size > (size_t)(to->any.sa_family == AF_INET ? MOST_UDP : MOST_UDP6))
        return -EMSGSIZE;
    return cosy_sim_is_broadcast(to) && !socket->options.broadcast ? -EACCES : 0;
}

static int udp_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                    const struct sockaddr *given, socklen_t given_size)
{
    struct sim_address to = socket->remote;
    int error = given ? cosy_sim_read_address(socket, given, given_size, &to) : to.size ? 0 : -EDESTADDRREQ;
    if (!error)
        error = check_target(socket, &to, size);
    if (!error)
        error = socket->shut_write ? -EPIPE : cosy_sim_take_error(socket);
    if (!error && !socket->local.size)
        error = cosy_sim_bind_any_port(network, socket, NULL);
    if (error)
        return error;
    struct sim_chunk *chunk = new_chunk(parts, size);
    if (!chunk)
        return -ENOBUFS;
    if (cosy_sim_is_any(&to)) /* means this machine */
        to.any.sa_family == AF_INET ? (void)(to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK))
                                    : (void)(to.in6.sin6_addr = in6addr_loopback);
    chunk->to = to;
    chunk->from = cosy_sim_source(socket, &to);
    error = post(network, socket, chunk);
    return error ? error : (int)size;
}

/* ---- sending between Unix sockets ---- */

static bool are_mutual(const struct sim_socket *socket, const struct sim_socket *to)
{
    return socket->peer == to && to->peer == socket;
}

static bool unix_has_room(const struct sim_socket *socket, const struct sim_socket *to, size_t size)
{
    if (used_by(to) + size + OVERHEAD > (size_t)socket->options.send_room)
        return false;
    return are_mutual(socket, to) || to->in.chunks < MOST_WAITING;
}

static int find_target(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *given,
                       socklen_t size, struct sim_socket **ret_target)
{
    struct sim_address address;
    bool lost = socket->lost_peer;
    *ret_target = socket->peer;
    if (!given) {
        socket->lost_peer = false;
        return socket->peer ? 0 : lost ? -ECONNREFUSED : -ENOTCONN;
    }
    int error = cosy_sim_read_address(socket, given, size, &address);
    return error ? error : cosy_sim_find_name(network, &address, SOCK_DGRAM, ret_target);
}

static int unix_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                     struct sim_rights **rights, const struct sockaddr *given, socklen_t given_size)
{
    struct sim_socket *to;
    if (socket->shut_write)
        return -EPIPE;
    int error = find_target(network, socket, given, given_size, &to);
    if (error)
        return error;
    if (size + OVERHEAD > (size_t)socket->options.send_room)
        return -EMSGSIZE;
    if (to->peer && to->peer != socket)
        return -EPERM;
    if (to->shut_read)
        return -EPIPE;
    if (!unix_has_room(socket, to, size)) {
        socket->full = to->refused = true;
        return -EAGAIN;
    }
    struct sim_chunk *chunk = new_chunk(parts, size);
    if (!chunk)
        return -ENOBUFS;
    chunk->from = socket->local;
    chunk->rights = *rights;
    *rights = NULL;
    append(network, to, chunk);
    return (int)size;
}

int cosy_sim_datagram_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                           struct sim_rights **rights, const struct sockaddr *to, socklen_t to_size)
{
    if (cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, &socket->file, COSY_SYS_WRITE);
        return -EAGAIN;
    }
    return sim_is_udp(socket) ? udp_send(network, socket, parts, size, to, to_size)
                              : unix_send(network, socket, parts, size, rights, to, to_size);
}

/* ---- receiving ---- */

/* Those who found no room here, or the end of a peer. */
static void tell_senders(struct sim_network *network, const struct sim_socket *gone)
{
    for (struct cosy_link *link = network->files.next; link != &network->files; link = link->next) {
        struct sim_file *file = container_of(link, struct sim_file, of_network);
        if (file->kind != &cosy_sim_socket_kind)
            continue;
        struct sim_socket *socket = sim_socket_of(file);
        if (socket->family != AF_UNIX || socket->type != SOCK_DGRAM)
            continue;
        bool left = gone && socket->peer == gone;
        if (left) {
            socket->peer = NULL;
            socket->lost_peer = true;
        }
        if (socket->full || left) {
            socket->full = false;
            cosy_sim_touch(network, &socket->file, COSY_SYS_WRITE);
        }
    }
}

static void take_first(struct sim_network *network, struct sim_socket *socket)
{
    cosy_sim_flow_pop(network, &socket->in);
    if (!socket->refused)
        return;
    socket->refused = false;
    tell_senders(network, NULL);
}

int cosy_sim_datagram_receive(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts,
                              size_t size, struct msghdr *message, int flags)
{
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (socket->error)
        return cosy_sim_take_error(socket);
    if (!socket->in.first)
        return -EAGAIN; /* also when it is shut: datagrams have no end */
    if (!(flags & MSG_PEEK) && cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, &socket->file, COSY_SYS_READ);
        return -EAGAIN;
    }
    struct sim_chunk *chunk = socket->in.first;
    size_t length = chunk->end, count = length < size ? length : size;
    cosy_sim_parts_put(parts, chunk->data, count);
    if (message) {
        message->msg_flags |= count < length ? MSG_TRUNC : 0;
        if (message->msg_name && (chunk->from.size || socket->family != AF_UNIX))
            cosy_sim_write_address(&chunk->from, socket->family, message->msg_name, &message->msg_namelen);
        else
            message->msg_namelen = 0;
        if (chunk->rights)
            cosy_sim_rights_give(network, chunk->rights, message, flags & MSG_PEEK);
    }
    if (!(flags & MSG_PEEK))
        take_first(network, socket);
    return (int)(flags & MSG_TRUNC ? length : count);
}

/* ---- connecting, readiness, end ---- */

static int connect_unix(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address)
{
    struct sim_socket *peer;
    int error = cosy_sim_find_name(network, address, SOCK_DGRAM, &peer);
    if (error)
        return error;
    if (peer->peer && peer->peer != socket)
        return -EPERM;
    socket->peer = peer;
    socket->lost_peer = false;
    socket->remote = peer->local;
    return 0;
}

int cosy_sim_datagram_connect(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *given,
                              socklen_t size)
{
    struct sim_address address;
    struct sim_route route;
    if (given && size >= sizeof(sa_family_t) && given->sa_family == AF_UNSPEC) {
        socket->remote.size = 0;
        socket->peer = NULL;
        socket->lost_peer = false;
        return 0;
    }
    int error = cosy_sim_read_address(socket, given, size, &address);
    if (error)
        return error;
    if (socket->family == AF_UNIX)
        return connect_unix(network, socket, &address);
    error = cosy_sim_route_to(network, &address, &route);
    if (!error && cosy_sim_is_broadcast(&address) && !socket->options.broadcast)
        error = -EACCES;
    if (!error)
        error = cosy_sim_bind_any_port(network, socket, &address);
    if (!error)
        socket->remote = address;
    return error;
}

unsigned cosy_sim_datagram_poll(const struct sim_socket *socket)
{
    unsigned ready = (socket->error ? COSY_SYS_ERROR : 0u) | (socket->in.first ? COSY_SYS_READ : 0u);
    if (socket->shut_read)
        ready |= COSY_SYS_READ | COSY_SYS_READ_END | (socket->shut_write ? COSY_SYS_HANGUP : 0u);
    bool full = socket->family == AF_UNIX && socket->peer && !unix_has_room(socket, socket->peer, 0);
    return ready | (full ? 0u : COSY_SYS_WRITE);
}

void cosy_sim_datagram_close(struct sim_network *network, struct sim_socket *socket)
{
    if (socket->family == AF_UNIX)
        tell_senders(network, socket);
}
