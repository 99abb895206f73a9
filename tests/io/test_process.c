/* test_process.c - programs that behave: how they are started, what they get, what they come to. */
#include "process_test.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- asyncio's own scenarios ---- */

TASK_TEST(input_and_output_are_streams)
{
    cosy_scoped(cosy_process) process = NULL;
    char *line;
    int code = -99;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    ck_assert_int_gt(cosy_process_pid(process), 0);
    ck_assert_int_eq(cosy_process_returncode(process), COSY_STILL_RUNNING);
    ck_assert_ptr_null(cosy_process_stderr(process));
    ck_ok(cosy_write(cosy_process_stdin(process), "some data\n", 10));
    ck_assert_int_eq(cosy_readline(cosy_process_stdout(process), &line), 10);
    ck_assert_str_eq(line, "some data\n");
    ck_ok(cosy_write_eof(cosy_process_stdin(process)));
    ck_assert_int_eq(cosy_readline(cosy_process_stdout(process), &line), 0);
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(cosy_process_returncode(process), 0);
    ck_ok(cosy_process_wait(process, NULL));
    no_children();
    return 0;
}

TASK_TEST(communicate_feeds_and_reads_at_once)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_shell(&process, "cat; echo err >&2; exit 7", .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                       .stderr = COSY_PIPE));
    ck_ok(cosy_process_communicate(process, "in", 2, 0, &output));
    ck_assert_str_eq(output.stdout, "in");
    ck_assert_uint_eq(output.stdout_size, 2);
    ck_assert_str_eq(output.stderr, "err\n");
    ck_assert_int_eq(cosy_process_returncode(process), 7);
    cosy_process_output_free(&output);
    return 0;
}

TASK_TEST(much_passes_in_both_directions)
{
    enum { SIZE = 3 << 20 };
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    char *data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i % 251);
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    ck_ok(cosy_process_communicate(process, data, SIZE, 0, &output));
    ck_assert_uint_eq(output.stdout_size, SIZE);
    ck_assert(memcmp(output.stdout, data, SIZE) == 0);
    ck_assert_ptr_null(output.stderr);
    cosy_process_output_free(&output);
    free(data);
    return 0;
}

TASK_TEST(who_does_not_read_its_input_is_no_error)
{
    enum { SIZE = 1 << 20 };
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    char *data = calloc(1, SIZE);
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    ck_ok(cosy_process_communicate(process, data, SIZE, 0, &output));
    ck_assert_str_eq(output.stdout, "");
    ck_assert_int_eq(cosy_process_returncode(process), 0);
    cosy_process_output_free(&output);
    free(data);
    return 0;
}

/* Without anything to keep, and without limits. */
TASK_TEST(output_may_be_dropped)
{
    cosy_scoped(cosy_process) process = NULL;
    ck_ok(cosy_create_subprocess_shell(&process, "head -c 3000000 /dev/zero", .stdout = COSY_PIPE));
    ck_ok(cosy_process_communicate(process, NULL, 0, 10, NULL));
    ck_assert_int_eq(cosy_process_returncode(process), 0);
    return 0;
}

TASK_TEST(output_beyond_the_limit_is_an_error_and_is_still_there)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    char data[8];
    ck_ok(cosy_create_subprocess_shell(&process, "echo 1234567890; exec sleep 100", .stdout = COSY_PIPE));
    ck_assert_int_eq(cosy_process_communicate(process, NULL, 0, 5, &output), -COSY_ELIMIT);
    ck_assert_ptr_null(output.stdout);
    ck_assert_int_eq(cosy_process_returncode(process), COSY_STILL_RUNNING);
    ck_assert_int_eq(cosy_readexactly(cosy_process_stdout(process), data, 7), 7);
    ck_assert(memcmp(data, "1234567", 7) == 0);
    return 0;
}

