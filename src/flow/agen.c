/* agen.c - async generators: steps into a body on a stack of its own, and out of it.
 *
 * A step costs two switches. Whoever leaves a stack does what is to be done for the one that he goes to, and leaves by
 * a last call, so that on both sides the switch goes on straight in the program's own code (sys/arch/switch.h).
 */
#include "agen.h"

#include <stdio.h>
#include <string.h>

#include <cosy/log.h>
#include <cosy/loop.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../sys/arch/switch.h"
#include "../task/capture.h"
#include "../task/stack.h"

static struct cosy_agen *of_emitter(struct cosy_emitting_ *emitting)
{
    return container_of(emitting, struct cosy_agen, emitting);
}

/* ---- making ---- */

cosy_agen *cosy_agen_captured_(bool owned)
{
    struct cosy_task *object = cosy_captured_object();
    struct cosy_agen *gen = object ? cosy_heap_zalloc(sizeof *gen) : NULL;
    if (!gen) {
        cosy_set_creation_error(-ENOMEM);
        if (object) {
            cosy_capture_discard(object);
            cosy_task_unref(object);
        }
        return NULL;
    }
    cosy_capture_set_first(object, &gen->emitting);
    object->future.node.state = STATE_DRIVEN; /* one that never begins is no mistake */
    gen->object = object;
    gen->site = object->site;
    gen->owned = owned;
    gen->refs = 1;
    return gen;
}

void cosy_agen_unref(struct cosy_agen *gen)
{
    if (--gen->refs == 0)
        cosy_heap_free(gen);
}

/* ---- the end of a body ---- */

/* Off the list, and without a body. */
void cosy_agen_close_object(struct cosy_agen *gen)
{
    struct cosy_inner_stack *inner = &gen->inner;
    if (gen->state != AGEN_CREATED) {
        *inner->place = inner->next;
        if (inner->next)
            inner->next->place = inner->place;
    }
    gen->object->future.node.state = STATE_CLOSED;
    cosy_task_unref(gen->object);
    gen->object = NULL;
    gen->state = AGEN_CLOSED;
    gen->plain = false;
}

/* What a finished body means to its consumer. */
static int meaning_of(struct cosy_agen *gen, int64_t result)
{
    if (gen->ignored)
        return cosy_fail(COSY_EIGNOREDCLOSE, "async generator '%s' emitted while it was being closed", gen->site->name);
    if (result == -COSY_ESTOPITER)
        return cosy_fail(COSY_EINVALIDSTATE,
                         "async generator '%s' returned -COSY_ESTOPITER, which is not for its body to return",
                         gen->site->name);
    if (result >= 0 || (gen->closing && result == -COSY_EGENEXIT))
        return -COSY_ESTOPITER;
    cosy_error_changes_stack(result);
    return result < INT32_MIN ? -EOVERFLOW : (int)result;
}

void cosy_agen_leave_stack(struct cosy_agen *gen)
{
    if (gen->watched)
        cosy_view_close(&gen->inner.view);
    cosy_stack_give(gen->inner.stack, gen->inner.stack_class);
}

/* The last act on its stack, which goes back to the pool: nothing takes it from there before the switch. */
static _Noreturn void body_ends(struct cosy_agen *gen, int64_t result)
{
    static __thread void *dead; /* no local: ASan's frames of this stack are gone by then */
    void *outer_sp = gen->inner.outer_sp;
    int outcome = gen->outcome = meaning_of(gen, result);
    cosy_stack_check(gen->object);
    cosy_making_drop_until(NULL);
    cosy_thread_.making = gen->outer_making;
    gen->inner.task = NULL;
    cosy_agen_close_object(gen);
    if (gen->watched)
        cosy_view_leave(&gen->inner.view, gen->outer_view, true);
    else
        cosy_agen_leave_stack(gen);
    if (gen->dropped)
        cosy_agen_unref(gen);
    cosy_switch_with_int(&dead, outer_sp, outcome);
    __builtin_unreachable();
}

static cosy_uncounted void *body(void *arg)
{
    struct cosy_agen *gen = arg;
    struct cosy_task *object = gen->object;
    void *start = object->start;
    object->stack = gen->inner.stack; /* in the place of start: for the check of its canary */
    if (gen->watched)
        cosy_view_arrived(&gen->inner.view);
    body_ends(gen, cosy_capture_call(object, start));
}

