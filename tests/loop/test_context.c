/* Context variables: who sees what, in callbacks, watchers, signals and shared contexts. */
#include "loop_test.h"

#include <pthread.h>
#include <sched.h>

static char none[] = "none";
static cosy_contextvar color = COSY_CONTEXTVAR("color", none);
static cosy_contextvar size = COSY_CONTEXTVAR("size", NULL);

static const char *the_color(void)
{
    return cosy_contextvar_get(&color);
}
static int set_text(const char *value, cosy_contexttoken *token)
{
    return cosy_contextvar_set(&color, (void *)(uintptr_t)value, token);
}
static void set_color(const char *value)
{
    ck_assert_int_eq(set_text(value, NULL), 0);
}

static void turn(cosy_loop *loop)
{
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
}

/* A callback that notes what it sees, and then sets it to "changed". */
static void look(void *arg)
{
    snprintf(arg, 32, "%s", the_color());
    set_color("changed");
}

/* ---- one context ---- */

START_TEST(an_unset_variable_has_its_fallback)
{
    ck_assert_str_eq(the_color(), "none");
    ck_assert_ptr_null(cosy_contextvar_get(&size));
    set_color("red");
    ck_assert_str_eq(the_color(), "red");
    ck_assert_ptr_null(cosy_contextvar_get(&size));
    ck_assert_int_eq(cosy_contextvar_set(&color, NULL, NULL), 0); /* NULL is a value */
    ck_assert_ptr_null(cosy_contextvar_get(&color));
}
END_TEST

START_TEST(many_variables)
{
    enum { MANY = 100 };
    static cosy_contextvar vars[MANY];
    for (uintptr_t i = 0; i < MANY; i++)
        ck_assert_int_eq(cosy_contextvar_set(&vars[i], (void *)(i + 1), NULL), 0);
    for (uintptr_t i = 0; i < MANY; i += 3)
        ck_assert_int_eq(cosy_contextvar_set(&vars[i], (void *)(i + 1000), NULL), 0);
    for (uintptr_t i = 0; i < MANY; i++)
        ck_assert_uint_eq((uintptr_t)cosy_contextvar_get(&vars[i]), i % 3 ? i + 1 : i + 1000);
}
END_TEST

/* ---- tokens ---- */

START_TEST(reset_brings_the_former_value_back)
{
    cosy_contexttoken first, second;
    ck_assert_int_eq(set_text("red", &first), 0);
    ck_assert_int_eq(set_text("blue", &second), 0);
    ck_assert_int_eq(cosy_contextvar_reset(&second), 0);
    ck_assert_str_eq(the_color(), "red");
    ck_assert_int_eq(cosy_contextvar_reset(&first), 0);
    ck_assert_str_eq(the_color(), "none");
}
END_TEST

START_TEST(tokens_may_be_used_in_any_order)
{
    cosy_contexttoken first, second;
    set_text("red", &first);
    set_text("blue", &second);
    ck_assert_int_eq(cosy_contextvar_reset(&first), 0);
    ck_assert_str_eq(the_color(), "none");
    ck_assert_int_eq(cosy_contextvar_reset(&second), 0);
    ck_assert_str_eq(the_color(), "red");
}
END_TEST

START_TEST(a_token_is_used_once)
{
    cosy_contexttoken token;
    set_text("red", &token);
    ck_assert_int_eq(cosy_contextvar_reset(&token), 0);
    set_color("green");
    ck_assert_int_eq(cosy_contextvar_reset(&token), -EINVAL);
    ck_assert_str_eq(the_color(), "green");
    cosy_contexttoken never_set = {0};
    ck_assert_int_eq(cosy_contextvar_reset(&never_set), -EINVAL);
}
END_TEST

static cosy_contexttoken shared_token;
static void take_token(void *arg)
{
    (void)arg;
    ck_assert_int_eq(set_text("token", &shared_token), 0);
}
static void use_foreign_token(void *arg)
{
    ck_assert_int_eq(cosy_contextvar_reset(&shared_token), -EINVAL);
    ++*(int *)arg;
}

START_TEST(a_token_of_another_context_is_refused)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_context *context = cosy_context_new();
    set_text("outer", &shared_token);
    cosy_context_run(context, use_foreign_token, &ran); /* outside's, used inside */
    cosy_context_run(context, take_token, NULL);
    use_foreign_token(&ran); /* inside's, used outside */
    set_text("outer", &shared_token);
    cosy_call_soon(loop, use_foreign_token, &ran, NULL); /* the caller's, used in a callback's copy */
    turn(loop);
    ck_assert_int_eq(ran, 3);
    ck_assert_int_eq(cosy_contextvar_reset(&shared_token), 0); /* and here it still holds */
    cosy_call_soon(loop, take_token, NULL, NULL);
    cosy_call_soon(loop, use_foreign_token, &ran, NULL); /* one callback's, used in another */
    turn(loop);
    ck_assert_int_eq(ran, 4);
    use_foreign_token(&ran);
    cosy_context_run(context, take_token, NULL);
    ck_assert_int_eq(cosy_call_soon_in(loop, context, take_token, NULL, NULL), 0);
    turn(loop);
    use_foreign_token(&ran);
    cosy_context_drop(context);
    cosy_loop_free(loop);
}
END_TEST

