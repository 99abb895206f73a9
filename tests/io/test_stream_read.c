/* Reading: into the caller's memory, lent chunks and lines, up to separators, ahead, to the end. */
#include "stream_test.h"

/* `call` lent exactly this text, with a NUL behind it. */
#define lends(text, data, call)                                                                                        \
    do {                                                                                                               \
        ck_assert_int_eq((call), (int64_t)strlen(text));                                                               \
        ck_assert_str_eq((data), (text));                                                                              \
    } while (0)

/* A stream that will give this text and then end. */
static cosy_stream *stream_with(const char *text)
{
    int peer;
    cosy_stream *stream = stream_to(&peer);
    put(peer, text);
    close(peer);
    return stream;
}

/* ---- read ---- */

ASYNC_TEST(read_gives_what_is_there)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        char text[100];
        connect_streams(conduit, ends);
        ck_ok(cosy_write(ends[0], "hello", 5));
        ck_assert_int_eq(cosy_read(ends[1], text, 0), 0);
        ck_assert_int_eq(cosy_read(ends[1], text, 2), 2);
        ck_assert_mem_eq(text, "he", 2);
        ck_assert_uint_eq(cosy_stream_buffered(ends[1]), 3);
        ck_assert_int_eq(cosy_read(ends[1], text, sizeof text), 3);
        ck_assert_mem_eq(text, "llo", 3);
        close_both(ends);
    }
    return 0;
}

/* Something large goes to the caller's memory without a buffer in between. */
ASYNC_TEST(a_large_read_needs_no_buffer)
{
    cosy_stream *ends[2];
    char *data = numbered(50000), *got = malloc(50000);
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], data, 50000));
    for (size_t at = 0; at < 50000;) {
        int64_t size = cosy_read(ends[1], got + at, 50000 - at < 4096 ? 4096 : 50000 - at);
        ck_assert_int_gt(size, 0);
        ck_assert_ptr_null(ends[1]->in);
        at += (size_t)size;
        if (50000 - at < 4096 && at < 50000)
            break;
    }
    check_numbered(got, 0, 45000);
    free(data);
    free(got);
    close_both(ends);
    return 0;
}

cosy_async static int read_and_note(cosy_stream *stream)
{
    char text[10];
    int64_t size = cosy_read(stream, text, sizeof text);
    note("%lld", (long long)size);
    return 0;
}

ASYNC_TEST(read_waits_for_a_first_byte_and_holds_no_buffer)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        connect_streams(conduit, ends);
        cosy_scoped(cosy_task) reader = cosy_create_task(read_and_note, ends[1]);
        come_to_rest();
        ck_assert(!cosy_task_done(reader));
        ck_assert_ptr_null(ends[1]->in);
        ck_ok(cosy_write(ends[0], "abc", 3));
        ck_ok(cosy_await(reader));
        ck_assert_noted("3");
        close_both(ends);
    }
    return 0;
}

ASYNC_TEST(a_second_reader_is_refused)
{
    cosy_stream *ends[2];
    char text[10], *data;
    connect_streams(UNIX_SOCKETS, ends);
    cosy_scoped(cosy_task) reader = cosy_create_task(read_and_note, ends[1]);
    come_to_rest();
    ck_assert_int_eq(cosy_read(ends[1], text, 10), -EBUSY);
    ck_assert_int_eq(cosy_readexactly(ends[1], text, 10), -EBUSY);
    ck_assert_int_eq(cosy_readline(ends[1], &data), -EBUSY);
    ck_assert_int_eq(cosy_readuntil(ends[1], &data, "x"), -EBUSY);
    ck_assert_int_eq(cosy_read_chunk(ends[1], &data), -EBUSY);
    ck_assert_int_eq(cosy_peek(ends[1], &data, 1), -EBUSY);
    ck_assert_int_eq(cosy_read_all(ends[1], &data, 0), -EBUSY);
    ck_assert_int_eq(cosy_skip(ends[1], 0), -EBUSY);
    ck_ok(cosy_write(ends[0], "x", 1));
    ck_ok(cosy_await(reader));
    ck_assert_noted("1");
    close_both(ends);
    return 0;
}

