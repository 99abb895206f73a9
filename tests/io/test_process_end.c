/* test_process_end.c - programs that behave badly, or cannot be started, and callers that go away: nothing is lost or
 * left behind. */
#include "process_test.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include "io/process.h"

/* ---- what cannot be started ---- */

static void make_file(char *path, const char *text, mode_t mode)
{
    strcpy(path, "/tmp/cosy-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
    fchmod(fd, mode);
    close(fd);
}

#define ck_refused(error, part, argv, ...)                                                                             \
    do {                                                                                                               \
        cosy_process *process_ = (cosy_process *)1;                                                                    \
        ck_assert_int_eq(cosy_create_subprocess_exec(&process_, argv, __VA_ARGS__), -(error));                         \
        ck_assert_ptr_null(process_);                                                                                  \
        ck_assert_msg(strstr(cosy_error_message(-(error)), part) != NULL, "%s", cosy_error_message(-(error)));         \
        no_children();                                                                                                 \
    } while (0)

TASK_TEST(what_cannot_be_started_is_told_with_its_path)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL}; /* without places that may not be looked into */
    char plain[32], script[32], orphan[32];
    make_file(plain, "echo hello\n", 0644);
    make_file(script, "echo hello\n", 0755);
    make_file(orphan, "#!/no/such/interpreter\n", 0755);
    ck_refused(ENOENT, "starting /no/such: No such file or directory", COSY_ARGV("/no/such"), .nice = 0);
    ck_refused(ENOENT, "starting no-such-program: No such file or directory (nowhere along PATH)",
               COSY_ARGV("no-such-program"), .env = env);
    ck_refused(EACCES, "(it is a directory)", COSY_ARGV("/tmp"), .nice = 0);
    ck_refused(EACCES, plain, COSY_ARGV(plain), .nice = 0);
    ck_refused(ENOEXEC, "nor a script with a #! line", COSY_ARGV(script), .nice = 0);
    if (!under_valgrind()) /* which looks for the interpreter when it is too late to go back */
        ck_refused(ENOENT, "the interpreter that it names is not", COSY_ARGV(orphan), .nice = 0);
    ck_refused(ENOENT, "changing to directory /no/such: No such file", COSY_ARGV("true"), .cwd = "/no/such");
    ck_refused(ENOTDIR, "changing to directory /dev/null: Not a directory", COSY_ARGV("true"), .cwd = "/dev/null");
    unlink(plain);
    unlink(script);
    unlink(orphan);
    return 0;
}

TASK_TEST(too_long_a_list_of_arguments)
{
    enum { EACH = 100000, COUNT = 200 };
    char *long_one = malloc(EACH + 1);
    const char **argv = calloc(COUNT + 2, sizeof *argv);
    int count = under_valgrind() ? 0 : COUNT; /* its execve cannot go back when the kernel refuses */
    memset(long_one, 'x', EACH);
    long_one[EACH] = 0;
    argv[0] = "true";
    for (int i = 1; i <= count; i++)
        argv[i] = long_one;
    if (count > 0)
        ck_refused(E2BIG, "Argument list too long", (const char *const *)argv, .stdout = COSY_PIPE);
    free(argv);
    free(long_one);
    return 0;
}

