/* connect.h - sockets on their way to being connected: for connections, and for the rooms of datagrams and plain
 * sockets. */
#ifndef COSY_IO_CONNECT_H
#define COSY_IO_CONNECT_H

#include <cosy/dns.h>
#include <cosy/time.h>

#include "../sys/net.h"
#include "../task/task.h"

/* A list with room for `count` items, to be filled in; NULL: no memory. */
cosy_address_list *cosy_address_list_new(size_t count);

/* Begins to connect a non-blocking socket: 0, -EINPROGRESS (wait for an edge to write, then ask cosy_connect_result),
 * or its error; of a Unix socket -EAGAIN: the backlog is full, nothing has begun. */
int cosy_connect_begin(struct cosy_sys *sys, int fd, const struct cosy_address *remote);
/* What has come of it: 0, -EINPROGRESS (an edge may be a false alarm), or the error. */
int cosy_connect_result(struct cosy_sys *sys, int fd);

/* A race of stream sockets to several addresses; in the caller's frame. */
struct cosy_connect {
    cosy_address_list *remotes; /* tried in this order */
    cosy_address_list *locals;  /* what to bind to, the first that works and is of the remote's family; NULL: nothing */
    cosy_ns delay;              /* each one's head start; negative: the next begins when the one before has failed */
    size_t winner;              /* which of the remotes was it */
    bool nodelay;
    int error;   /* which of `errors` the result is */
    int *errors; /* of each remote, when all failed: in one piece with the race, which stays until cosy_connect_end */
    struct cosy_connecting *race;
};

/* Runs the race: >= 0 is the connected descriptor, the caller's, and the only one that is open. -ECANCELED, -ENOMEM:
 * nothing to be told. Other errors are one of `errors`, without a message. The lists stay the caller's; they and the
 * race are freed by cosy_connect_end, or with the loop when that closes under the waiting task. */
cosy_async int cosy_connect_race(struct cosy_task *me, struct cosy_connect *connect);
void cosy_connect_end(struct cosy_connect *connect);

/* A stream socket, IP or Unix, that is connected with `remote`, from `local` if that is not NULL: *ret_fd, the
 * caller's. 0, or the error with the address in its message. Waits while a Unix socket's backlog is full. */
cosy_async int cosy_connect_fd(const struct cosy_address *remote, const struct cosy_address *local, int *ret_fd);

#endif
