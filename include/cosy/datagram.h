/* cosy/datagram.h - endpoints for datagrams: UDP and Unix sockets, one message at a time, each whole.
 *
 *     struct cosy_address here, peer;
 *     cosy_scoped(cosy_datagram) udp = NULL;
 *     cosy_try(cosy_address_parse(&here, "127.0.0.1", 9999));
 *     cosy_try(cosy_open_datagram(&udp, .local = &here));               loop.create_datagram_endpoint(..., local_addr=...)
 *     char data[2048];
 *     int64_t size = cosy_try(cosy_datagram_recv(udp, data, sizeof data, &peer));
 *     cosy_try(cosy_datagram_sendto(udp, data, (size_t)size, &peer));  transport.sendto(data, addr)
 *
 * There are no protocol classes: tasks receive and send. Any number of tasks may do either; each side serves them in
 * the order in which they came.
 *
 * A datagram arrives whole or not at all, and may be empty: a result of 0 is an empty datagram, not an end. Datagrams
 * get lost, twice or in another order as the network pleases. Sending tries at once and then waits until the kernel
 * takes the datagram, which it does whole: nothing is buffered here, so there are no water marks, and a close loses
 * nothing that a send had said is sent. Cancelled, a receiver has taken no datagram, a sender has sent none.
 *
 * What the network reports of an earlier datagram (ICMP: nobody listens there, too large) comes as the error of the
 * next call of a connected endpoint, which then did nothing else: call again. Such errors are -ECONNREFUSED,
 * -EHOSTUNREACH, -ENETUNREACH, -EMSGSIZE and the like. Details: .recv_errors.
 *
 * An endpoint belongs to its loop's thread. A task that goes on without waiting gives other tasks their turn after some
 * hundred datagrams. Semantics: asyncio's loop.create_datagram_endpoint, udp(7), unix(7), RFC 768.
 */
#ifndef COSY_DATAGRAM_H
#define COSY_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "address.h"
#include "colour.h"
#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An endpoint: a socket for datagrams. */
typedef struct cosy_datagram cosy_datagram;

/* How an endpoint is to be. Every default is zero. */
struct cosy_datagram_options {
    size_t struct_size;                /* filled in by the macro */
    const struct cosy_address *local;  /* to be bound to; port 0: the kernel chooses */
    const struct cosy_address *remote; /* to be connected to: datagrams go there, and only those from there arrive */
    const char *local_path;            /* the same for Unix sockets, '@' for abstract names. The file of a socket that
                                        * nobody has open any more is */
    const char *remote_path;           /* replaced; the endpoint's own is removed when it is closed */
    int family;                        /* AF_INET or AF_INET6, where no address says it */
    bool reuse_port;                   /* several endpoints share the port, and the kernel spreads senders over them
                                        * (SO_REUSEPORT) */
    bool reuse_address;                /* several may be bound to one multicast port, and each gets all. Otherwise it
                                        * lets others take the port away */
    bool broadcast;                    /* may send to broadcast addresses */
    bool only_ip6;                     /* AF_INET6: no IPv4-mapped addresses */
    bool recv_errors;                  /* keep what the network reports for cosy_datagram_recv_error; unconnected
                                        * endpoints hear of it too (IP_RECVERR) */
    bool gro;                          /* datagrams of one size from one sender may come as one: cosy_datagram_recvmsg
                                        * tells the size (UDP_GRO) */
    bool destination;                  /* cosy_datagram_recvmsg tells to which address and through which interface one
                                        * came (IP_PKTINFO) */
    int receive_buffer, send_buffer;   /* the kernel's, bytes (SO_RCVBUF, SO_SNDBUF); 0: its default */
};

/*     int cosy_open_datagram(cosy_datagram **ret_endpoint, .option = value...);
 *
 * Makes an endpoint, the caller's to close. At least one of local, remote, a path or family is needed, and all of one
 * family. Never suspends. 0; -EINVAL; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOENT, -ECONNREFUSED (no Unix socket is
 * there) and other errors of bind and connect, with the address in the message; -EMFILE, -ENFILE, -ENOMEM;
 * -COSY_ENOLOOP. In the loop's thread. */
