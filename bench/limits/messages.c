/* handover, queue1024, generator: what passing a word between two tasks costs when nothing but that is done. */
#include "limits.h"

static void *sender_sp, *receiver_sp;
static long places, mask, sent, received, total;
static long ring[1024];

/* Fills all free places, then lets the other one empty them. */
static void send_all(struct limit_task *self)
{
    (void)self;
    for (long i = 0;; i++) {
        if (sent - received == places)
            limit_switch(&sender_sp, receiver_sp);
        ring[sent++ & mask] = i;
    }
}

static long receive(long count)
{
    long sum = 0;
    while (count-- > 0) {
        if (sent == received)
            limit_switch(&receiver_sp, sender_sp);
        sum += ring[received++ & mask];
    }
    return sum;
}

static int messages(const char *name, long size, long how_many_places)
{
    struct limit_pool pool;
    limit_pool_open(&pool, 1, 8192, 61);
    places = how_many_places;
    mask = places - 1;
    sent = received = 0;
    sender_sp = limit_task_new(&pool, send_all)->sp;
    total += receive(size / 10);
    double start = bench_cpu_ns();
    total += receive(size);
    double spent = bench_cpu_ns() - start;
    limit_pool_close(&pool);
    return bench_print(name, spent / (double)size, "ns");
}

/* Two at a time: the one that the receiver waits for, and the one that the sender holds when it must wait. A switch
 * each. */
int limit_handover_row(const char *name, long size)
{
    return messages(name, size, 2);
}

/* One at a time: there and back for each. */
int limit_generator_row(const char *name, long size)
{
    return messages(name, size, 1);
}

int limit_queue_row(const char *name, long size)
{
    return messages(name, size, 1024);
}
