/* test_dns.c - names and numbers: the resolver in its threads, which here is one that the tests can hold and turn, and
 * what needs no thread. */
#include "net_test.h"

#include <dlfcn.h>
#include <netdb.h>

#include "sys/sim/network.h"

/* ---- the C library's resolver, for names that end in ".test": none of them is asked for outside ---- */

static struct gate gate; /* of "held.test" */
static atomic_int asked;

static int add(const char *address, const char *service, struct addrinfo **list)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *one = NULL, **end = list;
    int (*numeric)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
                                                                                                "getaddrinfo");
    int result = numeric(address, service, &hints, &one);
    while (*end)
        end = &(*end)->ai_next;
    *end = one;
    return result;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT,
                                                                                                "getaddrinfo");
    asked++;
    if (!host || !strstr(host, ".test"))
        return real(host, service, hints, ret_list);
    *ret_list = NULL;
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "system.test") == 0) {
        errno = ENETDOWN;
        return EAI_SYSTEM;
    }
    if (strcmp(host, "held.test") == 0)
        pass_gate(&gate, 0);
    if (strcmp(host, "slow.test") == 0)
        usleep(20000);
    int result = add("192.0.2.7", service, ret_list);
    return result ? result : add("2001:db8::7", service, ret_list);
}

/* On the simulated network names are its own, and no thread is asked. */
static bool threads_answer(void)
{
    return !kernel()->net->look_up;
}

static const char *text_of(const cosy_address_list *list)
{
    static char all[1024];
    char text[COSY_ADDRESS_TEXT];
    all[0] = 0;
    for (size_t i = 0; list && i < list->count; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s/%d/%d", used ? " " : "",
                 cosy_address_text(&list->items[i].address, text), list->items[i].type, list->items[i].protocol);
    }
    return all;
}

/* ---- numbers ---- */

/* What the C library says to the same question, as text_of; "" is an error. */
static const char *library_says(const char *host, const char *service, const struct addrinfo *hints)
{
    struct addrinfo *infos = NULL;
    size_t count = 0;
    if (getaddrinfo(host, service, hints, &infos))
        return "";
    for (struct addrinfo *info = infos; info; info = info->ai_next)
        count++;
    cosy_address_list *list = malloc(sizeof *list + count * sizeof list->items[0]);
    *list = (cosy_address_list){.items = (struct cosy_address_info *)(void *)(list + 1)};
    for (struct addrinfo *info = infos; info; info = info->ai_next) {
        struct cosy_address_info *item = &list->items[list->count++];
        *item = (struct cosy_address_info){.type = info->ai_socktype, .protocol = info->ai_protocol};
        item->address.size = info->ai_addrlen;
        memcpy(&item->address.any, info->ai_addr, info->ai_addrlen);
    }
    freeaddrinfo(infos);
    const char *text = text_of(list);
    free(list);
    return text;
}

static void compare(const char *host, const char *service, const struct addrinfo *hints)
{
    cosy_address_list *list;
    char expected[1024];
    snprintf(expected, sizeof expected, "%s", library_says(host, service, hints));
    int result = cosy_getaddrinfo(host, service, &list, .family = hints->ai_family, .type = hints->ai_socktype,
                                  .protocol = hints->ai_protocol, .flags = hints->ai_flags);
    ck_assert_msg((result == 0) == (expected[0] != 0) && strcmp(text_of(list), expected) == 0,
                  "%s, %s, family %d, type %d, protocol %d, flags %d: %s, not %s", host, service ? service : "NULL",
                  hints->ai_family, hints->ai_socktype, hints->ai_protocol, hints->ai_flags,
                  result ? cosy_errname(result) : text_of(list), expected[0] ? expected : "an error");
    ck_assert_int_eq(result == 0, list != NULL);
    cosy_address_list_free(list);
}

