/* unwind.c - where a stack stands.
 *
 * A walk starts from a `position`: the callee-saved registers, stack pointer and pc, either as cosy_switch left them or
 * as they are right here. elfutils' libdw then goes from frame to frame by call-frame information, reading our own
 * memory through the kernel, so that a bad pointer ends the walk and not the process. Each frame is told apart into the
 * functions that were inlined there; those of the library are left out. Everything that fails gives fewer or unnamed
 * frames.
 *
 * What libdw has read (modules, symbols, lines) is kept between calls, until a module is loaded or unloaded.
 */
#include "task/hooks.h"
#include "task/unwind.h"

#include "base/base.h"
#include "base/heap.h"
#include "sys/arch/switch.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Forgets what is kept. Any thread; the next walk begins anew. Runs at exit, so that leak checkers see nothing. */
cosy_hidden __attribute__((destructor)) void cosy_unwind_release(void);

enum { SAVED_WORDS = COSY_SWITCH_FRAME / sizeof(uint64_t), SP_ALIGNMENT = 16, MAX_WALK = 1024 };

/* saved[] is laid out as on a parked stack. */
struct position {
    uint64_t saved[SAVED_WORDS];
    uint64_t sp;
    uint64_t pc;
};

/* The frames that were found so far. */
struct list {
    struct cosy_frame *frames;
    int count;
    int max;
};

/* The end of a long path says more than its beginning. */
static void copy_path(char *to, size_t size, const char *path)
{
    size_t length = strlen(path);
    if (length < size) {
        memcpy(to, path, length + 1);
        return;
    }
    const char *tail = path + length - (size - 1);
    const char *slash = strchr(tail, '/');
    strcpy(to, slash ? slash + 1 : tail);
}

/* Without what the compiler appends when it splits or specialises a function (".part.0", ".constprop.1", ".cold"). */
static void copy_function(char *to, size_t size, const char *name)
{
    size_t length = 1 + strcspn(name + 1, ".@");
    if (length >= size)
        length = size - 1;
    memcpy(to, name, length);
    to[length] = 0;
}

static void append_frame(struct list *list, uintptr_t pc, const char *function, const char *file, int line)
{
    if (list->count >= list->max)
        return;
    struct cosy_frame *frame = &list->frames[list->count++];
    *frame = (struct cosy_frame){.pc = pc, .function = "?", .line = line};
    if (function && *function)
        copy_function(frame->function, sizeof frame->function, function);
    copy_path(frame->file, sizeof frame->file, file);
}

/* By name: public and internal functions of the library, whether or not it has debug information. */
static bool has_library_name(const char *function)
{
    return function && !strncmp(function, "cosy_", 5);
}

/* Below main and below a thread's function there is only what the C library put there. */
static bool is_below_program(const char *function)
{
    static const char *const names[] = {"_start",
                                        "__libc_start_main",
                                        "__libc_start_call_main",
                                        "__libc_start_main_impl",
                                        "start_thread",
                                        "clone",
                                        "clone3",
                                        "__clone",
                                        "__clone3",
                                        "thread_start"};
    for (size_t i = 0; function && i < COUNT_OF(names); i++)
        if (!strcmp(function, names[i]))
            return true;
    return false;
}

/* When static functions of a stripped C library are at the end, they have no name to tell them by. */
static void drop_unnamed_base(struct list *list)
{
    Dl_info libc, module;
    if (!dladdr((void *)(uintptr_t)dladdr, &libc))
        return;
    while (list->count > 0) {
        const struct cosy_frame *last = &list->frames[list->count - 1];
        if (strcmp(last->function, "?") || *last->file || !dladdr((void *)(last->pc - 1), &module) ||
            module.dli_fbase != libc.dli_fbase)
            return;
        list->count--;
    }
}

/* Is this address in a libcosy.so? Then its nameless functions are the library's too. A static library lies in the
 * module of its program, where that cannot be told. */
