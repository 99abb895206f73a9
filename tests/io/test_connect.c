/* test_connect.c - connections: to one address, from one, to none. */
#include "net_test.h"

#include <netdb.h>
#include <netinet/tcp.h>

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

/* ---- what is said when there is no connection ---- */

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

TASK_TEST(refused_is_told_with_the_name_and_the_address)
{
    cosy_stream *stream;
    char expected[120];
    unsigned port = dead_port("127.0.0.1");
    ck_assert_int_eq(cosy_open_connection("localhost", port, &stream, .family = AF_INET), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "connecting to localhost:%u: 127.0.0.1:%u: Connection refused", port, port);
    ck_assert_str_eq(cosy_error_message(-ECONNREFUSED), expected);
    ck_assert_int_eq(cosy_open_connection(NULL, port, &stream, .family = AF_INET), -ECONNREFUSED);
    ck_assert_str_eq(cosy_error_message(-ECONNREFUSED), expected);
    return 0;
}

TASK_TEST(every_address_is_told_with_its_error)
{
    cosy_stream *stream;
    char expected[120];
    unsigned port = dead_port("127.0.0.1");
    int result = cosy_open_connection(NULL, port, &stream); /* ::1 and 127.0.0.1 */
    ck_assert_int_eq(result, -ECONNREFUSED);
    const char *message = cosy_error_message(result);
    snprintf(expected, sizeof expected, "connecting to localhost:%u: ", port);
    ck_assert_ptr_eq(strstr(message, expected), message);
    snprintf(expected, sizeof expected, "[::1]:%u: ", port);
    ck_assert_ptr_nonnull(strstr(message, expected));
    snprintf(expected, sizeof expected, "127.0.0.1:%u: Connection refused", port);
    ck_assert_ptr_nonnull(strstr(message, expected));
    ck_assert_ptr_nonnull(strstr(message, "; "));
    return 0;
}

TASK_TEST(a_name_that_nobody_knows_is_told)
{
    cosy_stream *stream = (void *)&expected_nothing;
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 80, &stream, .family = AF_INET6), -COSY_ENONAME);
    ck_assert_ptr_null(stream);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ENONAME), "looking up 127.0.0.1: "));
    return 0;
}

TASK_TEST(paths_where_nobody_listens_are_told)
{
    cosy_stream *stream;
    char expected[120], longer[200];
    struct cosy_address address;
    const char *path = socket_path();
    ck_assert_int_eq(cosy_open_unix_connection(path, &stream), -ENOENT);
    ck_assert_ptr_null(stream);
    snprintf(expected, sizeof expected, "connecting to %s: No such file or directory", path);
    ck_assert_str_eq(cosy_error_message(-ENOENT), expected);
    ck_assert_int_eq(cosy_address_unix(&address, path), 0);
    close_fd(listen_at(&address, 1, NULL));
    ck_assert_int_eq(cosy_open_unix_connection(path, &stream), -ECONNREFUSED);
    kernel()->net->remove_path(kernel(), path);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    ck_assert_int_eq(cosy_open_unix_connection(longer, &stream), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ENAMETOOLONG), "199 bytes are too many"));
    ck_assert_int_eq(cosy_open_unix_connection("", &stream), -EINVAL);
    return 0;
}

TASK_TEST(wrong_arguments_are_told)
{
    cosy_stream *stream;
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 65536, &stream), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "connecting to 127.0.0.1:65536: ports end at 65535");
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 1, &stream, .local_port = 70000), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "connecting to 127.0.0.1:1 from port 70000: ports end at 65535");
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 1, (cosy_stream **)NULL), -EINVAL);
    ck_assert_int_eq(cosy_open_unix_connection("/x", (cosy_stream **)NULL), -EINVAL);
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 1, &stream, .stream.high_water = 10, .stream.low_water = 11),
                     -EINVAL);
    ck_assert_int_eq(cosy_open_unix_connection("/x", &stream, .stream.high_water = 10, .stream.low_water = 11),
                     -EINVAL);
    ck_assert_ptr_null(stream);
    return 0;
}

START_TEST(outside_a_task_it_is_told)
{
    cosy_stream *stream;
    begin_test();
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", 1, &stream), -COSY_ENOTASK);
    logs("cosy_open_connection was called outside a task");
    ck_assert_int_eq(cosy_open_unix_connection("/x", &stream), -COSY_ENOTASK);
    logs("cosy_open_unix_connection was called outside a task");
}
END_TEST

/* ---- options ---- */

