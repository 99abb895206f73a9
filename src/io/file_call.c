/* file_call.c - tasks that wait for an operation on a file. */
#include "file_call.h"

#include <fcntl.h>

#include <cosy/task.h>
#include <cosy/trace.h>

#include "../sys/files.h"

/* ---- by the loop's kernel ---- */

/* On the waiting task's stack, as the operation is. */
struct file_wait {
    struct cosy_wait wait;
    struct cosy_level_watch told; /* what the event leads to */
    struct cosy_task *task;
    struct cosy_file_op *op;
    bool cancelled, shielded;
};

static struct file_wait *of_wait(struct cosy_wait *wait)
{
    return container_of(wait, struct file_wait, wait);
}

static struct cosy_sys *sys_of(const struct file_wait *wait)
{
    return wait->task->future.loop->sys;
}

/* The operation's end wakes the task, sooner for that. */
static bool cancel(struct cosy_wait *base, struct cosy_task *task)
{
    struct file_wait *wait = of_wait(base);
    (void)task;
    wait->cancelled = true;
    if (!wait->shielded)
        sys_of(wait)->ops->cancel_op(sys_of(wait), wait->op);
    return true;
}

static void abandon(struct cosy_wait *base)
{
    struct file_wait *wait = of_wait(base);
    sys_of(wait)->ops->finish_op(sys_of(wait), wait->op);
    wait->task->future.loop->file_ops--;
}

static const char *name(struct cosy_wait *base)
{
    const struct cosy_file_op *op = of_wait(base)->op;
    return op->path && *op->path ? op->path : "a file";
}

static const struct cosy_wait_kind file_kind = {
    .verb = "waits for the kernel at", .cancel = cancel, .abandon = abandon, .name = name};

static void fired(struct cosy_loop *loop, const struct cosy_sys_event *event)
{
    struct file_wait *wait = container_of(event->data, struct file_wait, told);
    loop->file_ops--;
    cosy_task_wake(wait->task, 0);
}

/* Nothing was done, for a cancel came in time. */
static bool was_stopped(const struct file_wait *wait)
{
    return wait->cancelled && (wait->op->result == -ECANCELED || wait->op->result == -EINTR);
}

/* 1: it has run. Otherwise the kernel does not take it. */
static int run_in_kernel(struct cosy_task *me, struct cosy_file_op *op, bool shielded)
{
    struct cosy_loop *loop = me->future.loop;
    struct file_wait wait = {.wait.kind = &file_kind, .told.fired = fired, .task = me, .op = op, .shielded = shielded};
    bool cancelled = false;
    do {
        op->data = &wait.told;
        cosy_ready_prefetch(loop);
        int result = loop->sys->ops->submit(loop->sys, op);
        if (result < 0)
            return result;
        loop->file_ops++;
        loop->file_turn = cosy_loop_turns(loop);
        cancelled |= cosy_park(me, &wait.wait) == -ECANCELED;
    } while (op->result == -EINTR && !wait.cancelled); /* a signal of somebody else's */
    if (was_stopped(&wait))
        op->result = -ECANCELED;
    else if (cancelled || wait.cancelled)
        cosy_task_keep_cancel(me);
    return 1;
}

/* ---- on the simulated kernel ---- */

enum { MOST_TURNS = 4 };

/* Pipes, terminals and their like wait for somebody, who may be a task of this loop. */
static bool waits_for_others(const struct cosy_file_op *op)
{
    struct stat status;
    if (op->kind == COSY_FILE_OPEN)
        return cosy_sys_stat_at(op->dir, op->path, 0, &status) == 0 && !S_ISREG(status.st_mode) &&
               !S_ISDIR(status.st_mode);
    return (op->kind == COSY_FILE_READ || op->kind == COSY_FILE_WRITE) && op->offset < 0 &&
           !(cosy_sys_stat_fd(op->fd, &status) == 0 && S_ISREG(status.st_mode));
}

/* Not in a thread, whose timing would be real, but here and in a turn of the seed's: so a run can be made again. Not at
 * a later time, which does not come while another task keeps the loop busy. 0, or -ECANCELED, and it was not called. */
cosy_async static int run_simulated(struct cosy_loop *loop, void (*work)(void *), void *arg)
{
    int result = cosy_yield();
    for (uint64_t more = cosy_sim_random(loop->sys) % MOST_TURNS; result == 0 && more > 0; more--)
        result = cosy_yield();
    if (result == 0)
        cosy_on_big_stack(work, arg);
    return result;
}

