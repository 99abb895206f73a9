/* Tests of locks: who gets one when, cancels at each moment, what cannot be. Names in comments are those of the tests
 * in CPython's test_locks.py for the same behaviour. */
#include "../flow/flow_test.h"

static cosy_lock lock;

cosy_async static int acquire_and_say(int number)
{
    int result = cosy_lock_acquire(&lock);
    say(result == 0 ? "%d" : "%d-%s", number, cosy_errname(result));
    return result;
}

static size_t waiting(void)
{
    struct cosy_lock_statistics statistics;
    cosy_lock_statistics(&lock, &statistics);
    ck_assert_int_eq(statistics.locked, cosy_lock_locked(&lock));
    return statistics.tasks_waiting;
}

static cosy_task *owner(void)
{
    struct cosy_lock_statistics statistics;
    cosy_lock_statistics(&lock, &statistics);
    return statistics.owner;
}

TASK_TEST(a_zeroed_lock_is_free) /* test_repr, test_release_no_waiters */
{
    lock = (cosy_lock){0};
    uint64_t before = turns();
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    ck_assert(cosy_lock_locked(&lock));
    ck_assert_ptr_eq(owner(), cosy_current_task());
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_int_eq(cosy_lock_release(&lock), 0);
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_ptr_null(owner());
    ck_assert_uint_eq(turns(), before); /* none of it suspends */
    return 0;
}

TASK_TEST(a_free_lock_cannot_be_released) /* test_release_not_acquired */
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_release(&lock), -COSY_ENOTLOCKED);
    ck_assert_str_eq(cosy_error_message(-COSY_ENOTLOCKED), "a lock that is not held cannot be released");
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    ck_assert_int_eq(cosy_lock_release(&lock), 0);
    ck_assert_int_eq(cosy_lock_release(&lock), -COSY_ENOTLOCKED);
    return 0;
}

TASK_TEST(each_release_lets_the_next_in_line_go_on) /* test_acquire */
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_scoped(cosy_task) t1 = cosy_create_task(acquire_and_say, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(acquire_and_say, 2);
    let_all_run(1);
    said("");
    ck_assert_uint_eq(waiting(), 2);
    cosy_lock_release(&lock);
    ck_assert(!cosy_lock_locked(&lock)); /* woken, not handed over */
    ck_assert_uint_eq(waiting(), 2);
    let_all_run(1);
    said("1");
    ck_assert(cosy_lock_locked(&lock));
    let_all_run(1);
    said("");
    cosy_scoped(cosy_task) t3 = cosy_create_task(acquire_and_say, 3);
    cosy_lock_release(&lock);
    let_all_run(1);
    said("2");
    cosy_lock_release(&lock);
    let_all_run(1);
    said("3");
    ck_assert(cosy_task_done(t1) && cosy_task_done(t2) && cosy_task_done(t3));
    cosy_lock_release(&lock);
    return 0;
}

TASK_TEST(nobody_overtakes_the_one_that_was_woken)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_scoped(cosy_task) t1 = cosy_create_task(acquire_and_say, 1);
    let_all_run(1);
    cosy_lock_release(&lock);
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), -EAGAIN);
    ck_assert_int_eq(cosy_lock_release(&lock), -COSY_ENOTLOCKED); /* on its way, but nobody's */
    cosy_scoped(cosy_task) t2 = cosy_create_task(acquire_and_say, 2);
    ck_assert_int_eq(cosy_await(t1), 0);
    ck_assert_ptr_null(owner()); /* it has ended with the lock held */
    ck_assert(cosy_lock_locked(&lock));
    cosy_lock_release(&lock);
    ck_assert_int_eq(cosy_await(t2), 0);
    said("1 2");
    return 0;
}

/* Once taken and released in a row, the releaser joins the line behind those that wait. */
cosy_async static int take_three_times(const char *name)
{
    for (int i = 1; i <= 3; i++) {
        cosy_try(cosy_lock_acquire(&lock));
        say("%s%d", name, i);
        int slept = cosy_sleep(0);
        cosy_lock_release(&lock);
        cosy_try(slept);
    }
    return 0;
}

TASK_TEST(tasks_take_turns)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_gather(cosy_call(take_three_times, "a"), cosy_call(take_three_times, "b"),
                                 cosy_call(take_three_times, "c")),
                     0);
    said("a1 b1 c1 a2 b2 c2 a3 b3 c3");
    return 0;
}

