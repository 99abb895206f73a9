/* dns_cache.c - answers that are kept for a while, and one query for all who ask the same at the same time.
 *
 * The query of an entry runs in a task of its own: whoever asked first may be cancelled, and the others still get the
 * answer. When all of them have gone, it is cancelled too.
 *
 * Invariants
 *  - An entry is FLYING (its task asks; askers wait on it) or KNOWN (its outcome does not change any more).
 *  - `listed`: the table has it, and one reference. A KNOWN one that is listed is on the list `by_use` too, the longest
 * unused first.
 *  - A flight has one reference, and so has each asker, from before it waits until it has taken its copy.
 */
#include "dns.h"

#include "../base/heap.h"
#include "../base/list.h"

#include <ctype.h>
#include <string.h>

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

enum { ENTRIES = 1000, BUCKETS_MOST = 65536 };

struct entry {
    struct entry *next; /* in its bucket */
    struct cosy_link by_use, flights, askers;
    unsigned refs;
    uint32_t hash;
    bool listed, known;
    struct cosy_loop *loop;
    /* flight */
    struct cosy_task *task;
    struct cosy_observer ended;
    cosy_ns ttl;
    /* outcome */
    int code;
    char *message; /* of the error; NULL: none */
    cosy_address_list *list;
    cosy_ns expires;
    /* key */
    struct cosy_getaddrinfo_options options;
    const char *host, *service;
    char text[];
};

struct cosy_dns_cache {
    struct cosy_dns_cache_options options;
    struct cosy_dns_cache_stats stats;
    struct cosy_link by_use;
    uint32_t mask;
    struct entry *buckets[];
};

struct asker {
    struct cosy_wait wait;
    struct cosy_link link;
    struct cosy_task *task;
    struct entry *entry;
};

/* ---- entries ---- */

static void unref(struct entry *entry)
{
    if (--entry->refs > 0)
        return;
    cosy_address_list_free(entry->list);
    cosy_heap_free(entry->message);
    cosy_heap_free(entry);
}

static uint32_t mix(uint32_t hash, const char *text)
{
    for (; text && *text; text++)
        hash = (hash ^ (uint32_t)tolower((unsigned char)*text)) * 16777619u;
    return hash * 16777619u;
}

static uint32_t hash_of(const char *host, const char *service, const struct cosy_getaddrinfo_options *options)
{
    uint32_t hash = mix(mix(2166136261u, host), service);
    hash = (hash ^ (uint32_t)options->family) * 16777619u;
    hash = (hash ^ (uint32_t)options->type) * 16777619u;
    hash = (hash ^ (uint32_t)options->protocol) * 16777619u;
    hash = (hash ^ (uint32_t)options->flags) * 16777619u;
    return hash ^ hash >> 16;
}

/* NULL is a text of its own. Case counts in neither names of hosts (RFC 4343) nor, as far as they are found, of
 * services. */
static bool same(const char *a, const char *b)
{
    return a && b ? strcasecmp(a, b) == 0 : a == b;
}

static bool is_for(const struct entry *entry, const char *host, const char *service,
                   const struct cosy_getaddrinfo_options *options)
{
    return entry->options.family == options->family && entry->options.type == options->type &&
           entry->options.protocol == options->protocol && entry->options.flags == options->flags &&
           same(entry->host, host) && same(entry->service, service);
}

static struct entry *entry_new(struct cosy_loop *loop, const char *host, const char *service,
                               const struct cosy_getaddrinfo_options *options)
{
    size_t host_size = host ? strlen(host) + 1 : 0, service_size = service ? strlen(service) + 1 : 0;
    struct entry *entry = cosy_heap_alloc(sizeof *entry + host_size + service_size);
    if (!entry)
        return NULL;
    *entry = (struct entry){.refs = 1, .loop = loop, .options = *options, .ttl = COSY_NEVER};
    cosy_list_init(&entry->by_use);
    cosy_list_init(&entry->flights);
    cosy_list_init(&entry->askers);
    entry->hash = hash_of(host, service, options);
    if (host)
        entry->host = memcpy(entry->text, host, host_size);
    if (service)
        entry->service = memcpy(entry->text + host_size, service, service_size);
    return entry;
}

/* The table's reference goes: askers and the flight may still have theirs. */
static void unlist(struct cosy_dns_cache *cache, struct entry *entry)
{
    if (!entry->listed)
        return;
    struct entry **place = &cache->buckets[entry->hash & cache->mask];
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    entry->listed = false;
    cache->stats.entries -= entry->known;
    cosy_list_remove(&entry->by_use);
    unref(entry);
}

static void clear(struct cosy_dns_cache *cache)
{
    for (uint32_t i = 0; i <= cache->mask; i++)
        while (cache->buckets[i])
            unlist(cache, cache->buckets[i]);
}

