/* process.c - starts programs and waits for them, as a shell would. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The signals that end a command. They end the program that runs below it first, so that what it prints last is
 * seen, its status is returned and the temporary files go. */
static const int stop_signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
enum { STOP_SIGNALS = sizeof(stop_signals) / sizeof(stop_signals[0]) };

static volatile sig_atomic_t child_pid;
static volatile sig_atomic_t stop_signal; /* the last one that came */
static sigset_t mask_before;
static struct sigaction actions_before[STOP_SIGNALS];

/* The terminal sends Ctrl-C to the whole group: the child has it already. What someone sent with kill(1) went to this
 * process alone, and is handed on. */
static void hand_signal_on(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    stop_signal = signal_number;
    if (child_pid > 0 && info->si_code <= 0)
        kill((pid_t)child_pid, signal_number);
    errno = saved;
}

void stop_signals_catch(void)
{
    struct sigaction action = {.sa_sigaction = hand_signal_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < STOP_SIGNALS; i++)
        sigaddset(&set, stop_signals[i]);
    sigprocmask(SIG_BLOCK, &set, &mask_before);
    for (int i = 0; i < STOP_SIGNALS; i++) {
        sigaction(stop_signals[i], NULL, &actions_before[i]);
        if (actions_before[i].sa_handler != SIG_IGN) /* nohup: ignored for the program too */
            sigaction(stop_signals[i], &action, NULL);
    }
}

void stop_signals_restore(void)
{
    for (int i = 0; i < STOP_SIGNALS; i++)
        sigaction(stop_signals[i], &actions_before[i], NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

/* Lets the signals that are waiting arrive; true when one has asked this command to stop. */
static bool stop_was_asked(void)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, &mask_before, &blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    return stop_signal != 0;
}

/* In the child. The report pipe closes by itself at a successful exec; otherwise it carries errno. */
static _Noreturn void become(const char *path, char *const argv[], int report)
{
    execvp(path, argv);
    int error = errno;
    ssize_t written = write(report, &error, sizeof(error));
    _exit(written == sizeof(error) ? 127 : 126);
}

/* Returns 0 when the child runs `path`, or the -errno of its exec. */
static int read_report(int report)
{
    int error = 0;
    ssize_t got;
    do
        got = read(report, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    close(report);
    return got == sizeof(error) ? -error : 0;
}

static int wait_status(pid_t pid, int *ret_signal)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    *ret_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return *ret_signal ? 128 + *ret_signal : WEXITSTATUS(status);
}

int wait_for_program(pid_t pid)
{
    int signal_number;
    return wait_status(pid, &signal_number);
}

pid_t start_program(char *const argv[], int *ret_stderr)
{
    int report[2], errors[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(errors, O_CLOEXEC) < 0) {
        int error = errno;
        close(report[0]);
        close(report[1]);
        return -error;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(errors[1], STDERR_FILENO);
        become(argv[0], argv, report[1]);
    }
    int error = pid < 0 ? -errno : 0;
    close(report[1]);
    close(errors[1]);
    if (pid > 0 && (error = read_report(report[0])) < 0)
        wait_for_program(pid);
    if (pid < 0)
        close(report[0]);
    if (error < 0) {
        close(errors[0]);
        return error;
    }
    *ret_stderr = errors[0];
    return pid;
}

/* In the child: gives the program the signals as they were, and its end the parent's. */
static void prepare_child(pid_t parent, bool fixed_addresses)
{
    stop_signals_restore();
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a killed `cosy run` leaves no program behind */
    if (getppid() != parent)
        _exit(128 + SIGTERM);
    if (fixed_addresses) /* TSan of gcc 12 and 13 refuses to start under much address randomisation */
        personality((unsigned long)personality(0xffffffff) | ADDR_NO_RANDOMIZE);
}

int run_and_wait(const char *path, char *const argv[], bool fixed_addresses, int *ret_signal)
{
    int report[2];
    *ret_signal = 0;
    if (stop_was_asked())
        return 128 + (*ret_signal = stop_signal);
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prepare_child(parent, fixed_addresses);
        become(path, argv, report[1]);
    }
    int result = pid < 0 ? -errno : 0;
    close(report[1]);
    sigset_t blocked;
    child_pid = pid;
    sigprocmask(SIG_SETMASK, &mask_before, &blocked);
    int exec_error = read_report(report[0]);
    if (pid > 0)
        result = wait_status(pid, ret_signal);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    child_pid = 0;
    return exec_error < 0 ? exec_error : result;
}
