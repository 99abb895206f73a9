/* The loop: its life, the order of a turn, stopping, deadlock, errors, debug mode, what the simulated kernel adds. */
#include <limits.h>
#include <sched.h>
#include <time.h>

#include <cosy.h>

#include "loop_test.h"

/* ---- life ---- */

START_TEST(opens_the_backend_that_is_named)
{
    static const struct {
        enum cosy_backend backend;
        const char *name;
    } known[] = {{COSY_BACKEND_EPOLL, "epoll"}, {COSY_BACKEND_SIM, "sim"}};
    for (size_t i = 0; i < 2; i++) {
        cosy_loop *loop = new_loop(.backend = known[i].backend);
        ck_assert_str_eq(cosy_loop_backend_name(loop), known[i].name);
        cosy_loop_free(loop);
    }
    const char *wanted = getenv("COSY_BACKEND");
    cosy_loop *loop = new_loop();
    if (wanted && *wanted)
        ck_assert_str_eq(cosy_loop_backend_name(loop), wanted);
    cosy_loop_close(loop);
    ck_assert_str_eq(cosy_loop_backend_name(loop), "closed");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(refuses_an_unknown_backend)
{
    cosy_loop *loop = NULL;
    const char *wanted = getenv("COSY_BACKEND");
    char *before = wanted ? strdup(wanted) : NULL;
    setenv("COSY_BACKEND", "kqueue", 1);
    int result = cosy_loop_new(&loop);
    unsetenv("COSY_BACKEND");
    if (before)
        setenv("COSY_BACKEND", before, 1);
    free(before);
    ck_assert_int_eq(result, -EINVAL);
    ck_assert_int_eq(cosy_loop_new(&loop, .backend = (enum cosy_backend)7), -EINVAL);
    ck_assert_ptr_null(loop);
    ck_assert_int_eq(cosy_loop_new_(NULL, &(struct cosy_loop_options){0}), -EINVAL);
}
END_TEST

static int make_a_loop(void *arg)
{
    (void)arg;
    cosy_loop *loop = NULL;
    int result = cosy_loop_new(&loop);
    if (result < 0)
        ck_assert_ptr_null(loop);
    cosy_loop_free(loop);
    return result;
}

START_TEST(new_fails_cleanly_at_each_allocation)
{
    each_allocation_fails(make_a_loop, NULL);
}
END_TEST

START_TEST(hundred_loops_leave_nothing)
{
    make_a_loop(NULL);
    int before = open_descriptors();
    for (int i = 0; i < 100; i++)
        make_a_loop(NULL);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(free_takes_null)
{
    cosy_loop_free(NULL);
    cosy_handle_drop(NULL);
    ck_assert(!cosy_handle_cancel(NULL));
    ck_assert(!cosy_handle_cancelled(NULL));
    ck_assert_int_eq(cosy_loop_close(NULL), -EINVAL);
    ck_assert_int_eq(cosy_loop_run_forever(NULL), -EINVAL);
    ck_assert_int_eq(cosy_loop_run_once(NULL, 0), -EINVAL);
    ck_assert(cosy_loop_is_closed(NULL));
    ck_assert(!cosy_loop_is_running(NULL));
}
END_TEST

START_TEST(every_call_says_closed_after_close)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    cosy_handle handle;
    cosy_handle_init(&handle, count, &ran);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert(cosy_loop_is_closed(loop));
    cosy_handle *made = NULL;
    ck_assert_int_eq(cosy_call_soon(loop, count, &ran, &made), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_call_soon_in(loop, NULL, count, &ran, &made), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_call_soon_threadsafe(loop, count, &ran, &made), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_call_later(loop, 1, count, &ran, &made), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_call_at(loop, 1, count, &ran, &made), -COSY_ECLOSED);
    ck_assert_ptr_null(made);
    ck_assert_int_eq(cosy_handle_start_soon(loop, &handle), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_handle_start_at(loop, &handle, 1), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_handle_start_later(loop, &handle, 1), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, &ran), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_add_writer(loop, pair[0], count, &ran), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_remove_writer(loop, pair[0]), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_remove_signal_handler(loop, SIGUSR1), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_loop_run_forever(loop), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_loop_fd(loop), -COSY_ECLOSED);
    ck_assert_int_eq(cosy_loop_next_deadline(loop), COSY_NEVER);
    ck_assert_int_eq(cosy_loop_time(loop), 0);
    ck_assert_uint_eq(stats_of(loop).timers, 0);
    cosy_loop_stop(loop);
    cosy_loop_free(loop);
    close_pair(pair);
    ck_assert_int_eq(ran, 0);
}
END_TEST

