/* test_sock.c - sock_* calls: CPython's test_sock_lowlevel.py (docs/scenarios/sock_lowlevel.md), and what it leaves
 * open: order, owners, closed numbers. */
#include "sock_test.h"

#include "loop/port.h"

/* ---- clients ---- */

cosy_async static int ask(int fd, const struct cosy_address *address)
{
    char answer[1024];
    int size = 0, n;
    cosy_try(cosy_sock_connect(fd, address));
    cosy_try(cosy_sock_sendall(fd, "GET / HTTP/1.0\r\n\r\n", 18, NULL));
    while ((n = cosy_try(cosy_sock_recv(fd, answer + size, sizeof answer - (size_t)size))) > 0)
        size += n;
    ck_assert_int_eq(size, 31);
    ck_assert_int_eq(memcmp(answer, "HTTP/1.0 200 OK", 15), 0);
    return 0;
}

cosy_async static int refused_when_it_blocks(int fd, const struct cosy_address *address)
{
    char byte;
    cosy_loop_set_debug(loop_now(), true);
    set_blocking(fd);
    ck_assert_int_eq(cosy_sock_connect(fd, address), -EINVAL);
    ck_assert_int_eq(cosy_sock_sendall(fd, "GET / HTTP/1.0\r\n\r\n", 18, NULL), -EINVAL);
    ck_assert_int_eq(cosy_sock_recv(fd, &byte, 1), -EINVAL);
    ck_assert_int_eq(cosy_sock_accept(fd, NULL), -EINVAL);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EINVAL), "must be non-blocking"));
    ck_assert(is_blocking(fd));
    ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
    return 0;
}

cosy_async static int client_ops(int listening, const struct cosy_address *address, int family)
{
    int fd = socket_of(family, SOCK_STREAM);
    cosy_try(refused_when_it_blocks(fd, address));
    cosy_scoped(cosy_task) server = cosy_create_task(serve_once, listening);
    ck_assert_int_eq(ask(fd, address), 0);
    ck_assert_int_eq(cosy_await(server), 0);
    close(fd);
    close(listening);
    return 0;
}

TASK_TEST(a_client_connects_sends_and_receives)
{
    struct cosy_address address;
    int listening = listener(&address);
    return client_ops(listening, &address, AF_INET);
}

TASK_TEST(a_client_of_a_unix_socket)
{
    struct cosy_address address;
    int listening = unix_listener(&address);
    return client_ops(listening, &address, AF_UNIX);
}

TASK_TEST(connecting_where_nobody_listens_fails)
{
    struct cosy_address address;
    port_of_nobody(&address);
    int fd = socket_of(AF_INET, SOCK_STREAM);
    ck_assert_int_eq(cosy_sock_connect(fd, &address), -ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ECONNREFUSED), "to 127.0.0.1:"));
    close(fd);
    return 0;
}

TASK_TEST(a_unix_listener_without_room_is_an_error_at_once)
{
    struct cosy_address address;
    int listening = unix_listener(&address), fds[8], n = 0, result = 0;
    ck_assert_int_eq(listen(listening, 0), 0);
    while (result == 0 && n < 8) {
        fds[n] = socket_of(AF_UNIX, SOCK_STREAM);
        result = cosy_sock_connect(fds[n++], &address);
    }
    ck_assert_int_eq(result, -EAGAIN);
    while (n > 0)
        close(fds[--n]);
    close(listening);
    return 0;
}

/* ---- calls that race with cancelled ones ---- */

TASK_TEST(a_receive_after_a_cancelled_one_gets_the_bytes)
{
    int pair[2];
    char text[16] = "";
    pair_of(SOCK_STREAM, pair);
    struct receipt never = {.fd = pair[0]};
    cosy_scoped(cosy_task) first = cosy_create_task(receive, &never);
    cosy_try(cosy_yield());
    cosy_task_cancel(first);
    cosy_scoped(cosy_task) sending = cosy_create_task(cosy_sock_sendall, pair[1], "hello", 5, NULL);
    ck_assert_int_eq(cosy_sock_recv(pair[0], text, sizeof text), 5);
    ck_assert_str_eq(text, "hello");
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    ck_assert_int_eq(cosy_await(sending), 0);
    close_both(pair);
    return 0;
}

