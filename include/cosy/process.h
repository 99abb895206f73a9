/* cosy/process.h - subprocesses: programs that are started, talked to, waited for and ended.
 *
 *     cosy_scoped(cosy_process) process = NULL;
 *     cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("ls", "-l"),  process = await asyncio.create_subprocess_exec("ls", "-l",
 *                                          .stdout = COSY_PIPE));                stdout=asyncio.subprocess.PIPE)
 *     int64_t length;
 *     COSY_LINES(cosy_process_stdout(process), line, length)                 async for line in process.stdout:
 *         printf("%s", line);
 *     int code;
 *     cosy_try(cosy_process_wait(process, &code));                           code = await process.wait()
 *
 *     struct cosy_process_result result;                              result = subprocess.run(..., capture_output=True,
 *     cosy_try(cosy_run_process(COSY_ARGV("git", "log"), &result,         check=True)
 *                               .capture = true, .check = true));
 *
 * A process belongs to its owner: closing it, which cosy_scoped does at the end of the block on every path, ends a
 * program that still runs and reaps it. So no program outlives the code that started it, and none stays behind as a
 * zombie. Whoever wants one to go on waits for it. What the program itself has started is not ended with it: of a shell
 * that is killed, the command at work goes on, unless .kill_group is set.
 *
 * WHAT IT INHERITS. Descriptors 0, 1 and 2, unless they are given others; no further descriptor, unless it is named in
 * .pass_fds. Signals have their default effect and none is blocked; but signals that the parent ignores stay ignored
 * (nohup), except SIGPIPE and SIGXFSZ. Directory, environment, user, limits: the parent's, unless options tell.
 *
 * THE RETURN CODE is Python's: the exit status, 0 to 255, or the negative number of the signal that ended the program.
 *
 * A program of which somebody else takes the exit status (waitpid(-1) in a library, or SIGCHLD ignored) ends all the
 * same; the return code is the right one where the kernel can still tell it (Linux 6.15), else 255, and a warning is
 * logged, as in asyncio.
 *
 * The calls that suspend belong to tasks of the process's loop, all others to its thread. Starting blocks the thread
 * until the program has begun: some hundred microseconds. On the simulated kernel only programs of the test's own start
 * (cosy_test_program). Semantics: https://docs.python.org/3/library/asyncio-subprocess.html,
 * https://docs.python.org/3/library/subprocess.html; pidfd_open(2), execve(2).
 */
#ifndef COSY_PROCESS_H
#define COSY_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "colour.h"
#include "stream.h"
#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A program that was started, from then until cosy_process_close. */
typedef struct cosy_process cosy_process;
#define COSY_DROPP_cosy_process_ cosy_process_closep_ /* cosy_scoped(cosy_process) */

/* ---- starting ---- */

/* What becomes of a program's standard descriptor; any other number is a descriptor of the parent's that the program
 * gets a copy of, and that stays the parent's. */
enum {
    COSY_INHERIT = 0,  /* the parent's own one */
    COSY_PIPE = -1,    /* a pipe, whose other end is a stream: cosy_process_stdin and its like */
    COSY_STDOUT = -2,  /* stderr only: where stdout goes */
    COSY_DEVNULL = -3, /* /dev/null */
    COSY_PTY = -4,     /* a pseudo terminal: the program's controlling one, one for all that ask for it, in a session of
                        * its own */
};

/*     const char *const *COSY_ARGV(const char *program, const char *argument...);
 *
 * The arguments of a program, its own name first: COSY_ARGV("tail", "-f", path). It lives as long as the block it
 * stands in. Any array that NULL ends will do as well. */
#define COSY_ARGV(...) ((const char *const[]){__VA_ARGS__, (const char *)0})

/* A limit of resources: setrlimit(2). */
struct cosy_process_limit {
    int resource; /* RLIMIT_CPU ... */
    struct rlimit limit;
};

