/* process_end.c - ending processes: signals, closing, and what a loop does that closes under them. */
#include "process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "process_sim.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* ---- memory ---- */

static void process_free(cosy_process *process)
{
    for (int i = 0; i < 3; i++)
        free(process->kept[i].data);
    cosy_simulated_program_drop(process->simulated);
    cosy_loop_release(process->loop);
    cosy_heap_free(process);
}

void cosy_process_leave(cosy_process *process)
{
    if (--process->users == 0 && process->closed && cosy_list_empty(&process->of_loop))
        process_free(process);
}

/* Not where the kernel is asked, whose caller still looks at the port. */
static void free_in_its_turn(void *arg)
{
    cosy_process *process = arg;
    cosy_list_remove(&process->of_loop);
    process->users++;
    cosy_process_leave(process);
}

/* It stays on the list: a loop that closes before the turn comes frees it. */
void cosy_process_let_go(cosy_process *process)
{
    int unused;
    if (process->kill_group && !process->reaped)
        (void)cosy_sys_child_ended(process->pid, -1, false, &unused);
    process->reaped = true;
    cosy_handle_init(&process->last_step, free_in_its_turn, process);
    (void)cosy_handle_start_soon(process->loop, &process->last_step);
}

/* ---- signals ---- */

int cosy_process_signal(cosy_process *process, int signum)
{
    if (process->simulated)
        return cosy_simulated_program_signal(process, signum);
    if (process->kill_group)
        return cosy_sys_child_signal_group(process->pid, signum);
    return cosy_sys_child_signal(process->pid, process->port.fd, signum);
}

int cosy_process_send_signal(cosy_process *process, int signum)
{
    if (!process || signum < 0 || signum > 64)
        return -EINVAL;
    if (process->reaped)
        return -ESRCH;
    return cosy_process_signal(process, signum);
}

int cosy_process_terminate(cosy_process *process)
{
    return cosy_process_send_signal(process, SIGTERM);
}

int cosy_process_kill(cosy_process *process)
{
    return cosy_process_send_signal(process, SIGKILL);
}

/* ---- closing ---- */

struct grace {
    struct cosy_timed_wait timed;
    cosy_process *process;
};

static void grace_is_over(struct cosy_timed_wait *timed)
{
    cosy_process *process = container_of(timed, struct grace, timed)->process;
    if (process->returncode == COSY_STILL_RUNNING)
        (void)cosy_process_signal(process, SIGKILL);
}

/* It was sent what should end it. */
static int await_end(cosy_process *process, struct cosy_task *me, bool *ret_cancelled)
{
    while (process->returncode == COSY_STILL_RUNNING) {
        int result = cosy_process_park(process, me, true, ret_cancelled);
        if (result < 0 && result != -ECANCELED)
            return result;
    }
    return 0;
}

/* A program that is stopped would hear of SIGTERM only when it goes on. */
static int end_politely(cosy_process *process, struct cosy_task *me, bool *ret_cancelled)
{
    struct cosy_loop *loop = process->loop;
    struct grace grace = {.timed.fired = grace_is_over, .process = process};
    cosy_ns until;
    if (__builtin_add_overflow(loop->sys->ops->now(loop->sys), process->grace, &until))
        until = COSY_NEVER;
    if (cosy_timed_wait_arm(loop, &grace.timed, until) < 0)
        return -EAGAIN; /* without memory: impolitely */
    int result = cosy_process_signal(process, SIGTERM);
    (void)cosy_process_signal(process, SIGCONT);
    if (result == 0 || result == -ESRCH)
        result = await_end(process, me, ret_cancelled);
    cosy_timed_wait_disarm(loop, &grace.timed);
    return result;
}

/* -ESRCH: it has ended, and somebody else has reaped it: the loop is about to hear. */
static int end_program(cosy_process *process, struct cosy_task *me, bool *ret_cancelled)
{
    int result = me && process->grace > 0 ? end_politely(process, me, ret_cancelled) : -EAGAIN;
    if (result != -EAGAIN)
        return result;
    result = cosy_process_signal(process, SIGKILL);
    if (result < 0 && result != -ESRCH)
        return result;
    return me ? await_end(process, me, ret_cancelled) : 0;
}