cosy_async static int receive_no_spaces(int fd, char *text)
{
    static char buffer[8192];
    for (int n; (n = cosy_try(cosy_sock_recv(fd, buffer, sizeof buffer))) > 0;)
        for (int i = 0; i < n; i++)
            if (buffer[i] != ' ')
                *text++ = buffer[i];
    *text = 0;
    return 0;
}

TASK_TEST(a_send_after_a_cancelled_one_sends_only_its_own)
{
    int pair[2];
    size_t sent = 7;
    char text[64];
    pair_of(SOCK_STREAM, pair);
    fill(pair[0]);
    cosy_scoped(cosy_task) first = cosy_create_task(cosy_sock_sendall, pair[0], "hello", 5, &sent);
    cosy_try(cosy_yield());
    cosy_task_cancel(first);
    cosy_scoped(cosy_task) receiving = cosy_create_task(receive_no_spaces, pair[1], text);
    ck_assert_int_eq(cosy_sock_sendall(pair[0], "world", 5, NULL), 0);
    shutdown(pair[0], SHUT_WR);
    ck_assert_int_eq(cosy_await(receiving), 0);
    ck_assert_str_eq(text, "world");
    ck_assert_int_eq(cosy_await(first), -ECANCELED);
    ck_assert_uint_eq(sent, 0);
    close_both(pair);
    return 0;
}

TASK_TEST(a_cancelled_connect_can_be_made_again)
{
    struct cosy_address address;
    int listening = bound(SOCK_STREAM, &address), result = -ECONNREFUSED;
    int fd = socket_of(AF_INET, SOCK_STREAM);
    cosy_scoped(cosy_task) first = cosy_create_task(cosy_sock_connect, fd, &address);
    cosy_try(cosy_yield());
    cosy_task_cancel(first);
    ck_assert_int_eq(listen(listening, 1), 0);
    for (int i = 0; result == -ECONNREFUSED && i < 128; i++)
        result = cosy_sock_connect(fd, &address);
    ck_assert_int_eq(result, 0);
    result = cosy_await(first);
    ck_assert(result == -ECANCELED || result == -ECONNREFUSED);
    close(fd);
    close(listening);
    return 0;
}

static void cancel_it(void *task)
{
    cosy_task_cancel(task);
}

TASK_TEST(a_connection_survives_a_cancelled_accept)
{
    struct cosy_address address, own, peer;
    char text[8] = "";
    int listening = listener(&address), fd = socket_of(AF_INET, SOCK_STREAM);
    cosy_scoped(cosy_task) accepting = cosy_create_task(cosy_sock_accept, listening, &peer);
    cosy_try(cosy_yield());
    set_blocking(fd);
    ck_assert_int_eq(connect(fd, &address.any, address.size), 0);
    ck_assert_int_eq(cosy_call_soon(loop_now(), cancel_it, accepting, NULL), 0);
    int result = cosy_await(accepting);
    if (result >= 0) /* it was quicker than the cancel, and then it must not be lost either */
        close(fd), close(result), fd = socket_of(AF_INET, SOCK_STREAM), connect(fd, &address.any, address.size);
    else
        ck_assert_int_eq(result, -ECANCELED);
    int connection = cosy_try(cosy_sock_accept(listening, &peer));
    own.size = sizeof own.storage;
    ck_assert_int_eq(getsockname(fd, &own.any, &own.size), 0);
    ck_assert(cosy_address_equal(&own, &peer));
    ck_assert_int_eq(cosy_sock_sendall(connection, "ping", 4, NULL), 0);
    ck_assert_int_eq(cosy_sock_recv(fd, text, 4), 4);
    ck_assert_str_eq(text, "ping");
    close(connection);
    close(fd);
    close(listening);
    return 0;
}

