/* ready.h - the ready queue: an array of pointers that is walked round, so that a switch need not chase links from task
 * to task.
 *
 * The queue begins at *head and ends before *tail. Where it goes on elsewhere, a slot holds the address of `joint`, a
 * node of a kind of its own: whoever looks at the head's kind (each switch does) notices it without a test more, and
 * calls cosy_ready_follow.
 *
 * Invariants
 *  - *tail may always be written. When tail then reaches stop, cosy_ready_make_room finds the next place.
 *  - slots[size] holds the joint: behind the last slot comes the first one.
 *  - Appending never fails and never allocates (stacks are small, and wakes must not get lost): what finds no slot goes
 * to a list linked by node.next, `over`. over_at is then the slot from which that list continues the queue, tail is
 * &spare, and stop lies right behind, so that each append comes to cosy_ready_make_room. Only the loop makes the array
 * larger, at the beginning of a turn.
 */
#ifndef COSY_LOOP_READY_H
#define COSY_LOOP_READY_H

#include <cosy/loop.h>

#include "../base/base.h"

struct cosy_ready_store {
    struct cosy_node_ joint;
    struct cosy_node_ **slots;
    size_t size;
    struct cosy_node_ **over_at;         /* NULL: everything has a slot */
    struct cosy_node_ *over, *over_last; /* over_last: valid while over is not NULL */
    struct cosy_node_ *spare;
};

/* An empty queue; -ENOMEM. close: frees what it has; it must be empty. */
int cosy_ready_open(struct cosy_loop *loop);
void cosy_ready_close(struct cosy_loop *loop);

cosy_cold void cosy_ready_make_room(struct cosy_loop *loop); /* tail has reached stop */
void cosy_ready_follow(struct cosy_loop *loop); /* *head is the joint: the head moves to where the queue goes on */
/* Whether the queue ends at a place that lies between head and tail. */
bool cosy_ready_nothing_from(const struct cosy_loop *loop, struct cosy_node_ *const *place);

/* For the beginning of a turn, on the loop's stack: an empty queue begins at the first slot again, a crowded one gets
 * more slots. */
void cosy_ready_tidy(struct cosy_loop *loop);

size_t cosy_ready_count(struct cosy_loop *loop);

/* Takes a given node off the queue or from the due timers, wherever it stands: O(queue). False when it is not on it. */
bool cosy_ready_remove(struct cosy_loop *loop, struct cosy_node_ *node);

#endif
