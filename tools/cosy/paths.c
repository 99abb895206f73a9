/* paths.c - where the library, its headers and the compilers are.
 *
 * A build folder has the shape of an installed prefix (bin/cosy, include/, lib/libcosy.a), so the command looks
 * beside itself and never has to know which of the two it runs from, nor does it break when a prefix is moved.
 */
#include "tool.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Cuts the last component off: "/usr/bin/cosy" becomes "/usr/bin". */
static void cut_last_component(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
}

/* The folder of this executable joined with `relative`, without "..", so that compilers print short paths. */
static char *beside_this_program(const char *relative)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return format_text("%s", relative);
    self[length] = '\0';
    cut_last_component(self);
    while (strncmp(relative, "../", 3) == 0) {
        relative += 3;
        cut_last_component(self);
    }
    return format_text("%s/%s", self, relative);
}

char *path_of_include(void)
{
    return beside_this_program(COSY_RELATIVE_INCLUDE_DIR);
}

char *path_of_library(const char *sanitizer)
{
    char *folder = beside_this_program(COSY_RELATIVE_LIB_DIR);
    char *path =
        sanitizer ? format_text("%s/cosy/libcosy_%s.a", folder, sanitizer) : format_text("%s/libcosy.a", folder);
    free(folder);
    return path;
}

void add_user_cflags(struct list *command, const char *include_dir)
{
    list_add(command, "-std=gnu17");
    list_add(command, "-D_GNU_SOURCE="); /* as `#define _GNU_SOURCE` says it, which then redefines nothing */
    list_add_words(command, COSY_USER_CFLAGS);
    list_addf(command, "-I%s", include_dir);
}

static bool is_executable(const char *path)
{
    return access(path, X_OK) == 0;
}

bool program_exists(const char *program)
{
    if (strchr(program, '/'))
        return is_executable(program);
    const char *rest = getenv("PATH");
    while (rest && *rest) {
        int length = (int)strcspn(rest, ":");
        char *path = format_text("%.*s/%s", length, rest, program);
        bool found = is_executable(path);
        free(path);
        if (found)
            return true;
        rest += length + (rest[length] == ':');
    }
    return false;
}