TASK_TEST(an_accepted_connection_is_non_blocking_and_its_peer_is_told)
{
    struct cosy_address address, own, peer;
    int listening = listener(&address), fd = socket_of(AF_INET, SOCK_STREAM);
    connect(fd, &address.any, address.size);
    int connection = cosy_try(cosy_sock_accept(listening, &peer));
    ck_assert(!is_blocking(connection));
    ck_assert_int_eq(fcntl(connection, F_GETFD), FD_CLOEXEC);
    own.size = sizeof own.storage;
    ck_assert_int_eq(getsockname(fd, &own.any, &own.size), 0);
    ck_assert(cosy_address_equal(&own, &peer));
    close(connection);
    close(fd);
    close(listening);
    return 0;
}

TASK_TEST(after_a_cancelled_accept_the_listener_closes_at_once)
{
    struct cosy_address address;
    int listening = listener(&address), result = 0;
    COSY_TIMEOUT (result, COSY_MS(20)) {
        cosy_check(result, cosy_sock_accept(listening, NULL));
    }
    ck_assert_int_eq(result, -ETIMEDOUT);
    close(listening);
    int fd = socket_of(AF_INET, SOCK_STREAM);
    ck_assert_int_eq(cosy_sock_connect(fd, &address), -ECONNREFUSED);
    close(fd);
    return 0;
}

/* ---- much ---- */

TASK_TEST(a_million_bytes_arrive_in_order)
{
    enum { SIZE = 1000000 };
    struct cosy_address address;
    int listening = listener(&address), fd = socket_of(AF_INET, SOCK_STREAM);
    char *bytes = pattern(SIZE);
    size_t received = 0, sent = 0;
    cosy_try(cosy_sock_connect(fd, &address));
    int connection = cosy_try(cosy_sock_accept(listening, NULL));
    cosy_scoped(cosy_task) receiving = cosy_create_task(receive_pattern, connection, &received);
    ck_assert_int_eq(cosy_sock_sendall(fd, bytes, SIZE, &sent), 0);
    ck_assert_uint_eq(sent, SIZE);
    shutdown(fd, SHUT_WR);
    ck_assert_int_eq(cosy_await(receiving), 0);
    ck_assert_uint_eq(received, SIZE);
    free(bytes);
    close(fd);
    close(connection);
    close(listening);
    return 0;
}

/* ---- packets ---- */

TASK_TEST(packets_come_with_their_senders_address)
{
    struct cosy_address one, two, from;
    int fd = bound(SOCK_DGRAM, &one), other = bound(SOCK_DGRAM, &two);
    char *bytes = pattern(4096), buffer[8192];
    ck_assert_int_eq(cosy_sock_sendto(fd, bytes, 4096, &two), 4096);
    ck_assert_int_eq(cosy_sock_recvfrom(other, buffer, sizeof buffer, &from), 4096);
    ck_assert_int_eq(memcmp(buffer, bytes, 4096), 0);
    ck_assert(cosy_address_equal(&from, &one));
    ck_assert_int_eq(cosy_sock_sendto(other, bytes, 4096, &from), 4096);
    ck_assert_int_eq(cosy_sock_recvfrom(fd, buffer, 100, NULL), 100); /* the rest of a packet is gone */
    ck_assert_int_eq(cosy_sock_sendto(other, "", 0, &one), 0);
    ck_assert_int_eq(cosy_sock_recvfrom(fd, buffer, 100, &from), 0); /* an empty one is one */
    ck_assert(cosy_address_equal(&from, &two));
    free(bytes);
    close(fd);
    close(other);
    return 0;
}

