/* Unix sockets and their names, descriptors in messages, and pipes: on the simulated network and on the real one. */
#include "net_test.h"

#include <sys/stat.h>

static struct sockaddr_un named(const char *path, socklen_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    ck_assert_uint_lt(length, sizeof address.sun_path);
    memcpy(address.sun_path, path, length);
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
        --*ret_size;
    }
    return address;
}

static int bind_to(struct cosy_sys *sys, int fd, const char *path)
{
    socklen_t size;
    struct sockaddr_un address = named(path, &size);
    return sys->net->bind(sys, fd, (struct sockaddr *)&address, size);
}

static int connect_to(struct cosy_sys *sys, int fd, const char *path)
{
    socklen_t size;
    struct sockaddr_un address = named(path, &size);
    return sys->net->connect(sys, fd, (struct sockaddr *)&address, size);
}

static const char *a_path(void)
{
    static char paths[4][64];
    static int number;
    char *path = paths[number % 4];
    snprintf(path, sizeof paths[0], "/tmp/cosy-test-%d-%d", (int)getpid(), number++);
    return path;
}

static const char *an_abstract_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "@cosy-test-%d", (int)getpid());
    return name;
}

static int listen_at(struct cosy_sys *sys, const char *path, int type, int backlog)
{
    int fd = new_socket(sys, AF_UNIX, type);
    ck_assert_int_eq(bind_to(sys, fd, path), 0);
    ck_assert_int_eq(sys->net->listen(sys, fd, backlog), 0);
    return fd;
}