static bool is_in_shared_library(uintptr_t address)
{
    Dl_info own, info;
    if (!dladdr((void *)(uintptr_t)cosy_unwind_parked, &own) || !dladdr((void *)address, &info) ||
        own.dli_fbase != info.dli_fbase || !own.dli_fname)
        return false;
    const char *slash = strrchr(own.dli_fname, '/');
    return !strncmp(slash ? slash + 1 : own.dli_fname, "libcosy.so", strlen("libcosy.so"));
}

/* ---- Reading our own memory ---- */

static bool read_memory(uint64_t address, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)(uintptr_t)address, size};
    ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (got < 0 && errno != EFAULT) { /* some containers forbid the call, even on oneself */
        int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return false;
        got = pread(fd, to, size, (off_t)address);
        close(fd);
    }
    return got == (ssize_t)size;
}

static bool read_parked(uintptr_t sp, struct position *at)
{
    if (!read_memory(sp, at->saved, sizeof at->saved))
        return false;
    at->sp = sp + COSY_SWITCH_FRAME;
    at->pc = at->saved[COSY_SWITCH_PC / sizeof(uint64_t)];
    return true;
}

#if COSY_HAVE_LIBDW

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>

/* DWARF's numbers of the registers in a parked stack's first words; the rest is no matter for a walk. */
#if defined(__x86_64__)
enum { REGISTER_SP = 7 };
static const int register_of_word[] = {15, 14, 13, 12, 3, 6}; /* r15 r14 r13 r12 rbx rbp */
#elif defined(__aarch64__)
enum { REGISTER_SP = 31 };
static const int register_of_word[] = {29, 30, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28}; /* x29 ... */
#endif

enum { STACK_SIZE = 1 << 20 };

/* The loader counts what it loads and unloads. */
struct modules {
    unsigned long long added, removed;
};

/* Guarded by lock. position is the start of the running walk; the rest is kept between walks and belongs to process
 * pid. */
static struct {
    pthread_mutex_t lock;
    Dwfl *dwfl;
    pid_t pid;
    struct modules modules;
    const struct position *position;
    char *stack;         /* where walks run */
    char directory[512]; /* what the library's source files begin with; "" when unknown */
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- The process as libdw sees it: one thread, which stands at kept.position ---- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
    (void)dwfl;
    (void)arg;
    if (*thread_arg)
        return 0;
    *thread_arg = &kept;
    return kept.pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
    (void)dwfl;
    (void)arg;
    *thread_arg = &kept;
    return tid == kept.pid;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *arg)
{
    (void)dwfl;
    (void)arg;
    return read_memory(address, result, sizeof *result);
}

static bool set_initial_registers(Dwfl_Thread *thread, void *arg)
{
    (void)arg;
    const struct position *at = kept.position;
    for (size_t i = 0; i < COUNT_OF(register_of_word); i++)
        if (!dwfl_thread_state_registers(thread, register_of_word[i], 1, &at->saved[i]))
            return false;
    if (!dwfl_thread_state_registers(thread, REGISTER_SP, 1, &at->sp))
        return false;
    dwfl_thread_state_register_pc(thread, at->pc);
    return true;
}

/* ---- Opening files ---- */

/* libdw opens files without O_CLOEXEC: they would be inherited by every child program. */
static int close_on_exec(int fd)
{
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* The program itself is opened where the kernel holds it: its file may have been replaced by a newer one meanwhile. */
static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **file, Elf **elf)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    if (strcmp(name, program) != 0)
        return close_on_exec(dwfl_linux_proc_find_elf(module, data, name, base, file, elf));
    *file = strdup(name); /* libdw frees it: not of our heap */
    return *file ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC) : -1;
}

/* Separate debug information: only from this machine. With DEBUGINFOD_URLS set libdw's standard search would ask a
 * server on the network, while a loop stands still. */
static int find_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
                          const char *link, GElf_Word checksum, char **found)
{
    int fd = dwfl_build_id_find_debuginfo(module, data, name, base, file, link, checksum, found);
    const char *servers = getenv("DEBUGINFOD_URLS");
    if (fd < 0 && (!servers || !*servers))
        fd = dwfl_standard_find_debuginfo(module, data, name, base, file, link, checksum, found);
    return close_on_exec(fd);
}