TASK_TEST(a_packet_waits_for_room)
{
    int pair[2], sent = 0;
    char byte;
    pair_of(SOCK_DGRAM, pair);
    while (send(pair[0], "x", 1, 0) == 1)
        sent++;
    cosy_scoped(cosy_task) sending = cosy_create_task(cosy_sock_sendto, pair[0], "y", 1, NULL);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(sending));
    for (; sent > 0; sent--)
        ck_assert_int_eq(recv(pair[1], &byte, 1, 0), 1);
    ck_assert_int_eq(cosy_await(sending), 1);
    ck_assert_int_eq(cosy_sock_recv(pair[1], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    close_both(pair);
    return 0;
}

cosy_async static int receive_packet(int fd, char *buffer, size_t size)
{
    return cosy_sock_recvfrom(fd, buffer, size, NULL);
}

TASK_TEST(a_packet_to_nobody_does_not_stop_the_receiving)
{
    struct cosy_address one, two, nobody;
    char byte = 0;
    int fd = bound(SOCK_DGRAM, &one), other = bound(SOCK_DGRAM, &two);
    close(bound(SOCK_DGRAM, &nobody));
    cosy_scoped(cosy_task) receiving = cosy_create_task(receive_packet, fd, &byte, (size_t)1);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_sock_sendto(fd, "c", 1, &nobody), 1);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_sock_sendto(other, "d", 1, &one), 1);
    ck_assert_int_eq(cosy_await(receiving), 1);
    ck_assert_int_eq(byte, 'd');
    close(fd);
    close(other);
    return 0;
}

/* ---- messages ---- */

TASK_TEST(a_message_carries_a_descriptor_that_is_closed_on_exec)
{
    int pair[2], pipes[2], passed;
    char text[8] = "", control[CMSG_SPACE(sizeof(int))] = {0};
    pair_of(SOCK_STREAM, pair);
    ck_assert_int_eq(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    struct iovec parts[2] = {{text, 2}, {text + 2, 6}};
    struct msghdr in = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
    cosy_scoped(cosy_task) receiving = cosy_create_task(cosy_sock_recvmsg, pair[0], &in, 0);
    cosy_try(cosy_yield());
    struct iovec out_parts[2] = {{TEXT("abc"), 3}, {TEXT("de"), 2}};
    char out_control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr out = {
        .msg_iov = out_parts, .msg_iovlen = 2, .msg_control = out_control, .msg_controllen = sizeof out_control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&out);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &pipes[1], sizeof(int));
    ck_assert_int_eq(cosy_sock_sendmsg(pair[1], &out, 0), 5);
    ck_assert_int_eq(cosy_await(receiving), 5);
    ck_assert_str_eq(text, "abcde");
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&in)), sizeof passed);
    ck_assert_int_eq(fcntl(passed, F_GETFD), FD_CLOEXEC);
    close(passed);
    close_both(pipes);
    close_both(pair);
    return 0;
}

/* ---- in line ---- */

TASK_TEST(receivers_are_served_in_the_order_in_which_they_came)
{
    int pair[2];
    char byte;
    pair_of(SOCK_STREAM, pair);
    struct receipt receipts[4] = {{.fd = pair[0]}, {.fd = pair[0]}, {.fd = pair[0]}, {.fd = pair[0]}};
    cosy_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(tasks[i] = cosy_create_task(receive, &receipts[i]));
        cosy_try(cosy_yield());
    }
    cosy_task_cancel(tasks[1]);
    ck_assert_int_eq(cosy_await(tasks[1]), -ECANCELED);
    for (int i = 0; i < 4; i++)
        if (i != 1) {
            char letter = (char)('a' + i);
            ck_assert_int_eq(send(pair[1], &letter, 1, 0), 1);
            ck_assert_int_eq(cosy_await(tasks[i]), 1);
            ck_assert_int_eq(receipts[i].text[0], letter);
        }
    ck_assert_int_eq(recv(pair[0], &byte, 1, 0), -1);
    for (int i = 0; i < 4; i++)
        cosy_task_drop(tasks[i]);
    close_both(pair);
    return 0;
}

/* Who comes when there is something, but somebody waits for it already, waits behind. */
TASK_TEST(nobody_takes_what_another_was_told_of)
{
    int pair[2];
    char mine[8] = "", first[8] = "";
    pair_of(SOCK_STREAM, pair);
    cosy_scoped(cosy_task) waiting = cosy_create_task(cosy_sock_recv, pair[0], first, (size_t)1);
    cosy_try(cosy_yield());
    ck_assert_int_eq(send(pair[1], "a", 1, 0), 1);
    cosy_scoped(cosy_task) sending = cosy_create_task(cosy_sock_sendall, pair[1], "b", 1, NULL);
    ck_assert_int_eq(cosy_sock_recv(pair[0], mine, 1), 1);
    ck_assert_str_eq(mine, "b");
    ck_assert_int_eq(cosy_await(waiting), 1);
    ck_assert_str_eq(first, "a");
    ck_assert_int_eq(cosy_await(sending), 0);
    close_both(pair);
    return 0;
}

