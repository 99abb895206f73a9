/* dns.c - names of hosts and services: the C library's resolver in a thread, the simulated network's, or neither for
 * what is a number.
 *
 * A question belongs to its job, which may outlive the task that asked. When the job ends, in the loop's thread, the
 * answer is handed to the asker if that still waits.
 */
#include <cosy/dns.h>

#include <cosy/executor.h>
#include <cosy/log.h>
#include <cosy/sleep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/heap.h"
#include "connect.h"
#include "dns.h"

enum { SIMULATED_ROOM = 32, SERVICE_ROOM = 1024 };

/* What came of a question; in the asking task's frame. */
struct answer {
    cosy_address_list *list; /* of getaddrinfo */
    char *host, *service;    /* of getnameinfo */
    int status;              /* the resolver's: EAI_...; 0: well */
    int error;               /* negative; with EAI_SYSTEM, or beside status 0 when there was no memory */
    cosy_ns took;
};

struct question {
    struct answer *asker; /* the loop's thread only. NULL: it went away */
    struct answer answer;
    const char *host, *service; /* in text; NULL as given */
    struct addrinfo hints;
    struct cosy_address address; /* getnameinfo: size != 0 */
    int flags;
    char text[];
};

/* ---- lists ---- */

cosy_address_list *cosy_address_list_new(size_t count)
{
    cosy_address_list *list = cosy_heap_alloc(sizeof *list + count * sizeof list->items[0]);
    if (list)
        *list = (cosy_address_list){.count = count, .items = (struct cosy_address_info *)(void *)(list + 1)};
    return list;
}

void cosy_address_list_free(cosy_address_list *list)
{
    cosy_heap_free(list);
}

static bool is_usable(const struct addrinfo *info)
{
    return (info->ai_family == AF_INET && info->ai_addrlen == sizeof(struct sockaddr_in)) ||
           (info->ai_family == AF_INET6 && info->ai_addrlen == sizeof(struct sockaddr_in6));
}

/* NULL: no memory. */
static cosy_address_list *list_from(const struct addrinfo *infos)
{
    size_t count = 0, name = infos && infos->ai_canonname ? strlen(infos->ai_canonname) + 1 : 0;
    for (const struct addrinfo *info = infos; info; info = info->ai_next)
        count += is_usable(info);
    cosy_address_list *list = cosy_heap_alloc(sizeof *list + count * sizeof list->items[0] + name);
    if (!list)
        return NULL;
    *list = (cosy_address_list){.items = (struct cosy_address_info *)(void *)(list + 1)};
    for (const struct addrinfo *info = infos; info; info = info->ai_next) {
        if (!is_usable(info))
            continue;
        struct cosy_address_info *item = &list->items[list->count++];
        *item = (struct cosy_address_info){.type = info->ai_socktype, .protocol = info->ai_protocol};
        item->address.size = info->ai_addrlen;
        memcpy(&item->address.any, info->ai_addr, info->ai_addrlen);
    }
    if (name)
        list->canonical_name = memcpy(&list->items[count], infos->ai_canonname, name);
    return list;
}

/* ---- in the resolver's thread ---- */

static void ask_for_addresses(const struct question *question, struct answer *answer)
{
    struct addrinfo *infos = NULL;
    answer->status = getaddrinfo(question->host, question->service, &question->hints, &infos);
    if (answer->status == EAI_SYSTEM)
        answer->error = -errno;
    else if (answer->status == 0) {
        answer->list = list_from(infos);
        answer->error = answer->list ? 0 : -ENOMEM;
        freeaddrinfo(infos);
    }
}

static void ask_for_names(const struct question *question, struct answer *answer)
{
    char host[NI_MAXHOST], service[SERVICE_ROOM];
    answer->status = getnameinfo(&question->address.any, question->address.size, host, sizeof host, service,
                                 sizeof service, question->flags);
    if (answer->status == EAI_SYSTEM)
        answer->error = -errno;
    else if (answer->status == 0) {
        answer->host = cosy_heap_strdup(host);
        answer->service = cosy_heap_strdup(service);
        answer->error = answer->host && answer->service ? 0 : -ENOMEM;
    }
}

