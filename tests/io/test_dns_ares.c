/* test_dns_ares.c - names by c-ares, from a name server of the test's own. On the simulated kernel names are its own.
 */
#include "dns_server.h"

static bool can_ask(void)
{
    return COSY_HAVE_LIBCARES && !simulated();
}

static const char *text_of(const cosy_address_list *list)
{
    static char all[1024];
    char text[COSY_ADDRESS_TEXT];
    all[0] = 0;
    for (size_t i = 0; list && i < list->count; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s/%d", used ? " " : "",
                 cosy_address_text(&list->items[i].address, text), list->items[i].type);
    }
    return all;
}

/* The order of families is the machine's (RFC 6724 asks which it can reach). */
static bool has_both(const cosy_address_list *list, const char *port)
{
    char first[128], second[128];
    snprintf(first, sizeof first, "192.0.2.1:%s/1 [2001:db8::1]:%s/1", port, port);
    snprintf(second, sizeof second, "[2001:db8::1]:%s/1 192.0.2.1:%s/1", port, port);
    return strcmp(text_of(list), first) == 0 || strcmp(text_of(list), second) == 0;
}

cosy_async static int look_up(const char *host)
{
    cosy_scoped(cosy_address_list) list = NULL;
    return cosy_getaddrinfo(host, "80", &list, .type = SOCK_STREAM);
}

#define SERVED(server, timeout, tries)                                                                                 \
    struct dns_server server;                                                                                          \
    if (!can_ask())                                                                                                    \
        return 0;                                                                                                      \
    dns_begin(&(server), (timeout), (tries))

TASK_TEST(names_have_addresses_of_both_families)
{
    SERVED(server, 0, 0);
    cosy_address_list *list;
    int threads = entries("/proc/self/task");
    ck_assert_str_eq(cosy_resolver_name(), "ares");
    ck_assert_int_eq(cosy_getaddrinfo("one.test", "443", &list, .type = SOCK_STREAM), 0);
    ck_assert_msg(has_both(list, "443"), "%s", text_of(list));
    ck_assert_ptr_null(list->canonical_name);
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("one.test", NULL, &list, .family = AF_INET), 0);
    ck_assert_str_eq(text_of(list), "192.0.2.1:0/1 192.0.2.1:0/2 192.0.2.1:0/3");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("six.test", "53", &list, .type = SOCK_DGRAM), 0);
    ck_assert_str_eq(text_of(list), "[2001:db8::6]:53/2");
    cosy_address_list_free(list);
    ck_assert_int_eq(entries("/proc/self/task"), threads); /* nobody else was asked */
    dns_end(&server);
    return 0;
}

TASK_TEST(aliases_lead_to_the_canonical_name)
{
    SERVED(server, 0, 0);
    cosy_address_list *list;
    ck_assert_int_eq(cosy_getaddrinfo("alias.test", "1", &list, .family = AF_INET, .type = SOCK_STREAM,
                                      .flags = AI_CANONNAME | AI_ADDRCONFIG),
                     0);
    ck_assert_str_eq(text_of(list), "192.0.2.4:1/1");
    ck_assert_str_eq(list->canonical_name, "four.test");
    cosy_address_list_free(list);
    dns_end(&server);
    return 0;
}

TASK_TEST(this_machine_and_numbers_ask_no_server)
{
    SERVED(server, 0, 0);
    cosy_address_list *list;
    ck_assert_int_eq(cosy_getaddrinfo("localhost", "80", &list, .family = AF_INET, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "127.0.0.1:80/1");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("127.1", "80", &list, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "127.0.0.1:80/1");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo(NULL, "80", &list, .family = AF_INET6, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "[::1]:80/1");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("::1%1", "80", &list, .flags = AI_CANONNAME, .type = SOCK_STREAM), 0);
    cosy_address_list_free(list);
    ck_assert_int_eq(server.asked, 0);
    dns_end(&server);
    return 0;
}

static void fails(const char *host, int code, const char *words)
{
    cosy_address_list *list;
    char expected[128];
    int result = cosy_getaddrinfo(host, "80", &list, .type = SOCK_STREAM);
    ck_assert_msg(result == code, "%s: %s", host, cosy_errname(result));
    ck_assert_ptr_null(list);
    snprintf(expected, sizeof expected, "looking up %s: %s", host, words);
    ck_assert_str_eq(cosy_error_message(code), expected);
}

