/* Stacks: sizes, guards, reuse, and what happens when there are no more. */
#include "../harness/cosy_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "task/task.h"

#define noinline __attribute__((noinline))

/* Uses `bytes` of stack, in steps that no guard page can be jumped over by. */
static noinline int use_stack(size_t bytes)
{
    char frame[1024];
    memset(frame, (int)bytes, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    int below = bytes > 1200 ? use_stack(bytes - 1200) : 0;
    __asm__ volatile("" : : "r"(frame) : "memory");
    return below + (frame[17] != frame[1000]);
}

static int use_and_yield(size_t bytes)
{
    cosy_try(cosy_yield());
    return use_stack(bytes);
}

static int tiny_body(int value)
{
    for (int i = 0; i < 3; i++)
        cosy_try(cosy_yield());
    cosy_try(cosy_sleep(COSY_US(10)));
    return value;
}

ASYNC_TEST(sizes_are_rounded_up_to_powers_of_two)
{
    static const size_t asked[] = {0, 1, 1024, 1025, 16384, 65536, 65537, 262144, 3000000};
    static const size_t given[] = {65536, 1024, 1024, 2048, 16384, 65536, 131072, 262144, 4194304};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        cosy_scoped(cosy_task) t = cosy_create_task_with((.stack_size = asked[i]), tiny_body, 1);
        ck_assert_uint_eq(cosy_task_stack_size(t), given[i]);
        cosy_task_cancel(t);
        ck_assert_int_eq(cosy_await(t), -ECANCELED);
    }
    return 0;
}

ASYNC_TEST(a_large_stack_can_be_used)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with((.stack_size = 8 << 20), use_and_yield, (7 << 20) / 2);
    cosy_scoped(cosy_task) u = cosy_create_task(use_and_yield, 20000);
    ck_assert_int_eq(cosy_await(t), 0);
    ck_assert_int_eq(cosy_await(u), 0);
    return 0;
}

/* Tools need more stack than that for their own frames. */
ASYNC_TEST(tiny_stacks_suffice_for_waiting)
{
    enum { TASKS = 1000 };
    static cosy_task *tasks[TASKS];
    if (under_tool())
        return 0;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task_with((.stack_size = COSY_STACK_TINY), tiny_body, i);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), i);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

/* ---- reuse ---- */

static uintptr_t seen[64];

static int tell_stack(int i)
{
    char here;
    seen[i] = (uintptr_t)&here & ~(uintptr_t)65535;
    return 0;
}

ASYNC_TEST(a_stack_is_used_again_at_once)
{
    for (int i = 0; i < 64; i++) {
        cosy_scoped(cosy_task) t = cosy_create_task(tell_stack, i);
        cosy_try(cosy_await(t));
        ck_assert(seen[i] == seen[0]);
    }
    return 0;
}

static int hold_stack(int i)
{
    tell_stack(i);
    return cosy_yield();
}

ASYNC_TEST(live_tasks_have_stacks_of_their_own)
{
    cosy_task *tasks[64];
    for (int i = 0; i < 64; i++)
        tasks[i] = cosy_create_task(hold_stack, i);
    for (int i = 0; i < 64; i++) {
        cosy_try(cosy_await(tasks[i]));
        cosy_task_drop(tasks[i]);
        for (int j = 0; j < i; j++)
            ck_assert(seen[i] != seen[j]);
    }
    return 0;
}

static size_t resident_bytes(void)
{
    size_t total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%zu %zu", &total, &resident), 2);
    fclose(file);
    return resident * 4096;
}

static int touch_much(void)
{
    ck_assert_int_eq(use_stack(40000), 0);
    return cosy_sleep(COSY_US(500));
}

