/* test_connect_names.c - connections to a name with many addresses: in which order they are tried. */
#include "net_test.h"

#include <netdb.h>

/* ---- one name, and what the tests have it stand for ---- */

enum { MOST = 8 };

static const char *known[MOST];

static struct addrinfo *info_of(const char *host, const char *service)
{
    struct cosy_address address = ip(host, (unsigned)atoi(service));
    struct addrinfo *info = calloc(1, sizeof *info + address.size);
    ck_assert_ptr_nonnull(info);
    info->ai_family = address.any.sa_family;
    info->ai_socktype = SOCK_STREAM;
    info->ai_protocol = IPPROTO_TCP;
    info->ai_addrlen = address.size;
    info->ai_addr = memcpy(info + 1, &address.any, address.size);
    return info;
}

/* Instead of the C library's: nobody outside is asked. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    struct addrinfo **end = ret_list;
    (void)hints;
    *end = NULL;
    if (!host || strcmp(host, "many.test") != 0)
        return EAI_NONAME;
    for (int i = 0; i < MOST && known[i]; i++) {
        *end = info_of(known[i], service);
        end = &(*end)->ai_next;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list);
    }
}

/* IPv4 and IPv6 addresses of this machine, as many as are wanted: '4', '6'. */
static void know(const char *families)
{
    static char texts[MOST][32];
    memset(known, 0, sizeof known);
    for (int i = 0; families[i]; i++) {
        snprintf(texts[i], sizeof texts[i], "%s127.0.0.%d", families[i] == '6' ? "::ffff:" : "", i + 1);
        known[i] = texts[i];
    }
}

/* ---- the order ---- */

/* All of them are dead: the message tells the order, as numbers of the addresses. */
cosy_async static const char *order(const char *families, unsigned port, cosy_ns delay, int interleave)
{
    static char numbers[MOST + 1];
    cosy_stream *stream;
    size_t count = 0;
    know(families);
    int result =
        cosy_open_connection("many.test", port, &stream, .happy_eyeballs_delay = delay, .interleave = interleave);
    ck_assert_msg(result == -ECONNREFUSED, "%s", cosy_errname(result));
    for (const char *at = cosy_error_message(result); (at = strstr(at, "127.0.0.")); at++)
        numbers[count++] = at[strlen("127.0.0.")];
    numbers[count] = 0;
    return numbers;
}

TASK_TEST(families_take_turns)
{
    unsigned port = dead_port("127.0.0.1");
    ck_assert_str_eq(order("6664", port, 0, 0), "1423");
    ck_assert_str_eq(order("66644", port, 0, 0), "14253");
    ck_assert_str_eq(order("44666", port, 0, 0), "13245");
    ck_assert_str_eq(order("4646", port, 0, 0), "1234");
    ck_assert_str_eq(order("444", port, 0, 0), "123");
    ck_assert_str_eq(order("6", port, 0, 0), "1");
    ck_assert_str_eq(order("66666644", port, 0, 0), "17283456");
    return 0;
}

/* first_address_family_count of RFC 8305: asyncio's results for the same. */
TASK_TEST(the_first_family_may_have_a_longer_start)
{
    unsigned port = dead_port("127.0.0.1");
    ck_assert_str_eq(order("666644", port, 0, 1), "152634");
    ck_assert_str_eq(order("666644", port, 0, 2), "125364");
    ck_assert_str_eq(order("666644", port, 0, 3), "123546");
    ck_assert_str_eq(order("666644", port, 0, 5), "123456");
    ck_assert_str_eq(order("64464", port, 0, 2), "14235");
    return 0;
}

TASK_TEST(the_resolvers_order_can_be_kept)
{
    unsigned port = dead_port("127.0.0.1");
    ck_assert_str_eq(order("66644", port, 0, -1), "12345");
    ck_assert_str_eq(order("66644", port, -1, 0), "12345"); /* one after the other */
    ck_assert_str_eq(order("66644", port, -1, 1), "14253");
    return 0;
}

TASK_TEST(the_whole_story_is_told)
{
    cosy_stream *stream;
    char expected[300];
    unsigned port = dead_port("127.0.0.1");
    know("64");
    ck_assert_int_eq(cosy_open_connection("many.test", port, &stream), -ECONNREFUSED);
    snprintf(expected, sizeof expected,
             "connecting to many.test:%u: [::ffff:127.0.0.1]:%u: Connection refused; 127.0.0.2:%u: Connection refused",
             port, port, port);
    ck_assert_str_eq(cosy_error_message(-ECONNREFUSED), expected);
    return 0;
}

TASK_TEST(of_many_one_that_answers_is_enough)
{
    unsigned port;
    struct cosy_address any = ip("127.0.0.5", 0), peer;
    int listener = listen_at(&any, 16, &port);
    char text[COSY_ADDRESS_TEXT];
    cosy_stream *stream;
    know("444444");
    ck_assert_int_eq(cosy_open_connection("many.test", port, &stream), 0);
    ck_assert_int_eq(cosy_stream_peername(stream, &peer), 0);
    ck_assert_str_eq(cosy_address_host(&peer, text), "127.0.0.5");
    says_hello(listener, stream);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

TESTS_MAIN("connect_names", families_take_turns, the_first_family_may_have_a_longer_start,
           the_resolvers_order_can_be_kept, the_whole_story_is_told, of_many_one_that_answers_is_enough)
