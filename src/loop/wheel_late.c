/* wheel_late.c - timers whose window was sorted already and that do not continue the run: a binary heap. */
#include <errno.h>

#include "wheel.h"

static inline bool late_before(const struct late *a, const struct late *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static inline void late_place(struct cosy_timers *timers, size_t at, struct late one)
{
    timers->late[at] = one;
    one.timer->slot = (void *)(uintptr_t)(at * 2 + SLOT_LATE);
}

/* Finds the place for `one`, beginning at the hole `at`. */
static void late_settle(struct cosy_timers *timers, size_t at, struct late one)
{
    struct late *late = timers->late;
    while (at > 0 && late_before(&one, &late[(at - 1) / 2])) {
        late_place(timers, at, late[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = at * 2 + 1;
        if (child + 1 < timers->late_count && late_before(&late[child + 1], &late[child]))
            child++;
        if (child >= timers->late_count || !late_before(&late[child], &one))
            break;
        late_place(timers, at, late[child]);
        at = child;
    }
    late_place(timers, at, one);
}

int cosy_wheel_late_push(struct cosy_timers *timers, struct cosy_timer *timer, uint64_t key)
{
    if (timers->late_count == timers->late_room) {
        size_t room = timers->late_room ? timers->late_room * 2 : 64;
        struct late *late = cosy_heap_resize(timers->late, room * sizeof *late);
        if (!late)
            return -ENOMEM;
        timers->late = late;
        timers->late_room = room;
    }
    size_t at = timers->late_count++;
    late_settle(timers, at, (struct late){key, timers->late_order++, timer});
    return 0;
}

static void late_remove(struct cosy_timers *timers, size_t at)
{
    struct late last = timers->late[--timers->late_count];
    if (at < timers->late_count)
        late_settle(timers, at, last);
    if (timers->late_count == 0 && timers->late_room > DEAD_SLACK) {
        cosy_heap_free(timers->late);
        timers->late = NULL;
        timers->late_room = 0;
    }
}

void cosy_wheel_cancel_late(struct cosy_timers *timers, struct cosy_timer *timer)
{
    late_remove(timers, (uintptr_t)timer->slot / 2);
    timers->count--;
    timer->slot = NULL;
}
