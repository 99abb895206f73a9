/* test_my_server.c - a server and its client on a simulated network that tears, delays and breaks; and a host that never answers.
 *
 * No packet leaves the process. What happens by chance is drawn from the seed, so a failing round can be made again. The guide is docs/testing.md.
 */
#include <cosy.h>
#include <stdio.h>
#include <string.h>

/* ---- the program ---- */

static int echo_lines(cosy_stream *stream, int *served)
{
    char *line;
    int64_t length;
    while ((length = cosy_readline(stream, &line)) > 0) {
        cosy_try(cosy_write(stream, line, (size_t)length));
        ++*served;
    }
    return (int)length;
}

cosy_async static int ask(const char *host, char *answer, size_t size)
{
    cosy_scoped(cosy_stream) stream = NULL;
    char *line;
    cosy_try(cosy_open_connection(host, 7, &stream));
    cosy_try(cosy_write(stream, "hello\n", 6));
    cosy_try(cosy_readline(stream, &line));
    snprintf(answer, size, "%s", line);
    return 0;
}

/* ---- the test ---- */

cosy_async static int server_and_client(void)
{
    cosy_scoped(cosy_server) server = NULL;
    char answer[32] = "";
    int served = 0;
    cosy_try(cosy_test_network(.latency = COSY_MS(5), .torn_reads = true, .short_writes = true, .again_per_million = 100000));
    cosy_try(cosy_test_add_host("echo.example", "2001:db8::7", .behaviour = COSY_TEST_BLACK_HOLE));
    cosy_try(cosy_test_add_host("echo.example", "10.0.0.7"));
    cosy_try(cosy_start_server(&server, echo_lines, &served, "10.0.0.7", 7));
    cosy_try(ask("echo.example", answer, sizeof answer));
    cosy_test_expect(strcmp(answer, "hello\n") == 0 && served == 1);
    return 0;
}

int main(void)
{
    int rounds = cosy_test_explore((.seeds = 50), server_and_client);
    struct cosy_test_report report;
    int result = cosy_test_run_with((.report = &report), server_and_client);
    printf("50 networks: %s\n", rounds == 50 ? "all well" : "failed");
    printf("one of them: %d, after the dead address's %g s and some\n", result, (double)(report.time / COSY_MS(50)) / 20);
    return 0;
}

/* Output:
 * 50 networks: all well
 * one of them: 0, after the dead address's 0.25 s and some
 */
