/* cosy/file.h - files: open, read, write, and what can be done to a path, while the loop goes on.
 *
 *     cosy_scoped(cosy_file) file = NULL;
 *     cosy_try(cosy_file_open("notes.txt", O_RDWR | O_CREAT, &file));    async with await anyio.open_file("notes.txt", "r+") as file:
 *     int64_t size = cosy_try(cosy_file_read(file, buffer, sizeof buffer));  data = await file.read(n)
 *     cosy_try(cosy_file_write(file, "more\n", 5));                          await file.write("more\n")
 *
 *     char *text;
 *     cosy_try(cosy_read_file("/etc/hosts", &text, &size));                 text = await Path("/etc/hosts").read_text()
 *
 *     cosy_try(cosy_file_open_stream("/etc/hosts", &stream));           async with aiofiles.open("/etc/hosts") as file:
 *     COSY_LINES(stream, line, length)                                async for line in file:
 *         printf("%s", line);                                             print(line, end="")
 *
 * Files have no readiness: a disk makes its caller wait. What lies in the kernel's memory is read and written at once,
 * by one system call, without a suspension. Everything else is given to the kernel (io_uring) or to a thread of the
 * loop's pool for files (COSY_POOL_FILES, on the other backends and for what io_uring has no operation for), and the
 * task waits. Results are the same. On the simulated kernel, files are the machine's own, and what is done to them is
 * done in a turn of the seed's.
 *
 * CANCEL. No call returns while the kernel or a thread still uses the caller's memory. A cancel asks the kernel to
 * stop: -ECANCELED means that nothing was done. What had been done by then is returned as if there had been no cancel,
 * which meets the task's next wait. A disk that does not answer can therefore hold a cancelled task up, as it does in
 * Trio. So can a FIFO that nobody else opens, and a pipe or terminal where nothing comes, when a thread waits there:
 * for those there are streams (cosy/pipe.h). Jobs of many steps (copying, reading a whole file) stop between two steps
 * and take back what they made.
 *
 * Sizes and offsets are bytes. Errors carry the path and what was being done: "opening /x/y: No such file or
 * directory". All calls are made in tasks of the file's own loop (-COSY_ENOTASK, -COSY_EOTHERLOOP) and may suspend,
 * unless told otherwise. Descriptors are close-on-exec. Semantics: https://anyio.readthedocs.io/en/stable/fileio.html,
 * https://trio.readthedocs.io/en/stable/reference-io.html, and the manual pages named.
 */
#ifndef COSY_FILE_H
#define COSY_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "call.h"
#include "colour.h"
#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An open file, from whatever opened it to cosy_file_close. In its loop's thread. */
typedef struct cosy_file cosy_file;

/* ---- opening and closing ---- */

/* How to open. Every default is zero. */
struct cosy_file_options {
    size_t struct_size; /* filled in by the macro */
    mode_t mode;        /* rights of a new file, less the umask; 0: 0666 */
};

/*     int cosy_file_open(const char *path, int flags, cosy_file **ret_file, .option = value...);
 *
 * Opens a file; flags as open(2) has them: O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_APPEND,
 * O_NOFOLLOW, O_DIRECT and others. *ret_file is the caller's to close; NULL on errors. 0; -EISDIR: a directory;
 * -ENOENT, -EACCES, -EEXIST, -ENAMETOOLONG, -ENOTDIR, -ELOOP, -EMFILE, -EROFS, -EINVAL ...; -ENOMEM, -ECANCELED
 * (nothing is left open; a file may have been created). */
#define cosy_file_open(path, flags, ret_file, ...)                                                             \
    cosy_file_open_((path), (flags), (ret_file),                                                               \
                    &(const struct cosy_file_options){.struct_size = sizeof(struct cosy_file_options), __VA_ARGS__})
cosy_async int cosy_file_open_(const char *path, int flags, cosy_file **ret_file,
                               const struct cosy_file_options *options);

/* Makes a file of a descriptor that the program has opened, which is the file's from here on, on success. `name`
 * (copied) is for messages; NULL: "descriptor N". Its position begins where the descriptor stands. 0; -EBADF, -EISDIR,
 * -ENOMEM, -COSY_ENOLOOP. Never suspends. */
int cosy_file_adopt(int fd, const char *name, cosy_file **ret_file);

/* Closes the file, and frees it in any case. Waits even when the task is cancelled. Calls of other tasks that are under
 * way end first, the descriptor with the last of them. 0, or the kernel's last word on what was written: -EIO, -ENOSPC,
 * -EDQUOT. NULL: 0. Outside a task it blocks instead of suspending. */
