/* process: start `true`, and wait for its end. process_output: the same with echo, and what it writes. */
#include "rows.h"

cosy_async static int run_one(bool output)
{
    cosy_scoped(cosy_process) process = NULL;
    struct cosy_process_output text = {0};
    int code;
    if (!output) {
        cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("/bin/true")));
        return cosy_process_wait(process, &code);
    }
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("/bin/echo", "hello"), .stdout = COSY_PIPE));
    int result = cosy_process_communicate(process, NULL, 0, 0, &text);
    cosy_process_output_free(&text);
    return result;
}

cosy_async static int run_some(long count, bool output)
{
    for (; count > 0; count--)
        cosy_try(run_one(output));
    return 0;
}

cosy_async static int measure(const char *name, long size)
{
    bool output = strcmp(name, "process_output") == 0;
    cosy_try(run_some(bench_warms_up() ? size / 10 + 1 : 1, output));
    double start = bench_wall_ns();
    cosy_try(run_some(size, output));
    return bench_print(name, (bench_wall_ns() - start) / (double)size / 1e3, "us");
}

int cosy_process_row(const char *name, long size)
{
    return cosy_run(measure, name, size);
}
