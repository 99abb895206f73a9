/* forked.h - what happens in a forked child, and how a test hears of it. */
#ifndef COSY_TESTS_FORKED_H
#define COSY_TESTS_FORKED_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

/* What fn comes to in a forked child: its exit status. Assertions do not work there. */
#define FORKED(status, ...)                                                                                            \
    do {                                                                                                               \
        int status_;                                                                                                   \
        fflush(NULL);                                                                                                  \
        pid_t pid_ = fork();                                                                                           \
        if (pid_ == 0)                                                                                                 \
            leave(__VA_ARGS__);                                                                                        \
        ck_assert_int_eq(waitpid(pid_, &status_, 0), pid_);                                                            \
        ck_assert_int_eq(status_, (status) << 8);                                                                      \
    } while (0)

__attribute__((unused)) static int which_fails(const bool *holds, int count)
{
    for (int i = 0; i < count; i++)
        if (!holds[i])
            return i + 1;
    return 0;
}

/* The thread sanitizer knows no forks of programs with threads or fibers: what it tells of such a child is not so. */
#define NOT_UNDER_TSAN(...)                                                                                            \
    if (UNDER_TSAN)                                                                                                    \
    return __VA_ARGS__

#endif
