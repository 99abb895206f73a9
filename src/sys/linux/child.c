/* child.c - children of the real kernel: their birth, what they do before their program, their end.
 *
 * A child usually shares its parent's memory, and the parent stands still until the program has begun (as vfork): then
 * a start costs the same however large the parent is, and what failed is told by a plain store. It is a child with
 * memory of its own, which tells by a pipe, where the two cannot share (valgrind, emulators) or should not: while its
 * user changes, since a process of one user must not be open to another. What the child runs is written for both.
 *
 * Rules for the code that the child runs
 *  - System calls only, by number: the C library's setuid and its like would stop threads that the child does not have.
 *  - No signal handler can run: all signals are blocked from before its birth, and open again only when none has a
 * handler.
 *  - The sanitizers do not look: their records would stay behind in the parent's memory.
 */
#include "../child.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "../../base/heap.h"
#include "../../base/memcheck.h"
#include "../arch/clone.h"
#include "../syscalls.h"

/* Of newer headers. */
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND UINT64_C(0x100000000)
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { CLOSE_ON_EXEC = 4 /* CLOSE_RANGE_CLOEXEC */, KERNEL_SIGNALS = 64, STACK = 16384 };

#if defined(__SANITIZE_THREAD__)
#define SHARES_NOTHING                                                                                                 \
    true /* clang's thread sanitizer notes each function's begin even where it is told not to look                     \
          */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARES_NOTHING true
#endif
#endif
#ifndef SHARES_NOTHING
#define SHARES_NOTHING false
#endif

#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined"), noinline)) static

/* As the kernel has it: the C library's sigset_t is longer, and its sigaction refuses two signals of its own. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

struct birth {
    struct cosy_child_plan *plan;
    pid_t parent;
    int report;    /* the end of the pipe that failures are written to; -1: the memory is shared */
    bool handlers; /* signals have handlers, which are to be taken off */
};

/* What is written to the pipe. */
struct report {
    int failed, error, which;
};

/* ---- the child ---- */

IN_CHILD _Noreturn void give_up(const struct birth *birth, int step, int which, int error)
{
    struct cosy_child_plan *plan = birth->plan;
    plan->failed = step;
    plan->error = error;
    plan->which = which;
    if (birth->report >= 0)
        syscall(SYS_write, birth->report, &plan->failed, sizeof(struct report));
    for (;;)
        syscall(SYS_exit_group, 127);
}
_Static_assert(offsetof(struct cosy_child_plan, error) == offsetof(struct cosy_child_plan, failed) + sizeof(int) &&
                   offsetof(struct cosy_child_plan, which) == offsetof(struct cosy_child_plan, error) + sizeof(int),
               "the report is a piece of the plan");

/* The result of a call that must not fail. */
IN_CHILD long must(const struct birth *birth, int step, int which, long result)
{
    if (result < 0)
        give_up(birth, step, which, errno);
    return result;
}

/* Ignored signals stay ignored, as by every exec: nohup is made of that. But for the two that programs ignore for
 * themselves. */
IN_CHILD void reset_signals(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    struct kernel_action standard = {.handler = SIG_DFL}, present;
    for (int signum = 1; signum <= KERNEL_SIGNALS; signum++) {
        bool own = signum == SIGPIPE || signum == SIGXFSZ;
        if (signum == SIGKILL || signum == SIGSTOP || (!own && !plan->default_signals && !birth->handlers))
            continue;
        if (syscall(SYS_rt_sigaction, signum, NULL, &present, sizeof present.mask) < 0 || present.handler == SIG_DFL)
            continue;
        if (present.handler != SIG_IGN || own || plan->default_signals)
            must(birth, COSY_CHILD_SIGNALS, signum,
                 syscall(SYS_rt_sigaction, signum, &standard, NULL, sizeof standard.mask));
    }
}