cosy_async int cosy_file_close(cosy_file *file);
static inline cosy_async void cosy_file_closep_(cosy_file **file) { cosy_file_close(*file); }
#define COSY_DROPP_cosy_file_ cosy_file_closep_ /* cosy_scoped(cosy_file) */

/* The descriptor, for what is not here (ioctl, mmap): closing it is the file's. */
int cosy_file_fd(const cosy_file *file);

/* The path it was opened by, as it was given. Valid until the file is closed. */
const char *cosy_file_path(const cosy_file *file);

/* ---- reading and writing ---- */

/* Reads up to `size` bytes from the file's position, which moves on. Fewer only at the end of the file; of a terminal,
 * pipe or device, what is there. How many; 0 at the end. -EBUSY: another task reads or writes at the position; -EBADF:
 * not open for reading; -EIO ..., after which the position has not moved. */
cosy_async int64_t cosy_file_read(cosy_file *file, void *buffer, size_t size);

/* Writes all of it at the position, which moves on; with O_APPEND at the file's end. 0; an error when some could not be
 * written: -ENOSPC, -EDQUOT, -EFBIG, -EIO, -EBADF ...; the position tells how much was (cosy_file_tell). -ECANCELED:
 * likewise. -EBUSY: see cosy_file_read. */
cosy_async int cosy_file_write(cosy_file *file, const void *data, size_t size);

/* The same at a given offset. The position is neither used nor moved, and several tasks may do so at the same time.
 * -ESPIPE: it has no offsets. With O_APPEND, Linux writes at the end whatever the offset. */
cosy_async int64_t cosy_file_pread(cosy_file *file, void *buffer, size_t size, int64_t offset);
cosy_async int cosy_file_pwrite(cosy_file *file, const void *data, size_t size, int64_t offset);

/* The same into and from several pieces of memory: up to 1,024 (-EINVAL). One operation of the kernel's: the number of
 * bytes, which may be fewer than there are (preadv(2), pwritev(2)). offset -1: at the position. */
cosy_async int64_t cosy_file_preadv(cosy_file *file, const struct iovec *parts, int count, int64_t offset);
cosy_async int64_t cosy_file_pwritev(cosy_file *file, const struct iovec *parts, int count, int64_t offset);

/* Moves the position: whence is SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA or SEEK_HOLE (lseek(2)). The new position;
 * -EINVAL: before the beginning; -ESPIPE; -ENXIO. Only SEEK_END, SEEK_DATA and SEEK_HOLE suspend. */
cosy_async int64_t cosy_file_seek(cosy_file *file, int64_t offset, int whence);
/* Tells the position. -ESPIPE: it has none. Never suspends. */
int64_t cosy_file_tell(cosy_file *file);

/* Makes it as long as that, cutting it or adding a hole (ftruncate(2)). The position stays. 0, -EINVAL, -EFBIG ... */
cosy_async int cosy_file_truncate(cosy_file *file, int64_t size);

/* Waits until the disk has everything that was written (fsync(2)); datasync leaves out what is not needed to read it
 * again (fdatasync(2)). 0, -EIO, -ENOSPC ... */
cosy_async int cosy_file_sync(cosy_file *file);
cosy_async int cosy_file_datasync(cosy_file *file);

/* ---- streams of files ---- */

/*     int cosy_file_open_stream(const char *path, cosy_stream **ret_stream, .option = value...);
 *
 * Opens a file for reading as a stream (cosy/stream.h): COSY_LINES, cosy_readline, cosy_readuntil and all others. The
 * options are the stream's. *ret_stream is the caller's to close. Errors as cosy_file_open. */
