/* fd_table.c - objects by descriptor. */
#include "fd_table.h"

#include "../base/heap.h"

enum { PER_BUCKET = 2, GROWTH = 8 };

void cosy_fd_table_init_(struct cosy_fd_table *table, ptrdiff_t to_fd)
{
    *table = (struct cosy_fd_table){.buckets = 1, .to_fd = to_fd, .lists = &table->first};
    cosy_list_init(&table->first);
}

void cosy_fd_table_clear(struct cosy_fd_table *table)
{
    if (table->lists != &table->first)
        cosy_heap_free(table->lists);
    cosy_fd_table_init_(table, table->to_fd);
}

static int fd_of(const struct cosy_fd_table *table, const struct cosy_link *link)
{
    return *(const int *)(const void *)((const char *)link + table->to_fd);
}

static size_t bucket_of(const struct cosy_fd_table *table, int fd)
{
    return (unsigned)fd & (table->buckets - 1);
}

static void put(struct cosy_fd_table *table, struct cosy_link *link)
{
    cosy_list_append(&table->lists[bucket_of(table, fd_of(table, link))], link);
}

static void maybe_grow(struct cosy_fd_table *table)
{
    struct cosy_fd_table old = *table;
    if (table->count < PER_BUCKET * table->buckets)
        return;
    struct cosy_link *lists = cosy_heap_alloc(GROWTH * table->buckets * sizeof(*lists));
    if (!lists)
        return;
    table->lists = lists;
    table->buckets *= GROWTH;
    for (size_t i = 0; i < table->buckets; i++)
        cosy_list_init(&lists[i]);
    struct cosy_link *from = old.buckets == 1 ? &table->first : old.lists;
    for (size_t i = 0; i < old.buckets; i++)
        while (!cosy_list_empty(&from[i])) {
            struct cosy_link *link = from[i].next;
            cosy_list_remove(link);
            put(table, link);
        }
    if (old.buckets > 1)
        cosy_heap_free(old.lists);
}

void cosy_fd_table_add(struct cosy_fd_table *table, struct cosy_link *link)
{
    maybe_grow(table);
    put(table, link);
    table->count++;
}

void cosy_fd_table_remove(struct cosy_fd_table *table, struct cosy_link *link)
{
    cosy_list_remove(link);
    table->count--;
}

struct cosy_link *cosy_fd_table_find(const struct cosy_fd_table *table, int fd)
{
    if (table->count == 0)
        return NULL;
    struct cosy_link *list = &table->lists[bucket_of(table, fd)];
    for (struct cosy_link *link = list->prev; link != list; link = link->prev)
        if (fd_of(table, link) == fd)
            return link;
    return NULL;
}

struct cosy_link *cosy_fd_table_next(const struct cosy_fd_table *table, const struct cosy_link *link)
{
    size_t bucket = 0;
    if (link) {
        bucket = bucket_of(table, fd_of(table, link));
        if (link->next != &table->lists[bucket])
            return link->next;
        bucket++;
    }
    for (; table->count && bucket < table->buckets; bucket++)
        if (!cosy_list_empty(&table->lists[bucket]))
            return table->lists[bucket].next;
    return NULL;
}
