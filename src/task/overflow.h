/* overflow.h - the report of a stack overflow. */
#ifndef COSY_TASK_OVERFLOW_H
#define COSY_TASK_OVERFLOW_H

/* This thread runs tasks: their overflows are to be told. Cheap when called again. */
void cosy_overflow_watch(void);
void cosy_overflow_thread_end(void);

#endif
