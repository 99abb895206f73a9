/* pool.c - elements that are kept for the next, places for new ones, and those who wait for either.
 *
 * Invariants
 *  - places_ counts the elements, idle and in use, and those that are being made or destroyed: it never exceeds
 * max_size. Whoever makes or destroys one holds its place, and ends with free_place or with an element.
 *  - room_ >= places_: giving back and handing over need no memory. Without places the pool owns no memory and belongs
 * to no loop.
 *  - Nobody waits while there is an idle element or a place: whoever has one left gives it to the first in line. A
 * cancel that comes after that passes it on.
 */
#include <cosy/pool.h>

#include <cosy/timeout.h>
#include <string.h>

#include "../base/heap.h"
#include "../sync/waiters.h"

enum { DEFAULT_SIZE = 10 };

struct cosy_pool_idle_ {
    void *element;
    cosy_ns since;
};

struct pool_wait {
    struct cosy_waiter waiter;
    void *element; /* it was given one, which is in use already */
    bool has_place;
};

_Static_assert(sizeof(((struct cosy_pool_ *)0)->line_) == sizeof(struct cosy_line), "the pool's line is a line");

static struct cosy_line *line_of(const struct cosy_pool_ *core)
{
    return (struct cosy_line *)(void *)&core->line_;
}

static struct cosy_line *closers_of(const struct cosy_pool_ *core)
{
    return (struct cosy_line *)(void *)&core->closers_;
}

static const struct cosy_wait_kind pool_kind = {
    .verb = "waits for an element of a pool", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};
static const struct cosy_wait_kind close_kind = {
    .verb = "waits until a pool is closed", .cancel = cosy_waiter_cancel, .abandon = cosy_waiter_abandon};

static size_t max_size(const struct cosy_pool_ *core)
{
    return core->max_size ? core->max_size : DEFAULT_SIZE;
}

static cosy_ns clock_now(void)
{
    struct cosy_loop *loop = cosy_thread_.loop;
    return loop->sys->ops->now(loop->sys);
}

/* ---- places ---- */

static int take_place(struct cosy_pool_ *core, const struct cosy_task *me)
{
    if (core->places_ == core->room_) {
        size_t room = core->room_ ? core->room_ * 2 : 4;
        void *idle = cosy_heap_resize(core->idle_, room * sizeof *core->idle_);
        if (!idle)
            return -ENOMEM;
        core->idle_ = idle;
        void *used = cosy_heap_resize(core->used_, room * sizeof *core->used_);
        if (!used) {
            if (core->places_ == 0) {
                cosy_heap_free(idle);
                core->idle_ = NULL;
            }
            return -ENOMEM;
        }
        core->used_ = used;
        core->room_ = room;
    }
    core->places_++;
    core->loop_ = me->future.loop;
    return 0;
}

static struct pool_wait *first_in_line(const struct cosy_pool_ *core)
{
    struct cosy_waiter *first = line_of(core)->first;
    return first ? container_of(first, struct pool_wait, waiter) : NULL;
}

static void free_place(struct cosy_pool_ *core)
{
    struct pool_wait *first = first_in_line(core);
    if (first) {
        first->has_place = true;
        cosy_waiter_wake(&first->waiter, 0);
        return;
    }
    if (--core->places_ > 0)
        return;
    cosy_heap_free(core->idle_);
    cosy_heap_free(core->used_);
    core->idle_ = NULL;
    core->used_ = NULL;
    core->room_ = 0;
    core->loop_ = NULL;
    while (closers_of(core)->first)
        cosy_waiter_wake(closers_of(core)->first, 0);
}

/* ---- elements ---- */

static bool take_from_used(struct cosy_pool_ *core, const void *element)
{
    for (size_t i = 0; i < core->used_count_; i++)
        if (core->used_[i] == element) {
            core->used_[i] = core->used_[--core->used_count_];
            return true;
        }
    return false;
}

