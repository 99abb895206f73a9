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

enum { FRAMES = 8, DEEPEST = 32 /* further down lines move no more to the right */ };
#define NONE SIZE_MAX

struct branch {
    struct cosy_task *task;
    size_t parent, child, last, sibling; /* places in the list; child and last: the first and the last child */
};

struct tree {
    FILE *out;
    struct cosy_loop *loop;
    struct branch *branches; /* by id, and one more: the parent of those at the top */
    size_t count;
    cosy_ns now;
    char indent[3 * (DEEPEST + 2)];
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
    uint32_t waited = (uint32_t)(tree->now >> 20) - task->since;
    fprintf(tree->out, ", for %.2f s now", (double)waited * (1 << 20) / 1e9);
    cosy_ns deadline = wait->kind->deadline ? wait->kind->deadline(wait) : COSY_NEVER;
    if (deadline != COSY_NEVER)
        fprintf(tree->out, ", %.2f s left", (double)(deadline > tree->now ? deadline - tree->now : 0) / 1e9);
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
    for (int n = 0; observer;) {
        if (observer->task)
            fprintf(tree->out, "%s '%s'", n++ ? "," : ", awaited by", cosy_task_name(observer->task));
        observer = observer->next == first ? NULL : observer->next;
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Where it stands, innermost first, and where it comes from. */
static void tell_places(struct tree *tree, struct cosy_task *task, const char *indent)
{
    struct cosy_frame frames[FRAMES];
    bool parked = task->wait && task->future.node.flags & FLAG_BEGUN;
    int count = 0;
    for (void *sp = parked ? task->future.sp : NULL; sp && count < FRAMES; sp = cosy_inner_stack_outside(task, sp))
        count += cosy_unwind_parked(sp, frames + count, FRAMES - count);
    for (int i = 0; i < count; i++) {
        fprintf(tree->out, "%s  at %s", indent, frames[i].function);
        if (frames[i].line)
            fprintf(tree->out, " (%s:%d)", base_name(frames[i].file), frames[i].line);
        fputc('\n', tree->out);
    }
    fprintf(tree->out, "%s  created in %s (%s:%u)\n", indent, task->site->func, base_name(task->site->file),
            task->site->line);
}

/* ---- the shape: no recursion, for a chain of tasks may be longer than any stack is deep ---- */

static size_t place_of(const struct tree *tree, uint64_t id)
{
    size_t low = 0, high = tree->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (tree->branches[middle].task->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tree->count && tree->branches[low].task->id == id ? low : tree->count;
}

/* A task whose parent has ended stands at the top: a child of the entry behind the last. */
static void link_branches(struct tree *tree)
{
    for (size_t i = 0; i <= tree->count; i++)
        tree->branches[i].child = tree->branches[i].last = tree->branches[i].sibling = NONE;
    for (size_t i = 0; i < tree->count; i++) {
        size_t parent = place_of(tree, tree->branches[i].task->parent);
        struct branch *above = &tree->branches[parent];
        tree->branches[i].parent = parent;
        if (above->child == NONE)
            above->child = i;
        else
            tree->branches[above->last].sibling = i;
        above->last = i;
    }
}

static void tell_branch(struct tree *tree, const struct branch *branch, size_t depth)
{
    struct cosy_task *task = branch->task;
    bool last = branch->sibling == NONE;
    size_t shown = depth < DEEPEST ? depth : DEEPEST;
    tree->indent[3 * shown] = '\0';
    fprintf(tree->out, "%s%s- %s (%s): ", tree->indent, last ? "`" : "|", cosy_task_name(task), task->site->name);
    tell_state(tree, task);
    tell_awaiters(tree, task);
    fputc('\n', tree->out);
    memcpy(tree->indent + 3 * shown, last ? "   " : "|  ", 3);
    memcpy(tree->indent + 3 * shown + 3, branch->child != NONE ? "|" : " ", 2);
    tell_places(tree, task, tree->indent);
}

static void tell_branches(struct tree *tree)
{
    const size_t root = tree->count;
    const struct branch *branches = tree->branches;
    size_t depth = 0, at = branches[root].child;
    while (at != NONE && at != root) {
        tell_branch(tree, &branches[at], depth);
        if (branches[at].child != NONE) {
            at = branches[at].child;
            depth++;
            continue;
        }
        while (at != root && branches[at].sibling == NONE) {
            at = branches[at].parent;
            depth--;
        }
        if (at != root)
            at = branches[at].sibling;
    }
}

static void tell_tree(void *arg)
{
    struct tree *tree = arg;
    size_t count = cosy_all_tasks(tree->loop, NULL, 0);
    struct cosy_task **tasks = cosy_heap_alloc((count + 1) * sizeof(*tasks));
    tree->branches = cosy_heap_alloc((count + 1) * sizeof(*tree->branches));
    if (tasks && tree->branches) {
        tree->count = cosy_all_tasks(tree->loop, tasks, count);
        for (size_t i = 0; i < count; i++)
            tree->branches[i].task = tasks[i];
        link_branches(tree);
        tree->now = tree->loop->sys->ops->now(tree->loop->sys);
        fprintf(tree->out, "%zu task%s on the %s loop\n", count, count == 1 ? "" : "s",
                cosy_loop_backend_name(tree->loop));
        tell_branches(tree);
    } else
        fprintf(tree->out, "%zu tasks (no memory to list them)\n", count);
    cosy_heap_free(tasks);
    cosy_heap_free(tree->branches);
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
