/* Stacks that stand at known places are told as those places; wild pointers are told as nothing. */
#include "base/base.h"
#include "sys/arch/switch.h"
#include "task/unwind.h"
#include "../harness/tool.h"

#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void cosy_unwind_release(void);

enum { STACK_SIZE = 1 << 18, MAX = 32 };

#define noinline __attribute__((noinline))

/* Notes the line on which a call stands. */
#define AT(name, call) (lines.name = __LINE__, (call))
static struct {
    int inner, middle, outer, entry, inlined, around, ask, hop, thread, handler, interrupted, from_libc, deep;
} lines;

static char stack[STACK_SIZE] __attribute__((aligned(64)));
static void *test_sp, *parked_sp;
static struct cosy_frame frames[MAX];
static int count;
static volatile int opaque = 1;

/* ---- A stack to look at: entry -> outer -> cosy_middleman -> middle -> inner ---- */

static noinline int inner(int n)
{
    AT(inner, cosy_switch(&parked_sp, test_sp));
    return n + opaque;
}

static noinline int middle(int n)
{
    return AT(middle, inner(n + opaque)) + opaque;
}

static noinline int cosy_middleman(int n)
{
    return middle(n + opaque) + opaque;
}

static noinline int outer(int n)
{
    return AT(outer, cosy_middleman(n + opaque)) + opaque;
}

static void *entry(void *arg)
{
    *(int *)arg = AT(entry, outer(1));
    return test_sp;
}

static void park(void *(*function)(void *), int *result)
{
    *result = 0;
    cosy_switch_start(&test_sp, stack + STACK_SIZE, function, result);
    ck_assert_int_eq(*result, 0); /* parked, not through */
}

static void finish(const int *result)
{
    cosy_switch(&test_sp, parked_sp);
    ck_assert_int_ne(*result, 0);
}

/* ---- What a frame must look like ---- */

#if COSY_HAVE_LIBDW
static __attribute__((always_inline)) inline int inlined(int n)
{
    return AT(inlined, middle(n)) + opaque;
}

static __attribute__((always_inline)) inline int cosy_inlined(int n)
{
    return inlined(n) + opaque;
}

static void *entry_around_inlined(void *arg)
{
    *(int *)arg = AT(around, cosy_inlined(1));
    return test_sp;
}

static noinline int deep(int n)
{
    return n == 0 ? inner(n) : AT(deep, deep(n - 1)) + opaque;
}

static void *entry_deep(void *arg)
{
    *(int *)arg = deep(3000);
    return test_sp;
}

static void check_frame(int i, const char *function, int line)
{
    ck_assert_int_lt(i, count);
    ck_assert_str_eq(frames[i].function, function);
    size_t length = strlen(frames[i].file), tail = strlen("task/test_unwind.c");
    ck_assert_uint_gt(length, tail);
    ck_assert_str_eq(frames[i].file + length - tail, "task/test_unwind.c");
    ck_assert_int_eq(frames[i].line, line);
    ck_assert_uint_ne(frames[i].pc, 0);
}

static int index_of(const char *function)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(frames[i].function, function))
            return i;
    ck_abort_msg("no frame of %s", function);
}

START_TEST(parked_is_told_innermost_first)
{
    int result;
    park(entry, &result);
    for (int round = 0; round < 3; round++) {
        count = cosy_unwind_parked(parked_sp, frames, MAX);
        ck_assert_int_eq(count, 4); /* neither cosy_switch, cosy_middleman nor cosy_switch_start */
        check_frame(0, "inner", lines.inner);
        check_frame(1, "middle", lines.middle);
        check_frame(2, "outer", lines.outer);
        check_frame(3, "entry", lines.entry);
    }
    finish(&result);
}
END_TEST

