/* Datagrams: UDP and Unix, on the simulated network and on the real one. */
#include "net_test.h"

#include <netinet/udp.h>
#include <sys/un.h>

static int udp_at(struct cosy_sys *sys, const char *host, int port)
{
    int fd = new_socket(sys, AF_INET, SOCK_DGRAM);
    ck_assert_int_eq(bind4(sys, fd, host, port), 0);
    return fd;
}

static int send_to(struct cosy_sys *sys, int fd, const char *text, const char *host, int port)
{
    struct sockaddr_in to = ip4(host, port);
    struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof to};
    return sys->net->sendmsg(sys, fd, &message, 0);
}

/* The port it came from; *text: what came, terminated; *ret_flags may be NULL. */
static int receive_from(struct cosy_sys *sys, int fd, char *text, size_t room, int *ret_flags)
{
    struct sockaddr_in from;
    struct iovec part = {text, room};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    await_ready(sys, fd, COSY_SYS_READ);
    int count = sys->net->recvmsg(sys, fd, &message, 0);
    if (count < 0)
        return count;
    text[count] = '\0';
    ck_assert_uint_eq(message.msg_namelen, sizeof from);
    if (ret_flags)
        *ret_flags = message.msg_flags;
    return ntohs(from.sin_port);
}

BOTH_WORLDS(datagrams_keep_their_bounds)
{
    int near = udp_at(sys, "127.0.0.1", 0), far = udp_at(sys, "127.0.0.1", 0), flags;
    char text[16];
    ck_assert_uint_eq(ready_now(sys, near), COSY_SYS_WRITE);
    ck_assert_int_eq(net->recv(sys, far, text, 1, 0), -EAGAIN);
    ck_assert_int_eq(send_to(sys, near, "one", "127.0.0.1", port_of(sys, far)), 3);
    ck_assert_int_eq(send_to(sys, near, "", "127.0.0.1", port_of(sys, far)), 0);
    ck_assert_int_eq(send_to(sys, near, "three", "127.0.0.1", port_of(sys, far)), 5);
    ck_assert_int_eq(receive_from(sys, far, text, 15, &flags), port_of(sys, near));
    ck_assert_str_eq(text, "one");
    ck_assert_int_eq(flags & MSG_TRUNC, 0);
    ck_assert_int_eq(receive_from(sys, far, text, 15, &flags), port_of(sys, near));
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(net->recv(sys, far, text, 2, MSG_PEEK), 2);
    ck_assert_int_eq(net->recv(sys, far, text, 2, MSG_PEEK | MSG_TRUNC), 5);
    ck_assert_int_eq(receive_from(sys, far, text, 2, &flags), port_of(sys, near));
    ck_assert_str_eq(text, "th");
    ck_assert(flags & MSG_TRUNC);
    ck_assert_int_eq(net->recv(sys, far, text, 1, 0), -EAGAIN); /* the rest is gone */
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(connected_datagrams)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = udp_at(sys, "127.0.0.1", 0);
    int stranger = udp_at(sys, "127.0.0.1", 0);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    char text[16];
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -EDESTADDRREQ);
    ck_assert_int_eq(net->getpeername(sys, near, (struct sockaddr *)&name, &size), -ENOTCONN);
    ck_assert_int_eq(net->shutdown(sys, near, SHUT_RD), -ENOTCONN);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    ck_assert_int_eq(net->getpeername(sys, near, (struct sockaddr *)&name, &size), 0);
    ck_assert_int_eq(ntohs(name.sin_port), port_of(sys, far));
    ck_assert_int_ne(port_of(sys, near), 0);
    ck_assert_sent(sys, near, "hello");
    ck_assert_int_eq(receive_from(sys, far, text, 15, NULL), port_of(sys, near));
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(send_to(sys, stranger, "not from whom it wants", "127.0.0.1", port_of(sys, near)), 22);
    ck_assert_int_eq(net->recv(sys, near, text, 15, 0), -EAGAIN);
    ck_assert_int_eq(send_to(sys, far, "answer", "127.0.0.1", port_of(sys, near)), 6);
    ck_assert_received(sys, near, "answer");
    ck_assert_int_eq(send_to(sys, near, "elsewhere", "127.0.0.1", port_of(sys, stranger)), 9);
    ck_assert_received(sys, stranger, "elsewhere");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    ck_assert_int_eq(net->connect(sys, near, &nobody, sizeof nobody), 0);
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -EDESTADDRREQ);
    close_socket(sys, near);
    close_socket(sys, far);
    close_socket(sys, stranger);
}

