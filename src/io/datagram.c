/* datagram.c - life of an endpoint: made, adopted, closed; what it is called. */
#include "datagram.h"

#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <string.h>

#include "../base/heap.h"

static const struct cosy_net_ops *net_of(const cosy_datagram *endpoint)
{
    return endpoint->loop->sys->net;
}

int cosy_datagram_fail(cosy_datagram *endpoint, enum cosy_port_side side, const struct cosy_address *to, int error)
{
    static const char *const doing[] = {[COSY_PORT_READ] = "receiving from", [COSY_PORT_WRITE] = "sending to"};
    char text[COSY_ADDRESS_TEXT] = "nowhere";
    const char *what = doing[side];
    struct cosy_address address;
    if (error == -ECANCELED || error == -EAGAIN || error == -COSY_ECLOSED)
        return error;
    endpoint->stats.errors++;
    if (endpoint->reports && endpoint->port.fd >= 0 && endpoint->port.loop)
        cosy_datagram_take_reports(endpoint); /* of which this error tells */
    if (to && to->size)
        cosy_address_text(to, text);
    else if (cosy_datagram_peername(endpoint, &address) == 0)
        cosy_address_text(&address, text);
    else if (side == COSY_PORT_READ && cosy_datagram_sockname(endpoint, &address) == 0) {
        cosy_address_text(&address, text);
        what = "receiving at";
    }
    return cosy_fail(-error, "%s %s: %s", what, text, cosy_strerror(error));
}

/* ---- making one ---- */

static cosy_datagram *endpoint_new(struct cosy_loop *loop, int family)
{
    cosy_datagram *endpoint = cosy_heap_zalloc(sizeof *endpoint);
    if (!endpoint)
        return NULL;
    endpoint->loop = loop;
    endpoint->family = family;
    endpoint->port.fd = -1;
    cosy_datagram_open_sides(endpoint);
    return endpoint;
}

static int family_of(const struct cosy_datagram_options *options)
{
    bool path = options->local_path || options->remote_path;
    int family = path              ? AF_UNIX
                 : options->local  ? options->local->any.sa_family
                 : options->remote ? options->remote->any.sa_family
                                   : options->family;
    bool twice = (options->local && options->local_path) || (options->remote && options->remote_path);
    if (twice)
        return cosy_fail(EINVAL, "datagram endpoint: an address and a path for the same end");
    if ((options->local && options->local->any.sa_family != family) ||
        (options->remote && options->remote->any.sa_family != family) || (options->family && options->family != family))
        return cosy_fail(EINVAL, "datagram endpoint: local address, remote address and family are not of one kind");
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return cosy_fail(EINVAL,
                         "datagram endpoint: an address or a family is needed; family %d is none of "
                         "AF_INET, AF_INET6, AF_UNIX",
                         family);
    return family;
}

int cosy_datagram_set(cosy_datagram *endpoint, int level, int name, int value)
{
    return cosy_datagram_setsockopt(endpoint, level, name, &value, sizeof value);
}

static int set_options(cosy_datagram *endpoint, const struct cosy_datagram_options *options)
{
    bool ip6 = endpoint->family == AF_INET6, ip = ip6 || endpoint->family == AF_INET;
    const struct {
        bool wanted;
        int level, name, value;
        const char *text;
    } wishes[] = {
        {options->reuse_port, SOL_SOCKET, SO_REUSEPORT, 1, "reuse_port"},
        {options->reuse_address, SOL_SOCKET, SO_REUSEADDR, 1, "reuse_address"},
        {options->broadcast, SOL_SOCKET, SO_BROADCAST, 1, "broadcast"},
        {options->receive_buffer, SOL_SOCKET, SO_RCVBUF, options->receive_buffer, "receive_buffer"},
        {options->send_buffer, SOL_SOCKET, SO_SNDBUF, options->send_buffer, "send_buffer"},
        {options->only_ip6 && ip6, IPPROTO_IPV6, IPV6_V6ONLY, 1, "only_ip6"},
        {options->gro && ip, IPPROTO_UDP, UDP_GRO, 1, "gro"},
        {options->destination && ip && !ip6, IPPROTO_IP, IP_PKTINFO, 1, "destination"},
        {options->destination && ip6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "destination"},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        if (!wishes[i].wanted)
            continue;
        int result = cosy_datagram_set(endpoint, wishes[i].level, wishes[i].name, wishes[i].value);
        if (result < 0)
            return cosy_fail(-result, "datagram endpoint: .%s: %s", wishes[i].text, cosy_strerror(result));
    }
    endpoint->control_wanted = ip && (options->gro || options->destination);
    return options->recv_errors && ip ? cosy_datagram_want_reports(endpoint) : 0;
}

