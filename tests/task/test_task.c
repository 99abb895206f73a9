/* Tasks: their life, eager starts, names, contexts, lists, and the reports of what nobody asked about. */
#include "../harness/cosy_test.h"

static int give(int value)
{
    return value;
}

static int note_start(const char *name)
{
    note("%s", name);
    return 0;
}

static int note_turns(const char *name, int turns)
{
    for (int i = 0; i < turns; i++) {
        note("%s%d", name, i);
        cosy_try(cosy_yield());
    }
    note("%s.", name);
    return turns;
}

/* ---- life ---- */

ASYNC_TEST(body_begins_in_the_next_turn)
{
    cosy_scoped(cosy_task) t = cosy_create_task(note_start, "body");
    ck_assert(!cosy_task_done(t));
    note("created");
    ck_assert_int_eq(cosy_task_result(t, NULL), -COSY_EINVALIDSTATE);
    ck_assert_int_eq(cosy_await(t), 0);
    note("awaited");
    ck_assert_noted("created body awaited");
    ck_assert(cosy_task_done(t) && !cosy_task_cancelled(t));
    return 0;
}

ASYNC_TEST(result_stays_with_the_handle)
{
    cosy_scoped(cosy_task) t = cosy_create_task(give, 42);
    int64_t value = 0;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(cosy_await(t), 42);
    ck_assert_int_eq(cosy_task_result(t, &value), 0);
    ck_assert_int_eq(value, 42);
    ck_assert_int_eq(cosy_task_error(t), 0);
    return 0;
}

ASYNC_TEST(error_stays_with_the_handle)
{
    cosy_scoped(cosy_task) t = cosy_create_task(give, -ENOENT);
    ck_assert_int_eq(cosy_await(t), -ENOENT);
    ck_assert_int_eq(cosy_task_result(t, NULL), -ENOENT);
    ck_assert_int_eq(cosy_task_error(t), -ENOENT);
    ck_assert(!cosy_task_cancelled(t));
    return 0;
}

static int64_t give_long(int64_t value)
{
    return value;
}

ASYNC_TEST(numbers_that_are_no_code_do_not_look_like_success)
{
    cosy_scoped(cosy_task) big = cosy_create_task(give_long, INT64_MAX);
    cosy_scoped(cosy_task) small = cosy_create_task(give_long, -4294967295); /* 1, cut to an int */
    int64_t value;
    ck_assert_int_eq(cosy_await(big), -EOVERFLOW);
    ck_assert_int_eq(cosy_task_result(big, &value), 0);
    ck_assert(value == INT64_MAX);
    ck_assert_int_eq(cosy_await(small), -EOVERFLOW);
    ck_assert_int_eq(cosy_task_error(small), -EOVERFLOW);
    return 0;
}

ASYNC_TEST(tasks_take_turns_in_order_of_creation)
{
    cosy_scoped(cosy_task) a = cosy_create_task(note_turns, "a", 2);
    cosy_scoped(cosy_task) b = cosy_create_task(note_turns, "b", 3);
    cosy_scoped(cosy_task) c = cosy_create_task(note_turns, "c", 1);
    ck_assert_int_eq(cosy_gather(a, b, c), 0);
    ck_assert_noted("a0 b0 c0 a1 b1 c. a. b2 b.");
    return 0;
}

/* A saved stack pointer is of one wait only: a task that is alone in its turns must not go on at an older one. */
static __attribute__((noinline)) int yield_below(int depth)
{
    char frame[256];
    memset(frame, depth, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    int result = depth > 0 ? yield_below(depth - 1) : cosy_yield();
    int wrong = 0;
    for (size_t i = 0; i < sizeof frame; i++)
        wrong += frame[i] != (char)depth;
    ck_assert_int_eq(wrong, 0);
    return result;
}

ASYNC_TEST(a_lone_task_yields_from_any_depth)
{
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(yield_below(i % 9), 0);
    return 0;
}

static int yield_to_depth(int depth)
{
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(yield_below((depth + i) % 7), 0);
    return depth;
}

ASYNC_TEST(many_tasks_yield_from_any_depth)
{
    enum { TASKS = 40 };
    cosy_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(yield_to_depth, i);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), i);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

