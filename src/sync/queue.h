/* queue.h - what the files of the queue share: its order, its lines of waiting tasks, the attempts that everything is
 * made of.
 *
 * Invariants
 *  - A buffered queue's elements lie in ring_: at head_, head_ + 1 ... modulo the room; from 0 on, with head_ zero,
 * unless it is first in first out. An unbuffered one has neither ring nor elements: they lie with the tasks in
 * putters_.
 *  - A task waits in getters_ only while nothing could be got when it came, in putters_ only while nothing could be
 * put.
 *  - put_below_ is zero while a put must do more than store (somebody waits for it, it may not, or does not go to the
 * end), get_above_ is out of reach while a get must. Both may be stricter than necessary until the next call that goes
 * the long way.
 *  - A task in select stands in one line per case, and in all or none of them.
 */
#ifndef COSY_SYNC_QUEUE_H
#define COSY_SYNC_QUEUE_H

#include <string.h>

#include <cosy/queue.h>

#include "waiters.h"

/* cosy_queue.order_; a zeroed queue is FIFO. */
enum { ORDER_FIFO, ORDER_LIFO, ORDER_PRIORITY, ORDER_UNBUFFERED };

/* What a wait for a queue returns, besides errors. */
enum { WOKEN_SERVED = 0, WOKEN_TO_LOOK = 1 /* a hint: look again */ };

struct cosy_selection;

/* Lies in the room that the caller's frame has for it. */
struct cosy_queue_waiter {
    struct cosy_waiter waiter;
    struct cosy_queue *queue;         /* NULL: destroyed */
    void *slot;                       /* the value, or where it goes */
    struct cosy_selection *selection; /* the task waits for several; NULL: for this alone */
    bool put, served;
};
_Static_assert(sizeof(struct cosy_queue_waiter) <= sizeof(struct cosy_queue_room_), "room for a waiter");

static inline struct cosy_queue_waiter *cosy_waiter_in(struct cosy_queue_room_ *room)
{
    return (struct cosy_queue_waiter *)(void *)room;
}

/* The public header's lines are those of waiters.h, by another name. */
_Static_assert(sizeof(struct cosy_line) == sizeof(struct cosy_queue_line_), "a line");
static inline struct cosy_line *cosy_getters(cosy_queue *queue)
{
    return (struct cosy_line *)(void *)&queue->getters_;
}
static inline struct cosy_line *cosy_putters(cosy_queue *queue)
{
    return (struct cosy_line *)(void *)&queue->putters_;
}
static inline struct cosy_line *cosy_joiners(cosy_queue *queue)
{
    return (struct cosy_line *)(void *)&queue->joiners_;
}

/* Puts a waiter into the line for what it wants; its slot and selection are set. */
void cosy_queue_line_up(cosy_queue *queue, struct cosy_queue_waiter *waiter, struct cosy_task *me, bool put);

/* A task that was cancelled was to look: somebody else must. */
void cosy_queue_pass_on(const struct cosy_queue_waiter *waiter);

/* select.c: one of a selection's waiters is about to be woken. */
void cosy_selection_chosen(struct cosy_selection *selection, struct cosy_queue_waiter *waiter);

/* queue_heap.c: the elements as a heap, the least one first. Each has a number behind the ring that decides between
 * equals. */
void cosy_heap_order_push(cosy_queue *queue, const void *value, size_t size);
void cosy_heap_order_pop(cosy_queue *queue, void *ret_value, size_t size);
static inline uint64_t *cosy_queue_numbers(char *ring, size_t room, size_t size)
{
    return (uint64_t *)(void *)(ring + (room * size + 7) / 8 * 8);
}

/* Small elements without a call. */
static inline void cosy_copy_element(void *to, const void *from, size_t size)
{
    if (likely(size == 8))
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

#endif
