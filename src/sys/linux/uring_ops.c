/* uring_ops.c - operations on files in a ring. */
#include "uring_ops.h"

#if COSY_HAVE_LIBURING

#include <stdlib.h>

#include "../../base/heap.h"
#include "../../base/memcheck.h"

static const uint8_t opcodes[COSY_FILE_IN_RING] = {
    [COSY_FILE_READ] = IORING_OP_READV,        [COSY_FILE_WRITE] = IORING_OP_WRITEV,
    [COSY_FILE_SYNC] = IORING_OP_FSYNC,        [COSY_FILE_DATASYNC] = IORING_OP_FSYNC,
    [COSY_FILE_OPEN] = IORING_OP_OPENAT,       [COSY_FILE_STAT] = IORING_OP_STATX,
    [COSY_FILE_CLOSE] = IORING_OP_CLOSE,       [COSY_FILE_RENAME] = IORING_OP_RENAMEAT,
    [COSY_FILE_UNLINK] = IORING_OP_UNLINKAT,   [COSY_FILE_MKDIR] = IORING_OP_MKDIRAT,
    [COSY_FILE_SYMLINK] = IORING_OP_SYMLINKAT, [COSY_FILE_LINK] = IORING_OP_LINKAT,
};

void cosy_uring_ops_init(struct cosy_uring_ops *ops)
{
    cosy_list_init(&ops->due);
    cosy_list_init(&ops->cancels);
    cosy_list_init(&ops->ended);
    ops->on_valgrind = RUNNING_ON_VALGRIND;
}

void cosy_uring_ops_clear(struct cosy_uring_ops *ops)
{
    cosy_heap_free(ops->slots);
    cosy_heap_free(ops->spare);
    ops->slots = NULL;
    ops->spare = NULL;
}

/* Its memory is the C library's: without any, threads do the work. */
void cosy_uring_ops_probe(struct cosy_uring_ops *ops, struct io_uring *ring)
{
    struct io_uring_probe *probe = ops->probed ? NULL : io_uring_get_probe_ring(ring);
    ops->probed = true;
    for (unsigned kind = 0; probe && kind < COSY_FILE_IN_RING; kind++)
        ops->known |= (uint32_t)(io_uring_opcode_supported(probe, opcodes[kind]) != 0) << kind;
    io_uring_free_probe(probe);
}

int cosy_uring_ops_grow(struct cosy_uring_ops *ops)
{
    uint32_t room = ops->room ? 2 * ops->room : 16;
    struct cosy_file_op **slots = cosy_heap_resize(ops->slots, room * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    ops->slots = slots;
    uint32_t *spare = cosy_heap_resize(ops->spare, room * sizeof *spare);
    if (!spare)
        return -ENOMEM;
    ops->spare = spare;
    while (room > ops->room) { /* the lowest on top */
        ops->slots[--room] = NULL;
        ops->spare[ops->spare_count++] = room;
    }
    ops->room = ops->room ? 2 * ops->room : 16;
    return 0;
}

void cosy_uring_ops_put_off(struct cosy_uring_ops *ops, struct cosy_file_op *op)
{
    op->step = COSY_FILE_OP_DUE;
    cosy_list_append(&ops->due, &op->link);
}

static uint64_t token_of(const struct cosy_file_op *op)
{
    return (uint64_t)op->slot << 32 | COSY_URING_OP;
}

/* One part needs no array to be read by the kernel. */
static void prepare_transfer(struct io_uring_sqe *sqe, const struct cosy_file_op *op)
{
    const struct iovec *part = op->parts;
    bool one = op->count == 1;
    uint64_t at = (uint64_t)op->offset;
    if (op->kind == COSY_FILE_READ && one)
        io_uring_prep_read(sqe, op->fd, part->iov_base, (unsigned)part->iov_len, at);
    else if (op->kind == COSY_FILE_READ)
        io_uring_prep_readv(sqe, op->fd, op->parts, (unsigned)op->count, at);
    else if (one)
        io_uring_prep_write(sqe, op->fd, part->iov_base, (unsigned)part->iov_len, at);
    else
        io_uring_prep_writev(sqe, op->fd, op->parts, (unsigned)op->count, at);
}

static void prepare(struct io_uring_sqe *sqe, const struct cosy_file_op *op)
{
    switch ((enum cosy_file_op_kind)op->kind) {
    case COSY_FILE_SYNC:
        io_uring_prep_fsync(sqe, op->fd, 0);
        break;
    case COSY_FILE_DATASYNC:
        io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
        break;
    case COSY_FILE_OPEN:
        io_uring_prep_openat(sqe, op->dir, op->path, op->flags, op->mode);
        break;
    case COSY_FILE_STAT:
        io_uring_prep_statx(sqe, op->dir, op->path, op->flags, STATX_BASIC_STATS | STATX_BTIME, op->status);
        break;
    case COSY_FILE_CLOSE:
        io_uring_prep_close(sqe, op->fd);
        break;
    case COSY_FILE_RENAME:
        io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->other, (unsigned)op->flags);
        break;
    case COSY_FILE_UNLINK:
        io_uring_prep_unlinkat(sqe, op->dir, op->path, op->flags);
        break;
    case COSY_FILE_MKDIR:
        io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, op->mode);
        break;
    case COSY_FILE_SYMLINK:
        io_uring_prep_symlinkat(sqe, op->other, AT_FDCWD, op->path);
        break;
    case COSY_FILE_LINK:
        io_uring_prep_linkat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->other, 0);
        break;
    default:
        prepare_transfer(sqe, op);
    }
}

