/* file_path.c - what can be asked of a path, and done to it. */
#include <cosy/directory.h>

#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file.h"

/* One operation on a path: 0 or more, or the error with its words. */
static int64_t run(const char *what, const char *doing, struct cosy_file_op *op)
{
    struct cosy_task *me = cosy_task_or_complain(what);
    if (!me)
        return -COSY_ENOTASK;
    if (!op->path)
        return -EINVAL;
    int64_t result = cosy_file_run(me, op, false);
    return result < 0 ? cosy_file_fail_two(doing, op->path, op->other, (int)result) : result;
}

/* ---- stat ---- */

static int64_t nanoseconds(const struct statx_timestamp *time)
{
    return time->tv_sec * 1000000000 + (int64_t)time->tv_nsec;
}

static void fill(struct cosy_stat *stat, const struct statx *from)
{
    *stat = (struct cosy_stat){.device = makedev(from->stx_dev_major, from->stx_dev_minor),
                               .inode = from->stx_ino,
                               .size = from->stx_size,
                               .allocated = from->stx_blocks * 512,
                               .mode = from->stx_mode,
                               .links = from->stx_nlink,
                               .user = from->stx_uid,
                               .group = from->stx_gid,
                               .accessed = nanoseconds(&from->stx_atime),
                               .modified = nanoseconds(&from->stx_mtime),
                               .changed = nanoseconds(&from->stx_ctime),
                               .created = from->stx_mask & STATX_BTIME ? nanoseconds(&from->stx_btime) : 0};
}

static int stat_path(const char *what, const char *path, int flags, struct cosy_stat *ret_stat)
{
    struct statx status;
    struct cosy_file_op op = {
        .kind = COSY_FILE_STAT, .dir = AT_FDCWD, .path = ret_stat ? path : NULL, .flags = flags, .status = &status};
    int64_t result = run(what, "asking about", &op);
    if (result >= 0)
        fill(ret_stat, &status);
    return (int)result;
}

cosy_async int cosy_stat(const char *path, struct cosy_stat *ret_stat)
{
    return stat_path("cosy_stat", path, 0, ret_stat);
}

cosy_async int cosy_lstat(const char *path, struct cosy_stat *ret_stat)
{
    return stat_path("cosy_lstat", path, AT_SYMLINK_NOFOLLOW, ret_stat);
}

cosy_async int cosy_file_stat(cosy_file *file, struct cosy_stat *ret_stat)
{
    int error;
    struct statx status;
    struct cosy_task *me = cosy_file_enter(file, "cosy_file_stat", &error);
    if (!me)
        return error;
    struct cosy_file_op op = {
        .kind = COSY_FILE_STAT, .dir = file->fd, .path = "", .flags = AT_EMPTY_PATH, .status = &status};
    int64_t result = ret_stat ? cosy_file_run(me, &op, false) : -EINVAL;
    if (result >= 0)
        fill(ret_stat, &status);
    return (int)cosy_file_told(file, "asking about", result);
}

cosy_async int cosy_exists(const char *path)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_exists");
    struct statx status;
    struct cosy_file_op op = {.kind = COSY_FILE_STAT, .dir = AT_FDCWD, .path = path, .status = &status};
    if (!me || !path)
        return me ? -EINVAL : -COSY_ENOTASK;
    int64_t result = cosy_file_run(me, &op, false);
    if (result == -ENOENT || result == -ENOTDIR)
        return 0;
    return result < 0 ? cosy_file_fail("asking about", path, (int)result) : 1;
}

cosy_async int cosy_access(const char *path, int mode)
{
    struct cosy_file_op op = {.kind = COSY_FILE_ACCESS, .path = path, .mode = (mode_t)mode};
    return (int)run("cosy_access", "asking for access to", &op);
}

/* ---- names ---- */

cosy_async int cosy_rename_(const char *from, const char *to, const struct cosy_rename_options *options)
{
    enum { NOREPLACE = 1 }; /* RENAME_NOREPLACE of linux/fs.h */
    struct cosy_file_op op = {
        .kind = COSY_FILE_RENAME, .path = to ? from : NULL, .other = to, .flags = options->exclusive ? NOREPLACE : 0};
    return (int)run("cosy_rename", "renaming", &op);
}

