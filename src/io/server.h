/* server.h - the inside of servers: what server*.c and listener.c share.
 *
 * Nothing here is a task but the handlers: a listener is a port whose waiter queues a callback, so a server needs no
 * stack and nobody can cancel its accepting.
 *
 * Invariants
 *  - A listener that serves is exactly one of: waiting at its port; its handle queued, or timed (after a lack of
 * something); or the server is full.
 *  - `connections` holds those whose handler has not returned, or whose stream is still being closed; `active` counts
 *    them. Each has begun: its first step runs inside the accepting callback, so that no cancel can come before it.
 *  - `refs` counts the owner, each connection, each task that waits here, and the accepting callback while it runs.
 *  - connection->stream is NULL once the stream was closed or detached, by whomever.
 */
#ifndef COSY_IO_SERVER_H
#define COSY_IO_SERVER_H

#include <cosy/server.h>

#include "../task/parcel.h"
#include "stream.h"

enum cosy_server_state { COSY_SERVER_BOUND, COSY_SERVER_SERVING, COSY_SERVER_CLOSED };

struct cosy_listener {
    struct cosy_listener *next;
    struct cosy_server *server;
    struct cosy_port port;
    struct cosy_port_waiter waiter;
    struct cosy_handle handle; /* calls cosy_listener's accepting */
    struct cosy_address address;
    struct cosy_net_file file; /* Unix, to be removed when it closes; inode 0: not */
};

struct cosy_connection {
    struct cosy_link link;
    struct cosy_server *server;
    cosy_stream *stream;
    struct cosy_task *task; /* borrowed: it is pending as long as this exists */
    bool *begun;            /* during its first step: to be set */
};

struct cosy_server {
    struct cosy_loop *loop; /* its memory is held */
    struct cosy_parcel *call;
    char *name; /* NULL: the handler's */
    uintptr_t context;
    struct cosy_server_options options; /* `name` is not used */
    struct cosy_listener *listeners, **last_listener;
    struct cosy_link connections, waiters;
    size_t active;
    uint64_t accepted, lost, refused;
    uint32_t refs;
    enum cosy_server_state state;
    bool told, paused, forever;
};

/* ---- listener.c ---- */

/* Adds a socket that is bound to the address, or an adopted one. 0, or the error with its message; the descriptor is
 * then the caller's. */
int cosy_listener_bind(struct cosy_server *server, const struct cosy_address *address);
int cosy_listener_adopt(struct cosy_server *server, int fd);
int cosy_listener_listen(struct cosy_listener *listener);
/* There may be something to accept, and room for it. */
void cosy_listener_kick(struct cosy_listener *listener);
void cosy_listener_close(struct cosy_listener *listener);
/* The descriptors are not the server's after all. */
void cosy_listener_release(struct cosy_listener *listener);

/* ---- server.c ---- */

static inline bool cosy_server_is_full(const struct cosy_server *server)
{
    return server->options.max_connections && server->active >= server->options.max_connections;
}
static inline const char *cosy_server_name(const struct cosy_server *server)
{
    return server->name ? server->name : server->call->site->name;
}
/* What its connections become before their handlers see them; NULL: nothing. */
static inline struct cosy_upgrade *cosy_server_upgrade(const struct cosy_server *server)
{
    return (struct cosy_upgrade *)server->options.tls;
}
static inline void cosy_server_ref(struct cosy_server *server) { server->refs++; }
void cosy_server_unref(struct cosy_server *server);
/* On several sockets of others, which stay theirs when it fails. Takes the call in any case. */
int cosy_server_start_on_all(cosy_server **ret_server, cosy_coro *call, const int *fds, size_t count,
                             const struct cosy_server_options *options);
/* To the loop's exception handler, from any stack; with the story of the error when it is a task's. */
void cosy_server_report(struct cosy_server *server, const char *message, int error, struct cosy_task *task);

/* ---- server_client.c ---- */

/* The stream is about to be closed by the handler, or detached. */
void cosy_connection_lost_stream(struct cosy_connection *connection);
/* Is the task one of the server's handlers? */
bool cosy_server_serves(const struct cosy_server *server, const struct cosy_task *task);
/* Starts the handler of an accepted connection. Takes the descriptor in any case. 0 or the error, which was told. */
int cosy_server_begin_connection(struct cosy_server *server, struct cosy_listener *listener, int fd,
                                 struct cosy_address *peer);
/* The server goes with its loop: what it has of connections whose tasks ended without returning. */
void cosy_server_drop_connections(struct cosy_server *server);

/* ---- server_end.c ---- */

/* Closed, and the last connection has gone: those who wait go on. */
void cosy_server_ended(struct cosy_server *server);

#endif
