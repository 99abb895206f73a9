/* read_4k, read_4k_32, write_64, copy_large, copy_small: a loop around io_uring and nothing else; lines by write,
 * copies by copy_file_range, in plain loops that wait for no one. */
#include "../files.h"
#include "limits.h"

#if __has_include(<liburing.h>)
#include <liburing.h>

static void ask(struct io_uring *ring, int fd, char *data, long i)
{
    io_uring_prep_read(io_uring_get_sqe(ring), fd, data, BENCH_READ_SIZE, (uint64_t)bench_read_at(i));
}

/* `depth` reads are always under way. */
static void read_all(struct io_uring *ring, int fd, char *data, long size, long depth)
{
    long asked = 0, got = 0;
    while (got < size) {
        struct io_uring_cqe *cqe;
        while (asked < size && asked - got < depth) {
            ask(ring, fd, data + asked % depth * BENCH_READ_SIZE, asked);
            asked++;
        }
        io_uring_submit_and_wait(ring, 1);
        while (io_uring_peek_cqe(ring, &cqe) == 0) {
            if (cqe->res != BENCH_READ_SIZE)
                abort();
            io_uring_cqe_seen(ring, cqe);
            got++;
        }
    }
}

int limit_read_row(const char *name, long size)
{
    struct io_uring ring;
    long depth = strcmp(name, "read_4k_32") == 0 ? 32 : 1;
    static char data[32 * BENCH_READ_SIZE];
    int fd = open(bench_read_file(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || io_uring_queue_init(64, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) < 0) {
        printf("%s n/a\n", name);
        return 0;
    }
    read_all(&ring, fd, data, size / 10 + 1, depth);
    double start = bench_wall_ns();
    read_all(&ring, fd, data, size, depth);
    double spent = bench_wall_ns() - start;
    io_uring_queue_exit(&ring);
    close(fd);
    return bench_print(name, spent / (double)size, "ns");
}
#else
int limit_read_row(const char *name, long size)
{
    (void)size;
    printf("%s n/a\n", name);
    return 0;
}
#endif

static void write_lines(int fd, long count)
{
    char line[BENCH_LINE];
    memset(line, 'x', sizeof line);
    while (count-- > 0)
        if (write(fd, line, sizeof line) != sizeof line)
            abort();
}

int limit_write_row(const char *name, long size)
{
    bench_make_folder();
    int fd = open(bench_path("lines", 0), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    write_lines(fd, size / 10 + 1);
    double start = bench_wall_ns();
    write_lines(fd, size);
    double spent = bench_wall_ns() - start;
    close(fd);
    return bench_print(name, spent / 1e3 / (double)size, "us");
}

static void copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while (copy_file_range(in, NULL, out, NULL, 1 << 30, 0) > 0)
        ;
    close(in);
    close(out);
}

int limit_copy_large_row(const char *name, long size)
{
    bench_make_folder();
    bench_make_file(bench_path("from", 0), size << 20);
    double start = bench_wall_ns();
    copy(bench_path("from", 0), bench_path("to", 0));
    return bench_print(name, (bench_wall_ns() - start) / 1e6, "ms");
}

int limit_copy_small_row(const char *name, long size)
{
    bench_make_folder();
    for (long i = 0; i < size; i++)
        bench_make_file(bench_path("from", i), BENCH_SMALL_FILE);
    double start = bench_wall_ns();
    for (long i = 0; i < size; i++)
        copy(bench_path("from", i), bench_path("to", i));
    return bench_print(name, (bench_wall_ns() - start) / 1e3 / (double)size, "us");
}
