/* run.c - how tasks run: from the loop to a task, from a task straight to the next, and the end of a task.
 *
 * A task that parks looks at the head of the ready queue itself. If another task stands there, it switches to it
 * directly, without the loop's stack in between; a callback, or the end of the turn, takes it back to the loop. A task
 * that ends goes further: if the next one has not begun yet and wants a stack of the same size, it begins on the very
 * stack that has become free.
 */
#include <limits.h>
#include <string.h>

#include <cosy/log.h>

#include "../loop/context.h"
#include "../sys/arch/switch.h"
#include "capture.h"
#include "highwater.h"
#include "object.h"
#include "stack.h"

/* What arch/yield_*.S knows of these structs. */
_Static_assert(offsetof(struct cosy_thread, current) == 0, "known to yield_*.S");
_Static_assert(offsetof(struct cosy_task, future.node.kind) == 8 &&
                   offsetof(struct cosy_task, future.node.flags) == 10 && offsetof(struct cosy_task, future.sp) == 16 &&
                   offsetof(struct cosy_task, future.result) == 40,
               "known to yield_*.S");
_Static_assert(offsetof(struct cosy_loop, head) == 0 && offsetof(struct cosy_loop, tail) == 8 &&
                   offsetof(struct cosy_loop, stop) == 16 && offsetof(struct cosy_loop, skip) == 52,
               "known to yield_*.S");
_Static_assert(offsetof(struct cosy_thread, loop) == 8 && offsetof(struct cosy_thread, making) == 24,
               "known to yield_*.S");
_Static_assert(COSY_NODE_TASK == 1 && COSY_NODE_MARKER == 0 && FLAGS_SLOW_PARK == 7, "known to yield_*.S");

enum { TIMED_IDLE, TIMED_ARMED }; /* node.state of a cosy_timed_wait */

/* An eager first step runs inside the call that created the task: where to come back to. Nested ones form a chain. */
struct eager {
    struct eager *outer;
    struct cosy_task *parent; /* NULL: a callback */
    struct cosy_task *buried; /* in a forked child: who that was */
    void *sp;
};
static __thread struct eager *eager_now __attribute__((tls_model("initial-exec")));

cosy_hidden int cosy_yield_slowly(void);
cosy_hidden int cosy_yield_queued(struct cosy_task *me);
cosy_hidden int cosy_yield_crowded(struct cosy_task *me);

static inline struct cosy_task *task_of(struct cosy_node_ *node) { return (struct cosy_task *)(void *)node; }

/* A creator's code goes on in a forked child when its eager task returns there, as any caller's does: but not as a
 * task. */
static void forked(bool dead)
{
    for (struct eager *eager = eager_now; eager; eager = eager->outer) {
        if (dead)
            eager->buried = eager->parent;
        eager->parent = dead ? NULL : eager->buried;
    }
}

__attribute__((constructor)) static void hear_of_forks(void)
{
    cosy_loop_hooks.forked = forked;
}

/* ---- tools ---- */

static struct cosy_stack_view *view_of(struct cosy_task *task)
{
    if (!task)
        return cosy_view_of_thread();
    return cosy_view_innermost(task->extra->driver ? &task->extra->driver->view : &task->extra->view);
}

struct cosy_stack_view *cosy_view_here(struct cosy_task *task) { return view_of(task); }

void cosy_hook_task_begins(struct cosy_task *task)
{
    if (cosy_hooks_wanted())
        cosy_view_open(&task->extra->view, cosy_stack_low(task->stack), cosy_stack_bytes(task->stack_class));
    else if (task->future.loop->debug)
        cosy_highwater_paint(task);
}

void cosy_hook_task_ended(struct cosy_task *task)
{
    if (cosy_hooks_wanted())
        cosy_view_close(&task->extra->view);
    cosy_highwater_note(task);
    cosy_extra_trim(task);
}

cosy_uncounted void cosy_hook_leave(struct cosy_task *from, struct cosy_task *to, bool ending)
{
    if (cosy_hooks_wanted())
        cosy_view_leave(view_of(from), view_of(to), ending);
}

