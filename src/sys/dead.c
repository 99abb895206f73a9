/* dead.c - the kernel of a loop that was copied by fork: nothing that the child does may reach what it shares with its
 * parent, the epoll set, the ring, and what is buffered for connections. Every call is refused, but closing:
 * descriptors are the child's own.
 */
#include <unistd.h>

#include "file_op.h"
#include "net.h"

atomic_uint cosy_forks;

/* A body that refuses, and something that a semicolon may follow: the formatter takes each line for a declaration. */
#define REFUSED                                                                                                        \
    {                                                                                                                  \
        return -COSY_EFORKED;                                                                                          \
    }                                                                                                                  \
    _Static_assert(1, "")
#define NOT __attribute__((unused))

static int no_socket(NOT struct cosy_sys *s, NOT int f, NOT int t, NOT int p) REFUSED;
static int no_pair(NOT struct cosy_sys *s, NOT int f, NOT int t, NOT int p, NOT int fds[2]) REFUSED;
static int no_pipe(NOT struct cosy_sys *s, NOT int fds[2]) REFUSED;
static int no_address(NOT struct cosy_sys *s, NOT int fd, NOT const struct sockaddr *a, NOT socklen_t n) REFUSED;
static int no_numbers(NOT struct cosy_sys *s, NOT int fd, NOT int n) REFUSED;
static int no_name(NOT struct cosy_sys *s, NOT int fd, NOT struct sockaddr *a, NOT socklen_t *n) REFUSED;
static int no_recv(NOT struct cosy_sys *s, NOT int fd, NOT void *b, NOT size_t n, NOT int f) REFUSED;
static int no_send(NOT struct cosy_sys *s, NOT int fd, NOT const void *b, NOT size_t n, NOT int f) REFUSED;
static int no_recvmsg(NOT struct cosy_sys *s, NOT int fd, NOT struct msghdr *m, NOT int f) REFUSED;
static int no_sendmsg(NOT struct cosy_sys *s, NOT int fd, NOT const struct msghdr *m, NOT int f) REFUSED;
static int no_vector(NOT struct cosy_sys *s, NOT int fd, NOT const struct iovec *p, NOT int n) REFUSED;
static int no_getsockopt(NOT struct cosy_sys *s, NOT int fd, NOT int l, NOT int o, NOT void *v,
                         NOT socklen_t *n) REFUSED;
static int no_setsockopt(NOT struct cosy_sys *s, NOT int fd, NOT int l, NOT int o, NOT const void *v,
                         NOT socklen_t n) REFUSED;
static int no_sendfile(NOT struct cosy_sys *s, NOT int out, NOT int file, NOT off_t *at, NOT size_t n) REFUSED;
static int no_splice(NOT struct cosy_sys *s, NOT int in, NOT int out, NOT size_t n, NOT bool ours) REFUSED;
static int no_batch(NOT struct cosy_sys *s, NOT int fd, NOT struct mmsghdr *m, NOT unsigned n, NOT int flags) REFUSED;
static void no_growing(NOT struct cosy_sys *s, NOT int fd, NOT int n) {}
static int no_nonblocking(NOT struct cosy_sys *s, NOT int fd, NOT bool on) REFUSED;
static int no_examine(NOT struct cosy_sys *s, NOT const char *path, NOT struct cosy_net_file *file) REFUSED;
static int no_remove(NOT struct cosy_sys *s, NOT const char *path) REFUSED;
static int no_mode(NOT struct cosy_sys *s, NOT const char *path, NOT mode_t mode) REFUSED;

static const struct cosy_net_ops dead_net = {
    .socket = no_socket,
    .socketpair = no_pair,
    .pipe = no_pipe,
    .bind = no_address,
    .listen = no_numbers,
    .accept = no_name,
    .connect = no_address,
    .recv = no_recv,
    .send = no_send,
    .recvmsg = no_recvmsg,
    .sendmsg = no_sendmsg,
    .readv = no_vector,
    .writev = no_vector,
    .shutdown = no_numbers,
    .getsockname = no_name,
    .getpeername = no_name,
    .getsockopt = no_getsockopt,
    .setsockopt = no_setsockopt,
    .sendfile = no_sendfile,
    .splice = no_splice,
    .recvmmsg = no_batch,
    .sendmmsg = no_batch,
    .grow_pipe = no_growing,
    .set_nonblocking = no_nonblocking,
    .examine_path = no_examine,
    .remove_path = no_remove,
    .set_path_mode = no_mode,
};

static void keep_all(NOT struct cosy_sys *sys) {}
static cosy_ns dead_now(NOT struct cosy_sys *sys)
{
    return cosy_sys_real_clock();
}
static int no_watch(NOT struct cosy_sys *s, NOT int fd, NOT unsigned e, NOT void *d, NOT uint64_t *id) REFUSED;
static int no_rewatch(NOT struct cosy_sys *s, NOT uint64_t id, NOT unsigned e) REFUSED;
static int no_unwatch(NOT struct cosy_sys *s, NOT uint64_t id) REFUSED;
static void only_close(NOT struct cosy_sys *sys, int fd, NOT uint64_t id)
{
    close(fd);
}
static int no_wait(NOT struct cosy_sys *s, NOT cosy_ns d, NOT struct cosy_sys_event *e, NOT int most) REFUSED;
static bool nothing(NOT struct cosy_sys *sys)
{
    return false;
}
static int no_wake(NOT struct cosy_sys *sys) REFUSED;

static int no_submit(NOT struct cosy_sys *s, NOT struct cosy_file_op *op) REFUSED;
static void no_cancel(NOT struct cosy_sys *s, NOT struct cosy_file_op *op) {}

/* The parent's ring writes to the parent's copy: this one's never ends, and nothing writes to it. */
static void end_as_cancelled(NOT struct cosy_sys *s, struct cosy_file_op *op)
{
    op->result = -ECANCELED;
    op->step = COSY_FILE_OP_ENDED;
}

static const struct cosy_sys_ops dead_ops = {
    .name = "forked",
    .close = keep_all,
    .now = dead_now,
    .watch = no_watch,
    .rewatch = no_rewatch,
    .unwatch = no_unwatch,
    .close_fd = only_close,
    .wait = no_wait,
    .peek = nothing,
    .expects = nothing,
    .wake = no_wake,
    .poll_fd = no_wake,
    .submit = no_submit,
    .cancel_op = no_cancel,
    .finish_op = end_as_cancelled,
};

void cosy_sys_bury(struct cosy_sys *sys, struct cosy_sys *ret_before)
{
    *ret_before = *sys;
    sys->ops = &dead_ops;
    sys->net = &dead_net;
}
