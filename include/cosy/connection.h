/* cosy/connection.h - connections to servers, as streams.
 *
 *     cosy_scoped(cosy_stream) stream = NULL;
 *     cosy_try(cosy_open_connection("example.com", 80, &stream));     reader, writer = await asyncio.open_connection("example.com", 80)
 *     cosy_try(cosy_open_unix_connection("/run/app.sock", &stream));  await asyncio.open_unix_connection("/run/app.sock")
 *
 * A host with several addresses is tried as browsers do ("happy eyeballs"): IPv6 and IPv4 in turn; the next address
 * begins 250 ms after the one before it, or at once when that has failed; the first that is connected wins, and the
 * others are closed. An address that does not answer so costs a quarter of a second, not minutes.
 *
 * Limits in time are scopes: cosy_wait_for, COSY_TIMEOUT. Cancelled at any moment, nothing is left behind.
 * Semantics: https://docs.python.org/3/library/asyncio-stream.html, RFC 8305.
 */
#ifndef COSY_CONNECTION_H
#define COSY_CONNECTION_H

#include <stddef.h>

#include "colour.h"
#include "stream.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cosy_tls_context; /* cosy/tls.h */

/* How to connect. Every default is zero. */
struct cosy_connection_options {
    size_t struct_size;                /* filled in by the macro */
    struct cosy_stream_options stream; /* of the stream: .stream.limit = 4096 */
    int family;                        /* AF_INET, AF_INET6; AF_UNSPEC: both */
    const char *service;               /* name of the port, "http", looked up instead of `port`; NULL: none */
    const char *local_host;            /* name or address to connect from; NULL: the kernel's choice */
    unsigned local_port;               /* port to connect from, one address after the other, since only one socket at a
                                        * time can have it; 0: the kernel's choice */
    cosy_ns happy_eyeballs_delay;      /* the head start of each address before the next; 0: 250 ms; 1 ns: all at once;
                                        * negative: the next begins only when the one before has failed */
    int interleave;                    /* how many addresses of the first family come before the first one of the other,
                                        * in turn from there on; 0: 1, or the resolver's order when happy_eyeballs_delay
                                        * is negative; negative: the resolver's order */
    int flags;                         /* AI_... of the look-up, see cosy_getaddrinfo */
    struct cosy_tls_context *tls;      /* speak TLS: cosy_tls_default(), or a context of the caller's, borrowed for the
                                        * call (ssl=); NULL: plain */
    const char *server_hostname;       /* whom the certificate is to name; NULL: the host */
    cosy_ns handshake_timeout;         /* of TLS (ssl_handshake_timeout); 0: 60 s; COSY_NEVER: none */
    cosy_ns shutdown_timeout;          /* how long closing waits for the peer's goodbye (ssl_shutdown_timeout); 0: 30 s;
                                        * negative: not at all */
};

/*     int cosy_open_connection(const char *host, unsigned port, cosy_stream **ret_stream, .option = value...);
 *
 * Connects by TCP (asyncio.open_connection, loop.create_connection). host: a name or numeric address; NULL: this
 * machine. *ret_stream is the caller's to close; NULL on errors. TCP_NODELAY is set, unless .stream.delay. With .tls
 * the handshake is done when it returns; what that may give stands at cosy_start_tls. 0. When no address can be
 * connected, each with its error stands in the message; the code is that of the first error that tells more than that
 * there is no way from here (-ENETUNREACH, -EADDRNOTAVAIL, -EAFNOSUPPORT), or simply the first: -ECONNREFUSED,
 * -EHOSTUNREACH, -ETIMEDOUT (the kernel's own, after minutes), -EMFILE ... Before that, errors of cosy_getaddrinfo:
 * -COSY_ENONAME. -EINVAL: a port beyond 65535, or marks that cannot be; -ENOMEM, -ECANCELED, -COSY_ENOTASK. May
 * suspend. */
#define cosy_open_connection(host, port, ret_stream, ...)                                                      \
    cosy_open_connection_((host), (port), (ret_stream),                                                        \
                          &(const struct cosy_connection_options){                                             \
                              .struct_size = sizeof(struct cosy_connection_options), __VA_ARGS__})
cosy_async int cosy_open_connection_(const char *host, unsigned port, cosy_stream **ret_stream,
                                     const struct cosy_connection_options *options);

/* How to connect to a Unix socket. Every default is zero. */
struct cosy_unix_connection_options {
    size_t struct_size;                /* filled in by the macro */
    struct cosy_stream_options stream; /* of the stream: .stream.limit = 4096 */
    struct cosy_tls_context *tls;      /* speak TLS, with a context borrowed for the call (ssl=); NULL: plain */
    const char *server_hostname;       /* whom the certificate is to name, since a path is no name; wanted with .tls,
                                        * unless the context has no_check_hostname or no_verify */
    cosy_ns handshake_timeout;         /* of TLS (ssl_handshake_timeout); 0: 60 s; COSY_NEVER: none */
    cosy_ns shutdown_timeout;          /* how long closing waits for the peer's goodbye (ssl_shutdown_timeout); 0: 30 s;
                                        * negative: not at all */
};

/*     int cosy_open_unix_connection(const char *path, cosy_stream **ret_stream, .option = value...);
 *
 * Connects to a Unix socket (asyncio.open_unix_connection); '@' at the beginning of the path is the abstract name
 * space. While the server's backlog is full, it waits and tries again (asyncio fails). With .tls the handshake is done
 * when it returns; what that may give stands at cosy_start_tls. *ret_stream is the caller's to close; NULL on errors.
 * 0; -ENOENT, -ECONNREFUSED: nobody listens; -EACCES, -ENAMETOOLONG ... with the path in the message; -EINVAL: marks
 * that cannot be, or TLS without a name; -EMFILE, -ENOMEM, -ECANCELED, -COSY_ENOTASK. May suspend. */
#define cosy_open_unix_connection(path, ret_stream, ...)                                                       \
    cosy_open_unix_connection_((path), (ret_stream),                                                           \
                               &(const struct cosy_unix_connection_options){                                   \
                                   .struct_size = sizeof(struct cosy_unix_connection_options), __VA_ARGS__})
cosy_async int cosy_open_unix_connection_(const char *path, cosy_stream **ret_stream,
                                          const struct cosy_unix_connection_options *options);

#ifdef __cplusplus
}
#endif
#endif
