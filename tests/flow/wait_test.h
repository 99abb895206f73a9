/* wait_test.h - what the tests of waiting for several things share: the task tree as text, and loops that close under a
 * wait. */
#ifndef COSY_TESTS_WAIT_TEST_H
#define COSY_TESTS_WAIT_TEST_H

#include "flow_test.h"

void cosy_unwind_release(void);

#define LONG COSY_S(1000)

/* That the tree of tasks says it. */
__attribute__((unused)) static void tree_tells(const char *part)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cosy_print_tasks(out);
    fclose(out);
    cosy_unwind_release(); /* what it keeps open of the program's file is no leak */
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in the tree:\n%s", part, text);
    free(text);
}

/* fn(never) as a task of a loop that is closed after some turns: LSan and valgrind would tell what stays behind. A task
 * that stands on the queue then cannot give back what its frames hold, so it has to be waiting, or not begun. */
__attribute__((unused)) static void close_under_after(int (*fn)(cosy_future *), int first)
{
    begin_test();
    for (int turns_made = first; turns_made < first + 6; turns_made++) {
        cosy_loop *loop;
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        cosy_future *never = cosy_future_new(loop);
        cosy_task *task = cosy_create_task_with((.loop = loop), fn, never);
        for (int i = 0; i < turns_made; i++)
            cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(cosy_loop_close(loop), 0);
        ck_assert(cosy_task_cancelled(task));
        logs("Task was destroyed but it is pending");
        cosy_task_drop(task);
        cosy_future_drop(never);
        cosy_loop_free(loop);
    }
}

__attribute__((unused)) static void close_under(int (*fn)(cosy_future *))
{
    close_under_after(fn, 0);
}

__attribute__((unused)) static cosy_future *future_now(int64_t result)
{
    cosy_future *future = cosy_future_new(NULL);
    cosy_future_set_result(future, result);
    return future;
}

#endif
