/* error.c - errors with a message and an async traceback.
 *
 * A record belongs to the task, or thread, in which its error passes. Each cosy_try that passes it on adds its place.
 * When a task awaits a failed one, it gets a record of its own whose `cause` is the failed task's: the story is the
 * chain, innermost last.
 *
 * An old record must not lend its message to a new error of the same number. Passing on goes strictly outwards, towards
 * higher stack addresses; a place that lies deeper than the last one noted therefore belongs to another error and
 * begins a new record.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "task.h"

enum { PLACES = 16 };

struct cosy_error {
    uint32_t refs;
    int code; /* negative */
    char *message;
    struct cosy_error *cause;
    char *task;          /* of the cause: "task 'x' (fn), created at f.c:1 in g" */
    uint64_t stack;      /* which stack the places lie on: the task's id, 0 outside */
    uintptr_t outermost; /* frame address of the last place noted */
    uint32_t count, dropped;
    const struct cosy_place_ *places[PLACES]; /* innermost first */
};

static __thread struct cosy_error *thread_error;

struct cosy_error **cosy_error_here(void)
{
    struct cosy_task *me = cosy_task_here();
    return me ? &me->future.error : &thread_error;
}

struct cosy_error *cosy_error_ref(struct cosy_error *error)
{
    if (error)
        error->refs++;
    return error;
}

void cosy_error_drop(struct cosy_error *error)
{
    while (error && --error->refs == 0) {
        struct cosy_error *cause = error->cause;
        cosy_heap_free(error->message);
        cosy_heap_free(error->task);
        cosy_heap_free(error);
        error = cause;
    }
}

int cosy_error_code(const struct cosy_error *error)
{
    return error->code;
}
const char *cosy_error_text(const struct cosy_error *error)
{
    return error->message ? error->message : "";
}

struct cosy_error *cosy_error_new(int code, const char *message)
{
    struct cosy_error *error = cosy_heap_zalloc(sizeof *error);
    if (!error)
        return NULL;
    error->refs = 1;
    error->code = code;
    error->message = message ? cosy_heap_strdup(message) : NULL;
    return error;
}

static struct cosy_error *replace_here(struct cosy_error *error)
{
    struct cosy_error **here = cosy_error_here();
    struct cosy_task *me = cosy_task_here();
    cosy_error_drop(*here);
    *here = error;
    if (error)
        error->stack = me ? me->id : 0;
    if (error && !me)
        cosy_thread_end_watch();
    return error;
}

static void note_place(struct cosy_error *error, const struct cosy_place_ *place, uintptr_t frame)
{
    if (!place)
        return;
    if (error->count < PLACES)
        error->places[error->count++] = place;
    else
        error->dropped++;
    error->outermost = frame;
}

int cosy_fail_(const struct cosy_place_ *place, int code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int negative = code > 0 ? -code : code;
    struct cosy_error *error = replace_here(cosy_error_new(negative, text));
    if (error)
        note_place(error, place, (uintptr_t)__builtin_frame_address(0));
    return negative;
}

static int pass_on(const struct cosy_place_ *place, int code, uintptr_t frame)
{
    struct cosy_error *error = *cosy_error_here();
    struct cosy_task *me = cosy_task_here();
    bool passes = error && error->code == code && error->stack == (me ? me->id : 0) && error->refs == 1 &&
                  (error->outermost == 0 || frame >= error->outermost);
    if (!passes)
        error = replace_here(cosy_error_new(code, NULL));
    if (error)
        note_place(error, place, frame);
    return code;
}

int cosy_traced_(const struct cosy_place_ *place, int code)
{
    return pass_on(place, code, (uintptr_t)__builtin_frame_address(0));
}

/* ---- blocks that want to know the code with which cosy_try leaves them ---- */

enum { GUARD_BUCKETS = 64 };
static __thread struct cosy_guard_ *guards[GUARD_BUCKETS]; /* by frame; those that are open */

