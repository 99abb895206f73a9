/* address.c - addresses as text and back. */
#include <cosy/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/err.h>
#include <cosy/trace.h>

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* "eth0" or a number; 0: unknown. */
static unsigned zone_index(const char *zone)
{
    unsigned index = if_nametoindex(zone);
    char *end;
    if (index || *zone < '0' || *zone > '9')
        return index;
    unsigned long number = strtoul(zone, &end, 10);
    return *end || number > UINT32_MAX ? 0 : (unsigned)number;
}

static int parse_ip6(struct cosy_address *address, const char *host, unsigned port)
{
    char digits[INET6_ADDRSTRLEN];
    const char *zone = strchr(host, '%');
    size_t length = zone ? (size_t)(zone - host) : strlen(host);
    if (length >= sizeof digits)
        return -EINVAL;
    memcpy(digits, host, length);
    digits[length] = 0;
    address->ip6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET6, digits, &address->ip6.sin6_addr) != 1)
        return -EINVAL;
    if (zone && !(address->ip6.sin6_scope_id = zone_index(zone + 1)))
        return -EINVAL;
    address->size = sizeof address->ip6;
    return 0;
}

int cosy_address_parse(struct cosy_address *ret_address, const char *host, unsigned port)
{
    if (!ret_address || !host || port > UINT16_MAX)
        return -EINVAL;
    *ret_address = (struct cosy_address){0};
    struct in_addr ip4;
    if (inet_pton(AF_INET, host, &ip4) != 1) {
        int error = parse_ip6(ret_address, host, port);
        if (error)
            *ret_address = (struct cosy_address){0};
        return error;
    }
    ret_address->ip4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = ip4};
    ret_address->size = sizeof ret_address->ip4;
    return 0;
}

int cosy_address_unix(struct cosy_address *ret_address, const char *path)
{
    if (!ret_address || !path || !*path)
        return -EINVAL;
    bool is_abstract = *path == '@';
    size_t length = strlen(path), limit = sizeof ret_address->local.sun_path - (is_abstract ? 0 : 1);
    if (length > limit)
        return cosy_fail(ENAMETOOLONG, "%s: %zu bytes are too many for a Unix socket's path, which has room for %zu",
                         path, length, limit);
    *ret_address = (struct cosy_address){.local.sun_family = AF_UNIX};
    memcpy(ret_address->local.sun_path, path, length);
    if (is_abstract)
        ret_address->local.sun_path[0] = 0;
    ret_address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (is_abstract ? 0 : 1));
    return 0;
}

/* An abstract name may hold any bytes: those that do not print are shown as '?'. */
static void unix_text(const struct cosy_address *address, char *text)
{
    size_t length = address->size > offsetof(struct sockaddr_un, sun_path)
                        ? address->size - offsetof(struct sockaddr_un, sun_path)
                        : 0;
    const char *path = address->local.sun_path;
    if (length == 0) {
        strcpy(text, "unix:");
        return;
    }
    if (path[0])
        length = strnlen(path, length);
    for (size_t i = 0; i < length; i++)
        text[i] = i == 0 && !path[0]                ? '@'
                  : path[i] >= ' ' && path[i] < 127 ? path[i]
                  : path[i] & 0x80 && path[0]       ? path[i]
                                                    : '?';
    text[length] = 0;
}

/* A number in decimal; returns where it ends. */
static char *put_number(char *text, unsigned number)
{
    char digits[10];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10));
    while (count)
        *text++ = digits[--count];
    return text;
}

/* Each accepted connection gets a name, and printf took half of what the library does for it. */
static char *put_ip4(char *text, const struct in_addr *address)
{
    const unsigned char *bytes = (const unsigned char *)address;
    for (int i = 0; i < 4; i++) {
        text = put_number(text, bytes[i]);
        *text++ = '.';
    }
    *--text = 0;
    return text;
}

const char *cosy_address_host(const struct cosy_address *address, char text[COSY_ADDRESS_TEXT])
{
    strcpy(text, "nowhere");
    if (!address || address->size == 0)
        return text;
    if (address->any.sa_family == AF_UNIX)
        unix_text(address, text);
    else if (address->any.sa_family == AF_INET)
        put_ip4(text, &address->ip4.sin_addr);
    else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->ip6.sin6_addr, text, COSY_ADDRESS_TEXT);
        char name[IF_NAMESIZE];
        unsigned scope = address->ip6.sin6_scope_id;
        size_t length = strlen(text);
        if (scope && if_indextoname(scope, name))
            snprintf(text + length, COSY_ADDRESS_TEXT - length, "%%%s", name);
        else if (scope)
            snprintf(text + length, COSY_ADDRESS_TEXT - length, "%%%u", scope);
    } else
        snprintf(text, COSY_ADDRESS_TEXT, "family %d", address->any.sa_family);
    return text;
}

const char *cosy_address_text(const struct cosy_address *address, char text[COSY_ADDRESS_TEXT])
{
    char host[COSY_ADDRESS_TEXT];
    int family = address && address->size ? address->any.sa_family : AF_UNSPEC;
    if (family == AF_INET) {
        char *end = put_ip4(text, &address->ip4.sin_addr);
        *end++ = ':';
        *put_number(end, ntohs(address->ip4.sin_port)) = 0;
    } else if (family == AF_INET6) {
        cosy_address_host(address, host);
        snprintf(text, COSY_ADDRESS_TEXT, "[%.140s]:%u", host, cosy_address_port(address));
    } else
        cosy_address_host(address, text);
    return text;
}

unsigned cosy_address_port(const struct cosy_address *address)
{
    if (!address || address->size == 0)
        return 0;
    return address->any.sa_family == AF_INET    ? ntohs(address->ip4.sin_port)
           : address->any.sa_family == AF_INET6 ? ntohs(address->ip6.sin6_port)
                                                : 0;
}

int cosy_address_set_port(struct cosy_address *address, unsigned port)
{
    if (!address || address->size == 0 || port > UINT16_MAX)
        return -EINVAL;
    if (address->any.sa_family == AF_INET)
        address->ip4.sin_port = htons((uint16_t)port);
    else if (address->any.sa_family == AF_INET6)
        address->ip6.sin6_port = htons((uint16_t)port);
    else
        return -EINVAL;
    return 0;
}

bool cosy_address_equal(const struct cosy_address *a, const struct cosy_address *b)
{
    if (a->size == 0 || b->size == 0)
        return a->size == b->size;
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->ip4.sin_port == b->ip4.sin_port && a->ip4.sin_addr.s_addr == b->ip4.sin_addr.s_addr;
    if (a->any.sa_family == AF_INET6)
        return a->ip6.sin6_port == b->ip6.sin6_port && a->ip6.sin6_scope_id == b->ip6.sin6_scope_id &&
               memcmp(&a->ip6.sin6_addr, &b->ip6.sin6_addr, sizeof a->ip6.sin6_addr) == 0;
    return a->size == b->size && memcmp(&a->any, &b->any, a->size) == 0;
}
