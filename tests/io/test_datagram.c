/* test_datagram.c - endpoints: boundaries, addresses, turns, closing. */
#include "datagram_test.h"

TASK_TEST(datagrams_keep_their_boundaries)
{
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_address from, mine;
    char data[64];
    ck_assert_int_eq(cosy_datagram_send(client, "one", 3), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "second", 6), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 3);
    ck_assert_int_eq(memcmp(data, "one", 3), 0);
    ck_assert_int_eq(cosy_datagram_sockname(client, &mine), 0);
    ck_assert(cosy_address_equal(&from, &mine));
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, NULL), 6);
    ck_assert_int_eq(memcmp(data, "second", 6), 0);
    ck_assert_int_eq(cosy_datagram_sendto(server, "answer", 6, &from), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, &from), 6);
    ck_assert_int_eq(cosy_datagram_peername(client, &mine), 0);
    ck_assert(cosy_address_equal(&from, &mine));
    ck_assert_int_eq(cosy_datagram_peername(server, &mine), -ENOTCONN);
    ck_assert_uint_eq(mine.size, 0);
    return 0;
}

TASK_TEST(empty_datagrams_are_sent_and_received)
{
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_address from = {0}, mine;
    char data[4];
    ck_assert_int_eq(cosy_datagram_send(client, NULL, 0), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "x", 1), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 0);
    cosy_datagram_sockname(client, &mine);
    ck_assert(cosy_address_equal(&from, &mine));
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 1);
    ck_assert_int_eq(cosy_datagram_sendto(server, "", 0, &from), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, NULL, 0, NULL), 0);
    return 0;
}

TASK_TEST(a_cut_datagram_is_told_and_the_next_one_is_whole)
{
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_address from = {0};
    struct cosy_datagram_stats stats;
    char data[5] = "", text[COSY_ADDRESS_TEXT];
    ck_assert_int_eq(cosy_datagram_send(client, "0123456789", 10), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "next", 4), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, 4, &from), -EMSGSIZE);
    ck_assert_str_eq(data, "0123");
    ck_assert_str_eq(cosy_address_host(&from, text), "127.0.0.1");
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EMSGSIZE), "a datagram of 10 bytes from 127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EMSGSIZE), "room for 4"));
    ck_assert_int_eq(cosy_datagram_recv(server, data, 4, NULL), 4);
    ck_assert_str_eq(data, "next");
    cosy_datagram_get_stats(server, &stats);
    ck_assert_uint_eq(stats.received, 2);
    ck_assert_uint_eq(stats.received_bytes, 8);
    ck_assert_uint_eq(stats.truncated, 1);
    return 0;
}

TASK_TEST(a_large_datagram_passes_whole_and_a_larger_one_is_refused)
{
    enum { LARGEST = 65507 };
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    char *out = calloc(1, LARGEST + 1), *in = malloc(LARGEST + 1);
    for (int i = 0; i < LARGEST; i++)
        out[i] = (char)(i * 7);
    ck_assert_int_eq(cosy_datagram_send(client, out, LARGEST + 1), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EMSGSIZE), "sending to 127.0.0.1:"));
    ck_assert_int_eq(cosy_datagram_send(client, out, LARGEST), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, in, LARGEST + 1, NULL), LARGEST);
    ck_assert_int_eq(memcmp(in, out, LARGEST), 0);
    free(out);
    free(in);
    return 0;
}

TASK_TEST(ip6_works_as_ip4)
{
    cosy_scoped(cosy_datagram) server = NULL;
    struct cosy_address here, from;
    char data[16], text[COSY_ADDRESS_TEXT];
    ck_assert_int_eq(cosy_address_parse(&here, "::1", 0), 0);
    if (cosy_open_datagram(&server, .local = &here, .only_ip6 = true) == -EADDRNOTAVAIL)
        return 0; /* a machine without IPv6 */
    cosy_scoped(cosy_datagram) client = connected(server);
    ck_assert_int_eq(cosy_datagram_send(client, "six", 3), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 3);
    ck_assert_str_eq(cosy_address_host(&from, text), "::1");
    return 0;
}

