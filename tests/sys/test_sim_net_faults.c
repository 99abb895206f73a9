/* The simulated network's character and its hosts: what goes wrong, how often, and that it is the seed's choice alone;
 * and calls and allocations that fail in turn. */
#include "net_test.h"

static void be(struct cosy_sys *sys, struct cosy_sim_character character)
{
    cosy_sim_set_character(sys, &character);
}

/* ---- torn, short, again ---- */

/* Sends a thousand bytes and reads them, as a program does; notes the size of each piece. */
static size_t carry(struct cosy_sys *sys, struct ends ends, int *sizes, size_t room)
{
    unsigned char out[1000], in[1000];
    size_t sent = 0, got = 0, pieces = 0;
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (unsigned char)(i * 7);
    for (int tries = 0; got < sizeof in && tries < 100000; tries++) {
        int n = sent < sizeof out ? put_bytes(sys, ends.near, out + sent, sizeof out - sent) : 0;
        ck_assert(n >= 0 || n == -EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
        int m = get_bytes(sys, ends.far, in + got, sizeof in - got);
        ck_assert(m > 0 || m == -EAGAIN);
        got += m > 0 ? (size_t)m : 0;
        if (pieces + 2 <= room) {
            sizes[pieces++] = n;
            sizes[pieces++] = m;
        }
    }
    ck_assert_uint_eq(got, sizeof in);
    ck_assert_int_eq(memcmp(in, out, sizeof in), 0);
    return pieces;
}

static size_t carried_by(uint64_t seed, int kind, int *sizes, size_t room)
{
    struct cosy_sys *sys = open_world(COSY_SYS_SIM, seed);
    struct ends ends = kind == 0 ? tcp_pair(sys) : kind == 1 ? unix_pair(sys, SOCK_STREAM) : pipe_pair(sys);
    be(sys, (struct cosy_sim_character){.torn_reads = true, .short_writes = true, .again_per_million = 200000});
    size_t pieces = carry(sys, ends, sizes, room);
    sys->ops->close(sys);
    return pieces;
}

START_TEST(the_seed_decides)
{
    for (int kind = 0; kind < 2; kind++) {
        int one[400], same[400], other[400];
        size_t pieces = carried_by(7, kind, one, 400);
        ck_assert_uint_gt(pieces, 4);
        ck_assert_uint_eq(carried_by(7, kind, same, 400), pieces);
        ck_assert_int_eq(memcmp(one, same, pieces * sizeof one[0]), 0);
        size_t others = carried_by(8, kind, other, 400);
        ck_assert(others != pieces || memcmp(one, other, pieces * sizeof one[0]) != 0);
    }
    int pipe[400];
    ck_assert_uint_gt(carried_by(7, 2, pipe, 400), 2);
}
END_TEST

SIMULATED(without_a_character_all_is_whole)
{
    int sizes[400];
    ck_assert_uint_eq(carry(sys, tcp_pair(sys), sizes, 400), 2);
}

/* Whoever waits for an edge after a false refusal gets one; so do those who believe that a short read means the end of
 * what is there. */
SIMULATED(false_refusals_are_followed_by_edges)
{
    struct ends ends[] = {tcp_pair(sys), unix_pair(sys, SOCK_STREAM), pipe_pair(sys)};
    be(sys, (struct cosy_sim_character){.torn_reads = true, .short_writes = true, .again_per_million = 500000});
    for (int kind = 0; kind < 3; kind++) {
        struct cosy_sys_event events[EVENTS];
        uint64_t reader, writer;
        int in, out, got = 0, sent = 0, waits = 0;
        char block[5000] = {0};
        ck_assert_int_eq(sys->ops->watch(sys, ends[kind].far, COSY_SYS_READ | COSY_SYS_EDGE, &in, &reader), 0);
        ck_assert_int_eq(sys->ops->watch(sys, ends[kind].near, COSY_SYS_WRITE | COSY_SYS_EDGE, &out, &writer), 0);
        while (got < (int)sizeof block) {
            int count = sys->ops->wait(sys, sys->ops->now(sys) + COSY_S(1), events, EVENTS);
            ck_assert_int_gt(count, 0); /* never stuck */
            ck_assert_int_lt(waits++, 100000);
            for (int i = 0; i < count; i++) { /* one call for each edge */
                if (events[i].data == &in && events[i].events & COSY_SYS_READ) {
                    int n = get_bytes(sys, ends[kind].far, block, sizeof block);
                    got += n > 0 ? n : 0;
                }
                if (events[i].data == &out && events[i].events & COSY_SYS_WRITE && sent < (int)sizeof block) {
                    int n = put_bytes(sys, ends[kind].near, block, sizeof block - (size_t)sent);
                    sent += n > 0 ? n : 0;
                }
            }
        }
        ck_assert_int_eq(sent, got);
    }
}

SIMULATED(false_alarms)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM), other = unix_pair(sys, SOCK_STREAM);
    struct cosy_sys_event events[EVENTS];
    int mark, alarms = 0;
    uint64_t id;
    be(sys, (struct cosy_sim_character){.alarm_per_million = 1000000});
    ck_assert_int_eq(sys->ops->watch(sys, ends.near, COSY_SYS_READ | COSY_SYS_EDGE, &mark, &id), 0);
    for (int i = 0; i < 100; i++) {
        ck_assert_sent(sys, other.near, "x");
        alarms += sys->ops->wait(sys, 0, events, EVENTS);
    }
    ck_assert_int_gt(alarms, 5);
    char byte;
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -EAGAIN); /* they were false */
}

