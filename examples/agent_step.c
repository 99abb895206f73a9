/* agent_step.c - one step of an agent: three tools at once, then a synthesis of what they found.
 *
 * The group waits for all three. In the second run the knowledge base is down: the group cancels the two others, waits
 * until they have cleaned up, and the step fails with the error; nothing goes on in the background.
 */
#include <cosy.h>
#include <stdio.h>

struct findings {
    char web[64], knowledge[64], code[64];
};

cosy_async static int search_web(const char *prompt, char result[64])
{
    int err = cosy_sleep(COSY_MS(60));
    if (err == -ECANCELED)
        puts("  web search: connection closed");
    cosy_try(err);
    snprintf(result, 64, "three pages on %s", prompt);
    return 0;
}

cosy_async static int query_knowledge_base(const char *prompt, bool up, char result[64])
{
    cosy_try(cosy_sleep(COSY_MS(30)));
    if (!up)
        return cosy_fail(ECONNREFUSED, "the knowledge base is down");
    snprintf(result, 64, "a note on %s", prompt);
    return 0;
}

cosy_async static int generate_code(const char *prompt, char result[64])
{
    int err = cosy_sleep(COSY_MS(90));
    if (err == -ECANCELED) {
        (void)cosy_sleep(COSY_MS(5)); /* clean-up may wait */
        puts("  code generator: draft deleted");
    }
    cosy_try(err);
    snprintf(result, 64, "a function for %s", prompt);
    return 0;
}

cosy_async static int agent_step(const char *prompt, bool knowledge_base_up)
{
    struct findings found;
    cosy_scoped(cosy_task_group) group = cosy_task_group_open(); /* async with asyncio.TaskGroup() as tg: */
    cosy_task_group_create_task(group, search_web, prompt, found.web);
    cosy_task_group_create_task(group, query_knowledge_base, prompt, knowledge_base_up, found.knowledge);
    cosy_task_group_create_task(group, generate_code, prompt, found.code);
    cosy_try(cosy_task_group_wait(group));

    printf("  answer: %s, %s and %s\n", found.web, found.knowledge, found.code);
    return 0;
}

cosy_async static int amain(void)
{
    puts("step 1");
    cosy_try(agent_step("sorting", true));

    puts("step 2");
    int err = agent_step("searching", false);
    printf("  no answer: %s\n", cosy_error_message(err));
    return err == -ECONNREFUSED ? 0 : 1;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * step 1
 *   answer: three pages on sorting, a note on sorting and a function for sorting
 * step 2
 *   web search: connection closed
 *   code generator: draft deleted
 *   no answer: the knowledge base is down
 */