TASK_TEST(input_needs_a_pipe)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("true")));
    ck_assert_int_eq(cosy_process_communicate(process, "x", 1, 0, &output), -EINVAL);
    ck_ok(cosy_process_communicate(process, NULL, 0, 0, &output));
    ck_assert_ptr_null(output.stdout);
    return 0;
}

/* The second one must not hold the first one's input open. */
TASK_TEST(a_pipe_is_nobody_elses)
{
    cosy_scoped(cosy_process) first = NULL;
    cosy_scoped(cosy_process) second = NULL;
    int code;
    ck_ok(cosy_create_subprocess_exec(&first, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_DEVNULL));
    ck_ok(cosy_create_subprocess_exec(&second, COSY_ARGV("cat"), .stdin = COSY_PIPE, .keep_fds = true));
    ck_ok(cosy_write_eof(cosy_process_stdin(first)));
    ck_ok(cosy_process_wait(first, &code));
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(cosy_process_returncode(second), COSY_STILL_RUNNING);
    return 0;
}

/* What it wrote is there after its end. */
TASK_TEST(output_outlives_its_program)
{
    cosy_scoped(cosy_process) process = NULL;
    char *line;
    int code;
    ck_ok(cosy_create_subprocess_shell(&process, "echo shutdown", .stdout = COSY_PIPE));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(cosy_readline(cosy_process_stdout(process), &line), 9);
    ck_assert_int_eq(cosy_readline(cosy_process_stdout(process), &line), 0);
    return 0;
}

TASK_TEST(return_codes_are_pythons)
{
    static const struct {
        const char *command;
        int code;
    } ends[] = {{"exit 0", 0}, {"exit 255", 255}, {"kill -KILL $$", -SIGKILL}, {"kill -TERM $$", -SIGTERM}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        cosy_scoped(cosy_process) process = NULL;
        int code;
        ck_ok(cosy_create_subprocess_shell(&process, ends[i].command));
        ck_ok(cosy_process_wait(process, &code));
        ck_assert_int_eq(code, ends[i].code);
    }
    return 0;
}

cosy_async static int wait_and_say(cosy_process *process, int number)
{
    int code;
    cosy_try(cosy_process_wait(process, &code));
    say("%d:%d", number, code);
    return 0;
}

TASK_TEST(several_tasks_wait)
{
    cosy_scoped(cosy_process) process = NULL;
    ck_ok(cosy_create_subprocess_shell(&process, "read x; exit 5", .stdin = COSY_PIPE));
    cosy_scoped(cosy_task) first = cosy_create_task(wait_and_say, process, 1);
    cosy_scoped(cosy_task) second = cosy_create_task(wait_and_say, process, 2);
    cosy_scoped(cosy_task) third = cosy_create_task(wait_and_say, process, 3);
    let_all_run(2);
    cosy_task_cancel(second);
    ck_assert_int_eq(cosy_await(second), -ECANCELED);
    ck_ok(cosy_write(cosy_process_stdin(process), "\n", 1));
    ck_ok(cosy_await(first));
    ck_ok(cosy_await(third));
    said("1:5 3:5");
    return 0;
}

/* The task tree tells which program a task waits for. */
TASK_TEST(a_wait_is_named)
{
    if (under_valgrind()) /* which takes for lost what libdw keeps of the frames that it has looked at */
        return 0;
    cosy_scoped(cosy_process) process = NULL;
    char expected[64], *text = NULL;
    size_t size;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100")));
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_and_say, process, 1);
    let_all_run(2);
    FILE *stream = open_memstream(&text, &size);
    cosy_print_tasks(stream);
    fclose(stream);
    snprintf(expected, sizeof expected, "waits for process 'sleep' (%d)", (int)cosy_process_pid(process));
    ck_assert_msg(strstr(text, expected) != NULL, "%s is not in:\n%s", expected, text);
    free(text);
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    return 0;
}

