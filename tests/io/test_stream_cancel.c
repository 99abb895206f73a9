/* Cancelled at any wait: no byte is lost, none comes twice. */
#include "stream_test.h"

enum { SENT = 60000 };

/* ---- readers that are cancelled, and go on with another call ---- */

/* Waits of the main task of a run are cancelled; the peer writes from a task of its own. */
struct talk {
    cosy_stream *ends[2];
    size_t got;
    int call; /* the reading call that meets the cancel */
    int cancels;
    char *sent;
};

/* Numbered bytes with a line's end now and then: what is at a place is known. */
static char *lines_of_numbers(size_t size)
{
    char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = i % 100 == 99 ? '\n' : (char)('A' + (i + i / 100) % 26);
    data[size] = 0;
    return data;
}

cosy_async static int send_in_pieces(struct talk *talk)
{
    for (size_t at = 0, size = 1; at < SENT; at += size) {
        size = 1 + (size * 7 + at) % 4001;
        size = size < SENT - at ? size : SENT - at;
        int result = cosy_write(talk->ends[0], talk->sent + at, size);
        if (result < 0)
            return result;
        cosy_try(cosy_yield());
    }
    return cosy_write_eof(talk->ends[0]);
}

cosy_async static int64_t read_by(struct talk *talk, int call, char *buffer, char **data)
{
    cosy_stream *stream = talk->ends[1];
    int64_t got;
    *data = buffer;
    switch (call) {
    case 0:
        return cosy_read(stream, buffer, 50);
    case 1:
        return cosy_read(stream, buffer, 8000);
    case 2:
        return cosy_readexactly(stream, buffer, 70);
    case 3:
        return cosy_readexactly(stream, buffer, 9000);
    case 4:
        return cosy_readline(stream, data);
    case 5:
        return cosy_readuntil(stream, data, "YZ", "\n");
    case 6:
        got = cosy_peek(stream, data, 500);
        if (got > 0)
            cosy_test_expect(cosy_skip(stream, (size_t)got) == 0);
        return got;
    case 7:
        return cosy_read_chunk(stream, data);
    default:
        return cosy_read_all(stream, data, 0);
    }
}

enum { CALLS = 9 };

/* Takes what the call gave, or notes that it was cancelled. */
static int taken(struct talk *talk, const char *data, int64_t got)
{
    if (got == -ECANCELED) {
        talk->cancels++;
        return 1;
    }
    if (got == -COSY_EINCOMPLETE)
        got = (int64_t)cosy_stream_partial(talk->ends[1]);
    if (!cosy_test_expect(got >= 0))
        return (int)got;
    cosy_test_expect(talk->got + (size_t)got <= SENT);
    cosy_test_expect(memcmp(data, talk->sent + talk->got, (size_t)got) == 0);
    talk->got += (size_t)got;
    return got > 0;
}

cosy_async static int read_all_of_it(struct talk *talk)
{
    static char buffer[10000];
    char *data;
    int more = 1;
    for (int i = 0; more == 1; i++) {
        int call = talk->cancels ? (talk->call + i) % CALLS : talk->call;
        int64_t got = read_by(talk, call, buffer, &data);
        more = taken(talk, data, got);
        if (call == CALLS - 1 && got >= 0)
            cosy_heap_free(data); /* free() would not be counted */
    }
    return more;
}

cosy_async static int converse(struct talk *talk)
{
    cosy_test_expect(cosy_stream_pair(talk->ends) == 0);
    cosy_scoped(cosy_task) sender = cosy_create_task(send_in_pieces, talk);
    int result = read_all_of_it(talk);
    int sent = cosy_await(sender);
    if (sent == -ECANCELED) /* the cancel met the end: it was this wait's */
        sent = 0;
    cosy_test_expect(talk->got == SENT);
    cosy_test_expect(cosy_stream_close(talk->ends[0]) == 0);
    cosy_test_expect(cosy_stream_close(talk->ends[1]) == 0);
    return result < 0 ? result : sent;
}