/* ---- time ---- */

SIMULATED(latency_and_jitter)
{
    struct ends ends = tcp_pair(sys);
    char byte;
    be(sys, (struct cosy_sim_character){.latency = COSY_MS(5), .jitter = COSY_MS(3)});
    cosy_ns shortest = COSY_NEVER, longest = 0;
    for (int i = 0; i < 50; i++) {
        cosy_ns begun = sys->ops->now(sys);
        ck_assert_sent(sys, ends.near, "x");
        ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), -EAGAIN);
        await_ready(sys, ends.far, COSY_SYS_READ);
        ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), 1);
        cosy_ns took = sys->ops->now(sys) - begun;
        shortest = took < shortest ? took : shortest;
        longest = took > longest ? took : longest;
    }
    ck_assert_int_ge(shortest, COSY_MS(5));
    ck_assert_int_le(longest, COSY_MS(8));
    ck_assert_int_gt(longest - shortest, COSY_MS(1));
}

SIMULATED(the_bytes_of_a_connection_stay_in_order)
{
    struct ends ends = tcp_pair(sys);
    unsigned char out, in;
    be(sys, (struct cosy_sim_character){.jitter = COSY_MS(50)});
    for (int i = 0; i < 200; i++) {
        out = (unsigned char)i;
        ck_assert_int_eq(net->send(sys, ends.near, &out, 1, 0), 1);
        cosy_sim_advance(sys, COSY_MS(i % 7));
    }
    close_socket(sys, ends.near);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(receive(sys, ends.far, &in, 1), 1);
        ck_assert_uint_eq(in, (unsigned char)i);
    }
    ck_assert_int_eq(receive(sys, ends.far, &in, 1), 0); /* and the end behind them */
}

SIMULATED(a_window_opens_late_with_latency)
{
    struct ends ends = tcp_pair(sys);
    static char block[20000];
    be(sys, (struct cosy_sim_character){.latency = COSY_MS(10)});
    ck_assert_int_eq(set_number(sys, ends.near, SOL_SOCKET, SO_SNDBUF, 5000), 0);
    cosy_ns begun = sys->ops->now(sys);
    ck_assert_int_eq(net->send(sys, ends.near, block, sizeof block, 0), 10000);
    ck_assert_int_eq(net->send(sys, ends.near, block, 1, 0), -EAGAIN);
    await_ready(sys, ends.near, COSY_SYS_WRITE);
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_MS(10));
    ck_assert_int_eq(net->send(sys, ends.near, block, sizeof block, 0), 10000);
}

