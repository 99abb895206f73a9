/* lines_and_clock.c - reads what is typed while a clock ticks: standard input is one more thing to wait for.
 *
 *     lines_and_clock                         type; Ctrl-D ends it
 *     seq 3 | lines_and_clock                 a pipe
 *     lines_and_clock < some_file             a file
 *     lines_and_clock keys                    each key at once, q ends it; the terminal is left as it was found
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

static int ticks;

cosy_async static int clock_task(cosy_stream *output)
{
    for (;;) {
        cosy_try(cosy_sleep(COSY_MS(250)));
        ticks++;
        cosy_try(cosy_printf(output, "tick %d\n", ticks));
    }
}

cosy_async static int read_lines(cosy_stream *input, cosy_stream *output)
{
    int64_t length;
    int lines = 0;
    COSY_LINES (input, line, length) {
        lines++;
        cosy_try(cosy_printf(output, "line %d: %s%s", lines, line, line[length - 1] == '\n' ? "" : "\n"));
    }
    cosy_try((int)length);
    return cosy_printf(output, "end of the input: %d lines\n", lines);
}

cosy_async static int read_keys(cosy_stream *input, cosy_stream *output)
{
    char key = 0;
    unsigned columns, rows;
    cosy_try(cosy_tty_size(input, &columns, &rows));
    cosy_try(cosy_printf(output, "a terminal of %u by %u\n", columns, rows));
    cosy_try(cosy_tty_set_mode(input, COSY_TTY_CBREAK));
    while (key != 'q') {
        if (cosy_try(cosy_read(input, &key, 1)) == 0)
            break;
        cosy_try(cosy_printf(output, "key %d\n", key));
    }
    return cosy_tty_set_mode(input, COSY_TTY_NORMAL);
}

cosy_async static int amain(int count, char **words)
{
    cosy_scoped(cosy_stream) input = NULL;
    cosy_scoped(cosy_stream) output = NULL;
    bool keys = count > 1 && strcmp(words[1], "keys") == 0;
    cosy_try(cosy_stdin(&input));
    cosy_try(cosy_stdout(&output));
    cosy_scoped(cosy_task) clock = cosy_create_task(clock_task, output);
    int result = keys ? read_keys(input, output) : read_lines(input, output);
    cosy_task_cancel(clock);
    (void)cosy_await(clock);
    return result < 0 ? result : 0;
}

int main(int count, char **words) { return cosy_main(amain, count, words); }

/* Output:
 * end of the input: 0 lines
 */
