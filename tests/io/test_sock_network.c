/* test_sock_network.c - sock_* calls and operations on the simulated network: bytes that come in pieces and late, false
 * alarms, calls that would block for nothing, connections that break, and a cancel at each wait. Always simulated,
 * whatever COSY_BACKEND says. */
#include "sock_test.h"

#include "loop/loop.h"
#include "sys/net.h"
#include "sys/sys.h"

enum { SIZE = 40000 };

struct net {
    struct cosy_sys *sys;
    const struct cosy_net_ops *ops;
};

static struct net net_here(void)
{
    struct cosy_sys *sys = loop_now()->sys;
    return (struct net){sys, sys->net};
}

static void put_away(int fd)
{
    struct net net = net_here();
    if (fd < 0)
        return;
    cosy_notify_closing(fd);
    net.sys->ops->close_fd(net.sys, fd, 0);
}

static int virtual_socket(void)
{
    struct net net = net_here();
    return net.ops->socket(net.sys, AF_INET, SOCK_STREAM, 0);
}

static int virtual_listener(struct cosy_address *ret_address)
{
    struct net net = net_here();
    int fd = virtual_socket();
    cosy_address_parse(ret_address, "127.0.0.1", 0);
    if (fd >= 0 && net.ops->bind(net.sys, fd, &ret_address->any, ret_address->size) == 0 &&
        net.ops->listen(net.sys, fd, 8) == 0 &&
        net.ops->getsockname(net.sys, fd, &ret_address->any, &ret_address->size) == 0)
        return fd;
    return -1;
}

/* ---- a conversation by tasks ---- */

struct talk {
    int listening, client, server;
    size_t sent, received;
    bool wrong;
};

cosy_async static int receiver(struct talk *talk)
{
    char buffer[3000];
    talk->server = cosy_try(cosy_sock_accept(talk->listening, NULL));
    for (int n; (n = cosy_try(cosy_sock_recv(talk->server, buffer, sizeof buffer))) > 0;)
        for (int i = 0; i < n; i++, talk->received++)
            talk->wrong |= buffer[i] != (char)(talk->received % 251);
    return 0;
}

cosy_async static int sender(struct talk *talk, const struct cosy_address *address, const char *bytes)
{
    struct net net = net_here();
    cosy_try(cosy_sock_connect(talk->client, address));
    int result = cosy_sock_sendall(talk->client, bytes, SIZE, &talk->sent);
    net.ops->shutdown(net.sys, talk->client, SHUT_WR);
    return result;
}

static bool lost_or_cancelled(int result)
{
    return result == 0 || result == -ECANCELED || result == -ECONNRESET || result == -EPIPE || result == -ENOTCONN;
}

/* Both to their ends, whichever is cancelled. */
cosy_async static int converse(bool breaks)
{
    static char bytes[SIZE];
    struct cosy_address address;
    struct talk talk = {.listening = virtual_listener(&address), .client = virtual_socket(), .server = -1};
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i % 251);
    cosy_task *in = cosy_create_task(receiver, &talk), *out = cosy_create_task(sender, &talk, &address, bytes);
    int sent = cosy_await(out), received;
    if (sent < 0) {
        put_away(talk.client); /* so that the receiver comes to its end */
        talk.client = -1;
        cosy_task_cancel(out);
    }
    if (sent < 0 && talk.server < 0)
        cosy_task_cancel(in);
    do
        received = cosy_await(in);
    while (received == -ECANCELED && !cosy_task_done(in));
    while (!cosy_task_done(out))
        (void)cosy_yield();
    cosy_test_expect(!talk.wrong);
    cosy_test_expect(talk.received <= talk.sent);
    cosy_test_expect(sent != 0 || received != 0 || talk.received == SIZE);
    cosy_test_expect(breaks || lost_or_cancelled(sent));
    cosy_task_drop(in);
    cosy_task_drop(out);
    put_away(talk.listening);
    put_away(talk.client);
    put_away(talk.server);
    return sent < 0 && !breaks ? sent : 0;
}

cosy_async static int calm(void)
{
    return converse(false);
}

cosy_async static int rough(void)
{
    cosy_try(cosy_test_network(.latency = COSY_MS(10), .jitter = COSY_MS(20), .torn_reads = true, .short_writes = true,
                               .again_per_million = 200000, .alarm_per_million = 200000));
    return converse(false);
}

cosy_async static int breaking(void)
{
    cosy_try(cosy_test_network(.latency = COSY_MS(10), .torn_reads = true, .reset_per_million = 20000));
    return converse(true);
}

#define EXPLORE(seeds_, cancels, fn)                                                                                   \
    do {                                                                                                               \
        begin_test();                                                                                                  \
        int result_ = cosy_test_explore((.seeds = (seeds_), .cancel_each_wait = (cancels), .any_result = true), fn);   \
        ck_assert_msg(result_ >= (cancels ? 20 : (seeds_)), "%d, %s: %s", result_, cosy_errname(result_), logged);     \
        logged[0] = 0;                                                                                                 \
    } while (0)

