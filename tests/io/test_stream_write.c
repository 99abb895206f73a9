/* Writing: what the kernel takes at once, what waits, marks, several writers, pieces. */
#include "stream_test.h"

enum { LONG = 1000000 };

/* ---- what the kernel takes at once ---- */

ASYNC_TEST(what_the_kernel_takes_is_gone)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        char text[16];
        connect_streams(conduit, ends);
        ck_ok(cosy_write(ends[0], "hello", 5));
        ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 0);
        ck_assert_ptr_null(ends[0]->out);
        ck_assert_int_eq(cosy_read(ends[1], text, sizeof text), 5);
        ck_assert_mem_eq(text, "hello", 5);
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(nothing_is_written_by_a_write_of_nothing)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], NULL, 0));
    ck_ok(cosy_writev(ends[0], NULL, 0));
    ck_ok(cosy_write(ends[0], "", 0));
    ck_assert_int_eq(cosy_printf(ends[0], "%s", ""), 0);
    ck_ok(cosy_stream_close(ends[0]));
    char text[2];
    ck_assert_int_eq(cosy_read(ends[1], text, 2), 0);
    return cosy_stream_close(ends[1]);
}

/* ---- something long ---- */

ASYNC_TEST(a_long_write_waits_and_returns_0)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
        cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
        char *data = numbered(LONG);
        ck_ok(cosy_write(ends[0], data, LONG));
        free(data);
        ck_ok(cosy_stream_close(ends[0]));
        ck_ok(cosy_await(reader));
        ck_assert_uint_eq(pipe.size, LONG);
        ck_ok(cosy_stream_close(ends[1]));
    }
    return 0;
}

cosy_async static int write_numbered(cosy_stream *stream, const char *data, size_t size)
{
    return cosy_write(stream, data, size);
}

/* The caller waits, so its memory serves as the buffer. */
ASYNC_TEST(a_long_write_is_not_copied)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    char *data = numbered(LONG);
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, ends[0], (const char *)data, (size_t)LONG);
    come_to_rest();
    ck_assert(!cosy_task_done(writer));
    ck_assert_ptr_null(ends[0]->out);
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(writer));
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    ck_assert_uint_eq(pipe.size, LONG);
    free(data);
    return cosy_stream_close(ends[1]);
}

/* ---- the flusher: what is buffered goes as the peer takes it, a part at each edge ---- */

ASYNC_TEST(what_is_buffered_goes_in_parts)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        size_t before = stuff(ends[0]), left = 0;
        char *data = numbered(60000);
        for (size_t at = 0; at < 60000; at += 10000)
            ck_ok(cosy_write(ends[0], data + at, 10000));
        ck_assert_uint_gt(cosy_get_write_buffer_size(ends[0]), conduit == TCP ? 0 : 59999);
        free(data);
        char *chunk, block[3000];
        while (left < before) {
            size_t want = before - left < sizeof block ? before - left : sizeof block;
            int64_t got = cosy_read(ends[1], block, want);
            ck_assert_int_gt(got, 0);
            left += (size_t)got;
        }
        for (size_t at = 0; at < 60000;) {
            int64_t got = cosy_read_chunk(ends[1], &chunk);
            ck_assert_int_gt(got, 0);
            check_numbered(chunk, at, (size_t)got);
            at += (size_t)got;
        }
        ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 0);
        ck_assert_ptr_null(ends[0]->out);
        close_both(ends);
    }
    return 0;
}

/* ---- the marks ---- */

ASYNC_TEST(beyond_the_high_water_mark_a_write_waits_for_the_low_one)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .high_water = 20000, .low_water = 5000));
    size_t before = stuff(ends[0]);
    char *data = numbered(30000);
    ck_ok(cosy_write(ends[0], data, 16000));
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 16000);
    cosy_scoped(cosy_task) writer =
        cosy_create_task(write_numbered, ends[0], (const char *)data + 16000, (size_t)14000);
    come_to_rest();
    ck_assert(!cosy_task_done(writer));
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 30000);
    char block[2000];
    for (size_t got = 0; !cosy_task_done(writer);) {
        int64_t result = cosy_read(ends[1], block, sizeof block);
        ck_assert_int_gt(result, 0);
        got += (size_t)result;
        come_to_rest();
        ck_assert(got <= before + 30000);
        ck_assert_int_eq(cosy_task_done(writer), cosy_get_write_buffer_size(ends[0]) <= 5000);
    }
    ck_ok(cosy_await(writer));
    free(data);
    struct drain_pipe pipe = {.stream = ends[1]};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    return cosy_stream_close(ends[1]);
}

