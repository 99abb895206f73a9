/* test_server.c - servers: how they are started, what handlers may do, and how their ends are told. */
#include "server_test.h"

TASK_TEST(each_client_is_served_by_a_task_named_after_it)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    ck_assert(cosy_server_is_serving(server));
    ck_assert_uint_gt(cosy_server_port(server), 0);
    cosy_stream *one = client_of(server), *two = client_of(server);
    ck_assert_echoes(one, "hello\n");
    ck_assert_echoes(two, "world\n");
    ck_assert_uint_eq(clients(server), 2);
    struct cosy_address address;
    char text[COSY_ADDRESS_TEXT], expected[200];
    ck_assert_int_eq(cosy_stream_sockname(one, &address), 0);
    snprintf(expected, sizeof expected, "echo %s", cosy_address_text(&address, text));
    cosy_task *tasks[3];
    ck_assert_uint_eq(cosy_all_tasks(NULL, tasks, 3), 3);
    bool found = false;
    for (int i = 0; i < 3; i++) {
        found |= strcmp(cosy_task_name(tasks[i]), expected) == 0;
        ck_assert(tasks[i] == cosy_current_task() || strcmp(cosy_task_function(tasks[i]), "echo") == 0);
    }
    ck_assert(found);
    cosy_try(cosy_stream_close(one));
    cosy_try(cosy_stream_close(two));
    until(books.ended == 2);
    ck_assert_uint_eq(clients(server), 0);
    struct cosy_server_stats stats;
    cosy_server_get_stats(server, &stats);
    ck_assert_uint_eq(stats.accepted, 2);
    ck_assert_uint_eq(stats.lost, 0);
    return 0;
}

/* ---- handlers ---- */

struct point {
    double x, y;
};

cosy_async static void takes_nothing_much(cosy_stream *stream, int number)
{
    cosy_printf(stream, "%d", number);
}

cosy_async static bool takes_a_real(cosy_stream *stream, double real)
{
    cosy_printf(stream, "%g", real);
    return true;
}

cosy_async static long takes_a_struct(cosy_stream *stream, struct point point)
{
    cosy_printf(stream, "%g %g", point.x, point.y);
    return 1;
}

cosy_async static int takes_text(cosy_stream *stream, const char *text)
{
    return cosy_printf(stream, "%s", text);
}

cosy_async static void serve_one(cosy_server *server, const char *expected)
{
    for (int i = 0; i < 2; i++) { /* twice: the call is kept */
        cosy_stream *client = client_of(server);
        ck_assert_reads(client, expected);
        ck_assert_int_eq(cosy_stream_close(client), 0);
    }
    cosy_server_free(server);
}

TASK_TEST(a_handlers_argument_is_of_any_type)
{
    cosy_server *server;
    struct point point = {1.5, -2};
    const char array[] = "an array";
    cosy_try(cosy_start_server(&server, takes_nothing_much, -7, "127.0.0.1", 0));
    serve_one(server, "-7");
    cosy_try(cosy_start_server(&server, takes_a_real, 3, "127.0.0.1", 0)); /* converted, as in a call */
    serve_one(server, "3");
    cosy_try(cosy_start_server(&server, takes_a_struct, point, "127.0.0.1", 0));
    serve_one(server, "1.5 -2");
    cosy_try(cosy_start_server(&server, takes_text, array, "127.0.0.1", 0));
    serve_one(server, "an array");
    return 0;
}

/* Its small frame is all that a client costs. */
cosy_async static int count_bytes(cosy_stream *stream, int *count)
{
    char byte;
    while (cosy_read(stream, &byte, 1) > 0)
        ++*count;
    return 0;
}

TASK_TEST(handlers_may_have_small_stacks)
{
    int count = 0;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, count_bytes, &count, "127.0.0.1", 0, .stack_size = COSY_STACK_SMALL,
                               .name = "counter"));
    cosy_stream *client = client_of(server);
    say_to(client, "12345");
    const int *counted = &count; /* by another task: clang takes a loop over `count` itself for an endless one */
    until(*counted == 5);
    cosy_task *tasks[2];
    ck_assert_uint_eq(cosy_all_tasks(NULL, tasks, 2), 2);
    cosy_task *handler = tasks[tasks[0] == cosy_current_task()];
    ck_assert_uint_eq(cosy_task_stack_size(handler), COSY_STACK_SMALL);
    ck_assert_msg(strncmp(cosy_task_name(handler), "counter 127.0.0.1:", 18) == 0, "%s", cosy_task_name(handler));
    cosy_try(cosy_stream_close(client));
    return 0;
}

