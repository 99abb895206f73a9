/* heap.h - every allocation of the library goes through here, so that a test can make the n-th one fail.
 *
 * The counters are per process and only touched while a test has armed them; otherwise each call is the
 * C library's. Sizes are bytes. Any thread.
 */
#ifndef COSY_BASE_HEAP_H
#define COSY_BASE_HEAP_H

#include <stdatomic.h>
#include "base.h"

/* malloc, calloc, realloc, aligned_alloc, strdup and free: NULL when there is no memory. */
void *cosy_heap_alloc(size_t size);
void *cosy_heap_zalloc(size_t size);
void *cosy_heap_resize(void *old, size_t size);
void *cosy_heap_alloc_aligned(size_t alignment, size_t size); /* size: a multiple of alignment */
char *cosy_heap_strdup(const char *text);
void cosy_heap_free(void *memory);
/* The memory is the program's from here on, which ends it by the C library's free: it is not the library's to count.
 * Returns it; NULL is fine. */
void *cosy_heap_give(void *memory);

/* Anonymous memory straight from the kernel (stacks, object slabs); NULL on failure. NORESERVE, read-write. */
void *cosy_heap_map(size_t size);
void cosy_heap_unmap(void *memory, size_t size);
/* Counts mappings that ended, before they do. The kernel may map one thread's ring where another thread's memory has
 * just been, and only the kernel orders the two: read after mapping past this floor, it tells a tool that watches
 * threads. */
extern atomic_uint cosy_mappings_ended;

/* Test control: make the n-th following allocation of this process fail (1 = the next), 0 = none.
 * With `repeat`, all later ones fail too. */
void cosy_heap_fail_nth(long n, bool repeat);
/* Counts, from the first call on, what is allocated and not freed (maps are not): the sum since then. Memory from
 * before that is freed counts too, so it may be negative. */
long cosy_heap_live(void);
/* Allocations counted since the last cosy_heap_fail_nth call with n > 0. */
long cosy_heap_counted(void);

#endif
