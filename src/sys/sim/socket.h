/* socket.h - sockets of the simulated network, and what its files do for each other.
 *
 * Invariants
 *  - The two ends of a connection point to each other by `peer`; the one that is closed or reset first clears both.
 *    What an end has sent lies in the other's `in`, so it arrives although the sender is gone.
 *  - A socket with a port is in the bucket of that port (`of_port`); a Unix socket with a name has `name`.
 *  - The sockets in a listener's line have one reference, the line's, and `listener`.
 *  - `full` is set while a writer has been told that there is no room; whoever makes room clears it and makes an edge.
 */
#ifndef COSY_SYS_SIM_SOCKET_H
#define COSY_SYS_SIM_SOCKET_H

#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/time.h>

#include "inside.h"

enum sim_state {
    SIM_FRESH, /* datagram sockets stay so */
    SIM_LISTENING,
    SIM_CONNECTING,
    SIM_CONNECTED,
    SIM_OVER, /* reset, or never came about */
};

enum { SIM_OPTION_COUNT = 48, SIM_MEMBERSHIPS = 20 };

struct sim_options {
    int values[SIM_OPTION_COUNT]; /* net_options.c */
    int send_room, receive_room;  /* SO_SNDBUF, SO_RCVBUF: in bytes, as given back */
    bool reuse_address, reuse_port, v6only, broadcast;
    struct linger linger;
    struct timeval receive_time, send_time;
};

/* A name of the file system or the abstract ones; without a socket it is a file that nobody listens to. */
struct sim_name {
    struct cosy_link of_network;
    struct sim_socket *socket;
    int type;
    uint64_t inode;
    mode_t mode;
    struct sim_address address;
};

struct sim_socket {
    struct sim_file file;
    int family, type, protocol;
    enum sim_state state;
    bool untold;  /* connected, but connect() has not said so yet */
    bool failed;  /* a connect failed, and connect() has not said so yet */
    bool active;  /* the end that called connect() */
    bool shut_read, shut_write, full;
    bool refused;   /* Unix datagrams: somebody waits for room here */
    bool lost_peer; /* likewise: whom it was connected to is gone; a send tells */
    int error; /* positive, told once */
    struct sim_address local, remote;
    struct cosy_link of_port;
    struct sim_name *name;
    struct sim_socket *peer;

    struct sim_flow in;
    struct sim_event arrival; /* of the next chunk of `in` */
    struct sim_event change;  /* the answer to a connect, or a reset that is under way */
    int change_error;
    unsigned attempts;        /* of the connect; the answer may be lost */
    cosy_ns delay;            /* of the route, one way */
    uint64_t reset_after;     /* bytes that still may go; of the active end. 0: no limit */

    struct cosy_link line; /* a listener's: those that wait to be accepted; theirs: their place in it */
    int line_length, backlog;
    struct sim_socket *listener;

    struct sim_options options;
    struct sim_membership {
        struct sim_address group; /* size 0: free */
    } groups[SIM_MEMBERSHIPS];
};

static inline bool sim_is_tcp(const struct sim_socket *socket)
{
    return socket->family != AF_UNIX && socket->type == SOCK_STREAM;
}
static inline bool sim_is_udp(const struct sim_socket *socket)
{
    return socket->family != AF_UNIX && socket->type == SOCK_DGRAM;
}

extern const struct sim_file_kind cosy_sim_socket_kind;
static inline struct sim_socket *sim_socket_of(struct sim_file *file)
{
    return container_of(file, struct sim_socket, file);
}

/* net_socket.c */
int cosy_sim_socket_new(struct sim_network *network, int family, int type, int protocol,
                        struct sim_socket **ret_socket);
int cosy_sim_socket(struct sim_network *network, int family, int type, int protocol);
int cosy_sim_socketpair(struct sim_network *network, int family, int type, int protocol, int fds[2]);
int cosy_sim_take_error(struct sim_socket *socket); /* negative or 0 */

/* net_stream.c: TCP, Unix streams and their packets */
int cosy_sim_stream_receive(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts,
                            size_t size, struct msghdr *message, int flags);
int cosy_sim_stream_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                         struct sim_rights **rights);
bool cosy_sim_stream_writable(const struct sim_socket *socket);
void cosy_sim_stream_pump(struct sim_network *network, struct sim_socket *socket);
void cosy_sim_stream_end(struct sim_network *network, struct sim_socket *socket); /* sends the end of file */
int cosy_sim_shutdown(struct sim_network *network, struct sim_socket *socket, int how);
void cosy_sim_stream_close(struct sim_network *network, struct sim_socket *socket);
/* The connection breaks at both ends: here now with `error` (0: without), there when the news arrives. */
void cosy_sim_stream_break(struct sim_network *network, struct sim_socket *socket, int error);
void cosy_sim_stream_pair(struct sim_socket *a, struct sim_socket *b);
/* The other end's reset, or an answer to a connect, in so much time. */
void cosy_sim_change_in(struct sim_network *network, struct sim_socket *socket, cosy_ns delay, int error);
void cosy_sim_run_change(struct sim_network *network, struct sim_event *event);

/* net_connect.c */
int cosy_sim_listen(struct sim_network *network, struct sim_socket *socket, int backlog);
int cosy_sim_accept(struct sim_network *network, struct sim_socket *socket, struct sockaddr *address, socklen_t *size);
int cosy_sim_connect(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *address,
                     socklen_t size);
