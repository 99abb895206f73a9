/* deadlock.c - two tasks that wait for each other: a cycle, which no garbage collector will find.
 *
 * When no task can go on and nothing is left to wait for, the loop says so and prints the tree of its tasks: each line
 * tells what a task waits for, and where.
 */
#include <cosy.h>
#include <stdio.h>

static cosy_task *chicken, *egg;

cosy_async static int await_other(cosy_task **other) { return cosy_try(cosy_await(*other)); }

cosy_async static int amain(void)
{
    chicken = cosy_create_task_with((.name = "chicken"), await_other, &egg);
    egg = cosy_create_task_with((.name = "egg"), await_other, &chicken);
    int result = cosy_await(chicken);

    printf("cosy_run cancels what is left: %s\n", cosy_strerror(result));
    cosy_task_drop(chicken);
    cosy_task_drop(egg);
    return result;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * cosy_run cancels what is left: Operation canceled
 * Stderr:
 * cosy: deadlock: no task can go on, and nothing is left to wait for
 * 3 tasks on the ... loop
 * `- Task-1 (amain): awaits task 'chicken', for <time> s now
 * ...
 *    |- chicken (await_other): awaits task 'egg', for <time> s now, awaited by 'Task-1', 'egg'
 * ...
 *    `- egg (await_other): awaits task 'chicken', for <time> s now, awaited by 'chicken'
 * ...
 * EDEADLK: Resource deadlock avoided
 * Exit status: 1
 */
