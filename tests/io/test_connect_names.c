/* test_connect_names.c - connections to a name with many addresses: in which order they are tried. */
#include "net_test.h"

#include <netdb.h>

#include "sys/sim/network.h"

/* ---- a name, and what the tests have it stand for ---- */

enum { MOST = 8 };

static char known[MOST][32], name[32];
static int known_count;

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
    *end = NULL;
    if (!host || strcmp(host, name) != 0)
        return EAI_NONAME;
    for (int i = 0; i < known_count; i++) {
        struct addrinfo *info = info_of(known[i], service);
        if (hints->ai_family != AF_UNSPEC && hints->ai_family != info->ai_family) {
            free(info);
            continue;
        }
        *end = info;
        end = &info->ai_next;
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

/* A new name for as many IPv4 and IPv6 addresses as are wanted ('4', '6'), at which nobody listens. */
static void know(const char *families)
{
    static int names;
    bool is_simulated = kernel()->net->look_up;
    snprintf(name, sizeof name, "many%d.test", ++names);
    for (known_count = 0; families[known_count]; known_count++) {
        char *text = known[known_count];
        const char *before = families[known_count] == '4' ? "" : is_simulated ? "2001:db8:5::" : "::ffff:";
        snprintf(text, sizeof known[0], is_simulated && *before ? "%s%d" : "%s127.0.0.%d", before, known_count + 1);
        if (is_simulated)
            ck_assert_int_eq(cosy_sim_add_host(kernel(), &(const struct cosy_sim_host){.name = name, .address = text}),
                             0);
    }
}

/* ---- the order ---- */

/* Where an address stands in a text: with its port behind it. */
static const char *place_of(int index, const char *message)
{
    char text[40];
    snprintf(text, sizeof text, strchr(known[index], ':') ? "[%s]:" : " %s:", known[index]);
    const char *place = strstr(message, text);
    ck_assert_msg(place != NULL, "%s is not in: %s", text, message);
    return place;
}

/* All of them are dead: the message tells the order, here as numbers of the addresses. */
cosy_async static const char *order(const char *families, unsigned port, cosy_ns delay, int interleave)
{
    static char numbers[MOST + 1];
    cosy_stream *stream;
    know(families);
    int result = cosy_open_connection(name, port, &stream, .happy_eyeballs_delay = delay, .interleave = interleave);
    ck_assert_msg(result == -ECONNREFUSED, "%s", cosy_errname(result));
    const char *message = cosy_error_message(result);
    memset(numbers, 0, sizeof numbers);
    for (int i = 0; i < known_count; i++) {
        int before = 0;
        for (int j = 0; j < known_count; j++)
            before += place_of(j, message) < place_of(i, message);
        numbers[before] = (char)('1' + i);
    }
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
    ck_assert_int_eq(cosy_open_connection(name, port, &stream), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "connecting to %s:%u: [%s]:%u: Connection refused; %s:%u: Connection refused",
             name, port, known[0], port, known[1], port);
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
    ck_assert_int_eq(cosy_open_connection(name, port, &stream), 0);
    ck_assert_int_eq(cosy_stream_peername(stream, &peer), 0);
    ck_assert_str_eq(cosy_address_host(&peer, text), "127.0.0.5");
    says_hello(listener, stream);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

TASK_TEST(only_the_wanted_family_is_tried)
{
    cosy_stream *stream;
    unsigned port = dead_port("127.0.0.1");
    know("6464");
    ck_assert_int_eq(cosy_open_connection(name, port, &stream, .family = AF_INET), -ECONNREFUSED);
    const char *message = cosy_error_message(-ECONNREFUSED);
    ck_assert_ptr_null(strchr(message, '['));
    ck_assert(place_of(1, message) < place_of(3, message));
    return 0;
}

TESTS_MAIN("connect_names", families_take_turns, the_first_family_may_have_a_longer_start,
           the_resolvers_order_can_be_kept, the_whole_story_is_told, of_many_one_that_answers_is_enough,
           only_the_wanted_family_is_tried)
