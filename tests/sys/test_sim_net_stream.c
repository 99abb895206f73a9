/* Streams: TCP and Unix sockets, on the simulated network and on the real one. */
#include "net_test.h"

#include <netinet/tcp.h>

/* A test for each kind of stream: TCP and Unix. */
static struct ends stream_pair(struct cosy_sys *sys, bool tcp)
{
    return tcp ? tcp_pair(sys) : unix_pair(sys, SOCK_STREAM);
}

#define FOR_BOTH_KINDS(tcp) for (int tcp = 0; tcp <= 1; tcp++)

BOTH_WORLDS(bytes_go_both_ways)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        char byte;
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -EAGAIN);
        ck_assert_sent(sys, ends.near, "hello");
        ck_assert_received(sys, ends.far, "hello");
        ck_assert_sent(sys, ends.far, "one");
        ck_assert_sent(sys, ends.far, "two");
        await_ready(sys, ends.near, COSY_SYS_READ);
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, MSG_PEEK), 1);
        ck_assert_received(sys, ends.near, "onetwo");
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -EAGAIN);
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, MSG_PEEK), -EAGAIN);
        close_ends(sys, ends);
    }
}

BOTH_WORLDS(vectors)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        char a[3], b[10] = "";
        struct iovec out[] = {{(char *)(uintptr_t)("he"), 2}, {NULL, 0}, {(char *)(uintptr_t)("llo"), 3}},
                     in[] = {{a, 3}, {b, 9}};
        struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
        ck_assert_int_eq(net->sendmsg(sys, ends.near, &message, 0), 5);
        ck_assert_int_eq(net->writev(sys, ends.near, out, 3), 5);
        await_ready(sys, ends.far, COSY_SYS_READ);
        message = (struct msghdr){.msg_iov = in, .msg_iovlen = 2, .msg_namelen = 0, .msg_flags = -1};
        ck_assert_int_eq(net->recvmsg(sys, ends.far, &message, 0), 10);
        ck_assert_int_eq(message.msg_flags & ~MSG_CMSG_CLOEXEC, 0);
        ck_assert(memcmp(a, "hel", 3) == 0);
        ck_assert_str_eq(b, "lohello");
        close_ends(sys, ends);
    }
}

BOTH_WORLDS(the_end_of_file_comes_behind_the_bytes)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        char byte;
        ck_assert_sent(sys, ends.near, "last");
        close_socket(sys, ends.near);
        ck_assert_received(sys, ends.far, "last");
        ck_assert_received(sys, ends.far, "");
        ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), 0); /* again and again */
        ck_assert_uint_eq(ready_now(sys, ends.far) & COSY_SYS_READ, COSY_SYS_READ);
        close_socket(sys, ends.far);
    }
}

BOTH_WORLDS(half_closed)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        ck_assert_sent(sys, ends.near, "question");
        ck_assert_int_eq(net->shutdown(sys, ends.near, SHUT_WR), 0);
        ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -EPIPE);
        ck_assert_received(sys, ends.far, "question");
        ck_assert_received(sys, ends.far, "");
        ck_assert_uint_eq(ready_now(sys, ends.far), COSY_SYS_READ | COSY_SYS_WRITE);
        ck_assert_sent(sys, ends.far, "answer");
        ck_assert_received(sys, ends.near, "answer");
        ck_assert_int_eq(net->shutdown(sys, ends.far, SHUT_WR), 0);
        ck_assert_received(sys, ends.near, "");
        ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_HANGUP);
        close_ends(sys, ends);
    }
}

BOTH_WORLDS(a_reader_that_is_shut)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        char byte;
        ck_assert_int_eq(net->shutdown(sys, ends.far, SHUT_RD), 0);
        ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), 0);
        ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), tcp ? 1 : -EPIPE);
        ck_assert_int_eq(net->shutdown(sys, ends.far, 77), -EINVAL);
        close_ends(sys, ends);
    }
}

