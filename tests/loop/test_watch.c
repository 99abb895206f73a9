/* add_reader and add_writer: level-triggered, replaced, removed at every moment, on descriptors of every kind. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "loop_test.h"

static int turn(cosy_loop *loop)
{
    int result = cosy_loop_run_once(loop, 0);
    ck_assert_int_ge(result, 0);
    return result;
}

/* ---- level-triggered ---- */

START_TEST(a_reader_is_called_in_each_turn_while_there_is_something_to_read)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, &ran), 0);
    turn(loop);
    ck_assert_int_eq(ran, 0);
    put_byte(pair[1]);
    put_byte(pair[1]);
    for (int i = 1; i <= 3; i++) {
        turn(loop);
        ck_assert_int_eq(ran, i);
    }
    take_byte(pair[0]);
    turn(loop);
    ck_assert_int_eq(ran, 4);
    take_byte(pair[0]);
    turn(loop);
    turn(loop);
    ck_assert_int_eq(ran, 4);
    put_byte(pair[1]);
    turn(loop);
    ck_assert_int_eq(ran, 5);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(a_writer_is_called_while_there_is_room)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    static char block[65536];
    make_pair(pair);
    ck_assert_int_eq(cosy_add_writer(loop, pair[0], count, &ran), 0);
    turn(loop);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    while (write(pair[0], block, sizeof block) > 0)
        ;
    turn(loop);
    ck_assert_int_eq(ran, 2);
    while (read(pair[1], block, sizeof block) > 0)
        ;
    turn(loop);
    ck_assert_int_eq(ran, 3);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(reader_and_writer_share_a_descriptor)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    trace_clear();
    make_pair(pair);
    cosy_add_writer(loop, pair[0], trace_letter, L('w'));
    turn(loop);
    ck_assert_str_eq(trace.text, "w");
    cosy_add_reader(loop, pair[0], trace_letter, L('r'));
    turn(loop);
    ck_assert_str_eq(trace.text, "ww");
    put_byte(pair[1]);
    turn(loop);
    ck_assert_str_eq(trace.text, "wwrw");
    ck_assert_int_eq(cosy_remove_writer(loop, pair[0]), 1);
    turn(loop);
    ck_assert_str_eq(trace.text, "wwrwr");
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 1);
    turn(loop);
    ck_assert_str_eq(trace.text, "wwrwr");
    ck_assert_uint_eq(stats_of(loop).watchers, 0);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- replacing and removing ---- */

START_TEST(adding_again_replaces)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    trace_clear();
    make_pair(pair);
    put_byte(pair[1]);
    cosy_add_reader(loop, pair[0], trace_letter, L('a'));
    turn(loop);
    cosy_add_reader(loop, pair[0], trace_letter, L('b'));
    turn(loop);
    ck_assert_str_eq(trace.text, "ab");
    ck_assert_uint_eq(stats_of(loop).watchers, 1);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(removing_tells_whether_there_was_one)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    make_pair(pair);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 0);
    cosy_add_reader(loop, pair[0], trace_letter, L('a'));
    ck_assert_int_eq(cosy_remove_writer(loop, pair[0]), 0);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 0);
    ck_assert_int_eq(cosy_remove_reader(loop, -1), 0);
    ck_assert_int_eq(cosy_remove_reader(NULL, pair[0]), -EINVAL);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

struct scene {
    cosy_loop *loop;
    int pair[2], other[2], ran;
};

static void remove_own(void *arg)
{
    struct scene *scene = arg;
    scene->ran++;
    ck_assert_int_eq(cosy_remove_reader(scene->loop, scene->pair[0]), 1);
}

START_TEST(a_reader_removes_itself)
{
    struct scene scene = {.loop = new_loop()};
    make_pair(scene.pair);
    put_byte(scene.pair[1]);
    cosy_add_reader(scene.loop, scene.pair[0], remove_own, &scene);
    turn(scene.loop);
    turn(scene.loop);
    ck_assert_int_eq(scene.ran, 1);
    cosy_loop_free(scene.loop);
    close_pair(scene.pair);
}
END_TEST

static void replace_own(void *arg)
{
    struct scene *scene = arg;
    trace_add('1');
    ck_assert_int_eq(cosy_add_reader(scene->loop, scene->pair[0], trace_letter, L('2')), 0);
}

