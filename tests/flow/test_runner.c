/* Tests of cosy_run, cosy_main, runners and Ctrl-C. Names in comments are those of the tests in CPython's
 * test_runners.py for the same behaviour. */
#include "flow_test.h"

#include <pthread.h>
#include <sys/wait.h>

#define LONG COSY_S(1000)

/* ---- a child process whose standard error is read ---- */

static char errors[16384];

/* Runs main_function in a process of its own; its wait status. */
static int in_a_process(int (*main_function)(void))
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        cosy_set_log_sink(NULL, NULL);
        signal(SIGINT, SIG_DFL);
        alarm(60);
        exit(main_function());
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < sizeof errors && (n = read(ends[0], errors + used, sizeof errors - 1 - used)) > 0;)
        used += (size_t)n;
    errors[used] = 0;
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

#define told(part) ck_assert_msg(strstr(errors, part) != NULL, "not told: \"%s\"; but: \"%s\"", part, errors)

#define exits_with(status, code)                                                                                       \
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == (code), "status 0x%x: \"%s\"", (unsigned)(status), errors)
#define dies_of(status, signum)                                                                                        \
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == (signum), "status 0x%x: \"%s\"", (unsigned)(status),      \
                  errors)

static void quiet(void)
{
    begin_test();
    signal(SIGINT, SIG_DFL); /* the test library has a handler */
}

/* ---- cosy_run ---- */

START_TEST(it_returns_the_result) /* test_asyncio_run_return */
{
    quiet();
    int fds = open_descriptors(), threads = entries("/proc/self/task");
    ck_assert_int_eq(cosy_run(give, 7), 7);
    ck_assert_int_eq(cosy_run(give_later, COSY_MS(1), 8), 8);
    ck_assert_int_eq(cosy_run_with((.debug = true), give, 9), 9);
    ck_assert_int_eq(cosy_run_with((.stack_size = 1 << 20), give, 10), 10);
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_int_eq(entries("/proc/self/task"), threads);
    ck_assert_ptr_null(cosy_running_loop());
    ck_assert_ptr_null(cosy_current_task());
    ck_assert_str_eq(logged, "");
}
END_TEST

static int pass_it_on(void)
{
    cosy_try(fail_later(1, EIO));
    return 0;
}

START_TEST(it_returns_the_error_with_its_story) /* test_asyncio_run_raises */
{
    quiet();
    ck_assert_int_eq(cosy_run(pass_it_on), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cosy_print_error(out, -EIO);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "EIO"));
    ck_assert_ptr_nonnull(strstr(text, "pass_it_on"));
    free(text);
    ck_assert_str_eq(logged, "");
}
END_TEST

static int cancel_myself(void)
{
    cosy_task_cancel(cosy_current_task());
    return cosy_sleep(LONG);
}

START_TEST(a_cancelled_main_task)
{
    quiet();
    ck_assert_int_eq(cosy_run(cancel_myself), -ECANCELED);
    ck_assert_str_eq(logged, "");
}
END_TEST

static int run_inside(int which)
{
    cosy_runner *runner = cosy_runner_new();
    int result = which == 0   ? cosy_run(give, 1)
                 : which == 1 ? cosy_runner_run(runner, give, 1)
                 : which == 2 ? cosy_run_until_complete(cosy_running_loop(), cosy_call(give, 1))
                              : cosy_run_with((.debug = true), give, 1);
    cosy_runner_free(runner); /* never opened: nothing to join */
    ck_assert_int_eq(result, -COSY_ERUNNING);
    ck_assert_str_eq(cosy_error_message(-COSY_ERUNNING),
                     "cosy_run cannot be called while a loop is running in this thread");
    ck_assert_int_eq(cosy_sleep(1), 0);
    return 1;
}

static cosy_runner *the_runner;

static int free_my_runner(void)
{
    ck_assert_int_eq(cosy_runner_close(the_runner), -COSY_ERUNNING);
    cosy_runner_free(the_runner); /* refused */
    return cosy_runner_run(the_runner, give, 1);
}