TASK_TEST(nonsense_is_refused_with_words)
{
    cosy_datagram *endpoint = NULL;
    struct cosy_address ip4, ip6;
    cosy_address_parse(&ip4, "127.0.0.1", 0);
    cosy_address_parse(&ip6, "::1", 0);
    ck_assert_int_eq(cosy_open_datagram(&endpoint), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "an address or a family is needed"));
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local = &ip4, .remote = &ip6), -EINVAL);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local = &ip4, .family = AF_INET6), -EINVAL);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local = &ip4, .local_path = "/tmp/x"), -EINVAL);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .family = AF_PACKET), -EINVAL);
    ck_assert_int_eq(cosy_open_datagram(NULL, .family = AF_INET), -EINVAL);
    ck_assert_ptr_null(endpoint);
    ck_assert_int_eq(cosy_datagram_recv(NULL, NULL, 0, NULL), -EINVAL);
    cosy_datagram_close(NULL);
    return 0;
}

TASK_TEST(an_address_in_use_is_named)
{
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    struct cosy_address here;
    cosy_datagram *second = NULL;
    cosy_datagram_sockname(server, &here);
    ck_assert_int_eq(cosy_open_datagram(&second, .local = &here), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EADDRINUSE), "datagram endpoint at 127.0.0.1:"));
    return 0;
}

TASK_TEST(a_closed_endpoint_leaves_its_port_at_once)
{
    struct cosy_address here = {.ip4 = {.sin_family = AF_INET}};
    for (int i = 0; i < 3; i++) {
        cosy_scoped(cosy_datagram) endpoint = i == 0 ? bound("127.0.0.1") : NULL;
        char data[8];
        if (i > 0)
            cosy_try(cosy_open_datagram(&endpoint, .local = &here));
        cosy_datagram_sockname(endpoint, &here);
        int err = 0;
        COSY_TIMEOUT (err, COSY_MS(1)) /* the kernel is asked to tell when something comes */
            cosy_check(err, cosy_datagram_recv(endpoint, data, sizeof data, NULL));
        ck_assert_int_eq(err, -ETIMEDOUT);
    }
    return 0;
}

TASK_TEST(ports_are_shared_by_those_who_want_to)
{
    cosy_scoped(cosy_datagram) one = NULL;
    cosy_scoped(cosy_datagram) two = NULL;
    struct cosy_address here;
    cosy_address_parse(&here, "127.0.0.1", 0);
    ck_assert_int_eq(cosy_open_datagram(&one, .local = &here, .reuse_port = true), 0);
    cosy_datagram_sockname(one, &here);
    ck_assert_int_eq(cosy_open_datagram(&two, .local = &here, .reuse_port = true), 0);
    return 0;
}

TASK_TEST(broadcasts_need_leave)
{
    cosy_scoped(cosy_datagram) shy = NULL;
    cosy_scoped(cosy_datagram) loud = NULL;
    struct cosy_address all;
    int on = 0;
    socklen_t size = sizeof on;
    cosy_address_parse(&all, "255.255.255.255", 9);
    ck_assert_int_eq(cosy_open_datagram(&shy, .family = AF_INET), 0);
    ck_assert_int_eq(cosy_datagram_sendto(shy, "x", 1, &all), -EACCES);
    ck_assert_int_eq(cosy_open_datagram(&loud, .family = AF_INET, .broadcast = true), 0);
    ck_assert_int_eq(cosy_datagram_getsockopt(loud, SOL_SOCKET, SO_BROADCAST, &on, &size), 0);
    ck_assert_int_eq(on, 1);
    return 0;
}

TASK_TEST(without_a_peer_there_must_be_an_address)
{
    cosy_scoped(cosy_datagram) endpoint = bound("127.0.0.1");
    ck_assert_int_eq(cosy_datagram_send(endpoint, "x", 1), -EDESTADDRREQ);
    return 0;
}

/* Nobody listens: the report of the first datagram is the result of a later call, which did nothing else. */
TASK_TEST(nobody_listens_there_is_a_result_and_no_end)
{
    cosy_datagram *server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_address there;
    char data[16];
    cosy_datagram_sockname(server, &there);
    cosy_datagram_close(server);
    ck_assert_int_eq(cosy_datagram_send(client, "x", 1), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, NULL), -ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ECONNREFUSED), "127.0.0.1:"));
    ck_assert_int_eq(cosy_datagram_send(client, "x", 1), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "x", 1), -ECONNREFUSED);
    ck_assert_int_eq(cosy_open_datagram(&server, .local = &there), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "y", 1), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, NULL), 1);
    ck_assert_int_eq(data[0], 'y');
    cosy_datagram_close(server);
    return 0;
}