BOTH_WORLDS(unread_bytes_turn_a_close_into_a_reset)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        char byte;
        ck_assert_sent(sys, ends.near, "nobody reads this");
        await_ready(sys, ends.far, COSY_SYS_READ);
        close_socket(sys, ends.far);
        await_ready(sys, ends.near, COSY_SYS_READ);
        ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_ERROR | COSY_SYS_HANGUP);
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -ECONNRESET);
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), 0); /* told once */
        ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -EPIPE);
        close_socket(sys, ends.near);
    }
}

BOTH_WORLDS(a_reset_is_told_to_the_writer_too)
{
    struct ends ends = tcp_pair(sys);
    ck_assert_sent(sys, ends.near, "nobody reads this");
    await_ready(sys, ends.far, COSY_SYS_READ);
    close_socket(sys, ends.far);
    await_ready(sys, ends.near, COSY_SYS_READ);
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -ECONNRESET);
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -EPIPE);
    ck_assert_int_eq(pending_error(sys, ends.near), 0);
    close_socket(sys, ends.near);
}

BOTH_WORLDS(what_came_before_a_reset_can_be_read)
{
    struct ends ends = tcp_pair(sys);
    char byte;
    ck_assert_sent(sys, ends.near, "nobody reads this");
    ck_assert_sent(sys, ends.far, "farewell");
    await_ready(sys, ends.far, COSY_SYS_READ);
    await_ready(sys, ends.near, COSY_SYS_READ);
    close_socket(sys, ends.far);
    ck_assert_received(sys, ends.near, "farewell");
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -ECONNRESET);
    close_socket(sys, ends.near);
}

BOTH_WORLDS(linger_of_nothing_resets)
{
    struct ends ends = tcp_pair(sys);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    char byte;
    ck_assert_int_eq(net->setsockopt(sys, ends.far, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close_socket(sys, ends.far);
    await_ready(sys, ends.near, COSY_SYS_READ);
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -ECONNRESET);
    close_socket(sys, ends.near);
}

/* The first write after the peer has gone is taken, and answered by a reset; the next one hears of it. */
BOTH_WORLDS(writing_to_a_closed_peer)
{
    struct ends ends = tcp_pair(sys);
    char byte;
    close_socket(sys, ends.far);
    ck_assert_received(sys, ends.near, "");
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), 1);
    await_ready(sys, ends.near, COSY_SYS_ERROR);
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -EPIPE);
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), 0);
    close_socket(sys, ends.near);

    ends = unix_pair(sys, SOCK_STREAM);
    close_socket(sys, ends.far);
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -EPIPE);
    ck_assert_uint_eq(ready_now(sys, ends.near), COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_HANGUP);
    close_socket(sys, ends.near);
}

/* ---- connecting ---- */

BOTH_WORLDS(refused)
{
    int port, listener = listener4(sys, 1, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    close_socket(sys, listener);
    ck_assert_uint_eq(ready_now(sys, fd), COSY_SYS_WRITE | COSY_SYS_HANGUP);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_WRITE);
    ck_assert_uint_eq(ready_now(sys, fd), COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_ERROR | COSY_SYS_HANGUP);
    ck_assert_int_eq(pending_error(sys, fd), ECONNREFUSED);
    ck_assert_int_eq(pending_error(sys, fd), 0);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -ECONNABORTED);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_WRITE);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -ECONNREFUSED);
    close_socket(sys, fd);
}

BOTH_WORLDS(a_connect_says_once_that_it_is_done)
{
    int port, listener = listener4(sys, 1, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_WRITE);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), 0);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EISCONN);
    ck_assert_int_eq(connect4(sys, listener, "127.0.0.1", port), -EISCONN);
    close_socket(sys, fd);
    close_socket(sys, listener);
}

