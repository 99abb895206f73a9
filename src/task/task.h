/* task.h - the inside of tasks, coroutines and futures: what the rooms of this floor and the floors above share.
 *
 * One object of 128 bytes, two cache lines, is a coroutine first and a task later; its first part is a future. The
 * objects live in slabs that are never given to anything else, so a stale handle can be told from a live one by its id
 * (cosy_weak).
 *
 * Invariants
 *  - A pending task is exactly one of: running (the thread's current), queued (on the ready queue), waiting (wait !=
 * NULL).
 *  - Only a task that has begun owns a stack, and gives it back the moment it ends. Until then `start` holds the call.
 *  - refs counts the handles, plus one of the loop's while the task is pending.
 *  - callbacks is the first of a circular list of observers, in the order of registration; NULL: none.
 */
#ifndef COSY_TASK_TASK_H
#define COSY_TASK_TASK_H

#include <cosy/task.h>
#include <cosy/trace.h>

#include "../loop/loop.h"
#include "hooks.h"

/* A traceback tells the program's own places: an error that the library makes notes none. */
#undef COSY_PLACE_
#define COSY_PLACE_ NULL

/* node.state of futures, tasks and coroutines */
enum {
    STATE_FREE,      /* memory of no object */
    STATE_CREATED,   /* a coroutine that nothing has taken yet */
    STATE_DRIVEN,    /* a coroutine that is driven by hand */
    STATE_CLOSED,    /* such a one, ended */
    STATE_PENDING,   /* a future or task without an outcome */
    STATE_RESULT,    /* ended well: result */
    STATE_ERROR,     /* ended with the negative error in result */
    STATE_CANCELLED, /* ended by cancellation */
};

/* node.flags */
enum {
    FLAG_MUST_CANCEL = 1,  /* the next wait, or the running one when it returns, gives -ECANCELED */
    FLAG_HOOKED = 2,       /* sanitizers, valgrind or debug mode want to see each switch */
    FLAG_EAGER = 4,        /* in its first step, inside its creator's call */
    FLAG_TASK = 8,         /* a future that is a task */
    FLAG_RETRIEVED = 16,   /* somebody looked at the error, or it was reported */
    FLAG_BEGUN = 32,       /* owns a stack; `stack` instead of `start` is valid */
    FLAG_CAPTURE = 64 + 128, /* start: a block of captured arguments, of kind capture_kind(flags) */
    FLAG_BLOCK = 256,      /* start: a copied argument block */
    FLAG_ARGS = 4096,      /* start: a function; its arguments lie in result, scope and error until it is called */
    FLAG_SPAWNED = 512,    /* nobody will ask: report an error at once */
    FLAG_ORIGIN = 1024,    /* extra->origin is recorded */
    FLAG_INLINE = 2048,    /* runs inside the awaiting task: cosy_await(coroutine) */
};
/* A park with one of these set is not the plain one. */
enum { FLAGS_SLOW_PARK = FLAG_MUST_CANCEL | FLAG_HOOKED | FLAG_EAGER };

/* in_cancel */
enum { CANCEL_PASSING_ON = 1, CANCEL_CAME_BACK = 2 /* in a circle of tasks that wait for each other */ };

struct cosy_error;
struct cosy_extra;
struct cosy_scope;
struct cosy_wait;

struct cosy_future {
    struct cosy_node_ node;
    void *sp; /* tasks: the parked stack */
    struct cosy_loop *loop;
    struct cosy_observer *callbacks;
    int64_t result; /* tasks: while waiting, what the wait will return */
    struct cosy_error *error;
};

struct cosy_task {
    struct cosy_future future;
    uint32_t since; /* when it began to wait, in units of 2^20 ns */
    uint16_t cancels;
    uint8_t stack_class;
    uint8_t in_cancel; /* while a cancel is passed on to what it waits for: CANCEL_... */
    /* second cache line */
    struct cosy_wait *wait;
    const struct cosy_site_ *site;
    union {
        void *start; /* not begun: the function, or the captured call */
        char *stack; /* begun: its stack, as cosy_stack_take named it */
    };
    uint64_t id, parent;
    uintptr_t context; /* a slot: loop/context.h */
    struct cosy_extra *extra;
    struct cosy_scope *scope; /* the innermost one: flow/scope.c */
};