/* An unconnected endpoint is not told which of its datagrams reached nobody, and goes on with the others. */
TASK_TEST(an_unconnected_endpoint_goes_on_after_sending_to_nobody)
{
    cosy_datagram *nobody = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = bound("127.0.0.1");
    struct cosy_address dead, alive, from;
    char data[16];
    cosy_datagram_sockname(nobody, &dead);
    cosy_datagram_sockname(server, &alive);
    cosy_datagram_close(nobody);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cosy_datagram_sendto(client, "lost", 4, &dead), 0);
    ck_assert_int_eq(cosy_datagram_sendto(client, "hello", 5, &alive), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 5);
    ck_assert_int_eq(cosy_datagram_sendto(server, data, 5, &from), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, &from), 5);
    ck_assert(cosy_address_equal(&from, &alive));
    return 0;
}

cosy_async static int receive_refusal(cosy_datagram *endpoint)
{
    char data[4];
    return (int)cosy_datagram_recv(endpoint, data, sizeof data, NULL);
}

/* A report wakes who waits. */
TASK_TEST(a_waiting_receiver_hears_that_nobody_listens)
{
    cosy_datagram *server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    cosy_datagram_close(server);
    cosy_scoped(cosy_task) receiver = cosy_create_task(receive_refusal, client);
    let_all_run(2);
    ck_assert_int_eq(cosy_datagram_send(client, "x", 1), 0);
    ck_assert_int_eq(cosy_await(receiver), -ECONNREFUSED);
    return 0;
}

/* ---- who has his turn ---- */

cosy_async static int take_one(cosy_datagram *endpoint, const char *name)
{
    char data[8] = "";
    int64_t size = cosy_datagram_recv(endpoint, data, sizeof data - 1, NULL);
    say("%s:%s", name, size < 0 ? cosy_errname((int)size) : data);
    return size < 0 ? (int)size : 0;
}

TASK_TEST(receivers_are_served_in_their_order)
{
    cosy_datagram *pair[2];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(take_one, pair[0], "a");
    cosy_scoped(cosy_task) b = cosy_create_task(take_one, pair[0], "b");
    cosy_scoped(cosy_task) c = cosy_create_task(take_one, pair[0], "c");
    let_all_run(2);
    struct cosy_datagram_stats stats;
    cosy_datagram_get_stats(pair[0], &stats);
    ck_assert_uint_eq(stats.receivers, 3);
    for (const char *text = "123"; *text; text++)
        ck_assert_int_eq(cosy_datagram_send(pair[1], text, 1), 0);
    ck_assert_int_eq(cosy_gather(a, b, c), 0);
    said("a:1 b:2 c:3");
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

cosy_async static int take_two(cosy_datagram *endpoint, const char *name)
{
    cosy_try(take_one(endpoint, name));
    return take_one(endpoint, name);
}

/* Whoever comes again stands behind those who wait, also when he could take the next one at once. */
TASK_TEST(whoever_comes_again_waits_his_turn)
{
    cosy_datagram *pair[2];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(take_two, pair[0], "a");
    cosy_scoped(cosy_task) b = cosy_create_task(take_two, pair[0], "b");
    let_all_run(2);
    for (const char *text = "1234"; *text; text++)
        ck_assert_int_eq(cosy_datagram_send(pair[1], text, 1), 0);
    ck_assert_int_eq(cosy_gather(a, b), 0);
    said("a:1 b:2 a:3 b:4");
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* The first in line is cancelled when it has been told that a datagram is there: the next one gets it. */
TASK_TEST(a_cancel_behind_the_wake_loses_no_datagram)
{
    cosy_datagram *pair[2];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    for (int turns_between = 0; turns_between < 4; turns_between++) {
        cosy_scoped(cosy_task) a = cosy_create_task(take_one, pair[0], "a");
        cosy_scoped(cosy_task) b = cosy_create_task(take_one, pair[0], "b");
        let_all_run(2);
        ck_assert_int_eq(cosy_datagram_send(pair[1], "1", 1), 0);
        let_all_run(turns_between);
        cosy_task_cancel(a);
        ck_assert_int_eq(cosy_datagram_send(pair[1], "2", 1), 0);
        int ended = cosy_await(a);
        if (ended == -ECANCELED) {
            ck_assert_int_eq(cosy_await(b), 0);
            if (strcmp(trace, "a:ECANCELED b:1") != 0)
                said("b:1 a:ECANCELED");
            trace[0] = 0;
            ck_assert_int_eq(take_one(pair[0], "c"), 0);
            said("c:2");
        } else {
            ck_assert_int_eq(ended, 0);
            ck_assert_int_eq(cosy_await(b), 0);
            said("a:1 b:2");
        }
    }
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

TASK_TEST(trying_does_not_wait)
{
    cosy_datagram *pair[2];
    char data[8];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), -EAGAIN);
    ck_assert_int_eq(cosy_datagram_trysend(pair[1], "abc", 3, NULL), 0);
    ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), 3);
    int sent = 0;
    while (cosy_datagram_trysend(pair[1], "abc", 3, NULL) == 0)
        sent++;
    ck_assert_int_gt(sent, 5);
    ck_assert_int_eq(cosy_datagram_trysend(pair[1], "abc", 3, NULL), -EAGAIN);
    while (sent-- > 0)
        ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), 3);
    ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), -EAGAIN);
    /* nobody is put before those who wait */
    cosy_scoped(cosy_task) waits = cosy_create_task(take_one, pair[0], "a");
    let_all_run(2);
    ck_assert_int_eq(cosy_datagram_trysend(pair[1], "1", 1, NULL), 0);
    ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), -EAGAIN);
    ck_assert_int_eq(cosy_await(waits), 0);
    said("a:1");
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* ---- senders that wait ---- */