static void ask_resolver(struct question *question)
{
    cosy_ns began = cosy_sys_real_clock();
    if (question->address.size)
        ask_for_names(question, &question->answer);
    else
        ask_for_addresses(question, &question->answer);
    question->answer.took = cosy_sys_real_clock() - began;
}

/* ---- question and answer ---- */

static void drop_answer(struct answer *answer)
{
    cosy_address_list_free(answer->list);
    cosy_heap_free(answer->host);
    cosy_heap_free(answer->service);
    *answer = (struct answer){0};
}

static struct question *question_new(const char *host, const char *service)
{
    size_t host_size = host ? strlen(host) + 1 : 0, service_size = service ? strlen(service) + 1 : 0;
    struct question *question = cosy_heap_alloc(sizeof *question + host_size + service_size);
    if (!question)
        return NULL;
    *question = (struct question){0};
    if (host)
        question->host = memcpy(question->text, host, host_size);
    if (service)
        question->service = memcpy(question->text + host_size, service, service_size);
    return question;
}

static void asker_went_away(void *arg)
{
    struct question *question = arg;
    question->asker = NULL;
}

static void question_over(void *arg)
{
    struct question *question = arg;
    if (question->asker)
        *question->asker = question->answer;
    else
        drop_answer(&question->answer);
    cosy_heap_free(question);
}

/* Gives the question away. 0: *answer is the caller's to drop, and tells what came of it. */
cosy_async static int ask(struct question *question, struct answer *answer)
{
    question->asker = answer;
    int result = cosy_run_in_executor_with(cosy_default_executor(COSY_POOL_DNS),
                                           (.abandon = true, .on_cancel = asker_went_away, .on_cancel_arg = question,
                                            .release = question_over, .release_arg = question),
                                           ask_resolver, question);
    if (result < 0)
        drop_answer(answer);
    return result;
}

/* ---- what is said ---- */

static int code_of(int status, int error)
{
    switch (status) {
    case 0:
        return error;
    case EAI_AGAIN:
        return -ETIMEDOUT;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return error ? error : -EIO;
    case EAI_BADFLAGS:
        return -EINVAL;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_SOCKTYPE:
        return -ESOCKTNOSUPPORT;
    case EAI_OVERFLOW:
        return -EOVERFLOW;
    default:
        return -COSY_ENONAME;
    }
}

struct complaint {
    const char *what, *service, *why;
    int code;
};

static void complain(void *arg)
{
    const struct complaint *complaint = arg;
    if (complaint->service)
        cosy_fail(complaint->code, "looking up %.255s, service %.60s: %s", complaint->what, complaint->service,
                  complaint->why);
    else
        cosy_fail(complaint->code, "looking up %.255s: %s", complaint->what, complaint->why);
}

int cosy_names_refuse(const char *host, const char *service, int code, const char *why)
{
    const char *what = !host ? "this machine" : *host ? host : "an empty name";
    struct complaint complaint = {what, service, why, code};
    if (code != -ENOMEM)
        cosy_on_big_stack(complain, &complaint);
    return code;
}

/* The code for the resolver's, with a message. `service` is named where it may be the culprit. */
static int refuse(const char *host, const char *service, int status, int error)
{
    int code = code_of(status, error);
    const char *why = status && status != EAI_SYSTEM ? gai_strerror(status) : cosy_strerror(code);
    bool is_name = service && service[strspn(service, "0123456789")];
    return cosy_names_refuse(host, is_name || !host ? service : NULL, code, why);
}

struct slow {
    const char *what;
    cosy_ns took;
};

static void warn_of_slow(void *arg)
{
    const struct slow *slow = arg;
    cosy_log(COSY_LOG_WARNING, "looking up %.255s took %.3f s", slow->what, (double)slow->took / 1e9);
}

