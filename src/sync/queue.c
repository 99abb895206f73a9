/* queue.c - queues: their elements, and the tasks that wait for some or for room.
 *
 * The plain cases stand in the header: store, or take, and adjust two numbers. What comes here has somebody waiting,
 * must grow, or is out of the ordinary. Waiting is asyncio's for buffered queues: woken tasks look again, and are no
 * better placed than others who look. In an unbuffered queue whoever comes second serves the one who waits, in that
 * one's memory, so each value costs one park.
 */
#include <cosy/queue.h>

#include "../base/heap.h"
#include "queue.h"

static struct cosy_queue_waiter *first_of(const struct cosy_line *line)
{
    return container_of(line->first, struct cosy_queue_waiter, waiter);
}

static inline void wake(struct cosy_queue_waiter *waiter, int64_t value)
{
    if (unlikely(waiter->selection != NULL))
        cosy_selection_chosen(waiter->selection, waiter);
    waiter->served = value == WOKEN_SERVED;
    cosy_waiter_wake(&waiter->waiter, value);
}

static void wake_first(struct cosy_line *line)
{
    if (!cosy_line_empty(line))
        wake(first_of(line), WOKEN_TO_LOOK);
}

/* ---- whose it is ---- */

/* Outside of any run, the thread's next run is as good as the waiting tasks' own. */
static inline bool waits_elsewhere(const struct cosy_line *line)
{
    return line->first && unlikely(line->first->task->future.loop != cosy_thread_.loop) && cosy_thread_.loop;
}

static bool is_used_elsewhere(cosy_queue *queue)
{
    return waits_elsewhere(cosy_getters(queue)) || waits_elsewhere(cosy_putters(queue)) ||
           waits_elsewhere(cosy_joiners(queue));
}

static cosy_cold int other_loop(void)
{
    return cosy_fail(COSY_EOTHERLOOP, "tasks of another loop wait in this queue");
}

/* ---- room ---- */

static size_t room_of(const cosy_queue *queue)
{
    return queue->ring_ ? queue->mask_ + 1 : 0;
}

static bool is_full(const cosy_queue *queue)
{
    return queue->maxsize_ > 0 && queue->size_ >= (size_t)queue->maxsize_;
}

/* Which puts and gets need no further thought from here on. */
static void refresh(cosy_queue *queue)
{
    size_t room = room_of(queue);
    if (queue->maxsize_ > 0 && (size_t)queue->maxsize_ < room)
        room = (size_t)queue->maxsize_;
    bool plain_put = queue->order_ <= ORDER_LIFO && !queue->shut_ && cosy_line_empty(cosy_getters(queue));
    bool plain_get = queue->order_ == ORDER_FIFO && cosy_line_empty(cosy_putters(queue));
    queue->put_below_ = plain_put ? room : 0;
    queue->get_above_ = plain_get ? 0 : SIZE_MAX;
}

static cosy_cold int grow(cosy_queue *queue, size_t size)
{
    size_t room = room_of(queue), more = room ? 2 * room : 8, bytes;
    if (__builtin_mul_overflow(more, size + sizeof(uint64_t), &bytes) || bytes > PTRDIFF_MAX - 8)
        return -ENOMEM;
    bool numbered = queue->order_ == ORDER_PRIORITY;
    char *ring = cosy_heap_alloc(numbered ? bytes + 8 : more * size);
    if (!ring)
        return -ENOMEM;
    size_t begin = room ? queue->head_ & queue->mask_ : 0, to_end = room - begin;
    if (room) {
        memcpy(ring, queue->ring_ + begin * size, to_end * size);
        memcpy(ring + to_end * size, queue->ring_, begin * size);
    }
    if (room && numbered)
        memcpy(cosy_queue_numbers(ring, more, size), cosy_queue_numbers(queue->ring_, room, size),
               room * sizeof(uint64_t));
    cosy_heap_free(queue->ring_);
    queue->ring_ = ring;
    queue->mask_ = more - 1;
    queue->head_ = 0;
    return 0;
}

/* ---- elements ---- */

static void store(cosy_queue *queue, const void *value, size_t size)
{
    queue->unfinished_++;
    if (queue->order_ == ORDER_PRIORITY) {
        cosy_heap_order_push(queue, value, size);
        return;
    }
    cosy_copy_element(queue->ring_ + ((queue->head_ + queue->size_) & queue->mask_) * size, value, size);
    queue->size_++;
}

static void take(cosy_queue *queue, void *ret_value, size_t size)
{
    if (queue->order_ == ORDER_PRIORITY) {
        cosy_heap_order_pop(queue, ret_value, size);
        return;
    }
    queue->size_--;
    size_t index = queue->order_ == ORDER_LIFO ? queue->size_ : queue->head_++ & queue->mask_;
    cosy_copy_element(ret_value, queue->ring_ + index * size, size);
}

