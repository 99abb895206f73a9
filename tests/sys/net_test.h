/* net_test.h - what the tests of the network share: the same body runs on the simulated network and on the real
 * kernel's, which proves that the simulation tells the truth.
 *
 *     BOTH_WORLDS(name) { ... uses sys ... }
 */
#ifndef COSY_TESTS_NET_TEST_H
#define COSY_TESTS_NET_TEST_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../src/base/heap.h"
#include "../../src/sys/net.h"
#include "../../src/sys/sim/network.h"
#include "../../src/sys/sys.h"

#define SHARED __attribute__((unused)) static

enum { EVENTS = 64 };

/* ---- two worlds ---- */

SHARED struct cosy_sys *open_world(enum cosy_sys_kind kind, uint64_t seed)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_config config = {.kind = kind, .seed = seed};
    ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    return sys;
}

SHARED bool simulated(const struct cosy_sys *sys)
{
    return sys->net != &cosy_linux_net_ops;
}

/* Once on the simulated network, once on the real one. */
#define BOTH_WORLDS(name)                                                                                              \
    static void name##_body(struct cosy_sys *sys, const struct cosy_net_ops *net);                                     \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        struct cosy_sys *sys = open_world(_i == 0 ? COSY_SYS_SIM : COSY_SYS_EPOLL, 1);                                 \
        name##_body(sys, sys->net);                                                                                    \
        sys->ops->close(sys);                                                                                          \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    static void name##_body(struct cosy_sys *sys __attribute__((unused)),                                              \
                            const struct cosy_net_ops *net __attribute__((unused)))

/* On the simulated network only. */
#define SIMULATED(name)                                                                                                \
    static void name##_body(struct cosy_sys *sys, const struct cosy_net_ops *net);                                     \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        struct cosy_sys *sys = open_world(COSY_SYS_SIM, 1);                                                            \
        name##_body(sys, sys->net);                                                                                    \
        sys->ops->close(sys);                                                                                          \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    static void name##_body(struct cosy_sys *sys __attribute__((unused)),                                              \
                            const struct cosy_net_ops *net __attribute__((unused)))

struct net_test {
    const TTest *test;
    int worlds;
};

SHARED int run_net_tests(const char *name, const struct net_test *tests, size_t count)
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < count; i++) {
        TCase *tcase = tcase_create(tests[i].test->name);
        tcase_add_loop_test(tcase, tests[i].test, 0, tests[i].worlds);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

#define NET_TEST_MAIN(suite, ...)                                                                                      \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const struct net_test tests[] = {__VA_ARGS__};                                                                 \
        return run_net_tests(suite, tests, sizeof tests / sizeof *tests);                                              \
    }

/* ---- sockets ---- */

SHARED void close_socket(struct cosy_sys *sys, int fd)
{
    sys->ops->close_fd(sys, fd, 0);
}

/* What a level watch sees of the descriptor now. */
SHARED unsigned ready_now(struct cosy_sys *sys, int fd)
{
    struct cosy_sys_event events[EVENTS];
    uint64_t id;
    unsigned seen = 0;
    ck_assert_int_eq(sys->ops->watch(sys, fd, COSY_SYS_READ | COSY_SYS_WRITE, &seen, &id), 0);
    int count = sys->ops->wait(sys, 0, events, EVENTS);
    for (int i = 0; i < count; i++)
        if (events[i].data == &seen)
            seen = events[i].events;
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    return seen;
}

/* Waits until one of the events is there; fails after a time that only a broken network takes. */
SHARED void await_ready(struct cosy_sys *sys, int fd, unsigned wanted)
{
    struct cosy_sys_event events[EVENTS];
    uint64_t id;
    int mark, found = 0;
    cosy_ns deadline = sys->ops->now(sys) + COSY_S(10);
    ck_assert_int_eq(sys->ops->watch(sys, fd, wanted, &mark, &id), 0);
    while (!found && sys->ops->now(sys) < deadline) {
        int count = sys->ops->wait(sys, deadline, events, EVENTS);
        ck_assert_int_ge(count, 0);
        for (int i = 0; i < count; i++)
            found |= events[i].data == &mark;
    }
    ck_assert(found);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
}

