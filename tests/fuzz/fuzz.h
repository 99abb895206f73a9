/* fuzz.h - what the workloads of the schedule fuzzer share.
 *
 * A workload is a function that makes one run and says by cosy_test_expect what must hold afterwards and at rest. It is
 * explored in three ways: many seeds on the quick paths, some seeds with each wait cancelled in turn, and many with
 * cancels by chance.
 */
#ifndef COSY_TESTS_FUZZ_H
#define COSY_TESTS_FUZZ_H

#include <cosy.h>

struct workload {
    const char *name;
    void (*round)(void);
};

/* Each file of workloads/ registers its own before main. */
void workload_add(const struct workload *workload);
#define WORKLOAD(label, function)                                                                                      \
    __attribute__((constructor)) static void add_##function(void)                                                      \
    {                                                                                                                  \
        static const struct workload workload = {label, function};                                                     \
        workload_add(&workload);                                                                                       \
    }

/* A number below n, from the run's seed. */
static inline int below(int n)
{
    return (int)(cosy_test_random() % (unsigned)n);
}

/* Whether a member of a crew gives or takes: few of one kind leave many of the other waiting, so that a lost wake-up
 * shows. */
static inline bool gives(int index, int givers_in_four)
{
    return index % 4 < givers_in_four;
}

/* Lets others run, in one of several ways. */
cosy_async static inline int pause_somehow(void)
{
    switch (below(4)) {
    case 0:
        return 0;
    case 1:
        return cosy_sleep(COSY_US(below(50)));
    default:
        return cosy_yield();
    }
}

/* Until everybody has come to rest and no pause is left: who waits now waits for good. */
cosy_async static inline int until_rest(void)
{
    return cosy_sleep(COSY_S(1000));
}

/* Several tasks over one state: they run, some are cancelled on the way, and at last, when nothing moves any more,
 * those that still wait. */
enum { CREW_MAX = 12 };
struct crew {
    int (*member)(void *state, int index); /* an async function */
    void (*at_rest)(
        void *state); /* nothing moves any more, nobody was cancelled but by `kills`; NULL: nothing to see */
    void *state;
    int members;
    int kills;   /* so many cancels of members, by chance */
    int stopped; /* out: members that were cancelled, and said so */
};
cosy_async int crew_run(struct crew *crew);

#endif
