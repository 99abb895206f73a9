/* producer_consumer.c - producers, consumers and a queue between them: `asyncio.Queue` with `join`.
 *
 *     producer_consumer [-p PRODUCERS] [-c CONSUMERS] [--speed FACTOR]
 *
 * Each producer puts a few items, sleeping before each; each consumer sleeps, then gets one. The random numbers are those of
 * Python's random.seed(444). The program takes 40 seconds, or FACTOR times less; on the simulated clock it takes
 * none, and its output is the same every time: that of the Python program, whose loop waits in whole milliseconds and wakes one late.
 */
#include <cosy.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/mt19937.h"

struct item {
    char id[11];
    cosy_ns added;
};
typedef COSY_QUEUE(struct item) item_queue;

#define PYTHON_IS_LATE 0.001 /* seconds a sleep: it decides who is first of two that wake in the same second */

static struct mt19937 dice;
static double speed = 1;

static cosy_ns now(void) { return cosy_loop_time(cosy_running_loop()); }
static double seconds_since(cosy_ns start) { return (double)(now() - start) / COSY_S(1) * speed; }

static struct item make_item(void)
{
    struct item item = {0};
    unsigned char bytes[5];
    if (getentropy(bytes, sizeof bytes) == 0) /* os.urandom(5).hex() */
        for (int i = 0; i < 5; i++)
            snprintf(item.id + 2 * i, 3, "%02x", bytes[i]);
    return item;
}

cosy_async static int randsleep(const char *caller, int name)
{
    int seconds = mt_randint(&dice, 0, 10);
    printf("%s %d sleeping for %d seconds.\n", caller, name, seconds);
    return cosy_sleep(seconds > 0 ? COSY_S((seconds + PYTHON_IS_LATE) / speed) : 0);
}

cosy_async static int produce(int name, item_queue *queue)
{
    int count = mt_randint(&dice, 0, 10);
    while (count-- > 0) {
        cosy_try(randsleep("Producer", name));
        struct item item = make_item();
        item.added = now();
        cosy_try(cosy_queue_put(queue, item)); /* await q.put((i, t)) */
        printf("Producer %d added <%s> to queue.\n", name, item.id);
    }
    return 0;
}

cosy_async static int consume(int name, item_queue *queue)
{
    for (;;) {
        struct item item;
        cosy_try(randsleep("Consumer", name));
        cosy_try(cosy_queue_get(queue, &item)); /* i, t = await q.get() */
        printf("Consumer %d got element <%s> in %0.5f seconds.\n", name, item.id, seconds_since(item.added));
        cosy_queue_task_done(queue);
    }
}

cosy_async static int amain(int producer_count, int consumer_count)
{
    cosy_ns start = now();
    cosy_scoped_queue item_queue queue = {0}; /* q = asyncio.Queue() */
    cosy_scoped(cosy_task_group) producers = cosy_task_group_open();
    cosy_scoped(cosy_task_group) consumers = cosy_task_group_open();
    for (int n = 0; n < producer_count; n++)
        cosy_task_group_create_task(producers, produce, n, &queue);
    for (int n = 0; n < consumer_count; n++)
        cosy_task_group_create_task(consumers, consume, n, &queue);

    cosy_try(cosy_task_group_wait(producers)); /* await asyncio.gather(*producers) */
    cosy_try(cosy_queue_join(&queue));         /* await q.join(): the consumers are waited for, too */
    cosy_task_group_cancel(consumers);         /* for c in consumers: c.cancel() */
    cosy_try(cosy_task_group_wait(consumers));
    printf("Program completed in %0.5f seconds.\n", seconds_since(start));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"nprod", required_argument, NULL, 'p'},
                                            {"ncon", required_argument, NULL, 'c'},
                                            {"speed", required_argument, NULL, 's'},
                                            {0}};
    int producers = 5, consumers = 10;
    for (int option; (option = getopt_long(argc, argv, "p:c:", options, NULL)) != -1;) {
        if (option == 'p')
            producers = atoi(optarg);
        else if (option == 'c')
            consumers = atoi(optarg);
        else if (option == 's')
            speed = atof(optarg);
        else
            return 2;
    }
    mt_seed(&dice, 444);
    return cosy_main(amain, producers, consumers);
}

