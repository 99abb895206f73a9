/* op.c - completion operations in the embedder's memory.
 *
 *     IDLE --start--> [tried at once] --------------------------------.
 *                          | would block, or others are in line        v
 *                          `--> LINE --told--> TRYING --done--------> DONE --turn--> IDLE, complete()
 *                                ^----would block----'     cancel ----^
 *
 * The handle is queued in TRYING and DONE, and in these only: so a completion is a callback of its own, and never comes
 * inside a start.
 */
#include <cosy/op.h>

#include <string.h>

#include "request.h"

enum { IDLE, LINE, TRYING, DONE };

/* What lies in state_. */
struct __attribute__((may_alias)) inside {
    struct cosy_link of_loop;
    struct cosy_loop *loop;
    struct cosy_borrow_waiter waiter[2]; /* by side; only poll uses both */
    struct cosy_request request;
    int64_t result;
    uint8_t state, events;
};
_Static_assert(sizeof(struct inside) <= sizeof(((cosy_op *)0)->state_), "the state has room");

static struct inside *inside_of(cosy_op *op)
{
    return (struct inside *)(void *)op->state_;
}
static cosy_op *op_of(struct inside *in)
{
    return container_of(in, struct cosy_op, state_);
}

/* ---- the end ---- */

static void finish(struct inside *in, int64_t result)
{
    cosy_borrow_leave(&in->waiter[COSY_PORT_READ]);
    cosy_borrow_leave(&in->waiter[COSY_PORT_WRITE]);
    bool queued = in->state == TRYING;
    in->state = DONE;
    in->result = result;
    if (!queued) {
        int started = cosy_handle_start_soon(in->loop, &op_of(in)->handle_);
        cosy_assert(started == 0);
    }
}

/* The operation may be gone, or started anew, when `complete` returns. */
static void deliver(struct inside *in)
{
    cosy_op *op = op_of(in);
    void (*release)(void *) = op->release;
    void *held = op->held;
    cosy_list_remove(&in->of_loop);
    in->state = IDLE;
    op->release = NULL;
    op->complete(op, in->result);
    if (release)
        release(held);
}

/* An operation that ends early: what was sent counts. */
static int64_t early(const struct inside *in, int code)
{
    bool counts = in->request.kind == COSY_REQUEST_SENDALL || in->request.kind == COSY_REQUEST_SENDFILE;
    return counts && in->request.done > 0 ? (int64_t)in->request.done : code;
}

/* ---- its turn ---- */

static void step(void *arg)
{
    struct inside *in = inside_of(arg);
    if (in->state == TRYING) {
        int64_t result = cosy_request_try(in->loop, &in->request);
        if (result == COSY_NOT_YET) {
            in->state = LINE;
            cosy_borrow_again(&in->waiter[cosy_request_side(&in->request)]);
            return;
        }
        finish(in, result);
    }
    deliver(in);
}

void cosy_op_told(struct cosy_borrow_waiter *waiter, int result)
{
    struct inside *in = container_of(waiter - waiter->side, struct inside, waiter);
    if (result < 0) {
        finish(in, early(in, result));
    } else if (in->request.kind == COSY_REQUEST_POLL) {
        finish(in, 1 << waiter->side);
    } else {
        in->state = TRYING;
        int started = cosy_handle_start_soon(in->loop, &op_of(in)->handle_);
        cosy_assert(started == 0);
    }
}

_Static_assert(COSY_OP_READABLE == 1 << COSY_PORT_READ && COSY_OP_WRITABLE == 1 << COSY_PORT_WRITE, "a side is a bit");

/* ---- starting ---- */

void cosy_op_init(cosy_op *op, cosy_op_callback complete, void *arg)
{
    memset(op, 0, sizeof *op);
    op->complete = complete;
    op->arg = arg;
    cosy_handle_init(&op->handle_, step, op);
    struct inside *in = inside_of(op);
    for (unsigned side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++) {
        in->waiter[side].ready = cosy_op_told;
        in->waiter[side].side = (uint8_t)side;
    }
}

bool cosy_op_in_flight(const cosy_op *op)
{
    return ((const struct inside *)(const void *)op->state_)->state != IDLE;
}

static int get_in_line(struct inside *in, enum cosy_port_side side)
{
    return cosy_borrow_join(in->loop, in->request.fd, side, &in->waiter[side]);
}

static int get_in_lines(struct inside *in)
{
    int result = 0;
    in->state = LINE;
    if (in->request.kind != COSY_REQUEST_POLL)
        return get_in_line(in, cosy_request_side(&in->request));
    for (unsigned side = COSY_PORT_READ; side <= COSY_PORT_WRITE && result == 0; side++)
        if (in->events & 1u << side)
            result = get_in_line(in, (enum cosy_port_side)side);
    return result;
}

static void begin(struct inside *in)
{
    int64_t result = cosy_request_prepare(in->loop, &in->request);
    if (result == 0) {
        bool first = !cosy_borrow_occupied(in->loop, in->request.fd, cosy_request_side(&in->request));
        result = first ? cosy_request_try(in->loop, &in->request) : COSY_NOT_YET;
    }
    if (result == COSY_NOT_YET) {
        int waits = get_in_lines(in);
        if (waits == 0)
            return;
        result = early(in, waits);
    }
    finish(in, result);
}

