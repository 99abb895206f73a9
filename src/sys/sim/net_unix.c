/* net_unix.c - names of Unix sockets: paths and abstract ones. The instance has a file system of its own, without
 * folders. */
#include <stdio.h>
#include <string.h>

#include "socket.h"

enum { DEVICE = 0x51 };

static const size_t HEAD = offsetof(struct sockaddr_un, sun_path);

static inline bool is_path(const struct sim_address *address)
{
    return address->un.sun_path[0] != '\0';
}

/* Abstract names of one type are not those of another. */
static struct sim_name *find(struct sim_network *network, const struct sim_address *address, int type)
{
    for (struct cosy_link *link = network->names.next; link != &network->names; link = link->next) {
        struct sim_name *name = container_of(link, struct sim_name, of_network);
        if (name->address.size == address->size && memcmp(&name->address.un, &address->un, address->size) == 0 &&
            (is_path(address) || name->type == type))
            return name;
    }
    return NULL;
}

static struct sim_name *find_path(struct sim_network *network, const char *path)
{
    struct sim_address address = {.un.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length > sizeof address.un.sun_path)
        return NULL;
    memcpy(address.un.sun_path, path, length);
    address.size = (socklen_t)(HEAD + length + 1);
    return find(network, &address, 0);
}

/* Five hexadecimal digits, as unix(7) says. */
static void pick_name(struct sim_network *network, struct sim_address *address, int type)
{
    for (uint64_t number = network->serials;; number++) {
        char text[8];
        snprintf(text, sizeof text, "%05x", (unsigned)(number & 0xfffff));
        *address = (struct sim_address){.size = (socklen_t)(HEAD + 6), .un.sun_family = AF_UNIX};
        memcpy(address->un.sun_path + 1, text, 5);
        if (!find(network, address, type))
            return;
    }
}

int cosy_sim_bind_name(struct sim_network *network, struct sim_socket *socket, const struct sim_address *address)
{
    struct sim_address wanted = *address;
    if (wanted.size == HEAD)
        pick_name(network, &wanted, socket->type);
    if (find(network, &wanted, socket->type))
        return -EADDRINUSE;
    if (socket->local.size)
        return -EINVAL;
    struct sim_name *name = cosy_heap_zalloc(sizeof *name);
    if (!name)
        return -ENOMEM;
    name->address = socket->local = wanted;
    name->socket = socket;
    name->type = socket->type;
    name->inode = ++network->serials;
    name->mode = 0755;
    socket->name = name;
    cosy_list_append(&network->names, &name->of_network);
    return 0;
}

int cosy_sim_find_name(struct sim_network *network, const struct sim_address *address, int type,
                       struct sim_socket **ret_socket)
{
    if (address->size == HEAD)
        return -EINVAL;
    struct sim_name *name = find(network, address, type);
    if (!name)
        return is_path(address) ? -ENOENT : -ECONNREFUSED;
    if (is_path(address) && !(name->mode & 0222))
        return -EACCES;
    if (!name->socket)
        return -ECONNREFUSED;
    if (name->socket->type != type)
        return -EPROTOTYPE;
    *ret_socket = name->socket;
    return 0;
}

static void forget(struct sim_name *name)
{
    cosy_list_remove(&name->of_network);
    if (name->socket)
        name->socket->name = NULL;
    cosy_heap_free(name);
}

/* A path stays when its socket goes, until somebody removes it. */
void cosy_sim_leave_name(struct sim_network *network, struct sim_socket *socket)
{
    (void)network;
    struct sim_name *name = socket->name;
    if (name && !is_path(&name->address))
        forget(name);
    else if (name)
        name->socket = NULL;
    socket->name = NULL;
}

void cosy_sim_forget_names(struct sim_network *network)
{
    while (!cosy_list_empty(&network->names))
        forget(container_of(network->names.next, struct sim_name, of_network));
}

int cosy_sim_examine_path(struct sim_network *network, const char *path, struct cosy_net_file *ret_file)
{
    struct sim_name *name = find_path(network, path);
    if (!name)
        return -ENOENT;
    *ret_file = (struct cosy_net_file){.device = DEVICE, .inode = name->inode, .socket = true};
    return 0;
}

int cosy_sim_remove_path(struct sim_network *network, const char *path)
{
    struct sim_name *name = find_path(network, path);
    if (!name)
        return -ENOENT;
    forget(name);
    return 0;
}

int cosy_sim_set_path_mode(struct sim_network *network, const char *path, mode_t mode)
{
    struct sim_name *name = find_path(network, path);
    if (!name)
        return -ENOENT;
    name->mode = mode;
    return 0;
}
