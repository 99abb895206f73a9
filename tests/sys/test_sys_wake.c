/* What ends a wait beside a descriptor: wakes, signals, foreign loops, other threads and processes; and waits that
 * spin. On each backend. */
#include "sys_test.h"

/* ---- wake ---- */

START_TEST(wake_ends_the_next_wait_once)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert(sys->ops->peek(sys));
    ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0); /* or this hangs */
    ck_assert(!sys->ops->peek(sys));
    cosy_ns deadline = now_of(sys) + COSY_MS(20);
    int waits = 0;
    for (; now_of(sys) < deadline; waits++)
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
    ck_assert_int_le(waits, 2); /* they coalesce */

    errno = 1234;
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert_int_eq(errno, 1234);
    ck_assert_int_eq(look(sys, events), 0); /* takes the wake as well */
    ck_assert(!sys->ops->peek(sys));
    sys->ops->close(sys);
}
END_TEST

/* Work is handed over as a loop's inbox does it: published, then announced. Each item waits for the one before, so
 * the sleeper goes to sleep between them, and one lost wake leaves it there for good. */
struct producer {
    struct cosy_sys *sys;
    atomic_long *published, *consumed;
    long count;
    bool in_turn;
    pthread_t thread;
};

static void *produce(void *argument)
{
    struct producer *self = argument;
    for (long i = 0; i < self->count; i++) {
        long mine = atomic_fetch_add_explicit(self->published, 1, memory_order_release) + 1;
        if (self->sys->ops->wake(self->sys) != 0)
            abort();
        while (self->in_turn && atomic_load_explicit(self->consumed, memory_order_acquire) < mine)
            sched_yield();
    }
    return NULL;
}

static void check_no_wake_is_lost(int backend, cosy_ns spin, int threads, bool in_turn)
{
    struct cosy_sys *sys = open_spinning(backend, spin);
    struct cosy_sys_event events[EVENTS];
    atomic_long published = 0, consumed = 0;
    struct producer producers[3];
    const long count = (in_turn ? 2000 : 20000) / (under_valgrind() ? 50 : 1);
    for (int i = 0; i < threads; i++) {
        producers[i] = (struct producer){sys, &published, &consumed, count, in_turn, 0};
        ck_assert_int_eq(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    while (atomic_load_explicit(&consumed, memory_order_relaxed) < threads * count) {
        cosy_ns deadline = is_sim(backend) ? COSY_NEVER : now_of(sys) + COSY_S(10);
        ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        ck_assert_int_lt(now_of(sys), deadline); /* slept over its work */
        long work = atomic_load_explicit(&published, memory_order_acquire);
        atomic_store_explicit(&consumed, work, memory_order_release);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(producers[i].thread, NULL);
    sys->ops->close(sys);
}

START_TEST(no_wake_is_lost_when_the_sleeper_sleeps)
{
    check_no_wake_is_lost(_i, 0, 1, true);
}
END_TEST

START_TEST(no_wake_is_lost_when_the_sleeper_spins)
{
    check_no_wake_is_lost(_i, COSY_US(20), 1, true);
}
END_TEST

START_TEST(no_wake_is_lost_among_many_threads)
{
    check_no_wake_is_lost(_i, 0, 3, true);
}
END_TEST

START_TEST(no_wake_is_lost_in_a_flood)
{
    check_no_wake_is_lost(_i, COSY_US(20), 3, false);
}
END_TEST

static struct cosy_sys *woken_by_signal;
static atomic_int signals;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
    if (woken_by_signal)
        woken_by_signal->ops->wake(woken_by_signal);
}

static void tick(int number, long interval_us, long times_us)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
    struct itimerval timer = {.it_interval.tv_usec = interval_us, .it_value.tv_usec = times_us};
    ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

START_TEST(wake_works_in_a_signal_handler)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    atomic_store(&signals, 0);
    woken_by_signal = sys;
    for (int i = 1; i <= 20; i++) {
        tick(SIGALRM, 0, 1 + i * 97); /* once: if its wake were lost, nothing would come after it */
        while (atomic_load(&signals) < i)
            ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
    }
    woken_by_signal = NULL;
    signal(SIGALRM, SIG_DFL);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_signal_ends_a_wait_without_an_error)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    atomic_store(&signals, 0);
    tick(SIGALRM, 20000, 20000);
    for (int i = 0; i < 5; i++) {
        uint64_t id = watch(sys, pipe.in, COSY_SYS_READ, NULL); /* something to submit, too */
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
        ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    }
    ck_assert_int_ge(atomic_load(&signals), 1);
    ck_assert_int_lt(atomic_load(&signals), 8); /* each ended one wait */
    tick(SIGALRM, 0, 0);
    signal(SIGALRM, SIG_DFL);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(peek_reads_memory_only)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipe = make_pipe();
    int mark;
    ck_assert_uint_eq(seen_now(sys, &mark), 0); /* so that only what happens below is counted */
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    cosy_sys_fail_nth(LONG_MAX, EIO);
    ck_assert(!sys->ops->peek(sys));
    put(pipe.out);
    cosy_ns limit = clock_ns(CLOCK_MONOTONIC) + COSY_S(5);
    while (is_uring(_i) && !sys->ops->peek(sys)) /* the kernel marks the ring by itself */
        ck_assert_int_lt(clock_ns(CLOCK_MONOTONIC), limit);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert(sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sys_counted(), 0); /* a wake of who does not sleep costs nothing either */
    cosy_sys_fail_nth(0, 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(a_turn_costs_one_system_call)
{
    struct cosy_sys *sys = open_backend(_i);
    struct pair pipes[4];
    int mark;
    for (int i = 0; i < 4; i++) {
        pipes[i] = make_pipe();
        watch(sys, pipes[i].in, COSY_SYS_READ, &mark);
        put(pipes[i].out);
    }
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(look(sys, events), 4);
    cosy_sys_fail_nth(LONG_MAX, EIO);
    for (int i = 0; i < 10; i++) /* all are ready each time */
        ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 4);
    if (!under_valgrind()) /* which knows neither epoll_pwait2 nor how to sleep in io_uring_enter */
        ck_assert_int_eq(cosy_sys_counted(), 10);
    cosy_sys_fail_nth(0, 0);
    for (int i = 0; i < 4; i++)
        close_pair(pipes[i]);
    sys->ops->close(sys);
}
END_TEST

/* ---- embedding ---- */

START_TEST(poll_fd_tells_a_foreign_loop)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe(), second = make_pipe();
    int fd = sys->ops->poll_fd(sys), mark;
    if (is_sim(_i)) {
        ck_assert_int_eq(fd, -ENOTSUP);
        goto end;
    }
    ck_assert_int_ge(fd, 0);
    ck_assert(!readable(fd));
    watch(sys, pipe.in, COSY_SYS_READ, &mark); /* no wait in between */
    ck_assert(!readable(fd));
    put(pipe.out);
    for (int i = 0; i < 3; i++) { /* lasts as long as the readiness */
        ck_assert(readable(fd));
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
    }
    take(pipe.in);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert(!readable(fd));

    ck_assert_int_eq(sys->ops->wake(sys), 0); /* nobody waits inside: still it has to be seen */
    ck_assert(readable(fd));
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));

    put(second.out);
    uint64_t id = watch(sys, second.in, 0, &mark);
    ck_assert(!readable(fd));
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), 0);
    ck_assert(readable(fd));
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    ck_assert_int_eq(look(sys, events), 0);
    ck_assert(!readable(fd));
