/* coro.c - coroutines driven by hand, and what can be asked of any coroutine. */
#include <stdio.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/arch/switch.h"
#include "capture.h"
#include "stack.h"
#include "unwind.h"

static __thread struct cosy_driver *thread_driver; /* the innermost coroutine driven outside tasks */

/* The object behind a handle that is not used up. */
static struct cosy_task *live_object(const struct cosy_coro *coro)
{
    int error;
    if (!coro)
        return NULL;
    struct cosy_task *object = (struct cosy_task *)((uintptr_t)coro & ~(sizeof(struct cosy_task) - 1));
    if (object->future.node.state == STATE_DRIVEN && (uintptr_t)coro % sizeof *object == object->id % sizeof *object)
        return object;
    return cosy_coro_take((struct cosy_coro *)(uintptr_t)coro, &error);
}

static struct cosy_driver *driver_of(const struct cosy_task *object)
{
    return object->extra ? object->extra->driver : NULL;
}

static struct cosy_driver **innermost(void)
{
    struct cosy_task *me = cosy_task_here();
    if (!me)
        return &thread_driver;
    struct cosy_extra *extra = cosy_extra_of(me);
    return extra ? &extra->driver : NULL;
}

static struct cosy_stack_view *view_below(struct cosy_driver *driver)
{
    struct cosy_task *me = cosy_task_here();
    struct cosy_stack_view *view = driver->outer ? &driver->outer->view : me ? &me->extra->view : cosy_view_of_thread();
    return cosy_view_innermost(view);
}

/* ---- driving ---- */

static cosy_uncounted void *coro_main(void *arg)
{
    struct cosy_driver *driver = arg;
    bool watched = cosy_hooks_wanted();
    if (watched)
        cosy_view_arrived(&driver->view);
    driver->value = cosy_capture_call(driver->object, driver->object->start);
    driver->finished = true;
    if (watched)
        cosy_view_leave(&driver->view, view_below(driver), true);
    return driver->driver_sp;
}

/* Lets the coroutine run until it suspends or returns. */
static void switch_in(struct cosy_driver *driver, struct cosy_driver **chain)
{
    bool watched = cosy_hooks_wanted(), first = !driver->coro_sp;
    struct cosy_task *making = cosy_thread_.making;
    cosy_thread_.making = driver->making;
    driver->outer = *chain;
    driver->running = true;
    if (watched)
        cosy_view_leave(view_below(driver), cosy_view_innermost(&driver->view), false);
    *chain = driver;
    if (first)
        cosy_switch_start(&driver->driver_sp, cosy_stack_top(driver->stack, driver->object->stack_class), coro_main,
                          driver);
    else
        cosy_switch(&driver->driver_sp, driver->coro_sp);
    /* The coroutine may have made the chain's home while it waited, but never moved it. */
    *chain = driver->outer;
    if (watched)
        cosy_view_arrived(view_below(driver));
    if (driver->finished)
        cosy_making_drop_until(NULL);
    driver->making = cosy_thread_.making;
    cosy_thread_.making = making;
    driver->running = false;
}

static int open_driver(struct cosy_task *object)
{
    struct cosy_extra *extra = cosy_extra_of(object);
    struct cosy_driver *driver = extra ? cosy_heap_zalloc(sizeof *driver) : NULL;
    char *stack = driver ? cosy_stack_take(object->stack_class) : NULL;
    if (!stack) {
        cosy_heap_free(driver);
        return -ENOMEM;
    }
    driver->object = object;
    driver->stack = stack;
    if (cosy_hooks_wanted())
        cosy_view_open(&driver->view, cosy_stack_low(stack), cosy_stack_bytes(object->stack_class));
    extra->driver = driver;
    object->future.node.state = STATE_DRIVEN;
    return 0;
}

static void close_driver(struct cosy_task *object)
{
    struct cosy_driver *driver = driver_of(object);
    if (!driver)
        return;
    if (cosy_hooks_wanted())
        cosy_view_close(&driver->view);
    cosy_stack_give(driver->stack, object->stack_class);
    cosy_heap_free(driver);
    object->extra->driver = NULL;
}

/* One step; the object is freed when it was the last. */
static int step(struct cosy_task *object, int64_t value, int injected, int64_t *ret_value)
{
    struct cosy_driver **chain = innermost();
    if (!chain)
        return -ENOMEM;
    if (!driver_of(object)) {
        int bad = open_driver(object);
        if (bad < 0)
            return bad;
    }
    struct cosy_driver *driver = driver_of(object);
    driver->value = value;
    driver->injected = injected;
    switch_in(driver, chain);
    if (ret_value)
        *ret_value = driver->value;
    if (!driver->finished)
        return COSY_YIELDED;
    if (driver->value < 0)
        cosy_error_changes_stack(driver->value);
    close_driver(object);
    object->future.node.state = STATE_CLOSED;
    cosy_task_unref(object);
    return COSY_RETURNED;
}