START_TEST(close_drops_what_is_pending_uncalled)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2], before = open_descriptors();
    make_pair(pair);
    cosy_handle *soon, *timed, *safe, mine, mine_timed;
    cosy_handle_init(&mine, count, &ran);
    cosy_handle_init(&mine_timed, count, &ran);
    ck_assert_int_eq(cosy_call_soon(loop, count, &ran, &soon), 0);
    ck_assert_int_eq(cosy_call_later(loop, 0, count, &ran, &timed), 0);
    ck_assert_int_eq(cosy_call_at(loop, COSY_NEVER, count, &ran, NULL), 0);
    ck_assert_int_eq(cosy_call_soon_threadsafe(loop, count, &ran, &safe), 0);
    ck_assert_int_eq(cosy_call_soon_threadsafe(loop, count, &ran, NULL), 0);
    ck_assert_int_eq(cosy_handle_start_soon(loop, &mine), 0);
    ck_assert_int_eq(cosy_handle_start_later(loop, &mine_timed, COSY_S(1)), 0);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, &ran), 0);
    ck_assert_int_eq(cosy_add_writer(loop, pair[1], count, &ran), 0);
    ck_assert_int_eq(cosy_add_signal_handler(loop, SIGUSR1, count, &ran), 0);
    ck_assert_int_eq(cosy_loop_close(loop), 0);
    ck_assert(cosy_handle_cancelled(soon) && cosy_handle_cancelled(timed) && cosy_handle_cancelled(safe));
    cosy_loop_free(loop);
    ck_assert(!cosy_handle_cancel(soon) && !cosy_handle_cancel(timed) && !cosy_handle_cancel(safe));
    cosy_handle_drop(soon);
    cosy_handle_drop(timed);
    cosy_handle_drop(safe);
    ck_assert(!cosy_handle_cancel(&mine) && !cosy_handle_cancel(&mine_timed));
    loop = new_loop(); /* both are idle: they may start on another loop */
    ck_assert_int_eq(cosy_handle_start_soon(loop, &mine), 0);
    ck_assert_int_eq(cosy_handle_start_soon(loop, &mine_timed), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    cosy_loop_free(loop);
    close_pair(pair);
    ck_assert_int_eq(ran, 2);
    ck_assert_int_lt(open_descriptors(), before);
}
END_TEST

static void close_inside(void *arg)
{
    cosy_loop *loop = arg;
    ck_assert_int_eq(cosy_loop_close(loop), -COSY_ERUNNING);
    ck_assert(!cosy_loop_is_closed(loop));
    trace_add('c');
}

START_TEST(close_is_refused_inside_a_run)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_soon(loop, close_inside, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "c");
    cosy_loop_free(loop);
}
END_TEST

/* ---- the order of a turn ---- */

struct scene {
    cosy_loop *loop;
    int pair[2];
};

/* Adds its letter, and queues the small one for the next turn. */
static void letter_and_follower(struct scene *scene, char letter)
{
    trace_add(letter);
    ck_assert_int_eq(cosy_call_soon(scene->loop, trace_letter, L(letter + 'a' - 'A'), NULL), 0);
}
static void queued_before(void *arg)
{
    letter_and_follower(arg, 'Q');
}
static void came_from_a_thread(void *arg)
{
    letter_and_follower(arg, 'T');
}
static void signal_came(void *arg)
{
    letter_and_follower(arg, 'S');
}
static void timer_fired(void *arg)
{
    letter_and_follower(arg, 'D');
}
static void readable(void *arg)
{
    struct scene *scene = arg;
    cosy_remove_reader(scene->loop, scene->pair[0]);
    letter_and_follower(scene, 'R');
}

START_TEST(a_turn_runs_earlier_callbacks_then_io_then_signals_and_threads_then_timers)
{
    struct scene scene = {.loop = new_loop()};
    cosy_loop *loop = scene.loop;
    trace_clear();
    make_pair(scene.pair);
    cosy_call_later(loop, 0, timer_fired, &scene, NULL);
    cosy_call_soon_threadsafe(loop, came_from_a_thread, &scene, NULL);
    cosy_add_signal_handler(loop, SIGUSR1, signal_came, &scene);
    raise(SIGUSR1);
    cosy_add_reader(loop, scene.pair[0], readable, &scene);
    put_byte(scene.pair[1]);
    cosy_call_soon(loop, queued_before, &scene, NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "QRSTD");
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_str_eq(trace.text, "QRSTDqrstd");
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0);
    ck_assert_uint_eq(stats_of(loop).turns, 2);
    cosy_loop_free(loop);
    close_pair(scene.pair);
}
END_TEST

