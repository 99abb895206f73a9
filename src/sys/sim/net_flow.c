/* net_flow.c - bytes on their way: chunks that arrive at their times, and a window through which the reader sees them.
 */
#include <string.h>

#include "socket.h"

enum { SMALL = 512 }; /* room for small writes to be joined */

size_t cosy_sim_parts_size(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size < COSY_NET_MOST ? size : COSY_NET_MOST;
}

/* The next stretch of memory, `size` bytes at most. */
static void *stretch(struct sim_parts *parts, size_t *size)
{
    while (parts->count > 0 && parts->done == parts->part->iov_len) {
        parts->part++;
        parts->count--;
        parts->done = 0;
    }
    cosy_assert(parts->count > 0);
    size_t left = parts->part->iov_len - parts->done;
    char *at = (char *)parts->part->iov_base + parts->done;
    if (*size > left)
        *size = left;
    parts->done += *size;
    return at;
}

void cosy_sim_parts_put(struct sim_parts *parts, const void *data, size_t size)
{
    for (size_t n; size > 0; data = (const char *)data + n, size -= n) {
        n = size;
        void *at = stretch(parts, &n);
        memcpy(at, data, n);
    }
}

void cosy_sim_parts_get(struct sim_parts *parts, void *data, size_t size)
{
    for (size_t n; size > 0; data = (char *)data + n, size -= n) {
        n = size;
        void *at = stretch(parts, &n);
        memcpy(data, at, n);
    }
}

/* ---- chunks ---- */

struct sim_chunk *cosy_sim_chunk(size_t room)
{
    struct sim_chunk *chunk = cosy_heap_alloc(sizeof *chunk + room);
    if (chunk) {
        memset(chunk, 0, sizeof *chunk);
        chunk->room = room;
    }
    return chunk;
}

void cosy_sim_chunk_free(struct sim_network *network, struct sim_chunk *chunk)
{
    if (chunk->rights)
        cosy_sim_rights_free(network, chunk->rights);
    cosy_heap_free(chunk);
}

void cosy_sim_flow_append_chunk(struct sim_flow *flow, struct sim_chunk *chunk, cosy_ns now)
{
    chunk->next = NULL;
    if (flow->last)
        flow->last->next = chunk;
    else
        flow->first = chunk;
    flow->last = chunk;
    if (!flow->cursor)
        flow->cursor = chunk;
    if (chunk->at < flow->last_at)
        chunk->at = flow->last_at;
    flow->last_at = chunk->at;
    flow->total += chunk->end;
    flow->chunks++;
    cosy_sim_flow_arrive(flow, now);
}

/* Joins what arrives together: both are there already, or at the same moment. */
static bool can_join(const struct sim_flow *flow, size_t size, cosy_ns at, cosy_ns now)
{
    const struct sim_chunk *last = flow->last;
    if (!last || last->rights || last->room - last->end < size)
        return false;
    return flow->cursor ? last->at == at : at <= now;
}

int cosy_sim_flow_append(struct sim_flow *flow, struct sim_parts *parts, size_t size, cosy_ns at, cosy_ns now,
                         struct sim_rights *rights, bool message)
{
    if (!message && !rights && can_join(flow, size, at, now)) {
        cosy_sim_parts_get(parts, flow->last->data + flow->last->end, size);
        flow->last->end += size;
        flow->total += size;
        flow->arrived += flow->cursor ? 0 : size;
        return 0;
    }
    struct sim_chunk *chunk = cosy_sim_chunk(message || size > SMALL ? size : SMALL);
    if (!chunk)
        return -ENOBUFS;
    cosy_sim_parts_get(parts, chunk->data, size);
    chunk->end = size;
    chunk->at = at;
    chunk->rights = rights;
    cosy_sim_flow_append_chunk(flow, chunk, now);
    return 0;
}

void cosy_sim_flow_arrive(struct sim_flow *flow, cosy_ns now)
{
    for (struct sim_chunk *chunk = flow->cursor; chunk && chunk->at <= now; chunk = flow->cursor) {
        flow->arrived += chunk->end - chunk->begin;
        flow->cursor = chunk->next;
    }
}

void cosy_sim_flow_pop(struct sim_network *network, struct sim_flow *flow)
{
    struct sim_chunk *chunk = flow->first;
    size_t left = chunk->end - chunk->begin;
    cosy_assert(chunk != flow->cursor);
    flow->total -= left;
    flow->arrived -= left;
    flow->visible -= left < flow->visible ? left : flow->visible;
    flow->first = chunk->next;
    if (!flow->first)
        flow->last = NULL;
    flow->chunks--;
    cosy_sim_chunk_free(network, chunk);
}

size_t cosy_sim_flow_copy(struct sim_network *network, struct sim_flow *flow, struct sim_parts *parts, size_t size,
                          bool keep)
{
    struct sim_parts nowhere = {0}, *to = parts ? parts : &nowhere;
    size_t copied = 0, most = size < flow->visible ? size : flow->visible;
    for (struct sim_chunk *chunk = flow->first; copied < most;) {
        struct sim_chunk *next = chunk->next;
        size_t left = chunk->end - chunk->begin, n = left < most - copied ? left : most - copied;
        if (parts)
            cosy_sim_parts_put(to, chunk->data + chunk->begin, n);
        copied += n;
        if (!keep) {
            chunk->begin += n;
            flow->total -= n;
            flow->arrived -= n;
            flow->visible -= n;
            if (n == left && chunk != flow->last)
                cosy_sim_flow_pop(network, flow);
            else if (n == left)
                chunk->begin = chunk->end = 0; /* stays, to be written again */
        }
        chunk = next;
    }
    return copied;
}

void cosy_sim_flow_clear(struct sim_network *network, struct sim_flow *flow)
{
    flow->cursor = NULL;
    flow->arrived = flow->visible = flow->total;
    while (flow->first)
        cosy_sim_flow_pop(network, flow);
}

void cosy_sim_flow_drop_unseen(struct sim_network *network, struct sim_flow *flow)
{
    size_t left = flow->visible;
    struct sim_chunk **place = &flow->first, *last = NULL;
    for (; *place && left > 0; place = &(*place)->next) {
        size_t size = (*place)->end - (*place)->begin, kept = size < left ? size : left;
        (*place)->end = (*place)->begin + kept;
        left -= kept;
        last = *place;
    }
    for (struct sim_chunk *chunk = *place, *next; chunk; chunk = next) {
        next = chunk->next;
        flow->chunks--;
        cosy_sim_chunk_free(network, chunk);
    }
    *place = NULL;
    flow->last = last;
    flow->cursor = NULL;
    flow->total = flow->arrived = flow->visible;
}