START_TEST(inlined_functions_are_frames)
{
    int result;
    park(entry_around_inlined, &result);
    count = cosy_unwind_parked(parked_sp, frames, MAX);
    ck_assert_int_eq(count, 4);
    check_frame(1, "middle", lines.middle);
    check_frame(2, "inlined", lines.inlined);
    check_frame(3, "entry_around_inlined", lines.around); /* of the call of cosy_inlined, which is left out */
    finish(&result);
}
END_TEST

START_TEST(max_is_respected)
{
    int result;
    park(entry, &result);
    for (int max = 0; max <= 5; max++) {
        memset(frames, 0x55, sizeof frames);
        count = cosy_unwind_parked(parked_sp, frames, max);
        ck_assert_int_eq(count, max < 4 ? max : 4);
        for (size_t i = (size_t)count * sizeof frames[0]; i < sizeof frames; i++)
            ck_assert_int_eq(((char *)frames)[i], 0x55);
    }
    ck_assert_int_eq(cosy_unwind_parked(parked_sp, frames, -1), 0);
    finish(&result);
}
END_TEST

START_TEST(deep_stack_is_cut)
{
    int result;
    park(entry_deep, &result);
    count = cosy_unwind_parked(parked_sp, frames, MAX);
    ck_assert_int_eq(count, MAX);
    check_frame(0, "inner", lines.inner);
    check_frame(1, "deep", frames[1].line);
    check_frame(MAX - 1, "deep", lines.deep);
    struct cosy_frame *many = calloc(4000, sizeof *many);
    ck_assert_ptr_nonnull(many);
    ck_assert_int_gt(cosy_unwind_parked(parked_sp, many, 4000), 500);
    free(many);
    finish(&result);
}
END_TEST

static void handler(int number)
{
    AT(handler, inner(number));
    opaque = 1;
}

static noinline int interrupted(void)
{
    return AT(interrupted, raise(SIGUSR1)) + opaque;
}

static void *entry_interrupted(void *arg)
{
    *(int *)arg = interrupted();
    return test_sp;
}

START_TEST(signal_handlers_lead_to_what_they_interrupted)
{
    int result;
    signal(SIGUSR1, handler);
    park(entry_interrupted, &result);
    count = cosy_unwind_parked(parked_sp, frames, MAX);
    check_frame(0, "inner", lines.inner);
    check_frame(1, "handler", lines.handler);
    check_frame(index_of("interrupted"), "interrupted", lines.interrupted);
    ck_assert_str_eq(frames[count - 1].function, "entry_interrupted");
    finish(&result);
    signal(SIGUSR1, SIG_DFL);
}
END_TEST

START_TEST(overwritten_stack_gives_what_is_left)
{
    int result;
    park(entry, &result);
    static char copy[STACK_SIZE];
    size_t used = (size_t)(stack + STACK_SIZE - (char *)parked_sp);
    memcpy(copy, parked_sp, used);
    memset((char *)parked_sp + COSY_SWITCH_FRAME, 0x41, used - COSY_SWITCH_FRAME);
    count = cosy_unwind_parked(parked_sp, frames, MAX);
    ck_assert_int_ge(count, 1);
    ck_assert_int_le(count, 3);
    check_frame(0, "inner", lines.inner);
    memcpy(parked_sp, copy, used);
    finish(&result);
}
END_TEST
#else
START_TEST(parked_is_told_by_its_resume_place)
{
    int result;
    park(entry, &result);
    ck_assert_int_eq(cosy_unwind_parked(parked_sp, frames, 0), 0);
    ck_assert_int_eq(cosy_unwind_parked(parked_sp, frames, MAX), 1);
    ck_assert_uint_gt(frames[0].pc, (uintptr_t)inner);
    ck_assert_uint_lt(frames[0].pc, (uintptr_t)inner + 1024);
    ck_assert_str_eq(frames[0].file, "");
    ck_assert_int_eq(frames[0].line, 0);
    finish(&result);
}
END_TEST
#endif

/* ---- The running stack ---- */

static noinline int ask(int max)
{
    memset(frames, 0, sizeof frames);
    count = AT(ask, cosy_unwind_here(frames, max));
    return opaque;
}

