/* Without memory: each allocation in turn, the library's and OpenSSL's, fails. Nothing crashes, leaks or hangs, and
 * nothing passes unprotected. */
#include "tls_test.h"

#include <stdatomic.h>
#include <openssl/crypto.h>

/* ---- OpenSSL's memory, which a test can refuse ---- */

static atomic_long countdown; /* allocations until one fails; 0: none */
static atomic_long live;

static bool is_refused(void)
{
    long left = atomic_load(&countdown);
    if (left == 0)
        return false;
    atomic_store(&countdown, left - 1);
    return left == 1;
}

static void *give(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    void *memory = is_refused() ? NULL : malloc(size);
    atomic_fetch_add(&live, memory != NULL);
    return memory;
}

static void *give_more(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (is_refused())
        return NULL;
    void *memory = realloc(old, size);
    if (!old)
        atomic_fetch_add(&live, memory != NULL);
    return memory;
}

static void take(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_sub(&live, memory != NULL);
    free(memory);
}

static struct world world;

/* ---- contexts ---- */

static int make_context(void)
{
    cosy_tls_context *context;
    int result = cosy_tls_context_new(&context, .ca_pem = world.authority.pem, .certificate_pem = world.server.pem,
                                      .key_pem = world.server.key_pem, .alpn = "h2,http/1.1");
    if (result == 0)
        result = cosy_tls_context_reload(context);
    cosy_tls_context_drop(result == 0 || context ? context : NULL);
    return result;
}

START_TEST(a_context_without_memory)
{
    int made = 0;
    ck_ok(make_context()); /* what OpenSSL keeps for ever */
    for (long nth = 1; made < 3; nth++) {
        ck_assert_int_lt(nth, 200);
        cosy_heap_fail_nth(nth, false);
        int result = make_context();
        bool failed = cosy_heap_counted() >= nth;
        cosy_heap_fail_nth(0, false);
        ck_assert_msg(result == 0 || result == -ENOMEM, "%ld: %s", nth, cosy_errname(result));
        ck_assert(failed || result == 0);
        made += !failed;
    }
}
END_TEST

/* OpenSSL does without some of its memory, and says of some lacks what it likes. */
START_TEST(a_context_without_memory_of_openssls)
{
    int made = 0;
    ck_ok(make_context());
    long before = atomic_load(&live);
    for (long nth = 1; made < 3; nth += under_valgrind() ? 997 : under_tool() ? 331 : 101) {
        ck_assert_int_lt(nth, 100000);
        atomic_store(&countdown, nth);
        int result = make_context();
        bool failed = atomic_load(&countdown) == 0;
        atomic_store(&countdown, 0);
        ck_assert_msg(result == 0 || result == -ENOMEM || result == -COSY_ETLS || result == -EINVAL, "%ld: %s", nth,
                      cosy_errname(result));
        made += !failed;
    }
    ck_assert_int_le(atomic_load(&live), before + 50); /* errors' texts, and the like */
}
END_TEST

/* ---- connections ---- */

struct talk {
    int results[2];
    bool heard;
};

cosy_async static int ask(struct shaking *shaking, struct talk *talk)
{
    char answer[5];
    int result = talk->results[0] = cosy_start_tls(shaking->ends[0], shaking->contexts[0],
                                                   .server_hostname = "example.test", .handshake_timeout = COSY_S(2));
    if (result == 0)
        result = cosy_write(shaking->ends[0], "hello", 5);
    if (result == 0)
        talk->heard = cosy_readexactly(shaking->ends[0], answer, 5) == 5 && memcmp(answer, "hello", 5) == 0;
    (void)cosy_stream_close(shaking->ends[0]);
    return 0;
}

cosy_async static int answer(struct shaking *shaking, struct talk *talk)
{
    char question[5];
    talk->results[1] =
        cosy_start_tls(shaking->ends[1], shaking->contexts[1], .server_side = true, .handshake_timeout = COSY_S(2));
    if (talk->results[1] == 0 && cosy_readexactly(shaking->ends[1], question, 5) == 5)
        (void)cosy_write(shaking->ends[1], question, 5);
    (void)cosy_stream_close(shaking->ends[1]);
    return 0;
}

/* On memory that is refused between these two. */
cosy_async static int talk_without(struct talk *talk, long nth, bool of_openssl)
{
    struct shaking shaking = {.contexts = {world.for_client, world.for_server}};
    ck_ok(cosy_stream_pair(shaking.ends));
    talk->results[0] = talk->results[1] = 1;
    cosy_task *server = cosy_create_task(answer, &shaking, talk), *client = cosy_create_task(ask, &shaking, talk);
    if (of_openssl)
        atomic_store(&countdown, nth);
    else
        cosy_heap_fail_nth(nth, false);
    (void)cosy_await(client);
    (void)cosy_await(server);
    bool failed = of_openssl ? atomic_load(&countdown) == 0 : cosy_heap_counted() >= nth;
    atomic_store(&countdown, 0);
    cosy_heap_fail_nth(0, false);
    for (int side = 0; side < 2; side++)
        if (talk->results[side] == 1) { /* there was no memory for its task */
            talk->results[side] = 0;
            (void)cosy_stream_close(shaking.ends[side]);
        }
    cosy_task_drop(server);
    cosy_task_drop(client);
    return failed;
}

static void check_talk(const struct talk *talk, long nth, bool failed)
{
    ck_assert_msg(failed || talk->heard, "%ld", nth);
    for (int side = 0; side < 2; side++) {
        int result = talk->results[side];
        ck_assert_msg(result <= 0 && result != -EAGAIN, "%ld: %s", nth, cosy_errname(result));
    }
}

START_TEST(a_connection_without_memory)
{
    int done = 0;
    for (long nth = 1; done < 3; nth += under_tool() ? 3 : 1) {
        struct talk talk = {.heard = false};
        ck_assert_int_lt(nth, 2000);
        int failed = cosy_test_run(talk_without, &talk, nth, false);
        ck_assert_int_ge(failed, 0);
        check_talk(&talk, nth, failed);
        done += !failed;
    }
}
END_TEST

START_TEST(a_connection_without_memory_of_openssls)
{
    int done = 0;
    struct talk first = {.heard = false};
    ck_ok(cosy_test_run(talk_without, &first, 0L, true) - 1); /* none is refused: the countdown is 0 at once */
    ck_assert(first.heard);
    long before = atomic_load(&live);
    for (long nth = 1; done < 3; nth += under_valgrind() ? 499 : under_tool() ? 211 : 61) {
        struct talk talk = {.heard = false};
        ck_assert_int_lt(nth, 20000);
        int failed = cosy_test_run(talk_without, &talk, nth, true);
        ck_assert_int_ge(failed, 0);
        check_talk(&talk, nth, failed);
        done += !failed;
    }
    ck_assert_int_le(atomic_load(&live), before + 50);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_context_without_memory, a_context_without_memory_of_openssls,
                                  a_connection_without_memory, a_connection_without_memory_of_openssls};
    CRYPTO_set_mem_functions(give, give_more, take); /* before OpenSSL has any */
    make_world(&world);
    must(cosy_tls_context_replace(world.for_client, .ca_pem = world.authority.pem, .no_tickets = true) == 0);
    int result = cosy_test_main("tls.faults", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    return result;
}
