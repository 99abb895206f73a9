/* net_options.c - socket options: those that take effect, and those that are only kept and given back.
 *
 * Starting values are Linux's. What it does not say here is -ENOPROTOOPT, so that a caller takes its other way.
 */
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "socket.h"

enum { TCP = 1, UDP = 2, UNIX = 4, IP = TCP | UDP, ALL = IP | UNIX };
enum { LEAST_SEND = 4608, LEAST_RECEIVE = 2304, MOST_ROOM = 1 << 30 };

/* Kept as numbers. A flag is 0 or 1 whatever was set. */
static const struct option {
    int level, name, of, first, low, high;
    bool flag;
} options[] = {
    {SOL_SOCKET, SO_KEEPALIVE, ALL, 0, 0, 0, true},
    {SOL_SOCKET, SO_OOBINLINE, ALL, 0, 0, 0, true},
    {SOL_SOCKET, SO_DONTROUTE, ALL, 0, 0, 0, true},
    {SOL_SOCKET, SO_PASSCRED, UNIX, 0, 0, 0, true},
    {SOL_SOCKET, SO_PRIORITY, ALL, 0, 0, INT32_MAX, false},
    {SOL_SOCKET, SO_MARK, ALL, 0, INT32_MIN, INT32_MAX, false},
    {SOL_SOCKET, SO_RCVLOWAT, ALL, 1, 0, INT32_MAX, false},
    {IPPROTO_TCP, TCP_NODELAY, TCP, 0, 0, 0, true},
    {IPPROTO_TCP, TCP_CORK, TCP, 0, 0, 0, true},
    {IPPROTO_TCP, TCP_QUICKACK, TCP, 1, 0, 0, true},
    {IPPROTO_TCP, TCP_KEEPIDLE, TCP, 7200, 1, 32767, false},
    {IPPROTO_TCP, TCP_KEEPINTVL, TCP, 75, 1, 32767, false},
    {IPPROTO_TCP, TCP_KEEPCNT, TCP, 9, 1, 127, false},
    {IPPROTO_TCP, TCP_SYNCNT, TCP, 6, 1, 127, false},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP, 0, 0, INT32_MAX, false},
    {IPPROTO_TCP, TCP_LINGER2, TCP, 60, INT32_MIN, INT32_MAX, false},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, TCP, 0, 0, INT32_MAX, false},
    {IPPROTO_TCP, TCP_FASTOPEN, TCP, 0, 0, INT32_MAX, false},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP, 0, INT32_MIN, INT32_MAX, false},
    {IPPROTO_IP, IP_TOS, IP, 0, 0, 255, false},
    {IPPROTO_IP, IP_TTL, IP, 64, 1, 255, false},
    {IPPROTO_IP, IP_MULTICAST_TTL, UDP, 1, 0, 255, false},
    {IPPROTO_IP, IP_MULTICAST_LOOP, UDP, 1, 0, 0, true},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP, 1, 0, 5, false},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, IP, 0, 0, 0, true},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, IP, 64, -1, 255, false},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, UDP, 1, -1, 255, false},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, UDP, 1, 0, 0, true},
    {IPPROTO_IPV6, IPV6_MULTICAST_IF, UDP, 0, 0, INT32_MAX, false},
    {IPPROTO_IPV6, IPV6_TCLASS, IP, 0, 0, 255, false},
};
_Static_assert(COUNT_OF(options) <= SIM_OPTION_COUNT, "room in struct sim_options");

static int kind_of(const struct sim_socket *socket)
{
    return socket->family == AF_UNIX ? UNIX : socket->type == SOCK_STREAM ? TCP : UDP;
}

void cosy_sim_options_init(struct sim_socket *socket)
{
    for (size_t i = 0; i < COUNT_OF(options); i++)
        socket->options.values[i] = options[i].first;
    bool tcp = kind_of(socket) == TCP;
    socket->options.send_room = tcp ? 87040 : 212992;
    socket->options.receive_room = tcp ? 131072 : 212992;
}

static int *find(struct sim_socket *socket, int level, int name, const struct option **ret_option)
{
    if (level == IPPROTO_IPV6 && socket->family != AF_INET6)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (options[i].level == level && options[i].name == name && options[i].of & kind_of(socket)) {
            *ret_option = &options[i];
            return &socket->options.values[i];
        }
    return NULL;
}

static int unknown(const struct sim_socket *socket, int level)
{
    return socket->family == AF_UNIX && level != SOL_SOCKET ? -EOPNOTSUPP : -ENOPROTOOPT;
}

/* ---- getting ---- */

static int give(void *value, socklen_t *size, const void *from, socklen_t length)
{
    if (length < *size)
        *size = length;
    memcpy(value, from, *size);
    return 0;
}

static int give_number(void *value, socklen_t *size, int number)
{
    return give(value, size, &number, sizeof number);
}

static int get_peer_credentials(const struct sim_socket *socket, void *value, socklen_t *size)
{
    bool known = socket->family == AF_UNIX && (socket->state == SIM_CONNECTED || socket->peer);
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } credentials = {known ? getpid() : 0, known ? geteuid() : (uid_t)-1, known ? getegid() : (gid_t)-1};
    return give(value, size, &credentials, sizeof credentials);
}

