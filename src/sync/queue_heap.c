/* queue_heap.c - the elements of a priority queue: a binary heap in the queue's ring.
 *
 * Equal elements leave in the order in which they came, which no heap does by itself: each has a number.
 */
#include "queue.h"

struct heap {
    char *elements;
    uint64_t *numbers;
    size_t size; /* of an element */
    int (*compare)(const void *a, const void *b);
};

static struct heap heap_of(cosy_queue *queue, size_t size)
{
    return (struct heap){.elements = queue->ring_,
                         .numbers = cosy_queue_numbers(queue->ring_, queue->mask_ + 1, size),
                         .size = size,
                         .compare = queue->compare_};
}

static char *element(const struct heap *heap, size_t index)
{
    return heap->elements + index * heap->size;
}

static bool is_before(const struct heap *heap, const void *a, uint64_t a_number, const void *b, uint64_t b_number)
{
    int order = heap->compare(a, b);
    return order < 0 || (order == 0 && a_number < b_number);
}

static void move(const struct heap *heap, size_t to, const void *from, uint64_t number)
{
    memcpy(element(heap, to), from, heap->size);
    heap->numbers[to] = number;
}

void cosy_heap_order_push(cosy_queue *queue, const void *value, size_t size)
{
    struct heap heap = heap_of(queue, size);
    uint64_t number = ++queue->sequence_;
    size_t hole = queue->size_++;
    while (hole > 0) {
        size_t above = (hole - 1) / 2;
        if (!is_before(&heap, value, number, element(&heap, above), heap.numbers[above]))
            break;
        move(&heap, hole, element(&heap, above), heap.numbers[above]);
        hole = above;
    }
    move(&heap, hole, value, number);
}

void cosy_heap_order_pop(cosy_queue *queue, void *ret_value, size_t size)
{
    struct heap heap = heap_of(queue, size);
    memcpy(ret_value, element(&heap, 0), size);
    size_t last = --queue->size_, hole = 0;
    for (size_t below; (below = 2 * hole + 1) < last; hole = below) {
        if (below + 1 < last && is_before(&heap, element(&heap, below + 1), heap.numbers[below + 1],
                                          element(&heap, below), heap.numbers[below]))
            below++;
        if (!is_before(&heap, element(&heap, below), heap.numbers[below], element(&heap, last), heap.numbers[last]))
            break;
        move(&heap, hole, element(&heap, below), heap.numbers[below]);
    }
    if (hole != last)
        move(&heap, hole, element(&heap, last), heap.numbers[last]);
}