void cosy_names_tell_when_slow(const struct cosy_loop *loop, const char *what, cosy_ns took)
{
    struct slow slow = {what ? what : "this machine", took};
    if (loop->debug && took >= loop->slow_duration)
        cosy_on_big_stack(warn_of_slow, &slow);
}

/* ---- numbers, and the simulated network ---- */

static const struct cosy_address_info kinds[] = {
    {.type = SOCK_STREAM, .protocol = IPPROTO_TCP}, {.type = SOCK_DGRAM, .protocol = IPPROTO_UDP}, {.type = SOCK_RAW}};

static bool is_wanted(const struct cosy_getaddrinfo_options *options, const struct cosy_address_info *kind)
{
    return (!options->type || options->type == kind->type) &&
           (!options->protocol || kind->type == SOCK_RAW || options->protocol == kind->protocol);
}

int cosy_names_list(cosy_address_list **ret_list, const struct cosy_address *addresses, size_t count,
                    const struct cosy_getaddrinfo_options *options, const char *canonical)
{
    size_t name = canonical ? strlen(canonical) + 1 : 0, room = count * COUNT_OF(kinds);
    cosy_address_list *list = cosy_heap_alloc(sizeof *list + room * sizeof list->items[0] + name);
    if (!list)
        return -ENOMEM;
    *list = (cosy_address_list){.items = (struct cosy_address_info *)(void *)(list + 1)};
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++)
            if (is_wanted(options, &kinds[k])) {
                list->items[list->count] = kinds[k];
                list->items[list->count++].address = addresses[i];
            }
    if (name)
        list->canonical_name = memcpy(&list->items[list->count], canonical, name);
    *ret_list = list;
    return 0;
}

/* -1: not a decimal port. An empty text is none, as the C library has it. */
static int port_of(const char *service)
{
    if (!service || !*service)
        return 0;
    size_t length = strlen(service);
    if (length == 0 || length > 5 || strspn(service, "0123456789") != length)
        return -1;
    int port = atoi(service);
    return port <= UINT16_MAX ? port : -1;
}

/* Of a zone's name the C library takes it only for addresses that need one. */
static bool is_odd_zone(const struct cosy_address *address, const char *host)
{
    const char *zone = strchr(host, '%');
    const struct in6_addr *ip6 = &address->ip6.sin6_addr;
    return zone && zone[1 + strspn(zone + 1, "0123456789")] && !IN6_IS_ADDR_LINKLOCAL(ip6) &&
           !IN6_IS_ADDR_MC_LINKLOCAL(ip6);
}

/* True: *ret_result is that of the look-up, without asking anybody. Whatever is unusual is the resolver's. */
__attribute__((noinline)) static bool is_numeric(const char *host, const char *service,
                                                 const struct cosy_getaddrinfo_options *options,
                                                 cosy_address_list **ret_list, int *ret_result)
{
    struct cosy_address address;
    int port = port_of(service), type = options->type, protocol = options->protocol;
    bool usual = (type == 0 && protocol == 0) || (type == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)) ||
                 (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP));
    if (!host || port < 0 || !usual || options->flags & ~(AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV))
        return false;
    if (cosy_address_parse(&address, host, (unsigned)port) < 0 || is_odd_zone(&address, host))
        return false;
    if (options->family != AF_UNSPEC && options->family != address.any.sa_family)
        return false;
    *ret_result = cosy_names_list(ret_list, &address, 1, options, NULL);
    return true;
}

/* The port of a service, without a word to any server; negative: an error, told. */
int cosy_names_port(const char *host, const char *service, const struct cosy_getaddrinfo_options *options)
{
    struct addrinfo hints = {.ai_family = AF_INET,
                             .ai_socktype = options->type,
                             .ai_protocol = options->protocol,
                             .ai_flags = AI_NUMERICHOST | (options->flags & AI_NUMERICSERV)};
    struct addrinfo *infos = NULL;
    int port = port_of(service);
    if (port >= 0)
        return port;
    int status = getaddrinfo("127.0.0.1", service, &hints, &infos);
    if (status != 0)
        return refuse(host, service, status, -errno);
    port = ntohs(((struct sockaddr_in *)(void *)infos->ai_addr)->sin_port);
    freeaddrinfo(infos);
    return port;
}

