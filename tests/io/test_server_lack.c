/* test_server_lack.c - servers without descriptors, memory or luck: what is paused, told, lost, and goes on. */
#include "server_test.h"

/* ---- a kernel whose accept does as it is told ---- */

static struct {
    struct cosy_net_ops ops;
    const struct cosy_net_ops *real;
    int errors[8], calls; /* what the next calls come to, while not 0 */
    cosy_ns at[8];        /* when they came */
    long starve;          /* after an accept that succeeded, this allocation fails, until the next call */
    bool starving;
    long counted;
} odd;

static void end_starving(void)
{
    if (odd.starving) {
        odd.counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
    }
    odd.starving = false;
}

static int odd_accept(struct cosy_sys *sys, int fd, struct sockaddr *address, socklen_t *size)
{
    int call = odd.calls < 7 ? odd.calls++ : 7;
    odd.at[call] = sys->ops->now(sys);
    end_starving();
    if (odd.errors[call])
        return -odd.errors[call];
    int result = odd.real->accept(sys, fd, address, size);
    if (result >= 0 && odd.starve) {
        odd.starving = true;
        cosy_heap_fail_nth(odd.starve, false);
        odd.starve = 0;
    }
    return result;
}

static void be_odd(void)
{
    struct cosy_sys *sys = cosy_running_loop()->sys;
    memset(&odd, 0, sizeof odd);
    odd.real = sys->net;
    odd.ops = *sys->net;
    odd.ops.accept = odd_accept;
    sys->net = &odd.ops;
}

static bool is_paused(const cosy_server *server)
{
    struct cosy_server_stats stats;
    cosy_server_get_stats(server, &stats);
    return stats.paused;
}

static void check_pause(int error)
{
    struct books books = {0};
    char expected[200];
    logged[0] = 0;
    be_odd();
    odd.errors[0] = odd.errors[1] = odd.errors[2] = error;
    cosy_server *server;
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0), 0);
    cosy_stream *client = client_of(server);
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    ck_assert(is_paused(server));
    ck_assert_int_eq(odd.calls, 1);
    ck_assert_echoes(client, "at last\n"); /* the third second */
    ck_assert(!is_paused(server));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(odd.at[i + 1] - odd.at[i], COSY_S(1));
        ck_assert_int_le(odd.at[i + 1] - odd.at[i], COSY_S(1) + COSY_MS(1));
    }
    struct cosy_address address;
    char text[COSY_ADDRESS_TEXT];
    ck_assert_int_eq(cosy_server_address(server, 0, &address), 0);
    snprintf(expected, sizeof expected,
             "cosy: server 'echo' cannot accept connections on %s, and tries again each second: %s (%s)\n",
             cosy_address_text(&address, text), cosy_strerror(error), cosy_errname(error));
    ck_assert_str_eq(logged, expected); /* once */
    ck_assert_int_eq(cosy_stream_close(client), 0);
    cosy_server_free(server);
    logged[0] = 0;
    cosy_running_loop()->sys->net = odd.real;
}

cosy_async static int pause_for_each(void)
{
    check_pause(EMFILE);
    check_pause(ENFILE);
    check_pause(ENOBUFS);
    check_pause(ENOMEM);
    check_pause(EINVAL); /* whatever it may be: it neither spins nor dies */
    return 0;
}

/* In simulated time, whatever backend is chosen. */
START_TEST(a_lack_pauses_for_a_second_and_is_told_once)
{
    begin_test();
    ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM), pause_for_each), 0);
}
END_TEST

/* Descriptors that really run out, on the real clock too. */
TASK_TEST(a_server_without_descriptors_goes_on_when_there_are_some)
{
    if (under_valgrind()) /* it closes what is accepted beyond the limit: the client would see an end */
        return 0;
    struct books books = {0};
    struct rlimit before, none;
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server_on(&server, echo, &books, real_socket(SOCK_STREAM)));
    cosy_stream *one = real_client(server);
    ck_assert_echoes(one, "one\n");
    cosy_stream *two = real_client(server);
    int least = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(least);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)least;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    until(is_paused(server));
    logs("Too many open files");
    ck_assert_echoes(one, "others go on\n");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cosy_ns since = now();
    ck_assert_echoes(two, "two\n");
    ck_assert_int_le(now() - since, COSY_S(10));
    ck_assert(!is_paused(server));
    cosy_try(cosy_stream_close(one));
    cosy_try(cosy_stream_close(two));
    return 0;
}

TASK_TEST(connections_that_broke_before_they_were_accepted_are_passed_over)
{
    static const int errors[] = {ECONNABORTED, EPROTO, EINTR, ENETDOWN, EPERM, EHOSTUNREACH, ECONNABORTED};
    struct books books = {0};
    be_odd();
    memcpy(odd.errors, errors, sizeof errors);
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
    cosy_ns before = now();
    cosy_stream *client = client_of(server);
    ck_assert_echoes(client, "next\n");
    if (simulated())
        ck_assert_int_lt(now() - before, COSY_S(1)); /* nothing paused */
    ck_assert_int_eq(odd.calls, 7);
    cosy_try(cosy_stream_close(client));
    return 0; /* run_body: nothing was logged */
}

