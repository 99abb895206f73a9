/* embedding.c - cosy inside another event loop, here one of poll(2).
 *
 * The host asks cosy two things: a descriptor that becomes readable when there is something to do, and when the next
 * timer is due. Whenever either comes, it lets cosy make one turn. The simulated kernel has no descriptor, for its time
 * is not real: there the host just lets it turn.
 */
#include <cosy.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>

cosy_async static int tick(int times)
{
    for (int i = 1; i <= times; i++) {
        cosy_try(cosy_sleep(COSY_MS(20)));
        printf("tick %d\n", i);
    }
    return times;
}

/* How long poll may sleep, in ms: rounded up, so that it does not wake too early; -1: for ever. */
static int poll_timeout(cosy_loop *loop)
{
    cosy_ns next = cosy_loop_next_deadline(loop), now = cosy_loop_time(loop);
    if (next == COSY_NEVER)
        return -1;
    cosy_ns ms = next > now ? (next - now + COSY_MS(1) - 1) / COSY_MS(1) : 0;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int host_loop(cosy_loop *loop, cosy_task *task)
{
    int fd = cosy_loop_fd(loop);
    if (fd < 0 && fd != -ENOTSUP)
        return fd;
    while (!cosy_task_done(task)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN}; /* the host's own descriptors would stand beside it */
        if (fd >= 0 && poll(&ready, 1, poll_timeout(loop)) < 0)
            return -errno;
        cosy_try(cosy_loop_run_once(loop, fd >= 0 ? 0 : COSY_NEVER));
    }
    return 0;
}

int main(void)
{
    cosy_loop *loop;
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_task *task = cosy_create_task_with((.loop = loop), tick, 3); /* a task in a loop that does not run yet */
    int error = host_loop(loop, task);
    int64_t ticks = 0;
    if (error == 0)
        error = cosy_task_result(task, &ticks);
    printf("%d ticks, %s\n", (int)ticks, error < 0 ? cosy_strerror(error) : "all well");
    cosy_task_drop(task);
    cosy_loop_free(loop);
    return error < 0;
}

/* Output:
 * tick 1
 * tick 2
 * tick 3
 * 3 ticks, all well
 */