static void connected_at(struct cosy_sys *sys, const char *path)
{
    struct sockaddr_un name;
    socklen_t size = sizeof name, expected;
    struct sockaddr_un address = named(path, &expected);
    int listener = listen_at(sys, path, SOCK_STREAM, 1), near = new_socket(sys, AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(sys->net->accept(sys, listener, NULL, NULL), -EAGAIN);
    ck_assert_int_eq(connect_to(sys, near, path), 0); /* at once */
    ck_assert_sent(sys, near, "before it is accepted");
    int far = sys->net->accept(sys, listener, (struct sockaddr *)&name, &size);
    ck_assert_int_ge(far, 0);
    ck_assert_uint_eq(size, sizeof(sa_family_t)); /* no name */
    ck_assert_received(sys, far, "before it is accepted");
    size = sizeof name;
    ck_assert_int_eq(sys->net->getpeername(sys, near, (struct sockaddr *)&name, &size), 0);
    ck_assert_uint_eq(size, expected);
    ck_assert_int_eq(memcmp(&name, &address, size), 0);
    size = sizeof name;
    ck_assert_int_eq(sys->net->getsockname(sys, far, (struct sockaddr *)&name, &size), 0);
    ck_assert_uint_eq(size, expected);
    ck_assert_int_eq(connect_to(sys, near, path), -EISCONN);
    close_socket(sys, near);
    close_socket(sys, far);
    close_socket(sys, listener);
}

BOTH_WORLDS(connected_by_path)
{
    const char *path = a_path();
    connected_at(sys, path);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
}

BOTH_WORLDS(connected_by_abstract_name)
{
    connected_at(sys, an_abstract_name());
    connected_at(sys, an_abstract_name()); /* free again */
}

BOTH_WORLDS(paths_outlive_their_sockets)
{
    const char *path = a_path();
    struct cosy_net_file file, other;
    int fd = new_socket(sys, AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(connect_to(sys, fd, path), -ENOENT);
    ck_assert_int_eq(net->examine_path(sys, path, &file), -ENOENT);
    ck_assert_int_eq(net->remove_path(sys, path), -ENOENT);
    ck_assert_int_eq(net->set_path_mode(sys, path, 0600), -ENOENT);
    int listener = listen_at(sys, path, SOCK_STREAM, 1);
    ck_assert_int_eq(bind_to(sys, fd, path), -EADDRINUSE);
    ck_assert_int_eq(net->set_path_mode(sys, path, 0600), 0);
    ck_assert_int_eq(net->examine_path(sys, path, &file), 0);
    ck_assert(file.socket);
    close_socket(sys, listener);
    ck_assert_int_eq(connect_to(sys, fd, path), -ECONNREFUSED);
    ck_assert_int_eq(bind_to(sys, fd, path), -EADDRINUSE);
    ck_assert_int_eq(net->examine_path(sys, path, &other), 0);
    ck_assert(other.inode == file.inode && other.device == file.device);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
    int second = new_socket(sys, AF_UNIX, SOCK_STREAM), keeps_the_inode = new_socket(sys, AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(bind_to(sys, keeps_the_inode, a_path()), 0);
    ck_assert_int_eq(bind_to(sys, second, path), 0);
    ck_assert_int_eq(connect_to(sys, fd, path), -ECONNREFUSED); /* does not listen */
    ck_assert_int_eq(bind_to(sys, second, path), -EADDRINUSE);
    ck_assert_int_eq(bind_to(sys, second, a_path()), -EINVAL);
    close_socket(sys, second);
    close_socket(sys, keeps_the_inode);
    close_socket(sys, fd);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
}

BOTH_WORLDS(a_removed_path_keeps_its_connections)
{
    const char *path = a_path();
    int listener = listen_at(sys, path, SOCK_STREAM, 1), near = new_socket(sys, AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(connect_to(sys, near, path), 0);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
    int second = listen_at(sys, path, SOCK_STREAM, 1), far = accept_one(sys, listener);
    ck_assert_sent(sys, near, "still here");
    ck_assert_received(sys, far, "still here");
    close_socket(sys, listener);
    int other = new_socket(sys, AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(connect_to(sys, other, path), 0);
    close_socket(sys, other);
    close_socket(sys, second);
    close_socket(sys, near);
    close_socket(sys, far);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
}

BOTH_WORLDS(a_full_line_is_told_at_once)
{
    const char *name = an_abstract_name();
    int listener = listen_at(sys, name, SOCK_STREAM, 1), fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = new_socket(sys, AF_UNIX, SOCK_STREAM);
        ck_assert_int_eq(connect_to(sys, fds[i], name), i < 2 ? 0 : -EAGAIN);
    }
    int far = accept_one(sys, listener);
    ck_assert_int_eq(connect_to(sys, fds[2], name), 0);
    close_socket(sys, listener); /* two were never accepted */
    char byte;
    ck_assert_int_eq(net->recv(sys, fds[1], &byte, 1, 0), -ECONNRESET);
    ck_assert_int_eq(net->recv(sys, fds[1], &byte, 1, 0), 0);
    ck_assert_int_eq(net->recv(sys, fds[0], &byte, 1, 0), -EAGAIN);
    for (int i = 0; i < 3; i++)
        close_socket(sys, fds[i]);
    close_socket(sys, far);
}

BOTH_WORLDS(of_another_type)
{
    const char *path = a_path(), *name = an_abstract_name();
    int listener = listen_at(sys, path, SOCK_STREAM, 1), fd = new_socket(sys, AF_UNIX, SOCK_DGRAM);
    int packets = new_socket(sys, AF_UNIX, SOCK_SEQPACKET);
    ck_assert_int_eq(connect_to(sys, fd, path), -EPROTOTYPE);
    ck_assert_int_eq(connect_to(sys, packets, path), -EPROTOTYPE);
    close_socket(sys, listener);
    ck_assert_int_eq(net->remove_path(sys, path), 0);
    listener = listen_at(sys, name, SOCK_STREAM, 1); /* abstract names are each type's own */
    ck_assert_int_eq(connect_to(sys, fd, name), -ECONNREFUSED);
    ck_assert_int_eq(bind_to(sys, packets, name), 0);
    ck_assert_int_eq(connect_to(sys, fd, "@nobody-has-this-name"), -ECONNREFUSED);
    close_socket(sys, fd);
    close_socket(sys, packets);
    close_socket(sys, listener);
}

BOTH_WORLDS(a_name_of_the_systems_choice)
{
    int fd = new_socket(sys, AF_UNIX, SOCK_STREAM);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof name;
    ck_assert_int_eq(net->bind(sys, fd, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(net->getsockname(sys, fd, (struct sockaddr *)&name, &size), 0);
    ck_assert_uint_eq(size, offsetof(struct sockaddr_un, sun_path) + 6);
    ck_assert_int_eq(name.sun_path[0], '\0');
    close_socket(sys, fd);
}

BOTH_WORLDS(packets_keep_their_bounds)
{
    const char *name = an_abstract_name();
    int listener = listen_at(sys, name, SOCK_SEQPACKET, 1), near = new_socket(sys, AF_UNIX, SOCK_SEQPACKET);
    ck_assert_int_eq(connect_to(sys, near, name), 0);
    int far = accept_one(sys, listener);
    char text[16];
    struct iovec part = {text, 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ck_assert_sent(sys, near, "one");
    ck_assert_sent(sys, near, "twenty");
    ck_assert_sent(sys, near, "three");
    ck_assert_received(sys, far, "one");
    ck_assert_int_eq(net->recvmsg(sys, far, &message, 0), 3);
    ck_assert(message.msg_flags & MSG_TRUNC);
    ck_assert_received(sys, far, "three");
    ck_assert_int_eq(net->recv(sys, far, text, sizeof text, 0), -EAGAIN);
    close_socket(sys, near);
    ck_assert_received(sys, far, "");
    close_socket(sys, far);
    close_socket(sys, listener);
}

/* ---- descriptors in messages ---- */

/* Sends with `text` the descriptors. */
static int send_with(struct cosy_sys *sys, int fd, const char *text, const int *fds, size_t count)
{
    char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    return sys->net->sendmsg(sys, fd, &message, 0);
}

/* Receives into room for so many; how many came. */
static size_t receive_with(struct cosy_sys *sys, int fd, char *text, int *fds, size_t room, int flags, int *ret_flags)
{
    char control[CMSG_SPACE(4 * sizeof(int))];
    struct iovec part = {text, 15};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room ? control : NULL,
                             .msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0};
    int count = sys->net->recvmsg(sys, fd, &message, flags);
    ck_assert_int_ge(count, 0);
    text[count] = '\0';
    *ret_flags = message.msg_flags;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (!head)
        return 0;
    ck_assert_int_eq(head->cmsg_level, SOL_SOCKET);
    ck_assert_int_eq(head->cmsg_type, SCM_RIGHTS);
    size_t came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(head), came * sizeof(int));
    return came;
}

BOTH_WORLDS(descriptors_go_with_bytes)
{
    int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        struct ends ends = unix_pair(sys, types[i]), sent = pipe_pair(sys);
        int fds[4], flags, both[] = {sent.near, sent.far};
        char text[16];
        ck_assert_int_eq(send_with(sys, ends.near, "two", both, 2), 3);
        close_ends(sys, sent); /* what is under way keeps them open */
        ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 4, 0, &flags), 2);
        ck_assert_str_eq(text, "two");
        ck_assert_int_eq(flags & MSG_CTRUNC, 0);
        ck_assert_int_eq(put_bytes(sys, fds[0], "through", 7), 7);
        ck_assert_int_eq(get_bytes(sys, fds[1], text, 16), 7);
        close_socket(sys, fds[0]);
        ck_assert_int_eq(get_bytes(sys, fds[1], text, 16), 0);
        close_socket(sys, fds[1]);
        close_ends(sys, ends);
    }
}

BOTH_WORLDS(real_descriptors_go_too)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int real[2], fds[4], flags;
    char text[16];
    ck_assert_int_eq(pipe(real), 0);
    ck_assert_int_eq(send_with(sys, ends.near, "r", &real[1], 1), 1);
    close(real[1]);
    ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 1, 0, &flags), 1);
    ck_assert_int_eq(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(write(fds[0], "x", 1), 1);
    close(fds[0]);
    ck_assert_int_eq(read(real[0], text, 2), 1);
    ck_assert_int_eq(read(real[0], text, 2), 0); /* no copy is left */
    close(real[0]);
    close_ends(sys, ends);
}