static struct cosy_guard_ **bucket_of(const void *frame)
{
    uintptr_t bits = (uintptr_t)frame >> 4;
    return &guards[(bits ^ bits >> 6 ^ bits >> 12) % GUARD_BUCKETS];
}

void cosy_guard_open(struct cosy_guard_ *guard)
{
    struct cosy_guard_ **first = bucket_of(guard->frame);
    guard->code = 0;
    guard->next = *first;
    guard->place = first;
    if (guard->next)
        guard->next->place = &guard->next;
    *first = guard;
}

void cosy_guard_close(struct cosy_guard_ *guard)
{
    *guard->place = guard->next;
    if (guard->next)
        guard->next->place = guard->place;
}

void cosy_guards_forget(const char *low, size_t bytes)
{
    for (size_t i = 0; i < COUNT_OF(guards); i++)
        for (struct cosy_guard_ *guard = guards[i], *next; guard; guard = next) {
            next = guard->next;
            if ((uintptr_t)guard->frame - (uintptr_t)low < bytes)
                cosy_guard_close(guard);
        }
}

/* The blocks of the calling function, innermost first, as they will be left.
 *
 * Frames of all tasks lie at different places. A function with a guard has a frame pointer; that of one without may be
 * its caller's, whose name is another. */
int cosy_left_(const struct cosy_place_ *place, int code)
{
    void *const *frame = __builtin_frame_address(0);
    int taken_back = 0;
    for (struct cosy_guard_ *guard = *bucket_of(*frame); guard; guard = guard->next)
        if (guard->frame == *frame && place && guard->func == place->func) {
            if (guard->leave)
                code = guard->leave(guard, code, &taken_back);
            guard->code = code;
        }
    return pass_on(place, code, (uintptr_t)frame);
}

static char *describe_task(struct cosy_future *future)
{
    char text[400];
    if (!cosy_is_task(future))
        return cosy_heap_strdup("a future");
    struct cosy_task *task = cosy_as_task(future);
    snprintf(text, sizeof text, "task '%s' (%s), created at %s:%u in %s", cosy_task_name(task), task->site->name,
             task->site->file, task->site->line, task->site->func);
    return cosy_heap_strdup(text);
}

const char *cosy_future_words(const struct cosy_future *future)
{
    const char *words = future->error ? cosy_error_text(future->error) : "";
    if (*words || future->node.state != STATE_CANCELLED || !cosy_is_task(future))
        return words;
    return cosy_task_cancel_reason((const struct cosy_task *)(const void *)future);
}

void cosy_error_inherit(int code, struct cosy_future *from)
{
    struct cosy_error *error = cosy_error_new(code, cosy_future_words(from));
    if (!error)
        return;
    error->cause = cosy_error_ref(from->error);
    error->task = describe_task(from);
    replace_here(error);
}

void cosy_error_forget(int code)
{
    struct cosy_error *error = *cosy_error_here();
    if (error && error->code == code)
        replace_here(NULL);
}

struct cosy_error *cosy_error_take(int code)
{
    struct cosy_error **here = cosy_error_here(), *error = *here;
    *here = NULL;
    if (error && error->code != code) {
        cosy_error_drop(error);
        error = NULL;
    }
    return error;
}

struct cosy_error *cosy_error_told_by(int code, struct cosy_error *cause, const char *who)
{
    struct cosy_error *error = cosy_error_new(code, cause ? cause->message : NULL);
    if (!error) {
        cosy_error_drop(cause);
        return NULL;
    }
    error->cause = cause;
    error->task = cosy_heap_strdup(who);
    return error;
}

void cosy_error_adopt(struct cosy_task *task, struct cosy_error *error)
{
    struct cosy_error **place = task ? &task->future.error : &thread_error;
    if (!error)
        return;
    cosy_error_drop(*place);
    *place = error;
    error->stack = task ? task->id : 0;
    if (!task)
        cosy_thread_end_watch();
}