static void close_stream(cosy_process *process, int which)
{
    cosy_stream *stream = process->streams[which];
    for (int i = 0; i < 3; i++)
        if (process->streams[i] == stream)
            process->streams[i] = NULL;
    if (stream && !process->loop->closed)
        cosy_stream_abort(stream); /* so that nothing waits for a reader that is gone */
    (void)cosy_stream_close(stream);
}

/* What the leader has left. Then it may be reaped, and its number given to others. */
static void end_group(cosy_process *process)
{
    int unused;
    (void)cosy_sys_child_signal_group(process->pid, SIGKILL);
    (void)cosy_sys_child_ended(process->pid, -1, false, &unused);
    process->reaped = true;
    cosy_list_remove(&process->of_loop);
}

/* The input first: a program that reads to its end may then end by itself. Outputs stay open as long as it may have
 * something to say. */
int cosy_process_close(cosy_process *process)
{
    if (!process)
        return 0;
    struct cosy_task *me = cosy_task_here();
    bool cancelled = false;
    int result = 0;
    bool dead = process->loop->closed || !cosy_process_is_ours(process);
    if (dead || (me && me->future.loop != process->loop))
        me = NULL;
    process->users++;
    process->closed = true;
    if (process->streams[0] != process->streams[1] && process->streams[0] != process->streams[2])
        close_stream(process, 0);
    if (process->returncode == COSY_STILL_RUNNING && !dead)
        result = end_program(process, me, &cancelled);
    for (int i = 0; i < 3; i++)
        close_stream(process, i);
    if (process->returncode == COSY_STILL_RUNNING) {
        process->orphan = true;
        cosy_process_wake_all(process, -COSY_ECLOSED);
    } else if (process->kill_group && !process->reaped && !dead)
        end_group(process);
    else
        cosy_list_remove(&process->of_loop);
    if (result < 0)
        cosy_fail(-result, "ending process '%s' (%d): %s", process->name, (int)process->pid, cosy_strerror(result));
    cosy_process_leave(process);
    if (cancelled)
        cosy_task_keep_cancel(me);
    return result;
}

/* ---- with the loop ---- */

static void tell_unclosed(const cosy_process *process)
{
    const struct cosy_site_ *site = process->maker;
    if (site)
        cosy_log(COSY_LOG_WARNING, "cosy: unclosed process '%s' (%d), started in task %s, which %s created at %s:%u",
                 process->name, (int)process->pid, site->name, site->func, site->file, site->line);
    else
        cosy_log(COSY_LOG_WARNING, "cosy: unclosed process '%s' (%d)", process->name, (int)process->pid);
}

/* One that may not be killed is left to the system. */
static void end_now(cosy_process *process)
{
    int returncode = 255, result = cosy_process_signal(process, SIGKILL);
    if (result < 0 && result != -ESRCH)
        return;
    if (cosy_sys_child_await(process->pid, false, &returncode) == 0 || process->returncode == COSY_STILL_RUNNING) {
        process->kill_group = false;
        if (process->returncode == COSY_STILL_RUNNING)
            cosy_process_ended(process, returncode);
    }
    process->reaped = true;
}

void cosy_processes_close(struct cosy_loop *loop)
{
    while (loop->children.next && !cosy_list_empty(&loop->children)) {
        cosy_process *process = container_of(loop->children.next, cosy_process, of_loop);
        process->users++;
        process->orphan = false;
        if (loop->debug && !process->closed)
            tell_unclosed(process);
        if (!process->reaped && !process->simulated && cosy_process_is_ours(process))
            end_now(process);
        if (process->simulated && process->returncode == COSY_STILL_RUNNING)
            cosy_simulated_program_abandon(process->simulated);
        cosy_handle_cancel(&process->last_step);
        cosy_port_wait_not(&process->ended);
        cosy_port_close(&process->port, -COSY_ECLOSED);
        cosy_list_remove(&process->of_loop);
        cosy_process_leave(process);
    }
    cosy_simulated_programs_forget(loop);
}
