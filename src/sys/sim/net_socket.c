/* net_socket.c - what all sockets have in common: beginning, readiness, end. */
#include "socket.h"

/* ---- readiness, as each protocol's poll in the kernel tells it ---- */

static unsigned tcp_poll(const struct sim_socket *socket)
{
    unsigned ready = socket->error ? COSY_SYS_ERROR : 0;
    bool read_end = socket->shut_read || socket->in.ended;
    if (socket->state == SIM_LISTENING)
        return ready | (socket->line_length ? COSY_SYS_READ : 0u);
    if (socket->state == SIM_CONNECTING)
        return ready;
    if ((read_end && socket->shut_write) || socket->state == SIM_FRESH || socket->state == SIM_OVER)
        ready |= COSY_SYS_HANGUP;
    if (read_end)
        ready |= COSY_SYS_READ | COSY_SYS_READ_END;
    if (socket->in.visible)
        ready |= COSY_SYS_READ;
    if (socket->shut_write || cosy_sim_stream_writable(socket))
        ready |= COSY_SYS_WRITE;
    return ready;
}

static unsigned unix_poll(const struct sim_socket *socket)
{
    unsigned ready = socket->error ? COSY_SYS_ERROR : 0;
    if (socket->shut_read && socket->shut_write)
        ready |= COSY_SYS_HANGUP;
    if (socket->state == SIM_LISTENING)
        return ready | (socket->line_length ? COSY_SYS_READ : 0u);
    if (socket->state != SIM_CONNECTED)
        ready |= COSY_SYS_HANGUP;
    if (socket->shut_read)
        ready |= COSY_SYS_READ | COSY_SYS_READ_END;
    if (socket->in.chunks && (socket->type != SOCK_STREAM || socket->in.visible))
        ready |= COSY_SYS_READ;
    return ready | (cosy_sim_stream_writable(socket) ? COSY_SYS_WRITE : 0u);
}

static unsigned socket_poll(struct sim_network *network, struct sim_file *file)
{
    (void)network;
    const struct sim_socket *socket = sim_socket_of(file);
    if (socket->type == SOCK_DGRAM)
        return cosy_sim_datagram_poll(socket);
    return sim_is_tcp(socket) ? tcp_poll(socket) : unix_poll(socket);
}

int cosy_sim_take_error(struct sim_socket *socket)
{
    int error = -socket->error;
    socket->error = 0;
    return error;
}

/* ---- life ---- */

static void socket_purge(struct sim_network *network, struct sim_file *file)
{
    struct sim_socket *socket = sim_socket_of(file);
    if (socket->state == SIM_LISTENING)
        cosy_sim_listen_no_more(network, socket);
    cosy_sim_flow_clear(network, &socket->in);
}

static void socket_close(struct sim_network *network, struct sim_file *file)
{
    struct sim_socket *socket = sim_socket_of(file);
    if (socket->type == SOCK_DGRAM)
        cosy_sim_datagram_close(network, socket);
    else
        cosy_sim_stream_close(network, socket);
    cosy_sim_unschedule(network, &socket->arrival);
    cosy_sim_unschedule(network, &socket->change);
    cosy_sim_leave_name(network, socket);
    cosy_list_remove(&socket->of_port);
    cosy_sim_flow_clear(network, &socket->in);
    cosy_heap_free(socket);
}

const struct sim_file_kind cosy_sim_socket_kind = {.poll = socket_poll, .close = socket_close, .purge = socket_purge};

static int check_kind(int family, int type, int protocol)
{
    if (type < 1 || type > SOCK_PACKET)
        return -EINVAL;
    if (family == AF_UNIX) {
        if (protocol && protocol != AF_UNIX)
            return -EPROTONOSUPPORT;
        return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
    }
    int usual = type == SOCK_STREAM ? IPPROTO_TCP : type == SOCK_DGRAM ? IPPROTO_UDP : -1;
    if (usual < 0)
        return -ESOCKTNOSUPPORT;
    return protocol == 0 || protocol == usual ? 0 : -EPROTONOSUPPORT;
}

static void run_arrival(struct sim_network *network, struct sim_event *event)
{
    cosy_sim_stream_pump(network, container_of(event, struct sim_socket, arrival));
}

int cosy_sim_socket_new(struct sim_network *network, int family, int type, int protocol, struct sim_socket **ret_socket)
{
    int error = check_kind(family, type, protocol);
    if (error)
        return error;
    struct sim_socket *socket = cosy_heap_zalloc(sizeof *socket);
    if (!socket)
        return -ENOBUFS;
    socket->family = family;
    socket->type = type;
    socket->protocol = family == AF_UNIX ? 0 : type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    socket->arrival.run = run_arrival;
    socket->change.run = cosy_sim_run_change;
    cosy_list_init(&socket->of_port);
    cosy_list_init(&socket->line);
    cosy_sim_options_init(socket);
    cosy_sim_file_init(network, &socket->file, &cosy_sim_socket_kind);
    *ret_socket = socket;
    return 0;
}

/* Gives a number to a socket that only its maker has a reference of, or ends it. */
static int install_only(struct sim_network *network, struct sim_socket *socket)
{
    int fd = cosy_sim_install(network, &socket->file);
    cosy_sim_file_release(network, &socket->file);
    return fd;
}

int cosy_sim_socket(struct sim_network *network, int family, int type, int protocol)
{
    struct sim_socket *socket;
    int error = cosy_sim_socket_new(network, family, type, protocol, &socket);
    return error ? error : install_only(network, socket);
}

int cosy_sim_socketpair(struct sim_network *network, int family, int type, int protocol, int fds[2])
{
    struct sim_socket *a, *b;
    if (family != AF_UNIX)
        return -EOPNOTSUPP;
    int error = cosy_sim_socket_new(network, family, type, protocol, &a);
    if (error)
        return error;
    error = cosy_sim_socket_new(network, family, type, protocol, &b);
    if (error) {
        cosy_sim_file_release(network, &a->file);
        return error;
    }
    cosy_sim_stream_pair(a, b);
    int first = install_only(network, a), second = first < 0 ? first : cosy_sim_install(network, &b->file);
    cosy_sim_file_release(network, &b->file);
    if (second < 0) {
        cosy_sim_close_descriptor(network, first);
        return second;
    }
    fds[0] = first;
    fds[1] = second;
    return 0;
}
