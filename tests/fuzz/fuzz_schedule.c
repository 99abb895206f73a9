/* The schedule fuzzer: workloads over every primitive, in thousands of orders, cancelled everywhere.
 *
 *     fuzz_schedule [--seeds N] [--first N] [WORKLOAD...]     exit 0: all invariants held
 *     fuzz_schedule --list
 *
 * A failing round prints the command that makes it again (cosy/testing.h).
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORKLOADS = 64, SEEDS = 200 };

static const struct workload *workloads[MAX_WORKLOADS];
static size_t count;

void workload_add(const struct workload *workload)
{
    if (count == MAX_WORKLOADS)
        abort();
    workloads[count++] = workload;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct workload *const *)a)->name, (*(const struct workload *const *)b)->name);
}

/* How a workload is explored; returns rounds, or a negative error. */
static int explore(const struct workload *workload, uint64_t first, uint64_t seeds)
{
    char quick[64], each[64], chance[64];
    int made[3] = {0};
    snprintf(quick, sizeof quick, "%s", workload->name);
    snprintf(each, sizeof each, "%s.each", workload->name);
    snprintf(chance, sizeof chance, "%s.chance", workload->name);
    COSY_TEST_EXPLORE(made[0], .name = quick, .first_seed = first, .seeds = seeds, .unwatched = true)
    workload->round();
    if (made[0] < 0)
        return made[0];
    COSY_TEST_EXPLORE(made[1], .name = each, .first_seed = first, .seeds = 1 + seeds / 20, .cancel_each_wait = true)
    workload->round();
    if (made[1] < 0)
        return made[1];
    COSY_TEST_EXPLORE(made[2], .name = chance, .first_seed = first, .seeds = seeds, .cancel_one_in = 4 + first % 40)
    workload->round();
    return made[2] < 0 ? made[2] : made[0] + made[1] + made[2];
}

static bool is_chosen(const char *name, char **names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    uint64_t seeds = SEEDS, first = 1;
    int failed = 0, at = 1;
    qsort(workloads, count, sizeof *workloads, by_name);
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++)
        if (strcmp(argv[at], "--list") == 0) {
            for (size_t i = 0; i < count; i++)
                puts(workloads[i]->name);
            return 0;
        } else if (strcmp(argv[at], "--seeds") == 0 && at + 1 < argc)
            seeds = strtoull(argv[++at], NULL, 0);
        else if (strcmp(argv[at], "--first") == 0 && at + 1 < argc)
            first = strtoull(argv[++at], NULL, 0);
        else
            return fprintf(stderr, "usage: %s [--seeds N] [--first N] [--list] [WORKLOAD...]\n", argv[0]), 2;
    for (size_t i = 0; i < count; i++) {
        if (!is_chosen(workloads[i]->name, argv + at, argc - at))
            continue;
        int rounds = explore(workloads[i], first, seeds);
        if (rounds < 0)
            printf("%-12s failed: %s\n", workloads[i]->name, cosy_errname(rounds));
        else if (rounds > 0) /* none: a replay of another one */
            printf("%-12s %d rounds\n", workloads[i]->name, rounds);
        failed += rounds < 0;
        fflush(stdout);
    }
    return failed != 0;
}