_Static_assert(sizeof(struct cosy_task) == 128, "a task is two cache lines");
_Static_assert(offsetof(struct cosy_future, sp) == offsetof(struct cosy_stack_pointer, sp), "marker looks like a task");

/* Kind, state, flags and references of a node as one word: the usual case is told, and made, by a single compare or
 * store. */
typedef uint64_t cosy_head_word __attribute__((may_alias));
static inline cosy_head_word *cosy_head(struct cosy_task *task)
{
    return (cosy_head_word *)(void *)&task->future.node.kind;
}
#define COSY_HEAD(kind, state, flags, refs)                                                                    \
    ((uint64_t)(kind) | (uint64_t)(state) << 8 | (uint64_t)(flags) << 16 | (uint64_t)(refs) << 32)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "COSY_HEAD is written for little-endian machines");
/* A task with a handle, before its first step, while it runs, and when it ended well. */
#define COSY_HEAD_NEW COSY_HEAD(COSY_NODE_TASK_NEW, STATE_PENDING, FLAG_TASK, 2)
#define COSY_HEAD_BEGUN COSY_HEAD(COSY_NODE_TASK, STATE_PENDING, FLAG_TASK | FLAG_BEGUN, 2)
#define COSY_HEAD_EAGER COSY_HEAD(COSY_NODE_TASK, STATE_PENDING, FLAG_TASK | FLAG_BEGUN | FLAG_EAGER, 2)
#define COSY_HEAD_ENDED COSY_HEAD(COSY_NODE_TASK, STATE_RESULT, FLAG_TASK, 1)

/* What few tasks need. */
struct cosy_extra {
    char *name, *cancel_reason, *origin;
    uint64_t canceller; /* id of the task that cancelled last; 0: none */
    struct cosy_stack_view view; /* for tools */
    bool painted;                /* its stack: highwater.h */
    struct cosy_driver *driver;  /* tasks: the innermost coroutine that runs inside; driven coroutines: their own */
};

/* A cancel meets the task's next wait, or the one that it is about to return from: whoever lets a queued one go on must
 * look then. */
static inline void cosy_task_must_cancel(struct cosy_task *task)
{
    task->future.node.flags |= FLAG_MUST_CANCEL;
    if (task != cosy_thread_.current && task->future.node.kind == COSY_NODE_TASK)
        task->future.node.kind = COSY_NODE_TASK_CANCELLED;
}

/* ---- what a task waits for ---- */

struct cosy_wait_kind {
    const char *verb; /* "sleeps", "waits for" */
    /* The task is being cancelled: true when this wait will end it (by cosy_task_wake), false when the caller has
     * to. */
    bool (*cancel)(struct cosy_wait *wait, struct cosy_task *task);
    /* The future waited for, or NULL. */
    struct cosy_future *(*future)(struct cosy_wait *wait);
    /* The deadline, or COSY_NEVER. NULL: none. */
    cosy_ns (*deadline)(struct cosy_wait *wait);
    const char *(*name)(struct cosy_wait *wait); /* NULL: the verb says it all */
    /* The loop closes under the waiting task: take observers back. NULL: there is nothing to take back. */
    void (*abandon)(struct cosy_wait *wait);
    /* Its `cancel` does nothing but pass the request on to its future and let go where that has no effect: a chain of
     * such waits is then followed by a loop, however long it is. */
    bool passes_on;
    /* Has heard of a cancel, and waits again until it has what it waits for: a sticky scope, whose cancel meets every
     * wait, lets it. A wait becomes one of this kind by its first cancel. */
    bool patient;
};
struct cosy_wait {
    const struct cosy_wait_kind *kind;
};

/* Suspends the running task until cosy_task_wake; returns the wake's value, or -ECANCELED. `wait` lives on the caller's
 * stack. */
int64_t cosy_park(struct cosy_task *me, struct cosy_wait *wait);

/* The same for a task that is queued to run already. */
int64_t cosy_park_queued(struct cosy_task *me);

