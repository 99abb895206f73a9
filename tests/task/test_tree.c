/* The tree of live tasks: who started whom, what each waits for, where, since when; and the report of a deadlock. */
#include "../harness/cosy_test.h"

#define noinline __attribute__((noinline))

static char *tree;

static const char *the_tree(void)
{
    free(tree);
    return tree = written_by(cosy_print_tasks);
}

/* The line of a task, from its name on; "" when it is not told. */
static char line[1000];

static const char *line_of(const char *name)
{
    char wanted[100];
    snprintf(wanted, sizeof wanted, "- %s (", name);
    const char *at = tree ? strstr(tree, wanted) : NULL;
    snprintf(line, sizeof line, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
    return line;
}

/* How deep a task stands: the place of its name in its line. */
static size_t depth_of(const char *name)
{
    char wanted[100];
    snprintf(wanted, sizeof wanted, "- %s (", name);
    const char *at = strstr(tree, wanted), *start = at;
    ck_assert_ptr_nonnull(at);
    while (start > tree && start[-1] != '\n')
        start--;
    return (size_t)(at - start);
}

static noinline int wait_inside(cosy_future *f)
{
    int result = cosy_await(f);
    __asm__ volatile("");
    return result;
}

static noinline int wait_outside(cosy_future *f)
{
    int result = wait_inside(f);
    __asm__ volatile("");
    return result;
}

static int sleep_for(cosy_ns delay)
{
    return cosy_sleep(delay);
}
static int await_task(cosy_task *t)
{
    return cosy_await(t);
}
static int give(int value)
{
    return value;
}

/* ---- states ---- */

ASYNC_TEST(states_and_waits_are_told)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_task_set_name(cosy_current_task(), "main");
    cosy_scoped(cosy_task) sleeper = cosy_create_task_with((.name = "sleeper"), sleep_for, COSY_S(100));
    cosy_scoped(cosy_task) waiter = cosy_create_task_with((.name = "waiter"), wait_outside, f);
    cosy_scoped(cosy_task) awaiter = cosy_create_task_with((.name = "awaiter"), await_task, sleeper);
    cosy_scoped(cosy_task) yielder = cosy_create_task_with((.name = "yielder"), cosy_yield);
    cosy_try(cosy_yield());
    cosy_scoped(cosy_task) fresh = cosy_create_task_with((.name = "fresh"), give, 0);
    the_tree();
    ck_assert_contains(tree, "6 tasks on the ");
    ck_assert_contains(line_of("main"), "(states_and_waits_are_told_body): running");
    ck_assert_contains(line_of("sleeper"), "(sleep_for): sleeps, for 0.");
    ck_assert_contains(line, " s left");
    ck_assert_contains(line, ", awaited by 'awaiter'");
    ck_assert_contains(tree, "created in states_and_waits_are_told_body (test_tree.c:");
    ck_assert_contains(line_of("waiter"), "(wait_outside): awaits a future, for 0.");
    ck_assert_contains(line_of("awaiter"), "(await_task): awaits task 'sleeper', for 0.");
    ck_assert_contains(line_of("yielder"), ": ready to go on");
    ck_assert_contains(line_of("fresh"), "(give): ready to begin");
    cosy_task_cancel(fresh);
    the_tree();
    ck_assert_contains(line_of("fresh"), ", cancelling");
    cosy_task_cancel(awaiter);
    cosy_future_set_result(f, 0);
    ck_assert_int_eq(cosy_await(waiter), 0);
    ck_assert_int_eq(cosy_await(awaiter), -ECANCELED);
    ck_assert_int_eq(cosy_await(fresh), -ECANCELED);
    return cosy_await(yielder);
}

ASYNC_TEST(time_left_and_time_waited_are_told)
{
    if (!on_simulator())
        return 0;
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = "t"), sleep_for, COSY_S(10));
    cosy_try(cosy_sleep(COSY_S(4)));
    the_tree();
    ck_assert_contains(line_of("t"), "sleeps, for 4.00 s now, 6.00 s left");
    return cosy_await(t);
}

#if COSY_HAVE_LIBDW
ASYNC_TEST(places_are_told_innermost_first)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = "t"), wait_outside, f);
    cosy_try(cosy_yield());
    the_tree();
    const char *inner = strstr(tree, "at wait_inside (test_tree.c:"),
               *outer = strstr(tree, "at wait_outside (test_tree.c:");
    ck_assert_msg(inner && outer && inner < outer, "%s", tree);
    cosy_future_set_result(f, 0);
    return cosy_await(t);
}
#define PLACE_TESTS , places_are_told_innermost_first
#else
#define PLACE_TESTS
#endif

/* ---- shape ---- */

static int grow(int depth, int width)
{
    char name[40];
    cosy_task *children[8];
    for (int i = 0; depth > 0 && i < width; i++) {
        snprintf(name, sizeof name, "n%d.%d", depth, i);
        children[i] = cosy_create_task_with((.name = name), grow, depth - 1, i == 0 ? width : 0);
    }
    int result = cosy_sleep(COSY_S(100));
    for (int i = 0; depth > 0 && i < width; i++) {
        cosy_task_cancel(children[i]);
        cosy_await(children[i]);
        cosy_task_drop(children[i]);
    }
    return result;
}

