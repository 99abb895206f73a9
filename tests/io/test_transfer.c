/* test_transfer.c - files sent into streams, streams moved into streams: with every byte in its place, whatever is
 * slow, ends early or is cancelled. */
#include "io_test.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { LARGE = 700000 };

static char byte_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

/* An unlinked regular file of numbered bytes. */
static int file_of(size_t size)
{
    char path[] = "/tmp/cosy-transfer-XXXXXX", piece[4096];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    for (size_t at = 0; at < size;) {
        size_t part = size - at < sizeof piece ? size - at : sizeof piece;
        for (size_t i = 0; i < part; i++)
            piece[i] = byte_at(at + i);
        ck_assert_int_eq(write(fd, piece, part), (ssize_t)part);
        at += part;
    }
    return fd;
}

static void check_bytes(const char *data, size_t size, size_t from)
{
    size_t i = 0; /* one assertion for all: each of them is a message to another process */
    while (i < size && data[i] == byte_at(from + i))
        i++;
    ck_assert_msg(i == size, "byte %zu of %zu is wrong", i, size);
}

/* Reads to the end; how much. */
cosy_async static int read_numbered(cosy_stream *stream, size_t from)
{
    char *data;
    int64_t size = cosy_read_all(stream, &data, 0);
    if (size < 0)
        return (int)size;
    check_bytes(data, (size_t)size, from);
    free(data);
    return (int)size;
}

cosy_async static int write_numbered(cosy_stream *stream, size_t size, size_t piece)
{
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = byte_at(i);
    int result = 0;
    for (size_t at = 0; result == 0 && at < size; at += piece)
        result = cosy_write(stream, data + at, size - at < piece ? size - at : piece);
    free(data);
    return result < 0 ? result : cosy_write_eof(stream);
}

static void close_pair(cosy_stream *pair[2])
{
    cosy_stream_close(pair[0]);
    cosy_stream_close(pair[1]);
}

/* ---- sendfile ---- */

cosy_async static int send_part(int64_t offset, int64_t count, int64_t expected)
{
    cosy_stream *pair[2];
    int file = file_of(LARGE);
    cosy_try(cosy_stream_pair(pair));
    cosy_scoped(cosy_task) reader = cosy_create_task(read_numbered, pair[1], (size_t)offset);
    ck_assert_int_eq(cosy_sendfile(pair[0], file, offset, count), expected);
    ck_assert_int_eq(lseek(file, 0, SEEK_CUR), LARGE);
    ck_assert_int_eq(cosy_write_eof(pair[0]), 0);
    ck_assert_int_eq(cosy_await(reader), expected);
    close(file);
    close_pair(pair);
    return 0;
}

TASK_TEST(a_file_arrives_whole)
{
    return send_part(0, 0, LARGE);
}
TASK_TEST(a_part_of_a_file_arrives)
{
    return send_part(1000, 5001, 5001);
}
TASK_TEST(a_count_beyond_the_files_end_sends_what_there_is)
{
    return send_part(LARGE - 10, 5001, 10);
}
TASK_TEST(from_beyond_the_files_end_nothing_is_sent)
{
    return send_part(LARGE + 1, 0, 0);
}

TASK_TEST(a_file_stands_between_what_was_written_before_and_after)
{
    cosy_stream *pair[2];
    char *line;
    int file = file_of(3);
    cosy_try(cosy_stream_pair(pair));
    cosy_try(cosy_write(pair[0], "before,", 7));
    cosy_try(cosy_write(pair[0], "gathered:", 9));
    ck_assert_int_eq(cosy_sendfile(pair[0], file, 0, 0), 3);
    cosy_try(cosy_write(pair[0], ",after\n", 7));
    ck_assert_int_eq(cosy_readline(pair[1], &line), 26);
    ck_assert_mem_eq(line, "before,gathered:", 16);
    check_bytes(line + 16, 3, 0);
    ck_assert_str_eq(line + 19, ",after\n");
    close(file);
    close_pair(pair);
    return 0;
}

