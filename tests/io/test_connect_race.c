/* test_connect_race.c - the race of sockets to several addresses: who begins when, who wins, and what is left of the
 * others. */
#include "net_test.h"

#include "io/connect.h"

/* ---- addresses of a kind ---- */

enum { FILLERS = 2 };

/* What does not answer: a listener that takes no more connections, so that the next one is never answered. */
struct black_hole {
    int listener, fillers[FILLERS];
    struct cosy_address address;
};

static void dig(struct black_hole *hole, const char *host)
{
    struct cosy_sys *sys = kernel();
    struct cosy_address any_port = ip(host, 0);
    unsigned port;
    hole->listener = listen_at(&any_port, 0, &port);
    hole->address = ip(host, port);
    for (int i = 0; i < FILLERS; i++) {
        hole->fillers[i] = sys->net->socket(sys, hole->address.any.sa_family, SOCK_STREAM, 0);
        int result = sys->net->connect(sys, hole->fillers[i], &hole->address.any, hole->address.size);
        ck_assert(result == 0 || result == -EINPROGRESS);
    }
}

static void fill_in(struct black_hole *hole)
{
    for (int i = 0; i < FILLERS; i++)
        close_fd(hole->fillers[i]);
    close_fd(hole->listener);
}

static struct cosy_address dead(const char *host)
{
    return ip(host, dead_port(host));
}

/* No socket can be made for it. */
static struct cosy_address of_no_family(void)
{
    struct cosy_address address = ip("127.0.0.1", 1);
    address.any.sa_family = AF_MAX - 1;
    return address;
}

static cosy_address_list *list(const struct cosy_address *addresses, size_t count)
{
    cosy_address_list *all = cosy_address_list_new(count);
    for (size_t i = 0; all && i < count; i++)
        all->items[i] = (struct cosy_address_info){.address = addresses[i], .type = SOCK_STREAM};
    return all;
}
#define LIST(...)                                                                                                      \
    list((const struct cosy_address[]){__VA_ARGS__},                                                                   \
         sizeof((const struct cosy_address[]){__VA_ARGS__}) / sizeof(struct cosy_address))

static bool anybody_at(int listener)
{
    int fd = accept_if_any(listener);
    close_fd(fd);
    return fd >= 0;
}

cosy_async static int race(struct cosy_connect *connect)
{
    return cosy_connect_race(cosy_task_here(), connect);
}

/* ---- who begins when, and who wins ---- */

TASK_TEST(the_first_that_answers_wins)
{
    unsigned port, other_port;
    int listener = listen_on("127.0.0.1", &port), other = listen_on("127.0.0.2", &other_port);
    struct cosy_connect connect = {.remotes = LIST(ip("127.0.0.1", port), ip("127.0.0.2", other_port)),
                                   .delay = COSY_S(1)};
    int fd = race(&connect);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(connect.winner, 0);
    ck_assert(anybody_at(listener));
    ck_assert(!anybody_at(other));
    cosy_connect_end(&connect);
    close_fd(fd);
    close_fd(listener);
    close_fd(other);
    return 0;
}

TASK_TEST(a_failure_starts_the_next_at_once)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    struct cosy_connect connect = {
        .remotes = LIST(dead("127.0.0.2"), of_no_family(), dead("127.0.0.3"), ip("127.0.0.1", port)),
        .delay = COSY_S(100)};
    cosy_ns began = now();
    int fd = race(&connect);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(connect.winner, 3);
    ck_assert_int_lt(now() - began, COSY_S(50));
    ck_assert_int_eq(connect.errors[0], -ECONNREFUSED);
    ck_assert_int_eq(connect.errors[1], -EAFNOSUPPORT);
    cosy_connect_end(&connect);
    close_fd(fd);
    close_fd(listener);
    return 0;
}

TASK_TEST(one_that_does_not_answer_costs_its_head_start)
{
    struct black_hole hole;
    unsigned port;
    int listener = listen_on("127.0.0.1", &port), before = settled_descriptors();
    dig(&hole, "127.0.0.2");
    struct cosy_connect connect = {.remotes = LIST(hole.address, ip("127.0.0.1", port)), .delay = COSY_MS(20)};
    cosy_ns began = now();
    int fd = race(&connect);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(connect.winner, 1);
    ck_assert_int_ge(now() - began, COSY_MS(20));
    if (simulated())
        ck_assert_int_eq(now() - began, COSY_MS(20));
    cosy_connect_end(&connect);
    close_fd(fd);
    fill_in(&hole);
    ck_assert_int_eq(settled_descriptors(), before); /* the loser's is closed */
    close_fd(listener);
    return 0;
}

TASK_TEST(without_head_starts_the_next_waits_for_a_failure)
{
    struct black_hole hole;
    unsigned port;
    int err = 0, listener = listen_on("127.0.0.1", &port);
    dig(&hole, "127.0.0.2");
    struct cosy_connect connect = {.remotes = LIST(hole.address, ip("127.0.0.1", port)), .delay = -1};
    COSY_TIMEOUT (err, COSY_MS(50)) {
        cosy_check(err, race(&connect));
    }
    ck_assert_int_eq(err, -ETIMEDOUT);
    ck_assert(!anybody_at(listener));
    cosy_connect_end(&connect);
    fill_in(&hole);
    close_fd(listener);
    return 0;
}

