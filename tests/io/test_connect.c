/* test_connect.c - connections: to one address, from one, to none. */
#include "net_test.h"

static char expected_nothing;

TASK_TEST(a_connection_carries_bytes)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    cosy_stream *stream;
    struct cosy_address peer, own;
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream), 0);
    says_hello(listener, stream);
    ck_assert_int_eq(cosy_stream_peername(stream, &peer), 0);
    own = ip("127.0.0.1", port);
    ck_assert(cosy_address_equal(&peer, &own));
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

TASK_TEST(a_unix_connection_carries_bytes)
{
    cosy_stream *stream;
    struct cosy_address address;
    const char *path = socket_path();
    ck_assert_int_eq(cosy_address_unix(&address, path), 0);
    int listener = listen_at(&address, 16, NULL);
    ck_assert_int_eq(cosy_open_unix_connection(path, &stream), 0);
    says_hello(listener, stream);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    kernel()->net->remove_path(kernel(), path);
    return 0;
}

TASK_TEST(refused_is_told_with_the_address)
{
    cosy_stream *stream = (void *)&expected_nothing;
    char expected[80];
    unsigned port = dead_port("127.0.0.1");
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream), -ECONNREFUSED);
    ck_assert_ptr_null(stream);
    snprintf(expected, sizeof expected, "connecting to 127.0.0.1:%u: Connection refused", port);
    ck_assert_str_eq(cosy_error_message(-ECONNREFUSED), expected);
    return 0;
}

TESTS_MAIN("connect", a_connection_carries_bytes, a_unix_connection_carries_bytes, refused_is_told_with_the_address)
