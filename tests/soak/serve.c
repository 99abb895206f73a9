/* serve.c - the soak's servers: all in one loop. */
#include "soak.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a handler that is cancelled at a moment of the client's choice ---- */

struct fuse {
    cosy_handle *handle;
    cosy_task *task;
};

static void burn(void *arg)
{
    cosy_task_cancel(arg);
}

static struct fuse light(uint32_t us)
{
    struct fuse fuse = {0};
    if (us && cosy_call_later(cosy_running_loop(), COSY_US(us), burn, cosy_current_task(), &fuse.handle) == 0)
        fuse.task = cosy_task_ref(cosy_current_task());
    return fuse;
}

static void put_out(struct fuse *fuse)
{
    if (!fuse->handle)
        return;
    cosy_handle_cancel(fuse->handle);
    cosy_handle_drop(fuse->handle);
    cosy_task_drop(fuse->task);
}

/* 1, or 0 when the client left before it was there. */
cosy_async static int read_header(cosy_stream *stream, struct soak_header *header)
{
    int64_t got = cosy_readexactly(stream, header, sizeof *header);
    if (got == -COSY_EINCOMPLETE)
        return 0;
    cosy_try(got);
    return 1;
}

/* A cancel is counted, and is what the server is told. */
static int ended(struct soak *soak, int64_t result)
{
    if (result == -ECANCELED)
        atomic_fetch_add(&soak->handlers_cancelled, 1);
    return result < 0 ? (int)result : 0;
}

static int check(struct soak *soak, const struct soak_header *header, uint64_t position, const char *bytes, size_t size)
{
    size_t right = soak_right(header->key, position, bytes, size);
    if (right == size && position + size <= header->amount)
        return 0;
    return soak_fault(soak, "the server got a wrong byte at %llu of %u", (unsigned long long)(position + right),
                      header->amount);
}

/* ---- the handlers ---- */

cosy_async static int echo(cosy_stream *stream, struct soak *soak)
{
    struct soak_header header;
    uint64_t position = 0;
    int64_t length;
    if (cosy_try(read_header(stream, &header)) == 0)
        return 0;
    __attribute__((cleanup(put_out), unused)) struct fuse fuse = light(header.cancel);
    COSY_CHUNKS (stream, chunk, length) {
        cosy_try(check(soak, &header, position, chunk, (size_t)length));
        position += (uint64_t)length;
        int result = cosy_write(stream, chunk, (size_t)length);
        if (result < 0)
            return ended(soak, result);
    }
    return ended(soak, length);
}

cosy_async static int sum(cosy_stream *stream, struct soak *soak)
{
    struct soak_header header;
    struct soak_sum answer = {0};
    int64_t length;
    if (cosy_try(read_header(stream, &header)) == 0)
        return 0;
    __attribute__((cleanup(put_out), unused)) struct fuse fuse = light(header.cancel);
    COSY_CHUNKS (stream, chunk, length) {
        cosy_try(check(soak, &header, answer.count, chunk, (size_t)length));
        answer.count += (uint64_t)length;
        answer.digest = soak_digest(answer.digest, chunk, (size_t)length);
    }
    return ended(soak, length < 0 ? length : cosy_write(stream, &answer, sizeof answer));
}

cosy_async static int lines(cosy_stream *stream, struct soak *soak)
{
    int64_t length, result = 0;
    char *line;
    while (result >= 0 && (length = cosy_readline(stream, &line)) != 0)
        if (length == -COSY_ELIMIT)
            result = cosy_write(stream, "?\n", 2);
        else
            result = length < 0 ? length : cosy_write(stream, line, (size_t)length);
    return ended(soak, result);
}

cosy_async static int send_file(cosy_stream *stream, struct soak *soak)
{
    struct soak_header header;
    if (cosy_try(read_header(stream, &header)) == 0)
        return 0;
    __attribute__((cleanup(put_out), unused)) struct fuse fuse = light(header.cancel);
    int64_t sent = cosy_sendfile(stream, soak->file, (int64_t)header.key, header.amount);
    if (sent >= 0 && sent != header.amount)
        return soak_fault(soak, "sendfile sent %lld of %u bytes", (long long)sent, header.amount);
    return ended(soak, sent);
}

/* What happens to the other connection is not the client's fault, and the client is to see that it did not get
 * everything. */
cosy_async static int relay(cosy_stream *stream, struct soak *soak)
{
    cosy_scoped(cosy_stream) upstream = NULL;
    static unsigned turn;
    int result = ++turn % 2 ? cosy_open_unix_connection(soak->path, &upstream)
                            : cosy_open_connection("127.0.0.1", soak->port[SOAK_ECHO], &upstream);
    cosy_try(result);
    result = cosy_relay(stream, upstream);
    if (result < 0) {
        cosy_stream_abort(stream);
        cosy_stream_abort(upstream);
    }
    return result == -ECANCELED ? ended(soak, result) : 0;
}