/* ---- where it is ---- */

static int bind_to(cosy_datagram *endpoint, const struct cosy_address *address)
{
    return net_of(endpoint)->bind(endpoint->loop->sys, endpoint->port.fd, &address->any, address->size);
}

static int connect_to(cosy_datagram *endpoint, const struct cosy_address *address)
{
    return net_of(endpoint)->connect(endpoint->loop->sys, endpoint->port.fd, &address->any, address->size);
}

/* A name of an earlier run, whose socket nobody has open: connecting is refused, and leaves no trace. */
static int bind_over_stale(cosy_datagram *endpoint, const struct cosy_address *address)
{
    struct cosy_net_file file;
    struct cosy_sys *sys = endpoint->loop->sys;
    const char *path = address->local.sun_path;
    if (!path[0] || sys->net->examine_path(sys, path, &file) < 0 || !file.socket)
        return -EADDRINUSE;
    if (connect_to(endpoint, address) != -ECONNREFUSED)
        return -EADDRINUSE;
    int result = sys->net->remove_path(sys, path);
    return result < 0 && result != -ENOENT ? result : bind_to(endpoint, address);
}

static int bind_path(cosy_datagram *endpoint, const struct cosy_address *address)
{
    struct cosy_sys *sys = endpoint->loop->sys;
    int result = bind_to(endpoint, address);
    if (result == -EADDRINUSE)
        result = bind_over_stale(endpoint, address);
    if (result < 0 || !address->local.sun_path[0])
        return result;
    endpoint->path = cosy_heap_strdup(address->local.sun_path);
    if (!endpoint->path || (result = sys->net->examine_path(sys, endpoint->path, &endpoint->file)) < 0) {
        sys->net->remove_path(sys, address->local.sun_path);
        return endpoint->path ? result : -ENOMEM;
    }
    return 0;
}

static int place_local(cosy_datagram *endpoint, const struct cosy_address *address)
{
    char text[COSY_ADDRESS_TEXT];
    int result = endpoint->family == AF_UNIX ? bind_path(endpoint, address) : bind_to(endpoint, address);
    return result == 0 ? 0
                       : cosy_fail(-result, "datagram endpoint at %s: %s", cosy_address_text(address, text),
                                   cosy_strerror(result));
}

static int place_remote(cosy_datagram *endpoint, const struct cosy_address *address)
{
    char text[COSY_ADDRESS_TEXT];
    int result = connect_to(endpoint, address);
    endpoint->one_by_one = true;
    return result == 0 ? 0
                       : cosy_fail(-result, "datagram endpoint to %s: %s", cosy_address_text(address, text),
                                   cosy_strerror(result));
}

static int place(cosy_datagram *endpoint, const struct cosy_datagram_options *options)
{
    struct cosy_address local = {0}, remote = {0};
    int result = 0;
    if (options->local)
        local = *options->local;
    if (options->remote)
        remote = *options->remote;
    if (options->local_path)
        result = cosy_address_unix(&local, options->local_path);
    if (result == 0 && options->remote_path)
        result = cosy_address_unix(&remote, options->remote_path);
    if (result == 0 && local.size)
        result = place_local(endpoint, &local);
    if (result == 0 && remote.size)
        result = place_remote(endpoint, &remote);
    return result;
}

