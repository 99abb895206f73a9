/* loop.c - life of a loop, and its turn (the order is a contract: see cosy/loop.h). */
#include "loop.h"

#include "borrow.h"
#include "buffers.h"
#include "context.h"
#include "fork.h"
#include "port.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include <cosy/log.h>

#include "../base/heap.h"

/* How long work may go on without a look at the kernel, and how many turns without a look at the clock. */
enum { LOOK_AT_KERNEL_NS = 20000, QUICK_STRIDE_NS = 4000, STRIDE_MAX = 63, EVENTS = 128 };
/* About what it takes two threads to sleep and be woken. It must be longer than it takes to wake a thread that sleeps:
 * otherwise each side finds the other one asleep, and neither ever sees that looking out pays. */
enum { LETTER_SPIN_NS = 50000 };
enum { DUE_KEPT = 65536 };       /* a larger array of due timers is not kept */

struct cosy_loop_hooks cosy_loop_hooks;
atomic_int cosy_idle_threads;
cosy_node_runner cosy_node_runners[COSY_NODE_KINDS] = {[COSY_NODE_HANDLE] = cosy_handle_run};

/* ---- life ---- */

static bool environment_wants_debug(void)
{
    const char *value = getenv("COSY_DEBUG");
    return value && *value && strcmp(value, "0") != 0;
}

static enum cosy_sys_kind kind_of(enum cosy_backend backend)
{
    switch (backend) {
    case COSY_BACKEND_URING:
        return COSY_SYS_URING;
    case COSY_BACKEND_EPOLL:
        return COSY_SYS_EPOLL;
    case COSY_BACKEND_SIM:
        return COSY_SYS_SIM;
    case COSY_BACKEND_AUTO:
        break;
    }
    return COSY_SYS_AUTO;
}

static int open_parts(struct cosy_loop *loop, const struct cosy_loop_options *options)
{
    struct cosy_sys_config config = {.kind = kind_of(options->backend), .seed = options->seed, .spin = options->spin};
    int result = cosy_sys_open(&loop->sys, &config);
    const char *named = getenv("COSY_BACKEND");
    if (result == -EINVAL && config.kind == COSY_SYS_AUTO && named)
        cosy_log(COSY_LOG_ERROR, "cosy: COSY_BACKEND names no backend: '%s'; it may be uring, epoll or sim", named);
    if (result < 0)
        return result;
    loop->now = loop->polled_at = loop->sys->ops->now(loop->sys);
    loop->timers = cosy_timers_new(loop->now);
    result = loop->timers ? cosy_watchers_open(loop) : -ENOMEM;
    if (result < 0) {
        cosy_timers_free(loop->timers);
        loop->sys->ops->close(loop->sys);
    }
    return result;
}

int cosy_loop_new_(cosy_loop **ret_loop, const struct cosy_loop_options *options)
{
    if (!ret_loop || (unsigned)options->backend > COSY_BACKEND_SIM)
        return -EINVAL;
    struct cosy_loop *loop = cosy_heap_alloc_aligned(64, (sizeof *loop + 63) / 64 * 64);
    if (!loop)
        return -ENOMEM;
    memset(loop, 0, sizeof *loop);
    int result = cosy_ready_open(loop);
    if (result == 0)
        result = open_parts(loop, options);
    if (result < 0) {
        cosy_ready_close(loop);
        cosy_heap_free(loop);
        return result;
    }
    loop->held = 1;
    cosy_borrows_open(loop);
    cosy_list_init(&loop->ops);
    cosy_fd_table_init(&loop->ports, struct cosy_port, of_loop, fd);
    loop->marker.node.kind = COSY_NODE_MARKER;
    loop->slow_duration = COSY_MS(100);
    loop->debug = loop->watched = options->debug || environment_wants_debug();
    bool simulated = strcmp(loop->sys->ops->name, "sim") == 0;
    loop->poll_always = simulated; /* so that a run depends on the seed alone, not on how fast it goes */
    loop->processors = cosy_sys_processors();
    loop->letter_spin.limit = !simulated && options->spin >= 0 && loop->processors > 1 ? LETTER_SPIN_NS : 0;
    loop->shuffle = simulated && options->shuffle ? (options->seed * 2 + 1) * UINT64_C(0x9e3779b97f4a7c15) : 0;
    *ret_loop = loop;
    return 0;
}