ASYNC_TEST(the_end_is_told_again_and_again)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        cosy_stream *ends[2];
        char text[4000], *data;
        connect_streams(conduit, ends);
        ck_assert(!cosy_at_eof(ends[1]));
        ck_ok(cosy_write(ends[0], "x", 1));
        ck_ok(cosy_stream_close(ends[0]));
        ck_assert_int_eq(cosy_read(ends[1], text, 10), 1);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(cosy_read(ends[1], text, 10), 0);
            ck_assert(cosy_at_eof(ends[1]));
            ck_assert_int_eq(cosy_read(ends[1], text, sizeof text), 0);
            ck_assert_int_eq(cosy_readexactly(ends[1], text, 0), 0);
            lends("", data, cosy_read_chunk(ends[1], &data));
            lends("", data, cosy_readline(ends[1], &data));
            lends("", data, cosy_peek(ends[1], &data, 5));
            ck_assert_int_eq(cosy_readexactly(ends[1], text, 5), -COSY_EINCOMPLETE);
            ck_assert_uint_eq(cosy_stream_partial(ends[1]), 0);
            ck_assert_int_eq(cosy_readuntil(ends[1], &data, "x"), -COSY_EINCOMPLETE);
            ck_assert_uint_eq(cosy_stream_partial(ends[1]), 0);
            ck_assert_str_eq(data, "");
            lends("", data, cosy_read_all(ends[1], &data, 0));
            free(data);
        }
        ck_assert_ptr_null(ends[1]->in);
        ck_ok(cosy_stream_close(ends[1]));
    }
    return 0;
}

ASYNC_TEST(at_eof_is_true_when_all_is_read)
{
    cosy_stream *stream = stream_with("abc");
    char *data;
    ck_assert_int_eq(cosy_peek(stream, &data, 10), 3); /* the end is known, and bytes are left */
    ck_assert(!cosy_at_eof(stream));
    ck_ok(cosy_skip(stream, 3));
    ck_assert(cosy_at_eof(stream));
    return cosy_stream_close(stream);
}

/* ---- readexactly ---- */

ASYNC_TEST(readexactly_waits_for_all)
{
    size_t sizes[] = {1, 2, 100, 2047, 2048, 2049, 65599, 65600, 300000};
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *data = numbered(sizes[i]), *got = malloc(sizes[i]);
        cosy_scoped(cosy_task) writer = cosy_create_task(cosy_write, ends[0], (const void *)data, sizes[i]);
        ck_assert_int_eq(cosy_readexactly(ends[1], got, sizes[i]), (int64_t)sizes[i]);
        check_numbered(got, 0, sizes[i]);
        ck_ok(cosy_await(writer));
        free(data);
        free(got);
    }
    close_both(ends);
    return 0;
}

ASYNC_TEST(readexactly_tells_how_much_came)
{
    cosy_stream *stream = stream_with("abc");
    char text[5000] = {0};
    ck_assert_int_eq(cosy_readexactly(stream, text, 1), 1);
    ck_assert_int_eq(cosy_readexactly(stream, text, 5000), -COSY_EINCOMPLETE);
    ck_assert_uint_eq(cosy_stream_partial(stream), 2);
    ck_assert_str_eq(text, "bc");
    ck_assert_int_eq(cosy_readexactly(stream, NULL, 0), 0);
    ck_assert_int_eq(cosy_readexactly(stream, NULL, 1), -EINVAL);
    return cosy_stream_close(stream);
}

/* ---- lent chunks and lines ---- */

ASYNC_TEST(chunks_are_what_came)
{
    cosy_stream *ends[2];
    char *chunk;
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], "one", 3));
    lends("one", chunk, cosy_read_chunk(ends[1], &chunk));
    ck_assert_ptr_eq(chunk, ends[1]->in); /* not copied */
    ck_ok(cosy_write(ends[0], "two", 3));
    lends("two", chunk, cosy_read_chunk(ends[1], &chunk));
    close_both(ends);
    return 0;
}

ASYNC_TEST(lines_come_one_by_one)
{
    cosy_stream *stream = stream_with("one\n\ntwo\nthree");
    char *line;
    lends("one\n", line, cosy_readline(stream, &line));
    lends("\n", line, cosy_readline(stream, &line));
    lends("two\n", line, cosy_readline(stream, &line));
    lends("three", line, cosy_readline(stream, &line)); /* the last one may lack its end */
    lends("", line, cosy_readline(stream, &line));
    return cosy_stream_close(stream);
}

