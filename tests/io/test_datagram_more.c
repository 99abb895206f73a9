/* test_datagram_more.c - what goes along with datagrams: pieces, batches, segments, addresses, reports, groups;
 * failures and cancels. */
#include "datagram_test.h"

#include <net/if.h>
#include <netinet/udp.h>

/* The simulated network has neither reports nor groups, and says so; a real one must have them. */
static bool not_on_this_network(int result)
{
    ck_assert_int_eq(result, simulated() ? -ENOPROTOOPT : 0);
    return result < 0;
}

/* ---- messages ---- */

TASK_TEST(pieces_are_one_datagram)
{
    cosy_datagram *pair[2];
    char a[3], b[10] = "", text[] = "from many pieces";
    struct iovec out[] = {{text, 5}, {NULL, 0}, {text + 5, 11}}, in[] = {{a, 3}, {b, 9}};
    struct cosy_datagram_message message = {.parts = out, .part_count = 3};
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    ck_assert_int_eq(cosy_datagram_sendmsg(pair[1], &message), 0);
    ck_assert_int_eq(cosy_datagram_sendmsg(pair[1], &(struct cosy_datagram_message){.data = BYTES("whole"), .size = 5}),
                     0);
    message = (struct cosy_datagram_message){.parts = in, .part_count = 2};
    ck_assert_int_eq(cosy_datagram_recvmsg(pair[0], &message), 0);
    ck_assert(message.truncated);
    ck_assert_uint_eq(message.full_size, 16);
    ck_assert_uint_eq(message.size, 12);
    ck_assert_int_eq(memcmp(a, "fro", 3), 0);
    ck_assert_str_eq(b, "m many pi");
    ck_assert_int_eq(cosy_datagram_recvmsg(pair[0], &message), 0);
    ck_assert(!message.truncated);
    ck_assert_uint_eq(message.size, 5);
    ck_assert_uint_eq(message.full_size, 5);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

TASK_TEST(a_batch_takes_what_is_there)
{
    cosy_datagram *pair[2];
    enum { MANY = 5 };
    char room[8][4];
    struct cosy_datagram_message out[MANY] = {{0}}, in[8] = {{0}};
    unsigned sent = 99;
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    for (int i = 0; i < MANY; i++)
        out[i] = (struct cosy_datagram_message){.data = BYTES("abcde"), .size = (size_t)i};
    for (int i = 0; i < 8; i++)
        in[i] = (struct cosy_datagram_message){.data = room[i], .size = 4};
    ck_assert_int_eq(cosy_datagram_sendmmsg(pair[1], out, MANY, &sent), 0);
    ck_assert_uint_eq(sent, MANY);
    ck_assert_int_eq(cosy_datagram_recvmmsg(pair[0], in, 3), 3);
    ck_assert_int_eq(cosy_datagram_recvmmsg(pair[0], in + 3, 5), 2);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(in[i].size, i);
    ck_assert_int_eq(cosy_datagram_recvmmsg(pair[0], in, 0), 0);
    ck_assert_int_eq(cosy_datagram_sendmmsg(pair[1], out, 0, &sent), 0);
    ck_assert_uint_eq(sent, 0);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* Datagrams come before the error that came behind them; and the error is not forgotten. */
TASK_TEST(a_batch_tells_datagrams_first_and_then_the_error)
{
    cosy_scoped(cosy_datagram) first = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) second = connected(first);
    struct cosy_address here;
    char room[4][4];
    struct cosy_datagram_message in[4] = {{0}};
    for (int i = 0; i < 4; i++)
        in[i] = (struct cosy_datagram_message){.data = room[i], .size = 4};
    cosy_datagram_sockname(second, &here);
    ck_assert_int_eq(cosy_datagram_sendto(first, "x", 1, &here), 0);
    ck_assert_int_eq(cosy_datagram_recvmmsg(second, in, 1), 1);
    cosy_datagram_abort(first);
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    ck_assert_int_eq(cosy_datagram_send(second, "nobody", 6), 0);
    ck_assert_int_eq(cosy_datagram_recvmmsg(second, in, 4), -ECONNREFUSED);
    return 0;
}

/* More than one system call takes, in order; the parts of one message stay one; those that cannot go with others go
 * between them. */
TASK_TEST(many_go_together_and_come_together)
{
    enum { COUNT = 150 };
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = bound("127.0.0.1");
    static struct cosy_datagram_message out[COUNT], in[COUNT];
    static unsigned char bytes[COUNT], room[COUNT][4];
    struct cosy_address to, from;
    struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t) "a", .iov_len = 1},
                             {.iov_base = (void *)(uintptr_t) "bc", .iov_len = 2}};
    unsigned sent = 0, got = 0;
    struct cosy_datagram_stats stats;
    cosy_datagram_sockname(server, &to);
    cosy_datagram_sockname(client, &from);
    for (int i = 0; i < COUNT; i++) {
        bytes[i] = (unsigned char)i;
        out[i] = (struct cosy_datagram_message){.data = &bytes[i], .size = 1, .peer = to};
        in[i] = (struct cosy_datagram_message){.data = room[i], .size = 4};
    }
    out[70] = (struct cosy_datagram_message){.parts = parts, .part_count = 2, .peer = to};
    out[71].size = 0;
    ck_assert_int_eq(cosy_datagram_sendmmsg(client, out, COUNT, &sent), 0);
    ck_assert_uint_eq(sent, COUNT);
    cosy_datagram_get_stats(client, &stats);
    ck_assert_uint_eq(stats.sent, COUNT);
    ck_assert_uint_eq(stats.sent_bytes, COUNT + 1);
    while (got < COUNT) {
        int more = cosy_datagram_recvmmsg(server, in + got, COUNT - got);
        ck_assert_int_gt(more, 0);
        got += (unsigned)more;
    }
    for (int i = 0; i < COUNT; i++) {
        ck_assert(cosy_address_equal(&in[i].peer, &from));
        ck_assert_uint_eq(in[i].size, i == 70 ? 3 : i == 71 ? 0 : 1);
        if (i != 70 && i != 71)
            ck_assert_uint_eq(room[i][0], i);
    }
    ck_assert_mem_eq(room[70], "abc", 3);
    cosy_datagram_get_stats(server, &stats);
    ck_assert_uint_eq(stats.received, COUNT);
    ck_assert_uint_eq(stats.received_bytes, COUNT + 1);
    return 0;
}

