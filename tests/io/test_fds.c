/* test_fds.c - descriptors sent over Unix streams. */
#include "server_test.h"

/* A pipe of the loop's kernel: what is written at `write_end` is read at `read_end`. */
struct tube {
    int read_end, write_end;
};

static struct tube tube_new(void)
{
    int fds[2];
    ck_assert_int_eq(kernel()->net->pipe(kernel(), fds), 0);
    return (struct tube){fds[0], fds[1]};
}

static void ck_assert_connected(int from, int to)
{
    char byte = 'x';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    ck_assert_int_eq(kernel()->net->writev(kernel(), from, &part, 1), 1);
    byte = 0;
    ck_assert_int_eq(kernel()->net->readv(kernel(), to, &part, 1), 1);
    ck_assert_int_eq(byte, 'x');
}

TASK_TEST(descriptors_come_with_their_bytes)
{
    cosy_stream *pair[2];
    int fds[8];
    size_t count;
    char text[16];
    struct tube tube = tube_new(), other = tube_new();
    cosy_try(cosy_stream_pair(pair));
    cosy_try(cosy_send_fds(pair[0], "two", 3, (int[]){tube.write_end, other.write_end}, 2));
    close_fd(tube.write_end); /* the receiver has its own */
    close_fd(other.write_end);
    ck_assert_int_eq(cosy_recv_fds(pair[1], text, sizeof text, fds, 8, &count), 3);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(memcmp(text, "two", 3), 0);
    ck_assert_connected(fds[0], tube.read_end);
    ck_assert_connected(fds[1], other.read_end);
    if (!simulated())
        ck_assert_int_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < 2; i++)
        close_fd(fds[i]);
    close_fd(tube.read_end);
    close_fd(other.read_end);
    cosy_try(cosy_stream_close(pair[0]));
    cosy_try(cosy_stream_close(pair[1]));
    return 0;
}

cosy_async static int receive_one(cosy_stream *stream, int *ret_fd)
{
    char byte;
    size_t count;
    int64_t got = cosy_recv_fds(stream, &byte, 1, ret_fd, 1, &count);
    return got < 0 ? (int)got : (int)count;
}

TASK_TEST(who_receives_waits_and_who_sends_waits_for_what_was_written)
{
    static char much[500000];
    cosy_stream *pair[2];
    struct tube tube = tube_new();
    int fd = -1;
    cosy_try(cosy_stream_pair(pair, .high_water = 1000000));
    cosy_scoped(cosy_task) receiving = cosy_create_task(receive_one, pair[1], &fd);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_recv_fds(pair[1], much, 1, &fd, 1, &(size_t){0}), -EBUSY);
    cosy_try(cosy_send_fds(pair[0], "1", 1, &tube.write_end, 1));
    ck_assert_int_eq(cosy_await(receiving), 1);
    close_fd(fd);

    for (int i = 0; i < 50; i++)
        cosy_try(cosy_write(pair[0], much, sizeof much / 50));
    cosy_scoped(cosy_task) sending =
        cosy_create_task(cosy_send_fds, pair[0], "2", (size_t)1, &tube.write_end, (size_t)1);
    cosy_try(cosy_sleep(COSY_MS(1)));
    ck_assert(!cosy_task_done(sending));
    size_t left = sizeof much, count = 0;
    while (left > 0) {
        int64_t got = cosy_recv_fds(pair[1], much, left, &fd, 1, &count);
        ck_assert_int_gt(got, 0);
        ck_assert_uint_eq(count, 0);
        left -= (size_t)got;
    }
    ck_assert_int_eq(receive_one(pair[1], &fd), 1);
    ck_assert_int_eq(cosy_await(sending), 0);
    close_fd(fd);
    close_fd(tube.write_end);
    close_fd(tube.read_end);
    cosy_try(cosy_stream_close(pair[0]));
    char byte;
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, &fd, 1, &count), 0); /* the end */
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, &fd, 1, &count), 0);
    cosy_try(cosy_stream_close(pair[1]));
    return 0;
}

/* Bytes that do not fit go behind, in order. */
TASK_TEST(long_messages_are_sent_whole)
{
    enum { SIZE = 700000 };
    cosy_stream *pair[2];
    struct tube tube = tube_new();
    char *sent = malloc(SIZE), *got = malloc(SIZE);
    int fd;
    size_t count, total;
    for (int i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 7 + i / 251);
    cosy_try(cosy_stream_pair(pair));
    cosy_scoped(cosy_task) sending =
        cosy_create_task(cosy_send_fds, pair[0], sent, (size_t)SIZE, &tube.write_end, (size_t)1);
    int64_t size = cosy_recv_fds(pair[1], got, SIZE, &fd, 1, &count);
    ck_assert_int_gt(size, 0);
    ck_assert_uint_eq(count, 1);
    total = (size_t)size;
    ck_assert_int_eq(cosy_readexactly(pair[1], got + total, SIZE - total), (int64_t)(SIZE - total));
    ck_assert_int_eq(memcmp(sent, got, SIZE), 0);
    ck_assert_int_eq(cosy_await(sending), 0);
    free(sent);
    free(got);
    close_fd(fd);
    close_fd(tube.write_end);
    close_fd(tube.read_end);
    cosy_try(cosy_stream_close(pair[0]));
    cosy_try(cosy_stream_close(pair[1]));
    return 0;
}

