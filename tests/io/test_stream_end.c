/* How streams end: closing, aborting, the end of one direction, detaching, and loops that end before them. What they
 * tell about themselves. */
#include "stream_test.h"

#include <netinet/tcp.h>

/* ---- closing ---- */

ASYNC_TEST(close_sends_what_is_buffered)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        size_t before = stuff(ends[0]);
        ck_ok(cosy_write(ends[0], "the end", 7));
        struct drain_pipe pipe = {.stream = ends[1]};
        cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
        ck_ok(cosy_stream_close(ends[0]));
        ck_ok(cosy_await(reader));
        ck_assert_uint_eq(pipe.size, before + 7);
        ck_assert_int_eq(pipe.result, 0);
        ck_ok(cosy_stream_close(ends[1]));
    }
    return cosy_stream_close(NULL);
}

/* What was gathered in this turn needs no waiting. */
ASYNC_TEST(close_does_not_wait_for_what_the_kernel_takes)
{
    cosy_stream *ends[2];
    char text[10] = {0};
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], "ab", 2));
    ck_ok(cosy_write(ends[0], "cd", 2));
    struct cosy_loop_stats before, after;
    cosy_loop_get_stats(cosy_running_loop(), &before);
    ck_ok(cosy_stream_close(ends[0]));
    cosy_loop_get_stats(cosy_running_loop(), &after);
    ck_assert_uint_eq(before.turns, after.turns);
    ck_assert_int_eq(cosy_readexactly(ends[1], text, 4), 4);
    ck_assert_str_eq(text, "abcd");
    return cosy_stream_close(ends[1]);
}

ASYNC_TEST(close_waits_no_longer_than_its_grace)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .close_grace = COSY_MS(30)));
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "lost", 4));
    cosy_ns before = cosy_loop_time(cosy_running_loop());
    ck_assert_int_eq(cosy_stream_close(ends[0]), -ETIMEDOUT);
    ck_assert_contains(cosy_error_message(-ETIMEDOUT), "closing the stream to");
    ck_assert_int_ge(cosy_loop_time(cosy_running_loop()) - before, COSY_MS(30));
    ck_ok(cosy_stream_close(ends[1]));
    ck_ok(cosy_stream_pair(ends, .close_grace = -1));
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "lost", 4));
    ck_assert_int_eq(cosy_stream_close(ends[0]), -ETIMEDOUT);
    return cosy_stream_close(ends[1]);
}

cosy_async static int close_and_wait_once_more(cosy_stream *stream)
{
    int result = cosy_stream_close(stream);
    note("closed %d", result);
    note("then %d", cosy_sleep(0) == -ECANCELED);
    return 0;
}

/* A cancel does not keep the last bytes from being sent; it meets the next wait. */
ASYNC_TEST(a_cancelled_close_goes_on)
{
    for (int when = 0; when < 3; when++) {
        cosy_stream *ends[2];
        connect_streams(UNIX_SOCKETS, ends);
        size_t before = stuff(ends[0]);
        ck_ok(cosy_write(ends[0], "x", 1));
        cosy_scoped(cosy_task) closer = cosy_create_task(close_and_wait_once_more, ends[0]);
        struct drain_pipe pipe = {.stream = ends[1]};
        if (when == 0) { /* while it waits, twice */
            come_to_rest();
            cosy_task_cancel(closer);
            come_to_rest();
            cosy_task_cancel(closer);
            ck_assert(!cosy_task_done(closer));
        } else if (when == 1) { /* before it begins to wait */
            some_turns(0);
        }
        cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
        if (when == 1) {
            (void)cosy_yield();
            cosy_task_cancel(closer);
        }
        if (when == 2) { /* just when the last byte has gone */
            while (cosy_get_write_buffer_size(ends[0]) == 1 && !cosy_task_done(closer) && pipe.size < before)
                (void)cosy_sleep(0);
            cosy_task_cancel(closer);
        }
        ck_ok(cosy_await(closer));
        ck_assert_noted("closed 0 then 1");
        ck_ok(cosy_await(reader));
        ck_assert_uint_eq(pipe.size, before + 1);
        ck_ok(cosy_stream_close(ends[1]));
    }
    return 0;
}

