/* test_file_watch.c - changes to files, as they are told. */
#include "file_test.h"

/* What comes is in the kernel already: "created a modified a ...", without the test's directory. */
static void take(cosy_file_watch *watch, int count)
{
    struct cosy_file_event event;
    size_t skip = strlen(work_directory) + 1;
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(cosy_file_watch_next(watch, &event), 0);
        ck_assert_int_eq(strncmp(event.path, work_directory, skip - 1), 0);
        ck_assert(strcmp(event.name, strrchr(event.path, '/') + 1) == 0);
        const char *path = event.path[skip - 1] ? event.path + skip : ".";
        if (event.old_path)
            say("%s %s%s<-%s", cosy_file_change_name(event.change), path, event.directory ? "/" : "",
                event.old_path + skip);
        else
            say("%s %s%s", cosy_file_change_name(event.change), path, event.directory ? "/" : "");
    }
}

cosy_async static int next(cosy_file_watch *watch)
{
    struct cosy_file_event event;
    int result = cosy_file_watch_next(watch, &event);
    return result < 0 ? result : (int)event.change;
}

/* Nothing is told that was not taken. */
static void nothing_more(cosy_file_watch *watch)
{
    ck_assert_int_eq(cosy_wait_for(cosy_call(next, watch), COSY_MS(1)), -ETIMEDOUT);
}

FILE_TEST(changes_in_a_directory_are_told)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch), 0);
    put_file("a", "text");
    ck_assert_int_eq(rename(at("a"), at("b")), 0);
    ck_assert_int_eq(mkdir(at("d"), 0755), 0);
    ck_assert_int_eq(unlink(at("b")), 0);
    put_file("d/not_watched", "text");
    take(watch, 5);
    said("created a modified a moved b<-a created d/ deleted b");
    nothing_more(watch);
    return 0;
}

FILE_TEST(only_what_is_wanted_is_told)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(cosy_file_watch_open(at("/"), &watch, .changes = COSY_FILE_CLOSED | COSY_FILE_ATTRIBUTES), 0);
    put_file("a", "text");
    ck_assert_int_eq(chmod(at("a"), 0600), 0);
    ck_assert_int_eq(unlink(at("a")), 0);
    take(watch, 2);
    said("closed a attributes a");
    nothing_more(watch);
    return 0;
}

FILE_TEST(a_waiting_task_is_woken)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch), 0);
    cosy_scoped(cosy_task) waiter = cosy_create_task(next, watch);
    let_all_run(3);
    ck_assert_int_eq(next(watch), -EBUSY);
    put_file("a", "");
    ck_assert_int_eq(cosy_await(waiter), COSY_FILE_CREATED);
    return 0;
}

FILE_TEST(a_cancelled_wait_loses_nothing)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch), 0);
    nothing_more(watch);
    put_file("a", "x");
    ck_assert_int_eq(unlink(at("a")), 0);
    take(watch, 3);
    said("created a modified a deleted a");
    return 0;
}

FILE_TEST(moves_in_and_out_are_coming_and_going)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(mkdir(at("d"), 0755), 0);
    put_file("out", "");
    put_file("d/in", "");
    ck_assert_int_eq(cosy_file_watch_open(at("d"), &watch), 0);
    ck_assert_int_eq(rename(at("out"), at("d/new")), 0);
    ck_assert_int_eq(rename(at("d/in"), at("gone")), 0);
    take(watch, 2);
    said("created d/new deleted d/in");
    return 0;
}

FILE_TEST(a_tree_is_watched_with_what_comes_into_it)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(mkdir(at("d"), 0755), 0);
    ck_assert_int_eq(mkdir(at("d/e"), 0755), 0);
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch, .recursive = true), 0);
    put_file("d/e/a", "");
    ck_assert_int_eq(mkdir(at("n"), 0755), 0);
    ck_assert_int_eq(mkdir(at("n/m"), 0755), 0);
    put_file("n/m/early", "");
    take(watch, 4); /* the last two were there when the directory was looked at */
    said("created d/e/a created n/ created n/m/ created n/m/early");
    put_file("n/m/late", "");
    take(watch, 1);
    said("created n/m/late");
    ck_assert_int_eq(rename(at("n"), at("d/x")), 0);
    put_file("d/x/m/moved", "");
    take(watch, 2);
    said("moved d/x/<-n created d/x/m/moved");
    return 0;
}

