/* tty.c - how terminals treat what is typed, and that they are left as they were found. */
#include "pipe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../sys/files.h"

/* What is changed, and how it was. `state` changes under the lock; signal handlers look at those that are SET, whose
 * other fields do not change. The descriptor is this table's own. */
enum { FREE, SET };
enum { TERMINALS = 8 };

static struct changed {
    atomic_int state;
    int fd;
    dev_t device;
    const cosy_stream *owner; /* the stream that changed it last */
    struct termios original;
} changed[TERMINALS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void cosy_tty_reset(void)
{
    for (int i = 0; i < TERMINALS; i++)
        if (atomic_load(&changed[i].state) == SET)
            cosy_sys_set_terminal(changed[i].fd, &changed[i].original);
}

static void reset_at_exit(void)
{
    static bool asked; /* under the lock */
    if (!asked)
        atexit(cosy_tty_reset);
    asked = true;
}

static bool has_terminal(const cosy_stream *stream)
{
    return stream && stream->port.fd >= 0 && stream->kind->close == cosy_terminal_stream.close;
}

bool cosy_isatty(const cosy_stream *stream)
{
    struct termios settings;
    return has_terminal(stream) && cosy_sys_get_terminal(stream->port.fd, &settings) == 0;
}

int cosy_tty_size(const cosy_stream *stream, unsigned *ret_columns, unsigned *ret_rows)
{
    struct winsize size;
    int result = has_terminal(stream) ? cosy_sys_terminal_size(stream->port.fd, &size) : -ENOTTY;
    if (result < 0)
        return result;
    if (ret_columns)
        *ret_columns = size.ws_col;
    if (ret_rows)
        *ret_rows = size.ws_row;
    return 0;
}

static struct changed *find(dev_t device)
{
    for (int i = 0; i < TERMINALS; i++)
        if (atomic_load(&changed[i].state) == SET && changed[i].device == device)
            return &changed[i];
    return NULL;
}

static int remember(const cosy_stream *stream, dev_t device, struct changed **ret_entry)
{
    struct changed *entry = NULL;
    for (int i = 0; i < TERMINALS && !entry; i++)
        if (atomic_load(&changed[i].state) == FREE)
            entry = &changed[i];
    if (!entry)
        return cosy_fail(ENOSPC, "%d terminals are changed already", TERMINALS);
    int result = cosy_sys_get_terminal(stream->port.fd, &entry->original);
    if (result == 0)
        result = entry->fd = cosy_sys_dup(stream->port.fd);
    if (result < 0)
        return result;
    entry->device = device;
    atomic_store(&entry->state, SET);
    reset_at_exit();
    *ret_entry = entry;
    return 0;
}

static int restore(struct changed *entry)
{
    int result = cosy_sys_set_terminal(entry->fd, &entry->original);
    atomic_store(&entry->state, FREE);
    close(entry->fd);
    entry->owner = NULL;
    return result;
}

static int change(const cosy_stream *stream, dev_t device, enum cosy_tty_mode mode)
{
    struct changed *entry = find(device);
    if (mode == COSY_TTY_NORMAL)
        return entry ? restore(entry) : 0;
    int result = entry ? 0 : remember(stream, device, &entry);
    if (result < 0)
        return result;
    struct termios settings = entry->original;
    if (mode == COSY_TTY_RAW)
        cfmakeraw(&settings);
    else
        settings.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    result = cosy_sys_set_terminal(entry->fd, &settings);
    if (!entry->owner && result < 0)
        restore(entry);
    else
        entry->owner = stream;
    return result;
}

int cosy_tty_set_mode(cosy_stream *stream, enum cosy_tty_mode mode)
{
    struct stat status;
    if ((unsigned)mode > COSY_TTY_RAW)
        return -EINVAL;
    int result = has_terminal(stream) ? cosy_sys_stat_fd(stream->port.fd, &status) : -ENOTTY;
    if (result < 0)
        return result;
    pthread_mutex_lock(&lock);
    result = change(stream, status.st_rdev, mode);
    pthread_mutex_unlock(&lock);
    return result == -ENOTTY || result == -EINVAL ? -ENOTTY : result;
}

void cosy_tty_forget(cosy_stream *stream)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < TERMINALS; i++)
        if (atomic_load(&changed[i].state) == SET && changed[i].owner == stream)
            restore(&changed[i]);
    pthread_mutex_unlock(&lock);
}
