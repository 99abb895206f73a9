/* test_server.c - servers: started, serving, failing handlers. */
#include "server_test.h"

ASYNC_TEST(a_server_serves_each_client_by_a_task)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0), 0);
    cosy_stream *client = client_of(server);
    char *line;
    ck_assert_int_eq(cosy_write(client, "hello\n", 6), 0);
    ck_assert_int_eq(cosy_readline(client, &line), 6);
    ck_assert_str_eq(line, "hello\n");
    ck_assert_int_eq(cosy_stream_close(client), 0);
    until(books.ended == 1);
    return 0;
}

COSY_TEST_MAIN("server", a_server_serves_each_client_by_a_task)