cosy_async static int close_it_myself(cosy_stream *stream, struct books *books)
{
    books->begun++;
    cosy_try(cosy_printf(stream, "bye"));
    int result = cosy_stream_close(stream);
    cosy_try(cosy_sleep(COSY_MS(1)));
    books->ended++;
    return result;
}

TASK_TEST(a_handler_may_close_its_stream)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, close_it_myself, &books, "127.0.0.1", 0));
    cosy_stream *client = client_of(server);
    ck_assert_reads(client, "bye");
    ck_assert_uint_eq(clients(server), 1); /* it counts until its handler has returned */
    cosy_server_close_clients(server);
    cosy_server_abort_clients(server);
    until(books.ended == 1);
    cosy_try(cosy_stream_close(client));
    return 0;
}

static int detached;

cosy_async static int take_it_along(cosy_stream *stream, struct books *books)
{
    books->begun++;
    detached = cosy_stream_detach(stream, NULL, NULL);
    return detached < 0 ? detached : 0;
}

TASK_TEST(a_handler_may_take_the_socket_out)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, take_it_along, &books, "127.0.0.1", 0));
    cosy_stream *client = client_of(server);
    until(books.begun == 1 && clients(server) == 0);
    ck_assert_int_ge(detached, 0);
    ck_assert_int_eq(kernel()->net->send(kernel(), detached, "still here", 10, 0), 10);
    close_fd(detached);
    ck_assert_reads(client, "still here");
    cosy_try(cosy_stream_close(client));
    return 0;
}

/* What is written and not sent when the handler returns is sent then. */
cosy_async static int write_much(cosy_stream *stream, size_t *size)
{
    char *data = calloc(1, *size);
    int result = cosy_write(stream, data, *size);
    free(data);
    return result;
}

TASK_TEST(what_a_handler_wrote_is_sent_when_it_returns)
{
    size_t size = 5000000;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, write_much, &size, "127.0.0.1", 0, .stream.high_water = 8000000));
    cosy_stream *client = client_of(server);
    char *data;
    cosy_try(cosy_sleep(COSY_MS(1)));
    ck_assert_int_eq(cosy_read_all(client, &data, 0), (int64_t)size);
    free(data);
    cosy_try(cosy_stream_close(client));
    return 0;
}

/* ---- errors of handlers ---- */

cosy_async static int fail_soon(cosy_stream *stream, struct books *books)
{
    char *line;
    books->begun++;
    int64_t length = cosy_readline(stream, &line);
    books->ended++;
    return length < 0 ? (int)length : cosy_fail(EPROTO, "no such command: %.*s", (int)length - 1, line);
}

TASK_TEST(a_handlers_error_is_told_with_its_client_and_concerns_no_other)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, fail_soon, &books, "127.0.0.1", 0));
    cosy_stream *bad = client_of(server), *good = client_of(server);
    struct cosy_address address;
    char text[COSY_ADDRESS_TEXT], *line;
    cosy_try(cosy_stream_sockname(bad, &address));
    until(books.begun == 2);
    say_to(bad, "jump\n");
    ck_assert_int_eq(cosy_readline(bad, &line), -ECONNRESET); /* no orderly end: what came may be a part */
    cosy_try(cosy_stream_close(bad));
    ck_assert_ptr_nonnull(strstr(logged, "the handler of a client failed"));
    ck_assert_ptr_nonnull(strstr(logged, "EPROTO: no such command: jump"));
    ck_assert_ptr_nonnull(strstr(logged, cosy_address_text(&address, text)));
    ck_assert_ptr_nonnull(strstr(logged, "fail_soon"));
    logs("test_server.c:");
    ck_assert_uint_eq(clients(server), 1);
    say_to(good, "\n");
    ck_assert_int_eq(cosy_readline(good, &line), -ECONNRESET);
    logs("no such command: ");
    cosy_try(cosy_stream_close(good));
    return 0;
}

TASK_TEST(that_a_client_went_away_is_told_to_nobody)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_stream_abort(client);
    cosy_try(cosy_stream_close(client));
    until(books.ended == 1);
    ck_assert_int_eq(books.last, -ECONNRESET);
    return 0; /* run_body: nothing was logged */
}

static struct {
    int calls, error;
    cosy_task *task;
    char message[500], detail[2000];
} caught;

