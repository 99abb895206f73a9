/* Captured calls: every kind of argument and result arrives as in an ordinary call, whatever happens in between. */
#include "../harness/cosy_test.h"

#include <complex.h>
#include <limits.h>

/* Each function checks what it gets and returns its number of arguments. Awaited: at once; started: registers have been
 * used since. */
#define BOTH_WAYS(expected, ...)                                                                                       \
    do {                                                                                                               \
        ck_assert_int_eq(cosy_await(cosy_call(__VA_ARGS__)), (expected));                                              \
        cosy_scoped(cosy_task) both_ = cosy_create_task(__VA_ARGS__);                                                  \
        use_registers();                                                                                               \
        ck_assert_int_eq(cosy_await(both_), (expected));                                                               \
        cosy_scoped(cosy_task) eager_ = cosy_create_task_with((.eager_start = true), __VA_ARGS__);                     \
        ck_assert_int_eq(cosy_await(eager_), (expected));                                                              \
    } while (0)

static __attribute__((noinline)) double use_registers(void)
{
    volatile double values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return values[0] * values[1] + values[2] * values[3] + values[4] * values[5] + values[6] * values[7];
}

/* ---- arguments ---- */

static int none(void)
{
    return 0;
}

static int integers(char a, short b, int c, long d, long long e, unsigned char f)
{
    ck_assert(a == 'x' && b == SHRT_MIN && c == INT_MIN && d == LONG_MIN && e == LLONG_MAX && f == 255);
    return 6;
}

static int negative_small_ones(signed char a, short b, bool c, unsigned short d)
{
    ck_assert(a == -128 && b == -2 && c && d == 65535);
    return 4;
}

static int floats(float a, double b, float c, double d)
{
    ck_assert(a == 0.5f && b == -1e300 && c == -0.25f && d == 3);
    return 4;
}

static int converted(double a, long b, float c, bool d, unsigned char e)
{
    ck_assert(a == 7 && b == -3 && c == 2 && d && e == 44);
    return 5;
}

static int mixed(int a, double b, const char *c, float d, long e, double f)
{
    ck_assert(a == -1 && b == 2.5 && d == 0.125f && e == -5 && f == 6.5);
    ck_assert_str_eq(c, "text");
    return 6;
}

static int eight_doubles(double a, double b, double c, double d, double e, double f, double g, double h)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8);
    return 8;
}

static int ten_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i,
                       double j)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == 10);
    return 10;
}

static int ten_longs(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 && i == 9 && j == LONG_MIN);
    return 10;
}

static int ten_mixed(char a, double b, short c, float d, long e, double f, int g, bool h, signed char i, unsigned j)
{
    ck_assert(a == 'a' && b == 2 && c == -3 && d == 4 && e == 5 && f == 6 && g == -7 && h && i == -9 && j == UINT_MAX);
    return 10;
}

static int seven_with_a_double(int a, int b, int c, int d, int e, int f, double g)
{
    ck_assert(a + b + c + d + e + f == 21 && g == 0.5);
    return 7;
}