/* What is too long for the network is told for itself, and what went before it is counted. */
TASK_TEST(a_message_that_cannot_go_ends_the_batch)
{
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = bound("127.0.0.1");
    static char much[70000];
    struct cosy_address to;
    cosy_datagram_sockname(server, &to);
    struct cosy_datagram_message out[4];
    for (int i = 0; i < 4; i++)
        out[i] = (struct cosy_datagram_message){.data = much, .size = i == 2 ? sizeof much : 1, .peer = to};
    unsigned sent = 99;
    ck_assert_int_eq(cosy_datagram_sendmmsg(client, out, 4, &sent), -EMSGSIZE);
    ck_assert_uint_eq(sent, 2);
    return 0;
}

TASK_TEST(what_was_sent_before_an_error_is_told)
{
    cosy_datagram *server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_datagram_message out[3] = {
        {.data = BYTES("a"), .size = 1}, {.data = BYTES("b"), .size = 1}, {.data = BYTES("c"), .size = 1}};
    unsigned sent = 99;
    cosy_datagram_close(server);
    ck_assert_int_eq(cosy_datagram_sendmmsg(client, out, 3, &sent), -ECONNREFUSED);
    ck_assert_uint_eq(sent, 1);
    return 0;
}

/* ---- where it came to ---- */

TASK_TEST(the_address_it_came_to_is_told_and_can_be_answered_from)
{
    cosy_scoped(cosy_datagram) server = NULL;
    struct cosy_address any, there, other;
    char data[8], text[COSY_ADDRESS_TEXT], name[IF_NAMESIZE];
    cosy_address_parse(&any, "0.0.0.0", 0);
    if (not_on_this_network(cosy_open_datagram(&server, .local = &any, .destination = true)))
        return 0;
    cosy_scoped(cosy_datagram) client = bound("127.0.0.1");
    cosy_datagram_sockname(server, &there);
    cosy_address_parse(&other, "127.0.0.5", cosy_address_port(&there));
    ck_assert_int_eq(cosy_datagram_sendto(client, "hello", 5, &other), 0);
    struct cosy_datagram_message message = {.data = data, .size = sizeof data};
    ck_assert_int_eq(cosy_datagram_recvmsg(server, &message), 0);
    ck_assert_str_eq(cosy_address_host(&message.local, text), "127.0.0.5");
    ck_assert_ptr_nonnull(if_indextoname(message.interface, name));
    ck_assert_str_eq(name, "lo");
    message.data = BYTES("yes");
    message.size = 3;
    ck_assert_int_eq(cosy_datagram_sendmsg(server, &message), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, &there), 3);
    ck_assert_str_eq(cosy_address_host(&there, text), "127.0.0.5");
    ck_assert(cosy_address_equal(&there, &other));
    cosy_address_parse(&message.local, "::1", 0);
    ck_assert_int_eq(cosy_datagram_sendmsg(server, &message), -EINVAL);
    return 0;
}

