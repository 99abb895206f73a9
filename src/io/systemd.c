/* systemd.c - sockets that were opened before the program began: sd_listen_fds(3), by the environment alone. */
#include "server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sys/syscalls.h"

enum { FIRST_FD = 3, FDS_MOST = 256 };

/* A whole number, or -1. */
static long number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (!text)
        return -1;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno == 0 && *text && !*end && number >= 0 ? number : -1;
}

/* How many were passed to this process and not to one before it: 0, and -EINVAL for nonsense. */
static int passed(void)
{
    if (!getenv("LISTEN_PID") || !getenv("LISTEN_FDS"))
        return 0;
    long pid = number_in("LISTEN_PID"), count = number_in("LISTEN_FDS");
    if (pid < 0 || count < 0 || count > FDS_MOST)
        return cosy_fail(EINVAL, "socket activation: LISTEN_PID=%s LISTEN_FDS=%s", getenv("LISTEN_PID"),
                         getenv("LISTEN_FDS"));
    return pid == getpid() ? (int)count : 0;
}

/* Is the index-th of "web:admin:web" this one? One without a name is "unknown", as with systemd. */
static bool has_name(int index, const char *name)
{
    const char *names = getenv("LISTEN_FDNAMES");
    for (; names && index > 0; index--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    if (!names)
        return strcmp(name, "unknown") == 0;
    size_t length = strcspn(names, ":");
    return strlen(name) == length && memcmp(names, name, length) == 0;
}

static int close_on_exec(int fd)
{
    int flags = COSY_SYS_CALL(fcntl(fd, F_GETFD));
    return flags < 0 ? flags : COSY_SYS_CALL(fcntl(fd, F_SETFD, flags | FD_CLOEXEC));
}

int cosy_listen_fds(const char *name, int *fds, size_t room)
{
    int count = passed();
    size_t found = 0;
    for (int i = 0; i < count; i++) {
        if (name && !has_name(i, name))
            continue;
        int result = close_on_exec(FIRST_FD + i);
        if (result < 0)
            return cosy_fail(-result, "socket activation: descriptor %d: %s", FIRST_FD + i, cosy_strerror(result));
        if (found < room)
            fds[found] = FIRST_FD + i;
        found++;
    }
    return count < 0 ? count : (int)found;
}

int cosy_start_systemd_server_(cosy_server **ret_server, cosy_coro *call, const char *name,
                               const struct cosy_server_options *options)
{
    int fds[FDS_MOST];
    struct cosy_server_options kept = *options;
    kept.keep_socket = true; /* systemd listens there when we have gone */
    int count = cosy_listen_fds(name, fds, FDS_MOST);
    if (count > 0)
        return cosy_server_start_on_all(ret_server, call, fds, (size_t)count, &kept);
    cosy_coro_close(call);
    if (ret_server)
        *ret_server = NULL;
    return count < 0 ? count
                     : cosy_fail(ENOENT, "socket activation passed no socket%s%s to this process",
                                 name ? " named " : "", name ? name : "");
}
