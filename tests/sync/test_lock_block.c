/* Tests of COSY_LOCKED: each way into the block and out of it. Names in comments are those of the tests in CPython's
 * test_locks.py and test_pep492.py for the same behaviour. */
#include "../flow/flow_test.h"

static cosy_lock lock;
static cosy_condition cond;
static cosy_semaphore sem, bounded;

static void begin(void)
{
    lock = (cosy_lock){0};
    cond = (cosy_condition){0};
    ck_assert_int_eq(cosy_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(cosy_semaphore_init_bounded(&bounded, 1), 0);
}

/* test_context_manager (of locks and of conditions), test_context_manager_async_with */
TASK_TEST(a_block_holds_it_and_its_end_gives_it_up)
{
    begin();
    int err = 0, entered = 0;
    COSY_LOCKED (err, &lock) {
        ck_assert(cosy_lock_locked(&lock));
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
        ck_assert(cosy_lock_locked(&lock));
        entered++;
    }
    ck_assert(!cosy_lock_locked(&lock));
    COSY_LOCKED (err, &cond) {
        ck_assert(cosy_condition_locked(&cond));
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
        ck_assert(cosy_condition_locked(&cond));
        entered++;
    }
    ck_assert(!cosy_condition_locked(&cond));
    cosy_semaphore *const semaphores[] = {&sem, &bounded};
    for (int i = 0; i < 2; i++) {
        COSY_LOCKED (err, semaphores[i]) {
            ck_assert(cosy_semaphore_locked(semaphores[i]));
            ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
            ck_assert(cosy_semaphore_locked(semaphores[i]));
            entered++;
        }
        ck_assert_int_eq(cosy_semaphore_value(semaphores[i]), 1);
    }
    ck_assert_int_eq(entered, 4);
    return err;
}

cosy_async static int returns_early(int value)
{
    int err = 0;
    COSY_LOCKED (err, &lock) {
        COSY_LOCKED (err, &sem) {
            ck_assert(cosy_lock_locked(&lock) && cosy_semaphore_locked(&sem));
            cosy_try(value);
            return value + 1;
        }
    }
    return -EIO;
}

TASK_TEST(return_and_try_give_it_up)
{
    begin();
    ck_assert_int_eq(returns_early(1), 2);
    ck_assert(!cosy_lock_locked(&lock) && !cosy_semaphore_locked(&sem));
    ck_assert_int_eq(returns_early(-EINVAL), -EINVAL);
    ck_assert(!cosy_lock_locked(&lock) && !cosy_semaphore_locked(&sem));
    return 0;
}

TASK_TEST(break_continue_and_check_give_it_up)
{
    begin();
    int err = 0, after = 0;
    COSY_LOCKED (err, &lock) {
        if (cosy_lock_locked(&lock))
            break;
        after++;
    }
    ck_assert(!cosy_lock_locked(&lock));
    COSY_LOCKED (err, &lock) {
        if (cosy_lock_locked(&lock))
            continue;
        after++;
    }
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_int_eq(err, 0);
    COSY_LOCKED (err, &lock) {
        cosy_check(err, fail_with(EIO));
        after++;
    }
    ck_assert_int_eq(err, -EIO);
    ck_assert(!cosy_lock_locked(&lock));
    ck_assert_int_eq(after, 0);
    return 0;
}

cosy_async static int hold_long(void)
{
    int err = 0;
    COSY_LOCKED (err, &lock) {
        say("in");
        cosy_check(err, cosy_sleep(COSY_S(1000)));
        say("never");
    }
    say("out");
    return err;
}

TASK_TEST(a_cancel_inside_gives_it_up_and_one_before_keeps_it_out)
{
    begin();
    cosy_scoped(cosy_task) holder = cosy_create_task(hold_long);
    cosy_scoped(cosy_task) waiter = cosy_create_task(hold_long);
    let_all_run(1);
    said("in");
    cosy_task_cancel(waiter);
    ck_assert_int_eq(cosy_await(waiter), -ECANCELED);
    said("out");
    cosy_task_cancel(holder);
    ck_assert_int_eq(cosy_await(holder), -ECANCELED);
    said("out");
    ck_assert(!cosy_lock_locked(&lock));
    return 0;
}

TASK_TEST(what_cannot_be_taken_is_not_entered)
{
    int err = 0;
    cosy_semaphore wrong = COSY_SEMAPHORE(-1);
    COSY_LOCKED (err, &wrong)
        ck_abort();
    ck_assert_int_eq(err, -EINVAL);
    return 0;
}

TASK_TEST(a_limit_around_it_and_one_inside)
{
    begin();
    int err = 0, inner = 0;
    ck_assert_int_eq(cosy_lock_acquire(&lock), 0);
    COSY_TIMEOUT (err, COSY_MS(1)) {
        COSY_LOCKED (err, &lock)
            ck_abort();
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    cosy_lock_release(&lock);
    err = 0;
    COSY_LOCKED (err, &lock) {
        COSY_TIMEOUT (inner, COSY_MS(1)) {
            cosy_check(inner, cosy_sleep(COSY_S(1000)));
        }
        ck_assert(cosy_lock_locked(&lock));
    }
    ck_assert_int_eq(inner, -ETIMEDOUT);
    ck_assert_int_eq(err, 0);
    ck_assert(!cosy_lock_locked(&lock));
    return 0;
}

TASK_TEST(a_block_that_gave_it_up_itself_is_told)
{
    begin();
    int err = 0;
    COSY_LOCKED (err, &lock) {
        ck_assert_int_eq(cosy_lock_release(&lock), 0);
    }
    ck_assert_int_eq(err, -COSY_ENOTLOCKED);
    err = 0;
    COSY_LOCKED (err, &lock) {
        ck_assert_int_eq(cosy_lock_release(&lock), 0);
        err = -EIO; /* the block's own error comes first */
    }
    ck_assert_int_eq(err, -EIO);
    return 0;
}

/* ---- a state machine whose transitions take time: they come one after the other, and the log is in their order ----
 */

struct machine {
    cosy_lock lock;
    const char *state;
};

cosy_async static int go_to(struct machine *machine, const char *next)
{
    int err = 0;
    COSY_LOCKED (err, &machine->lock) {
        const char *before = machine->state;
        cosy_check(err, cosy_sleep(COSY_US(50)));
        ck_assert_ptr_eq(machine->state, before); /* nobody came between */
        machine->state = next;
        say("%s>%s", before, next);
    }
    return err;
}

TASK_TEST(transitions_of_a_state_machine_do_not_mix)
{
    struct machine machine = {.state = "WAITING"};
    ck_assert_int_eq(cosy_gather(cosy_call(go_to, &machine, "THINKING"), cosy_call(go_to, &machine, "TOOL_CALLING"),
                                 cosy_call(go_to, &machine, "WAITING")),
                     0);
    said("WAITING>THINKING THINKING>TOOL_CALLING TOOL_CALLING>WAITING");
    return 0;
}

TESTS_MAIN("lock block", a_block_holds_it_and_its_end_gives_it_up, return_and_try_give_it_up,
           break_continue_and_check_give_it_up, a_cancel_inside_gives_it_up_and_one_before_keeps_it_out,
           what_cannot_be_taken_is_not_entered, a_limit_around_it_and_one_inside,
           a_block_that_gave_it_up_itself_is_told, transitions_of_a_state_machine_do_not_mix)