#define cosy_open_datagram(ret_endpoint, ...)                                                                          \
    cosy_open_datagram_((ret_endpoint), COSY_DATAGRAM_OPTIONS_(__VA_ARGS__))
#define COSY_DATAGRAM_OPTIONS_(...)                                                                                    \
    (&(const struct cosy_datagram_options){.struct_size = sizeof(struct cosy_datagram_options), __VA_ARGS__})
int cosy_open_datagram_(cosy_datagram **ret_endpoint, const struct cosy_datagram_options *options);

/* Makes an endpoint of a datagram socket that the program has (create_datagram_endpoint's sock). The descriptor is the
 * endpoint's from here on, on success only; it is made non-blocking, and what it was is restored by
 * cosy_datagram_detach. 0; -EBADF; -ENOTSOCK; -EINVAL: its datagrams have no boundaries; -EEXIST: the program watches
 * it itself; -ENOMEM; -COSY_ENOLOOP. */
int cosy_datagram_adopt(int fd, cosy_datagram **ret_endpoint);

/* Two endpoints that are connected with each other (socketpair of AF_UNIX). 0; -EMFILE, -ENFILE, -ENOMEM, -EINVAL,
 * -COSY_ENOLOOP. */
int cosy_datagram_pair(cosy_datagram *ret_endpoints[2]);

/* ---- the end ---- */

/* Closes and frees the endpoint; its own Unix path is removed. Tasks that wait at it get -COSY_ECLOSED. Its address is
 * free for another endpoint when the loop has asked the kernel next (io_uring holds a descriptor until then). Never
 * suspends; NULL is fine. */
void cosy_datagram_close(cosy_datagram *endpoint);
static inline void cosy_datagram_closep_(cosy_datagram **endpoint) { cosy_datagram_close(*endpoint); }
#define COSY_DROPP_cosy_datagram_ cosy_datagram_closep_ /* cosy_scoped(cosy_datagram) */

/* Ends it at once for all its users (transport.abort()): who waits gets -ECONNABORTED, and so does each call
 * afterwards. It is still to be closed. Datagrams that were sent go on their way. Never suspends. */
void cosy_datagram_abort(cosy_datagram *endpoint);

/* True from cosy_datagram_abort on (transport.is_closing()). */
bool cosy_datagram_is_closing(const cosy_datagram *endpoint);

/* Takes the descriptor out, in the mode in which it came, and frees the endpoint; a Unix path stays. >= 0: the
 * descriptor. -EBUSY: a task waits here; -COSY_ECLOSED, -ECONNABORTED: there is none any more; the endpoint is as it
 * was then. Never suspends. */
int cosy_datagram_detach(cosy_datagram *endpoint);

/* ---- receiving ---- */

/* Receives one datagram into the caller's memory, which must live until the call returns, waiting for it behind those
 * that wait already. *from, unless `from` is NULL, is the sender; a Unix socket without a name is "unix:". Its length;
 * 0: an empty one. -EMSGSIZE: it was larger than `size`; its beginning is in the buffer, *from is set, the rest is
 * lost, and the message tells how large it was. -ECANCELED: no datagram was taken. -COSY_ECLOSED, -ECONNABORTED; what
 * the network reports, see above; -COSY_ENOTASK; -COSY_EOTHERLOOP. */
cosy_async int64_t cosy_datagram_recv(cosy_datagram *endpoint, void *buffer, size_t size, struct cosy_address *from);

/* The same without waiting, from callbacks too: -EAGAIN when there is none, or others wait. */
int64_t cosy_datagram_tryrecv(cosy_datagram *endpoint, void *buffer, size_t size, struct cosy_address *from);

/* ---- sending ---- */