/* ---- a step ---- */

static inline void enter(struct cosy_agen *gen, struct cosy_task *me, void *item, uint32_t type)
{
    gen->emitting.slot_ = item;
    gen->emitting.type_ = type;
    gen->state = AGEN_RUNNING;
    gen->plain = false;
    gen->inner.task = me;
    gen->outer_making = cosy_thread_.making;
    cosy_thread_.making = gen->making;
}

static int end_of_step(struct cosy_agen *gen)
{
    int outcome = gen->outcome;
    cosy_agen_unref(gen);
    return outcome;
}

/* Tools are told on both sides, so these steps come back to here. */
static cosy_cold int step_watched(struct cosy_agen *gen, struct cosy_task *me, int thrown, bool first)
{
    struct cosy_stack_view *view = cosy_view_here(me);
    gen->outer_view = view;
    cosy_agen_ref(gen); /* it may be dropped meanwhile */
    cosy_view_leave(view, &gen->inner.view, false);
    view->inner = &gen->inner.view;
    if (first)
        cosy_switch_start(&gen->inner.outer_sp, cosy_stack_top(gen->inner.stack, gen->inner.stack_class), body, gen);
    else
        cosy_switch_with_int(&gen->inner.outer_sp, gen->inner.sp, thrown);
    view->inner = NULL;
    cosy_view_arrived(view);
    if (gen->state == AGEN_CLOSED)
        cosy_agen_leave_stack(gen);
    return end_of_step(gen);
}

static int begin(struct cosy_agen *gen, struct cosy_task *me, void *item, uint32_t type)
{
    struct cosy_inner_stack *inner = &gen->inner;
    struct cosy_loop *loop = me->future.loop;
    if (loop->generators_closed)
        cosy_log(COSY_LOG_WARNING,
                 "cosy: async generator '%s' (created at %s:%u) was begun after cosy_shutdown_asyncgens",
                 gen->site->name, gen->site->file, gen->site->line);
    uint8_t stack_class = gen->object->stack_class;
    char *stack = cosy_stack_take(stack_class);
    if (!stack)
        return cosy_fail(ENOMEM, "%s", cosy_stack_error());
    *inner = (struct cosy_inner_stack){.stack = stack,
                                       .stack_class = stack_class,
                                       .loop = loop,
                                       .next = cosy_inner_stacks,
                                       .place = &cosy_inner_stacks,
                                       .abandon = cosy_agen_abandon};
    if (inner->next)
        inner->next->place = &inner->next;
    cosy_inner_stacks = inner;
    gen->watched = cosy_hooks_wanted();
    gen->outcome = 0;
    enter(gen, me, item, type);
    if (gen->watched) {
        cosy_view_open(&inner->view, cosy_stack_low(stack), cosy_stack_bytes(stack_class));
        return step_watched(gen, me, 0, true);
    }
    cosy_agen_ref(gen);
    cosy_switch_start(&inner->outer_sp, cosy_stack_top(stack, stack_class), body, gen);
    return end_of_step(gen);
}

static inline int step(struct cosy_agen *gen, struct cosy_task *me, int thrown, void *item, uint32_t type)
{
    enter(gen, me, item, type);
    if (unlikely(gen->watched))
        return step_watched(gen, me, thrown, false);
    return cosy_switch_with_int(&gen->inner.outer_sp, gen->inner.sp, thrown);
}

/* What forbids a step: 0, or the error. */
static cosy_cold int refusal(struct cosy_agen *gen, struct cosy_task *me, const char *what)
{
    if (!gen)
        return cosy_creation_error();
    if (!me) {
        (void)cosy_task_or_complain(what);
        return -COSY_ENOTASK;
    }
    if (gen->state == AGEN_RUNNING)
        return cosy_fail(COSY_ERUNNING, "%s: async generator '%s' is already running", what, gen->site->name);
    if (gen->state == AGEN_SUSPENDED && gen->inner.loop != me->future.loop)
        return cosy_fail(COSY_EOTHERLOOP, "%s: async generator '%s' is attached to a different loop", what,
                         gen->site->name);
    return 0;
}