static bool is_running(const struct cosy_task *object)
{
    struct cosy_driver *driver = driver_of(object);
    return object->future.node.flags & FLAG_INLINE || (driver && driver->running);
}

int cosy_coro_send(cosy_coro *coro, int64_t value, int64_t *ret_value)
{
    struct cosy_task *object = live_object(coro);
    if (!object)
        return coro ? cosy_fail(COSY_EAWAITED, "cannot resume a coroutine that is finished or was taken")
                    : cosy_creation_error();
    if (is_running(object))
        return cosy_fail(COSY_ERUNNING, "coroutine '%s' is running already", object->site->name);
    if (object->future.node.state == STATE_CREATED && value != 0)
        return cosy_fail(EINVAL, "cannot send a value to coroutine '%s' that has not begun", object->site->name);
    return step(object, value, 0, ret_value);
}

int cosy_coro_throw(cosy_coro *coro, int code, int64_t *ret_value)
{
    struct cosy_task *object = live_object(coro);
    int negative = code > 0 ? -code : code;
    if (!object)
        return coro ? -COSY_EAWAITED : cosy_creation_error();
    if (negative == 0)
        return -EINVAL;
    if (is_running(object))
        return cosy_fail(COSY_ERUNNING, "coroutine '%s' is running already", object->site->name);
    if (object->future.node.state == STATE_DRIVEN)
        return step(object, 0, negative, ret_value);
    cosy_capture_discard(object);
    object->future.node.state = STATE_CLOSED;
    cosy_task_unref(object);
    if (ret_value)
        *ret_value = negative;
    return COSY_RETURNED;
}

int cosy_coro_close(cosy_coro *coro)
{
    struct cosy_task *object = live_object(coro);
    if (!object)
        return 0;
    if (is_running(object))
        return -COSY_ERUNNING;
    if (object->future.node.state == STATE_CREATED) {
        cosy_capture_discard(object);
        object->future.node.state = STATE_CLOSED;
        cosy_task_unref(object);
        return 0;
    }
    int result = step(object, 0, -COSY_EGENEXIT, NULL);
    if (result != COSY_YIELDED)
        return result < 0 ? result : 0;
    const char *name = object->site->name;
    cosy_guards_forget(cosy_stack_low(driver_of(object)->stack), cosy_stack_bytes(object->stack_class));
    close_driver(object);
    object->future.node.state = STATE_CLOSED;
    cosy_task_unref(object);
    return cosy_fail(COSY_EIGNOREDCLOSE, "coroutine '%s' suspended while it was being closed", name);
}

int cosy_suspend(int64_t value, int64_t *ret_sent)
{
    struct cosy_driver **chain = innermost();
    struct cosy_driver *driver = chain ? *chain : NULL;
    if (!driver) {
        cosy_log(COSY_LOG_ERROR, "cosy: cosy_suspend was called outside a coroutine that is driven by hand");
        return -COSY_ENOTASK;
    }
    bool watched = cosy_hooks_wanted();
    driver->value = value;
    if (watched)
        cosy_view_leave(cosy_view_innermost(&driver->view), view_below(driver), false);
    cosy_switch(&driver->coro_sp, driver->driver_sp);
    if (watched)
        cosy_view_arrived(cosy_view_innermost(&driver->view));
    if (ret_sent)
        *ret_sent = driver->value;
    int injected = driver->injected;
    driver->injected = 0;
    return injected;
}

/* ---- what can be asked ---- */

static enum cosy_coro_state state_of(const struct cosy_task *object)
{
    switch (object->future.node.state) {
    case STATE_CREATED:
        return COSY_CORO_CREATED;
    case STATE_DRIVEN:
        return is_running(object) ? COSY_CORO_RUNNING : COSY_CORO_SUSPENDED;
    case STATE_PENDING:
        if (object == cosy_task_here())
            return COSY_CORO_RUNNING;
        return object->future.node.flags & FLAG_BEGUN ? COSY_CORO_SUSPENDED : COSY_CORO_CREATED;
    default:
        return COSY_CORO_CLOSED;
    }
}

static size_t bytes_of(const struct cosy_task *object)
{
    unsigned flags = object->future.node.flags;
    size_t bytes = sizeof *object + (object->extra ? sizeof *object->extra : 0);
    if (flags & FLAG_BEGUN || driver_of(object))
        bytes += cosy_stack_bytes(object->stack_class);
    return bytes + cosy_capture_bytes(cosy_capture_kind(flags));
}