/* An element that nobody uses goes to the first in line, or to the idle ones. */
static void put(struct cosy_pool_ *core, void *element)
{
    struct pool_wait *first = first_in_line(core);
    if (first) {
        core->used_[core->used_count_++] = element;
        first->element = element;
        cosy_waiter_wake(&first->waiter, 0);
        return;
    }
    cosy_ns since = core->max_idle_time ? clock_now() : 0;
    core->idle_[core->idle_count_++] = (struct cosy_pool_idle_){element, since};
}

static bool is_stale(const struct cosy_pool_ *core, const struct cosy_pool_idle_ *idle)
{
    return core->max_idle_time && clock_now() - idle->since >= core->max_idle_time;
}

static int end_element(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void *element)
{
    int result = kind->destroy(core, element);
    core->destroyed_++;
    return result == -ECANCELED ? result : 0;
}

/* Ends an element that is neither idle nor in use, and its place. */
static int remove_element(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void *element)
{
    int result = end_element(core, kind, element);
    free_place(core);
    return result;
}

static int remove_stale(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind)
{
    int result = 0;
    while (result == 0 && core->idle_count_ > 0 && is_stale(core, core->idle_)) {
        void *element = core->idle_->element;
        memmove(core->idle_, core->idle_ + 1, --core->idle_count_ * sizeof *core->idle_);
        result = remove_element(core, kind, element);
    }
    return result;
}

static int fail_closed(const struct cosy_pool_kind_ *kind)
{
    return cosy_fail(COSY_ESHUTDOWN, "the %s is closed", kind->name);
}

/* Makes an element for a place that was taken. */
static int make(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void **ret_element)
{
    void *element = NULL;
    int result = core->closed_ ? fail_closed(kind) : kind->create(core, &element);
    if (result >= 0 && !element)
        result = cosy_fail(EINVAL, "the create function of the %s succeeded without an element", kind->name);
    if (result < 0) {
        core->failed_++;
        free_place(core);
        return result;
    }
    core->created_++;
    if (core->closed_) {
        result = remove_element(core, kind, element);
        return result < 0 ? result : fail_closed(kind);
    }
    core->used_[core->used_count_++] = element;
    *ret_element = element;
    return 0;
}

/* Looks at an element, in use already, before it is handed out; makes another in its place when it is no longer good.
 */
static int hand_out(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void *element, bool stale,
                    void **ret_element)
{
    int checked = stale ? -1 : kind->check(core, element);
    if (checked >= 0) {
        *ret_element = element;
        return 0;
    }
    (void)take_from_used(core, element);
    int ended = end_element(core, kind, element);
    if (ended < 0 || checked == -ECANCELED) {
        free_place(core);
        return -ECANCELED;
    }
    return make(core, kind, ret_element);
}

/* ---- the calls ---- */

static int check_pool(const struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, const struct cosy_task *me)
{
    if (!kind)
        return cosy_fail(EINVAL, "a pool needs a create and a destroy function");
    if (core->loop_ && core->loop_ != me->future.loop)
        return cosy_fail(COSY_EOTHERLOOP, "the %s has elements of another loop", kind->name);
    return 0;
}

static int wait_for_one(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, struct cosy_task *me,
                        void **ret_element)
{
    struct pool_wait self = {.waiter.wait.kind = &pool_kind};
    int result = (int)cosy_line_wait(line_of(core), &self.waiter, me);
    if (result == 0)
        return self.element ? hand_out(core, kind, self.element, false, ret_element) : make(core, kind, ret_element);
    if (self.element && core->closed_) {
        (void)take_from_used(core, self.element);
        (void)remove_element(core, kind, self.element);
    } else if (self.element) {
        (void)take_from_used(core, self.element);
        put(core, self.element);
    } else if (self.has_place) {
        free_place(core);
    }
    return result == -COSY_ESHUTDOWN ? fail_closed(kind) : result;
}

