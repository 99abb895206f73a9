/* test_file_op.c - operations on files: made here and now, and by a ring that goes on while they are under way. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/base/heap.h"
#include "../../src/sys/file_op.h"
#include "../harness/tool.h"

enum { SKIPPED = 77, EVENTS = 64 };

static struct cosy_sys *open_ring(void)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_config config = {.kind = COSY_SYS_URING};
    ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    return sys;
}

/* The operation whose end is told next. */
static struct cosy_file_op *next_end(struct cosy_sys *sys)
{
    struct cosy_sys_event event;
    cosy_ns deadline = sys->ops->now(sys) + COSY_S(10);
    int count = 0;
    while (count == 0 && sys->ops->now(sys) < deadline)
        count = sys->ops->wait(sys, deadline, &event, 1);
    ck_assert_int_eq(count, 1);
    ck_assert_uint_eq(event.events, COSY_SYS_DONE);
    return event.data;
}

static int64_t run(struct cosy_sys *sys, struct cosy_file_op *op)
{
    op->data = op;
    if (sys->ops->submit(sys, op) == -ENOTSUP)
        return cosy_file_op_call(op);
    ck_assert_ptr_eq(next_end(sys), op);
    return op->result;
}

static char folder[64], names[4][80];

static void begin(void)
{
    strcpy(folder, "/tmp/cosy-op-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "%s/%d", folder, i);
}

static void end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The same steps both ways; what comes of each is noted. */
static void all_kinds(int64_t (*make)(struct cosy_sys *sys, struct cosy_file_op *op), struct cosy_sys *sys,
                      int64_t *results)
{
    char data[8] = "", more[8] = "", letters[] = "abc";
    struct statx status;
    struct iovec two[] = {{letters, 3}, {letters, 2}}, in[] = {{data, 4}, {more, 4}};
    int fd = -1, n = 0;
#define STEP(...) (results[n++] = make(sys, &(struct cosy_file_op){__VA_ARGS__}))
    STEP(.kind = COSY_FILE_OPEN, .dir = AT_FDCWD, .path = names[0], .flags = O_RDONLY);
    fd = (int)make(sys, &(struct cosy_file_op){.kind = COSY_FILE_OPEN,
                                               .dir = AT_FDCWD,
                                               .path = names[0],
                                               .flags = O_RDWR | O_CREAT | O_CLOEXEC,
                                               .mode = 0600});
    ck_assert_int_ge(fd, 0);
    STEP(.kind = COSY_FILE_WRITE, .fd = fd, .parts = two, .count = 2, .offset = 0);
    STEP(.kind = COSY_FILE_WRITE, .fd = fd, .parts = two, .count = 1, .offset = -1);
    STEP(.kind = COSY_FILE_READ, .fd = fd, .parts = in, .count = 2, .offset = 1);
    STEP(.kind = COSY_FILE_READ, .fd = fd, .parts = in, .count = 1, .offset = 100);
    STEP(.kind = COSY_FILE_SYNC, .fd = fd);
    STEP(.kind = COSY_FILE_DATASYNC, .fd = fd);
    STEP(.kind = COSY_FILE_TRUNCATE, .fd = fd, .offset = 2);
    STEP(.kind = COSY_FILE_STAT, .dir = fd, .path = "", .flags = AT_EMPTY_PATH, .status = &status);
    results[n++] = (int64_t)status.stx_size;
    STEP(.kind = COSY_FILE_CLOSE, .fd = fd);
    STEP(.kind = COSY_FILE_CLOSE, .fd = 9999);
    STEP(.kind = COSY_FILE_LINK, .path = names[0], .other = names[1]);
    STEP(.kind = COSY_FILE_RENAME, .path = names[0], .other = names[1], .flags = 1);
    STEP(.kind = COSY_FILE_RENAME, .path = names[0], .other = names[2]);
    STEP(.kind = COSY_FILE_SYMLINK, .path = names[3], .other = "somewhere");
    STEP(.kind = COSY_FILE_READLINK, .path = names[3], .parts = in, .count = 1);
    STEP(.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = names[3]);
    STEP(.kind = COSY_FILE_MKDIR, .path = names[3], .mode = 0700);
    STEP(.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = names[3]);
    STEP(.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = names[3], .flags = AT_REMOVEDIR);
    STEP(.kind = COSY_FILE_CHMOD, .path = names[1], .mode = 0400);
    STEP(.kind = COSY_FILE_ACCESS, .path = names[1], .mode = X_OK);
    STEP(.kind = COSY_FILE_UNLINK, .dir = AT_FDCWD, .path = names[1]);
    STEP(.kind = 200);
#undef STEP
}

static int64_t call(struct cosy_sys *sys, struct cosy_file_op *op)
{
    (void)sys;
    return cosy_file_op_call(op);
}

START_TEST(a_ring_has_the_results_of_calls)
{
    int64_t called[32] = {0}, ringed[32] = {0};
    struct cosy_sys *sys = open_ring();
    begin();
    all_kinds(call, NULL, called);
    end();
    begin();
    all_kinds(run, sys, ringed);
    end();
    for (int i = 0; i < 32; i++)
        ck_assert_msg(called[i] == ringed[i], "step %d: %ld by a call, %ld by the ring", i, (long)called[i],
                      (long)ringed[i]);
    ck_assert_int_eq(called[0], -ENOENT);
    ck_assert_int_eq(called[1], 5);
    sys->ops->close(sys);
}
END_TEST

struct pipe_read {
    struct cosy_file_op op;
    struct iovec part;
    char data[8];
    int fds[2];
};

static void submit_read(struct cosy_sys *sys, struct pipe_read *read)
{
    memset(read->data, 0, sizeof read->data);
    read->part = (struct iovec){read->data, 4};
    read->op = (struct cosy_file_op){
        .kind = COSY_FILE_READ, .fd = read->fds[0], .parts = &read->part, .count = 1, .offset = -1, .data = &read->op};
    ck_assert_int_eq(sys->ops->submit(sys, &read->op), 0);
}

static void open_pipe(struct pipe_read *read)
{
    ck_assert_int_eq(pipe2(read->fds, O_CLOEXEC), 0);
}

static void close_pipe(struct pipe_read *read)
{
    close(read->fds[0]);
    close(read->fds[1]);
}

static void look(struct cosy_sys *sys)
{
    struct cosy_sys_event event;
    ck_assert_int_eq(sys->ops->wait(sys, 0, &event, 1), 0);
}

/* Before it is sent, and after; twice is once. What was cancelled has read nothing. */
START_TEST(a_cancel_ends_what_waits)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read read;
    open_pipe(&read);
    for (int sent = 0; sent < 2; sent++) {
        submit_read(sys, &read);
        if (sent)
            look(sys);
        sys->ops->cancel_op(sys, &read.op);
        sys->ops->cancel_op(sys, &read.op);
        ck_assert_ptr_eq(next_end(sys), &read.op);
        ck_assert(read.op.result == -ECANCELED || read.op.result == -EINTR);
        look(sys);
    }
    ck_assert_int_eq(write(read.fds[1], "abcd", 4), 4);
    look(sys);
    ck_assert_int_eq((int)(read.data[0]), 0);
    submit_read(sys, &read);
    ck_assert_ptr_eq(next_end(sys), &read.op);
    ck_assert_str_eq(read.data, "abcd");
    close_pipe(&read);
    sys->ops->close(sys);
}
END_TEST

