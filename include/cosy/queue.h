/* cosy/queue.h - queues of values between tasks: first in first out, last in first out, by priority, from hand to hand.
 *
 *     typedef COSY_QUEUE(struct job) job_queue;                   named once, so that functions can take it
 *
 *     job_queue jobs = {0};                                       jobs = asyncio.Queue()
 *     cosy_queue_init(&jobs, .maxsize = 10);                      jobs = asyncio.Queue(maxsize=10)
 *     cosy_try(cosy_queue_put(&jobs, job));                       await jobs.put(job)
 *     cosy_try(cosy_queue_get(&jobs, &job));                      job = await jobs.get()
 *     cosy_queue_task_done(&jobs);                                jobs.task_done()
 *
 * A queue holds values of one type, which the compiler checks: put copies one in, get copies one out. It lies in the
 * caller's memory; all zero it is an empty one without limit, first in first out. It allocates room for its elements as
 * they come, and is ended by cosy_queue_destroy.
 *
 * Semantics are those of asyncio.Queue, its LifoQueue (.lifo) and PriorityQueue (.compare). A wake-up is a hint: a task
 * that comes along may take the item before the woken one runs, which then waits again, behind the others. A cancel
 * that meets a woken task passes the hint on; what it would have got stays in the queue. Better than asyncio: equal
 * elements of a priority queue leave it in the order in which they came; a queue can be iterated, waited for beside
 * others (cosy_select), and be unbuffered.
 *
 * An unbuffered queue (.unbuffered) has no room at all, as Go's unbuffered channel and trio's channel of capacity 0:
 * put waits for a get, and the value goes straight from one task's memory to the other's. What has changed hands stays
 * so: a cancel that comes after that leaves both calls with their success and meets the next wait.
 *
 * A queue is used from one loop at a time: while tasks wait in it, calls from another give -COSY_EOTHERLOOP. Errors
 * that a program expects (full, empty, shut down) carry no message of their own.
 */
#ifndef COSY_QUEUE_H
#define COSY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "call.h"
#include "task.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The part of a queue that knows no type. All fields are private. */
typedef struct cosy_queue {
    char *ring_;
    size_t size_, head_, mask_; /* mask_: room for elements - 1, a power of two less one */
    size_t put_below_;          /* a put needs no further thought while size_ is below */
    size_t get_above_;          /* and a get while size_ is above */
    size_t unfinished_;
    uint8_t order_;
    bool shut_;
    struct cosy_queue_line_ {
        struct cosy_waiter *first, *last;
    } getters_, putters_, joiners_;
    ptrdiff_t maxsize_;
    int (*compare_)(const void *a, const void *b);
    uint64_t sequence_; /* of the latest element of a priority queue */
} cosy_queue;

/*     COSY_QUEUE(T)
 *
 * The type of a queue whose elements are of type T. Every use makes a new type: name it once by a typedef, then
 * functions can take pointers to it. T is not an array, and is copied by its bytes. */
#define COSY_QUEUE(T)                                                                                                  \
    struct {                                                                                                           \
        struct cosy_queue core_;                                                                                       \
        __typeof__(T) *type_; /* never used but for its type */                                                        \
    }

/* ---- life ---- */

/*     int cosy_queue_init(COSY_QUEUE(T) *queue, .option = value...);
 *
 * Makes an empty queue in the caller's memory. Options, all zero by default:
 *
 *     ptrdiff_t maxsize  how many elements it holds before put waits; 0 or less: no limit
 *     bool lifo          the latest element leaves first
 *     bool unbuffered    put waits until a get takes the element
 *     int (*compare)(const T *a, const T *b)
 *                           the least element leaves first, the oldest among equals: < 0 when a is less than b, as for qsort.
 *                           It must not suspend or use the queue
 *
 * 0; -EINVAL when more than one of lifo, unbuffered and compare is given, or unbuffered with a maxsize. */
#define cosy_queue_init(queue, ...)                                                                                    \
    COSY_QUEUE_INIT_(queue, COSY_CAT_(cosy_q_, __COUNTER__), COSY_CAT_(cosy_o_, __COUNTER__), __VA_ARGS__)
