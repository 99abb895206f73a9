/* test_sock_faults.c - sock_* calls when something fails in their middle: each system call, each allocation, a cancel
 * at each wait. Whatever happens, no descriptor, task or byte is lost. */
#include "sock_test.h"

#include <limits.h>

#include "sys/sys.h"

/* ---- a program that does everything once ---- */

struct program {
    struct cosy_address address;
    int listening, client, connection, pair[2];
    size_t sent, received;
    bool accepted;
    cosy_task *tasks[3];
};

cosy_async static int take_connection(struct program *program)
{
    program->connection = cosy_try(cosy_sock_accept(program->listening, NULL));
    program->accepted = true;
    return 0;
}

/* Reads until the other side has ended, and counts. */
cosy_async static int drain(struct program *program)
{
    char buffer[4096];
    for (int n; (n = cosy_try(cosy_sock_recv(program->connection, buffer, sizeof buffer))) > 0;)
        program->received += (size_t)n;
    return 0;
}

cosy_async static int talk(struct program *program)
{
    enum { SIZE = 300000 };
    static char byte;
    program->tasks[0] = cosy_create_task(take_connection, program);
    cosy_try(cosy_yield());
    cosy_try(cosy_sock_connect(program->client, &program->address));
    cosy_try(cosy_await(program->tasks[0]));
    program->tasks[1] = cosy_create_task(drain, program);
    static char bytes[SIZE];
    int result = cosy_sock_sendall(program->client, bytes, SIZE, &program->sent);
    shutdown(program->client, SHUT_WR);
    cosy_try(result);
    cosy_try(cosy_await(program->tasks[1]));
    program->tasks[2] = cosy_create_task(cosy_sock_recvfrom, program->pair[0], &byte, (size_t)1, NULL);
    cosy_try(cosy_yield());
    cosy_try(cosy_sock_sendto(program->pair[1], "x", 1, NULL));
    cosy_try(cosy_await(program->tasks[2]));
    return cosy_wait_writable(program->pair[0]);
}

static void open_all(struct program *program)
{
    memset(program, 0, sizeof *program);
    program->listening = listener(&program->address);
    program->client = socket_of(AF_INET, SOCK_STREAM);
    program->connection = -1;
    pair_of(SOCK_DGRAM, program->pair);
}

/* What was sent and not received lies in the kernel. */
static void close_all(struct program *program)
{
    char buffer[4096];
    ssize_t n;
    while (program->connection >= 0 && (n = recv(program->connection, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        program->received += (size_t)n;
    ck_assert(program->connection < 0 || program->sent == program->received);
    ck_assert_int_eq(program->connection >= 0, program->accepted);
    close(program->listening);
    close(program->client);
    close(program->connection);
    close_both(program->pair);
}

/* Ends what was left when it failed in the middle, so that all that was received is counted. Whoever is cancelled goes
 * on here. */
cosy_async static void settle(struct program *program)
{
    for (int i = 0; i < 3; i++) {
        while (program->tasks[i] && !cosy_task_done(program->tasks[i])) {
            cosy_notify_closing(program->listening);
            cosy_notify_closing(program->connection);
            cosy_notify_closing(program->pair[0]);
            (void)cosy_yield();
        }
        if (program->tasks[i])
            (void)cosy_task_error(program->tasks[i]);
        cosy_task_drop(program->tasks[i]);
    }
}

cosy_async static int whole(void)
{
    struct program program;
    open_all(&program);
    int result = talk(&program);
    settle(&program);
    close_all(&program);
    return result;
}

/* ---- faults ---- */

START_TEST(each_allocation_fails)
{
    begin_test();
    int fds = entries("/proc/self/fd"), result = -1;
    ck_assert_int_eq(cosy_run(whole), 0);
    for (long n = 1; n < 500; n++) {
        cosy_heap_fail_nth(n, false);
        result = cosy_run(whole);
        long asked = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_int_eq(entries("/proc/self/fd"), fds);
        ck_assert_msg(result == 0 || result == -ENOMEM, "allocation %ld: %s", n, cosy_errname(result));
        if (asked < n)
            break;
    }
    ck_assert_int_eq(result, 0);
    logged[0] = 0; /* errors that nobody waited for any more */
}
END_TEST

cosy_async static int with_fault(long n, int error, long *ret_asked)
{
    struct program program;
    open_all(&program);
    cosy_sys_fail_nth(n, error);
    int result = talk(&program);
    *ret_asked = cosy_sys_counted();
    cosy_sys_fail_nth(0, 0);
    settle(&program);
    close_all(&program);
    return result;
}

/* ENOBUFS passes for every call; where the loop's own waiting fails with it, the run ends with that. */
static void each_call_fails_with(int error)
{
    int fds = entries("/proc/self/fd");
    long asked = 0;
    for (long n = 1; n < 2000; n++) {
        asked = LONG_MAX;
        int result = cosy_run(with_fault, n, error, &asked);
        cosy_sys_fail_nth(0, 0);
        if (asked == LONG_MAX) /* the loop itself ended, in the middle: its program's own descriptors are left open */
            ck_assert_int_eq(result, -error);
        else
            ck_assert_int_eq(entries("/proc/self/fd"), fds);
        ck_assert_msg(result == 0 || result == -error, "call %ld: %s", n, cosy_errname(result));
        fds = entries("/proc/self/fd");
        if (asked < n)
            break;
    }
    ck_assert_int_lt(asked, 2000);
    logged[0] = 0;
}

START_TEST(each_system_call_fails)
{
    begin_test();
    each_call_fails_with(ENOBUFS);
}
END_TEST

START_TEST(each_system_call_is_interrupted)
{
    begin_test();
    each_call_fails_with(EINTR);
}
END_TEST

/* ---- cancels ---- */

START_TEST(a_cancel_at_each_wait_loses_nothing)
{
    begin_test();
    int result = cosy_test_explore((.seeds = 3, .cancel_each_wait = true), whole);
    ck_assert_msg(result > 0, "%s: %s", cosy_errname(result), logged);
}
END_TEST

/* Several on one descriptor: a byte that the cancelled one was told of goes to the next. */
cosy_async static int take_byte(int fd, int *taken)
{
    char byte;
    int result = cosy_sock_recv(fd, &byte, 1);
    if (result == 1)
        ++*taken;
    return result;
}

cosy_async static int three_receivers(void)
{
    int pair[2], taken = 0;
    char byte;
    pair_of(SOCK_STREAM, pair);
    cosy_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(take_byte, pair[0], &taken);
    int result = cosy_yield();
    int written = (int)send(pair[1], "abc", 3, 0);
    if (result == 0)
        result = cosy_gather_tasks(tasks, 3, NULL);
    for (int i = 0; i < 3; i++) {
        cosy_task_cancel(tasks[i]);
        cosy_task_drop(tasks[i]);
    }
    cosy_notify_closing(pair[0]);
    while (recv(pair[0], &byte, 1, MSG_DONTWAIT) == 1)
        taken++;
    cosy_test_expect(written == 3 && taken == 3);
    close_both(pair);
    return result;
}

START_TEST(a_byte_goes_to_somebody)
{
    begin_test();
    int result = cosy_test_explore((.seeds = 20, .cancel_each_wait = true), three_receivers);
    ck_assert_msg(result > 0, "%s: %s", cosy_errname(result), logged);
}
END_TEST

TESTS_MAIN("sock_faults", each_allocation_fails, each_system_call_fails, each_system_call_is_interrupted,
           a_cancel_at_each_wait_loses_nothing, a_byte_goes_to_somebody)
