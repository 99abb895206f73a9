/* test_signals.c - signals as an async iterator, and their names. */
#include "flow_test.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sys/sys.h"

static void (*disposition(int signum))(int)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(signum, NULL, &action), 0);
    return action.sa_handler;
}

cosy_async static void say_next(cosy_signal_receiver *receiver)
{
    int signum = cosy_next_signal(receiver, NULL);
    say("%s", signum < 0 ? cosy_errname(signum) : cosy_signal_name(signum));
}

cosy_async static int say_next_task(cosy_signal_receiver *receiver)
{
    int signum = cosy_next_signal(receiver, NULL);
    say("%s", signum < 0 ? cosy_errname(signum) : cosy_signal_name(signum));
    return 0;
}

/* ---- the iterator ---- */

cosy_async static int raise_some(void)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    raise(SIGUSR1);
    cosy_try(cosy_sleep(COSY_MS(1)));
    raise(SIGUSR2);
    cosy_try(cosy_sleep(COSY_MS(1)));
    raise(SIGHUP);
    return 0;
}

TASK_TEST(each_signal_is_a_step)
{
    int err = 7;
    cosy_spawn(raise_some);
    COSY_SIGNALS (signum, err, SIGUSR1, SIGUSR2, SIGHUP) {
        say("%s", cosy_signal_name(signum));
        ck_assert_ptr_ne(disposition(SIGUSR1), SIG_DFL);
        if (signum == SIGUSR1)
            continue;
        if (signum == SIGHUP)
            break;
        say("again");
    }
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_ptr_eq(disposition(SIGHUP), SIG_DFL);
    said("SIGUSR1 SIGUSR2 again SIGHUP");
    return 0;
}

cosy_async static int leave_by_return(void)
{
    int err;
    COSY_SIGNALS (signum, err, SIGUSR1) {
        return signum;
    }
    return err;
}

TASK_TEST(leaving_in_any_way_closes_it)
{
    cosy_spawn(raise_some);
    ck_assert_int_eq(leave_by_return(), SIGUSR1);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    signal(SIGUSR2, SIG_IGN); /* of raise_some */
    signal(SIGHUP, SIG_IGN);
    cosy_scoped(cosy_task) task = cosy_create_task(leave_by_return);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert_ptr_ne(disposition(SIGUSR1), SIG_DFL);
    cosy_task_cancel(task);
    ck_assert_int_eq(cosy_await(task), -ECANCELED);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_int_eq(cosy_sleep(COSY_MS(3)), 0);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    return 0;
}

TASK_TEST(what_cannot_be_received_is_refused_by_name)
{
    cosy_signal_receiver *receiver = NULL;
    int err = 0;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1, SIGKILL), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "signal 9 (SIGKILL) cannot be caught");
    ck_assert_ptr_null(receiver);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGSTOP), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "signal 19 (SIGSTOP) cannot be caught");
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, 77), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "there is no signal 77");
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, 0), -EINVAL);
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, -3), -EINVAL);
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, 32), -EINVAL); /* the C library's own */
    ck_assert_int_eq(cosy_open_signal_receiver_for(&receiver, NULL, 0), -EINVAL);
    ck_assert_int_eq(cosy_open_signal_receiver((cosy_signal_receiver **)0, SIGUSR1), -EINVAL);
    COSY_SIGNALS (signum, err, SIGKILL) {
        ck_abort_msg("signal %d came", signum);
    }
    ck_assert_int_eq(err, -EINVAL);
    ck_assert_int_eq(cosy_next_signal(NULL, NULL), -EINVAL);
    cosy_close_signal_receiver(NULL);
    return 0;
}

/* ---- what is kept ---- */

TASK_TEST(what_comes_meanwhile_is_kept_once_and_in_order_of_number)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR2, SIGHUP, SIGUSR1, SIGUSR1), 0);
    ck_assert_uint_eq(cosy_pending_signals(receiver), 0);
    raise(SIGUSR2);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    raise(SIGHUP);
    while (cosy_pending_signals(receiver) < 3)
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
    say_next(receiver);
    raise(SIGHUP);
    while (cosy_pending_signals(receiver) < 3)
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
    for (int i = 0; i < 3; i++)
        say_next(receiver);
    said("SIGHUP SIGHUP SIGUSR1 SIGUSR2");
    ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_next_signal, receiver, (struct cosy_signal_info *)0), COSY_MS(1)),
                     -ETIMEDOUT);
    return 0;
}