/* A wave of tasks has come and gone: while the loop idles, the memory of most of their stacks goes back. */
ASYNC_TEST(idle_stacks_give_their_memory_back)
{
    enum { TASKS = 1500 };
    static cosy_task *tasks[TASKS];
    if (under_tool())
        return 0;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task(touch_much);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    size_t full = resident_bytes();
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), 0);
        cosy_task_drop(tasks[i]);
    }
    for (int i = 0; i < 4; i++) {
        if (on_simulator())
            cosy_try(cosy_sleep(COSY_S(1))); /* the loop looks once a second */
        else
            cosy_stacks_idle();
    }
    size_t left = resident_bytes();
    ck_assert_msg(full > (size_t)TASKS * 32000 && left < full / 3, "%zu of %zu bytes are left", left, full);
    for (int i = 0; i < TASKS; i++) /* and they can be used again */
        tasks[i] = cosy_create_task(touch_much);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), 0);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

static int wait_long(void)
{
    return cosy_sleep(COSY_S(100));
}

/* Far beyond vm.max_map_count / 2, where a mapping or a guard of its own for each stack would have met the limit. */
ASYNC_TEST(very_many_stacks_meet_no_mapping_limit)
{
    enum { TASKS = 70000 };
    if (under_tool())
        return 0;
    cosy_task **tasks = calloc(TASKS, sizeof *tasks);
    for (int i = 0; i < TASKS; i++)
        tasks[i] = cosy_create_task_with((.stack_size = COSY_STACK_SMALL), wait_long);
    cosy_try(cosy_yield());
    for (int i = 0; i < TASKS; i++)
        cosy_task_cancel(tasks[i]);
    for (int i = 0; i < TASKS; i++) {
        ck_assert_int_eq(cosy_await(tasks[i]), -ECANCELED);
        cosy_task_drop(tasks[i]);
    }
    free(tasks);
    return 0;
}

/* ---- overflow: the program dies and says whose stack it was ---- */

static int overflow(int depth)
{
    ck_assert_int_eq(use_stack(100000), depth);
    return 0;
}

static int run_overflow(void)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = "deep", .stack_size = COSY_STACK_SMALL), overflow, 1);
    return cosy_await(t);
}

static int child_overflow(void)
{
    return -cosy_run(run_overflow);
}

static int suspend_after_overflow(int depth)
{
    use_stack(100000);
    return cosy_suspend(depth, NULL);
}

static int drive_overflow(void)
{
    cosy_task_set_name(cosy_current_task(), "driver");
    return cosy_coro_send(cosy_call(suspend_after_overflow, 1), 0, NULL);
}

static int child_overflow_in_coroutine(void)
{
    return -cosy_run(drive_overflow);
}

static int run_overflow_of_main(void)
{
    return use_stack(400000);
}
static int child_overflow_of_main(void)
{
    return -cosy_run(run_overflow_of_main);
}

START_TEST(an_overflow_names_its_task)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_overflow, &end);
    ck_assert(WIFSIGNALED(end.status));
    ck_assert_int_eq(WTERMSIG(end.status), SIGSEGV);
    ck_assert_contains(end.error, "cosy: fatal: stack overflow in task 'deep' (overflow, created at ");
    ck_assert_contains(end.error, "test_stack.c:");
    ck_assert_contains(end.error, " in run_overflow): its 16384 bytes of stack are used up");
    run_child(child_overflow_of_main, &end);
    ck_assert(WIFSIGNALED(end.status));
    ck_assert_contains(end.error, "(run_overflow_of_main, created at ");
    ck_assert_contains(end.error, "its 262144 bytes of stack are used up");
}
END_TEST

START_TEST(an_overflow_in_a_driven_coroutine_names_its_task)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_overflow_in_coroutine, &end);
    ck_assert(WIFSIGNALED(end.status));
    ck_assert_contains(end.error, "cosy: fatal: stack overflow in task 'driver' (drive_overflow, created at ");
}
END_TEST

/* Below what the canary lies next to is somebody else's: only a little is overwritten here. */
static int spoil_canary(size_t bytes)
{
    volatile char *here = __builtin_frame_address(0);
    uintptr_t low = (uintptr_t)here & ~(uintptr_t)(bytes - 1);
    memset((void *)low, 0, 16);
    return 0;
}

static int run_spoiled(void)
{
    cosy_scoped(cosy_task) t = cosy_create_task_with((.name = "small", .stack_size = 4096), spoil_canary, 4096);
    return cosy_await(t);
}

