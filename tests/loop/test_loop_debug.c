/* What a loop says of errors and of slow or misplaced callbacks, and what it counts. */
#include <cosy.h>

#include "loop_test.h"

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

int main(void)
{
    Suite *suite = suite_create("loop_debug");
    ADD_TESTS(suite, "errors", the_exception_handler_is_called_or_the_default_writes_to_the_log,
              debug_mode_comes_from_options_call_or_environment, debug_mode_reports_slow_callbacks,
              debug_mode_refuses_calls_from_a_wrong_thread, counters_count);
    return run_suite(suite);
}
