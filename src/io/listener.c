/* listener.c - listening sockets: made or adopted, accepting in batches, pausing when something runs out, closed. */
#include "server.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../loop/context.h"

enum { BATCH_MOST = 256, PAUSE_S = 1 };

static const struct cosy_net_ops *net_of(const struct cosy_server *server)
{
    return server->loop->sys->net;
}

/* ---- making one ---- */

static int set_flag(struct cosy_server *server, int fd, int level, int name)
{
    int on = 1;
    return net_of(server)->setsockopt(server->loop->sys, fd, level, name, &on, sizeof on);
}

/* Those of the connections are inherited from here: no system call for each of them. */
static int set_connection_options(struct cosy_server *server, int fd, int family)
{
    const struct cosy_server_options *options = &server->options;
    int result = options->keep_alive ? set_flag(server, fd, SOL_SOCKET, SO_KEEPALIVE) : 0;
    if (result == 0 && !options->stream.delay && family != AF_UNIX)
        result = set_flag(server, fd, IPPROTO_TCP, TCP_NODELAY);
    return result;
}

static int set_options(struct cosy_server *server, int fd, int family)
{
    const struct cosy_server_options *options = &server->options;
    int result = 0;
    if (!options->no_reuse_address && family != AF_UNIX)
        result = set_flag(server, fd, SOL_SOCKET, SO_REUSEADDR);
    if (result == 0 && options->reuse_port)
        result = set_flag(server, fd, SOL_SOCKET, SO_REUSEPORT);
    if (result == 0 && family == AF_INET6)
        result = set_flag(server, fd, IPPROTO_IPV6, IPV6_V6ONLY);
    return result < 0 ? result : set_connection_options(server, fd, family);
}

/* The file's path, or NULL: no Unix socket, nameless or abstract. */
static const char *path_of(const struct cosy_address *address)
{
    bool named = address->size > offsetof(struct sockaddr_un, sun_path) && address->any.sa_family == AF_UNIX;
    return named && address->local.sun_path[0] ? address->local.sun_path : NULL;
}

static void remove_stale(struct cosy_server *server, const char *path)
{
    struct cosy_net_file file;
    int result = net_of(server)->examine_path(server->loop->sys, path, &file);
    if (result == 0 && file.socket)
        result = net_of(server)->remove_path(server->loop->sys, path);
    if (result < 0 && result != -ENOENT)
        cosy_log(COSY_LOG_WARNING, "cosy: cannot check or remove the stale socket %s: %s", path, cosy_strerror(result));
}

/* What is there is ours: to be known again when it is removed. Of a given socket it may have gone already. */
static int note_file(struct cosy_listener *listener)
{
    struct cosy_server *server = listener->server;
    const char *path = path_of(&listener->address);
    struct cosy_net_file file;
    int result = path ? net_of(server)->examine_path(server->loop->sys, path, &file) : -ENOENT;
    if (result == -ENOENT)
        return 0;
    if (result == 0 && server->options.mode)
        result = net_of(server)->set_path_mode(server->loop->sys, path, server->options.mode);
    if (result == 0 && !server->options.keep_socket)
        listener->file = file;
    return result;
}

static int ask_address(struct cosy_listener *listener)
{
    struct cosy_server *server = listener->server;
    struct cosy_address *address = &listener->address;
    *address = (struct cosy_address){.size = sizeof address->storage};
    int result = net_of(server)->getsockname(server->loop->sys, listener->port.fd, &address->any, &address->size);
    if (result < 0 || address->size > sizeof address->storage)
        address->size = 0;
    return result;
}

static void may_accept(struct cosy_port_waiter *waiter, int result);
static void accept_batch(void *arg);

static struct cosy_listener *new_listener(struct cosy_server *server)
{
    struct cosy_listener *listener = cosy_heap_zalloc(sizeof *listener);
    if (!listener)
        return NULL;
    listener->server = server;
    listener->port.fd = -1;
    listener->waiter.ready = may_accept;
    cosy_list_init(&listener->waiter.link);
    cosy_handle_init(&listener->handle, accept_batch, listener);
    return listener;
}

/* From here on the descriptor is the listener's, and the listener the server's. */
static void enter(struct cosy_listener *listener, int fd)
{
    cosy_port_open(&listener->port, listener->server->loop, fd);
    *listener->server->last_listener = listener;
    listener->server->last_listener = &listener->next;
}

