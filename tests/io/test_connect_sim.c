/* test_connect_sim.c - connections on the simulated network, whatever the backend: to the nanosecond, with hosts that
 * are dead, far or full of whims. */
#include "net_test.h"

#include "io/port_wait.h"
#include "sys/sim/network.h"

enum { PORT = 80 };

#define HOST(...)      ck_assert_int_eq(cosy_sim_add_host(kernel(), &(const struct cosy_sim_host){__VA_ARGS__}), 0)
#define CHARACTER(...) cosy_sim_set_character(kernel(), &(const struct cosy_sim_character){__VA_ARGS__})

/* SIM_TEST(name) { ...; return 0; }: a test whose body is the main task of a simulated loop, and leaves nothing behind.
 */
#define SIM_TEST(name)                                                                                                 \
    cosy_async static int name##_body(void);                                                                           \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        struct cosy_test_report report = {0};                                                                          \
        begin_test();                                                                                                  \
        long lost = cosy_sim_descriptors_lost();                                                                       \
        ck_assert_int_eq(cosy_test_run_with((.report = &report), name##_body), 0);                                     \
        ck_assert_uint_eq(report.failures, 0);                                                                         \
        ck_assert_int_eq(cosy_sim_descriptors_lost(), lost);                                                           \
        ck_assert_int_eq(report.left.descriptors, 0);                                                                  \
        ck_assert_str_eq(logged, "");                                                                                  \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    cosy_async static int name##_body(void)

static cosy_ns began;

static int listen_here(const char *host)
{
    struct cosy_address address = ip(host, PORT);
    return listen_at(&address, 16, NULL);
}

/* Connects, and tells with whom and when: "192.0.2.1 at 250 ms", or the error: "ECONNREFUSED at 0 ms". */
cosy_async static const char *outcome(const char *host, cosy_ns delay)
{
    static char told[COSY_ADDRESS_TEXT + 40];
    char text[COSY_ADDRESS_TEXT];
    struct cosy_address peer;
    cosy_stream *stream;
    began = now();
    int result = cosy_open_connection(host, PORT, &stream, .happy_eyeballs_delay = delay);
    double ms = (double)(now() - began) / 1e6;
    if (result < 0) {
        ck_assert_ptr_null(stream);
        snprintf(told, sizeof told, "%s at %.0f ms", cosy_errname(result), ms);
        return told;
    }
    ck_assert_int_eq(cosy_stream_peername(stream, &peer), 0);
    snprintf(told, sizeof told, "%s at %.0f ms", cosy_address_host(&peer, text), ms);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    return told;
}

/* ---- one that is dead ---- */

SIM_TEST(a_dead_ipv6_costs_a_quarter_of_a_second)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "dual.test", .address = "2001:db8:6::1", .behaviour = COSY_SIM_BLACK_HOLE);
    HOST(.name = "dual.test", .address = "198.51.100.1", .delay = COSY_MS(10));
    ck_assert_str_eq(outcome("dual.test", 0), "198.51.100.1 at 270 ms");
    ck_assert_str_eq(outcome("dual.test", COSY_MS(50)), "198.51.100.1 at 70 ms");
    close_fd(listener);
    return 0;
}

SIM_TEST(an_ipv6_without_a_route_costs_nothing)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "dual.test", .address = "2001:db8:6::1", .behaviour = COSY_SIM_NET_UNREACHABLE);
    HOST(.name = "dual.test", .address = "198.51.100.1");
    ck_assert_str_eq(outcome("dual.test", 0), "198.51.100.1 at 0 ms");
    close_fd(listener);
    return 0;
}

SIM_TEST(a_black_hole_ends_when_the_kernel_gives_up)
{
    HOST(.name = "hole.test", .address = "198.51.100.1", .behaviour = COSY_SIM_BLACK_HOLE);
    ck_assert_str_eq(outcome("hole.test", 0), "ETIMEDOUT at 127000 ms");
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT),
                     "connecting to hole.test:80: 198.51.100.1:80: Connection timed out");
    return 0;
}