TASK_TEST(more_than_there_is_room_for_are_closed)
{
    cosy_stream *pair[2];
    struct tube tube = tube_new();
    int three[3] = {tube.write_end, tube.write_end, tube.write_end}, fds[2];
    char byte;
    size_t count = 7;
    cosy_try(cosy_stream_pair(pair));
    for (int i = 0; i < 2; i++) {
        cosy_try(cosy_send_fds(pair[0], "!", 1, three, 3 - (size_t)i));
        ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, fds, 2 - (size_t)i, &count), -COSY_ELIMIT);
        ck_assert_uint_eq(count, 0);
    }
    close_fd(tube.write_end);
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    ck_assert_int_eq(kernel()->net->readv(kernel(), tube.read_end, &part, 1), 0); /* nobody has the other end */
    close_fd(tube.read_end);
    cosy_try(cosy_stream_close(pair[0]));
    cosy_try(cosy_stream_close(pair[1]));
    return 0;
}

TASK_TEST(misuse_is_told)
{
    cosy_stream *pair[2], *tcp;
    struct books books = {0};
    char byte, *line;
    int fd, closed = 9999;
    size_t count;
    cosy_try(cosy_stream_pair(pair));
    ck_assert_int_eq(cosy_send_fds(pair[0], "", 0, &closed, 1), -EINVAL);
    ck_assert_int_eq(cosy_send_fds(pair[0], "x", 1, &closed, 0), -EINVAL);
    ck_assert_int_eq(cosy_send_fds(pair[0], "x", 1, &closed, COSY_FDS_MOST + 1), -EINVAL);
    ck_assert_int_eq(cosy_send_fds(pair[0], "x", 1, &closed, 1), -EBADF);
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 0, &fd, 1, &count), -EINVAL);
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, &fd, 0, &count), -EINVAL);
    cosy_try(cosy_write(pair[0], "line\nrest", 9)); /* the connection is as it was */
    ck_assert_int_eq(cosy_readline(pair[1], &line), 5);
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, &fd, 1, &count), -COSY_EINVALIDSTATE);
    cosy_stream_abort(pair[1]);
    ck_assert_int_eq(cosy_recv_fds(pair[1], &byte, 1, &fd, 1, &count), -ECONNABORTED);
    ck_assert_int_lt(cosy_send_fds(pair[1], "x", 1, &closed, 1), 0);
    cosy_stream_close(pair[0]);
    cosy_stream_close(pair[1]);
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    tcp = client_of(server);
    struct tube tube = tube_new();
    ck_assert_int_eq(cosy_send_fds(tcp, "x", 1, &tube.read_end, 1), -EINVAL);
    ck_assert_echoes(tcp, "still fine\n");
    close_fd(tube.read_end);
    close_fd(tube.write_end);
    cosy_stream_close(tcp);
    return 0;
}

/* ---- cancelled anywhere, and without memory ---- */

cosy_async static int hand_over(void)
{
    int fds[2], fd = -1, result;
    cosy_stream *pair[2];
    cosy_try(cosy_stream_pair(pair));
    struct cosy_sys *sys = kernel();
    result = sys->net->pipe(sys, fds);
    if (result == 0) {
        cosy_task *receiving = cosy_create_task(receive_one, pair[1], &fd);
        result = receiving ? cosy_send_fds(pair[0], "x", 1, &fds[1], 1) : -ENOMEM;
        if (result < 0)
            cosy_task_cancel(receiving);
        int received = receiving ? cosy_await(receiving) : 0;
        if (fd >= 0)
            close_fd(fd);
        result = result < 0 ? result : received < 0 ? received : 0;
        cosy_task_drop(receiving);
        close_fd(fds[0]);
        close_fd(fds[1]);
    }
    cosy_stream_close(pair[0]);
    cosy_stream_close(pair[1]);
    return result;
}

START_TEST(a_cancel_at_each_wait_loses_no_descriptor)
{
    begin_test();
    int result = cosy_test_explore((.seeds = 5, .cancel_each_wait = true, .any_result = true), hand_over);
    ck_assert_msg(result > 5, "%d: %s", result, logged);
}
END_TEST

static int run_hand_over(void)
{
    int result = cosy_run(hand_over);
    return result == -ENOBUFS ? -ENOMEM : result;
}

START_TEST(without_memory_no_descriptor_is_lost)
{
    starve(run_hand_over);
}
END_TEST

TESTS_MAIN("fds", descriptors_come_with_their_bytes, who_receives_waits_and_who_sends_waits_for_what_was_written,
           long_messages_are_sent_whole, more_than_there_is_room_for_are_closed, misuse_is_told,
           a_cancel_at_each_wait_loses_no_descriptor, without_memory_no_descriptor_is_lost)