ASYNC_TEST(dropping_a_running_task_detaches_it)
{
    cosy_task *t = cosy_create_task(note_turns, "t", 1);
    cosy_task_drop(t);
    for (int i = 0; i < 3; i++)
        cosy_try(cosy_yield());
    ck_assert_noted("t0 t.");
    return 0;
}

ASYNC_TEST(a_handle_outlives_the_loop)
{
    cosy_task *t = cosy_create_task(give, 3);
    ck_assert_int_eq(cosy_await(t), 3);
    ck_assert_ptr_eq(cosy_task_ref(t), t);
    cosy_task_drop(t);
    int64_t value;
    ck_assert_int_eq(cosy_task_result(t, &value), 0);
    cosy_task_drop(t);
    cosy_task_drop(NULL);
    return 0;
}

START_TEST(an_idle_loop_takes_tasks)
{
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *t = cosy_create_task_with((.loop = loop), give, 8);
    ck_assert_ptr_eq(cosy_task_loop(t), loop);
    ck_assert_int_eq(cosy_run_until_complete(loop, t), 8);
    cosy_task_drop(t);
    cosy_loop_free(loop);
}
END_TEST

/* ---- eager start ---- */

static int eager_child(const char *name, int turns)
{
    note("%s:%s", name, cosy_task_name(cosy_current_task()));
    for (int i = 0; i < turns; i++)
        cosy_try(cosy_yield());
    note("%s.", name);
    return turns;
}

ASYNC_TEST(eager_task_that_does_not_wait_is_done_at_once)
{
    cosy_task *me = cosy_current_task();
    size_t before = cosy_all_tasks(NULL, NULL, 0);
    cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true, .name = "E"), eager_child, "x", 0);
    note("after");
    ck_assert_noted("x:E x. after");
    ck_assert(cosy_task_done(t));
    ck_assert_ptr_eq(cosy_current_task(), me);
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), before);
    ck_assert_int_eq(cosy_await(t), 0);
    return 0;
}

ASYNC_TEST(eager_task_that_waits_goes_on_later)
{
    cosy_scoped(cosy_task) other = cosy_create_task(note_start, "other");
    cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true, .name = "E"), eager_child, "x", 1);
    note("after");
    ck_assert(!cosy_task_done(t));
    ck_assert_int_eq(cosy_await(t), 1);
    ck_assert_noted("x:E after other x.");
    return 0;
}

static int eager_nest(int depth)
{
    cosy_task *me = cosy_current_task();
    note("in%d", depth);
    if (depth > 0) {
        cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true), eager_nest, depth - 1);
        ck_assert_ptr_eq(cosy_current_task(), me);
        note("back%d", depth);
        ck_assert_int_eq(cosy_await(t), depth - 1);
    } else
        cosy_try(cosy_yield());
    note("out%d", depth);
    return depth;
}

ASYNC_TEST(eager_tasks_nest)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true), eager_nest, 2);
    ck_assert_noted("in2 in1 in0 back1 back2");
    ck_assert_int_eq(cosy_await(t), 2);
    ck_assert_noted("out0 out1 out2");
    return 0;
}

static cosy_task *made_by_callback;

static void make_eagerly(void *arg)
{
    int turns = *(int *)arg;
    ck_assert_ptr_null(cosy_current_task());
    made_by_callback = cosy_create_task_with((.eager_start = true, .name = "C"), eager_child, "x", turns);
    ck_assert_ptr_null(cosy_current_task());
    note("callback%d", cosy_task_done(made_by_callback));
}

ASYNC_TEST(eager_task_of_a_callback)
{
    for (int turns = 0; turns < 2; turns++) {
        made_by_callback = NULL;
        ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), make_eagerly, &turns, NULL), 0);
        cosy_try(cosy_yield());
        ck_assert_int_eq(cosy_await(made_by_callback), turns);
        cosy_task_drop(made_by_callback);
    }
    ck_assert_noted("x:C x. callback1 x:C callback0 x.");
    return 0;
}

