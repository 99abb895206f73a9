/* process_plan.c - from options to what a child can do without the C library: paths, environment, users; and what is
 * said when it fails. */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cosy/trace.h>

#include "../base/heap.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- the environment ---- */

static size_t name_length(const char *entry)
{
    return strcspn(entry, "=");
}

static bool same_name(const char *one, const char *other)
{
    size_t length = name_length(one);
    return length == name_length(other) && strncmp(one, other, length) == 0;
}

static bool is_changed(const char *entry, const char *const *changes)
{
    for (; *changes; changes++)
        if (same_name(entry, *changes))
            return true;
    return false;
}

static size_t count_of(const char *const *entries)
{
    size_t count = 0;
    while (entries && entries[count])
        count++;
    return count;
}

/* Of several changes of one name the last counts. */
static int make_environment(struct cosy_launch *launch)
{
    const char *const *given = launch->options->env, *const *changes = launch->options->env_changes;
    const char *const *all = given ? given : (const char *const *)(uintptr_t)environ;
    launch->plan.environment = (char *const *)(uintptr_t)all;
    if (!changes && all)
        return 0;
    launch->environment = cosy_heap_alloc((count_of(all) + count_of(changes) + 1) * sizeof(char *));
    if (!launch->environment)
        return -ENOMEM;
    size_t count = 0;
    for (; all && *all; all++)
        if (!is_changed(*all, changes ? changes : &(const char *){NULL}))
            launch->environment[count++] = (char *)(uintptr_t)*all;
    for (; changes && *changes; changes++)
        if (strchr(*changes, '=') && !is_changed(*changes, changes + 1))
            launch->environment[count++] = (char *)(uintptr_t)*changes;
    launch->environment[count] = NULL;
    launch->plan.environment = launch->environment;
    return 0;
}

