/* file_lock.c - locks on files: asked for again and again, since whoever waits for one in the kernel cannot be called
 * back. */
#include "file.h"

#include <cosy/sleep.h>
#include <cosy/trace.h>

#include "../sys/files.h"

static const cosy_ns FIRST = COSY_MS(1), LAST = COSY_MS(50);

static int lock(const cosy_file *file, const struct cosy_file_lock_options *options)
{
    int result, type = options->shared ? F_RDLCK : F_WRLCK;
    cosy_ns pause = FIRST;
    while ((result = cosy_sys_lock(file->fd, type)) == -EAGAIN) {
        if (options->try_only)
            return result;
        result = cosy_sleep(pause);
        if (result < 0)
            return result;
        pause = 2 * pause < LAST ? 2 * pause : LAST;
    }
    return result;
}

cosy_async int cosy_file_lock_(cosy_file *file, const struct cosy_file_lock_options *options)
{
    int error;
    struct cosy_task *me = cosy_file_enter(file, "cosy_file_lock", &error);
    return me ? (int)cosy_file_told(file, "locking", lock(file, options)) : error;
}

int cosy_file_unlock(cosy_file *file)
{
    if (!file)
        return -EINVAL;
    int result = cosy_sys_lock(file->fd, F_UNLCK);
    return result < 0 ? cosy_file_fail("unlocking", file->path, result) : 0;
}