/* Between its wake and its turn. */
ASYNC_TEST(a_close_that_is_cancelled_as_it_ends_has_sent_all)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "x", 1));
    cosy_scoped(cosy_task) closer = cosy_create_task(close_and_wait_once_more, ends[0]);
    come_to_rest();
    cosy_stream_lose(ends[0], -ECONNRESET); /* wakes it */
    cosy_task_cancel(closer);
    ck_ok(cosy_await(closer));
    char text[30];
    snprintf(text, sizeof text, "closed %d then 1", -ECONNRESET);
    ck_assert_noted(text);
    return cosy_stream_close(ends[1]);
}

cosy_async static int read_to_result(cosy_stream *stream)
{
    char text[10];
    return (int)cosy_read(stream, text, sizeof text);
}
cosy_async static int write_to_result(cosy_stream *stream, size_t size)
{
    static char data[10000000];
    return cosy_write(stream, data, size);
}

/* Whoever is in a call keeps the memory until it has left. */
ASYNC_TEST(close_wakes_who_waits_at_the_stream)
{
    for (enum conduit conduit = 0; conduit < PIPE; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        cosy_scoped(cosy_task) reader = cosy_create_task(read_to_result, ends[0]);
        cosy_scoped(cosy_task) writer = cosy_create_task(write_to_result, ends[0], (size_t)10000000);
        cosy_scoped(cosy_task) second = cosy_create_task(write_to_result, ends[0], (size_t)10);
        come_to_rest();
        ck_ok(cosy_stream_close(ends[0]));
        ck_assert_int_eq(cosy_await(reader), -COSY_ECLOSED);
        ck_assert_int_eq(cosy_await(writer), -COSY_ECLOSED);
        ck_assert_int_eq(cosy_await(second), -COSY_ECLOSED);
        ck_ok(cosy_stream_close(ends[1]));
    }
    return 0;
}

ASYNC_TEST(a_scope_closes_its_stream)
{
    int peer;
    {
        cosy_scoped(cosy_stream) stream = stream_to(&peer);
        ck_ok(cosy_write(stream, "x", 1));
    }
    char text[2];
    ck_assert_int_eq(read(peer, text, 2), 1);
    ck_assert_int_eq(read(peer, text, 2), 0);
    close(peer);
    return 0;
}

/* ---- aborting ---- */

ASYNC_TEST(abort_ends_at_once)
{
    for (enum conduit conduit = 0; conduit < PIPE; conduit++) {
        cosy_stream *ends[2];
        char text[10], *data;
        connect_streams(conduit, ends);
        cosy_scoped(cosy_task) reader = cosy_create_task(read_to_result, ends[0]);
        cosy_scoped(cosy_task) writer = cosy_create_task(write_to_result, ends[0], (size_t)10000000);
        cosy_scoped(cosy_task) second = cosy_create_task(write_to_result, ends[0], (size_t)10);
        come_to_rest();
        ck_assert(!cosy_stream_is_closing(ends[0]));
        cosy_stream_abort(ends[0]);
        cosy_stream_abort(ends[0]);
        cosy_stream_abort(NULL);
        ck_assert(cosy_stream_is_closing(ends[0]));
        ck_assert_int_eq(cosy_await(reader), -ECONNABORTED);
        ck_assert_int_eq(cosy_await(writer), -ECONNABORTED);
        ck_assert_int_eq(cosy_await(second), -ECONNABORTED);
        ck_assert_int_eq(cosy_read(ends[0], text, 10), -ECONNABORTED);
        ck_assert_int_eq(cosy_readexactly(ends[0], text, 10), -ECONNABORTED);
        ck_assert_int_eq(cosy_readline(ends[0], &data), -ECONNABORTED);
        ck_assert_int_eq(cosy_readuntil(ends[0], &data, "x"), -ECONNABORTED);
        ck_assert_int_eq(cosy_peek(ends[0], &data, 1), -ECONNABORTED);
        ck_assert_int_eq(cosy_read_chunk(ends[0], &data), -ECONNABORTED);
        ck_assert_int_eq(cosy_read_all(ends[0], &data, 0), -ECONNABORTED);
        ck_assert_int_eq(cosy_write(ends[0], "x", 1), -ECONNABORTED);
        ck_assert_int_eq(cosy_drain(ends[0]), -ECONNABORTED);
        ck_assert_int_eq(cosy_flush(ends[0]), -ECONNABORTED);
        ck_assert_int_eq(cosy_write_eof(ends[0]), -ECONNABORTED);
        ck_assert_int_eq(cosy_stream_detach(ends[0], NULL, NULL), -ENOTSUP);
        ck_assert_int_eq(cosy_stream_fd(ends[0]), -1);
        int64_t got;
        char block[65536];
        while ((got = cosy_read(ends[1], block, sizeof block)) > 0)
            ;
        ck_assert_int_eq(got, conduit == TCP ? -ECONNRESET : 0);
        close_both(ends);
    }
    return 0;
}