cosy_async static int send_numbers(cosy_datagram *endpoint, int first, int count)
{
    for (int i = first; i < first + count; i++)
        cosy_try(cosy_datagram_send(endpoint, &i, sizeof i));
    return 0;
}

TASK_TEST(a_sender_waits_until_the_peer_takes_some)
{
    cosy_datagram *pair[2];
    int number;
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) sender = cosy_create_task(send_numbers, pair[1], 0, 1000);
    ck_assert_int_eq(cosy_wait_all_tasks_blocked(0), 0);
    ck_assert(!cosy_task_done(sender));
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(cosy_datagram_recv(pair[0], &number, sizeof number, NULL), sizeof number);
        ck_assert_int_eq(number, i);
    }
    ck_assert_int_eq(cosy_await(sender), 0);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

TASK_TEST(several_senders_are_served_and_nothing_is_lost)
{
    cosy_datagram *pair[2];
    int number, next[4] = {0};
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task_group) senders = cosy_task_group_open();
    for (int i = 0; i < 4; i++)
        cosy_task_group_create_task(senders, send_numbers, pair[1], i * 1000, 100);
    for (int i = 0; i < 400; i++) {
        ck_assert_int_eq(cosy_datagram_recv(pair[0], &number, sizeof number, NULL), sizeof number);
        ck_assert_int_eq(number % 1000, next[number / 1000]++);
    }
    ck_assert_int_eq(cosy_task_group_wait(senders), 0);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* ---- the end ---- */

TASK_TEST(closing_wakes_who_waits)
{
    cosy_datagram *pair[2];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(take_one, pair[0], "a");
    cosy_scoped(cosy_task) b = cosy_create_task(take_one, pair[0], "b");
    let_all_run(2);
    cosy_datagram_close(pair[0]);
    ck_assert_int_eq(cosy_await(a), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_await(b), -COSY_ECLOSED);
    said("a:COSY_ECLOSED b:COSY_ECLOSED");
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0); /* a descriptor that io_uring watches is gone a turn later */
    ck_assert_int_eq(cosy_datagram_send(pair[1], "x", 1), -ECONNREFUSED);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* Between the edge and the receiver's step: the memory must live until it has looked. */
