/* check.c - `cosy check`: clang's analysis of which functions may suspend, in plain words. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_help(void)
{
    puts("usage: cosy check [-Ifolder] [-Dname[=value]] FILE.c...\n\n"
         "Finds, without running anything: a wait in a function that is not cosy_async, a blocking call inside async\n"
         "code, a wait inside a no-await region. The analysis is clang's; your program may use any compiler.\n"
         "Returns 0 when all is well, 1 when something was found, 2 when it could not look.\n\n"
         "options:\n"
         "  -Ifolder, -Dname   handed to clang\n"
         "  --cc CLANG         the clang to use; otherwise the newest one installed\n"
         "  --help             print this text");
}

/* The plain name first; then versions, newest first: distributions may install only the numbered name. */
static char *find_clang(const char *wanted)
{
    if (wanted || program_exists("clang"))
        return format_text("%s", wanted ? wanted : "clang");
    for (int version = 30; version >= 11; version--) {
        char *name = format_text("clang-%d", version);
        if (program_exists(name))
            return name;
        free(name);
    }
    return NULL;
}

static int check_file(const char *clang, const struct list *options, const char *file)
{
    if (access(file, R_OK) != 0)
        return tool_fail("check", "cannot read '%s': %s", file, strerror(errno));
    struct list command = {0};
    char *include = path_of_include();
    list_add(&command, clang);
    add_user_cflags(&command, include);
    list_add_words(
        &command,
        "-fsyntax-only -Wthread-safety -Wno-macro-redefined -fno-color-diagnostics -fno-diagnostics-show-option");
    list_add_words(&command, "-DCOSY_CHECK_C_LIBRARY_ -include cosy/colour.h");
    for (size_t i = 0; i < options->count; i++)
        list_add(&command, options->items[i]);
    list_addf(&command, file[0] == '-' ? "./%s" : "%s", file);
    free(include);

    int errors;
    pid_t pid = start_program(command.items, &errors);
    list_free(&command);
    if (pid < 0)
        return tool_fail("check", "cannot start '%s': %s", clang, strerror(-pid));
    int found = explain_diagnostics(errors);
    int status = wait_for_program(pid);
    if (found > 0)
        return TOOL_FOUND;
    if (status != 0)
        return tool_fail("check", "'%s' could not check '%s' (its exit status is %d)", clang, file, status);
    printf("%s: ok: every wait stands in async code, and nothing that is known to block\n", file);
    return TOOL_OK;
}

/* Sorts the words into options for clang and files; returns TOOL_OK, or the status to end with. */
static int parse_words(int argc, char **argv, struct list *options, struct list *files, const char **ret_clang)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--cc") == 0 && i + 1 < argc)
            *ret_clang = argv[++i];
        else if (strncmp(word, "--cc=", 5) == 0 && word[5])
            *ret_clang = word + 5;
        else if (strncmp(word, "-I", 2) == 0 || strncmp(word, "-D", 2) == 0)
            list_add(options, word);
        else if (word[0] == '-')
            return tool_fail("check", "unknown option '%s'; `cosy check --help` lists them", word);
        else
            list_add(files, word);
    }
    return files->count ? TOOL_OK : tool_fail("check", "which file? usage: cosy check FILE.c...");
}

static int check_files(const struct list *options, const struct list *files, const char *wanted)
{
    char *clang = find_clang(wanted);
    if (!clang || !program_exists(clang)) {
        int status = tool_fail("check",
                               "%s is not installed. The check is made by clang (-Wthread-safety), whatever compiler "
                               "builds your program; on Debian and Ubuntu: apt-get install clang",
                               clang ? clang : "clang");
        free(clang);
        return status;
    }
    int worst = TOOL_OK;
    for (size_t i = 0; i < files->count; i++) {
        int status = check_file(clang, options, files->items[i]);
        worst = status > worst ? status : worst;
    }
    free(clang);
    return worst;
}

int tool_check(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help(), TOOL_OK;
    struct list options = {0}, files = {0};
    const char *clang = NULL;
    int status = parse_words(argc, argv, &options, &files, &clang);
    if (status == TOOL_OK)
        status = check_files(&options, &files, clang);
    list_free(&options);
    list_free(&files);
    return status;
}
