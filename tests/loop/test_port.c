/* Ports: a descriptor whose calls are tried first and waited for by edges. On each backend, with descriptors of its own
 * network (loop 0: virtual ones on the simulated kernel) and with real ones (loop 1). */
#include "loop_test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cosy/err.h>

#include "../../src/loop/port.h"
#include "../../src/sys/net.h"

/* ---- a port, its peer, and who waits ---- */

struct waiter {
    struct cosy_port_waiter base;
    int calls, result;
};

static void told(struct cosy_port_waiter *base, int result)
{
    struct waiter *waiter = container_of(base, struct waiter, base);
    waiter->calls++;
    waiter->result = result;
}

static void waiter_init(struct waiter *waiter)
{
    *waiter = (struct waiter){.base.ready = told, .result = 12345};
    cosy_list_init(&waiter->base.link);
}

struct line { /* a port and the other end of its connection */
    cosy_loop *loop;
    const struct cosy_net_ops *net;
    struct cosy_port port;
    int peer;
};

static int line_try(struct line *line, cosy_loop *loop, int kind)
{
    int fds[2];
    *line = (struct line){.loop = loop, .net = kind == 0 ? loop->sys->net : &cosy_linux_net_ops};
    int result = line->net->socketpair(loop->sys, AF_UNIX, SOCK_STREAM, 0, fds);
    if (result < 0)
        return result;
    cosy_port_open(&line->port, loop, fds[0]);
    line->peer = fds[1];
    return 0;
}

static void line_open(struct line *line, cosy_loop *loop, int kind)
{
    ck_assert_int_eq(line_try(line, loop, kind), 0);
}

static void close_peer(struct line *line)
{
    if (line->peer >= 0)
        line->loop->sys->ops->close_fd(line->loop->sys, line->peer, 0);
    line->peer = -1;
}

static void line_close(struct line *line)
{
    cosy_port_close(&line->port, -COSY_ECLOSED);
    close_peer(line);
}

static void peer_puts(struct line *line, const char *text)
{
    ck_assert_int_eq(line->net->send(line->loop->sys, line->peer, text, strlen(text), 0), (int)strlen(text));
}

static int peer_gets(struct line *line)
{
    char buffer[65536];
    return line->net->recv(line->loop->sys, line->peer, buffer, sizeof buffer, 0);
}

/* As the library reads: notes in the port that it would block. */
static int get(struct line *line, void *buffer, size_t size)
{
    int result = line->net->recv(line->loop->sys, line->port.fd, buffer, size, 0);
    if (result == -EAGAIN)
        cosy_port_would_block(&line->port, COSY_PORT_READ);
    return result;
}

static int get_byte(struct line *line)
{
    char byte;
    return get(line, &byte, 1);
}

static int put(struct line *line)
{
    static const char block[8192];
    int result = line->net->send(line->loop->sys, line->port.fd, block, sizeof block, 0);
    if (result == -EAGAIN)
        cosy_port_would_block(&line->port, COSY_PORT_WRITE);
    return result;
}

static void fill(struct line *line)
{
    while (put(line) > 0)
        ;
}

/* What cosy_port_wait says to somebody who has found that it would block. */
static int wait_on(struct line *line, enum cosy_port_side side, struct waiter *waiter)
{
    waiter_init(waiter);
    return cosy_port_wait(&line->port, side, &waiter->base);
}

/* Turns until the waiter has been told; fails after a while. */
static void await_told(cosy_loop *loop, struct waiter *waiter)
{
    for (int i = 0; i < 1000 && !waiter->calls; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, COSY_MS(10)), 0);
    ck_assert_int_eq(waiter->calls, 1);
}

/* Reads a byte as the library does: tries, waits for the edge, tries again. Edges may be false alarms. */
static int read_by_waiting(struct line *line)
{
    struct waiter waiter;
    int result;
    while ((result = get_byte(line)) == -EAGAIN) {
        int waits = wait_on(line, COSY_PORT_READ, &waiter);
        ck_assert_int_ge(waits, 0);
        if (waits == 0)
            await_told(line->loop, &waiter);
    }
    return result;
}