TASK_TEST(signals_are_sent_and_one_that_has_ended_gets_none)
{
    cosy_scoped(cosy_process) process = NULL;
    int code;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100")));
    ck_assert_int_eq(cosy_process_send_signal(process, 99), -EINVAL);
    ck_ok(cosy_process_send_signal(process, 0));
    ck_ok(cosy_process_send_signal(process, SIGHUP));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGHUP);
    ck_assert_int_eq(cosy_process_send_signal(process, SIGHUP), -ESRCH);
    ck_assert_int_eq(cosy_process_terminate(process), -ESRCH);
    ck_assert_int_eq(cosy_process_kill(process), -ESRCH);
    return 0;
}

TASK_TEST(terminate_and_kill)
{
    for (int i = 0; i < 2; i++) {
        cosy_scoped(cosy_process) process = NULL;
        int code;
        ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100")));
        ck_ok(i == 0 ? cosy_process_terminate(process) : cosy_process_kill(process));
        ck_ok(cosy_process_wait(process, &code));
        ck_assert_int_eq(code, i == 0 ? -SIGTERM : -SIGKILL);
    }
    return 0;
}

/* ---- what it gets ---- */

TASK_TEST(standard_streams_go_where_they_are_told)
{
    char path[] = "/tmp/cosy-test-XXXXXX", data[64] = "";
    int fd = mkstemp(path), code;
    unlink(path);
    cosy_process *process;
    ck_ok(cosy_create_subprocess_shell(&process, "echo out; echo err >&2; readlink /proc/self/fd/0 >&2",
                                       .stdin = COSY_DEVNULL, .stdout = fd, .stderr = COSY_STDOUT));
    ck_ok(cosy_process_wait(process, &code));
    ck_ok(cosy_process_close(process));
    ck_assert_int_gt(pread(fd, data, sizeof data - 1, 0), 0);
    ck_assert_str_eq(data, "out\nerr\n/dev/null\n");
    close(fd);
    ck_assert_str_eq(output_of(SH("echo out; echo err >&2"), 0, OPTIONS(.stderr = COSY_STDOUT)), "out\nerr\n");
    ck_assert_str_eq(output_of(SH("echo out; echo err >&2"), 0, OPTIONS(.stderr = COSY_DEVNULL)), "out\n");
    return 0;
}

/* Standard descriptors of the parent's in each other's places, and a parent that has none. */
TASK_TEST(descriptors_below_three_may_be_swapped)
{
    int before[3], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        before[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    char path[] = "/tmp/cosy-test-XXXXXX", data[64] = "";
    int fd = mkstemp(path), result, code = -1;
    unlink(path);
    dup2(fd, 1);
    dup2(null, 2);
    cosy_process *process = NULL;
    result = cosy_create_subprocess_shell(&process, "echo out; echo err >&2", .stdout = 2, .stderr = 1);
    if (result == 0)
        result = cosy_process_wait(process, &code);
    cosy_process_close(process);
    for (int i = 0; i < 3; i++)
        close(i);
    struct cosy_process_result run;
    int ran = cosy_run_process(SH("cat; echo err >&2"), &run, .capture = true, .input = "in", .input_size = 2);
    ck_ok(cosy_sleep(COSY_MS(1))); /* what the ring still closes must not be what takes its place */
    for (int i = 0; i < 3; i++) {
        dup2(before[i], i);
        close(before[i]);
    }
    ck_ok(result);
    ck_assert_int_gt(pread(fd, data, sizeof data - 1, 0), 0);
    ck_assert_str_eq(data, "err\n");
    ck_ok(ran);
    ck_assert_str_eq(run.output.stdout, "in");
    ck_assert_str_eq(run.output.stderr, "err\n");
    cosy_process_output_free(&run.output);
    close(fd);
    close(null);
    return 0;
}

/* pass_fds keep their numbers; nothing else goes along. */
TASK_TEST(no_descriptor_but_those_that_are_named)
{
    int leaked = dup2(1, 47), passed = fcntl(1, F_DUPFD_CLOEXEC, 50);
    char command[256], expected[64];
    snprintf(command, sizeof command, "ls /proc/$$/fd | grep -x -e %d -e %d", leaked, passed);
    snprintf(expected, sizeof expected, "%d\n", passed);
    ck_assert_str_eq(output_of(SH(command), 1, NULL), "");
    ck_assert_str_eq(output_of(SH(command), 0, OPTIONS(.pass_fds = &passed, .pass_fd_count = 1)), expected);
    snprintf(expected, sizeof expected, "%d\n", leaked);
    ck_assert_str_eq(output_of(SH(command), 0, OPTIONS(.keep_fds = true)), expected);
    close(leaked);
    close(passed);
    cosy_process *process;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, SH(command), .pass_fds = &passed, .pass_fd_count = 1),
                     -EBADF);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-EBADF), "passing on descriptor"));
    passed = 2;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, SH(command), .pass_fds = &passed, .pass_fd_count = 1),
                     -EINVAL);
    return 0;
}

