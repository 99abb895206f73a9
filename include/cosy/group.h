/* cosy/group.h - task groups: nothing that a group started outlives it.
 *
 *     struct user a, b;                                          data first, group second
 *     cosy_scoped(cosy_task_group) g = cosy_task_group_open();
 *     cosy_task_group_create_task(g, fetch, 1, &a);
 *     cosy_task_group_create_task(g, fetch, 2, &b);
 *     return cosy_task_group_wait(g);                            all are done; the first error, if any
 *
 * The first child that fails cancels its siblings and the group's owner; the group then returns that error and lists
 * all. Leaving the block without cosy_task_group_wait cancels the children and waits for them. Semantics:
 * asyncio.TaskGroup.
 */
#ifndef COSY_GROUP_H
#define COSY_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A task group; owned by the task that opened it. */
typedef struct cosy_task_group cosy_task_group;

/* Opens a group that belongs to the running task. NULL without memory or outside a task; everything that takes that
 * NULL returns the reason. */
cosy_async cosy_task_group *cosy_task_group_open(void);

/*     cosy_task *cosy_task_group_create_task(cosy_task_group *group, fn, args...);
 *     cosy_task *cosy_task_group_create_task_with(cosy_task_group *group, (.option = value, ...), fn, args...);
 *
 * Starts fn(args...) in the group; a borrowed handle, valid until the group is dropped. NULL, and the call is
 * discarded, when the group is finished or shutting down (-COSY_EINVALIDSTATE), or without memory. The group's error
 * then says so too. */
#define cosy_task_group_create_task(group, ...) cosy_task_group_add_((group), cosy_call(__VA_ARGS__), NULL)
#define cosy_task_group_create_task_with(group, options, ...)                                                  \
    cosy_task_group_add_((group), cosy_call(__VA_ARGS__), &(const struct cosy_task_options){                   \
                             .struct_size = sizeof(struct cosy_task_options), COSY_UNWRAP_ options})
cosy_task *cosy_task_group_add_(cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options);

/*     int cosy_task_group_spawn(cosy_task_group *group, fn, args...);
 *     int cosy_task_group_spawn_with(cosy_task_group *group, (.option = value, ...), fn, args...);
 *
 * Starts fn(args...) in the group without a handle: what the group keeps of it is freed as it ends well, so one group
 * may serve for as long as a server runs. Its error is kept and treated as any child's. 0, or why it could not be
 * started: as cosy_task_group_create_task. */
#define cosy_task_group_spawn(group, ...) cosy_task_group_spawn_((group), cosy_call(__VA_ARGS__), NULL)
#define cosy_task_group_spawn_with(group, options, ...)                                                        \
    cosy_task_group_spawn_((group), cosy_call(__VA_ARGS__), COSY_TASK_OPTIONS_(options))
int cosy_task_group_spawn_(cosy_task_group *group, cosy_coro *coro, const struct cosy_task_options *options);

/*     int cosy_task_group_start(cosy_task_group *group, int64_t *ret_value, fn, args...);
 *     int cosy_task_group_start_with(cosy_task_group *group, (.option = value, ...), int64_t *ret_value, fn, args...);
 *
 * Starts fn(args...) in the group and waits until it says that it is ready, by cosy_started. 0, with the value that it
 * gave in *ret_value (NULL is fine); the child goes on in the group, without a handle. A child that fails before it is
 * ready does not fail the group: its error comes back here, -ECANCELED when it was cancelled, -COSY_EINVALIDSTATE when
 * it just ended. A cancel of the caller cancels a child that is not ready, waits for its end and gives -ECANCELED; an
 * error of that child is the group's then. When the value was there first, the cancel meets the caller's next wait. Any
 * task of the loop may call it. trio's nursery.start. */
#define cosy_task_group_start(group, ret_value, ...)                                                                   \
    cosy_task_group_start_((group), (ret_value), cosy_call(__VA_ARGS__), NULL)
#define cosy_task_group_start_with(group, options, ret_value, ...)                                             \
    cosy_task_group_start_((group), (ret_value), cosy_call(__VA_ARGS__), COSY_TASK_OPTIONS_(options))
cosy_async int cosy_task_group_start_(cosy_task_group *group, int64_t *ret_value, cosy_coro *coro,
                                      const struct cosy_task_options *options);

/* The running task is ready, and gives `value` to the one that waits for it in cosy_task_group_start. Does not suspend.
 * 0, -ECANCELED when the starter has given up, -COSY_EINVALIDSTATE when the task was not started so, or said it
 * before. */
int cosy_started(int64_t value);

/* Waits until all children are done: asyncio's `async with` left normally. 0, the first error, or -ECANCELED when the
 * owner is cancelled. */
cosy_async int cosy_task_group_wait(cosy_task_group *group);

/* Waits until all children are done, with the body's own outcome: a negative one cancels the children first, and comes
 * back if none of them failed. */
cosy_async int cosy_task_group_close(cosy_task_group *group, int body);

/* Cancels all children and makes the group return 0 unless one fails. Idempotent; harmless after the end. */
void cosy_task_group_cancel(cosy_task_group *group);

/* The errors of its children (cancellations are none), in the order of their ends. Strings live as long as the group.
 * -ERANGE beyond the last. */
size_t cosy_task_group_error_count(const cosy_task_group *group);
int cosy_task_group_error(const cosy_task_group *group, size_t index, int *ret_code, const char **ret_message,
                          const char **ret_task);

/* One of a group's errors. Its strings live as long as the group; "" without a message, and for the body's error. */
struct cosy_group_error {
    int code;
    const char *message, *task;
};

/* Filters the group's errors: writes up to `room` of those with `code` into `errors`, all of them for 0, and returns
 * how many there are. NULL with room 0 only counts. */
size_t cosy_task_group_errors(const cosy_task_group *group, int code, struct cosy_group_error *errors, size_t room);

/* Splits the group's errors: writes up to `room` of them, first those with `code`, then the rest, each in their order.
 * *ret_matching (NULL is fine): how many have it. Returns how many there are. ExceptionGroup.split. */
size_t cosy_task_group_split(const cosy_task_group *group, int code, struct cosy_group_error *errors, size_t room,
                             size_t *ret_matching);

/* Ends the group: cancels and joins what is left, and frees it. NULL is fine. */
cosy_async void cosy_task_group_drop(cosy_task_group *group);
static inline cosy_async void cosy_task_group_dropp_(cosy_task_group **group) { cosy_task_group_drop(*group); }

#ifdef __cplusplus
}
#endif
#endif