ASYNC_TEST(eager_task_that_fails_at_once)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true), give, -EPERM);
    ck_assert(cosy_task_done(t));
    ck_assert_int_eq(cosy_await(t), -EPERM);
    return 0;
}

static int cancel_self_and(int turns)
{
    ck_assert(cosy_task_cancel(cosy_current_task()));
    int result = 0;
    for (int i = 0; i < turns && result == 0; i++)
        result = cosy_yield();
    note("%s", result == -ECANCELED ? "cancelled" : "went on");
    return result;
}

ASYNC_TEST(eager_task_that_is_cancelled)
{
    cosy_scoped(cosy_task) at_once = cosy_create_task_with((.eager_start = true), cancel_self_and, 0);
    ck_assert(cosy_task_cancelled(at_once));
    cosy_scoped(cosy_task) waiting = cosy_create_task_with((.eager_start = true), cancel_self_and, 1);
    ck_assert_int_eq(cosy_await(waiting), -ECANCELED);
    cosy_scoped(cosy_task) later = cosy_create_task_with((.eager_start = true), eager_child, "x", 5);
    ck_assert(cosy_task_cancel(later)); /* it has begun: it meets the cancel at its wait */
    ck_assert_int_eq(cosy_await(later), -ECANCELED);
    ck_assert(cosy_task_cancelled(later));
    noted[0] = '\0';
    return 0;
}

static cosy_contextvar var = COSY_CONTEXTVAR("var", TEXT("unset"));
static const char *get_var(void)
{
    return cosy_contextvar_get(&var);
}
static int set_var(const char *value)
{
    return cosy_contextvar_set(&var, TEXT(value), NULL);
}

static int see_and_set(const char *value)
{
    note("sees:%s", get_var());
    cosy_try(set_var(value));
    cosy_try(cosy_yield());
    note("has:%s", get_var());
    return 0;
}

ASYNC_TEST(eager_steps_run_in_the_tasks_context)
{
    cosy_try(set_var("mine"));
    cosy_scoped(cosy_task) t = cosy_create_task_with((.eager_start = true), see_and_set, "its");
    ck_assert_str_eq(get_var(), "mine");
    cosy_try(cosy_await(t));
    ck_assert_noted("sees:mine has:its");
    return 0;
}

START_TEST(eager_start_needs_a_running_loop)
{
    cosy_loop *loop;
    capture_log();
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *t = cosy_create_task_with((.loop = loop, .eager_start = true), give, 1);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(cosy_task_result(t, NULL), -COSY_ENOLOOP);
    ck_assert_contains(logged, "an eager task needs its loop to be running: coroutine 'give' created at ");
    cosy_loop_free(loop);
}
END_TEST

/* ---- names, ids, sites ---- */

ASYNC_TEST(names_and_ids)
{
    char name[] = "chosen", expected[40];
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = name), give, 1);
    name[0] = 'X'; /* it was copied */
    ck_assert_str_eq(cosy_task_name(t), "chosen");
    ck_assert_int_eq(cosy_task_set_name(t, "better"), 0);
    ck_assert_int_eq(cosy_task_set_name(t, cosy_task_name(t)), 0);
    ck_assert_str_eq(cosy_task_name(t), "better");
    ck_assert_int_eq(cosy_task_set_name(t, NULL), -EINVAL);
    cosy_scoped(cosy_task) u = cosy_create_task(give, 2);
    snprintf(expected, sizeof expected, "Task-%llu", (unsigned long long)cosy_task_id(u));
    ck_assert_str_eq(cosy_task_name(u), expected);
    ck_assert(cosy_task_id(u) > cosy_task_id(t));
    ck_assert_str_eq(cosy_task_name(NULL), "");
    ck_assert_uint_eq(cosy_task_id(NULL), 0);
    return cosy_gather(t, u) < 0;
}