static int count_modules(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(struct modules *)arg = (struct modules){info->dlpi_adds, info->dlpi_subs};
    return 1;
}

static void forget_modules(void)
{
    if (kept.dwfl)
        dwfl_end(kept.dwfl);
    kept.dwfl = NULL;
}

/* ---- Where an address lies in the sources ---- */

struct place {
    Dwarf_Die *unit; /* NULL: no debug information */
    Dwarf_Addr bias;
    char file[1024]; /* absolute; "" when unknown */
    int line;
};

/* Compilers write some paths relative to the directory they were called in; another program's may read the same. */
static void set_file(struct place *place, const char *path)
{
    Dwarf_Attribute attribute;
    const char *directory = NULL;
    if (path && *path != '/' && place->unit)
        directory = dwarf_formstring(dwarf_attr(place->unit, DW_AT_comp_dir, &attribute));
    if (directory)
        snprintf(place->file, sizeof place->file, "%s/%s", directory, path);
    else
        snprintf(place->file, sizeof place->file, "%s", path ? path : "");
}

/* libdw also gives a module for an address between two. */
static Dwfl_Module *module_at(Dwarf_Addr address)
{
    Dwarf_Addr start = 0, end = 0;
    Dwfl_Module *module = dwfl_addrmodule(kept.dwfl, address);
    if (module)
        (void)dwfl_module_info(module, NULL, &start, &end, NULL, NULL, NULL, NULL);
    return address >= start && address < end ? module : NULL;
}

/* libdw finds a unit through a table that clang does not write; for what is not in it, it gives a unit nearby. */
static Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);
    if (unit && dwarf_haspc(unit, address - *bias) > 0)
        return unit;
    unit = NULL;
    while ((unit = dwfl_module_nextcu(module, unit, bias)))
        if (dwarf_haspc(unit, address - *bias) > 0)
            return unit;
    return NULL;
}

static struct place find_place(Dwfl_Module *module, Dwarf_Addr address)
{
    struct place place = {.unit = NULL};
    place.unit = find_unit(module, address, &place.bias);
    Dwarf_Line *line = place.unit ? dwarf_getsrc_die(place.unit, address - place.bias) : NULL;
    if (line) {
        set_file(&place, dwarf_linesrc(line, NULL, NULL));
        (void)dwarf_lineno(line, &place.line);
    }
    return place;
}

/* The library's source directory, from this file's own path as debug information spells it: all its files are spelt
 * alike, whatever the build did to __FILE__. */
static void find_own_directory(void)
{
    static const char suffix[] = "task/unwind.c";
    kept.directory[0] = 0;
    uintptr_t own = (uintptr_t)cosy_unwind_parked;
    Dwfl_Module *module = module_at(own);
    if (!module)
        return;
    struct place place = find_place(module, own);
    size_t length = strlen(place.file);
    if (length < sizeof suffix || length >= sizeof kept.directory ||
        strcmp(place.file + length - strlen(suffix), suffix) != 0)
        return;
    memcpy(kept.directory, place.file, length - strlen(suffix));
    kept.directory[length - strlen(suffix)] = 0;
}

/* ---- The modules of this process ---- */

static bool begin_modules(void)
{
    static char *no_path; /* NULL: libdw's usual places of separate debug information */
    static const Dwfl_Callbacks callbacks = {
        .find_elf = find_elf, .find_debuginfo = find_debuginfo, .debuginfo_path = &no_path};
    static const Dwfl_Thread_Callbacks threads = {.next_thread = next_thread,
                                                  .get_thread = get_thread,
                                                  .memory_read = memory_read,
                                                  .set_initial_registers = set_initial_registers};
    kept.dwfl = dwfl_begin(&callbacks);
    if (!kept.dwfl)
        return false;
    dwfl_report_begin(kept.dwfl);
    if (dwfl_linux_proc_report(kept.dwfl, kept.pid) != 0 || dwfl_report_end(kept.dwfl, NULL, NULL) != 0 ||
        !dwfl_attach_state(kept.dwfl, NULL, kept.pid, &threads, NULL)) {
        forget_modules();
        return false;
    }
    find_own_directory();
    return true;
}