void cosy_hook_arrived(struct cosy_task *at)
{
    if (cosy_hooks_wanted())
        cosy_view_arrived(view_of(at));
}

/* ---- beginning ---- */

static cosy_cold void end_before_beginning(struct cosy_task *task, int code, const char *message)
{
    cosy_capture_discard(task);
    if (message)
        task->future.error = cosy_error_new(code, message);
    cosy_task_finish(task, code);
}

static inline void begin_on(struct cosy_task *task, char *stack)
{
    void *start = task->start;
    task->future.sp = start; /* free until the first switch away: the call's place while `stack` takes its field */
    task->stack = stack;
    task->future.node.flags |= FLAG_BEGUN;
    task->future.node.kind = task->future.node.flags & FLAG_HOOKED ? COSY_NODE_TASK_HOOKED : COSY_NODE_TASK;
}

/* Gives a task its stack. False when it ended instead: cancelled before its first step, or no stack to be had. */
static cosy_cold bool begin_unusually(struct cosy_task *task)
{
    if (task->future.node.flags & FLAG_MUST_CANCEL) {
        end_before_beginning(task, -ECANCELED, NULL);
        return false;
    }
    if (task->future.node.flags & FLAG_HOOKED && !cosy_extra_of(task)) {
        end_before_beginning(task, -ENOMEM, NULL);
        return false;
    }
    char *stack = cosy_stack_take(task->stack_class);
    if (!stack) {
        end_before_beginning(task, -ENOMEM, cosy_stack_error());
        return false;
    }
    begin_on(task, stack);
    if (task->future.node.flags & FLAG_HOOKED)
        cosy_hook_task_begins(task);
    return true;
}

/* The usual case: a stack from the pool. */
static inline bool begin_warm(struct cosy_task *task)
{
    char *stack = unlikely(task->future.node.flags & (FLAG_MUST_CANCEL | FLAG_HOOKED))
                      ? NULL
                      : cosy_stack_take_warm(task->stack_class);
    if (likely(stack != NULL))
        begin_on(task, stack);
    return stack != NULL;
}

static inline bool begin(struct cosy_task *task) { return likely(begin_warm(task)) || begin_unusually(task); }

/* ---- the end of a task, and what comes after ---- */

/* What a cancelled task knows is kept when it says why: the reason goes on to those who await it. */
static cosy_cold uint8_t failed_state(struct cosy_task *task, int64_t outcome)
{
    uint8_t state = outcome == -ECANCELED || outcome >= 0 ? STATE_CANCELLED : STATE_ERROR;
    struct cosy_error *error = task->future.error;
    if (error && (cosy_error_code(error) != outcome || (state == STATE_CANCELLED && !*cosy_error_text(error)))) {
        cosy_error_drop(error);
        task->future.error = NULL;
    }
    return state;
}

static inline void finish(struct cosy_task *task, int64_t outcome)
{
    uint8_t state = STATE_RESULT;
    if (unlikely(outcome < 0 || task->future.node.flags & FLAG_MUST_CANCEL)) {
        state = failed_state(task, outcome);
        if (state == STATE_CANCELLED)
            outcome = -ECANCELED;
        else if (outcome < INT_MIN) /* no error code: cut to an int it might look like success */
            outcome = -EOVERFLOW;
    } else if (unlikely(task->future.error != NULL)) {
        cosy_error_drop(task->future.error);
        task->future.error = NULL;
    }
    task->future.node.flags &= (uint16_t)~(FLAG_BEGUN | FLAG_MUST_CANCEL | FLAG_EAGER);
    if (unlikely(task->future.callbacks != NULL))
        cosy_future_finish(&task->future, state, outcome);
    else {
        task->future.node.state = state;
        task->future.result = outcome;
    }
    if (unlikely(state == STATE_ERROR) && task->future.node.flags & FLAG_SPAWNED)
        cosy_report(task->future.loop, "Task exception in a spawned task", &task->future);
    cosy_task_unref_inline(task);
}

void cosy_task_finish(struct cosy_task *task, int64_t outcome) { finish(task, outcome); }