ASYNC_TEST(a_line_may_come_in_pieces)
{
    int peer;
    cosy_stream *stream = stream_to(&peer);
    char *line;
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_readline, stream, &line);
    for (const char *c = "piece by piece\nand"; *c; c++) {
        ck_assert_int_eq(write(peer, c, 1), 1);
        if (*c != 'a' && *c != 'n')
            some_turns(2);
        if (*c == 'd')
            break;
    }
    come_to_rest();
    ck_assert(cosy_task_done(task));
    (void)cosy_await(task);
    ck_assert_str_eq(line, "piece by piece\n");
    close(peer);
    lends("and", line, cosy_readline(stream, &line));
    return cosy_stream_close(stream);
}

/* The NUL behind a line covers the first byte of what follows, for each way to read on. */
ASYNC_TEST(the_byte_under_the_nul_is_kept)
{
    cosy_stream *stream = stream_with("a\nb\ncdefghij");
    char *line, text[10] = {0};
    void *rest;
    size_t size;
    lends("a\n", line, cosy_readline(stream, &line));
    ck_assert_uint_eq(cosy_stream_buffered(stream), 10);
    lends("b\n", line, cosy_readline(stream, &line));
    ck_assert_int_eq(cosy_read(stream, text, 1), 1);
    ck_assert_str_eq(text, "c");
    ck_assert_int_eq(cosy_peek(stream, &line, 1), 7);
    ck_ok(cosy_skip(stream, 1));
    ck_assert_int_eq(cosy_readexactly(stream, text, 1), 1);
    ck_assert_str_eq(text, "e");
    lends("fg", line, cosy_readuntil(stream, &line, "g"));
    int fd = cosy_stream_detach(stream, &rest, &size);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(rest, "hij", 3);
    free(rest);
    close(fd);
    return 0;
}

ASYNC_TEST(what_is_lent_may_be_changed)
{
    cosy_stream *stream = stream_with("one\ntwo\n");
    char *line;
    lends("one\n", line, cosy_readline(stream, &line));
    memset(line, 'x', 4);
    lends("two\n", line, cosy_readline(stream, &line));
    lends("", line, cosy_readline(stream, &line));
    line[0] = 'x'; /* also where the NUL stands */
    lends("", line, cosy_readline(stream, &line));
    return cosy_stream_close(stream);
}

/* It stays when somebody else ends the connection. */
ASYNC_TEST(what_is_lent_outlives_an_abort)
{
    cosy_stream *stream = stream_with("one\ntwo\n");
    char *line;
    lends("one\n", line, cosy_readline(stream, &line));
    cosy_stream_abort(stream);
    ck_assert_str_eq(line, "one\n");
    ck_assert_uint_eq(cosy_stream_buffered(stream), 0);
    ck_assert_int_eq(cosy_readline(stream, &line), -ECONNABORTED);
    return cosy_stream_close(stream);
}

/* Lines of all lengths around the sizes of buffers. */
ASYNC_TEST(lines_lie_across_buffers)
{
    cosy_stream *ends[2];
    size_t lengths[] = {1, 16383, 16384, 16385, 4095, 4096, 65536, 30000, 2, 65537, 60000};
    ck_ok(cosy_stream_pair(ends, .high_water = 1000000));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            char *data = malloc(lengths[i]), *line;
            memset(data, 'a' + (int)i, lengths[i]);
            data[lengths[i] - 1] = '\n';
            cosy_scoped(cosy_task) writer = cosy_create_task(cosy_write, ends[0], (const void *)data, lengths[i]);
            ck_assert_int_eq(cosy_readline(ends[1], &line), (int64_t)lengths[i]);
            ck_assert_mem_eq(line, data, lengths[i]);
            ck_assert_int_eq(line[lengths[i]], 0);
            ck_ok(cosy_await(writer));
            free(data);
        }
    }
    close_both(ends);
    return 0;
}

