#include "watches.h"

#include <string.h>

#include "../base/heap.h"
#include "syscalls.h"

enum { CHUNK = 64 };

void cosy_watches_init(struct cosy_watches *table)
{
    *table = (struct cosy_watches){0};
    cosy_list_init(&table->free);
}

void cosy_watches_clear(struct cosy_watches *table)
{
    for (uint32_t i = 0; i < table->count / CHUNK; i++)
        cosy_heap_free(table->chunks[i]);
    cosy_heap_free(table->chunks);
    cosy_heap_free(table->by_key);
    cosy_watches_init(table);
}

static int grow_keys(struct cosy_watches *table, size_t key)
{
    size_t limit = table->key_limit ? table->key_limit : CHUNK;
    while (limit <= key)
        limit *= 2;
    struct cosy_watch **by_key = cosy_heap_resize(table->by_key, limit * sizeof *by_key);
    if (!by_key)
        return -ENOMEM;
    memset(by_key + table->key_limit, 0, (limit - table->key_limit) * sizeof *by_key);
    table->by_key = by_key;
    table->key_limit = limit;
    return 0;
}

static int add_chunk(struct cosy_watches *table)
{
    uint32_t number = table->count / CHUNK;
    if ((number & (number - 1)) == 0) { /* a power of two, or 0: the list of chunks is full */
        size_t room = number ? (size_t)number * 2 : 1;
        struct cosy_watch **chunks = cosy_heap_resize(table->chunks, room * sizeof(struct cosy_watch *));
        if (!chunks)
            return -ENOMEM;
        table->chunks = chunks;
    }
    struct cosy_watch *chunk = cosy_heap_zalloc(CHUNK * sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    table->chunks[number] = chunk;
    for (uint32_t i = 0; i < CHUNK; i++) {
        chunk[i].index = table->count + i;
        chunk[i].generation = 1;
        chunk[i].fd = -1;
        cosy_list_append(&table->free, &chunk[i].link);
    }
    table->count += CHUNK;
    return 0;
}

int cosy_watches_reserve(struct cosy_watches *table, size_t key)
{
    int error = key >= table->key_limit ? grow_keys(table, key) : 0;
    if (!error && cosy_list_empty(&table->free))
        error = add_chunk(table);
    return error;
}

struct cosy_watch *cosy_watches_add(struct cosy_watches *table, size_t key, int fd, unsigned events, void *data)
{
    cosy_assert(!cosy_list_empty(&table->free));
    struct cosy_watch *watch = container_of(table->free.next, struct cosy_watch, link);
    cosy_list_remove(&watch->link);
    watch->data = data;
    watch->identity = (struct cosy_identity){0};
    watch->key = key;
    watch->fd = fd;
    watch->events = events;
    watch->asked = watch->edges = 0;
    cosy_list_init(&watch->edge_link);
    watch->armed = watch->dead = false;
    table->by_key[key] = watch;
    return watch;
}

void cosy_watches_remove(struct cosy_watches *table, struct cosy_watch *watch)
{
    cosy_assert(watch->fd >= 0);
    if (table->by_key[watch->key] == watch)
        table->by_key[watch->key] = NULL;
    watch->fd = -1;
    if (++watch->generation == 0)
        watch->generation = 1;
    cosy_list_remove(&watch->link);
    cosy_list_append(table->free.next, &watch->link); /* in front: what is in the cache is used again first */
}

struct cosy_watch *cosy_watches_at(const struct cosy_watches *table, uint32_t index)
{
    cosy_assert(index < table->count);
    return &table->chunks[index / CHUNK][index % CHUNK];
}

struct cosy_watch *cosy_watches_by_key(const struct cosy_watches *table, size_t key)
{
    return key < table->key_limit ? table->by_key[key] : NULL;
}

struct cosy_watch *cosy_watches_by_id(const struct cosy_watches *table, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= table->count)
        return NULL;
    struct cosy_watch *watch = cosy_watches_at(table, index);
    return watch->fd >= 0 && watch->generation == id >> 32 ? watch : NULL;
}

/* Only epoll knows whether a device or an anonymous file can be waited for at all. */
static int ask_epoll(int fd)
{
    int epfd = sys_epoll_create(EPOLL_CLOEXEC);
    if (epfd < 0)
        return epfd;
    struct epoll_event event = {0};
    int error = sys_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    close(epfd);
    return error;
}

int cosy_sys_examine(int fd, struct cosy_identity *ret_identity)
{
    struct stat status;
    int error = fd < 0 ? -EBADF : sys_fstat(fd, &status);
    if (error)
        return error;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        return -EPERM;
    if (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode))
        error = ask_epoll(fd);
    if (!error)
        *ret_identity = (struct cosy_identity){.device = status.st_dev, .inode = status.st_ino};
    return error;
}

bool cosy_watch_is_same(const struct cosy_watch *old, const struct cosy_identity *now)
{
    return !old->dead && old->identity.device == now->device && old->identity.inode == now->inode;
}

int cosy_sys_check_events(unsigned events)
{
    unsigned known = COSY_SYS_READ | COSY_SYS_WRITE | COSY_SYS_ERROR | COSY_SYS_HANGUP | COSY_SYS_EDGE;
    return events & ~known ? -EINVAL : 0;
}

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                   EPOLLRDHUP == POLLRDHUP,
               "one translation serves poll, epoll and io_uring");

unsigned cosy_sys_to_poll(unsigned events)
{
    unsigned read = events & COSY_SYS_EDGE ? POLLIN | POLLRDHUP : POLLIN;
    return (events & COSY_SYS_READ ? read : 0u) | (events & COSY_SYS_WRITE ? POLLOUT : 0u);
}

unsigned cosy_sys_from_poll(unsigned poll_events)
{
    return (poll_events & POLLIN ? COSY_SYS_READ : 0u) | (poll_events & POLLOUT ? COSY_SYS_WRITE : 0u) |
           (poll_events & POLLERR ? COSY_SYS_ERROR : 0u) | (poll_events & POLLHUP ? COSY_SYS_HANGUP : 0u) |
           (poll_events & POLLNVAL ? COSY_SYS_INVALID : 0u) | (poll_events & POLLRDHUP ? COSY_SYS_READ_END : 0u);
}