static void some_turns(cosy_loop *loop)
{
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
}

/* ---- edges ---- */

START_TEST(a_new_port_may_be_tried_and_asks_nobody)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    line_open(&line, loop, _i);
    ck_assert(cosy_port_may(&line.port, COSY_PORT_READ) && cosy_port_may(&line.port, COSY_PORT_WRITE));
    peer_puts(&line, "xy");
    ck_assert_int_eq(get_byte(&line), 1);
    ck_assert_uint_eq(line.port.watch, 0);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 1); /* nothing to wait for */
    ck_assert(cosy_list_empty(&waiter.base.link));
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(an_edge_between_the_refusal_and_the_wait_is_not_lost)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    line_open(&line, loop, _i);
    for (int round = 0; round < 20; round++) {
        while (get_byte(&line) != -EAGAIN)
            ;
        if (round % 2)
            peer_puts(&line, "x"); /* before it waits */
        if (round % 4 > 1)
            some_turns(loop);
        int waits = wait_on(&line, COSY_PORT_READ, &waiter);
        ck_assert_int_ge(waits, 0);
        if (round % 2 == 0)
            peer_puts(&line, "x");
        if (waits == 0)
            await_told(loop, &waiter);
        ck_assert(cosy_port_may(&line.port, COSY_PORT_READ));
        ck_assert_int_eq(read_by_waiting(&line), 1);
    }
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(both_directions)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter reader, writer;
    line_open(&line, loop, _i);
    for (int round = 0; round < 5; round++) {
        fill(&line);
        while (get_byte(&line) != -EAGAIN)
            ;
        int reads = wait_on(&line, COSY_PORT_READ, &reader), writes = wait_on(&line, COSY_PORT_WRITE, &writer);
        ck_assert_int_eq(reads, 0);
        ck_assert_int_eq(writes, 0);
        some_turns(loop); /* what the first registration finds may be a false alarm of the other side */
        if (reader.calls) {
            ck_assert_int_eq(get_byte(&line), -EAGAIN);
            ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &reader), 0);
        }
        if (writer.calls) {
            ck_assert_int_eq(put(&line), -EAGAIN);
            ck_assert_int_eq(wait_on(&line, COSY_PORT_WRITE, &writer), 0);
        }
        some_turns(loop);
        ck_assert_int_eq(reader.calls, 0);
        ck_assert_int_eq(writer.calls, 0);
        peer_puts(&line, "x");
        await_told(loop, &reader);
        ck_assert_int_eq(reader.result, 0);
        ck_assert_int_eq(get_byte(&line), 1);
        while (peer_gets(&line) > 0)
            ;
        if (!writer.calls)
            await_told(loop, &writer);
        ck_assert_int_gt(put(&line), 0);
        while (peer_gets(&line) > 0)
            ;
    }
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(all_who_wait_are_told_in_their_order)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiters[3], gone;
    line_open(&line, loop, _i);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiters[i]), 0);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &gone), 0);
    cosy_port_wait_not(&gone.base);
    cosy_port_wait_not(&gone.base); /* harmless */
    ck_assert(cosy_ports_awaited(loop));
    peer_puts(&line, "x");
    await_told(loop, &waiters[0]);
    ck_assert_int_eq(waiters[1].calls, 1);
    ck_assert_int_eq(waiters[2].calls, 1);
    ck_assert_int_eq(gone.calls, 0);
    ck_assert(!cosy_ports_awaited(loop));
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(the_end_of_file_is_an_edge_and_is_remembered)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    line_open(&line, loop, _i);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    some_turns(loop);
    ck_assert(!line.port.read_end);
    ck_assert_int_eq(waiter.calls, 0);
    peer_puts(&line, "last");
    ck_assert_int_eq(line.net->shutdown(loop->sys, line.peer, SHUT_WR), 0);
    await_told(loop, &waiter);
    char buffer[16];
    ck_assert_int_eq(get(&line, buffer, sizeof buffer), 4); /* less than there was room for */
    cosy_port_drained(&line.port);
    int waits =
        wait_on(&line, COSY_PORT_READ, &waiter); /* the end came with the bytes, or comes by an edge of its own */
    if (waits == 0)
        await_told(loop, &waiter);
    ck_assert(line.port.read_end);
    ck_assert_int_eq(get_byte(&line), 0);
    ck_assert_int_gt(put(&line), 0); /* the other direction lives */
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_short_read_means_that_nothing_is_left)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    char buffer[16];
    line_open(&line, loop, _i);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    for (int round = 0; round < 10; round++) {
        peer_puts(&line, "abc");
        await_told(loop, &waiter);
        ck_assert_int_eq(get(&line, buffer, sizeof buffer), 3);
        cosy_port_drained(&line.port);
        ck_assert(!cosy_port_may(&line.port, COSY_PORT_READ));
        ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    }
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_broken_connection_tells_both_sides)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter reader, writer;
    line_open(&line, loop, _i);
    fill(&line);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &reader), 0);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_WRITE, &writer), 0);
    close_peer(&line); /* with unread bytes */
    await_told(loop, &reader);
    await_told(loop, &writer);
    ck_assert_int_eq(get_byte(&line), -ECONNRESET);
    ck_assert_int_eq(put(&line), -EPIPE);
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