ASYNC_TEST(loops_over_lines_and_chunks_tell_how_they_ended)
{
    cosy_stream *stream = stream_with("a\nb\nrest");
    int64_t length;
    COSY_LINES (stream, line, length)
        note("%.*s", (int)length - (line[length - 1] == '\n'), line);
    ck_assert_noted("a b rest");
    ck_assert_int_eq(length, 0);
    ck_ok(cosy_stream_close(stream));
    stream = stream_with("all of it");
    COSY_CHUNKS (stream, chunk, length)
        note("%s", chunk);
    ck_assert_noted("all of it");
    cosy_stream_abort(stream);
    COSY_LINES (stream, line, length)
        ck_abort_msg("a line: %s", line);
    ck_assert_int_eq(length, -ECONNABORTED);
    return cosy_stream_close(stream);
}

/* ---- limits of lines: what asyncio drops ---- */

static cosy_stream *limited(size_t limit, const char *text)
{
    cosy_stream *ends[2];
    ck_ok(cosy_stream_pair(ends, .limit = limit));
    ck_ok(cosy_write(ends[0], text, strlen(text)));
    ck_ok(cosy_stream_close(ends[0]));
    return ends[1];
}

ASYNC_TEST(a_line_that_is_too_long_is_dropped)
{
    char *line;
    cosy_stream *stream = limited(3, "line1\nline2\n");
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    lends("", line, cosy_readline(stream, &line));
    ck_ok(cosy_stream_close(stream));
    stream = limited(7, "line 1\nline 2 is too long\nline 3\n");
    lends("line 1\n", line, cosy_readline(stream, &line));
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    lends("line 3\n", line, cosy_readline(stream, &line));
    ck_ok(cosy_stream_close(stream));
    stream = limited(5, "abcde\nabcdef\n"); /* the limit does not count the '\n' */
    lends("abcde\n", line, cosy_readline(stream, &line));
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    ck_ok(cosy_stream_close(stream));
    stream = limited(3, "abcdefg"); /* no end: all that is there is dropped */
    ck_assert_int_eq(cosy_readline(stream, &line), -COSY_ELIMIT);
    lends("", line, cosy_readline(stream, &line));
    return cosy_stream_close(stream);
}

/* ---- readuntil ---- */

ASYNC_TEST(readuntil_stops_behind_the_separator)
{
    cosy_stream *stream = stream_with("headers\r\n\r\nbodyENDrest");
    char *data;
    lends("headers\r\n\r\n", data, cosy_readuntil(stream, &data, "\r\n\r\n"));
    lends("bodyEND", data, cosy_readuntil(stream, &data, "END"));
    ck_assert_int_eq(cosy_readuntil(stream, &data, "END"), -COSY_EINCOMPLETE);
    ck_assert_uint_eq(cosy_stream_partial(stream), 4);
    ck_assert_str_eq(data, "rest");
    ck_assert_int_eq(cosy_readuntil(stream, &data, "END"), -COSY_EINCOMPLETE); /* it was used up */
    ck_assert_uint_eq(cosy_stream_partial(stream), 0);
    return cosy_stream_close(stream);
}

ASYNC_TEST(of_several_separators_the_first_complete_one_counts)
{
    cosy_stream *stream = stream_with("line 1\nline 2\r\nABCDE0123 xyzzy");
    char *data;
    lends("line 1\n", data, cosy_readuntil(stream, &data, "\r\n", "\n"));
    lends("line 2\r\n", data, cosy_readuntil(stream, &data, "\r\n", "\n"));
    lends("ABCDE", data, cosy_readuntil(stream, &data, "ABCDE", "CDE")); /* both end there */
    lends("0", data, cosy_readuntil(stream, &data, "0123", "0"));
    lends("123 xy", data, cosy_readuntil(stream, &data, "xyzzy", "xy"));
    return cosy_stream_close(stream);
}