static void discard(struct cosy_loop *loop, struct cosy_node_ *node)
{
    if (node->kind == COSY_NODE_HANDLE)
        cosy_handle_discard(container_of(node, struct cosy_handle, node_));
    else if (node->kind != COSY_NODE_MARKER)
        cosy_loop_hooks.discard(loop, node);
}

static void discard_queued(struct cosy_loop *loop)
{
    while (!cosy_ready_empty(loop))
        discard(loop, cosy_ready_take(loop));
}

static struct cosy_timed_node *pop_timer(struct cosy_loop *loop, cosy_ns now)
{
    struct cosy_timer *timer = cosy_timers_pop(loop->timers, now);
    return timer ? container_of(timer, struct cosy_timed_node, timer) : NULL;
}

int cosy_loop_close(cosy_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (loop->running)
        return -COSY_ERUNNING;
    if (loop->closed)
        return 0;
    if (loop->forked) { /* ending its tasks would clean up what is the parent's */
        loop->closed = true;
        return 0;
    }
    if (cosy_loop_hooks.closing && loop->has_tasks)
        cosy_loop_hooks.closing(loop);
    if (cosy_loop_hooks.letting_go)
        cosy_loop_hooks.letting_go(loop);
    loop->closed = true;
    cosy_ops_close(loop);
    for (struct cosy_node_ *node = cosy_inbox_close(loop), *next; node; node = next) {
        next = node->next;
        discard(loop, node);
    }
    discard_queued(loop);
    for (struct cosy_timed_node *timed; (timed = pop_timer(loop, COSY_NEVER));)
        discard(loop, &timed->node);
    for (size_t i = 0; i < loop->due_count; i++)
        if (loop->due[i])
            discard(loop, loop->due[i]);
    cosy_heap_free(loop->due);
    cosy_signals_close(loop);
    cosy_watchers_close(loop);
    cosy_borrows_close(loop);
    cosy_ports_forget(loop);
    cosy_buffers_free(loop);
    cosy_timers_free(loop->timers);
    loop->timers = NULL;
    loop->sys->ops->close(loop->sys);
    loop->sys = NULL;
    return 0;
}

void cosy_loop_free(cosy_loop *loop)
{
    if (!loop)
        return;
    cosy_assert(!loop->running);
    cosy_loop_close(loop);
    if (!loop->forked)
        cosy_loop_release(loop);
}

void cosy_loop_release(struct cosy_loop *loop)
{
    if (atomic_fetch_sub_explicit(&loop->held, 1, memory_order_acq_rel) > 1)
        return;
    cosy_ready_close(loop);
    cosy_heap_free(loop);
}

cosy_loop *cosy_running_loop(void)
{
    return cosy_thread_.loop;
}
bool cosy_loop_is_running(const cosy_loop *loop)
{
    return loop && loop->running;
}
bool cosy_loop_is_closed(const cosy_loop *loop)
{
    return !loop || loop->closed;
}
const char *cosy_loop_backend_name(const cosy_loop *loop)
{
    return loop->closed ? "closed" : loop->sys->ops->name;
}

/* ---- one turn ---- */

/* Decides with a count alone, or else with the clock, whether queued work may run before the kernel is asked again.
 * The stride doubles while strides are quick and shrinks when they are not, so heavy turns ask every time. */