int cosy_pool_acquire_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void **ret_element)
{
    struct cosy_task *me = cosy_task_or_complain("the acquire of a pool");
    int result = me ? check_pool(core, kind, me) : -COSY_ENOTASK;
    if (result < 0)
        return result;
    if (core->closed_)
        return fail_closed(kind);
    if (core->idle_count_ > 0) {
        struct cosy_pool_idle_ newest = core->idle_[--core->idle_count_];
        core->used_[core->used_count_++] = newest.element;
        return hand_out(core, kind, newest.element, is_stale(core, &newest), ret_element);
    }
    if (core->places_ >= max_size(core))
        return wait_for_one(core, kind, me, ret_element);
    result = take_place(core, me);
    return result < 0 ? result : make(core, kind, ret_element);
}

int cosy_pool_release_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, void *element, bool broken)
{
    struct cosy_task *me = cosy_task_or_complain("the release of a pool");
    int result = me ? check_pool(core, kind, me) : -COSY_ENOTASK;
    if (result < 0)
        return result;
    if (!element || !take_from_used(core, element))
        return cosy_fail(COSY_ENOTLOCKED, "this element is not in use in the %s", kind->name);
    size_t max_idle = core->max_idle ? core->max_idle : max_size(core);
    bool wanted = !cosy_line_empty(line_of(core)) || core->idle_count_ < max_idle;
    if (broken || core->closed_ || !wanted)
        result = remove_element(core, kind, element);
    else
        put(core, element);
    return result < 0 ? result : remove_stale(core, kind);
}

int cosy_pool_maintain_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind)
{
    struct cosy_task *me = cosy_task_or_complain("the maintain of a pool");
    int result = me ? check_pool(core, kind, me) : -COSY_ENOTASK;
    if (result == 0)
        result = core->closed_ ? fail_closed(kind) : remove_stale(core, kind);
    size_t least = core->min_size < max_size(core) ? core->min_size : max_size(core);
    while (result == 0 && core->places_ < least) {
        void *element = NULL;
        result = take_place(core, me);
        if (result == 0)
            result = make(core, kind, &element);
        if (result == 0) {
            (void)take_from_used(core, element);
            put(core, element);
        }
    }
    return result;
}

static int wait_for_rest(struct cosy_pool_ *core, struct cosy_task *me, cosy_ns limit)
{
    struct cosy_waiter self = {.wait.kind = &close_kind};
    cosy_timeout timeout = {0};
    int result = limit <= 0 ? -ETIMEDOUT : cosy_timeout_enter(&timeout, limit);
    if (result < 0)
        return result;
    return cosy_timeout_exit(&timeout, (int)cosy_line_wait(closers_of(core), &self, me));
}

/* Elements that are idle are destroyed even if the closing task is cancelled meanwhile. */
int cosy_pool_close_(struct cosy_pool_ *core, const struct cosy_pool_kind_ *kind, cosy_ns limit)
{
    struct cosy_task *me = cosy_task_or_complain("the close of a pool");
    bool all_idle = core->places_ == core->idle_count_;
    if (me && all_idle && core->loop_)
        core->loop_ = me->future.loop;
    int result = me ? check_pool(core, kind, me) : -COSY_ENOTASK;
    if (result < 0)
        return result;
    core->closed_ = true;
    while (line_of(core)->first)
        cosy_waiter_wake(line_of(core)->first, -COSY_ESHUTDOWN);
    while (core->idle_count_ > 0) {
        int ended = remove_element(core, kind, core->idle_[--core->idle_count_].element);
        result = ended < 0 ? ended : result;
    }
    if (result == 0 && core->places_ > 0)
        result = wait_for_rest(core, me, limit);
    if (result == -ETIMEDOUT && core->places_ == 0)
        return 0;
    if (result == -ETIMEDOUT)
        return cosy_fail(ETIMEDOUT, "%zu of the %s are still in use", core->places_, kind->name);
    return result;
}

void cosy_pool_statistics_(const struct cosy_pool_ *core, struct cosy_pool_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_pool_statistics){
        .size = core->places_,
        .idle = core->idle_count_,
        .in_use = core->used_count_,
        .waiting = cosy_line_length(line_of(core)),
        .created = core->created_,
        .destroyed = core->destroyed_,
        .failed = core->failed_,
    };
}