SIMULATED(connecting_takes_a_round_trip)
{
    int port, listener = listener4(sys, 1, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    be(sys, (struct cosy_sim_character){.latency = COSY_MS(10)});
    cosy_ns begun = sys->ops->now(sys);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EALREADY);
    ck_assert_uint_eq(ready_now(sys, fd), 0);
    char byte;
    ck_assert_int_eq(net->send(sys, fd, "x", 1, 0), -EAGAIN);
    ck_assert_int_eq(net->recv(sys, fd, &byte, 1, 0), -EAGAIN);
    await_ready(sys, fd, COSY_SYS_WRITE);
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_MS(20));
    int second = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(sys, second, "127.0.0.1", port), -EINPROGRESS);
    close_socket(sys, second); /* given up under way */
    int far = net->accept(sys, listener, NULL, NULL);
    ck_assert_int_ge(far, 0);
    cosy_sim_advance(sys, COSY_S(1));
    ck_assert_int_eq(net->accept(sys, listener, NULL, NULL), -EAGAIN);
}

SIMULATED(a_full_line_makes_tcp_try_again)
{
    int port, listener = listener4(sys, 0, &port), fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = new_socket(sys, AF_INET, SOCK_STREAM);
        ck_assert_int_eq(connect4(sys, fds[i], "127.0.0.1", port), -EINPROGRESS);
    }
    await_ready(sys, fds[0], COSY_SYS_WRITE);
    ck_assert_uint_eq(ready_now(sys, fds[1]), 0);
    cosy_ns begun = sys->ops->now(sys);
    ck_assert_int_ge(net->accept(sys, listener, NULL, NULL), 0);
    await_ready(sys, fds[1], COSY_SYS_WRITE);
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_S(1));
    ck_assert_int_eq(pending_error(sys, fds[1]), 0);
}

/* ---- resets, losses, limits ---- */

SIMULATED(connections_break_by_chance)
{
    int broken = 0;
    for (int i = 0; i < 100; i++) {
        be(sys, (struct cosy_sim_character){0});
        struct ends ends = tcp_pair(sys);
        be(sys, (struct cosy_sim_character){.reset_per_million = 200000});
        int result = net->send(sys, ends.near, "x", 1, 0);
        ck_assert(result == 1 || result == -ECONNRESET);
        if (result < 0) {
            char byte;
            broken++;
            await_ready(sys, ends.far, COSY_SYS_ERROR);
            ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), -ECONNRESET);
        }
        close_ends(sys, ends);
    }
    ck_assert_int_gt(broken, 5);
    ck_assert_int_lt(broken, 50);
}

SIMULATED(datagrams_get_lost_by_chance)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = new_socket(sys, AF_INET, SOCK_DGRAM), got = 0;
    char byte;
    ck_assert_int_eq(bind4(sys, far, "127.0.0.1", 0), 0);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    be(sys, (struct cosy_sim_character){.loss_per_million = 500000});
    for (int i = 0; i < 200; i++) {
        ck_assert_sent(sys, near, "x");
        got += net->recv(sys, far, &byte, 1, 0) == 1;
    }
    ck_assert_int_gt(got, 50);
    ck_assert_int_lt(got, 150);
}

SIMULATED(datagrams_overtake_each_other)
{
    int near = new_socket(sys, AF_INET, SOCK_DGRAM), far = new_socket(sys, AF_INET, SOCK_DGRAM), turned = 0;
    unsigned char byte, last = 0;
    ck_assert_int_eq(bind4(sys, far, "127.0.0.1", 0), 0);
    ck_assert_int_eq(connect4(sys, near, "127.0.0.1", port_of(sys, far)), 0);
    be(sys, (struct cosy_sim_character){.latency = COSY_MS(1), .jitter = COSY_MS(50)});
    for (int i = 0; i < 100; i++) {
        byte = (unsigned char)i;
        ck_assert_int_eq(net->send(sys, near, &byte, 1, 0), 1);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(receive(sys, far, &byte, 1), 1);
        turned += byte < last;
        last = byte;
    }
    ck_assert_int_gt(turned, 10);
    ck_assert_sent(sys, near, "x"); /* under way when the kernel closes: nothing leaks */
}

