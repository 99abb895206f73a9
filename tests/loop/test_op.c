/* test_op.c - completion operations: each completes once, in a turn, whatever happens to it. */
#include <cosy/op.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "../../src/loop/port.h"
#include "loop_test.h"

/* ---- scenes ---- */

/* An operation and what became of it. */
struct probe {
    cosy_op op;
    int completions, releases;
    int64_t result;
    char bytes[64];
};

static bool inside_a_start;

static void completed(cosy_op *op, int64_t result)
{
    struct probe *probe = op->arg;
    ck_assert(!inside_a_start);
    ck_assert(!cosy_op_in_flight(op));
    ck_assert_int_eq(probe->releases, probe->completions);
    probe->completions++;
    probe->result = result;
}

static void released(void *held)
{
    struct probe *probe = held;
    probe->releases++;
    ck_assert_int_eq(probe->releases, probe->completions); /* just after */
}

static struct probe *prepare(struct probe *probe)
{
    if (!probe->op.complete)
        cosy_op_init(&probe->op, completed, probe);
    probe->op.release = released;
    probe->op.held = probe;
    return probe;
}

/* begin(recv, &probe, fd, ...): prepared, started, and not completed inside. */
#define begin(name, which, ...)                                                                                        \
    do {                                                                                                               \
        struct probe *probe_ = prepare(which);                                                                         \
        int before_ = probe_->completions;                                                                             \
        inside_a_start = true;                                                                                         \
        ck_assert_int_eq(cosy_op_##name(loop, &probe_->op, __VA_ARGS__), 0);                                           \
        inside_a_start = false;                                                                                        \
        ck_assert_int_eq(probe_->completions, before_);                                                                \
        ck_assert(cosy_op_in_flight(&probe_->op));                                                                     \
    } while (0)

static void turn(cosy_loop *loop)
{
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
}

/* Until it has completed `completions` times. */
static int64_t result_of(cosy_loop *loop, struct probe *probe)
{
    int before = probe->completions;
    for (int i = 0; probe->completions == before; i++) {
        ck_assert_int_lt(i, 1000);
        ck_assert_int_ge(cosy_loop_run_once(loop, COSY_MS(is_sim(loop) ? 0 : 100)), 0);
    }
    ck_assert_int_eq(probe->completions, before + 1);
    ck_assert_int_eq(probe->releases, probe->completions);
    return probe->result;
}

static void stays(cosy_loop *loop, struct probe *probe)
{
    int before = probe->completions;
    for (int i = 0; i < 3; i++)
        turn(loop);
    ck_assert_int_eq(probe->completions, before);
    ck_assert(cosy_op_in_flight(&probe->op));
}

static void fill(int fd)
{
    static char block[8192];
    for (size_t size = sizeof block; size > 0;)
        if (send(fd, block, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            size /= 2;
}

static void empty(int fd)
{
    static char block[8192];
    while (recv(fd, block, sizeof block, MSG_DONTWAIT) > 0)
        ;
}

static int listening_at(struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(fd, (struct sockaddr *)ret_address, size), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

/* ---- what each does ---- */

START_TEST(bytes_are_received_at_once_or_when_they_come)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    struct probe probe = {0};
    make_pair(pair);
    put_byte(pair[1]);
    begin(recv, &probe, pair[0], probe.bytes, sizeof probe.bytes, 0);
    ck_assert_int_eq(cosy_op_count(loop), 1);
    ck_assert_int_eq(result_of(loop, &probe), 1);
    ck_assert_int_eq(cosy_op_count(loop), 0);
    begin(recv, &probe, pair[0], probe.bytes, sizeof probe.bytes, 0);
    stays(loop, &probe);
    put_byte(pair[1]);
    ck_assert_int_eq(result_of(loop, &probe), 1);
    begin(recv, &probe, pair[0], probe.bytes, sizeof probe.bytes, 0);
    close(pair[1]);
    ck_assert_int_eq(result_of(loop, &probe), 0); /* the end */
    ck_assert_int_eq(probe.completions, 3);
    close(pair[0]);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(bytes_are_sent_as_the_peer_takes_them)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    struct probe one = {0}, all = {0};
    enum { SIZE = 1000000 };
    char *bytes = calloc(1, SIZE);
    make_pair(pair);
    begin(send, &one, pair[0], "hello", 5, 0);
    ck_assert_int_eq(result_of(loop, &one), 5);
    begin(sendall, &all, pair[0], bytes, SIZE);
    stays(loop, &all);
    begin(send, &one, pair[0], "hello", 5, 0); /* behind it */
    ssize_t received = 0;
    while (one.completions == 1) {
        ssize_t n = recv(pair[1], bytes, SIZE, 0);
        received += n > 0 ? n : 0;
        turn(loop);
        ck_assert_int_le(one.completions, 1 + all.completions);
    }
    ck_assert_int_eq(all.result, SIZE);
    for (ssize_t n; (n = recv(pair[1], bytes, SIZE, 0)) > 0;)
        received += n;
    ck_assert_int_eq(received, SIZE + 10);
    free(bytes);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(messages_carry_several_buffers)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    struct probe in = {0}, out = {0};
    make_pair(pair);
    char a[3] = "ab", b[3] = "cd";
    struct iovec to[2] = {{in.bytes, 1}, {in.bytes + 1, 60}}, from[2] = {{a, 2}, {b, 2}};
    struct msghdr read = {.msg_iov = to, .msg_iovlen = 2}, written = {.msg_iov = from, .msg_iovlen = 2};
    begin(recvmsg, &in, pair[0], &read, 0);
    stays(loop, &in);
    begin(sendmsg, &out, pair[1], &written, 0);
    ck_assert_int_eq(result_of(loop, &in), 4);
    ck_assert_str_eq(in.bytes, "abcd");
    ck_assert_int_eq(out.result, 4);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(connections_are_made_and_accepted)
{
    cosy_loop *loop = new_loop();
    struct sockaddr_in address, peer;
    struct probe accepting = {0}, connecting = {0};
    socklen_t size = sizeof peer;
    int listening = listening_at(&address), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    begin(accept, &accepting, listening, (struct sockaddr *)&peer, &size);
    stays(loop, &accepting);
    begin(connect, &connecting, fd, (struct sockaddr *)&address, sizeof address);
    int connection = (int)result_of(loop, &accepting);
    ck_assert_int_ge(connection, 0);
    ck_assert_int_eq(fcntl(connection, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    ck_assert_int_eq(fcntl(connection, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(size, sizeof peer);
    if (connecting.completions == 0)
        result_of(loop, &connecting);
    ck_assert_int_eq(connecting.result, 0);
    close(connection);
    close(fd);
    close(listening);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    begin(connect, &connecting, fd, (struct sockaddr *)&address, sizeof address);
    ck_assert_int_eq(result_of(loop, &connecting), -ECONNREFUSED);
    close(fd);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(pipes_are_read_and_written_even_when_they_block)
{
    cosy_loop *loop = new_loop();
    struct probe in = {0}, out = {0};
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0); /* blocking */
    begin(read, &in, pipes[0], in.bytes, sizeof in.bytes);
    stays(loop, &in);
    begin(write, &out, pipes[1], "hello", 5);
    ck_assert_int_eq(result_of(loop, &in), 5);
    ck_assert_str_eq(in.bytes, "hello");
    ck_assert_int_eq(out.result, 5);
    ck_assert_int_eq(fcntl(pipes[0], F_GETFL) & O_NONBLOCK, 0);
    close(pipes[0]);
    begin(write, &out, pipes[1], "hello", 5);
    ck_assert_int_eq(result_of(loop, &out), -EPIPE);
    close(pipes[1]);
    int file = open("/proc/self/exe", O_RDONLY);
    begin(read, &in, file, in.bytes, sizeof in.bytes);
    ck_assert_int_eq(result_of(loop, &in), -EPERM);
    close(file);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_shutdown_follows_what_is_sent)
{
    cosy_loop *loop = new_loop();
    struct probe send = {0}, end = {0};
    int pair[2];
    make_pair(pair);
    fill(pair[0]);
    begin(send, &send, pair[0], "last", 4, 0);
    begin(shutdown, &end, pair[0], SHUT_WR);
    stays(loop, &end);
    empty(pair[1]);
    ck_assert_int_eq(result_of(loop, &end), 0);
    ck_assert_int_eq(send.result, 4);
    char text[8] = "";
    ck_assert_int_eq(recv(pair[1], text, sizeof text, 0), 4);
    ck_assert_int_eq(recv(pair[1], text, sizeof text, 0), 0);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_file_is_sent_by_the_kernel)
{
    enum { SIZE = 3000000 };
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    struct sockaddr_in address;
    int listening = listening_at(&address), fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int peer = accept(listening, NULL, NULL), file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    char *bytes = calloc(1, SIZE);
    ck_assert_int_eq(write(file, bytes, SIZE), SIZE);
    begin(sendfile, &probe, fd, file, 1000, SIZE); /* the socket blocks, and is not let */
    ssize_t received = 0;
    while (probe.completions == 0) {
        ssize_t n = recv(peer, bytes, SIZE, MSG_DONTWAIT);
        received += n > 0 ? n : 0;
        turn(loop);
    }
    ck_assert_int_eq(probe.result, SIZE - 1000); /* the file's end */
    close(fd);
    for (ssize_t n; (n = recv(peer, bytes, SIZE, 0)) > 0;)
        received += n;
    ck_assert_int_eq(received, SIZE - 1000);
    free(bytes);
    begin(sendfile, &probe, peer, listening, 0, 10);
    ck_assert_int_lt(result_of(loop, &probe), 0); /* a socket is no file */
    close(file);
    close(peer);
    close(listening);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_poll_tells_and_takes_nothing)
{
    cosy_loop *loop = new_loop();
    struct probe both = {0}, reads = {0};
    int pair[2];
    make_pair(pair);
    fill(pair[0]);
    begin(poll, &both, pair[0], COSY_OP_READABLE | COSY_OP_WRITABLE);
    begin(poll, &reads, pair[0], COSY_OP_READABLE);
    stays(loop, &both);
    put_byte(pair[1]);
    ck_assert_int_eq(result_of(loop, &both), COSY_OP_READABLE);
    if (reads.completions == 0)
        result_of(loop, &reads);
    ck_assert_int_eq(reads.result, COSY_OP_READABLE);
    take_byte(pair[0]);
    begin(poll, &both, pair[0], COSY_OP_READABLE | COSY_OP_WRITABLE);
    stays(loop, &both);
    empty(pair[1]);
    ck_assert_int_eq(result_of(loop, &both), COSY_OP_WRITABLE);
    prepare(&both);
    ck_assert_int_eq(cosy_op_poll(loop, &both.op, pair[0], 0), -EINVAL);
    ck_assert_int_eq(cosy_op_poll(loop, &both.op, pair[0], 8), -EINVAL);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_pipes_writer_is_told_that_its_reader_is_gone)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    begin(poll, &probe, pipes[1], COSY_OP_READABLE);
    stays(loop, &probe);
    close(pipes[0]);
    ck_assert_int_eq(result_of(loop, &probe), COSY_OP_READABLE);
    close(pipes[1]);
    cosy_loop_free(loop);
}
END_TEST

/* ---- order ---- */

START_TEST(operations_of_one_direction_complete_in_order)
{
    cosy_loop *loop = new_loop();
    struct probe probes[5] = {0};
    int pair[2];
    make_pair(pair);
    for (int i = 0; i < 5; i++)
        begin(recv, &probes[i], pair[0], probes[i].bytes, 1, 0);
    ck_assert(cosy_op_cancel(&probes[2].op));
    ck_assert_int_eq(send(pair[1], "abcd", 4, 0), 4);
    for (int i = 0; i < 10; i++)
        turn(loop);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(probes[i].completions, 1);
        ck_assert_int_eq(probes[i].result, i == 2 ? -ECANCELED : 1);
        ck_assert_int_eq(probes[i].bytes[0], "ab\0cd"[i]);
    }
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

/* ---- cancels ---- */

START_TEST(a_cancelled_operation_completes_once)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    int pair[2];
    make_pair(pair);
    prepare(&probe);
    ck_assert(!cosy_op_cancel(&probe.op));
    ck_assert(!cosy_op_cancel(NULL));
    begin(recv, &probe, pair[0], probe.bytes, sizeof probe.bytes, 0);
    stays(loop, &probe);
    ck_assert(cosy_op_cancel(&probe.op));
    ck_assert(!cosy_op_cancel(&probe.op));
    ck_assert_int_eq(probe.completions, 0);
    put_byte(pair[1]);
    ck_assert_int_eq(result_of(loop, &probe), -ECANCELED);
    take_byte(pair[0]); /* it is still there */
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(what_is_done_stays_done_when_it_is_cancelled)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    struct sockaddr_in address;
    int listening = listening_at(&address), fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    begin(accept, &probe, listening, NULL, NULL); /* there is one */
    ck_assert(!cosy_op_cancel(&probe.op));
    ck_assert_int_eq(cosy_op_cancel_fd(loop, listening), 0);
    int connection = (int)result_of(loop, &probe);
    ck_assert_int_ge(connection, 0);
    close(connection);
    close(fd);
    close(listening);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_cancelled_send_tells_what_made_it)
{
    enum { SIZE = 1000000 };
    cosy_loop *loop = new_loop();
    struct probe probe = {0}, none = {0};
    int pair[2];
    char *bytes = calloc(1, SIZE);
    make_pair(pair);
    begin(sendall, &probe, pair[0], bytes, SIZE);
    begin(sendall, &none, pair[0], bytes, SIZE);
    stays(loop, &probe);
    ck_assert(cosy_op_cancel(&probe.op));
    ck_assert(cosy_op_cancel(&none.op));
    ck_assert_int_gt(result_of(loop, &probe), 0);
    ck_assert_int_eq(none.result, -ECANCELED);
    ssize_t received = 0;
    for (ssize_t n; (n = recv(pair[1], bytes, SIZE, 0)) > 0;)
        received += n;
    ck_assert_int_eq(received, probe.result);
    free(bytes);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

/* Cancelled between the wake and its try: a callback that runs just before it. */
static void cancel_op(void *op)
{
    cosy_op_cancel(op);
}

START_TEST(a_cancel_reaches_an_operation_that_was_told_to_try)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    int pair[2], other[2];
    make_pair(pair);
    make_pair(other);
    for (int round = 0; round < 8; round++) { /* the order of events is not fixed */
        begin(recv, &probe, pair[0], probe.bytes, sizeof probe.bytes, 0);
        ck_assert_int_eq(cosy_add_reader(loop, other[0], cancel_op, &probe.op), 0);
        stays(loop, &probe);
        put_byte(pair[1]);
        put_byte(other[1]);
        int64_t result = result_of(loop, &probe);
        ck_assert(result == 1 || result == -ECANCELED);
        if (result != 1)
            take_byte(pair[0]);
        take_byte(other[0]);
        cosy_remove_reader(loop, other[0]);
    }
    close_pair(pair);
    close_pair(other);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(before_a_descriptor_is_closed_its_operations_end)
{
    cosy_loop *loop = new_loop();
    struct probe one = {0}, two = {0}, out = {0};
    int pair[2];
    make_pair(pair);
    fill(pair[0]);
    begin(recv, &one, pair[0], one.bytes, sizeof one.bytes, 0);
    begin(poll, &two, pair[0], COSY_OP_READABLE | COSY_OP_WRITABLE);
    begin(send, &out, pair[0], "x", 1, 0);
    stays(loop, &one);
    ck_assert_int_eq(cosy_op_cancel_fd(loop, pair[0]), 3);
    close(pair[0]);
    empty(pair[1]);
    char byte;
    ck_assert_int_eq(recv(pair[1], &byte, 1, 0), 0); /* the kernel holds nothing */
    ck_assert_int_eq(result_of(loop, &out), -ECANCELED);
    ck_assert_int_eq(one.result, -ECANCELED);
    ck_assert_int_eq(two.result, -ECANCELED);
    ck_assert_int_eq(two.completions, 1);
    close(pair[1]);
    cosy_loop_free(loop);
}
END_TEST

/* ---- memory and lifetimes ---- */

static void start_again(cosy_op *op, int64_t result)
{
    struct probe *probe = op->arg;
    completed(op, result);
    int fd = probe->bytes[60];
    if (result == 1 && probe->completions < 3) {
        op->release = released;
        ck_assert_int_eq(cosy_op_recv(cosy_running_loop(), op, fd, probe->bytes, 1, 0), 0);
    }
}

START_TEST(a_completion_may_start_it_anew)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    int pair[2];
    make_pair(pair);
    prepare(&probe);
    probe.op.complete = start_again;
    probe.bytes[60] = (char)pair[0];
    ck_assert_int_eq(send(pair[1], "abcd", 4, 0), 4);
    begin(recv, &probe, pair[0], probe.bytes, 1, 0);
    for (int i = 0; i < 5; i++)
        turn(loop);
    ck_assert_int_eq(probe.completions, 3);
    ck_assert_int_eq(probe.releases, 3);
    take_byte(pair[0]);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

static int freed;
static void free_it(cosy_op *op, int64_t result)
{
    ck_assert_int_eq(result, 1);
    free(op->arg);
    freed++;
}

static void count_release(void *held)
{
    ++*(int *)held;
}

START_TEST(a_completion_may_free_it)
{
    cosy_loop *loop = new_loop();
    struct probe *probe = calloc(1, sizeof *probe);
    int pair[2], releases = 0;
    freed = 0;
    make_pair(pair);
    cosy_op_init(&probe->op, free_it, probe);
    probe->op.release = count_release;
    probe->op.held = &releases;
    ck_assert_int_eq(cosy_op_recv(loop, &probe->op, pair[0], probe->bytes, 1, 0), 0);
    turn(loop);
    put_byte(pair[1]);
    for (int i = 0; i < 5; i++)
        turn(loop);
    ck_assert_int_eq(freed, 1);
    ck_assert_int_eq(releases, 1);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

static void try_to_go_on(cosy_op *op, int64_t result)
{
    struct probe *probe = op->arg;
    completed(op, result);
    ck_assert_int_eq(cosy_op_recv(probe->op.held, op, 0, probe->bytes, 1, 0), -COSY_ECLOSED);
}

START_TEST(a_closing_loop_completes_what_is_in_flight)
{
    cosy_loop *loop = new_loop();
    struct probe waits = {0}, done = {0}, cancelled = {0}, goes_on = {0};
    int pair[2];
    make_pair(pair);
    put_byte(pair[1]);
    begin(recv, &done, pair[0], done.bytes, 1, 0);
    begin(recv, &waits, pair[0], waits.bytes, 1, 0);
    begin(recv, &cancelled, pair[0], waits.bytes, 1, 0);
    cosy_op_init(&goes_on.op, try_to_go_on, &goes_on);
    goes_on.op.held = loop;
    ck_assert_int_eq(cosy_op_recv(loop, &goes_on.op, pair[0], goes_on.bytes, 1, 0), 0);
    cosy_op_cancel(&cancelled.op);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert_int_eq(done.result, 1);
    ck_assert_int_eq(waits.result, -COSY_ECLOSED);
    ck_assert_int_eq(cancelled.result, -ECANCELED);
    ck_assert_int_eq(goes_on.result, -COSY_ECLOSED);
    ck_assert(done.completions == 1 && waits.completions == 1 && cancelled.completions == 1 &&
              goes_on.completions == 1);
    ck_assert_int_eq(waits.releases, 1);
    ck_assert_int_eq(cosy_op_cancel_fd(loop, pair[0]), -COSY_ECLOSED);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- holding ---- */

START_TEST(a_held_descriptor_serves_many_operations)
{
    cosy_loop *loop = new_loop();
    struct probe in = {0}, out = {0};
    int pair[2];
    make_pair(pair);
    ck_assert_int_eq(cosy_op_hold_fd(loop, pair[0]), 0);
    ck_assert_int_eq(cosy_op_hold_fd(loop, pair[0]), 0);
    for (int i = 0; i < 20; i++) {
        begin(recv, &in, pair[0], in.bytes, 1, 0);
        turn(loop);
        if (i % 4 == 1) {
            ck_assert(cosy_op_cancel(&in.op));
        } else {
            put_byte(pair[1]);
            put_byte(pair[1]); /* one that nobody wants yet */
        }
        ck_assert_int_eq(result_of(loop, &in), i % 4 == 1 ? -ECANCELED : 1);
        turn(loop);
        if (i % 4 != 1)
            take_byte(pair[0]);
    }
    fill(pair[0]);
    begin(send, &out, pair[0], "x", 1, 0);
    stays(loop, &out);
    empty(pair[1]);
    ck_assert_int_eq(result_of(loop, &out), 1);
    begin(recv, &in, pair[0], in.bytes, 1, 0);
    turn(loop);
    ck_assert_int_eq(cosy_op_cancel_fd(loop, pair[0]), 1);
    close(pair[0]);
    empty(pair[1]);
    char byte;
    ck_assert_int_eq(recv(pair[1], &byte, 1, 0), 0);
    ck_assert_int_eq(result_of(loop, &in), -ECANCELED);
    close(pair[1]);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(holding_alone_is_nothing_to_wait_for)
{
    cosy_loop *loop = new_loop();
    int pair[2], file = open("/proc/self/exe", O_RDONLY);
    make_pair(pair);
    ck_assert_int_eq(cosy_op_hold_fd(loop, pair[0]), 0);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, NULL), -EEXIST);
    ck_assert_int_eq(cosy_add_reader(loop, pair[1], count, NULL), 0);
    ck_assert_int_eq(cosy_op_hold_fd(loop, pair[1]), -EEXIST);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[1]), 1);
    ck_assert_int_eq(cosy_op_hold_fd(loop, file), -EPERM);
    ck_assert_int_eq(cosy_op_hold_fd(loop, -1), -EBADF);
    put_byte(pair[1]);
    capture_log();
    if (!UNDER_TSAN) /* whose own thread might call */
        ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    cosy_loop_free(loop); /* ends what is held */
    close(file);
    close_pair(pair);
}
END_TEST

/* ---- mistakes ---- */

START_TEST(mistakes_start_nothing)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    cosy_op raw = {0};
    int pair[2];
    make_pair(pair);
    ck_assert_int_eq(cosy_op_recv(loop, NULL, pair[0], probe.bytes, 1, 0), -EINVAL);
    ck_assert_int_eq(cosy_op_recv(loop, &raw, pair[0], probe.bytes, 1, 0), -EINVAL);
    prepare(&probe);
    ck_assert_int_eq(cosy_op_recv(NULL, &probe.op, pair[0], probe.bytes, 1, 0), -EINVAL);
    ck_assert_int_eq(cosy_op_recvmsg(loop, &probe.op, pair[0], NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_op_sendmsg(loop, &probe.op, pair[0], NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_op_connect(loop, &probe.op, pair[0], NULL, 0), -EINVAL);
    begin(recv, &probe, pair[0], probe.bytes, 1, 0);
    ck_assert_int_eq(cosy_op_recv(loop, &probe.op, pair[0], probe.bytes, 1, 0), -COSY_EINVALIDSTATE);
    ck_assert(cosy_op_cancel(&probe.op));
    ck_assert_int_eq(cosy_op_recv(loop, &probe.op, pair[0], probe.bytes, 1, 0), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(result_of(loop, &probe), -ECANCELED);
    begin(recv, &probe, -1, probe.bytes, 1, 0);
    ck_assert_int_eq(result_of(loop, &probe), -EBADF);
    begin(recv, &probe, 1000000, probe.bytes, 1, 0);
    ck_assert_int_eq(result_of(loop, &probe), -EBADF);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(anothers_descriptor_is_refused)
{
    cosy_loop *loop = new_loop();
    struct probe probe = {0};
    struct cosy_port port;
    int pair[2];
    make_pair(pair);
    cosy_port_open(&port, loop, pair[0]);
    begin(recv, &probe, pair[0], probe.bytes, 1, 0);
    ck_assert_int_eq(result_of(loop, &probe), -EEXIST);
    ck_assert_int_eq(cosy_port_release(&port, -COSY_ECLOSED), pair[0]);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, NULL), 0);
    begin(recv, &probe, pair[0], probe.bytes, 1, 0);
    ck_assert_int_eq(result_of(loop, &probe), -EEXIST);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 1);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_number_that_is_used_again_does_not_mix_them_up)
{
    cosy_loop *loop = new_loop();
    struct probe old = {0}, young = {0};
    int pair[2], again[2];
    make_pair(pair);
    begin(recv, &old, pair[0], old.bytes, 1, 0);
    stays(loop, &old);
    make_pair(again);
    ck_assert_int_eq(dup2(again[0], pair[0]), pair[0]); /* closes the old one, without a word */
    close(again[0]);
    begin(recv, &young, pair[0], young.bytes, 1, 0);
    ck_assert_int_eq(result_of(loop, &old), -EBADF);
    put_byte(again[1]);
    ck_assert_int_eq(result_of(loop, &young), 1);
    close(again[1]);
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

/* ---- faults ---- */

/* Each kind of wait once; whatever fails, each operation that was started completes. */
static int everything(void *arg)
{
    (void)arg;
    cosy_loop *loop;
    struct probe in = {0}, out = {0}, poll = {0};
    int pair[2], result = cosy_loop_new(&loop);
    if (result < 0)
        return result;
    make_pair(pair);
    fill(pair[0]);
    begin(recv, &in, pair[0], in.bytes, sizeof in.bytes, 0);
    begin(send, &out, pair[0], "x", 1, 0);
    begin(poll, &poll, pair[0], COSY_OP_READABLE);
    turn(loop);
    put_byte(pair[1]);
    empty(pair[1]);
    for (int i = 0; i < 5; i++)
        turn(loop);
    ck_assert_int_eq(in.completions + out.completions, 2);
    if (poll.completions == 0)
        put_byte(pair[1]);
    for (int i = 0; i < 5; i++)
        turn(loop);
    ck_assert_int_eq(poll.completions, 1);
    const int64_t results[] = {in.result, out.result, poll.result};
    for (int i = 0; i < 3; i++)
        result = results[i] < 0 ? (int)results[i] : result;
    close_pair(pair);
    cosy_loop_free(loop);
    return result;
}

START_TEST(without_memory_each_still_completes)
{
    each_allocation_fails(everything, NULL);
}
END_TEST

/* Loops that fail as a whole are the backends' tests: here the calls of the operations fail, one after the other. */
START_TEST(with_failing_calls_each_still_completes)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    make_pair(pair);
    turn(loop);
    for (long n = 1;; n++) {
        struct probe in = {0}, out = {0};
        cosy_sys_fail_nth(n, ENOBUFS);
        begin(recv, &in, pair[0], in.bytes, 1, 0);
        begin(send, &out, pair[1], "x", 1, 0);
        long asked = cosy_sys_counted();
        cosy_sys_fail_nth(0, 0);
        if (out.op.complete && cosy_op_in_flight(&out.op))
            result_of(loop, &out);
        if (out.result != 1)
            put_byte(pair[1]);
        if (in.completions == 0)
            result_of(loop, &in);
        ck_assert_int_eq(in.completions + out.completions, 2);
        ck_assert(in.result == 1 || in.result == -ENOBUFS);
        ck_assert(out.result == 1 || out.result == -ENOBUFS);
        if (in.result != 1)
            take_byte(pair[0]);
        if (asked < n)
            break;
        ck_assert_int_lt(n, 50);
    }
    close_pair(pair);
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("op");
    ADD_TESTS(suite, "kinds", bytes_are_received_at_once_or_when_they_come, bytes_are_sent_as_the_peer_takes_them,
              messages_carry_several_buffers, connections_are_made_and_accepted,
              pipes_are_read_and_written_even_when_they_block, a_shutdown_follows_what_is_sent,
              a_file_is_sent_by_the_kernel, a_poll_tells_and_takes_nothing,
              a_pipes_writer_is_told_that_its_reader_is_gone);
    ADD_TESTS(suite, "order", operations_of_one_direction_complete_in_order);
    ADD_TESTS(suite, "cancel", a_cancelled_operation_completes_once, what_is_done_stays_done_when_it_is_cancelled,
              a_cancelled_send_tells_what_made_it, a_cancel_reaches_an_operation_that_was_told_to_try,
              before_a_descriptor_is_closed_its_operations_end);
    ADD_TESTS(suite, "lifetimes", a_completion_may_start_it_anew, a_completion_may_free_it,
              a_closing_loop_completes_what_is_in_flight);
    ADD_TESTS(suite, "holding", a_held_descriptor_serves_many_operations, holding_alone_is_nothing_to_wait_for);
    ADD_TESTS(suite, "mistakes", mistakes_start_nothing, anothers_descriptor_is_refused,
              a_number_that_is_used_again_does_not_mix_them_up);
    ADD_TESTS(suite, "faults", without_memory_each_still_completes, with_failing_calls_each_still_completes);
    return run_suite(suite);
}
