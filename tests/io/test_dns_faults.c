/* test_dns_faults.c - look-ups when memory, system calls and patience run out: by threads, by c-ares and on the
 * simulated network, with the cache and without. An error each time, and nothing left behind. */
#include "dns_server.h"

#include <limits.h>

#include "sys/sim/network.h"

static struct dns_thread server;

/* ---- what is asked, for all that follows ---- */

cosy_async static int look_up(const char *host)
{
    cosy_scoped(cosy_address_list) list = NULL;
    return cosy_getaddrinfo(host, "80", &list, .flags = simulated() ? 0 : AI_CANONNAME);
}

cosy_async static int use_names(const char *host, struct cosy_address address)
{
    char *name = NULL, *service = NULL;
    cosy_try(cosy_set_dns_cache());
    cosy_try(cosy_gather(cosy_call(look_up, host), cosy_call(look_up, host)));
    cosy_try(look_up(host));
    cosy_dns_cache_off();
    cosy_try(look_up(host));
    int result = cosy_getnameinfo(&address, &name, &service, NI_NUMERICSERV);
    free(name);
    free(service);
    return result;
}

cosy_async static int use_threads(void)
{
    cosy_try(cosy_set_resolver(COSY_RESOLVER_SYSTEM));
    return use_names("localhost", ip("127.0.0.1", 80));
}

cosy_async static int use_ares(void)
{
    cosy_try(cosy_set_resolver(COSY_RESOLVER_ARES, .servers = server.servers));
    return use_names("one.test", ip("192.0.2.7", 80));
}

cosy_async static int use_simulation(void)
{
    struct cosy_sim_host host = {.name = "one.test", .address = "192.0.2.1", .lookup_delay = COSY_MS(5)};
    cosy_try(cosy_sim_add_host(kernel(), &host));
    return use_names("one.test", ip("192.0.2.7", 80));
}

static int (*uses[2])(void);
static int use_count;

static void begin(void)
{
    const char *backend = getenv("COSY_BACKEND");
    begin_test();
    use_count = 0;
    if (backend && strcmp(backend, "sim") == 0)
        uses[use_count++] = use_simulation;
    else {
        dns_begin_thread(&server);
        uses[use_count++] = use_threads;
        if (COSY_HAVE_LIBCARES)
            uses[use_count++] = use_ares;
    }
}

static void end(void)
{
    if (uses[0] != use_simulation)
        dns_end_thread(&server);
}

/* Every third where each costs thirty times as much. */
static long step(void)
{
    return under_valgrind() ? 3 : 1;
}

/* A thread that was left behind in the resolver may have files open for a while. */
static void check_descriptors(int expected)
{
    for (int i = 0; i < 5000 && open_descriptors() != expected; i++)
        usleep(1000);
    ck_assert_int_eq(open_descriptors(), expected);
}

/* ---- memory ---- */

cosy_async static int without_allocation(int use, long n, long *ret_counted)
{
    int result = uses[use](); /* what is made once is there */
    if (result < 0)
        return -EIO;
    cosy_heap_fail_nth(n, false);
    result = uses[use]();
    *ret_counted = cosy_heap_counted();
    cosy_heap_fail_nth(0, false);
    int again = uses[use](); /* and nothing is spoilt for those who come next */
    return again < 0 ? -EIO : result;
}

START_TEST(each_allocation_fails)
{
    begin();
    for (int use = 0; use < use_count; use++) {
        int descriptors = open_descriptors(), failures = 0;
        for (long n = 1, counted = LONG_MAX; counted >= n - step(); n += step()) {
            int result = cosy_run(without_allocation, use, n, &counted);
            ck_assert_msg(result == 0 || result == -ENOMEM, "use %d, allocation %ld: %s", use, n, cosy_errname(result));
            failures += result < 0;
            check_descriptors(descriptors);
            ck_assert_int_lt(n, 500);
        }
        ck_assert_int_ge(failures, 10 / step());
    }
    logged[0] = 0;
    end();
}
END_TEST

/* ---- system calls ---- */

cosy_async static int with_fault(int use, long n, int error, long *ret_counted)
{
    int result = uses[use]();
    if (result < 0)
        return -EIO;
    cosy_sys_fail_nth(n, error);
    result = uses[use]();
    *ret_counted = cosy_sys_counted();
    cosy_sys_fail_nth(0, 0);
    int again = uses[use]();
    return again < 0 ? -EIO : result;
}

/* Where the loop's own waiting fails, the run ends with that. */
static void each_call_fails_with(int error)
{
    begin();
    for (int use = 0; use < use_count; use++) {
        int descriptors = open_descriptors(), failures = 0;
        for (long n = 1, counted = LONG_MAX; counted >= n - step(); n += step()) {
            counted = LONG_MAX;
            int result = cosy_run(with_fault, use, n, error, &counted);
            cosy_sys_fail_nth(0, 0);
            ck_assert_msg(result == 0 || result == -error, "use %d, call %ld: %s", use, n, cosy_errname(result));
            failures += result < 0;
            check_descriptors(descriptors);
            ck_assert_int_lt(n, 500);
        }
        bool few =
            uses[use] == use_threads || error == EINTR || under_valgrind(); /* threads need none, but for wakes */
        ck_assert_int_ge(failures, few ? 0 : 1);
    }
    logged[0] = 0;
    end();
}

START_TEST(each_system_call_fails)
{
    each_call_fails_with(EDQUOT);
}
END_TEST

START_TEST(each_system_call_is_interrupted)
{
    each_call_fails_with(EINTR);
}
END_TEST

/* ---- cancels ---- */

/* The use is cancelled at its n-th turn of the loop. */
cosy_async static int cancel_at_each_turn(int use)
{
    int cancelled = 0;
    ck_assert_int_eq(uses[use](), 0);
    int descriptors = open_descriptors();
    for (int turns = 0; turns < 60; turns += (int)step()) {
        cosy_scoped(cosy_task) task = cosy_create_task(uses[use]);
        let_all_run(turns);
        cosy_task_cancel(task);
        int result = cosy_await(task);
        ck_assert_msg(result == 0 || result == -ECANCELED, "use %d, turn %d: %s", use, turns, cosy_errname(result));
        cancelled += result == -ECANCELED;
        check_descriptors(descriptors);
        ck_assert_int_eq(uses[use](), 0);
    }
    ck_assert_int_gt(cancelled, 0);
    return 0;
}

START_TEST(a_cancel_comes_at_any_moment)
{
    begin();
    for (int use = 0; use < use_count; use++)
        ck_assert_int_eq(cosy_run(cancel_at_each_turn, use), 0);
    end();
}
END_TEST

TESTS_MAIN("dns_faults", each_allocation_fails, each_system_call_fails, each_system_call_is_interrupted,
           a_cancel_comes_at_any_moment)