#define COSY_QUEUE_INIT_(queue, Q, O, ...)                                                                             \
    __extension__({                                                                                                    \
        __auto_type Q = (queue);                                                                                       \
        _Static_assert(_Alignof(COSY_QUEUE_ELEMENT_(Q)) <= 16,                                                         \
                       "cosy: elements of a queue are aligned to 16 bytes at most");                                   \
        const struct {                                                                                                 \
            ptrdiff_t maxsize;                                                                                         \
            bool lifo, unbuffered;                                                                                     \
            int (*compare)(const COSY_QUEUE_ELEMENT_(Q) * a, const COSY_QUEUE_ELEMENT_(Q) * b);                        \
        } O = {__VA_ARGS__};                                                                                           \
        cosy_queue_init_(&Q->core_, O.maxsize, O.lifo, O.unbuffered, (cosy_fn_)O.compare);                             \
    })
int cosy_queue_init_(cosy_queue *queue, ptrdiff_t maxsize, bool lifo, bool unbuffered, cosy_fn_ compare);
#define COSY_QUEUE_ELEMENT_(queue) __typeof__(*(queue)->type_)

/*     void cosy_queue_destroy(COSY_QUEUE(T) *queue);
 *
 * Frees the elements' room and leaves a queue that is shut down. Tasks that wait in it go on with -COSY_EQUEUESHUTDOWN;
 * its memory must stay until they have run. NULL is fine. cosy_queue_init makes it new. */
#define cosy_queue_destroy(queue)                                                                                      \
    __extension__({                                                                                                    \
        __auto_type cosy_q_ = (queue);                                                                                 \
        cosy_queue_destroy_(cosy_q_ ? &cosy_q_->core_ : NULL);                                                         \
    })
void cosy_queue_destroy_(void *queue);

/* A queue that is destroyed at the end of the block, on every path:
 *
 *     cosy_scoped_queue job_queue jobs = {0};
 */
#define cosy_scoped_queue __attribute__((cleanup(cosy_queue_destroy_)))

/* ---- in and out ---- */

/*     int cosy_queue_put(COSY_QUEUE(T) *queue, T value);
 *
 * Adds a value; waits while the queue is full (or, unbuffered, until somebody takes it). The value may be an
 * initialiser in braces. Suspends only when it has to wait. 0, -COSY_EQUEUESHUTDOWN, -ECANCELED (then nothing was
 * added), -ENOMEM, -COSY_ENOTASK when it would have to wait outside a task, -COSY_EOTHERLOOP. */
#define cosy_queue_put(queue, ...)                                                                                     \
    COSY_QUEUE_PUT_(cosy_queue_put_, queue, COSY_CAT_(cosy_v_, __COUNTER__), __VA_ARGS__)
#define COSY_QUEUE_PUT_(fn, queue, V, ...)                                                                             \
    __extension__({                                                                                                    \
        COSY_QUEUE_ELEMENT_(queue) V = __VA_ARGS__;                                                                    \
        fn(&(queue)->core_, &V, sizeof V);                                                                             \
    })

/*     int cosy_queue_get(COSY_QUEUE(T) *queue, T *ret_value);
 *
 * Takes the next value out; waits while there is none. Suspends only when it has to wait. Writes to ret_value only when
 * it returns 0. 0, -COSY_EQUEUESHUTDOWN when the queue is shut down and empty, -ECANCELED (then nothing was taken),
 * -COSY_ENOTASK, -COSY_EOTHERLOOP. */
#define cosy_queue_get(queue, ret_value)                                                                               \
    COSY_QUEUE_GET_(cosy_queue_get_, queue, COSY_CAT_(cosy_r_, __COUNTER__), ret_value)
#define COSY_QUEUE_GET_(fn, queue, R, ret_value)                                                                       \
    __extension__({                                                                                                    \
        COSY_QUEUE_ELEMENT_(queue) *R = (ret_value);                                                                   \
        fn(&(queue)->core_, R, sizeof *R);                                                                             \
    })

