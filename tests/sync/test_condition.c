/* Tests of conditions. Names in comments are those of the tests in CPython's test_locks.py for the same behaviour. */
#include "../flow/flow_test.h"

static cosy_condition cond;
static int state;

static void begin(void)
{
    cond = (cosy_condition){0};
    state = 0;
}

static size_t waiting(void)
{
    struct cosy_condition_statistics statistics;
    cosy_condition_statistics(&cond, &statistics);
    ck_assert_int_eq(statistics.lock.locked, cosy_condition_locked(&cond));
    return statistics.tasks_waiting;
}

cosy_async static int wait_and_keep(int number)
{
    cosy_try(cosy_condition_acquire(&cond));
    int result = cosy_condition_wait(&cond);
    ck_assert(cosy_condition_locked(&cond));
    say(result == 0 ? "%d" : "%d-%s", number, cosy_errname(result));
    return result;
}

cosy_async static int wait_and_release(int number)
{
    int result = wait_and_keep(number);
    cosy_condition_release(&cond);
    return result;
}

cosy_async static void notify(size_t n)
{
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    ck_assert_int_eq(cosy_condition_notify(&cond, n), 0);
    ck_assert_int_eq(cosy_condition_release(&cond), 0);
}

TASK_TEST(a_notified_task_goes_on_when_it_has_the_lock) /* test_wait */
{
    begin();
    cosy_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(wait_and_keep, i + 1);
    let_all_run(1);
    said("");
    ck_assert(!cosy_condition_locked(&cond));
    ck_assert_uint_eq(waiting(), 3);
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_condition_notify(&cond, 1);
    let_all_run(1);
    said("");
    ck_assert(cosy_condition_locked(&cond));
    cosy_condition_release(&cond);
    let_all_run(1);
    said("1");
    ck_assert(cosy_condition_locked(&cond));
    cosy_condition_notify(&cond, 2);
    let_all_run(1);
    said("");
    cosy_condition_release(&cond);
    let_all_run(1);
    said("2");
    cosy_condition_release(&cond);
    let_all_run(1);
    said("3");
    ck_assert(cosy_condition_locked(&cond));
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

TASK_TEST(so_many_are_notified) /* test_notify */
{
    begin();
    cosy_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(wait_and_release, i + 1);
    let_all_run(1);
    notify(0);
    let_all_run(1);
    said("");
    notify(1);
    let_all_run(1);
    said("1");
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_condition_notify(&cond, 1);
    cosy_condition_notify(&cond, 2048);
    cosy_condition_release(&cond);
    let_all_run(1);
    said("2 3");
    for (int i = 0; i < 3; i++)
        cosy_task_drop(tasks[i]);
    return 0;
}

TASK_TEST(all_are_notified) /* test_notify_all */
{
    begin();
    cosy_scoped(cosy_task) t1 = cosy_create_task(wait_and_release, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(wait_and_release, 2);
    let_all_run(1);
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    ck_assert_int_eq(cosy_condition_notify_all(&cond), 0);
    cosy_condition_release(&cond);
    let_all_run(1);
    said("1 2");
    ck_assert(cosy_task_done(t1) && cosy_task_done(t2));
    return 0;
}

/* test_wait_unacquired, test_notify_unacquired, test_notify_all_unacquired */
TASK_TEST(without_the_lock_nothing_is_waited_for_or_notified)
{
    begin();
    ck_assert_int_eq(cosy_condition_wait(&cond), -COSY_ENOTLOCKED);
    ck_assert_str_eq(cosy_error_message(-COSY_ENOTLOCKED), "cosy_condition_wait: the condition's lock is not held");
    ck_assert_int_eq(cosy_condition_notify(&cond, 1), -COSY_ENOTLOCKED);
    ck_assert_str_eq(cosy_error_message(-COSY_ENOTLOCKED), "cosy_condition_notify: the condition's lock is not held");
    ck_assert_int_eq(cosy_condition_notify_all(&cond), -COSY_ENOTLOCKED);
    ck_assert_int_eq(cosy_condition_release(&cond), -COSY_ENOTLOCKED);
    return 0;
}

/* ---- waiting for something ---- */

static bool state_is(const int *what, int value)
{
    return *what == value;
}

static bool state_is_one(void)
{
    return state == 1;
}

cosy_async static int wait_until_one(int way)
{
    cosy_try(cosy_condition_acquire(&cond));
    int result = way == 0   ? cosy_condition_wait_until(&cond, state == 1)
                 : way == 1 ? cosy_condition_wait_for(&cond, state_is, &state, 1)
                            : cosy_condition_wait_for(&cond, state_is_one);
    say("%d", way);
    cosy_condition_release(&cond);
    return result;
}

TASK_TEST(what_is_waited_for_is_asked_after_each_notification) /* test_wait_for */
{
    for (int way = 0; way < 3; way++) {
        begin();
        cosy_scoped(cosy_task) task = cosy_create_task(wait_until_one, way);
        let_all_run(1);
        notify(1);
        let_all_run(1);
        said("");
        ck_assert_uint_eq(waiting(), 1);
        state = 1;
        notify(1);
        ck_assert_int_eq(cosy_await(task), 0);
        said(way == 0 ? "0" : way == 1 ? "1" : "2");
    }
    return 0;
}

TASK_TEST(what_is_true_already_needs_no_lock) /* test_wait_for_unacquired */
{
    begin();
    ck_assert_int_eq(cosy_condition_wait_until(&cond, true), 0);
    ck_assert_int_eq(cosy_condition_wait_for(&cond, state_is, &state, 0), 0);
    ck_assert_int_eq(cosy_condition_wait_until(&cond, false), -COSY_ENOTLOCKED);
    ck_assert_int_eq(cosy_condition_wait_for(&cond, state_is, &state, 7), -COSY_ENOTLOCKED);
    return 0;
}

TASK_TEST(a_limit_on_a_wait) /* test_timeout_in_block */
{
    begin();
    int err = 0;
    COSY_LOCKED (err, &cond) {
        ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_condition_wait, &cond), COSY_MS(1)), -ETIMEDOUT);
        ck_assert(cosy_condition_locked(&cond));
    }
    ck_assert_uint_eq(waiting(), 0);
    return err;
}

