/* task.c - tasks as their users see them: creation, cancellation, names, lists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/log.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "../sys/arch/switch.h"
#include "capture.h"
#include "object.h"
#include "stack.h"

/* ---- creation ---- */

static cosy_cold struct cosy_task *creation_failed(struct cosy_task *object, int error, const char *message)
{
    if (message)
        cosy_log(COSY_LOG_ERROR, "cosy: %s: coroutine '%s' created at %s:%u", message, object->site->name,
                 object->site->file, object->site->line);
    if (object) {
        cosy_capture_discard(object);
        cosy_task_unref(object);
    }
    cosy_set_creation_error(error);
    return NULL;
}

static cosy_cold int apply_options(struct cosy_task *task, const struct cosy_task_options *options)
{
    if (options->stack_size > cosy_stack_bytes(COSY_STACK_CLASSES - 1))
        return -EINVAL;
    task->stack_class = cosy_stack_class(options->stack_size);
    if (options->context)
        task->context = cosy_context_slot_share(options->context);
    return options->name ? cosy_task_set_name(task, options->name) : 0;
}

/* The loop that a new task belongs to, or NULL with the reason. */
static struct cosy_loop *home_of(const struct cosy_task_options *options, int *ret_error, const char **ret_message)
{
    struct cosy_loop *running = cosy_thread_.loop, *loop = options && options->loop ? options->loop : running;
    if (!loop) {
        *ret_error = -COSY_ENOLOOP;
        *ret_message = "no running event loop to create a task in";
    } else if (loop->closed) {
        *ret_error = -COSY_ECLOSED;
        *ret_message = "cannot create a task in a closed loop";
    } else if (loop != running && (loop->running || (options && options->eager_start))) {
        *ret_error = loop->running ? -COSY_ETHREAD : -COSY_ENOLOOP;
        *ret_message = loop->running ? "a task cannot be created in a loop that runs in another thread"
                                     : "an eager task needs its loop to be running";
    } else
        return loop;
    return NULL;
}

static bool only_eager(const struct cosy_task_options *options)
{
    uintptr_t others =
        (uintptr_t)options->name | options->stack_size | (uintptr_t)options->context | (uintptr_t)options->loop;
    return options->eager_start && others == 0;
}

static cosy_cold cosy_task *create_in(struct cosy_task *task, const struct cosy_task_options *options, unsigned flags)
{
    int error;
    const char *message = NULL;
    struct cosy_loop *loop = home_of(options, &error, &message);
    if (!loop)
        return creation_failed(task, error, message);
    error = options ? apply_options(task, options) : 0;
    if (error < 0)
        return creation_failed(task, error, error == -EINVAL ? "stack_size is larger than any stack" : NULL);
    loop->has_tasks = true;
    loop->watched |= cosy_origin_depth > 0;
    task->future.loop = loop;
    task->future.node.kind = COSY_NODE_TASK_NEW;
    task->future.node.state = STATE_PENDING;
    task->future.node.flags |= (uint16_t)(FLAG_TASK | flags);
    task->future.node.refs = 2;
    if (loop->debug || loop->probe || cosy_hooks_wanted())
        task->future.node.flags |= FLAG_HOOKED;
    if (cosy_thread_.current)
        task->parent = cosy_thread_.current->id;
    if (!task->context)
        task->context = cosy_context_slot_copy(*cosy_context_here());
    if (options && options->eager_start)
        cosy_task_run_eagerly(task);
    else
        cosy_ready_append(loop, &task->future.node);
    return task;
}

/* The usual case by itself: no options, made by a task that nobody watches. */
static inline bool is_usual(const struct cosy_task *me)
{
    return likely(me != NULL) && likely(!(me->future.node.flags & FLAG_HOOKED)) && likely(!me->future.loop->watched);
}

static inline void become_task(struct cosy_task *task, struct cosy_task *me, unsigned flags)
{
    uint64_t kept = task->future.node.flags | flags;
    *cosy_head(task) = COSY_HEAD_NEW | kept << 16;
    task->future.loop = me->future.loop;
    task->parent = me->id;
    if (unlikely(me->context))
        task->context = cosy_context_slot_copy(me->context);
}