/* Without a host: any address or loopback, in the order of the C library. */
static int own_addresses(struct sockaddr_storage *found, const struct cosy_getaddrinfo_options *options)
{
    bool any = options->flags & AI_PASSIVE;
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_addr = any ? in6addr_any : in6addr_loopback};
    int count = 0;
    if (options->family != AF_INET && !any)
        memcpy(&found[count++], &ip6, sizeof ip6);
    if (options->family != AF_INET6)
        memcpy(&found[count++], &ip4, sizeof ip4);
    if (options->family != AF_INET && any)
        memcpy(&found[count++], &ip6, sizeof ip6);
    return count;
}

struct simulated {
    struct sockaddr_storage found[SIMULATED_ROOM];
    struct cosy_address addresses[SIMULATED_ROOM];
};

static int answer_from(struct simulated *simulated, int count, int port, cosy_address_list **ret_list,
                       const struct cosy_getaddrinfo_options *options)
{
    for (int i = 0; i < count; i++) {
        const struct sockaddr_storage *found = &simulated->found[i];
        struct cosy_address *address = &simulated->addresses[i];
        *address = (struct cosy_address){.storage = *found};
        address->size = found->ss_family == AF_INET6 ? sizeof address->ip6 : sizeof address->ip4;
        (void)cosy_address_set_port(address, (unsigned)port);
    }
    return cosy_names_list(ret_list, simulated->addresses, (size_t)count, options, NULL);
}

/* As the C library says it. */
static int status_of(int error)
{
    return error == 0 || error == -ENOENT ? EAI_NONAME : error == -ETIMEDOUT ? EAI_AGAIN : EAI_SYSTEM;
}

cosy_async static int ask_simulated(struct cosy_loop *loop, const char *host, const char *service,
                                    cosy_address_list **ret_list, const struct cosy_getaddrinfo_options *options)
{
    cosy_ns delay = 0;
    int port = cosy_names_port(host, service, options);
    if (port < 0)
        return port;
    struct simulated *simulated = cosy_heap_alloc(sizeof *simulated);
    if (!simulated)
        return -ENOMEM;
    int count = !host                             ? own_addresses(simulated->found, options)
                : options->flags & AI_NUMERICHOST ? -ENOENT
                                                  : loop->sys->net->look_up(loop->sys, host, options->family,
                                                                            simulated->found, SIMULATED_ROOM, &delay);
    int result = count > 0 ? answer_from(simulated, count, port, ret_list, options) : 0;
    cosy_heap_free(simulated);
    int slept = result == 0 && delay > 0 ? cosy_sleep(delay) : 0;
    if (slept < 0 || result < 0) {
        cosy_address_list_free(*ret_list);
        *ret_list = NULL;
        return slept < 0 ? slept : result;
    }
    cosy_names_tell_when_slow(loop, host, delay);
    return count > 0 ? 0 : refuse(host, service, status_of(count), count);
}

/* ---- the doors ---- */

cosy_async static int ask_resolver_for(struct cosy_loop *loop, const char *host, const char *service,
                                       cosy_address_list **ret_list, const struct cosy_getaddrinfo_options *options)
{
    struct answer answer = {0};
    struct question *question = question_new(host, service);
    if (!question)
        return -ENOMEM;
    question->hints = (struct addrinfo){.ai_family = options->family,
                                        .ai_socktype = options->type,
                                        .ai_protocol = options->protocol,
                                        .ai_flags = options->flags};
    int result = ask(question, &answer);
    if (result < 0)
        return result;
    cosy_names_tell_when_slow(loop, host, answer.took);
    if (answer.status || answer.error)
        return refuse(host, service, answer.status, answer.error);
    if (answer.list->count == 0) {
        cosy_address_list_free(answer.list);
        return refuse(host, service, EAI_NONAME, 0);
    }
    *ret_list = answer.list;
    return 0;
}