static void queue_two(void *arg)
{
    trace_add('1');
    cosy_call_soon(arg, trace_letter, L('2'), NULL);
    cosy_call_soon(arg, trace_letter, L('3'), NULL);
}

START_TEST(a_batch_is_what_was_present)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_soon(loop, queue_two, loop, NULL);
    cosy_call_soon(loop, queue_two, loop, NULL);
    cosy_loop_run_once(loop, 0);
    ck_assert_str_eq(trace.text, "11");
    cosy_loop_run_once(loop, 0);
    ck_assert_str_eq(trace.text, "112323");
    cosy_loop_free(loop);
}
END_TEST

static void requeue_for_ever(void *arg)
{
    cosy_call_soon(arg, requeue_for_ever, arg, NULL);
}

START_TEST(a_callback_that_queues_itself_does_not_starve_the_turn)
{
    cosy_loop *loop = new_loop();
    cosy_call_soon(loop, requeue_for_ever, loop, NULL);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_uint_eq(stats_of(loop).turns, 10);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(run_once_waits_no_longer_than_told)
{
    cosy_loop *loop = new_loop();
    cosy_ns start = cosy_loop_time(loop);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, -5), 0);
    while (cosy_loop_run_once(loop, COSY_MS(20)) == 0 && cosy_loop_time(loop) - start < COSY_MS(20))
        ;
    ck_assert_int_ge(cosy_loop_time(loop) - start, COSY_MS(20));
    int ran = 0;
    start = cosy_loop_time(loop);
    cosy_call_later(loop, COSY_MS(10), count, &ran, NULL);
    while (!ran) /* a wait may end early with nothing */
        ck_assert_int_ge(cosy_loop_run_once(loop, COSY_S(100)), 0);
    ck_assert_int_ge(cosy_loop_time(loop) - start, COSY_MS(10));
    ck_assert_int_lt(cosy_loop_time(loop) - start, COSY_S(50));
    cosy_call_later(loop, COSY_MS(1), count, &ran, NULL);
    while (ran < 2)
        ck_assert_int_ge(cosy_loop_run_once(loop, COSY_NEVER), 0);
    cosy_loop_free(loop);
}
END_TEST

/* ---- stopping ---- */

