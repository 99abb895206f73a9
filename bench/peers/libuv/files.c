/* read_4k, read_4k_32, write_64, copy_large, copy_small by uv_fs_*. */
#include "../../files.h"
#include "files.h"

#include <uv.h>

static struct {
    uv_fs_t request;
    uv_buf_t part;
    char data[BENCH_READ_SIZE];
} reads[32];
static uv_file file;
static long asked, end;

static void got(uv_fs_t *request);

static void ask(uv_fs_t *request)
{
    uv_fs_read(uv_default_loop(), request, file, request->data, 1, bench_read_at(asked++), got);
}

static void got(uv_fs_t *request)
{
    if (request->result != BENCH_READ_SIZE)
        abort();
    uv_fs_req_cleanup(request);
    if (asked < end)
        ask(request);
}

static void read_all(long size, long depth)
{
    asked = 0;
    end = size;
    for (long i = 0; i < depth && asked < end; i++) {
        reads[i].part = uv_buf_init(reads[i].data, BENCH_READ_SIZE);
        reads[i].request.data = &reads[i].part;
        ask(&reads[i].request);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int uv_read_row(const char *name, long size)
{
    long depth = strcmp(name, "read_4k_32") == 0 ? 32 : 1;
    file = open(bench_read_file(), O_RDONLY | O_CLOEXEC);
    read_all(size / 10 + 1, depth);
    double start = bench_wall_ns();
    read_all(size, depth);
    return bench_print(name, (bench_wall_ns() - start) / (double)size, "ns");
}

static long lines_left;
static char line[BENCH_LINE];

static void line_written(uv_fs_t *request)
{
    static uv_buf_t part = {.base = line, .len = sizeof line};
    if (request->result < 0)
        abort();
    uv_fs_req_cleanup(request);
    if (lines_left-- > 0)
        uv_fs_write(uv_default_loop(), request, file, &part, 1, -1, line_written);
}

static void write_lines(long count)
{
    static uv_fs_t request;
    lines_left = count;
    line_written(&request);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int uv_write_row(const char *name, long size)
{
    bench_make_folder();
    file = open(bench_path("lines", 0), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    memset(line, 'x', sizeof line);
    write_lines(size / 10 + 1);
    double start = bench_wall_ns();
    write_lines(size);
    return bench_print(name, (bench_wall_ns() - start) / 1e3 / (double)size, "us");
}

static long next_copy, copies;
static uv_fs_t copying[4];

static void copied(uv_fs_t *request)
{
    if (request->result < 0)
        abort();
    uv_fs_req_cleanup(request);
    if (next_copy == copies)
        return;
    const char *from = bench_path("from", next_copy), *to = bench_path("to", next_copy);
    next_copy++;
    uv_fs_copyfile(uv_default_loop(), request, from, to, 0, copied);
}

static double copy_all(long count)
{
    copies = count;
    double start = bench_wall_ns();
    for (int i = 0; i < 4 && next_copy < copies; i++)
        copied(&copying[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return bench_wall_ns() - start;
}

int uv_copy_large_row(const char *name, long size)
{
    bench_make_folder();
    bench_make_file(bench_path("from", 0), size << 20);
    return bench_print(name, copy_all(1) / 1e6, "ms");
}

int uv_copy_small_row(const char *name, long size)
{
    bench_make_folder();
    for (long i = 0; i < size; i++)
        bench_make_file(bench_path("from", i), BENCH_SMALL_FILE);
    return bench_print(name, copy_all(size) / 1e3 / (double)size, "us");
}