static const char *const hosts[] = {"192.0.2.1",  "0.0.0.0",        "::1",    "2001:db8::1", "::ffff:192.0.2.1",
                                    "fe80::1%lo", "fe80::1%1",      "::1%lo", "::1%7",       "ff02::1%lo",
                                    "fe80::1%0",  "fe80::1%nozone", "127.1",  "0x7f000001",  "192.0.2.256"};
static const char *const services[] = {NULL, "", "0", "80", "65535", "0080", "http"};
static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6}, types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW},
                 protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP},
                 flags[] = {AI_NUMERICHOST, AI_NUMERICHOST | AI_PASSIVE | AI_NUMERICSERV};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One of an array, and the number without what was used up to choose it. */
static size_t take(size_t *number, size_t count)
{
    size_t index = *number % count;
    *number /= count;
    return index;
}

TASK_TEST(numbers_give_what_the_library_gives)
{
    size_t all = COUNT(hosts) * COUNT(services) * COUNT(families) * COUNT(types) * COUNT(protocols) * COUNT(flags);
    for (size_t i = 0; i < all && threads_answer(); i++) { /* elsewhere what is no plain number is not the library's */
        size_t rest = i;
        const char *host = hosts[take(&rest, COUNT(hosts))], *service = services[take(&rest, COUNT(services))];
        struct addrinfo hints = {.ai_family = families[take(&rest, COUNT(families))]};
        hints.ai_socktype = types[take(&rest, COUNT(types))];
        hints.ai_protocol = protocols[take(&rest, COUNT(protocols))];
        hints.ai_flags = flags[take(&rest, COUNT(flags))];
        compare(host, service, &hints);
    }
    return 0;
}

TASK_TEST(plain_numbers_ask_nobody)
{
    cosy_address_list *list;
    int threads = entries("/proc/self/task");
    asked = 0;
    ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "80", &list, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "192.0.2.1:80/1/6");
    ck_assert_ptr_null(list->canonical_name);
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("fe80::1%lo", NULL, &list, .type = SOCK_DGRAM, .flags = AI_NUMERICSERV), 0);
    ck_assert_str_eq(text_of(list), "[fe80::1%lo]:0/2/17");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("::1", "1", &list), 0);
    ck_assert_str_eq(text_of(list), "[::1]:1/1/6 [::1]:1/2/17 [::1]:1/3/0");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "", &list, .type = SOCK_STREAM),
                     0); /* as the C library: no service */
    ck_assert_str_eq(text_of(list), "192.0.2.1:0/1/6");
    cosy_address_list_free(list);
    ck_assert_int_eq(asked, 0);
    ck_assert_int_eq(entries("/proc/self/task"), threads);
    return 0;
}

/* ---- names ---- */

TASK_TEST(a_name_has_several_addresses)
{
    cosy_scoped(cosy_address_list) list = NULL;
    if (!threads_answer())
        return 0;
    ck_assert_int_eq(cosy_getaddrinfo("many.test", "443", &list, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "192.0.2.7:443/1/6 [2001:db8::7]:443/1/6");
    return 0;
}

TASK_TEST(no_host_is_this_machine)
{
    cosy_address_list *list;
    ck_assert_int_eq(cosy_getaddrinfo(NULL, "80", &list, .family = AF_INET, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "127.0.0.1:80/1/6");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo(NULL, "80", &list, .family = AF_INET6, .type = SOCK_STREAM, .flags = AI_PASSIVE),
                     0);
    ck_assert_str_eq(text_of(list), "[::]:80/1/6");
    cosy_address_list_free(list);
    return 0;
}

/* Small systems have no /etc/services. */
static bool http_is_known(void)
{
    return getservbyname("http", "tcp") != NULL;
}

TASK_TEST(services_have_names)
{
    cosy_address_list *list;
    if (http_is_known()) {
        ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "http", &list, .type = SOCK_STREAM), 0);
        ck_assert_str_eq(text_of(list), "192.0.2.1:80/1/6");
        cosy_address_list_free(list);
    } else
        ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "http", &list, .type = SOCK_STREAM), -COSY_ENONAME);
    ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "no-such-service", &list, .type = SOCK_STREAM), -COSY_ENONAME);
    ck_assert_ptr_null(list);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME),
                     "looking up 192.0.2.1, service no-such-service: Servname not supported for ai_socktype");
    ck_assert_int_eq(cosy_getaddrinfo("", "80", &list, .type = SOCK_STREAM), -COSY_ENONAME);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up an empty name: Name or service not known");
    return 0;
}

