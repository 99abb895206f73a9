/* fork.c - what a forked child has of the loop that ran: a copy that must not act, and may be told to. */
#include "fork.h"

#include <unistd.h>

#include <cosy/log.h>

enum { FENCE = 7 }; /* a queue of so many slots; what finds none is linked */

/* What the child's copy had. One per thread is enough: only the forking thread's loop ran, and a second fork happens in
 * another loop or in none. */
static __thread struct {
    struct cosy_loop *loop; /* NULL: none ran */
    struct cosy_thread thread;
    struct cosy_sys sys;
    struct cosy_ready_store ready;
    struct cosy_node_ **head, **tail, **stop;
    size_t due_count, due_run;
    struct cosy_node_ *fence[FENCE + 1];
} kept;

/* Only stores: it may run in a child that is about to exec, and in one that was forked by a thread among others. */
static void bury(struct cosy_loop *loop)
{
    kept.loop = loop;
    kept.thread = cosy_thread_;
    kept.ready = loop->ready;
    kept.head = loop->head;
    kept.tail = loop->tail;
    kept.stop = loop->stop;
    kept.due_count = loop->due_count;
    kept.due_run = loop->due_run;
    cosy_sys_bury(loop->sys, &kept.sys);
    if (cosy_loop_hooks.forked)
        cosy_loop_hooks.forked(true);
    cosy_thread_ = (struct cosy_thread){.callbacks = kept.thread.callbacks};
    kept.fence[0] = &loop->marker.node;
    kept.fence[FENCE] = &loop->ready.joint;
    loop->ready.slots = kept.fence;
    loop->ready.size = FENCE;
    loop->ready.over_at = NULL;
    loop->head = kept.fence;
    loop->tail = kept.fence + 1;
    loop->stop = kept.fence + FENCE;
    loop->due_count = loop->due_run = 0;
    cosy_loop_grant_turns(loop, 0);
    loop->forked = true;
    loop->fatal = -COSY_EFORKED;
}

static void in_child(void)
{
    atomic_fetch_add_explicit(&cosy_forks, 1, memory_order_relaxed);
    if (cosy_thread_.loop)
        bury(cosy_thread_.loop);
}

__attribute__((constructor)) static void hear_of_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

bool cosy_fork_is_child(void)
{
    return kept.loop && kept.loop->forked && !cosy_thread_.loop;
}

static void revive(struct cosy_loop *loop)
{
    *loop->sys = kept.sys;
    loop->ready = kept.ready;
    loop->head = kept.head;
    loop->tail = kept.tail;
    loop->stop = kept.stop;
    loop->due_count = kept.due_count;
    loop->due_run = kept.due_run;
    loop->forked = false;
    loop->fatal = 0;
    loop->thread = pthread_self();
    cosy_thread_ = kept.thread;
    if (cosy_loop_hooks.forked)
        cosy_loop_hooks.forked(false);
    kept.loop = NULL;
}

int cosy_after_fork_child(void)
{
    struct cosy_loop *loop = kept.loop;
    if (!loop || !loop->forked || !loop->running || cosy_thread_.loop || loop->tail != kept.fence + 1)
        return -COSY_EINVALIDSTATE;
    if (loop->letters || loop->file_ops)
        return -EBUSY;
    revive(loop);
    return 0;
}

void cosy_fork_tell(const struct cosy_loop *loop)
{
    (void)loop;
    cosy_log(COSY_LOG_ERROR,
             "cosy: process %d was forked while a loop ran, and has come back to that loop, which is its parent's and "
             "does not run here. End the child by _exit or exec, run a loop of its own by cosy_run, or take the "
             "parent's place by cosy_after_fork_child() right behind fork().",
             (int)getpid());
}