TASK_TEST(each_receiver_sees_every_signal)
{
    cosy_scoped(cosy_signal_receiver) one = NULL;
    cosy_scoped(cosy_signal_receiver) other = NULL;
    cosy_scoped(cosy_signal_receiver) third = NULL;
    ck_assert_int_eq(cosy_open_signal_receiver(&one, SIGUSR1), 0);
    ck_assert_int_eq(cosy_open_signal_receiver(&other, SIGUSR1, SIGUSR2), 0);
    ck_assert_int_eq(cosy_open_signal_receiver(&third, SIGUSR2), 0);
    raise(SIGUSR1);
    say_next(one);
    say_next(other);
    ck_assert_uint_eq(cosy_pending_signals(third), 0);
    cosy_close_signal_receiver(one); /* the other one still receives it */
    one = NULL;
    raise(SIGUSR1);
    say_next(other);
    said("SIGUSR1 SIGUSR1 SIGUSR1");
    return 0;
}

static int handled;
static void count_handled(void *arg)
{
    (void)arg;
    handled++;
}

TASK_TEST(callbacks_go_on_beside)
{
    cosy_signal_receiver *receiver;
    handled = 0;
    ck_assert_int_eq(cosy_add_signal_handler(loop_now(), SIGUSR1, count_handled, NULL), 0);
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    raise(SIGUSR1);
    say_next(receiver);
    let_all_run(2);
    ck_assert_int_eq(handled, 1);
    cosy_close_signal_receiver(receiver);
    raise(SIGUSR1);
    while (handled < 2)
        ck_assert_int_eq(cosy_sleep(COSY_US(10)), 0);
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    ck_assert_int_eq(cosy_remove_signal_handler(loop_now(), SIGUSR1), 1);
    raise(SIGUSR1);
    say_next(receiver);
    ck_assert_int_eq(handled, 2);
    cosy_close_signal_receiver(receiver);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    said("SIGUSR1 SIGUSR1");
    return 0;
}

TASK_TEST(a_cancelled_wait_takes_nothing)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    cosy_scoped(cosy_task) task = cosy_create_task(say_next_task, receiver);
    let_all_run(2);
    ck_assert(cosy_test_raise(SIGUSR1));
    while (cosy_pending_signals(receiver) == 0)
        ck_assert_int_eq(cosy_yield(), 0);
    cosy_task_cancel(task); /* it may be woken by now, or not: nothing is lost */
    ck_assert_int_eq(cosy_await(task), 0);
    if (cosy_pending_signals(receiver) > 0)
        say_next(receiver);
    ck_assert(strcmp(trace, "ECANCELED SIGUSR1") == 0 || strcmp(trace, "SIGUSR1") == 0);
    trace[0] = 0;
    return 0;
}

/* The one that is woken for the signal is cancelled in the same turn: the other one gets it. */
static void cancel_first(void *arg)
{
    cosy_task **tasks = arg;
    cosy_task_cancel(tasks[0]);
}

TASK_TEST(a_signal_goes_to_one_of_those_who_wait_whoever_is_cancelled)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    cosy_task *tasks[3];
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    for (int i = 0; i < 3; i++)
        tasks[i] = cosy_create_task(say_next_task, receiver);
    let_all_run(2);
    /* Behind the signal's wake-up, and before the woken task runs: a callback queued now runs in the next turn, ahead
     * of it. */
    ck_assert(cosy_test_raise(SIGUSR1));
    ck_assert_int_eq(cosy_call_soon(loop_now(), cancel_first, tasks, NULL), 0);
    let_all_run(4);
    ck_assert(strcmp(trace, "ECANCELED SIGUSR1") == 0 || strcmp(trace, "SIGUSR1 ECANCELED") == 0 ||
              strcmp(trace, "SIGUSR1") == 0);
    trace[0] = 0;
    ck_assert_uint_eq(cosy_pending_signals(receiver), 0);
    for (int i = 0; i < 3; i++) {
        cosy_task_cancel(tasks[i]);
        ck_assert_int_eq(cosy_await(tasks[i]), 0);
        cosy_task_drop(tasks[i]);
    }
    trace[0] = 0;
    return 0;
}