SIMULATED(no_more_descriptors)
{
    int port, listener = listener4(sys, 4, &port), fd = new_socket(sys, AF_INET, SOCK_STREAM), fds[2];
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(sys, fd, COSY_SYS_WRITE);
    be(sys, (struct cosy_sim_character){.most_descriptors = 2});
    ck_assert_int_eq(net->socket(sys, AF_INET, SOCK_STREAM, 0), -EMFILE);
    ck_assert_int_eq(net->pipe(sys, fds), -EMFILE);
    ck_assert_int_eq(net->socketpair(sys, AF_UNIX, SOCK_STREAM, 0, fds), -EMFILE);
    ck_assert_int_eq(net->accept(sys, listener, NULL, NULL), -EMFILE);
    be(sys, (struct cosy_sim_character){.most_descriptors = 3});
    ck_assert_int_eq(net->pipe(sys, fds), -EMFILE); /* not half a pipe */
    int far = net->accept(sys, listener, NULL, NULL);
    ck_assert_int_ge(far, 0); /* still in line */
    ck_assert_sent(sys, fd, "x");
    ck_assert_received(sys, far, "x");
}

/* ---- hosts ---- */

static void add(struct cosy_sys *sys, struct cosy_sim_host host)
{
    ck_assert_int_eq(cosy_sim_add_host(sys, &host), 0);
}

static int look(struct cosy_sys *sys, const char *name, int family, char *text, cosy_ns *ret_delay)
{
    struct sockaddr_storage addresses[8];
    char one[INET6_ADDRSTRLEN];
    int count = sys->net->look_up(sys, name, family, addresses, 8, ret_delay);
    *text = '\0';
    for (int i = 0; i < count; i++) {
        const void *at = addresses[i].ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&addresses[i])->sin_addr
                                                           : (void *)&((struct sockaddr_in6 *)&addresses[i])->sin6_addr;
        strcat(text, inet_ntop(addresses[i].ss_family, at, one, sizeof one));
        strcat(text, " ");
    }
    return count;
}

SIMULATED(names)
{
    char text[512];
    cosy_ns delay;
    ck_assert_int_eq(look(sys, "localhost", AF_UNSPEC, text, &delay), 2);
    ck_assert_str_eq(text, "::1 127.0.0.1 ");
    ck_assert_int_eq(look(sys, "localhost", AF_INET, text, &delay), 1);
    ck_assert_int_eq(look(sys, "::1", AF_UNSPEC, text, &delay), 1);
    ck_assert_int_eq(look(sys, "10.1.2.3", AF_UNSPEC, text, &delay), 1);
    ck_assert_str_eq(text, "10.1.2.3 ");
    ck_assert_int_eq(look(sys, "10.1.2.3", AF_INET6, text, &delay), -ENOENT);
    ck_assert_int_eq(look(sys, "db.example", AF_UNSPEC, text, &delay), -ENOENT);
    add(sys, (struct cosy_sim_host){.name = "db.example", .address = "2001:db8::7"});
    add(sys, (struct cosy_sim_host){.name = "db.example", .address = "10.0.0.1"});
    add(sys, (struct cosy_sim_host){.name = "DB.example", .address = "10.0.0.2", .lookup_delay = COSY_MS(30)});
    add(sys, (struct cosy_sim_host){.name = "db.example", .address = "10.0.0.2", .lookup_delay = COSY_MS(30)});
    ck_assert_int_eq(look(sys, "db.example", AF_UNSPEC, text, &delay), 3);
    ck_assert_str_eq(text, "2001:db8::7 10.0.0.1 10.0.0.2 ");
    ck_assert_int_eq(delay, COSY_MS(30));
    add(sys, (struct cosy_sim_host){.name = "broken.example", .lookup_error = -EAGAIN, .lookup_delay = COSY_S(5)});
    ck_assert_int_eq(look(sys, "broken.example", AF_UNSPEC, text, &delay), -EAGAIN);
    ck_assert_int_eq(delay, COSY_S(5));
    add(sys, (struct cosy_sim_host){.name = "empty.example"});
    ck_assert_int_eq(look(sys, "empty.example", AF_UNSPEC, text, &delay), -ENOENT);
    struct cosy_sim_host wrong = {.name = "x", .address = "not numeric"}, nothing = {0};
    ck_assert_int_eq(cosy_sim_add_host(sys, &wrong), -EINVAL);
    ck_assert_int_eq(cosy_sim_add_host(sys, &nothing), -EINVAL);
}