static void use_own_token(void *arg)
{
    ck_assert_int_eq(cosy_contextvar_reset(&shared_token), 0);
    ++*(int *)arg;
}

START_TEST(those_that_share_a_context_share_its_tokens)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_context *context = cosy_context_new();
    cosy_call_soon_in(loop, context, take_token, NULL, NULL);
    cosy_call_soon_in(loop, context, use_own_token, &ran, NULL);
    turn(loop);
    ck_assert_int_eq(ran, 1);
    cosy_context_drop(context);
    cosy_loop_free(loop);
}
END_TEST

/* ---- running in a context ---- */

START_TEST(changes_made_in_a_context_stay_there)
{
    char seen[32];
    set_color("red");
    cosy_context *copy = cosy_context_copy();
    set_color("blue");
    cosy_context_run(copy, look, seen);
    ck_assert_str_eq(seen, "red");
    ck_assert_str_eq(the_color(), "blue");
    cosy_context_run(copy, look, seen);
    ck_assert_str_eq(seen, "changed");
    cosy_context_drop(copy);
    cosy_context *empty = cosy_context_new();
    cosy_context_run(empty, look, seen);
    ck_assert_str_eq(seen, "none");
    cosy_context_drop(empty);
    cosy_context_run(NULL, look, seen); /* an empty one, thrown away */
    ck_assert_str_eq(seen, "none");
    ck_assert_str_eq(the_color(), "blue");
    cosy_context_drop(NULL);
}
END_TEST

static void drop_context_and_look(void *arg)
{
    cosy_context_drop(*(cosy_context **)arg);
    ck_assert_str_eq(the_color(), "red");
    set_color("changed");
    ck_assert_str_eq(the_color(), "changed");
}

START_TEST(a_context_lives_while_it_runs)
{
    set_color("red");
    cosy_context *context = cosy_context_copy();
    cosy_context_run(context, drop_context_and_look, &context);
    ck_assert_str_eq(the_color(), "red");
}
END_TEST

static void run_nested(void *arg)
{
    char seen[32];
    cosy_context_run(arg, look, seen);
    ck_assert_str_eq(seen, "inner");
    ck_assert_str_eq(the_color(), "outer");
}

START_TEST(runs_nest)
{
    set_color("inner");
    cosy_context *inner = cosy_context_copy();
    set_color("outer");
    cosy_context *outer = cosy_context_copy();
    set_color("red");
    cosy_context_run(outer, run_nested, inner);
    ck_assert_str_eq(the_color(), "red");
    cosy_context_drop(inner);
    cosy_context_drop(outer);
}
END_TEST

static void enter_itself(void *context)
{
    char seen[32];
    set_color("outer");
    cosy_context_run(context, look, seen);
    ck_assert_str_eq(seen, "outer");
    ck_assert_str_eq(the_color(), "changed");
}

START_TEST(a_context_may_be_entered_within_itself) /* test_context_run_7 of CPython's test_context.py: refused there */
{
    char seen[32];
    cosy_context *context = cosy_context_new();
    cosy_context_run(context, enter_itself, context);
    cosy_context_run(context, look, seen);
    ck_assert_str_eq(seen, "changed");
    ck_assert_str_eq(the_color(), "none");
    cosy_context_drop(context);
}
END_TEST

static void copy_inside(void *ret_copy)
{
    char seen[32];
    set_color("ten");
    cosy_context *copy = cosy_context_copy();
    set_color("twenty");
    cosy_context_run(copy, look, seen);
    ck_assert_str_eq(seen, "ten");
    ck_assert_str_eq(the_color(), "twenty");
    *(cosy_context **)ret_copy = copy;
}

START_TEST(a_copy_made_inside_goes_its_own_way) /* test_context_copy_1, test_context_run_4 */
{
    char seen[32];
    cosy_context *context = cosy_context_new(), *copy;
    cosy_context_run(context, copy_inside, &copy);
    cosy_context_run(context, look, seen);
    ck_assert_str_eq(seen, "twenty");
    cosy_context_run(copy, look, seen);
    ck_assert_str_eq(seen, "changed");
    cosy_context_drop(context);
    cosy_context_drop(copy);
}
END_TEST