/* ---- cancels ---- */

TASK_TEST(a_cancelled_waiter_has_the_lock_again) /* test_wait_cancel */
{
    begin();
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_condition_wait, &cond); /* with the lock that we took */
    let_all_run(1);
    ck_assert(!cosy_condition_locked(&cond));
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_uint_eq(waiting(), 0);
    ck_assert(cosy_condition_locked(&cond));
    return 0;
}

TASK_TEST(a_cancel_while_it_wants_the_lock_back_waits_for_the_lock) /* test_wait_cancel_after_notify */
{
    begin();
    cosy_scoped(cosy_task) task = cosy_create_task(wait_and_release, 1);
    let_all_run(1);
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_condition_notify(&cond, 1);
    let_all_run(1);               /* it wants the lock */
    for (int i = 0; i < 3; i++) { /* however often */
        cosy_task_cancel(task);
        let_all_run(1);
        ck_assert(!cosy_task_done(task));
    }
    said("");
    cosy_condition_release(&cond);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    said("1-ECANCELED");
    ck_assert(!cosy_condition_locked(&cond));
    return 0;
}

cosy_async static int wait_in_a_sticky_scope(int number)
{
    int err;
    COSY_SCOPE (err, .sticky = true, .after = COSY_MS(1))
        err = wait_and_release(number);
    return err;
}

TASK_TEST(in_a_cancelled_sticky_scope_it_waits_for_the_lock) /* and does not spin */
{
    begin();
    cosy_scoped(cosy_task) one = cosy_create_task(wait_in_a_sticky_scope, 1);
    cosy_scoped(cosy_task) two = cosy_create_task(wait_in_a_sticky_scope, 2);
    let_all_run(1);
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    uint64_t before = turns();
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    ck_assert_uint_le(turns() - before, 30);
    said("");
    cosy_condition_release(&cond);
    ck_assert_int_eq(cosy_await(one), 0);
    ck_assert_int_eq(cosy_await(two), 0);
    said("1-ECANCELED 2-ECANCELED");
    ck_assert(!cosy_condition_locked(&cond));
    return 0;
}

static void cancel_it(void *task)
{
    cosy_task_cancel(task);
}

static void release_it(void *condition)
{
    cosy_condition_release(condition);
}

