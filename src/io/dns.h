/* dns.h - what the files of names share: dns.c (the doors, the system's resolver, numbers, the simulated network),
 * dns_resolver.c (which resolver), dns_ares.c (c-ares), dns_cache.c (answers that are kept). */
#ifndef COSY_IO_DNS_H
#define COSY_IO_DNS_H

#include <cosy/dns.h>

#include "../base/list.h"
#include "../task/task.h"

/* What a loop has for names; made when it is first needed, and gone with the loop. */
struct cosy_names {
    enum cosy_resolver resolver; /* AUTO: as the environment says */
    char *servers;               /* of c-ares: NULL: those of the system */
    cosy_ns timeout;
    int tries;
    struct cosy_ares *ares;       /* NULL: not asked yet */
    struct cosy_dns_cache *cache; /* NULL: nothing is kept */
    struct cosy_link flights;     /* queries that the cache has made and that have not ended, also of caches before */
};

/* NULL: no memory. */
struct cosy_names *cosy_names_of(struct cosy_loop *loop);
void cosy_names_close(struct cosy_loop *loop);

/* Which one the loop's look-ups go to; an error, told, when COSY_RESOLVER asks for what there is not. */
int cosy_names_resolver(const struct cosy_loop *loop);

/* The whole look-up of what is no plain number, without the cache. *ret_ttl: how long the answer is good for, where the
 * resolver says it; else it is left. */
cosy_async int cosy_names_ask(struct cosy_loop *loop, const char *host, const char *service,
                              cosy_address_list **ret_list, const struct cosy_getaddrinfo_options *options,
                              cosy_ns *ret_ttl);

/* Fails with `code`, saying who was looked up and why it failed. host NULL: this machine; service NULL: not named. */
int cosy_names_refuse(const char *host, const char *service, int code, const char *why);
int cosy_names_port(const char *host, const char *service, const struct cosy_getaddrinfo_options *options);
void cosy_names_tell_when_slow(const struct cosy_loop *loop, const char *what, cosy_ns took);

/* Each address once for each kind of socket that is wanted. `canonical` is copied; NULL: none. 0, -ENOMEM. */
int cosy_names_list(cosy_address_list **ret_list, const struct cosy_address *addresses, size_t count,
                    const struct cosy_getaddrinfo_options *options, const char *canonical);

/* ---- the cache (dns_cache.c) ---- */

/* Of a loop that has one. */
cosy_async int cosy_cache_ask(struct cosy_loop *loop, const char *host, const char *service,
                              cosy_address_list **ret_list, const struct cosy_getaddrinfo_options *options);
void cosy_cache_close(struct cosy_names *names);
void cosy_cache_flights_let_go(struct cosy_names *names); /* the loop closes */

/* ---- c-ares (dns_ares.c); -ENOTSUP where the library was built without ---- */

extern const bool cosy_ares_is_there;
/* Whether servers may have to be asked: c-ares takes neither this machine nor odd ways to write numbers. */
bool cosy_ares_is_for(const char *host, const struct cosy_getaddrinfo_options *options);
cosy_async int cosy_ares_addresses(struct cosy_loop *loop, const char *host, const char *service,
                                   cosy_address_list **ret_list, const struct cosy_getaddrinfo_options *options,
                                   cosy_ns *ret_ttl);
/* The strings are the caller's, of the heap. */
cosy_async int cosy_ares_names(struct cosy_loop *loop, const struct cosy_address *address, int flags, char **ret_host,
                               char **ret_service);
/* Ends the loop's c-ares; whoever waits for it gets -ECANCELED. */
void cosy_ares_close(struct cosy_ares *ares);
/* Look-ups that somebody waits for. */
size_t cosy_ares_waiting(const struct cosy_ares *ares);
/* Whether c-ares understands a list of servers. 0, -EINVAL, -ENOMEM. */
int cosy_ares_check_servers(const char *servers);

#endif
