/* file_test.h - what the tests of files share: a directory of the test's own. */
#ifndef COSY_TESTS_FILE_TEST_H
#define COSY_TESTS_FILE_TEST_H

#include "io_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static char work_directory[64];
static char path_room[8][512];

/* DIRECTORY/name; the text stays for seven more. */
static const char *at(const char *name)
{
    static unsigned turn;
    char *path = path_room[turn++ % 8];
    snprintf(path, sizeof path_room[0], "%s/%s", work_directory, name);
    return path;
}

/* In front of each test: forks have each their own. */
static void make_work_directory(void)
{
    struct stat status; /* a disk would make some tests wait for its fsync */
    bool shm = stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0;
    strcpy(work_directory, shm ? "/dev/shm/cosy-test-XXXXXX" : "/tmp/cosy-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(work_directory));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

/* The tests have given rights back that they took. */
static void remove_work_directory(void)
{
    ck_assert_int_eq(nftw(work_directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* TASK_TEST, in a directory of its own. */
#define FILE_TEST(name)                                                                                                \
    cosy_async static int name##_in(void);                                                                             \
    TASK_TEST(name)                                                                                                    \
    {                                                                                                                  \
        make_work_directory();                                                                                         \
        int result = name##_in();                                                                                      \
        remove_work_directory();                                                                                       \
        return result;                                                                                                 \
    }                                                                                                                  \
    cosy_async static int name##_in(void)

/* Plain calls, beside the library. */
__attribute__((unused)) static void put_file(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

__attribute__((unused)) static const char *content_of(const char *name)
{
    static char text[4096];
    FILE *file = fopen(at(name), "r");
    if (!file)
        return "(none)";
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* A failure's words are these, DIRECTORY being the test's. */
#define failed_saying(result, code, words)                                                                             \
    do {                                                                                                               \
        char expected_[1024];                                                                                          \
        ck_assert_int_eq((result), (code));                                                                            \
        with_directory(expected_, (words));                                                                            \
        ck_assert_str_eq(cosy_error_message(code), expected_);                                                         \
    } while (0)

__attribute__((unused)) static void with_directory(char *to, const char *words)
{
    const char *mark = strstr(words, "DIR");
    if (!mark) {
        strcpy(to, words);
        return;
    }
    sprintf(to, "%.*s%s%s", (int)(mark - words), words, work_directory, mark + 3);
}

#endif