/* The task whose stack is free now chooses who runs next. Returns the one that begins here; else does not return. */
static struct cosy_task *successor(struct cosy_loop *loop, char *stack, uint8_t stack_class)
{
    for (;;) {
        struct cosy_node_ *node = cosy_ready_head(loop);
        if (node->kind == COSY_NODE_TASK) {
            loop->head++;
            cosy_stack_give(stack, stack_class);
            cosy_thread_.current = task_of(node);
            cosy_switch_jump(task_of(node)->future.sp, task_of(node)->future.result);
        }
        if (node->kind == COSY_NODE_TASK_NEW && task_of(node)->stack_class == stack_class &&
            !(node->flags & (FLAG_MUST_CANCEL | FLAG_HOOKED))) {
            loop->head++;
            cosy_thread_.current = task_of(node);
            begin_on(task_of(node), stack);
            return task_of(node);
        }
        if (node->kind == COSY_NODE_MARKER && cosy_loop_next_turn(loop))
            continue;
        cosy_stack_give(stack, stack_class);
        cosy_thread_.current = NULL;
        cosy_switch_jump(loop->marker.sp, 0);
    }
}

/* Back to the call that started the task eagerly. */
static inline void *leave_eager(char *stack, uint8_t stack_class)
{
    struct eager *eager = eager_now;
    eager_now = eager->outer;
    cosy_thread_.current = eager->parent;
    cosy_stack_give(stack, stack_class);
    return eager->sp;
}

/* Hooked tasks always go back to where they were begun or resumed from, so that the tools see each switch. */
static cosy_cold void leave_hooked(struct cosy_loop *loop, struct cosy_task *me, char *stack, uint8_t stack_class,
                                   bool was_eager)
{
    struct eager *eager = was_eager ? eager_now : NULL;
    struct cosy_task *to = eager ? eager->parent : NULL;
    if (eager)
        eager_now = eager->outer;
    cosy_thread_.current = to;
    cosy_hook_leave(me, to, true);
    cosy_stack_give(stack, stack_class);
    cosy_switch_jump(eager ? eager->sp : loop->marker.sp, 0);
}

/* A task that has a handle and ended well: the usual end. Those who wait are told, which frees nothing: the handle
 * stays. */
static inline bool finish_plainly(struct cosy_task *me, int64_t outcome, char *stack, uint64_t head)
{
    uintptr_t unusual = (uintptr_t)me->future.error | ((uintptr_t)stack & 1) | (uintptr_t)cosy_thread_.making;
    if (unlikely(*cosy_head(me) != head) || unlikely(unusual) || unlikely(outcome < 0))
        return false;
    *cosy_head(me) = COSY_HEAD_ENDED;
    me->future.result = outcome;
    if (me->future.callbacks)
        cosy_future_finish(&me->future, STATE_RESULT, outcome);
    return true;
}

/* Ends a task in any way and leaves its stack. Returns the task that begins on it next, or NULL with the place to
 * return to. */
static cosy_cold struct cosy_task *end_unusually(struct cosy_task *me, int64_t outcome, void **ret_sp)
{
    struct cosy_loop *loop = me->future.loop;
    char *stack = me->stack;
    uint8_t stack_class = me->stack_class;
    unsigned flags = me->future.node.flags;
    cosy_stack_check(me);
    cosy_making_drop_until(NULL);
    if (flags & FLAG_HOOKED) {
        me->future.node.refs++; /* the hooks still need it while its stack is left */
        finish(me, outcome);
        leave_hooked(loop, me, stack, stack_class, flags & FLAG_EAGER);
    }
    finish(me, outcome);
    if (!(flags & FLAG_EAGER))
        return successor(loop, stack, stack_class);
    *ret_sp = leave_eager(stack, stack_class);
    return NULL;
}

