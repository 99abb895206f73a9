/* tree.c - removing a directory and all that is in it.
 *
 * Each level is opened from the one above it, and never through a symbolic link: whoever changes the tree meanwhile
 * cannot lead it elsewhere.
 */
#include "tree.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file_steps.h"

enum { ROOM = 16384, LITTLE = 512 };

struct cosy_remove_job {
    struct cosy_file_job job;
    bool surely;           /* cancels do not count */
    int64_t first;         /* the first error */
    char at[PATH_MAX];     /* of what is being removed; cut where it is longer, since it is for messages only */
    char failed[PATH_MAX]; /* what `first` is about */
};

static void note(struct cosy_remove_job *it, int64_t error)
{
    if (it->first || error == -ENOENT) /* somebody else was quicker */
        return;
    it->first = error;
    memcpy(it->failed, it->at, sizeof it->failed);
}

static bool is_stopped(const struct cosy_remove_job *it)
{
    return !it->surely && cosy_job_cancelled();
}

static int64_t remove_in(struct cosy_remove_job *it, int parent, const char *name);

/* 0: it is gone. */
static int64_t remove_entry(struct cosy_remove_job *it, int dir, const struct cosy_dirent *entry)
{
    int64_t result = entry->type == DT_DIR ? -EISDIR : cosy_step_unlink(dir, entry->name, 0);
    if (result != -EISDIR && result != -EPERM)
        return result;
    int64_t removed = remove_in(it, dir, entry->name);
    return removed == -ENOTDIR ? entry->type == DT_DIR ? cosy_step_unlink(dir, entry->name, 0) : result : removed;
}

/* One pass over what there is. How many are gone, or -ECANCELED. */
static int64_t remove_entries(struct cosy_remove_job *it, int dir, char *buffer, size_t room)
{
    size_t length = strlen(it->at);
    int64_t gone = 0;
    int got;
    while ((got = cosy_sys_list(dir, buffer, room)) > 0)
        for (int at = 0; at < got;) {
            const struct cosy_dirent *entry = (const void *)(buffer + at);
            at += entry->size;
            if (cosy_dirent_is_dot(entry))
                continue;
            if (is_stopped(it))
                return -ECANCELED;
            strncat(it->at, "/", sizeof it->at - strlen(it->at) - 1);
            strncat(it->at, entry->name, sizeof it->at - strlen(it->at) - 1);
            int64_t result = remove_entry(it, dir, entry);
            if (result == -ECANCELED)
                return result;
            if (result < 0)
                note(it, result);
            gone += result == 0;
            it->at[length] = '\0';
        }
    if (got < 0)
        note(it, got);
    return gone;
}

/* Where entries went meanwhile, some may have been passed over: another look, as long as each finds some. */
static int64_t remove_opened(struct cosy_remove_job *it, int dir, int parent, const char *name)
{
    _Alignas(8) char little[LITTLE]; /* without memory */
    char *buffer = cosy_heap_alloc(ROOM);
    int64_t result = 0, gone = 1;
    while (result == 0 && gone > 0) {
        gone = remove_entries(it, dir, buffer ? buffer : little, buffer ? ROOM : LITTLE);
        result = gone < 0 ? gone : cosy_step_unlink(parent, name, AT_REMOVEDIR);
        if (result != -ENOTEMPTY || gone == 0)
            break;
        result = cosy_step_seek(dir, 0, SEEK_SET);
    }
    cosy_heap_free(buffer);
    return result;
}

static int64_t remove_in(struct cosy_remove_job *it, int parent, const char *name)
{
    int dir = cosy_step_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir < 0)
        return dir == -ELOOP ? -ENOTDIR : dir;
    int64_t result = remove_opened(it, dir, parent, name);
    cosy_step_close(dir);
    return result;
}

/* A directory that is not empty only because of what could not be removed is not the news. */
static int64_t remove_all(struct cosy_file_job *job)
{
    struct cosy_remove_job *it = container_of(job, struct cosy_remove_job, job);
    int64_t result = remove_in(it, AT_FDCWD, job->named);
    if (result == -ENOTDIR)
        result = cosy_step_unlink(AT_FDCWD, job->named, 0);
    if (it->first && result != -ECANCELED) {
        job->named = it->failed;
        return it->first;
    }
    return result;
}

static struct cosy_remove_job *job_new(const char *path, bool surely)
{
    struct cosy_remove_job *it = cosy_heap_zalloc(sizeof *it);
    if (!it)
        return NULL;
    it->job = (struct cosy_file_job){.work = remove_all, .doing = "removing", .named = path};
    it->surely = surely;
    strncpy(it->at, path, sizeof it->at - 1);
    return it;
}

struct cosy_remove_job *cosy_remove_job_new(const char *path)
{
    return job_new(path, true);
}

void cosy_remove_job_free(struct cosy_remove_job *it)
{
    cosy_heap_free(it);
}

cosy_async int cosy_remove_tree(const char *path)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_remove_tree");
    if (!me || !path)
        return me ? -EINVAL : -COSY_ENOTASK;
    struct cosy_remove_job *it = job_new(path, false);
    int64_t result = it ? cosy_file_job_run(me, &it->job) : -ENOMEM;
    cosy_heap_free(it);
    return (int)result;
}

static void remove_here(void *arg)
{
    struct cosy_remove_job *it = arg;
    it->job.result = remove_all(&it->job);
}

cosy_async int cosy_remove_job_run(struct cosy_remove_job *it)
{
    struct cosy_task *me = cosy_task_here();
    int64_t result = me ? cosy_file_job_run(me, &it->job) : 0;
    if (!it->job.begun) {
        if (result == -ECANCELED)
            cosy_task_keep_cancel(me);
        cosy_on_big_stack(remove_here, it);
        result = it->job.result;
        if (result < 0)
            cosy_file_fail(it->job.doing, it->job.named, (int)result);
    }
    cosy_heap_free(it);
    return (int)result;
}