static cosy_cold cosy_task *create_object(struct cosy_task *object, const struct cosy_task_options *options,
                                          unsigned flags)
{
    return likely(object != NULL) ? create_in(object, options, flags) : NULL;
}

static cosy_cold cosy_task *create_plain_unusually(const struct cosy_site_ *site, cosy_fn_ fn,
                                                   const struct cosy_task_options *options)
{
    struct cosy_task *object = cosy_object_for(site);
    if (object)
        object->start = (void *)(uintptr_t)fn;
    return create_object(object, options, 0);
}

/* The three fast ways call nothing but by a last jump, so that they need not save a register. */
cosy_task *cosy_create_plain_(const struct cosy_site_ *site, cosy_fn_ fn, const struct cosy_task_options *options)
{
    struct cosy_task *me = cosy_thread_.current, *object = cosy_object_pool.free;
    if (unlikely(!is_usual(me)) || unlikely(options || me->context || !object))
        return create_plain_unusually(site, fn, options);
    cosy_object_take(object);
    *cosy_head(object) = COSY_HEAD_NEW;
    object->future.loop = me->future.loop;
    object->parent = me->id;
    object->site = site;
    object->stack_class = COSY_STACK_CLASS_DEFAULT;
    object->start = (void *)(uintptr_t)fn;
    cosy_ready_append(me->future.loop, &object->future.node);
    return object;
}

static cosy_cold cosy_task *create_captured_unusually(const struct cosy_task_options *options)
{
    return create_object(cosy_captured_object(), options, 0);
}

cosy_task *cosy_create_captured_(const struct cosy_task_options *options)
{
    struct cosy_task *me = cosy_thread_.current;
    if (unlikely(!is_usual(me)) || unlikely(me->context != 0) || (options && !only_eager(options)) ||
        unlikely(!cosy_thread_.made))
        return create_captured_unusually(options);
    struct cosy_task *object = cosy_captured_object();
    become_task(object, me, 0);
    if (options) {
        cosy_task_run_eagerly(object);
        return object;
    }
    cosy_ready_append(me->future.loop, &object->future.node);
    return object;
}

static struct cosy_task *take_or_tell(cosy_coro *coro)
{
    int error;
    struct cosy_task *object = cosy_coro_take(coro, &error);
    if (!object) {
        cosy_set_creation_error(error);
        if (error == -COSY_EAWAITED)
            cosy_log(COSY_LOG_ERROR, "cosy: cannot reuse an already awaited coroutine");
    }
    return object;
}

cosy_task *cosy_task_from_(cosy_coro *coro, const struct cosy_task_options *options)
{
    struct cosy_task *me = cosy_thread_.current, *object = take_or_tell(coro);
    if (unlikely(!object || options || !is_usual(me)))
        return create_object(object, options, 0);
    become_task(object, me, 0);
    cosy_ready_append(me->future.loop, &object->future.node);
    return object;
}

int cosy_spawn_(cosy_coro *coro, const struct cosy_task_options *options)
{
    struct cosy_task *me = cosy_thread_.current, *task = take_or_tell(coro);
    if (likely(task && !options && is_usual(me))) {
        become_task(task, me, FLAG_SPAWNED);
        cosy_ready_append(me->future.loop, &task->future.node);
    } else if (!(task = create_object(task, options, FLAG_SPAWNED)))
        return cosy_creation_error();
    cosy_task_unref_inline(task);
    return 0;
}

struct cosy_future *cosy_as_future(int kind, void *what, int *ret_error)
{
    cosy_task *task;
    switch (kind) {
    case COSY_AWAITED_TASK:
    case COSY_AWAITED_FUTURE:
        *ret_error = cosy_creation_error();
        return cosy_future_ref(what);
    case COSY_AWAITED_CORO:
        task = cosy_task_from_(what, NULL);
        *ret_error = task ? 0 : cosy_creation_error();
        return task ? &task->future : NULL;
    default:
        *ret_error = -EINVAL;
        return NULL;
    }
}

/* ---- cancellation ---- */