TASK_TEST(a_canonical_name_is_part_of_the_list)
{
    cosy_address_list *list;
    if (!threads_answer())
        return 0;
    ck_assert_int_eq(cosy_getaddrinfo("192.0.2.1", "80", &list, .type = SOCK_STREAM, .flags = AI_CANONNAME), 0);
    ck_assert_str_eq(list->canonical_name, "192.0.2.1");
    ck_assert_str_eq(text_of(list), "192.0.2.1:80/1/6");
    cosy_address_list_free(list);
    return 0;
}

TASK_TEST(errors_tell_the_name_and_the_reason)
{
    cosy_address_list *list;
    if (!threads_answer())
        return 0;
    ck_assert_int_eq(cosy_getaddrinfo("none.test", "80", &list), -COSY_ENONAME);
    ck_assert_ptr_null(list);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Name or service not known");
    ck_assert_int_eq(cosy_getaddrinfo("again.test", "80", &list), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "looking up again.test: Temporary failure in name resolution");
    ck_assert_int_eq(cosy_getaddrinfo("system.test", "80", &list), -ENETDOWN);
    ck_assert_str_eq(cosy_error_message(-ENETDOWN), "looking up system.test: Network is down");
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", &list, .family = AF_INET), -COSY_ENONAME);
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", &list, .family = 12345), -EAFNOSUPPORT);
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", &list, .type = 12345), -ESOCKTNOSUPPORT);
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", &list, .flags = 1 << 30), -EINVAL);
    ck_assert_int_eq(cosy_getaddrinfo(NULL, NULL, &list), -COSY_ENONAME);
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", (cosy_address_list **)NULL), -EINVAL);
    return 0;
}

cosy_async static int look_up(const char *host)
{
    cosy_scoped(cosy_address_list) list = NULL;
    return cosy_getaddrinfo(host, "80", &list, .type = SOCK_STREAM);
}

TASK_TEST(the_loop_goes_on_meanwhile)
{
    if (!threads_answer())
        return 0;
    gate_init(&gate);
    cosy_scoped(cosy_task) held = cosy_create_task(look_up, "held.test");
    until_posted(&gate.running);
    ck_assert_int_eq(look_up("many.test"), 0); /* another thread */
    ck_assert(!cosy_task_done(held));
    sem_post(&gate.open);
    ck_assert_int_eq(cosy_await(held), 0);
    return 0;
}

/* The thread is still in the resolver when its asker has gone; its answer is nobody's. */
TASK_TEST(a_cancelled_look_up_is_left_behind)
{
    if (!threads_answer())
        return 0;
    gate_init(&gate);
    cosy_scoped(cosy_task) held = cosy_create_task(look_up, "held.test");
    until_posted(&gate.running);
    cosy_task_cancel(held);
    ck_assert_int_eq(cosy_await(held), -ECANCELED);
    ck_assert_int_eq(gate.ended, 0);
    sem_post(&gate.open);
    while (!gate.ended)
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    return 0;
}

cosy_async static int leave_one_behind(void)
{
    if (!threads_answer())
        return 1;
    gate_init(&gate);
    cosy_scoped(cosy_task) held = cosy_create_task(look_up, "held.test");
    until_posted(&gate.running);
    cosy_task_cancel(held);
    return cosy_await(held) == -ECANCELED ? 0 : -EINVAL;
}

