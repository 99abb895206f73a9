/* process.c - starting programs: their descriptors, their birth, their streams. */
#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "pipe.h"
#include "process_sim.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- its descriptors ---- */

enum { AS_PARENT = -1 };

/* What is closed when the program has begun. /dev/null and the terminal may stand at several places. */
struct ends {
    int childs[3];
    int null, terminal;
    cosy_stream *screen; /* the terminal's other side */
};

static void name_stream(cosy_stream *stream, const cosy_process *process, int which, bool terminal)
{
    static const char *const names[] = {"standard input of ", "standard output of ", "standard error of "};
    const char *what = terminal ? "terminal of " : names[which];
    size_t length = strlen(what), size = length + strlen(process->name) + 1;
    stream->peer_path = cosy_heap_alloc(size); /* without memory, messages do not have it */
    if (stream->peer_path)
        strcpy(mempcpy(stream->peer_path, what, length), process->name);
}

static cosy_stream *stream_of(cosy_process *process, int which, int fd, bool terminal,
                              const struct cosy_process_options *options)
{
    const struct cosy_stream_kind *kind = terminal     ? &cosy_terminal_stream
                                          : which == 0 ? &cosy_writer_stream
                                                       : &cosy_pipe_stream;
    cosy_stream *stream = cosy_stream_new(process->loop, kind, fd, NULL, &options->stream);
    if (!stream) {
        close(fd);
        return NULL;
    }
    stream->read_only = !terminal && which != 0;
    name_stream(stream, process, which, terminal);
    return stream;
}

static int open_pipe(cosy_process *process, struct ends *ends, int which, const struct cosy_process_options *options)
{
    int fds[2], parents = which == 0;
    int result = cosy_sys_child_pipe(fds, parents);
    if (result < 0)
        return result;
    ends->childs[which] = fds[!parents];
    process->streams[which] = stream_of(process, which, fds[parents], false, options);
    return process->streams[which] ? 0 : -ENOMEM;
}

static int open_terminal(cosy_process *process, struct ends *ends, const struct cosy_process_options *options)
{
    int fds[2], result = ends->screen ? 0 : cosy_sys_child_terminal(fds, options->pty_rows, options->pty_columns);
    if (result < 0 || ends->screen)
        return result;
    ends->terminal = fds[1];
    ends->screen = stream_of(process, 0, fds[0], true, options);
    process->terminal = true;
    return ends->screen ? 0 : -ENOMEM;
}

/* 0, and *ret_source is what the program gets, or AS_PARENT. */
static int open_source(cosy_process *process, struct ends *ends, int which, int choice, int *ret_source,
                       const struct cosy_process_options *options)
{
    int result = 0;
    switch (choice) {
    case COSY_INHERIT:
        *ret_source = AS_PARENT;
        return 0;
    case COSY_PIPE:
        result = open_pipe(process, ends, which, options);
        *ret_source = ends->childs[which];
        return result;
    case COSY_DEVNULL:
        result = ends->null >= 0 ? 0 : cosy_sys_child_null();
        if (ends->null < 0)
            ends->null = result;
        *ret_source = ends->null;
        return result < 0 ? result : 0;
    case COSY_PTY:
        result = open_terminal(process, ends, options);
        process->streams[which] = ends->screen;
        *ret_source = ends->terminal;
        return result;
    default:
        *ret_source = choice;
        return 0;
    }
}

static int complain_of_stdio(const struct cosy_launch *launch, int which, int result)
{
    static const char *const names[] = {"input", "output", "error"};
    if (result == -ENOMEM)
        return result;
    return cosy_fail(-result, "starting %.100s: its standard %s: %s", launch->program, names[which],
                     cosy_strerror(result));
}

static int open_stdio(cosy_process *process, struct cosy_launch *launch, struct ends *ends)
{
    const struct cosy_process_options *options = launch->options;
    const int choices[3] = {options->stdin, options->stdout, options->stderr};
    int *stdio = launch->plan.stdio;
    for (int i = 0; i < 3; i++) {
        int choice = choices[i] == COSY_INHERIT && options->pty ? COSY_PTY : choices[i];
        int result = 0;
        if (choice == COSY_STDOUT)
            stdio[i] = stdio[1] == AS_PARENT ? STDOUT_FILENO : stdio[1];
        else
            result = open_source(process, ends, i, choice, &stdio[i], options);
        if (result < 0)
            return complain_of_stdio(launch, i, result);
    }
    launch->plan.terminal = ends->screen && stdio[0] == ends->terminal;
    return 0;
}

static void close_childs(const struct ends *ends)
{
    for (int i = 0; i < 3; i++)
        if (ends->childs[i] >= 0)
            close(ends->childs[i]);
    if (ends->null >= 0)
        close(ends->null);
    if (ends->terminal >= 0)
        close(ends->terminal);
}

/* ---- its birth ---- */

