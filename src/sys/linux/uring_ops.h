/* uring_ops.h - operations on files in a ring: which there are, and how each becomes an entry of the submission queue.
 *
 * Invariants
 *  - An operation goes into the submission queue at once, or is on `due` until it is there (the queue is full, or
 * another thread's), then in `slots` under its number, then on `ended`
 * until it is reported.
 *  - One in `slots` whose early end is wanted is on `cancels` until its cancel is in the submission queue. The queue is
 * first in, first out: a cancel is taken before whatever uses the slot next.
 */
#ifndef COSY_SYS_LINUX_URING_OPS_H
#define COSY_SYS_LINUX_URING_OPS_H

#include "../file_op.h"
#include "../syscalls.h"

#if COSY_HAVE_LIBURING

/* The low half of the user_data of an operation; its slot is the high half. No watch has that index. */
static const uint32_t COSY_URING_OP = UINT32_MAX - 2;

struct cosy_uring_ops {
    struct cosy_link due, cancels, ended;
    struct cosy_file_op **slots;
    uint32_t *spare; /* numbers of free slots: spare_count of them */
    uint32_t room, spare_count, sent;
    uint32_t known; /* bits: the kinds that this kernel has */
    bool probed, on_valgrind;
};

void cosy_uring_ops_init(struct cosy_uring_ops *ops);
void cosy_uring_ops_clear(struct cosy_uring_ops *ops); /* nothing is sent any more */

/* Asks the ring, once, what it has. */
void cosy_uring_ops_probe(struct cosy_uring_ops *ops, struct io_uring *ring);

int cosy_uring_ops_grow(struct cosy_uring_ops *ops); /* more slots; 0 or -ENOMEM */

/* A new operation: it is to be sent, or put off, next. -ENOTSUP, -ENOMEM. */
static inline int cosy_uring_ops_add(struct cosy_uring_ops *ops, struct cosy_file_op *op)
{
    if (op->kind >= COSY_FILE_IN_RING || !(ops->known & 1u << op->kind))
        return -ENOTSUP;
    int error = unlikely(ops->spare_count == 0) ? cosy_uring_ops_grow(ops) : 0;
    if (error)
        return error;
    op->slot = ops->spare[--ops->spare_count];
    ops->slots[op->slot] = op;
    op->cancelled = false;
    cosy_list_init(&op->link);
    return 0;
}
/* It becomes this entry. */
void cosy_uring_ops_send(struct cosy_uring_ops *ops, struct cosy_file_op *op, struct io_uring_sqe *sqe);
/* It is due. */
void cosy_uring_ops_put_off(struct cosy_uring_ops *ops, struct cosy_file_op *op);
/* The first that is due becomes this entry. */
void cosy_uring_ops_send_due(struct cosy_uring_ops *ops, struct io_uring_sqe *sqe);
/* The first cancel becomes this entry, but for its user_data. */
void cosy_uring_ops_send_cancel(struct cosy_uring_ops *ops, struct io_uring_sqe *sqe);
/* A completion: true when it was an operation's. */
bool cosy_uring_ops_completed(struct cosy_uring_ops *ops, const struct io_uring_cqe *cqe);
void cosy_uring_ops_cancel(struct cosy_uring_ops *ops, struct cosy_file_op *op);
/* What is sent has ended with `result`: the ring has gone without it (a forked child). */
void cosy_uring_ops_end_all(struct cosy_uring_ops *ops, int result);
/* Behind the `count` events that there are. */
int cosy_uring_ops_report(struct cosy_uring_ops *ops, struct cosy_sys_event *events, int count, int max);

#endif
#endif
