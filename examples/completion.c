/* completion.c - operations that complete, without any task: start one, and be called when it is done.
 *
 * For programs written in callbacks, and for other languages' event loops: the operation and its buffer lie in the
 * embedder's memory, nothing is allocated by the library, and each operation that was started is completed exactly
 * once, by what happened or by a cancel.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One end of a connection: it echoes. */
struct echo {
    cosy_op read, write;
    cosy_loop *loop;
    int fd;
    char buffer[64];
};

static void on_read(cosy_op *op, int64_t size);

static void on_written(cosy_op *op, int64_t size)
{
    struct echo *echo = op->arg;
    if (size > 0)
        cosy_op_recv(echo->loop, &echo->read, echo->fd, echo->buffer, sizeof echo->buffer, 0);
}

static void on_read(cosy_op *op, int64_t size)
{
    struct echo *echo = op->arg;
    if (size > 0) {
        cosy_op_sendall(echo->loop, &echo->write, echo->fd, echo->buffer, (size_t)size);
        return;
    }
    printf("the echo ends: %s\n", size == 0 ? "the other side did" : cosy_errname((int)size));
    close(echo->fd);
    free(echo); /* nothing is in flight */
}

static void echo_on(cosy_loop *loop, int fd)
{
    struct echo *echo = malloc(sizeof *echo);
    echo->loop = loop;
    echo->fd = fd;
    cosy_op_init(&echo->read, on_read, echo);
    cosy_op_init(&echo->write, on_written, echo);
    cosy_op_recv(loop, &echo->read, fd, echo->buffer, sizeof echo->buffer, 0);
}

/* A buffer that somebody else owns is told when it is free again. */
static void free_buffer(void *buffer)
{
    printf("the buffer '%s' is free\n", (char *)buffer);
    free(buffer);
}

static void on_sent(cosy_op *op, int64_t size)
{
    (void)op;
    printf("sent %d bytes\n", (int)size);
}

static void on_reply(cosy_op *op, int64_t size)
{
    printf("received %d bytes: '%.*s'\n", (int)size, (int)(size > 0 ? size : 0), (const char *)op->arg);
}

static void on_cancelled(cosy_op *op, int64_t result)
{
    (void)op;
    printf("cancelled: %s\n", cosy_errname((int)result));
}

int main(void)
{
    cosy_loop *loop;
    cosy_op send, receive;
    int pair[2];
    char reply[64], *buffer = strdup("hello");
    if (cosy_loop_new(&loop) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        return 1;
    echo_on(loop, pair[1]);

    cosy_op_init(&send, on_sent, NULL);
    send.release = free_buffer;
    send.held = buffer;
    cosy_op_send(loop, &send, pair[0], buffer, 5, 0);
    cosy_op_init(&receive, on_reply, reply);
    cosy_op_recv(loop, &receive, pair[0], reply, sizeof reply, 0);
    while (cosy_op_in_flight(&receive))
        cosy_loop_run_once(loop, COSY_NEVER);

    cosy_op_init(&receive, on_cancelled, NULL);
    cosy_op_recv(loop, &receive, pair[0], reply, sizeof reply, 0);
    cosy_op_cancel_fd(loop, pair[0]); /* before it is closed */
    close(pair[0]);
    while (cosy_op_count(loop) > 0) /* that one, and the echo's */
        cosy_loop_run_once(loop, COSY_NEVER);
    cosy_loop_free(loop);
    return 0;
}

/* Output:
 * sent 5 bytes
 * the buffer 'hello' is free
 * received 5 bytes: 'hello'
 * cancelled: ECANCELED
 * the echo ends: the other side did
 */
