/* tree_sum.c - a checksum of each file of a directory tree, by all processors, as `find DIRECTORY -type f -exec cksum {} +` prints them.
 *
 *     tree_sum DIRECTORY      CRC, size and path of each file, sorted by path
 *     tree_sum                shows itself on a small tree of its own
 *
 * One task walks the tree and hands each path to a queue. As many tasks as there are processors take from it; they wait for their file and then
 * for a thread that reckons, so that disk and processors are busy at the same time.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAITING = 64 };

struct sum {
    char *path;
    size_t size;
    uint32_t crc;
};

typedef COSY_QUEUE(char *) path_queue;

struct sums {
    const char *directory;
    path_queue paths;
    struct sum *done;
    size_t count, room;
};

/* ---- the reckoning: POSIX cksum ---- */

static uint32_t table[256];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i << 24;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] << 1 ^ (table[i] & 0x80000000 ? 0x04c11db7 : 0);
    }
}

/* A job: in a thread. */
static int reckon(struct sum *sum, const unsigned char *data)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < sum->size; i++)
        crc = crc << 8 ^ table[crc >> 24 ^ data[i]];
    for (size_t rest = sum->size; rest; rest >>= 8)
        crc = crc << 8 ^ table[crc >> 24 ^ (rest & 255)];
    sum->crc = ~crc;
    return 0;
}

/* ---- tasks ---- */

/* A path, once it is in the queue, is the taker's. */
cosy_async static int find_files(struct sums *sums)
{
    int err = 0;
    COSY_FOR (struct cosy_dir_entry, entry, err, cosy_walk(sums->directory))
        if (entry.type == COSY_TYPE_FILE) {
            char *path = strdup(entry.path);
            int result = path ? cosy_queue_put(&sums->paths, path) : -ENOMEM;
            if (result < 0)
                free(path);
            cosy_check(err, result);
        }
    cosy_queue_shutdown(&sums->paths, false);
    return err;
}

cosy_async static int sum_one(struct sum *sum)
{
    char *data;
    cosy_try(cosy_read_file(sum->path, &data, &sum->size));
    int result = cosy_to_thread(reckon, sum, (const unsigned char *)data);
    free(data);
    return result;
}

static int keep(struct sums *sums, struct sum sum)
{
    if (sums->count == sums->room) {
        sums->room = sums->room ? 2 * sums->room : 64;
        struct sum *more = realloc(sums->done, sums->room * sizeof *more);
        if (!more)
            return -ENOMEM;
        sums->done = more;
    }
    sums->done[sums->count++] = sum;
    return 0;
}

cosy_async static int take_files(struct sums *sums)
{
    struct sum sum = {0};
    int result;
    while ((result = cosy_queue_get(&sums->paths, &sum.path)) == 0) {
        result = sum_one(&sum);
        if (result == 0)
            result = keep(sums, sum);
        if (result < 0) {
            free(sum.path);
            return result;
        }
    }
    return result == -COSY_EQUEUESHUTDOWN ? 0 : result;
}

static int by_path(const void *one, const void *other)
{
    return strcmp(((const struct sum *)one)->path, ((const struct sum *)other)->path);
}

cosy_async static int sum_files(struct sums *sums)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    cosy_task_group_create_task(group, find_files, sums);
    for (long i = 0; i < processors; i++)
        cosy_task_group_create_task(group, take_files, sums);
    return cosy_task_group_wait(group);
}

cosy_async static int sum_tree(const char *directory)
{
    struct sums sums = {.directory = directory};
    make_table();
    cosy_queue_init(&sums.paths, .maxsize = WAITING);
    int err = sum_files(&sums);
    char *path;
    while (cosy_queue_get_nowait(&sums.paths, &path) == 0)
        free(path);
    cosy_queue_destroy(&sums.paths);
    if (err == 0 && sums.count > 0)
        qsort(sums.done, sums.count, sizeof *sums.done, by_path);
    for (size_t i = 0; i < sums.count; i++) {
        if (err == 0)
            printf("%u %zu %s\n", sums.done[i].crc, sums.done[i].size, sums.done[i].path);
        free(sums.done[i].path);
    }
    free(sums.done);
    return err;
}

cosy_async static int show(void)
{
    cosy_scoped(cosy_tempdir) directory = NULL;
    cosy_try(cosy_temporary_directory(&directory));
    if (chdir(cosy_tempdir_path(directory)) < 0)
        return -errno;
    cosy_try(cosy_mkdir("src/deep", .parents = true));
    cosy_try(cosy_write_file("src/hello", "hello\n", 6));
    cosy_try(cosy_write_file("src/empty", "", 0));
    cosy_try(cosy_write_file("src/deep/digits", "123456789", 9));
    int result = sum_tree("src");
    return chdir("/") < 0 ? -errno : result;
}

cosy_async static int amain(int count, char **words) { return count > 1 ? sum_tree(words[1]) : show(); }

int main(int count, char **words) { return cosy_main(amain, count, words); }

/* Output:
 * 930766865 9 src/deep/digits
 * 4294967295 0 src/empty
 * 3015617425 6 src/hello
 */
