/* test_directory.c - listings, walks, and removing trees. */
#include "file_test.h"

enum { MANY = 3000 };

static void make_tree(void)
{
    static const char *const directories[] = {"t", "t/a", "t/a/b", "t/c"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        ck_assert_int_eq(mkdir(at(directories[i]), 0755), 0);
    put_file("t/1", "");
    put_file("t/a/2", "");
    put_file("t/a/b/3", "");
    ck_assert_int_eq(symlink("../a", at("t/c/up")), 0);
    ck_assert_int_eq(symlink("..", at("t/a/loop")), 0);
}

static int compare(const void *one, const void *other)
{
    return strcmp(one, other);
}

static char seen[4096][64];
static int seen_count;

/* Sorted: "a/b f2 ..." */
static const char *all_seen(void)
{
    static char text[4096];
    qsort(seen, (size_t)seen_count, sizeof *seen, compare);
    text[0] = '\0';
    for (int i = 0; i < seen_count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, seen[i]);
    }
    seen_count = 0;
    return text;
}

static void see(const struct cosy_dir_entry *entry)
{
    static const char types[] = "?fdlo";
    const char *path = entry->path + strlen(work_directory) + 1;
    ck_assert_int_eq(strncmp(entry->path, work_directory, strlen(work_directory)), 0);
    ck_assert_str_eq(entry->name, strrchr(entry->path, '/') + 1);
    snprintf(seen[seen_count++], sizeof *seen, "%.40s:%c%u%s", path, types[entry->type], entry->depth,
             entry->error ? "!" : "");
}

FILE_TEST(what_is_in_a_directory)
{
    int err = 0;
    make_tree();
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(at("t")))
    see(&entry);
    ck_assert_int_eq(err, 0);
    ck_assert_str_eq(all_seen(), "t/1:f1 t/a:d1 t/c:d1");
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(at("t/a/b/")))
    see(&entry);
    ck_assert_str_eq(all_seen(), "t/a/b/3:f1");
    return err;
}

FILE_TEST(what_is_below_a_directory)
{
    int err = 0;
    make_tree();
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t")))
    see(&entry);
    ck_assert_int_eq(err, 0);
    ck_assert_str_eq(all_seen(), "t/1:f1 t/a/2:f2 t/a/b/3:f3 t/a/b:d2 t/a/loop:l2 t/a:d1 t/c/up:l2 t/c:d1");
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t"), .max_depth = 2, .files_only = true))
    see(&entry);
    ck_assert_str_eq(all_seen(), "t/1:f1 t/a/2:f2 t/a/loop:l2 t/c/up:l2");
    return err;
}

/* t/c/up leads to t/a once more; t/a/loop and t/c/up/loop lead to where the walk comes from. */
FILE_TEST(links_are_followed_as_far_as_they_end)
{
    int err = 0;
    make_tree();
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t"), .follow = true, .files_only = true))
    see(&entry);
    ck_assert_int_eq(err, 0);
    ck_assert_str_eq(all_seen(), "t/1:f1 t/a/2:f2 t/a/b/3:f3 t/a/loop:l2 t/c/up/2:f3 t/c/up/b/3:f4 "
                                 "t/c/up/loop:l3 t/c/up:l2");
    return 0;
}

FILE_TEST(a_directory_comes_before_what_is_in_it)
{
    int err = 0;
    char last[600] = "";
    make_tree();
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t")))
    if (strcmp(entry.name, "b") == 0)
        snprintf(last, sizeof last, "%s", entry.path);
    else if (strcmp(entry.name, "3") == 0)
        ck_assert_int_eq(strncmp(entry.path, last, strlen(last)), 0);
    ck_assert_str_ne(last, "");
    return err;
}

FILE_TEST(many_entries_come_each_once)
{
    int err = 0, count = 0;
    static bool told[MANY];
    memset(told, 0, sizeof told);
    for (int i = 0; i < MANY; i++) {
        char name[64];
        snprintf(name, sizeof name, "a_file_with_a_rather_long_name_%d", i);
        close(open(at(name), O_CREAT | O_WRONLY, 0600));
    }
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(work_directory))
    {
        int number = atoi(strrchr(entry.name, '_') + 1);
        ck_assert(!told[number]);
        told[number] = true;
        count++;
    }
    ck_assert_int_eq(count, MANY);
    return err;
}

