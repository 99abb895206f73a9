/* file.h - the inside of open files, shared by file*.c.
 *
 * Invariants
 *  - `position` is the file's own; the descriptor's is used, and `position` is -1, where offsets mean nothing (pipes,
 * terminals) and where the kernel chooses them (O_APPEND).
 *  - `users` counts the calls that are under way. The descriptor is closed, and the memory freed, by whoever is last
 * after cosy_file_close.
 *  - `busy`: a task reads or writes at the position.
 */
#ifndef COSY_IO_FILE_H
#define COSY_IO_FILE_H

#include <cosy/file.h>

#include "file_call.h"

struct cosy_file {
    struct cosy_loop *loop;
    int64_t position;
    int fd;
    uint32_t users;
    uint64_t turn;      /* of `spent` */
    uint32_t spent;     /* bytes without a suspension in that turn */
    uint8_t untried[2]; /* by operation: how many to give to the kernel before one is tried in place again */
    uint8_t misses[2];  /* in a row */
    bool never_try[2];  /* this file does not say what would block */
    bool in_memory;     /* nor does it ever wait */
    bool writes_wait;   /* it has no way to write but to wait: only a thread can do that, the kernel's or a pool's */
    bool at_hand;       /* what was last tried in place, was read without waiting */
    bool closed, busy, writable, seekable;
    bool whole;   /* a read gives less than it was asked for only at the end */
    bool removed; /* at the end: `path` is a temporary name */
    char path[];
};

/* A file without a descriptor; NULL without memory. */
struct cosy_file *cosy_file_new(struct cosy_loop *loop, const char *path);
/* Gives it its descriptor, opened with these flags. 0, -EISDIR; on errors both are still the caller's. */
int cosy_file_set_up(struct cosy_file *file, int fd, int flags);
/* Frees what has no descriptor. */
void cosy_file_discard(struct cosy_file *file);

int cosy_file_refuse(const struct cosy_file *file, const char *what);

/* A call begins: the running task, or NULL and *ret_error. */
static inline struct cosy_task *cosy_file_enter(struct cosy_file *file, const char *what, int *ret_error)
{
    struct cosy_task *me = cosy_task_here();
    if (unlikely(!me || !file || me->future.loop != file->loop || file->closed)) {
        *ret_error = cosy_file_refuse(file, what);
        return NULL;
    }
    file->users++;
    return me;
}
void cosy_file_leave(struct cosy_file *file); /* may free it */
/* The same for a call at the position: -EBUSY. */
struct cosy_task *cosy_file_enter_alone(struct cosy_file *file, const char *what, int *ret_error);
void cosy_file_leave_alone(struct cosy_file *file);

/* Leaves the file and returns the result. An error is told as one of the open file. */
int64_t cosy_file_told_(struct cosy_file *file, const char *doing, int64_t result);
static inline int64_t cosy_file_told(struct cosy_file *file, const char *doing, int64_t result)
{
    if (unlikely(result < 0 || file->closed))
        return cosy_file_told_(file, doing, result);
    file->users--;
    return result;
}

/* DIRECTORY/PREFIXxxxxxxxxxxxx with letters of chance, to be freed; NULL without memory. directory NULL: $TMPDIR or
 * /tmp; prefix NULL: "cosy-". Any thread. */
char *cosy_temporary_name(const char *directory, const char *prefix);
/* Others for the letters at its end. */
void cosy_temporary_rename(char *name);

#endif
