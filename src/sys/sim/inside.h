/* inside.h - what the files of the simulated kernel share: descriptors, files behind them, what is under way.
 *
 * Invariants
 *  - A file lives as long as something refers to it: its descriptors, messages under way that carry it (SCM_RIGHTS),
 *    and a line of connections that wait to be accepted. When the last is gone its kind's close() ends what it does for
 *    others and frees it.
 *  - Nothing is under way (`network.next` is NULL) exactly when no time that passes can change anything.
 *  - Whatever changes a file's readiness calls cosy_sim_touch: edges come from there only.
 *  - What is due is delivered before each call and each look at readiness (cosy_sim_catch_up), so that with no latency
 *    an answer is there when the next call is made.
 */
#ifndef COSY_SYS_SIM_INSIDE_H
#define COSY_SYS_SIM_INSIDE_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../base/heap.h"
#include "../../base/list.h"
#include "../net.h"
#include "network.h"

enum { SIM_FIRST_VIRTUAL = 1 << 28, SIM_MOST_VIRTUAL = 1 << 28 };

/* Of poll's bits READ_END is one more. */
enum { SIM_BOTH = COSY_SYS_READ | COSY_SYS_WRITE };

struct sim_network;
struct sim_file;

/* ---- what is under way ---- */

/* Lies in what it is for. A pairing heap, ordered by time and then by age. */
struct sim_event {
    struct sim_event *child, *next, *prev;
    cosy_ns at;
    uint64_t age;
    bool waiting;
    void (*run)(struct sim_network *network, struct sim_event *event); /* off the heap already */
};

void cosy_sim_schedule(struct sim_network *network, struct sim_event *event, cosy_ns at); /* again: moves it */
void cosy_sim_unschedule(struct sim_network *network, struct sim_event *event);
void cosy_sim_catch_up(struct sim_network *network);

/* ---- descriptors and files ---- */

struct sim_file_kind {
    unsigned (*poll)(struct sim_network *network, struct sim_file *file); /* READ, WRITE, ERROR, HANGUP, READ_END */
    void (*close)(struct sim_network *network, struct sim_file *file);
    /* Lets go of the files that it carries, before the kernel closes: they may carry each other. */
    void (*purge)(struct sim_network *network, struct sim_file *file);
};

struct sim_file {
    const struct sim_file_kind *kind;
    struct cosy_link of_network;
    int references;
    int descriptor; /* the first of its numbers, -1: none */
    bool blocking;  /* O_NONBLOCK was taken off; calls do not wait all the same */
};

struct sim_descriptor {
    struct sim_file *file; /* NULL: free */
    uint64_t serial;       /* no other ever has it */
    int next;              /* of the same file */
};

enum { SIM_PORT_BUCKETS = 256 };

struct sim_network {
    struct cosy_sys *sys;
    struct sim_descriptor *table;
    int count, room, lowest, open; /* `lowest`: none below it is free */
    uint64_t serials;
    struct cosy_link files;
    struct sim_event *next;
    uint64_t events_made;
    struct cosy_link ports[SIM_PORT_BUCKETS]; /* sockets with a port; those that listen in front */
    struct cosy_link names;                   /* of Unix sockets */
    struct cosy_link hosts, routes;
    struct cosy_sim_character character;
    uint64_t random;
    uint16_t last_port;
};

static inline bool sim_is_virtual(int fd)
{
    return fd >= SIM_FIRST_VIRTUAL;
}

void cosy_sim_network_open(struct sim_network *network, struct cosy_sys *sys, uint64_t seed);
void cosy_sim_network_close(struct sim_network *network);
extern const struct cosy_net_ops cosy_sim_net_ops;

void cosy_sim_file_init(struct sim_network *network, struct sim_file *file, const struct sim_file_kind *kind);
void cosy_sim_file_release(struct sim_network *network, struct sim_file *file);
/* A number for the file; it holds a reference. -EMFILE, -ENOMEM: the file is as before. */
int cosy_sim_install(struct sim_network *network, struct sim_file *file);
struct sim_file *cosy_sim_file(struct sim_network *network, int fd); /* NULL: -EBADF */
uint64_t cosy_sim_serial(struct sim_network *network, int fd);       /* 0: no descriptor */
void cosy_sim_close_descriptor(struct sim_network *network, int fd);
/* READ, WRITE: may have become ready, or found an error or an end. */
void cosy_sim_touch(struct sim_network *network, struct sim_file *file, unsigned events);

/* ---- the kernel's, for the network (sim.c) ---- */