/* Whatever the timing: a byte at a time through two ports, waiting for each. */
START_TEST(no_edge_is_lost_in_ten_thousand)
{
    enum { BYTES = 10000 };
    cosy_loop *loop = new_loop();
    struct line line;
    uint64_t random = 1;
    int rounds = under_valgrind() ? BYTES / 20 : BYTES, owed = 0;
    line_open(&line, loop, _i);
    for (int sent = 0, got = 0; got < rounds;) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        if (sent < rounds && owed < 50 && random >> 60 < 9) {
            peer_puts(&line, "x");
            sent++;
            owed++;
        } else if (random >> 60 < 12) {
            some_turns(loop);
        } else if (owed > 0) {
            ck_assert_int_eq(read_by_waiting(&line), 1);
            got++;
            owed--;
        } else {
            ck_assert_int_eq(get_byte(&line), -EAGAIN);
        }
        if (sent == rounds)
            for (; got < rounds; got++)
                ck_assert_int_eq(read_by_waiting(&line), 1);
    }
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

/* ---- ends ---- */

START_TEST(closed_while_somebody_waits)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter reader, writer, late;
    line_open(&line, loop, _i);
    fill(&line);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &reader), 0);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_WRITE, &writer), 0);
    some_turns(loop);
    cosy_port_close(&line.port, -ECONNABORTED);
    ck_assert_int_eq(reader.calls, 1);
    ck_assert_int_eq(reader.result, -ECONNABORTED);
    ck_assert_int_eq(writer.calls, 1);
    ck_assert_int_eq(writer.result, -ECONNABORTED);
    ck_assert_int_eq(line.port.fd, -1);
    cosy_port_close(&line.port, -ECONNABORTED); /* a second time: nothing */
    ck_assert_int_eq(cosy_port_release(&line.port, -ECONNABORTED), -1);
    ck_assert_int_eq(reader.calls, 1);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &late), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_port_register(&line.port, COSY_PORT_WRITE), -COSY_ECLOSED);
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

