/* ready.c - the ready queue where its array ends, is full, or is searched. */
#include "loop.h"

#include "../base/heap.h"

enum { FIRST_SIZE = 1024, LAST_SIZE = 65536 }; /* a longer queue goes on as a list */

static struct cosy_node_ **first_slot(const struct cosy_loop *loop)
{
    return loop->ready.slots;
}
static struct cosy_node_ **end_slot(const struct cosy_loop *loop)
{
    return loop->ready.slots + loop->ready.size;
}

static void begin_at_first_slot(struct cosy_loop *loop)
{
    loop->head = loop->tail = first_slot(loop);
    loop->stop = end_slot(loop);
    loop->ready.over_at = NULL;
}

static struct cosy_node_ **new_slots(struct cosy_loop *loop, size_t size)
{
    struct cosy_node_ **slots = cosy_heap_alloc_aligned(64, ((size + 1) * sizeof(*slots) + 63) / 64 * 64);
    if (slots)
        slots[size] = &loop->ready.joint;
    return slots;
}

int cosy_ready_open(struct cosy_loop *loop)
{
    loop->ready = (struct cosy_ready_store){
        .joint.kind = COSY_NODE_JOINT, .size = FIRST_SIZE, .slots = new_slots(loop, FIRST_SIZE)};
    if (!loop->ready.slots)
        return -ENOMEM;
    begin_at_first_slot(loop);
    return 0;
}

void cosy_ready_close(struct cosy_loop *loop)
{
    cosy_heap_free(loop->ready.slots);
    loop->ready.slots = NULL;
}

/* ---- where it goes on ---- */

static void go_over(struct cosy_loop *loop, struct cosy_node_ **at)
{
    *at = &loop->ready.joint;
    loop->ready.over_at = at;
    loop->ready.over = NULL;
    loop->tail = &loop->ready.spare;
    loop->stop = loop->tail + 1;
}

static void append_over(struct cosy_loop *loop)
{
    struct cosy_node_ *node = loop->ready.spare;
    node->next = NULL;
    if (loop->ready.over)
        loop->ready.over_last->next = node;
    else
        loop->ready.over = node;
    loop->ready.over_last = node;
    loop->tail = &loop->ready.spare;
}

/* A slot before the head stays free for the joint. */
void cosy_ready_make_room(struct cosy_loop *loop)
{
    if (loop->ready.over_at) {
        append_over(loop);
        return;
    }
    if (loop->tail == end_slot(loop)) {
        if (loop->head == first_slot(loop)) {
            go_over(loop, loop->tail);
            return;
        }
        loop->tail = first_slot(loop);
    }
    loop->stop = loop->head > loop->tail ? loop->head - 1 : end_slot(loop);
    if (loop->tail == loop->stop)
        go_over(loop, loop->tail);
}

/* The array is empty: it takes the list's first nodes. */
static void refill(struct cosy_loop *loop)
{
    struct cosy_node_ *node = loop->ready.over, *last = loop->ready.over_last;
    begin_at_first_slot(loop);
    while (node && loop->tail != end_slot(loop)) {
        *loop->tail++ = node;
        node = node == last ? NULL : node->next;
    }
    if (loop->tail != end_slot(loop))
        return;
    go_over(loop, loop->tail);
    loop->ready.over = node;
    loop->ready.over_last = last;
}

void cosy_ready_follow(struct cosy_loop *loop)
{
    if (loop->head == loop->ready.over_at)
        refill(loop);
    else
        loop->head = first_slot(loop);
}

bool cosy_ready_nothing_from(const struct cosy_loop *loop, struct cosy_node_ *const *place)
{
    for (;;) {
        if (place == loop->tail)
            return true;
        if (*place != &loop->ready.joint)
            return false;
        if (place == loop->ready.over_at)
            return !loop->ready.over;
        place = first_slot(loop);
    }
}

/* ---- the loop's own: tidying, counting, taking out ---- */

void cosy_ready_tidy(struct cosy_loop *loop)
{
    if (likely(!loop->ready.over_at)) {
        if (loop->head == loop->tail)
            begin_at_first_slot(loop);
        return;
    }
    size_t count = cosy_ready_count(loop), size = loop->ready.size;
    while (size < 2 * count && size < LAST_SIZE)
        size *= 2;
    struct cosy_node_ **slots = size > loop->ready.size ? new_slots(loop, size) : NULL;
    if (!slots)
        return;
    size_t moved = 0;
    while (moved < size && moved < count)
        slots[moved++] = cosy_ready_take(loop);
    struct cosy_node_ *rest = NULL, **last = &rest;
    for (size_t i = moved; i < count; i++) {
        *last = cosy_ready_take(loop);
        last = &(*last)->next;
    }
    *last = NULL;
    cosy_heap_free(loop->ready.slots);
    loop->ready.slots = slots;
    loop->ready.size = size;
    begin_at_first_slot(loop);
    loop->tail += moved;
    if (loop->tail == loop->stop)
        cosy_ready_make_room(loop);
    for (struct cosy_node_ *next; rest; rest = next) {
        next = rest->next;
        cosy_ready_append(loop, rest);
    }
}

size_t cosy_ready_count(struct cosy_loop *loop)
{
    size_t count = 0;
    struct cosy_node_ **place = loop->head;
    for (; place != loop->tail; place++)
        if (*place == &loop->ready.joint) {
            if (place == loop->ready.over_at)
                break;
            place = first_slot(loop) - 1;
        } else
            count++;
    if (loop->ready.over_at)
        for (struct cosy_node_ *node = loop->ready.over; node; node = node->next)
            count++;
    return count;
}

static bool remove_over(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_node_ *before = NULL, *at = loop->ready.over_at ? loop->ready.over : NULL;
    for (; at && at != node; at = at->next)
        before = at;
    if (!at)
        return false;
    if (before)
        before->next = at->next;
    else
        loop->ready.over = at->next;
    if (loop->ready.over_last == at)
        loop->ready.over_last = before;
    return true;
}

/* What stands before it moves up by one slot. */
static void close_gap(struct cosy_loop *loop, struct cosy_node_ **gap)
{
    while (gap != loop->head) {
        struct cosy_node_ **before = gap == first_slot(loop) ? end_slot(loop) - 1 : gap - 1;
        *gap = *before;
        gap = before;
    }
    loop->head++;
}

bool cosy_ready_remove(struct cosy_loop *loop, struct cosy_node_ *node)
{
    if (cosy_due_remove(loop, node))
        return true;
    if (cosy_ready_empty(loop))
        return false;
    if (!loop->ready.over_at && loop->tail != first_slot(loop) && loop->tail[-1] == node) {
        loop->tail--; /* the newest, as with what a step queues and takes back before it ends */
        return true;
    }
    (void)cosy_ready_head(loop); /* close_gap goes back to a head that is no joint */
    for (struct cosy_node_ **place = loop->head; place != loop->tail; place++)
        if (*place == node) {
            close_gap(loop, place);
            return true;
        } else if (*place == &loop->ready.joint) {
            if (place == loop->ready.over_at)
                break;
            place = first_slot(loop) - 1;
        }
    return remove_over(loop, node);
}
