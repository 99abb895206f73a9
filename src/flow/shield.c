/* shield.c - waits that end alone when they are cancelled.
 *
 * Once nobody waits behind the shield, an orphaned task that fails would fail silently as long as somebody keeps a
 * handle on it. A link stays with it then and tells the exception handler, unless one who waited elsewhere has seen the
 * error: whoever was woken by the task's end runs in the same turn as the link, so the link looks a turn later. A plain
 * future is nobody's work: its error is told with its last handle.
 */
#include <cosy/shield.h>

#include "../base/heap.h"
#include "awaited.h"

/* Between what is shielded and the future given out for it, or what is left after that future's end.
 *
 * Invariants
 *  - `inner` is a reference while its observer is registered or queued; `outer` is none, and valid only while its
 * observer is on its list.
 *  - refs: one for each observer that is registered or queued.
 */
struct link {
    struct cosy_observer inner_done, outer_done;
    struct cosy_future *inner, *outer;
    int refs;
    bool looked; /* a turn has passed since the end of an orphan */
};

static void unref_link(struct link *link)
{
    if (--link->refs == 0)
        cosy_heap_free(link);
}

static void let_go_of_inner(struct link *link)
{
    struct cosy_future *inner = link->inner;
    link->inner = NULL;
    unref_link(link);
    cosy_future_drop(inner);
}

static void hand_over(struct cosy_future *inner, struct cosy_future *outer)
{
    inner->node.flags |= FLAG_RETRIEVED;
    const char *words = cosy_future_words(inner);
    outer->error = inner->error || !*words ? cosy_error_ref(inner->error) : cosy_error_new((int)inner->result, words);
    cosy_future_finish(outer, inner->node.state, inner->result);
}

static void inner_done(struct cosy_observer *observer)
{
    struct link *link = container_of(observer, struct link, inner_done);
    struct cosy_future *inner = link->inner, *outer = link->outer_done.next ? link->outer : NULL;
    bool unseen = inner->node.state == STATE_ERROR && !(inner->node.flags & FLAG_RETRIEVED);
    if (outer) {
        cosy_unobserve(&link->outer_done);
        link->refs--;
        hand_over(inner, outer);
    } else if (unseen && !link->looked) {
        link->looked = true;
        cosy_observe_done(inner, observer);
        return;
    } else if (unseen)
        cosy_report(inner->loop, "Task exception in a shielded task", inner);
    let_go_of_inner(link);
}

/* The loop closes, or the memory of what was observed goes. */
static void discard_inner(struct cosy_observer *observer)
{
    struct link *link = container_of(observer, struct link, inner_done);
    observer->future = NULL;
    let_go_of_inner(link);
}

static void outer_gone(struct cosy_observer *observer)
{
    struct link *link = container_of(observer, struct link, outer_done);
    link->outer = NULL;
    if (link->inner && link->inner_done.next && !cosy_is_task(link->inner)) {
        cosy_unobserve(&link->inner_done);
        let_go_of_inner(link);
    }
    unref_link(link);
}

static void observe_inner(struct link *link, struct cosy_future *inner)
{
    link->inner = inner;
    link->inner_done.notify = inner_done;
    link->inner_done.discard = discard_inner;
    link->refs++;
    cosy_observe(inner, &link->inner_done);
}

/* Takes the reference. Without memory the error is told with the last handle. */
static void orphan(struct cosy_future *inner)
{
    struct link *link = cosy_is_task(inner) && !cosy_future_is_done(inner) ? cosy_heap_zalloc(sizeof *link) : NULL;
    if (link)
        observe_inner(link, inner);
    else
        cosy_future_drop(inner);
}

/* ---- a wait ---- */

struct shield_wait {
    struct cosy_wait wait;
    struct cosy_observer observer;
    struct cosy_future *future;
};

static struct shield_wait *shield_of(struct cosy_wait *wait)
{
    return container_of(wait, struct shield_wait, wait);
}

static bool shield_cancel(struct cosy_wait *wait, struct cosy_task *task)
{
    (void)task;
    cosy_unobserve(&shield_of(wait)->observer);
    return false;
}

static void shield_abandon(struct cosy_wait *wait)
{
    cosy_unobserve(&shield_of(wait)->observer);
    cosy_future_drop(shield_of(wait)->future);
}

static struct cosy_future *shield_future(struct cosy_wait *wait)
{
    return shield_of(wait)->future;
}

static const struct cosy_wait_kind shield_kind = {
    .verb = "is shielded and awaits", .cancel = shield_cancel, .future = shield_future, .abandon = shield_abandon};

int cosy_shield_(struct cosy_awaited_ what)
{
    struct cosy_awaited_list list = {.items = &what, .count = 1};
    struct cosy_task *me = cosy_task_or_complain("cosy_shield");
    if (!me)
        return cosy_awaited_refuse(&list, -COSY_ENOTASK);
    int result;
    struct cosy_future *future = cosy_as_future(what.kind, what.what, &result);
    if (!future)
        return result;
    result = cosy_awaited_check(me, future, "cosy_shield");
    if (result == 0 && !cosy_future_is_done(future)) {
        struct shield_wait shield = {.wait.kind = &shield_kind, .observer.task = me, .future = future};
        cosy_observe(future, &shield.observer);
        if (cosy_park(me, &shield.wait) == -ECANCELED) {
            orphan(future);
            return -ECANCELED;
        }
    }
    if (result == 0)
        result = cosy_future_outcome(future);
    cosy_future_drop(future);
    return result;
}

/* ---- a future ---- */

static cosy_future *refuse(struct cosy_awaited_ what, int error)
{
    struct cosy_awaited_list list = {.items = &what, .count = 1};
    cosy_awaited_refuse(&list, error);
    cosy_set_creation_error(error);
    return NULL;
}

/* The inner one, with a reference; NULL with the reason set. */
static struct cosy_future *shielded(struct cosy_awaited_ what)
{
    int error;
    struct cosy_loop *running = cosy_running_loop();
    struct cosy_future *inner = cosy_as_future(what.kind, what.what, &error);
    if (!inner)
        return NULL; /* the reason is that of the handle's own creation */
    struct cosy_task *me = cosy_task_here();
    error = me                                  ? cosy_awaited_check(me, inner, "cosy_shield_future")
            : running && inner->loop != running ? -COSY_EOTHERLOOP
                                                : 0;
    if (error < 0) {
        cosy_future_drop(inner);
        cosy_set_creation_error(error);
        return NULL;
    }
    return inner;
}

cosy_future *cosy_shield_future_(struct cosy_awaited_ what)
{
    struct link *link = cosy_heap_zalloc(sizeof *link);
    struct cosy_future *inner = link ? shielded(what) : refuse(what, -ENOMEM);
    if (!inner || cosy_future_is_done(inner)) {
        cosy_heap_free(link);
        return inner;
    }
    cosy_future *outer = cosy_future_new(inner->loop);
    if (!outer) {
        cosy_heap_free(link);
        orphan(inner);
        return NULL;
    }
    observe_inner(link, inner);
    link->outer = outer;
    link->outer_done.notify = link->outer_done.discard = outer_gone;
    link->refs++;
    cosy_observe(outer, &link->outer_done);
    return outer;
}