static bool may_skip_kernel(struct cosy_loop *loop)
{
    if (cosy_ready_empty(loop) || loop->stopping || loop->poll_always)
        return false;
    if (loop->skip > 0) {
        cosy_loop_grant_turns(loop, loop->skip - 1);
        cosy_inbox_drain(loop); /* other threads are heard in each turn: that takes a memory read */
        return true;
    }
    const struct cosy_sys_ops *ops = loop->sys->ops;
    cosy_ns now = ops->now(loop->sys), took = now - loop->now;
    if (took < QUICK_STRIDE_NS)
        loop->stride = loop->stride * 2 + 1 < STRIDE_MAX ? loop->stride * 2 + 1 : STRIDE_MAX;
    else
        loop->stride /= 4;
    loop->now = now;
    if (loop->stride == 0 || now - loop->polled_at >= LOOK_AT_KERNEL_NS || cosy_inbox_pending(loop) ||
        cosy_timers_next(loop->timers) <= now || ops->peek(loop->sys))
        return false;
    cosy_loop_grant_turns(loop, loop->stride);
    return true;
}

static bool other_threads_exist(void)
{
    if (__libc_single_threaded)
        return false;
    DIR *dir = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count - atomic_load(&cosy_idle_threads) != 1;
}

/* Nothing queued, timed, watched, or to come from signals and threads: what sleeps now sleeps for ever. What a thread
 * of the library has finished is in the inbox before it is missed among the letters; idle ones do not count. */
static bool is_deadlocked(struct cosy_loop *loop)
{
    bool watched = cosy_watchers_count(loop) != 0 || cosy_borrows_any(loop) || cosy_ports_awaited(loop);
    return !loop->letters && !loop->file_ops && cosy_timers_count(loop->timers) == 0 &&
           !(watched && loop->sys->ops->expects(loop->sys)) && !cosy_signals_any(loop) && !cosy_inbox_pending(loop) &&
           !other_threads_exist() && !cosy_inbox_pending(loop);
}

/* How long this turn may sleep: until `limit` at most. */
static cosy_ns sleep_until(struct cosy_loop *loop, cosy_ns limit)
{
    if (!cosy_ready_empty(loop) || loop->stopping || cosy_inbox_pending(loop))
        return INT64_MIN;
    cosy_ns next = cosy_timers_next(loop->timers);
    return next < limit ? next : limit;
}

static cosy_cold int wait_between_hooks(struct cosy_loop *loop, const struct cosy_kernel_hooks *hooks, cosy_ns deadline,
                                        struct cosy_sys_event *events)
{
    const struct cosy_sys_ops *ops = loop->sys->ops;
    cosy_ns now = ops->now(loop->sys);
    bool blocks = deadline > now;
    if (blocks && hooks->block)
        hooks->block(loop, deadline == COSY_NEVER ? COSY_NEVER : deadline - now, hooks->arg);
    int n = ops->wait(loop->sys, deadline, events, EVENTS);
    if (blocks && hooks->unblock)
        hooks->unblock(loop, hooks->arg);
    return n;
}

/* With more jobs than other processors this one has better things to do than to wait. */
static inline bool may_look_out(struct cosy_loop *loop)
{
    return loop->letters_out < loop->processors && cosy_spin_wanted(&loop->letter_spin);
}

/* A job of some microseconds is done before this thread would have slept, and its own would have woken it. */
static void look_out_for_letters(struct cosy_loop *loop, cosy_ns deadline)
{
    const struct cosy_sys_ops *ops = loop->sys->ops;
    cosy_ns end = ops->now(loop->sys) + LETTER_SPIN_NS;
    bool found;
    atomic_store_explicit(&loop->looks_out, true, memory_order_relaxed);
    do {
        cosy_spin_relax();
        found = cosy_inbox_pending(loop) || ops->peek(loop->sys);
    } while (!found && ops->now(loop->sys) < (end < deadline ? end : deadline));
    atomic_store_explicit(&loop->looks_out, false, memory_order_relaxed);
    cosy_spin_done(&loop->letter_spin, cosy_inbox_pending(loop)); /* what else came does not say that it pays */
}