/*     int cosy_queue_put_nowait(COSY_QUEUE(T) *queue, T value);
 *
 * Adds a value if that can be done at once; into an unbuffered queue, if somebody waits for it. 0, -COSY_EQUEUEFULL,
 * -COSY_EQUEUESHUTDOWN, -ENOMEM, -COSY_EOTHERLOOP. From callbacks too. */
#define cosy_queue_put_nowait(queue, ...)                                                                              \
    COSY_QUEUE_PUT_(cosy_queue_put_nowait_, queue, COSY_CAT_(cosy_v_, __COUNTER__), __VA_ARGS__)

/*     int cosy_queue_get_nowait(COSY_QUEUE(T) *queue, T *ret_value);
 *
 * Takes the next value out if there is one; out of an unbuffered queue, if somebody waits with one. 0,
 * -COSY_EQUEUEEMPTY, -COSY_EQUEUESHUTDOWN, -COSY_EOTHERLOOP. From callbacks too. */
#define cosy_queue_get_nowait(queue, ret_value)                                                                        \
    COSY_QUEUE_GET_(cosy_queue_get_nowait_, queue, COSY_CAT_(cosy_r_, __COUNTER__), ret_value)

/*     COSY_QUEUE_FOR(item, COSY_QUEUE(T) *queue, err) { ... }
 *
 * Gets one value after the other into `item`, a variable of type T that it declares, until the queue is shut down and
 * empty: then `err` (an int variable) is 0. Otherwise it ends with the error of cosy_queue_get in `err`, or by break
 * with 0. `queue` is evaluated each time. */
#define COSY_QUEUE_FOR(item, queue, err)                                                                               \
    for (COSY_QUEUE_ELEMENT_(queue) item; cosy_queue_more_(&(err), cosy_queue_get(queue, &item));)

/* ---- work that is to be finished ---- */

/*     int cosy_queue_task_done(COSY_QUEUE(T) *queue);
 *
 * Says that the work on a value that was taken out is done. 0, -COSY_ETOOMANY when it was said of every value
 * before. */
#define cosy_queue_task_done(queue) cosy_queue_task_done_(&(queue)->core_)

/*     int cosy_queue_join(COSY_QUEUE(T) *queue);
 *
 * Waits until the work on every value that was put in is done; does not suspend when there is none. 0, -ECANCELED,
 * -COSY_ENOTASK, -COSY_EOTHERLOOP. */
#define cosy_queue_join(queue) cosy_queue_join_(&(queue)->core_)

/*     int cosy_queue_shutdown(COSY_QUEUE(T) *queue, bool immediate);
 *
 * From now on puts fail with -COSY_EQUEUESHUTDOWN, and gets when the queue is empty; all that wait in it for either go
 * on. With `immediate` its elements are dropped, and count as done. May be called again. 0, -COSY_EOTHERLOOP. */
#define cosy_queue_shutdown(queue, immediate) cosy_queue_shutdown_(&(queue)->core_, (immediate))

/* ---- looking ---- */

/*     size_t cosy_queue_size(const COSY_QUEUE(T) *queue);
 *     ptrdiff_t cosy_queue_maxsize(const COSY_QUEUE(T) *queue);
 *     bool cosy_queue_empty(const COSY_QUEUE(T) *queue);
 *     bool cosy_queue_full(const COSY_QUEUE(T) *queue);
 *
 * How many elements the queue holds; how many it may, as given; whether there are none; whether there are as many as it
 * may hold. An unbuffered queue is always both empty and full. */
#define cosy_queue_size(queue) ((queue)->core_.size_)
#define cosy_queue_maxsize(queue) ((queue)->core_.maxsize_)
#define cosy_queue_empty(queue) ((queue)->core_.size_ == 0)
#define cosy_queue_full(queue) cosy_queue_full_(&(queue)->core_)

/* What goes on in a queue. */
struct cosy_queue_statistics {
    size_t size;       /* elements that it holds */
    ptrdiff_t maxsize; /* as given; 0 or less: no limit */
    size_t getters;    /* tasks that wait to get */
    size_t putters;    /* tasks that wait to put */
    size_t joiners;    /* tasks that wait for the work to be done */
    size_t unfinished; /* values that were put in and are not yet done */
    bool shutdown;
};

