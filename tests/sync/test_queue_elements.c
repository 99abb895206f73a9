/* What is in a queue: values of a type, the order of priorities, room that grows; and wrong uses. */
#include "queue_test.h"

struct job {
    int priority;
    const char *name;
    double weight;
};
typedef COSY_QUEUE(struct job) job_queue;

static int more_urgent(const struct job *a, const struct job *b)
{
    return b->priority - a->priority;
}

TASK_TEST(values_of_any_type)
{
    job_queue jobs = {0};
    struct job job = {1, "one", 0.5};
    ck_assert_int_eq(cosy_queue_put(&jobs, job), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&jobs, {.priority = 2, .name = "two"}), 0);
    ck_assert_int_eq(cosy_queue_put(&jobs, ((struct job){3, "three", 1.5})), 0);
    int index = cosy_select(COSY_PUT(&jobs, {.name = "four"}));
    ck_assert_int_eq(index, 0);
    static const char *const names[] = {"one", "two", "three", "four"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(cosy_queue_get(&jobs, &job), 0);
        ck_assert_str_eq(job.name, names[i]);
    }
    cosy_queue_destroy(&jobs);

    COSY_QUEUE(char) chars = {0};
    COSY_QUEUE(const char *) texts = {0};
    COSY_QUEUE(double) doubles = {0};
    COSY_QUEUE(int (*)(const int *, const int *)) functions = {0};
    char c = 0;
    double d = 0;
    const char *text = NULL;
    int (*function)(const int *, const int *) = NULL;
    ck_assert_int_eq(cosy_queue_put(&chars, 'x') | cosy_queue_get(&chars, &c), 0);
    ck_assert_int_eq(cosy_queue_put(&doubles, 3) | cosy_queue_get(&doubles, &d), 0); /* converted as in an assignment */
    ck_assert_int_eq(cosy_queue_put(&texts, "text") | cosy_queue_get(&texts, &text), 0);
    ck_assert_int_eq(cosy_queue_put(&functions, by_value) | cosy_queue_get(&functions, &function), 0);
    ck_assert(c == 'x' && d == 3.0 && function == by_value);
    ck_assert_str_eq(text, "text");
    cosy_queue_destroy(&chars);
    cosy_queue_destroy(&doubles);
    cosy_queue_destroy(&texts);
    cosy_queue_destroy(&functions);
    return 0;
}

TASK_TEST(a_queue_and_its_arguments_are_evaluated_once)
{
    int_queue queues[2] = {0}, *at = queues;
    int value = 5, values[2] = {0}, *out = values;
    ck_assert_int_eq(cosy_queue_put(&queues[0], value++), 0);
    ck_assert_int_eq(cosy_queue_get(at++, out++), 0);
    ck_assert(value == 6 && at == queues + 1 && out == values + 1 && values[0] == 5);
    cosy_queue_destroy(&queues[0]);
    return 0;
}

TASK_TEST(equal_priorities_leave_in_the_order_in_which_they_came)
{
    job_queue jobs;
    cosy_queue_init(&jobs, .compare = more_urgent);
    unsigned random = 1;
    for (int i = 0; i < 500; i++) {
        random = random * 1103515245 + 12345;
        ck_assert_int_eq(cosy_queue_put(&jobs, {.priority = (int)(random >> 16) % 5, .weight = i}), 0);
        struct job job;
        if (i % 3 == 2)
            ck_assert_int_eq(cosy_queue_get(&jobs, &job), 0);
    }
    struct job last = {.priority = 5}, job;
    while (cosy_queue_get_nowait(&jobs, &job) == 0) {
        ck_assert_int_le(job.priority, last.priority);
        ck_assert(job.priority < last.priority || job.weight > last.weight);
        last = job;
    }
    ck_assert_int_eq(last.priority, 0);
    cosy_queue_destroy(&jobs);
    return 0;
}

/* Rings grow while they are wrapped around. */
TASK_TEST(growing_keeps_the_order)
{
    for (int kind = 0; kind < KINDS; kind++) {
        int_queue queue;
        init_kind(&queue, kind, 0);
        int in = 0, out = 0, before;
        for (int round = 1; round < 200; round++) {
            for (int i = 0; i < 3; i++)
                ck_assert_int_eq(cosy_queue_put_nowait(&queue, in++), 0);
            before = in;
            for (int i = 0; i < 2; i++)
                ck_assert_int_eq(value_of(&queue), kind == LIFO ? --before : out++);
        }
        ck_assert_uint_eq(cosy_queue_size(&queue), 199);
        cosy_queue_destroy(&queue);
    }
    return 0;
}

