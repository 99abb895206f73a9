/* directory.c - what is in directories, one entry after the other: cosy_scandir and cosy_walk.
 *
 * Invariants
 *  - `level` is the innermost directory that is open, and knows the one around it. Its entries are buffer[at..end).
 *  - `path` is the path of what was emitted last; its first `level->length` bytes are the innermost directory's, with
 * the slash.
 *  - A thread has the lister for itself while the consumer waits for it.
 */
#include "tree.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "file_steps.h"

enum { ROOM = 32768, NAME_ROOM = 256 + 2 };

struct level {
    struct level *outer;
    int fd;
    int at, end;
    unsigned depth;
    size_t length;
    dev_t device;
    ino_t inode;
    bool ended;
    _Alignas(8) char buffer[ROOM];
};

struct lister {
    cosy_aiter iter;
    struct cosy_file_job job;
    struct cosy_walk_options options;
    struct level *level;
    bool begun;
    bool enter;  /* the entry emitted last is a directory that comes next */
    bool behind; /* ... behind a symbolic link */
    size_t room; /* of `path` */
    char *path;
};

/* ---- in the thread ---- */

/* Some file systems do not say what an entry is; and of one that has gone meanwhile nobody can. */
static void find_types_out(struct level *level)
{
    for (int at = level->at; at < level->end;) {
        struct cosy_dirent *entry = (void *)(level->buffer + at);
        struct stat status;
        at += entry->size;
        if (entry->type == DT_UNKNOWN && cosy_sys_stat_at(level->fd, entry->name, AT_SYMLINK_NOFOLLOW, &status) == 0)
            entry->type = IFTODT(status.st_mode);
    }
}

static int64_t fill(struct level *level)
{
    int got = cosy_sys_list(level->fd, level->buffer, ROOM);
    if (got < 0)
        return got;
    level->at = 0;
    level->end = got;
    level->ended = got == 0;
    find_types_out(level);
    return 0;
}

/* A link that leads to where the walk comes from would never end. */
static bool is_within_itself(const struct lister *it, const struct stat *status)
{
    for (const struct level *level = it->level; level; level = level->outer)
        if (level->device == status->st_dev && level->inode == status->st_ino)
            return true;
    return false;
}

/* 0, and it->level is the new one; 1: there is nothing to enter. */
static int64_t open_level(struct lister *it)
{
    struct level *outer = it->level;
    const char *name = outer ? it->path + outer->length : it->path;
    struct stat status;
    int flags = O_RDONLY | O_DIRECTORY | (outer && !it->options.follow ? O_NOFOLLOW : 0);
    int fd = cosy_step_open(outer ? outer->fd : AT_FDCWD, name, flags, 0);
    if (fd < 0)
        return outer && (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP) ? 1 : fd;
    struct level *level = cosy_heap_alloc(sizeof *level);
    int64_t result = level ? cosy_sys_stat_fd(fd, &status) : -ENOMEM;
    if (result == 0 && it->behind && is_within_itself(it, &status))
        result = 1;
    if (result != 0) {
        cosy_step_close(fd);
        cosy_heap_free(level);
        return result;
    }
    *level = (struct level){.outer = outer, .fd = fd, .device = status.st_dev, .inode = status.st_ino};
    level->depth = outer ? outer->depth + 1 : 1;
    level->length = strlen(it->path);
    it->level = level;
    return fill(level);
}

static int64_t open_next(struct cosy_file_job *job)
{
    return open_level(container_of(job, struct lister, job));
}

static int64_t fill_more(struct cosy_file_job *job)
{
    return fill(container_of(job, struct lister, job)->level);
}

/* ---- in the loop ---- */

static void leave_level(struct lister *it)
{
    struct level *level = it->level;
    it->level = level->outer;
    cosy_step_close(level->fd);
    cosy_heap_free(level);
}

static int run_job(struct lister *it, int64_t (*work)(struct cosy_file_job *job))
{
    struct cosy_task *me = cosy_task_or_complain("cosy_walk");
    if (!me)
        return -COSY_ENOTASK;
    it->job = (struct cosy_file_job){.work = work, .doing = "reading directory", .named = it->path};
    return (int)cosy_file_job_run(me, &it->job);
}

/* The path of the innermost directory gets its slash; there is room for each name behind it. */
static int make_room(struct lister *it)
{
    struct level *level = it->level;
    size_t room = level->length + NAME_ROOM;
    if (room > it->room) {
        char *path = cosy_heap_resize(it->path, 2 * room);
        if (!path)
            return -ENOMEM;
        it->path = path;
        it->room = 2 * room;
    }
    if (level->length > 0 && it->path[level->length - 1] != '/')
        it->path[level->length++] = '/';
    it->path[level->length] = '\0';
    return 0;
}

