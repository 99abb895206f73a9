/* highwater.h - painting the stacks of debug mode's tasks, and looking how much paint is gone. */
#ifndef COSY_TASK_HIGHWATER_H
#define COSY_TASK_HIGHWATER_H

#include "task.h"

void cosy_highwater_paint(struct cosy_task *task); /* its stack is there, nothing ran on it; it has an extra */
void cosy_highwater_note(struct cosy_task *task);  /* it ended; nothing ran on its stack since */
void cosy_highwater_thread_end(void);

#endif
