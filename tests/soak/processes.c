/* processes.c - ten thousand programs in a row, and some at a time that are treated badly: nothing is left of them.
 *
 *     soak_processes [--count N] [--seed N]
 *
 * Exit status 0: each program came to what it should, and descriptors, threads, children, heap and pages are back where
 * they were after the first ones. */
#include <cosy.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "../harness/tool.h"

enum { WARM_UP = 100, AT_A_TIME = 4, SLACK_KIB = 1024 };

static uint64_t state;

static unsigned draw(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static int entries_of(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- what is done to them ---- */

cosy_async static int run_quickly(void)
{
    struct cosy_process_result result;
    return cosy_run_process(COSY_ARGV("/bin/true"), &result, .check = true);
}

cosy_async static int talk(void)
{
    struct cosy_process_result result;
    char text[32];
    int size = snprintf(text, sizeof text, "number %u", draw(1000000));
    cosy_try(cosy_run_process(COSY_ARGV("/bin/cat"), &result, .capture = true, .check = true, .input = text,
                              .input_size = (size_t)size));
    int same = result.output.stdout_size == (size_t)size && memcmp(result.output.stdout, text, (size_t)size) == 0;
    cosy_process_output_free(&result.output);
    return same ? 0 : cosy_fail(EBADMSG, "cat gave something else back");
}

cosy_async static int cancel(void)
{
    struct cosy_process_result result;
    int err = 0;
    COSY_TIMEOUT (err, COSY_US(1) * (cosy_ns)draw(3000)) {
        cosy_check(err, cosy_run_process(COSY_ARGV("/bin/sh", "-c", "sleep 100 & wait"), &result, .capture = true,
                                         .process.kill_group = true));
    }
    return err == -ETIMEDOUT ? 0 : err < 0 ? err : -EBADMSG;
}

cosy_async static int refuse(void)
{
    cosy_process *process;
    int result =
        cosy_create_subprocess_exec(&process, COSY_ARGV("/no/such/program"), .stdin = COSY_PIPE, .stdout = COSY_PTY);
    return result == -ENOENT ? 0 : result < 0 ? result : -EBADMSG;
}

cosy_async static int end_politely(void)
{
    cosy_process *process;
    cosy_try(cosy_create_subprocess_exec(&process, COSY_ARGV("/bin/sleep", "100"), .close_grace = COSY_S(30),
                                         .stdout = COSY_PIPE));
    return cosy_process_close(process);
}

cosy_async static int do_some(long count)
{
    static int (*const ways[])(void) = {run_quickly, run_quickly, run_quickly, run_quickly, talk,
                                        talk,        cancel,      refuse,      end_politely};
    for (; count > 0; count--)
        cosy_try(ways[draw(sizeof ways / sizeof *ways)]());
    return 0;
}

cosy_async static int do_many(long count)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open();
    for (int i = 0; i < AT_A_TIME; i++)
        cosy_task_group_spawn(group, do_some, count / AT_A_TIME);
    return cosy_task_group_wait(group);
}

/* ---- what is left ---- */

struct left {
    int descriptors, threads;
    long blocks, resident;
};

static struct left look(void)
{
    return (struct left){entries_of("/proc/self/fd"), entries_of("/proc/self/task"), cosy_heap_live(), resident_kib()};
}

static int compare(const struct left *before, const struct left *after)
{
    siginfo_t info;
    int faults = 0;
    faults += after->descriptors > before->descriptors;
    faults += after->threads > before->threads;
    faults += after->blocks > before->blocks + 16;
    faults += !UNDER_SANITIZER && !under_valgrind() && after->resident > before->resident + SLACK_KIB;
    faults += waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    printf("descriptors %d -> %d, threads %d -> %d, blocks %ld -> %ld, resident %ld -> %ld KiB\n", before->descriptors,
           after->descriptors, before->threads, after->threads, before->blocks, after->blocks, before->resident,
           after->resident);
    return faults ? cosy_fail(EBADMSG, "something is left behind, or a child") : 0;
}

cosy_async static int amain(long count)
{
    cosy_try(do_many(WARM_UP < count ? WARM_UP : count));
    cosy_try(cosy_sleep(COSY_MS(20)));
    struct left before = look();
    cosy_try(do_many(count));
    cosy_try(cosy_sleep(COSY_MS(20)));
    struct left after = look();
    return compare(&before, &after);
}

int main(int argc, char **argv)
{
    long count = 10000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--count") == 0)
            count = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            state = strtoull(argv[i + 1], NULL, 10);
        else
            return 2;
    }
    cosy_heap_live();
    return cosy_main(amain, count);
}
