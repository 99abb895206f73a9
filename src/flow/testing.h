/* testing.h - what a run of the test kit and an exploration know of each other. */
#ifndef COSY_FLOW_TESTING_H
#define COSY_FLOW_TESTING_H

#include <cosy/testing.h>

/* The exploration of this thread, or NULL. */
struct cosy_exploration_ *cosy_exploring(void);

/* What the exploration wants of its next run: into options where they are zero. */
void cosy_explore_fill(struct cosy_exploration_ *exploration, struct cosy_test_options *options);
/* What became of that run. place: of the wait that was cancelled, or "". */
void cosy_explore_note(struct cosy_exploration_ *exploration, int result, const struct cosy_test_report *report,
                       const char *place);

/* Adds what there is now, `sign` times: before and after. */
void cosy_test_balance(struct cosy_test_balance_ *balance, int sign);

/* The first state of a generator for a seed, and its next number. */
uint64_t cosy_test_random_begin(uint64_t seed);
uint64_t cosy_test_random_next(uint64_t *state);

#endif
