/* Options of sockets, sendfile and splice: on the simulated network and on the real one. */
#include "net_test.h"

#include <netinet/tcp.h>

static int set_and_get(struct cosy_sys *sys, int fd, int level, int name, int value)
{
    int result = set_number(sys, fd, level, name, value);
    return result < 0 ? result : get_number(sys, fd, level, name);
}

BOTH_WORLDS(options_are_kept)
{
    int fd = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_KEEPALIVE, 7), 1); /* a flag */
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_REUSEADDR, 1), 1);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_REUSEPORT, 1), 1);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_BROADCAST, 1), 1);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_SNDBUF, 20000), 40000);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_SNDBUF, 1), 4608);
    ck_assert_int_eq(set_and_get(sys, fd, SOL_SOCKET, SO_RCVBUF, 1), 2304);
    ck_assert_int_eq(get_number(sys, fd, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_NODELAY, 1), 1);
    ck_assert_int_eq(get_number(sys, fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_KEEPIDLE, 60), 60);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), -EINVAL);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_KEEPINTVL, 5), 5);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_KEEPCNT, 3), 3);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000), 1000);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_IP, IP_TTL, 9), 9);
    ck_assert_int_eq(set_and_get(sys, fd, IPPROTO_IP, IP_TOS, 16), 16);
    struct linger linger = {1, 5}, got = {0, 0};
    socklen_t size = sizeof got;
    ck_assert_int_eq(net->setsockopt(sys, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    ck_assert_int_eq(net->getsockopt(sys, fd, SOL_SOCKET, SO_LINGER, &got, &size), 0);
    ck_assert(got.l_onoff == 1 && got.l_linger == 5);
    close_socket(sys, fd);
}

BOTH_WORLDS(options_that_there_are_not)
{
    int fd = new_socket(sys, AF_INET, SOCK_STREAM), udp = new_socket(sys, AF_INET, SOCK_DGRAM);
    int local = new_socket(sys, AF_UNIX, SOCK_STREAM), one = 1;
    ck_assert_int_eq(set_number(sys, fd, SOL_SOCKET, 9999, 1), -ENOPROTOOPT);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, 9999), -ENOPROTOOPT);
    ck_assert_int_eq(set_number(sys, fd, IPPROTO_TCP, 9999, 1), -ENOPROTOOPT);
    ck_assert_int_eq(set_number(sys, udp, IPPROTO_TCP, TCP_NODELAY, 1), -ENOPROTOOPT);
    ck_assert_int_eq(set_number(sys, local, IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
    ck_assert_int_eq(set_number(sys, fd, SOL_SOCKET, SO_TYPE, 1), -ENOPROTOOPT);
    ck_assert_int_eq(net->setsockopt(sys, fd, SOL_SOCKET, SO_KEEPALIVE, &one, 1), -EINVAL);
    ck_assert_int_eq(get_number(sys, fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close_socket(sys, fd);
    close_socket(sys, udp);
    close_socket(sys, local);
    ck_assert_int_eq(net->socket(sys, AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
    ck_assert_int_eq(net->socket(sys, AF_UNIX, 77, 0), -EINVAL);
    int pair[2];
    ck_assert_int_eq(net->socketpair(sys, AF_INET, SOCK_STREAM, 0, pair), -EOPNOTSUPP);
}

BOTH_WORLDS(the_accepted_inherit)
{
    int port, listener = listener4(sys, 1, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(get_number(sys, listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    ck_assert_int_eq(set_number(sys, listener, IPPROTO_TCP, TCP_NODELAY, 1), 0);
    ck_assert_int_eq(set_number(sys, listener, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    ck_assert_int_eq(set_number(sys, listener, SOL_SOCKET, SO_RCVBUF, 30000), 0);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    int far = accept_one(sys, listener);
    ck_assert_int_eq(get_number(sys, far, IPPROTO_TCP, TCP_NODELAY), 1);
    ck_assert_int_eq(get_number(sys, far, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(get_number(sys, far, SOL_SOCKET, SO_RCVBUF), 60000);
    ck_assert_int_eq(get_number(sys, far, SOL_SOCKET, SO_ACCEPTCONN), 0);
    close_socket(sys, far);
    close_socket(sys, fd);
    close_socket(sys, listener);
}

BOTH_WORLDS(who_is_at_the_other_end)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } peer;
    socklen_t size = sizeof peer;
    ck_assert_int_eq(net->getsockopt(sys, ends.near, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    ck_assert_int_eq(peer.pid, getpid());
    ck_assert_uint_eq(peer.uid, geteuid());
    close_ends(sys, ends);
}

/* ---- sendfile, splice ---- */

static int a_file(size_t size)
{
    char name[] = "/tmp/cosy-sendfile-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    for (size_t i = 0; i < size; i++) {
        char byte = (char)(i * 7 % 251);
        ck_assert_int_eq(write(fd, &byte, 1), 1);
    }
    return fd;
}

static void check_bytes(const char *bytes, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(bytes[i], (char)((from + i) * 7 % 251));
}

BOTH_WORLDS(a_file_is_sent)
{
    static char buffer[20000];
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int file = a_file(10000);
    off_t offset = 100;
    ck_assert_int_eq(net->sendfile(sys, ends.near, file, &offset, 5000), 5000);
    ck_assert_int_eq(offset, 5100);
    ck_assert_int_eq(net->sendfile(sys, ends.near, file, &offset, 100000), 4900);
    ck_assert_int_eq(offset, 10000);
    ck_assert_int_eq(net->sendfile(sys, ends.near, file, &offset, 100000), 0); /* the file's end */
    ck_assert_int_eq(net->recv(sys, ends.far, buffer, sizeof buffer, 0), 9900);
    check_bytes(buffer, 100, 9900);
    int again = -1;
    for (int i = 0; i < 1000 && again != -EAGAIN; i++) {
        offset = 0;
        again = net->sendfile(sys, ends.near, file, &offset, 10000);
        ck_assert_int_eq(again < 0 ? 0 : again, (int)offset);
    }
    ck_assert_int_eq(again, -EAGAIN);
    close_socket(sys, ends.far);
    offset = 0;
    ck_assert_int_eq(net->sendfile(sys, ends.near, file, &offset, 10), -EPIPE);
    close_socket(sys, ends.near);
    close(file);
}

BOTH_WORLDS(bytes_go_from_socket_to_pipe_and_on)
{
    struct ends from = unix_pair(sys, SOCK_STREAM), pipe = pipe_pair(sys), to = unix_pair(sys, SOCK_STREAM);
    ck_assert_int_eq(net->splice(sys, from.far, pipe.near, 100, false), -EAGAIN);
    ck_assert_sent(sys, from.near, "through a pipe");
    ck_assert_int_eq(net->splice(sys, from.far, pipe.near, 100, false), 14);
    ck_assert_int_eq(net->splice(sys, pipe.far, to.near, 7, false), 7);
    ck_assert_received(sys, to.far, "through");
    ck_assert_int_eq(net->splice(sys, from.far, to.near, 7, false), -EINVAL); /* no pipe */
    close_socket(sys, from.near);
    ck_assert_int_eq(net->splice(sys, from.far, pipe.near, 100, false), 0); /* the end */
    close_socket(sys, pipe.near);
    ck_assert_int_eq(net->splice(sys, pipe.far, to.near, 100, false), 7);
    ck_assert_received(sys, to.far, " a pipe");
    ck_assert_int_eq(net->splice(sys, pipe.far, to.near, 100, false), 0);
    close_socket(sys, from.far);
    close_socket(sys, pipe.far);
    pipe = pipe_pair(sys);
    ck_assert_int_eq(put_bytes(sys, pipe.near, "x", 1), 1);
    close_socket(sys, to.far);
    ck_assert_int_eq(net->splice(sys, pipe.far, to.near, 100, false), -EPIPE); /* and no signal */
    close_socket(sys, to.near);
    close_ends(sys, pipe);
}

SIMULATED(what_goes_together_and_what_not)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM), pipe = pipe_pair(sys), packets = unix_pair(sys, SOCK_DGRAM);
    int real[2], file = a_file(10);
    off_t offset = 0;
    ck_assert_int_eq(pipe2(real, O_NONBLOCK), 0);
    ck_assert_int_eq(net->splice(sys, real[0], ends.near, 10, false), -EINVAL); /* two kernels */
    ck_assert_int_eq(net->splice(sys, ends.far, real[1], 10, false), -EINVAL);
    ck_assert_int_eq(net->sendfile(sys, packets.near, file, &offset, 10), -EINVAL);
    ck_assert_int_eq(net->sendfile(sys, ends.near, real[0], &offset, 10), -EINVAL);
    ck_assert_int_eq(net->sendfile(sys, real[1], ends.near, &offset, 10), -EINVAL);
    ck_assert_int_eq(net->sendfile(sys, ends.near, 9999, &offset, 10), -EBADF);
    ck_assert_int_eq(net->sendfile(sys, pipe.near, file, &offset, 10), 10);
    ck_assert_int_eq(net->set_nonblocking(sys, ends.near, false), 1);
    ck_assert_int_eq(net->set_nonblocking(sys, ends.near, true), 0);
    offset = 0;
    ck_assert_int_eq(net->sendfile(sys, real[1], file, &offset, 10), 10); /* all real: the real call */
    char byte;
    struct iovec part = {&byte, 1};
    ck_assert_int_eq(net->readv(sys, real[0], &part, 1), 1);
    ck_assert_int_eq(net->set_nonblocking(sys, real[0], true), 1);
    close(real[0]);
    ck_assert_int_eq(net->writev(sys, real[1], &part, 1), -EPIPE);
    close(real[1]);
    close(file);
    close_ends(sys, ends);
    close_ends(sys, pipe);
    close_ends(sys, packets);
}

/* Every call has a real side. */
SIMULATED(real_descriptors_work_on)
{
    const struct cosy_net_ops *real = &cosy_linux_net_ops;
    struct sockaddr_in address = ip4("127.0.0.1", 0);
    socklen_t size = sizeof address;
    int listener = real->socket(sys, AF_INET, SOCK_STREAM, 0), fd = real->socket(sys, AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_lt(listener, 1 << 28);
    ck_assert_int_eq(set_number(sys, listener, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(get_number(sys, listener, SOL_SOCKET, SO_REUSEADDR), 1);
    ck_assert_int_eq(net->bind(sys, listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(net->listen(sys, listener, 1), 0);
    ck_assert_int_eq(net->getsockname(sys, listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(net->connect(sys, fd, (struct sockaddr *)&address, size), -EINPROGRESS);
    await_ready(sys, listener, COSY_SYS_READ);
    int far = net->accept(sys, listener, NULL, NULL);
    ck_assert_int_ge(far, 0);
    ck_assert_int_eq(net->getpeername(sys, fd, (struct sockaddr *)&address, &size), 0);
    ck_assert_sent(sys, fd, "really");
    ck_assert_received(sys, far, "really");
    struct iovec part = {(char[8]){0}, 8};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ck_assert_int_eq(net->sendmsg(sys, far, &message, 0), 8);
    await_ready(sys, fd, COSY_SYS_READ);
    ck_assert_int_eq(net->recvmsg(sys, fd, &message, 0), 8);
    ck_assert_int_eq(net->shutdown(sys, far, SHUT_WR), 0);
    ck_assert_received(sys, fd, "");
    close_socket(sys, listener);
    close_socket(sys, fd);
    close_socket(sys, far);
}

NET_TEST_MAIN("simulated options", {options_are_kept, 2}, {options_that_there_are_not, 2}, {the_accepted_inherit, 2},
              {who_is_at_the_other_end, 2}, {a_file_is_sent, 2}, {bytes_go_from_socket_to_pipe_and_on, 2},
              {what_goes_together_and_what_not, 1}, {real_descriptors_work_on, 1})
