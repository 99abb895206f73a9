/* What the rows of files share: a file of the same content for everyone, in a folder of its own that is removed at the
 * end. */
#pragma once

#include "bench.h"

#include <fcntl.h>

enum { BENCH_LINE = 64 }; /* of write_64 */
enum { BENCH_READ_SIZE = 4096, BENCH_READ_BLOCKS = 16384, BENCH_SMALL_FILE = 4096 };

static char bench_folder[256];

static inline const char *bench_path(const char *name, long number)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s%ld", bench_folder, name, number);
    return path;
}

static inline void bench_remove_folder(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", bench_folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", bench_folder);
}

static inline void bench_make_folder(void)
{
    const char *where = getenv("TMPDIR");
    snprintf(bench_folder, sizeof bench_folder, "%s/cosy-bench-XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp(bench_folder)) {
        perror(bench_folder);
        exit(1);
    }
    atexit(bench_remove_folder);
}

static inline void bench_make_file(const char *path, long bytes)
{
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    memset(block, 'x', sizeof block);
    for (long left = bytes; fd >= 0 && left > 0; left -= (long)sizeof block)
        if (write(fd, block, left < (long)sizeof block ? (size_t)left : sizeof block) < 0) {
            perror(path);
            exit(1);
        }
    if (fd >= 0)
        close(fd);
}

/* The file that is read at random, 64 MiB; it stays in the page cache. */
static inline const char *bench_read_file(void)
{
    bench_make_folder();
    const char *path = bench_path("read", 0);
    bench_make_file(path, (long)BENCH_READ_SIZE * BENCH_READ_BLOCKS);
    return path;
}

static inline off_t bench_read_at(long i)
{
    return (off_t)bench_spread((uint64_t)i, BENCH_READ_BLOCKS) * BENCH_READ_SIZE;
}