ASYNC_TEST(arguments_arrive)
{
    int three_hundred = 300;
    double minus = -3.9;
    BOTH_WAYS(0, none);
    BOTH_WAYS(6, integers, 'x', SHRT_MIN, INT_MIN, LONG_MIN, LLONG_MAX, 255);
    BOTH_WAYS(4, negative_small_ones, -128, -2, true, 65535);
    BOTH_WAYS(4, floats, 0.5f, -1e300, -0.25f, 3.0);
    BOTH_WAYS(5, converted, 7, minus, 2, 5, three_hundred);
    BOTH_WAYS(6, mixed, -1, 2.5, "text", 0.125f, -5L, 6.5);
    BOTH_WAYS(8, eight_doubles, 1, 2, 3, 4, 5, 6, 7, 8);
    BOTH_WAYS(10, ten_doubles, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    BOTH_WAYS(10, ten_longs, 1, 2, 3, 4, 5, 6, 7, 8, 9, LONG_MIN);
    BOTH_WAYS(10, ten_mixed, 'a', 2, -3, 4, 5, 6, -7, true, -9, UINT_MAX);
    BOTH_WAYS(7, seven_with_a_double, 1, 2, 3, 4, 5, 6, 0.5);
    return 0;
}

/* One and two arguments of each kind: the smaller blocks. */
static int one_double(double a)
{
    return a == 1.5 ? 1 : -EINVAL;
}
static int one_float(float a)
{
    return a == 1.5f ? 1 : -EINVAL;
}
static int one_bool(bool a)
{
    return a ? 1 : -EINVAL;
}
static int one_char(char a)
{
    return a == 'c' ? 1 : -EINVAL;
}
static int two_doubles(double a, double b)
{
    return a == 1.5 && b == -2.5 ? 2 : -EINVAL;
}
static int int_and_double(int a, double b)
{
    return a == -1 && b == -2.5 ? 2 : -EINVAL;
}
static int text_and_length(const char *a, size_t b)
{
    return strlen(a) == b ? 2 : -EINVAL;
}
static int callback(int (*fn)(double), double a)
{
    return fn(a) + 1;
}
static int out(int *a, int value)
{
    return *a = value;
}
static int three(const void *a, int b, uint64_t c)
{
    return a == NULL && b == -1 && c == UINT64_MAX ? 3 : -EINVAL;
}

ASYNC_TEST(few_arguments_arrive)
{
    int result = 0;
    char array[] = "array";
    BOTH_WAYS(1, one_double, 1.5);
    BOTH_WAYS(1, one_double, 1.5f);
    BOTH_WAYS(1, one_float, 1.5);
    BOTH_WAYS(1, one_bool, 256);
    BOTH_WAYS(1, one_char, 'c');
    BOTH_WAYS(2, two_doubles, 1.5, -2.5);
    BOTH_WAYS(2, int_and_double, -1, -2.5);
    BOTH_WAYS(2, int_and_double, -1L, -2.5f);
    BOTH_WAYS(2, text_and_length, array, 5);
    BOTH_WAYS(2, callback, one_double, 1.5);
    BOTH_WAYS(9, out, &result, 9);
    BOTH_WAYS(3, three, NULL, -1, -1);
    ck_assert_int_eq(result, 9);
    return 0;
}

struct small {
    char a, b, c;
};
struct pair {
    int a, b;
};
struct two_words {
    long a;
    const char *b;
};
struct point {
    double x, y;
};
struct floats {
    float x, y, z;
};
struct word_and_double {
    long a;
    double b;
};
struct big {
    long numbers[9];
};
union either {
    long a;
    double b;
};
enum colour { RED = -7, GREEN };

static int structs(struct small s, struct pair p, struct two_words w, struct point q)
{
    ck_assert(s.a == 'a' && s.b == 'b' && s.c == 'c' && p.a == 1 && p.b == -2 && w.a == 3 && q.x == 0.5 && q.y == -0.5);
    ck_assert_str_eq(w.b, "word");
    return 4;
}

static int more_structs(struct floats f, struct word_and_double w, union either e, enum colour c)
{
    ck_assert(f.x == 1 && f.y == 2 && f.z == 3 && w.a == -4 && w.b == 4.5 && e.a == 5 && c == RED);
    return 4;
}

#if defined(__x86_64__)
static int big_struct(int first, struct big big, double last)
{
    ck_assert(first == 1 && last == 2.5);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(big.numbers[i], i * i);
    return 3;
}

static int long_double(long double a, int b)
{
    return a == 1.5L && b == 2 ? 2 : -EINVAL;
}
#endif

static int number(double complex z)
{
    return creal(z) == 1 && cimag(z) == -2 ? 1 : -EINVAL;
}

static int structs_after_registers(int a, int b, int c, int d, int e, struct two_words w, struct pair p)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && w.a == 6 && p.a == 7 && p.b == 8);
    ck_assert_str_eq(w.b, "over the stack");
    return 7;
}

ASYNC_TEST(structs_arrive_by_value)
{
    struct pair p = {1, -2};
    BOTH_WAYS(4, structs, ((struct small){'a', 'b', 'c'}), p, ((struct two_words){3, "word"}),
              ((struct point){0.5, -0.5}));
    BOTH_WAYS(4, more_structs, ((struct floats){1, 2, 3}), ((struct word_and_double){-4, 4.5}),
              ((union either){.a = 5}), RED);
    BOTH_WAYS(1, number, 1 - 2 * I);
    BOTH_WAYS(7, structs_after_registers, 1, 2, 3, 4, 5, ((struct two_words){6, "over the stack"}),
              ((struct pair){7, 8}));
#if defined(__x86_64__)
    BOTH_WAYS(3, big_struct, 1, ((struct big){{0, 1, 4, 9, 16, 25, 36, 49, 64}}), 2.5);
    BOTH_WAYS(2, long_double, 1.5L, 2);
#endif
    return 0;
}

/* ---- results ---- */

static char result_char(int v)
{
    return (char)v;
}
static signed char result_schar(int v)
{
    return (signed char)v;
}
static unsigned char result_uchar(int v)
{
    return (unsigned char)v;
}
static short result_short(int v)
{
    return (short)v;
}
static unsigned short result_ushort(int v)
{
    return (unsigned short)v;
}
static bool result_bool(int v)
{
    return v;
}
static unsigned result_unsigned(unsigned v)
{
    return v;
}
static int64_t result_long(int64_t v)
{
    return v;
}
static enum colour result_enum(int v)
{
    return v ? GREEN : RED;
}
static void result_void(int *v)
{
    *v = 8;
}