START_TEST(a_run_inside_a_run_is_refused) /* test_asyncio_run_from_running_loop */
{
    quiet();
    for (int which = 0; which < 4; which++)
        ck_assert_int_eq(cosy_run(run_inside, which), 1);
    the_runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(the_runner, free_my_runner), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_runner_run(the_runner, give, 4), 4);
    cosy_runner_free(the_runner);
}
END_TEST

/* ---- what is left over ---- */

static int leave_some(void)
{
    ck_assert_int_eq(cosy_spawn(slow_cleanup, COSY_MS(2), "a"), 0);
    cosy_task_drop(cosy_create_task(slow_cleanup, COSY_MS(1), "b"));
    return cosy_yield();
}

START_TEST(leftover_tasks_are_cancelled_and_waited_for) /* test_asyncio_run_cancels_hanging_tasks */
{
    quiet();
    ck_assert_int_eq(cosy_run(leave_some), 0);
    said("b cleaned a cleaned");
    ck_assert_str_eq(logged, "");
}
END_TEST

static int leave_a_bad_one(void)
{
    cosy_task_drop(cosy_create_task(swallow, -EIO));
    cosy_task_drop(cosy_create_task(swallow, 4));
    return cosy_yield();
}

START_TEST(errors_of_leftover_tasks_are_reported) /* test_asyncio_run_reports_hanging_tasks_errors */
{
    quiet();
    ck_assert_int_eq(cosy_run(leave_a_bad_one), 0);
    logs("unhandled exception during cosy_run() shutdown");
}
END_TEST

static cosy_task *kept;

static int keep_one(void)
{
    kept = cosy_create_task(give_later, LONG, 1);
    return cosy_create_task(give, 2) == NULL;
}

START_TEST(handles_outlive_the_run)
{
    quiet();
    ck_assert_int_eq(cosy_run(keep_one), 0);
    ck_assert(cosy_task_cancelled(kept));
    cosy_task_drop(kept);
}
END_TEST

static int refuse_to_stop(int how_often)
{
    for (int i = 0; i < how_often; i++)
        (void)cosy_sleep(COSY_MS(1));
    say("stopped");
    return 0;
}

static int leave_a_stubborn_one(void)
{
    ck_assert_int_eq(cosy_spawn(refuse_to_stop, 5), 0);
    return cosy_yield();
}

START_TEST(a_task_that_refuses_the_cancel_is_waited_for) /* as asyncio waits */
{
    quiet();
    ck_assert_int_eq(cosy_run(leave_a_stubborn_one), 0);
    said("stopped");
}
END_TEST

static cosy_future *never_done;

static int wait_again_after_a_cancel(void)
{
    (void)cosy_sleep(LONG);
    never_done = cosy_future_new(NULL);
    return cosy_await(never_done);
}

static int leave_a_deadlock(void)
{
    ck_assert_int_eq(cosy_spawn(wait_again_after_a_cancel), 0);
    return cosy_yield();
}

/* Refuses the cancel and then waits for what never comes: asyncio would hang, here it is found out. */
static int main_with_a_deadlock_at_shutdown(void)
{
    int status = cosy_main(leave_a_deadlock);
    cosy_future_drop(never_done); /* outlives its loop; a leak would change the status under LSan */
    return status;
}

/* Where other threads exist (a tool's own, too) they might help, and no deadlock is seen. */
static bool alone(void)
{
    return entries("/proc/self/task") == 3;
}

START_TEST(a_deadlock_at_shutdown_is_told_and_ends)
{
    if (!alone())
        return;
    int status = in_a_process(main_with_a_deadlock_at_shutdown);
    exits_with(status, 0);
    told("deadlock");
    told("wait_again_after_a_cancel");
    told("Task was destroyed but it is pending");
}
END_TEST

