/* Each system call and each allocation of a kernel fails in turn, on each backend. */
#include "sys_test.h"

/* ---- failures ---- */

static int failing; /* the code that is injected */

/* Each step may fail once, with the injected code and without a trace: then it is done again. */
#define ONCE_MORE(call)                                                                                                \
    ({                                                                                                                 \
        int result__ = (call);                                                                                         \
        if (result__ == -failing)                                                                                      \
            result__ = (call);                                                                                         \
        result__;                                                                                                      \
    })

enum { SOME = 70 }; /* more than the table's first chunk */

static void use_everything(struct cosy_sys *sys, struct pair *pipes)
{
    struct cosy_sys_event events[EVENTS];
    uint64_t ids[SOME];
    for (int i = 0; i < SOME; i++)
        ck_assert_int_eq(ONCE_MORE(sys->ops->watch(sys, pipes[i].in, COSY_SYS_READ, &pipes[i], &ids[i])), 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    put(pipes[3].out);
    int count = 0;
    for (int i = 0; i < 4 && count == 0; i++) /* a spurious return is allowed */
        count = ONCE_MORE(sys->ops->wait(sys, now_of(sys) + COSY_MS(1), events, EVENTS));
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &pipes[3]);
    ck_assert_int_eq(ONCE_MORE(sys->ops->rewatch(sys, ids[3], COSY_SYS_WRITE)), 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->rewatch(sys, ids[3], COSY_SYS_READ)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, ids[4])), 0);
    uint64_t again;
    ck_assert_int_eq(ONCE_MORE(sys->ops->watch(sys, pipes[4].in, COSY_SYS_READ, &pipes[4], &again)), 0);
    ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, again)), 0);
    put(pipes[4].out);
    for (int i = 0; i < 2; i++)
        count = ONCE_MORE(look(sys, events));
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &pipes[3]);
    int fd = ONCE_MORE(sys->ops->poll_fd(sys));
    ck_assert(fd >= 0 || fd == -ENOTSUP);
    ck_assert_int_eq(ONCE_MORE(sys->ops->wake(sys)), 0);
    ck_assert_int_ge(ONCE_MORE(look(sys, events)), 0);
    for (int i = 0; i < SOME; i++)
        ck_assert_int_eq(ONCE_MORE(sys->ops->unwatch(sys, ids[i])), i == 4 ? -ENOENT : 0);
    ck_assert_int_eq(ONCE_MORE(look(sys, events)), 0);
    take(pipes[3].in);
    take(pipes[4].in);
}

/* One run with the n-th call failing; false when there was no n-th call. */
static bool survives(int backend, struct pair *pipes, void (*arm)(long n), long (*counted)(void), long n)
{
    struct cosy_sys_config config = {.kind = kinds[backend]};
    struct cosy_sys *sys = NULL;
    int before = open_descriptors();
    arm(n);
    int error = cosy_sys_open(&sys, &config);
    if (error) {
        ck_assert_int_eq(error, -failing);
        ck_assert_ptr_null(sys);
        ck_assert_int_eq(open_descriptors(), before);
        ck_assert_int_eq(cosy_sys_open(&sys, &config), 0);
    }
    use_everything(sys, pipes);
    sys->ops->close(sys);
    bool reached = counted() >= n;
    arm(0);
    ck_assert_int_eq(open_descriptors(), before);
    return reached;
}

static void check_failures(int backend, void (*arm)(long n), long (*counted)(void), long at_least)
{
    struct pair pipes[SOME];
    for (int i = 0; i < SOME; i++)
        pipes[i] = make_pipe();
    long n = 1;
    while (survives(backend, pipes, arm, counted, n))
        n++;
    ck_assert_int_gt(n, at_least); /* so that a door that is not counted is noticed */
    for (int i = 0; i < SOME; i++)
        close_pair(pipes[i]);
}

static void arm_calls(long n)
{
    cosy_sys_fail_nth(n, failing);
}
static void arm_heap(long n)
{
    cosy_heap_fail_nth(n, false);
}

START_TEST(each_system_call_may_fail)
{
    static const int errors[] = {ENOMEM, EMFILE, EPERM};
    for (size_t i = 0; i < less_under_tool(COUNT_OF(errors), 3); i++) {
        failing = errors[i];
        check_failures(_i, arm_calls, cosy_sys_counted, SOME);
    }
}
END_TEST

START_TEST(each_allocation_may_fail)
{
    failing = ENOMEM;
    check_failures(_i, arm_heap, cosy_heap_counted, 4);
}
END_TEST

/* A wake that returned 0 was not lost, even if the system call behind it failed at first. */
START_TEST(a_failing_wake_says_so)
{
    if (is_sim(_i))
        return; /* nobody can see it block */
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    int fd = sys->ops->poll_fd(sys); /* makes each first wake a system call */
    cosy_sys_fail_nth(1, EIO);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    cosy_sys_fail_nth(0, 0);
    ck_assert(readable(fd));
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

static void add_failures(Suite *suite)
{
    TCase *each = tcase_create("failures");
    tcase_set_timeout(each, 60);
    ON_EACH(each_system_call_may_fail);
    ON_EACH(each_allocation_may_fail);
    ON_EACH(a_failing_wake_says_so);
    suite_add_tcase(suite, each);
}

int main(void)
{
    Suite *suite = create_suite("sys_failures");
    add_failures(suite);
    return run_suite(suite);
}
