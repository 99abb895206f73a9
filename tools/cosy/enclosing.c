/* enclosing.c - finds the function that a line of C belongs to.
 *
 * clang's colour check names the callee but not the caller; people look for the caller. This reads just enough C for
 * it: comments, literals and preprocessor lines are skipped, braces and parentheses counted, and the last name before
 * a parenthesis at file level is the name of the body that follows.
 */
#include "tool.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 128 };

struct scan {
    FILE *file;
    long line;
    int braces, parentheses;
    bool line_is_blank;              /* only blanks so far: a '#' here begins a directive */
    char word[NAME_MAX_LENGTH];      /* the identifier just read */
    char candidate[NAME_MAX_LENGTH]; /* the name of the function, should a body follow */
    bool candidate_is_macro;         /* all capitals: an annotation such as NOTE(x), unless nothing better comes */
};

static int next_char(struct scan *scan)
{
    int c = getc(scan->file);
    if (c == '\n') {
        scan->line++;
        scan->line_is_blank = true;
    }
    return c;
}

static int peek_char(struct scan *scan)
{
    int c = getc(scan->file);
    ungetc(c, scan->file);
    return c;
}

static void skip_literal(struct scan *scan, int quote)
{
    int c;
    while ((c = next_char(scan)) != EOF && c != quote && c != '\n')
        if (c == '\\')
            next_char(scan);
}

static void skip_comment(struct scan *scan)
{
    int c = next_char(scan); /* the second character: '/' or '*' */
    if (c == '/') {
        while ((c = next_char(scan)) != EOF && c != '\n')
            if (c == '\\')
                next_char(scan);
        return;
    }
    c = next_char(scan);
    while (c != EOF && !(c == '*' && peek_char(scan) == '/'))
        c = next_char(scan);
    next_char(scan);
}

static void skip_directive(struct scan *scan)
{
    int c;
    while ((c = next_char(scan)) != EOF && c != '\n') {
        if (c == '\\')
            next_char(scan);
        else if (c == '/' && peek_char(scan) == '*')
            skip_comment(scan);
    }
}

static void read_word(struct scan *scan, int first)
{
    size_t length = 0;
    for (int c = first;; c = next_char(scan)) {
        if (length < sizeof(scan->word) - 1)
            scan->word[length++] = (char)c;
        int next = peek_char(scan);
        if (!isalnum(next) && next != '_')
            break;
    }
    scan->word[length] = '\0';
}

static bool is_all_capitals(const char *word)
{
    for (; *word; word++)
        if (islower((unsigned char)*word))
            return false;
    return true;
}

/* At file level, a word before '(' names a function, unless it is an attribute. */
static void consider_word(struct scan *scan)
{
    if (scan->braces || scan->parentheses || !scan->word[0] || strcmp(scan->word, "__attribute__") == 0)
        return;
    bool macro = is_all_capitals(scan->word);
    if (macro && scan->candidate[0] && !scan->candidate_is_macro)
        return;
    memcpy(scan->candidate, scan->word, sizeof(scan->candidate));
    scan->candidate_is_macro = macro;
}

static void read_mark(struct scan *scan, int c)
{
    if (c == '(') {
        consider_word(scan);
        scan->parentheses++;
    } else if (c == ')' && scan->parentheses > 0) {
        scan->parentheses--;
    } else if (c == '{') {
        scan->braces++;
    } else if (c == '}' && scan->braces > 0) {
        scan->braces--;
    }
    bool declaration_ends = c == ';' || c == '}' || c == '=';
    if (declaration_ends && !scan->braces && !scan->parentheses)
        scan->candidate[0] = '\0';
    scan->word[0] = '\0';
}

/* Reads one piece; false at the end of the file. */
static bool read_piece(struct scan *scan)
{
    int c = next_char(scan);
    if (c == EOF)
        return false;
    if (isspace(c))
        return true;
    bool first_on_line = scan->line_is_blank;
    scan->line_is_blank = false;
    if (c == '#' && first_on_line)
        skip_directive(scan);
    else if (c == '/' && (peek_char(scan) == '/' || peek_char(scan) == '*'))
        skip_comment(scan);
    else if (c == '"' || c == '\'')
        skip_literal(scan, c);
    else if (isalpha(c) || c == '_')
        read_word(scan, c);
    else
        read_mark(scan, c);
    return true;
}

char *enclosing_function(const char *path, long line)
{
    struct scan scan = {.file = fopen(path, "r"), .line = 1, .line_is_blank = true};
    if (!scan.file)
        return NULL;
    char *found = NULL;
    /* The body may open and close on the wanted line itself: remember the last one seen open there. */
    while (scan.line <= line && read_piece(&scan)) {
        if (scan.line == line && scan.braces > 0 && scan.candidate[0]) {
            free(found);
            found = format_text("%s", scan.candidate);
        }
    }
    fclose(scan.file);
    return found;
}