int cosy_names_ask(struct cosy_loop *loop, const char *host, const char *service, cosy_address_list **ret_list,
                   const struct cosy_getaddrinfo_options *options, cosy_ns *ret_ttl)
{
    if (loop->sys->net->look_up)
        return ask_simulated(loop, host, service, ret_list, options);
    int resolver = cosy_names_resolver(loop);
    if (resolver < 0)
        return resolver;
    return resolver == COSY_RESOLVER_ARES && cosy_ares_is_for(host, options)
               ? cosy_ares_addresses(loop, host, service, ret_list, options, ret_ttl)
               : ask_resolver_for(loop, host, service, ret_list, options);
}

int cosy_getaddrinfo_(const char *host, const char *service, cosy_address_list **ret_list,
                      const struct cosy_getaddrinfo_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_getaddrinfo");
    cosy_ns ttl = COSY_NEVER;
    int result;
    if (!me)
        return -COSY_ENOTASK;
    if (!ret_list)
        return -EINVAL;
    *ret_list = NULL;
    if (is_numeric(host, service, options, ret_list, &result))
        return result;
    struct cosy_loop *loop = me->future.loop;
    return loop->names && loop->names->cache ? cosy_cache_ask(loop, host, service, ret_list, options)
                                             : cosy_names_ask(loop, host, service, ret_list, options, &ttl);
}

struct naming {
    const struct cosy_address *address;
    int flags;
    struct answer *answer;
};

static void name_on_big_stack(void *arg)
{
    struct naming *naming = arg;
    struct question question = {.address = *naming->address, .flags = naming->flags};
    ask_for_names(&question, naming->answer);
}

static int refuse_name(const struct cosy_address *address, const struct answer *answer)
{
    char text[COSY_ADDRESS_TEXT];
    return refuse(cosy_address_text(address, text), NULL, answer->status, answer->error);
}

static int give_names(struct answer *answer, char **ret_host, char **ret_service)
{
    if (ret_host) {
        *ret_host = cosy_heap_give(answer->host);
        answer->host = NULL;
    }
    if (ret_service) {
        *ret_service = cosy_heap_give(answer->service);
        answer->service = NULL;
    }
    drop_answer(answer);
    return 0;
}

/* Numbers need no thread, and a simulated network has no names for addresses. */
cosy_async static int ask_for_name(struct cosy_loop *loop, const struct cosy_address *address, int flags,
                                   struct answer *answer)
{
    if (loop->sys->net->look_up)
        flags |= NI_NUMERICHOST;
    if (loop->sys->net->look_up || (flags & NI_NUMERICHOST && flags & NI_NUMERICSERV)) {
        struct naming naming = {address, flags, answer};
        cosy_on_big_stack(name_on_big_stack, &naming);
        return 0;
    }
    int resolver = cosy_names_resolver(loop);
    if (resolver < 0)
        return resolver;
    if (resolver == COSY_RESOLVER_ARES)
        return cosy_ares_names(loop, address, flags, &answer->host, &answer->service);
    struct question *question = question_new(NULL, NULL);
    if (!question)
        return -ENOMEM;
    question->address = *address;
    question->flags = flags;
    return ask(question, answer);
}

int cosy_getnameinfo(const struct cosy_address *address, char **ret_host, char **ret_service, int flags)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_getnameinfo");
    struct answer answer = {0};
    if (ret_host)
        *ret_host = NULL;
    if (ret_service)
        *ret_service = NULL;
    if (!me)
        return -COSY_ENOTASK;
    if (!address)
        return -EINVAL;
    if (address->size == 0 || (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6))
        return refuse_name(address, &(const struct answer){.status = EAI_FAMILY});
    int result = ask_for_name(me->future.loop, address, flags, &answer);
    if (result == 0 && (answer.status || answer.error))
        result = refuse_name(address, &answer);
    if (result < 0) {
        drop_answer(&answer);
        return result;
    }
    return give_names(&answer, ret_host, ret_service);
}
