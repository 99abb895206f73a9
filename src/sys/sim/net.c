/* net.c - the simulated network's calls: real descriptors go to the real kernel, virtual ones to the files behind them.
 *
 * Each call may be made to fail (cosy_sys_fault), and sees what has arrived until now.
 */
#include "../net.h"

#include <string.h>

#include "../syscalls.h"
#include "socket.h"

static struct sim_network *network_of(struct cosy_sys *sys)
{
    return cosy_sim_network(sys);
}

/* 0, or the error with which the call at hand has to end. */
static int begin(struct cosy_sys *sys)
{
    int error = cosy_sys_fault();
    if (!error)
        cosy_sim_catch_up(network_of(sys));
    return error;
}

static int begin_file(struct cosy_sys *sys, int fd, struct sim_file **ret_file)
{
    int error = begin(sys);
    *ret_file = error ? NULL : cosy_sim_file(network_of(sys), fd);
    return error ? error : *ret_file ? 0 : -EBADF;
}

static int begin_socket(struct cosy_sys *sys, int fd, struct sim_socket **ret_socket)
{
    struct sim_file *file;
    int error = begin_file(sys, fd, &file);
    if (!error && file->kind != &cosy_sim_socket_kind)
        error = -ENOTSOCK;
    *ret_socket = error ? NULL : sim_socket_of(file);
    return error;
}

/* ---- making ---- */

static bool is_ours(int family, int type)
{
    return (family == AF_INET || family == AF_INET6 || family == AF_UNIX) && type != SOCK_RAW;
}

static int net_socket(struct cosy_sys *sys, int family, int type, int protocol)
{
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!is_ours(family, type))
        return cosy_linux_net_ops.socket(sys, family, type, protocol);
    int error = begin(sys);
    return error ? error : cosy_sim_socket(network_of(sys), family, type, protocol);
}

static int net_socketpair(struct cosy_sys *sys, int family, int type, int protocol, int fds[2])
{
    int error = begin(sys);
    return error ? error
                 : cosy_sim_socketpair(network_of(sys), family, type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), protocol, fds);
}

static int net_pipe(struct cosy_sys *sys, int fds[2])
{
    int error = begin(sys);
    return error ? error : cosy_sim_pipe(network_of(sys), fds);
}

/* ---- names ---- */

static int bind_plain(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *address,
                      socklen_t size)
{
    struct sim_address wanted;
    int error = cosy_sim_read_address(socket, address, size, &wanted);
    if (error)
        return error;
    return socket->family == AF_UNIX ? cosy_sim_bind_name(network, socket, &wanted)
                                     : cosy_sim_bind_port(network, socket, &wanted);
}