static cosy_cold int next_unusually(struct cosy_agen *gen, struct cosy_task *me, void *item, uint32_t type,
                                    const char *what)
{
    int refused = refusal(gen, me, what);
    if (refused < 0)
        return refused;
    if (gen->state == AGEN_CLOSED)
        return -COSY_ESTOPITER;
    return gen->state == AGEN_CREATED ? begin(gen, me, item, type) : step(gen, me, 0, item, type);
}

int cosy_anext_(cosy_agen *gen, void *item, uint32_t type)
{
    struct cosy_task *me = cosy_task_here();
    if (unlikely(!gen || !me) || unlikely(!gen->plain) || unlikely(gen->inner.loop != me->future.loop))
        return next_unusually(gen, me, item, type, "cosy_anext");
    enter(gen, me, item, type);
    return cosy_switch_with_int(&gen->inner.outer_sp, gen->inner.sp, 0);
}

enum { TYPE_POINTER = sizeof(void *) * 32 + 16, TYPE_TEXT = TYPE_POINTER };

static bool is_none(const void *value, uint32_t type)
{
    return type == TYPE_POINTER && !*(void *const *)value;
}

int cosy_asend_(cosy_agen *gen, const void *value, uint32_t sent, void *item, uint32_t type)
{
    struct cosy_task *me = cosy_task_here();
    bool none = is_none(value, sent);
    if (gen && !none && gen->state == AGEN_CREATED)
        return cosy_fail(EINVAL, "cosy_asend: cannot send a value to async generator '%s' that has not begun",
                         gen->site->name);
    if (gen && gen->state == AGEN_SUSPENDED) {
        gen->sent = none ? NULL : value;
        gen->sent_type = sent;
    }
    return next_unusually(gen, me, item, type, "cosy_asend");
}

static void close_unbegun(struct cosy_agen *gen)
{
    cosy_capture_discard(gen->object);
    cosy_agen_close_object(gen);
}

int cosy_athrow_(cosy_agen *gen, int code, void *item, uint32_t type)
{
    struct cosy_task *me = cosy_task_here();
    int negative = code > 0 ? -code : code, refused = refusal(gen, me, "cosy_athrow");
    if (refused < 0)
        return refused;
    if (negative == 0)
        return cosy_fail(EINVAL, "cosy_athrow: 0 is no error");
    if (gen->state == AGEN_CLOSED)
        return -COSY_ESTOPITER;
    if (gen->state == AGEN_CREATED) {
        close_unbegun(gen);
        return negative;
    }
    cosy_error_changes_stack(negative);
    return step(gen, me, negative, item, type);
}

int cosy_aclose(cosy_agen *gen)
{
    if (!gen || gen->state == AGEN_CLOSED)
        return 0;
    if (gen->state == AGEN_CREATED) {
        close_unbegun(gen);
        return 0;
    }
    struct cosy_task *me = cosy_task_here();
    int refused = refusal(gen, me, "cosy_aclose");
    if (refused < 0)
        return refused;
    gen->closing = true;
    int result = step(gen, me, -COSY_EGENEXIT, NULL, 0);
    return result == -COSY_ESTOPITER ? 0 : result;
}

/* ---- inside the body ---- */

/* Only the body's own stack can be left for the consumer's. */
static inline bool is_on_its_stack(const struct cosy_agen *gen)
{
    uintptr_t into = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)cosy_stack_low(gen->inner.stack);
    return gen->state == AGEN_RUNNING && into < cosy_stack_bytes(gen->inner.stack_class);
}

static inline void leave(struct cosy_agen *gen)
{
    gen->inner.task = NULL;
    gen->sent = NULL; /* it lies in the frame of the call that ends now */
    gen->making = cosy_thread_.making;
    cosy_thread_.making = gen->outer_making;
    gen->state = AGEN_SUSPENDED;
}

static cosy_cold int emit_watched(struct cosy_agen *gen)
{
    leave(gen);
    gen->outcome = 0;
    cosy_view_leave(&gen->inner.view, gen->outer_view, false);
    int thrown = cosy_switch_with_int(&gen->inner.sp, gen->inner.outer_sp, 0);
    cosy_view_arrived(&gen->inner.view);
    return thrown;
}