static void catch (cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    ck_assert_ptr_eq(arg, &caught);
    caught.calls++;
    caught.error = context->error;
    caught.task = context->task;
    snprintf(caught.message, sizeof caught.message, "%s", context->message);
    snprintf(caught.detail, sizeof caught.detail, "%s", context->detail ? context->detail : "");
}

TASK_TEST(the_programs_exception_handler_hears_of_it)
{
    struct books books = {0};
    memset(&caught, 0, sizeof caught);
    cosy_loop_set_exception_handler(cosy_running_loop(), catch, &caught);
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, fail_soon, &books, "127.0.0.1", 0, .stack_size = COSY_STACK_SMALL));
    cosy_stream *client = client_of(server);
    say_to(client, "x\n");
    until(caught.calls == 1);
    ck_assert_int_eq(caught.error, -EPROTO);
    ck_assert_ptr_nonnull(caught.task);
    ck_assert_ptr_nonnull(strstr(caught.message, "fail_soon 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(caught.detail, "no such command: x"));
    cosy_try(cosy_stream_close(client));
    until(clients(server) == 0);
    return 0;
}

TASK_TEST(a_cancelled_handler_closes_its_connection)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    cosy_stream *one = client_of(server), *two = client_of(server);
    ck_assert_echoes(one, "one\n");
    cosy_task *tasks[3];
    ck_assert_uint_eq(cosy_all_tasks(NULL, tasks, 3), 3);
    until(books.begun == 2);
    struct cosy_address address;
    char text[COSY_ADDRESS_TEXT];
    cosy_try(cosy_stream_sockname(one, &address));
    cosy_address_text(&address, text);
    for (int i = 0; i < 3; i++)
        if (strstr(cosy_task_name(tasks[i]), text))
            cosy_task_cancel(tasks[i]);
    ck_assert_reads(one, ""); /* an orderly end */
    ck_assert_int_eq(books.cancelled, 1);
    ck_assert_echoes(two, "two\n");
    cosy_try(cosy_stream_close(one));
    cosy_try(cosy_stream_close(two));
    return 0;
}

/* ---- context ---- */

static cosy_contextvar var = COSY_CONTEXTVAR("var", NULL);
static int values[2];

cosy_async static int look_at_context(cosy_stream *stream, int *next)
{
    (void)stream;
    values[(*next)++] = (int)(intptr_t)cosy_contextvar_get(&var);
    return cosy_contextvar_set(&var, (void *)99, NULL);
}

TASK_TEST(handlers_run_in_copies_of_the_starters_context)
{
    int next = 0;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_contextvar_set(&var, (void *)7, NULL));
    cosy_try(cosy_start_server(&server, look_at_context, &next, "127.0.0.1", 0));
    cosy_try(cosy_contextvar_set(&var, (void *)8, NULL));
    for (int i = 0; i < 2; i++) {
        cosy_stream *client = client_of(server);
        ck_assert_reads(client, "");
        cosy_try(cosy_stream_close(client));
    }
    ck_assert_int_eq(values[0], 7);
    ck_assert_int_eq(values[1], 7);
    return 0;
}

/* ---- starting ---- */

TASK_TEST(a_server_may_start_later)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .start_later = true));
    ck_assert(!cosy_server_is_serving(server));
    ck_assert_int_eq(refusal(server), -ECONNREFUSED);
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 1);
    cosy_try(cosy_server_start_serving(server));
    cosy_try(cosy_server_start_serving(server)); /* once more: nothing */
    ck_assert(cosy_server_is_serving(server));
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "there\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_close(server);
    ck_assert_int_eq(cosy_server_start_serving(server), -COSY_ECLOSED);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ECLOSED), "'echo' is closed"));
    return 0;
}

static int flag_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    ck_assert_int_eq(kernel()->net->getsockopt(kernel(), fd, level, name, &value, &size), 0);
    return value;
}