/* Each wait of the reader is cancelled once in some round. */
START_TEST(a_cancelled_read_loses_nothing)
{
    char *sent = lines_of_numbers(SENT);
    for (int call = 0; call < CALLS; call++) {
        int err = 0;
        COSY_TEST_EXPLORE(err, .seeds = under_tool() ? 1 : 3, .cancel_each_wait = !under_valgrind(),
                          .cancel_one_in = under_valgrind() ? 20 : 0, .cancel_task = "converse")
        {
            struct talk talk = {.call = call, .sent = sent};
            (void)cosy_test_run(converse, &talk);
        }
        ck_assert_msg(err >= 0, "call %d: %s", call, cosy_errname(err));
    }
    free(sent);
}
END_TEST

/* ---- writers that are cancelled: all of each call's bytes arrive ---- */

struct dictation {
    cosy_stream *ends[2];
    int way; /* of writing */
    size_t taken;
    char *sent;
};

cosy_async static int write_by(struct dictation *dictation, const char *data, size_t size)
{
    struct iovec parts[3] = {{.iov_base = TEXT(data), .iov_len = size / 3},
                             {.iov_base = TEXT(data + size / 3), .iov_len = 0},
                             {.iov_base = TEXT(data + size / 3), .iov_len = size - size / 3}};
    return dictation->way == 2 ? cosy_writev(dictation->ends[0], parts, 3) : cosy_write(dictation->ends[0], data, size);
}

static size_t piece_of(const struct dictation *dictation, size_t at)
{
    size_t size = dictation->way == 0 ? 700 : dictation->way == 1 ? 25000 : 1 + at * 31 % 20011;
    return size < SENT - at ? size : SENT - at;
}

cosy_async static int dictate(struct dictation *dictation)
{
    for (size_t at = 0, size; at < SENT; at += size) {
        size = piece_of(dictation, at);
        char *copy = malloc(size); /* gone when the call has returned */
        memcpy(copy, dictation->sent + at, size);
        int result = write_by(dictation, copy, size);
        memset(copy, '?', size);
        free(copy);
        if (!cosy_test_expect(result == 0 || result == -ECANCELED))
            return result;
        if (at % 3 == 0) {
            result = at % 2 ? cosy_drain(dictation->ends[0]) : cosy_flush(dictation->ends[0]);
            cosy_test_expect(result == 0 || result == -ECANCELED);
        }
    }
    int result = dictation->way == 1 ? cosy_write_eof(dictation->ends[0]) : 0;
    cosy_test_expect(result == 0 || result == -ECANCELED);
    cosy_test_expect(cosy_stream_close(dictation->ends[0]) == 0);
    return 0;
}

cosy_async static int take_down(struct dictation *dictation)
{
    static char buffer[3000];
    int64_t got;
    while ((got = cosy_read(dictation->ends[1], buffer, 1 + dictation->taken % sizeof buffer)) > 0) {
        cosy_test_expect(dictation->taken + (size_t)got <= SENT);
        cosy_test_expect(memcmp(buffer, dictation->sent + dictation->taken, (size_t)got) == 0);
        dictation->taken += (size_t)got;
        cosy_try(cosy_sleep(COSY_US(10)));
    }
    cosy_test_expect(got == 0 && dictation->taken == SENT);
    return cosy_stream_close(dictation->ends[1]);
}

cosy_async static int dictation_of_all(struct dictation *dictation)
{
    cosy_test_expect(cosy_stream_pair(dictation->ends, .high_water = 2000) == 0);
    size_t before = stuff(dictation->ends[0]);
    cosy_scoped(cosy_task) writer = cosy_create_task(dictate, dictation);
    (void)cosy_yield();
    for (char block[4096]; before > 0;) { /* the writer waits meanwhile */
        int64_t got = cosy_read(dictation->ends[1], block, before < sizeof block ? before : sizeof block);
        cosy_test_expect(got > 0);
        before -= (size_t)got;
    }
    cosy_scoped(cosy_task) reader = cosy_create_task(take_down, dictation);
    int written = cosy_await(writer), read = cosy_await(reader);
    return written < 0 && written != -ECANCELED ? written : read;
}