TASK_TEST(closing_behind_the_wake_is_heard)
{
    for (int turns_between = 0; turns_between < 3; turns_between++) {
        cosy_datagram *pair[2];
        ck_assert_int_eq(cosy_datagram_pair(pair), 0);
        cosy_scoped(cosy_task) a = cosy_create_task(take_one, pair[0], "a");
        cosy_scoped(cosy_task) b = cosy_create_task(take_one, pair[0], "b");
        let_all_run(2);
        ck_assert_int_eq(cosy_datagram_send(pair[1], "1", 1), 0);
        let_all_run(turns_between);
        cosy_datagram_close(pair[0]);
        int first = cosy_await(a);
        ck_assert(first == -COSY_ECLOSED || first == 0);
        ck_assert_int_eq(cosy_await(b), -COSY_ECLOSED);
        trace[0] = 0;
        cosy_datagram_close(pair[1]);
    }
    return 0;
}

TASK_TEST(aborted_means_aborted_for_everybody)
{
    cosy_datagram *pair[2];
    struct cosy_address address;
    char data[4];
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) a = cosy_create_task(take_one, pair[0], "a");
    let_all_run(2);
    ck_assert(!cosy_datagram_is_closing(pair[0]));
    cosy_datagram_abort(pair[0]);
    cosy_datagram_abort(pair[0]);
    ck_assert(cosy_datagram_is_closing(pair[0]));
    ck_assert_int_eq(cosy_datagram_fd(pair[0]), -1);
    ck_assert_int_eq(cosy_await(a), -ECONNABORTED);
    said("a:ECONNABORTED");
    ck_assert_int_eq(cosy_datagram_recv(pair[0], data, sizeof data, NULL), -ECONNABORTED);
    ck_assert_int_eq(cosy_datagram_send(pair[0], "x", 1), -ECONNABORTED);
    ck_assert_int_eq(cosy_datagram_trysend(pair[0], "x", 1, NULL), -ECONNABORTED);
    ck_assert_int_eq(cosy_datagram_sockname(pair[0], &address), -ECONNABORTED);
    ck_assert_int_eq(cosy_datagram_detach(pair[0]), -ECONNABORTED);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

TASK_TEST(a_socket_of_the_program_is_adopted_and_given_back)
{
    int fds[2];
    char data[8];
    cosy_datagram *endpoint = NULL;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    ck_assert_int_eq(cosy_datagram_adopt(fds[0], &endpoint), 0);
    ck_assert_int_eq(cosy_datagram_fd(endpoint), fds[0]);
    ck_assert_int_eq(send(fds[1], "hello", 5, 0), 5);
    ck_assert_int_eq(cosy_datagram_recv(endpoint, data, sizeof data, NULL), 5);
    cosy_scoped(cosy_task) waits = cosy_create_task(take_one, endpoint, "a");
    let_all_run(2);
    ck_assert_int_eq(cosy_datagram_detach(endpoint), -EBUSY);
    ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_await(waits), 0);
    said("a:x");
    ck_assert_int_ne(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(cosy_datagram_detach(endpoint), fds[0]);
    ck_assert_int_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TASK_TEST(what_is_no_datagram_socket_is_not_adopted)
{
    int fds[2];
    cosy_datagram *endpoint = NULL;
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(cosy_datagram_adopt(fds[0], &endpoint), -ENOTSOCK);
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(cosy_datagram_adopt(fds[0], &endpoint), -EBADF);
    ck_assert_int_eq(cosy_datagram_adopt(-1, &endpoint), -EBADF);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(cosy_datagram_adopt(fds[0], &endpoint), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "cosy_stream_adopt"));
    ck_assert_int_eq(send(fds[0], "x", 1, 0), 1); /* still the caller's */
    close(fds[0]);
    close(fds[1]);
    ck_assert_ptr_null(endpoint);
    return 0;
}

/* ---- Unix sockets with names ---- */