ASYNC_TEST(marks_are_checked)
{
    cosy_stream *ends[2], *none[2];
    ck_assert_int_eq(cosy_stream_pair(none, .high_water = 10, .low_water = 11), -EINVAL);
    ck_assert_int_eq(cosy_stream_pair(none, .high_water = SIZE_MAX), -EINVAL);
    ck_assert_int_eq(cosy_stream_pair(none, .limit = SIZE_MAX), -EINVAL);
    ck_ok(cosy_stream_pair(ends));
    ck_assert_uint_eq(ends[0]->high, 65536);
    ck_assert_uint_eq(ends[0]->low, 16384);
    ck_assert_int_eq(cosy_set_write_buffer_limits(ends[0], 10, 11), -EINVAL);
    ck_assert_int_eq(cosy_set_write_buffer_limits(ends[0], SIZE_MAX, 0), -EINVAL);
    ck_assert_int_eq(cosy_set_write_buffer_limits(NULL, 10, 0), -EINVAL);
    ck_ok(cosy_set_write_buffer_limits(ends[0], 100, 0));
    ck_assert_uint_eq(ends[0]->low, 25);
    ck_ok(cosy_set_write_buffer_limits(ends[0], 0, 0));
    close_both(ends);
    return 0;
}

/* With a mark of 0 a write returns when all of it is with the kernel. */
ASYNC_TEST(a_mark_of_0_waits_for_each_byte)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends));
    ck_ok(cosy_set_write_buffer_limits(ends[0], 0, 0));
    stuff(ends[0]);
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, ends[0], (const char *)"x", (size_t)1);
    come_to_rest();
    ck_assert(!cosy_task_done(writer));
    struct drain_pipe pipe = {.stream = ends[1]};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(writer));
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 0);
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    return cosy_stream_close(ends[1]);
}

/* ---- writes of one turn are gathered ---- */

static int sends;
static int counting_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    sends++;
    return cosy_socket_stream.send(stream, parts, count);
}

ASYNC_TEST(writes_of_one_turn_are_sent_together)
{
    cosy_stream *ends[2];
    struct cosy_stream_kind counting = cosy_socket_stream;
    counting.send = counting_send;
    ck_ok(cosy_stream_pair(ends));
    ends[0]->kind = &counting;
    sends = 0;
    for (int i = 0; i < 10; i++)
        ck_ok(cosy_write(ends[0], "0123456789", 10));
    ck_assert_int_eq(sends, 1);
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 90);
    some_turns(3);
    ck_assert_int_eq(sends, 2);
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 0);
    char text[200];
    ck_assert_int_eq(cosy_readexactly(ends[1], text, 100), 100);
    close_both(ends);
    return 0;
}

/* While a peer's next question is here already, its answers go out together; a long one does not wait. */
ASYNC_TEST(answers_to_what_came_together_are_sent_together)
{
    cosy_stream *ends[2];
    struct cosy_stream_kind counting = cosy_socket_stream;
    counting.send = counting_send;
    char text[100] = {0}, *line;
    static char answer[4097];
    ck_ok(cosy_stream_pair(ends));
    ends[0]->kind = &counting;
    sends = 0;
    ck_ok(cosy_write(ends[1], "one\ntwo\nsix\n", 12));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_readline(ends[0], &line), 4);
        ck_ok(cosy_write(ends[0], line, 4));
        ck_assert_int_eq(sends, 0);
    }
    cosy_scoped(cosy_task) reader = cosy_create_task(cosy_readline, ends[0], &line);
    ck_assert_int_eq(cosy_readexactly(ends[1], text, 12), 12);
    ck_assert_str_eq(text, "one\ntwo\nsix\n");
    ck_assert_int_eq(sends, 1);
    ck_ok(cosy_write(ends[1], "long\nmore\n", 10));
    ck_assert_int_eq(cosy_await(reader), 5);
    some_turns(1);
    ck_ok(cosy_write(ends[0], answer, sizeof answer));
    ck_assert_int_eq(sends, 2);
    some_turns(1);
    ck_ok(cosy_write(ends[0], "short", 5));
    ck_assert_int_eq(sends, 2);
    some_turns(2); /* who does not read on has sent at the end of the turn */
    ck_assert_int_eq(sends, 3);
    close_both(ends);
    return 0;
}

