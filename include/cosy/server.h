/* cosy/server.h - servers: listening sockets, and a task for each client.
 *
 *     static int handle(cosy_stream *stream, struct app *app)          async def handle(reader, writer):
 *     {
 *         char *line;
 *         int64_t length;
 *         while ((length = cosy_readline(stream, &line)) > 0)              async for line in reader:
 *             cosy_try(cosy_write(stream, line, (size_t)length));              writer.write(line); await writer.drain()
 *         return (int)length;
 *     }
 *
 *     cosy_scoped(cosy_server) server = NULL;
 *     cosy_try(cosy_start_server(&server, handle, &app, "127.0.0.1", 8888));  server = await asyncio.start_server(handle, "127.0.0.1", 8888)
 *     return cosy_serve_forever(server);                                      async with server: await server.serve_forever()
 *
 * THE HANDLER is any function that takes a stream and one more argument of any type; the compiler checks both. It runs
 * as a task of its own, named after itself and its client ("handle 192.0.2.7:50412"), in a copy of the context in which
 * the server was started. When it returns, what it wrote is sent and the connection closed: it need not do that, but
 * may. An error that it returns goes to the loop's exception handler, with the client's address, and its connection is
 * aborted, so that the client does not take what it got for everything; that the client went away (the error is the
 * stream's own) is told to nobody. A handler that is cancelled closes its connection. None of that concerns other
 * clients or the server.
 *
 * TLS. With .tls the handshake is made in the client's task, before the handler is called: a client that stalls there
 * keeps nobody else waiting. One that fails is the client's affair: it is counted (refused), told in debug mode, and
 * the handler is not called.
 *
 * ENDING. There are three ways, and each is asked for by its name:
 *     cosy_server_close(server)                          accepts no more; clients go on                        server.close()
 *     cosy_server_drain(server, COSY_S(30), COSY_S(5))  ... waits 30 s for them, then cancels what is left, then aborts it
 *     cosy_server_abort_clients(server)                 clients' connections are reset now
 * cosy_server_free, and the end of the block for cosy_scoped, cancels the handlers that are left and waits for them:
 * none outlives what its argument points to.
 *
 * LACK. Without descriptors or memory a server stops accepting for one second, tells the exception handler once, and
 * goes on. A connection that was accepted and cannot be served is closed, and told. With .max_connections clients it
 * waits until one leaves; the others queue in the kernel.
 *
 * A server belongs to its loop's thread. To use several threads, start one in each with .reuse_port (cosy/workers.h),
 * or give each a dup of one listening socket (cosy_start_server_on). Semantics: asyncio.Server, with the differences
 * told here.
 */
#ifndef COSY_SERVER_H
#define COSY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "coro.h"
#include "stream.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A server: its listening sockets and its clients' tasks. Its owner ends it by cosy_server_free. */
typedef struct cosy_server cosy_server;

struct cosy_tls_context; /* cosy/tls.h */

/* How a server is to be. Every default is zero. */
struct cosy_server_options {
    size_t struct_size;        /* filled in by the macros */
    const char *name;          /* first word of its tasks' names, and its own in messages; copied. NULL: the handler's
                                * name */
    int backlog;               /* connections that the kernel keeps waiting; 0: 100 */
    size_t max_connections;    /* clients at a time; 0: no limit */
    size_t stack_size;         /* of the handlers' tasks, bytes; 0: 64 KiB */
    struct cosy_stream_options stream; /* of the clients' streams */
    int family;                /* AF_INET or AF_INET6: only such addresses of a host; 0: all */
    bool start_later;          /* bound, but refusing connections until cosy_server_start_serving
                                * (start_serving=False) */
    bool no_reuse_address;     /* not SO_REUSEADDR: the port stays taken for a minute after a server with clients has
                                * ended */
    bool reuse_port;           /* SO_REUSEPORT: several servers share the port, and the kernel spreads connections */
    bool keep_alive;           /* SO_KEEPALIVE on each connection */
    mode_t mode;               /* Unix: permissions of the socket's file, set before anybody can connect; 0: what the
                                * umask leaves */
    bool keep_socket;          /* Unix: leave the file when the server closes (cleanup_socket=False) */
    struct cosy_tls_context *tls; /* speak TLS, with this certificate (ssl=); the server holds the context. NULL:
                                   * plain */
    cosy_ns handshake_timeout; /* of TLS (ssl_handshake_timeout); 0: 60 s; COSY_NEVER: none */
    cosy_ns shutdown_timeout;  /* how long closing waits for a client's goodbye (ssl_shutdown_timeout); 0: 30 s;
                                * negative: not at all */
};
#define COSY_SERVER_OPTIONS_(...)                                                                              \
    (&(const struct cosy_server_options){.struct_size = sizeof(struct cosy_server_options), __VA_ARGS__})
