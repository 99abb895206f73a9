/* standard.c - the descriptors that a program is started with, as streams, whatever they are. */
#include "pipe.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/heap.h"
#include "../sys/files.h"
#include "file_stream.h"

/* ---- files, and what else is always ready ---- */

static int open_file(struct cosy_loop *loop, int fd, cosy_stream **ret_stream,
                     const struct cosy_stream_options *options)
{
    int copy = cosy_sys_dup(fd), result = copy < 0 ? copy : cosy_file_stream_new(loop, copy, -1, ret_stream, options);
    if (copy >= 0 && result < 0)
        close(copy);
    return result;
}

/* ---- an open file that others share ---- */

/* The stream's kind, but for its end. */
struct borrowed {
    struct cosy_stream_kind kind;
    struct borrowed *next;
    int fd; /* as the program was started with it; the stream has a copy */
    dev_t device;
    ino_t inode;
};

/* Those that this process has made non-blocking: made blocking again when their last stream ends, or the process. */
static struct borrowed *borrowed_ones;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void make_blocking(const struct borrowed *one)
{
    cosy_linux_net_ops.set_nonblocking(NULL, one->fd, false);
}

static void at_exit(void)
{
    for (struct borrowed *one = borrowed_ones; one; one = one->next)
        make_blocking(one);
}

static bool is_same(const struct borrowed *one, const struct borrowed *other)
{
    return one->device == other->device && one->inode == other->inode;
}

/* Another stream that needs it non-blocking. Under the lock. */
static bool is_needed(const struct borrowed *self)
{
    for (const struct borrowed *one = borrowed_ones; one; one = one->next)
        if (one != self && is_same(one, self))
            return true;
    return false;
}

static void give_back(cosy_stream *stream)
{
    struct borrowed *self = stream->carrier;
    pthread_mutex_lock(&lock);
    struct borrowed **place = &borrowed_ones;
    while (*place != self)
        place = &(*place)->next;
    *place = self->next;
    if (!is_needed(self))
        make_blocking(self);
    pthread_mutex_unlock(&lock);
    cosy_heap_free(self);
}

/* `self` is used up. A descriptor that was non-blocking before is nobody's to restore, unless another stream here made
 * it so. */
static void borrow(cosy_stream *stream, struct borrowed *self)
{
    static bool asked;
    pthread_mutex_lock(&lock);
    bool ours = stream->was_blocking || is_needed(self);
    if (ours) {
        self->next = borrowed_ones;
        borrowed_ones = self;
    }
    if (ours && !asked)
        asked = atexit(at_exit) == 0;
    pthread_mutex_unlock(&lock);
    if (!ours) {
        cosy_heap_free(self);
        return;
    }
    self->kind = *stream->kind;
    self->kind.release = give_back;
    stream->kind = &self->kind;
    stream->carrier = self;
}

static int open_shared(int fd, const struct stat *status, cosy_stream **ret_stream,
                       const struct cosy_stream_options *options)
{
    struct borrowed *self = cosy_heap_zalloc(sizeof *self);
    if (!self)
        return -ENOMEM;
    *self = (struct borrowed){.fd = fd, .device = status->st_dev, .inode = status->st_ino};
    int copy = cosy_sys_dup(fd), result = copy < 0 ? copy : cosy_stream_adopt_(copy, ret_stream, options);
    if (result == 0) {
        borrow(*ret_stream, self);
        return 0;
    }
    if (copy >= 0)
        close(copy);
    cosy_heap_free(self);
    return result;
}

/* ---- the right way for each ---- */

static int open_anew(int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options)
{
    int own = cosy_sys_reopen(fd, fd != STDIN_FILENO);
    int result = own < 0 ? own : cosy_stream_adopt_(own, ret_stream, options);
    if (own >= 0 && result < 0)
        close(own);
    return result;
}

/* A pty's master opened anew would be another pty. */
static bool can_be_opened_anew(int fd, const struct stat *status)
{
    return S_ISFIFO(status->st_mode) || (S_ISCHR(status->st_mode) && !cosy_sys_is_master(fd));
}

static int open_standard(struct cosy_loop *loop, int fd, cosy_stream **ret_stream,
                         const struct cosy_stream_options *options)
{
    struct stat status;
    int result = cosy_sys_stat_fd(fd, &status);
    if (result < 0)
        return cosy_fail(-result, "standard descriptor %d: %s", fd, cosy_strerror(result));
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return open_file(loop, fd, ret_stream, options);
    result = can_be_opened_anew(fd, &status) ? open_anew(fd, ret_stream, options) : -ENXIO;
    if (result < 0 && result != -EPERM && result != -ENOMEM && result != -EINVAL)
        result = open_shared(fd, &status, ret_stream, options);
    return result == -EPERM ? open_file(loop, fd, ret_stream, options) : result; /* /dev/null is always ready */
}

int cosy_standard_stream_(int fd, cosy_stream **ret_stream, const struct cosy_stream_options *options)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop || !ret_stream)
        return loop ? -EINVAL : -COSY_ENOLOOP;
    if (fd != STDIN_FILENO)
        fflush(fd == STDOUT_FILENO ? stdout : stderr);
    int result = cosy_stream_check_options(options);
    if (result == 0)
        result = open_standard(loop, fd, ret_stream, options);
    if (result == 0 && !(*ret_stream)->peer_path)
        (*ret_stream)->peer_path = cosy_heap_strdup(names[fd]); /* without memory, messages do not have it */
    return result;
}