/* Queues a waiting task to run again, in its place behind what is queued. */
static inline void cosy_task_wake(struct cosy_task *task, int64_t value)
{
    task->future.result = value;
    task->wait = NULL;
    cosy_ready_append(task->future.loop, &task->future.node);
}

static inline struct cosy_task *cosy_task_here(void) { return cosy_thread_.current; }
/* The running task, or NULL with an error told: `what` is the name of the call. */
struct cosy_task *cosy_task_or_complain(const char *what);

/* ---- cancellation and scopes ---- */

/* Cancels on behalf of something inside the task, whose innermost scope when it began was `inside`: only shields within
 * that one hold it back. cosy_task_cancel is that with NULL: it comes from outside of all. */
bool cosy_task_cancel_within(struct cosy_task *task, const char *reason, const void *inside);
/* `count` requests that a shield held back count from now on, and are delivered. */
void cosy_task_cancel_released(struct cosy_task *task, unsigned count);

/* What the floor of flow adds: called for tasks with a scope only. */
extern struct cosy_cancel_hooks {
    bool (*hold)(struct cosy_task *task, const void *inside); /* a request comes: true when a shield keeps it */
    void (*delivered)(struct cosy_task *task);                /* a wait gives -ECANCELED for FLAG_MUST_CANCEL, which is
                                                               * cleared */
    bool (*repeats)(const struct cosy_task *task);            /* FLAG_MUST_CANCEL is only a sticky scope's, not a new
                                                               * request */
    void (*take_back)(struct cosy_task *task);                /* a request, and none counts: one that a shield holds */
} cosy_cancel_hooks;
/* Until a task has begun, an argument of its call lies in the field. */
static inline struct cosy_scope *cosy_scope_of(const struct cosy_task *task)
{
    return likely(task->future.node.flags & FLAG_BEGUN) ? task->scope : NULL;
}

/* A cancel that met a clean-up whose result nobody takes: the next wait gets it again. */
static inline void cosy_task_keep_cancel(struct cosy_task *me)
{
    if (me->cancels > 0)
        cosy_task_must_cancel(me);
}

/* ---- observers: done callbacks and waiting tasks ---- */

struct cosy_observer {
    struct cosy_node_ node; /* kind NOTIFY: queued when the future is done */
    struct cosy_observer *next, *prev;
    struct cosy_future *future;
    struct cosy_task *task; /* who waits: for awaited-by links; NULL for callbacks */
    /* NULL: the task itself is queued. Else it is called in a turn, off the list. */
    void (*notify)(struct cosy_observer *observer);
    void (*discard)(struct cosy_observer *observer); /* never called: the loop closed. NULL: nothing to free */
    /* Asked as the future ends well, on the stack of whoever ends it: true when that was all there is to know, and no
     * turn is needed for notify. Of a thousand children that end, only the last one matters. NULL: always notify. */
    bool (*take_note)(struct cosy_observer *observer);
};

/* A timer of this floor and those above: fired is called in a turn, the timer disarmed. */
struct cosy_timed_wait {
    struct cosy_timed_node timed;
    void (*fired)(struct cosy_timed_wait *self);
};
int cosy_timed_wait_arm(struct cosy_loop *loop, struct cosy_timed_wait *wait, cosy_ns when);
void cosy_timed_wait_soon(struct cosy_loop *loop, struct cosy_timed_wait *wait); /* as if due: fires in the next turn */
void cosy_timed_wait_disarm(struct cosy_loop *loop, struct cosy_timed_wait *wait);
void cosy_observe(struct cosy_future *future, struct cosy_observer *observer); /* a pending one: is called when done */
void cosy_observe_done(struct cosy_future *future, struct cosy_observer *observer); /* a done one: queues notify */
/* Takes it back, from the list or from the ready queue. */
void cosy_unobserve(struct cosy_observer *observer);

void cosy_future_finish(struct cosy_future *future, uint8_t state, int64_t result); /* and queues all observers */
static inline bool cosy_future_is_done(const struct cosy_future *future) { return future->node.state > STATE_PENDING; }
static inline bool cosy_is_task(const struct cosy_future *future) { return future->node.flags & FLAG_TASK; }
static inline struct cosy_task *cosy_as_task(struct cosy_future *future) { return (struct cosy_task *)(void *)future; }
/* The outcome as a function's result; takes the error's story over to the running task. */
int cosy_future_outcome(struct cosy_future *future);
bool cosy_future_cancel_with(struct cosy_future *future, const char *reason); /* cosy_future_cancel; reason: "" for
                                                                               * none */
