/* dns_resolver.c - which resolver a loop asks, and what it has for names. */
#include "dns.h"

#include <stdlib.h>
#include <string.h>

#include "../base/heap.h"
#include "../sys/net.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

struct cosy_names *cosy_names_of(struct cosy_loop *loop)
{
    if (loop->names)
        return loop->names;
    loop->names = cosy_heap_zalloc(sizeof *loop->names);
    if (loop->names)
        cosy_list_init(&loop->names->flights);
    return loop->names;
}

void cosy_names_close(struct cosy_loop *loop)
{
    struct cosy_names *names = loop->names;
    if (!names)
        return;
    cosy_cache_flights_let_go(names);
    cosy_cache_close(names);
    cosy_ares_close(names->ares);
    cosy_heap_free(names->servers);
    cosy_heap_free(names);
    loop->names = NULL;
}

static int refuse_ares(void)
{
    return cosy_fail(ENOTSUP, "names cannot be looked up by c-ares: cosy was built without it (COSY_WITH_LIBCARES)");
}

int cosy_names_resolver(const struct cosy_loop *loop)
{
    if (loop->names && loop->names->resolver != COSY_RESOLVER_AUTO)
        return (int)loop->names->resolver;
    const char *wanted = getenv("COSY_RESOLVER");
    if (!wanted || !*wanted || strcmp(wanted, "system") == 0)
        return COSY_RESOLVER_SYSTEM;
    if (strcmp(wanted, "ares") == 0)
        return cosy_ares_is_there ? COSY_RESOLVER_ARES : refuse_ares();
    return cosy_fail(EINVAL, "COSY_RESOLVER names no resolver: '%.60s'; it may be system or ares", wanted);
}

static int check(enum cosy_resolver resolver, const struct cosy_resolver_options *options)
{
    if ((unsigned)resolver > COSY_RESOLVER_ARES || options->timeout < 0 || options->tries < 0)
        return -EINVAL;
    if (resolver == COSY_RESOLVER_ARES && !cosy_ares_is_there)
        return refuse_ares();
    if (!options->servers)
        return 0;
    int result = cosy_ares_check_servers(options->servers);
    return result == -EINVAL
               ? cosy_fail(EINVAL, "'%.200s' is no list of name servers such as 192.0.2.53,[2001:db8::53]:5353",
                           options->servers)
               : result;
}

int cosy_set_resolver_(enum cosy_resolver resolver, const struct cosy_resolver_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    int result = loop ? check(resolver, options) : -COSY_ENOLOOP;
    if (result < 0)
        return result;
    struct cosy_names *names = cosy_names_of(loop);
    char *servers = options->servers ? cosy_heap_strdup(options->servers) : NULL;
    if (!names || (options->servers && !servers)) {
        cosy_heap_free(servers);
        return -ENOMEM;
    }
    if (cosy_ares_waiting(names->ares) > 0) {
        cosy_heap_free(servers);
        return cosy_fail(EBUSY, "the resolver cannot be changed while %zu look-ups wait for c-ares",
                         cosy_ares_waiting(names->ares));
    }
    cosy_ares_close(names->ares);
    cosy_heap_free(names->servers);
    names->ares = NULL;
    names->servers = servers;
    names->resolver = resolver;
    names->timeout = options->timeout;
    names->tries = options->tries;
    return 0;
}

const char *cosy_resolver_name(void)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop)
        return "none";
    if (loop->sys->net->look_up)
        return "simulated";
    int resolver = cosy_names_resolver(loop);
    return resolver == COSY_RESOLVER_ARES ? "ares" : resolver == COSY_RESOLVER_SYSTEM ? "system" : "none";
}
