/* test_server_end.c - how servers end: closed, waited for, drained, aborted, freed. */
#include "server_test.h"

#define START(server, handler, books, ...)                                                                             \
    ck_assert_int_eq(cosy_start_server((server), handler, (books), "127.0.0.1", 0, __VA_ARGS__), 0)

/* ---- waiting ---- */

cosy_async static int wait_closed(cosy_server *server)
{
    return cosy_server_wait_closed(server);
}

TASK_TEST(who_waits_goes_on_when_it_is_closed_and_has_no_client)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, echo, &books);
    cosy_scoped(cosy_task) early = cosy_create_task(wait_closed, server);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(early)); /* no client, not closed */
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_scoped(cosy_task) second = cosy_create_task(wait_closed, server);
    cosy_try(cosy_yield());
    cosy_server_close(server);
    cosy_server_close(server);
    cosy_scoped(cosy_task) third = cosy_create_task(wait_closed, server);
    for (int i = 0; i < 10; i++)
        cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(early) && !cosy_task_done(second) && !cosy_task_done(third)); /* closed, one client */
    ck_assert_echoes(client, "served all the same\n");
    cosy_try(cosy_stream_close(client));
    ck_assert_int_eq(cosy_await(early), 0);
    ck_assert_int_eq(cosy_await(second), 0);
    ck_assert_int_eq(cosy_await(third), 0);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_server_wait_closed(server), 0);
    ck_assert_uint_eq(turns(), before); /* at once */
    ck_assert(!cosy_server_is_serving(server));
    ck_assert_uint_eq(cosy_server_sockets(server, NULL, 0), 0);
    ck_assert_int_eq(books.ended, 1);
    cosy_server_free(server);
    return 0;
}

static void close_server(void *server)
{
    cosy_server_close(server);
}

static void abort_stream(void *stream)
{
    cosy_stream_abort(stream);
}

/* CPython's test_wait_closed_race: both in one turn. */
TASK_TEST(a_close_and_the_last_clients_end_may_come_together)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, echo, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_scoped(cosy_task) waiting = cosy_create_task(wait_closed, server);
    cosy_try(cosy_yield());
    cosy_try(cosy_call_soon(cosy_running_loop(), close_server, server, NULL));
    cosy_try(cosy_call_soon(cosy_running_loop(), abort_stream, client, NULL));
    ck_assert_int_eq(cosy_server_wait_closed(server), 0);
    ck_assert_int_eq(cosy_await(waiting), 0);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

TASK_TEST(a_cancelled_wait_does_nothing_to_the_server)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, echo, &books);
    ck_assert_int_eq(cosy_wait_for(cosy_call(wait_closed, server), COSY_MS(1)), -ETIMEDOUT);
    ck_assert(cosy_server_is_serving(server));
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "still there\n");
    cosy_try(cosy_stream_close(client));
    return 0;
}

TASK_TEST(a_closed_server_refuses)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, echo, &books, .max_connections = 1);
    cosy_stream *client = client_of(server), *queued = client_of(server); /* the second one in the kernel's queue */
    cosy_server_close(server);
    char byte;
    ck_assert_int_eq(cosy_read(queued, &byte, 1), -ECONNRESET);
    ck_assert_echoes(client, "served\n");
    cosy_try(cosy_stream_close(queued));
    cosy_try(cosy_stream_close(client));
    ck_assert_int_eq(refusal(server), -ECONNREFUSED);
    ck_assert_int_eq(cosy_serve_forever(server), -COSY_ECLOSED);
    ck_assert_str_eq(cosy_error_message(-COSY_ECLOSED), "server 'echo' is closed");
    struct cosy_address address;
    ck_assert_int_eq(cosy_server_address(server, 0, &address), 0); /* where it was is still known */
    return 0;
}

/* ---- ending clients ---- */

TASK_TEST(closing_clients_ends_their_input)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, echo, &books);
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "x\n");
    cosy_server_close(server);
    cosy_server_close_clients(server);
    ck_assert_int_eq(cosy_server_wait_closed(server), 0);
    ck_assert_int_eq(books.last, 0); /* the end, no error */
    ck_assert_reads(client, "");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

cosy_async static int fill_the_peer(cosy_stream *stream, struct books *books)
{
    static char much[100000];
    int result = 0;
    books->begun++;
    while (result == 0)
        result = cosy_write(stream, much, sizeof much);
    books->last = result;
    books->ended++;
    return result;
}