void cosy_error_changes_stack(int64_t code)
{
    struct cosy_error *error = *cosy_error_here();
    if (error && error->code == code)
        error->outermost = 0;
}

const char *cosy_error_message(int code)
{
    struct cosy_error *error = *cosy_error_here();
    return error && error->code == code ? cosy_error_text(error) : "";
}

/* ---- the story ---- */

static void tell_places(FILE *out, const struct cosy_error *error)
{
    if (error->dropped)
        fprintf(out, "    ... %u more\n", error->dropped);
    for (uint32_t i = error->count; i-- > 0;)
        fprintf(out, "    %s:%u in %s\n", error->places[i]->file, error->places[i]->line, error->places[i]->func);
}

/* Outermost first, as Python's "most recent call last". */
static void tell_chain(FILE *out, const struct cosy_error *error)
{
    for (; error; error = error->cause) {
        tell_places(out, error);
        if (!error->task)
            return;
        fprintf(out, "  %s\n", error->task);
    }
}

static void tell_story(FILE *out, const struct cosy_error *error, int code, struct cosy_task *task)
{
    if (error && (error->count > 0 || error->task || task))
        fprintf(out, "Async traceback (most recent call last):\n");
    if (task) {
        char *description = describe_task(&task->future);
        fprintf(out, "  %s\n", description ? description : "a task");
        cosy_heap_free(description);
    }
    if (error)
        tell_chain(out, error);
    const char *message = error ? cosy_error_text(error) : "";
    fprintf(out, "%s: %s", cosy_errname(code), *message ? message : cosy_strerror(code));
}

char *cosy_error_story(const struct cosy_error *error, int code, struct cosy_task *task)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    tell_story(out, error && cosy_error_code(error) == code ? error : NULL, code, task);
    fclose(out);
    return text;
}

struct print_request {
    FILE *stream;
    int code;
    const struct cosy_error *error;
};

static void print_story(void *arg)
{
    struct print_request *request = arg;
    tell_story(request->stream, request->error, request->code, NULL);
    fputc('\n', request->stream);
}

void cosy_print_error(FILE *stream, int code)
{
    struct cosy_error *error = *cosy_error_here();
    struct print_request request = {stream, code, error && error->code == code ? error : NULL};
    cosy_on_big_stack(print_story, &request);
}

static char *describe_indented(struct cosy_future *future)
{
    char text[420];
    char *description = describe_task(future);
    snprintf(text, sizeof text, "  %s", description ? description : "a task");
    cosy_heap_free(description);
    return cosy_heap_strdup(text);
}

struct report_request {
    struct cosy_loop *loop;
    const char *message;
    struct cosy_future *future;
};

static void report(void *arg)
{
    struct report_request *request = arg;
    struct cosy_future *future = request->future;
    struct cosy_task *task = cosy_is_task(future) ? cosy_as_task(future) : NULL;
    int code = future->node.state == STATE_ERROR ? (int)future->result : 0;
    char *story = code ? cosy_error_story(future->error, code, task) : task ? describe_indented(future) : NULL;
    char headline[300];
    snprintf(headline, sizeof headline, "cosy: %s%s%s", request->message, task ? ": task " : "",
             task ? cosy_task_name(task) : "");
    struct cosy_exception_context context = {
        .message = headline, .error = code, .detail = story, .task = task, .future = future};
    cosy_loop_call_exception_handler(request->loop, &context);
    cosy_heap_free(story);
}

void cosy_report(struct cosy_loop *loop, const char *message, struct cosy_future *future)
{
    struct report_request request = {loop, message, future};
    future->node.flags |= FLAG_RETRIEVED;
    future->node.refs++;
    cosy_on_big_stack(report, &request);
    future->node.refs--;
}

void cosy_error_thread_end(void)
{
    cosy_error_drop(thread_error);
    thread_error = NULL;
}
