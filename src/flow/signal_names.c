/* signal_names.c - what signals are called: those of the C library, whose real-time signals begin at a number that is
 * only known when a program runs. */
#include <cosy/signals.h>
#include <cosy/trace.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/base.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

#define NAME(signum) [signum] = #signum
static const char *const names[] = {
    NAME(SIGHUP),  NAME(SIGINT),    NAME(SIGQUIT), NAME(SIGILL),  NAME(SIGTRAP),   NAME(SIGABRT), NAME(SIGBUS),
    NAME(SIGFPE),  NAME(SIGKILL),   NAME(SIGUSR1), NAME(SIGSEGV), NAME(SIGUSR2),   NAME(SIGPIPE), NAME(SIGALRM),
    NAME(SIGTERM), NAME(SIGSTKFLT), NAME(SIGCHLD), NAME(SIGCONT), NAME(SIGSTOP),   NAME(SIGTSTP), NAME(SIGTTIN),
    NAME(SIGTTOU), NAME(SIGURG),    NAME(SIGXCPU), NAME(SIGXFSZ), NAME(SIGVTALRM), NAME(SIGPROF), NAME(SIGWINCH),
    NAME(SIGIO),   NAME(SIGPWR),    NAME(SIGSYS)};

static const struct {
    const char *name;
    int signum;
} others[] = {{"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"POLL", SIGIO}};

#define R(n) "SIGRTMIN+" #n
static const char *const real_time[] = {"SIGRTMIN", R(1),  R(2),  R(3),  R(4),  R(5),  R(6),  R(7),
                                        R(8),       R(9),  R(10), R(11), R(12), R(13), R(14), R(15),
                                        R(16),      R(17), R(18), R(19), R(20), R(21), R(22), R(23),
                                        R(24),      R(25), R(26), R(27), R(28), R(29), R(30), R(31)};

const char *cosy_signal_name(int signum)
{
    if (signum >= 1 && signum < (int)COUNT_OF(names))
        return names[signum];
    if (signum >= SIGRTMIN && signum <= SIGRTMAX && signum - SIGRTMIN < (int)COUNT_OF(real_time))
        return signum == SIGRTMAX ? "SIGRTMAX" : real_time[signum - SIGRTMIN];
    return NULL;
}

/* A number and nothing else, from 0 to 999; -1 otherwise. */
static int number(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 3 && strspn(text, "0123456789") == length ? atoi(text) : -1;
}

/* "RTMIN+3", "RTMAX-1": what comes behind the sign is counted from there. */
static int real_time_by_name(const char *name)
{
    bool from_top = strncasecmp(name, "RTMAX", 5) == 0;
    if (!from_top && strncasecmp(name, "RTMIN", 5) != 0)
        return -1;
    if (!name[5])
        return from_top ? SIGRTMAX : SIGRTMIN;
    int distance = name[5] == (from_top ? '-' : '+') ? number(name + 6) : -1;
    if (distance < 0 || distance > SIGRTMAX - SIGRTMIN)
        return -1;
    return from_top ? SIGRTMAX - distance : SIGRTMIN + distance;
}

static int by_name(const char *name)
{
    int signum = number(name);
    if (signum >= 0)
        return cosy_signal_name(signum) ? signum : -1;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < (int)COUNT_OF(names); i++)
        if (names[i] && strcasecmp(names[i] + 3, name) == 0)
            return i;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strcasecmp(others[i].name, name) == 0)
            return others[i].signum;
    return real_time_by_name(name);
}

int cosy_signal_by_name(const char *name)
{
    int signum = name ? by_name(name) : -1;
    return signum > 0 ? signum : cosy_fail(EINVAL, "there is no signal '%.60s'", name ? name : "(null)");
}
