/* timer_cancel, timer_fire: handles in the embedder's own memory, on a loop without tasks. */
#include "rows.h"

static long fired, expected;
static cosy_loop *loop;

static void never(void *argument)
{
    (void)argument;
}

static void count_fired(void *argument)
{
    (void)argument;
    if (++fired == expected)
        cosy_loop_stop(loop);
}

static cosy_handle *new_handles(long count, cosy_callback callback)
{
    cosy_handle *handles = bench_need(aligned_alloc(64, (size_t)count * sizeof *handles)); /* one cache line each */
    for (long i = 0; i < count; i++)
        cosy_handle_init(&handles[i], callback, NULL);
    return handles;
}

static cosy_ns now; /* on the loop's clock, read once per batch: deadlines are given as points in time */

static void start(cosy_handle *handle, uint64_t first, uint64_t i, uint64_t spread)
{
    int r = cosy_handle_start_at(loop, handle, now + (cosy_ns)(first + bench_spread(i, spread)));
    if (r < 0) {
        fprintf(stderr, "cosy_handle_start_at: %s\n", cosy_strerror(r));
        exit(1);
    }
}

static void start_far(cosy_handle *handle, uint64_t i)
{
    start(handle, BENCH_CANCEL_FIRST_S * 1000000000ull, i, BENCH_CANCEL_SPREAD_S * 1000000000ull);
}

static void churn(cosy_handle *batch, long size, uint64_t seed)
{
    for (long done = 0; done < size; done += BENCH_CANCEL_BATCH) {
        now = cosy_loop_time(loop);
        for (int i = 0; i < BENCH_CANCEL_BATCH; i++)
            start_far(&batch[i], seed++);
        for (int i = 0; i < BENCH_CANCEL_BATCH; i++)
            cosy_handle_cancel(&batch[i]);
    }
}

int cosy_timer_cancel_row(const char *name, long size)
{
    const char *fewer = getenv("BENCH_LIVE");
    long live = fewer ? atol(fewer) : 1000000;
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_handle *handles = new_handles(live, never), *batch = new_handles(BENCH_CANCEL_BATCH, never);
    now = cosy_loop_time(loop);
    for (long i = 0; i < live; i++)
        start_far(&handles[i], (uint64_t)i);
    if (bench_warms_up())
        churn(batch, size, (uint64_t)live);
    double from = bench_cpu_ns();
    churn(batch, size, (uint64_t)(live + size));
    double spent = bench_cpu_ns() - from;
    cosy_loop_free(loop);
    free(handles);
    free(batch);
    return bench_print(name, spent / (double)size, "ns");
}

static double fire_all(cosy_handle *handles, long size)
{
    fired = 0;
    expected = size;
    double from = bench_cpu_ns();
    now = cosy_loop_time(loop);
    for (long i = 0; i < size; i++)
        start(&handles[i], BENCH_FIRE_FIRST_NS, (uint64_t)i, BENCH_FIRE_SPREAD_NS);
    bench_sleep_until_all_due(bench_wall_ns());
    cosy_loop_run_forever(loop);
    return bench_cpu_ns() - from;
}

int cosy_timer_fire_row(const char *name, long size)
{
    if (cosy_loop_new(&loop) < 0)
        return 1;
    cosy_handle *handles = new_handles(size, count_fired);
    if (bench_warms_up())
        fire_all(handles, size);
    double spent = fire_all(handles, size);
    cosy_loop_free(loop);
    free(handles);
    if (fired != size)
        return fprintf(stderr, "timer_fire: %ld of %ld fired\n", fired, size), 1;
    return bench_print(name, spent / (double)size, "ns");
}