/* The kernel tells an error once: who writes may be the one that hears it, and who reads must not take the cut for an
 * end. */
static cosy_stream *reset_by_its_peer(void)
{
    struct linger at_once = {.l_onoff = 1};
    int fds[2];
    cosy_stream *stream;
    tcp_sockets(fds);
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    put(fds[1], "abc");
    ck_ok(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    close(fds[1]);
    return stream;
}

ASYNC_TEST(a_reset_that_a_write_has_met_is_no_end_of_the_input)
{
    char text[10];
    cosy_stream *stream = reset_by_its_peer();
    (void)cosy_write(stream, "x", 1);
    ck_assert_int_eq(cosy_flush(stream), -ECONNRESET);
    ck_assert_int_eq(cosy_read(stream, text, sizeof text), 3);
    ck_assert_int_eq(cosy_read(stream, text, sizeof text), -ECONNRESET);
    ck_assert(!cosy_at_eof(stream));
    cosy_stream_close(stream);
    return 0;
}

ASYNC_TEST(a_reset_that_a_write_has_met_is_no_end_of_a_transfer)
{
    cosy_stream *stream = reset_by_its_peer(), *ends[2];
    char text[10];
    connect_streams(UNIX_SOCKETS, ends);
    (void)cosy_write(stream, "x", 1);
    ck_assert_int_eq(cosy_flush(stream), -ECONNRESET);
    ck_assert_int_eq(cosy_transfer(stream, ends[0], 0), -ECONNRESET);
    ck_assert_int_eq(cosy_read(ends[1], text, sizeof text), 3); /* what came before it was moved */
    ck_assert_int_eq(cosy_transfer(stream, ends[0], 0), -ECONNRESET);
    cosy_stream_close(stream);
    close_both(ends);
    return 0;
}

ASYNC_TEST(write_eof_tells_a_reset_by_its_name)
{
    char text[10];
    cosy_stream *stream = reset_by_its_peer();
    ck_assert_int_eq(cosy_write_eof(stream), -ECONNRESET);
    ck_assert_int_eq(cosy_read(stream, text, sizeof text), 3);
    ck_assert_int_eq(cosy_read(stream, text, sizeof text), -ECONNRESET);
    cosy_stream_close(stream);
    return 0;
}

/* What was received and not read is gone too. */
ASYNC_TEST(abort_drops_what_is_buffered)
{
    cosy_stream *ends[2];
    char text[10];
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], "hello", 5));
    ck_assert_int_eq(cosy_read(ends[1], text, 1), 1);
    stuff(ends[1]);
    ck_ok(cosy_write(ends[1], "x", 1));
    cosy_stream_abort(ends[1]);
    ck_assert_uint_eq(cosy_stream_buffered(ends[1]), 0);
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[1]), 0);
    ck_assert_ptr_null(ends[1]->in);
    ck_assert_ptr_null(ends[1]->out);
    close_both(ends);
    return 0;
}

/* ---- the end of one direction ---- */