end:
    close_pair(pipe);
    close_pair(second);
    sys->ops->close(sys);
}
END_TEST

static void *wake_after_a_moment(void *argument)
{
    struct cosy_sys *sys = argument;
    usleep(10000);
    sys->ops->wake(sys);
    return NULL;
}

static void *put_after_a_moment(void *argument);

/* The foreign loop sleeps when it happens: that the descriptor is readable afterwards would not help it. */
static void sleep_outside(int fd, void *(*happens)(void *), void *argument)
{
    pthread_t thread;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    ck_assert(!readable(fd));
    ck_assert_int_eq(pthread_create(&thread, NULL, happens, argument), 0);
    ck_assert_int_eq(poll(&polled, 1, 10000), 1);
    pthread_join(thread, NULL);
}

START_TEST(poll_fd_wakes_a_sleeping_foreign_loop)
{
    struct cosy_sys *sys = open_backend(_i);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    int fd = sys->ops->poll_fd(sys), mark;
    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    for (int i = 0; !is_sim(_i) && i < 3; i++) {
        sleep_outside(fd, put_after_a_moment, &pipe.out);
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ);
        take(pipe.in);
        ck_assert_int_eq(look(sys, events), 0);
        sleep_outside(fd, wake_after_a_moment, sys);
        ck_assert_int_eq(look(sys, events), 0);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(poll_fd_shows_a_wake_from_before)
{
    struct cosy_sys *sys = open_backend(_i);
    if (!is_sim(_i)) {
        ck_assert_int_eq(sys->ops->wake(sys), 0);
        int fd = sys->ops->poll_fd(sys);
        ck_assert(readable(fd));
        struct cosy_sys_event events[EVENTS];
        ck_assert_int_eq(look(sys, events), 0);
        ck_assert(!readable(fd));
    }
    sys->ops->close(sys);
}
END_TEST

/* ---- threads and processes ---- */

START_TEST(threads_may_take_turns)
{
    struct cosy_sys *sys = open_backend(_i), *other = open_backend(_i);
    struct visit here = {.sys = sys, .pipe = make_pipe()}, aside = {.sys = other, .pipe = make_pipe()};
    here.mark = &here;
    aside.mark = &aside;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    watch(other, aside.pipe.in, COSY_SYS_READ, &aside);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, visit, &here), 0);
        pthread_join(thread, NULL);
        visit(&aside); /* an instance of this thread is not disturbed */
        if (i == 1)
            visit(&here);
    }
    sys->ops->close(sys);
    visit(&aside);
    other->ops->close(other);
    close_pair(here.pipe);
    close_pair(aside.pipe);
}
END_TEST