TASK_TEST(directory_and_environment)
{
    static const char *const whole[] = {"ONE=1", "TWO=2", "PATH=/usr/bin:/bin", NULL};
    static const char *const changes[] = {"TWO=22", "ONE", "THREE=3", "THREE=33", NULL};
    ck_assert_str_eq(output_of(COSY_ARGV("pwd"), 0, OPTIONS(.cwd = "/usr")), "/usr\n");
    ck_assert_str_eq(output_of(COSY_ARGV("env"), 0, OPTIONS(.env = whole)), "ONE=1\nTWO=2\nPATH=/usr/bin:/bin\n");
    ck_assert_str_eq(output_of(COSY_ARGV("env"), 0, OPTIONS(.env = whole, .env_changes = changes)),
                     "PATH=/usr/bin:/bin\nTWO=22\nTHREE=33\n");
    setenv("COSY_TEST_INHERITED", "yes", 1);
    ck_assert_str_eq(output_of(SH("echo $COSY_TEST_INHERITED $THREE"), 0, OPTIONS(.env_changes = changes)), "yes 33\n");
    unsetenv("COSY_TEST_INHERITED");
    return 0;
}

/* The program's own PATH, not ours; and what is there but may not be run tells more than what is not there. */
TASK_TEST(programs_are_looked_for_along_their_own_path)
{
    static const char *const env[] = {"PATH=/nowhere::/dev:/usr/bin:/bin", NULL}, *const poor[] = {"PATH=/nowhere",
                                                                                                   NULL};
    cosy_process *process;
    ck_assert_str_eq(output_of(COSY_ARGV("echo", "found"), 0, OPTIONS(.env = env)), "found\n");
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("echo"), .env = poor), -ENOENT);
    ck_assert_str_eq(cosy_error_message(-ENOENT), "starting echo: No such file or directory (nowhere along PATH)");
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("null"), .env = env), -EACCES);
    ck_assert_str_eq(cosy_error_message(-EACCES), "starting /dev/null: Permission denied");
    ck_assert_str_eq(output_of(COSY_ARGV("sh", "-c", "echo $0", "zero"), 0, NULL), "zero\n");
    ck_assert_str_eq(output_of(COSY_ARGV("another name", "-c", "echo it runs"), 0, OPTIONS(.executable = "/bin/sh")),
                     "it runs\n");
    return 0;
}

