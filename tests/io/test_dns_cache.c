/* test_dns_cache.c - answers that are kept, and look-ups that are shared. Names are those of the simulated network, or
 * of a resolver of the C library that the test holds and turns; time is virtual where it matters. */
#include "dns_server.h"

#include <dlfcn.h>

#include "sys/sim/network.h"

static struct gate gate;     /* of "held.test" */
static atomic_int asked;     /* how often the C library was */
static atomic_int last_part; /* of the next answer's address */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
                                                                                                "getaddrinfo");
    char address[32];
    if (!host || !strstr(host, ".test"))
        return real(host, service, hints, ret_list);
    asked++;
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "held.test") == 0)
        pass_gate(&gate, 0);
    snprintf(address, sizeof address, "192.0.2.%d", last_part);
    return real(address, service, hints, ret_list);
}

/* The name is known by that address from now on. */
static void know(const char *host, int part)
{
    char address[32];
    snprintf(address, sizeof address, "192.0.2.%d", part);
    last_part = part;
    asked = 0;
    if (simulated())
        ck_assert_int_eq(cosy_sim_add_host(kernel(), &(const struct cosy_sim_host){.name = host, .address = address}),
                         0);
}

static struct cosy_dns_cache_stats stats(void)
{
    struct cosy_dns_cache_stats stats;
    cosy_dns_cache_get_stats(&stats);
    return stats;
}

static void counted(uint64_t hits, uint64_t misses, uint64_t shared, size_t entries_now)
{
    struct cosy_dns_cache_stats now_are = stats();
    ck_assert_msg(now_are.hits == hits && now_are.misses == misses && now_are.shared == shared &&
                      now_are.entries == entries_now,
                  "%d hits, %d misses, %d shared, %zu entries", (int)now_are.hits, (int)now_are.misses,
                  (int)now_are.shared, now_are.entries);
    if (!simulated())
        ck_assert_int_eq(asked, (int)misses);
}

cosy_async static int look_up(const char *host)
{
    cosy_scoped(cosy_address_list) list = NULL;
    int result = cosy_getaddrinfo(host, "80", &list, .type = SOCK_STREAM);
    return result < 0 ? result : (int)(ntohl(list->items[0].address.ip4.sin_addr.s_addr) & 255);
}

TASK_TEST(without_being_asked_for_nothing_is_kept)
{
    know("one.test", 1);
    ck_assert_int_eq(look_up("one.test"), 1);
    ck_assert_int_eq(look_up("one.test"), 1);
    if (!simulated())
        ck_assert_int_eq(asked, 2);
    asked = 0;
    counted(0, 0, 0, 0);
    cosy_dns_cache_clear();
    cosy_dns_cache_off();
    return 0;
}

TASK_TEST(the_second_look_up_asks_nobody)
{
    know("one.test", 1);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    ck_assert_int_eq(look_up("one.test"), 1);
    counted(0, 1, 0, 1);
    uint64_t before = turns();
    ck_assert_int_eq(look_up("one.test"), 1);
    ck_assert_int_eq(look_up("ONE.test"), 1); /* names of hosts have no case */
    ck_assert_uint_eq(turns(), before);       /* and nothing was waited for */
    counted(2, 1, 0, 1);
    ck_assert_int_eq(look_up("192.0.2.77"), 77); /* numbers need none */
    counted(2, 1, 0, 1);
    return 0;
}

TASK_TEST(what_is_asked_differently_is_kept_apart)
{
    cosy_address_list *list;
    know("one.test", 1);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(look_up("one.test"), 1);
        ck_assert_int_eq(cosy_getaddrinfo("one.test", "81", &list, .type = SOCK_STREAM), 0);
        ck_assert_uint_eq(cosy_address_port(&list->items[0].address), 81);
        cosy_address_list_free(list);
        ck_assert_int_eq(cosy_getaddrinfo("one.test", "80", &list, .type = SOCK_DGRAM), 0);
        ck_assert_int_eq(list->items[0].type, SOCK_DGRAM);
        cosy_address_list_free(list);
        ck_assert_int_eq(cosy_getaddrinfo("one.test", NULL, &list, .type = SOCK_STREAM), 0);
        ck_assert_uint_eq(cosy_address_port(&list->items[0].address), 0);
        cosy_address_list_free(list);
    }
    counted(4, 4, 0, 4);
    return 0;
}