static int option_of(const cosy_stream *stream, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    ck_assert_int_eq(cosy_stream_getsockopt(stream, level, name, &value, &size), 0);
    return value;
}

TASK_TEST(little_is_sent_at_once_unless_told_otherwise)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    cosy_stream *stream;
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream), 0);
    ck_assert_int_ne(option_of(stream, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .stream.delay = true), 0);
    ck_assert_int_eq(option_of(stream, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

TASK_TEST(options_of_the_stream_arrive)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    cosy_stream *stream, *other;
    char *line;
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .stream.limit = 10), 0);
    ck_assert_int_eq(cosy_stream_adopt(accept_at(listener, NULL), &other), 0);
    ck_assert_int_eq(cosy_write(other, "a line of many bytes\n", 21), 0);
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    (void)cosy_stream_close(other);
    close_fd(listener);
    return 0;
}

TASK_TEST(a_connection_may_come_from_a_given_address_and_port)
{
    unsigned port, local_port = dead_port("127.0.0.7");
    int listener = listen_on("127.0.0.1", &port);
    cosy_stream *stream;
    struct cosy_address peer, own;
    char text[COSY_ADDRESS_TEXT], expected[80];
    ck_assert_int_eq(
        cosy_open_connection("127.0.0.1", port, &stream, .local_host = "127.0.0.7", .local_port = local_port), 0);
    close_fd(accept_at(listener, &peer));
    snprintf(expected, sizeof expected, "127.0.0.7:%u", local_port);
    ck_assert_str_eq(cosy_address_text(&peer, text), expected);
    ck_assert_int_eq(cosy_stream_sockname(stream, &own), 0);
    ck_assert(cosy_address_equal(&own, &peer));
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    local_port = dead_port("127.0.0.1");
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .local_port = local_port), 0);
    close_fd(accept_at(listener, &peer));
    ck_assert_uint_eq(cosy_address_port(&peer), local_port);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

TASK_TEST(what_is_wrong_with_the_local_address_is_told)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    cosy_stream *stream;
    char expected[120];
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .local_host = "198.51.100.9"), -EADDRNOTAVAIL);
    snprintf(expected, sizeof expected,
             "connecting to 127.0.0.1:%u from 198.51.100.9:0: Cannot assign requested address", port);
    ck_assert_str_eq(cosy_error_message(-EADDRNOTAVAIL), expected);
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .local_host = "::1"), -EADDRNOTAVAIL);
    snprintf(expected, sizeof expected,
             "connecting to 127.0.0.1:%u from addresses of another family: Cannot assign requested address", port);
    ck_assert_str_eq(cosy_error_message(-EADDRNOTAVAIL), expected);
    ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &stream, .local_host = "127.0.0.1", .local_port = port),
                     -EADDRINUSE);
    snprintf(expected, sizeof expected, "connecting to 127.0.0.1:%u from 127.0.0.1:%u: Address already in use", port,
             port);
    ck_assert_str_eq(cosy_error_message(-EADDRINUSE), expected);
    close_fd(listener);
    return 0;
}

TASK_TEST(a_port_may_have_a_name)
{
    cosy_stream *stream;
    bool known = getservbyname("telnet", "tcp"); /* small systems have no /etc/services */
    int result = cosy_open_connection("127.0.0.9", 1, &stream, .service = "telnet");
    ck_assert_int_eq(result, known ? -ECONNREFUSED : -COSY_ENONAME);
    if (known)
        ck_assert_str_eq(cosy_error_message(result), "connecting to 127.0.0.9:23: Connection refused");
    ck_assert_int_eq(cosy_open_connection("127.0.0.9", 1, &stream, .service = "no-such-service"), -COSY_ENONAME);
    return 0;
}

/* ---- a server that is slow to accept ---- */

cosy_async static int open_and_close(const char *path)
{
    cosy_stream *stream;
    cosy_try(cosy_open_unix_connection(path, &stream));
    return cosy_stream_close(stream);
}

TASK_TEST(a_full_backlog_is_waited_for)
{
    struct cosy_address address;
    cosy_task *tasks[3];
    const char *path = socket_path();
    ck_assert_int_eq(cosy_address_unix(&address, path), 0);
    int listener = listen_at(&address, 0, NULL);
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(open_and_close, path);
    ck_assert_int_eq(cosy_sleep(COSY_MS(5)), 0);
    ck_assert(cosy_task_done(tasks[0]));
    ck_assert(!cosy_task_done(tasks[2]));
    cosy_task_cancel(tasks[1]);
    ck_assert_int_eq(cosy_await(tasks[1]), -ECANCELED);
    close_fd(accept_at(listener, NULL));
    ck_assert_int_eq(cosy_await(tasks[0]), 0);
    ck_assert_int_eq(cosy_await(tasks[2]), 0);
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    close_fd(listener);
    kernel()->net->remove_path(kernel(), path);
    return 0;
}

