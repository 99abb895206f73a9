/* file_watch.c - being told of changes to files: what the kernel says, made into events. */
#include "file_watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include <cosy/sleep.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/files.h"

enum { USUAL = COSY_FILE_CREATED | COSY_FILE_MODIFIED | COSY_FILE_MOVED | COSY_FILE_DELETED };

static const cosy_ns PARTNER = COSY_MS(1); /* how long the second half of a move may take */

/* ---- life ---- */

static int next_item(cosy_aiter *iter, void *ret_item)
{
    return cosy_file_watch_next(container_of(iter, struct cosy_file_watch, iter), ret_item);
}

static void free_found(struct cosy_file_watch *watch)
{
    for (struct cosy_found *found = watch->found, *after; found; found = after) {
        after = found->next;
        cosy_heap_free(found);
    }
    cosy_heap_free(watch->told);
}

static void watch_free(struct cosy_file_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        cosy_heap_free(watch->dirs[i].path);
    free_found(watch);
    cosy_heap_free(watch->dirs);
    cosy_heap_free(watch->scan);
    cosy_heap_free(watch->path);
    cosy_heap_free(watch->old_path);
    cosy_heap_free(watch);
}

/* The task that waits frees it, when it has heard. */
void cosy_file_watch_close(cosy_file_watch *watch)
{
    if (!watch)
        return;
    bool left = !watch->port.loop; /* the loop took its tasks along */
    watch->closed = true;
    if (watch->busy && !left) {
        cosy_port_close(&watch->port, -COSY_ECLOSED);
        return;
    }
    cosy_port_close(&watch->port, -COSY_ECLOSED);
    watch_free(watch);
}

static int64_t add_root(struct cosy_file_job *job)
{
    return cosy_watch_add_tree(container_of(job, struct cosy_file_watch, job), job->other, true, false);
}

static int fail_to_watch(const char *path, int64_t error)
{
    if (error == -ENOSPC)
        return cosy_fail(ENOSPC, "watching %.300s: the limit of watches is reached (fs.inotify.max_user_watches)",
                         path);
    return cosy_file_fail("watching", path, (int)error);
}

static int begin(struct cosy_file_watch *watch, struct cosy_task *me, const char *path)
{
    size_t length = strlen(path);
    char *plain = cosy_heap_strdup(path);
    if (!plain)
        return -ENOMEM;
    while (length > 0 && plain[length - 1] == '/') /* the root of all is "" */
        plain[--length] = '\0';
    watch->job = (struct cosy_file_job){.work = add_root, .doing = "watching", .named = path, .other = plain};
    int64_t result = cosy_file_job_run(me, &watch->job);
    watch->job.other = NULL;
    cosy_heap_free(plain);
    return result < 0 ? fail_to_watch(path, result) : 0;
}

cosy_async int cosy_file_watch_open_(const char *path, cosy_file_watch **ret_watch,
                                     const struct cosy_file_watch_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_file_watch_open");
    if (ret_watch)
        *ret_watch = NULL;
    if (!me || !ret_watch || !path || !*path)
        return me ? -EINVAL : -COSY_ENOTASK;
    struct cosy_file_watch *watch = cosy_heap_zalloc(sizeof *watch);
    int fd = watch ? cosy_sys_inotify() : -ENOMEM;
    if (fd < 0) {
        cosy_heap_free(watch);
        return fail_to_watch(path, fd);
    }
    cosy_port_open(&watch->port, me->future.loop, fd);
    watch->iter = (cosy_aiter){.next = next_item, .item_size = sizeof(struct cosy_file_event)};
    watch->changes = options->changes ? options->changes : USUAL;
    watch->recursive = options->recursive;
    watch->found_end = &watch->found;
    int result = begin(watch, me, path);
    if (result == 0)
        *ret_watch = watch;
    else
        cosy_file_watch_close(watch);
    return result;
}

cosy_aiter *cosy_file_watch_events(cosy_file_watch *watch)
{
    if (!watch)
        cosy_set_creation_error(-EINVAL);
    return watch ? &watch->iter : NULL;
}