ASYNC_TEST(after_write_eof_reading_goes_on)
{
    for (enum conduit conduit = 0; conduit < PIPE; conduit++) {
        cosy_stream *ends[2];
        char text[10];
        connect_streams(conduit, ends);
        ck_assert(cosy_can_write_eof(ends[0]));
        ck_ok(cosy_write(ends[0], "request", 7));
        ck_ok(cosy_write(ends[0], "!", 1));
        ck_ok(cosy_write_eof(ends[0]));
        ck_ok(cosy_write_eof(ends[0]));
        ck_assert_int_eq(cosy_write(ends[0], "x", 1), -EPIPE);
        ck_assert_int_eq(cosy_readexactly(ends[1], text, 8), 8);
        ck_assert_int_eq(cosy_read(ends[1], text, 10), 0);
        ck_ok(cosy_write(ends[1], "answer", 6));
        ck_assert_int_eq(cosy_readexactly(ends[0], text, 6), 6);
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(the_end_comes_behind_what_is_buffered)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        cosy_stream *ends[2];
        connect_streams(UNIX_SOCKETS, ends);
        size_t before = stuff(ends[0]);
        cosy_scoped(cosy_task) writer = cosy_create_task(write_to_result, ends[0], (size_t)1000000);
        come_to_rest();
        cosy_scoped(cosy_task) ender = cosy_create_task(cosy_write_eof, ends[0]);
        come_to_rest();
        ck_assert(!cosy_task_done(ender));
        if (cancelled) {
            cosy_task_cancel(ender);
            ck_assert_int_eq(cosy_await(ender), -ECANCELED);
        }
        struct drain_pipe pipe = {.stream = ends[1]};
        ck_ok(cosy_await(cosy_call(take_everything, &pipe)));
        ck_assert_uint_eq(pipe.size, before + 1000000);
        ck_ok(cosy_await(writer));
        if (!cancelled)
            ck_ok(cosy_await(ender));
        ck_assert_int_eq(cosy_write(ends[0], "x", 1), -EPIPE);
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(the_end_of_a_pipe_is_its_closing)
{
    cosy_stream *ends[2];
    char text[10];
    connect_streams(PIPE, ends);
    ck_assert(cosy_can_write_eof(ends[0]));
    ck_assert(!cosy_can_write_eof(ends[1])); /* it is only read from */
    ck_assert_int_eq(cosy_write_eof(ends[1]), -ENOTSUP);
    ck_ok(cosy_write(ends[0], "x", 1));
    ck_ok(cosy_write_eof(ends[0]));
    ck_assert_int_eq(cosy_write(ends[0], "x", 1), -EPIPE);
    ck_ok(cosy_drain(ends[0]));
    ck_assert_int_eq(cosy_read(ends[1], text, 10), 1);
    ck_assert_int_eq(cosy_read(ends[1], text, 10), 0);
    close_both(ends);
    return 0;
}

/* ---- terminals ---- */

ASYNC_TEST(terminals_are_streams)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
    char *line;
    cosy_stream *ends[2];
    ck_ok(grantpt(master));
    ck_ok(unlockpt(master));
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_ok(cosy_stream_adopt(master, &ends[0]));
    ck_ok(cosy_stream_adopt(slave, &ends[1]));
    ck_assert(!cosy_can_write_eof(ends[0]));
    ck_assert_int_eq(cosy_write_eof(ends[0]), -ENOTSUP);
    ck_ok(cosy_write(ends[0], "echo\n", 5));
    ck_assert_int_eq(cosy_readline(ends[1], &line), 5);
    ck_assert_str_eq(line, "echo\n");
    ck_assert_int_eq(cosy_readline(ends[0], &line), 6); /* the terminal's own echo */
    ck_assert_str_eq(line, "echo\r\n");
    struct cosy_address address;
    ck_assert_int_eq(cosy_stream_peername(ends[0], &address), -ENOTSUP);
    close_both(ends);
    return 0;
}

/* ---- adopting and detaching ---- */

ASYNC_TEST(adopting_refuses_what_is_no_stream)
{
    cosy_stream *stream = NULL;
    int udp = socket(AF_INET, SOCK_DGRAM, 0), file = open("/proc/self/exe", O_RDONLY), folder = open("/", O_RDONLY);
    ck_assert_int_eq(cosy_stream_adopt(-1, &stream), -EBADF);
    ck_assert_int_eq(cosy_stream_adopt(9999, &stream), -EBADF);
    ck_assert_int_eq(cosy_stream_adopt(udp, &stream), -EINVAL);
    ck_assert_int_eq(cosy_stream_adopt(file, &stream), -EPERM);
    ck_assert_int_eq(cosy_stream_adopt(folder, &stream), -EPERM);
    ck_assert_int_eq(cosy_stream_adopt(file, NULL), -EINVAL);
    ck_assert_ptr_null(stream);
    ck_assert_int_ge(fcntl(file, F_GETFL), 0); /* still the caller's */
    close(udp);
    close(file);
    close(folder);
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

ASYNC_TEST(what_the_program_watches_is_not_adopted)
{
    int fds[2];
    cosy_stream *stream;
    ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    ck_ok(cosy_add_reader(cosy_running_loop(), fds[0], nothing, NULL));
    ck_assert_int_eq(cosy_stream_adopt(fds[0], &stream), -EEXIST);
    cosy_remove_reader(cosy_running_loop(), fds[0]);
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    close(fds[1]);
    return cosy_stream_close(stream);
}

ASYNC_TEST(what_a_stream_uses_is_not_watched)
{
    int fds[2];
    cosy_stream *stream;
    cosy_loop *loop = cosy_running_loop();
    ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    ck_assert_int_eq(cosy_add_reader(loop, fds[0], nothing, NULL), -EEXIST);
    ck_assert_int_eq(cosy_add_writer(loop, fds[0], nothing, NULL), -EEXIST);
    ck_assert_int_eq(cosy_remove_reader(loop, fds[0]), 0);
    ck_assert_int_eq(cosy_remove_writer(loop, fds[0]), 0);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    char byte;
    ck_assert_int_eq(cosy_readexactly(stream, &byte, 1), 1); /* it has lost nothing by that */
    close(fds[1]);
    return cosy_stream_close(stream);
}

ASYNC_TEST(a_detached_descriptor_is_as_it_came)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2], flags;
        cosy_stream *stream;
        void *rest;
        size_t size;
        char *line;
        ck_ok(socketpair(AF_UNIX, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0, fds));
        ck_ok(cosy_stream_adopt(fds[0], &stream));
        ck_assert_int_eq(cosy_stream_fd(stream), fds[0]);
        flags = fcntl(fds[0], F_GETFL);
        ck_assert_int_ne(flags & O_NONBLOCK, 0);
        put(fds[1], "line\nrest");
        ck_assert_int_eq(cosy_readline(stream, &line), 5);
        ck_assert_int_eq(cosy_stream_detach(stream, &rest, NULL), -EINVAL);
        cosy_task *reader = NULL;
        stuff(stream);
        ck_ok(cosy_write(stream, "x", 1));
        ck_assert_int_eq(cosy_stream_detach(stream, &rest, &size), -EBUSY); /* something is to be sent */
        char block[65536];
        while (cosy_get_write_buffer_size(stream) > 0) {
            ck_assert_int_gt(read(fds[1], block, sizeof block), 0);
            come_to_rest();
        }
        ck_assert_int_eq(cosy_stream_detach(stream, &rest, &size), fds[0]);
        ck_assert_uint_eq(size, 4);
        ck_assert_mem_eq(rest, "rest", 4);
        free(rest);
        ck_assert_int_eq(!!(fcntl(fds[0], F_GETFL) & O_NONBLOCK), nonblocking);
        ck_ok(cosy_stream_adopt(fds[0], &stream)); /* and may be adopted again */
        reader = cosy_create_task(read_to_result, stream);
        come_to_rest();
        ck_assert_int_eq(cosy_stream_detach(stream, NULL, NULL), -EBUSY); /* a task waits */
        put(fds[1], "abc");
        ck_assert_int_eq(cosy_await(reader), 3);
        ck_assert_int_eq(cosy_stream_detach(stream, &rest, &size), fds[0]);
        ck_assert_ptr_null(rest);
        ck_assert_uint_eq(size, 0);
        close(fds[0]);
        close(fds[1]);
    }
    ck_assert_int_eq(cosy_stream_detach(NULL, NULL, NULL), -EINVAL);
    return 0;
}

