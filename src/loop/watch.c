/* watch.c - callbacks for descriptors that are ready: add_reader and add_writer.
 *
 * One watcher per descriptor carries both callbacks. Its handles are queued at most once per turn; removing one takes
 * it off the queue again, so no callback runs after its removal.
 */
#include "../base/heap.h"
#include "context.h"
#include "loop.h"

struct side {
    cosy_handle handle;
    uintptr_t context; /* as of registration; copied for each call */
    bool wanted;
};

struct watcher {
    struct cosy_level_watch level;
    struct watcher *next; /* in its bucket */
    int fd;
    uint64_t id; /* the kernel table's */
    struct cosy_loop *loop;
    struct side reader, writer;
};

static void fired(struct cosy_loop *loop, const struct cosy_sys_event *event);

enum { BUCKETS = 64 };

struct cosy_watchers {
    size_t count, buckets; /* buckets: a power of two */
    struct watcher **table;
};

static struct watcher **place_of(struct cosy_watchers *watchers, int fd)
{
    struct watcher **place = &watchers->table[(unsigned)fd & (watchers->buckets - 1)];
    while (*place && (*place)->fd != fd)
        place = &(*place)->next;
    return place;
}

int cosy_watchers_open(struct cosy_loop *loop)
{
    struct cosy_watchers *watchers = cosy_heap_zalloc(sizeof *watchers);
    struct watcher **table = watchers ? cosy_heap_zalloc(BUCKETS * sizeof(*table)) : NULL;
    if (!table) {
        cosy_heap_free(watchers);
        return -ENOMEM;
    }
    *watchers = (struct cosy_watchers){.buckets = BUCKETS, .table = table};
    loop->watchers = watchers;
    return 0;
}

/* Keeps chains short; without memory they only grow longer. */
static void maybe_grow(struct cosy_watchers *watchers)
{
    if (watchers->count < 2 * watchers->buckets)
        return;
    size_t buckets = 4 * watchers->buckets;
    struct watcher **table = cosy_heap_zalloc(buckets * sizeof(*table));
    if (!table)
        return;
    for (size_t i = 0; i < watchers->buckets; i++)
        while (watchers->table[i]) {
            struct watcher *watcher = watchers->table[i];
            watchers->table[i] = watcher->next;
            struct watcher **place = &table[(unsigned)watcher->fd & (buckets - 1)];
            watcher->next = *place;
            *place = watcher;
        }
    cosy_heap_free(watchers->table);
    watchers->table = table;
    watchers->buckets = buckets;
}

static unsigned wanted_events(const struct watcher *watcher)
{
    return (watcher->reader.wanted ? COSY_SYS_READ : 0u) | (watcher->writer.wanted ? COSY_SYS_WRITE : 0u);
}

static void side_clear(struct side *side)
{
    side->wanted = false;
    cosy_handle_cancel(&side->handle);
    cosy_context_slot_clear(&side->handle.context_);
    cosy_context_slot_clear(&side->context);
}

static void watcher_free(struct watcher *watcher)
{
    side_clear(&watcher->reader);
    side_clear(&watcher->writer);
    cosy_heap_free(watcher);
}

/* Tells the kernel what is wanted; a watcher that wants nothing goes away. */
static int update(struct cosy_loop *loop, struct watcher **place)
{
    struct watcher *watcher = *place;
    const struct cosy_sys_ops *ops = loop->sys->ops;
    unsigned events = wanted_events(watcher);
    if (events)
        return ops->rewatch(loop->sys, watcher->id, events);
    ops->unwatch(loop->sys, watcher->id);
    *place = watcher->next;
    loop->watchers->count--;
    watcher_free(watcher);
    return 0;
}

static int watcher_add(struct cosy_loop *loop, int fd, unsigned events, struct watcher **place)
{
    struct watcher *watcher = cosy_heap_zalloc(sizeof *watcher);
    if (!watcher)
        return -ENOMEM;
    watcher->level.fired = fired;
    watcher->fd = fd;
    watcher->loop = loop;
    int result = loop->sys->ops->watch(loop->sys, fd, events, &watcher->level, &watcher->id);
    if (result < 0) {
        cosy_heap_free(watcher);
        return result;
    }
    *place = watcher;
    loop->watchers->count++;
    return 0;
}

/* The descriptor may have been closed, and its number given to another file: what was wanted of the old one is void. */
static int renew_if_another_file(struct cosy_loop *loop, struct watcher *watcher)
{
    int result = loop->sys->ops->watch(loop->sys, watcher->fd, 0, &watcher->level, &watcher->id);
    if (result < 0)
        return result == -EEXIST ? 0 : result;
    side_clear(&watcher->reader);
    side_clear(&watcher->writer);
    return 0;
}

