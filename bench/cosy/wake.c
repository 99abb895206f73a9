/*
 * wake_asleep, wake_busy: round trips between the loops of two threads through cosy_call_soon_threadsafe. Busy: each
 * loop also runs a callback that queues itself again, so that neither ever sleeps.
 */
#include "rows.h"
#include <pthread.h>

struct side {
    cosy_loop *loop;
    cosy_handle busy;
    struct side *other;
    long left;
    bool answers; /* this side answers; the other begins, and stops after the last answer */
    bool is_busy;
};

static void on_message(void *argument)
{
    struct side *self = argument;
    self->left--;
    if (self->answers || self->left > 0)
        cosy_call_soon_threadsafe(self->other->loop, on_message, self->other, NULL);
    if (self->left == 0) {
        self->is_busy = false;
        cosy_loop_stop(self->loop);
    }
}

static void keep_busy(void *argument)
{
    struct side *self = argument;
    if (self->is_busy)
        cosy_handle_start_soon(self->loop, &self->busy);
}

static void *run_answering_side(void *argument)
{
    struct side *self = argument;
    bench_pin(1);
    cosy_loop_run_forever(self->loop);
    return NULL;
}

static double run_rounds(struct side *a, struct side *b, long rounds, bool busy)
{
    pthread_t thread;
    a->left = b->left = rounds;
    a->is_busy = b->is_busy = busy;
    if (busy) {
        cosy_handle_start_soon(a->loop, &a->busy);
        cosy_handle_start_soon(b->loop, &b->busy);
    }
    pthread_create(&thread, NULL, run_answering_side, b);
    double start = bench_wall_ns();
    cosy_call_soon_threadsafe(b->loop, on_message, b, NULL);
    cosy_loop_run_forever(a->loop);
    double spent = bench_wall_ns() - start;
    pthread_join(thread, NULL);
    return spent / (double)rounds;
}

static double measure(long size, bool busy)
{
    struct side a = {.other = NULL}, b = {.other = &a, .answers = true};
    a.other = &b;
    const char *spin_us = getenv("BENCH_SPIN_US");
    cosy_ns spin = spin_us ? COSY_US(atof(spin_us)) : 0;
    if (cosy_loop_new(&a.loop, .spin = spin) < 0 || cosy_loop_new(&b.loop, .spin = spin) < 0)
        exit(1);
    cosy_handle_init(&a.busy, keep_busy, &a);
    cosy_handle_init(&b.busy, keep_busy, &b);
    bench_pin(0);
    if (bench_warms_up())
        run_rounds(&a, &b, size / 10 + 1, busy);
    double ns = run_rounds(&a, &b, size, busy);
    cosy_loop_free(a.loop);
    cosy_loop_free(b.loop);
    return ns;
}

int cosy_wake_asleep_row(const char *name, long size)
{
    return bench_print(name, measure(size, false) / 1e3, "us");
}
int cosy_wake_busy_row(const char *name, long size)
{
    return bench_print(name, measure(size, true), "ns");
}