cosy_async static int write_after(cosy_stream *stream)
{
    return cosy_write(stream, "after", 5);
}

TASK_TEST(other_writers_wait_until_the_file_is_sent)
{
    cosy_stream *pair[2];
    int file = file_of(LARGE);
    char *data;
    cosy_try(cosy_stream_pair(pair));
    cosy_scoped(cosy_task) sender = cosy_create_task(cosy_sendfile_, pair[0], file, INT64_C(0), INT64_C(0),
                                                     &(const struct cosy_sendfile_options){0});
    cosy_try(cosy_yield());
    cosy_scoped(cosy_task) writer = cosy_create_task(write_after, pair[0]);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(writer));
    data = malloc(LARGE + 5);
    ck_assert_int_eq(cosy_readexactly(pair[1], data, LARGE + 5), LARGE + 5);
    check_bytes(data, LARGE, 0);
    ck_assert_mem_eq(data + LARGE, "after", 5);
    ck_assert_int_eq(cosy_await(sender), LARGE);
    ck_assert_int_eq(cosy_await(writer), 0);
    free(data);
    close(file);
    close_pair(pair);
    return 0;
}

/* The kernel sends from no pipe. */
TASK_TEST(what_the_kernel_does_not_send_is_refused_when_asked_so)
{
    cosy_stream *pair[2];
    int fds[2];
    cosy_try(cosy_stream_pair(pair));
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    int64_t sent = cosy_sendfile(pair[0], fds[0], 0, 0, .native_only = true);
    ck_assert_int_eq(sent, -COSY_ENOSENDFILE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message((int)sent), "the kernel cannot send"));
    ck_assert_int_eq(cosy_write(pair[0], "x", 1), 0); /* the stream is as it was */
    close(fds[0]);
    close(fds[1]);
    close_pair(pair);
    return 0;
}

TASK_TEST(a_file_that_the_kernel_does_not_send_is_copied)
{
    cosy_stream *pair[2];
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char *data;
    cosy_try(cosy_stream_pair(pair));
    ck_assert_int_eq(cosy_sendfile(pair[0], zero, 0, 1000), 1000);
    int64_t sent = cosy_sendfile(pair[0], file, 0, 0);
    ck_assert_int_gt(sent, 0);
    cosy_try(cosy_write_eof(pair[0]));
    ck_assert_int_eq(cosy_read_all(pair[1], &data, 0), sent + 1000);
    free(data);
    close(file);
    close(zero);
    close_pair(pair);
    return 0;
}

TASK_TEST(a_peer_that_goes_away_ends_the_sending)
{
    cosy_stream *pair[2];
    int file = file_of(4 * LARGE);
    int64_t sent = 0;
    cosy_try(cosy_stream_pair(pair));
    cosy_scoped(cosy_task) sender = cosy_create_task(cosy_sendfile_, pair[0], file, INT64_C(0), INT64_C(0),
                                                     &(const struct cosy_sendfile_options){.ret_sent = &sent});
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    cosy_stream_close(pair[1]);
    int result = cosy_await(sender);
    ck_assert(result == -EPIPE || result == -ECONNRESET);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(result), "sending a file to socket: "));
    ck_assert_int_gt(sent, 0);
    ck_assert_int_lt(sent, 4 * LARGE);
    close(file);
    return cosy_stream_close(pair[0]);
}

TASK_TEST(a_cancelled_sending_tells_how_far_it_came)
{
    cosy_stream *pair[2];
    int file = file_of(4 * LARGE);
    int64_t sent = 0;
    cosy_try(cosy_stream_pair(pair));
    cosy_scoped(cosy_task) sender = cosy_create_task(cosy_sendfile_, pair[0], file, INT64_C(0), INT64_C(0),
                                                     &(const struct cosy_sendfile_options){.ret_sent = &sent});
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    cosy_task_cancel(sender);
    ck_assert_int_eq(cosy_await(sender), -ECANCELED);
    cosy_scoped(cosy_task) reader = cosy_create_task(read_numbered, pair[1], (size_t)0);
    ck_assert_int_eq(cosy_write_eof(pair[0]), 0);
    ck_assert_int_eq(cosy_await(reader), sent);
    close(file);
    close_pair(pair);
    return 0;
}

