/* child.h - processes: how one is started, heard of, signalled and reaped. The real kernel's only.
 *
 * Each call returns >= 0 or a negative code, and counts among the calls that a test can make fail. What a child does
 * between its birth and its program is in linux/child.c.
 */
#ifndef COSY_SYS_CHILD_H
#define COSY_SYS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What a child does before its program begins, in this order: of the one that failed the parent is told. */
enum cosy_child_step {
    COSY_CHILD_BORN, /* nothing failed */
    COSY_CHILD_SIGNALS,
    COSY_CHILD_SESSION,
    COSY_CHILD_GROUP, /* of processes */
    COSY_CHILD_TERMINAL,
    COSY_CHILD_STDIO, /* `which` is the descriptor */
    COSY_CHILD_PASS,  /* likewise */
    COSY_CHILD_CLOSE,
    COSY_CHILD_DIRECTORY,
    COSY_CHILD_LIMIT, /* `which` is the resource */
    COSY_CHILD_PRIORITY,
    COSY_CHILD_GROUPS, /* of users */
    COSY_CHILD_GID,
    COSY_CHILD_UID,
    COSY_CHILD_PARENT,  /* the parent is gone already, or its death cannot be asked for */
    COSY_CHILD_PROGRAM, /* `which` is the path's index */
};

struct cosy_child_limit {
    int resource;
    struct rlimit limit;
};

/* How a child is to be. All of it is the caller's, and is only read; nothing in it may need a call of the C library in
 * the child. */
struct cosy_child_plan {
    char *const *paths; /* of the program: tried one after the other; NULL at the end */
    char *const *argv, *const *environment;
    const char *directory; /* NULL: the parent's */
    int stdio[3];          /* what becomes 0, 1 and 2; -1: as the parent has it */
    const int *pass;       /* descriptors above 2 that the program gets under their own numbers, ascending */
    size_t pass_count;
    const struct cosy_child_limit *limits;
    size_t limit_count;
    const gid_t *groups; /* with set_groups */
    size_t group_count;
    uid_t uid;
    gid_t gid;
    mode_t mask;
    pid_t process_group;     /* 0: its own */
    int nice;                /* added to the parent's */
    int parent_death_signal; /* 0: none */
    bool set_groups, set_uid, set_gid, set_mask, set_process_group;
    bool session, terminal; /* terminal: descriptor 0 becomes the session's controlling one */
    bool close_others, default_signals;

    /* what came of it, for the parent */
    int failed; /* COSY_CHILD_BORN, or the step */
    int error;  /* positive, of that step */
    int which;
};

/* Starts a child and waits until its program has begun. 0: *ret_pid, and *ret_pidfd, a descriptor that becomes readable
 * when it ends, or -1 where the kernel has none. Negative: plan->failed tells of the child's step, COSY_CHILD_BORN that
 * there was no child; it is reaped. */
int cosy_sys_spawn(struct cosy_child_plan *plan, pid_t *ret_pid, int *ret_pidfd);

/* Whether it has ended, without waiting. 1: it has, and *ret_returncode is its exit status, or the negative signal that
 * ended it; reaped, unless `keep`. 0: it runs. -ECHILD: somebody else has reaped it, and the kernel does not tell what
 * became of it. */
int cosy_sys_child_ended(pid_t pid, int pidfd, bool keep, int *ret_returncode);
/* The same, but waits: for threads of its own, and for children that were killed. */
int cosy_sys_child_await(pid_t pid, bool keep, int *ret_returncode);

/* 0; -ESRCH: it is reaped; -EPERM. */
int cosy_sys_child_signal(pid_t pid, int pidfd, int signum);
/* To its process group. Its leader must not be reaped yet, or the number may be another group's. */
int cosy_sys_child_signal_group(pid_t pid, int signum);

/* A pipe whose end `parents` (0: reads, 1: writes) is non-blocking, and the other one is not; both are close-on-exec.
 */
int cosy_sys_child_pipe(int fds[2], int parents);
int cosy_sys_child_null(void); /* /dev/null, for reading and writing */

/* A terminal of that size: fds[0], non-blocking, is its controlling side, fds[1] the child's. */
int cosy_sys_child_terminal(int fds[2], unsigned rows, unsigned columns);
int cosy_sys_child_terminal_size(int fd, unsigned rows, unsigned columns);

#endif
