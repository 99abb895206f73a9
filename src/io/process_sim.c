/* process_sim.c - programs of a test's own, which stand for real ones on the simulated kernel.
 *
 * A program is a task, its pipes are the simulated kernel's. A signal that would end a real program cancels the task:
 * it may clean up, and ends when it returns; after SIGKILL each of its waits fails. The names are the loop's, and so
 * are the numbers, so that a run depends on its seed alone.
 */
#include "process_sim.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cosy/scope.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "pipe.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

enum { FIRST_PID = 1000 };

struct named_program {
    struct named_program *next;
    cosy_test_program_fn fn;
    void *arg;
    char name[];
};

/* What a loop's test has named. */
struct programs {
    struct programs *next;
    const struct cosy_loop *loop;
    struct named_program *first;
    pid_t next_pid;
};
static __thread struct programs *all_programs;

/* Two hold it: the process, and the task until it has ended. */
struct cosy_simulated_program {
    unsigned refs;
    cosy_process *process; /* NULL: freed */
    struct cosy_test_program_call call;
    cosy_test_program_fn fn;
    cosy_stream *streams[3];
    cosy_task *task;
    cosy_scope *scope; /* while it runs */
    int signum;        /* the one that is to end it; 0: none */
    char text[];       /* of the arguments */
};

/* ---- names ---- */

static struct programs *programs_of(const struct cosy_loop *loop)
{
    struct programs *programs = all_programs;
    while (programs && programs->loop != loop)
        programs = programs->next;
    return programs;
}

static struct programs *make_programs(const struct cosy_loop *loop)
{
    struct programs *programs = programs_of(loop);
    if (programs)
        return programs;
    programs = cosy_heap_zalloc(sizeof *programs);
    if (!programs)
        return NULL;
    *programs = (struct programs){.next = all_programs, .loop = loop, .next_pid = FIRST_PID};
    return all_programs = programs;
}

void cosy_simulated_programs_forget(const struct cosy_loop *loop)
{
    struct programs **place = &all_programs, *programs = programs_of(loop);
    if (!programs)
        return;
    while (*place != programs)
        place = &(*place)->next;
    *place = programs->next;
    for (struct named_program *named = programs->first, *next; named; named = next) {
        next = named->next;
        cosy_heap_free(named);
    }
    cosy_heap_free(programs);
}

int cosy_test_program(const char *name, cosy_test_program_fn program, void *arg)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop)
        return cosy_fail(COSY_ENOLOOP, "a simulated program belongs to a running loop, and none runs in this thread");
    if (strcmp(loop->sys->ops->name, "sim") != 0)
        return cosy_fail(ENOTSUP, "only the simulated kernel has simulated programs");
    if (!name || !*name || !program)
        return -EINVAL;
    struct programs *programs = make_programs(loop);
    struct named_program *named = programs ? cosy_heap_alloc(sizeof *named + strlen(name) + 1) : NULL;
    if (!named)
        return -ENOMEM;
    named->fn = program;
    named->arg = arg;
    strcpy(named->name, name);
    named->next = programs->first; /* before those with the same name */
    programs->first = named;
    return 0;
}

/* By its path, or by its last part. */
static const struct named_program *find_program(const struct cosy_loop *loop, const char *path)
{
    const struct programs *programs = programs_of(loop);
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    for (const struct named_program *named = programs ? programs->first : NULL; named; named = named->next)
        if (strcmp(named->name, path) == 0 || strcmp(named->name, base) == 0)
            return named;
    return NULL;
}

/* ---- streams ---- */

/* /dev/null, and the test's own standard output. */
static int null_receive(cosy_stream *stream, void *buffer, size_t size)
{
    (void)stream;
    (void)buffer;
    (void)size;
    return 0;
}

static int null_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    size_t size = 0;
    (void)stream;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    return (int)(size < INT32_MAX ? size : INT32_MAX);
}

static int out_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    return cosy_linux_net_ops.writev(stream->loop->sys, 1, parts, count);
}

