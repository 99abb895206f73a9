/* libuv ROW SIZE: timers and cross-thread wakes; libuv has no tasks. libuv serve MODE PORT: serve.c. */
#include "../../bench.h"
#include "files.h"
#include "serve.h"
#include <uv.h>

static long fired;

static void count_fired(uv_timer_t *timer)
{
    (void)timer;
    fired++;
}

static uint64_t spread_ms(uint64_t first_ns, uint64_t i, uint64_t spread_ns)
{
    return (first_ns + bench_spread(i, spread_ns)) / 1000000;
}

static int timer_cancel(const char *name, long size)
{
    uv_loop_t *loop = uv_default_loop();
    uv_timer_t *timers = bench_need(calloc((size_t)size + BENCH_CANCEL_BATCH, sizeof *timers));
    uint64_t first = BENCH_CANCEL_FIRST_S * 1000000000ull, range = BENCH_CANCEL_SPREAD_S * 1000000000ull, deadlines = 0;
    for (long i = 0; i < size + BENCH_CANCEL_BATCH; i++)
        uv_timer_init(loop, &timers[i]);
    for (long i = 0; i < size; i++)
        uv_timer_start(&timers[i], count_fired, spread_ms(first, deadlines++, range), 0);
    double spent = 0;
    for (int round = 0; round < 2; round++) { /* the first round is the warm-up */
        double start = bench_cpu_ns();
        for (long done = 0; done < size; done += BENCH_CANCEL_BATCH) {
            for (long i = 0; i < BENCH_CANCEL_BATCH; i++)
                uv_timer_start(&timers[size + i], count_fired, spread_ms(first, deadlines++, range), 0);
            for (long i = 0; i < BENCH_CANCEL_BATCH; i++)
                uv_timer_stop(&timers[size + i]);
        }
        spent = bench_cpu_ns() - start;
    }
    return bench_print(name, spent / (double)size, "ns");
}

static double fire_all(uv_timer_t *timers, long size)
{
    uv_loop_t *loop = uv_default_loop();
    double start = bench_cpu_ns();
    uv_update_time(loop);
    for (long i = 0; i < size; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], count_fired, spread_ms(BENCH_FIRE_FIRST_NS, (uint64_t)i, BENCH_FIRE_SPREAD_NS), 0);
    }
    bench_sleep_until_all_due(bench_wall_ns());
    uv_run(loop, UV_RUN_DEFAULT);
    return bench_cpu_ns() - start;
}

static int timer_fire(const char *name, long size)
{
    uv_timer_t *timers = bench_need(calloc((size_t)size, sizeof *timers));
    fire_all(timers, size / 10);
    fired = 0;
    double spent = fire_all(timers, size);
    if (fired != size)
        return fprintf(stderr, "timer_fire: %ld of %ld fired\n", fired, size), 1;
    return bench_print(name, spent / (double)size, "ns");
}

/* One side of the round trip. Busy: an idle handle keeps the loop from ever sleeping. */
struct side {
    uv_loop_t loop;
    uv_async_t message;
    uv_idle_t idle;
    struct side *other;
    long left;
    bool answers; /* this side answers; the other begins, and stops after the last answer */
};

static void keep_busy(uv_idle_t *idle)
{
    (void)idle;
}

static void on_message(uv_async_t *message)
{
    struct side *self = message->data;
    self->left--;
    if (self->answers || self->left > 0)
        uv_async_send(&self->other->message);
    if (self->left == 0)
        uv_stop(&self->loop);
}

static void side_open(struct side *side, struct side *other, bool busy)
{
    uv_loop_init(&side->loop);
    uv_async_init(&side->loop, &side->message, on_message);
    side->message.data = side;
    side->other = other;
    if (busy) {
        uv_idle_init(&side->loop, &side->idle);
        uv_idle_start(&side->idle, keep_busy);
    }
}

static void run_other(void *argument)
{
    struct side *self = argument;
    bench_pin(1);
    uv_run(&self->loop, UV_RUN_DEFAULT);
}

static double wake_rounds(struct side *a, struct side *b, long rounds)
{
    uv_thread_t thread;
    a->left = b->left = rounds;
    b->answers = true;
    uv_thread_create(&thread, run_other, b);
    double start = bench_wall_ns();
    uv_async_send(&b->message);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    double spent = bench_wall_ns() - start;
    uv_thread_join(&thread);
    return spent / (double)rounds;
}

static double wake(long size, bool busy)
{
    static struct side a, b;
    bench_pin(0);
    side_open(&a, &b, busy);
    side_open(&b, &a, busy);
    wake_rounds(&a, &b, size / 10 + 1);
    return wake_rounds(&a, &b, size);
}

