/* run.c - `cosy run`: compile one file into a temporary program, run it, remove it. */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_options {
    const char *cc;        /* NULL: choose one */
    const char *backend;   /* NULL: leave the choice to the program */
    const char *sanitizer; /* "address", "undefined", "thread", or NULL */
    bool debug;
    bool help;
    int next; /* index of the first word that is no option */
};

static void print_help(void)
{
    puts("usage: cosy run [options] FILE.c [arguments...]\n\n"
         "Compiles FILE.c against the library and runs it with the arguments. FILE may be '-' for standard input.\n"
         "Returns the program's exit status, 128 + N when signal N killed it.\n\n"
         "options:\n"
         "  --debug                debug mode of the library (COSY_DEBUG=1), and code that debuggers can follow (-O0)\n"
         "  --cc CC                compile with CC; otherwise $CC, the library's compiler, cc, gcc or clang\n"
         "  --sanitize KIND        find errors while running: address (with undefined), undefined, thread\n"
         "  --backend NAME         kernel interface: uring, epoll, or sim (virtual clock; sets COSY_BACKEND)\n"
         "  --help                 print this text");
}

/* The value of `--name value` or `--name=value` when argv[*i] is that option; moves *i to the word that held it. */
static const char *option_value(char **argv, int *i, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(argv[*i], name, length) != 0)
        return NULL;
    if (argv[*i][length] == '=')
        return argv[*i] + length + 1;
    if (argv[*i][length] != '\0')
        return NULL;
    if (!argv[*i + 1])
        return "";
    return argv[++*i];
}

static bool is_one_of(const char *word, const char *const *choices)
{
    for (; *choices; choices++)
        if (strcmp(word, *choices) == 0)
            return true;
    return false;
}

static int check_values(const struct run_options *options)
{
    static const char *const backends[] = {"uring", "epoll", "sim", NULL};
    static const char *const sanitizers[] = {"address", "undefined", "thread", NULL};
    if (options->cc && !*options->cc)
        return tool_fail("run", "--cc needs a compiler, as in --cc clang");
    if (options->backend && !is_one_of(options->backend, backends))
        return tool_fail("run", "unknown backend '%s'; --backend takes uring, epoll or sim", options->backend);
    if (options->sanitizer && !is_one_of(options->sanitizer, sanitizers))
        return tool_fail("run", "unknown sanitizer '%s'; --sanitize takes address, undefined or thread",
                         options->sanitizer);
    return TOOL_OK;
}

static int parse_options(int argc, char **argv, struct run_options *ret)
{
    int i;
    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            ret->help = true;
        else if (strcmp(argv[i], "--debug") == 0)
            ret->debug = true;
        else if ((value = option_value(argv, &i, "--cc")))
            ret->cc = value;
        else if ((value = option_value(argv, &i, "--backend")))
            ret->backend = value;
        else if ((value = option_value(argv, &i, "--sanitize")))
            ret->sanitizer = value;
        else
            return tool_fail("run", "unknown option '%s'; `cosy run --help` lists them", argv[i]);
    }
    ret->next = i;
    return check_values(ret);
}

/* The compiler's words: "ccache gcc" is a program and its argument. */
static int choose_compiler(const struct run_options *options, struct list *ret)
{
    const char *from_environment = getenv("CC");
    if (!options->cc && (!from_environment || !*from_environment)) {
        static const char *const known[] = {COSY_BUILT_WITH, "cc", "gcc", "clang", NULL};
        for (const char *const *name = known; *name && !ret->count; name++)
            if (program_exists(*name))
                list_add(ret, *name);
        return ret->count ? TOOL_OK : tool_fail("run", "no C compiler found (tried $CC, cc, gcc and clang)");
    }
    list_add_words(ret, options->cc ? options->cc : from_environment);
    if (!ret->count || !program_exists(ret->items[0]))
        return tool_fail("run", "compiler '%s' not found (given by %s)", ret->count ? ret->items[0] : "",
                         options->cc ? "--cc" : "$CC");
    return TOOL_OK;
}

/* UBSan changes nothing that the library must know of; the other two need a library that announces its stacks. */
static int choose_library(const struct run_options *options, char **ret)
{
    const char *kind = options->sanitizer;
    char *path = path_of_library(kind && strcmp(kind, "undefined") != 0 ? kind : NULL);
    *ret = path;
    if (access(path, R_OK) == 0)
        return TOOL_OK;
    if (kind)
        return tool_fail("run", "no library for --sanitize %s: '%s' is missing (the library was built without it)",
                         kind, path);
    return tool_fail("run", "the library '%s' is missing; it belongs beside this command", path);
}