BOTH_WORLDS(nobody_listens)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = udp_at(sys, "127.0.0.1", 0), port = port_of(sys, far);
    char byte;
    close_socket(sys, far);
    ck_assert_int_eq(send_to(sys, near, "unconnected: nobody tells", "127.0.0.1", port), 25);
    ck_assert_int_eq(net->recv(sys, near, &byte, 1, 0), -EAGAIN);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port), 0);
    ck_assert_sent(sys, near, "x");
    await_ready(sys, near, COSY_SYS_READ);
    ck_assert_uint_eq(ready_now(sys, near) & COSY_SYS_ERROR, COSY_SYS_ERROR);
    ck_assert_int_eq(net->recv(sys, near, &byte, 1, 0), -ECONNREFUSED);
    ck_assert_int_eq(net->recv(sys, near, &byte, 1, 0), -EAGAIN); /* told once */
    ck_assert_sent(sys, near, "x");
    await_ready(sys, near, COSY_SYS_READ);
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -ECONNREFUSED);
    ck_assert_sent(sys, near, "x");
    await_ready(sys, near, COSY_SYS_READ);
    ck_assert_int_eq(pending_error(sys, near), ECONNREFUSED);
    close_socket(sys, near);
}

BOTH_WORLDS(too_long_and_not_allowed)
{
    static char block[70000];
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = udp_at(sys, "127.0.0.1", 0);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    ck_assert_int_eq(net->send(sys, near, block, 65508, 0), -EMSGSIZE);
    ck_assert_int_eq(net->send(sys, near, block, 65507, 0), 65507);
    ck_assert_int_eq(receive(sys, far, block, sizeof block), 65507);
    ck_assert_int_eq(send_to(sys, near, "x", "255.255.255.255", 9), -EACCES);
    ck_assert_int_eq(connect4(sys, far, "255.255.255.255", 9), -EACCES);
    ck_assert_int_eq(send_to(sys, near, "x", "127.0.0.1", 0), -EINVAL);
    ck_assert_int_eq(net->listen(sys, near, 1), -EOPNOTSUPP);
    ck_assert_int_eq(net->accept(sys, near, NULL, NULL), -EOPNOTSUPP);
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(what_has_no_room_is_lost)
{
    static char block[1000];
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = udp_at(sys, "127.0.0.1", 0), got = 0;
    ck_assert_int_eq(set_number(sys, far, SOL_SOCKET, SO_RCVBUF, 5000), 0);
    ck_assert_int_eq(get_number(sys, far, SOL_SOCKET, SO_RCVBUF), 10000);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(net->send(sys, near, block, sizeof block, 0), sizeof block);
    while (net->recv(sys, far, block, sizeof block, 0) == sizeof block)
        got++;
    ck_assert_int_ge(got, 2);
    ck_assert_int_le(got, 20);
    ck_assert_sent(sys, near, "room again");
    ck_assert_received(sys, far, "room again");
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(datagrams_to_both_families)
{
    int far = new_socket(sys, AF_INET6, SOCK_DGRAM), near = new_socket(sys, AF_INET, SOCK_DGRAM);
    struct sockaddr_in6 any = ip6("::", 0), from;
    ck_assert_int_eq(net->bind(sys, far, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(send_to(sys, near, "four", "127.0.0.1", port_of(sys, far)), 4);
    char text[16];
    struct iovec part = {text, 15};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    await_ready(sys, far, COSY_SYS_READ);
    ck_assert_int_eq(net->recvmsg(sys, far, &message, 0), 4);
    ck_assert_uint_eq(message.msg_namelen, sizeof from);
    ck_assert(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    part.iov_len = 4;
    ck_assert_int_eq(net->sendmsg(sys, far, &message, 0), 4); /* back to the mapped address */
    ck_assert_received(sys, near, "four");
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(shut_datagrams)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = udp_at(sys, "127.0.0.1", 0);
    char byte;
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    ck_assert_int_eq(net->shutdown(sys, near, SHUT_RDWR), 0);
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -EPIPE);
    ck_assert_int_eq(net->recv(sys, near, &byte, 1, 0), -EAGAIN); /* datagrams have no end of file */
    ck_assert_uint_eq(ready_now(sys, near), COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_HANGUP);
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(shared_ports_of_datagrams)
{
    int one = new_socket(sys, AF_INET, SOCK_DGRAM), other = new_socket(sys, AF_INET, SOCK_DGRAM);
    ck_assert_int_eq(bind4(sys, one, "127.0.0.1", 0), 0);
    ck_assert_int_eq(bind4(sys, other, "127.0.0.1", port_of(sys, one)), -EADDRINUSE);
    ck_assert_int_eq(set_number(sys, other, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(bind4(sys, other, "127.0.0.1", port_of(sys, one)), -EADDRINUSE); /* both must say so */
    ck_assert_int_eq(set_number(sys, one, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    ck_assert_int_eq(bind4(sys, other, "127.0.0.1", port_of(sys, one)), 0);
    close_socket(sys, one);
    close_socket(sys, other);
}

/* ---- to many ---- */

static int join_group(struct cosy_sys *sys, int fd, int name, const char *group)
{
    struct ip_mreq request = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(inet_pton(AF_INET, group, &request.imr_multiaddr), 1);
    return sys->net->setsockopt(sys, fd, IPPROTO_IP, name, &request, sizeof request);
}

SIMULATED(groups)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), members[2], stranger = udp_at(sys, "0.0.0.0", 0);
    for (int i = 0; i < 2; i++) {
        members[i] = new_socket(sys, AF_INET, SOCK_DGRAM);
        ck_assert_int_eq(set_number(sys, members[i], SOL_SOCKET, SO_REUSEADDR, 1), 0);
        ck_assert_int_eq(bind4(sys, members[i], "0.0.0.0", 5353), 0);
        ck_assert_int_eq(join_group(sys, members[i], IP_ADD_MEMBERSHIP, "224.0.0.251"), 0);
        ck_assert_int_eq(join_group(sys, members[i], IP_ADD_MEMBERSHIP, "224.0.0.251"), -EADDRINUSE);
    }
    ck_assert_int_eq(join_group(sys, stranger, IP_ADD_MEMBERSHIP, "127.0.0.1"), -EINVAL);
    ck_assert_int_eq(join_group(sys, stranger, IP_DROP_MEMBERSHIP, "224.0.0.251"), -EADDRNOTAVAIL);
    ck_assert_int_eq(send_to(sys, near, "all", "224.0.0.251", 5353), 3);
    char byte;
    for (int i = 0; i < 2; i++)
        ck_assert_received(sys, members[i], "all");
    ck_assert_int_eq(net->recv(sys, stranger, &byte, 1, 0), -EAGAIN);
    ck_assert_int_eq(join_group(sys, members[0], IP_DROP_MEMBERSHIP, "224.0.0.251"), 0);
    ck_assert_int_eq(send_to(sys, near, "one", "224.0.0.251", 5353), 3);
    ck_assert_int_eq(net->recv(sys, members[0], &byte, 1, 0), -EAGAIN);
    ck_assert_received(sys, members[1], "one");

    ck_assert_int_eq(set_number(sys, near, SOL_SOCKET, SO_BROADCAST, 1), 0);
    ck_assert_int_eq(send_to(sys, near, "everybody", "255.255.255.255", 5353), 9);
    ck_assert_received(sys, members[0], "everybody");
    ck_assert_received(sys, members[1], "everybody");
    close_socket(sys, near);
    close_socket(sys, members[0]);
    close_socket(sys, members[1]);
    close_socket(sys, stranger);
}

SIMULATED(groups_of_ipv6)
{
    int near = new_socket(sys, AF_INET6, SOCK_DGRAM), far = new_socket(sys, AF_INET6, SOCK_DGRAM);
    struct sockaddr_in6 any = ip6("::", 5353), group = ip6("ff02::fb", 5353);
    struct ipv6_mreq request = {.ipv6mr_multiaddr = group.sin6_addr};
    ck_assert_int_eq(net->bind(sys, far, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(net->setsockopt(sys, far, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request), 0);
    ck_assert_int_eq(net->connect(sys, near, (struct sockaddr *)&group, sizeof group), 0);
    ck_assert_sent(sys, near, "all");
    ck_assert_received(sys, far, "all");
    ck_assert_int_eq(net->setsockopt(sys, far, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &request, sizeof request), 0);
    char byte;
    ck_assert_sent(sys, near, "nobody");
    ck_assert_int_eq(net->recv(sys, far, &byte, 1, 0), -EAGAIN);
    ck_assert_int_eq(get_number(sys, far, SOL_UDP, UDP_GRO), -ENOPROTOOPT);
    close_socket(sys, near);
    close_socket(sys, far);
}

/* ---- Unix datagrams ---- */

static struct sockaddr_un unix_name(const char *name, socklen_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "cosy-%d-%s", (int)getpid(), name);
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    return address;
}

static int unix_at(struct cosy_sys *sys, const char *name)
{
    socklen_t size;
    struct sockaddr_un address = unix_name(name, &size);
    int fd = new_socket(sys, AF_UNIX, SOCK_DGRAM);
    ck_assert_int_eq(sys->net->bind(sys, fd, (struct sockaddr *)&address, size), 0);
    return fd;
}

static int unix_connect(struct cosy_sys *sys, int fd, const char *name)
{
    socklen_t size;
    struct sockaddr_un address = unix_name(name, &size);
    return sys->net->connect(sys, fd, (struct sockaddr *)&address, size);
}

static int unix_send_to(struct cosy_sys *sys, int fd, const char *text, const char *name)
{
    struct msghdr message = {0};
    struct sockaddr_un to = unix_name(name, &message.msg_namelen);
    struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_name = &to;
    return sys->net->sendmsg(sys, fd, &message, 0);
}

BOTH_WORLDS(unix_datagrams)
{
    int near = unix_at(sys, "near"), far = unix_at(sys, "far");
    char text[16];
    struct sockaddr_un from;
    struct iovec part = {text, 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -ENOTCONN);
    ck_assert_int_eq(unix_send_to(sys, near, "x", "nowhere"), -ECONNREFUSED);
    ck_assert_int_eq(unix_send_to(sys, near, "hello", "far"), 5);
    ck_assert_int_eq(unix_send_to(sys, near, "", "far"), 0);
    ck_assert_int_eq(net->recvmsg(sys, far, &message, 0), 3);
    ck_assert(message.msg_flags & MSG_TRUNC);
    socklen_t size;
    struct sockaddr_un expected = unix_name("near", &size);
    ck_assert_uint_eq(message.msg_namelen, size);
    ck_assert_int_eq(memcmp(&from, &expected, size), 0);
    ck_assert_uint_eq(ready_now(sys, far), COSY_SYS_READ | COSY_SYS_WRITE);
    ck_assert_received(sys, far, ""); /* an empty one is one */
    ck_assert_int_eq(net->recv(sys, far, text, 1, 0), -EAGAIN);
    close_socket(sys, near);
    close_socket(sys, far);
}

BOTH_WORLDS(unix_datagrams_are_not_lost)
{
    int near = new_socket(sys, AF_UNIX, SOCK_DGRAM), far = unix_at(sys, "full"), sent = 0;
    char byte;
    ck_assert_int_eq(unix_connect(sys, near, "full"), 0);
    int result;
    while ((result = net->send(sys, near, "x", 1, 0)) == 1)
        sent++;
    ck_assert_int_eq(result, -EAGAIN);
    ck_assert_int_eq(sent, 11); /* net.unix.max_dgram_qlen and one */
    ck_assert_uint_eq(ready_now(sys, near) & COSY_SYS_WRITE, 0);
    ck_assert_int_eq(net->recv(sys, far, &byte, 1, 0), 1);
    ck_assert_uint_eq(ready_now(sys, near) & COSY_SYS_WRITE, COSY_SYS_WRITE);
    close_socket(sys, far);
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -ECONNREFUSED);
    ck_assert_int_eq(net->send(sys, near, "x", 1, 0), -ENOTCONN);
    close_socket(sys, near);
}

BOTH_WORLDS(unix_datagrams_for_one_sender_only)
{
    int near = unix_at(sys, "partner"), far = unix_at(sys, "taken"), stranger = new_socket(sys, AF_UNIX, SOCK_DGRAM);
    ck_assert_int_eq(unix_connect(sys, far, "partner"), 0);
    ck_assert_int_eq(unix_send_to(sys, stranger, "x", "taken"), -EPERM);
    ck_assert_int_eq(unix_connect(sys, stranger, "taken"), -EPERM);
    ck_assert_int_eq(unix_send_to(sys, near, "x", "taken"), 1);
    ck_assert_received(sys, far, "x");
    close_socket(sys, near);
    close_socket(sys, far);
    close_socket(sys, stranger);
}

BOTH_WORLDS(a_pair_of_datagram_sockets)
{
    struct ends ends = unix_pair(sys, SOCK_DGRAM);
    static char block[300000];
    char byte;
    ck_assert_sent(sys, ends.near, "there");
    ck_assert_sent(sys, ends.far, "back");
    ck_assert_received(sys, ends.far, "there");
    ck_assert_received(sys, ends.near, "back");
    ck_assert_int_eq(net->send(sys, ends.near, block, sizeof block, 0), -EMSGSIZE);
    close_socket(sys, ends.far);
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -EAGAIN); /* no end of file */
    ck_assert_int_eq(net->send(sys, ends.near, "x", 1, 0), -ECONNREFUSED);
    close_socket(sys, ends.near);
}

NET_TEST_MAIN("simulated datagrams", {datagrams_keep_their_bounds, 2}, {connected_datagrams, 2}, {nobody_listens, 2},
              {too_long_and_not_allowed, 2}, {what_has_no_room_is_lost, 2}, {datagrams_to_both_families, 2},
              {shut_datagrams, 2}, {shared_ports_of_datagrams, 2}, {groups, 1}, {groups_of_ipv6, 1},
              {unix_datagrams, 2}, {unix_datagrams_are_not_lost, 2}, {unix_datagrams_for_one_sender_only, 2},
              {a_pair_of_datagram_sockets, 2})