/* Sends one datagram, empty ones too, to the peer of a connected endpoint. 0: the kernel has it, whole. It may wait
 * while the kernel's buffer, or the queue of a Unix peer, is full. -EMSGSIZE: larger than can be sent (65,507 bytes
 * over IPv4); -EDESTADDRREQ, -ENOTCONN: the endpoint has no peer; -ECANCELED: it was not sent; other errors as
 * cosy_datagram_recv. */
cosy_async int cosy_datagram_send(cosy_datagram *endpoint, const void *data, size_t size);

/* Sends one datagram to an address; NULL: to the peer. A connected endpoint may send elsewhere too. Errors as
 * cosy_datagram_send; -EACCES: a broadcast address without .broadcast. A Unix receiver whose queue is full is asked
 * again every few milliseconds: the kernel does not tell. */
cosy_async int cosy_datagram_sendto(cosy_datagram *endpoint, const void *data, size_t size,
                                    const struct cosy_address *to);

/* The same without waiting, from callbacks too: -EAGAIN when it would have to wait, or others wait. */
int cosy_datagram_trysend(cosy_datagram *endpoint, const void *data, size_t size, const struct cosy_address *to);

/* Sends `size` bytes as datagrams of segment_size each, the last one being what is left, many of them in one call of
 * the kernel where it can (UDP_SEGMENT), one by one where not. to: NULL: the peer. 0: all are sent. Errors as
 * cosy_datagram_sendto; what was sent before stays sent. */
cosy_async int cosy_datagram_send_segmented(cosy_datagram *endpoint, const void *data, size_t size, size_t segment_size,
                                            const struct cosy_address *to);

/* ---- all there is to say of a datagram ---- */

/* One datagram with what goes along with it. Zero it first. */
struct cosy_datagram_message {
    void *data;                /* the bytes, or the room for them; must live until the call returns */
    size_t size;               /* sending: bytes; receiving: room in, how many are there out */
    const struct iovec *parts; /* instead of data: pieces, `size` is their sum after receiving */
    int part_count;            /* 0: data and size are used */
    struct cosy_address peer;  /* receiving: from whom; sending: to whom, size 0: the connected peer */
    struct cosy_address local; /* receiving, with .destination: to which address it came (no port); sending: from which
                                * of this host's; size 0: any */
    unsigned interface;        /* receiving, with .destination: the index of the one it came through; sending: through
                                * which; 0: any */
    unsigned segment_size;     /* receiving, with .gro: it is several datagrams of this size each, the last may be
                                * smaller; 0: one datagram. Sending: not used */
    bool truncated;            /* receiving: it was larger than the room */
    size_t full_size;          /* receiving: how large it was */
};

/* Receives one datagram; one that is too large is no error here: `truncated` tells. 0; errors as cosy_datagram_recv. */
cosy_async int cosy_datagram_recvmsg(cosy_datagram *endpoint, struct cosy_datagram_message *message);

/* Receives up to `count` datagrams: waits for the first, and takes the others that are there. How many; errors as
 * cosy_datagram_recv, those that came before an error are told first. */
cosy_async int cosy_datagram_recvmmsg(cosy_datagram *endpoint, struct cosy_datagram_message *messages, unsigned count);

/* Sends one datagram. 0; errors as cosy_datagram_sendto. */
cosy_async int cosy_datagram_sendmsg(cosy_datagram *endpoint, const struct cosy_datagram_message *message);

/* Sends `count` datagrams in their order, waiting where needed; no other task's come between those that are sent
 * without waiting. 0: all. An error ends it; *ret_sent, unless NULL, tells in any case how many were sent before. */
cosy_async int cosy_datagram_sendmmsg(cosy_datagram *endpoint, const struct cosy_datagram_message *messages,
                                      unsigned count, unsigned *ret_sent);

/* Who reported an error: the kernel itself, or a host on the way by ICMP. */
enum { COSY_DATAGRAM_LOCAL = 1, COSY_DATAGRAM_ICMP = 2, COSY_DATAGRAM_ICMP6 = 3 };

