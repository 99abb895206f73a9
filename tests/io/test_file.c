/* test_file.c - open files: reading, writing, positions, and what is said of failures. */
#include "file_test.h"

#include <limits.h>
#include <sys/resource.h>

#include "io/file.h"

/* ---- opening ---- */

FILE_TEST(what_is_written_is_read)
{
    char data[16] = "";
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT | O_EXCL, &file, .mode = 0640), 0);
    ck_assert_str_eq(cosy_file_path(file), at("a"));
    ck_assert_int_eq(fcntl(cosy_file_fd(file), F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(cosy_file_write(file, "hello world", 11), 0);
    ck_assert_int_eq(cosy_file_tell(file), 11);
    ck_assert_int_eq(cosy_file_read(file, data, sizeof data), 0);
    ck_assert_int_eq(cosy_file_seek(file, 6, SEEK_SET), 6);
    ck_assert_int_eq(cosy_file_read(file, data, 3), 3);
    ck_assert_str_eq(data, "wor");
    ck_assert_int_eq(cosy_file_read(file, data, sizeof data), 2);
    ck_assert_int_eq(cosy_file_sync(file), 0);
    ck_assert_int_eq(cosy_file_datasync(file), 0);
    struct stat status;
    ck_assert_int_eq(stat(at("a"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
    cosy_file *taken = file;
    file = NULL;
    return cosy_file_close(taken);
}

FILE_TEST(offsets_leave_the_position_alone)
{
    char data[16] = "";
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &file), 0);
    ck_assert_int_eq(cosy_file_pwrite(file, "abcdef", 6, 4), 0);
    ck_assert_int_eq(cosy_file_tell(file), 0);
    ck_assert_int_eq(cosy_file_pread(file, data, 16, 6), 4);
    ck_assert_str_eq(data, "cdef");
    ck_assert_int_eq(cosy_file_pread(file, data, 16, 100), 0);
    ck_assert_int_eq(cosy_file_pread(file, data, 1, -5), -EINVAL);
    ck_assert_int_eq(cosy_file_pwrite(file, data, 1, -1), -EINVAL);
    ck_assert_int_eq(cosy_file_tell(file), 0);
    return 0;
}

FILE_TEST(several_pieces_are_one_operation)
{
    char one[4] = "", other[8] = "";
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &file), 0);
    struct iovec out[] = {{.iov_base = (void *)(uintptr_t) "abc", .iov_len = 3},
                          {.iov_base = (void *)(uintptr_t) "defgh", .iov_len = 5}};
    struct iovec in[] = {{.iov_base = one, .iov_len = 3}, {.iov_base = other, .iov_len = 7}};
    ck_assert_int_eq(cosy_file_pwritev(file, out, 2, -1), 8);
    ck_assert_int_eq(cosy_file_tell(file), 8);
    ck_assert_int_eq(cosy_file_preadv(file, in, 2, 0), 8);
    ck_assert_str_eq(one, "abc");
    ck_assert_str_eq(other, "defgh");
    ck_assert_int_eq(cosy_file_preadv(file, in, 2, -2), -EINVAL);
    ck_assert_int_eq(cosy_file_preadv(file, in, IOV_MAX + 1, 0), -EINVAL);
    ck_assert_int_eq(cosy_file_preadv(file, in, 2, -1), 0);
    return 0;
}

FILE_TEST(the_position_is_moved_from_all_three_ends)
{
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "0123456789");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDONLY, &file), 0);
    ck_assert_int_eq(cosy_file_seek(file, -3, SEEK_END), 7);
    ck_assert_int_eq(cosy_file_seek(file, -2, SEEK_CUR), 5);
    failed_saying(cosy_file_seek(file, -6, SEEK_CUR), -EINVAL, "seeking in DIR/a: Invalid argument");
    ck_assert_int_eq(cosy_file_seek(file, -11, SEEK_END), -EINVAL);
    ck_assert_int_eq(cosy_file_seek(file, 0, 77), -EINVAL);
    ck_assert_int_eq(cosy_file_seek(file, INT64_MAX, SEEK_CUR), -EINVAL);
    ck_assert_int_eq(cosy_file_tell(file), 5);
    ck_assert_int_eq(cosy_file_seek(file, 0, SEEK_HOLE), 10);
    ck_assert_int_eq(cosy_file_seek(file, 0, SEEK_CUR), 10);
    return 0;
}