static int ask_kernel(struct cosy_loop *loop, cosy_ns deadline)
{
    enum { AHEAD = 4 };
    struct cosy_sys_event events[EVENTS];
    const struct cosy_sys_ops *ops = loop->sys->ops;
    if (deadline > loop->now && cosy_loop_hooks.idle && loop->has_tasks)
        cosy_loop_hooks.idle(loop);
    if (unlikely(loop->poll_always))
        cosy_sys_expect_outside(loop->sys, loop->letters != NULL);
    const struct cosy_kernel_hooks *hooks = loop->kernel_hooks;
    if (loop->letters && deadline > loop->now && !hooks && may_look_out(loop))
        look_out_for_letters(loop, deadline);
    int n = unlikely(hooks != NULL) ? wait_between_hooks(loop, hooks, deadline, events)
                                    : ops->wait(loop->sys, deadline, events, EVENTS);
    loop->waits++;
    loop->polled_at = loop->now = ops->now(loop->sys);
    loop->since = (uint32_t)(loop->now >> 20);
    if (deadline != INT64_MIN)
        loop->stride = 0;
    for (int i = 0; i < n; i++) {
        if (i + AHEAD < n) { /* ports are far apart, and each leads to a waiter somewhere else */
            __builtin_prefetch(events[i + AHEAD].data, 1);
            __builtin_prefetch((char *)events[i + AHEAD].data + 64, 1);
        }
        if (events[i].events & COSY_SYS_EDGE)
            cosy_port_fired(&events[i]);
        else
            ((const struct cosy_level_watch *)events[i].data)->fired(loop, &events[i]);
    }
    cosy_signals_collect(loop);
    cosy_inbox_drain(loop);
    return n < 0 ? n : 0;
}

static bool due_has_room(struct cosy_loop *loop)
{
    if (likely(loop->due_count < loop->due_room))
        return true;
    size_t room = loop->due_room ? 2 * loop->due_room : 64;
    struct cosy_node_ **more = cosy_heap_resize(loop->due, room * sizeof(*more));
    if (!more)
        return false;
    loop->due = more;
    loop->due_room = room;
    return true;
}

/* Without memory for all, the rest stays on the wheel and is first in the next turn; without any, they go to the
 * queue. */
static void collect_due_timers(struct cosy_loop *loop)
{
    bool listed = due_has_room(loop);
    while (!listed || due_has_room(loop)) {
        struct cosy_timed_node *timed = pop_timer(loop, loop->now);
        if (!timed)
            return;
        if (timed->node.kind == COSY_NODE_HANDLE)
            timed->node.state = 1; /* handle.c: QUEUED */
        if (likely(listed))
            loop->due[loop->due_count++] = &timed->node;
        else
            cosy_ready_append(loop, &timed->node);
    }
}

static void run_due_timers(struct cosy_loop *loop)
{
    enum { AHEAD = 12 };
    for (loop->due_run = 0; loop->due_run < loop->due_count; loop->due_run++) {
        struct cosy_node_ *node = loop->due[loop->due_run];
        if (loop->due_run + AHEAD < loop->due_count) {
            struct cosy_node_ *later = loop->due[loop->due_run + AHEAD];
            __builtin_prefetch(later, 1);
        }
        loop->due[loop->due_run] = NULL;
        if (node)
            cosy_node_runners[node->kind](loop, node);
    }
    loop->due_count = loop->due_run = 0;
    if (unlikely(loop->due_room > DUE_KEPT)) {
        cosy_heap_free(loop->due);
        loop->due = NULL;
        loop->due_room = 0;
    }
}