ASYNC_TEST(separators_are_checked)
{
    cosy_stream *stream = stream_with("x");
    char *data;
    struct iovec bytes[9], none = {.iov_base = TEXT("x"), .iov_len = 0};
    for (int i = 0; i < 9; i++)
        bytes[i] = (struct iovec){.iov_base = TEXT("x"), .iov_len = 1};
    ck_assert_int_eq(cosy_readuntil(stream, &data, ""), -EINVAL);
    ck_assert_int_eq(cosy_readuntil(stream, &data, "x", ""), -EINVAL);
    ck_assert_int_eq(cosy_readuntil(stream, &data, "1", "2", "3", "4", "5", "6", "7", "8", "9"), -EINVAL);
    ck_assert_int_eq(cosy_readuntil_bytes(stream, &data, NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_readuntil_bytes(stream, &data, &none, 1), -EINVAL);
    ck_assert_int_eq(cosy_readuntil_bytes(stream, &data, bytes, 9), -EINVAL);
    ck_assert_int_eq(cosy_readuntil_bytes(stream, &data, bytes, 8), 1);
    return cosy_stream_close(stream);
}

ASYNC_TEST(separators_may_contain_nul)
{
    int peer;
    cosy_stream *stream = stream_to(&peer);
    char *data;
    struct iovec nul = {.iov_base = TEXT("\0\n"), .iov_len = 2};
    ck_assert_int_eq(write(peer, "a\nb\0c\0\nd", 8), 8);
    ck_assert_int_eq(cosy_readuntil_bytes(stream, &data, &nul, 1), 7);
    ck_assert_mem_eq(data, "a\nb\0c\0\n", 8);
    close(peer);
    return cosy_stream_close(stream);
}

ASYNC_TEST(beyond_the_limit_nothing_is_used_up)
{
    char *data, text[20] = {0};
    cosy_stream *stream = limited(3, "some dataABC");
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(cosy_readuntil(stream, &data, "ABC"), -COSY_ELIMIT);
    ck_assert_int_eq(cosy_readexactly(stream, text, 12), 12);
    ck_assert_str_eq(text, "some dataABC");
    ck_ok(cosy_stream_close(stream));
    stream = limited(3, "abcABCabcdABC"); /* the separator does not count */
    lends("abcABC", data, cosy_readuntil(stream, &data, "ABC"));
    ck_assert_int_eq(cosy_readuntil(stream, &data, "ABC"), -COSY_ELIMIT);
    return cosy_stream_close(stream);
}

/* What is allowed does not depend on the pieces in which it comes. */
ASYNC_TEST(a_separator_in_pieces_is_within_the_limit)
{
    cosy_stream *ends[2];
    char *data;
    ck_ok(cosy_stream_pair(ends, .limit = 3));
    const char *const separators[] = {"\r\n\r\n", "!"};
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_readuntil_, ends[1], &data, separators, (size_t)2);
    for (const char *c = "abc\r\n\r\n"; *c; c++) {
        ck_ok(cosy_write(ends[0], c, 1));
        come_to_rest();
    }
    ck_assert(cosy_task_done(task));
    ck_ok(cosy_await(task) < 0);
    ck_assert_str_eq(data, "abc\r\n\r\n");
    close_both(ends);
    return 0;
}

/* Of two that end at the same place the shorter one is taken, and what is before it counts. */
ASYNC_TEST(the_shorter_of_two_separators_counts_for_the_limit)
{
    char *data;
    cosy_stream *stream = limited(2, "xxab");
    ck_assert_int_eq(cosy_readuntil(stream, &data, "ab", "b"), -COSY_ELIMIT);
    ck_assert_int_eq(cosy_readuntil(stream, &data, "b", "ab"), -COSY_ELIMIT);
    lends("xxab", data, cosy_readuntil(stream, &data, "ab"));
    return cosy_stream_close(stream);
}

/* ---- ahead ---- */

ASYNC_TEST(peek_uses_nothing_up)
{
    cosy_stream *stream = stream_with("abcdef");
    char *data;
    ck_assert_int_eq(cosy_peek(stream, &data, 0), 6);
    ck_assert_str_eq(data, "abcdef");
    ck_assert_int_eq(cosy_peek(stream, &data, 4), 6);
    ck_ok(cosy_skip(stream, 2));
    ck_assert_str_eq(data, "abcdef");
    ck_assert_int_eq(cosy_peek(stream, &data, 1), 4);
    ck_assert_str_eq(data, "cdef");
    ck_assert_int_eq(cosy_skip(stream, 5), -EINVAL);
    ck_assert_int_eq(cosy_skip(NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_peek(stream, &data, 100), 4); /* fewer only at the end */
    ck_ok(cosy_skip(stream, 4));
    lends("", data, cosy_peek(stream, &data, 100));
    return cosy_stream_close(stream);
}

ASYNC_TEST(peek_waits_for_as_much_as_is_asked)
{
    cosy_stream *ends[2];
    char *data;
    ck_ok(cosy_stream_pair(ends, .limit = 100));
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_peek, ends[1], &data, (size_t)6);
    ck_ok(cosy_write(ends[0], "abc", 3));
    come_to_rest();
    ck_assert(!cosy_task_done(task));
    ck_ok(cosy_write(ends[0], "defg", 4));
    come_to_rest();
    ck_assert(cosy_task_done(task));
    ck_ok(cosy_await(task) < 0);
    ck_assert_str_eq(data, "abcdefg");
    ck_assert_int_eq(cosy_peek(ends[1], &data, 101), -COSY_ELIMIT);
    close_both(ends);
    return 0;
}

