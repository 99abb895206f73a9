/* test_process_sim.c - programs of a test's own on the simulated kernel: pipelines in virtual time, in many orders,
 * cancelled at every wait. */
#include "io_test.h"

#include <ctype.h>

#define ck_ok(result) ck_assert_int_eq((result), 0)

/* ---- some programs ---- */

cosy_async static int cat(const struct cosy_test_program_call *call)
{
    int64_t length;
    COSY_CHUNKS (call->stdin, chunk, length)
        cosy_try(cosy_write(call->stdout, chunk, (size_t)length));
    return (int)length;
}

cosy_async static int upper(const struct cosy_test_program_call *call)
{
    int64_t length;
    COSY_LINES (call->stdin, line, length) {
        for (int64_t i = 0; i < length; i++)
            line[i] = (char)toupper(line[i]);
        cosy_try(cosy_write(call->stdout, line, (size_t)length));
    }
    return (int)length;
}

cosy_async static int echo(const struct cosy_test_program_call *call)
{
    for (int i = 1; i < call->argc; i++)
        cosy_try(cosy_printf(call->stdout, "%s%s", call->argv[i], i + 1 < call->argc ? " " : "\n"));
    return call->argc > 2 ? 3 : 0;
}

cosy_async static int sleeper(const struct cosy_test_program_call *call)
{
    (void)call;
    return cosy_sleep(COSY_S(3600));
}

/* Cleans up after SIGTERM, and says so by its exit status. */
cosy_async static int careful(const struct cosy_test_program_call *call)
{
    int result = cosy_sleep(COSY_S(3600));
    if (result == -ECANCELED && cosy_sleep(COSY_S(2)) == 0) {
        say("cleaned %s", (const char *)call->arg);
        return 9;
    }
    return result;
}

/* Ignores whatever can be ignored. */
cosy_async static int stubborn(const struct cosy_test_program_call *call)
{
    (void)call;
    for (int i = 0; i < 100; i++)
        (void)cosy_sleep(COSY_S(60));
    return 0;
}

cosy_async static int both(const struct cosy_test_program_call *call)
{
    cosy_try(cosy_printf(call->stdout, "out %s\n", call->cwd));
    cosy_try(cosy_printf(call->stderr, "err\n"));
    return cosy_fail(EIO, "as asked");
}

cosy_async static int name_all(void)
{
    cosy_try(cosy_test_program("cat", cat, NULL));
    cosy_try(cosy_test_program("upper", upper, NULL));
    cosy_try(cosy_test_program("/usr/bin/echo", echo, NULL));
    cosy_try(cosy_test_program("sleep", sleeper, NULL));
    cosy_try(cosy_test_program("careful", careful, (void *)(uintptr_t) "up"));
    cosy_try(cosy_test_program("stubborn", stubborn, NULL));
    return cosy_test_program("both", both, NULL);
}

static void ck_run(int (*fn)(void))
{
    struct cosy_test_report report;
    begin_test();
    int result = cosy_test_run_with((.report = &report), fn);
    ck_assert_msg(result == 0, "%s: %s", cosy_errname(result), cosy_strerror(result));
    ck_assert_int_eq(report.unheard, 0);
    ck_assert_str_eq(logged, "");
}

