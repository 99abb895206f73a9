/* process_wait.c - hearing of a process's end, waiting for it, and signals to it. */
#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- tasks that wait ---- */

struct process_wait {
    struct cosy_wait wait;
    struct cosy_link link;
    struct cosy_task *task;
    cosy_process *process;
    int result;
    bool patient, cancelled, done;
};

static struct process_wait *wait_of(struct cosy_wait *wait)
{
    return container_of(wait, struct process_wait, wait);
}

static bool cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    struct process_wait *self = wait_of(wait);
    (void)task;
    self->cancelled = true;
    if (self->patient)
        return true;
    cosy_list_remove(&self->link);
    return false;
}

static void abandon(struct cosy_wait *wait)
{
    cosy_list_remove(&wait_of(wait)->link);
}

static const char *name_of(struct cosy_wait *wait)
{
    static __thread char text[COSY_PROCESS_NAME + 32];
    const cosy_process *process = wait_of(wait)->process;
    snprintf(text, sizeof text, "process '%s' (%d)", process->name, (int)process->pid);
    return text;
}

static const struct cosy_wait_kind waits = {.verb = "waits for", .cancel = cancel, .name = name_of, .abandon = abandon};
static const struct cosy_wait_kind ends = {
    .verb = "waits for the end of", .cancel = cancel, .name = name_of, .abandon = abandon, .patient = true};

void cosy_process_wake_all(cosy_process *process, int result)
{
    while (!cosy_list_empty(&process->waiters)) {
        struct process_wait *wait = container_of(process->waiters.next, struct process_wait, link);
        cosy_list_remove(&wait->link);
        wait->done = true;
        wait->result = result;
        cosy_task_wake(wait->task, result);
    }
}

int cosy_process_park(cosy_process *process, struct cosy_task *me, bool patient, bool *ret_cancelled)
{
    struct process_wait wait = {
        .wait.kind = patient ? &ends : &waits, .task = me, .process = process, .patient = patient};
    int result = 0;
    cosy_list_init(&wait.link);
    while (!wait.done) {
        if (cosy_list_empty(&wait.link))
            cosy_list_append(&process->waiters, &wait.link);
        result = (int)cosy_park(me, &wait.wait);
        if (wait.done || !patient)
            break;
        wait.cancelled = true; /* one that came before the wait */
    }
    cosy_list_remove(&wait.link);
    if (patient && wait.done && result != wait.result) { /* cancelled between its wake and now */
        wait.cancelled = true;
        result = wait.result;
    }
    if (ret_cancelled)
        *ret_cancelled |= wait.cancelled;
    return result;
}

/* ---- hearing of the end ---- */

static void drop_watch(cosy_process *process)
{
    cosy_port_wait_not(&process->ended);
    cosy_port_close(&process->port, -COSY_ECLOSED);
    if (process->watch)
        cosy_exit_watch_forget(process->watch);
    process->watch = NULL;
}

void cosy_process_ended(cosy_process *process, int returncode)
{
    process->returncode = returncode;
    process->reaped = !process->kill_group || process->simulated;
    drop_watch(process);
    cosy_process_wake_all(process, 0);
    if (process->orphan)
        cosy_process_let_go(process);
    else if (process->reaped)
        cosy_list_remove(&process->of_loop);
}

static void warn_of_thief(void *arg)
{
    const cosy_process *process = arg;
    cosy_log(COSY_LOG_WARNING,
             "cosy: process '%s' (%d) was reaped by somebody else, and nobody can tell how it ended: its return code "
             "is taken to be 255. Does the program call waitpid(-1), or ignore SIGCHLD?",
             process->name, (int)process->pid);
}

bool cosy_process_look(cosy_process *process)
{
    int returncode = 255,
        result = cosy_sys_child_ended(process->pid, process->port.fd, process->kill_group, &returncode);
    if (result == 0)
        return false;
    if (result < 0 && result != -ECHILD) /* it is known to have ended: this does not wait */
        result = cosy_sys_child_await(process->pid, process->kill_group, &returncode);
    if (result < 0) {
        process->kill_group = false; /* its number is not its own any more */
        cosy_on_big_stack(warn_of_thief, process);
    }
    cosy_process_ended(process, returncode);
    return true;
}

static void wait_again(cosy_process *process)
{
    cosy_port_would_block(&process->port, COSY_PORT_READ);
    (void)cosy_port_wait(&process->port, COSY_PORT_READ, &process->ended); /* it has asked for edges before */
}

static void pidfd_ready(struct cosy_port_waiter *waiter, int result)
{
    cosy_process *process = container_of(waiter, cosy_process, ended);
    if (result >= 0 && !cosy_process_look(process))
        wait_again(process); /* a false alarm */
}

int cosy_process_hear_of_end(cosy_process *process, int pidfd)
{
    if (pidfd < 0)
        return cosy_exit_watch_start(process);
    cosy_port_open(&process->port, process->loop, pidfd);
    process->ended.ready = pidfd_ready;
    cosy_port_would_block(&process->port, COSY_PORT_READ);
    return cosy_port_wait(&process->port, COSY_PORT_READ, &process->ended);
}

/* ---- for the program ---- */

int cosy_process_wait(cosy_process *process, int *ret_returncode)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_process_wait");
    if (!me || !process)
        return me ? -EINVAL : -COSY_ENOTASK;
    if (me->future.loop != process->loop)
        return -COSY_EOTHERLOOP;
    int result = 0;
    process->users++;
    if (process->returncode == COSY_STILL_RUNNING)
        result = process->closed ? -COSY_ECLOSED : cosy_process_park(process, me, false, NULL);
    if (result == 0 && ret_returncode)
        *ret_returncode = process->returncode;
    cosy_process_leave(process);
    return result;
}