IN_CHILD void join_groups(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    if (plan->session)
        must(birth, COSY_CHILD_SESSION, 0, syscall(SYS_setsid));
    else if (plan->set_process_group)
        must(birth, COSY_CHILD_GROUP, 0, syscall(SYS_setpgid, 0, plan->process_group));
}

/* Those that stand where another is to go are moved out of the way first. */
IN_CHILD void place_stdio(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    int from[3];
    for (int i = 0; i < 3; i++) {
        from[i] = plan->stdio[i];
        if (from[i] >= 0 && from[i] < 3)
            from[i] = (int)must(birth, COSY_CHILD_STDIO, i, syscall(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, 3));
    }
    for (int i = 0; i < 3; i++)
        if (from[i] >= 0)
            must(birth, COSY_CHILD_STDIO, i, syscall(SYS_dup3, from[i], i, 0));
    if (plan->terminal)
        must(birth, COSY_CHILD_TERMINAL, 0, syscall(SYS_ioctl, 0, TIOCSCTTY, 0));
}

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* Kernels before 5.11. */
IN_CHILD void mark_listed(const struct birth *birth)
{
    _Alignas(struct directory_entry) char list[1024];
    long dir = must(birth, COSY_CHILD_CLOSE, 0,
                    syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (long size; (size = must(birth, COSY_CHILD_CLOSE, 0, syscall(SYS_getdents64, dir, list, sizeof list))) > 0;)
        for (long at = 0; at < size;) {
            const struct directory_entry *entry = (const struct directory_entry *)(const void *)(list + at);
            int fd = 0;
            for (const char *digit = entry->name; *digit; digit++)
                fd = *digit >= '0' && *digit <= '9' && fd < INT_MAX / 10 ? fd * 10 + (*digit - '0') : -INT_MAX / 10;
            if (fd > 2)
                syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
            at += entry->size;
        }
}

IN_CHILD void choose_descriptors(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    if (plan->close_others && syscall(SYS_close_range, 3, UINT_MAX, CLOSE_ON_EXEC) < 0)
        mark_listed(birth);
    for (size_t i = 0; i < plan->pass_count; i++)
        must(birth, COSY_CHILD_PASS, plan->pass[i], syscall(SYS_fcntl, plan->pass[i], F_SETFD, 0));
}

IN_CHILD void set_surroundings(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    if (plan->directory)
        must(birth, COSY_CHILD_DIRECTORY, 0, syscall(SYS_chdir, plan->directory));
    if (plan->set_mask)
        syscall(SYS_umask, plan->mask);
    for (size_t i = 0; i < plan->limit_count; i++)
        must(birth, COSY_CHILD_LIMIT, plan->limits[i].resource,
             syscall(SYS_prlimit64, 0, plan->limits[i].resource, &plan->limits[i].limit, NULL));
    if (plan->nice) /* the kernel tells 20 - nice */
        must(birth, COSY_CHILD_PRIORITY, 0,
             syscall(SYS_setpriority, PRIO_PROCESS, 0, 20 - syscall(SYS_getpriority, PRIO_PROCESS, 0) + plan->nice));
}

/* The user last: then nothing else may be changed. The parent's death is forgotten by the kernel where the user
 * changes. */
IN_CHILD void become_user(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    if (plan->set_groups)
        must(birth, COSY_CHILD_GROUPS, 0, syscall(SYS_setgroups, plan->group_count, plan->groups));
    if (plan->set_gid)
        must(birth, COSY_CHILD_GID, 0, syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid));
    if (plan->set_uid)
        must(birth, COSY_CHILD_UID, 0, syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid));
    if (plan->parent_death_signal) {
        must(birth, COSY_CHILD_PARENT, 0, syscall(SYS_prctl, PR_SET_PDEATHSIG, plan->parent_death_signal, 0, 0, 0));
        if (syscall(SYS_getppid) != birth->parent)
            give_up(birth, COSY_CHILD_PARENT, 0, ESRCH);
    }
}

