/* foreign_callback.c - the plain base: any `int (*)(void *)` with a block of arguments is an async call.
 *
 * cosy_call takes C functions with their own arguments. Code that comes from elsewhere (a plug-in, another language's
 * foreign function interface, a table of handlers) has one shape for all: a function and a block. cosy_call_block
 * copies the block, so that the caller's may go away at once.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

/* What a foreign scheduler hands over. */
struct job {
    int (*run)(void *block);
    const void *block;
    size_t size;
};

struct greeting {
    char name[16];
    int times;
};

static int greet(void *block) /* may wait: it runs in a task */
{
    struct greeting *greeting = block;
    cosy_assert_async(); /* tells clang's check so, since `job.run` cannot be marked */
    for (int i = 1; i <= greeting->times; i++) {
        cosy_try(cosy_sleep(COSY_MS(10)));
        printf("%s %d\n", greeting->name, i);
    }
    return greeting->times;
}

/* Starts a job; its block is free to change when this returns. */
static cosy_task *start(struct job job)
{
    return cosy_task_from(cosy_call_block(job.run, job.block, job.size));
}

cosy_async static int amain(void)
{
    struct greeting greeting = {"hello", 2};
    struct job job = {greet, &greeting, sizeof greeting};
    cosy_scoped(cosy_task) first = start(job);
    strcpy(greeting.name, "bonjour");
    greeting.times = 3;
    cosy_scoped(cosy_task) second = start(job);

    cosy_try(cosy_gather(first, second));
    printf("%d greetings\n", cosy_try(cosy_await(first)) + cosy_try(cosy_await(second)));
    return 0;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * hello 1
 * bonjour 1
 * hello 2
 * bonjour 2
 * bonjour 3
 * 5 greetings
 */