START_TEST(a_reader_replaces_itself)
{
    struct scene scene = {.loop = new_loop()};
    trace_clear();
    make_pair(scene.pair);
    put_byte(scene.pair[1]);
    cosy_add_reader(scene.loop, scene.pair[0], replace_own, &scene);
    turn(scene.loop);
    turn(scene.loop);
    ck_assert_str_eq(trace.text, "12");
    cosy_loop_free(scene.loop);
    close_pair(scene.pair);
}
END_TEST

static void remove_other(void *arg)
{
    struct scene *scene = arg;
    scene->ran++;
    cosy_remove_reader(scene->loop, scene->pair[0]);
    cosy_remove_reader(scene->loop, scene->other[0]);
}

START_TEST(what_is_removed_in_its_batch_does_not_run)
{
    struct scene scene = {.loop = new_loop()};
    make_pair(scene.pair);
    make_pair(scene.other);
    put_byte(scene.pair[1]);
    put_byte(scene.other[1]);
    cosy_add_reader(scene.loop, scene.pair[0], remove_other, &scene);
    cosy_add_reader(scene.loop, scene.other[0], remove_other, &scene);
    turn(scene.loop);
    turn(scene.loop);
    ck_assert_int_eq(scene.ran, 1);
    cosy_loop_free(scene.loop);
    close_pair(scene.pair);
    close_pair(scene.other);
}
END_TEST

static void replace_both(void *arg)
{
    struct scene *scene = arg;
    trace_add('1');
    cosy_add_reader(scene->loop, scene->pair[0], trace_letter, L('2'));
    cosy_add_reader(scene->loop, scene->other[0], trace_letter, L('2'));
}

START_TEST(what_is_replaced_in_its_batch_does_not_run_before_the_next_turn)
{
    static cosy_contextvar var = COSY_CONTEXTVAR("var", NULL);
    struct scene scene = {.loop = new_loop()};
    trace_clear();
    make_pair(scene.pair);
    make_pair(scene.other);
    put_byte(scene.pair[1]);
    put_byte(scene.other[1]);
    ck_assert_int_eq(cosy_contextvar_set(&var, &scene, NULL), 0); /* the queued copy must not leak */
    cosy_add_reader(scene.loop, scene.pair[0], replace_both, &scene);
    cosy_add_reader(scene.loop, scene.other[0], replace_both, &scene);
    turn(scene.loop);
    ck_assert_str_eq(trace.text, "1");
    turn(scene.loop);
    ck_assert_str_eq(trace.text, "122");
    cosy_loop_free(scene.loop);
    close_pair(scene.pair);
    close_pair(scene.other);
}
END_TEST

START_TEST(a_removed_reader_leaves_the_writer_and_comes_back)
{
    cosy_loop *loop = new_loop();
    int reads = 0, writes = 0, pair[2];
    make_pair(pair);
    put_byte(pair[1]);
    cosy_add_writer(loop, pair[0], count, &writes);
    for (int i = 1; i <= 5; i++) {
        ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, &reads), 0);
        turn(loop);
        ck_assert_int_eq(reads, i);
        ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 1);
        turn(loop);
        ck_assert_int_eq(reads, i);
        ck_assert_int_eq(writes, 2 * i);
    }
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

/* ---- ends and errors ---- */

START_TEST(the_end_of_a_stream_is_readable)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    cosy_add_reader(loop, pair[0], count, &ran);
    turn(loop);
    close(pair[1]);
    turn(loop);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), 1);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    cosy_loop_free(loop);
    close(pair[0]);
}
END_TEST

START_TEST(a_hangup_wakes_reader_and_writer)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    trace_clear();
    make_pair(pair);
    static char block[65536];
    while (write(pair[0], block, sizeof block) > 0) /* neither readable nor writable */
        ;
    cosy_add_reader(loop, pair[0], trace_letter, L('r'));
    cosy_add_writer(loop, pair[0], trace_letter, L('w'));
    turn(loop);
    ck_assert_str_eq(trace.text, "");
    close(pair[1]);
    turn(loop);
    ck_assert_str_eq(trace.text, "rw");
    cosy_loop_free(loop);
    close(pair[0]);
}
END_TEST

