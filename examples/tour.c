/* tour.c - cosy in a minute: `make run` builds and runs it.
 *
 * Six stops. Each line begins with the time since the start, so that you see what happens at once and what happens one
 * after the other. The comments name what stands there in Python's asyncio.
 */
#include <cosy.h>
#include <stdio.h>
#include <unistd.h>

/* ---- how the tour looks ---- */

static cosy_ns started;

/* printf after the time since the start. */
#define say(...) (printf("  %5.2f s  ", (double)(cosy_loop_time(cosy_running_loop()) - started) / COSY_S(1)), \
                  printf(__VA_ARGS__), putchar('\n'), fflush(stdout))

static void heading(int number, const char *text)
{
    const char *const bold = isatty(STDOUT_FILENO) ? "\033[1m" : "", *const plain = *bold ? "\033[0m" : "";
    printf("\n%s%d. %s%s\n", bold, number, text, plain);
}

/* ---- 1: an async function ---- */

cosy_async static int hello(void) /* async def hello(): */
{
    heading(1, "Say hello, wait without blocking, go on");
    say("Hello");
    cosy_try(cosy_sleep(COSY_MS(300))); /* await asyncio.sleep(0.3) */
    say("World");
    return 0;
}

/* ---- 2: several at once ---- */

struct user {
    int id;
    const char *name;
};

cosy_async static int fetch_user(int id, struct user *out)
{
    static const char *const names[] = {"Alice", "Bob", "Carol"};
    cosy_try(cosy_sleep(COSY_MS(100))); /* the network thinks */
    *out = (struct user){.id = id, .name = names[id - 1]};
    return 0;
}

cosy_async static int gather_three(void)
{
    heading(2, "Fetch three users in the time of one");
    struct user a, b, c;
    say("asking for three users, 0.1 s each ...");
    cosy_try(cosy_gather(cosy_call(fetch_user, 1, &a), /* await asyncio.gather(fetch_user(1), ...) */
                         cosy_call(fetch_user, 2, &b),
                         cosy_call(fetch_user, 3, &c)));
    say("... and here they are: %s, %s and %s", a.name, b.name, c.name);
    return 0;
}

/* ---- 3: in the background ---- */

cosy_async static int send_email(const char *to)
{
    cosy_try(cosy_sleep(COSY_MS(200)));
    say("email sent to %s", to);
    return 0;
}

cosy_async static int in_the_background(void)
{
    heading(3, "Start a task in the background");
    cosy_scoped(cosy_task) mail = cosy_create_task(send_email, "Alice"); /* asyncio.create_task(send_email("Alice")) */
    say("continuing with other requests");
    return cosy_await(mail); /* await mail */
}

/* ---- 4: cancelled ---- */

cosy_async static int download(const char *file)
{
    say("downloading %s, which takes an hour", file);
    int result = cosy_sleep(COSY_S(3600));
    if (result == -ECANCELED) /* except asyncio.CancelledError: */
        say("interrupted; removing the half of %s", file);
    return result;
}

cosy_async static int change_of_mind(void)
{
    heading(4, "Cancel a task, which cleans up");
    cosy_scoped(cosy_task) task = cosy_create_task(download, "film.mkv");
    cosy_try(cosy_sleep(COSY_MS(100)));
    cosy_task_cancel_with(task, "the user has gone to bed"); /* task.cancel("...") */
    int result = cosy_await(task);
    say("it ended with %s: %s", cosy_errname(result), cosy_error_message(result));
    return 0;
}

/* ---- 5: a limit in time ---- */

cosy_async static int not_longer_than(void)
{
    heading(5, "Give ten seconds of work a quarter of one");
    int result = cosy_wait_for(cosy_call(cosy_sleep, COSY_S(10)), COSY_MS(250)); /* asyncio.wait_for(..., 0.25) */
    say("it ended with %s: %s", cosy_errname(result), cosy_error_message(result));
    return 0;
}

/* ---- 6: who is there, and what does each wait for? ---- */

cosy_async static int fetch_page(const char *path, cosy_ns delay)
{
    cosy_try(cosy_sleep(delay));
    say("fetched %s", path);
    return 0;
}

cosy_async static int crawl(void)
{
    cosy_try(cosy_gather(cosy_call(fetch_page, "/", COSY_MS(200)), cosy_call(fetch_page, "/about", COSY_MS(300))));
    return 0;
}

cosy_async static int look_at_the_tree(void)
{
    heading(6, "Look at the live tasks: who started them, what they wait for, where");
    cosy_scoped(cosy_task) crawler = cosy_create_task_with((.name = "crawler"), crawl);
    cosy_try(cosy_sleep(COSY_MS(50)));
    cosy_print_tasks(stdout); /* at any time; a deadlock prints it by itself */
    return cosy_await(crawler);
}

cosy_async static int tour(void)
{
    started = cosy_loop_time(cosy_running_loop());
    printf("cosy %s on the %s loop\n", cosy_version(), cosy_loop_backend_name(cosy_running_loop()));
    cosy_try(hello()); /* await hello(): an async function awaits another by calling it */
    cosy_try(gather_three());
    cosy_try(in_the_background());
    cosy_try(change_of_mind());
    cosy_try(not_longer_than());
    cosy_try(look_at_the_tree());
    printf("\nThe programs beside this one in examples/ take these apart.\n");
    return 0;
}

int main(void) { return cosy_main(tour); } /* asyncio.run(tour()) */

/* Output:
 * cosy ... on the ... loop
 *
 * 1. Say hello, wait without blocking, go on
 *    <time 0.00> s  Hello
 *    <time 0.30> s  World
 *
 * 2. Fetch three users in the time of one
 *    <time 0.30> s  asking for three users, 0.1 s each ...
 *    <time 0.40> s  ... and here they are: Alice, Bob and Carol
 *
 * 3. Start a task in the background
 *    <time 0.40> s  continuing with other requests
 *    <time 0.60> s  email sent to Alice
 *
 * 4. Cancel a task, which cleans up
 *    <time 0.60> s  downloading film.mkv, which takes an hour
 *    <time 0.70> s  interrupted; removing the half of film.mkv
 *    <time 0.70> s  it ended with ECANCELED: the user has gone to bed
 *
 * 5. Give ten seconds of work a quarter of one
 *    <time 0.95> s  it ended with ETIMEDOUT: timed out
 *
 * 6. Look at the live tasks: who started them, what they wait for, where
 * 4 tasks on the ... loop
 * `- Task-1 (tour): running
 * ...
 *    `- crawler (crawl): gathers 2 (2 to come), for <time> s now
 * ...
 *       |- Task-... (fetch_page): sleeps, for <time> s now, <time> s left, awaited by 'crawler'
 * ...
 *       `- Task-... (fetch_page): sleeps, for <time> s now, <time> s left, awaited by 'crawler'
 * ...
 *    <time 1.15> s  fetched /
 *    <time 1.25> s  fetched /about
 *
 * The programs beside this one in examples/ take these apart.
 */
