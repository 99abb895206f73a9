/* cosy_call_soon_threadsafe: nothing is lost, each thread's order holds, bursts cost one wake-up, closing is safe. */
#include <sched.h>

#include "loop_test.h"

enum { THREADS = 4, EACH = 20000 };
static int each; /* how many of them a tool leaves time for */

/* ---- many threads ---- */

struct poster {
    pthread_t thread;
    cosy_loop *loop;
    int number, came; /* came: in the loop's thread only */
    struct post {
        struct poster *poster;
        int index;
    } posts[EACH];
};
static struct poster posters[THREADS];
static int all_came;

static void post_came(void *arg)
{
    struct post *post = arg;
    ck_assert_int_eq(post->index, post->poster->came); /* none lost, none twice, in order */
    post->poster->came++;
    if (++all_came == THREADS * each)
        cosy_loop_stop(post->poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < each; i++) {
        poster->posts[i] = (struct post){poster, i};
        ck_assert_int_eq(cosy_call_soon_threadsafe(poster->loop, post_came, &poster->posts[i], NULL), 0);
        if (i % 257 == 0)
            sched_yield(); /* so that the loop goes to sleep now and then */
    }
    return NULL;
}

START_TEST(many_threads_lose_nothing_and_keep_their_order)
{
    cosy_loop *loop = new_loop();
    all_came = 0;
    each = (int)less_under_tool(EACH, 10);
    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = loop;
        posters[i].came = 0;
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        ck_assert_int_eq(posters[i].came, each);
    }
    cosy_loop_free(loop);
}
END_TEST

/* ---- one at a time: each post must wake a sleeping loop ---- */

struct ping {
    cosy_loop *loop;
    atomic_int answered;
};

static void answer(void *arg)
{
    atomic_fetch_add(&((struct ping *)arg)->answered, 1);
}

static void *ask_many_times(void *arg)
{
    struct ping *ping = arg;
    for (int i = 1; i <= 2000; i++) {
        ck_assert_int_eq(cosy_call_soon_threadsafe(ping->loop, answer, ping, NULL), 0);
        while (atomic_load(&ping->answered) < i)
            sched_yield();
    }
    cosy_call_soon_threadsafe(ping->loop, stop, ping->loop, NULL);
    return NULL;
}

START_TEST(no_wake_is_lost)
{
    struct ping ping = {.loop = new_loop()};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_many_times, &ping), 0);
    ck_assert_int_eq(cosy_loop_run_forever(ping.loop), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&ping.answered), 2000);
    cosy_loop_free(ping.loop);
}
END_TEST

START_TEST(no_wake_is_lost_by_a_spinning_loop)
{
    struct ping ping = {.loop = new_loop(.spin = COSY_US(20))};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_many_times, &ping), 0);
    ck_assert_int_eq(cosy_loop_run_forever(ping.loop), 0);
    pthread_join(thread, NULL);
    cosy_loop_free(ping.loop);
}
END_TEST

/* ---- a burst ---- */

struct burst {
    cosy_loop *loop;
    int came;
};

static void burst_came(void *arg)
{
    ((struct burst *)arg)->came++;
}

static void *post_burst(void *arg)
{
    struct burst *burst = arg;
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(cosy_call_soon_threadsafe(burst->loop, burst_came, burst, NULL), 0);
    return NULL;
}

static void burst_while_the_loop_is_busy(void *arg)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_burst, arg), 0);
    pthread_join(thread, NULL);
}

START_TEST(a_burst_is_one_wake_and_one_turn)
{
    struct burst burst = {.loop = new_loop()};
    cosy_call_soon(burst.loop, burst_while_the_loop_is_busy, &burst, NULL);
    cosy_loop_run_once(burst.loop, 0);
    struct cosy_loop_stats before = stats_of(burst.loop);
    ck_assert_int_eq(burst.came, 0);
    ck_assert_int_eq(cosy_loop_run_once(burst.loop, COSY_S(5)), 1);
    ck_assert_int_eq(burst.came, 1000);
    ck_assert_int_eq(cosy_loop_run_once(burst.loop, 0), 0);
    ck_assert_uint_eq(stats_of(burst.loop).turns, before.turns + 1);
    ck_assert_uint_eq(stats_of(burst.loop).waits, before.waits + 2);
    cosy_loop_free(burst.loop);
}
END_TEST

START_TEST(from_the_loops_own_thread_it_runs_in_the_next_turn)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_soon_threadsafe(loop, trace_letter, L('t'), NULL);
    cosy_call_soon(loop, trace_letter, L('s'), NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "st");
    cosy_loop_free(loop);
}
END_TEST

static void *post_once(void *arg)
{
    ck_assert_int_eq(cosy_call_soon_threadsafe(arg, trace_letter, L('a'), NULL), 0);
    return NULL;
}

START_TEST(what_comes_before_the_run_waits_for_it)
{
    cosy_loop *loop = new_loop();
    pthread_t thread;
    trace_clear();
    ck_assert_int_eq(pthread_create(&thread, NULL, post_once, loop), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, COSY_S(5)), 1);
    ck_assert_str_eq(trace.text, "a");
    cosy_loop_free(loop);
}
END_TEST

/* ---- cancelling from other threads ---- */

enum { RACES = 20000 };
static int races;
static cosy_handle *raced[RACES];
static atomic_int raced_ran[RACES];
static atomic_int raced_ready; /* how many may be cancelled */
static int raced_cancelled;

