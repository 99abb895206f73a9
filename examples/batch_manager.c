/* batch_manager.c - ten flaky tasks, each with a time limit and tried again, and a batch that always comes back whole.
 *
 * Three layers that fit into each other: a time limit around one attempt, attempts around that, and a batch in which
 * what failed for good is a null among the results, in the order of the input.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 10 };

struct outcome {
    char text[32];
    bool succeeded; /* false: None */
};

/* A seeded generator per task: what happens does not depend on who runs first. */
static double chance(unsigned *seed)
{
    return rand_r(seed) / (RAND_MAX + 1.0);
}

cosy_async static int flaky_task(int id, unsigned *seed, struct outcome *out)
{
    cosy_try(cosy_sleep(COSY_MS(10 + 40 * chance(seed)))); /* random.uniform(...) */
    if (chance(seed) < 0.3)
        return cosy_fail(EIO, "task %d failed by chance", id);
    snprintf(out->text, sizeof out->text, "task %d succeeded", id);
    return 0;
}

cosy_async static int execute_with_timeout(cosy_ns limit, int id, unsigned *seed, struct outcome *out)
{
    int result = cosy_wait_for(cosy_call(flaky_task, id, seed, out), limit);
    if (result == -ETIMEDOUT)
        cosy_log(COSY_LOG_ERROR, "task %d timed out", id);
    return result < 0 ? cosy_try(result) : result;
}

/* The pause doubles: 100 ms, 200 ms. Each attempt is logged. A cancel is not tried again. */
cosy_async static int execute_with_retry(int id, struct outcome *out)
{
    unsigned seed = 7 * (unsigned)(id + 1);
    return cosy_retry((.attempts = 3, .delay = COSY_MS(100)), execute_with_timeout(COSY_S(2), id, &seed, out));
}

/* Waits for all, whether they fail or not. */
cosy_async static int execute_batch_safely(struct outcome outcomes[BATCH])
{
    cosy_coro *calls[BATCH];
    int64_t results[BATCH];
    for (int i = 0; i < BATCH; i++)
        calls[i] = cosy_call(execute_with_retry, i, &outcomes[i]);
    struct cosy_gather_options options = {.return_exceptions = true, .results = results};
    cosy_try(cosy_gather_coros(calls, BATCH, &options));
    int count = 0;
    for (int i = 0; i < BATCH; i++) {
        outcomes[i].succeeded = results[i] >= 0;
        count += outcomes[i].succeeded;
        if (results[i] < 0)
            cosy_log(COSY_LOG_ERROR, "task %d failed for good: %s", i, cosy_errname((int)results[i]));
    }
    return count;
}

static void print_log(enum cosy_log_level level, const char *text, void *unused)
{
    (void)unused;
    if (level >= COSY_LOG_INFO)
        printf("  log: %s\n", text);
}

cosy_async static int amain(void)
{
    struct outcome outcomes[BATCH];
    memset(outcomes, 0, sizeof outcomes);
    int succeeded = cosy_try(execute_batch_safely(outcomes));
    for (int i = 0; i < BATCH; i++)
        printf("%d: %s\n", i, outcomes[i].succeeded ? outcomes[i].text : "null");
    printf("successful tasks: %d/%d\n", succeeded, BATCH);
    return 0;
}

int main(void)
{
    cosy_set_log_sink(print_log, NULL);
    return cosy_main(amain);
}

/* Output:
 * ...
 *   log: attempt 3 of 3 failed: task 4 failed by chance (EIO); no attempt is left
 *   log: task 4 failed for good: EIO
 * 0: task 0 succeeded
 * 1: task 1 succeeded
 * 2: task 2 succeeded
 * 3: task 3 succeeded
 * 4: null
 * 5: task 5 succeeded
 * 6: task 6 succeeded
 * 7: task 7 succeeded
 * 8: task 8 succeeded
 * 9: task 9 succeeded
 * successful tasks: 9/10
 */