SHARED int receive(struct cosy_sys *sys, int fd, void *buffer, size_t size)
{
    int result = sys->net->recv(sys, fd, buffer, size, 0);
    if (result != -EAGAIN)
        return result;
    await_ready(sys, fd, COSY_SYS_READ);
    return sys->net->recv(sys, fd, buffer, size, 0);
}

#define ck_assert_received(sys, fd, text)                                                                              \
    do {                                                                                                               \
        char got_[256] = "";                                                                                           \
        int size_ = receive(sys, fd, got_, sizeof got_ - 1);                                                           \
        ck_assert_int_ge(size_, 0);                                                                                    \
        got_[size_] = '\0';                                                                                            \
        ck_assert_str_eq(got_, text);                                                                                  \
    } while (0)

#define ck_assert_sent(sys, fd, text)                                                                                  \
    ck_assert_int_eq((sys)->net->send(sys, fd, text, strlen(text), 0), (int)strlen(text))

SHARED struct sockaddr_in ip4(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

SHARED struct sockaddr_in6 ip6(const char *host, int port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    return address;
}

SHARED int port_of(struct cosy_sys *sys, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    ck_assert_int_eq(sys->net->getsockname(sys, fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

SHARED int bind4(struct cosy_sys *sys, int fd, const char *host, int port)
{
    struct sockaddr_in address = ip4(host, port);
    return sys->net->bind(sys, fd, (struct sockaddr *)&address, sizeof address);
}

SHARED int connect4(struct cosy_sys *sys, int fd, const char *host, int port)
{
    struct sockaddr_in address = ip4(host, port);
    return sys->net->connect(sys, fd, (struct sockaddr *)&address, sizeof address);
}

SHARED int new_socket(struct cosy_sys *sys, int family, int type)
{
    int fd = sys->net->socket(sys, family, type, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

SHARED int set_number(struct cosy_sys *sys, int fd, int level, int name, int value)
{
    return sys->net->setsockopt(sys, fd, level, name, &value, sizeof value);
}

SHARED int get_number(struct cosy_sys *sys, int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    int result = sys->net->getsockopt(sys, fd, level, name, &value, &size);
    return result < 0 ? result : value;
}

SHARED int pending_error(struct cosy_sys *sys, int fd)
{
    return get_number(sys, fd, SOL_SOCKET, SO_ERROR);
}

SHARED int listener4(struct cosy_sys *sys, int backlog, int *ret_port)
{
    int fd = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, fd, "127.0.0.1", 0), 0);
    ck_assert_int_eq(sys->net->listen(sys, fd, backlog), 0);
    *ret_port = port_of(sys, fd);
    return fd;
}

SHARED int accept_one(struct cosy_sys *sys, int listener)
{
    await_ready(sys, listener, COSY_SYS_READ);
    int fd = sys->net->accept(sys, listener, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    return fd;
}

struct ends {
    int near, far;
};

SHARED struct ends tcp_pair(struct cosy_sys *sys)
{
    int port, listener = listener4(sys, 16, &port), near = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port), -EINPROGRESS);
    int far = accept_one(sys, listener);
    await_ready(sys, near, COSY_SYS_WRITE);
    ck_assert_int_eq(pending_error(sys, near), 0);
    close_socket(sys, listener);
    return (struct ends){near, far};
}

SHARED struct ends unix_pair(struct cosy_sys *sys, int type)
{
    int fds[2];
    ck_assert_int_eq(sys->net->socketpair(sys, AF_UNIX, type, 0, fds), 0);
    return (struct ends){fds[0], fds[1]};
}

SHARED struct ends pipe_pair(struct cosy_sys *sys)
{
    int fds[2];
    ck_assert_int_eq(sys->net->pipe(sys, fds), 0);
    return (struct ends){.near = fds[1], .far = fds[0]};
}

SHARED void close_ends(struct cosy_sys *sys, struct ends ends)
{
    close_socket(sys, ends.near);
    close_socket(sys, ends.far);
}

SHARED int put_bytes(struct cosy_sys *sys, int fd, const void *data, size_t size)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return sys->net->writev(sys, fd, &part, 1);
}

SHARED int get_bytes(struct cosy_sys *sys, int fd, void *data, size_t size)
{
    struct iovec part = {.iov_base = data, .iov_len = size};
    return sys->net->readv(sys, fd, &part, 1);
}

#endif