#define cosy_file_open_stream(path, ret_stream, ...)                                                                 \
    cosy_file_open_stream_((path), (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_file_open_stream_(const char *path, cosy_stream **ret_stream,
                                      const struct cosy_stream_options *options);

/*     int cosy_file_stream(cosy_file *file, cosy_stream **ret_stream, .option = value...);
 *
 * A stream of an open file that reads, and writes, from the file's present position on, with a descriptor and a
 * position of its own; both are still to be closed. Reads go ahead of what is used, by 64 KiB. Writes go to the
 * kernel's memory directly. 0, -EMFILE, -ENOMEM, -EINVAL. Never suspends. */
#define cosy_file_stream(file, ret_stream, ...)                                                                        \
    cosy_file_stream_((file), (ret_stream), COSY_STREAM_OPTIONS_(__VA_ARGS__))
int cosy_file_stream_(cosy_file *file, cosy_stream **ret_stream, const struct cosy_stream_options *options);

/* ---- whole files ---- */

/* How to read a whole file. Every default is zero. */
struct cosy_read_file_options {
    size_t struct_size; /* filled in by the macro */
    size_t most;        /* bytes, as a limit; 0: 1 GiB */
};

/*     int cosy_read_file(const char *path, char **ret_data, size_t *ret_size, .option = value...);
 *
 * Reads a whole file into memory that the caller frees with free(), with a NUL behind it that is not counted
 * (Path.read_bytes, Path.read_text). ret_size may be NULL. 0; -COSY_ELIMIT: more than .most; errors as cosy_file_open
 * and cosy_file_read. On errors *ret_data is NULL. */
#define cosy_read_file(path, ret_data, ret_size, ...)                                                                  \
    cosy_read_file_(                                                                                                   \
        (path), (ret_data), (ret_size),                                                                                \
        &(const struct cosy_read_file_options){.struct_size = sizeof(struct cosy_read_file_options), __VA_ARGS__})
cosy_async int cosy_read_file_(const char *path, char **ret_data, size_t *ret_size,
                               const struct cosy_read_file_options *options);

/* How to write a whole file. Every default is zero. */
struct cosy_write_file_options {
    size_t struct_size; /* filled in by the macro */
    mode_t mode;        /* rights of a new file, less the umask; 0: 0666 */
    bool atomic;        /* write a file beside it and rename that: whoever opens the path sees the old content or the
                         * new, never a part, also after an error or a cancel. The old file's rights are taken over;
                         * other hard links keep the old content */
    bool append;        /* behind what is there; not with atomic */
    bool exclusive;     /* -EEXIST when there is one already */
    bool sync;          /* wait until the disk has it; with atomic, its name too */
};

/*     int cosy_write_file(const char *path, const void *data, size_t size, .option = value...);
 *
 * Makes a file that has this content, in place of what it had (Path.write_bytes). 0; -ENOSPC, -EISDIR, -EINVAL ...;
 * without .atomic, an error or a cancel may leave a part. */
#define cosy_write_file(path, data, size, ...)                                                                         \
    cosy_write_file_(                                                                                                  \
        (path), (data), (size),                                                                                        \
        &(const struct cosy_write_file_options){.struct_size = sizeof(struct cosy_write_file_options), __VA_ARGS__})
cosy_async int cosy_write_file_(const char *path, const void *data, size_t size,
                                const struct cosy_write_file_options *options);

/* How to copy. Every default is zero. */
struct cosy_copy_options {
    size_t struct_size; /* filled in by the macro */
    bool exclusive;     /* -EEXIST when there is one already; else its content is replaced */
};

/*     int64_t cosy_copy_file(const char *from, const char *to, .option = value...);
 *
 * Copies a file's content and rights (shutil.copy) by copy_file_range(2), which shares blocks where the file system
 * can, or else through memory. Holes stay holes. How many bytes the copy has. A cancel or an error stops it within 16
 * MiB, and a file that it made is removed again. -EISDIR, -EINVAL: both are the same file; -ENOSPC ... */
#define cosy_copy_file(from, to, ...)                                                                          \
    cosy_copy_file_((from), (to),                                                                              \
                    &(const struct cosy_copy_options){.struct_size = sizeof(struct cosy_copy_options), __VA_ARGS__})
cosy_async int64_t cosy_copy_file_(const char *from, const char *to, const struct cosy_copy_options *options);

/* ---- what a file is ---- */

/* What is known of a file (statx(2)). Times are nanoseconds since 1970. */
struct cosy_stat {
    uint64_t device, inode;
    uint64_t size, allocated; /* bytes; allocated: on the disk */
    mode_t mode;              /* S_ISREG(mode) and its like, with the rights */
    uint32_t links, user, group;
    int64_t accessed, modified, changed; /* changed: rights, names and the like, too */
    int64_t created;                     /* 0: not known */
};

/* Tells what a file is. 0 and *ret_stat; errors as cosy_file_open. cosy_lstat tells of a symbolic link itself. */
cosy_async int cosy_stat(const char *path, struct cosy_stat *ret_stat);
cosy_async int cosy_lstat(const char *path, struct cosy_stat *ret_stat);
cosy_async int cosy_file_stat(cosy_file *file, struct cosy_stat *ret_stat);

/* Asks whether there is something at the path. 1: there is; 0: there is not (-ENOENT, -ENOTDIR), a dangling link
 * included; or the error for which that is not known: -EACCES, -ELOOP ... */
cosy_async int cosy_exists(const char *path);
/* Whether the process may do that: mode is F_OK, or R_OK, W_OK, X_OK added up (faccessat(2), effective user). 0,
 * -EACCES, -ENOENT, -EROFS ... */
cosy_async int cosy_access(const char *path, int mode);

/* ---- names ---- */

/* How to rename. Every default is zero. */
struct cosy_rename_options {
    size_t struct_size; /* filled in by the macro */
    bool exclusive;     /* -EEXIST when the name is there already */
};

/*     int cosy_rename(const char *from, const char *to, .option = value...);
 *
 * Gives a file or directory another name, in place of what has it, in one step (rename(2)). .exclusive: -EEXIST
 * instead. 0, -ENOENT, -EXDEV: another file system ... */
#define cosy_rename(from, to, ...)                                                                             \
    cosy_rename_((from), (to),                                                                                 \
                 &(const struct cosy_rename_options){.struct_size = sizeof(struct cosy_rename_options), __VA_ARGS__})
cosy_async int cosy_rename_(const char *from, const char *to, const struct cosy_rename_options *options);

/* Removes a name (unlink(2)). 0, -ENOENT, -EISDIR, -EACCES ... */
cosy_async int cosy_unlink(const char *path);
/* Makes `path` a symbolic link that says `target`, whether that exists or not (symlink(2)). */
cosy_async int cosy_symlink(const char *target, const char *path);
/* What a symbolic link says: memory that the caller frees with free(). 0, -EINVAL: it is none ... On errors NULL. */
cosy_async int cosy_readlink(const char *path, char **ret_target);
/* Gives a file one more name (link(2)). */
cosy_async int cosy_link(const char *path, const char *new_path);
/* Changes the rights (chmod(2)). */
cosy_async int cosy_chmod(const char *path, mode_t mode);

/* ---- locks ---- */

/* How to lock. Every default is zero. */
struct cosy_file_lock_options {
    size_t struct_size; /* filled in by the macro */
    bool shared;        /* several may have it, if all of them share; else one alone */
    bool try_only;      /* -EAGAIN at once when somebody else has it */
};

/*     int cosy_file_lock(cosy_file *file, .option = value...);
 *
 * Locks the whole file against others that lock it: other processes, and other openings of the file in this one (open
 * file description locks, fcntl(2); the file must be open for writing, or for reading when shared: -EBADF). It waits by
 * asking again, after 1 ms at first and 50 ms at last: the kernel's own waiting would keep a thread that no cancel
 * reaches. No order among those who wait. Locking again changes shared to exclusive and back. 0, -EAGAIN, -ECANCELED,
 * -ENOLCK. Released by cosy_file_unlock, the file's close, and the process's end. */
#define cosy_file_lock(file, ...)                                                                              \
    cosy_file_lock_((file), &(const struct cosy_file_lock_options){                                            \
                                .struct_size = sizeof(struct cosy_file_lock_options), __VA_ARGS__})
cosy_async int cosy_file_lock_(cosy_file *file, const struct cosy_file_lock_options *options);
/* Releases the lock. 0; harmless when it is not locked. Never suspends. */
int cosy_file_unlock(cosy_file *file);

/* ---- temporary files ---- */

/* How a temporary file is to be. Every default is zero. */
struct cosy_temporary_options {
    size_t struct_size;     /* filled in by the macro */
    const char *directory;  /* where; NULL: $TMPDIR, or /tmp */
    const char *prefix;     /* of its name; NULL: "cosy-" */
    bool named;             /* it has a name while it is open: cosy_file_path. Else it has none, as far as the file
                             * system can do without */
};

/*     int cosy_temporary_file(cosy_file **ret_file, .option = value...);
 *
 * Opens a new, empty file for reading and writing that only this user may open, and that is gone when it is closed, or
 * when the process ends (a named one then stays; tempfile.TemporaryFile, NamedTemporaryFile). Errors as
 * cosy_file_open. */
#define cosy_temporary_file(ret_file, ...)                                                                     \
    cosy_temporary_file_((ret_file), &(const struct cosy_temporary_options){                                   \
                                         .struct_size = sizeof(struct cosy_temporary_options), __VA_ARGS__})
cosy_async int cosy_temporary_file_(cosy_file **ret_file, const struct cosy_temporary_options *options);

#ifdef __cplusplus
}
#endif
#endif