START_TEST(a_pipe_without_reader_wakes_its_writer)
{
    cosy_loop *loop = new_loop();
    int ends[2], ran = 0;
    static char block[65536];
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], block, sizeof block) > 0)
        ;
    cosy_add_writer(loop, ends[1], count, &ran);
    turn(loop);
    ck_assert_int_eq(ran, 0);
    close(ends[0]);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    cosy_loop_free(loop);
    close(ends[1]);
}
END_TEST

START_TEST(a_pipe_without_writer_wakes_its_reader)
{
    cosy_loop *loop = new_loop();
    int ends[2], ran = 0;
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    cosy_add_reader(loop, ends[0], count, &ran);
    turn(loop);
    ck_assert_int_eq(ran, 0);
    close(ends[1]);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    cosy_loop_free(loop);
    close(ends[0]);
}
END_TEST

START_TEST(bad_descriptors_are_refused)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    close_pair(pair);
    ck_assert_int_eq(cosy_add_reader(loop, -1, count, &ran), -EBADF);
    ck_assert_int_eq(cosy_add_writer(loop, -7, count, &ran), -EBADF);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], count, &ran), -EBADF);
    ck_assert_int_eq(cosy_add_reader(loop, 1000000, count, &ran), -EBADF);
    char name[] = "/tmp/cosy-test-XXXXXX";
    int file = mkstemp(name);
    ck_assert_int_ge(file, 0);
    unlink(name);
    ck_assert_int_eq(cosy_add_reader(loop, file, count, &ran), -EPERM);
    ck_assert_int_eq(cosy_add_writer(loop, file, count, &ran), -EPERM);
    ck_assert_int_eq(cosy_remove_reader(loop, file), 0);
    close(file);
    make_pair(pair);
    ck_assert_int_eq(cosy_add_reader(loop, pair[0], NULL, NULL), -EINVAL);
    ck_assert_int_eq(cosy_add_reader(NULL, pair[0], count, &ran), -EINVAL);
    ck_assert_uint_eq(stats_of(loop).watchers, 0);
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(a_descriptor_closed_while_watched_does_no_harm)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    put_byte(pair[1]);
    cosy_add_reader(loop, pair[0], count, &ran);
    cosy_add_writer(loop, pair[0], count, &ran);
    turn(loop);
    ck_assert_int_eq(ran, 2);
    close(pair[0]);
    for (int i = 0; i < 5; i++)
        turn(loop);
    ck_assert_int_le(ran, 6); /* told once more, perhaps twice where a request was under way; then silence */
    cosy_remove_reader(loop, pair[0]);
    cosy_remove_writer(loop, pair[0]);
    ck_assert_uint_eq(stats_of(loop).watchers, 0);
    turn(loop);
    cosy_loop_free(loop);
    close(pair[1]);
}
END_TEST

START_TEST(a_number_that_came_back_is_watched_anew)
{
    for (int told = 0; told < 2; told++) { /* with and without a turn in which the loop may learn of it */
        cosy_loop *loop = new_loop();
        int old = 0, reads = 0, writes = 0, pair[2], again[2];
        make_pair(pair);
        cosy_add_reader(loop, pair[0], count, &old);
        turn(loop);
        close_pair(pair); /* without removing the reader first */
        for (int i = 0; told && i < 2; i++)
            turn(loop);
        make_pair(again);
        ck_assert_int_eq(again[0], pair[0]);
        put_byte(again[1]);
        old = 0;
        ck_assert_int_eq(cosy_add_reader(loop, again[0], count, &reads), 0);
        turn(loop);
        ck_assert_int_eq(reads, 1);
        ck_assert_int_eq(cosy_add_writer(loop, again[0], count, &writes), 0);
        turn(loop);
        ck_assert_int_eq(reads, 2);
        ck_assert_int_eq(writes, 1);
        ck_assert_int_eq(old, 0);
        ck_assert_uint_eq(stats_of(loop).watchers, 1);
        cosy_loop_free(loop);
        close_pair(again);
    }
}
END_TEST

/* ---- many ---- */

enum { MANY = 500 };