/* ---- many of one size ---- */

static void check_segments(cosy_datagram *server, const char *data, size_t size, size_t segment)
{
    char *in = malloc(segment + 1);
    for (size_t at = 0; at < size; at += segment) {
        size_t wanted = size - at < segment ? size - at : segment;
        ck_assert_int_eq(cosy_datagram_recv(server, in, segment + 1, NULL), wanted);
        ck_assert_int_eq(memcmp(in, data + at, wanted), 0);
    }
    free(in);
}

cosy_async static int send_segmented(cosy_datagram *endpoint, const char *data, size_t size, size_t segment)
{
    return cosy_datagram_send_segmented(endpoint, data, size, segment, NULL);
}

TASK_TEST(segments_arrive_one_by_one)
{
    enum { SIZE = 100000 };
    cosy_scoped(cosy_datagram) server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = connected(server);
    struct cosy_datagram_stats stats;
    char *data = malloc(SIZE);
    const size_t segments[] = {1400, 1, 50000, 60001};
    const size_t sizes[] = {SIZE, 65, 50001, 60001};
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)(i * 31 >> 3);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(send_segmented(client, data, sizes[i], segments[i]), 0);
        check_segments(server, data, sizes[i], segments[i]);
    }
    cosy_datagram_get_stats(client, &stats);
    ck_assert_uint_eq(stats.sent, 72 + 65 + 2 + 1);
    ck_assert_uint_eq(stats.sent_bytes, SIZE + 65 + 50001 + 60001);
    ck_assert_int_eq(send_segmented(client, data, 0, 100), 0);
    ck_assert_int_eq(cosy_datagram_recv(server, data, SIZE, NULL), 0);
    ck_assert_int_eq(send_segmented(client, data, 10, 0), -EINVAL);
    ck_assert_int_eq(send_segmented(client, data, 10, 65536), -EINVAL);
    free(data);
    return 0;
}