static enum cosy_file_type type_of(const struct cosy_dirent *entry)
{
    switch (entry->type) {
    case DT_REG:
        return COSY_TYPE_FILE;
    case DT_DIR:
        return COSY_TYPE_DIRECTORY;
    case DT_LNK:
        return COSY_TYPE_SYMLINK;
    case DT_UNKNOWN:
        return COSY_TYPE_UNKNOWN;
    default:
        return COSY_TYPE_OTHER;
    }
}

static void tell(const struct lister *it, struct cosy_dir_entry *ret, const struct cosy_dirent *entry)
{
    const struct level *level = it->level;
    *ret = (struct cosy_dir_entry){.name = it->path + level->length,
                                   .path = it->path,
                                   .inode = entry->inode,
                                   .type = type_of(entry),
                                   .depth = level->depth};
}

/* The directory that could not be entered, or read any further. */
static int tell_error(struct lister *it, struct cosy_dir_entry *ret, int error)
{
    if (!it->options.tell_errors || error == -ECANCELED || error == -ENOMEM || !it->level)
        return error;
    const char *slash = strrchr(it->path, '/');
    *ret = (struct cosy_dir_entry){.name = slash ? slash + 1 : it->path,
                                   .path = it->path,
                                   .type = COSY_TYPE_DIRECTORY,
                                   .depth = it->level->depth,
                                   .error = error};
    return 0;
}

/* Enters what was emitted last. 0; 1: *ret tells why not. */
static int enter(struct lister *it, struct cosy_dir_entry *ret)
{
    struct level *before = it->level;
    int result = run_job(it, open_next);
    if (result == -ECANCELED || result == -ENOMEM)
        return result; /* the next step tries again */
    it->enter = false;
    if (result < 0 && it->level != before)
        leave_level(it);
    if (result < 0)
        return tell_error(it, ret, result) < 0 ? result : 1;
    return it->level != before ? make_room(it) : 0;
}

/* Takes the next entry of the level. True when it is to be emitted. */
static bool take(struct lister *it, struct cosy_dir_entry *ret)
{
    struct level *level = it->level;
    const struct cosy_dirent *entry = (const void *)(level->buffer + level->at);
    level->at += entry->size;
    if (cosy_dirent_is_dot(entry))
        return false;
    memcpy(it->path + level->length, entry->name, strlen(entry->name) + 1);
    tell(it, ret, entry);
    it->behind = ret->type == COSY_TYPE_SYMLINK;
    it->enter = (ret->type == COSY_TYPE_DIRECTORY || (it->behind && it->options.follow)) &&
                (!it->options.max_depth || level->depth < it->options.max_depth);
    return !(it->options.files_only && ret->type == COSY_TYPE_DIRECTORY);
}

/* The level has no entries at hand. 0; 1: *ret tells of an error. */
static int refill(struct lister *it, struct cosy_dir_entry *ret)
{
    struct level *level = it->level;
    it->path[level->length] = '\0';
    int result = level->ended ? 0 : run_job(it, fill_more);
    if (result == -ECANCELED)
        return result;
    if (result < 0 && tell_error(it, ret, result) < 0)
        return result;
    if (level->ended || result < 0)
        leave_level(it);
    return result < 0;
}

static int next(cosy_aiter *iter, void *ret_item)
{
    struct lister *it = container_of(iter, struct lister, iter);
    struct cosy_dir_entry *ret = ret_item;
    int result = 0;
    if (!it->begun) {
        result = enter(it, ret);
        it->begun = result == 0;
    }
    while (result == 0) {
        if (it->enter)
            result = enter(it, ret);
        else if (!it->level)
            return -COSY_ESTOPITER;
        else if (it->level->at == it->level->end)
            result = refill(it, ret);
        else
            result = take(it, ret);
    }
    return result < 0 ? result : 0;
}

static int close_lister(cosy_aiter *iter)
{
    struct lister *it = container_of(iter, struct lister, iter);
    while (it->level)
        leave_level(it);
    cosy_heap_free(it->path);
    cosy_heap_free(it);
    return 0;
}

cosy_aiter *cosy_walk_(const char *path, const struct cosy_walk_options *options)
{
    size_t length = path ? strlen(path) : 0, room = length + NAME_ROOM;
    struct lister *it = cosy_heap_zalloc(sizeof *it);
    char *copy = it ? cosy_heap_alloc(room) : NULL;
    if (!copy) {
        cosy_heap_free(it);
        cosy_set_creation_error(-ENOMEM);
        return NULL;
    }
    memcpy(copy, path ? path : "", length + 1);
    it->iter = (cosy_aiter){.next = next, .close = close_lister, .item_size = sizeof(struct cosy_dir_entry)};
    it->options = *options;
    it->path = copy;
    it->room = room;
    return &it->iter;
}

cosy_aiter *cosy_scandir(const char *path)
{
    return cosy_walk(path, .max_depth = 1);
}