TASK_TEST(unix_sockets_have_names_and_clean_up)
{
    cosy_datagram *server = NULL, *client = NULL;
    cosy_scoped(cosy_datagram) stranger = NULL;
    struct cosy_address from;
    char folder[] = "/tmp/cosy_datagram_XXXXXX", path[64], other[64], data[16], text[COSY_ADDRESS_TEXT];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/server", folder);
    snprintf(other, sizeof other, "%s/client", folder);
    ck_assert_int_eq(cosy_open_datagram(&server, .local_path = path), 0);
    ck_assert_int_eq(cosy_open_datagram(&client, .local_path = other, .remote_path = path), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "hi", 2), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 2);
    ck_assert_str_eq(cosy_address_text(&from, text), other);
    ck_assert_int_eq(cosy_datagram_sendto(server, "yes", 3, &from), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, &from), 3);
    ck_assert_str_eq(cosy_address_text(&from, text), path);
    ck_assert_int_eq(cosy_open_datagram(&stranger, .remote_path = path), 0);
    ck_assert_int_eq(cosy_datagram_send(stranger, "?", 1), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, &from), 1);
    ck_assert_str_eq(cosy_address_text(&from, text), "unix:");
    cosy_datagram *second = NULL;
    ck_assert_int_eq(cosy_open_datagram(&second, .local_path = path), -EADDRINUSE); /* somebody listens */
    cosy_datagram_close(server);
    cosy_datagram_close(client);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(rmdir(folder), 0);
    return 0;
}

TASK_TEST(a_stale_unix_name_is_taken_over_and_a_strangers_file_is_not)
{
    cosy_datagram *endpoint = NULL;
    char folder[] = "/tmp/cosy_datagram_XXXXXX";
    struct cosy_address address = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/x", folder);
    ck_assert_int_eq(cosy_address_unix(&address, path), 0);
    int stale = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(stale, &address.any, address.size), 0);
    close(stale); /* the name stays */
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local_path = path), 0);
    if (simulated()) { /* whose paths are not the machine's: the stale one is there still */
        cosy_datagram_close(endpoint);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(folder), 0);
        return 0;
    }
    /* somebody takes the name over: it is no longer this endpoint's to remove */
    ck_assert_int_eq(unlink(path), 0);
    FILE *file = fopen(path, "w");
    fclose(file);
    cosy_datagram_close(endpoint);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local_path = path), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EADDRINUSE), path));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .remote_path = path), -ENOENT);
    ck_assert_int_eq(rmdir(folder), 0);
    return 0;
}

TASK_TEST(abstract_names_leave_no_files)
{
    cosy_scoped(cosy_datagram) server = NULL;
    cosy_scoped(cosy_datagram) client = NULL;
    char name[64], data[4];
    snprintf(name, sizeof name, "@cosy-datagram-%d", (int)getpid());
    ck_assert_int_eq(cosy_open_datagram(&server, .local_path = name), 0);
    ck_assert_int_eq(cosy_open_datagram(&client, .remote_path = name), 0);
    ck_assert_int_eq(cosy_datagram_send(client, "abc", 3), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, sizeof data, NULL), 3);
    cosy_datagram *second = NULL;
    ck_assert_int_eq(cosy_open_datagram(&second, .local_path = name), -EADDRINUSE);
    return 0;
}

cosy_async static int send_to_many(cosy_datagram *endpoint, const struct cosy_address *to, int count)
{
    for (int i = 0; i < count; i++)
        cosy_try(cosy_datagram_sendto(endpoint, &i, sizeof i, to));
    return 0;
}

/* The kernel tells of no edge when an unconnected Unix socket's receiver has room again. */
TASK_TEST(an_unconnected_unix_sender_waits_for_a_full_receiver)
{
    cosy_scoped(cosy_datagram) server = NULL;
    cosy_scoped(cosy_datagram) client = NULL;
    struct cosy_address there;
    char name[64];
    int number;
    snprintf(name, sizeof name, "@cosy-datagram-full-%d", (int)getpid());
    ck_assert_int_eq(cosy_open_datagram(&server, .local_path = name), 0);
    ck_assert_int_eq(cosy_open_datagram(&client, .family = AF_UNIX), 0);
    ck_assert_int_eq(cosy_address_unix(&there, name), 0);
    cosy_scoped(cosy_task) sender = cosy_create_task(send_to_many, client, &there, 200);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert(!cosy_task_done(sender));
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(cosy_datagram_recv(server, &number, sizeof number, NULL), sizeof number);
        ck_assert_int_eq(number, i);
    }
    ck_assert_int_eq(cosy_await(sender), 0);
    return 0;
}

/* ---- others get their turn ---- */

