/* Edge watches, closing, and what is to be expected: each sentence of sys.h about them, on each backend; then what the
 * simulated network adds. */
#include "net_test.h"

static const enum cosy_sys_kind kinds[] = {COSY_SYS_SIM, COSY_SYS_EPOLL, COSY_SYS_URING};

/* Of the test that runs. */
static struct {
    int fd;
    uint64_t id;
} watched[16];
static int watched_count;

/* Tests of three worlds. */
#define EACH_BACKEND(name)                                                                                             \
    static void name##_body(struct cosy_sys *sys, const struct cosy_net_ops *net);                                     \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        struct cosy_sys *sys = NULL;                                                                                   \
        struct cosy_sys_config config = {.kind = kinds[_i], .seed = 1};                                                \
        watched_count = 0;                                                                                             \
        if (cosy_sys_open(&sys, &config) < 0 && kinds[_i] == COSY_SYS_URING)                                           \
            return; /* refused here */                                                                                 \
        ck_assert_ptr_nonnull(sys);                                                                                    \
        name##_body(sys, sys->net);                                                                                    \
        sys->ops->close(sys);                                                                                          \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    static void name##_body(struct cosy_sys *sys, const struct cosy_net_ops *net __attribute__((unused)))

static uint64_t watch_edges(struct cosy_sys *sys, int fd, unsigned events, void *data)
{
    uint64_t id = 0;
    ck_assert_int_eq(sys->ops->watch(sys, fd, events | COSY_SYS_EDGE, data, &id), 0);
    ck_assert_int_lt(watched_count, sizeof watched / sizeof *watched);
    watched[watched_count].fd = fd;
    watched[watched_count++].id = id;
    return id;
}

/* With its watch, if it has one. */
static void close_one(struct cosy_sys *sys, int fd)
{
    uint64_t id = 0;
    for (int i = 0; i < watched_count; i++)
        if (watched[i].fd == fd) {
            id = watched[i].id;
            watched[i].fd = -1;
        }
    sys->ops->close_fd(sys, fd, id);
}

static void close_both(struct cosy_sys *sys, struct ends ends)
{
    close_one(sys, ends.near);
    close_one(sys, ends.far);
}

/* What this look reports of it; 0: nothing. */
static unsigned edges_now(struct cosy_sys *sys, const void *data)
{
    struct cosy_sys_event events[EVENTS];
    unsigned seen = 0;
    int count = sys->ops->wait(sys, 0, events, EVENTS);
    ck_assert_int_ge(count, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data == data) {
            ck_assert_uint_eq(seen, 0);
            seen = events[i].events;
            ck_assert(seen & COSY_SYS_EDGE);
        }
    return seen;
}

/* One of the edges comes. */
static unsigned await_edge(struct cosy_sys *sys, const void *data, unsigned wanted)
{
    unsigned seen = 0;
    for (int i = 0; i < 1000 && !(seen & wanted); i++) {
        struct cosy_sys_event events[EVENTS];
        int count = sys->ops->wait(sys, sys->ops->now(sys) + COSY_MS(10), events, EVENTS);
        ck_assert_int_ge(count, 0);
        for (int j = 0; j < count; j++)
            seen |= events[j].data == data ? events[j].events : 0;
    }
    ck_assert_msg(seen & wanted, "no edge %u, but %u", wanted, seen);
    return seen;
}

/* rewatch() only where the last event said that it has to be asked for. */
static void ask_again(struct cosy_sys *sys, uint64_t id, unsigned told)
{
    if (told & COSY_SYS_SPENT)
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_EDGE | (told & (COSY_SYS_READ | COSY_SYS_WRITE))), 0);
}

/* Until nothing more is told. */
static void quiet(struct cosy_sys *sys, uint64_t id, const void *data)
{
    unsigned told = edges_now(sys, data);
    for (int i = 0; told && i < 10; i++, told = edges_now(sys, data))
        ask_again(sys, id, told);
}

EACH_BACKEND(an_edge_comes_for_what_is_ready_at_first)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    ck_assert_sent(sys, ends.far, "x");
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ | COSY_SYS_WRITE, &mark);
    unsigned seen = edges_now(sys, &mark);
    ck_assert_uint_eq(seen & ~(unsigned)COSY_SYS_SPENT, COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_EDGE);
    ck_assert_uint_eq(edges_now(sys, &mark), 0); /* changes, not states */
    ck_assert_uint_ne(id, 0);
    close_both(sys, ends);
}

