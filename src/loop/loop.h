/* loop.h - the inside of a loop: what the floor of tasks shares with it.
 *
 * The ready queue (ready.h) holds nodes. A node is a callback, a task that can go on, or the loop's own marker, which
 * ends the batch of the running turn.
 *
 * Invariants
 *  - While a batch runs, the marker is on the queue; nodes before it belong to this turn, nodes after it to the next.
 *    Hence a task that parks may take its successor from the head without asking whether there is one.
 *  - A node is on the queue at most once.
 */
#ifndef COSY_LOOP_LOOP_H
#define COSY_LOOP_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <cosy/embed.h>
#include <cosy/loop.h>

#include "../base/list.h"
#include "../sys/spin.h"
#include "../sys/sys.h"
#include "fd_table.h"
#include "ready.h"
#include "thread.h"
#include "timers.h"

enum cosy_node_kind {
    COSY_NODE_MARKER,
    COSY_NODE_TASK,        /* goes on where it was switched away from */
    COSY_NODE_TASK_HOOKED, /* the same, but tools or debug mode watch: only the loop switches to it */
    COSY_NODE_TASK_CANCELLED, /* goes on, but a cancel may meet it there: only the loop switches to it */
    COSY_NODE_TASK_NEW,    /* has not begun: owns no stack yet */
    COSY_NODE_HANDLE,   /* a callback */
    COSY_NODE_WAKE,     /* a fired timer of the task floor */
    COSY_NODE_NOTIFY,   /* a future's done callback */
    COSY_NODE_JOINT,    /* the ready queue's own: it goes on elsewhere (ready.h). Never runs */
    COSY_NODE_KINDS
};

/* Anything with a deadline begins like this, cosy_handle too. */
struct cosy_timed_node {
    struct cosy_node_ node;
    struct cosy_timer timer;
};

/* What the loop's stack looks like to the switch: a task's first fields (task/task.h checks that). */
struct cosy_stack_pointer {
    struct cosy_node_ node;
    void *sp;
};

struct cosy_watchers;
struct cosy_signals;

/* What is watched without COSY_SYS_EDGE begins like this: who is told. */
struct cosy_level_watch {
    void (*fired)(struct cosy_loop *loop, const struct cosy_sys_event *event);
};
struct cosy_task;

/* The test kit's look at each wait of a loop's tasks (flow/testing.c): just before a task leaves its stack, when it
 * waits or is queued already, and just after it has come back. */
struct cosy_probe {
    void (*parks)(struct cosy_probe *probe, struct cosy_task *task);
    void (*resumes)(struct cosy_probe *probe, struct cosy_task *task);
};

struct cosy_loop {
    /* the ready queue and what each switch touches: one cache line */
    struct cosy_node_ **head, **tail, **stop; /* ready.h */
    struct cosy_stack_pointer marker;
    uint32_t since; /* the turn's clock in units of 2^20 ns, for "waiting since" */
    uint32_t skip;  /* turns that may begin without asking the kernel */
    uint8_t debug, stopping, closed, poll_always;
    uint8_t forked;  /* the parent's, in a forked child: fork.h */
    uint8_t watched; /* each new task is to be looked at: debug mode, or origins are recorded */
    struct cosy_sys *sys;

    uint64_t turns_granted; /* turns made, and `skip` more */
    struct cosy_ready_store ready;
    struct cosy_timers *timers;
    uint64_t waits;
    cosy_ns now;       /* as of the last look at the clock */
    cosy_ns polled_at; /* when the kernel was asked last */
    cosy_ns next_idle; /* when the floor of tasks looks again for memory to give back */
    uint32_t stride;   /* how many turns to skip next time: grows while turns are quick */
    uint64_t shuffle;  /* simulated kernel: state of the shuffling generator; 0 = none */

    /* Timers that are due in this turn, in order; they run behind what stands before the marker. An array rather than
     * the queue's list, so that the next ones can be fetched into the cache while one runs. NULL: taken back. */
    struct cosy_node_ **due;
    size_t due_count, due_room, due_run;