cosy_async static int open_hole(void)
{
    cosy_stream *stream;
    return cosy_open_connection("hole.test", PORT, &stream);
}

SIM_TEST(a_black_hole_ends_with_a_limit)
{
    HOST(.name = "hole.test", .address = "198.51.100.1", .behaviour = COSY_SIM_BLACK_HOLE, .lookup_delay = COSY_S(1));
    HOST(.name = "hole.test", .address = "2001:db8:6::1", .behaviour = COSY_SIM_BLACK_HOLE, .lookup_delay = COSY_S(1));
    for (int ms = 500; ms < 3000; ms += 500) {
        began = now();
        ck_assert_int_eq(cosy_wait_for(cosy_call(open_hole), COSY_MS(ms)), -ETIMEDOUT);
        ck_assert_int_eq(now() - began, COSY_MS(ms));
    }
    return 0;
}

SIM_TEST(all_kinds_of_failure_are_told)
{
    HOST(.name = "all.test", .address = "2001:db8:6::1", .behaviour = COSY_SIM_NET_UNREACHABLE);
    HOST(.name = "all.test", .address = "198.51.100.1", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_MS(5));
    HOST(.name = "all.test", .address = "198.51.100.2", .behaviour = COSY_SIM_REFUSES);
    HOST(.name = "all.test", .address = "198.51.100.3", .behaviour = COSY_SIM_BLACK_HOLE);
    ck_assert_str_eq(outcome("all.test", 0), "EHOSTUNREACH at 127010 ms");
    ck_assert_str_eq(
        cosy_error_message(-EHOSTUNREACH),
        "connecting to all.test:80: [2001:db8:6::1]:80: Network is unreachable; 198.51.100.1:80: No route to "
        "host; 198.51.100.2:80: Connection refused; 198.51.100.3:80: Connection timed out");
    return 0;
}

SIM_TEST(names_that_cannot_be_resolved_are_told)
{
    ck_assert_str_eq(outcome("none.test", 0), "COSY_ENONAME at 0 ms");
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Name or service not known");
    HOST(.name = "again.test", .lookup_delay = COSY_S(5), .lookup_error = -ETIMEDOUT);
    ck_assert_str_eq(outcome("again.test", 0), "ETIMEDOUT at 5000 ms");
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "looking up again.test: Temporary failure in name resolution");
    return 0;
}

/* ---- who begins when: scenarios of staggered races ---- */

SIM_TEST(a_late_failure_of_an_older_one_is_no_reason_to_hurry)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "three.test", .address = "198.51.100.1", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_MS(75));
    HOST(.name = "three.test", .address = "198.51.100.2", .behaviour = COSY_SIM_BLACK_HOLE);
    HOST(.name = "three.test", .address = "198.51.100.3");
    ck_assert_str_eq(outcome("three.test", COSY_MS(100)), "198.51.100.3 at 200 ms"); /* not 150 */
    close_fd(listener);
    return 0;
}

SIM_TEST(a_failure_of_the_latest_starts_the_next_at_once)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "three.test", .address = "198.51.100.1", .behaviour = COSY_SIM_BLACK_HOLE);
    HOST(.name = "three.test", .address = "198.51.100.2", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_MS(25));
    HOST(.name = "three.test", .address = "198.51.100.3");
    ck_assert_str_eq(outcome("three.test", COSY_MS(100)), "198.51.100.3 at 150 ms");
    close_fd(listener);
    return 0;
}

SIM_TEST(a_slow_one_may_still_win)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "two.test", .address = "198.51.100.1", .delay = COSY_MS(150));
    HOST(.name = "two.test", .address = "198.51.100.2", .behaviour = COSY_SIM_BLACK_HOLE);
    ck_assert_str_eq(outcome("two.test", 0), "198.51.100.1 at 300 ms");
    close_fd(listener);
    return 0;
}

