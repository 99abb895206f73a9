/* dns_ares.c - names by c-ares, on the loop: no thread, and a look-up costs no more than its packets.
 *
 * c-ares says which sockets it waits for, and by when it has to be called (ares_timeout). One channel for each loop,
 * made by the first look-up.
 *
 * Invariants
 *  - c-ares cannot take one query back: a query whose asker went away stays with it until its answer or its end comes,
 *    and then frees itself. When nobody waits for any, all are taken back, and with them the sockets and the timer.
 *  - c-ares is called from the loop's thread, on a big stack, and calls back from inside; what it calls only notes the
 *    answer and wakes tasks, so it is never entered twice.
 *  - A socket or deadline that cannot be watched (no memory) would be a query without an end: all are taken back then,
 * with that error.
 */
#include "dns.h"

#include "../base/heap.h"

#include <arpa/inet.h>
#include <string.h>

#if COSY_HAVE_LIBCARES

#include <ares.h>

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

const bool cosy_ares_is_there = true;

struct cosy_ares {
    ares_channel channel;
    struct cosy_loop *loop;
    cosy_handle timer;
    size_t queries, waiting; /* that c-ares has; that somebody waits for */
    int error;               /* why queries are being taken back; 0: they are not */
};

/* What a task waits for; on its stack. */
struct asking {
    struct cosy_wait wait;
    struct cosy_task *task;
    struct cosy_ares *ares;
    struct query *query; /* NULL: answered */
    const char *host, *service;
    const struct cosy_address *address; /* getnameinfo; NULL: getaddrinfo */
    const struct cosy_getaddrinfo_options *options;
    int flags, port;
    bool parked;
    /* the answer */
    int status, error; /* c-ares'; negative: its own reason, or no memory */
    cosy_address_list *list;
    char *found_host, *found_service;
    cosy_ns ttl;
};

/* What c-ares has. */
struct query {
    struct asking *asker; /* NULL: it went away */
    struct cosy_ares *ares;
};

/* ---- sockets and deadlines ---- */

static void note(struct cosy_ares *ares, int result)
{
    if (result < 0 && ares->error == 0)
        ares->error = result;
}

/* After each call of c-ares: its next deadline, unless its queries have to be taken back. */
static void settle(struct cosy_ares *ares)
{
    struct timeval limit, *next = ares_timeout(ares->channel, NULL, &limit);
    cosy_handle_cancel(&ares->timer);
    if (next)
        note(ares, cosy_handle_start_later(ares->loop, &ares->timer, COSY_S(next->tv_sec) + COSY_US(next->tv_usec)));
    if (ares->error == 0)
        return;
    ares_cancel(ares->channel);
    cosy_handle_cancel(&ares->timer);
    ares->error = 0;
}

static void act(ares_socket_t readable, ares_socket_t writable)
{
    struct cosy_ares *ares = cosy_thread_.loop->names->ares;
    ares_process_fd(ares->channel, readable, writable);
    settle(ares);
}