/* ---- attempts ---- */

static __attribute__((noinline)) int put_into_ring(cosy_queue *queue, const void *value, size_t size)
{
    if (queue->shut_)
        return -COSY_EQUEUESHUTDOWN;
    if (is_full(queue))
        return -COSY_EQUEUEFULL;
    int result = queue->size_ < room_of(queue) ? 0 : grow(queue, size);
    if (result < 0)
        return result;
    store(queue, value, size);
    wake_first(cosy_getters(queue));
    refresh(queue);
    return 0;
}

static __attribute__((noinline)) int get_from_ring(cosy_queue *queue, void *ret_value, size_t size)
{
    if (queue->size_ == 0)
        return queue->shut_ ? -COSY_EQUEUESHUTDOWN : -COSY_EQUEUEEMPTY;
    take(queue, ret_value, size);
    wake_first(cosy_putters(queue));
    refresh(queue);
    return 0;
}

/* The value goes from hand to hand, and the one who waited for that goes on. */
static inline int serve(cosy_queue *queue, struct cosy_queue_waiter *waiter, void *to, const void *from, size_t size)
{
    cosy_copy_element(to, from, size);
    queue->unfinished_++;
    wake(waiter, WOKEN_SERVED);
    return 0;
}

__attribute__((noinline)) int cosy_queue_put_specially_(cosy_queue *queue, const void *value, size_t size)
{
    if (waits_elsewhere(cosy_getters(queue)) || waits_elsewhere(cosy_putters(queue)))
        return other_loop();
    if (unlikely(queue->order_ != ORDER_UNBUFFERED))
        return put_into_ring(queue, value, size);
    if (cosy_line_empty(cosy_getters(queue)))
        return unlikely(queue->shut_) ? -COSY_EQUEUESHUTDOWN : -COSY_EQUEUEFULL;
    struct cosy_queue_waiter *getter = first_of(cosy_getters(queue));
    return serve(queue, getter, getter->slot, value, size);
}

__attribute__((noinline)) int cosy_queue_get_specially_(cosy_queue *queue, void *ret_value, size_t size)
{
    if (waits_elsewhere(cosy_putters(queue)) || waits_elsewhere(cosy_getters(queue)))
        return other_loop();
    if (unlikely(queue->order_ != ORDER_UNBUFFERED))
        return get_from_ring(queue, ret_value, size);
    if (cosy_line_empty(cosy_putters(queue)))
        return unlikely(queue->shut_) ? -COSY_EQUEUESHUTDOWN : -COSY_EQUEUEEMPTY;
    struct cosy_queue_waiter *putter = first_of(cosy_putters(queue));
    return serve(queue, putter, ret_value, putter->slot, size);
}

/* ---- waiting ---- */

static const struct cosy_wait_kind get_kind = {
    .verb = "waits to get from a queue", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};
static const struct cosy_wait_kind put_kind = {
    .verb = "waits to put into a queue", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};
static const struct cosy_wait_kind join_kind = {
    .verb = "waits for a queue's work to be done", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};

void cosy_queue_line_up(cosy_queue *queue, struct cosy_queue_waiter *waiter, struct cosy_task *me, bool put)
{
    waiter->queue = queue;
    waiter->put = put;
    waiter->served = false;
    waiter->waiter.task = me;
    waiter->waiter.woken = false;
    if (put)
        queue->get_above_ = SIZE_MAX;
    else
        queue->put_below_ = 0;
    cosy_line_append(put ? cosy_putters(queue) : cosy_getters(queue), &waiter->waiter);
}

void cosy_queue_pass_on(const struct cosy_queue_waiter *waiter)
{
    cosy_queue *queue = waiter->queue;
    if (!waiter->waiter.woken || !queue)
        return;
    if (waiter->put && !is_full(queue))
        wake_first(cosy_putters(queue));
    else if (!waiter->put && queue->size_ > 0)
        wake_first(cosy_getters(queue));
}

/* Puts the running task in line and waits. All that call it end with that, so that it is a jump to cosy_park and only
 * its frame lies between the caller's and the switch: a return after a switch is mispredicted, once per frame. */
static inline int64_t park(cosy_queue *queue, const void *slot, struct cosy_queue_room_ *room, struct cosy_task *me,
                           bool put)
{
    struct cosy_queue_waiter *waiter = cosy_waiter_in(room);
    waiter->waiter.wait.kind = put ? &put_kind : &get_kind;
    waiter->selection = NULL;
    waiter->slot = (void *)(uintptr_t)slot; /* a putter's is only read */
    cosy_queue_line_up(queue, waiter, me, put);
    return cosy_park(me, &waiter->waiter.wait);
}

