/* cosy/dns.h - names of hosts and services, while the loop goes on.
 *
 *     cosy_scoped(cosy_address_list) list = NULL;
 *     cosy_try(cosy_getaddrinfo("example.com", "https", &list, .type = SOCK_STREAM));      await loop.getaddrinfo(...)
 *     for (size_t i = 0; i < list->count; i++)
 *         printf("%s\n", cosy_address_text(&list->items[i].address, text));
 *
 * The system's resolver (getaddrinfo of the C library: /etc/hosts, DNS, whatever nsswitch.conf says) runs in the loop's pool for names, four at a time. A numeric
 * address with a numeric port needs no thread and comes at once, with the same result. On the simulated kernel, names are those of the simulated network.
 *
 * A cancelled look-up is left behind: the task goes on at once, the thread when its resolver gives up. Limits in time are scopes: cosy_wait_for, COSY_TIMEOUT.
 * In debug mode a look-up that takes slow_callback_duration or longer is logged.
 * Semantics: https://docs.python.org/3/library/asyncio-eventloop.html#dns, getaddrinfo(3), getnameinfo(3).
 */
#ifndef COSY_DNS_H
#define COSY_DNS_H

#include <netdb.h>
#include <stddef.h>

#include "address.h"
#include "colour.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One way to reach a host: what socket(2) and connect(2) want. */
struct cosy_address_info {
    struct cosy_address address;
    int type, protocol; /* SOCK_STREAM and IPPROTO_TCP ... */
};

/* What a look-up found, in the order in which it is to be tried (RFC 6724). One piece of memory; free it by cosy_address_list_free. */
typedef struct cosy_address_list {
    size_t count;
    const char *canonical_name; /* with AI_CANONNAME, else NULL; part of the list */
    struct cosy_address_info *items; /* `count` of them, part of the list */
} cosy_address_list;

/* Frees a list; NULL is fine. Any thread. */
void cosy_address_list_free(cosy_address_list *list);
static inline void cosy_address_list_dropp_(cosy_address_list **list) { cosy_address_list_free(*list); }
#define COSY_DROPP_cosy_address_list_ cosy_address_list_dropp_ /* cosy_scoped(cosy_address_list) */

/* What is looked for. Every default is zero. */
struct cosy_getaddrinfo_options {
    size_t struct_size; /* filled in by the macro */
    int family;         /* AF_INET, AF_INET6; AF_UNSPEC: both */
    int type;           /* SOCK_STREAM, SOCK_DGRAM; 0: any, each address then comes once for each type */
    int protocol;       /* IPPROTO_TCP ...; 0: any */
    int flags;          /* AI_PASSIVE, AI_CANONNAME, AI_ADDRCONFIG, AI_IDN ... of getaddrinfo(3) */
};

/*     int cosy_getaddrinfo(const char *host, const char *service, cosy_address_list **ret_list, .option = value...);
 *
 * Finds the addresses of a host and the port of a service (loop.getaddrinfo). host: a name or numeric address, zone included ("fe80::1%eth0"); NULL: this
 * machine (loopback; with AI_PASSIVE: any address). service: a name ("http") or decimal port; NULL: port 0. Both are copied. *ret_list is the caller's, with at least one
 * item; NULL on errors. 0; -COSY_ENONAME: no such name, service, or no address of this family; -ETIMEDOUT: the servers do not answer now; each with the name and the
 * resolver's words in the message; -EINVAL, -EAFNOSUPPORT, -ESOCKTNOSUPPORT: it cannot be asked like that; -ENOMEM; -EAGAIN: no thread; -COSY_ESHUTDOWN, -ECANCELED,
 * -COSY_ENOTASK. May suspend. */
#define cosy_getaddrinfo(host, service, ret_list, ...)                                                         \
    cosy_getaddrinfo_((host), (service), (ret_list),                                                           \
                      &(const struct cosy_getaddrinfo_options){                                                \
                          .struct_size = sizeof(struct cosy_getaddrinfo_options), __VA_ARGS__})
cosy_async int cosy_getaddrinfo_(const char *host, const char *service, cosy_address_list **ret_list,
                                 const struct cosy_getaddrinfo_options *options);

/* The name of an address's host and of its port's service (loop.getnameinfo), as strings that the caller frees with free(); NULL for what is not wanted. `flags`:
 * NI_NUMERICHOST, NI_NAMEREQD ... of getnameinfo(3). A host without a name is told as a number. 0; -COSY_ENONAME: with NI_NAMEREQD, there is no name; -EAFNOSUPPORT: no
 * IP address; other errors as cosy_getaddrinfo. May suspend; with NI_NUMERICHOST | NI_NUMERICSERV it does not. */
cosy_async int cosy_getnameinfo(const struct cosy_address *address, char **ret_host, char **ret_service, int flags);

#ifdef __cplusplus
}
#endif
#endif
