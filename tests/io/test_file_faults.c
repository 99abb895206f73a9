/* test_file_faults.c - files when memory, system calls and patience run out: an error each time, and nothing left
 * behind. */
#include "file_test.h"

#include <limits.h>

/* ---- what is done to files, for all that follows ---- */

/* Whatever comes of it, it leaves nothing but what it says. */
cosy_async static int use_files(void)
{
    char data[64] = "";
    struct cosy_stat known;
    cosy_scoped(cosy_file) file = NULL;
    cosy_try(cosy_file_open(at("a"), O_RDWR | O_CREAT | O_TRUNC, &file));
    cosy_try(cosy_file_write(file, "one\ntwo\n", 8));
    cosy_try(cosy_file_sync(file));
    cosy_try(cosy_file_truncate(file, 4));
    cosy_try(cosy_file_seek(file, 0, SEEK_END));
    cosy_try(cosy_file_pread(file, data, sizeof data, 0));
    cosy_try(cosy_file_stat(file, &known));
    cosy_try(cosy_file_lock(file));
    cosy_file *closed = file;
    file = NULL;
    cosy_try(cosy_file_close(closed));
    cosy_try(cosy_rename(at("a"), at("b")));
    cosy_try(cosy_stat(at("b"), &known));
    return cosy_unlink(at("b"));
}

cosy_async static int use_whole_files(void)
{
    char *data = NULL;
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_scoped(cosy_tempdir) directory = NULL;
    cosy_scoped(cosy_file) temporary = NULL;
    int64_t length;
    cosy_try(cosy_write_file(at("a"), "text\n", 5, .atomic = true, .sync = true));
    cosy_try(cosy_read_file(at("a"), &data, NULL));
    free(data);
    cosy_try(cosy_copy_file(at("a"), at("b")));
    cosy_try(cosy_file_open_stream(at("b"), &stream));
    COSY_LINES (stream, line, length)
        ck_assert_str_eq(line, "text\n");
    cosy_try((int)length);
    cosy_try(cosy_temporary_file(&temporary, .directory = work_directory, .named = true));
    cosy_try(cosy_temporary_directory(&directory, .directory = work_directory));
    return 0;
}

cosy_async static int use_directories(void)
{
    int err = 0, count = 0;
    char *target = NULL;
    struct cosy_file_event event;
    cosy_scoped(cosy_file_watch) watch = NULL;
    cosy_try(cosy_mkdir(at("d/e"), .parents = true));
    cosy_try(cosy_file_watch_open(work_directory, &watch, .recursive = true));
    cosy_try(cosy_symlink("x", at("d/link")));
    cosy_try(cosy_readlink(at("d/link"), &target));
    free(target);
    cosy_try(cosy_mkdir(at("d/f")));
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("d")))
    count++;
    cosy_try(err);
    ck_assert_int_eq(count, 3);
    for (count = 0; count < 2; count++)
        cosy_try(cosy_file_watch_next(watch, &event));
    return cosy_remove_tree(at("d"));
}

static int (*const uses[])(void) = {use_files, use_whole_files, use_directories};
enum { USES = sizeof uses / sizeof *uses };

/* Every fourth where each costs thirty times as much. */
static long step(void)
{
    return under_valgrind() ? 4 : 1;
}

static void empty_directory(void)
{
    remove_work_directory();
    ck_assert_int_eq(mkdir(work_directory, 0700), 0);
}

/* But for what was asked for by its name; and where the call that was to remove it is the one that failed, a temporary
 * one. */
static void check_nothing_left(bool temporary_too)
{
    DIR *dir = opendir(work_directory);
    for (struct dirent *entry; (entry = readdir(dir));)
        ck_assert_msg(strstr("abd", entry->d_name) || (entry->d_name[0] == '.' && entry->d_name[1] != 'c') ||
                          (!temporary_too && strstr(entry->d_name, "cosy-")),
                      "%s is left", entry->d_name);
    closedir(dir);
}

/* ---- memory ---- */

FILE_TEST(each_allocation_fails)
{
    for (int use = 0; use < USES; use++) {
        ck_assert_int_eq(uses[use](), 0);
        int descriptors = open_descriptors(), result = -1;
        for (long n = 1; result != 0; n += step()) {
            empty_directory();
            cosy_heap_fail_nth(n, false);
            result = uses[use]();
            long counted = cosy_heap_counted();
            cosy_heap_fail_nth(0, false);
            ck_assert_msg(result == 0 || result == -ENOMEM, "use %d, allocation %ld: %s", use, n, cosy_errname(result));
            ck_assert_int_eq(open_descriptors(), descriptors);
            check_nothing_left(true);
            if (counted >= n && result == 0)
                result = -ENOMEM; /* one that it can do without */
            ck_assert_int_lt(n, 500);
        }
    }
    logged[0] = 0;
    return 0;
}

/* ---- system calls ---- */

cosy_async static int with_fault(int use, long n, int error, long *ret_counted)
{
    int result = uses[use](); /* what is made once is there */
    empty_directory();
    if (result == 0) {
        cosy_sys_fail_nth(n, error);
        result = uses[use]();
        *ret_counted = cosy_sys_counted();
        cosy_sys_fail_nth(0, 0);
    }
    return result;
}

