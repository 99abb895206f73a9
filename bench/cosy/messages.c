/* handover, queue1024, generator: words from one task to another, or from a generator to its task. */
#include "rows.h"

typedef COSY_QUEUE(long) word_queue;

static word_queue queue;
static long total; /* so that nothing is left out */

cosy_async static int send_words(long count)
{
    for (long i = 0; i < count; i++)
        cosy_try(cosy_queue_put(&queue, i));
    return 0;
}

cosy_async static int receive_words(long count)
{
    long word;
    while (count-- > 0) {
        cosy_try(cosy_queue_get(&queue, &word));
        total += word;
    }
    return 0;
}

cosy_async static int measure_messages(const char *name, long size)
{
    long warm = bench_warms_up() ? size / 10 : 0;
    cosy_scoped(cosy_task) sender = cosy_create_task(send_words, warm + size);
    cosy_try(receive_words(warm));
    double start = bench_cpu_ns();
    cosy_try(receive_words(size));
    double spent = bench_cpu_ns() - start;
    cosy_try(cosy_await(sender));
    return bench_print(name, spent / (double)size, "ns");
}

int cosy_handover_row(const char *name, long size)
{
    cosy_queue_init(&queue, .unbuffered = true);
    return cosy_run(measure_messages, name, size);
}

int cosy_queue_row(const char *name, long size)
{
    cosy_queue_init(&queue, .maxsize = 1024);
    int result = cosy_run(measure_messages, name, size);
    cosy_queue_destroy(&queue);
    return result;
}

/* ---- a generator ---- */

cosy_async static int count_up(cosy_emitter(long) *out, long count)
{
    for (long i = 0; i < count; i++)
        cosy_try(cosy_emit(out, i));
    return 0;
}

cosy_async static int add_up(long count)
{
    int err = 0;
    COSY_FOR (long, word, err, cosy_agen(count_up, count))
        total += word;
    return err;
}

cosy_async static int measure_generator(const char *name, long size)
{
    if (bench_warms_up())
        cosy_try(add_up(size / 10));
    double start = bench_cpu_ns();
    cosy_try(add_up(size));
    return bench_print(name, (bench_cpu_ns() - start) / (double)size, "ns");
}

int cosy_generator_row(const char *name, long size)
{
    return cosy_run(measure_generator, name, size);
}