static int answer_six(cosy_stream *stream)
{
    char text[6];
    cosy_try(cosy_readexactly(stream, text, 6));
    return cosy_write(stream, "!", 1);
}

/* Who asks and waits for the answer has sent before it waits; a read that need not wait sends nothing. */
ASYNC_TEST(what_was_gathered_goes_before_a_read_waits)
{
    cosy_stream *ends[2];
    char text[8];
    ck_ok(cosy_stream_pair(ends));
    ck_ok(cosy_write(ends[0], "one", 3));
    ck_ok(cosy_write(ends[0], "two", 3));
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 3);
    ck_ok(cosy_write(ends[1], "?", 1));
    ck_assert_int_eq(cosy_read(ends[0], text, 8), 1);
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 3);
    cosy_scoped(cosy_task) answer = cosy_create_task(answer_six, ends[1]);
    ck_assert_int_eq(cosy_read(ends[0], text, 8), 1);
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), 0);
    ck_ok(cosy_await(answer));
    close_both(ends);
    return 0;
}

/* ---- pieces ---- */

ASYNC_TEST(pieces_arrive_in_order)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    char *data = numbered(1000);
    struct iovec parts[100];
    size_t size = 0;
    for (size_t i = 0; i < 100; i++) {
        parts[i] = (struct iovec){.iov_base = data + size, .iov_len = i % 7 ? i % 13 : 0};
        size += parts[i].iov_len;
    }
    for (int round = 0; round < 3; round++) { /* straight, then gathered */
        ck_ok(cosy_writev(ends[0], parts, 100));
        char got[1000];
        ck_assert_int_eq(cosy_readexactly(ends[1], got, size), (int64_t)size);
        check_numbered(got, 0, size);
    }
    free(data);
    close_both(ends);
    return 0;
}

cosy_async static int write_pieces(cosy_stream *stream, const struct iovec *parts, int count)
{
    return cosy_writev(stream, parts, count);
}

/* More empty ones in a row than are handed to the kernel at once. */
ASYNC_TEST(empty_pieces_in_the_middle_are_passed_over)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    char *data = numbered(LONG);
    struct iovec parts[42] = {{.iov_base = data, .iov_len = LONG / 2}};
    parts[41] = (struct iovec){.iov_base = data + LONG / 2, .iov_len = LONG / 2};
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(cosy_call(write_pieces, ends[0], (const struct iovec *)parts, 42)));
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    ck_assert_uint_eq(pipe.size, LONG);
    free(data);
    return cosy_stream_close(ends[1]);
}

ASYNC_TEST(text_is_formatted)
{
    cosy_stream *ends[2];
    char text[1000];
    connect_streams(UNIX_SOCKETS, ends);
    ck_assert_int_eq(cosy_printf(ends[0], "GET /%d %s\r\n", 7, "HTTP/1.1"), 17);
    ck_assert_int_eq(cosy_printf(ends[0], "%0*d", 600, 5), 600); /* longer than what lies on the stack */
    ck_assert_int_eq(cosy_readexactly(ends[1], text, 617), 617);
    ck_assert_mem_eq(text, "GET /7 HTTP/1.1\r\n0000", 21);
    ck_assert_int_eq(text[616], '5');
    close_both(ends);
    return 0;
}

/* ---- several writers ---- */

enum { RECORD = 200000 };

cosy_async static int write_record(cosy_stream *stream, char letter, size_t size)
{
    char *data = malloc(size);
    memset(data, letter, size);
    int result = cosy_write(stream, data, size);
    free(data);
    return result;
}