TASK_TEST(mask_priority_and_limits)
{
    struct cosy_process_limit limits[] = {{RLIMIT_FSIZE, {77 * 512, 77 * 512}}, {RLIMIT_CORE, {0, 0}}};
    char expected[32];
    int nice = getpriority(PRIO_PROCESS, 0) + 5;
    snprintf(expected, sizeof expected, "0027\n%d\n77\n0\n", nice < 20 ? nice : 19);
    ck_assert_str_eq(output_of(SH("umask; nice; ulimit -f; ulimit -c"), 0,
                               OPTIONS(.set_umask = true, .umask = 027, .nice = 5, .limits = limits, .limit_count = 2)),
                     expected);
    cosy_process *process;
    limits[0].resource = 1000;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .limits = limits, .limit_count = 1),
                     -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL),
                     "starting true: setting the limit of resource 1000: Invalid argument");
    return 0;
}

/* As the shell's children see them: the numbers of session and group. */
TASK_TEST(sessions_and_process_groups)
{
    const char *command =
        "read pid comm state ppid pgrp session rest < /proc/$$/stat; echo $(($pgrp == $$)) $(($session == $$))";
    ck_assert_str_eq(output_of(SH(command), 0, NULL), "0 0\n");
    ck_assert_str_eq(output_of(SH(command), 0, OPTIONS(.new_process_group = true)), "1 0\n");
    ck_assert_str_eq(output_of(SH(command), 0, OPTIONS(.kill_group = true)), "1 0\n");
    ck_assert_str_eq(output_of(SH(command), 0, OPTIONS(.start_new_session = true)), "1 1\n");
    cosy_scoped(cosy_process) leader = NULL;
    char expected[32];
    ck_ok(cosy_create_subprocess_exec(&leader, COSY_ARGV("sleep", "100"), .new_process_group = true));
    snprintf(expected, sizeof expected, "%d\n", (int)cosy_process_pid(leader));
    cosy_scoped(cosy_process) member = NULL;
    char *line;
    ck_ok(cosy_create_subprocess_shell(&member, "read pid comm state ppid pgrp rest < /proc/$$/stat; echo $pgrp",
                                       .process_group = cosy_process_pid(leader), .stdout = COSY_PIPE));
    ck_assert_int_gt(cosy_readline(cosy_process_stdout(member), &line), 0);
    ck_assert_str_eq(line, expected);
    cosy_process *nobody;
    ck_assert_int_eq(cosy_create_subprocess_exec(&nobody, COSY_ARGV("true"), .process_group = 1, .kill_group = true),
                     -EINVAL);
    return 0;
}

static unsigned long long signals_in(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    ck_assert_ptr_nonnull(at);
    return strtoull(at + strlen(name) + 1, NULL, 16);
}

/* A line of /proc/self/status, as the program itself sees it. */
cosy_async static unsigned long long signals_of(const char *name, const struct cosy_process_options *options)
{
    return signals_in(output_of(COSY_ARGV("cat", "/proc/self/status"), 0, options), name);
}

/* What this process ignores: whoever started it may have had its reasons (nohup), or posix_spawn, which leaves glibc's
 * own two signals so. */
static unsigned long long ignored_here(void)
{
    char status[8192];
    FILE *file = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(file);
    status[fread(status, 1, sizeof status - 1, file)] = '\0';
    fclose(file);
    return signals_in(status, "SigIgn:");
}

/* Handlers and masks of the parent's do not go along; what it ignores does, but for SIGPIPE. */
TASK_TEST(signals_begin_as_they_should)
{
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    signal(SIGUSR2, (void (*)(int))exit);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &some, &before);
    ck_assert_uint_eq(signals_of("SigBlk:", NULL), 0);
    ck_assert_uint_eq(signals_of("SigIgn:", NULL), ignored_here() & ~(1ull << (SIGPIPE - 1)));
    ck_assert_uint_ne(ignored_here() & (1ull << (SIGHUP - 1)), 0);
    ck_assert_uint_eq(signals_of("SigCgt:", NULL), 0);
    ck_assert_uint_eq(signals_of("SigIgn:", OPTIONS(.default_signals = true)), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    return 0;
}

/* ---- users ---- */