static void ask_from_hop(void *arg)
{
    *(int *)arg = ask(MAX);
}

static noinline int hop(char *top)
{
    int result = 0;
    AT(hop, cosy_switch_hop(ask_from_hop, &result, top));
    return result;
}

static int compare(const void *a, const void *b)
{
    (void)a;
    return (ask(MAX), *(const int *)b == 0);
}

START_TEST(little_stack_is_needed)
{
    enum { LITTLE = 24 << 10 };
    char *own = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(own, MAP_FAILED);
    memset(own, 0x5a, STACK_SIZE);
    cosy_unwind_release(); /* the first walk needs most */
    ck_assert_int_eq(hop(own + STACK_SIZE), 1);
    ck_assert_int_gt(count, 0);
    int untouched = 0;
    while (untouched < STACK_SIZE - LITTLE && own[untouched] == 0x5a)
        untouched++;
    ck_assert_int_eq(untouched, STACK_SIZE - LITTLE);
    munmap(own, STACK_SIZE);
}
END_TEST

static noinline int ask_below_libc(void)
{
    int numbers[1] = {7};
    size_t n = 1;
    return AT(from_libc, lfind(numbers, numbers, &n, sizeof numbers[0], compare)) != NULL;
}

static void *thread_main(void *arg)
{
    *(int *)arg = AT(thread, ask(MAX));
    return NULL;
}

#if COSY_HAVE_LIBDW
START_TEST(here_is_told)
{
    ck_assert_int_eq(ask(MAX), 1);
    ck_assert_int_gt(count, 1);
    check_frame(0, "ask", lines.ask);
    ck_assert_str_eq(frames[count - 1].function, "main"); /* and nothing of the C library below */
    ask(1);
    ck_assert_int_eq(count, 1);
    check_frame(0, "ask", lines.ask);
}
END_TEST

START_TEST(here_goes_through_a_hop)
{
    ck_assert_int_eq(hop(stack + STACK_SIZE), 1);
    check_frame(0, "ask", lines.ask);
    ck_assert_str_eq(frames[1].function, "ask_from_hop");
    check_frame(2, "hop", lines.hop);
    ck_assert_str_eq(frames[count - 1].function, "main");
}
END_TEST

START_TEST(here_goes_through_the_c_library)
{
    ck_assert_int_eq(ask_below_libc(), 1);
    check_frame(0, "ask", lines.ask);
    ck_assert_str_eq(frames[1].function, "compare");
    ck_assert_str_eq(frames[2].function, "lfind");
    check_frame(index_of("ask_below_libc"), "ask_below_libc", lines.from_libc);
}
END_TEST

START_TEST(here_ends_at_a_thread_function)
{
    pthread_t thread;
    int result = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, thread_main, &result), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(result, 1);
    check_frame(0, "ask", lines.ask);
    check_frame(1, "thread_main", lines.thread);
    for (int i = 2; i < count; i++) /* a sanitizer's or valgrind's own start of a thread */
        ck_assert_ptr_null(strstr(frames[i].file, "test_unwind.c"));
}
END_TEST

#else
START_TEST(here_is_told_by_addresses)
{
    ck_assert_int_eq(ask_below_libc(), 1);
    ck_assert_int_gt(count, 3);
    ck_assert_uint_gt(frames[0].pc, (uintptr_t)ask);
    ck_assert_uint_lt(frames[0].pc, (uintptr_t)ask + 1024);
    bool found = false;
    for (int i = 0; i < count; i++) {
        found = found || !strcmp(frames[i].function, "lfind");
        ck_assert_str_eq(frames[i].file, "");
        ck_assert_int_eq(frames[i].line, 0);
    }
    ck_assert(found);
    ask(1);
    ck_assert_int_eq(count, 1);
    int result = 0;
    pthread_t thread;
    ck_assert_int_eq(hop(stack + STACK_SIZE), 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, thread_main, &result), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(result, 1);
}
END_TEST
#endif

