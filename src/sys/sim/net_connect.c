/* net_connect.c - how connections come about: listen, accept, connect, and the answer to a connect. */
#include "socket.h"

enum { MOST_BACKLOG = 4096, TRIES = 7 };

static const cosy_ns GIVES_UP = COSY_S(127); /* net.ipv4.tcp_syn_retries = 6 */

/* ---- the listening side ---- */

int cosy_sim_listen(struct sim_network *network, struct sim_socket *socket, int backlog)
{
    if (socket->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (socket->state != SIM_FRESH && socket->state != SIM_LISTENING)
        return -EINVAL;
    if (socket->family == AF_UNIX && socket->local.size == 0)
        return -EINVAL;
    if (socket->state == SIM_FRESH && sim_is_tcp(socket)) {
        int error = socket->local.size ? 0 : cosy_sim_bind_any_port(network, socket, NULL);
        if (!error && !cosy_sim_port_allows_listening(network, socket))
            error = -EADDRINUSE;
        if (error)
            return error;
    }
    socket->backlog = backlog < 0 || backlog > MOST_BACKLOG ? MOST_BACKLOG : backlog;
    socket->state = SIM_LISTENING;
    if (sim_is_tcp(socket))
        cosy_sim_enter_port(network, socket);
    return 0;
}

void cosy_sim_listen_no_more(struct sim_network *network, struct sim_socket *socket)
{
    socket->state = SIM_FRESH;
    socket->line_length = 0;
    while (!cosy_list_empty(&socket->line)) {
        struct sim_socket *waiting = container_of(socket->line.next, struct sim_socket, line);
        cosy_list_remove(&waiting->line);
        waiting->options.linger = (struct linger){.l_onoff = 1}; /* it ends by a reset */
        cosy_sim_file_release(network, &waiting->file);
    }
}

static bool line_is_full(const struct sim_socket *listener)
{
    return listener->line_length > listener->backlog;
}

/* The other end of a connection, in the listener's line. -ENOBUFS. */
static int join_line(struct sim_network *network, struct sim_socket *listener, struct sim_socket *client)
{
    struct sim_socket *socket;
    int error = cosy_sim_socket_new(network, listener->family, listener->type, listener->protocol, &socket);
    if (error)
        return error;
    socket->options = listener->options;
    socket->local = listener->family == AF_UNIX ? listener->local : client->remote;
    socket->remote = client->local;
    socket->delay = client->delay;
    socket->listener = listener;
    cosy_sim_stream_pair(socket, client);
    if (sim_is_tcp(socket))
        cosy_sim_enter_port(network, socket);
    cosy_list_append(&listener->line, &socket->line);
    listener->line_length++;
    cosy_sim_touch(network, &listener->file, COSY_SYS_READ);
    return 0;
}

int cosy_sim_accept(struct sim_network *network, struct sim_socket *listener, struct sockaddr *address, socklen_t *size)
{
    if (listener->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (listener->state != SIM_LISTENING)
        return -EINVAL;
    if (cosy_list_empty(&listener->line))
        return -EAGAIN;
    if (cosy_sim_happens(network, network->character.again_per_million)) {
        cosy_sim_touch(network, &listener->file, COSY_SYS_READ);
        return -EAGAIN;
    }
    struct sim_socket *socket = container_of(listener->line.next, struct sim_socket, line);
    int fd = cosy_sim_install(network, &socket->file);
    if (fd < 0)
        return fd;
    cosy_list_remove(&socket->line);
    socket->listener = NULL;
    listener->line_length--;
    cosy_sim_file_release(network, &socket->file);
    if (address)
        cosy_sim_write_address(&socket->remote, socket->family, address, size);
    return fd;
}

/* ---- the connecting side ---- */

static int connect_unix(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address)
{
    struct sim_socket *listener;
    if (socket->state != SIM_FRESH)
        return socket->state == SIM_LISTENING ? -EINVAL : -EISCONN;
    int error = cosy_sim_find_name(network, address, socket->type, &listener);
    if (error)
        return error;
    if (listener->state != SIM_LISTENING || listener->shut_read)
        return -ECONNREFUSED;
    if (line_is_full(listener))
        return -EAGAIN;
    socket->remote = listener->local;
    error = join_line(network, listener, socket);
    if (!error)
        cosy_sim_touch(network, &socket->file, SIM_BOTH);
    return error;
}

static void fail(struct sim_network *network, struct sim_socket *socket, int error)
{
    socket->state = SIM_OVER;
    socket->failed = socket->shut_read = socket->shut_write = true;
    socket->error = error;
    cosy_sim_touch(network, &socket->file, SIM_BOTH);
}

/* Lost before it was heard of: it is sent again after 1, 2, 4 ... seconds. */
static void try_later(struct sim_network *network, struct sim_socket *socket)
{
    if (socket->attempts == TRIES)
        fail(network, socket, ETIMEDOUT);
    else
        cosy_sim_change_in(network, socket, COSY_S(1 << socket->attempts++), 0);
}

void cosy_sim_answer(struct sim_network *network, struct sim_socket *socket)
{
    if (socket->change_error) {
        fail(network, socket, socket->change_error);
        return;
    }
    struct sim_socket *listener = cosy_sim_find_port(network, &socket->remote, SOCK_STREAM, &socket->local);
    if (!listener) {
        fail(network, socket, ECONNREFUSED);
        return;
    }
    if (line_is_full(listener) || join_line(network, listener, socket) < 0) {
        try_later(network, socket);
        return;
    }
    socket->untold = true;
    cosy_sim_touch(network, &socket->file, SIM_BOTH);
}

static int connect_again(struct sim_socket *socket)
{
    if (socket->state == SIM_CONNECTING)
        return -EALREADY;
    if (socket->state == SIM_OVER && socket->failed) {
        int error = cosy_sim_take_error(socket);
        socket->failed = socket->shut_read = socket->shut_write = false;
        socket->state = SIM_FRESH;
        return error ? error : -ECONNABORTED;
    }
    bool told = !socket->untold;
    socket->untold = false;
    return told ? -EISCONN : 0;
}

static int connect_tcp(struct sim_network *network, struct sim_socket *socket, struct sim_address address)
{
    static const int error_of[] = {[COSY_SIM_REFUSES] = ECONNREFUSED,
                                   [COSY_SIM_BLACK_HOLE] = ETIMEDOUT,
                                   [COSY_SIM_HOST_UNREACHABLE] = EHOSTUNREACH};
    struct sim_route route;
    if (socket->state != SIM_FRESH)
        return connect_again(socket);
    int error = cosy_sim_route_to(network, &address, &route);
    if (!error && (cosy_sim_is_multicast(&address) || cosy_sim_is_broadcast(&address)))
        error = -ENETUNREACH;
    if (!error)
        error = cosy_sim_bind_any_port(network, socket, &address);
    if (error)
        return error;
    socket->remote = address;
    socket->state = SIM_CONNECTING;
    socket->active = true;
    socket->attempts = 0;
    socket->delay = route.delay;
    socket->reset_after = route.reset_after;
    cosy_ns delay = 2 * (route.delay + cosy_sim_latency(network));
    cosy_sim_change_in(network, socket, route.behaviour == COSY_SIM_BLACK_HOLE ? GIVES_UP : delay,
                       route.behaviour == COSY_SIM_ANSWERS ? 0 : error_of[route.behaviour]);
    return -EINPROGRESS;
}

int cosy_sim_connect(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *given,
                     socklen_t size)
{
    struct sim_address address;
    if (socket->type == SOCK_DGRAM)
        return cosy_sim_datagram_connect(network, socket, given, size);
    int error = cosy_sim_read_address(socket, given, size, &address);
    if (error)
        return error;
    return socket->family == AF_UNIX ? connect_unix(network, socket, &address) : connect_tcp(network, socket, address);
}