START_TEST(what_is_finished_is_not_told)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read read;
    open_pipe(&read);
    for (int sent = 0; sent < 3; sent++) {
        submit_read(sys, &read);
        if (sent)
            look(sys);
        if (sent == 2)
            ck_assert_int_eq(write(read.fds[1], "abcd", 4), 4);
        sys->ops->finish_op(sys, &read.op);
        if (sent == 2) /* it was done already, or the cancel was quicker */
            ck_assert(read.op.result == 4 || read.op.result == -ECANCELED || read.op.result == -EINTR);
        else
            ck_assert_int_lt(read.op.result, 0);
        look(sys);
    }
    close_pipe(&read);
    sys->ops->close(sys);
}
END_TEST

enum { MANY = 1500 }; /* more than the queue has entries, and slots at first */

START_TEST(many_are_under_way)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read *reads = calloc(MANY, sizeof *reads), pipe;
    open_pipe(&pipe);
    for (int i = 0; i < MANY; i++) {
        memcpy(reads[i].fds, pipe.fds, sizeof pipe.fds);
        submit_read(sys, &reads[i]);
    }
    look(sys);
    for (int i = 0; i < MANY; i += 2)
        sys->ops->cancel_op(sys, &reads[i].op);
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_lt(next_end(sys)->result, 0);
    for (int i = 1; i < MANY; i += 2) {
        ck_assert_int_eq(write(pipe.fds[1], "abcd", 4), 4);
        ck_assert_int_eq(next_end(sys)->result, 4);
    }
    look(sys);
    close_pipe(&pipe);
    free(reads);
    sys->ops->close(sys);
}
END_TEST

