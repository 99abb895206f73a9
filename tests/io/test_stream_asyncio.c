/* Scenarios of CPython's test_streams.py and test_buffered_proto.py that the other files do not have
 * (docs/scenarios/streams.md). */
#include "stream_test.h"

#define DATA "line1\nline2\nline3\n"

/* A reader and the descriptor that feeds it. */
struct feed {
    cosy_stream *reader;
    int fd;
};

static struct feed feed_with_limit(size_t limit)
{
    struct feed feed;
    int fds[2];
    ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    ck_ok(cosy_stream_adopt(fds[0], &feed.reader, .limit = limit));
    feed.fd = fds[1];
    return feed;
}

static struct feed new_feed(void)
{
    return feed_with_limit(0);
}

static void feed_eof(struct feed *feed)
{
    close(feed->fd);
    feed->fd = -1;
}

static int end(struct feed *feed)
{
    if (feed->fd >= 0)
        close(feed->fd);
    return cosy_stream_close(feed->reader);
}

/* Pieces that come one after the other, while somebody reads. */
struct pieces {
    struct feed *feed;
    const char *const *texts; /* up to NULL */
    bool eof;
};

cosy_async static int feed_pieces(struct pieces *pieces)
{
    for (const char *const *text = pieces->texts; *text; text++) {
        put(pieces->feed->fd, *text);
        come_to_rest();
    }
    if (pieces->eof)
        feed_eof(pieces->feed);
    return 0;
}

static cosy_task *start_feeding(struct feed *feed, bool eof, const char *const *texts)
{
    static struct pieces pieces; /* one at a time */
    pieces = (struct pieces){.feed = feed, .texts = texts, .eof = eof};
    return cosy_create_task(feed_pieces, &pieces);
}

#define feeding(feed, eof, ...) start_feeding((feed), (eof), (const char *const[]){__VA_ARGS__, NULL})

/* The call gives this text. */
#define gives(text, data, call)                                                                                        \
    do {                                                                                                               \
        ck_assert_int_eq((call), (int64_t)strlen(text));                                                               \
        ck_assert_str_eq((data), (text));                                                                              \
    } while (0)

/* What is left is this text. */
static void leaves(struct feed *feed, const char *text)
{
    char rest[100] = {0};
    if (feed->fd >= 0)
        feed_eof(feed);
    ck_assert_int_eq(cosy_readexactly(feed->reader, rest, 99), -COSY_EINCOMPLETE);
    ck_assert_str_eq(rest, text);
}

/* ---- read ---- */

ASYNC_TEST(test_read_zero)
{
    struct feed feed = new_feed();
    char none;
    put(feed.fd, DATA);
    ck_assert_int_eq(cosy_read(feed.reader, &none, 0), 0);
    leaves(&feed, DATA);
    return end(&feed);
}

ASYNC_TEST(test_read_line_breaks)
{
    struct feed feed = new_feed();
    char text[6] = {0};
    put(feed.fd, "line1");
    put(feed.fd, "line2");
    gives("line1", text, cosy_read(feed.reader, text, 5));
    leaves(&feed, "line2");
    return end(&feed);
}

ASYNC_TEST(test_read_until_eof)
{
    struct feed feed = new_feed();
    char *data;
    cosy_scoped(cosy_task) feeder = feeding(&feed, true, "chunk1\n", "chunk2");
    gives("chunk1\nchunk2", data, cosy_read_all(feed.reader, &data, 0));
    free(data);
    ck_ok(cosy_await(feeder));
    return end(&feed);
}

/* The limit is for lines. */
ASYNC_TEST(test_read_limit)
{
    struct feed feed = feed_with_limit(3);
    char text[6] = {0};
    put(feed.fd, "chunk");
    gives("chunk", text, cosy_read(feed.reader, text, 5));
    put(feed.fd, "chunk");
    gives("chunk", text, cosy_readexactly(feed.reader, text, 5));
    return end(&feed);
}

/* ---- readline ---- */

ASYNC_TEST(test_readline)
{
    struct feed feed = new_feed();
    char *line;
    put(feed.fd, "chunk1 ");
    cosy_scoped(cosy_task) feeder = feeding(&feed, false, "chunk2 ", "chunk3 ", "\n chunk4");
    gives("chunk1 chunk2 chunk3 \n", line, cosy_readline(feed.reader, &line));
    ck_ok(cosy_await(feeder));
    leaves(&feed, " chunk4");
    return end(&feed);
}

ASYNC_TEST(test_readline_limit_with_existing_data)
{
    struct feed feed = feed_with_limit(3);
    char *line;
    put(feed.fd, "line1\nline2\n");
    ck_assert_int_eq(cosy_readline(feed.reader, &line), -COSY_ELIMIT);
    leaves(&feed, "line2\n");
    ck_ok(end(&feed));
    feed = feed_with_limit(3);
    put(feed.fd, "line1li");
    ck_assert_int_eq(cosy_readline(feed.reader, &line), -COSY_ELIMIT);
    leaves(&feed, "");
    return end(&feed);
}

