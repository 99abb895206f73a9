/* capacity.c - tokens, those who hold them, and those who wait for one.
 *
 * Holders and waiters stand in one hash table (open addressing, at most three quarters full), so that a borrower is
 * found in either role by one search, and handing a token over needs no memory. The table is in the limiter until it
 * does not suffice, and is freed when nobody is left in it: a limiter that is not in use owns nothing.
 *
 * Invariants
 *  - borrowed_ counts the entries without a waiter, known_ all of them; loop_ is that of all of them, NULL without any.
 *  - Nobody waits while a token is free: whoever makes one free hands it to the first in line (hand_out).
 */
#include <cosy/capacity.h>

#include <string.h>

#include "../base/heap.h"
#include "../sync/waiters.h"

_Static_assert(sizeof(((cosy_capacity_limiter *)0)->line_) == sizeof(struct cosy_line), "the limiter's line is a line");

struct token_wait {
    struct cosy_waiter waiter;
    cosy_capacity_limiter *limiter;
    const void *borrower;
};

static struct cosy_line *line_of(const cosy_capacity_limiter *limiter)
{
    return (struct cosy_line *)(void *)&limiter->line_;
}

/* ---- the table ---- */

static struct cosy_borrower_ *slots(cosy_capacity_limiter *limiter)
{
    return limiter->table_ ? limiter->table_ : limiter->few_;
}

static size_t slot_count(const cosy_capacity_limiter *limiter)
{
    return limiter->table_ ? limiter->room_ : COUNT_OF(limiter->few_);
}

static size_t hash(const void *who, size_t count)
{
    return (size_t)(((uint64_t)(uintptr_t)who * 0x9e3779b97f4a7c15u) >> 32) & (count - 1);
}

/* The borrower's entry, or the free one where it would be. */
static struct cosy_borrower_ *look_up(struct cosy_borrower_ *table, size_t count, const void *who)
{
    size_t i = hash(who, count);
    while (table[i].who && table[i].who != who)
        i = (i + 1) & (count - 1);
    return &table[i];
}

static struct cosy_borrower_ *find(const cosy_capacity_limiter *limiter, const void *who)
{
    cosy_capacity_limiter *readable = (cosy_capacity_limiter *)limiter;
    return look_up(slots(readable), slot_count(limiter), who);
}

static int make_room(cosy_capacity_limiter *limiter)
{
    size_t count = slot_count(limiter);
    if (limiter->known_ + 1 <= count / 4 * 3)
        return 0;
    struct cosy_borrower_ *old = slots(limiter), *table = cosy_heap_zalloc(count * 2 * sizeof *table);
    if (!table)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (old[i].who)
            *look_up(table, count * 2, old[i].who) = old[i];
    cosy_heap_free(limiter->table_);
    memset(limiter->few_, 0, sizeof limiter->few_);
    limiter->table_ = table;
    limiter->room_ = count * 2;
    return 0;
}

static int enter(cosy_capacity_limiter *limiter, const void *who, struct cosy_waiter *waiter,
                 const struct cosy_loop *loop)
{
    int result = make_room(limiter);
    if (result < 0)
        return result;
    *find(limiter, who) = (struct cosy_borrower_){who, waiter};
    limiter->known_++;
    if (loop) /* not when borrowed outside of any */
        limiter->loop_ = loop;
    return 0;
}

/* Closes the gap: whoever stands behind it and would be searched for from before it moves up. */
static void forget(cosy_capacity_limiter *limiter, struct cosy_borrower_ *entry)
{
    struct cosy_borrower_ *table = slots(limiter);
    size_t mask = slot_count(limiter) - 1, gap = (size_t)(entry - table);
    for (size_t i = (gap + 1) & mask; table[i].who; i = (i + 1) & mask)
        if (((i - hash(table[i].who, mask + 1)) & mask) >= ((i - gap) & mask)) {
            table[gap] = table[i];
            gap = i;
        }
    table[gap] = (struct cosy_borrower_){0};
    if (--limiter->known_ == 0) {
        cosy_heap_free(limiter->table_);
        limiter->table_ = NULL;
        limiter->loop_ = NULL;
    }
}

/* ---- tokens ---- */

static void hand_out(cosy_capacity_limiter *limiter)
{
    struct cosy_waiter *first;
    while (limiter->borrowed_ < limiter->total_ && (first = line_of(limiter)->first)) {
        find(limiter, container_of(first, struct token_wait, waiter)->borrower)->waiter = NULL;
        limiter->borrowed_++;
        cosy_waiter_wake(first, 0);
    }
}

static void take_back(cosy_capacity_limiter *limiter, struct cosy_borrower_ *entry)
{
    limiter->borrowed_--;
    forget(limiter, entry);
    hand_out(limiter);
}

static void token_abandon(struct cosy_wait *wait)
{
    struct token_wait *self = container_of(wait, struct token_wait, waiter.wait);
    if (!self->waiter.line)
        return;
    cosy_waiter_abandon(wait);
    forget(self->limiter, find(self->limiter, self->borrower));
}

static bool token_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    token_abandon(wait);
    return false;
}

static const struct cosy_wait_kind token_kind = {
    .verb = "waits for a token of a capacity limiter", .cancel = token_cancel, .abandon = token_abandon};

static int check_loop(const cosy_capacity_limiter *limiter, const struct cosy_loop *here)
{
    if (here && limiter->loop_ && here != limiter->loop_)
        return cosy_fail(COSY_EOTHERLOOP, "tokens of this capacity limiter are held or awaited in another loop");
    return 0;
}

