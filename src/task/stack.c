/* stack.c - stacks: carved out of large mappings, guarded, coloured, pooled.
 *
 * A chunk is one mapping of at least 4 MiB, NORESERVE, cut into stacks of one class (1 KiB << class). Mapping each
 * stack by itself would cost microseconds and, from 32,753 stacks on, meet the kernel's limit on mappings. The lowest
 * page of each stack is a guard: MADV_GUARD_INSTALL where the kernel has it (no mapping of its own), else mprotect
 * while a quarter of the mapping limit lasts, else a canary word that is looked at when the task ends. Stacks smaller
 * than four pages are packed, with a canary only.
 *
 * Free stacks lie in an array used as a LIFO: [0, cold) have given their pages back to the kernel, [cold, count) are
 * warm.
 */
#include "stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cosy/log.h>

#include "../base/heap.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { CHUNK_BYTES = 4 << 20, PAGE = COSY_STACK_GUARD_BYTES, KEEP_WARM = 64, MPROTECT_BUDGET = 16384 };
static const uint64_t canary = UINT64_C(0xc05f57ac0c0ffee5);

struct cosy_stack_chunk {
    struct cosy_stack_chunk *next;
    char *low;
    size_t bytes, used; /* used: bytes carved from the low end */
};

__thread struct cosy_stack_pool cosy_stack_pools[COSY_STACK_CLASSES] __attribute__((tls_model("initial-exec")));
static __thread char why[160];

/* How guards are made, found out once: 1 MADV_GUARD_INSTALL, 2 mprotect, 3 canary only. */
static _Atomic int guard_way;
static _Atomic long mprotect_left = MPROTECT_BUDGET;

uint8_t cosy_stack_class(size_t bytes)
{
    if (bytes == 0)
        return COSY_STACK_CLASS_DEFAULT;
    uint8_t stack_class = 0;
    while (stack_class < COSY_STACK_CLASSES - 1 && cosy_stack_bytes(stack_class) < bytes)
        stack_class++;
    return stack_class;
}

static bool has_canary(const char *stack) { return (uintptr_t)stack & 1; }

const char *cosy_stack_error(void) { return why; }

static cosy_cold void complain(const char *what, size_t bytes)
{
    snprintf(why, sizeof why, "no memory for a stack of %zu bytes: %s", bytes, what);
}

static void place_canary(char *low) { *(volatile uint64_t *)(void *)low = canary; }

/* Emulators say yes to all advice and follow none: a guard that was only promised would let an overflow run through
 * memory. */
static bool refuses_nonsense(char *low)
{
    enum { NO_ADVICE = 0x7fffff00 };
    return madvise(low, PAGE, NO_ADVICE) != 0;
}

/* Makes the lowest page of a stack a guard, where that is still possible. */
static bool guard(char *low)
{
    int way = guard_way;
    /* Tools read whole mappings and would fall into guards that the mapping does not show. */
    if (way <= 1 && !cosy_hooks_wanted()) {
        if ((way == 1 || refuses_nonsense(low)) && madvise(low, PAGE, MADV_GUARD_INSTALL) == 0) {
            guard_way = 1;
            return true;
        }
        guard_way = way = 2;
    }
    if (way != 3) {
        if (atomic_fetch_sub(&mprotect_left, 1) > 0 && mprotect(low, PAGE, PROT_NONE) == 0)
            return true;
        if (atomic_exchange(&guard_way, 3) != 3)
            cosy_log(COSY_LOG_WARNING,
                     "cosy: too many mappings for more guard pages (vm.max_map_count): further stacks are "
                     "protected by a canary only");
    }
    return false;
}

static void tell_overflow(void *arg)
{
    struct cosy_task *task = arg;
    fprintf(
        stderr,
        "cosy: fatal: stack overflow in task '%s' (%s, created at %s:%u): the canary of its %zu-byte stack is gone\n",
        cosy_task_name(task), task->site->name, task->site->file, task->site->line,
        cosy_stack_bytes(task->stack_class));
    abort();
}

void cosy_stack_check(struct cosy_task *task)
{
    if (likely(!has_canary(task->stack)))
        return;
    const uint64_t *word = (const uint64_t *)(void *)cosy_stack_low(task->stack);
    if (unlikely(*word != canary))
        cosy_on_big_stack(tell_overflow, task); /* this one is too small to print on */
}

static void pool_release(struct cosy_stack_pool *pool);

/* Stacks of other sizes that nobody uses make room. */
static cosy_cold void release_others(struct cosy_stack_pool *pool)
{
    for (size_t c = 0; c < COSY_STACK_CLASSES; c++)
        if (&cosy_stack_pools[c] != pool)
            pool_release(&cosy_stack_pools[c]);
}