EACH_BACKEND(each_change_is_told)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    char byte;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), -EAGAIN);
        ck_assert_sent(sys, ends.far, "x");
        unsigned seen = edges_now(sys, &mark);
        ck_assert_uint_eq(seen & COSY_SYS_READ, COSY_SYS_READ);
        ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), 1);
        ask_again(sys, id, seen);
    }
    ck_assert_sent(sys, ends.far, "x");
    ck_assert_sent(sys, ends.far, "y"); /* as one event */
    ck_assert_uint_eq(edges_now(sys, &mark) & COSY_SYS_READ, COSY_SYS_READ);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_sent(sys, ends.far, "z");
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    close_both(sys, ends);
}

EACH_BACKEND(more_bytes_are_a_change_too)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    char byte;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert_sent(sys, ends.far, "xy");
    ask_again(sys, id, edges_now(sys, &mark));
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), 1);
    quiet(sys, id, &mark);
    ck_assert_sent(sys, ends.far, "z"); /* though it was readable all the time */
    ck_assert_uint_eq(await_edge(sys, &mark, COSY_SYS_READ) & COSY_SYS_READ, COSY_SYS_READ);
    close_both(sys, ends);
}

EACH_BACKEND(rewatch_adds)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE | COSY_SYS_EDGE), 0);
    unsigned seen = await_edge(sys, &mark, COSY_SYS_WRITE);
    ask_again(sys, id, seen);
    quiet(sys, id, &mark);
    ck_assert_sent(sys, ends.far, "x");
    await_edge(sys, &mark, COSY_SYS_READ); /* is wanted still */
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE | COSY_SYS_EDGE), -ENOENT);
    close_both(sys, ends);
}

static size_t fill_up(struct cosy_sys *sys, int fd)
{
    static char block[10000];
    size_t sent = 0;
    for (int n; (n = sys->net->send(sys, fd, block, sizeof block, 0)) > 0;)
        sent += (size_t)n;
    return sent;
}

EACH_BACKEND(an_edge_when_there_is_room_again)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    static char block[1000000];
    int mark;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_WRITE, &mark);
    ask_again(sys, id, await_edge(sys, &mark, COSY_SYS_WRITE));
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_gt(fill_up(sys, ends.near), 0);
        quiet(sys, id, &mark);
        while (net->recv(sys, ends.far, block, sizeof block, 0) > 0)
            ;
        ask_again(sys, id, await_edge(sys, &mark, COSY_SYS_WRITE));
    }
    close_both(sys, ends);
}

EACH_BACKEND(ends_are_told)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    ck_assert_int_eq(net->shutdown(sys, ends.far, SHUT_WR), 0);
    unsigned seen = await_edge(sys, &mark, COSY_SYS_READ);
    ck_assert_uint_eq(seen & COSY_SYS_READ_END, COSY_SYS_READ_END);
    ck_assert_uint_eq(seen & COSY_SYS_HANGUP, 0);
    ask_again(sys, id, seen);
    quiet(sys, id, &mark);
    close_one(sys, ends.far);
    ck_assert_uint_eq(await_edge(sys, &mark, COSY_SYS_HANGUP) & COSY_SYS_HANGUP, COSY_SYS_HANGUP);
    close_one(sys, ends.near);

    ends = pipe_pair(sys);
    watch_edges(sys, ends.near, COSY_SYS_WRITE, &mark);
    await_edge(sys, &mark, COSY_SYS_WRITE);
    close_one(sys, ends.far);
    await_edge(sys, &mark, COSY_SYS_ERROR); /* nobody reads */
    close_one(sys, ends.near);
    ends = pipe_pair(sys);
    watch_edges(sys, ends.far, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    close_one(sys, ends.near);
    await_edge(sys, &mark, COSY_SYS_HANGUP); /* nobody writes */
    close_one(sys, ends.far);
}