TASK_TEST(aborting_clients_ends_also_those_that_do_not_read)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, fill_the_peer, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_try(cosy_sleep(COSY_MS(5)));
    ck_assert_int_eq(books.ended, 0);
    cosy_server_close(server);
    cosy_server_abort_clients(server);
    ck_assert_int_eq(cosy_server_wait_closed(server), 0);
    ck_assert_int_eq(books.last, -ECONNABORTED);
    char byte;
    int64_t got;
    while ((got = cosy_read(client, &byte, 1)) > 0) /* what had come, and then no orderly end */
        ;
    ck_assert_int_eq(got, -ECONNRESET);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0; /* run_body: that it was aborted is not logged */
}

/* ---- serve_forever ---- */

cosy_async static int serve(cosy_server *server)
{
    return cosy_serve_forever(server);
}

TASK_TEST(serving_for_ever_ends_when_the_server_is_closed_and_its_clients_have_gone)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, echo, &books, .start_later = true);
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_try(cosy_yield());
    ck_assert(cosy_server_is_serving(server)); /* it began */
    ck_assert_int_eq(cosy_serve_forever(server), -COSY_EINVALIDSTATE);
    ck_assert_str_eq(cosy_error_message(-COSY_EINVALIDSTATE), "server 'echo' is already in cosy_serve_forever");
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "a\n");
    cosy_server_close(server);
    cosy_try(cosy_sleep(COSY_MS(1)));
    ck_assert(!cosy_task_done(serving));
    cosy_try(cosy_stream_close(client));
    ck_assert_int_eq(cosy_await(serving), 0);
    cosy_server_free(server);
    return 0;
}

TASK_TEST(a_cancel_of_serving_for_ever_closes_cancels_and_waits)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, sleep_long, &books);
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_task_cancel(serving);
    ck_assert_int_eq(cosy_await(serving), -ECANCELED);
    ck_assert_int_eq(books.cancelled, 1);
    ck_assert(!cosy_server_is_serving(server));
    ck_assert_uint_eq(clients(server), 0);
    ck_assert_reads(client, "");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

/* CPython's test_start_server_1. */
struct shop {
    cosy_task *main;
};

cosy_async static int close_the_shop(cosy_stream *stream, struct shop *shop)
{
    char *line;
    int64_t length = cosy_readline(stream, &line);
    cosy_task_cancel(shop->main);
    return length < 0 ? (int)length : cosy_write(stream, "1", 1);
}

TASK_TEST(a_handler_may_cancel_who_serves_and_still_answer)
{
    struct shop shop = {0};
    char hello[5 * 1024 + 2];
    cosy_server *server;
    memset(hello, '1', sizeof hello);
    strcpy(hello + 5 * 1024, "\n");
    START(&server, close_the_shop, &shop, .start_later = true);
    shop.main = cosy_create_task(serve, server);
    until(cosy_server_is_serving(server));
    cosy_stream *client = client_of(server);
    say_to(client, hello);
    ck_assert_reads(client, "1");
    ck_assert_int_eq(cosy_await(shop.main), -ECANCELED);
    cosy_task_drop(shop.main);
    ck_assert_int_eq(cosy_serve_forever(server), -COSY_ECLOSED);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

/* It goes on in spite of a cancel, and ends only when its stream does. */
cosy_async static int stay_on(cosy_stream *stream, struct books *books)
{
    int64_t length;
    char byte;
    books->begun++;
    while ((length = cosy_read(stream, &byte, 1)) == -ECANCELED)
        books->cancelled++;
    books->last = (int)length;
    books->ended++;
    return (int)length;
}

TASK_TEST(one_more_cancel_resets_the_connections)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, stay_on, &books);
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_task_cancel(serving);
    until(books.cancelled == 1);
    ck_assert(!cosy_task_done(serving));
    cosy_task_cancel(serving);
    ck_assert_int_eq(cosy_await(serving), -ECANCELED);
    ck_assert_int_eq(books.last, -ECONNABORTED);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

/* ---- draining ---- */

TASK_TEST(drained_clients_that_end_in_time_are_not_disturbed)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, echo, &books);
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "1\n");
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_scoped(cosy_task) drain = cosy_create_task(cosy_server_drain, server, COSY_S(30), COSY_S(5));
    until(!cosy_server_is_serving(server));
    ck_assert_int_eq(refusal(server), -ECONNREFUSED);
    ck_assert_echoes(client, "2\n");
    cosy_try(cosy_stream_close(client));
    ck_assert_int_eq(cosy_await(drain), 0);
    ck_assert_int_eq(cosy_await(serving), 0); /* serve_forever returns when it is drained */
    ck_assert_int_eq(books.cancelled, 0);
    ck_assert_int_eq(cosy_server_drain(server, 0, 0), 0); /* there is nothing left */
    return 0;
}