SIM_TEST(a_quick_one_overtakes_a_slow_one)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "two.test", .address = "198.51.100.1", .delay = COSY_MS(200));
    HOST(.name = "two.test", .address = "198.51.100.2", .delay = COSY_MS(50));
    ck_assert_str_eq(outcome("two.test", 0), "198.51.100.2 at 350 ms");
    close_fd(listener);
    return 0;
}

/* Both edges come in one turn: one is used, the other closed. */
SIM_TEST(of_two_winners_one_is_closed)
{
    char byte;
    int listener = listen_here("0.0.0.0"), first, second;
    struct cosy_sys *sys = kernel();
    cosy_stream *stream;
    HOST(.name = "two.test", .address = "198.51.100.1", .delay = COSY_MS(175));
    HOST(.name = "two.test", .address = "198.51.100.2", .delay = COSY_MS(50));
    began = now();
    ck_assert_int_eq(cosy_open_connection("two.test", PORT, &stream), 0);
    ck_assert_int_eq(now() - began, COSY_MS(350));
    ck_assert_int_eq(cosy_sleep(COSY_S(1)), 0);
    first = accept_at(listener, NULL);
    second = accept_at(listener, NULL);
    int one = sys->net->recv(sys, first, &byte, 1, 0), other = sys->net->recv(sys, second, &byte, 1, 0);
    ck_assert_msg((one == -EAGAIN) != (other == -EAGAIN), "%d %d", one, other);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(first);
    close_fd(second);
    close_fd(listener);
    return 0;
}

SIM_TEST(one_after_the_other_when_told_so)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "two.test", .address = "198.51.100.1", .behaviour = COSY_SIM_BLACK_HOLE);
    HOST(.name = "two.test", .address = "198.51.100.2");
    ck_assert_str_eq(outcome("two.test", -1), "198.51.100.2 at 127000 ms");
    close_fd(listener);
    return 0;
}

SIM_TEST(a_given_local_port_is_used_by_one_at_a_time)
{
    int listener = listen_here("0.0.0.0");
    struct cosy_address peer;
    cosy_stream *stream;
    HOST(.name = "two.test", .address = "198.51.100.1", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_S(1));
    HOST(.name = "two.test", .address = "198.51.100.2");
    began = now();
    ck_assert_int_eq(cosy_open_connection("two.test", PORT, &stream, .local_port = 4000), 0);
    ck_assert_int_eq(now() - began, COSY_S(2));
    close_fd(accept_at(listener, &peer));
    ck_assert_uint_eq(cosy_address_port(&peer), 4000);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    close_fd(listener);
    return 0;
}

SIM_TEST(a_lack_of_descriptors_in_the_middle_leaves_the_others_running)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "two.test", .address = "198.51.100.1", .delay = COSY_MS(200));
    HOST(.name = "two.test", .address = "198.51.100.2");
    CHARACTER(.most_descriptors = 2); /* the listener has one */
    ck_assert_str_eq(outcome("two.test", 0), "198.51.100.1 at 400 ms");
    close_fd(accept_at(listener, NULL));
    CHARACTER(.most_descriptors = 1);
    ck_assert_str_eq(outcome("two.test", 0), "EMFILE at 0 ms");
    ck_assert_str_eq(cosy_error_message(-EMFILE), "connecting to two.test:80: 198.51.100.1:80: Too many open files; "
                                                  "198.51.100.2:80: Too many open files");
    close_fd(listener);
    return 0;
}

/* ---- whims, and cancels anywhere ---- */

cosy_async static int accept_one(int listener)
{
    struct cosy_port port;
    int fd = -EAGAIN, result = 0;
    cosy_port_open(&port, loop_now(), listener);
    while (result == 0 && (fd = COSY_PORT_CALL(&port, COSY_PORT_READ, accept, NULL, NULL)) == -EAGAIN)
        result = cosy_port_await(cosy_task_here(), &port, COSY_PORT_READ);
    cosy_port_release(&port, -COSY_ECLOSED);
    return result < 0 ? result : fd;
}

