/* process_sim.h - programs of a test's own, which stand for real ones on the simulated kernel. */
#ifndef COSY_IO_PROCESS_SIM_H
#define COSY_IO_PROCESS_SIM_H

#include "process.h"

/* Starts the program that the test has named so, with streams at the process's ends. -ENOTSUP, with words: there is
 * none. */
int cosy_simulated_program_start(cosy_process *process, const char *const *argv,
                                 const struct cosy_process_options *options);
int cosy_simulated_program_signal(cosy_process *process, int signum);
/* The loop closes: under one that runs; and for good. */
void cosy_simulated_program_abandon(struct cosy_simulated_program *program);
void cosy_simulated_programs_forget(const struct cosy_loop *loop);
void cosy_simulated_program_drop(struct cosy_simulated_program *program); /* NULL is fine */

#endif