static int net_bind(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.bind(sys, fd, address, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : bind_plain(network_of(sys), socket, address, size);
}

static int net_getsockname(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.getsockname(sys, fd, address, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_write_address(&socket->local, socket->family, address, size);
}

static bool has_peer(const struct sim_socket *socket)
{
    if (socket->type == SOCK_DGRAM)
        return socket->remote.size || socket->peer;
    return socket->state == SIM_CONNECTED;
}

static int net_getpeername(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.getpeername(sys, fd, address, size);
    int error = begin_socket(sys, fd, &socket);
    if (error)
        return error;
    return has_peer(socket) ? cosy_sim_write_address(&socket->remote, socket->family, address, size) : -ENOTCONN;
}

static int net_examine_path(struct cosy_sys *sys, const char *path, struct cosy_net_file *ret_file)
{
    int error = begin(sys);
    return error ? error : cosy_sim_examine_path(network_of(sys), path, ret_file);
}

static int net_remove_path(struct cosy_sys *sys, const char *path)
{
    int error = begin(sys);
    return error ? error : cosy_sim_remove_path(network_of(sys), path);
}

static int net_set_path_mode(struct cosy_sys *sys, const char *path, mode_t mode)
{
    int error = begin(sys);
    return error ? error : cosy_sim_set_path_mode(network_of(sys), path, mode);
}

/* ---- connections ---- */

static int net_listen(struct cosy_sys *sys, int fd, int backlog)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.listen(sys, fd, backlog);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_listen(network_of(sys), socket, backlog);
}

static int net_accept(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.accept(sys, fd, address, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_accept(network_of(sys), socket, address, size);
}

static int net_connect(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.connect(sys, fd, address, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_connect(network_of(sys), socket, address, size);
}

static int net_shutdown(struct cosy_sys *sys, int fd, int how)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.shutdown(sys, fd, how);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_shutdown(network_of(sys), socket, how);
}

/* ---- reading ---- */

static int receive(struct sim_network *network, struct sim_file *file, struct sim_parts parts, size_t size,
                   struct msghdr *message, int flags)
{
    if (file->kind != &cosy_sim_socket_kind)
        return -ENOTSOCK;
    struct sim_socket *socket = sim_socket_of(file);
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    return socket->type == SOCK_DGRAM ? cosy_sim_datagram_receive(network, socket, &parts, size, message, flags)
                                      : cosy_sim_stream_receive(network, socket, &parts, size, message, flags);
}

static int net_recv(struct cosy_sys *sys, int fd, void *buffer, size_t size, int flags)
{
    struct sim_file *file;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.recv(sys, fd, buffer, size, flags);
    int error = begin_file(sys, fd, &file);
    if (error)
        return error;
    return receive(network_of(sys), file, sim_parts_of(&part, 1), cosy_sim_parts_size(&part, 1), NULL, flags);
}

static int net_recvmsg(struct cosy_sys *sys, int fd, struct msghdr *message, int flags)
{
    struct sim_file *file;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.recvmsg(sys, fd, message, flags);
    int error = begin_file(sys, fd, &file);
    if (error)
        return error;
    struct msghdr answer = *message;
    answer.msg_flags = flags & MSG_CMSG_CLOEXEC;
    bool stream = file->kind == &cosy_sim_socket_kind && sim_socket_of(file)->type != SOCK_DGRAM;
    if (stream)
        answer.msg_namelen = 0;
    int result = receive(network_of(sys), file, sim_parts_of(message->msg_iov, message->msg_iovlen),
                         cosy_sim_parts_size(message->msg_iov, message->msg_iovlen), &answer, flags);
    if (result < 0)
        return result;
    message->msg_namelen = answer.msg_namelen;
    message->msg_flags = answer.msg_flags;
    message->msg_controllen = message->msg_control && !answer.msg_control ? answer.msg_controllen : 0;
    return result;
}

/* As the kernel: an error behind the first comes back with the next call. */
static int net_recvmmsg(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.recvmmsg(sys, fd, messages, count, flags);
    unsigned got = 0;
    int result = 0;
    for (; got < count && (result = net_recvmsg(sys, fd, &messages[got].msg_hdr, flags)) >= 0; got++)
        messages[got].msg_len = (unsigned)result;
    if (got > 0 && result < 0 && result != -EAGAIN) {
        struct sim_file *file = cosy_sim_file(network_of(sys), fd);
        sim_socket_of(file)->error = -result;
        cosy_sim_touch(network_of(sys), file, SIM_BOTH);
    }
    return got > 0 || count == 0 ? (int)got : result;
}

static int net_readv(struct cosy_sys *sys, int fd, const struct iovec *parts, int count)
{
    struct sim_file *file;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.readv(sys, fd, parts, count);
    int error = count < 0 ? -EINVAL : begin_file(sys, fd, &file);
    if (error)
        return error;
    size_t size = cosy_sim_parts_size(parts, (size_t)count);
    if (file->kind == &cosy_sim_pipe_kind)
        return cosy_sim_pipe_read(network_of(sys), file, sim_parts_of(parts, (size_t)count), size, false);
    int result = receive(network_of(sys), file, sim_parts_of(parts, (size_t)count), size, NULL, 0);
    return result == -ENOTSOCK ? -EINVAL : result;
}

/* ---- writing ---- */

static int send_on(struct sim_network *network, struct sim_socket *socket, const struct msghdr *message, int flags)
{
    struct sim_parts parts = sim_parts_of(message->msg_iov, message->msg_iovlen);
    size_t size = cosy_sim_parts_size(message->msg_iov, message->msg_iovlen);
    struct sim_rights *rights = NULL;
    bool datagram = socket->type == SOCK_DGRAM;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (!datagram && socket->family == AF_UNIX && message->msg_namelen)
        return socket->state == SIM_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    int result = socket->family == AF_UNIX ? cosy_sim_rights_take(network, message, &rights) : 0;
    if (result == 0 && datagram)
        result = cosy_sim_datagram_send(network, socket, &parts, size, &rights,
                                        message->msg_namelen ? message->msg_name : NULL, message->msg_namelen);
    else if (result == 0)
        result = cosy_sim_stream_send(network, socket, &parts, size, &rights);
    if (rights)
        cosy_sim_rights_free(network, rights);
    return result;
}

static int net_sendmsg(struct cosy_sys *sys, int fd, const struct msghdr *message, int flags)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.sendmsg(sys, fd, message, flags);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : send_on(network_of(sys), socket, message, flags);
}

static int net_sendmmsg(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.sendmmsg(sys, fd, messages, count, flags);
    unsigned sent = 0;
    int result = 0;
    for (; sent < count && (result = net_sendmsg(sys, fd, &messages[sent].msg_hdr, flags)) >= 0; sent++)
        messages[sent].msg_len = (unsigned)result;
    return sent > 0 || count == 0 ? (int)sent : result;
}

static int net_send(struct cosy_sys *sys, int fd, const void *data, size_t size, int flags)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return sim_is_virtual(fd) ? net_sendmsg(sys, fd, &message, flags)
                              : cosy_linux_net_ops.send(sys, fd, data, size, flags);
}