/* Waits for it: the heart of cosy_await. */
int cosy_await_outcome(struct cosy_task *me, struct cosy_future *future);
/* Any awaitable of gather and its like: a task, future or coroutine (becomes a task). Owns one reference. */
struct cosy_future *cosy_as_future(int kind, void *what, int *ret_error);

/* ---- objects (object.c) ---- */

void cosy_task_unref(struct cosy_task *task);
void cosy_thread_end_watch(void); /* what the thread has here is freed when it ends */
struct cosy_extra *cosy_extra_of(struct cosy_task *task); /* made when missing; NULL without memory */
void cosy_extra_trim(struct cosy_task *task);             /* frees it when it tells nothing */
/* Calls visit for each object of this thread that is not free. */
void cosy_objects_walk(void (*visit)(struct cosy_task *object, void *arg), void *arg);

/* ---- captured calls (capture.c) ---- */

/* The object behind a handle that nothing has taken yet; NULL and *ret_error otherwise. */
struct cosy_task *cosy_coro_take(struct cosy_coro *coro, int *ret_error);
void cosy_capture_discard(struct cosy_task *object);
/* Why the latest creation in this thread gave NULL. */
int cosy_creation_error(void);
void cosy_set_creation_error(int error);

/* ---- stacks (stack.c) ---- */

enum { COSY_STACK_CLASSES = 24 }; /* class c: 1024 << c bytes */
enum { COSY_STACK_CLASS_DEFAULT = 6 };
uint8_t cosy_stack_class(size_t bytes);
static inline size_t cosy_stack_bytes(uint8_t stack_class) { return (size_t)1024 << stack_class; }
/* A stack is named by its lowest address; bit 0 tells that it has a canary instead of a guard page. */
static inline char *cosy_stack_low(char *stack) { return (char *)((uintptr_t)stack & ~(uintptr_t)1); }
char *cosy_stack_take(uint8_t stack_class); /* NULL: cosy_stack_error tells why */
const char *cosy_stack_error(void);
void cosy_stacks_idle(void); /* gives memory of long-unused stacks back to the kernel */
void cosy_stacks_release(void); /* unmaps those that nobody uses, as far as whole chunks are free */
void cosy_stack_check(struct cosy_task *task); /* the canary of an unguarded stack */
/* 8 colours: stacks begin at different cache lines. */
static inline void *cosy_stack_top(char *stack, uint8_t stack_class)
{
    uintptr_t top = (uintptr_t)cosy_stack_low(stack) + cosy_stack_bytes(stack_class);
    return (void *)(stack_class < 3 ? top : top - (top >> (10 + stack_class)) % 8 * 64);
}

/* ---- running (run.c) ---- */

void *cosy_roomy_sp(struct cosy_loop *loop);
void cosy_task_run_eagerly(struct cosy_task *task); /* first step now */
void cosy_task_finish(struct cosy_task *task, int64_t outcome);
void cosy_tasks_close(struct cosy_loop *loop);    /* ends what is left of a loop's tasks */
void cosy_tasks_idle(struct cosy_loop *loop);
void cosy_tasks_deadlock(struct cosy_loop *loop);

/* ---- errors (error.c) ---- */

/* What the running task, or the thread outside tasks, knows of its latest failure. */
struct cosy_error **cosy_error_here(void);
void cosy_error_drop(struct cosy_error *error);
struct cosy_error *cosy_error_ref(struct cosy_error *error);
struct cosy_error *cosy_error_new(int code, const char *message); /* code negative; NULL without memory */
int cosy_error_code(const struct cosy_error *error);
const char *cosy_error_text(const struct cosy_error *error);
/* The message of a future's error, or why it was cancelled; "" when that is not known. */
const char *cosy_future_words(const struct cosy_future *future);
/* The awaiting task goes on with what it got from `from`. */
void cosy_error_inherit(int code, struct cosy_future *from);
/* Between these, cosy_try in the guard's function notes the code that it leaves with in guard->code. A guard's leave
 * foretells what the block will make of a code when it ends, which is after the function's result is settled:
 * *taken_back is how many cancel requests the blocks within it will have taken back by then, to be counted on. */