static void set_then_reset(void *arg)
{
    (void)arg;
    cosy_contexttoken token;
    ck_assert_int_eq(set_text("one", &token), 0);
    ck_assert_int_eq(cosy_contextvar_reset(&token), 0);
}

START_TEST(what_was_reset_is_gone_from_its_context) /* test_context_getset_3 */
{
    char seen[32];
    cosy_context *context = cosy_context_new();
    cosy_context_run(context, set_then_reset, NULL);
    cosy_context_run(context, look, seen);
    ck_assert_str_eq(seen, "none");
    cosy_context_drop(context);
}
END_TEST

struct setter {
    int number, wrong;
};

static void set_again_and_again(void *arg)
{
    static char texts[4][10][8];
    struct setter *me = arg;
    for (int i = 0; i < 10; i++) {
        char *text = texts[me->number][i];
        snprintf(text, sizeof texts[0][0], "%d-%d", me->number, i);
        me->wrong += set_text(text, NULL) != 0;
        sched_yield();
        me->wrong += the_color() != text;
    }
}

static void *set_in_a_thread(void *arg)
{
    cosy_context_run(NULL, set_again_and_again, arg);
    return NULL;
}

START_TEST(threads_have_contexts_of_their_own) /* test_context_threads_1 */
{
    pthread_t threads[4];
    struct setter setters[4] = {{0}};
    set_color("mine");
    for (int i = 0; i < 4; i++) {
        setters[i].number = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, set_in_a_thread, &setters[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(setters[i].wrong, 0);
    }
    ck_assert_str_eq(the_color(), "mine");
}
END_TEST

/* ---- callbacks ---- */

START_TEST(a_callback_runs_in_a_copy_taken_when_it_was_given)
{
    cosy_loop *loop = new_loop();
    char soon[32], later[32];
    cosy_handle *handle;
    set_color("red");
    cosy_call_soon(loop, look, soon, NULL);
    cosy_call_later(loop, 0, look, later, &handle);
    set_color("blue");
    turn(loop);
    ck_assert_str_eq(soon, "red");
    ck_assert_str_eq(later, "red");
    ck_assert_str_eq(the_color(), "blue"); /* what they changed was their own */
    cosy_handle_drop(handle);
    cosy_loop_free(loop);
}
END_TEST

static char grandchild_saw[32];
static void set_and_call(void *arg)
{
    set_color("child's");
    cosy_call_soon(arg, look, grandchild_saw, NULL);
    set_color("too late");
}

START_TEST(a_callback_hands_its_context_on)
{
    cosy_loop *loop = new_loop();
    set_color("red");
    cosy_call_soon(loop, set_and_call, loop, NULL);
    turn(loop);
    turn(loop);
    ck_assert_str_eq(grandchild_saw, "child's");
    ck_assert_str_eq(the_color(), "red");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(callbacks_may_share_a_context)
{
    cosy_loop *loop = new_loop();
    char first[32], second[32], third[32];
    cosy_context *context = cosy_context_new();
    cosy_call_soon_in(loop, context, look, first, NULL);
    cosy_call_soon_in(loop, context, look, second, NULL);
    cosy_context_drop(context); /* each waiting callback holds it */
    turn(loop);
    ck_assert_str_eq(first, "none");
    ck_assert_str_eq(second, "changed");
    set_color("red");
    cosy_call_soon_in(loop, NULL, look, third, NULL);
    turn(loop);
    ck_assert_str_eq(third, "none");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(threadsafe_and_own_handles_run_in_an_empty_context)
{
    cosy_loop *loop = new_loop();
    char safe[32], mine[32];
    cosy_handle handle;
    set_color("red");
    cosy_call_soon_threadsafe(loop, look, safe, NULL);
    cosy_handle_init(&handle, look, mine);
    cosy_handle_start_soon(loop, &handle);
    turn(loop);
    ck_assert_str_eq(safe, "none");
    ck_assert_str_eq(mine, "none");
    ck_assert_str_eq(the_color(), "red");
    cosy_loop_free(loop);
}
END_TEST

START_TEST(watchers_and_signals_run_in_the_context_of_their_registration)
{
    cosy_loop *loop = new_loop();
    int pair[2];
    char reader[32], handler[32];
    make_pair(pair);
    put_byte(pair[1]);
    set_color("red");
    cosy_add_reader(loop, pair[0], look, reader);
    set_color("green");
    cosy_add_signal_handler(loop, SIGUSR1, look, handler);
    set_color("blue");
    for (int i = 0; i < 2; i++) {
        raise(SIGUSR1);
        turn(loop);
        ck_assert_str_eq(reader, "red");
        ck_assert_str_eq(handler, "green");
        ck_assert_str_eq(the_color(), "blue");
    }
    cosy_loop_free(loop);
    close_pair(pair);
}
END_TEST

START_TEST(a_cancelled_callback_gives_its_context_back_when_it_is_skipped)
{
    cosy_loop *loop = new_loop();
    int ran = 0;
    cosy_handle *soon, *due;
    set_color("red");
    cosy_call_soon(loop, count, &ran, &soon);
    cosy_handle_cancel(soon);
    cosy_handle_drop(soon);
    cosy_call_later(loop, 0, count, &ran, &due);
    set_color("blue");
    turn(loop);
    cosy_call_soon(loop, count, &ran, &soon);
    cosy_handle_cancel(soon);
    turn(loop); /* LSan counts */
    cosy_handle_drop(soon);
    cosy_handle_drop(due);
    ck_assert_int_eq(ran, 1);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(what_never_runs_gives_its_context_back)
{
    cosy_loop *loop = new_loop();
    int ran = 0, pair[2];
    make_pair(pair);
    put_byte(pair[1]);
    cosy_handle *soon, *later;
    set_color("red");
    cosy_call_soon(loop, count, &ran, &soon);
    cosy_call_later(loop, COSY_S(1), count, &ran, &later);
    cosy_handle_cancel(soon);
    cosy_handle_cancel(later);
    cosy_call_soon(loop, count, &ran, NULL);
    cosy_call_later(loop, COSY_S(1), count, &ran, NULL);
    cosy_context *context = cosy_context_copy();
    cosy_call_soon_in(loop, context, count, &ran, NULL);
    cosy_context_drop(context);
    cosy_add_reader(loop, pair[0], count, &ran);
    cosy_loop_free(loop); /* LSan counts */
    cosy_handle_drop(soon);
    cosy_handle_drop(later);
    ck_assert_int_eq(ran, 0);
    close_pair(pair);
}
END_TEST

/* ---- without memory ---- */

static int set_and_reset(void *arg)
{
    (void)arg;
    cosy_contexttoken token = {0};
    const char *before = the_color();
    int result = set_text("set", &token);
    if (result < 0) {
        ck_assert_str_eq(the_color(), before);
        return result;
    }
    ck_assert_str_eq(the_color(), "set");
    result = cosy_contextvar_reset(&token);
    if (result < 0) {
        ck_assert_str_eq(the_color(), "set");
        cosy_heap_fail_nth(0, false);
        ck_assert_int_eq(cosy_contextvar_reset(&token), 0); /* the token is still good */
        cosy_heap_fail_nth(1000000, false);
        return -ENOMEM;
    }
    ck_assert_str_eq(the_color(), before);
    return 0;
}

START_TEST(each_allocation_of_a_set_fails_cleanly)
{
    set_and_reset(NULL);
    for (int n = 1; n <= 2; n++) {
        cosy_heap_fail_nth(n, false);
        ck_assert_int_eq(set_and_reset(NULL), -ENOMEM);
        cosy_heap_fail_nth(0, false);
    }
    cosy_heap_fail_nth(3, false);
    ck_assert_int_eq(set_and_reset(NULL), 0);
    cosy_heap_fail_nth(1, false);
    ck_assert_ptr_null(cosy_context_copy());
    cosy_heap_fail_nth(1, false);
    ck_assert_ptr_null(cosy_context_new());
    cosy_heap_fail_nth(0, false);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("context");
    ADD_TESTS(suite, "variables", an_unset_variable_has_its_fallback, many_variables,
              each_allocation_of_a_set_fails_cleanly);
    ADD_TESTS(suite, "tokens", reset_brings_the_former_value_back, tokens_may_be_used_in_any_order,
              a_token_is_used_once, a_token_of_another_context_is_refused, those_that_share_a_context_share_its_tokens);
    ADD_TESTS(suite, "run", changes_made_in_a_context_stay_there, a_context_lives_while_it_runs, runs_nest,
              a_context_may_be_entered_within_itself, a_copy_made_inside_goes_its_own_way,
              what_was_reset_is_gone_from_its_context, threads_have_contexts_of_their_own);
    ADD_TESTS(suite, "callbacks", a_callback_runs_in_a_copy_taken_when_it_was_given, a_callback_hands_its_context_on,
              callbacks_may_share_a_context, threadsafe_and_own_handles_run_in_an_empty_context,
              watchers_and_signals_run_in_the_context_of_their_registration,
              a_cancelled_callback_gives_its_context_back_when_it_is_skipped, what_never_runs_gives_its_context_back);
    return run_suite(suite);
}