TASK_TEST(a_cancel_between_the_notification_and_the_lock_keeps_the_lock) /* test_wait_cancel_contested */
{
    begin();
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(cosy_condition_wait, &cond);
    let_all_run(1);
    ck_assert(!cosy_condition_locked(&cond));
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
    cosy_condition_notify(&cond, 1);
    ck_assert_int_eq(cosy_call_soon(loop_now(), cancel_it, task, NULL), 0);
    ck_assert_int_eq(cosy_call_soon(loop_now(), release_it, &cond, NULL), 0);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert(cosy_condition_locked(&cond));
    return 0;
}

cosy_async static int wait_until_set(void)
{
    cosy_try(cosy_condition_acquire(&cond));
    int result = cosy_condition_wait_until(&cond, state != 0);
    cosy_condition_release(&cond);
    return result;
}

TASK_TEST(the_reason_of_a_cancel_stays) /* test_cancelled_error_wakeup, test_cancelled_error_re_aquire */
{
    for (int notified = 0; notified < 2; notified++) {
        begin();
        cosy_scoped(cosy_task) task = cosy_create_task(wait_until_set);
        let_all_run(1);
        ck_assert_int_eq(cosy_condition_acquire(&cond), 0);
        if (notified) {
            state = 1;
            cosy_condition_notify(&cond, 1);
            let_all_run(1);
        }
        cosy_task_cancel_with(task, "foo");
        cosy_condition_release(&cond);
        ck_assert_int_eq(cosy_await(task), -ECANCELED);
        ck_assert_str_eq(cosy_task_cancel_reason(task), "foo");
    }
    return 0;
}

/* ---- no notification is lost ---- */

cosy_async static int consume(void)
{
    cosy_try(cosy_condition_acquire(&cond));
    int result;
    while ((result = cosy_condition_wait_until(&cond, state != 0)) == 0 && state > 0)
        state--;
    cosy_condition_release(&cond);
    return result;
}

/* One item for two consumers, of which the notified one is cancelled, before it runs or when it wants the lock. */
TASK_TEST(a_notification_passes_on_from_one_that_is_cancelled) /* test_cancelled_wakeup, test_cancelled_wakeup_relock */
{
    for (int relocking = 0; relocking < 2; relocking++) {
        begin();
        cosy_scoped(cosy_task) c1 = cosy_create_task(consume);
        cosy_scoped(cosy_task) c2 = cosy_create_task(consume);
        let_all_run(1);
        int err = 0;
        COSY_LOCKED (err, &cond) {
            state = 1;
            cosy_condition_notify(&cond, 1);
            if (relocking)
                let_all_run(1);
            cosy_task_cancel(c1);
            cosy_check(err, cosy_wait_for(cosy_call(cosy_condition_wait, &cond), COSY_MS(1)) == -ETIMEDOUT ? 0 : -EIO);
            ck_assert_int_eq(state, 0);
            state = -1;
            cosy_condition_notify_all(&cond);
        }
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(cosy_await(c1), -ECANCELED);
        ck_assert_int_eq(cosy_await(c2), 0);
    }
    return 0;
}

TASK_TEST(one_cancelled_without_a_notification_wakes_nobody) /* asyncio wakes the next for nothing */
{
    begin();
    cosy_scoped(cosy_task) t1 = cosy_create_task(wait_and_release, 1);
    cosy_scoped(cosy_task) t2 = cosy_create_task(wait_and_release, 2);
    let_all_run(1);
    cosy_task_cancel(t1);
    let_all_run(3);
    said("1-ECANCELED");
    ck_assert_uint_eq(waiting(), 1);
    notify(1);
    ck_assert_int_eq(cosy_await(t2), 0);
    said("2");
    return 0;
}

/* ---- a shared lock ---- */

cosy_async static int check_shared(cosy_lock *lock, cosy_condition *condition)
{
    int err = 0;
    ck_assert_ptr_eq(cosy_condition_lock(condition), lock);
    ck_assert(!cosy_lock_locked(lock) && !cosy_condition_locked(condition));
    COSY_LOCKED (err, condition)
        ck_assert(cosy_lock_locked(lock) && cosy_condition_locked(condition));
    ck_assert(!cosy_lock_locked(lock) && !cosy_condition_locked(condition));
    COSY_LOCKED (err, lock)
        ck_assert(cosy_lock_locked(lock) && cosy_condition_locked(condition));
    ck_assert(!cosy_lock_locked(lock) && !cosy_condition_locked(condition));
    return err;
}