TASK_TEST(closing_tells_those_who_wait)
{
    cosy_signal_receiver *receiver;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    cosy_scoped(cosy_task) one = cosy_create_task(say_next_task, receiver);
    cosy_scoped(cosy_task) two = cosy_create_task(say_next_task, receiver);
    cosy_scoped(cosy_task) three = cosy_create_task(say_next_task, receiver);
    let_all_run(2);
    cosy_close_signal_receiver(receiver);
    cosy_task_cancel(three); /* woken already */
    ck_assert_int_eq(cosy_await(one), 0);
    ck_assert_int_eq(cosy_await(two), 0);
    ck_assert_int_eq(cosy_await(three), 0);
    said("COSY_ECLOSED COSY_ECLOSED ECANCELED");
    return 0;
}

/* ---- who sent it ---- */

TASK_TEST(it_is_told_who_sent_it)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    struct cosy_signal_info info;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1, SIGRTMIN), 0);
    kill(getpid(), SIGUSR1);
    ck_assert_int_eq(cosy_next_signal(receiver, &info), SIGUSR1);
    ck_assert_int_eq(info.signum, SIGUSR1);
    ck_assert_int_eq(info.code, SI_USER);
    ck_assert_int_eq(info.pid, getpid());
    ck_assert_uint_eq(info.uid, getuid());
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 4711});
    ck_assert_int_eq(cosy_next_signal(receiver, &info), SIGRTMIN);
    ck_assert_int_eq(info.code, SI_QUEUE);
    ck_assert_int_eq(info.value.sival_int, 4711);
    return 0;
}

TASK_TEST(a_childs_end_is_told)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    struct cosy_signal_info info;
    if (UNDER_TSAN)
        return 0; /* keeps the signal for later while the loop sleeps */
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGCHLD), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    ck_assert_int_eq(cosy_next_signal(receiver, &info), SIGCHLD);
    ck_assert_int_eq(info.code, CLD_EXITED);
    ck_assert_int_eq(info.pid, child);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    return 0;
}

/* asyncio's transports do not use SIGCHLD either: a program may have it. */
TASK_TEST(a_program_that_receives_sigchld_starts_processes_all_the_same)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    struct cosy_process_result result;
    if (UNDER_TSAN || simulated())
        return 0;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGCHLD), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_run_process(COSY_ARGV("exit 3"), &result, .shell = true), 0);
        ck_assert_int_eq(result.returncode, 3);
        ck_assert_int_eq(cosy_next_signal(receiver, NULL), SIGCHLD);
    }
    return 0;
}

/* ---- forks ---- */

/* In the child, where the parent's handler is still installed. */
static void die_of_nothing(int ready)
{
    sigset_t none;
    sigemptyset(&none);
    if (write(ready, "x", 1) == 1)
        sigsuspend(&none);
    _exit(7);
}