FILE_TEST(appending_is_at_the_end_whatever_the_position)
{
    char data[8] = "";
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "123");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_APPEND, &file), 0);
    ck_assert_int_eq(cosy_file_read(file, data, 2), 2);
    ck_assert_int_eq(cosy_file_tell(file), 2);
    ck_assert_int_eq(cosy_file_write(file, "456", 3), 0);
    ck_assert_int_eq(cosy_file_tell(file), 6);
    ck_assert_int_eq(cosy_file_seek(file, 1, SEEK_SET), 1);
    ck_assert_int_eq(cosy_file_read(file, data, 8), 5);
    ck_assert_str_eq(content_of("a"), "123456");
    return 0;
}

FILE_TEST(a_file_is_cut_and_grows)
{
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "0123456789");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR, &file), 0);
    ck_assert_int_eq(cosy_file_truncate(file, 4), 0);
    ck_assert_str_eq(content_of("a"), "0123");
    ck_assert_int_eq(cosy_file_truncate(file, 1 << 20), 0);
    struct cosy_stat known;
    ck_assert_int_eq(cosy_file_stat(file, &known), 0);
    ck_assert_uint_eq(known.size, 1 << 20);
    ck_assert_uint_lt(known.allocated, 1 << 20);
    failed_saying(cosy_file_truncate(file, -1), -EINVAL, "truncating DIR/a: Invalid argument");
    return 0;
}

/* Larger than what is tried in place, and than what a turn may move. */
FILE_TEST(much_is_read_and_written_whole)
{
    enum { SIZE = 3 << 20 };
    char *data = malloc(SIZE), *back = malloc(SIZE);
    cosy_scoped(cosy_file) file = NULL;
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)(i % 251);
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &file), 0);
    ck_assert_int_eq(cosy_file_write(file, data, SIZE), 0);
    ck_assert_int_eq(cosy_file_pread(file, back, SIZE, 0), SIZE);
    ck_assert_int_eq(memcmp(data, back, SIZE), 0);
    free(data);
    free(back);
    return 0;
}

cosy_async static int count_turns(int *count)
{
    for (;; ++*count)
        cosy_try(cosy_yield());
}

FILE_TEST(a_file_in_memory_does_not_keep_the_loop_for_itself)
{
    int others = 0;
    char data[65536];
    cosy_scoped(cosy_file) file = NULL;
    cosy_scoped(cosy_task) other = cosy_create_task(count_turns, &others);
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &file), 0);
    memset(data, 'x', sizeof data);
    ck_assert_int_eq(cosy_file_pwrite(file, data, sizeof data, 0), 0);
    int before = others;
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(cosy_file_pread(file, data, sizeof data, 0), sizeof data);
    ck_assert_int_ge(others, before + 4);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    return 0;
}

enum { CROWD = 8, READS = 16, PART = 1000 };

struct crowd {
    cosy_file *file;
    const char *expected;
    int last, changes; /* who read last, and how often it was another than before */
};

cosy_async static int read_in_crowd(struct crowd *crowd, int me)
{
    char data[PART];
    for (int i = 0; i < READS; i++) {
        int64_t offset = (i * CROWD + me) * PART;
        ck_assert_int_eq(cosy_file_pread(crowd->file, data, sizeof data, offset), PART);
        ck_assert_int_eq(memcmp(data, crowd->expected + offset, PART), 0);
        crowd->changes += crowd->last != me;
        crowd->last = me;
    }
    return 0;
}

