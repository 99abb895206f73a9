/* files.c - the real kernel's files and terminals. */
#include "../files.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "../syscalls.h"

/* What a network's file system is asked may be interrupted. */
#define UNINTERRUPTED(call)                                                                                            \
    ({                                                                                                                 \
        int answer_;                                                                                                   \
        do                                                                                                             \
            answer_ = COSY_SYS_CALL(call);                                                                             \
        while (answer_ == -EINTR);                                                                                     \
        answer_;                                                                                                       \
    })

int cosy_sys_stat_fd(int fd, struct stat *ret_status)
{
    return sys_fstat(fd, ret_status);
}

int cosy_sys_status_flags(int fd)
{
    return COSY_SYS_CALL(fcntl(fd, F_GETFL));
}

int cosy_sys_access_mode(int fd)
{
    int flags = cosy_sys_status_flags(fd);
    return flags < 0 ? flags : flags & O_ACCMODE;
}

int cosy_sys_dup(int fd)
{
    return COSY_SYS_CALL(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int cosy_sys_reopen(int fd, bool writing)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return COSY_SYS_CALL(open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

int cosy_sys_read_file(int fd, void *buffer, size_t size)
{
    return sys_read(fd, buffer, size);
}

bool cosy_sys_is_in_memory(int fd)
{
    struct statfs status;
    return UNINTERRUPTED(fstatfs(fd, &status)) == 0 &&
           (status.f_type == TMPFS_MAGIC || (unsigned long)status.f_type == RAMFS_MAGIC);
}

/* The caller asks for no more than an int tells. */
int64_t cosy_sys_copy_range(int from, int64_t *from_at, int to, int64_t *to_at, size_t size)
{
    return UNINTERRUPTED(copy_file_range(from, from_at, to, to_at, size, 0));
}

int cosy_sys_lock(int fd, int type)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET};
    int result = UNINTERRUPTED(fcntl(fd, F_OFD_SETLK, &lock));
    return result == -EACCES ? -EAGAIN : result;
}

int cosy_sys_chmod_fd(int fd, mode_t mode)
{
    return UNINTERRUPTED(fchmod(fd, mode));
}

int cosy_sys_list(int fd, void *buffer, size_t size)
{
    return UNINTERRUPTED(syscall(SYS_getdents64, fd, buffer, size));
}

int cosy_sys_stat_at(int dir, const char *name, int flags, struct stat *ret_status)
{
    return UNINTERRUPTED(fstatat(dir, name, ret_status, flags));
}

int cosy_sys_inotify(void)
{
    return COSY_SYS_CALL(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

int cosy_sys_inotify_add(int fd, const char *path, uint32_t events)
{
    return UNINTERRUPTED(inotify_add_watch(fd, path, events));
}

int cosy_sys_inotify_remove(int fd, int watch)
{
    return COSY_SYS_CALL(inotify_rm_watch(fd, watch));
}

int cosy_sys_terminal_size(int fd, struct winsize *ret_size)
{
    return COSY_SYS_CALL(ioctl(fd, TIOCGWINSZ, ret_size));
}

bool cosy_sys_is_master(int fd)
{
    unsigned number;
    return ioctl(fd, TIOCGPTN, &number) == 0;
}

int cosy_sys_get_terminal(int fd, struct termios *ret_settings)
{
    return COSY_SYS_CALL(tcgetattr(fd, ret_settings));
}

/* A process in the background would be stopped by SIGTTOU in the middle of its end. */
int cosy_sys_set_terminal(int fd, const struct termios *settings)
{
    sigset_t stop, before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &stop, &before);
    int result;
    do
        result = COSY_SYS_CALL(tcsetattr(fd, TCSADRAIN, settings));
    while (result == -EINTR);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