FILE_TEST(a_file_is_watched_itself)
{
    cosy_scoped(cosy_file_watch) watch = NULL;
    put_file("a", "");
    ck_assert_int_eq(cosy_file_watch_open(at("a"), &watch), 0);
    put_file("a", "text");
    ck_assert_int_eq(unlink(at("a")), 0);
    take(watch, 2);
    said("modified a deleted a");
    struct cosy_file_event event;
    ck_assert_int_eq(cosy_file_watch_next(watch, &event), -COSY_ESTOPITER);
    return 0;
}

FILE_TEST(an_iteration_ends_with_what_is_watched)
{
    int err = 0, count = 0;
    cosy_scoped(cosy_file_watch) watch = NULL;
    ck_assert_int_eq(mkdir(at("d"), 0755), 0);
    ck_assert_int_eq(cosy_file_watch_open(at("d"), &watch), 0);
    put_file("d/a", "");
    put_file("d/b", "");
    COSY_FOR(struct cosy_file_event, event, err, cosy_file_watch_events(watch))
    {
        say("%s", event.name);
        break;
    }
    unlink(at("d/a"));
    unlink(at("d/b"));
    ck_assert_int_eq(rmdir(at("d")), 0);
    COSY_FOR(struct cosy_file_event, event, err, cosy_file_watch_events(watch))
    count++;
    said("a");
    ck_assert_int_eq(count, 4);
    return err;
}

/* The kernel's queue is as long as it says; what is lost is said. */
FILE_TEST(an_overflow_is_told)
{
    int limit = 0, last = 0, count = 0, fds[2];
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    cosy_scoped(cosy_file_watch) watch = NULL;
    if (!file || fscanf(file, "%d", &limit) != 1 || limit > 20000)
        limit = 0;
    if (file)
        fclose(file);
    for (int i = 0; i < 2; i++)
        fds[i] = open(at(i ? "a" : "b"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch), 0);
    for (int i = 0; limit && i < limit + 2; i++)
        ck_assert_int_eq(pwrite(fds[i % 2], "x", 1, 0), 1); /* equal neighbours would become one */
    while (limit && last != COSY_FILE_OVERFLOW) {
        last = next(watch);
        ck_assert_int_gt(last, 0);
        count++;
    }
    ck_assert(!limit || count == limit + 1);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

FILE_TEST(closing_wakes_who_waits)
{
    cosy_file_watch *watch = NULL;
    ck_assert_int_eq(cosy_file_watch_open(work_directory, &watch), 0);
    cosy_scoped(cosy_task) waiter = cosy_create_task(next, watch);
    let_all_run(3);
    cosy_file_watch_close(watch);
    ck_assert_int_eq(cosy_await(waiter), -COSY_ECLOSED);
    cosy_file_watch_close(NULL);
    return 0;
}

FILE_TEST(what_cannot_be_watched_is_told)
{
    int err = 0;
    cosy_file_watch *watch = NULL;
    failed_saying(cosy_file_watch_open(at("none"), &watch), -ENOENT, "watching DIR/none: No such file or directory");
    ck_assert_ptr_null(watch);
    ck_assert_int_eq(cosy_file_watch_open("", &watch), -EINVAL);
    ck_assert_int_eq(cosy_file_watch_open(work_directory, NULL), -EINVAL);
    COSY_FOR(struct cosy_file_event, event, err, cosy_file_watch_events(NULL))
    (void)event;
    ck_assert_int_eq(err, -EINVAL);
    ck_assert_str_eq(cosy_file_change_name((enum cosy_file_change)3), "?");
    return 0;
}

TESTS_MAIN("io.file_watch", changes_in_a_directory_are_told, only_what_is_wanted_is_told, a_waiting_task_is_woken,
           a_cancelled_wait_loses_nothing, moves_in_and_out_are_coming_and_going,
           a_tree_is_watched_with_what_comes_into_it, a_file_is_watched_itself, an_iteration_ends_with_what_is_watched,
           an_overflow_is_told, closing_wakes_who_waits, what_cannot_be_watched_is_told)