const char *cosy_file_change_name(enum cosy_file_change change)
{
    static const char *const names[] = {"created", "modified", "closed", "attributes", "moved", "deleted", "overflow"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (change == (enum cosy_file_change)(1u << i))
            return names[i];
    return "?";
}

/* ---- paths ---- */

static int join(char **text, size_t *room, const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    if (size > *room) {
        char *more = cosy_heap_resize(*text, 2 * size);
        if (!more)
            return -ENOMEM;
        *text = more;
        *room = 2 * size;
    }
    snprintf(*text, *room, "%s%s%s", directory, *name || !*directory ? "/" : "", name);
    return 0;
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- from the kernel ---- */

static const struct inotify_event *event_at(const struct cosy_file_watch *watch, uint32_t at)
{
    return at < watch->end ? (const void *)(watch->buffer + at) : NULL;
}

static uint32_t size_of(const struct inotify_event *event)
{
    return (uint32_t)sizeof *event + event->len;
}

static const char *name_of(const struct inotify_event *event)
{
    return event->len ? event->name : "";
}

/* More behind what is there. How many bytes, or -EAGAIN. */
static int read_more(struct cosy_file_watch *watch)
{
    memmove(watch->buffer, watch->buffer + watch->at, watch->end - watch->at);
    watch->end -= watch->at;
    watch->at = 0;
    struct iovec part = {.iov_base = watch->buffer + watch->end, .iov_len = COSY_WATCH_ROOM - watch->end};
    int got = cosy_port_may(&watch->port, COSY_PORT_READ)
                  ? COSY_PORT_CALL(&watch->port, COSY_PORT_READ, readv, &part, 1)
                  : -EAGAIN;
    watch->end += got > 0 ? (uint32_t)got : 0;
    return got;
}

static int wait_for_more(struct cosy_file_watch *watch, struct cosy_task *me)
{
    int got;
    while ((got = read_more(watch)) == -EAGAIN) {
        int result = cosy_port_await(me, &watch->port, COSY_PORT_READ);
        if (result < 0)
            return result;
    }
    return got < 0 ? got : 0;
}

/* A move's second half follows its first, unless it goes where nobody watches; it may be a moment late. */
static const struct inotify_event *partner_of(struct cosy_file_watch *watch, int *ret_error)
{
    *ret_error = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        const struct inotify_event *first = event_at(watch, watch->at);
        const struct inotify_event *second = event_at(watch, watch->at + size_of(first));
        if (second)
            return second->mask & IN_MOVED_TO && second->cookie == first->cookie ? second : NULL;
        int got = read_more(watch);
        if (got < 0 && got != -EAGAIN)
            *ret_error = got;
        else if (got == -EAGAIN && attempt == 1) {
            *ret_error = cosy_sleep(PARTNER);
            watch->port.may |= 1u << COSY_PORT_READ; /* nobody has waited for the edge */
        }
        if (*ret_error || watch->closed)
            return NULL;
    }
    return NULL;
}

/* ---- one event ---- */

static void tell(struct cosy_file_watch *watch, struct cosy_file_event *ret, enum cosy_file_change change,
                 bool directory)
{
    *ret = (struct cosy_file_event){
        .change = change, .path = watch->path, .name = name_in(watch->path), .directory = directory};
}

/* A directory that has come, here or from elsewhere, gets its watch before anything else is told of. */
static int note_new_directory(struct cosy_file_watch *watch, const struct inotify_event *event)
{
    if (!watch->recursive || !(event->mask & IN_ISDIR))
        return 0;
    watch->scan = cosy_heap_strdup(watch->path);
    return watch->scan ? 0 : -ENOMEM;
}

static enum cosy_file_change change_of(uint32_t mask)
{
    return mask & IN_CREATE        ? COSY_FILE_CREATED
           : mask & IN_MODIFY      ? COSY_FILE_MODIFIED
           : mask & IN_CLOSE_WRITE ? COSY_FILE_CLOSED
           : mask & IN_ATTRIB      ? COSY_FILE_ATTRIBUTES
           : mask & IN_MOVED_TO    ? COSY_FILE_CREATED
                                   : COSY_FILE_DELETED;
}

/* 1: told; 0: not of interest. watch->path is the first half's. */
static int moved(struct cosy_file_watch *watch, const struct inotify_event *event, struct cosy_file_event *ret)
{
    int result;
    bool directory = event->mask & IN_ISDIR;
    const struct inotify_event *second = partner_of(watch, &result);
    if (result < 0 || watch->closed)
        return result < 0 ? result : -COSY_ECLOSED;
    struct cosy_watched_dir *dir = second ? cosy_watch_dir(watch, second->wd) : NULL;
    event = event_at(watch, watch->at);
    if (!dir) {
        if (directory && watch->recursive)
            (void)cosy_watch_moved(watch, watch->path, NULL);
        watch->at += size_of(event);
        tell(watch, ret, COSY_FILE_DELETED, directory);
        return 1;
    }
    result = join(&watch->old_path, &watch->old_room, watch->path, "");
    if (result == 0)
        result = join(&watch->path, &watch->path_room, dir->path, name_of(second));
    if (result == 0 && directory && watch->recursive)
        result = cosy_watch_moved(watch, watch->old_path, watch->path);
    if (result < 0)
        return result;
    watch->at += size_of(event) + size_of(second);
    tell(watch, ret, COSY_FILE_MOVED, directory);
    ret->old_path = watch->old_path;
    return 1;
}

/* What is watched itself. Of directories below the root, the one around them tells. */
static int of_itself(struct cosy_file_watch *watch, struct cosy_watched_dir *dir, uint32_t mask,
                     struct cosy_file_event *ret)
{
    bool is_root = dir->number == watch->root;
    if (mask & IN_IGNORED)
        cosy_watch_forget(watch, dir);
    else if (is_root && mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_MOVE_SELF)) {
        watch->gone = mask & (IN_DELETE_SELF | IN_UNMOUNT);
        tell(watch, ret, mask & IN_MOVE_SELF ? COSY_FILE_MOVED : COSY_FILE_DELETED, mask & IN_ISDIR);
        return 1;
    }
    return 0;
}