bool cosy_due_remove(struct cosy_loop *loop, struct cosy_node_ *node)
{
    for (size_t i = loop->due_run; i < loop->due_count; i++)
        if (loop->due[i] == node) {
            loop->due[i] = NULL;
            return true;
        }
    return false;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Simulated kernel: tasks of one turn may run in any order in a correct program. Callbacks keep their places, and
 * without memory all do. */
static void shuffle_tasks(struct cosy_loop *loop)
{
    size_t count = cosy_ready_count(loop);
    struct cosy_node_ **nodes = cosy_heap_alloc(count * sizeof(*nodes));
    if (!nodes)
        return;
    for (size_t i = 0; i < count; i++)
        nodes[i] = cosy_ready_take(loop);
    for (size_t i = count; i-- > 1;) {
        size_t j = next_random(&loop->shuffle) % (i + 1);
        bool tasks = nodes[i]->kind <= COSY_NODE_TASK_NEW && nodes[j]->kind <= COSY_NODE_TASK_NEW;
        struct cosy_node_ *held = nodes[i];
        if (tasks) {
            nodes[i] = nodes[j];
            nodes[j] = held;
        }
    }
    for (size_t i = 0; i < count; i++)
        cosy_ready_append(loop, nodes[i]);
    cosy_heap_free(nodes);
}

static int run_batch(struct cosy_loop *loop)
{
    if (cosy_ready_empty(loop) && loop->due_count == 0)
        return 0;
    cosy_ready_tidy(loop);
    if (unlikely(loop->shuffle))
        shuffle_tasks(loop);
    loop->turns_granted++;
    cosy_ready_append(loop, &loop->marker.node);
    for (;;) {
        struct cosy_node_ *node = cosy_ready_head(loop);
        if (node == &loop->marker.node && loop->due_count > 0) {
            run_due_timers(loop); /* the marker stays: what runs may rely on it, and what they queue stands behind it */
            continue;
        }
        loop->head++;
        if (node == &loop->marker.node)
            return 1;
        cosy_node_runners[node->kind](loop, node);
    }
}

static int turn(struct cosy_loop *loop, cosy_ns limit)
{
    if (!may_skip_kernel(loop)) {
        if (unlikely(loop->kernel_hooks != NULL) && loop->kernel_hooks->prepare)
            loop->kernel_hooks->prepare(loop, loop->kernel_hooks->arg);
        cosy_ns deadline = sleep_until(loop, limit);
        if (unlikely(loop->idlers != NULL) && cosy_ready_empty(loop) && !loop->stopping && !cosy_inbox_pending(loop))
            deadline = cosy_loop_hooks.blocked(loop, deadline);
        if (deadline == COSY_NEVER && is_deadlocked(loop)) {
            if (cosy_loop_hooks.deadlock)
                cosy_loop_hooks.deadlock(loop);
            else
                cosy_log(COSY_LOG_ERROR, "cosy: deadlock: nothing to run and nothing to wait for");
            return -EDEADLK;
        }
        int result = ask_kernel(loop, deadline);
        if (result < 0)
            return result;
        collect_due_timers(loop);
    }
    int ran = run_batch(loop);
    return loop->fatal ? loop->fatal : ran;
}

/* ---- running ---- */

static int begin_run(struct cosy_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (loop->closed)
        return -COSY_ECLOSED;
    if (loop->forked)
        return -COSY_EFORKED;
    if (loop->running || cosy_thread_.loop) {
        cosy_log(COSY_LOG_ERROR, "cosy: cannot run the event loop while %s loop is running",
                 loop->running ? "this" : "another");
        return -COSY_ERUNNING;
    }
    cosy_thread_.loop = loop;
    loop->thread = pthread_self();
    loop->running = true;
    loop->skip = loop->stride = 0;
    loop->fatal = 0;
    return 0;
}

static void end_run(struct cosy_loop *loop)
{
    loop->running = false;
    loop->stopping = false;
    if (unlikely(loop->forked))
        cosy_fork_tell(loop);
    cosy_loop_grant_turns(loop, 0);
    cosy_thread_.loop = NULL;
}

int cosy_loop_run_forever(cosy_loop *loop)
{
    int result = begin_run(loop);
    if (result < 0)
        return result;
    do
        result = turn(loop, COSY_NEVER);
    while (result >= 0 && !loop->stopping);
    end_run(loop);
    return result < 0 ? result : 0;
}

int cosy_loop_run_once(cosy_loop *loop, cosy_ns max_wait)
{
    int result = begin_run(loop);
    if (result < 0)
        return result;
    cosy_ns limit = COSY_NEVER;
    if (max_wait != COSY_NEVER && __builtin_add_overflow(loop->sys->ops->now(loop->sys), max_wait, &limit))
        limit = COSY_NEVER;
    bool always = loop->poll_always;
    loop->poll_always = true; /* tasks must not begin turns of their own */
    result = turn(loop, max_wait <= 0 ? INT64_MIN : limit);
    loop->poll_always = always;
    end_run(loop);
    return result;
}

void cosy_loop_stop(cosy_loop *loop)
{
    if (!loop || loop->closed)
        return;
    loop->stopping = true;
    cosy_loop_grant_turns(loop, 0);
}

void cosy_loop_set_kernel_hooks(cosy_loop *loop, const struct cosy_kernel_hooks *hooks) { loop->kernel_hooks = hooks; }

int cosy_loop_fd(cosy_loop *loop)
{
    if (!loop || loop->closed)
        return -COSY_ECLOSED;
    return loop->sys->ops->poll_fd(loop->sys);
}

cosy_ns cosy_loop_next_deadline(cosy_loop *loop)
{
    if (!loop || loop->closed)
        return COSY_NEVER;
    return cosy_ready_empty(loop) && !cosy_inbox_pending(loop) ? cosy_timers_next(loop->timers) : loop->now;
}

cosy_ns cosy_loop_time(cosy_loop *loop)
{
    if (!loop || loop->closed)
        return 0;
    return loop->sys->ops->now(loop->sys);
}

/* ---- errors and debug mode ---- */

void cosy_loop_set_exception_handler(cosy_loop *loop, cosy_exception_handler handler, void *arg)
{
    loop->handler = handler;
    loop->handler_arg = arg;
}

void cosy_loop_default_exception_handler(cosy_loop *loop, const struct cosy_exception_context *context)
{
    (void)loop;
    const char *message = context->message ? context->message : "Unhandled exception in event loop";
    if (context->detail)
        cosy_log(COSY_LOG_ERROR, "%s\n%s", message, context->detail);
    else if (context->error)
        cosy_log(COSY_LOG_ERROR, "%s: %s (%s)", message, cosy_strerror(context->error), cosy_errname(context->error));
    else
        cosy_log(COSY_LOG_ERROR, "%s", message);
}

/* In the context of the task that it is about, so that it sees what that task set. */
static void call_handler(struct cosy_loop *loop, const struct cosy_exception_context *context)
{
    uintptr_t *here = cosy_context_here(), outer = *here;
    uintptr_t *its = context->task && cosy_context_of_task ? cosy_context_of_task(context->task) : here;
    if (its != here) {
        *here = *its;
        *its = 0; /* lent */
    }
    loop->handler(loop, context, loop->handler_arg);
    if (its != here) {
        *its = *here;
        *here = outer;
    }
}

void cosy_loop_call_exception_handler(cosy_loop *loop, const struct cosy_exception_context *context)
{
    if (loop && loop->handler)
        call_handler(loop, context);
    else
        cosy_loop_default_exception_handler(loop, context);
}

bool cosy_loop_get_debug(const cosy_loop *loop) { return loop->debug; }
void cosy_loop_set_debug(cosy_loop *loop, bool on)
{
    loop->debug = on;
    loop->watched = on || loop->probe;
}

cosy_ns cosy_loop_step_clock(struct cosy_loop *loop)
{
    cosy_ns now = loop->sys->ops->now(loop->sys);
    return strcmp(loop->sys->ops->name, "sim") == 0 ? now + cosy_sys_real_clock() : now;
}

void cosy_loop_set_slow_callback_duration(cosy_loop *loop, cosy_ns duration) { loop->slow_duration = duration; }

void cosy_loop_get_stats(const cosy_loop *loop, struct cosy_loop_stats *ret_stats)
{
    *ret_stats = (struct cosy_loop_stats){
        .turns = cosy_loop_turns(loop),
        .waits = loop->waits,
        .timers = loop->timers ? cosy_timers_count(loop->timers) : 0,
        .watchers = cosy_watchers_count(loop),
    };
}