/* Where the loop's own waiting fails, the run ends with that, and what the program's frames had open is lost. */
static void each_call_fails_with(int error, int least)
{
    for (int use = 0; use < USES; use++) {
        int failures = 0;
        for (long n = 1, counted = LONG_MAX; counted >= n - step(); n += step()) {
            int descriptors = open_descriptors();
            counted = LONG_MAX;
            empty_directory();
            int result = cosy_run(with_fault, use, n, error, &counted);
            cosy_sys_fail_nth(0, 0);
            ck_assert_msg(result == 0 || result == -error, "use %d, call %ld: %s", use, n, cosy_errname(result));
            failures += result < 0;
            if (counted == LONG_MAX)
                continue;
            ck_assert_int_eq(open_descriptors(), descriptors);
            check_nothing_left(error == EINTR);
            ck_assert_int_lt(n, 500);
        }
        ck_assert_msg(failures >= least / step(), "use %d: %d failures", use, failures);
    }
    logged[0] = 0;
}

START_TEST(each_system_call_fails)
{
    begin_test();
    make_work_directory();
    each_call_fails_with(EDQUOT, 5);
    remove_work_directory();
}
END_TEST

START_TEST(each_system_call_is_interrupted)
{
    begin_test();
    make_work_directory();
    each_call_fails_with(EINTR, 0);
    remove_work_directory();
}
END_TEST

/* ---- cancels ---- */

/* The use is cancelled at its n-th turn of the loop; it has to end cancelled or well, and leave nothing. */
FILE_TEST(a_cancel_comes_at_any_moment)
{
    for (int use = 0; use < USES; use++) {
        ck_assert_int_eq(uses[use](), 0);
        int descriptors = open_descriptors(), result = -1, cancelled = 0;
        for (int turns = 0; turns < 60; turns += (int)step()) {
            empty_directory();
            cosy_scoped(cosy_task) task = cosy_create_task(uses[use]);
            let_all_run(turns);
            cosy_task_cancel(task);
            result = cosy_await(task);
            ck_assert_msg(result == 0 || result == -ECANCELED, "use %d, turn %d: %s", use, turns, cosy_errname(result));
            cancelled += result == -ECANCELED;
            ck_assert_int_eq(open_descriptors(), descriptors);
            check_nothing_left(true);
        }
        ck_assert_int_gt(cancelled, 0);
    }
    return 0;
}

cosy_async static int read_pipe(cosy_file *file, char *data, int *ret_read)
{
    *ret_read = (int)cosy_file_read(file, data, 4);
    return *ret_read < 0 ? *ret_read : cosy_sleep(COSY_S(100));
}

/* io_uring takes an operation back that waits; a thread cannot be called back, so that the read ends when something
 * comes. Either way nothing is lost. */
FILE_TEST(a_cancelled_read_takes_nothing_or_says_what)
{
    int fds[2], got = 0;
    char data[8] = "";
    cosy_file *file = NULL;
    bool ring = strcmp(cosy_loop_backend_name(loop_now()), "uring") == 0;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_file_adopt(fds[0], "p", &file), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(read_pipe, file, data, &got);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    cosy_task_cancel(task);
    if (ring) {
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_int_eq(got, -ECANCELED);
        ck_assert_int_eq(write(fds[1], "abcd", 4), 4);
        ck_assert_int_eq(cosy_file_read(file, data, 4), 4);
    } else {
        ck_assert_int_eq(write(fds[1], "abcd", 4), 4);
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_int_eq(got, 4);
    }
    ck_assert_str_eq(data, "abcd");
    close(fds[1]);
    return cosy_file_close(file);
}

/* The rights are the test: that what closes a file does so also when its task is cancelled. */
cosy_async static int close_cancelled(cosy_file *file)
{
    cosy_task_cancel(cosy_current_task());
    int result = cosy_file_close(file);
    say("closed %d", result);
    return cosy_yield();
}

FILE_TEST(a_cancelled_close_closes)
{
    cosy_file *file = NULL;
    int before = open_descriptors();
    ck_assert_int_eq(cosy_file_open(at("a"), O_WRONLY | O_CREAT, &file), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(close_cancelled, file);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("closed 0");
    ck_assert_int_eq(open_descriptors(), before);
    return 0;
}

/* ---- a loop that is closed under an operation ---- */

static char late[8];

cosy_async static int read_late(cosy_file *file)
{
    return (int)cosy_file_read(file, late, 4);
}

cosy_async static int adopt_in_task(int fd, cosy_file **ret_file)
{
    return cosy_file_adopt(fd, "p", ret_file);
}

/* Where a thread would read, the task has not begun to: a thread that blocks cannot be called back. */
START_TEST(a_closed_loop_takes_its_operations_back)
{
    begin_test();
    int fds[2], before = open_descriptors();
    cosy_loop *loop = NULL;
    cosy_file *file = NULL;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    bool ring = strcmp(cosy_loop_backend_name(loop), "uring") == 0;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    cosy_task *opener = cosy_create_task_with((.loop = loop), adopt_in_task, fds[0], &file);
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_ptr_nonnull(file);
    cosy_task *reader = cosy_create_task_with((.loop = loop), read_late, file);
    for (int i = 0; ring && i < 3; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    cosy_loop_close(loop);
    ck_assert_int_eq(write(fds[1], "abcd", 4), 4); /* nobody reads it any more */
    ck_assert_int_eq(late[0], 0);
    ck_assert_int_eq(cosy_file_close(file), 0);
    close(fds[1]);
    cosy_task_drop(opener);
    cosy_task_drop(reader);
    cosy_loop_free(loop);
    ck_assert_int_eq(open_descriptors(), before);
    logged[0] = 0; /* of the task that was dropped */
}
END_TEST

TESTS_MAIN("io.file_faults", each_allocation_fails, each_system_call_fails, each_system_call_is_interrupted,
           a_cancel_comes_at_any_moment, a_cancelled_read_takes_nothing_or_says_what, a_cancelled_close_closes,
           a_closed_loop_takes_its_operations_back)