cosy_async static int echo_to_itself(cosy_datagram *endpoint, const struct cosy_address *self, int *count)
{
    char data[8];
    for (;; ++*count) {
        cosy_try(cosy_datagram_sendto(endpoint, "x", 1, self));
        cosy_try(cosy_datagram_recv(endpoint, data, sizeof data, NULL));
    }
}

TASK_TEST(a_task_that_never_waits_lets_others_run)
{
    cosy_scoped(cosy_datagram) endpoint = bound("127.0.0.1");
    struct cosy_address self;
    int count = 0;
    cosy_datagram_sockname(endpoint, &self);
    cosy_scoped(cosy_task) busy = cosy_create_task(echo_to_itself, endpoint, &self, &count);
    let_all_run(5);
    ck_assert_int_gt(count, 100);
    ck_assert_int_lt(count, 5000);
    cosy_task_cancel(busy);
    ck_assert_int_eq(cosy_await(busy), -ECANCELED);
    return 0;
}

START_TEST(outside_tasks_nothing_waits)
{
    cosy_datagram *endpoint = NULL, *pair[2];
    begin_test();
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .family = AF_INET), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_datagram_adopt(0, &endpoint), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_datagram_pair(pair), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_datagram_recv(endpoint, NULL, 0, NULL), -COSY_ENOTASK);
}
END_TEST

cosy_async static int leave_open(cosy_datagram **ret_pair)
{
    return cosy_datagram_pair(ret_pair);
}

/* An endpoint may outlive its loop: it is closed all the same, and does nothing else. */
START_TEST(an_endpoint_may_outlive_its_loop)
{
    cosy_datagram *pair[2];
    char data[4];
    begin_test();
    int fds = entries("/proc/self/fd");
    ck_assert_int_eq(cosy_run(leave_open, pair), 0);
    ck_assert_int_eq(cosy_datagram_tryrecv(pair[0], data, sizeof data, NULL), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_datagram_trysend(pair[0], data, 1, NULL), -COSY_ECLOSED);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
}
END_TEST

cosy_async static int wait_for_ever(void)
{
    cosy_scoped(cosy_datagram) one = NULL;
    char data[4];
    cosy_try(cosy_open_datagram(&one, .family = AF_INET));
    return (int)cosy_datagram_recv(one, data, sizeof data, NULL);
}

/* Somebody from outside may send: that is no deadlock, and a limit ends it. */
TASK_TEST(a_receiver_can_be_limited_in_time)
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(wait_for_ever), COSY_MS(20)), -ETIMEDOUT);
    return 0;
}

TESTS_MAIN("datagram", datagrams_keep_their_boundaries, empty_datagrams_are_sent_and_received,
           a_cut_datagram_is_told_and_the_next_one_is_whole, a_large_datagram_passes_whole_and_a_larger_one_is_refused,
           ip6_works_as_ip4, nonsense_is_refused_with_words, an_address_in_use_is_named,
           a_closed_endpoint_leaves_its_port_at_once,
           ports_are_shared_by_those_who_want_to, broadcasts_need_leave, without_a_peer_there_must_be_an_address,
           nobody_listens_there_is_a_result_and_no_end, an_unconnected_endpoint_goes_on_after_sending_to_nobody,
           a_waiting_receiver_hears_that_nobody_listens, receivers_are_served_in_their_order,
           whoever_comes_again_waits_his_turn, a_cancel_behind_the_wake_loses_no_datagram, trying_does_not_wait,
           a_sender_waits_until_the_peer_takes_some, several_senders_are_served_and_nothing_is_lost,
           closing_wakes_who_waits, closing_behind_the_wake_is_heard, aborted_means_aborted_for_everybody,
           a_socket_of_the_program_is_adopted_and_given_back, what_is_no_datagram_socket_is_not_adopted,
           unix_sockets_have_names_and_clean_up, a_stale_unix_name_is_taken_over_and_a_strangers_file_is_not,
           abstract_names_leave_no_files, an_unconnected_unix_sender_waits_for_a_full_receiver,
           a_task_that_never_waits_lets_others_run, outside_tasks_nothing_waits, an_endpoint_may_outlive_its_loop,
           a_receiver_can_be_limited_in_time)