/* The handler is inherited: in the child it runs, and nothing comes of it there nor here. */
TASK_TEST(a_signal_to_a_forked_child_is_not_the_parents)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    sigset_t only, before;
    int ends[2], status;
    char byte;
    if (UNDER_TSAN)
        return 0; /* keeps the signal for later */
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), 0);
    ck_assert_int_eq(pipe(ends), 0);
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    sigprocmask(SIG_BLOCK, &only, &before); /* it comes in sigsuspend, and not before */
    pid_t child = fork();
    if (child == 0)
        die_of_nothing(ends[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    kill(child, SIGUSR1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    let_all_run(5);
    ck_assert_uint_eq(cosy_pending_signals(receiver), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(cosy_next_signal(receiver, NULL), SIGUSR1);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* ---- Ctrl-C ---- */

cosy_async static int three_times_ctrl_c(void)
{
    int err, times = 0;
    COSY_SIGNALS (signum, err, SIGINT) {
        ck_assert_int_eq(signum, SIGINT);
        if (++times == 3)
            break;
        raise(SIGINT);
    }
    return err < 0 ? err : times;
}

static void raise_ctrl_c(void *arg)
{
    (void)arg;
    raise(SIGINT);
}

cosy_async static int interrupted_in_the_end(void)
{
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_MS(1), raise_ctrl_c, NULL, NULL), 0);
    ck_assert_int_eq(three_times_ctrl_c(), 3); /* the runner would have ended the process at the second */
    ck_assert_int_eq(cosy_call_later(loop_now(), COSY_MS(1), raise_ctrl_c, NULL, NULL), 0);
    return cosy_sleep(COSY_S(100));
}

START_TEST(a_program_that_receives_ctrl_c_has_it_and_then_gives_it_back)
{
    begin_test();
    signal(SIGINT, SIG_DFL); /* not the test library's */
    ck_assert_int_eq(cosy_run(interrupted_in_the_end), -COSY_EINTERRUPT);
    ck_assert_ptr_eq(disposition(SIGINT), SIG_DFL);
}
END_TEST

/* ---- SIGPIPE ---- */

/* With its default disposition, and into every kind of thing that may have lost its reader. */
TASK_TEST(the_librarys_own_writes_raise_no_sigpipe)
{
    int ends[2];
    char text[] = "abcd";
    struct iovec parts[2] = {{.iov_base = text, .iov_len = 2}, {.iov_base = text + 2, .iov_len = 2}};
    ck_assert_ptr_eq(disposition(SIGPIPE), SIG_DFL);
    if (simulated())
        return 0;
    for (int kind = 0; kind < 2; kind++) {
        cosy_stream *stream;
        ck_assert_int_eq(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
        ck_assert_int_eq(cosy_stream_adopt(ends[1], &stream), 0);
        close(ends[0]);
        int result = cosy_write(stream, "x", 1);
        for (int i = 0; i < 100 && result == 0; i++)
            result = cosy_writev(stream, parts, 2);
        ck_assert_msg(result == -EPIPE || result == -ECONNRESET, "%s", cosy_errname(result));
        cosy_stream_close(stream);
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    close(ends[0]);
    ck_assert_int_eq(cosy_sock_sendall(ends[1], "x", 1, NULL), -EPIPE);
    close(ends[1]);
    ck_assert_ptr_eq(disposition(SIGPIPE), SIG_DFL); /* what children inherit */
    sigset_t pending, blocked;
    sigpending(&pending);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    ck_assert_int_eq(sigismember(&blocked, SIGPIPE), 0);
    return 0;
}

/* ---- loops beside ---- */

enum { LOOPS = 4, ROUNDS = 50 };
static atomic_int ready, rounds_done[LOOPS];

cosy_async static int receive_in_a_loop(int index)
{
    int err, rounds = 0;
    COSY_SIGNALS (signum, err, SIGUSR1, SIGUSR2) {
        if (signum == SIGUSR2) /* everybody is ready */
            ready++;
        else {
            rounds_done[index]++;
            if (++rounds == ROUNDS)
                break;
        }
    }
    return err;
}

/* TSan keeps a signal until the program's next call that it knows. */
cosy_async static int stay_awake(void)
{
    for (;;)
        cosy_try(cosy_sleep(COSY_MS(1)));
}

cosy_async static int beside(int index)
{
    cosy_scoped(cosy_task) awake = UNDER_TSAN ? cosy_create_task(stay_awake) : NULL;
    cosy_scoped(cosy_task) task = cosy_create_task(receive_in_a_loop, index);
    ck_assert_int_eq(cosy_yield(), 0);
    ck_assert(cosy_test_raise(SIGUSR2)); /* in this loop only */
    return cosy_await(task);
}

static void *run_beside(void *arg)
{
    return (void *)(intptr_t)cosy_run(beside, (int)(intptr_t)arg);
}

START_TEST(loops_in_several_threads_each_see_every_signal)
{
    pthread_t threads[LOOPS];
    begin_test();
    ready = 0;
    for (int i = 0; i < LOOPS; i++) {
        rounds_done[i] = 0;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_beside, (void *)(intptr_t)i), 0);
    }
    while (ready < LOOPS)
        usleep(100);
    for (int round = 1; round <= ROUNDS; round++) {
        kill(getpid(), SIGUSR1);
        for (int i = 0; i < LOOPS; i++)
            while (rounds_done[i] < round)
                usleep(20);
    }
    for (int i = 0; i < LOOPS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_int_eq((intptr_t)result, 0);
    }
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
}
END_TEST

static atomic_bool enough;

cosy_async static int open_and_close(void)
{
    for (int i = 0; i < 30; i++) {
        cosy_scoped(cosy_signal_receiver) receiver = NULL;
        cosy_try(cosy_open_signal_receiver(&receiver, SIGUSR1));
        (void)cosy_yield();
    }
    return 0;
}

static void *open_and_close_loops(void *arg)
{
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(cosy_run(open_and_close), 0);
    return arg;
}

static void *shoot(void *arg)
{
    while (!enough)
        pthread_kill(pthread_self(), SIGUSR1);
    return arg;
}

START_TEST(loops_come_and_go_while_signals_arrive)
{
    pthread_t threads[3], shooter;
    begin_test();
    enough = false;
    signal(SIGUSR1, SIG_IGN); /* between receivers */
    ck_assert_int_eq(pthread_create(&shooter, NULL, shoot, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_close_loops, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    enough = true;
    pthread_join(shooter, NULL);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

/* ---- ends ---- */

TASK_TEST(a_receiver_is_something_to_wait_for)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    if (UNDER_TSAN)
        return 0;
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGALRM), 0);
    ualarm(5000, 0);
    say_next(receiver); /* and no deadlock is told */
    said("SIGALRM");
    return 0;
}

static cosy_signal_receiver *left_open;

cosy_async static int leave_it_open(void)
{
    cosy_try(cosy_open_signal_receiver(&left_open, SIGUSR1));
    cosy_spawn(say_next_task, left_open);
    return cosy_yield();
}

cosy_async static int take_from_the_old_one(void)
{
    return cosy_next_signal(left_open, NULL);
}

START_TEST(a_receiver_outlives_its_loop)
{
    begin_test();
    ck_assert_int_eq(cosy_run(leave_it_open), 0);
    said("ECANCELED");
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    ck_assert_int_eq(cosy_run(take_from_the_old_one), -COSY_ECLOSED);
    cosy_close_signal_receiver(left_open);
}
END_TEST

START_TEST(outside_a_task_it_is_told)
{
    cosy_signal_receiver *receiver;
    begin_test();
    ck_assert_int_eq(cosy_open_signal_receiver(&receiver, SIGUSR1), -COSY_ENOLOOP);
    ck_assert_int_eq(cosy_next_signal(NULL, NULL), -COSY_ENOTASK);
    logs("cosy_next_signal was called outside a task");
    ck_assert(!cosy_test_raise(SIGUSR1));
}
END_TEST

/* ---- in virtual time ---- */

cosy_async static int reload_until_stopped(void)
{
    int err, reloads = 0;
    COSY_SIGNALS (signum, err, SIGHUP, SIGTERM) {
        if (signum == SIGTERM)
            break;
        reloads++;
        cosy_try(cosy_sleep(COSY_S(1)));
    }
    return err < 0 ? err : reloads;
}

cosy_async static int operator(void)
{
    cosy_scoped(cosy_task) program = cosy_create_task(reload_until_stopped);
    cosy_try(cosy_sleep(COSY_S(60)));
    cosy_test_expect(cosy_test_raise(SIGHUP) || cosy_task_done(program));
    cosy_try(cosy_sleep(COSY_MS(500)));
    cosy_test_raise(SIGHUP); /* while it reloads */
    cosy_try(cosy_sleep(COSY_S(60)));
    cosy_test_expect(!cosy_test_raise(SIGUSR1)); /* nobody wants it */
    cosy_test_raise(SIGTERM);
    int result = cosy_await(program);
    cosy_test_expect(result == 2 || result == -ECANCELED);
    return result;
}

START_TEST(signals_come_in_virtual_time_and_a_cancel_at_any_wait_loses_nothing)
{
    begin_test();
    int rounds = cosy_test_explore((.seeds = 5, .cancel_each_wait = true, .any_result = true), operator);
    ck_assert_msg(rounds >= 5, "%s", logged);
    ck_assert_ptr_eq(disposition(SIGHUP), SIG_DFL);
}
END_TEST

cosy_async static int receive_one(void)
{
    cosy_scoped(cosy_signal_receiver) receiver = NULL;
    cosy_try(cosy_open_signal_receiver(&receiver, SIGUSR1, SIGUSR2));
    raise(SIGUSR2);
    int result = cosy_next_signal(receiver, NULL);
    return result == SIGUSR2 ? 0 : result < 0 ? result : -EIO;
}

static int run_receive_one(void)
{
    return cosy_run(receive_one);
}

START_TEST(without_memory_it_fails_and_leaves_nothing)
{
    starve(run_receive_one);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
}
END_TEST

cosy_async static int with_fault(long n, int error, long *ret_counted)
{
    int result = receive_one(); /* what is made once is there */
    cosy_sys_fail_nth(n, error);
    if (result == 0)
        result = receive_one();
    *ret_counted = cosy_sys_counted();
    cosy_sys_fail_nth(0, 0);
    ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
    return receive_one() < 0 ? -EIO : result;
}

/* Also the one that wakes the loop, in the handler. Where the loop's own waiting fails, the run ends with that. */
START_TEST(each_system_call_fails)
{
    begin_test();
    int fds = open_descriptors();
    for (long n = 1, counted = 1; counted >= n; n++) {
        counted = LONG_MAX;
        int result = cosy_run(with_fault, n, EDQUOT, &counted);
        cosy_sys_fail_nth(0, 0);
        ck_assert_msg(result == 0 || result == -EDQUOT, "call %ld: %s", n, cosy_errname(result));
        ck_assert_ptr_eq(disposition(SIGUSR1), SIG_DFL);
        ck_assert_int_eq(open_descriptors(), fds);
        ck_assert_int_lt(n, 100);
    }
}
END_TEST

/* ---- names ---- */

START_TEST(signals_have_names)
{
    begin_test();
    ck_assert_str_eq(cosy_signal_name(SIGTERM), "SIGTERM");
    ck_assert_str_eq(cosy_signal_name(SIGRTMIN), "SIGRTMIN");
    ck_assert_str_eq(cosy_signal_name(SIGRTMIN + 3), "SIGRTMIN+3");
    ck_assert_str_eq(cosy_signal_name(SIGRTMAX), "SIGRTMAX");
    ck_assert_ptr_null(cosy_signal_name(0));
    ck_assert_ptr_null(cosy_signal_name(-1));
    ck_assert_ptr_null(cosy_signal_name(32));
    ck_assert_ptr_null(cosy_signal_name(65));
    for (int i = 1; i < 65; i++)
        if (cosy_signal_name(i))
            ck_assert_int_eq(cosy_signal_by_name(cosy_signal_name(i)), i);
    ck_assert_int_eq(cosy_signal_by_name("TERM"), SIGTERM);
    ck_assert_int_eq(cosy_signal_by_name("term"), SIGTERM);
    ck_assert_int_eq(cosy_signal_by_name("sigHup"), SIGHUP);
    ck_assert_int_eq(cosy_signal_by_name("15"), SIGTERM);
    ck_assert_int_eq(cosy_signal_by_name("CLD"), SIGCHLD);
    ck_assert_int_eq(cosy_signal_by_name("RTMAX-1"), SIGRTMAX - 1);
    ck_assert_int_eq(cosy_signal_by_name("SIGRTMIN+0"), SIGRTMIN);
    static const char *const bad[] = {"",   "SIG",      "SIGFOO",  "0",       "32",     "65",         "-9",
                                      "9 ", "RTMIN+99", "RTMIN-1", "RTMAX+1", "RTMIN+", "SIGSIGTERM", "1000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(cosy_signal_by_name(bad[i]) == -EINVAL, "%s is one", bad[i]);
    ck_assert_int_eq(cosy_signal_by_name(NULL), -EINVAL);
    ck_assert_int_eq(cosy_signal_by_name("SIGFOO"), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "there is no signal 'SIGFOO'");
}
END_TEST

TESTS_MAIN("signals", each_signal_is_a_step, leaving_in_any_way_closes_it, what_cannot_be_received_is_refused_by_name,
           what_comes_meanwhile_is_kept_once_and_in_order_of_number, each_receiver_sees_every_signal,
           callbacks_go_on_beside, a_cancelled_wait_takes_nothing,
           a_signal_goes_to_one_of_those_who_wait_whoever_is_cancelled, closing_tells_those_who_wait,
           it_is_told_who_sent_it, a_childs_end_is_told, a_program_that_receives_sigchld_starts_processes_all_the_same,
           a_signal_to_a_forked_child_is_not_the_parents, a_program_that_receives_ctrl_c_has_it_and_then_gives_it_back,
           the_librarys_own_writes_raise_no_sigpipe, loops_in_several_threads_each_see_every_signal,
           loops_come_and_go_while_signals_arrive, a_receiver_is_something_to_wait_for, a_receiver_outlives_its_loop,
           outside_a_task_it_is_told, signals_come_in_virtual_time_and_a_cancel_at_any_wait_loses_nothing,
           without_memory_it_fails_and_leaves_nothing, each_system_call_fails, signals_have_names)
