/* task_group.c - tasks that belong together: nothing that a group started outlives it.
 *
 * cosy_task_group_wait returns when all children are done. When one fails, the group cancels the others, waits for
 * their cleanup and returns the error. Data first, group second: the group ends before what its children write to.
 */
#include <cosy.h>
#include <stdio.h>

cosy_async static int square(int number, int *out)
{
    cosy_try(cosy_sleep(COSY_MS(50 * number)));
    *out = number * number;
    return 0;
}

cosy_async static int fail_soon(void)
{
    cosy_try(cosy_sleep(COSY_MS(20)));
    return cosy_fail(EIO, "the disk is on fire");
}

cosy_async static int three_squares(int squares[3])
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open(); /* async with asyncio.TaskGroup() as group: */
    for (int i = 0; i < 3; i++)
        cosy_task_group_create_task(group, square, i + 1, &squares[i]);
    return cosy_task_group_wait(group);
}

cosy_async static int one_fails(int *square_of_nine)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task *patient = cosy_task_group_create_task(group, square, 9, square_of_nine); /* would take 450 ms */
    cosy_task_group_create_task(group, fail_soon);

    int error = cosy_task_group_wait(group);
    printf("the group failed: %s\n", cosy_error_message(error));
    printf("its other task was %s\n", cosy_task_cancelled(patient) ? "cancelled" : "forgotten");
    return error;
}

cosy_async static int amain(void)
{
    int squares[3], nine = 0;
    cosy_try(three_squares(squares));
    printf("squares: %d %d %d\n", squares[0], squares[1], squares[2]);
    return one_fails(&nine) == -EIO ? 0 : 1;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * squares: 1 4 9
 * the group failed: the disk is on fire
 * its other task was cancelled
 */