TASK_TEST(errors_are_the_systems_with_the_name_and_the_words_of_c_ares)
{
    SERVED(server, COSY_MS(20), 1);
    cosy_address_list *list;
    fails("none.test", -COSY_ENONAME, "Domain name not found");
    fails("empty.test", -COSY_ENONAME, "DNS server returned answer with no data");
    fails("fail.test", -ETIMEDOUT, "Could not contact DNS servers"); /* c-ares leaves out servers that fail */
    fails("refused.test", -ETIMEDOUT, "Could not contact DNS servers");
    fails("never.test", -ETIMEDOUT, "Timeout while contacting DNS servers");
    ck_assert_int_eq(cosy_getaddrinfo("one.test", "no-such-service", &list, .type = SOCK_STREAM), -COSY_ENONAME);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME),
                     "looking up one.test, service no-such-service: Servname not supported for ai_socktype");
    ck_assert_int_eq(cosy_getaddrinfo("one.test", "80", &list, .family = 12345), -EAFNOSUPPORT);
    ck_assert_int_eq(cosy_getaddrinfo("one.test", "80", &list, .type = 12345), -ESOCKTNOSUPPORT);
    ck_assert_int_eq(cosy_getaddrinfo("one.test", "80", &list, .flags = AI_IDN), -ENOTSUP);
    ck_assert_str_eq(cosy_error_message(-ENOTSUP), "looking up one.test: c-ares does not have the flags 0x40");
    dns_end(&server);
    return 0;
}

TASK_TEST(a_dead_server_is_told)
{
    if (!can_ask())
        return 0;
    char servers[64];
    snprintf(servers, sizeof servers, "127.0.0.1:%u", dead_port("127.0.0.1"));
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_ARES, .servers = servers, .timeout = COSY_MS(20), .tries = 1), 0);
    ck_assert_int_eq(look_up("one.test"), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ETIMEDOUT), "looking up one.test: "));
    return 0;
}

TASK_TEST(what_does_not_fit_comes_by_tcp)
{
    SERVED(server, 0, 0);
    cosy_scoped(cosy_address_list) list = NULL;
    ck_assert_int_eq(cosy_getaddrinfo("big.test", "80", &list, .type = SOCK_STREAM), 0);
    ck_assert_msg(has_both(list, "80"), "%s", text_of(list));
    ck_assert_int_eq(server.by_tcp, 2);
    dns_end(&server);
    return 0;
}

TASK_TEST(bad_answers_are_not_believed)
{
    SERVED(server, COSY_MS(20), 1);
    cosy_address_list *list;
    ck_assert_int_eq(cosy_getaddrinfo("forged.test", "80", &list, .family = AF_INET, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "192.0.2.1:80/1");
    cosy_address_list_free(list);
    fails("cut.test", -EBADMSG, "Misformatted DNS reply");
    int result = look_up("noise.test");
    ck_assert_msg(result == -EBADMSG || result == -ETIMEDOUT || result == -COSY_ENONAME, "%s", cosy_errname(result));
    dns_end(&server);
    return 0;
}

TASK_TEST(a_late_answer_is_waited_for_and_a_lost_one_asked_for_again)
{
    SERVED(server, COSY_MS(5), 6);
    ck_assert_int_eq(look_up("late.test"), 0);
    ck_assert_int_gt(server.asked, 2);
    dns_end(&server);
    return 0;
}

TASK_TEST(many_at_once)
{
    enum { NAMES = 100 }; /* two packets each, which a socket's buffer has room for */
    SERVED(server, 0, 0);
    cosy_task *tasks[NAMES];
    char names[NAMES][24];
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof names[i], i % 3 ? "one.n%d.test" : "none.n%d.test", i);
        tasks[i] = cosy_create_task(look_up, names[i]);
    }
    for (int i = 0; i < NAMES; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), i % 3 ? 0 : -COSY_ENONAME);
        cosy_task_drop(tasks[i]);
    }
    dns_end(&server);
    return 0;
}

