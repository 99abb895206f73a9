/* The heap's doors, and the control by which a test makes the n-th allocation fail. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/base/heap.h"

START_TEST(each_door_gives_memory_that_free_takes)
{
    unsigned char *plain = cosy_heap_alloc(100), *zeroed = cosy_heap_zalloc(100);
    ck_assert(plain && zeroed);
    memset(plain, 0xa5, 100);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(zeroed[i], 0);
    plain = cosy_heap_resize(plain, 100000);
    ck_assert_ptr_nonnull(plain);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(plain[i], 0xa5);
    cosy_heap_free(plain);
    cosy_heap_free(zeroed);
    void *fresh = cosy_heap_resize(NULL, 10);
    ck_assert_ptr_nonnull(fresh);
    cosy_heap_free(fresh);
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        void *aligned = cosy_heap_alloc_aligned(alignment, 3 * alignment);
        ck_assert_uint_eq((uintptr_t)aligned % alignment, 0);
        memset(aligned, 1, 3 * alignment);
        cosy_heap_free(aligned);
    }
    char *copy = cosy_heap_strdup("text");
    ck_assert_str_eq(copy, "text");
    cosy_heap_free(copy);
    cosy_heap_free(NULL);
}
END_TEST

START_TEST(what_is_not_freed_is_counted)
{
    long before = cosy_heap_live();
    void *one = cosy_heap_alloc(10), *two = cosy_heap_zalloc(10), *three = cosy_heap_resize(NULL, 10);
    void *four = cosy_heap_alloc_aligned(64, 64), *five = cosy_heap_strdup("text");
    ck_assert_int_eq(cosy_heap_live(), before + 5);
    three = cosy_heap_resize(three, 1000);
    cosy_heap_fail_nth(1, false);
    ck_assert_ptr_null(cosy_heap_alloc(10));
    cosy_heap_fail_nth(0, false);
    cosy_heap_free(NULL);
    ck_assert_int_eq(cosy_heap_live(), before + 5);
    cosy_heap_free(one);
    cosy_heap_free(two);
    cosy_heap_free(three);
    cosy_heap_free(four);
    ck_assert_ptr_eq(cosy_heap_give(five), five);
    ck_assert_ptr_null(cosy_heap_give(NULL));
    ck_assert_int_eq(cosy_heap_live(), before);
    free(five);
}
END_TEST

START_TEST(resize_to_nothing_still_owns_memory)
{
    void *memory = cosy_heap_resize(cosy_heap_alloc(10), 0); /* realloc(p, 0) frees and answers NULL, like a failure */
    ck_assert_ptr_nonnull(memory);
    cosy_heap_free(memory);
}
END_TEST

START_TEST(map_gives_zeroed_pages)
{
    size_t size = 16 * (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = cosy_heap_map(size);
    ck_assert_ptr_nonnull(memory);
    for (size_t i = 0; i < size; i += 512)
        ck_assert_int_eq(memory[i], 0);
    memset(memory, 1, size);
    cosy_heap_unmap(memory, size);
    cosy_heap_unmap(NULL, size);
    ck_assert_ptr_null(cosy_heap_map((size_t)1 << 62));
}
END_TEST

/* One allocation through each door; bit i of the result: door i failed. */
static unsigned use_each_door(void)
{
    unsigned failed = 0;
    void *memory[7] = {NULL};
    void *base = memory[0] = cosy_heap_alloc(8);
    memory[1] = cosy_heap_zalloc(8);
    memory[2] = cosy_heap_alloc_aligned(64, 64);
    memory[3] = cosy_heap_strdup("x");
    memory[4] = cosy_heap_map(4096);
    memory[5] = cosy_heap_resize(NULL, 8);
    memory[6] = cosy_heap_resize(base, 16);
    for (unsigned i = 0; i < 7; i++)
        failed |= memory[i] ? 0 : 1u << i;
    cosy_heap_unmap(memory[4], 4096);
    memory[4] = NULL;
    if (memory[6])
        memory[0] = NULL; /* moved */
    for (unsigned i = 0; i < 7; i++)
        cosy_heap_free(memory[i]);
    return failed;
}

START_TEST(the_nth_fails_and_only_that)
{
    ck_assert_uint_eq(use_each_door(), 0);
    for (int n = 1; n <= 7; n++) {
        cosy_heap_fail_nth(n, false);
        ck_assert_uint_eq(use_each_door(), 1u << (n - 1));
        ck_assert_int_eq(cosy_heap_counted(), 7);
        ck_assert_uint_eq(use_each_door(), 0);
        ck_assert_int_eq(cosy_heap_counted(), 14);
        cosy_heap_fail_nth(0, false);
    }
}
END_TEST

START_TEST(from_the_nth_on_all_fail)
{
    for (int n = 1; n <= 8; n++) {
        cosy_heap_fail_nth(n, true);
        ck_assert_uint_eq(use_each_door(), 0x7fu & ~((1u << (n - 1)) - 1));
        cosy_heap_fail_nth(0, false);
    }
    cosy_heap_fail_nth(1, true);
    ck_assert_uint_eq(use_each_door(), 0x7f);
    ck_assert_uint_eq(use_each_door(), 0x7f);
    cosy_heap_fail_nth(0, false);
    ck_assert_uint_eq(use_each_door(), 0);
}
END_TEST

START_TEST(a_failed_resize_leaves_the_old_memory)
{
    char *memory = cosy_heap_strdup("still here");
    cosy_heap_fail_nth(1, false);
    ck_assert_ptr_null(cosy_heap_resize(memory, 1000));
    cosy_heap_fail_nth(0, false);
    ck_assert_str_eq(memory, "still here");
    cosy_heap_free(memory);
}
END_TEST

START_TEST(counting_stops_when_disarmed)
{
    cosy_heap_fail_nth(100, false);
    use_each_door();
    cosy_heap_fail_nth(0, false);
    use_each_door();
    ck_assert_int_eq(cosy_heap_counted(), 7); /* and the count can still be read */
    cosy_heap_fail_nth(100, false);
    ck_assert_int_eq(cosy_heap_counted(), 0);
    cosy_heap_fail_nth(0, false);
}
END_TEST

static atomic_int failures;

static void *allocate_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        void *memory = cosy_heap_alloc(8);
        if (!memory)
            atomic_fetch_add(&failures, 1);
        cosy_heap_free(memory);
    }
    return NULL;
}

START_TEST(one_of_all_threads_gets_the_failure)
{
    pthread_t threads[4];
    atomic_store(&failures, 0);
    cosy_heap_fail_nth(2000, false);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&failures), 1);
    ck_assert_int_eq(cosy_heap_counted(), 4000);
    cosy_heap_fail_nth(0, false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heap");
    TCase *tcase = tcase_create("heap");
    tcase_add_test(tcase, each_door_gives_memory_that_free_takes);
    tcase_add_test(tcase, what_is_not_freed_is_counted);
    tcase_add_test(tcase, resize_to_nothing_still_owns_memory);
    tcase_add_test(tcase, map_gives_zeroed_pages);
    tcase_add_test(tcase, the_nth_fails_and_only_that);
    tcase_add_test(tcase, from_the_nth_on_all_fail);
    tcase_add_test(tcase, a_failed_resize_leaves_the_old_memory);
    tcase_add_test(tcase, counting_stops_when_disarmed);
    tcase_add_test(tcase, one_of_all_threads_gets_the_failure);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