/* What is listed and still good. */
static struct entry *find(struct cosy_dns_cache *cache, struct cosy_loop *loop, const char *host, const char *service,
                          const struct cosy_getaddrinfo_options *options)
{
    uint32_t hash = hash_of(host, service, options);
    struct entry *entry = cache->buckets[hash & cache->mask];
    while (entry && !(entry->hash == hash && is_for(entry, host, service, options)))
        entry = entry->next;
    if (!entry || !entry->known || cosy_loop_time(loop) < entry->expires)
        return entry;
    unlist(cache, entry);
    return NULL;
}

/* ---- flights ---- */

cosy_async static int fly(struct entry *entry)
{
    int code = cosy_names_ask(entry->loop, entry->host, entry->service, &entry->list, &entry->options, &entry->ttl);
    if (code < 0 && code != -ECANCELED)
        entry->message = cosy_heap_strdup(cosy_error_message(code)); /* without memory the code has to do */
    entry->code = code;
    return code == -ECANCELED ? code : 0;
}

/* How long the outcome is good for. */
static cosy_ns good_for(const struct cosy_dns_cache *cache, const struct entry *entry)
{
    if (entry->code == -COSY_ENONAME)
        return cache->options.negative_ttl;
    if (entry->code < 0)
        return 0;
    return entry->ttl < cache->options.ttl ? entry->ttl : cache->options.ttl;
}

static void keep(struct cosy_dns_cache *cache, struct entry *entry)
{
    cosy_ns time = good_for(cache, entry);
    if (!entry->listed)
        return;
    if (time <= 0) {
        unlist(cache, entry);
        return;
    }
    if (__builtin_add_overflow(cosy_loop_time(entry->loop), time, &entry->expires))
        entry->expires = COSY_NEVER;
    entry->known = true;
    cosy_list_append(&cache->by_use, &entry->by_use);
    if (++cache->stats.entries <= cache->options.max_entries)
        return;
    cache->stats.evicted++;
    unlist(cache, container_of(cache->by_use.next, struct entry, by_use));
}

static void landed(struct cosy_observer *observer)
{
    struct entry *entry = container_of(observer, struct entry, ended);
    struct cosy_names *names = entry->loop->names;
    if (cosy_task_cancelled(entry->task))
        entry->code = -ECANCELED;
    cosy_task_drop(entry->task);
    entry->task = NULL;
    cosy_list_remove(&entry->flights);
    if (names->cache)
        keep(names->cache, entry);
    entry->known = true;
    while (!cosy_list_empty(&entry->askers)) {
        struct asker *asker = container_of(entry->askers.next, struct asker, link);
        cosy_list_remove(&asker->link);
        cosy_task_wake(asker->task, 0);
    }
    unref(entry);
}

static int take_off(struct cosy_names *names, struct entry *entry)
{
    entry->task = cosy_create_task_with((.name = "look-up"), fly, entry);
    if (!entry->task)
        return cosy_creation_error();
    struct cosy_dns_cache *cache = names->cache;
    struct entry **bucket = &cache->buckets[entry->hash & cache->mask];
    entry->refs += 2; /* the table's and the flight's */
    entry->listed = true;
    entry->next = *bucket;
    *bucket = entry;
    cosy_list_append(&names->flights, &entry->flights);
    entry->ended = (struct cosy_observer){.node.kind = COSY_NODE_NOTIFY, .notify = landed};
    cosy_observe(cosy_task_future(entry->task), &entry->ended);
    return 0;
}

/* ---- waiting ---- */

static void leave(struct cosy_wait *wait)
{
    struct asker *asker = container_of(wait, struct asker, wait);
    struct entry *entry = asker->entry;
    if (cosy_list_empty(&asker->link))
        return;
    cosy_list_remove(&asker->link);
    if (!cosy_list_empty(&entry->askers) || !entry->task)
        return;
    if (entry->listed) /* who asks from now on needs a flight of their own */
        unlist(entry->loop->names->cache, entry);
    cosy_task_cancel(entry->task);
}

static bool wait_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    leave(wait);
    return false;
}

/* The loop closes, and its tasks end in any order: only the asker goes. */
static void wait_abandon(struct cosy_wait *wait)
{
    struct asker *asker = container_of(wait, struct asker, wait);
    cosy_list_remove(&asker->link);
    unref(asker->entry);
}

static const char *wait_name(struct cosy_wait *wait)
{
    const struct entry *entry = container_of(wait, struct asker, wait)->entry;
    return entry->host ? entry->host : "this machine";
}

static const struct cosy_wait_kind asker_kind = {
    .verb = "looks up", .cancel = wait_cancel, .name = wait_name, .abandon = wait_abandon};

