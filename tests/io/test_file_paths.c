/* test_file_paths.c - names, whole files, copies, locks, temporary files, and files as streams. */
#include "file_test.h"

#include <sys/wait.h>

/* ---- names ---- */

FILE_TEST(what_a_file_is)
{
    struct cosy_stat known, link;
    struct stat plain;
    put_file("a", "12345");
    ck_assert_int_eq(cosy_symlink("a", at("link")), 0);
    ck_assert_int_eq(cosy_stat(at("link"), &known), 0);
    ck_assert_int_eq(cosy_lstat(at("link"), &link), 0);
    ck_assert_int_eq(stat(at("a"), &plain), 0);
    ck_assert(S_ISREG(known.mode) && S_ISLNK(link.mode));
    ck_assert_uint_eq(known.size, 5);
    ck_assert_uint_eq(known.inode, plain.st_ino);
    ck_assert_uint_eq(known.device, plain.st_dev);
    ck_assert_uint_eq(known.links, 1);
    ck_assert_uint_eq(known.user, plain.st_uid);
    ck_assert_int_eq(known.modified, plain.st_mtim.tv_sec * 1000000000 + plain.st_mtim.tv_nsec);
    ck_assert_int_eq(cosy_exists(at("a")), 1);
    ck_assert_int_eq(cosy_exists(at("b")), 0);
    ck_assert_int_eq(cosy_exists(at("a/b")), 0);
    ck_assert_int_eq(cosy_unlink(at("a")), 0);
    ck_assert_int_eq(cosy_exists(at("link")), 0);
    return 0;
}

FILE_TEST(names_are_given_and_taken)
{
    char *target = NULL;
    put_file("a", "first");
    put_file("b", "second");
    failed_saying(cosy_rename("no_such", "other"), -ENOENT, "renaming no_such to other: No such file or directory");
    ck_assert_int_eq(cosy_rename(at("a"), at("b"), .exclusive = true), -EEXIST);
    ck_assert_str_eq(content_of("b"), "second");
    ck_assert_int_eq(cosy_rename(at("a"), at("b")), 0);
    ck_assert_str_eq(content_of("b"), "first");
    ck_assert_int_eq(cosy_link(at("b"), at("c")), 0);
    ck_assert_int_eq(cosy_link(at("b"), at("c")), -EEXIST);
    ck_assert_int_eq(cosy_symlink("where/ever", at("link")), 0);
    ck_assert_int_eq(cosy_readlink(at("link"), &target), 0);
    ck_assert_str_eq(target, "where/ever");
    free(target);
    failed_saying(cosy_readlink(at("b"), &target), -EINVAL, "reading the link DIR/b: Invalid argument");
    ck_assert_ptr_null(target);
    ck_assert_int_eq(cosy_chmod(at("b"), 0400), 0);
    ck_assert_int_eq(cosy_unlink(at("b")), 0);
    ck_assert_str_eq(content_of("c"), "first");
    return 0;
}

FILE_TEST(directories_are_made_with_their_parents)
{
    put_file("file", "");
    ck_assert_int_eq(cosy_mkdir(at("d"), .mode = 0700), 0);
    failed_saying(cosy_mkdir(at("d")), -EEXIST, "making directory DIR/d: File exists");
    ck_assert_int_eq(cosy_mkdir(at("x/y/z")), -ENOENT);
    ck_assert_int_eq(cosy_mkdir(at("x/y/z/"), .parents = true), 0);
    ck_assert_int_eq(cosy_mkdir(at("x/y/z"), .parents = true), 0);
    ck_assert_int_eq(cosy_exists(at("x/y/z")), 1);
    ck_assert_int_eq(cosy_mkdir(at("file/y"), .parents = true), -ENOTDIR);
    ck_assert_int_eq(cosy_mkdir(at("file"), .parents = true), -EEXIST);
    failed_saying(cosy_rmdir(at("x")), -ENOTEMPTY, "removing directory DIR/x: Directory not empty");
    return cosy_rmdir(at("d"));
}