void cosy_sim_answer(struct sim_network *network, struct sim_socket *socket); /* a TCP connect under way has arrived */
void cosy_sim_listen_no_more(struct sim_network *network, struct sim_socket *socket);

/* net_datagram.c */
int cosy_sim_datagram_receive(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts,
                              size_t size, struct msghdr *message, int flags);
int cosy_sim_datagram_send(struct sim_network *network, struct sim_socket *socket, struct sim_parts *parts, size_t size,
                           struct sim_rights **rights, const struct sockaddr *to, socklen_t to_size);
int cosy_sim_datagram_connect(struct sim_network *network, struct sim_socket *socket, const struct sockaddr *address,
                              socklen_t size);
void cosy_sim_drop_packets(struct sim_network *network); /* at the end */
unsigned cosy_sim_datagram_poll(const struct sim_socket *socket);
void cosy_sim_datagram_close(struct sim_network *network, struct sim_socket *socket);

/* net_ports.c: addresses with ports */
int cosy_sim_read_address(const struct sim_socket *socket, const struct sockaddr *address, socklen_t size,
                          struct sim_address *ret_address);
int cosy_sim_write_address(const struct sim_address *from, int family, struct sockaddr *address, socklen_t *size);
int cosy_sim_bind_port(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address);
int cosy_sim_bind_any_port(struct sim_network *network, struct sim_socket *socket, const struct sim_address *target);
void cosy_sim_enter_port(struct sim_network *network, struct sim_socket *socket);
bool cosy_sim_port_allows_listening(struct sim_network *network, struct sim_socket *socket);
/* Who hears what goes to this address: a listener, or a datagram socket; NULL: nobody. `from`: of connected datagram
 * sockets the one that it is connected to. */
struct sim_socket *cosy_sim_find_port(struct sim_network *network, const struct sim_address *to, int type,
                                      const struct sim_address *from);
static inline in_port_t sim_port(const struct sim_address *address)
{
    return address->any.sa_family == AF_INET6 ? address->in6.sin6_port : address->in.sin_port;
}
struct sim_address cosy_sim_source(const struct sim_socket *socket, const struct sim_address *to); /* with its port */
bool cosy_sim_hears(const struct sim_socket *socket, const struct sim_address *to);
bool cosy_sim_is_any(const struct sim_address *address);
bool cosy_sim_same_host(const struct sim_address *a, const struct sim_address *b); /* ::ffff:1.2.3.4 is 1.2.3.4 */
struct sim_address cosy_sim_plain(const struct sim_address *address);              /* mapped ones as IPv4 */
bool cosy_sim_is_multicast(const struct sim_address *address);
bool cosy_sim_is_broadcast(const struct sim_address *address);

/* net_unix.c */
int cosy_sim_bind_name(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address);
int cosy_sim_find_name(struct sim_network *network, const struct sim_address *address, int type,
                       struct sim_socket **ret_socket);
void cosy_sim_leave_name(struct sim_network *network, struct sim_socket *socket);
void cosy_sim_forget_names(struct sim_network *network);
int cosy_sim_examine_path(struct sim_network *network, const char *path, struct cosy_net_file *ret_file);
int cosy_sim_remove_path(struct sim_network *network, const char *path);
int cosy_sim_set_path_mode(struct sim_network *network, const char *path, mode_t mode);

/* net_hosts.c */
struct sim_route {
    struct cosy_link of_network;
    struct sim_address address; /* plain, port 0 */
    enum cosy_sim_behaviour behaviour;
    cosy_ns delay;
    uint64_t reset_after;
};
/* How an address behaves; *ret_route is a copy. -ENETUNREACH: nobody knows it. */
int cosy_sim_route_to(struct sim_network *network, const struct sim_address *address, struct sim_route *ret_route);
bool cosy_sim_is_local(struct sim_network *network, const struct sim_address *address); /* may be bound */
void cosy_sim_forget_hosts(struct sim_network *network);
int cosy_sim_look_up(struct cosy_sys *sys, const char *host, int family, struct sockaddr_storage *addresses, int room,
                     cosy_ns *ret_delay);

/* net_rights.c */
/* What a message carries: *ret_rights NULL when nothing. -EBADF, -EINVAL, -ENOBUFS. */
int cosy_sim_rights_take(struct sim_network *network, const struct msghdr *message, struct sim_rights **ret_rights);
void cosy_sim_rights_free(struct sim_network *network, struct sim_rights *rights);
/* Installs them into the receiver's control buffer, whose pointer becomes NULL then; with `keep` the message has them
 * still. Sets MSG_CTRUNC. */
void cosy_sim_rights_give(struct sim_network *network, struct sim_rights *rights, struct msghdr *message, bool keep);

/* net_datagram.c */
int cosy_sim_set_membership(struct sim_socket *socket, int level, int name, const void *value, socklen_t size);

/* net_options.c */
void cosy_sim_options_init(struct sim_socket *socket);
int cosy_sim_get_option(struct sim_socket *socket, int level, int name, void *value, socklen_t *size);
int cosy_sim_set_option(struct sim_network *network, struct sim_socket *socket, int level, int name, const void *value,
                        socklen_t size);

#endif