/* asyncio would wait for the thread for 300 seconds. */
START_TEST(a_stuck_resolver_holds_the_end_up_for_half_a_second)
{
    begin_test();
    cosy_ns began = cosy_sys_real_clock();
    int result = cosy_run(leave_one_behind);
    if (result == 1)
        return;
    ck_assert_int_eq(result, 0);
    cosy_ns took = cosy_sys_real_clock() - began;
    ck_assert_int_ge(took, COSY_MS(500));
    ck_assert_int_lt(took, COSY_S(10));
    ck_assert_int_eq(gate.ended, 0);
    logs("executor 'dns' is shut down, but its job ask_resolver");
    sem_post(&gate.open);
    while (!gate.ended)
        usleep(100);
}
END_TEST

TASK_TEST(look_ups_have_limits_in_time)
{
    if (!threads_answer())
        return 0;
    gate_init(&gate);
    ck_assert_int_eq(cosy_wait_for(cosy_call(look_up, "held.test"), COSY_MS(5)), -ETIMEDOUT);
    sem_post(&gate.open);
    return 0;
}

TASK_TEST(look_ups_that_have_not_begun_never_begin)
{
    enum { THREADS = 4, MORE = 8 };
    cosy_task *tasks[THREADS + MORE];
    if (!threads_answer())
        return 0;
    gate_init(&gate);
    for (int i = 0; i < THREADS + MORE; i++)
        tasks[i] = cosy_create_task(look_up, "held.test");
    for (int i = 0; i < THREADS; i++)
        until_posted(&gate.running);
    for (int i = 0; i < THREADS + MORE; i++)
        cosy_task_cancel(tasks[i]);
    for (int i = 0; i < THREADS + MORE; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), -ECANCELED);
        cosy_task_drop(tasks[i]);
    }
    for (int i = 0; i < THREADS; i++)
        sem_post(&gate.open);
    while (gate.ended < THREADS)
        ck_assert_int_eq(cosy_sleep(COSY_MS(1)), 0);
    ck_assert_int_eq(look_up("many.test"), 0);
    ck_assert_int_eq(gate.ended, THREADS);
    return 0;
}

static int seven(void)
{
    return 7;
}

/* Four threads at most, and none of the program's or of the library's other pools. */
TASK_TEST(stuck_resolvers_hold_up_names_alone)
{
    enum { THREADS = 4, ALL = 6 };
    cosy_task *tasks[ALL];
    if (!threads_answer())
        return 0;
    gate_init(&gate);
    for (int i = 0; i < ALL; i++)
        tasks[i] = cosy_create_task(look_up, "held.test");
    for (int i = 0; i < THREADS; i++)
        until_posted(&gate.running);
    ck_assert_int_eq(cosy_to_thread(seven), 7);
    ck_assert_int_eq(cosy_sleep(COSY_MS(2)), 0);
    ck_assert_int_lt(sem_trywait(&gate.running), 0);
    for (int i = 0; i < ALL; i++)
        sem_post(&gate.open);
    for (int i = 0; i < ALL; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), 0);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

/* What the fake resolver has, on the simulated network. */
static int know_in_simulation(const char *host, cosy_ns delay, int error)
{
    struct cosy_sim_host one = {.name = host, .address = "192.0.2.7", .lookup_delay = delay, .lookup_error = error};
    struct cosy_sim_host other = {.name = host, .address = "2001:db8::7", .lookup_delay = delay, .lookup_error = error};
    int result = cosy_sim_add_host(kernel(), &one);
    return result ? result : cosy_sim_add_host(kernel(), &other);
}

cosy_async static int look_up_twice(void)
{
    if (!threads_answer())
        cosy_try(know_in_simulation("many.test", COSY_MS(5), 0));
    cosy_try(look_up("many.test"));
    cosy_try(look_up("localhost"));
    char *host = NULL;
    struct cosy_address address = ip("127.0.0.1", 80);
    int result = cosy_getnameinfo(&address, &host, NULL, 0);
    free(host);
    return result;
}

