/* Random programs over what starts, joins, limits and cancels tasks.
 *
 * Invariants: what a gather or a group started has ended when it returns; each part that began ends; a limit is never
 * early; an outcome is one that the part can have.
 */
#include "../fuzz.h"

struct scope {
    int live; /* parts begun and not ended */
};

static int begun, ended;

cosy_async static int part(int depth, struct scope *scope);

static bool is_possible(int result)
{
    return result >= 0 || result == -ECANCELED || result == -ETIMEDOUT || result == -EIO;
}

cosy_async static int gather_parts(int depth)
{
    struct scope scope = {0};
    int64_t results[3];
    int result = below(2)
                     ? cosy_gather(cosy_call(part, depth, &scope), cosy_call(part, depth, &scope),
                                   cosy_call(part, depth, &scope))
                     : cosy_gather_with((.return_exceptions = true, .results = results), cosy_call(part, depth, &scope),
                                        cosy_call(part, depth, &scope), cosy_call(part, depth, &scope));
    cosy_test_expect(scope.live == 0);
    return result;
}

cosy_async static int group_parts(int depth)
{
    struct scope scope = {0};
    int result = 0, cancelling = cosy_task_cancelling(cosy_current_task());
    bool left_early = false;
    {
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        for (int i = 1 + below(3); i > 0; i--)
            (void)cosy_task_group_create_task(group, part, depth, &scope);
        if (below(4) == 0)
            result = pause_somehow();
        if (below(6) == 0)
            cosy_task_group_cancel(group);
        if (below(5) > 0) /* else left without a word: children are cancelled */
            result = cosy_task_group_close(group, result);
        else
            left_early = true;
    }
    if (left_early && result == -ECANCELED && cosy_task_cancelling(cosy_current_task()) <= cancelling)
        result = 0; /* the group's own cancel, for an error that nobody asks for now */
    cosy_test_expect(scope.live == 0);
    return result;
}

cosy_async static int limited_part(int depth)
{
    struct scope scope = {0};
    cosy_ns limit = COSY_US(below(60)), begin = cosy_loop_time(cosy_running_loop());
    int err = 0;
    if (below(2))
        err = cosy_wait_for(cosy_call(part, depth, &scope), limit);
    else
        COSY_TIMEOUT (err, limit) {
            cosy_check(err, part(depth, &scope));
        }
    cosy_test_expect(scope.live == 0);
    cosy_test_expect(err != -ETIMEDOUT || limit == 0 || scope.live == 0);
    if (err == -ETIMEDOUT && cosy_loop_time(cosy_running_loop()) < begin + limit)
        cosy_test_expect(depth > 0); /* only a limit inside may have been shorter */
    return err == -ETIMEDOUT ? 0 : err;
}

/* A scope with a deadline, a shield, and a cancel that is heard once or at every wait. */
cosy_async static int scoped_part(int depth)
{
    struct scope inner = {0};
    cosy_scope scope = {
        .after = below(2) ? COSY_US(below(60)) : 0, .shield = below(4) == 0, .sticky = below(2), .fail = below(3) == 0};
    cosy_ns begin = cosy_loop_time(cosy_running_loop());
    int err = 0;
    scope.grace = scope.shield && below(2) ? COSY_US(below(30)) : 0;
    cosy_ns after = scope.after;
    COSY_SCOPE_WITH(err, &scope)
    {
        cosy_check(err, part(depth, &inner));
        if (below(4) == 0)
            cosy_scope_cancel(&scope);
        cosy_check(err, pause_somehow());
    }
    cosy_test_expect(inner.live == 0);
    cosy_test_expect(err != -ETIMEDOUT || (scope.fail && cosy_loop_time(cosy_running_loop()) >= begin + after));
    return err == -ETIMEDOUT ? 0 : err;
}

/* A task that is cancelled, or not, while it runs, waits or has not begun. */
cosy_async static int cancelled_part(int depth)
{
    struct scope scope = {0};
    cosy_scoped(cosy_task) task = cosy_create_task_with((.eager_start = below(3) == 0), part, depth, &scope);
    int paused = pause_somehow();
    if (below(3))
        cosy_task_cancel(task);
    int result = paused == 0 ? cosy_await(task) : paused;
    int err = 0;
    COSY_SCOPE(err, .shield = true) /* cancelled here: it must not outlive its scope */
    {
        while (!cosy_task_done(task)) {
            cosy_task_cancel(task);
            (void)cosy_await(task);
        }
    }
    (void)cosy_task_error(task); /* its error counts as seen */
    cosy_test_expect(scope.live == 0);
    return result == -ECANCELED && !cosy_task_cancelling(cosy_current_task()) ? 0 : result;
}

cosy_async static int choose(int depth)
{
    if (depth <= 0)
        return pause_somehow();
    switch (below(8)) {
    case 0:
        return gather_parts(depth - 1);
    case 1:
        return group_parts(depth - 1);
    case 2:
        return limited_part(depth - 1);
    case 3:
        return cancelled_part(depth - 1);
    case 4:
        return scoped_part(depth - 1);
    case 5:
        return below(4) ? 0 : cosy_fail(EIO, "as it happens");
    default:
        return pause_somehow();
    }
}

cosy_async static int part(int depth, struct scope *scope)
{
    begun++;
    scope->live++;
    int result = 0;
    for (int i = below(3); i >= 0 && result >= 0; i--)
        result = choose(depth);
    cosy_test_expect(is_possible(result));
    scope->live--;
    ended++;
    return result;
}

/* A group that is left early tells the errors of its children here. */
static void ignore(cosy_loop *loop, const struct cosy_exception_context *context, void *unused)
{
    (void)loop, (void)context, (void)unused;
}

cosy_async static int program(void)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), ignore, NULL);
    struct scope scope = {0};
    int result = part(4, &scope);
    return result == -EIO || result == -ETIMEDOUT ? 0 : result;
}

static void programs(void)
{
    begun = ended = 0;
    (void)cosy_test_run(program);
    cosy_test_expect(begun == ended);
}
WORKLOAD("programs", programs)