static int make_child(cosy_task **ret_child)
{
    *ret_child = cosy_create_task(give, 5);
    return *ret_child ? 0 : -ENOMEM;
}

static void make_in_callback(void *arg)
{
    *(cosy_task **)arg = cosy_create_task(give, 6);
}

ASYNC_TEST(sites_and_parents)
{
    const char *file, *func;
    unsigned line, here;
    cosy_task *child, *orphan = NULL;
    cosy_scoped(cosy_task) parent = (here = __LINE__, cosy_create_task(make_child, &child));
    cosy_task_site(parent, &file, &line, &func);
    ck_assert_str_eq(file, __FILE__);
    ck_assert_uint_eq(line, here);
    ck_assert_str_eq(func, __func__);
    ck_assert_str_eq(cosy_task_function(parent), "make_child");
    cosy_task_site(parent, NULL, NULL, NULL);
    ck_assert_int_eq(cosy_await(parent), 0);
    ck_assert(cosy_task_parent_id(child) == cosy_task_id(parent));
    ck_assert(cosy_task_parent_id(parent) == cosy_task_id(cosy_current_task()));
    ck_assert_uint_eq(cosy_task_parent_id(cosy_current_task()), 0);
    ck_assert_int_eq(cosy_call_soon(cosy_running_loop(), make_in_callback, &orphan, NULL), 0);
    cosy_try(cosy_yield());
    ck_assert_uint_eq(cosy_task_parent_id(orphan), 0);
    ck_assert_int_eq(cosy_gather(child, orphan), 0);
    cosy_task_drop(child);
    cosy_task_drop(orphan);
    return 0;
}

ASYNC_TEST(states_of_a_task)
{
    struct cosy_coro_info info;
    cosy_scoped(cosy_future) f = cosy_future_new(NULL);
    cosy_scoped(cosy_task) t = cosy_create_task(cosy_await_future_, f);
    ck_assert_int_eq(cosy_task_info(t, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_CREATED);
    ck_assert_str_eq(info.name, "cosy_await_future_");
    size_t small = info.bytes;
    cosy_try(cosy_yield());
    ck_assert_int_eq(cosy_task_info(t, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_SUSPENDED);
    ck_assert_ptr_eq(info.awaiting, f);
    ck_assert(info.bytes >= cosy_task_stack_size(t) && info.bytes > small);
    ck_assert_int_eq(cosy_task_info(cosy_current_task(), &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_RUNNING);
    cosy_future_set_result(f, 1);
    ck_assert_int_eq(cosy_await(t), 1);
    ck_assert_int_eq(cosy_task_info(t, &info), 0);
    ck_assert_int_eq(info.state, COSY_CORO_CLOSED);
    ck_assert_ptr_null(info.awaiting);
    ck_assert_int_eq(cosy_task_info(NULL, &info), -EINVAL);
    return 0;
}

/* ---- lists and weak references ---- */

ASYNC_TEST(all_tasks_are_the_unfinished_ones)
{
    cosy_scoped(cosy_task) a = cosy_create_task(note_turns, "a", 1);
    cosy_scoped(cosy_task) b = cosy_create_task(note_turns, "b", 5);
    cosy_task *tasks[8];
    ck_assert_uint_eq(cosy_all_tasks(NULL, tasks, 8), 3);
    ck_assert_ptr_eq(tasks[0], cosy_current_task());
    ck_assert_ptr_eq(tasks[1], a);
    ck_assert_ptr_eq(tasks[2], b);
    tasks[1] = NULL;
    ck_assert_uint_eq(cosy_all_tasks(cosy_running_loop(), tasks, 1), 3); /* told, though there is room for one */
    ck_assert_ptr_null(tasks[1]);
    ck_assert_int_eq(cosy_await(a), 1);
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), 2);
    ck_assert_int_eq(cosy_await(b), 5);
    noted[0] = '\0';
    return 0;
}

START_TEST(there_are_no_tasks_without_a_loop)
{
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), 0);
    ck_assert_ptr_null(cosy_current_task());
}
END_TEST