static void on_readable(void *fd)
{
    act((ares_socket_t)(intptr_t)fd, ARES_SOCKET_BAD);
}
static void on_writable(void *fd)
{
    act(ARES_SOCKET_BAD, (ares_socket_t)(intptr_t)fd);
}
static void on_deadline(void *arg)
{
    (void)arg;
    act(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* Called with neither before c-ares closes a socket. */
static void want_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct cosy_ares *ares = arg;
    void *which = (void *)(intptr_t)fd;
    if (readable)
        note(ares, cosy_add_reader(ares->loop, fd, on_readable, which));
    else
        cosy_remove_reader(ares->loop, fd);
    if (writable)
        note(ares, cosy_add_writer(ares->loop, fd, on_writable, which));
    else
        cosy_remove_writer(ares->loop, fd);
}

/* ---- the channel ---- */

static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static int code_of(int status)
{
    switch (status) {
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_ESERVFAIL:
    case ARES_ENOTIMP:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED:
    case ARES_ETIMEOUT:
        return -ETIMEDOUT;
    case ARES_EBADRESP:
    case ARES_EFORMERR:
        return -EBADMSG;
    case ARES_EBADFAMILY:
        return -EAFNOSUPPORT;
    case ARES_EBADFLAGS:
    case ARES_EBADHINTS:
        return -EINVAL;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return -ECANCELED;
    case ARES_EFILE:
    case ARES_ENOTINITIALIZED:
        return -EIO;
    default:
        return -COSY_ENONAME;
    }
}

struct opening {
    struct cosy_ares *ares;
    const struct cosy_names *names;
    const char *servers;
    int status;
};

static void open_channel(void *arg)
{
    struct opening *opening = arg;
    struct ares_options options = {.sock_state_cb = want_socket, .sock_state_cb_data = opening->ares};
    int mask = ARES_OPT_SOCK_STATE_CB;
    if (opening->names && opening->names->timeout > 0) {
        cosy_ns ms = (opening->names->timeout + COSY_MS(1) - 1) / COSY_MS(1);
        options.timeout = ms < INT32_MAX ? (int)ms : INT32_MAX;
        mask |= ARES_OPT_TIMEOUTMS;
    }
    if (opening->names && opening->names->tries > 0) {
        options.tries = opening->names->tries;
        mask |= ARES_OPT_TRIES;
    }
    opening->status = ares_init_options(&opening->ares->channel, &options, mask);
    if (opening->status != ARES_SUCCESS || !opening->servers)
        return;
    opening->status = ares_set_servers_ports_csv(opening->ares->channel, opening->servers);
    if (opening->status != ARES_SUCCESS)
        ares_destroy(opening->ares->channel);
}

int cosy_ares_check_servers(const char *servers)
{
    struct cosy_ares ares = {0};
    struct opening opening = {.ares = &ares, .servers = servers};
    pthread_once(&begun, begin);
    cosy_on_big_stack(open_channel, &opening);
    if (opening.status == ARES_SUCCESS)
        ares_destroy(ares.channel);
    return opening.status == ARES_SUCCESS && *servers ? 0 : opening.status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

/* The loop's channel, or NULL and *ret_error. */
static struct cosy_ares *ares_of(struct cosy_loop *loop, int *ret_error)
{
    struct cosy_names *names = cosy_names_of(loop);
    *ret_error = -ENOMEM;
    if (!names || names->ares)
        return names ? names->ares : NULL;
    struct cosy_ares *ares = cosy_heap_zalloc(sizeof *ares);
    if (!ares)
        return NULL;
    struct opening opening = {.ares = ares, .names = names, .servers = names->servers};
    ares->loop = loop;
    cosy_handle_init(&ares->timer, on_deadline, NULL);
    pthread_once(&begun, begin);
    cosy_on_big_stack(open_channel, &opening);
    if (opening.status != ARES_SUCCESS) {
        cosy_heap_free(ares);
        *ret_error = code_of(opening.status);
        cosy_fail(-*ret_error, "starting c-ares: %s", ares_strerror(opening.status));
        return NULL;
    }
    return names->ares = ares;
}

void cosy_ares_close(struct cosy_ares *ares)
{
    if (!ares)
        return;
    ares_destroy(ares->channel);
    cosy_handle_cancel(&ares->timer);
    cosy_heap_free(ares);
}

size_t cosy_ares_waiting(const struct cosy_ares *ares)
{
    return ares ? ares->waiting : 0;
}

/* ---- answers ---- */

/* The query is over; its asker, or NULL. */
static struct asking *answered(struct query *query, int status)
{
    struct asking *asker = query->asker;
    struct cosy_ares *ares = query->ares;
    ares->queries--;
    cosy_heap_free(query);
    if (!asker)
        return NULL;
    ares->waiting--;
    asker->query = NULL;
    asker->status = status;
    if (status == ARES_ECANCELLED || status == ARES_EDESTRUCTION)
        asker->error = ares->error ? ares->error : -ECANCELED;
    return asker;
}

static void wake(struct asking *asker)
{
    if (asker->parked)
        cosy_task_wake(asker->task, 0);
}

static size_t count_nodes(const struct ares_addrinfo *found)
{
    size_t count = 0;
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
        count += node->ai_family == AF_INET || node->ai_family == AF_INET6;
    return count;
}

static const char *canonical_name(const struct ares_addrinfo *found, const char *host)
{
    const char *name = found->name ? found->name : host;
    for (const struct ares_addrinfo_cname *cname = found->cnames; cname; cname = cname->next)
        if (cname->name)
            name = cname->name;
    return name;
}

static void take_addresses(struct asking *asker, const struct ares_addrinfo *found)
{
    size_t count = count_nodes(found), i = 0;
    struct cosy_address *addresses = cosy_heap_alloc((count + !count) * sizeof *addresses);
    int least = INT32_MAX;
    asker->error = -ENOMEM;
    if (!addresses)
        return;
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        struct cosy_address *address = &addresses[i++];
        *address = (struct cosy_address){.size = node->ai_addrlen};
        memcpy(&address->any, node->ai_addr, node->ai_addrlen);
        (void)cosy_address_set_port(address, (unsigned)asker->port);
        least = node->ai_ttl < least ? node->ai_ttl : least;
    }
    const char *name = asker->options->flags & AI_CANONNAME ? canonical_name(found, asker->host) : NULL;
    asker->error = cosy_names_list(&asker->list, addresses, count, asker->options, name);
    asker->ttl = COSY_S(least);
    cosy_heap_free(addresses);
}

static void found_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct asking *asker = answered(arg, status);
    (void)timeouts;
    if (asker && status == ARES_SUCCESS)
        take_addresses(asker, found);
    if (found)
        ares_freeaddrinfo(found);
    if (asker)
        wake(asker);
}