TASK_TEST(clearing_forgets_and_off_keeps_nothing)
{
    know("one.test", 1);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    ck_assert_int_eq(look_up("one.test"), 1);
    cosy_dns_cache_clear();
    counted(0, 1, 0, 0);
    ck_assert_int_eq(look_up("one.test"), 1);
    counted(0, 2, 0, 1);
    ck_assert_int_eq(cosy_set_dns_cache(.max_entries = 5), 0); /* anew: empty, its counters too */
    asked = 0;
    counted(0, 0, 0, 0);
    cosy_dns_cache_off();
    ck_assert_int_eq(look_up("one.test"), 1);
    if (!simulated())
        ck_assert_int_eq(asked, 1);
    return 0;
}

TASK_TEST(answers_are_good_for_their_time)
{
    cosy_ns wait = simulated() ? COSY_S(30) : COSY_MS(20);
    know("one.test", 1);
    ck_assert_int_eq(cosy_set_dns_cache(.ttl = wait, .negative_ttl = wait / 2), 0);
    ck_assert_int_eq(look_up("one.test"), 1);
    ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
    if (simulated()) {
        ck_assert_int_eq(cosy_sleep(wait / 2 - 1), 0);
        ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
        ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Name or service not known");
        counted(1, 2, 0, 2);
        ck_assert_int_eq(cosy_sleep(1), 0);
        ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
        counted(1, 3, 0, 2);
        ck_assert_int_eq(cosy_sleep(wait / 2 - 1), 0);
        ck_assert_int_eq(look_up("one.test"), 1);
        counted(2, 3, 0, 2);
        ck_assert_int_eq(cosy_sleep(1), 0);
        ck_assert_int_eq(look_up("one.test"), 1);
        counted(2, 4, 0, 2);
        return 0;
    }
    ck_assert_int_eq(cosy_sleep(wait), 0);
    last_part = 2;
    ck_assert_int_eq(look_up("one.test"), 2);
    ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Name or service not known");
    counted(0, 4, 0, 2);
    return 0;
}

TASK_TEST(only_the_want_of_a_name_is_kept_of_errors)
{
    know("one.test", 1);
    if (simulated())
        ck_assert_int_eq(cosy_sim_add_host(
                             kernel(), &(const struct cosy_sim_host){.name = "again.test", .lookup_error = -ETIMEDOUT}),
                         0);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(look_up("again.test"), -ETIMEDOUT);
        ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "looking up again.test: Temporary failure in name resolution");
        ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
    }
    counted(1, 3, 0, 1);
    ck_assert_int_eq(cosy_set_dns_cache(.negative_ttl = -1), 0);
    asked = 0;
    ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
    ck_assert_int_eq(look_up("none.test"), -COSY_ENONAME);
    counted(0, 2, 0, 0);
    return 0;
}

TASK_TEST(the_longest_unused_goes_first)
{
    ck_assert_int_eq(cosy_set_dns_cache(.max_entries = 2), 0);
    know("a.test", 1);
    know("b.test", 1);
    know("c.test", 1);
    ck_assert_int_eq(look_up("a.test"), 1);
    ck_assert_int_eq(look_up("b.test"), 1);
    ck_assert_int_eq(look_up("a.test"), 1);
    ck_assert_int_eq(look_up("c.test"), 1); /* b has to go */
    counted(1, 3, 0, 2);
    ck_assert_int_eq(look_up("a.test"), 1);
    ck_assert_int_eq(look_up("c.test"), 1);
    counted(3, 3, 0, 2);
    ck_assert_int_eq(look_up("b.test"), 1);
    counted(3, 4, 0, 2);
    ck_assert_uint_eq(stats().evicted, 2);
    return 0;
}