TASK_TEST(bad_arguments_are_told)
{
    cosy_stream *pair[2];
    cosy_try(cosy_stream_pair(pair));
    ck_assert_int_eq(cosy_sendfile(NULL, 0, 0, 0), -EINVAL);
    ck_assert_int_eq(cosy_sendfile(pair[0], -1, 0, 0), -EINVAL);
    ck_assert_int_eq(cosy_sendfile(pair[0], 0, -1, 0), -EINVAL);
    ck_assert_int_eq(cosy_sendfile(pair[0], 0, 0, -1), -EINVAL);
    ck_assert_int_eq(cosy_transfer(pair[0], pair[0], 0), -EINVAL);
    ck_assert_int_eq(cosy_transfer(pair[0], NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_transfer(pair[0], pair[1], -1), -EINVAL);
    ck_assert_int_eq(cosy_relay(NULL, pair[1]), -EINVAL);
    close_pair(pair);
    return 0;
}

/* ---- from stream to stream ---- */

cosy_async static int move_numbered(size_t size, size_t piece, int64_t most)
{
    cosy_stream *in[2], *out[2];
    cosy_try(cosy_stream_pair(in));
    cosy_try(cosy_stream_pair(out));
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, in[0], size, piece);
    cosy_scoped(cosy_task) reader = cosy_create_task(read_numbered, out[1], (size_t)0);
    size_t expected = most && (size_t)most < size ? (size_t)most : size;
    ck_assert_int_eq(cosy_transfer(in[1], out[0], most), (int64_t)expected);
    cosy_try(cosy_write_eof(out[0]));
    ck_assert_int_eq(cosy_await(reader), (int)expected);
    cosy_stream_close(in[1]);
    int result = cosy_await(writer);
    ck_assert(result == 0 || expected < size);
    cosy_stream_close(in[0]);
    close_pair(out);
    return 0;
}

TASK_TEST(little_is_moved)
{
    return move_numbered(5000, 100, 0);
}
TASK_TEST(much_is_moved)
{
    return move_numbered(5 * LARGE, LARGE, 0);
}
TASK_TEST(much_in_pieces_is_moved)
{
    return move_numbered(3 * LARGE, 17001, 0);
}
TASK_TEST(no_more_than_asked_for_is_moved)
{
    cosy_try(move_numbered(5000, 5000, 4999));
    return move_numbered(3 * LARGE, LARGE, 2 * LARGE + 1);
}

TASK_TEST(what_was_buffered_is_moved_too)
{
    cosy_stream *in[2], *out[2];
    char *line;
    cosy_try(cosy_stream_pair(in));
    cosy_try(cosy_stream_pair(out));
    cosy_try(cosy_write(in[0], "CONNECT\nrest", 12));
    cosy_try(cosy_write_eof(in[0]));
    ck_assert_int_eq(cosy_readline(in[1], &line), 8);
    ck_assert_int_eq(cosy_transfer(in[1], out[0], 0), 4);
    cosy_try(cosy_write_eof(out[0]));
    ck_assert_int_eq(cosy_readline(out[1], &line), 4);
    ck_assert_str_eq(line, "rest");
    close_pair(in);
    close_pair(out);
    return 0;
}

/* A transfer that is cancelled when so many turns have passed, and then goes on: nothing is lost, nothing comes
 * twice. */
