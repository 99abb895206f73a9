/* Errors of connections, lack of memory, system calls that fail: nothing hangs, nothing leaks, and what went wrong is
 * told. */
#include "stream_test.h"

/* A TCP peer that resets the connection when it is closed. */
static cosy_stream *tcp_stream_to(int *ret_fd)
{
    int fds[2];
    cosy_stream *stream;
    struct linger at_once = {.l_onoff = 1};
    tcp_sockets(fds);
    ck_ok(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    *ret_fd = fds[1];
    return stream;
}

ASYNC_TEST(a_reset_is_told_behind_what_came_before)
{
    int peer;
    char text[10] = {0}, *line;
    cosy_stream *stream = tcp_stream_to(&peer);
    put(peer, "abc");
    close(peer);
    ck_assert_int_eq(cosy_read(stream, text, 2), 2);
    ck_assert_int_eq(cosy_readexactly(stream, text, 5), -ECONNRESET); /* it gives back what it had */
    ck_assert_contains(cosy_error_message(-ECONNRESET), "reading from 127.0.0.1:");
    ck_assert_contains(cosy_error_message(-ECONNRESET), cosy_strerror(-ECONNRESET));
    ck_assert_int_eq(cosy_read(stream, text, 10), 1);
    ck_assert_int_eq(text[0], 'c');
    ck_assert_int_eq(cosy_read(stream, text, 10), -ECONNRESET);
    ck_assert_int_eq(cosy_readline(stream, &line), -ECONNRESET);
    ck_assert(!cosy_at_eof(stream));
    return cosy_stream_close(stream);
}

ASYNC_TEST(a_lost_connection_is_lost_for_writers_too)
{
    int peer;
    char text[10];
    cosy_stream *stream = tcp_stream_to(&peer);
    close(peer);
    ck_assert_int_eq(cosy_read(stream, text, 10), -ECONNRESET);
    ck_assert(cosy_stream_is_closing(stream));
    ck_assert_int_eq(cosy_write(stream, "x", 1), -ECONNRESET);
    ck_assert_contains(cosy_error_message(-ECONNRESET), "writing to 127.0.0.1:");
    ck_assert_int_eq(cosy_drain(stream), -ECONNRESET);
    ck_assert_int_eq(cosy_write_eof(stream), -ECONNRESET);
    return cosy_stream_close(stream); /* no bytes were lost by it */
}

ASYNC_TEST(writers_learn_that_the_peer_is_gone)
{
    for (int kind = 0; kind < 3; kind++) {
        int peer, fds[2], result = 0;
        cosy_stream *stream;
        if (kind == 0)
            stream = stream_to(&peer);
        else if (kind == 1)
            stream = tcp_stream_to(&peer);
        else {
            descriptors_of(PIPE, fds); /* nobody is killed by SIGPIPE either */
            ck_ok(cosy_stream_adopt(fds[0], &stream));
            peer = fds[1];
        }
        close(peer);
        for (int i = 0; i < 3 && result == 0; i++) {
            result = cosy_write(stream, "x", 1);
            come_to_rest();
        }
        ck_assert(result == -EPIPE || result == -ECONNRESET);
        ck_assert(cosy_stream_is_closing(stream));
        ck_assert_int_eq(cosy_write(stream, "x", 1), result);
        ck_assert_int_eq(cosy_drain(stream), result);
        ck_assert_int_eq(cosy_flush(stream), result);
        ck_ok(cosy_stream_close(stream));
    }
    return 0;
}

cosy_async static int write_zeroes(cosy_stream *stream, size_t size)
{
    static char zeroes[1000000];
    return cosy_write(stream, zeroes, size);
}

/* Who waits for the peer to read learns that it will not. */
ASYNC_TEST(waiting_writers_learn_that_the_peer_is_gone)
{
    for (int kind = 0; kind < 2; kind++) {
        int peer;
        cosy_stream *stream = kind ? tcp_stream_to(&peer) : stream_to(&peer);
        stuff(stream);
        ck_ok(cosy_write(stream, "buffered", 8));
        cosy_scoped(cosy_task) writer = cosy_create_task(write_zeroes, stream, (size_t)100000);
        cosy_scoped(cosy_task) flusher = cosy_create_task(cosy_flush, stream);
        come_to_rest();
        close(peer);
        int result = cosy_await(writer);
        ck_assert(result == -EPIPE || result == -ECONNRESET);
        ck_assert_int_eq(cosy_await(flusher), result);
        ck_assert_int_eq(cosy_stream_close(stream), result); /* bytes were lost */
        ck_assert_contains(cosy_error_message(result), "closing the stream to");
    }
    return 0;
}

/* ---- each allocation fails in turn ---- */

static cosy_stream *kept[2]; /* to be closed when the loop has ended, whatever happened in it */

/* A conversation that needs every kind of memory; each error is passed on. */
cosy_async static int listen_to_all(cosy_stream *stream)
{
    char *data, text[100];
    int64_t got;
    cosy_try(cosy_readline(stream, &data));
    cosy_try(cosy_readuntil(stream, &data, "END", "\r\n\r\n"));
    cosy_try(cosy_readexactly(stream, text, 100));
    got = cosy_peek(stream, &data, 10);
    cosy_try(got);
    cosy_try(cosy_read_chunk(stream, &data));
    got = cosy_read_all(stream, &data, 0);
    cosy_try(got);
    free(data);
    return 0;
}

static long failing_call;
static int failing_error;

cosy_async static int talk_and_listen(void)
{
    cosy_try(cosy_stream_pair(kept));
    cosy_sys_fail_nth(failing_call, failing_error);
    cosy_scoped(cosy_task) listener = cosy_create_task(listen_to_all, kept[1]);
    if (!listener)
        return -ENOMEM;
    static char data[200000];
    memset(data, '.', sizeof data);
    struct iovec parts[2] = {{.iov_base = data, .iov_len = 3000}, {.iov_base = TEXT("END"), .iov_len = 3}};
    int result = cosy_printf(kept[0], "%0500d\n", 1);
    result = result < 0 ? result : cosy_writev(kept[0], parts, 2);
    result = result < 0 ? result : cosy_write(kept[0], data, 1000);
    result = result < 0 ? result : cosy_flush(kept[0]);
    result = result < 0 ? result : cosy_write(kept[0], data, sizeof data);
    result = result < 0 ? result : cosy_write_eof(kept[0]);
    if (result < 0)
        cosy_stream_abort(kept[0]); /* so that the other one ends, too */
    int heard = cosy_await(listener);
    return result < 0 ? result : heard;
}

static int converse(void)
{
    kept[0] = kept[1] = NULL;
    int result = cosy_run(talk_and_listen);
    int closed = cosy_stream_close(kept[0]), other = cosy_stream_close(kept[1]);
    result = result < 0 ? result : closed < 0 ? closed : other;
    return result == -ENOBUFS && !failing_error ? -ENOMEM : result; /* a simulated kernel's word for it */
}

START_TEST(each_allocation_fails)
{
    capture_log();
    with_each_allocation_failing(converse);
}
END_TEST

/* A call that lacks memory can be made again: nothing is lost by it. */
ASYNC_TEST(a_read_that_lacks_memory_can_be_made_again)
{
    cosy_stream *ends[2];
    char *line, text[3000];
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], "line\n", 5));
    come_to_rest();
    cosy_heap_fail_nth(1, true);
    ck_assert_int_eq(cosy_readline(ends[1], &line), -ENOMEM);
    ck_assert_int_eq(cosy_readuntil(ends[1], &line, "x"), -ENOMEM);
    ck_assert_int_eq(cosy_peek(ends[1], &line, 1), -ENOMEM);
    ck_assert_int_eq(cosy_read_all(ends[1], &line, 0), -ENOMEM);
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(cosy_readline(ends[1], &line), 5);
    ck_assert_str_eq(line, "line\n");
    ck_ok(cosy_write(ends[0], "line\n", 5));
    ck_assert_int_eq(cosy_read(ends[1], text, 2), 2);
    cosy_heap_fail_nth(1, true);
    ck_assert_int_eq(cosy_read(ends[1], text, 1), 1); /* what is there needs none */
    ck_assert_int_eq(cosy_readline(ends[1], &line), 2);
    cosy_heap_fail_nth(0, false);
    ck_assert_str_eq(line, "e\n");
    close_both(ends);
    return 0;
}