/* The bottom frame of every stack. Its result is where to go on: only used when an eager first step ends at once. */
__attribute__((hot)) static void *task_main(void *arg)
{
    struct cosy_task *me = arg;
    if (unlikely(me->future.node.flags & FLAG_HOOKED))
        cosy_hook_arrived(me);
    for (;;) {
        int64_t outcome = cosy_capture_call(me, me->future.sp);
        char *stack = me->stack;
        struct cosy_loop *loop = me->future.loop;
        if (finish_plainly(me, outcome, stack, COSY_HEAD_BEGUN)) {
            struct cosy_task *next = task_of(*loop->head);
            uint8_t stack_class = me->stack_class;
            if (likely(*cosy_head(next) == COSY_HEAD_NEW) && likely(next->stack_class == stack_class)) {
                loop->head++;
                cosy_thread_.current = me = next;
                me->future.sp = me->start;
                me->stack = stack;
                *cosy_head(me) = COSY_HEAD_BEGUN;
            } else
                me = successor(loop, stack, stack_class);
        } else if (finish_plainly(me, outcome, stack, COSY_HEAD_EAGER))
            return leave_eager(stack, me->stack_class);
        else {
            void *sp;
            me = end_unusually(me, outcome, &sp);
            if (!me)
                return sp;
        }
    }
}

/* ---- parking ---- */

/* The head of the queue is not a task that goes on: begin a new one, begin the next turn, or go to the loop. What needs
 * more than a few words of stack (mapping new stacks, ending tasks that cannot begin) is left to the loop: this stack
 * may be a tiny one. */
static __attribute__((noinline)) int64_t switch_away_slowly(struct cosy_task *me, struct cosy_loop *loop)
{
    for (;;) {
        struct cosy_node_ *node = cosy_ready_head(loop);
        if (node->kind == COSY_NODE_TASK) {
            struct cosy_task *task = task_of(node);
            loop->head++;
            cosy_thread_.current = task;
            /* Alone in a turn that began here: it goes on, for its saved stack pointer is not of this wait. */
            return task == me ? me->future.result
                              : cosy_switch_with(&me->future.sp, task->future.sp, task->future.result);
        }
        if (node->kind == COSY_NODE_TASK_NEW && begin_warm(task_of(node))) {
            struct cosy_task *task = task_of(node);
            loop->head++;
            cosy_thread_.current = task;
            return cosy_switch_start(&me->future.sp, cosy_stack_top(task->stack, task->stack_class), task_main, task);
        }
        if (node->kind == COSY_NODE_MARKER && cosy_loop_next_turn(loop))
            continue;
        cosy_thread_.current = NULL;
        return cosy_switch(&me->future.sp, loop->marker.sp);
    }
}

/* The two cases that are nearly as frequent as a task that goes on: the turn ends, another one may begin at once, and
 * begins with a task that goes on; or a task begins, on a warm stack. Nothing is called but by the last jump, so no
 * register is saved and loaded. */
static __attribute__((noinline)) int64_t switch_away_leaf(struct cosy_task *me, struct cosy_loop *loop,
                                                          struct cosy_node_ *node)
{
    struct cosy_task *task = task_of(node);
    if (likely(node->kind == COSY_NODE_MARKER)) {
        struct cosy_node_ **head = loop->head, **tail = loop->tail;
        task = task_of(head[1]); /* there is a slot: at least the joint's */
        if (unlikely(loop->skip == 0) || unlikely(head + 1 == tail) || unlikely(tail + 1 == loop->stop) ||
            unlikely(task == me) || unlikely(task->future.node.kind != COSY_NODE_TASK))
            return switch_away_slowly(me, loop);
        loop->skip--;
        *tail = node;
        loop->tail = tail + 1;
        loop->head = head + 2;
        cosy_thread_.current = task;
        return cosy_switch_with(&me->future.sp, task->future.sp, task->future.result);
    }
    if (unlikely(node->kind != COSY_NODE_TASK_NEW) || unlikely(!begin_warm(task)))
        return switch_away_slowly(me, loop);
    loop->head++;
    cosy_thread_.current = task;
    return cosy_switch_start(&me->future.sp, cosy_stack_top(task->stack, task->stack_class), task_main, task);
}

/* Whoever lets a task go on hands it the result of its wait, or -ECANCELED for a cancel that came while it was queued.
 * So the switch is the last that happens here, and there is no frame of ours to come back to: a return after a switch
 * is mispredicted. */
