/* borrow.c - lines of waiters at descriptors that stay the program's. */
#include "borrow.h"

#include "../base/heap.h"

enum { SPARE_KEPT = 64 };

static const unsigned EVENT_OF[] = {[COSY_PORT_READ] = COSY_SYS_READ, [COSY_PORT_WRITE] = COSY_SYS_WRITE};

/* ---- life ---- */

void cosy_borrows_open(struct cosy_loop *loop)
{
    cosy_fd_table_init(&loop->borrows, struct cosy_borrow, link, fd);
    cosy_list_init(&loop->spare_borrows);
}

static void fired(struct cosy_loop *loop, const struct cosy_sys_event *event);

static struct cosy_borrow *take(struct cosy_loop *loop)
{
    struct cosy_borrow *borrow;
    if (cosy_list_empty(&loop->spare_borrows)) {
        borrow = cosy_heap_alloc(sizeof *borrow);
    } else {
        borrow = container_of(loop->spare_borrows.next, struct cosy_borrow, link);
        cosy_list_remove(&borrow->link);
        loop->spare_borrow_count--;
    }
    return borrow;
}

static void give(struct cosy_loop *loop, struct cosy_borrow *borrow)
{
    if (loop->spare_borrow_count == SPARE_KEPT || loop->closed) {
        cosy_heap_free(borrow);
        return;
    }
    cosy_list_append(&loop->spare_borrows, &borrow->link);
    loop->spare_borrow_count++;
}

static struct cosy_borrow *find(const struct cosy_loop *loop, int fd)
{
    struct cosy_link *link = cosy_fd_table_find(&loop->borrows, fd);
    return link ? container_of(link, struct cosy_borrow, link) : NULL;
}

static int begin(struct cosy_loop *loop, int fd, unsigned events, struct cosy_borrow **ret_borrow)
{
    struct cosy_borrow *borrow = take(loop);
    if (!borrow)
        return -ENOMEM;
    *borrow = (struct cosy_borrow){.level.fired = fired, .loop = loop, .fd = fd};
    cosy_list_init(&borrow->line[COSY_PORT_READ]);
    cosy_list_init(&borrow->line[COSY_PORT_WRITE]);
    int result = loop->sys->ops->watch(loop->sys, fd, events, &borrow->level, &borrow->watch);
    if (result < 0) {
        give(loop, borrow);
        return result;
    }
    borrow->asked = (uint8_t)events;
    cosy_fd_table_add(&loop->borrows, &borrow->link);
    *ret_borrow = borrow;
    return 0;
}

static unsigned wanted(const struct cosy_borrow *borrow)
{
    unsigned events = 0;
    for (int side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++)
        if (!cosy_list_empty(&borrow->line[side]))
            events |= EVENT_OF[side];
    return events;
}

bool cosy_borrows_any(const struct cosy_loop *loop)
{
    for (const struct cosy_link *link = NULL; (link = cosy_fd_table_next(&loop->borrows, link));)
        if (wanted(container_of(link, struct cosy_borrow, link)))
            return true;
    return false;
}

/* Nobody is in line any more, and it is not held. */
static void end(struct cosy_borrow *borrow)
{
    struct cosy_loop *loop = borrow->loop;
    cosy_fd_table_remove(&loop->borrows, &borrow->link);
    loop->sys->ops->unwatch(loop->sys, borrow->watch);
    give(loop, borrow);
}

void cosy_borrows_close(struct cosy_loop *loop)
{
    for (struct cosy_link *link; (link = cosy_fd_table_next(&loop->borrows, NULL));) {
        cosy_assert(!wanted(container_of(link, struct cosy_borrow, link)));
        end(container_of(link, struct cosy_borrow, link));
    }
    while (!cosy_list_empty(&loop->spare_borrows)) {
        struct cosy_borrow *borrow = container_of(loop->spare_borrows.next, struct cosy_borrow, link);
        cosy_list_remove(&borrow->link);
        cosy_heap_free(borrow);
    }
    cosy_fd_table_clear(&loop->borrows);
}

/* ---- lines ---- */

int cosy_borrow_check(const struct cosy_loop *loop, int fd)
{
    if (loop->closed)
        return -COSY_ECLOSED;
    if (fd < 0)
        return -EBADF;
    return unlikely(cosy_port_find(loop, fd) != NULL) ? -EEXIST : 0;
}

bool cosy_borrow_occupied(const struct cosy_loop *loop, int fd, enum cosy_port_side side)
{
    struct cosy_borrow *borrow = find(loop, fd);
    return borrow && !cosy_list_empty(&borrow->line[side]);
}

static int tell_all(struct cosy_borrow *borrow, int result)
{
    int count = 0;
    borrow->telling = true;
    for (int side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++)
        while (!cosy_list_empty(&borrow->line[side])) {
            struct cosy_borrow_waiter *waiter = container_of(borrow->line[side].next, struct cosy_borrow_waiter, link);
            cosy_list_remove(&waiter->link);
            waiter->borrow = NULL;
            waiter->ready(waiter, result);
            count++;
        }
    borrow->telling = false;
    return count;
}