START_TEST(a_forked_child_may_wait_and_close)
{
    struct cosy_sys *sys = open_backend(_i);
    struct visit here = {.sys = sys, .pipe = make_pipe()};
    here.mark = &here;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    visit(&here);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct cosy_sys_event event;
        int count = write(here.pipe.out, "x", 1) == 1 ? sys->ops->wait(sys, now_of(sys) + COSY_S(9), &event, 1) : -1;
        sys->ops->close(sys);
        _exit(count == 1 && event.data == &here ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    take(here.pipe.in);
    visit(&here);
    sys->ops->close(sys);
    close_pair(here.pipe);
}
END_TEST

/* ---- spinning ---- */

START_TEST(spinning_stops_when_it_does_not_pay)
{
    struct cosy_spin spin = {.limit = 1000};
    int spins = 0;
    for (int i = 0; i < 10000; i++)
        if (cosy_spin_wanted(&spin)) {
            spins++;
            cosy_spin_done(&spin, false);
        }
    ck_assert_int_ge(spins, 10000 / (COSY_SPIN_MAX_SKIP + 1)); /* it tries again now and then */
    ck_assert_int_le(spins, 60);
    while (!cosy_spin_wanted(&spin))
        ;
    for (int i = 0; i < 100; i++) {
        cosy_spin_done(&spin, true);
        ck_assert(cosy_spin_wanted(&spin)); /* and stays on while it pays */
    }
    struct cosy_spin off = {0};
    ck_assert(!cosy_spin_wanted(&off));
}
END_TEST

static void *put_after_a_moment(void *argument)
{
    cosy_ns until = clock_ns(CLOCK_MONOTONIC) + COSY_MS(2);
    while (clock_ns(CLOCK_MONOTONIC) < until)
        sched_yield();
    put(*(int *)argument);
    return NULL;
}

START_TEST(a_spinning_wait_finds_what_comes)
{
    struct cosy_sys *sys = open_spinning(_i, COSY_S(5));
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    pthread_t thread;
    watch(sys, pipe.in, COSY_SYS_READ, &pipe);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, put_after_a_moment, &pipe.out), 0);
        int count;
        while ((count = sys->ops->wait(sys, COSY_NEVER, events, EVENTS)) == 0)
            ;
        ck_assert_int_eq(count, 1);
        ck_assert_ptr_eq(events[0].data, &pipe);
        pthread_join(thread, NULL);
        take(pipe.in);
    }
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

static void add_waking(Suite *suite)
{
    TCase *each = tcase_create("waking");
    tcase_set_timeout(each, 30);
    ON_EACH(wake_ends_the_next_wait_once);
    ON_EACH(no_wake_is_lost_when_the_sleeper_sleeps);
    ON_EACH(no_wake_is_lost_when_the_sleeper_spins);
    ON_EACH(no_wake_is_lost_among_many_threads);
    ON_EACH(no_wake_is_lost_in_a_flood);
    ON_EACH(wake_works_in_a_signal_handler);
    ON_EACH(a_signal_ends_a_wait_without_an_error);
    ON_EACH(peek_reads_memory_only);
    ON_EACH(a_turn_costs_one_system_call);
    ON_EACH(poll_fd_tells_a_foreign_loop);
    ON_EACH(poll_fd_wakes_a_sleeping_foreign_loop);
    ON_EACH(poll_fd_shows_a_wake_from_before);
    ON_EACH(threads_may_take_turns);
    ON_EACH(a_forked_child_may_wait_and_close);
    ON_EACH(a_spinning_wait_finds_what_comes);
    tcase_add_test(each, spinning_stops_when_it_does_not_pay);
    suite_add_tcase(suite, each);
}

int main(void)
{
    Suite *suite = create_suite("sys_wake");
    add_waking(suite);
    return run_suite(suite);
}
