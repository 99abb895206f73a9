/* cosy/pool.h - a pool of things that are dear to make: connections, buffers, workers.
 *
 *     COSY_DEFINE_POOL(connection_pool, struct connection, struct server)          at file level
 *
 *     connection_pool pool = {.context = &server, .create = connect_to, .destroy = hang_up, .max_size = 8};
 *     int err = 0;
 *     COSY_POOLED(err, connection_pool, &pool, connection) {                   async with pool.acquire() as connection:
 *         cosy_check(err, query(connection, "select 1"));
 *     }
 *     connection_pool_close(&pool, COSY_S(5));
 *
 * A pool makes elements when they are needed, up to max_size, and keeps them for the next that needs one. When all are
 * in use, tasks wait in the order of coming. Nothing is lost on the way: a creation that fails, an element that turns
 * out to be broken, a task that is cancelled while it waits or creates, each gives its place on to the next in line.
 * Semantics: the pools of aiohttp, asyncpg and redis-py, without their known leaks.
 */
#ifndef COSY_POOL_H
#define COSY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
#include "loop.h"
#include "time.h"
#include "trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/*     COSY_DEFINE_POOL(pool, element_type, context_type)
 *
 * Defines a type `pool`, a pool of element_type *, and its functions; at file level, without a semicolon. context_type
 * is what the callbacks need to know (void when nothing). The type has these fields, all zero by default; the first two
 * are needed:
 *
 *     int (*create)(context_type *context, element_type **ret_element)  makes one; may suspend
 *     int (*destroy)(context_type *context, element_type *element)      ends one for good, whatever it returns; may suspend
 *     int (*check)(context_type *context, element_type *element)        >= 0: may be handed out once more; else it is destroyed. May suspend
 *     context_type *context
 *     size_t max_size     how many there are at most; 0: 10
 *     size_t min_size     how many `pool_maintain` keeps ready; 0: none
 *     size_t max_idle     how many are kept while nobody needs them; 0: max_size
 *     cosy_ns max_idle_time how long one is kept unused; 0: for ever
 *
 * and these functions:
 *
 *     int pool_acquire(pool *p, element_type **ret_element)
 *     int pool_release(pool *p, element_type *element)
 *     int pool_discard(pool *p, element_type *element)
 *     int pool_maintain(pool *p)
 *     int pool_close(pool *p, cosy_ns limit)
 *     void pool_statistics(const pool *p, struct cosy_pool_statistics *ret_statistics)
 *
 * `acquire` gives the element that was used last, if it passes the check, or a new one, or waits. 0; the error of
 * `create`; -COSY_ESHUTDOWN when the pool is closed, also while waiting; -ECANCELED; -ENOMEM.
 *
 * `release` gives it back: to the first that waits, or to be kept. It destroys what need not be kept, and what was
 * unused for too long. `discard` gives back what is broken: it is destroyed, and its place is free. -COSY_ENOTLOCKED
 * when the element is not in use in this pool. They suspend only in `destroy`; -ECANCELED then means that it was
 * cancelled, and the element is gone nevertheless.
 *
 * `maintain` destroys what was unused for too long and makes elements until there are min_size. The pool has no task of
 * its own: a program that wants idle connections closed while nobody uses the pool calls it now and then. 0, or the
 * error of `create`.
 *
 * `close` turns away who waits, destroys what is idle, and waits at most `limit` ns (COSY_NEVER: any time, 0: none)
 * until what is in use is back and destroyed. -ETIMEDOUT when some is still in use: it is destroyed on its release, and
 * the pool must stay until then. Closed pools stay closed. A pool that was used must be closed, or it leaks.
 *
 * All in the caller's own memory, from tasks of one loop at a time: -COSY_EOTHERLOOP while there are elements or
 * waiters in another one (an idle pool can be closed from anywhere), -COSY_ENOTASK outside tasks. Finding an element on
 * its release looks at those in use: O(max_size). */
