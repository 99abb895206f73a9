/* net_ports.c - IP addresses and ports: how they are read and written, who may have which, who hears what.
 *
 * IPv4 addresses that an IPv6 socket writes as ::ffff:1.2.3.4 are kept as IPv4, and written in its way again.
 */
#include <string.h>

#include "socket.h"

enum { FIRST_PORT = 32768, LAST_PORT = 60999 }; /* net.ipv4.ip_local_port_range */

/* ---- reading and writing ---- */

struct sim_address cosy_sim_plain(const struct sim_address *address)
{
    struct sim_address plain = *address;
    if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr)) {
        plain = (struct sim_address){.size = sizeof plain.in, .in.sin_family = AF_INET};
        plain.in.sin_port = address->in6.sin6_port;
        memcpy(&plain.in.sin_addr, &address->in6.sin6_addr.s6_addr[12], 4);
    }
    return plain;
}

static int read_ip(const struct sim_socket *socket, const struct sockaddr *address, socklen_t size,
                   struct sim_address *ret_address)
{
    socklen_t length = socket->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (size < length)
        return -EINVAL;
    if (address->sa_family != socket->family)
        return -EAFNOSUPPORT;
    *ret_address = (struct sim_address){.size = length};
    memcpy(&ret_address->any, address, length);
    *ret_address = cosy_sim_plain(ret_address);
    bool mapped = ret_address->any.sa_family != socket->family;
    return mapped && socket->options.v6only ? -ENETUNREACH : 0;
}

static int read_unix(const struct sockaddr *address, socklen_t size, struct sim_address *ret_address)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    if (size < head || size > sizeof(struct sockaddr_un) || address->sa_family != AF_UNIX)
        return -EINVAL;
    *ret_address = (struct sim_address){.size = size};
    memcpy(&ret_address->any, address, size);
    if (size > head && ret_address->un.sun_path[0])
        ret_address->size = (socklen_t)(head + strnlen(ret_address->un.sun_path, size - head) + 1);
    return 0;
}

int cosy_sim_read_address(const struct sim_socket *socket, const struct sockaddr *address, socklen_t size,
                          struct sim_address *ret_address)
{
    if (!address || size < sizeof(sa_family_t))
        return address ? -EINVAL : -EFAULT;
    return socket->family == AF_UNIX ? read_unix(address, size, ret_address)
                                     : read_ip(socket, address, size, ret_address);
}

/* What a socket of this family says for "no address", and for IPv4 ones. */
static struct sim_address shown(const struct sim_address *from, int family)
{
    struct sim_address address = *from;
    if (from->size == 0 || (family == AF_INET6 && from->any.sa_family == AF_INET)) {
        memset(&address, 0, sizeof address);
        address.any.sa_family = (sa_family_t)family;
        address.size = family == AF_UNIX   ? sizeof(sa_family_t)
                       : family == AF_INET ? sizeof address.in
                                           : sizeof address.in6;
    }
    if (from->size && family == AF_INET6 && from->any.sa_family == AF_INET) {
        address.in6.sin6_port = from->in.sin_port;
        address.in6.sin6_addr.s6_addr[10] = address.in6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&address.in6.sin6_addr.s6_addr[12], &from->in.sin_addr, 4);
    }
    return address;
}

int cosy_sim_write_address(const struct sim_address *from, int family, struct sockaddr *address, socklen_t *size)
{
    if (!address || !size)
        return -EFAULT;
    struct sim_address text = shown(from, family);
    memcpy(address, &text.any, *size < text.size ? *size : text.size);
    *size = text.size;
    return 0;
}

/* ---- what addresses are ---- */

bool cosy_sim_is_any(const struct sim_address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)
                                              : address->in.sin_addr.s_addr == INADDR_ANY;
}

bool cosy_sim_is_multicast(const struct sim_address *address)
{
    return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_MULTICAST(&address->in6.sin6_addr)
                                              : IN_MULTICAST(ntohl(address->in.sin_addr.s_addr));
}