cosy_async static int send_letters(int fd, char letter)
{
    enum { SIZE = 500000 };
    char *letters = malloc(SIZE);
    memset(letters, letter, SIZE);
    int result = cosy_sock_sendall(fd, letters, SIZE, NULL);
    free(letters);
    return result;
}

cosy_async static int receive_letters(int fd, int *ret_changes, size_t *ret_size)
{
    static char buffer[65536];
    char last = 0;
    for (int n; (n = cosy_try(cosy_sock_recv(fd, buffer, sizeof buffer))) > 0; *ret_size += (size_t)n)
        for (int i = 0; i < n; i++, last = buffer[i - 1])
            *ret_changes += buffer[i] != last;
    return 0;
}

TASK_TEST(what_two_send_is_not_mixed)
{
    int pair[2], changes = 0;
    size_t size = 0;
    pair_of(SOCK_STREAM, pair);
    cosy_scoped(cosy_task) receiving = cosy_create_task(receive_letters, pair[1], &changes, &size);
    cosy_scoped(cosy_task) a = cosy_create_task(send_letters, pair[0], 'a');
    cosy_scoped(cosy_task) b = cosy_create_task(send_letters, pair[0], 'b');
    ck_assert_int_eq(cosy_await(a), 0);
    ck_assert_int_eq(cosy_await(b), 0);
    shutdown(pair[0], SHUT_WR);
    ck_assert_int_eq(cosy_await(receiving), 0);
    ck_assert_int_eq(changes, 2);
    ck_assert_uint_eq(size, 1000000);
    close_both(pair);
    return 0;
}

/* ---- whose descriptor it is ---- */

static void ignore(void *arg)
{
    (void)arg;
}

TASK_TEST(a_streams_descriptor_is_refused)
{
    int pair[2];
    char byte;
    struct cosy_port port;
    pair_of(SOCK_STREAM, pair);
    cosy_port_open(&port, loop_now(), pair[0]);
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_sock_recv(pair[0], &byte, 1), -EEXIST);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EEXIST), "is used by a stream"));
    ck_assert_int_eq(cosy_sock_sendall(pair[0], "x", 1, NULL), -EEXIST);
    ck_assert_int_eq(cosy_wait_readable(pair[0]), -EEXIST);
    ck_assert_int_eq(cosy_sock_sendfile(pair[0], 0, 0, 0), -EEXIST);
    ck_assert_int_eq(cosy_port_release(&port, -COSY_ECLOSED), pair[0]);
    ck_assert_int_eq(cosy_sock_recv(pair[0], &byte, 1), 1);
    close_both(pair);
    return 0;
}

/* loop.create_connection(sock=) */
TASK_TEST(a_connected_socket_becomes_a_stream_and_a_socket_again)
{
    struct cosy_address address;
    char *text, byte;
    cosy_stream *stream;
    int listening = listener(&address), fd = socket_of(AF_INET, SOCK_STREAM);
    cosy_scoped(cosy_task) server = cosy_create_task(serve_once, listening);
    cosy_try(cosy_sock_connect(fd, &address));
    cosy_try(cosy_stream_adopt(fd, &stream));
    ck_assert_int_eq(cosy_sock_recv(fd, &byte, 1), -EEXIST); /* though the stream has not waited yet */
    cosy_try(cosy_write(stream, "GET / HTTP/1.0\r\n\r\n", 18));
    ck_assert_int_eq(cosy_readline(stream, &text), 17);
    ck_assert_str_eq(text, "HTTP/1.0 200 OK\r\n");
    ck_assert_int_eq(cosy_await(server), 0);
    ck_assert_int_eq(cosy_stream_detach(stream, NULL, NULL), fd);
    ck_assert_int_eq(cosy_sock_recv(fd, &byte, 1), 0); /* the stream had read all there was */
    close(fd);
    close(listening);
    return 0;
}