/* ---- at the same time ---- */

/* "held.test" is answered when the test says, or on the simulated network after a second. */
static void hold_name(void)
{
    gate_init(&gate);
    last_part = 7;
    asked = 0;
    if (simulated())
        ck_assert_int_eq(cosy_sim_add_host(kernel(), &(const struct cosy_sim_host){.name = "held.test",
                                                                                   .address = "192.0.2.7",
                                                                                   .lookup_delay = COSY_S(1)}),
                         0);
}

cosy_async static void until_asked(void)
{
    if (simulated())
        let_all_run(3);
    else
        until_posted(&gate.running);
}

TASK_TEST(who_asks_the_same_shares_the_look_up)
{
    enum { ASKERS = 5 };
    cosy_task *tasks[ASKERS];
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    hold_name();
    for (int i = 0; i < ASKERS; i++)
        tasks[i] = cosy_create_task(look_up, "held.test");
    until_asked();
    counted(0, 1, ASKERS - 1, 0);
    cosy_task_cancel(tasks[0]); /* the one that began it */
    cosy_task_cancel(tasks[3]);
    sem_post(&gate.open);
    for (int i = 0; i < ASKERS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), i % 3 == 0 ? -ECANCELED : 7);
        cosy_task_drop(tasks[i]);
    }
    counted(0, 1, ASKERS - 1, 1);
    ck_assert_int_eq(look_up("held.test"), 7);
    counted(1, 1, ASKERS - 1, 1);
    return 0;
}

TASK_TEST(when_all_askers_are_cancelled_the_look_up_is)
{
    size_t before = cosy_all_tasks(NULL, NULL, 0);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    hold_name();
    cosy_scoped(cosy_task) one = cosy_create_task(look_up, "held.test");
    cosy_scoped(cosy_task) other = cosy_create_task(look_up, "held.test");
    until_asked();
    cosy_task_cancel(one);
    cosy_task_cancel(other);
    ck_assert_int_eq(cosy_await(one), -ECANCELED);
    ck_assert_int_eq(cosy_await(other), -ECANCELED);
    let_all_run(3);
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), before);
    sem_post(&gate.open);
    if (!simulated())
        while (!gate.ended)
            ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    counted(0, 1, 1, 0);
    sem_post(&gate.open);
    ck_assert_int_eq(look_up("held.test"), 7); /* anew */
    counted(0, 2, 1, 1);
    return 0;
}

TASK_TEST(clearing_meanwhile_disturbs_nobody)
{
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    hold_name();
    cosy_scoped(cosy_task) one = cosy_create_task(look_up, "held.test");
    cosy_scoped(cosy_task) two = cosy_create_task(look_up, "held.test");
    until_asked();
    cosy_dns_cache_clear();
    ck_assert_int_eq(cosy_set_dns_cache(), 0); /* another one, even */
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(one), 7);
    ck_assert_int_eq(cosy_await(two), 7);
    ck_assert_uint_eq(stats().entries, 0);
    cosy_scoped(cosy_task) last = cosy_create_task(look_up, "held.test");
    until_asked();
    cosy_dns_cache_off();
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(last), 7);
    return 0;
}

TASK_TEST(a_program_that_ends_meanwhile_leaves_nothing)
{
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    hold_name();
    cosy_spawn(look_up, "held.test");
    cosy_spawn(look_up, "held.test");
    until_asked();
    sem_post(&gate.open);
    return 0;
}

/* ---- with c-ares ---- */

TASK_TEST(what_is_not_to_be_kept_is_not)
{
    struct dns_server server;
    if (simulated() || !COSY_HAVE_LIBCARES)
        return 0;
    ck_assert_int_eq(cosy_set_dns_cache(.ttl = COSY_S(3600)), 0);
    dns_begin(&server, 0, 0);
    for (int i = 0; i < 2; i++) {
        cosy_address_list *list;
        ck_assert_int_eq(cosy_getaddrinfo("zero.test", "80", &list, .family = AF_INET), 0);
        cosy_address_list_free(list);
        ck_assert_int_eq(cosy_getaddrinfo("four.test", "80", &list, .family = AF_INET), 0);
        cosy_address_list_free(list);
        ck_assert_int_eq(cosy_getaddrinfo("none.test", "80", &list, .family = AF_INET), -COSY_ENONAME);
        ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Domain name not found");
    }
    ck_assert_int_eq(server.asked, 4);
    ck_assert_uint_eq(stats().hits, 2);
    dns_end(&server);
    return 0;
}