#define SIM_TEST(name)                                                                                                 \
    cosy_async static int name##_body(void);                                                                           \
    START_TEST(name)                                                                                                   \
    {                                                                                                                  \
        ck_run(name##_body);                                                                                           \
    }                                                                                                                  \
    END_TEST                                                                                                           \
    cosy_async static int name##_body(void)

/* ---- what they get and give ---- */

SIM_TEST(a_named_program_gets_arguments_and_pipes)
{
    struct cosy_process_result result;
    cosy_try(name_all());
    cosy_try(cosy_run_process(COSY_ARGV("/usr/bin/echo", "one", "two"), &result, .capture = true));
    ck_assert_str_eq(result.output.stdout, "one two\n");
    ck_assert_int_eq(result.returncode, 3);
    cosy_process_output_free(&result.output);
    cosy_try(cosy_run_process(COSY_ARGV("/bin/upper"), &result, .capture = true, .input = "a\nb", .input_size = 3));
    ck_assert_str_eq(result.output.stdout, "A\nB");
    ck_assert_int_eq(result.returncode, 0);
    cosy_process_output_free(&result.output);
    cosy_try(cosy_run_process(COSY_ARGV("both"), &result, .capture = true, .process.cwd = "/x"));
    ck_assert_str_eq(result.output.stdout, "out /x\n");
    ck_assert_str_eq(result.output.stderr, "err\n");
    ck_assert_int_eq(result.returncode, 1);
    cosy_process_output_free(&result.output);
    ck_assert_int_eq(
        cosy_run_process(COSY_ARGV("both"), &result, .capture = true, .check = true, .process.stderr = COSY_STDOUT),
        -COSY_EPROCESS);
    ck_assert_str_eq(result.output.stdout, "out (null)\nerr\n");
    cosy_process_output_free(&result.output);
    return 0;
}

SIM_TEST(others_are_refused_with_words)
{
    cosy_process *process;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("git")), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ENOTSUP), "'git' (cosy_test_program)"));
    cosy_try(name_all());
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .pty = true), -ENOTSUP);
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("cat"), .stdout = 5), -ENOTSUP);
    ck_assert_int_eq(cosy_test_program("", cat, NULL), -EINVAL);
    ck_assert_int_eq(cosy_test_program("cat", NULL, NULL), -EINVAL);
    return 0;
}

START_TEST(names_belong_to_a_simulated_loop)
{
    begin_test();
    ck_assert_int_eq(cosy_test_program("cat", cat, NULL), -COSY_ENOLOOP);
    ck_run(name_all);
    ck_assert_int_eq(cosy_test_run(name_all), 0);
}
END_TEST

SIM_TEST(the_latest_name_counts)
{
    struct cosy_process_result result;
    cosy_try(name_all());
    cosy_try(cosy_test_program("cat", upper, NULL));
    cosy_try(cosy_run_process(COSY_ARGV("cat"), &result, .capture = true, .input = "x", .input_size = 1));
    ck_assert_str_eq(result.output.stdout, "X");
    cosy_process_output_free(&result.output);
    return 0;
}

/* ---- signals and time ---- */

SIM_TEST(signals_end_programs_in_virtual_time)
{
    cosy_process *process;
    int code;
    cosy_try(name_all());
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("sleep")));
    ck_assert_int_eq(cosy_process_pid(process), 1000);
    ck_ok(cosy_process_send_signal(process, 0));
    ck_ok(cosy_process_send_signal(process, SIGWINCH));
    cosy_ns before = now();
    ck_assert_int_eq(cosy_wait_for(cosy_call(cosy_process_wait, process, &code), COSY_S(100)), -ETIMEDOUT);
    ck_assert_int_eq(now() - before, COSY_S(100));
    ck_ok(cosy_process_send_signal(process, SIGHUP));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGHUP);
    ck_assert_int_eq(cosy_process_kill(process), -ESRCH);
    return cosy_process_close(process);
}

SIM_TEST(a_program_may_clean_up)
{
    cosy_process *process;
    int code;
    cosy_try(name_all());
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("careful")));
    ck_ok(cosy_sleep(COSY_S(1)));
    ck_ok(cosy_process_terminate(process));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, 9);
    said("cleaned up");
    ck_ok(cosy_process_close(process));
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("careful"), .close_grace = COSY_S(1)));
    ck_ok(cosy_sleep(COSY_S(1)));
    cosy_ns before = now();
    ck_ok(cosy_process_close(process)); /* its clean-up takes longer than that */
    ck_assert_int_eq(now() - before, COSY_S(1));
    said("");
    return 0;
}

SIM_TEST(after_sigkill_nothing_goes_on)
{
    cosy_process *process;
    int code;
    cosy_try(name_all());
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("stubborn")));
    ck_ok(cosy_sleep(COSY_S(1)));
    cosy_ns before = now();
    ck_ok(cosy_process_terminate(process));
    ck_ok(cosy_sleep(COSY_S(1)));
    ck_assert_int_eq(cosy_process_returncode(process), COSY_STILL_RUNNING);
    ck_ok(cosy_process_kill(process));
    ck_ok(cosy_process_wait(process, &code));
    ck_assert_int_eq(code, -SIGKILL);
    ck_assert_int_eq(now() - before, COSY_S(1));
    return cosy_process_close(process);
}