TASK_TEST(a_watched_descriptor_cannot_be_waited_for)
{
    int pair[2];
    char byte;
    pair_of(SOCK_STREAM, pair);
    ck_assert_int_eq(cosy_add_reader(loop_now(), pair[0], ignore, NULL), 0);
    ck_assert_int_eq(cosy_sock_recv(pair[0], &byte, 1), -EEXIST);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EEXIST), "cosy_add_reader"));
    ck_assert_int_eq(cosy_remove_reader(loop_now(), pair[0]), 1);
    struct receipt receipt = {.fd = pair[0]};
    cosy_scoped(cosy_task) waiting = cosy_create_task(receive, &receipt);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_add_reader(loop_now(), pair[0], ignore, NULL), -EEXIST);
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_await(waiting), 1);
    ck_assert_int_eq(cosy_add_reader(loop_now(), pair[0], ignore, NULL), 0);
    ck_assert_int_eq(cosy_remove_reader(loop_now(), pair[0]), 1);
    close_both(pair);
    return 0;
}

TASK_TEST(calls_that_block_do_not_when_the_descriptor_does)
{
    struct cosy_address address;
    int listening = listener(&address), fd = socket_of(AF_INET, SOCK_STREAM);
    char byte;
    set_blocking(listening);
    set_blocking(fd);
    cosy_scoped(cosy_task) accepting = cosy_create_task(cosy_sock_accept, listening, NULL);
    cosy_try(cosy_yield()); /* comes back: nothing blocks */
    ck_assert_int_eq(cosy_sock_connect(fd, &address), 0);
    int connection = cosy_try(cosy_await(accepting));
    struct receipt receipt = {.fd = fd};
    cosy_scoped(cosy_task) waiting = cosy_create_task(receive, &receipt);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_sock_sendall(connection, "x", 1, NULL), 0);
    ck_assert_int_eq(cosy_await(waiting), 1);
    ck_assert(is_blocking(fd) && is_blocking(listening) && !is_blocking(connection));
    close(connection);
    ck_assert_int_eq(cosy_sock_recv(fd, &byte, 1), 0);
    close(fd);
    close(listening);
    return 0;
}

/* ---- closing ---- */

TASK_TEST(after_a_call_nothing_holds_the_descriptor)
{
    int pair[2];
    pair_of(SOCK_STREAM, pair);
    struct receipt receipt = {.fd = pair[0]};
    cosy_scoped(cosy_task) waiting = cosy_create_task(receive, &receipt);
    cosy_try(cosy_yield());
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_await(waiting), 1);
    close(pair[0]);
    ck_assert(sees_end(pair[1]));
    close(pair[1]);
    return 0;
}

TASK_TEST(after_a_cancel_nothing_holds_the_descriptor)
{
    int pair[2];
    pair_of(SOCK_STREAM, pair);
    struct receipt receipt = {.fd = pair[0]};
    cosy_scoped(cosy_task) waiting = cosy_create_task(receive, &receipt);
    cosy_try(cosy_sleep(COSY_MS(1)));
    cosy_task_cancel(waiting);
    close(pair[0]);
    ck_assert(sees_end(pair[1]));
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    close(pair[1]);
    return 0;
}

TASK_TEST(who_waits_is_told_that_the_descriptor_will_be_closed)
{
    int pair[2];
    pair_of(SOCK_STREAM, pair);
    struct receipt one = {.fd = pair[0]}, two = {.fd = pair[0]};
    fill(pair[0]);
    cosy_scoped(cosy_task) first = cosy_create_task(receive, &one);
    cosy_scoped(cosy_task) second = cosy_create_task(receive, &two);
    cosy_scoped(cosy_task) third = cosy_create_task(cosy_sock_sendall, pair[0], "x", 1, NULL);
    cosy_try(cosy_sleep(COSY_MS(1)));
    ck_assert_int_eq(cosy_notify_closing(pair[0]), 3);
    ck_assert_int_eq(cosy_notify_closing(pair[0]), 0);
    close(pair[0]);
    while (!sees_end(pair[1])) /* behind what was filled in */
        ck_assert_int_gt(recv(pair[1], trace, sizeof trace, 0), 0);
    trace[0] = 0;
    ck_assert_int_eq(cosy_await(first), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_await(second), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_await(third), -COSY_ECLOSED);
    close(pair[1]);
    return 0;
}

