/* cosy/capacity.h - how many may do something at once: a semaphore that knows who holds it.
 *
 *     static cosy_capacity_limiter limiter = COSY_CAPACITY_LIMITER(8);
 *
 *     int err = 0;
 *     COSY_CAPACITY(err, &limiter) {                          async with limiter:
 *         cosy_check(err, fetch(url));
 *     }
 *
 * There are so many tokens; a borrower holds at most one, and only who holds one can give it back, so neither a
 * forgotten nor a doubled release goes unnoticed. The borrower is the running task, or anything that has an address.
 * Tokens go to those who wait in the order of coming, and the total may change at any time. Semantics:
 * trio.CapacityLimiter, but that the same borrower waiting twice is an error, not one token for two, and that acquiring
 * a free token does not yield.
 */
#ifndef COSY_CAPACITY_H
#define COSY_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who holds or awaits a token; private. */
struct cosy_borrower_ {
    const void *who;
    struct cosy_waiter *waiter; /* NULL: holds a token */
};

/* A capacity limiter in the caller's own memory, which must stay while tokens are held or awaited. Zero is a limiter
 * without tokens. The fields are private. It needs no end once all tokens are back. From another loop than that in
 * which tokens are held or awaited: -COSY_EOTHERLOOP. */
typedef struct cosy_capacity_limiter {
    int64_t total_;
    int64_t borrowed_;
    size_t known_; /* holders and waiters */
    size_t room_;  /* of table_ */
    struct cosy_borrower_ *table_;
    struct cosy_borrower_ few_[8]; /* used until they do not suffice */
    struct {
        struct cosy_waiter *first, *last;
    } line_;
    const struct cosy_loop *loop_;
} cosy_capacity_limiter;

/*     COSY_CAPACITY_LIMITER(total_tokens)
 *
 * What a cosy_capacity_limiter begins with, also a static one. COSY_NO_LIMIT: as many as come. */
#define COSY_CAPACITY_LIMITER(total_tokens) {.total_ = (total_tokens)}
#define COSY_NO_LIMIT INT64_MAX

/* Takes a token for the running task, or for `borrower` (any address but NULL, that of a task for that task), waiting
 * for one if need be. 0; -COSY_ETOOMANY when the borrower holds or awaits one already; -ECANCELED, then no token is
 * held; -COSY_EOTHERLOOP; -ENOMEM; -COSY_ENOTASK outside a task; -EINVAL for NULL. */
cosy_async int cosy_capacity_limiter_acquire(cosy_capacity_limiter *limiter);
cosy_async int cosy_capacity_limiter_acquire_on_behalf_of(cosy_capacity_limiter *limiter, const void *borrower);

/* The same without waiting: -EAGAIN when there is no token to have at once. on_behalf_of: also outside tasks. */
int cosy_capacity_limiter_acquire_nowait(cosy_capacity_limiter *limiter);
int cosy_capacity_limiter_acquire_on_behalf_of_nowait(cosy_capacity_limiter *limiter, const void *borrower);

/* Gives the running task's, or the borrower's, token back; the first that waits gets it. Does not suspend. 0,
 * -COSY_ENOTLOCKED when the borrower holds none, -COSY_EOTHERLOOP, -COSY_ENOTASK. on_behalf_of: also outside tasks, in
 * the loop's thread. */
int cosy_capacity_limiter_release(cosy_capacity_limiter *limiter);
int cosy_capacity_limiter_release_on_behalf_of(cosy_capacity_limiter *limiter, const void *borrower);

/* Changes how many tokens there are: more are given to those who wait at once; with fewer than are held, none is taken
 * away, but none given either until enough are back. 0, -EINVAL below zero, -COSY_EOTHERLOOP. */
int cosy_capacity_limiter_set_total_tokens(cosy_capacity_limiter *limiter, int64_t total_tokens);
/* How many there are, how many are held, and the difference, which may be negative (COSY_NO_LIMIT without a limit). */
int64_t cosy_capacity_limiter_total_tokens(const cosy_capacity_limiter *limiter);
int64_t cosy_capacity_limiter_borrowed_tokens(const cosy_capacity_limiter *limiter);
int64_t cosy_capacity_limiter_available_tokens(const cosy_capacity_limiter *limiter);
/* Whether the borrower holds a token. */
bool cosy_capacity_limiter_holds(const cosy_capacity_limiter *limiter, const void *borrower);

/* What a limiter is doing. */
struct cosy_capacity_limiter_statistics {
    int64_t total_tokens, borrowed_tokens;
    size_t tasks_waiting;
};
/* Tells it. */
void cosy_capacity_limiter_statistics(const cosy_capacity_limiter *limiter,
                                      struct cosy_capacity_limiter_statistics *ret_statistics);

/*     COSY_CAPACITY(err, cosy_capacity_limiter *limiter) { ... }
 *
 * A block in which the running task holds a token: `async with limiter`. When there is none to have, `err` (an int
 * variable) tells why and the block is skipped. The token is back after every way out: the end, break, cosy_check,
 * return, cosy_try. */
#define COSY_CAPACITY(err, limiter) COSY_CAPACITY_(err, limiter, COSY_CAT_(cosy_block_, __COUNTER__))
#define COSY_CAPACITY_(result, which, B)                                                                       \
    for (struct cosy_capacity_block_ B __attribute__((cleanup(cosy_capacity_block_close_))) =                  \
             {.limiter = (which), .err = &(result), .again = 1};                                               \
         B.again && cosy_capacity_block_open_(&B); B.again = 0)
struct cosy_capacity_block_ {
    cosy_capacity_limiter *limiter; /* NULL: not acquired */
    int *err;
    int again;
};
cosy_async int cosy_capacity_block_open_(struct cosy_capacity_block_ *block);
void cosy_capacity_block_close_(struct cosy_capacity_block_ *block);

#ifdef __cplusplus
}
#endif
#endif
