/*
 * The load generator: one thread, one epoll, a closed loop. Every mode is a set of sockets whose handlers count
 * operations in `load`; load.c runs the loop, first to warm up and then to measure.
 */
#pragma once

#include "histogram.h"
#include "serve.h"

#include <sys/epoll.h>

/* What epoll hands back. First in every structure that has a socket. */
struct watch {
    void (*ready)(struct watch *self, uint32_t events);
    int fd;
};

struct load {
    const char *mode;
    int port, connections, depth;
    size_t size;     /* bytes of a message */
    uint32_t rounds; /* mode work: what each request asks for */
    double seconds, warm_up;
    int pid;   /* the server, 0: unknown */
    int cpu;   /* the processor that it alone runs on, -1: none */
    bool spin; /* never sleep */
    int epoll;
    uint64_t now;  /* ns; read by handlers that measure latency */
    uint64_t done; /* operations since the phase began */
    uint64_t lost; /* datagrams */
    struct histogram latency;
};
extern struct load load;

struct load_mode {
    const char *name;
    void (*open)(void);  /* connects; nothing is counted yet, but what the server answers is compared */
    void (*close)(void); /* may check that nothing was lost; NULL: the process ends, that is all */
    void (*tick)(void);  /* every 100 ms or so; NULL: not needed */
};
extern const struct load_mode load_closed_loop_modes[3], load_stream_modes[2], load_forward_modes[2], load_udp_modes[4],
    load_accept_mode;
/* What the closed loop needs where the server passes messages on: called once after each connect and after its first
 * message. */
struct load_upstream {
    void (*accept)(void);
    void (*answer)(void);
};
extern const struct load_upstream *load_upstream; /* NULL: the server answers itself */
void load_open_sessions(void);                    /* the closed loop's */
int load_idle(void);                              /* has no phases: opens, compares memory, prints */

uint64_t load_clock_ns(void);
_Noreturn void load_fail(const char *what); /* with errno, when it is set */
void load_turn(int timeout_ms);             /* one epoll_wait and what it brings */
void load_watch(struct watch *watch, uint32_t events);
void load_rewatch(struct watch *watch, uint32_t events);
/* Leaves no port behind that waits for a minute: the rows would run out of them. Used on every connection. */
void load_close_by_reset(int fd);
int load_connect(int port); /* connected, nodelay, still blocking */
void load_set_nonblocking(int fd);
void load_write_all(int fd, const void *data, size_t size);
void load_read_all(int fd, void *data, size_t size);
unsigned char *load_pattern(size_t size); /* bytes that tell a shifted or repeated message */
bool load_would_block(ssize_t result);    /* true: try later; an error other than that ends the program */

/* server.c: the server's side, read from /proc. */
double load_server_cpu_ns(int pid);     /* of all its threads */
double load_processor_busy_ns(int cpu); /* not idle, softirq included; resolution 10 ms */
double load_all_busy_ns(
    int *count); /* of all processors that the load or the server may use, time taken by the host included */
double load_server_memory(int pid); /* resident and page tables */