/* This program's own file: that is on a disk, and in the page cache. */
FILE_TEST(small_reads_of_many_tasks_go_to_the_kernel_together)
{
    struct crowd crowd = {.last = -1};
    char *expected = malloc(CROWD * READS * PART);
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open("/proc/self/exe", O_RDONLY, &file), 0);
    ck_assert_int_eq(pread(cosy_file_fd(file), expected, CROWD * READS * PART, 0), CROWD * READS * PART);
    crowd.file = file;
    crowd.expected = expected;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < CROWD; i++)
        cosy_task_group_create_task(group, read_in_crowd, &crowd, i);
    ck_assert_int_eq(cosy_task_group_wait(group), 0);
    free(expected);
    /* Alone, each would have done all of its reads before the next one began. */
    if (file->loop->sys->ops->submit && !file->in_memory)
        ck_assert_int_gt(crowd.changes, CROWD * READS / 2);
    return 0;
}

enum { MANY = 600, LITTLE = 100 }; /* more than a queue of the kernel has places */

cosy_async static int read_one_of_many(cosy_file *file, const char *expected, int me)
{
    char data[LITTLE];
    ck_assert_int_eq(cosy_file_pread(file, data, sizeof data, me * LITTLE), LITTLE);
    ck_assert_int_eq(memcmp(data, expected + me * LITTLE, LITTLE), 0);
    return 0;
}

FILE_TEST(more_reads_at_once_than_the_kernels_queue_has_places_are_all_done)
{
    static char expected[MANY * LITTLE];
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open("/proc/self/exe", O_RDONLY, &file), 0);
    ck_assert_int_eq(cosy_file_pread(file, expected, sizeof expected, 0), sizeof expected);
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < MANY; i++)
        cosy_task_group_create_task(group, read_one_of_many, file, expected, i);
    return cosy_task_group_wait(group);
}

/* ---- failures, in words ---- */

FILE_TEST(failures_name_the_path_and_what_was_done)
{
    cosy_file *file = (cosy_file *)(uintptr_t)8;
    struct cosy_stat known;
    char long_name[400];
    failed_saying(cosy_file_open(at("none"), O_RDONLY, &file), -ENOENT, "opening DIR/none: No such file or directory");
    ck_assert_ptr_null(file);
    failed_saying(cosy_file_open(work_directory, O_RDONLY, &file), -EISDIR, "opening DIR: Is a directory");
    failed_saying(cosy_file_open(work_directory, O_WRONLY, &file), -EISDIR, "opening DIR: Is a directory");
    put_file("a", "text");
    failed_saying(cosy_file_open(at("a/b"), O_RDONLY, &file), -ENOTDIR, "opening DIR/a/b: Not a directory");
    failed_saying(cosy_file_open(at("a"), O_RDWR | O_CREAT | O_EXCL, &file), -EEXIST, "opening DIR/a: File exists");
    ck_assert_int_eq(symlink("loop", at("loop")), 0);
    failed_saying(cosy_file_open(at("loop"), O_RDONLY, &file), -ELOOP,
                  "opening DIR/loop: Too many levels of symbolic links");
    memset(long_name, 'x', 300);
    long_name[300] = '\0';
    ck_assert_int_eq(cosy_file_open(at(long_name), O_RDONLY, &file), -ENAMETOOLONG);
    ck_assert_int_eq(cosy_stat(at(long_name), &known), -ENAMETOOLONG);
    failed_saying(cosy_stat(at("none"), &known), -ENOENT, "asking about DIR/none: No such file or directory");
    failed_saying(cosy_unlink(at("none")), -ENOENT, "removing DIR/none: No such file or directory");
    failed_saying(cosy_unlink(work_directory), -EISDIR, "removing DIR: Is a directory");
    failed_saying(cosy_rmdir(at("a")), -ENOTDIR, "removing directory DIR/a: Not a directory");
    failed_saying(cosy_chmod(at("none"), 0600), -ENOENT, "changing the rights of DIR/none: No such file or directory");
    return 0;
}

