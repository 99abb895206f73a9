/* Signals as callbacks of the loop. */
#include "loop_test.h"

static int turn(cosy_loop *loop)
{
    int result = cosy_loop_run_once(loop, 0);
    ck_assert_int_ge(result, 0);
    return result;
}

static void (*disposition(int signum))(int)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(signum, NULL, &action), 0);
    return action.sa_handler;
}

START_TEST(a_handler_runs_in_a_turn_and_not_in_the_signal)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(ran, 0);
    ck_assert_int_eq(turn(loop), 1);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(turn(loop), 0);
    raise(SIGUSR1);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(each_signal_has_its_handler)
{
    cosy_loop *loop = new_loop();
    int last = under_valgrind() ? SIGRTMAX - 1 : SIGRTMAX; /* valgrind keeps it for itself */
    trace_clear();
    cosy_add_signal_handler(loop, SIGUSR2, trace_letter, L('2'));
    cosy_add_signal_handler(loop, SIGUSR1, trace_letter, L('1'));
    cosy_add_signal_handler(loop, SIGRTMIN, trace_letter, L('r'));
    cosy_add_signal_handler(loop, last, trace_letter, L('R'));
    raise(last);
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGRTMIN);
    turn(loop);
    ck_assert_str_eq(trace.text, "12rR");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(adding_again_replaces)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_add_signal_handler(loop, SIGUSR1, trace_letter, L('a'));
    cosy_add_signal_handler(loop, SIGUSR1, trace_letter, L('b'));
    raise(SIGUSR1);
    turn(loop);
    ck_assert_str_eq(trace.text, "b");
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 0);
    cosy_loop_free(loop);
}
END_TEST

static void replace_the_queued_one(void *arg)
{
    trace_add('1');
    ck_assert_int_eq(cosy_add_signal_handler(arg, SIGUSR2, trace_letter, L('n')), 0);
}

START_TEST(what_is_replaced_in_its_batch_does_not_run)
{
    static cosy_contextvar var = COSY_CONTEXTVAR("var", NULL);
    cosy_loop *loop = new_loop();
    trace_clear();
    ck_assert_int_eq(cosy_contextvar_set(&var, loop, NULL), 0); /* the queued copy must not leak */
    cosy_add_signal_handler(loop, SIGUSR1, replace_the_queued_one, loop);
    cosy_add_signal_handler(loop, SIGUSR2, trace_letter, L('o'));
    raise(SIGUSR1);
    raise(SIGUSR2);
    turn(loop);
    turn(loop);
    ck_assert_str_eq(trace.text, "1");
    raise(SIGUSR2);
    turn(loop);
    ck_assert_str_eq(trace.text, "1n");
    cosy_loop_free(loop);
}
END_TEST

static void remove_the_queued_one(void *arg)
{
    trace_add('1');
    ck_assert_int_eq(cosy_remove_signal_handler(arg, SIGUSR2), 1);
    ck_assert_int_eq(cosy_remove_signal_handler(arg, SIGUSR1), 1); /* and itself */
}

START_TEST(what_is_removed_in_its_batch_does_not_run)
{
    static cosy_contextvar var = COSY_CONTEXTVAR("var", NULL);
    cosy_loop *loop = new_loop();
    trace_clear();
    ck_assert_int_eq(cosy_contextvar_set(&var, loop, NULL), 0);
    cosy_add_signal_handler(loop, SIGUSR1, remove_the_queued_one, loop);
    cosy_add_signal_handler(loop, SIGUSR2, trace_letter, L('o'));
    raise(SIGUSR1);
    raise(SIGUSR2);
    turn(loop);
    ck_assert_str_eq(trace.text, "1");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(removing_brings_the_default_back)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 0);
    cosy_add_signal_handler(loop, SIGUSR1, count, &ran);
    ck_assert_ptr_ne(disposition(SIGUSR1), SIG_DFL);
    raise(SIGUSR1); /* came, but is removed before its turn */
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    turn(loop);
    ck_assert_int_eq(ran, 0);
    cosy_add_signal_handler(loop, SIGUSR1, count, &ran);
    cosy_add_signal_handler(loop, SIGUSR2, count, &ran);
    cosy_loop_close(loop);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_ptr_eq(disposition(SIGUSR2), SIG_DFL);
    cosy_loop_free(loop);
}
END_TEST

static void handler_of_somebody(int signum)
{
    (void)signum;
}