/* ---- without a task, and without a loop ---- */

static cosy_stream *left[2];

static void use_outside_a_task(void *arg)
{
    cosy_stream *stream = arg;
    char text[10], *data;
    ck_assert_int_eq(cosy_read(stream, text, 10), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_readexactly(stream, text, 10), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_readline(stream, &data), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_peek(stream, &data, 1), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_write(stream, "x", 1), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_drain(stream), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_flush(stream), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_write_eof(stream), -COSY_ENOTASK);
    cosy_stream_abort(stream);
    note("%d", cosy_stream_close(stream));
}

/* A callback may end a stream, but not use it. */
ASYNC_TEST(callbacks_may_only_end_streams)
{
    int peer;
    cosy_stream *stream = stream_to(&peer);
    capture_log();
    ck_ok(cosy_call_soon(cosy_running_loop(), use_outside_a_task, stream, NULL));
    some_turns(2);
    ck_assert_noted("0");
    close(peer);
    return 0;
}

static void close_there(void *arg)
{
    note("%d", cosy_stream_close(arg));
}

ASYNC_TEST(closing_in_a_callback_does_not_wait)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "x", 1));
    ck_ok(cosy_call_soon(cosy_running_loop(), close_there, ends[0], NULL));
    some_turns(2);
    char text[20];
    snprintf(text, sizeof text, "%d", -ETIMEDOUT);
    ck_assert_noted(text);
    return cosy_stream_close(ends[1]);
}