TASK_TEST(all_interfaces_have_a_socket_per_family_and_one_port)
{
    struct books books = {0};
    const char *hosts[] = {NULL, "", "localhost", "127.0.0.1,::1"};
    for (size_t i = 0; i < 4; i++) {
        int fds[4];
        cosy_server *server;
        struct cosy_address first, second;
        cosy_try(cosy_start_server(&server, echo, &books, hosts[i], 0));
        ck_assert_uint_eq(cosy_server_sockets(server, fds, 4), 2);
        cosy_try(cosy_server_address(server, 0, &first));
        cosy_try(cosy_server_address(server, 1, &second));
        ck_assert_int_eq(cosy_server_address(server, 2, &second), -ERANGE);
        ck_assert_int_eq(first.any.sa_family, AF_INET);
        ck_assert_int_eq(second.any.sa_family, AF_INET6);
        ck_assert_uint_eq(cosy_address_port(&first), cosy_address_port(&second));
        ck_assert_int_eq(flag_of(fds[1], IPPROTO_IPV6, IPV6_V6ONLY), 1);
        const char *loopbacks[] = {"127.0.0.1", "::1"};
        for (int j = 0; j < 2; j++) {
            struct cosy_address address;
            cosy_stream *client;
            cosy_try(cosy_address_parse(&address, loopbacks[j], cosy_server_port(server)));
            cosy_try(try_to_connect(&address, &client));
            ck_assert_echoes(client, "both\n");
            cosy_try(cosy_stream_close(client));
        }
        cosy_server_free(server);
    }
    return 0;
}

TASK_TEST(an_address_that_is_named_twice_has_one_socket)
{
    struct books books = {0};
    cosy_server *server;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1,127.0.0.2,127.0.0.1", 0));
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 2);
    cosy_server_free(server);
    return 0;
}

TASK_TEST(a_family_may_be_chosen)
{
    struct books books = {0};
    struct cosy_address address;
    cosy_server *server;
    cosy_try(cosy_start_server(&server, echo, &books, "localhost", 0, .family = AF_INET6));
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 1);
    cosy_try(cosy_server_address(server, 0, &address));
    ck_assert_int_eq(address.any.sa_family, AF_INET6);
    cosy_server_free(server);
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .family = AF_INET6), -EADDRNOTAVAIL);
    ck_assert_str_eq(cosy_error_message(-EADDRNOTAVAIL),
                     "cannot listen on 127.0.0.1: it has no address of that family");
    ck_assert_ptr_null(server);
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .family = AF_UNIX), -EINVAL);
    return 0;
}

cosy_async static int say_hello(cosy_stream *client, void *arg)
{
    (void)arg;
    return cosy_write(client, "hello\n", 6);
}

/* Whoever closes a server and starts the next one, without a wait in between, finds the port free. */
TASK_TEST(a_closed_server_leaves_its_port_at_once)
{
    unsigned port = 0;
    for (int i = 0; i < 3; i++) {
        cosy_server *server;
        cosy_stream *client;
        char *line;
        cosy_try(cosy_start_server(&server, say_hello, NULL, "127.0.0.1", port));
        port = cosy_server_port(server);
        cosy_try(cosy_open_connection("127.0.0.1", port, &client));
        ck_assert_int_eq(cosy_readline(client, &line), 6);
        cosy_stream_close(client);
        cosy_server_close(server);
        ck_assert_int_eq(cosy_open_connection("127.0.0.1", port, &client), -ECONNREFUSED);
        cosy_server_free(server);
    }
    return 0;
}

TASK_TEST(why_a_server_could_not_start_is_told_with_its_address)
{
    struct books books = {0};
    char text[COSY_ADDRESS_TEXT], expected[300];
    struct cosy_address address;
    cosy_server *server, *other;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    cosy_try(cosy_server_address(server, 0, &address));
    ck_assert_int_eq(cosy_start_server(&other, echo, &books, "127.0.0.1", cosy_server_port(server)), -EADDRINUSE);
    snprintf(expected, sizeof expected, "cannot listen on %s: Address already in use",
             cosy_address_text(&address, text));
    ck_assert_str_eq(cosy_error_message(-EADDRINUSE), expected);
    ck_assert_ptr_null(other);
    cosy_server_free(server);
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "203.0.113.7", 0), -EADDRNOTAVAIL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EADDRNOTAVAIL), "203.0.113.7:0"));
    if (simulated()) { /* no real resolver is asked */
        ck_assert_int_eq(cosy_start_server(&server, echo, &books, "no.such.host.invalid", 0), -COSY_ENONAME);
        ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ENONAME), "no.such.host.invalid"));
    }
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 65536), -EINVAL);
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .backlog = -1), -EINVAL);
    ck_assert_int_eq(cosy_start_server(NULL, echo, &books, "127.0.0.1", 0), -EINVAL);
    return 0;
}

TASK_TEST(an_address_that_is_not_here_is_left_out_while_another_is_left)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "203.0.113.7,127.0.0.1", 0));
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 1);
    cosy_server *none;
    ck_assert_int_eq(cosy_start_server(&none, echo, &books, "203.0.113.7,198.51.100.7", 0), -EADDRNOTAVAIL);
    return 0;
}