START_TEST(a_later_handler_of_somebody_else_stays)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_add_signal_handler(loop, SIGUSR1, count, &ran);
    signal(SIGUSR1, handler_of_somebody);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1);
    ck_assert_ptr_eq(disposition(SIGUSR1), handler_of_somebody);
    signal(SIGUSR1, SIG_DFL);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(bad_signals_are_refused)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    static const int bad[] = {0, -1, 65, 1000, SIGKILL, SIGSTOP, 32 /* the C library's own */};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(cosy_add_signal_handler(loop, bad[i], count, &ran), -EINVAL);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(cosy_add_signal_handler(NULL, SIGUSR1, count, &ran), -EINVAL);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, 0), -EINVAL);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, 65), -EINVAL);
    cosy_loop *other = new_loop(); /* a failed add owns nothing */
    ck_assert_int_eq(cosy_add_signal_handler(other, SIGUSR1, count, &ran), 0);
    cosy_loop_free(other);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(every_loop_that_wants_a_signal_hears_of_it)
{
    cosy_loop *loop = new_loop(), *other = new_loop();
    int ran = 0, others = 0;
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    ck_assert_int_eq(cosy_add_signal_handler(other, SIGUSR2, count, &others), 0);
    raise(SIGUSR1);
    turn(other);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(others, 0);
    ck_assert_int_eq(cosy_add_signal_handler(other, SIGUSR1, count, &others), 0);
    raise(SIGUSR1);
    turn(other);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    ck_assert_int_eq(others, 1);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1); /* the other still wants it */
    raise(SIGUSR1);
    turn(other);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    ck_assert_int_eq(others, 2);
    cosy_loop_close(other);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_ptr_eq(disposition(SIGUSR2), SIG_DFL);
    cosy_loop_free(other);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(what_was_there_before_returns)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    signal(SIGHUP, SIG_IGN); /* nohup */
    signal(SIGUSR1, handler_of_somebody);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGHUP, count, &ran), 0);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    raise(SIGHUP);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGHUP), 1);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1);
    ck_assert_ptr_eq(disposition(SIGHUP), SIG_IGN);
    ck_assert_ptr_eq(disposition(SIGUSR1), handler_of_somebody);
    signal(SIGHUP, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(adding_again_takes_over_from_a_later_handler)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    signal(SIGUSR1, handler_of_somebody);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    raise(SIGUSR1);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    cosy_loop_free(loop);
    ck_assert_ptr_eq(disposition(SIGUSR1), handler_of_somebody);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

START_TEST(many_signals_between_turns_are_one_call)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_add_signal_handler(loop, SIGUSR1, count, &ran);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(turn(loop), 0);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_signal_wakes_a_sleeping_loop)
{
    cosy_loop *loop = new_loop();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_add_signal_handler(loop, SIGALRM, stop, loop), 0);
        ualarm(10000, 0);
        ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
        ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGALRM), 1);
    }
    cosy_loop_free(loop);
}
END_TEST

struct sender {
    pthread_t target;
    atomic_int handled;
    cosy_loop *loop;
};

static void handled(void *arg)
{
    atomic_fetch_add(&((struct sender *)arg)->handled, 1);
}

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    for (int i = 1; i <= 500; i++) {
        /* to the sleeper's thread, to any thread */
        ck_assert_int_eq(i % 2 ? pthread_kill(sender->target, SIGUSR1) : kill(getpid(), SIGUSR1), 0);
        while (atomic_load(&sender->handled) < i)
            usleep(20);
    }
    cosy_call_soon_threadsafe(sender->loop, stop, sender->loop, NULL);
    return NULL;
}

/* TSan keeps a signal until the program's next call that it knows, and it does not know those that the loop sleeps in.
 */
static void stay_awake(void *loop)
{
    ck_assert_int_eq(cosy_call_later(loop, COSY_MS(1), stay_awake, loop, NULL), 0);
}

START_TEST(no_signal_is_lost_however_the_loop_sleeps)
{
    struct sender sender = {.target = pthread_self(), .loop = new_loop()};
    pthread_t thread;
    if (UNDER_TSAN)
        stay_awake(sender.loop);
    ck_assert_int_eq(cosy_add_signal_handler(sender.loop, SIGUSR1, handled, &sender), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_many, &sender), 0);
    ck_assert_int_eq(cosy_loop_run_forever(sender.loop), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&sender.handled), 500);
    cosy_loop_free(sender.loop);
}
END_TEST

static void *send_until_told(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        pthread_kill(pthread_self(), SIGUSR1);
    return NULL;
}

START_TEST(closing_while_signals_arrive_in_another_thread_is_safe)
{
    signal(SIGUSR1, handler_of_somebody);
    atomic_bool enough = false;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, send_until_told, &enough), 0);
    for (int i = 0; i < 50; i++) {
        int ran = 0;
        cosy_loop *loop = new_loop();
        ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
        cosy_loop_run_once(loop, COSY_MS(1));
        signal(SIGUSR1, handler_of_somebody); /* never the default, which would kill us */
        cosy_loop_free(loop);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

/* The window of the test above, held open: a handler is about to wake the loop while that gives the signals up. */
static struct {
    const struct cosy_sys_ops *ops;
    atomic_bool inside, removed, too_late;
} slow_wake;

static int wake_slowly(struct cosy_sys *sys)
{
    atomic_store(&slow_wake.inside, true);
    for (int i = 0; i < 50 && !atomic_load(&slow_wake.removed); i++)
        usleep(1000);
    atomic_store(&slow_wake.too_late, atomic_load(&slow_wake.removed)); /* the loop may be gone */
    return atomic_load(&slow_wake.too_late) ? 0 : slow_wake.ops->wake(sys);
}

static void *raise_here(void *arg)
{
    (void)arg;
    pthread_kill(pthread_self(), SIGUSR1);
    return NULL;
}

START_TEST(removing_waits_for_a_handler_that_is_about_to_wake)
{
    cosy_loop *loop = new_loop();
    if (is_sim(loop) || UNDER_TSAN) {
        cosy_loop_free(loop);
        return; /* the one takes no foreign table, the other calls handlers later */
    }
    struct cosy_sys_ops ops = *loop->sys->ops;
    slow_wake.ops = loop->sys->ops;
    atomic_store(&slow_wake.inside, false);
    atomic_store(&slow_wake.removed, false);
    ops.wake = wake_slowly;
    loop->sys->ops = &ops;
    int ran = 0;
    pthread_t thread;
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_here, NULL), 0);
    while (!atomic_load(&slow_wake.inside))
        usleep(100);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), 1);
    atomic_store(&slow_wake.removed, true);
    pthread_join(thread, NULL);
    ck_assert(!atomic_load(&slow_wake.too_late));
    cosy_loop_free(loop);
}
END_TEST

