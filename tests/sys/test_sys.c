/* Time, readiness and registrations: the sentences of sys.h on what may be watched, on each backend. */
#include "sys_test.h"

/* ---- time ---- */

START_TEST(clock_does_not_go_back_and_past_deadlines_do_not_block)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    cosy_ns before = now_of(sys);
    ck_assert_int_gt(before, 0);
    for (int i = 0; i < 100; i++) {
        cosy_ns now = now_of(sys);
        ck_assert_int_ge(now, before);
        before = now;
    }
    if (!is_sim(_i)) {
        ck_assert_int_le(before, clock_ns(CLOCK_MONOTONIC));
        ck_assert_int_gt(before, clock_ns(CLOCK_MONOTONIC) - COSY_S(5));
    }
    ck_assert_int_eq(sys->ops->wait(sys, before, events, EVENTS), 0);
    ck_assert_int_eq(sys->ops->wait(sys, before - 5, events, 1), 0);
    ck_assert_int_eq(sys->ops->wait(sys, -1, events, 1), 0);
    ck_assert_int_eq(sys->ops->wait(sys, INT64_MIN, events, 1), 0);
    sys->ops->close(sys);
}
END_TEST

static void check_deadlines(int backend, cosy_ns spin)
{
    static const cosy_ns lengths[] = {1, 999, 1000, 20000, 300001, 12345, 1000000, 1000001, 5500000, 60000001};
    struct cosy_sys *sys = open_spinning(backend, spin);
    struct cosy_sys_event events[EVENTS];
    int spurious = 0;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        cosy_ns deadline = now_of(sys) + lengths[i];
        do {
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
            spurious += now_of(sys) < deadline;
        } while (now_of(sys) < deadline);
        ck_assert_int_lt(now_of(sys), deadline + COSY_S(5));
    }
    ck_assert_int_le(spurious, 1); /* nothing happens here that would end a wait */
    sys->ops->close(sys);
}

START_TEST(wait_is_never_early)
{
    check_deadlines(_i, 0);
}
END_TEST

START_TEST(wait_is_never_early_when_it_spins)
{
    check_deadlines(_i, COSY_US(50));
}
END_TEST

/* ---- readiness ---- */

START_TEST(readiness_is_reported_by_each_wait_while_it_lasts)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    put(pipe.out);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    take(pipe.in);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    put(pipe.out);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(readiness_that_passed_is_not_reported)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(pipe.out); /* the kernel notes it ... */
        take(pipe.in); /* ... and the program was faster */
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(pipe.out);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        take(pipe.in);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(reading_and_writing_are_told_apart)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair sockets = make_sockets();
    int mark;
    uint64_t id = watch(sys, sockets.in, COSY_SYS_READ | COSY_SYS_WRITE, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_WRITE);
    put(sockets.out);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ | COSY_SYS_WRITE);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_WRITE);
    take(sockets.in);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    close_pair(sockets);
    sys->ops->close(sys);
}
END_TEST

START_TEST(rewatch_with_nothing_keeps_the_registration_silent)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
    put(pipe.out);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
    for (int i = 0; i < 3; i++) { /* on and off, before and after the kernel has told */
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
    }
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 64), -EINVAL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* A hangup lasts: it must neither be reported to who wants nothing, nor keep wait() running in circles. */
START_TEST(hangup_is_silent_and_free_when_nothing_is_wanted)
{
    for (int armed = 0; armed < 2; armed++) {
        struct cosy_sys *sys = open_backend(_i);
        struct cosy_sys_event events[EVENTS];
        struct pair pipe = make_pipe();
        int mark;
        uint64_t id = watch(sys, pipe.in, armed ? COSY_SYS_READ : 0, &mark);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
        close(pipe.out);
        count_calls();
        cosy_ns deadline = now_of(sys) + COSY_MS(300);
        while (now_of(sys) < deadline)
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        ck_assert_int_lt(calls_counted(), 20);
        ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, armed ? COSY_SYS_HANGUP : COSY_SYS_READ), 0);
        for (int i = 0; i < 3; i++)
            ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_HANGUP);
        close(pipe.in);
        sys->ops->close(sys);
    }
}
END_TEST