EACH_BACKEND(a_connect_is_an_edge)
{
    int port, listener = listener4(sys, 2, &port), mark, other;
    int fd = new_socket(sys, AF_INET, SOCK_STREAM);
    uint64_t id = watch_edges(sys, listener, COSY_SYS_READ, &other);
    ck_assert_int_eq(connect4(sys, fd, "127.0.0.1", port), -EINPROGRESS);
    watch_edges(sys, fd, COSY_SYS_WRITE, &mark);
    await_edge(sys, &mark, COSY_SYS_WRITE);
    ck_assert_int_eq(pending_error(sys, fd), 0);
    ck_assert_int_ge(net->accept(sys, listener, NULL, NULL), 0);
    ck_assert_int_eq(net->accept(sys, listener, NULL, NULL), -EAGAIN);
    quiet(sys, id, &other);
    int second = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(sys, second, "127.0.0.1", port), -EINPROGRESS);
    await_edge(sys, &other, COSY_SYS_READ);
    close_one(sys, listener);
    edges_now(sys, &other); /* now it is gone */
    int refused = new_socket(sys, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(sys, refused, "127.0.0.1", port), -EINPROGRESS);
    watch_edges(sys, refused, COSY_SYS_WRITE, &mark);
    await_edge(sys, &mark, COSY_SYS_ERROR);
    ck_assert_int_eq(pending_error(sys, refused), ECONNREFUSED);
}

EACH_BACKEND(close_fd_ends_the_watch_too)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM), again;
    int mark;
    char byte;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    ck_assert_sent(sys, ends.far, "x");
    close_one(sys, ends.near);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    ck_assert_int_eq(net->recv(sys, ends.far, &byte, 1, 0), -ECONNRESET); /* it is gone */
    ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
    again = unix_pair(sys, SOCK_STREAM);
    int mark2;
    watch_edges(sys, again.near, COSY_SYS_READ, &mark2);
    ck_assert_sent(sys, again.far, "x");
    ck_assert_uint_eq(edges_now(sys, &mark2) & COSY_SYS_READ, COSY_SYS_READ);
    close_both(sys, again);
    close_one(sys, ends.far);
}

EACH_BACKEND(one_registration_for_each_descriptor)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark), other = 5;
    ck_assert_int_eq(sys->ops->watch(sys, ends.near, COSY_SYS_READ, &mark, &other), -EEXIST);
    ck_assert_int_eq(sys->ops->watch(sys, ends.near, COSY_SYS_READ | COSY_SYS_EDGE, &mark, &other), -EEXIST);
    ck_assert_uint_eq(other, 5);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(sys->ops->watch(sys, ends.near, COSY_SYS_READ, &mark, &other), 0);
    close_both(sys, ends);
}

EACH_BACKEND(real_descriptors_are_always_expected_of)
{
    struct ends ends = {0};
    int fds[2], mark;
    ck_assert_int_eq(cosy_linux_net_ops.socketpair(sys, AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ends = (struct ends){fds[0], fds[1]};
    uint64_t id = watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert(sys->ops->expects(sys));
    ck_assert_int_eq(write(ends.far, "x", 1), 1);
    ask_again(sys, id, await_edge(sys, &mark, COSY_SYS_READ));
    ck_assert(sys->ops->expects(sys));
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    close_both(sys, ends);
}

/* ---- the simulated network alone ---- */

SIMULATED(nothing_is_expected_of_a_silent_network)
{
    struct ends ends = unix_pair(sys, SOCK_STREAM);
    int mark;
    char byte;
    ck_assert(!sys->ops->expects(sys));
    watch_edges(sys, ends.near, COSY_SYS_READ, &mark);
    ck_assert(!sys->ops->expects(sys));
    ck_assert_sent(sys, ends.far, "x");
    ck_assert(sys->ops->expects(sys)); /* an edge is to be told */
    ck_assert_uint_eq(edges_now(sys, &mark) & COSY_SYS_READ, COSY_SYS_READ);
    ck_assert(!sys->ops->expects(sys));
    ck_assert_int_eq(net->recv(sys, ends.near, &byte, 1, 0), 1);
    struct cosy_sim_character slow = {.latency = COSY_MS(5)};
    struct ends tcp = tcp_pair(sys);
    cosy_sim_set_character(sys, &slow);
    ck_assert(!sys->ops->expects(sys));
    ck_assert_sent(sys, tcp.near, "under way");
    ck_assert(sys->ops->expects(sys));
    await_ready(sys, tcp.far, COSY_SYS_READ);
    ck_assert(!sys->ops->expects(sys));
    close_both(sys, ends);
    close_both(sys, tcp);
}

SIMULATED(waiting_jumps_to_the_next_delivery)
{
    struct ends ends = tcp_pair(sys);
    struct cosy_sim_character slow = {.latency = COSY_MS(5)};
    struct cosy_sys_event events[EVENTS];
    int mark;
    cosy_sim_set_character(sys, &slow);
    watch_edges(sys, ends.far, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(edges_now(sys, &mark), 0);
    cosy_ns begun = sys->ops->now(sys);
    ck_assert_sent(sys, ends.near, "x");
    ck_assert_int_eq(sys->ops->wait(sys, begun + COSY_MS(3), events, EVENTS), 0); /* not yet */
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_MS(3));
    ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 1);
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_MS(5));
    ck_assert_int_eq(cosy_sim_next_delivery(sys), COSY_NEVER);
    ck_assert_sent(sys, ends.far, "nobody watches"); /* a delivery that interests nobody */
    begun = sys->ops->now(sys);
    ck_assert_int_eq(sys->ops->wait(sys, begun + COSY_S(1), events, EVENTS), 0);
    ck_assert_int_eq(sys->ops->now(sys), begun + COSY_S(1));
    ck_assert_received(sys, ends.near, "nobody watches");
    close_both(sys, ends);
}

