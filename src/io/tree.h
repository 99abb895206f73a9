/* tree.h - the inside of directories: entries as the kernel gives them, and removing all there is. */
#ifndef COSY_IO_TREE_H
#define COSY_IO_TREE_H

#include <cosy/directory.h>

/* As getdents64(2) writes them. */
struct cosy_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t size; /* of this one */
    unsigned char type;
    char name[];
};

static inline bool cosy_dirent_is_dot(const struct cosy_dirent *entry)
{
    return entry->name[0] == '.' && (!entry->name[1] || (entry->name[1] == '.' && !entry->name[2]));
}

/* cosy_remove_tree that is not stopped by a cancel, nor by a lack of threads or memory: what it needs is made before.
 * NULL without memory. */
struct cosy_remove_job *cosy_remove_job_new(const char *path);
/* Removes the path, which is still there, and frees the job. Blocks outside a task. */
cosy_async int cosy_remove_job_run(struct cosy_remove_job *job);
void cosy_remove_job_free(struct cosy_remove_job *job);

#endif
