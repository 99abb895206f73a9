/* test_fork.c - forks in a running program: the child's copy of the loop is dead, or takes the parent's place. */
#include "../harness/cosy_test.h"
#include "../harness/forked.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>

#define ck_ok(result) ck_assert_int_eq((result), 0)

/* ---- nothing is shared ---- */

static int look_around(cosy_task *me, cosy_stream *stream)
{
    const bool holds[] = {
        cosy_running_loop() == NULL,      cosy_current_task() == NULL,
        cosy_sleep(1) == -COSY_ENOTASK,   cosy_yield() == -COSY_ENOTASK,
        cosy_await(me) == -COSY_ENOTASK,  cosy_write(stream, "from the child", 14) == -COSY_ENOTASK,
        strstr(logged, "forked") != NULL,
    };
    return which_fails(holds, sizeof holds / sizeof *holds);
}

ASYNC_TEST(a_child_shares_neither_loop_nor_task)
{
    cosy_stream *ends[2];
    char data[16];
    ck_ok(cosy_stream_pair(ends));
    capture_log();
    cosy_task *me = cosy_current_task();
    FORKED(0, look_around(me, ends[0]));
    ck_ok(cosy_write(ends[0], "parent", 6));
    ck_assert_int_eq(cosy_readexactly(ends[1], data, 6), 6);
    ck_ok(cosy_stream_close(ends[0]));
    ck_assert_int_eq(cosy_read(ends[1], data, 16), 0);
    return cosy_stream_close(ends[1]);
}

cosy_async static int childs_main(int value)
{
    cosy_try(cosy_sleep(COSY_MS(1)));
    return value;
}

ASYNC_TEST(a_child_runs_a_loop_of_its_own)
{
    FORKED(7, cosy_run(childs_main, 7));
    FORKED(8, cosy_run(childs_main, 8));
    return cosy_sleep(COSY_MS(1));
}

cosy_async static int fork_deep(int depth)
{
    FORKED(depth, depth == 0 ? 0 : cosy_run(fork_deep, depth - 1) == 0 ? depth : 99);
    return 0;
}

ASYNC_TEST(grandchildren_too)
{
    return fork_deep(under_tool() ? 1 : 3);
}

static int work_in_thread(void)
{
    return 3;
}

cosy_async static int use_a_thread(void)
{
    return cosy_to_thread(work_in_thread);
}

ASYNC_TEST(threads_start_anew)
{
    NOT_UNDER_TSAN(0);
    ck_assert_int_eq(use_a_thread(), 3);
    FORKED(3, cosy_run(use_a_thread));
    return use_a_thread() == 3 ? 0 : -1;
}

/* ---- the copy that comes back ---- */

static bool in_child, others_ran;
static int other_fd;

cosy_async static int other(void)
{
    for (;;) {
        cosy_try(cosy_sleep(COSY_US(10)));
        if (in_child && write(other_fd, "x", 1) != 1)
            return -EIO;
    }
}

cosy_async static int fork_and_come_back(int how)
{
    cosy_scoped(cosy_task) task = cosy_create_task(other);
    cosy_try(cosy_yield());
    if (fork() == 0) {
        in_child = true;
        return how == 0 ? 5 : how == 1 ? cosy_sleep(COSY_MS(1)) : cosy_fail(EIO, "as asked");
    }
    cosy_task_cancel(task);
    cosy_await(task);
    return 1;
}

static int fork_in(int how)
{
    int result = cosy_run(fork_and_come_back, how), status = 0;
    if (in_child)
        leave(result == -COSY_EFORKED ? 77 : 1);
    wait(&status);
    return result == 1 ? WEXITSTATUS(status) : 2;
}

/* No other task runs in it, not even its clean-up. */
START_TEST(a_child_that_comes_back_to_the_loop_ends_it)
{
    NOT_UNDER_TSAN();
    int fds[2];
    char byte;
    ck_ok(pipe2(fds, O_NONBLOCK));
    other_fd = fds[1];
    capture_log();
    for (int how = 0; how < 3; how++)
        ck_assert_int_eq(fork_in(how), 77);
    ck_assert_int_eq(read(fds[0], &byte, 1), -1);
    (void)others_ran;
}
END_TEST

static int fork_with_words(void)
{
    int result = cosy_run(fork_and_come_back, 0);
    if (in_child)
        leave(result == -COSY_EFORKED ? 77 : 1);
    int status;
    wait(&status);
    return WEXITSTATUS(status);
}

