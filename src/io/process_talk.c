/* process_talk.c - all of a program's input and output at once, and programs that are run to their end. */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/gather.h>
#include <cosy/trace.h>

#include "../base/heap.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- communicate ---- */

struct talk {
    cosy_process *process;
    const void *input;
    size_t size, most;
    bool keep; /* outputs are wanted */
};

/* A terminal's end of input is a key, which counts at the beginning of a line. */
static int end_input(const struct talk *talk, cosy_stream *stream)
{
    const char *input = talk->input;
    if (cosy_can_write_eof(stream))
        return cosy_write_eof(stream);
    bool within_line = talk->size > 0 && input[talk->size - 1] != '\n';
    return cosy_write(stream, "\4\4", within_line ? 2 : 1);
}

/* That nobody reads on is the program's own business. */
cosy_async static int feed(const struct talk *talk)
{
    cosy_stream *stream = talk->process->streams[0];
    if (!stream)
        return -COSY_ECLOSED; /* another task has closed it before this one began */
    int result = talk->size > 0 ? cosy_write(stream, talk->input, talk->size) : 0;
    if (result == 0)
        result = end_input(talk, stream);
    return result == -EPIPE || result == -ECONNRESET || result == -EIO ? 0 : result;
}

/* What was read whole is kept with the process: a call that is cancelled meanwhile loses nothing. */
cosy_async static int hear(const struct talk *talk, int which)
{
    struct cosy_kept_output *kept = &talk->process->kept[which];
    cosy_stream *stream = talk->process->streams[which];
    int64_t length;
    if (kept->data)
        return 0;
    if (!stream)
        return -COSY_ECLOSED;
    if (!talk->keep) {
        COSY_CHUNKS (stream, chunk, length)
            ;
        return (int)length;
    }
    length = cosy_read_all(stream, &kept->data, talk->most);
    if (length < 0) {
        kept->data = NULL;
        return (int)length;
    }
    kept->size = (size_t)length;
    return 0;
}

/* One thing needs no task of its own; nor does the end of an input that has nothing to send. */
cosy_async static int talk_at_once(const struct talk *talk)
{
    const cosy_process *process = talk->process;
    cosy_coro *coros[3];
    size_t count = 0;
    bool feeds = process->streams[0] != NULL, hears = process->streams[1] != NULL;
    bool hears_errors = process->streams[2] && process->streams[2] != process->streams[1];
    if (feeds && talk->size == 0) {
        int result = feed(talk);
        if (result < 0)
            return result;
        feeds = false;
    }
    if (feeds + hears + hears_errors <= 1)
        return feeds ? feed(talk) : hears ? hear(talk, 1) : hears_errors ? hear(talk, 2) : 0;
    if (feeds)
        coros[count++] = cosy_call(feed, talk);
    if (hears)
        coros[count++] = cosy_call(hear, talk, 1);
    if (hears_errors)
        coros[count++] = cosy_call(hear, talk, 2);
    const struct cosy_gather_options options = {.struct_size = sizeof options, .cancel_rest = true};
    return cosy_gather_coros(coros, count, &options);
}

static void hand_out(cosy_process *process, struct cosy_process_output *output)
{
    if (!output)
        return;
    output->stdout = process->kept[1].data;
    output->stdout_size = process->kept[1].size;
    output->stderr = process->kept[2].data;
    output->stderr_size = process->kept[2].size;
    process->kept[1] = process->kept[2] = (struct cosy_kept_output){0};
}

void cosy_process_output_free(struct cosy_process_output *output)
{
    free(output->stdout);
    free(output->stderr);
    *output = (struct cosy_process_output){0};
}

int cosy_process_communicate(cosy_process *process, const void *input, size_t size, size_t most,
                             struct cosy_process_output *ret_output)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_process_communicate");
    if (!me || !process || (!input && size > 0))
        return me ? -EINVAL : -COSY_ENOTASK;
    if (me->future.loop != process->loop)
        return -COSY_EOTHERLOOP;
    if (ret_output)
        *ret_output = (struct cosy_process_output){0};
    if (size > 0 && !process->streams[0])
        return cosy_fail(EINVAL, "process '%s' (%d) has no pipe for its input", process->name, (int)process->pid);
    const struct talk talk = {process, input, size, most, ret_output != NULL};
    process->users++;
    int result = talk_at_once(&talk);
    if (result >= 0)
        result = cosy_process_wait(process, NULL);
    if (result >= 0) {
        result = 0;
        hand_out(process, ret_output);
    }
    cosy_process_leave(process);
    return result;
}

