/* agen_end.c - the ends of generators that their consumer did not bring about: dropped, forgotten until the run ends, or left when the
 * loop closes. */
#include <stdio.h>

#include <cosy/gather.h>
#include <cosy/log.h>
#include <cosy/trace.h>

#include "../base/heap.h"
#include "../task/capture.h"
#include "agen.h"

static void tell(struct cosy_agen *gen, struct cosy_loop *loop, int result)
{
    char message[300];
    char *story = cosy_error_story(*cosy_error_here(), result, NULL);
    snprintf(message, sizeof message, "cosy: an error occurred while closing async generator '%s' (created at %s:%u)", gen->site->name,
             gen->site->file, gen->site->line);
    struct cosy_exception_context context = {.message = message, .error = result, .detail = story};
    cosy_loop_call_exception_handler(loop, &context);
    cosy_heap_free(story);
}

struct telling {
    struct cosy_agen *gen;
    struct cosy_loop *loop;
    int result;
};

static void tell_there(void *arg)
{
    struct telling *telling = arg;
    tell(telling->gen, telling->loop, telling->result);
}

void cosy_agen_tell_end(struct cosy_agen *gen, int result)
{
    struct cosy_task *me = cosy_task_here();
    if (result >= 0 || !me)
        return;
    if (result == -ECANCELED) {
        cosy_task_keep_cancel(me);
        return;
    }
    struct telling telling = {gen, me->future.loop, result};
    cosy_on_big_stack(tell_there, &telling);
}

/* As a task of its own: nobody waits for it. */
cosy_async static int close_forgotten(struct cosy_agen *gen)
{
    int result = cosy_aclose(gen);
    if (result < 0 && result != -ECANCELED)
        cosy_agen_tell_end(gen, result);
    cosy_agen_unref(gen);
    return result == -ECANCELED ? result : 0;
}

/* Outside a task of its loop. Without a loop that runs it stays on the list for the loop's end. */
static void close_by_a_task(struct cosy_agen *gen)
{
    if (cosy_thread_.loop != gen->inner.loop)
        gen->dropped = true;
    else if (cosy_spawn(close_forgotten, gen) < 0)
        cosy_log(COSY_LOG_ERROR, "cosy: async generator '%s' was dropped and there is no memory for a task that closes it",
                 gen->site->name);
}

void cosy_agen_drop(cosy_agen *gen)
{
    struct cosy_task *me = cosy_task_here();
    if (!gen)
        return;
    if (gen->state == AGEN_RUNNING) {
        gen->dropped = true;
        return;
    }
    bool suspended = gen->state == AGEN_SUSPENDED;
    if (suspended && (!me || me->future.loop != gen->inner.loop)) {
        close_by_a_task(gen);
        return;
    }
    cosy_agen_tell_end(gen, cosy_aclose(gen));
    cosy_agen_unref(gen);
}

/* ---- all of a loop's ---- */

static struct cosy_agen *next_open(struct cosy_inner_stack *inner, struct cosy_loop *loop)
{
    for (; inner; inner = inner->next)
        if (inner->loop == loop && inner->abandon == cosy_agen_abandon)
            return cosy_agen_of(inner);
    return NULL;
}

bool cosy_agens_open(struct cosy_loop *loop) { return next_open(cosy_inner_stacks, loop) != NULL; }

/* One after the other, without any memory. Those that a task waits in are that task's to end. */
cosy_async static int close_in_turn(struct cosy_loop *loop)
{
    struct cosy_agen *gen = next_open(cosy_inner_stacks, loop);
    while (gen) {
        if (gen->state == AGEN_RUNNING) {
            gen = next_open(gen->inner.next, loop);
            continue;
        }
        cosy_agen_ref(gen);
        int result = cosy_aclose(gen);
        cosy_agen_tell_end(gen, result);
        cosy_agen_unref(gen);
        gen = next_open(cosy_inner_stacks, loop); /* the list may have changed */
    }
    return 0;
}

cosy_async static int close_all(cosy_coro **closings, struct cosy_loop *loop)
{
    size_t count = 0;
    for (struct cosy_agen *gen = next_open(cosy_inner_stacks, loop); gen; gen = next_open(gen->inner.next, loop)) {
        cosy_coro *closing = cosy_call(close_forgotten, gen);
        if (!closing)
            break;
        cosy_agen_ref(gen);
        closings[count++] = closing;
    }
    struct cosy_gather_options options = {.struct_size = sizeof options, .return_exceptions = true};
    return cosy_gather_coros(closings, count, &options);
}

int cosy_shutdown_asyncgens(void)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_shutdown_asyncgens");
    size_t count = 0;
    if (!me)
        return -COSY_ENOTASK;
    struct cosy_loop *loop = me->future.loop;
    loop->generators_closed = true;
    for (struct cosy_agen *gen = next_open(cosy_inner_stacks, loop); gen; gen = next_open(gen->inner.next, loop))
        count++;
    if (count == 0)
        return 0;
    cosy_coro **closings = cosy_heap_alloc(count * sizeof(*closings));
    int result = closings ? close_all(closings, loop) : -ENOMEM;
    cosy_heap_free(closings);
    return result == -ECANCELED ? result : close_in_turn(loop);
}

/* The loop closes under it. Its frames are not unwound. */
void cosy_agen_abandon(struct cosy_inner_stack *inner)
{
    struct cosy_agen *gen = cosy_agen_of(inner);
    struct cosy_task *making = cosy_thread_.making;
    cosy_log(COSY_LOG_WARNING, "cosy: async generator '%s' (created at %s:%u) was not closed when its loop closed", gen->site->name,
             gen->site->file, gen->site->line);
    cosy_thread_.making = gen->state == AGEN_SUSPENDED ? gen->making : NULL;
    cosy_making_drop_until(NULL);
    cosy_thread_.making = making;
    cosy_guards_forget(cosy_stack_low(inner->stack), cosy_stack_bytes(inner->stack_class));
    cosy_agen_close_object(gen);
    cosy_agen_leave_stack(gen);
    if (gen->dropped)
        cosy_agen_unref(gen);
}