/* How a connect to it ends, and after what time. */
static int connects(struct cosy_sys *sys, const char *host, int port, cosy_ns *ret_time)
{
    int fd = new_socket(sys, AF_INET, SOCK_STREAM);
    cosy_ns begun = sys->ops->now(sys);
    int result = connect4(sys, fd, host, port);
    if (result == -EINPROGRESS) {
        struct cosy_sys_event events[EVENTS];
        uint64_t id;
        ck_assert_int_eq(sys->ops->watch(sys, fd, COSY_SYS_WRITE, &id, &id), 0);
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 1);
        sys->ops->close_fd(sys, -1, id);
        result = -pending_error(sys, fd);
    }
    *ret_time = sys->ops->now(sys) - begun;
    return result;
}

SIMULATED(hosts_behave)
{
    cosy_ns time;
    int listener = new_socket(sys, AF_INET, SOCK_STREAM);
    be(sys, (struct cosy_sim_character){.latency = COSY_MS(1)});
    ck_assert_int_eq(bind4(sys, listener, "0.0.0.0", 80), 0);
    ck_assert_int_eq(net->listen(sys, listener, 100), 0);
    ck_assert_int_eq(connects(sys, "10.0.0.1", 80, &time), -ENETUNREACH); /* nobody knows it */
    add(sys, (struct cosy_sim_host){.address = "10.0.0.1"});
    add(sys, (struct cosy_sim_host){.address = "10.0.0.2", .behaviour = COSY_SIM_REFUSES});
    add(sys, (struct cosy_sim_host){.address = "10.0.0.3", .behaviour = COSY_SIM_BLACK_HOLE});
    add(sys, (struct cosy_sim_host){.address = "10.0.0.4", .behaviour = COSY_SIM_NET_UNREACHABLE});
    add(sys, (struct cosy_sim_host){.address = "10.0.0.5", .behaviour = COSY_SIM_HOST_UNREACHABLE});
    add(sys, (struct cosy_sim_host){.address = "10.0.0.6", .delay = COSY_MS(200)});
    ck_assert_int_eq(connects(sys, "10.0.0.1", 80, &time), 0);
    ck_assert_int_eq(time, COSY_MS(2));
    ck_assert_int_eq(connects(sys, "10.0.0.1", 81, &time), -ECONNREFUSED);
    ck_assert_int_eq(connects(sys, "10.0.0.2", 80, &time), -ECONNREFUSED);
    ck_assert_int_eq(connects(sys, "10.0.0.3", 80, &time), -ETIMEDOUT);
    ck_assert_int_eq(time, COSY_S(127));
    ck_assert_int_eq(connects(sys, "10.0.0.4", 80, &time), -ENETUNREACH);
    ck_assert_int_eq(time, 0);
    ck_assert_int_eq(connects(sys, "10.0.0.5", 80, &time), -EHOSTUNREACH);
    ck_assert_int_eq(connects(sys, "10.0.0.6", 80, &time), 0);
    ck_assert_int_eq(time, COSY_MS(402));
    add(sys, (struct cosy_sim_host){.address = "10.0.0.6", .behaviour = COSY_SIM_REFUSES}); /* told anew */
    ck_assert_int_eq(connects(sys, "10.0.0.6", 80, &time), -ECONNREFUSED);
    int own = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(bind4(sys, own, "10.0.0.1", 80), -EADDRINUSE);
    ck_assert_int_eq(bind4(sys, own, "10.0.0.1", 8080), 0); /* a host's server is a socket of the instance */
}