TASK_TEST(a_scoped_queue_frees_itself)
{
    cosy_scoped_queue int_queue queue = {0};
    int_queue *none = NULL;
    for (int i = 0; i < 100; i++)
        cosy_try(cosy_queue_put(&queue, i));
    cosy_queue_destroy(none);
    return 0;
}

/* ---- destroying ---- */

TASK_TEST(destroying_sends_everybody_away)
{
    int_queue empty = {0}, full;
    cosy_queue_init(&full, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_put(&full, 1), 0);
    cosy_scoped(cosy_task) getter = cosy_create_task(get_one, &empty);
    cosy_scoped(cosy_task) putter = cosy_create_task(put_one, &full, 2);
    cosy_scoped(cosy_task) joiner = cosy_create_task(join_it, &full);
    cosy_scoped(cosy_task) unlucky = cosy_create_task(get_one, &empty);
    let_all_run(1);
    cosy_queue_destroy(&empty);
    cosy_queue_destroy(&full);
    cosy_task_cancel(unlucky);
    memset(&empty, 0x5a, sizeof empty); /* nobody looks there any more */
    ck_assert_int_eq(cosy_await(getter), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_await(putter), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_await(joiner), -COSY_EQUEUESHUTDOWN);
    ck_assert_int_eq(cosy_await(unlucky), -ECANCELED);
    ck_assert_int_eq(cosy_queue_put(&full, 1), -COSY_EQUEUESHUTDOWN);
    cosy_queue_destroy(&full);
    ck_assert_int_eq(cosy_queue_init(&full, .maxsize = 1), 0);
    ck_assert_int_eq(cosy_queue_put(&full, 1), 0);
    said("get:COSY_EQUEUESHUTDOWN get:ECANCELED put2:COSY_EQUEUESHUTDOWN joined:COSY_EQUEUESHUTDOWN");
    cosy_queue_destroy(&full);
    return 0;
}

/* ---- wrong uses ---- */

START_TEST(one_order_only)
{
    begin_test();
    int_queue queue;
    ck_assert_int_eq(cosy_queue_init(&queue, .lifo = true, .unbuffered = true), -EINVAL);
    ck_assert_int_eq(cosy_queue_init(&queue, .lifo = true, .compare = by_value), -EINVAL);
    ck_assert_int_eq(cosy_queue_init(&queue, .unbuffered = true, .maxsize = 1), -EINVAL);
    ck_assert_int_eq(cosy_queue_init(&queue), 0);
    cosy_queue_destroy(&queue);
}
END_TEST

START_TEST(outside_a_task_what_need_not_wait_works)
{
    begin_test();
    int_queue queue;
    int value = 0;
    cosy_queue_init(&queue, .maxsize = 1);
    ck_assert_int_eq(cosy_queue_get(&queue, &value), -COSY_ENOTASK);
    logs("cosy_queue_get");
    ck_assert_int_eq(cosy_queue_put(&queue, 4), 0);
    ck_assert_int_eq(cosy_queue_put(&queue, 5), -COSY_ENOTASK);
    logs("cosy_queue_put");
    ck_assert_int_eq(cosy_queue_join(&queue), -COSY_ENOTASK);
    logs("cosy_queue_join");
    ck_assert_int_eq(cosy_queue_get(&queue, &value), 0);
    ck_assert_int_eq(value, 4);
    cosy_queue_destroy(&queue);
}
END_TEST

static int_queue shared;

cosy_async static int use_from_elsewhere(void)
{
    int value = 0;
    ck_assert_int_eq(cosy_queue_get(&shared, &value), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_put(&shared, 1), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_get_nowait(&shared, &value), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_put_nowait(&shared, 1), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_join(&shared), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_shutdown(&shared, true), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_select(COSY_GET(&shared, &value)), -COSY_EOTHERLOOP);
    ck_assert_str_ne(cosy_error_message(-COSY_EOTHERLOOP), "");
    cosy_queue_destroy(&shared);
    return 0;
}

