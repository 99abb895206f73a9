/* A loop as a part of another one: its descriptor, its next deadline and run_once are all that a foreign loop needs. */
#include <poll.h>
#include <sys/epoll.h>

#include "loop_test.h"

/* The outer loop: poll(2) on the inner loop's descriptor until `done`, at most `rounds` times; returns how many. */
static int poll_outside(cosy_loop *loop, const int *done, int wanted, int rounds)
{
    int round = 0;
    while (*done < wanted) {
        ck_assert_msg(round++ < rounds, "%d rounds, and %d of %d done", rounds, *done, wanted);
        cosy_ns next = cosy_loop_next_deadline(loop), now = cosy_loop_time(loop);
        int timeout = 5000;
        if (next <= now)
            timeout = 0;
        else if (next - now < COSY_S(5))
            timeout = (int)((next - now + 999999) / 1000000);
        struct pollfd outside = {.fd = cosy_loop_fd(loop), .events = POLLIN};
        int polled = poll(&outside, 1, timeout);
        ck_assert(polled >= 0 || errno == EINTR);
        ck_assert_msg(polled != 0 || timeout < 5000, "the descriptor slept through what came");
        ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    }
    return round;
}

/* Nothing is left: the foreign loop would sleep, and not spin. */
static void check_quiet(cosy_loop *loop)
{
    struct pollfd outside = {.fd = cosy_loop_fd(loop), .events = POLLIN};
    for (int i = 0; i < 3 && poll(&outside, 1, 0) > 0; i++) /* one empty turn may be due to a wake that coalesced */
        ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_eq(poll(&outside, 1, 20), 0);
}

struct scene {
    cosy_loop *loop;
    int pair[2], done;
};

static void byte_came(void *arg)
{
    struct scene *scene = arg;
    take_byte(scene->pair[0]);
    scene->done++;
}

/* False on the simulated kernel, whose time no foreign loop knows. */
static bool open_scene(struct scene *scene)
{
    *scene = (struct scene){.loop = new_loop()};
    if (is_sim(scene->loop)) {
        ck_assert_int_eq(cosy_loop_fd(scene->loop), -ENOTSUP);
        cosy_loop_free(scene->loop);
        return false;
    }
    make_pair(scene->pair);
    return true;
}

static void close_scene(struct scene *scene)
{
    cosy_loop_free(scene->loop);
    close_pair(scene->pair);
}

START_TEST(the_descriptor_shows_a_readable_descriptor)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    for (int before = 0; before < 2; before++) { /* asked for before and after the watcher was added */
        if (before)
            ck_assert_int_ge(cosy_loop_fd(scene.loop), 0);
        cosy_add_reader(scene.loop, scene.pair[0], byte_came, &scene);
        check_quiet(scene.loop);
        for (int i = 1; i <= 5; i++) {
            put_byte(scene.pair[1]);
            scene.done = 0;
            ck_assert_int_le(poll_outside(scene.loop, &scene.done, 1, 5), 3);
            check_quiet(scene.loop);
        }
        cosy_remove_reader(scene.loop, scene.pair[0]);
    }
    close_scene(&scene);
}
END_TEST

START_TEST(the_descriptor_stays_readable_while_something_is_left)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    cosy_add_reader(scene.loop, scene.pair[0], byte_came, &scene);
    for (int i = 0; i < 10; i++)
        put_byte(scene.pair[1]);
    poll_outside(scene.loop, &scene.done, 10, 30);
    check_quiet(scene.loop);
    close_scene(&scene);
}
END_TEST

START_TEST(next_deadline_drives_timers_and_callbacks)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    for (int i = 1; i <= 5; i++)
        cosy_call_later(scene.loop, COSY_MS(4) * i, count, &scene.done, NULL);
    cosy_call_soon(scene.loop, count, &scene.done, NULL);
    int rounds = poll_outside(scene.loop, &scene.done, 6, 60);
    ck_assert_int_le(rounds, 40); /* it slept between them */
    ck_assert_int_eq(cosy_loop_next_deadline(scene.loop), COSY_NEVER);
    check_quiet(scene.loop);
    close_scene(&scene);
}
END_TEST

static void *call_from_a_thread(void *arg)
{
    struct scene *scene = arg;
    for (int i = 0; i < 20; i++) {
        usleep(i % 4 * 300);
        ck_assert_int_eq(cosy_call_soon_threadsafe(scene->loop, count, &scene->done, NULL), 0);
    }
    return NULL;
}