static int get_socket_option(struct sim_socket *socket, int name, void *value, socklen_t *size)
{
    const struct sim_options *set = &socket->options;
    switch (name) {
    case SO_TYPE:
        return give_number(value, size, socket->type);
    case SO_DOMAIN:
        return give_number(value, size, socket->family);
    case SO_PROTOCOL:
        return give_number(value, size, socket->protocol);
    case SO_ACCEPTCONN:
        return give_number(value, size, socket->state == SIM_LISTENING);
    case SO_ERROR:
        return give_number(value, size, -cosy_sim_take_error(socket));
    case SO_SNDBUF:
        return give_number(value, size, set->send_room);
    case SO_RCVBUF:
        return give_number(value, size, set->receive_room);
    case SO_SNDLOWAT:
        return give_number(value, size, 1);
    case SO_REUSEADDR:
        return give_number(value, size, set->reuse_address);
    case SO_REUSEPORT:
        return give_number(value, size, set->reuse_port);
    case SO_BROADCAST:
        return give_number(value, size, set->broadcast);
    case SO_LINGER:
        return give(value, size, &set->linger, sizeof set->linger);
    case SO_RCVTIMEO:
        return give(value, size, &set->receive_time, sizeof set->receive_time);
    case SO_SNDTIMEO:
        return give(value, size, &set->send_time, sizeof set->send_time);
    case SO_PEERCRED:
        return get_peer_credentials(socket, value, size);
    default:
        return -ENOPROTOOPT;
    }
}

int cosy_sim_get_option(struct sim_socket *socket, int level, int name, void *value, socklen_t *size)
{
    const struct option *option;
    if (!value || !size)
        return -EFAULT;
    const int *number = find(socket, level, name, &option);
    if (number)
        return give_number(value, size, *number);
    if (level == SOL_SOCKET)
        return get_socket_option(socket, name, value, size);
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && socket->family == AF_INET6)
        return give_number(value, size, socket->options.v6only);
    return unknown(socket, level);
}

/* ---- setting ---- */

/* The kernel keeps twice what is asked for, for its own books. */
static int room_for(int wanted, int least)
{
    return wanted < 0 || wanted > MOST_ROOM / 2 ? MOST_ROOM : wanted * 2 < least ? least : wanted * 2;
}

static int set_block(void *block, size_t length, const void *value, socklen_t size)
{
    if (size < length)
        return -EINVAL;
    memcpy(block, value, length);
    return 0;
}

static int set_socket_option(struct sim_network *network, struct sim_socket *socket, int name, int number)
{
    struct sim_options *set = &socket->options;
    switch (name) {
    case SO_SNDBUF:
        set->send_room = room_for(number, LEAST_SEND);
        cosy_sim_touch(network, &socket->file, COSY_SYS_WRITE);
        return 0;
    case SO_RCVBUF:
        set->receive_room = room_for(number, LEAST_RECEIVE);
        if (socket->type != SOCK_DGRAM)
            cosy_sim_stream_pump(network, socket);
        return 0;
    case SO_REUSEADDR:
        set->reuse_address = number;
        return 0;
    case SO_REUSEPORT:
        if (number && socket->family == AF_UNIX)
            return -EOPNOTSUPP;
        set->reuse_port = number;
        return 0;
    case SO_BROADCAST:
        set->broadcast = number;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_number(int *place, const struct option *option, int number)
{
    if (option->flag)
        number = number != 0;
    else if (number < option->low || number > option->high)
        return -EINVAL;
    *place = number;
    return 0;
}

/* Of multicast, one byte is enough. */
static int read_number(int level, const void *value, socklen_t size, int *ret_number)
{
    if (size >= sizeof *ret_number)
        memcpy(ret_number, value, sizeof *ret_number);
    else if (level == IPPROTO_IP && size >= 1)
        *ret_number = *(const unsigned char *)value;
    else
        return -EINVAL;
    return 0;
}

int cosy_sim_set_option(struct sim_network *network, struct sim_socket *socket, int level, int name, const void *value,
                        socklen_t size)
{
    const struct option *option;
    int number = 0;
    if (!value)
        return -EFAULT;
    if (level == SOL_SOCKET && name == SO_LINGER)
        return set_block(&socket->options.linger, sizeof socket->options.linger, value, size);
    if (level == SOL_SOCKET && name == SO_RCVTIMEO)
        return set_block(&socket->options.receive_time, sizeof socket->options.receive_time, value, size);
    if (level == SOL_SOCKET && name == SO_SNDTIMEO)
        return set_block(&socket->options.send_time, sizeof socket->options.send_time, value, size);
    if (level == IPPROTO_IP || level == IPPROTO_IPV6) {
        int result = cosy_sim_set_membership(socket, level, name, value, size);
        if (result != -ENOPROTOOPT)
            return result;
    }
    int *place = find(socket, level, name, &option);
    if (!place && level == SOL_SOCKET && size < sizeof number)
        return -EINVAL;
    int error = read_number(level, value, size, &number);
    if (place)
        return error ? error : set_number(place, option, number);
    if (level == SOL_SOCKET)
        return set_socket_option(network, socket, name, number);
    if (level != IPPROTO_IPV6 || name != IPV6_V6ONLY || socket->family != AF_INET6)
        return unknown(socket, level);
    if (error || socket->local.size)
        return -EINVAL;
    socket->options.v6only = number;
    return 0;
}