cosy_async static int use_when_idle(void)
{
    cosy_try(cosy_queue_put(&shared, 2));
    return get_one(&shared) == 2 ? 0 : -EIO;
}

/* An idle queue may be used from another loop; one that tasks wait in may not, and stays as it was. */
START_TEST(one_loop_at_a_time)
{
    for (int unbuffered = 0; unbuffered < 2; unbuffered++) {
        begin_test();
        cosy_loop *loop;
        ck_assert_int_eq(cosy_queue_init(&shared, .unbuffered = unbuffered), 0);
        ck_assert_int_eq(cosy_loop_new(&loop), 0);
        cosy_task *getter = cosy_create_task_with((.loop = loop), get_one, &shared);
        cosy_loop_run_once(loop, 0);
        ck_assert_uint_eq(stats_of(&shared).getters, 1);
        ck_assert_int_eq(cosy_run(use_from_elsewhere), 0);
        ck_assert_uint_eq(stats_of(&shared).getters, 1);
        ck_assert_int_eq(cosy_queue_put_nowait(&shared, 7), 0); /* between two runs */
        cosy_loop_run_once(loop, 0);
        ck_assert(cosy_task_done(getter));
        said("got7");
        cosy_task_drop(getter);
        cosy_loop_free(loop);
        if (!unbuffered) {
            ck_assert_int_eq(cosy_run(use_when_idle), 0);
            said("got2");
        }
        cosy_queue_destroy(&shared);
        ck_assert_str_eq(logged, "");
    }
}
END_TEST

cosy_async static int finish_from_elsewhere(void)
{
    ck_assert_int_eq(cosy_queue_task_done(&shared), -COSY_EOTHERLOOP);
    ck_assert_int_eq(cosy_queue_join(&shared), -COSY_EOTHERLOOP);
    return 0;
}

START_TEST(joiners_are_woken_in_their_own_loop)
{
    begin_test();
    cosy_loop *loop;
    ck_assert_int_eq(cosy_queue_init(&shared), 0);
    ck_assert_int_eq(cosy_queue_put_nowait(&shared, 7), 0);
    ck_assert_int_eq(cosy_loop_new(&loop), 0);
    cosy_task *joiner = cosy_create_task_with((.loop = loop), join_it, &shared);
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(cosy_run(finish_from_elsewhere), 0);
    ck_assert_uint_eq(stats_of(&shared).unfinished, 1);
    ck_assert_int_eq(cosy_queue_task_done(&shared), 0);
    cosy_loop_run_once(loop, 0);
    ck_assert(cosy_task_done(joiner));
    said("joined");
    cosy_task_drop(joiner);
    cosy_loop_free(loop);
    cosy_queue_destroy(&shared);
}
END_TEST

/* ---- no memory ---- */

cosy_async static int fill(int_queue *queue, int count)
{
    for (int i = 0; i < count; i++)
        cosy_try(cosy_queue_put(queue, i));
    return 0;
}

cosy_async static int fill_and_empty(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        cosy_scoped_queue int_queue queue = {0};
        init_kind(&queue, kind, 0);
        int filled = fill(&queue, 50), sum = 0, value;
        size_t size = cosy_queue_size(&queue);
        while ((value = value_of(&queue)) >= 0)
            sum += value;
        ck_assert_int_eq(sum, (int)(size * (size - 1) / 2) * (size > 0)); /* what was there stays there */
        cosy_try(filled);
        ck_assert_uint_eq(size, 50);
    }
    return 0;
}

static int run_fill_and_empty(void)
{
    return cosy_run(fill_and_empty);
}

START_TEST(no_memory_is_an_error_of_the_put)
{
    starve(run_fill_and_empty);
}
END_TEST

TESTS_MAIN("queue_elements", values_of_any_type, a_queue_and_its_arguments_are_evaluated_once,
           equal_priorities_leave_in_the_order_in_which_they_came, growing_keeps_the_order, a_scoped_queue_frees_itself,
           destroying_sends_everybody_away, one_order_only, outside_a_task_what_need_not_wait_works, one_loop_at_a_time,
           joiners_are_woken_in_their_own_loop, no_memory_is_an_error_of_the_put)