    struct cosy_watchers *watchers;
    struct cosy_fd_table ports; /* open ones: port.h */
    struct cosy_fd_table borrows; /* descriptors of the program's that somebody waits for: borrow.h */
    struct cosy_link spare_borrows;
    uint32_t spare_borrow_count;
    struct cosy_link ops; /* in flight: op.c */
    const struct cosy_kernel_hooks *kernel_hooks; /* the embedder's; NULL: none */
    char *buffers;          /* spare ones: buffers.h */
    uint32_t buffer_count;
    struct cosy_signals *signals;
    _Atomic(struct cosy_node_ *) inbox; /* from other threads, last first */
    atomic_uint wakers;                 /* threads between a push and its wake-up */

    cosy_exception_handler handler;
    void *handler_arg;
    cosy_ns slow_duration;
    pthread_t thread;    /* while it runs */
    atomic_bool running; /* debug mode asks from wrong threads */
    int fatal; /* a kernel's error that ends the run */

    bool generators_closed; /* cosy_shutdown_asyncgens was called */
    bool has_tasks; /* the floor of tasks wants its hooks called */
    atomic_size_t held; /* futures and letters that still point here: the memory stays until they are gone */
    struct cosy_letter *letters; /* the floor of io's: what other threads are to send back */
    unsigned letters_out; /* how many */
    unsigned processors;
    struct cosy_spin letter_spin; /* before sleeping while there are some, but not more than other processors */
    atomic_bool looks_out; /* it spins now: what is sent back is answered at once */
    size_t file_ops; /* the floor of io's: operations on files that the kernel makes, and that tasks wait for */
    uint64_t file_turn; /* in which the last of them was begun */
    void *executors;             /* the floor of io's: this loop's own pools of threads */
    struct cosy_names *names;    /* the floor of io's: which resolver, and what it keeps; NULL: the usual one,
                                  * nothing */
    struct cosy_link children;   /* the floor of io's: processes that are not reaped; all zero until there is one */

    struct cosy_probe *probe;   /* NULL in all loops but those of the test kit; set before the first task is made */
    struct cosy_idler *idlers;  /* tasks that wait until all others do (flow/blocked.c) */
};

/* How each kind of node runs; the floor of tasks fills in its kinds. The node is off the queue already. */
typedef void (*cosy_node_runner)(struct cosy_loop *loop, struct cosy_node_ *node);
extern cosy_node_runner cosy_node_runners[COSY_NODE_KINDS];

/* What the floor of tasks does at the loop's turning points; any may be NULL. */
struct cosy_loop_hooks {
    void (*closing)(struct cosy_loop *loop);              /* end the tasks that are left */
    void (*letting_go)(struct cosy_loop *loop);           /* then: what other threads still do for the loop; the floor
                                                           * of io's */
    void (*discard)(struct cosy_loop *, struct cosy_node_ *); /* a queued node of the task floor at closing */
    void (*idle)(struct cosy_loop *loop);                 /* about to block: give memory back */
    void (*forked)(bool dead);                            /* in a forked child: no task of this thread runs; or they do
                                                           * again */
    void (*deadlock)(struct cosy_loop *loop);             /* nothing can ever happen: say who waits for what */
    /* Nothing is queued and loop->idlers is set: queues one, or tells until when the loop may sleep at most. */
    cosy_ns (*blocked)(struct cosy_loop *loop, cosy_ns deadline);
};
extern struct cosy_loop_hooks cosy_loop_hooks;

static inline void cosy_ready_append(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_node_ **place = loop->tail;
    *place = node;
    loop->tail = place + 1;
    if (unlikely(place + 1 == loop->stop))
        cosy_ready_make_room(loop);
}

static inline bool cosy_ready_empty(const struct cosy_loop *loop)
{
    return loop->head == loop->tail || (*loop->head == &loop->ready.joint && cosy_ready_nothing_from(loop, loop->head));
}

/* Before a system call that costs microseconds: fetches the stack on which the next task goes on, which what all others
 * did has pushed out of the near caches. Always inline: gcc takes a function that only prefetches for one without
 * effect. */
static inline __attribute__((always_inline)) void cosy_ready_prefetch(const struct cosy_loop *loop)
{
    enum { LINES = 8, LINE = 64 }; /* some frames of a call that waits */
    const struct cosy_node_ *node = loop->head == loop->tail ? NULL : *loop->head;
    if (!node || node->kind != COSY_NODE_TASK)
        return;
    const char *sp = ((const struct cosy_stack_pointer *)(const void *)node)->sp;
    for (int i = 0; i < LINES; i++)
        __builtin_prefetch(sp + i * LINE, 1);
}