TASK_TEST(without_descriptors_nothing_starts)
{
    struct rlimit before, few;
    if (under_valgrind()) /* which ends with a failed assertion of its own where clone is refused */
        return 0;
    getrlimit(RLIMIT_NOFILE, &before);
    int free_fd = dup(2), result = -EMFILE, started = 0;
    close(free_fd);
    for (int more = 0; more < 12; more++) {
        cosy_process *process = NULL;
        few = (struct rlimit){(rlim_t)free_fd + (rlim_t)more, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        result = cosy_create_subprocess_exec(&process, COSY_ARGV("/bin/true"), .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                             .stderr = COSY_PIPE);
        setrlimit(RLIMIT_NOFILE, &before);
        ck_assert_msg(result == 0 || result == -EMFILE, "%s", cosy_errname(result));
        ck_ok(cosy_process_close(process));
        no_children();
        started += result == 0;
    }
    ck_ok(result);
    ck_assert_int_gt(started, 0);
    ck_assert_int_lt(started, 12);
    return 0;
}

/* ---- programs that behave badly ---- */

TASK_TEST(closing_ends_a_program_that_runs)
{
    pid_t pid;
    {
        cosy_scoped(cosy_process) process = NULL;
        ck_ok(
            cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
        pid = cosy_process_pid(process);
    }
    no_children();
    ck_assert(is_gone(pid));
    return 0;
}

/* Asked first, it may say something and clean up; its output is open until then. */
TASK_TEST(a_grace_lets_a_program_clean_up)
{
    char path[] = "/tmp/cosy-test-XXXXXX", data[32] = "";
    int fd = mkstemp(path);
    unlink(path);
    cosy_process *process;
    ck_ok(cosy_create_subprocess_shell(
        &process, "trap 'echo >&2; echo cleaned; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done",
        .stdout = fd, .stderr = COSY_PIPE, .close_grace = COSY_S(20)));
    char *line;
    ck_assert_int_gt(cosy_readline(cosy_process_stderr(process), &line), 0);
    ck_ok(cosy_process_close(process));
    no_children();
    ck_assert_int_eq(pread(fd, data, sizeof data - 1, 0), 8);
    ck_assert_str_eq(data, "cleaned\n");
    close(fd);
    return 0;
}

TASK_TEST(who_ignores_sigterm_is_killed_after_the_grace)
{
    cosy_process *process;
    char *line;
    cosy_ns begin = now();
    ck_ok(cosy_create_subprocess_shell(&process, "trap '' TERM; echo ready; while :; do sleep 100; done",
                                       .stdout = COSY_PIPE, .kill_group = true, .close_grace = COSY_MS(50)));
    ck_assert_int_gt(cosy_readline(cosy_process_stdout(process), &line), 0);
    ck_ok(cosy_process_terminate(process));
    ck_ok(cosy_process_close(process));
    ck_assert_int_ge(now() - begin, COSY_MS(50));
    no_children();
    return 0;
}

TASK_TEST(one_that_has_stopped_itself_is_ended_too)
{
    for (int i = 0; i < 2; i++) {
        cosy_process *process;
        char path[64], state = 0;
        ck_ok(cosy_create_subprocess_shell(&process, "kill -STOP $$; exit 1", .close_grace = i ? COSY_S(20) : 0));
        snprintf(path, sizeof path, "/proc/%d/stat", (int)cosy_process_pid(process));
        while (state != 'T') {
            FILE *file = fopen(path, "re");
            ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
            fclose(file);
            ck_ok(cosy_sleep(COSY_MS(1)));
        }
        ck_assert_int_eq(cosy_process_returncode(process), COSY_STILL_RUNNING);
        ck_ok(cosy_process_close(process));
        no_children();
    }
    return 0;
}

/* The end of the program is not the end of its pipe. */
TASK_TEST(waiting_does_not_wait_for_grandchildren)
{
    cosy_scoped(cosy_process) process = NULL;
    int code, err = 0;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_shell(&process, "sleep 100 & echo $!; exit 6", .stdout = COSY_PIPE,
                                       .stderr = COSY_DEVNULL));
    int grandchild = number_from(cosy_process_stdout(process));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 6);
    ck_assert(!is_gone(grandchild));
    COSY_TIMEOUT (err, COSY_MS(20)) {
        cosy_check(err, cosy_process_communicate(process, NULL, 0, 0, &output));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    kill(grandchild, SIGKILL);
    ck_ok(cosy_process_communicate(process, NULL, 0, 0, &output));
    ck_assert_str_eq(output.stdout, "");
    cosy_process_output_free(&output);
    return 0;
}

TASK_TEST(a_whole_group_is_ended)
{
    for (int i = 0; i < 3; i++) {
        cosy_process *process;
        int code = 0;
        ck_ok(cosy_create_subprocess_shell(&process,
                                           i == 0 ? "sleep 100 & echo $!; exit 6" : "sleep 100 & echo $!; wait",
                                           .stdout = COSY_PIPE, .kill_group = true, .start_new_session = i == 2));
        int grandchild = number_from(cosy_process_stdout(process));
        if (i == 0) {
            ck_ok(cosy_process_wait(process, &code));
            ck_assert_int_eq(code, 6);
            ck_ok(cosy_process_send_signal(process, 0)); /* its group can still be reached */
        }
        ck_assert(!is_gone(grandchild));
        ck_ok(cosy_process_close(process));
        no_children();
        until_gone(grandchild);
    }
    return 0;
}

TASK_TEST(output_that_is_closed_early_is_not_the_end)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_shell(&process, "echo last; exec >&- 2>&-; read x; exit 9", .stdin = COSY_PIPE,
                                       .stdout = COSY_PIPE, .stderr = COSY_PIPE));
    char *text;
    ck_assert_int_eq(cosy_read_all(cosy_process_stdout(process), &text, 0), 5);
    free(text);
    ck_assert_int_eq(cosy_process_returncode(process), COSY_STILL_RUNNING);
    ck_ok(cosy_process_communicate(process, "\n", 1, 0, &output));
    ck_assert_int_eq(cosy_process_returncode(process), 9);
    cosy_process_output_free(&output);
    return 0;
}

