/* base.h - small things that every floor uses: attributes, assertions, bit tricks. */
#ifndef COSY_BASE_BASE_H
#define COSY_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define cosy_cold __attribute__((cold, noinline))
#define cosy_hidden __attribute__((visibility("hidden")))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Stays on in release builds: a broken invariant stops the program with its place, before it spreads. */
#define cosy_assert(condition)                                                                        \
    do {                                                                                              \
        if (unlikely(!(condition)))                                                                   \
            cosy_assert_failed(#condition, __FILE__, __LINE__, __func__);                             \
    } while (0)

_Noreturn void cosy_assert_failed(const char *condition, const char *file, int line, const char *func);

#endif
