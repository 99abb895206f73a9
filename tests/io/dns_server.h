/* dns_server.h - a name server on loopback for tests, which answers, errs, delays and misbehaves as the name's first
 * label says:
 *
 *     one      A 192.0.2.1 and AAAA 2001:db8::1        none     NXDOMAIN
 *     four     only A 192.0.2.4                        fail     SERVFAIL
 *     six      only AAAA 2001:db8::6                   refused  REFUSED
 *     alias    CNAME four.test and its A               never    nothing
 *     zero     as one, not to be kept                  late     as one, after 20 ms
 *     big      truncated, and as one over TCP          cut      the first half of an answer
 *     forged   with another id 192.0.2.66, then as one noise    what is no answer at all, with the right id
 *
 * and 192.0.2.7 is host.test. */
#ifndef COSY_TESTS_DNS_SERVER_H
#define COSY_TESTS_DNS_SERVER_H

#include "net_test.h"

enum { DNS_ROOM = 600, TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_AAAA = 28 };

struct dns_server {
    int udp, tcp, asked, by_tcp;     /* descriptors; queries that came */
    char servers[COSY_ADDRESS_TEXT]; /* for cosy_set_resolver */
    cosy_task *tasks[2];
};

struct dns_query {
    unsigned char packet[DNS_ROOM];
    size_t end;     /* of the question */
    char first[64]; /* label */
    int type;
};

static bool dns_parse(struct dns_query *query, size_t size)
{
    size_t at = 12, length;
    if (size < 17)
        return false;
    length = query->packet[at];
    if (length >= sizeof query->first || at + length >= size)
        return false;
    memcpy(query->first, query->packet + at + 1, length);
    query->first[length] = 0;
    while (at < size && query->packet[at])
        at += 1u + query->packet[at];
    if (at + 5 > size)
        return false;
    query->type = query->packet[at + 1] << 8 | query->packet[at + 2];
    query->end = at + 5;
    return true;
}

static size_t dns_put(unsigned char *packet, size_t at, int type, int ttl, const void *data, size_t size)
{
    unsigned char head[] = {0xc0, 12, 0, (unsigned char)type, 0, 1,
                            0,    0,  0, (unsigned char)ttl,  0, (unsigned char)size};
    memcpy(packet + at, head, sizeof head);
    memcpy(packet + at + sizeof head, data, size);
    packet[7]++;
    return at + sizeof head + size;
}

static bool dns_is(const struct dns_query *query, const char *label)
{
    return strcmp(query->first, label) == 0;
}

static int dns_code(const struct dns_query *query)
{
    if (query->type == TYPE_PTR)
        return dns_is(query, "7") ? 0 : 3;
    return dns_is(query, "none") ? 3 : dns_is(query, "fail") ? 2 : dns_is(query, "refused") ? 5 : 0;
}

/* The answer's size; 0: there is none. */
static size_t dns_answer(const struct dns_query *query, unsigned char *packet, bool tcp)
{
    static const unsigned char one6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1}, six[16] = {0x20, 1, 0xd, 0xb8, [15] = 6};
    size_t at = query->end;
    int ttl = dns_is(query, "zero") ? 0 : 60, type = query->type;
    bool both = dns_is(query, "one") || dns_is(query, "late") || dns_is(query, "zero") || dns_is(query, "forged") ||
                dns_is(query, "big") || dns_is(query, "cut");
    if (dns_is(query, "never"))
        return 0;
    memcpy(packet, query->packet, at);
    memcpy(packet + 2, (unsigned char[]){0x81, (unsigned char)(0x80 | dns_code(query)), 0, 1, 0, 0, 0, 0, 0, 0}, 10);
    if (dns_is(query, "big") && !tcp) {
        packet[2] |= 2;
        return at;
    }
    if (dns_is(query, "noise")) {
        memset(packet + 2, 0xff, at - 2);
        packet[2] = 0x81;
        packet[3] = 0x80;
        return at;
    }
    if (type == TYPE_PTR && dns_is(query, "7"))
        return dns_put(packet, at, type, ttl, "\4host\4test", 11);
    if (dns_is(query, "alias") && type == TYPE_A) {
        at = dns_put(packet, at, TYPE_CNAME, ttl, "\4four\4test", 11);
        size_t target = at - 11;
        at = dns_put(packet, at, type, ttl, (unsigned char[]){192, 0, 2, 4}, 4);
        packet[at - 16] = (unsigned char)(0xc0 | target >> 8);
        packet[at - 15] = (unsigned char)target;
        return at;
    }
    if (type == TYPE_A && (both || dns_is(query, "four")))
        at = dns_put(packet, at, type, ttl, (unsigned char[]){192, 0, 2, dns_is(query, "four") ? 4 : 1}, 4);
    if (type == TYPE_AAAA && (both || dns_is(query, "six")))
        at = dns_put(packet, at, type, ttl, both ? one6 : six, 16);
    return dns_is(query, "cut") ? query->end + (at - query->end) / 2 : at;
}

