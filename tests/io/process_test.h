/* process_test.h - what the tests of processes share. Real programs need a real kernel: on the simulated one each of
 * these test programs looks that they are refused there, with words. */
#ifndef COSY_TESTS_PROCESS_TEST_H
#define COSY_TESTS_PROCESS_TEST_H

#include "io_test.h"

#include <fcntl.h>
#include <sys/wait.h>

#define ck_ok(result) ck_assert_int_eq((result), 0)
#define SH(command)   COSY_ARGV("/bin/sh", "-c", command)

/* No child of this process is left, running or dead. */
__attribute__((unused)) static void no_children(void)
{
    siginfo_t info;
    ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* No process has that number, or only a dead one that is its new parent's to reap. */
__attribute__((unused)) static bool is_gone(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state == 'Z' || state == 'X';
}

cosy_async __attribute__((unused)) static void until_gone(pid_t pid)
{
    for (int ms = 0; !is_gone(pid); ms++) {
        ck_assert_msg(ms < 10000, "process %d is still there", (int)pid);
        ck_ok(cosy_sleep(COSY_MS(1)));
    }
}

/* Reads a number from a line. */
cosy_async __attribute__((unused)) static int number_from(cosy_stream *stream)
{
    char *line;
    ck_assert_int_gt(cosy_readline(stream, &line), 0);
    return atoi(line);
}

/* What a command writes, as text that lives until the next call; its return code must be `code`. */
cosy_async __attribute__((unused)) static const char *output_of(const char *const *argv, int code,
                                                                const struct cosy_process_options *options)
{
    static char text[65536];
    cosy_process *process;
    struct cosy_process_output output;
    struct cosy_process_options own = options ? *options : (struct cosy_process_options){0};
    if (!own.pty)
        own.stdout = COSY_PIPE;
    int result = cosy_create_subprocess_exec_(&process, argv, &own);
    ck_assert_msg(result == 0, "%s: %s", cosy_errname(result), cosy_error_message(result));
    ck_ok(cosy_process_communicate(process, NULL, 0, sizeof text - 1, &output));
    ck_assert_int_eq(cosy_process_returncode(process), code);
    snprintf(text, sizeof text, "%s", output.stdout);
    cosy_process_output_free(&output);
    ck_ok(cosy_process_close(process));
    no_children();
    return text;
}
#define OPTIONS(...) (&(const struct cosy_process_options){__VA_ARGS__})

TASK_TEST(not_on_the_simulated_kernel)
{
    cosy_process *process = (cosy_process *)1;
    ck_assert_int_eq(cosy_create_subprocess_exec(&process, COSY_ARGV("true")), -ENOTSUP);
    ck_assert_ptr_null(process);
    ck_assert_msg(strstr(cosy_error_message(-ENOTSUP), "cosy_create_subprocess_exec") &&
                      strstr(cosy_error_message(-ENOTSUP), "'true'"),
                  "%s", cosy_error_message(-ENOTSUP));
    return 0;
}

#define PROCESS_TESTS_MAIN(room, ...)                                                                                  \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__}, *const simulated[] = {not_on_the_simulated_kernel};                \
        const char *backend = getenv("COSY_BACKEND");                                                                  \
        if (backend && strcmp(backend, "sim") == 0)                                                                    \
            return run_tests(room, simulated, 1);                                                                      \
        return run_tests(room, tests, sizeof tests / sizeof *tests);                                                   \
    }

#endif
