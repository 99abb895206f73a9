/* dropped_handle.c - a task whose handle is dropped goes on.
 *
 * In Python the garbage collector may take such a task away in the middle of its work. Here the loop owns running
 * tasks, so none can vanish: a dropped handle only means that nobody asks for the result. An error is reported then.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int work(const char *name, int result)
{
    cosy_try(cosy_sleep(COSY_MS(20)));
    printf("%s is done\n", name);
    return result < 0 ? cosy_fail(-result, "%s broke down", name) : result;
}

cosy_async static int amain(void)
{
    cosy_task_drop(cosy_create_task(work, "dropped task", 0)); /* works, */
    cosy_try(cosy_spawn(work, "spawned task", 0));             /* but this says what is meant */
    cosy_task_drop(cosy_create_task(work, "failing task", -EIO));
    return cosy_sleep(COSY_MS(200)); /* long enough for all three */
}

int main(void) { return cosy_main(amain); }

/* Output:
 * dropped task is done
 * spawned task is done
 * failing task is done
 * Stderr:
 * cosy: Task exception was never retrieved: task Task-...
 * Async traceback (most recent call last):
 *   task 'Task-...' (work), created at ...dropped_handle.c:20 in amain
 *     ...dropped_handle.c:13 in work
 * EIO: failing task broke down
 */