FILE_TEST(nonsense_is_refused)
{
    cosy_file *file;
    char *text;
    struct cosy_stat known;
    ck_assert_int_eq(cosy_file_open(NULL, O_RDONLY, &file), -EINVAL);
    ck_assert_int_eq(cosy_file_open("x", O_RDONLY, NULL), -EINVAL);
    ck_assert_int_eq(cosy_file_open("x", O_ACCMODE, &file), -EINVAL);
    ck_assert_int_eq(cosy_file_read(NULL, &known, 1), -EINVAL);
    ck_assert_int_eq(cosy_file_close(NULL), 0);
    ck_assert_int_eq(cosy_stat(NULL, &known), -EINVAL);
    ck_assert_int_eq(cosy_stat("x", NULL), -EINVAL);
    ck_assert_int_eq(cosy_rename("x", NULL), -EINVAL);
    ck_assert_int_eq(cosy_rename(NULL, "x"), -EINVAL);
    ck_assert_int_eq(cosy_read_file(NULL, &text, NULL), -EINVAL);
    ck_assert_int_eq(cosy_write_file("x", "", 0, .atomic = true, .append = true), -EINVAL);
    ck_assert_int_eq(cosy_file_adopt(-1, NULL, &file), -EBADF);
    ck_assert_int_eq(cosy_file_unlock(NULL), -EINVAL);
    return 0;
}

FILE_TEST(rights_are_asked_for)
{
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "text");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDONLY, &file), 0);
    failed_saying(cosy_file_write(file, "x", 1), -EBADF, "writing DIR/a: it was opened for reading only");
    ck_assert_int_eq(cosy_chmod(at("a"), 0444), 0);
    ck_assert_int_eq(cosy_access(at("a"), R_OK), 0);
    failed_saying(cosy_access(at("a"), X_OK), -EACCES, "asking for access to DIR/a: Permission denied");
    if (geteuid() != 0) {
        cosy_file *other;
        failed_saying(cosy_file_open(at("a"), O_WRONLY, &other), -EACCES, "opening DIR/a: Permission denied");
    }
    return 0;
}

FILE_TEST(a_full_disk_is_told)
{
    char data[4096] = "";
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open("/dev/full", O_WRONLY, &file), 0);
    ck_assert_int_eq(cosy_file_write(file, data, sizeof data), -ENOSPC);
    ck_assert_str_eq(cosy_error_message(-ENOSPC), "writing /dev/full: No space left on device");
    ck_assert_int_eq(cosy_write_file("/dev/full", data, sizeof data), -ENOSPC);
    put_file("a", "text");
    ck_assert_int_eq(cosy_copy_file(at("a"), "/dev/full"), -ENOSPC);
    return 0;
}

/* What fitted is written, and the position tells how much. */
FILE_TEST(a_limit_of_size_is_told)
{
    char data[8192] = "";
    struct rlimit before, limit;
    cosy_scoped(cosy_file) file = NULL;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(cosy_file_open(at("a"), O_WRONLY | O_CREAT, &file), 0);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 6000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int result = cosy_file_write(file, data, sizeof data),
        whole = cosy_write_file(at("b"), data, sizeof data, .atomic = true);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    ck_assert_int_eq(result, -EFBIG);
    ck_assert_int_eq(cosy_file_tell(file), 6000);
    ck_assert_int_eq(whole, -EFBIG);
    ck_assert_str_eq(content_of("b"), "(none)");
    ck_assert_int_eq(entries(work_directory), 3); /* no half of it is left */
    return 0;
}

/* ---- other things than files ---- */