static int start(cosy_loop *loop, cosy_op *op, const struct cosy_request *request, unsigned events)
{
    int bad = !op || !op->complete ? -EINVAL : cosy_loop_check_caller(loop);
    if (bad)
        return bad;
    struct inside *in = inside_of(op);
    if (in->state != IDLE)
        return -COSY_EINVALIDSTATE;
    in->loop = loop;
    in->request = *request;
    in->events = (uint8_t)events;
    cosy_list_append(&loop->ops, &in->of_loop);
    begin(in);
    return 0;
}

/* Nothing is written through it where the request only reads. */
static void *unconst(const void *what)
{
    return (void *)(uintptr_t)what;
}

#define START(request_kind, ...)                                                                                       \
    start(loop, op, &(const struct cosy_request){.kind = (request_kind), .fd = fd, __VA_ARGS__}, 0)

int cosy_op_recv(cosy_loop *loop, cosy_op *op, int fd, void *buffer, size_t size, int flags)
{
    return START(COSY_REQUEST_RECV, .what = buffer, .size = size, .flags = flags);
}

int cosy_op_send(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size, int flags)
{
    return START(COSY_REQUEST_SEND, .what = unconst(data), .size = size, .flags = flags);
}

int cosy_op_sendall(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size)
{
    return START(COSY_REQUEST_SENDALL, .what = unconst(data), .size = size);
}

int cosy_op_recvmsg(cosy_loop *loop, cosy_op *op, int fd, struct msghdr *message, int flags)
{
    return message ? START(COSY_REQUEST_RECVMSG, .what = message, .flags = flags) : -EINVAL;
}

int cosy_op_sendmsg(cosy_loop *loop, cosy_op *op, int fd, const struct msghdr *message, int flags)
{
    return message ? START(COSY_REQUEST_SENDMSG, .what = unconst(message), .flags = flags) : -EINVAL;
}

int cosy_op_read(cosy_loop *loop, cosy_op *op, int fd, void *buffer, size_t size)
{
    return START(COSY_REQUEST_READ, .what = buffer, .size = size);
}

int cosy_op_write(cosy_loop *loop, cosy_op *op, int fd, const void *data, size_t size)
{
    return START(COSY_REQUEST_WRITE, .what = unconst(data), .size = size);
}

int cosy_op_accept(cosy_loop *loop, cosy_op *op, int fd, struct sockaddr *address, socklen_t *size)
{
    return START(COSY_REQUEST_ACCEPT, .what = address, .length = size);
}

int cosy_op_connect(cosy_loop *loop, cosy_op *op, int fd, const struct sockaddr *address, socklen_t size)
{
    return address ? START(COSY_REQUEST_CONNECT, .what = unconst(address), .size = size) : -EINVAL;
}

int cosy_op_shutdown(cosy_loop *loop, cosy_op *op, int fd, int how)
{
    return START(COSY_REQUEST_SHUTDOWN, .flags = how);
}

int cosy_op_sendfile(cosy_loop *loop, cosy_op *op, int fd, int file, off_t offset, size_t size)
{
    return START(COSY_REQUEST_SENDFILE, .file = file, .offset = offset, .size = size);
}

int cosy_op_poll(cosy_loop *loop, cosy_op *op, int fd, unsigned events)
{
    const struct cosy_request request = {.kind = COSY_REQUEST_POLL, .fd = fd};
    bool known = events && !(events & ~(unsigned)(COSY_OP_READABLE | COSY_OP_WRITABLE));
    return known ? start(loop, op, &request, events) : -EINVAL;
}

/* ---- cancelling ---- */

bool cosy_op_cancel(cosy_op *op)
{
    struct inside *in = op ? inside_of(op) : NULL;
    if (!in || in->state == IDLE || in->state == DONE || cosy_loop_check_caller(in->loop) < 0)
        return false;
    finish(in, early(in, -ECANCELED));
    return true;
}

/* Operations that are done are not in line any more: their result stands. */
int cosy_op_cancel_fd(cosy_loop *loop, int fd)
{
    int bad = cosy_loop_check_caller(loop);
    return bad ? bad : cosy_borrow_evict(loop, fd, -ECANCELED);
}

int cosy_op_hold_fd(cosy_loop *loop, int fd)
{
    int bad = cosy_loop_check_caller(loop);
    if (bad == 0)
        bad = cosy_borrow_check(loop, fd);
    return bad ? bad : cosy_borrow_hold(loop, fd);
}

size_t cosy_op_count(const cosy_loop *loop)
{
    size_t count = 0;
    for (const struct cosy_link *link = loop->ops.next; link != &loop->ops; link = link->next)
        count++;
    return count;
}

void cosy_ops_close(struct cosy_loop *loop)
{
    while (!cosy_list_empty(&loop->ops)) {
        struct inside *in = container_of(loop->ops.next, struct inside, of_loop);
        if (in->state != DONE)
            in->result = early(in, -COSY_ECLOSED);
        cosy_borrow_leave(&in->waiter[COSY_PORT_READ]);
        cosy_borrow_leave(&in->waiter[COSY_PORT_WRITE]);
        cosy_handle_cancel(&op_of(in)->handle_);
        deliver(in);
    }
}

void cosy_ops_walk(const struct cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg), void *arg)
{
    for (struct cosy_link *link = loop->ops.next; link != &loop->ops; link = link->next) {
        struct inside *in = container_of(link, struct inside, of_loop);
        visit(&(const struct cosy_loop_item){.kind = COSY_ITEM_OP, .fd = in->request.fd, .op = op_of(in)}, arg);
    }
}