START_TEST(and_says_so)
{
    NOT_UNDER_TSAN();
    struct child_end end;
    run_child(fork_with_words, &end);
    ck_assert_int_eq(end.status, 77 << 8);
    ck_assert_contains(end.error, "was forked while a loop ran");
    ck_assert_contains(end.error, "cosy_after_fork_child()");
}
END_TEST

static void fork_in_callback(void *arg)
{
    if (fork() == 0)
        in_child = true;
    cosy_loop_stop(arg);
}

static int run_callback(void)
{
    cosy_loop *loop;
    int status;
    if (cosy_loop_new(&loop) < 0 || cosy_call_soon(loop, fork_in_callback, loop, NULL) < 0)
        return 1;
    int result = cosy_loop_run_forever(loop);
    if (in_child)
        leave(result == -COSY_EFORKED && cosy_loop_run_forever(loop) == -COSY_EFORKED ? 77 : 1);
    wait(&status);
    cosy_loop_free(loop);
    return WEXITSTATUS(status);
}

START_TEST(a_callback_forks)
{
    NOT_UNDER_TSAN();
    capture_log();
    ck_assert_int_eq(run_callback(), 77);
}
END_TEST

/* ---- what is open ---- */

cosy_async static int take(cosy_stream *stream, char *data)
{
    return (int)cosy_readexactly(stream, data, 5);
}

static int close_copies(cosy_stream *ends[2], cosy_task *reader)
{
    cosy_stream_close(ends[0]);
    cosy_stream_close(ends[1]);
    cosy_task_drop(reader);
    return 0;
}

/* While the parent waits for it, by edges. */
ASYNC_TEST(what_a_child_closes_stays_open_and_watched)
{
    cosy_stream *ends[2];
    char data[8] = "";
    ck_ok(cosy_stream_pair(ends));
    cosy_scoped(cosy_task) reader = cosy_create_task(take, ends[1], data);
    ck_ok(cosy_sleep(COSY_MS(1)));
    FORKED(0, close_copies(ends, reader));
    ck_ok(cosy_write(ends[0], "still", 5));
    ck_assert_int_eq(cosy_await(reader), 5);
    ck_assert_str_eq(data, "still");
    ck_ok(cosy_stream_close(ends[0]));
    return cosy_stream_close(ends[1]);
}

/* What is buffered would be sent twice. */
ASYNC_TEST(buffered_bytes_are_sent_once)
{
    enum { SIZE = 1 << 20 };
    cosy_stream *ends[2];
    char *data = calloc(1, SIZE), *all;
    ck_ok(cosy_stream_pair(ends, .high_water = 4 << 20));
    for (int i = 0; i < SIZE / 8192; i++) /* more at once would not be copied, but waited with */
        ck_ok(cosy_write(ends[0], data, 8192));
    ck_assert_uint_gt(cosy_get_write_buffer_size(ends[0]), 0);
    FORKED(0, close_copies(ends, NULL));
    char chunk[4096];
    size_t got = 0;
    while (got < SIZE) {
        int64_t size = cosy_read(ends[1], chunk, sizeof chunk);
        ck_assert_int_gt(size, 0);
        got += (size_t)size;
    }
    ck_ok(cosy_stream_close(ends[0]));
    ck_assert_int_eq(cosy_read_all(ends[1], &all, 0), 0);
    free(all);
    free(data);
    return cosy_stream_close(ends[1]);
}

/* ---- in the parent's place ---- */

cosy_async static int tick(int *ticks)
{
    for (;;) {
        cosy_try(cosy_sleep(COSY_MS(1)));
        ++*ticks;
    }
}

cosy_async static int go_on(cosy_stream *ends[2], int *ticks)
{
    char data[8];
    int before = *ticks, result;
    if ((result = cosy_after_fork_child()) != 0)
        return 1;
    if (cosy_after_fork_child() != -COSY_EINVALIDSTATE)
        return 2;
    cosy_scoped(cosy_task) reader = cosy_create_task(take, ends[1], data);
    if (cosy_sleep(COSY_MS(5)) != 0 || *ticks == before)
        return 3;
    if (cosy_write(ends[0], "again", 5) != 0 || cosy_await(reader) != 5)
        return 4;
    return 42;
}