static int fail(const struct cosy_address *address, int error)
{
    char text[COSY_ADDRESS_TEXT];
    return cosy_fail(-error, "cannot listen on %s: %s", cosy_address_text(address, text), cosy_strerror(error));
}

int cosy_listener_bind(struct cosy_server *server, const struct cosy_address *address)
{
    struct cosy_sys *sys = server->loop->sys;
    int family = address->any.sa_family, fd = sys->net->socket(sys, family, SOCK_STREAM, 0);
    if (fd < 0)
        return fail(address, fd);
    if (path_of(address))
        remove_stale(server, path_of(address));
    int result = set_options(server, fd, family);
    if (result == 0)
        result = sys->net->bind(sys, fd, &address->any, address->size);
    struct cosy_listener *listener = result == 0 ? new_listener(server) : NULL;
    if (result == 0 && !listener)
        result = -ENOMEM;
    if (result < 0) {
        sys->ops->close_fd(sys, fd, 0);
        return result == -ENOMEM ? result : fail(address, result);
    }
    enter(listener, fd);
    result = ask_address(listener);
    if (result == 0)
        result = note_file(listener);
    return result < 0 ? fail(address, result) : 0;
}

static int check_adopted(struct cosy_server *server, int fd)
{
    int type;
    socklen_t size = sizeof type;
    int result = net_of(server)->getsockopt(server->loop->sys, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (result < 0)
        return cosy_fail(-result, "cannot listen on descriptor %d: %s", fd, cosy_strerror(result));
    return type == SOCK_STREAM ? 0
                               : cosy_fail(EINVAL, "cannot listen on descriptor %d: a stream socket was expected", fd);
}

int cosy_listener_adopt(struct cosy_server *server, int fd)
{
    struct cosy_sys *sys = server->loop->sys;
    int result = check_adopted(server, fd);
    if (result < 0)
        return result;
    struct cosy_listener *listener = new_listener(server);
    if (!listener)
        return -ENOMEM;
    enter(listener, fd);
    result = ask_address(listener);
    if (result == 0)
        result = cosy_port_register(&listener->port, COSY_PORT_READ);
    if (result == 0)
        result = set_connection_options(server, fd, listener->address.any.sa_family);
    if (result == 0)
        result = note_file(listener);
    if (result == 0)
        result = sys->net->set_nonblocking(sys, fd, true);
    return result < 0 ? cosy_fail(-result, "cannot listen on descriptor %d: %s", fd, cosy_strerror(result)) : 0;
}

int cosy_listener_listen(struct cosy_listener *listener)
{
    struct cosy_server *server = listener->server;
    int backlog = server->options.backlog ? server->options.backlog : 100;
    int result = net_of(server)->listen(server->loop->sys, listener->port.fd, backlog);
    if (result == 0)
        result = cosy_port_register(&listener->port, COSY_PORT_READ);
    return result < 0 ? fail(&listener->address, result) : 0;
}

/* ---- accepting ---- */

enum accepted { ACCEPTED, NOTHING_THERE, PAUSED };

/* It waits, its handle is queued or timed; or it is the accepting callback's business. */
static bool is_busy(const struct cosy_listener *listener)
{
    return !cosy_list_empty(&listener->waiter.link) || listener->handle.node_.state != 0;
}

void cosy_listener_kick(struct cosy_listener *listener)
{
    struct cosy_server *server = listener->server;
    if (server->state != COSY_SERVER_SERVING || cosy_server_is_full(server) || is_busy(listener) ||
        !listener->port.loop)
        return;
    int result = cosy_port_may(&listener->port, COSY_PORT_READ)
                     ? 1
                     : cosy_port_wait(&listener->port, COSY_PORT_READ, &listener->waiter);
    if (result != 0)
        cosy_handle_start_soon(server->loop, &listener->handle);
}

static void may_accept(struct cosy_port_waiter *waiter, int result)
{
    if (result == 0)
        cosy_listener_kick(container_of(waiter, struct cosy_listener, waiter));
}

/* Something has run out, which will be there again when connections end: told once, until one is accepted again. When
 * there is not even memory for a timer, the next client makes it try again. */
static enum accepted pause(struct cosy_listener *listener, int error)
{
    struct cosy_server *server = listener->server;
    char text[COSY_ADDRESS_TEXT], message[300];
    if (server->state != COSY_SERVER_SERVING)
        return PAUSED;
    if (cosy_handle_start_later(server->loop, &listener->handle, COSY_S(PAUSE_S)) < 0)
        cosy_port_would_block(&listener->port, COSY_PORT_READ);
    server->paused = true;
    if (server->told)
        return PAUSED;
    server->told = true;
    snprintf(message, sizeof message, "cosy: server '%s' cannot accept connections on %s, and tries again each second",
             cosy_server_name(server), cosy_address_text(&listener->address, text));
    cosy_server_report(server, message, error, NULL);
    return PAUSED;
}

/* The connection was broken before it was accepted: accept(2) tells of what would have come later. */
static bool concerns_only_one(int error)
{
    static const int errors[] = {ECONNABORTED, EPROTO,  ENETDOWN,     ENOPROTOOPT, EHOSTDOWN,
                                 ENONET,       EPERM,   EHOSTUNREACH, ENETUNREACH, ECONNRESET};
    for (size_t i = 0; i < COUNT_OF(errors); i++)
        if (error == -errors[i])
            return true;
    return false;
}

static enum accepted accept_one(struct cosy_listener *listener)
{
    struct cosy_address peer = {.size = sizeof peer.storage};
    int fd = COSY_PORT_CALL(&listener->port, COSY_PORT_READ, accept, &peer.any, &peer.size);
    if (fd == -EAGAIN)
        return NOTHING_THERE;
    if (fd < 0)
        return concerns_only_one(fd) ? ACCEPTED : pause(listener, fd);
    int result = cosy_server_begin_connection(listener->server, listener, fd, &peer);
    return result < 0 ? pause(listener, result) : ACCEPTED;
}

/* backlog + 1 in a turn, as asyncio, and then it is the others' turn. A handler's first step runs in here, and may
 * close the server. */
static void accept_batch(void *arg)
{
    struct cosy_listener *listener = arg;
    struct cosy_server *server = listener->server;
    int backlog = server->options.backlog ? server->options.backlog : 100;
    int left = backlog < BATCH_MOST ? backlog + 1 : BATCH_MOST;
    cosy_server_ref(server);
    *cosy_context_here() = cosy_context_slot_copy(server->context);
    server->paused = false;
    while (left-- > 0 && server->state == COSY_SERVER_SERVING && !cosy_server_is_full(server))
        if (accept_one(listener) != ACCEPTED)
            break;
    cosy_listener_kick(listener);
    cosy_server_unref(server);
}

/* ---- the end ---- */

/* Who binds to the path after us has a file of its own there: that one stays. After the loop has closed, the kernel
 * table is gone too; a simulated one took its paths along, and no real file has their numbers. */
static void remove_file(struct cosy_listener *listener)
{
    struct cosy_server *server = listener->server;
    struct cosy_sys *sys = server->loop->sys;
    const struct cosy_net_ops *net = sys ? sys->net : &cosy_linux_net_ops;
    const char *path = path_of(&listener->address);
    struct cosy_net_file now;
    if (!path || !listener->file.inode)
        return;
    int result = net->examine_path(sys, path, &now);
    if (result == 0 && now.inode == listener->file.inode && now.device == listener->file.device)
        result = net->remove_path(sys, path);
    if (result < 0 && result != -ENOENT)
        cosy_log(COSY_LOG_WARNING, "cosy: cannot remove the socket %s: %s", path, cosy_strerror(result));
    listener->file.inode = 0;
}

/* A queued handle does not let go of its context by itself; it has none. */
void cosy_listener_close(struct cosy_listener *listener)
{
    cosy_port_wait_not(&listener->waiter);
    cosy_handle_cancel(&listener->handle);
    if (listener->port.fd < 0)
        return;
    remove_file(listener);
    cosy_port_close_now(&listener->port, -COSY_ECLOSED);
}

void cosy_listener_release(struct cosy_listener *listener)
{
    cosy_port_wait_not(&listener->waiter);
    cosy_handle_cancel(&listener->handle);
    listener->file.inode = 0;
    cosy_port_release(&listener->port, -COSY_ECLOSED);
}
