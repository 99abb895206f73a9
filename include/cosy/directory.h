/* cosy/directory.h - directories: what is in them, whole trees, and temporary ones.
 *
 *     int err = 0;
 *     COSY_FOR (struct cosy_dir_entry, entry, err, cosy_scandir("/etc"))  async for entry in anyio.Path("/etc").iterdir():
 *         printf("%s\n", entry.name);                                         print(entry.name)
 *
 *     COSY_FOR (struct cosy_dir_entry, entry, err, cosy_walk("src", .files_only = true))
 *         printf("%s\n", entry.path);                                          for path in Path("src").rglob("*"): ...
 *
 * Directories are read by threads of the loop's pool for files (COSY_POOL_FILES), many entries at a time: most steps
 * suspend nobody. The order is the file system's. "." and ".." are left out. Leaving COSY_FOR in any way closes what is
 * open. What is said of cancelling and of errors in cosy/file.h holds here too. Semantics: os.scandir, os.walk,
 * shutil.rmtree; getdents(2).
 */
#ifndef COSY_DIRECTORY_H
#define COSY_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agen.h"
#include "call.h"
#include "colour.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- making and removing ---- */

/* How to make a directory. Every default is zero. */
struct cosy_mkdir_options {
    size_t struct_size; /* filled in by the macro */
    mode_t mode;        /* rights, less the umask; 0: 0777 */
    bool parents;       /* make those above it too, and be content when it is there already (mkdir -p) */
};

/*     int cosy_mkdir(const char *path, .option = value...);
 *
 * Makes a directory. 0, -EEXIST, -ENOENT: what it would be in is missing, -ENOTDIR, -EACCES, -ENOSPC ...; -ENOMEM,
 * -ECANCELED. */
#define cosy_mkdir(path, ...)                                                                                          \
    cosy_mkdir_((path),                                                                                                \
                &(const struct cosy_mkdir_options){.struct_size = sizeof(struct cosy_mkdir_options), __VA_ARGS__})
cosy_async int cosy_mkdir_(const char *path, const struct cosy_mkdir_options *options);

/* Removes an empty directory (rmdir(2)). 0, -ENOTEMPTY, -ENOENT, -ENOTDIR ... */
cosy_async int cosy_rmdir(const char *path);

/* Removes a directory and all that is in it, or a file (shutil.rmtree, rm -r). Symbolic links are removed, not
 * followed, also when others change the tree meanwhile. What cannot be removed is left, the rest goes on; the first
 * error is returned, with the path that it is about. -ENOENT: there is nothing at the path. -ECANCELED: a part may be
 * gone. Needs a descriptor per level. */
cosy_async int cosy_remove_tree(const char *path);

/* ---- listing ---- */

/* What an entry is, as far as the directory says it. */
enum cosy_file_type {
    COSY_TYPE_UNKNOWN, /* gone before it could be asked about */
    COSY_TYPE_FILE,
    COSY_TYPE_DIRECTORY,
    COSY_TYPE_SYMLINK,
    COSY_TYPE_OTHER, /* a FIFO, socket or device */
};

/* An entry. The texts are valid until the next step. */
struct cosy_dir_entry {
    const char *name; /* "main.c" */
    const char *path; /* with the directory's path in front, as that was given: "src/main.c" */
    uint64_t inode;
    enum cosy_file_type type;
    unsigned depth; /* of a walk: 1 for what lies in the directory itself */
    int error;      /* of a walk with .tell_errors: a directory that could not be read; negative */
};

/* What is in a directory: a source for COSY_FOR. Its head ends with the error of opening or reading: -ENOENT, -ENOTDIR,
 * -EACCES ...; NULL without memory, which COSY_FOR makes -ENOMEM of. The path is copied. */
cosy_must_use cosy_aiter *cosy_scandir(const char *path);

/* How to walk. Every default is zero. */
struct cosy_walk_options {
    size_t struct_size;  /* filled in by the macro */
    unsigned max_depth;  /* 1: no deeper than the directory itself; 0: no limit */
    bool follow;         /* enter directories behind symbolic links, except those that the walk is in already */
    bool files_only;     /* leave directories out, but enter them */
    bool tell_errors;    /* an entry with .error for each directory that cannot be read, instead of the walk's end */
};

/*     cosy_aiter *cosy_walk(const char *path, .option = value...);
 *
 * What is in a directory and in those below it: each directory comes before what is in it. A directory that cannot be
 * read ends the walk with its error and its path in the message; one that has gone meanwhile is passed over. Needs a
 * descriptor per level. As cosy_scandir. */
#define cosy_walk(path, ...)                                                                                   \
    cosy_walk_((path), &(const struct cosy_walk_options){.struct_size = sizeof(struct cosy_walk_options), __VA_ARGS__})
cosy_must_use cosy_aiter *cosy_walk_(const char *path, const struct cosy_walk_options *options);

/* ---- temporary directories ---- */

/* A directory that is removed with all that is in it: made by cosy_temporary_directory, ended by cosy_tempdir_close. */
typedef struct cosy_tempdir cosy_tempdir;

/* How a temporary directory is to be. Every default is zero. */
struct cosy_tempdir_options {
    size_t struct_size;    /* filled in by the macro */
    const char *directory; /* where; NULL: $TMPDIR, or /tmp */
    const char *prefix;    /* of its name; NULL: "cosy-" */
};

/*     int cosy_temporary_directory(cosy_tempdir **ret_directory, .option = value...);
 *
 * Makes a new directory that only this user may enter (tempfile.TemporaryDirectory). 0; errors as cosy_mkdir. */
#define cosy_temporary_directory(ret_directory, ...)                                                           \
    cosy_temporary_directory_((ret_directory), &(const struct cosy_tempdir_options){                           \
                                                   .struct_size = sizeof(struct cosy_tempdir_options), __VA_ARGS__})
cosy_async int cosy_temporary_directory_(cosy_tempdir **ret_directory, const struct cosy_tempdir_options *options);

/* Its path, valid until it is closed. */
const char *cosy_tempdir_path(const cosy_tempdir *directory);

/* Removes it, and frees the handle in any case; waits even when the task is cancelled. 0, or an error of
 * cosy_remove_tree but -ENOENT. NULL: 0. Outside a task it blocks. */
cosy_async int cosy_tempdir_close(cosy_tempdir *directory);
static inline cosy_async void cosy_tempdir_closep_(cosy_tempdir **directory) { cosy_tempdir_close(*directory); }
#define COSY_DROPP_cosy_tempdir_ cosy_tempdir_closep_ /* cosy_scoped(cosy_tempdir) */

#ifdef __cplusplus
}
#endif
#endif
