/* read_4k, read_4k_32, write_64, copy_large, copy_small: a file in the page cache read at random, one that grows by
 * lines, and files copied. */
#include "../files.h"
#include "rows.h"

struct reads {
    cosy_file *file;
    long next, end;
};

/* Side by side, as the limit's and the peers' are: on 32 stacks they would be on pages far apart, and what the table
 * showed were the processor's page tables. */
static char buffers[32][BENCH_READ_SIZE];

cosy_async static int read_some(struct reads *reads, char *data)
{
    while (reads->next < reads->end)
        cosy_try(cosy_file_pread(reads->file, data, BENCH_READ_SIZE, bench_read_at(reads->next++)));
    return 0;
}

cosy_async static int read_all(struct reads *reads, long depth)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (long i = 0; i < depth; i++)
        cosy_task_group_create_task(group, read_some, reads, buffers[i]);
    return cosy_task_group_wait(group);
}

cosy_async static int measure_reads(const char *name, long size, long depth)
{
    struct reads reads = {.end = size / 10 + 1};
    cosy_try(cosy_file_open(bench_read_file(), O_RDONLY, &reads.file));
    int result = read_all(&reads, depth);
    reads.end += size;
    double start = bench_wall_ns();
    if (result == 0)
        result = read_all(&reads, depth);
    double spent = bench_wall_ns() - start;
    cosy_file_close(reads.file);
    return result < 0 ? result : bench_print(name, spent / (double)size, "ns");
}

int cosy_read_row(const char *name, long size)
{
    return cosy_run(measure_reads, name, size, strcmp(name, "read_4k_32") == 0 ? 32 : 1);
}

cosy_async static int write_lines(cosy_file *file, long count)
{
    char line[BENCH_LINE];
    memset(line, 'x', sizeof line);
    while (count-- > 0)
        cosy_try(cosy_file_write(file, line, sizeof line));
    return 0;
}

cosy_async static int measure_writes(const char *name, long size)
{
    cosy_scoped(cosy_file) file = NULL;
    bench_make_folder();
    cosy_try(cosy_file_open(bench_path("lines", 0), O_WRONLY | O_CREAT, &file));
    cosy_try(write_lines(file, size / 10 + 1));
    double start = bench_wall_ns();
    cosy_try(write_lines(file, size));
    return bench_print(name, (bench_wall_ns() - start) / 1e3 / (double)size, "us");
}

int cosy_write_row(const char *name, long size)
{
    return cosy_run(measure_writes, name, size);
}

cosy_async static int measure_copy(const char *name, long size)
{
    bench_make_folder();
    bench_make_file(bench_path("from", 0), size << 20);
    double start = bench_wall_ns();
    int64_t copied = cosy_copy_file(bench_path("from", 0), bench_path("to", 0));
    return copied < 0 ? (int)copied : bench_print(name, (bench_wall_ns() - start) / 1e6, "ms");
}

int cosy_copy_large_row(const char *name, long size)
{
    return cosy_run(measure_copy, name, size);
}

static long next_copy;

cosy_async static int copy_some(long count)
{
    while (next_copy < count) {
        char from[512], to[512];
        long number = next_copy++;
        snprintf(from, sizeof from, "%s", bench_path("from", number));
        snprintf(to, sizeof to, "%s", bench_path("to", number));
        int64_t copied = cosy_copy_file(from, to);
        if (copied < 0)
            return (int)copied;
    }
    return 0;
}

cosy_async static int measure_copies(const char *name, long size)
{
    enum { AT_ONCE = 4 };
    bench_make_folder();
    for (long i = 0; i < size; i++)
        bench_make_file(bench_path("from", i), BENCH_SMALL_FILE);
    double start = bench_wall_ns();
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < AT_ONCE; i++)
        cosy_task_group_create_task(group, copy_some, size);
    cosy_try(cosy_task_group_wait(group));
    return bench_print(name, (bench_wall_ns() - start) / 1e3 / (double)size, "us");
}

int cosy_copy_small_row(const char *name, long size)
{
    return cosy_run(measure_copies, name, size);
}