TASK_TEST(a_drains_limit_cancels_what_is_left)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, sleep_long, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_ns limit = simulated() ? COSY_S(30) : COSY_MS(5), before = now();
    ck_assert_int_eq(cosy_server_drain(server, limit, COSY_S(5)), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT),
                     "server 'sleep_long' was drained, and 1 of its clients had to be cancelled");
    ck_assert_int_ge(now() - before, limit);
    if (simulated())
        ck_assert_int_le(now() - before, limit + COSY_MS(1));
    ck_assert_int_eq(books.cancelled, 1);
    ck_assert_uint_eq(timers(), 0);
    cosy_try(cosy_stream_close(client));
    return 0;
}

TASK_TEST(a_drains_grace_aborts_what_is_left_then)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, stay_on, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_ns grace = simulated() ? COSY_S(5) : COSY_MS(5), before = now();
    ck_assert_int_eq(cosy_server_drain(server, 0, grace), -ETIMEDOUT);
    ck_assert_int_ge(now() - before, grace);
    ck_assert_int_ge(books.cancelled, 1);
    ck_assert_int_eq(books.last, -ECONNABORTED);
    cosy_try(cosy_stream_close(client));
    return 0;
}

TASK_TEST(a_cancelled_drain_hurries_and_waits_all_the_same)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    START(&server, stay_on, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_scoped(cosy_task) drain = cosy_create_task(cosy_server_drain, server, COSY_S(30), COSY_S(30));
    until(!cosy_server_is_serving(server));
    cosy_task_cancel(drain); /* ends the first wait */
    until(books.cancelled == 1);
    ck_assert(!cosy_task_done(drain));
    cosy_task_cancel(drain); /* ends the grace */
    ck_assert_int_eq(cosy_await(drain), -ECANCELED);
    ck_assert_int_eq(books.last, -ECONNABORTED);
    ck_assert_uint_eq(clients(server), 0);
    cosy_try(cosy_stream_close(client));
    return 0;
}

/* Answers a cancel after a while. */
cosy_async static int swallow_late(cosy_stream *stream, struct books *books)
{
    (void)stream;
    books->begun++;
    (void)cosy_sleep(COSY_S(1000));
    (void)cosy_sleep(COSY_MS(3));
    books->ended++;
    return 0;
}