static void found_names(void *arg, int status, int timeouts, char *host, char *service)
{
    struct asking *asker = answered(arg, status);
    (void)timeouts;
    if (!asker)
        return;
    if (status == ARES_SUCCESS) {
        asker->found_host = cosy_heap_strdup(host ? host : "");
        asker->found_service = cosy_heap_strdup(service ? service : "");
        asker->error = asker->found_host && asker->found_service ? 0 : -ENOMEM;
    }
    wake(asker);
}

/* ---- waiting ---- */

static struct asking *asking_of(struct cosy_wait *wait)
{
    return container_of(wait, struct asking, wait);
}

static void leave(void *arg)
{
    struct asking *asking = arg;
    struct cosy_ares *ares = asking->ares;
    if (!asking->query)
        return;
    asking->query->asker = NULL;
    asking->query = NULL;
    if (--ares->waiting > 0)
        return;
    ares_cancel(ares->channel);
    cosy_handle_cancel(&ares->timer);
}

static bool wait_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_on_big_stack(leave, asking_of(wait));
    return false;
}

static void wait_abandon(struct cosy_wait *wait)
{
    leave(asking_of(wait));
}

static const char *wait_name(struct cosy_wait *wait)
{
    return asking_of(wait)->host ? asking_of(wait)->host : "the name of an address";
}

static const struct cosy_wait_kind ares_kind = {
    .verb = "looks up", .cancel = wait_cancel, .name = wait_name, .abandon = wait_abandon};

static int name_flags(int flags)
{
    static const struct {
        int libc, ares;
    } pairs[] = {{NI_NUMERICHOST, ARES_NI_NUMERICHOST},
                 {NI_NUMERICSERV, ARES_NI_NUMERICSERV},
                 {NI_NOFQDN, ARES_NI_NOFQDN},
                 {NI_NAMEREQD, ARES_NI_NAMEREQD},
                 {NI_DGRAM, ARES_NI_DGRAM}};
    int mapped = ARES_NI_LOOKUPHOST | ARES_NI_LOOKUPSERVICE;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        mapped |= flags & pairs[i].libc ? pairs[i].ares : 0;
    return mapped;
}

static void start(void *arg)
{
    struct asking *asking = arg;
    struct cosy_ares *ares = asking->ares;
    struct query *query = asking->query;
    if (asking->address)
        ares_getnameinfo(ares->channel, &asking->address->any, asking->address->size, name_flags(asking->flags),
                         found_names, query);
    else {
        struct ares_addrinfo_hints hints = {.ai_family = asking->options->family};
        hints.ai_flags = asking->options->flags & AI_CANONNAME ? ARES_AI_CANONNAME : 0;
        ares_getaddrinfo(ares->channel, asking->host, NULL, &hints, found_addresses, query);
    }
    settle(ares);
}

static void drop_answer(struct asking *asking)
{
    cosy_address_list_free(asking->list);
    cosy_heap_free(asking->found_host);
    cosy_heap_free(asking->found_service);
}

/* Asks and waits. 0: the answer, or its error, is in *asking; else nothing is. */
cosy_async static int ask(struct cosy_loop *loop, struct asking *asking)
{
    int result;
    cosy_ns began = cosy_loop_time(loop);
    asking->ares = ares_of(loop, &result);
    if (!asking->ares)
        return result;
    struct query *query = asking->query = cosy_heap_alloc(sizeof *query);
    if (!query)
        return -ENOMEM;
    *query = (struct query){asking, asking->ares};
    asking->ares->queries++;
    asking->ares->waiting++;
    cosy_on_big_stack(start, asking);
    if (asking->query) {
        asking->parked = true;
        result = (int)cosy_park(asking->task, &asking->wait);
        if (result < 0) {
            drop_answer(asking);
            return result;
        }
    }
    if (loop->debug)
        cosy_names_tell_when_slow(loop, wait_name(&asking->wait), cosy_loop_time(loop) - began);
    return 0;
}

