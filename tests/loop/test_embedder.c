/* What an embedder gets besides: hooks around the kernel, and a walk over what a loop holds. */
#include <cosy/embed.h>

#include "../../src/loop/port.h"
#include "loop_test.h"

/* ---- hooks ---- */

struct books {
    int prepared, blocks, unblocks;
    cosy_ns limit;
    bool queue;
};

static void prepare(cosy_loop *loop, void *arg)
{
    struct books *books = arg;
    trace_add('p');
    books->prepared++;
    if (books->queue)
        ck_assert_int_eq(cosy_call_soon(loop, trace_letter, L('q'), NULL), 0);
    books->queue = false;
}

static void block(cosy_loop *loop, cosy_ns limit, void *arg)
{
    struct books *books = arg;
    (void)loop;
    trace_add('b');
    books->blocks++;
    books->limit = limit;
}

static void unblock(cosy_loop *loop, void *arg)
{
    struct books *books = arg;
    (void)loop;
    trace_add('u');
    books->unblocks++;
}

START_TEST(hooks_are_called_only_around_what_blocks)
{
    cosy_loop *loop = new_loop();
    struct books books = {0};
    struct cosy_kernel_hooks hooks = {prepare, block, unblock, &books};
    trace_clear();
    cosy_loop_set_kernel_hooks(loop, &hooks);
    ck_assert_int_eq(cosy_call_soon(loop, trace_letter, L('1'), NULL), 0);
    ck_assert_int_eq(cosy_loop_run_once(loop, COSY_NEVER), 1);
    ck_assert_str_eq(trace.text, "p1");
    ck_assert_int_eq(cosy_call_later(loop, COSY_MS(50), trace_letter, L('2'), NULL), 0);
    while (cosy_loop_run_once(loop, COSY_MS(500)) == 0)
        ;
    ck_assert_ptr_nonnull(strstr(trace.text, "pbu2"));
    ck_assert(books.limit > 0 && books.limit <= COSY_MS(50));
    ck_assert_int_eq(books.blocks, books.unblocks);
    ck_assert_int_eq(cosy_loop_run_once(loop, 0), 0); /* does not block */
    ck_assert_int_eq(books.blocks, books.unblocks);
    cosy_loop_set_kernel_hooks(loop, NULL);
    int before = books.prepared;
    cosy_loop_run_once(loop, 0);
    ck_assert_int_eq(books.prepared, before);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(what_prepare_queues_runs_in_that_turn)
{
    cosy_loop *loop = new_loop();
    struct books books = {.queue = true};
    struct cosy_kernel_hooks hooks = {.prepare = prepare, .arg = &books};
    trace_clear();
    cosy_loop_set_kernel_hooks(loop, &hooks);
    ck_assert_int_eq(cosy_loop_run_once(loop, COSY_NEVER), 1); /* and does not sleep */
    ck_assert_str_eq(trace.text, "pq");
    cosy_loop_free(loop);
}
END_TEST

/* ---- the walk ---- */

static void note(const struct cosy_loop_item *item, void *arg)
{
    int *counts = arg;
    counts[item->kind]++;
    bool watcher = item->kind == COSY_ITEM_READER || item->kind == COSY_ITEM_WRITER;
    ck_assert_int_eq(item->callback != NULL, watcher);
    ck_assert_int_eq(item->op != NULL, item->kind == COSY_ITEM_OP);
    ck_assert_int_ge(item->fd, 0);
    if (watcher)
        ck_assert_ptr_eq(item->arg, arg);
}

static void never(cosy_op *op, int64_t result)
{
    (void)op;
    ck_assert_int_eq(result, -COSY_ECLOSED);
}

START_TEST(a_walk_meets_all_that_the_loop_holds)
{
    cosy_loop *loop = new_loop();
    enum { KINDS = COSY_ITEM_STREAM + 1, OPS = 20 };
    int counts[KINDS] = {0}, one[2], two[2], three[2];
    cosy_op ops[OPS];
    struct cosy_port port;
    make_pair(one);
    make_pair(two);
    make_pair(three);
    cosy_loop_walk(loop, note, counts);
    for (int i = 0; i < KINDS; i++)
        ck_assert_int_eq(counts[i], 0);
    ck_assert_int_eq(cosy_add_reader(loop, one[0], count, counts), 0);
    ck_assert_int_eq(cosy_add_writer(loop, one[0], count, counts), 0);
    ck_assert_int_eq(cosy_add_reader(loop, one[1], count, counts), 0);
    for (int i = 0; i < OPS; i++) {
        cosy_op_init(&ops[i], never, NULL);
        ck_assert_int_eq(cosy_op_poll(loop, &ops[i], two[0], COSY_OP_READABLE), 0);
    }
    cosy_port_open(&port, loop, three[0]);
    cosy_loop_walk(loop, note, counts);
    ck_assert_int_eq(counts[COSY_ITEM_READER], 2);
    ck_assert_int_eq(counts[COSY_ITEM_WRITER], 1);
    ck_assert_int_eq(counts[COSY_ITEM_OP], OPS);
    ck_assert_int_eq(counts[COSY_ITEM_WAIT], 0);
    ck_assert_int_eq(counts[COSY_ITEM_STREAM], 1);
    cosy_loop_close(loop);
    cosy_loop_walk(loop, note, counts);
    ck_assert_int_eq(counts[COSY_ITEM_READER], 2);
    ck_assert_int_eq(cosy_port_release(&port, -COSY_ECLOSED), three[0]);
    cosy_loop_free(loop);
    close_pair(one);
    close_pair(two);
    close_pair(three);
}
END_TEST

/* ---- the table below it ---- */

START_TEST(objects_are_found_by_their_descriptor)
{
    enum { MANY = 1000 };
    cosy_loop *loop = new_loop();
    struct cosy_port *ports = calloc(MANY, sizeof *ports);
    for (int i = 0; i < MANY; i++) {
        if (i % 100 == 7) /* without memory for more lists */
            cosy_heap_fail_nth(1, true);
        cosy_port_open(&ports[i], loop, 5000 + i * 3);
        cosy_heap_fail_nth(0, false);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_eq(cosy_port_find(loop, 5000 + i * 3), &ports[i]);
        ck_assert_ptr_null(cosy_port_find(loop, 5001 + i * 3));
    }
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(cosy_port_release(&ports[i], -COSY_ECLOSED), 5000 + i * 3);
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_eq(cosy_port_find(loop, 5000 + i * 3), i % 2 ? &ports[i] : NULL);
    cosy_loop_free(loop); /* forgets the others */
    free(ports);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embedder");
    ADD_TESTS(suite, "hooks", hooks_are_called_only_around_what_blocks, what_prepare_queues_runs_in_that_turn);
    ADD_TESTS(suite, "walk", a_walk_meets_all_that_the_loop_holds, objects_are_found_by_their_descriptor);
    return run_suite(suite);
}
