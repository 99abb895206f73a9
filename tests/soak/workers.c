/* workers.c - two workers share a port by SO_REUSEPORT: both serve, and Ctrl-C ends both in good order, under clients
 * that are still there.
 *
 *     workers
 *
 * The workers are a process of their own, which is sent the SIGINT; this one is their clients, by plain sockets. Each
 * client is told by a byte which worker has it. */
#include "soak.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, CLIENTS = 64, PATIENCE_MS = 30000 };

static void check(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "workers: %s\n", what);
    exit(1);
}

/* ---- the workers' process ---- */

struct app {
    unsigned port;
    int ready; /* a byte for each worker that serves */
    atomic_uint accepted[WORKERS];
    atomic_uint cancelled[WORKERS]; /* handlers that Ctrl-C found at work */
    atomic_uint ended;              /* workers that were cancelled and have freed their server */
};

cosy_async static int say_and_echo(cosy_stream *stream, struct app *app)
{
    int index = cosy_worker_index();
    char name = (char)('0' + index);
    int64_t length;
    atomic_fetch_add(&app->accepted[index], 1);
    int64_t result = cosy_write(stream, &name, 1);
    if (result == 0) {
        COSY_CHUNKS(stream, chunk, length)
        if ((length = cosy_write(stream, chunk, (size_t)length)) < 0)
            break;
        result = length;
    }
    if (result == -ECANCELED)
        atomic_fetch_add(&app->cancelled[index], 1);
    return (int)result;
}

cosy_async static int serve(struct app *app)
{
    cosy_server *server;
    cosy_try(cosy_start_server(&server, say_and_echo, app, "127.0.0.1", app->port, .reuse_port = true));
    check(write(app->ready, "r", 1) == 1, "nobody waits for the workers");
    int result = cosy_serve_forever(server);
    struct cosy_server_stats stats;
    cosy_server_get_stats(server, &stats);
    cosy_server_free(server);
    if (result == -ECANCELED && stats.connections == 0 && cosy_all_tasks(NULL, NULL, 0) == 1)
        atomic_fetch_add(&app->ended, 1);
    return result;
}

static long count_descriptors(void)
{
    long count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    check(folder != NULL, "/proc/self/fd cannot be read");
    closedir(folder);
    return count;
}

/* Nothing of a runtime that has run: what is opened once, whoever runs, is there from here on. */
cosy_async static int do_nothing(void)
{
    return cosy_sleep(COSY_MS(1));
}

static int be_workers(unsigned port, int ready)
{
    static struct app app;
    app.port = port;
    app.ready = ready;
    signal(SIGINT, SIG_DFL); /* a shell has its background jobs ignore it */
    check(cosy_run_workers(WORKERS, do_nothing) == 0, "workers that do nothing failed");
    long before = count_descriptors();
    int result = cosy_run_workers(WORKERS, serve, &app);
    printf("workers ended with %s; clients %u + %u, of which %u + %u were cancelled\n", cosy_errname(result),
           atomic_load(&app.accepted[0]), atomic_load(&app.accepted[1]), atomic_load(&app.cancelled[0]),
           atomic_load(&app.cancelled[1]));
    check(result == -COSY_EINTERRUPT, "Ctrl-C gave another result");
    check(atomic_load(&app.ended) == WORKERS, "not each worker ended in good order");
    for (int i = 0; i < WORKERS; i++)
        check(atomic_load(&app.accepted[i]) > 0 && atomic_load(&app.cancelled[i]) > 0, "a worker had no client");
    check(count_descriptors() == before, "descriptors are left");
    return 0;
}

/* ---- the clients ---- */

/* A port that nobody else is given meanwhile: bound, but not listened on, so that no connection comes here. */
static int reserve(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) == 0, "no socket with SO_REUSEPORT");
    check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "no port");
    check(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "no port");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* -1: no byte, but the end or an error. */
static int byte_from(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    check(poll(&ready, 1, PATIENCE_MS) == 1, "no answer");
    return read(fd, &byte, 1) == 1 ? byte : -1;
}

static int connect_one(unsigned port, unsigned served[WORKERS])
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "a client could not connect");
    int worker = byte_from(fd) - '0';
    check(worker >= 0 && worker < WORKERS, "a client was not told its worker");
    served[worker]++;
    check(write(fd, "x", 1) == 1 && byte_from(fd) == 'x', "a client got no echo");
    return fd;
}

int main(void)
{
    int ready[2], status, fds[CLIENTS];
    unsigned port, served[WORKERS] = {0};
    char byte;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int reserved = reserve(&port);
    check(pipe(ready) == 0, "no pipe");
    pid_t workers = fork();
    check(workers >= 0, "no process");
    if (workers == 0) {
        close(ready[0]);
        exit(be_workers(port, ready[1]));
    }
    close(ready[1]);
    for (int i = 0; i < WORKERS; i++)
        check(read(ready[0], &byte, 1) == 1, "a worker did not start");
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_one(port, served);
    printf("served: %u + %u\n", served[0], served[1]);
    check(served[0] > 0 && served[1] > 0, "one worker served all");
    check(kill(workers, SIGINT) == 0, "kill");
    for (int i = 0; i < CLIENTS; i++)
        check(byte_from(fds[i]) == -1, "a client was not told of the end");
    check(waitpid(workers, &status, 0) == workers, "waitpid");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the workers failed");
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(reserved);
    return 0;
}