/* Without memory for a copy the caller's is used, while the caller waits. */
ASYNC_TEST(a_write_that_lacks_memory_waits)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    size_t before = stuff(ends[0]);
    struct drain_pipe pipe = {.stream = ends[1]};
    cosy_scoped(cosy_task) writer = cosy_create_task(write_zeroes, ends[0], (size_t)10);
    (void)cosy_await(cosy_call(cosy_sleep, (cosy_ns)0)); /* pools fill up */
    cosy_heap_fail_nth(1, true);
    (void)cosy_yield();
    cosy_heap_fail_nth(0, false);
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(writer));
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    ck_assert_uint_eq(pipe.size, before + 10);
    return cosy_stream_close(ends[1]);
}

/* ---- each system call fails in turn ---- */

static void with_each_system_call_failing(int error)
{
    capture_log();
    ck_ok(converse());
    int descriptors = open_descriptors();
    long n = 1, counted = 0;
    do {
        failing_call = n;
        failing_error = error;
        int result = converse();
        counted = cosy_sys_counted();
        failing_call = failing_error = 0;
        cosy_sys_fail_nth(0, 0);
        ck_assert_msg(result == 0 || (result == -error && error != EINTR) || result == -EPIPE ||
                          result == -COSY_EINCOMPLETE || result == -ECONNABORTED,
                      "system call %ld with %s: %s", n, cosy_errname(error), cosy_errname(result));
        ck_assert_msg(open_descriptors() == descriptors, "system call %ld with %s leaks a descriptor", n,
                      cosy_errname(error));
        n++;
    } while (counted >= n - 1 && n < 1000);
    ck_assert_int_lt(n, 1000);
    ck_assert_int_gt(n, 3);
}