FILE_TEST(a_listing_is_left_early)
{
    int err = 0, count = 0;
    make_tree();
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t")))
    if (++count == 4)
        break;
    ck_assert_int_eq(count, 4);
    return err; /* that no descriptor is left is counted for each test */
}

FILE_TEST(errors_name_the_directory)
{
    int err = 0;
    put_file("a", "");
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(at("none")))
    ck_abort_msg("%s", entry.name);
    failed_saying(err, -ENOENT, "reading directory DIR/none: No such file or directory");
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(at("a")))
    ck_abort_msg("%s", entry.name);
    failed_saying(err, -ENOTDIR, "reading directory DIR/a: Not a directory");
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(""))
    ck_abort_msg("%s", entry.name);
    ck_assert_int_eq(err, -ENOENT);
    COSY_FOR(int, entry, err, cosy_scandir("/"))
    (void)entry;
    ck_assert_int_eq(err, -EINVAL);
    return 0;
}

/* Root may read everything: there it is the walk as a whole that is looked at. */
FILE_TEST(what_may_not_be_read_ends_the_walk_or_is_told)
{
    int err = 0;
    make_tree();
    ck_assert_int_eq(chmod(at("t/a/b"), 0), 0);
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t"), .tell_errors = true))
    see(&entry);
    ck_assert_int_eq(err, 0);
    const char *all = all_seen();
    ck_assert_ptr_nonnull(strstr(all, geteuid() ? "t/a/b:d2!" : "t/a/b/3:f3"));
    ck_assert_ptr_nonnull(strstr(all, "t/c/up:l2"));
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_walk(at("t")))
    (void)entry;
    ck_assert_int_eq(err, geteuid() ? -EACCES : 0);
    ck_assert_int_eq(chmod(at("t/a/b"), 0755), 0);
    return 0;
}

/* ---- removing ---- */

FILE_TEST(a_tree_is_removed_and_links_are_not_followed)
{
    make_tree();
    put_file("kept", "text");
    ck_assert_int_eq(mkdir(at("other"), 0755), 0);
    put_file("other/kept", "text");
    ck_assert_int_eq(symlink("../other", at("t/other")), 0);
    ck_assert_int_eq(symlink("../kept", at("t/kept")), 0);
    ck_assert_int_eq(cosy_remove_tree(at("t")), 0);
    ck_assert_int_eq(cosy_exists(at("t")), 0);
    ck_assert_str_eq(content_of("other/kept"), "text");
    ck_assert_str_eq(content_of("kept"), "text");
    ck_assert_int_eq(symlink("other", at("link")), 0);
    ck_assert_int_eq(cosy_remove_tree(at("link")), 0);
    ck_assert_int_eq(cosy_remove_tree(at("kept")), 0);
    ck_assert_str_eq(content_of("other/kept"), "text");
    failed_saying(cosy_remove_tree(at("t")), -ENOENT, "removing DIR/t: No such file or directory");
    return 0;
}

FILE_TEST(a_deep_and_a_wide_tree_are_removed)
{
    char path[512] = "deep";
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(mkdir(at(path), 0755), 0);
        strcat(path, "/x");
    }
    ck_assert_int_eq(mkdir(at("wide"), 0755), 0);
    for (int i = 0; i < 2000; i++) {
        snprintf(path, sizeof path, "wide/a_file_with_a_long_name_%d", i);
        close(open(at(path), O_CREAT | O_WRONLY, 0600));
    }
    ck_assert_int_eq(cosy_remove_tree(at("deep")), 0);
    ck_assert_int_eq(cosy_remove_tree(at("wide")), 0);
    ck_assert_int_eq(entries(work_directory), 2);
    return 0;
}

TESTS_MAIN("io.directory", what_is_in_a_directory, what_is_below_a_directory, links_are_followed_as_far_as_they_end,
           a_directory_comes_before_what_is_in_it, many_entries_come_each_once, a_listing_is_left_early,
           errors_name_the_directory, what_may_not_be_read_ends_the_walk_or_is_told,
           a_tree_is_removed_and_links_are_not_followed, a_deep_and_a_wide_tree_are_removed)