static int wake_asleep(const char *name, long size)
{
    return bench_print(name, wake(size, false) / 1e3, "us");
}
static int wake_busy(const char *name, long size)
{
    return bench_print(name, wake(size, true), "ns");
}

/* ---- a job in the pool and back ---- */

static long jobs_left;
static uv_work_t work;

static void do_nothing(uv_work_t *request)
{
    (void)request;
}

static void job_done(uv_work_t *request, int status)
{
    (void)status;
    if (--jobs_left > 0)
        uv_queue_work(request->loop, request, do_nothing, job_done);
}

static double run_jobs(uv_loop_t *loop, long size)
{
    jobs_left = size;
    double start = bench_wall_ns();
    uv_queue_work(loop, &work, do_nothing, job_done);
    uv_run(loop, UV_RUN_DEFAULT);
    return (bench_wall_ns() - start) / (double)size;
}

static int job(const char *name, long size)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    run_jobs(&loop, size / 10 + 1);
    return bench_print(name, run_jobs(&loop, size) / 1e3, "us");
}

/* ---- a program, and its output ---- */

static long programs_left;
static bool with_output;
static uv_process_t program;
static uv_pipe_t output;
static int open_handles;
static char output_text[4096];

static void start_program(uv_loop_t *loop);

static void handle_closed(uv_handle_t *handle)
{
    if (--open_handles == 0 && --programs_left > 0)
        start_program(handle->loop);
}

static void program_ended(uv_process_t *process, int64_t status, int signal)
{
    if (status != 0 || signal != 0)
        exit(1);
    uv_close((uv_handle_t *)process, handle_closed);
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    (void)size;
    *buffer = uv_buf_init(output_text, sizeof output_text);
}

static void output_came(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    if (size < 0)
        uv_close((uv_handle_t *)stream, handle_closed);
}

static void start_program(uv_loop_t *loop)
{
    static char *just_true[] = {"/bin/true", NULL}, *echo[] = {"/bin/echo", "hello", NULL};
    uv_stdio_container_t stdio[3] = {{.flags = UV_INHERIT_FD, .data.fd = 0},
                                     {.flags = UV_INHERIT_FD, .data.fd = 1},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2}};
    uv_process_options_t options = {.exit_cb = program_ended, .stdio_count = 3, .stdio = stdio};
    options.args = with_output ? echo : just_true;
    options.file = options.args[0];
    open_handles = 1 + with_output;
    if (with_output) {
        uv_pipe_init(loop, &output, 0);
        stdio[1].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
        stdio[1].data.stream = (uv_stream_t *)&output;
    }
    if (uv_spawn(loop, &program, &options) < 0)
        exit(1);
    if (with_output)
        uv_read_start((uv_stream_t *)&output, give_room, output_came);
}

static double run_programs(uv_loop_t *loop, long size)
{
    programs_left = size;
    double start = bench_wall_ns();
    start_program(loop);
    uv_run(loop, UV_RUN_DEFAULT);
    return (bench_wall_ns() - start) / (double)size;
}

static int process(const char *name, long size)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    with_output = strcmp(name, "process_output") == 0;
    run_programs(&loop, size / 10 + 1);
    return bench_print(name, run_programs(&loop, size) / 1e3, "us");
}

/* ---- names: 1,000 look-ups at once, in the pool of threads ---- */

enum { NAMES = 1000 };

static void name_found(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    (void)request;
    if (status != 0)
        exit(1);
    uv_freeaddrinfo(list);
}

static void look_up_many(uv_loop_t *loop)
{
    static uv_getaddrinfo_t requests[NAMES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    for (int i = 0; i < NAMES; i++)
        if (uv_getaddrinfo(loop, &requests[i], name_found, "localhost", "80", &hints) < 0)
            exit(1);
    uv_run(loop, UV_RUN_DEFAULT);
}

static int look_names_up(const char *name, long size)
{
    uv_loop_t loop;
    long count = (size + NAMES - 1) / NAMES;
    uv_loop_init(&loop);
    look_up_many(&loop);
    double start = bench_wall_ns();
    for (long i = 0; i < count; i++)
        look_up_many(&loop);
    return bench_print(name, (bench_wall_ns() - start) / (double)count / NAMES / 1e3, "us");
}

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"timer_cancel", timer_cancel},
        {"timer_fire", timer_fire},
        {"wake_asleep", wake_asleep},
        {"wake_busy", wake_busy},
        {"job", job},
        {"process", process},
        {"process_output", process},
        {"names", look_names_up},
        {"names_ares", look_names_up},
        {"read_4k", uv_read_row},
        {"read_4k_32", uv_read_row},
        {"write_64", uv_write_row},
        {"copy_large", uv_copy_large_row},
        {"copy_small", uv_copy_small_row},
    };
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], atoi(argv[3]));
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