static void fill_info(const struct cosy_task *object, struct cosy_coro_info *info)
{
    struct cosy_wait *wait = object->wait;
    *info = (struct cosy_coro_info){
        .state = state_of(object),
        .name = object->site->name,
        .file = object->site->file,
        .func = object->site->func,
        .line = object->site->line,
        .bytes = bytes_of(object),
        .awaiting = wait && wait->kind->future ? wait->kind->future(wait) : NULL,
    };
}

int cosy_coro_info(const cosy_coro *coro, struct cosy_coro_info *ret_info)
{
    struct cosy_task *object = live_object(coro);
    if (!ret_info)
        return -EINVAL;
    *ret_info = (struct cosy_coro_info){.state = COSY_CORO_CLOSED, .name = "", .file = "", .func = ""};
    if (!object)
        return coro ? -COSY_EAWAITED : -EINVAL;
    fill_info(object, ret_info);
    return 0;
}

int cosy_task_info(const cosy_task *task, struct cosy_coro_info *ret_info)
{
    if (!task || !ret_info)
        return -EINVAL;
    fill_info(task, ret_info);
    return 0;
}

int cosy_coro_repr(const cosy_coro *coro, char *text, size_t size)
{
    static const char *const states[] = {"created", "suspended", "running", "closed"};
    struct cosy_coro_info info;
    if (cosy_coro_info(coro, &info) < 0)
        return snprintf(text, size, "<coroutine closed>");
    return snprintf(text, size, "<coroutine %s %s, created at %s:%u in %s>", info.name, states[info.state], info.file,
                    info.line, info.func);
}

cosy_weak cosy_coro_weak(const cosy_coro *coro)
{
    struct cosy_task *object = live_object(coro);
    return (cosy_weak){object, object ? object->id : 0};
}

cosy_coro *cosy_weak_coro(cosy_weak weak)
{
    const struct cosy_task *object = weak.object;
    if (!object || object->id != weak.id ||
        (object->future.node.state != STATE_CREATED && object->future.node.state != STATE_DRIVEN))
        return NULL;
    return (cosy_coro *)(uintptr_t)((uintptr_t)object + object->id % sizeof *object);
}

/* ---- origins ---- */

__thread int cosy_origin_depth;

int cosy_set_coroutine_origin_tracking_depth(int depth)
{
    int old = cosy_origin_depth;
    cosy_origin_depth = depth > 0 ? depth : 0;
    if (depth > 0 && cosy_thread_.loop)
        cosy_thread_.loop->watched = true;
    return old;
}

enum { ORIGIN_FRAMES = 16 };

static void write_origin(void *arg)
{
    struct cosy_task *object = arg;
    struct cosy_frame frames[ORIGIN_FRAMES];
    int depth = cosy_origin_depth < ORIGIN_FRAMES ? cosy_origin_depth : ORIGIN_FRAMES;
    char text[ORIGIN_FRAMES * 100];
    size_t size = 0;
    text[0] = '\0';
    int count = cosy_unwind_here(frames, depth);
    for (int i = 0; i < count && size < sizeof text; i++) {
        int n = snprintf(text + size, sizeof text - size, "    %s:%d in %s\n", frames[i].file, frames[i].line,
                         frames[i].function);
        size += n > 0 ? (size_t)n : 0;
    }
    struct cosy_extra *extra = cosy_extra_of(object);
    if (extra)
        extra->origin = cosy_heap_strdup(text);
}

/* Runs on the maker's own stack, whose frames it tells: origin tracking is for roomy stacks. */
void cosy_record_origin(struct cosy_task *object) { write_origin(object); }

const char *cosy_coro_origin(const cosy_coro *coro)
{
    struct cosy_task *object = live_object(coro);
    return object && object->extra && object->extra->origin ? object->extra->origin : "";
}

void cosy_coro_never_awaited(struct cosy_task *object)
{
    const char *origin = object->extra && object->extra->origin ? object->extra->origin : "";
    size_t length = strlen(origin); /* each line of it ends with a newline; a message does not */
    cosy_log(COSY_LOG_WARNING, "cosy: coroutine '%s' was never awaited, created at %s:%u in %s%s%.*s",
             object->site->name, object->site->file, object->site->line, object->site->func,
             length ? "\n  Coroutine created at\n" : "", length ? (int)length - 1 : 0, origin);
    cosy_capture_discard(object);
    cosy_task_unref(object);
}
