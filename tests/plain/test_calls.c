/* test_calls.c - what differs from one processor to the next: how arguments travel into a task, and what a switch of
 * stacks must keep. Needs nothing but a C library, so that it runs on emulated machines too; returns 0 when all is
 * well.
 */
#include <cosy.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #condition);                              \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static int failures;

struct pair {
    int a, b;
};
struct point {
    double x, y;
};
struct mixed {
    long number;
    char letter;
};

cosy_async static int take_small(signed char a, short b, unsigned char c, bool d, int64_t e, const char *f)
{
    EXPECT(a == -1 && b == -30000 && c == 200 && d && e == INT64_MIN && strcmp(f, "text") == 0);
    return 1;
}

cosy_async static int take_floats(float a, double b, int c, double d, float e)
{
    EXPECT(a == 0.5f && b == -1e300 && c == 7 && d == 3.25 && e == -0.125f);
    return 2;
}

cosy_async static int take_structs(struct pair p, struct point q, struct mixed m)
{
    EXPECT(p.a == 1 && p.b == -2);
    EXPECT(q.x == 0.5 && q.y == -0.25);
    EXPECT(m.number == 1L << 40 && m.letter == 'z');
    return 3;
}

/* More than there are argument registers, so that the rest goes over the stack. */
cosy_async static int take_ten(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j)
{
    EXPECT(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == -10);
    return 4;
}

cosy_async static int take_nothing(void)
{
    return 5;
}

cosy_async static int test_arguments(void)
{
    EXPECT(cosy_await(cosy_call(take_small, -1, -30000, 200, true, INT64_MIN, "text")) == 1);
    EXPECT(cosy_await(cosy_call(take_floats, 0.5f, -1e300, 7, 3.25, -0.125f)) == 2);
    EXPECT(cosy_await(cosy_call(take_floats, 0.5, -1e300, 7L, 3.25f, -0.125)) == 2); /* converted as in any call */
    EXPECT(cosy_await(cosy_call(take_structs, ((struct pair){1, -2}), ((struct point){0.5, -0.25}),
                                ((struct mixed){1L << 40, 'z'}))) == 3);
    EXPECT(cosy_await(cosy_call(take_ten, 1, 2, 3, 4, 5, 6, 7, 8, 9, -10)) == 4);
    EXPECT(cosy_await(cosy_call(take_nothing)) == 5);
    return 0;
}

/* Keeps more values alive over a wait than there are callee-saved registers, whole numbers and floating point. */
cosy_async static int keep_registers(int seed)
{
    volatile int opaque = seed;
    long a = opaque + 1, b = opaque + 2, c = opaque + 3, d = opaque + 4, e = opaque + 5, f = opaque + 6;
    long g = opaque + 7, h = opaque + 8, i = opaque + 9, j = opaque + 10, k = opaque + 11, l = opaque + 12;
    double p = opaque * 0.5, q = opaque * 0.25, r = opaque * 2.0, s = opaque * 3.0, t = opaque * 5.0;
    double u = opaque * 7.0, v = opaque * 11.0, w = opaque * 13.0, x = opaque * 17.0;
    for (int round = 0; round < 3; round++) {
        cosy_try(cosy_sleep(COSY_US(100 * (seed % 7))));
        EXPECT(a + b + c + d + e + f + g + h + i + j + k + l == 12L * seed + 78);
        EXPECT(a == seed + 1 && f == seed + 6 && l == seed + 12);
        EXPECT(p + q + r + s + t + u + v + w + x == seed * 58.75);
        EXPECT(p == seed * 0.5 && x == seed * 17.0);
    }
    return 0;
}

cosy_async static int test_registers(void)
{
    enum { TASKS = 200 };
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(keep_registers, i);
    for (int i = 0; i < TASKS; i++) {
        EXPECT(cosy_await(tasks[i]) == 0);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

/* The stack of a task obeys the processor's rule of alignment; vector instructions rely on it. */
cosy_async static int test_alignment(void)
{
    _Alignas(16) volatile char buffer[48];
    memset((char *)buffer, 7, sizeof(buffer));
    EXPECT((uintptr_t)buffer % 16 == 0);
    char text[64];
    snprintf(text, sizeof(text), "%.3f %.3f", 1.5 + buffer[0], 2.25); /* printf of doubles saves vector registers */
    EXPECT(strcmp(text, "8.500 2.250") == 0);
    return 0;
}

cosy_async static int sum_to(int n)
{
    return n == 0 ? 0 : n + sum_to(n - 1); /* awaiting is calling: plain recursion on the task's stack */
}

cosy_async static int test_depth(void)
{
    EXPECT(sum_to(100) == 5050);
    int total = cosy_await(cosy_call(sum_to, 200));
    EXPECT(total == 20100);
    return 0;
}

cosy_async static int test_gather(void)
{
    EXPECT(cosy_gather(cosy_call(keep_registers, 3), cosy_call(keep_registers, 5), cosy_call(take_nothing)) >= 0);
    return 0;
}

cosy_async static int amain(void)
{
    cosy_try(test_arguments());
    cosy_try(test_registers());
    cosy_try(test_alignment());
    cosy_try(test_depth());
    cosy_try(test_gather());
    return 0;
}

int main(void)
{
    int status = cosy_main(amain);
    printf("%d failures, status %d\n", failures, status);
    return failures || status ? EXIT_FAILURE : EXIT_SUCCESS;
}
