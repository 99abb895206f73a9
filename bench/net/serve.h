/*
 * What the servers in C share, hand-written ones and libuv's: the listening socket, the line that says they are ready,
 * the line on SIGTERM.
 *
 * Protocol of the program: `PROGRAM serve MODE PORT` listens on 127.0.0.1:PORT, prints `ready` and serves until
 * SIGTERM, then prints `cpu_us N rss_kib N` and ends. A mode that makes no sense for it: `MODE n/a`, status 0.
 * What travels in each mode stands in bench/net/README.md.
 */
#pragma once

#include "../bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/socket.h>

enum {
    NET_CHUNK = 64 * 1024, /* what one read or write of a stream moves at most */
    NET_REQUEST = 64,      /* bytes of a request in the modes accept and work */
    NET_HEADER = 4,        /* size of the messages, little-endian, once per connection */
    NET_DATAGRAM = 2048,   /* more than any datagram of the rows */
    NET_SEGMENTS = 64,     /* datagrams in one buffer under segmentation offload: the kernel's limit */
    NET_BACKLOG = 4096,
};

static inline int net_check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static inline void net_set(int fd, int level, int option, int value)
{
    net_check(setsockopt(fd, level, option, &value, sizeof value), "setsockopt");
}

static inline struct sockaddr_in net_address(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int net_bind(int type, int port, bool shared)
{
    struct sockaddr_in address = net_address(port);
    int fd = net_check(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
    net_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared)
        net_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    net_check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
    return fd;
}

static inline int net_listen(int port, bool shared)
{
    int fd = net_bind(SOCK_STREAM | SOCK_NONBLOCK, port, shared);
    net_check(listen(fd, NET_BACKLOG), "listen");
    return fd;
}

static inline uint32_t net_read_size(const unsigned char bytes[NET_HEADER])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void net_write_size(unsigned char bytes[NET_HEADER], uint32_t size)
{
    for (int i = 0; i < NET_HEADER; i++)
        bytes[i] = (unsigned char)(size >> 8 * i);
}

/* The work of mode work: so many rounds of xorshift64 from a fixed start. A chain, so no compiler shortens it. */
static inline uint64_t net_work(uint32_t rounds)
{
    uint64_t x = 0x9E3779B97F4A7C15u;
    while (rounds--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

/* Answers a request of mode work in place: the first 8 bytes become the result, little-endian. */
static inline void net_answer_work(unsigned char message[NET_REQUEST])
{
    uint64_t result = net_work(net_read_size(message));
    for (int i = 0; i < 8; i++)
        message[i] = (unsigned char)(result >> 8 * i);
}

/* How many threads serve mode work: one processor each. */
static inline int net_workers(void)
{
    const char *workers = getenv("BENCH_WORKERS");
    return workers && atoi(workers) > 0 ? atoi(workers) : 1;
}

/* In a signal handler of a process that is about to end and prints nothing else. */
static inline void net_report_and_exit(int signal)
{
    (void)signal;
    char line[96], statm[64] = "";
    struct rusage usage;
    long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, statm, sizeof statm - 1) > 0)
        sscanf(statm, "%*d %ld", &pages);
    getrusage(RUSAGE_SELF, &usage);
    long cpu_us =
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    int size = snprintf(line, sizeof line, "cpu_us %ld rss_kib %ld\n", cpu_us, pages * sysconf(_SC_PAGESIZE) / 1024);
    _exit(write(STDOUT_FILENO, line, (size_t)size) == size ? 0 : 1);
}

/* Called once the socket listens. */
static inline void net_ready(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, net_report_and_exit);
    puts("ready");
    fflush(stdout);
}