ASYNC_TEST(weak_references_go_stale)
{
    cosy_task *t = cosy_create_task(give, 1);
    cosy_weak weak = cosy_task_weak(t);
    cosy_task *again = cosy_weak_task(weak);
    ck_assert_ptr_eq(again, t);
    cosy_task_drop(again);
    ck_assert_int_eq(cosy_await(t), 1);
    again = cosy_weak_task(weak); /* done, but there is a handle */
    ck_assert_ptr_eq(again, t);
    cosy_task_drop(again);
    cosy_task_drop(t);
    ck_assert_ptr_null(cosy_weak_task(weak));
    cosy_scoped(cosy_task) other = cosy_create_task(give, 2); /* in the same memory */
    ck_assert_ptr_null(cosy_weak_task(weak));
    ck_assert_ptr_null(cosy_weak_task(cosy_task_weak(NULL)));
    return cosy_await(other) != 2;
}

/* ---- contexts ---- */

ASYNC_TEST(a_task_runs_in_a_copy_of_its_creators_context)
{
    cosy_try(set_var("before"));
    cosy_scoped(cosy_task) t = cosy_create_task(see_and_set, "its");
    cosy_try(set_var("after")); /* the copy was made at creation */
    cosy_try(cosy_await(t));
    ck_assert_noted("sees:before has:its");
    ck_assert_str_eq(get_var(), "after");
    return 0;
}

ASYNC_TEST(tasks_may_share_a_context)
{
    cosy_scoped(cosy_context) shared = cosy_context_new();
    cosy_scoped(cosy_task) a = cosy_create_task_with((.context = shared), see_and_set, "a");
    cosy_scoped(cosy_task) b = cosy_create_task_with((.context = shared), see_and_set, "b");
    cosy_try(cosy_gather(a, b));
    ck_assert_noted("sees:unset sees:a has:b has:b");
    ck_assert_str_eq(get_var(), "unset");
    return 0;
}

static int see_only(void)
{
    note("sees:%s", get_var());
    return 0;
}

ASYNC_TEST(awaited_coroutines_share_the_awaiters_context)
{
    cosy_try(set_var("one"));
    cosy_coro *c = cosy_call(see_and_set, "two");
    cosy_try(cosy_await(c));
    ck_assert_str_eq(get_var(), "two");
    cosy_try(cosy_spawn(see_only));
    cosy_try(cosy_yield());
    ck_assert_noted("sees:one has:two sees:two");
    return 0;
}

/* ---- done callbacks ---- */

static void note_done(cosy_future *future, void *arg)
{
    ck_assert(cosy_future_done(future));
    note("%s", (const char *)arg);
}

ASYNC_TEST(done_callbacks_come_before_later_waiters)
{
    cosy_scoped(cosy_task) t = cosy_create_task(give, 1);
    ck_assert_int_eq(cosy_task_add_done_callback(t, note_done, TEXT("first"), NULL), 0);
    ck_assert_int_eq(cosy_await(t), 1);
    ck_assert_noted("first");
    ck_assert_int_eq(cosy_task_add_done_callback(t, note_done, TEXT("late"), NULL), 0);
    ck_assert_noted("");
    cosy_try(cosy_yield());
    ck_assert_noted("late");
    return 0;
}

/* ---- errors that nobody sees ---- */

static void note_report(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)arg;
    ck_assert_ptr_nonnull(loop);
    ck_assert_ptr_nonnull(context->task);
    ck_assert_ptr_eq(context->future, cosy_task_future(context->task));
    note("%s:%s", context->message, cosy_errname(context->error));
    snprintf(logged, sizeof logged, "%s", context->detail ? context->detail : "");
}

static int fail_with_message(int number)
{
    return cosy_fail(EPROTO, "frame %d is bad", number);
}

