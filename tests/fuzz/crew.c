/* crew.c - several tasks over one state, until nothing moves any more. */
#include "fuzz.h"

/* Cancels what is left, as often as it needs, and looks at every outcome. */
cosy_async static void dismiss(struct crew *crew, cosy_task **tasks)
{
    for (int i = 0; i < crew->members; i++)
        cosy_task_cancel(tasks[i]);
    for (int i = 0; i < crew->members; i++) {
        while (!cosy_task_done(tasks[i]))
            (void)cosy_await(tasks[i]); /* a cancel of this task is passed on */
        (void)cosy_task_error(tasks[i]);
        crew->stopped += cosy_task_cancelled(tasks[i]);
        cosy_task_drop(tasks[i]);
    }
}

int crew_run(struct crew *crew)
{
    cosy_task *tasks[CREW_MAX];
    int result = 0;
    for (int i = 0; i < crew->members; i++)
        tasks[i] = cosy_create_task_with((.eager_start = below(4) == 0), crew->member, crew->state, i);
    for (int i = 0; i < crew->kills && result == 0; i++) {
        result = pause_somehow();
        cosy_task_cancel(tasks[below(crew->members)]);
    }
    if (result == 0)
        result = until_rest();
    if (result == 0 && crew->at_rest)
        crew->at_rest(crew->state);
    dismiss(crew, tasks);
    return result;
}
