/* Codes, their names and messages. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cosy/err.h>
#include <cosy/version.h>

#include "../../src/base/base.h"

static const struct {
    int code;
    const char *name, *text;
} own[] = {
#define ROW(name, number, title, text) {name, #name, text},
    COSY_ERRORS(ROW)
#undef ROW
};

START_TEST(own_codes_have_names_and_messages_with_either_sign)
{
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        ck_assert_str_eq(cosy_errname(own[i].code), own[i].name);
        ck_assert_str_eq(cosy_errname(-own[i].code), own[i].name);
        ck_assert_str_eq(cosy_strerror(own[i].code), own[i].text);
        ck_assert_str_eq(cosy_strerror(-own[i].code), own[i].text);
    }
}
END_TEST

START_TEST(own_codes_are_distinct_and_beyond_errno)
{
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        ck_assert_int_gt(own[i].code, 4095);
        for (size_t j = 0; j < i; j++)
            ck_assert_int_ne(own[i].code, own[j].code);
    }
}
END_TEST

START_TEST(errno_codes_are_the_c_librarys)
{
    ck_assert_str_eq(cosy_errname(-ENOMEM), "ENOMEM");
    ck_assert_str_eq(cosy_errname(ETIMEDOUT), "ETIMEDOUT");
    ck_assert_str_eq(cosy_errname(-ECANCELED), "ECANCELED");
    ck_assert_str_eq(cosy_strerror(-ENOMEM), "Cannot allocate memory");
    ck_assert_str_eq(cosy_strerror(EDEADLK), "Resource deadlock avoided");
}
END_TEST

START_TEST(anything_else_is_unknown_and_never_null)
{
    static const int unknown[] = {41, 4095, -4095, 4096, 5000, -9999, 1000000, INT_MAX, INT_MIN, INT_MIN + 1};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        ck_assert_str_eq(cosy_errname(unknown[i]), "E?");
        ck_assert_str_eq(cosy_strerror(unknown[i]), "unknown error");
    }
    ck_assert_ptr_nonnull(cosy_errname(0));
    ck_assert_ptr_nonnull(cosy_strerror(0));
    for (int code = -6000; code < 6000; code++)
        ck_assert(cosy_errname(code) && cosy_strerror(code));
}
END_TEST

START_TEST(errno_is_not_touched)
{
    errno = 1234;
    cosy_strerror(-ENOMEM);
    cosy_errname(-99999);
    cosy_strerror(-99999);
    ck_assert_int_eq(errno, 1234);
}
END_TEST

START_TEST(a_broken_invariant_ends_the_process_with_its_place)
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        cosy_assert(1 + 1 == 2);
        cosy_assert(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    char text[1024] = "";
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(text, "'1 + 1 == 3' does not hold at "));
    ck_assert_ptr_nonnull(strstr(text, "test_err.c:"));
}
END_TEST

START_TEST(the_version_is_told)
{
    ck_assert_str_eq(cosy_version(), COSY_VERSION);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tcase = tcase_create("err");
    tcase_add_test(tcase, own_codes_have_names_and_messages_with_either_sign);
    tcase_add_test(tcase, own_codes_are_distinct_and_beyond_errno);
    tcase_add_test(tcase, errno_codes_are_the_c_librarys);
    tcase_add_test(tcase, anything_else_is_unknown_and_never_null);
    tcase_add_test(tcase, errno_is_not_touched);
    tcase_add_test(tcase, a_broken_invariant_ends_the_process_with_its_place);
    tcase_add_test(tcase, the_version_is_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