SIMULATED(numbers_are_used_again)
{
    int fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = new_socket(sys, AF_INET, SOCK_STREAM);
        ck_assert_int_eq(fds[i], fds[0] + i);
    }
    ck_assert_int_ge(fds[0], 1 << 28);
    close_one(sys, fds[3]);
    close_one(sys, fds[1]);
    close_one(sys, fds[1]); /* is closed: nothing */
    ck_assert_int_eq(new_socket(sys, AF_UNIX, SOCK_DGRAM), fds[1]);
    ck_assert_int_eq(new_socket(sys, AF_UNIX, SOCK_DGRAM), fds[3]);
    ck_assert_int_eq(new_socket(sys, AF_UNIX, SOCK_DGRAM), fds[4] + 1);
    int mark;
    uint64_t id;
    ck_assert_int_eq(sys->ops->watch(sys, fds[0], COSY_SYS_READ, &mark, &id), 0);
    close_one(sys, fds[0]); /* watched */
    ck_assert_int_eq(new_socket(sys, AF_INET, SOCK_STREAM), fds[0]);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(sys->ops->wait(sys, 0, events, EVENTS), 1);
    ck_assert_uint_eq(events[0].events, COSY_SYS_INVALID); /* once, and not what the new one says */
    ck_assert_int_eq(sys->ops->wait(sys, 0, events, EVENTS), 0);
    uint64_t second;
    ck_assert_int_eq(sys->ops->watch(sys, fds[0], COSY_SYS_READ, &mark, &second), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), -ENOENT);
}

SIMULATED(two_networks_know_nothing_of_each_other)
{
    struct cosy_sys *other = open_world(COSY_SYS_SIM, 2);
    int port, listener = listener4(sys, 2, &port), fd = new_socket(other, AF_INET, SOCK_STREAM);
    ck_assert_int_eq(connect4(other, fd, "127.0.0.1", port), -EINPROGRESS);
    await_ready(other, fd, COSY_SYS_WRITE);
    ck_assert_int_eq(pending_error(other, fd), ECONNREFUSED);
    close_one(sys, listener);
    long lost = cosy_sim_descriptors_lost();
    other->ops->close(other); /* with a socket that nobody closed */
    ck_assert_int_eq(cosy_sim_descriptors_lost(), lost + 1);
}

NET_TEST_MAIN("simulated edges", {an_edge_comes_for_what_is_ready_at_first, 3}, {each_change_is_told, 3},
              {more_bytes_are_a_change_too, 3}, {rewatch_adds, 3}, {an_edge_when_there_is_room_again, 3},
              {ends_are_told, 3}, {a_connect_is_an_edge, 3}, {close_fd_ends_the_watch_too, 3},
              {one_registration_for_each_descriptor, 3}, {real_descriptors_are_always_expected_of, 3},
              {nothing_is_expected_of_a_silent_network, 1}, {waiting_jumps_to_the_next_delivery, 1},
              {numbers_are_used_again, 1}, {two_networks_know_nothing_of_each_other, 1})