/* Nothing is kept in memory of what nobody reads; and a reader takes it all. */
TASK_TEST(much_output_waits_for_its_reader)
{
    const int64_t size = under_valgrind() ? 4 << 20 : INT64_C(100) << 20;
    char command[64];
    cosy_scoped(cosy_process) process = NULL;
    int64_t length, all = 0;
    snprintf(command, sizeof command, "exec head -c %lld /dev/zero", (long long)size);
    ck_ok(cosy_create_subprocess_shell(&process, command, .stdout = COSY_PIPE));
    ck_ok(cosy_sleep(COSY_MS(2)));
    ck_assert_uint_eq(cosy_stream_buffered(cosy_process_stdout(process)), 0);
    COSY_CHUNKS (cosy_process_stdout(process), chunk, length)
        all += length;
    ck_assert_int_eq(all, size);
    ck_ok(cosy_process_communicate(process, NULL, 0, 0, NULL));
    ck_assert_int_eq(cosy_process_returncode(process), 0);
    return 0;
}

TASK_TEST(one_that_writes_for_ever_is_ended)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("yes"), .stdout = COSY_PIPE));
    ck_assert_int_eq(cosy_process_communicate(process, NULL, 0, 1 << 20, &output), -COSY_ELIMIT);
    ck_ok(cosy_process_kill(process));
    int code;
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGKILL);
    return 0;
}

/* ---- somebody else reaps ---- */

TASK_TEST(one_that_somebody_else_has_reaped_has_ended)
{
    cosy_scoped(cosy_process) process = NULL;
    int status, code;
    ck_ok(cosy_create_subprocess_shell(&process, "exit 5"));
    ck_assert_int_eq(waitpid(cosy_process_pid(process), &status, 0), cosy_process_pid(process));
    ck_ok(cosy_process_wait(process, &code));
    if (code == 255)
        logs("was reaped by somebody else");
    else
        ck_assert_int_eq(code, 5); /* a newer kernel still knows */
    ck_assert_int_eq(cosy_process_kill(process), -ESRCH);
    return 0;
}

TASK_TEST(a_parent_that_ignores_sigchld)
{
    cosy_scoped(cosy_process) process = NULL;
    int code;
    signal(SIGCHLD, SIG_IGN);
    ck_ok(cosy_create_subprocess_shell(&process, "exit 5"));
    ck_ok(cosy_process_wait(process, &code));
    signal(SIGCHLD, SIG_DFL);
    if (code == 255)
        logs("was reaped by somebody else");
    else
        ck_assert_int_eq(code, 5);
    return 0;
}