/* ---- all of them ---- */

static int make_file(struct soak *soak)
{
    static char piece[1 << 16];
    soak->file = memfd_create("soak", MFD_CLOEXEC);
    if (soak->file < 0)
        return -errno;
    for (size_t at = 0; at < SOAK_FILE; at += sizeof piece) {
        soak_fill(SOAK_FILE_KEY, at, piece, sizeof piece);
        if (write(soak->file, piece, sizeof piece) != (ssize_t)sizeof piece)
            return -EIO;
    }
    return 0;
}

static int start_all(struct soak *soak, cosy_server **servers)
{
    const char *host = "127.0.0.1";
#define OPTIONS .backlog = 1024, .stream.close_grace = COSY_S(2), .stream.limit = SOAK_LINE
    cosy_try(cosy_start_server(&servers[SOAK_ECHO], echo, soak, host, 0, OPTIONS));
    cosy_try(cosy_start_unix_server(&servers[SOAK_UNIX], echo, soak, soak->path, OPTIONS));
    cosy_try(cosy_start_server(&servers[SOAK_SUM], sum, soak, host, 0, OPTIONS));
    cosy_try(cosy_start_server(&servers[SOAK_LINES], lines, soak, host, 0, OPTIONS));
    cosy_try(cosy_start_server(&servers[SOAK_SENDFILE], send_file, soak, host, 0, OPTIONS));
    cosy_try(cosy_start_server(&servers[SOAK_RELAY], relay, soak, host, 0, OPTIONS));
#undef OPTIONS
    for (int i = 0; i < SOAK_PORTS; i++)
        soak->port[i] = cosy_server_port(servers[i]);
    return 0;
}

static void publish(struct soak *soak, cosy_server **servers)
{
    struct cosy_server_stats stats;
    unsigned long accepted = 0, lost = 0;
    long clients = 0;
    for (int i = 0; i < SOAK_PORTS; i++) {
        cosy_server_get_stats(servers[i], &stats);
        clients += (long)stats.connections;
        accepted += stats.accepted;
        lost += stats.lost;
    }
    atomic_store(&soak->server_clients, clients);
    atomic_store(&soak->server_tasks, (long)cosy_all_tasks(NULL, NULL, 0));
    atomic_store(&soak->accepted, accepted);
    atomic_store(&soak->lost, lost);
}

cosy_async static int answer_until_drain(struct soak *soak, cosy_server **servers)
{
    while (!atomic_load(&soak->drain)) {
        unsigned asked = atomic_load(&soak->asked);
        if (asked != atomic_load(&soak->answered)) {
            publish(soak, servers);
            atomic_store(&soak->answered, asked);
        }
        cosy_try(cosy_sleep(COSY_MS(2)));
    }
    return 0;
}

/* The relay first: it is a client of the others. */
cosy_async static int drain_all(struct soak *soak, cosy_server **servers)
{
    int cut = 0;
    for (int i = SOAK_PORTS - 1; i >= 0; i--) {
        int result = cosy_server_drain(servers[i], COSY_MS(20), COSY_MS(200));
        if (result < 0 && result != -ETIMEDOUT)
            return result;
        cut += result == -ETIMEDOUT;
    }
    publish(soak, servers);
    printf("drained: %d of %d servers had clients that were cut off\n", cut, SOAK_PORTS);
    if (atomic_load(&soak->server_clients) != 0)
        return soak_fault(soak, "%ld clients are left after the drain", atomic_load(&soak->server_clients));
    return cut ? 0 : soak_fault(soak, "nobody was there to be drained");
}

static void on_unhandled(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    struct soak *soak = arg;
    (void)loop;
    atomic_fetch_add(&soak->unhandled, 1);
    soak_fault(soak, "an error that nobody handled: %s: %s: %s", context->message, cosy_errname(context->error),
               context->detail ? context->detail : "");
}

int soak_serve(struct soak *soak)
{
    cosy_server *servers[SOAK_PORTS] = {0};
    snprintf(soak->path, sizeof soak->path, "@cosy-soak-%ld", (long)getpid());
    cosy_loop_set_exception_handler(cosy_running_loop(), on_unhandled, soak);
    cosy_try(make_file(soak));
    int result = start_all(soak, servers);
    if (result == 0) {
        atomic_store(&soak->serving, true);
        result = answer_until_drain(soak, servers);
    }
    if (result == 0)
        result = drain_all(soak, servers);
    for (int i = 0; i < SOAK_PORTS; i++)
        cosy_server_free(servers[i]);
    if (cosy_all_tasks(NULL, NULL, 0) != 1)
        result = soak_fault(soak, "%zu tasks are left in the server", cosy_all_tasks(NULL, NULL, 0));
    close(soak->file);
    return result;
}
