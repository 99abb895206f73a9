/* Files: several tasks write, read, cut, copy, rename and list files of their own, and take turns with one that is
 * everybody's, cancelled anywhere.
 *
 * Invariants: what a call says that it wrote is there, and nothing else; a cancelled one has done nothing; a lock is
 * one task's; no descriptor and no file is left.
 */
#include "../fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TASKS = 3, TURNS = 6, LONGEST = 3000, PATH_SIZE = 128 };

static char folder[64];
static int holders;

/* A task's own file beside what it must contain. */
struct own {
    int index, name; /* the name changes by renaming */
    cosy_file *file;
    size_t size;
    char content[2 * LONGEST];
};

static const char *path_of(const struct own *own, int name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%d.%d", folder, own->index, name);
    return path;
}

cosy_async static int64_t write_piece(struct own *own)
{
    char piece[LONGEST];
    size_t size = (size_t)(1 + below(LONGEST)), at = (size_t)below(LONGEST);
    memset(piece, 'a' + below(26), size);
    int result = cosy_file_pwrite(own->file, piece, size, (int64_t)at);
    if (result < 0)
        return result;
    if (at > own->size)
        memset(own->content + own->size, 0, at - own->size);
    memcpy(own->content + at, piece, size);
    own->size = at + size > own->size ? at + size : own->size;
    return 0;
}

cosy_async static int64_t read_piece(struct own *own)
{
    char piece[LONGEST];
    size_t size = (size_t)(1 + below(LONGEST)), at = (size_t)below(LONGEST);
    size_t there = at >= own->size ? 0 : own->size - at < size ? own->size - at : size;
    int64_t got = cosy_file_pread(own->file, piece, size, (int64_t)at);
    if (got >= 0)
        cosy_test_expect((size_t)got == there && memcmp(piece, own->content + at, there) == 0);
    return got;
}

cosy_async static int64_t cut(struct own *own)
{
    size_t size = (size_t)below(LONGEST);
    int result = cosy_file_truncate(own->file, (int64_t)size);
    if (result < 0)
        return result;
    if (size > own->size)
        memset(own->content + own->size, 0, size - own->size);
    own->size = size;
    return 0;
}

cosy_async static int64_t rename_it(struct own *own)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    int result = cosy_rename(path_of(own, own->name, from), path_of(own, own->name + 1, to));
    own->name += result == 0;
    return result;
}

/* A copy is whole or it is not there. */
cosy_async static int64_t copy_it(struct own *own)
{
    char from[PATH_SIZE], to[PATH_SIZE], *data = NULL;
    size_t size = 0;
    struct stat status;
    snprintf(to, sizeof to, "%s/copy.%d", folder, own->index);
    int64_t copied = cosy_copy_file(path_of(own, own->name, from), to);
    cosy_test_expect(copied < 0 || (size_t)copied == own->size);
    if (copied < 0)
        cosy_test_expect(stat(to, &status) < 0);
    int result = copied < 0 ? (int)copied : cosy_read_file(to, &data, &size);
    if (result >= 0)
        cosy_test_expect(size == own->size && memcmp(data, own->content, size) == 0);
    free(data);
    unlink(to);
    return result;
}

/* The others' names come and go; one's own is seen once. */
cosy_async static int64_t list_all(const struct own *own)
{
    int err = 0, seen = 0;
    char name[32];
    snprintf(name, sizeof name, "%d.%d", own->index, own->name);
    COSY_FOR(struct cosy_dir_entry, entry, err, cosy_scandir(folder))
    seen += strcmp(entry.name, name) == 0;
    if (err == 0)
        cosy_test_expect(seen == 1);
    return err;
}

cosy_async static int64_t take_turns(void)
{
    char path[PATH_SIZE];
    cosy_file *file;
    snprintf(path, sizeof path, "%s/shared", folder);
    cosy_try(cosy_file_open(path, O_RDWR | O_CREAT, &file));
    int result = cosy_file_lock(file);
    if (result == 0) {
        cosy_test_expect(holders++ == 0);
        result = pause_somehow();
        holders--;
    }
    cosy_file_close(file);
    return result;
}

cosy_async static int use(struct own *own)
{
    for (int i = 0; i < TURNS; i++) {
        int64_t result = 0;
        switch (below(8)) {
        case 0:
        case 1:
            result = write_piece(own);
            break;
        case 2:
        case 3:
            result = read_piece(own);
            break;
        case 4:
            result = below(2) ? cut(own) : rename_it(own);
            break;
        case 5:
            result = copy_it(own);
            break;
        case 6:
            result = list_all(own);
            break;
        default:
            result = take_turns();
        }
        cosy_test_expect(result >= 0 || result == -ECANCELED);
        if (result < 0)
            return (int)result;
    }
    return 0;
}

cosy_async static int own_a_file(int index)
{
    char path[PATH_SIZE];
    static struct own owns[TASKS]; /* too large for a stack */
    struct own *own = &owns[index];
    *own = (struct own){.index = index};
    int result = cosy_file_open(path_of(own, 0, path), O_RDWR | O_CREAT | O_EXCL, &own->file);
    if (result < 0) {
        struct stat status;
        cosy_test_expect(result == -ECANCELED && stat(path, &status) < 0);
        return result;
    }
    result = use(own);
    cosy_test_expect(cosy_file_close(own->file) == 0);
    struct stat status;
    cosy_test_expect(stat(path_of(own, own->name, path), &status) == 0 && (size_t)status.st_size == own->size);
    return result;
}

cosy_async static int live(void)
{
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(own_a_file, i);
    for (int i = 0; i < TASKS; i++) {
        while (!cosy_task_done(tasks[i]))
            (void)cosy_sleep(COSY_MS(1)); /* whatever is cancelled, they come to their end */
        cosy_task_drop(tasks[i]);
    }
    while (cosy_remove_tree(folder) == -ECANCELED)
        ;
    return 0;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void file_rounds(void)
{
    struct stat status;
    bool in_memory = stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0;
    snprintf(folder, sizeof folder, "%s/cosy-fuzz-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    holders = 0;
    cosy_test_expect(mkdtemp(folder) != NULL);
    int before = open_descriptors();
    (void)cosy_test_run(live);
    cosy_test_expect(open_descriptors() == before);
    cosy_test_expect(stat(folder, &status) < 0);
}
WORKLOAD("files", file_rounds)