bool cosy_sim_is_broadcast(const struct sim_address *address)
{
    return address->any.sa_family == AF_INET && address->in.sin_addr.s_addr == INADDR_BROADCAST;
}

bool cosy_sim_same_host(const struct sim_address *a, const struct sim_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    return a->any.sa_family == AF_INET6 ? IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr)
                                        : a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

static void set_port(struct sim_address *address, in_port_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->in6.sin6_port = port;
    else
        address->in.sin_port = port;
}

/* ---- who has which ---- */

static struct cosy_link *bucket_of(struct sim_network *network, in_port_t port)
{
    return &network->ports[(port ^ port >> 8) % SIM_PORT_BUCKETS];
}

#define FOR_EACH_AT_PORT(network, at_port, socket)                                                                     \
    for (struct cosy_link *head_ = bucket_of(network, at_port), *link_ = head_->next; link_ != head_;                  \
         link_ = link_->next)                                                                                          \
        if ((socket = container_of(link_, struct sim_socket, of_port)), sim_port(&socket->local) == (at_port))

static bool hears_both(const struct sim_socket *socket)
{
    return socket->family == AF_INET6 && !socket->options.v6only && socket->local.any.sa_family == AF_INET6 &&
           cosy_sim_is_any(&socket->local);
}

static bool overlap(const struct sim_socket *a, const struct sim_socket *b)
{
    if (a->local.any.sa_family != b->local.any.sa_family)
        return hears_both(a) || hears_both(b);
    return cosy_sim_is_any(&a->local) || cosy_sim_is_any(&b->local) || cosy_sim_same_host(&a->local, &b->local);
}

static bool conflict(const struct sim_socket *a, const struct sim_socket *b)
{
    if (a == b || a->type != b->type || !overlap(a, b))
        return false;
    const struct sim_options *one = &a->options, *other = &b->options;
    bool shared = one->reuse_address && other->reuse_address && b->state != SIM_LISTENING;
    return !shared && !(one->reuse_port && other->reuse_port);
}

static bool has_conflict(struct sim_network *network, const struct sim_socket *socket)
{
    struct sim_socket *other;
    FOR_EACH_AT_PORT(network, sim_port(&socket->local), other)
    if (conflict(socket, other))
        return true;
    return false;
}

bool cosy_sim_port_allows_listening(struct sim_network *network, struct sim_socket *socket)
{
    struct sim_socket *other;
    FOR_EACH_AT_PORT(network, sim_port(&socket->local), other)
    if (other->state == SIM_LISTENING && conflict(socket, other))
        return false;
    return true;
}

static bool is_taken(struct sim_network *network, const struct sim_socket *socket, in_port_t port)
{
    struct sim_socket *other;
    FOR_EACH_AT_PORT(network, port, other)
    if (other->type == socket->type)
        return true;
    return false;
}

static int pick_port(struct sim_network *network, struct sim_socket *socket)
{
    for (int tries = FIRST_PORT; tries <= LAST_PORT; tries++) {
        uint16_t next = network->last_port < FIRST_PORT || network->last_port >= LAST_PORT
                            ? FIRST_PORT
                            : (uint16_t)(network->last_port + 1);
        network->last_port = next;
        if (is_taken(network, socket, htons(next)))
            continue;
        set_port(&socket->local, htons(next));
        return 0;
    }
    return -EADDRINUSE;
}

/* Those that listen stand in front, where they are found soon. */
void cosy_sim_enter_port(struct sim_network *network, struct sim_socket *socket)
{
    struct cosy_link *head = bucket_of(network, sim_port(&socket->local));
    cosy_list_remove(&socket->of_port);
    cosy_list_append(socket->state == SIM_LISTENING ? head->next : head, &socket->of_port);
}

int cosy_sim_bind_port(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address)
{
    if (socket->local.size || socket->state != SIM_FRESH)
        return -EINVAL;
    if (!cosy_sim_is_local(network, address))
        return -EADDRNOTAVAIL;
    socket->local = *address;
    int error = sim_port(address) == 0 ? pick_port(network, socket) : has_conflict(network, socket) ? -EADDRINUSE : 0;
    if (error) {
        socket->local.size = 0;
        return error;
    }
    cosy_sim_enter_port(network, socket);
    return 0;
}