/* As execvpe looks, along a list that the parent has made. */
IN_CHILD _Noreturn void begin_program(const struct birth *birth)
{
    const struct cosy_child_plan *plan = birth->plan;
    int error = ENOENT, which = 0;
    for (int i = 0; plan->paths[i]; i++) {
        syscall(SYS_execve, plan->paths[i], plan->argv, plan->environment);
        bool absent = errno == ENOENT || errno == ENOTDIR || errno == ENODEV || errno == ESTALE || errno == ETIMEDOUT;
        if (!absent || i == 0) { /* what is there and may not be run tells more than what is not there */
            which = i;
            error = errno;
        }
        if (!absent && errno != EACCES)
            break;
    }
    give_up(birth, COSY_CHILD_PROGRAM, which, error);
}

IN_CHILD void child_main(void *arg)
{
    const struct birth *birth = arg;
    uint64_t nothing = 0;
    reset_signals(birth);
    join_groups(birth);
    place_stdio(birth);
    choose_descriptors(birth);
    set_surroundings(birth);
    become_user(birth);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &nothing, NULL, sizeof nothing);
    begin_program(birth);
}

/* ---- its birth ---- */

struct clone_arguments { /* struct clone_args, as of its first version */
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static atomic_bool no_clone3, no_pidfd;

/* Where they share no memory, the child goes on with a copy of the parent's stack. */
static int give_birth(struct birth *birth, char *stack, int *ret_pidfd)
{
    uint64_t flags = stack ? CLONE_VM | CLONE_VFORK : 0;
    bool pidfd = !atomic_load_explicit(&no_pidfd, memory_order_relaxed);
    long result = -ENOSYS;
    flags |= pidfd ? CLONE_PIDFD : 0;
    birth->handlers = false;
    if (!atomic_load_explicit(&no_clone3, memory_order_relaxed)) {
        struct clone_arguments arguments = {.flags = flags | CLONE_CLEAR_SIGHAND,
                                            .pidfd = (uintptr_t)ret_pidfd,
                                            .exit_signal = SIGCHLD,
                                            .stack = (uintptr_t)stack,
                                            .stack_size = stack ? STACK : 0};
        result = cosy_clone(SYS_clone3, (long)&arguments, sizeof arguments, 0, child_main, birth);
        if (result == -ENOSYS || result == -EPERM || result == -EINVAL)
            atomic_store_explicit(&no_clone3, true, memory_order_relaxed);
        else
            return (int)result;
    }
    birth->handlers = true;
    result = cosy_clone(SYS_clone, (long)(flags | SIGCHLD), (long)(stack ? stack + STACK : NULL), (long)ret_pidfd,
                        child_main, birth);
    if (result == -EINVAL && pidfd) {
        atomic_store_explicit(&no_pidfd, true, memory_order_relaxed);
        return give_birth(birth, stack, ret_pidfd);
    }
    return (int)result;
}

/* The two of them with all signals blocked, those of the C library's too. */
static int give_birth_quietly(struct birth *birth, char *stack, int *ret_pidfd)
{
    uint64_t all = UINT64_MAX, before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int pid = give_birth(birth, stack, ret_pidfd);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return pid;
}

/* ---- whether memory is shared ---- */

static atomic_int sharing; /* 0: not known; 1: it is; 2: it is not */

IN_CHILD void leave_a_trace(void *arg)
{
    *(volatile bool *)arg = true;
    for (;;)
        syscall(SYS_exit_group, 0);
}

/* Emulators and valgrind make a plain fork of it. A signal would be handled in the child, so all are blocked. */
static bool find_out_sharing(char *stack)
{
    volatile bool traced = false;
    uint64_t all = UINT64_MAX, before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    long pid = cosy_clone(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, (long)(stack + STACK), 0, leave_a_trace,
                          (void *)(uintptr_t)&traced);
    if (pid > 0)
        while (syscall(SYS_wait4, pid, NULL, __WALL, NULL) < 0 && errno == EINTR)
            ;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return pid > 0 && traced;
}

static bool memory_is_shared(char *stack)
{
    int known = atomic_load_explicit(&sharing, memory_order_relaxed);
    if (known == 0) {
        known = !SHARES_NOTHING && !RUNNING_ON_VALGRIND && find_out_sharing(stack) ? 1 : 2;
        atomic_store_explicit(&sharing, known, memory_order_relaxed);
    }
    return known == 1;
}

/* ---- starting ---- */

static void reap(pid_t pid)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
        ;
}

