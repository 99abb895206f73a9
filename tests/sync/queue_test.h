/* queue_test.h - what the tests of queues share: a queue of numbers, and small tasks at its ends. */
#ifndef COSY_TESTS_QUEUE_TEST_H
#define COSY_TESTS_QUEUE_TEST_H

#include "../flow/flow_test.h"

typedef COSY_QUEUE(int) int_queue;

/* For priority queues. */
__attribute__((unused)) static int by_value(const int *a, const int *b)
{
    return (*a > *b) - (*a < *b);
}

enum kind { FIFO, LIFO, PRIORITY, KINDS };

__attribute__((unused)) static void init_kind(int_queue *queue, enum kind kind, int maxsize)
{
    int result = kind == FIFO   ? cosy_queue_init(queue, .maxsize = maxsize)
                 : kind == LIFO ? cosy_queue_init(queue, .maxsize = maxsize, .lifo = true)
                                : cosy_queue_init(queue, .maxsize = maxsize, .compare = by_value);
    ck_assert_int_eq(result, 0);
}

/* A task that puts or gets one value, and says so with its own name. */
cosy_async __attribute__((unused)) static int put_one(int_queue *queue, int value)
{
    int result = cosy_queue_put(queue, value);
    say(result < 0 ? "put%d:%s" : "put%d", value, cosy_errname(result));
    return result;
}

cosy_async __attribute__((unused)) static int get_one(int_queue *queue)
{
    int value = -1, result = cosy_queue_get(queue, &value);
    if (result < 0)
        say("get:%s", cosy_errname(result));
    else
        say("got%d", value);
    return result < 0 ? result : value;
}

cosy_async __attribute__((unused)) static int join_it(int_queue *queue)
{
    int result = cosy_queue_join(queue);
    say("joined%s%s", result < 0 ? ":" : "", result < 0 ? cosy_errname(result) : "");
    return result;
}

__attribute__((unused)) static int value_of(int_queue *queue)
{
    int value, result = cosy_queue_get_nowait(queue, &value);
    return result < 0 ? result : value;
}

__attribute__((unused)) static struct cosy_queue_stats stats_of(int_queue *queue)
{
    struct cosy_queue_stats stats;
    cosy_queue_statistics(queue, &stats);
    return stats;
}

#endif