/* The head of a queue that is not empty, left there. */
static inline struct cosy_node_ *cosy_ready_head(struct cosy_loop *loop)
{
    while (unlikely(*loop->head == &loop->ready.joint))
        cosy_ready_follow(loop);
    return *loop->head;
}

/* Takes the head of a queue that is not empty. */
static inline struct cosy_node_ *cosy_ready_take(struct cosy_loop *loop)
{
    struct cosy_node_ *node = cosy_ready_head(loop);
    loop->head++;
    return node;
}

static inline bool cosy_loop_is_simulated(const struct cosy_loop *loop)
{
    return unlikely(loop->poll_always) && strcmp(loop->sys->ops->name, "sim") == 0;
}

static inline uint64_t cosy_loop_turns(const struct cosy_loop *loop) { return loop->turns_granted - loop->skip; }

static inline void cosy_loop_grant_turns(struct cosy_loop *loop, uint32_t skip)
{
    loop->turns_granted += (uint64_t)skip - loop->skip;
    loop->skip = skip;
}

/* Begins the next turn without the loop's stack, when the kernel need not be asked yet and other work is queued. The
 * marker is the head. */
static inline bool cosy_loop_next_turn(struct cosy_loop *loop)
{
    if (loop->skip == 0 || cosy_ready_nothing_from(loop, loop->head + 1))
        return false;
    loop->skip--;
    loop->head++;
    cosy_ready_append(loop, &loop->marker.node);
    return true;
}

/* Takes a due timer back that has not run in this turn yet. False when it is none. */
bool cosy_due_remove(struct cosy_loop *loop, struct cosy_node_ *node);

/* The loop's memory outlives cosy_loop_free while something holds it. */
static inline void cosy_loop_hold(struct cosy_loop *loop)
{
    atomic_fetch_add_explicit(&loop->held, 1, memory_order_relaxed);
}
void cosy_loop_release(struct cosy_loop *loop); /* any thread */

/* Threads of the library that have nothing to do: from them no loop can expect a call. */
extern atomic_int cosy_idle_threads;

/* inbox.c: from any thread. push: -COSY_ECLOSED after closing. */
int cosy_inbox_push(struct cosy_loop *loop, struct cosy_node_ *node);
void cosy_inbox_drain(struct cosy_loop *loop); /* to the ready queue, in order */
bool cosy_inbox_pending(struct cosy_loop *loop);
struct cosy_node_ *cosy_inbox_close(struct cosy_loop *loop); /* what was left, in order */

/* What debug mode measures slow steps by. Code that blocks costs real time in a simulated kernel too, whose clock
 * stands still then. */
cosy_ns cosy_loop_step_clock(struct cosy_loop *loop);

/* handle.c */
int cosy_loop_check_caller(const cosy_loop *loop); /* 0, -EINVAL, -COSY_ECLOSED; in debug mode -COSY_ETHREAD */
void cosy_handle_discard(struct cosy_handle *handle); /* the loop gives its reference up without calling */
void cosy_handle_run(struct cosy_loop *loop, struct cosy_node_ *node);

/* watch.c */
int cosy_watchers_open(struct cosy_loop *loop);
void cosy_watchers_close(struct cosy_loop *loop);
size_t cosy_watchers_count(const struct cosy_loop *loop);
void cosy_watchers_walk(const struct cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg),
                        void *arg);

/* op.c: those in flight come to their end: with what they have, or -COSY_ECLOSED. */
void cosy_ops_close(struct cosy_loop *loop);
void cosy_ops_walk(const struct cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg),
                   void *arg);

/* signal.c (receivers: signal.h): queues the callbacks of signals that came. */
void cosy_signals_collect(struct cosy_loop *loop);
void cosy_signals_close(struct cosy_loop *loop);
bool cosy_signals_any(const struct cosy_loop *loop); /* handlers other than the runner's own, or one that has come */
/* The runner's Ctrl-C: like add_signal_handler, but does not count as something to wait for, and is not called while
 * the program itself wants Ctrl-C, in whichever loop. */
int cosy_signals_add_quiet(cosy_loop *loop, cosy_callback callback, void *arg);
void cosy_signals_remove_quiet(cosy_loop *loop);

#endif