START_TEST(errors_and_hangups_are_always_reported)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_pipe(), second = make_pipe();
    int reader, writer;
    watch(sys, first.in, COSY_SYS_READ, &reader);
    watch(sys, second.out, COSY_SYS_HANGUP, &writer);
    ck_assert_uint_eq(seen_now(sys, &reader), 0);
    ck_assert_uint_eq(seen_now(sys, &writer), 0);
    put(first.out);
    close(first.out);
    close(second.in);
    ck_assert_uint_eq(seen_now(sys, &reader), COSY_SYS_READ | COSY_SYS_HANGUP);
    ck_assert_uint_eq(seen_now(sys, &writer), COSY_SYS_ERROR);
    close(first.in);
    close(second.out);
    sys->ops->close(sys);
}
END_TEST

START_TEST(wait_blocks_until_there_is_an_event)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    struct cosy_sys_event events[EVENTS];
    int mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        usleep(20000);
        _exit(write(pipe.out, "x", 1) == 1 ? 0 : 1);
    }
    int count;
    while ((count = sys->ops->wait(sys, COSY_NEVER, events, EVENTS)) == 0)
        ;
    ck_assert_int_eq(count, 1);
    ck_assert_ptr_eq(events[0].data, &mark);
    ck_assert_uint_eq(events[0].events, COSY_SYS_READ);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* ---- registrations ---- */

START_TEST(unwatch_ends_reports_and_ids)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_pipe(), second = make_pipe();
    int one, two;
    for (int armed = 0; armed < 3; armed++) { /* before the kernel knows of it, armed, and after a report */
        uint64_t id = watch(sys, first.in, COSY_SYS_READ, &one);
        if (armed)
            ck_assert_uint_eq(seen_now(sys, &one), 0);
        put(first.out);
        if (armed == 2)
            ck_assert_uint_eq(seen_now(sys, &one), COSY_SYS_READ);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
        ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), -ENOENT);
        /* Takes the same place in the table: what is still under way for the old one is not for it. */
        uint64_t other = watch(sys, second.in, COSY_SYS_READ, &two);
        ck_assert_uint_ne(other, id);
        struct cosy_sys_event events[EVENTS];
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(look(sys, events), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
        ck_assert_int_eq(sys->ops->unwatch(sys, other), 0);
        take(first.in);
    }
    ck_assert_int_eq(sys->ops->unwatch(sys, 0), -ENOENT);
    ck_assert_int_eq(sys->ops->unwatch(sys, UINT64_MAX), -ENOENT);
    close_pair(first);
    close_pair(second);
    sys->ops->close(sys);
}
END_TEST

START_TEST(what_cannot_be_watched_is_refused)
{
    struct cosy_sys *sys = open_backend(_i);
    char path[] = "/tmp/cosy-test-XXXXXX";
    int file = mkstemp(path), dir = open("/", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    unlink(path);
    ck_assert_int_eq(refused(sys, file), -EPERM);
    ck_assert_int_eq(refused(sys, dir), -EPERM);
    ck_assert_int_eq(refused(sys, null), -EPERM);
    close(file);
    close(dir);
    close(null);
    ck_assert_int_eq(refused(sys, null), -EBADF);
    ck_assert_int_eq(refused(sys, -1), -EBADF);
    ck_assert_int_eq(refused(sys, 1 << 27), -EBADF);
    ck_assert_int_eq(refused(sys, INT32_MAX), -EBADF);

    struct pair pipe = make_pipe();
    uint64_t id, first = watch(sys, pipe.in, COSY_SYS_READ, NULL);
    ck_assert_int_eq(refused(sys, pipe.in), -EEXIST);
    ck_assert_int_eq(sys->ops->watch(sys, pipe.out, COSY_SYS_INVALID, NULL, &id), -EINVAL);
    ck_assert_int_eq(sys->ops->unwatch(sys, first), 0);
    watch(sys, pipe.in, COSY_SYS_READ, NULL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(anonymous_descriptors_can_be_watched)
{
    struct cosy_sys *sys = open_backend(_i);
    int counter = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), mark;
    ck_assert_int_ge(counter, 0);
    watch(sys, counter, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close(counter);
    sys->ops->close(sys);
}
END_TEST

/* io_uring may tell once what happened to the old file before it notices that the number is closed. */
START_TEST(a_descriptor_closed_while_watched_falls_silent)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    int mark, invalid = 0, other = 0;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    close(pipe.in);
    signal(SIGPIPE, SIG_IGN);
    ck_assert(write(pipe.out, "x", 1) == 1 || errno == EPIPE);
    count_calls();
    cosy_ns deadline = now_of(sys) + COSY_MS(200);
    while (now_of(sys) < deadline) {
        int count = sys->ops->wait(sys, deadline, events, EVENTS);
        ck_assert_int_ge(count, 0);
        for (int i = 0; i < count; i++) {
            ck_assert_int_eq(invalid, 0); /* it is the last word */
            events[i].events == COSY_SYS_INVALID ? invalid++ : other++;
        }
    }
    ck_assert_int_le(invalid, 1);
    ck_assert_int_le(other, is_uring(_i) ? 1 : 0);
    ck_assert_int_lt(calls_counted(), 20);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), -ENOENT);
    close(pipe.out);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_number_used_again_is_another_registration)
{
    for (int armed = 0; armed < 2; armed++) {
        struct cosy_sys *sys = open_backend(_i);
        struct pair old = make_pipe(), fresh = make_pipe();
        int one, two;
        uint64_t stale = watch(sys, old.in, COSY_SYS_READ, &one);
        if (armed)
            ck_assert_uint_eq(seen_now(sys, &one), 0);
        ck_assert_int_eq(dup2(fresh.in, old.in), old.in); /* closes the old file, takes its number */
        uint64_t id = watch(sys, old.in, COSY_SYS_READ, &two);
        ck_assert_int_eq(sys->ops->rewatch(sys, stale, COSY_SYS_READ), -ENOENT);
        ck_assert_int_eq(sys->ops->unwatch(sys, stale), -ENOENT);
        put(fresh.out);
        for (int i = 0; i < 3; i++) {
            struct cosy_sys_event events[EVENTS];
            ck_assert_int_eq(look(sys, events), 1);
            ck_assert_ptr_eq(events[0].data, &two);
        }
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
        close_pair(old);
        close_pair(fresh);
        sys->ops->close(sys);
    }
}
END_TEST