START_TEST(calls_from_threads_wake_the_outer_loop)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    pthread_t thread;
    ck_assert_int_ge(cosy_loop_fd(scene.loop), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, call_from_a_thread, &scene), 0);
    poll_outside(scene.loop, &scene.done, 20, 200);
    pthread_join(thread, NULL);
    check_quiet(scene.loop);
    close_scene(&scene);
}
END_TEST

START_TEST(a_call_made_before_the_descriptor_was_asked_for_is_seen)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    cosy_call_soon_threadsafe(scene.loop, count, &scene.done, NULL);
    poll_outside(scene.loop, &scene.done, 1, 5);
    check_quiet(scene.loop);
    close_scene(&scene);
}
END_TEST

START_TEST(signals_wake_the_outer_loop)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    cosy_add_signal_handler(scene.loop, SIGALRM, count, &scene.done);
    ck_assert_int_ge(cosy_loop_fd(scene.loop), 0);
    ualarm(10000, 0);
    poll_outside(scene.loop, &scene.done, 1, 10);
    check_quiet(scene.loop);
    close_scene(&scene);
}
END_TEST

static int inner_rounds;
static void turn_the_inner(void *arg)
{
    struct scene *scene = arg;
    inner_rounds++;
    (void)scene;
}

START_TEST(a_loop_watches_another_loops_descriptor)
{
    struct scene scene;
    if (!open_scene(&scene))
        return;
    cosy_loop *outer = new_loop();
    inner_rounds = 0;
    cosy_add_reader(scene.loop, scene.pair[0], byte_came, &scene);
    ck_assert_int_eq(cosy_add_reader(outer, cosy_loop_fd(scene.loop), turn_the_inner, &scene), 0);
    cosy_loop_run_once(outer, 0);
    ck_assert_int_eq(inner_rounds, 0);
    put_byte(scene.pair[1]);
    for (int i = 0; i < 10 && inner_rounds == 0; i++)
        cosy_loop_run_once(outer, COSY_MS(100));
    ck_assert_int_gt(inner_rounds, 0);
    poll_outside(scene.loop, &scene.done, 1, 5);
    cosy_loop_free(outer);
    close_scene(&scene);
}
END_TEST

static void *write_later(void *arg)
{
    usleep(10000);
    put_byte(((struct scene *)arg)->pair[1]);
    return NULL;
}

static void *call_later(void *arg)
{
    struct scene *scene = arg;
    usleep(10000);
    ck_assert_int_eq(cosy_call_soon_threadsafe(scene->loop, count, &scene->done, NULL), 0);
    return NULL;
}

/* Unlike poll(2), epoll looks again only when the descriptor itself wakes it. */
START_TEST(an_epoll_set_that_sleeps_on_the_descriptor_wakes)
{
    static void *(*const causes[])(void *) = {write_later, call_later};
    for (int i = 0; i < 4; i++) {
        struct scene scene;
        if (!open_scene(&scene))
            return;
        cosy_add_reader(scene.loop, scene.pair[0], byte_came, &scene);
        int epfd = epoll_create1(EPOLL_CLOEXEC), found;
        struct epoll_event event = {.events = i < 2 ? EPOLLIN : EPOLLIN | EPOLLET};
        ck_assert_int_eq(epoll_ctl(epfd, EPOLL_CTL_ADD, cosy_loop_fd(scene.loop), &event), 0);
        cosy_loop_run_once(scene.loop, 0);
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, causes[i % 2], &scene), 0);
        while (scene.done == 0) {
            do
                found = epoll_wait(epfd, &event, 1, 3000);
            while (found < 0 && errno == EINTR);
            ck_assert_int_eq(found, 1);
            cosy_loop_run_once(scene.loop, 0);
        }
        pthread_join(thread, NULL);
        check_quiet(scene.loop);
        close(epfd);
        close_scene(&scene);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embed");
    ADD_TESTS(suite, "embed", the_descriptor_shows_a_readable_descriptor,
              the_descriptor_stays_readable_while_something_is_left, next_deadline_drives_timers_and_callbacks,
              calls_from_threads_wake_the_outer_loop, a_call_made_before_the_descriptor_was_asked_for_is_seen,
              signals_wake_the_outer_loop, an_epoll_set_that_sleeps_on_the_descriptor_wakes,
              a_loop_watches_another_loops_descriptor);
    return run_suite(suite);
}
