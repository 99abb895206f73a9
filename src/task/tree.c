/* tree.c - the tree of live tasks, as text: who started whom, what each waits for, where, since when.
 *
 * Nothing is kept for it while tasks run: the place of a wait is found by unwinding the parked stack now.
 */
#include <stdlib.h>
#include <string.h>

#include <cosy/trace.h>

#include "../base/heap.h"
#include "task.h"
#include "unwind.h"

enum { FRAMES = 8 };

struct tree {
    FILE *out;
    struct cosy_loop *loop;
    struct cosy_task **tasks;
    size_t count;
    cosy_ns now;
};

static void tell_wait(struct tree *tree, struct cosy_task *task)
{
    struct cosy_wait *wait = task->wait;
    struct cosy_future *future = wait->kind->future ? wait->kind->future(wait) : NULL;
    fprintf(tree->out, "%s", wait->kind->verb);
    if (wait->kind->name)
        fprintf(tree->out, " %s", wait->kind->name(wait));
    else if (future && cosy_is_task(future))
        fprintf(tree->out, " task '%s'", cosy_task_name(cosy_as_task(future)));
    else if (future)
        fprintf(tree->out, " a future");
    cosy_ns deadline = wait->kind->deadline ? wait->kind->deadline(wait) : COSY_NEVER;
    if (deadline != COSY_NEVER)
        fprintf(tree->out, ", %.3f s left", (double)(deadline > tree->now ? deadline - tree->now : 0) / 1e9);
    uint32_t waited = (uint32_t)(tree->now >> 20) - task->since;
    fprintf(tree->out, ", since %.3f s", (double)waited * (1 << 20) / 1e9);
}

static void tell_state(struct tree *tree, struct cosy_task *task)
{
    if (task == cosy_task_here())
        fprintf(tree->out, "running");
    else if (task->wait)
        tell_wait(tree, task);
    else
        fprintf(tree->out, task->future.node.flags & FLAG_BEGUN ? "ready to go on" : "ready to begin");
    if (task->cancels)
        fprintf(tree->out, ", cancelling");
}

static void tell_awaiters(struct tree *tree, struct cosy_task *task)
{
    struct cosy_observer *first = task->future.callbacks, *observer = first;
    for (int n = 0; observer; n++) {
        if (observer->task)
            fprintf(tree->out, "%s '%s'", n ? "," : ", awaited by", cosy_task_name(observer->task));
        observer = observer->next == first ? NULL : observer->next;
    }
}

static void tell_frames(struct tree *tree, struct cosy_task *task, const char *indent, bool has_children)
{
    struct cosy_frame frames[FRAMES];
    if (!task->wait || !(task->future.node.flags & FLAG_BEGUN))
        return;
    int count = cosy_unwind_parked(task->future.sp, frames, FRAMES);
    for (int i = 0; i < count; i++) {
        const char *file = strrchr(frames[i].file, '/');
        fprintf(tree->out, "%s%s    at %s", indent, has_children ? "|" : " ", frames[i].function);
        if (frames[i].line)
            fprintf(tree->out, " (%s:%d)", file ? file + 1 : frames[i].file, frames[i].line);
        fputc('\n', tree->out);
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_listed(struct tree *tree, uint64_t id)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->tasks[i]->id == id)
            return true;
    return false;
}

/* A task whose parent has ended stands at the top. */
static bool is_child(struct tree *tree, struct cosy_task *task, uint64_t parent)
{
    return parent ? task->parent == parent : !is_listed(tree, task->parent);
}

static size_t children_of(struct tree *tree, uint64_t parent)
{
    size_t count = 0;
    for (size_t i = 0; i < tree->count; i++)
        count += is_child(tree, tree->tasks[i], parent);
    return count;
}

static void tell_children(struct tree *tree, uint64_t parent, const char *indent)
{
    size_t left = children_of(tree, parent);
    for (size_t i = 0; i < tree->count; i++) {
        struct cosy_task *task = tree->tasks[i];
        if (!is_child(tree, task, parent))
            continue;
        bool last = --left == 0;
        char deeper[128];
        snprintf(deeper, sizeof deeper, "%.100s%s", indent, last ? "   " : "|  ");
        fprintf(tree->out, "%s%s- %s (%s): ", indent, last ? "`" : "|", cosy_task_name(task), task->site->name);
        tell_state(tree, task);
        tell_awaiters(tree, task);
        fprintf(tree->out, ", created at %s:%u in %s\n", base_name(task->site->file), task->site->line, task->site->func);
        tell_frames(tree, task, deeper, children_of(tree, task->id) > 0);
        tell_children(tree, task->id, deeper);
    }
}

static void tell_tree(void *arg)
{
    struct tree *tree = arg;
    size_t count = cosy_all_tasks(tree->loop, NULL, 0);
    tree->tasks = cosy_heap_alloc((count + 1) * sizeof(*tree->tasks));
    if (!tree->tasks) {
        fprintf(tree->out, "%zu tasks (no memory to list them)\n", count);
        return;
    }
    tree->count = cosy_all_tasks(tree->loop, tree->tasks, count);
    tree->now = tree->loop->sys->ops->now(tree->loop->sys);
    fprintf(tree->out, "%zu task%s on the %s loop\n", count, count == 1 ? "" : "s", cosy_loop_backend_name(tree->loop));
    tell_children(tree, 0, "");
    cosy_heap_free(tree->tasks);
}

static void print_tree(FILE *stream, struct cosy_loop *loop)
{
    struct tree tree = {.out = stream, .loop = loop};
    cosy_on_big_stack(tell_tree, &tree);
    fflush(stream);
}

void cosy_print_tasks(FILE *stream)
{
    if (cosy_thread_.loop)
        print_tree(stream, cosy_thread_.loop);
    else
        fprintf(stream, "no loop is running\n");
}

void cosy_tasks_deadlock(struct cosy_loop *loop)
{
    fflush(stdout);
    fprintf(stderr, "cosy: deadlock: no task can go on, and nothing is left to wait for\n");
    print_tree(stderr, loop);
}