/* ---- to the end ---- */

ASYNC_TEST(read_all_gives_everything)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        size_t sizes[] = {0, 1, 16383, 16384, 65600, 500000};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            cosy_stream *ends[2];
            char *data = numbered(sizes[i]), *got, first;
            connect_streams(conduit, ends);
            cosy_scoped(cosy_task) writer = cosy_create_task(cosy_write, ends[0], (const void *)data, sizes[i]);
            if (sizes[i])
                ck_assert_int_eq(cosy_read(ends[1], &first, 1), 1); /* something is buffered then */
            cosy_scoped(cosy_task) reader = cosy_create_task(cosy_read_all, ends[1], &got, (size_t)0);
            ck_ok(cosy_await(writer));
            ck_ok(cosy_stream_close(ends[0]));
            ck_ok(cosy_await(reader) < 0);
            check_numbered(got, sizes[i] > 0, sizes[i] - (sizes[i] > 0));
            ck_assert_int_eq(got[sizes[i] - (sizes[i] > 0)], 0);
            free(got);
            free(data);
            ck_ok(cosy_stream_close(ends[1]));
        }
    }
    return 0;
}

ASYNC_TEST(read_all_gives_back_what_is_too_much)
{
    char *data, text[20] = {0};
    cosy_stream *stream = stream_with("0123456789");
    ck_assert_int_eq(cosy_read_all(stream, &data, 9), -COSY_ELIMIT);
    ck_assert_int_eq(cosy_read_all(stream, &data, 1), -COSY_ELIMIT);
    lends("0123456789", data, cosy_read_all(stream, &data, 10));
    free(data);
    ck_assert_int_eq(cosy_read_all(stream, NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_read(stream, text, 5), 0);
    return cosy_stream_close(stream);
}

/* ---- buffers ---- */

/* A call that gives back little does not leave a buffer in which only little can be read at once. */
ASYNC_TEST(reading_goes_on_in_large_pieces_after_a_cancel)
{
    cosy_stream *ends[2];
    char *chunk, *data = numbered(60000), text[10];
    ck_ok(cosy_stream_pair(ends, .high_water = 1000000));
    ck_ok(cosy_write(ends[0], data, 3));
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_readexactly, ends[1], (void *)text, (size_t)10);
    come_to_rest();
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_read(ends[1], text, 1), 1);
    ck_ok(cosy_write(ends[0], data + 3, 59997));
    ck_assert_int_eq(cosy_peek(ends[1], &chunk, 3), 2 + 59997);
    check_numbered(chunk, 1, 59999);
    ck_assert_int_eq(cosy_readexactly(ends[1], data, 59999), 59999);
    /* the same for the beginning of a line that was waited on */
    ck_ok(cosy_write(ends[0], "abc", 3));
    task = cosy_create_task(cosy_readline, ends[1], &chunk);
    come_to_rest();
    memset(data, 'x', 60000);
    data[59999] = '\n';
    ck_ok(cosy_write(ends[0], data, 60000));
    come_to_rest();
    ck_assert_int_eq(ends[1]->in_room, COSY_BUFFER_SIZE);
    ck_assert(cosy_task_done(task));
    ck_ok(cosy_await(task) < 0);
    free(data);
    close_both(ends);
    return 0;
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

static int endless_receive(cosy_stream *stream, void *buffer, size_t size)
{
    (void)stream;
    memset(buffer, '.', size);
    return (int)size;
}