cosy_async static int receive_and_close(struct receipt *receipt)
{
    receive(receipt);
    cosy_notify_closing(receipt->fd);
    close(receipt->fd);
    return receipt->result;
}

/* The one that is to be told was told to try already. */
TASK_TEST(one_that_was_woken_is_told_too)
{
    int pair[2], other[2];
    pair_of(SOCK_STREAM, pair);
    pair_of(SOCK_STREAM, other);
    struct receipt one = {.fd = other[0]}, two = {.fd = pair[0]};
    cosy_scoped(cosy_task) first = cosy_create_task(receive_and_close, &one);
    cosy_scoped(cosy_task) second = cosy_create_task(receive, &two);
    cosy_try(cosy_yield());
    one.fd = pair[0]; /* what it closes when it has received */
    ck_assert_int_eq(send(other[1], "x", 1, 0), 1);
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_await(first), 1);
    int result = cosy_await(second);
    ck_assert(result == -COSY_ECLOSED || result == 1); /* whichever ran first; the other is told */
    close(pair[1]);
    close_both(other);
    return 0;
}

TASK_TEST(a_number_that_was_closed_and_given_again_is_another_descriptor)
{
    int pair[2], again[2];
    pair_of(SOCK_STREAM, pair);
    struct receipt old = {.fd = pair[0]}, new = {.fd = pair[0]};
    cosy_scoped(cosy_task) first = cosy_create_task(receive, &old);
    cosy_try(cosy_sleep(COSY_MS(1)));
    close(pair[0]); /* without a word */
    pair_of(SOCK_STREAM, again);
    if (again[0] != pair[0]) {
        ck_assert_int_eq(dup2(again[0], pair[0]), pair[0]);
        close(again[0]);
    }
    cosy_scoped(cosy_task) second = cosy_create_task(receive, &new);
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_await(first), -EBADF);
    ck_assert_int_eq(send(again[1], "x", 1, 0), 1);
    ck_assert_int_eq(cosy_await(second), 1);
    close(pair[0]);
    close(pair[1]);
    close(again[1]);
    return 0;
}

/* Kept records of earlier waits must not be taken for the new file's. */
TASK_TEST(many_descriptors_come_and_go_under_the_same_number)
{
    int number = -1;
    for (int i = 0; i < 200; i++) {
        int pair[2];
        pair_of(SOCK_STREAM, pair);
        ck_assert(number < 0 || number == pair[0]);
        number = pair[0];
        struct receipt receipt = {.fd = pair[0]};
        cosy_scoped(cosy_task) waiting = cosy_create_task(receive, &receipt);
        cosy_try(cosy_yield());
        if (i % 3 == 0)
            cosy_task_cancel(waiting);
        else
            ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
        ck_assert_int_eq(cosy_await(waiting), i % 3 == 0 ? -ECANCELED : 1);
        close_both(pair);
    }
    return 0;
}

/* ---- only waiting ---- */

TASK_TEST(waiting_for_readiness_reads_nothing)
{
    int pipes[2];
    char byte;
    ck_assert_int_eq(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_wait_writable(pipes[1]), 0);
    cosy_scoped(cosy_task) one = cosy_create_task(cosy_wait_readable, pipes[0]);
    cosy_scoped(cosy_task) two = cosy_create_task(cosy_wait_readable, pipes[0]);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(one));
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    ck_assert_int_eq(cosy_await(one), 0);
    ck_assert_int_eq(cosy_await(two), 0);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    close(pipes[1]);
    ck_assert_int_eq(cosy_wait_readable(pipes[0]), 0); /* the end */
    close(pipes[0]);
    return 0;
}

