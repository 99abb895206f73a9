/* file_temporary.c - files and directories that are gone when they are closed. */
#include <cosy/directory.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file.h"
#include "file_steps.h"
#include "tree.h"

enum { LETTERS = 12, ATTEMPTS = 100 };

/* ---- names ---- */

/* Whoever guesses it gains nothing, since a name that is there is never used; but two processes should not meet. */
static uint64_t chance(void)
{
    static atomic_ullong count;
    uint64_t z = (uint64_t)cosy_sys_real_clock() ^ (uint64_t)getpid() << 40;
    z += (atomic_fetch_add(&count, 1) + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u; /* splitmix64 */
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void cosy_temporary_rename(char *name)
{
    uint64_t random = chance();
    char *letter = name + strlen(name) - LETTERS;
    for (int i = 0; i < LETTERS; i++, random >>= 5)
        letter[i] = "abcdefghijklmnopqrstuvwxyz234567"[random & 31];
}

char *cosy_temporary_name(const char *directory, const char *prefix)
{
    const char *usual = getenv("TMPDIR");
    if (!directory)
        directory = usual && *usual ? usual : "/tmp";
    if (!prefix)
        prefix = "cosy-";
    size_t size = strlen(directory) + strlen(prefix) + LETTERS + 2;
    char *name = cosy_heap_alloc(size);
    if (name) {
        snprintf(name, size, "%s/%s%s", directory, prefix, "............");
        cosy_temporary_rename(name);
    }
    return name;
}

/* ---- files ---- */

/* A file that never has a name. The place of the letters tells of that in messages. */
static int open_nameless(struct cosy_task *me, struct cosy_file *file)
{
    char *slash = strrchr(file->path, '/');
    *slash = '\0';
    struct cosy_file_op op = {.kind = COSY_FILE_OPEN,
                              .dir = AT_FDCWD,
                              .path = file->path,
                              .flags = O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC,
                              .mode = 0600};
    int fd = (int)cosy_file_run(me, &op, false);
    *slash = '/';
    return fd;
}

static int open_named(struct cosy_task *me, struct cosy_file *file)
{
    int fd = -EEXIST;
    for (int i = 0; i < ATTEMPTS && fd == -EEXIST; i++) {
        if (i > 0)
            cosy_temporary_rename(file->path);
        struct cosy_file_op op = {.kind = COSY_FILE_OPEN,
                                  .dir = AT_FDCWD,
                                  .path = file->path,
                                  .flags = O_CREAT | O_RDWR | O_EXCL | O_CLOEXEC,
                                  .mode = 0600};
        fd = (int)cosy_file_run(me, &op, false);
    }
    return fd;
}

/* Some file systems know no nameless ones: its name is taken away at once. */
static int open_temporary(struct cosy_task *me, struct cosy_file *file, bool named)
{
    int fd = named ? -EOPNOTSUPP : open_nameless(me, file);
    if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL)
        return fd;
    fd = open_named(me, file);
    if (fd >= 0 && !named)
        cosy_step_unlink(AT_FDCWD, file->path, 0);
    return fd;
}

cosy_async int cosy_temporary_file_(cosy_file **ret_file, const struct cosy_temporary_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_temporary_file");
    if (!me || !ret_file)
        return me ? -EINVAL : -COSY_ENOTASK;
    *ret_file = NULL;
    char *name = cosy_temporary_name(options->directory, options->prefix);
    struct cosy_file *file = name ? cosy_file_new(me->future.loop, name) : NULL;
    cosy_heap_free(name);
    if (!file)
        return -ENOMEM;
    int fd = open_temporary(me, file, options->named), result = fd < 0 ? fd : cosy_file_set_up(file, fd, O_RDWR);
    if (result == 0) {
        file->removed = options->named;
        *ret_file = file;
        return 0;
    }
    if (fd >= 0) {
        close(fd);
        if (options->named)
            cosy_step_unlink(AT_FDCWD, file->path, 0);
    }
    cosy_file_fail("opening temporary file", file->path, result);
    cosy_file_discard(file);
    return result;
}

/* ---- directories ---- */

struct cosy_tempdir {
    char *path;
    struct cosy_remove_job *end;
};

static int make_directory(struct cosy_task *me, char *name)
{
    int result = -EEXIST;
    for (int i = 0; i < ATTEMPTS && result == -EEXIST; i++) {
        if (i > 0)
            cosy_temporary_rename(name);
        struct cosy_file_op op = {.kind = COSY_FILE_MKDIR, .path = name, .mode = 0700};
        result = (int)cosy_file_run(me, &op, false);
    }
    return result;
}

cosy_async int cosy_temporary_directory_(cosy_tempdir **ret_directory, const struct cosy_tempdir_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_temporary_directory");
    if (!me || !ret_directory)
        return me ? -EINVAL : -COSY_ENOTASK;
    *ret_directory = NULL;
    struct cosy_tempdir *directory = cosy_heap_zalloc(sizeof *directory);
    char *name = directory ? cosy_temporary_name(options->directory, options->prefix) : NULL;
    struct cosy_remove_job *end = name ? cosy_remove_job_new(name) : NULL;
    int result = end ? make_directory(me, name) : -ENOMEM;
    if (result == 0) {
        *directory = (struct cosy_tempdir){name, end};
        *ret_directory = directory;
        return 0;
    }
    if (name)
        cosy_file_fail("making temporary directory", name, result);
    cosy_remove_job_free(end);
    cosy_heap_free(name);
    cosy_heap_free(directory);
    return result;
}

const char *cosy_tempdir_path(const cosy_tempdir *directory)
{
    return directory ? directory->path : "";
}

cosy_async int cosy_tempdir_close(cosy_tempdir *directory)
{
    if (!directory)
        return 0;
    int result = cosy_remove_job_run(directory->end);
    cosy_heap_free(directory->path);
    cosy_heap_free(directory);
    return result == -ENOENT ? 0 : result;
}