static int begin_another(void)
{
    int result = cosy_sleep(LONG);
    ck_assert_int_eq(cosy_spawn(give_later, LONG, 1), 0);
    return result;
}

static int leave_one_that_begins_another(void)
{
    ck_assert_int_eq(cosy_spawn(begin_another), 0);
    return cosy_yield();
}

START_TEST(a_task_begun_during_the_shutdown_is_not_forgotten_silently)
{
    quiet();
    ck_assert_int_eq(cosy_run(leave_one_that_begins_another), 0);
    logs("Task was destroyed but it is pending");
}
END_TEST

/* ---- runners ---- */

static cosy_contextvar variable = COSY_CONTEXTVAR("variable", NULL);

static int set_variable(const char *value)
{
    ck_assert_int_eq(cosy_contextvar_set(&variable, (void *)(uintptr_t)value, NULL), 0);
    return 0;
}

static int sees_variable(const char *value)
{
    const char *seen = cosy_contextvar_get(&variable);
    return seen && strcmp(seen, value) == 0;
}

static int await_in_a_task(void)
{
    cosy_scoped(cosy_task) task = cosy_create_task(sees_variable, "one");
    return cosy_await(task);
}

START_TEST(runs_of_one_runner_share_a_loop_and_a_context) /* test_run_keeps_context, test_run_uses_context,
                                                             test_explicit_run */
{
    quiet();
    cosy_runner *runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(runner, set_variable, "one"), 0);
    cosy_loop *loop = cosy_runner_loop(runner);
    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(cosy_runner_run(runner, sees_variable, "one"), 1);
    ck_assert_int_eq(cosy_runner_run(runner, await_in_a_task), 1);
    ck_assert_ptr_eq(cosy_runner_loop(runner), loop);
    ck_assert_ptr_null(cosy_contextvar_get(&variable)); /* nothing of it outside */
    cosy_runner_free(runner);
    runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(runner, sees_variable, "one"), 0);
    cosy_runner_free(runner);
}
END_TEST

static void run_in_this_context(void *arg)
{
    (void)arg;
    ck_assert_int_eq(cosy_contextvar_set(&variable, (void *)(uintptr_t) "one", NULL), 0);
    ck_assert_int_eq(cosy_run(sees_variable, "one"), 1);
    ck_assert_int_eq(cosy_run(set_variable, "two"), 0);
    ck_assert_str_eq(cosy_contextvar_get(&variable), "one");
}

START_TEST(a_runner_sees_the_context_it_was_made_in)
{
    quiet();
    cosy_context *context = cosy_context_new();
    cosy_context_run(context, run_in_this_context, NULL);
    cosy_context_drop(context);
    ck_assert_ptr_null(cosy_contextvar_get(&variable));
}
END_TEST

START_TEST(a_runners_life) /* test_close_idempotent, test_runner_... : lazy loop, closed twice, used after closing */
{
    quiet();
    int fds = open_descriptors();
    cosy_runner *runner = cosy_runner_new();
    ck_assert_int_eq(open_descriptors(), fds); /* nothing yet */
    cosy_loop *loop = cosy_runner_loop(runner);
    ck_assert_ptr_nonnull(loop);
    ck_assert(!cosy_loop_is_closed(loop));
    ck_assert_int_eq(cosy_runner_run(runner, give, 3), 3);
    ck_assert_int_eq(cosy_runner_close(runner), 0);
    ck_assert_int_eq(open_descriptors(), fds);
    ck_assert_int_eq(cosy_runner_close(runner), 0);
    ck_assert_int_eq(cosy_runner_run(runner, give, 3), -COSY_ECLOSED);
    ck_assert_ptr_null(cosy_runner_loop(runner));
    cosy_runner_free(runner);
    cosy_runner_free(NULL);
    cosy_runner_free(cosy_runner_new()); /* never used */
    ck_assert_int_eq(cosy_runner_close(NULL), -EINVAL);
    ck_assert_int_eq(cosy_runner_run(NULL, give, 1), -EINVAL);
    ck_assert_ptr_null(cosy_runner_loop(NULL));
}
END_TEST