static const char *search_path(const struct cosy_launch *launch)
{
    for (char *const *entry = launch->plan.environment; *entry; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            return *entry + 5;
    return "/bin:/usr/bin";
}

/* ---- the program ---- */

static int refuse_program(void)
{
    return cosy_fail(EINVAL, "a program to start needs a name");
}

/* The paths that execvpe would try, in one block: pointers, and the text behind them. */
static int make_paths(struct cosy_launch *launch)
{
    const char *program = launch->program, *dirs = strchr(program, '/') ? NULL : search_path(launch);
    size_t size = strlen(program) + 2, dir_count = 1;
    for (const char *at = dirs; at && *at; at++)
        dir_count += *at == ':';
    size_t pointers = (dir_count + 1) * sizeof(char *);
    char **paths = cosy_heap_alloc(pointers + (dirs ? strlen(dirs) : 0) + dir_count * size);
    if (!paths)
        return -ENOMEM;
    char *text = (char *)paths + pointers;
    size_t count = 0;
    do {
        size_t length = dirs ? strcspn(dirs, ":") : 0;
        paths[count++] = text;
        text = mempcpy(text, dirs ? dirs : "", length);
        if (length > 0)
            *text++ = '/';
        text = stpcpy(text, program) + 1;
        dirs = dirs && dirs[length] ? dirs + length + 1 : NULL;
    } while (dirs);
    paths[count] = NULL;
    launch->paths = paths;
    launch->plan.paths = paths;
    return 0;
}

/* ---- descriptors and limits ---- */

static int compare_numbers(const void *one, const void *other)
{
    int a = *(const int *)one, b = *(const int *)other;
    return (a > b) - (a < b);
}

static int make_pass(struct cosy_launch *launch)
{
    const struct cosy_process_options *options = launch->options;
    for (size_t i = 0; i < options->pass_fd_count; i++)
        if (options->pass_fds[i] < 3)
            return cosy_fail(EINVAL, "descriptor %d cannot be passed on: 0, 1 and 2 are the program's standard streams",
                             options->pass_fds[i]);
    if (options->pass_fd_count == 0)
        return 0;
    launch->pass = cosy_heap_alloc(options->pass_fd_count * sizeof *launch->pass);
    if (!launch->pass)
        return -ENOMEM;
    memcpy(launch->pass, options->pass_fds, options->pass_fd_count * sizeof *launch->pass);
    qsort(launch->pass, options->pass_fd_count, sizeof *launch->pass, compare_numbers);
    launch->plan.pass = launch->pass;
    launch->plan.pass_count = options->pass_fd_count;
    return 0;
}

static int make_limits(struct cosy_launch *launch)
{
    const struct cosy_process_options *options = launch->options;
    if (options->limit_count == 0)
        return 0;
    launch->limits = cosy_heap_alloc(options->limit_count * sizeof *launch->limits);
    if (!launch->limits)
        return -ENOMEM;
    for (size_t i = 0; i < options->limit_count; i++)
        launch->limits[i] = (struct cosy_child_limit){options->limits[i].resource, options->limits[i].limit};
    launch->plan.limits = launch->limits;
    launch->plan.limit_count = options->limit_count;
    return 0;
}

/* ---- all of it ---- */

static bool uses_terminal(const struct cosy_process_options *options)
{
    return options->pty || options->stdin == COSY_PTY || options->stdout == COSY_PTY || options->stderr == COSY_PTY;
}

int cosy_launch_check(const char *const *argv, const struct cosy_process_options *options)
{
    if (!argv || !argv[0] || !*(options->executable ? options->executable : argv[0]))
        return refuse_program();
    if (options->stdin < COSY_PTY || options->stdout < COSY_PTY || options->stderr < COSY_PTY)
        return cosy_fail(EINVAL, "stdin, stdout or stderr of a program: no such choice");
    if (options->stdin == COSY_STDOUT || options->stdout == COSY_STDOUT)
        return cosy_fail(EINVAL, "only stderr can go where stdout goes (COSY_STDOUT)");
    bool session = options->start_new_session || uses_terminal(options);
    if (options->process_group < 0 ||
        (options->process_group && (options->new_process_group || session || options->kill_group)))
        return cosy_fail(EINVAL,
                         "a program that joins another's process group cannot have one, or a session, of its own");
    if (options->pty_columns > UINT16_MAX || options->pty_rows > UINT16_MAX)
        return cosy_fail(EINVAL, "a terminal of %u columns and %u rows is too large", options->pty_columns,
                         options->pty_rows);
    return cosy_stream_check_options(&options->stream);
}

static void copy_plainly(struct cosy_launch *launch)
{
    const struct cosy_process_options *options = launch->options;
    struct cosy_child_plan *plan = &launch->plan;
    plan->argv = (char *const *)(uintptr_t)launch->argv;
    plan->directory = options->cwd;
    plan->stdio[0] = plan->stdio[1] = plan->stdio[2] = -1;
    plan->mask = options->umask;
    plan->set_mask = options->set_umask;
    plan->nice = options->nice;
    plan->parent_death_signal = options->parent_death_signal;
    plan->session = options->start_new_session || uses_terminal(options);
    plan->process_group = options->process_group;
    plan->set_process_group = options->process_group || options->new_process_group || options->kill_group;
    plan->close_others = !options->keep_fds;
    plan->default_signals = options->default_signals;
}

int cosy_launch_prepare(struct cosy_launch *launch, const char *const *argv, const struct cosy_process_options *options)
{
    launch->options = options;
    launch->argv = argv;
    launch->program = options->executable ? options->executable : argv[0];
    copy_plainly(launch);
    int result = make_environment(launch);
    if (result == 0)
        result = make_paths(launch);
    if (result == 0)
        result = make_pass(launch);
    if (result == 0)
        result = make_limits(launch);
    return result < 0 ? result : cosy_launch_find_users(launch);
}

void cosy_launch_clear(struct cosy_launch *launch)
{
    cosy_heap_free(launch->environment);
    cosy_heap_free(launch->paths);
    cosy_heap_free(launch->pass);
    cosy_heap_free(launch->limits);
    cosy_heap_free(launch->groups);
}

/* ---- what is said ---- */

struct complaint {
    const struct cosy_launch *launch;
    int result;
};

/* The kernel has one word for several mistakes. */
static const char *hint(const struct cosy_launch *launch, int result)
{
    const char *path = launch->paths[launch->plan.which];
    struct stat status;
    bool searched = !strchr(launch->program, '/');
    bool exists = (*path == '/' || !launch->plan.directory) && stat(path, &status) == 0;
    if (result == -EACCES && exists && S_ISDIR(status.st_mode))
        return " (it is a directory)";
    if (result == -ENOENT && exists)
        return " (it is there: the interpreter that it names is not)";
    if (result == -ENOENT && searched)
        return " (nowhere along PATH)";
    if (result == -ENOEXEC)
        return " (neither a program for this machine, nor a script with a #! line)";
    if (result == -E2BIG)
        return " (its arguments and environment together)";
    return "";
}

static void complain_of_program(const struct cosy_launch *launch, int result)
{
    const char *path = launch->paths[launch->plan.which];
    cosy_fail(-result, "starting %.200s: %s%s", result == -ENOENT ? launch->program : path, cosy_strerror(result),
              hint(launch, result));
}

static void complain(void *arg)
{
    static const char *const steps[] = {
        [COSY_CHILD_SIGNALS] = "resetting signal",
        [COSY_CHILD_SESSION] = "beginning a session",
        [COSY_CHILD_GROUP] = "joining a process group",
        [COSY_CHILD_TERMINAL] = "taking a controlling terminal",
        [COSY_CHILD_STDIO] = "setting up descriptor",
        [COSY_CHILD_PASS] = "passing on descriptor",
        [COSY_CHILD_CLOSE] = "closing descriptors",
        [COSY_CHILD_LIMIT] = "setting the limit of resource",
        [COSY_CHILD_PRIORITY] = "changing its priority",
        [COSY_CHILD_GROUPS] = "setting its groups",
        [COSY_CHILD_PARENT] = "asking for its parent's death",
    };
    const struct complaint *complaint = arg;
    const struct cosy_launch *launch = complaint->launch;
    const struct cosy_child_plan *plan = &launch->plan;
    const char *why = cosy_strerror(complaint->result);
    bool numbered = plan->failed == COSY_CHILD_SIGNALS || plan->failed == COSY_CHILD_STDIO ||
                    plan->failed == COSY_CHILD_PASS || plan->failed == COSY_CHILD_LIMIT;
    if (plan->failed == COSY_CHILD_BORN)
        cosy_fail(-complaint->result, "starting %.200s: a new process: %s", launch->program, why);
    else if (plan->failed == COSY_CHILD_PROGRAM)
        complain_of_program(launch, complaint->result);
    else if (plan->failed == COSY_CHILD_DIRECTORY)
        cosy_fail(-complaint->result, "starting %.200s: changing to directory %.200s: %s", launch->program,
                  plan->directory, why);
    else if (plan->failed == COSY_CHILD_UID)
        cosy_fail(-complaint->result, "starting %.200s: becoming user %.60s: %s", launch->program,
                  launch->options->user, why);
    else if (plan->failed == COSY_CHILD_GID)
        cosy_fail(-complaint->result, "starting %.200s: becoming group %.60s: %s", launch->program,
                  launch->options->group ? launch->options->group : launch->options->user, why);
    else if (numbered)
        cosy_fail(-complaint->result, "starting %.200s: %s %d: %s", launch->program, steps[plan->failed], plan->which,
                  why);
    else
        cosy_fail(-complaint->result, "starting %.200s: %s: %s", launch->program, steps[plan->failed], why);
}

int cosy_launch_failed(const struct cosy_launch *launch, int result)
{
    struct complaint complaint = {launch, result};
    if (result != -ENOMEM || launch->plan.failed != COSY_CHILD_BORN)
        cosy_on_big_stack(complain, &complaint);
    return result;
}