BOTH_WORLDS(descriptors_that_nobody_takes_are_closed)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM), first = pipe_pair(sys), second = pipe_pair(sys);
    int fds[4], flags;
    char text[16];
    int two[] = {first.near, second.near};
    ck_assert_int_eq(send_with(sys, ends.near, "abc", two, 2), 3);
    close_socket(sys, first.near);
    close_socket(sys, second.near);
    ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 1, 0, &flags), 1);
    ck_assert(flags & MSG_CTRUNC);
    ck_assert_int_eq(get_bytes(sys, second.far, text, 1), 0); /* had no room */
    ck_assert_int_eq(get_bytes(sys, first.far, text, 1), -EAGAIN);
    ck_assert_int_eq(send_with(sys, ends.near, "abc", fds, 1), 3);
    close_socket(sys, fds[0]);
    ck_assert_received(sys, ends.far, "abc"); /* recv() takes bytes alone */
    ck_assert_int_eq(get_bytes(sys, first.far, text, 1), 0);
    struct ends third = pipe_pair(sys);
    ck_assert_int_eq(send_with(sys, ends.near, "abc", &third.near, 1), 3);
    close_socket(sys, third.near);
    close_ends(sys, ends); /* with a message that was not read */
    ck_assert_int_eq(get_bytes(sys, third.far, text, 1), 0);
    close_socket(sys, first.far);
    close_socket(sys, second.far);
    close_socket(sys, third.far);
}

