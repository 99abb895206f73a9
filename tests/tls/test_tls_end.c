/* How connections that speak TLS end: one direction, both, in time or not; and what they hold while they are idle. */
#include "tls_test.h"

static struct world world;

/* ---- one direction ---- */

ASYNC_TEST(one_direction_ends_and_the_other_goes_on)
{
    cosy_stream *ends[2];
    char *chunk, buffer[6];
    tls_pair(&world, ends);
    ck_ok(cosy_write(ends[0], "question", 8));
    ck_ok(cosy_write_eof(ends[0]));
    ck_assert_int_eq(cosy_write(ends[0], "x", 1), -EPIPE);
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), 8);
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), 0);
    ck_assert(cosy_at_eof(ends[1]));
    ck_ok(cosy_write(ends[1], "answer", 6));
    ck_assert_int_eq(cosy_readexactly(ends[0], buffer, 6), 6);
    ck_assert_mem_eq(buffer, "answer", 6);
    ck_ok(cosy_write_eof(ends[1]));
    ck_assert_int_eq(cosy_read(ends[0], buffer, 6), 0);
    ck_assert(cosy_at_eof(ends[0]));
    close_both(ends); /* neither waits: all has been said */
    return 0;
}

ASYNC_TEST(an_end_that_has_to_wait_for_room)
{
    cosy_stream *ends[2];
    tls_pair(&world, ends);
    char *data = numbered(1 << 20);
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    cosy_task *writer = cosy_create_task(cosy_write, ends[0], data, (size_t)1 << 20);
    ck_ok(cosy_yield());
    cosy_task *ender = cosy_create_task(cosy_write_eof, ends[0]);
    some_turns(3);
    ck_assert(!cosy_task_done(writer) && !cosy_task_done(ender));
    ck_ok(take_everything(&pipe));
    ck_ok(pipe.result);
    ck_assert_uint_eq(pipe.size, 1 << 20);
    ck_ok(cosy_await(writer));
    ck_ok(cosy_await(ender));
    cosy_task_drop(writer);
    cosy_task_drop(ender);
    close_tls(ends);
    free(data);
    return 0;
}

/* ---- both ---- */

/* What was sent just before, and tickets that nobody has read, do not turn the end into a reset. */
ASYNC_TEST(a_close_waits_for_the_peers)
{
    cosy_stream *ends[2];
    int result = 1;
    char *chunk;
    tls_pair(&world, ends);
    ck_ok(cosy_write(ends[0], "last words", 10));
    cosy_task *closer = cosy_create_task(close_one, ends[0], &result);
    come_to_rest();
    ck_assert(!cosy_task_done(closer));
    ck_ok(cosy_write(ends[1], "to nobody", 9));
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), 10);
    ck_assert_int_eq(cosy_read_chunk(ends[1], &chunk), 0);
    come_to_rest();
    ck_assert(!cosy_task_done(closer));
    ck_ok(cosy_stream_close(ends[1]));
    ck_ok(cosy_await(closer));
    ck_ok(result);
    cosy_task_drop(closer);
    return 0;
}

/* A close sends what is buffered before it says goodbye. */
cosy_async static int write_and_close(cosy_stream *stream, const char *data, size_t size)
{
    ck_ok(cosy_set_write_buffer_limits(stream, 2 << 20, 0));
    ck_ok(cosy_write(stream, "", 0));
    for (size_t at = 0; at < size; at += 10000)
        ck_ok(cosy_write(stream, data + at, 10000));
    return cosy_stream_close(stream);
}

ASYNC_TEST(what_was_written_before_a_close_arrives)
{
    cosy_stream *ends[2];
    char *data = numbered(1000000);
    tls_pair(&world, ends);
    cosy_task *writer = cosy_create_task(write_and_close, ends[0], data, (size_t)1000000);
    come_to_rest();
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    ck_ok(take_everything(&pipe));
    ck_ok(pipe.result);
    ck_assert_uint_eq(pipe.size, 1000000);
    ck_ok(cosy_stream_close(ends[1]));
    ck_ok(cosy_await(writer));
    cosy_task_drop(writer);
    free(data);
    return 0;
}