TASK_TEST(connections_use_it)
{
    unsigned port;
    cosy_stream *stream;
    int listener = listen_on("127.0.0.1", &port);
    ck_assert_int_eq(cosy_set_dns_cache(), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(cosy_open_connection("localhost", port, &stream, .family = AF_INET), 0);
        cosy_stream_close(stream);
    }
    ck_assert_uint_eq(stats().misses, 1);
    ck_assert_uint_eq(stats().hits, 1);
    close_fd(listener);
    return 0;
}

/* ---- bad input, no memory, cancels ---- */

TASK_TEST(bad_options_are_refused)
{
    ck_assert_int_eq(cosy_set_dns_cache(.ttl = -1), -EINVAL);
    ck_assert_int_eq(cosy_set_dns_cache(.ttl = COSY_NEVER, .negative_ttl = COSY_NEVER), 0);
    know("one.test", 1);
    ck_assert_int_eq(look_up("one.test"), 1);
    ck_assert_int_eq(look_up("one.test"), 1);
    counted(1, 1, 0, 1);
    return 0;
}

START_TEST(without_a_loop_there_is_no_cache)
{
    struct cosy_dns_cache_stats none = {.hits = 7};
    begin_test();
    ck_assert_int_eq(cosy_set_dns_cache(), -COSY_ENOLOOP);
    cosy_dns_cache_clear();
    cosy_dns_cache_off();
    cosy_dns_cache_get_stats(&none);
    ck_assert_uint_eq(none.hits, 0);
}
END_TEST

cosy_async static int look_ups(void)
{
    last_part = 7;
    cosy_try(cosy_set_dns_cache(.max_entries = 1));
    if (simulated()) {
        struct cosy_sim_host host = {.name = "x.test", .address = "192.0.2.7", .lookup_delay = COSY_MS(5)};
        cosy_try(cosy_sim_add_host(kernel(), &host));
    }
    cosy_try(cosy_gather(cosy_call(look_up, "x.test"), cosy_call(look_up, "x.test")));
    cosy_try(look_up("x.test"));
    int result = look_up("none.test");
    return result == -COSY_ENONAME ? look_up("none.test") == -COSY_ENONAME ? 0 : -ENOMEM : result;
}

static int run_look_ups(void)
{
    return cosy_run(look_ups);
}

START_TEST(without_memory_look_ups_fail_and_leave_nothing)
{
    starve(run_look_ups);
}
END_TEST

START_TEST(cancelled_at_any_wait_nothing_is_left)
{
    begin_test();
    int rounds = cosy_test_explore((.seeds = 10, .cancel_each_wait = true), look_ups);
    ck_assert_msg(rounds >= 10, "%s", logged);
}
END_TEST

TESTS_MAIN("dns_cache", without_being_asked_for_nothing_is_kept, the_second_look_up_asks_nobody,
           what_is_asked_differently_is_kept_apart, clearing_forgets_and_off_keeps_nothing,
           answers_are_good_for_their_time, only_the_want_of_a_name_is_kept_of_errors, the_longest_unused_goes_first,
           who_asks_the_same_shares_the_look_up, when_all_askers_are_cancelled_the_look_up_is,
           clearing_meanwhile_disturbs_nobody, a_program_that_ends_meanwhile_leaves_nothing,
           what_is_not_to_be_kept_is_not, connections_use_it, bad_options_are_refused, without_a_loop_there_is_no_cache,
           without_memory_look_ups_fail_and_leave_nothing, cancelled_at_any_wait_nothing_is_left)