TASK_TEST(segments_for_a_unix_socket_are_cut_here)
{
    cosy_datagram *pair[2];
    char data[3000];
    memset(data, 'x', sizeof data);
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    cosy_scoped(cosy_task) sender = cosy_create_task(send_segmented, pair[1], data, sizeof data, 100);
    check_segments(pair[0], data, sizeof data, 100);
    ck_assert_int_eq(cosy_await(sender), 0);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* What the kernel puts together is told with its size; where it cannot, single ones come. */
TASK_TEST(what_came_together_tells_its_pieces)
{
    cosy_scoped(cosy_datagram) server = NULL;
    struct cosy_address here;
    char out[5100], in[65536];
    size_t got = 0;
    cosy_address_parse(&here, "127.0.0.1", 0);
    int result = cosy_open_datagram(&server, .local = &here, .gro = true);
    if (result == -ENOPROTOOPT)
        return 0; /* a kernel before 5.0 */
    ck_assert_int_eq(result, 0);
    cosy_scoped(cosy_datagram) client = connected(server);
    memset(out, 'x', sizeof out);
    ck_assert_int_eq(send_segmented(client, out, sizeof out, 1000), 0);
    bool together = false;
    while (got < sizeof out) {
        struct cosy_datagram_message message = {.data = in, .size = sizeof in};
        ck_assert_int_eq(cosy_datagram_recvmsg(server, &message), 0);
        ck_assert(!message.truncated);
        ck_assert_uint_le(message.size, sizeof out);
        if (message.size > 1000) {
            ck_assert_uint_eq(message.segment_size, 1000);
            together = true;
        } else
            ck_assert_uint_eq(message.segment_size, 0);
        got += message.size;
    }
    ck_assert_uint_eq(got, sizeof out);
    ck_assert(together || simulated());
    return 0;
}

/* ---- reports ---- */

cosy_async static int receive_nothing(cosy_datagram *endpoint, char *data)
{
    return (int)cosy_datagram_recv(endpoint, data, 4, NULL);
}

TASK_TEST(reports_tell_where_and_what)
{
    cosy_datagram *server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = NULL;
    struct cosy_address there;
    struct cosy_datagram_error report;
    char data[4], text[COSY_ADDRESS_TEXT];
    cosy_datagram_sockname(server, &there);
    cosy_datagram_close(server);
    if (not_on_this_network(cosy_open_datagram(&client, .family = AF_INET, .recv_errors = true)))
        return 0;
    ck_assert_int_eq(cosy_datagram_recv_error(client, &report), 0);
    ck_assert_int_eq(cosy_datagram_sendto(client, "hello", 5, &there), 0);
    ck_assert_int_eq(cosy_datagram_recv(client, data, sizeof data, NULL), -ECONNREFUSED);
    ck_assert_int_eq(cosy_datagram_recv_error(client, &report), 1);
    ck_assert_int_eq(report.error, -ECONNREFUSED);
    ck_assert_int_eq(report.origin, COSY_DATAGRAM_ICMP);
    ck_assert_uint_eq(report.type, 3); /* destination unreachable */
    ck_assert_uint_eq(report.code, 3); /* port unreachable */
    ck_assert(cosy_address_equal(&report.to, &there));
    ck_assert_str_eq(cosy_address_host(&report.offender, text), "127.0.0.1");
    ck_assert_uint_eq(report.payload_size, 5);
    ck_assert_int_eq(memcmp(report.payload, "hello", 5), 0);
    ck_assert_int_eq(cosy_datagram_recv_error(client, &report), 0);
    return 0;
}

/* Reports that nobody asks for neither keep the loop busy nor grow. */
TASK_TEST(reports_that_nobody_wants_are_dropped)
{
    cosy_datagram *server = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) client = NULL;
    struct cosy_address there;
    struct cosy_datagram_error report;
    struct cosy_datagram_stats stats;
    char data[4];
    int refused = 0, kept = 0;
    cosy_datagram_sockname(server, &there);
    cosy_datagram_close(server);
    if (not_on_this_network(cosy_open_datagram(&client, .family = AF_INET, .recv_errors = true)))
        return 0;
    for (int i = 0; i < 40; i++)
        if (cosy_datagram_trysend(client, &i, sizeof i, &there) == -ECONNREFUSED)
            refused++;
    ck_assert_int_gt(refused, 0);
    uint64_t before = turns();
    while (cosy_wait_for(cosy_call(receive_nothing, client, data), COSY_MS(20)) != -ETIMEDOUT)
        refused++;
    ck_assert_uint_lt(turns() - before, 400);
    while (cosy_datagram_recv_error(client, &report) == 1)
        kept++;
    cosy_datagram_get_stats(client, &stats);
    ck_assert_int_eq(kept, 16);
    ck_assert_uint_gt(stats.reports_dropped, 0);
    int again = -ETIMEDOUT;
    while (again == -ETIMEDOUT) {
        ck_assert_int_eq(cosy_datagram_sendto(client, "x", 1, &there), 0);
        again = cosy_wait_for(cosy_call(receive_nothing, client, data), COSY_MS(20));
    }
    ck_assert_int_eq(again, -ECONNREFUSED);
    return 0;
}

TASK_TEST(who_did_not_ask_for_reports_gets_none)
{
    cosy_scoped(cosy_datagram) endpoint = bound("127.0.0.1");
    struct cosy_datagram_error report;
    ck_assert_int_eq(cosy_datagram_recv_error(endpoint, &report), -ENOTSUP);
    return 0;
}

/* ---- groups ---- */

