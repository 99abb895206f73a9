/* tool.h - which tool a test runs under: sanitizers, valgrind and emulators change what signals, limits and stacks do,
 * and how long things take. */
#ifndef COSY_TESTS_TOOL_H
#define COSY_TESTS_TOOL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif
#if UNDER_TSAN || defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

/* The suite says it: "address", "thread", "valgrind", "emulator", "none". */
static inline bool tool_is(const char *name)
{
    const char *tool = getenv("COSY_TEST_TOOL");
    return tool && strcmp(tool, name) == 0;
}

static inline bool under_valgrind(void)
{
    return tool_is("valgrind");
}

static inline bool under_tool(void)
{
    return UNDER_SANITIZER || under_valgrind() || tool_is("emulator");
}

/* How often, or how many: less where each step costs ten or fifty times as much. */
static inline unsigned less_under_tool(unsigned plainly, unsigned divisor)
{
    return under_tool() ? (plainly + divisor - 1) / divisor : plainly;
}

/* Ends a forked child. valgrind would look for leaks in it, whose loop is left as it was: a shell does the exit
 * then. */
__attribute__((unused)) static _Noreturn void leave(int status)
{
    char command[16];
    snprintf(command, sizeof command, "exit %d", status & 255);
    if (under_valgrind())
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(status);
}

#endif