TASK_TEST(what_cannot_be_waited_for_is_an_error)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char byte;
    ck_assert_int_eq(cosy_wait_readable(file), -EPERM);
    ck_assert_int_eq(cosy_sock_recv(file, &byte, 1), -ENOTSOCK);
    close(file);
    ck_assert_int_eq(cosy_wait_readable(file), -EBADF);
    ck_assert_int_eq(cosy_wait_readable(-1), -EBADF);
    ck_assert_int_eq(cosy_sock_recv(file, &byte, 1), -EBADF);
    ck_assert_int_eq(cosy_sock_recvmsg(file, NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_sock_sendmsg(file, NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_sock_connect(file, NULL), -EINVAL);
    return 0;
}

/* ---- errors and ends ---- */

TASK_TEST(an_error_after_a_part_tells_the_part)
{
    enum { SIZE = 4000000 };
    int pair[2];
    size_t sent = 0;
    char *bytes = pattern(SIZE);
    pair_of(SOCK_STREAM, pair);
    cosy_scoped(cosy_task) sending = cosy_create_task(cosy_sock_sendall, pair[0], bytes, (size_t)SIZE, &sent);
    cosy_try(cosy_yield());
    ck_assert(!cosy_task_done(sending));
    close(pair[1]);
    ck_assert_int_eq(cosy_await(sending), -EPIPE);
    ck_assert(sent > 0 && sent < SIZE);
    free(bytes);
    close(pair[0]);
    return 0;
}

START_TEST(outside_a_task_calls_are_refused)
{
    begin_test();
    char byte;
    ck_assert_int_eq(cosy_sock_recv(0, &byte, 1), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_wait_readable(0), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_sock_sendfile(0, 0, 0, 0), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_notify_closing(0), -COSY_ENOLOOP);
    logged[0] = 0;
}
END_TEST

/* A loop that is closed under a task that waits. */
START_TEST(a_closed_loop_takes_its_waits_back)
{
    begin_test();
    int pair[2], fds = entries("/proc/self/fd"); /* before there is a pair */
    cosy_loop *loop;
    pair_of(SOCK_STREAM, pair);
    struct receipt receipt = {.fd = pair[0], .result = 77};
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *waiting = cosy_create_task_with((.loop = loop), receive, &receipt);
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    cosy_loop_close(loop);
    ck_assert_int_eq(receipt.result, 77);
    close(pair[0]);
    ck_assert(sees_end(pair[1]));
    close(pair[1]);
    cosy_task_drop(waiting);
    cosy_loop_free(loop);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
    logged[0] = 0; /* of the task that was dropped */
}
END_TEST

TESTS_MAIN("sock", a_client_connects_sends_and_receives, a_client_of_a_unix_socket,
           connecting_where_nobody_listens_fails, a_unix_listener_without_room_is_an_error_at_once,
           a_receive_after_a_cancelled_one_gets_the_bytes, a_send_after_a_cancelled_one_sends_only_its_own,
           a_cancelled_connect_can_be_made_again, a_connection_survives_a_cancelled_accept,
           an_accepted_connection_is_non_blocking_and_its_peer_is_told,
           after_a_cancelled_accept_the_listener_closes_at_once, a_million_bytes_arrive_in_order,
           packets_come_with_their_senders_address, a_packet_waits_for_room,
           a_packet_to_nobody_does_not_stop_the_receiving, a_message_carries_a_descriptor_that_is_closed_on_exec,
           receivers_are_served_in_the_order_in_which_they_came, nobody_takes_what_another_was_told_of,
           what_two_send_is_not_mixed, a_streams_descriptor_is_refused,
           a_connected_socket_becomes_a_stream_and_a_socket_again, a_watched_descriptor_cannot_be_waited_for,
           calls_that_block_do_not_when_the_descriptor_does, after_a_call_nothing_holds_the_descriptor,
           after_a_cancel_nothing_holds_the_descriptor, who_waits_is_told_that_the_descriptor_will_be_closed,
           one_that_was_woken_is_told_too, a_number_that_was_closed_and_given_again_is_another_descriptor,
           many_descriptors_come_and_go_under_the_same_number, waiting_for_readiness_reads_nothing,
           what_cannot_be_waited_for_is_an_error, an_error_after_a_part_tells_the_part,
           outside_a_task_calls_are_refused, a_closed_loop_takes_its_waits_back)
