/* net_hosts.c - names and addresses that the simulated network knows, and how each behaves. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "socket.h"

struct host {
    struct cosy_link of_network;
    struct cosy_link addresses;
    cosy_ns delay;
    int error;
    char name[];
};

struct host_address {
    struct cosy_link of_host;
    struct sim_address address;
};

static bool read_numeric(const char *text, struct sim_address *ret_address)
{
    struct sim_address address = {.size = sizeof address.in, .in.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &address.in.sin_addr) == 1) {
        *ret_address = address;
        return true;
    }
    address = (struct sim_address){.size = sizeof address.in6, .in6.sin6_family = AF_INET6};
    if (inet_pton(AF_INET6, text, &address.in6.sin6_addr) != 1)
        return false;
    *ret_address = address;
    return true;
}

/* ---- routes ---- */

static struct sim_route *find_route(struct sim_network *network, const struct sim_address *address)
{
    for (struct cosy_link *link = network->routes.next; link != &network->routes; link = link->next) {
        struct sim_route *route = container_of(link, struct sim_route, of_network);
        if (cosy_sim_same_host(&route->address, address))
            return route;
    }
    return NULL;
}

static bool is_own(const struct sim_address *address)
{
    static const struct in6_addr outside = {.s6_addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    if (cosy_sim_is_any(address))
        return true;
    if (address->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr) || IN6_ARE_ADDR_EQUAL(&address->in6.sin6_addr, &outside);
    uint32_t number = ntohl(address->in.sin_addr.s_addr);
    return number >> 24 == 127 || number == 0xc0000201u;
}

bool cosy_sim_is_local(struct sim_network *network, const struct sim_address *address)
{
    return is_own(address) || cosy_sim_is_multicast(address) || cosy_sim_is_broadcast(address) ||
           find_route(network, address);
}

int cosy_sim_route_to(struct sim_network *network, const struct sim_address *address, struct sim_route *ret_route)
{
    const struct sim_route *route = find_route(network, address);
    *ret_route = route ? *route : (struct sim_route){.address = *address};
    if (route ? route->behaviour == COSY_SIM_NET_UNREACHABLE : !cosy_sim_is_local(network, address))
        return -ENETUNREACH;
    return 0;
}

static int set_route(struct sim_network *network, const struct cosy_sim_host *host, const struct sim_address *address)
{
    struct sim_route *route = find_route(network, address);
    if (!route) {
        route = cosy_heap_zalloc(sizeof *route);
        if (!route)
            return -ENOMEM;
        route->address = *address;
        cosy_list_append(&network->routes, &route->of_network);
    }
    route->behaviour = host->behaviour;
    route->delay = host->delay;
    route->reset_after = host->reset_after;
    return 0;
}

/* ---- names ---- */

static struct host *find_host(struct sim_network *network, const char *name)
{
    for (struct cosy_link *link = network->hosts.next; link != &network->hosts; link = link->next) {
        struct host *host = container_of(link, struct host, of_network);
        if (strcasecmp(host->name, name) == 0)
            return host;
    }
    return NULL;
}

static struct host *host_for(struct sim_network *network, const char *name)
{
    struct host *host = find_host(network, name);
    if (host)
        return host;
    size_t size = strlen(name) + 1;
    host = cosy_heap_zalloc(sizeof *host + size);
    if (!host)
        return NULL;
    memcpy(host->name, name, size);
    cosy_list_init(&host->addresses);
    cosy_list_append(&network->hosts, &host->of_network);
    return host;
}

static int add_address(struct host *host, const struct sim_address *address)
{
    for (struct cosy_link *link = host->addresses.next; link != &host->addresses; link = link->next)
        if (cosy_sim_same_host(&container_of(link, struct host_address, of_host)->address, address))
            return 0;
    struct host_address *entry = cosy_heap_zalloc(sizeof *entry);
    if (!entry)
        return -ENOMEM;
    entry->address = *address;
    cosy_list_append(&host->addresses, &entry->of_host);
    return 0;
}

int cosy_sim_add_host(struct cosy_sys *sys, const struct cosy_sim_host *given)
{
    struct sim_network *network = cosy_sim_network(sys);
    struct sim_address address = {0};
    if ((given->address && !read_numeric(given->address, &address)) || given->lookup_error > 0 ||
        (unsigned)given->behaviour > COSY_SIM_HOST_UNREACHABLE || (!given->name && !given->address))
        return -EINVAL;
    int error = given->address ? set_route(network, given, &address) : 0;
    if (error || !given->name)
        return error;
    struct host *host = host_for(network, given->name);
    if (!host)
        return -ENOMEM;
    host->delay = given->lookup_delay;
    host->error = given->lookup_error;
    return given->address ? add_address(host, &address) : 0;
}

void cosy_sim_forget_hosts(struct sim_network *network)
{
    while (!cosy_list_empty(&network->routes)) {
        struct sim_route *route = container_of(network->routes.next, struct sim_route, of_network);
        cosy_list_remove(&route->of_network);
        cosy_heap_free(route);
    }
    while (!cosy_list_empty(&network->hosts)) {
        struct host *host = container_of(network->hosts.next, struct host, of_network);
        while (!cosy_list_empty(&host->addresses)) {
            struct host_address *entry = container_of(host->addresses.next, struct host_address, of_host);
            cosy_list_remove(&entry->of_host);
            cosy_heap_free(entry);
        }
        cosy_list_remove(&host->of_network);
        cosy_heap_free(host);
    }
}

/* ---- the resolver ---- */

static int put_address(const struct sim_address *address, int family, struct sockaddr_storage *addresses, int room,
                       int count)
{
    if ((family != AF_UNSPEC && family != address->any.sa_family) || count >= room)
        return count;
    memset(&addresses[count], 0, sizeof addresses[count]);
    memcpy(&addresses[count], &address->any, address->size);
    return count + 1;
}

static int put_all(const struct host *host, int family, struct sockaddr_storage *addresses, int room)
{
    int count = 0;
    for (struct cosy_link *link = host->addresses.next; link != &host->addresses; link = link->next)
        count = put_address(&container_of(link, struct host_address, of_host)->address, family, addresses, room, count);
    return count;
}

static int put_localhost(int family, struct sockaddr_storage *addresses, int room)
{
    struct sim_address address;
    int count = 0;
    if (read_numeric("::1", &address))
        count = put_address(&address, family, addresses, room, count);
    if (read_numeric("127.0.0.1", &address))
        count = put_address(&address, family, addresses, room, count);
    return count;
}

int cosy_sim_look_up(struct cosy_sys *sys, const char *name, int family, struct sockaddr_storage *addresses, int room,
                     cosy_ns *ret_delay)
{
    struct sim_network *network = cosy_sim_network(sys);
    struct sim_address address;
    int count;
    *ret_delay = 0;
    const struct host *host = find_host(network, name);
    if (host) {
        *ret_delay = host->delay;
        count = host->error ? host->error : put_all(host, family, addresses, room);
    } else if (strcasecmp(name, "localhost") == 0) {
        count = put_localhost(family, addresses, room);
    } else {
        count = read_numeric(name, &address) ? put_address(&address, family, addresses, room, 0) : 0;
    }
    return count ? count : -ENOENT;
}