/* ---- in the pool ---- */

struct pool_call {
    struct cosy_file_op *op;
    bool begun;
};

static int make_call(struct pool_call *call)
{
    call->begun = true;
    cosy_file_op_call(call->op);
    return 0; /* the result says more than a job's may, and has its words elsewhere */
}

static void simulate_call(void *call)
{
    make_call(call);
}

/* The pool's own error when it was not called. Apart, so that the kernel's way has a small frame. */
static __attribute__((noinline)) void run_in_pool(struct cosy_task *me, struct cosy_file_op *op, bool shielded)
{
    struct pool_call call = {.op = op};
    int result = cosy_loop_is_simulated(me->future.loop) && !waits_for_others(op)
                     ? run_simulated(me->future.loop, simulate_call, &call)
                     : cosy_run_in_executor(cosy_default_executor(COSY_POOL_FILES), make_call, &call);
    if (!call.begun && shielded)
        make_call(&call);
    if (!call.begun)
        op->result = result;
    else if (result == -ECANCELED)
        cosy_task_keep_cancel(me);
}

/* What io_uring would give to a thread of its own, which takes longer to wake than one of the pool's that looks for
 * work: names, and files that may come into being. Not what may take its time, since the pool has few threads. */
static bool is_quicker_in_pool(const struct cosy_file_op *op)
{
    switch ((enum cosy_file_op_kind)op->kind) {
    case COSY_FILE_STAT:
    case COSY_FILE_RENAME:
    case COSY_FILE_UNLINK:
    case COSY_FILE_MKDIR:
    case COSY_FILE_SYMLINK:
    case COSY_FILE_LINK:
        return true;
    case COSY_FILE_OPEN:
        return op->flags & (O_CREAT | O_TRUNC);
    case COSY_FILE_WRITE:
        return op->needs_thread;
    default:
        return false;
    }
}

static bool is_for_kernel(const struct cosy_loop *loop, const struct cosy_file_op *op)
{
    return loop->sys->ops->submit && !is_quicker_in_pool(op);
}

cosy_async int64_t cosy_file_run(struct cosy_task *me, struct cosy_file_op *op, bool shielded)
{
    int result = is_for_kernel(me->future.loop, op) ? run_in_kernel(me, op, shielded) : -ENOTSUP;
    if (result < 0 && (result == -ENOTSUP || shielded))
        run_in_pool(me, op, shielded);
    else if (result < 0)
        op->result = result;
    return op->result;
}

/* ---- several calls in one job ---- */

static int make_job(struct cosy_file_job *job)
{
    job->begun = true;
    job->result = job->work(job);
    return 0;
}

static void simulate_job(void *job)
{
    make_job(job);
}

cosy_async int64_t cosy_file_job_run(struct cosy_task *me, struct cosy_file_job *job)
{
    int result = cosy_loop_is_simulated(me->future.loop)
                     ? run_simulated(me->future.loop, simulate_job, job)
                     : cosy_run_in_executor(cosy_default_executor(COSY_POOL_FILES), make_job, job);
    if (!job->begun)
        job->result = result;
    else if (result == -ECANCELED && job->result != -ECANCELED)
        cosy_task_keep_cancel(me);
    if (job->result < 0)
        cosy_file_fail_why(job->doing, job->named, job->other, (int)job->result, job->why);
    return job->result;
}

/* ---- words ---- */

struct complaint {
    const char *doing, *path, *other, *why;
    int error;
};

static void complain(void *arg)
{
    const struct complaint *it = arg;
    const char *why = it->why ? it->why : cosy_strerror(it->error);
    if (it->other)
        cosy_fail(-it->error, "%s %.200s to %.200s: %s", it->doing, it->path, it->other, why);
    else
        cosy_fail(-it->error, "%s %.400s: %s", it->doing, it->path, why);
}

int cosy_file_fail_why(const char *doing, const char *path, const char *other, int error, const char *why)
{
    struct complaint complaint = {doing, path, other, why, error};
    if (error != -ECANCELED && error != -ENOMEM)
        cosy_on_big_stack(complain, &complaint);
    return error;
}

int cosy_file_fail_two(const char *doing, const char *path, const char *other, int error)
{
    return cosy_file_fail_why(doing, path, other, error, NULL);
}

int cosy_file_fail(const char *doing, const char *path, int error)
{
    return cosy_file_fail_two(doing, path, NULL, error);
}