/* Begins anew rather than reporting again: libdw's view of the process may lean on a module that went away. A forked
 * child must not read its parent's memory for what it has not read yet. */
static bool refresh_modules(void)
{
    struct modules now = {0, 0};
    dl_iterate_phdr(count_modules, &now);
    if (kept.dwfl && kept.pid == getpid() && now.added == kept.modules.added && now.removed == kept.modules.removed)
        return true;
    forget_modules();
    kept.modules = now;
    kept.pid = getpid();
    return begin_modules();
}

/* ---- Naming ---- */

struct walk {
    struct list list;
    int visited;        /* physical frames so far */
    uintptr_t previous; /* pc of the frame before */
    bool after_hop;     /* the frame before was cosy_switch_hop */
    bool at_end;
};

static bool is_library(const char *function, const char *file)
{
    return has_library_name(function) || (*kept.directory && !strncmp(file, kept.directory, strlen(kept.directory)));
}

static void found(struct walk *walk, uintptr_t pc, const char *function, const char *file, int line)
{
    if (walk->at_end || is_library(function, file))
        return;
    if (is_below_program(function)) {
        walk->at_end = true;
        return;
    }
    append_frame(&walk->list, pc, function, file, line);
    if (walk->list.count == walk->list.max || (function && !strcmp(function, "main")))
        walk->at_end = true;
}

static bool is_function(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

/* The part of a unit, function or block that contains an address. */
static bool find_inner(Dwarf_Die *outer, Dwarf_Addr address, Dwarf_Die *inner)
{
    Dwarf_Die each;
    if (dwarf_child(outer, &each) != 0)
        return false;
    do {
        int tag = dwarf_tag(&each);
        if (tag == DW_TAG_namespace && find_inner(&each, address, inner))
            return true;
        if ((is_function(&each) || tag == DW_TAG_lexical_block) && dwarf_haspc(&each, address) > 0) {
            *inner = each;
            return true;
        }
    } while (dwarf_siblingof(&each, &each) == 0);
    return false;
}

/* The functions around an address, outermost first: one that was compiled, then those inlined into one another there.
 * (dwarf_getscopes() finds none where link-time optimisation inlined a function of another file.) */
static int functions_around(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die *functions, int max)
{
    int count = 0;
    Dwarf_Die at = *unit, inner;
    while (count < max && find_inner(&at, address, &inner)) {
        at = inner;
        if (is_function(&at))
            functions[count++] = at;
    }
    return count;
}

/* With split debug information the unit only points to another file, where its functions are. */
static Dwarf_Die body_of(Dwarf_Die *unit)
{
    Dwarf_Die body;
    uint8_t type = 0;
    memset(&body, 0, sizeof body);
    if (dwarf_cu_info(unit->cu, NULL, &type, NULL, &body, NULL, NULL, NULL) == 0 && type == DW_UT_skeleton && body.addr)
        return body;
    return *unit;
}

static int call_number(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) == 0 ? (int)value : 0;
}

/* Where an inlined function was called. */
static const char *call_file(Dwarf_Die *unit, Dwarf_Die *inlined)
{
    Dwarf_Files *files;
    size_t count;
    if (dwarf_getsrcfiles(unit, &files, &count) != 0)
        return NULL;
    return dwarf_filesrc(files, (size_t)call_number(inlined, DW_AT_call_file), NULL, NULL);
}

/* Tells one physical frame as the functions inlined there and the one that was compiled, which is named by `symbol`
 * where there is no debug information. */
