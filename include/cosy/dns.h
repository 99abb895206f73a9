/* cosy/dns.h - names of hosts and services, while the loop goes on.
 *
 *     cosy_scoped(cosy_address_list) list = NULL;
 *     cosy_try(cosy_getaddrinfo("example.com", "https", &list, .type = SOCK_STREAM));      await loop.getaddrinfo(...)
 *     for (size_t i = 0; i < list->count; i++)
 *         printf("%s\n", cosy_address_text(&list->items[i].address, text));
 *
 * The system's resolver (getaddrinfo of the C library: /etc/hosts, DNS, whatever nsswitch.conf says) runs in the loop's
 * pool for names, four at a time. A numeric address with a numeric port needs no thread and comes at once, with the
 * same result. On the simulated kernel, names are those of the simulated network. By choice (cosy_set_resolver, or
 * COSY_RESOLVER=ares in the environment) c-ares asks the servers from the loop itself, any number of names at a time.
 *
 * Nothing is kept between look-ups, unless cosy_set_dns_cache asks for it.
 *
 * A cancelled look-up is left behind: the task goes on at once, the thread when its resolver gives up; a run that ends
 * gives it half a second, and then says in the log that it leaves it to itself. Limits in time are scopes:
 * cosy_wait_for, COSY_TIMEOUT. In debug mode a look-up that takes slow_callback_duration or longer is logged.
 * Semantics: https://docs.python.org/3/library/asyncio-eventloop.html#dns, getaddrinfo(3), getnameinfo(3).
 */
#ifndef COSY_DNS_H
#define COSY_DNS_H

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "colour.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One way to reach a host: what socket(2) and connect(2) want. */
struct cosy_address_info {
    struct cosy_address address;
    int type, protocol; /* SOCK_STREAM and IPPROTO_TCP ... */
};

/* What a look-up found, in the order in which it is to be tried (RFC 6724). One piece of memory; free it by
 * cosy_address_list_free. */
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
 * Finds the addresses of a host and the port of a service (loop.getaddrinfo). host: a name or numeric address, zone
 * included ("fe80::1%eth0"); NULL: this machine (loopback; with AI_PASSIVE: any address). service: a name ("http") or
 * decimal port; NULL or "": port 0. Both are copied. *ret_list is the caller's, with at least one item; NULL on errors.
 * 0; -COSY_ENONAME: no such name, service, or no address of this family; -ETIMEDOUT: the servers do not answer now;
 * each with the name and the resolver's words in the message; -EINVAL, -EAFNOSUPPORT, -ESOCKTNOSUPPORT: it cannot be
 * asked like that; -ENOMEM; -EAGAIN: no thread; -COSY_ESHUTDOWN, -ECANCELED, -COSY_ENOTASK. May suspend. */
#define cosy_getaddrinfo(host, service, ret_list, ...)                                                         \
    cosy_getaddrinfo_((host), (service), (ret_list),                                                           \
                      &(const struct cosy_getaddrinfo_options){                                                \
                          .struct_size = sizeof(struct cosy_getaddrinfo_options), __VA_ARGS__})
cosy_async int cosy_getaddrinfo_(const char *host, const char *service, cosy_address_list **ret_list,
                                 const struct cosy_getaddrinfo_options *options);

/* The name of an address's host and of its port's service (loop.getnameinfo), as strings that the caller frees with
 * free(); NULL for what is not wanted. `flags`: NI_NUMERICHOST, NI_NAMEREQD ... of getnameinfo(3). A host without a
 * name is told as a number. 0; -COSY_ENONAME: with NI_NAMEREQD, there is no name; -EAFNOSUPPORT: no IP address; other
 * errors as cosy_getaddrinfo. May suspend; with NI_NUMERICHOST | NI_NUMERICSERV it does not. */
cosy_async int cosy_getnameinfo(const struct cosy_address *address, char **ret_host, char **ret_service, int flags);

/* ---- who is asked ---- */

