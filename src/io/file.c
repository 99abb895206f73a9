/* file.c - open files: their beginning, their end, and what is known of them. */
#include "file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/files.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- life ---- */

struct cosy_file *cosy_file_new(struct cosy_loop *loop, const char *path)
{
    size_t size = strlen(path) + 1;
    struct cosy_file *file = cosy_heap_zalloc(sizeof *file + size);
    if (!file)
        return NULL;
    memcpy(file->path, path, size);
    file->loop = loop;
    file->fd = -1;
    cosy_loop_hold(loop);
    return file;
}

void cosy_file_discard(struct cosy_file *file)
{
    cosy_loop_release(file->loop);
    cosy_heap_free(file);
}

static int64_t position_of(int fd)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SEEK, .fd = fd, .flags = SEEK_CUR};
    return cosy_file_op_call(&op);
}

/* O_DIRECT: the call that does not wait for memory waits for the disk all the same. */
int cosy_file_set_up(struct cosy_file *file, int fd, int flags)
{
    struct stat status;
    int result = cosy_sys_stat_fd(fd, &status);
    if (result < 0)
        return result;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    file->whole = S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
    int64_t at = file->whole ? 0 : position_of(fd);
    file->seekable = at >= 0 && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode);
    file->writable = (flags & O_ACCMODE) != O_RDONLY;
    file->position = file->whole && !(flags & O_APPEND) ? 0 : -1;
    file->never_try[0] = file->never_try[1] = (flags & O_DIRECT) || !file->whole;
    file->fd = fd;
    return 0;
}

cosy_async int cosy_file_open_(const char *path, int flags, cosy_file **ret_file,
                               const struct cosy_file_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_file_open");
    if (ret_file)
        *ret_file = NULL;
    if (!me || !path || !ret_file || (flags & O_ACCMODE) == O_ACCMODE)
        return me ? -EINVAL : -COSY_ENOTASK;
    struct cosy_file *file = cosy_file_new(me->future.loop, path);
    if (!file)
        return -ENOMEM;
    struct cosy_file_op op = {.kind = COSY_FILE_OPEN,
                              .dir = AT_FDCWD,
                              .path = file->path,
                              .flags = flags | O_CLOEXEC | O_LARGEFILE,
                              .mode = options->mode ? options->mode : 0666};
    int fd = (int)cosy_file_run(me, &op, false);
    int result = fd < 0 ? fd : cosy_file_set_up(file, fd, flags);
    if (result == 0) {
        *ret_file = file;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    cosy_file_discard(file);
    return cosy_file_fail("opening", path, result);
}

int cosy_file_adopt(int fd, const char *name, cosy_file **ret_file)
{
    struct cosy_loop *loop = cosy_running_loop();
    int flags = !loop ? -COSY_ENOLOOP : !ret_file ? -EINVAL : cosy_sys_status_flags(fd);
    if (flags < 0)
        return flags;
    char number[32];
    if (!name)
        snprintf(number, sizeof number, "descriptor %d", fd);
    struct cosy_file *file = cosy_file_new(loop, name ? name : number);
    int result = file ? cosy_file_set_up(file, fd, flags) : -ENOMEM;
    if (result == 0) {
        if (file->position >= 0)
            file->position = position_of(fd);
        *ret_file = file;
        return 0;
    }
    if (file)
        cosy_file_discard(file);
    return result;
}

/* ---- calls under way ---- */

/* Why a call may not begin. */
cosy_cold int cosy_file_refuse(const struct cosy_file *file, const char *what)
{
    struct cosy_task *me = cosy_task_or_complain(what);
    return !me ? -COSY_ENOTASK : !file ? -EINVAL : me->future.loop != file->loop ? -COSY_EOTHERLOOP : -EBADF;
}

struct cosy_task *cosy_file_enter_alone(struct cosy_file *file, const char *what, int *ret_error)
{
    struct cosy_task *me = cosy_file_enter(file, what, ret_error);
    if (me && file->busy) {
        *ret_error = cosy_fail(EBUSY, "%s: another task reads or writes %.300s", what, file->path);
        file->users--;
        return NULL;
    }
    if (me)
        file->busy = true;
    return me;
}

void cosy_file_leave_alone(struct cosy_file *file)
{
    file->busy = false;
    cosy_file_leave(file);
}

int64_t cosy_file_told_(struct cosy_file *file, const char *doing, int64_t result)
{
    bool read_only = result == -EBADF && !file->writable && strcmp(doing, "writing") == 0;
    if (result < 0)
        cosy_file_fail_why(doing, file->path, NULL, (int)result, read_only ? "it was opened for reading only" : NULL);
    cosy_file_leave(file);
    return result;
}

/* ---- the end ---- */

/* What was written may have to be sent somewhere first; what was only read costs nothing to close. */
static int64_t close_descriptor(struct cosy_file *file, struct cosy_task *me)
{
    struct cosy_file_op op = {.kind = COSY_FILE_CLOSE, .fd = file->fd, .path = file->path};
    bool waits = me && me->future.loop == file->loop && !file->loop->closed && file->writable;
    if (file->removed) {
        struct cosy_file_op unlink = {.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = file->path};
        if (waits)
            cosy_file_run(me, &unlink, true);
        else
            cosy_file_op_call(&unlink);
    }
    return waits ? cosy_file_run(me, &op, true) : cosy_file_op_call(&op);
}

void cosy_file_leave(struct cosy_file *file)
{
    if (--file->users > 0 || !file->closed)
        return;
    close_descriptor(file, NULL);
    cosy_file_discard(file);
}

cosy_async int cosy_file_close(cosy_file *file)
{
    if (!file)
        return 0;
    if (file->loop->closed)
        file->users = 0; /* of tasks that it took along: they will not leave */
    file->closed = true;
    if (file->users > 0)
        return 0;
    int64_t result = close_descriptor(file, cosy_task_here());
    if (result < 0)
        cosy_file_fail("closing", file->path, (int)result);
    cosy_file_discard(file);
    return (int)result;
}

/* ---- what it is ---- */

int cosy_file_fd(const cosy_file *file)
{
    return file ? file->fd : -EINVAL;
}

const char *cosy_file_path(const cosy_file *file)
{
    return file ? file->path : "";
}

cosy_async static int run_on(cosy_file *file, const char *what, const char *doing, struct cosy_file_op *op)
{
    int error;
    struct cosy_task *me = cosy_file_enter(file, what, &error);
    if (!me)
        return error;
    op->fd = file->fd;
    return (int)cosy_file_told(file, doing, cosy_file_run(me, op, false));
}

cosy_async int cosy_file_truncate(cosy_file *file, int64_t size)
{
    struct cosy_file_op op = {.kind = COSY_FILE_TRUNCATE, .offset = size};
    return run_on(file, "cosy_file_truncate", "truncating", &op);
}

cosy_async int cosy_file_sync(cosy_file *file)
{
    struct cosy_file_op op = {.kind = COSY_FILE_SYNC};
    return run_on(file, "cosy_file_sync", "syncing", &op);
}

cosy_async int cosy_file_datasync(cosy_file *file)
{
    struct cosy_file_op op = {.kind = COSY_FILE_DATASYNC};
    return run_on(file, "cosy_file_datasync", "syncing", &op);
}