void cosy_uring_ops_send_due(struct cosy_uring_ops *ops, struct io_uring_sqe *sqe)
{
    struct cosy_file_op *op = container_of(ops->due.next, struct cosy_file_op, link);
    cosy_list_remove(&op->link);
    cosy_uring_ops_send(ops, op, sqe);
}

void cosy_uring_ops_send(struct cosy_uring_ops *ops, struct cosy_file_op *op, struct io_uring_sqe *sqe)
{
    if (likely(op->kind <= COSY_FILE_WRITE))
        prepare_transfer(sqe, op);
    else
        prepare(sqe, op);
    io_uring_sqe_set_data64(sqe, token_of(op));
    op->step = COSY_FILE_OP_SENT;
    ops->sent++;
}

void cosy_uring_ops_send_cancel(struct cosy_uring_ops *ops, struct io_uring_sqe *sqe)
{
    struct cosy_file_op *op = container_of(ops->cancels.next, struct cosy_file_op, link);
    cosy_list_remove(&op->link);
    io_uring_prep_cancel64(sqe, token_of(op), 0);
}

static void end(struct cosy_uring_ops *ops, struct cosy_file_op *op, int64_t result)
{
    if (unlikely(op->link.next != &op->link)) /* `due`, or `cancels` */
        cosy_list_remove(&op->link);
    ops->spare[ops->spare_count++] = op->slot;
    ops->slots[op->slot] = NULL;
    op->result = result;
    op->step = COSY_FILE_OP_ENDED;
    cosy_list_append(&ops->ended, &op->link);
}

/* The tool does not see what the kernel writes after the call. */
static void tell_tool(const struct cosy_file_op *op)
{
    int64_t left = op->kind == COSY_FILE_READ ? op->result : 0;
    for (int i = 0; left > 0 && i < op->count; i++) {
        size_t size = (size_t)left < op->parts[i].iov_len ? (size_t)left : op->parts[i].iov_len;
        (void)VALGRIND_MAKE_MEM_DEFINED(op->parts[i].iov_base, size);
        left -= (int64_t)size;
    }
    if (op->kind == COSY_FILE_STAT && op->result == 0)
        (void)VALGRIND_MAKE_MEM_DEFINED(op->status, sizeof *op->status);
}

bool cosy_uring_ops_completed(struct cosy_uring_ops *ops, const struct io_uring_cqe *cqe)
{
    if ((uint32_t)cqe->user_data != COSY_URING_OP)
        return false;
    struct cosy_file_op *op = ops->slots[cqe->user_data >> 32];
    ops->sent--;
    end(ops, op, cqe->res);
    if (unlikely(ops->on_valgrind))
        tell_tool(op);
    return true;
}

void cosy_uring_ops_cancel(struct cosy_uring_ops *ops, struct cosy_file_op *op)
{
    if (op->cancelled)
        return;
    op->cancelled = true;
    if (op->step == COSY_FILE_OP_DUE)
        end(ops, op, -ECANCELED);
    else if (op->step == COSY_FILE_OP_SENT)
        cosy_list_append(&ops->cancels, &op->link);
}

void cosy_uring_ops_end_all(struct cosy_uring_ops *ops, int result)
{
    for (uint32_t i = 0; i < ops->room; i++)
        if (ops->slots[i] && ops->slots[i]->step == COSY_FILE_OP_SENT)
            end(ops, ops->slots[i], result);
    ops->sent = 0;
}

int cosy_uring_ops_report(struct cosy_uring_ops *ops, struct cosy_sys_event *events, int count, int max)
{
    while (count < max && !cosy_list_empty(&ops->ended)) {
        struct cosy_file_op *op = container_of(ops->ended.next, struct cosy_file_op, link);
        cosy_list_remove(&op->link);
        op->step = COSY_FILE_OP_NEW;
        events[count++] = (struct cosy_sys_event){.data = op->data, .events = COSY_SYS_DONE};
    }
    return count;
}

#endif