/* ---- kernels without pidfd ---- */

static cosy_process *left;

/* The last call of a start asks for the pidfd. */
cosy_async static int start_without_pidfd(cosy_process **ret_process, const char *command)
{
    cosy_sys_fail_nth(1000000, 0);
    ck_ok(cosy_create_subprocess_shell(ret_process, command, .stdout = COSY_PIPE));
    long calls = cosy_sys_counted();
    ck_ok(cosy_process_close(*ret_process));
    for (long n = calls; n > 0; n--) { /* registering it may come behind */
        cosy_sys_fail_nth(n, ENOSYS);
        int result = cosy_create_subprocess_shell(ret_process, command, .stdout = COSY_PIPE);
        cosy_sys_fail_nth(0, 0);
        if (result == 0 && (*ret_process)->watch)
            return 0;
        if (result == 0)
            ck_ok(cosy_process_close(*ret_process));
    }
    ck_abort_msg("no call was the question for a pidfd");
    return -1;
}

TASK_TEST(without_pidfd_a_thread_waits)
{
    cosy_process *process;
    int code;
    char *line;
    start_without_pidfd(&process, "echo out; exit 8");
    ck_assert_int_gt(cosy_readline(cosy_process_stdout(process), &line), 0);
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 8);
    ck_ok(cosy_process_close(process));
    start_without_pidfd(&process, "exec sleep 100");
    ck_ok(cosy_process_send_signal(process, SIGUSR1));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGUSR1);
    ck_ok(cosy_process_close(process));
    start_without_pidfd(&process, "exec sleep 100");
    ck_ok(cosy_process_close(process));
    no_children();
    return 0;
}

TASK_TEST(what_nobody_knows_is_255_and_a_warning)
{
    cosy_process *process;
    int status, code;
    start_without_pidfd(&process, "exit 5");
    ck_assert_int_eq(waitpid(cosy_process_pid(process), &status, 0), cosy_process_pid(process));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 255);
    logs("was reaped by somebody else");
    ck_ok(cosy_process_close(process));
    return 0;
}

cosy_async static int leave_one_without_pidfd(void)
{
    start_without_pidfd(&left, "exec sleep 100");
    return 0;
}

START_TEST(a_loop_that_closes_does_not_wait_for_the_thread_for_ever)
{
    begin_test();
    ck_ok(cosy_run(leave_one_without_pidfd));
    no_children();
    ck_ok(cosy_process_close(left));
}
END_TEST

/* ---- callers that go away ---- */

static pid_t started;

cosy_async static int whole_life(void)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output output;
    cosy_try(cosy_create_subprocess_shell(&process, "cat; echo $$ >&2", .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                          .stderr = COSY_PIPE, .close_grace = COSY_MS(5)));
    started = cosy_process_pid(process);
    int result = cosy_process_communicate(process, "hello", 5, 0, &output);
    if (result == 0 && strcmp(output.stdout, "hello") != 0)
        result = -EINVAL;
    cosy_process_output_free(&output);
    return result;
}

/* So many turns later, until it is through. */
TASK_TEST(a_cancel_at_any_moment_leaves_nothing_behind)
{
    int fds = open_descriptors(), result = -ECANCELED, most = under_tool() ? 40 : 120;
    for (int turns_before = 0; result == -ECANCELED && turns_before < most; turns_before++) {
        cosy_scoped(cosy_task) task = cosy_create_task(whole_life);
        let_all_run(turns_before);
        cosy_task_cancel(task);
        result = cosy_await(task);
        ck_assert_msg(result == -ECANCELED || result == 0, "%s", cosy_errname(result));
        no_children();
        let_all_run(2);
        ck_ok(cosy_sleep(COSY_US(10)));
        ck_assert_int_eq(open_descriptors(), fds);
    }
    return 0;
}