ASYNC_TEST(children_stand_below_their_parents)
{
    cosy_scoped(cosy_task) root = cosy_create_task_with((.name = "root"), grow, 3, 2);
    for (int i = 0; i < 4; i++)
        cosy_try(cosy_yield());
    the_tree();
    ck_assert_uint_lt(depth_of("root"), depth_of("n3.0"));
    ck_assert_uint_lt(depth_of("n3.0"), depth_of("n2.0"));
    ck_assert_uint_lt(depth_of("n2.0"), depth_of("n1.0"));
    ck_assert_uint_eq(depth_of("n3.0"), depth_of("n3.1"));
    ck_assert_ptr_nonnull(strstr(strstr(tree, "- n2.0 ("), "- n1.1 ("));
    ck_assert_contains(tree, "|- n3.0 (");
    ck_assert_contains(tree, "`- n3.1 (");
    cosy_task_cancel(root);
    return cosy_await(root) != -ECANCELED;
}

static int leave_child(cosy_task **ret_child)
{
    *ret_child = cosy_create_task_with((.name = "orphan"), sleep_for, COSY_S(100));
    return 0;
}

ASYNC_TEST(children_of_ended_tasks_stand_at_the_top)
{
    cosy_task *orphan;
    cosy_task_set_name(cosy_current_task(), "main");
    cosy_scoped(cosy_task) t = cosy_create_task(leave_child, &orphan);
    cosy_try(cosy_await(t));
    the_tree();
    ck_assert_uint_eq(depth_of("orphan"), depth_of("main"));
    cosy_task_cancel(orphan);
    ck_assert_int_eq(cosy_await(orphan), -ECANCELED);
    cosy_task_drop(orphan);
    return 0;
}

static int deep_chain(int depth)
{
    if (depth == 0)
        return cosy_sleep(COSY_S(100));
    cosy_scoped(cosy_task) next = cosy_create_task(deep_chain, depth - 1);
    return cosy_await(next);
}

/* As deep as you like: the report itself must not run out of stack. */
ASYNC_TEST(deep_trees_are_told)
{
    int depth = under_tool() ? 60 : 3000;
    cosy_scoped(cosy_task) t = cosy_create_task(deep_chain, depth);
    for (int i = 0; i < depth + 2; i++)
        cosy_try(cosy_yield());
    the_tree();
    ck_assert_int_eq(occurrences(tree, "(deep_chain): "), depth + 1);
    cosy_task_cancel(t);
    return cosy_await(t) != -ECANCELED;
}

static int print_from_here(void)
{
    the_tree();
    return 0;
}

ASYNC_TEST(any_task_may_ask)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with(
        (.name = "asks", .stack_size = under_tool() ? 1 << 20 : COSY_STACK_SMALL), print_from_here);
    cosy_try(cosy_await(t));
    ck_assert_contains(line_of("asks"), "(print_from_here): running");
    return 0;
}

START_TEST(without_a_loop_there_is_nothing)
{
    ck_assert_str_eq(the_tree(), "no loop is running\n");
}
END_TEST

static int print_once(void)
{
    FILE *nowhere = fopen("/dev/null", "w");
    cosy_print_tasks(nowhere);
    fclose(nowhere);
    return 0;
}

ASYNC_TEST(lack_of_memory_shortens_it)
{
    with_each_allocation_failing(print_once);
    return 0;
}

/* ---- deadlock ---- */

static int await_forever(cosy_future *f)
{
    return cosy_await(f);
}

static int wait_for_each_other(void)
{
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_task_set_name(cosy_current_task(), "one");
    cosy_scoped(cosy_task) other = cosy_create_task_with((.name = "other"), await_forever, f);
    int result = cosy_await(other);
    fprintf(stderr, "one ends: %s\n", cosy_errname(result)); /* its cleanup runs */
    return result;
}

static int child_deadlock(void)
{
    int result = cosy_run(wait_for_each_other);
    return result == -EDEADLK ? 42 : 1;
}

START_TEST(a_deadlock_is_told_with_the_tree)
{
    struct child_end end;
    if (under_valgrind() || live_threads() > 1) /* a tool's: it might end the wait, for all that the library knows */
        return;
    run_child(child_deadlock, &end);
    ck_assert_msg(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 42, "status %x: %s", end.status, end.error);
    ck_assert_contains(end.error, "cosy: deadlock: no task can go on, and nothing is left to wait for\n");
    tree = end.error;
    ck_assert_contains(line_of("one"), "(wait_for_each_other): awaits task 'other'");
    ck_assert_contains(line_of("other"), "(await_forever): awaits a future");
    ck_assert_contains(line, "awaited by 'one'");
    ck_assert_contains(end.error, "created in wait_for_each_other (test_tree.c:");
    ck_assert_contains(end.error, "one ends: ECANCELED");
    ck_assert_int_eq(occurrences(end.error, "cosy: deadlock"), 1);
    tree = NULL;
}
END_TEST

COSY_TEST_MAIN("tree", states_and_waits_are_told, time_left_and_time_waited_are_told PLACE_TESTS,
               children_stand_below_their_parents, children_of_ended_tasks_stand_at_the_top, deep_trees_are_told,
               any_task_may_ask, without_a_loop_there_is_nothing, lack_of_memory_shortens_it,
               a_deadlock_is_told_with_the_tree)