void cosy_guard_open(struct cosy_guard_ *guard);
void cosy_guard_close(struct cosy_guard_ *guard);
void cosy_guards_forget(const char *low, size_t bytes); /* of frames on a stack that is left as it stands */
/* No record here tells of `code` any longer: a failure without words came after it. */
void cosy_error_forget(int code);
/* Takes the thread's latest record away when it tells of `code`, so that another thread may have it; NULL when there is
 * none. */
struct cosy_error *cosy_error_take(int code);
/* A new record with the words of `cause`, which it owns from now on: what happened in `who` ("job 'x' ..."). NULL
 * without memory. */
struct cosy_error *cosy_error_told_by(int code, struct cosy_error *cause, const char *who);
/* The task, or for NULL the thread outside tasks, goes on with that record; NULL is fine. */
void cosy_error_adopt(struct cosy_task *task, struct cosy_error *error);
/* A failure passes from a driven coroutine's stack to its driver's: the places before and after cannot be compared by
 * address. */
void cosy_error_changes_stack(int64_t code);
/* The whole story as text ("no user 7 (EINVAL)\nAsync traceback ..."), to be freed; NULL without memory. */
char *cosy_error_story(const struct cosy_error *error, int code, struct cosy_task *task);
void cosy_report(struct cosy_loop *loop, const char *message, struct cosy_future *future); /* to the exception
                                                                                            * handler */
void cosy_error_thread_end(void); /* forgets what the thread knew outside tasks */

/* ---- hooks for tools (hooks.h), as seen from tasks (run.c): NULL is the thread's own stack ---- */

void cosy_hook_task_begins(struct cosy_task *task); /* its stack is there */
void cosy_hook_task_ended(struct cosy_task *task);  /* its stack is left for good */
void cosy_hook_leave(struct cosy_task *from, struct cosy_task *to, bool ending);
void cosy_hook_arrived(struct cosy_task *at);

/* ---- coroutines driven by hand (coro.c) ---- */

/* A stack inside a stack: the driver waits on its own while the coroutine runs. */
struct cosy_driver {
    struct cosy_driver *outer; /* the coroutine that drives this one, if one does */
    struct cosy_task *object;
    struct cosy_task *making; /* calls in the making inside, while it is suspended (capture.h) */
    void *driver_sp, *coro_sp;
    char *stack;
    int64_t value; /* handed over, either way */
    int injected;  /* negative code to be returned by cosy_suspend */
    bool running, finished;
    struct cosy_stack_view view;
};
void cosy_coro_never_awaited(struct cosy_task *object);

/* ---- stacks that run inside a task's, as a call would: those of generators (flow/agen.c) ---- */

/* While its code runs, the task stands on this stack and its caller's frames on the one at outer_sp. Unlike a driver it
 * is no end for cosy_suspend: a coroutine driven by hand that suspends on an inner stack suspends as a whole. */
struct cosy_inner_stack {
    struct cosy_inner_stack *next, **place; /* on the thread's list while it owns a stack */
    struct cosy_task *task; /* whose code runs on it; NULL: nobody's */
    void *sp, *outer_sp;
    char *stack;
    uint8_t stack_class;
    struct cosy_loop *loop;
    struct cosy_stack_view view;
    void (*abandon)(struct cosy_inner_stack *inner); /* the loop closes: take it off the list and give the stack back */
};
extern __thread struct cosy_inner_stack *cosy_inner_stacks __attribute__((tls_model("initial-exec")));
void cosy_inner_stacks_close(struct cosy_loop *loop);
/* Where the caller's frames lie, when `sp` lies on a stack inside the task's; else NULL. */
void *cosy_inner_stack_outside(const struct cosy_task *task, const void *sp);
struct cosy_stack_view *cosy_view_here(struct cosy_task *task); /* of the stack that the task runs on (run.c); NULL: the
                                                                 * thread */

#endif
