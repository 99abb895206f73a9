/* cosy/as_completed.h - several things, each as it is done.
 *
 *     int err = 0;
 *     COSY_AS_COMPLETED(task, tasks, 3, err) {            async for task in asyncio.as_completed(tasks):
 *         cosy_check(err, cosy_await(task));
 *     }
 *
 * or by hand, which several tasks may do together:
 *
 *     cosy_as_completed it = {0};
 *     cosy_try(cosy_as_completed_init(&it, tasks, 3));
 *     while ((r = cosy_as_completed_result(&it)) != -COSY_ESTOPITER) ...
 *     cosy_as_completed_close(&it);
 *
 * Semantics: asyncio.as_completed, as asynchronous and as plain iterator. Better than there: a cancel of the task that
 * waits for the next one loses none, and coroutines that the iterator started do not outlive it, because in C they
 * write into the caller's frame.
 */
#ifndef COSY_AS_COMPLETED_H
#define COSY_AS_COMPLETED_H

#include <stddef.h>

#include "task.h"
#include "time.h"
#include "trace.h"
#include "wait.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An iterator in the caller's memory, which must not move between init and close. The fields are private. */
typedef struct cosy_as_completed {
    struct cosy_completing_ *of_;
    int error_;
} cosy_as_completed;

/* How to iterate. Every default is zero. */
struct cosy_as_completed_options {
    size_t struct_size; /* filled in by the macros */
    cosy_ns timeout;    /* for all together, from init; 0 and COSY_NEVER: no limit; negative: it has passed */
};

/*     int cosy_as_completed_init(cosy_as_completed *it, handles, size_t count, .option = value, ...);
 *
 * Begins to look at an array of tasks (cosy_task *tasks[]) or futures, whose handles stay the caller's, or of
 * coroutines, which are started as tasks that the iterator owns. The same one given twice counts once; count may be 0.
 * Does not suspend. 0, or an error, which each next one then returns too: -ENOMEM, -COSY_ENOTASK, -COSY_ESELF,
 * -COSY_EOTHERLOOP, or why a handle is NULL; coroutines are taken in any case. */
#define cosy_as_completed_init(it, handles, count, ...)                                                                \
    cosy_as_completed_init_((it), COSY_KIND_OF_ARRAY_(handles), (handles), (count),                                    \
                            COSY_AS_COMPLETED_OPTIONS_(__VA_ARGS__))
int cosy_as_completed_init_(cosy_as_completed *it, int kind, const void *handles, size_t count,
                            const struct cosy_as_completed_options *options);
#define COSY_AS_COMPLETED_OPTIONS_(...)                                                                                \
    (&(const struct cosy_as_completed_options){.struct_size = sizeof(struct cosy_as_completed_options), __VA_ARGS__})

/*     int cosy_as_completed_next(cosy_as_completed *it, cosy_task **ret_task);
 *     int cosy_as_completed_next(cosy_as_completed *it, cosy_future **ret_future);
 *
 * Waits for the next one that is done and gives its handle, the very one of the array, borrowed; a coroutine's task is
 * valid until close. 0; -COSY_ESTOPITER after the last one; -ETIMEDOUT, once for each that was not done in time;
 * -ECANCELED, which loses none: the next call gives it. Several tasks may call it on one iterator: first come, first
 * served. -EINVAL for a task's handle of a plain future, which stays the next one. */
#define cosy_as_completed_next(it, ret_handle)                                                                         \
    _Generic((ret_handle), cosy_task **: cosy_as_completed_next_task_,                                         \
             cosy_future **: cosy_as_completed_next_future_)((it), (ret_handle))
cosy_async int cosy_as_completed_next_task_(cosy_as_completed *it, cosy_task **ret_task);
cosy_async int cosy_as_completed_next_future_(cosy_as_completed *it, cosy_future **ret_future);

/* Waits for the next one that is done and returns its outcome as cosy_await does, an error with its story; else as
 * cosy_as_completed_next. */
cosy_async int cosy_as_completed_result(cosy_as_completed *it);

/* Ends an iterator, at any time; harmless for one that is zero or ended. Coroutines that it started and that still run
 * are cancelled and waited for (outside a task: only let go); a cancel that comes meanwhile meets the next wait. Tasks
 * and futures given as handles are left alone. */
cosy_async void cosy_as_completed_close(cosy_as_completed *it);

/*     COSY_AS_COMPLETED(task, handles, count, err) { ... }
 *     COSY_AS_COMPLETED(task, handles, count, err, .timeout = COSY_S(1)) { ... }
 *
 * A loop over them; `task` is declared by it (a cosy_future * for an array of futures). `err`, an int variable, is 0
 * when all came; else what ended the loop: the timeout, a cancel, or what cosy_check met. break and return close the
 * iterator. */
#define COSY_AS_COMPLETED(task, handles, count, err, ...)                                                              \
    COSY_AS_COMPLETED_(task, handles, count, err, COSY_CAT_(cosy_loop_, __COUNTER__), __VA_ARGS__)
#define COSY_AS_COMPLETED_(task, handles, count, err, B, ...)                                                          \
    for (struct cosy_as_completed_loop_ B __attribute__((cleanup(cosy_as_completed_loop_end_))) = {.again = 1};        \
         B.again; B.again = 0)                                                                                         \
        for (COSY_HANDLE_OF_ARRAY_(handles)                                                                            \
                 task = ((void)cosy_as_completed_init(&B.it, (handles), (count), __VA_ARGS__), NULL);                  \
             ((err) = cosy_as_completed_loop_next_(cosy_as_completed_next(&B.it, &task), &B)) == 0 && B.again;)
struct cosy_as_completed_loop_ {
    cosy_as_completed it;
    int again;
};
static inline int cosy_as_completed_loop_next_(int result, struct cosy_as_completed_loop_ *loop)
{
    if (result != -COSY_ESTOPITER)
        return result;
    loop->again = 0;
    return 0;
}
static inline cosy_async void cosy_as_completed_loop_end_(struct cosy_as_completed_loop_ *loop)
{
    cosy_as_completed_close(&loop->it);
}
#define COSY_HANDLE_OF_ARRAY_(handles)                                                                                 \
    __typeof__(_Generic((handles), cosy_future **: (cosy_future *)0, cosy_future *const *: (cosy_future *)0,           \
               default: (cosy_task *)0))

#ifdef __cplusplus
}
#endif
#endif