ASYNC_TEST(the_bytes_of_a_call_stay_together)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        cosy_task *writers[4];
        size_t sizes[4] = {RECORD, 10, RECORD, 30000};
        for (int i = 0; i < 4; i++)
            writers[i] = cosy_create_task(write_record, ends[0], (char)('a' + i), sizes[i]);
        char *chunk, latest = 0;
        bool seen[4] = {0};
        for (size_t total = 0, in_row = 0; total < 2 * RECORD + 30010;) {
            int64_t got = cosy_read_chunk(ends[1], &chunk);
            ck_assert_int_gt(got, 0);
            for (int64_t i = 0; i < got; i++, total++, in_row++) {
                if (chunk[i] != latest) {
                    ck_assert(!latest || in_row == sizes[latest - 'a']);
                    latest = chunk[i];
                    in_row = 0;
                    ck_assert(!seen[latest - 'a']);
                    seen[latest - 'a'] = true;
                }
            }
        }
        for (int i = 0; i < 4; i++)
            ck_ok(cosy_await(writers[i]));
        close_both(ends);
    }
    return 0;
}

/* ---- cancelled ---- */

/* Cancels a write at rest, and reads what it has taken: everything. */
static void cancel_a_write(size_t size)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .high_water = 1000));
    size_t before = stuff(ends[0]);
    char *data = numbered(size);
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, ends[0], (const char *)data, size);
    come_to_rest();
    ck_assert(!cosy_task_done(writer));
    cosy_task_cancel(writer);
    ck_assert_int_eq(cosy_await(writer), -ECANCELED);
    memset(data, 0xee, size); /* the caller's memory is its own again */
    ck_assert_uint_eq(cosy_get_write_buffer_size(ends[0]), size);
    char *got = malloc(before + size + 1);
    ck_assert_int_eq(cosy_readexactly(ends[1], got, before + size), (int64_t)(before + size));
    check_numbered(got + before, 0, size);
    free(got);
    free(data);
    close_both(ends);
}

ASYNC_TEST(a_cancelled_write_has_taken_all_of_its_bytes)
{
    cancel_a_write(2000);
    cancel_a_write(20000);
    cancel_a_write(500000);
    return 0;
}

/* Also one that had not begun, because another task was sending something long. */
ASYNC_TEST(a_cancelled_write_behind_a_long_one_is_taken)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    char *data = numbered(LONG + 30000), *got = malloc(LONG + 30000);
    cosy_scoped(cosy_task) first = cosy_create_task(write_numbered, ends[0], (const char *)data, (size_t)LONG);
    come_to_rest();
    cosy_scoped(cosy_task) second = cosy_create_task(write_numbered, ends[0], (const char *)data + LONG, (size_t)10000);
    cosy_scoped(cosy_task) third =
        cosy_create_task(write_numbered, ends[0], (const char *)data + LONG + 10000, (size_t)20000);
    come_to_rest();
    cosy_task_cancel(second);
    ck_assert_int_eq(cosy_await(second), -ECANCELED);
    cosy_task_cancel(third);
    ck_assert_int_eq(cosy_await(third), -ECANCELED);
    cosy_task_cancel(first);
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    ck_assert_int_eq(cosy_readexactly(ends[1], got, LONG + 30000), LONG + 30000);
    check_numbered(got, 0, LONG + 30000);
    free(got);
    free(data);
    close_both(ends);
    return 0;
}

/* ---- draining and flushing ---- */

cosy_async static int drain_and_note(cosy_stream *stream)
{
    int result = cosy_drain(stream);
    note("drained");
    return result;
}

cosy_async static int flush_and_note(cosy_stream *stream)
{
    int result = cosy_flush(stream);
    note("flushed");
    return result;
}