ASYNC_TEST(spawned_error_is_reported_as_it_ends)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    ck_assert_int_eq(cosy_spawn_with((.name = "S"), fail_with_message, 3), 0);
    ck_assert_noted("");
    cosy_try(cosy_yield());
    ck_assert_noted("cosy: Task exception in a spawned task: task S:EPROTO");
    ck_assert_contains(logged, "EPROTO: frame 3 is bad");
    ck_assert_contains(logged, "task 'S' (fail_with_message), created at ");
    return 0;
}

ASYNC_TEST(spawned_tasks_end_quietly)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    ck_assert_int_eq(cosy_spawn(give, 0), 0);
    ck_assert_int_eq(cosy_spawn(give, -ECANCELED), 0); /* a cancel is no error */
    cosy_try(cosy_yield());
    ck_assert_noted("");
    return 0;
}

ASYNC_TEST(unseen_error_is_reported_with_the_last_handle)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    cosy_task *t = cosy_create_task_with((.name = "T"), fail_with_message, 4);
    cosy_try(cosy_yield());
    ck_assert(cosy_task_done(t));
    ck_assert_noted("");
    cosy_task_drop(t);
    ck_assert_noted("cosy: Task exception was never retrieved: task T:EPROTO");
    ck_assert_contains(logged, "EPROTO: frame 4 is bad");
    return 0;
}

ASYNC_TEST(error_of_a_detached_task_is_reported)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), note_report, NULL);
    cosy_task_drop(cosy_create_task_with((.name = "D"), fail_with_message, 5));
    cosy_try(cosy_yield());
    ck_assert_noted("cosy: Task exception was never retrieved: task D:EPROTO");
    return 0;
}

static int keep_handle(cosy_task **ret_task)
{
    *ret_task = cosy_create_task_with((.name = "K"), fail_with_message, 6);
    return cosy_yield();
}

static void keep_report(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    note("%s", context->message);
}

START_TEST(error_behind_a_kept_handle_is_reported_when_the_loop_closes)
{
    cosy_task *kept = NULL;
    cosy_runner *runner = cosy_runner_new();
    cosy_loop_set_exception_handler(cosy_runner_loop(runner), keep_report, NULL);
    ck_assert_int_eq(cosy_runner_run(runner, keep_handle, &kept), 0);
    ck_assert_noted("");
    cosy_runner_free(runner);
    ck_assert_noted("cosy: Task exception was never retrieved: task K");
    cosy_task_drop(kept); /* and only once */
    ck_assert_noted("");
}
END_TEST

static int wait_long(void)
{
    return cosy_sleep(COSY_S(1000));
}
static int await_it(cosy_task *task)
{
    return cosy_await(task);
}

/* asyncio: "Task was destroyed but it is pending!" Waiters, sleepers and queued ones, in every order. */
START_TEST(pending_tasks_of_a_closed_loop_are_reported)
{
    cosy_loop *loop;
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_loop_set_exception_handler(loop, keep_report, NULL);
    cosy_task *sleeper = cosy_create_task_with((.loop = loop, .name = "sleeper"), wait_long);
    cosy_task *waiter = cosy_create_task_with((.loop = loop, .name = "waiter"), await_it, sleeper);
    cosy_task *second = cosy_create_task_with((.loop = loop, .name = "second"), await_it, waiter);
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    ck_assert_int_ge(cosy_loop_run_once(loop, 0), 0);
    cosy_task *queued = cosy_create_task_with((.loop = loop, .name = "queued"), give, 1);
    cosy_task *also = cosy_create_task_with((.loop = loop, .name = "also"), give, 2);
    ck_assert_uint_eq(cosy_all_tasks(loop, NULL, 0), 5);
    cosy_weak weak[] = {cosy_task_weak(sleeper), cosy_task_weak(waiter), cosy_task_weak(second)};
    cosy_task_drop(waiter); /* nobody else holds these: they are freed as they end */
    cosy_task_drop(second);
    cosy_task_drop(queued);
    cosy_loop_close(loop);
    ck_assert_int_eq(occurrences(noted, "cosy: Task was destroyed but it is pending: task "), 5);
    noted[0] = '\0';
    ck_assert(cosy_task_cancelled(sleeper) && cosy_task_cancelled(also));
    cosy_task_drop(sleeper);
    cosy_task_drop(also);
    for (int i = 0; i < 3; i++) /* what they awaited was given back */
        ck_assert_ptr_null(cosy_weak_task(weak[i]));
    ck_assert_uint_eq(cosy_all_tasks(loop, NULL, 0), 0);
    cosy_loop_free(loop);
}
END_TEST