/* In a scope that cancels every wait the waits of the end do not spin. */
TASK_TEST(a_sticky_scope_does_not_make_the_end_spin)
{
    struct books books = {0};
    cosy_server *server;
    int err = 0;
    START(&server, swallow_late, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    uint64_t before = turns(), after = 0;
    COSY_SCOPE (err, .sticky = true, .after = COSY_MS(1)) {
        err = cosy_serve_forever(server);
        after = turns();
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(books.ended, 1);
    ck_assert_uint_lt(after - before, 50);
    cosy_try(cosy_stream_close(client));
    cosy_server_free(server);
    return 0;
}

/* ---- in one's own handler ---- */

static int own[4];

struct ring {
    cosy_server *server;
    struct books books;
};

cosy_async static int end_own_server(cosy_stream *stream, struct ring *ring)
{
    own[0] = cosy_server_wait_closed(ring->server);
    own[1] = cosy_server_drain(ring->server, COSY_NEVER, 0);
    own[2] = cosy_serve_forever(ring->server);
    ck_assert(cosy_server_is_serving(ring->server));
    cosy_server_close(ring->server);
    ring->books.ended++;
    return cosy_printf(stream, "closed");
}

TASK_TEST(a_handler_cannot_wait_for_its_own_end_but_may_close_its_server)
{
    struct ring ring = {0};
    START(&ring.server, end_own_server, &ring);
    cosy_stream *client = client_of(ring.server);
    ck_assert_int_eq(cosy_server_wait_closed(ring.server), 0);
    ck_assert_int_eq(own[0], -COSY_ESELF);
    ck_assert_int_eq(own[1], -COSY_ESELF);
    ck_assert_int_eq(own[2], -COSY_ESELF);
    ck_assert_reads(client, "closed");
    cosy_try(cosy_stream_close(client));
    cosy_server_free(ring.server);
    return 0;
}

cosy_async static int free_own_server(cosy_stream *stream, struct ring *ring)
{
    ring->books.begun++;
    if (ring->books.cancelled < 0)
        until(ring->books.cancelled == 0);
    cosy_server_free(ring->server);
    cosy_try(cosy_sleep(COSY_MS(1)));
    ring->books.ended++;
    return cosy_printf(stream, "freed");
}

/* In its first step, which is the accepting callback's; and later, while another client waits to be accepted. */
TASK_TEST(a_handler_may_free_its_server)
{
    for (int later = 0; later < 2; later++) {
        struct ring ring = {.books.cancelled = -later};
        START(&ring.server, free_own_server, &ring, .max_connections = 1);
        cosy_stream *client = client_of(ring.server), *other = later ? client_of(ring.server) : NULL;
        ring.books.cancelled = 0;
        ck_assert_reads(client, "freed");
        cosy_try(cosy_stream_close(client));
        char byte;
        if (later)
            ck_assert_int_eq(cosy_read(other, &byte, 1), -ECONNRESET);
        cosy_try(cosy_stream_close(other));
        ck_assert_int_eq(ring.books.ended, 1);
    }
    return 0;
}

/* ---- freeing ---- */

cosy_async static int clean_up_slowly(cosy_stream *stream, struct books *books)
{
    (void)stream;
    books->begun++;
    int result = cosy_sleep(COSY_S(1000));
    cosy_try(cosy_sleep(COSY_MS(2)));
    books->ended++;
    return result;
}

TASK_TEST(freeing_cancels_and_waits_for_the_handlers)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, clean_up_slowly, &books);
    cosy_stream *one = client_of(server), *two = client_of(server);
    until(books.begun == 2);
    cosy_server_free(server);
    ck_assert_int_eq(books.ended, 2);
    cosy_try(cosy_stream_close(one));
    cosy_try(cosy_stream_close(two));
    return 0;
}

cosy_async static int free_it(cosy_server *server, int *after)
{
    cosy_server_free(server);
    *after = cosy_sleep(COSY_S(1));
    return *after;
}

TASK_TEST(a_cancel_while_freeing_meets_the_next_wait)
{
    struct books books = {0};
    int after = 1;
    cosy_server *server;
    START(&server, stay_on, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_scoped(cosy_task) freeing = cosy_create_task(free_it, server, &after);
    until(books.cancelled == 1);
    cosy_task_cancel(freeing);
    ck_assert_int_eq(cosy_await(freeing), -ECANCELED);
    ck_assert_int_eq(after, -ECANCELED);
    ck_assert_int_eq(books.ended, 1);
    cosy_try(cosy_stream_close(client));
    return 0;
}

static void free_server(void *server)
{
    cosy_server_free(server);
}

TASK_TEST(outside_a_task_the_last_handler_frees_it)
{
    struct books books = {0};
    cosy_server *server;
    START(&server, clean_up_slowly, &books);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    cosy_try(cosy_call_soon(cosy_running_loop(), free_server, server, NULL));
    until(books.ended == 1);
    cosy_try(cosy_stream_close(client));
    return 0;
}

/* ---- loops that end ---- */

static cosy_server *left;
static struct books left_books;
static cosy_stream *left_client;

cosy_async static int start_and_leave(void)
{
    START(&left, stay_on, &left_books);
    left_client = client_of(left);
    until(left_books.begun == 1);
    return 0;
}

START_TEST(a_server_may_outlive_its_run)
{
    begin_test();
    int fds = entries("/proc/self/fd");
    memset(&left_books, 0, sizeof left_books);
    cosy_runner *runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(runner, start_and_leave), 0);
    ck_assert_int_eq(cosy_runner_run(runner, cosy_server_drain, left, 0, COSY_MS(1)), -ETIMEDOUT);
    ck_assert_int_eq(left_books.ended, 1);
    cosy_server_free(left); /* the loop does not run */
    cosy_stream_close(left_client);
    cosy_runner_free(runner);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
}
END_TEST

cosy_async static int start_and_leave_reading(void)
{
    START(&left, echo, &left_books);
    left_client = client_of(left);
    until(left_books.begun == 1);
    return 0;
}

START_TEST(a_server_is_freed_after_its_loop)
{
    begin_test();
    int fds = entries("/proc/self/fd");
    memset(&left_books, 0, sizeof left_books);
    ck_assert_int_eq(cosy_run(start_and_leave_reading), 0);
    ck_assert_int_eq(left_books.ended, 1); /* cancelled by the run's end */
    cosy_server_close_clients(left);
    cosy_server_abort_clients(left);
    cosy_server_cancel_clients(left);
    cosy_server_free(left);
    cosy_stream_close(left_client);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
}
END_TEST