static int leave_one(const char *name)
{
    ck_assert_int_eq(cosy_spawn(slow_cleanup, 1, name), 0);
    return cosy_yield();
}

START_TEST(tasks_live_on_between_runs) /* only close cancels them */
{
    quiet();
    cosy_runner *runner = cosy_runner_new();
    ck_assert_int_eq(cosy_runner_run(runner, leave_one, "a"), 0);
    ck_assert_int_eq(cosy_runner_run(runner, leave_one, "b"), 0);
    ck_assert_uint_eq(cosy_all_tasks(cosy_runner_loop(runner), NULL, 0), 2);
    said("");
    ck_assert_int_eq(cosy_runner_close(runner), 0);
    said("a cleaned b cleaned");
    cosy_runner_free(runner);
}
END_TEST

START_TEST(debug_mode_ends_with_its_runner) /* test_asyncio_run_debug, test_debug... : the origin depth comes back */
{
    quiet();
    cosy_set_coroutine_origin_tracking_depth(3);
    cosy_runner *runner = cosy_runner_new(.debug = true);
    ck_assert(cosy_loop_get_debug(cosy_runner_loop(runner)));
    ck_assert_int_eq(cosy_runner_run(runner, give, 1), 1);
    cosy_runner_free(runner);
    ck_assert_int_eq(cosy_set_coroutine_origin_tracking_depth(0), 3);
    runner = cosy_runner_new();
    ck_assert(!cosy_loop_get_debug(cosy_runner_loop(runner)) || getenv("COSY_DEBUG"));
    cosy_runner_free(runner);
}
END_TEST

static int stop_the_loop(void)
{
    cosy_loop_stop(cosy_running_loop());
    return cosy_sleep(LONG);
}

START_TEST(a_loop_stopped_before_the_result) /* RuntimeError: Event loop stopped before Future completed */
{
    quiet();
    ck_assert_int_eq(cosy_run(stop_the_loop), -COSY_ESTOPPED);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- run_until_complete ---- */

static void drop_future(void *future)
{
    cosy_future_drop(future);
}

START_TEST(until_complete)
{
    quiet();
    cosy_loop *loop, *other;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_loop_new(&other), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(give_later, 1, 3)), 3);
    cosy_task *task = cosy_create_task_with((.loop = loop), fail_later, 1, EIO);
    ck_assert_int_eq(cosy_run_until_complete(loop, task), -EIO);
    ck_assert_str_eq(cosy_error_message(-EIO), "as asked");
    ck_assert_int_eq(cosy_run_until_complete(loop, task), -EIO); /* done already */
    ck_assert_int_eq(cosy_run_until_complete(other, task), -COSY_EOTHERLOOP);
    cosy_task_drop(task);
    cosy_future *future = cosy_future_new(loop);
    cosy_future_set_result(future, 12);
    ck_assert_int_eq(cosy_run_until_complete(loop, future), 12);
    cosy_future_drop(future);
    cosy_task *dropped = cosy_create_task_with((.loop = loop), give_later, COSY_US(10), 5);
    ck_assert_int_eq(cosy_call_soon(loop, drop_future, cosy_task_future(dropped), NULL), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, dropped), 5); /* though its last handle went meanwhile */
    ck_assert_int_eq(cosy_run_until_complete(NULL, cosy_call(give, 1)), -EINVAL);
    cosy_loop_close(loop);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(give, 1)), -COSY_ECLOSED);
    cosy_loop_free(loop);
    cosy_loop_free(other);
    ck_assert_str_eq(logged, "");
}
END_TEST

/* ---- Ctrl-C ---- */

static void interrupt(void)
{
    ck_assert_int_eq(kill(getpid(), SIGINT), 0);
}

