/* thread.h - what a thread knows: its running loop, its running task, the context of code outside tasks.
 *
 * Tasks never migrate between threads, so a cached address of this variable stays right over a switch.
 */
#ifndef COSY_LOOP_THREAD_H
#define COSY_LOOP_THREAD_H

#include <cosy/loop.h>

#include "../base/base.h"

struct cosy_thread {
    struct cosy_task *current; /* the running task; NULL in callbacks and outside loops */
    struct cosy_loop *loop;    /* the running loop; NULL outside of a run */
    uintptr_t context;         /* context slot of code that runs outside tasks */
    struct cosy_task *making;  /* the task floor's: captured calls whose arguments are being evaluated, innermost
                                * first */
    struct cosy_task *made;    /* the one whose arguments were captured last */
    uint64_t callback;         /* the number of the running callback; 0 outside: whose context the slot is now */
    uint64_t callbacks;        /* how many have begun */
};

extern __thread struct cosy_thread cosy_thread_ __attribute__((tls_model("initial-exec")));

#endif