TASK_TEST(a_cancelled_waiter_leaves_the_line) /* test_acquire_cancel */
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_scoped(cosy_task) t1 = cosy_create_task(acquire_and_say, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(acquire_and_say, 2);
    let_all_run(1);
    cosy_task_cancel(t1);
    ck_assert_uint_eq(waiting(), 1);
    ck_assert_int_eq(cosy_await(t1), -ECANCELED);
    cosy_task_cancel(t2);
    ck_assert_int_eq(cosy_await(t2), -ECANCELED);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert_ptr_eq(owner(), cosy_current_task());
    said("1-ECANCELED 2-ECANCELED");
    return cosy_lock_release(&lock);
}

TASK_TEST(a_waiter_cancelled_in_the_middle_of_the_line)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(acquire_and_say, i);
    let_all_run(1);
    cosy_task_cancel(tasks[1]);
    for (int i = 0; i < 3; i++) {
        cosy_lock_release(&lock);
        let_all_run(1);
    }
    said("1-ECANCELED 0 2");
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

cosy_async static int hold_until(cosy_event *event)
{
    cosy_try(cosy_lock_acquire(&lock));
    int result = event ? cosy_event_wait(event) : 0;
    cosy_lock_release(&lock);
    return result;
}

TASK_TEST(a_release_passes_over_a_waiter_that_was_cancelled_just_before) /* test_cancel_race */
{
    lock = (cosy_lock){0};
    cosy_event blocker = {0};
    cosy_scoped(cosy_task) a = cosy_create_task(hold_until, &blocker);
    cosy_scoped(cosy_task) b = cosy_create_task(hold_until, NULL);
    cosy_scoped(cosy_task) c = cosy_create_task(hold_until, NULL);
    let_all_run(1);
    ck_assert_uint_eq(waiting(), 2);
    cosy_event_set(&blocker);
    cosy_task_cancel(b);
    let_all_run(1);
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert(cosy_task_done(a) && cosy_task_cancelled(b));
    ck_assert_int_eq(cosy_await(c), 0);
    return 0;
}

TASK_TEST(a_cancel_and_a_release_let_one_task_in) /* test_cancel_release_race */
{
    for (int woken_first = 0; woken_first < 2; woken_first++) {
        lock = (cosy_lock){0};
        ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
        cosy_scoped(cosy_task) t1 = cosy_create_task(acquire_and_say, 1);
        cosy_scoped(cosy_task) t2 = cosy_create_task(acquire_and_say, 2);
        cosy_scoped(cosy_task) t3 = cosy_create_task(acquire_and_say, 3);
        let_all_run(1);
        if (woken_first)
            cosy_lock_release(&lock);
        cosy_task_cancel(t1);
        if (!woken_first)
            cosy_lock_release(&lock);
        let_all_run(3);
        said("1-ECANCELED 2");
        ck_assert(cosy_task_cancelled(t1) && cosy_task_done(t2) && !cosy_task_done(t3));
        cosy_task_cancel(t3);
        ck_assert_int_eq(cosy_await(t3), -ECANCELED);
        said("3-ECANCELED");
        cosy_lock_release(&lock);
    }
    return 0;
}

TASK_TEST(a_cancelled_waiter_does_not_keep_a_newcomer_out) /* test_finished_waiter_cancelled */
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_scoped(cosy_task) tb = cosy_create_task(acquire_and_say, 1);
    let_all_run(1);
    cosy_scoped(cosy_task) tc = cosy_create_task(acquire_and_say, 2);
    cosy_task_cancel(tb);
    cosy_lock_release(&lock);
    let_all_run(1);
    ck_assert(cosy_lock_locked(&lock));
    ck_assert(cosy_task_cancelled(tb));
    ck_assert_int_eq(cosy_await(tc), 0);
    said("2 1-ECANCELED");
    return 0;
}

TASK_TEST(a_woken_waiter_that_is_cancelled_leaves_a_free_lock_behind)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(acquire_and_say, 1);
    let_all_run(1);
    cosy_lock_release(&lock);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), 0);
    said("1-ECANCELED");
    return cosy_lock_release(&lock);
}

