/* serve.c - `cosy_bench serve MODE PORT`: servers with the ordinary stream API, a task per connection. What travels
 * stands in bench/net/README.md. */
#include "serve.h"

static int serve_port;

/* ---- streams ---- */

static int echo(cosy_stream *stream, const char *mode)
{
    char *chunk;
    int64_t length;
    (void)mode;
    while ((length = cosy_read_chunk(stream, &chunk)) > 0)
        cosy_try(cosy_write(stream, chunk, (size_t)length));
    return (int)length;
}

/* The size of the messages to come. */
static int64_t read_header(cosy_stream *stream, unsigned char **ret_message)
{
    unsigned char header[NET_HEADER];
    cosy_try(cosy_readexactly(stream, header, sizeof header));
    uint32_t size = net_read_size(header);
    *ret_message = bench_need(malloc(size ? size : 1));
    return size;
}

static int answer_each(cosy_stream *stream, unsigned char *message, size_t size)
{
    int64_t got;
    while ((got = cosy_readexactly(stream, message, size)) > 0)
        cosy_try(cosy_write(stream, message, size));
    return got == -COSY_EINCOMPLETE ? 0 : (int)got;
}

static int pipelined(cosy_stream *stream, const char *mode)
{
    unsigned char *message;
    (void)mode;
    int64_t size = cosy_try(read_header(stream, &message));
    int result = answer_each(stream, message, (size_t)size);
    free(message);
    return result;
}

static int sink(cosy_stream *stream, const char *mode)
{
    unsigned char *message;
    (void)mode;
    int64_t size = cosy_try(read_header(stream, &message)), got;
    uint64_t count = 0;
    while ((got = cosy_readexactly(stream, message, (size_t)size)) > 0)
        count++;
    free(message);
    return got == -COSY_EINCOMPLETE ? cosy_write(stream, &count, sizeof count) : (int)got;
}

static int source(cosy_stream *stream, const char *mode)
{
    unsigned char *message;
    (void)mode;
    int64_t size = cosy_try(read_header(stream, &message));
    int result;
    for (int64_t i = 0; i < size; i++)
        message[i] = (unsigned char)i;
    while ((result = cosy_write(stream, message, (size_t)size)) == 0)
        ;
    free(message);
    return result;
}

static int answer_once(cosy_stream *stream, const char *mode)
{
    unsigned char message[NET_REQUEST];
    (void)mode;
    cosy_try(cosy_readexactly(stream, message, sizeof message));
    return cosy_write(stream, message, sizeof message);
}

static int work(cosy_stream *stream, const char *mode)
{
    unsigned char message[NET_REQUEST];
    int64_t got;
    (void)mode;
    while ((got = cosy_readexactly(stream, message, sizeof message)) > 0) {
        net_answer_work(message);
        cosy_try(cosy_write(stream, message, sizeof message));
    }
    return got == -COSY_EINCOMPLETE ? 0 : (int)got;
}

static int forward(cosy_stream *stream, const char *mode)
{
    cosy_scoped(cosy_stream) far = NULL;
    (void)mode;
    cosy_try(cosy_open_connection("127.0.0.1", (unsigned)serve_port + 1, &far));
    return cosy_relay(stream, far);
}

/* ---- the program ---- */

static const struct {
    const char *name;
    int (*handler)(cosy_stream *stream, const char *mode);
} stream_modes[] = {
    {"echo", echo},     {"idle", echo},          {"pipelined", pipelined}, {"sink", sink},
    {"source", source}, {"accept", answer_once}, {"work", work},           {"forward", forward},
};

cosy_async static int serve_streams(int index)
{
    cosy_scoped(cosy_server) server = NULL;
    const char *mode = stream_modes[index].name;
    cosy_try(cosy_start_server(&server, stream_modes[index].handler, mode, "127.0.0.1", (unsigned)serve_port,
                               .backlog = NET_BACKLOG, .reuse_port = cosy_worker_count() > 1));
    if (cosy_worker_index() <= 0)
        net_ready();
    return cosy_serve_forever(server);
}

static struct cosy_run_options run_options(void)
{
    const char *spin = getenv("BENCH_SPIN_US");
    return (struct cosy_run_options){.struct_size = sizeof(struct cosy_run_options),
                                     .spin = spin ? COSY_US(atoi(spin)) : 0};
}

static int run_streams(int index)
{
    struct cosy_run_options options = run_options();
    if (net_workers() > 1)
        return cosy_run_workers_((unsigned)net_workers(), cosy_call(serve_streams, index), &options);
    return cosy_run_(cosy_call(serve_streams, index), &options);
}

int cosy_serve(const char *mode, int port)
{
    serve_port = port;
    for (size_t i = 0; i < sizeof stream_modes / sizeof *stream_modes; i++)
        if (strcmp(stream_modes[i].name, mode) == 0)
            return run_streams((int)i) < 0;
    struct cosy_run_options options = run_options();
    cosy_coro *datagrams = cosy_serve_datagrams(mode, port);
    if (datagrams)
        return cosy_run_(datagrams, &options) < 0;
    return bench_not_applicable(mode);
}