int cosy_open_datagram_(cosy_datagram **ret_endpoint, const struct cosy_datagram_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    int family = !loop ? -COSY_ENOLOOP : !ret_endpoint ? -EINVAL : family_of(options);
    if (family < 0)
        return family;
    cosy_datagram *endpoint = endpoint_new(loop, family);
    if (!endpoint)
        return -ENOMEM;
    int fd = loop->sys->net->socket(loop->sys, family, SOCK_DGRAM, 0);
    int result = fd < 0 ? cosy_fail(-fd, "datagram endpoint: socket: %s", cosy_strerror(fd)) : 0;
    if (result == 0) {
        cosy_port_open(&endpoint->port, loop, fd);
        result = set_options(endpoint, options);
    }
    if (result == 0)
        result = place(endpoint, options);
    if (result < 0)
        cosy_datagram_close(endpoint);
    else
        *ret_endpoint = endpoint;
    return result;
}

/* ---- a socket from elsewhere ---- */

static int look_at(struct cosy_loop *loop, int fd, int *ret_family)
{
    int type;
    socklen_t size = sizeof type;
    const struct cosy_net_ops *net = loop->sys->net;
    int result = net->getsockopt(loop->sys, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (result < 0)
        return cosy_fail(-result, "descriptor %d: %s", fd, cosy_strerror(result));
    if (type == SOCK_STREAM)
        return cosy_fail(EINVAL, "descriptor %d is a stream socket: cosy_stream_adopt is for those", fd);
    size = sizeof *ret_family;
    return net->getsockopt(loop->sys, fd, SOL_SOCKET, SO_DOMAIN, ret_family, &size);
}

static int adopt(struct cosy_loop *loop, int fd, cosy_datagram **ret_endpoint)
{
    int family = AF_UNSPEC, result = look_at(loop, fd, &family);
    cosy_datagram *endpoint = result < 0 ? NULL : endpoint_new(loop, family);
    if (!endpoint)
        return result < 0 ? result : -ENOMEM;
    cosy_port_open(&endpoint->port, loop, fd);
    result = cosy_port_register(&endpoint->port, COSY_PORT_READ);
    int was = result < 0 ? result : loop->sys->net->set_nonblocking(loop->sys, fd, true);
    if (was < 0) {
        cosy_port_release(&endpoint->port, -COSY_ECLOSED);
        cosy_datagram_close(endpoint);
        return was;
    }
    endpoint->was_blocking = !was;
    endpoint->one_by_one = true; /* it may be connected, now or by its owner later */
    *ret_endpoint = endpoint;
    return 0;
}

int cosy_datagram_adopt(int fd, cosy_datagram **ret_endpoint)
{
    struct cosy_loop *loop = cosy_running_loop();
    int error = !loop ? -COSY_ENOLOOP : !ret_endpoint ? -EINVAL : fd < 0 ? -EBADF : 0;
    return error ? error : adopt(loop, fd, ret_endpoint);
}

int cosy_datagram_pair(cosy_datagram *ret_endpoints[2])
{
    struct cosy_loop *loop = cosy_running_loop();
    int fds[2];
    if (!loop || !ret_endpoints)
        return loop ? -EINVAL : -COSY_ENOLOOP;
    cosy_datagram *made[2] = {endpoint_new(loop, AF_UNIX), endpoint_new(loop, AF_UNIX)};
    int result = made[0] && made[1] ? loop->sys->net->socketpair(loop->sys, AF_UNIX, SOCK_DGRAM, 0, fds) : -ENOMEM;
    for (int i = 0; i < 2; i++) {
        if (result < 0) {
            cosy_datagram_close(made[i]);
            continue;
        }
        cosy_port_open(&made[i]->port, loop, fds[i]);
        ret_endpoints[i] = made[i];
    }
    return result;
}

/* ---- the end ---- */

void cosy_datagram_exit(cosy_datagram *endpoint)
{
    if (--endpoint->users > 0 || !endpoint->closed)
        return;
    cosy_heap_free(endpoint->path);
    cosy_heap_free(endpoint->reports);
    cosy_heap_free(endpoint);
}

/* Its own file, and not what another process has bound to the name since. */
static void remove_path(cosy_datagram *endpoint)
{
    struct cosy_net_file now;
    struct cosy_sys *sys = endpoint->port.loop ? endpoint->loop->sys : NULL;
    if (!endpoint->path)
        return;
    const struct cosy_net_ops *net = sys ? sys->net : &cosy_linux_net_ops;
    if (net->examine_path(sys, endpoint->path, &now) == 0 && now.device == endpoint->file.device &&
        now.inode == endpoint->file.inode)
        net->remove_path(sys, endpoint->path);
}

void cosy_datagram_abort(cosy_datagram *endpoint)
{
    if (!endpoint || endpoint->closing)
        return;
    endpoint->closing = true;
    remove_path(endpoint);
    cosy_datagram_shut(endpoint, -ECONNABORTED);
}

void cosy_datagram_close(cosy_datagram *endpoint)
{
    if (!endpoint)
        return;
    endpoint->users++;
    if (!endpoint->closing)
        remove_path(endpoint);
    endpoint->closed = true;
    cosy_datagram_shut(endpoint, -COSY_ECLOSED);
    cosy_datagram_exit(endpoint);
}

bool cosy_datagram_is_closing(const cosy_datagram *endpoint)
{
    return endpoint->closing;
}

int cosy_datagram_detach(cosy_datagram *endpoint)
{
    int result = cosy_datagram_usable(endpoint);
    if (result < 0)
        return result;
    if (endpoint->users > 0)
        return -EBUSY;
    struct cosy_sys *sys = endpoint->loop->sys;
    if (endpoint->was_blocking && (result = sys->net->set_nonblocking(sys, endpoint->port.fd, false)) < 0)
        return result;
    int fd = cosy_port_release(&endpoint->port, -COSY_ECLOSED);
    cosy_heap_free(endpoint->path);
    endpoint->path = NULL;
    cosy_datagram_close(endpoint);
    return fd;
}

/* ---- what it is ---- */

static int name_of(const cosy_datagram *endpoint, struct cosy_address *ret_address, bool peer)
{
    int result = cosy_datagram_usable(endpoint);
    if (result < 0)
        return result;
    const struct cosy_net_ops *net = net_of(endpoint);
    *ret_address = (struct cosy_address){.size = sizeof ret_address->storage};
    result = (peer ? net->getpeername : net->getsockname)(endpoint->loop->sys, endpoint->port.fd, &ret_address->any,
                                                          &ret_address->size);
    if (result < 0)
        *ret_address = (struct cosy_address){0};
    return result;
}

int cosy_datagram_peername(const cosy_datagram *endpoint, struct cosy_address *ret_address)
{
    return name_of(endpoint, ret_address, true);
}

int cosy_datagram_sockname(const cosy_datagram *endpoint, struct cosy_address *ret_address)
{
    return name_of(endpoint, ret_address, false);
}

int cosy_datagram_fd(const cosy_datagram *endpoint)
{
    return endpoint->port.fd;
}

int cosy_datagram_setsockopt(cosy_datagram *endpoint, int level, int name, const void *value, socklen_t size)
{
    int result = cosy_datagram_usable(endpoint);
    return result < 0 ? result
                      : net_of(endpoint)->setsockopt(endpoint->loop->sys, endpoint->port.fd, level, name, value, size);
}

int cosy_datagram_getsockopt(const cosy_datagram *endpoint, int level, int name, void *value, socklen_t *size)
{
    int result = cosy_datagram_usable(endpoint);
    return result < 0 ? result
                      : net_of(endpoint)->getsockopt(endpoint->loop->sys, endpoint->port.fd, level, name, value, size);
}

void cosy_datagram_get_stats(const cosy_datagram *endpoint, struct cosy_datagram_stats *ret_stats)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    *ret_stats = endpoint->stats;
    if (endpoint->port.fd >= 0 && endpoint->port.loop &&
        cosy_datagram_getsockopt(endpoint, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0)
        ret_stats->dropped = memory[SK_MEMINFO_DROPS];
    ret_stats->receivers = cosy_line_length(&endpoint->sides[COSY_PORT_READ].line);
    ret_stats->senders = cosy_line_length(&endpoint->sides[COSY_PORT_WRITE].line);
}