TASK_TEST(a_cancel_that_was_asked_for_before_meets_the_wait_not_the_free_lock)
{
    lock = (cosy_lock){0};
    cosy_task *me = cosy_current_task();
    cosy_task_cancel(me);
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    ck_assert_int_eq(cosy_lock_acquire(&lock), -ECANCELED);
    ck_assert_uint_eq(waiting(), 0);
    cosy_task_uncancel(me);
    return cosy_lock_release(&lock);
}

TASK_TEST(a_limit_on_a_lock)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_lock_acquire, &lock), COSY_MS(1)), -ETIMEDOUT);
    ck_assert_uint_eq(waiting(), 0);
    cosy_lock_release(&lock);
    ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_lock_acquire, &lock), COSY_MS(1)), 0);
    return cosy_lock_release(&lock);
}

TASK_TEST(trying_does_not_wait)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), 0);
    ck_assert_ptr_eq(owner(), cosy_current_task());
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), -EAGAIN);
    return cosy_lock_release(&lock);
}

/* A test in which the library looks for places: the debug information stays open then, so descriptors are not counted.
 */
#define UNWINDING_TEST(name)                                                                                           \
    cosy_async static int name##_body(void);                                                                           \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        begin_test();                                                                                                  \
        ck_assert_int_eq(cosy_run(name##_body), 0);                                                                    \
        ck_assert_str_eq(logged, "");                                                                                  \
        ck_assert_str_eq(trace, "");                                                                                   \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    cosy_async static int name##_body(void)

/* ---- callbacks ---- */

static void take_from_callback(void *arg)
{
    (void)arg;
    say("%d", cosy_lock_try_acquire(&lock));
    ck_assert_int_eq(cosy_lock_acquire(&lock), -COSY_ENOTASK);
}

static void release_from_callback(void *arg)
{
    (void)arg;
    say("released %d", cosy_lock_release(&lock));
}

UNWINDING_TEST(callbacks_try_and_release_and_cannot_wait)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_call_soon(loop_now(), take_from_callback, NULL, NULL), 0);
    let_all_run(1);
    ck_assert(cosy_lock_locked(&lock));
    ck_assert_ptr_null(owner());
    ck_assert_int_eq(cosy_call_soon(loop_now(), release_from_callback, NULL, NULL), 0);
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    said("0 released 0");
    logs("cosy_lock_acquire");
    return cosy_lock_release(&lock);
}

START_TEST(outside_of_loops_nothing_waits)
{
    begin_test();
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), -COSY_ENOTASK);
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), 0);
    ck_assert_int_eq(cosy_lock_release(&lock), 0);
}
END_TEST

/* ---- the task tree ---- */

static char *tree_now(void)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    cosy_print_tasks(stream);
    fclose(stream);
    return text;
}

cosy_async static int hold_long(void)
{
    cosy_try(cosy_lock_acquire(&lock));
    int result = cosy_sleep(COSY_S(1000));
    cosy_lock_release(&lock);
    return result;
}

UNWINDING_TEST(the_task_tree_tells_who_holds_the_lock)
{
    lock = (cosy_lock){0};
    cosy_scoped(cosy_task) holder = cosy_create_task_with((.name = "holder"), hold_long);
    cosy_scoped(cosy_task) waiter = cosy_create_task(acquire_and_say, 1);
    let_all_run(1);
    char *text = tree_now();
    ck_assert_msg(strstr(text, "waits for a lock that 'holder' holds") != NULL, "%s", text);
    free(text);
    cosy_task_cancel(holder);
    ck_assert_int_eq(cosy_await(waiter), 0);
    cosy_scoped(cosy_task) next = cosy_create_task(acquire_and_say, 2);
    let_all_run(1);
    text = tree_now(); /* whose holder has ended */
    ck_assert_msg(strstr(text, "waits for a lock, for") != NULL, "%s", text);
    free(text);
    cosy_lock_release(&lock);
    ck_assert_int_eq(cosy_await(next), 0);
    said("1 2");
    return cosy_lock_release(&lock);
}

/* ---- a loop that closes under them, memory that runs out ---- */

START_TEST(a_closed_loop_takes_its_waiters_along)
{
    begin_test();
    lock = (cosy_lock){0};
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), 0);
    cosy_task *tasks[2];
    for (int i = 0; i < 2; i++)
        tasks[i] = cosy_create_task_with((.loop = loop), acquire_and_say, i);
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_uint_eq(waiting(), 2);
    cosy_loop_close(loop);
    ck_assert_uint_eq(waiting(), 0);
    for (int i = 0; i < 2; i++)
        cosy_task_drop(tasks[i]);
    cosy_loop_free(loop);
    logs("Task was destroyed but it is pending");
    ck_assert_int_eq(cosy_lock_release(&lock), 0);
}
END_TEST