TASK_TEST(when_all_fail_each_error_is_there)
{
    struct cosy_connect connect = {.remotes = LIST(of_no_family(), dead("127.0.0.1"), dead("127.0.0.2"))};
    ck_assert_int_eq(race(&connect), -ECONNREFUSED); /* tells more than the first one */
    ck_assert_int_eq(connect.errors[0], -EAFNOSUPPORT);
    ck_assert_int_eq(connect.errors[1], -ECONNREFUSED);
    ck_assert_int_eq(connect.errors[2], -ECONNREFUSED);
    cosy_connect_end(&connect);
    connect = (struct cosy_connect){.remotes = LIST(of_no_family(), of_no_family())};
    ck_assert_int_eq(race(&connect), -EAFNOSUPPORT);
    cosy_connect_end(&connect);
    return 0;
}

/* ---- from where ---- */

TASK_TEST(the_first_local_address_that_works_is_bound)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    struct cosy_address peer;
    char text[COSY_ADDRESS_TEXT];
    struct cosy_connect connect = {.remotes = LIST(ip("127.0.0.1", port)),
                                   .locals = LIST(ip("::1", 0), ip("198.51.100.7", 0), ip("127.0.0.5", 0))};
    int fd = race(&connect);
    ck_assert_msg(fd >= 0, "%s", cosy_strerror(fd));
    close_fd(accept_at(listener, &peer));
    ck_assert_str_eq(cosy_address_host(&peer, text), "127.0.0.5");
    cosy_connect_end(&connect);
    close_fd(fd);
    close_fd(listener);
    return 0;
}

TASK_TEST(without_a_local_address_that_works_nothing_is_tried)
{
    unsigned port;
    int listener = listen_on("127.0.0.1", &port);
    struct cosy_connect connect = {.remotes = LIST(ip("127.0.0.1", port)), .locals = LIST(ip("::1", 0))};
    ck_assert_int_eq(race(&connect), -EADDRNOTAVAIL);
    cosy_connect_end(&connect);
    connect = (struct cosy_connect){.remotes = LIST(ip("127.0.0.1", port)), .locals = LIST(ip("198.51.100.7", 0))};
    ck_assert_int_eq(race(&connect), -EADDRNOTAVAIL);
    cosy_connect_end(&connect);
    ck_assert(!anybody_at(listener));
    close_fd(listener);
    return 0;
}

TASK_TEST(nobody_is_connected_with_himself)
{
    unsigned port = dead_port("127.0.0.1");
    struct cosy_connect connect = {.remotes = LIST(ip("127.0.0.1", port)), .locals = LIST(ip("127.0.0.1", port))};
    ck_assert_int_eq(race(&connect), -ECONNREFUSED);
    cosy_connect_end(&connect);
    return 0;
}

/* ---- descriptors for others ---- */

TASK_TEST(a_descriptor_is_connected_from_here_to_there)
{
    unsigned port;
    int fd = -1, listener = listen_on("127.0.0.1", &port);
    char expected[80], text[COSY_ADDRESS_TEXT];
    struct cosy_address remote = ip("127.0.0.1", port), local = ip("127.0.0.6", 0), peer;
    ck_assert_int_eq(cosy_connect_fd(&remote, &local, &fd), 0);
    close_fd(accept_at(listener, &peer));
    ck_assert_str_eq(cosy_address_host(&peer, text), "127.0.0.6");
    close_fd(fd);
    ck_assert_int_eq(cosy_connect_fd(&remote, NULL, &fd), 0);
    close_fd(fd);
    close_fd(listener);
    remote = dead("127.0.0.1");
    ck_assert_int_eq(cosy_connect_fd(&remote, NULL, &fd), -ECONNREFUSED);
    snprintf(expected, sizeof expected, "connecting to 127.0.0.1:%u: Connection refused", cosy_address_port(&remote));
    ck_assert_str_eq(cosy_error_message(-ECONNREFUSED), expected);
    return 0;
}

/* ---- cancelled, forgotten, starved ---- */

/* Two that do not answer, one that refuses, one that answers: every kind of wait. */
struct course {
    struct black_hole holes[2];
    struct cosy_address dead, alive;
    int listener;
};

static void lay_out(struct course *course)
{
    unsigned port;
    course->listener = listen_on("127.0.0.1", &port);
    course->alive = ip("127.0.0.1", port);
    course->dead = dead("127.0.0.4");
    dig(&course->holes[0], "127.0.0.2");
    dig(&course->holes[1], "127.0.0.3");
}

static void clear_away(struct course *course)
{
    fill_in(&course->holes[0]);
    fill_in(&course->holes[1]);
    close_fd(course->listener);
}