/* ---- whole files ---- */

FILE_TEST(whole_files)
{
    char *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(cosy_write_file(at("a"), "hello", 5, .mode = 0600), 0);
    ck_assert_int_eq(cosy_write_file(at("a"), " you", 4, .append = true, .sync = true), 0);
    ck_assert_int_eq(cosy_read_file(at("a"), &data, &size), 0);
    ck_assert_str_eq(data, "hello you");
    ck_assert_uint_eq(size, 9);
    free(data);
    ck_assert_int_eq(cosy_read_file(at("a"), &data, &size, .most = 9), 0);
    free(data);
    ck_assert_int_eq(cosy_read_file(at("a"), &data, &size, .most = 8), -COSY_ELIMIT);
    ck_assert_ptr_null(data);
    ck_assert_int_eq(cosy_write_file(at("a"), "x", 1, .exclusive = true), -EEXIST);
    ck_assert_int_eq(cosy_write_file(at("a"), NULL, 0), 0);
    ck_assert_int_eq(cosy_read_file(at("a"), &data, &size), 0);
    ck_assert_uint_eq(size, 0);
    free(data);
    failed_saying(cosy_read_file(work_directory, &data, &size), -EISDIR, "reading DIR: Is a directory");
    ck_assert_int_eq(cosy_read_file("/proc/self/status", &data, &size), 0); /* whose size is 0 */
    ck_assert_uint_eq(strlen(data), size);
    ck_assert_ptr_nonnull(strstr(data, "VmSize"));
    free(data);
    return 0;
}