TASK_TEST(waiting_allocates_nothing)
{
    enum { MANY = 1000 };
    lock = (cosy_lock){0};
    cosy_task **tasks = calloc(MANY, sizeof *tasks);
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(tasks[i] = cosy_create_task(hold_until, NULL));
    let_all_run(1);
    ck_assert_uint_eq(waiting(), MANY);
    cosy_heap_fail_nth(1, true);
    cosy_lock_release(&lock);
    let_all_run(MANY + 1);
    long counted = cosy_heap_counted();
    cosy_heap_fail_nth(0, false);
    ck_assert_int_eq(counted, 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert(cosy_task_done(tasks[i]));
        cosy_task_drop(tasks[i]);
    }
    free(tasks);
    return 0;
}

TASK_TEST(a_tiny_stack_is_enough_to_wait)
{
    lock = (cosy_lock){0};
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    size_t size = under_tool() ? COSY_STACK_SMALL : COSY_STACK_TINY; /* whose frames are larger */
    cosy_scoped(cosy_task) task = cosy_create_task_with((.stack_size = size), hold_until, NULL);
    let_all_run(1);
    ck_assert_uint_eq(waiting(), 1);
    cosy_lock_release(&lock);
    return cosy_await(task);
}

/* ---- other loops ---- */

cosy_async static int hold_a_while(cosy_loop *loop)
{
    cosy_try(cosy_lock_acquire(&lock));
    cosy_loop_stop(loop);
    cosy_try(cosy_sleep(0));
    return cosy_lock_release(&lock);
}

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_lock_acquire(&lock), -COSY_EOTHERLOOP);
    ck_assert(strstr(cosy_error_message(-COSY_EOTHERLOOP), "cosy_lock_acquire: tasks of another loop") != NULL);
    ck_assert_int_eq(cosy_lock_try_acquire(&lock), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_lock_release(&lock), -COSY_EOTHERLOOP);
    ck_assert_ptr_null(owner());
    return 0;
}

cosy_async static int use_it(void)
{
    cosy_try(cosy_lock_acquire(&lock));
    return cosy_lock_release(&lock);
}

START_TEST(what_another_loop_holds_is_out_of_reach_until_it_is_free) /* test_ambiguous_loops */
{
    begin_test();
    lock = (cosy_lock){0};
    cosy_loop *one;
    ck_assert_int_eq(cosy_loop_new(&one), 0);
    cosy_task *holder = cosy_create_task_with((.loop = one), hold_a_while, one);
    cosy_task *waiter = cosy_create_task_with((.loop = one), use_it);
    cosy_loop_run_forever(one); /* until it is held and waited for */
    ck_assert_uint_eq(waiting(), 1);
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert(cosy_lock_locked(&lock));
    ck_assert_int_eq(cosy_run_until_complete(one, waiter), 0);
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_int_eq(cosy_run(use_it), 0); /* an idle one moves */
    cosy_task_drop(holder);
    cosy_task_drop(waiter);
    cosy_loop_free(one);
    ck_assert_str_eq(logged, "");
}
END_TEST

TESTS_MAIN("lock", a_zeroed_lock_is_free, a_free_lock_cannot_be_released, each_release_lets_the_next_in_line_go_on,
           nobody_overtakes_the_one_that_was_woken, tasks_take_turns, a_cancelled_waiter_leaves_the_line,
           a_waiter_cancelled_in_the_middle_of_the_line, a_release_passes_over_a_waiter_that_was_cancelled_just_before,
           a_cancel_and_a_release_let_one_task_in, a_cancelled_waiter_does_not_keep_a_newcomer_out,
           a_woken_waiter_that_is_cancelled_leaves_a_free_lock_behind,
           a_cancel_that_was_asked_for_before_meets_the_wait_not_the_free_lock, a_limit_on_a_lock, trying_does_not_wait,
           callbacks_try_and_release_and_cannot_wait, outside_of_loops_nothing_waits,
           the_task_tree_tells_who_holds_the_lock, a_closed_loop_takes_its_waiters_along, waiting_allocates_nothing,
           a_tiny_stack_is_enough_to_wait, what_another_loop_holds_is_out_of_reach_until_it_is_free)