static int run_look_ups(void)
{
    return cosy_run(look_up_twice);
}

START_TEST(without_memory_look_ups_fail_and_leave_nothing)
{
    starve(run_look_ups);
}
END_TEST

START_TEST(cancelled_at_any_wait_nothing_is_left)
{
    begin_test();
    int rounds = cosy_test_explore((.seeds = 5, .cancel_each_wait = true), look_up_twice);
    ck_assert_msg(rounds >= 5, "%s", logged);
}
END_TEST

static int occurrences_in_log(const char *part)
{
    int count = 0;
    for (const char *at = logged; (at = strstr(at, part)); at++)
        count++;
    return count;
}

/* With threads: wherever the cancel comes, the answer or the question is somebody's. */
TASK_TEST(limits_of_any_length_lose_nothing)
{
    if (!threads_answer())
        return 0;
    for (int i = 0; i < 100; i++) {
        int result = cosy_wait_for(cosy_call(look_up, "many.test"), COSY_US(i * 3));
        ck_assert_msg(result == 0 || result == -ETIMEDOUT, "%s", cosy_errname(result));
    }
    return 0;
}

TASK_TEST(simulated_names_take_their_time)
{
    cosy_address_list *list;
    if (threads_answer())
        return 0;
    cosy_ns began = now();
    ck_assert_int_eq(know_in_simulation("many.test", COSY_MS(30), 0), 0);
    ck_assert_int_eq(cosy_getaddrinfo("many.test", "443", &list, .type = SOCK_STREAM), 0);
    ck_assert_str_eq(text_of(list), "192.0.2.7:443/1/6 [2001:db8::7]:443/1/6");
    ck_assert_int_eq(now() - began, COSY_MS(30));
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_getaddrinfo("many.test", "https", &list, .family = AF_INET6, .type = SOCK_DGRAM),
                     http_is_known() ? 0 : -COSY_ENONAME);
    if (list)
        ck_assert_str_eq(text_of(list), "[2001:db8::7]:443/2/17");
    cosy_address_list_free(list);
    ck_assert_int_eq(cosy_wait_for(cosy_call(look_up, "many.test"), COSY_MS(29)), -ETIMEDOUT);
    ck_assert_int_eq(cosy_getaddrinfo("many.test", "443", &list, .flags = AI_NUMERICHOST), -COSY_ENONAME);
    return 0;
}

TASK_TEST(simulated_names_fail_as_real_ones)
{
    cosy_address_list *list;
    if (threads_answer())
        return 0;
    ck_assert_int_eq(know_in_simulation("again.test", COSY_S(5), -ETIMEDOUT), 0);
    ck_assert_int_eq(know_in_simulation("system.test", 0, -ENETDOWN), 0);
    ck_assert_int_eq(cosy_getaddrinfo("none.test", "80", &list), -COSY_ENONAME);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up none.test: Name or service not known");
    ck_assert_int_eq(cosy_getaddrinfo("again.test", "80", &list), -ETIMEDOUT);
    ck_assert_str_eq(cosy_error_message(-ETIMEDOUT), "looking up again.test: Temporary failure in name resolution");
    ck_assert_int_eq(cosy_getaddrinfo("system.test", "80", &list), -ENETDOWN);
    ck_assert_str_eq(cosy_error_message(-ENETDOWN), "looking up system.test: Network is down");
    cosy_loop_set_debug(loop_now(), true);
    ck_assert_int_eq(look_up("again.test"), -ETIMEDOUT);
    cosy_loop_set_debug(loop_now(), false);
    ck_assert_int_eq(occurrences_in_log("looking up again.test took 5.000 s"), 1);
    logged[0] = 0;
    return 0;
}