cosy_async static int leave_streams(int what)
{
    ck_ok(cosy_stream_pair(left));
    if (what == 1) {
        stuff(left[0]);
        ck_ok(cosy_write(left[0], "x", 1));
    } else if (what == 2) {
        ck_ok(cosy_write(left[0], "x", 1));
        ck_ok(cosy_write(left[0], "x", 1)); /* to be sent at the end of the turn */
    } else if (what == 3)
        cosy_stream_abort(left[0]);
    else if (what == 4) {
        char *line;
        ck_ok(cosy_write(left[1], "a\nb\n", 4));
        ck_assert_int_eq(cosy_readline(left[0], &line), 2);
    }
    return 0;
}

cosy_async static int use_left_streams(void)
{
    char text[10];
    struct cosy_address address;
    ck_assert_int_eq(cosy_read(left[1], text, 10), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_write(left[0], "x", 1), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_flush(left[0]), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_write_eof(left[0]), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_stream_sockname(left[0], &address), -ENOTSUP);
    ck_assert_int_eq(cosy_stream_detach(left[0], NULL, NULL), -ENOTSUP);
    return 0;
}

/* A stream that outlives its loop can only be closed. */
START_TEST(streams_outlive_their_loop)
{
    for (int what = 0; what < 5; what++) {
        int before = open_descriptors();
        ck_ok(cosy_run(leave_streams, what));
        ck_ok(cosy_run(use_left_streams));
        int result = cosy_stream_close(left[0]);
        ck_assert_int_eq((result < 0), (what == 1));
        ck_ok(cosy_stream_close(left[1]));
        ck_assert_int_eq(open_descriptors(), before);
    }
}
END_TEST

cosy_async static int wait_at_streams(void)
{
    ck_ok(cosy_stream_pair(left));
    stuff(left[0]);
    cosy_spawn(read_to_result, left[0]);
    cosy_spawn(write_to_result, left[0], (size_t)100000);
    cosy_spawn(write_to_result, left[0], (size_t)100);
    cosy_spawn(cosy_flush, left[0]);
    return 0;
}

