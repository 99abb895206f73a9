/* runner.h - what the runner leaves to the floors above: ending what they have begun for a loop. */
#ifndef COSY_FLOW_RUNNER_H
#define COSY_FLOW_RUNNER_H

#include <cosy/runner.h>

#include "../base/base.h"

/* The runner has cancelled and awaited every task and is about to close the loop. `close` then runs as a task, if it is
 * wanted; its result is not looked at. asyncio's order: asynchronous generators first, executors last. */
enum { COSY_CLOSE_GENERATORS = 1, COSY_CLOSE_EXECUTORS = 2 };
struct cosy_closer {
    int order; /* COSY_CLOSE_... */
    bool (*wanted)(struct cosy_loop *loop);
    int (*close)(void);
    struct cosy_closer *next;
};

/* When the library is loaded; static memory. */
void cosy_runner_add_closer(struct cosy_closer *closer);

#endif