cosy_async int cosy_unlink(const char *path)
{
    struct cosy_file_op op = {.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = path};
    return (int)run("cosy_unlink", "removing", &op);
}

cosy_async int cosy_rmdir(const char *path)
{
    struct cosy_file_op op = {.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = path, .flags = AT_REMOVEDIR};
    return (int)run("cosy_rmdir", "removing directory", &op);
}

cosy_async int cosy_symlink(const char *target, const char *path)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SYMLINK, .path = target ? path : NULL, .other = target};
    return (int)run("cosy_symlink", "linking", &op);
}

cosy_async int cosy_link(const char *path, const char *new_path)
{
    struct cosy_file_op op = {.kind = COSY_FILE_LINK, .path = new_path ? path : NULL, .other = new_path};
    return (int)run("cosy_link", "linking", &op);
}

cosy_async int cosy_chmod(const char *path, mode_t mode)
{
    struct cosy_file_op op = {.kind = COSY_FILE_CHMOD, .path = path, .mode = mode};
    return (int)run("cosy_chmod", "changing the rights of", &op);
}

/* What a link says is at most a path long. */
cosy_async int cosy_readlink(const char *path, char **ret_target)
{
    if (!ret_target)
        return -EINVAL;
    *ret_target = NULL;
    char *target = cosy_heap_alloc(PATH_MAX);
    if (!target)
        return -ENOMEM;
    struct iovec part = {.iov_base = target, .iov_len = PATH_MAX - 1};
    struct cosy_file_op op = {.kind = COSY_FILE_READLINK, .path = path, .parts = &part, .count = 1};
    int64_t length = run("cosy_readlink", "reading the link", &op);
    if (length < 0) {
        cosy_heap_free(target);
        return (int)length;
    }
    target[length] = '\0';
    *ret_target = cosy_heap_give(target);
    return 0;
}

/* ---- directories ---- */

struct parents_job {
    struct cosy_file_job job;
    mode_t mode;
    char path[];
};

static int64_t make_directory(const char *path, mode_t mode)
{
    struct cosy_file_op op = {.kind = COSY_FILE_MKDIR, .path = path, .mode = mode};
    return cosy_file_op_call(&op);
}

static bool is_directory(const char *path)
{
    struct statx status;
    struct cosy_file_op op = {.kind = COSY_FILE_STAT, .dir = AT_FDCWD, .path = path, .status = &status};
    return cosy_file_op_call(&op) == 0 && S_ISDIR(status.stx_mode);
}

/* From the deepest one that is there, downwards. Others may do the same at the same time. */
static int64_t make_parents(struct cosy_file_job *base)
{
    struct parents_job *job = container_of(base, struct parents_job, job);
    int64_t result = 0;
    for (char *slash = job->path + 1; *slash && result == 0; slash++) {
        if (*slash != '/')
            continue;
        if (cosy_job_cancelled())
            return -ECANCELED;
        *slash = '\0';
        result = make_directory(job->path, 0777);
        if (result == -EEXIST || (result < 0 && is_directory(job->path)))
            result = 0;
        *slash = '/';
    }
    if (result == 0)
        result = make_directory(job->path, job->mode);
    return result == -EEXIST && is_directory(job->path) ? 0 : result;
}

static int make_with_parents(struct cosy_task *me, const char *path, mode_t mode)
{
    size_t size = strlen(path) + 1;
    struct parents_job *job = cosy_heap_zalloc(sizeof *job + size);
    if (!job)
        return -ENOMEM;
    memcpy(job->path, path, size);
    for (char *end = job->path + size - 2; end > job->path && *end == '/'; end--)
        *end = '\0';
    job->mode = mode;
    job->job = (struct cosy_file_job){.work = make_parents, .doing = "making directory", .named = path};
    int result = (int)cosy_file_job_run(me, &job->job);
    cosy_heap_free(job);
    return result;
}

cosy_async int cosy_mkdir_(const char *path, const struct cosy_mkdir_options *options)
{
    mode_t mode = options->mode ? options->mode : 0777;
    struct cosy_task *me = options->parents && path && *path ? cosy_task_or_complain("cosy_mkdir") : NULL;
    if (me)
        return make_with_parents(me, path, mode);
    struct cosy_file_op op = {.kind = COSY_FILE_MKDIR, .path = path, .mode = mode};
    return (int)run("cosy_mkdir", "making directory", &op);
}