ASYNC_TEST(test_readline_limit)
{
    struct feed feed = feed_with_limit(7);
    char *line;
    put(feed.fd, "chunk1chunk2\nchunk3\n");
    ck_assert_int_eq(cosy_readline(feed.reader, &line), -COSY_ELIMIT);
    leaves(&feed, "chunk3\n");
    ck_ok(end(&feed));
    feed = feed_with_limit(7); /* a strict one */
    put(feed.fd, "1234567\n");
    gives("1234567\n", line, cosy_readline(feed.reader, &line));
    put(feed.fd, "12345678\n");
    ck_assert_int_eq(cosy_readline(feed.reader, &line), -COSY_ELIMIT);
    put(feed.fd, "12345678");
    ck_assert_int_eq(cosy_readline(feed.reader, &line), -COSY_ELIMIT);
    leaves(&feed, "");
    return end(&feed);
}

ASYNC_TEST(test_readline_read_byte_count)
{
    struct feed feed = new_feed();
    char *line, text[8] = {0};
    put(feed.fd, DATA);
    gives("line1\n", line, cosy_readline(feed.reader, &line));
    gives("line2\nl", text, cosy_read(feed.reader, text, 7));
    leaves(&feed, "ine3\n");
    return end(&feed);
}

/* ---- readuntil ---- */

ASYNC_TEST(test_readuntil_multi_chunks)
{
    static const char *const inputs[][6] = {
        {"QWEaa", "XYaa", "a"}, {"QWEaa", "XYa", "aa"}, {"aaa"}, {"Xaaa"}, {"XXX", "a", "a", "a"}};
    struct feed feed = new_feed();
    for (int i = 0; i < 5; i++) {
        char whole[20] = "", *data;
        for (int j = 0; inputs[i][j]; j++)
            strcat(whole, inputs[i][j]);
        cosy_scoped(cosy_task) feeder = start_feeding(&feed, false, inputs[i]);
        gives(whole, data, cosy_readuntil(feed.reader, &data, "aaa"));
        ck_ok(cosy_await(feeder));
    }
    leaves(&feed, "");
    return end(&feed);
}

ASYNC_TEST(test_readuntil_eof)
{
    struct feed feed = new_feed();
    char *data;
    put(feed.fd, "some dataAA");
    feed_eof(&feed);
    ck_assert_int_eq(cosy_readuntil(feed.reader, &data, "AAA"), -COSY_EINCOMPLETE);
    ck_assert_str_eq(data, "some dataAA");
    leaves(&feed, "");
    return end(&feed);
}

ASYNC_TEST(test_readuntil_limit_found_sep)
{
    struct feed feed = feed_with_limit(3);
    char *data;
    put(feed.fd, "some dataAA");
    ck_assert_int_eq(cosy_readuntil(feed.reader, &data, "AAA"), -COSY_ELIMIT);
    put(feed.fd, "A");
    ck_assert_int_eq(cosy_readuntil(feed.reader, &data, "AAA"), -COSY_ELIMIT);
    leaves(&feed, "some dataAAA");
    return end(&feed);
}

ASYNC_TEST(test_readuntil_multi_separator)
{
    struct feed feed = new_feed();
    char *data;
    put(feed.fd, "line 1\nline 2\r");
    gives("line 1\n", data, cosy_readuntil(feed.reader, &data, "\r", "\n"));
    gives("line 2\r", data, cosy_readuntil(feed.reader, &data, "\r", "\n"));
    put(feed.fd, "ABCDEFG"); /* the first end counts, even of a longer match */
    gives("ABCDE", data, cosy_readuntil(feed.reader, &data, "DEF", "BCDE"));
    leaves(&feed, "FG");
    return end(&feed);
}

ASYNC_TEST(test_readuntil_multi_separator_limit)
{
    struct feed feed = feed_with_limit(3);
    char *data;
    put(feed.fd, "some dataA");
    ck_assert_int_eq(cosy_readuntil(feed.reader, &data, "A", "ome dataA"), -COSY_ELIMIT);
    leaves(&feed, "some dataA");
    return end(&feed);
}

ASYNC_TEST(test_readuntil_multi_separator_negative_offset)
{
    struct feed feed = new_feed();
    char *data;
    put(feed.fd, "data");
    cosy_scoped(cosy_task) feeder = feeding(&feed, false, "Z", "Aaaa");
    gives("dataZA", data, cosy_readuntil(feed.reader, &data, "A", "long sep"));
    ck_ok(cosy_await(feeder));
    leaves(&feed, "aaa");
    return end(&feed);
}

/* ---- readexactly ---- */

ASYNC_TEST(test_readexactly)
{
    struct feed feed = new_feed();
    char text[37] = {0};
    cosy_scoped(cosy_task) feeder = feeding(&feed, false, DATA, DATA, DATA);
    gives(DATA DATA, text, cosy_readexactly(feed.reader, text, 36));
    ck_ok(cosy_await(feeder));
    leaves(&feed, DATA);
    return end(&feed);
}