#define COSY_HANDLER_(handler, arg) cosy_call(handler, (cosy_stream *)0, arg)

/* ---- starting ---- */

/*     int cosy_start_server(cosy_server **ret_server, handler, arg, const char *host, unsigned port, .option = value...);
 *
 * Listens on a host's addresses and serves each client by handler(stream, arg). host: an address or name, several with
 * commas between them; NULL or "": all interfaces; IPv4 and IPv6 get sockets of their own. port 0: a free one, the same
 * for all sockets (cosy_server_port tells). Addresses of a family that the machine does not have are left out, as long
 * as one is left. The caller owns *ret_server, which is NULL when it failed. 0; -EADDRINUSE, -EACCES, -EADDRNOTAVAIL
 * with the address in the message; -COSY_ENONAME; -EINVAL; -EMFILE, -ENFILE, -ENOMEM; -COSY_ENOLOOP. Suspends only
 * while a name is looked up. */
#define cosy_start_server(ret_server, handler, arg, host, port, ...)                                           \
    cosy_start_server_((ret_server), COSY_HANDLER_(handler, arg), (host), (port), COSY_SERVER_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_start_server_(cosy_server **ret_server, cosy_coro *call, const char *host, unsigned port,
                                  const struct cosy_server_options *options);

/*     int cosy_start_unix_server(cosy_server **ret_server, handler, arg, const char *path, .option = value...);
 *
 * The same on a Unix socket; a path that begins with '@' is an abstract name. A socket's file that is there already is
 * removed first, also when somebody listens on it (as asyncio does); any other file is -EADDRINUSE. Closing the server
 * removes the file, if it is still the same one. -ENAMETOOLONG, -EACCES, -ENOENT, -ENOTDIR with the path in the
 * message; else as cosy_start_server. Does not suspend. */
#define cosy_start_unix_server(ret_server, handler, arg, path, ...)                                            \
    cosy_start_unix_server_((ret_server), COSY_HANDLER_(handler, arg), (path), COSY_SERVER_OPTIONS_(__VA_ARGS__))
int cosy_start_unix_server_(cosy_server **ret_server, cosy_coro *call, const char *path,
                            const struct cosy_server_options *options);

/*     int cosy_start_server_on(cosy_server **ret_server, handler, arg, int fd, .option = value...);
 *
 * The same on a bound stream socket of the caller's (sock=...): it is the server's from here on, on success only, and
 * closed with it. It is made non-blocking. To listen in several loops give each a dup of it, and `.keep_socket` where
 * it is a Unix socket's. -EBADF; -ENOTSOCK; -EINVAL: it is not a stream socket; -EEXIST: the program watches it itself;
 * else as cosy_start_server. Does not suspend. */
#define cosy_start_server_on(ret_server, handler, arg, fd, ...)                                                \
    cosy_start_server_on_((ret_server), COSY_HANDLER_(handler, arg), (fd), COSY_SERVER_OPTIONS_(__VA_ARGS__))
int cosy_start_server_on_(cosy_server **ret_server, cosy_coro *call, int fd, const struct cosy_server_options *options);

/*     int cosy_start_systemd_server(cosy_server **ret_server, handler, arg, const char *name, .option = value...);
 *
 * The same on the sockets that systemd's socket activation passed to this process: those with FileDescriptorName=name,
 * or all of them (NULL). Files of Unix sockets stay, since they are systemd's. -ENOENT: there are none; else as
 * cosy_start_server_on. Protocol: sd_listen_fds(3). Does not suspend. */
#define cosy_start_systemd_server(ret_server, handler, arg, name, ...)                                         \
    cosy_start_systemd_server_((ret_server), COSY_HANDLER_(handler, arg), (name), COSY_SERVER_OPTIONS_(__VA_ARGS__))
int cosy_start_systemd_server_(cosy_server **ret_server, cosy_coro *call, const char *name,
                               const struct cosy_server_options *options);

/* The descriptors that socket activation passed to this process under a name (NULL: all), as
 * sd_listen_fds_with_names(3): up to `room` of them are written to `fds`, and made close-on-exec. Returns how many
 * there are; 0 without activation; -EINVAL when the environment makes no sense. They are the caller's. Any thread. */
int cosy_listen_fds(const char *name, int *fds, size_t room);

/* Begins to accept, for a server with .start_later; nothing for one that does already. 0, -COSY_ECLOSED; an error of
 * listen(2), which closes the server. */
int cosy_server_start_serving(cosy_server *server);

/* ---- ending ---- */

/* Serves until the server is closed (by another task or callback, or by cosy_server_drain) and its last client has
 * gone: 0. When the task is cancelled, closes it, cancels the handlers, waits for them and gives -ECANCELED; one more
 * cancel resets their connections. -COSY_ECLOSED; -COSY_EINVALIDSTATE when another task is in it; errors of
 * cosy_server_start_serving; -COSY_ESELF in one of its handlers; -COSY_ENOTASK. Differs: asyncio's is cancelled by
 * Server.close() */
cosy_async int cosy_serve_forever(cosy_server *server);

/* Stops accepting: the sockets are closed, clients that the kernel kept waiting are reset. Those that were accepted go
 * on. Idempotent; NULL is fine. Never suspends. */
void cosy_server_close(cosy_server *server);

/* Waits until the server is closed and has no client. 0, -ECANCELED (nothing happens to the server), -COSY_ENOTASK,
 * -COSY_ESELF in one of its handlers. */
cosy_async int cosy_server_wait_closed(cosy_server *server);

/* Closes the server and waits for its clients: for `limit` ns until their handlers have returned; then cancels those
 * and waits for `grace` ns; then aborts their connections and waits. COSY_NEVER: no limit; 0: none is given. A cancel
 * of the calling task ends the first wait, or aborts. 0: all ended by themselves; -ETIMEDOUT: some were cancelled;
 * -ECANCELED, when there are no more clients either; -COSY_ENOTASK, -COSY_ESELF in one of its handlers. */
cosy_async int cosy_server_drain(cosy_server *server, cosy_ns limit, cosy_ns grace);

/* Ends the input of each client: its handler reads what has come, and then the end, as if the client had said so; it
 * can still write. Never suspends. */
void cosy_server_close_clients(cosy_server *server);

/* Resets each client's connection: its handler gets -ECONNABORTED where it reads or writes. Never suspends. */
void cosy_server_abort_clients(cosy_server *server);

/* Cancels each client's handler, as cosy_task_cancel does. Never suspends. */
void cosy_server_cancel_clients(cosy_server *server);

/* Closes the server, cancels the handlers that are left, waits for them, and frees it. Waits even when the task is
 * cancelled (which resets their connections); the cancel meets the task's next wait. Outside a task, and in one of its
 * handlers, it does not wait: the last handler frees it. NULL is fine. */
cosy_async void cosy_server_free(cosy_server *server);
static inline cosy_async void cosy_server_dropp_(cosy_server **server) { cosy_server_free(*server); }
#define COSY_DROPP_cosy_server_ cosy_server_dropp_ /* cosy_scoped(cosy_server) */

/* ---- what it is ---- */

/* Whether it accepts connections. NULL: no. */
bool cosy_server_is_serving(const cosy_server *server);

/* Its listening sockets: up to `room` descriptors, which stay the server's; returns how many there are, 0 when it is
 * closed. */
size_t cosy_server_sockets(const cosy_server *server, int *fds, size_t room);

/* The address of the socket with that index, from 0, also when it is closed. -ERANGE: it has not so many. */
int cosy_server_address(const cosy_server *server, size_t index, struct cosy_address *ret_address);

/* The port of its first socket that has one; 0: none. */
unsigned cosy_server_port(const cosy_server *server);

/* Counters for monitors. */
struct cosy_server_stats {
    size_t connections; /* clients now */
    uint64_t accepted;  /* since it was made */
    uint64_t lost;      /* accepted, and closed at once for lack of memory */
    bool paused;        /* it stopped accepting for a second, for lack of descriptors or memory */
    uint64_t refused;   /* whose TLS handshake failed: the handler did not see them */
};
void cosy_server_get_stats(const cosy_server *server, struct cosy_server_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