START_TEST(five_hundred_descriptors)
{
    struct rlimit limit = {4096, 4096};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    cosy_loop *loop = new_loop();
    static int fds[MANY], ran[MANY];
    memset(ran, 0, sizeof ran);
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(1, EFD_NONBLOCK);
        ck_assert_int_ge(fds[i], 0);
        ck_assert_int_eq(cosy_add_reader(loop, fds[i], count, &ran[i]), 0);
    }
    ck_assert_uint_eq(stats_of(loop).watchers, MANY);
    int least = is_sim(loop) ? 1 : 6; /* there the order is drawn, here it goes round */
    for (int turns = 0; turns < 40; turns++)
        turn(loop);
    for (int i = 0; i < MANY; i++) /* each got its turns, though all were ready all the time */
        ck_assert_msg(ran[i] >= least, "descriptor %d was called %d times in 40 turns", i, ran[i]);
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(cosy_remove_reader(loop, fds[i]), 1);
    memset(ran, 0, sizeof ran);
    for (int turns = 0; turns < 40; turns++)
        turn(loop);
    for (int i = 0; i < MANY; i++)
        ck_assert(i % 2 ? ran[i] >= least : ran[i] == 0);
    cosy_loop_free(loop);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}
END_TEST

static int watch_both_ways(void *arg)
{
    int ran = 0, *pair = arg;
    cosy_loop *loop = NULL;
    int result = cosy_loop_new(&loop);
    if (result < 0)
        return result;
    result = cosy_add_reader(loop, pair[0], count, &ran);
    int writer = cosy_add_writer(loop, pair[1], count, &ran);
    int second = cosy_add_writer(loop, pair[0], count, &ran);
    int worst = result < writer ? result : writer;
    worst = second < worst ? second : worst;
    int ran_once = cosy_loop_run_once(loop, 0);
    worst = ran_once < worst ? ran_once : worst;
    ck_assert_int_eq(cosy_remove_reader(loop, pair[0]), result == 0);
    cosy_loop_free(loop);
    return worst;
}

START_TEST(each_allocation_of_a_watcher_fails_cleanly)
{
    int pair[2];
    make_pair(pair);
    each_allocation_fails(watch_both_ways, pair);
    close_pair(pair);
}
END_TEST

static int watch_hundreds(void *arg)
{
    int ran = 0, *fds = arg, made = 0;
    cosy_loop *loop = NULL;
    int worst = cosy_loop_new(&loop);
    if (worst < 0)
        return worst;
    for (int i = 0; i < 300; i++) {
        int result = cosy_add_reader(loop, fds[i], count, &ran);
        made += result == 0;
        worst = result < worst ? result : worst;
    }
    ck_assert_uint_eq(stats_of(loop).watchers, (size_t)made);
    cosy_loop_free(loop);
    return worst;
}

START_TEST(a_table_that_cannot_grow_still_works)
{
    int fds[300];
    for (int i = 0; i < 300; i++)
        ck_assert_int_ge(fds[i] = eventfd(0, 0), 0);
    watch_hundreds(fds);
    for (long n = 1; n < 400; n += 7) {
        cosy_heap_fail_nth(n, true);
        int result = watch_hundreds(fds);
        cosy_heap_fail_nth(0, false);
        ck_assert(result == -ENOMEM || result == 0);
    }
    for (int i = 0; i < 300; i++)
        close(fds[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    ADD_TESTS(suite, "level", a_reader_is_called_in_each_turn_while_there_is_something_to_read,
              a_writer_is_called_while_there_is_room, reader_and_writer_share_a_descriptor);
    ADD_TESTS(suite, "change", adding_again_replaces, removing_tells_whether_there_was_one, a_reader_removes_itself,
              a_reader_replaces_itself, what_is_removed_in_its_batch_does_not_run,
              what_is_replaced_in_its_batch_does_not_run_before_the_next_turn,
              a_removed_reader_leaves_the_writer_and_comes_back);
    ADD_TESTS(suite, "ends", the_end_of_a_stream_is_readable, a_hangup_wakes_reader_and_writer,
              a_pipe_without_reader_wakes_its_writer, a_pipe_without_writer_wakes_its_reader,
              bad_descriptors_are_refused, a_descriptor_closed_while_watched_does_no_harm,
              a_number_that_came_back_is_watched_anew);
    ADD_TESTS(suite, "many", five_hundred_descriptors, each_allocation_of_a_watcher_fails_cleanly,
              a_table_that_cannot_grow_still_works);
    return run_suite(suite);
}
