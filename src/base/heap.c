#include "heap.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_bool armed;
static atomic_long countdown, counted;
static atomic_bool repeating;
static atomic_bool watching; /* cosy_heap_live was asked */
static atomic_long live;

void cosy_heap_fail_nth(long n, bool repeat)
{
    atomic_store(&countdown, n);
    atomic_store(&repeating, repeat);
    if (n > 0)
        atomic_store(&counted, 0);
    atomic_store(&armed, n > 0);
}

long cosy_heap_counted(void)
{
    return atomic_load(&counted);
}

static cosy_cold bool count_and_decide(void)
{
    atomic_fetch_add(&counted, 1);
    long left = atomic_fetch_sub(&countdown, 1) - 1;
    return left == 0 || (left < 0 && atomic_load(&repeating));
}

static inline bool must_fail(void)
{
    return unlikely(atomic_load_explicit(&armed, memory_order_relaxed)) && count_and_decide();
}

long cosy_heap_live(void)
{
    atomic_store_explicit(&watching, true, memory_order_relaxed);
    return atomic_load(&live);
}

static inline void count_live(long change)
{
    if (unlikely(atomic_load_explicit(&watching, memory_order_relaxed)))
        atomic_fetch_add(&live, change);
}

static inline void *counted_live(void *memory)
{
    if (memory)
        count_live(1);
    return memory;
}

void *cosy_heap_alloc(size_t size)
{
    return must_fail() ? NULL : counted_live(malloc(size));
}

void *cosy_heap_zalloc(size_t size)
{
    return must_fail() ? NULL : counted_live(calloc(1, size));
}

/* Never to 0 bytes: realloc would free and answer NULL, which callers take for a failure that left the old memory. */
void *cosy_heap_resize(void *old, size_t size)
{
    void *memory = must_fail() ? NULL : realloc(old, size ? size : 1);
    return old ? memory : counted_live(memory);
}

void *cosy_heap_alloc_aligned(size_t alignment, size_t size)
{
    return must_fail() ? NULL : counted_live(aligned_alloc(alignment, size));
}

char *cosy_heap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = cosy_heap_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void *cosy_heap_give(void *memory)
{
    if (memory)
        count_live(-1);
    return memory;
}

void cosy_heap_free(void *memory)
{
    if (memory)
        count_live(-1);
    free(memory);
}

atomic_uint cosy_mappings_ended;

void *cosy_heap_map(size_t size)
{
    if (must_fail())
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void cosy_heap_unmap(void *memory, size_t size)
{
    if (!memory)
        return;
    atomic_fetch_add_explicit(&cosy_mappings_ended, 1, memory_order_release);
    munmap(memory, size);
}
