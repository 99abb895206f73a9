/* net_test.h - what the tests of connections share: servers that are nothing but sockets, the same on a real and on the
 * simulated network. */
#ifndef COSY_TESTS_NET_TEST_H
#define COSY_TESTS_NET_TEST_H

#include "io_test.h"

#include <fcntl.h>

#include "loop/loop.h"
#include "sys/net.h"

__attribute__((unused)) static struct cosy_sys *kernel(void)
{
    return loop_now()->sys;
}

__attribute__((unused)) static struct cosy_address ip(const char *host, unsigned port)
{
    struct cosy_address address;
    ck_assert_int_eq(cosy_address_parse(&address, host, port), 0);
    return address;
}

/* A socket that listens there; port 0: any, which is told. */
__attribute__((unused)) static int listen_at(const struct cosy_address *address, int backlog, unsigned *ret_port)
{
    struct cosy_sys *sys = kernel();
    struct cosy_address own = {.size = sizeof own.storage};
    int fd = sys->net->socket(sys, address->any.sa_family, SOCK_STREAM, 0), on = 1;
    ck_assert_int_ge(fd, 0);
    if (address->any.sa_family == AF_INET6)
        sys->net->setsockopt(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int result = sys->net->bind(sys, fd, &address->any, address->size);
    ck_assert_msg(result == 0, "bind: %s", cosy_strerror(result));
    ck_assert_int_eq(sys->net->listen(sys, fd, backlog), 0);
    ck_assert_int_eq(sys->net->getsockname(sys, fd, &own.any, &own.size), 0);
    if (ret_port)
        *ret_port = cosy_address_port(&own);
    return fd;
}

__attribute__((unused)) static int listen_on(const char *host, unsigned *ret_port)
{
    struct cosy_address address = ip(host, 0);
    return listen_at(&address, 16, ret_port);
}

__attribute__((unused)) static void close_fd(int fd)
{
    if (fd >= 0)
        kernel()->ops->close_fd(kernel(), fd, 0);
}

/* How many are open, when those are gone that a kernel still holds for a moment. */
cosy_async __attribute__((unused)) static int settled_descriptors(void)
{
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    return entries("/proc/self/fd");
}

/* A connection that waits at the listener. */
__attribute__((unused)) static int accept_at(int listener, struct cosy_address *ret_peer)
{
    struct cosy_sys *sys = kernel();
    struct cosy_address peer = {.size = sizeof peer.storage};
    int fd = sys->net->accept(sys, listener, &peer.any, &peer.size);
    ck_assert_msg(fd >= 0, "accept: %s", cosy_strerror(fd));
    if (ret_peer)
        *ret_peer = peer;
    return fd;
}

/* The same if one waits there, else -1. */
__attribute__((unused)) static int accept_if_any(int listener)
{
    struct cosy_address peer = {.size = sizeof peer.storage};
    int fd = kernel()->net->accept(kernel(), listener, &peer.any, &peer.size);
    return fd < 0 ? -1 : fd;
}

/* A port of this machine at which nobody listens. */
__attribute__((unused)) static unsigned dead_port(const char *host)
{
    unsigned port;
    close_fd(listen_on(host, &port));
    return port;
}

/* What an accepted connection says, read to its end by a stream of this side. */
cosy_async __attribute__((unused)) static void says_hello(int listener, cosy_stream *stream)
{
    cosy_stream *other;
    char text[6] = "";
    int fd = accept_at(listener, NULL);
    ck_assert_int_eq(cosy_stream_adopt(fd, &other), 0);
    ck_assert_int_eq(cosy_write(other, "hello", 5), 0);
    ck_assert_int_eq(cosy_readexactly(stream, text, 5), 5);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(cosy_stream_close(other), 0);
}

/* A path for a Unix socket of this process. */
__attribute__((unused)) static const char *socket_path(void)
{
    static char path[64];
    static int count;
    snprintf(path, sizeof path, "/tmp/cosy-test-%d-%d.sock", (int)getpid(), count++);
    return path;
}

#endif