BOTH_WORLDS(names_of_both_ends)
{
    int port, listener = listener4(sys, 1, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    ck_assert_int_eq(net->getpeername(sys, fd, (struct sockaddr *)&name, &size), -ENOTCONN);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, listener, COSY_SYS_READ);
    size = sizeof name;
    int far = net->accept(sys, listener, (struct sockaddr *)&name, &size);
    ck_assert_int_ge(far, 0);
    ck_assert_uint_eq(size, sizeof name);
    ck_assert_uint_eq(name.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    ck_assert_int_eq(ntohs(name.sin_port), port_of(sys, fd));
    ck_assert_int_eq(port_of(sys, far), port);
    size = sizeof name;
    ck_assert_int_eq(net->getpeername(sys, fd, (struct sockaddr *)&name, &size), 0);
    ck_assert_int_eq(ntohs(name.sin_port), port);
    size = 4; /* cut, and the whole size told */
    memset(&name, 0xee, sizeof name);
    ck_assert_int_eq(net->getpeername(sys, fd, (struct sockaddr *)&name, &size), 0);
    ck_assert_uint_eq(size, sizeof name);
    ck_assert_uint_eq(name.sin_addr.s_addr, 0xeeeeeeee);
    ck_assert_int_eq(net->accept(sys, listener, NULL, NULL), -EAGAIN);
    ck_assert_int_eq(net->accept(sys, fd, NULL, NULL), -EINVAL);
    close_socket(sys, fd);
    close_socket(sys, far);
    close_socket(sys, listener);
}

BOTH_WORLDS(unconnected)
{
    int fd = new_socket(sys, AF_INET, SOCK_STREAM), local = new_socket(sys, AF_UNIX, SOCK_STREAM);
    char byte;
    ck_assert_int_eq(net->recv(sys, fd, &byte, 1, 0), -ENOTCONN);
    ck_assert_int_eq(net->send(sys, fd, "x", 1, 0), -EPIPE);
    ck_assert_int_eq(net->shutdown(sys, fd, SHUT_WR), -ENOTCONN);
    ck_assert_int_eq(net->recv(sys, local, &byte, 1, 0), -EINVAL);
    ck_assert_int_eq(net->send(sys, local, "x", 1, 0), -ENOTCONN);
    ck_assert_int_eq(net->listen(sys, local, 1), -EINVAL);
    close_socket(sys, fd);
    close_socket(sys, local);
}

/* ---- binding ---- */

BOTH_WORLDS(two_cannot_have_one_port)
{
    int port, first = listener4(sys, 1, &port), second = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, second, "127.0.0.1", port), -EADDRINUSE);
    ck_assert_int_eq(bind4(sys, second, "0.0.0.0", port), -EADDRINUSE);
    ck_assert_int_eq(set_number(sys, second, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(bind4(sys, second, "127.0.0.1", port), -EADDRINUSE); /* the other listens */
    ck_assert_int_eq(bind4(sys, second, "127.0.0.2", port), 0);
    ck_assert_int_eq(bind4(sys, second, "127.0.0.2", 0), -EINVAL);
    ck_assert_int_eq(net->listen(sys, second, 1), 0);
    int third = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, third, "203.0.113.9", 0), -EADDRNOTAVAIL);
    close_socket(sys, third);
    close_socket(sys, second);
    close_socket(sys, first);
    first = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, first, "127.0.0.1", port), 0);
    close_socket(sys, first);
}