/* Those in line wait for a file that no longer has this number. Somebody of the program closed it. */
static void number_is_anothers(struct cosy_borrow *borrow, bool ends)
{
    tell_all(borrow, -EBADF);
    if (ends)
        end(borrow);
}

/* Somebody joins those who wait. The kernel knows whether they wait for the same file: it refuses to watch that one
 * twice. */
static int renew(struct cosy_borrow *borrow, unsigned event)
{
    struct cosy_sys *sys = borrow->loop->sys;
    uint64_t watch;
    int result = borrow->held ? -EEXIST : sys->ops->watch(sys, borrow->fd, event, &borrow->level, &watch);
    if (result == 0) {
        borrow->watch = watch;
        borrow->asked = (uint8_t)event;
        number_is_anothers(borrow, false);
        return 0;
    }
    if (result == -EEXIST) {
        int same = sys->ops->rewatch(sys, borrow->watch, borrow->asked | event);
        if (same == 0)
            borrow->asked |= (uint8_t)event;
        if (same != -ENOENT)
            return same;
    }
    if (result == -EEXIST || result == -EBADF) /* EEXIST: this file is watched by somebody else */
        number_is_anothers(borrow, true);
    return result;
}

int cosy_borrow_join(struct cosy_loop *loop, int fd, enum cosy_port_side side, struct cosy_borrow_waiter *waiter)
{
    struct cosy_borrow *borrow = find(loop, fd);
    int result = borrow ? renew(borrow, EVENT_OF[side]) : begin(loop, fd, EVENT_OF[side], &borrow);
    if (result < 0)
        return result;
    waiter->borrow = borrow;
    waiter->side = (uint8_t)side;
    waiter->woken = false;
    cosy_list_append(&borrow->line[side], &waiter->link);
    return 0;
}

/* Asks the kernel for what is still wanted. */
static void settle(struct cosy_borrow *borrow)
{
    unsigned events = wanted(borrow);
    if (borrow->telling)
        return;
    if (!events && !borrow->held) {
        end(borrow);
    } else if (events != borrow->asked) {
        borrow->asked = (uint8_t)events;
        borrow->loop->sys->ops->rewatch(borrow->loop->sys, borrow->watch, events); /* less: fails for a dead one only */
    }
}

void cosy_borrow_leave(struct cosy_borrow_waiter *waiter)
{
    struct cosy_borrow *borrow = waiter->borrow;
    if (!borrow)
        return;
    waiter->borrow = NULL;
    cosy_list_remove(&waiter->link);
    settle(borrow);
}

int cosy_borrow_hold(struct cosy_loop *loop, int fd)
{
    struct cosy_borrow *borrow = find(loop, fd);
    int result = borrow ? 0 : begin(loop, fd, 0, &borrow);
    if (result == 0)
        borrow->held = true;
    return result;
}

int cosy_borrow_evict(struct cosy_loop *loop, int fd, int result)
{
    struct cosy_borrow *borrow = find(loop, fd);
    if (!borrow)
        return 0;
    int count = tell_all(borrow, result);
    end(borrow);
    return count;
}

static void tell_first(struct cosy_borrow *borrow, enum cosy_port_side side)
{
    struct cosy_link *line = &borrow->line[side];
    if (cosy_list_empty(line))
        return;
    struct cosy_borrow_waiter *waiter = container_of(line->next, struct cosy_borrow_waiter, link);
    if (waiter->woken)
        return;
    waiter->woken = true;
    waiter->ready(waiter, 0);
}

/* Errors and hang-ups let both sides try: each finds out by its own call. */
static void fired(struct cosy_loop *loop, const struct cosy_sys_event *event)
{
    struct cosy_borrow *borrow = container_of(event->data, struct cosy_borrow, level);
    if (event->events & COSY_SYS_INVALID) {
        cosy_borrow_evict(loop, borrow->fd, -EBADF);
        return;
    }
    unsigned both = COSY_SYS_ERROR | COSY_SYS_HANGUP;
    borrow->telling = true;
    if (event->events & (COSY_SYS_READ | both))
        tell_first(borrow, COSY_PORT_READ);
    if (event->events & (COSY_SYS_WRITE | both))
        tell_first(borrow, COSY_PORT_WRITE);
    borrow->telling = false;
    settle(borrow);
}

/* ---- blocking descriptors ---- */

int cosy_borrow_blocks(struct cosy_loop *loop, int fd, bool *ret_blocks)
{
    struct cosy_sys *sys = loop->sys;
    int was = sys->net->set_nonblocking(sys, fd, true);
    if (was == 0)
        sys->net->set_nonblocking(sys, fd, false);
    *ret_blocks = was == 0;
    return was < 0 ? was : 0;
}