TASK_TEST(a_lock_of_its_own_or_a_given_one) /* test_explicit_lock, test_repr, test_context_manager */
{
    begin();
    ck_assert_int_eq(check_shared(cosy_condition_lock(&cond), &cond), 0);
    cosy_lock lock = {0};
    cosy_condition condition = COSY_CONDITION(&lock);
    return check_shared(&lock, &condition);
}

static cosy_lock mutex;
static cosy_condition not_full = COSY_CONDITION(&mutex), not_empty = COSY_CONDITION(&mutex);
static int items;

cosy_async static int produce(int count)
{
    int err = 0;
    for (int i = 0; i < count; i++)
        COSY_LOCKED (err, &mutex) {
            cosy_try(cosy_condition_wait_until(&not_full, items < 2));
            items++;
            cosy_condition_notify(&not_empty, 1);
        }
    return err;
}

cosy_async static int take(int count)
{
    int err = 0;
    for (int i = 0; i < count; i++)
        COSY_LOCKED (err, &not_empty) {
            cosy_try(cosy_condition_wait_until(&not_empty, items > 0));
            items--;
            cosy_condition_notify(&not_full, 1);
        }
    return err;
}

TASK_TEST(two_conditions_share_a_lock)
{
    items = 0;
    ck_assert_int_eq(cosy_gather(cosy_call(take, 5), cosy_call(produce, 10), cosy_call(take, 5)), 0);
    ck_assert_int_eq(items, 0);
    return 0;
}

TASK_TEST(trying_takes_the_lock)
{
    begin();
    ck_assert_int_eq(cosy_condition_try_acquire(&cond), 0);
    ck_assert_int_eq(cosy_condition_try_acquire(&cond), -EAGAIN);
    return cosy_condition_release(&cond);
}

/* ---- loops ---- */

cosy_async static int stop_and_wait(cosy_loop *loop)
{
    cosy_loop_stop(loop);
    return wait_and_release(1);
}

cosy_async static int meddle(void)
{
    ck_assert_int_eq(cosy_condition_acquire(&cond), 0); /* the lock is free, but who waits is elsewhere */
    ck_assert_int_eq(cosy_condition_wait(&cond), -COSY_EOTHERLOOP);
    ck_assert(strstr(cosy_error_message(-COSY_EOTHERLOOP), "cosy_condition_wait: tasks of another loop") != NULL);
    ck_assert_int_eq(cosy_condition_notify(&cond, 1), -COSY_EOTHERLOOP);
    return cosy_condition_release(&cond);
}

START_TEST(what_is_waited_for_in_another_loop_is_out_of_reach) /* test_ambiguous_loops */
{
    begin_test();
    begin();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *task = cosy_create_task_with((.loop = loop), stop_and_wait, loop);
    cosy_loop_run_forever(loop);
    ck_assert_uint_eq(waiting(), 1);
    ck_assert_int_eq(cosy_condition_wait(&cond), -COSY_ENOTASK);
    ck_assert_int_eq(cosy_run(meddle), 0);
    ck_assert_int_eq(cosy_condition_try_acquire(&cond), 0);
    ck_assert_int_eq(cosy_condition_notify(&cond, 1), 0); /* no loop runs here, and theirs stands still */
    ck_assert_int_eq(cosy_condition_release(&cond), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, task), 0);
    said("1");
    cosy_task_drop(task);
    cosy_loop_free(loop);
}
END_TEST

TESTS_MAIN("condition", a_notified_task_goes_on_when_it_has_the_lock, so_many_are_notified, all_are_notified,
           without_the_lock_nothing_is_waited_for_or_notified, what_is_waited_for_is_asked_after_each_notification,
           what_is_true_already_needs_no_lock, a_limit_on_a_wait, a_cancelled_waiter_has_the_lock_again,
           a_cancel_while_it_wants_the_lock_back_waits_for_the_lock, in_a_cancelled_sticky_scope_it_waits_for_the_lock,
           a_cancel_between_the_notification_and_the_lock_keeps_the_lock, the_reason_of_a_cancel_stays,
           a_notification_passes_on_from_one_that_is_cancelled, one_cancelled_without_a_notification_wakes_nobody,
           a_lock_of_its_own_or_a_given_one, two_conditions_share_a_lock, trying_takes_the_lock,
           what_is_waited_for_in_another_loop_is_out_of_reach)