BOTH_WORLDS(reuse_address_lets_two_bind_and_one_listen)
{
    int first = new_socket(sys, AF_INET, SOCK_STREAM), second = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(set_number(sys, first, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(set_number(sys, second, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(bind4(sys, first, "127.0.0.1", 0), 0);
    ck_assert_int_eq(bind4(sys, second, "127.0.0.1", port_of(sys, first)), 0);
    ck_assert_int_eq(net->listen(sys, first, 1), 0);
    ck_assert_int_eq(net->listen(sys, second, 1), -EADDRINUSE);
    close_socket(sys, first);
    close_socket(sys, second);
}

BOTH_WORLDS(reuse_port_shares)
{
    enum { CLIENTS = 60 };
    int listeners[2], clients[CLIENTS], taken[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        listeners[i] = new_socket(sys, AF_INET, SOCK_STREAM);
        ck_assert_int_eq(set_number(sys, listeners[i], SOL_SOCKET, SO_REUSEPORT, 1), 0);
        ck_assert_int_eq(bind4(sys, listeners[i], "127.0.0.1", i ? port_of(sys, listeners[0]) : 0), 0);
        ck_assert_int_eq(net->listen(sys, listeners[i], 100), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = new_socket(sys, AF_INET, SOCK_STREAM);
        ck_assert_int_eq(connect4(sys, clients[i], "127.0.0.1", port_of(sys, listeners[0])), -EINPROGRESS);
        await_ready(sys, clients[i], COSY_SYS_WRITE);
    }
    for (int i = 0; i < 2; i++)
        for (int fd; (fd = net->accept(sys, listeners[i], NULL, NULL)) >= 0; taken[i]++)
            close_socket(sys, fd);
    ck_assert_int_eq(taken[0] + taken[1], CLIENTS);
    ck_assert_int_gt(taken[0], 0);
    ck_assert_int_gt(taken[1], 0);
    for (int i = 0; i < CLIENTS; i++)
        close_socket(sys, clients[i]);
    close_socket(sys, listeners[0]);
    close_socket(sys, listeners[1]);
}

BOTH_WORLDS(one_socket_for_both_families)
{
    int fd = new_socket(sys, AF_INET6, SOCK_STREAM), client = new_socket(sys, AF_INET, SOCK_STREAM);
    struct sockaddr_in6 any = ip6("::", 0), name;
    socklen_t size = sizeof name;
    ck_assert_int_eq(set_number(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), 0);
    ck_assert_int_eq(net->bind(sys, fd, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(set_number(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), -EINVAL);
    ck_assert_int_eq(net->listen(sys, fd, 1), 0);
    int other = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, other, "127.0.0.1", port_of(sys, fd)), -EADDRINUSE);
    ck_assert_int_eq(connect4(sys, client, "127.0.0.1", port_of(sys, fd)), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_READ);
    int far = net->accept(sys, fd, (struct sockaddr *)&name, &size);
    ck_assert_int_ge(far, 0);
    ck_assert_uint_eq(size, sizeof name);
    ck_assert(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
    ck_assert_int_eq(ntohs(name.sin6_port), port_of(sys, client));
    int six = new_socket(sys, AF_INET6, SOCK_STREAM);
    struct sockaddr_in6 loopback = ip6("::1", port_of(sys, fd));
    ck_assert_int_eq(net->connect(sys, six, (struct sockaddr *)&loopback, sizeof loopback), -EINPROGRESS);
    await_ready(sys, six, COSY_SYS_WRITE);
    ck_assert_int_eq(pending_error(sys, six), 0);
    close_socket(sys, six);
    close_socket(sys, far);
    close_socket(sys, client);
    close_socket(sys, other);
    close_socket(sys, fd);
}

BOTH_WORLDS(one_family_only)
{
    int fd = new_socket(sys, AF_INET6, SOCK_STREAM), other = new_socket(sys, AF_INET, SOCK_STREAM);
    struct sockaddr_in6 any = ip6("::", 0), mapped;
    ck_assert_int_eq(set_number(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
    ck_assert_int_eq(net->bind(sys, fd, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(net->listen(sys, fd, 1), 0);
    mapped = ip6("::ffff:127.0.0.1", port_of(sys, fd));
    ck_assert_int_eq(bind4(sys, other, "0.0.0.0", port_of(sys, fd)), 0);
    struct sockaddr_in four = ip4("127.0.0.1", 1);
    ck_assert_int_eq(net->bind(sys, other, (struct sockaddr *)&any, sizeof any), -EAFNOSUPPORT);
    int six = new_socket(sys, AF_INET6, SOCK_STREAM);
    ck_assert_int_eq(net->bind(sys, six, (struct sockaddr *)&four, sizeof four), -EINVAL); /* too short */
    ck_assert_int_eq(set_number(sys, six, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
    ck_assert_int_eq(net->connect(sys, six, (struct sockaddr *)&mapped, sizeof mapped), -ENETUNREACH);
    close_socket(sys, six);
    close_socket(sys, other);
    close_socket(sys, fd);
}

BOTH_WORLDS(a_listener_that_closes_resets_those_in_its_line)
{
    int port, listener = listener4(sys, 4, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    char byte;
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_WRITE);
    ck_assert_sent(sys, fd, "anybody there?");
    close_socket(sys, listener);
    await_ready(sys, fd, COSY_SYS_READ);
    ck_assert_int_eq(net->recv(sys, fd, &byte, 1, 0), -ECONNRESET);
    close_socket(sys, fd);
}

/* ---- room ---- */

/* Fills what there is between two ends; how much it was. A real network moves on meanwhile. */
static size_t fill(struct cosy_sys *sys, int fd)
{
    static char block[10000];
    size_t sent = 0;
    do
        for (int n; (n = sys->net->send(sys, fd, block, sizeof block, 0)) != -EAGAIN; sent += (size_t)n)
            ck_assert_int_gt(n, 0);
    while (ready_now(sys, fd) & COSY_SYS_WRITE);
    return sent;
}

static size_t drain(struct cosy_sys *sys, int fd, size_t most)
{
    static char block[10000];
    size_t got = 0;
    while (got < most) {
        int n = sys->net->recv(sys, fd, block, most - got < sizeof block ? most - got : sizeof block, 0);
        if (n == -EAGAIN)
            break;
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    return got;
}

BOTH_WORLDS(a_writer_is_held_back)
{
    FOR_BOTH_KINDS(tcp)
    {
        struct ends ends = stream_pair(sys, tcp);
        ck_assert_int_eq(set_number(sys, ends.near, SOL_SOCKET, SO_SNDBUF, 50000), 0);
        ck_assert_int_eq(get_number(sys, ends.near, SOL_SOCKET, SO_SNDBUF), 100000);
        size_t filled = fill(sys, ends.near);
        ck_assert_uint_ge(filled, 30000);
        ck_assert_uint_eq(ready_now(sys, ends.near) & COSY_SYS_WRITE, 0);
        ck_assert_uint_eq(drain(sys, ends.far, 10), 10);
        if (!tcp || simulated(sys)) /* not for each byte; real TCP may have gone on by itself */
            ck_assert_uint_eq(ready_now(sys, ends.near) & COSY_SYS_WRITE, 0);
        size_t got = 10;
        while (got < filled) {
            size_t more = drain(sys, ends.far, filled - got);
            if (more == 0)
                await_ready(sys, ends.far, COSY_SYS_READ);
            got += more;
        }
        await_ready(sys, ends.near, COSY_SYS_WRITE);
        ck_assert_sent(sys, ends.near, "again");
        ck_assert_received(sys, ends.far, "again");
        close_ends(sys, ends);
    }
}

SIMULATED(buffers_hold_what_they_are_set_to)
{
    struct ends ends = tcp_pair(sys);
    ck_assert_int_eq(set_number(sys, ends.near, SOL_SOCKET, SO_SNDBUF, 5000), 0);
    ck_assert_int_eq(set_number(sys, ends.far, SOL_SOCKET, SO_RCVBUF, 3000), 0);
    ck_assert_uint_eq(fill(sys, ends.near), 16000);
    ck_assert_uint_eq(drain(sys, ends.far, 1000), 1000);
    ck_assert_uint_eq(fill(sys, ends.near), 1000);
    close_ends(sys, ends);
    ends = unix_pair(sys, SOCK_STREAM);
    ck_assert_int_eq(set_number(sys, ends.near, SOL_SOCKET, SO_SNDBUF, 5000), 0);
    ck_assert_uint_eq(fill(sys, ends.near), 10000);
    close_ends(sys, ends);
}

NET_TEST_MAIN("simulated streams", {bytes_go_both_ways, 2}, {vectors, 2}, {the_end_of_file_comes_behind_the_bytes, 2},
              {half_closed, 2}, {a_reader_that_is_shut, 2}, {unread_bytes_turn_a_close_into_a_reset, 2},
              {a_reset_is_told_to_the_writer_too, 2}, {what_came_before_a_reset_can_be_read, 2},
              {linger_of_nothing_resets, 2}, {writing_to_a_closed_peer, 2}, {refused, 2},
              {a_connect_says_once_that_it_is_done, 2}, {names_of_both_ends, 2}, {unconnected, 2},
              {two_cannot_have_one_port, 2}, {reuse_address_lets_two_bind_and_one_listen, 2}, {reuse_port_shares, 2},
              {one_socket_for_both_families, 2}, {one_family_only, 2},
              {a_listener_that_closes_resets_those_in_its_line, 2}, {a_writer_is_held_back, 2},
              {buffers_hold_what_they_are_set_to, 1})