SIMULATED(a_route_breaks_after_so_many_bytes)
{
    int listener = new_socket(sys, AF_INET, SOCK_STREAM), fd = new_socket(sys, AF_INET, SOCK_STREAM);
    char text[200] = {0};
    add(sys, (struct cosy_sim_host){.address = "10.0.0.1", .reset_after = 150});
    ck_assert_int_eq(bind4(sys, listener, "10.0.0.1", 80), 0);
    ck_assert_int_eq(net->listen(sys, listener, 1), 0);
    ck_assert_int_eq(connect4(sys, fd, "10.0.0.1", 80), -EINPROGRESS);
    int far = accept_one(sys, listener);
    ck_assert_int_eq(net->send(sys, fd, text, 100, 0), 100);
    ck_assert_int_eq(net->send(sys, far, text, 40, 0), 40);
    ck_assert_int_eq(net->send(sys, fd, text, 100, 0), 10);
    ck_assert_int_eq(net->send(sys, fd, text, 100, 0), -ECONNRESET);
    ck_assert_int_eq(net->recv(sys, far, text, sizeof text, 0), 110);
    ck_assert_int_eq(net->recv(sys, far, text, sizeof text, 0), -ECONNRESET);
}

SIMULATED(datagrams_to_hosts)
{
    int fd = new_socket(sys, AF_INET, SOCK_DGRAM);
    char byte;
    ck_assert_int_eq(connect4(sys, fd, "10.0.0.1", 53), -ENETUNREACH);
    add(sys, (struct cosy_sim_host){.address = "10.0.0.1", .behaviour = COSY_SIM_BLACK_HOLE});
    add(sys,
        (struct cosy_sim_host){.address = "10.0.0.2", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_MS(4)});
    ck_assert_int_eq(connect4(sys, fd, "10.0.0.1", 53), 0);
    ck_assert_sent(sys, fd, "x");
    ck_assert_int_eq(net->recv(sys, fd, &byte, 1, 0), -EAGAIN);
    ck_assert_int_eq(cosy_sim_next_delivery(sys), COSY_NEVER);
    int other = new_socket(sys, AF_INET, SOCK_DGRAM);
    ck_assert_int_eq(connect4(sys, other, "10.0.0.2", 53), 0);
    ck_assert_sent(sys, other, "x");
    await_ready(sys, other, COSY_SYS_READ);
    ck_assert_int_eq(net->recv(sys, other, &byte, 1, 0), -EHOSTUNREACH);
}

/* ---- each call, each allocation ---- */