/* The kernel's set still holds a file whose watched number is gone but of which a copy lives. */
START_TEST(a_copy_that_lives_on_does_not_keep_wait_running)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe(), other = make_pipe();
    int mark, others;
    uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, &mark);
    watch(sys, other.in, COSY_SYS_READ, &others);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    int copy = dup(pipe.in);
    close(pipe.in);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    put(pipe.out);
    count_calls();
    cosy_ns deadline = now_of(sys) + COSY_MS(200);
    while (now_of(sys) < deadline)
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
    ck_assert_int_lt(calls_counted(), 20);
    put(other.out); /* the others are still watched, and wakes still arrive */
    ck_assert_uint_eq(seen_now(sys, &others), COSY_SYS_READ);
    close(copy);
    close(pipe.out);
    close_pair(other);
    sys->ops->close(sys);
}
END_TEST

START_TEST(unwatch_and_close_let_the_file_go_at_once)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair first = make_sockets(), second = make_sockets();
    char byte;
    uint64_t id = watch(sys, first.in, COSY_SYS_READ, NULL);
    watch(sys, second.in, COSY_SYS_READ, NULL);
    ck_assert_uint_eq(seen_now(sys, sys), 0);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    close(first.in);
    ck_assert_int_eq(read(first.out, &byte, 1), 0); /* end of file, not EAGAIN */
    sys->ops->close(sys);
    close(second.in);
    ck_assert_int_eq(read(second.out, &byte, 1), 0);
    close(first.out);
    close(second.out);
}
END_TEST

/* ---- many ---- */

enum { MANY = 1000 };

static void allow_many_descriptors(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 4 * MANY && limit.rlim_max >= 4 * MANY) {
        limit.rlim_cur = 4 * MANY;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}

/* All are ready all the time and few are reported at once: nobody may starve. The sim is only fair by chance. */
static void see_all(struct cosy_sys *sys, int left, int rounds, const bool *seen, int max)
{
    static struct cosy_sys_event events[MANY];
    for (int round = 0; left && round < rounds; round++) {
        int count = sys->ops->wait(sys, 0, events, max);
        ck_assert_int_gt(count, 0);
        ck_assert_int_le(count, max);
        for (int i = 0; i < count; i++) {
            bool *mark = events[i].data;
            ck_assert(mark >= seen && mark < seen + MANY);
            left -= !*mark;
            *mark = true;
        }
    }
    ck_assert_int_eq(left, 0);
}