static int interrupted_sleep(int answer)
{
    interrupt();
    int result = cosy_sleep(LONG);
    say("%s %s", cosy_errname(result), cosy_task_cancel_reason(cosy_current_task()));
    return answer ? answer : result;
}

static void (*disposition(void))(int)
{
    struct sigaction present;
    ck_assert_int_eq(sigaction(SIGINT, NULL, &present), 0);
    return present.sa_handler;
}

START_TEST(ctrl_c_cancels_the_main_task) /* test_interrupt_call_soon, test_interrupt_wait */
{
    quiet();
    ck_assert_int_eq(cosy_run(interrupted_sleep, 0), -COSY_EINTERRUPT);
    said("ECANCELED KeyboardInterrupt");
    ck_assert(disposition() == SIG_DFL);
}
END_TEST

START_TEST(ctrl_c_that_is_handled) /* test_signal_...: the main task goes on and returns */
{
    quiet();
    ck_assert_int_eq(cosy_run(interrupted_sleep, 5), 5);
    said("ECANCELED KeyboardInterrupt");
    ck_assert_int_eq(cosy_run(interrupted_sleep, -EIO), -EIO);
    trace[0] = 0;
    cosy_runner *runner = cosy_runner_new(); /* and the next run can be interrupted again */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(cosy_runner_run(runner, interrupted_sleep, 0), -COSY_EINTERRUPT);
        said("ECANCELED KeyboardInterrupt");
    }
    cosy_runner_free(runner);
}
END_TEST

static int cancelled_and_interrupted(void)
{
    cosy_task_cancel(cosy_current_task());
    int result = cosy_sleep(LONG);
    interrupt();
    return cosy_sleep(LONG) == -ECANCELED ? result : -EIO;
}

START_TEST(ctrl_c_and_another_cancel_is_a_cancel) /* test_interrupt_cancelled_task */
{
    quiet();
    ck_assert_int_eq(cosy_run(cancelled_and_interrupted), -ECANCELED);
}
END_TEST

static int interrupt_from_a_child(void)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    interrupt();
    return cosy_sleep(LONG);
}

static int main_in_a_group(void)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, slow_cleanup, COSY_MS(1), "child");
    cosy_task_group_create_task(group, interrupt_from_a_child);
    return cosy_task_group_wait(group);
}

START_TEST(ctrl_c_ends_a_group_with_its_cleanup)
{
    quiet();
    ck_assert_int_eq(cosy_run(main_in_a_group), -COSY_EINTERRUPT);
    said("child cleaned");
}
END_TEST

/* Busy with yields, never asleep: the signal comes through as well. */
static int busy(void)
{
    interrupt();
    for (;;)
        cosy_try(cosy_yield());
}

START_TEST(ctrl_c_reaches_a_busy_loop)
{
    quiet();
    ck_assert_int_eq(cosy_run(busy), -COSY_EINTERRUPT);
}
END_TEST

static int ignore_the_first(void)
{
    interrupt();
    (void)cosy_sleep(LONG);
    fprintf(stderr, "first survived\n");
    interrupt();
    fprintf(stderr, "second survived\n");
    return 0;
}

static int main_interrupted_twice(void)
{
    return cosy_main(ignore_the_first);
}

START_TEST(the_second_ctrl_c_kills)
{
    int status = in_a_process(main_interrupted_twice);
    dies_of(status, SIGINT);
    told("first survived");
    ck_assert_ptr_null(strstr(errors, "second survived"));
}
END_TEST

static int main_interrupted(void)
{
    return cosy_main(interrupted_sleep, 0);
}

START_TEST(a_main_that_was_interrupted_dies_of_it)
{
    int status = in_a_process(main_interrupted);
    dies_of(status, SIGINT);
    told("KeyboardInterrupt");
}
END_TEST

static volatile sig_atomic_t foreign_calls;

static void foreign_handler(int signum)
{
    (void)signum;
    foreign_calls++;
}