static size_t bytes_of(const cosy_address_list *list)
{
    size_t name = list->canonical_name ? strlen(list->canonical_name) + 1 : 0;
    return sizeof *list + list->count * sizeof list->items[0] + name;
}

static cosy_address_list *copy_of(const cosy_address_list *list)
{
    cosy_address_list *copy = cosy_heap_alloc(bytes_of(list));
    if (!copy)
        return NULL;
    *copy = (cosy_address_list){.count = list->count, .items = (struct cosy_address_info *)(void *)(copy + 1)};
    memcpy(copy->items, list->items, list->count * sizeof list->items[0]);
    if (list->canonical_name)
        copy->canonical_name = strcpy((char *)&copy->items[copy->count], list->canonical_name);
    return copy;
}

static int take(const struct entry *entry, cosy_address_list **ret_list)
{
    if (entry->code < 0)
        return entry->message ? cosy_fail(-entry->code, "%s", entry->message) : entry->code;
    *ret_list = copy_of(entry->list);
    return *ret_list ? 0 : -ENOMEM;
}

int cosy_cache_ask(struct cosy_loop *loop, const char *host, const char *service, cosy_address_list **ret_list,
                   const struct cosy_getaddrinfo_options *options)
{
    struct cosy_names *names = loop->names;
    struct cosy_dns_cache *cache = names->cache;
    struct entry *entry = find(cache, loop, host, service, options);
    int result = 0;
    if (entry && entry->known) {
        cache->stats.hits++;
        cosy_list_remove(&entry->by_use);
        cosy_list_append(&cache->by_use, &entry->by_use);
        return take(entry, ret_list);
    }
    if (entry)
        entry->refs++;
    else {
        entry = entry_new(loop, host, service, options);
        result = entry ? take_off(names, entry) : -ENOMEM;
        cache->stats.misses++;
    }
    cache->stats.shared += result == 0 && !cosy_list_empty(&entry->askers);
    if (result == 0) {
        struct asker asker = {.wait.kind = &asker_kind, .task = cosy_task_here(), .entry = entry};
        cosy_list_append(&entry->askers, &asker.link);
        result = (int)cosy_park(asker.task, &asker.wait);
        if (result == 0)
            result = take(entry, ret_list);
    }
    if (entry)
        unref(entry);
    return result;
}

/* ---- life ---- */

void cosy_cache_close(struct cosy_names *names)
{
    struct cosy_dns_cache *cache = names->cache;
    if (cache)
        clear(cache);
    cosy_heap_free(cache);
    names->cache = NULL;
}

void cosy_cache_flights_let_go(struct cosy_names *names)
{
    while (!cosy_list_empty(&names->flights)) {
        struct entry *entry = container_of(names->flights.next, struct entry, flights);
        cosy_list_remove(&entry->flights);
        cosy_unobserve(&entry->ended);
        cosy_task_drop(entry->task);
        unref(entry);
    }
}

static uint32_t buckets_for(size_t entries)
{
    uint32_t buckets = 16;
    while (buckets < entries && buckets < BUCKETS_MOST)
        buckets *= 2;
    return buckets;
}

int cosy_set_dns_cache_(const struct cosy_dns_cache_options *options)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop || options->ttl < 0)
        return loop ? -EINVAL : -COSY_ENOLOOP;
    size_t entries = options->max_entries ? options->max_entries : ENTRIES;
    uint32_t buckets = buckets_for(entries);
    struct cosy_names *names = cosy_names_of(loop);
    struct cosy_dns_cache *cache = names ? cosy_heap_zalloc(sizeof *cache + buckets * sizeof(*cache->buckets)) : NULL;
    if (!cache)
        return -ENOMEM;
    cosy_list_init(&cache->by_use);
    cache->mask = buckets - 1;
    cache->options = *options;
    cache->options.max_entries = entries;
    if (options->ttl == 0)
        cache->options.ttl = COSY_S(60);
    if (options->negative_ttl == 0)
        cache->options.negative_ttl = COSY_S(5);
    cosy_cache_close(names);
    names->cache = cache;
    return 0;
}

static struct cosy_dns_cache *cache_here(void)
{
    struct cosy_loop *loop = cosy_running_loop();
    return loop && loop->names ? loop->names->cache : NULL;
}

void cosy_dns_cache_off(void)
{
    if (cache_here())
        cosy_cache_close(cosy_running_loop()->names);
}

void cosy_dns_cache_clear(void)
{
    if (cache_here())
        clear(cache_here());
}

void cosy_dns_cache_get_stats(struct cosy_dns_cache_stats *ret_stats)
{
    *ret_stats = cache_here() ? cache_here()->stats : (struct cosy_dns_cache_stats){0};
}