cosy_async static int talk_to(cosy_process *process, struct cosy_process_output *output)
{
    return cosy_process_communicate(process, "some input", 10, 0, output);
}

/* What was read is there for the next call, whichever of the two streams it came by. */
TASK_TEST(a_cancelled_communicate_loses_no_byte)
{
    for (int i = 0; i < 40; i++) {
        cosy_scoped(cosy_process) process = NULL;
        struct cosy_process_output output;
        ck_ok(cosy_create_subprocess_shell(&process, "echo one; echo two >&2; exec 2>&-; cat; sleep 0.002; echo three",
                                           .stdin = COSY_PIPE, .stdout = COSY_PIPE, .stderr = COSY_PIPE));
        cosy_scoped(cosy_task) task = cosy_create_task(talk_to, process, &output);
        ck_ok(cosy_sleep(COSY_US(150) * i));
        cosy_task_cancel(task);
        int result = cosy_await(task);
        if (result == -ECANCELED)
            ck_ok(cosy_process_communicate(process, i == 0 ? "some input" : NULL, i == 0 ? 10 : 0, 0, &output));
        ck_assert_str_eq(output.stdout, "one\nsome inputthree\n");
        ck_assert_str_eq(output.stderr, "two\n");
        cosy_process_output_free(&output);
        i += under_tool() ? 7 : 1;
    }
    return 0;
}

cosy_async static int wait_for_end(cosy_process *process)
{
    return cosy_process_wait(process, NULL);
}

TASK_TEST(who_waits_hears_when_it_is_closed)
{
    cosy_process *process;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100")));
    cosy_scoped(cosy_task) waiter = cosy_create_task(wait_for_end, process);
    let_all_run(2);
    ck_ok(cosy_process_close(process));
    ck_ok(cosy_await(waiter));
    return 0;
}

/* Whichever moment it comes at: the memory is there until the last one has left. */
TASK_TEST(who_talks_hears_when_it_is_closed)
{
    for (int turns_before = 0; turns_before < 12; turns_before++) {
        cosy_process *process;
        struct cosy_process_output output;
        ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100"), .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                          .stderr = COSY_PIPE));
        cosy_scoped(cosy_task) talker = cosy_create_task(talk_to, process, &output);
        let_all_run(1); /* it must have begun */
        let_all_run(turns_before);
        ck_ok(cosy_process_close(process));
        int result = cosy_await(talker); /* 0: the outputs had ended with the program before they were closed */
        ck_assert_msg(result == 0 || result == -ECONNABORTED || result == -COSY_ECLOSED || result == -EPIPE, "%s",
                      cosy_errname(result));
        if (result == 0)
            cosy_process_output_free(&output);
        no_children();
    }
    return 0;
}

cosy_async static int close_it(cosy_process *process)
{
    ck_ok(cosy_process_close(process));
    say("closed");
    return cosy_sleep(COSY_S(100)); /* the cancel comes here */
}

TASK_TEST(a_close_is_not_cancelled)
{
    cosy_process *process;
    char *line;
    ck_ok(cosy_create_subprocess_shell(&process, "trap '' TERM; echo ready; sleep 100 & wait; sleep 100",
                                       .stdout = COSY_PIPE, .kill_group = true, .close_grace = COSY_MS(40)));
    ck_assert_int_gt(cosy_readline(cosy_process_stdout(process), &line), 0);
    cosy_scoped(cosy_task) closer = cosy_create_task(close_it, process);
    let_all_run(2);
    cosy_task_cancel(closer);
    let_all_run(2);
    ck_assert(!cosy_task_done(closer));
    ck_assert_int_eq(cosy_await(closer), -ECANCELED);
    said("closed");
    no_children();
    return 0;
}

static void close_in_callback(void *arg)
{
    ck_ok(cosy_process_close(arg));
}