/* The next that the kernel told. 1: *ret is an event; 0: it is of no interest. On errors it stays. */
static int take(struct cosy_file_watch *watch, struct cosy_file_event *ret)
{
    const struct inotify_event *event = event_at(watch, watch->at);
    struct cosy_watched_dir *dir = cosy_watch_dir(watch, event->mask & IN_Q_OVERFLOW ? watch->root : event->wd);
    uint32_t size = size_of(event);
    int result = dir ? join(&watch->path, &watch->path_room, dir->path, name_of(event)) : 0;
    if (result < 0)
        return result;
    if (event->mask & IN_MOVED_FROM && dir)
        return moved(watch, event, ret);
    if (event->mask & (IN_CREATE | IN_MOVED_TO) && dir)
        result = note_new_directory(watch, event);
    if (result < 0)
        return result;
    watch->at += size;
    if (event->mask & IN_Q_OVERFLOW && !dir) /* the root has been moved away, or is gone */
        result = join(&watch->path, &watch->path_room, "", "");
    if (result < 0 || (!dir && !(event->mask & IN_Q_OVERFLOW)))
        return result;
    if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_UNMOUNT | IN_MOVE_SELF))
        return of_itself(watch, dir, event->mask, ret);
    tell(watch, ret, event->mask & IN_Q_OVERFLOW ? COSY_FILE_OVERFLOW : change_of(event->mask), event->mask & IN_ISDIR);
    return 1;
}

/* ---- what was there when a directory came ---- */

static int64_t scan_new(struct cosy_file_job *job)
{
    return cosy_watch_add_tree(container_of(job, struct cosy_file_watch, job), job->named, false, true);
}

/* Until it has been looked at, the directory stays in `scan`. */
static int scan(struct cosy_file_watch *watch, struct cosy_task *me)
{
    watch->job = (struct cosy_file_job){.work = scan_new, .doing = "watching", .named = watch->scan};
    int64_t result = cosy_file_job_run(me, &watch->job);
    if (result == -ECANCELED)
        return -ECANCELED;
    if (result < 0)
        fail_to_watch(watch->scan, result);
    cosy_heap_free(watch->scan);
    watch->scan = NULL;
    return (int)result;
}

static void take_found(struct cosy_file_watch *watch, struct cosy_file_event *ret)
{
    struct cosy_found *found = watch->found;
    cosy_heap_free(watch->told);
    watch->told = found;
    watch->found = found->next;
    if (!watch->found)
        watch->found_end = &watch->found;
    *ret = (struct cosy_file_event){
        .change = COSY_FILE_CREATED, .path = found->path, .name = name_in(found->path), .directory = found->directory};
}

/* ---- the consumer ---- */

static int step(struct cosy_file_watch *watch, struct cosy_task *me, struct cosy_file_event *ret)
{
    if (watch->scan)
        return scan(watch, me);
    if (watch->found) {
        take_found(watch, ret);
        return 1;
    }
    if (watch->at < watch->end)
        return take(watch, ret);
    return watch->gone ? -COSY_ESTOPITER : wait_for_more(watch, me);
}

static bool is_wanted(const struct cosy_file_watch *watch, const struct cosy_file_event *event)
{
    return event->change == COSY_FILE_OVERFLOW || (watch->changes & (unsigned)event->change);
}

cosy_async int cosy_file_watch_next(cosy_file_watch *watch, struct cosy_file_event *ret_event)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_file_watch_next");
    if (!me || !watch || !ret_event)
        return me ? -EINVAL : -COSY_ENOTASK;
    if (watch->busy || me->future.loop != watch->port.loop)
        return watch->busy ? -EBUSY : -COSY_EOTHERLOOP;
    int result;
    watch->busy = true;
    do
        result = step(watch, me, ret_event);
    while (!watch->closed && (result == 0 || (result == 1 && !is_wanted(watch, ret_event))));
    watch->busy = false;
    if (!watch->closed)
        return result < 0 ? result : 0;
    watch_free(watch);
    return -COSY_ECLOSED;
}