/* The peer sees the end of file when close_fd or the next wait returns, although a request in a ring holds the file. */
START_TEST(the_peer_of_a_closed_port_sees_the_end)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    for (int asked = 0; asked < 3; asked++) {
        line_open(&line, loop, _i);
        if (asked > 0) {
            ck_assert_int_eq(get_byte(&line), -EAGAIN);
            ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
        }
        if (asked > 1)
            some_turns(loop); /* the request is in the ring */
        cosy_port_close(&line.port, -COSY_ECLOSED);
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
        ck_assert_int_eq(peer_gets(&line), 0);
        close_peer(&line);
    }
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_number_is_used_again_at_once)
{
    cosy_loop *loop = new_loop();
    struct line first, second;
    struct waiter waiter;
    for (int round = 0; round < 50; round++) {
        line_open(&first, loop, _i);
        ck_assert_int_eq(get_byte(&first), -EAGAIN);
        ck_assert_int_eq(wait_on(&first, COSY_PORT_READ, &waiter), 0);
        if (round % 2)
            some_turns(loop);
        if (round % 3 == 0)
            peer_puts(&first, "for the one that goes");
        int number = first.port.fd;
        cosy_port_close(&first.port, -COSY_ECLOSED);
        line_open(&second, loop, _i);
        if (_i == 0 && is_sim(loop))
            ck_assert_int_eq(second.port.fd, number); /* the lowest that is free */
        ck_assert_int_eq(get_byte(&second), -EAGAIN);
        ck_assert_int_eq(wait_on(&second, COSY_PORT_READ, &waiter), 0);
        some_turns(loop);
        if (waiter.calls) { /* a false alarm is allowed, a byte of the other's is not */
            ck_assert_int_eq(get_byte(&second), -EAGAIN);
            ck_assert_int_eq(wait_on(&second, COSY_PORT_READ, &waiter), 0);
        }
        peer_puts(&second, "x");
        await_told(loop, &waiter);
        ck_assert_int_eq(get_byte(&second), 1);
        close_peer(&first);
        line_close(&second);
    }
    cosy_loop_free(loop);
}
END_TEST

START_TEST(released_to_the_caller)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    line_open(&line, loop, _i);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    some_turns(loop);
    int fd = cosy_port_release(&line.port, -ECANCELED);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(waiter.calls, 1);
    ck_assert_int_eq(waiter.result, -ECANCELED);
    peer_puts(&line, "x");
    some_turns(loop); /* nobody hears of it */
    ck_assert_int_eq(waiter.calls, 1);
    cosy_port_open(&line.port, loop, fd); /* may be taken over anew */
    ck_assert_int_eq(get_byte(&line), 1);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    peer_puts(&line, "y");
    await_told(loop, &waiter);
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