static int err_send(cosy_stream *stream, const struct iovec *parts, int count)
{
    return cosy_linux_net_ops.writev(stream->loop->sys, 2, parts, count);
}

static int null_wait(cosy_stream *stream, enum cosy_port_side side, struct cosy_port_waiter *waiter)
{
    (void)stream;
    (void)side;
    (void)waiter;
    return 1;
}

static void null_close(cosy_stream *stream, int result, bool abort)
{
    (void)stream;
    (void)result;
    (void)abort;
}

static const struct cosy_stream_kind null_kind = {
    .name = "null", .receive = null_receive, .send = null_send, .wait = null_wait, .close = null_close};
static const struct cosy_stream_kind out_kind = {
    .name = "standard output", .receive = null_receive, .send = out_send, .wait = null_wait, .close = null_close};
static const struct cosy_stream_kind err_kind = {
    .name = "standard error", .receive = null_receive, .send = err_send, .wait = null_wait, .close = null_close};

static int open_stream(struct cosy_simulated_program *program, int which, int choice,
                       const struct cosy_process_options *options)
{
    cosy_process *process = program->process;
    const struct cosy_stream_kind *kind = choice != COSY_INHERIT || which == 0 ? &null_kind
                                          : which == 1                         ? &out_kind
                                                                               : &err_kind;
    if (choice == COSY_PIPE)
        return which == 0 ? cosy_pipe_(&program->streams[0], &process->streams[0], &options->stream)
                          : cosy_pipe_(&process->streams[which], &program->streams[which], &options->stream);
    if (choice != COSY_INHERIT && choice != COSY_DEVNULL)
        return cosy_fail(ENOTSUP, "a simulated program's standard streams are pipes, /dev/null or the test's own; it "
                                  "has no terminal or other descriptor");
    program->streams[which] = cosy_stream_new(process->loop, kind, -1, NULL, NULL);
    return program->streams[which] ? 0 : -ENOMEM;
}

static int open_streams(struct cosy_simulated_program *program, const struct cosy_process_options *options)
{
    int result =
        options->pty ? open_stream(program, 0, COSY_PTY, options) : open_stream(program, 0, options->stdin, options);
    if (result == 0)
        result = open_stream(program, 1, options->stdout, options);
    if (result == 0 && options->stderr != COSY_STDOUT)
        result = open_stream(program, 2, options->stderr, options);
    program->call.stdin = program->streams[0];
    program->call.stdout = program->streams[1];
    program->call.stderr = options->stderr == COSY_STDOUT ? program->streams[1] : program->streams[2];
    return result;
}

/* As a process's end closes them; what is in a killed one's buffers is lost. */
static void close_streams(struct cosy_simulated_program *program)
{
    for (int i = 0; i < 3; i++) {
        cosy_stream *stream = program->streams[i];
        program->streams[i] = NULL;
        if (stream && (program->signum || i == 0))
            cosy_stream_abort(stream);
        (void)cosy_stream_close(stream);
    }
}

/* ---- its life ---- */

void cosy_simulated_program_drop(struct cosy_simulated_program *program)
{
    if (!program)
        return;
    program->process = NULL;
    if (--program->refs > 0)
        return;
    cosy_task_drop(program->task);
    cosy_heap_free((void *)(uintptr_t)program->call.argv);
    cosy_heap_free(program);
}

cosy_async static int run_program(struct cosy_simulated_program *program)
{
    cosy_scope scope = {.sticky = true};
    int result = cosy_scope_enter(&scope);
    if (result == 0) {
        program->scope = &scope;
        result = program->fn(&program->call);
        program->scope = NULL;
        result = cosy_scope_exit(&scope, result);
    }
    close_streams(program);
    return result;
}