START_TEST(each_system_call_is_interrupted)
{
    with_each_system_call_failing(EINTR);
}
END_TEST
START_TEST(each_system_call_lacks_memory)
{
    with_each_system_call_failing(ENOMEM);
}
END_TEST
START_TEST(each_system_call_lacks_buffers)
{
    with_each_system_call_failing(ENOBUFS);
}
END_TEST
START_TEST(each_system_call_finds_the_connection_reset)
{
    with_each_system_call_failing(ECONNRESET);
}
END_TEST

static int lack;
static int lacking_receive(cosy_stream *stream, void *buffer, size_t size)
{
    int error = lack;
    lack = 0;
    return error ? error : cosy_socket_stream.receive(stream, buffer, size);
}

/* A kernel that lacks memory for a moment has lost nothing. */
ASYNC_TEST(a_lack_in_the_kernel_passes)
{
    cosy_stream *ends[2];
    struct cosy_stream_kind lacking = cosy_socket_stream;
    lacking.receive = lacking_receive;
    char *line, text[3000];
    connect_streams(UNIX_SOCKETS, ends);
    ends[1]->kind = &lacking;
    ck_ok(cosy_write(ends[0], "line\n", 5));
    lack = -ENOMEM;
    ck_assert_int_eq(cosy_readline(ends[1], &line), -ENOMEM);
    ck_assert_int_eq(cosy_readline(ends[1], &line), 5);
    ck_ok(cosy_write(ends[0], "line\n", 5));
    lack = -ENOBUFS;
    ck_assert_int_eq(cosy_read(ends[1], text, 3000), -ENOBUFS);
    ck_assert_int_eq(cosy_read(ends[1], text, 3000), 5);
    close_both(ends);
    return 0;
}

COSY_TEST_MAIN("stream_errors", a_reset_is_told_behind_what_came_before, a_lost_connection_is_lost_for_writers_too,
               writers_learn_that_the_peer_is_gone, waiting_writers_learn_that_the_peer_is_gone, each_allocation_fails,
               a_read_that_lacks_memory_can_be_made_again, a_write_that_lacks_memory_waits,
               each_system_call_is_interrupted, each_system_call_lacks_memory, each_system_call_lacks_buffers,
               each_system_call_finds_the_connection_reset, a_lack_in_the_kernel_passes)