static cosy_cold void note_canceller(struct cosy_task *task, const char *reason)
{
    struct cosy_task *by = cosy_task_here();
    if (!reason && !by && !task->extra)
        return;
    struct cosy_extra *extra = cosy_extra_of(task);
    if (!extra)
        return;
    extra->canceller = by ? by->id : 0;
    cosy_heap_free(extra->cancel_reason);
    extra->cancel_reason = reason ? cosy_heap_strdup(reason) : NULL;
}

struct cosy_cancel_hooks cosy_cancel_hooks;

/* A cancel that came by before was another one: its words are not this one's. */
static cosy_cold void forget_older_cancel(struct cosy_task *task)
{
    struct cosy_error *error = task->future.error;
    if (!(task->future.node.flags & FLAG_BEGUN) || cosy_error_code(error) != -ECANCELED)
        return; /* until a task has begun, an argument of its call lies in the field */
    task->future.error = NULL;
    cosy_error_drop(error);
}

/* Counts a request. False: there is nothing to deliver now, a shield keeps it. */
static bool note_request(struct cosy_task *task, const char *reason, const void *inside)
{
    note_canceller(task, reason);
    if (unlikely(task->future.error != NULL))
        forget_older_cancel(task);
    if (unlikely(cosy_scope_of(task) != NULL) && cosy_cancel_hooks.hold(task, inside))
        return false;
    if (task->cancels < UINT16_MAX)
        task->cancels++;
    return true;
}

/* The task that a cancel of this one goes on to, as a wait of kind passes_on has it; NULL: it ends here, or comes round
 * to where it was. */
static struct cosy_task *passed_on_to(const struct cosy_task *task)
{
    struct cosy_wait *wait = task->wait;
    struct cosy_future *future = wait && wait->kind->passes_on ? wait->kind->future(wait) : NULL;
    if (!future || !cosy_is_task(future) || cosy_future_is_done(future) || cosy_as_task(future)->in_cancel)
        return NULL;
    return cosy_as_task(future);
}

/* A request that counts already meets the task's wait. */
static void deliver_here(struct cosy_task *task)
{
    struct cosy_wait *wait = task->wait;
    if (!wait || task == cosy_task_here()) {
        cosy_task_must_cancel(task);
        return;
    }
    task->in_cancel = CANCEL_PASSING_ON;
    bool ends = wait->kind->cancel && wait->kind->cancel(wait, task);
    task->in_cancel = 0;
    if (!ends)
        cosy_task_wake(task, -ECANCELED);
}

/* Tasks that wait for each other in a circle: a cancel that is passed on comes back to where it began, and would go
 * round for ever. There it is answered that nothing was cancelled, and waits at both ends of the circle let go of it
 * (await.c). */
static void end_passing_on(struct cosy_task *task)
{
    struct cosy_wait *wait = task->wait;
    if (task->in_cancel == CANCEL_CAME_BACK && wait && !wait->kind->cancel(wait, task))
        cosy_task_wake(task, -ECANCELED);
    task->in_cancel = 0;
}

/* Down the chain of tasks that await each other, by a loop: it may be longer than a stack is deep. */
static void deliver(struct cosy_task *first)
{
    struct cosy_task *last = first, *next;
    bool held = false;
    while (!held && last != cosy_task_here() && (next = passed_on_to(last))) {
        const char *reason = cosy_task_cancel_reason(last);
        last->in_cancel = CANCEL_PASSING_ON;
        held = !note_request(next, *reason ? reason : NULL, NULL);
        last = next;
    }
    if (!held)
        deliver_here(last);
    for (struct cosy_task *task = first; task != last; task = next) {
        next = cosy_as_task(task->wait->kind->future(task->wait));
        end_passing_on(task);
    }
}

bool cosy_task_cancel_within(struct cosy_task *task, const char *reason, const void *inside)
{
    if (!task)
        return false;
    if (cosy_future_is_done(&task->future)) {
        task->future.node.flags |= FLAG_RETRIEVED; /* who cancels does not care how it ended */
        return false;
    }
    if (unlikely(task->in_cancel)) {
        task->in_cancel = CANCEL_CAME_BACK;
        return false;
    }
    if (note_request(task, reason, inside))
        deliver(task);
    return true;
}

void cosy_task_cancel_released(struct cosy_task *task, unsigned count)
{
    task->cancels = (uint16_t)(task->cancels + count < UINT16_MAX ? task->cancels + count : UINT16_MAX);
    deliver(task);
}