/* A child that was forked has a copy: closing ours ends our interest, though not the connection. */
START_TEST(a_copy_of_the_descriptor_lives_on)
{
    cosy_loop *loop = new_loop();
    struct line line, other;
    struct waiter waiter;
    int hold[2];
    line_open(&line, loop, 1);
    ck_assert_int_eq(pipe(hold), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) { /* keeps its copies until it is told */
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(hold[0]);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    some_turns(loop);
    cosy_port_close(&line.port, -COSY_ECLOSED);
    some_turns(loop);
    ck_assert_int_eq(peer_gets(&line), -EAGAIN); /* the child could still write */
    line_open(&other, loop, 1);                  /* the number again */
    ck_assert_int_eq(get_byte(&other), -EAGAIN);
    ck_assert_int_eq(wait_on(&other, COSY_PORT_READ, &waiter), 0);
    some_turns(loop);
    if (waiter.calls) {
        ck_assert_int_eq(get_byte(&other), -EAGAIN);
        ck_assert_int_eq(wait_on(&other, COSY_PORT_READ, &waiter), 0);
    }
    peer_puts(&line, "for the copy");
    some_turns(loop);
    some_turns(loop);
    if (waiter.calls)
        ck_assert_int_eq(get_byte(&other), -EAGAIN);
    uint64_t waits = stats_of(loop).waits;
    cosy_loop_run_once(loop, COSY_MS(20)); /* a stale event must not make it spin */
    ck_assert_uint_le(stats_of(loop).waits, waits + 1);
    close(hold[1]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    if (!waiter.calls) {
        peer_puts(&other, "x");
        await_told(loop, &waiter);
    }
    close_peer(&line);
    line_close(&other);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(the_loop_is_closed_first)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter, late;
    line_open(&line, loop, _i);
    struct cosy_port port = {.fd = -1};
    int fds[2];
    ck_assert_int_eq(cosy_linux_net_ops.socketpair(loop->sys, AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cosy_port_open(&port, loop, fds[0]); /* a real one lives longer than its loop */
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    some_turns(loop);
    cosy_loop_close(loop);
    ck_assert_int_eq(waiter.calls, 0); /* forgotten, not called */
    ck_assert_ptr_null(port.loop);
    ck_assert_int_eq(port.fd, fds[0]);
    ck_assert_int_eq(cosy_port_wait(&port, COSY_PORT_READ, &late.base), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_port_register(&port, COSY_PORT_READ), -COSY_ECLOSED);
    ck_assert_int_eq(write(fds[0], "x", 1), 1);
    cosy_port_close(&port, -COSY_ECLOSED);
    char byte;
    ck_assert_int_eq(read(fds[1], &byte, 1), 1);
    ck_assert_int_eq(read(fds[1], &byte, 1), 0);
    close(fds[1]);
    cosy_port_wait_not(&waiter.base);
    bool virtual = line.net != &cosy_linux_net_ops; /* it went with its network */
    if (!virtual)
        close(line.peer);
    line.peer = -1;
    cosy_port_close(&line.port, -COSY_ECLOSED);
    cosy_loop_free(loop);
}
END_TEST

struct move {
    cosy_loop *loop;
    int kind;
    struct line line, closed;
    struct waiter waiter, other;
};

static void *begin_elsewhere(void *arg)
{
    struct move *move = arg;
    line_open(&move->line, move->loop, move->kind);
    line_open(&move->closed, move->loop, move->kind);
    ck_assert_int_eq(get_byte(&move->line), -EAGAIN);
    ck_assert_int_eq(wait_on(&move->line, COSY_PORT_READ, &move->waiter), 0);
    ck_assert_int_eq(get_byte(&move->closed), -EAGAIN);
    ck_assert_int_eq(wait_on(&move->closed, COSY_PORT_READ, &move->other), 0);
    some_turns(move->loop);
    cosy_port_close(&move->closed.port, -COSY_ECLOSED); /* the request is in this thread's ring */
    return NULL;
}

/* A ring belongs to a thread; another one that runs the loop gets a new ring, where nothing is forgotten. */
START_TEST(the_loop_goes_on_in_another_thread)
{
    struct move move = {.loop = new_loop(), .kind = _i};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, begin_elsewhere, &move), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    peer_puts(&move.line, "x");
    await_told(move.loop, &move.waiter);
    int ended = -EAGAIN;
    for (int i = 0; i < 2000 && ended == -EAGAIN; i++) {
        ended = peer_gets(&move.closed); /* the old ring goes in the background */
        usleep(ended == -EAGAIN ? 1000 : 0);
    }
    ck_assert_int_eq(ended, 0);
    ck_assert_int_eq(get_byte(&move.line), 1);
    ck_assert_int_eq(get_byte(&move.line), -EAGAIN);
    ck_assert_int_eq(wait_on(&move.line, COSY_PORT_READ, &move.waiter), 0);
    peer_puts(&move.line, "y");
    await_told(move.loop, &move.waiter);
    line_close(&move.line);
    line_close(&move.closed);
    cosy_loop_free(move.loop);
}
END_TEST

/* ---- refusals ---- */

static void on_ready(void *arg)
{
    ++*(int *)arg;
}

START_TEST(a_descriptor_that_the_program_watches_itself)
{
    cosy_loop *loop = new_loop();
    struct line line;
    struct waiter waiter;
    int calls = 0;
    line_open(&line, loop, _i);
    ck_assert_int_eq(cosy_add_reader(loop, line.port.fd, on_ready, &calls), 0);
    ck_assert_int_eq(cosy_port_register(&line.port, COSY_PORT_READ), -EEXIST);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), -EEXIST);
    ck_assert(cosy_list_empty(&waiter.base.link));
    ck_assert_int_eq(cosy_remove_reader(loop, line.port.fd), 1);
    ck_assert_int_eq(cosy_port_register(&line.port, COSY_PORT_READ), 0);
    ck_assert_int_eq(cosy_port_register(&line.port, COSY_PORT_READ), 0);
    ck_assert_int_eq(cosy_add_reader(loop, line.port.fd, on_ready, &calls), -EEXIST);
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(files_that_are_always_ready)
{
    cosy_loop *loop = new_loop();
    struct cosy_port port;
    struct waiter waiter;
    char name[] = "/tmp/cosy-port-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    cosy_port_open(&port, loop, fd);
    cosy_port_would_block(&port, COSY_PORT_READ);
    waiter_init(&waiter);
    int result = cosy_port_wait(&port, COSY_PORT_READ, &waiter.base);
    if (result == 0) /* a ring takes them, and says at once that they are ready */
        await_told(loop, &waiter);
    else
        ck_assert_int_eq(result, -EPERM);
    if (result < 0)
        ck_assert_int_eq(cosy_port_register(&port, COSY_PORT_READ), -EPERM);
    cosy_port_close(&port, -COSY_ECLOSED);
    cosy_loop_free(loop);
}
END_TEST

/* ---- many, and without ---- */

START_TEST(a_thousand_ports)
{
    enum { PORTS = 1000 };
    static struct line lines[PORTS];
    static struct waiter waiters[PORTS];
    struct rlimit limit = {4096, 4096};
    cosy_loop *loop = new_loop();
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < PORTS; i++) {
        line_open(&lines[i], loop, _i);
        ck_assert_int_eq(get_byte(&lines[i]), -EAGAIN);
        ck_assert_int_eq(wait_on(&lines[i], COSY_PORT_READ, &waiters[i]), 0);
    }
    some_turns(loop);
    for (int i = 0; i < PORTS; i += 3)
        peer_puts(&lines[i], "x");
    for (int i = 0; i < PORTS; i += 3)
        await_told(loop, &waiters[i]);
    for (int i = 0; i < PORTS; i++) {
        if (i % 3)
            ck_assert_int_eq(waiters[i].calls, 0);
        if (i % 2)
            line_close(&lines[i]);
    }
    for (int i = 0; i < PORTS; i += 2) {
        if (i % 3) {
            peer_puts(&lines[i], "x");
            await_told(loop, &waiters[i]);
        }
        ck_assert_int_eq(get_byte(&lines[i]), 1);
        line_close(&lines[i]);
    }
    some_turns(loop);
    cosy_loop_free(loop);
}
END_TEST

/* Everything that a port does; 0, or the first error, after which all is given back. */
static int whole_life(cosy_loop *loop, int kind)
{
    struct line line;
    struct waiter waiter;
    waiter_init(&waiter);
    int result = line_try(&line, loop, kind);
    if (result < 0)
        return result;
    result = get_byte(&line);
    if (result == -EAGAIN)
        result = wait_on(&line, COSY_PORT_READ, &waiter);
    if (result == 0) {
        result = cosy_port_register(&line.port, COSY_PORT_WRITE);
        if (result == 0)
            result = line.net->send(loop->sys, line.peer, "x", 1, 0);
        for (int i = 0; i < 1000 && result >= 0 && !waiter.calls; i++)
            result = cosy_loop_run_once(loop, COSY_MS(10));
        if (result >= 0)
            result = get_byte(&line);
    }
    line_close(&line);
    if (!cosy_list_empty(&waiter.base.link))
        abort();
    return result < 0 ? result : 0;
}

static int kind_of_life;

static int life_step(void *arg)
{
    (void)arg;
    cosy_loop *loop = NULL;
    int result = cosy_loop_new(&loop);
    if (result < 0)
        return result;
    result = whole_life(loop, kind_of_life);
    cosy_loop_free(loop);
    return result == -ENOBUFS ? -ENOMEM : result;
}

START_TEST(without_memory)
{
    kind_of_life = _i;
    each_allocation_fails(life_step, NULL);
}
END_TEST

START_TEST(each_system_call_fails)
{
    static const int errors[] = {EINTR, ENOMEM, EMFILE};
    kind_of_life = _i;
    cosy_loop *loop = new_loop();
    ck_assert_int_eq(whole_life(loop, _i), 0);
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        some_turns(loop);
        int descriptors = open_descriptors();
        for (long n = 1;; n++) {
            ck_assert_int_lt(n, 200);
            cosy_sys_fail_nth(n, errors[e]);
            int result = whole_life(loop, _i);
            long counted = cosy_sys_counted();
            cosy_sys_fail_nth(0, 0);
            some_turns(loop); /* closes what a ring still holds */
            ck_assert_msg(result == 0 || result == -errors[e], "call %ld failing with %d: %d", n, errors[e], result);
            ck_assert_int_eq(open_descriptors(), descriptors);
            if (counted < n) {
                ck_assert_int_eq(result, 0);
                break;
            }
        }
        ck_assert_int_eq(whole_life(loop, _i), 0); /* the loop is none the worse */
    }
    cosy_loop_free(loop);
}
END_TEST