static int child_spoiled(void)
{
    return -cosy_run(run_spoiled);
}

START_TEST(a_spoiled_canary_is_found)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_spoiled, &end);
    ck_assert(WIFSIGNALED(end.status));
    ck_assert_int_eq(WTERMSIG(end.status), SIGABRT);
    ck_assert_contains(end.error, "cosy: fatal: stack overflow in task 'small' (spoil_canary, created at ");
    ck_assert_contains(end.error, "the canary of its 4096-byte stack is gone");
}
END_TEST

static int raise_in_task(void)
{
    raise(SIGSEGV);
    return 0;
}

static int child_raise(void)
{
    return -cosy_run(raise_in_task);
}

START_TEST(a_fault_of_another_kind_keeps_its_effect)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_raise, &end);
    ck_assert(WIFSIGNALED(end.status));
    ck_assert_int_eq(WTERMSIG(end.status), SIGSEGV);
    ck_assert_lacks(end.error, "overflow");
}
END_TEST

/* ---- no more ---- */

static int make_until_refused(void)
{
    static cosy_task *tasks[2000];
    int refused = 0;
    for (int i = 0; i < 2000; i++)
        tasks[i] = cosy_create_task_with((.stack_size = 1 << 20), wait_long);
    cosy_try(cosy_yield());
    cosy_try(cosy_yield());
    const char *message = "";
    for (int i = 0; i < 2000; i++) {
        cosy_task_cancel(tasks[i]);
        int result = cosy_await(tasks[i]);
        if (result == -ENOMEM) {
            message = cosy_future_error_message(cosy_task_future(tasks[i]));
            refused++;
        } else if (result != -ECANCELED)
            return -EPROTO;
    }
    if (refused == 0)
        return -ERANGE;
    fprintf(stderr, "refused %d: %s\n", refused, message);
    cosy_scoped(cosy_task) after = cosy_create_task(tiny_body, 5); /* memory is there again */
    return cosy_await(after);
}

static int child_without_address_space(void)
{
    struct rlimit limit = {512 << 20, 512 << 20};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return 100;
    int result = cosy_run(make_until_refused);
    return result < 0 ? -result : result;
}

START_TEST(no_memory_for_a_stack_is_the_tasks_error)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_without_address_space, &end);
    ck_assert_msg(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 5, "status %x: %s", end.status, end.error);
    ck_assert_contains(end.error, "no memory for a stack of 1048576 bytes: ");
    ck_assert_contains(end.error, "too many mappings (vm.max_map_count)");
    ck_assert_contains(end.error, "(ulimit -v)");
}
END_TEST