/* Output:
 * Producer 0 sleeping for 4 seconds.
 * Producer 2 sleeping for 7 seconds.
 * Producer 3 sleeping for 4 seconds.
 * Producer 4 sleeping for 10 seconds.
 * Consumer 0 sleeping for 7 seconds.
 * Consumer 1 sleeping for 8 seconds.
 * Consumer 2 sleeping for 4 seconds.
 * Consumer 3 sleeping for 7 seconds.
 * Consumer 4 sleeping for 1 seconds.
 * Consumer 5 sleeping for 6 seconds.
 * Consumer 6 sleeping for 9 seconds.
 * Consumer 7 sleeping for 3 seconds.
 * Consumer 8 sleeping for 9 seconds.
 * Consumer 9 sleeping for 7 seconds.
 * Producer 0 added <...> to queue.
 * Producer 0 sleeping for 10 seconds.
 * Producer 3 added <...> to queue.
 * Producer 3 sleeping for 0 seconds.
 * Consumer 2 got element <...> in 0.00000 seconds.
 * Consumer 2 sleeping for 1 seconds.
 * Consumer 4 got element <...> in 0.00000 seconds.
 * Consumer 4 sleeping for 0 seconds.
 * Producer 3 added <...> to queue.
 * Producer 3 sleeping for 1 seconds.
 * Consumer 4 got element <...> in 0.00000 seconds.
 * Consumer 4 sleeping for 9 seconds.
 * Producer 3 added <...> to queue.
 * Producer 3 sleeping for 0 seconds.
 * Consumer 7 got element <...> in 0.00000 seconds.
 * Consumer 7 sleeping for 5 seconds.
 * Producer 3 added <...> to queue.
 * Consumer 2 got element <...> in 0.00000 seconds.
 * Consumer 2 sleeping for 10 seconds.
 * Producer 2 added <...> to queue.
 * Producer 2 sleeping for 5 seconds.
 * Consumer 0 got element <...> in 0.00000 seconds.
 * Consumer 0 sleeping for 8 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 2 seconds.
 * Consumer 3 got element <...> in 0.00000 seconds.
 * Consumer 3 sleeping for 5 seconds.
 * Producer 2 added <...> to queue.
 * Producer 2 sleeping for 5 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 0 seconds.
 * Consumer 9 got element <...> in 0.00000 seconds.
 * Consumer 9 sleeping for 3 seconds.
 * Consumer 5 got element <...> in 0.00000 seconds.
 * Consumer 5 sleeping for 1 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 5 seconds.
 * Consumer 1 got element <...> in 0.00000 seconds.
 * Consumer 1 sleeping for 6 seconds.
 * Producer 0 added <...> to queue.
 * Producer 0 sleeping for 10 seconds.
 * Consumer 6 got element <...> in 0.00000 seconds.
 * Consumer 6 sleeping for 5 seconds.
 * Producer 2 added <...> to queue.
 * Producer 2 sleeping for 6 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 4 seconds.
 * Consumer 8 got element <...> in 0.00000 seconds.
 * Consumer 8 sleeping for 10 seconds.
 * Consumer 7 got element <...> in 0.00000 seconds.
 * Consumer 7 sleeping for 8 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 10 seconds.
 * Consumer 4 got element <...> in 0.00000 seconds.
 * Consumer 4 sleeping for 10 seconds.
 * Producer 2 added <...> to queue.
 * Consumer 5 got element <...> in 0.00000 seconds.
 * Consumer 5 sleeping for 7 seconds.
 * Producer 0 added <...> to queue.
 * Producer 0 sleeping for 6 seconds.
 * Consumer 0 got element <...> in 0.00000 seconds.
 * Consumer 0 sleeping for 8 seconds.
 * Producer 0 added <...> to queue.
 * Consumer 3 got element <...> in 0.00000 seconds.
 * Consumer 3 sleeping for 3 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 6 seconds.
 * Consumer 4 got element <...> in 0.00000 seconds.
 * Consumer 4 sleeping for 9 seconds.
 * Producer 4 added <...> to queue.
 * Producer 4 sleeping for 3 seconds.
 * Consumer 9 got element <...> in 0.00000 seconds.
 * Consumer 9 sleeping for 2 seconds.
 * Producer 4 added <...> to queue.
 * Consumer 1 got element <...> in 0.00000 seconds.
 * Consumer 1 sleeping for 10 seconds.
 * Program completed in 40.00700 seconds.
 * Arguments with a real clock: --speed 1000
 * Output with a real clock, in any order:
 * 20 x Producer ... sleeping for ... seconds.
 * 20 x Producer ... added <...> to queue.
 * 30 x Consumer ... sleeping for ... seconds.
 * 20 x Consumer ... got element <...> in ... seconds.
 * 1 x Program completed in <time> seconds.
 */