#define RESULT(expected, ...)                                                                                          \
    do {                                                                                                               \
        int64_t result_;                                                                                               \
        cosy_scoped(cosy_task) task_ = cosy_create_task(__VA_ARGS__);                                                  \
        cosy_try(cosy_yield());                                                                                        \
        ck_assert_int_eq(cosy_task_result(task_, &result_), 0);                                                        \
        ck_assert_int_eq(result_, (expected));                                                                         \
        ck_assert_int_eq(cosy_await(task_), (expected) > INT_MAX ? -EOVERFLOW : (int)(expected));                      \
    } while (0)

ASYNC_TEST(results_are_read_in_their_own_width)
{
    int value = 0;
    RESULT(100, result_char, 100);
    RESULT(127, result_schar, 127);
    RESULT(200, result_uchar, 200);
    RESULT(32767, result_short, 0x7fff);
    RESULT(65535, result_ushort, -1);
    RESULT(1, result_bool, 77);
    RESULT(0, result_bool, 0);
    RESULT((int64_t)UINT_MAX, result_unsigned, UINT_MAX);
    RESULT(INT64_MAX, result_long, INT64_MAX);
    RESULT(0, result_void, &value);
    ck_assert_int_eq(value, 8);
    /* negative ones are errors */
    ck_assert_int_eq(cosy_await(cosy_call(result_schar, -5)), -5);
    ck_assert_int_eq(cosy_await(cosy_call(result_short, -EINVAL)), -EINVAL);
    ck_assert_int_eq(cosy_await(cosy_call(result_long, -ENOENT)), -ENOENT);
    ck_assert_int_eq(cosy_await(cosy_call(result_enum, 0)), RED);
    ck_assert_int_eq(cosy_await(cosy_call(result_long, 1L << 40)), -EOVERFLOW);
    return 0;
}

/* ---- what is called ---- */

ASYNC_TEST(functions_may_be_pointers_and_expressions)
{
    int (*fn)(double) = one_double;
    int (*table[])(double) = {one_double};
    ck_assert_int_eq(cosy_await(cosy_call(fn, 1.5)), 1);
    ck_assert_int_eq(cosy_await(cosy_call(table[0], 1.5)), 1);
    ck_assert_int_eq(cosy_await(cosy_call(&one_double, 1.5)), 1);
    ck_assert_int_eq(cosy_await(cosy_call(*fn, 1.5)), 1);
    return 0;
}

/* ---- arguments that await, fail, or call ---- */

static int slow(int value, int turns)
{
    for (int i = 0; i < turns; i++)
        cosy_try(cosy_yield());
    return value;
}

static int sum(int a, int b, int c)
{
    return 100 * a + 10 * b + c;
}

static int call_with_awaits(int seed)
{
    return cosy_await(cosy_call(sum, slow(seed, 3), cosy_await(cosy_call(slow, 2, seed)), slow(3, 1)));
}

ASYNC_TEST(arguments_may_await_in_several_tasks_at_once)
{
    enum { TASKS = 100 };
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(call_with_awaits, i % 9 + 1);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), 100 * (i % 9 + 1) + 23);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

static int leave_in_the_middle(int value)
{
    return cosy_await(cosy_call(sum, 1, cosy_try(value), 3));
}

ASYNC_TEST(arguments_may_leave_the_function)
{
    capture_log();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(leave_in_the_middle(-ENOENT), -ENOENT);
    ck_assert_int_eq(leave_in_the_middle(2), 123);
    ck_assert_int_eq(call_with_awaits(5), 523);
    return 0;
}

ASYNC_TEST(calls_nest_in_arguments)
{
    int value = cosy_await(cosy_call(sum, cosy_await(cosy_call(sum, 0, 0, cosy_await(cosy_call(slow, 1, 0)))),
                                     cosy_await(cosy_call(slow, 2, 0)), cosy_await(cosy_call(slow, 3, 0))));
    ck_assert_int_eq(value, 123);
    return 0;
}

static int cancelled_in_arguments(void)
{
    return cosy_await(cosy_call(sum, 1, slow(2, 1000), 3));
}

ASYNC_TEST(a_cancel_may_meet_the_arguments)
{
    for (int i = 0; i < 20; i++) {
        cosy_scoped(cosy_task) t = cosy_create_task(cancelled_in_arguments);
        cosy_try(cosy_yield());
        cosy_task_cancel(t);
        ck_assert_int_lt(cosy_await(t), 0);
    }
    ck_assert_int_eq(call_with_awaits(5), 523);
    return 0;
}

static int count_evaluations(int *count)
{
    return ++*count;
}

