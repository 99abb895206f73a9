/* inbox.c - callbacks from other threads: a lock-free stack that the loop takes whole.
 *
 * Only the push that finds the inbox empty wakes the loop, so a burst of calls costs one wake-up. A wake-up is never
 * lost: the node is in the inbox before wake() is called, and the loop looks into the inbox after each wait.
 *
 * A push that may wake is counted in `wakers` before its node is seen: who closes the inbox waits for those, and then
 * nobody uses the loop's kernel any more.
 */
#include <sched.h>

#include "loop.h"

static struct cosy_node_ closed_mark; /* the inbox's head once the loop is closed */

static bool push(struct cosy_loop *loop, struct cosy_node_ *node, struct cosy_node_ **head)
{
    node->next = *head;
    return atomic_compare_exchange_weak_explicit(&loop->inbox, head, node, memory_order_acq_rel, memory_order_relaxed);
}

int cosy_inbox_push(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_node_ *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    while (head && head != &closed_mark)
        if (likely(push(loop, node, &head)))
            return 0;
    atomic_fetch_add(&loop->wakers, 1);
    while (head != &closed_mark && !push(loop, node, &head))
        ;
    if (!head)
        loop->sys->ops->wake(loop->sys);
    atomic_fetch_sub(&loop->wakers, 1);
    return head == &closed_mark ? -COSY_ECLOSED : 0;
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
    while (atomic_load(&loop->wakers) != 0)
        sched_yield();
    return node == &closed_mark ? NULL : reversed(node);
}