START_TEST(without_a_loop_there_is_no_server)
{
    struct books books = {0};
    cosy_server *server;
    begin_test();
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_start_unix_server(&server, echo, &books, "@cosy-nowhere"), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_start_server_on(&server, echo, &books, 0), -COSY_ENOLOOP);
    ck_assert(!cosy_server_is_serving(NULL));
    cosy_server_close(NULL);
    cosy_server_free(NULL);
}
END_TEST

TASK_TEST(servers_may_share_a_port)
{
    struct books books = {0};
    cosy_scoped(cosy_server) one = NULL;
    cosy_scoped(cosy_server) other = NULL;
    cosy_try(cosy_start_server(&one, echo, &books, "127.0.0.1", 0, .reuse_port = true));
    cosy_try(cosy_start_server(&other, echo, &books, "127.0.0.1", cosy_server_port(one), .reuse_port = true));
    cosy_stream *client[40];
    for (int i = 0; i < 40; i++)
        client[i] = client_of(one);
    until(books.begun == 40);
    ck_assert_uint_gt(clients(one), 0);
    ck_assert_uint_gt(clients(other), 0);
    for (int i = 0; i < 40; i++)
        cosy_try(cosy_stream_close(client[i]));
    return 0;
}

cosy_async static int tell_options(cosy_stream *stream, int *options)
{
    int fd = cosy_stream_fd(stream);
    options[0] = flag_of(fd, SOL_SOCKET, SO_KEEPALIVE);
    options[1] = flag_of(fd, IPPROTO_TCP, TCP_NODELAY);
    options[2]++;
    return 0;
}

TASK_TEST(options_of_connections_come_from_the_listening_socket)
{
    int options[3] = {0};
    for (int i = 0; i < 2; i++) {
        cosy_server *server;
        cosy_try(cosy_start_server(&server, tell_options, options, "127.0.0.1", 0, .keep_alive = i, .stream.delay = i));
        cosy_stream *client = client_of(server);
        until(options[2] == i + 1);
        ck_assert_int_eq(options[0] != 0, i);
        ck_assert_int_eq(options[1] != 0, !i);
        cosy_try(cosy_stream_close(client));
        cosy_server_free(server);
    }
    return 0;
}

/* ---- sockets of others ---- */

TASK_TEST(a_server_listens_on_a_socket_that_it_is_given)
{
    struct books books = {0};
    int fd = real_socket(SOCK_STREAM), found;
    cosy_server *server;
    cosy_try(cosy_start_server_on(&server, echo, &books, fd));
    ck_assert_uint_eq(cosy_server_sockets(server, &found, 1), 1);
    ck_assert_int_eq(found, fd);
    cosy_stream *client = real_client(server);
    ck_assert_echoes(client, "given\n");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* the server's, and gone with it */
    return 0;
}

TASK_TEST(what_cannot_be_listened_on_stays_its_owners)
{
    struct books books = {0};
    cosy_server *server;
    int udp = real_socket(SOCK_DGRAM), file = open("/dev/null", O_RDONLY), watched = real_socket(SOCK_STREAM);
    ck_assert_int_eq(cosy_start_server_on(&server, echo, &books, udp), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "a stream socket was expected"));
    ck_assert_int_eq(cosy_start_server_on(&server, echo, &books, file), -ENOTSOCK);
    ck_assert_int_eq(cosy_start_server_on(&server, echo, &books, 9999), -EBADF);
    cosy_try(cosy_add_reader(cosy_running_loop(), watched, (cosy_callback)abort, NULL));
    ck_assert_int_eq(cosy_start_server_on(&server, echo, &books, watched), -EEXIST);
    ck_assert_ptr_null(server);
    cosy_remove_reader(cosy_running_loop(), watched);
    cosy_try(cosy_start_server_on(&server, echo, &books, watched));
    cosy_server_free(server);
    ck_assert_int_eq(close(udp), 0);
    ck_assert_int_eq(close(file), 0);
    return 0;
}