cosy_async static int serve_one(int listener)
{
    cosy_stream *other;
    int fd = cosy_try(accept_one(listener)), result = cosy_stream_adopt(fd, &other);
    if (result < 0) {
        close_fd(fd);
        return result;
    }
    result = cosy_write(other, "hello", 5);
    int closed = cosy_stream_close(other);
    return result < 0 ? result : closed;
}

cosy_async static int greet(const char *host)
{
    char text[6] = "";
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection(host, PORT, &stream, .happy_eyeballs_delay = COSY_MS(10)));
    cosy_try((int)cosy_readexactly(stream, text, 5));
    cosy_test_expect(strcmp(text, "hello") == 0);
    return 0;
}

/* The other one may have been cancelled. */
cosy_async static int serve_for_a_while(int listener)
{
    return cosy_wait_for(cosy_call(serve_one, listener), COSY_S(300));
}
cosy_async static int greet_for_a_while(const char *host)
{
    return cosy_wait_for(cosy_call(greet, host), COSY_S(300));
}

cosy_async static int serve_and_greet(int listener)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, serve_for_a_while, listener);
    cosy_task_group_create_task(group, greet_for_a_while, "many.test");
    return cosy_task_group_wait(group);
}

/* Every kind of wait: a look-up, two dead, one that refuses late, one that answers. */
cosy_async static int greet_among_the_dead(void)
{
    int listener = listen_here("0.0.0.0");
    HOST(.name = "many.test", .address = "198.51.100.1", .behaviour = COSY_SIM_BLACK_HOLE, .lookup_delay = COSY_MS(3));
    HOST(.name = "many.test", .address = "198.51.100.2", .behaviour = COSY_SIM_HOST_UNREACHABLE, .delay = COSY_MS(7),
         .lookup_delay = COSY_MS(3));
    HOST(.name = "many.test", .address = "2001:db8:6::1", .behaviour = COSY_SIM_REFUSES, .lookup_delay = COSY_MS(3));
    HOST(.name = "many.test", .address = "198.51.100.3", .lookup_delay = COSY_MS(3));
    int result = serve_and_greet(listener);
    close_fd(listener);
    return result;
}

START_TEST(cancelled_at_any_wait_nothing_is_left)
{
    begin_test();
    long lost = cosy_sim_descriptors_lost();
    int rounds = cosy_test_explore((.seeds = 20, .cancel_each_wait = true, .any_result = true), greet_among_the_dead);
    ck_assert_msg(rounds >= 100, "%s", logged);
    ck_assert_int_eq(cosy_sim_descriptors_lost(), lost);
}
END_TEST

cosy_async static int greet_among_whims(void)
{
    CHARACTER(.latency = COSY_MS(1), .jitter = COSY_MS(20), .torn_reads = true, .short_writes = true,
              .again_per_million = 200000, .alarm_per_million = 300000);
    return greet_among_the_dead();
}

START_TEST(false_alarms_are_no_connections)
{
    begin_test();
    int rounds = cosy_test_explore((.seeds = 300), greet_among_whims);
    ck_assert_msg(rounds > 0, "%s", logged);
    rounds = cosy_test_explore((.seeds = 100, .cancel_one_in = 10, .any_result = true), greet_among_whims);
    ck_assert_msg(rounds > 0, "%s", logged);
}
END_TEST

TESTS_MAIN("connect_sim", a_dead_ipv6_costs_a_quarter_of_a_second, an_ipv6_without_a_route_costs_nothing,
           a_black_hole_ends_when_the_kernel_gives_up, a_black_hole_ends_with_a_limit, all_kinds_of_failure_are_told,
           names_that_cannot_be_resolved_are_told, a_late_failure_of_an_older_one_is_no_reason_to_hurry,
           a_failure_of_the_latest_starts_the_next_at_once, a_slow_one_may_still_win, a_quick_one_overtakes_a_slow_one,
           of_two_winners_one_is_closed, one_after_the_other_when_told_so, a_given_local_port_is_used_by_one_at_a_time,
           a_lack_of_descriptors_in_the_middle_leaves_the_others_running, cancelled_at_any_wait_nothing_is_left,
           false_alarms_are_no_connections)
