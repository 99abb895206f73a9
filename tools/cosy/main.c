/* main.c - the `cosy` command: finds the command that was asked for. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", tool_run, "compile one C file against the library and run it"},
    {"check", tool_check, "find awaits outside async code, and blocking calls inside it"},
    {"new", tool_new, "lay out a new project that builds with CMake and with make"},
};

static void print_help(FILE *out)
{
    fputs("cosy - asyncio for C\n\n"
          "usage: cosy COMMAND [options] [arguments]\n\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].summary);
    fputs("\noptions:\n"
          "  --help      print this text; `cosy COMMAND --help` prints a command's own\n"
          "  --version   print the version\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TOOL_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return TOOL_OK;
    }
    if (strcmp(word, "--version") == 0) {
        puts("cosy " COSY_VERSION_STRING);
        return TOOL_OK;
    }
    const struct command *command = find_command(word);
    if (command)
        return command->run(argc - 1, argv + 1);
    return tool_fail(NULL, "unknown %s '%s'; `cosy --help` lists what there is", word[0] == '-' ? "option" : "command",
                     word);
}
