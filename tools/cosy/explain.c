/* explain.c - turns clang's thread-safety messages into what they mean for async code.
 *
 * include/cosy/colour.h makes "inside async code" a capability that clang follows from function to function. clang
 * speaks of locks ("requires holding async context 'async_context'"); people think of await, async and blocking calls.
 */
#include "tool.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One heading "path:line:column: severity: text". The strings lie in the line that was read. */
struct diagnostic {
    const char *path;
    long line, column;
    const char *severity;
    char *text;
};

/* Reads ":number" backwards from `end`; returns where it begins, or NULL. */
static char *number_before(char *begin, char *end, long *ret)
{
    char *p = end;
    while (p > begin && isdigit((unsigned char)p[-1]))
        p--;
    if (p == end || p == begin || p[-1] != ':')
        return NULL;
    *ret = strtol(p, NULL, 10);
    return p - 1;
}

/* Splits `line` in place when it is a heading; otherwise leaves it as it was. */
static bool parse_heading(char *line, struct diagnostic *ret)
{
    static const char *const severities[] = {"warning", "fatal error", "error", "note"};
    for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++) {
        char *mark = format_text(": %s: ", severities[i]);
        char *found = strstr(line, mark);
        size_t length = strlen(mark);
        free(mark);
        if (!found)
            continue;
        char *column = number_before(line, found, &ret->column);
        char *end_of_path = column ? number_before(line, column, &ret->line) : NULL;
        if (!end_of_path)
            continue;
        *end_of_path = '\0';
        ret->path = line;
        ret->severity = severities[i];
        ret->text = found + length;
        return true;
    }
    return false;
}

/* The first name that stands between apostrophes in clang's text. A macro's helper function carries the macro's name
 * and an underscore: people know the macro, so the underscore goes. */
static void first_quoted_name(const char *text, char name[128])
{
    const char *begin = strchr(text, '\'');
    int length = begin ? (int)strcspn(begin + 1, "'") : 0;
    while (length > 1 && begin[length] == '_')
        length--;
    snprintf(name, 128, "%.*s", length, begin ? begin + 1 : "");
}

/* The plain words for a message of the colour check, or NULL when it is another message. The caller frees them. */
static char *plain_words(const struct diagnostic *d)
{
    bool async = strstr(d->text, "async context '") != NULL, no_await = strstr(d->text, "no-await region '") != NULL;
    bool unbalanced =
        strstr(d->text, "mutex 'cosy_no_await'") != NULL; /* clang 14 forgets the capability's kind here */
    if (!async && !no_await && !unbalanced)
        return NULL;
    char name[128];
    first_quoted_name(d->text, name);
    char *caller = enclosing_function(d->path, d->line);
    const char *who = caller ? caller : "(file level)";
    char *words = NULL;
    if (strncmp(d->text, "calling function ", 17) == 0 && async)
        words = format_text("await outside async: plain function '%s' calls '%s', which may suspend; "
                            "mark it cosy_async or start it with cosy_run",
                            who, name);
    else if (strncmp(d->text, "cannot call function ", 21) == 0 && async)
        words = format_text("blocking call inside async code: async function '%s' calls '%s', which would stop every "
                            "task of the loop; await its async counterpart, or do it outside",
                            who, name);
    else if (strncmp(d->text, "cannot call function ", 21) == 0 && no_await)
        words = format_text("await in a no-await region: function '%s' calls '%s', which may suspend; "
                            "end the region before it",
                            who, name);
    else if ((strncmp(d->text, "reading variable ", 17) == 0 || strncmp(d->text, "writing variable ", 17) == 0) &&
             async)
        words = format_text("loop-owned data outside async: plain function '%s' touches '%s', which belongs to async "
                            "code; mark the function cosy_async",
                            who, name);
    else if (no_await || unbalanced)
        words =
            format_text("unbalanced no-await region: in function '%s', cosy_no_await_begin and cosy_no_await_end do "
                        "not match on every path",
                        who);
    free(caller);
    return words;
}

/* "2 warnings generated." says nothing that the lines above it have not said. */
static bool is_summary(const char *line)
{
    return isdigit((unsigned char)line[0]) && strstr(line, " generated.\n");
}

/* Several calls inside one macro say the same about the same place: once is enough. */
static void print_once(char **last, char *heading)
{
    if (!*last || strcmp(*last, heading) != 0)
        puts(heading);
    free(*last);
    *last = heading;
}

static int explain_heading(const struct diagnostic *d, char **last, bool *ret_explained)
{
    bool is_note = strcmp(d->severity, "note") == 0;
    if (is_note && *ret_explained)
        return 0; /* "expanded from macro ...": where cosy.h keeps its macros helps nobody */
    d->text[strcspn(d->text, "\n")] = '\0';
    char *words = is_note ? NULL : plain_words(d);
    *ret_explained = words != NULL;
    if (words)
        print_once(last, format_text("%s:%ld:%ld: %s", d->path, d->line, d->column, words));
    else
        printf("%s:%ld:%ld: %s: %s\n", d->path, d->line, d->column, d->severity, d->text);
    free(words);
    return is_note ? 0 : 1;
}

int explain_diagnostics(int fd)
{
    FILE *in = fdopen(fd, "r");
    if (!in)
        return 0;
    char *line = NULL, *last = NULL;
    size_t room = 0;
    int found = 0;
    bool explained = false; /* the lines that follow show source of a message that stands explained */
    while (getline(&line, &room, in) > 0) {
        struct diagnostic d;
        if (parse_heading(line, &d))
            found += explain_heading(&d, &last, &explained);
        else if (!explained && !is_summary(line))
            fputs(line, stdout);
    }
    free(line);
    free(last);
    fclose(in);
    return found;
}