bool cosy_task_cancel_with(cosy_task *task, const char *reason) { return cosy_task_cancel_within(task, reason, NULL); }

bool cosy_task_cancel(cosy_task *task) { return cosy_task_cancel_with(task, NULL); }

int cosy_task_cancelling(const cosy_task *task) { return task ? task->cancels : 0; }

int cosy_task_uncancel(cosy_task *task)
{
    if (!task)
        return -EINVAL;
    if (task->cancels == 0 && cosy_scope_of(task))
        cosy_cancel_hooks.take_back(task);
    if (task->cancels > 0 && --task->cancels == 0)
        task->future.node.flags &= (uint16_t)~FLAG_MUST_CANCEL;
    return task->cancels;
}

const char *cosy_task_cancel_reason(const cosy_task *task)
{
    return task && task->extra && task->extra->cancel_reason ? task->extra->cancel_reason : "";
}

/* ---- one task ---- */

cosy_task *cosy_current_task(void) { return cosy_task_here(); }

cosy_task *cosy_task_ref(cosy_task *task)
{
    if (task)
        task->future.node.refs++;
    return task;
}

void cosy_task_drop(cosy_task *task)
{
    if (likely(task != NULL))
        cosy_task_unref_inline(task);
}

bool cosy_task_done(const cosy_task *task) { return task && cosy_future_is_done(&task->future); }
bool cosy_task_cancelled(const cosy_task *task) { return task && task->future.node.state == STATE_CANCELLED; }
int cosy_task_result(cosy_task *task, int64_t *ret_result)
{
    return cosy_future_result(cosy_task_future(task), ret_result);
}
int cosy_task_error(cosy_task *task) { return cosy_future_error(cosy_task_future(task)); }

int cosy_task_add_done_callback(cosy_task *task, cosy_done_callback callback, void *arg, cosy_context *context)
{
    return cosy_future_add_done_callback(cosy_task_future(task), callback, arg, context);
}

/* "Task-7" is only written when somebody asks: into the task's own extra, so that it lives as long. */
const char *cosy_task_name(const cosy_task *task)
{
    char text[32];
    if (!task)
        return "";
    if (task->extra && task->extra->name)
        return task->extra->name;
    snprintf(text, sizeof text, "Task-%llu", (unsigned long long)task->id);
    return cosy_task_set_name((cosy_task *)(uintptr_t)task, text) == 0 ? task->extra->name : "Task";
}

int cosy_task_set_name(cosy_task *task, const char *name)
{
    struct cosy_extra *extra = task && name ? cosy_extra_of(task) : NULL;
    char *copy = extra ? cosy_heap_strdup(name) : NULL;
    if (!copy)
        return task && name ? -ENOMEM : -EINVAL;
    cosy_heap_free(extra->name);
    extra->name = copy;
    return 0;
}

uint64_t cosy_task_id(const cosy_task *task) { return task ? task->id : 0; }
cosy_loop *cosy_task_loop(const cosy_task *task) { return task->future.loop; }
const char *cosy_task_function(const cosy_task *task) { return task->site->name; }
uint64_t cosy_task_parent_id(const cosy_task *task) { return task->parent; }
uint64_t cosy_task_canceller_id(const cosy_task *task)
{
    return task && task->extra ? task->extra->canceller : 0;
}

size_t cosy_task_stack_size(const cosy_task *task) { return cosy_stack_bytes(task->stack_class); }

void cosy_task_site(const cosy_task *task, const char **ret_file, unsigned *ret_line, const char **ret_func)
{
    if (ret_file)
        *ret_file = task->site->file;
    if (ret_line)
        *ret_line = task->site->line;
    if (ret_func)
        *ret_func = task->site->func;
}

/* ---- all tasks ---- */

struct collection {
    struct cosy_loop *loop;
    struct cosy_task **tasks;
    size_t room, count;
};

static void collect(struct cosy_task *object, void *arg)
{
    struct collection *collection = arg;
    if (object->future.node.state != STATE_PENDING || object->future.loop != collection->loop)
        return;
    if (collection->count < collection->room)
        collection->tasks[collection->count] = object;
    collection->count++;
}