static int net_writev(struct cosy_sys *sys, int fd, const struct iovec *parts, int count)
{
    struct sim_file *file;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.writev(sys, fd, parts, count);
    int error = count < 0 ? -EINVAL : begin_file(sys, fd, &file);
    if (error)
        return error;
    if (file->kind == &cosy_sim_pipe_kind)
        return cosy_sim_pipe_write(network_of(sys), file, sim_parts_of(parts, (size_t)count),
                                   cosy_sim_parts_size(parts, (size_t)count));
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    return file->kind == &cosy_sim_socket_kind ? send_on(network_of(sys), sim_socket_of(file), &message, 0) : -EINVAL;
}

/* ---- the rest ---- */

static int net_getsockopt(struct cosy_sys *sys, int fd, int level, int name, void *value, socklen_t *size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.getsockopt(sys, fd, level, name, value, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_get_option(socket, level, name, value, size);
}

static int net_setsockopt(struct cosy_sys *sys, int fd, int level, int name, const void *value, socklen_t size)
{
    struct sim_socket *socket;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.setsockopt(sys, fd, level, name, value, size);
    int error = begin_socket(sys, fd, &socket);
    return error ? error : cosy_sim_set_option(network_of(sys), socket, level, name, value, size);
}

static size_t cut(size_t size)
{
    return size < COSY_NET_MOST ? size : COSY_NET_MOST;
}

static int net_sendfile(struct cosy_sys *sys, int out, int file, off_t *offset, size_t size)
{
    struct sim_file *to;
    if (!sim_is_virtual(out) && !sim_is_virtual(file))
        return cosy_linux_net_ops.sendfile(sys, out, file, offset, size);
    if (!sim_is_virtual(out))
        return -EINVAL;
    int error = begin_file(sys, out, &to);
    return error ? error : cosy_sim_sendfile(network_of(sys), to, file, offset, cut(size));
}

static void net_grow_pipe(struct cosy_sys *sys, int fd, int size)
{
    if (!sim_is_virtual(fd))
        cosy_linux_net_ops.grow_pipe(sys, fd, size); /* simulated ones have the size that the simulation gives them */
}

static int net_splice(struct cosy_sys *sys, int in, int out, size_t size, bool ours)
{
    struct sim_file *from, *to;
    if (!sim_is_virtual(in) && !sim_is_virtual(out))
        return cosy_linux_net_ops.splice(sys, in, out, size, ours);
    if (!sim_is_virtual(in) || !sim_is_virtual(out))
        return -EINVAL;
    int error = begin_file(sys, in, &from);
    if (error)
        return error;
    to = cosy_sim_file(network_of(sys), out);
    return to ? cosy_sim_splice(network_of(sys), from, to, cut(size)) : -EBADF;
}

static int net_set_nonblocking(struct cosy_sys *sys, int fd, bool on)
{
    struct sim_file *file;
    if (!sim_is_virtual(fd))
        return cosy_linux_net_ops.set_nonblocking(sys, fd, on);
    int error = begin_file(sys, fd, &file);
    if (error)
        return error;
    bool was = !file->blocking;
    file->blocking = !on;
    return was;
}

static int net_look_up(struct cosy_sys *sys, const char *host, int family, struct sockaddr_storage *addresses, int room,
                       cosy_ns *ret_delay)
{
    int error = begin(sys);
    return error ? error : cosy_sim_look_up(sys, host, family, addresses, room, ret_delay);
}

const struct cosy_net_ops cosy_sim_net_ops = {
    .socket = net_socket,
    .socketpair = net_socketpair,
    .pipe = net_pipe,
    .bind = net_bind,
    .listen = net_listen,
    .accept = net_accept,
    .connect = net_connect,
    .recv = net_recv,
    .send = net_send,
    .recvmsg = net_recvmsg,
    .recvmmsg = net_recvmmsg,
    .sendmmsg = net_sendmmsg,
    .sendmsg = net_sendmsg,
    .readv = net_readv,
    .writev = net_writev,
    .shutdown = net_shutdown,
    .getsockname = net_getsockname,
    .getpeername = net_getpeername,
    .getsockopt = net_getsockopt,
    .setsockopt = net_setsockopt,
    .sendfile = net_sendfile,
    .splice = net_splice,
    .grow_pipe = net_grow_pipe,
    .set_nonblocking = net_set_nonblocking,
    .examine_path = net_examine_path,
    .remove_path = net_remove_path,
    .set_path_mode = net_set_path_mode,
    .look_up = net_look_up,
};