START_TEST(stop_lets_the_turn_finish)
{
    cosy_loop *loop = new_loop();
    trace_clear();
    cosy_call_soon(loop, trace_letter, L('a'), NULL);
    cosy_call_soon(loop, stop, loop, NULL);
    cosy_call_soon(loop, queue_two, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    ck_assert_str_eq(trace.text, "a1");
    cosy_call_soon(loop, stop, loop, NULL); /* again: what was left comes first */
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    ck_assert_str_eq(trace.text, "a123");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(stop_before_a_run_makes_one_turn)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    trace_clear();
    make_pair(pair);
    put_byte(pair[1]);
    cosy_add_reader(loop, pair[0], trace_letter, L('r'));
    cosy_call_soon(loop, queue_two, loop, NULL);
    cosy_call_later(loop, COSY_S(3600), trace_letter, L('t'), NULL);
    cosy_loop_stop(loop);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    ck_assert_str_eq(trace.text, "1r");
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(stop_with_nothing_to_do_returns_at_once)
{
    cosy_loop *loop = new_loop();
    for (int i = 0; i < 3; i++) {
        cosy_loop_stop(loop);
        ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    }
    ck_assert(!cosy_loop_is_running(loop));
    cosy_loop_free(loop);
}
END_TEST

static int restarts;
static void stop_and_queue_itself(void *arg)
{
    restarts++;
    cosy_call_soon(arg, stop_and_queue_itself, arg, NULL);
    cosy_loop_stop(arg);
}

START_TEST(runs_again_after_stop)
{
    cosy_loop *loop = new_loop();
    restarts = 0;
    cosy_call_soon(loop, stop_and_queue_itself, loop, NULL);
    for (int i = 1; i <= 5; i++) {
        ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
        ck_assert_int_eq(restarts, i);
    }
    cosy_loop_free(loop);
}
END_TEST

static cosy_loop *other_loop;
static void run_inside(void *arg)
{
    cosy_loop *loop = arg;
    ck_assert_ptr_eq(cosy_running_loop(), loop);
    ck_assert(cosy_loop_is_running(loop));
    ck_assert_int_eq(cosy_loop_run_forever(loop), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), -COSY_ERUNNING);
    ck_assert_int_eq(cosy_loop_run_forever(other_loop), -COSY_ERUNNING);
    ck_assert(!cosy_loop_is_running(other_loop));
    ck_assert_ptr_eq(cosy_running_loop(), loop);
    trace_add('i');
}

START_TEST(a_run_inside_a_run_is_refused)
{
    capture_log();
    cosy_loop *loop = new_loop();
    other_loop = new_loop();
    trace_clear();
    ck_assert_ptr_null(cosy_running_loop());
    cosy_call_soon(loop, run_inside, loop, NULL);
    cosy_call_soon(loop, stop, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    ck_assert_str_eq(trace.text, "i");
    ck_assert_int_eq(logged.messages, 3);
    ck_assert_ptr_nonnull(strstr(logged.last, "while another loop is running"));
    ck_assert_ptr_null(cosy_running_loop());
    cosy_loop_free(loop);
    cosy_loop_free(other_loop);
}
END_TEST

static void *run_a_loop_of_its_own(void *arg)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    ck_assert_ptr_null(cosy_running_loop());
    cosy_call_soon(loop, count, &ran, NULL);
    cosy_call_later(loop, COSY_MS(1), stop, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    cosy_loop_free(loop);
    *(int *)arg = ran;
    return NULL;
}

START_TEST(each_thread_has_its_running_loop)
{
    pthread_t threads[4];
    int ran[4] = {0};
    cosy_loop *probe = new_loop();
    bool unseen = UNDER_TSAN && strcmp(cosy_loop_backend_name(probe), "uring") == 0;
    cosy_loop_free(probe);
    if (unseen)
        return; /* liburing maps and unmaps its rings behind TSan's back, which takes the next ring for the last one */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_a_loop_of_its_own, &ran[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(ran[i], 1);
    }
}
END_TEST

static void *run_again(void *arg)
{
    ck_assert_int_eq(cosy_loop_run_forever(arg), 0);
    return NULL;
}

static int moved_pair[2], moved_bytes;
static void take_moved_byte(void *arg)
{
    (void)arg;
    take_byte(moved_pair[0]);
    moved_bytes++;
}

START_TEST(a_loop_may_move_to_another_thread_between_runs)
{
    cosy_loop *loop = new_loop();
    int *pair = moved_pair;
    moved_bytes = 0;
    make_pair(pair);
    cosy_add_reader(loop, pair[0], take_moved_byte, NULL);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0);
    put_byte(pair[1]);
    cosy_call_later(loop, COSY_MS(1), stop, loop, NULL);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_again, loop), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(moved_bytes, 1);
    put_byte(pair[1]);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    ck_assert_int_eq(moved_bytes, 2);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- deadlock ---- */

START_TEST(a_loop_that_can_never_go_on_says_so)
{
    if (UNDER_TSAN)
        return; /* its own thread looks like one that could still call */
    capture_log();
    cosy_loop *loop = new_loop();
    ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    ck_assert_int_eq(cosy_loop_run_once(loop, COSY_NEVER), -EDEADLK);
    ck_assert(!cosy_loop_is_running(loop));
    ck_assert_ptr_null(cosy_running_loop());
    int ran = 0; /* and it still works */
    cosy_call_soon(loop, count, &ran, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    ck_assert_int_eq(ran, 1);
    cosy_handle *handle;
    cosy_call_later(loop, COSY_S(1), count, &ran, &handle); /* a timer that is gone keeps nothing alive */
    cosy_handle_cancel(handle);
    cosy_handle_drop(handle);
    ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    cosy_loop_free(loop);
}
END_TEST

static void *stop_from_outside(void *arg)
{
    usleep(50000);
    ck_assert_int_eq(cosy_call_soon_threadsafe(arg, stop, arg, NULL), 0);
    return NULL;
}

START_TEST(no_deadlock_while_another_thread_could_call)
{
    capture_log();
    cosy_loop *loop = new_loop();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_from_outside, loop), 0);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    if (!UNDER_TSAN)
        ck_assert_int_eq(cosy_loop_run_forever(loop), -EDEADLK);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(no_deadlock_while_a_descriptor_or_a_signal_is_awaited)
{
    cosy_loop *loop = new_loop();
    cosy_add_signal_handler(loop, SIGALRM, stop, loop);
    ualarm(20000, 0);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    cosy_remove_signal_handler(loop, SIGALRM);
    int pair[2];
    make_pair(pair);
    cosy_add_reader(loop, pair[0], stop, loop);
    put_byte(pair[1]);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- the kernel is asked in time, also by a busy loop ---- */

struct busy {
    cosy_loop *loop;
    cosy_ns work; /* of each turn */
    int turns, limit, seen_at;
};

static void spin_for(cosy_loop *loop, cosy_ns time)
{
    for (cosy_ns until = cosy_loop_time(loop) + time; time && cosy_loop_time(loop) < until;)
        ;
}

static void be_busy(void *arg)
{
    struct busy *busy = arg;
    if (busy->seen_at || ++busy->turns == busy->limit) {
        cosy_loop_stop(busy->loop);
        return;
    }
    spin_for(busy->loop, busy->work);
    cosy_call_soon(busy->loop, be_busy, busy, NULL);
}

static void seen(void *arg)
{
    struct busy *busy = arg;
    if (!busy->seen_at)
        busy->seen_at = busy->turns;
}

static void busy_run(struct busy *busy)
{
    cosy_call_soon(busy->loop, be_busy, busy, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(busy->loop), 0);
}

/* Quick turns, so that the loop skips as many questions as it ever does. */
static void warm_up(cosy_loop *loop)
{
    struct busy warm = {.loop = loop, .limit = 20000};
    busy_run(&warm);
}

START_TEST(a_busy_loop_sees_a_readable_descriptor)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    make_pair(pair);
    struct busy busy = {.loop = loop, .limit = 1000000};
    warm_up(loop);
    cosy_add_reader(loop, pair[0], seen, &busy);
    put_byte(pair[1]);
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_lt(busy.seen_at, 100000);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(a_busy_loop_of_slow_callbacks_asks_each_turn)
{
    cosy_loop *loop = new_loop();
    if (is_sim(loop)) {
        cosy_loop_free(loop);
        return; /* no time passes in a callback */
    }
    int pair[2];
    make_pair(pair);
    struct busy busy = {.loop = loop, .limit = 20, .work = COSY_US(100)};
    cosy_add_reader(loop, pair[0], seen, &busy);
    busy.limit = 5;
    busy_run(&busy);
    ck_assert_int_eq(busy.seen_at, 0);
    put_byte(pair[1]);
    busy.limit = 20;
    busy.turns = 0;
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_le(busy.seen_at, 3);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* Quick turns, then slow ones, then a byte: by then the loop must have noticed that it is slow. */
struct slowing {
    struct busy busy;
    int pair[2];
};

static void slow_down(void *arg)
{
    struct slowing *slowing = arg;
    struct busy *busy = &slowing->busy;
    int number = ++busy->turns;
    if (busy->seen_at || number == busy->limit) {
        cosy_loop_stop(busy->loop);
        return;
    }
    if (number == 20300)
        put_byte(slowing->pair[1]);
    spin_for(busy->loop, number > 20000 ? COSY_US(10) : 0);
    cosy_call_soon(busy->loop, slow_down, slowing, NULL);
}

START_TEST(a_loop_that_becomes_slow_asks_each_turn_again)
{
    struct slowing slowing = {.busy = {.loop = new_loop(), .limit = 20600}};
    cosy_loop *loop = slowing.busy.loop;
    if (!is_sim(loop)) {
        make_pair(slowing.pair);
        cosy_add_reader(loop, slowing.pair[0], seen, &slowing.busy);
        cosy_call_soon(loop, slow_down, &slowing, NULL);
        ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
        ck_assert_int_gt(slowing.busy.seen_at, 0);
        ck_assert_int_le(slowing.busy.seen_at, 20303);
        close_pair(slowing.pair);
    }
    cosy_loop_free(loop);
}
END_TEST

static cosy_ns processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (cosy_ns)now.tv_sec * 1000000000 + now.tv_nsec;
}

START_TEST(a_busy_loop_asks_at_short_intervals)
{
    cosy_loop *loop = new_loop();
    cosy_ns start = processor_time();
    uint64_t before = stats_of(loop).waits;
    while (processor_time() - start < COSY_MS(50))
        warm_up(loop);
    cosy_ns took = processor_time() - start;
    ck_assert_int_gt((cosy_ns)(stats_of(loop).waits - before), took / COSY_US(500)); /* 20 us in principle */
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_busy_loop_fires_a_timer)
{
    cosy_loop *loop = new_loop();
    struct busy busy = {.loop = loop, .limit = 100000000};
    warm_up(loop);
    cosy_ns start = cosy_loop_time(loop);
    if (is_sim(loop)) /* busy turns take no virtual time: the timer is due at once, or never */
        cosy_call_at(loop, start, seen, &busy, NULL);
    else
        cosy_call_later(loop, COSY_MS(2), seen, &busy, NULL);
    busy_run(&busy);
    ck_assert_int_gt(busy.seen_at, 0);
    ck_assert_int_lt(cosy_loop_time(loop) - start, COSY_S(1));
    cosy_loop_free(loop);
}
END_TEST

struct past {
    cosy_loop *loop;
    int turns;
    bool at, fired;
};

static void past_fired(void *arg)
{
    ((struct past *)arg)->fired = true;
}

static void past_turn(void *arg)
{
    struct past *past = arg;
    int turn = past->turns++;
    if (turn % 100 == 1) {
        past->fired = false;
        if (past->at)
            cosy_call_at(past->loop, cosy_loop_time(past->loop) - COSY_MS(1), past_fired, past, NULL);
        else
            cosy_call_later(past->loop, 0, past_fired, past, NULL);
    }
    if (turn % 100 == 3) /* the turn between must have run it */
        ck_assert_msg(past->fired, "not fired in the next turn: turn %d", turn);
    if (turn < 20000)
        cosy_call_soon(past->loop, past_turn, past, NULL);
    else
        cosy_loop_stop(past->loop);
}

START_TEST(a_past_time_runs_in_the_next_turn_of_a_busy_loop)
{
    for (int at = 0; at < 2; at++) {
        struct past past = {.loop = new_loop(), .at = at};
        cosy_call_soon(past.loop, past_turn, &past, NULL);
        ck_assert_int_eq(cosy_loop_run_forever(past.loop), 0);
        ck_assert_int_eq(past.turns, 20001);
        cosy_loop_free(past.loop);
    }
}
END_TEST

START_TEST(a_busy_loop_saves_most_questions)
{
    cosy_loop *loop = new_loop();
    if (!is_sim(loop)) {
        struct cosy_loop_stats before = stats_of(loop);
        warm_up(loop);
        struct cosy_loop_stats after = stats_of(loop);
        ck_assert_uint_ge(after.turns - before.turns, 20000);
        /* Where each turn takes longer than a question, none is saved, and rightly so: valgrind on a busy machine. */
        if (!under_tool())
            ck_assert_uint_lt(after.waits - before.waits, 15000);
    }
    cosy_loop_free(loop);
}
END_TEST

/* ---- errors and debug mode ---- */

struct caught {
    int times, error;
    const char *message;
    cosy_loop *loop;
};

static void catch_exception(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    struct caught *caught = arg;
    caught->times++;
    caught->loop = loop;
    caught->error = context->error;
    caught->message = context->message;
}

START_TEST(the_exception_handler_is_called_or_the_default_writes_to_the_log)
{
    capture_log();
    cosy_loop *loop = new_loop();
    struct caught caught = {0};
    struct cosy_exception_context context = {.message = "something broke", .error = -EIO};
    cosy_loop_set_exception_handler(loop, catch_exception, &caught);
    cosy_loop_call_exception_handler(loop, &context);
    ck_assert_int_eq(caught.times, 1);
    ck_assert_ptr_eq(caught.loop, loop);
    ck_assert_int_eq(caught.error, -EIO);
    ck_assert_str_eq(caught.message, "something broke");
    ck_assert_int_eq(logged.messages, 0);
    cosy_loop_set_exception_handler(loop, NULL, NULL);
    cosy_loop_call_exception_handler(loop, &context);
    ck_assert_int_eq(caught.times, 1);
    ck_assert_int_eq(logged.messages, 1);
    ck_assert_int_eq(logged.level, COSY_LOG_ERROR);
    ck_assert_str_eq(logged.last, "something broke: Input/output error (EIO)");
    context.detail = "Traceback\n  here";
    cosy_loop_call_exception_handler(loop, &context);
    ck_assert_str_eq(logged.last, "something broke\nTraceback\n  here");
    context = (struct cosy_exception_context){.message = "only this"};
    cosy_loop_default_exception_handler(loop, &context);
    ck_assert_str_eq(logged.last, "only this");
    context.message = NULL;
    cosy_loop_call_exception_handler(NULL, &context);
    ck_assert_str_eq(logged.last, "Unhandled exception in event loop");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(debug_mode_comes_from_options_call_or_environment)
{
    unsetenv("COSY_DEBUG");
    cosy_loop *loop = new_loop();
    ck_assert(!cosy_loop_get_debug(loop));
    cosy_loop_set_debug(loop, true);
    ck_assert(cosy_loop_get_debug(loop));
    cosy_loop_free(loop);
    loop = new_loop(.debug = true);
    ck_assert(cosy_loop_get_debug(loop));
    cosy_loop_free(loop);
    static const struct {
        const char *value;
        bool debug;
    } known[] = {{"1", true}, {"0", false}, {"", false}};
    for (size_t i = 0; i < 3; i++) {
        setenv("COSY_DEBUG", known[i].value, 1);
        loop = new_loop();
        ck_assert(cosy_loop_get_debug(loop) == known[i].debug);
        cosy_loop_free(loop);
    }
    unsetenv("COSY_DEBUG");
}
END_TEST

static void be_slow(void *arg)
{
    let_pass(arg, COSY_MS(30));
}

START_TEST(debug_mode_reports_slow_callbacks)
{
    capture_log();
    cosy_loop *loop = new_loop();
    cosy_loop_set_debug(loop, false);
    cosy_loop_set_slow_callback_duration(loop, COSY_MS(20));
    cosy_call_soon(loop, be_slow, loop, NULL);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(logged.messages, 0);
    cosy_loop_set_debug(loop, true);
    cosy_call_soon(loop, be_slow, loop, NULL);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(logged.messages, 1);
    ck_assert_int_eq(logged.level, COSY_LOG_WARNING);
    ck_assert_ptr_nonnull(strstr(logged.last, "took 0.0"));
    cosy_loop_set_slow_callback_duration(loop, COSY_S(10));
    cosy_call_soon(loop, be_slow, loop, NULL);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(logged.messages, 1);
    cosy_loop_free(loop);
}
END_TEST

static void *call_soon_from_a_wrong_thread(void *arg)
{
    cosy_handle handle;
    cosy_handle_init(&handle, stop, arg);
    ck_assert_int_eq(cosy_call_soon(arg, stop, arg, NULL), -COSY_ETHREAD);
    ck_assert_int_eq(cosy_call_later(arg, 0, stop, arg, NULL), -COSY_ETHREAD);
    ck_assert_int_eq(cosy_call_at(arg, 0, stop, arg, NULL), -COSY_ETHREAD);
    ck_assert_int_eq(cosy_handle_start_soon(arg, &handle), -COSY_ETHREAD);
    ck_assert_int_eq(cosy_call_soon_threadsafe(arg, stop, arg, NULL), 0);
    return NULL;
}

static pthread_t wrong_thread;
static void start_the_wrong_thread(void *arg)
{
    ck_assert_int_eq(pthread_create(&wrong_thread, NULL, call_soon_from_a_wrong_thread, arg), 0);
}

START_TEST(debug_mode_refuses_calls_from_a_wrong_thread)
{
    capture_log();
    cosy_loop *loop = new_loop(.debug = true);
    cosy_call_soon(loop, start_the_wrong_thread, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    pthread_join(wrong_thread, NULL);
    ck_assert_int_eq(logged.messages, 4);
    ck_assert_ptr_nonnull(strstr(logged.last, "cosy_call_soon_threadsafe"));
    cosy_loop_free(loop);
}
END_TEST

START_TEST(counters_count)
{
    cosy_loop *loop = new_loop();
    struct cosy_loop_stats stats = stats_of(loop);
    ck_assert_uint_eq(stats.turns + stats.waits + stats.timers + stats.watchers, 0);
    int ran = 0, pair[2];
    make_pair(pair);
    cosy_call_later(loop, COSY_S(1), count, &ran, NULL);
    cosy_call_later(loop, COSY_S(2), count, &ran, NULL);
    cosy_add_reader(loop, pair[0], count, &ran);
    cosy_add_writer(loop, pair[0], count, &ran);
    cosy_add_reader(loop, pair[1], count, &ran);
    cosy_loop_run_once(loop, 0);
    stats = stats_of(loop);
    ck_assert_uint_eq(stats.turns, 1);
    ck_assert_uint_eq(stats.waits, 1);
    ck_assert_uint_eq(stats.timers, 2);
    ck_assert_uint_eq(stats.watchers, 2);
    cosy_remove_reader(loop, pair[0]);
    ck_assert_uint_eq(stats_of(loop).watchers, 2);
    cosy_remove_writer(loop, pair[0]);
    cosy_remove_reader(loop, pair[1]);
    ck_assert_uint_eq(stats_of(loop).watchers, 0);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- the simulated kernel ---- */

START_TEST(sim_jumps_over_idle_time)
{
    cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM);
    struct timespec began, ended;
    cosy_ns start = cosy_loop_time(loop);
    clock_gettime(CLOCK_MONOTONIC, &began);
    cosy_call_later(loop, COSY_S(86400.0 * 365), stop, loop, NULL);
    ck_assert_int_eq(cosy_loop_run_forever(loop), 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ck_assert_int_eq(cosy_loop_time(loop) - start, COSY_S(86400.0 * 365));
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 10);
    cosy_loop_free(loop);
}
END_TEST

static void fifo_callbacks(cosy_loop *loop)
{
    for (int i = 0; i < 10; i++)
        cosy_call_soon(loop, trace_letter, L('0' + i), NULL);
}

static int one_letter(int letter)
{
    trace_add((char)letter);
    return 0;
}

static void run_shuffled(uint64_t seed, char *ret_text)
{
    cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true);
    trace_clear();
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(cosy_spawn_with((.loop = loop), one_letter, 'a' + i), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 1);
    strcpy(ret_text, trace.text);
    ck_assert_uint_eq(trace.length, 20);
    cosy_loop_free(loop);
}

START_TEST(sim_shuffles_tasks_by_seed_and_replays)
{
    char first[64], again[64], other[64];
    run_shuffled(42, first);
    run_shuffled(42, again);
    run_shuffled(43, other);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
    ck_assert_str_ne(first, "abcdefghijklmnopqrst");
    for (char letter = 'a'; letter < 'a' + 20; letter++)
        ck_assert_ptr_nonnull(strchr(first, letter));
}
END_TEST

START_TEST(sim_keeps_callbacks_in_order_while_it_shuffles)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = seed, .shuffle = true);
        trace_clear();
        fifo_callbacks(loop);
        cosy_loop_run_once(loop, 0);
        ck_assert_str_eq(trace.text, "0123456789");
        cosy_loop_free(loop);
    }
}
END_TEST

