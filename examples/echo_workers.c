/* echo_workers.c - one server on all processors: a loop in each thread, all on the same port.
 *
 *     echo_workers PORT     until Ctrl-C
 *     echo_workers          two workers, and clients of their own
 *
 * Each worker listens by itself (.reuse_port), and the kernel spreads the connections. Nothing is shared but the port, so nothing needs a lock.
 */
#include <cosy.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

cosy_async static int echo(cosy_stream *stream, atomic_int *served)
{
    int64_t length;
    COSY_CHUNKS (stream, chunk, length)
        cosy_try(cosy_write(stream, chunk, (size_t)length));
    atomic_fetch_add(served, 1);
    return (int)length;
}

static atomic_int served;
static atomic_uint port, ready;

/* The first worker chooses the port, when none is given; the others wait for it. */
cosy_async static int listen_together(cosy_server **ret_server)
{
    while (cosy_worker_index() > 0 && port == 0)
        cosy_try(cosy_sleep(COSY_MS(1)));
    cosy_try(cosy_start_server(ret_server, echo, &served, "127.0.0.1", port, .reuse_port = true, .backlog = 1000));
    port = cosy_server_port(*ret_server);
    ready++;
    return 0;
}

cosy_async static int serve(void)
{
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(listen_together(&server));
    printf("Worker %d of %u serves on 127.0.0.1:%u\n", cosy_worker_index(), cosy_worker_count(), port);
    return cosy_serve_forever(server);
}

/* ---- without arguments ---- */

enum { WORKERS = 2, CLIENTS = 10 };

cosy_async static int ask(int number)
{
    char *line;
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(cosy_open_connection("127.0.0.1", port, &stream)); /* any worker may answer */
    cosy_try(cosy_printf(stream, "%d\n", number));
    cosy_try(cosy_readline(stream, &line));
    return atoi(line) == number ? 0 : cosy_fail(EPROTO, "%d came back as %s", number, line);
}

cosy_async static int show(void)
{
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(listen_together(&server));
    while (ready < WORKERS)
        cosy_try(cosy_sleep(COSY_MS(1)));
    for (int i = 0; i < CLIENTS; i++)
        cosy_try(ask(i));
    while (served < WORKERS * CLIENTS) /* a worker that ended now would take its clients along */
        cosy_try(cosy_sleep(COSY_MS(1)));
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        port = (unsigned)atoi(argv[1]);
        return cosy_run_workers(0, serve) < 0;
    }
    int result = cosy_run_workers(WORKERS, show);
    printf("%d clients were served\n", served);
    return result < 0;
}

/* Output:
 * 20 clients were served
 */