cosy_async static int run_course(const struct course *course)
{
    struct cosy_connect connect = {
        .remotes = LIST(course->holes[0].address, course->dead, course->holes[1].address, course->alive),
        .delay = COSY_MS(1)};
    int result = connect.remotes ? race(&connect) : -ENOMEM;
    cosy_connect_end(&connect);
    if (result >= 0)
        close_fd(result);
    return result < 0 ? result : 0;
}

cosy_async static int long_race(void)
{
    struct course course;
    lay_out(&course);
    int result = run_course(&course);
    clear_away(&course);
    return result;
}

START_TEST(cancelled_at_any_wait_nothing_is_left)
{
    begin_test();
    int fds = entries("/proc/self/fd");
    int rounds = cosy_test_explore((.seeds = 10, .cancel_each_wait = true), long_race);
    ck_assert_int_ge(rounds, 100);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
}
END_TEST

TASK_TEST(without_memory_nothing_is_left)
{
    struct course course;
    lay_out(&course);
    ck_assert_int_eq(run_course(&course), 0);
    int fds = settled_descriptors();
    long counted = 1;
    for (long n = 1; counted >= n; n++) {
        cosy_heap_fail_nth(n, false);
        int result = run_course(&course);
        counted = cosy_heap_counted();
        cosy_heap_fail_nth(0, false);
        ck_assert_msg(result == 0 || (counted >= n && result == -ENOMEM), "allocation %ld: %s", n,
                      cosy_errname(result));
        ck_assert_int_eq(settled_descriptors(), fds);
        while (anybody_at(course.listener))
            ;
    }
    clear_away(&course);
    return 0;
}

/* Armed while the race is on; when the one that answers is the victim, the others never end. A kernel that cannot even
 * wait ends the loop, and the race with it. */
static struct course shared;
static long fail_at;

cosy_async static int faulty_course(void)
{
    lay_out(&shared);
    cosy_sys_fail_nth(fail_at, EMFILE);
    int result = cosy_wait_for(cosy_call(run_course, &shared), COSY_MS(50));
    long counted = cosy_sys_counted();
    cosy_sys_fail_nth(0, 0);
    clear_away(&shared);
    shared.listener = -1;
    if (counted < fail_at)
        return result == 0 ? 1 : result;
    ck_assert_msg(result == 0 || result == -EMFILE || result == -ETIMEDOUT || result == -ECANCELED, "call %ld: %s",
                  fail_at, cosy_errname(result));
    return 0;
}

START_TEST(whatever_call_fails_nothing_is_left)
{
    begin_test();
    int fds = entries("/proc/self/fd"), result = 0;
    for (fail_at = 1; result != 1 && fail_at < 1000; fail_at++) {
        result = cosy_run(faulty_course);
        cosy_sys_fail_nth(0, 0);
        ck_assert_int_eq(shared.listener, -1);
        ck_assert_msg(entries("/proc/self/fd") == fds, "call %ld", fail_at);
    }
    ck_assert_int_eq(result, 1);
    ck_assert_int_gt(fail_at, 12);
}
END_TEST

/* ---- the end of the loop ---- */

static struct black_hole forgotten_hole;
static cosy_task *forgotten;
static char tree[4096];

cosy_async static int wait_for_ever(void)
{
    struct cosy_connect connect = {.remotes = LIST(forgotten_hole.address, forgotten_hole.address),
                                   .delay = COSY_MS(1)};
    return race(&connect);
}

cosy_async static int begin_and_leave(void)
{
    dig(&forgotten_hole, "127.0.0.2");
    forgotten = cosy_create_task(wait_for_ever);
    while (!strstr(tree, "(address 2 of 2)")) {
        cosy_try(cosy_sleep(COSY_MS(1)));
        FILE *out = fmemopen(tree, sizeof tree, "w");
        cosy_print_tasks(out);
        fclose(out);
    }
    fill_in(&forgotten_hole);
    return 0;
}

START_TEST(a_race_that_its_loop_forgets_closes_its_sockets)
{
    begin_test();
    cosy_loop *loop;
    int fds = entries("/proc/self/fd");
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    ck_assert_int_eq(cosy_run_until_complete(loop, cosy_call(begin_and_leave)), 0);
    ck_assert_ptr_nonnull(strstr(tree, "connects to 127.0.0.2:"));
    cosy_loop_free(loop);
    logs("was destroyed");
    cosy_task_drop(forgotten);
    while (entries("/proc/self/fd") >
           fds + 1) /* the kernel may close a ring's files a moment later; what looks at stacks keeps one */
        usleep(1000);
}
END_TEST

TESTS_MAIN("connect_race", the_first_that_answers_wins, a_failure_starts_the_next_at_once,
           one_that_does_not_answer_costs_its_head_start, without_head_starts_the_next_waits_for_a_failure,
           when_all_fail_each_error_is_there, the_first_local_address_that_works_is_bound,
           without_a_local_address_that_works_nothing_is_tried, nobody_is_connected_with_himself,
           a_descriptor_is_connected_from_here_to_there, cancelled_at_any_wait_nothing_is_left,
           without_memory_nothing_is_left, whatever_call_fails_nothing_is_left,
           a_race_that_its_loop_forgets_closes_its_sockets)