static inline int64_t switch_away(struct cosy_task *me)
{
    struct cosy_loop *loop = cosy_thread_.loop; /* not by way of the task: each switch would wait for the one before */
    struct cosy_node_ *node = *loop->head;
    if (unlikely(node->kind != COSY_NODE_TASK))
        return switch_away_leaf(me, loop, node);
    struct cosy_task *task = task_of(node);
    loop->head++;
    cosy_thread_.current = task;
    return cosy_switch_with(&me->future.sp, task->future.sp, task->future.result);
}

static cosy_cold int64_t switch_away_with_all(struct cosy_task *me)
{
    struct eager *eager = me->future.node.flags & FLAG_EAGER ? eager_now : NULL;
    bool hooked = me->future.node.flags & FLAG_HOOKED;
    if (!eager && !hooked)
        return switch_away(me);
    struct cosy_task *to = eager ? eager->parent : NULL;
    if (eager) {
        eager_now = eager->outer;
        me->future.node.flags &= (uint16_t)~FLAG_EAGER;
    }
    cosy_thread_.current = to;
    if (hooked)
        cosy_hook_leave(me, to, false);
    int64_t value = cosy_switch(&me->future.sp, eager ? eager->sp : me->future.loop->marker.sp);
    if (hooked)
        cosy_hook_arrived(me);
    return value;
}

/* Whether a cancel is to be delivered to a task that goes on: true once. */
static cosy_cold bool take_cancel(struct cosy_task *task)
{
    if (!(task->future.node.flags & FLAG_MUST_CANCEL))
        return false;
    task->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL;
    if (task->scope)
        cosy_cancel_hooks.delivered(task);
    return true;
}

static cosy_cold int64_t value_for(struct cosy_task *task)
{
    return take_cancel(task) ? -ECANCELED : task->future.result;
}

/* Calls in the making (capture.h) stay with the task that makes them; the test kit looks on. A cancel that came before,
 * while the task ran, is still there. */
static cosy_cold int64_t switch_away_watched(struct cosy_task *me)
{
    struct cosy_task *making = cosy_thread_.making;
    struct cosy_probe *probe = me->future.loop->probe;
    if (unlikely(probe != NULL))
        probe->parks(probe, me);
    cosy_thread_.making = NULL;
    int64_t value = switch_away_with_all(me);
    cosy_thread_.making = making;
    if (unlikely(probe != NULL))
        probe->resumes(probe, me);
    return take_cancel(me) ? -ECANCELED : value;
}

/* A cancel that came while the task ran meets its next wait here. */
static cosy_cold void cancel_this_wait(struct cosy_task *me, struct cosy_wait *wait)
{
    if (wait->kind->patient && me->scope && cosy_cancel_hooks.repeats(me))
        return; /* it was told already */
    me->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL;
    if (!wait->kind->cancel || !wait->kind->cancel(wait, me))
        cosy_task_wake(me, -ECANCELED);
    if (me->scope)
        cosy_cancel_hooks.delivered(me);
}

static cosy_cold int64_t park_unusually(struct cosy_task *me, struct cosy_wait *wait)
{
    if (me->future.node.flags & FLAG_MUST_CANCEL)
        cancel_this_wait(me, wait);
    return switch_away_watched(me);
}

int64_t cosy_park(struct cosy_task *me, struct cosy_wait *wait)
{
    me->wait = wait;
    me->since = me->future.loop->since;
    if (unlikely(me->future.node.flags & FLAGS_SLOW_PARK) || unlikely(cosy_thread_.making != NULL))
        return park_unusually(me, wait);
    return switch_away(me);
}

int64_t cosy_park_queued(struct cosy_task *me)
{
    if (unlikely(me->future.node.flags & FLAGS_SLOW_PARK) || unlikely(cosy_thread_.making != NULL))
        return switch_away_watched(me);
    return switch_away(me);
}

/* cosy_yield in assembly (arch/yield_*.S) takes the plain case; all others come here. */
int cosy_yield_slowly(void)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_yield");
    if (!me)
        return -COSY_ENOTASK;
    cosy_ready_append(me->future.loop, &me->future.node);
    return cosy_yield_queued(me);
}

