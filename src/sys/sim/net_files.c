/* net_files.c - virtual descriptors, the files behind them, and the network's chance. */
#include <stdatomic.h>

#include "socket.h"

static atomic_long lost;

long cosy_sim_descriptors_lost(void)
{
    return atomic_load(&lost);
}

void cosy_sim_network_open(struct sim_network *network, struct cosy_sys *sys, uint64_t seed)
{
    *network = (struct sim_network){.sys = sys, .random = ~seed, .last_port = 49151};
    cosy_list_init(&network->files);
    cosy_list_init(&network->names);
    cosy_list_init(&network->hosts);
    cosy_list_init(&network->routes);
    for (size_t i = 0; i < SIM_PORT_BUCKETS; i++)
        cosy_list_init(&network->ports[i]);
}

/* ---- descriptors ---- */

void cosy_sim_file_init(struct sim_network *network, struct sim_file *file, const struct sim_file_kind *kind)
{
    file->kind = kind;
    file->references = 1;
    file->descriptor = -1;
    cosy_list_append(&network->files, &file->of_network);
}

void cosy_sim_file_release(struct sim_network *network, struct sim_file *file)
{
    if (--file->references > 0)
        return;
    cosy_list_remove(&file->of_network);
    file->kind->close(network, file);
}

static int find_free(struct sim_network *network)
{
    int limit = network->character.most_descriptors;
    if (limit && network->open >= limit)
        return -EMFILE;
    while (network->lowest < network->count && network->table[network->lowest].file)
        network->lowest++;
    if (network->lowest < network->room)
        return network->lowest;
    if (network->room == SIM_MOST_VIRTUAL)
        return -EMFILE;
    int room = network->room ? network->room * 2 : 16;
    struct sim_descriptor *table = cosy_heap_resize(network->table, (size_t)room * sizeof *table);
    if (!table)
        return -ENOMEM;
    network->table = table;
    network->room = room;
    return network->lowest;
}

int cosy_sim_install(struct sim_network *network, struct sim_file *file)
{
    int index = find_free(network);
    if (index < 0)
        return index;
    if (index == network->count)
        network->count++;
    network->table[index] = (struct sim_descriptor){file, ++network->serials, file->descriptor};
    network->open++;
    file->descriptor = index;
    file->references++;
    return SIM_FIRST_VIRTUAL + index;
}

static struct sim_descriptor *find(struct sim_network *network, int fd)
{
    if (!sim_is_virtual(fd) || fd - SIM_FIRST_VIRTUAL >= network->count)
        return NULL;
    struct sim_descriptor *descriptor = &network->table[fd - SIM_FIRST_VIRTUAL];
    return descriptor->file ? descriptor : NULL;
}

struct sim_file *cosy_sim_file(struct sim_network *network, int fd)
{
    struct sim_descriptor *descriptor = find(network, fd);
    return descriptor ? descriptor->file : NULL;
}

uint64_t cosy_sim_serial(struct sim_network *network, int fd)
{
    struct sim_descriptor *descriptor = find(network, fd);
    return descriptor ? descriptor->serial : 0;
}

void cosy_sim_close_descriptor(struct sim_network *network, int fd)
{
    struct sim_descriptor *descriptor = find(network, fd);
    if (!descriptor)
        return;
    struct sim_file *file = descriptor->file;
    int index = fd - SIM_FIRST_VIRTUAL, *place = &file->descriptor;
    while (*place != index)
        place = &network->table[*place].next;
    *place = descriptor->next;
    descriptor->file = NULL;
    network->open--;
    if (index < network->lowest)
        network->lowest = index;
    cosy_sim_file_release(network, file);
}

/* Files may carry each other under way, so that none would ever be the last: they are made to let go first. */
void cosy_sim_network_close(struct sim_network *network)
{
    for (int i = 0; i < network->count; i++) {
        atomic_fetch_add(&lost, network->table[i].file != NULL && network->table[i].file->kind->purge != NULL);
        cosy_sim_close_descriptor(network, SIM_FIRST_VIRTUAL + i);
    }
    while (!cosy_list_empty(&network->files)) {
        struct sim_file *file = container_of(network->files.next, struct sim_file, of_network);
        file->references++;
        file->kind->purge(network, file);
        cosy_sim_file_release(network, file);
    }
    cosy_sim_drop_packets(network);
    cosy_sim_forget_names(network);
    cosy_sim_forget_hosts(network);
    cosy_heap_free(network->table);
}

/* ---- edges ---- */

static void alarm_somebody(struct sim_network *network)
{
    int index = (int)(cosy_sim_chance(network) % (uint64_t)network->count);
    if (network->table[index].file)
        cosy_sim_edge(network->sys, SIM_FIRST_VIRTUAL + index, SIM_BOTH, true);
}

void cosy_sim_touch(struct sim_network *network, struct sim_file *file, unsigned events)
{
    for (int index = file->descriptor; index >= 0; index = network->table[index].next)
        cosy_sim_edge(network->sys, SIM_FIRST_VIRTUAL + index, events, false);
    if (unlikely(network->character.alarm_per_million) && network->count > 0 &&
        cosy_sim_happens(network, network->character.alarm_per_million))
        alarm_somebody(network);
}

/* ---- chance: a generator beside the kernel's, so that faults do not change which of two ready ones is first ---- */

uint64_t cosy_sim_chance(struct sim_network *network) /* splitmix64 */
{
    uint64_t z = network->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool cosy_sim_happens(struct sim_network *network, unsigned per_million)
{
    return per_million && cosy_sim_chance(network) % 1000000 < per_million;
}

size_t cosy_sim_part(struct sim_network *network, size_t size)
{
    return size > 1 ? 1 + cosy_sim_chance(network) % size : size;
}

cosy_ns cosy_sim_latency(struct sim_network *network)
{
    cosy_ns jitter = network->character.jitter;
    return network->character.latency + (jitter ? (cosy_ns)(cosy_sim_chance(network) % ((uint64_t)jitter + 1)) : 0);
}

void cosy_sim_set_character(struct cosy_sys *sys, const struct cosy_sim_character *character)
{
    cosy_sim_network(sys)->character = *character;
}

/* ---- descriptors whose readiness is set by hand ---- */

struct manual {
    struct sim_file file;
    unsigned readiness;
};

static unsigned manual_poll(struct sim_network *network, struct sim_file *file)
{
    (void)network;
    return container_of(file, struct manual, file)->readiness;
}

static void manual_close(struct sim_network *network, struct sim_file *file)
{
    (void)network;
    cosy_heap_free(container_of(file, struct manual, file));
}

static const struct sim_file_kind manual_kind = {.poll = manual_poll, .close = manual_close};

int cosy_sim_manual(struct sim_network *network)
{
    struct manual *manual = cosy_heap_zalloc(sizeof *manual);
    if (!manual)
        return -ENOMEM;
    cosy_sim_file_init(network, &manual->file, &manual_kind);
    int fd = cosy_sim_install(network, &manual->file);
    cosy_sim_file_release(network, &manual->file);
    return fd;
}

int cosy_sim_manual_set(struct sim_network *network, int fd, unsigned events)
{
    struct sim_file *file = cosy_sim_file(network, fd);
    if (!file || file->kind != &manual_kind)
        return -EBADF;
    container_of(file, struct manual, file)->readiness = events;
    cosy_sim_touch(network, file, SIM_BOTH);
    return 0;
}