/* From a peer that always has more. */
ASYNC_TEST(others_have_their_turn_while_much_is_read)
{
    cosy_stream *ends[2];
    struct cosy_stream_kind endless = cosy_socket_stream;
    endless.receive = endless_receive;
    char *data = malloc(8 << 20), *chunk;
    connect_streams(UNIX_SOCKETS, ends);
    ends[1]->kind = &endless;
    ticks = 0;
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_gt(cosy_read_chunk(ends[1], &chunk), 0);
    ck_assert_int_ge(ticks, 4);
    ticks = 0;
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(cosy_readexactly(ends[1], data + (i << 20), 1000000), 1000000);
    ck_assert_int_ge(ticks, 4);
    ticks = 0;
    ck_assert_int_eq(cosy_read_all(ends[1], &chunk, 4 << 20), -COSY_ELIMIT);
    ck_assert_int_ge(ticks, 2);
    cosy_task_cancel(ticker);
    ck_assert_int_eq(cosy_await(ticker), -ECANCELED);
    free(data);
    close_both(ends);
    return 0;
}

static int slow_receive(cosy_stream *stream, void *buffer, size_t size)
{
    return endless_receive(stream, buffer, size < 4096 ? size : 4096);
}

/* Also within one call. */
ASYNC_TEST(others_have_their_turn_within_readexactly)
{
    cosy_stream *ends[2];
    struct cosy_stream_kind endless = cosy_socket_stream;
    endless.receive = slow_receive;
    char *data = malloc(8 << 20);
    connect_streams(UNIX_SOCKETS, ends);
    ends[1]->kind = &endless;
    ticks = 0;
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick);
    ck_assert_int_eq(cosy_readexactly(ends[1], data, 8 << 20), 8 << 20);
    ck_assert_int_ge(ticks, 4);
    cosy_task_cancel(ticker);
    ck_assert_int_eq(cosy_await(ticker), -ECANCELED);
    free(data);
    close_both(ends);
    return 0;
}

/* ---- wrong uses ---- */

ASYNC_TEST(reading_no_stream_is_refused)
{
    char text[10], *data;
    ck_assert_int_eq(cosy_read(NULL, text, 10), -EINVAL);
    ck_assert_int_eq(cosy_readexactly(NULL, text, 10), -EINVAL);
    ck_assert_int_eq(cosy_readline(NULL, &data), -EINVAL);
    ck_assert_int_eq(cosy_readuntil(NULL, &data, "x"), -EINVAL);
    ck_assert_int_eq(cosy_read_chunk(NULL, &data), -EINVAL);
    ck_assert_int_eq(cosy_peek(NULL, &data, 1), -EINVAL);
    ck_assert_int_eq(cosy_read_all(NULL, &data, 0), -EINVAL);
    ck_assert_uint_eq(cosy_stream_buffered(NULL), 0);
    cosy_stream *stream = stream_with("x");
    ck_assert_int_eq(cosy_read(stream, NULL, 10), -EINVAL);
    ck_assert_int_eq(cosy_read(stream, text, 10), 1);
    return cosy_stream_close(stream);
}

COSY_TEST_MAIN("stream_read", read_gives_what_is_there, a_large_read_needs_no_buffer,
               read_waits_for_a_first_byte_and_holds_no_buffer, a_second_reader_is_refused,
               the_end_is_told_again_and_again, at_eof_is_true_when_all_is_read, readexactly_waits_for_all,
               readexactly_tells_how_much_came, chunks_are_what_came, lines_come_one_by_one, a_line_may_come_in_pieces,
               the_byte_under_the_nul_is_kept, what_is_lent_may_be_changed, what_is_lent_outlives_an_abort,
               lines_lie_across_buffers, loops_over_lines_and_chunks_tell_how_they_ended,
               a_line_that_is_too_long_is_dropped, readuntil_stops_behind_the_separator,
               of_several_separators_the_first_complete_one_counts, separators_are_checked, separators_may_contain_nul,
               beyond_the_limit_nothing_is_used_up, a_separator_in_pieces_is_within_the_limit,
               the_shorter_of_two_separators_counts_for_the_limit, peek_uses_nothing_up,
               peek_waits_for_as_much_as_is_asked, read_all_gives_everything, read_all_gives_back_what_is_too_much,
               reading_goes_on_in_large_pieces_after_a_cancel, others_have_their_turn_while_much_is_read,
               others_have_their_turn_within_readexactly, reading_no_stream_is_refused)
