/* test_address.c - addresses as text and back. */
#include "io_test.h"

#include <net/if.h>

static struct cosy_address address;
static char text[COSY_ADDRESS_TEXT];

static const char *round_trip(const char *host, unsigned port)
{
    ck_assert_msg(cosy_address_parse(&address, host, port) == 0, "%s", host);
    ck_assert_uint_eq(cosy_address_port(&address), port);
    return cosy_address_text(&address, text);
}

START_TEST(numbers_become_addresses_and_text_again)
{
    ck_assert_str_eq(round_trip("192.0.2.1", 80), "192.0.2.1:80");
    ck_assert_int_eq(address.any.sa_family, AF_INET);
    ck_assert_uint_eq(address.size, sizeof address.ip4);
    ck_assert_str_eq(cosy_address_host(&address, text), "192.0.2.1");
    ck_assert_str_eq(round_trip("0.0.0.0", 0), "0.0.0.0:0");
    ck_assert_str_eq(round_trip("2001:0db8:0:0:0:0:0:1", 65535), "[2001:db8::1]:65535");
    ck_assert_int_eq(address.any.sa_family, AF_INET6);
    ck_assert_uint_eq(address.size, sizeof address.ip6);
    ck_assert_str_eq(cosy_address_host(&address, text), "2001:db8::1");
    ck_assert_str_eq(round_trip("::", 1), "[::]:1");
    ck_assert_str_eq(round_trip("::ffff:192.0.2.1", 1), "[::ffff:192.0.2.1]:1");
}
END_TEST

START_TEST(what_is_no_number_is_refused)
{
    static const char *const bad[] = {
        "",
        "localhost",
        "1",
        "127.1",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1.1",
        "192.0.2.1 ",
        " ::1",
        "[::1]",
        ":::",
        "1::2::3",
        "fe80::1%",
        "fe80::1%no-such-zone",
        "g::1",
        "192.0.2.1%lo",
        "::1%",
        "0x7f.0.0.1",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "00000000000000000000000000000000000000000000000000000::1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(cosy_address_parse(&address, bad[i], 80) == -EINVAL, "\"%s\"", bad[i]);
        ck_assert_uint_eq(address.size, 0);
    }
    ck_assert_int_eq(cosy_address_parse(&address, "::1", 65536), -EINVAL);
    ck_assert_int_eq(cosy_address_parse(&address, NULL, 1), -EINVAL);
    ck_assert_int_eq(cosy_address_parse(NULL, "::1", 1), -EINVAL);
}
END_TEST

START_TEST(zones_are_names_or_numbers)
{
    unsigned index = if_nametoindex("lo");
    char expected[80];
    ck_assert_uint_gt(index, 0);
    ck_assert_str_eq(round_trip("fe80::1%lo", 80), "[fe80::1%lo]:80");
    ck_assert_uint_eq(address.ip6.sin6_scope_id, index);
    struct cosy_address by_name = address;
    snprintf(expected, sizeof expected, "fe80::1%%%u", index);
    ck_assert_str_eq(round_trip(expected, 80), "[fe80::1%lo]:80");
    ck_assert(cosy_address_equal(&address, &by_name));
    ck_assert_str_eq(round_trip("fe80::1%4000000000", 1), "[fe80::1%4000000000]:1"); /* no interface has that */
    ck_assert(!cosy_address_equal(&address, &by_name));
    ck_assert_int_eq(cosy_address_parse(&address, "fe80::1%5000000000", 1), -EINVAL);
    ck_assert_int_eq(cosy_address_parse(&address, "fe80::1%1x", 1), -EINVAL);
}
END_TEST

START_TEST(paths_become_addresses_and_text_again)
{
    char path[200];
    size_t limit = sizeof address.local.sun_path;
    ck_assert_int_eq(cosy_address_unix(&address, "/run/x.sock"), 0);
    ck_assert_int_eq(address.any.sa_family, AF_UNIX);
    ck_assert_uint_eq(address.size, offsetof(struct sockaddr_un, sun_path) + sizeof "/run/x.sock");
    ck_assert_str_eq(cosy_address_text(&address, text), "/run/x.sock");
    ck_assert_str_eq(cosy_address_host(&address, text), "/run/x.sock");
    ck_assert_uint_eq(cosy_address_port(&address), 0);
    ck_assert_int_eq(cosy_address_set_port(&address, 1), -EINVAL);
    memset(path, 'a', sizeof path);
    path[limit - 1] = 0;
    ck_assert_int_eq(cosy_address_unix(&address, path), 0); /* the longest */
    ck_assert_str_eq(cosy_address_text(&address, text), path);
    path[limit - 1] = 'a';
    path[limit] = 0;
    ck_assert_int_eq(cosy_address_unix(&address, path), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ENAMETOOLONG), "108 bytes are too many"));
    ck_assert_int_eq(cosy_address_unix(&address, ""), -EINVAL);
    ck_assert_int_eq(cosy_address_unix(&address, NULL), -EINVAL);
}
END_TEST

