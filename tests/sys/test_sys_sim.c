/* The simulator: its clock, its virtual descriptors, its dice. */
#include "sys_test.h"

/* ---- the simulator ---- */

static struct cosy_sys *open_sim(uint64_t seed)
{
    struct cosy_sys *sys = NULL;
    ck_assert_int_eq(cosy_sys_open_sim(&sys, &(struct cosy_sys_config){.seed = seed}), 0);
    return sys;
}

START_TEST(sim_jumps_to_the_deadline)
{
    struct cosy_sys *sys = open_sim(0), *other = open_sim(9);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(now_of(sys), now_of(other));
    cosy_ns start = now_of(sys), real = clock_ns(CLOCK_MONOTONIC);
    usleep(2000);
    ck_assert_int_eq(now_of(sys), start); /* real time does not matter */
    ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(86400), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(86400));
    ck_assert_int_eq(sys->ops->wait(sys, start, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(86400)); /* never back */
    ck_assert_int_lt(clock_ns(CLOCK_MONOTONIC) - real, COSY_S(5));
    cosy_sim_advance(other, 7);
    ck_assert_int_eq(now_of(other), start + 7);
    sys->ops->close(sys);
    other->ops->close(other);
}
END_TEST

START_TEST(sim_does_not_jump_over_what_is_ready)
{
    struct cosy_sys *sys = open_sim(0);
    struct cosy_sys_event events[EVENTS];
    struct pair pipe = make_pipe();
    cosy_ns start = now_of(sys);
    int fd = cosy_sim_virtual_fd(sys), mark;
    uint64_t id = watch(sys, fd, COSY_SYS_READ, &mark);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 1);
    ck_assert_int_eq(now_of(sys), start);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);

    watch(sys, pipe.in, COSY_SYS_READ, &mark);
    put(pipe.out);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 1);
    ck_assert_int_eq(now_of(sys), start);
    take(pipe.in);

    ck_assert_int_eq(sys->ops->wake(sys), 0);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start);
    ck_assert_int_eq(sys->ops->wait(sys, start + 100, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + 100);
    close_pair(pipe);
    sys->ops->close(sys);
}
END_TEST

START_TEST(sim_switches_virtual_descriptors)
{
    struct cosy_sys *sys = open_sim(0);
    int fds[40], mark;
    for (int i = 0; i < 40; i++) {
        fds[i] = cosy_sim_virtual_fd(sys);
        ck_assert_int_ge(fds[i], 1 << 28);
        ck_assert(i == 0 || fds[i] != fds[i - 1]);
    }
    int fd = fds[20];
    ck_assert_int_eq(cosy_sim_set_ready(sys, fds[39] + 1, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(cosy_sim_set_ready(sys, 0, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, 64), -EINVAL);
    ck_assert_int_eq(refused(sys, fds[39] + 1), -EBADF);

    uint64_t id = watch(sys, fd, COSY_SYS_READ, &mark);
    ck_assert_int_eq(refused(sys, fd), -EEXIST);
    ck_assert(!sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert(!sys->ops->peek(sys));
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ | COSY_SYS_HANGUP), 0);
    ck_assert(sys->ops->peek(sys));
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_READ | COSY_SYS_HANGUP);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, 0), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), 0);
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_WRITE), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_HANGUP);
    ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_INVALID), 0);
    ck_assert_uint_eq(seen_now(sys, &mark), COSY_SYS_INVALID);
    ck_assert_uint_eq(seen_now(sys, &mark), 0); /* once */
    ck_assert_int_eq(sys->ops->rewatch(sys, id, COSY_SYS_READ), -EBADF);
    ck_assert_int_eq(sys->ops->unwatch(sys, id), 0);
    sys->ops->close(sys);
}
END_TEST

enum { DICE = 8 };

/* The order in which eight ready descriptors are reported, three times, as one number. */
static uint64_t order_of(uint64_t seed)
{
    struct cosy_sys *sys = open_sim(seed);
    struct cosy_sys_event events[EVENTS];
    static char marks[DICE];
    uint64_t order = 0;
    for (int i = 0; i < DICE; i++) {
        int fd = cosy_sim_virtual_fd(sys);
        watch(sys, fd, COSY_SYS_READ, &marks[i]);
        ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    }
    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(look(sys, events), DICE);
        for (int i = 0; i < DICE; i++)
            order = order * DICE + (uint64_t)((char *)events[i].data - marks);
    }
    order ^= cosy_sim_random(sys);
    sys->ops->close(sys);
    return order;
}

START_TEST(sim_decides_by_the_seed)
{
    int first[DICE] = {0}, same = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint64_t order = order_of(seed);
        ck_assert_uint_eq(order, order_of(seed));
        same += order == order_of(seed + 1);

        struct cosy_sys *sys = open_sim(seed);
        first[cosy_sim_random(sys) % DICE]++;
        ck_assert_uint_ne(cosy_sim_random(sys), cosy_sim_random(sys));
        sys->ops->close(sys);
    }
    ck_assert_int_eq(same, 0);
    for (int i = 0; i < DICE; i++)
        ck_assert_int_gt(first[i], 5);
}
END_TEST

START_TEST(sim_reports_in_any_order)
{
    struct cosy_sys *sys = open_sim(42);
    struct cosy_sys_event event;
    int count[DICE] = {0};
    for (int i = 0; i < DICE; i++) {
        int fd = cosy_sim_virtual_fd(sys);
        watch(sys, fd, COSY_SYS_READ, &count[i]);
        ck_assert_int_eq(cosy_sim_set_ready(sys, fd, COSY_SYS_READ), 0);
    }
    for (int i = 0; i < 100 * DICE; i++) {
        ck_assert_int_eq(sys->ops->wait(sys, 0, &event, 1), 1);
        ++*(int *)event.data;
    }
    for (int i = 0; i < DICE; i++) {
        ck_assert_int_gt(count[i], 60);
        ck_assert_int_lt(count[i], 140);
    }
    sys->ops->close(sys);
}
END_TEST

static void *advance_later(void *argument)
{
    usleep(10000);
    cosy_sim_advance(argument, COSY_S(1));
    return NULL;
}

START_TEST(sim_waits_for_a_hand_on_the_clock)
{
    struct cosy_sys *sys = open_sim(0);
    struct cosy_sys_event events[EVENTS];
    cosy_ns start = now_of(sys);
    cosy_sim_set_autojump(sys, false);
    ck_assert_int_eq(sys->ops->wait(sys, start, events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, advance_later, sys), 0);
    while (now_of(sys) < start + COSY_S(1))
        ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(1), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(1));
    pthread_join(thread, NULL);
    cosy_sim_set_autojump(sys, true);
    while (now_of(sys) < start + COSY_S(3)) /* the first may return for the advance's own wake */
        ck_assert_int_eq(sys->ops->wait(sys, start + COSY_S(3), events, EVENTS), 0);
    ck_assert_int_eq(now_of(sys), start + COSY_S(3));
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

static void add_sim(Suite *suite)
{
    TCase *sim = tcase_create("sim");
    tcase_add_test(sim, sim_jumps_to_the_deadline);
    tcase_add_test(sim, sim_does_not_jump_over_what_is_ready);
    tcase_add_test(sim, sim_switches_virtual_descriptors);
    tcase_add_test(sim, sim_decides_by_the_seed);
    tcase_add_test(sim, sim_reports_in_any_order);
    tcase_add_test(sim, sim_waits_for_a_hand_on_the_clock);
    suite_add_tcase(suite, sim);
}

int main(void)
{
    Suite *suite = create_suite("sys_sim");
    add_sim(suite);
    return run_suite(suite);
}
