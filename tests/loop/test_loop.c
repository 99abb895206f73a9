/* The loop: its life, the order of a turn, stopping, deadlock. */
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
    return run_suite(suite);
}
