/* hooks.c - telling ASan, LSan, TSan and valgrind of switches and stacks. */
#include "hooks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/heap.h"
#include "../base/memcheck.h"

#define weak __attribute__((weak))
void weak __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size);
void weak __sanitizer_finish_switch_fiber(void *fake, const void **bottom_old, size_t *size_old);
void weak __asan_unpoison_memory_region(void const volatile *low, size_t size);
void weak __lsan_register_root_region(const void *low, size_t size);
void weak __lsan_unregister_root_region(const void *low, size_t size);
void weak *__tsan_get_current_fiber(void);
void weak *__tsan_create_fiber(unsigned flags);
void weak __tsan_destroy_fiber(void *fiber);
void weak __tsan_switch_to_fiber(void *fiber, unsigned flags);

static __thread struct cosy_stack_view thread_view;

bool cosy_hooks_wanted(void)
{
    static _Atomic int answer;
    if (unlikely(answer == 0)) {
        const char *wish = getenv("COSY_HOOKS"); /* 0: none, so that callgrind counts the ordinary paths */
        bool watched = __sanitizer_start_switch_fiber || __tsan_switch_to_fiber || RUNNING_ON_VALGRIND;
        answer = watched && !(wish && strcmp(wish, "0") == 0) ? 2 : 1;
    }
    return answer == 2;
}

struct cosy_stack_view *cosy_view_of_thread(void)
{
    if (__tsan_get_current_fiber && !thread_view.fiber)
        thread_view.fiber = __tsan_get_current_fiber();
    return &thread_view;
}

void cosy_view_open(struct cosy_stack_view *view, char *low, size_t size)
{
    *view = (struct cosy_stack_view){.low = low, .size = size};
    if (__tsan_create_fiber)
        view->fiber = __tsan_create_fiber(0);
}

void cosy_view_close(struct cosy_stack_view *view)
{
    if (__tsan_destroy_fiber && view->fiber)
        __tsan_destroy_fiber(view->fiber);
    /* A stack that was left for good leaves poisoned frames behind. */
    if (__asan_unpoison_memory_region && view->low)
        __asan_unpoison_memory_region(view->low, view->size);
    *view = (struct cosy_stack_view){0};
}

cosy_uncounted void cosy_view_leave(struct cosy_stack_view *from, struct cosy_stack_view *to, bool ending)
{
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(ending ? NULL : &from->fake, to->low, to->size);
    if (__tsan_switch_to_fiber && to->fiber)
        __tsan_switch_to_fiber(to->fiber, 0);
}

void cosy_view_arrived(struct cosy_stack_view *at)
{
    const void *low;
    size_t size;
    if (!__sanitizer_finish_switch_fiber)
        return;
    __sanitizer_finish_switch_fiber(at->fake, &low, &size);
    /* The first stack that a thread ever leaves is its own: only ASan knows where that lies. */
    if (!thread_view.low && at != &thread_view) {
        thread_view.low = low;
        thread_view.size = size;
    }
}

/* ---- mappings ---- */

struct registered {
    struct registered *next;
    char *low;
    size_t count;
    unsigned ids[];
};
/* Of all threads: the unwinder's stack is the process's, and may be unmapped by another thread than mapped it. */
static struct registered *registered;
static pthread_mutex_t registered_lock = PTHREAD_MUTEX_INITIALIZER;

static cosy_cold void tell_valgrind(char *low, size_t bytes, size_t each)
{
    size_t count = bytes / each;
    struct registered *list = cosy_heap_alloc(sizeof *list + count * sizeof list->ids[0]);
    if (!list)
        return;
    *list = (struct registered){.low = low, .count = count};
    for (size_t i = 0; i < count; i++)
        list->ids[i] = VALGRIND_STACK_REGISTER(low + i * each, low + (i + 1) * each - 1);
    pthread_mutex_lock(&registered_lock);
    list->next = registered;
    registered = list;
    pthread_mutex_unlock(&registered_lock);
}

void cosy_hook_memory_mapped(void *low, size_t bytes)
{
    if (__lsan_register_root_region)
        __lsan_register_root_region(low, bytes);
}

void cosy_hook_memory_unmapped(void *low, size_t bytes)
{
    if (__lsan_unregister_root_region)
        __lsan_unregister_root_region(low, bytes);
}

void cosy_hook_stacks_mapped(char *low, size_t bytes, size_t each)
{
    cosy_hook_memory_mapped(low, bytes);
    if (RUNNING_ON_VALGRIND)
        tell_valgrind(low, bytes, each);
}

void cosy_hook_stacks_unmapped(char *low, size_t bytes)
{
    cosy_hook_memory_unmapped(low, bytes);
    if (!RUNNING_ON_VALGRIND)
        return;
    pthread_mutex_lock(&registered_lock);
    struct registered **place = &registered, *list;
    while (*place && (*place)->low != low)
        place = &(*place)->next;
    list = *place;
    if (list)
        *place = list->next;
    pthread_mutex_unlock(&registered_lock);
    for (size_t i = 0; list && i < list->count; i++)
        VALGRIND_STACK_DEREGISTER(list->ids[i]);
    cosy_heap_free(list);
}
