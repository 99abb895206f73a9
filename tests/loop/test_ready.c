/* The ready queue against a plain array: appended, taken, removed and tidied at random, through wraps, overflow and
 * growth. */
#include "loop_test.h"

enum { NODES = 20000 };

static struct cosy_node_ nodes[NODES];
static struct cosy_node_ *model[NODES]; /* what stands on the queue, oldest first, from `first` on */
static size_t first, length;

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static struct cosy_node_ **at(size_t index)
{
    return &model[(first + index) % NODES];
}

static void append_one(cosy_loop *loop, size_t *used)
{
    struct cosy_node_ *node = &nodes[(*used)++ % NODES];
    *at(length++) = node;
    cosy_ready_append(loop, node);
}

static void take_one(cosy_loop *loop)
{
    hold(!cosy_ready_empty(loop));
    hold(cosy_ready_head(loop) == *at(0));
    hold(cosy_ready_take(loop) == *at(0));
    first = (first + 1) % NODES;
    length--;
}

static void remove_one(cosy_loop *loop)
{
    size_t index = draw(length);
    hold(cosy_ready_remove(loop, *at(index)));
    for (; index + 1 < length; index++)
        *at(index) = *at(index + 1);
    length--;
}

/* Lets the queue drift between empty and `top` entries. */
static void drift(cosy_loop *loop, size_t top, bool tidy)
{
    size_t used = 0;
    bool rising = true;
    const int steps = (int)less_under_tool(12000, 2);
    for (int step = 0; step < steps; step++) {
        uint64_t what = draw(100);
        if (length == 0)
            rising = true;
        if (length >= top)
            rising = false;
        if (length > 0 && what == 0)
            remove_one(loop);
        else if (tidy && what == 1)
            cosy_ready_tidy(loop);
        else if (length < top && (rising ? what < 90 : what < 10))
            append_one(loop, &used);
        else if (length > 0)
            take_one(loop);
        hold(cosy_ready_empty(loop) == (length == 0));
        if (step % 997 == 0)
            hold(cosy_ready_count(loop) == length);
    }
    while (length > 0)
        take_one(loop);
    hold(cosy_ready_empty(loop));
    hold(!cosy_ready_remove(loop, &nodes[0]));
}

START_TEST(the_queue_is_first_in_first_out_whatever_its_length)
{
    static const size_t tops[] = {1, 3, 1023, 1024, 1025, 3000};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
        for (int tidy = 0; tidy < 2; tidy++) {
            cosy_loop *loop = new_loop();
            state = 88172645463325252u + i;
            first = length = 0;
            drift(loop, tops[i], tidy);
            cosy_loop_free(loop);
        }
}
END_TEST

START_TEST(without_memory_for_more_slots_nothing_is_lost)
{
    cosy_loop *loop = new_loop();
    first = length = 0;
    size_t used = 0;
    cosy_heap_fail_nth(1, true);
    while (length < NODES - 1)
        append_one(loop, &used);
    cosy_ready_tidy(loop);
    while (length > NODES / 2)
        take_one(loop);
    cosy_ready_tidy(loop);
    cosy_heap_fail_nth(0, false);
    cosy_ready_tidy(loop);
    while (length > 0)
        take_one(loop);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(the_last_of_many_is_taken_out_and_another_follows)
{
    cosy_loop *loop = new_loop();
    size_t used = 0;
    first = length = 0;
    while (length < 3000)
        append_one(loop, &used);
    ck_assert(cosy_ready_remove(loop, *at(--length)));
    append_one(loop, &used);
    append_one(loop, &used);
    ck_assert_uint_eq(cosy_ready_count(loop), length);
    while (length > 0)
        take_one(loop);
    cosy_loop_free(loop);
}
END_TEST

START_TEST(a_marker_that_stands_alone_begins_no_turn)
{
    cosy_loop *loop = new_loop();
    for (int turn = 0; turn < 3000; turn++) { /* at each place of the array, the last one too */
        loop->skip = 1;
        cosy_ready_append(loop, &loop->marker.node);
        ck_assert_ptr_eq(cosy_ready_head(loop), &loop->marker.node);
        ck_assert(!cosy_loop_next_turn(loop));
        cosy_ready_append(loop, &nodes[0]);
        ck_assert(cosy_loop_next_turn(loop));
        ck_assert_ptr_eq(cosy_ready_take(loop), &nodes[0]);
        ck_assert_ptr_eq(cosy_ready_take(loop), &loop->marker.node);
        ck_assert(cosy_ready_empty(loop));
    }
    loop->skip = 0;
    cosy_loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ready");
    ADD_TESTS(suite, "ready", the_queue_is_first_in_first_out_whatever_its_length,
              without_memory_for_more_slots_nothing_is_lost, the_last_of_many_is_taken_out_and_another_follows,
              a_marker_that_stands_alone_begins_no_turn);
    return run_suite(suite);
}
