/* barrier_test.h - what the tests of barriers share. */
#ifndef COSY_TESTS_BARRIER_TEST_H
#define COSY_TESTS_BARRIER_TEST_H

#include "../flow/flow_test.h"

static cosy_barrier barrier;

static void begin(int parties)
{
    barrier = (cosy_barrier)COSY_BARRIER(parties);
}

__attribute__((unused)) static enum cosy_barrier_state state_of(const cosy_barrier *of)
{
    struct cosy_barrier_statistics statistics;
    cosy_barrier_statistics(of, &statistics);
    ck_assert_int_eq(cosy_barrier_broken(of), statistics.state == COSY_BARRIER_BROKEN);
    return statistics.state;
}

/* Waits, says its index or error; only a cancel comes out as one. */
cosy_async __attribute__((unused)) static int just_wait(void)
{
    int index = cosy_barrier_wait(&barrier);
    if (index < 0)
        say("%s", cosy_errname(index));
    else
        say("%d", index);
    return index == -ECANCELED ? index : 0;
}

/* Runs fn in n tasks; all must end well. */
cosy_async __attribute__((unused)) static void all_wait(int n, int (*fn)(void))
{
    cosy_task *tasks[8];
    for (int i = 0; i < n; i++)
        ck_assert_ptr_nonnull(tasks[i] = cosy_create_task(fn));
    ck_assert_int_eq(cosy_gather_tasks(tasks, (size_t)n, NULL), 0);
    for (int i = 0; i < n; i++)
        cosy_task_drop(tasks[i]);
}

#endif