/* A body that goes on emitting when it is told to end. The first time it is told again, so that it can still clean up;
 * a second time its stack is left as it stands. */
static cosy_cold int emit_in_closing(struct cosy_agen *gen)
{
    if (!gen->closing) { /* dropped during this step: nobody will take the value */
        gen->closing = true;
        return -COSY_EGENEXIT;
    }
    if (gen->ignored) {
        cosy_guards_forget(cosy_stack_low(gen->inner.stack), cosy_stack_bytes(gen->inner.stack_class));
        body_ends(gen, 0);
    }
    gen->ignored = true;
    return -COSY_EIGNOREDCLOSE;
}

static cosy_cold int emit_astray(struct cosy_agen *gen)
{
    return cosy_fail(COSY_EINVALIDSTATE, "cosy_emit: called from outside the body of async generator '%s'",
                     gen->site->name);
}

int cosy_emit_(struct cosy_emitting_ *emitting)
{
    struct cosy_agen *gen = of_emitter(emitting);
    if (unlikely(!is_on_its_stack(gen)))
        return emit_astray(gen);
    if (unlikely(gen->closing | gen->dropped))
        return emit_in_closing(gen);
    if (unlikely(gen->watched))
        return emit_watched(gen);
    leave(gen);
    gen->plain = true;
    return cosy_switch_with_int(&gen->inner.sp, gen->inner.outer_sp, 0);
}

/* ---- types that do not fit ---- */

static const char *type_name(uint32_t type, char *text, size_t size)
{
    static const char *const names[] = {"",
                                        "char",
                                        "signed char",
                                        "unsigned char",
                                        "bool",
                                        "short",
                                        "unsigned short",
                                        "int",
                                        "unsigned",
                                        "long",
                                        "unsigned long",
                                        "long long",
                                        "unsigned long long",
                                        "float",
                                        "double",
                                        "long double",
                                        "a pointer"};
    if (type % 32 < COUNT_OF(names))
        return names[type % 32];
    snprintf(text, size, "a struct of %u bytes", type / 32);
    return text;
}

int cosy_emit_mismatch_(struct cosy_emitting_ *emitting, uint32_t type)
{
    char emits[40], takes[40];
    return cosy_fail(EINVAL, "async generator '%s' emits %s, but its consumer takes %s",
                     of_emitter(emitting)->site->name, type_name(type, emits, sizeof emits),
                     type_name(emitting->type_, takes, sizeof takes));
}

int cosy_sent_(struct cosy_emitting_ *emitting, void *ret_value, size_t size, uint32_t type)
{
    struct cosy_agen *gen = of_emitter(emitting);
    char sent[40], wanted[40];
    if (!gen->sent)
        return 0;
    if (gen->sent_type != type)
        return cosy_fail(EINVAL, "async generator '%s' was sent %s, but asks for %s", gen->site->name,
                         type_name(gen->sent_type, sent, sizeof sent), type_name(type, wanted, sizeof wanted));
    memcpy(ret_value, gen->sent, size);
    return 1;
}

/* ---- what can be asked ---- */

int cosy_agen_info(const cosy_agen *gen, struct cosy_coro_info *ret_info)
{
    static const enum cosy_coro_state states[] = {COSY_CORO_CREATED, COSY_CORO_SUSPENDED, COSY_CORO_RUNNING,
                                                  COSY_CORO_CLOSED};
    if (!gen || !ret_info)
        return -EINVAL;
    bool begun = gen->state == AGEN_SUSPENDED || gen->state == AGEN_RUNNING;
    const struct cosy_task *task = begun ? gen->inner.task : NULL;
    struct cosy_wait *wait = task ? task->wait : NULL;
    *ret_info = (struct cosy_coro_info){
        .state = states[gen->state],
        .name = gen->site->name,
        .file = gen->site->file,
        .func = gen->site->func,
        .line = gen->site->line,
        .bytes = sizeof *gen + (gen->object ? sizeof *gen->object : 0) +
                 (begun ? cosy_stack_bytes(gen->inner.stack_class) : 0),
        .awaiting = wait && wait->kind->future ? wait->kind->future(wait) : NULL,
    };
    return 0;
}