/* Closed under tasks that wait at its streams: nothing is leaked, and closing the stream later frees it. */
START_TEST(a_loop_that_closes_under_waiting_tasks)
{
    capture_log();
    int before = open_descriptors();
    cosy_loop *loop;
    ck_ok(cosy_loop_new(&loop));
    ck_ok(cosy_run_until_complete(loop, cosy_call(wait_at_streams)));
    for (int i = 0; i < 5; i++)
        (void)cosy_loop_run_once(loop, 0);
    ck_ok(cosy_loop_close(loop));
    cosy_loop_free(loop);
    (void)cosy_stream_close(left[0]);
    ck_ok(cosy_stream_close(left[1]));
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

cosy_async static int leave_one_open(void)
{
    int fds[2];
    tcp_sockets(fds);
    ck_ok(cosy_stream_adopt(fds[0], &left[0]));
    ck_ok(cosy_stream_adopt(fds[1], &left[1]));
    return cosy_stream_close(left[1]);
}

/* As asyncio's ResourceWarning does: in debug mode. */
START_TEST(debug_mode_tells_of_unclosed_streams)
{
    capture_log();
    ck_ok(cosy_run(leave_one_open));
    ck_assert_str_eq(logged, "");
    ck_ok(cosy_stream_close(left[0]));
    ck_ok(cosy_run_with((.debug = true), leave_one_open));
    ck_assert_contains(logged, "unclosed stream to 127.0.0.1:");
    ck_assert_contains(logged, "opened in task leave_one_open, which debug_mode_tells_of_unclosed_streams");
    ck_assert_int_eq(occurrences(logged, "unclosed stream"), 1);
    ck_ok(cosy_stream_close(left[0]));
}
END_TEST

START_TEST(there_is_no_stream_without_a_loop)
{
    cosy_stream *stream, *ends[2];
    ck_assert_int_eq(cosy_stream_adopt(0, &stream), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_stream_pair(ends), -COSY_ENOLOOP);
}
END_TEST

/* ---- what it is ---- */

ASYNC_TEST(names_of_both_ends)
{
    cosy_stream *ends[2];
    struct cosy_address mine, theirs;
    char text[COSY_ADDRESS_TEXT], other[COSY_ADDRESS_TEXT];
    connect_streams(TCP, ends);
    ck_ok(cosy_stream_sockname(ends[0], &mine));
    ck_ok(cosy_stream_peername(ends[1], &theirs));
    ck_assert(cosy_address_equal(&mine, &theirs));
    ck_assert_int_eq(strncmp(cosy_address_text(&mine, text), "127.0.0.1:", 10), 0);
    cosy_stream_abort(ends[1]);
    ck_ok(cosy_stream_peername(ends[1], &theirs)); /* known also when the connection is gone */
    ck_assert_str_eq(cosy_address_text(&theirs, other), text);
    ck_assert_int_eq(cosy_stream_sockname(ends[1], &mine), -ENOTSUP);
    close_both(ends);
    connect_streams(PIPE, ends);
    ck_assert_int_eq(cosy_stream_peername(ends[0], &mine), -ENOTSUP);
    ck_assert_int_eq(cosy_stream_sockname(ends[0], &mine), -ENOTSUP);
    close_both(ends);
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_stream_peername(ends[0], &mine));
    ck_assert_int_eq(mine.any.sa_family, AF_UNIX);
    close_both(ends);
    return 0;
}