TASK_TEST(groups_are_joined_and_left)
{
    cosy_scoped(cosy_datagram) listener = NULL;
    cosy_scoped(cosy_datagram) second = NULL;
    struct cosy_address group, any, one;
    char data[8];
    cosy_address_parse(&any, "0.0.0.0", 0);
    ck_assert_int_eq(cosy_open_datagram(&listener, .local = &any, .reuse_address = true), 0);
    cosy_datagram_sockname(listener, &any);
    ck_assert_int_eq(cosy_open_datagram(&second, .local = &any, .reuse_address = true), 0);
    cosy_address_parse(&group, "239.255.17.4", cosy_address_port(&any));
    if (not_on_this_network(cosy_datagram_join(listener, &group, "lo")))
        return 0;
    ck_assert_int_eq(cosy_datagram_join(listener, &group, "lo"), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EADDRINUSE), "joining multicast group 239.255.17.4"));
    ck_assert_int_eq(cosy_datagram_join(second, &group, "1"), 0);
    cosy_scoped(cosy_datagram) sender = bound("127.0.0.1");
    ck_assert_int_eq(cosy_datagram_set_multicast_interface(sender, "lo"), 0);
    ck_assert_int_eq(cosy_datagram_set_multicast_ttl(sender, 0), 0);
    ck_assert_int_eq(cosy_datagram_sendto(sender, "all", 3, &group), 0);
    ck_assert_int_eq(cosy_datagram_recv(listener, data, sizeof data, &one), 3);
    ck_assert_int_eq(cosy_datagram_recv(second, data, sizeof data, NULL), 3);
    cosy_datagram_sockname(sender, &any);
    ck_assert(cosy_address_equal(&one, &any));
    ck_assert_int_eq(cosy_datagram_leave(second, &group, "lo"), 0);
    ck_assert_int_eq(cosy_datagram_leave(second, &group, "lo"), -EADDRNOTAVAIL);
    int loops = 1, ttl = 1;
    socklen_t size = sizeof loops;
    ck_assert_int_eq(cosy_datagram_set_multicast_loop(sender, false), 0);
    ck_assert_int_eq(cosy_datagram_getsockopt(sender, IPPROTO_IP, IP_MULTICAST_LOOP, &loops, &size), 0);
    ck_assert_int_eq(loops, 0);
    ck_assert_int_eq(cosy_datagram_getsockopt(sender, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, &size), 0);
    ck_assert_int_eq(ttl, 0);
    return 0;
}

TASK_TEST(one_source_of_a_group_can_be_joined)
{
    cosy_scoped(cosy_datagram) listener = NULL;
    struct cosy_address group, any, good, bad;
    char data[8];
    cosy_address_parse(&any, "0.0.0.0", 0);
    ck_assert_int_eq(cosy_open_datagram(&listener, .local = &any), 0);
    cosy_datagram_sockname(listener, &any);
    cosy_address_parse(&group, "232.1.2.3", cosy_address_port(&any));
    cosy_address_parse(&good, "127.0.0.1", 0);
    cosy_address_parse(&bad, "127.0.0.2", 0);
    if (not_on_this_network(cosy_datagram_join_source(listener, &group, &good, "lo")))
        return 0;
    cosy_scoped(cosy_datagram) right = bound("127.0.0.1");
    cosy_scoped(cosy_datagram) wrong = bound("127.0.0.2");
    ck_assert_int_eq(cosy_datagram_set_multicast_interface(right, "lo"), 0);
    ck_assert_int_eq(cosy_datagram_set_multicast_interface(wrong, "lo"), 0);
    ck_assert_int_eq(cosy_datagram_sendto(wrong, "bad", 3, &group), 0);
    ck_assert_int_eq(cosy_datagram_sendto(right, "good", 4, &group), 0);
    ck_assert_int_eq(cosy_datagram_recv(listener, data, sizeof data, NULL), 4);
    ck_assert_int_eq(cosy_datagram_leave_source(listener, &group, &good, "lo"), 0);
    ck_assert_int_eq(cosy_datagram_leave_source(listener, &group, &good, "lo"), -EINVAL);
    return 0;
}

TASK_TEST(what_is_no_group_is_refused)
{
    cosy_scoped(cosy_datagram) endpoint = bound("127.0.0.1");
    cosy_datagram *pair[2];
    struct cosy_address address;
    cosy_address_parse(&address, "192.0.2.1", 1);
    ck_assert_int_eq(cosy_datagram_join(endpoint, &address, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "192.0.2.1:1 is no multicast group"));
    ck_assert_int_eq(cosy_datagram_join(endpoint, NULL, NULL), -EINVAL);
    cosy_address_parse(&address, "ff02::1", 1);
    ck_assert_int_eq(cosy_datagram_join(endpoint, &address, NULL), -EINVAL);
    cosy_address_parse(&address, "239.1.1.1", 1);
    ck_assert_int_eq(cosy_datagram_join(endpoint, &address, "nosuch0"), -ENODEV);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ENODEV), "nosuch0"));
    ck_assert_int_eq(cosy_datagram_set_ttl(endpoint, 0), -EINVAL);
    ck_assert_int_eq(cosy_datagram_set_ttl(endpoint, 7), 0);
    int ttl = 0;
    socklen_t size = sizeof ttl;
    ck_assert_int_eq(cosy_datagram_getsockopt(endpoint, IPPROTO_IP, IP_TTL, &ttl, &size), 0);
    ck_assert_int_eq(ttl, 7);
    ck_assert_int_eq(cosy_datagram_pair(pair), 0);
    ck_assert_int_eq(cosy_datagram_set_ttl(pair[0], 7), -EINVAL);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return 0;
}

