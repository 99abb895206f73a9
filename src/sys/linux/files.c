/* files.c - the real kernel's files and terminals. */
#include "../files.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "../syscalls.h"

int cosy_sys_stat_fd(int fd, struct stat *ret_status)
{
    return sys_fstat(fd, ret_status);
}

int cosy_sys_access_mode(int fd)
{
    int flags = COSY_SYS_CALL(fcntl(fd, F_GETFL));
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