/* ---- cancelled and starved ---- */

struct place {
    int listener, unix_listener;
    unsigned port;
    const char *path;
};

static struct place open_place(void)
{
    struct place place = {.path = socket_path()};
    struct cosy_address address;
    place.listener = listen_on("127.0.0.1", &place.port);
    ck_assert_int_eq(cosy_address_unix(&address, place.path), 0);
    place.unix_listener = listen_at(&address, 16, NULL);
    return place;
}

static void close_place(const struct place *place)
{
    close_fd(place->listener);
    close_fd(place->unix_listener);
    kernel()->net->remove_path(kernel(), place->path);
}

cosy_async static int open_both(const struct place *place)
{
    cosy_stream *one, *other;
    int result = cosy_open_connection("127.0.0.1", place->port, &one, .local_host = "127.0.0.1");
    if (result < 0)
        return result;
    result = cosy_open_unix_connection(place->path, &other);
    if (result == 0)
        (void)cosy_stream_close(other);
    (void)cosy_stream_close(one);
    return result;
}

cosy_async static int open_in_a_place(void)
{
    struct place place = open_place();
    int result = open_both(&place);
    close_place(&place);
    return result;
}

START_TEST(cancelled_at_any_wait_nothing_is_left)
{
    begin_test();
    int fds = entries("/proc/self/fd"), rounds;
    rounds = cosy_test_explore((.seeds = 10, .cancel_each_wait = true), open_in_a_place);
    ck_assert_msg(rounds >= 10, "%s", logged);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
}
END_TEST

TASK_TEST(without_memory_nothing_is_left)
{
    struct place place = open_place();
    ck_assert_int_eq(open_both(&place), 0);
    int fds = settled_descriptors();
    long counted = 1;
    for (long n = 1; counted >= n; n++) {
        cosy_heap_fail_nth(n, false);
        int result = open_both(&place);
        counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_msg(result == 0 || (counted >= n && result == -ENOMEM), "allocation %ld: %s", n,
                      cosy_errname(result));
        close_fd(accept_if_any(place.listener));
        close_fd(accept_if_any(place.unix_listener));
        ck_assert_int_eq(settled_descriptors(), fds);
    }
    close_place(&place);
    return 0;
}

/* ---- small stacks ---- */

/* A sanitizer's own frames are large; so are valgrind's stand-ins for parts of libc. */
static size_t small_stack(void)
{
    return UNDER_SANITIZER ? 65536 : under_valgrind() ? 8192 : 4096;
}

cosy_async static int open_one(unsigned port, const char *path)
{
    cosy_stream *stream;
    cosy_try(path ? cosy_open_unix_connection(path, &stream) : cosy_open_connection("127.0.0.1", port, &stream));
    return cosy_stream_close(stream);
}

TASK_TEST(small_stacks_are_large_enough)
{
    struct place place = open_place();
    cosy_scoped(cosy_task) one =
        cosy_create_task_with((.stack_size = small_stack()), open_one, place.port, (const char *)NULL);
    cosy_scoped(cosy_task) other = cosy_create_task_with((.stack_size = small_stack()), open_one, 0u, place.path);
    cosy_scoped(cosy_task) refused =
        cosy_create_task_with((.stack_size = small_stack()), open_one, dead_port("127.0.0.1"), (const char *)NULL);
    ck_assert_int_eq(cosy_await(one), 0);
    ck_assert_int_eq(cosy_await(other), 0);
    ck_assert_int_eq(cosy_await(refused), -ECONNREFUSED);
    close_place(&place);
    return 0;
}

TESTS_MAIN("connect", a_connection_carries_bytes, a_unix_connection_carries_bytes, refused_is_told_with_the_address,
           refused_is_told_with_the_name_and_the_address, every_address_is_told_with_its_error,
           a_name_that_nobody_knows_is_told, paths_where_nobody_listens_are_told, wrong_arguments_are_told,
           outside_a_task_it_is_told, little_is_sent_at_once_unless_told_otherwise, options_of_the_stream_arrive,
           a_connection_may_come_from_a_given_address_and_port, what_is_wrong_with_the_local_address_is_told,
           a_port_may_have_a_name, a_full_backlog_is_waited_for, cancelled_at_any_wait_nothing_is_left,
           without_memory_nothing_is_left, small_stacks_are_large_enough)