/* Until the program has begun, which closes the child's end, or the child has told what failed. */
static void hear_report(struct birth *birth, int fd)
{
    struct report report;
    ssize_t got;
    do
        got = read(fd, &report, sizeof report);
    while (got < 0 && errno == EINTR);
    if (got != sizeof report)
        return;
    birth->plan->failed = report.failed;
    birth->plan->error = report.error;
    birth->plan->which = report.which;
}

/* A child of its own memory. */
static int spawn_apart(struct birth *birth, int *ret_pidfd)
{
    int ends[2], result = COSY_SYS_CALL(pipe2(ends, O_CLOEXEC));
    if (result < 0)
        return result;
    if (ends[1] < 3) { /* the program's own descriptors will stand there */
        int moved = COSY_SYS_CALL(fcntl(ends[1], F_DUPFD_CLOEXEC, 3));
        close(ends[1]);
        ends[1] = moved;
        result = moved < 0 ? moved : 0;
    }
    birth->report = ends[1];
    if (result == 0)
        result = give_birth_quietly(birth, NULL, ret_pidfd);
    if (ends[1] >= 0)
        close(ends[1]);
    if (result > 0)
        hear_report(birth, ends[0]);
    close(ends[0]);
    return result;
}

static int spawn(struct birth *birth, int *ret_pidfd)
{
    const struct cosy_child_plan *plan = birth->plan;
    char *stack = cosy_heap_alloc_aligned(64, STACK);
    if (!stack)
        return -ENOMEM;
    bool shares = !plan->set_uid && !plan->set_gid && !plan->set_groups && memory_is_shared(stack);
    int pid = shares ? give_birth_quietly(birth, stack, ret_pidfd) : spawn_apart(birth, ret_pidfd);
    cosy_heap_free(stack);
    return pid;
}

/* Where clone knew nothing of it: the child is not reaped, so the number is its own. */
static int open_pidfd(pid_t pid)
{
    return COSY_SYS_CALL(syscall(SYS_pidfd_open, pid, 0));
}

