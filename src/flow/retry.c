/* retry.c - what happens between two attempts of a call. */
#include <cosy/retry.h>

#include <cosy/log.h>
#include <cosy/sleep.h>
#include <string.h>

#include "../task/task.h"

enum { DEFAULT_ATTEMPTS = 4 };

static cosy_ns clock_now(void)
{
    struct cosy_loop *loop = cosy_thread_.loop;
    return loop ? loop->sys->ops->now(loop->sys) : cosy_sys_real_clock();
}

bool cosy_retry_begin_(struct cosy_retry_ *retry)
{
    struct cosy_retry_options *options = &retry->options;
    if (options->factor < 0 || !(options->jitter >= 0 && options->jitter <= 1) || options->max_delay < 0 ||
        options->deadline < 0) {
        retry->result =
            cosy_fail(EINVAL, "cosy_retry takes no negative factor, max_delay or deadline, and a jitter of 0 to 1");
        return false;
    }
    if (options->attempts == 0)
        options->attempts = DEFAULT_ATTEMPTS;
    if (options->factor == 0)
        options->factor = 2;
    retry->delay = options->delay == 0 ? COSY_S(1) : options->delay < 0 ? 0 : options->delay;
    if (options->deadline)
        retry->began = clock_now();
    return true;
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Tasks that fail together must not come back together: without a seed, clock, task and address space tell them apart.
 */
static uint64_t first_state(const struct cosy_retry_ *retry)
{
    if (retry->options.seed)
        return retry->options.seed;
    struct cosy_loop *loop = cosy_thread_.loop;
    if (loop && strcmp(loop->sys->ops->name, "sim") == 0)
        return cosy_sim_random(loop->sys) | 1;
    struct cosy_task *me = cosy_task_here();
    return ((uint64_t)clock_now() ^ (uint64_t)(uintptr_t)retry ^ (me ? me->id << 40 : 0)) | 1;
}

/* Times a factor above 1 a delay reaches the end of time, and stays there. */
static cosy_ns scaled(cosy_ns delay, double factor)
{
    double product = (double)delay * factor;
    return product >= (double)COSY_NEVER ? COSY_NEVER : (cosy_ns)product;
}

static cosy_ns next_pause(struct cosy_retry_ *retry)
{
    const struct cosy_retry_options *options = &retry->options;
    cosy_ns pause = retry->delay;
    if (options->max_delay && pause > options->max_delay)
        pause = options->max_delay;
    retry->delay = scaled(pause, options->factor);
    if (options->jitter > 0) {
        if (!retry->random)
            retry->random = first_state(retry);
        double chance = (double)(next_random(&retry->random) >> 11) * 0x1p-53; /* 0 <= chance < 1 */
        pause = scaled(pause, 1 - options->jitter * chance);
    }
    return pause;
}

/* Why there is no other attempt, or NULL. */
static const char *reason_to_stop(const struct cosy_retry_ *retry, const struct cosy_retry_attempt *attempt)
{
    if (attempt->number >= attempt->attempts)
        return "no attempt is left";
    cosy_ns deadline = retry->options.deadline;
    if (deadline && (attempt->elapsed >= deadline || attempt->delay > deadline - attempt->elapsed))
        return "the deadline would pass";
    return NULL;
}

static void log_attempt(const struct cosy_retry_ *retry, const struct cosy_retry_attempt *attempt, const char *stop)
{
    if (retry->options.quiet || (stop && attempt->number == 1))
        return;
    if (stop)
        cosy_log(COSY_LOG_WARNING, "attempt %u of %u failed: %s (%s); %s", attempt->number, attempt->attempts,
                 attempt->message, cosy_errname(attempt->error), stop);
    else
        cosy_log(COSY_LOG_INFO, "attempt %u of %u failed: %s (%s); the next in %.9g s", attempt->number,
                 attempt->attempts, attempt->message, cosy_errname(attempt->error), (double)attempt->delay / 1e9);
}

/* Asks the program. What fails inside its answer must not take the place of the error that is asked about. */
static bool is_worth_it(const struct cosy_retry_options *options, const struct cosy_retry_attempt *attempt)
{
    if (!options->retry_if)
        return true;
    struct cosy_error **here = cosy_error_here(), *story = cosy_error_ref(*here);
    bool worth_it = options->retry_if(attempt);
    cosy_error_drop(*here);
    *here = story;
    return worth_it;
}

/* A failed attempt: pauses, and tells whether to make another. */
bool cosy_retry_failed_(struct cosy_retry_ *retry)
{
    const struct cosy_retry_options *options = &retry->options;
    struct cosy_retry_attempt attempt = {
        .number = ++retry->made, .attempts = options->attempts, .error = (int)retry->result};
    if (attempt.error == -ECANCELED)
        return false;
    attempt.message = cosy_error_message(attempt.error);
    if (!*attempt.message)
        attempt.message = cosy_strerror(attempt.error);
    attempt.elapsed = options->deadline ? clock_now() - retry->began : 0;
    if (!is_worth_it(options, &attempt))
        return false;
    if (attempt.number < attempt.attempts)
        attempt.delay = next_pause(retry);
    const char *stop = reason_to_stop(retry, &attempt);
    log_attempt(retry, &attempt, stop);
    if (stop)
        return false;
    if (options->on_retry)
        options->on_retry(&attempt);
    int slept = cosy_sleep(attempt.delay);
    if (slept == 0)
        return true;
    retry->result = slept;
    return false;
}
