/* process.h - the inside of processes: what process*.c share.
 *
 * Invariants
 *  - A process is on its loop's list of children from its start until the loop has heard of its end, and, with
 * kill_group, until it is reaped: as long as its number is not reaped, signals to its group cannot hit another one. A
 * loop that closes ends those on its list.
 *  - `returncode` is COSY_STILL_RUNNING until the end was heard of, and does not change afterwards.
 *  - While the end is waited for, either `port` has a pidfd and `ended` waits there, or `watch` is a thread that waits,
 * or it is a simulated program's.
 *  - `users` counts the tasks that are suspended in a call on it; its memory is freed by whoever is last of them, the
 * owner (`closed`) and the loop's list.
 */
#ifndef COSY_IO_PROCESS_H
#define COSY_IO_PROCESS_H

#include <cosy/process.h>

#include "../sys/child.h"
#include "stream.h"

struct cosy_exit_watch;
struct cosy_simulated_program;

enum { COSY_PROCESS_NAME = 40 };

/* An output that was read to its end, and not handed out yet. */
struct cosy_kept_output {
    char *data; /* NULL: there is none */
    size_t size;
};

struct cosy_process {
    struct cosy_loop *loop;
    struct cosy_link of_loop;
    pid_t pid;
    int returncode;
    uint32_t users;
    bool closed, kill_group;
    bool orphan;           /* closed by its owner, who did not wait for its end */
    unsigned forks;        /* as of its start: in a forked child it is the parent's, whose program is not touched */
    bool reaped;           /* the number may be another's by now */
    bool terminal;         /* its streams are one */
    struct cosy_port port; /* the pidfd; -1: none */
    struct cosy_port_waiter ended;
    struct cosy_exit_watch *watch;
    struct cosy_simulated_program *simulated; /* NULL: a real one */
    struct cosy_link waiters;
    struct cosy_handle last_step; /* nobody's any more: freed in a turn of its own */
    cosy_stream *streams[3];
    struct cosy_kept_output kept[3];
    cosy_ns grace;
    const struct cosy_site_ *maker; /* debug mode: the call of the task that started it, or NULL */
    char name[COSY_PROCESS_NAME];
};

static inline bool cosy_process_is_ours(const cosy_process *process)
{
    return process->forks == atomic_load_explicit(&cosy_forks, memory_order_relaxed);
}

/* ---- starting: process_plan.c ---- */

/* A plan and what it points to; on the heap. */
struct cosy_launch {
    struct cosy_child_plan plan;
    const struct cosy_process_options *options;
    const char *const *argv;
    char **paths;       /* and the text behind them */
    char **environment; /* NULL: not made */
    gid_t *groups;
    struct cosy_child_limit *limits;
    const char *program; /* as it was asked for */
    int *pass;
};

/* 0, or -EINVAL with words: nonsense. */
int cosy_launch_check(const char *const *argv, const struct cosy_process_options *options);
/* Fills in a zeroed launch, after that check. 0, or why not, with words; what it holds is freed by cosy_launch_clear in
 * any case. Suspends for names of users. */
cosy_async int cosy_launch_prepare(struct cosy_launch *launch, const char *const *argv,
                                   const struct cosy_process_options *options);
void cosy_launch_clear(struct cosy_launch *launch);
/* The code of a start that failed, with words. */
int cosy_launch_failed(const struct cosy_launch *launch, int result);
int cosy_launch_find_users(struct cosy_launch *launch); /* process_user.c */

/* ---- the end: process_wait.c, process_end.c, process_watch.c ---- */

/* Asks to be told of its end. 0, or negative: it is not, and runs. */
int cosy_process_hear_of_end(cosy_process *process, int pidfd);
/* It has ended: tells who waits. */
void cosy_process_ended(cosy_process *process, int returncode);
/* Finds out what it ended with, and tells; for those who know that it has. False: it still runs. */
bool cosy_process_look(cosy_process *process);
int cosy_process_signal(cosy_process *process, int signum); /* the group's too */
void cosy_process_leave(cosy_process *process);             /* a user less: may free it */
void cosy_process_let_go(cosy_process *process); /* its owner has gone before its end: freed in a turn of its own */

/* Waits until it has ended. patient: in spite of cancels, of which *ret_cancelled tells. 0, -ECANCELED, -COSY_ECLOSED.
 */
int cosy_process_park(cosy_process *process, struct cosy_task *me, bool patient, bool *ret_cancelled);
void cosy_process_wake_all(cosy_process *process, int result);

/* A thread that waits for it, where the kernel has no pidfd. 0, -EAGAIN, -ENOMEM. */
int cosy_exit_watch_start(cosy_process *process);
void cosy_exit_watch_forget(struct cosy_exit_watch *watch);

/* A loop closes: what is left of its children is killed and reaped. */
void cosy_processes_close(struct cosy_loop *loop);

#endif