static void print_everything(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    char *tree = written_by(cosy_print_tasks);
    note("%s|%d", context->message, strstr(tree, "tasks on the") != NULL);
    free(tree);
}

/* The handler runs on the roomy stack, and asks for it again. */
ASYNC_TEST(exception_handlers_may_print_the_tasks)
{
    cosy_loop_set_exception_handler(cosy_running_loop(), print_everything, NULL);
    ck_assert_int_eq(cosy_spawn_with((.name = "S"), fail_with_message, 3), 0);
    ck_assert_int_eq(cosy_spawn(give, 0), 0);
    cosy_try(cosy_yield());
    ck_assert_noted("cosy: Task exception in a spawned task: task S|1");
    return 0;
}

/* ---- lack of memory ---- */

static int use_each_creation(void)
{
    cosy_scoped(cosy_task) plain = cosy_create_task(give, 1);
    if (!plain)
        return cosy_await(plain);
    cosy_scoped(cosy_task) named = cosy_create_task_with((.name = "named", .stack_size = COSY_STACK_SMALL), give, 2);
    if (!named)
        return cosy_await(named);
    cosy_scoped(cosy_task) eager = cosy_create_task_with((.eager_start = true), note_turns, "e", 0);
    if (!eager)
        return cosy_await(eager);
    cosy_try(cosy_spawn(give, 3));
    int results[] = {cosy_await(plain), cosy_await(named), cosy_await(eager)};
    for (int i = 0; i < 3; i++)
        cosy_try(results[i]);
    return cosy_yield();
}

static void ignore_report(cosy_loop *loop, const struct cosy_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    ck_assert_int_eq(context->error, -ENOMEM);
}

ASYNC_TEST(lack_of_memory_is_an_error)
{
    capture_log();
    cosy_loop_set_exception_handler(cosy_running_loop(), ignore_report, NULL);
    with_each_allocation_failing(use_each_creation);
    ck_assert_uint_eq(cosy_all_tasks(NULL, NULL, 0), 1);
    noted[0] = '\0';
    return 0;
}

COSY_TEST_MAIN("task", body_begins_in_the_next_turn, result_stays_with_the_handle, error_stays_with_the_handle,
               numbers_that_are_no_code_do_not_look_like_success, tasks_take_turns_in_order_of_creation,
               a_lone_task_yields_from_any_depth, many_tasks_yield_from_any_depth, dropping_a_running_task_detaches_it,
               a_handle_outlives_the_loop, an_idle_loop_takes_tasks, eager_task_that_does_not_wait_is_done_at_once,
               eager_task_that_waits_goes_on_later, eager_tasks_nest, eager_task_of_a_callback,
               eager_task_that_fails_at_once, eager_task_that_is_cancelled, eager_steps_run_in_the_tasks_context,
               eager_start_needs_a_running_loop, names_and_ids, sites_and_parents, states_of_a_task,
               all_tasks_are_the_unfinished_ones, there_are_no_tasks_without_a_loop, weak_references_go_stale,
               a_task_runs_in_a_copy_of_its_creators_context, tasks_may_share_a_context,
               awaited_coroutines_share_the_awaiters_context, done_callbacks_come_before_later_waiters,
               spawned_error_is_reported_as_it_ends, spawned_tasks_end_quietly,
               unseen_error_is_reported_with_the_last_handle, error_of_a_detached_task_is_reported,
               error_behind_a_kept_handle_is_reported_when_the_loop_closes, pending_tasks_of_a_closed_loop_are_reported,
               exception_handlers_may_print_the_tasks, lack_of_memory_is_an_error)
