/*
 * tls_echo: round trips of 1 KiB on 50 connections that speak TLS. tls_handshake: connections made, one after the other
 * on 50 at a time, everything verified, no session resumed. tls_idle: memory of a connection that waits. Both sides are
 * in this process, on Unix sockets.
 */
#include "rows.h"

#if BENCH_HAS_OPENSSL
#include "../tls_identity.h"

static cosy_tls_context *server_context, *client_context;

static int make_contexts(void)
{
    struct bench_identity identity;
    bench_make_identity(&identity);
    cosy_try(cosy_tls_context_new(&server_context, .certificate_pem = identity.certificate, .key_pem = identity.key,
                                  .no_tickets = true));
    return cosy_tls_context_new(&client_context, .ca_pem = identity.certificate, .no_tickets = true);
}

static void drop_contexts(void)
{
    cosy_tls_context_drop(server_context);
    cosy_tls_context_drop(client_context);
}

struct pair {
    cosy_stream *ends[2];
    long count;
};

/* Its end of the connection is its own. */
cosy_async static int serve(cosy_stream *stream)
{
    char *chunk;
    int64_t size;
    cosy_try(cosy_start_tls(stream, server_context, .server_side = true, .shutdown_timeout = -1));
    while ((size = cosy_read_chunk(stream, &chunk)) > 0)
        cosy_try(cosy_write(stream, chunk, (size_t)size));
    return (int)size;
}

cosy_async static int be_server(cosy_stream *stream)
{
    int result = serve(stream);
    cosy_stream_close(stream);
    return result;
}

cosy_async static int be_client(cosy_stream *stream)
{
    return cosy_start_tls(stream, client_context, .server_hostname = "localhost", .shutdown_timeout = -1);
}

static int open_pair(struct pair *pair)
{
    cosy_try(cosy_stream_pair(pair->ends));
    cosy_try(cosy_spawn(be_server, pair->ends[1]));
    return 0;
}

cosy_async static int talk(struct pair *pair)
{
    static char message[BENCH_TLS_MESSAGE];
    char answer[BENCH_TLS_MESSAGE];
    for (long i = 0; i < pair->count; i++) {
        cosy_try(cosy_write(pair->ends[0], message, sizeof message));
        cosy_try(cosy_readexactly(pair->ends[0], answer, sizeof answer));
    }
    return 0;
}

cosy_async static int on_all(int (*what)(struct pair *), struct pair *pairs)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (long i = 0; i < BENCH_TLS_PAIRS; i++)
        cosy_task_group_create_task(group, what, &pairs[i]);
    return cosy_task_group_wait(group);
}

cosy_async static int open_and_shake(struct pair *pair)
{
    cosy_try(open_pair(pair));
    return be_client(pair->ends[0]);
}

/* The servers hear of it, and close theirs. */
static void close_all(struct pair *pairs, long count)
{
    for (long i = 0; i < count; i++)
        cosy_stream_close(pairs[i].ends[0]);
}

cosy_async static int measure_echo(const char *name, long size)
{
    static struct pair pairs[BENCH_TLS_PAIRS];
    cosy_try(make_contexts());
    for (long i = 0; i < BENCH_TLS_PAIRS; i++)
        pairs[i].count = size / BENCH_TLS_PAIRS / 10 + 1;
    cosy_try(on_all(open_and_shake, pairs));
    cosy_try(on_all(talk, pairs));
    for (long i = 0; i < BENCH_TLS_PAIRS; i++)
        pairs[i].count = size / BENCH_TLS_PAIRS;
    double start = bench_cpu_ns();
    cosy_try(on_all(talk, pairs));
    double took = bench_cpu_ns() - start;
    close_all(pairs, BENCH_TLS_PAIRS);
    cosy_try(cosy_sleep(COSY_MS(1)));
    drop_contexts();
    return bench_print(name, took / (double)(size / BENCH_TLS_PAIRS * BENCH_TLS_PAIRS) / 1e3, "us");
}

cosy_async static int shake_many(struct pair *pair)
{
    for (long i = 0; i < pair->count; i++) {
        cosy_try(open_and_shake(pair));
        close_all(pair, 1);
    }
    return 0;
}

cosy_async static int measure_handshake(const char *name, long size)
{
    static struct pair pairs[BENCH_TLS_PAIRS];
    cosy_try(make_contexts());
    for (long i = 0; i < BENCH_TLS_PAIRS; i++)
        pairs[i].count = 1;
    cosy_try(on_all(shake_many, pairs));
    for (long i = 0; i < BENCH_TLS_PAIRS; i++)
        pairs[i].count = size / BENCH_TLS_PAIRS;
    double start = bench_cpu_ns();
    cosy_try(on_all(shake_many, pairs));
    double took = bench_cpu_ns() - start;
    drop_contexts();
    return bench_print(name, took / (double)(size / BENCH_TLS_PAIRS * BENCH_TLS_PAIRS) / 1e3, "us");
}

cosy_async static int wait_for_more(cosy_stream *stream)
{
    char byte;
    return (int)cosy_read(stream, &byte, 1);
}

/* The two ends of each, and the tasks that wait at them. */
cosy_async static int measure_idle(const char *name, long size)
{
    struct pair *pairs = bench_need(calloc((size_t)size, sizeof *pairs)), first = {.count = 1};
    cosy_scoped(cosy_task_group) waiting = cosy_task_group_open();
    cosy_try(make_contexts());
    cosy_try(open_and_shake(&first));
    cosy_try(talk(&first));
    double before = bench_memory_bytes();
    for (long i = 0; i < size; i++) {
        pairs[i].count = 1;
        cosy_try(open_and_shake(&pairs[i]));
        cosy_try(talk(&pairs[i]));
        cosy_task_group_create_task(waiting, wait_for_more, pairs[i].ends[0]);
    }
    cosy_try(cosy_sleep(COSY_MS(1)));
    double bytes = bench_memory_bytes() - before;
    cosy_task_group_cancel(waiting);
    (void)cosy_task_group_wait(waiting);
    close_all(pairs, size);
    close_all(&first, 1);
    cosy_try(cosy_sleep(COSY_MS(10)));
    drop_contexts();
    free(pairs);
    return bench_print(name, bytes / (double)size, "B");
}

int cosy_tls_echo_row(const char *name, long size)
{
    return cosy_run(measure_echo, name, size);
}
int cosy_tls_handshake_row(const char *name, long size)
{
    return cosy_run(measure_handshake, name, size);
}
int cosy_tls_idle_row(const char *name, long size)
{
    return cosy_run(measure_idle, name, size);
}
#else
int cosy_tls_echo_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
int cosy_tls_handshake_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
int cosy_tls_idle_row(const char *name, long size)
{
    (void)size;
    return bench_not_applicable(name);
}
#endif