START_TEST(sim_keeps_the_order_when_there_is_no_memory_to_shuffle)
{
    for (int fail = 0; fail < 3; fail++) {
        cosy_loop *loop = new_loop(.backend = COSY_BACKEND_SIM, .seed = 1, .shuffle = true);
        char expected[1024] = "";
        trace_clear();
        for (int i = 0; i < 300; i++) {
            expected[i] = (char)('0' + i % 64);
            cosy_call_soon(loop, trace_letter, L('0' + i % 64), NULL);
        }
        cosy_heap_fail_nth(fail, false);
        cosy_loop_run_once(loop, 0);
        cosy_heap_fail_nth(0, false);
        ck_assert_str_eq(trace.text, expected);
        cosy_loop_free(loop);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    ADD_TESTS(suite, "life", opens_the_backend_that_is_named, refuses_an_unknown_backend,
              new_fails_cleanly_at_each_allocation, hundred_loops_leave_nothing, free_takes_null,
              every_call_says_closed_after_close, close_drops_what_is_pending_uncalled, close_is_refused_inside_a_run);
    ADD_TESTS(suite, "turn", a_turn_runs_earlier_callbacks_then_io_then_signals_and_threads_then_timers,
              a_batch_is_what_was_present, a_callback_that_queues_itself_does_not_starve_the_turn,
              run_once_waits_no_longer_than_told);
    ADD_TESTS(suite, "stop", stop_lets_the_turn_finish, stop_before_a_run_makes_one_turn,
              stop_with_nothing_to_do_returns_at_once, runs_again_after_stop, a_run_inside_a_run_is_refused,
              each_thread_has_its_running_loop, a_loop_may_move_to_another_thread_between_runs);
    ADD_TESTS(suite, "deadlock", a_loop_that_can_never_go_on_says_so, no_deadlock_while_another_thread_could_call,
              no_deadlock_while_a_descriptor_or_a_signal_is_awaited);
    ADD_TESTS(suite, "busy", a_busy_loop_sees_a_readable_descriptor, a_busy_loop_of_slow_callbacks_asks_each_turn,
              a_loop_that_becomes_slow_asks_each_turn_again, a_busy_loop_asks_at_short_intervals,
              a_busy_loop_fires_a_timer, a_past_time_runs_in_the_next_turn_of_a_busy_loop,
              a_busy_loop_saves_most_questions);
    ADD_TESTS(suite, "errors", the_exception_handler_is_called_or_the_default_writes_to_the_log,
              debug_mode_comes_from_options_call_or_environment, debug_mode_reports_slow_callbacks,
              debug_mode_refuses_calls_from_a_wrong_thread, counters_count);
    ADD_TESTS(suite, "sim", sim_jumps_over_idle_time, sim_shuffles_tasks_by_seed_and_replays,
              sim_keeps_callbacks_in_order_while_it_shuffles, sim_keeps_the_order_when_there_is_no_memory_to_shuffle);
    return run_suite(suite);
}