/* Without a thread there is nothing to wait for; and with nobody waiting, no socket and no timer. */
TASK_TEST(a_cancelled_look_up_leaves_nothing_and_disturbs_nobody)
{
    SERVED(server, 0, 0);
    struct cosy_loop_stats before, after;
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0); /* its tasks wait now */
    cosy_loop_get_stats(loop_now(), &before);
    int fds = open_descriptors();
    cosy_scoped(cosy_task) never = cosy_create_task(look_up, "never.test");
    cosy_scoped(cosy_task) late = cosy_create_task(look_up, "late.test");
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    cosy_task_cancel(never);
    ck_assert_int_eq(cosy_await(never), -ECANCELED);
    ck_assert_int_eq(cosy_await(late), 0);
    ck_assert_int_eq(cosy_wait_for(cosy_call(look_up, "never.test"), COSY_MS(5)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    cosy_loop_get_stats(loop_now(), &after);
    ck_assert_uint_eq(after.watchers, before.watchers);
    ck_assert_uint_eq(after.timers, before.timers);
    ck_assert_int_eq(open_descriptors(), fds);
    dns_end(&server);
    return 0;
}

TASK_TEST(limits_of_any_length_lose_nothing)
{
    SERVED(server, 0, 0);
    for (int i = 0; i < 60; i++) {
        int result = cosy_wait_for(cosy_call(look_up, i % 2 ? "one.test" : "big.test"), COSY_US(i * 20));
        ck_assert_msg(result == 0 || result == -ETIMEDOUT, "%s", cosy_errname(result));
    }
    dns_end(&server);
    return 0;
}

TASK_TEST(a_program_that_ends_meanwhile_leaves_nothing)
{
    SERVED(server, 0, 0);
    cosy_spawn(look_up, "never.test");
    ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    dns_end(&server);
    return 0; /* and run_body counts */
}

START_TEST(a_loop_that_is_closed_by_hand_ends_c_ares)
{
    begin_test();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    if (COSY_HAVE_LIBCARES && strcmp(cosy_loop_backend_name(loop), "sim") != 0) {
        setenv("COSY_RESOLVER", "ares", 1);
        cosy_task *task = cosy_create_task_with((.loop = loop), look_up, "never.invalid.test");
        cosy_loop_run_once(loop, 0);
        cosy_task_drop(task);
        unsetenv("COSY_RESOLVER");
    }
    cosy_loop_free(loop);
}
END_TEST

TASK_TEST(the_environment_chooses_and_the_program_overrules_it)
{
    if (!can_ask())
        return 0;
    ck_assert_str_eq(cosy_resolver_name(), "system");
    setenv("COSY_RESOLVER", "ares", 1);
    ck_assert_str_eq(cosy_resolver_name(), "ares");
    ck_assert_int_eq(look_up("localhost"), 0);
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM), 0);
    ck_assert_str_eq(cosy_resolver_name(), "system");
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_AUTO), 0);
    ck_assert_str_eq(cosy_resolver_name(), "ares");
    setenv("COSY_RESOLVER", "bind", 1);
    ck_assert_int_eq(look_up("localhost"), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL), "COSY_RESOLVER names no resolver: 'bind'; it may be system or ares");
    ck_assert_str_eq(cosy_resolver_name(), "none");
    ck_assert_int_eq(look_up("127.0.0.1"), 0);
    unsetenv("COSY_RESOLVER");
    return 0;
}

TASK_TEST(bad_choices_are_refused)
{
    ck_assert_int_eq(cosy_set_resolver((enum cosy_resolver)7), -EINVAL);
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM, .tries = -1), -EINVAL);
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM, .timeout = -1), -EINVAL);
    if (!COSY_HAVE_LIBCARES) {
        ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_ARES), -ENOTSUP);
        ck_assert_str_eq(cosy_error_message(-ENOTSUP),
                         "names cannot be looked up by c-ares: cosy was built without it (COSY_WITH_LIBCARES)");
        return 0;
    }
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_ARES, .servers = "my server"), -EINVAL);
    ck_assert_str_eq(cosy_error_message(-EINVAL),
                     "'my server' is no list of name servers such as 192.0.2.53,[2001:db8::53]:5353");
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_ARES, .servers = ""), -EINVAL);
    if (!simulated()) {
        struct dns_server server;
        dns_begin(&server, 0, 0);
        cosy_scoped(cosy_task) late = cosy_create_task(look_up, "late.test");
        ck_assert_int_eq(cosy_yield(), 0);
        ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM), -EBUSY);
        ck_assert_str_eq(cosy_error_message(-EBUSY), "the resolver cannot be changed while 1 look-ups wait for c-ares");
        ck_assert_int_eq(cosy_await(late), 0);
        ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM), 0);
        dns_end(&server);
    }
    return 0;
}

START_TEST(without_a_loop_nothing_is_chosen)
{
    begin_test();
    ck_assert_int_eq(cosy_set_resolver(COSY_RESOLVER_SYSTEM), -COSY_ENOLOOP);
    ck_assert_str_eq(cosy_resolver_name(), "none");
}
END_TEST