ASYNC_TEST(options_of_the_socket)
{
    cosy_stream *ends[2], *slow;
    int value, fds[2];
    socklen_t size = sizeof value;
    connect_streams(TCP, ends);
    ck_ok(cosy_stream_getsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &value, &size));
    ck_assert_int_ne(value, 0); /* little is sent at once */
    ck_ok(cosy_stream_set_keepalive(ends[0], COSY_S(60), COSY_S(10), 5));
    ck_ok(cosy_stream_getsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &value, &size));
    ck_assert_int_ne(value, 0);
    ck_ok(cosy_stream_getsockopt(ends[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &size));
    ck_assert_int_eq(value, 60);
    ck_ok(cosy_stream_getsockopt(ends[0], IPPROTO_TCP, TCP_KEEPINTVL, &value, &size));
    ck_assert_int_eq(value, 10);
    ck_ok(cosy_stream_getsockopt(ends[0], IPPROTO_TCP, TCP_KEEPCNT, &value, &size));
    ck_assert_int_eq(value, 5);
    ck_ok(cosy_stream_set_keepalive(ends[0], 0, 0, 0));
    ck_ok(cosy_stream_getsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &value, &size));
    ck_assert_int_eq(value, 0);
    value = 1000;
    ck_ok(cosy_stream_setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    close_both(ends);
    tcp_sockets(fds);
    ck_ok(cosy_stream_adopt(fds[0], &slow, .delay = true));
    ck_ok(cosy_stream_getsockopt(slow, IPPROTO_TCP, TCP_NODELAY, &value, &size));
    ck_assert_int_eq(value, 0);
    close(fds[1]);
    ck_ok(cosy_stream_close(slow));
    connect_streams(PIPE, ends);
    ck_assert_int_lt(cosy_stream_setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &value, sizeof value), 0);
    close_both(ends);
    return 0;
}

/* ---- memory ---- */

enum { IDLE = 1000 };

ASYNC_TEST(idle_streams_are_small)
{
    static cosy_stream *pairs[IDLE / 2][2];
    cosy_task *readers[IDLE / 2];
    char *line;
    ck_assert_uint_le(sizeof(cosy_stream), 512);
    long before = cosy_heap_live();
    for (int i = 0; i < IDLE / 2; i++) {
        if (cosy_stream_pair(pairs[i]) < 0)
            ck_abort_msg("only %d pairs", i);
        ck_ok(cosy_write(pairs[i][0], "abc\ndef\n", 8));
        ck_assert_int_eq(cosy_readline(pairs[i][1], &line), 4);
        ck_assert_int_eq(cosy_readline(pairs[i][1], &line), 4);
        readers[i] = cosy_create_task(read_to_result, pairs[i][1]);
    }
    come_to_rest();
    for (int i = 0; i < IDLE / 2; i++)
        for (int j = 0; j < 2; j++) {
            ck_assert_ptr_null(pairs[i][j]->in);
            ck_assert_ptr_null(pairs[i][j]->out);
        }
    if (!on_simulator()) /* whose sockets are memory too */
        ck_assert_int_lt(cosy_heap_live() - before,
                         2 * IDLE); /* a stream each; tables of the loop; tasks that tools watch */
    for (int i = 0; i < IDLE / 2; i++) {
        ck_ok(cosy_stream_close(pairs[i][0]));
        ck_ok(cosy_await(readers[i]));
        ck_ok(cosy_stream_close(pairs[i][1]));
    }
    return 0;
}

COSY_TEST_MAIN("stream_end", close_sends_what_is_buffered, close_does_not_wait_for_what_the_kernel_takes,
               close_waits_no_longer_than_its_grace, a_cancelled_close_goes_on,
               a_close_that_is_cancelled_as_it_ends_has_sent_all, close_wakes_who_waits_at_the_stream,
               a_scope_closes_its_stream, abort_ends_at_once, abort_drops_what_is_buffered,
               a_reset_that_a_write_has_met_is_no_end_of_the_input,
               a_reset_that_a_write_has_met_is_no_end_of_a_transfer, write_eof_tells_a_reset_by_its_name,
               after_write_eof_reading_goes_on, the_end_comes_behind_what_is_buffered, the_end_of_a_pipe_is_its_closing,
               terminals_are_streams, adopting_refuses_what_is_no_stream, what_the_program_watches_is_not_adopted,
               what_a_stream_uses_is_not_watched, a_detached_descriptor_is_as_it_came, callbacks_may_only_end_streams,
               closing_in_a_callback_does_not_wait, streams_outlive_their_loop, a_loop_that_closes_under_waiting_tasks,
               debug_mode_tells_of_unclosed_streams, there_is_no_stream_without_a_loop, names_of_both_ends,
               options_of_the_socket, idle_streams_are_small)
