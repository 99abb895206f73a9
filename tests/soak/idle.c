/* idle.c - ten thousand connections at once on one worker: what each costs, and that nothing of them stays.
 *
 *     idle [CONNECTIONS]
 *
 * The clients are a process of their own, since one may not have twice as many descriptors; plain sockets, which are
 * not what is measured. Each sends one byte, gets it back, and is silent. Twice: what the first time has left must be
 * enough for the second. Exit status 77: this process may not have that many descriptors. */
#include "soak.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

enum {
    CONNECTIONS = 10000,
    FIRST = 100,      /* what a server needs once, whoever comes, is there after so many */
    SPARE = 100,      /* descriptors for everything else */
    MOST_EACH = 6144, /* bytes of user-space memory for an idle connection: a page of its stack, its stream, its task,
                         its share of the tables */
    SKIPPED = 77,
};

static void check(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "idle: %s (errno: %s)\n", what, strerror(errno));
    exit(1);
}

/* ---- the clients' process: it is told what to do by a byte, and answers with one ---- */

static int connect_one(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 'x';
    check(fd >= 0, "no socket for a client");
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "a client could not connect");
    check(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == 'x', "a client got no echo");
    return fd;
}

/* 'f': the first ones, 'r': the rest, 'c': all are closed. The end of the orders is the end. */
static int be_clients(int orders, unsigned port, int connections)
{
    static int fds[1 << 20];
    int open = 0;
    char order;
    while (read(orders, &order, 1) == 1) {
        int wanted = order == 'f' ? FIRST : order == 'r' ? connections : 0;
        while (open < wanted)
            fds[open++] = connect_one(port);
        while (open > wanted)
            close(fds[--open]);
        check(write(orders, &order, 1) == 1, "nobody listens to the clients");
    }
    return 0;
}

/* ---- the server ---- */

cosy_async static int echo(cosy_stream *stream, int unused)
{
    int64_t length;
    (void)unused;
    COSY_CHUNKS(stream, chunk, length)
    cosy_try(cosy_write(stream, chunk, (size_t)length));
    return (int)length;
}

/* RSS and page tables, bytes. */
static long user_memory(void)
{
    char line[200];
    long kib = 0, value;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &value) == 1 || sscanf(line, "VmPTE: %ld", &value) == 1)
            kib += value;
    if (file)
        fclose(file);
    check(kib > 0, "/proc/self/status tells no memory");
    return kib * 1024;
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

cosy_async static int tell(cosy_stream *clients, char order)
{
    char answer;
    cosy_try(cosy_write(clients, &order, 1));
    cosy_try(cosy_readexactly(clients, &answer, 1));
    return cosy_sleep(COSY_MS(100)); /* what is not needed is given back when the loop is idle */
}

static size_t clients_of(const cosy_server *server)
{
    struct cosy_server_stats stats;
    cosy_server_get_stats(server, &stats);
    return stats.connections;
}

struct left {
    long descriptors, memory, blocks;
};

static struct left look(const char *when, const cosy_server *server)
{
    struct left left = {count_descriptors(), user_memory(), cosy_heap_live()};
    printf("%s: %zu clients, %ld descriptors, %ld KiB, %ld blocks of the heap, %zu tasks\n", when, clients_of(server),
           left.descriptors, left.memory / 1024, left.blocks, cosy_all_tasks(NULL, NULL, 0));
    return left;
}

/* Stacks are given back by a loop that has been idle for some seconds. */
cosy_async static int wait_until_gone(const cosy_server *server, long memory)
{
    for (int i = 0; i < SOAK_SNAIL * 10; i++) {
        malloc_trim(0);
        if (clients_of(server) == 0 && user_memory() <= memory)
            break;
        cosy_try(cosy_sleep(COSY_MS(100)));
    }
    return 0;
}

cosy_async static int go_up_and_down(cosy_server *server, cosy_stream *clients, int connections, struct left *ret_down)
{
    struct left empty = look("before", server);
    cosy_try(tell(clients, 'f'));
    struct left some = look("the first", server);
    cosy_try(tell(clients, 'r'));
    struct left all = look("all", server);
    check(clients_of(server) == (size_t)connections, "not all clients are there");
    check(all.descriptors == empty.descriptors + connections, "a connection has other than one descriptor");
    check((long)cosy_all_tasks(NULL, NULL, 0) == connections + 1, "a connection has other than one task");
    double each = (double)(all.memory - some.memory) / (connections - FIRST);
    printf("each: %.0f bytes\n", each);
    check(each <= MOST_EACH, "that is too much");
    cosy_try(tell(clients, 'c'));
    long most = empty.memory + (all.memory - empty.memory) / 5;
    cosy_try(wait_until_gone(server, most));
    struct left down = look("closed", server);
    check(down.memory <= most, "the memory was not given back");
    check(clients_of(server) == 0 && cosy_all_tasks(NULL, NULL, 0) == 1, "clients are left");
    check(down.descriptors == empty.descriptors, "descriptors are left");
    *ret_down = down;
    return (int)(all.memory / 1024);
}

cosy_async static int serve(int fd, int connections, unsigned *ret_port)
{
    struct left once = {0}, twice = {0};
    cosy_scoped(cosy_server) server = NULL;
    cosy_scoped(cosy_stream) clients = NULL;
    cosy_try(cosy_start_server(&server, echo, 0, "127.0.0.1", 0, .backlog = 1024));
    *ret_port = cosy_server_port(server);
    cosy_try(cosy_stream_adopt(fd, &clients));
    cosy_try(cosy_write(clients, ret_port, sizeof *ret_port));
    int peak = cosy_try(go_up_and_down(server, clients, connections, &once));
    int again = cosy_try(go_up_and_down(server, clients, connections, &twice));
    check(again <= peak + peak / 20, "the second time took more memory than the first");
    check(twice.blocks <= once.blocks + 16, "blocks of the heap are left");
    check(twice.memory <= once.memory + (1 << 20), "memory is left");
    return 0;
}

static bool may_have(int descriptors)
{
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    if (limit.rlim_max < (rlim_t)descriptors) {
        printf("skipped: a process may have %llu descriptors, and %d are needed\n", (unsigned long long)limit.rlim_max,
               descriptors);
        return false;
    }
    limit.rlim_cur = limit.rlim_cur > (rlim_t)descriptors ? limit.rlim_cur : (rlim_t)descriptors;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    return true;
}

int main(int count, char **words)
{
    int ends[2], status, connections = count > 1 ? atoi(words[1]) : CONNECTIONS;
    unsigned port;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (connections <= FIRST || connections > 1 << 20)
        return 2;
    if (!may_have(connections + SPARE))
        return SKIPPED;
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        close(ends[0]);
        check(read(ends[1], &port, sizeof port) == (ssize_t)sizeof port, "the server did not start");
        _exit(be_clients(ends[1], port, connections));
    }
    close(ends[1]);
    cosy_heap_live(); /* counts from here on */
    int result = cosy_run(serve, ends[0], connections, &port);
    if (result < 0)
        cosy_print_error(stderr, result);
    check(waitpid(child, &status, 0) == child, "waitpid");
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the clients failed");
    return result < 0;
}
