/* semaphore.c - permits, handed to those in line when they are woken.
 *
 * Invariants
 *  - A task that is woken has its permit: value_ went down with the wake. If it is cancelled before it runs, it gives
 *    the permit back.
 *  - waking_ counts those that were woken and have not run yet. While there are any, newcomers wait behind them, even
 *    if value_ > 0; each that runs hands what permits are left to those in line.
 *  - loop_ is valid while somebody waits or is being woken.
 */
#include <cosy/semaphore.h>

#include "home.h"

COSY_BEGINS_WITH_LINE(cosy_semaphore);

static struct cosy_line *line_of(const cosy_semaphore *semaphore)
{
    return (struct cosy_line *)(uintptr_t)semaphore;
}

static const char *waiter_name(struct cosy_wait *wait)
{
    (void)wait;
    return "a semaphore";
}

static const struct cosy_wait_kind semaphore_kind = {
    .verb = "waits for", .cancel = cosy_waiter_cancel, .name = waiter_name, .abandon = cosy_waiter_abandon};

/* ---- making ---- */

static int fail_negative(void)
{
    return cosy_fail(EINVAL, "a semaphore's initial value must be >= 0");
}

static int init(cosy_semaphore *semaphore, cosy_semaphore made)
{
    *semaphore = made;
    return made.value_ < 0 ? fail_negative() : 0;
}

int cosy_semaphore_init(cosy_semaphore *semaphore, int64_t value)
{
    return init(semaphore, (cosy_semaphore)COSY_SEMAPHORE(value));
}

int cosy_semaphore_init_bounded(cosy_semaphore *semaphore, int64_t value)
{
    return init(semaphore, (cosy_semaphore)COSY_BOUNDED_SEMAPHORE(value));
}

/* ---- taking ---- */

static inline bool others_come_first(const cosy_semaphore *semaphore)
{
    return semaphore->first_ || semaphore->waking_;
}

static inline bool is_elsewhere(const cosy_semaphore *semaphore)
{
    return others_come_first(semaphore) && cosy_home_is_elsewhere(semaphore->loop_, line_of(semaphore));
}

/* Hands up to n of the permits that are left to those in line. */
static void hand_out(cosy_semaphore *semaphore, int64_t n)
{
    for (; n > 0 && semaphore->value_ > 0 && semaphore->first_; n--) {
        semaphore->value_--;
        semaphore->waking_++;
        cosy_waiter_wake(semaphore->first_, 0);
    }
}

static __attribute__((noinline)) int acquire_slowly(cosy_semaphore *semaphore)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_semaphore_acquire");
    if (!me)
        return -COSY_ENOTASK;
    if (semaphore->value_ < 0)
        return fail_negative();
    if (is_elsewhere(semaphore))
        return cosy_home_fail("cosy_semaphore_acquire");
    struct cosy_waiter waiter = {.wait.kind = &semaphore_kind};
    semaphore->loop_ = me->future.loop;
    int result = (int)cosy_line_wait(line_of(semaphore), &waiter, me);
    if (waiter.woken) {
        semaphore->waking_--;
        semaphore->value_ += result < 0;
    }
    hand_out(semaphore, INT64_MAX);
    return result;
}

int cosy_semaphore_acquire(cosy_semaphore *semaphore)
{
    if (unlikely(!cosy_thread_.current) || semaphore->value_ <= 0 || others_come_first(semaphore))
        return acquire_slowly(semaphore);
    semaphore->value_--;
    return 0;
}

int cosy_semaphore_try_acquire(cosy_semaphore *semaphore)
{
    if (semaphore->value_ < 0)
        return fail_negative();
    if (is_elsewhere(semaphore))
        return cosy_home_fail("cosy_semaphore_try_acquire");
    if (cosy_semaphore_locked(semaphore))
        return -EAGAIN;
    semaphore->value_--;
    return 0;
}

/* ---- giving back ---- */

int cosy_semaphore_release(cosy_semaphore *semaphore)
{
    if (unlikely(semaphore->value_ >= (semaphore->bounded_ ? semaphore->bound_ : INT64_MAX)))
        return cosy_fail(COSY_ETOOMANY, "a semaphore of %lld permits was released too many times",
                         (long long)semaphore->value_);
    if (unlikely(semaphore->value_ < 0))
        return fail_negative();
    if (others_come_first(semaphore)) {
        if (is_elsewhere(semaphore))
            return cosy_home_fail("cosy_semaphore_release");
        semaphore->value_++;
        hand_out(semaphore, 1);
    } else
        semaphore->value_++;
    return 0;
}

/* ---- looking ---- */

bool cosy_semaphore_locked(const cosy_semaphore *semaphore)
{
    return semaphore->value_ <= 0 || others_come_first(semaphore);
}

int64_t cosy_semaphore_value(const cosy_semaphore *semaphore)
{
    return semaphore->value_;
}

void cosy_semaphore_statistics(const cosy_semaphore *semaphore, struct cosy_semaphore_statistics *ret_statistics)
{
    *ret_statistics = (struct cosy_semaphore_statistics){
        .value = semaphore->value_,
        .max_value = semaphore->bounded_ ? semaphore->bound_ : -1,
        .tasks_waiting = cosy_line_length(line_of(semaphore)) + semaphore->waking_,
    };
}