TASK_TEST(addresses_have_names)
{
    SERVED(server, COSY_MS(20), 1);
    char *host, *service;
    struct cosy_address address = ip("192.0.2.7", 80), unknown = ip("192.0.2.8", 12345);
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, &service, NI_NUMERICSERV), 0);
    ck_assert_str_eq(host, "host.test");
    ck_assert_str_eq(service, "80");
    free(host);
    free(service);
    ck_assert_int_eq(cosy_getnameinfo(&unknown, &host, &service, 0), 0);
    ck_assert_str_eq(host, "192.0.2.8");
    ck_assert_str_eq(service, "12345");
    free(host);
    free(service);
    ck_assert_int_eq(cosy_getnameinfo(&unknown, &host, NULL, NI_NAMEREQD), -COSY_ENONAME);
    ck_assert_ptr_null(host);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up 192.0.2.8:12345: Domain name not found");
    dns_end(&server);
    return 0;
}

TASK_TEST(slow_look_ups_are_logged_in_debug_mode)
{
    SERVED(server, 0, 0);
    cosy_loop_set_debug(loop_now(), true);
    cosy_loop_set_slow_callback_duration(loop_now(), COSY_MS(15));
    ck_assert_int_eq(look_up("late.test"), 0);
    cosy_loop_set_debug(loop_now(), false);
    logs("looking up late.test took ");
    dns_end(&server);
    return 0;
}

TASK_TEST(connections_are_opened_by_it)
{
    SERVED(server, COSY_MS(20), 1);
    unsigned port;
    cosy_stream *stream;
    int listener = listen_on("127.0.0.1", &port);
    ck_assert_int_eq(cosy_open_connection("localhost", port, &stream, .family = AF_INET), 0);
    cosy_stream_close(stream);
    ck_assert_int_eq(cosy_open_connection("none.test", port, &stream), -COSY_ENONAME);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-COSY_ENONAME), "looking up none.test: Domain name not found"));
    close_fd(listener);
    dns_end(&server);
    return 0;
}

/* ---- without memory: the server is a thread, so that it is not what fails ---- */

static struct dns_thread threaded;

cosy_async static int look_up_several(void)
{
    struct cosy_address address = {.ip4 = {.sin_family = AF_INET, .sin_port = htons(80)}, .size = sizeof address.ip4};
    cosy_scoped(cosy_address_list) list = NULL;
    address.ip4.sin_addr.s_addr = htonl(0xc0000207);
    cosy_try(cosy_set_resolver(COSY_RESOLVER_ARES, .servers = threaded.servers));
    cosy_try(cosy_getaddrinfo("one.test", "80", &list, .flags = AI_CANONNAME));
    cosy_try(look_up("localhost"));
    char *host = NULL, *service = NULL;
    int result = cosy_getnameinfo(&address, &host, &service, 0);
    free(host);
    free(service);
    return result;
}

static int run_look_ups(void)
{
    return cosy_run(look_up_several);
}

START_TEST(without_memory_look_ups_fail_and_leave_nothing)
{
    const char *backend = getenv("COSY_BACKEND");
    begin_test();
    if (!COSY_HAVE_LIBCARES || (backend && strcmp(backend, "sim") == 0))
        return;
    dns_begin_thread(&threaded);
    starve(run_look_ups);
    dns_end_thread(&threaded);
}
END_TEST

TESTS_MAIN("dns_ares", names_have_addresses_of_both_families, aliases_lead_to_the_canonical_name,
           this_machine_and_numbers_ask_no_server, errors_are_the_systems_with_the_name_and_the_words_of_c_ares,
           a_dead_server_is_told, what_does_not_fit_comes_by_tcp, bad_answers_are_not_believed,
           a_late_answer_is_waited_for_and_a_lost_one_asked_for_again, many_at_once,
           a_cancelled_look_up_leaves_nothing_and_disturbs_nobody, limits_of_any_length_lose_nothing,
           a_program_that_ends_meanwhile_leaves_nothing, a_loop_that_is_closed_by_hand_ends_c_ares,
           the_environment_chooses_and_the_program_overrules_it, bad_choices_are_refused,
           without_a_loop_nothing_is_chosen, addresses_have_names, slow_look_ups_are_logged_in_debug_mode,
           connections_are_opened_by_it, without_memory_look_ups_fail_and_leave_nothing)