/* Closed without being run to its end: its tasks do not return. */
START_TEST(a_loop_may_close_under_a_server)
{
    begin_test();
    int fds = entries("/proc/self/fd");
    memset(&left_books, 0, sizeof left_books);
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(start_and_leave)), 0);
    cosy_task *waiting;
    waiting = cosy_task_from_with((.loop = loop), cosy_call(wait_closed, left));
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    cosy_loop_free(loop);
    cosy_task_drop(waiting);
    cosy_server_free(left);
    cosy_stream_close(left_client);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
    logged[0] = 0; /* of tasks that were dropped */
}
END_TEST

/* ---- what is seen ---- */

/* Reading debug information opens files of its own. */
cosy_async static int look_at_the_tree(void)
{
    struct books books = {0};
    char tree[4000];
    cosy_scoped(cosy_server) server = NULL;
    START(&server, echo, &books, .name = "web");
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_stream *client = client_of(server);
    until(books.begun == 1);
    FILE *out = fmemopen(tree, sizeof tree, "w");
    cosy_print_tasks(out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(tree, "waits for the end of server web"));
    ck_assert_ptr_nonnull(strstr(tree, "- web 127.0.0.1:"));
    cosy_try(cosy_stream_close(client));
    cosy_server_close(server);
    return cosy_await(serving);
}

START_TEST(the_task_tree_says_what_is_waited_for)
{
    begin_test();
    ck_assert_int_eq(cosy_run(look_at_the_tree), 0);
}
END_TEST

/* ---- cancelled anywhere ---- */

cosy_async static int ask_once(cosy_server *server)
{
    cosy_stream *client;
    char *line;
    int64_t length = try_client(server, &client);
    if (length == 0)
        length = cosy_write(client, "ping\n", 5);
    if (length == 0)
        length = cosy_readline(client, &line);
    cosy_stream_close(client);
    return length == -ECANCELED ? -ECANCELED : 0; /* that the server went away is no failure here */
}

cosy_async static int whole_life(void)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    cosy_scoped(cosy_task) serving = cosy_create_task(serve, server);
    cosy_scoped(cosy_task) one = cosy_create_task(ask_once, server);
    cosy_scoped(cosy_task) two = cosy_create_task(ask_once, server);
    int result = cosy_await(one);
    if (result == 0)
        result = cosy_await(two);
    if (result == 0)
        result = cosy_server_drain(server, COSY_S(1), COSY_S(1));
    if (result == 0)
        result = cosy_await(serving);
    return result;
}

START_TEST(a_cancel_at_each_wait_leaves_nothing)
{
    begin_test();
    int result = cosy_test_explore((.seeds = 3, .cancel_each_wait = true, .any_result = true), whole_life);
    ck_assert_msg(result > 30, "%d: %s", result, logged);
}
END_TEST

TESTS_MAIN("server_end", who_waits_goes_on_when_it_is_closed_and_has_no_client,
           a_close_and_the_last_clients_end_may_come_together, a_cancelled_wait_does_nothing_to_the_server,
           a_closed_server_refuses, closing_clients_ends_their_input, aborting_clients_ends_also_those_that_do_not_read,
           serving_for_ever_ends_when_the_server_is_closed_and_its_clients_have_gone,
           a_cancel_of_serving_for_ever_closes_cancels_and_waits, a_handler_may_cancel_who_serves_and_still_answer,
           one_more_cancel_resets_the_connections, drained_clients_that_end_in_time_are_not_disturbed,
           a_drains_limit_cancels_what_is_left, a_drains_grace_aborts_what_is_left_then,
           a_cancelled_drain_hurries_and_waits_all_the_same, a_sticky_scope_does_not_make_the_end_spin,
           a_handler_cannot_wait_for_its_own_end_but_may_close_its_server, a_handler_may_free_its_server,
           freeing_cancels_and_waits_for_the_handlers, a_cancel_while_freeing_meets_the_next_wait,
           outside_a_task_the_last_handler_frees_it, a_server_may_outlive_its_run, a_server_is_freed_after_its_loop,
           a_loop_may_close_under_a_server, the_task_tree_says_what_is_waited_for, a_cancel_at_each_wait_leaves_nothing)