static void tell_frame(struct walk *walk, uintptr_t pc, Dwfl_Module *module, uintptr_t address, const char *symbol)
{
    struct place place = find_place(module, address);
    Dwarf_Die functions[32], body;
    int count = 0;
    if (place.unit) {
        body = body_of(place.unit);
        count = functions_around(&body, address - place.bias, functions, COUNT_OF(functions));
    }
    while (count-- > 0) {
        Dwarf_Die *function = &functions[count];
        const char *name = dwarf_diename(function);
        if (dwarf_tag(function) != DW_TAG_inlined_subroutine) {
            symbol = name ? name : symbol;
            break;
        }
        found(walk, pc, name, place.file, place.line);
        set_file(&place, call_file(&body, function));
        place.line = call_number(function, DW_AT_call_line);
    }
    if (symbol || *place.file || !is_in_shared_library(address))
        found(walk, pc, symbol, place.file, place.line);
}

/* What runs at the base of a stack is the library's: a static function, which only debug information would tell. */
static void drop_unplaced_base(struct walk *walk)
{
    struct list *list = &walk->list;
    if (list->count > 0 && list->frames[list->count - 1].pc == walk->previous && !*list->frames[list->count - 1].file)
        list->count--;
}

/* A pc that a call left behind is that of the next instruction, which may belong to another line or even function:
 * names are those of the byte before. Only what a signal interrupted stands at its pc itself; cosy_switch_hop is marked
 * like a signal's frame for debuggers' sake, but it was called. */
static int visit_frame(Dwfl_Frame *state, void *arg)
{
    struct walk *walk = arg;
    Dwarf_Addr pc;
    bool interrupted = false;
    if (!dwfl_frame_pc(state, &pc, &interrupted) || ++walk->visited > MAX_WALK)
        return DWARF_CB_ABORT;
    if (walk->visited == 1 || walk->after_hop)
        interrupted = false;
    uintptr_t address = interrupted ? pc : pc - 1;
    Dwfl_Module *module = module_at(address);
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = module ? dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL) : NULL;
    walk->after_hop = name && !strcmp(name, "cosy_switch_hop");
    if (name && !strcmp(name, "cosy_switch_start"))
        drop_unplaced_base(walk);
    walk->previous = pc;
    if (module)
        tell_frame(walk, pc, module, address, name);
    else
        found(walk, pc, NULL, "", 0);
    return walk->at_end ? DWARF_CB_ABORT : DWARF_CB_OK;
}

/* ---- One walk ---- */

struct request {
    const struct position *start;
    struct list *list;
    bool able; /* false: libdw cannot see this process */
};

static void walk_on_own_stack(void *arg)
{
    struct request *request = arg;
    struct walk walk = {.list = *request->list};
    request->able = refresh_modules();
    if (!request->able || !module_at(request->start->pc - 1))
        return;
    kept.position = request->start;
    (void)dwfl_getthread_frames(kept.dwfl, kept.pid, visit_frame, &walk);
    if (walk.visited < 2) /* a file could not be opened or read; libdw would remember that for ever */
        forget_modules();
    if (walk.list.count < walk.list.max)
        drop_unnamed_base(&walk.list);
    *request->list = walk.list;
}

/* libdw puts the lines of a whole source file on the stack, 160 KiB of them: too much for a task's. */
static bool walk_from(const struct position *start, struct list *list)
{
    struct request request = {.start = start, .list = list, .able = false};
    pthread_mutex_lock(&kept.lock);
    if (!kept.stack && (kept.stack = cosy_heap_map(STACK_SIZE)))
        cosy_hook_stacks_mapped(kept.stack, STACK_SIZE, STACK_SIZE);
    if (kept.stack)
        cosy_switch_hop(walk_on_own_stack, &request, kept.stack + STACK_SIZE);
    pthread_mutex_unlock(&kept.lock);
    return request.able;
}

/* Not at exit while another thread walks: it would lose what it reads. */
void cosy_unwind_release(void)
{
    if (pthread_mutex_trylock(&kept.lock) != 0)
        return;
    forget_modules();
    if (kept.stack)
        cosy_hook_stacks_unmapped(kept.stack, STACK_SIZE);
    cosy_heap_unmap(kept.stack, STACK_SIZE);
    kept.stack = NULL;
    pthread_mutex_unlock(&kept.lock);
}

#else

