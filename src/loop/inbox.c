/* inbox.c - callbacks from other threads: a lock-free stack that the loop takes whole.
 *
 * Only the push that finds the inbox empty wakes the loop, so a burst of calls costs one wake-up. A wake-up is never
 * lost: the node is in the inbox before wake() is called, and the loop looks into the inbox after each wait.
 */
#include "loop.h"

static struct cosy_node_ closed_mark; /* the inbox's head once the loop is closed */

int cosy_inbox_push(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_node_ *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        if (head == &closed_mark)
            return -COSY_ECLOSED;
        node->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, node, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (!head)
        loop->sys->ops->wake(loop->sys);
    return 0;
}

static struct cosy_node_ *reversed(struct cosy_node_ *node)
{
    struct cosy_node_ *result = NULL;
    while (node) {
        struct cosy_node_ *next = node->next;
        node->next = result;
        result = node;
        node = next;
    }
    return result;
}

void cosy_inbox_drain(struct cosy_loop *loop)
{
    if (!cosy_inbox_pending(loop))
        return;
    struct cosy_node_ *node = reversed(atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire));
    while (node) {
        struct cosy_node_ *next = node->next;
        cosy_ready_append(loop, node);
        node = next;
    }
}

bool cosy_inbox_pending(struct cosy_loop *loop)
{
    return atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL;
}

struct cosy_node_ *cosy_inbox_close(struct cosy_loop *loop)
{
    struct cosy_node_ *node = atomic_exchange(&loop->inbox, &closed_mark);
    return node == &closed_mark ? NULL : reversed(node);
}