static int interrupted_in_vain(void)
{
    interrupt();
    return cosy_sleep(COSY_MS(2));
}

START_TEST(a_handler_of_the_programs_own_is_left_alone) /* test_signal_install_not_supported_ok in spirit */
{
    quiet();
    foreign_calls = 0;
    signal(SIGINT, foreign_handler);
    ck_assert_int_eq(cosy_run(interrupted_in_vain), 0);
    ck_assert_int_eq(foreign_calls, 1);
    ck_assert(disposition() == foreign_handler);
    signal(SIGINT, SIG_IGN);
    ck_assert_int_eq(cosy_run(interrupted_in_vain), 0);
    ck_assert(disposition() == SIG_IGN);
    signal(SIGINT, SIG_DFL);
}
END_TEST

static int install_my_own(void)
{
    signal(SIGINT, foreign_handler);
    return interrupted_in_vain();
}

START_TEST(a_handler_installed_during_the_run_stays)
{
    quiet();
    foreign_calls = 0;
    ck_assert_int_eq(cosy_run(install_my_own), 0);
    ck_assert_int_eq(foreign_calls, 1);
    ck_assert(disposition() == foreign_handler);
    signal(SIGINT, SIG_DFL);
}
END_TEST

static int callbacks;

static void on_ctrl_c(void *arg)
{
    (void)arg;
    callbacks++;
}

static int handle_ctrl_c_in_the_loop(void)
{
    ck_assert_int_eq(cosy_add_signal_handler(cosy_running_loop(), SIGINT, on_ctrl_c, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        interrupt();
        while (callbacks < i)
            cosy_try(cosy_sleep(COSY_US(100)));
    }
    return callbacks;
}

START_TEST(a_loops_own_handler_replaces_ours_and_is_never_deadly)
{
    quiet();
    ck_assert_int_eq(cosy_run(handle_ctrl_c_in_the_loop), 3);
    ck_assert(disposition() == SIG_DFL);
}
END_TEST

/* ---- threads ---- */

static int sees_default_disposition(int value)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return disposition() == SIG_DFL ? value : -EIO;
}

static void *run_in_thread(void *arg)
{
    int *result = arg;
    *result = cosy_run(sees_default_disposition, 6);
    return NULL;
}

static int run_beside_a_thread(void)
{
    pthread_t thread;
    int result = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_in_thread, &result), 0);
    pthread_join(thread, NULL);
    return result;
}

START_TEST(a_run_in_another_thread_touches_no_signals)
{
    quiet();
    ck_assert_int_eq(run_beside_a_thread(), 6);
}
END_TEST

static pthread_barrier_t all_ran;

static void *run_many(void *arg)
{
    cosy_runner *runner = cosy_runner_new();
    for (int i = 0; i < 20; i++)
        if (cosy_runner_run(runner, give_later, 1, i) != i)
            *(int *)arg = 1;
    pthread_barrier_wait(&all_ran); /* TSan does not see io_uring's rings unmapped, and mapped elsewhere */
    cosy_runner_free(runner);
    return NULL;
}