/*     void cosy_queue_statistics(const COSY_QUEUE(T) *queue, struct cosy_queue_statistics *ret_statistics);
 *
 * Tells what goes on in a queue. A task that waits in cosy_select counts in each of its queues. Takes time with the
 * number of waiting tasks. */
#define cosy_queue_statistics(queue, ret_statistics) cosy_queue_statistics_(&(queue)->core_, (ret_statistics))

/* ---- the first of several ---- */

/*     int cosy_select(COSY_GET(queue, ret_value) or COSY_PUT(queue, value)...);
 *
 * Does exactly one of several gets and puts, the first that can go, and returns its index: 0 for the first argument. Of
 * several that can go at once the first in the order of the arguments is done, so that their order is their priority
 * and a run can be repeated; when it had to wait, the one that woke it. Values of COSY_PUT are computed in any case.
 *
 * Suspends only when it has to wait. A queue that is shut down makes its case fail when its turn comes:
 * -COSY_EQUEUESHUTDOWN, with a message that names the index (cosy_select_with tells it too). Other errors as of
 * cosy_queue_get and cosy_queue_put; then nothing was done. With no arguments: -EINVAL. */
#define cosy_select(...) COSY_SELECT_(cosy_select_, NULL, __VA_ARGS__)

/*     int cosy_select_with(int *ret_index, COSY_GET(queue, ret_value) or COSY_PUT(queue, value)...);
 *
 * As cosy_select, and *ret_index is the case that an error belongs to, too: -1 when it belongs to none. */
#define cosy_select_with(ret_index, ...) COSY_SELECT_(cosy_select_, (ret_index), __VA_ARGS__)
#define COSY_SELECT_(fn, ret_index, ...)                                                                               \
    __extension__({                                                                                                    \
        struct cosy_case_ cosy_cases_[] = {__VA_ARGS__};                                                               \
        fn(cosy_cases_, sizeof cosy_cases_ / sizeof *cosy_cases_, ret_index);                                          \
    })

/*     int cosy_select_nowait(COSY_GET(queue, ret_value) or COSY_PUT(queue, value)...);
 *
 * As cosy_select, without waiting: -EAGAIN when nothing can go. From callbacks too. */
#define cosy_select_nowait(...) COSY_SELECT_(cosy_select_nowait_, NULL, __VA_ARGS__)

/*     COSY_GET(COSY_QUEUE(T) *queue, T *ret_value)
 *     COSY_PUT(COSY_QUEUE(T) *queue, T value)
 *
 * A get or a put as a case of cosy_select. */
#define COSY_GET(queue, ret_value) COSY_GET_(queue, COSY_CAT_(cosy_r_, __COUNTER__), ret_value)
#define COSY_GET_(Q, R, ret_value)                                                                                     \
    {                                                                                                                  \
        .queue = &(Q)->core_, .slot = __extension__({                                                                  \
            COSY_QUEUE_ELEMENT_(Q) *R = (ret_value);                                                                   \
            R;                                                                                                         \
        }),                                                                                                            \
        .size = sizeof *(Q)->type_                                                                                     \
    }
#define COSY_PUT(queue, ...) COSY_PUT_(queue, COSY_CAT_(cosy_v_, __COUNTER__), __VA_ARGS__)
#define COSY_PUT_(Q, V, ...)                                                                                           \
    {                                                                                                                  \
        .queue = &(Q)->core_, .slot = (COSY_QUEUE_ELEMENT_(Q)[1]){__extension__({                                      \
            COSY_QUEUE_ELEMENT_(Q) V = __VA_ARGS__;                                                                    \
            V;                                                                                                         \
        })},                                                                                                           \
        .size = sizeof *(Q)->type_, .put = true                                                                        \
    }

/* ---- private: the paths that need no further thought, in the caller's code ---- */

/* A waiting task's place in line: in the frame of the call, so that nothing lies between the call and the switch to
 * another task. */
struct cosy_queue_room_ {
    void *room[14];
};

cosy_async int64_t cosy_queue_put_or_park_(cosy_queue *queue, const void *value, size_t size,
                                           struct cosy_queue_room_ *room);
cosy_async int64_t cosy_queue_get_or_park_(cosy_queue *queue, void *ret_value, size_t size,
                                           struct cosy_queue_room_ *room);