/* The same when it stands on the queue already; the assembly passes the running task. */
int cosy_yield_queued(struct cosy_task *me)
{
    me->future.result = 0;
    return (int)cosy_park_queued(me);
}

/* The same when it was queued in the last free slot. */
int cosy_yield_crowded(struct cosy_task *me)
{
    cosy_ready_make_room(me->future.loop);
    return cosy_yield_queued(me);
}

int cosy_timed_wait_arm(struct cosy_loop *loop, struct cosy_timed_wait *wait, cosy_ns when)
{
    wait->timed.node.kind = COSY_NODE_WAKE;
    wait->timed.node.state = TIMED_ARMED;
    return cosy_timers_add(loop->timers, &wait->timed.timer, when);
}

void cosy_timed_wait_soon(struct cosy_loop *loop, struct cosy_timed_wait *wait)
{
    wait->timed.node.kind = COSY_NODE_WAKE;
    wait->timed.node.state = TIMED_ARMED;
    cosy_ready_append(loop, &wait->timed.node);
}

/* Armed, or fired but not yet run: either way it will not be called. */
void cosy_timed_wait_disarm(struct cosy_loop *loop, struct cosy_timed_wait *wait)
{
    if (!cosy_timers_cancel(loop->timers, &wait->timed.timer) && wait->timed.node.state == TIMED_ARMED)
        cosy_ready_remove(loop, &wait->timed.node);
    wait->timed.node.state = TIMED_IDLE;
}

/* ---- from the loop ---- */

static cosy_cold void run_hooked(struct cosy_loop *loop, struct cosy_task *task, bool fresh)
{
    cosy_ns start = loop->debug ? cosy_loop_step_clock(loop) : 0;
    cosy_weak weak = cosy_task_weak(task);
    cosy_thread_.current = task;
    cosy_hook_leave(NULL, task, false);
    if (fresh)
        cosy_switch_start(&loop->marker.sp, cosy_stack_top(task->stack, task->stack_class), task_main, task);
    else
        cosy_switch_with(&loop->marker.sp, task->future.sp, value_for(task));
    cosy_hook_arrived(NULL);
    if (start && loop->debug) {
        cosy_ns took = cosy_loop_step_clock(loop) - start;
        bool alive = task->id == weak.id;
        if (took >= loop->slow_duration)
            cosy_log(COSY_LOG_WARNING, "cosy: executing a step of task '%s' (%s, created at %s:%u) took %.3f seconds",
                     alive ? cosy_task_name(task) : "(ended)", task->site->name, task->site->file, task->site->line,
                     (double)took / 1e9);
    }
    if (cosy_future_is_done(&task->future) && task->future.node.state != STATE_FREE) {
        cosy_hook_task_ended(task);
        cosy_task_unref(task);
    }
}

static void run_task(struct cosy_loop *loop, struct cosy_node_ *node)
{
    cosy_thread_.current = task_of(node);
    cosy_switch_with(&loop->marker.sp, task_of(node)->future.sp, task_of(node)->future.result);
}

static void run_cancelled_task(struct cosy_loop *loop, struct cosy_node_ *node)
{
    node->kind = COSY_NODE_TASK;
    cosy_thread_.current = task_of(node);
    cosy_switch_with(&loop->marker.sp, task_of(node)->future.sp, value_for(task_of(node)));
}

static void run_hooked_task(struct cosy_loop *loop, struct cosy_node_ *node) { run_hooked(loop, task_of(node), false); }

static void run_new_task(struct cosy_loop *loop, struct cosy_node_ *node)
{
    struct cosy_task *task = task_of(node);
    if (!begin(task))
        return;
    if (unlikely(node->flags & FLAG_HOOKED)) {
        run_hooked(loop, task, true);
        return;
    }
    cosy_thread_.current = task;
    cosy_switch_start(&loop->marker.sp, cosy_stack_top(task->stack, task->stack_class), task_main, task);
}