int cosy_sys_spawn(struct cosy_child_plan *plan, pid_t *ret_pid, int *ret_pidfd)
{
    struct birth birth = {.plan = plan, .parent = getpid(), .report = -1};
    int pidfd = -1, pid = cosy_sys_fault();
    plan->failed = COSY_CHILD_BORN;
    plan->error = plan->which = 0;
    if (pid == 0)
        pid = spawn(&birth, &pidfd);
    if (pid < 0)
        return pid;
    if (plan->failed) {
        reap(pid);
        if (pidfd >= 0)
            close(pidfd);
        return -plan->error;
    }
    if (pidfd < 0)
        pidfd = open_pidfd(pid);
    else if (cosy_sys_fault() < 0) { /* tests of kernels without */
        close(pidfd);
        pidfd = -1;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd < 0 ? -1 : pidfd;
    return 0;
}

/* ---- its end ---- */

/* struct pidfd_info of Linux 6.15, as far as it was then: what became of one whom somebody else has reaped. */
struct ended {
    uint64_t mask, cgroup;
    uint32_t numbers[11];
    int32_t status;
};
_Static_assert(sizeof(struct ended) == 64, "the kernel knows it by its size");
enum { INFO_EXIT = 8 };

static int returncode_of(int code, int status)
{
    return code == CLD_EXITED ? status : -status;
}

static int ask_pidfd(int pidfd, int *ret_returncode)
{
    struct ended ended = {.mask = INFO_EXIT};
    int result = pidfd < 0 ? -ECHILD : COSY_SYS_CALL(ioctl(pidfd, _IOWR(0xff, 11, struct ended), &ended));
    if (result < 0 || !(ended.mask & INFO_EXIT))
        return -ECHILD;
    *ret_returncode = WIFEXITED(ended.status) ? WEXITSTATUS(ended.status) : -WTERMSIG(ended.status);
    return 1;
}

int cosy_sys_child_ended(pid_t pid, int pidfd, bool keep, int *ret_returncode)
{
    siginfo_t info = {0};
    int options = WEXITED | WNOHANG | (keep ? WNOWAIT : 0);
    int result;
    do
        result = COSY_SYS_CALL(waitid(P_PID, (id_t)pid, &info, options));
    while (result == -EINTR);
    if (result == -ECHILD)
        return ask_pidfd(pidfd, ret_returncode);
    if (result < 0)
        return result;
    if (info.si_pid == 0)
        return 0;
    *ret_returncode = returncode_of(info.si_code, info.si_status);
    return 1;
}

int cosy_sys_child_await(pid_t pid, bool keep, int *ret_returncode)
{
    siginfo_t info = {0};
    int result;
    do
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | (keep ? WNOWAIT : 0)) < 0 ? -errno : 0;
    while (result == -EINTR);
    if (result == 0)
        *ret_returncode = returncode_of(info.si_code, info.si_status);
    return result;
}

int cosy_sys_child_signal(pid_t pid, int pidfd, int signum)
{
    if (pidfd < 0 || RUNNING_ON_VALGRIND) /* which does not know the other call */
        return COSY_SYS_CALL(kill(pid, signum));
    int result = COSY_SYS_CALL(syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0));
    return result == -ENOSYS ? COSY_SYS_CALL(kill(pid, signum)) : result;
}

int cosy_sys_child_signal_group(pid_t pid, int signum)
{
    return COSY_SYS_CALL(kill(-pid, signum));
}

/* ---- what it is connected by ---- */

int cosy_sys_child_pipe(int fds[2], int parents)
{
    int result = COSY_SYS_CALL(pipe2(fds, O_CLOEXEC));
    if (result == 0)
        result = COSY_SYS_CALL(fcntl(fds[parents], F_SETFL, O_NONBLOCK));
    else
        return result;
    if (result < 0) {
        close(fds[0]);
        close(fds[1]);
    }
    return result < 0 ? result : 0;
}

int cosy_sys_child_null(void)
{
    return COSY_SYS_CALL(open("/dev/null", O_RDWR | O_CLOEXEC));
}

int cosy_sys_child_terminal_size(int fd, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    return COSY_SYS_CALL(ioctl(fd, TIOCSWINSZ, &size));
}

/* Kernels before 4.13 open it by its name. */
static int open_other_side(int master)
{
    char name[64];
    int fd = COSY_SYS_CALL(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (fd != -EINVAL && fd != -ENOTTY)
        return fd;
    int error = ptsname_r(master, name, sizeof name);
    return error ? -error : COSY_SYS_CALL(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

int cosy_sys_child_terminal(int fds[2], unsigned rows, unsigned columns)
{
    int unlocked = 0, master = COSY_SYS_CALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (master < 0)
        return master;
    int result = COSY_SYS_CALL(ioctl(master, TIOCSPTLCK, &unlocked));
    if (result == 0 && (rows || columns))
        result = cosy_sys_child_terminal_size(master, rows, columns);
    if (result == 0)
        result = open_other_side(master);
    if (result < 0) {
        close(master);
        return result;
    }
    fds[0] = master;
    fds[1] = result;
    return 0;
}