static __attribute__((noinline)) int64_t put_or_park(cosy_queue *queue, const void *value, size_t size,
                                                     struct cosy_queue_room_ *room)
{
    int result = cosy_queue_put_specially_(queue, value, size);
    if (result != -COSY_EQUEUEFULL)
        return result;
    struct cosy_task *me = cosy_task_or_complain("cosy_queue_put");
    return me ? park(queue, value, room, me, true) : -COSY_ENOTASK;
}

static __attribute__((noinline)) int64_t get_or_park(cosy_queue *queue, void *ret_value, size_t size,
                                                     struct cosy_queue_room_ *room)
{
    int result = cosy_queue_get_specially_(queue, ret_value, size);
    if (result != -COSY_EQUEUEEMPTY)
        return result;
    struct cosy_task *me = cosy_task_or_complain("cosy_queue_get");
    return me ? park(queue, ret_value, room, me, false) : -COSY_ENOTASK;
}

/* ---- the short way from hand to hand: no call but the last one, hence no register to be saved ---- */

static inline bool can_serve(const struct cosy_queue_waiter *waiter, size_t size)
{
    return (size == 8 || size == 4) && !waiter->selection && waiter->waiter.task->future.loop == cosy_thread_.loop;
}

/* serve() for such a waiter, the first in its line. When the line becomes empty, its end is of no account. */
static inline void serve_shortly(cosy_queue *queue, struct cosy_line *line, void *to, const void *from, size_t size)
{
    struct cosy_queue_waiter *waiter = first_of(line);
    if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, 4);
    queue->unfinished_++;
    line->first = waiter->waiter.next;
    waiter->waiter.line = NULL;
    waiter->waiter.woken = waiter->served = true;
    cosy_task_wake(waiter->waiter.task, WOKEN_SERVED);
}

static inline bool can_park(const cosy_queue *queue, const struct cosy_line *own)
{
    return !queue->shut_ && !waits_elsewhere(own) && cosy_task_here();
}

int64_t cosy_queue_put_or_park_(cosy_queue *queue, const void *value, size_t size, struct cosy_queue_room_ *room)
{
    if (unlikely(queue->order_ != ORDER_UNBUFFERED))
        return put_or_park(queue, value, size, room);
    if (cosy_line_empty(cosy_getters(queue))) {
        if (likely(can_park(queue, cosy_putters(queue))))
            return park(queue, value, room, cosy_task_here(), true);
    } else if (likely(can_serve(first_of(cosy_getters(queue)), size))) {
        serve_shortly(queue, cosy_getters(queue), first_of(cosy_getters(queue))->slot, value, size);
        return WOKEN_SERVED;
    }
    return put_or_park(queue, value, size, room);
}

int64_t cosy_queue_get_or_park_(cosy_queue *queue, void *ret_value, size_t size, struct cosy_queue_room_ *room)
{
    if (unlikely(queue->order_ != ORDER_UNBUFFERED))
        return get_or_park(queue, ret_value, size, room);
    if (cosy_line_empty(cosy_putters(queue))) {
        if (likely(can_park(queue, cosy_getters(queue))))
            return park(queue, ret_value, room, cosy_task_here(), false);
    } else if (likely(can_serve(first_of(cosy_putters(queue)), size))) {
        serve_shortly(queue, cosy_putters(queue), ret_value, first_of(cosy_putters(queue))->slot, size);
        return WOKEN_SERVED;
    }
    return get_or_park(queue, ret_value, size, room);
}

/* A wait that was cancelled: what it comes to. Only waits end with -ECANCELED, so the room is in use. */
static int cancelled(struct cosy_queue_room_ *room)
{
    struct cosy_queue_waiter *waiter = cosy_waiter_in(room);
    if (waiter->served) {
        cosy_task_must_cancel(waiter->waiter.task); /* what has changed hands stays so: the cancel meets the next
                                                     * wait */
        return 0;
    }
    cosy_queue_pass_on(waiter);
    return -ECANCELED;
}

int cosy_queue_put_woken_(cosy_queue *queue, const void *value, size_t size, struct cosy_queue_room_ *room,
                          int64_t woken)
{
    while (woken == WOKEN_TO_LOOK)
        woken = cosy_queue_put_or_park_(queue, value, size, room);
    return woken == -ECANCELED ? cancelled(room) : (int)woken;
}