/* The address that a packet to `target` comes from. */
static struct sim_address source_for(const struct sim_address *target)
{
    struct sim_address own = {.size = sizeof own.in, .in.sin_family = AF_INET};
    if (target->any.sa_family == AF_INET) {
        bool loopback = ntohl(target->in.sin_addr.s_addr) >> 24 == 127 || cosy_sim_is_any(target);
        own.in.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : 0xc0000201u); /* 192.0.2.1 */
        return own;
    }
    static const struct in6_addr outside = {.s6_addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}; /* 2001:db8::1 */
    bool loopback = IN6_IS_ADDR_LOOPBACK(&target->in6.sin6_addr) || cosy_sim_is_any(target);
    own = (struct sim_address){.size = sizeof own.in6, .in6.sin6_family = AF_INET6};
    own.in6.sin6_addr = loopback ? in6addr_loopback : outside;
    return own;
}

struct sim_address cosy_sim_source(const struct sim_socket *socket, const struct sim_address *to)
{
    struct sim_address source = cosy_sim_is_any(&socket->local) ? source_for(to) : socket->local;
    set_port(&source, sim_port(&socket->local));
    return source;
}

/* A port of the system's choice, unless the socket has one. target NULL: any address, else the one that goes there from
 * here on. */
int cosy_sim_bind_any_port(struct sim_network *network, struct sim_socket *socket, const struct sim_address *target)
{
    struct sim_address before = socket->local;
    in_port_t port = before.size ? sim_port(&before) : 0;
    if (target && (!before.size || cosy_sim_is_any(&before))) {
        socket->local = source_for(target);
        set_port(&socket->local, port);
    } else if (!before.size) {
        socket->local = (struct sim_address){.size = socket->family == AF_INET ? sizeof before.in : sizeof before.in6};
        socket->local.any.sa_family = (sa_family_t)socket->family;
    }
    if (port)
        return 0;
    if (pick_port(network, socket) < 0) {
        socket->local = before;
        return -EADDRNOTAVAIL;
    }
    cosy_sim_enter_port(network, socket);
    return 0;
}

/* ---- who hears what ---- */

bool cosy_sim_hears(const struct sim_socket *socket, const struct sim_address *to)
{
    if (to->any.sa_family == socket->local.any.sa_family)
        return cosy_sim_is_any(&socket->local) || cosy_sim_same_host(&socket->local, to);
    return to->any.sa_family == AF_INET && hears_both(socket);
}

/* 0: does not hear it. The more exact its address, the better. */
static int fitness(const struct sim_socket *socket, const struct sim_address *to, int type,
                   const struct sim_address *from)
{
    if (socket->type != type || !cosy_sim_hears(socket, to))
        return 0;
    if (type == SOCK_STREAM && socket->state != SIM_LISTENING)
        return 0;
    bool connected = type == SOCK_DGRAM && socket->remote.size;
    if (connected && !(cosy_sim_same_host(&socket->remote, from) && sim_port(&socket->remote) == sim_port(from)))
        return 0;
    return 1 + (socket->family == AF_INET) + (cosy_sim_is_any(&socket->local) ? 0 : 4) + (connected ? 8 : 0);
}

struct sim_socket *cosy_sim_find_port(struct sim_network *network, const struct sim_address *to, int type,
                                      const struct sim_address *from)
{
    struct sim_socket *best = NULL, *socket;
    int best_fitness = 0;
    unsigned equals = 0;
    FOR_EACH_AT_PORT(network, sim_port(to), socket)
    {
        int fits = fitness(socket, to, type, from);
        if (!fits || fits < best_fitness)
            continue;
        equals = fits > best_fitness ? 1 : equals + 1;
        bool chosen = equals == 1 || !socket->options.reuse_port || cosy_sim_chance(network) % equals == 0;
        best_fitness = fits;
        best = chosen ? socket : best;
    }
    return best;
}