static int child_without_mappings(void)
{
    /* Every other page, so that no two mappings merge, until the kernel refuses. */
    char *low = mmap(NULL, (size_t)300000 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t page = 1;
    while (page < 300000 && mprotect(low + page * 4096, 4096, PROT_NONE) == 0)
        page += 2;
    if (page >= 300000)
        return 77; /* a system without that limit */
    int result = cosy_run(tiny_body, 6);
    fprintf(stderr, "%s\n", cosy_error_message(result));
    return result < 0 ? -result : result;
}

START_TEST(too_many_mappings_are_named)
{
    struct child_end end;
    if (under_tool())
        return;
    run_child(child_without_mappings, &end);
    ck_assert_msg(WIFEXITED(end.status), "status %x: %s", end.status, end.error);
    if (WEXITSTATUS(end.status) == 6 || WEXITSTATUS(end.status) == 77)
        return;
    ck_assert_int_eq(WEXITSTATUS(end.status), ENOMEM);
}
END_TEST

static int deep_call_of_a_small_task(void)
{
    char text[64];
    snprintf(text, sizeof text, "%s", "x");
    return 0;
}

static void note_depth(void *arg)
{
    *(int *)arg = use_stack(100000);
}

static int call_deep(void)
{
    int result = 7;
    cosy_on_big_stack(note_depth, &result);
    ck_assert_int_eq(result, 0);
    return deep_call_of_a_small_task();
}

ASYNC_TEST(deep_library_calls_find_room)
{
    cosy_scoped(cosy_task) t =
        cosy_create_task_with((.stack_size = under_tool() ? 1 << 20 : COSY_STACK_SMALL), call_deep);
    ck_assert_int_eq(cosy_await(t), 0);
    return 0;
}

/* ---- how much is used ---- */

static int eat_then_wait(int bytes)
{
    volatile char *eaten = __builtin_alloca((size_t)bytes);
    eaten[0] = 1;
    return cosy_yield() + eaten[0];
}

static int measured_body(void)
{
    cosy_scoped(cosy_task) small = cosy_create_task(eat_then_wait, 100);
    cosy_scoped(cosy_task) large = cosy_create_task(eat_then_wait, 20000);
    ck_assert_uint_eq(cosy_task_stack_used(large), 0); /* not begun */
    cosy_try(cosy_yield());
    size_t small_use = cosy_task_stack_used(small), large_use = cosy_task_stack_used(large);
    if (!under_tool()) {
        ck_assert_uint_gt(small_use, 100);
        ck_assert_uint_lt(small_use, 15000);
        ck_assert_uint_ge(large_use, 20000);
        ck_assert_uint_lt(large_use, 20000 + 15000);
    }
    ck_assert_int_eq(cosy_await(small) + cosy_await(large), 2);
    ck_assert_uint_eq(cosy_task_stack_used(large), 0); /* ended */
    return 0;
}

START_TEST(debug_mode_knows_how_much_stack_is_used)
{
    char *text = NULL;
    size_t size;
    ck_assert_int_eq(cosy_run_with((.debug = true), measured_body), 0);
    FILE *out = open_memstream(&text, &size);
    cosy_print_stack_use(out);
    fclose(out);
    const char *first = strstr(text, "of 65536 bytes: eat_then_wait, 1 task, created at ");
    if (!under_tool()) {
        ck_assert_msg(first && strstr(first + 1, "of 65536 bytes: eat_then_wait, 1 task"), "%s", text);
        ck_assert_msg(strstr(text, "measured_body, 1 task") != NULL, "%s", text);
    }
    free(text);
}
END_TEST

ASYNC_TEST(without_debug_mode_nothing_is_measured)
{
    cosy_scoped(cosy_task) t = cosy_create_task(eat_then_wait, 100);
    cosy_try(cosy_yield());
    ck_assert_uint_eq(cosy_task_stack_used(t), 0);
    return cosy_await(t) - 1;
}

static int wait_for_ever(void) { return cosy_sleep(COSY_NEVER); }

ASYNC_TEST(the_canceller_is_known)
{
    cosy_scoped(cosy_task) t = cosy_create_task(wait_for_ever);
    cosy_try(cosy_yield());
    ck_assert_uint_eq(cosy_task_canceller_id(t), 0);
    cosy_task_cancel(t);
    ck_assert_uint_eq(cosy_task_canceller_id(t), cosy_task_id(cosy_current_task()));
    ck_assert_int_eq(cosy_await(t), -ECANCELED);
    ck_assert_uint_eq(cosy_task_canceller_id(t), cosy_task_id(cosy_current_task()));
    return 0;
}

COSY_TEST_MAIN("stack", sizes_are_rounded_up_to_powers_of_two, a_large_stack_can_be_used,
               tiny_stacks_suffice_for_waiting, a_stack_is_used_again_at_once, live_tasks_have_stacks_of_their_own,
               idle_stacks_give_their_memory_back, very_many_stacks_meet_no_mapping_limit, an_overflow_names_its_task,
               an_overflow_in_a_driven_coroutine_names_its_task, a_spoiled_canary_is_found,
               a_fault_of_another_kind_keeps_its_effect, no_memory_for_a_stack_is_the_tasks_error,
               too_many_mappings_are_named, deep_library_calls_find_room, debug_mode_knows_how_much_stack_is_used,
               without_debug_mode_nothing_is_measured, the_canceller_is_known)