/* How to start a program. Every default is zero. What pointers point to is not needed when the call has returned. */
struct cosy_process_options {
    size_t struct_size; /* filled in by the macros */
    int stdin, stdout, stderr;      /* COSY_PIPE ... */
    const char *executable;         /* the program; NULL: argv[0]. Without a '/' it is looked for along PATH, that of
                                     * its own environment */
    const char *cwd;                /* directory to start in; NULL: the parent's */
    const char *const *env;         /* the whole environment, "NAME=value" each, NULL at the end; NULL: the parent's */
    const char *const *env_changes; /* added to that or replaced in it; "NAME" alone is taken out. NULL: nothing */
    const char *user;               /* become this user: a name, with its group and groups as after a log-in, or a
                                     * number, without any groups; NULL: stay.
                                       Names may take a while (NSS): they are looked up in a thread */
    const char *group;              /* become this group, name or number; NULL: stay, or the user's */
    const char *const *groups;      /* exactly these supplementary groups, names or numbers, NULL at the end; NULL:
                                     * stay, or the user's */
    bool set_umask;                 /* set .umask */
    mode_t umask;
    int nice;                       /* added to the parent's niceness */
    const struct cosy_process_limit *limits; /* to set, and how many */
    size_t limit_count;
    bool start_new_session;         /* setsid: a new session and process group, without a terminal */
    bool new_process_group;         /* setpgid: a group of its own, which Ctrl-C at the terminal does not reach */
    pid_t process_group;            /* join this one; 0: stay */
    bool kill_group;                /* signals, and the end, go to all that it started too, as long as they stay in its
                                     * group; implies .new_process_group, or a session's */
    const int *pass_fds;            /* descriptors above 2 that the program gets, under the same numbers, and how
                                     * many */
    size_t pass_fd_count;
    bool keep_fds;                  /* it inherits what is not close-on-exec, as by a plain exec (close_fds=False) */
    int parent_death_signal;        /* sent to it when the thread that started it ends: SIGKILL; 0: none */
    bool default_signals;           /* signals that the parent ignores are not ignored */
    cosy_ns close_grace;            /* closing it while it runs sends SIGTERM first, and SIGKILL so much later; 0:
                                     * SIGKILL at once */
    bool pty;                       /* COSY_PTY for each of the three that is COSY_INHERIT */
    unsigned pty_columns, pty_rows; /* the terminal's size; 0: not known */
    struct cosy_stream_options stream; /* of its streams: .stream.limit = 4096 */
};
#define COSY_PROCESS_OPTIONS_(...)                                                                             \
    (&(const struct cosy_process_options){.struct_size = sizeof(struct cosy_process_options), __VA_ARGS__})

/*     int cosy_create_subprocess_exec(cosy_process **ret_process, const char *const *argv, .option = value...);
 *
 * Starts a program, and returns when it has begun (asyncio.create_subprocess_exec). *ret_process is the caller's to
 * close; NULL on errors. 0; or why not, with the step and what it was about in the message: "starting git: No such file
 * or directory", "changing to directory /x: Permission denied". -ENOENT: no such program, directory or user; -EACCES:
 * it may not be run, or is a directory; -ENOEXEC: neither a program nor a script with a #! line; -E2BIG: too long a
 * list of arguments; -EPERM: the user may not be changed; -EBADF: a descriptor that is not open; -EAGAIN: too many
 * processes; -EMFILE, -ENFILE, -ENOMEM; -EINVAL: options that contradict each other; -ECANCELED, with nothing started;
 * -COSY_ENOTASK; -ENOTSUP on the simulated kernel for what is no program of the test's. Suspends only where .user,
 * .group or .groups have names. */
