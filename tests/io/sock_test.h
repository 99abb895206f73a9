/* sock_test.h - sockets for tests, made by hand: pairs, listeners, clients, all non-blocking, and tasks at their other
 * ends. */
#ifndef COSY_TESTS_SOCK_TEST_H
#define COSY_TESTS_SOCK_TEST_H

#include "io_test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define UNUSED __attribute__((unused))

/* A string where memory is wanted that is only read. */
#define TEXT(literal) ((void *)(uintptr_t)(literal))

UNUSED static void pair_of(int type, int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

UNUSED static void close_both(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

UNUSED static int socket_of(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* A socket bound to a free port of this machine. */
UNUSED static int bound(int type, struct cosy_address *ret_address)
{
    int fd = socket_of(AF_INET, type);
    ck_assert_int_eq(cosy_address_parse(ret_address, "127.0.0.1", 0), 0);
    ck_assert_int_eq(bind(fd, &ret_address->any, ret_address->size), 0);
    ck_assert_int_eq(getsockname(fd, &ret_address->any, &ret_address->size), 0);
    return fd;
}

UNUSED static int listener(struct cosy_address *ret_address)
{
    int fd = bound(SOCK_STREAM, ret_address);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

/* Of a Unix socket in the abstract name space, whose name the kernel finds. */
UNUSED static int unix_listener(struct cosy_address *ret_address)
{
    int fd = socket_of(AF_UNIX, SOCK_STREAM);
    *ret_address = (struct cosy_address){.local.sun_family = AF_UNIX};
    ck_assert_int_eq(bind(fd, &ret_address->any, sizeof(sa_family_t)), 0);
    ret_address->size = sizeof ret_address->storage;
    ck_assert_int_eq(getsockname(fd, &ret_address->any, &ret_address->size), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    return fd;
}

UNUSED static int port_of_nobody(struct cosy_address *ret_address)
{
    close(bound(SOCK_STREAM, ret_address));
    return 0;
}

/* Sends until the next byte would block. */
UNUSED static size_t fill(int fd)
{
    static char block[8192];
    size_t sent = 0, size = sizeof block;
    memset(block, ' ', sizeof block);
    while (size > 0) {
        ssize_t n = send(fd, block, size, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        size = n < 0 ? size / 2 : size;
    }
    return sent;
}

UNUSED static void set_blocking(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

UNUSED static bool is_blocking(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* The kernel's answer: is there an end of file at the other end? */
UNUSED static bool sees_end(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* ---- tasks ---- */

struct receipt {
    int fd, result;
    char text[64];
};

cosy_async UNUSED static int receive(struct receipt *receipt)
{
    receipt->result = cosy_sock_recv(receipt->fd, receipt->text, sizeof receipt->text - 1);
    if (receipt->result >= 0)
        receipt->text[receipt->result] = 0;
    return receipt->result;
}

/* Receives until the end, and looks that the bytes count up as those of `pattern` do; *ret_size: how many came. */
cosy_async UNUSED static int receive_pattern(int fd, size_t *ret_size)
{
    static char buffer[65536];
    size_t size = 0;
    for (int n; (n = cosy_try(cosy_sock_recv(fd, buffer, sizeof buffer))) > 0;)
        for (int i = 0; i < n; i++, size++)
            if (buffer[i] != (char)(size % 251))
                return cosy_fail(EBADMSG, "byte %zu is %d", size, buffer[i]);
    *ret_size = size;
    return 0;
}

UNUSED static char *pattern(size_t size)
{
    char *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i % 251);
    return bytes;
}

/* A server of one connection: a request that ends with an empty line, and its answer. */
cosy_async UNUSED static int serve_once(int listening)
{
    char request[256];
    size_t size = 0;
    int fd = cosy_try(cosy_sock_accept(listening, NULL));
    int result = 0;
    while (result >= 0 && (size < 4 || memcmp(request + size - 4, "\r\n\r\n", 4) != 0)) {
        result = cosy_sock_recv(fd, request + size, sizeof request - size);
        size += result > 0 ? (size_t)result : 0;
        if (result == 0)
            result = -ECONNRESET;
    }
    if (result >= 0)
        result = cosy_sock_sendall(fd, "HTTP/1.0 200 OK\r\n\r\nTest message", 31, NULL);
    close(fd);
    return result;
}

#endif