ASYNC_TEST(drain_waits_for_the_low_mark_and_flush_for_all)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .high_water = 100000));
    stuff(ends[0]);
    ck_ok(cosy_drain(ends[0]));
    ck_ok(cosy_flush(ends[0]));
    ck_ok(cosy_write(ends[0], "x", 1));
    ck_ok(cosy_drain(ends[0])); /* not above the mark */
    ck_ok(cosy_set_write_buffer_limits(ends[0], 0, 0));
    cosy_scoped(cosy_task) drainer = cosy_create_task(drain_and_note, ends[0]);
    cosy_scoped(cosy_task) flusher = cosy_create_task(flush_and_note, ends[0]);
    come_to_rest();
    ck_assert_noted("");
    struct drain_pipe pipe = {.stream = ends[1]};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(drainer));
    ck_ok(cosy_await(flusher));
    ck_assert_noted("drained flushed");
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    return cosy_stream_close(ends[1]);
}

/* Who waits leaves a stream that somebody else closes, and frees it last. */
ASYNC_TEST(a_close_ends_those_that_drain)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .close_grace = -1));
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "x", 1));
    cosy_scoped(cosy_task) flusher = cosy_create_task(flush_and_note, ends[0]);
    come_to_rest();
    ck_assert_int_eq(cosy_stream_close(ends[0]), -ETIMEDOUT);
    ck_assert_int_eq(cosy_await(flusher), -COSY_ECLOSED);
    return cosy_stream_close(ends[1]);
}

/* ---- turns ---- */

static int ticks;
cosy_async static int tick(void)
{
    for (;;) {
        ticks++;
        cosy_try(cosy_yield());
    }
}

/* No write ever waits: the peer takes at once what it is given, as another process would. */
ASYNC_TEST(others_have_their_turn_while_much_is_written)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    char block[1000] = {0};
    ticks = 0;
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick);
    for (int i = 0; i < 4000; i++) {
        char got[1000];
        ck_ok(cosy_write(ends[0], block, sizeof block));
        struct cosy_sys *sys = ends[1]->loop->sys;
        int size = sys->net->recv(sys, cosy_stream_fd(ends[1]), got, sizeof got, 0);
        ck_assert(size > 0 || size == -EAGAIN);
    }
    ck_assert_int_ge(ticks, 4);
    cosy_task_cancel(ticker);
    ck_assert_int_eq(cosy_await(ticker), -ECANCELED);
    close_both(ends);
    return 0;
}

/* ---- wrong uses ---- */

ASYNC_TEST(wrong_arguments_are_refused)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    struct iovec huge[2] = {{.iov_base = ends, .iov_len = SIZE_MAX}, {.iov_base = ends, .iov_len = 2}};
    ck_assert_int_eq(cosy_write(NULL, "x", 1), -EINVAL);
    ck_assert_int_eq(cosy_write(ends[0], NULL, 1), -EINVAL);
    ck_assert_int_eq(cosy_writev(ends[0], NULL, 1), -EINVAL);
    ck_assert_int_eq(cosy_writev(ends[0], huge, -1), -EINVAL);
    ck_assert_int_eq(cosy_writev(ends[0], huge, 2), -EINVAL);
    ck_assert_int_eq(cosy_drain(NULL), -EINVAL);
    ck_assert_int_eq(cosy_flush(NULL), -EINVAL);
    ck_assert_int_eq(cosy_write_eof(NULL), -EINVAL);
    ck_assert_uint_eq(cosy_get_write_buffer_size(NULL), 0);
    close_both(ends);
    return 0;
}

COSY_TEST_MAIN("stream_write", what_the_kernel_takes_is_gone, nothing_is_written_by_a_write_of_nothing,
               a_long_write_waits_and_returns_0, a_long_write_is_not_copied, what_is_buffered_goes_in_parts,
               beyond_the_high_water_mark_a_write_waits_for_the_low_one, marks_are_checked,
               a_mark_of_0_waits_for_each_byte, writes_of_one_turn_are_sent_together,
               answers_to_what_came_together_are_sent_together,
               what_was_gathered_goes_before_a_read_waits, pieces_arrive_in_order,
               empty_pieces_in_the_middle_are_passed_over, text_is_formatted, the_bytes_of_a_call_stay_together,
               a_cancelled_write_has_taken_all_of_its_bytes, a_cancelled_write_behind_a_long_one_is_taken,
               drain_waits_for_the_low_mark_and_flush_for_all, a_close_ends_those_that_drain,
               others_have_their_turn_while_much_is_written, wrong_arguments_are_refused)