static struct cosy_stack_chunk *chunk_new(struct cosy_stack_pool *pool, size_t each)
{
    size_t bytes = each * 2 > CHUNK_BYTES ? each : CHUNK_BYTES;
    struct cosy_stack_chunk *chunk = cosy_heap_alloc(sizeof *chunk);
    char *low = chunk ? cosy_heap_map(bytes) : NULL;
    if (chunk && !low) {
        release_others(pool);
        low = cosy_heap_map(bytes);
    }
    if (!low) {
        cosy_heap_free(chunk);
        complain("the system has none left, or the process has too many mappings (vm.max_map_count) or too much "
                 "address space "
                 "(ulimit -v)",
                 each);
        return NULL;
    }
    /* A sparse stack must not be backed by a 2 MiB page; a dense one may be. */
    if (each >= 4 * PAGE)
        madvise(low, bytes, MADV_NOHUGEPAGE);
    *chunk = (struct cosy_stack_chunk){.next = pool->chunks, .low = low, .bytes = bytes};
    pool->chunks = chunk;
    cosy_hook_stacks_mapped(low, bytes, each);
    return chunk;
}

/* There is always room to give every stack back: giving happens on the stack itself, which may be a tiny one. */
static bool make_room(struct cosy_stack_pool *pool)
{
    if (pool->carved < pool->room)
        return true;
    size_t room = pool->room ? 2 * pool->room : 64;
    char **more = cosy_heap_resize(pool->free, room * sizeof(*more));
    if (!more)
        return false;
    pool->free = more;
    pool->room = room;
    return true;
}

static cosy_cold char *carve(struct cosy_stack_pool *pool, uint8_t stack_class)
{
    size_t each = cosy_stack_bytes(stack_class);
    struct cosy_stack_chunk *chunk = pool->chunks;
    if (!make_room(pool)) {
        complain("the system has none left", each);
        return NULL;
    }
    if (!chunk || chunk->bytes - chunk->used < each) {
        chunk = chunk_new(pool, each);
        if (!chunk)
            return NULL;
    }
    char *low = chunk->low + chunk->used;
    chunk->used += each;
    if (stack_class >= COSY_STACK_GUARDED_FROM && guard(low))
        return low;
    place_canary(low);
    return low + 1;
}

char *cosy_stack_take(uint8_t stack_class)
{
    struct cosy_stack_pool *pool = &cosy_stack_pools[stack_class];
    char *stack = cosy_stack_take_warm(stack_class);
    if (stack)
        return stack;
    if (pool->count > 0) {
        stack = pool->free[--pool->count];
        pool->cold = pool->count;
        if (has_canary(stack))
            place_canary(cosy_stack_low(stack));
    } else if ((stack = carve(pool, stack_class)))
        pool->carved++;
    pool->fewest = pool->count;
    return stack;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (char *const *)a, right = (uintptr_t) * (char *const *)b;
    return left < right ? -1 : left > right;
}

/* One madvise per run of neighbours. Guards survive it. Packed stacks share pages, so theirs are left alone. */
static void cool(struct cosy_stack_pool *pool, size_t each, size_t until)
{
    qsort(pool->free + pool->cold, until - pool->cold, sizeof(char *), by_address);
    for (size_t i = pool->cold; i < until;) {
        size_t n = 1;
        while (i + n < until && cosy_stack_low(pool->free[i + n]) == cosy_stack_low(pool->free[i]) + n * each)
            n++;
        madvise(cosy_stack_low(pool->free[i]), n * each, MADV_DONTNEED);
        i += n;
    }
    pool->cold = until;
}

void cosy_stacks_idle(void)
{
    for (uint8_t c = COSY_STACK_GUARDED_FROM; c < COSY_STACK_CLASSES; c++) {
        struct cosy_stack_pool *pool = &cosy_stack_pools[c];
        size_t peak = pool->carved - pool->fewest, keep = peak / 4 > KEEP_WARM ? peak / 4 : KEEP_WARM;
        if (pool->fewest > pool->cold + 2 * keep)
            cool(pool, cosy_stack_bytes(c), pool->fewest - keep);
        pool->fewest = pool->count;
    }
}

static void pool_release(struct cosy_stack_pool *pool)
{
    if (pool->count < pool->carved)
        return;
    while (pool->chunks) {
        struct cosy_stack_chunk *chunk = pool->chunks;
        pool->chunks = chunk->next;
        cosy_hook_stacks_unmapped(chunk->low, chunk->bytes);
        cosy_heap_unmap(chunk->low, chunk->bytes);
        cosy_heap_free(chunk);
    }
    cosy_heap_free(pool->free);
    *pool = (struct cosy_stack_pool){0};
}

void cosy_stacks_release(void)
{
    for (size_t c = 0; c < COSY_STACK_CLASSES; c++)
        pool_release(&cosy_stack_pools[c]);
}