/* ---- what the kernel dropped ---- */

TASK_TEST(drops_of_the_kernel_are_counted)
{
    cosy_scoped(cosy_datagram) server = NULL;
    struct cosy_address here;
    struct cosy_datagram_stats stats;
    char data[1000] = "";
    cosy_address_parse(&here, "127.0.0.1", 0);
    ck_assert_int_eq(cosy_open_datagram(&server, .local = &here, .receive_buffer = 4096), 0);
    cosy_scoped(cosy_datagram) client = connected(server);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(cosy_datagram_send(client, data, sizeof data), 0);
    int got = 0;
    while (cosy_datagram_tryrecv(server, data, sizeof data, NULL) >= 0)
        got++;
    cosy_datagram_get_stats(server, &stats);
    ck_assert_int_lt(got, 100);
    ck_assert_uint_eq(stats.dropped, simulated() ? 0u : 100u - (unsigned)got);
    return 0;
}

/* ---- failures ---- */

cosy_async static int exchange(cosy_datagram *server, cosy_datagram *client)
{
    char data[64];
    struct cosy_address from;
    cosy_try(cosy_datagram_send(client, "ping", 4));
    int64_t size = cosy_try(cosy_datagram_recv(server, data, sizeof data, &from));
    cosy_try(cosy_datagram_sendto(server, data, (size_t)size, &from));
    cosy_try(send_segmented(client, "abcdef", 6, 2));
    for (int i = 0; i < 3; i++)
        size = cosy_try(cosy_datagram_recv(server, data, sizeof data, NULL));
    return (int)cosy_try(cosy_datagram_recv(client, data, sizeof data, NULL)) == 4 && size == 2 ? 0 : -EINVAL;
}

cosy_async static int whole_life(void)
{
    struct cosy_address here;
    cosy_scoped(cosy_datagram) server = NULL;
    cosy_scoped(cosy_datagram) client = NULL;
    cosy_datagram *pair[2];
    cosy_try(cosy_address_parse(&here, "127.0.0.1", 0));
    cosy_try(cosy_open_datagram(&server, .local = &here, .reuse_port = true, .recv_errors = !simulated()));
    cosy_try(cosy_datagram_sockname(server, &here));
    cosy_try(cosy_open_datagram(&client, .remote = &here));
    cosy_try(exchange(server, client));
    cosy_try(cosy_datagram_pair(pair));
    cosy_datagram_close(pair[0]);
    int fd = cosy_datagram_detach(pair[1]), result = fd;
    if (fd >= 0 && (result = cosy_datagram_adopt(fd, &pair[0])) < 0)
        close(fd);
    cosy_datagram_close(result >= 0 ? pair[0] : fd < 0 ? pair[1] : NULL);
    return result;
}

static int live(void)
{
    return cosy_run(whole_life);
}

START_TEST(without_memory_nothing_leaks)
{
    starve_kernel_too(live);
}
END_TEST

cosy_async static int limited_life(void)
{
    return cosy_wait_for(cosy_call(whole_life), COSY_MS(50)); /* a datagram that was not sent is waited for in vain */
}

/* Each system call fails in turn, also the loop's own: the error comes out, or was got over; nothing leaks. */
START_TEST(each_call_of_the_kernel_may_fail)
{
    const int errors[] = {EIO, ENOBUFS, EINTR, ENOMEM};
    begin_test();
    ck_assert_int_eq(live(), 0);
    int fds = entries("/proc/self/fd");
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
        for (long n = 1;; n++) {
            cosy_sys_fail_nth(n, errors[e]);
            int result = cosy_run(limited_life);
            long counted = cosy_sys_counted();
            cosy_sys_fail_nth(0, 0);
            ck_assert_int_eq(entries("/proc/self/fd"), fds);
            if (counted < n) {
                ck_assert_int_eq(result, 0);
                break;
            }
            ck_assert_msg(result <= 0, "call %ld failing with %s gave %d", n, cosy_errname(errors[e]), result);
            ck_assert_int_lt(n, 2000);
        }
    logged[0] = 0;
}
END_TEST