TASK_TEST(users_and_groups_need_the_right_to)
{
    static const char *const groups[] = {"0", "12", NULL}, *const none[] = {NULL};
    cosy_process *process;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("id"), .user = "no such user"), -ENOENT);
    ck_assert_str_eq(cosy_error_message(-ENOENT), "there is no user 'no such user'");
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("id"), .group = "no such group"), -ENOENT);
    if (geteuid() != 0) {
        ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("id"), .user = "0"), -EPERM);
        ck_assert_str_eq(cosy_error_message(-EPERM), "starting id: becoming user 0: Operation not permitted");
        return 0;
    }
    ck_assert_str_eq(output_of(SH("id -u; id -G"), 0, OPTIONS(.user = "4321", .group = "77")), "4321\n77\n");
    ck_assert_str_eq(output_of(SH("id -u; id -G"), 0, OPTIONS(.user = "4321", .group = "77", .groups = groups)),
                     "4321\n77 0 12\n");
    ck_assert_str_eq(output_of(SH("id -u; id -G"), 0, OPTIONS(.groups = none)), "0\n0\n");
    const struct passwd *nobody = getpwnam("nobody");
    char expected[64];
    snprintf(expected, sizeof expected, "%u\n%u\n", (unsigned)nobody->pw_uid, (unsigned)nobody->pw_gid);
    ck_assert_str_eq(output_of(SH("id -u; id -g"), 0, OPTIONS(.user = "nobody")), expected);
    return 0;
}

/* ---- terminals ---- */

TASK_TEST(a_terminal_is_the_programs_own)
{
    ck_assert_str_eq(output_of(SH("stty size; tty -s && echo a terminal; stty size < /dev/tty"), 0,
                               OPTIONS(.pty = true, .pty_columns = 99, .pty_rows = 11)),
                     "11 99\r\na terminal\r\n11 99\r\n");
    return 0;
}

TASK_TEST(a_terminal_is_resized_and_its_keys_are_signals)
{
    cosy_scoped(cosy_process) process = NULL;
    char *line;
    int code;
    ck_ok(cosy_create_subprocess_shell(&process,
                                       "stty -echo; trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done",
                                       .pty = true, .pty_columns = 80, .pty_rows = 25));
    cosy_stream *terminal = cosy_process_stdin(process);
    ck_assert_ptr_eq(terminal, cosy_process_stdout(process));
    ck_assert_ptr_eq(terminal, cosy_process_stderr(process));
    ck_assert(cosy_isatty(terminal));
    ck_assert_int_gt(cosy_readline(terminal, &line), 0);
    ck_assert_str_eq(line, "ready\r\n");
    ck_ok(cosy_process_set_pty_size(process, 120, 40));
    ck_assert_int_gt(cosy_readline(terminal, &line), 0);
    ck_assert_str_eq(line, "40 120\r\n");
    ck_ok(cosy_write(terminal, "\3", 1));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGINT);
    return 0;
}

TASK_TEST(a_terminal_is_talked_to)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_shell(&process, "stty -echo; echo go; cat; echo err >&2", .pty = true,
                                       .stderr = COSY_PIPE));
    char *line;
    ck_assert_int_gt(cosy_readline(cosy_process_stdout(process), &line), 0); /* from here on without echo */
    ck_ok(cosy_process_communicate(process, "one\ntwo", 7, 0, &output));
    ck_assert_str_eq(output.stdout, "one\r\ntwo");
    ck_assert_str_eq(output.stderr, "err\n");
    cosy_process_output_free(&output);
    cosy_scoped(cosy_process) other = NULL;
    ck_ok(cosy_create_subprocess_exec(&other, COSY_ARGV("true")));
    ck_assert_int_eq(cosy_process_set_pty_size(other, 1, 1), -ENOTTY);
    return 0;
}

/* ---- run ---- */

