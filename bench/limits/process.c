/* process: posix_spawn and waitid. process_output: the same with a pipe, read to its end. */
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void await(pid_t pid)
{
    siginfo_t info;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 || info.si_code != CLD_EXITED || info.si_status != 0)
        fail("waitid");
}

static void run_one(void)
{
    char *argv[] = {"/bin/true", NULL};
    pid_t pid;
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        fail("posix_spawn");
    await(pid);
}

static void run_output(void)
{
    char *argv[] = {"/bin/echo", "hello", NULL}, text[4096];
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe2");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        fail("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (read(ends[0], text, sizeof text) > 0)
        ;
    close(ends[0]);
    await(pid);
}

int limit_process_row(const char *name, long size)
{
    void (*run)(void) = strcmp(name, "process_output") == 0 ? run_output : run_one;
    for (long i = size / 10 + 1; i > 0; i--)
        run();
    double start = bench_wall_ns();
    for (long i = size; i > 0; i--)
        run();
    return bench_print(name, (bench_wall_ns() - start) / (double)size / 1e3, "us");
}
