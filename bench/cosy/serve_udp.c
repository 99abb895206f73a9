/* serve_udp.c - the datagram modes: as many datagrams as there are in one call, and as one buffer under segmentation
 * offload. */
#include "serve.h"

enum { BATCH = 32 };

struct mailbox {
    struct cosy_datagram_message messages[BATCH];
    unsigned char data[BATCH][NET_DATAGRAM];
};

static struct mailbox *mailbox_new(void)
{
    struct mailbox *mailbox = bench_need(calloc(1, sizeof *mailbox));
    for (int i = 0; i < BATCH; i++)
        mailbox->messages[i].data = mailbox->data[i];
    return mailbox;
}

static int64_t receive_batch(cosy_datagram *udp, struct mailbox *mailbox)
{
    for (int i = 0; i < BATCH; i++)
        mailbox->messages[i].size = NET_DATAGRAM;
    return cosy_datagram_recvmmsg(udp, mailbox->messages, BATCH);
}

static int echo(cosy_datagram *udp)
{
    struct mailbox *mailbox = mailbox_new();
    for (;;) {
        int64_t count = cosy_try(receive_batch(udp, mailbox));
        cosy_try(cosy_datagram_sendmmsg(udp, mailbox->messages, (unsigned)count, NULL));
    }
}

static int answer(cosy_datagram *udp, const struct cosy_address *to, uint64_t count)
{
    return cosy_datagram_sendto(udp, &count, sizeof count, to);
}

static int sink(cosy_datagram *udp)
{
    struct mailbox *mailbox = mailbox_new();
    uint64_t total = 0;
    for (;;) {
        int64_t count = cosy_try(receive_batch(udp, mailbox));
        for (int i = 0; i < count; i++) {
            total++;
            if (mailbox->messages[i].size && mailbox->data[i][0] == 1)
                cosy_try(answer(udp, &mailbox->messages[i].peer, total));
        }
    }
}

static int receive_train(cosy_datagram *udp, struct cosy_datagram_message *train, unsigned char *buffer)
{
    *train = (struct cosy_datagram_message){.data = buffer, .size = NET_CHUNK};
    cosy_try(cosy_datagram_recvmsg(udp, train));
    if (train->segment_size == 0)
        train->segment_size = (unsigned)train->size;
    return 0;
}

static int echo_gso(cosy_datagram *udp)
{
    unsigned char *buffer = bench_need(malloc(NET_CHUNK));
    for (;;) {
        struct cosy_datagram_message train;
        cosy_try(receive_train(udp, &train, buffer));
        cosy_try(cosy_datagram_send_segmented(udp, buffer, train.size, train.segment_size, &train.peer));
    }
}

static int sink_gso(cosy_datagram *udp)
{
    unsigned char *buffer = bench_need(malloc(NET_CHUNK));
    uint64_t total = 0;
    for (;;) {
        struct cosy_datagram_message train;
        cosy_try(receive_train(udp, &train, buffer));
        for (size_t at = 0; at < train.size; at += train.segment_size) {
            total++;
            if (buffer[at] == 1)
                cosy_try(answer(udp, &train.peer, total));
        }
    }
}

static const struct {
    const char *name;
    int (*serve)(cosy_datagram *udp);
    bool gro;
} modes[] = {{"udp_echo", echo, false},
             {"udp_sink", sink, false},
             {"udp_echo_gso", echo_gso, true},
             {"udp_sink_gso", sink_gso, true}};

cosy_async static int serve(int index, int port)
{
    struct cosy_address here;
    cosy_scoped(cosy_datagram) udp = NULL;
    cosy_try(cosy_address_parse(&here, "127.0.0.1", (unsigned)port));
    cosy_try(cosy_open_datagram(&udp, .local = &here, .gro = modes[index].gro));
    net_ready();
    return modes[index].serve(udp);
}

cosy_coro *cosy_serve_datagrams(const char *mode, int port)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, mode) == 0)
            return cosy_call(serve, (int)i, port);
    return NULL;
}
