/* Datagrams and bare sockets: several tasks receive from one endpoint, several send to it, by any call and cancelled
 * anywhere; and bytes go through a pair of sockets by cosy_sock_*.
 *
 * Invariants: a datagram is whole, comes once, and is lost only on the way (a cancelled receive takes none); bytes of a
 * cancelled cosy_sock_sendall are those it says it sent, and come in order; nobody waits at rest that could go on; no
 * descriptor is left open.
 */
#include <stdlib.h>
#include <string.h>

#include "../../../src/loop/loop.h"
#include "../../../src/sys/net.h"
#include "../../../src/sys/sim/network.h"
#include "../fuzz.h"

enum { MEMBERS = 8, SENDS = 6, LONGEST = 600, PACKETS = MEMBERS * SENDS };

struct post {
    cosy_datagram *box, *senders;
    int in_four;
    int sent;
    bool came[PACKETS];
    int received;
};

static size_t packet_of(int number, char packet[LONGEST])
{
    size_t size = (size_t)(4 + number * 37 % (LONGEST - 4));
    memset(packet, number, size);
    return size;
}

static void look_at(struct post *post, const char *packet, int64_t size)
{
    char expected[LONGEST];
    int number = (unsigned char)packet[0];
    if (!cosy_test_expect(number < PACKETS))
        return;
    cosy_test_expect((size_t)size == packet_of(number, expected) && memcmp(packet, expected, (size_t)size) == 0);
    cosy_test_expect(!post->came[number]);
    post->came[number] = true;
    post->received++;
}

cosy_async static int64_t receive_somehow(struct post *post, char packet[LONGEST])
{
    struct cosy_datagram_message message = {.data = packet, .size = LONGEST};
    int64_t size;
    switch (below(3)) {
    case 0:
        return cosy_datagram_recv(post->box, packet, LONGEST, NULL);
    case 1:
        size = cosy_datagram_tryrecv(post->box, packet, LONGEST, NULL);
        return size == -EAGAIN ? cosy_datagram_recv(post->box, packet, LONGEST, NULL) : size;
    default:
        size = cosy_datagram_recvmsg(post->box, &message);
        return size < 0 ? size : (int64_t)message.full_size;
    }
}

cosy_async static int take_in(struct post *post)
{
    char packet[LONGEST];
    for (;;) {
        cosy_try(pause_somehow());
        int64_t size = receive_somehow(post, packet);
        if (size < 0)
            return (int)size;
        look_at(post, packet, size);
    }
}

cosy_async static int send_off(struct post *post, int index)
{
    char packet[LONGEST];
    for (int i = 0; i < SENDS; i++) {
        cosy_try(pause_somehow());
        size_t size = packet_of(index * SENDS + i, packet);
        cosy_try(cosy_datagram_send(post->senders, packet, size));
        post->sent++;
    }
    return 0;
}

cosy_async static int member(void *state, int index)
{
    struct post *post = state;
    return gives(index, post->in_four) ? send_off(post, index) : take_in(post);
}

/* Whoever is left receives all that was sent. */
cosy_async static int live(struct post *post)
{
    cosy_datagram *pair[2];
    char packet[LONGEST];
    int64_t size;
    post->in_four = 1 + below(3);
    cosy_try(cosy_datagram_pair(pair));
    post->senders = pair[0];
    post->box = pair[1];
    struct crew crew = {.member = member, .state = post, .members = MEMBERS, .kills = below(5)};
    int result = crew_run(&crew);
    while ((size = cosy_datagram_tryrecv(post->box, packet, LONGEST, NULL)) >= 0)
        look_at(post, packet, size);
    cosy_test_expect(size == -EAGAIN);
    cosy_test_expect(post->received == post->sent);
    cosy_datagram_close(pair[0]);
    cosy_datagram_close(pair[1]);
    return result;
}

static void datagram_rounds(void)
{
    struct post post = {0};
    long lost = cosy_sim_descriptors_lost();
    (void)cosy_test_run(live, &post);
    cosy_test_expect(cosy_sim_descriptors_lost() == lost);
}
WORKLOAD("datagrams", datagram_rounds)

/* ---- bare sockets ---- */

enum { BYTES = 200000, PIECES = 4 };

struct pipe {
    int fds[2];
    size_t sent, received;
    bool ended;
};

static char byte_at(size_t place) { return (char)(place * 31 + (place >> 8)); }

cosy_async static int pour(struct pipe *pipe)
{
    char *data = malloc(BYTES);
    int result = 0;
    for (int i = 0; i < PIECES && result == 0; i++) {
        size_t size = (size_t)below(BYTES), sent = 0;
        for (size_t at = 0; at < size; at++)
            data[at] = byte_at(pipe->sent + at);
        (void)pause_somehow();
        result = cosy_sock_sendall(pipe->fds[0], data, size, &sent);
        cosy_test_expect(result == 0 ? sent == size : sent <= size);
        pipe->sent += sent;
        result = result == -ECANCELED ? 0 : result; /* and goes on behind what was sent */
    }
    free(data);
    return result;
}

cosy_async static int drink(struct pipe *pipe)
{
    char data[20000];
    int size;
    for (;;) {
        (void)pause_somehow();
        size = below(2) ? cosy_wait_readable(pipe->fds[1]) : 0;
        if (size == 0)
            size = cosy_sock_recv(pipe->fds[1], data, sizeof data);
        if (size == -ECANCELED)
            continue;
        if (size <= 0)
            break;
        for (int at = 0; at < size; at++)
            if (data[at] != byte_at(pipe->received + (size_t)at))
                return cosy_test_expect(!"the bytes come in order"), -EIO;
        pipe->received += (size_t)size;
    }
    pipe->ended = size == 0;
    return size;
}

cosy_async static int both(struct pipe *pipe)
{
    struct cosy_sys *kernel = cosy_running_loop()->sys;
    cosy_try(kernel->net->socketpair(kernel, AF_UNIX, SOCK_STREAM, 0, pipe->fds));
    cosy_task *pouring = cosy_create_task_with((.eager_start = true), pour, pipe); /* or a cancel would keep it from
                                                                                    * beginning */
    cosy_task *drinking = cosy_create_task_with((.eager_start = true), drink, pipe);
    int cancels = below(6);
    while (!cosy_task_done(pouring)) {
        if (cancels-- > 0)
            cosy_task_cancel(below(2) ? pouring : drinking);
        (void)cosy_sleep(COSY_US(below(200)));
    }
    cosy_test_expect(kernel->net->shutdown(kernel, pipe->fds[0], SHUT_WR) == 0);
    while (!cosy_task_done(drinking))
        (void)cosy_sleep(COSY_MS(1));
    cosy_test_expect(pipe->ended && pipe->received == pipe->sent);
    cosy_task_drop(pouring);
    cosy_task_drop(drinking);
    cosy_notify_closing(pipe->fds[0]);
    cosy_notify_closing(pipe->fds[1]);
    kernel->ops->close_fd(kernel, pipe->fds[0], 0);
    kernel->ops->close_fd(kernel, pipe->fds[1], 0);
    return 0;
}

static void socket_rounds(void)
{
    struct pipe pipe = {0};
    long lost = cosy_sim_descriptors_lost();
    (void)cosy_test_run(both, &pipe);
    cosy_test_expect(cosy_sim_descriptors_lost() == lost);
}
WORKLOAD("sockets", socket_rounds)
