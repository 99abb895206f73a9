/* file_call.h - tasks that wait for an operation on a file: by the loop's kernel, or in the pool for files where that
 * has none.
 *
 * Invariants
 *  - The call comes back only when nobody uses the operation's memory any more, cancelled or not.
 *  - -ECANCELED means that nothing was done. What was done before the cancel could stop it has its own result, and the
 * cancel meets the task's next wait: so neither bytes nor descriptors are lost.
 */
#ifndef COSY_IO_FILE_CALL_H
#define COSY_IO_FILE_CALL_H

#include <cosy/executor.h>

#include "../sys/file_op.h"
#include "../task/task.h"

/* Runs it and returns its result. Suspends. shielded: it is made also when the task is cancelled (closing). */
cosy_async int64_t cosy_file_run(struct cosy_task *me, struct cosy_file_op *op, bool shielded);

/* A job of several calls, for the pool for files: `work` is called in a thread with the job, looks at
 * cosy_job_cancelled() between its calls and undoes what it has begun when that is true. `result` is its result;
 * `named` the path that an error is about. */
struct cosy_file_job {
    int64_t (*work)(struct cosy_file_job *job);
    int64_t result;
    const char *doing, *named, *other; /* other: NULL, or where to */
    const char *why;                   /* NULL: what the error's code says */
    bool begun;
};
/* The same promise about -ECANCELED. Errors are told: "doing named: why". */
cosy_async int64_t cosy_file_job_run(struct cosy_task *me, struct cosy_file_job *job);

/* cosy_fail with the path in the message: "opening /x/y: No such file or directory". -ECANCELED and -ENOMEM have no
 * words. Any stack. */
int cosy_file_fail(const char *doing, const char *path, int error);
int cosy_file_fail_two(const char *doing, const char *path, const char *other, int error);
/* why: other words than the code's; NULL: those. */
int cosy_file_fail_why(const char *doing, const char *path, const char *other, int error, const char *why);

#endif
