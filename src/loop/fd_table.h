/* fd_table.h - objects found by the descriptor that they are about. The link lies in the object, so that adding cannot
 * fail.
 *
 * Invariant: each link that was added and not removed is on the list of its descriptor's bucket. Without memory for
 * more buckets the lists grow longer.
 */
#ifndef COSY_LOOP_FD_TABLE_H
#define COSY_LOOP_FD_TABLE_H

#include "../base/base.h"
#include "../base/list.h"

struct cosy_fd_table {
    size_t count, buckets;          /* buckets: a power of two */
    ptrdiff_t to_fd;                /* from an object's link to its int fd, in bytes */
    struct cosy_link *lists, first; /* first: the only list, at the beginning */
};

/* An empty one, which must not move: cosy_fd_table_init(&table, struct cosy_port, of_loop, fd). */
#define cosy_fd_table_init(table, type, link, fd)                                                                      \
    cosy_fd_table_init_((table), (ptrdiff_t)offsetof(type, fd) - (ptrdiff_t)offsetof(type, link))
void cosy_fd_table_init_(struct cosy_fd_table *table, ptrdiff_t to_fd);
/* Frees its own memory; what is in it is left alone. */
void cosy_fd_table_clear(struct cosy_fd_table *table);

void cosy_fd_table_add(struct cosy_fd_table *table, struct cosy_link *link);
void cosy_fd_table_remove(struct cosy_fd_table *table, struct cosy_link *link);
/* The newest one with that descriptor, or NULL. */
struct cosy_link *cosy_fd_table_find(const struct cosy_fd_table *table, int fd);
/* The one behind `link` (NULL: the first one) in no particular order; NULL: there are no more. `link` must still be in
 * the table. */
struct cosy_link *cosy_fd_table_next(const struct cosy_fd_table *table, const struct cosy_link *link);

#endif
