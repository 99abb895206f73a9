/* net.c - sockets and pipes of the real kernel. */
#include "../net.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/sendfile.h>

#include "../syscalls.h"

static size_t cut(size_t size)
{
    return size < COSY_NET_MOST ? size : COSY_NET_MOST;
}

static int net_socket(struct cosy_sys *sys, int family, int type, int protocol)
{
    (void)sys;
    return COSY_SYS_CALL(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

static int net_socketpair(struct cosy_sys *sys, int family, int type, int protocol, int fds[2])
{
    (void)sys;
    return COSY_SYS_CALL(socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, fds));
}

static int net_pipe(struct cosy_sys *sys, int fds[2])
{
    (void)sys;
    return COSY_SYS_CALL(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
}

static int net_bind(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size)
{
    (void)sys;
    return COSY_SYS_CALL(bind(fd, address, size));
}

static int net_listen(struct cosy_sys *sys, int fd, int backlog)
{
    (void)sys;
    return COSY_SYS_CALL(listen(fd, backlog));
}

static int net_accept(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    (void)sys;
    return COSY_SYS_CALL(accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static int net_connect(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size)
{
    (void)sys;
    return COSY_SYS_CALL(connect(fd, address, size));
}

static int net_recv(struct cosy_sys *sys, int fd, void *buffer, size_t size, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(recv(fd, buffer, cut(size), flags | MSG_DONTWAIT));
}

static int net_send(struct cosy_sys *sys, int fd, const void *data, size_t size, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(send(fd, data, cut(size), flags | MSG_NOSIGNAL | MSG_DONTWAIT));
}

static int net_recvmsg(struct cosy_sys *sys, int fd, struct msghdr *message, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
}

static int net_sendmsg(struct cosy_sys *sys, int fd, const struct msghdr *message, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(sendmsg(fd, message, flags | MSG_NOSIGNAL | MSG_DONTWAIT));
}

static int net_readv(struct cosy_sys *sys, int fd, const struct iovec *parts, int count)
{
    (void)sys;
    return COSY_SYS_CALL(readv(fd, parts, count));
}

/* writev, sendfile and splice raise SIGPIPE where nobody reads, and have no flag against it. Blocked for the call, the
 * signal stays pending and is taken; one that was pending before is left alone: there can be such a one only where it
 * was blocked before. */
struct sigpipe {
    sigset_t only, before;
    bool was_blocked, was_pending;
};

static void hold_sigpipe(struct sigpipe *held)
{
    sigemptyset(&held->only);
    sigaddset(&held->only, SIGPIPE);
    held->was_pending = false;
    pthread_sigmask(SIG_BLOCK, &held->only, &held->before);
    held->was_blocked = sigismember(&held->before, SIGPIPE);
    if (unlikely(held->was_blocked)) {
        sigset_t pending;
        sigpending(&pending);
        held->was_pending = sigismember(&pending, SIGPIPE);
    }
}

static int drop_sigpipe(struct sigpipe *held, int result)
{
    if (result == -EPIPE && !held->was_pending)
        sigtimedwait(&held->only, NULL, &(struct timespec){0});
    if (likely(!held->was_blocked))
        pthread_sigmask(SIG_SETMASK, &held->before, NULL);
    return result;
}

static int net_recvmmsg(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(recvmmsg(fd, messages, count, flags | MSG_CMSG_CLOEXEC, NULL));
}

static int net_sendmmsg(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    (void)sys;
    return COSY_SYS_CALL(sendmmsg(fd, messages, count, flags | MSG_NOSIGNAL));
}

static int net_writev(struct cosy_sys *sys, int fd, const struct iovec *parts, int count)
{
    (void)sys;
    struct sigpipe held;
    hold_sigpipe(&held);
    return drop_sigpipe(&held, COSY_SYS_CALL(writev(fd, parts, count)));
}

static int net_shutdown(struct cosy_sys *sys, int fd, int how)
{
    (void)sys;
    return COSY_SYS_CALL(shutdown(fd, how));
}

static int net_getsockname(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    (void)sys;
    return COSY_SYS_CALL(getsockname(fd, address, size));
}

static int net_getpeername(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    (void)sys;
    return COSY_SYS_CALL(getpeername(fd, address, size));
}

static int net_getsockopt(struct cosy_sys *sys, int fd, int level, int name, void *value, socklen_t *size)
{
    (void)sys;
    return COSY_SYS_CALL(getsockopt(fd, level, name, value, size));
}

static int net_setsockopt(struct cosy_sys *sys, int fd, int level, int name, const void *value, socklen_t size)
{
    (void)sys;
    return COSY_SYS_CALL(setsockopt(fd, level, name, value, size));
}

static int net_sendfile(struct cosy_sys *sys, int out, int file, off_t *offset, size_t size)
{
    (void)sys;
    struct sigpipe held;
    hold_sigpipe(&held);
    return drop_sigpipe(&held, COSY_SYS_CALL(sendfile(out, file, offset, cut(size))));
}

static int net_splice(struct cosy_sys *sys, int in, int out, size_t size, bool ours)
{
    (void)sys;
    enum { HOW = SPLICE_F_NONBLOCK | SPLICE_F_MOVE };
    if (ours)
        return COSY_SYS_CALL(splice(in, NULL, out, NULL, cut(size), HOW));
    struct sigpipe held;
    hold_sigpipe(&held);
    return drop_sigpipe(&held, COSY_SYS_CALL(splice(in, NULL, out, NULL, cut(size), HOW)));
}

static void net_grow_pipe(struct cosy_sys *sys, int fd, int size)
{
    (void)sys;
    (void)COSY_SYS_CALL(fcntl(fd, F_SETPIPE_SZ, size));
}

static int net_set_nonblocking(struct cosy_sys *sys, int fd, bool on)
{
    (void)sys;
    int flags = COSY_SYS_CALL(fcntl(fd, F_GETFL));
    if (flags < 0)
        return flags;
    bool was = flags & O_NONBLOCK;
    if (was == on)
        return was;
    int result = COSY_SYS_CALL(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
    return result < 0 ? result : was;
}

static int net_examine_path(struct cosy_sys *sys, const char *path, struct cosy_net_file *ret_file)
{
    (void)sys;
    struct stat status;
    int result = COSY_SYS_CALL(stat(path, &status));
    if (result < 0)
        return result;
    *ret_file = (struct cosy_net_file){status.st_dev, status.st_ino, S_ISSOCK(status.st_mode)};
    return 0;
}

static int net_remove_path(struct cosy_sys *sys, const char *path)
{
    (void)sys;
    return COSY_SYS_CALL(unlink(path));
}

static int net_set_path_mode(struct cosy_sys *sys, const char *path, mode_t mode)
{
    (void)sys;
    return COSY_SYS_CALL(chmod(path, mode));
}

const struct cosy_net_ops cosy_linux_net_ops = {
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
    .sendmsg = net_sendmsg,
    .recvmmsg = net_recvmmsg,
    .sendmmsg = net_sendmmsg,
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
};
