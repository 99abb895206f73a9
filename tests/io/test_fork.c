/* test_fork.c - a fork while jobs, operations on files, programs and timers are under way. */
#include "../harness/cosy_test.h"
#include "../harness/forked.h"

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#define ck_ok(result) ck_assert_int_eq((result), 0)

/* ---- what is under way ---- */

struct busy {
    sem_t open;
    atomic_int jobs; /* that have run to their end */
    int pipe[2];
    cosy_file *file;
    cosy_process *process;
    cosy_task *job, *read, *timer;
    char data[8];
    int timers;
};

static int wait_for_post(struct busy *busy)
{
    while (sem_wait(&busy->open) < 0)
        ;
    return ++busy->jobs;
}

cosy_async static int run_job(struct busy *busy)
{
    return cosy_to_thread(wait_for_post, busy);
}

cosy_async static int read_four(struct busy *busy)
{
    return (int)cosy_file_read(busy->file, busy->data, 4);
}

cosy_async static int be_timed(struct busy *busy)
{
    cosy_try(cosy_sleep(COSY_MS(5)));
    return ++busy->timers;
}

cosy_async static int cat(const struct cosy_test_program_call *call)
{
    int64_t length;
    COSY_CHUNKS (call->stdin, chunk, length)
        cosy_try(cosy_write(call->stdout, chunk, (size_t)length));
    return (int)length;
}

/* A thread, the kernel (or a thread), a program and the clock are each at work for a task. */
cosy_async static void begin(struct busy *busy)
{
    memset(busy, 0, sizeof *busy);
    ck_ok(sem_init(&busy->open, 0, 0));
    ck_ok(pipe2(busy->pipe, O_CLOEXEC));
    ck_ok(cosy_file_adopt(busy->pipe[0], "the pipe", &busy->file));
    if (strcmp(cosy_loop_backend_name(cosy_running_loop()), "sim") == 0)
        ck_ok(cosy_test_program("cat", cat, NULL));
    ck_ok(cosy_create_subprocess_exec(&busy->process, COSY_ARGV("cat"), .stdin = COSY_PIPE, .stdout = COSY_PIPE));
    busy->job = cosy_create_task(run_job, busy);
    busy->read = cosy_create_task(read_four, busy);
    busy->timer = cosy_create_task(be_timed, busy);
    ck_ok(cosy_sleep(COSY_MS(1)));
}

/* Each comes to its end, once. */
cosy_async static void end(struct busy *busy)
{
    char echo[5];
    ck_assert_int_eq(write(busy->pipe[1], "four and more", 13), 13);
    ck_assert_int_eq(cosy_await(busy->read), 4);
    ck_assert_mem_eq(busy->data, "four", 4);
    ck_ok(sem_post(&busy->open));
    ck_assert_int_eq(cosy_await(busy->job), 1);
    ck_assert_int_eq(busy->jobs, 1);
    ck_assert_int_eq(cosy_await(busy->timer), 1);
    ck_assert_int_eq(busy->timers, 1);
    ck_ok(cosy_write(cosy_process_stdin(busy->process), "hello", 5));
    ck_assert_int_eq(cosy_readexactly(cosy_process_stdout(busy->process), echo, 5), 5);
    ck_assert_mem_eq(echo, "hello", 5);
    ck_ok(cosy_write_eof(cosy_process_stdin(busy->process)));
    int code = -1;
    ck_ok(cosy_process_wait(busy->process, &code));
    ck_ok(code);
    ck_ok(cosy_process_close(busy->process));
    cosy_task_drop(busy->job);
    cosy_task_drop(busy->read);
    cosy_task_drop(busy->timer);
    ck_ok(cosy_file_close(busy->file));
    close(busy->pipe[1]);
    sem_destroy(&busy->open);
}

/* ---- the child ---- */

static int three(void)
{
    return 3;
}

/* The same kinds of work, in a loop of the child's. */
cosy_async static int childs_main(void)
{
    char *text;
    size_t size;
    struct cosy_process_result result;
    bool simulated = strcmp(cosy_loop_backend_name(cosy_running_loop()), "sim") == 0;
    if (cosy_to_thread(three) != 3)
        return 1;
    if (cosy_read_file("/proc/self/stat", &text, &size) != 0 || size == 0)
        return 2;
    free(text);
    if (!simulated && (cosy_run_process(COSY_ARGV("true"), &result) != 0 || result.returncode != 0))
        return 3;
    if (!simulated)
        cosy_process_output_free(&result.output);
    return cosy_sleep(COSY_MS(10)) == 0 ? 42 : 4;
}

/* The copies of what is the parent's do nothing, and closing them ends nothing. */
static int look_and_close(struct busy *busy)
{
    int code;
    const bool holds[] = {
        cosy_await(busy->job) == -COSY_ENOTASK,
        cosy_await(busy->read) == -COSY_ENOTASK,
        cosy_process_wait(busy->process, &code) == -COSY_ENOTASK,
        cosy_file_read(busy->file, busy->data, 4) == -COSY_ENOTASK,
        cosy_after_fork_child() == -EBUSY,
        cosy_run(childs_main) == 42,
        busy->timers == 0,
        busy->jobs == 0,
    };
    cosy_process_close(busy->process);
    return which_fails(holds, sizeof holds / sizeof *holds);
}

ASYNC_TEST(a_fork_in_the_middle_of_everything)
{
    struct busy busy;
    capture_log(); /* each refusal is told */
    begin(&busy);
    if (!UNDER_TSAN) {
        FORKED(0, look_and_close(&busy));
        FORKED(42, cosy_run(childs_main));
    }
    end(&busy);
    return 0;
}

/* Everything of the child's own has ended; the parent's ends were not disturbed by it. */
ASYNC_TEST(a_fork_before_and_after)
{
    struct busy busy;
    NOT_UNDER_TSAN(0);
    for (int i = 0; i < 3; i++) {
        FORKED(42, cosy_run(childs_main));
        begin(&busy);
        end(&busy);
    }
    FORKED(42, cosy_run(childs_main));
    return 0;
}

COSY_TEST_MAIN("io.fork", a_fork_in_the_middle_of_everything, a_fork_before_and_after)
