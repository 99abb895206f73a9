/* watch_tree.c - which directories a watch on files has, and where they are. */
#include "file_watch.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "../base/heap.h"
#include "file_steps.h"
#include "tree.h"

enum { ROOM = 8192 };

/* ---- numbers and paths ---- */

struct cosy_watched_dir *cosy_watch_dir(struct cosy_file_watch *watch, int number)
{
    size_t low = 0, high = watch->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (watch->dirs[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < watch->count && watch->dirs[low].number == number ? &watch->dirs[low] : NULL;
}

void cosy_watch_forget(struct cosy_file_watch *watch, struct cosy_watched_dir *dir)
{
    struct cosy_watched_dir *end = watch->dirs + watch->count;
    cosy_heap_free(dir->path);
    memmove(dir, dir + 1, (size_t)((char *)end - (char *)(dir + 1)));
    watch->count--;
}

/* Two ways to the same directory have the same number: the later one counts. */
static int note(struct cosy_file_watch *watch, int number, const char *path)
{
    struct cosy_watched_dir *known = cosy_watch_dir(watch, number);
    char *copy = cosy_heap_strdup(path);
    if (!copy)
        return -ENOMEM;
    if (known) {
        cosy_heap_free(known->path);
        known->path = copy;
        return 0;
    }
    if (watch->count == watch->room) {
        size_t room = watch->room ? 2 * watch->room : 8;
        struct cosy_watched_dir *dirs = cosy_heap_resize(watch->dirs, room * sizeof *dirs);
        if (!dirs) {
            cosy_heap_free(copy);
            return -ENOMEM;
        }
        watch->dirs = dirs;
        watch->room = room;
    }
    watch->dirs[watch->count++] = (struct cosy_watched_dir){.number = number, .path = copy};
    return 0;
}

static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '/' || !path[length]);
}

static int rename_one(struct cosy_watched_dir *dir, size_t from, const char *to)
{
    size_t size = strlen(to) + strlen(dir->path + from) + 1;
    char *path = cosy_heap_alloc(size);
    if (!path)
        return -ENOMEM;
    snprintf(path, size, "%s%s", to, dir->path + from);
    cosy_heap_free(dir->path);
    dir->path = path;
    return 0;
}

int cosy_watch_moved(struct cosy_file_watch *watch, const char *from, const char *to)
{
    int result = 0;
    for (size_t i = watch->count; i-- > 0 && result == 0;) {
        struct cosy_watched_dir *dir = &watch->dirs[i];
        if (!is_below(dir->path, from))
            continue;
        if (to)
            result = rename_one(dir, strlen(from), to);
        else if (dir->number != watch->root) {
            cosy_sys_inotify_remove(watch->port.fd, dir->number);
            cosy_watch_forget(watch, dir);
        }
    }
    return result;
}

/* ---- a tree ---- */

static uint32_t events_of(unsigned changes)
{
    uint32_t events = IN_DELETE_SELF | IN_MOVE_SELF | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
    events |= changes & COSY_FILE_MODIFIED ? IN_MODIFY : 0u;
    events |= changes & COSY_FILE_CLOSED ? IN_CLOSE_WRITE : 0u;
    events |= changes & COSY_FILE_ATTRIBUTES ? IN_ATTRIB : 0u;
    return events;
}

static int tell_of(struct cosy_file_watch *watch, const char *path, bool directory)
{
    size_t size = strlen(path) + 1;
    struct cosy_found *found = cosy_heap_alloc(sizeof *found + size);
    if (!found)
        return -ENOMEM;
    *found = (struct cosy_found){.directory = directory};
    memcpy(found->path, path, size);
    *watch->found_end = found;
    watch->found_end = &found->next;
    return 0;
}

static bool is_directory(int dir, const struct cosy_dirent *entry)
{
    struct stat status;
    if (entry->type != DT_UNKNOWN)
        return entry->type == DT_DIR;
    return cosy_sys_stat_at(dir, entry->name, AT_SYMLINK_NOFOLLOW, &status) == 0 && S_ISDIR(status.st_mode);
}

static int64_t add_entry(struct cosy_file_watch *watch, int dir, const char *path, const struct cosy_dirent *entry,
                         bool tell)
{
    size_t size = strlen(path) + strlen(entry->name) + 2;
    bool directory = is_directory(dir, entry);
    char *below = directory || tell ? cosy_heap_alloc(size) : NULL;
    if (!directory && !tell)
        return 0;
    if (!below)
        return -ENOMEM;
    snprintf(below, size, "%s/%s", path, entry->name);
    int64_t result = tell ? tell_of(watch, below, directory) : 0;
    if (result == 0 && directory)
        result = cosy_watch_add_tree(watch, below, false, tell);
    cosy_heap_free(below);
    return result;
}

static int64_t add_entries(struct cosy_file_watch *watch, int dir, const char *path, char *buffer, bool tell)
{
    int got;
    while ((got = cosy_sys_list(dir, buffer, ROOM)) > 0)
        for (int at = 0; at < got;) {
            const struct cosy_dirent *entry = (const void *)(buffer + at);
            at += entry->size;
            int64_t result = cosy_dirent_is_dot(entry) ? 0 : add_entry(watch, dir, path, entry, tell);
            if (result < 0)
                return result;
        }
    return got;
}

/* First the watch, then the look: what comes in between is told of twice rather than never. */
int64_t cosy_watch_add_tree(struct cosy_file_watch *watch, const char *path, bool root, bool tell)
{
    uint32_t events = events_of(watch->changes) | (root ? 0u : IN_ONLYDIR | IN_DONT_FOLLOW);
    int64_t number = cosy_sys_inotify_add(watch->port.fd, *path ? path : "/", events);
    if (number < 0)
        return !root && (number == -ENOENT || number == -ENOTDIR) ? 0 : number; /* it has gone again */
    int64_t result = note(watch, (int)number, path);
    if (root)
        watch->root = (int)number;
    if (result < 0 || !watch->recursive)
        return result;
    int dir = cosy_step_open(AT_FDCWD, *path ? path : "/", O_RDONLY | O_DIRECTORY | (root ? 0 : O_NOFOLLOW), 0);
    if (dir < 0)
        return dir == -ENOTDIR || dir == -ENOENT || dir == -ELOOP ? 0 : dir;
    char *buffer = cosy_heap_alloc(ROOM);
    result = buffer ? add_entries(watch, dir, path, buffer, tell) : -ENOMEM;
    cosy_heap_free(buffer);
    cosy_step_close(dir);
    return result == -ENOENT ? 0 : result;
}