/* A bit of everything; 0 or the first error. Whatever happens, all is closed. */
static int everything(struct cosy_sys *sys)
{
    const struct cosy_net_ops *net = sys->net;
    int fds[8] = {-1, -1, -1, -1, -1, -1, -1, -1}, result = 0, port;
    struct sockaddr_in address = ip4("127.0.0.1", 0);
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/run/cosy"};
    socklen_t size = sizeof address;
    struct cosy_net_file file;
    char text[600];
#define STEP(call)                                                                                                     \
    do {                                                                                                               \
        if ((result = (call)) < 0)                                                                                     \
            goto out;                                                                                                  \
    } while (0)
    STEP(fds[0] = net->socket(sys, AF_INET, SOCK_STREAM, 0));
    STEP(net->bind(sys, fds[0], (struct sockaddr *)&address, sizeof address));
    STEP(net->listen(sys, fds[0], 4));
    STEP(net->getsockname(sys, fds[0], (struct sockaddr *)&address, &size));
    STEP(fds[1] = net->socket(sys, AF_INET, SOCK_STREAM, 0));
    result = net->connect(sys, fds[1], (struct sockaddr *)&address, sizeof address);
    if (result != -EINPROGRESS)
        goto out;
    STEP(net->getsockopt(sys, fds[1], SOL_SOCKET, SO_TYPE, &port, &size)); /* lets it arrive */
    cosy_sim_advance(sys, COSY_S(1));                                      /* or arrive at its second try */
    STEP(fds[2] = net->accept(sys, fds[0], NULL, NULL));
    STEP(net->setsockopt(sys, fds[1], SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)));
    STEP(net->send(sys, fds[1], text, sizeof text, 0));
    STEP(net->recv(sys, fds[2], text, sizeof text, 0));
    STEP(net->shutdown(sys, fds[1], SHUT_WR));
    STEP(net->getpeername(sys, fds[1], (struct sockaddr *)&address, &size));
    STEP(net->socketpair(sys, AF_UNIX, SOCK_STREAM, 0, fds + 3));
    result = net->splice(sys, fds[3], fds[4], 1, false);
    if (result != -EINVAL)
        goto out;
    STEP(fds[5] = net->socket(sys, AF_UNIX, SOCK_DGRAM, 0));
    STEP(net->bind(sys, fds[5], (struct sockaddr *)&path, sizeof path));
    STEP(net->set_path_mode(sys, path.sun_path, 0600));
    STEP(net->examine_path(sys, path.sun_path, &file));
    STEP(net->pipe(sys, fds + 6));
    STEP(put_bytes(sys, fds[7], text, 10));
    STEP(get_bytes(sys, fds[6], text, 10));
    struct sockaddr_storage found;
    cosy_ns delay;
    STEP(net->look_up(sys, "localhost", AF_INET, &found, 1, &delay));
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {text, 10};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fds[6], sizeof(int));
    STEP(net->sendmsg(sys, fds[3], &message, 0)); /* left under way */
    result = 0;
out:
    for (int i = 0; i < 8; i++)
        if (fds[i] >= 0)
            close_socket(sys, fds[i]);
    cosy_sys_fail_nth(0, 0);
    cosy_heap_fail_nth(0, false);
    net->remove_path(sys, path.sun_path);
    return result;
}

SIMULATED(each_call_fails)
{
    static const int errors[] = {EINTR, ENOBUFS, EMFILE};
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
        for (long n = 1;; n++) {
            ck_assert_int_lt(n, 200);
            cosy_sys_fail_nth(n, errors[e]);
            int result = everything(sys);
            if (cosy_sys_counted() < n) {
                ck_assert_int_eq(result, 0);
                ck_assert_int_ge(n, 25);
                break;
            }
            ck_assert_int_eq(result, -errors[e]);
        }
}

SIMULATED(each_allocation_fails)
{
    cosy_heap_live();
    ck_assert_int_eq(everything(sys), 0); /* the table of descriptors grows */
    long live = cosy_heap_live();
    for (long n = 1;; n++) {
        ck_assert_int_lt(n, 200);
        cosy_heap_fail_nth(n, false);
        int result = everything(sys);
        ck_assert_int_eq(cosy_heap_live(), live);
        if (cosy_heap_counted() < n) {
            ck_assert_int_eq(result, 0);
            ck_assert_int_gt(n, 10);
            break;
        }
        ck_assert_msg(result == -ENOMEM || result == -ENOBUFS || result == 0, "allocation %ld: %d", n, result);
    }
}

NET_TEST_MAIN("simulated faults", {the_seed_decides, 1}, {without_a_character_all_is_whole, 1},
              {false_refusals_are_followed_by_edges, 1}, {false_alarms, 1}, {latency_and_jitter, 1},
              {the_bytes_of_a_connection_stay_in_order, 1}, {a_window_opens_late_with_latency, 1},
              {connecting_takes_a_round_trip, 1}, {a_full_line_makes_tcp_try_again, 1},
              {connections_break_by_chance, 1}, {datagrams_get_lost_by_chance, 1}, {datagrams_overtake_each_other, 1},
              {no_more_descriptors, 1}, {names, 1}, {hosts_behave, 1}, {a_route_breaks_after_so_many_bytes, 1},
              {datagrams_to_hosts, 1}, {each_call_fails, 1}, {each_allocation_fails, 1})
