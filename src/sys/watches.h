/* watches.h - the table of watched descriptors that every backend keeps.
 *
 * Invariants
 *  - A watch never moves: tables of pointers grow, the watches lie in chunks. So backends may link them in lists.
 *  - A watch in use has fd >= 0 and is found under its key, unless a newer one is; a free one has fd -1 and is on the
 * free list.
 *  - Removing raises the generation, so an id (generation and index) names one registration for ever.
 *  - `sequence` is never reset: a backend that numbers its requests by it knows a late answer from a current one.
 */
#ifndef COSY_SYS_WATCHES_H
#define COSY_SYS_WATCHES_H

#include "../base/list.h"
#include "sys.h"

/* What tells an open file from another one that got its number. Anonymous files (eventfd, timerfd) share theirs. */
struct cosy_identity {
    uint64_t device, inode;
};

struct cosy_watch {
    struct cosy_link link; /* the free list, or a list of the backend */
    struct cosy_link edge_link; /* uring: on the list of those with edges */
    void *data;
    struct cosy_identity identity; /* only where the backend looks for it */
    size_t key;
    uint32_t index, generation;
    uint32_t sequence; /* uring: the number of its latest request */
    int fd;
    unsigned events; /* wanted; 0 = report nothing */
    unsigned asked;  /* what the kernel was asked for */
    bool armed;      /* uring: a request is in the kernel, or on its way there */
    unsigned edges;  /* edge watches. uring: what happened and was not reported yet; sim: what was told and not asked
                      * for again */
    bool dead;       /* the descriptor turned out to be closed, and that was reported */
};

struct cosy_watches {
    struct cosy_watch **chunks;
    struct cosy_watch **by_key;
    size_t key_limit;
    uint32_t count; /* in use and free ones */
    struct cosy_link free;
};

void cosy_watches_init(struct cosy_watches *table);
void cosy_watches_clear(struct cosy_watches *table);

/* Makes room for one more watch under this key, so that the next add cannot fail; -ENOMEM. */
int cosy_watches_reserve(struct cosy_watches *table, size_t key);
/* A watch that has the key already stays in use, but is no longer found under it. */
struct cosy_watch *cosy_watches_add(struct cosy_watches *table, size_t key, int fd, unsigned events, void *data);
void cosy_watches_remove(struct cosy_watches *table, struct cosy_watch *watch);

struct cosy_watch *cosy_watches_at(const struct cosy_watches *table, uint32_t index);
struct cosy_watch *cosy_watches_by_key(const struct cosy_watches *table, size_t key); /* NULL: none */
struct cosy_watch *cosy_watches_by_id(const struct cosy_watches *table, uint64_t id); /* NULL: stale or never given */

/* Never 0. */
static inline uint64_t cosy_watch_id(const struct cosy_watch *watch)
{
    return (uint64_t)watch->generation << 32 | watch->index;
}

/* What may be watched, as epoll judges: 0, -EPERM for files that are always ready, -EBADF. */
int cosy_sys_examine(int fd, struct cosy_identity *ret_identity);

/* True when `old` is still the registration of the file that has its number now. */
bool cosy_watch_is_same(const struct cosy_watch *old, const struct cosy_identity *now);

/* The caller's interest is one that we know: -EINVAL otherwise. */
int cosy_sys_check_events(unsigned events);

/* poll(2)'s and epoll's bits, which are the same, and ours. */
unsigned cosy_sys_to_poll(unsigned events);
unsigned cosy_sys_from_poll(unsigned poll_events);

/* What of `ready` this watch wants to hear. */
static inline unsigned cosy_watch_filter(const struct cosy_watch *watch, unsigned ready)
{
    return watch->events ? ready & (watch->events | COSY_SYS_ERROR | COSY_SYS_HANGUP | COSY_SYS_INVALID) : 0;
}

static inline bool cosy_watch_is_edge(const struct cosy_watch *watch)
{
    return watch->events & COSY_SYS_EDGE;
}

/* What an edge watch is told; 0: nothing of interest. */
static inline unsigned cosy_watch_edges(unsigned ready)
{
    return ready ? ready | COSY_SYS_EDGE : 0;
}

#endif
