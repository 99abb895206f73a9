/* measure.c - what a soak leaves behind: descriptors, blocks and bytes of the heap, pages, tasks. */
#include "soak.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "base/heap.h"

static long count_descriptors(void)
{
    long count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count - 3; /* itself, "." and ".." */
}

static long resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* The tools have heaps of their own. */
static long heap_bytes(void)
{
    return under_tool() ? 0 : (long)mallinfo2().uordblks;
}

/* Pages of the heap that nobody uses are not a leak. */
static void trim_heap(void)
{
    if (!under_tool())
        malloc_trim(0);
}

cosy_async static int ask_server(struct soak *soak)
{
    unsigned question = atomic_fetch_add(&soak->asked, 1) + 1;
    while (atomic_load(&soak->answered) != question)
        cosy_try(cosy_sleep(COSY_MS(1)));
    return 0;
}

/* Clients are gone before the server knows. */
int soak_measure(struct soak *soak, struct soak_left *ret_left)
{
    for (int i = 0; i < SOAK_SNAIL * 20; i++) {
        cosy_try(ask_server(soak));
        if (atomic_load(&soak->server_clients) == 0)
            break;
        cosy_try(cosy_sleep(COSY_MS(50)));
    }
    cosy_try(cosy_sleep(COSY_MS(20))); /* what a turn of the server still has to free */
    cosy_try(ask_server(soak));
    trim_heap();
    *ret_left = (struct soak_left){.descriptors = count_descriptors(),
                                   .blocks = cosy_heap_live(),
                                   .bytes = heap_bytes(),
                                   .resident = resident_bytes(),
                                   .clients = atomic_load(&soak->server_clients),
                                   .server_tasks = atomic_load(&soak->server_tasks),
                                   .load_tasks = (long)cosy_all_tasks(NULL, NULL, 0)};
    return 0;
}

void soak_print_left(const char *when, const struct soak_left *left)
{
    printf("%s: %ld descriptors, %ld blocks, %ld KiB of heap, %ld KiB resident, %ld clients, %ld + %ld tasks\n", when,
           left->descriptors, left->blocks, left->bytes / 1024, left->resident / 1024, left->clients,
           left->server_tasks, left->load_tasks);
}

/* Caches grow with the most that there was at once, which differs a little from round to round; leaks grow with each
 * connection. */
int soak_compare(struct soak *soak, const struct soak_left *baseline, const struct soak_left *left)
{
    long blocks = 16 + (long)soak->clients, bytes = (512 << 10) + (4096L * soak->clients);
    if (left->clients != 0)
        return soak_fault(soak, "%ld clients of the server are left", left->clients);
    if (left->server_tasks != baseline->server_tasks || left->load_tasks != baseline->load_tasks)
        return soak_fault(soak, "%ld + %ld tasks are left of %ld + %ld", left->server_tasks, left->load_tasks,
                          baseline->server_tasks, baseline->load_tasks);
    if (left->descriptors != baseline->descriptors)
        return soak_fault(soak, "%ld descriptors, %ld before", left->descriptors, baseline->descriptors);
    if (left->blocks > baseline->blocks + blocks)
        return soak_fault(soak, "%ld blocks of the heap, %ld before", left->blocks, baseline->blocks);
    if (left->bytes > baseline->bytes + bytes)
        return soak_fault(soak, "%ld bytes of the heap, %ld before", left->bytes, baseline->bytes);
    if (!under_tool() && left->resident > baseline->resident + (8 << 20) + 65536L * soak->clients)
        return soak_fault(soak, "%ld KiB resident, %ld before", left->resident / 1024, baseline->resident / 1024);
    return 0;
}