static int by_id(const void *a, const void *b)
{
    uint64_t left = (*(struct cosy_task *const *)a)->id, right = (*(struct cosy_task *const *)b)->id;
    return left < right ? -1 : left > right;
}

size_t cosy_all_tasks(cosy_loop *loop, cosy_task **tasks, size_t room)
{
    struct collection collection = {loop ? loop : cosy_thread_.loop, tasks, room, 0};
    if (!collection.loop)
        return 0;
    cosy_objects_walk(collect, &collection);
    size_t written = collection.count < room ? collection.count : room;
    if (written > 1)
        qsort(tasks, written, sizeof(*tasks), by_id);
    return collection.count;
}

/* ---- the loop's turning points ---- */

static void abandon(struct cosy_task *task)
{
    cosy_report(task->future.loop, "Task was destroyed but it is pending", &task->future);
    task->future.node.flags &= (uint16_t)~FLAG_RETRIEVED;
    if (task->future.node.flags & FLAG_BEGUN) {
        cosy_guards_forget(cosy_stack_low(task->stack), cosy_stack_bytes(task->stack_class));
        cosy_stack_give(task->stack, task->stack_class);
    } else
        cosy_capture_discard(task);
    if (task->future.node.flags & FLAG_HOOKED && task->future.node.flags & FLAG_BEGUN)
        cosy_hook_task_ended(task);
    cosy_task_finish(task, -ECANCELED);
}

static void close_object(struct cosy_task *object, void *arg)
{
    struct cosy_loop *loop = arg;
    if (object->future.loop != loop)
        return;
    if (object->future.node.state == STATE_PENDING)
        abandon(object);
    else if (object->future.node.state == STATE_ERROR && !(object->future.node.flags & FLAG_RETRIEVED))
        cosy_report(loop, "Task exception was never retrieved", &object->future);
    else if (object->future.node.state == STATE_CREATED)
        cosy_coro_never_awaited(object);
}

static void stop_waiting(struct cosy_task *object, void *loop)
{
    struct cosy_wait *wait = object->wait;
    if (object->future.loop != loop || object->future.node.state != STATE_PENDING || !wait)
        return;
    object->wait = NULL;
    if (wait->kind->abandon)
        wait->kind->abandon(wait);
}

/* A task that ends must stand on no queue: its memory is used again. */
static void unqueue_tasks(struct cosy_loop *loop)
{
    struct cosy_node_ end = {.kind = COSY_NODE_MARKER}, *node;
    cosy_ready_append(loop, &end);
    while ((node = cosy_ready_take(loop)) != &end)
        if (node->kind > COSY_NODE_TASK_NEW)
            cosy_ready_append(loop, node);
}

/* First nobody waits or is queued any more, so that the end of one task wakes none that ends next. */
void cosy_tasks_close(struct cosy_loop *loop)
{
    unqueue_tasks(loop);
    cosy_objects_walk(stop_waiting, loop);
    cosy_objects_walk(close_object, loop);
    cosy_inner_stacks_close(loop);
}

enum { KEPT_BLOCKS = 4096 };

/* Once a second at most, so that a pause between two bursts costs no page faults in the second one. */
void cosy_tasks_idle(struct cosy_loop *loop)
{
    if (loop->now < loop->next_idle)
        return;
    loop->next_idle = loop->now + COSY_S(1);
    cosy_stacks_idle();
    cosy_capture_pools_trim(KEPT_BLOCKS);
}

/* ---- the loop's stack for deep calls ---- */

static __thread bool roomy_in_use; /* fn may come back here: its frames must not be overwritten */

void cosy_on_big_stack(void (*fn)(void *arg), void *arg)
{
    struct cosy_task *me = cosy_task_here();
    if (!me || roomy_in_use || cosy_hooks_wanted() || me->stack_class > COSY_STACK_CLASS_DEFAULT) {
        fn(arg);
        return;
    }
    /* Below what the loop has saved there, past the red zone. */
    uintptr_t top = ((uintptr_t)cosy_roomy_sp(me->future.loop) - 256) & ~(uintptr_t)63;
    roomy_in_use = true;
    cosy_switch_hop(fn, arg, (void *)top);
    roomy_in_use = false;
}