FILE_TEST(a_file_is_replaced_in_one_step)
{
    struct stat status;
    put_file("a", "old");
    ck_assert_int_eq(chmod(at("a"), 0640), 0);
    ck_assert_int_eq(cosy_write_file(at("a"), "new", 3, .atomic = true, .sync = true), 0);
    ck_assert_str_eq(content_of("a"), "new");
    ck_assert_int_eq(stat(at("a"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
    ck_assert_int_eq(cosy_write_file(at("b"), "new", 3, .atomic = true), 0);
    ck_assert_int_eq(cosy_write_file(at("b"), "xxx", 3, .atomic = true, .exclusive = true), -EEXIST);
    failed_saying(cosy_write_file(work_directory, "x", 1, .atomic = true), -EISDIR, "writing DIR: Is a directory");
    ck_assert_int_eq(cosy_write_file(at("none/x"), "x", 1, .atomic = true), -ENOENT);
    ck_assert_int_eq(entries(work_directory), 4);
    return 0;
}

/* ---- copies ---- */

FILE_TEST(a_copy_has_content_and_rights)
{
    struct stat status;
    put_file("a", "hello");
    put_file("b", "something longer");
    ck_assert_int_eq(chmod(at("a"), 0751), 0);
    ck_assert_int_eq(cosy_copy_file(at("a"), at("c")), 5);
    ck_assert_str_eq(content_of("c"), "hello");
    ck_assert_int_eq(stat(at("c"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0751);
    ck_assert_int_eq(cosy_copy_file(at("a"), at("b"), .exclusive = true), -EEXIST);
    ck_assert_int_eq(cosy_copy_file(at("a"), at("b")), 5);
    ck_assert_str_eq(content_of("b"), "hello");
    ck_assert_int_eq(link(at("a"), at("same")), 0);
    failed_saying(cosy_copy_file(at("a"), at("a")), -EINVAL,
                  strcat(strcat(strcpy(trace, "copying DIR/a to "), at("a")), ": both are the same file"));
    trace[0] = 0;
    ck_assert_int_eq(cosy_copy_file(at("a"), at("same")), -EINVAL);
    ck_assert_str_eq(content_of("a"), "hello");
    ck_assert_int_eq(cosy_copy_file(work_directory, at("d")), -EISDIR);
    ck_assert_int_eq(cosy_copy_file(at("a"), work_directory), -EISDIR);
    ck_assert_int_eq(cosy_copy_file(at("none"), at("d")), -ENOENT);
    ck_assert_int_gt(cosy_copy_file("/proc/self/status", at("d")), 100); /* another file system, and no size */
    return 0;
}

FILE_TEST(holes_stay_holes)
{
    enum { SIZE = 8 << 20 };
    struct cosy_stat original, copy;
    char data[4] = "";
    cosy_scoped(cosy_file) file = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &file), 0);
    ck_assert_int_eq(cosy_file_pwrite(file, "one", 3, 1 << 20), 0);
    ck_assert_int_eq(cosy_file_pwrite(file, "two", 3, 5 << 20), 0);
    ck_assert_int_eq(cosy_file_truncate(file, SIZE), 0);
    ck_assert_int_eq(cosy_copy_file(at("a"), at("b")), SIZE);
    ck_assert_int_eq(cosy_stat(at("a"), &original), 0);
    ck_assert_int_eq(cosy_stat(at("b"), &copy), 0);
    ck_assert_uint_eq(copy.size, SIZE);
    ck_assert_uint_le(copy.allocated, original.allocated + 65536);
    cosy_scoped(cosy_file) again = NULL;
    ck_assert_int_eq(cosy_file_open(at("b"), O_RDONLY, &again), 0);
    ck_assert_int_eq(cosy_file_pread(again, data, 3, 5 << 20), 3);
    ck_assert_str_eq(data, "two");
    ck_assert_int_eq(cosy_file_pread(again, data, 3, 1 << 20), 3);
    ck_assert_str_eq(data, "one");
    return 0;
}

/* ---- locks ---- */

cosy_async static int lock_and_say(cosy_file *file, const char *name)
{
    cosy_try(cosy_file_lock(file));
    say("%s", name);
    return cosy_file_unlock(file);
}

FILE_TEST(locks_exclude_each_other)
{
    cosy_scoped(cosy_file) one = NULL;
    cosy_scoped(cosy_file) other = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR | O_CREAT, &one), 0);
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR, &other), 0);
    ck_assert_int_eq(cosy_file_lock(one, .shared = true), 0);
    ck_assert_int_eq(cosy_file_lock(other, .shared = true, .try_only = true), 0);
    ck_assert_int_eq(cosy_file_lock(one, .try_only = true), -EAGAIN);
    ck_assert_int_eq(cosy_file_unlock(other), 0);
    ck_assert_int_eq(cosy_file_lock(one, .try_only = true), 0);
    cosy_scoped(cosy_task) waiter = cosy_create_task(lock_and_say, other, "other");
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    say("one");
    ck_assert_int_eq(cosy_file_unlock(one), 0);
    ck_assert_int_eq(cosy_await(waiter), 0);
    said("one other");
    ck_assert_int_eq(cosy_file_lock(one), 0);
    ck_assert_int_eq(cosy_wait_for(cosy_call(lock_and_say, other, "never"), COSY_MS(2)), -ETIMEDOUT);
    return 0;
}

FILE_TEST(a_lock_needs_the_right_to_write)
{
    cosy_scoped(cosy_file) file = NULL;
    put_file("a", "");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDONLY, &file), 0);
    failed_saying(cosy_file_lock(file), -EBADF, "locking DIR/a: Bad file descriptor");
    return cosy_file_lock(file, .shared = true);
}

/* ---- temporary ones ---- */