/* Two servers of one loop here; of several threads in the example. */
TASK_TEST(listening_may_be_handed_to_several_servers)
{
    struct books books = {0};
    cosy_server *first, *second;
    int fd;
    cosy_try(cosy_start_server_on(&first, echo, &books, real_socket(SOCK_STREAM)));
    cosy_server_sockets(first, &fd, 1);
    cosy_try(cosy_start_server_on(&second, echo, &books, fcntl(fd, F_DUPFD_CLOEXEC, 0)));
    cosy_stream *client = real_client(first);
    ck_assert_echoes(client, "one of them\n");
    cosy_server_close(first);
    cosy_stream *later = real_client(first); /* the port is still listened on */
    ck_assert_echoes(later, "the other\n");
    ck_assert_uint_ge(clients(second), 1);
    cosy_try(cosy_stream_close(client));
    cosy_try(cosy_stream_close(later));
    cosy_server_free(first);
    cosy_server_free(second);
    return 0;
}

/* ---- how many ---- */

TASK_TEST(a_full_server_lets_clients_wait)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .max_connections = 2));
    cosy_stream *client[5];
    for (int i = 0; i < 5; i++)
        client[i] = client_of(server);
    until(books.begun == 2);
    for (int i = 0; i < 20; i++)
        cosy_try(cosy_sleep(COSY_US(50)));
    ck_assert_int_eq(books.begun, 2);
    for (int i = 0; i < 5; i++) { /* each that leaves lets one in */
        ck_assert_echoes(client[i], "in\n");
        ck_assert_uint_le(clients(server), 2);
        cosy_try(cosy_stream_close(client[i]));
    }
    until(books.ended == 5);
    return 0;
}

/* What a flood of clients must not take: other tasks' turns. */
TASK_TEST(a_batch_is_no_longer_than_the_backlog_and_one)
{
    struct books books = {0};
    cosy_stream *client[40];
    cosy_scoped(cosy_server) server = NULL;
    int fd = real_socket(SOCK_STREAM); /* real ones come without a turn of the loop */
    ck_assert_int_eq(listen(fd, 100), 0);
    cosy_try(cosy_start_server_on(&server, echo, &books, fd, .backlog = 9));
    ck_assert_int_eq(listen(fd, 100), 0); /* more wait than the server takes at a time */
    for (int i = 0; i < 40; i++)
        client[i] = real_client(server);
    ck_assert_int_eq(books.begun, 0);
    uint64_t last = turns();
    int before = 0, most = 0;
    while (books.begun < 40) {
        cosy_try(cosy_yield());
        ck_assert_uint_le(turns() - last, 1);
        last = turns();
        most = books.begun - before > most ? books.begun - before : most;
        before = books.begun;
    }
    ck_assert_int_eq(most, 10);
    for (int i = 0; i < 40; i++)
        cosy_try(cosy_stream_close(client[i]));
    until(books.ended == 40);
    return 0;
}

TASK_TEST(a_thousand_clients_come_and_go)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .backlog = 200));
    cosy_stream *client[100];
    for (int wave = 0; wave < 10; wave++) {
        for (int i = 0; i < 100; i++)
            client[i] = client_of(server);
        for (int i = 0; i < 100; i++)
            say_to(client[i], "ping\n");
        for (int i = 0; i < 100; i++) {
            char *line;
            ck_assert_int_eq(cosy_readline(client[i], &line), 5);
            cosy_try(cosy_stream_close(client[i]));
        }
    }
    until(clients(server) == 0);
    ck_assert_int_eq(books.ended, 1000);
    return 0;
}

TESTS_MAIN("server", each_client_is_served_by_a_task_named_after_it, a_handlers_argument_is_of_any_type,
           handlers_may_have_small_stacks, a_handler_may_close_its_stream, a_handler_may_take_the_socket_out,
           what_a_handler_wrote_is_sent_when_it_returns, a_handlers_error_is_told_with_its_client_and_concerns_no_other,
           that_a_client_went_away_is_told_to_nobody, the_programs_exception_handler_hears_of_it,
           a_cancelled_handler_closes_its_connection, handlers_run_in_copies_of_the_starters_context,
           a_server_may_start_later, all_interfaces_have_a_socket_per_family_and_one_port,
           an_address_that_is_named_twice_has_one_socket, a_family_may_be_chosen,
           a_closed_server_leaves_its_port_at_once, why_a_server_could_not_start_is_told_with_its_address,
           an_address_that_is_not_here_is_left_out_while_another_is_left, without_a_loop_there_is_no_server,
           servers_may_share_a_port, options_of_connections_come_from_the_listening_socket,
           a_server_listens_on_a_socket_that_it_is_given, what_cannot_be_listened_on_stays_its_owners,
           listening_may_be_handed_to_several_servers, a_full_server_lets_clients_wait,
           a_batch_is_no_longer_than_the_backlog_and_one, a_thousand_clients_come_and_go)