cosy_async int cosy_queue_put_woken_(cosy_queue *queue, const void *value, size_t size, struct cosy_queue_room_ *room,
                                     int64_t woken);
cosy_async int cosy_queue_get_woken_(cosy_queue *queue, void *ret_value, size_t size, struct cosy_queue_room_ *room,
                                     int64_t woken);
int cosy_queue_put_specially_(cosy_queue *queue, const void *value, size_t size);
int cosy_queue_get_specially_(cosy_queue *queue, void *ret_value, size_t size);
int cosy_queue_task_done_last_(cosy_queue *queue);
cosy_async int cosy_queue_join_(cosy_queue *queue);
int cosy_queue_shutdown_(cosy_queue *queue, bool immediate);
void cosy_queue_statistics_(const cosy_queue *queue, struct cosy_queue_statistics *ret_statistics);

#define COSY_INLINE_ static inline __attribute__((always_inline))

COSY_INLINE_ bool cosy_queue_put_plainly_(cosy_queue *queue, const void *value, size_t size)
{
    if (__builtin_expect(queue->size_ >= queue->put_below_, 0))
        return false;
    memcpy(queue->ring_ + ((queue->head_ + queue->size_) & queue->mask_) * size, value, size);
    queue->size_++;
    queue->unfinished_++;
    return true;
}

COSY_INLINE_ bool cosy_queue_get_plainly_(cosy_queue *queue, void *ret_value, size_t size)
{
    if (__builtin_expect(queue->size_ <= queue->get_above_, 0))
        return false;
    memcpy(ret_value, queue->ring_ + (queue->head_ & queue->mask_) * size, size);
    queue->head_++;
    queue->size_--;
    return true;
}

cosy_async COSY_INLINE_ int cosy_queue_put_(cosy_queue *queue, const void *value, size_t size)
{
    if (cosy_queue_put_plainly_(queue, value, size))
        return 0;
    struct cosy_queue_room_ room;
    int64_t woken = cosy_queue_put_or_park_(queue, value, size, &room);
    return __builtin_expect(woken == 0, 1) ? 0 : cosy_queue_put_woken_(queue, value, size, &room, woken);
}

cosy_async COSY_INLINE_ int cosy_queue_get_(cosy_queue *queue, void *ret_value, size_t size)
{
    if (cosy_queue_get_plainly_(queue, ret_value, size))
        return 0;
    struct cosy_queue_room_ room;
    int64_t woken = cosy_queue_get_or_park_(queue, ret_value, size, &room);
    return __builtin_expect(woken == 0, 1) ? 0 : cosy_queue_get_woken_(queue, ret_value, size, &room, woken);
}

COSY_INLINE_ int cosy_queue_put_nowait_(cosy_queue *queue, const void *value, size_t size)
{
    return cosy_queue_put_plainly_(queue, value, size) ? 0 : cosy_queue_put_specially_(queue, value, size);
}

COSY_INLINE_ int cosy_queue_get_nowait_(cosy_queue *queue, void *ret_value, size_t size)
{
    return cosy_queue_get_plainly_(queue, ret_value, size) ? 0 : cosy_queue_get_specially_(queue, ret_value, size);
}

COSY_INLINE_ int cosy_queue_task_done_(cosy_queue *queue)
{
    if (__builtin_expect(queue->unfinished_ <= 1, 0))
        return cosy_queue_task_done_last_(queue);
    queue->unfinished_--;
    return 0;
}

bool cosy_queue_full_(const cosy_queue *queue);

static inline bool cosy_queue_more_(int *err, int result)
{
    *err = result == -COSY_EQUEUESHUTDOWN ? 0 : result;
    return result == 0;
}

struct cosy_case_ {
    struct cosy_queue_room_ room;
    cosy_queue *queue;
    void *slot; /* the value, or where it goes */
    size_t size;
    bool put;
};
cosy_async int cosy_select_(struct cosy_case_ *cases, size_t count, int *ret_index);
int cosy_select_nowait_(struct cosy_case_ *cases, size_t count, int *ret_index);

#ifdef __cplusplus
}
#endif
#endif