void cosy_unwind_release(void) {}

static bool walk_from(const struct position *start, struct list *list)
{
    (void)start;
    (void)list;
    return false;
}

#endif

/* ---- Without libdw, or where it cannot read this process ---- */

static void append_plainly(struct list *list, uintptr_t pc)
{
    Dl_info info;
    const char *name = dladdr((void *)(pc - 1), &info) ? info.dli_sname : NULL;
    if (!has_library_name(name) && !is_below_program(name) && (name || !is_in_shared_library(pc - 1)))
        append_frame(list, pc, name, "", 0);
}

/* All that can be said of a parked stack: where it goes on. That is the library's own place, but there is no other. */
static void append_resume_place(struct list *list, uintptr_t pc)
{
    Dl_info info;
    if (dladdr((void *)(pc - 1), &info))
        append_frame(list, pc, info.dli_sname, "", 0);
}

/* The frames from `caller`, an address that a call left behind, outwards. */
static void walk_here_plainly(struct list *list, void *caller)
{
    void *pcs[128];
    int count = backtrace(pcs, COUNT_OF(pcs)), first = 0;
    while (first < count && pcs[first] != caller)
        first++;
    for (int i = first < count ? first : 0; i < count; i++)
        append_plainly(list, (uintptr_t)pcs[i]);
    if (list->count < list->max)
        drop_unnamed_base(list);
}

/* The registers as they are, in the layout of a parked stack. A macro: the frame must be that of its user. */
#if defined(__x86_64__)
#define POSITION_HERE(at)                                                                                              \
    __asm__ volatile("movq %%r15, 0(%0)\n\tmovq %%r14, 8(%0)\n\tmovq %%r13, 16(%0)\n\tmovq %%r12, 24(%0)\n\t"          \
                     "movq %%rbx, 32(%0)\n\tmovq %%rbp, 40(%0)\n\tmovq %%rsp, %c1(%0)\n\t"                             \
                     "leaq 0f(%%rip), %%rax\n\tmovq %%rax, %c2(%0)\n0:\tnop"                                           \
                     :                                                                                                 \
                     : "r"(at), "i"(offsetof(struct position, sp)), "i"(offsetof(struct position, pc))                 \
                     : "rax", "memory")
#elif defined(__aarch64__)
#define POSITION_HERE(at)                                                                                              \
    __asm__ volatile("stp x29, x30, [%0, #0]\n\tstp x19, x20, [%0, #16]\n\tstp x21, x22, [%0, #32]\n\t"                \
                     "stp x23, x24, [%0, #48]\n\tstp x25, x26, [%0, #64]\n\tstp x27, x28, [%0, #80]\n\t"               \
                     "mov x9, sp\n\tstr x9, [%0, %1]\n\tadr x9, 0f\n\tstr x9, [%0, %2]\n0:\tnop"                       \
                     :                                                                                                 \
                     : "r"(at), "i"(offsetof(struct position, sp)), "i"(offsetof(struct position, pc))                 \
                     : "x9", "memory")
#endif

/* ---- The doors ---- */

int cosy_unwind_parked(void *sp, struct cosy_frame *frames, int max)
{
    struct list list = {.frames = frames, .max = max};
    struct position at = {.pc = 0};
    int kept_errno = errno;
    if (max > 0 && sp && (uintptr_t)sp % SP_ALIGNMENT == COSY_SWITCH_FRAME % SP_ALIGNMENT &&
        read_parked((uintptr_t)sp, &at) && !walk_from(&at, &list))
        append_resume_place(&list, at.pc);
    errno = kept_errno;
    return list.count;
}

__attribute__((noinline)) int cosy_unwind_here(struct cosy_frame *frames, int max)
{
    struct list list = {.frames = frames, .max = max};
    struct position at = {.pc = 0};
    int kept_errno = errno;
    if (max > 0) {
        POSITION_HERE(&at);
        if (!walk_from(&at, &list))
            walk_here_plainly(&list, __builtin_return_address(0));
    }
    errno = kept_errno;
    return list.count;
}