START_TEST(loops_in_several_threads_at_once) /* checklist row 23 */
{
    quiet();
    pthread_t threads[3];
    int bad[3] = {0};
    pthread_barrier_init(&all_ran, NULL, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_many, &bad[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(bad[i], 0);
    }
    pthread_barrier_destroy(&all_ran);
}
END_TEST

/* ---- cosy_main ---- */

static int main_gives_3(void)
{
    return cosy_main(give, 3);
}

static int main_gives_0(void)
{
    return cosy_main(give, 0);
}

static int main_fails(void)
{
    return cosy_main(pass_it_on);
}

static int main_is_cancelled(void)
{
    return cosy_main(cancel_myself);
}

START_TEST(the_exit_status_of_a_main)
{
    int status = in_a_process(main_gives_3);
    exits_with(status, 3);
    ck_assert_str_eq(errors, "");
    status = in_a_process(main_gives_0);
    exits_with(status, 0);
    status = in_a_process(main_fails);
    exits_with(status, 1);
    told("Async traceback (most recent call last):");
    told("pass_it_on");
    told("EIO: as asked\n");
    status = in_a_process(main_is_cancelled);
    exits_with(status, 1);
    told("ECANCELED");
}
END_TEST

/* ---- deadlock ---- */

static int await_each_other(cosy_future *never)
{
    return cosy_await(never);
}

static int deadlocked(void)
{
    cosy_scoped(cosy_future) never = cosy_future_new(NULL);
    cosy_scoped(cosy_task) first = cosy_create_task_with((.name = "philosopher"), await_each_other, never);
    int result = cosy_await(first);
    fprintf(stderr, "cleaned after %s\n", cosy_errname(result));
    return result;
}

static int main_deadlocked(void)
{
    return cosy_main(deadlocked);
}

static int runs_again_after_a_deadlock(void)
{
    int result = cosy_run(deadlocked);
    return result == -EDEADLK ? cosy_run(give, 9) : 1;
}

START_TEST(a_deadlock_is_told_with_the_tree_and_cleaned_up)
{
    if (!alone())
        return;
    int status = in_a_process(main_deadlocked);
    exits_with(status, 1);
    told("deadlock");
    told("philosopher");
    told("await_each_other");
    told("cleaned after ECANCELED");
    told("EDEADLK");
    status = in_a_process(runs_again_after_a_deadlock);
    exits_with(status, 9);
}
END_TEST

/* ---- no memory ---- */

static int busy_program(void)
{
    cosy_task_drop(cosy_create_task(slow_cleanup, 1, "left"));
    ck_assert_int_ge(cosy_spawn(give_later, LONG, 1), -ENOMEM);
    return cosy_yield();
}

static int run_a_busy_program(void)
{
    int result = cosy_run(busy_program);
    trace[0] = 0;
    return result;
}

static int run_twice(void)
{
    cosy_runner *runner = cosy_runner_new();
    if (!runner)
        return -ENOMEM;
    int first = cosy_runner_run(runner, give, 0);
    int second = cosy_runner_run(runner, give, 0); /* a run after a failed one works */
    cosy_runner_free(runner);
    return first < 0 ? first : second;
}

START_TEST(no_memory_is_an_error_and_leaves_nothing)
{
    starve(run_a_busy_program);
    starve(run_twice);
}
END_TEST

TESTS_MAIN("runner", it_returns_the_result, it_returns_the_error_with_its_story, a_cancelled_main_task,
           a_run_inside_a_run_is_refused, leftover_tasks_are_cancelled_and_waited_for,
           errors_of_leftover_tasks_are_reported, handles_outlive_the_run, a_task_that_refuses_the_cancel_is_waited_for,
           a_deadlock_at_shutdown_is_told_and_ends, a_task_begun_during_the_shutdown_is_not_forgotten_silently,
           runs_of_one_runner_share_a_loop_and_a_context, a_runner_sees_the_context_it_was_made_in, a_runners_life,
           tasks_live_on_between_runs, debug_mode_ends_with_its_runner, a_loop_stopped_before_the_result,
           until_complete, ctrl_c_cancels_the_main_task, ctrl_c_that_is_handled, ctrl_c_and_another_cancel_is_a_cancel,
           ctrl_c_ends_a_group_with_its_cleanup, ctrl_c_reaches_a_busy_loop, the_second_ctrl_c_kills,
           a_main_that_was_interrupted_dies_of_it, a_handler_of_the_programs_own_is_left_alone,
           a_handler_installed_during_the_run_stays, a_loops_own_handler_replaces_ours_and_is_never_deadly,
           a_run_in_another_thread_touches_no_signals, loops_in_several_threads_at_once, the_exit_status_of_a_main,
           a_deadlock_is_told_with_the_tree_and_cleaned_up, no_memory_is_an_error_and_leaves_nothing)