/* Timers, tasks and connections go on; and the parent's are not disturbed. */
ASYNC_TEST(a_child_takes_the_parents_place)
{
    cosy_stream *ends[2];
    int ticks = 0;
    ck_assert_int_eq(cosy_after_fork_child(), -COSY_EINVALIDSTATE);
    ck_ok(cosy_stream_pair(ends));
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick, &ticks);
    cosy_scoped(cosy_task) reader = cosy_create_task(take, ends[0], noted);
    ck_ok(cosy_sleep(COSY_MS(3)));
    if (!on_simulator() && !UNDER_TSAN) /* the simulator's sockets are memory */
        FORKED(42, go_on(ends, &ticks));
    cosy_task_cancel(ticker);
    cosy_task_cancel(reader);
    ck_assert_int_eq(cosy_await(ticker), -ECANCELED);
    ck_assert_int_eq(cosy_await(reader), -ECANCELED);
    ck_ok(cosy_stream_close(ends[0]));
    return cosy_stream_close(ends[1]);
}

/* ---- loops that do not run ---- */

static int run_some(cosy_loop *loop, int fd)
{
    int ticks = 0, result = 0;
    cosy_task *task = cosy_create_task_with((.loop = loop), tick, &ticks);
    for (int i = 0; i < 1000 && result >= 0 && ticks < 3; i++)
        result = cosy_loop_run_once(loop, COSY_MS(5));
    cosy_task_cancel(task);
    cosy_loop_run_once(loop, 0);
    cosy_task_drop(task);
    (void)fd;
    return result < 0 ? 1 : ticks < 3 ? 2 : 0;
}

static void note_ready(void *arg)
{
    char byte;
    int *fds = arg;
    if (read(fds[0], &byte, 1) == 1)
        fds[2]++;
}

static int use_and_free(cosy_loop *loop, int *fds)
{
    int result = run_some(loop, 0);
    if (cosy_remove_reader(loop, fds[0]) != 1)
        result = 3;
    cosy_loop_free(loop);
    return result;
}

/* The child takes a descriptor out of its set: it must be its own. */
START_TEST(a_loop_that_does_not_run_is_each_ones_own)
{
    cosy_loop *loop;
    int fds[3] = {-1, -1, 0};
    ck_ok(cosy_loop_new(&loop));
    ck_ok(pipe(fds));
    ck_ok(cosy_add_reader(loop, fds[0], note_ready, fds));
    ck_ok(run_some(loop, 0));
    FORKED(0, use_and_free(loop, fds));
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    for (int i = 0; i < 20 && fds[2] == 0; i++)
        ck_assert_int_ge(cosy_loop_run_once(loop, COSY_MS(5)), 0);
    ck_assert_int_eq(fds[2], 1);
    FORKED(0, run_some(loop, 0));
    ck_ok(run_some(loop, 0));
    ck_assert_int_eq(cosy_remove_reader(loop, fds[0]), 1);
    cosy_loop_free(loop);
}
END_TEST

/* ---- children of others ---- */

ASYNC_TEST(programs_that_others_start_disturb_nothing)
{
    int ticks = 0, status;
    extern char **environ;
    cosy_scoped(cosy_task) ticker = cosy_create_task(tick, &ticks);
    ck_ok(cosy_sleep(COSY_MS(2)));
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 4", (char *)NULL);
        _exit(1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 4 << 8);
    ck_assert_int_eq(system("exit 5"), 5 << 8);
    ck_ok(posix_spawn(&pid, "/bin/sh", NULL, NULL, (char *[]){TEXT("sh"), TEXT("-c"), TEXT("exit 6"), NULL}, environ));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 6 << 8);
    ticks = 0;
    ck_ok(cosy_sleep(COSY_MS(5)));
    ck_assert_int_gt(ticks, 0);
    cosy_task_cancel(ticker);
    ck_assert_int_eq(cosy_await(ticker), -ECANCELED);
    return 0;
}

COSY_TEST_MAIN("fork", a_child_shares_neither_loop_nor_task, a_child_runs_a_loop_of_its_own, grandchildren_too,
               threads_start_anew, a_child_that_comes_back_to_the_loop_ends_it, and_says_so, a_callback_forks,
               what_a_child_closes_stays_open_and_watched, buffered_bytes_are_sent_once,
               a_child_takes_the_parents_place, a_loop_that_does_not_run_is_each_ones_own,
               programs_that_others_start_disturb_nothing)
