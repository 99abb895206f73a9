/* to_thread.c - a function that blocks, in a thread, while the other tasks go on.
 *
 * Called directly it would stop the loop, and every task with it. cosy_to_thread takes the function with its own
 * arguments, runs it in the loop's pool of threads and comes back with its result, or its error.
 */
#include <cosy.h>
#include <stdio.h>
#include <unistd.h>

/* Ordinary code: it knows nothing of tasks. */
static int count_words(const char *text)
{
    int words = 1;
    usleep(100 * 1000); /* a slow disk */
    if (!*text)
        return cosy_fail(ENODATA, "there is nothing to count");
    for (; *text; text++)
        words += *text == ' ';
    return words;
}

cosy_async static int tick(int *ticks)
{
    for (;;) {
        cosy_try(cosy_sleep(COSY_MS(10)));
        ++*ticks;
    }
}

cosy_async static int amain(void)
{
    int ticks = 0;
    cosy_scoped(cosy_task) clock = cosy_create_task(tick, &ticks);

    int words =
        cosy_to_thread(count_words, "the loop goes on meanwhile"); /* await asyncio.to_thread(count_words, "...") */
    printf("%d words\n", words);
    printf("the clock %s\n", ticks > 1 ? "went on" : "stood still");

    int error = cosy_to_thread(count_words, "");
    printf("an error comes back too: %s\n", cosy_error_message(error));

    cosy_task_cancel(clock);
    return 0;
}

int main(void)
{
    return cosy_main(amain);
}

/* Output:
 * 5 words
 * the clock went on
 * an error comes back too: there is nothing to count
 */