START_TEST(a_conversation_cancelled_anywhere)
{
    EXPLORE(2, true, calm);
}
END_TEST

START_TEST(a_conversation_in_pieces_cancelled_anywhere)
{
    EXPLORE(1, true, rough);
}
END_TEST

START_TEST(conversations_in_pieces)
{
    EXPLORE(100, false, rough);
}
END_TEST

START_TEST(connections_that_break)
{
    EXPLORE(100, false, breaking);
}
END_TEST

/* ---- connecting ---- */

cosy_async static int connecting(void)
{
    struct cosy_address address;
    cosy_try(cosy_test_network(.latency = COSY_MS(10)));
    cosy_try(cosy_test_add_host(NULL, "192.0.2.50", .behaviour = COSY_TEST_BLACK_HOLE));
    cosy_try(cosy_test_add_host(NULL, "192.0.2.51", .behaviour = COSY_TEST_REFUSES));
    cosy_try(cosy_address_parse(&address, "192.0.2.51", 80));
    int fd = virtual_socket();
    cosy_test_expect(cosy_sock_connect(fd, &address) == -ECONNREFUSED);
    put_away(fd);
    cosy_try(cosy_address_parse(&address, "192.0.2.50", 80));
    fd = virtual_socket();
    cosy_ns begun = now();
    cosy_test_expect(cosy_sock_connect(fd, &address) == -ETIMEDOUT);
    cosy_test_expect(now() - begun >= COSY_S(127));
    put_away(fd);
    fd = virtual_socket();
    cosy_test_expect(cosy_wait_for(cosy_call(cosy_sock_connect, fd, &address), COSY_S(1)) == -ETIMEDOUT);
    put_away(fd);
    return 0;
}

START_TEST(what_answers_late_or_never)
{
    begin_test();
    ck_assert_int_eq(cosy_test_run(connecting), 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- operations ---- */

struct echo {
    cosy_op accept, read, write;
    int fd;
    char buffer[512];
    size_t bytes;
    int64_t last;
};

static void on_written(cosy_op *op, int64_t result);

static void on_read(cosy_op *op, int64_t result)
{
    struct echo *echo = op->arg;
    echo->last = result;
    if (result > 0) {
        echo->bytes += (size_t)result;
        cosy_op_sendall(loop_now(), &echo->write, echo->fd, echo->buffer, (size_t)result);
    } else {
        put_away(echo->fd);
    }
}

static void on_written(cosy_op *op, int64_t result)
{
    struct echo *echo = op->arg;
    if (result > 0)
        cosy_op_recv(loop_now(), &echo->read, echo->fd, echo->buffer, sizeof echo->buffer, 0);
}

static void on_accepted(cosy_op *op, int64_t result)
{
    struct echo *echo = op->arg;
    echo->fd = (int)result;
    if (result >= 0) {
        cosy_op_hold_fd(loop_now(), echo->fd);
        on_written(&echo->write, 1);
    }
}

cosy_async static int operations(void)
{
    static struct echo echo;
    static char reply[SIZE];
    struct cosy_address address;
    struct net net = net_here();
    cosy_try(cosy_test_network(.latency = COSY_MS(5), .torn_reads = true, .short_writes = true,
                               .again_per_million = 200000, .alarm_per_million = 200000));
    memset(&echo, 0, sizeof echo);
    cosy_op_init(&echo.accept, on_accepted, &echo);
    cosy_op_init(&echo.read, on_read, &echo);
    cosy_op_init(&echo.write, on_written, &echo);
    int listening = virtual_listener(&address), fd = virtual_socket();
    cosy_try(cosy_op_accept(loop_now(), &echo.accept, listening, NULL, NULL));
    cosy_try(cosy_sock_connect(fd, &address));
    char *bytes = pattern(SIZE);
    cosy_scoped(cosy_task) sending = cosy_create_task(cosy_sock_sendall, fd, bytes, (size_t)SIZE, NULL);
    size_t size = 0;
    while (size < SIZE)
        size += (size_t)cosy_try(cosy_sock_recv(fd, reply + size, SIZE - size));
    cosy_try(cosy_await(sending));
    cosy_test_expect(memcmp(reply, bytes, SIZE) == 0 && echo.bytes == SIZE);
    free(bytes);
    net.ops->shutdown(net.sys, fd, SHUT_WR);
    cosy_test_expect(cosy_sock_recv(fd, reply, 1) == 0);
    cosy_test_expect(echo.last == 0);
    put_away(fd);
    put_away(listening);
    return 0;
}

START_TEST(an_echo_by_operations_in_pieces)
{
    begin_test();
    int result = cosy_test_explore((.seeds = 30), operations);
    ck_assert_msg(result > 0, "%s: %s", cosy_errname(result), logged);
}
END_TEST

TESTS_MAIN("sock_network", a_conversation_cancelled_anywhere, a_conversation_in_pieces_cancelled_anywhere,
           conversations_in_pieces, connections_that_break, what_answers_late_or_never, an_echo_by_operations_in_pieces)
