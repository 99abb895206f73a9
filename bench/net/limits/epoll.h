/*
 * The hand-written epoll server: level-triggered, the operation first and the wait only when it would block. A lower
 * bound, no product: no limits on clients, no time-outs, little error handling.
 */
#pragma once

#include "../serve.h"

#include <sys/epoll.h>

struct watch {
    void (*ready)(struct watch *self, uint32_t events);
    int fd;
};

/* Bytes that did not fit into the socket: while there are any, nothing more is read, so one buffer is enough. */
struct backlog {
    unsigned char *bytes;
    size_t used, sent;
};

extern bool epoll_single; /* BENCH_SINGLE: one system call for each message, to show what batching pays */

void epoll_watch(struct watch *watch, uint32_t events);
void epoll_rewatch(struct watch *watch, uint32_t events);
_Noreturn void epoll_run(void);
void epoll_serve_port(int port, bool shared, void (*accepted)(int fd)); /* each connection: nodelay, nonblocking */
void epoll_close(struct watch *watch);                                  /* closes and frees */
/* For memory that another event of the same batch may still name: freed once the batch is through. */
void epoll_free_later(void *memory);
/* Sends now, keeps the rest and waits for room. False: the peer has gone. */
bool epoll_send(struct watch *watch, struct backlog *backlog, const void *bytes, size_t size);
bool epoll_send_backlog(struct watch *watch, struct backlog *backlog); /* on EPOLLOUT */
/* One recv: 0 would block, -1 ended or failed. */
ssize_t epoll_receive(int fd, void *buffer, size_t size);

typedef void epoll_mode(int port); /* opens what it serves and returns */
epoll_mode epoll_echo, epoll_pipelined, epoll_sink, epoll_source, epoll_accept, epoll_work, epoll_forward;
epoll_mode epoll_udp_echo, epoll_udp_echo_gso, epoll_udp_sink, epoll_udp_sink_gso;
