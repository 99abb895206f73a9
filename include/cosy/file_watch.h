/* cosy/file_watch.h - being told of changes to files and directories.
 *
 *     cosy_scoped(cosy_file_watch) watch = NULL;
 *     int err = 0;
 *     cosy_try(cosy_file_watch_open("src", &watch, .recursive = true));
 *     COSY_FOR (struct cosy_file_event, event, err, cosy_file_watch_events(watch))  async for changes in watchfiles.awatch("src"):
 *         printf("%s %s\n", cosy_file_change_name(event.change), event.path);           print(changes)
 *
 * Changes are noted from cosy_file_watch_open on, by the kernel (inotify), in their order, and wait there until they
 * are taken: 16,384 by default. When more come, the rest is lost, and an event says so: COSY_FILE_OVERFLOW. Equal
 * changes that follow one another become one. Changes that other machines make to a network's file system are not seen,
 * nor are those through mmap.
 *
 * A directory is watched for what happens in it. A file is watched itself, whatever its name is: to see a name get
 * another file (rotated logs, editors that save by renaming), watch the directory. Needs a descriptor, and a watch of
 * the user's limit (fs.inotify.max_user_watches) per directory. In the loop's thread. Semantics: inotify(7).
 */
#ifndef COSY_FILE_WATCH_H
#define COSY_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "agen.h"
#include "colour.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is watched: made by cosy_file_watch_open. */
typedef struct cosy_file_watch cosy_file_watch;

/* What has happened. The values can be added up to say which are wanted. */
enum cosy_file_change {
    COSY_FILE_CREATED = 1,   /* a new name: made, linked, or moved here from where nobody watches */
    COSY_FILE_MODIFIED = 2,  /* its content: written or cut */
    COSY_FILE_CLOSED = 4,    /* somebody who could write has closed it */
    COSY_FILE_ATTRIBUTES = 8, /* rights, owner, times, number of names */
    COSY_FILE_MOVED = 16,    /* it has another name */
    COSY_FILE_DELETED = 32,  /* the name is gone, or moved to where nobody watches */
    COSY_FILE_OVERFLOW = 64, /* changes were lost: look for yourself. Always told */
};

/* A change. The texts are valid until the next step. */
struct cosy_file_event {
    enum cosy_file_change change;
    const char *path;     /* of what has changed, beginning with the watched path as it was given */
    const char *name;     /* the part behind the last '/' */
    const char *old_path; /* COSY_FILE_MOVED: what it was; else NULL */
    bool directory;       /* it is one */
};

/* How to watch. Every default is zero. */
struct cosy_file_watch_options {
    size_t struct_size; /* filled in by the macro */
    unsigned changes;   /* COSY_FILE_... added up; 0: created, modified, moved and deleted */
    bool recursive;     /* the directories below too, and those that come. Of what is in a directory that has just come,
                         * a thing may be told of twice. Symbolic links are not followed */
};

/*     int cosy_file_watch_open(const char *path, cosy_file_watch **ret_watch, .option = value...);
 *
 * Begins to watch a file or directory. *ret_watch is the caller's to close. 0; -ENOENT, -EACCES; -ENOSPC: the user's
 * limit of watches; -EMFILE: of watchers; -EINVAL, -ENOMEM, -ECANCELED, -COSY_ENOTASK, each but the last ones with the
 * path in the message. May suspend. */
#define cosy_file_watch_open(path, ret_watch, ...)                                                             \
    cosy_file_watch_open_((path), (ret_watch),                                                                 \
                          &(const struct cosy_file_watch_options){                                             \
                              .struct_size = sizeof(struct cosy_file_watch_options), __VA_ARGS__})
cosy_async int cosy_file_watch_open_(const char *path, cosy_file_watch **ret_watch,
                                     const struct cosy_file_watch_options *options);

/* Ends it, and frees the handle. A task that waits for the next change gets -COSY_ECLOSED. NULL is fine. Never
 * suspends. */
void cosy_file_watch_close(cosy_file_watch *watch);
static inline void cosy_file_watch_closep_(cosy_file_watch **watch) { cosy_file_watch_close(*watch); }
#define COSY_DROPP_cosy_file_watch_ cosy_file_watch_closep_ /* cosy_scoped(cosy_file_watch) */

/* Waits for the next change. 0; -COSY_ESTOPITER: what was watched is gone, which was told of; -EBUSY: another task
 * waits; -ENOSPC, -EACCES: a directory that has come cannot be watched (the next call goes on); -ECANCELED: no change
 * is lost; -COSY_ECLOSED, -COSY_ENOTASK, -COSY_EOTHERLOOP. May suspend. */
cosy_async int cosy_file_watch_next(cosy_file_watch *watch, struct cosy_file_event *ret_event);

/* The changes as a source for COSY_FOR, borrowed from the watch. Leaving COSY_FOR does not end the watch: a later one
 * goes on. */
cosy_aiter *cosy_file_watch_events(cosy_file_watch *watch);

/* "created", "modified", "closed", "attributes", "moved", "deleted", "overflow"; "?" for others. Static text, any
 * thread. */
const char *cosy_file_change_name(enum cosy_file_change change);

#ifdef __cplusplus
}
#endif
#endif