BOTH_WORLDS(descriptors_bound_reads)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM), sent = pipe_pair(sys);
    int fds[4], flags;
    char text[16];
    ck_assert_sent(sys, ends.near, "be");
    ck_assert_int_eq(send_with(sys, ends.near, "with", &sent.near, 1), 4);
    ck_assert_int_eq(send_with(sys, ends.near, "more", &sent.far, 1), 4);
    ck_assert_sent(sys, ends.near, " after");
    ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 4, MSG_PEEK, &flags), 1);
    ck_assert_str_eq(text, "bewith");
    close_socket(sys, fds[0]);
    ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 4, 0, &flags), 1);
    ck_assert_str_eq(text, "bewith");
    close_socket(sys, fds[0]);
    char byte;
    ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), 1); /* the descriptors of "more" go with its first byte */
    ck_assert_uint_eq(receive_with(sys, ends.far, text, fds, 4, 0, &flags), 0);
    ck_assert_str_eq(text, "ore after");
    close_ends(sys, sent);
    close_ends(sys, ends);
}

BOTH_WORLDS(no_such_descriptor)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int bad = 12345, virtual = (1 << 28) + 999;
    char byte;
    ck_assert_int_eq(send_with(sys, ends.near, "x", &bad, 1), -EBADF);
    ck_assert_int_eq(send_with(sys, ends.near, "x", &virtual, 1), -EBADF);
    ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), -EAGAIN);
    close_ends(sys, ends);
    ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), -EBADF);
    ck_assert_int_eq(net->send(sys, ends.far, "x", 1, 0), -EBADF);
}

SIMULATED(sockets_that_carry_each_other_go_with_the_kernel)
{
    struct ends a = unix_pair(sys, SOCK_STREAM), b = unix_pair(sys, SOCK_DGRAM);
    ck_assert_int_eq(send_with(sys, a.near, "x", &b.far, 1), 1);
    ck_assert_int_eq(send_with(sys, b.near, "x", &a.far, 1), 1);
    close_ends(sys, a);
    close_ends(sys, b); /* sanitizers and valgrind see what is left */
}

/* ---- pipes ---- */