FILE_TEST(a_pipe_has_no_offsets)
{
    int fds[2];
    char data[8] = "";
    cosy_scoped(cosy_file) reader = NULL;
    cosy_scoped(cosy_file) writer = NULL;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_file_adopt(fds[0], "the pipe", &reader), 0);
    ck_assert_int_eq(cosy_file_adopt(fds[1], NULL, &writer), 0);
    ck_assert_int_eq(strncmp(cosy_file_path(writer), "descriptor ", 11), 0);
    ck_assert_int_eq(cosy_file_write(writer, "abc", 3), 0);
    ck_assert_int_eq(cosy_file_read(reader, data, 8), 3);
    ck_assert_int_eq(cosy_file_pread(reader, data, 8, 0), -ESPIPE);
    ck_assert_str_eq(cosy_error_message(-ESPIPE), "reading the pipe: Illegal seek");
    ck_assert_int_eq(cosy_file_seek(reader, 0, SEEK_SET), -ESPIPE);
    ck_assert_int_eq(cosy_file_tell(reader), -ESPIPE);
    return 0;
}

FILE_TEST(a_device_gives_what_is_there)
{
    char data[64];
    cosy_scoped(cosy_file) zero = NULL;
    cosy_scoped(cosy_file) null = NULL;
    ck_assert_int_eq(cosy_file_open("/dev/zero", O_RDONLY, &zero), 0);
    memset(data, 1, sizeof data);
    ck_assert_int_eq(cosy_file_read(zero, data, sizeof data), sizeof data);
    ck_assert_int_eq(data[63], 0);
    ck_assert_int_eq(cosy_file_open("/dev/null", O_RDWR, &null), 0);
    ck_assert_int_eq(cosy_file_write(null, data, sizeof data), 0);
    ck_assert_int_eq(cosy_file_read(null, data, sizeof data), 0);
    return 0;
}

FILE_TEST(an_adopted_file_begins_where_it_stands)
{
    char data[8] = "";
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "abcdef");
    int fd = open(at("a"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(lseek(fd, 2, SEEK_SET), 2);
    ck_assert_int_eq(cosy_file_adopt(fd, NULL, &file), 0);
    ck_assert_int_eq(cosy_file_read(file, data, 3), 3);
    ck_assert_str_eq(data, "cde");
    return 0;
}

/* ---- several tasks ---- */

cosy_async static int read_one(cosy_file *file, char *to)
{
    return (int)cosy_file_read(file, to, 1);
}

FILE_TEST(one_task_at_a_time_at_the_position)
{
    int fds[2];
    char one = 0, other = 0;
    cosy_file *reader = NULL;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_file_adopt(fds[0], "p", &reader), 0);
    cosy_scoped(cosy_task) first = cosy_create_task(read_one, reader, &one);
    let_all_run(2);
    ck_assert_int_eq(cosy_file_read(reader, &other, 1), -EBUSY);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(cosy_await(first), 1);
    ck_assert_int_eq(one, 'x');
    close(fds[1]);
    return cosy_file_close(reader);
}

FILE_TEST(closing_under_a_call_waits_for_it)
{
    int fds[2];
    char one = 0;
    cosy_file *reader = NULL;
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(cosy_file_adopt(fds[0], "p", &reader), 0);
    cosy_scoped(cosy_task) first = cosy_create_task(read_one, reader, &one);
    let_all_run(2);
    ck_assert_int_eq(cosy_file_close(reader), 0);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(cosy_await(first), 1);

    close(fds[1]);
    return 0;
}

TESTS_MAIN("io.file", what_is_written_is_read, offsets_leave_the_position_alone, several_pieces_are_one_operation,
           the_position_is_moved_from_all_three_ends, appending_is_at_the_end_whatever_the_position,
           a_file_is_cut_and_grows, much_is_read_and_written_whole, a_file_in_memory_does_not_keep_the_loop_for_itself,
           small_reads_of_many_tasks_go_to_the_kernel_together,
           more_reads_at_once_than_the_kernels_queue_has_places_are_all_done, failures_name_the_path_and_what_was_done,
           nonsense_is_refused, rights_are_asked_for, a_full_disk_is_told, a_limit_of_size_is_told,
           a_pipe_has_no_offsets, a_device_gives_what_is_there, an_adopted_file_begins_where_it_stands,
           one_task_at_a_time_at_the_position, closing_under_a_call_waits_for_it)