ASYNC_TEST(test_readexactly_eof)
{
    struct feed feed = new_feed();
    char text[37] = {0};
    cosy_scoped(cosy_task) feeder = feeding(&feed, true, DATA);
    ck_assert_int_eq(cosy_readexactly(feed.reader, text, 36), -COSY_EINCOMPLETE);
    ck_assert_contains(cosy_error_message(-COSY_EINCOMPLETE), "18 of 36 bytes");
    ck_assert_str_eq(text, DATA);
    ck_ok(cosy_await(feeder));
    return end(&feed);
}

/* ---- errors ---- */

cosy_async static int read_a_line(cosy_stream *stream)
{
    char *line;
    return (int)cosy_readline(stream, &line);
}

ASYNC_TEST(test_exception_waiter)
{
    int fds[2];
    cosy_stream *stream;
    struct linger at_once = {.l_onoff = 1};
    tcp_sockets(fds);
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    cosy_scoped(cosy_task) reader = cosy_create_task(read_a_line, stream);
    come_to_rest();
    ck_ok(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    close(fds[1]);
    ck_assert_int_eq(cosy_await(reader), -ECONNRESET);
    return cosy_stream_close(stream);
}

ASYNC_TEST(test_exception_cancel)
{
    struct feed feed = new_feed();
    cosy_scoped(cosy_task) reader = cosy_create_task(read_a_line, feed.reader);
    come_to_rest();
    cosy_task_cancel(reader);
    cosy_stream_abort(feed.reader); /* in the same turn */
    ck_assert_int_eq(cosy_await(reader), -ECANCELED);
    return end(&feed);
}

cosy_async static int drain_once(cosy_stream *stream)
{
    int result = cosy_drain(stream);
    note("drained");
    return result;
}

ASYNC_TEST(test_multiple_drain)
{
    cosy_stream *ends[2];
    cosy_task *drainers[10];
    struct drain_pipe pipe;
    ck_ok(cosy_stream_pair(ends));
    stuff(ends[0]);
    ck_ok(cosy_write(ends[0], "x", 1));
    ck_ok(cosy_set_write_buffer_limits(ends[0], 0, 0));
    for (int i = 0; i < 10; i++)
        drainers[i] = cosy_create_task(drain_once, ends[0]);
    come_to_rest();
    ck_assert_noted("");
    pipe = (struct drain_pipe){.stream = ends[1]};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    for (int i = 0; i < 10; i++) {
        ck_ok(cosy_await(drainers[i]));
        cosy_task_drop(drainers[i]);
    }
    ck_assert_int_eq(occurrences(noted, "drained"), 10);
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(reader));
    return cosy_stream_close(ends[1]);
}

/* No drain ever waits, and the error is told all the same. */
ASYNC_TEST(test_drain_raises)
{
    int fds[2], result = 0;
    cosy_stream *stream;
    tcp_sockets(fds);
    ck_ok(cosy_stream_adopt(fds[0], &stream));
    close(fds[1]);
    while (result == 0) {
        result = cosy_write(stream, "foo\n", 4);
        if (result == 0)
            result = cosy_drain(stream);
    }
    ck_assert(result == -ECONNRESET || result == -EPIPE || result == -ECONNABORTED);
    int closed = cosy_stream_close(stream); /* the same, when it had gathered something */
    ck_assert(closed == 0 || closed == result);
    return 0;
}

/* ---- test_buffered_proto: the caller's buffer, of 100 bytes ---- */

enum { NOISE = 9 * 1024 };

cosy_async static int make_noise(cosy_stream *stream)
{
    char noise[NOISE + 1], answer;
    for (int i = 0; i < 1024; i++)
        memcpy(noise + 9 * i, "12345678+", 9);
    cosy_try(cosy_write(stream, noise, NOISE));
    cosy_try(cosy_readexactly(stream, &answer, 1));
    return cosy_stream_close(stream);
}

ASYNC_TEST(test_buffered_proto_create_connection)
{
    cosy_stream *ends[2];
    char data[NOISE + 100];
    size_t size = 0;
    int64_t got;
    connect_streams(TCP, ends);
    cosy_scoped(cosy_task) server = cosy_create_task(make_noise, ends[0]);
    while ((got = cosy_read(ends[1], data + size, 100)) > 0) {
        size += (size_t)got;
        if (size == NOISE)
            ck_ok(cosy_write(ends[1], "1", 1));
    }
    ck_assert_int_eq(got, 0);
    ck_assert_uint_eq(size, NOISE);
    for (size_t i = 0; i < NOISE; i += 9)
        ck_assert_mem_eq(data + i, "12345678+", 9);
    ck_ok(cosy_await(server));
    return cosy_stream_close(ends[1]);
}

COSY_TEST_MAIN("stream_asyncio", test_read_zero, test_read_line_breaks, test_read_until_eof, test_read_limit,
               test_readline, test_readline_limit_with_existing_data, test_readline_limit,
               test_readline_read_byte_count, test_readuntil_multi_chunks, test_readuntil_eof,
               test_readuntil_limit_found_sep, test_readuntil_multi_separator, test_readuntil_multi_separator_limit,
               test_readuntil_multi_separator_negative_offset, test_readexactly, test_readexactly_eof,
               test_exception_waiter, test_exception_cancel, test_multiple_drain, test_drain_raises,
               test_buffered_proto_create_connection)
