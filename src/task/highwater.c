/* highwater.c - how much of their stacks tasks really used, kept per creation site: debug mode's census.
 *
 * A stack is painted before its task's first step; whatever is no longer paint afterwards was used. Sanitizers and
 * valgrind have views of their own of untouched stack, so nothing is painted while they watch.
 */
#include "highwater.h"

#include <stdlib.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "stack.h"

static const uint64_t paint = UINT64_C(0xc0571c0571c0571c);

struct mark {
    const struct cosy_site_ *site;
    size_t used, size;
    unsigned long tasks;
};

static __thread struct mark *marks;
static __thread size_t mark_count, mark_room;

/* What may be painted: above the guard page, or the canary. */
static uint64_t *lowest_word(const struct cosy_task *task)
{
    char *low = cosy_stack_low(task->stack);
    bool guarded = low == task->stack && task->stack_class >= COSY_STACK_GUARDED_FROM;
    return (uint64_t *)(void *)(low + (guarded ? COSY_STACK_GUARD_BYTES : sizeof(uint64_t)));
}

static uint64_t *top_word(const struct cosy_task *task)
{
    return cosy_stack_top(task->stack, task->stack_class);
}

void cosy_highwater_paint(struct cosy_task *task)
{
    for (uint64_t *word = lowest_word(task), *top = top_word(task); word < top; word++)
        *word = paint;
    task->extra->painted = true;
}

static size_t used_of(const struct cosy_task *task)
{
    const uint64_t *word = lowest_word(task), *top = top_word(task);
    while (word < top && *word == paint)
        word++;
    return (size_t)((const char *)top - (const char *)word);
}

size_t cosy_task_stack_used(const cosy_task *task)
{
    bool begun = task && task->future.node.flags & FLAG_BEGUN;
    return begun && task->extra && task->extra->painted ? used_of(task) : 0;
}

static struct mark *mark_of(const struct cosy_site_ *site)
{
    for (size_t i = 0; i < mark_count; i++)
        if (marks[i].site == site)
            return &marks[i];
    if (mark_count == mark_room) {
        size_t room = mark_room ? 2 * mark_room : 16;
        struct mark *more = cosy_heap_resize(marks, room * sizeof *more);
        if (!more)
            return NULL;
        marks = more;
        mark_room = room;
    }
    marks[mark_count] = (struct mark){.site = site};
    return &marks[mark_count++];
}

void cosy_highwater_note(struct cosy_task *task)
{
    if (!task->extra || !task->extra->painted)
        return;
    task->extra->painted = false;
    struct mark *mark = mark_of(task->site);
    if (!mark)
        return;
    size_t used = used_of(task), size = cosy_stack_bytes(task->stack_class);
    mark->tasks++;
    mark->used = used > mark->used ? used : mark->used;
    mark->size = size > mark->size ? size : mark->size;
}

static int deepest_first(const void *a, const void *b)
{
    size_t left = ((const struct mark *)a)->used, right = ((const struct mark *)b)->used;
    return left < right ? 1 : left > right ? -1 : 0;
}

void cosy_print_stack_use(FILE *stream)
{
    if (mark_count > 1)
        qsort(marks, mark_count, sizeof *marks, deepest_first);
    fprintf(stream, "stack use by creation site, of tasks that ended in debug mode\n");
    for (size_t i = 0; i < mark_count; i++) {
        const struct mark *mark = &marks[i];
        fprintf(stream, "%9zu of %zu bytes: %s, %lu task%s, created at %s:%u in %s\n", mark->used, mark->size,
                mark->site->name, mark->tasks, mark->tasks == 1 ? "" : "s", mark->site->file, mark->site->line,
                mark->site->func);
    }
}

void cosy_highwater_thread_end(void)
{
    cosy_heap_free(marks);
    marks = NULL;
    mark_count = mark_room = 0;
}
