/* cosy/address.h - addresses of the network: IPv4, IPv6 and Unix sockets, as values.
 *
 *     struct cosy_address peer;
 *     char text[COSY_ADDRESS_TEXT];
 *     cosy_stream_peername(stream, &peer);
 *     printf("%s\n", cosy_address_text(&peer, text));                       192.0.2.1:4433   [2001:db8::1]:80  /run/app.sock
 *
 * A cosy_address owns nothing and is copied by assignment. None of these calls suspends or asks the network: names are
 * for cosy/dns.h.
 */
#ifndef COSY_ADDRESS_H
#define COSY_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The address itself, as the system calls want it: `any` and `size`. A zeroed one is no address: family AF_UNSPEC, size
 * 0. */
struct cosy_address {
    socklen_t size; /* bytes of the address that are valid; 0: none */
    union {
        struct sockaddr any; /* any.sa_family tells which */
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
};

/* Room for the text of any address, its final NUL included. */
enum { COSY_ADDRESS_TEXT = 160 };

/* Reads a numeric IPv4 or IPv6 address ("192.0.2.1", "::1", "fe80::1%eth0"; not a name, and without port) into
 * *ret_address. 0; -EINVAL: it is none, or the zone is unknown. Any thread. */
int cosy_address_parse(struct cosy_address *ret_address, const char *host, unsigned port);

/* The address of a Unix socket. A path that begins with '@' is in the abstract name space, as systemd and socat write
 * it. 0; -ENAMETOOLONG, with the path and the limit in the message (sockaddr_un has room for 107 bytes); -EINVAL for an
 * empty one. Any thread. */
int cosy_address_unix(struct cosy_address *ret_address, const char *path);

/* Writes the address as people write it, cut to COSY_ADDRESS_TEXT: "192.0.2.1:80", "[::1]:80", "/run/x.sock",
 * "@abstract", "unix:" for a nameless Unix socket, "nowhere" for none. Returns `text`. Any thread. */
const char *cosy_address_text(const struct cosy_address *address, char text[COSY_ADDRESS_TEXT]);

/* The port, or 0 where there is none. */
unsigned cosy_address_port(const struct cosy_address *address);
/* Gives it another port. -EINVAL where it has none. */
int cosy_address_set_port(struct cosy_address *address, unsigned port);
/* The host alone: "192.0.2.1", "::1", the path. Returns `text`. */
const char *cosy_address_host(const struct cosy_address *address, char text[COSY_ADDRESS_TEXT]);
/* True for the same family, host, port and zone. */
bool cosy_address_equal(const struct cosy_address *a, const struct cosy_address *b);

#ifdef __cplusplus
}
#endif
#endif