static void add_sanitizer_flags(struct list *command, const char *kind)
{
    if (!kind)
        return;
    list_add(command, strcmp(kind, "address") == 0  ? "-fsanitize=address,undefined"
                      : strcmp(kind, "thread") == 0 ? "-fsanitize=thread"
                                                    : "-fsanitize=undefined");
    list_add(command, "-fno-omit-frame-pointer");
}

static int compile(const struct run_options *options, const char *file, const char *program)
{
    struct list command = {0};
    char *include = path_of_include(), *library = NULL;
    int status = choose_compiler(options, &command);
    if (status == TOOL_OK)
        status = choose_library(options, &library);
    if (status == TOOL_OK) {
        add_user_cflags(&command, include);
        list_add(&command, "-g");
        list_add(&command, options->debug ? "-O0" : "-O1");
        add_sanitizer_flags(&command, options->sanitizer);
        list_add(&command, "-o");
        list_add(&command, program);
        list_add(&command, "-xc"); /* stdin has no suffix to tell by */
        if (file[0] == '-' && file[1])
            list_addf(&command, "./%s", file); /* a file, whatever its name looks like */
        else
            list_add(&command, file);
        list_add(&command, "-xnone");
        list_add(&command, library);
        list_add_words(&command, COSY_USER_LIBS);
        int signal_number;
        status = run_and_wait(command.items[0], command.items, false, &signal_number);
        if (status < 0)
            status = tool_fail("run", "cannot start the compiler '%s': %s", command.items[0], strerror(-status));
    }
    list_free(&command);
    free(include);
    free(library);
    return status;
}

static int execute(const struct run_options *options, char **argv, const char *program)
{
    if (options->backend)
        setenv("COSY_BACKEND", options->backend, 1);
    if (options->debug)
        setenv("COSY_DEBUG", "1", 1);
    bool fixed_addresses = options->sanitizer && strcmp(options->sanitizer, "thread") == 0;
    int signal_number;
    int status = run_and_wait(program, argv, fixed_addresses, &signal_number);
    if (status < 0)
        return tool_fail("run", "cannot run the program made of '%s': %s", argv[0], strerror(-status));
    if (signal_number && signal_number != SIGINT && signal_number != SIGTERM && signal_number != SIGPIPE)
        tool_fail("run", "%s was killed by signal %d (%s)", argv[0], signal_number, strsignal(signal_number));
    return status;
}

/* "dir/hello.c" runs as "hello": the name that ps and error messages show. */
static char *program_name(const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    const char *dot = strrchr(base, '.');
    int length = dot && dot != base ? (int)(dot - base) : (int)strlen(base);
    if (strcmp(base, "-") == 0)
        return format_text("stdin");
    if ((int)strspn(base, ".") >= length)
        return format_text("program");
    return format_text("%.*s", length, base);
}

/* Everything between making the temporary folder and removing it; no signal ends the command in here. */
static int compile_and_run(const struct run_options *options, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = format_text("%s/cosy-run-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        int status = tool_fail("run", "cannot make the temporary folder '%s': %s", folder, strerror(errno));
        free(folder);
        return status;
    }
    char *name = program_name(argv[0]);
    char *program = format_text("%s/%s", folder, name);
    int status = compile(options, argv[0], program);
    if (status == TOOL_OK)
        status = execute(options, argv, program);
    unlink(program);
    rmdir(folder);
    free(program);
    free(name);
    free(folder);
    return status;
}

int tool_run(int argc, char **argv)
{
    struct run_options options = {0};
    int status = parse_options(argc, argv, &options);
    if (options.help)
        return print_help(), TOOL_OK;
    if (status != TOOL_OK)
        return status;
    if (options.next >= argc)
        return tool_fail("run", "which file? usage: cosy run [options] FILE.c [arguments...]");
    const char *file = argv[options.next];
    if (strcmp(file, "-") != 0 && access(file, R_OK) != 0)
        return tool_fail("run", "cannot read '%s': %s", file, strerror(errno)), TOOL_FOUND;
    stop_signals_catch();
    status = compile_and_run(&options, argv + options.next);
    stop_signals_restore();
    return status;
}