/* What speaks against giving the borrower a token, whether there is one or not. */
static int check_borrower(const cosy_capacity_limiter *limiter, const void *borrower, const struct cosy_loop *here)
{
    if (!borrower)
        return cosy_fail(EINVAL, "NULL cannot borrow a token of a capacity limiter");
    int result = check_loop(limiter, here);
    if (result < 0)
        return result;
    const struct cosy_borrower_ *entry = find(limiter, borrower);
    if (entry->who)
        return cosy_fail(COSY_ETOOMANY, "this borrower %s a token of this capacity limiter already",
                         entry->waiter ? "waits for" : "holds");
    return 0;
}

static bool has_token(const cosy_capacity_limiter *limiter)
{
    return limiter->borrowed_ < limiter->total_ && cosy_line_empty(line_of(limiter));
}

static int borrow(cosy_capacity_limiter *limiter, const void *borrower, const struct cosy_loop *loop)
{
    int result = enter(limiter, borrower, NULL, loop);
    if (result == 0)
        limiter->borrowed_++;
    return result;
}

static int acquire(cosy_capacity_limiter *limiter, const void *borrower, struct cosy_task *me)
{
    int result = check_borrower(limiter, borrower, me->future.loop);
    if (result < 0)
        return result;
    if (has_token(limiter))
        return borrow(limiter, borrower, me->future.loop);
    struct token_wait self = {.waiter.wait.kind = &token_kind, .limiter = limiter, .borrower = borrower};
    result = enter(limiter, borrower, &self.waiter, me->future.loop);
    if (result < 0)
        return result;
    result = (int)cosy_line_wait(line_of(limiter), &self.waiter, me);
    if (result < 0 && self.waiter.woken)
        take_back(limiter, find(limiter, borrower));
    return result;
}

int cosy_capacity_limiter_acquire(cosy_capacity_limiter *limiter)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_capacity_limiter_acquire");
    return me ? acquire(limiter, me, me) : -COSY_ENOTASK;
}

int cosy_capacity_limiter_acquire_on_behalf_of(cosy_capacity_limiter *limiter, const void *borrower)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_capacity_limiter_acquire_on_behalf_of");
    return me ? acquire(limiter, borrower, me) : -COSY_ENOTASK;
}

int cosy_capacity_limiter_acquire_on_behalf_of_nowait(cosy_capacity_limiter *limiter, const void *borrower)
{
    const struct cosy_loop *here = cosy_thread_.loop;
    int result = check_borrower(limiter, borrower, here);
    if (result < 0)
        return result;
    return has_token(limiter) ? borrow(limiter, borrower, here) : -EAGAIN;
}

int cosy_capacity_limiter_acquire_nowait(cosy_capacity_limiter *limiter)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_capacity_limiter_acquire_nowait");
    return me ? cosy_capacity_limiter_acquire_on_behalf_of_nowait(limiter, me) : -COSY_ENOTASK;
}

int cosy_capacity_limiter_release_on_behalf_of(cosy_capacity_limiter *limiter, const void *borrower)
{
    int result = check_loop(limiter, cosy_thread_.loop);
    if (result < 0)
        return result;
    if (!cosy_capacity_limiter_holds(limiter, borrower))
        return cosy_fail(COSY_ENOTLOCKED, "this borrower holds no token of this capacity limiter");
    take_back(limiter, find(limiter, borrower));
    return 0;
}

int cosy_capacity_limiter_release(cosy_capacity_limiter *limiter)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_capacity_limiter_release");
    return me ? cosy_capacity_limiter_release_on_behalf_of(limiter, me) : -COSY_ENOTASK;
}

int cosy_capacity_limiter_set_total_tokens(cosy_capacity_limiter *limiter, int64_t total_tokens)
{
    if (total_tokens < 0)
        return cosy_fail(EINVAL, "a capacity limiter cannot have %lld tokens", (long long)total_tokens);
    int result = check_loop(limiter, cosy_thread_.loop);
    if (result < 0)
        return result;
    limiter->total_ = total_tokens;
    hand_out(limiter);
    return 0;
}

int64_t cosy_capacity_limiter_total_tokens(const cosy_capacity_limiter *limiter)
{
    return limiter->total_;
}

int64_t cosy_capacity_limiter_borrowed_tokens(const cosy_capacity_limiter *limiter)
{
    return limiter->borrowed_;
}

int64_t cosy_capacity_limiter_available_tokens(const cosy_capacity_limiter *limiter)
{
    return limiter->total_ == COSY_NO_LIMIT ? COSY_NO_LIMIT : limiter->total_ - limiter->borrowed_;
}

bool cosy_capacity_limiter_holds(const cosy_capacity_limiter *limiter, const void *borrower)
{
    const struct cosy_borrower_ *entry = borrower ? find(limiter, borrower) : NULL;
    return entry && entry->who && !entry->waiter;
}

void cosy_capacity_limiter_statistics(const cosy_capacity_limiter *limiter,
                                      struct cosy_capacity_limiter_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_capacity_limiter_statistics){
        .total_tokens = limiter->total_,
        .borrowed_tokens = limiter->borrowed_,
        .tasks_waiting = cosy_line_length(line_of(limiter)),
    };
}

int cosy_capacity_block_open_(struct cosy_capacity_block_ *block)
{
    int result = cosy_capacity_limiter_acquire(block->limiter);
    if (result == 0)
        return 1;
    *block->err = result;
    block->limiter = NULL;
    return 0;
}

void cosy_capacity_block_close_(struct cosy_capacity_block_ *block)
{
    if (block->limiter)
        (void)cosy_capacity_limiter_release(block->limiter);
}
