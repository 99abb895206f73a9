/* Where messages go: the program's sink, or standard error from a level on. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cosy/log.h>

/* ---- the sink of the program ---- */

static struct {
    int calls;
    enum cosy_log_level level;
    char text[9000];
    void *arg;
} seen;

static void keep(enum cosy_log_level level, const char *text, void *arg)
{
    seen.calls++;
    seen.level = level;
    seen.arg = arg;
    snprintf(seen.text, sizeof seen.text, "%s", text);
}

static void forget_sink(void)
{
    cosy_set_log_sink(NULL, NULL);
    memset(&seen, 0, sizeof seen);
}

START_TEST(a_sink_gets_every_level_formatted)
{
    int mark;
    unsetenv("COSY_LOG");
    cosy_set_log_sink(keep, &mark);
    for (int level = COSY_LOG_DEBUG; level <= COSY_LOG_ERROR; level++) {
        cosy_log((enum cosy_log_level)level, "%s: %d of %.2f", "message", level, 1.5);
        ck_assert_int_eq(seen.calls, level + 1);
        ck_assert_int_eq(seen.level, (enum cosy_log_level)level);
        ck_assert_ptr_eq(seen.arg, &mark);
    }
    ck_assert_str_eq(seen.text, "message: 3 of 1.50");
}
END_TEST

START_TEST(a_long_message_is_cut_and_ends)
{
    static char text[20000];
    memset(text, 'a', sizeof text - 1);
    cosy_set_log_sink(keep, NULL);
    cosy_log(COSY_LOG_ERROR, "%s", text);
    ck_assert_int_eq(seen.calls, 1);
    ck_assert_uint_gt(strlen(seen.text), 4000);
    ck_assert_uint_lt(strlen(seen.text), 9000);
}
END_TEST

/* ---- standard error ---- */

static int saved, ends[2];

static void catch_stderr(void)
{
    fflush(stderr);
    ck_assert_int_eq(pipe(ends), 0);
    saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static const char *caught_stderr(void)
{
    static char text[65536];
    size_t length = 0;
    dup2(saved, STDERR_FILENO); /* closes the last writing end */
    close(saved);
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    text[length] = 0;
    return text;
}

static void log_each_level(void)
{
    cosy_log(COSY_LOG_DEBUG, "d");
    cosy_log(COSY_LOG_INFO, "i");
    cosy_log(COSY_LOG_WARNING, "w");
    cosy_log(COSY_LOG_ERROR, "e");
}

START_TEST(standard_error_gets_lines_from_the_level_that_the_environment_names)
{
    static const struct {
        const char *level, *expected;
    } known[] = {
        {NULL, "w\ne\n"}, {"debug", "d\ni\nw\ne\n"}, {"info", "i\nw\ne\n"}, {"warning", "w\ne\n"}, {"error", "e\n"},
        {"", "w\ne\n"},   {"nonsense", "w\ne\n"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].level)
            setenv("COSY_LOG", known[i].level, 1);
        else
            unsetenv("COSY_LOG");
        catch_stderr();
        log_each_level();
        ck_assert_str_eq(caught_stderr(), known[i].expected);
    }
}
END_TEST

START_TEST(null_brings_the_default_back)
{
    cosy_set_log_sink(keep, NULL);
    cosy_set_log_sink(NULL, NULL);
    catch_stderr();
    cosy_log(COSY_LOG_ERROR, "back\nwith two lines");
    ck_assert_str_eq(caught_stderr(), "back\nwith two lines\n");
    ck_assert_int_eq(seen.calls, 0);
}
END_TEST

START_TEST(errno_is_not_touched)
{
    int null = open("/dev/full", O_WRONLY), kept = dup(STDERR_FILENO);
    ck_assert_int_ge(null, 0);
    dup2(null, STDERR_FILENO);
    errno = 1234;
    cosy_log(COSY_LOG_ERROR, "no room for this");
    int after = errno;
    dup2(kept, STDERR_FILENO);
    ck_assert_int_eq(after, 1234);
    close(null);
    close(kept);
}
END_TEST

static void nothing(int signum)
{
    (void)signum;
}

static void *drain_later(void *arg)
{
    char *text = arg;
    size_t length = 0;
    usleep(50000);
    for (ssize_t n; (n = read(ends[0], text + length, 200000 - length)) > 0;)
        length += (size_t)n;
    text[length] = 0;
    return NULL;
}

START_TEST(a_signal_does_not_cut_a_message)
{
    static char text[200001], line[4000];
    memset(line, 'b', sizeof line - 1);
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART: write() is interrupted */
    sigaction(SIGALRM, &action, NULL);
    catch_stderr();
    pthread_t thread;
    sigset_t alarm_only, before;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, &before); /* the signals are for this thread */
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_later, text), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ualarm(5000, 5000);
    for (int i = 0; i < 40; i++) /* more than a pipe holds */
        cosy_log(COSY_LOG_ERROR, "%s", line);
    ualarm(0, 0);
    dup2(saved, STDERR_FILENO);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(strlen(text), 40 * sizeof line);
}
END_TEST

static void *log_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        cosy_log(COSY_LOG_ERROR, "0123456789");
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    pthread_t threads[4];
    catch_stderr();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_lines, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    const char *text = caught_stderr();
    ck_assert_uint_eq(strlen(text), 4 * 50 * 11);
    for (; *text; text += 11)
        ck_assert_int_eq(strncmp(text, "0123456789\n", 11), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, forget_sink, NULL);
    tcase_add_test(tcase, a_sink_gets_every_level_formatted);
    tcase_add_test(tcase, a_long_message_is_cut_and_ends);
    tcase_add_test(tcase, standard_error_gets_lines_from_the_level_that_the_environment_names);
    tcase_add_test(tcase, null_brings_the_default_back);
    tcase_add_test(tcase, errno_is_not_touched);
    tcase_add_test(tcase, a_signal_does_not_cut_a_message);
    tcase_add_test(tcase, lines_of_threads_do_not_mix);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
