/* datagram_options.c - groups, hops and loops. */
#include "datagram.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* 0: the kernel's choice; -ENODEV. */
static int index_of(const char *interface)
{
    if (!interface)
        return 0;
    int index = (int)if_nametoindex(interface);
    char *end = NULL;
    if (index == 0 && *interface >= '0' && *interface <= '9') {
        long number = strtol(interface, &end, 10);
        index = *end || number > INT32_MAX ? 0 : (int)number;
    }
    return index > 0 ? index : cosy_fail(ENODEV, "there is no interface '%s'", interface);
}

static bool is_multicast(const struct cosy_address *address)
{
    return address->any.sa_family == AF_INET    ? IN_MULTICAST(ntohl(address->ip4.sin_addr.s_addr))
           : address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_MULTICAST(&address->ip6.sin6_addr)
                                                : false;
}

static int level_of(const cosy_datagram *endpoint)
{
    return endpoint->family == AF_INET ? IPPROTO_IP : endpoint->family == AF_INET6 ? IPPROTO_IPV6 : -EINVAL;
}

/* Whether the group is one, and of the endpoint's family; then the interface's index. */
static int check_group(const cosy_datagram *endpoint, const struct cosy_address *group, const char *interface)
{
    char text[COSY_ADDRESS_TEXT];
    int result = cosy_datagram_usable(endpoint);
    if (result < 0)
        return result;
    if (!group || group->any.sa_family != endpoint->family || !is_multicast(group))
        return cosy_fail(EINVAL, "%s is no multicast group for this endpoint", cosy_address_text(group, text));
    int index = index_of(interface);
    return index == 0 && group->any.sa_family == AF_INET6 ? (int)group->ip6.sin6_scope_id : index;
}

static int told(const struct cosy_address *group, const char *doing, int result)
{
    char text[COSY_ADDRESS_TEXT];
    return result == 0 ? 0
                       : cosy_fail(-result, "%s multicast group %s: %s", doing, cosy_address_host(group, text),
                                   cosy_strerror(result));
}

static int change(cosy_datagram *endpoint, const struct cosy_address *group, const char *interface, int name,
                  const char *doing)
{
    int index = check_group(endpoint, group, interface);
    if (index < 0)
        return index;
    struct group_req request;
    memset(&request, 0, sizeof request); /* what lies between the fields goes to the kernel too */
    request.gr_interface = (uint32_t)index;
    request.gr_group = group->storage;
    return told(group, doing, cosy_datagram_setsockopt(endpoint, level_of(endpoint), name, &request, sizeof request));
}

static int change_source(cosy_datagram *endpoint, const struct cosy_address *group, const struct cosy_address *source,
                         const char *interface, int name, const char *doing)
{
    int index = check_group(endpoint, group, interface);
    if (index < 0)
        return index;
    if (!source || source->any.sa_family != endpoint->family)
        return cosy_fail(EINVAL, "%s a multicast group: the source is of another family", doing);
    struct group_source_req request;
    memset(&request, 0, sizeof request);
    request.gsr_interface = (uint32_t)index;
    request.gsr_group = group->storage;
    request.gsr_source = source->storage;
    return told(group, doing, cosy_datagram_setsockopt(endpoint, level_of(endpoint), name, &request, sizeof request));
}

int cosy_datagram_join(cosy_datagram *endpoint, const struct cosy_address *group, const char *interface)
{
    return change(endpoint, group, interface, MCAST_JOIN_GROUP, "joining");
}

int cosy_datagram_leave(cosy_datagram *endpoint, const struct cosy_address *group, const char *interface)
{
    return change(endpoint, group, interface, MCAST_LEAVE_GROUP, "leaving");
}

int cosy_datagram_join_source(cosy_datagram *endpoint, const struct cosy_address *group,
                              const struct cosy_address *source, const char *interface)
{
    return change_source(endpoint, group, source, interface, MCAST_JOIN_SOURCE_GROUP, "joining");
}

int cosy_datagram_leave_source(cosy_datagram *endpoint, const struct cosy_address *group,
                               const struct cosy_address *source, const char *interface)
{
    return change_source(endpoint, group, source, interface, MCAST_LEAVE_SOURCE_GROUP, "leaving");
}

static int set(cosy_datagram *endpoint, int name4, int name6, int value)
{
    int result = cosy_datagram_usable(endpoint), level = result < 0 ? result : level_of(endpoint);
    return level < 0 ? level : cosy_datagram_set(endpoint, level, level == IPPROTO_IP ? name4 : name6, value);
}

int cosy_datagram_set_multicast_ttl(cosy_datagram *endpoint, int hops)
{
    return hops < 0 ? -EINVAL : set(endpoint, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, hops);
}

int cosy_datagram_set_multicast_loop(cosy_datagram *endpoint, bool on)
{
    return set(endpoint, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

int cosy_datagram_set_ttl(cosy_datagram *endpoint, int hops)
{
    return hops < 1 ? -EINVAL : set(endpoint, IP_TTL, IPV6_UNICAST_HOPS, hops);
}

int cosy_datagram_set_multicast_interface(cosy_datagram *endpoint, const char *interface)
{
    int result = cosy_datagram_usable(endpoint), index = result < 0 ? result : index_of(interface);
    if (index < 0)
        return index;
    struct ip_mreqn request = {.imr_ifindex = index};
    if (endpoint->family == AF_INET)
        return cosy_datagram_setsockopt(endpoint, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
    return set(endpoint, IP_MULTICAST_IF, IPV6_MULTICAST_IF, index);
}