TASK_TEST(run_captures_and_checks)
{
    struct cosy_process_result result;
    ck_ok(cosy_run_process(SH("cat; exit 3"), &result, .capture = true, .input = "given", .input_size = 5));
    ck_assert_int_eq(result.returncode, 3);
    ck_assert_str_eq(result.output.stdout, "given");
    ck_assert_str_eq(result.output.stderr, "");
    cosy_process_output_free(&result.output);
    ck_assert_int_eq(cosy_run_process(SH("echo why >&2; exit 4"), &result, .capture = true, .check = true),
                     -COSY_EPROCESS);
    ck_assert_str_eq(cosy_error_message(-COSY_EPROCESS),
                     "command '/bin/sh -c echo why >&2; exit 4' came to exit status 4: why");
    ck_assert_int_eq(result.returncode, 4);
    cosy_process_output_free(&result.output);
    ck_assert_int_eq(cosy_run_process(COSY_ARGV("kill -9 $$"), &result, .shell = true, .check = true), -COSY_EPROCESS);
    ck_assert_str_eq(cosy_error_message(-COSY_EPROCESS), "command 'kill -9 $$' was ended by signal 9 (Killed)");
    ck_ok(cosy_run_process(COSY_ARGV("echo $0 $1", "zero", "one"), &result, .shell = true, .capture = true));
    ck_assert_str_eq(result.output.stdout, "zero one\n");
    cosy_process_output_free(&result.output);
    no_children();
    return 0;
}

TASK_TEST(run_is_limited_by_a_scope)
{
    struct cosy_process_result result;
    int err = 0;
    COSY_TIMEOUT (err, COSY_MS(30)) {
        cosy_check(err, cosy_run_process(COSY_ARGV("sleep", "100"), &result, .capture = true));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert_int_eq(result.returncode, -SIGKILL);
    no_children();
    return 0;
}

/* ---- wrong calls ---- */

TASK_TEST(nonsense_is_refused_with_words)
{
    cosy_process *process;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("")), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, (const char *const *)0), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec((cosy_process **)0, COSY_ARGV("true")), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .stdout = COSY_STDOUT), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .stdin = -7), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .stdin = 999), -EBADF);
    ck_assert_str_eq(cosy_error_message(-EBADF), "starting true: setting up descriptor 0: Bad file descriptor");
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .stream.low_water = 1 << 20), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true"), .pty = true, .pty_rows = 70000), -EINVAL);
    ck_assert_int_eq(cosy_create_subprocess_shell(&process, (const char *)0), -EINVAL);
    ck_assert_ptr_null(process);
    ck_ok(cosy_process_close(NULL));
    return 0;
}

START_TEST(outside_a_task_nothing_starts)
{
    cosy_process *process;
    begin_test();
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true")), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_process_wait(NULL, NULL), -COSY_ENOTASK);
}
END_TEST

PROCESS_TESTS_MAIN("process", input_and_output_are_streams, communicate_feeds_and_reads_at_once,
                   much_passes_in_both_directions, who_does_not_read_its_input_is_no_error, output_may_be_dropped,
                   output_beyond_the_limit_is_an_error_and_is_still_there, input_needs_a_pipe, a_pipe_is_nobody_elses,
                   output_outlives_its_program, return_codes_are_pythons, several_tasks_wait, a_wait_is_named,
                   signals_are_sent_and_one_that_has_ended_gets_none, terminate_and_kill,
                   standard_streams_go_where_they_are_told, descriptors_below_three_may_be_swapped,
                   no_descriptor_but_those_that_are_named, directory_and_environment,
                   programs_are_looked_for_along_their_own_path, mask_priority_and_limits, sessions_and_process_groups,
                   signals_begin_as_they_should, users_and_groups_need_the_right_to, a_terminal_is_the_programs_own,
                   a_terminal_is_resized_and_its_keys_are_signals, a_terminal_is_talked_to, run_captures_and_checks,
                   run_is_limited_by_a_scope, nonsense_is_refused_with_words, outside_a_task_nothing_starts)