START_TEST(a_cancelled_write_loses_nothing)
{
    char *sent = lines_of_numbers(SENT);
    for (int way = 0; way < 3; way++) {
        int err = 0;
        COSY_TEST_EXPLORE(err, .seeds = under_tool() ? 1 : 3, .cancel_each_wait = !under_valgrind(),
                          .cancel_one_in = under_valgrind() ? 20 : 0, .cancel_task = "dictate")
        {
            struct dictation dictation = {.way = way, .sent = sent};
            (void)cosy_test_run(dictation_of_all, &dictation);
        }
        ck_assert_msg(err >= 0, "way %d: %s", way, cosy_errname(err));
    }
    free(sent);
}
END_TEST

/* ---- on the kernel's own sockets, at the n-th wait and between a wake and its turn ---- */

cosy_async static int read_numbers(cosy_stream *stream, char *buffer, size_t size)
{
    return (int)cosy_readexactly(stream, buffer, size);
}

ASYNC_TEST(a_read_that_is_cancelled_as_bytes_come_gives_them_back)
{
    for (enum conduit conduit = 0; conduit < CONDUITS; conduit++) {
        for (size_t size = 10; size <= 10000; size *= 1000) {
            for (int turn = 0; turn < 6; turn++) {
                cosy_stream *ends[2];
                char *data = numbered(3000), *buffer = malloc(size), got[3000];
                connect_streams(conduit, ends);
                cosy_scoped(cosy_task) reader = cosy_create_task(read_numbers, ends[1], buffer, size);
                come_to_rest();
                ck_ok(cosy_write(ends[0], data, 3));
                some_turns(turn);
                cosy_task_cancel(reader);
                ck_assert_int_eq(cosy_await(reader), -ECANCELED);
                ck_ok(cosy_write(ends[0], data + 3, 2997));
                ck_assert_int_eq(cosy_readexactly(ends[1], got, 3000), 3000);
                check_numbered(got, 0, 3000);
                free(data);
                free(buffer);
                close_both(ends);
            }
        }
    }
    return 0;
}

/* ---- limits of time ---- */

cosy_async static int read_line_in_time(cosy_stream *stream)
{
    char *line;
    int err;
    COSY_TIMEOUT (err, COSY_MS(5)) {
        err = (int)cosy_readline(stream, &line);
    }
    return err;
}

ASYNC_TEST(a_timeout_cancels_a_read)
{
    cosy_stream *ends[2];
    char *line;
    connect_streams(UNIX_SOCKETS, ends);
    ck_ok(cosy_write(ends[0], "half a ", 7));
    ck_assert_int_eq(read_line_in_time(ends[1]), -ETIMEDOUT);
    ck_ok(cosy_write(ends[0], "line\n", 5));
    ck_assert_int_eq(cosy_readline(ends[1], &line), 12);
    ck_assert_str_eq(line, "half a line\n");
    close_both(ends);
    return 0;
}

/* ---- on stacks that are as small as they can be ---- */

cosy_async static int echo_one_line(cosy_stream *stream)
{
    char *line;
    int64_t length = cosy_readline(stream, &line);
    if (length < 0)
        return (int)length;
    return cosy_write(stream, line, (size_t)length);
}

ASYNC_TEST(little_stacks_suffice)
{
    cosy_stream *ends[2];
    connect_streams(UNIX_SOCKETS, ends);
    cosy_scoped(cosy_task) echo =
        cosy_create_task_with((.stack_size = under_tool() ? 0 : 4096), echo_one_line, ends[1]);
    come_to_rest();
    stuff(ends[1]);
    ck_ok(cosy_write(ends[0], "hello\n", 6));
    come_to_rest();
    struct drain_pipe pipe = {.stream = ends[0]};
    cosy_scoped(cosy_task) reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_await(echo));
    ck_ok(cosy_stream_close(ends[1]));
    ck_ok(cosy_await(reader));
    return cosy_stream_close(ends[0]);
}

COSY_TEST_MAIN("stream_cancel", a_cancelled_read_loses_nothing, a_cancelled_write_loses_nothing,
               a_read_that_is_cancelled_as_bytes_come_gives_them_back, a_timeout_cancels_a_read, little_stacks_suffice)