/* What the network reported of a datagram that was sent. */
struct cosy_datagram_error {
    int error;                    /* a negative code: -ECONNREFUSED */
    int origin;                   /* COSY_DATAGRAM_...; another number is the kernel's (ee_origin of ip(7)) */
    unsigned type, code;          /* of the ICMP message */
    unsigned info;                /* -EMSGSIZE: the largest size that fits, headers included */
    struct cosy_address to;       /* where the datagram was to go */
    struct cosy_address offender; /* who reported it; size 0: not known */
    size_t payload_size;          /* of `payload` */
    unsigned char payload[128];   /* how the datagram began, as far as the report quotes it */
};

/* Gives the oldest report that is kept, with .recv_errors: up to 16, of more the oldest are dropped and counted. 1:
 * *ret_error is filled in; 0: there is none; -ENOTSUP without .recv_errors; -COSY_ECLOSED, -ECONNABORTED. Never
 * suspends: a receiver that gets an error asks here what it was about. */
int cosy_datagram_recv_error(cosy_datagram *endpoint, struct cosy_datagram_error *ret_error);

/* ---- multicast ---- */

/* Joins a group, so that what is sent to it arrives here, and leaves it. interface: "eth0", or an index in digits;
 * NULL: the kernel's choice. 0; -EINVAL: no group, or another family than the endpoint's; -ENODEV: no such interface;
 * -EADDRINUSE: joined already; -EADDRNOTAVAIL: leaving what was not joined. */
int cosy_datagram_join(cosy_datagram *endpoint, const struct cosy_address *group, const char *interface);
int cosy_datagram_leave(cosy_datagram *endpoint, const struct cosy_address *group, const char *interface);
/* The same for what one host sends to the group. */
int cosy_datagram_join_source(cosy_datagram *endpoint, const struct cosy_address *group,
                              const struct cosy_address *source, const char *interface);
int cosy_datagram_leave_source(cosy_datagram *endpoint, const struct cosy_address *group,
                               const struct cosy_address *source, const char *interface);
/* How far datagrams to groups go, in hops (default 1: this network); whether this host's own listeners hear them
 * (default: yes); through which interface they go. */
int cosy_datagram_set_multicast_ttl(cosy_datagram *endpoint, int hops);
int cosy_datagram_set_multicast_loop(cosy_datagram *endpoint, bool on);
int cosy_datagram_set_multicast_interface(cosy_datagram *endpoint, const char *interface);
/* How far other datagrams go, 1 to 255 hops. */
int cosy_datagram_set_ttl(cosy_datagram *endpoint, int hops);

/* ---- what it is ---- */

/* The address that it is connected to (-ENOTCONN), and its own. 0. Never suspend. */
int cosy_datagram_peername(const cosy_datagram *endpoint, struct cosy_address *ret_address);
int cosy_datagram_sockname(const cosy_datagram *endpoint, struct cosy_address *ret_address);

/* The descriptor below, for options and for asking: receiving, sending or closing is the endpoint's. -1: none any
 * more. */
int cosy_datagram_fd(const cosy_datagram *endpoint);

/* setsockopt and getsockopt. */
int cosy_datagram_setsockopt(cosy_datagram *endpoint, int level, int name, const void *value, socklen_t size);
int cosy_datagram_getsockopt(const cosy_datagram *endpoint, int level, int name, void *value, socklen_t *size);

/* Counters since it was made. */
struct cosy_datagram_stats {
    uint64_t received, received_bytes; /* what came together by .gro counts as one */
    uint64_t sent, sent_bytes;         /* segments count each */
    uint64_t truncated;                /* received ones that were larger than the room */
    uint64_t errors;                   /* calls that the network's reports or the kernel made fail */
    uint64_t reports_dropped;          /* of cosy_datagram_recv_error: more came than are kept */
    uint64_t dropped;                  /* by the kernel, because its receive buffer was full; 0 where it does not
                                        * tell */
    size_t receivers, senders;         /* tasks that wait now */
};
void cosy_datagram_get_stats(const cosy_datagram *endpoint, struct cosy_datagram_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