cosy_async static int move_with_a_break(int turns_before)
{
    cosy_stream *in[2], *out[2];
    enum { SIZE = 2 * LARGE };
    cosy_try(cosy_stream_pair(in));
    cosy_try(cosy_stream_pair(out));
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, in[0], (size_t)SIZE, (size_t)LARGE);
    cosy_scoped(cosy_task) mover = cosy_create_task(cosy_transfer, in[1], out[0], INT64_C(0));
    char *data = malloc(SIZE);
    size_t got = 0;
    for (int i = 0; i < turns_before; i++) {
        int64_t size = cosy_read(out[1], data + got, 20000);
        ck_assert_int_gt(size, 0);
        got += (size_t)size;
    }
    cosy_task_cancel(mover);
    ck_assert_int_eq(cosy_await(mover), -ECANCELED);
    cosy_scoped(cosy_task) again = cosy_create_task(cosy_transfer, in[1], out[0], INT64_C(0));
    ck_assert_int_eq(cosy_readexactly(out[1], data + got, SIZE - got), (int64_t)(SIZE - got));
    check_bytes(data, SIZE, 0);
    ck_assert_int_ge(cosy_await(again), 0);
    ck_assert_int_eq(cosy_await(writer), 0);
    free(data);
    close_pair(in);
    close_pair(out);
    return 0;
}

TASK_TEST(a_cancelled_transfer_loses_nothing)
{
    for (int turns_before = 0; turns_before < 30; turns_before++)
        cosy_try(move_with_a_break(turns_before));
    return 0;
}

TASK_TEST(a_relay_forwards_both_ways_and_passes_ends_on)
{
    cosy_stream *client[2], *upstream[2];
    char *line;
    cosy_try(cosy_stream_pair(client));
    cosy_try(cosy_stream_pair(upstream));
    cosy_scoped(cosy_task) relay = cosy_create_task(cosy_relay, client[1], upstream[0]);
    cosy_try(cosy_write(client[0], "question\n", 9));
    cosy_try(cosy_write_eof(client[0]));
    ck_assert_int_eq(cosy_readline(upstream[1], &line), 9);
    ck_assert_int_eq(cosy_readline(upstream[1], &line), 0); /* the end came through, and the answer still may */
    cosy_scoped(cosy_task) writer = cosy_create_task(write_numbered, upstream[1], (size_t)LARGE, (size_t)LARGE);
    ck_assert_int_eq(read_numbered(client[0], 0), LARGE);
    ck_assert_int_eq(cosy_await(writer), 0);
    ck_assert_int_eq(cosy_await(relay), 0);
    close_pair(client);
    close_pair(upstream);
    return 0;
}

TASK_TEST(a_side_that_breaks_ends_the_relay)
{
    cosy_stream *client[2], *upstream[2];
    cosy_try(cosy_stream_pair(client));
    cosy_try(cosy_stream_pair(upstream));
    cosy_scoped(cosy_task) relay = cosy_create_task(cosy_relay, client[1], upstream[0]);
    cosy_try(cosy_yield());
    cosy_stream_close(upstream[1]);
    upstream[1] = NULL;
    int result = cosy_write(client[0], "question\n", 9);
    ck_assert_int_eq(result, 0);
    result = cosy_await(relay);
    ck_assert_msg(result == -EPIPE || result == -ECONNRESET, "%d", result);
    close_pair(client);
    close_pair(upstream);
    return 0;
}

TESTS_MAIN("transfer", a_file_arrives_whole, a_part_of_a_file_arrives, a_count_beyond_the_files_end_sends_what_there_is,
           from_beyond_the_files_end_nothing_is_sent, a_file_stands_between_what_was_written_before_and_after,
           other_writers_wait_until_the_file_is_sent, what_the_kernel_does_not_send_is_refused_when_asked_so,
           a_file_that_the_kernel_does_not_send_is_copied, a_peer_that_goes_away_ends_the_sending,
           a_cancelled_sending_tells_how_far_it_came, bad_arguments_are_told, little_is_moved, much_is_moved,
           much_in_pieces_is_moved, no_more_than_asked_for_is_moved, what_was_buffered_is_moved_too,
           a_cancelled_transfer_loses_nothing, a_relay_forwards_both_ways_and_passes_ends_on,
           a_side_that_breaks_ends_the_relay)
