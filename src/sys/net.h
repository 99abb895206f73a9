/* net.h - sockets and pipes as a kernel gives them, in one table per kernel: the real calls (linux/net.c, for io_uring
 * and epoll alike), and the simulated network (sim/net.c), whose descriptors are numbers that no other kernel knows.
 *
 * Every call is non-blocking: what it makes is O_NONBLOCK and close-on-exec, and -EAGAIN means "wait for an edge"
 * (sys.h). Each returns >= 0 or a negative code, -EINTR too; sizes beyond COSY_NET_MOST are cut, as the kernel may do
 * with any size. SIGPIPE is never raised. Waiting is not here: ports (loop/port.h) do that, by COSY_SYS_EDGE watches.
 * Descriptors are closed by sys.h's close_fd. All calls belong to the loop's thread.
 *
 * A simulated kernel takes real descriptors too, and passes their calls on to the real ones.
 */
#ifndef COSY_SYS_NET_H
#define COSY_SYS_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "sys.h"

enum { COSY_NET_MOST = 1 << 30 };

/* The file behind a path, to tell one's own socket from another's with the same name. */
struct cosy_net_file {
    uint64_t device, inode;
    bool socket;
};

struct cosy_net_ops {
    int (*socket)(struct cosy_sys *sys, int family, int type, int protocol);
    int (*socketpair)(struct cosy_sys *sys, int family, int type, int protocol, int fds[2]);
    int (*pipe)(struct cosy_sys *sys, int fds[2]); /* fds[0] reads */
    int (*bind)(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size);
    int (*listen)(struct cosy_sys *sys, int fd, int backlog);
    /* *size: room in, length out; address may be NULL */
    int (*accept)(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size);
    int (*connect)(struct cosy_sys *sys, int fd, const struct sockaddr *address, socklen_t size); /* -EINPROGRESS */
    int (*recv)(struct cosy_sys *sys, int fd, void *buffer, size_t size, int flags);
    int (*send)(struct cosy_sys *sys, int fd, const void *data, size_t size, int flags);
    int (*recvmsg)(struct cosy_sys *sys, int fd, struct msghdr *message, int flags); /* MSG_CMSG_CLOEXEC is added */
    int (*sendmsg)(struct cosy_sys *sys, int fd, const struct msghdr *message, int flags);
    /* How many of `count` came, or went; an error only of the first. Fewer came: the next would block, or has an error
     * that is told by the next call. Fewer went: no more is known, and an error that the socket had to tell may be
     * lost. */
    int (*recvmmsg)(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags);
    int (*sendmmsg)(struct cosy_sys *sys, int fd, struct mmsghdr *messages, unsigned count, int flags);
    int (*readv)(struct cosy_sys *sys, int fd, const struct iovec *parts, int count); /* pipes and ttys */
    int (*writev)(struct cosy_sys *sys, int fd, const struct iovec *parts, int count);
    int (*shutdown)(struct cosy_sys *sys, int fd, int how);
    int (*getsockname)(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size);
    int (*getpeername)(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size);
    int (*getsockopt)(struct cosy_sys *sys, int fd, int level, int name, void *value, socklen_t *size);
    int (*setsockopt)(struct cosy_sys *sys, int fd, int level, int name, const void *value, socklen_t size);
    /* From a regular file at *offset, which moves on. 0: the file's end. -EINVAL, -ENOSYS, -EOPNOTSUPP: not for these
     * two; copy instead. */
    int (*sendfile)(struct cosy_sys *sys, int out, int file, off_t *offset, size_t size);
    /* One of the two is a pipe. -EINVAL: not for these two. `ours`: `out` is a pipe whose reading end the caller has,
     * so that it cannot break: a real kernel then needs no care for SIGPIPE. */
    int (*splice)(struct cosy_sys *sys, int in, int out, size_t size, bool ours);
    /* A pipe is to hold `size` bytes; where it is refused, it stays as it is. Either end. */
    void (*grow_pipe)(struct cosy_sys *sys, int fd, int size);
    /* O_NONBLOCK of a descriptor that comes from outside; returns what it was, 0 or 1. */
    int (*set_nonblocking)(struct cosy_sys *sys, int fd, bool on);
    /* Names of Unix sockets: -ENOENT. */
    int (*examine_path)(struct cosy_sys *sys, const char *path, struct cosy_net_file *ret_file);
    int (*remove_path)(struct cosy_sys *sys, const char *path);
    int (*set_path_mode)(struct cosy_sys *sys, const char *path, mode_t mode);
    /* The simulated network's names. NULL on real kernels: ask getaddrinfo in a thread. Up to `room` addresses of the
     * family (AF_UNSPEC: any), port 0, in the order in which a resolver gives them; returns how many, -ENOENT.
     * *ret_delay: how long the resolver takes. */
    int (*look_up)(struct cosy_sys *sys, const char *host, int family, struct sockaddr_storage *addresses, int room,
                   cosy_ns *ret_delay);
};

extern const struct cosy_net_ops cosy_linux_net_ops;

#endif