TASK_TEST(outside_a_task_a_close_does_not_wait)
{
    cosy_process *process;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100"), .stdout = COSY_PIPE));
    pid_t pid = cosy_process_pid(process);
    cosy_call_soon(loop_now(), close_in_callback, process, NULL);
    until_gone(pid);
    siginfo_t info;
    for (int ms = 0; ms < 1000 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0; ms++)
        ck_ok(cosy_sleep(COSY_MS(1)));
    no_children();
    return 0;
}

/* ---- loops that close ---- */

cosy_async static int leave_one(void)
{
    cosy_try(cosy_create_subprocess_exec(&left, COSY_ARGV("sleep", "100"), .stdout = COSY_PIPE));
    return 0;
}

START_TEST(a_loop_that_closes_ends_its_children)
{
    begin_test();
    int fds = open_descriptors();
    ck_ok(cosy_run(leave_one));
    no_children();
    ck_assert_int_eq(cosy_process_returncode(left), -SIGKILL);
    ck_ok(cosy_process_close(left));
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_int_eq(cosy_run_with((.debug = true), leave_one), 0);
    no_children();
    ck_assert_ptr_nonnull(strstr(logged, "unclosed process 'sleep'"));
    ck_ok(cosy_process_close(left));
}
END_TEST

cosy_async static int leave_an_orphan(void)
{
    cosy_process *process;
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100"), .kill_group = true));
    cosy_call_soon(loop_now(), close_in_callback, process, NULL);
    return cosy_yield();
}

START_TEST(a_loop_that_closes_reaps_orphans)
{
    begin_test();
    ck_ok(cosy_run(leave_an_orphan));
    no_children();
}
END_TEST

/* ---- the parent's death ---- */

cosy_async static int start_and_die(int fd)
{
    cosy_process *process;
    if (cosy_create_subprocess_exec(&process, COSY_ARGV("sleep", "100"), .parent_death_signal = SIGKILL) < 0)
        _exit(1);
    dprintf(fd, "%d\n", (int)cosy_process_pid(process));
    leave(0);
}

cosy_async static int run_and_give_code(void)
{
    struct cosy_process_result result;
    cosy_try(cosy_run_process(SH("exit 3"), &result));
    return result.returncode;
}

TASK_TEST(a_program_may_die_with_its_parent)
{
    int fds[2], status, pid = 0;
    char text[32] = "";
    ck_ok(pipe2(fds, O_CLOEXEC));
    fflush(NULL);
    pid_t parent = fork();
    if (parent == 0) {
        cosy_run(start_and_die, fds[1]);
        _exit(1);
    }
    close(fds[1]);
    ck_assert_int_gt(read(fds[0], text, sizeof text - 1), 0);
    close(fds[0]);
    ck_assert_int_eq(waitpid(parent, &status, 0), parent);
    ck_assert_int_eq(status, 0);
    pid = atoi(text);
    ck_assert_int_gt(pid, 1);
    until_gone(pid);
    return 0;
}

/* ---- forks ---- */

/* In a child of a running loop's, a loop of its own starts programs; and what is closed there ends nothing of the
 * parent's. */
TASK_TEST(a_forked_child_starts_programs_and_leaves_its_parents_alone)
{
    if (UNDER_TSAN) /* which knows no forks of programs with fibers */
        return 0;
    cosy_process *process;
    int status, code;
    ck_ok(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                      .kill_group = true, .close_grace = COSY_MS(1)));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool runs = cosy_run(run_and_give_code) == 3, closed = cosy_process_close(process) == 0;
        leave(runs && closed ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    char *line;
    ck_ok(cosy_write(cosy_process_stdin(process), "alive\n", 6));
    ck_assert_int_eq(cosy_readline(cosy_process_stdout(process), &line), 6);
    ck_ok(cosy_write_eof(cosy_process_stdin(process)));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 0);
    return cosy_process_close(process);
}

/* ---- lack ---- */

cosy_async static int life_and_death(void)
{
    static const char *const changes[] = {"A=1", NULL};
    cosy_scoped(cosy_process) process = NULL;
    int code;
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE,
                                         .stderr = COSY_PTY, .env_changes = changes, .pty_rows = 3));
    cosy_try(cosy_write_eof(cosy_process_stdin(process)));
    cosy_try(cosy_process_wait(process, &code));
    return code;
}