/* ---- cancelled anywhere ---- */

enum { PARCELS = 30 };

struct post {
    cosy_datagram *ends[2];
    unsigned sent, received, seen[PARCELS];
};

cosy_async static int post_all(struct post *post)
{
    for (unsigned i = 0; i < PARCELS; i++) {
        post->sent = i;
        int result = cosy_datagram_send(post->ends[0], &i, sizeof i);
        if (result < 0)
            return result;
        post->sent = i + 1;
    }
    return 0;
}

cosy_async static int deliver(struct post *post)
{
    unsigned number;
    while (post->received < PARCELS) {
        int64_t size = cosy_datagram_recv(post->ends[1], &number, sizeof number, NULL);
        if (size < 0)
            return (int)size;
        cosy_test_expect(size == sizeof number && number < PARCELS && post->seen[number]++ == 0);
        post->received++;
    }
    return 0;
}

/* Two deliverers and a poster; whoever is cancelled has neither taken nor lost one: what is left in the kernel is the
 * rest. */
cosy_async static int post_office(struct post *post)
{
    cosy_try(cosy_datagram_pair(post->ends));
    int least = 1; /* so that the poster has to wait */
    cosy_datagram_setsockopt(post->ends[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    cosy_scoped(cosy_task) poster = cosy_create_task(post_all, post);
    cosy_scoped(cosy_task) one = cosy_create_task(deliver, post);
    cosy_scoped(cosy_task) two = cosy_create_task(deliver, post);
    int result = cosy_await(poster);
    if (result == 0)
        cosy_test_expect(post->sent == PARCELS);
    int patience = 1000;
    while (post->received < post->sent && patience-- > 0 && !(cosy_task_done(one) && cosy_task_done(two)))
        (void)cosy_yield();
    cosy_task_cancel(one);
    cosy_task_cancel(two);
    (void)cosy_await(one);
    (void)cosy_await(two);
    unsigned number;
    while (cosy_datagram_tryrecv(post->ends[1], &number, sizeof number, NULL) > 0) {
        cosy_test_expect(number < PARCELS && post->seen[number]++ == 0);
        post->received++;
    }
    cosy_test_expect(post->received == post->sent);
    cosy_datagram_close(post->ends[0]);
    cosy_datagram_close(post->ends[1]);
    return result;
}

START_TEST(no_cancel_loses_a_datagram)
{
    int err = 0;
    begin_test();
    COSY_TEST_EXPLORE(err, .seeds = 3, .cancel_each_wait = true, .cancel_task = "post_all")
    {
        struct post post = {.sent = 0};
        (void)cosy_test_run(post_office, &post);
    }
    ck_assert_int_gt(err, 3);
    COSY_TEST_EXPLORE(err, .seeds = 3, .cancel_each_wait = true, .cancel_task = "deliver")
    {
        struct post post = {.sent = 0};
        (void)cosy_test_run(post_office, &post);
    }
    ck_assert_int_gt(err, 3);
}
END_TEST

TESTS_MAIN("datagram_more", pieces_are_one_datagram, a_batch_takes_what_is_there,
           a_batch_tells_datagrams_first_and_then_the_error, many_go_together_and_come_together,
           a_message_that_cannot_go_ends_the_batch, what_was_sent_before_an_error_is_told,
           the_address_it_came_to_is_told_and_can_be_answered_from, segments_arrive_one_by_one,
           segments_for_a_unix_socket_are_cut_here, what_came_together_tells_its_pieces, reports_tell_where_and_what,
           reports_that_nobody_wants_are_dropped, who_did_not_ask_for_reports_gets_none, groups_are_joined_and_left,
           one_source_of_a_group_can_be_joined, what_is_no_group_is_refused, drops_of_the_kernel_are_counted,
           without_memory_nothing_leaks, each_call_of_the_kernel_may_fail, no_cancel_loses_a_datagram)