ASYNC_TEST(arguments_are_evaluated_once)
{
    int count = 0;
    ck_assert_int_eq(cosy_await(cosy_call(slow, count_evaluations(&count), 0)), 1);
    cosy_scoped(cosy_task) t = cosy_create_task(slow, count_evaluations(&count), 0);
    ck_assert_int_eq(cosy_await(t), 2);
    ck_assert_int_eq(count, 2);
    return 0;
}

/* ---- argument blocks ---- */

struct block {
    int count;
    unsigned char bytes[5000];
};

static int check_block(void *arg)
{
    struct block *block = arg;
    ck_assert_uint_eq((uintptr_t)block % 16, 0);
    cosy_try(cosy_yield());
    int wrong = 0;
    for (int i = 0; i < block->count; i++)
        wrong += block->bytes[i] != i % 251;
    ck_assert_int_eq(wrong, 0);
    return block->count;
}

static int take_nothing(void *arg)
{
    (void)arg;
    return 5;
}

ASYNC_TEST(blocks_are_copied)
{
    struct block block = {.count = 5000};
    for (int i = 0; i < block.count; i++)
        block.bytes[i] = (unsigned char)(i % 251);
    cosy_scoped(cosy_task) t = cosy_task_from(cosy_call_block(check_block, &block, sizeof block));
    cosy_coro *c = cosy_call_block(check_block, &block, sizeof block);
    memset(&block, 0xee, sizeof block);
    ck_assert_int_eq(cosy_await(t), 5000);
    ck_assert_int_eq(cosy_await(c), 5000);
    ck_assert_int_eq(cosy_await(cosy_call_block(take_nothing, NULL, 0)), 5);
    return 0;
}

static int check_big_block(void *arg)
{
    const unsigned char *bytes = arg;
    size_t wrong = 0;
    for (size_t i = 0; i < 1 << 20; i++)
        wrong += bytes[i] != 0x5a;
    ck_assert_uint_eq(wrong, 0);
    return cosy_yield();
}

ASYNC_TEST(a_block_may_be_larger_than_the_stack)
{
    unsigned char *bytes = malloc(1 << 20);
    memset(bytes, 0x5a, 1 << 20);
    cosy_scoped(cosy_task) t = cosy_task_from(cosy_call_block(check_big_block, bytes, 1 << 20));
    free(bytes);
    ck_assert_int_eq(cosy_await(t), 0);
    return 0;
}

ASYNC_TEST(blocks_must_be_there)
{
    int (*nothing)(void *) = NULL;
    ck_assert_ptr_null(cosy_call_block(nothing, "x", 1));
    ck_assert_int_eq(cosy_await((cosy_coro *)NULL), -EINVAL);
    ck_assert_ptr_null(cosy_call_block(take_nothing, NULL, 1));
    return 0;
}

/* ---- lack of memory ---- */

static int call_each_kind(void)
{
    struct block block = {.count = 0};
    cosy_set_coroutine_origin_tracking_depth(1);
    int results[] = {cosy_await(cosy_call(none)), cosy_await(cosy_call(one_double, 1.5)),
                     cosy_await(cosy_call(eight_doubles, 1, 2, 3, 4, 5, 6, 7, 8)),
                     cosy_await(cosy_call_block(take_nothing, &block, sizeof block)),
                     cosy_await(cosy_call(slow, 1, 0))};
    cosy_set_coroutine_origin_tracking_depth(0);
    for (int i = 0; i < 5; i++)
        cosy_try(results[i]);
    return 0;
}

static int call_each_kind_in_new_blocks(void)
{
    cosy_coro *held[3000]; /* so that pools run dry */
    int made = 0, result = 0;
    while (made < 3000 && (held[made] = cosy_call(one_double, 1.5)))
        made++;
    if (made < 3000)
        result = cosy_await(held[made]);
    while (made > 0)
        cosy_coro_close(held[--made]);
    return result;
}

ASYNC_TEST(lack_of_memory_is_an_error)
{
    with_each_allocation_failing(call_each_kind);
    cosy_heap_fail_nth(2, true);
    ck_assert_int_eq(call_each_kind_in_new_blocks(), -ENOMEM);
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(call_each_kind_in_new_blocks(), 0);
    return 0;
}

COSY_TEST_MAIN("call", arguments_arrive, few_arguments_arrive, structs_arrive_by_value,
               results_are_read_in_their_own_width, functions_may_be_pointers_and_expressions,
               arguments_may_await_in_several_tasks_at_once, arguments_may_leave_the_function, calls_nest_in_arguments,
               a_cancel_may_meet_the_arguments, arguments_are_evaluated_once, blocks_are_copied,
               a_block_may_be_larger_than_the_stack, blocks_must_be_there, lack_of_memory_is_an_error)