struct sim_network *cosy_sim_network(struct cosy_sys *sys);
/* An edge for whoever watches this number; `certain`: also when it is a false alarm. */
void cosy_sim_edge(struct cosy_sys *sys, int fd, unsigned events, bool certain);
static inline cosy_ns sim_clock(const struct sim_network *network)
{
    return network->sys->ops->now(network->sys);
}

/* ---- chance ---- */

uint64_t cosy_sim_chance(struct sim_network *network);
bool cosy_sim_happens(struct sim_network *network, unsigned per_million);
size_t cosy_sim_part(struct sim_network *network, size_t size); /* 1 to size; 0 of 0 */
cosy_ns cosy_sim_latency(struct sim_network *network);

/* ---- bytes ---- */

/* A place in a list of parts. */
struct sim_parts {
    const struct iovec *part;
    size_t count, done; /* done: of the first part */
};

static inline struct sim_parts sim_parts_of(const struct iovec *parts, size_t count)
{
    return (struct sim_parts){parts, count, 0};
}
size_t cosy_sim_parts_size(const struct iovec *parts, size_t count);
void cosy_sim_parts_put(struct sim_parts *parts, const void *data, size_t size); /* into memory */
void cosy_sim_parts_get(struct sim_parts *parts, void *data, size_t size);       /* out of it */

struct sim_address {
    socklen_t size; /* 0: none */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
};

/* Descriptors under way in a message. */
struct sim_rights {
    int count;
    struct sim_right {
        struct sim_file *file; /* NULL: a real one */
        int real;
    } list[];
};

struct sim_chunk {
    struct sim_chunk *next;
    cosy_ns at; /* when it arrives */
    size_t begin, end, room;
    struct sim_rights *rights;
    struct sim_address from; /* of a datagram */
    struct sim_address to;
    char data[];
};

/* Bytes on their way to a reader.
 *
 * Invariants
 *  - visible <= arrived <= total, all counted from the first byte that was not read.
 *  - `cursor` is the first chunk that has not arrived. Chunks of messages are never joined, and may be empty.
 *  - `ended` only when all is visible. */
struct sim_flow {
    struct sim_chunk *first, *last, *cursor;
    size_t total, arrived, visible;
    uint32_t chunks;
    cosy_ns last_at, end_at;
    bool ending, ended; /* the writer will write no more; and the reader can know */
};

struct sim_chunk *cosy_sim_chunk(size_t room);
void cosy_sim_chunk_free(struct sim_network *network, struct sim_chunk *chunk);
/* Appends `size` bytes that arrive at `at`, or later where earlier ones do. -ENOBUFS: nothing was appended. */
int cosy_sim_flow_append(struct sim_flow *flow, struct sim_parts *parts, size_t size, cosy_ns at, cosy_ns now,
                         struct sim_rights *rights, bool message);
void cosy_sim_flow_append_chunk(struct sim_flow *flow, struct sim_chunk *chunk, cosy_ns now);
void cosy_sim_flow_arrive(struct sim_flow *flow, cosy_ns now); /* moves the cursor */
/* Copies up to `size` visible bytes out; parts NULL: nowhere. With `keep` they stay. */
size_t cosy_sim_flow_copy(struct sim_network *network, struct sim_flow *flow, struct sim_parts *parts, size_t size,
                          bool keep);
void cosy_sim_flow_pop(struct sim_network *network, struct sim_flow *flow); /* the first chunk */
void cosy_sim_flow_clear(struct sim_network *network, struct sim_flow *flow);
void cosy_sim_flow_drop_unseen(struct sim_network *network, struct sim_flow *flow);

/* ---- pipes ---- */

int cosy_sim_pipe(struct sim_network *network, int fds[2]);
extern const struct sim_file_kind cosy_sim_pipe_kind;
int cosy_sim_pipe_read(struct sim_network *network, struct sim_file *file, struct sim_parts parts, size_t size,
                       bool keep);
int cosy_sim_pipe_write(struct sim_network *network, struct sim_file *file, struct sim_parts parts, size_t size);

/* A descriptor whose readiness a test sets by hand. */
int cosy_sim_manual(struct sim_network *network);
int cosy_sim_manual_set(struct sim_network *network, int fd, unsigned events);

/* ---- sendfile and splice ---- */

int cosy_sim_sendfile(struct sim_network *network, struct sim_file *out, int file, off_t *offset, size_t size);
int cosy_sim_splice(struct sim_network *network, struct sim_file *in, struct sim_file *out, size_t size);

#endif