#define COSY_DEFINE_POOL(pool, element_type, context_type)                                                     \
    typedef struct pool {                                                                                      \
        union {                                                                                                \
            struct cosy_pool_ core_;                                                                           \
            struct {                                                                                           \
                COSY_POOL_FIELDS_                                                                              \
            };                                                                                                 \
        };                                                                                                     \
        context_type *context;                                                                                 \
        int (*create)(context_type *context, element_type **ret_element);                                      \
        int (*destroy)(context_type *context, element_type *element);                                          \
        int (*check)(context_type *context, element_type *element);                                            \
    } pool;                                                                                                    \
    struct pool##_block_ {                                                                                     \
        pool *from;                                                                                            \
        element_type *element;                                                                                 \
        int *err, again;                                                                                       \
    };                                                                                                         \
    cosy_async static inline int pool##_create_(struct cosy_pool_ *core, void **ret_element)                   \
    {                                                                                                          \
        pool *self = (pool *)(void *)core;                                                                     \
        element_type *element = NULL;                                                                          \
        int result = self->create(self->context, &element);                                                    \
        *ret_element = element;                                                                                \
        return result;                                                                                         \
    }                                                                                                          \
    cosy_async static inline int pool##_destroy_(struct cosy_pool_ *core, void *element)                       \
    {                                                                                                          \
        pool *self = (pool *)(void *)core;                                                                     \
        return self->destroy(self->context, (element_type *)element);                                          \
    }                                                                                                          \
    cosy_async static inline int pool##_check_(struct cosy_pool_ *core, void *element)                         \
    {                                                                                                          \
        pool *self = (pool *)(void *)core;                                                                     \
        return self->check ? self->check(self->context, (element_type *)element) : 0;                          \
    }                                                                                                          \
    static inline const struct cosy_pool_kind_ *pool##_kind_(const pool *self)                                 \
    {                                                                                                          \
        static const struct cosy_pool_kind_ kind = {#pool, pool##_create_, pool##_destroy_, pool##_check_};    \
        return self->create && self->destroy ? &kind : NULL;                                                   \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_acquire(pool *self, element_type **ret_element) \
    {                                                                                                          \
        void *element = NULL;                                                                                  \
        int result = cosy_pool_acquire_(&self->core_, pool##_kind_(self), &element);                           \
        *ret_element = (element_type *)element;                                                                \
        return result;                                                                                         \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_release(pool *self, element_type *element)     \
    {                                                                                                          \
        return cosy_pool_release_(&self->core_, pool##_kind_(self), element, false);                           \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_discard(pool *self, element_type *element)     \
    {                                                                                                          \
        return cosy_pool_release_(&self->core_, pool##_kind_(self), element, true);                            \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_maintain(pool *self)                           \
    {                                                                                                          \
        return cosy_pool_maintain_(&self->core_, pool##_kind_(self));                                          \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_close(pool *self, cosy_ns limit)               \
    {                                                                                                          \
        return cosy_pool_close_(&self->core_, pool##_kind_(self), limit);                                      \
    }                                                                                                          \
    __attribute__((unused)) static inline void pool##_statistics(const pool *self,                             \
                                                                 struct cosy_pool_statistics *ret_statistics)  \
    {                                                                                                          \
        cosy_pool_statistics_(&self->core_, ret_statistics);                                                   \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline int pool##_block_open_(struct pool##_block_ *block)       \
    {                                                                                                          \
        int result = pool##_acquire(block->from, &block->element);                                             \
        if (result < 0)                                                                                        \
            *block->err = result;                                                                              \
        return result == 0;                                                                                    \
    }                                                                                                          \
    cosy_async __attribute__((unused)) static inline void pool##_block_close_(struct pool##_block_ *block)     \
    {                                                                                                          \
        if (!block->element)                                                                                   \
            return;                                                                                            \
        bool sound = *block->err >= 0 && !block->again;                                                        \
        int result = sound ? pool##_release(block->from, block->element)                                       \
                           : pool##_discard(block->from, block->element);                                      \
        if (result < 0 && *block->err >= 0)                                                                    \
            *block->err = result;                                                                              \
    }

/*     COSY_POOLED(err, pool, pool *p, element) { ... }
 *
 * A block with an element of a pool, as a variable named `element`: `async with pool.acquire() as element`. When there
 * is none to have, `err` (an int variable) tells why and the block is skipped. At its end, and after break, the element
 * goes back to the pool; when `err` is an error then, or the block was left by return or cosy_try, it may be in the
 * middle of something, and is discarded. Release by hand, with acquire and release, what should be kept after
 * errors. */
#define COSY_POOLED(err, pool, p, element) COSY_POOLED_(err, pool, p, element, COSY_CAT_(cosy_block_, __COUNTER__))
#define COSY_POOLED_(result, pool, p, name, B)                                                                 \
    for (struct pool##_block_ B __attribute__((cleanup(pool##_block_close_))) = {(p), NULL, &(result), 1};     \
         B.again && pool##_block_open_(&B); B.again = 0)                                                       \
        for (__typeof__(B.element) name = B.element; B.again; B.again = 0)

/* What a pool is doing. */
struct cosy_pool_statistics {
    size_t size;     /* elements that are there or in the making */
    size_t idle;     /* of them: unused */
    size_t in_use;   /* of them: acquired */
    size_t waiting;  /* tasks that wait for one */
    uint64_t created, destroyed, failed; /* in all; failed: creations */
};

/* The private part of a pool. */
#define COSY_POOL_FIELDS_                                                                                      \
    size_t max_size, min_size, max_idle;                                                                       \
    cosy_ns max_idle_time;                                                                                     \
    const struct cosy_loop *loop_;                                                                             \
    struct cosy_pool_idle_ *idle_; /* unused longest first */                                                  \
    void **used_;                                                                                              \
    size_t room_;   /* of each */                                                                              \
    size_t places_; /* taken by elements, or for one in the making or ending */                                \
    size_t idle_count_, used_count_;                                                                           \
    struct cosy_pool_line_ line_, closers_;                                                                    \
    uint64_t created_, destroyed_, failed_;                                                                    \
    bool closed_;
struct cosy_pool_line_ {
    struct cosy_waiter *first, *last;
};
struct cosy_pool_ {
    COSY_POOL_FIELDS_
};
struct cosy_pool_kind_ {
    const char *name;
    int (*create)(struct cosy_pool_ *core, void **ret_element);
    int (*destroy)(struct cosy_pool_ *core, void *element);
    int (*check)(struct cosy_pool_ *core, void *element);
};
cosy_async int cosy_pool_acquire_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void **ret_element);
cosy_async int cosy_pool_release_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void *element,
                                  bool broken);
cosy_async int cosy_pool_maintain_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind);
cosy_async int cosy_pool_close_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, cosy_ns limit);
void cosy_pool_statistics_(const struct cosy_pool_ *core, struct cosy_pool_statistics *ret_statistics);

#ifdef __cplusplus
}
#endif
#endif
