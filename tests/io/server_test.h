/* server_test.h - what the tests of servers share: clients, handlers, and books on them. */
#ifndef COSY_TESTS_SERVER_TEST_H
#define COSY_TESTS_SERVER_TEST_H

#include "net_test.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

/* What handlers did. */
struct books {
    int begun, ended, cancelled, last;
};

/* By whatever network the loop's kernel has. */
cosy_async __attribute__((unused)) static int try_to_connect(const struct cosy_address *address,
                                                             cosy_stream **ret_client)
{
    char host[COSY_ADDRESS_TEXT];
    cosy_address_host(address, host);
    *ret_client = NULL;
    return address->any.sa_family == AF_UNIX ? cosy_open_unix_connection(host, ret_client)
                                             : cosy_open_connection(host, cosy_address_port(address), ret_client);
}

cosy_async __attribute__((unused)) static int try_client(const cosy_server *server, cosy_stream **ret_client)
{
    struct cosy_address address;
    ck_assert_int_eq(cosy_server_address(server, 0, &address), 0);
    return try_to_connect(&address, ret_client);
}

cosy_async __attribute__((unused)) static cosy_stream *client_of(const cosy_server *server)
{
    cosy_stream *client;
    int result = try_client(server, &client);
    ck_assert_msg(result == 0, "connecting came to %s: %s", cosy_errname(result), cosy_error_message(result));
    return client;
}

/* How a server refuses: the error. */
cosy_async __attribute__((unused)) static int refusal(const cosy_server *server)
{
    cosy_stream *client;
    int result = try_client(server, &client);
    cosy_stream_close(client);
    return result;
}

/* A real client, also on a simulated kernel: for servers on real sockets. */
__attribute__((unused)) static cosy_stream *real_client(const cosy_server *server)
{
    struct cosy_address address;
    cosy_stream *client = NULL;
    ck_assert_int_eq(cosy_server_address(server, 0, &address), 0);
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, &address.any, address.size), 0);
    ck_assert_int_eq(cosy_stream_adopt(fd, &client), 0);
    return client;
}

/* A real socket with an address, which is listened on by nobody yet. */
__attribute__((unused)) static int real_socket(int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Lets the loop turn until something is so. */
#define until(condition)                                                                                               \
    do {                                                                                                               \
        for (int turns_ = 0; !(condition); turns_++) {                                                                 \
            ck_assert_msg(turns_ < 20000, "never: %s", #condition);                                                    \
            ck_assert_int_eq(cosy_sleep(COSY_US(50)), 0);                                                              \
        }                                                                                                              \
    } while (0)

__attribute__((unused)) static size_t clients(const cosy_server *server)
{
    struct cosy_server_stats stats;
    cosy_server_get_stats(server, &stats);
    return stats.connections;
}

/* Sends back what comes. */
cosy_async __attribute__((unused)) static int echo(cosy_stream *stream, struct books *books)
{
    int64_t length;
    books->begun++;
    COSY_CHUNKS (stream, chunk, length)
        if (cosy_write(stream, chunk, (size_t)length) < 0)
            break;
    books->cancelled += length == -ECANCELED;
    books->last = (int)length;
    books->ended++;
    return (int)length;
}

/* Does not look at its client at all. */
cosy_async __attribute__((unused)) static int sleep_long(cosy_stream *stream, struct books *books)
{
    (void)stream;
    books->begun++;
    int result = cosy_sleep(COSY_S(1000));
    books->cancelled += result == -ECANCELED;
    books->last = result;
    books->ended++;
    return result;
}

/* What the client reads to its end. */
__attribute__((unused)) static void ck_assert_reads(cosy_stream *client, const char *expected)
{
    char *text = NULL;
    int64_t length = cosy_read_all(client, &text, 0);
    ck_assert_msg(length >= 0, "reading came to %s", cosy_errname((int)length));
    ck_assert_str_eq(text, expected);
    free(text);
}

__attribute__((unused)) static void say_to(cosy_stream *client, const char *text)
{
    ck_assert_int_eq(cosy_write(client, text, strlen(text)), 0);
}

/* What comes back for a line. */
__attribute__((unused)) static void ck_assert_echoes(cosy_stream *client, const char *text)
{
    char *line;
    say_to(client, text);
    ck_assert_int_eq(cosy_readline(client, &line), (int64_t)strlen(text));
    ck_assert_str_eq(line, text);
}

#endif