/* ---- Wild pointers ---- */

static void check_nothing(uintptr_t sp)
{
    memset(frames, 0x55, sizeof frames);
    int got = cosy_unwind_parked((void *)sp, frames, MAX);
    ck_assert_msg(got == 0, "%d frames at %p, the first %s at %p", got, (void *)sp, frames[0].function,
                  (void *)frames[0].pc);
    for (size_t i = 0; i < sizeof frames; i++)
        ck_assert_int_eq(((char *)frames)[i], 0x55);
}

START_TEST(wild_pointers_give_nothing)
{
    enum { SLOT = COSY_SWITCH_FRAME % 16 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(pages, MAP_FAILED);
    memset(pages, 0x41, 3 * page);
    munmap(pages + page, page);
    mprotect(pages + 2 * page, page, PROT_NONE);
    check_nothing(0);
    check_nothing(SLOT);
    check_nothing(4096 + SLOT);
    check_nothing(UINTPTR_MAX - 15 + SLOT);
    check_nothing((UINTPTR_MAX >> 1) - 15 + SLOT);
    check_nothing((uintptr_t)pages + SLOT);             /* readable, but no resume address */
    check_nothing((uintptr_t)pages + page - 16 + SLOT); /* half of it is unmapped */
    check_nothing((uintptr_t)pages + page + SLOT);      /* unmapped */
    check_nothing((uintptr_t)pages + 2 * page + SLOT);  /* may not be read */
    memset(pages, 0, page);
    check_nothing((uintptr_t)pages + SLOT);
    munmap(pages, page);
    munmap(pages + 2 * page, page);
}
END_TEST

START_TEST(misaligned_pointers_give_nothing)
{
    int result;
    park(entry, &result);
    static char copy[COSY_SWITCH_FRAME + 32] __attribute__((aligned(16)));
    for (uintptr_t off = 0; off < 16; off++) {
        char *sp = copy + off;
        memcpy(sp, parked_sp, COSY_SWITCH_FRAME); /* a good frame at a bad place */
        if (off != COSY_SWITCH_FRAME % 16)
            check_nothing((uintptr_t)sp);
    }
    ck_assert_int_gt(cosy_unwind_parked(parked_sp, frames, MAX), 0);
    finish(&result);
}
END_TEST

/* ---- What is kept ---- */

START_TEST(errno_and_children_are_left_alone)
{
    errno = E2BIG;
    ask(MAX);
    check_nothing(24);
    ck_assert_int_eq(errno, E2BIG);
    DIR *fds = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(fds);
    for (struct dirent *each; (each = readdir(fds));) {
        char target[256] = "";
        if (readlinkat(dirfd(fds), each->d_name, target, sizeof target - 1) < 0 || !strstr(target, ".so"))
            continue; /* not one that was opened for its symbols */
        ck_assert_int_eq(fcntl(atoi(each->d_name), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    closedir(fds);
}
END_TEST

START_TEST(released_and_forked_begin_anew)
{
    ask(MAX);
    int before = count;
    ck_assert_int_gt(before, 0);
    cosy_unwind_release();
    cosy_unwind_release();
    ask(MAX);
    ck_assert_int_eq(count, before);
    pid_t child = fork();
    if (child == 0) {
        ask(MAX);
        cosy_unwind_release();
        _exit(count == before ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

static int times_to_ask;

static void *ask_often(void *arg)
{
    struct cosy_frame own[8];
    for (int i = 0; i < times_to_ask; i++)
        *(int *)arg += cosy_unwind_parked(parked_sp, own, 8) + (cosy_unwind_here(own, 8) > 0);
    return NULL;
}

START_TEST(threads_may_ask_together)
{
    pthread_t threads[4];
    int sums[COUNT_OF(threads)] = {0}, result;
    times_to_ask = (int)less_under_tool(50, 5);
    park(entry, &result);
    int each = cosy_unwind_parked(parked_sp, frames, 8);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, &sums[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(sums[i], times_to_ask * (each + 1));
    }
    finish(&result);
}
END_TEST

/* ---- A module that comes later, with a static function whose source is said to lie among the library's ---- */

#if COSY_HAVE_LIBDW
static const char plugin_source[] =
    "static volatile int one = 1;\n"
    "#line 5 \"%.*ssrc/loop/turn.c\"\n"
    "static __attribute__((noinline)) int one_turn(int (*f)(int)) { return f(32) * one; }\n"
    "#line 11 \"/plugin/plugin.c\"\n"
    "int plugin(int (*f)(int)) { return one_turn(f) * one; }\n";

static void *load_plugin(const char *directory)
{
    char path[256], command[1024];
    const char *cc = getenv("CC"), *end = strstr(__FILE__, "tests/task/");
    snprintf(path, sizeof path, "%s/plugin.c", directory);
    FILE *file = fopen(path, "w");
    if (!file || !end)
        return NULL;
    fprintf(file, plugin_source, (int)(end - __FILE__), __FILE__);
    fclose(file);
    snprintf(command, sizeof command, "%s -O1 -g -shared -fPIC -o %s/plugin.so %s", cc && *cc ? cc : "cc", directory,
             path);
    snprintf(path, sizeof path, "%s/plugin.so", directory);
    return system(command) == 0 ? dlopen(path, RTLD_NOW) : NULL;
}

START_TEST(new_modules_are_seen)
{
    char directory[] = "/tmp/test_unwind.XXXXXX";
    ask(MAX); /* what is kept from here does not know the module */
    ck_assert_ptr_nonnull(mkdtemp(directory));
    void *handle = load_plugin(directory);
    if (!handle)
        return; /* no compiler here */
    int (*plugin)(int (*)(int)) = (int (*)(int (*)(int)))dlsym(handle, "plugin");
    ck_assert_ptr_nonnull(plugin);
    ck_assert_int_eq(plugin(ask), 1);
    check_frame(0, "ask", lines.ask);
    ck_assert_str_eq(frames[1].function, "plugin"); /* one_turn is taken for the library's */
    ck_assert_str_eq(frames[1].file, "/plugin/plugin.c");
    ck_assert_int_eq(frames[1].line, 11);
    ck_assert_int_eq(dlclose(handle), 0);
    char command[256];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
    ask(MAX);
    check_frame(0, "ask", lines.ask);
}
END_TEST
#endif

static Suite *unwind_suite(void)
{
    Suite *suite = suite_create("unwind");
    TCase *all = tcase_create("all");
#if COSY_HAVE_LIBDW
    tcase_add_test(all, parked_is_told_innermost_first);
    tcase_add_test(all, inlined_functions_are_frames);
    tcase_add_test(all, max_is_respected);
    tcase_add_test(all, deep_stack_is_cut);
    if (!UNDER_TSAN) /* it takes all that runs while the handler is parked for the handler */
        tcase_add_test(all, signal_handlers_lead_to_what_they_interrupted);
    tcase_add_test(all, overwritten_stack_gives_what_is_left);
    tcase_add_test(all, here_is_told);
    tcase_add_test(all, here_goes_through_a_hop);
    tcase_add_test(all, here_goes_through_the_c_library);
    tcase_add_test(all, here_ends_at_a_thread_function);
    tcase_add_test(all, new_modules_are_seen);
#else
    tcase_add_test(all, parked_is_told_by_its_resume_place);
    tcase_add_test(all, here_is_told_by_addresses);
#endif
    tcase_add_test(all, little_stack_is_needed);
    tcase_add_test(all, wild_pointers_give_nothing);
    tcase_add_test(all, misaligned_pointers_give_nothing);
    tcase_add_test(all, errno_and_children_are_left_alone);
    tcase_add_test(all, released_and_forked_begin_anew);
    tcase_add_test(all, threads_may_ask_together);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(unwind_suite());
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