/* ---- run ---- */

enum { COMMAND_ROOM = 160, TAIL = 240 };

struct failure {
    const char *const *argv;
    const struct cosy_process_result *result;
};

static void write_command(char *text, const char *const *argv)
{
    size_t used = 0;
    for (; *argv && used < COMMAND_ROOM - 1; argv++) {
        int length = snprintf(text + used, COMMAND_ROOM - used, "%s%s", used ? " " : "", *argv);
        used += length > 0 ? (size_t)length : 0;
    }
}

/* The last words, without the newline behind them. */
static void write_tail(char *text, const struct cosy_process_output *output)
{
    size_t end = output->stderr_size;
    while (end > 0 && strchr("\r\n ", output->stderr[end - 1]))
        end--;
    size_t begin = end > TAIL ? end - TAIL : 0;
    snprintf(text, TAIL + 8, "%s%s%.*s", end > 0 ? ": " : "", begin > 0 ? "..." : "", (int)(end - begin),
             end > 0 ? output->stderr + begin : "");
}

static void complain(void *arg)
{
    const struct failure *failure = arg;
    const struct cosy_process_result *result = failure->result;
    char command[COMMAND_ROOM], tail[TAIL + 8];
    write_command(command, failure->argv);
    write_tail(tail, &result->output);
    if (result->returncode < 0)
        cosy_fail(COSY_EPROCESS, "command '%s' was ended by signal %d (%s)%s", command, -result->returncode,
                  strsignal(-result->returncode), tail);
    else
        cosy_fail(COSY_EPROCESS, "command '%s' came to exit status %d%s", command, result->returncode, tail);
}

static int check(const char *const *argv, const struct cosy_process_result *result)
{
    struct failure failure = {argv, result};
    if (result->returncode == 0)
        return 0;
    cosy_on_big_stack(complain, &failure);
    return -COSY_EPROCESS;
}

/* On the heap, since it is much for a small stack. */
static struct cosy_process_options *options_for(const struct cosy_run_process_options *options)
{
    struct cosy_process_options *own = cosy_heap_alloc(sizeof *own);
    if (!own)
        return NULL;
    *own = options->process;
    if (options->capture && !own->pty) {
        own->stdout = COSY_PIPE;
        own->stderr = own->stderr ? own->stderr : COSY_PIPE;
    }
    if (options->input && !own->pty)
        own->stdin = COSY_PIPE;
    return own;
}

/* "sh -c command $0 $1 ..." */
static const char **shell_argv(const char *const *argv)
{
    size_t count = 0;
    while (argv[count])
        count++;
    const char **all = cosy_heap_alloc((count + 3) * sizeof(char *));
    if (!all)
        return NULL;
    all[0] = "/bin/sh";
    all[1] = "-c";
    for (size_t i = 0; i <= count; i++)
        all[i + 2] = argv[i];
    return all;
}

cosy_async static int create(cosy_process **ret_process, const char *const *argv,
                             const struct cosy_run_process_options *options)
{
    struct cosy_process_options *own = options_for(options);
    const char **shell = options->shell ? shell_argv(argv) : NULL;
    int result = own && (shell || !options->shell) ? 0 : -ENOMEM;
    if (result == 0)
        result = cosy_create_subprocess_exec_(ret_process, shell ? shell : argv, own);
    cosy_heap_free(own);
    cosy_heap_free(shell);
    return result;
}

int cosy_run_process_(const char *const *argv, struct cosy_process_result *ret_result,
                      const struct cosy_run_process_options *options)
{
    cosy_process *process = NULL;
    if (ret_result)
        *ret_result = (struct cosy_process_result){.returncode = COSY_STILL_RUNNING};
    if (!ret_result || !argv || !argv[0])
        return -EINVAL;
    int result = create(&process, argv, options);
    if (result < 0)
        return result;
    result = cosy_process_communicate(process, options->input, options->input_size, options->most, &ret_result->output);
    process->users++; /* what it ended with is told by the process, also when it was killed only now */
    int closed = cosy_process_close(process);
    ret_result->returncode = process->returncode;
    cosy_process_leave(process);
    if (result == 0)
        result = closed;
    return result == 0 && options->check ? check(argv, ret_result) : result;
}