/* A cancel that no signal asked for (the test kit's) is taken for SIGTERM. */
static void task_ended(cosy_future *future, void *arg)
{
    struct cosy_simulated_program *program = arg;
    cosy_process *process = program->process;
    int64_t result = 0;
    int error = cosy_future_result(future, &result);
    int code = program->signum == SIGKILL ? -SIGKILL
               : error == -ECANCELED      ? -(program->signum ? program->signum : SIGTERM)
               : error < 0                ? 1
                                          : (int)(result & 255);
    close_streams(program);
    if (process)
        cosy_process_ended(process, code);
    if (program->refs > 1)
        program->refs--;
    else
        cosy_simulated_program_drop(program);
}

int cosy_simulated_program_signal(cosy_process *process, int signum)
{
    struct cosy_simulated_program *program = process->simulated;
    if (process->returncode != COSY_STILL_RUNNING)
        return -ESRCH;
    if (signum == 0 || signum == SIGCHLD || signum == SIGURG || signum == SIGWINCH || signum == SIGCONT ||
        signum == SIGSTOP)
        return 0;
    if (program->signum != SIGKILL)
        program->signum = signum;
    if (signum != SIGKILL || !program->scope || !cosy_scope_cancel(program->scope))
        cosy_task_cancel(program->task);
    for (int i = 0; i < 3 && signum == SIGKILL && !program->scope; i++)
        if (program->streams[i]) /* it has returned, and waits until its last bytes are taken */
            cosy_stream_abort(program->streams[i]);
    return 0;
}

/* Its task will not be heard of. */
void cosy_simulated_program_abandon(struct cosy_simulated_program *program)
{
    program->refs = 1;
    close_streams(program);
}

/* ---- its start ---- */

static struct cosy_simulated_program *program_new(const struct named_program *named, const char *const *argv,
                                                  const struct cosy_process_options *options)
{
    size_t count = 0, size = options->cwd ? strlen(options->cwd) + 1 : 1;
    for (; argv[count]; count++)
        size += strlen(argv[count]) + 1;
    struct cosy_simulated_program *program = cosy_heap_alloc(sizeof *program + size);
    const char **copies = cosy_heap_alloc((count + 1) * sizeof(char *));
    if (!program || !copies) {
        cosy_heap_free(program);
        cosy_heap_free(copies);
        return NULL;
    }
    *program = (struct cosy_simulated_program){
        .refs = 1, .fn = named->fn, .call = {.argc = (int)count, .argv = copies, .arg = named->arg}};
    char *at = stpcpy(program->text, options->cwd ? options->cwd : "") + 1;
    program->call.cwd = options->cwd ? program->text : NULL;
    for (size_t i = 0; i < count; i++) {
        copies[i] = at;
        at = stpcpy(at, argv[i]) + 1;
    }
    copies[count] = NULL;
    return program;
}

static int start_task(struct cosy_simulated_program *program, const char *name)
{
    program->task = cosy_create_task_with((.name = name), run_program, program);
    if (!program->task)
        return cosy_creation_error();
    int result = cosy_task_add_done_callback(program->task, task_ended, program, NULL);
    if (result < 0) {
        cosy_task_cancel(program->task); /* it has not begun, and never will */
        return result;
    }
    program->refs++;
    return 0;
}

int cosy_simulated_program_start(cosy_process *process, const char *const *argv,
                                 const struct cosy_process_options *options)
{
    const char *path = options->executable ? options->executable : argv[0];
    const struct named_program *named = find_program(process->loop, path);
    if (!named)
        return cosy_fail(
            ENOTSUP,
            "cosy_create_subprocess_exec: on the simulated kernel only programs of the test's own start, and "
            "it has named none '%.100s' (cosy_test_program)",
            path);
    struct cosy_simulated_program *program = program_new(named, argv, options);
    if (!program)
        return -ENOMEM;
    process->simulated = program;
    process->kill_group = false;
    program->process = process;
    int result = open_streams(program, options);
    if (result == 0)
        result = start_task(program, process->name);
    if (result < 0) {
        close_streams(program);
        return result;
    }
    process->pid = programs_of(process->loop)->next_pid++;
    cosy_list_append(&process->loop->children, &process->of_loop);
    return 0;
}