static void copy_name(cosy_process *process, const char *program)
{
    size_t length = strlen(program), room = sizeof process->name - 1;
    const char *from = length > room ? program + length - room : program; /* the end of a path tells more */
    strcpy(process->name, from);
}

static cosy_process *process_new(struct cosy_loop *loop, const char *program,
                                 const struct cosy_process_options *options)
{
    cosy_process *process = cosy_heap_zalloc(sizeof *process);
    if (!process)
        return NULL;
    if (!loop->children.next)
        cosy_list_init(&loop->children);
    process->loop = loop;
    cosy_loop_hold(loop);
    cosy_list_init(&process->of_loop);
    cosy_list_init(&process->waiters);
    cosy_list_init(&process->ended.link);
    process->port.fd = -1;
    process->forks = atomic_load(&cosy_forks);
    process->returncode = COSY_STILL_RUNNING;
    process->kill_group = options->kill_group;
    process->grace = options->close_grace;
    if (unlikely(loop->debug) && cosy_task_here())
        process->maker = cosy_task_here()->site;
    copy_name(process, program);
    return process;
}

/* One that nobody would hear of must not be. */
static void undo_birth(cosy_process *process)
{
    int unused;
    (void)cosy_process_signal(process, SIGKILL);
    (void)cosy_sys_child_await(process->pid, false, &unused);
    process->reaped = true;
    cosy_port_wait_not(&process->ended);
    cosy_port_close(&process->port, -COSY_ECLOSED);
}

static int give_birth(cosy_process *process, struct cosy_launch *launch)
{
    int pidfd, result = cosy_sys_spawn(&launch->plan, &process->pid, &pidfd);
    if (result < 0)
        return cosy_launch_failed(launch, result);
    result = cosy_process_hear_of_end(process, pidfd);
    if (result < 0) {
        undo_birth(process);
        return cosy_fail(-result, "starting %.100s: waiting for its end: %s", launch->program, cosy_strerror(result));
    }
    cosy_list_append(&process->loop->children, &process->of_loop);
    return 0;
}

static int start(cosy_process *process, struct cosy_launch *launch)
{
    struct ends ends = {.childs = {-1, -1, -1}, .null = -1, .terminal = -1};
    int result = open_stdio(process, launch, &ends);
    if (result == 0)
        result = give_birth(process, launch);
    close_childs(&ends);
    return result;
}

/* ---- the doors ---- */

/* Nothing has begun: to be closed like one that has ended. */
static void drop_unborn(cosy_process *process)
{
    process->returncode = 255;
    process->reaped = true;
    (void)cosy_process_close(process);
}

cosy_async static int create_real(cosy_process *process, const char *const *argv,
                                  const struct cosy_process_options *options)
{
    struct cosy_launch *launch = cosy_heap_zalloc(sizeof *launch);
    if (!launch)
        return -ENOMEM;
    int result = cosy_launch_prepare(launch, argv, options);
    if (result == 0)
        result = start(process, launch);
    cosy_launch_clear(launch);
    cosy_heap_free(launch);
    return result;
}

int cosy_create_subprocess_exec_(cosy_process **ret_process, const char *const *argv,
                                 const struct cosy_process_options *options)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_create_subprocess_exec");
    if (!me || !ret_process)
        return me ? -EINVAL : -COSY_ENOTASK;
    *ret_process = NULL;
    int result = cosy_launch_check(argv, options);
    if (result < 0)
        return result;
    struct cosy_loop *loop = me->future.loop;
    cosy_process *process = process_new(loop, options->executable ? options->executable : argv[0], options);
    if (!process)
        return -ENOMEM;
    result = cosy_loop_is_simulated(loop) ? cosy_simulated_program_start(process, argv, options)
                                          : create_real(process, argv, options);
    if (result < 0) {
        drop_unborn(process);
        return result;
    }
    *ret_process = process;
    return 0;
}

int cosy_create_subprocess_shell_(cosy_process **ret_process, const char *command,
                                  const struct cosy_process_options *options)
{
    if (!command || (options->executable && !*options->executable))
        return -EINVAL;
    return cosy_create_subprocess_exec_(ret_process, COSY_ARGV("/bin/sh", "-c", command), options);
}

/* ---- what it is ---- */

pid_t cosy_process_pid(const cosy_process *process)
{
    return process->pid;
}
int cosy_process_returncode(const cosy_process *process)
{
    return process->returncode;
}
cosy_stream *cosy_process_stdin(const cosy_process *process)
{
    return process->streams[0];
}
cosy_stream *cosy_process_stdout(const cosy_process *process)
{
    return process->streams[1];
}
cosy_stream *cosy_process_stderr(const cosy_process *process)
{
    return process->streams[2];
}

int cosy_process_set_pty_size(cosy_process *process, unsigned columns, unsigned rows)
{
    for (int i = 0; process->terminal && i < 3; i++)
        if (process->streams[i] && process->streams[i]->kind == &cosy_terminal_stream)
            return cosy_sys_child_terminal_size(process->streams[i]->port.fd, rows, columns);
    return -ENOTTY;
}