static int run_life(void)
{
    int result = cosy_run(life_and_death);
    no_children();
    return result;
}

START_TEST(each_allocation_may_fail)
{
    starve(run_life);
}
END_TEST

/* Each call of the kernel's fails in turn: the program starts, or does not, and nothing is left. */
START_TEST(each_call_of_the_kernel_may_fail)
{
    begin_test();
    ck_ok(run_life());
    int fds = open_descriptors();
    long counted = 1;
    for (long n = 1; counted >= n; n++) {
        cosy_sys_fail_nth(n, EIO);
        int result = run_life();
        counted = cosy_sys_counted();
        cosy_sys_fail_nth(0, 0);
        ck_assert_int_eq(open_descriptors(), fds);
        ck_assert_msg(result == 0 || (counted >= n && result == -EIO) || result == -EINVAL || result == -ENOSYS,
                      "call %ld failing gave %s", n, cosy_errname(result));
        ck_assert_int_lt(n, 500);
    }
    logged[0] = 0;
}
END_TEST

/* ---- many ---- */

TASK_TEST(many_in_a_row_leave_nothing_behind)
{
    int fds = open_descriptors(), many = under_tool() ? 10 : 100;
    long memory = cosy_heap_live();
    for (int i = 0; i < many; i++) {
        struct cosy_process_result result;
        ck_ok(cosy_run_process(COSY_ARGV("/bin/true"), &result, .capture = true, .check = true));
        cosy_process_output_free(&result.output);
        if (i == 5)
            memory = cosy_heap_live();
    }
    ck_ok(cosy_sleep(COSY_MS(1)));
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_int_le(cosy_heap_live(), memory + 8);
    no_children();
    return 0;
}

cosy_async static int run_one(int number)
{
    struct cosy_process_result result;
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    cosy_try(cosy_run_process(COSY_ARGV("echo", text), &result, .capture = true, .check = true));
    int same = atoi(result.output.stdout) == number;
    cosy_process_output_free(&result.output);
    return same ? 0 : -EINVAL;
}

TASK_TEST(many_at_once)
{
    int many = under_tool() ? 5 : 50;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < many; i++)
        cosy_task_group_spawn(group, run_one, i);
    ck_ok(cosy_task_group_wait(group));
    no_children();
    return 0;
}

PROCESS_TESTS_MAIN("process_end", what_cannot_be_started_is_told_with_its_path, too_long_a_list_of_arguments,
                   without_descriptors_nothing_starts, closing_ends_a_program_that_runs,
                   a_grace_lets_a_program_clean_up, who_ignores_sigterm_is_killed_after_the_grace,
                   one_that_has_stopped_itself_is_ended_too, waiting_does_not_wait_for_grandchildren,
                   a_whole_group_is_ended, output_that_is_closed_early_is_not_the_end, much_output_waits_for_its_reader,
                   one_that_writes_for_ever_is_ended, one_that_somebody_else_has_reaped_has_ended,
                   what_nobody_knows_is_255_and_a_warning, a_parent_that_ignores_sigchld, without_pidfd_a_thread_waits,
                   a_loop_that_closes_does_not_wait_for_the_thread_for_ever,
                   a_cancel_at_any_moment_leaves_nothing_behind, a_cancelled_communicate_loses_no_byte,
                   who_waits_hears_when_it_is_closed, who_talks_hears_when_it_is_closed, a_close_is_not_cancelled,
                   outside_a_task_a_close_does_not_wait, a_loop_that_closes_ends_its_children,
                   a_loop_that_closes_reaps_orphans, a_program_may_die_with_its_parent,
                   a_forked_child_starts_programs_and_leaves_its_parents_alone, each_allocation_may_fail,
                   each_call_of_the_kernel_may_fail, many_in_a_row_leave_nothing_behind, many_at_once)