/* ---- the doors ---- */

static int refuse(const char *what, const struct asking *asking)
{
    if (asking->status == ARES_SUCCESS || asking->error)
        return asking->error == -ECANCELED ? cosy_fail(ECANCELED, "looking up %.255s: c-ares was ended", what)
                                           : asking->error;
    return cosy_names_refuse(what, NULL, code_of(asking->status), ares_strerror(asking->status));
}

bool cosy_ares_is_for(const char *host, const struct cosy_getaddrinfo_options *options)
{
    struct in_addr number;
    bool usual_type =
        options->type == 0 || options->type == SOCK_STREAM || options->type == SOCK_DGRAM || options->type == SOCK_RAW;
    bool usual_family = options->family == AF_UNSPEC || options->family == AF_INET || options->family == AF_INET6;
    return host && *host && !(options->flags & AI_NUMERICHOST) && usual_type && usual_family && !strchr(host, ':') &&
           inet_aton(host, &number) == 0;
}

int cosy_ares_addresses(struct cosy_loop *loop, const char *host, const char *service, cosy_address_list **ret_list,
                        const struct cosy_getaddrinfo_options *options, cosy_ns *ret_ttl)
{
    int known = AI_PASSIVE | AI_CANONNAME | AI_NUMERICSERV | AI_ADDRCONFIG;
    if (options->flags & ~known)
        return cosy_fail(ENOTSUP, "looking up %.255s: c-ares does not have the flags 0x%x", host,
                         (unsigned)(options->flags & ~known));
    int port = cosy_names_port(host, service, options);
    if (port < 0)
        return port;
    struct asking asking = {.wait.kind = &ares_kind, .task = cosy_task_here(), .host = host, .options = options};
    asking.port = port;
    int result = ask(loop, &asking);
    if (result < 0)
        return result;
    if (asking.status != ARES_SUCCESS || asking.error)
        return refuse(host, &asking);
    if (asking.list->count == 0) {
        cosy_address_list_free(asking.list);
        return cosy_names_refuse(host, NULL, -COSY_ENONAME, ares_strerror(ARES_ENODATA));
    }
    *ret_ttl = asking.ttl;
    *ret_list = asking.list;
    return 0;
}

int cosy_ares_names(struct cosy_loop *loop, const struct cosy_address *address, int flags, char **ret_host,
                    char **ret_service)
{
    struct asking asking = {.wait.kind = &ares_kind, .task = cosy_task_here(), .address = address, .flags = flags};
    int result = ask(loop, &asking);
    if (result < 0)
        return result;
    if (asking.status != ARES_SUCCESS || asking.error) {
        char text[COSY_ADDRESS_TEXT];
        drop_answer(&asking);
        return refuse(cosy_address_text(address, text), &asking);
    }
    *ret_host = asking.found_host;
    *ret_service = asking.found_service;
    return 0;
}

#else

const bool cosy_ares_is_there = false;

bool cosy_ares_is_for(const char *host, const struct cosy_getaddrinfo_options *options)
{
    (void)host, (void)options;
    return false;
}

int cosy_ares_addresses(struct cosy_loop *loop, const char *host, const char *service, cosy_address_list **ret_list,
                        const struct cosy_getaddrinfo_options *options, cosy_ns *ret_ttl)
{
    (void)loop, (void)host, (void)service, (void)ret_list, (void)options, (void)ret_ttl;
    return -ENOTSUP;
}

int cosy_ares_names(struct cosy_loop *loop, const struct cosy_address *address, int flags, char **ret_host,
                    char **ret_service)
{
    (void)loop, (void)address, (void)flags, (void)ret_host, (void)ret_service;
    return -ENOTSUP;
}

void cosy_ares_close(struct cosy_ares *ares)
{
    (void)ares;
}

size_t cosy_ares_waiting(const struct cosy_ares *ares)
{
    (void)ares;
    return 0;
}

int cosy_ares_check_servers(const char *servers)
{
    (void)servers;
    return 0; /* whoever names servers and not c-ares: nobody will ask them */
}

#endif