BOTH_WORLDS(a_pipe)
{
    struct ends ends = pipe_pair(sys);
    char text[16] = "";
    ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_WRITE);
    ck_assert_uint_eq(ready_now(sys, ends.far), 0);
    ck_assert_int_eq(get_bytes(sys, ends.far, text, 16), -EAGAIN);
    ck_assert_int_eq(put_bytes(sys, ends.near, "hello", 5), 5);
    ck_assert_uint_eq(ready_now(sys, ends.far), COSY_SYS_READ);
    ck_assert_int_eq(get_bytes(sys, ends.far, text, 2), 2);
    ck_assert_int_eq(get_bytes(sys, ends.near, text, 2), -EBADF);
    ck_assert_int_eq(put_bytes(sys, ends.far, "x", 1), -EBADF);
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -ENOTSOCK);
    ck_assert_int_eq(net->recv(sys, ends.far, text, 1, 0), -ENOTSOCK);
    close_socket(sys, ends.near);
    ck_assert_uint_eq(ready_now(sys, ends.far), COSY_SYS_READ | COSY_SYS_HANGUP);
    ck_assert_int_eq(get_bytes(sys, ends.far, text, 16), 3);
    ck_assert_int_eq(get_bytes(sys, ends.far, text, 16), 0);
    ck_assert_uint_eq(ready_now(sys, ends.far), COSY_SYS_HANGUP);
    close_socket(sys, ends.far);
}

BOTH_WORLDS(a_pipe_without_a_reader)
{
    struct ends ends = pipe_pair(sys);
    ck_assert_int_eq(put_bytes(sys, ends.near, "x", 1), 1);
    close_socket(sys, ends.far);
    ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_WRITE | COSY_SYS_ERROR);
    ck_assert_int_eq(put_bytes(sys, ends.near, "x", 1), -EPIPE); /* and no signal */
    close_socket(sys, ends.near);
}

BOTH_WORLDS(a_pipe_holds_64_kib)
{
    struct ends ends = pipe_pair(sys);
    static char block[100000];
    ck_assert_int_eq(put_bytes(sys, ends.near, block, sizeof block), 65536);
    ck_assert_int_eq(put_bytes(sys, ends.near, block, 1), -EAGAIN);
    ck_assert_uint_eq(ready_now(sys, ends.near), 0);
    ck_assert_int_eq(get_bytes(sys, ends.far, block, PIPE_BUF - 1), PIPE_BUF - 1);
    ck_assert_uint_eq(ready_now(sys, ends.near), 0); /* no whole page is free */
    ck_assert_int_eq(put_bytes(sys, ends.near, block, PIPE_BUF), -EAGAIN);
    ck_assert_int_eq(get_bytes(sys, ends.far, block, 1), 1);
    ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_WRITE);
    ck_assert_int_eq(put_bytes(sys, ends.near, block, PIPE_BUF + 1), PIPE_BUF);
    ck_assert_int_eq(get_bytes(sys, ends.far, block, sizeof block), 65536);
    close_ends(sys, ends);
}

BOTH_WORLDS(small_writes_to_a_pipe_are_whole)
{
    struct ends ends = pipe_pair(sys);
    static char block[65536];
    ck_assert_int_eq(put_bytes(sys, ends.near, block, 65536 - 1000), 65536 - 1000);
    ck_assert_int_eq(put_bytes(sys, ends.near, block, 2000), -EAGAIN);
    ck_assert_int_eq(put_bytes(sys, ends.near, block, 1000), 1000);
    close_ends(sys, ends);
}

NET_TEST_MAIN("simulated Unix sockets and pipes", {connected_by_path, 2}, {connected_by_abstract_name, 2},
              {paths_outlive_their_sockets, 2}, {a_removed_path_keeps_its_connections, 2},
              {a_full_line_is_told_at_once, 2}, {of_another_type, 2}, {a_name_of_the_systems_choice, 2},
              {packets_keep_their_bounds, 2}, {descriptors_go_with_bytes, 2}, {real_descriptors_go_too, 2},
              {descriptors_that_nobody_takes_are_closed, 2}, {descriptors_bound_reads, 2}, {no_such_descriptor, 2},
              {sockets_that_carry_each_other_go_with_the_kernel, 1}, {a_pipe, 2}, {a_pipe_without_a_reader, 2},
              {a_pipe_holds_64_kib, 2}, {small_writes_to_a_pipe_are_whole, 2})
