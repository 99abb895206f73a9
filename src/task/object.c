/* object.c - slabs of task objects: memory that is only ever task objects, so that stale handles can be told.
 *
 * Each thread has slabs of its own and a LIFO list of free objects. Objects do not change threads. The slabs go back to
 * the kernel when the thread ends.
 */
#include <pthread.h>
#include <string.h>

#include "../base/heap.h"
#include "../loop/context.h"
#include "capture.h"
#include "highwater.h"
#include "object.h"
#include "overflow.h"

enum { SLAB_BYTES = 256 * 1024, SLAB_OBJECTS = SLAB_BYTES / (int)sizeof(struct cosy_task) - 1 };

struct slab {
    struct slab *next;
    size_t used; /* objects handed out at least once: the rest was never touched */
};

__thread struct cosy_object_pool cosy_object_pool __attribute__((tls_model("initial-exec")));
static __thread struct slab *slabs; /* the first one may have untouched objects */

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_object(struct cosy_task *object, void *count)
{
    (void)object;
    ++*(size_t *)count;
}

/* Those made inside a run were told when its loop closed. */
static void tell_never_awaited(struct cosy_task *object, void *unused)
{
    (void)unused;
    if (object->future.node.state == STATE_CREATED)
        cosy_coro_never_awaited(object);
}

static void release_thread(void *unused)
{
    (void)unused;
    size_t live = 0;
    cosy_making_drop_until(NULL);
    cosy_objects_walk(tell_never_awaited, NULL);
    cosy_objects_walk(count_object, &live);
    if (live > 0)
        return; /* handles may still be used by destructors that run later: leave it to the process's end */
    while (slabs) {
        struct slab *slab = slabs;
        slabs = slab->next;
        cosy_hook_memory_unmapped(slab, SLAB_BYTES);
        cosy_heap_unmap(slab, SLAB_BYTES);
    }
    cosy_object_pool.free = NULL;
    cosy_capture_pools_trim(0);
    cosy_error_thread_end();
    cosy_highwater_thread_end();
    cosy_overflow_thread_end();
    cosy_stacks_release();
}

static void make_key(void) { pthread_key_create(&thread_end, release_thread); }

/* The main thread runs no key destructors. */
__attribute__((destructor)) static void release_main_thread(void) { release_thread(NULL); }

void cosy_thread_end_watch(void)
{
    pthread_once(&once, make_key);
    pthread_setspecific(thread_end, &cosy_object_pool); /* any value but NULL */
}

static struct cosy_task *object_at(struct slab *slab, size_t index)
{
    return (struct cosy_task *)(void *)((char *)slab + (index + 1) * sizeof(struct cosy_task));
}

struct cosy_task *cosy_object_untouched(void)
{
    struct slab *slab = slabs;
    if (!slab || slab->used == SLAB_OBJECTS) {
        cosy_overflow_watch();
        slab = cosy_heap_map(SLAB_BYTES);
        if (!slab)
            return NULL;
        cosy_hook_memory_mapped(slab, SLAB_BYTES);
        cosy_thread_end_watch();
        slab->next = slabs;
        slabs = slab;
    }
    return object_at(slab, slab->used++);
}

struct cosy_extra *cosy_extra_of(struct cosy_task *task)
{
    if (!task->extra)
        task->extra = cosy_heap_zalloc(sizeof *task->extra);
    return task->extra;
}

static cosy_cold void free_extra(struct cosy_extra *extra)
{
    cosy_heap_free(extra->name);
    cosy_heap_free(extra->cancel_reason);
    cosy_heap_free(extra->origin);
    cosy_heap_free(extra);
}

/* What an ended task had only for the tools' sake must not look like a leak of a program that never drops its
 * handle. */
void cosy_extra_trim(struct cosy_task *task)
{
    struct cosy_extra *extra = task->extra;
    if (!extra || extra->name || extra->cancel_reason || extra->origin || extra->canceller || extra->driver)
        return;
    free_extra(extra);
    task->extra = NULL;
}

static cosy_cold void report_if_unseen(struct cosy_task *task)
{
    if (task->future.node.state == STATE_ERROR && !(task->future.node.flags & FLAG_RETRIEVED))
        cosy_report(task->future.loop, "Task exception was never retrieved", &task->future);
}

void cosy_task_end_of_life(struct cosy_task *task)
{
    report_if_unseen(task);
    cosy_context_slot_clear(&task->context);
    cosy_error_drop(task->future.error);
    if (task->extra)
        free_extra(task->extra);
    cosy_object_free(task);
}

void cosy_task_unref(struct cosy_task *task) { cosy_task_unref_inline(task); }

void cosy_objects_walk(void (*visit)(struct cosy_task *object, void *arg), void *arg)
{
    for (struct slab *slab = slabs; slab; slab = slab->next)
        for (size_t i = 0; i < slab->used; i++)
            if (object_at(slab, i)->future.node.state != STATE_FREE)
                visit(object_at(slab, i), arg);
}

cosy_weak cosy_task_weak(const cosy_task *task) { return (cosy_weak){task, task ? task->id : 0}; }

/* The memory of a task stays a task's for the thread's life, so reading the id of one that ended is defined. */
cosy_task *cosy_weak_task(cosy_weak weak)
{
    const struct cosy_task *task = weak.object;
    if (!task || task->id != weak.id || !(task->future.node.flags & FLAG_TASK))
        return NULL;
    return cosy_task_ref((cosy_task *)(uintptr_t)task);
}