ASYNC_TEST(a_peer_that_goes_without_goodbye_is_enough)
{
    cosy_stream *ends[2];
    int result = 1;
    tls_pair(&world, ends);
    cosy_task *closer = cosy_create_task(close_one, ends[0], &result);
    come_to_rest();
    cosy_stream_abort(ends[1]);
    ck_ok(cosy_await(closer));
    ck_ok(result);
    cosy_task_drop(closer);
    ck_ok(cosy_stream_close(ends[1]));
    return 0;
}

/* With its own limits. */
cosy_async static void limited_pair(cosy_stream *ends[2], cosy_ns limit)
{
    struct shaking shaking = {.contexts = {NULL, world.for_server}};
    ck_ok(cosy_stream_pair(shaking.ends));
    cosy_task *server = cosy_create_task(shake_one, &shaking, 1);
    ck_ok(cosy_start_tls(shaking.ends[0], world.for_client, .server_hostname = "example.test",
                         .shutdown_timeout = limit));
    ck_ok(cosy_await(server));
    cosy_task_drop(server);
    ck_ok(shaking.results[1]);
    memcpy(ends, shaking.ends, sizeof shaking.ends);
}

ASYNC_TEST(a_peer_that_does_not_answer_is_left)
{
    cosy_stream *ends[2];
    bool simulated = on_simulator();
    limited_pair(ends, simulated ? 0 : COSY_MS(20));
    cosy_ns began = cosy_loop_time(cosy_running_loop());
    ck_assert_int_eq(cosy_stream_close(ends[0]), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(cosy_error_message(-ETIMEDOUT), "the peer did not say goodbye in time"));
    cosy_ns took = cosy_loop_time(cosy_running_loop()) - began;
    ck_assert_int_ge(took, simulated ? COSY_S(30) : COSY_MS(20));
    if (simulated)
        ck_assert_int_lt(took, COSY_S(31));
    ck_ok(cosy_stream_close(ends[1]));
    limited_pair(ends, -1); /* not at all */
    began = cosy_loop_time(cosy_running_loop());
    ck_ok(cosy_stream_close(ends[0]));
    ck_assert_int_lt(cosy_loop_time(cosy_running_loop()) - began, COSY_S(1));
    char byte;
    ck_assert_int_eq(cosy_read(ends[1], &byte, 1), 0); /* it was told all the same */
    ck_ok(cosy_stream_close(ends[1]));
    return 0;
}

/* A task that is cancelled closes without waiting for others, and in spite of it. */
ASYNC_TEST(a_cancelled_close_closes)
{
    cosy_stream *ends[2];
    int result = 1;
    char byte;
    tls_pair(&world, ends);
    cosy_task *closer = cosy_create_task(close_one, ends[0], &result);
    come_to_rest();
    cosy_task_cancel(closer);
    ck_assert_int_eq(cosy_await(closer), -ECANCELED);
    ck_ok(result);
    cosy_task_drop(closer);
    ck_assert_int_eq(cosy_read(ends[1], &byte, 1), 0);
    ck_ok(cosy_stream_close(ends[1]));
    return 0;
}

/* ---- a flood ---- */

cosy_async static int flood(cosy_stream *stream)
{
    static char block[65536];
    int result;
    while ((result = cosy_write(stream, block, sizeof block)) == 0)
        ;
    return result == -ECANCELED ? result : 0;
}

ASYNC_TEST(a_peer_that_goes_on_sending_is_left)
{
    cosy_stream *ends[2];
    tls_pair(&world, ends);
    cosy_task *sender = cosy_create_task(flood, ends[1]);
    ck_ok(cosy_stream_close(ends[0]));
    ck_ok(cosy_await(sender));
    cosy_task_drop(sender);
    cosy_stream_close(ends[1]); /* its last bytes are lost, and it may say so */
    return 0;
}

/* ---- aborts ---- */

ASYNC_TEST(an_abort_is_no_goodbye)
{
    cosy_stream *ends[2];
    char byte;
    tls_pair(&world, ends);
    cosy_stream_abort(ends[0]);
    ck_assert_int_eq(cosy_read(ends[0], &byte, 1), -ECONNABORTED);
    ck_assert_int_eq(cosy_write(ends[0], &byte, 1), -ECONNABORTED);
    int result = (int)cosy_read(ends[1], &byte, 1);
    ck_assert_msg(result == -COSY_ETRUNCATED || result == -ECONNRESET, "%s", cosy_errname(result));
    close_both(ends);
    return 0;
}

