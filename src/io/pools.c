/* pools.c - the pools that each loop has of its own, and their end with the loop. */
#include <stdbool.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "../flow/runner.h"
#include "dns.h"
#include "executor.h"
#include "process.h"
#include "stream.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

enum { POOLS = 3, CLOSE_SECONDS = 300 };
#define CLOSE_DNS COSY_MS(500)

struct pools {
    struct cosy_executor *of[POOLS];
    unsigned forks; /* the threads of a forked child's parent are not the child's */
    bool shut;
};

static const struct cosy_executor_options kinds[POOLS] = {
    [COSY_POOL_USER] = {.name = "cosy"},
    [COSY_POOL_FILES] = {.name = "files", .workers = 4},
    [COSY_POOL_DNS] = {.name = "dns", .workers = 4},
};

static struct pools *pools_of(struct cosy_loop *loop)
{
    struct pools *pools = loop->executors;
    unsigned forks = atomic_load_explicit(&cosy_forks, memory_order_relaxed);
    if (unlikely(pools && pools->forks != forks))
        loop->executors = pools = NULL;
    if (!pools) {
        loop->executors = pools = cosy_heap_zalloc(sizeof(struct pools));
        if (pools)
            pools->forks = forks;
    }
    return pools;
}

static int refuse_shut(void)
{
    return cosy_fail(COSY_ESHUTDOWN, "the loop's own executors are shut down");
}

struct cosy_executor *cosy_pool_of(struct cosy_loop *loop, enum cosy_pool pool, int *ret_error)
{
    struct pools *pools = pools_of(loop);
    *ret_error = -ENOMEM;
    if (!pools)
        return NULL;
    if (!pools->of[pool] && pools->shut)
        *ret_error = refuse_shut();
    else if (!pools->of[pool])
        *ret_error = cosy_executor_new_(&pools->of[pool], &kinds[pool]);
    return pools->of[pool];
}

cosy_executor *cosy_default_executor(enum cosy_pool pool)
{
    struct cosy_loop *loop = cosy_running_loop();
    int error = !loop ? -COSY_ENOLOOP : (unsigned)pool >= POOLS ? -EINVAL : 0;
    struct cosy_executor *executor = error ? NULL : cosy_pool_of(loop, pool, &error);
    if (!executor)
        cosy_set_creation_error(error);
    return executor;
}

int cosy_set_default_executor(cosy_executor *executor)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!executor || !loop)
        return loop ? -EINVAL : -COSY_ENOLOOP;
    struct pools *pools = pools_of(loop);
    if (!pools)
        return -ENOMEM;
    if (pools->of[COSY_POOL_USER] != executor)
        cosy_executor_free(pools->of[COSY_POOL_USER]);
    pools->of[COSY_POOL_USER] = executor;
    return 0;
}

/* All within `timeout`; those for names within `names`, too. */
cosy_async static int shut(struct cosy_loop *loop, cosy_ns timeout, cosy_ns names)
{
    struct pools *pools = pools_of(loop);
    if (!pools)
        return -ENOMEM;
    pools->shut = true;
    cosy_ns end;
    int first = 0;
    if (timeout == COSY_NEVER || __builtin_add_overflow(cosy_loop_time(loop), timeout, &end))
        end = COSY_NEVER;
    for (int i = 0; i < POOLS; i++) {
        cosy_ns left = end == COSY_NEVER ? COSY_NEVER : end - cosy_loop_time(loop);
        if (i == COSY_POOL_DNS && left > names)
            left = names;
        int result = pools->of[i] ? cosy_executor_shutdown(pools->of[i], left > 0 ? left : 0) : 0;
        if (result < 0 && first == 0)
            first = result;
    }
    return first;
}

int cosy_shutdown_default_executor(cosy_ns timeout)
{
    struct cosy_task *me = cosy_task_or_complain("cosy_shutdown_default_executor");
    return me ? shut(me->future.loop, timeout, COSY_NEVER) : -COSY_ENOTASK;
}

/* ---- with the loop ---- */

static bool has_pools(struct cosy_loop *loop)
{
    struct pools *pools = loop->executors;
    for (int i = 0; pools && pools->forks == atomic_load(&cosy_forks) && i < POOLS; i++)
        if (pools->of[i])
            return true;
    return false;
}

cosy_async static int close_pools(void)
{
    /* What is stuck was told. When a run ends no task is left, so whoever asked for a name has gone: a resolver that
     * waits for its servers holds up nothing but the end. */
    (void)shut(cosy_task_here()->future.loop, COSY_S(CLOSE_SECONDS), CLOSE_DNS);
    return 0;
}

static void loop_closes(struct cosy_loop *loop)
{
    cosy_processes_close(loop);
    cosy_streams_tell_unclosed(loop);
    cosy_letters_let_go(loop);
    cosy_names_close(loop);
    struct pools *pools = loop->executors;
    loop->executors = NULL;
    if (pools && pools->forks != atomic_load(&cosy_forks))
        return;
    for (int i = 0; pools && i < POOLS; i++)
        cosy_executor_free(pools->of[i]);
    cosy_heap_free(pools);
}

static struct cosy_closer closer = {.order = COSY_CLOSE_EXECUTORS, .wanted = has_pools, .close = close_pools};

__attribute__((constructor)) static void join_the_floors_below(void)
{
    cosy_loop_hooks.letting_go = loop_closes;
    cosy_runner_add_closer(&closer);
}
