/* loop_only.c - the event loop alone: callbacks, timers and a pipe, without any task.
 *
 * Tasks stand on this. It is for programs and libraries that are written in callbacks already.
 */
#include <cosy.h>
#include <stdio.h>
#include <unistd.h>

static int pipe_ends[2]; /* read from [0], write to [1] */

static void say(void *text) { puts(text); }

static void write_to_pipe(void *text)
{
    if (write(pipe_ends[1], text, 5) != 5)
        perror("write");
}

static void on_readable(void *arg)
{
    cosy_loop *loop = arg;
    char text[16];
    ssize_t size = read(pipe_ends[0], text, sizeof text);
    printf("the pipe says '%.*s'\n", (int)size, text);
    cosy_remove_reader(loop, pipe_ends[0]); /* before it is closed */
    cosy_loop_stop(loop);                   /* this turn is finished, then run_forever returns */
}

static int run(cosy_loop *loop)
{
    cosy_handle *unwanted;
    cosy_ns now = cosy_loop_time(loop);
    cosy_try(cosy_add_reader(loop, pipe_ends[0], on_readable, loop));
    cosy_try(cosy_call_at(loop, now + COSY_MS(20), say, "20 ms have passed", NULL)); /* deadlines decide, */
    cosy_try(cosy_call_at(loop, now + COSY_MS(10), say, "10 ms have passed", NULL)); /* not the order of calls */
    cosy_try(cosy_call_at(loop, now + COSY_MS(30), write_to_pipe, "hello", NULL));
    cosy_try(cosy_call_later(loop, COSY_MS(15), say, "never seen", &unwanted));
    cosy_handle_cancel(unwanted); /* handle.cancel() */
    cosy_handle_drop(unwanted);
    cosy_try(cosy_call_soon(loop, say, "the first turn", NULL));
    return cosy_loop_run_forever(loop);
}

int main(void)
{
    cosy_loop *loop;
    int result = cosy_loop_new(&loop);
    if (result < 0 || pipe(pipe_ends) < 0)
        return 1;
    result = run(loop);
    printf("the loop ended with %d\n", result);
    cosy_loop_free(loop);
    return result < 0;
}

/* Output:
 * the first turn
 * 10 ms have passed
 * 20 ms have passed
 * the pipe says 'hello'
 * the loop ended with 0
 */