/* Who waits there is told. */
cosy_async static int read_it(cosy_stream *stream)
{
    char byte;
    return (int)cosy_read(stream, &byte, 1);
}

ASYNC_TEST(readers_of_a_stream_that_is_closed)
{
    cosy_stream *ends[2];
    tls_pair(&world, ends);
    cosy_task *reader = cosy_create_task(read_it, ends[0]);
    ck_ok(cosy_yield());
    ck_ok(cosy_stream_close(ends[0]));
    ck_assert_int_eq(cosy_await(reader), -COSY_ECLOSED);
    cosy_task_drop(reader);
    ck_ok(cosy_stream_close(ends[1]));
    return 0;
}

/* A handshake under way ends with its stream. */
cosy_async static int start_it(cosy_stream *stream)
{
    return cosy_start_tls(stream, world.for_client, .server_hostname = "example.test");
}

ASYNC_TEST(handshakes_on_a_stream_that_is_closed)
{
    for (int way = 0; way < 3; way++) {
        cosy_stream *ends[2];
        ck_ok(cosy_stream_pair(ends));
        cosy_task *shaker = cosy_create_task(start_it, ends[0]);
        some_turns(3);
        if (way == 0)
            cosy_stream_abort(ends[0]);
        else if (way == 1)
            cosy_task_cancel(shaker);
        else
            ck_ok(cosy_stream_close(ends[0]));
        int result = cosy_await(shaker);
        ck_assert_int_eq(result, way == 0 ? -ECONNABORTED : way == 1 ? -ECANCELED : -COSY_ECLOSED);
        cosy_task_drop(shaker);
        if (way == 1) {
            char byte;
            ck_assert_int_eq(cosy_read(ends[0], &byte, 1), -ECONNABORTED);
            ck_assert_int_eq(cosy_write(ends[0], &byte, 1), -ECONNABORTED);
        }
        if (way != 2)
            ck_ok(cosy_stream_close(ends[0]));
        ck_ok(cosy_stream_close(ends[1]));
    }
    return 0;
}

/* ---- with the loop ---- */

static cosy_stream *left_behind[2];

cosy_async static int leave_behind(void)
{
    tls_pair(&world, left_behind);
    ck_ok(cosy_write(left_behind[0], "x", 1));
    return 0;
}

START_TEST(a_stream_that_outlives_its_loop_can_be_closed)
{
    ck_ok(cosy_run(leave_behind));
    ck_ok(cosy_stream_close(left_behind[0]));
    ck_ok(cosy_stream_close(left_behind[1]));
}
END_TEST

/* ---- memory ---- */

ASYNC_TEST(an_idle_connection_holds_no_buffers)
{
    cosy_stream *ends[2];
    char *data = numbered(100000);
    tls_pair(&world, ends);
    struct drain_pipe pipe = {.stream = ends[1], .numbered = true};
    cosy_task *reader = cosy_create_task(take_everything, &pipe);
    ck_ok(cosy_write(ends[0], data, 100000));
    ck_ok(cosy_flush(ends[0]));
    come_to_rest();
    ck_assert_uint_eq(pipe.size, 100000);
    ck_assert_ptr_null(ends[1]->in);
    ck_assert_ptr_null(ends[0]->out);
    ck_assert_ptr_null(ends[0]->in);
    ck_ok(cosy_write_eof(ends[0]));
    ck_ok(cosy_await(reader));
    cosy_task_drop(reader);
    close_tls(ends);
    free(data);
    return 0;
}

int main(void)
{
    const TTest *const tests[] = {one_direction_ends_and_the_other_goes_on,
                                  an_end_that_has_to_wait_for_room,
                                  a_close_waits_for_the_peers,
                                  what_was_written_before_a_close_arrives,
                                  a_peer_that_goes_without_goodbye_is_enough,
                                  a_peer_that_does_not_answer_is_left,
                                  a_cancelled_close_closes,
                                  a_peer_that_goes_on_sending_is_left,
                                  an_abort_is_no_goodbye,
                                  readers_of_a_stream_that_is_closed,
                                  handshakes_on_a_stream_that_is_closed,
                                  a_stream_that_outlives_its_loop_can_be_closed,
                                  an_idle_connection_holds_no_buffers};
    make_world(&world);
    int result = cosy_test_main("tls.end", tests, sizeof tests / sizeof *tests);
    end_world(&world);
    return result;
}