cosy_async static int dns_send(struct dns_server *server, const struct dns_query *query, const struct cosy_address *to)
{
    unsigned char answer[DNS_ROOM];
    size_t size = dns_answer(query, answer, false);
    if (dns_is(query, "late"))
        cosy_try(cosy_sleep(COSY_MS(20)));
    if (size > 0 && dns_is(query, "forged") && query->type == TYPE_A) {
        answer[0] ^= 0x55;
        answer[size - 1] = 66;
        cosy_try(cosy_sock_sendto(server->udp, answer, size, to));
        answer[0] ^= 0x55;
        answer[size - 1] = 1;
    }
    return size > 0 ? cosy_sock_sendto(server->udp, answer, size, to) : 0;
}

cosy_async static int dns_serve_udp(struct dns_server *server)
{
    struct dns_query query;
    struct cosy_address client;
    for (;;) {
        int size = cosy_try(cosy_sock_recvfrom(server->udp, query.packet, sizeof query.packet, &client));
        if (!dns_parse(&query, (size_t)size))
            continue;
        server->asked++;
        cosy_try(dns_send(server, &query, &client));
    }
}

cosy_async static int dns_serve_tcp(struct dns_server *server)
{
    struct dns_query query;
    unsigned char answer[DNS_ROOM + 2];
    for (;;) {
        cosy_stream *client = NULL;
        int fd = cosy_try(cosy_sock_accept(server->tcp, NULL));
        ck_assert_int_eq(cosy_stream_adopt(fd, &client), 0);
        while (cosy_readexactly(client, answer, 2) == 2) {
            size_t size = (size_t)(answer[0] << 8 | answer[1]);
            if (size > sizeof query.packet || cosy_readexactly(client, query.packet, size) != (int64_t)size)
                break;
            server->by_tcp++;
            size = dns_parse(&query, size) ? dns_answer(&query, answer + 2, true) : 0;
            answer[0] = (unsigned char)(size >> 8);
            answer[1] = (unsigned char)size;
            if (cosy_write(client, answer, size + 2) < 0)
                break;
        }
        cosy_stream_close(client);
    }
}

/* Starts one and makes it the loop's, by c-ares. The same port for both: UDP takes one, and TCP has to get it. */
cosy_async __attribute__((unused)) static void dns_begin(struct dns_server *server, cosy_ns timeout, int tries)
{
    struct cosy_address here = ip("127.0.0.1", 0);
    unsigned port;
    memset(server, 0, sizeof *server);
    do {
        server->tcp = listen_on("127.0.0.1", &port);
        server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        here = ip("127.0.0.1", port);
        if (bind(server->udp, &here.any, here.size) == 0)
            break;
        close(server->udp);
        close(server->tcp);
    } while (true);
    cosy_address_text(&here, server->servers);
    ck_assert_int_eq(
        cosy_set_resolver(COSY_RESOLVER_ARES, .servers = server->servers, .timeout = timeout, .tries = tries), 0);
    server->tasks[0] = cosy_create_task(dns_serve_udp, server);
    server->tasks[1] = cosy_create_task(dns_serve_tcp, server);
}

cosy_async __attribute__((unused)) static void dns_end(struct dns_server *server)
{
    for (int i = 0; i < 2; i++) {
        cosy_task_cancel(server->tasks[i]);
        int result = cosy_await(server->tasks[i]);
        ck_assert_msg(result == -ECANCELED || result == -ENOMEM, "%s", cosy_errname(result));
        cosy_task_drop(server->tasks[i]);
    }
    close(server->udp);
    close(server->tcp);
}

/* ---- one in a thread, by UDP alone: for tests in which the loop's memory and system calls fail ---- */

struct dns_thread {
    int udp;
    struct sockaddr_in here;
    char servers[32]; /* for cosy_set_resolver */
    pthread_t thread;
};

static void *dns_serve_in_thread(void *arg)
{
    struct dns_thread *server = arg;
    struct dns_query query;
    unsigned char answer[DNS_ROOM];
    struct sockaddr_in client;
    socklen_t size = sizeof client;
    ssize_t got;
    while ((got = recvfrom(server->udp, query.packet, sizeof query.packet, 0, (struct sockaddr *)&client, &size)) > 0) {
        size_t length = dns_parse(&query, (size_t)got) ? dns_answer(&query, answer, false) : 0;
        if (length > 0)
            sendto(server->udp, answer, length, 0, (struct sockaddr *)&client, size);
        size = sizeof client;
    }
    return arg;
}

__attribute__((unused)) static void dns_begin_thread(struct dns_thread *server)
{
    socklen_t size = sizeof server->here;
    server->here = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->udp, (struct sockaddr *)&server->here, size), 0);
    ck_assert_int_eq(getsockname(server->udp, (struct sockaddr *)&server->here, &size), 0);
    snprintf(server->servers, sizeof server->servers, "127.0.0.1:%u", ntohs(server->here.sin_port));
    ck_assert_int_eq(pthread_create(&server->thread, NULL, dns_serve_in_thread, server), 0);
}

__attribute__((unused)) static void dns_end_thread(struct dns_thread *server)
{
    sendto(server->udp, "", 0, 0, (struct sockaddr *)&server->here, sizeof server->here);
    pthread_join(server->thread, NULL);
    close(server->udp);
}

#endif