/* Who looks names up. AUTO: what COSY_RESOLVER in the environment says (system, ares), else SYSTEM. SYSTEM: the C
 * library's getaddrinfo in a pool of threads. ARES: c-ares on the loop (https://c-ares.org): /etc/hosts and DNS only,
 * no other source of nsswitch.conf; AI_IDN and AI_V4MAPPED are -ENOTSUP, and AI_ADDRCONFIG has no effect. Its errors
 * are the system's: -COSY_ENONAME, -ETIMEDOUT for servers that do not answer, refuse or fail; and -EBADMSG for an
 * answer that makes no sense. */
enum cosy_resolver { COSY_RESOLVER_AUTO, COSY_RESOLVER_SYSTEM, COSY_RESOLVER_ARES };

/* How c-ares is to ask. Every default is zero. */
struct cosy_resolver_options {
    size_t struct_size;  /* filled in by the macro */
    const char *servers; /* "192.0.2.53,[2001:db8::53]:5353" instead of the system's; copied */
    cosy_ns timeout;     /* of the first try, rounded up to milliseconds; later ones wait longer. 0: as resolv.conf
                          * says, or 5 s */
    int tries;           /* for each server; 0: as resolv.conf says, or 4 */
};

/*     int cosy_set_resolver(enum cosy_resolver resolver, .option = value...);
 *
 * Chooses who looks names up for the running loop from now on. 0; -ENOTSUP: cosy was built without c-ares; -EINVAL: no
 * such resolver, or the servers are no list of addresses; -EBUSY: look-ups wait for c-ares; -ENOMEM, -COSY_ENOLOOP.
 * Does not suspend. */
#define cosy_set_resolver(resolver, ...)                                                                       \
    cosy_set_resolver_((resolver), &(const struct cosy_resolver_options){                                      \
                                       .struct_size = sizeof(struct cosy_resolver_options), __VA_ARGS__})
int cosy_set_resolver_(enum cosy_resolver resolver, const struct cosy_resolver_options *options);

/* Who looks names up for the running loop: "system", "ares", "simulated"; "none" without a loop, or when the
 * environment names what there is not. Static string. */
const char *cosy_resolver_name(void);

/* ---- a short cache ---- */

/* How long answers are kept. Every default is zero. */
struct cosy_dns_cache_options {
    size_t struct_size;   /* filled in by the macro */
    cosy_ns ttl;          /* of addresses, at most: c-ares' answers say themselves how long they last, the system's do
                           * not. 0: 60 s */
    cosy_ns negative_ttl; /* of -COSY_ENONAME; 0: 5 s, negative: none is kept */
    size_t max_entries;   /* beyond, the one that was not used for the longest time goes; 0: 1,000 */
};

/* What a cache has done since it was switched on. */
struct cosy_dns_cache_stats {
    uint64_t hits;    /* answered from it */
    uint64_t misses;  /* looked up */
    uint64_t shared;  /* waited for a look-up that was under way for another task */
    uint64_t evicted; /* gone because it was full */
    size_t entries;   /* now */
};

/*     int cosy_set_dns_cache(.option = value...);
 *
 * Keeps the answers of cosy_getaddrinfo, and so of cosy_open_connection, for the running loop from now on; what was
 * kept before is forgotten. Tasks that ask the same (host, service and options) at the same time share one look-up;
 * when one is cancelled, the others still get the answer, and when all are, the look-up is. Numeric addresses and
 * cosy_getnameinfo need none; of errors only -COSY_ENONAME is kept. 0, -EINVAL, -ENOMEM, -COSY_ENOLOOP. Does not
 * suspend. */
#define cosy_set_dns_cache(...)                                                                                \
    cosy_set_dns_cache_(&(const struct cosy_dns_cache_options){                                                \
        .struct_size = sizeof(struct cosy_dns_cache_options), __VA_ARGS__})
int cosy_set_dns_cache_(const struct cosy_dns_cache_options *options);

/* Forgets what the running loop has kept; off: keeps nothing from now on. Tasks that wait still get their answers.
 * Without a cache, nothing. */
void cosy_dns_cache_clear(void);
void cosy_dns_cache_off(void);

/* The counters of the running loop's cache; without one, zeros. */
void cosy_dns_cache_get_stats(struct cosy_dns_cache_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