static void raced_run(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void *cancel_all(void *arg)
{
    (void)arg;
    for (int i = 0; i < races; i++) {
        while (atomic_load(&raced_ready) <= i)
            sched_yield();
        if (cosy_handle_cancel(raced[i])) {
            raced_cancelled++;
            atomic_fetch_add(&raced_ran[i], 1);
            ck_assert(cosy_handle_cancelled(raced[i]));
        }
        cosy_handle_drop(raced[i]);
    }
    return NULL;
}

static void *post_for_cancel(void *arg)
{
    for (int i = 0; i < races; i++) {
        ck_assert_int_eq(cosy_call_soon_threadsafe(arg, raced_run, &raced_ran[i], &raced[i]), 0);
        atomic_store(&raced_ready, i + 1);
    }
    return NULL;
}

START_TEST(a_handle_either_runs_or_is_cancelled_from_another_thread)
{
    cosy_loop *loop = new_loop();
    pthread_t poster, canceller;
    races = (int)less_under_tool(RACES, 10);
    atomic_store(&raced_ready, 0);
    for (int i = 0; i < races; i++)
        atomic_store(&raced_ran[i], 0); /* the same process may run this once for each backend */
    ck_assert_int_eq(pthread_create(&poster, NULL, post_for_cancel, loop), 0);
    ck_assert_int_eq(pthread_create(&canceller, NULL, cancel_all, NULL), 0);
    while (atomic_load(&raced_ready) < races)
        cosy_loop_run_once(loop, COSY_MS(1));
    pthread_join(poster, NULL);
    pthread_join(canceller, NULL);
    while (cosy_loop_run_once(loop, 0) == 1)
        ;
    for (int i = 0; i < races; i++)
        ck_assert_int_eq(atomic_load(&raced_ran[i]), 1);
    cosy_loop_free(loop);
}
END_TEST

/* ---- closing ---- */

static void *post_until_closed(void *arg)
{
    static int ran;
    int result;
    for (int i = 0; (result = cosy_call_soon_threadsafe(arg, count, &ran, NULL)) == 0; i++)
        if (i > 100) /* no flood, where the closing thread has to wait for a processor */
            usleep(50);
    ck_assert_int_eq(result, -COSY_ECLOSED);
    return NULL;
}

START_TEST(closing_while_other_threads_post_is_safe)
{
    for (int round = 0; round < (int)less_under_tool(100, 4); round++) {
        cosy_loop *loop = new_loop();
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, post_until_closed, loop), 0);
        for (int i = 0; i < round % 5; i++)
            cosy_loop_run_once(loop, 0);
        ck_assert_int_eq(cosy_loop_close(loop), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        cosy_loop_free(loop);
    }
}
END_TEST

/* The window of the test above, held open: a post is between its push and its wake while the loop is closed. */
static struct {
    const struct cosy_sys_ops *ops;
    atomic_int inside;
    atomic_bool closed;
} slow_wake;

static int wake_slowly(struct cosy_sys *sys)
{
    atomic_fetch_add(&slow_wake.inside, 1);
    for (int i = 0; i < 50 && !atomic_load(&slow_wake.closed); i++)
        usleep(1000);
    ck_assert(!atomic_load(&slow_wake.closed)); /* the kernel's table would be freed by now */
    return slow_wake.ops->wake(sys);
}

static void *post_slowly(void *arg)
{
    cosy_call_soon_threadsafe(arg, trace_letter, L('x'), NULL);
    return NULL;
}

START_TEST(close_waits_for_a_post_that_is_about_to_wake)
{
    cosy_loop *loop = new_loop();
    if (is_sim(loop)) {
        cosy_loop_free(loop);
        return; /* it takes no foreign table; the others share the code under test */
    }
    struct cosy_sys_ops ops = *loop->sys->ops;
    slow_wake.ops = loop->sys->ops;
    atomic_store(&slow_wake.inside, 0); /* the same process may run this once for each backend */
    atomic_store(&slow_wake.closed, false);
    ops.wake = wake_slowly;
    loop->sys->ops = &ops;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_slowly, loop), 0);
    while (atomic_load(&slow_wake.inside) == 0)
        sched_yield();
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    atomic_store(&slow_wake.closed, true);
    pthread_join(thread, NULL);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_post_after_close_gives_no_handle)
{
    cosy_loop *loop = new_loop();
    cosy_loop_close(loop);
    cosy_handle *handle = (cosy_handle *)&loop;
    ck_assert_int_eq(cosy_call_soon_threadsafe(loop, stop, loop, &handle), -COSY_ECLOSED);
    ck_assert_ptr_null(handle);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_until_closed, loop), 0);
    pthread_join(thread, NULL);
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("threadsafe");
    ADD_TESTS(suite, "delivery", many_threads_lose_nothing_and_keep_their_order, no_wake_is_lost,
              no_wake_is_lost_by_a_spinning_loop, a_burst_is_one_wake_and_one_turn,
              from_the_loops_own_thread_it_runs_in_the_next_turn, what_comes_before_the_run_waits_for_it);
    ADD_TESTS(suite, "cancel", a_handle_either_runs_or_is_cancelled_from_another_thread);
    ADD_TESTS(suite, "close", closing_while_other_threads_post_is_safe, close_waits_for_a_post_that_is_about_to_wake,
              a_post_after_close_gives_no_handle);
    return run_suite(suite);
}