static int add(cosy_loop *loop, int fd, cosy_callback callback, void *arg, bool write)
{
    if (!loop || !callback)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    if (loop->closed)
        return -COSY_ECLOSED;
    maybe_grow(loop->watchers);
    struct watcher **place = place_of(loop->watchers, fd);
    int result = *place ? renew_if_another_file(loop, *place)
                        : watcher_add(loop, fd, write ? COSY_SYS_WRITE : COSY_SYS_READ, place);
    if (result < 0)
        return result;
    struct watcher *watcher = *place;
    struct side *side = write ? &watcher->writer : &watcher->reader;
    bool fresh = !side->wanted;
    side_clear(side);
    cosy_handle_init(&side->handle, callback, arg);
    side->context = cosy_context_slot_copy(*cosy_context_here());
    side->wanted = true;
    result = fresh ? loop->sys->ops->rewatch(loop->sys, watcher->id, wanted_events(watcher)) : 0;
    if (result < 0) {
        side_clear(side);
        update(loop, place);
    }
    return result;
}

static int remove_side(cosy_loop *loop, int fd, bool write)
{
    if (!loop)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    struct watcher **place = place_of(loop->watchers, fd);
    struct side *side = !*place ? NULL : write ? &(*place)->writer : &(*place)->reader;
    if (!side || !side->wanted)
        return 0;
    side_clear(side);
    update(loop, place);
    return 1;
}

int cosy_add_reader(cosy_loop *loop, int fd, cosy_callback callback, void *arg)
{
    return add(loop, fd, callback, arg, false);
}

int cosy_add_writer(cosy_loop *loop, int fd, cosy_callback callback, void *arg)
{
    return add(loop, fd, callback, arg, true);
}

int cosy_remove_reader(cosy_loop *loop, int fd)
{
    return remove_side(loop, fd, false);
}
int cosy_remove_writer(cosy_loop *loop, int fd)
{
    return remove_side(loop, fd, true);
}

static void queue_side(struct cosy_loop *loop, struct side *side)
{
    if (side->wanted && cosy_handle_start_soon(loop, &side->handle) == 0)
        side->handle.context_ = cosy_context_slot_copy(side->context);
}

/* Errors and hang-ups wake both sides, as asyncio's selectors do: each finds out by its own next call. */
static void fired(struct cosy_loop *loop, const struct cosy_sys_event *event)
{
    struct watcher *watcher = container_of(event->data, struct watcher, level);
    unsigned both = COSY_SYS_ERROR | COSY_SYS_HANGUP | COSY_SYS_INVALID;
    if (event->events & (COSY_SYS_READ | both))
        queue_side(loop, &watcher->reader);
    if (event->events & (COSY_SYS_WRITE | both))
        queue_side(loop, &watcher->writer);
}

size_t cosy_watchers_count(const struct cosy_loop *loop)
{
    return loop->watchers ? loop->watchers->count : 0;
}

static void show(const struct watcher *watcher, const struct side *side, enum cosy_loop_item_kind kind,
                 void (*visit)(const struct cosy_loop_item *item, void *arg), void *arg)
{
    if (side->wanted)
        visit(&(const struct cosy_loop_item){.kind = kind,
                                             .fd = watcher->fd,
                                             .callback = side->handle.callback_,
                                             .arg = side->handle.arg_},
              arg);
}

void cosy_watchers_walk(const struct cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg),
                        void *arg)
{
    for (size_t i = 0; i < loop->watchers->buckets; i++)
        for (const struct watcher *watcher = loop->watchers->table[i]; watcher; watcher = watcher->next) {
            show(watcher, &watcher->reader, COSY_ITEM_READER, visit, arg);
            show(watcher, &watcher->writer, COSY_ITEM_WRITER, visit, arg);
        }
}

void cosy_watchers_close(struct cosy_loop *loop)
{
    struct cosy_watchers *watchers = loop->watchers;
    for (size_t i = 0; watchers && i < watchers->buckets; i++)
        while (watchers->table[i]) {
            struct watcher *watcher = watchers->table[i];
            watchers->table[i] = watcher->next;
            loop->sys->ops->unwatch(loop->sys, watcher->id);
            watcher_free(watcher);
        }
    if (watchers)
        cosy_heap_free(watchers->table);
    cosy_heap_free(watchers);
    loop->watchers = NULL;
}
