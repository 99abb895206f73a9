/* file_copy.c - copies of files: by the kernel, or else through memory. */
#include "file.h"

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file_steps.h"

enum { STEP = 16 << 20, BUFFER = 256 << 10 };

struct copy_job {
    struct cosy_file_job job;
    const struct cosy_copy_options *options;
    int from, to;
    bool made;    /* the copy's name was not there before */
    bool by_hand; /* the kernel does not copy between these two */
    char *buffer; /* BUFFER bytes once that is known */
    int64_t size; /* of what is copied, as it was at the beginning */
};

/* Nothing was copied by the call that said so. */
static bool is_refused(int64_t result)
{
    return result == -EXDEV || result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP || result == -EPERM ||
           result == -EBADF;
}

/* How many bytes of the next `size` from `at` on; 0: there are none any more. */
static int64_t copy_by_hand(struct copy_job *it, int64_t at, int64_t size)
{
    if (!it->buffer && !(it->buffer = cosy_heap_alloc(BUFFER)))
        return -ENOMEM;
    size_t part = size < BUFFER ? (size_t)size : BUFFER;
    int64_t got = cosy_step_transfer(COSY_FILE_READ, it->from, it->buffer, part, at), put = 0;
    for (int64_t done = 0; got > 0 && done < got; done += put) {
        put = cosy_step_transfer(COSY_FILE_WRITE, it->to, it->buffer + done, (size_t)(got - done), at + done);
        if (put <= 0)
            return put < 0 ? put : -EIO;
    }
    return got;
}

static int64_t copy_step(struct copy_job *it, int64_t at, int64_t size)
{
    int64_t from_at = at, to_at = at, done = -EXDEV;
    if (cosy_job_cancelled())
        return -ECANCELED;
    if (!it->by_hand)
        done = cosy_sys_copy_range(it->from, &from_at, it->to, &to_at, size < STEP ? (size_t)size : STEP);
    if (done >= 0 || !is_refused(done))
        return done;
    it->by_hand = true;
    return copy_by_hand(it, at, size);
}

/* Returns where it ended. */
static int64_t copy_range(struct copy_job *it, int64_t at, int64_t end)
{
    while (at < end) {
        int64_t done = copy_step(it, at, end - at);
        if (done <= 0)
            return done < 0 ? done : at;
        at += done;
    }
    return at;
}

/* Piece by piece of what is no hole. A file system that does not know gives one piece. */
static int64_t copy_pieces(struct copy_job *it)
{
    int64_t at = 0;
    while (at < it->size) {
        int64_t data = cosy_step_seek(it->from, at, SEEK_DATA);
        if (data == -ENXIO) /* nothing but a hole any more */
            break;
        int64_t hole = data >= 0 ? cosy_step_seek(it->from, data, SEEK_HOLE) : it->size;
        if (data < 0)
            data = at;
        if (hole < 0 || hole > it->size)
            hole = it->size;
        int64_t result = copy_range(it, data, hole);
        if (result < 0)
            return result;
        if (result < hole)
            return cosy_step_truncate(it->to, result) < 0 ? -EIO : result;
        at = hole;
    }
    int result = cosy_step_truncate(it->to, it->size);
    return result < 0 ? result : it->size;
}

/* A file that grows meanwhile is copied up to its end; so is one whose size says nothing (/proc), of which
 * copy_file_range(2) says nothing either. */
static int64_t copy_to_end(struct copy_job *it)
{
    int64_t at = copy_range(it, 0, it->size), done = 1;
    while (at >= it->size && done > 0) {
        done = it->size > 0           ? copy_step(it, at, STEP)
               : cosy_job_cancelled() ? -ECANCELED
                                      : copy_by_hand(it, at, BUFFER);
        at = done < 0 ? done : at + done;
    }
    return at;
}

static int open_copy(struct copy_job *it, const struct stat *original)
{
    mode_t mode = original->st_mode & 0777;
    struct stat there;
    it->to = cosy_step_open(AT_FDCWD, it->job.other, O_WRONLY | O_CREAT | O_EXCL, mode);
    it->made = it->to >= 0;
    if (it->to != -EEXIST || it->options->exclusive)
        return it->to;
    it->to = cosy_step_open(AT_FDCWD, it->job.other, O_WRONLY | O_CREAT, mode);
    int result = it->to < 0 ? it->to : cosy_sys_stat_fd(it->to, &there);
    if (result < 0)
        return result;
    if (there.st_dev == original->st_dev && there.st_ino == original->st_ino) {
        it->job.why = "both are the same file";
        return -EINVAL;
    }
    return S_ISREG(there.st_mode) ? cosy_step_truncate(it->to, 0) : 0;
}

static int64_t copy_opened(struct copy_job *it)
{
    struct stat original;
    int result = cosy_sys_stat_fd(it->from, &original);
    if (result == 0 && S_ISDIR(original.st_mode))
        result = -EISDIR;
    if (result == 0)
        result = open_copy(it, &original);
    if (result < 0)
        return result;
    it->size = original.st_size;
    bool has_holes = original.st_blocks * 512 < original.st_size;
    int64_t size = has_holes ? copy_pieces(it) : copy_to_end(it);
    result = size >= 0 ? cosy_sys_chmod_fd(it->to, original.st_mode & 07777) : 0;
    return result < 0 ? result : size;
}

static int64_t copy(struct cosy_file_job *job)
{
    struct copy_job *it = container_of(job, struct copy_job, job);
    it->to = -1;
    it->from = cosy_step_open(AT_FDCWD, job->named, O_RDONLY, 0);
    if (it->from < 0)
        return it->from;
    int64_t result = copy_opened(it);
    int closed = it->to >= 0 ? cosy_step_close(it->to) : 0;
    if (result >= 0 && closed < 0)
        result = closed;
    if (result < 0 && it->made)
        cosy_step_unlink(AT_FDCWD, job->other, 0);
    cosy_step_close(it->from);
    cosy_heap_free(it->buffer);
    return result;
}

cosy_async int64_t cosy_copy_file_(const char *from, const char *to, const struct cosy_copy_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_copy_file");
    if (!me || !from || !to)
        return me ? -EINVAL : -COSY_ENOTASK;
    struct copy_job it = {.options = options};
    it.job = (struct cosy_file_job){.work = copy, .doing = "copying", .named = from, .other = to};
    return cosy_file_job_run(me, &it.job);
}