START_TEST(errno_survives_a_signal)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_add_signal_handler(loop, SIGUSR1, count, &ran);
    errno = 12345;
    raise(SIGUSR1);
    ck_assert_int_eq(errno, 12345);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_program_that_takes_over_ctrl_c_gets_all_of_them)
{
    cosy_loop *loop = new_loop();
    int quiet = 0, ran = 0;
    void (*before)(int) = disposition(SIGINT); /* the test library's */
    ck_assert_int_eq(cosy_signals_add_quiet(loop, count, &quiet), 0);
    raise(SIGINT);
    turn(loop);
    ck_assert_int_eq(quiet, 1);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGINT, count, &ran), 0);
    for (int i = 0; i < 3; i++) { /* the runner's second Ctrl-C would have ended the process */
        raise(SIGINT);
        turn(loop);
    }
    ck_assert_int_eq(ran, 3);
    ck_assert_int_eq(quiet, 1);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGINT), 1); /* it is the runner's again */
    raise(SIGINT);
    turn(loop);
    ck_assert_int_eq(quiet, 2);
    ck_assert_int_eq(ran, 3);
    cosy_signals_remove_quiet(loop);
    ck_assert_ptr_eq(disposition(SIGINT), before);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(ctrl_c_that_another_loop_wants_is_not_the_runners)
{
    cosy_loop *loop = new_loop(), *other = new_loop();
    int quiet = 0, ran = 0;
    ck_assert_int_eq(cosy_signals_add_quiet(loop, count, &quiet), 0);
    ck_assert_int_eq(cosy_add_signal_handler(other, SIGINT, count, &ran), 0);
    for (int i = 0; i < 3; i++) {
        raise(SIGINT);
        turn(loop);
        turn(other);
    }
    ck_assert_int_eq(ran, 3);
    ck_assert_int_eq(quiet, 0);
    cosy_loop_free(other);
    raise(SIGINT);
    turn(loop);
    ck_assert_int_eq(quiet, 1);
    cosy_loop_free(loop);
}
END_TEST

static int handle_a_signal(void *arg)
{
    int ran = 0;
    int result = cosy_add_signal_handler(arg, SIGUSR1, count, &ran);
    if (result == 0)
        raise(SIGUSR1);
    turn(arg);
    ck_assert_int_eq(ran, result == 0);
    ck_assert_int_eq(cosy_remove_signal_handler(arg, SIGUSR1), result == 0);
    return result;
}

START_TEST(each_allocation_of_a_handler_fails_cleanly)
{
    for (int fresh = 0; fresh < 2; fresh++) {
        cosy_loop *loop = new_loop();
        if (fresh) {
            cosy_heap_fail_nth(1, false);
            ck_assert_int_eq(handle_a_signal(loop), -ENOMEM);
            cosy_heap_fail_nth(0, false);
        }
        each_allocation_fails(handle_a_signal, loop);
        cosy_loop_free(loop);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signal");
    ADD_TESTS(suite, "handlers", a_handler_runs_in_a_turn_and_not_in_the_signal, each_signal_has_its_handler,
              adding_again_replaces, what_is_replaced_in_its_batch_does_not_run,
              what_is_removed_in_its_batch_does_not_run, removing_brings_the_default_back,
              a_later_handler_of_somebody_else_stays, bad_signals_are_refused,
              every_loop_that_wants_a_signal_hears_of_it, what_was_there_before_returns,
              adding_again_takes_over_from_a_later_handler, a_program_that_takes_over_ctrl_c_gets_all_of_them,
              ctrl_c_that_another_loop_wants_is_not_the_runners, each_allocation_of_a_handler_fails_cleanly);
    ADD_TESTS(suite, "arrival", many_signals_between_turns_are_one_call, a_signal_wakes_a_sleeping_loop,
              no_signal_is_lost_however_the_loop_sleeps, closing_while_signals_arrive_in_another_thread_is_safe,
              removing_waits_for_a_handler_that_is_about_to_wake, errno_survives_a_signal);
    return run_suite(suite);
}