START_TEST(abstract_names_have_no_path)
{
    char path[200];
    size_t limit = sizeof address.local.sun_path;
    ck_assert_int_eq(cosy_address_unix(&address, "@cosy"), 0);
    ck_assert_uint_eq(address.size, offsetof(struct sockaddr_un, sun_path) + 5);
    ck_assert_mem_eq(address.local.sun_path, "\0cosy", 5);
    ck_assert_str_eq(cosy_address_text(&address, text), "@cosy");
    memcpy(address.local.sun_path + 1, "a\0b\n", 4);
    ck_assert_str_eq(cosy_address_text(&address, text), "@a?b?");
    memset(path, 'a', sizeof path);
    path[0] = '@';
    path[limit] = 0;
    ck_assert_int_eq(cosy_address_unix(&address, path), 0); /* no NUL behind it */
    ck_assert_str_eq(cosy_address_text(&address, text), path);
    path[limit] = 'a';
    path[limit + 1] = 0;
    ck_assert_int_eq(cosy_address_unix(&address, path), -ENAMETOOLONG);
}
END_TEST

START_TEST(what_kernels_give_is_told_too)
{
    address = (struct cosy_address){0};
    ck_assert_str_eq(cosy_address_text(&address, text), "nowhere");
    ck_assert_str_eq(cosy_address_text(NULL, text), "nowhere");
    ck_assert_uint_eq(cosy_address_port(&address), 0);
    ck_assert_uint_eq(cosy_address_port(NULL), 0);
    address = (struct cosy_address){.size = sizeof(sa_family_t), .any.sa_family = AF_UNIX};
    ck_assert_str_eq(cosy_address_text(&address, text), "unix:");
    address = (struct cosy_address){.size = 20, .any.sa_family = AF_NETLINK};
    ck_assert_str_eq(cosy_address_text(&address, text), "family 16");
    address = (struct cosy_address){.local = {.sun_family = AF_UNIX, .sun_path = "/tmp/\xc3\xa9"}};
    address.size = sizeof address.local; /* as accept may give it: with what is behind the NUL */
    ck_assert_str_eq(cosy_address_text(&address, text), "/tmp/\xc3\xa9");
}
END_TEST

START_TEST(ports_can_be_changed)
{
    ck_assert_str_eq(round_trip("192.0.2.1", 80), "192.0.2.1:80");
    ck_assert_int_eq(cosy_address_set_port(&address, 443), 0);
    ck_assert_uint_eq(cosy_address_port(&address), 443);
    ck_assert_str_eq(round_trip("::1", 80), "[::1]:80");
    ck_assert_int_eq(cosy_address_set_port(&address, 65535), 0);
    ck_assert_str_eq(cosy_address_text(&address, text), "[::1]:65535");
    ck_assert_int_eq(cosy_address_set_port(&address, 65536), -EINVAL);
    address = (struct cosy_address){0};
    ck_assert_int_eq(cosy_address_set_port(&address, 1), -EINVAL);
}
END_TEST

static bool equal(const char *a, unsigned port_a, const char *b, unsigned port_b)
{
    struct cosy_address one, other;
    ck_assert_int_eq(cosy_address_parse(&one, a, port_a), 0);
    ck_assert_int_eq(cosy_address_parse(&other, b, port_b), 0);
    memset(other.ip4.sin_zero, 7, other.any.sa_family == AF_INET ? sizeof other.ip4.sin_zero : 0); /* tells nothing */
    return cosy_address_equal(&one, &other) && cosy_address_equal(&other, &one);
}

START_TEST(equal_is_what_means_the_same)
{
    struct cosy_address one, other;
    ck_assert(equal("192.0.2.1", 80, "192.0.2.1", 80));
    ck_assert(!equal("192.0.2.1", 80, "192.0.2.1", 81));
    ck_assert(!equal("192.0.2.1", 80, "192.0.2.2", 80));
    ck_assert(equal("2001:db8::1", 80, "2001:DB8:0::1", 80));
    ck_assert(!equal("2001:db8::1", 80, "2001:db8::2", 80));
    ck_assert(!equal("2001:db8::1", 80, "2001:db8::1", 81));
    ck_assert(!equal("fe80::1%1", 80, "fe80::1%2", 80));
    ck_assert(!equal("::ffff:192.0.2.1", 80, "192.0.2.1", 80));
    ck_assert_int_eq(cosy_address_unix(&one, "/a"), 0);
    ck_assert_int_eq(cosy_address_unix(&other, "/a"), 0);
    ck_assert(cosy_address_equal(&one, &other));
    ck_assert_int_eq(cosy_address_unix(&other, "/b"), 0);
    ck_assert(!cosy_address_equal(&one, &other));
    ck_assert_int_eq(cosy_address_unix(&other, "@a"), 0);
    ck_assert(!cosy_address_equal(&one, &other));
    ck_assert_int_eq(cosy_address_unix(&one, "@thirteen-byte"), 0);
    ck_assert_int_eq(cosy_address_parse(&other, "192.0.2.1", 80), 0);
    ck_assert_uint_eq(one.size, other.size);
    ck_assert(!cosy_address_equal(&one, &other));
    one = other = (struct cosy_address){0};
    ck_assert(cosy_address_equal(&one, &other));
    ck_assert_int_eq(cosy_address_unix(&other, "@a"), 0);
    ck_assert(!cosy_address_equal(&one, &other));
    ck_assert(!cosy_address_equal(&other, &one));
}
END_TEST

TESTS_MAIN("address", numbers_become_addresses_and_text_again, what_is_no_number_is_refused, zones_are_names_or_numbers,
           paths_become_addresses_and_text_again, abstract_names_have_no_path, what_kernels_give_is_told_too,
           ports_can_be_changed, equal_is_what_means_the_same)
