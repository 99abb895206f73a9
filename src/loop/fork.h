/* fork.h - a loop that runs while its process is forked.
 *
 * Invariants
 *  - In the child, the loop that ran in the forking thread is `forked`: its kernel refuses everything (sys/dead.c), its
 * queue holds nothing but the marker, behind which whatever is queued now never runs, and no loop runs in the thread.
 * What it has stays where it is: freeing it would run the parent's clean-ups.
 *  - Loops that did not run are untouched; their kernels notice by themselves.
 *  - cosy_forks counts the forks that this process comes from.
 */
#ifndef COSY_LOOP_FORK_H
#define COSY_LOOP_FORK_H

#include <cosy/fork.h>

#include "loop.h"

/* This is a forked child of a running loop's, which has not taken the parent's place, and no loop of its own runs now.
 */
bool cosy_fork_is_child(void);
/* The child has come back to such a loop: says so. */
void cosy_fork_tell(const struct cosy_loop *loop);

#endif