TASK_TEST(a_paused_server_can_be_ended)
{
    struct books books = {0};
    for (int way = 0; way < 3; way++) {
        cosy_server *server;
        be_odd();
        for (int i = 0; i < 8; i++)
            odd.errors[i] = EMFILE;
        cosy_try(cosy_start_server(&server, echo, &books, "127.0.0.1", 0));
        cosy_stream *client = client_of(server);
        until(is_paused(server));
        logs("cannot accept");
        if (way == 0)
            cosy_server_close(server);
        if (way == 1)
            ck_assert_int_eq(cosy_server_drain(server, COSY_S(1), COSY_S(1)), 0);
        cosy_server_free(server);
        ck_assert_uint_eq(timers(), 0);
        cosy_try(cosy_stream_close(client));
        cosy_running_loop()->sys->net = odd.real;
    }
    return 0;
}

/* ---- memory ---- */

/* The n-th allocation after an accept fails. True: there was one. */
cosy_async static bool lose_one(long n, int *ret_lost)
{
    struct books books = {0};
    struct cosy_server_stats stats;
    be_odd();
    cosy_server *server;
    ck_assert_int_eq(cosy_start_server(&server, echo, &books, "127.0.0.1", 0, .stack_size = 1 << 20), 0);
    odd.starve = n;
    cosy_stream *client;
    int connected = try_client(server, &client);
    until((cosy_server_get_stats(server, &stats), stats.accepted == 1));
    end_starving();
    *ret_lost += stats.lost != 0;
    if (stats.lost) {
        char byte;
        ck_assert_int_eq(connected < 0 ? connected : cosy_read(client, &byte, 1), -ECONNRESET);
        ck_assert_uint_eq(stats.connections, 0);
        ck_assert(stats.paused);
        logs("cannot serve it");
        cosy_stream *next = client_of(server); /* in a second */
        ck_assert_echoes(next, "next\n");
        ck_assert_int_eq(cosy_stream_close(next), 0);
    } else
        ck_assert_echoes(client, "served\n"); /* it was something that the library can do without */
    ck_assert_int_eq(cosy_stream_close(client), 0);
    cosy_server_free(server);
    cosy_running_loop()->sys->net = odd.real;
    return odd.counted >= n;
}

cosy_async static int lose_some(void)
{
    int lost = 0;
    int fds = entries("/proc/self/fd");
    for (long n = 1; lose_one(n, &lost); n++) {
        ck_assert_int_lt(n, 50);
        ck_assert_int_eq(entries("/proc/self/fd"), fds);
    }
    ck_assert_int_ge(lost, 4); /* the connection, its stream, its task's name, its stack */
    return 0;
}

START_TEST(an_accepted_connection_is_never_just_forgotten)
{
    begin_test();
    ck_assert_int_eq(cosy_run_with((.backend = COSY_BACKEND_SIM), lose_some), 0);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- everything fails once ---- */

/* Any error is an answer, but nothing may be left. */
cosy_async static int whole_life(void)
{
    struct books books = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, echo, &books, "localhost", 0, .keep_alive = true));
    cosy_stream *client;
    char *line;
    int64_t length = try_client(server, &client);
    if (length == 0)
        length = cosy_write(client, "x\n", 2);
    if (length == 0)
        length = cosy_readline(client, &line);
    cosy_stream_close(client);
    return length < 0 ? (int)length : cosy_server_drain(server, COSY_S(1), COSY_S(1));
}

static int run_whole_life(void)
{
    return cosy_run(whole_life);
}

cosy_async static int bounded_life(void)
{
    return cosy_wait_for(cosy_call(whole_life), COSY_S(5));
}

START_TEST(each_system_call_may_fail)
{
    static const int errors[] = {EIO, ENOMEM, EMFILE};
    begin_test();
    ck_assert_int_eq(run_whole_life(), 0);
    int fds = entries("/proc/self/fd");
    for (size_t i = 0; i < 3; i++)
        for (long n = 1;; n++) {
            cosy_sys_fail_nth(n, errors[i]);
            (void)cosy_run(bounded_life);
            cosy_sys_fail_nth(0, 0);
            bool failed = cosy_sys_counted() >= n;
            ck_assert_msg(entries("/proc/self/fd") == fds, "call %ld failing with %s", n, cosy_errname(errors[i]));
            if (!failed || n > 200)
                break;
        }
    logged[0] = 0;
}
END_TEST

cosy_async static int any_end(void)
{
    int result = bounded_life();
    return result == -ECONNRESET || result == -ETIMEDOUT || result == -ENOBUFS ? -ENOMEM : result; /* what the client
                                                                                                    * saw of it */
}

static int run_any_end(void)
{
    return cosy_run(any_end);
}

START_TEST(each_allocation_may_fail)
{
    starve(run_any_end);
}
END_TEST

TESTS_MAIN("server_lack", a_lack_pauses_for_a_second_and_is_told_once,
           a_server_without_descriptors_goes_on_when_there_are_some,
           connections_that_broke_before_they_were_accepted_are_passed_over, a_paused_server_can_be_ended,
           an_accepted_connection_is_never_just_forgotten, each_system_call_may_fail, each_allocation_may_fail)
