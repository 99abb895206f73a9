/* The test kit and the simulated network: its character, its hosts, the clock, and what a run left open. */
#include "flow_test.h"

#include <netinet/in.h>

#include "io/port_wait.h"

static struct cosy_sys *kernel(void)
{
    return cosy_running_loop()->sys;
}

/* A pair of connected ports. */
static void open_pair(struct cosy_port *near, struct cosy_port *far)
{
    int fds[2];
    ck_assert_int_eq(kernel()->net->socketpair(kernel(), AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cosy_port_open(near, cosy_running_loop(), fds[0]);
    cosy_port_open(far, cosy_running_loop(), fds[1]);
}

static int read_some(struct cosy_port *port, char *buffer, size_t size)
{
    int result;
    while ((result = COSY_PORT_CALL(port, COSY_PORT_READ, recv, buffer, size, 0)) == -EAGAIN) {
        int error = cosy_port_await(cosy_task_here(), port, COSY_PORT_READ);
        if (error < 0)
            return error;
    }
    return result;
}

cosy_async static int reads_in_pieces(int *pieces)
{
    struct cosy_port near, far;
    char buffer[100] = {0};
    cosy_try(cosy_test_network(.torn_reads = true));
    open_pair(&near, &far);
    ck_assert_int_eq(kernel()->net->send(kernel(), near.fd, buffer, 100, 0), 100);
    int got = 0;
    for (*pieces = 0; got < 100; ++*pieces) {
        int n = read_some(&far, buffer, sizeof buffer);
        ck_assert_int_gt(n, 0);
        got += n;
    }
    cosy_port_close(&near, -COSY_ECLOSED);
    cosy_port_close(&far, -COSY_ECLOSED);
    return got;
}

START_TEST(reads_are_torn_as_the_seed_says)
{
    int one, again, most = 0;
    ck_assert_int_eq(cosy_test_run_with((.seed = 3), reads_in_pieces, &one), 100);
    ck_assert_int_eq(cosy_test_run_with((.seed = 3), reads_in_pieces, &again), 100);
    ck_assert_int_eq(one, again);
    for (uint64_t seed = 1; seed < 20; seed++) {
        ck_assert_int_eq(cosy_test_run_with((.seed = seed), reads_in_pieces, &again), 100);
        most = again > most ? again : most;
    }
    ck_assert_int_gt(most, 3);
}
END_TEST

cosy_async static int waits_for_nothing(void)
{
    struct cosy_port near, far;
    char byte;
    open_pair(&near, &far);
    int result = read_some(&near, &byte, 1); /* nobody will ever write */
    cosy_port_close(&near, result);
    cosy_port_close(&far, result);
    return result;
}

START_TEST(who_waits_for_what_never_comes_is_deadlocked)
{
    struct cosy_test_report report;
    cosy_set_log_sink(NULL, NULL);
    if (UNDER_TSAN) /* whose own thread might write, for all that a loop knows */
        return;
    ck_assert_int_eq(cosy_test_run_with((.report = &report), waits_for_nothing), -EDEADLK);
}
END_TEST

cosy_async static int leaves_a_pipe(void)
{
    int fds[2];
    return kernel()->net->pipe(kernel(), fds);
}

START_TEST(virtual_descriptors_that_are_left_are_counted)
{
    struct cosy_test_report report;
    ck_assert_int_eq(cosy_test_run_with((.report = &report), leaves_a_pipe), 0);
    ck_assert_int_eq(report.left.descriptors, 2);
}
END_TEST

cosy_async static int look_up_hosts(void)
{
    struct sockaddr_storage addresses[4];
    cosy_ns delay;
    cosy_try(cosy_test_add_host("db.example", "10.0.0.1"));
    cosy_try(cosy_test_add_host("db.example", "10.0.0.2", .behaviour = COSY_TEST_REFUSES, .lookup_delay = COSY_MS(7)));
    ck_assert_int_eq(kernel()->net->look_up(kernel(), "db.example", AF_UNSPEC, addresses, 4, &delay), 2);
    ck_assert_int_eq(delay, COSY_MS(7));
    cosy_try(cosy_test_add_host("gone.example", NULL, .lookup_error = -EAGAIN));
    ck_assert_int_eq(kernel()->net->look_up(kernel(), "gone.example", AF_UNSPEC, addresses, 4, &delay), -EAGAIN);
    ck_assert_int_eq(cosy_test_add_host("x", "no address"), -EINVAL);
    ck_assert_int_eq(cosy_test_add_host("x", "10.0.0.1", .delay = -1), -EINVAL);
    ck_assert_int_eq(cosy_test_network(.latency = -1), -EINVAL);
    return 0;
}

START_TEST(hosts)
{
    ck_assert_int_eq(cosy_test_run(look_up_hosts), 0);
    ck_assert_int_eq(cosy_test_network(.torn_reads = true), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_test_add_host("x", "10.0.0.1"), -COSY_ENOLOOP);
}
END_TEST

TESTS_MAIN("testing_network", reads_are_torn_as_the_seed_says, who_waits_for_what_never_comes_is_deadlocked,
           virtual_descriptors_that_are_left_are_counted, hosts)