static void *wait_elsewhere(void *arg)
{
    struct cosy_sys *sys = arg;
    struct cosy_sys_event event;
    return (void *)(intptr_t)sys->ops->wait(sys, 0, &event, 1);
}

START_TEST(another_thread_does_not_take_it_over)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read read;
    pthread_t thread;
    void *result;
    open_pipe(&read);
    submit_read(sys, &read);
    look(sys);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_elsewhere, sys), 0);
    pthread_join(thread, &result);
    ck_assert_int_eq((int)(intptr_t)result, -EBUSY);
    sys->ops->finish_op(sys, &read.op);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_elsewhere, sys), 0);
    pthread_join(thread, &result);
    ck_assert_int_eq((int)(intptr_t)result, 0);
    close_pipe(&read);
    sys->ops->close(sys);
}
END_TEST

START_TEST(in_a_forked_child_it_ends)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read read;
    int status;
    open_pipe(&read);
    submit_read(sys, &read);
    look(sys);
    pid_t child = fork();
    if (child == 0) {
        bool ended = next_end(sys) == &read.op && read.op.result == -ECANCELED;
        _exit(ended ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(write(read.fds[1], "abcd", 4), 4);
    ck_assert_ptr_eq(next_end(sys), &read.op);
    ck_assert_str_eq(read.data, "abcd");
    close_pipe(&read);
    sys->ops->close(sys);
}
END_TEST

START_TEST(lack_is_told_at_once)
{
    struct cosy_sys *sys = open_ring();
    struct pipe_read read;
    open_pipe(&read);
    struct cosy_file_op op = {.kind = COSY_FILE_SYNC, .fd = read.fds[0]};
    cosy_heap_fail_nth(1, false);
    ck_assert_int_eq(sys->ops->submit(sys, &op), -ENOMEM);
    cosy_heap_fail_nth(2, false);
    ck_assert_int_eq(sys->ops->submit(sys, &op), -ENOMEM);
    cosy_heap_fail_nth(0, false);
    cosy_sys_fail_nth(1, EIO);
    ck_assert_int_eq(sys->ops->submit(sys, &op), -EIO);
    cosy_sys_fail_nth(0, 0);
    op.kind = COSY_FILE_TRUNCATE;
    ck_assert_int_eq(sys->ops->submit(sys, &op), -ENOTSUP);
    op.kind = COSY_FILE_SYNC;
    ck_assert_int_eq(run(sys, &op), -EINVAL); /* a pipe */
    close_pipe(&read);
    sys->ops->close(sys);
}
END_TEST

int main(void)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_config config = {.kind = COSY_SYS_URING};
    if (cosy_sys_open(&sys, &config) < 0 || !sys->ops->submit) {
        printf("skipped: there is no io_uring\n");
        return SKIPPED;
    }
    sys->ops->close(sys);
    Suite *suite = suite_create("sys.file_op");
    TCase *cases = tcase_create("ring");
    tcase_add_test(cases, a_ring_has_the_results_of_calls);
    tcase_add_test(cases, a_cancel_ends_what_waits);
    tcase_add_test(cases, what_is_finished_is_not_told);
    tcase_add_test(cases, many_are_under_way);
    tcase_add_test(cases, another_thread_does_not_take_it_over);
    tcase_add_test(cases, in_a_forked_child_it_ends);
    tcase_add_test(cases, lack_is_told_at_once);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
