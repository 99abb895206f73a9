/* new.c - `cosy new`: lays out a project that builds with CMake and with make. */
#include "tool.h"
#include "templates.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_help(void)
{
    puts("usage: cosy new NAME\n\n"
         "Makes the folder NAME with main.c (a small async program), CMakeLists.txt, Makefile, README.md and "
         ".gitignore.\n"
         "NAME becomes the program's name: letters, digits, '-' and '_', beginning with a letter.");
}

/* The name is a folder, a program, a CMake target and a make target: it must be fit for all four. */
static const char *fault_in_name(const char *name)
{
    static const char *const reserved[] = {"all",  "check", "clean",   "cosy", "edit_cache", "help", "install",
                                           "main", "make",  "package", "run",  "test",       NULL};
    if (!isalpha((unsigned char)name[0]))
        return "it must begin with a letter";
    if (strlen(name) > 64)
        return "it is longer than 64 characters";
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
            return "only letters, digits, '-' and '_' may stand in it";
    for (const char *const *word = reserved; *word; word++)
        if (strcmp(name, *word) == 0)
            return "make and CMake use this name themselves";
    return NULL;
}

/* Writes `text` with every "@NAME@" replaced. */
static int write_file(const char *path, const char *text, const char *name)
{
    static const char mark[] = "@NAME@";
    FILE *file = fopen(path, "wx");
    if (!file)
        return -errno;
    for (const char *found; (found = strstr(text, mark)); text = found + sizeof(mark) - 1)
        fprintf(file, "%.*s%s", (int)(found - text), text, name);
    fputs(text, file);
    bool failed = ferror(file) != 0;
    int error = fclose(file) != 0 ? -errno : 0;
    return failed && error == 0 ? -EIO : error;
}

/* A half-made project is worse than none: what was written goes again. */
static void remove_project(const char *name)
{
    for (size_t i = 0; i < project_template_count; i++) {
        char *path = format_text("%s/%s", name, project_templates[i].path);
        unlink(path);
        free(path);
    }
    rmdir(name);
}

static int write_project(const char *name)
{
    for (size_t i = 0; i < project_template_count; i++) {
        char *path = format_text("%s/%s", name, project_templates[i].path);
        int error = write_file(path, project_templates[i].text, name);
        if (error < 0) {
            tool_fail("new", "cannot write '%s': %s", path, strerror(-error));
            free(path);
            remove_project(name);
            return TOOL_FOUND;
        }
        free(path);
    }
    printf("%s is laid out. To build and run it:\n\n    cd %s\n    make run\n", name, name);
    return TOOL_OK;
}

int tool_new(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help(), TOOL_OK;
    if (argc > 1 && argv[1][0] == '-')
        return tool_fail("new", "unknown option '%s'; `cosy new --help` tells more", argv[1]);
    if (argc != 2)
        return tool_fail("new", "%s; usage: cosy new NAME", argc < 2 ? "what is its name?" : "one name at a time");
    const char *name = argv[1], *fault = fault_in_name(name);
    if (fault)
        return tool_fail("new", "'%s' cannot be the name: %s", name, fault);
    if (mkdir(name, 0777) != 0) {
        if (errno == EEXIST)
            tool_fail("new", "'%s' exists already; choose another name or remove it", name);
        else
            tool_fail("new", "cannot make the folder '%s': %s", name, strerror(errno));
        return TOOL_FOUND;
    }
    return write_project(name);
}