int cosy_queue_get_woken_(cosy_queue *queue, void *ret_value, size_t size, struct cosy_queue_room_ *room, int64_t woken)
{
    while (woken == WOKEN_TO_LOOK)
        woken = cosy_queue_get_or_park_(queue, ret_value, size, room);
    return woken == -ECANCELED ? cancelled(room) : (int)woken;
}

/* ---- work ---- */

static void wake_joiners(cosy_queue *queue, int64_t value)
{
    while (!cosy_line_empty(cosy_joiners(queue)))
        cosy_waiter_wake(cosy_joiners(queue)->first, value);
}

int cosy_queue_task_done_last_(cosy_queue *queue)
{
    if (queue->unfinished_ == 0)
        return cosy_fail(COSY_ETOOMANY, "cosy_queue_task_done was called more often than values were put in");
    if (waits_elsewhere(cosy_joiners(queue)))
        return other_loop();
    queue->unfinished_ = 0;
    wake_joiners(queue, 0);
    return 0;
}

int cosy_queue_join_(cosy_queue *queue)
{
    if (is_used_elsewhere(queue))
        return other_loop();
    if (queue->unfinished_ == 0)
        return 0;
    struct cosy_task *me = cosy_task_or_complain("cosy_queue_join");
    struct cosy_waiter waiter = {.wait.kind = &join_kind};
    return me ? (int)cosy_line_wait(cosy_joiners(queue), &waiter, me) : -COSY_ENOTASK;
}

/* ---- beginning and end ---- */

int cosy_queue_init_(cosy_queue *queue, ptrdiff_t maxsize, bool lifo, bool unbuffered, cosy_fn_ compare)
{
    if (lifo + unbuffered + (compare != NULL) > 1)
        return cosy_fail(EINVAL, "a queue has one order: lifo, compare or unbuffered");
    if (unbuffered && maxsize > 0)
        return cosy_fail(EINVAL, "an unbuffered queue has no maxsize");
    memset(queue, 0, sizeof *queue);
    queue->maxsize_ = maxsize;
    queue->order_ = lifo ? ORDER_LIFO : unbuffered ? ORDER_UNBUFFERED : compare ? ORDER_PRIORITY : ORDER_FIFO;
    queue->compare_ = (int (*)(const void *, const void *))compare; /* takes pointers to the elements' type */
    refresh(queue);
    return 0;
}

int cosy_queue_shutdown_(cosy_queue *queue, bool immediate)
{
    if (is_used_elsewhere(queue))
        return other_loop();
    queue->shut_ = true;
    if (immediate) {
        queue->unfinished_ -= queue->size_ < queue->unfinished_ ? queue->size_ : queue->unfinished_;
        queue->size_ = queue->head_ = 0;
        if (queue->unfinished_ == 0)
            wake_joiners(queue, 0);
    }
    while (!cosy_line_empty(cosy_getters(queue)))
        wake_first(cosy_getters(queue));
    while (!cosy_line_empty(cosy_putters(queue)))
        wake_first(cosy_putters(queue));
    refresh(queue);
    return 0;
}

/* Unlike after a shutdown, those who wake must not look at the queue any more. */
static void turn_away(struct cosy_line *line)
{
    while (!cosy_line_empty(line)) {
        struct cosy_queue_waiter *waiter = first_of(line);
        waiter->queue = NULL;
        wake(waiter, -COSY_EQUEUESHUTDOWN);
    }
}

void cosy_queue_destroy_(void *typed_queue)
{
    cosy_queue *queue = typed_queue;
    if (!queue)
        return;
    if (is_used_elsewhere(queue)) {
        (void)other_loop();
        return;
    }
    turn_away(cosy_getters(queue));
    turn_away(cosy_putters(queue));
    wake_joiners(queue, -COSY_EQUEUESHUTDOWN);
    cosy_heap_free(queue->ring_);
    queue->ring_ = NULL;
    queue->size_ = queue->head_ = queue->unfinished_ = 0;
    queue->shut_ = true;
    refresh(queue);
}

/* ---- looking ---- */

bool cosy_queue_full_(const cosy_queue *queue)
{
    return queue->order_ == ORDER_UNBUFFERED || is_full(queue);
}

void cosy_queue_statistics_(const cosy_queue *queue, struct cosy_queue_statistics *ret_statistics)
{
    cosy_queue *unchanged = (cosy_queue *)(uintptr_t)queue;
    *ret_statistics = (struct cosy_queue_statistics){.size = queue->size_,
                                           .maxsize = queue->maxsize_,
                                           .getters = cosy_line_length(cosy_getters(unchanged)),
                                           .putters = cosy_line_length(cosy_putters(unchanged)),
                                           .joiners = cosy_line_length(cosy_joiners(unchanged)),
                                           .unfinished = queue->unfinished_,
                                           .shutdown = queue->shut_};
}
