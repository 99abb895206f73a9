/* file_whole.c - whole files to and from memory: one job each, rather than a wait for each of its calls. */
#include "file.h"

#include <stdio.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file_steps.h"

enum { STEP = 1 << 20, AT_MOST = 1 << 30 }; /* STEP: between two looks whether it was cancelled */

/* ---- reading ---- */

struct read_job {
    struct cosy_file_job job;
    size_t most, size, room;
    char *data; /* room bytes, or NULL */
    int fd;
};

/* What a file says of its size is a hint: /proc says 0, and others may write to it. One byte more tells that this is
 * the end. */
static int make_room(struct read_job *it)
{
    struct stat status;
    int result = it->data ? 0 : cosy_sys_stat_fd(it->fd, &status);
    if (result < 0)
        return result;
    if (!it->data && S_ISDIR(status.st_mode))
        return -EISDIR;
    size_t room = it->data ? 2 * it->room : status.st_size > 0 ? (size_t)status.st_size + 2 : 4096;
    if (room > it->most + 2)
        room = it->most + 2;
    char *data = cosy_heap_resize(it->data, room);
    if (!data)
        return -ENOMEM;
    it->data = data;
    it->room = room;
    return 0;
}

/* 1: the end; 0: there may be more. */
static int64_t read_step(struct read_job *it)
{
    int result = it->size + 1 >= it->room ? make_room(it) : 0;
    if (result < 0)
        return result;
    size_t left = it->room - 1 - it->size;
    int64_t got = cosy_step_transfer(COSY_FILE_READ, it->fd, it->data + it->size, left < STEP ? left : STEP, -1);
    if (got <= 0)
        return got < 0 ? got : 1;
    it->size += (size_t)got;
    return it->size > it->most ? -COSY_ELIMIT : 0;
}

static int64_t read_whole(struct cosy_file_job *job)
{
    struct read_job *it = container_of(job, struct read_job, job);
    int64_t result = 0;
    it->fd = cosy_step_open(AT_FDCWD, job->named, O_RDONLY, 0);
    if (it->fd < 0)
        return it->fd;
    while (result == 0)
        result = cosy_job_cancelled() ? -ECANCELED : read_step(it);
    cosy_step_close(it->fd);
    if (result < 0) {
        cosy_heap_free(it->data);
        it->data = NULL;
    }
    return result;
}

cosy_async int cosy_read_file_(const char *path, char **ret_data, size_t *ret_size,
                               const struct cosy_read_file_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_read_file");
    if (ret_data)
        *ret_data = NULL;
    if (!me || !path || !ret_data)
        return me ? -EINVAL : -COSY_ENOTASK;
    struct read_job it = {.job = {.work = read_whole, .doing = "reading", .named = path}};
    it.most = options->most && options->most < AT_MOST ? options->most : AT_MOST;
    int64_t result = cosy_file_job_run(me, &it.job);
    if (result < 0)
        return (int)result;
    it.data[it.size] = '\0';
    *ret_data = cosy_heap_give(it.data);
    if (ret_size)
        *ret_size = it.size;
    return 0;
}

/* ---- writing ---- */

struct write_job {
    struct cosy_file_job job;
    const struct cosy_write_file_options *options;
    const char *data;
    size_t size;
    mode_t mode;
};

static int64_t write_content(const struct write_job *it, int fd)
{
    size_t done = 0;
    int64_t result = 0;
    while (done < it->size && result >= 0) {
        if (cosy_job_cancelled())
            return -ECANCELED;
        size_t left = it->size - done;
        char *from = (char *)(uintptr_t)it->data + done;
        result = cosy_step_transfer(COSY_FILE_WRITE, fd, from, left < STEP ? left : STEP, -1);
        done += result > 0 ? (size_t)result : 0;
    }
    return result < 0 ? result : it->options->sync ? cosy_step_sync(fd) : 0;
}

static int64_t write_to(const struct write_job *it, int fd)
{
    int64_t result = write_content(it, fd);
    int closed = cosy_step_close(fd);
    return result < 0 ? result : closed;
}

static int64_t write_in_place(struct cosy_file_job *job)
{
    struct write_job *it = container_of(job, struct write_job, job);
    int flags = O_WRONLY | O_CREAT | (it->options->append ? O_APPEND : O_TRUNC) | (it->options->exclusive ? O_EXCL : 0);
    int fd = cosy_step_open(AT_FDCWD, job->named, flags, it->mode);
    return fd < 0 ? fd : write_to(it, fd);
}

/* ---- in one step ---- */

/* The directory's part of a path, to be freed. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = cosy_heap_strdup(slash ? path : ".");
    if (directory && slash)
        directory[slash == path ? 1 : slash - path] = '\0';
    return directory;
}

static int open_beside(char *name, mode_t mode)
{
    int fd = -EEXIST;
    for (int i = 0; i < 100 && fd == -EEXIST; i++) {
        cosy_temporary_rename(name);
        fd = cosy_step_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    return fd;
}

static int64_t put_in_place(const struct write_job *it, const char *name)
{
    enum { NOREPLACE = 1 };
    struct cosy_file_op op = {.kind = COSY_FILE_RENAME,
                              .path = name,
                              .other = it->job.named,
                              .flags = it->options->exclusive ? NOREPLACE : 0};
    return cosy_job_cancelled() ? -ECANCELED : cosy_file_op_call(&op);
}

/* The new name is in the directory, which is to be on the disk as well. */
static int64_t sync_directory(const char *directory)
{
    int fd = cosy_step_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    int64_t result = fd < 0 ? fd : cosy_step_sync(fd);
    if (fd >= 0)
        cosy_step_close(fd);
    return result;
}

static int64_t write_beside(const struct write_job *it, char *name)
{
    struct stat old;
    bool replaces = cosy_sys_stat_at(AT_FDCWD, it->job.named, 0, &old) == 0;
    if (replaces && S_ISDIR(old.st_mode))
        return -EISDIR;
    int fd = open_beside(name, it->mode);
    if (fd < 0)
        return fd;
    int64_t result = replaces ? cosy_sys_chmod_fd(fd, old.st_mode & 07777) : 0;
    if (result < 0)
        cosy_step_close(fd);
    else
        result = write_to(it, fd);
    if (result == 0)
        result = put_in_place(it, name);
    if (result < 0)
        cosy_step_unlink(AT_FDCWD, name, 0);
    return result;
}

static int64_t write_atomically(struct cosy_file_job *job)
{
    struct write_job *it = container_of(job, struct write_job, job);
    char *directory = directory_of(job->named);
    char *name = directory ? cosy_temporary_name(directory, ".cosy-") : NULL;
    int64_t result = name ? write_beside(it, name) : -ENOMEM;
    if (result == 0 && it->options->sync)
        result = sync_directory(directory);
    cosy_heap_free(name);
    cosy_heap_free(directory);
    return result;
}

cosy_async int cosy_write_file_(const char *path, const void *data, size_t size,
                                const struct cosy_write_file_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_write_file");
    if (!me || !path || (!data && size) || (options->atomic && options->append))
        return me ? -EINVAL : -COSY_ENOTASK;
    struct write_job it = {
        .options = options, .data = data, .size = size, .mode = options->mode ? options->mode : 0666};
    it.job = (struct cosy_file_job){
        .work = options->atomic ? write_atomically : write_in_place, .doing = "writing", .named = path};
    return (int)cosy_file_job_run(me, &it.job);
}
