/* file_watch.h - the inside of watches on files: what file_watch.c and watch_tree.c share.
 *
 * Invariants
 *  - `dirs` are in the order of their numbers: the kernel gives each new one a higher number. dirs[0] is not special;
 * `root` is the number of what was asked for.
 *  - A path in `dirs` has no slash at its end. A thread has the watch for itself while a task waits for it.
 *  - What the kernel told and was not taken is buffer[at..end). `found` are names that were there when a directory
 * came; they are told of before that.
 */
#ifndef COSY_IO_FILE_WATCH_H
#define COSY_IO_FILE_WATCH_H

#include <cosy/file_watch.h>

#include "file_call.h"
#include "port_wait.h"

enum { COSY_WATCH_ROOM = 16384 };

struct cosy_watched_dir {
    int number; /* the kernel's */
    char *path;
};

struct cosy_found {
    struct cosy_found *next;
    bool directory;
    char path[];
};

struct cosy_file_watch {
    struct cosy_port port;
    cosy_aiter iter;
    struct cosy_file_job job;
    unsigned changes;
    bool recursive, busy, gone, closed;
    int root;
    struct cosy_watched_dir *dirs;
    size_t count, room;
    struct cosy_found *found, **found_end;
    struct cosy_found *told; /* the one whose text was lent last */
    char *scan;              /* a directory that has come and is to be watched; NULL */
    char *path, *old_path;   /* lent to the consumer */
    size_t path_room, old_room;
    uint32_t at, end;
    _Alignas(8) char buffer[COSY_WATCH_ROOM];
};

/* Watches a directory, or for the root whatever it is, and those below it if wanted; `tell`: what is in there is found.
 * Blocks: for a thread of a pool. 0 or negative. */
int64_t cosy_watch_add_tree(struct cosy_file_watch *watch, const char *path, bool root, bool tell);
/* NULL: there is none with that number. */
struct cosy_watched_dir *cosy_watch_dir(struct cosy_file_watch *watch, int number);
void cosy_watch_forget(struct cosy_file_watch *watch, struct cosy_watched_dir *dir);
/* A directory has another path, and so have those below it; NULL: they are watched no more. */
int cosy_watch_moved(struct cosy_file_watch *watch, const char *from, const char *to);

#endif