/* Whoever holds the file then keeps the connection open, and its peer waits for an end that does not come. */
START_TEST(an_event_under_way_does_not_keep_a_closed_file)
{
    struct cosy_sys *sys = open_backend(_i);
    int mark;
    for (int direct = 0; direct < 2; direct++) {
        char byte;
        struct pair sockets = make_sockets();
        uint64_t id = watch(sys, sockets.in, COSY_SYS_EDGE | COSY_SYS_READ, &mark);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        put(sockets.out); /* noted, and not yet heard of */
        if (direct)
            sys->ops->close_fd(sys, sockets.in, id);
        else {
            ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
            close(sockets.in);
        }
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ck_assert_uint_eq(seen_now(sys, &mark), 0);
        ssize_t got = read(sockets.out, &byte, 1);
        ck_assert_msg(got == 0 || (got < 0 && errno == ECONNRESET), "the peer sees no end: %d", errno);
        close(sockets.out);
    }
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_thousand_descriptors_all_get_their_turn)
{
    static struct pair pipes[MANY];
    static uint64_t ids[MANY];
    static bool seen[MANY];
    struct cosy_sys_event events[EVENTS];
    struct cosy_sys *sys = open_backend(_i);
    allow_many_descriptors();
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < MANY; i++) {
        pipes[i] = make_pipe();
        ids[i] = watch(sys, pipes[i].in, COSY_SYS_READ, &seen[i]);
    }
    ck_assert_int_eq(look(sys, events), 0);
    for (int i = 0; i < MANY; i++)
        put(pipes[i].out);
    see_all(sys, MANY, is_sim(_i) ? 2000 : 200, seen, EVENTS);
    for (int i = 0; i < MANY; i++)
        take(pipes[i].in);
    ck_assert_int_eq(look(sys, events), 0); /* also what was found ready before, and was not reported */
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(sys->ops->unwatch(sys, ids[i]), 0);
    for (int i = 0; i < MANY; i++)
        put(pipes[i].out);
    memset(seen, 0, sizeof seen);
    see_all(sys, MANY / 2, 200, seen, MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(seen[i], i % 2);
    for (int i = 0; i < MANY; i++)
        close_pair(pipes[i]);
    sys->ops->close(sys);
}
END_TEST

START_TEST(one_event_at_a_time_is_fair)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event event;
    struct pair pipes[3];
    int count[3] = {0};
    for (int i = 0; i < 3; i++) {
        pipes[i] = make_pipe();
        put(pipes[i].out);
        watch(sys, pipes[i].in, COSY_SYS_READ, &count[i]);
    }
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, &event, 1), 1);
        ++*(int *)event.data;
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(count[i], is_sim(_i) ? 50 : 90);
        close_pair(pipes[i]);
    }
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

static void add_readiness(Suite *suite)
{
    TCase *each = tcase_create("readiness");
    ON_EACH(clock_does_not_go_back_and_past_deadlines_do_not_block);
    ON_EACH(wait_is_never_early);
    ON_EACH(wait_is_never_early_when_it_spins);
    ON_EACH(readiness_is_reported_by_each_wait_while_it_lasts);
    ON_EACH(readiness_that_passed_is_not_reported);
    ON_EACH(reading_and_writing_are_told_apart);
    ON_EACH(rewatch_with_nothing_keeps_the_registration_silent);
    ON_EACH(hangup_is_silent_and_free_when_nothing_is_wanted);
    ON_EACH(errors_and_hangups_are_always_reported);
    ON_EACH(wait_blocks_until_there_is_an_event);
    ON_EACH(unwatch_ends_reports_and_ids);
    ON_EACH(what_cannot_be_watched_is_refused);
    ON_EACH(anonymous_descriptors_can_be_watched);
    ON_EACH(a_descriptor_closed_while_watched_falls_silent);
    ON_EACH(a_number_used_again_is_another_registration);
    ON_EACH(a_copy_that_lives_on_does_not_keep_wait_running);
    ON_EACH(unwatch_and_close_let_the_file_go_at_once);
    ON_EACH(an_event_under_way_does_not_keep_a_closed_file);
    ON_EACH(a_thousand_descriptors_all_get_their_turn);
    ON_EACH(one_event_at_a_time_is_fair);
    suite_add_tcase(suite, each);
}

int main(void)
{
    Suite *suite = create_suite("sys");
    add_readiness(suite);
    return run_suite(suite);
}