/* ---- many orders ---- */

/* cat | upper, by hand. */
cosy_async static int pump(cosy_stream *from, cosy_stream *to)
{
    int64_t length;
    COSY_CHUNKS (from, chunk, length)
        cosy_try(cosy_write(to, chunk, (size_t)length));
    return length < 0 ? (int)length : cosy_write_eof(to);
}

cosy_async static int pipeline(void)
{
    static char input[100000];
    struct cosy_process_output output;
    int code;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = i % 50 == 49 ? '\n' : 'a';
    cosy_try(name_all());
    cosy_scoped(cosy_process) first = NULL;
    cosy_scoped(cosy_process) second = NULL;
    cosy_try(cosy_create_subprocess_exec(&first, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    cosy_try(cosy_create_subprocess_exec(&second, COSY_ARGV("upper"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_spawn(group, pump, cosy_process_stdout(first), cosy_process_stdin(second));
    cosy_try(cosy_write(cosy_process_stdin(first), input, sizeof input / 2)); /* fits into the pipes */
    cosy_try(cosy_write_eof(cosy_process_stdin(first)));
    char *all = NULL;
    int64_t size = cosy_read_all(cosy_process_stdout(second), &all, 0);
    bool right = size == sizeof input / 2 && all[0] == 'A' && all[size - 2] == 'A';
    free(all);
    cosy_try((int)(size < 0 ? size : 0));
    cosy_test_expect(right);
    cosy_try(cosy_task_group_wait(group));
    cosy_try(cosy_process_wait(first, &code));
    cosy_test_expect(code == 0);
    cosy_try(cosy_process_communicate(second, NULL, 0, 0, &output));
    cosy_process_output_free(&output);
    return cosy_process_returncode(second);
}

cosy_async static int run_and_check(void)
{
    struct cosy_process_result result;
    cosy_try(name_all());
    int err = cosy_run_process(COSY_ARGV("cat"), &result, .capture = true, .input = "hello", .input_size = 5);
    if (err == 0)
        cosy_test_expect(result.returncode != 0 || strcmp(result.output.stdout, "hello") == 0);
    cosy_process_output_free(&result.output);
    return err;
}

cosy_async static int close_in_grace(void)
{
    cosy_process *process;
    cosy_try(name_all());
    cosy_try(
        cosy_create_subprocess_exec(&process, COSY_ARGV("careful"), .close_grace = COSY_S(3), .stdout = COSY_PIPE));
    int slept = cosy_sleep(COSY_S(1));
    int closed = cosy_process_close(process);
    trace[0] = 0;
    return slept < 0 ? slept : closed;
}

START_TEST(in_many_orders_and_cancelled_at_every_wait)
{
    begin_test();
    unsigned seeds = under_tool() ? 1 : 6;
    ck_assert_int_gt(cosy_test_explore((.name = "run", .seeds = seeds, .cancel_each_wait = true), run_and_check), 10);
    ck_assert_int_gt(cosy_test_explore((.name = "grace", .seeds = seeds, .cancel_each_wait = true), close_in_grace), 3);
    ck_assert_int_gt(
        cosy_test_explore((.name = "pipeline", .seeds = seeds, .cancel_task = "pipeline", .cancel_each_wait = true),
                          pipeline),
        3);
    ck_assert_int_gt(cosy_test_explore((.name = "orders", .seeds = 5 * seeds), pipeline), 4);
}
END_TEST

/* ---- lack ---- */

static int run_once(void)
{
    return cosy_test_run_with((.unwatched = true), run_and_check);
}

START_TEST(each_allocation_may_fail)
{
    starve_kernel_too(run_once);
}
END_TEST

TESTS_MAIN("process_sim", a_named_program_gets_arguments_and_pipes, others_are_refused_with_words,
           names_belong_to_a_simulated_loop, the_latest_name_counts, signals_end_programs_in_virtual_time,
           a_program_may_clean_up, after_sigkill_nothing_goes_on, in_many_orders_and_cancelled_at_every_wait,
           each_allocation_may_fail)
