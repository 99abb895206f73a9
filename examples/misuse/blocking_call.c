/* blocking_call.c - a call that blocks the thread: no other task can run meanwhile.
 *
 * Debug mode reports each step of a task that takes 100 ms or longer. (clang finds such calls before the program runs,
 * when they are marked cosy_blocking: `cosy check` shows them.)
 */
#include <cosy.h>
#include <stdio.h>
#include <unistd.h>

cosy_async static int handle_request(void)
{
    usleep(150 * 1000); /* wrong: the whole thread sleeps, and with it the loop */
    return 0;
}

cosy_async static int handle_request_well(void)
{
    return cosy_sleep(COSY_MS(150)); /* right: only this task sleeps */
}

cosy_async static int amain(void)
{
    cosy_scoped(cosy_task) bad = cosy_create_task_with((.name = "bad"), handle_request);
    cosy_scoped(cosy_task) good = cosy_create_task_with((.name = "good"), handle_request_well);
    return cosy_gather(bad, good);
}

int main(void) { return cosy_main_with((.debug = true), amain); }

/* Stderr:
 * ...
 * cosy: executing a step of task 'bad' (handle_request, created at ...blocking_call.c:23) took <time 0.150> seconds
 */