static cosy_cold void run_eagerly_unusually(struct cosy_task *task)
{
    if (!begin(task))
        return;
    struct eager eager = {.outer = eager_now, .parent = cosy_thread_.current};
    struct cosy_task *making = cosy_thread_.making;
    cosy_thread_.making = NULL;
    bool hooked = task->future.node.flags & FLAG_HOOKED;
    eager_now = &eager;
    task->future.node.flags |= FLAG_EAGER;
    cosy_thread_.current = task;
    if (unlikely(hooked)) {
        task->future.node.refs++;
        cosy_hook_leave(eager.parent, task, false);
    }
    cosy_switch_start(&eager.sp, cosy_stack_top(task->stack, task->stack_class), task_main, task);
    if (unlikely(hooked)) {
        cosy_hook_arrived(eager.parent);
        if (cosy_future_is_done(&task->future)) {
            cosy_hook_task_ended(task);
            cosy_task_unref(task); /* task_main's */
        }
        cosy_task_unref(task);
    }
    cosy_thread_.making = making;
}

void cosy_task_run_eagerly(struct cosy_task *task)
{
    char *stack =
        task->future.node.flags & (FLAG_MUST_CANCEL | FLAG_HOOKED) || task->stack_class != COSY_STACK_CLASS_DEFAULT
            ? NULL
            : cosy_stack_take_warm(COSY_STACK_CLASS_DEFAULT);
    if (unlikely(!stack) || unlikely(cosy_thread_.making != NULL)) {
        if (stack)
            cosy_stack_give(stack, COSY_STACK_CLASS_DEFAULT);
        run_eagerly_unusually(task);
        return;
    }
    struct eager eager = {.outer = eager_now, .parent = cosy_thread_.current};
    eager_now = &eager;
    task->future.sp = task->start;
    task->stack = stack;
    /* from TASK_NEW to TASK, begun and eager */
    *cosy_head(task) += ((uint64_t)(FLAG_BEGUN | FLAG_EAGER) << 16) - (COSY_NODE_TASK_NEW - COSY_NODE_TASK);
    cosy_thread_.current = task;
    cosy_switch_start(&eager.sp, cosy_stack_top(stack, COSY_STACK_CLASS_DEFAULT), task_main, task);
}

/* ---- the loop's ends ---- */

static void run_wake(struct cosy_loop *loop, struct cosy_node_ *node)
{
    (void)loop;
    struct cosy_timed_wait *wait = container_of(node, struct cosy_timed_wait, timed.node);
    node->state = TIMED_IDLE;
    wait->fired(wait);
}

static void run_notify(struct cosy_loop *loop, struct cosy_node_ *node)
{
    (void)loop;
    struct cosy_observer *observer = container_of(node, struct cosy_observer, node);
    observer->future = NULL;
    observer->notify(observer);
}

static void drop_notify(struct cosy_loop *loop, struct cosy_node_ *node)
{
    (void)loop;
    if (node->kind != COSY_NODE_NOTIFY)
        return;
    struct cosy_observer *observer = container_of(node, struct cosy_observer, node);
    if (observer->discard)
        observer->discard(observer);
}

static uintptr_t *context_of_task(struct cosy_task *task) { return &task->context; }

__attribute__((constructor)) static void join_the_loop_floor(void)
{
    cosy_node_runners[COSY_NODE_TASK] = run_task;
    cosy_node_runners[COSY_NODE_TASK_CANCELLED] = run_cancelled_task;
    cosy_node_runners[COSY_NODE_TASK_HOOKED] = run_hooked_task;
    cosy_node_runners[COSY_NODE_TASK_NEW] = run_new_task;
    cosy_node_runners[COSY_NODE_WAKE] = run_wake;
    cosy_node_runners[COSY_NODE_NOTIFY] = run_notify;
    cosy_context_of_task = context_of_task;
    cosy_loop_hooks.closing = cosy_tasks_close;
    cosy_loop_hooks.discard = drop_notify;
    cosy_loop_hooks.idle = cosy_tasks_idle;
    cosy_loop_hooks.deadlock = cosy_tasks_deadlock;
}

/* Where the thread's own stack is free: below what the loop, or a callback that started a task eagerly, has saved. */
void *cosy_roomy_sp(struct cosy_loop *loop)
{
    for (struct eager *eager = eager_now; eager; eager = eager->outer)
        if (!eager->parent)
            return eager->sp;
    return loop->marker.sp;
}
