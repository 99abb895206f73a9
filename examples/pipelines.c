/* pipelines.c - shell pipelines side by side, so many at a time, as `xargs -P` or GNU parallel run them.
 *
 *     pipelines [-j N] [-k] 'sort names | uniq -c' 'du -s /tmp' ...      commands from the command line
 *     pipelines [-j N] [-k] < commands                                    or one per line from standard input
 *
 * Each command's output is shown as a whole when it has ended, with its exit status if that is not 0; -k keeps the order of
 * the commands. Without commands it runs some of its own. Ctrl-C ends all of them, with everything that they have started.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
    char *line;
    struct cosy_process_result result;
    int error; /* of starting it */
    bool done;
};

struct runner {
    cosy_semaphore slots;
    bool in_order;
    struct command *commands;
    size_t count, shown; /* shown: with -k, how many are printed */
};

static void show(struct command *command)
{
    if (command->result.output.stdout_size > 0)
        fwrite(command->result.output.stdout, 1, command->result.output.stdout_size, stdout);
    if (command->error < 0)
        printf("%s: %s\n", command->line, cosy_strerror(command->error));
    else if (command->result.returncode < 0)
        printf("%s: ended by signal %d\n", command->line, -command->result.returncode);
    else if (command->result.returncode > 0)
        printf("%s: exit status %d\n", command->line, command->result.returncode);
    fflush(stdout);
    cosy_process_output_free(&command->result.output);
}

static void finish(struct runner *runner, struct command *command)
{
    command->done = true;
    if (!runner->in_order) {
        show(command);
        return;
    }
    while (runner->shown < runner->count && runner->commands[runner->shown].done)
        show(&runner->commands[runner->shown++]);
}

cosy_async static int run(struct runner *runner, struct command *command)
{
    int err = 0;
    COSY_LOCKED (err, &runner->slots) { /* async with slots: */
        command->error = cosy_run_process(COSY_ARGV(command->line), &command->result, .shell = true, .capture = true,
                                          .process.stderr = COSY_STDOUT, .process.stdin = COSY_DEVNULL,
                                          .process.kill_group = true);
        if (command->error == -ECANCELED)
            err = -ECANCELED;
        else
            finish(runner, command);
    }
    return err;
}

cosy_async static int run_all(struct runner *runner)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open(); /* async with asyncio.TaskGroup() as group: */
    for (size_t i = 0; i < runner->count; i++)
        cosy_task_group_spawn(group, run, runner, &runner->commands[i]);
    return cosy_task_group_wait(group);
}

static int add(struct runner *runner, const char *line, size_t length)
{
    struct command *more = realloc(runner->commands, (runner->count + 1) * sizeof *more);
    if (!more)
        return -ENOMEM;
    runner->commands = more;
    more[runner->count++] = (struct command){.line = strndup(line, length)};
    return 0;
}

cosy_async static int read_commands(struct runner *runner)
{
    cosy_scoped(cosy_stream) input = NULL;
    int64_t length;
    cosy_try(cosy_stdin(&input));
    COSY_LINES (input, line, length) {
        size_t size = strcspn(line, "\n");
        if (size > 0)
            cosy_try(add(runner, line, size));
    }
    return (int)length;
}

static int add_own(struct runner *runner)
{
    static const char *const own[] = {"printf 'c\\na\\nb\\n' | sort | tr a-z A-Z", "sleep 0.05; echo later",
                                      "echo some words | wc -w; exit 3", "kill -TERM $$"};
    int result = 0;
    for (size_t i = 0; i < sizeof own / sizeof *own && result == 0; i++)
        result = add(runner, own[i], strlen(own[i]));
    return result;
}

cosy_async static int amain(int jobs, bool in_order, char **lines)
{
    struct runner runner = {.slots = COSY_SEMAPHORE((unsigned)jobs), .in_order = in_order};
    int result = 0, failed = 0;
    for (; *lines && result == 0; lines++)
        result = add(&runner, *lines, strlen(*lines));
    if (runner.count == 0)
        result = read_commands(&runner);
    if (result == 0 && runner.count == 0)
        result = add_own(&runner);
    if (result == 0)
        result = run_all(&runner);
    for (size_t i = 0; i < runner.count; i++) {
        failed |= runner.commands[i].error < 0 || runner.commands[i].result.returncode != 0;
        free(runner.commands[i].line);
    }
    free(runner.commands);
    return result < 0 ? result : failed;
}

int main(int argc, char **argv)
{
    int jobs = 4, in_order = 0, option;
    while ((option = getopt(argc, argv, "+j:k")) != -1) {
        if (option == '?')
            return 2;
        jobs = option == 'j' ? atoi(optarg) : jobs;
        in_order |= option == 'k';
    }
    return cosy_main(amain, jobs > 0 ? jobs : 1, in_order != 0, argv + optind);
}

/* Output:
 * printf 'c\na\nb\n' | sort | tr a-z A-Z: Operation not supported
 * sleep 0.05; echo later: Operation not supported
 * echo some words | wc -w; exit 3: Operation not supported
 * kill -TERM $$: Operation not supported
 * Output with a real clock, in any order:
 * 1 x A
 * 1 x B
 * 1 x C
 * 1 x later
 * 1 x ...2
 * 1 x echo some words | wc -w; exit 3: exit status 3
 * 1 x kill -TERM $$: ended by signal 15
 * Exit status: 1
 */