TASK_TEST(slow_look_ups_are_logged_in_debug_mode)
{
    if (!threads_answer())
        return 0;
    cosy_loop_set_slow_callback_duration(loop_now(), COSY_MS(20));
    ck_assert_int_eq(look_up("slow.test"), 0);
    cosy_loop_set_debug(loop_now(), true);
    ck_assert_int_eq(look_up("slow.test"), 0);
    cosy_loop_set_slow_callback_duration(loop_now(), COSY_S(1000));
    ck_assert_int_eq(look_up("slow.test"), 0);
    cosy_loop_set_debug(loop_now(), false);
    ck_assert_int_eq(occurrences_in_log("looking up slow.test took "), 1);
    logged[0] = 0;
    return 0;
}

START_TEST(outside_a_task_it_is_told)
{
    cosy_address_list *list;
    char *host;
    struct cosy_address address = ip("127.0.0.1", 80);
    begin_test();
    ck_assert_int_eq(cosy_getaddrinfo("::1", "80", &list), -COSY_ENOTASK);
    logs("cosy_getaddrinfo was called outside a task");
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, NULL, 0), -COSY_ENOTASK);
    logs("cosy_getnameinfo was called outside a task");
}
END_TEST

/* ---- the other way ---- */

TASK_TEST(addresses_have_names)
{
    char *host, *service;
    struct cosy_address address = ip("127.0.0.1", 80);
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, &service, NI_NUMERICHOST | NI_NUMERICSERV), 0);
    ck_assert_str_eq(host, "127.0.0.1");
    ck_assert_str_eq(service, "80");
    free(host);
    free(service);
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, &service, 0), 0);
    ck_assert_str_eq(service, http_is_known() ? "http" : "80");
    if (threads_answer())
        ck_assert_str_eq(host, "localhost");
    free(host);
    free(service);
    ck_assert_int_eq(cosy_getnameinfo(&address, NULL, &service, NI_NUMERICHOST), 0);
    ck_assert_str_eq(service, http_is_known() ? "http" : "80");
    free(service);
    ck_assert_int_eq(cosy_getnameinfo(&address, NULL, NULL, 0), 0);
    return 0;
}

TASK_TEST(names_of_addresses_fail_with_a_reason)
{
    char *host = NULL, *service = NULL;
    struct cosy_address address = ip("127.0.0.1", 80);
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, &service, NI_NUMERICHOST | NI_NUMERICSERV | NI_NAMEREQD),
                     -COSY_ENONAME);
    ck_assert_ptr_null(host);
    ck_assert_ptr_null(service);
    ck_assert_str_eq(cosy_error_message(-COSY_ENONAME), "looking up 127.0.0.1:80: Name or service not known");
    ck_assert_int_eq(cosy_address_unix(&address, "/x"), 0);
    ck_assert_int_eq(cosy_getnameinfo(&address, &host, &service, 0), -EAFNOSUPPORT);
    ck_assert_str_eq(cosy_error_message(-EAFNOSUPPORT), "looking up /x: ai_family not supported");
    ck_assert_int_eq(cosy_getnameinfo(NULL, &host, &service, 0), -EINVAL);
    return 0;
}

TESTS_MAIN("dns", numbers_give_what_the_library_gives, plain_numbers_ask_nobody, a_name_has_several_addresses,
           no_host_is_this_machine, services_have_names, a_canonical_name_is_part_of_the_list,
           errors_tell_the_name_and_the_reason, the_loop_goes_on_meanwhile, a_cancelled_look_up_is_left_behind,
           a_stuck_resolver_holds_the_end_up_for_half_a_second, look_ups_have_limits_in_time,
           look_ups_that_have_not_begun_never_begin, stuck_resolvers_hold_up_names_alone,
           without_memory_look_ups_fail_and_leave_nothing, cancelled_at_any_wait_nothing_is_left,
           limits_of_any_length_lose_nothing, simulated_names_take_their_time, simulated_names_fail_as_real_ones,
           slow_look_ups_are_logged_in_debug_mode, outside_a_task_it_is_told, addresses_have_names,
           names_of_addresses_fail_with_a_reason)