#define cosy_create_subprocess_exec(ret_process, argv, ...)                                                    \
    cosy_create_subprocess_exec_((ret_process), (argv), COSY_PROCESS_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_create_subprocess_exec_(cosy_process **ret_process, const char *const *argv,
                                            const struct cosy_process_options *options);

/*     int cosy_create_subprocess_shell(cosy_process **ret_process, const char *command, .option = value...);
 *
 * Does the same with /bin/sh -c command (asyncio.create_subprocess_shell). What comes from strangers does not belong
 * into a command. */
#define cosy_create_subprocess_shell(ret_process, command, ...)                                                \
    cosy_create_subprocess_shell_((ret_process), (command), COSY_PROCESS_OPTIONS_(__VA_ARGS__))
cosy_async int cosy_create_subprocess_shell_(cosy_process **ret_process, const char *command,
                                             const struct cosy_process_options *options);

/* ---- a process ---- */

/* Its number. It stays the process's own until it is reaped: by a wait that has returned, or its close. */
pid_t cosy_process_pid(const cosy_process *process);

/* Its pipes, or its terminal (one stream for all of the three that it has); NULL: there is none. They are the
 * process's, which closes them with itself; cosy_write_eof ends its input. */
cosy_stream *cosy_process_stdin(const cosy_process *process);
cosy_stream *cosy_process_stdout(const cosy_process *process);
cosy_stream *cosy_process_stderr(const cosy_process *process);

/* What it ended with: 0 to 255, or the negative number of a signal; COSY_STILL_RUNNING as long as it does, as far as
 * the loop has heard (Python's None). Does not ask the kernel. */
enum { COSY_STILL_RUNNING = INT_MIN };
int cosy_process_returncode(const cosy_process *process);

/* Waits until the program has ended, whoever still holds its pipes; any number of tasks may. *ret_returncode (may be
 * NULL) gets the return code. 0; -ECANCELED: the program goes on; -COSY_ECLOSED: another task closed it, and the loop
 * has not heard of its end; -COSY_EOTHERLOOP, -COSY_ENOTASK. A program that writes more than a pipe holds waits for its
 * reader: use cosy_process_communicate, or read. Does not suspend when it has ended. */
cosy_async int cosy_process_wait(cosy_process *process, int *ret_returncode);

/* Sends a signal; SIGTERM; SIGKILL. 0; -ESRCH: it has ended and was reaped (Python: ProcessLookupError); -EPERM: it is
 * another user's by now; -EINVAL: no such signal. The process is known by more than its number, so that no other one
 * can be hit. With .kill_group, all of its group get it. Any time before the close. */
int cosy_process_send_signal(cosy_process *process, int signum);
int cosy_process_terminate(cosy_process *process);
int cosy_process_kill(cosy_process *process);

/* Changes the size of its terminal; the program gets SIGWINCH. 0; -ENOTTY: it has none. */
int cosy_process_set_pty_size(cosy_process *process, unsigned columns, unsigned rows);

/* Ends what is left of it: closes its pipes, kills the program if it still runs (see .close_grace) and with .kill_group
 * what it left running in its group, waits for its end, and frees everything. Waits even when the task is cancelled;
 * the cancel meets the task's next wait. Tasks that wait for it get their answer. 0; -EPERM: it runs on as another
 * user, and is reaped when it ends. NULL: 0. Outside a task it does not wait: the program is killed, and reaped by the
 * loop. A loop that closes kills those that are left, and waits for them; debug mode tells of them. */
cosy_async int cosy_process_close(cosy_process *process);
static inline cosy_async void cosy_process_closep_(cosy_process **process) { cosy_process_close(*process); }

/* ---- all of its input and output ---- */

/* What a program wrote. Both are NULL where nothing was asked for, else ended by a NUL that is not counted; to be freed
 * by cosy_process_output_free, or each by free(). */
struct cosy_process_output {
    char *stdout, *stderr;
    size_t stdout_size, stderr_size;
};
void cosy_process_output_free(struct cosy_process_output *output); /* and zeroes it */

/* Writes `size` bytes of input, ends the input, reads stdout and stderr to their ends, all at the same time, and waits
 * for the program's end (process.communicate). Only what is a pipe takes part, and input NULL with size 0 just ends the
 * input. That the program does not read its input is no error. On a terminal the input is followed by Ctrl-D. `most`
 * limits each of the outputs, bytes; 0: 1 GiB. ret_output may be NULL: what comes is dropped, and not limited. 0, and
 * *ret_output is the caller's; -COSY_ELIMIT; -EINVAL: input without a pipe for it; -ENOMEM, -ECANCELED: what was read
 * is back in the streams, what of the input was not sent is sent later; errors as cosy_read. The program then still
 * runs. Its end is not the end of its output while what it started keeps the pipes: a limit in time helps, or
 * .kill_group. */
cosy_async int cosy_process_communicate(cosy_process *process, const void *input, size_t size, size_t most,
                                        struct cosy_process_output *ret_output);

/* What cosy_run_process found. To be freed as cosy_process_output. */
struct cosy_process_result {
    struct cosy_process_output output;
    int returncode;
};

/* How to run a program to its end. Every default is zero. */
struct cosy_run_process_options {
    size_t struct_size; /* filled in by the macros */
    bool capture;       /* stdout and stderr are pipes, and what comes is kept (capture_output) */
    bool check;         /* a return code other than 0 is an error, -COSY_EPROCESS; the result is there all the same */
    bool shell;         /* argv[0] is a command for /bin/sh; further arguments are its $0, $1 ... */
    const void *input;  /* what it reads; NULL: nothing. .input_size bytes */
    size_t input_size;
    size_t most;        /* of each output, bytes; 0: 1 GiB */
    struct cosy_process_options process; /* the rest: .process.cwd = "/tmp" */
};

/*     int cosy_run_process(const char *const *argv, struct cosy_process_result *ret_result, .option = value...);
 *
 * Runs a program to its end (subprocess.run). *ret_result gets the return code and what was captured; with
 * -COSY_EPROCESS too, and the message then tells the command, the code and the end of stderr. A limit in time is a
 * scope, as for everything: COSY_TIMEOUT. Cancelled or failed, the program is killed and reaped before it returns. 0;
 * errors as cosy_create_subprocess_exec and cosy_process_communicate. Suspends. */
#define cosy_run_process(argv, ret_result, ...)                                                                \
    cosy_run_process_((argv), (ret_result),                                                                    \
                      &(const struct cosy_run_process_options){                                                \
                          .struct_size = sizeof(struct cosy_run_process_options), __VA_ARGS__})
cosy_async int cosy_run_process_(const char *const *argv, struct cosy_process_result *ret_result,
                                 const struct cosy_run_process_options *options);

/* ---- programs of a test's own ---- */

/* What a simulated program is called with; lives until it returns. */
struct cosy_test_program_call {
    int argc;
    const char *const *argv; /* NULL at the end */
    const char *cwd;         /* .cwd of its options; NULL: none */
    cosy_stream *stdin, *stdout, *stderr; /* the other ends of the process's pipes; an inherited input is empty. Not to
                                           * be closed: that is done when the program returns */
    void *arg;               /* as it was named with */
};
typedef int (*cosy_test_program_fn)(const struct cosy_test_program_call *call);

/* On the simulated kernel: an async function stands for the program with that name (or path) from now on, on the loop
 * that runs in this thread (docs/testing.md). It is started as a task by cosy_create_subprocess_exec and its like, for
 * which it is the program: so pipelines are tested in virtual time, in many orders, cancelled at every wait. Its result
 * is the exit status; a negative one stands for 1. Signals that end programs cancel it: its wait returns -ECANCELED, it
 * may clean up, and when it passes that on, the return code is the negative signal; after SIGKILL every wait fails.
 * Users, limits, groups and the like are ignored; terminals and descriptors other than pipes are -ENOTSUP. The name is
 * copied. 0; -COSY_ENOLOOP, -EINVAL, -ENOMEM; -ENOTSUP on real kernels. */
int cosy_test_program(const char *name, cosy_test_program_fn program, void *arg);

#ifdef __cplusplus
}
#endif
#endif
