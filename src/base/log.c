#include <cosy/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static enum cosy_log_level lowest_level(void)
{
    const char *wanted = getenv("COSY_LOG");
    for (unsigned i = 0; wanted && i < COUNT_OF(level_names); i++)
        if (strcmp(wanted, level_names[i]) == 0)
            return (enum cosy_log_level)i;
    return COSY_LOG_WARNING;
}

/* One write per message, so that lines of several threads do not mix; stdio is not used, because its buffer
 * may belong to a stream that the program is in the middle of. */
static void log_to_stderr(enum cosy_log_level level, const char *text, void *arg)
{
    (void)arg;
    char line[8192];
    if (level < lowest_level())
        return;
    int n = snprintf(line, sizeof line, "%s\n", text);
    size_t size = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    for (size_t at = 0; at < size;) {
        ssize_t written = write(STDERR_FILENO, line + at, size - at);
        if (written > 0)
            at += (size_t)written;
        else if (written == 0 || errno != EINTR)
            return;
    }
}

static cosy_log_sink sink = log_to_stderr;
static void *sink_arg;

void cosy_set_log_sink(cosy_log_sink new_sink, void *arg)
{
    sink = new_sink ? new_sink : log_to_stderr;
    sink_arg = new_sink ? arg : NULL;
}

void cosy_log(enum cosy_log_level level, const char *format, ...)
{
    char text[8000];
    int saved = errno; /* often called on the way out of a failure */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink(level, text, sink_arg);
    errno = saved;
}
