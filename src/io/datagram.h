/* datagram.h - the inside of endpoints for datagrams, shared by datagram*.c.
 *
 * Each side (receiving, sending) has a line of tasks and at most one holder of the turn: a task that was woken in order
 * to try. A task tries at once only where nobody waits and nobody holds the turn, so those that wait are served in
 * their order.
 *
 * Invariants
 *  - Tasks are in line only while somebody holds the turn (`taken`) or the side waits at the port for an edge.
 *  - Who holds the turn gives it back by cosy_datagram_done, or goes back to the head of the line; also when it is
 * cancelled.
 *  - The side does not wait at the port while nobody is in line: the loop could not tell a deadlock otherwise.
 *  - `users` counts the tasks that are suspended in a call on the endpoint; memory is freed by whoever is last after
 * cosy_datagram_close.
 *  - header, part and control are used from one system call's preparation to the look at its result, and never across a
 * wait.
 */
#ifndef COSY_IO_DATAGRAM_H
#define COSY_IO_DATAGRAM_H

#include <cosy/datagram.h>

#include "../sync/waiters.h"
#include "port_wait.h"

struct cosy_datagram_side {
    struct cosy_line line;
    struct cosy_port_waiter edge;
    bool taken;
};

enum { COSY_DATAGRAM_BATCH = 64, COSY_DATAGRAM_CONTROL = 192 };
enum { COSY_DATAGRAM_REPORTS = 16, COSY_DATAGRAM_TURN = 128 /* datagrams that one turn of the loop may move here */ };

/* Reports that were taken out of the kernel: it shows a descriptor with any as ready, however often nothing can be
 * read. */
struct cosy_datagram_reports {
    uint32_t first, count;
    struct cosy_datagram_error of[COSY_DATAGRAM_REPORTS + 1]; /* one is being asked for */
};

struct cosy_datagram {
    struct cosy_port port;
    struct cosy_loop *loop;
    struct cosy_datagram_side sides[2];
    uint32_t users;
    int family;
    bool closing, closed; /* cosy_datagram_abort; cosy_datagram_close */
    bool was_blocking;
    bool control_wanted; /* received ones carry more than their bytes: .gro, .destination */
    bool one_by_one;     /* connected, or asking for reports: a batch that ends early might lose an error */
    signed char segments; /* the kernel cuts: 1, does not: -1, not asked yet: 0 */
    uint64_t turn;       /* the latest turn of the loop in which datagrams moved */
    uint32_t spent;      /* how many in that turn */
    int held_error;      /* the next call's: came behind datagrams of the same call, or with a report that was taken; 0:
                          * none */
    struct cosy_datagram_reports *reports; /* NULL: not wanted */
    struct cosy_datagram_stats stats;
    char *path; /* Unix: the file that is its own, and which one it is */
    struct cosy_net_file file;
    struct msghdr header;
    struct iovec part;
    _Alignas(struct cmsghdr) char control[COSY_DATAGRAM_CONTROL];
};

/* What one system call for many needs, in a buffer of the loop's. */
struct cosy_datagram_batch {
    struct mmsghdr headers[COSY_DATAGRAM_BATCH];
    struct iovec parts[COSY_DATAGRAM_BATCH];
    _Alignas(struct cmsghdr) char control[COSY_DATAGRAM_BATCH][COSY_DATAGRAM_CONTROL];
};

/* ---- datagram_wait.c ---- */

/* Whether the calling task's call may go on: the task, or NULL and *ret_error. */
struct cosy_task *cosy_datagram_begin(cosy_datagram *endpoint, const char *call, int *ret_error);
/* 0; -COSY_ECLOSED, -ECONNABORTED, -EINVAL for NULL. */
int cosy_datagram_usable(const cosy_datagram *endpoint);
/* Whether a task must wait behind others. */
static inline bool cosy_datagram_busy(const cosy_datagram *endpoint, enum cosy_port_side side)
{
    return endpoint->sides[side].taken || !cosy_line_empty(&endpoint->sides[side].line);
}
/* Waits for the turn, `again`: has it, and tried in vain. 0: has the turn, and must try. Negative: has it not, and the
 * endpoint may be gone. */
int cosy_datagram_await(struct cosy_task *me, cosy_datagram *endpoint, enum cosy_port_side side, bool again);
/* The turn is over, if the task had it. */
void cosy_datagram_done(cosy_datagram *endpoint, enum cosy_port_side side, bool had_turn);
/* Everybody who waits is woken with a negative code, and the descriptor is closed. */
void cosy_datagram_shut(cosy_datagram *endpoint, int result);
/* Sleeps in a call on it. 0 or negative, and the endpoint may be gone. */
cosy_async int cosy_datagram_pause(cosy_datagram *endpoint, cosy_ns delay);
void cosy_datagram_open_sides(cosy_datagram *endpoint);
/* Counts what moved. */
void cosy_datagram_count(cosy_datagram *endpoint, unsigned datagrams);
static inline bool cosy_datagram_had_its_turn(const cosy_datagram *endpoint)
{
    return unlikely(endpoint->spent >= COSY_DATAGRAM_TURN) && endpoint->turn == cosy_loop_turns(endpoint->loop);
}

/* ---- datagram.c ---- */

void cosy_datagram_exit(cosy_datagram *endpoint); /* may free it */
/* cosy_fail with the other end in the message; counts it. Returns `error`. */
int cosy_datagram_fail(cosy_datagram *endpoint, enum cosy_port_side side, const struct cosy_address *to, int error);
int cosy_datagram_set(cosy_datagram *endpoint, int level, int name, int value);

/* ---- datagram_error.c ---- */

/* Takes the kernel's reports over, so that waiting means something again. The latest one's error; 0: there was none. */
int cosy_datagram_take_reports(cosy_datagram *endpoint);
/* What a call is to give instead of being made; 0: nothing. */
static inline int cosy_datagram_held_error(cosy_datagram *endpoint)
{
    int held = endpoint->held_error;
    endpoint->held_error = 0;
    return held;
}
int cosy_datagram_want_reports(cosy_datagram *endpoint);

#endif