/* ---- deadlock ---- */

static void read_again(struct cosy_port_waiter *base, int result)
{
    told(base, result);
}

START_TEST(who_waits_on_a_silent_simulated_network_is_deadlocked)
{
    if (UNDER_TSAN) /* whose own thread might write, for all that a loop knows */
        return;
    cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM);
    struct line line;
    struct waiter waiter;
    capture_log();
    line_open(&line, loop, 0);
    ck_assert_int_eq(get_byte(&line), -EAGAIN);
    ck_assert_int_eq(wait_on(&line, COSY_PORT_READ, &waiter), 0);
    waiter.base.ready = read_again;
    ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    line_close(&line);
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    const TTest *const both[] = {a_new_port_may_be_tried_and_asks_nobody,
                                 an_edge_between_the_refusal_and_the_wait_is_not_lost,
                                 both_directions,
                                 all_who_wait_are_told_in_their_order,
                                 the_end_of_file_is_an_edge_and_is_remembered,
                                 a_short_read_means_that_nothing_is_left,
                                 a_broken_connection_tells_both_sides,
                                 no_edge_is_lost_in_ten_thousand,
                                 closed_while_somebody_waits,
                                 the_peer_of_a_closed_port_sees_the_end,
                                 a_number_is_used_again_at_once,
                                 released_to_the_caller,
                                 the_loop_is_closed_first,
                                 the_loop_goes_on_in_another_thread,
                                 a_descriptor_that_the_program_watches_itself,
                                 a_thousand_ports,
                                 without_memory,
                                 each_system_call_fails};
    const TTest *const once[] = {a_copy_of_the_descriptor_lives_on, files_that_are_always_ready,
                                 who_waits_on_a_silent_simulated_network_is_deadlocked};
    Suite *suite = suite_create("port");
    for (size_t i = 0; i < sizeof both / sizeof *both + sizeof once / sizeof *once; i++) {
        bool twice = i < sizeof both / sizeof *both;
        const TTest *test = twice ? both[i] : once[i - sizeof both / sizeof *both];
        TCase *tcase = tcase_create(test->name);
        tcase_add_checked_fixture(tcase, forget_the_last_test, NULL);
        tcase_add_loop_test(tcase, test, 0, twice ? 2 : 1);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
