/* tool_executor.c - runs a batch of tools at once, under one limit in time, and keeps their results in order.
 *
 * The limit lies around the group: when it passes, the group cancels the tools that still run and waits for them, and the
 * block ends with -ETIMEDOUT. A tool that fails ends the others in the same way.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TOOLS = 8, RESULT_SIZE = 32 };

struct tool_call {
    const char *name;
    int (*run)(const char *input, char *result);
    const char *input;
};

cosy_async static int shout(const char *input, char *result)
{
    cosy_try(cosy_sleep(COSY_MS(30)));
    snprintf(result, RESULT_SIZE, "%s!", input);
    return 0;
}

cosy_async static int measure(const char *input, char *result)
{
    cosy_try(cosy_sleep(COSY_MS(10)));
    snprintf(result, RESULT_SIZE, "%zu characters", strlen(input));
    return 0;
}

cosy_async static int ponder(const char *input, char *result)
{
    int err = cosy_sleep(COSY_S(3600));
    if (err == -ECANCELED)
        printf("ponder: stopped thinking about %s\n", input);
    cosy_try(err);
    snprintf(result, RESULT_SIZE, "42");
    return 0;
}

cosy_async static int run_tool(const struct tool_call *call, char *result)
{
    return call->run(call->input, result);
}

cosy_async static int execute_tools(const struct tool_call *calls, int count, char results[][RESULT_SIZE], cosy_ns limit)
{
    int err = 0;
    COSY_TIMEOUT(err, limit) { /* async with asyncio.timeout(limit): */
        cosy_scoped(cosy_task_group) group = cosy_task_group_open();
        for (int i = 0; i < count; i++)
            cosy_task_group_create_task_with(group, (.name = calls[i].name), run_tool, &calls[i], results[i]);
        cosy_check(err, cosy_task_group_wait(group));
    }
    return err;
}

cosy_async static int amain(void)
{
    const struct tool_call calls[] = {{"shout", shout, "hello"}, {"measure", measure, "hello"}, {"ponder", ponder, "life"}};
    char results[MAX_TOOLS][RESULT_SIZE];

    cosy_try(execute_tools(calls, 2, results, COSY_S(10)));
    for (int i = 0; i < 2; i++)
        printf("%s: %s\n", calls[i].name, results[i]);

    int err = execute_tools(calls, 3, results, COSY_MS(100));
    printf("all three: %s\n", cosy_error_message(err));
    return err == -ETIMEDOUT ? 0 : 1;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * shout: hello!
 * measure: 5 characters
 * ponder: stopped thinking about life
 * all three: timed out
 */