FILE_TEST(temporary_files_are_gone_when_closed)
{
    char data[8] = "", path[256];
    struct stat status;
    cosy_file *file = NULL;
    ck_assert_int_eq(cosy_temporary_file(&file, .directory = work_directory), 0);
    ck_assert_int_eq(entries(work_directory), 2);
    ck_assert_int_eq(cosy_file_write(file, "abc", 3), 0);
    ck_assert_int_eq(cosy_file_pread(file, data, 8, 0), 3);
    ck_assert_int_eq(cosy_file_close(file), 0);
    ck_assert_int_eq(cosy_temporary_file(&file, .directory = work_directory, .prefix = "x-", .named = true), 0);
    snprintf(path, sizeof path, "%s", cosy_file_path(file));
    ck_assert_int_eq(strncmp(path, at("x-"), strlen(at("x-"))), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(cosy_file_close(file), 0);
    ck_assert_int_eq(entries(work_directory), 2);
    ck_assert_int_eq(cosy_temporary_file(&file, .directory = at("none")), -ENOENT);
    ck_assert_int_eq(cosy_temporary_file(&file, .directory = at("none"), .named = true), -ENOENT);
    return 0;
}

FILE_TEST(temporary_directories_are_gone_with_all_in_them)
{
    char path[300];
    cosy_tempdir *directory = NULL;
    ck_assert_int_eq(cosy_temporary_directory(&directory, .directory = work_directory), 0);
    snprintf(path, sizeof path, "%s/a/b", cosy_tempdir_path(directory));
    ck_assert_int_eq(cosy_mkdir(path, .parents = true), 0);
    snprintf(path, sizeof path, "%s/a/file", cosy_tempdir_path(directory));
    ck_assert_int_eq(cosy_write_file(path, "x", 1), 0);
    ck_assert_int_eq(cosy_tempdir_close(directory), 0);
    ck_assert_int_eq(entries(work_directory), 2);
    ck_assert_int_eq(cosy_tempdir_close(NULL), 0);
    ck_assert_int_eq(cosy_temporary_directory(&directory, .directory = at("none")), -ENOENT);
    return 0;
}

/* ---- streams ---- */

FILE_TEST(a_file_is_read_line_by_line)
{
    int64_t length;
    cosy_scoped(cosy_stream) stream = NULL;
    put_file("a", "one\ntwo\nthree");
    ck_assert_int_eq(cosy_file_open_stream(at("a"), &stream), 0);
    COSY_LINES (stream, line, length)
        say("%s", line);
    ck_assert_int_eq(length, 0);
    said("one\n two\n three");
    failed_saying(cosy_file_open_stream(at("none"), &stream), -ENOENT, "opening DIR/none: No such file or directory");
    ck_assert_int_eq(cosy_file_open_stream(at("a"), NULL), -EINVAL);
    return 0;
}

FILE_TEST(a_stream_has_a_position_of_its_own)
{
    char data[16] = "";
    cosy_scoped(cosy_file) file = NULL;
    cosy_scoped(cosy_stream) stream = NULL;
    put_file("a", "0123456789");
    ck_assert_int_eq(cosy_file_open(at("a"), O_RDWR, &file), 0);
    ck_assert_int_eq(cosy_file_seek(file, 4, SEEK_SET), 4);
    ck_assert_int_eq(cosy_file_stream(file, &stream), 0);
    ck_assert_int_eq(cosy_readexactly(stream, data, 3), 3);
    ck_assert_str_eq(data, "456");
    ck_assert_int_eq(cosy_file_tell(file), 4);
    return 0;
}

FILE_TEST(a_stream_writes_a_file)
{
    cosy_scoped(cosy_file) file = NULL;
    cosy_stream *stream = NULL;
    ck_assert_int_eq(cosy_file_open(at("a"), O_WRONLY | O_CREAT | O_APPEND, &file), 0);
    ck_assert_int_eq(cosy_file_stream(file, &stream), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_gt(cosy_printf(stream, "line %d\n", i), 0);
    ck_assert_int_eq(cosy_stream_close(stream), 0);
    ck_assert_str_eq(content_of("a"), "line 0\nline 1\nline 2\n");
    return 0;
}

TESTS_MAIN("io.file_paths", what_a_file_is, names_are_given_and_taken, directories_are_made_with_their_parents,
           whole_files, a_file_is_replaced_in_one_step, a_copy_has_content_and_rights, holes_stay_holes,
           locks_exclude_each_other, a_lock_needs_the_right_to_write, temporary_files_are_gone_when_closed,
           temporary_directories_are_gone_with_all_in_them, a_file_is_read_line_by_line,
           a_stream_has_a_position_of_its_own, a_stream_writes_a_file)
